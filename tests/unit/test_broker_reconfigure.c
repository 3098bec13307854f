/* What queues and exchanges make of policies that change while they are there: in slices, and each
 * once. */
#include <stdio.h>

#include "amqp/text.h"
#include "broker/exchange.h"
#include "broker/policy.h"
#include "broker/queue_declare.h"
#include "broker/reconfigure.h"
#include "tests/lib/broker_bench.h"

enum { MANY = 10000 };

static struct bench bench;
static struct buffer memory;

static void put(bool is_operator, const char *pattern, const char *definition)
{
    struct text_given given = {0};
    struct policy_request request = {.is_operator = is_operator,
                                     .vhost = bytes_str("/"),
                                     .name = bytes_str("p"),
                                     .pattern = bytes_str(pattern)};
    if (!text_read_table(bytes_str(definition), &memory, &request.definition, &given))
        bail("%s", given.error);
    ok(policy_set(&bench.broker, &request, &bench.error), "policy %s", definition);
}

/* What turns took of their budget beyond it, at most. */
static int64_t overdrawn;

/* Turns, up to a number of them; returns how many it took until nothing was left. */
static unsigned turn(unsigned most)
{
    unsigned turns = 0;
    while (reconfigure_is_left(&bench.broker) && turns < most) {
        bench.broker.turn = budget_of(2 * BUDGET_MS);
        reconfigure_go_on(&bench.broker);
        if (-bench.broker.turn.left > overdrawn)
            overdrawn = -bench.broker.turn.left;
        turns++;
    }
    return turns;
}

static struct queue *queue_of(const char *name)
{
    return vhost_queue(bench.vhost, bytes_str(name));
}

/* Of all queues, how many have that limit? */
static size_t limited(uint64_t max_length)
{
    const struct queue *queue;
    size_t count = 0;
    for (uint64_t at = 0; (queue = map_next(&bench.vhost->queues, &at));)
        count += queue->settings->max_length == max_length;
    return count;
}

static void declare(size_t first, size_t count)
{
    char name[32];
    for (size_t i = first; i < first + count; i++) {
        struct queue_declare request = {
            .name = bytes_of(name, (size_t)snprintf(name, sizeof(name), "q%zu", i))};
        bool created;
        if (!queue_declare(bench.vhost, &request, &created, &bench.error))
            bail("%s", bench.error.detail);
    }
}

TEST(many_queues_in_slices)
{
    bench_new(&bench);
    declare(0, MANY);
    put(false, "^q", "{max-length:i64 7}");
    ok(limited(7) == 0, "nothing is done before the next turn");
    turn(1);
    size_t first = limited(7);
    ok(first > 100 && first < MANY / 2, "a turn does some of them");
    unsigned turns = turn(1000);
    is_int(limited(7), MANY, "and others the rest");
    ok(turns < 100, "within 100 turns");
    ok(overdrawn < BUDGET_MS / 100, "none of which takes more than it may");
    ok(queue_of("q0")->settings == queue_of("q1")->settings, "they share what they are set to");
    ok(policy_delete(&bench.broker, false, bytes_str("/"), bytes_str("p"), &bench.error),
       "it goes");
    turn(1000);
    is_int(limited(SETTING_NONE), MANY, "and with it what it has set");
    is_int(map_count(&bench.broker.queues.settings.shared), 0, "nothing is left of it");
    bench_free(&bench);
}

TEST(queues_come_and_go_in_between)
{
    bench_new(&bench);
    declare(0, 3000);
    put(false, "^q", "{max-length:i64 7}");
    for (size_t i = 0; turn(1) && i < 1000; i++) {
        declare(3000 + 100 * i, 100);
        for (size_t gone = 20 * i; gone < 20 * i + 20; gone++) {
            char name[32];
            snprintf(name, sizeof(name), "q%zu", gone);
            if (queue_of(name))
                queue_delete(queue_of(name));
        }
    }
    is_int(limited(7), map_count(&bench.vhost->queues), "all that are there have it");
    bench_free(&bench);
}

TEST(a_policy_that_changes_again_begins_anew)
{
    bench_new(&bench);
    declare(0, 3000);
    put(false, "^q", "{max-length:i64 7}");
    turn(1);
    put(false, "^q", "{max-length:i64 5}");
    turn(1000);
    is_int(limited(5), 3000, "the last one counts");
    put(true, "^q1", "{max-length:i64 3}");
    turn(1000);
    is_int(limited(3), 1111, "an operator's, for some");
    is_int(limited(5), 3000 - 1111, "and the other for the rest");
    bench_free(&bench);
}

TEST(a_hostile_pattern_takes_more_turns)
{
    char name[200];
    bench_new(&bench);
    for (int i = 0; i < 100; i++) {
        memset(name, 'a', sizeof(name));
        snprintf(name + 150, sizeof(name) - 150, "!%d", i);
        bench_queue(&bench, name, "", NULL);
    }
    put(false, "^(a+)+$", "{max-length:i64 7}");
    turn(1);
    unsigned turns = turn(1000);
    ok(turns >= 3 && turns < 20, "a hundred such names are looked at in %u turns more", turns);
    is_int(limited(7), 0, "none of them matches");
    ok(overdrawn < BUDGET_MS / 5, "a turn takes one of them more than it may, at most");
    bench_free(&bench);
}

/* Without whether anything has happened to it. */
static int limit_of(const char *name)
{
    return queue_of(name)->limit & ~QUEUE_RESTS;
}

TEST(a_limit_that_shrinks)
{
    bench_new(&bench);
    bench_queue(&bench, "q", "", NULL);
    for (int i = 0; i < 1000; i++)
        bench_publish(&bench, "", "q", NULL, NULL, "body");
    put(false, "^q", "{max-length:i64 10}");
    turn(1);
    is_int(limit_of("q"), QUEUE_DROPS, "the queue drops");
    ok(bench.broker.has_to_drop, "and has to");
    put(false, "^q", "{max-length:i64 10, overflow:str reject-publish}");
    turn(1);
    is_int(limit_of("q"), QUEUE_REFUSES, "it refuses");
    put(false, "^q", "{overflow:str reject-publish}");
    turn(1);
    is_int(limit_of("q"), QUEUE_UNLIMITED, "without a limit it does neither");
    bench_free(&bench);
}

TEST(an_alternate_exchange)
{
    bench_new(&bench);
    bench_exchange(&bench, "x", "fanout", "", NULL);
    bench_exchange(&bench, "own", "fanout", "", "alternate-exchange=So");
    uint64_t topology = bench.broker.topology;
    put(false, "^[xoy]|amq.direct", "{alternate-exchange:str p}");
    turn(1);
    struct exchange *x = vhost_exchange(bench.vhost, bytes_str("x"));
    is_str(x->alternate, "p", "by a policy");
    ok(bench.broker.topology > topology, "routing is another one");
    is_str(vhost_exchange(bench.vhost, bytes_str("own"))->alternate, "o", "not before its own");
    is_str(vhost_exchange(bench.vhost, bytes_str("amq.direct"))->alternate, "p", "also of these");
    is_str(bench_exchange(&bench, "y", "fanout", "", NULL)->alternate, "p", "a new one");
    topology = bench.broker.topology;
    put(false, "^[xoy]", "{alternate-exchange:str p, max-length:i64 1}");
    turn(1);
    is_int(bench.broker.topology, topology + 1, "what is as it was alters no routing");
    ok(!vhost_exchange(bench.vhost, bytes_str("amq.direct"))->alternate, "but for one");
    bench_free(&bench);
}

TEST(after_a_restart_all_are_set)
{
    bench_new(&bench);
    bench_exchange(&bench, "x", "fanout", "d", NULL);
    bench_queue(&bench, "q", "d", "x-max-length=I9");
    bench_queue(&bench, "other", "d", NULL);
    put(false, "^[qx]", "{max-length:i64 7, alternate-exchange:str p}");
    put(true, "^q", "{expires:i64 9}");
    bench_restart(&bench);
    ok(!reconfigure_is_left(&bench.broker), "before anybody is served");
    is_int(queue_of("q")->settings->max_length, 7, "a queue");
    is_int(queue_of("q")->settings->expires_ms, 9, "by both policies");
    is_int(queue_of("other")->settings->max_length, SETTING_NONE, "and not another one");
    is_str(vhost_exchange(bench.vhost, bytes_str("x"))->alternate, "p", "an exchange");
    bench_free(&bench);
}

TEST(a_virtual_host_may_go_in_between)
{
    bench_new(&bench);
    struct vhost *other = vhost_put(&bench.broker, bytes_str("v"));
    struct policy_request request = {.vhost = bytes_str("v"), .name = bytes_str("p")};
    struct text_given given = {0};
    text_read_table(bytes_str("{expires:i64 1}"), &memory, &request.definition, &given);
    ok(policy_set(&bench.broker, &request, &bench.error), "a policy");
    ok(reconfigure_is_left(&bench.broker), "to be looked at");
    vhost_free(other);
    ok(!reconfigure_is_left(&bench.broker), "which is forgotten");
    bench_free(&bench);
}

TEST(mirrors_of_what_is_there_stay)
{
    bench_new(&bench);
    bench.broker.options.queue_group = 2;
    bench_queue(&bench, "q", "", NULL);
    bench_queue(&bench, "mine", "x", NULL);
    bench_queue(&bench, "durable", "d", NULL);
    bench_queue(&bench, "never", "", "mirrored=t0");
    put(false, "^(mine|durable|never)", "{ha-mode:str all}");
    ok(!reconfigure_keeps_mirrors(bench.vhost), "it is nothing to those");
    turn(1000);
    put(false, "^q", "{ha-mode:str exactly, ha-params:i64 2}");
    ok(reconfigure_keeps_mirrors(bench.vhost), "one that is there has none");
    turn(1000);
    ok(!queue_survives(queue_of("q")), "and gets none");
    ok(!reconfigure_keeps_mirrors(bench.vhost), "it is said once");
    put(false, "^q", "{ha-mode:str all}");
    ok(!reconfigure_keeps_mirrors(bench.vhost), "the way makes no difference");
    turn(1000);
    ok(queue_survives(bench_queue(&bench, "q2", "", NULL)), "a new one has mirrors");
    ok(policy_delete(&bench.broker, false, bytes_str("/"), bytes_str("p"), &bench.error), "it goes");
    ok(reconfigure_keeps_mirrors(bench.vhost), "who has mirrors keeps them");
    turn(1000);
    ok(queue_survives(queue_of("q2")), "indeed");
    bench.broker.options.queue_group = 0;
    put(false, "^q$", "{ha-mode:str all}");
    ok(!reconfigure_keeps_mirrors(bench.vhost), "a broker that is alone says nothing of them");
    bench_free(&bench);
}

int main(void)
{
    RUN(many_queues_in_slices);
    RUN(queues_come_and_go_in_between);
    RUN(a_policy_that_changes_again_begins_anew);
    RUN(a_hostile_pattern_takes_more_turns);
    RUN(a_limit_that_shrinks);
    RUN(an_alternate_exchange);
    RUN(after_a_restart_all_are_set);
    RUN(a_virtual_host_may_go_in_between);
    RUN(mirrors_of_what_is_there_stay);
    buffer_free(&memory);
    return done();
}
