/* Copies of a broker's store, as the API makes them: each is opened beside it, and has everything
 * that was promised when it was begun. */
#include <inttypes.h>

#include "base/mem.h"
#include "broker/vhost.h"
#include "queue/queue.h"
#include "tests/lib/disk_memory.h"
#include "tests/lib/kv_memory.h"
#include "tests/sim/sim.h"

enum { TURNS_MAX = 100000 };

struct backup_copy {
    struct disk *disk;
    struct kv *kv;
    struct store_backup backup;
};

static struct machine *machine_of(const struct api_backups *backups)
{
    return list_entry(backups, struct machine, backups);
}

static const char *begin(const struct api_backups *backups, const char *folder, char *error,
                         size_t error_size)
{
    struct machine *machine = machine_of(backups);
    (void)folder;
    (void)error;
    (void)error_size;
    copy_free(machine);
    struct backup_copy *copy = mem_zalloc(sizeof(*copy));
    copy->disk = disk_memory_new();
    copy->kv = kv_memory_new();
    copy->backup = (struct store_backup){
        .disk = copy->disk, .kv = copy->kv, .worker = &machine->workers[WORKER_COPIER].slow.worker};
    machine->copy = copy;
    promises_note_copy(machine->sim);
    return store_backup(machine->store, &copy->backup) ? NULL : "another one is under way";
}

static void stop(const struct api_backups *backups)
{
    struct machine *machine = machine_of(backups);
    if (machine->copy)
        machine->copy->backup.unwanted = "it was given up";
}

static const struct store_backup *look(const struct api_backups *backups, const char **folder,
                                       bool *goes_on)
{
    const struct machine *machine = machine_of(backups);
    *folder = "/copy";
    *goes_on = machine->copy && machine->copy->backup.state == STORE_BACKUP_GOES_ON;
    return machine->copy ? &machine->copy->backup : NULL;
}

const struct api_backups copy_backups = {begin, stop, look};

void copy_free(struct machine *machine)
{
    struct backup_copy *copy = machine->copy;
    if (!copy)
        return;
    disk_memory_free(copy->disk);
    kv_memory_free(copy->kv);
    mem_free(copy);
    machine->copy = NULL;
}

/* ---- a broker over it ---- */

struct reading {
    struct sim *sim;
    struct store_options options;
    struct worker *worker;
    struct message_pool pool;
    struct random random;
    struct store *store;
    struct broker broker;
};

/* The numbers of all messages of a queue. */
static void read_queue(struct reading *reading, struct queue *queue, int number, struct idmap *ids)
{
    struct taken taken;
    uint64_t id;
    for (int turn = 0; turn < TURNS_MAX; turn++) {
        enum queue_result result = queue_take(queue, true, &taken);
        if (result == QUEUE_EMPTY)
            return;
        store_tick(reading->store, reading->sim->now_us / 1000);
        if (result == QUEUE_WAIT)
            continue;
        if (promise_knows(reading->sim, number, message_body(taken.message), &id) &&
            !idmap_find(ids, id))
            idmap_add(ids, id, reading);
        message_unref(&reading->pool, taken.message);
    }
    sim_fail(reading->sim, "%s of a copy cannot be read", queue_names[number]);
}

static void read_all(struct reading *reading)
{
    const struct vhost *vhost = vhost_find(&reading->broker, bytes_str("/"));
    for (int number = 0; number < QUEUES && vhost && !reading->sim->is_failed; number++) {
        struct idmap ids = {0};
        struct queue *queue = vhost_queue(vhost, bytes_str(queue_names[number]));
        if (queue)
            read_queue(reading, queue, number, &ids);
        promises_check_copy(reading->sim, number, &ids);
        idmap_free(&ids);
    }
}

static bool open_copy(struct reading *reading)
{
    static const uint8_t id[16] = {1};
    char error[600];
    if (!store_copy_adopt(reading->options.disk, reading->options.kv, id, error, sizeof(error))) {
        sim_fail(reading->sim, "a copy of the store does not become one: %s", error);
        return false;
    }
    reading->store =
        store_open(&reading->options, reading->sim->now_us / 1000, error, sizeof(error));
    if (!reading->store) {
        sim_fail(reading->sim, "a copy of the store cannot be opened: %s", error);
        return false;
    }
    broker_init(&reading->broker, reading->store, &reading->pool, &reading->random,
                reading->options.log, reading->sim->now_us / 1000);
    reading->broker.clock_ms = machine_message_ms(&reading->sim->machines[0]);
    if (!broker_restore(&reading->broker, error, sizeof(error)))
        sim_fail(reading->sim, "the names of a copy cannot be read: %s", error);
    return true;
}

void copy_check(struct machine *machine)
{
    struct reading *reading = mem_zalloc(sizeof(*reading));
    struct worker *worker = worker_manual_new(true);
    reading->sim = machine->sim;
    reading->options = machine->store_options;
    reading->options.disk = machine->copy->disk;
    reading->options.kv = machine->copy->kv;
    reading->options.syncer = reading->options.indexer = reading->options.reader = worker;
    reading->options.pool = &reading->pool;
    random_init(&reading->random, machine->sim->options->seed);
    message_pool_init(&reading->pool);
    if (open_copy(reading)) {
        read_all(reading);
        broker_free(&reading->broker);
        store_abandon(reading->store);
    }
    message_pool_free(&reading->pool);
    worker_manual_free(worker);
    mem_free(reading);
    machine->sim->report->met[MET_COPIED]++;
}
