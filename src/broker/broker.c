#include "broker/broker.h"

#include <assert.h>

#include "base/mem.h"
#include "broker/dead_letter.h"
#include "broker/expiry.h"
#include "broker/login.h"
#include "broker/reconfigure.h"
#include "broker/parameter.h"
#include "broker/removal.h"
#include "broker/route.h"
#include "broker/seen.h"
#include "broker/unplaced.h"
#include "broker/user.h"
#include "broker/vhost.h"
#include "broker/vhost_removal.h"
#include "queue/queue_schedule.h"
#include "queue/queue_timer.h"

void broker_init(struct broker *broker, struct store *store, struct message_pool *pool,
                 struct random *random, const struct log *log, uint64_t now_ms)
{
    *broker = (struct broker){.store = store, .pool = pool, .random = random, .log = log};
    broker->options = broker_options_default();
    map_init(&broker->vhosts, random_next(random));
    map_init(&broker->users, random_next(random));
    map_init(&broker->parameters, random_next(random));
    map_init(&broker->going, random_next(random));
    queues_init(&broker->queues, store, random_next(random), now_ms);
    list_init(&broker->dead_letters);
    list_init(&broker->refused);
    idmap_init(&broker->unplaced);
    list_init(&broker->removals);
    list_init(&broker->doomed);
    list_init(&broker->reconfiguring);
    list_init(&broker->quotas);
    list_init(&broker->histories);
    list_init(&broker->forgotten);
    list_init(&broker->logins.waiting);
    broker->dead_letter_set = mem_zalloc(sizeof(*broker->dead_letter_set));
    broker->firehose_set = mem_zalloc(sizeof(*broker->firehose_set));
}

/* ---- what happens by itself ---- */

/* Parts of a turn's budget of their own; and what one queue takes of it. */
enum {
    DEAD_LETTER_STEPS = 4 * BUDGET_MS,
    RECONFIGURE_STEPS = 2 * BUDGET_MS,
    EXPIRED_STEPS = 400,
};

static void expire_unused(struct queue *queue)
{
    struct broker *broker = queue->vhost->broker;
    log_event(broker->log, EVENT_queue_expired, "vhost=%s queue=%s messages=%llu",
              queue->vhost->name, queue->name, (unsigned long long)queue_ready(queue));
    queue_delete(queue);
    budget_use(&broker->turn, EXPIRED_STEPS);
}

static void run_queue_timer(struct queue *queue, enum queue_timer which)
{
    switch (which) {
    case QUEUE_TIMER_UNUSED:
        expire_unused(queue);
        return;
    case QUEUE_TIMER_HEAD:
        expiry_run(queue);
        return;
    case QUEUE_TIMER_SCHEDULE:
        expiry_run_scheduled(queue);
        return;
    case QUEUE_TIMER_AHEAD:
        queue_schedule_read_ahead(queue);
        return;
    case QUEUE_TIMER_LETTERS:
        unplaced_retry(queue);
        return;
    case QUEUE_TIMERS:
        assert(false);
    }
}

static void run_queue_timers(struct broker *broker)
{
    enum queue_timer which;
    struct queue *queue;
    while (!budget_is_spent(&broker->turn) && !store_is_congested(broker->store) &&
           (queue = queues_take_expired(&broker->queues, &which)))
        run_queue_timer(queue, which);
}

/* What could not go at once. */
static void take_away(struct broker *broker)
{
    bool is_much = removals_are_left(broker) || map_count(&broker->going);
    removals_go_on(broker, &broker->turn);
    vhosts_go(broker, &broker->turn);
    if (is_much)
        mem_settle();
}

void broker_tick(struct broker *broker, uint64_t now_ms, uint64_t clock_ms)
{
    queues_tick(&broker->queues, now_ms, clock_ms);
    broker->clock_ms = clock_ms;
    run_queue_timers(broker);
    take_away(broker);
    seen_go_on(broker, &broker->turn);
    struct budget rest = broker->turn;
    broker->turn = budget_of(RECONFIGURE_STEPS);
    reconfigure_go_on(broker);
    broker->turn = budget_of(DEAD_LETTER_STEPS);
    dead_letters_move(broker);
    broker->turn = rest;
}

bool broker_has_work_left(const struct broker *broker)
{
    bool may_record = !store_is_congested(broker->store);
    bool is_due = queues_next_ms(&broker->queues) <= broker->queues.now_ms;
    return !list_is_empty(&broker->queues.working) || broker->has_to_drop ||
           reconfigure_is_left(broker) ||
           (may_record && (is_due || !list_is_empty(&broker->forgotten) ||
                           removals_are_left(broker) || vhosts_are_left(broker)));
}

uint64_t broker_next_ms(const struct broker *broker)
{
    uint64_t next = queues_next_ms(&broker->queues);
    return next > broker->queues.now_ms ? next : UINT64_MAX;
}

/* Any entry of a map, or NULL when it is empty. */
static void *map_any(const struct map *map)
{
    uint64_t at = 0;
    return map_next(map, &at);
}

uint64_t broker_queue_id(const struct broker *broker, bool durable)
{
    uint64_t group = durable ? broker->options.queue_group : 0;
    return group ? store_group_queue_id(broker->store, group) : store_queue_id(broker->store, durable);
}

size_t broker_queues(const struct broker *broker)
{
    size_t count = 0;
    uint64_t at = 0;
    const struct vhost *vhost;
    while ((vhost = map_next(&broker->vhosts, &at)))
        count += map_count(&vhost->queues);
    return count;
}

void broker_free(struct broker *broker)
{
    logins_free(broker);
    for (struct vhost *vhost; (vhost = map_any(&broker->vhosts));)
        vhost_free(vhost);
    for (struct vhost *vhost; (vhost = map_any(&broker->going));)
        vhost_free(vhost);
    uint64_t at = 0;
    for (void *user; (user = map_next(&broker->users, &at));)
        user_free(user);
    seen_free(broker);
    queues_free(&broker->queues);
    idmap_free(&broker->unplaced);
    parameters_free(&broker->parameters);
    map_free(&broker->users);
    map_free(&broker->going);
    map_free(&broker->vhosts);
    changes_free(&broker->changes);
    buffer_free(&broker->scratch);
    queue_set_free(broker->dead_letter_set);
    buffer_free(&broker->letter_deaths);
    buffer_free(&broker->letter_headers);
    buffer_free(&broker->letter_story.names);
    buffer_free(&broker->letter_properties);
    mem_free(broker->dead_letter_set);
    queue_set_free(broker->firehose_set);
    mem_free(broker->firehose_set);
}
