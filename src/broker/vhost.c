/* A virtual host is made with the exchanges that every client may count on: the default one, whose
 * name is empty, and those under the reserved prefix `amq.` (AMQP 0-9-1, 3.1.3, and RabbitMQ's own
 * amq.match and amq.rabbitmq.trace). */
#include "broker/vhost.h"

#include <assert.h>

#include "amqp/reply.h"
#include "base/mem.h"
#include "broker/apply.h"
#include "broker/binding.h"
#include "broker/dead_letter.h"
#include "broker/name.h"
#include "broker/removal.h"

struct vhost *vhost_find(struct broker *broker, struct bytes name)
{
    return map_find(&broker->vhosts, name);
}

static struct vhost *vhost_new(struct broker *broker, struct bytes name)
{
    struct vhost *vhost = mem_zalloc(sizeof(*vhost) + name.size + 1);
    vhost->broker = broker;
    vhost->name_size = name.size;
    if (name.size)
        memcpy(vhost->name, name.data, name.size);
    map_init(&vhost->exchanges, random_next(broker->random));
    map_init(&vhost->queues, random_next(broker->random));
    set_init(&vhost->bindings);
    vhost->bindings_seed = random_next(broker->random);
    map_init(&vhost->leaving_queues, random_next(broker->random));
    map_init(&vhost->leaving_exchanges, random_next(broker->random));
    map_add(&broker->vhosts, vhost_name(vhost), vhost);
    return vhost;
}

/* No function deletes a virtual host yet. */
void vhost_apply(struct broker *broker, const struct change *change)
{
    assert(!change->is_delete);
    struct vhost *vhost = vhost_new(broker, change->name);
    vhost->default_exchange = exchange_predeclare(vhost, "", &exchange_default, false);
    exchange_predeclare(vhost, "amq.direct", &exchange_direct, false);
    exchange_predeclare(vhost, "amq.fanout", &exchange_fanout, false);
    exchange_predeclare(vhost, "amq.topic", &exchange_topic, false);
    exchange_predeclare(vhost, "amq.headers", &exchange_headers, false);
    exchange_predeclare(vhost, "amq.match", &exchange_headers, false);
    exchange_predeclare(vhost, "amq.rabbitmq.trace", &exchange_topic, true);
}

struct vhost *vhost_put(struct broker *broker, struct bytes name)
{
    struct change change = {.kind = CATALOGUE_VHOST, .durable = true, .name = name};
    catalogue_apply(broker, &change, ON_RECORD);
    return vhost_find(broker, name);
}

void vhost_free(struct vhost *vhost)
{
    uint64_t at = 0;
    for (struct binding *binding; (binding = set_next(&vhost->bindings, &at));)
        binding_free(binding);
    removals_free(vhost);
    at = 0;
    for (struct queue *queue; (queue = map_next(&vhost->queues, &at));) {
        dead_letters_forget(queue);
        queue_free(queue);
    }
    at = 0;
    for (struct exchange *exchange; (exchange = map_next(&vhost->exchanges, &at));)
        exchange_free(exchange);
    set_free(&vhost->bindings);
    map_free(&vhost->queues);
    map_free(&vhost->exchanges);
    map_remove(&vhost->broker->vhosts, vhost_name(vhost));
    vhost->broker->changed_vhost = NULL;
    mem_free(vhost);
}

struct queue *vhost_queue(const struct vhost *vhost, struct bytes name)
{
    return map_find(&vhost->queues, name);
}

struct exchange *vhost_exchange(const struct vhost *vhost, struct bytes name)
{
    return map_find(&vhost->exchanges, name);
}

/* No name in a map holds what name_strip takes out, so this is asked only for names not found. */
static void *find_stripped(const struct map *map, struct bytes name)
{
    char room[NAME_MAX_SIZE];
    return map_find(map, name_strip(name, room));
}

struct queue *vhost_need_queue(const struct vhost *vhost, struct bytes name, struct error *error)
{
    struct queue *queue = vhost_queue(vhost, name);
    if (!queue)
        queue = find_stripped(&vhost->queues, name);
    if (!queue)
        error_set(error, REPLY_NOT_FOUND, "no queue '%.*s' in vhost '%s'", BYTES_ARG(name),
                  vhost->name);
    return queue;
}

struct exchange *vhost_need_exchange(const struct vhost *vhost, struct bytes name,
                                     struct error *error)
{
    struct exchange *exchange = vhost_exchange(vhost, name);
    if (!exchange)
        exchange = find_stripped(&vhost->exchanges, name);
    if (!exchange)
        error_set(error, REPLY_NOT_FOUND, "no exchange '%.*s' in vhost '%s'", BYTES_ARG(name),
                  vhost->name);
    return exchange;
}
