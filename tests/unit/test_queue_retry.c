/* Messages that come back and wait for their next try. */
#include "broker/redelivery.h"
#include "queue/queue_retry.h"
#include "queue/queue_schedule.h"
#include "tests/lib/broker_bench.h"

enum { MANY = 30000 };

static struct bench bench;

static void push(const char *expiration)
{
    bench_publish(&bench, "", "q", NULL, expiration, "12345");
}

static uint64_t take(struct queue *queue)
{
    uint64_t position = 0;
    queue_take_head(queue, &position);
    return position;
}

static uint64_t wait_of(const struct queue *queue, uint32_t count, uint64_t asked_ms)
{
    return queue_retry_ms(queue, count, asked_ms, bench.broker.random);
}

TEST(linear_times_the_number_of_returns)
{
    const struct queue *queue = bench_begin(
        &bench, "x-delayed-retry-type=Sall x-delayed-retry-min=I100 x-delayed-retry-max=I350");
    is_int(wait_of(queue, 1, SETTING_NONE), 100, "the first time");
    is_int(wait_of(queue, 3, SETTING_NONE), 300, "the third time");
    is_int(wait_of(queue, 4, SETTING_NONE), 350, "no longer than the maximum");
    is_int(wait_of(queue, UINT32_MAX, SETTING_NONE), 350, "however often");
    is_int(wait_of(queue, 1, 7), 7, "what the message says counts");
    is_int(wait_of(queue, 1, 1000000), 350, "up to the maximum");
    bench_free(&bench);
    queue = bench_begin(&bench, "x-delayed-retry-type=Sall x-delayed-retry-min=l315360000000");
    is_int(wait_of(queue, UINT32_MAX, SETTING_NONE), QUEUE_TIME_MAX_MS, "ten years are the longest");
    bench_free(&bench);
    queue = bench_begin(&bench, "x-delayed-retry-type=Sall");
    is_int(wait_of(queue, 5, SETTING_NONE), 0, "without a minimum none waits");
    is_int(wait_of(queue, 5, 70), 70, "unless it says so");
    bench_free(&bench);
}

TEST(exponential_with_jitter)
{
    const struct queue *queue =
        bench_begin(&bench, "x-delayed-retry-type=Sall x-delayed-retry-min=I1000 "
                            "x-delayed-retry-max=I60000 x-retry-backoff=Sexponential");
    static const uint64_t longest[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};
    for (uint32_t count = 1; count <= 8; count++) {
        uint64_t least = UINT64_MAX, most = 0;
        for (int i = 0; i < 2000; i++) {
            uint64_t ms = wait_of(queue, count, SETTING_NONE);
            least = ms < least ? ms : least;
            most = ms > most ? ms : most;
        }
        uint64_t limit = longest[count - 1];
        ok(most <= limit && most > limit * 9 / 10, "up to twice as long each time: %d of %d",
           (int)most, (int)limit);
        ok(least >= limit / 2 && least < limit * 6 / 10, "but down to a half by chance: %d",
           (int)least);
    }
    ok(wait_of(queue, UINT32_MAX, SETTING_NONE) <= 60000, "however often");
    bench_free(&bench);
}

TEST(which_ones_wait)
{
    static const struct {
        const char *arguments;
        bool released, failed;
    } cases[] = {
        {NULL, false, false},
        {"x-delayed-retry-type=Sdisabled", false, false},
        {"x-delayed-retry-type=Sall", true, true},
        {"x-delayed-retry-type=Sfailed", false, true},
        {"x-delayed-retry-type=Sreturned", true, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct queue *queue = bench_begin(&bench, cases[i].arguments);
        ok(queue_retry_is_delayed(queue, RETURN_RELEASED) == cases[i].released &&
               queue_retry_is_delayed(queue, RETURN_FAILED) == cases[i].failed,
           "%s", cases[i].arguments ? cases[i].arguments : "as it is");
        bench_free(&bench);
    }
}

TEST(what_waits_is_counted)
{
    struct queue *queue = bench_begin(&bench, "x-delayed-retry-type=Sall x-delayed-retry-min=I100");
    push(NULL);
    push(NULL);
    redelivery_return(queue, take(queue), RETURN_FAILED);
    is_int(queue->counts->delayed, 1, "as delayed");
    is_int(queue->counts->ready, 1, "not as ready");
    is_int(queue->counts->taken, 0, "nor as taken");
    is_int(queue->counts->ready_bytes, 5, "and so its bytes");
    bench_turn(&bench, 99);
    is_int(queue->counts->delayed, 1, "not before its time");
    bench_turn(&bench, 1);
    is_int(queue->counts->ready, 2, "then it is ready");
    is_int(take(queue), 1, "where it was");
    is_int(queue_delivery_count(queue, 1), 1, "and has come back once");
    bench_free(&bench);
}

TEST(what_is_not_in_memory_is_read_first)
{
    struct queue *queue = bench_begin(&bench, "x-delayed-retry-type=Sall x-delayed-retry-min=I100");
    push(NULL);
    uint64_t position = take(queue);
    store_fake_fetch(bench.store, INDEX_WAIT);
    redelivery_return(queue, position, RETURN_FAILED);
    bench_turn(&bench, 50);
    is_int(queue->counts->taken, 1, "until then it is nobody's");
    store_fake_fetch(bench.store, INDEX_OK);
    bench_turn(&bench, 50);
    is_int(queue->counts->delayed, 1, "then it waits");
    bench_turn(&bench, 99);
    is_int(queue->counts->delayed, 1, "from then on");
    bench_turn(&bench, 1);
    is_int(queue->counts->ready, 1, "and is ready");
    store_fake_fetch(bench.store, INDEX_EMPTY);
    redelivery_return(queue, take(queue), RETURN_FAILED);
    is_int(queue->counts->delayed, 0, "one that is damaged does not wait");
    bench_free(&bench);
}

TEST(none_waits_longer_than_it_lives)
{
    struct queue *queue = bench_begin(
        &bench, "x-delayed-retry-type=Sall x-delayed-retry-min=I5000 "
                "x-dead-letter-exchange=S x-dead-letter-routing-key=Sdead");
    push("1000");
    redelivery_return(queue, take(queue), RETURN_FAILED);
    bench_turn(&bench, 999);
    is_int(queue->counts->delayed, 1, "it waits");
    bench_turn(&bench, 1);
    is_int(queue->counts->delayed + queue->counts->ready, 0, "and ends when it has to");
    is_int(bench_ready(&bench, "dead"), 1, "as a dead letter");
    bench_free(&bench);
}

TEST(a_start_knows_what_waits)
{
    struct queue *queue =
        bench_begin(&bench, "x-delayed-retry-type=Sall x-delayed-retry-min=I1000");
    push(NULL);
    redelivery_return(queue, take(queue), RETURN_FAILED);
    bench_turn(&bench, 400);
    bench_restart(&bench);
    queue = vhost_queue(bench.vhost, bytes_str("q"));
    is_int(queue->counts->delayed, 1, "it still waits");
    bench_turn(&bench, 599);
    is_int(queue->counts->delayed, 1, "for the rest of its time");
    bench_turn(&bench, 1);
    is_int(queue->counts->ready, 1, "and not longer");
    bench_free(&bench);
}

TEST(many_are_ready_in_portions)
{
    struct queue *queue =
        bench_begin(&bench, "x-delayed-retry-type=Sall x-delayed-retry-min=I1000");
    for (int i = 0; i < MANY; i++)
        push(NULL);
    for (int i = 0; i < MANY; i++)
        redelivery_return(queue, take(queue), RETURN_FAILED);
    is_int(queue_schedule_count(queue), MANY, "all of them are waited for");
    bench_turn(&bench, 1000);
    uint64_t some = queue_ready(queue);
    ok(some > 0 && some < MANY, "not all are ready in one turn (%d)", (int)some);
    for (int i = 0; i < 100; i++)
        bench_turn(&bench, 0);
    is_int(queue_ready(queue), MANY, "but in a few");
    bench_free(&bench);
}

int main(void)
{
    RUN(linear_times_the_number_of_returns);
    RUN(exponential_with_jitter);
    RUN(which_ones_wait);
    RUN(what_waits_is_counted);
    RUN(what_is_not_in_memory_is_read_first);
    RUN(none_waits_longer_than_it_lives);
    RUN(a_start_knows_what_waits);
    RUN(many_are_ready_in_portions);
    return done();
}
