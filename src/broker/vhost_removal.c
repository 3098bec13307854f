#include "broker/vhost_removal.h"

#include "broker/apply.h"
#include "broker/delay.h"
#include "broker/parameter.h"
#include "broker/permission.h"
#include "broker/policy.h"
#include "broker/queue_declare.h"
#include "broker/removal.h"

/* What it costs to take one thing away. */
enum { THING_STEPS = 300 };

static bool may_go_on(const struct vhost *vhost, const struct budget *budget)
{
    return !budget_is_spent(budget) && !store_is_congested(vhost->broker->store);
}

/* The next thing of a table from which what was found before was taken; NULL: the table's end. What
 * was behind it may have moved to its place. */
static void *next_thing(struct vhost *vhost, const struct map *map)
{
    uint64_t at = vhost->going_at;
    void *thing = map_next(map, &at);
    vhost->going_at = thing ? at - 1 : 0;
    return thing;
}

static bool lose_permissions(struct vhost *vhost, struct budget *budget)
{
    struct broker *broker = vhost->broker;
    const struct user *user;
    for (uint64_t at = 0; (user = map_next(&broker->users, &at));) {
        if (!may_go_on(vhost, budget))
            return false;
        permissions_clear_decide(user, vhost_name(vhost), &broker->changes);
        budget_use(budget, broker->changes.count * THING_STEPS + 1);
        changes_apply(broker, &broker->changes);
    }
    return true;
}

/* What is in it would be set anew for each of them: it is gone before, or has no name any more. */
static bool lose_policies(struct vhost *vhost, struct budget *budget)
{
    struct broker *broker = vhost->broker;
    policies_clear_decide(vhost, &broker->changes);
    budget_use(budget, broker->changes.count * THING_STEPS);
    changes_apply(broker, &broker->changes);
    return true;
}

static bool lose_parameters(struct vhost *vhost, struct budget *budget)
{
    struct broker *broker = vhost->broker;
    while (parameters_clear_decide(vhost, &broker->changes)) {
        budget_use(budget, broker->changes.count * THING_STEPS);
        changes_apply(broker, &broker->changes);
        if (!may_go_on(vhost, budget))
            return false;
    }
    return true;
}

static bool lose_queues(struct vhost *vhost, struct budget *budget)
{
    while (map_count(&vhost->queues)) {
        if (!may_go_on(vhost, budget))
            return false;
        struct queue *queue = next_thing(vhost, &vhost->queues);
        if (queue)
            queue_delete(queue);
        budget_use(budget, THING_STEPS);
    }
    return true;
}

static bool lose_exchanges(struct vhost *vhost, struct budget *budget)
{
    struct broker *broker = vhost->broker;
    while (map_count(&vhost->exchanges) > VHOST_PREDECLARED) {
        if (!may_go_on(vhost, budget))
            return false;
        struct exchange *exchange = next_thing(vhost, &vhost->exchanges);
        budget_use(budget, THING_STEPS);
        if (exchange && exchange->is_predeclared)
            vhost->going_at++;
        else if (exchange)
            removal_decide_exchange(exchange, &broker->changes);
        changes_apply(broker, &broker->changes);
    }
    return true;
}

/* What predeclared exchanges hold back: there are few of them, and nobody publishes any more. */
static bool lose_delays(struct vhost *vhost)
{
    const struct exchange *exchange;
    for (uint64_t at = 0; (exchange = map_next(&vhost->exchanges, &at));)
        delay_delete_decide(exchange, &vhost->broker->changes);
    changes_apply(vhost->broker, &vhost->broker->changes);
    return true;
}

/* Those between predeclared exchanges. */
static bool lose_bindings(struct vhost *vhost, struct budget *budget)
{
    struct broker *broker = vhost->broker;
    struct binding *binding;
    for (uint64_t at = 0; (binding = set_next(&vhost->bindings, &at)); at = 0) {
        if (!may_go_on(vhost, budget))
            return false;
        removal_decide_binding(binding, &broker->changes);
        changes_apply(broker, &broker->changes);
        budget_use(budget, THING_STEPS);
    }
    return true;
}

static bool nothing_is_leaving(const struct vhost *vhost)
{
    return map_count(&vhost->leaving_queues) == 0 && map_count(&vhost->leaving_exchanges) == 0;
}

static bool is_empty(const struct vhost *vhost)
{
    return map_count(&vhost->queues) == 0 && map_count(&vhost->exchanges) <= VHOST_PREDECLARED &&
           set_count(&vhost->bindings) == 0 && nothing_is_leaving(vhost);
}

static bool goes(struct vhost *vhost, struct budget *budget)
{
    return lose_permissions(vhost, budget) && lose_queues(vhost, budget) &&
           lose_exchanges(vhost, budget) && lose_policies(vhost, budget) &&
           lose_parameters(vhost, budget) &&
           nothing_is_leaving(vhost) && lose_bindings(vhost, budget) && is_empty(vhost) &&
           vhost->holders == 0 && lose_delays(vhost);
}

void vhosts_go(struct broker *broker, struct budget *budget)
{
    struct vhost *vhost;
    for (uint64_t at = 0; (vhost = map_next(&broker->going, &at));) {
        if (!goes(vhost, budget))
            continue;
        struct change change = vhost_change(vhost, &broker->changes);
        change.is_delete = true;
        changes_add(&broker->changes, &change);
        changes_apply(broker, &broker->changes);
        return; /* the table has changed */
    }
}

static bool is_left(const struct vhost *vhost)
{
    return !is_empty(vhost) || vhost->holders == 0;
}

bool vhosts_are_left(const struct broker *broker)
{
    const struct vhost *vhost;
    for (uint64_t at = 0; (vhost = map_next(&broker->going, &at));)
        if (is_left(vhost))
            return true;
    return false;
}

bool vhost_is_left(const struct broker *broker, struct bytes name)
{
    const struct vhost *vhost = map_find(&broker->going, name);
    return vhost && is_left(vhost);
}
