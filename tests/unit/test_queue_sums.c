/* What all queues come to, against a look at each of them; and that it costs nothing while they rest. */
#include <stdio.h>

#include "queue/queue_consumer.h"
#include "queue/queue_sums.h"
#include "tests/lib/broker_bench.h"

enum { QUEUES = 40, CONSUMERS = 20, STEPS = 20000, TAKEN_MAX = 100 };

struct held {
    struct queue *queue;
    uint64_t position;
};

static struct bench bench;
static struct queue *queues[QUEUES];
static struct queue_consumer consumers[CONSUMERS];
static struct list lost;
static struct held held[TAKEN_MAX];
static size_t held_count;
static uint64_t published, seed;

static unsigned below(unsigned end)
{
    seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (unsigned)(seed >> 33) % end;
}

static struct queues *all(void)
{
    return &bench.broker.queues;
}

/* How many of these calls it took. */
static unsigned sum_up(size_t most)
{
    unsigned calls = 1;
    while (queues_sum_up(all(), most))
        calls++;
    return calls;
}

/* ---- what happens ---- */

static void make(int number)
{
    static const char *const arguments[] = {"", "x-max-priority=I3", "x-max-length=I5"};
    char name[20];
    snprintf(name, sizeof(name), "%d", number);
    queues[number] = bench_queue(&bench, name, number % 2 ? "d" : "", arguments[number % 3]);
}

static void hold_end(size_t at, bool gives_back)
{
    if (gives_back)
        queue_give_back(held[at].queue, held[at].position);
    else
        queue_settle(held[at].queue, held[at].position);
    held[at] = held[--held_count];
}

static void take(struct queue *queue)
{
    struct taken taken;
    bool settles = below(2);
    if (held_count == TAKEN_MAX || queue_take(queue, settles, &taken) != QUEUE_OK)
        return;
    if (!settles)
        held[held_count++] = (struct held){queue, taken.sequence};
    message_unref(&bench.pool, taken.message);
}

static void leave(struct queue_consumer *consumer)
{
    queue_consumer_leave(consumer);
    queue_consumer_free(consumer);
    consumer->queue = NULL;
}

static void come_or_go(struct queue *queue)
{
    struct queue_consumer *consumer = &consumers[below(CONSUMERS)];
    if (consumer->queue) {
        leave(consumer);
        return;
    }
    *consumer = (struct queue_consumer){.is_active = true, .lost = &lost, .no_ack = true};
    list_init(&consumer->queue_link);
    list_init(&consumer->ready_link);
    queue_consumer_join(queue, consumer);
}

static void replace(int number)
{
    struct queue *queue = queues[number];
    for (size_t i = held_count; i--;)
        if (held[i].queue == queue)
            hold_end(i, false);
    for (int i = 0; i < CONSUMERS; i++)
        if (consumers[i].queue == queue)
            leave(&consumers[i]);
    queue_delete(queue);
    make(number);
}

static void push(int number)
{
    char name[20];
    snprintf(name, sizeof(name), "%d", number);
    published += bench_publish(&bench, "", name, NULL, NULL, "12345");
}

static void act(void)
{
    unsigned what = below(1000);
    int number = (int)below(QUEUES);
    if (what < 500)
        push(number);
    else if (what < 700)
        take(queues[number]);
    else if (what < 800 && held_count)
        hold_end(below((unsigned)held_count), what < 740);
    else if (what < 900)
        come_or_go(queues[number]);
    else if (what < 910)
        queue_purge(queues[number]);
    else if (what < 920)
        replace(number);
}

/* ---- what is there ---- */

static bool is_right(void)
{
    struct queue_sums sums = {0}, *told = &all()->sums;
    uint64_t count = 0, ever = all()->tallies[QUEUE_CLASS_CLASSIC][TALLY_PUBLISHED];
    for (int i = 0; i < QUEUES; i++) {
        const struct counts *counts = queues[i]->counts;
        sums.ready += counts->ready;
        sums.taken += counts->taken;
        sums.delayed += counts->delayed;
        sums.ready_bytes += counts->ready_bytes;
        sums.able += !list_is_empty(&queues[i]->ready_consumers);
        count += queues[i]->consumer_count;
    }
    return sums.ready == told->ready && sums.taken == told->taken && sums.delayed == told->delayed &&
           sums.ready_bytes == told->ready_bytes && sums.able == told->able &&
           count == all()->consumers && ever == published;
}

static bool is_at_rest(void)
{
    return list_is_empty(&all()->touched) && !store_take_changed(bench.store);
}

static void begin(void)
{
    published = held_count = 0;
    bench_new(&bench);
    list_init(&lost);
    all()->is_sampled = true;
    for (int i = 0; i < QUEUES; i++)
        make(i);
}

static void end(void)
{
    while (held_count)
        hold_end(0, false);
    for (int i = 0; i < CONSUMERS; i++)
        if (consumers[i].queue)
            leave(&consumers[i]);
    bench_free(&bench);
}

/* ---- tests ---- */

TEST(are_what_each_comes_to)
{
    unsigned wrong = 0, looked = 0, most = 0;
    begin();
    for (int step = 0; step < STEPS; step++) {
        act();
        if (below(20))
            continue;
        sum_up(1 + below(50));
        looked++;
        wrong += !is_right();
        most = all()->sums.ready > most ? (unsigned)all()->sums.ready : most;
    }
    ok(wrong == 0, "of %u looks none is wrong (%u)", looked, wrong);
    ok(most > 100 && published > STEPS / 4, "up to %u messages were there", most);
    end();
}

TEST(queues_that_rest_are_not_looked_at)
{
    begin();
    is_int(sum_up(1), 1, "new ones rest");
    ok(is_at_rest() && list_is_empty(&all()->sampled), "there is nothing to do");
    for (int i = 0; i < 10; i++)
        push(i);
    push(3);
    ok(sum_up(1) <= 11, "those that have got something are looked at once");
    is_int(all()->sums.ready, 11, "what they got");
    unsigned sampled = 0;
    while (queues_take_sampled(&all()->sampled))
        sampled++;
    is_int(sampled, 10, "and sampled once");
    is_int(sum_up(1), 1, "then they rest again");
    ok(is_at_rest() && list_is_empty(&all()->sampled), "until something else happens");
    end();
}

TEST(what_is_counted_without_a_message)
{
    struct queue *queue;
    begin();
    queue = queues[0];
    come_or_go(queue);
    sum_up(8);
    is_int(all()->sums.able, 1, "a consumer has come");
    for (int i = 0; i < CONSUMERS; i++)
        if (consumers[i].queue)
            leave(&consumers[i]);
    sum_up(8);
    is_int(all()->sums.able, 0, "and gone");
    end();
}

TEST(what_was_there_before_a_start)
{
    begin();
    push(1);
    push(1);
    push(2);
    sum_up(8);
    is_int(all()->sums.ready, 3, "three messages");
    bench_restart(&bench);
    sum_up(8);
    is_int(all()->sums.ready, 2, "two in a durable queue");
    bench_free(&bench);
}

TEST(those_that_were_sampled_tell_of_their_end)
{
    begin();
    uint64_t id = queues[4]->id, told;
    push(4);
    push(5);
    sum_up(8);
    queues[4]->tally->was_sampled = true;
    replace(4);
    replace(5);
    is_int(all()->gone.size, sizeof(id), "one of two");
    memcpy(&told, all()->gone.data, sizeof(told));
    ok(told == id, "by its id");
    ok(all()->sums.ready == 0, "and what was in them is not counted any more");
    end();
}

int main(void)
{
    for (uint64_t i = 1; i <= 3; i++) {
        seed = i;
        RUN(are_what_each_comes_to);
    }
    RUN(queues_that_rest_are_not_looked_at);
    RUN(what_is_counted_without_a_message);
    RUN(what_was_there_before_a_start);
    RUN(those_that_were_sampled_tell_of_their_end);
    return done();
}
