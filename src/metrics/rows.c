#include "metrics/rows.h"

#include <math.h>
#include <stdio.h>

#include "base/utf8.h"
#include "broker/parameter.h"
#include "queue/queue_latency.h"

/* Whether it has one is not known before it was looked for. */
static double head_timestamp(const struct queue *queue)
{
    uint64_t timestamp;
    return queue_head_timestamp(queue, &timestamp) ? (double)timestamp : (double)NAN;
}

/* ---- the table ---- */

/* Which type a scope's sample has. */
#define SAMPLE_node struct node_sample
#define SAMPLE_build struct node_sample
#define SAMPLE_identity struct node_sample
#define SAMPLE_version struct node_sample
#define SAMPLE_protocol struct node_sample
#define SAMPLE_sizes struct node_sample
#define SAMPLE_turns struct node_sample
#define SAMPLE_syncs struct node_sample
#define SAMPLE_batches struct node_sample
#define SAMPLE_group struct node_sample
#define SAMPLE_member struct api_member
#define SAMPLE_follower struct api_member
#define SAMPLE_login struct login_sample
#define SAMPLE_type struct type_sample
#define SAMPLE_death struct death_sample
#define SAMPLE_kept struct kept_sample
#define SAMPLE_memory struct memory_sample
#define SAMPLE_listener struct api_listener
#define SAMPLE_checker struct api_listener
#define SAMPLE_queue struct queue
#define SAMPLE_delivery struct queue
#define SAMPLE_acknowledgement struct queue
#define SAMPLE_detailed_queue struct queue
#define SAMPLE_exchange struct exchange
#define SAMPLE_vhost struct vhost
#define SAMPLE_channel struct channel_sample
#define SAMPLE_connection struct connection_view

#define METRIC(scope, families, kind, name, help, expression)                                      \
    static double value_##name(const void *sample)                                                 \
    {                                                                                              \
        const SAMPLE_##scope *one = sample;                                                        \
        (void)one;                                                                                 \
        return (double)(expression);                                                               \
    }
#define OBJECT METRIC
#define TOTAL(scope, families, kind, name, help, expression, sum)                                  \
    METRIC(scope, families, kind, name, help, expression)                                          \
    static double total_##name(const struct node_sample *node)                                     \
    {                                                                                              \
        return (double)(sum);                                                                      \
    }

#include "metrics/metrics.def"

#undef METRIC
#undef TOTAL

#define NONE FAMILIES_NONE
#define INFO FAMILIES_INFO
#define METRIC(scope, families, kind, name, help, expression)                                      \
    {#name, help, SCOPE_##scope, KIND_##kind, families, value_##name, NULL},
#define TOTAL(scope, families, kind, name, help, expression, sum)                                  \
    {#name, help, SCOPE_##scope, KIND_##kind, families, value_##name, total_##name},

static const struct metric table[] = {
#include "metrics/metrics.def"
};

enum { COUNT = sizeof(table) / sizeof(table[0]) };
_Static_assert((int)COUNT <= (int)METRICS_MAX, "room for a sum of each");

const struct metric *metric_at(size_t number)
{
    return number < COUNT ? &table[number] : NULL;
}

/* ---- sums ---- */

#undef METRIC
#undef TOTAL
#define METRIC(scope, families, kind, name, help, expression) NUMBER_##name,
#define TOTAL(scope, families, kind, name, help, expression, sum) NUMBER_##name,

enum number {
#include "metrics/metrics.def"
};

#undef METRIC
#undef TOTAL

/* What is of another scope is no code where `scope` is known. */
#define METRIC(of, families, kind, name, help, expression)                                         \
    if (scope == SCOPE_##of)                                                                       \
        sums[NUMBER_##name] += value_##name(sample);
#define TOTAL(of, families, kind, name, help, expression, sum)

static inline __attribute__((always_inline)) void add_values(enum scope scope, const void *sample,
                                                             double *sums)
{
#include "metrics/metrics.def"
}

#undef METRIC
#undef TOTAL

void metrics_sum(enum scope scope, const void *sample, double *sums)
{
    if (scope == SCOPE_channel)
        add_values(SCOPE_channel, sample, sums);
    else
        add_values(SCOPE_connection, sample, sums);
}

uint64_t metric_family(struct bytes name)
{
#define FAMILY_NAME(family) #family,
    static const char *const names[] = {METRIC_FAMILIES(FAMILY_NAME)};
    for (size_t i = 0; i < FAMILIES; i++)
        if (bytes_equal_str(name, names[i]))
            return UINT64_C(1) << i;
    return 0;
}

bool metric_is_of_cluster(const struct metric *metric)
{
    return strncmp(metric->name, "rabbitmq_cluster_", 17) == 0;
}

/* ---- text ---- */

static void add(struct buffer *out, const char *text)
{
    buffer_add(out, text, strlen(text));
}

/* One character of a label's value; what is no UTF-8 is replaced. */
static size_t add_character(struct buffer *out, struct bytes text)
{
    size_t size = utf8_character(text);
    if (size == 0)
        add(out, "\xef\xbf\xbd");
    else if (text.data[0] == '\n')
        add(out, "\\n");
    else if (text.data[0] == '"' || text.data[0] == '\\') {
        buffer_add(out, "\\", 1);
        buffer_add(out, text.data, 1);
    } else
        buffer_add(out, text.data, size);
    return size ? size : 1;
}

static bool is_plain(struct bytes text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] < 0x20 || text.data[i] > 0x7e || text.data[i] == '"' ||
            text.data[i] == '\\')
            return false;
    return true;
}

static void add_label(struct buffer *out, const char *separator, const char *name,
                      struct bytes value)
{
    add(out, separator);
    add(out, name);
    add(out, "=\"");
    if (is_plain(value))
        buffer_add(out, value.data, value.size);
    else
        for (size_t at = 0; at < value.size;)
            at += add_character(out, bytes_of(value.data + at, value.size - at));
    buffer_add(out, "\"", 1);
}

static void add_text(struct buffer *out, const char *separator, const char *name, const char *value)
{
    add_label(out, separator, name, bytes_str(value));
}

/* Whole numbers are most of them, and told as such as long as they are exact. */
static void add_number(struct buffer *out, double value)
{
    char text[40];
    size_t at = sizeof(text);
    bool is_small = value >= 0 && value < 9007199254740992.0;
    uint64_t whole = is_small ? (uint64_t)value : 0;
    if (!is_small || (double)whole != value) {
        snprintf(text, sizeof(text), "%.12g", value);
        add(out, text);
        return;
    }
    do {
        text[--at] = (char)('0' + whole % 10);
        whole /= 10;
    } while (whole);
    buffer_add(out, text + at, sizeof(text) - at);
}

static void add_value(struct buffer *out, double value)
{
    buffer_add(out, " ", 1);
    add_number(out, value);
    buffer_add(out, "\n", 1);
}

/* Those of /metrics/detailed have another name, so that both may be asked for. */
static void add_name(const struct rows *rows, const struct metric *metric)
{
    const char *name = metric->name, *rest = strchr(name, '_') + 1;
    if (rows->endpoint != ENDPOINT_DETAILED || metric->families == FAMILIES_INFO ||
        metric_is_of_cluster(metric)) {
        add(rows->out, name);
        return;
    }
    buffer_add(rows->out, name, (size_t)(rest - name));
    add(rows->out, "detailed_");
    add(rows->out, rest);
}

/* For OpenMetrics a counter has its name without the _total that its lines have. */
static void add_title(const struct rows *rows, const struct metric *metric, const char *what)
{
    add(rows->out, what);
    add_name(rows, metric);
    if (rows->is_open && metric->kind == KIND_COUNTER)
        rows->out->size -= sizeof("_total") - 1;
    add(rows->out, " ");
}

/* What it is counted in, which is the end of its name; NULL: nothing. */
static const char *unit_of(const struct metric *metric)
{
    static const char *const units[] = {"seconds", "bytes"};
    size_t size = strlen(metric->name);
    if (metric->kind == KIND_COUNTER)
        size -= sizeof("_total") - 1;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        size_t unit = strlen(units[i]);
        if (size > unit && memcmp(metric->name + size - unit, units[i], unit) == 0)
            return units[i];
    }
    return NULL;
}

void rows_begin(const struct rows *rows, const struct metric *metric)
{
    static const char *const kinds[] = {[KIND_COUNTER] = "counter\n",
                                        [KIND_GAUGE] = "gauge\n",
                                        [KIND_UNTYPED] = "untyped\n",
                                        [KIND_HISTOGRAM] = "histogram\n"};
    const char *unit = rows->is_open ? unit_of(metric) : NULL;
    add_title(rows, metric, "# TYPE ");
    add(rows->out,
        rows->is_open && metric->kind == KIND_UNTYPED ? "unknown\n" : kinds[metric->kind]);
    if (unit) {
        add_title(rows, metric, "# UNIT ");
        add(rows->out, unit);
        add(rows->out, "\n");
    }
    add_title(rows, metric, "# HELP ");
    add(rows->out, metric->help);
    add(rows->out, "\n");
}

void rows_end(const struct rows *rows)
{
    if (rows->is_open)
        add(rows->out, "# EOF\n");
}

const char *rows_type(bool is_open)
{
    return is_open ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                   : "text/plain; version=0.0.4; charset=utf-8";
}

/* ---- what there is a fixed number of ---- */

static void begin_line(const struct rows *rows, const struct metric *metric)
{
    add_name(rows, metric);
}

static void end_line(const struct rows *rows, const struct metric *metric, const void *sample)
{
    add_value(rows->out, metric->value(sample));
}

static void add_logins(const struct rows *rows, const struct metric *metric,
                       const struct node_sample *node)
{
    static const char *const protocols[LOGIN_WAYS] = {
        [LOGIN_AMQP] = "amqp091", [LOGIN_HTTP] = "http"};
    for (int i = 0; i < LOGIN_WAYS; i++) {
        const struct login_sample sample = {protocols[i], node->logins[i]};
        begin_line(rows, metric);
        add_text(rows->out, "{", "protocol", sample.protocol);
        add(rows->out, "}");
        end_line(rows, metric, &sample);
    }
}

static void add_build(const struct rows *rows, const struct metric *metric,
                      const struct node_sample *node)
{
    const struct metrics_options *options = node->options;
    begin_line(rows, metric);
    add_text(rows->out, "{", "rabbitmq_version", options->product_version);
    add_text(rows->out, ",", "prometheus_plugin_version", options->product_version);
    add_text(rows->out, ",", "prometheus_client_version", "none");
    add_text(rows->out, ",", "erlang_version", "none");
    add_text(rows->out, ",", "product_name", "Leveret");
    add_text(rows->out, ",", "product_version", options->version);
    add(rows->out, "}");
    end_line(rows, metric, node);
}

static void add_version(const struct rows *rows, const struct metric *metric,
                        const struct node_sample *node)
{
    begin_line(rows, metric);
    add_text(rows->out, "{", "version", node->options->version);
    add(rows->out, "}");
    end_line(rows, metric, node);
}

static void add_identity(const struct rows *rows, const struct metric *metric,
                         const struct node_sample *node)
{
    static const char *const endpoints[] = {[ENDPOINT_AGGREGATED] = "aggregated",
                                            [ENDPOINT_PER_OBJECT] = "per-object",
                                            [ENDPOINT_DETAILED] = "detailed"};
    const struct metrics_options *options = node->options;
    struct bytes cluster = parameter_cluster_name(node->broker, options->cluster_name);
    begin_line(rows, metric);
    add_text(rows->out, "{", "rabbitmq_node", options->node);
    add_label(rows->out, ",", "rabbitmq_cluster", cluster);
    add_label(rows->out, ",", "rabbitmq_cluster_permanent_id", cluster);
    add_text(rows->out, ",", "rabbitmq_endpoint", endpoints[rows->endpoint]);
    add(rows->out, "}");
    end_line(rows, metric, node);
}

static void add_protocol(const struct rows *rows, const struct metric *metric,
                         const struct node_sample *node)
{
    begin_line(rows, metric);
    add_text(rows->out, "{", "protocol", "amqp091");
    add(rows->out, "}");
    end_line(rows, metric, node);
}

static const char *const types[] = {[QUEUE_CLASS_CLASSIC] = "rabbit_classic_queue",
                                    [QUEUE_CLASS_QUORUM] = "rabbit_quorum_queue",
                                    [QUEUE_CLASSES] = "rabbit_stream_queue"};

/* Of streams there are none. */
static void add_types(const struct rows *rows, const struct metric *metric,
                      const struct node_sample *node)
{
    static const uint64_t none[QUEUES_TALLIES_MAX];
    const struct queues *queues = &node->broker->queues;
    for (int i = 0; i <= QUEUE_CLASSES; i++) {
        const struct type_sample sample = {types[i], i < QUEUE_CLASSES ? queues->tallies[i] : none};
        begin_line(rows, metric);
        add_text(rows->out, "{", "protocol", "amqp091");
        add_text(rows->out, ",", "queue_type", sample.type);
        add(rows->out, "}");
        end_line(rows, metric, &sample);
    }
}

static void add_deaths_of(const struct rows *rows, const struct metric *metric,
                          const struct death_sample *sample)
{
    begin_line(rows, metric);
    add_text(rows->out, "{", "queue_type", sample->type);
    add_text(rows->out, ",", "dead_letter_strategy", sample->strategy);
    add(rows->out, "}");
    end_line(rows, metric, sample);
}

static void add_deaths(const struct rows *rows, const struct metric *metric,
                       const struct node_sample *node)
{
    static const char *const strategies[LETTERS_KINDS] = {[LETTERS_NONE] = "disabled",
                                                          [LETTERS_AT_MOST_ONCE] = "at_most_once",
                                                          [LETTERS_AT_LEAST_ONCE] =
                                                              "at_least_once"};
    for (int type = 0; type < QUEUE_CLASSES; type++)
        for (int kind = 0; kind < LETTERS_KINDS; kind++) {
            const struct death_sample sample = {types[type], strategies[kind],
                                                node->broker->deaths[type][kind]};
            add_deaths_of(rows, metric, &sample);
        }
}

static void add_kept(const struct rows *rows, const struct metric *metric,
                     const struct node_sample *node)
{
    for (int type = 0; type < QUEUE_CLASSES; type++) {
        const struct kept_sample sample = {types[type], node->broker->deaths_kept[type]};
        begin_line(rows, metric);
        add_text(rows->out, "{", "queue_type", sample.type);
        add_text(rows->out, ",", "dead_letter_strategy", "at_least_once");
        add(rows->out, "}");
        end_line(rows, metric, &sample);
    }
}

static void add_memory(const struct rows *rows, const struct metric *metric,
                       const struct node_sample *node)
{
    const struct server_memory *memory = &node->memory;
    const struct memory_sample uses[] = {
        {"messages", memory->messages}, {"unsent", memory->outputs},
        {"received", memory->inputs},   {"held", memory->held},
        {"unacked", memory->unacked},   {"index", node->store->cache_bytes}};
    for (size_t i = 0; i < sizeof(uses) / sizeof(uses[0]); i++) {
        begin_line(rows, metric);
        add_text(rows->out, "{", "use", uses[i].use);
        add(rows->out, "}");
        end_line(rows, metric, &uses[i]);
    }
}

/* Those with TLS, or with lists of revoked certificates. */
static void add_listeners(const struct rows *rows, const struct metric *metric,
                          const struct node_sample *node)
{
    char port[8];
    for (size_t i = 0; i < node->listeners_count; i++) {
        const struct api_listener *one = &node->listeners[i];
        if (!(metric->scope == SCOPE_checker ? one->revoked_ends_ms : one->ends_ms))
            continue;
        snprintf(port, sizeof(port), "%u", one->port);
        begin_line(rows, metric);
        add_text(rows->out, "{", "protocol", one->protocol);
        add_text(rows->out, ",", "address", one->address);
        add_text(rows->out, ",", "port", port);
        add(rows->out, "}");
        end_line(rows, metric, one);
    }
}

static void add_group(const struct rows *rows, const struct metric *metric,
                      const struct node_sample *node)
{
    begin_line(rows, metric);
    end_line(rows, metric, node);
}

static void add_members(const struct rows *rows, const struct metric *metric,
                        const struct node_sample *node)
{
    for (unsigned i = 0; i < node->members; i++) {
        const struct api_member *one = &node->brokers[i];
        if (metric->scope == SCOPE_follower && !one->is_followed)
            continue;
        begin_line(rows, metric);
        add_text(rows->out, "{", "member", one->name);
        add(rows->out, "}");
        end_line(rows, metric, one);
    }
}

/* ---- histograms ---- */

struct histogram {
    struct bytes label; /* that all lines have: "protocol=\"amqp091\","; or nothing */
    uint64_t count;     /* so far */
};

static void add_bucket(const struct rows *rows, const struct metric *metric,
                       struct histogram *histogram, const char *limit, uint64_t count)
{
    histogram->count += count;
    add_name(rows, metric);
    add(rows->out, "_bucket{");
    buffer_add(rows->out, histogram->label.data, histogram->label.size);
    add_text(rows->out, "", "le", limit);
    add(rows->out, "}");
    add_value(rows->out, (double)histogram->count);
}

static void add_part(const struct rows *rows, const struct metric *metric,
                     const struct histogram *histogram, const char *part, double value)
{
    struct bytes label = histogram->label;
    add_name(rows, metric);
    add(rows->out, part);
    if (label.size) {
        add(rows->out, "{");
        buffer_add(rows->out, label.data, label.size - 1);
        add(rows->out, "}");
    }
    add_value(rows->out, value);
}

static void end_histogram(const struct rows *rows, const struct metric *metric,
                          const struct histogram *histogram, double sum)
{
    add_part(rows, metric, histogram, "_sum", sum);
    add_part(rows, metric, histogram, "_count", (double)histogram->count);
}

static void add_sizes(const struct rows *rows, const struct metric *metric,
                      const struct node_sample *node)
{
    /* Written as those write them who look for one of them. */
    static const char *const limits[PUBLISHED_SIZES] = {
        "100.0", "1000.0", "10000.0", "100000.0", "1e+06", "1e+07", "5e+07", "1e+08", "+Inf"};
    struct histogram histogram = {.label = bytes_str("protocol=\"amqp091\",")};
    for (int i = 0; i < PUBLISHED_SIZES; i++)
        add_bucket(rows, metric, &histogram, limits[i], node->published->sizes[i]);
    end_histogram(rows, metric, &histogram, (double)node->published->bytes);
}

enum { LIMIT_SIZE = 40 };

/* As one who reads OpenMetrics writes it, so that both formats have the same: "1.0", "1.048576e+06". */
static void write_limit(double limit, char text[LIMIT_SIZE])
{
    if (limit < 1e6) {
        snprintf(text, LIMIT_SIZE, "%.12g", limit);
        if (!strpbrk(text, ".e"))
            strcat(text, ".0");
        return;
    }
    int size = snprintf(text, LIMIT_SIZE, "%.11e", limit);
    char *end = memchr(text, 'e', (size_t)size), *last = end - 1;
    while (*last == '0')
        last--;
    memmove(*last == '.' ? last : last + 1, end, strlen(end) + 1);
}

/* [n] has what is less than 2^n, which is told in units of `unit`. */
static void add_powers(const struct rows *rows, const struct metric *metric,
                       const uint64_t *buckets, size_t count, double unit, uint64_t sum)
{
    struct histogram histogram = {.label = bytes_str("")};
    char limit[LIMIT_SIZE];
    for (size_t i = 0; i + 1 < count; i++) {
        write_limit((double)(UINT64_C(1) << i) * unit, limit);
        add_bucket(rows, metric, &histogram, limit, buckets[i]);
    }
    add_bucket(rows, metric, &histogram, "+Inf", buckets[count - 1]);
    end_histogram(rows, metric, &histogram, (double)sum * unit);
}

static void add_turns(const struct rows *rows, const struct metric *metric,
                      const struct node_sample *node)
{
    const struct turns *turns = node->turns;
    add_powers(rows, metric, turns->buckets, TURNS_BUCKETS, 1e-6, turns->total_us);
}

static void add_syncs(const struct rows *rows, const struct metric *metric,
                      const struct node_sample *node)
{
    const struct store_histogram *one = &node->store->sync_us;
    add_powers(rows, metric, one->buckets, STORE_BUCKETS, 1e-6, one->sum);
}

static void add_batches(const struct rows *rows, const struct metric *metric,
                        const struct node_sample *node)
{
    const struct store_histogram *one = &node->store->batch_bytes;
    add_powers(rows, metric, one->buckets, STORE_BUCKETS, 1, one->sum);
}

/* From a quarter of a millisecond to 18 minutes: powers of two in microseconds. */
static void add_latency(const struct rows *rows, const struct metric *metric, struct bytes label,
                        const struct latency *latency)
{
    static const unsigned char bits[] = {8, 10, 12, 14, 16, 18, 20, 22, 26, 30};
    struct histogram histogram = {.label = label};
    char limit[LIMIT_SIZE];
    for (size_t i = 0; i < sizeof(bits); i++) {
        write_limit((double)(UINT64_C(1) << bits[i]) * 1e-6, limit);
        add_bucket(rows, metric, &histogram, limit, latency_below(latency, bits[i]) - histogram.count);
    }
    add_bucket(rows, metric, &histogram, "+Inf", latency->count - histogram.count);
    end_histogram(rows, metric, &histogram, (double)latency->sum_us * 1e-6);
}

static enum latency_of latency_of(const struct metric *metric)
{
    return metric->scope == SCOPE_delivery ? LATENCY_DELIVER : LATENCY_ACKNOWLEDGE;
}

static void add_latencies(const struct rows *rows, const struct metric *metric,
                          const struct node_sample *node)
{
    add_latency(rows, metric, bytes_str(""), &node->broker->queues.latencies[latency_of(metric)]);
}

/* Of one that nobody has read there are none. */
static void add_queue_latency(const struct rows *rows, const struct metric *metric,
                              const struct queue *queue)
{
    const struct latency *latency = queue_latency(queue, latency_of(metric));
    struct buffer label = {0};
    if (!latency)
        return;
    add_label(&label, "", "vhost", vhost_name(queue->vhost));
    add_label(&label, ",", "queue", queue_name(queue));
    add(&label, ",");
    add_latency(rows, metric, buffer_bytes(&label), latency);
    buffer_free(&label);
}

/* ---- all together ---- */

typedef void add_lines(const struct rows *rows, const struct metric *metric,
                       const struct node_sample *node);

static add_lines *lines_of(enum scope scope)
{
    static add_lines *const all[] = {
        [SCOPE_login] = add_logins,      [SCOPE_build] = add_build,
        [SCOPE_identity] = add_identity, [SCOPE_version] = add_version,
        [SCOPE_protocol] = add_protocol, [SCOPE_type] = add_types,
        [SCOPE_death] = add_deaths,      [SCOPE_kept] = add_kept,
        [SCOPE_memory] = add_memory,     [SCOPE_listener] = add_listeners,
        [SCOPE_checker] = add_listeners,
        [SCOPE_sizes] = add_sizes,       [SCOPE_turns] = add_turns,
        [SCOPE_syncs] = add_syncs,       [SCOPE_batches] = add_batches,
        [SCOPE_group] = add_group,       [SCOPE_member] = add_members,
        [SCOPE_follower] = add_members,
        [SCOPE_delivery] = add_latencies, [SCOPE_acknowledgement] = add_latencies,
    };
    return scope < sizeof(all) / sizeof(all[0]) ? all[scope] : NULL;
}

void rows_add_all(const struct rows *rows, const struct metric *metric,
                  const struct node_sample *node, double sum)
{
    add_lines *lines = lines_of(metric->scope);
    if (lines) {
        lines(rows, metric, node);
        return;
    }
    if (metric->total)
        sum = metric->total(node);
    else if (metric->scope == SCOPE_node)
        sum = metric->value(node);
    begin_line(rows, metric);
    add_value(rows->out, sum);
}

/* ---- one of many ---- */

static void label_queue(struct buffer *out, const struct queue *queue)
{
    add_label(out, "{", "vhost", vhost_name(queue->vhost));
    add_label(out, ",", "queue", queue_name(queue));
}

static void label_exchange(struct buffer *out, const struct metric *metric,
                           const struct exchange *exchange)
{
    add_label(out, "{", "vhost", vhost_name(exchange->vhost));
    add_label(out, ",", "exchange", exchange_name(exchange));
    if (metric_is_of_cluster(metric))
        add_text(out, ",", "type", exchange_type(exchange));
}

static void label_client(struct buffer *out, const char *name, const struct peer *peer,
                         uint16_t channel)
{
    char text[CLIENT_NAME_SIZE];
    add_label(out, "{", name, bytes_of(text, client_name(peer, channel, text)));
}

static void add_labels(struct buffer *out, const struct metric *metric, const void *sample)
{
    const struct channel_sample *channel = sample;
    const struct connection_view *connection = sample;
    switch (metric->scope) {
    case SCOPE_exchange:
        label_exchange(out, metric, sample);
        break;
    case SCOPE_vhost:
        add_label(out, "{", "vhost", vhost_name(sample));
        break;
    case SCOPE_channel:
        label_client(out, "channel", channel->connection.peer, channel->channel.number);
        break;
    case SCOPE_connection:
        label_client(out, "connection", connection->peer, 0);
        break;
    default:
        label_queue(out, sample);
        break;
    }
    buffer_add(out, "}", 1);
}

void rows_add_one(const struct rows *rows, const struct metric *metric, const void *sample)
{
    if (metric->scope == SCOPE_delivery || metric->scope == SCOPE_acknowledgement) {
        add_queue_latency(rows, metric, sample);
        return;
    }
    double value = metric->value(sample);
    if (isnan(value))
        return;
    begin_line(rows, metric);
    add_labels(rows->out, metric, sample);
    add_value(rows->out, value);
}
