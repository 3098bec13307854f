#include "broker/queue_declare.h"

#include "amqp/reply.h"
#include "amqp/table.h"
#include "broker/apply.h"
#include "broker/dead_letter.h"
#include "broker/equivalence.h"
#include "broker/name.h"
#include "broker/overflow.h"
#include "broker/queue_arguments.h"
#include "broker/quota.h"
#include "broker/reconfigure.h"
#include "broker/seen.h"
#include "queue/queue_consumer.h"
#include "queue/queue_timer.h"

/* ---- applying ---- */

static void queue_add(struct vhost *vhost, const struct change *change)
{
    struct queue_properties properties = {
        .name = change->name,
        .id = change->id,
        .durable = change_says_durable(change),
        .auto_delete = change->auto_delete,
        .exclusive_owner = change->owner,
        .sources = queue_sources_of(vhost, change->name, change->arguments),
    };
    struct queue *queue = queue_new(&vhost->broker->queues, vhost, &properties);
    queue_sum(queue, quota_counts(vhost->quota));
    map_add(&vhost->queues, queue_name(queue), queue);
    vhost->broker->queues_made++;
    vhost->broker->topology++;
    overflow_note(queue);
}

void queue_take_out(struct queue *queue)
{
    queue->is_leaving = true;
    queue_lose_consumers(queue);
    dead_letters_forget(queue);
    seen_leave_queue(queue);
    queue_drop(queue);
    list_remove(&queue->owner_link);
    map_remove(&queue->vhost->queues, queue_name(queue));
    queue->vhost->broker->queues_gone++;
    queue->vhost->broker->topology++;
}

void queue_apply(struct vhost *vhost, const struct change *change)
{
    struct queue *queue;
    if (!change->is_delete) {
        queue_add(vhost, change);
    } else if ((queue = vhost_queue(vhost, change->name))) {
        queue_take_out(queue);
        queue_free(queue);
    }
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
static bool check_name(const struct queue_declare *declare, struct bytes name, struct error *error)
{
    return declare->generated || !bytes_start_with(name, "amq.") ||
           error_set(error, REPLY_ACCESS_REFUSED,
                     "queue name '%.*s' contains reserved prefix 'amq.*'", BYTES_ARG(name));
}

/* All queues of a group are with all of its members. Durable ones are of the group anyway, others when that is
 * asked for, and exclusive ones never, as they live with a connection. */
static bool is_mirrored(const struct vhost *vhost, const struct queue_declare *declare,
                        struct bytes name)
{
    if (!vhost->broker->options.queue_group || declare->durable || declare->exclusive)
        return false;
    struct queue_sources sources = queue_sources_of(vhost, name, declare->arguments);
    return queue_sources_mirror(&sources);
}

static struct change change_of(const struct vhost *vhost, const struct queue_declare *declare,
                               struct bytes name)
{
    bool mirrored = is_mirrored(vhost, declare, name);
    bool survives = mirrored || (declare->durable && !declare->exclusive);
    return (struct change){
        .kind = CATALOGUE_QUEUE,
        .durable = survives,
        .is_mirrored = mirrored,
        .auto_delete = declare->auto_delete,
        .vhost = vhost_name(vhost),
        .name = name,
        .arguments = declare->arguments,
        .id = broker_queue_id(vhost->broker, survives),
        .owner = declare->exclusive ? declare->connection_id : 0,
    };
}

bool queue_declare_decide(const struct vhost *vhost, const struct queue_declare *declare,
                          struct changes *changes, struct error *error)
{
    char room[NAME_MAX_SIZE];
    struct bytes name = name_strip(declare->name, room);
    const struct queue *queue;
    if (declare->passive)
        return (queue = vhost_need_queue(vhost, name, error)) &&
               queue_check_access(queue, declare->connection_id, error);
    if (!check_name(declare, name, error))
        return false;
    queue = vhost_queue(vhost, name);
    struct queue_declare typed = *declare;
    typed.arguments = queue_arguments_with_type(vhost, queue, declare, changes);
    if (queue)
        return check_equivalent(queue, &typed, error);
    if (!queue_arguments_check(vhost, name, &typed, error) || !vhost_has_room(vhost, name, error))
        return false;
    if (name.data == (const void *)room)
        name = changes_keep(changes, name);
    struct change change = change_of(vhost, &typed, name);
    changes_add(changes, &change);
    return true;
}

struct queue *queue_declare(struct vhost *vhost, const struct queue_declare *declare, bool *created,
                            struct error *error)
{
    char room[NAME_MAX_SIZE], generated[32];
    struct changes *changes = &vhost->broker->changes;
    struct queue_declare stripped = *declare;
    stripped.name = name_strip(declare->name, room);
    if (stripped.name.size == 0 && !declare->passive) { /* nothing but line ends */
        queue_generate_name(vhost, generated);
        stripped.name = bytes_str(generated);
        stripped.generated = true;
    }
    bool allowed = queue_declare_decide(vhost, &stripped, changes, error);
    *created = changes->count;
    changes_apply(vhost->broker, changes);
    struct queue *queue = allowed ? vhost_queue(vhost, stripped.name) : NULL;
    vhost->broker->queues_declared += queue && !declare->passive;
    if (*created)
        queue_arguments_warn(queue);
    else if (queue)
        queue_used(queue);
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

static bool refuse_condition(const struct queue *queue, const char *flag, struct error *error)
{
    return error_set(error, REPLY_NOT_IMPLEMENTED,
                     "cannot delete queue '%s' in vhost '%s'. queue.delete operations with %s flag "
                     "set are not supported by quorum queues",
                     queue->name, queue->vhost->name, flag);
}

bool queue_delete_check(const struct queue *queue, bool if_unused, bool if_empty,
                        struct error *error)
{
    if (queue->settings->is_quorum && if_unused)
        return refuse_condition(queue, "if-unused", error);
    if (queue->settings->is_quorum && if_empty)
        return refuse_condition(queue, "if-empty", error);
    if (if_unused && queue->consumer_count)
        return error_set(error, REPLY_PRECONDITION_FAILED, "queue '%s' in vhost '%s' in use",
                         queue->name, queue->vhost->name);
    if (if_empty && !queue_is_empty(queue))
        return error_set(error, REPLY_PRECONDITION_FAILED, "queue '%s' in vhost '%s' not empty",
                         queue->name, queue->vhost->name);
    return true;
}
