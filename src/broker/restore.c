/* From the catalogue to the model. Entries come in the order of their keys, which is the order of
 * their needs, so that everything an entry names is there already; what is missing nevertheless
 * means that the catalogue is not what this program has written, and the start ends. */
#include <stdio.h>

#include "amqp/table.h"
#include "broker/catalogue.h"
#include "broker/model.h"

struct restore {
    struct broker *broker;
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

static void restore_binding(struct restore *restore, struct vhost *vhost,
                            const struct catalogue_entry *entry)
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
    if (!source || (!request.queue && !request.exchange))
        fail(restore, entry, "one of its ends is missing");
    else if (!table_check(entry->arguments))
        fail(restore, entry, "its arguments are malformed");
    else if (!binding_put(source, &request, false, &error))
        fail(restore, entry, error.detail);
}

static void restore_in_vhost(struct restore *restore, const struct catalogue_entry *entry)
{
    struct vhost *vhost = vhost_find(restore->broker, entry->vhost);
    if (!vhost)
        fail(restore, entry, "its virtual host is missing");
    else if (entry->kind == CATALOGUE_EXCHANGE)
        restore_exchange(restore, vhost, entry);
    else if (entry->kind == CATALOGUE_QUEUE)
        restore_queue(restore, vhost, entry);
    else
        restore_binding(restore, vhost, entry);
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
    else if (entry.kind == CATALOGUE_VHOST)
        vhost_new(restore->broker, entry.name, false);
    else if (entry.kind == CATALOGUE_USER)
        user_put_hash(restore->broker, entry.name, entry.password_hash, false);
    else
        restore_in_vhost(restore, &entry);
}

bool broker_restore(struct broker *broker, char *error, size_t error_size)
{
    struct restore restore = {.broker = broker, .error = error, .error_size = error_size};
    store_catalogue_each(broker->store, restore_entry, &restore);
    if (restore.failed)
        return false;
    if (map_count(&broker->vhosts) == 0) {
        vhost_new(broker, bytes_str("/"), true);
        user_put(broker, bytes_str("guest"), bytes_str("guest"), true);
    }
    store_queues_settled(broker->store);
    return true;
}
