/* Queues: looked at, declared, deleted, purged. */
#include <stdio.h>

#include "api/clients.h"
#include "api/machine.h"
#include "api/queues.h"
#include "api/rates.h"
#include "api/resources.h"
#include "broker/dead_letter.h"
#include "broker/permission.h"
#include "broker/policy.h"
#include "broker/queue_declare.h"
#include "definitions/json_table.h"
#include "queue/queue_latency.h"
#include "session/look.h"

enum { QUEUE_STEPS = 60 };

/* ---- what one looks like ---- */

static const char *type_of(const struct queue *queue)
{
    return queue->settings->is_quorum ? "quorum" : "classic";
}

static void add_policy(struct fields *fields, const char *name, const struct policy *policy)
{
    if (policy)
        fields_text(fields, name, policy_name(policy));
    else
        fields_null(fields, name);
}

static void add_policies(struct fields *fields, const struct queue *queue)
{
    if (!fields_want(fields, "policy") && !fields_want(fields, "operator_policy") &&
        !fields_want(fields, "effective_policy_definition"))
        return;
    const struct policy *policy = policy_of_queue(queue, false);
    const struct policy *operators = policy_of_queue(queue, true);
    struct buffer effective = {0};
    if (policy || operators)
        policy_effective(policy, operators, &effective);
    add_policy(fields, "policy", policy);
    add_policy(fields, "operator_policy", operators);
    fields_table(fields, "effective_policy_definition", buffer_bytes(&effective));
    buffer_free(&effective);
}

static void add_tag(struct fields *fields, const char *name, const struct queue *queue,
                    bool (*is_meant)(const struct queue_consumer *consumer))
{
    if (!fields_want(fields, name))
        return;
    list_for_each(link, &queue->consumers) {
        const struct queue_consumer *consumer = list_entry(link, struct queue_consumer, queue_link);
        if (consumer->is_active && is_meant(consumer)) {
            fields_text(fields, name, server_consumer_tag(consumer));
            return;
        }
    }
    fields_null(fields, name);
}

static bool is_exclusive(const struct queue_consumer *consumer)
{
    return consumer->exclusive;
}

static bool is_single(const struct queue_consumer *consumer)
{
    return consumer->is_single;
}

static void add_node(struct fields *fields, const char *name, const char *node)
{
    if (!fields_open(fields, name, '['))
        return;
    fields_put_text(fields, bytes_str(node));
    fields_close(fields, ']');
}

/* What a consumer that is always ready makes of it: 1. */
static void add_consumers(struct fields *fields, const struct queue *queue)
{
    bool can_take = !list_is_empty(&queue->ready_consumers);
    fields_whole(fields, "consumers", queue->consumer_count);
    fields_fraction(fields, "consumer_capacity", can_take);
    fields_fraction(fields, "consumer_utilisation", can_take);
    if (queue->exclusively_consumed)
        add_tag(fields, "exclusive_consumer_tag", queue, is_exclusive);
    else
        fields_null(fields, "exclusive_consumer_tag");
    if (queue->settings->single_active_consumer)
        add_tag(fields, "single_active_consumer_tag", queue, is_single);
    else
        fields_null(fields, "single_active_consumer_tag");
}

/* In microseconds. */
static void add_latency_of(struct fields *fields, const struct latency *latency, const char *name)
{
    if (!fields_open(fields, name, '{'))
        return;
    fields_whole(fields, "count", latency->count);
    fields_whole(fields, "p50", latency_quantile(latency, 0.5));
    fields_whole(fields, "p90", latency_quantile(latency, 0.9));
    fields_whole(fields, "p99", latency_quantile(latency, 0.99));
    fields_whole(fields, "max", latency->max_us);
    fields_close(fields, '}');
}

/* Of a queue whose messages were never timed it is not there. */
static void add_latency(struct fields *fields, const struct queue *queue)
{
    if (!queue_latency(queue, LATENCY_DELIVER) || !fields_open(fields, "leveret_latency", '{'))
        return;
    add_latency_of(fields, queue_latency(queue, LATENCY_DELIVER), "publish_to_deliver");
    add_latency_of(fields, queue_latency(queue, LATENCY_ACKNOWLEDGE), "deliver_to_ack");
    fields_close(fields, '}');
}

static void add_head(struct fields *fields, const struct queue *queue)
{
    uint64_t timestamp;
    if (!fields_want(fields, "head_message_timestamp"))
        return;
    if (queue_head_timestamp(queue, &timestamp))
        fields_whole(fields, "head_message_timestamp", timestamp);
    else
        fields_null(fields, "head_message_timestamp");
}

static void add_messages(struct fields *fields, const struct call *call, const struct queue *queue)
{
    const struct counts *counts = queue->counts;
    const struct history *history = rates_of_queue(call->api->rates, queue);
    rates_add(fields, call, RANGE_LENGTHS, history, 1u << RATE_QUEUE_MESSAGES, "messages",
              counts->ready + counts->taken + counts->delayed);
    rates_add(fields, call, RANGE_LENGTHS, history, 1u << RATE_QUEUE_READY, "messages_ready",
              counts->ready);
    rates_add(fields, call, RANGE_LENGTHS, history, 1u << RATE_QUEUE_UNACKED,
              "messages_unacknowledged", counts->taken);
    if (queue->tally)
        rates_add_messages(fields, call, history, queue->tally->of, TALLIES_OF_QUEUE);
    add_latency(fields, queue);
    fields_whole(fields, "messages_delayed", counts->delayed);
    fields_whole(fields, "message_bytes_ready", counts->ready_bytes);
    add_head(fields, queue);
}

static void add_owner(struct fields *fields, const struct call *call, const struct queue *queue)
{
    struct connection_view owner;
    if (!queue->exclusive_owner ||
        !server_connection(call->api->server, queue->exclusive_owner, &owner) ||
        !fields_open(fields, "owner_pid_details", '{'))
        return;
    clients_add_name(fields, "name", owner.peer, 0);
    clients_add_peer(fields, &owner);
    fields_close(fields, '}');
}

static void add_details(struct fields *fields, const struct call *call, const struct queue *queue)
{
    size_t left = CLIENTS_DETAILS_MAX;
    if (!fields_open(fields, "consumer_details", '['))
        return;
    list_for_each(link, &queue->consumers) {
        const struct queue_consumer *one = list_entry(link, struct queue_consumer, queue_link);
        if (!one->is_active)
            continue;
        if (left-- == 0)
            break;
        struct consumer_view consumer = consumer_view(one);
        clients_put_consumer(fields, call, &consumer);
    }
    fields_close(fields, ']');
}

static void add_quorum(struct fields *fields, const char *node)
{
    fields_string(fields, "leader", node);
    add_node(fields, "members", node);
    add_node(fields, "online", node);
}

static bool is_member(const struct api_member *member)
{
    return member->role == API_ROLE_VOTER || member->role == API_ROLE_LEARNER;
}

static bool is_online(const struct api_member *member)
{
    return is_member(member) && member->is_up;
}

static bool is_mirror(const struct api_member *member)
{
    return is_online(member) && !member->is_self;
}

static bool is_synchronised(const struct api_member *member)
{
    return !member->is_self && api_member_is_synchronised(member);
}

/* What is replicated is, in a cluster: each queue that survives is with all members. */
struct mirrors {
    struct api_member members[API_MEMBERS_MAX];
    size_t count; /* 0: the broker is alone */
};

static void add_members(struct fields *fields, const struct mirrors *mirrors, const char *name,
                        bool (*is_meant)(const struct api_member *member))
{
    if (!fields_open(fields, name, '['))
        return;
    for (size_t i = 0; i < mirrors->count; i++)
        if (is_meant(&mirrors->members[i]))
            fields_put_text(fields, bytes_str(mirrors->members[i].name));
    fields_close(fields, ']');
}

static bool wants_members(const struct fields *fields)
{
    return fields_want(fields, "members") || fields_want(fields, "online") || fields_want(fields, "leader") ||
           fields_want(fields, "slave_nodes") || fields_want(fields, "synchronised_slave_nodes");
}

/* As RabbitMQ tells of queues with a log of Raft, and of those with mirrors. */
static void add_mirrors(const struct call *call, const struct queue *queue, struct fields *fields)
{
    struct mirrors mirrors = {.count = 0};
    const char *node = call->api->options.node;
    if (queue_survives(queue) && wants_members(fields))
        mirrors.count = machine_members(call, mirrors.members);
    if (!mirrors.count) {
        if (queue->settings->is_quorum)
            add_quorum(fields, node);
        return;
    }
    fields_string(fields, "leader", node);
    add_members(fields, &mirrors, "members", is_member);
    add_members(fields, &mirrors, "online", is_online);
    if (queue->settings->is_quorum)
        return;
    add_members(fields, &mirrors, "slave_nodes", is_mirror);
    add_members(fields, &mirrors, "synchronised_slave_nodes", is_synchronised);
}

/* What RabbitMQ's own tools want to know of a queue at the least. */
static void write_short(const struct call *call, const struct queue *queue, struct fields *fields)
{
    fields_text(fields, "name", queue_name(queue));
    fields_text(fields, "vhost", vhost_name(queue->vhost));
    fields_string(fields, "type", type_of(queue));
    fields_string(fields, "node", call->api->options.node);
    fields_string(fields, "state", "running");
    fields_flag(fields, "durable", queue->durable);
    fields_flag(fields, "auto_delete", queue->auto_delete);
    fields_flag(fields, "exclusive", queue->exclusive_owner != 0);
    fields_table(fields, "arguments", bytes_of(queue->arguments, queue->arguments_size));
    add_mirrors(call, queue, fields);
}

/* The same, and how many messages, if that is asked for. */
static void write_light(const struct call *call, const struct queue *queue, struct fields *fields)
{
    const struct counts *counts = queue->counts;
    const struct policy *policy = policy_of_queue(queue, false);
    if (policy)
        fields_text(fields, "policy", policy_name(policy));
    if (!call_is_set(call, "enable_queue_totals"))
        return;
    fields_whole(fields, "messages", counts->ready + counts->taken + counts->delayed);
    fields_whole(fields, "messages_ready", counts->ready);
    fields_whole(fields, "messages_unacknowledged", counts->taken);
}

static void write_queue(const struct call *call, const struct queue *queue, struct fields *fields)
{
    write_short(call, queue, fields);
    if (call_is_set(call, "disable_stats")) {
        write_light(call, queue, fields);
        return;
    }
    add_messages(fields, call, queue);
    add_consumers(fields, queue);
    add_policies(fields, queue);
    add_owner(fields, call, queue);
}

/* ---- lists ---- */

static void add_queue(void *context, void *value)
{
    const struct queue *queue = value;
    if (!queue->is_delay)
        listing_add_named(context, queue_name(queue));
}

static bool collect(struct listing *listing, struct budget *budget)
{
    const struct vhost *vhost = listing_vhost(listing);
    (void)budget;
    return vhost && listing_walk(listing, &vhost->queues, add_queue);
}

static bool write_listed(struct listing *listing, struct bytes id, struct fields *fields)
{
    struct bytes name;
    struct vhost *vhost = listing_vhost_of(listing, id, &name);
    const struct queue *queue = vhost_queue(vhost, name);
    if (!queue)
        return false;
    fields_begin(fields, '{');
    write_queue(listing->call, queue, fields);
    fields_end(fields, '}');
    return true;
}

static const struct listing_kind queues_kind = {
    .collect = collect, .write = write_listed, .has_pages = true, .steps = QUEUE_STEPS};

void queues_list(struct call *call)
{
    call_list_in(call, &queues_kind);
}

/* ---- one of them ---- */

struct queue *queue_find(struct call *call, bool for_reading)
{
    struct vhost *vhost = call_vhost(call, for_reading);
    struct queue *queue = vhost ? vhost_queue(vhost, call->segments[1]) : NULL;
    if (vhost && !queue)
        call_not_found(call);
    return queue;
}

void queue_get(struct call *call)
{
    const struct queue *queue = queue_find(call, true);
    if (!queue)
        return;
    struct fields fields = call_tell(call);
    write_queue(call, queue, &fields);
    if (!call_is_set(call, "disable_stats")) {
        add_details(&fields, call, queue);
        fields_nothing(&fields, "incoming");
        fields_nothing(&fields, "deliveries");
    }
    call_told(call, &fields);
}

bool queue_may(const struct call *call, const struct vhost *vhost, enum access access,
               struct error *error)
{
    return !call->user ||
           permission_check_queue(call->user, vhost, access, call->segments[1], error);
}

/* What is to be declared; false: the body makes no sense, and the call is answered. Nothing said is
 * durable. */
static bool read_declare(struct call *call, struct queue_declare *declare, struct buffer *arguments)
{
    char fault[200];
    *declare = (struct queue_declare){.name = call->segments[1], .durable = true};
    if (!call_read_flag(call, "durable", &declare->durable) ||
        !call_read_flag(call, "auto_delete", &declare->auto_delete) ||
        !call_read_flag(call, "exclusive", &declare->exclusive))
        return false;
    if (!json_to_table(json_find(call_json(call), "arguments"), JSON_NULL_REFUSED, arguments, fault,
                       sizeof(fault)))
        call_fail(call, 400, "bad_request", "arguments: %s", fault);
    declare->arguments = buffer_bytes(arguments);
    return call->status == 0;
}

static void declare_queue(struct call *call, struct vhost *vhost,
                          const struct queue_declare *declare)
{
    struct error error = {0};
    bool is_new = false;
    bool may_declare = queue_may(call, vhost, ACCESS_CONFIGURE, &error) &&
                       (!call->user || vhost_queue(vhost, declare->name) ||
                        permission_check_dead_letter(call->user, vhost, declare->name,
                                                     declare->arguments, &error));
    if (may_declare && queue_declare(vhost, declare, &is_new, &error))
        call_done(call, is_new);
    else
        call_fail_as(call, &error);
}

void queue_put(struct call *call)
{
    struct queue_declare declare;
    struct buffer arguments = {0};
    struct vhost *vhost = call_vhost(call, false);
    if (vhost && read_declare(call, &declare, &arguments)) {
        if (declare.exclusive)
            call_fail(call, 400, "bad_request",
                      "an exclusive queue belongs to a connection, and this is none");
        else
            declare_queue(call, vhost, &declare);
    }
    buffer_free(&arguments);
}

void queue_delete_it(struct call *call)
{
    struct error error = {0};
    struct queue *queue = queue_find(call, false);
    if (!queue)
        return;
    if (!queue_may(call, queue->vhost, ACCESS_CONFIGURE, &error) ||
        !queue_check_access(queue, 0, &error) ||
        !queue_delete_check(queue, call_is_set(call, "if-unused"), call_is_set(call, "if-empty"),
                            &error)) {
        call_fail_as(call, &error);
        return;
    }
    if (dead_letters_are_due(queue))
        return; /* which have to go first */
    queue_delete(queue);
    call_done(call, false);
}

void queue_purge_it(struct call *call)
{
    struct error error = {0};
    struct queue *queue = queue_find(call, false);
    if (!queue)
        return;
    if (!queue_may(call, queue->vhost, ACCESS_READ, &error) || !queue_check_access(queue, 0, &error)) {
        call_fail_as(call, &error);
        return;
    }
    queue_purge(queue);
    call_done(call, false);
}
