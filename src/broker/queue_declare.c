#include "broker/queue_declare.h"

#include "amqp/reply.h"
#include "amqp/table.h"
#include "broker/catalogue.h"
#include "broker/model.h"

struct queue *queue_add(struct vhost *vhost, const struct queue_declare *declare, uint64_t id)
{
    struct queue_properties properties = {
        .name = declare->name,
        .id = id,
        .durable = declare->durable && !declare->exclusive,
        .auto_delete = declare->auto_delete,
        .exclusive_owner = declare->exclusive ? declare->connection_id : 0,
        .arguments = declare->arguments,
    };
    struct queue *queue = queue_new(&vhost->broker->queues, vhost, &properties);
    map_add(&vhost->queues, queue_name(queue), queue);
    vhost->broker->topology++;
    return queue;
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
    struct queue *queue = queue_add(vhost, declare, 0);
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
