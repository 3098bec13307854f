/* From the catalogue to the model. Entries come in the order of their keys, which is the order of
 * their needs, so that everything an entry names is there already; what is missing nevertheless
 * means that the catalogue is not what this program has written, and the start ends. Only of what was
 * leaving there may be bindings left: these go now. */
#include <stdarg.h>
#include <stdio.h>

#include "amqp/table.h"
#include "base/mem.h"
#include "broker/catalogue.h"
#include "broker/model.h"

/* What is gone, but was still losing its bindings: as its entry's key says. */
struct leaving {
    struct list link;
    struct bytes key;
    uint8_t bytes[];
};

struct restore {
    struct broker *broker;
    struct list leaving;
    char *error;
    size_t error_size;
    bool failed; /* what follows is not looked at */
    const struct salvage *salvage; /* or NULL: then what fails goes, and the rest is looked at */
    struct bytes key;              /* of the entry */
};

static void tell(const struct salvage *salvage, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void tell(const struct salvage *salvage, const char *format, ...)
{
    char line[900];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    salvage->say(salvage->context, line);
}

static void fail(struct restore *restore, const struct catalogue_entry *entry, const char *why)
{
    static const char *const kinds[] = {"entry",    "virtual host", "user",
                                        "exchange", "queue",        "binding"};
    size_t kind = entry->kind <= CATALOGUE_BINDING ? entry->kind : 0;
    snprintf(restore->error, restore->error_size, "catalogue: %s '%.*s': %s", kinds[kind],
             BYTES_ARG(entry->name), why);
    restore->failed = !restore->salvage;
    if (!restore->salvage)
        return;
    tell(restore->salvage, "lost: %s", restore->error);
    store_catalogue_delete(restore->broker->store, restore->key);
}

static void restore_exchange(struct restore *restore, struct vhost *vhost,
                             const struct catalogue_entry *entry)
{
    const struct exchange_kind *kind = exchange_kind_find(entry->type);
    struct exchange_declare declare = {
        .name = entry->name,
        .durable = true,
        .auto_delete = entry->auto_delete,
        .internal = entry->internal,
        .arguments = entry->arguments,
    };
    if (!kind)
        fail(restore, entry, "its type is unknown");
    else if (vhost_exchange(vhost, entry->name))
        fail(restore, entry, "it is there already");
    else if (!table_check(entry->arguments))
        fail(restore, entry, "its arguments are malformed");
    else
        exchange_new(vhost, kind, &declare);
}

static void restore_queue(struct restore *restore, struct vhost *vhost,
                          const struct catalogue_entry *entry)
{
    struct queue_declare declare = {
        .name = entry->name,
        .durable = true,
        .auto_delete = entry->auto_delete,
        .arguments = entry->arguments,
    };
    if (entry->id == 0 || entry->id & STORE_ID_TRANSIENT)
        fail(restore, entry, "its id is impossible");
    else if (!table_check(entry->arguments))
        fail(restore, entry, "its arguments are malformed");
    else
        queue_add(vhost, &declare, entry->id);
}

static void restore_leaving(struct restore *restore, struct bytes key)
{
    struct leaving *leaving = mem_alloc(sizeof(*leaving) + key.size);
    memcpy(leaving->bytes, key.data, key.size);
    leaving->key = bytes_of(leaving->bytes, key.size);
    list_push_back(&restore->leaving, &leaving->link);
}

static bool is_leaving(const struct restore *restore, const struct catalogue_entry *binding,
                       bool is_queue, struct bytes name)
{
    list_for_each(link, &restore->leaving)
    {
        struct catalogue_entry entry;
        catalogue_read(list_entry(link, struct leaving, link)->key, bytes_str("\x01"), &entry);
        if (entry.to_queue == is_queue && bytes_equal(entry.name, name) &&
            bytes_equal(entry.vhost, binding->vhost))
            return true;
    }
    return false;
}

/* A binding without one of its ends; its source, if that is there, may have lost its last one. */
static void drop_binding(struct restore *restore, const struct catalogue_entry *entry,
                         struct bytes key, struct exchange *source, bool has_destination)
{
    if ((!source && !is_leaving(restore, entry, false, entry->source)) ||
        (!has_destination && !is_leaving(restore, entry, entry->to_queue, entry->name))) {
        fail(restore, entry, "one of its ends is missing");
        return;
    }
    store_catalogue_delete(restore->broker->store, key);
    if (source && source->auto_delete && list_is_empty(&source->doomed_link))
        list_push_back(&restore->broker->doomed, &source->doomed_link);
}

static void restore_binding(struct restore *restore, struct vhost *vhost,
                            const struct catalogue_entry *entry, struct bytes key)
{
    struct exchange *source = vhost_exchange(vhost, entry->source);
    struct binding_request request = {
        .source = entry->source,
        .queue = entry->to_queue ? vhost_queue(vhost, entry->name) : NULL,
        .exchange = entry->to_queue ? NULL : vhost_exchange(vhost, entry->name),
        .key = entry->routing_key,
        .arguments = entry->arguments,
    };
    struct error error = {0};
    bool has_destination = request.queue || request.exchange;
    if (!source || !has_destination)
        drop_binding(restore, entry, key, source, has_destination);
    else if (!table_check(entry->arguments))
        fail(restore, entry, "its arguments are malformed");
    else if (!binding_put(source, &request, false, &error))
        fail(restore, entry, error.detail);
}

static void restore_in_vhost(struct restore *restore, const struct catalogue_entry *entry,
                             struct bytes key)
{
    struct vhost *vhost = vhost_find(restore->broker, entry->vhost);
    if (!vhost && restore->salvage) {
        tell(restore->salvage, "made again: virtual host '%.*s'", BYTES_ARG(entry->vhost));
        vhost = vhost_new(restore->broker, entry->vhost, true);
    }
    if (!vhost)
        fail(restore, entry, "its virtual host is missing");
    else if (entry->kind == CATALOGUE_EXCHANGE)
        restore_exchange(restore, vhost, entry);
    else if (entry->kind == CATALOGUE_QUEUE)
        restore_queue(restore, vhost, entry);
    else
        restore_binding(restore, vhost, entry, key);
}

static void restore_entry(void *context, struct bytes key, struct bytes value)
{
    struct restore *restore = context;
    struct catalogue_entry entry = {0};
    if (restore->failed)
        return;
    restore->key = key;
    enum catalogue_result result = catalogue_read(key, value, &entry);
    if (result == CATALOGUE_NEWER && restore->salvage)
        tell(restore->salvage, "a name was written by a newer version: start that one");
    else if (result == CATALOGUE_NEWER)
        fail(restore, &entry, "written by a newer version of this program");
    else if (result == CATALOGUE_MALFORMED)
        fail(restore, &entry, "malformed");
    else if (entry.kind == CATALOGUE_LEAVING)
        restore_leaving(restore, key);
    else if (entry.kind == CATALOGUE_VHOST)
        vhost_new(restore->broker, entry.name, false);
    else if (entry.kind == CATALOGUE_USER)
        user_put_hash(restore->broker, entry.name, entry.password_hash, false);
    else
        restore_in_vhost(restore, &entry, key);
}

/* What was leaving has left. */
static void end_leaving(struct restore *restore)
{
    for (struct list *link; (link = list_take_first(&restore->leaving));) {
        struct leaving *leaving = list_entry(link, struct leaving, link);
        if (!restore->failed)
            store_catalogue_delete(restore->broker->store, leaving->key);
        mem_free(leaving);
    }
    if (!restore->failed)
        exchanges_reap(restore->broker);
}

static void make_first(struct broker *broker)
{
    vhost_new(broker, bytes_str("/"), true);
    user_put(broker, bytes_str("guest"), bytes_str("guest"), true);
}

/* A queue whose name is lost. */
static void adopt(void *context, struct index *index)
{
    struct restore *restore = context;
    char name[64];
    if (index->owner || index->ready == 0)
        return;
    size_t at = 0;
    struct vhost *vhost = vhost_find(restore->broker, bytes_str("/"));
    if (!vhost)
        vhost = map_next(&restore->broker->vhosts, &at);
    snprintf(name, sizeof(name), "salvaged.%llu", (unsigned long long)index->id);
    struct queue_declare declare = {.name = bytes_str(name), .durable = true};
    if (vhost_queue(vhost, declare.name))
        return;
    catalogue_put_queue(queue_add(vhost, &declare, index->id));
    tell(restore->salvage, "the name is lost: queue %llu is called '%s' now",
         (unsigned long long)index->id, name);
}

static void tell_queue(void *context, struct index *index)
{
    const struct restore *restore = context;
    const struct queue *queue = index->owner;
    if (queue)
        tell(restore->salvage, "queue %llu: '%.*s' in virtual host '%.*s': %llu messages",
             (unsigned long long)index->id, BYTES_ARG(queue_name(queue)),
             (int)queue->vhost->name_size, queue->vhost->name, (unsigned long long)index->ready);
}

void broker_salvage(struct broker *broker, const struct salvage *salvage)
{
    char error[512];
    struct restore restore = {
        .broker = broker, .salvage = salvage, .error = error, .error_size = sizeof(error)};
    list_init(&restore.leaving);
    store_catalogue_each(broker->store, restore_entry, &restore);
    end_leaving(&restore);
    if (map_count(&broker->vhosts) == 0)
        vhost_new(broker, bytes_str("/"), true);
    if (map_count(&broker->users) == 0) {
        tell(salvage, "no user is left: guest is made again");
        user_put(broker, bytes_str("guest"), bytes_str("guest"), true);
    }
    store_queues_each(broker->store, adopt, &restore);
    store_queues_each(broker->store, tell_queue, &restore);
    store_drop_orphans(broker->store);
}

bool broker_restore(struct broker *broker, char *error, size_t error_size)
{
    struct restore restore = {.broker = broker, .error = error, .error_size = error_size};
    list_init(&restore.leaving);
    store_catalogue_each(broker->store, restore_entry, &restore);
    end_leaving(&restore);
    if (restore.failed)
        return false;
    if (map_count(&broker->vhosts) == 0)
        make_first(broker);
    store_drop_orphans(broker->store);
    return true;
}
