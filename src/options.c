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
    {"listen", KIND_LISTEN, 0, 0, 0, 0, "[HOST:]PORT",
     "where to listen; may be repeated; port 0: any free one"},
    {"listen-tls", KIND_LISTEN_TLS, 0, 0, 0, 0, "[HOST:]PORT",
     "the same with TLS; usually at port 5671"},
    {"log-level", KIND_LEVEL, 0, 0, 0, 0, "LEVEL", "debug, info, warning or error"},
    {"slow-turn-ms", KIND_NUMBER, FIELD(slow_turn_ms), 0, 3600000, "MS",
     "log turns that take so long or longer; 0: none"},
    {"check-store", KIND_TEXT, FIELD(check_store), 0, 0, "DIR",
     "print and verify what a store holds, and change nothing"},
    {"salvage", KIND_FLAG, FIELD(salvage), 0, 0, NULL,
     "make a store of what is sound in a damaged one, and end"},
    {"version", KIND_FLAG, FIELD(version), 0, 0, NULL, "print the version; also -V"},
    {"help", KIND_FLAG, FIELD(help), 0, 0, NULL, "print this text; also -h"},
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
     "free disk space below which publishers wait; an eighth of a small disk"},
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
enum { NAME_MAX_BYTES = 63, MEMORY_BYTES_MIN = 64 << 10 };

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

/* A few bytes are never meant; what is, most likely, is a share. */
static bool memory_read(const char *text, struct memory_limit *limit, const char **why)
{
    const char *end;
    uint64_t percent;
    limit->percent = 0;
    if (read_digits(text, &percent, &end) && strcmp(end, "%") == 0) {
        limit->percent = (uint32_t)percent;
        return percent >= 1 && percent <= 100;
    }
    if (!size_read(text, &limit->bytes))
        return false;
    if (limit->bytes == 0 || limit->bytes >= MEMORY_BYTES_MIN)
        return true;
    *why = "that is so many bytes; a share has a % behind it";
    return false;
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

static bool add_address(const char **addresses, size_t *count, const char *text, const char **why)
{
    struct endpoint endpoint;
    *why = *count < OPTIONS_LISTEN_MAX ? endpoint_read(text, 0, &endpoint) : "there are too many";
    if (*why)
        return false;
    addresses[(*count)++] = text;
    return true;
}

/* False: the value is not allowed; *why may say more than what is. */
static bool set_value(struct options *options, const struct row *row, const char *text,
                      const char **why)
{
    void *field = (char *)options + row->offset;
    switch (row->kind) {
    case KIND_TEXT:
        memcpy(field, &text, sizeof(text));
        return *text != '\0';
    case KIND_LISTEN:
        return add_address(options->listen, &options->listen_count, text, why);
    case KIND_LISTEN_TLS:
        return add_address(options->listen_tls, &options->listen_tls_count, text, why);
    case KIND_TLS_VERSION:
        return version_read(text, &options->tls.min_version);
    case KIND_LEVEL:
        return log_level_read(text, &options->log_level);
    case KIND_MEMORY:
        return memory_read(text, &options->memory, why);
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

/* ---- errors ---- */

static void write_size(uint64_t size, char *text, size_t text_size)
{
    static const char *const units[] = {"", "KiB", "MiB", "GiB"};
    size_t unit = 0;
    while (size != 0 && size % 1024 == 0 && unit < 3) {
        size /= 1024;
        unit++;
    }
    snprintf(text, text_size, "%" PRIu64 "%s", size, units[unit]);
}

static void write_number(const struct row *row, uint64_t number, char *text, size_t text_size)
{
    if (row->kind == KIND_SIZE)
        write_size(number, text, text_size);
    else
        snprintf(text, text_size, "%" PRIu64, number);
}

static void write_text(const void *field, char *text, size_t size)
{
    const char *value;
    memcpy(&value, field, sizeof(value));
    snprintf(text, size, "%s", value ? value : "");
}

static void write_default(const struct options *defaults, const struct row *row, char *text,
                          size_t size)
{
    text[0] = '\0';
    const char *field = (const char *)defaults + row->offset;
    if (row->kind == KIND_SIZE)
        write_size(get_number(field, row->width), text, size);
    else if (row->kind == KIND_TEXT)
        write_text(field, text, size);
    else if (row->kind == KIND_NUMBER || row->kind == KIND_POWER)
        snprintf(text, size, "%" PRIu64, get_number(field, row->width));
    else if (row->kind == KIND_MEMORY)
        snprintf(text, size, "%u%%", defaults->memory.percent);
    else if (row->kind == KIND_LEVEL)
        snprintf(text, size, "%s", log_level_name(defaults->log_level));
    else if (row->kind == KIND_LISTEN)
        snprintf(text, size, "5672, everywhere");
    else if (row->kind == KIND_TLS_VERSION)
        snprintf(text, size, "1.2");
}

static void describe_number(const struct row *row, char *text, size_t size)
{
    const char *what = row->kind == KIND_SIZE    ? "a size"
                       : row->kind == KIND_POWER ? "a power of two"
                                                 : "a number";
    uint64_t max = row->max < width_max(row->width) ? row->max : width_max(row->width);
    char first[32], last[32];
    write_number(row, row->min, first, sizeof(first));
    write_number(row, max, last, sizeof(last));
    if (max == UINT64_MAX)
        snprintf(text, size, "%s from %s on", what, first);
    else
        snprintf(text, size, "%s from %s to %s", what, first, last);
}

static bool is_path(const struct row *row)
{
    return row->kind == KIND_TEXT &&
           (strcmp(row->argument, "DIR") == 0 || strcmp(row->argument, "FILE") == 0);
}

/* Describes what a row takes, for an error text. */
static void describe(const struct row *row, char *text, size_t size)
{
    if (row->kind == KIND_LEVEL)
        snprintf(text, size, "one of debug, info, warning, error");
    else if (row->kind == KIND_MEMORY)
        snprintf(text, size, "a share from 1%% to 100%%, a size from 64KiB on, or 0 for no limit");
    else if (row->kind == KIND_TLS_VERSION)
        snprintf(text, size, "1.2 or 1.3");
    else if (row->kind == KIND_LISTEN || row->kind == KIND_LISTEN_TLS)
        snprintf(text, size, "[HOST:]PORT, at most %d times", OPTIONS_LISTEN_MAX);
    else if (row->kind == KIND_TEXT)
        snprintf(text, size, is_path(row) ? "a path" : "a text");
    else
        describe_number(row, text, size);
}

/* A value that is allowed; nothing when the description has them all. */
static void write_example(const struct row *row, char *text, size_t size)
{
    struct options defaults;
    set_defaults(&defaults);
    text[0] = '\0';
    if (row->kind == KIND_LISTEN)
        snprintf(text, size, "127.0.0.1:5672");
    else if (row->kind == KIND_LISTEN_TLS)
        snprintf(text, size, "0.0.0.0:5671");
    else if (is_path(row))
        snprintf(text, size,
                 strcmp(row->argument, "DIR") == 0 ? "/var/lib/leveret"
                                                   : "/etc/leveret/broker.pem");
    else if (row->kind != KIND_LEVEL && row->kind != KIND_TLS_VERSION)
        write_default(&defaults, row, text, size);
}

/* `text` gets "; for example --NAME VALUE", or nothing. */
static void put_example(const struct row *row, char *text, size_t size)
{
    char value[64];
    write_example(row, value, sizeof(value));
    text[0] = '\0';
    if (value[0])
        snprintf(text, size, "; for example --%s %s", row->name, value);
}

static bool refuse_value(const struct row *row, const char *value, const char *why, char *error,
                         size_t error_size)
{
    char wanted[128], example[128];
    describe(row, wanted, sizeof(wanted));
    put_example(row, example, sizeof(example));
    snprintf(error, error_size, "--%s must be %s, and not '%s'%s%s%s", row->name, wanted, value,
             why ? ": " : "", why ? why : "", example);
    return false;
}

/* How many letters have to be changed, added or taken to make one of the other; `b` is short. */
static size_t distance(const char *a, size_t a_size, const char *b)
{
    size_t costs[NAME_MAX_BYTES + 1];
    size_t b_size = strlen(b);
    assert(b_size <= NAME_MAX_BYTES);
    for (size_t j = 0; j <= b_size; j++)
        costs[j] = j;
    for (size_t i = 1; i <= a_size; i++) {
        size_t before = costs[0];
        costs[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            size_t cost = before + (a[i - 1] != b[j - 1]);
            before = costs[j];
            if (costs[j] + 1 < cost)
                cost = costs[j] + 1;
            if (costs[j - 1] + 1 < cost)
                cost = costs[j - 1] + 1;
            costs[j] = cost;
        }
    }
    return costs[b_size];
}

static bool refuse_unknown(const char *argument, size_t size, char *error, size_t error_size)
{
    const struct row *best = NULL;
    size_t nearest = size / 3 + 1;
    for (size_t i = 0; i < ROWS; i++) {
        size_t far = rows[i].name ? distance(argument + 2, size, rows[i].name) : nearest;
        if (far < nearest) {
            nearest = far;
            best = &rows[i];
        }
    }
    snprintf(error, error_size, "unknown option '%s'%s%s%s", argument,
             best ? "; did you mean --" : "", best ? best->name : "", best ? "?" : "");
    return false;
}

/* ---- the command line ---- */

/* Reads the option at *at, and its value; moves *at on. */
static bool read_one(struct options *options, int count, char **arguments, int *at, char *error,
                     size_t error_size)
{
    const char *argument = arguments[(*at)++];
    if (strcmp(argument, "-h") == 0)
        argument = "--help";
    else if (strcmp(argument, "-V") == 0)
        argument = "--version";
    if (strncmp(argument, "--", 2) != 0) {
        snprintf(error, error_size, "unexpected argument '%s'; options begin with --", argument);
        return false;
    }
    const char *equals = strchr(argument, '=');
    size_t size = equals ? (size_t)(equals - argument) - 2 : strlen(argument) - 2;
    const struct row *row = find_row(argument + 2, size);
    if (!row)
        return refuse_unknown(argument, size, error, error_size);
    if (row->kind == KIND_FLAG) {
        if (equals)
            snprintf(error, error_size, "--%s takes no value", row->name);
        *((bool *)(void *)((char *)options + row->offset)) = true;
        return !equals;
    }
    if (!equals && *at == count) {
        char example[128];
        put_example(row, example, sizeof(example));
        snprintf(error, error_size, "--%s needs a value: %s%s", row->name, row->argument, example);
        return false;
    }
    const char *value = equals ? equals + 1 : arguments[(*at)++];
    const char *why = NULL;
    return set_value(options, row, value, &why) || refuse_value(row, value, why, error, error_size);
}

bool options_read(struct options *options, int count, char **arguments, char *error,
                  size_t error_size)
{
    set_defaults(options);
    int at = 1;
    while (at < count)
        if (!read_one(options, count, arguments, &at, error, error_size))
            return false;
    if (options->check_store && options->salvage) {
        snprintf(error, error_size,
                 "--check-store changes nothing, and --salvage does: give one of them");
        return false;
    }
    return true;
}

/* ---- help ---- */

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
