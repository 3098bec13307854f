/* How the load generator counts: times, arrivals and confirms. */
#include "perf/confirms.h"
#include "perf/histogram.h"
#include "perf/ledger.h"

#include "base/mem.h"
#include "base/random.h"
#include "tests/lib/tap.h"

TEST(every_time_lies_in_its_bucket)
{
    uint64_t before = 0;
    bool close = true;
    bool rising = true;
    for (uint64_t ns = 0; ns < (uint64_t)1 << 41; ns += ns / 300 + 1) {
        unsigned bucket = histogram_bucket(ns);
        uint64_t end = histogram_bucket_end(bucket);
        close = close && end >= ns && end - ns <= ns / 128;
        rising = rising && bucket >= before;
        before = bucket;
    }
    ok(close, "the end of a bucket is at most 1/128 above");
    ok(rising, "longer times have later buckets");
    is_int(histogram_bucket(UINT64_MAX), HISTOGRAM_BUCKETS - 1,
           "the last takes all that is longer");
    is_int(histogram_bucket(((uint64_t)1 << HISTOGRAM_TOP_BIT) - 1), HISTOGRAM_BUCKETS - 1,
           "and is the last by measure, too");
}

TEST(quantiles)
{
    struct histogram *histogram = mem_zalloc(sizeof(*histogram));
    struct histogram *more = mem_zalloc(sizeof(*more));
    is_int(histogram_quantile(histogram, 0.5), 0, "of nothing");
    for (uint64_t i = 1; i <= 100; i++)
        histogram_add(histogram, i);
    is_int(histogram_quantile(histogram, 0.5), 50, "the median of 1 to 100");
    is_int(histogram_quantile(histogram, 0.99), 99, "p99");
    is_int(histogram_quantile(histogram, 0.999), 100, "p99.9");
    is_int(histogram_quantile(histogram, 0), 1, "the least");
    is_int(histogram_max(histogram), 100, "the most");
    is_int((int)(histogram_mean(histogram) * 10), 505, "the mean");
    histogram_add(more, 1000);
    histogram_merge(more, histogram);
    is_int(histogram_count(more), 101, "two together");
    histogram_subtract(more, histogram);
    is_int(histogram_count(more), 1, "and what one had more");
    is_int(histogram_quantile(more, 0.5), 1003, "which is known by its bucket");
    mem_free(histogram);
    mem_free(more);
}

TEST(arrivals_in_order_need_no_memory)
{
    struct ledger ledger = {0};
    for (uint64_t i = 0; i < 10000; i++)
        if (ledger_note(&ledger, i) != LEDGER_NEW)
            ok(false, "%d is new", (int)i);
    ok(ledger.ahead == NULL, "nothing is kept");
    is_int(ledger.next, 10000, "all have come");
    ok(ledger_note(&ledger, 9999) == LEDGER_SEEN, "again");
    ok(ledger_note(&ledger, 0) == LEDGER_SEEN, "again");
    ledger_free(&ledger);
}

/* Any order, each once or twice, against a plain array. */
TEST(arrivals_in_any_order)
{
    enum { COUNT = 50000 };
    static uint8_t seen[COUNT];
    struct ledger ledger = {0};
    struct random random;
    bool good = true;
    uint64_t different = 0;
    random_init(&random, 7);
    for (int i = 0; i < 3 * COUNT; i++) {
        uint64_t number = random_below(&random, COUNT);
        enum ledger_note wanted = seen[number] ? LEDGER_SEEN : LEDGER_NEW;
        good = good && ledger_note(&ledger, number) == wanted;
        different += wanted == LEDGER_NEW;
        seen[number] = 1;
    }
    for (uint64_t i = 0; i < COUNT; i++)
        different += !seen[i] && ledger_note(&ledger, i) == LEDGER_NEW;
    ok(good, "each is told from those that came before");
    is_int(different, COUNT, "all of them");
    is_int(ledger.next, COUNT, "no gap is left");
    ledger_free(&ledger);
}

TEST(a_gap_without_end_is_given_up)
{
    struct ledger ledger = {0};
    ok(ledger_note(&ledger, (uint64_t)1 << 30) == LEDGER_NEW, "far ahead");
    ok(ledger.gaps_given_up > 0, "what is too far behind counts as missing");
    ok(ledger_note(&ledger, (uint64_t)1 << 30) == LEDGER_SEEN, "and it is known");
    ledger_free(&ledger);
}

TEST(confirms_in_order)
{
    struct confirms confirms;
    confirms_init(&confirms, 10);
    is_int(confirms_room(&confirms, 10), 10, "room at first");
    for (int i = 0; i < 10; i++)
        confirms_sent(&confirms, 100);
    is_int(confirms_room(&confirms, 10), 0, "none when all are sent");
    is_int(confirms_settle(&confirms, 1, false, 200, NULL), 1, "one");
    is_int(confirms_settle(&confirms, 1, false, 200, NULL), 0, "not twice");
    is_int(confirms_settle(&confirms, 6, true, 200, NULL), 5, "five together");
    is_int(confirms_room(&confirms, 10), 6, "room again");
    is_int(confirms_settle(&confirms, 11, false, 200, NULL), UINT64_MAX, "never published");
    is_int(confirms_settle(&confirms, 0, true, 200, NULL), 4, "0 means all");
    is_int(confirms.open, 0, "nothing is left");
    confirms_free(&confirms);
}

TEST(confirms_out_of_order)
{
    struct confirms confirms;
    struct histogram *times = mem_zalloc(sizeof(*times));
    confirms_init(&confirms, 4);
    for (uint64_t i = 0; i < 4; i++)
        confirms_sent(&confirms, 100 + i);
    is_int(confirms_settle(&confirms, 3, false, 110, times), 1, "the third first");
    is_int(histogram_max(times), 8, "after its time");
    is_int(confirms.base, 1, "the first is still waited for");
    is_int(confirms_room(&confirms, 4), 1, "one more may be sent");
    confirms_sent(&confirms, 104);
    is_int(confirms_settle(&confirms, 4, true, 110, times), 3, "the third is not counted again");
    is_int(confirms.base, 5, "all before the fifth");
    confirms_restart(&confirms);
    is_int(confirms_room(&confirms, 4), 4, "a new channel begins anew");
    confirms_free(&confirms);
    mem_free(times);
}

/* The oldest stays open: what may be sent is bounded by the span of tags. */
TEST(one_confirm_that_does_not_come)
{
    struct confirms confirms;
    uint64_t sent = 1;
    confirms_init(&confirms, 8);
    confirms_sent(&confirms, 1);
    for (uint64_t tag = 2; confirms_room(&confirms, 8) > 0 && sent < 1000; tag++, sent++) {
        confirms_sent(&confirms, 1);
        confirms_settle(&confirms, tag, false, 2, NULL);
    }
    is_int(sent, 16, "then nothing more is sent");
    is_int(confirms_settle(&confirms, 1, false, 2, NULL), 1, "until it comes");
    is_int(confirms_room(&confirms, 8), 8, "and all is well");
    confirms_free(&confirms);
}

int main(void)
{
    RUN(every_time_lies_in_its_bucket);
    RUN(quantiles);
    RUN(arrivals_in_order_need_no_memory);
    RUN(arrivals_in_any_order);
    RUN(a_gap_without_end_is_given_up);
    RUN(confirms_in_order);
    RUN(confirms_out_of_order);
    RUN(one_confirm_that_does_not_come);
    return done();
}
