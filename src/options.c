/* The daemon's options: a table for base/options, and the kinds of values that only it has. */
#include "options.h"

#include "base/options.h"
#include "broker/queue_arguments.h"
#include "machine.h"

enum { IO_THREADS_MAX = 16, DEFAULT_MEMORY_PERCENT = 60, SLOW_TURN_MS = 50 };
enum { MEMORY_BYTES_MIN = 64 << 10 };

/* ---- kinds ---- */

static bool add_address(const char **addresses, size_t *count, const char *text, const char **why)
{
    struct endpoint endpoint;
    *why = *count < OPTIONS_LISTEN_MAX ? endpoint_read(text, 0, &endpoint) : "there are too many";
    if (*why)
        return false;
    addresses[(*count)++] = text;
    return true;
}

static bool read_listen(const struct option *option, void *fields, const char *text,
                        const char **why)
{
    struct options *options = fields;
    (void)option;
    return add_address(options->listen, &options->listen_count, text, why);
}

static bool read_listen_tls(const struct option *option, void *fields, const char *text,
                            const char **why)
{
    struct options *options = fields;
    (void)option;
    return add_address(options->listen_tls, &options->listen_tls_count, text, why);
}

/* Of several the first. */
static void write_listen(const struct option *option, const void *fields, char *text, size_t size)
{
    const struct options *options = fields;
    (void)option;
    snprintf(text, size, "%s", options->listen_count ? options->listen[0] : "5672, everywhere");
}

static void describe_listen(const struct option *option, char *text, size_t size)
{
    (void)option;
    snprintf(text, size, "[HOST:]PORT, at most %d times", OPTIONS_LISTEN_MAX);
}

static const struct option_kind listen_kind = {read_listen, write_listen, describe_listen, false};
static const struct option_kind listen_tls_kind = {read_listen_tls, NULL, describe_listen, false};

static bool read_management(const struct option *option, void *fields, const char *text,
                            const char **why)
{
    struct options *options = fields;
    struct endpoint endpoint;
    (void)option;
    options->management = text;
    *why = strcmp(text, "none") == 0 ? NULL : endpoint_read(text, 0, &endpoint);
    return !*why;
}

static void describe_management(const struct option *option, char *text, size_t size)
{
    (void)option;
    snprintf(text, size, "[HOST:]PORT, or none");
}

static const struct option_kind management_kind = {read_management, NULL, describe_management,
                                                   false};

static bool read_tls_version(const struct option *option, void *fields, const char *text,
                             const char **why)
{
    enum tls_version *version = option_field(option, fields);
    (void)why;
    *version = strcmp(text, "1.3") == 0 ? TLS_VERSION_1_3 : TLS_VERSION_1_2;
    return *version == TLS_VERSION_1_3 || strcmp(text, "1.2") == 0;
}

static void write_tls_version(const struct option *option, const void *fields, char *text,
                              size_t size)
{
    const struct options *options = fields;
    (void)option;
    snprintf(text, size, "%s", options->tls.min_version == TLS_VERSION_1_3 ? "1.3" : "1.2");
}

static void describe_tls_version(const struct option *option, char *text, size_t size)
{
    (void)option;
    snprintf(text, size, "1.2 or 1.3");
}

static const struct option_kind tls_version_kind = {read_tls_version, write_tls_version,
                                                    describe_tls_version, false};

static bool read_level(const struct option *option, void *fields, const char *text,
                       const char **why)
{
    (void)why;
    return log_level_read(text, option_field(option, fields));
}

static void write_level(const struct option *option, const void *fields, char *text, size_t size)
{
    const struct options *options = fields;
    (void)option;
    snprintf(text, size, "%s", log_level_name(options->log_level));
}

static void describe_level(const struct option *option, char *text, size_t size)
{
    (void)option;
    snprintf(text, size, "one of debug, info, warning, error");
}

static const struct option_kind level_kind = {read_level, write_level, describe_level, false};

/* A few bytes are never meant; what is, most likely, is a share. */
static bool read_memory(const struct option *option, void *fields, const char *text,
                        const char **why)
{
    struct memory_limit *limit = option_field(option, fields);
    const char *end;
    uint64_t percent;
    limit->percent = 0;
    if (digits_read(text, &percent, &end) && strcmp(end, "%") == 0) {
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

static void write_memory(const struct option *option, const void *fields, char *text, size_t size)
{
    const struct options *options = fields;
    (void)option;
    if (options->memory.percent)
        snprintf(text, size, "%u%%", options->memory.percent);
    else
        snprintf(text, size, "%llu", (unsigned long long)options->memory.bytes);
}

static void describe_memory(const struct option *option, char *text, size_t size)
{
    (void)option;
    snprintf(text, size, "a share from 1%% to 100%%, a size from 64KiB on, or 0 for no limit");
}

static const struct option_kind memory_kind = {read_memory, write_memory, describe_memory, false};

static bool read_queue_type(const struct option *option, void *fields, const char *text,
                            const char **why)
{
    struct options *options = fields;
    (void)option;
    *why = strcmp(text, "stream") == 0 ? "there are no streams" : NULL;
    options->broker.queue_type = text;
    return queue_arguments_is_default_type(bytes_str(text));
}

static void write_queue_type(const struct option *option, const void *fields, char *text,
                             size_t size)
{
    const struct options *options = fields;
    (void)option;
    snprintf(text, size, "%s", options->broker.queue_type);
}

static void describe_queue_type(const struct option *option, char *text, size_t size)
{
    (void)option;
    snprintf(text, size, "classic or quorum");
}

static const struct option_kind queue_type_kind = {read_queue_type, write_queue_type,
                                                   describe_queue_type, false};

/* ---- the table ---- */

#define HEADING(text)                                                                              \
    {                                                                                              \
        .help = text                                                                               \
    }
#define FIELD(field) OPTION_FIELD(struct options, field)
#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)

static const struct option rows[] = {
    HEADING("Service"),
    {"data-dir", &option_path, FIELD(data_dir), 0, 0, "DIR", .help = "where messages are kept",
     .example = "/var/lib/leveret"},
    {"definitions", &option_path, FIELD(definitions), 0, 0, "FILE",
     .help = "make what this file of RabbitMQ's definitions says",
     .example = "/etc/leveret/definitions.json"},
    {"listen", &listen_kind, FIELD(listen), 0, 0, "[HOST:]PORT",
     .help = "where to listen; may be repeated; port 0: any free one", .example = "127.0.0.1:5672"},
    {"listen-tls", &listen_tls_kind, FIELD(listen_tls), 0, 0, "[HOST:]PORT",
     .help = "the same with TLS; usually at port 5671", .example = "0.0.0.0:5671"},
    {"management", &management_kind, FIELD(management), 0, 0, "[HOST:]PORT",
     .help = "where the API is for operators; or none", .example = "127.0.0.1:15672"},
    {"control-socket", &option_path, FIELD(control_socket), 0, 0, "PATH",
     .help = "where the API is for those who may on this machine; or none",
     .example = "/run/leveret/ctl.sock"},
    {"node-name", &option_text, FIELD(node_name), 0, 0, "NAME",
     .help = "what the API calls this broker", .example = "leveret@localhost"},
    {"log-level", &level_kind, FIELD(log_level), 0, 0, "LEVEL",
     .help = "debug, info, warning or error", .example = ""},
    {"slow-turn-ms", &option_number, FIELD(slow_turn_ms), 0, 3600000, "MS",
     .help = "log turns that take so long or longer; 0: none"},
    {"check-store", &option_path, FIELD(check_store), 0, 0, "DIR",
     .help = "print and verify what a store holds, and change nothing",
     .example = "/var/lib/leveret"},
    {"salvage", &option_flag, FIELD(salvage), 0, 0, NULL,
     .help = "make a store of what is sound in a damaged one, and end"},
    {"version", &option_flag, FIELD(version), 0, 0, NULL, .help = "print the version; also -V",
     .letter = 'V'},
    {"help", &option_flag, FIELD(help), 0, 0, NULL, .help = "print this text; also -h",
     .letter = 'h'},
    HEADING("Clients"),
    {"frame-max", &option_size, FIELD(server.frame_max), 8192, 16 * MIB, "SIZE",
     .help = "largest frame to agree on"},
    {"channel-max", &option_number, FIELD(server.channel_max), 1, 65535, "N",
     .help = "most channels of a connection"},
    {"heartbeat", &option_number, FIELD(server.heartbeat_s), 0, 65535, "SECONDS",
     .help = "suggested heartbeat; 0: none"},
    {"handshake-ms", &option_number, FIELD(server.handshake_ms), 1, 3600000, "MS",
     .help = "time for a new connection to log in"},
    {"auth-delay-ms", &option_number, FIELD(server.auth_delay_ms), 0, 60000, "MS",
     .help = "how long the socket of a refused login is kept"},
    {"consumer-timeout", &option_number, FIELD(server.consumer_timeout_ms), 0, QUEUE_TIME_MAX_MS,
     "MS", .help = "time for a consumer to acknowledge a message; 0: none"},
    {"max-message-size", &option_size, FIELD(server.message_bytes_max), 1, 512 * MIB, "SIZE",
     .help = "largest message"},
    {"output-bytes", &option_size, FIELD(server.output_bytes_max), 4096, GIB, "SIZE",
     .help = "unsent output of a connection beyond which deliveries wait"},
    {"product", &option_text, FIELD(server.product), 0, 0, "NAME",
     .help = "what clients are told they speak to"},
    {"product-version", &option_text, FIELD(server.product_version), 0, 0, "VERSION",
     .help = "and in which version"},
    {"allow-anonymous", &option_flag, FIELD(server.allow_anonymous), 0, 0, NULL,
     .help = "let clients in without a name"},
    {"loopback-users", &option_text, FIELD(server.loopback_users), 0, 0, "NAMES",
     .help = "who is let in from this machine alone, with commas; or none"},
    {"guest-anywhere", &option_flag, FIELD(server.guest_anywhere), 0, 0, NULL,
     .help = "let guest in from other machines, too"},
    {"event-exchange", &option_flag, FIELD(server.event_exchange), 0, 0, NULL,
     .help = "tell amq.rabbitmq.event of what happens"},
    {"ignore-client-x-death", &option_flag, FIELD(server.ignore_client_x_death), 0, 0, NULL,
     .help = "the header x-death counts only as the broker has written it"},
    {"default-queue-type", &queue_type_kind, FIELD(broker.queue_type), 0, 0, "TYPE",
     .help = "of queues where neither they nor their virtual host say", .example = ""},
    HEADING("TLS"),
    {"tls-cert", &option_path, FIELD(tls.certificate), 0, 0, "FILE",
     .help = "certificate, and those up to the authority, in PEM",
     .example = "/etc/leveret/broker.pem"},
    {"tls-key", &option_path, FIELD(tls.key), 0, 0, "FILE", .help = "its private key, in PEM",
     .example = "/etc/leveret/broker.pem"},
    {"tls-verify-peer", &option_flag, FIELD(tls.verify_peer), 0, 0, NULL,
     .help = "let only clients in that have a certificate"},
    {"tls-peer-optional", &option_flag, FIELD(tls.peer_optional), 0, 0, NULL,
     .help = "and those that have none at all"},
    {"tls-ca", &option_path, FIELD(tls.authorities), 0, 0, "FILE",
     .help = "authorities of clients' certificates, in PEM", .example = "/etc/leveret/broker.pem"},
    {"tls-min-version", &tls_version_kind, FIELD(tls.min_version), 0, 0, "VERSION",
     .help = "1.2 or 1.3", .example = ""},
    HEADING("Limits"),
    {"max-connections", &option_number, FIELD(server.connections_max), 0, UINT32_MAX, "N",
     .help = "most connections that are open; 0: no limit", .example = "1000"},
    {"max-channels", &option_number, FIELD(server.channels_max), 0, UINT32_MAX, "N",
     .help = "most channels of all connections together; 0: no limit", .example = "10000"},
    {"max-queues", &option_number, FIELD(broker.queues_max), 0, UINT32_MAX, "N",
     .help = "most queues in all virtual hosts together; 0: no limit", .example = "10000"},
    {"max-vhosts", &option_number, FIELD(broker.vhosts_max), 0, UINT32_MAX, "N",
     .help = "most virtual hosts; 0: no limit", .example = "100"},
    {"io-threads", &option_number, FIELD(io_threads), 0, IO_THREADS_MAX, "N",
     .help = "threads that receive and send where it is much"},
    {"memory-limit", &memory_kind, FIELD(memory), 0, 0, "SIZE|PERCENT",
     .help = "memory above which publishers wait; 0: none"},
    {"disk-reserve", &option_size, FIELD(store.disk_reserve_bytes), 0, UINT64_MAX, "SIZE",
     .help = "free disk space below which publishers wait; an eighth of a small disk"},
    HEADING("Store, for tests and tuning"),
    {"segment-size", &option_size, FIELD(store.segment_bytes), 4096, GIB, "SIZE",
     .help = "size of a journal file"},
    {"chunk-entries", &option_power, FIELD(store.chunk_entries), 2, 65536, "N",
     .help = "messages in a piece of a queue's index"},
    {"cache-size", &option_size, FIELD(store.cache_bytes), 0, UINT64_MAX, "SIZE",
     .help = "index kept in memory"},
    {"bodies-burst", &option_size, FIELD(store.bodies_burst_bytes), 0, UINT64_MAX, "SIZE",
     .help = "messages kept in memory at most"},
    {"bodies-idle", &option_size, FIELD(store.bodies_idle_bytes), 0, UINT64_MAX, "SIZE",
     .help = "messages kept in memory when nobody has taken them for a second"},
    {"checkpoint-bytes", &option_size, FIELD(store.checkpoint_bytes), 1, UINT64_MAX, "SIZE",
     .help = "journal between two checkpoints"},
    {"checkpoint-ms", &option_number, FIELD(store.checkpoint_ms), 1, UINT64_MAX, "MS",
     .help = "time between two checkpoints"},
    {"batch-size", &option_size, FIELD(store.batch_bytes), 4096, GIB, "SIZE",
     .help = "what is written at once, at most"},
    {"sync-ms", &option_number, FIELD(store.sync_ms), 0, 60000, "MS",
     .help = "longest time that what nobody waits for stays unsynced"},
    {"recycle-segments", &option_number, FIELD(store.recycle_segments), 0, 64, "N",
     .help = "journal files kept for reuse"},
    {"mark-step", &option_number, FIELD(store.mark_step), 2, 1 << 30, "N",
     .help = "deliveries recorded ahead"},
};

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
    options->broker.queue_type = "classic";
    server_options_default(&options->server);
    store_options_default(&options->store);
}

static struct option_table table_of(const struct options *defaults)
{
    return (struct option_table){rows, sizeof(rows) / sizeof(rows[0]), defaults, 27};
}

bool options_read(struct options *options, int count, char **arguments, char *error,
                  size_t error_size)
{
    struct options defaults;
    struct option_table table = table_of(&defaults);
    set_defaults(&defaults);
    *options = defaults;
    if (!options_read_arguments(&table, options, count, arguments, error, error_size))
        return false;
    if (strcmp(options->server.loopback_users, "none") == 0)
        options->server.loopback_users = "";
    if (options->check_store && options->salvage) {
        snprintf(error, error_size,
                 "--check-store changes nothing, and --salvage does: give one of them");
        return false;
    }
    return true;
}

void options_print_help(FILE *out)
{
    struct options defaults;
    struct option_table table = table_of(&defaults);
    set_defaults(&defaults);
    fprintf(out, "Usage: leveretd [OPTION]...\n\nAn AMQP 0-9-1 broker. It stays in the foreground, "
                 "and logs to the standard error.\n");
    options_print(&table, out);
}
