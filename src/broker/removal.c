/* A decision looks at the model as it is and touches nothing but marks: what goes by it carries its
 * number. So it knows which exchange would have lost its last binding, though none has gone yet,
 * and takes nothing twice. */
#include "broker/removal.h"

#include <assert.h>

#include "base/mem.h"
#include "base/planted.h"
#include "broker/apply.h"
#include "broker/delay.h"
#include "broker/name.h"
#include "broker/queue_declare.h"

/* What it costs to take a binding away, and how much of that is done at once. */
enum { BINDING_STEPS = 150, AT_ONCE = 2 * BUDGET_MS };

/* A queue or an exchange; the other is NULL. */
struct thing {
    struct queue *queue;
    struct exchange *exchange;
};

/* What is leaving. */
struct removal {
    struct list link; /* on broker->removals */
    struct thing thing;
};

struct decision {
    uint64_t number;
    struct budget *budget;
    struct changes *changes;
    struct list *doomed; /* of the model: exchanges that have lost their last binding before */
    struct list bare;    /* those that lose it by this decision: decision.link */
};

static struct vhost *vhost_of(struct thing thing)
{
    return thing.queue ? thing.queue->vhost : thing.exchange->vhost;
}

static struct bytes name_of(struct thing thing)
{
    return thing.queue ? queue_name(thing.queue) : exchange_name(thing.exchange);
}

/* ---- deciding ---- */

static void begin(struct decision *decision, struct broker *broker, struct budget *budget,
                  struct changes *changes)
{
    *decision = (struct decision){
        .number = ++broker->decision_number,
        .budget = budget,
        .changes = changes,
        .doomed = &broker->doomed,
    };
    list_init(&decision->bare);
}

/* What this decision knows of an exchange. */
static struct exchange *seen(const struct decision *decision, struct exchange *exchange)
{
    if (exchange->decision.number != decision->number) {
        exchange->decision.number = decision->number;
        exchange->decision.goes = false;
        exchange->decision.lost = 0;
    }
    return exchange;
}

static void change_thing(struct decision *decision, struct thing thing, enum catalogue_kind kind,
                         bool is_delete)
{
    struct change change = {
        .kind = kind,
        .is_delete = is_delete,
        .durable = thing.queue ? queue_survives(thing.queue) : thing.exchange->durable,
        .to_queue = thing.queue,
        .vhost = vhost_name(vhost_of(thing)),
        .name = name_of(thing),
    };
    changes_add(decision->changes, &change);
}

static void lose(struct decision *decision, struct binding *binding)
{
    assert(binding->decision != decision->number);
    struct change change = binding_deletion(binding);
    changes_add(decision->changes, &change);
    binding->decision = decision->number;
    budget_use(decision->budget, BINDING_STEPS);
    struct exchange *source = seen(decision, binding->source);
    bool is_bare = ++source->decision.lost == source->source_count;
    assert(source->decision.lost <= source->source_count);
    bool stays = !source->auto_delete || source->is_leaving || planted(PLANTED_EXCHANGE_STAYS);
    if (is_bare && !stays && !source->decision.goes)
        list_push_back(&decision->bare, &source->decision.link);
}

/* False: it has to wait for a later decision. */
static bool lose_once(struct decision *decision, struct binding *binding)
{
    if (binding->decision == decision->number)
        return true;
    if (budget_is_spent(decision->budget))
        return false;
    lose(decision, binding);
    return true;
}

/* False: there are more. */
static bool lose_sources(struct decision *decision, const struct list *bindings)
{
    list_for_each(link, bindings)
        if (!lose_once(decision, list_entry(link, struct binding, source_link)))
            return false;
    return true;
}

static bool lose_destinations(struct decision *decision, const struct list *bindings)
{
    list_for_each(link, bindings)
        if (!lose_once(decision, list_entry(link, struct binding, destination_link)))
            return false;
    return true;
}

static bool lose_bindings(struct decision *decision, struct thing thing)
{
    if (thing.queue)
        return lose_destinations(decision, &thing.queue->bindings);
    return lose_sources(decision, &thing.exchange->sources) &&
           lose_destinations(decision, &thing.exchange->destinations);
}

static void decide_end(struct decision *decision, struct thing thing)
{
    if (thing.exchange) {
        seen(decision, thing.exchange)->decision.goes = true;
        delay_delete_decide(thing.exchange, decision->changes);
    }
    if (lose_bindings(decision, thing))
        change_thing(decision, thing, thing.queue ? CATALOGUE_QUEUE : CATALOGUE_EXCHANGE, true);
    else
        change_thing(decision, thing, CATALOGUE_LEAVING, false);
}

static void decide_exchange(struct decision *decision, struct exchange *exchange)
{
    decide_end(decision, (struct thing){.exchange = exchange});
    budget_use(decision->budget, BINDING_STEPS);
}

/* The auto-delete exchanges that lose their last binding, and those that lose theirs with them. */
static void decide_bare(struct decision *decision)
{
    for (struct list *link;
         !budget_is_spent(decision->budget) && (link = list_take_first(&decision->bare));)
        decide_exchange(decision, list_entry(link, struct exchange, decision.link));
}

static void decide_doomed(struct decision *decision)
{
    list_for_each(link, decision->doomed) {
        struct exchange *exchange = list_entry(link, struct exchange, doomed_link);
        if (budget_is_spent(decision->budget))
            return;
        if (!seen(decision, exchange)->decision.goes)
            decide_exchange(decision, exchange);
        decide_bare(decision);
    }
}

/* What the budget did not reach is doomed once the changes are applied. */
static void end(struct decision *decision)
{
    decide_bare(decision);
    decide_doomed(decision);
    while (list_take_first(&decision->bare)) {
    }
}

static void decide_thing(struct broker *broker, struct thing thing, struct changes *changes)
{
    struct budget budget = budget_of(AT_ONCE);
    struct decision decision;
    begin(&decision, broker, &budget, changes);
    decide_end(&decision, thing);
    end(&decision);
}

void queue_delete_decide(struct queue *queue, struct changes *changes)
{
    decide_thing(queue->vhost->broker, (struct thing){.queue = queue}, changes);
}

void removal_decide_exchange(struct exchange *exchange, struct changes *changes)
{
    decide_thing(exchange->vhost->broker, (struct thing){.exchange = exchange}, changes);
}

void removal_decide_binding(struct binding *binding, struct changes *changes)
{
    struct broker *broker = binding->source->vhost->broker;
    struct budget budget = budget_of(AT_ONCE);
    struct decision decision;
    begin(&decision, broker, &budget, changes);
    lose(&decision, binding);
    end(&decision);
}

void removals_decide(struct broker *broker, struct budget *budget, struct changes *changes)
{
    struct decision decision;
    begin(&decision, broker, budget, changes);
    decide_doomed(&decision);
    list_for_each(link, &broker->removals) {
        struct removal *removal = list_entry(link, struct removal, link);
        if (!lose_bindings(&decision, removal->thing))
            break;
        change_thing(&decision, removal->thing, CATALOGUE_LEAVING, true);
        decide_bare(&decision);
    }
    end(&decision);
}

/* ---- applying ---- */

static struct map *names_of(struct vhost *vhost, bool is_queue)
{
    return is_queue ? &vhost->leaving_queues : &vhost->leaving_exchanges;
}

static void free_removal(struct removal *removal)
{
    struct thing thing = removal->thing;
    assert(!thing.queue != !thing.exchange);
    map_remove(names_of(vhost_of(thing), thing.queue), name_of(thing));
    list_remove(&removal->link);
    if (thing.queue)
        queue_free(thing.queue);
    else
        exchange_free(thing.exchange);
    mem_free(removal);
}

static void leave(struct vhost *vhost, const struct change *change)
{
    struct removal *removal = mem_zalloc(sizeof(*removal));
    if (change->to_queue)
        queue_take_out(removal->thing.queue = vhost_queue(vhost, change->name));
    else
        exchange_take_out(removal->thing.exchange = vhost_exchange(vhost, change->name));
    list_push_back(&vhost->broker->removals, &removal->link);
    map_add(names_of(vhost, change->to_queue), name_of(removal->thing), removal);
}

void leaving_apply(struct vhost *vhost, const struct change *change)
{
    if (!change->is_delete) {
        leave(vhost, change);
        return;
    }
    struct removal *removal = map_find(names_of(vhost, change->to_queue), change->name);
    if (removal)
        free_removal(removal);
}

/* ---- both ---- */

void queue_delete(struct queue *queue)
{
    struct broker *broker = queue->vhost->broker;
    queue_delete_decide(queue, &broker->changes);
    changes_apply(broker, &broker->changes);
}

void removals_go_on(struct broker *broker, struct budget *budget)
{
    if (store_is_congested(broker->store))
        return;
    removals_decide(broker, budget, &broker->changes);
    changes_apply(broker, &broker->changes);
}

bool removals_are_left(const struct broker *broker)
{
    return !list_is_empty(&broker->removals) || !list_is_empty(&broker->doomed);
}

bool queue_is_leaving(const struct vhost *vhost, struct bytes name)
{
    char room[NAME_MAX_SIZE];
    return map_find(&vhost->leaving_queues, name_strip(name, room));
}

bool exchange_is_leaving(const struct vhost *vhost, struct bytes name)
{
    char room[NAME_MAX_SIZE];
    return map_find(&vhost->leaving_exchanges, name_strip(name, room));
}

void removals_free(struct vhost *vhost)
{
    list_for_each_safe(link, after, &vhost->broker->removals) {
        struct removal *removal = list_entry(link, struct removal, link);
        if (vhost_of(removal->thing) == vhost)
            free_removal(removal);
    }
}
