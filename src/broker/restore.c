/* From the catalogue to the model. Entries come in the order of their keys, which is the order of
 * their needs, so that everything an entry names is there already; what is missing nevertheless
 * means that the catalogue is not what this program has written, and the start ends. Only of what was
 * leaving there may be bindings left: these go now. */
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
};

static void fail(struct restore *restore, const struct catalogue_entry *entry, const char *why)
{
    static const char *const kinds[] = {"entry",    "virtual host", "user",
                                        "exchange", "queue",        "binding"};
    size_t kind = entry->kind <= CATALOGUE_BINDING ? entry->kind : 0;
    snprintf(restore->error, restore->error_size, "catalogue: %s '%.*s': %s", kinds[kind],
             BYTES_ARG(entry->name), why);
    restore->failed = true;
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
        queue_new(vhost, &declare, entry->id);
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
    struct catalogue_entry entry;
    if (restore->failed)
        return;
    enum catalogue_result result = catalogue_read(key, value, &entry);
    if (result == CATALOGUE_NEWER)
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

bool broker_restore(struct broker *broker, char *error, size_t error_size)
{
    struct restore restore = {.broker = broker, .error = error, .error_size = error_size};
    list_init(&restore.leaving);
    store_catalogue_each(broker->store, restore_entry, &restore);
    end_leaving(&restore);
    if (restore.failed)
        return false;
    if (map_count(&broker->vhosts) == 0) {
        vhost_new(broker, bytes_str("/"), true);
        user_put(broker, bytes_str("guest"), bytes_str("guest"), true);
    }
    store_queues_settled(broker->store);
    return true;
}
