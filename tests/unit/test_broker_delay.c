/* Messages that an exchange holds back: how they are listed and cancelled, what is on record of
 * them, and what goes with the exchange. */
#include "broker/delay.h"

#include <stdio.h>

#include "broker/catalogue.h"
#include "broker/vhost_removal.h"
#include "queue/queue_schedule.h"
#include "tests/lib/broker_bench.h"

enum { MANY = 2000 };

static struct bench bench;
static struct exchange *exchange;

static void begin(const char *what)
{
    bench_new(&bench);
    bench_turn(&bench, 0);
    exchange = bench_exchange(&bench, "x", "x-delayed-message", what, "x-delayed-type=Sfanout");
    bench_queue(&bench, "q", "d", NULL);
    bench_bind(&bench, "x", "q", "", NULL);
}

static size_t publish_in(const char *headers)
{
    return bench_publish(&bench, "x", "k", headers, NULL, "body");
}

static uint64_t delay_with(const char *headers)
{
    return delay_of(bench_table(headers));
}

TEST(what_the_header_may_be)
{
    is_int(delay_with("a=I1"), 0, "none");
    is_int(delay_with("x-delay=I5"), 5, "a number");
    is_int(delay_with("x-delay=I-5"), 0, "one that is negative");
    is_int(delay_with("x-delay=l9223372036854775807"), INT64_C(1) << 53,
           "more than will ever pass");
    is_int(delay_with("x-delay=S1234"), 1234, "digits");
    is_int(delay_with("x-delay=S+12"), 12, "with a sign");
    is_int(delay_with("x-delay=S-12"), 0, "or that one");
    is_int(delay_with("x-delay=S"), 0, "no digits");
    is_int(delay_with("x-delay=S12s"), 0, "digits and more");
    is_int(delay_with("x-delay=S99999999999999999999999999"), INT64_C(1) << 53, "many digits");
    is_int(delay_with("x-delay=t1"), 0, "no number at all");
    is_int(delay_of(bytes_of(NULL, 0)), 0, "no headers");
}

TEST(it_goes_to_no_queue_and_then_to_all)
{
    begin("d");
    is_int(publish_in("x-delay=I1000"), 0, "it goes nowhere yet");
    ok(bench.published.logs, "but is on record");
    is_int(delay_count(exchange), 1, "and counted");
    is_int(broker_queues(&bench.broker), 1, "where it waits is no queue for anybody else");
    ok(!vhost_queue(bench.vhost, bytes_str("x")), "nor has it a name");
    bench_turn(&bench, 999);
    is_int(bench_ready(&bench, "q"), 0, "it does not come early");
    bench_turn(&bench, 1);
    is_int(bench_ready(&bench, "q"), 1, "but on time");
    is_int(delay_count(exchange), 0, "and is held back no more");
    bench_free(&bench);
}

/* A turn may take long, and what comes at its end has come then. */
TEST(it_waits_from_when_it_came)
{
    begin("d");
    queues_woken(&bench.broker.queues, bench.now_ms);
    publish_in("x-delay=I1000");
    queues_woken(&bench.broker.queues, bench.now_ms + 70);
    publish_in("x-delay=I1000");
    bench_turn(&bench, 70);
    bench_turn(&bench, 929);
    is_int(delay_count(exchange), 2, "none has waited for so long");
    bench_turn(&bench, 1);
    is_int(delay_count(exchange), 1, "the first has");
    bench_turn(&bench, 69);
    is_int(delay_count(exchange), 1, "the second came later");
    bench_turn(&bench, 1);
    is_int(delay_count(exchange), 0, "and is out as much later");
    bench_free(&bench);
}

TEST(its_room_is_asked_for)
{
    begin("d");
    struct message *message = bench_message(&bench, "x", "k", "x-delay=I1000", NULL, "");
    is_int(publish_count(exchange, message, &bench.set), 1, "as for a message to one queue");
    message_unref(&bench.pool, message);
    bench_free(&bench);
}

struct listed {
    size_t count;
    uint64_t ids[8], times[8];
};

static void list_one(void *context, uint64_t id, uint64_t ends_ms)
{
    struct listed *listed = context;
    if (listed->count < 8) {
        listed->ids[listed->count] = id;
        listed->times[listed->count] = ends_ms;
    }
    listed->count++;
}

TEST(many_exchanges_hold_one_body)
{
    enum { EXCHANGES = 50, SIZE = 10000 };
    char name[16], body[SIZE + 1] = {0};
    begin("d");
    memset(body, 'b', SIZE);
    for (int i = 0; i < EXCHANGES; i++) {
        snprintf(name, sizeof(name), "x%d", i);
        bench_exchange(&bench, name, "x-delayed-message", i % 2 ? "d" : "", "x-delayed-type=Sfanout");
        bench_bind(&bench, "amq.fanout", name, "", NULL);
        bench_bind(&bench, name, "q", "", NULL);
    }
    uint64_t before = message_pool_bytes(&bench.pool);
    bench_publish(&bench, "amq.fanout", "k", "x-delay=I1000", NULL, body);
    ok(message_pool_bytes(&bench.pool) - before < 2 * SIZE, "however many they are");
    bench_queue(&bench, "r", "d", NULL);
    bench_bind(&bench, "amq.fanout", "r", "", NULL);
    before = message_pool_bytes(&bench.pool);
    bench_publish(&bench, "amq.fanout", "k", "x-delay=I1000", NULL, body);
    ok(message_pool_bytes(&bench.pool) - before < 3 * SIZE, "or two, where it goes to a queue, too");
    is_int(bench_ready(&bench, "r"), 1, "which has it at once");
    for (int i = 0; i < 100; i++)
        bench_turn(&bench, i ? 1 : 1000);
    is_int(bench_ready(&bench, "q"), 2 * EXCHANGES, "each of them lets both go");
    bench_free(&bench);
}

TEST(they_are_listed_and_cancelled)
{
    begin("d");
    struct listed listed = {0};
    uint64_t from = 0;
    ok(delay_list(exchange, &from, list_one, &listed) == QUEUE_EMPTY, "there are none");
    ok(!delay_cancel(exchange, 1), "and none can be cancelled");
    publish_in("x-delay=I3000");
    publish_in("x-delay=I1000");
    publish_in("x-delay=I2000");
    store_fake_fetch(bench.store, INDEX_WAIT);
    ok(delay_list(exchange, &from, list_one, &listed) == QUEUE_WAIT, "the disk is slow");
    store_fake_fetch(bench.store, INDEX_OK);
    while (delay_list(exchange, &from, list_one, &listed) == QUEUE_OK) {
    }
    is_int(listed.count, 3, "three are listed");
    ok(listed.ids[0] < listed.ids[1] && listed.ids[1] < listed.ids[2], "in the order of their ids");
    uint64_t clock_ms = bench.broker.queues.clock_ms;
    ok(listed.times[0] == clock_ms + 3000 && listed.times[1] == clock_ms + 1000,
       "with their times");
    from = listed.ids[2];
    listed.count = 0;
    delay_list(exchange, &from, list_one, &listed);
    is_int(listed.count, 1, "a page may begin anywhere");
    ok(delay_cancel(exchange, listed.ids[1]), "one is cancelled");
    ok(!delay_cancel(exchange, listed.ids[1]), "once");
    ok(!delay_cancel(exchange, 12345), "one that is not there is not");
    is_int(delay_count(exchange), 2, "two are left");
    bench_turn(&bench, 1000);
    is_int(bench_ready(&bench, "q"), 0, "and it does not come");
    bench_turn(&bench, 2000);
    is_int(bench_ready(&bench, "q"), 2, "the others do");
    bench_free(&bench);
}

TEST(it_is_on_record_with_the_exchange)
{
    begin("d");
    is_int(store_fake_entries_of(bench.store, CATALOGUE_DELAYS), 0,
           "nothing, as long as none came");
    size_t indexes = store_fake_indexes(bench.store);
    publish_in("x-delay=I1000");
    publish_in("x-delay=I1000");
    is_int(store_fake_entries_of(bench.store, CATALOGUE_DELAYS), 1, "then there is an entry");
    bench_restart(&bench);
    exchange = vhost_exchange(bench.vhost, bytes_str("x"));
    is_int(delay_count(exchange), 2, "a restart knows them");
    is_str(exchange_type(exchange), "x-delayed-message", "and the type");
    struct error error;
    ok(exchange_delete(bench.vhost, bytes_str("x"), false, &error), "the exchange goes");
    is_int(store_fake_entries_of(bench.store, CATALOGUE_DELAYS), 0, "and the entry");
    is_int(store_fake_indexes(bench.store), indexes, "and the messages");
    bench_free(&bench);
}

TEST(of_an_exchange_that_is_not_durable)
{
    begin("");
    size_t entries = store_fake_entries(bench.store);
    publish_in("x-delay=I1000");
    ok(!bench.published.logs, "nothing is on record");
    is_int(store_fake_entries(bench.store), entries, "nor its queue");
    bench_turn(&bench, 1000);
    is_int(bench_ready(&bench, "q"), 1, "it comes nevertheless");
    bench_free(&bench);
}

TEST(it_goes_with_the_virtual_host)
{
    begin("d");
    publish_in("x-delay=I1000");
    vhost_exchange(bench.vhost, bytes_str("amq.fanout"))->has_delay = true;
    bench_publish(&bench, "amq.fanout", "", "x-delay=I1000", NULL, "body");
    is_int(store_fake_entries_of(bench.store, CATALOGUE_DELAYS), 2, "two have such messages");
    struct error error;
    ok(vhost_delete(&bench.broker, bytes_str("/"), &error), "the virtual host goes");
    for (int i = 0; i < 100 && vhosts_are_left(&bench.broker); i++)
        bench_turn(&bench, 1);
    is_int(store_fake_entries_of(bench.store, CATALOGUE_DELAYS), 0, "and nothing is left");
    is_int(store_fake_indexes(bench.store), 0, "of the messages as well");
    bench_free(&bench);
}

TEST(many_come_a_part_at_a_time)
{
    begin("d");
    for (int i = 0; i < MANY; i++)
        publish_in("x-delay=I1000");
    bench_turn(&bench, 1000);
    uint64_t came = bench_ready(&bench, "q");
    ok(came > 0 && came < MANY, "some are left after a turn (%llu)", (unsigned long long)came);
    ok(broker_has_work_left(&bench.broker), "the next turn has work");
    store_fake_fetch(bench.store, INDEX_WAIT);
    for (int i = 0; i < 20; i++)
        bench_turn(&bench, 1);
    ok(exchange->delays->counts->taken > 0, "some wait to be read");
    store_fake_fetch(bench.store, INDEX_OK);
    for (int i = 0; i < 100; i++)
        bench_turn(&bench, 1);
    is_int(bench_ready(&bench, "q"), MANY, "all come");
    is_int(delay_count(exchange), 0, "none is left");
    bench_free(&bench);
}

TEST(the_exchange_goes_while_some_wait_to_be_read)
{
    begin("d");
    for (int i = 0; i < 10; i++)
        publish_in("x-delay=I1000");
    store_fake_fetch(bench.store, INDEX_WAIT);
    bench_turn(&bench, 1000);
    ok(exchange->delays->counts->taken > 0, "some are on their way");
    struct error error;
    ok(exchange_delete(bench.vhost, bytes_str("x"), false, &error), "the exchange goes");
    store_fake_fetch(bench.store, INDEX_OK);
    bench_turn(&bench, 1000);
    is_int(bench_ready(&bench, "q"), 0, "nothing comes");
    bench_free(&bench);
}

int main(void)
{
    RUN(what_the_header_may_be);
    RUN(it_goes_to_no_queue_and_then_to_all);
    RUN(it_waits_from_when_it_came);
    RUN(its_room_is_asked_for);
    RUN(many_exchanges_hold_one_body);
    RUN(they_are_listed_and_cancelled);
    RUN(it_is_on_record_with_the_exchange);
    RUN(of_an_exchange_that_is_not_durable);
    RUN(it_goes_with_the_virtual_host);
    RUN(many_come_a_part_at_a_time);
    RUN(the_exchange_goes_while_some_wait_to_be_read);
    return done();
}
