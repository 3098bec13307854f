/* Each check stands for a step of a start, in the order of leveretd.c, and says what that would say.
 *
 * Definitions are made in a broker of their own, whose store nothing is ever written to: so what is
 * wrong with them is found by those who would find it at a start. That broker is empty, which the one
 * that starts may not be. What is wrong for an empty one alone is a remark where there is a store. */
#include "check_config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "broker/catalogue.h"
#include "broker/login.h"
#include "definitions_file.h"
#include "folder.h"
#include "net/address.h"
#include "net/path.h"

enum { PORT = 5672, TEXT_BYTES = 1024, PATH_BYTES = 4096 };

struct looking {
    const struct options *options;
    struct config *config;
    struct log log;     /* what a step logs while it is tried */
    const char *origin; /* of that */
    bool is_remark;     /* what is wrong with an object may be right for the store that is there */
    size_t faults;      /* that were logged */
};

/* Where a key was set, or what it is called. */
static const char *origin_of(const struct config *config, const char *key)
{
    const char *name;
    const char *origin = config_origin(config, option_find_key(config->table, key, &name));
    return origin ? origin : key;
}

/* ---- TLS ---- */

static void look_at_tls(struct looking *looking, const char *key, const struct tls_settings *settings)
{
    char what[TEXT_BYTES];
    if (!tls_settings_has_own(settings) || !tls_settings_can_verify(settings))
        return; /* which is a fault already */
    struct tls_context *tls = tls_context_new(&settings->options, &looking->log, what, sizeof(what));
    if (!tls)
        config_fault(looking->config, origin_of(looking->config, key), "%s", what);
    tls_context_free(tls);
}

static void look_at_cookie(struct looking *looking)
{
    const struct tls_options options = tls_options_of_brokers(looking->options->cluster.cookie);
    char what[TEXT_BYTES];
    struct tls_context *tls = tls_context_new(&options, &looking->log, what, sizeof(what));
    if (!tls)
        config_fault(looking->config, origin_of(looking->config, "cluster.cookie"), "%s", what);
    tls_context_free(tls);
}

static void look_at_all_tls(struct looking *looking)
{
    const struct options *options = looking->options;
    if (options->cluster.count && options->cluster.cookie)
        look_at_cookie(looking);
    if (options->listen_tls.count || options->web_secure.at)
        look_at_tls(looking, "ssl_options.certfile", &options->tls);
    if (options->management_secure.at)
        look_at_tls(looking, "management.ssl.certfile", &options->management_tls);
    if (options->metrics_secure.at)
        look_at_tls(looking, "prometheus.ssl.certfile", &options->metrics_tls);
}

/* ---- files and folders that are written to ---- */

/* 0 or an errno value. */
static int may(const char *path, int mode)
{
    return faccessat(AT_FDCWD, path, mode, AT_EACCESS) == 0 ? 0 : errno;
}

/* May something be made at that path, with so many folders above it that are missing? 0 or an errno
 * value. */
static int may_make(const char *path, unsigned missing)
{
    char above[PATH_BYTES];
    snprintf(above, sizeof(above), "%s", path);
    char *slash = strrchr(above, '/');
    if (!slash)
        return may(".", W_OK | X_OK);
    slash[slash == above] = '\0';
    int error = may(above, W_OK | X_OK);
    return error == ENOENT && missing && slash != above ? may_make(above, missing - 1) : error;
}

static int may_write_file(const char *path, unsigned missing)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return errno == ENOENT ? may_make(path, missing) : errno;
    return S_ISDIR(info.st_mode) ? EISDIR : may(path, W_OK);
}

static void look_at_log(struct looking *looking)
{
    const struct options *options = looking->options;
    const char *file = options->logs.file;
    bool is_in_folder = file && options->log_file[0] != '/';
    int error = file ? may_write_file(file, is_in_folder ? 2 : 1) : 0;
    if (error)
        config_fault(looking->config, origin_of(looking->config, "log.file"),
                     "the log cannot be written to %s: %s", file, strerror(error));
}

/* Does the folder have a store? Or might it get one? */
static bool look_at_folder(struct looking *looking, const char *path, bool is_named)
{
    struct stat info;
    char what[TEXT_BYTES], name[64];
    const char *origin = origin_of(looking->config, "leveret.data_dir");
    int error = stat(path, &info) == 0 ? 0 : errno;
    bool is_missing = error == ENOENT;
    if (is_missing)
        error = may_make(path, is_named ? 0 : PATH_BYTES);
    else if (!error)
        error = S_ISDIR(info.st_mode) ? may(path, R_OK | W_OK | X_OK) : ENOTDIR;
    if (error) {
        folder_refuse(path, error, what, sizeof(what));
        config_fault(looking->config, origin, "%s", what);
    } else if (!is_missing && !folder_is_fit(path, what, sizeof(what))) {
        config_fault(looking->config, origin, "%s", what);
    }
    return !error && !is_missing && folder_look(path, name, sizeof(name)) == FOLDER_STORE;
}

static bool look_at_data(struct looking *looking)
{
    const char *wanted = looking->options->data_dir;
    char *path = wanted ? mem_dup(wanted, strlen(wanted) + 1) : folder_default();
    bool has_store = path && look_at_folder(looking, path, wanted);
    if (!path)
        config_fault(looking->config, "leveret.data_dir",
                     "no place for the data is known; name one with --data-dir");
    mem_free(path);
    return has_store;
}

/* ---- addresses ---- */

static void look_at_path(struct looking *looking, const char *key, const char *path)
{
    struct stat info;
    int error = strlen(path) > PATH_BYTES_MAX ? ENAMETOOLONG : may_make(path, 0);
    if (!error && lstat(path, &info) == 0 && !S_ISSOCK(info.st_mode))
        error = EEXIST;
    if (error)
        config_fault(looking->config, origin_of(looking->config, key), "cannot listen at %s: %s",
                     path, strerror(error));
}

static void look_at_address(struct looking *looking, const char *key, const char *text)
{
    struct endpoint endpoint;
    struct address addresses[ENDPOINT_ADDRESSES_MAX];
    size_t count;
    if (listen_is_path(text)) {
        look_at_path(looking, key, listen_path(text));
        return;
    }
    const char *fault = endpoint_read(text, PORT, &endpoint);
    if (!fault)
        fault = endpoint_addresses(&endpoint, addresses, &count);
    if (fault)
        config_fault(looking->config, origin_of(looking->config, key), "cannot listen at %s: %s",
                     text, fault);
}

static void look_at_api(struct looking *looking, const char *key, const struct api_address *address)
{
    if (address->at && strcmp(address->at, "none") != 0)
        look_at_address(looking, key, address->at);
}

static void look_at_clients(struct looking *looking, const char *key, const struct listen_options *at)
{
    for (size_t i = 0; i < at->count; i++)
        look_at_address(looking, key, at->at[i]);
}

/* Of those that have the same address the second would find it taken. */
static void look_for_twice(struct looking *looking)
{
    const struct options *options = looking->options;
    const char *all[2 * OPTIONS_LISTEN_MAX + 6];
    const char *const apis[] = {options->management.at, options->management_secure.at,
                                options->metrics.at,    options->metrics_secure.at,
                                options->web.at,        options->web_secure.at};
    size_t count = 0;
    for (size_t i = 0; i < options->listen.count; i++)
        all[count++] = options->listen.at[i];
    for (size_t i = 0; i < options->listen_tls.count; i++)
        all[count++] = options->listen_tls.at[i];
    for (size_t i = 0; i < sizeof(apis) / sizeof(apis[0]); i++)
        if (apis[i] && strcmp(apis[i], "none") != 0)
            all[count++] = apis[i];
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < i; k++) {
            const char *port = strrchr(all[i], ':');
            if (strcmp(all[i], all[k]) == 0 && strcmp(port ? port + 1 : all[i], "0") != 0)
                config_fault(looking->config, "listeners", "two of them are at %s", all[i]);
        }
}

static void look_at_addresses(struct looking *looking)
{
    const struct options *options = looking->options;
    const char *control = options->control_socket;
    look_at_clients(looking, "listeners.tcp.default", &options->listen);
    look_at_clients(looking, "listeners.ssl.default", &options->listen_tls);
    look_at_api(looking, "management.tcp.ip", &options->management);
    look_at_api(looking, "management.ssl.ip", &options->management_secure);
    look_at_api(looking, "prometheus.tcp.ip", &options->metrics);
    look_at_api(looking, "prometheus.ssl.ip", &options->metrics_secure);
    look_at_api(looking, "web_amqp.tcp.ip", &options->web);
    look_at_api(looking, "web_amqp.ssl.ip", &options->web_secure);
    if (control && strcmp(control, "none") != 0)
        look_at_path(looking, "leveret.control_socket", control);
    look_for_twice(looking);
}

/* ---- definitions ---- */

/* What a line says beside its reason, as "queue 3, vhost /, name q: ". */
static size_t put_place(const struct log_record *record, char *text, size_t size)
{
    size_t used = 0;
    for (size_t i = 1; i < record->count && used < size; i++) {
        const struct log_field *field = &record->fields[i];
        const char *name = record->text + field->at;
        bool is_last = i + 1 == record->count;
        if (is_last)
            break;
        used += (size_t)snprintf(text + used, size - used, "%.*s %.*s%s", (int)field->name_size, name,
                                 (int)field->size, name + field->name_size,
                                 i + 2 == record->count ? ": " : ", ");
    }
    return used < size ? used : size - 1;
}

/* Errors are what is wrong in the file: the file comes first, and last the reason. */
static void take(void *context, const struct log_record *record)
{
    struct looking *looking = context;
    char place[TEXT_BYTES] = "";
    if (record->level < LOG_LEVEL_ERROR || record->count == 0)
        return;
    const struct log_field *reason = &record->fields[record->count - 1];
    const char *text = record->text + reason->at + reason->name_size;
    bool is_of_one = put_place(record, place, sizeof(place)) > 0;
    looking->faults++;
    if (looking->is_remark && is_of_one)
        config_warn(looking->config, looking->origin, "wrong, unless the store has it: %s%.*s", place,
                    (int)reason->size, text);
    else
        config_fault(looking->config, looking->origin, "%s%.*s", place, (int)reason->size, text);
}

static void import(struct looking *looking, struct broker *broker)
{
    const char *path = looking->options->definitions;
    char what[TEXT_BYTES];
    looking->faults = 0;
    if (!broker_read(broker, what, sizeof(what)) ||
        (!definitions_load(path, broker, what, sizeof(what)) && !looking->faults))
        config_fault(looking->config, looking->origin, "%s", what);
}

static void model(struct looking *looking, struct store *store, struct message_pool *pool)
{
    struct random random;
    struct broker broker;
    uint8_t seed[32] = {0};
    struct worker *checker = worker_manual_new(true);
    if (getrandom(seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
        seed[0] = 1;
    random_init_strong(&random, seed);
    broker_init(&broker, store, pool, &random, &looking->log, 0);
    broker.options = looking->options->broker;
    logins_begin(&broker, checker);
    import(looking, &broker);
    broker_free(&broker);
    worker_manual_free(checker);
}

static uint64_t no_time(void)
{
    return 0;
}

static void try_in(struct looking *looking, const char *folder)
{
    struct store_options options = looking->options->store;
    struct message_pool pool;
    char what[TEXT_BYTES];
    char *index = folder_join(folder, "index");
    struct worker *worker = worker_manual_new(true);
    message_pool_init(&pool);
    options.disk = disk_posix_new(folder);
    options.kv = kv_leveldb_new(index);
    options.pool = &pool;
    options.log = &looking->log;
    options.clock_us = no_time;
    options.syncer = options.indexer = options.reader = worker;
    options.is_newer = catalogue_is_newer;
    memset(options.identity, 1, sizeof(options.identity));
    struct store *store = options.disk ? store_open(&options, 0, what, sizeof(what)) : NULL;
    if (store) {
        model(looking, store, &pool);
        store_abandon(store);
    } else {
        config_warn(looking->config, looking->origin,
                    "the definitions could not be tried in %s, and may be wrong", folder);
    }
    kv_leveldb_free(options.kv);
    disk_posix_free(options.disk);
    message_pool_free(&pool);
    worker_manual_free(worker);
    mem_free(index);
}

static void look_at_definitions(struct looking *looking, bool has_store)
{
    const char *place = getenv("TMPDIR");
    if (!looking->options->definitions)
        return;
    looking->origin = origin_of(looking->config, "load_definitions");
    looking->is_remark = has_store;
    char *folder = folder_join(place && *place ? place : "/tmp", "leveretd-config.XXXXXX");
    if (mkdtemp(folder)) {
        try_in(looking, folder);
        folder_drop_copy(folder);
        rmdir(folder);
    } else {
        config_warn(looking->config, looking->origin,
                    "the definitions were not tried, as %s cannot be made: %s", folder,
                    strerror(errno));
    }
    mem_free(folder);
}

/* ---- all of it ---- */

void check_config_look(const struct options *options, struct config *config)
{
    struct looking looking = {.options = options, .config = config};
    looking.log = (struct log){.level = LOG_LEVEL_INFO, .sink = take, .context = &looking};
    looking.origin = "configuration";
    const char *fault = options_fault(options, config);
    if (fault)
        config_fault(config, "command line", "%s", fault);
    else
        look_at_all_tls(&looking);
    look_at_log(&looking);
    look_at_addresses(&looking);
    look_at_definitions(&looking, look_at_data(&looking));
}
