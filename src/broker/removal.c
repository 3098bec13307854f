#include "broker/removal.h"

#include "base/mem.h"
#include "broker/catalogue.h"
#include "broker/model.h"
#include "queue/queue_consumer.h"

/* What it costs to take a binding away, and how much of that is done at once. */
enum { BINDING_STEPS = 150, AT_ONCE = 2 * BUDGET_MS };

struct removal {
    struct list link; /* on broker->removals */
    struct vhost *vhost;
    struct queue *queue;       /* the bindings of this, */
    struct exchange *exchange; /* or this */
};

/* The next binding that it is an end of. */
static struct binding *next_binding(const struct removal *removal)
{
    struct list *link;
    if (removal->queue) {
        link = list_first(&removal->queue->bindings);
        return link ? list_entry(link, struct binding, destination_link) : NULL;
    }
    link = list_first(&removal->exchange->sources);
    if (link)
        return list_entry(link, struct binding, source_link);
    link = list_first(&removal->exchange->destinations);
    return link ? list_entry(link, struct binding, destination_link) : NULL;
}

/* False: there are more. */
static bool drop_bindings(const struct removal *removal, struct budget *budget)
{
    struct binding *binding;
    while ((binding = next_binding(removal))) {
        if (budget_is_spent(budget))
            return false;
        binding_drop(binding);
        budget_use(budget, BINDING_STEPS);
    }
    return true;
}

static void free_object(const struct removal *removal)
{
    if (removal->queue)
        queue_free(removal->queue);
    else
        exchange_free(removal->exchange);
}

static struct map *names_of(const struct removal *removal)
{
    return removal->queue ? &removal->vhost->leaving_queues : &removal->vhost->leaving_exchanges;
}

static struct bytes name_of(const struct removal *removal)
{
    return removal->queue ? queue_name(removal->queue) : exchange_name(removal->exchange);
}

static bool is_durable(const struct removal *removal)
{
    return removal->queue ? removal->queue->durable : removal->exchange->durable;
}

static enum catalogue_kind kind_of(const struct removal *removal)
{
    return removal->queue ? CATALOGUE_QUEUE : CATALOGUE_EXCHANGE;
}

static void begin(struct removal what, struct budget *budget)
{
    if (drop_bindings(&what, budget)) {
        free_object(&what);
        return;
    }
    struct removal *removal = mem_dup(&what, sizeof(what));
    list_push_back(&what.vhost->broker->removals, &removal->link);
    map_add(names_of(removal), name_of(removal), removal);
    if (is_durable(removal))
        catalogue_put_leaving(removal->vhost, kind_of(removal), name_of(removal));
}

static void finish(struct removal *removal)
{
    if (is_durable(removal))
        catalogue_delete_leaving(removal->vhost, kind_of(removal), name_of(removal));
    map_remove(names_of(removal), name_of(removal));
    list_remove(&removal->link);
    free_object(removal);
    mem_free(removal);
}

static void begin_exchange(struct exchange *exchange, struct budget *budget)
{
    struct vhost *vhost = exchange->vhost;
    exchange->is_leaving = true;
    list_remove(&exchange->doomed_link);
    if (exchange->durable)
        catalogue_delete_exchange(exchange);
    map_remove(&vhost->exchanges, exchange_name(exchange));
    vhost->broker->topology++;
    begin((struct removal){.vhost = vhost, .exchange = exchange}, budget);
}

/* Removes the auto-delete exchanges that lost their last binding, and those that lose theirs with them. */
static void reap(struct broker *broker, struct budget *budget)
{
    for (struct list *link; !budget_is_spent(budget) && (link = list_first(&broker->doomed));) {
        struct exchange *exchange = list_entry(link, struct exchange, doomed_link);
        if (exchange->source_count) /* it has got another one since */
            list_remove(link);
        else
            begin_exchange(exchange, budget);
        budget_use(budget, BINDING_STEPS);
    }
}

void queue_delete(struct queue *queue)
{
    struct vhost *vhost = queue->vhost;
    struct broker *broker = vhost->broker;
    struct budget budget = budget_of(AT_ONCE);
    queue->is_leaving = true;
    if (queue->durable)
        catalogue_delete_queue(queue);
    queue_lose_consumers(queue);
    dead_letters_forget(queue);
    queue_drop(queue);
    list_remove(&queue->owner_link);
    map_remove(&vhost->queues, queue_name(queue));
    broker->topology++;
    begin((struct removal){.vhost = vhost, .queue = queue}, &budget);
    reap(broker, &budget);
}

void exchange_remove(struct exchange *exchange)
{
    struct broker *broker = exchange->vhost->broker;
    struct budget budget = budget_of(AT_ONCE);
    begin_exchange(exchange, &budget);
    reap(broker, &budget);
}

void exchanges_reap(struct broker *broker)
{
    struct budget budget = budget_of(AT_ONCE);
    reap(broker, &budget);
}

void removals_go_on(struct broker *broker, struct budget *budget)
{
    reap(broker, budget);
    for (struct list *link; (link = list_first(&broker->removals));) {
        struct removal *removal = list_entry(link, struct removal, link);
        if (store_is_congested(broker->store) || !drop_bindings(removal, budget))
            return;
        finish(removal);
        reap(broker, budget);
    }
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

void removals_free(struct broker *broker)
{
    for (struct list *link; (link = list_take_first(&broker->removals));) {
        struct removal *removal = list_entry(link, struct removal, link);
        map_remove(names_of(removal), name_of(removal));
        free_object(removal);
        mem_free(removal);
    }
}
