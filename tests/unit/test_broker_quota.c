/* What counts against a quota, when it is reached, and until when. */
#include <stdio.h>

#include "broker/quota.h"
#include "broker/queue_declare.h"
#include "broker/reconfigure.h"
#include "tests/lib/broker_bench.h"

enum { MANY = 3000 };

static struct bench bench;

static void limit(enum quota_kind kind, uint64_t most)
{
    struct quota_limits limits = quota_limits_of(bench.vhost->quota);
    struct vhost_request request = {.name = bytes_str("/"), .quotas = &limits};
    quota_limit(&limits, kind, most);
    if (!vhost_set(&bench.broker, &request, &bench.error))
        bail("%s", bench.error.detail);
}

static void unlimit(void)
{
    struct quota_limits none = {0};
    struct vhost_request request = {.name = bytes_str("/"), .quotas = &none};
    if (!vhost_set(&bench.broker, &request, &bench.error))
        bail("%s", bench.error.detail);
}

/* Turns until nothing is left to do. */
static unsigned settle(void)
{
    unsigned turns = 0;
    do
        bench_turn(&bench, 1);
    while (turns++ < 1000 && reconfigure_is_left(&bench.broker));
    return turns;
}

static bool is_over(enum quota_kind kind)
{
    quota_review(bench.vhost->quota);
    return bench.vhost->quota->over & 1u << kind;
}

static void fill(unsigned count, const char *key, const char *body)
{
    while (count--)
        bench_publish(&bench, "", key, NULL, NULL, body);
}

/* What the queues of the virtual host hold, counted one by one. */
static bool is_exact(void)
{
    struct counts sum = {.above = NULL};
    const struct counts *counts = &bench.vhost->quota->stored;
    const struct queue *queue;
    for (uint64_t at = 0; (queue = map_next(&bench.vhost->queues, &at));) {
        sum.ready += queue->counts->ready;
        sum.taken += queue->counts->taken;
        sum.delayed += queue->counts->delayed;
        sum.ready_bytes += queue->counts->ready_bytes;
        sum.bytes += queue->counts->bytes;
    }
    return memcmp(&sum, counts, sizeof(sum)) == 0;
}

TEST(queues_that_are_there_are_counted_in_slices)
{
    char name[32];
    bench_new(&bench);
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "q%d", i);
        bench_queue(&bench, name, "", i % 3 ? NULL : "x-max-priority=I3");
        fill(i % 2 ? 2 : 1, name, "abc");
    }
    limit(QUOTA_MESSAGES, 1000000);
    is_int(bench.vhost->quota->stored.ready, 0, "not at once");
    bench_turn(&bench, 1);
    ok(reconfigure_is_left(&bench.broker) && bench.vhost->quota->stored.ready > 0,
       "some in a turn");
    fill(1, "q0", "later");
    fill(1, "q2999", "later");
    bench_queue(&bench, "new", "", NULL);
    fill(1, "new", "later");
    queue_delete(vhost_queue(bench.vhost, bytes_str("q1")));
    ok(settle() > 1, "the rest in others");
    is_int(bench.vhost->quota->stored.ready, MANY * 3 / 2 - 2 + 3, "all");
    is_int(bench.vhost->quota->stored.bytes, (MANY * 3 / 2 - 2) * 3 + 15, "and their bytes");
    ok(is_exact(), "as they count themselves");
    unlimit();
    settle();
    static const struct counts none;
    ok(memcmp(&bench.vhost->quota->stored, &none, sizeof(none)) == 0,
       "and no more without a quota");
    bench_free(&bench);
}

TEST(whatever_becomes_of_a_message)
{
    struct taken taken;
    uint64_t position;
    bench_new(&bench);
    limit(QUOTA_BYTES, 100);
    struct queue *queue = bench_queue(&bench, "q", "d", NULL);
    bench_queue(&bench, "p", "d", "x-max-priority=I9");
    fill(3, "q", "12345");
    fill(2, "p", "12345");
    settle();
    const struct counts *stored = &bench.vhost->quota->stored;
    is_int(stored->ready, 5, "published");
    is_int(stored->bytes, 25, "bytes");
    queue_take(queue, false, &taken);
    message_unref(&bench.pool, taken.message);
    is_int(stored->ready + stored->taken, 5, "taken ones are held");
    is_int(stored->bytes, 25, "with their bytes");
    queue_give_back(queue, taken.sequence);
    ok(is_exact(), "given back");
    ok(queue_take_head(queue, &position), "taken to be ended");
    queue_settle(queue, position);
    is_int(stored->bytes, 20, "ended");
    queue_take(queue, true, &taken);
    message_unref(&bench.pool, taken.message);
    is_int(stored->bytes, 15, "delivered without acknowledgement");
    queue_purge(queue);
    is_int(stored->bytes, 10, "purged");
    queue_delete(vhost_queue(bench.vhost, bytes_str("p")));
    is_int(stored->bytes, 0, "with its queue");
    ok(is_exact(), "as queues count themselves");
    fill(1, "q", "kept");
    bench_restart(&bench);
    settle();
    is_int(bench.vhost->quota->stored.bytes, 4, "after a restart");
    ok(is_exact(), "as queues count themselves");
    bench_free(&bench);
}

TEST(it_ends_a_twentieth_below)
{
    bench_new(&bench);
    struct queue *queue = bench_queue(&bench, "q", "", NULL);
    limit(QUOTA_MESSAGES, 100);
    settle();
    fill(99, "q", "x");
    ok(!is_over(QUOTA_MESSAGES), "one less is not too much");
    fill(1, "q", "x");
    ok(is_over(QUOTA_MESSAGES), "as many as there may be are");
    uint64_t position;
    for (int i = 0; i < 4; i++) {
        queue_take_head(queue, &position);
        queue_settle(queue, position);
    }
    ok(is_over(QUOTA_MESSAGES), "96 are still");
    queue_take_head(queue, &position);
    ok(is_over(QUOTA_MESSAGES), "what is taken is held");
    queue_settle(queue, position);
    ok(!is_over(QUOTA_MESSAGES), "95 are not");
    fill(4, "q", "x");
    ok(!is_over(QUOTA_MESSAGES), "nor 99");
    char text[255];
    fill(1, "q", "x");
    ok(is_over(QUOTA_MESSAGES), "100 are again");
    is_str(quota_reason(bench.vhost->quota, text, sizeof(text)),
           "max-messages of vhost '/' is reached", "why");
    unlimit();
    quota_review(bench.vhost->quota);
    ok(!bench.vhost->quota->over && list_is_empty(&bench.broker.quotas),
       "without a quota nobody waits");
    bench_free(&bench);
}

static struct quota *spend(unsigned messages, uint64_t bytes)
{
    while (messages--)
        quota_spend(bench.vhost->quota, bytes);
    return bench.vhost->quota;
}

TEST(a_rate_is_a_second_of_messages_at_once)
{
    bench_new(&bench);
    bench_turn(&bench, 1);
    limit(QUOTA_RATE, 1000);
    struct quota *quota = spend(999, 1);
    ok(!quota->over, "all but one");
    is_int(quota_used(quota, QUOTA_RATE), 999, "so many");
    is_int(quota_next_ms(quota), UINT64_MAX, "nothing has to happen");
    spend(1, 1);
    ok(quota->over, "and the last");
    is_int(quota_next_ms(quota), bench.now_ms + 500, "half a second for half of it");
    bench_turn(&bench, 499);
    ok(is_over(QUOTA_RATE), "not before");
    bench_turn(&bench, 1);
    ok(!is_over(QUOTA_RATE) && quota->known, "then it goes on, but is not over");
    is_int(quota_next_ms(quota), bench.now_ms + 500, "until all is there");
    spend(500, 1);
    ok(quota->over, "500 more");
    bench_turn(&bench, 1000);
    ok(!is_over(QUOTA_RATE) && !quota->known, "a second without any");
    bench_turn(&bench, 1000000);
    spend(999, 1);
    ok(!quota->over, "what nobody has used");
    spend(1, 1);
    ok(quota->over, "does not add up");
    bench_free(&bench);
}

TEST(the_smallest_and_the_greatest)
{
    bench_new(&bench);
    bench_turn(&bench, 1);
    limit(QUOTA_RATE, 0);
    ok(is_over(QUOTA_RATE), "nothing may be published");
    is_int(quota_next_ms(bench.vhost->quota), UINT64_MAX, "ever");
    limit(QUOTA_RATE, 1);
    bench_turn(&bench, 500);
    ok(!is_over(QUOTA_RATE), "one");
    ok(spend(1, 0)->over, "at a time");
    for (int i = 0; i < 10; i++) {
        bench_turn(&bench, 1000);
        ok(!is_over(QUOTA_RATE) && spend(1, 0)->over, "one in each second");
    }
    unlimit();
    quota_review(bench.vhost->quota);
    limit(QUOTA_BYTES_RATE, QUOTA_MOST);
    ok(!spend(1000, UINT32_MAX)->over, "more than anybody has");
    bench_turn(&bench, UINT32_MAX);
    is_int(quota_used(bench.vhost->quota, QUOTA_BYTES_RATE), 0, "is there again");
    limit(QUOTA_BYTES_RATE, 1);
    ok(spend(1, UINT32_MAX)->over, "four gigabytes in a second of one byte");
    uint64_t next_ms = quota_next_ms(bench.vhost->quota);
    ok(next_ms - bench.now_ms > (uint64_t)UINT32_MAX * 999, "take so many seconds");
    limit(QUOTA_BYTES_RATE, QUOTA_MOST);
    bench_turn(&bench, 1);
    ok(is_over(QUOTA_BYTES_RATE), "with another rate");
    bench_turn(&bench, 600);
    ok(!is_over(QUOTA_BYTES_RATE), "they are soon there");
    bench_free(&bench);
}

TEST(names)
{
    enum quota_kind kind;
    char text[QUOTA_NAMES_SIZE];
    ok(quota_find(bytes_str("max-messages"), false, &kind) && kind == QUOTA_MESSAGES,
       "by its name");
    ok(!quota_find(bytes_str("max-messages"), true, &kind), "which users do not have");
    ok(quota_find(bytes_str("max-publish-bytes-rate"), true, &kind) && kind == QUOTA_BYTES_RATE,
       "as they do this");
    ok(!quota_find(bytes_str("max-message"), false, &kind), "no other");
    is_str(quota_names(true, text), ", max-publish-rate or max-publish-bytes-rate", "of users");
}

int main(void)
{
    RUN(queues_that_are_there_are_counted_in_slices);
    RUN(whatever_becomes_of_a_message);
    RUN(it_ends_a_twentieth_below);
    RUN(a_rate_is_a_second_of_messages_at_once);
    RUN(the_smallest_and_the_greatest);
    RUN(names);
    return done();
}
