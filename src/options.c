/* Options as a table: each row names an option, the field it sets, and what that may be. The help
 * text and the defaults in it come from the same rows. */
#include "options.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "machine.h"

enum kind {
    KIND_HEADING, /* of the help text; no option */
    KIND_FLAG,
    KIND_TEXT,
    KIND_LISTEN,
    KIND_LISTEN_TLS,
    KIND_TLS_VERSION,
    KIND_LEVEL,
    KIND_MEMORY,
    KIND_NUMBER,
    KIND_SIZE,
    KIND_POWER, /* a number that is a power of two */
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
#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)

enum { IO_THREADS_MAX = 16 };

static const struct row rows[] = {
    HEADING("Service"),
    {"data-dir", KIND_TEXT, FIELD(data_dir), 0, 0, "DIR", "where messages are kept"},
    {"listen", KIND_LISTEN, 0, 0, 0, 0, "ADDRESS:PORT",
     "where to listen; may be repeated; port 0: any free one"},
    {"listen-tls", KIND_LISTEN_TLS, 0, 0, 0, 0, "ADDRESS:PORT",
     "the same with TLS; usually at port 5671"},
    {"log-level", KIND_LEVEL, 0, 0, 0, 0, "LEVEL", "debug, info, warning or error"},
    {"slow-turn-ms", KIND_NUMBER, FIELD(slow_turn_ms), 0, 3600000, "MS",
     "log turns that take longer; 0: none"},
    {"check-store", KIND_TEXT, FIELD(check_store), 0, 0, "DIR",
     "print and verify what a store holds, and change nothing"},
    {"version", KIND_FLAG, FIELD(version), 0, 0, NULL, "print the version"},
    {"help", KIND_FLAG, FIELD(help), 0, 0, NULL, "print this text"},
    HEADING("Clients"),
    {"frame-max", KIND_SIZE, FIELD(server.frame_max), 8192, 16 * MIB, "SIZE",
     "largest frame to agree on"},
    {"channel-max", KIND_NUMBER, FIELD(server.channel_max), 1, 65535, "N",
     "most channels of a connection"},
    {"heartbeat", KIND_NUMBER, FIELD(server.heartbeat_s), 0, 65535, "SECONDS",
     "suggested heartbeat; 0: none"},
    {"handshake-ms", KIND_NUMBER, FIELD(server.handshake_ms), 1, 3600000, "MS",
     "time for a new connection to log in"},
    {"auth-delay-ms", KIND_NUMBER, FIELD(server.auth_delay_ms), 0, 60000, "MS",
     "how long the socket of a refused login is kept"},
    {"max-message-size", KIND_SIZE, FIELD(server.message_bytes_max), 1, 512 * MIB, "SIZE",
     "largest message"},
    {"output-bytes", KIND_SIZE, FIELD(server.output_bytes_max), 4096, GIB, "SIZE",
     "unsent output of a connection beyond which deliveries wait"},
    {"product", KIND_TEXT, FIELD(server.product), 0, 0, "NAME",
     "what clients are told they speak to"},
    {"product-version", KIND_TEXT, FIELD(server.product_version), 0, 0, "VERSION",
     "and in which version"},
    {"allow-anonymous", KIND_FLAG, FIELD(server.allow_anonymous), 0, 0, NULL,
     "let clients in without a name"},
    {"guest-anywhere", KIND_FLAG, FIELD(server.guest_anywhere), 0, 0, NULL,
     "let guest in from other machines, too"},
    HEADING("TLS"),
    {"tls-cert", KIND_TEXT, FIELD(tls.certificate), 0, 0, "FILE",
     "certificate, and those up to the authority, in PEM"},
    {"tls-key", KIND_TEXT, FIELD(tls.key), 0, 0, "FILE", "its private key, in PEM"},
    {"tls-verify-peer", KIND_FLAG, FIELD(tls.verify_peer), 0, 0, NULL,
     "let only clients in that have a certificate"},
    {"tls-peer-optional", KIND_FLAG, FIELD(tls.peer_optional), 0, 0, NULL,
     "and those that have none at all"},
    {"tls-ca", KIND_TEXT, FIELD(tls.authorities), 0, 0, "FILE",
     "authorities of clients' certificates, in PEM"},
    {"tls-min-version", KIND_TLS_VERSION, 0, 0, 0, 0, "VERSION", "1.2 or 1.3"},
    HEADING("Limits"),
    {"io-threads", KIND_NUMBER, FIELD(io_threads), 0, IO_THREADS_MAX, "N",
     "threads that receive and send where it is much"},
    {"memory-limit", KIND_MEMORY, 0, 0, 0, 0, "SIZE|PERCENT",
     "memory above which publishers wait; 0: none"},
    {"disk-reserve", KIND_SIZE, FIELD(store.disk_reserve_bytes), 0, UINT64_MAX, "SIZE",
     "free disk space below which publishers wait"},
    HEADING("Store, for tests and tuning"),
    {"segment-size", KIND_SIZE, FIELD(store.segment_bytes), 4096, GIB, "SIZE",
     "size of a journal file"},
    {"chunk-entries", KIND_POWER, FIELD(store.chunk_entries), 2, 65536, "N",
     "messages in a piece of a queue's index"},
    {"cache-size", KIND_SIZE, FIELD(store.cache_bytes), 0, UINT64_MAX, "SIZE",
     "index kept in memory"},
    {"bodies-burst", KIND_SIZE, FIELD(store.bodies_burst_bytes), 0, UINT64_MAX, "SIZE",
     "messages kept in memory at most"},
    {"bodies-idle", KIND_SIZE, FIELD(store.bodies_idle_bytes), 0, UINT64_MAX, "SIZE",
     "messages kept in memory when nobody has taken them for a second"},
    {"checkpoint-bytes", KIND_SIZE, FIELD(store.checkpoint_bytes), 1, UINT64_MAX, "SIZE",
     "journal between two checkpoints"},
    {"checkpoint-ms", KIND_NUMBER, FIELD(store.checkpoint_ms), 1, UINT64_MAX, "MS",
     "time between two checkpoints"},
    {"batch-size", KIND_SIZE, FIELD(store.batch_bytes), 4096, GIB, "SIZE",
     "what is written at once, at most"},
    {"sync-ms", KIND_NUMBER, FIELD(store.sync_ms), 0, 60000, "MS",
     "longest time that what nobody waits for stays unsynced"},
    {"recycle-segments", KIND_NUMBER, FIELD(store.recycle_segments), 0, 64, "N",
     "journal files kept for reuse"},
    {"mark-step", KIND_NUMBER, FIELD(store.mark_step), 2, 1 << 30, "N",
     "deliveries recorded ahead"},
};

enum { ROWS = sizeof(rows) / sizeof(rows[0]), DEFAULT_MEMORY_PERCENT = 60, SLOW_TURN_MS = 50 };

/* ---- values ---- */

/* Digits alone; *end is what follows them. */
static bool read_digits(const char *text, uint64_t *number, const char **end)
{
    *number = 0;
    *end = text;
    for (; **end >= '0' && **end <= '9'; (*end)++) {
        uint64_t digit = (uint64_t)(**end - '0');
        if (*number > (UINT64_MAX - digit) / 10)
            return false;
        *number = *number * 10 + digit;
    }
    return *end != text;
}

static bool number_read(const char *text, uint64_t *number)
{
    const char *end;
    return read_digits(text, number, &end) && *end == '\0';
}

/* What a suffix multiplies by; 0: it is none. */
static uint64_t suffix_factor(const char *suffix)
{
    static const char letters[] = "kmgt";
    if (*suffix == '\0' || strcmp(suffix, "B") == 0)
        return 1;
    const char *letter = strchr(letters, *suffix | 0x20);
    if (!letter)
        return 0;
    const char *rest = suffix + 1;
    uint64_t step = strcmp(rest, "B") == 0 ? 1000 : 1024;
    if (*rest != '\0' && strcmp(rest, "B") != 0 && strcmp(rest, "i") != 0 &&
        strcmp(rest, "iB") != 0)
        return 0;
    uint64_t factor = step;
    for (const char *at = letters; at < letter; at++)
        factor *= step;
    return factor;
}

bool size_read(const char *text, uint64_t *bytes)
{
    const char *end;
    if (!read_digits(text, bytes, &end))
        return false;
    uint64_t factor = suffix_factor(end);
    if (factor == 0 || *bytes > UINT64_MAX / factor)
        return false;
    *bytes *= factor;
    return true;
}

static bool memory_read(const char *text, struct memory_limit *limit)
{
    const char *end;
    uint64_t percent;
    limit->percent = 0;
    if (!read_digits(text, &percent, &end) || strcmp(end, "%") != 0)
        return size_read(text, &limit->bytes);
    limit->percent = (uint32_t)percent;
    return percent >= 1 && percent <= 100;
}

/* The largest number that the field holds. */
static uint64_t width_max(size_t width)
{
    return width >= 8 ? UINT64_MAX : ((uint64_t)1 << (8 * width)) - 1;
}

static void put_number(void *field, size_t width, uint64_t number)
{
    uint16_t small = (uint16_t)number;
    uint32_t middle = (uint32_t)number;
    assert(width == 2 || width == 4 || width == 8);
    if (width == 2)
        memcpy(field, &small, width);
    else if (width == 4)
        memcpy(field, &middle, width);
    else
        memcpy(field, &number, width);
}

static uint64_t get_number(const void *field, size_t width)
{
    uint16_t small;
    uint32_t middle;
    uint64_t large;
    if (width == 2)
        return memcpy(&small, field, width), small;
    if (width == 4)
        return memcpy(&middle, field, width), middle;
    return memcpy(&large, field, width), large;
}

static bool set_number(const struct row *row, void *field, const char *text)
{
    uint64_t number;
    bool read = row->kind == KIND_SIZE ? size_read(text, &number) : number_read(text, &number);
    if (!read || number < row->min || number > row->max || number > width_max(row->width))
        return false;
    if (row->kind == KIND_POWER && (number & (number - 1)) != 0)
        return false;
    put_number(field, row->width, number);
    return true;
}

static bool version_read(const char *text, enum tls_version *version)
{
    *version = strcmp(text, "1.3") == 0 ? TLS_VERSION_1_3 : TLS_VERSION_1_2;
    return *version == TLS_VERSION_1_3 || strcmp(text, "1.2") == 0;
}

static bool add_address(const char **addresses, size_t *count, const char *text)
{
    if (*count == OPTIONS_LISTEN_MAX)
        return false;
    addresses[(*count)++] = text;
    return true;
}

/* ---- the command line ---- */

static bool set_value(struct options *options, const struct row *row, const char *text)
{
    void *field = (char *)options + row->offset;
    switch (row->kind) {
    case KIND_TEXT:
        memcpy(field, &text, sizeof(text));
        return *text != '\0';
    case KIND_LISTEN:
        return add_address(options->listen, &options->listen_count, text);
    case KIND_LISTEN_TLS:
        return add_address(options->listen_tls, &options->listen_tls_count, text);
    case KIND_TLS_VERSION:
        return version_read(text, &options->tls.min_version);
    case KIND_LEVEL:
        return log_level_read(text, &options->log_level);
    case KIND_MEMORY:
        return memory_read(text, &options->memory);
    default:
        return set_number(row, field, text);
    }
}

/* The row of an option; `size` is that of the name alone. */
static const struct row *find_row(const char *name, size_t size)
{
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].name && strlen(rows[i].name) == size && memcmp(rows[i].name, name, size) == 0)
            return &rows[i];
    return NULL;
}

/* Describes what a row takes, for an error text. */
static void describe(const struct row *row, char *text, size_t size)
{
    const char *what = row->kind == KIND_SIZE    ? "a size, as 64K or 1GiB,"
                       : row->kind == KIND_POWER ? "a power of two"
                                                 : "a number";
    if (row->kind == KIND_LEVEL)
        snprintf(text, size, "one of debug, info, warning, error");
    else if (row->kind == KIND_MEMORY)
        snprintf(text, size, "a size, as 2GiB, or a share from 1%% to 100%%");
    else if (row->kind == KIND_TLS_VERSION)
        snprintf(text, size, "1.2 or 1.3");
    else if (row->kind == KIND_LISTEN || row->kind == KIND_LISTEN_TLS)
        snprintf(text, size, "given at most %d times", OPTIONS_LISTEN_MAX);
    else if (row->kind == KIND_TEXT)
        snprintf(text, size, "a path");
    else
        snprintf(text, size, "%s from %" PRIu64 " to %" PRIu64, what, row->min,
                 row->max < width_max(row->width) ? row->max : width_max(row->width));
}

/* With two processors the clients' side of the machine has use for all that the owner leaves. */
static uint32_t io_threads_for(unsigned processors)
{
    unsigned threads = processors > 2 ? processors / 2 : 0;
    return threads < 4 ? threads : 4;
}

static void set_defaults(struct options *options)
{
    memset(options, 0, sizeof(*options));
    options->log_level = LOG_LEVEL_INFO;
    options->memory.percent = DEFAULT_MEMORY_PERCENT;
    options->slow_turn_ms = SLOW_TURN_MS;
    options->io_threads = io_threads_for(machine_processors());
    server_options_default(&options->server);
    store_options_default(&options->store);
}

/* Reads the option at *at, and its value; moves *at on. */
static bool read_one(struct options *options, int count, char **arguments, int *at, char *error,
                     size_t error_size)
{
    const char *argument = arguments[(*at)++];
    if (strncmp(argument, "--", 2) != 0) {
        snprintf(error, error_size, "unexpected argument '%s'", argument);
        return false;
    }
    const char *equals = strchr(argument, '=');
    size_t size = equals ? (size_t)(equals - argument) - 2 : strlen(argument) - 2;
    const struct row *row = find_row(argument + 2, size);
    if (!row) {
        snprintf(error, error_size, "unknown option '%s'", argument);
        return false;
    }
    if (row->kind == KIND_FLAG) {
        if (equals)
            snprintf(error, error_size, "--%s takes no value", row->name);
        *((bool *)(void *)((char *)options + row->offset)) = true;
        return !equals;
    }
    if (!equals && *at == count) {
        snprintf(error, error_size, "--%s needs a value: %s", row->name, row->argument);
        return false;
    }
    const char *value = equals ? equals + 1 : arguments[(*at)++];
    if (set_value(options, row, value))
        return true;
    char wanted[128];
    describe(row, wanted, sizeof(wanted));
    snprintf(error, error_size, "--%s must be %s, and not '%s'", row->name, wanted, value);
    return false;
}

bool options_read(struct options *options, int count, char **arguments, char *error,
                  size_t error_size)
{
    set_defaults(options);
    int at = 1;
    while (at < count)
        if (!read_one(options, count, arguments, &at, error, error_size))
            return false;
    return true;
}

/* ---- help ---- */

static void write_size(uint64_t size, char *text, size_t text_size)
{
    static const char *const units[] = {"", " KiB", " MiB", " GiB"};
    size_t unit = 0;
    while (size != 0 && size % 1024 == 0 && unit < 3) {
        size /= 1024;
        unit++;
    }
    snprintf(text, text_size, "%" PRIu64 "%s", size, units[unit]);
}

static void write_default(const struct options *defaults, const struct row *row, char *text,
                          size_t size)
{
    text[0] = '\0';
    const char *field = (const char *)defaults + row->offset;
    if (row->kind == KIND_SIZE)
        write_size(get_number(field, row->width), text, size);
    else if (row->kind == KIND_NUMBER || row->kind == KIND_POWER)
        snprintf(text, size, "%" PRIu64, get_number(field, row->width));
    else if (row->kind == KIND_MEMORY)
        snprintf(text, size, "%u%%", defaults->memory.percent);
    else if (row->kind == KIND_LEVEL)
        snprintf(text, size, "%s", log_level_name(defaults->log_level));
    else if (row->kind == KIND_LISTEN)
        snprintf(text, size, "0.0.0.0:5672 and [::]:5672");
    else if (row->kind == KIND_TLS_VERSION)
        snprintf(text, size, "1.2");
}

void options_print_help(FILE *out)
{
    struct options defaults;
    set_defaults(&defaults);
    fprintf(out, "Usage: leveretd [OPTION]...\n\nAn AMQP 0-9-1 broker. It stays in the foreground, "
                 "and logs to the standard error.\n");
    for (size_t i = 0; i < ROWS; i++) {
        const struct row *row = &rows[i];
        if (row->kind == KIND_HEADING) {
            fprintf(out, "\n%s:\n", row->help);
            continue;
        }
        char left[64];
        char value[64];
        snprintf(left, sizeof(left), "--%s%s%s", row->name, row->argument ? " " : "",
                 row->argument ? row->argument : "");
        write_default(&defaults, row, value, sizeof(value));
        fprintf(out, "  %-27s %s%s%s%s\n", left, row->help, value[0] ? " (" : "", value,
                value[0] ? ")" : "");
    }
}
