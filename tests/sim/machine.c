/* A broker in memory: its disk, its workers, which take their time, and its loop. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/log_line.h"
#include "base/mem.h"
#include "broker/reconfigure.h"
#include "broker/vhost.h"
#include "http/http.h"
#include "queue/queue_limit.h"
#include "queue/queue_schedule.h"
#include "queue/queue_timer.h"
#include "session/look.h"
#include "tests/lib/disk_memory.h"
#include "tests/lib/kv_memory.h"
#include "tests/sim/sim.h"

enum { INPUT_MAX = 256 * 1024, WINDOW = 192 * 1024, PARTS = 7, CALLS_MAX = 40 };

static const uint64_t wall_clock_ms = 1600000000000;

uint64_t machine_clock_ms(const struct machine *machine)
{
    return wall_clock_ms + machine->sim->now_us / 1000 + (uint64_t)machine->sim->skew_ms;
}

uint64_t machine_message_ms(const struct machine *machine)
{
    return machine->messages_ms + machine->sim->now_us / 1000;
}

bool machine_was_short(const struct machine *machine)
{
    return machine->was_short;
}

uint64_t machine_refused(const struct machine *machine)
{
    return machine->store ? store_stats(machine->store)->messages_refused : UINT64_MAX;
}

/* Does any of these queues have messages that came back, and must be read first? */
static bool any_is_deferred(struct broker *broker, const char *prefix)
{
    struct scheduled first;
    uint64_t at = 0;
    const struct queue *queue;
    const struct vhost *vhost = vhost_find(broker, bytes_str("/"));
    while (vhost && (queue = map_next(&vhost->queues, &at)))
        if (bytes_start_with(queue_name(queue), prefix) && queue_schedule_deferred(queue, &first))
            return true;
    return false;
}

bool machine_is_settled(struct machine *machine, const char *prefix)
{
    struct broker *broker = &machine->broker;
    if (!machine->store)
        return false;
    if (reconfigure_is_left(broker) || store_is_congested(machine->store) ||
        queues_next_ms(&broker->queues) <= broker->queues.now_ms)
        return false;
    if (any_is_deferred(broker, prefix))
        return false;
    list_for_each(link, &broker->dead_letters) {
        const struct queue *queue = list_entry(link, struct queue, dead_letters_link);
        bool is_done = list_is_empty(&queue->dead_letters) && !queue_is_to_drop(queue);
        if (!is_done && bytes_start_with(queue_name(queue), prefix))
            return false;
    }
    return true;
}

/* ---- workers ---- */

/* How long a job takes: mostly what a disk takes, and now and then much longer. */
static uint64_t job_us(struct machine *machine)
{
    struct sim *sim = machine->sim;
    if (sim->now_us < machine->slow_until_us)
        return 20000 + sim_below(sim, 400000);
    return sim_chance(sim, 50) ? 1000 + sim_below(sim, 50000) : 20 + sim_below(sim, 600);
}

static void schedule_job(struct slow_worker *slow)
{
    struct sim_worker *worker = (struct sim_worker *)(void *)slow;
    struct machine *machine = worker->machine;
    uint64_t now_us = machine->sim->now_us, took_us = job_us(machine);
    if (now_us < machine->slow_until_us && now_us + took_us > machine->slow_job_us)
        machine->slow_job_us = now_us + took_us;
    sim_at(machine->sim, EVENT_JOB, machine->number, worker->which, took_us, machine->epoch);
}

void machine_job(struct machine *machine, int which)
{
    struct slow_worker *worker = &machine->workers[which].slow;
    if (!slow_worker_step(worker))
        return;
    if (!slow_worker_is_idle(worker))
        schedule_job(worker);
    machine_wake(machine, machine->sim->now_us);
}

static void forget_jobs(struct machine *machine)
{
    for (int i = 0; i < WORKERS; i++)
        slow_worker_forget(&machine->workers[i].slow);
}

/* ---- up and down ---- */

static void print_line(void *context, const struct log_record *record)
{
    struct machine *machine = context;
    char line[LOG_LINE_MAX + 1];
    log_line_text(record, line);
    printf("# %10.3f broker %d: %s %s\n", (double)machine->sim->now_us / 1e6, machine->number,
           log_level_name(record->level), line);
}

/* Sizes that are small enough for everything to happen often. */
static void draw_options(struct machine *machine)
{
    const struct dials *dials = &machine->sim->dials;
    struct store_options *options = &machine->store_options;
    store_options_default(options);
    options->segment_bytes = (uint32_t)dials->segment_bytes;
    options->chunk_entries = (uint32_t)dials->chunk_entries;
    options->cache_bytes = dials->cache_bytes;
    options->bodies_burst_bytes = dials->burst_bytes;
    options->bodies_idle_bytes = dials->burst_bytes / 8;
    options->checkpoint_bytes = dials->checkpoint_bytes;
    options->checkpoint_ms = dials->checkpoint_ms;
    options->batch_bytes = (uint32_t)dials->batch_bytes;
    if (dials->batch_max_bytes)
        options->batch_max_bytes = (uint32_t)dials->batch_max_bytes;
    options->batch_large_bytes = (uint32_t)dials->batch_large_bytes;
    options->release_slots = (uint32_t)dials->release_slots;
    options->mark_step = (uint32_t)dials->mark_step;
    options->recycle_segments = (uint32_t)dials->recycle_segments;
    options->group_shared_bytes = options->cache_bytes == 4096 ? 100 : 1000;
    options->group_slice_bytes = options->cache_bytes == 4096 ? 150 : 4 << 20;
    options->disk_reserve_bytes = 1 << 16;
    server_options_default(&machine->server_options);
    machine->server_options.version = "1.2.3";
    machine->server_options.memory_bytes_max = dials->memory_max;
    if (dials->output_max)
        machine->server_options.output_bytes_max = (uint32_t)dials->output_max;
}

void machine_init(struct sim *sim, int number)
{
    struct machine *machine = &sim->machines[number];
    *machine = (struct machine){.sim = sim, .number = number, .turn_us = UINT64_MAX};
    random_init(&machine->random, random_next(&sim->random));
    machine->disk = disk_memory_new();
    disk_memory_spare_reads(machine->disk); /* a message that cannot be read is set aside */
    machine->kv = kv_memory_new();
    if (sim->options->verbose)
        machine->log = (struct log){.sink = print_line, .context = machine};
    for (int i = 0; i < WORKERS; i++) {
        struct sim_worker *worker = &machine->workers[i];
        slow_worker_init(&worker->slow, schedule_job);
        worker->machine = machine;
        worker->which = i;
    }
    draw_options(machine);
}

void machine_free(struct machine *machine)
{
    if (machine->server)
        machine_end(machine, END_KILLED);
    disk_memory_free(machine->disk);
    kv_memory_free(machine->kv);
}

static bool open_broker(struct machine *machine)
{
    char error[500];
    if (broker_restore(&machine->broker, error, sizeof(error)))
        return true;
    sim_fail(machine->sim, "the broker refused its catalogue: %s", error);
    return false;
}

static void open_management(struct machine *machine)
{
    const struct http_options http = {0};
    const struct api_options options = {.backups = &machine->backups,
                                        .node = "leveret@sim",
                                        .cluster_name = "sim",
                                        .version = "1.2.3",
                                        .product_version = "3.13.7",
                                        .path_prefix = ""};
    machine->backups = copy_backups;
    machine->api = api_new(&options, machine->server, &machine->broker);
    machine->http = http_server_new(&http, api_handler(machine->api), &machine->pool, &machine->log,
                                    machine->sim->now_us / 1000);
    machine->management = http_server_service(machine->http);
}

static void close_management(struct machine *machine)
{
    for (int i = 0; i < ADMINS; i++)
        if (machine->sim->admins[i].machine == machine)
            admin_drop(&machine->sim->admins[i]);
    http_server_free(machine->http);
    api_free(machine->api);
}

void machine_drain(struct machine *machine)
{
    for (int i = 0; i < WORKERS; i++)
        slow_worker_drain(&machine->workers[i].slow);
}

bool machine_start(struct machine *machine)
{
    char error[600];
    struct sim *sim = machine->sim;
    struct store_options *options = &machine->store_options;
    message_pool_init(&machine->pool);
    options->disk = machine->disk;
    options->kv = machine->kv;
    options->syncer = &machine->workers[WORKER_SYNCER].slow.worker;
    options->indexer = &machine->workers[WORKER_INDEXER].slow.worker;
    options->reader = &machine->workers[WORKER_READER].slow.worker;
    options->pool = &machine->pool;
    options->log = &machine->log;
    machine->epoch++;
    disk_memory_spare_opens(machine->disk, false);
    machine->store = store_open(options, sim->now_us / 1000, error, sizeof(error));
    disk_memory_spare_opens(machine->disk, true);
    if (!machine->store) {
        sim_say(sim, "the store refused: %s", error);
        message_pool_free(&machine->pool);
        return false;
    }
    broker_init(&machine->broker, machine->store, &machine->pool, &machine->random, &machine->log, sim->now_us / 1000);
    machine->broker.clock_ms = machine_clock_ms(machine);
    machine->messages_ms = machine_clock_ms(machine) - sim->now_us / 1000;
    if (sim->options->agrees && !agree_open(machine)) {
        sim_say(sim, "the group does not come into office");
        broker_free(&machine->broker);
        agree_close(machine);
        store_abandon(machine->store);
        forget_jobs(machine);
        machine->store = NULL;
        message_pool_free(&machine->pool);
        return false;
    }
    if (!open_broker(machine))
        return false;
    stranger_come(machine);
    machine->server = server_new(&machine->server_options, &machine->broker, sim->now_us / 1000);
    if (machine->agree)
        agree_begin(machine);
    machine->service = server_service(machine->server);
    open_management(machine);
    machine_wake(machine, sim->now_us);
    return true;
}

/* What the workers were doing when the power went may have been done in part. */
static void cut_short(struct machine *machine)
{
    struct sim *sim = machine->sim;
    disk_memory_fail(machine->disk, 1 + sim_below(sim, 6), EIO, true);
    kv_memory_fail(machine->kv, 1 + sim_below(sim, 3), true);
    machine_drain(machine);
}

static void lose_clients(struct machine *machine)
{
    for (int i = 0; i < CLIENTS; i++) {
        struct client *client = &machine->sim->clients[i];
        if (client->machine == machine && client->solo)
            solo_machine_ends(client->solo);
        if (client->machine == machine && client->connection)
            client_lost(client);
    }
}

/* What the store has met. */
static void count_store(struct machine *machine)
{
    uint64_t *met = machine->sim->report->met;
    const struct store_stats *stats = store_stats(machine->store);
    met[MET_ROLLED] += stats->segments_rolled;
    met[MET_RETIRED] += stats->segments_retired;
    met[MET_CHECKPOINT] += stats->checkpoints;
    met[MET_COMPACTION] += stats->compactions;
    met[MET_SPILLED] += stats->chunks_spilled;
    met[MET_LOADED] += stats->chunks_loaded;
    met[MET_EVICTED] += stats->bodies_evicted;
    met[MET_READ] += stats->bodies_read;
    met[MET_PAGED] += stats->bodies_paged;
    met[MET_ELIDED] += stats->records_elided;
    met[MET_REPLAYED] += stats->replayed_batches;
    met[MET_CUT] += stats->cut_bytes > 0;
}

void machine_end(struct machine *machine, enum machine_end how)
{
    struct sim *sim = machine->sim;
    lose_clients(machine);
    close_management(machine);
    if (how != END_CLEAN)
        cut_short(machine);
    machine->is_breaking &= how == END_CLEAN;
    count_store(machine);
    server_free(machine->server);
    broker_free(&machine->broker);
    agree_close(machine);
    if (how == END_CLEAN)
        store_close(machine->store);
    else
        store_abandon(machine->store);
    copy_free(machine);
    forget_jobs(machine);
    machine->server = NULL;
    machine->store = NULL;
    machine->turn_us = UINT64_MAX;
    machine->epoch++;
    message_pool_free(&machine->pool);
    disk_memory_fail(machine->disk, 0, 0, false);
    kv_memory_fail(machine->kv, 0, false);
    if (how != END_CLEAN || machine->is_full || machine->is_breaking || sim->options->agrees)
        sim->crash_epoch = machine->epoch;
    if (how == END_CLEAN)
        return;
    enum crash crash = how == END_KILLED    ? CRASH_KEEP
                       : sim_chance(sim, 2) ? CRASH_DROP
                                            : CRASH_RANDOM;
    disk_memory_crash(machine->disk, crash, &sim->random);
    kv_memory_crash(machine->kv, crash == CRASH_KEEP, crash == CRASH_RANDOM ? &sim->random : NULL);
}

/* ---- the loop ---- */

void machine_wake(struct machine *machine, uint64_t at_us)
{
    struct sim *sim = machine->sim;
    if (!machine->server || at_us >= machine->turn_us)
        return;
    machine->turn_us = at_us;
    sim_at(sim, EVENT_TURN, machine->number, 0, at_us > sim->now_us ? at_us - sim->now_us : 0,
           machine->epoch);
}

static void feed(struct client *client)
{
    if (!client->connection || !client->arrived || !conversation_wants_input(client->connection))
        return;
    size_t size = client->arrived < INPUT_MAX ? client->arrived : INPUT_MAX;
    conversation_input(client->connection, bytes_of(client->to_broker.data, size));
    buffer_drop(&client->to_broker, size);
    client->arrived -= size;
}

/* The broker hangs up on a client: does it have a reason? */
static void check_end(struct client *client)
{
    struct sim *sim = client->sim;
    if (client->was_mute)
        sim->report->met[MET_HEARTBEAT_MISSED]++;
    else if (client->state != CLIENT_CLOSING && !client->is_told && !client->is_to_close &&
             !service_failure(client->machine->service))
        sim_fail(sim, "client %d: the broker hangs up", client->number);
}

/* Takes what fits on the way to a client; closes the socket of one that is finished. */
static void take_output(struct client *client)
{
    struct sim *sim = client->sim;
    struct iovec parts[PARTS];
    int count;
    while (client->connection && client->to_client.size < WINDOW &&
           (count = conversation_output(client->connection, parts, PARTS)) > 0) {
        size_t size = 0;
        for (int i = 0; i < count; i++) {
            buffer_add(&client->to_client, parts[i].iov_base, parts[i].iov_len);
            sim_digest(sim, parts[i].iov_base, parts[i].iov_len);
            size += parts[i].iov_len;
        }
        conversation_sent(client->connection, size);
    }
    if (client->connection && client->to_client.size < WINDOW) /* else there may be more */
        client->said_us = sim->now_us;
    bool is_end = client->connection && conversation_is_finished(client->connection);
    if (is_end) {
        check_end(client);
        conversation_free(client->connection);
        client->connection = NULL;
        client_orphaned(client);
    }
    if (!client->is_coming && (is_end || client->to_client.size)) {
        client->is_coming = true;
        sim_at(sim, EVENT_TO_CLIENT, client->machine->number, client->number,
               10 + sim_below(sim, 2000), client->epoch);
    }
}

/* Above the mark nothing more is taken in but what has begun, and what connections may always have.
 */
static void check_memory(struct machine *machine)
{
    struct sim *sim = machine->sim;
    const struct server_options *options = &machine->server_options;
    size_t bytes = message_pool_bytes(&machine->pool);
    uint64_t each = options->output_bytes_max * 5 + CHANNELS * sim->dials.body_max * 2;
    uint64_t most = options->memory_bytes_max + CLIENTS * each +
                    machine->store_options.batch_bytes + machine->store_options.batch_large_bytes +
                    (4 << 20);
    if (options->memory_bytes_max && bytes > most)
        sim_fail(sim, "broker %d: messages take %zu bytes, and %" PRIu64 " are the most",
                 machine->number, bytes, most);
}

bool machine_connection(const struct client *client, struct connection_view *view)
{
    struct peer peer = client_peer(client);
    char name[CLIENT_NAME_SIZE];
    client_name(&peer, 0, name);
    return server_connection_named(client->machine->server, bytes_str(name), view) &&
           strncmp(view->state, "clos", 4) != 0;
}

/* A channel that the broker has closed, as an answer was late, has given back what it had. */
static void look_for_timeouts(struct client *client)
{
    struct connection_view connection;
    struct channel_view view;
    for (uint16_t i = 1; i <= CHANNELS; i++) {
        struct sim_channel *channel = &client->channels[i];
        if (!channel_may_time_out(channel))
            continue;
        if (!machine_connection(client, &connection))
            return;
        struct client_id id = {connection.id, i};
        bool is_there = server_channel(client->machine->server, id, &view);
        bool is_running = is_there && strcmp(view.state, "running") == 0;
        channel->was_running |= is_running;
        channel->given = is_running ? view.unacked : channel->given;
        if (channel->was_running && !is_running)
            channel_timed_out(channel);
    }
}

/* The API has its part of the turn, behind the clients. */
static void tick_management(struct machine *machine)
{
    struct sim *sim = machine->sim;
    for (int i = 0; i < ADMINS; i++)
        if (sim->admins[i].machine == machine)
            admin_feed(&sim->admins[i]);
    service_tick(machine->management, sim->now_us / 1000, machine_clock_ms(machine));
    while (service_take_writable(machine->management))
        ;
    chores_ticked(machine);
    for (int i = 0; i < ADMINS; i++)
        if (sim->admins[i].machine == machine)
            admin_take(&sim->admins[i]);
}

void machine_turn(struct machine *machine)
{
    struct sim *sim = machine->sim;
    uint64_t now_ms = sim->now_us / 1000;
    machine->turn_us = UINT64_MAX;
    sim->report->turns++;
    /* As the loop does it: after a long silence its clock has stood still. */
    if (now_ms - machine->ticked_ms > MACHINE_STALE_MS && service_next_ms(machine->service) > now_ms)
        service_tick(machine->service, now_ms, machine_clock_ms(machine));
    machine->ticked_ms = now_ms;
    for (int i = 0; i < CLIENTS; i++)
        if (sim->clients[i].machine == machine)
            feed(&sim->clients[i]);
    service_tick(machine->service, sim->now_us / 1000, machine_clock_ms(machine));
    for (int i = 0; i < CLIENTS; i++)
        if (sim->clients[i].machine == machine)
            look_for_timeouts(&sim->clients[i]);
    tick_management(machine);
    while (service_take_writable(machine->service))
        ;
    for (int i = 0; i < CLIENTS; i++)
        if (sim->clients[i].machine == machine)
            take_output(&sim->clients[i]);
    check_memory(machine);
    uint64_t next_ms = service_next_ms(machine->service);
    if (service_next_ms(machine->management) < next_ms)
        next_ms = service_next_ms(machine->management);
    if (next_ms <= sim->now_us / 1000)
        machine_wake(machine, sim->now_us + 20);
    else if (next_ms != UINT64_MAX)
        machine_wake(machine, next_ms * 1000);
    for (int i = 0; i < CLIENTS; i++) {
        struct client *client = &sim->clients[i];
        if (client->machine == machine && client->connection && client->arrived &&
            conversation_wants_input(client->connection))
            machine_wake(machine, sim->now_us + 20);
    }
}
