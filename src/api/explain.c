/* Why is nothing delivered from a queue, or accepted by it? Every reason that there is now, each
 * with a word for programs and a sentence for people; and of a cluster, who else has it, and why. */
#include <stdarg.h>
#include <stdio.h>

#include "api/clients.h"
#include "api/machine.h"
#include "api/queues.h"
#include "api/resources.h"
#include "broker/policy.h"
#include "broker/quota.h"
#include "queue/queue_limit.h"
#include "session/look.h"

struct explanation {
    struct call *call;
    struct fields *fields;
};

static void open_reason(struct explanation *explanation, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void add_reason(struct explanation *explanation, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void write_reason(struct explanation *explanation, const char *code, const char *format,
                         va_list arguments)
{
    char text[600];
    vsnprintf(text, sizeof(text), format, arguments);
    fields_begin(explanation->fields, '{');
    fields_string(explanation->fields, "code", code);
    fields_string(explanation->fields, "text", text);
}

/* The caller may add fields, and closes it. */
static void open_reason(struct explanation *explanation, const char *code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_reason(explanation, code, format, arguments);
    va_end(arguments);
}

static void add_reason(struct explanation *explanation, const char *code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_reason(explanation, code, format, arguments);
    va_end(arguments);
    fields_end(explanation->fields, '}');
}

/* ---- consumers ---- */

static void add_consumer(struct explanation *explanation, const struct consumer_view *consumer)
{
    struct connection_view connection;
    const struct call *call = explanation->call;
    fields_text(explanation->fields, "consumer_tag", consumer->tag);
    if (server_connection(call->api->server, consumer->id.connection, &connection))
        clients_add_channel(explanation->fields, call, &connection, consumer->id.channel);
}

static void open_obstacle(struct explanation *explanation, const struct consumer_view *consumer)
{
    int size = (int)consumer->tag.size;
    const char *tag = (const char *)consumer->tag.data;
    struct channel_view channel = {0};
    switch (consumer->obstacle) {
    case CONSUMER_PREFETCH:
        open_reason(explanation, "prefetch",
                    "consumer %.*s has %u unacknowledged messages, and its prefetch is %u", size,
                    tag, consumer->unacked, consumer->prefetch);
        return;
    case CONSUMER_CHANNEL_PREFETCH:
        server_channel(explanation->call->api->server, consumer->id, &channel);
        open_reason(explanation, "channel_prefetch",
                    "the channel of consumer %.*s has %llu unacknowledged messages, and its "
                    "prefetch for all its consumers is %u",
                    size, tag, (unsigned long long)channel.unacked, channel.prefetch_global);
        return;
    case CONSUMER_HELD:
        open_reason(explanation, "held",
                    "the channel of consumer %.*s owes answers that wait for the disk", size, tag);
        return;
    case CONSUMER_UNREAD:
        open_reason(explanation, "unread",
                    "the client of consumer %.*s does not read what it was sent", size, tag);
        return;
    default:
        open_reason(explanation, "single_active",
                    "consumer %.*s waits, as another one is the single active consumer", size, tag);
    }
}

/* Whether one of them could take a message, as far as was looked. */
static bool explain_consumers(struct explanation *explanation, const struct queue *queue)
{
    bool can_take = false;
    size_t left = CLIENTS_DETAILS_MAX;
    list_for_each(link, &queue->consumers) {
        const struct queue_consumer *one = list_entry(link, struct queue_consumer, queue_link);
        if (!one->is_active)
            continue;
        if (left-- == 0)
            break;
        struct consumer_view consumer = consumer_view(one);
        if (consumer.obstacle == CONSUMER_CAN_TAKE) {
            can_take = true;
            continue;
        }
        open_obstacle(explanation, &consumer);
        add_consumer(explanation, &consumer);
        fields_end(explanation->fields, '}');
    }
    return can_take;
}

/* ---- delivery ---- */

static void explain_messages(struct explanation *explanation, const struct queue *queue)
{
    const struct counts *counts = queue->counts;
    if (counts->ready == 0)
        add_reason(explanation, "empty", "no message is ready");
    if (counts->taken)
        add_reason(explanation, "unacknowledged",
                   "messages that were delivered and are not acknowledged: %llu",
                   (unsigned long long)counts->taken);
    if (counts->delayed)
        add_reason(explanation, "delayed",
                   "messages that came back and wait for their next try: %llu",
                   (unsigned long long)counts->delayed);
}

/* Somebody could take the first message: why has he not got it yet? */
static void explain_wait(struct explanation *explanation, struct queue *queue)
{
    switch (queue_obstacle(queue)) {
    case INDEX_READS:
        add_reason(explanation, "read", "the next message is being read from the disk");
        return;
    case INDEX_MARKS:
        add_reason(explanation, "mark",
                   "that the next message is delivered is being noted on the disk");
        return;
    default:
        add_reason(explanation, "under_way",
                   "the next message goes to a consumer that can take it");
    }
}

/* Who has just been elected, or hears of too few others, gives nobody anything of what a cluster agrees on. */
static void explain_office(struct explanation *explanation, const struct queue *queue)
{
    struct api_group group;
    if (!queue_survives(queue) || !machine_group(explanation->call, &group) || group.may_deliver)
        return;
    add_reason(explanation, "office",
               "this broker may not deliver now: it has served for less than a third of a second, or has not heard of "
               "more than half of its cluster lately, so that another one may serve");
}

static void explain_delivery(struct explanation *explanation, struct queue *queue)
{
    explain_office(explanation, queue);
    explain_messages(explanation, queue);
    if (queue->consumer_count == 0)
        add_reason(explanation, "no_consumer", "nobody consumes from the queue");
    bool can_take = explain_consumers(explanation, queue);
    if (can_take && queue->counts->ready)
        explain_wait(explanation, queue);
}

/* ---- acceptance ---- */

static void explain_alarms(struct explanation *explanation)
{
    struct server_memory memory = server_memory(explanation->call->api->server);
    const struct store *store = explanation->call->api->broker->store;
    if (memory.is_above)
        add_reason(explanation, "memory_alarm",
                   "publishers wait, as messages take more memory than the limit of %llu bytes",
                   (unsigned long long)memory.limit);
    if (memory.is_disk_short)
        add_reason(explanation, "disk_alarm",
                   "publishers wait, as less than the reserve of %llu bytes is free on the disk",
                   (unsigned long long)store_disk_reserve(store));
    if (store_is_congested(store))
        add_reason(explanation, "congested",
                   "publishers wait, as the journal is not written as fast as they publish");
}

static void add_limit(struct explanation *explanation, const struct queue *queue, const char *name,
                      uint64_t most, uint64_t is)
{
    bool refuses = queue->limit & QUEUE_REFUSES;
    open_reason(explanation, refuses ? "limit" : "drops", "%s is %llu, and %llu are ready: %s",
                name, (unsigned long long)most, (unsigned long long)is,
                refuses ? "what comes is refused" : "the oldest make room for what comes");
    fields_string(explanation->fields, "limit", name);
    fields_whole(explanation->fields, "most", most);
    fields_whole(explanation->fields, "ready", is);
    fields_end(explanation->fields, '}');
}

static void explain_limits(struct explanation *explanation, const struct queue *queue)
{
    const struct queue_settings *settings = queue->settings;
    const struct counts *counts = queue->counts;
    bool counts_all = queue->limit & QUEUE_DROPS || queue_has_to_refuse(queue, 0);
    if (settings->max_length != SETTING_NONE && counts->ready >= settings->max_length && counts_all)
        add_limit(explanation, queue, "max-length", settings->max_length, counts->ready);
    if (settings->max_length_bytes != SETTING_NONE &&
        counts->ready_bytes >= settings->max_length_bytes && counts_all)
        add_limit(explanation, queue, "max-length-bytes", settings->max_length_bytes,
                  counts->ready_bytes);
}

static void explain_quotas(struct explanation *explanation, const struct quota *quota)
{
    for (int kind = 0; quota && kind < QUOTA_KINDS; kind++) {
        const char *name = quota_name((enum quota_kind)kind);
        uint64_t most = quota->limits.most[kind], is = quota_used(quota, (enum quota_kind)kind);
        if (!(quota->over & 1u << kind))
            continue;
        open_reason(explanation, "quota",
                    "publishers into vhost '%.*s' wait, as %s is %llu, and %llu count against it",
                    BYTES_ARG(quota->name), name, (unsigned long long)most, (unsigned long long)is);
        fields_string(explanation->fields, "limit", name);
        fields_whole(explanation->fields, "most", most);
        fields_whole(explanation->fields, "is", is);
        fields_end(explanation->fields, '}');
    }
}

/* What is confirmed is agreed on, for which more than half of those who count have to be there. */
static void explain_agreement(struct explanation *explanation, const struct queue *queue)
{
    struct api_group group;
    struct api_member members[API_MEMBERS_MAX];
    size_t voters = 0, up = 0, count = machine_members(explanation->call, members);
    if (!count || !queue_survives(queue) || !machine_group(explanation->call, &group))
        return;
    for (size_t i = 0; i < count; i++) {
        voters += members[i].role == API_ROLE_VOTER;
        up += members[i].role == API_ROLE_VOTER && members[i].is_up;
    }
    if (up <= voters / 2)
        add_reason(explanation, "no_majority",
                   "nothing is confirmed, as %zu of the %zu brokers that count are connected, and it takes more than "
                   "half of them",
                   up, voters);
    if (group.last > group.commit)
        add_reason(explanation, "agreement",
                   "confirms wait until more than half of the brokers have what they are for: entries of the log on "
                   "which nobody has agreed yet: %llu",
                   (unsigned long long)(group.last - group.commit));
}

static void explain_acceptance(struct explanation *explanation, struct queue *queue)
{
    explain_agreement(explanation, queue);
    explain_alarms(explanation);
    explain_quotas(explanation, queue->vhost->quota);
    explain_limits(explanation, queue);
}

/* ---- mirrors ---- */

/* What counts of its policies, in words that follow those about who has it; empty: nothing. */
static void describe_policy(const struct queue *queue, size_t members, char *text, size_t size)
{
    struct buffer definition = {0};
    struct field mode, params, own;
    const struct policy *policy = policy_of_queue(queue, false), *operators = policy_of_queue(queue, true);
    text[0] = '\0';
    policy_effective(policy, operators, &definition);
    struct bytes settings = buffer_bytes(&definition);
    if (settings.size && table_find(settings, bytes_str("ha-mode"), &mode)) {
        bool is_operators = table_find(policy_definition(operators), mode.name, &own);
        const struct policy *of = is_operators ? operators : policy;
        int at = snprintf(text, size, "; policy '%.*s' asks for ha-mode %.*s", BYTES_ARG(policy_name(of)),
                          BYTES_ARG(mode.value.bytes));
        if (table_find(settings, bytes_str("ha-params"), &params) && field_is_integer(&params))
            snprintf(text + at, size - (size_t)at, " %lld%s", (long long)params.value.integer,
                     (uint64_t)params.value.integer > members ? ", which is more than there are" : "");
    }
    buffer_free(&definition);
}

static void explain_none(struct explanation *explanation, const struct queue *queue)
{
    if (queue->exclusive_owner)
        add_reason(explanation, "exclusive",
                   "it lives with its connection, and goes with the broker that serves");
    else
        add_reason(explanation, "not_mirrored",
                   "it is not mirrored, and goes with the broker that serves: it is not durable, and %s",
                   queue->settings->is_mirrored
                       ? "its policy is for queues that are declared later: delete it, and declare it anew"
                       : "neither a policy (ha-mode) nor its arguments (mirrored) ask for that");
}

static void explain_mirrors(struct explanation *explanation, struct queue *queue)
{
    char policy[400];
    struct api_member members[API_MEMBERS_MAX];
    size_t all = 0, count = machine_members(explanation->call, members);
    for (size_t i = 0; i < count; i++)
        all += members[i].role == API_ROLE_VOTER || members[i].role == API_ROLE_LEARNER;
    if (!queue_survives(queue)) {
        explain_none(explanation, queue);
        return;
    }
    describe_policy(queue, all, policy, sizeof(policy));
    bool is_kept = !queue->durable && !queue->settings->is_mirrored;
    add_reason(explanation, "mirrored",
               "all %zu brokers of the cluster have it, and more than half of them what is confirmed%s%s", all,
               is_kept ? "; nothing asks for that any more, which is for queues that are declared later" : "", policy);
}

/* ---- the whole ---- */

static void add_side(struct call *call, struct fields *fields, struct queue *queue,
                     const char *name,
                     void (*explain)(struct explanation *explanation, struct queue *queue))
{
    struct explanation explanation = {call, fields};
    if (!fields_open(fields, name, '['))
        return;
    explain(&explanation, queue);
    fields_close(fields, ']');
}

void queue_explain(struct call *call)
{
    struct queue *queue = queue_find(call, true);
    if (!queue)
        return;
    struct fields fields = call_tell(call);
    fields_text(&fields, "name", queue_name(queue));
    fields_text(&fields, "vhost", vhost_name(queue->vhost));
    fields_whole(&fields, "messages_ready", queue->counts->ready);
    fields_whole(&fields, "messages_unacknowledged", queue->counts->taken);
    fields_whole(&fields, "messages_delayed", queue->counts->delayed);
    fields_whole(&fields, "consumers", queue->consumer_count);
    add_side(call, &fields, queue, "delivery", explain_delivery);
    add_side(call, &fields, queue, "acceptance", explain_acceptance);
    struct api_group group;
    if (machine_group(call, &group))
        add_side(call, &fields, queue, "mirrors", explain_mirrors);
    call_told(call, &fields);
}
