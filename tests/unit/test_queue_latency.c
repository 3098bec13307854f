/* How long messages take: which are timed, what counts, and that what is remembered stays small. */
#include <stdio.h>

#include "queue/queue_latency.h"
#include "tests/lib/broker_bench.h"

static struct bench bench;
static uint64_t clock_us;

/* A queue that somebody reads, and a clock of its own. */
static struct queue *begin(const char *arguments)
{
    struct queue *queue = bench_begin(&bench, arguments);
    clock_us = 1000000;
    bench.broker.queues.now_us = &clock_us;
    queue_tally_begin(queue);
    queue_latency_begin(queue);
    return queue;
}

static void publish_some(unsigned count)
{
    while (count--)
        bench_publish(&bench, "", "q", NULL, NULL, "1");
}

/* As a consumer's channel does it; the position. */
static uint64_t deliver(struct queue *queue, bool settle)
{
    struct taken taken;
    if (queue_take(queue, settle, &taken) != QUEUE_OK)
        return 0;
    queue_delivered(queue, taken.sequence, settle);
    message_unref(&bench.pool, taken.message);
    return taken.sequence;
}

static void acknowledge(struct queue *queue, uint64_t position)
{
    if (queue_times(queue, position))
        queue_timed_acknowledged(queue, position);
    queue_settle(queue, position);
}

static uint64_t count(const struct queue *queue, enum latency_of what)
{
    return queue_latency(queue, what) ? queue_latency(queue, what)->count : 0;
}

TEST(cells_know_a_time_within_a_quarter)
{
    unsigned wrong = 0;
    for (uint64_t us = 0; us < UINT64_C(1) << 35; us = us * 9 / 8 + 1) {
        struct latency latency = {0};
        latency_add(&latency, us, 1);
        latency_add(&latency, us * 4 + 1, 1);
        uint64_t middle = latency_quantile(&latency, 0.5);
        wrong += middle < us || middle > us + us / 4 || latency_quantile(&latency, 1) != us * 4 + 1;
        latency_free(&latency);
    }
    is_int(wrong, 0, "the middle of two is the smaller one, or up to a quarter more; the end is exact");
}

TEST(shares_sums_and_powers)
{
    struct latency latency = {0};
    is_int(latency_quantile(&latency, 0.5), 0, "of nothing");
    for (uint64_t us = 1; us <= 1000; us++)
        latency_add(&latency, us, 2);
    is_int(latency.count, 2000, "each stands for two");
    is_int(latency.sum_us, 1001000, "their sum");
    is_int(latency.max_us, 1000, "the longest");
    is_int(latency_below(&latency, 8), 510, "below 256");
    is_int(latency_below(&latency, 10), 2000, "below 1,024");
    uint64_t median = latency_quantile(&latency, 0.5), late = latency_quantile(&latency, 0.99);
    ok(median >= 500 && median < 640, "the median is %d", (int)median);
    ok(late >= 990 && late <= 1000, "p99 is %d", (int)late);
    latency_add(&latency, UINT64_MAX / 4, 1);
    is_int(latency_below(&latency, 35), 2000, "a very long one is in the last cell");
    ok(latency.cells_count <= LATENCY_CELLS && latency.cells_capacity <= 64, "few cells are kept");
    latency_free(&latency);
}

TEST(from_coming_to_delivery_and_from_there_to_the_acknowledgement)
{
    struct queue *queue = begin("");
    publish_some(1);
    clock_us += 5000;
    uint64_t position = deliver(queue, false);
    is_int(count(queue, LATENCY_DELIVER), 1, "it was delivered");
    is_int(queue_latency(queue, LATENCY_DELIVER)->max_us, 5000, "after 5 ms");
    is_int(count(queue, LATENCY_ACKNOWLEDGE), 0, "and not acknowledged yet");
    clock_us += 70000;
    acknowledge(queue, position);
    is_int(queue_latency(queue, LATENCY_ACKNOWLEDGE)->max_us, 70000, "that took 70 ms");
    publish_some(1);
    clock_us += 300;
    deliver(queue, true);
    is_int(count(queue, LATENCY_DELIVER), 2, "one that is not acknowledged was delivered");
    is_int(count(queue, LATENCY_ACKNOWLEDGE), 1, "that is all of it");
    is_int(queue->tally->latency->timed_count, 0, "nothing is timed any more");
    is_int(bench.broker.queues.latencies[LATENCY_DELIVER].count, 2, "all queues together");
    bench_free(&bench);
}

TEST(what_comes_back_is_delivered_for_the_first_time_once)
{
    struct queue *queue = begin("");
    publish_some(1);
    clock_us += 5000;
    queue_give_back(queue, deliver(queue, false));
    clock_us += 1000000;
    uint64_t position = deliver(queue, false);
    is_int(count(queue, LATENCY_DELIVER), 1, "the first delivery counts");
    is_int(queue_latency(queue, LATENCY_DELIVER)->max_us, 5000, "and how long it took");
    clock_us += 10;
    acknowledge(queue, position);
    is_int(queue_latency(queue, LATENCY_ACKNOWLEDGE)->max_us, 10, "the acknowledgement is of the last one");
    bench_free(&bench);
}

TEST(what_was_there_before_is_timed_from_its_delivery)
{
    struct queue *queue = bench_begin(&bench, "");
    publish_some(3);
    ok(!queue->tally->latency && !queue->tally->timed_below, "nobody reads: nothing is timed");
    clock_us = 1000000;
    bench.broker.queues.now_us = &clock_us;
    queue_latency_begin(queue);
    uint64_t position = deliver(queue, false);
    clock_us += 100;
    acknowledge(queue, position);
    is_int(count(queue, LATENCY_DELIVER), 0, "nobody knows when it came");
    is_int(count(queue, LATENCY_ACKNOWLEDGE), 1, "but when it was delivered");
    bench_free(&bench);
}

TEST(a_long_queue_has_few_that_are_timed_from_all_of_it)
{
    enum { MANY = 20000 };
    struct queue *queue = begin("");
    for (unsigned i = 0; i < MANY; i++, clock_us += 100)
        publish_some(1);
    const struct queue_latency *latency = queue->tally->latency;
    ok(latency->timed_count > 4 && latency->timed_count <= LATENCY_TIMED_MAX, "%u are timed",
       latency->timed_count);
    uint64_t least = UINT64_MAX, most = 0;
    for (unsigned i = 0; i < latency->timed_count; i++) {
        least = latency->timed[i].position < least ? latency->timed[i].position : least;
        most = latency->timed[i].position > most ? latency->timed[i].position : most;
    }
    ok(least < MANY / 4 && most > MANY / 4 * 3, "the first and the last among them: %d to %d",
       (int)least, (int)most);
    while (queue_ready(queue))
        deliver(queue, true);
    uint64_t stands = count(queue, LATENCY_DELIVER);
    ok(stands > MANY / 3 && stands < MANY * 3, "they stand for about as many: %d", (int)stands);
    uint64_t median = latency_quantile(queue_latency(queue, LATENCY_DELIVER), 0.5);
    ok(median > 400000 && median < 1700000, "half of them waited for a second: %d us", (int)median);
    bench_free(&bench);
}

TEST(afterwards_each_is_timed_again)
{
    struct queue *queue = begin("");
    publish_some(5000);
    ok(queue->tally->timed_below < UINT32_MAX >> 4, "few are chosen");
    while (queue_ready(queue))
        deliver(queue, true);
    clock_us += 10000000;
    uint64_t before = count(queue, LATENCY_DELIVER);
    for (unsigned i = 0; i < 2000; i++, clock_us += 20000) {
        publish_some(1);
        deliver(queue, true);
    }
    is_int(queue->tally->timed_below, UINT32_MAX, "each is");
    uint64_t stands = count(queue, LATENCY_DELIVER) - before;
    ok(stands > 1500 && stands < 2500, "they stand for themselves: %d", (int)stands);
    bench_free(&bench);
}

TEST(what_leaves_without_a_word_is_forgotten)
{
    struct queue *queue = begin("");
    for (unsigned round = 0; round < 100; round++, clock_us += 1000000) {
        publish_some(10);
        queue_purge(queue);
    }
    is_int(queue->tally->timed_below, UINT32_MAX, "there is room for each new one");
    ok(queue->tally->latency->timed_count <= LATENCY_TIMED_MAX, "and not for all that were purged");
    publish_some(1);
    clock_us += 20;
    deliver(queue, true);
    is_int(count(queue, LATENCY_DELIVER), 1, "the one that was delivered counts");
    bench_free(&bench);
}

TEST(many_queues_share_what_may_be_timed)
{
    enum { QUEUES = 2000 };
    char name[16];
    struct queue *queue;
    unsigned timed = 0;
    begin("");
    for (unsigned i = 0; i < QUEUES; i++) {
        snprintf(name, sizeof(name), "q%u", i);
        queue = bench_queue(&bench, name, "", NULL);
        queue_tally_begin(queue);
        queue_latency_begin(queue);
        bench_publish(&bench, "", name, NULL, NULL, "1");
        timed += queue->tally->latency && queue->tally->latency->timed_count;
    }
    ok(timed > 128 && timed < 700, "of 2,000 queues in one turn %u time theirs", timed);
    for (unsigned i = 0; i < QUEUES; i++) {
        snprintf(name, sizeof(name), "q%u", i);
        deliver(vhost_queue(bench.vhost, bytes_str(name)), true);
    }
    uint64_t stands = bench.broker.queues.latencies[LATENCY_DELIVER].count;
    ok(stands > QUEUES / 2 && stands < QUEUES * 2, "they stand for about as many: %d", (int)stands);
    bench_free(&bench);
}

static void publish_first(void)
{
    struct queue *queue = vhost_queue(bench.vhost, bytes_str("q"));
    struct message *message =
        message_new(&bench.pool, bytes_str(""), bytes_str("q"), bytes_of("\0\0", 2), 0);
    message->priority = 5;
    queue_push_to(queue, message);
    message_unref(&bench.pool, message);
}

TEST(of_a_queue_with_priorities_each_is_known_by_its_level)
{
    struct queue *queue = begin("x-max-priority=I5");
    publish_some(2);
    clock_us += 1000;
    publish_first();
    clock_us += 10;
    acknowledge(queue, deliver(queue, false));
    is_int(queue_latency(queue, LATENCY_DELIVER)->max_us, 10, "the last one came first");
    acknowledge(queue, deliver(queue, false));
    acknowledge(queue, deliver(queue, false));
    is_int(queue_latency(queue, LATENCY_DELIVER)->max_us, 1010, "the others had waited longer");
    is_int(count(queue, LATENCY_DELIVER), 3, "all were delivered");
    is_int(count(queue, LATENCY_ACKNOWLEDGE), 3, "and acknowledged");
    bench_free(&bench);
}

int main(void)
{
    RUN(cells_know_a_time_within_a_quarter);
    RUN(shares_sums_and_powers);
    RUN(from_coming_to_delivery_and_from_there_to_the_acknowledgement);
    RUN(what_comes_back_is_delivered_for_the_first_time_once);
    RUN(what_was_there_before_is_timed_from_its_delivery);
    RUN(a_long_queue_has_few_that_are_timed_from_all_of_it);
    RUN(afterwards_each_is_timed_again);
    RUN(what_leaves_without_a_word_is_forgotten);
    RUN(many_queues_share_what_may_be_timed);
    RUN(of_a_queue_with_priorities_each_is_known_by_its_level);
    return done();
}
