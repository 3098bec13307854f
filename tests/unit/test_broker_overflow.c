/* Full queues: what leaves them, what they refuse, and in which portions. */
#include <stdio.h>

#include "broker/dead_letter.h"
#include "broker/overflow.h"
#include "tests/lib/broker_bench.h"

static struct bench bench;

static struct queue *queue_of(const char *name)
{
    return vhost_queue(bench.vhost, bytes_str(name));
}

static void put(const char *queue, const char *body)
{
    bench_publish(&bench, "", queue, NULL, NULL, body);
}

/* The body of the n-th message, of one character. */
static int body_at(const char *queue, size_t n)
{
    struct message *message = store_fake_peek(queue_of(queue)->state, n);
    return message ? message_body(message).data[0] : 0;
}

static const char *to(const char *arguments, const char *graves)
{
    static char text[200];
    snprintf(text, sizeof(text), "%s x-dead-letter-exchange=S x-dead-letter-routing-key=S%s",
             arguments, graves);
    return text;
}

TEST(the_oldest_leave_when_it_is_their_turn)
{
    bench_new(&bench);
    bench_queue(&bench, "dead", "", NULL);
    bench_queue(&bench, "q", "", to("x-max-length=I2", "dead"));
    for (int i = 0; i < 5; i++)
        put("q", (char[2]){(char)('a' + i), 0});
    ok(!bench.published.is_refused, "all are taken");
    ok(broker_has_work_left(&bench.broker), "there is something to do");
    overflow_work_off(&bench.broker);
    is_int(bench_ready(&bench, "q"), 2, "two stay");
    is_int(body_at("q", 0), 'd', "the last ones");
    is_int(bench_ready(&bench, "dead"), 3, "the others are dead letters");
    is_int(body_at("dead", 0), 'a', "the oldest first");
    ok(list_is_empty(&bench.broker.dead_letters) && !bench.broker.has_to_drop, "that was all");
    bench_free(&bench);
}

TEST(many_leave_in_portions)
{
    bench_new(&bench);
    bench_queue(&bench, "q", "d", "x-max-length=I10");
    for (int i = 0; i < 100000; i++)
        put("q", "x");
    int turns = 0;
    uint64_t before = bench_ready(&bench, "q"), most = 0;
    for (; bench.broker.has_to_drop && turns < 1000; turns++) {
        overflow_work_off(&bench.broker);
        uint64_t now = bench_ready(&bench, "q");
        most = before - now > most ? before - now : most;
        before = now;
    }
    is_int(before, 10, "in the end there are as many as there may be");
    ok(turns > 1 && most < 20000, "after %d turns, at most %d in one", turns, (int)most);
    bench_free(&bench);
}

TEST(a_start_drops_what_is_too_much)
{
    bench_new(&bench);
    bench_queue(&bench, "q", "d", "x-max-length-bytes=I3");
    for (int i = 0; i < 9; i++)
        put("q", "x");
    bench_restart(&bench);
    is_int(bench_ready(&bench, "q"), 9, "all are there");
    overflow_work_off(&bench.broker);
    is_int(bench_ready(&bench, "q"), 3, "and then three bytes");
    bench_free(&bench);
}

TEST(what_has_to_be_read_keeps_its_order)
{
    bench_new(&bench);
    bench_queue(&bench, "dead", "", NULL);
    bench_queue(&bench, "q", "", to("x-max-length=I1", "dead"));
    store_fake_fetch(bench.store, INDEX_WAIT);
    put("q", "1");
    put("q", "2");
    overflow_work_off(&bench.broker);
    put("q", "3");
    ok(!overflow_drop(queue_of("q")), "it waits");
    is_int(bench_ready(&bench, "dead"), 0, "nothing has come");
    overflow_work_off(&bench.broker);
    ok(!bench.broker.has_to_drop, "and does not turn round");
    store_fake_fetch(bench.store, INDEX_OK);
    dead_letters_move(&bench.broker);
    overflow_work_off(&bench.broker);
    is_int(bench_ready(&bench, "dead"), 2, "then both go");
    is_int(body_at("dead", 0) * 256 + body_at("dead", 1), '1' * 256 + '2', "in order");
    is_int(bench_ready(&bench, "q"), 1, "and one stays");
    bench_free(&bench);
}

/* A queue whose letters have gone, and that has more to drop, comes back to the end of the list. */
TEST(several_that_have_more_to_drop)
{
    bench_new(&bench);
    bench_queue(&bench, "dead", "", NULL);
    bench_queue(&bench, "q", "", to("x-max-length=I1", "dead"));
    bench_queue(&bench, "r", "", to("x-max-length=I1", "dead"));
    store_fake_fetch(bench.store, INDEX_WAIT);
    for (int i = 0; i < 2; i++) {
        put("q", "q");
        put("r", "r");
    }
    overflow_work_off(&bench.broker);
    put("q", "q");
    put("r", "r");
    store_fake_fetch(bench.store, INDEX_OK);
    dead_letters_move(&bench.broker);
    is_int(bench_ready(&bench, "dead"), 2, "what has waited goes, once");
    overflow_work_off(&bench.broker);
    is_int(bench_ready(&bench, "dead"), 4, "then the rest");
    is_int(bench_ready(&bench, "q") * 10 + bench_ready(&bench, "r"), 11, "and one stays in each");
    ok(list_is_empty(&bench.broker.dead_letters), "that was all");
    bench_free(&bench);
}

TEST(one_of_several_refuses)
{
    bench_new(&bench);
    bench_queue(&bench, "q", "", "x-max-length=I1 x-overflow=Sreject-publish");
    bench_queue(&bench, "r", "", NULL);
    bench_bind(&bench, "amq.fanout", "q", "", NULL);
    bench_bind(&bench, "amq.fanout", "r", "", NULL);
    is_int(bench_publish(&bench, "amq.fanout", "", NULL, NULL, "x"), 2, "both take it");
    ok(!bench.published.is_refused, "so that it is confirmed");
    is_int(bench_publish(&bench, "amq.fanout", "", NULL, NULL, "x"), 2, "it was routed to both");
    ok(bench.published.is_refused, "but one refused");
    is_int(bench_ready(&bench, "q") * 10 + bench_ready(&bench, "r"), 12, "and the other did not");
    bench_free(&bench);
}

/* Each refuses what the one before it could not keep. */
TEST(letters_are_refused_as_well)
{
    enum { CHAIN = 300 };
    char name[32], next[32];
    bench_new(&bench);
    for (int i = 0; i < CHAIN; i++) {
        snprintf(name, sizeof(name), "q%d", i);
        snprintf(next, sizeof(next), "q%d", (i + 1) % CHAIN);
        bench_queue(&bench, name, "", to("x-max-length=I1 x-overflow=Sreject-publish-dlx", next));
    }
    for (int i = 0; i < CHAIN; i++)
        put("q0", "x");
    snprintf(name, sizeof(name), "q%d", CHAIN - 1);
    is_int(bench_ready(&bench, name), 1, "the last of a chain has one");
    put("q0", "y");
    ok(bench.published.is_refused, "another one is refused");
    uint64_t all = 0;
    for (int i = 0; i < CHAIN; i++) {
        snprintf(name, sizeof(name), "q%d", i);
        all += bench_ready(&bench, name);
    }
    is_int(all, CHAIN, "by all of them, and goes round once");
    ok(list_is_empty(&bench.broker.refused), "nothing is left");
    bench_free(&bench);
}

int main(void)
{
    RUN(the_oldest_leave_when_it_is_their_turn);
    RUN(many_leave_in_portions);
    RUN(a_start_drops_what_is_too_much);
    RUN(what_has_to_be_read_keeps_its_order);
    RUN(several_that_have_more_to_drop);
    RUN(one_of_several_refuses);
    RUN(letters_are_refused_as_well);
    return done();
}
