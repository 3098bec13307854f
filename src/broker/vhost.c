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
#include "broker/parameter.h"
#include "broker/policy.h"
#include "broker/quota.h"
#include "broker/reconfigure.h"
#include "broker/removal.h"
#include "broker/vhost_defaults.h"

enum { VHOST_TEXT_MAX = 1024 };

struct vhost *vhost_find(struct broker *broker, struct bytes name)
{
    return map_find(&broker->vhosts, name);
}

struct vhost *vhost_need(struct broker *broker, struct bytes name, struct error *error)
{
    struct vhost *vhost = vhost_find(broker, name);
    if (!vhost)
        error_set(error, REPLY_NOT_FOUND, "no vhost '%.*s'", BYTES_ARG(name));
    return vhost;
}

struct vhost *vhost_find_any(struct broker *broker, struct bytes name)
{
    struct vhost *vhost = vhost_find(broker, name);
    return vhost ? vhost : map_find(&broker->going, name);
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
    list_init(&vhost->reconfigure_link);
    vhost->bindings_seed = random_next(broker->random);
    map_init(&vhost->leaving_queues, random_next(broker->random));
    map_init(&vhost->leaving_exchanges, random_next(broker->random));
    map_init(&vhost->parameters, random_next(broker->random));
    map_add(&broker->vhosts, vhost_name(vhost), vhost);
    return vhost;
}

static void predeclare(struct vhost *vhost)
{
    vhost->default_exchange = exchange_predeclare(vhost, "", &exchange_default, false);
    exchange_predeclare(vhost, "amq.direct", &exchange_direct, false);
    exchange_predeclare(vhost, "amq.fanout", &exchange_fanout, false);
    exchange_predeclare(vhost, "amq.topic", &exchange_topic, false);
    exchange_predeclare(vhost, "amq.headers", &exchange_headers, false);
    exchange_predeclare(vhost, "amq.match", &exchange_headers, false);
    exchange_predeclare(vhost, "amq.rabbitmq.trace", &exchange_topic, true);
    assert(map_count(&vhost->exchanges) == VHOST_PREDECLARED);
}

static void begin_to_go(struct vhost *vhost)
{
    struct broker *broker = vhost->broker;
    map_remove(&broker->vhosts, vhost_name(vhost));
    map_add(&broker->going, vhost_name(vhost), vhost);
    vhost->is_going = true;
    broker->topology++;
    broker->evictions += vhost->connections > 0; /* all connections are looked at then */
}

static void replace(char **text, struct bytes by)
{
    mem_free(*text);
    *text = text_copy(by);
}

/* Queues that are there begin to be counted, or end. */
static void apply_quotas(struct vhost *vhost, const struct quota_limits *quotas)
{
    const struct counts *before = quota_counts(vhost->quota);
    quota_set(vhost->broker, &vhost->quota, "vhost", vhost_name(vhost), quotas);
    if (quota_counts(vhost->quota) != before)
        reconfigure(vhost);
}

void vhost_apply(struct broker *broker, const struct change *change)
{
    struct vhost *vhost = vhost_find_any(broker, change->name);
    if (change->is_delete) {
        if (vhost)
            vhost_free(vhost);
        return;
    }
    if (!vhost)
        predeclare(vhost = vhost_new(broker, change->name));
    replace(&vhost->description, change->description);
    replace(&vhost->tags, change->tags);
    replace(&vhost->queue_type, change->queue_type);
    vhost->max_connections = change->max_connections;
    vhost->max_queues = change->max_parts;
    apply_quotas(vhost, &change->quotas);
    vhost->is_protected = change->is_protected;
    if (change->is_going && !vhost->is_going)
        begin_to_go(vhost);
}

/* ---- deciding ---- */

struct change vhost_change(const struct vhost *vhost, struct changes *changes)
{
    return (struct change){
        .kind = CATALOGUE_VHOST,
        .durable = true,
        .name = vhost_name(vhost),
        .description = changes_keep(changes, bytes_str(vhost->description)),
        .tags = changes_keep(changes, bytes_str(vhost->tags)),
        .queue_type = changes_keep(changes, bytes_str(vhost->queue_type)),
        .max_connections = vhost->max_connections,
        .max_parts = vhost->max_queues,
        .quotas = quota_limits_of(vhost->quota),
        .is_going = vhost->is_going,
        .is_protected = vhost->is_protected,
    };
}

static bool check_request(struct broker *broker, const struct vhost_request *request,
                          struct error *error)
{
    const struct bytes *texts[] = {request->description, request->tags, request->queue_type};
    if (request->name.size > NAME_MAX_SIZE)
        return error_set(error, REPLY_PRECONDITION_FAILED,
                         "the name of a virtual host has at most %d bytes, and not %zu",
                         NAME_MAX_SIZE, request->name.size);
    if (bytes_have_nul(request->name))
        return error_set(error, REPLY_PRECONDITION_FAILED,
                         "the name of a virtual host has no NUL byte in it");
    if (map_find(&broker->going, request->name))
        return error_set(error, REPLY_PRECONDITION_FAILED,
                         "vhost '%.*s' is being deleted; what is in it is not gone yet",
                         BYTES_ARG(request->name));
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (texts[i] && texts[i]->size > VHOST_TEXT_MAX)
            return error_set(error, REPLY_PRECONDITION_FAILED,
                             "what describes vhost '%.*s' has more than %d bytes",
                             BYTES_ARG(request->name), VHOST_TEXT_MAX);
    return true;
}

bool vhost_set_decide(struct broker *broker, const struct vhost_request *request,
                      struct changes *changes, struct error *error)
{
    const struct vhost *vhost = vhost_find(broker, request->name);
    if (!check_request(broker, request, error))
        return false;
    struct change change = {.kind = CATALOGUE_VHOST, .durable = true, .name = request->name};
    uint32_t most = broker->options.vhosts_max;
    if (!vhost && most && map_count(&broker->vhosts) >= most)
        return error_set(error, REPLY_PRECONDITION_FAILED,
                         "cannot create vhost '%.*s': vhost limit of %u is reached",
                         BYTES_ARG(request->name), most);
    if (vhost)
        change = vhost_change(vhost, changes);
    if (request->description)
        change.description = *request->description;
    if (request->tags)
        change.tags = *request->tags;
    if (request->queue_type)
        change.queue_type = *request->queue_type;
    if (request->max_connections)
        change.max_connections = *request->max_connections;
    if (request->max_queues)
        change.max_parts = *request->max_queues;
    if (request->quotas)
        change.quotas = *request->quotas;
    if (request->is_protected)
        change.is_protected = *request->is_protected;
    changes_add(changes, &change);
    return true;
}

bool vhost_delete_decide(struct broker *broker, struct bytes name, struct changes *changes,
                         struct error *error)
{
    const struct vhost *vhost = vhost_need(broker, name, error);
    if (!vhost)
        return false;
    if (vhost->is_protected)
        return error_set(error, REPLY_PRECONDITION_FAILED,
                         "Refusing to delete virtual host '%s' because it is protected from "
                         "deletion",
                         vhost->name);
    struct change change = vhost_change(vhost, changes);
    change.is_going = true;
    changes_add(changes, &change);
    return true;
}

bool vhost_has_limits(const struct vhost *vhost)
{
    return vhost->max_connections.is_set || vhost->max_queues.is_set || quota_is_set(vhost->quota);
}

bool vhost_has_room(const struct vhost *vhost, struct bytes queue, struct error *error)
{
    struct limit limit = vhost->max_queues;
    uint32_t most = vhost->broker->options.queues_max;
    if (limit.is_set && map_count(&vhost->queues) >= limit.most)
        return error_set(error, REPLY_PRECONDITION_FAILED,
                         "cannot declare queue '%.*s': queue limit in vhost '%s' (%u) is reached",
                         BYTES_ARG(queue), vhost->name, limit.most);
    return !most || broker_queues(vhost->broker) < most ||
           error_set(error, REPLY_PRECONDITION_FAILED,
                     "cannot declare queue '%.*s': queue limit in cluster (%u) is reached",
                     BYTES_ARG(queue), most);
}

static size_t count_exchanges(const struct broker *broker)
{
    size_t count = 0;
    uint64_t at = 0;
    const struct vhost *vhost;
    while ((vhost = map_next(&broker->vhosts, &at)))
        count += map_count(&vhost->exchanges);
    return count;
}

bool vhost_has_room_for_exchange(const struct vhost *vhost, struct bytes exchange, struct error *error)
{
    uint32_t most = vhost->broker->options.exchanges_max;
    return !most || count_exchanges(vhost->broker) < most ||
           error_set(error, REPLY_PRECONDITION_FAILED,
                     "cannot declare exchange '%.*s': exchange limit in cluster (%u) is reached",
                     BYTES_ARG(exchange), most);
}

/* ---- both ---- */

bool vhost_set(struct broker *broker, const struct vhost_request *request, struct error *error)
{
    bool is_new = !vhost_find(broker, request->name);
    bool allowed = vhost_set_decide(broker, request, &broker->changes, error);
    changes_apply(broker, &broker->changes);
    if (allowed && is_new)
        vhost_defaults_apply(broker, request->name);
    return allowed;
}

bool vhost_delete(struct broker *broker, struct bytes name, struct error *error)
{
    bool allowed = vhost_delete_decide(broker, name, &broker->changes, error);
    changes_apply(broker, &broker->changes);
    return allowed;
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
    vhost->broker->traced -= vhost->is_traced;
    for (struct binding *binding; (binding = set_next(&vhost->bindings, &at));)
        binding_free(binding);
    removals_free(vhost);
    policies_free(vhost);
    parameters_free(&vhost->parameters);
    list_remove(&vhost->reconfigure_link);
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
    map_free(&vhost->leaving_queues);
    map_free(&vhost->leaving_exchanges);
    map_remove(vhost->is_going ? &vhost->broker->going : &vhost->broker->vhosts, vhost_name(vhost));
    vhost->broker->changed_vhost = NULL;
    quota_free(vhost->quota);
    mem_free(vhost->description);
    mem_free(vhost->tags);
    mem_free(vhost->queue_type);
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
