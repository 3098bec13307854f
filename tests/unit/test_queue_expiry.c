/* Messages that end: which time counts, that none is taken later, and that they go a part at a
 * time. */
#include <stdio.h>

#include "broker/dead_letter.h"
#include "queue/queue_expiry.h"
#include "queue/queue_timer.h"
#include "tests/lib/broker_bench.h"

enum { MANY = 5000 };

static const char to_dead[] =
    "x-message-ttl=I1000 x-dead-letter-exchange=S x-dead-letter-routing-key=Sdead";
static struct bench bench;

static enum queue_result take(struct queue *queue, uint64_t *position)
{
    struct taken taken;
    enum queue_result result = queue_take(queue, false, &taken);
    if (result == QUEUE_OK)
        message_unref(&bench.pool, taken.message);
    *position = result == QUEUE_OK ? taken.sequence : 0;
    return result;
}

TEST(the_smaller_time_counts)
{
    struct queue *queue = bench_begin(&bench, "x-message-ttl=I1000");
    struct queue *other = bench_queue(&bench, "other", "", NULL);
    struct message *message =
        message_new(&bench.pool, bytes_str(""), bytes_str("q"), bytes_of("\0\0", 2), 0);
    is_int(queue_ends_ms(other, message), 0, "nothing asks for an end");
    is_int(queue_ends_ms(queue, message), BENCH_CLOCK_MS + 1000, "the queue's");
    message->ttl_ms = 400;
    is_int(queue_ends_ms(queue, message), BENCH_CLOCK_MS + 400, "the message's, which is smaller");
    is_int(queue_ends_ms(other, message), BENCH_CLOCK_MS + 400, "the message's alone");
    message->ttl_ms = 4000;
    is_int(queue_ends_ms(queue, message), BENCH_CLOCK_MS + 1000, "the queue's, which is smaller");
    message_unref(&bench.pool, message);
    bench_free(&bench);
}

TEST(what_has_ended_is_not_taken)
{
    uint64_t position;
    struct queue *queue = bench_begin(&bench, "x-message-ttl=I1000");
    bench_publish(&bench, "", "q", NULL, NULL, "1");
    bench.broker.queues.clock_ms += 1000; /* and no timer was looked at */
    ok(take(queue, &position) == QUEUE_WAIT, "it is not given");
    ok(queue_timer_is_due(queue, QUEUE_TIMER_HEAD), "its end is due");
    bench_turn(&bench, 0);
    is_int(queue_ready(queue), 0, "it has left");
    ok(take(queue, &position) == QUEUE_EMPTY, "and nothing is there");
    bench_free(&bench);
}

TEST(what_comes_back_has_the_time_that_it_had)
{
    uint64_t position;
    struct queue *queue = bench_begin(&bench, "x-message-ttl=I1000");
    bench_publish(&bench, "", "q", NULL, NULL, "1");
    ok(take(queue, &position) == QUEUE_OK, "it is taken");
    bench_turn(&bench, 999);
    queue_give_back(queue, position);
    is_int(queue_ready(queue), 1, "it is back in time");
    ok(take(queue, &position) == QUEUE_OK, "and taken again");
    bench_turn(&bench, 1);
    is_int(queue->counts->taken, 1, "it does not end meanwhile");
    queue_give_back(queue, position);
    bench_turn(&bench, 0);
    is_int(queue_ready(queue), 0, "when it comes back it has ended");
    bench_free(&bench);
}

TEST(a_long_silence_before_a_message_does_not_count)
{
    struct queue *queue = bench_begin(&bench, "x-message-ttl=I1000");
    queues_woken(&bench.broker.queues, bench.now_ms += 5000);
    bench_publish(&bench, "", "q", NULL, NULL, "1");
    bench_turn(&bench, 0);
    is_int(queue_ready(queue), 1, "it is there after the turn in which it came");
    bench_turn(&bench, 999);
    is_int(queue_ready(queue), 1, "and for its time");
    bench_turn(&bench, 1);
    is_int(queue_ready(queue), 0, "and no longer");
    bench_free(&bench);
}

TEST(what_came_together_ends_together)
{
    struct queue *queue = bench_begin(&bench, "x-message-ttl=I1000");
    queues_woken(&bench.broker.queues, bench.now_ms);
    bench_publish(&bench, "", "q", NULL, NULL, "1");
    queues_woken(&bench.broker.queues, bench.now_ms + 70);
    bench_publish(&bench, "", "q", NULL, NULL, "2");
    bench_turn(&bench, 70);
    bench_turn(&bench, 929);
    is_int(queue_ready(queue), 2, "both are there for their time");
    bench_turn(&bench, 1);
    is_int(queue_ready(queue), 0, "which began when the turn did");
    bench_free(&bench);
}

TEST(the_wall_clock_jumps)
{
    struct queue *queue = bench_begin(&bench, "x-message-ttl=I1000");
    bench_publish(&bench, "", "q", NULL, NULL, "1");
    bench_turn_at(&bench, 500, BENCH_CLOCK_MS + 1000000);
    is_int(queue_ready(queue), 1, "an hour that did not pass ends nothing");
    bench_turn_at(&bench, 499, BENCH_CLOCK_MS - 1000000);
    is_int(queue_ready(queue), 1, "half a second more is not enough");
    bench_turn_at(&bench, 1, BENCH_CLOCK_MS - 1000000);
    is_int(queue_ready(queue), 0, "and it lives no longer for a clock that was set back");
    bench_free(&bench);
}

TEST(many_go_a_part_at_a_time)
{
    struct queue *queue = bench_begin(&bench, to_dead);
    for (int i = 0; i < MANY; i++)
        bench_publish(&bench, "", "q", NULL, NULL, "");
    bench_turn(&bench, 1000);
    uint64_t left = queue_ready(queue);
    ok(left > 0 && left < MANY, "some are left after a turn (%llu)", (unsigned long long)left);
    ok(broker_has_work_left(&bench.broker), "the next turn has work");
    for (int i = 0; i < 100; i++)
        bench_turn(&bench, 0);
    is_int(queue_ready(queue), 0, "all have left");
    is_int(bench_ready(&bench, "dead"), MANY, "all are dead letters");
    bench_free(&bench);
}

TEST(letters_wait_for_room)
{
    struct queue *queue = bench_begin(&bench, to_dead);
    bench_publish(&bench, "", "q", NULL, NULL, "");
    store_fake_congested(bench.store, true);
    bench_turn(&bench, 1000);
    is_int(queue_ready(queue), 1, "nothing is decided while the journal is full");
    store_fake_congested(bench.store, false);
    bench_turn(&bench, 0);
    is_int(queue_ready(queue) + bench_ready(&bench, "dead"), 1, "then it is a dead letter");
    bench_free(&bench);
}

TEST(reading_takes_a_while)
{
    struct queue *queue = bench_begin(&bench, to_dead);
    for (int i = 0; i < MANY; i++)
        bench_publish(&bench, "", "q", NULL, NULL, "");
    store_fake_fetch(bench.store, INDEX_WAIT);
    for (int i = 0; i < 100; i++)
        bench_turn(&bench, i ? 0 : 1000);
    ok(queue->counts->taken > 0 && queue->counts->taken < MANY / 2,
       "few are taken before they were read (%llu)", (unsigned long long)queue->counts->taken);
    store_fake_fetch(bench.store, INDEX_OK);
    for (int i = 0; i < 100; i++)
        bench_turn(&bench, 0);
    is_int(queue_ready(queue) + queue->counts->taken, 0, "all have left");
    is_int(bench_ready(&bench, "dead"), MANY, "all are dead letters");
    bench_free(&bench);
}

int main(void)
{
    RUN(the_smaller_time_counts);
    RUN(what_has_ended_is_not_taken);
    RUN(what_comes_back_has_the_time_that_it_had);
    RUN(a_long_silence_before_a_message_does_not_count);
    RUN(what_came_together_ends_together);
    RUN(the_wall_clock_jumps);
    RUN(many_go_a_part_at_a_time);
    RUN(letters_wait_for_room);
    RUN(reading_takes_a_while);
    return done();
}
