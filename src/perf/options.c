/* The command line as a table: each row names an option, the field it sets, and what that may be.
 * The help text comes from the same rows. */
#include "perf/options.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "perf/arguments.h"
#include "perf/stamp.h"

enum kind {
    KIND_HEADING, /* of the help text; no option */
    KIND_FLAG,
    KIND_NO, /* takes a flag away */
    KIND_TEXT,
    KIND_NUMBER,
    KIND_SECONDS,
    KIND_SIZES,
    KIND_URI,
    KIND_RATE,
    KIND_TABLE,
    KIND_PROPERTIES,
    KIND_HEADER,
};

struct row {
    const char *name;
    enum kind kind;
    size_t offset;
    size_t width; /* of the field, in bytes */
    uint64_t min, max;
    const char *argument;
    const char *help;
};

#define HEADING(text)                                                                              \
    {                                                                                              \
        NULL, KIND_HEADING, 0, 0, 0, 0, NULL, text                                                 \
    }
#define FIELD(field) offsetof(struct options, field), sizeof(((struct options *)0)->field)
#define NOWHERE 0, 0

static const struct row rows[] = {
    HEADING("Broker"),
    {"uri", KIND_URI, FIELD(uri), 0, 0, "URI", "amqp[s]://user:password@host:port/vhost"},
    {"broker-pid", KIND_NUMBER, FIELD(broker_pid), 1, INT32_MAX, "PID",
     "measure this process's CPU time and memory"},
    {"tls-ca", KIND_TEXT, FIELD(tls_ca), 0, 0, "FILE", "authorities to trust as well"},
    {"tls-insecure", KIND_NO, FIELD(tls_verify), 0, 0, NULL, "take any certificate"},
    {"frame-max", KIND_NUMBER, FIELD(frame_max), 4096, 131072, "BYTES",
     "largest frame to agree on"},
    {"heartbeat", KIND_NUMBER, FIELD(heartbeat_s), 0, 65535, "SECONDS", "to ask for; 0: none"},
    {"timeout-ms", KIND_NUMBER, FIELD(timeout_ms), 1, 3600000, "MS",
     "for an answer while setting up"},
    {"reconnect", KIND_FLAG, FIELD(reconnect), 0, 0, NULL,
     "connect again when a connection is lost"},

    HEADING("How much, how long"),
    {"count", KIND_NUMBER, FIELD(count), 1, (uint64_t)1 << 47, "N",
     "messages in all, or rounds of a churn"},
    {"duration", KIND_SECONDS, FIELD(seconds), 0, 0, "SECONDS", "how long to publish or churn"},
    {"rate", KIND_RATE, FIELD(schedule), 0, 0, "RATE[:SECONDS,...]",
     "messages a second in all; or rates that take turns"},
    {"warmup", KIND_SECONDS, FIELD(warmup_s), 0, 0, "SECONDS", "not counted among the latencies"},
    {"hold", KIND_SECONDS, FIELD(hold_s), 0, 0, "SECONDS",
     "rest before memory is read, or a backlog drained"},
    {"linger", KIND_SECONDS, FIELD(linger_s), 0, 0, "SECONDS",
     "silence after which messages count as missing"},
    {"threads", KIND_NUMBER, FIELD(threads), 1, 256, "N", "of the generator"},

    HEADING("Producers"),
    {"producers", KIND_NUMBER, FIELD(producers), 0, 65535, "N", "connections that publish"},
    {"size", KIND_SIZES, NOWHERE, 0, 0, "BYTES[-BYTES]", "of a body, fixed or in a range"},
    {"persistent", KIND_FLAG, FIELD(persistent), 0, 0, NULL,
     "delivery mode 2, in queues that are durable"},
    {"confirm", KIND_NUMBER, FIELD(confirm), 1, 1 << 20, "N",
     "ask for confirms; at most N are outstanding"},
    {"mandatory", KIND_FLAG, FIELD(mandatory), 0, 0, NULL, "return what reaches no queue"},
    {"exchange", KIND_TEXT, FIELD(exchange), 0, 0, "NAME", "to publish to"},
    {"exchange-type", KIND_TEXT, FIELD(exchange_type), 0, 0, "TYPE",
     "declare the exchange, and bind the queues"},
    {"routing-key", KIND_TEXT, FIELD(routing_key), 0, 0, "PATTERN",
     "%q queue, %p producer, %m message modulo --keys"},
    {"keys", KIND_NUMBER, FIELD(keys), 1, 65536, "N", "different routing keys by %m"},
    {"properties", KIND_PROPERTIES, NOWHERE, 0, 0, "TEXT",
     "as 'content-type=text/plain priority=5'"},
    {"header", KIND_HEADER, NOWHERE, 0, 0, "NAME=VALUE", "one header; may be repeated"},

    HEADING("Queues"),
    {"queues", KIND_NUMBER, FIELD(queues), 0, 1000000, "N", "how many"},
    {"queue-pattern", KIND_TEXT, FIELD(queue_pattern), 0, 0, "PATTERN", "names; %d is the number"},
    {"queue-from", KIND_NUMBER, FIELD(queue_from), 0, INT32_MAX, "N", "the first number"},
    {"durable", KIND_FLAG, FIELD(durable), 0, 0, NULL,
     "durable queues (--persistent has them, too)"},
    {"exclusive", KIND_FLAG, FIELD(exclusive), 0, 0, NULL,
     "exclusive queues; all on one connection (churn)"},
    {"auto-delete", KIND_FLAG, FIELD(auto_delete), 0, 0, NULL, "auto-delete queues"},
    {"queue-args", KIND_TABLE, FIELD(queue_arguments), 0, 0, "NAME=VALUE,...|{TABLE}",
     "arguments of the queues"},
    {"binding-key", KIND_TEXT, FIELD(binding_key), 0, 0, "PATTERN", "of the bindings"},
    {"binding-args", KIND_TABLE, FIELD(binding_arguments), 0, 0, "NAME=VALUE,...|{TABLE}",
     "arguments of the bindings"},
    {"passive", KIND_FLAG, FIELD(passive), 0, 0, NULL, "queues and exchange are there already"},
    {"purge", KIND_FLAG, FIELD(purge), 0, 0, NULL, "empty the queues before the start"},
    {"keep", KIND_FLAG, FIELD(keep), 0, 0, NULL, "delete nothing at the end"},

    HEADING("Consumers"),
    {"consumers", KIND_NUMBER, FIELD(consumers), 0, 65535, "N", "connections that consume"},
    {"ack-every", KIND_NUMBER, FIELD(ack_every), 0, 65535, "N",
     "acknowledge each (1), or every N; 0: automatic"},
    {"prefetch", KIND_NUMBER, FIELD(prefetch), 0, 65535, "N",
     "most unacknowledged messages; 0: any"},
    {"consume-args", KIND_TABLE, FIELD(consume_arguments), 0, 0, "NAME=VALUE,...|{TABLE}",
     "arguments of basic.consume"},
    {"verify", KIND_FLAG, FIELD(verify), 0, 0, NULL, "every message once, in order, undamaged"},
    {"spin", KIND_FLAG, FIELD(spin), 0, 0, NULL, "never sleep: the least latency of the generator"},

    HEADING("Connections and channels"),
    {"connections", KIND_NUMBER, FIELD(connections), 1, 1000000, "N",
     "for connection-count; side by side for a churn"},
    {"channels", KIND_NUMBER, FIELD(channels), 0, 65535, "N", "on each connection"},

    HEADING("Report"),
    {"interval", KIND_SECONDS, FIELD(interval_s), 0, 0, "SECONDS", "between two lines of progress"},
    {"quiet", KIND_FLAG, FIELD(quiet), 0, 0, NULL, "no progress"},
    {"json", KIND_FLAG, FIELD(json), 0, 0, NULL, "the result as JSON"},
    {"histogram", KIND_TEXT, FIELD(histogram_path), 0, 0, "FILE", "write all latencies there"},
    {"version", KIND_FLAG, FIELD(version), 0, 0, NULL, "print the version"},
    {"help", KIND_FLAG, FIELD(help), 0, 0, NULL, "print this text"},
};

enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

static const char *const modes[] = {
    "throughput",    "latency",          "backlog",          "queue-churn", "bind-churn",
    "channel-churn", "connection-churn", "connection-count", "queue-count",
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

/* ---- values ---- */

/* Digits, and k, M or G for 2^10, 2^20, 2^30; *end is what follows. */
static bool read_number(const char *text, uint64_t *number, const char **end)
{
    char *rest;
    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    *number = strtoull(text, &rest, 10);
    if (errno)
        return false;
    const char *unit = *rest ? strchr("kKmMgG", *rest) : NULL;
    if (unit) {
        unsigned shift = 10 * (1 + (unsigned)(unit - "kKmMgG") / 2);
        if (*number >> (64 - shift))
            return false;
        *number <<= shift;
        rest++;
    }
    *end = rest;
    return true;
}

static bool set_number(const struct row *row, void *field, const char *text)
{
    uint64_t number;
    const char *end;
    if (!read_number(text, &number, &end) || *end || number < row->min || number > row->max)
        return false;
    uint16_t small = (uint16_t)number;
    uint32_t middle = (uint32_t)number;
    assert(row->width == 2 || row->width == 4 || row->width == 8);
    if (row->width == 2)
        memcpy(field, &small, sizeof(small));
    else if (row->width == 4)
        memcpy(field, &middle, sizeof(middle));
    else
        memcpy(field, &number, sizeof(number));
    return true;
}

static bool set_seconds(double *seconds, const char *text)
{
    char *end;
    *seconds = strtod(text, &end);
    return end != text && *end == '\0' && *seconds >= 0 && *seconds <= 1e7;
}

static bool set_sizes(struct options *options, const char *text)
{
    const char *end;
    if (!read_number(text, &options->size_min, &end))
        return false;
    options->size_max = options->size_min;
    if (*end == '-' && !read_number(end + 1, &options->size_max, &end))
        return false;
    return *end == '\0' && options->size_min <= options->size_max &&
           options->size_max <= (uint64_t)1 << 30;
}

static struct buffer *table_memory(struct options *options, const struct row *row)
{
    if (row->offset == offsetof(struct options, queue_arguments))
        return &options->queue_arguments_memory;
    if (row->offset == offsetof(struct options, binding_arguments))
        return &options->binding_arguments_memory;
    return &options->consume_arguments_memory;
}

static bool set_value(struct options *options, const struct row *row, const char *text)
{
    void *field = (char *)options + row->offset;
    switch (row->kind) {
    case KIND_TEXT:
        memcpy(field, &text, sizeof(text));
        return true;
    case KIND_SECONDS:
        return set_seconds(field, text);
    case KIND_SIZES:
        return set_sizes(options, text);
    case KIND_URI:
        return uri_read(text, field);
    case KIND_RATE:
        return schedule_read(text, field);
    case KIND_TABLE:
        return arguments_read(text, table_memory(options, row));
    case KIND_PROPERTIES:
        options->properties_text = text;
        return true;
    case KIND_HEADER:
        return arguments_read(text, &options->headers_memory);
    default:
        return set_number(row, field, text);
    }
}

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

static const struct row *find_row(const char *name, size_t size)
{
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].name && strlen(rows[i].name) == size && memcmp(rows[i].name, name, size) == 0)
            return &rows[i];
    return NULL;
}

/* Reads the option at *at, and its value; moves *at on. */
static bool read_one(struct options *options, int count, char **arguments, int *at, char *error,
                     size_t error_size)
{
    const char *argument = arguments[(*at)++];
    if (strncmp(argument, "--", 2) != 0) {
        snprintf(error, error_size, "unexpected argument '%s'", argument);
        return *at == 2 && mode_read(argument, &options->mode);
    }
    const char *equals = strchr(argument, '=');
    size_t size = equals ? (size_t)(equals - argument) - 2 : strlen(argument) - 2;
    const struct row *row = find_row(argument + 2, size);
    if (!row) {
        snprintf(error, error_size, "unknown option '%s'", argument);
        return false;
    }
    if (row->kind == KIND_FLAG || row->kind == KIND_NO) {
        snprintf(error, error_size, "--%s takes no value", row->name);
        *((bool *)(void *)((char *)options + row->offset)) = row->kind == KIND_FLAG;
        return !equals;
    }
    if (!equals && *at == count) {
        snprintf(error, error_size, "--%s needs a value: %s", row->name, row->argument);
        return false;
    }
    const char *value = equals ? equals + 1 : arguments[(*at)++];
    if (set_value(options, row, value))
        return true;
    if (row->kind == KIND_NUMBER)
        snprintf(error, error_size, "--%s must be from %" PRIu64 " to %" PRIu64 ", and not '%s'",
                 row->name, row->min, row->max, value);
    else
        snprintf(error, error_size, "--%s must be %s, and not '%s'", row->name, row->argument,
                 value);
    return false;
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
    if (options->prefetch && options->ack_every == 0)
        options->ack_every = 1;
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

bool options_read(struct options *options, int count, char **arguments, char *error,
                  size_t error_size)
{
    set_defaults(options);
    int at = 1;
    while (at < count)
        if (!read_one(options, count, arguments, &at, error, error_size))
            return false;
    if (!properties_build(options->properties_text, buffer_bytes(&options->headers_memory),
                          options->persistent, &options->properties_memory, error, error_size))
        return false;
    options->properties = buffer_bytes(&options->properties_memory);
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
    for (size_t i = 0; i < ROWS; i++) {
        const struct row *row = &rows[i];
        char left[64];
        if (row->kind == KIND_HEADING) {
            fprintf(out, "\n%s:\n", row->help);
            continue;
        }
        snprintf(left, sizeof(left), "--%s%s%s", row->name, row->argument ? " " : "",
                 row->argument ? row->argument : "");
        fprintf(out, "  %-32s %s\n", left, row->help);
    }
}
