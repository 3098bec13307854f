/* The tables of names are walked in an order that does not change when names come and go. What
 * comes in the meantime has what it should have already. */
#include "broker/reconfigure.h"

#include "base/planted.h"
#include "broker/exchange.h"
#include "broker/overflow.h"
#include "broker/policy.h"
#include "broker/quota.h"
#include "broker/queue_arguments.h"

/* Of a budget, beside what matches take. */
enum { STEPS = 150 };

/* As far as is looked for what an answer says. */
enum { LOOK_STEPS = 5 * BUDGET_MS };

static uint64_t number_of(const struct policy *policy)
{
    return policy ? policy->number : 0;
}

static bool has_policies(const struct vhost *vhost)
{
    return vhost->policies[false].count || vhost->policies[true].count;
}

struct queue_sources queue_sources_of(const struct vhost *vhost, struct bytes name,
                                      struct bytes arguments)
{
    struct queue_sources sources = {.arguments = arguments};
    struct budget *turn = &vhost->broker->turn;
    if (!has_policies(vhost))
        return sources;
    unsigned type = queue_arguments_type(arguments);
    const struct policy *policy = policy_match_queue(vhost, false, name, type, turn);
    const struct policy *operators = policy_match_queue(vhost, true, name, type, turn);
    if (planted(PLANTED_OPERATOR_POLICY_IGNORED))
        operators = NULL;
    sources.policy = policy_definition(policy);
    sources.policy_number = number_of(policy);
    sources.operators = policy_definition(operators);
    sources.operators_number = number_of(operators);
    return sources;
}

static struct queue_sources sources_now(const struct queue *queue)
{
    struct bytes arguments = bytes_of(queue->arguments, queue->arguments_size);
    return queue_sources_of(queue->vhost, queue_name(queue), arguments);
}

/* Is it to have mirrors by what has changed, and has none, or the other way round? They come and go with a queue
 * alone; what is durable has them anyway, and what is exclusive never. */
static bool keeps_mirrors(const struct queue *queue, bool before, bool now)
{
    return now != before && now != queue_survives(queue) && !queue->durable &&
           !queue->exclusive_owner && queue->vhost->broker->options.queue_group;
}

bool reconfigure_keeps_mirrors(const struct vhost *vhost)
{
    const struct queue *queue;
    struct budget budget = budget_of(LOOK_STEPS);
    for (uint64_t at = 0; vhost->broker->options.queue_group && (queue = map_next(&vhost->queues, &at));) {
        struct queue_sources sources = sources_now(queue);
        if (keeps_mirrors(queue, queue->settings->is_mirrored, queue_sources_mirror(&sources)))
            return true;
        budget_use(&budget, STEPS);
        if (budget_is_spent(&budget))
            break;
    }
    return false;
}

static void configure_queue(struct queue *queue)
{
    struct queue_sources sources = sources_now(queue);
    bool before = queue->settings->is_mirrored;
    queue_reconfigure(queue, &sources);
    queue->vhost->mirrors_kept += keeps_mirrors(queue, before, queue->settings->is_mirrored);
    queue_sum(queue, quota_counts(queue->vhost->quota));
    overflow_note(queue);
}

/* What the definitions of both policies say of a key; NULL: nothing. Points into them. */
static const struct field *value_in(const struct bytes definitions[2], const char *key,
                                    struct field room[2])
{
    const struct field *found[2] = {NULL, NULL};
    for (int is_operator = 0; is_operator < 2; is_operator++)
        if (table_find(definitions[is_operator], bytes_str(key), &room[is_operator]))
            found[is_operator] = &room[is_operator];
    return settings_merge(found[false], found[true]);
}

void exchange_configure(struct exchange *exchange)
{
    struct field room[2];
    const struct bytes definitions[2] = {policy_definition(policy_of_exchange(exchange, false)),
                                         policy_definition(policy_of_exchange(exchange, true))};
    const struct field *alternate = value_in(definitions, "alternate-exchange", room);
    exchange_set_alternate(exchange, alternate ? alternate->value.bytes : bytes_of(NULL, 0));
    const struct field *delay = value_in(definitions, "delayed-message", room);
    exchange_set_delay(exchange, delay && delay->value.boolean);
    if (exchange->delays)
        queue_sum(exchange->delays, quota_counts(exchange->vhost->quota));
}

void reconfigure(struct vhost *vhost)
{
    vhost->reconfigured_queue = vhost->reconfigured_exchange = 0;
    if (list_is_empty(&vhost->reconfigure_link) && !planted(PLANTED_POLICY_FOR_NEW_ALONE))
        list_push_back(&vhost->broker->reconfiguring, &vhost->reconfigure_link);
}

/* False: the budget is spent. */
static bool go_on(struct vhost *vhost, struct budget *budget)
{
    struct queue *queue;
    struct exchange *exchange;
    while ((queue = map_next_stable(&vhost->queues, &vhost->reconfigured_queue))) {
        configure_queue(queue);
        budget_use(budget, STEPS);
        if (budget_is_spent(budget))
            return false;
    }
    while ((exchange = map_next_stable(&vhost->exchanges, &vhost->reconfigured_exchange))) {
        exchange_configure(exchange);
        budget_use(budget, STEPS);
        if (budget_is_spent(budget))
            return false;
    }
    return true;
}

static void tell(struct vhost *vhost)
{
    if (vhost->mirrors_kept)
        log_event(vhost->broker->log, EVENT_mirrors_kept, "vhost=%s queues=%zu", vhost->name,
                  vhost->mirrors_kept);
    vhost->mirrors_kept = 0;
}

void reconfigure_go_on(struct broker *broker)
{
    for (struct list *link; (link = list_first(&broker->reconfiguring));) {
        struct vhost *vhost = list_entry(link, struct vhost, reconfigure_link);
        if (!go_on(vhost, &broker->turn))
            return;
        list_remove(link);
        tell(vhost);
    }
}

bool reconfigure_is_left(const struct broker *broker)
{
    return !list_is_empty(&broker->reconfiguring);
}
