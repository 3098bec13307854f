/* Samples of counters over an hour, by a clock that the test sets. */
#include <stdlib.h>

#include "api/history.h"
#include "tests/lib/tap.h"

enum { SECOND = 1000, BEGIN = 1000000 };

static struct history_budget plenty(void)
{
    return (struct history_budget){.max = 1 << 20};
}

static void add_two(struct history *history, uint64_t at_ms, uint64_t first, uint64_t second,
                    struct history_budget *budget)
{
    const uint64_t values[] = {first, second};
    history_add(history, at_ms, values, budget);
}

TEST(rates_are_of_the_last_step)
{
    struct history_budget budget = plenty();
    struct history *history = history_new(2);
    add_two(history, BEGIN, 100, 7, &budget);
    ok(history->counters[0].rate == 0.0f, "so it is after one sample");
    add_two(history, BEGIN + 5 * SECOND, 150, 7, &budget);
    ok(history->counters[0].rate == 10.0f, "50 more in 5 seconds are 10 a second");
    ok(history->counters[1].rate == 0.0f, "and nothing more is 0");
    add_two(history, BEGIN + 9 * SECOND, 150, 3, &budget);
    ok(history->counters[0].rate == 0.0f, "that is the rate of the last step alone");
    ok(history->counters[1].rate == -1.0f, "what falls has a rate below 0");
    ok(history->changed_ms == BEGIN + 9 * SECOND, "it is known when something changed");
    add_two(history, BEGIN + 14 * SECOND, 150, 3, &budget);
    ok(history->changed_ms == BEGIN + 9 * SECOND, "and when nothing did");
    history_free(history, &budget);
    ok(budget.used == 0, "all memory is given back");
}

/* What does not change keeps no samples. */
TEST(what_is_idle_keeps_nothing)
{
    struct history_budget budget = plenty();
    struct history *history = history_new(2);
    for (uint64_t i = 0; i < 100; i++)
        add_two(history, BEGIN + i * 5 * SECOND, 5, 6, &budget);
    ok(history->ring == NULL && budget.used == 0, "what is idle takes no memory for samples");
    ok(history_at(history, 1, BEGIN + 20 * SECOND) == 6, "and what it was is what it is");
    add_two(history, BEGIN + 500 * SECOND, 9, 6, &budget);
    ok(history->ring != NULL && budget.used > 0, "with its first change they are kept");
    ok(history_at(history, 0, BEGIN + 499 * SECOND) == 5, "also the one before");
    ok(history_at(history, 0, BEGIN + 500 * SECOND) == 9, "and the change");
    history_free(history, &budget);
}

/* Counter 0 is the number of seconds since the beginning. */
static void fill(struct history *history, uint64_t seconds, struct history_budget *budget)
{
    for (uint64_t at = 0; at <= seconds; at += 5)
        add_two(history, BEGIN + at * SECOND, at, 0, budget);
}

static bool is_near(const struct history *history, uint64_t second, uint64_t most)
{
    uint64_t was = history_at(history, 0, BEGIN + second * SECOND);
    return was <= second && second - was <= most;
}

TEST(what_is_forgotten_begins_with_the_latest_sample)
{
    struct history_budget budget = plenty();
    struct history *history = history_new(2);
    history_forget(history, &budget);
    fill(history, 100, &budget);
    ok(history->counters[0].rate == 1.0f && budget.used > 0, "there are a rate and samples");
    history_forget(history, &budget);
    ok(history->counters[0].rate == 0.0f && budget.used == 0, "they are forgotten");
    ok(history_at(history, 0, BEGIN + 50 * SECOND) == 100, "before there was what is now");
    add_two(history, BEGIN + 110 * SECOND, 130, 0, &budget);
    ok(history->counters[0].rate == 3.0f, "the next rate is of what has come since the latest sample");
    ok(history_at(history, 0, BEGIN + 105 * SECOND) == 100 && history_at(history, 0, BEGIN + 50 * SECOND) == 100,
       "and so are samples");
    history_free(history, &budget);
    ok(budget.used == 0, "all memory is given back");
}

TEST(an_hour_is_kept)
{
    struct history_budget budget = plenty();
    struct history *history = history_new(2);
    fill(history, 7200, &budget);
    bool fine = true, coarse = true;
    for (uint64_t second = 7200 - 600; second <= 7200; second++)
        fine &= is_near(history, second, 5);
    ok(fine, "ten minutes are known every 5 seconds");
    for (uint64_t second = 7200 - 3600; second <= 7200; second++)
        coarse &= is_near(history, second, 61);
    ok(coarse, "an hour is known every minute");
    uint64_t oldest = history_at(history, 0, BEGIN);
    ok(oldest > 7200 - 4200 && oldest <= 7200 - 3600, "what is older is as the oldest that is known");
    size_t used = budget.used;
    for (uint64_t at = 7205; at < 20000; at += 5)
        add_two(history, BEGIN + at * SECOND, at, 0, &budget);
    ok(budget.used == used, "memory does not grow with time");
    ok(used < 8192, "a history of two counters takes less than 8 KiB");
    for (uint64_t at = 20000; at < 24000; at += 5)
        add_two(history, BEGIN + at * SECOND, 1, 0, &budget);
    ok(history->ring == NULL && budget.used == 0, "after an hour without a change its samples go");
    history_free(history, &budget);
}

/* The clock of a machine that was asleep. */
TEST(a_gap_is_bridged)
{
    struct history_budget budget = plenty();
    struct history *history = history_new(2);
    fill(history, 60, &budget);
    add_two(history, BEGIN + 10000 * SECOND, 10000, 0, &budget);
    ok(history_at(history, 0, BEGIN + 5000 * SECOND) == 60, "in a gap it is what it was before");
    ok(history->counters[0].rate == 1.0f, "and its rate is that of the whole gap");
    history_free(history, &budget);
}

TEST(memory_is_bounded)
{
    struct history_budget budget = {.max = 6000};
    struct history *first = history_new(2), *second = history_new(2);
    fill(first, 60, &budget);
    fill(second, 60, &budget);
    ok(first->ring && !second->ring && budget.used <= budget.max, "samples stay within their budget");
    ok(second->counters[0].rate == 1.0f, "rates are there in any case");
    ok(history_at(second, 0, BEGIN) == 60, "and what was before is as it is now");
    history_free(first, &budget);
    add_two(second, BEGIN + 65 * SECOND, 65, 0, &budget);
    ok(second->ring != NULL, "what one gives back another one gets");
    history_free(second, &budget);
}

/* Random steps, held against a list of all samples. */
TEST(random_steps_are_told_as_they_were)
{
    enum { STEPS = 3000 };
    static uint64_t times[STEPS], values[STEPS];
    struct history_budget budget = plenty();
    struct history *history = history_new(1);
    uint64_t now = BEGIN, value = 0;
    unsigned wrong = 0;
    srandom(7);
    for (int i = 0; i < STEPS; i++) {
        now += 5 * SECOND + (uint64_t)random() % 700;
        value += (uint64_t)random() % 3 ? 0 : (uint64_t)random() % 1000;
        times[i] = now;
        values[i] = value;
        history_add(history, now, &value, &budget);
        uint64_t back = now - (uint64_t)random() % (550 * SECOND);
        int at = i;
        while (at > 0 && times[at] > back)
            at--;
        if (history->ring && times[at] <= back && history->begun_ms <= back)
            wrong += history_at(history, 0, back) != values[at];
    }
    ok(wrong == 0, "what was is told as it was, %u times of %d not", wrong, STEPS);
    history_free(history, &budget);
}

int main(void)
{
    RUN(rates_are_of_the_last_step);
    RUN(what_is_idle_keeps_nothing);
    RUN(what_is_forgotten_begins_with_the_latest_sample);
    RUN(an_hour_is_kept);
    RUN(a_gap_is_bridged);
    RUN(memory_is_bounded);
    RUN(random_steps_are_told_as_they_were);
    return done();
}
