/* The load generator's options: a table for base/options, and the kinds of values that only it has.
 */
#include "perf/options.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/options.h"
#include "perf/arguments.h"
#include "perf/stamp.h"

static const char *const modes[] = {
    "throughput",    "latency",          "backlog",       "queue-churn",      "bind-churn",
    "channel-churn", "connection-churn", "request-reply", "connection-count", "queue-count",
};

enum { MODES = sizeof(modes) / sizeof(modes[0]) };

const char *mode_name(enum mode mode)
{
    return modes[mode];
}

static bool mode_read(const char *text, enum mode *mode)
{
    for (unsigned i = 0; i < MODES; i++)
        if (strcmp(modes[i], text) == 0) {
            *mode = (enum mode)i;
            return true;
        }
    return false;
}

/* ---- kinds ---- */

/* Digits, and k, M or G for 2^10, 2^20, 2^30; *end is what follows. */
static bool read_count(const char *text, uint64_t *number, const char **end)
{
    if (!digits_read(text, number, end))
        return false;
    const char *unit = **end ? strchr("kKmMgG", **end) : NULL;
    if (unit) {
        unsigned shift = 10 * (1 + (unsigned)(unit - "kKmMgG") / 2);
        if (*number >> (64 - shift))
            return false;
        *number <<= shift;
        ++*end;
    }
    return true;
}

static bool read_number(const struct option *option, void *fields, const char *text,
                        const char **why)
{
    uint64_t number;
    const char *end;
    (void)why;
    return read_count(text, &number, &end) && *end == '\0' &&
           option_put_number(option, fields, number);
}

static void describe_number(const struct option *option, char *text, size_t size)
{
    snprintf(text, size, "from %" PRIu64 " to %" PRIu64, option->min, option->max);
}

static const struct option_kind number_kind = {.read = read_number, .describe = describe_number};

/* Unlike option_text it may be empty. */
static bool read_text(const struct option *option, void *fields, const char *text, const char **why)
{
    (void)why;
    memcpy(option_field(option, fields), &text, sizeof(text));
    return true;
}

static const struct option_kind text_kind = {.read = read_text, .describe = NULL};

static bool read_seconds(const struct option *option, void *fields, const char *text,
                         const char **why)
{
    double *seconds = option_field(option, fields);
    char *end;
    (void)why;
    *seconds = strtod(text, &end);
    return end != text && *end == '\0' && *seconds >= 0 && *seconds <= 1e7;
}

static const struct option_kind seconds_kind = {.read = read_seconds, .describe = NULL};

static bool read_sizes(const struct option *option, void *fields, const char *text,
                       const char **why)
{
    struct options *options = fields;
    const char *end;
    (void)option, (void)why;
    if (!read_count(text, &options->size_min, &end))
        return false;
    options->size_max = options->size_min;
    if (*end == '-' && !read_count(end + 1, &options->size_max, &end))
        return false;
    return *end == '\0' && options->size_min <= options->size_max &&
           options->size_max <= (uint64_t)1 << 30;
}

static const struct option_kind sizes_kind = {.read = read_sizes, .describe = NULL};

static bool read_uri(const struct option *option, void *fields, const char *text, const char **why)
{
    (void)why;
    return uri_read(text, option_field(option, fields));
}

static const struct option_kind uri_kind = {.read = read_uri, .describe = NULL};

static bool read_rate(const struct option *option, void *fields, const char *text, const char **why)
{
    (void)why;
    return schedule_read(text, option_field(option, fields));
}

static const struct option_kind rate_kind = {.read = read_rate, .describe = NULL};

static struct buffer *table_memory(struct options *options, const struct option *option)
{
    if (option->offset == offsetof(struct options, queue_arguments))
        return &options->queue_arguments_memory;
    if (option->offset == offsetof(struct options, binding_arguments))
        return &options->binding_arguments_memory;
    return &options->consume_arguments_memory;
}

static bool read_table(const struct option *option, void *fields, const char *text,
                       const char **why)
{
    (void)why;
    return arguments_read(text, table_memory(fields, option));
}

static const struct option_kind table_kind = {.read = read_table, .describe = NULL};

static bool read_properties(const struct option *option, void *fields, const char *text,
                            const char **why)
{
    struct options *options = fields;
    (void)option, (void)why;
    options->properties_text = text;
    return true;
}

static const struct option_kind properties_kind = {.read = read_properties, .describe = NULL};

static bool read_header(const struct option *option, void *fields, const char *text,
                        const char **why)
{
    struct options *options = fields;
    (void)option, (void)why;
    return arguments_read(text, &options->headers_memory);
}

static const struct option_kind header_kind = {.read = read_header, .describe = NULL};

/* ---- the table ---- */

#define HEADING(text)                                                                              \
    {                                                                                              \
        .help = text                                                                               \
    }
#define FIELD(field) OPTION_FIELD(struct options, field)

static const struct option rows[] = {
    HEADING("Broker"),
    {"uri", &uri_kind, FIELD(uri), 0, 0, "URI", .help = "amqp[s]://user:password@host:port/vhost"},
    {"broker-pid", &number_kind, FIELD(broker_pid), 1, INT32_MAX, "PID",
     .help = "measure this process's CPU time and memory"},
    {"tls-ca", &text_kind, FIELD(tls_ca), 0, 0, "FILE", .help = "authorities to trust as well"},
    {"tls-insecure", &option_no, FIELD(tls_verify), 0, 0, NULL, .help = "take any certificate"},
    {"frame-max", &number_kind, FIELD(frame_max), 4096, 131072, "BYTES",
     .help = "largest frame to agree on"},
    {"heartbeat", &number_kind, FIELD(heartbeat_s), 0, 65535, "SECONDS",
     .help = "to ask for; 0: none"},
    {"timeout-ms", &number_kind, FIELD(timeout_ms), 1, 3600000, "MS",
     .help = "for an answer while setting up"},
    {"reconnect", &option_flag, FIELD(reconnect), 0, 0, NULL,
     .help = "connect again when a connection is lost"},

    HEADING("How much, how long"),
    {"count", &number_kind, FIELD(count), 1, (uint64_t)1 << 47, "N",
     .help = "messages in all, or rounds of a churn"},
    {"duration", &seconds_kind, FIELD(seconds), 0, 0, "SECONDS",
     .help = "how long to publish or churn"},
    {"rate", &rate_kind, FIELD(schedule), 0, 0, "RATE[:SECONDS,...]",
     .help = "messages a second in all; or rates that take turns"},
    {"warmup", &seconds_kind, FIELD(warmup_s), 0, 0, "SECONDS",
     .help = "not counted among the latencies"},
    {"hold", &seconds_kind, FIELD(hold_s), 0, 0, "SECONDS",
     .help = "rest before memory is read, or a backlog drained"},
    {"linger", &seconds_kind, FIELD(linger_s), 0, 0, "SECONDS",
     .help = "silence after which messages count as missing"},
    {"threads", &number_kind, FIELD(threads), 1, 256, "N", .help = "of the generator"},

    HEADING("Producers"),
    {"producers", &number_kind, FIELD(producers), 0, 65535, "N",
     .help = "connections that publish"},
    {"size", &sizes_kind, 0, 0, 0, 0, "BYTES[-BYTES]", .help = "of a body, fixed or in a range"},
    {"persistent", &option_flag, FIELD(persistent), 0, 0, NULL,
     .help = "delivery mode 2, in queues that are durable"},
    {"confirm", &number_kind, FIELD(confirm), 1, 1 << 20, "N",
     .help = "ask for confirms; at most N are outstanding"},
    {"mandatory", &option_flag, FIELD(mandatory), 0, 0, NULL,
     .help = "return what reaches no queue"},
    {"exchange", &text_kind, FIELD(exchange), 0, 0, "NAME", .help = "to publish to"},
    {"exchange-type", &text_kind, FIELD(exchange_type), 0, 0, "TYPE",
     .help = "declare the exchange, and bind the queues"},
    {"routing-key", &text_kind, FIELD(routing_key), 0, 0, "PATTERN",
     .help = "%q queue, %p producer, %m message modulo --keys"},
    {"keys", &number_kind, FIELD(keys), 1, 65536, "N", .help = "different routing keys by %m"},
    {"properties", &properties_kind, 0, 0, 0, 0, "TEXT",
     .help = "as 'content-type=text/plain priority=5'"},
    {"priorities", &number_kind, FIELD(priorities), 0, 255, "N",
     .help = "priorities from 0 to N in turn"},
    {"header", &header_kind, 0, 0, 0, 0, "NAME=VALUE", .help = "one header; may be repeated"},

    HEADING("Queues"),
    {"queues", &number_kind, FIELD(queues), 0, 1000000, "N", .help = "how many"},
    {"queue-pattern", &text_kind, FIELD(queue_pattern), 0, 0, "PATTERN",
     .help = "names; %d is the number"},
    {"queue-from", &number_kind, FIELD(queue_from), 0, INT32_MAX, "N", .help = "the first number"},
    {"durable", &option_flag, FIELD(durable), 0, 0, NULL,
     .help = "durable queues (--persistent has them, too)"},
    {"exclusive", &option_flag, FIELD(exclusive), 0, 0, NULL,
     .help = "exclusive queues; all on one connection (churn)"},
    {"auto-delete", &option_flag, FIELD(auto_delete), 0, 0, NULL, .help = "auto-delete queues"},
    {"queue-args", &table_kind, FIELD(queue_arguments), 0, 0, "NAME=VALUE,...|{TABLE}",
     .help = "arguments of the queues"},
    {"binding-key", &text_kind, FIELD(binding_key), 0, 0, "PATTERN", .help = "of the bindings"},
    {"binding-args", &table_kind, FIELD(binding_arguments), 0, 0, "NAME=VALUE,...|{TABLE}",
     .help = "arguments of the bindings"},
    {"passive", &option_flag, FIELD(passive), 0, 0, NULL,
     .help = "queues and exchange are there already"},
    {"purge", &option_flag, FIELD(purge), 0, 0, NULL, .help = "empty the queues before the start"},
    {"keep", &option_flag, FIELD(keep), 0, 0, NULL, .help = "delete nothing at the end"},

    HEADING("Consumers"),
    {"consumers", &number_kind, FIELD(consumers), 0, 65535, "N",
     .help = "connections that consume"},
    {"ack-every", &number_kind, FIELD(ack_every), 0, 65535, "N",
     .help = "acknowledge each (1), or every N; 0: automatic"},
    {"reject", &option_flag, FIELD(reject), 0, 0, NULL,
     .help = "instead of acknowledging: what is consumed is gone, or a dead letter"},
    {"prefetch", &number_kind, FIELD(prefetch), 0, 65535, "N",
     .help = "most unacknowledged messages; 0: any"},
    {"consume-args", &table_kind, FIELD(consume_arguments), 0, 0, "NAME=VALUE,...|{TABLE}",
     .help = "arguments of basic.consume"},
    {"verify", &option_flag, FIELD(verify), 0, 0, NULL,
     .help = "every message once, in order, undamaged"},
    {"spin", &option_flag, FIELD(spin), 0, 0, NULL,
     .help = "never sleep: the least latency of the generator"},

    HEADING("Connections and channels"),
    {"connections", &number_kind, FIELD(connections), 1, 1000000, "N",
     .help = "for connection-count; side by side for a churn, or requests"},
    {"channels", &number_kind, FIELD(channels), 0, 65535, "N", .help = "on each connection"},

    HEADING("Report"),
    {"interval", &seconds_kind, FIELD(interval_s), 0, 0, "SECONDS",
     .help = "between two lines of progress"},
    {"quiet", &option_flag, FIELD(quiet), 0, 0, NULL, .help = "no progress"},
    {"json", &option_flag, FIELD(json), 0, 0, NULL, .help = "the result as JSON"},
    {"histogram", &text_kind, FIELD(histogram_path), 0, 0, "FILE",
     .help = "write all latencies there"},
    {"version", &option_flag, FIELD(version), 0, 0, NULL, .help = "print the version"},
    {"help", &option_flag, FIELD(help), 0, 0, NULL, .help = "print this text"},
};

static const struct option_table table = {rows, sizeof(rows) / sizeof(rows[0]), NULL, 32};

/* ---- the command line ---- */

static void set_defaults(struct options *options)
{
    *options = (struct options){
        .tls_verify = true,
        .frame_max = 131072,
        .timeout_ms = 30000,
        .producers = 1,
        .consumers = 1,
        .queues = 1,
        .connections = 1,
        .channels = 1,
        .threads = 1,
        .hold_s = 5,
        .linger_s = 5,
        .queue_pattern = "leveretperf-%d",
        .exchange = "",
        .keys = 1,
        .size_min = 16,
        .size_max = 16,
        .interval_s = 1,
    };
    uri_read("amqp://", &options->uri);
}

static bool wrong(char *error, size_t error_size, const char *what)
{
    snprintf(error, error_size, "%s", what);
    return false;
}

/* What one option asks of another. */
static bool judge(struct options *options, char *error, size_t error_size)
{
    uint64_t stamp = options->mode == MODE_LATENCY ? STAMP_SIZE : options->verify ? 8 : 0;
    if (options->mode == MODE_LATENCY && options->schedule.count == 0)
        return wrong(error, error_size, "latency needs a --rate to hold");
    if (options->mode == MODE_LATENCY && (options->producers == 0 || options->consumers == 0))
        return wrong(error, error_size, "latency needs producers and consumers");
    if (options->size_min < stamp)
        return wrong(error, error_size,
                     "the body is too small: --verify needs 8 bytes, and latency 16");
    if (options->prefetch && options->ack_every > options->prefetch)
        return wrong(error, error_size, "--ack-every beyond --prefetch would wait for ever");
    if ((options->prefetch || options->reject) && options->ack_every == 0)
        options->ack_every = 1;
    if (options->mode == MODE_REQUEST_REPLY && options->size_min < options->size_max)
        return wrong(error, error_size, "request-reply needs one --size for all");
    if (options->queues == 0 && options->consumers > 0 && options->mode <= MODE_BACKLOG)
        return wrong(error, error_size, "consumers need --queues");
    if (options->mode <= MODE_LATENCY && options->producers + options->consumers == 0)
        return wrong(error, error_size, "neither producers nor consumers are left");
    if ((uint64_t)options->queues * options->producers > (1 << 24) && options->verify)
        return wrong(error, error_size, "too many queues times producers for --verify");
    if (options->queues > 1 && !strstr(options->queue_pattern, "%d"))
        return wrong(error, error_size, "--queue-pattern needs a %d for more than one queue");
    if (options->exchange_type && !*options->exchange)
        return wrong(error, error_size, "--exchange-type needs an --exchange");
    return true;
}

/* One after the other for each level; all are of one size. */
static bool build_properties(struct options *options, char *error, size_t error_size)
{
    for (uint32_t level = 0; level < options_levels(options); level++) {
        uint8_t priority = (uint8_t)level;
        if (!properties_build(options->properties_text, buffer_bytes(&options->headers_memory),
                              options->persistent, options->priorities ? &priority : NULL,
                              &options->properties_memory, error, error_size))
            return false;
    }
    return true;
}

struct bytes options_properties(const struct options *options, uint32_t level)
{
    struct bytes all = buffer_bytes(&options->properties_memory);
    size_t size = all.size / options_levels(options);
    return bytes_of(all.data + level * size, size);
}

bool options_read(struct options *options, int count, char **arguments, char *error,
                  size_t error_size)
{
    set_defaults(options);
    int has_mode = count > 1 && mode_read(arguments[1], &options->mode);
    if (!options_read_arguments(&table, options, count - has_mode, arguments + has_mode, error,
                                error_size))
        return false;
    if (!build_properties(options, error, error_size))
        return false;
    options->queue_arguments = buffer_bytes(&options->queue_arguments_memory);
    options->binding_arguments = buffer_bytes(&options->binding_arguments_memory);
    options->consume_arguments = buffer_bytes(&options->consume_arguments_memory);
    options->durable = options->durable || options->persistent;
    if (options->count == 0 && options->seconds <= 0)
        options->seconds = 10;
    return judge(options, error, error_size);
}

void options_free(struct options *options)
{
    buffer_free(&options->queue_arguments_memory);
    buffer_free(&options->binding_arguments_memory);
    buffer_free(&options->consume_arguments_memory);
    buffer_free(&options->headers_memory);
    buffer_free(&options->properties_memory);
}

void options_print_help(FILE *out)
{
    fprintf(out, "Usage: leveretperf [MODE] [OPTION]...\n\nPuts load on an AMQP 0-9-1 broker, and "
                 "measures it.\n\nModes:");
    for (unsigned i = 0; i < MODES; i++)
        fprintf(out, "%s%s", i % 5 == 0 ? "\n  " : " ", modes[i]);
    fputc('\n', out);
    options_print(&table, out);
}
