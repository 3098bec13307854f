/* A queue's life, and what its verbs have in common, whatever its kind. */
#include "queue/queue_expiry.h"
#include "queue/queue_latency.h"
#include "queue/queue_limit.h"
#include "queue/queue_retry.h"
#include "queue/queue_schedule.h"
#include "queue/queue_sums.h"
#include "queue/queue_timer.h"

#include <assert.h>

#include "amqp/properties.h"
#include "base/mem.h"

void queues_init(struct queues *queues, struct store *store, uint64_t seed, uint64_t now_ms)
{
    *queues = (struct queues){.store = store, .now_ms = now_ms, .timeout_least_ms = SETTING_NONE};
    list_init(&queues->working);
    list_init(&queues->touched);
    list_init(&queues->sampled);
    settings_pool_init(&queues->settings, seed);
}

void queues_free(struct queues *queues)
{
    timers_free(&queues->timers);
    for (int i = 0; i < LATENCIES; i++)
        latency_free(&queues->latencies[i]);
    mem_free(queues->places);
    mem_free(queues->times);
    buffer_free(&queues->gone);
    settings_pool_free(&queues->settings);
}

static void go_on_to(struct queues *queues, uint64_t now_ms)
{
    if (queues->clock_ms)
        queues->clock_ms += now_ms - queues->now_ms;
    queues->now_ms = now_ms;
}

void queues_woken(struct queues *queues, uint64_t now_ms)
{
    if (!queues->is_woken)
        go_on_to(queues, now_ms);
    queues->is_woken = true;
    queues->input_ms = queues->clock_ms + (now_ms - queues->now_ms);
}

void queues_tick(struct queues *queues, uint64_t now_ms, uint64_t clock_ms)
{
    queues->arrival_ms = queues->clock_ms;
    go_on_to(queues, now_ms);
    if (queues->clock_ms == 0)
        queues->clock_ms = clock_ms;
    queues->input_ms = queues->clock_ms;
    queues->is_woken = false;
}

bool queues_wake(struct queues *queues)
{
    struct index *index;
    bool any = false;
    while ((index = store_take_awake(queues->store))) {
        struct queue *queue = index->owner;
        if (queue->limit & QUEUE_AGREES && queue->kind->came)
            queue->kind->came(queue, index);
        queue_has_work(queue);
        queue_schedule_woken(queue);
        if (index->has_times)
            queue_heads_changed(index->owner);
        any = true;
    }
    return any;
}

void queue_tally_begin(struct queue *queue)
{
    _Static_assert((int)QUEUES_TALLIES_MAX == (int)TALLIES_OF_QUEUE, "room for those of a type");
    if (queue->tally)
        return;
    queue->tally = mem_zalloc(sizeof(*queue->tally));
    queue->tally->all = queue->queues->tallies[queue_class(queue)];
    queue->tally->queue = queue;
    list_init(&queue->tally->touched_link);
    list_init(&queue->tally->sampled_link);
}

static void init_lists(struct queue *queue)
{
    list_init(&queue->consumers);
    list_init(&queue->ready_consumers);
    list_init(&queue->working_link);
    list_init(&queue->bindings);
    list_init(&queue->owner_link);
    list_init(&queue->dead_letters);
    list_init(&queue->dead_letters_link);
}

static const struct queue_kind *kind_of(const struct queue_settings *settings)
{
    bool has_levels = settings->max_priority != SETTING_NONE && settings->max_priority > 0;
    return has_levels || settings->is_quorum ? &queue_priority : &queue_classic;
}

/* What is taken or waits for its next try comes back, and then has to leave on time as well. */
static void leave_from_anywhere(struct queue *queue)
{
    const struct counts *counts = queue->counts;
    if (counts->ready || counts->taken || counts->delayed)
        queue_schedule_read_begin(queue);
}

static void leave_from_head(struct queue *queue)
{
    queue_schedule_read_end(queue);
    queue_heads_changed(queue);
}

static void set_limit(struct queue *queue)
{
    queue->limit = (queue->limit & QUEUE_RESTS) | queue_limit_of(queue->settings);
    if (store_is_of_group(queue->id))
        queue->limit |= QUEUE_AGREES;
}

struct queue *queue_new(struct queues *queues, struct vhost *vhost,
                        const struct queue_properties *properties)
{
    struct queue *queue = mem_zalloc(sizeof(*queue) + properties->name.size + 1);
    queue->queues = queues;
    queue->vhost = vhost;
    queue->durable = properties->durable;
    queue->auto_delete = properties->auto_delete;
    queue->exclusive_owner = properties->exclusive_owner;
    queue->name_size = (uint8_t)properties->name.size;
    memcpy(queue->name, properties->name.data, properties->name.size);
    struct bytes arguments = properties->sources.arguments;
    queue->arguments_size = (uint32_t)arguments.size;
    if (queue->arguments_size)
        queue->arguments = mem_dup(arguments.data, arguments.size);
    queue->settings = queue_settings_take(&queues->settings, &properties->sources);
    queue->kind = kind_of(queue->settings);
    init_lists(queue);
    queue->id = properties->id ? properties->id : store_queue_id(queues->store, queue->durable);
    queue->limit = QUEUE_RESTS;
    set_limit(queue);
    queue->kind->open(queue);
    if (queue->counts->ready || queue->counts->taken || queue->counts->delayed)
        queue_touch(queue);
    if (queue->kind->head_ms(queue))
        queue_timer_set(queue, QUEUE_TIMER_HEAD, 0);
    if (queue->settings->expire_anywhere)
        leave_from_anywhere(queue);
    queue_retry_begin(queue);
    queue_used(queue);
    return queue;
}

void queue_reconfigure(struct queue *queue, const struct queue_sources *sources)
{
    struct queues *queues = queue->queues;
    const struct queue_settings *before = queue->settings;
    const struct queue_settings *now = queue_settings_take(&queues->settings, sources);
    queue->settings = now;
    set_limit(queue);
    queues->timeouts += now->consumer_timeout_ms != before->consumer_timeout_ms;
    if (now->consumer_timeout_ms < queues->timeout_least_ms)
        queues->timeout_least_ms = now->consumer_timeout_ms;
    if (now->expires_ms != before->expires_ms)
        queue_expiry_changed(queue);
    if (now->expire_anywhere && !before->expire_anywhere)
        leave_from_anywhere(queue);
    if (!now->expire_anywhere && before->expire_anywhere)
        leave_from_head(queue);
    queue_settings_give_back(&queues->settings, before);
}

void queue_free(struct queue *queue)
{
    assert(list_is_empty(&queue->consumers) && list_is_empty(&queue->ready_consumers));
    assert(!queue->is_leaving || list_is_empty(&queue->working_link));
    queue_timers_free(queue);
    if (queue->state) {
        queue_sum(queue, NULL);
        queue->kind->close(queue);
    }
    mem_free(queue->arguments);
    queue_leave_sums(queue);
    if (queue->tally)
        queue_latency_free(queue->tally);
    mem_free(queue->tally);
    queue_settings_give_back(&queue->queues->settings, queue->settings);
    mem_free(queue);
}

void queue_drop(struct queue *queue)
{
    assert(queue->state && queue->counts);
    list_remove(&queue->working_link);
    queue_timers_free(queue);
    queue_sum(queue, NULL);
    queue->kind->drop(queue);
    queue->state = NULL;
    queue->counts = NULL;
    queue_leave_sums(queue);
}

/* When the message ends in each of them; NULL: it does in none. */
static const uint64_t *times_of(struct queues *queues, struct queue *const *destinations,
                                size_t count, const struct message *message)
{
    bool any = message->ttl_ms != MESSAGE_NO_TTL;
    for (size_t i = 0; i < count && !any; i++)
        any = destinations[i]->settings->message_ttl_ms != SETTING_NONE;
    if (!any)
        return NULL;
    if (count > queues->times_capacity)
        queues->times =
            mem_grow(queues->times, &queues->times_capacity, count, sizeof(*queues->times));
    for (size_t i = 0; i < count; i++)
        queues->times[i] = queue_ends_ms(destinations[i], message);
    return queues->times;
}

static void note_published(struct queue *queue)
{
    if (__builtin_expect(!queue->tally, 0))
        queue_tally_begin(queue);
    queue->tally->of[TALLY_PUBLISHED]++;
}

/* It is about to be put there. */
static inline void time_pushed(struct queue *queue, const struct index *place,
                               const struct message *message)
{
    if (queue->tally->timed_below && queue_times(queue, index_next(place)))
        queue_timed_pushed(queue, queue->kind->next_position(queue, message));
}

uint32_t queue_push_to(struct queue *queue, struct message *message)
{
    bool is_timed =
        message->ttl_ms != MESSAGE_NO_TTL || queue->settings->message_ttl_ms != SETTING_NONE;
    uint64_t ends_ms = __builtin_expect(is_timed, 0) ? queue_ends_ms(queue, message) : 0;
    struct index *place = queue->kind->place(queue, message);
    note_published(queue);
    time_pushed(queue, place, message);
    uint32_t logs = store_publish_one(queue->queues->store, message, place, ends_ms);
    if (__builtin_expect(ends_ms != 0, 0))
        queue_pushed_timed(queue, place, ends_ms);
    if (!list_is_empty(&queue->ready_consumers))
        queue_has_work(queue);
    return logs;
}

uint32_t queue_push(struct queues *queues, struct queue *const *destinations, size_t count,
                    struct message *message)
{
    if (count == 1)
        return queue_push_to(destinations[0], message);
    if (count > queues->places_capacity)
        queues->places =
            mem_grow(queues->places, &queues->places_capacity, count, sizeof(struct index *));
    for (size_t i = 0; i < count; i++) {
        note_published(destinations[i]);
        queues->places[i] = destinations[i]->kind->place(destinations[i], message);
        time_pushed(destinations[i], queues->places[i], message);
    }
    const uint64_t *times = times_of(queues, destinations, count, message);
    uint32_t logs = store_publish_timed(queues->store, message, queues->places, times, count);
    for (size_t i = 0; times && i < count; i++)
        if (times[i])
            queue_pushed_timed(destinations[i], queues->places[i], times[i]);
    for (size_t i = 0; i < count; i++)
        if (!list_is_empty(&destinations[i]->ready_consumers))
            queue_has_work(destinations[i]);
    return logs;
}

void queue_has_work(struct queue *queue)
{
    if (list_is_empty(&queue->working_link))
        list_push_back(&queue->queues->working, &queue->working_link);
}

static bool timestamp_of(const struct message *message, uint64_t *timestamp)
{
    return message && properties_timestamp(message_properties(message), timestamp);
}

bool queue_head_timestamp(const struct queue *queue, uint64_t *timestamp)
{
    struct index_heads heads;
    uint64_t of_ready;
    queue->kind->heads(queue, &heads);
    bool has_one = timestamp_of(heads.first, timestamp);
    if (heads.ready == heads.first || !timestamp_of(heads.ready, &of_ready))
        return has_one;
    if (!has_one || of_ready < *timestamp)
        *timestamp = of_ready;
    return true;
}

/* What came back and is being read has not gone back yet. */
static uint64_t purge_deferred(struct queue *queue)
{
    struct scheduled first;
    uint64_t count = 0;
    for (; queue_schedule_deferred(queue, &first); count++) {
        queue_schedule_deferred_done(queue);
        queue_settle(queue, first.position);
    }
    return count;
}

uint64_t queue_purge(struct queue *queue)
{
    uint64_t deferred = purge_deferred(queue);
    return deferred + queue->kind->purge(queue);
}

bool queue_is_empty(const struct queue *queue)
{
    struct scheduled first;
    return queue->counts->ready + queue->counts->delayed == 0 &&
           !queue_schedule_deferred(queue, &first);
}
