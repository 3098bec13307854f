#include "queue/queue_sums.h"

/* A queue is several places in memory, and what takes time is to wait for these: some are asked for at once. */
enum { AT_ONCE = 32 };

void queue_stir(struct queue *queue)
{
    queue_tally_begin(queue);
    queue->limit &= (uint8_t)~QUEUE_RESTS;
    list_push_back(&queue->queues->touched, &queue->tally->touched_link);
}

static struct queue_sums sums_of(const struct queue *queue)
{
    const struct counts *counts = queue->counts;
    if (!counts || queue->is_delay)
        return (struct queue_sums){0};
    return (struct queue_sums){
        .ready = counts->ready,
        .taken = counts->taken,
        .delayed = counts->delayed,
        .ready_bytes = counts->ready_bytes,
        .able = !list_is_empty(&queue->ready_consumers),
    };
}

/* Differences wrap around. */
static void tell(struct queue *queue, const struct queue_sums *now)
{
    struct queue_sums *all = &queue->queues->sums, *told = &queue->tally->told;
    all->ready += now->ready - told->ready;
    all->taken += now->taken - told->taken;
    all->delayed += now->delayed - told->delayed;
    all->ready_bytes += now->ready_bytes - told->ready_bytes;
    all->able += now->able - told->able;
    *told = *now;
}

static void tell_published(const struct queue *queue)
{
    struct queue_tally *tally = queue->tally;
    if (queue->is_delay)
        return;
    tally->all[TALLY_PUBLISHED] += tally->of[TALLY_PUBLISHED] - tally->told_published;
    tally->told_published = tally->of[TALLY_PUBLISHED];
}

static void sum_up(struct queue *queue)
{
    struct queues *queues = queue->queues;
    struct queue_sums now = sums_of(queue);
    tell(queue, &now);
    tell_published(queue);
    queue->limit |= QUEUE_RESTS;
    if (queues->is_sampled && list_is_empty(&queue->tally->sampled_link))
        queue_sample_again(queue);
}

static void fetch(const struct queue *queue)
{
    __builtin_prefetch(&queue->counts->ready);
    __builtin_prefetch(&queue->counts->ready_bytes);
    __builtin_prefetch(&queue->tally->told);
}

/* Those whose messages have changed stir; false: these were all. */
static bool stir_changed(struct queues *queues, size_t most)
{
    struct index *index;
    size_t count = 0;
    for (; count < most && (index = store_take_changed(queues->store)); count++)
        if (index->owner)
            queue_touch(index->owner);
    return count == most;
}

static struct queue *take_touched(struct queues *queues)
{
    struct list *link = list_take_first(&queues->touched);
    return link ? list_entry(link, struct queue_tally, touched_link)->queue : NULL;
}

/* How many it were. */
static size_t sum_up_some(struct queues *queues)
{
    struct queue *some[AT_ONCE], *queue;
    size_t count = 0;
    while (count < AT_ONCE && (queue = take_touched(queues))) {
        some[count++] = queue;
        __builtin_prefetch(&queue->counts);
    }
    for (size_t i = 0; i < count; i++)
        if (some[i]->counts)
            fetch(some[i]);
    for (size_t i = 0; i < count; i++)
        sum_up(some[i]);
    return count;
}

bool queues_sum_up(struct queues *queues, size_t most)
{
    bool has_more = stir_changed(queues, most);
    size_t count = 0, some = 1;
    for (; count < most && some; count += some)
        some = sum_up_some(queues);
    return has_more || count >= most;
}

struct queue *queues_take_sampled(struct list *sampled)
{
    struct list *link = list_take_first(sampled);
    return link ? list_entry(link, struct queue_tally, sampled_link)->queue : NULL;
}

void queue_sample_again(struct queue *queue)
{
    list_push_back(&queue->queues->sampled, &queue->tally->sampled_link);
}

void queue_leave_sums(struct queue *queue)
{
    struct queue_tally *tally = queue->tally;
    static const struct queue_sums nothing;
    if (!tally)
        return;
    tell(queue, &nothing);
    tell_published(queue);
    list_remove(&tally->touched_link);
    list_remove(&tally->sampled_link);
    if (tally->was_sampled)
        buffer_add(&queue->queues->gone, &queue->id, sizeof(queue->id));
    tally->was_sampled = false;
}
