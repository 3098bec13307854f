/* What arguments, files and environment come to. The arguments are read twice: first for where the
 * rest is, and then, as they count before it, over what that said. */
#include "options.h"

#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "machine.h"
#include "options_rabbitmq.h"

enum { PORT_MANAGEMENT = 15672, PORT_MANAGEMENT_TLS = 15671 };
enum { PORT_METRICS = 15692, PORT_METRICS_TLS = 15691 };
enum { PORT_WEB = 15678, PORT_WEB_TLS = 15677 };
enum { CORS_MAX_AGE_S = 1800 };
enum { DEFAULT_MEMORY_MILLIONTHS = 600000, SLOW_TURN_MS = 50, MILLION = 1000000 };

static const char prefix[] = "LEVERET_";

/* A table, and what its rows are by themselves. */
struct standard {
    struct option_table table;
    struct options defaults;
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
    options->log_dir = "/var/log/leveret";
    options->tls = options->management_tls = options->metrics_tls = tls_settings_default();
    options->metrics_path = "/metrics";
    options->web_path = "/ws";
    options->rates_ms = 5000;
    options->cluster.log_bytes = CLUSTER_LOG_BYTES;
    options->management_idle_ms = options->metrics_idle_ms = 60000;
    options->memory.millionths = DEFAULT_MEMORY_MILLIONTHS;
    options->slow_turn_ms = SLOW_TURN_MS;
    options->cors.max_age_s = CORS_MAX_AGE_S;
    options->sockets = listener_options_default();
    options->io_threads = io_threads_for(machine_processors());
    options->broker = broker_options_default();
    options->broker.queue_type = "classic";
    options->login_san_type = PEER_DNS;
    server_options_default(&options->server);
    store_options_default(&options->store);
    options->disk.bytes = options->store.disk_reserve_bytes;
    snprintf(options->loopback_users, sizeof(options->loopback_users), "%s",
             options->server.loopback_users);
    snprintf(options->first_tags, sizeof(options->first_tags), "%s", options->broker.first.tags);
}

static struct standard *standard_new(void)
{
    struct standard *standard = mem_zalloc(sizeof(*standard));
    set_defaults(&standard->defaults);
    standard->table = options_table(&standard->defaults);
    return standard;
}

/* ---- where the rest is ---- */

static bool is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static void read_folder(struct config *config, const char *path, const char *name)
{
    char file[4096];
    snprintf(file, sizeof(file), "%s/%s", path, name);
    config_read(config, file, false);
    snprintf(file, sizeof(file), "%s/conf.d", path);
    config_read_folder(config, file);
}

static void read_files(struct config *config, const struct options *asked,
                       const struct options_input *input)
{
    const char *of_service = config_variable(config, "CONFIGURATION_DIRECTORY");
    const char *usual = of_service ? of_service : input->folder;
    const char *path = asked->config ? asked->config : usual;
    rabbitmq_read_files(config, asked->rabbitmq_compat ? input->rabbitmq : NULL);
    if (is_folder(path) || !asked->config)
        read_folder(config, path, "leveret.conf");
    else
        config_read(config, path, true);
}

static void gather(struct config *config, const struct options *asked,
                   const struct options_input *input)
{
    read_files(config, asked, input);
    config_read_variables(config);
    rabbitmq_read_variables(config);
    config_read_environment(config, prefix);
    for (size_t i = 0; i < asked->sets_count; i++)
        config_set_line(config, CONFIG_COMMAND, "--set", asked->sets[i]);
}

/* ---- what it comes to ---- */

static void join_address(struct api_address *address, uint16_t usual)
{
    const char *host = address->host ? address->host : "";
    bool is_bare = strchr(host, ':') && host[0] != '[';
    snprintf(address->text, sizeof(address->text), "%s%s%s:%u", is_bare ? "[" : "", host,
             is_bare ? "]" : "", address->port ? address->port : usual);
    address->at = address->text;
}

/* With keys of TLS alone it is there alone, as with RabbitMQ. */
static void join_pair(struct api_address *plain, uint16_t usual, struct api_address *secure,
                      uint16_t usual_secure, const struct tls_settings *tls)
{
    if (plain->host || plain->port)
        join_address(plain, usual);
    if (!secure->host && !secure->port && !tls->options.certificate)
        return;
    join_address(secure, usual_secure);
    if (!plain->at)
        plain->at = "none";
}

static void join_addresses(struct options *options)
{
    join_pair(&options->management, PORT_MANAGEMENT, &options->management_secure,
              PORT_MANAGEMENT_TLS, &options->management_tls);
    join_pair(&options->metrics, PORT_METRICS, &options->metrics_secure, PORT_METRICS_TLS,
              &options->metrics_tls);
    if (options->web.host || options->web.port)
        join_address(&options->web, PORT_WEB);
    if (options->web_secure.host || options->web_secure.port)
        join_address(&options->web_secure, PORT_WEB_TLS);
}

/* Keys that only together mean something. */
static void join_keys(struct options *options)
{
    tls_settings_join(&options->tls);
    tls_settings_join(&options->management_tls);
    tls_settings_join(&options->metrics_tls);
    join_addresses(options);
    if (!options->mechanisms)
        return;
    options->server.allow_anonymous |= (options->mechanisms & OPTIONS_ANONYMOUS) != 0;
    options->server.no_plain = !(options->mechanisms & OPTIONS_PLAIN);
    options->server.allow_external = (options->mechanisms & OPTIONS_EXTERNAL) != 0;
    options->server.no_amqplain = !(options->mechanisms & OPTIONS_AMQPLAIN);
}

static bool apply_arguments(struct config *config, struct options *options,
                            const struct options_input *input, char *error, size_t error_size)
{
    const char *value;
    for (int at = 1; at < input->count;) {
        const char *argument = input->arguments[at];
        const struct option *option = options_next_argument(
            config->table, input->count, input->arguments, &at, &value, error, error_size);
        if (!option)
            return false;
        if (option->kind->clear && config_origin(config, option) != argument &&
            !options_was_given(config, option->name))
            option->kind->clear(option, options);
        if (!option_set(config->table, option, options, value, error, error_size))
            return false;
        config_took(config, option, argument);
    }
    return true;
}

static uint64_t amount_bytes(const struct options *options, const struct amount *amount)
{
    if (!amount->millionths)
        return amount->bytes;
    return options_machine_bytes(options) / MILLION * amount->millionths;
}

/* The lists of names that keys have filled begin with a comma. */
static void end_names(char *names)
{
    if (names[0] == ',')
        memmove(names, names + 1, strlen(names));
}

/* An option that would be without effect may be thought to protect; a key of a file is often there
 * all the same. */
const char *options_fault(const struct options *options, const struct config *config)
{
    static const char *const of_tls[] = {"tls-cert",        "tls-key",           "tls-ca",
                                         "tls-verify-peer", "tls-peer-optional", "tls-crl"};
    const struct tls_options *tls = &options->tls.options;
    bool is_given = false;
    for (size_t i = 0; i < sizeof(of_tls) / sizeof(of_tls[0]); i++)
        is_given |= options_was_given(config, of_tls[i]);
    if (options->listen_tls.count == 0 && !options->web_secure.at)
        return is_given ? "options for TLS need --listen-tls; for example --listen-tls 0.0.0.0:5671"
                        : NULL;
    if (!tls_settings_has_own(&options->tls))
        return "--listen-tls needs --tls-cert FILE and --tls-key FILE";
    if (!tls_settings_can_verify(&options->tls))
        return "--tls-verify-peer needs --tls-ca FILE";
    if (options_was_given(config, "tls-peer-optional") && !tls->verify_peer)
        return "--tls-peer-optional is for --tls-verify-peer, which is missing";
    if (options_was_given(config, "tls-ca") && !tls->verify_peer)
        return "--tls-ca is for --tls-verify-peer, which is missing";
    if (options_was_given(config, "tls-crl") && !tls->verify_peer)
        return "--tls-crl is for --tls-verify-peer, which is missing";
    return NULL;
}

const struct cluster_node *cluster_node_find(const struct cluster_settings *cluster, uint32_t number)
{
    for (uint32_t i = 0; i < cluster->count; i++)
        if (cluster->nodes[i].number == number)
            return &cluster->nodes[i];
    return NULL;
}

static void check_cluster(struct config *config, const struct cluster_settings *cluster)
{
    if (cluster->count && !cluster_node_find(cluster, cluster->number))
        config_fault(config, "cluster.nodes", "needs cluster.number, which is one of theirs");
    if (cluster->count && !cluster->cookie)
        config_fault(config, "cluster.nodes", "needs cluster.cookie = FILE");
    if (!cluster->count && (cluster->number || cluster->listen || cluster->cookie))
        config_fault(config, "cluster", "needs a list of its brokers: cluster.nodes.1 = HOST:PORT, and so on");
}

/* The same as a file says it, of keys that begin so. */
static void check_tls_keys(struct config *config, const char *keys,
                           const struct tls_settings *settings)
{
    if (!tls_settings_has_own(settings))
        config_fault(config, keys, "needs %s.certfile and %s.keyfile", keys, keys);
    if (!tls_settings_can_verify(settings))
        config_fault(config, keys, "verify_peer needs %s.cacertfile", keys);
    if (settings->options.revoked && !settings->options.verify_peer)
        config_fault(config, keys, "leveret.%s.crlfile needs %s.verify = verify_peer", keys, keys);
}

/* Texts that are in the options themselves. */
static void point_within(struct options *options)
{
    options->server.loopback_users = options->loopback_users;
    options->broker.first.tags = options->first_tags;
    options->broker.defaults = &options->vhost_defaults;
    tls_settings_point(&options->tls);
    tls_settings_point(&options->management_tls);
    tls_settings_point(&options->metrics_tls);
    options->logs.file = options->log_path[0] ? options->log_path : NULL;
}

static void join_log(struct options *options)
{
    const char *file = options->log_file;
    bool is_whole = file && file[0] == '/';
    if (file)
        snprintf(options->log_path, sizeof(options->log_path), "%s%s%s",
                 is_whole ? "" : options->log_dir, is_whole ? "" : "/", file);
}

/* Other programs do that for any file. */
static void warn_of_rotation(struct config *config)
{
    static const char *const keys[] = {"log.file.rotation.date", "log.file.rotation.compress"};
    const char *name;
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        const char *origin = config_origin(config, option_find_key(config->table, keys[i], &name));
        if (origin)
            config_warn(config, origin,
                        "%s does nothing: use logrotate(8), or log.file.rotation.size", keys[i]);
    }
}

/* An answer of a server of names may take seconds, or never come, and anybody may have it say anything:
 * by such a name nobody should be found, or let in. */
static void warn_of_names(struct config *config, const struct options *options)
{
    static const char key[] = "reverse_dns_lookups";
    const char *name;
    const char *origin = config_origin(config, option_find_key(config->table, key, &name));
    if (origin && options->reverse_dns_lookups)
        config_warn(config, origin,
                    "%s does nothing: peers are known by their addresses, as no login waits for a "
                    "server of names; ask one about the addresses in the log",
                    key);
}

static enum peer_name external_name(const struct options *options)
{
    switch (options->login_from) {
    case LOGIN_FROM_DN:
        return PEER_DISTINGUISHED_NAME;
    case LOGIN_FROM_CN:
        return PEER_COMMON_NAME;
    default:
        return options->login_san_type;
    }
}

static void settle(struct config *config, struct options *options)
{
    options->server.external_name = external_name(options);
    end_names(options->loopback_users);
    end_names(options->first_tags);
    end_names(options->cors.origins);
    end_names(options->web_origins);
    join_log(options);
    warn_of_rotation(config);
    warn_of_names(config, options);
    point_within(options);
    options->server.memory_bytes_max = options_memory_bytes(options);
    options->store.disk_reserve_bytes = amount_bytes(options, &options->disk);
    tls_settings_settle(&options->tls);
    tls_settings_settle(&options->management_tls);
    tls_settings_settle(&options->metrics_tls);
    if (options->node_name)
        options->broker.node = options->node_name;
    if (options->cluster_name)
        options->server.cluster_name = options->cluster_name;
    if (options_was_given(config, "listen-tls") && options->listen.count == 0)
        options->listen.is_none = true;
}

bool options_read(struct options *options, struct config *config, const struct options_input *input,
                  char *error, size_t error_size)
{
    struct standard *standard = standard_new();
    config_init(config, &standard->table, input->environment);
    config->kept = standard;
    *options = standard->defaults;
    if (!options_read_arguments(&standard->table, options, input->count, input->arguments, error,
                                error_size))
        return false;
    if (options->check_store && options->salvage) {
        snprintf(error, error_size,
                 "--check-store changes nothing, and --salvage does: give one of them");
        return false;
    }
    if (options->help || options->version || options->list_keys)
        return true;
    gather(config, options, input);
    *options = standard->defaults;
    config_apply(config, options);
    join_keys(options);
    if (!apply_arguments(config, options, input, error, error_size))
        return false;
    settle(config, options);
    if ((options->listen_tls.count && !options_was_given(config, "listen-tls")) ||
        options->web_secure.at)
        check_tls_keys(config, "ssl_options", &options->tls);
    if (options->management_secure.at)
        check_tls_keys(config, "management.ssl", &options->management_tls);
    if (options->metrics_secure.at)
        check_tls_keys(config, "prometheus.ssl", &options->metrics_tls);
    check_cluster(config, &options->cluster);
    return true;
}

uint64_t options_machine_bytes(const struct options *options)
{
    return options->machine_bytes ? options->machine_bytes : machine_memory_bytes();
}

uint64_t options_memory_bytes(const struct options *options)
{
    return amount_bytes(options, &options->memory);
}

bool options_was_given(const struct config *config, const char *name)
{
    const struct option *option = option_find(config->table, name, strlen(name));
    const char *origin = config_origin(config, option);
    size_t size = strlen(name);
    return origin && strncmp(origin, "--", 2) == 0 && strncmp(origin + 2, name, size) == 0 &&
           (origin[size + 2] == '\0' || origin[size + 2] == '=');
}

void options_take_live(struct options *options, const struct options *fresh,
                       const struct option_table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct option *option = &table->options[i];
        if (option->effect == OPTION_LIVE)
            memcpy((char *)options + option->offset, (const char *)fresh + option->offset,
                   option->width);
    }
    options->tls = fresh->tls;
    options->management_tls = fresh->management_tls;
    options->metrics_tls = fresh->metrics_tls;
    point_within(options);
    options->server.memory_bytes_max = fresh->server.memory_bytes_max;
    options->store.disk_reserve_bytes = fresh->store.disk_reserve_bytes;
}

/* Files of certificates are read again by a reload, and texts belong to whoever has read them. */
static bool can_be_set(const struct option *option)
{
    bool is_of_tls = strncmp(option->key, "ssl_options.", 12) == 0 ||
                     strncmp(option->key, "management.ssl.", 15) == 0 ||
                     strncmp(option->key, "prometheus.ssl.", 15) == 0;
    bool is_open = strpbrk(option->key, "$*") != NULL;
    bool is_text = option->kind == &option_text || option->kind == &option_path;
    return option->effect == OPTION_LIVE && !is_of_tls && !is_open && !is_text;
}

bool options_set_live(struct options *options, const struct option_table *table, const char *key,
                      const char *value, char *error, size_t error_size)
{
    const char *name;
    const struct option *option = option_find_key(table, key, &name);
    if (!option || !can_be_set(option)) {
        snprintf(error, error_size,
                 option ? "%s cannot be set while the broker runs; the configuration has it"
                        : "there is no setting with the name %s",
                 key);
        return false;
    }
    struct options *fresh = mem_dup(options, sizeof(*options));
    bool is_set = option_set_key(table, option, fresh, key, value, error, error_size);
    if (is_set) {
        fresh->server.memory_bytes_max = options_memory_bytes(fresh);
        fresh->store.disk_reserve_bytes = amount_bytes(fresh, &fresh->disk);
        options_take_live(options, fresh, table);
    }
    mem_free(fresh);
    return is_set;
}

/* ---- what is printed ---- */

void options_print_help(FILE *out)
{
    struct standard *standard = standard_new();
    fprintf(out, "Usage: leveretd [OPTION]...\n\nAn AMQP 0-9-1 broker. It stays in the foreground, "
                 "and logs to the standard error.\n");
    options_print(&standard->table, out);
    mem_free(standard);
}

static void print_key(const struct option *option, const struct options *defaults, FILE *out)
{
    static const char *const effects[] = {[OPTION_AT_START] = "start",
                                          [OPTION_LIVE] = "live",
                                          [OPTION_FOREIGN] = "foreign",
                                          [OPTION_NOT_YET] = "later"};
    char wanted[128], value[256];
    option_describe(option, wanted, sizeof(wanted));
    option_write(option, defaults, value, sizeof(value));
    fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", option->key,
            option->alias ? option->alias : "", wanted, value, effects[option->effect],
            option->name ? option->name : "", option->environment ? option->environment : "",
            option->text ? option->text : "");
}

void options_print_keys(FILE *out)
{
    struct standard *standard = standard_new();
    standard->defaults.io_threads = io_threads_for(1); /* the same text on every machine */
    for (size_t i = 0; i < standard->table.count; i++)
        if (standard->table.options[i].key)
            print_key(&standard->table.options[i], &standard->defaults, out);
    mem_free(standard);
}
