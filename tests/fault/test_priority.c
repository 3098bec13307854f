/* Queues with priorities over a store whose chunks leave memory, and which ends and comes back: random
 * histories, beside a model that keeps a list. At each step the queue gives what the model says is
 * first, and counts what the model counts; after a crash or an orderly end all that survives is there,
 * in the order that it had.
 *
 *     test_priority.t [SEED [HISTORIES]] */
#include <inttypes.h>
#include <stdio.h>

#include "amqp/properties.h"
#include "amqp/table.h"
#include "base/mem.h"
#include "queue/queue_expiry.h"
#include "queue/queue_timer.h"
#include "tests/fault/bench.h"
#include "tests/lib/store_audit.h"
#include "tests/lib/tap.h"

enum { QUEUES = 3, STEPS = 800, ITEMS_MAX = 500, BODY = 100 };
enum { NO_PRIORITY = -1, CLOCK_MS = 1000000 };

struct item {
    uint64_t number; /* rising; in the body */
    uint64_t position;
    uint64_t ends_ms; /* 0: never */
    uint8_t level;
    bool survives, is_taken;
};

struct model {
    struct queue *queue;
    uint64_t id;
    uint8_t top, normal;
    struct item items[ITEMS_MAX]; /* in the order in which they came */
    size_t count;
};

struct history {
    struct bench bench;
    struct queues queues;
    struct model models[QUEUES];
    struct counts sum; /* of all of them */
    uint64_t seed, step, numbers;
    bool failed;
    struct met {
        uint64_t taken, waited, returned, dropped, expired, purged, cold, restarts, crashes, several;
        uint64_t spilled;
    } met;
};

static uint64_t below(struct history *h, uint64_t limit)
{
    return random_below(&h->bench.random, limit);
}

static void fail(struct history *h, const char *what, uint64_t got, uint64_t want)
{
    if (!h->failed)
        diag("seed %" PRIu64 " step %" PRIu64 ": %s: %" PRIu64 ", not %" PRIu64, h->seed, h->step,
             what, got, want);
    h->failed = true;
}

/* ---- the model ---- */

/* The first ready one of a level; NULL: none is. */
static struct item *head_of(struct model *model, int level)
{
    for (size_t i = 0; i < model->count; i++)
        if (!model->items[i].is_taken && model->items[i].level == level)
            return &model->items[i];
    return NULL;
}

static struct item *first_of(struct model *model)
{
    struct item *first = NULL;
    for (size_t i = 0; i < model->count; i++) {
        struct item *item = &model->items[i];
        if (!item->is_taken && (!first || item->level > first->level))
            first = item;
    }
    return first;
}

static void forget(struct model *model, const struct item *item)
{
    size_t at = (size_t)(item - model->items);
    memmove(&model->items[at], &model->items[at + 1],
            (--model->count - at) * sizeof(model->items[0]));
}

static size_t taken_of(const struct model *model)
{
    size_t taken = 0;
    for (size_t i = 0; i < model->count; i++)
        taken += model->items[i].is_taken;
    return taken;
}

static struct item *some_taken(struct history *h, struct model *model)
{
    size_t taken = taken_of(model);
    size_t which = taken ? below(h, taken) : 0;
    for (size_t i = 0; i < model->count; i++)
        if (model->items[i].is_taken && which-- == 0)
            return &model->items[i];
    return NULL;
}

/* ---- the queue beside it ---- */

static void turns(struct history *h, int count, uint64_t ms)
{
    bench_turns(&h->bench, count, ms);
}

static uint64_t number_of(struct history *h, struct message *message)
{
    uint64_t number = 0;
    memcpy(&number, message_body(message).data, sizeof(number));
    message_unref(&h->bench.pool, message);
    return number;
}

/* What lies at a position, however long it takes to be read. */
static uint64_t fetch(struct history *h, struct model *model, uint64_t position)
{
    struct message *message;
    for (int i = 0; i < 100; i++) {
        enum queue_result result = queue_fetch(model->queue, position, &message);
        if (result == QUEUE_OK)
            return number_of(h, message);
        h->met.cold++;
        turns(h, 1, 1);
    }
    return 0;
}

static uint8_t level_for(const struct model *model, int priority)
{
    if (priority == NO_PRIORITY)
        return model->normal;
    return priority > model->top ? model->top : (uint8_t)priority;
}

static struct message *make(struct history *h, int priority, uint64_t ttl_ms)
{
    static const uint8_t none[] = {0, 0}, with[] = {PROPERTY_PRIORITY >> 8, PROPERTY_PRIORITY & 0xff};
    uint8_t properties[3];
    size_t size = priority == NO_PRIORITY ? sizeof(none) : sizeof(properties);
    memcpy(properties, priority == NO_PRIORITY ? none : with, 2);
    properties[2] = (uint8_t)priority;
    struct message *message = message_new(&h->bench.pool, bytes_str("x"), bytes_str("key"),
                                          bytes_of(properties, size), BODY);
    uint8_t body[BODY] = {0};
    memcpy(body, &h->numbers, sizeof(h->numbers));
    message_fill(message, bytes_of(body, sizeof(body)));
    message->priority = priority == NO_PRIORITY ? 0 : (uint8_t)priority;
    message->flags = below(h, 6) ? MESSAGE_PERSISTENT : 0;
    message->ttl_ms = ttl_ms;
    return message;
}

static void publish(struct history *h)
{
    struct queue *queues[QUEUES];
    size_t count = 0;
    uint64_t mask = below(h, 3) ? (uint64_t)1 << below(h, QUEUES) : 1 + below(h, (1 << QUEUES) - 1);
    int priority = below(h, 4) ? (int)below(h, 12) : (int)below(h, 257) - 1;
    uint64_t ttl_ms = below(h, 4) ? MESSAGE_NO_TTL : 1 + below(h, 3000);
    h->numbers++;
    struct message *message = make(h, priority, ttl_ms);
    for (int q = 0; q < QUEUES; q++) {
        struct model *model = &h->models[q];
        if (!(mask >> q & 1) || model->count == ITEMS_MAX)
            continue;
        queues[count++] = model->queue;
        model->items[model->count++] =
            (struct item){.number = h->numbers,
                          .level = level_for(model, priority),
                          .ends_ms = ttl_ms == MESSAGE_NO_TTL ? 0 : h->queues.clock_ms + ttl_ms,
                          .survives = message->flags & MESSAGE_PERSISTENT};
    }
    queue_push(&h->queues, queues, count, message);
    h->met.several += count > 1;
    message_unref(&h->bench.pool, message);
}

static void end(struct model *model, struct item *item)
{
    queue_settle(model->queue, item->position);
    forget(model, item);
}

static void take(struct history *h, struct model *model)
{
    struct taken taken;
    bool settle = below(h, 3) == 0;
    struct item *first = first_of(model);
    enum queue_result result = queue_take(model->queue, settle, &taken);
    if (result == QUEUE_WAIT) {
        h->met.waited++;
        turns(h, 1, 1);
        return;
    }
    if ((result == QUEUE_OK) != (first != NULL)) {
        fail(h, "is there a message", result == QUEUE_OK, first != NULL);
        return;
    }
    if (!first)
        return;
    uint64_t number = number_of(h, taken.message);
    if (number != first->number)
        fail(h, "another message is first", number, first->number);
    h->met.taken++;
    first->position = taken.sequence;
    first->is_taken = true;
    if (settle)
        forget(model, first);
}

static void drop_head(struct history *h, struct model *model)
{
    uint64_t position;
    struct item *first = first_of(model);
    if (!queue_take_head(model->queue, &position)) {
        if (first)
            fail(h, "no head", 0, first->number);
        return;
    }
    first->position = position;
    first->is_taken = true;
    uint64_t number = below(h, 2) ? fetch(h, model, position) : first->number;
    if (number != first->number)
        fail(h, "another message was dropped", number, first->number);
    end(model, first);
    h->met.dropped++;
}

static void end_taken(struct history *h, struct model *model)
{
    struct item *item = some_taken(h, model);
    if (!item)
        return;
    if (below(h, 3)) {
        end(model, item);
        return;
    }
    queue_give_back(model->queue, item->position);
    item->is_taken = false;
    h->met.returned++;
}

static bool has_ended(const struct history *h, const struct item *item)
{
    return item && item->ends_ms && item->ends_ms <= h->queues.clock_ms;
}

/* Takes what has ended, from the heads of all levels, until there is no more. */
static void expire(struct history *h, struct model *model)
{
    uint64_t position;
    enum queue_result result;
    h->queues.clock_ms += below(h, 300);
    for (int i = 0; i < 1000; i++) {
        result = queue_expire(model->queue, &position);
        if (result == QUEUE_EMPTY)
            break;
        if (result == QUEUE_WAIT) {
            turns(h, 1, 1);
            continue;
        }
        uint64_t number = fetch(h, model, position);
        struct item *item = head_of(model, (int)(position >> 56));
        if (!has_ended(h, item) || item->number != number) {
            fail(h, "it has not ended", number, item ? item->number : 0);
            return;
        }
        item->position = position;
        end(model, item);
        h->met.expired++;
    }
    for (int level = 0; level < 256 && !h->failed; level++)
        if (has_ended(h, head_of(model, level)))
            fail(h, "the head of a level stays", 0, (uint64_t)level);
}

static void purge(struct history *h, struct model *model)
{
    uint64_t purged = queue_purge(model->queue), kept = 0;
    for (size_t i = 0; i < model->count; i++)
        if (model->items[i].is_taken)
            model->items[kept++] = model->items[i];
    if (purged != model->count - kept)
        fail(h, "purged", purged, model->count - kept);
    model->count = kept;
    h->met.purged++;
}

static void compare_counts(struct history *h, const struct model *model)
{
    const struct counts *counts = model->queue->counts;
    size_t taken = taken_of(model), ready = model->count - taken;
    if (counts->ready != ready)
        fail(h, "ready", counts->ready, ready);
    else if (counts->taken != taken)
        fail(h, "taken", counts->taken, taken);
    else if (counts->ready_bytes != ready * BODY)
        fail(h, "bytes", counts->ready_bytes, ready * BODY);
    else if (counts->bytes != model->count * BODY)
        fail(h, "bytes of all", counts->bytes, model->count * BODY);
}

/* What is above all queues has what they have. */
static void compare_sum(struct history *h)
{
    struct counts sum = {.above = NULL};
    for (int q = 0; q < QUEUES; q++) {
        const struct counts *counts = h->models[q].queue->counts;
        sum.ready += counts->ready;
        sum.taken += counts->taken;
        sum.delayed += counts->delayed;
        sum.ready_bytes += counts->ready_bytes;
        sum.bytes += counts->bytes;
    }
    if (memcmp(&sum, &h->sum, sizeof(sum)) != 0)
        fail(h, "the sum of the queues", h->sum.ready + h->sum.taken + h->sum.delayed,
             sum.ready + sum.taken + sum.delayed);
}

/* ---- the end, and what comes back ---- */

static void open_queues(struct history *h)
{
    char text[100];
    for (int q = 0; q < QUEUES; q++) {
        struct model *model = &h->models[q];
        struct buffer arguments = {0};
        struct table_writer writer;
        table_writer_init(&writer, &arguments);
        if (model->normal)
            table_add_string(&writer, bytes_str("x-queue-type"), bytes_str("quorum"));
        else
            table_add_int64(&writer, bytes_str("x-max-priority"), model->top);
        snprintf(text, sizeof(text), "q%d", q);
        struct queue_properties properties = {
            .name = bytes_str(text), .durable = true, .sources.arguments = buffer_bytes(&arguments)};
        properties.id = model->id;
        model->queue = queue_new(&h->queues, NULL, &properties);
        model->id = model->queue->id;
        queue_sum(model->queue, &h->sum);
        buffer_free(&arguments);
    }
}

static void compare_closed(struct history *h)
{
    static const struct counts none;
    if (memcmp(&h->sum, &none, sizeof(none)) != 0)
        fail(h, "a sum of no queues", h->sum.ready + h->sum.taken + h->sum.delayed, 0);
}

static void close_queues(struct history *h)
{
    for (int q = 0; q < QUEUES; q++) {
        list_remove(&h->models[q].queue->working_link);
        queue_free(h->models[q].queue);
    }
    compare_closed(h);
}

static void settle_down(struct history *h)
{
    for (int i = 0; i < 20; i++)
        bench_wait(&h->bench);
}

static void restart(struct history *h, bool in_order)
{
    struct bench *bench = &h->bench;
    char error[600];
    settle_down(h);
    close_queues(h);
    h->met.spilled += store_stats(bench->store)->chunks_spilled;
    if (in_order)
        store_close(bench->store);
    else
        bench_crash(bench, CRASH_DROP);
    bench->store = store_open(&bench->options, bench->now_ms, error, sizeof(error));
    if (!bench->store)
        bail("seed %" PRIu64 " step %" PRIu64 ": %s", h->seed, h->step, error);
    h->queues.store = bench->store;
    for (int q = 0; q < QUEUES; q++) {
        struct model *model = &h->models[q];
        size_t kept = 0;
        for (size_t i = 0; i < model->count; i++)
            if (model->items[i].survives)
                model->items[kept++] = model->items[i];
        for (size_t i = 0; i < kept; i++)
            model->items[i].is_taken = false;
        model->count = kept;
    }
    open_queues(h);
    h->met.restarts += in_order;
    h->met.crashes += !in_order;
}

/* ---- histories ---- */

static void act(struct history *h)
{
    uint64_t what = below(h, 1000);
    struct model *model = &h->models[below(h, QUEUES)];
    if (what < 400)
        for (uint64_t i = 1 + below(h, 8); i; i--)
            publish(h);
    else if (what < 650)
        for (uint64_t i = 1 + below(h, 8); i && !h->failed; i--)
            take(h, model);
    else if (what < 850)
        for (uint64_t i = 1 + below(h, 6); i; i--)
            end_taken(h, model);
    else if (what < 900)
        for (uint64_t i = 1 + below(h, 4); i && !h->failed; i--)
            drop_head(h, model);
    else if (what < 920)
        expire(h, model);
    else if (what < 922)
        purge(h, model);
    else if (what < 924)
        restart(h, below(h, 2));
    else
        turns(h, 1 + (int)below(h, 3), below(h, 400));
    for (int q = 0; q < QUEUES && !h->failed; q++)
        compare_counts(h, &h->models[q]);
    if (!h->failed)
        compare_sum(h);
}

static void begin(struct history *h, uint64_t seed, const struct met *met)
{
    static const struct {
        uint8_t top, normal;
    } kinds[QUEUES] = {{9, 0}, {255, 0}, {31, 4}};
    struct bench *bench = &h->bench;
    char error[600];
    h->seed = seed;
    h->met = *met;
    bench_init(bench);
    random_init(&bench->random, seed);
    bench->options.segment_bytes = 65536;
    bench->options.chunk_entries = 32;
    bench->options.cache_bytes = 4096;
    bench->options.bodies_idle_bytes = 4096;
    bench->options.bodies_burst_bytes = 65536;
    bench->options.checkpoint_bytes = 131072;
    bench->options.mark_step = 40;
    bench->store = store_open(&bench->options, bench->now_ms, error, sizeof(error));
    queues_init(&h->queues, bench->store, seed, 0);
    queues_tick(&h->queues, 0, CLOCK_MS);
    for (int q = 0; q < QUEUES; q++) {
        h->models[q].top = kinds[q].top;
        h->models[q].normal = kinds[q].normal;
    }
    open_queues(h);
}

static void note_met(struct history *h)
{
    h->met.spilled += store_stats(h->bench.store)->chunks_spilled;
}

/* What is left comes out in order. */
static void drain(struct history *h)
{
    for (int q = 0; q < QUEUES; q++) {
        struct model *model = &h->models[q];
        for (int i = 0; i < 10000 && !h->failed && first_of(model); i++) {
            if (i % 8 == 0)
                expire(h, model);
            if (first_of(model))
                take(h, model);
        }
        if (!h->failed && first_of(model))
            fail(h, "left", model->count, 0);
    }
}

static bool history(uint64_t seed, void *all_met)
{
    struct met *met = all_met;
    struct history *h = mem_zalloc(sizeof(*h));
    begin(h, seed, met);
    for (h->step = 1; h->step <= STEPS && !h->failed; h->step++)
        act(h);
    drain(h);
    note_met(h);
    close_queues(h);
    queues_free(&h->queues);
    bench_free(&h->bench);
    *met = h->met;
    bool held = !h->failed;
    mem_free(h);
    return held;
}

static bool met_all(const struct met *met)
{
    diag("taken %" PRIu64 ", waited %" PRIu64 ", returned %" PRIu64 ", dropped %" PRIu64
         ", expired %" PRIu64 ", purged %" PRIu64 ", read %" PRIu64,
         met->taken, met->waited, met->returned, met->dropped, met->expired, met->purged,
         met->cold);
    diag("restarts %" PRIu64 " and %" PRIu64 ", several %" PRIu64 ", spilled %" PRIu64,
         met->restarts, met->crashes, met->several, met->spilled);
    return met->taken && met->waited && met->returned && met->dropped && met->expired &&
           met->purged && met->cold && met->restarts && met->crashes && met->several &&
           met->spilled;
}

int main(int argc, char **argv)
{
    struct met met = {0};
    bench_histories(argc, argv, 4, "the queues are as the model", history, &met);
    ok(met_all(&met), "everything was met");
    return done();
}
