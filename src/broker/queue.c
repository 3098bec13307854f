#include "broker/queue.h"

#include <assert.h>

#include "amqp/reply.h"
#include "amqp/table.h"
#include "base/mem.h"
#include "broker/catalogue.h"
#include "broker/model.h"

static void copy_arguments(struct queue *queue, struct bytes arguments)
{
    struct bytes exchange = {0}, key = {0};
    queue->arguments_size = arguments.size;
    if (arguments.size)
        queue->arguments = mem_dup(arguments.data, arguments.size);
    bool has_exchange = table_find_string(arguments, "x-dead-letter-exchange", &exchange);
    bool has_key = table_find_string(arguments, "x-dead-letter-routing-key", &key);
    queue->dead_letter_exchange = name_copy(has_exchange, exchange);
    /* No message can have a longer one. */
    if (has_key && key.size > NAME_MAX_SIZE)
        key.size = NAME_MAX_SIZE;
    queue->dead_letter_routing_key = name_copy(has_key, key);
}

struct queue *queue_new(struct vhost *vhost, const struct queue_declare *declare, uint64_t id)
{
    struct queue *queue = mem_zalloc(sizeof(*queue) + declare->name.size + 1);
    queue->vhost = vhost;
    queue->durable = declare->durable && !declare->exclusive;
    queue->auto_delete = declare->auto_delete;
    queue->exclusive_owner = declare->exclusive ? declare->connection_id : 0;
    copy_arguments(queue, declare->arguments);
    list_init(&queue->bindings);
    list_init(&queue->consumers);
    list_init(&queue->ready_consumers);
    list_init(&queue->working_link);
    list_init(&queue->owner_link);
    list_init(&queue->dead_letters);
    list_init(&queue->dead_letters_link);
    queue->name_size = declare->name.size;
    memcpy(queue->name, declare->name.data, declare->name.size);
    struct store *store = vhost->broker->store;
    queue->id = id ? id : store_queue_id(store, queue->durable);
    queue->index = store_queue(store, queue->id, queue);
    map_add(&vhost->queues, queue_name(queue), queue);
    vhost->broker->topology++;
    return queue;
}

void queue_free(struct queue *queue)
{
    dead_letters_forget(queue);
    mem_free(queue->arguments);
    mem_free(queue->dead_letter_exchange);
    mem_free(queue->dead_letter_routing_key);
    mem_free(queue);
}

/* ---- declare ---- */

static bool refuse_locked(const struct queue *queue, struct error *error)
{
    char resource[RESOURCE_MAX];
    resource_text(resource, "queue", queue_name(queue), queue->vhost);
    return error_set(error, REPLY_RESOURCE_LOCKED,
                     "cannot obtain exclusive access to locked %s. It could be originally "
                     "declared on another connection or the exclusive property value does not "
                     "match that of the original declaration.",
                     resource);
}

bool queue_check_access(const struct queue *queue, uint64_t connection_id, struct error *error)
{
    if (queue->exclusive_owner == 0 || queue->exclusive_owner == connection_id)
        return true;
    return refuse_locked(queue, error);
}

static bool check_equivalent(const struct queue *queue, const struct queue_declare *declare,
                             struct error *error)
{
    char resource[RESOURCE_MAX];
    resource_text(resource, "queue", queue_name(queue), queue->vhost);
    if (queue->exclusive_owner != (declare->exclusive ? declare->connection_id : 0))
        return refuse_locked(queue, error);
    return equivalent_bool(resource, "durable", declare->durable && !declare->exclusive,
                           queue->durable, error) &&
           equivalent_bool(resource, "auto_delete", declare->auto_delete, queue->auto_delete,
                           error) &&
           queue_arguments_equivalent(queue, declare->arguments, error);
}

/* Those names are given by the server, and nobody else declares them, also when they are there. */
static bool check_name(const struct queue_declare *declare, struct error *error)
{
    return declare->generated || !bytes_start_with(declare->name, "amq.") ||
           error_set(error, REPLY_ACCESS_REFUSED,
                     "queue name '%.*s' contains reserved prefix 'amq.*'",
                     BYTES_ARG(declare->name));
}

static struct queue *declare_new(struct vhost *vhost, const struct queue_declare *declare,
                                 struct error *error)
{
    if (!queue_arguments_check(vhost, declare->name, declare, error))
        return NULL;
    struct queue *queue = queue_new(vhost, declare, 0);
    if (queue->durable)
        catalogue_put_queue(queue);
    queue_arguments_warn(queue);
    return queue;
}

struct queue *queue_declare(struct vhost *vhost, const struct queue_declare *declare, bool *created,
                            struct error *error)
{
    char room[NAME_MAX_SIZE], generated[32];
    struct queue_declare stripped = *declare;
    stripped.name = name_strip(declare->name, room);
    *created = false;
    if (declare->passive) {
        struct queue *queue = vhost_need_queue(vhost, stripped.name, error);
        return queue && queue_check_access(queue, declare->connection_id, error) ? queue : NULL;
    }
    if (stripped.name.size == 0) { /* nothing but line ends */
        queue_generate_name(vhost, generated);
        stripped.name = bytes_str(generated);
        stripped.generated = true;
    }
    if (!check_name(&stripped, error))
        return NULL;
    struct queue *queue = vhost_queue(vhost, stripped.name);
    if (queue)
        return check_equivalent(queue, declare, error) ? queue : NULL;
    queue = declare_new(vhost, &stripped, error);
    *created = queue;
    return queue;
}

void queue_generate_name(struct vhost *vhost, char *name)
{
    static const char prefix[] = "amq.gen-";
    do {
        memcpy(name, prefix, sizeof(prefix));
        random_name(vhost->broker->random, name + sizeof(prefix) - 1, 22);
    } while (vhost_queue(vhost, bytes_str(name)));
}

/* ---- the rest ---- */

void queue_forget(struct queue *queue)
{
    assert(list_is_empty(&queue->consumers));
    dead_letters_forget(queue);
    list_remove(&queue->working_link);
    list_remove(&queue->owner_link);
}

void queue_has_work(struct queue *queue)
{
    if (list_is_empty(&queue->working_link))
        list_push_back(&queue->vhost->broker->working, &queue->working_link);
}
