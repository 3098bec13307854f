/* The daemon: reads the options, builds the layers from the bottom up, runs the loop, and takes
 * them down again.
 *
 * The order of a start is that of what it may harm: addresses are taken first and the data folder
 * is locked next, so that a second daemon, or a port in use, ends with an error before anything has
 * been touched. Then the store is opened, the model is built from it, and only then does anybody
 * listen. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "broker/catalogue.h"
#include "broker/login.h"
#include "broker/user.h"
#include "daemon.h"
#include "definitions_file.h"
#include "folder.h"
#include "image_folder.h"
#include "instead.h"
#include "machine.h"
#include "net/clock.h"
#include "net/signals.h"
#include "remarks.h"
#include "store/group_log.h"

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unknown"
#endif

enum { EXIT_USAGE = 2, LOG_PATIENCE_MS = 1000, STUCK_MS = 5000 };
enum { MEMORY_BYTES_FEW = 16 << 20 };

/* Logs why the daemon cannot start. */
static bool refuse(const struct daemon *daemon, const char *what)
{
    log_event(&daemon->logs.log, EVENT_cannot_start, "reason=%s", what);
    return false;
}

/* ---- the layers, from the bottom up ---- */

static bool make_loop(struct daemon *daemon)
{
    const struct options *options = &daemon->options;
    daemon->loop = loop_new(&daemon->logs.log, machine_raise_descriptors(), options->io_threads,
                            options->slow_turn_ms);
    daemon->binding = (struct binding){.loop = daemon->loop,
                                       .log = &daemon->logs.log,
                                       .options = options,
                                       .tls = daemon->tls,
                                       .management_tls = daemon->management_tls,
                                       .metrics_tls = daemon->metrics_tls,
                                       .amqp = &daemon->amqp,
                                       .management = &daemon->management,
                                       .metrics = &daemon->measured,
                                       .web = &daemon->web};
    if (daemon->loop)
        inherited_take(&daemon->loop->listeners.inherited, MANAGER_FIRST_DESCRIPTOR, manager_descriptors(),
                       &daemon->logs.log);
    return daemon->loop || refuse(daemon, "the system offers no way to wait for sockets");
}

static bool load_one_tls(struct daemon *daemon, const struct tls_settings *settings,
                         struct tls_context **context)
{
    char what[512];
    *context = tls_context_new(&settings->options, &daemon->logs.log, what, sizeof(what));
    return *context || refuse(daemon, what);
}

static bool load_tls(struct daemon *daemon)
{
    const struct options *options = &daemon->options;
    return (!(options->listen_tls.count || options->web_secure.at) ||
            load_one_tls(daemon, &options->tls, &daemon->tls)) &&
           (!options->management_secure.at ||
            load_one_tls(daemon, &options->management_tls, &daemon->management_tls)) &&
           (!options->metrics_secure.at ||
            load_one_tls(daemon, &options->metrics_tls, &daemon->metrics_tls));
}

/* Of a cluster: the store may be one that was sent by another broker. */
static bool take_image(struct daemon *daemon)
{
    char what[512];
    bool was_taken;
    int error = image_take_over(daemon->data_dir, &was_taken);
    if (error) {
        snprintf(what, sizeof(what), "%s/%s cannot take the place of the store: %s; start again when that is mended",
                 daemon->data_dir, IMAGE_COMES, strerror(error));
        return refuse(daemon, what);
    }
    daemon->has_image = was_taken;
    if (was_taken)
        log_event(&daemon->logs.log, EVENT_image_taken, "path=%s", daemon->data_dir);
    return true;
}

/* If an operator has reset it. */
static bool begin_anew(const struct daemon *daemon)
{
    char what[512];
    bool was_reset;
    int error = folder_begin_anew(daemon->data_dir, &was_reset);
    if (was_reset && !error)
        log_event(&daemon->logs.log, EVENT_store_reset, "path=%s", daemon->data_dir);
    if (error)
        folder_refuse(daemon->data_dir, error, what, sizeof(what));
    return !error || refuse(daemon, what);
}

static bool open_folder(struct daemon *daemon)
{
    const char *wanted = daemon->options.data_dir;
    char what[512];
    daemon->data_dir = wanted ? mem_dup(wanted, strlen(wanted) + 1) : folder_default();
    if (!daemon->data_dir)
        return refuse(daemon, "no place for the data is known; name one with --data-dir");
    int error = folder_make(daemon->data_dir, !wanted);
    if (error) {
        folder_refuse(daemon->data_dir, error, what, sizeof(what));
        return refuse(daemon, what);
    }
    if (!folder_is_fit(daemon->data_dir, what, sizeof(what)))
        return refuse(daemon, what);
    daemon->lock = folder_lock(daemon->data_dir, true, what, sizeof(what));
    if (daemon->lock < 0)
        return refuse(daemon, what);
    if (!begin_anew(daemon) || !take_image(daemon))
        return false;
    daemon->disk = disk_posix_new(daemon->data_dir);
    if (!daemon->disk) {
        folder_refuse(daemon->data_dir, errno, what, sizeof(what));
        return refuse(daemon, what);
    }
    return true;
}

static bool open_store(struct daemon *daemon)
{
    struct store_options *options = &daemon->options.store;
    char what[1024];
    char *index = folder_join(daemon->data_dir, "index");
    daemon->kv = kv_leveldb_new(index);
    mem_free(index);
    daemon->syncer = worker_thread_new("syncer", loop_wake, daemon->loop);
    daemon->indexer = worker_thread_new("indexer", loop_wake, daemon->loop);
    daemon->reader = worker_thread_new("reader", loop_wake, daemon->loop);
    if (!daemon->syncer || !daemon->indexer || !daemon->reader)
        return refuse(daemon, "no thread can be started");
    options->disk = daemon->disk;
    options->kv = daemon->kv;
    options->syncer = daemon->syncer;
    options->indexer = daemon->indexer;
    options->reader = daemon->reader;
    options->pool = &daemon->pool;
    options->log = &daemon->logs.log;
    options->clock_us = clock_monotonic_us;
    options->steps = &daemon->loop->turns.steps;
    options->is_newer = catalogue_is_newer;
    if (getrandom(options->identity, sizeof(options->identity), 0) !=
        (ssize_t)sizeof(options->identity))
        return refuse(daemon, "the system has no random numbers");
    daemon->store = store_open(options, clock_monotonic_ms(), what, sizeof(what));
    if (daemon->store) {
        daemon->was_ended = folder_begin(daemon->lock);
        return true;
    }
    size_t used = strlen(what);
    snprintf(what + used, sizeof(what) - used,
             "; 'leveretd --check-store %s' says more, and changes nothing%s", daemon->data_dir,
             daemon->membership ? "; the other brokers of the cluster have all of it: with an empty folder and "
                                  "--cluster-join this one gets it from them" : "");
    return refuse(daemon, what);
}

static const char *node_name(struct daemon *daemon)
{
    char host[256] = "localhost";
    if (daemon->options.node_name)
        return daemon->options.node_name;
    gethostname(host, sizeof(host) - 1);
    snprintf(daemon->node_name, sizeof(daemon->node_name), "leveret@%s", host);
    return daemon->node_name;
}

/* As operators are told it. A broker that is alone is its cluster; those of one have the same name for it, as
 * clients are told, so that who asks all of them finds them together. */
static const char *cluster_name(struct daemon *daemon)
{
    const struct options *options = &daemon->options;
    bool is_alone = !options->cluster.number;
    return options->cluster_name || !is_alone ? options->server.cluster_name : node_name(daemon);
}

static bool make_membership(struct daemon *daemon)
{
    const struct membership_options options = {.options = &daemon->options,
                                               .log = &daemon->logs.log,
                                               .loop = daemon->loop,
                                               .name = node_name(daemon)};
    char what[1024];
    if (!membership_is_wanted(&daemon->options))
        return true;
    daemon->membership = membership_new(&options, what, sizeof(what));
    return daemon->membership || (*what && refuse(daemon, what));
}

static bool open_membership(struct daemon *daemon)
{
    char what[1024];
    uint64_t at = 0;
    if (!daemon->membership && group_log_next(daemon->store, &at))
        return refuse(daemon, "this folder is that of a broker of a cluster, and alone it has none of its queues: "
                              "the configuration lacks cluster.nodes");
    const struct membership_place place = {daemon->data_dir, daemon->disk, daemon->store};
    return !daemon->membership || membership_open(daemon->membership, &place, what, sizeof(what)) ||
           refuse(daemon, what);
}

/* Names are those of the store from now on. */
static bool read_model(struct daemon *daemon)
{
    char what[512];
    if (!broker_read(&daemon->broker, what, sizeof(what)))
        return refuse(daemon, what);
    bool is_new = broker_is_new(&daemon->broker);
    const char *definitions = daemon->options.definitions;
    if (definitions && !(daemon->options.definitions_skip ? definitions_load_if_changed : definitions_load)(
                           definitions, &daemon->broker, what, sizeof(what)))
        return refuse(daemon, what);
    if (is_new)
        broker_make_first(&daemon->broker);
    return true;
}

/* Of a cluster names are read by who comes to lead it. */
static bool build_model(struct daemon *daemon)
{
    uint8_t seed[32];
    if (getrandom(seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
        return refuse(daemon, "the system has no random numbers");
    random_init_strong(&daemon->random, seed);
    broker_init(&daemon->broker, daemon->store, &daemon->pool, &daemon->random, &daemon->logs.log,
                clock_monotonic_ms());
    daemon->broker.options = daemon->options.broker;
    daemon->broker.queues.now_us = &daemon->loop->turns.began_us;
    daemon->has_broker = true;
    daemon->checker = worker_thread_new("checker", loop_wake, daemon->loop);
    if (!daemon->checker)
        return refuse(daemon, "no thread can be started");
    logins_begin(&daemon->broker, daemon->checker);
    return daemon->membership || read_model(daemon);
}

static void warn_of_reserve(const struct daemon *daemon)
{
    uint64_t free_bytes, total, reserve = store_disk_reserve(daemon->store);
    if (daemon->disk->ops->free_space(daemon->disk, &free_bytes, &total) == 0 && reserve >= total)
        log_event(
            &daemon->logs.log, EVENT_option_unwise,
            "option=--disk-reserve bytes=%llu disk=%llu reason=\"publishers wait for ever, as "
            "the whole disk is smaller\"",
            (unsigned long long)reserve, (unsigned long long)total);
}

/* Users come at a start alone, so a name that none of them has now is a slip of the pen. */
static void warn_of_users(const struct daemon *daemon)
{
    const char *end, *names = daemon->options.server.loopback_users;
    for (; *names; names = *end ? end + 1 : end) {
        end = strchrnul(names, ',');
        struct bytes name = bytes_of(names, (size_t)(end - names));
        if (!bytes_equal_str(name, "guest") && !user_find(&daemon->broker, name))
            log_event(
                &daemon->logs.log, EVENT_option_unwise,
                "option=--loopback-users user=%.*s reason=\"there is no such user; between two "
                "names stands a comma, and no space\"",
                (int)name.size, (const char *)name.data);
    }
}

/* What is allowed, and hardly meant. */
static void warn(const struct daemon *daemon)
{
    const struct options *options = &daemon->options;
    uint64_t bytes = options->memory.bytes, machine = options_machine_bytes(options);
    if (!options->memory.millionths && bytes && bytes < MEMORY_BYTES_FEW)
        log_event(
            &daemon->logs.log, EVENT_option_unwise,
            "option=--memory-limit bytes=%llu reason=\"publishers wait as soon as messages take "
            "so little\"",
            (unsigned long long)bytes);
    if (!options->memory.millionths && machine && bytes > machine)
        log_event(&daemon->logs.log, EVENT_option_unwise,
                  "option=--memory-limit bytes=%llu machine=%llu reason=\"the machine has less\"",
                  (unsigned long long)bytes, (unsigned long long)machine);
    if (options->server.guest_anywhere)
        log_event(&daemon->logs.log, EVENT_option_unwise,
                  "option=--guest-anywhere reason=\"everybody knows the password of guest\"");
}

static void build_web(struct daemon *daemon)
{
    const struct websocket_options options = {.name = "http/web-amqp",
                                              .path = daemon->options.web_path,
                                              .subprotocol = "amqp",
                                              .origins = daemon->options.web_origins,
                                              .handshake_ms = daemon->options.server.handshake_ms};
    daemon->websockets =
        websockets_new(&options, &daemon->amqp, &daemon->logs.log, clock_monotonic_ms());
    daemon->web = websockets_service(daemon->websockets);
    loop_add(daemon->loop, daemon->web);
}

static bool build_server(struct daemon *daemon)
{
    struct server_options *options = &daemon->options.server;
    options->version = PACKAGE_VERSION;
    options->steps = &daemon->loop->turns.steps;
    log_event(&daemon->logs.log, EVENT_limits,
              "memory_bytes=%llu disk_reserve_bytes=%llu connections=%zu",
              (unsigned long long)options->memory_bytes_max,
              (unsigned long long)store_disk_reserve(daemon->store), daemon->loop->sockets.max);
    options->trace_frames = logs_take(&daemon->logs, LOG_CATEGORY_CHANNEL, LOG_LEVEL_DEBUG);
    daemon->server = server_new(options, &daemon->broker, clock_monotonic_ms());
    daemon->amqp = server_service(daemon->server);
    if (daemon->membership) {
        membership_serve(daemon->membership, daemon->server, &daemon->broker);
        daemon->amqp = membership_relay(daemon->membership);
    }
    if (daemon->options.log_exchange) {
        log_exchange_init(&daemon->log_exchange, &daemon->broker, daemon->options.broker.first.vhost,
                          &daemon->logs, &daemon->options.logs, loop_wake, daemon->loop);
        loop_add(daemon->loop, &daemon->log_exchange.service);
    }
    loop_add(daemon->loop, server_service(daemon->server));
    build_web(daemon);
    return true;
}

static void build_management(struct daemon *daemon)
{
    const struct http_options http = {.steps = &daemon->loop->turns.steps,
                                      .idle_ms = daemon->options.management_idle_ms};
    const char *node = node_name(daemon);
    daemon->surroundings = (struct surroundings){
        .base.data_dir = daemon->data_dir,
        .loop = daemon->loop,
        .disk = daemon->disk,
        .logs = &daemon->logs,
        .amqp = &daemon->amqp,
        .api = &daemon->management,
        .metrics = &daemon->measured,
        .web = &daemon->web,
    };
    surroundings_init(&daemon->surroundings);
    control_tell_files(daemon, &daemon->config);
    control_build(daemon);
    const struct api_options options = {
        .surroundings = &daemon->surroundings.base,
        .backups = &daemon->backups,
        .control = &daemon->control,
        .cors = &daemon->options.cors,
        .headers = &daemon->options.headers,
        .node = node,
        .cluster_name = cluster_name(daemon),
        .version = PACKAGE_VERSION,
        .product_version = daemon->options.server.product_version,
        .path_prefix = daemon->options.path_prefix ? daemon->options.path_prefix : "",
        .is_drained = daemon->is_drained,
        .rates_ms = daemon->options.rates_ms,
        .steps = &daemon->loop->turns.steps,
    };
    daemon->api = api_new(&options, daemon->server, &daemon->broker);
    daemon->http = http_server_new(&http, api_handler(daemon->api), &daemon->pool, &daemon->logs.log,
                                   clock_monotonic_ms());
    daemon->management = http_server_service(daemon->http);
    loop_add(daemon->loop, &daemon->backup.service);
    loop_add(daemon->loop, api_service(daemon->api));
    loop_add(daemon->loop, daemon->management);
    if (daemon->membership)
        membership_answer(daemon->membership, daemon->management);
}

/* So it was before the process began again. */
static void stay_drained(struct daemon *daemon)
{
    if (!daemon->is_drained)
        return;
    listeners_suspend(daemon->loop, &daemon->amqp);
    listeners_suspend(daemon->loop, &daemon->web);
}

/* After the API, whose surroundings it has. */
static void build_metrics(struct daemon *daemon)
{
    const struct http_options http = {.name = "http/prometheus",
                                      .steps = &daemon->loop->turns.steps,
                                      .idle_ms = daemon->options.metrics_idle_ms};
    const char *node = node_name(daemon);
    const struct metrics_options options = {
        .surroundings = &daemon->surroundings.base,
        .control = &daemon->control,
        .turns = &daemon->loop->turns,
        .node = node,
        .cluster_name = cluster_name(daemon),
        .version = PACKAGE_VERSION,
        .product_version = daemon->options.server.product_version,
        .path = daemon->options.metrics_path,
        .is_per_object = daemon->options.metrics_per_object,
        .begun_clock_ms = clock_wall_ms(),
    };
    daemon->metrics = metrics_new(&options, daemon->server, &daemon->broker);
    daemon->metrics_http = http_server_new(&http, metrics_handler(daemon->metrics), &daemon->pool,
                                           &daemon->logs.log, clock_monotonic_ms());
    daemon->measured = http_server_service(daemon->metrics_http);
    loop_add(daemon->loop, daemon->measured);
}

/* ---- the office ---- */

/* Whose work cannot be done ends, so that another one does it. */
static void take_office(struct daemon *daemon)
{
    log_event(&daemon->logs.log, EVENT_office_taken, "self=%u", daemon->options.cluster.number);
    daemon->office = read_model(daemon) ? OFFICE_SERVES : OFFICE_FAILED;
    if (daemon->office == OFFICE_FAILED) {
        loop_end(daemon->loop);
        return;
    }
    daemon->amqp = server_service(daemon->server);
    membership_has_read(daemon->membership, daemon->amqp, daemon->management);
    warn_of_users(daemon);
}

/* Says to the process, as which it begins again, that no client may come. */
static const char drained_variable[] = "LEVERETD_DRAINED";

static void hand_on_drained(bool is_drained)
{
    char process[16];
    snprintf(process, sizeof(process), "%ld", (long)getpid());
    if (is_drained)
        setenv(drained_variable, process, true);
}

/* Whoever has got it from another process starts as everybody does. */
static bool take_drained(void)
{
    const char *process = getenv(drained_variable);
    bool is_drained = process && atol(process) == (long)getpid();
    unsetenv(drained_variable);
    return is_drained;
}

/* All that it knew is as it was read then, and what was not agreed on is forgotten. */
static void begin_again(const struct daemon *daemon)
{
    signals_keep();
    if (signals_asked())
        return;
    manager_hand_on(&daemon->manager);
    hand_on_drained(daemon->is_drained && !daemon->begins_anew);
    execv("/proc/self/exe", daemon->arguments);
}

/* Nothing waits for the disk, for which the system lets this process wait before it begins again; not even a name is
 * taken away. Clients and other brokers see that nobody is here any more. */
static void leave_at_once(struct daemon *daemon)
{
    struct stat status;
    DIR *entries = opendir("/proc/self/fd");
    const struct dirent *entry;
    while (entries && (entry = readdir(entries))) {
        int fd = atoi(entry->d_name);
        if (fd > STDERR_FILENO && fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode))
            close(fd);
    }
    logs_stop(&daemon->logs, LOG_PATIENCE_MS);
    begin_again(daemon);
    _exit(EXIT_FAILURE);
}

static void look_at_office(struct service *service, uint64_t now_ms, uint64_t clock_ms)
{
    struct daemon *daemon = list_entry(service, struct daemon, office_keeper);
    bool serves = daemon->office == OFFICE_SERVES;
    (void)clock_ms;
    if (daemon->loop->state != LOOP_RUNNING)
        return;
    if (!serves && membership_is_over(daemon->membership)) {
        daemon->office = OFFICE_AGAIN;
        loop_end(daemon->loop);
        return;
    }
    uint64_t stuck_ms = serves ? store_writes_for_ms(daemon->store, now_ms) : 0;
    if (stuck_ms >= STUCK_MS) {
        log_event(&daemon->logs.log, EVENT_office_stuck, "self=%u ms=%llu", daemon->options.cluster.number,
                  (unsigned long long)stuck_ms);
        leave_at_once(daemon);
    }
    if (serves == membership_leads(daemon->membership))
        return;
    if (!serves) {
        take_office(daemon);
        return;
    }
    daemon->office = OFFICE_LOST;
    log_event(&daemon->logs.log, EVENT_office_lost, "leader=%u self=%u",
              membership_leader(daemon->membership), daemon->options.cluster.number);
    loop_end(daemon->loop);
}

static void leave_office(struct service *service)
{
    (void)service;
}

static const struct service_ops office_ops = {.tick = look_at_office, .shutdown = leave_office};

static void build_office(struct daemon *daemon)
{
    service_init(&daemon->office_keeper, &office_ops);
    if (daemon->membership)
        loop_add(daemon->loop, &daemon->office_keeper);
}

/* Nobody has asked for an end meanwhile. */
static bool goes_on(void)
{
    return !signals_asked();
}

static bool build(struct daemon *daemon)
{
    if (!load_tls(daemon) || !make_loop(daemon) || !bind_clients(&daemon->binding) ||
        !bind_web(&daemon->binding) || !bind_management(&daemon->binding) || !bind_metrics(&daemon->binding) ||
        !make_membership(daemon) || !open_folder(daemon) || !goes_on() || !open_store(daemon) || !goes_on() ||
        !open_membership(daemon) || !build_model(daemon) || !goes_on() || !build_server(daemon))
        return false;
    build_management(daemon);
    build_metrics(daemon);
    build_office(daemon);
    stay_drained(daemon);
    return bind_control(&daemon->binding, daemon->data_dir);
}

/* ---- and down again ---- */

static void drain(struct worker *worker)
{
    if (worker)
        worker->ops->drain(worker);
}

/* `keep`: the store is closed in good order; otherwise it is left as a crash would leave it. */
static void take_down(struct daemon *daemon, bool keep)
{
    log_exchange_stop(&daemon->log_exchange);
    if (daemon->metrics_http)
        http_server_free(daemon->metrics_http);
    if (daemon->metrics)
        metrics_free(daemon->metrics);
    if (daemon->http)
        http_server_free(daemon->http);
    if (daemon->api)
        api_free(daemon->api);
    websockets_free(daemon->websockets);
    if (daemon->server)
        server_free(daemon->server);
    if (daemon->has_broker)
        broker_free(&daemon->broker);
    membership_close(daemon->membership);
    if (daemon->store && keep) {
        store_close(daemon->store);
        folder_end(daemon->lock);
    }
    drain(daemon->syncer);
    drain(daemon->indexer);
    drain(daemon->reader);
    drain(daemon->checker);
    if (daemon->store && !keep)
        store_abandon(daemon->store);
    membership_free(daemon->membership);
    backup_free(&daemon->backup);
    worker_thread_free(daemon->syncer);
    worker_thread_free(daemon->indexer);
    worker_thread_free(daemon->reader);
    worker_thread_free(daemon->checker);
    kv_leveldb_free(daemon->kv);
    disk_posix_free(daemon->disk);
    message_pool_free(&daemon->pool);
    loop_free(daemon->loop);
    tls_context_free(daemon->tls);
    tls_context_free(daemon->management_tls);
    tls_context_free(daemon->metrics_tls);
    if (daemon->lock >= 0)
        close(daemon->lock);
    mem_free(daemon->data_dir);
}

/* What is wrong is told with the file. */
static void make_log_folder(const struct options *options)
{
    const char *file = options->logs.file;
    const char *end = file ? strrchr(file, '/') : NULL;
    if (!end || end == file)
        return;
    if (options->log_file[0] != '/')
        folder_make(options->log_dir, false);
    char *folder = mem_dup(file, (size_t)(end - file) + 1);
    folder[end - file] = '\0';
    folder_make(folder, false);
    mem_free(folder);
}

/* From now on nobody waits for who reads the log. */
static bool start_log(struct daemon *daemon)
{
    char what[OPTIONS_PATH_BYTES + 128];
    const struct options *options = &daemon->options;
    make_log_folder(options);
    if (!logs_start(&daemon->logs, &options->logs, what, sizeof(what)))
        return refuse(daemon, what);
    signals_log(&daemon->logs.last);
    return true;
}

static void log_opened(const struct daemon *daemon, uint64_t ms)
{
    const struct store_stats *stats = store_stats(daemon->store);
    bool is_orderly = daemon->was_ended && stats->replayed_batches == 0 && stats->cut_bytes == 0;
    log_event(&daemon->logs.log, EVENT_store_opened,
              "path=%s orderly=%s queues=%zu messages=%llu replayed_batches=%llu cut_bytes=%llu "
              "mended=%llu ms=%llu",
              daemon->data_dir, is_orderly ? "yes" : "no", broker_queues(&daemon->broker),
              (unsigned long long)stats->messages_found,
              (unsigned long long)stats->replayed_batches, (unsigned long long)stats->cut_bytes,
              (unsigned long long)stats->mended, (unsigned long long)ms);
    if (!is_orderly)
        log_event(&daemon->logs.log, EVENT_journal_end,
                  "segment=%llu offset=%llu batch=%llu known_batch=%llu",
                  (unsigned long long)stats->end_segment, (unsigned long long)stats->end_offset,
                  (unsigned long long)stats->end_batch, (unsigned long long)stats->known_batch);
}

/* Builds everything, serves, and takes it down; returns the status to exit with. */
static int serve(struct daemon *daemon)
{
    uint64_t began_ms = clock_monotonic_ms();
    log_event(&daemon->logs.log, EVENT_starting, "version=%s process=%ld", PACKAGE_VERSION,
              (long)getpid());
    warn(daemon);
    if (!build(daemon)) {
        take_down(daemon, false);
        if (goes_on())
            return EXIT_FAILURE;
        log_event(&daemon->logs.log, EVENT_ended_at_once, "signal=%s", signals_asked());
        return EXIT_SUCCESS;
    }
    control_prepare_reload(daemon);
    log_opened(daemon, clock_monotonic_ms() - began_ms);
    warn_of_reserve(daemon);
    warn_of_users(daemon);
    int result = loop_run(daemon->loop, daemon->store);
    if (result > 0 && daemon->loop->listeners.where[0])
        bind_refused(&daemon->logs.log, daemon->loop->listeners.where, result);
    else if (result > 0)
        refuse(daemon, strerror(result));
    /* After a failure nothing more may be written, and waiting for the disk may never end. */
    if (result < 0) {
        logs_stop(&daemon->logs, LOG_PATIENCE_MS);
        _exit(EXIT_FAILURE);
    }
    take_down(daemon, true);
    log_event(&daemon->logs.log, EVENT_stopped, "process=%ld", (long)getpid());
    return result || daemon->office == OFFICE_FAILED ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* A service must not find its log, or a client, where standard input and output should be. */
static void open_standard_descriptors(void)
{
    int fd;
    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

static int refuse_usage(const char *fault)
{
    fprintf(stderr, "leveretd: %s\nTry 'leveretd --help'.\n", fault);
    return EXIT_USAGE;
}

/* ---- all of it ---- */

static int start(struct daemon *daemon)
{
    instead_store *work = instead_with_store(&daemon->options);
    if (work) {
        daemon->options.store.log = &daemon->logs.log;
        return work(&daemon->options);
    }
    if (!remarks_log(&daemon->logs.log, &daemon->config))
        return EXIT_USAGE;
    if (daemon->options.salvage || daemon->options.salvage_from) {
        daemon->options.store.log = &daemon->logs.log;
        return instead_salvage(&daemon->options);
    }
    const char *fault = options_fault(&daemon->options, &daemon->config);
    if (fault)
        return refuse_usage(fault);
    signals_begin();
    umask(077);
    int status = start_log(daemon) ? serve(daemon) : EXIT_FAILURE;
    logs_stop(&daemon->logs, LOG_PATIENCE_MS);
    signals_log(NULL);
    logs_free(&daemon->logs);
    log_exchange_free(&daemon->log_exchange);
    return status;
}

static int run(struct daemon *daemon, const struct options_input *input)
{
    char error[1024];
    if (!options_read(&daemon->options, &daemon->config, input, error, sizeof(error)))
        return refuse_usage(error);
    remarks_add(&daemon->config);
    instead *work = instead_of_all(&daemon->options);
    if (work)
        return work(&daemon->options, &daemon->config);
    logs_init(&daemon->logs, &daemon->options.logs);
    message_pool_init(&daemon->pool);
    return start(daemon);
}

int main(int count, char **arguments)
{
    struct daemon daemon = {.lock = -1, .is_drained = take_drained(), .arguments = arguments};
    manager_init(&daemon.manager);
    struct options_input input = {.count = count,
                                  .arguments = arguments,
                                  .environment = environ,
                                  .folder = "/etc/leveret",
                                  .rabbitmq = "/etc/rabbitmq"};
    open_standard_descriptors();
    machine_tune_allocator();
    daemon.reload.input = &input;
    int status = run(&daemon, &input);
    if (daemon.office == OFFICE_LOST || daemon.office == OFFICE_AGAIN || daemon.begins_anew)
        begin_again(&daemon);
    manager_free(&daemon.manager);
    reload_free(&daemon.reload);
    config_free(&daemon.config);
    return status;
}
