/* What exchanges and queues have seen: how much of it there is, in memory and on record, and how it
 * goes. What clients see of it: tests/script/cases/deduplication_*.amqp. */
#include <stdio.h>

#include "broker/catalogue.h"
#include "broker/seen.h"
#include "tests/lib/broker_bench.h"

static struct bench bench;

/* A persistent message with this key. Was it taken? */
static bool put(const char *exchange, const char *key, int id)
{
    char headers[60];
    size_t before = bench_ready(&bench, "q");
    snprintf(headers, sizeof(headers), "x-deduplication-header=I%d", id);
    bench_publish(&bench, exchange, key, headers, NULL, "");
    return bench_ready(&bench, "q") > before;
}

static size_t on_record(void)
{
    return store_fake_entries_of(bench.store, CATALOGUE_SEEN);
}

static void settle_one(void)
{
    struct taken taken;
    queue_take(vhost_queue(bench.vhost, bytes_str("q")), true, &taken);
    message_unref(&bench.pool, taken.message);
}

/* With a queue q that gets all. */
static void make_exchange(const char *arguments)
{
    bench_new(&bench);
    bench_exchange(&bench, "x", "x-message-deduplication", "d", arguments);
    bench_queue(&bench, "q", "d", NULL);
    bench_bind(&bench, "x", "q", "", NULL);
}

TEST(no_more_is_known_than_was_asked_for)
{
    make_exchange("x-cache-size=I100");
    for (int i = 0; i < 1000; i++)
        put("x", "", i);
    is_int(bench_ready(&bench, "q"), 1000, "all are different");
    is_int(on_record(), 100, "the last hundred are on record");
    ok(!put("x", "", 900), "the oldest of these is known");
    ok(put("x", "", 899), "the one before is not");
    ok(put("x", "", 900), "and has taken its place");
    bench_restart(&bench);
    is_int(on_record(), 100, "a restart changes nothing");
    ok(!put("x", "", 902) && !put("x", "", 899) && !put("x", "", 900), "what was known still is");
    ok(put("x", "", 901), "and the oldest is not");
    bench_free(&bench);
}

TEST(a_queue_knows_what_it_has)
{
    bench_new(&bench);
    bench_queue(&bench, "q", "d", "x-message-deduplication=t1");
    put("", "q", 0);
    for (int i = 1; i < 500; i++)
        put("", "q", i);
    is_int(bench_ready(&bench, "q"), 500, "all are different");
    for (int i = 0; i < 500; i++)
        if (put("", "q", i))
            bail("%d was taken twice", i);
    ok(true, "each is known");
    is_int(on_record(), 500, "and on record");
    for (int i = 0; i < 500; i++)
        settle_one();
    ok(put("", "q", 499), "what has left may come again");
    for (int i = 500; i < 5000; i++) {
        put("", "q", i);
        settle_one();
    }
    ok(on_record() <= 501, "places on record are used again: %zu", on_record());
    bench_restart(&bench);
    is_int(on_record(), 1, "a start leaves what is in the queue");
    bench_free(&bench);
}

TEST(one_that_stays_keeps_no_others)
{
    bench_new(&bench);
    bench_queue(&bench, "q", "d", "x-message-deduplication=t1");
    struct queue *queue = vhost_queue(bench.vhost, bytes_str("q"));
    struct taken first;
    put("", "q", -1);
    queue_take(queue, false, &first);
    for (int i = 0; i < 10000; i++) {
        put("", "q", i);
        settle_one();
    }
    ok(on_record() <= 8, "those behind it are forgotten: %zu", on_record());
    ok(!put("", "q", -1), "and it is known");
    queue_settle(queue, first.sequence);
    message_unref(&bench.pool, first.message);
    ok(put("", "q", -1), "until it is settled");
    bench_free(&bench);
}

TEST(what_was_seen_goes_in_slices)
{
    make_exchange("x-cache-size=I20000");
    for (int i = 0; i < 20000; i++)
        put("x", "", i);
    is_int(on_record(), 20000, "much is on record");
    exchange_delete(bench.vhost, bytes_str("x"), false, &bench.error);
    is_int(on_record(), 20000, "and still is when the exchange is gone");
    bench_exchange(&bench, "x", "x-message-deduplication", "d", "x-cache-size=I10");
    bench_bind(&bench, "x", "q", "", NULL);
    ok(put("x", "", 19999), "another one of that name has not seen it");
    int turns = 0;
    for (; broker_has_work_left(&bench.broker) && turns < 1000; turns++) {
        bench.broker.turn = budget_of(BUDGET_MS);
        broker_tick(&bench.broker, (uint64_t)turns + 1, 1700000000000);
    }
    ok(turns > 4, "it goes in %d turns", turns);
    is_int(on_record(), 1, "all of it");
    bench_free(&bench);
}

TEST(a_start_goes_on_with_that)
{
    make_exchange("x-cache-size=I50");
    for (int i = 0; i < 50; i++)
        put("x", "", i);
    exchange_delete(bench.vhost, bytes_str("x"), false, &bench.error);
    bench_restart(&bench);
    bench_exchange(&bench, "x", "x-message-deduplication", "d", "x-cache-size=I10");
    bench_bind(&bench, "x", "q", "", NULL);
    ok(put("x", "", 7), "nobody has seen it");
    bench.broker.turn = budget_of(BUDGET_MS);
    broker_tick(&bench.broker, 1, 1700000000000);
    is_int(on_record(), 1, "what nobody had is gone");
    bench_restart(&bench);
    ok(!put("x", "", 7), "and what somebody has is not");
    bench_free(&bench);
}

TEST(what_is_counted_changes_nothing)
{
    make_exchange("x-cache-size=I50");
    struct message *message =
        bench_message(&bench, "x", "", "x-deduplication-header=I1", NULL, "");
    is_int(publish_count(vhost_exchange(bench.vhost, bytes_str("x")), message, &bench.set), 1,
           "it would go to one queue");
    ok(put("x", "", 1), "and has not been seen by that");
    message_unref(&bench.pool, message);
    bench_free(&bench);
}

/* Entries of a queue of group 2, whose number has a bit that numbers of exchanges have as well. */
TEST(a_queue_of_a_group_is_no_exchange)
{
    make_exchange("x-cache-size=I50");
    static const char entry[] = "\x40\x05\0\0\0\x20\0\0\x40\0\0\0\0";
    static const char value[] = "\x01" "0123456789abcdef" "\x07\0\0\0\0\0\0\0" "\0\0\0\0\0\0\0\0";
    store_catalogue_put(bench.store, bytes_of(entry, sizeof(entry) - 1), bytes_of(value, sizeof(value) - 1));
    ok(put("x", "", 1), "an exchange has seen something");
    is_int(bench.broker.seen_number, 1, "and is the first that does");
    bench_restart(&bench);
    is_int(bench.broker.seen_number, 1, "a start does not take the queue for another one");
    bench_free(&bench);
}

TEST(entries_that_make_no_sense)
{
    bench_new(&bench);
    store_catalogue_put(bench.store,
                        bytes_of("\x40"
                                 "12345678"
                                 "123",
                                 12),
                        bytes_str("\x01"));
    broker_free(&bench.broker);
    char error[300];
    broker_init(&bench.broker, bench.store, &bench.pool, &bench.random, &bench.log, 0);
    ok(!broker_restore(&bench.broker, error, sizeof(error)), "end a start");
    is_str(error, "catalogue: entry '': what was seen is malformed", "with a text");
    ok(catalogue_is_newer(bytes_str("\x40"), bytes_str("\x02")), "a later version is newer");
    ok(!catalogue_is_newer(bytes_str("\x40"), bytes_str("\x01")), "and this one is not");
    bench_free(&bench);
}

int main(void)
{
    RUN(no_more_is_known_than_was_asked_for);
    RUN(a_queue_knows_what_it_has);
    RUN(one_that_stays_keeps_no_others);
    RUN(what_was_seen_goes_in_slices);
    RUN(a_start_goes_on_with_that);
    RUN(what_is_counted_changes_nothing);
    RUN(a_queue_of_a_group_is_no_exchange);
    RUN(entries_that_make_no_sense);
    return done();
}
