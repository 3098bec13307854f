/* Messages that leave by a time of their own, wherever in the queue they lie. */
#include "queue/queue_schedule.h"
#include "queue/queue_timer.h"
#include "tests/lib/broker_bench.h"

enum { MANY = 3000 };

static const char to_dead[] =
    "x-expire-anywhere=t1 x-dead-letter-exchange=S x-dead-letter-routing-key=Sdead";
static struct bench bench;
static struct budget plenty = {INT64_MAX};

static void push(const char *expiration)
{
    bench_publish(&bench, "", "q", NULL, expiration, "12345");
}

TEST(the_earliest_is_taken_first)
{
    struct queue *queue = bench_begin(&bench, NULL);
    struct scheduled due;
    uint64_t last_ms = 0, clock_ms = bench.broker.queues.clock_ms;
    bool is_in_order = true;
    for (uint64_t i = 1; i <= MANY; i++) {
        push(NULL);
        queue_schedule_add(queue, clock_ms + i * 7919 % MANY, i, SCHEDULE_END);
    }
    is_int(queue_schedule_count(queue), MANY, "all are in it");
    bench.broker.queues.clock_ms += MANY;
    for (int i = 0; i < MANY; i++) {
        is_in_order &= queue_schedule_take(queue, &plenty, &due);
        is_in_order &= due.ms >= last_ms && due.ms == clock_ms + due.position * 7919 % MANY;
        last_ms = due.ms;
    }
    ok(is_in_order, "they come in the order of their times");
    ok(!queue_schedule_take(queue, &plenty, &due), "and then there is none");
    bench_free(&bench);
}

TEST(none_is_taken_before_its_time)
{
    struct queue *queue = bench_begin(&bench, NULL);
    struct scheduled due;
    uint64_t clock_ms = bench.broker.queues.clock_ms;
    push(NULL);
    queue_schedule_add(queue, clock_ms + 500, 1, SCHEDULE_SEEK);
    ok(!queue_schedule_take(queue, &plenty, &due), "not before");
    bench.broker.queues.clock_ms += 500;
    ok(queue_schedule_take(queue, &plenty, &due) && due.position == 1 && due.why == SCHEDULE_SEEK,
       "but then, with what it is for");
    queue_schedule_add(queue, UINT64_MAX, 1, SCHEDULE_END);
    ok(!queue_schedule_take(queue, &plenty, &due), "a time beyond all times does not come");
    bench_free(&bench);
}

TEST(what_is_gone_is_cleared_away)
{
    uint64_t position;
    struct queue *queue = bench_begin(&bench, "x-expire-anywhere=t1");
    for (int i = 0; i < MANY; i++)
        push("3600000");
    size_t most = 0;
    for (int i = 0; i < 10 * MANY; i++) {
        queue_take_head(queue, &position);
        queue_settle(queue, position);
        push("3600000");
        if (queue_schedule_count(queue) > most)
            most = queue_schedule_count(queue);
    }
    ok(most <= 2 * MANY + 16, "at most as many again are of messages that are gone (%zu)", most);
    for (int i = 0; i < MANY - 10; i++) {
        queue_take_head(queue, &position);
        queue_settle(queue, position);
    }
    ok(queue_schedule_count(queue) <= 2 * 10 + 16, "it shrinks with the queue (%zu)",
       queue_schedule_count(queue));
    queue_purge(queue);
    is_int(queue_schedule_count(queue), 0, "and is empty when the queue is");
    bench_free(&bench);
}

TEST(many_that_are_gone_come_up_over_several_turns)
{
    struct queue *queue = bench_begin(&bench, "x-expire-anywhere=t1");
    struct scheduled due;
    uint64_t position;
    for (int i = 0; i < MANY; i++)
        push("1000");
    queue_take_head(queue, &position);
    queue_purge(queue);
    bench.broker.queues.clock_ms += 1000;
    ok(queue_schedule_take(queue, &plenty, &due) && due.position == position, "one is there");
    size_t before = queue_schedule_count(queue);
    struct budget turn = budget_of(1000);
    ok(!queue_schedule_take(queue, &turn, &due) && budget_is_spent(&turn), "the rest takes a turn");
    size_t after = queue_schedule_count(queue);
    ok(after < before && after + 100 > before, "and more (%zu of %zu are left)", after, before);
    bench_free(&bench);
}

TEST(a_queue_that_does_not_ask_has_none)
{
    struct queue *queue = bench_begin(&bench, NULL);
    push("100");
    is_int(queue_schedule_count(queue), 0, "what ends at the head alone is not in it");
    bench_free(&bench);
}

TEST(a_short_time_behind_a_long_one)
{
    struct queue *queue = bench_begin(&bench, to_dead);
    push("3600000");
    push("1000");
    push(NULL);
    push("2000");
    bench_turn(&bench, 999);
    is_int(queue_ready(queue), 4, "none leaves early");
    bench_turn(&bench, 1);
    is_int(queue_ready(queue), 3, "the one in the middle leaves on time");
    is_int(bench_ready(&bench, "dead"), 1, "as a dead letter");
    bench_turn(&bench, 1000);
    is_int(queue_ready(queue), 2, "and so does the last one");
    is_int(queue->counts->ready_bytes, 10, "the bytes are those of the others");
    is_int(queue->counts->taken, 0, "none is left behind");
    bench_free(&bench);
}

TEST(what_ended_while_it_was_taken_goes_when_it_is_back)
{
    struct queue *queue = bench_begin(&bench, "x-expire-anywhere=t1");
    push("3600000");
    push("1000");
    ok(queue_take_at(queue, 2), "the second is taken");
    ok(!queue_take_at(queue, 2), "once");
    bench_turn(&bench, 1000);
    is_int(queue->counts->taken, 1, "it does not end meanwhile");
    queue_give_back(queue, 2);
    is_int(queue_ready(queue), 2, "it is back");
    bench_turn(&bench, 0);
    is_int(queue_ready(queue), 1, "and leaves");
    bench_free(&bench);
}

TEST(what_has_to_be_read_first_is_asked_for_again)
{
    struct queue *queue = bench_begin(&bench, "x-expire-anywhere=t1");
    push("3600000");
    push("1000");
    ok(queue_take_at(queue, 2), "the second is taken");
    bench_turn(&bench, 1000);
    store_fake_fetch(bench.store, INDEX_WAIT);
    queue_give_back(queue, 2);
    bench_turn(&bench, 0);
    is_int(queue_ready(queue), 2, "its time is not known yet");
    bench_turn(&bench, 1000);
    is_int(queue_ready(queue), 2, "nor later");
    store_fake_fetch(bench.store, INDEX_OK);
    bench_turn(&bench, 100);
    bench_turn(&bench, 100);
    is_int(queue_ready(queue), 1, "when it is, the message leaves");
    bench_free(&bench);
}

TEST(a_start_makes_it_anew)
{
    bench_begin(&bench, "x-expire-anywhere=t1");
    push("3600000");
    for (int i = 0; i < 10; i++)
        push(i % 2 ? "1000" : "2000");
    bench_restart(&bench);
    struct queue *queue = vhost_queue(bench.vhost, bytes_str("q"));
    store_fake_fetch(bench.store, INDEX_WAIT);
    bench_turn(&bench, 0);
    ok(!queue_schedule_is_read(queue), "the disk is slow");
    is_int(queue_schedule_count(queue), 0, "so nothing is known yet");
    store_fake_fetch(bench.store, INDEX_OK);
    uint64_t turns = 0;
    for (; !queue_schedule_is_read(queue) && turns < 100; turns++)
        bench_turn(&bench, 1);
    ok(turns > 0 && turns < 100, "it is read (%llu turns)", (unsigned long long)turns);
    is_int(queue_schedule_count(queue), 11, "all are in it");
    bench_turn(&bench, 1000);
    is_int(queue_ready(queue), 6, "those that have ended leave");
    bench_turn(&bench, 1000);
    is_int(queue_ready(queue), 1, "each in its time");
    bench_free(&bench);
}

TEST(reading_takes_several_turns)
{
    bench_begin(&bench, "x-expire-anywhere=t1");
    for (int i = 0; i < MANY; i++)
        push("3600000");
    bench_restart(&bench);
    struct queue *queue = vhost_queue(bench.vhost, bytes_str("q"));
    bench_turn(&bench, 0);
    size_t count = queue_schedule_count(queue);
    ok(count > 0 && count < MANY, "a part was read in a turn (%zu)", count);
    push("3600000");
    for (int i = 0; i < MANY && !queue_schedule_is_read(queue); i++)
        bench_turn(&bench, 1);
    ok(queue_schedule_is_read(queue), "all is, after some");
    ok(queue_schedule_count(queue) >= MANY + 1, "with what came meanwhile");
    bench_free(&bench);
}

TEST(many_go_a_part_at_a_time)
{
    struct queue *queue = bench_begin(&bench, to_dead);
    push("3600000");
    for (int i = 0; i < MANY; i++)
        push("1000");
    bench_turn(&bench, 1000);
    uint64_t left = queue_ready(queue);
    ok(left > 1 && left < MANY, "some are left after a turn (%llu)", (unsigned long long)left);
    ok(broker_has_work_left(&bench.broker), "the next turn has work");
    store_fake_congested(bench.store, true);
    bench_turn(&bench, 0);
    is_int(queue_ready(queue), left, "which waits while the journal is full");
    store_fake_congested(bench.store, false);
    for (int i = 0; i < 100; i++)
        bench_turn(&bench, 0);
    is_int(queue_ready(queue), 1, "all have left");
    is_int(bench_ready(&bench, "dead"), MANY, "all are dead letters");
    bench_free(&bench);
}

static uint64_t time_of(uint64_t position)
{
    return position * 7919 % MANY;
}

TEST(what_is_due_soon_is_read_before_its_time)
{
    struct queue *queue = bench_begin(&bench, NULL);
    uint64_t first, last, clock_ms = bench.broker.queues.clock_ms;
    for (uint64_t i = 1; i <= MANY; i++) {
        push(NULL);
        queue_schedule_add(queue, clock_ms + 2000 + time_of(i), i, SCHEDULE_RETRY);
    }
    bench_turn(&bench, 1499);
    bench_turn(&bench, 101);
    is_int(store_fake_asked(bench.store, &first, &last), 0, "not for nobody");
    queue->consumer_count = 1;
    bench_turn(&bench, 500);
    is_int(store_fake_asked(bench.store, &first, &last), QUEUE_SOON_MAX, "so many at once");
    ok(time_of(first) < 110 && time_of(last) > time_of(first) && time_of(last) < 370,
       "which are the first, in their order (%d, %d)", (int)time_of(first), (int)time_of(last));
    bench_turn(&bench, 49);
    is_int(store_fake_asked(bench.store, &first, &last), 0, "not in each turn");
    bench_turn(&bench, 1);
    is_int(store_fake_asked(bench.store, &first, &last), QUEUE_SOON_MAX, "but soon again");
    queue->consumer_count = 0;
    bench_free(&bench);
}

TEST(what_ends_is_read_if_it_becomes_a_letter)
{
    uint64_t first, last;
    bench_begin(&bench, to_dead);
    push("3600000");
    push("3600300");
    bench_turn(&bench, 3599499);
    is_int(store_fake_asked(bench.store, &first, &last), 0, "not long before");
    bench_turn(&bench, 1);
    ok(store_fake_asked(bench.store, &first, &last) == 1 && first == 1, "but shortly before");
    bench_turn(&bench, 400);
    ok(store_fake_asked(bench.store, &first, &last) == 2 && first == 1 && last == 2, "and the next one");
    bench_free(&bench);
    bench_begin(&bench, "x-expire-anywhere=t1");
    push("3600000");
    bench_turn(&bench, 3599600);
    bench_turn(&bench, 399);
    is_int(store_fake_asked(bench.store, &first, &last), 0, "nor what only goes");
    bench_free(&bench);
}

int main(void)
{
    RUN(the_earliest_is_taken_first);
    RUN(none_is_taken_before_its_time);
    RUN(what_is_gone_is_cleared_away);
    RUN(many_that_are_gone_come_up_over_several_turns);
    RUN(a_queue_that_does_not_ask_has_none);
    RUN(a_short_time_behind_a_long_one);
    RUN(what_ended_while_it_was_taken_goes_when_it_is_back);
    RUN(what_has_to_be_read_first_is_asked_for_again);
    RUN(a_start_makes_it_anew);
    RUN(reading_takes_several_turns);
    RUN(many_go_a_part_at_a_time);
    RUN(what_is_due_soon_is_read_before_its_time);
    RUN(what_ends_is_read_if_it_becomes_a_letter);
    return done();
}
