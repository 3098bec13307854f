/* The model is built as at a start, from a store to which nothing is written, and then each queue is
 * walked: of its messages one at a time is in memory. */
#include "dump_store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/messages.h"
#include "base/mem.h"
#include "broker/catalogue.h"
#include "broker/exchange.h"
#include "broker/vhost.h"
#include "check_store.h"
#include "definitions/definitions.h"
#include "folder.h"

enum { DUMP_LINE_BYTES = 1 << 16, PARTS_OF_PRIORITIES = STORE_PARTS };

struct dump {
    const struct dump_options *wanted;
    struct store *store;
    struct broker broker;
    struct message_pool pool;
    struct random random;
    struct buffer out;
    const struct vhost *vhost; /* that is being dumped */
    const struct queue *queue;
    uint64_t messages, damaged;
};

static void write_out(struct dump *dump)
{
    fwrite(dump->out.data, 1, dump->out.size, stdout);
    dump->out.size = 0;
}

static void add(struct dump *dump, const char *text)
{
    buffer_add(&dump->out, text, strlen(text));
}

/* ---- messages ---- */

static void add_message(struct dump *dump, const struct store_message *one)
{
    static const struct message_style style = {.truncate = UINT64_MAX};
    const struct queue *queue = dump->queue;
    struct fields fields = fields_of(&dump->out, NULL);
    fields_begin(&fields, '{');
    fields_text(&fields, "vhost", vhost_name(dump->vhost));
    fields_text(&fields, queue->is_delay ? "held_by_exchange" : "queue", queue_name(queue));
    fields_flag(&fields, "redelivered", one->redelivered);
    fields_whole(&fields, "delivery_count", one->delivery_count);
    if (one->ends_ms)
        fields_whole(&fields, "ends_ms", one->ends_ms);
    message_add(&fields, one->message, &style);
    fields_end(&fields, '}');
}

static bool put_message(void *context, const struct store_message *one)
{
    struct dump *dump = context;
    if (!one->message) {
        dump->damaged++;
        return true;
    }
    if (dump->wanted->is_document && dump->messages)
        add(dump, ",\n");
    add_message(dump, one);
    if (!dump->wanted->is_document)
        add(dump, "\n");
    dump->messages++;
    if (dump->out.size >= DUMP_LINE_BYTES)
        write_out(dump);
    return !ferror(stdout);
}

/* A queue with priorities has its messages in several parts, the highest of which is the first. */
static void put_queue(struct dump *dump, struct queue *queue)
{
    bool goes_on = true;
    dump->queue = queue;
    for (int part = queue->kind == &queue_priority ? PARTS_OF_PRIORITIES - 1 : 0;
         goes_on && part >= 0; part--) {
        uint64_t id = store_part_id(queue->id, (uint8_t)part);
        struct index *index = store_queue_find(dump->store, id, queue);
        goes_on = !index || store_messages_each(dump->store, index, put_message, dump);
    }
}

static int by_name(const void *a, const void *b)
{
    const struct queue *const *left = a, *const *right = b;
    return bytes_compare(queue_name(*left), queue_name(*right));
}

static void put_queues(struct dump *dump)
{
    size_t count = 0;
    struct queue *queue, **list =
        mem_zalloc_array(map_count(&dump->vhost->queues) + 1, sizeof(*list));
    for (uint64_t at = 0; (queue = map_next(&dump->vhost->queues, &at));)
        if (!queue->is_delay)
            list[count++] = queue;
    qsort(list, count, sizeof(struct queue *), by_name);
    for (size_t i = 0; i < count && !ferror(stdout); i++)
        put_queue(dump, list[i]);
    mem_free(list);
}

/* What exchanges hold back. */
static void put_delays(struct dump *dump)
{
    const struct exchange *exchange;
    for (uint64_t at = 0; (exchange = map_next(&dump->vhost->exchanges, &at));)
        if (exchange->delays && !ferror(stdout))
            put_queue(dump, exchange->delays);
}

static void put_vhost(struct dump *dump, const struct vhost *vhost)
{
    dump->vhost = vhost;
    put_queues(dump);
    put_delays(dump);
}

static void put_messages(struct dump *dump, const struct vhost *only, struct queue *queue)
{
    const struct vhost *vhost;
    if (queue) {
        dump->vhost = only;
        put_queue(dump, queue);
    } else if (only) {
        put_vhost(dump, only);
    } else {
        for (uint64_t at = 0; (vhost = map_next(&dump->broker.vhosts, &at));)
            put_vhost(dump, vhost);
    }
}

/* ---- definitions ---- */

static void tell_left_out(void *context, const struct definitions_remark *remark)
{
    (void)context;
    fprintf(stderr, "definitions: %s '%.*s': %s\n", remark->kind, BYTES_ARG(remark->name),
            remark->text);
}

static void put_definitions(struct dump *dump, const struct vhost *only)
{
    const struct definitions_origin origin = {PACKAGE_VERSION, dump->wanted->product_version};
    const struct definitions_listener listener = {tell_left_out, NULL};
    definitions_export(&dump->broker, only, &origin, &listener, &dump->out);
}

/* ---- all of it ---- */

static void put_all(struct dump *dump, const struct vhost *only, struct queue *queue)
{
    bool is_document = dump->wanted->is_document;
    if (!queue) {
        add(dump, "{\"definitions\":");
        put_definitions(dump, only);
        add(dump, is_document ? "," : "}\n");
    } else if (is_document) {
        add(dump, "{");
    }
    add(dump, is_document ? "\"messages\":[\n" : "");
    put_messages(dump, only, queue);
    add(dump, is_document ? "\n]}\n" : "");
    write_out(dump);
}

static int tell_end(const struct dump *dump)
{
    if (dump->damaged)
        fprintf(stderr, "%llu messages are damaged, and left out\n",
                (unsigned long long)dump->damaged);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "the output cannot be written: %s\n", strerror(errno));
        return 1;
    }
    return dump->damaged ? 1 : 0;
}

static int dump_wanted(struct dump *dump)
{
    const char *name = dump->wanted->vhost, *queue_wanted = dump->wanted->queue;
    const struct vhost *only = NULL;
    struct queue *queue = NULL;
    if (queue_wanted && !name)
        name = "/";
    if (name && !(only = vhost_find(&dump->broker, bytes_str(name)))) {
        fprintf(stderr, "there is no virtual host '%s' in it\n", name);
        return 2;
    }
    if (queue_wanted && !(queue = vhost_queue(only, bytes_str(queue_wanted)))) {
        fprintf(stderr, "there is no queue '%s' in virtual host '%s'\n", queue_wanted, name);
        return 2;
    }
    put_all(dump, only, queue);
    return tell_end(dump);
}

static int refuse(const char *path, const char *why)
{
    fprintf(stderr, "not dumped: %s; 'leveretd --check-store %s' says more\n", why, path);
    return 1;
}

static int dump_open(struct dump *dump, const char *path, struct store_options *options)
{
    char error[1024];
    static const uint8_t seed[32];
    dump->store = store_open_unwritten(options, error, sizeof(error));
    if (!dump->store)
        return refuse(path, error);
    random_init_strong(&dump->random, seed); /* nobody is met here who could guess it */
    broker_init(&dump->broker, dump->store, &dump->pool, &dump->random, options->log, 0);
    int status = broker_read(&dump->broker, error, sizeof(error)) ? dump_wanted(dump)
                                                                   : refuse(path, error);
    broker_free(&dump->broker);
    store_abandon(dump->store);
    return status;
}

static int dump_copy(const char *path, const struct dump_options *wanted,
                     struct store_options *options)
{
    struct dump dump = {.wanted = wanted};
    struct disk *disk = disk_posix_new(path);
    char *copy = disk ? check_copy_index(path) : NULL;
    int status = 2;
    message_pool_init(&dump.pool);
    if (copy) {
        struct worker *worker = worker_manual_new(true);
        options->disk = disk;
        options->kv = kv_leveldb_new(copy);
        options->pool = &dump.pool;
        options->syncer = options->indexer = options->reader = worker;
        options->is_newer = catalogue_is_newer;
        status = dump_open(&dump, path, options);
        worker_manual_free(worker);
        kv_leveldb_free(options->kv);
    }
    message_pool_free(&dump.pool);
    buffer_free(&dump.out);
    check_drop_copy(copy);
    disk_posix_free(disk);
    return status;
}

int dump_store(const char *path, const struct dump_options *wanted, struct store_options *options)
{
    char error[700];
    if (!check_is_store(path, error, sizeof(error))) {
        fprintf(stderr, "%s\n", error);
        return 2;
    }
    int lock = folder_lock(path, false, error, sizeof(error));
    int status = 2;
    if (lock < 0 && error[0])
        fprintf(stderr, "%s; of a broker that runs 'leveretctl backup' makes a copy to look at\n",
                error);
    else
        status = dump_copy(path, wanted, options);
    if (lock >= 0)
        close(lock);
    return status;
}
