/* How long turns take, by clocks that the test sets. */
#include "net/turns.h"

#include <stdio.h>
#include <string.h>

#include "base/log_line.h"
#include "tests/lib/tap.h"

static uint64_t coarse, processor; /* microseconds */
static int asked;                  /* how often the processor's time was */
static char logged[1100];
static int lines;

static uint64_t coarse_us(void)
{
    return coarse;
}

static uint64_t processor_us(void)
{
    asked++;
    return processor;
}

static void take_line(void *context, const struct log_record *record)
{
    char line[LOG_LINE_MAX + 1];
    (void)context;
    log_line_text(record, line);
    snprintf(logged, sizeof(logged), "%s", line);
    lines++;
}

static const struct log log_lines = {.sink = take_line};

static void start(struct turns *turns, uint64_t slow_ms)
{
    coarse = 1000000;
    processor = 0;
    lines = asked = 0;
    logged[0] = '\0';
    turns_init(turns, coarse_us, processor_us, &log_lines, slow_ms);
}

/* A turn in which `step` takes all the time, and the processor is had for `used_us` of it. */
static void turn(struct turns *turns, const char *step, uint64_t us, uint64_t used_us)
{
    turns_begin(turns, coarse);
    steps_next(&turns->steps, step);
    coarse += us;
    processor += used_us;
    steps_next(&turns->steps, "output");
    turns_end(turns, coarse);
}

TEST(nothing_yet)
{
    struct turns turns;
    char text[TURNS_TEXT];
    start(&turns, 50);
    turns_text(&turns, text);
    is_str(text,
           " turns=0 p50_us=0 p99_us=0 longest_us=0 longest_step=none recent_us=0 "
           "recent_step=none over_1ms=0 over_5ms=0 over_20ms=0 over_50ms=0 log2_us=0",
           "no turn, no figures");
}

TEST(figures)
{
    struct turns turns;
    char text[TURNS_TEXT];
    start(&turns, 0);
    for (int i = 0; i < 97; i++)
        turn(&turns, "wait", 3, 3);
    turn(&turns, "spill", 1000, 900);
    turn(&turns, "dispatch", 20001, 900);
    turn(&turns, "write", 50001, 900);
    turns_text(&turns, text);
    is_str(text,
           " turns=100 p50_us=4 p99_us=32768 longest_us=50001 longest_step=write recent_us=50001 "
           "recent_step=write over_1ms=2 over_5ms=2 over_20ms=2 over_50ms=1 "
           "log2_us=0,0,97,0,0,0,0,0,0,0,1,0,0,0,0,1,1",
           "all of them");
    turn(&turns, "spill", 1000, 900);
    turns_text(&turns, text);
    ok(strstr(text, " longest_us=50001 longest_step=write "), "the longest is remembered");
    ok(strstr(text, " recent_us=1000 recent_step=spill "), "and the longest since the last time");
    is_int(lines, 0, "nothing was logged");
    is_int(asked, 0, "and nobody asked for the processor's time");
}

TEST(the_step_that_took_longest)
{
    struct turns turns;
    start(&turns, 0);
    turns_begin(&turns, coarse);
    coarse += 10;
    steps_next(&turns.steps, "spill");
    coarse += 30;
    steps_next(&turns.steps, "write");
    coarse += 20;
    turns_end(&turns, coarse);
    is_str(turns.longest.step, "spill", "not the last, and not the first");
    turns_begin(&turns, coarse);
    steps_next(&turns.steps, "memory");
    coarse += 100;
    turns_end(&turns, coarse);
    is_str(turns.longest.step, "memory", "nor the longest of another turn; the last one counts");
    steps_next(NULL, "memory");
}

TEST(slow_turns_are_logged)
{
    struct turns turns;
    start(&turns, 50);
    turn(&turns, "spill", 49999, 0);
    is_int(lines, 0, "this is not slow");
    turn(&turns, "spill", 73000, 71000);
    is_str(logged, "slow_turn ms=73 processor_ms=71 step=spill step_ms=73 unlogged=0", "this is");
    turn(&turns, "write", 60000, 60000);
    turn(&turns, "write", 60000, 60000);
    is_int(lines, 1, "one line a second");
    coarse += 1000000;
    turn(&turns, "memory", 80000, 2000);
    is_str(logged, "slow_turn ms=80 processor_ms=2 step=memory step_ms=80 unlogged=2",
           "then the rest is counted, and a processor that others had is told");
}

TEST(the_processor_is_not_asked_in_each_turn)
{
    struct turns turns;
    start(&turns, 50);
    for (int i = 0; i < 1000; i++)
        turn(&turns, "wait", 50, 50);
    ok(asked >= 4 && asked <= 6, "once in 10 ms: %d", asked);
}

TEST(very_long_turns)
{
    struct turns turns;
    char text[TURNS_TEXT];
    start(&turns, 0);
    turn(&turns, "spill", UINT64_MAX / 2, 0);
    turns_text(&turns, text);
    is_int(turns.buckets[TURNS_BUCKETS - 1], 1, "end in the last bucket");
}

TEST(a_step_is_no_longer_than_its_turn)
{
    struct turns turns;
    start(&turns, 1);
    turns_begin(&turns, coarse);
    steps_next(&turns.steps, "input");
    uint64_t exact = coarse + 1500;
    coarse += 12000;
    steps_next(&turns.steps, "output");
    turns_end(&turns, exact);
    is_str(logged, "slow_turn ms=1 processor_ms=0 step=input step_ms=1 unlogged=0",
           "though the coarse clock says so");
}

int main(void)
{
    RUN(nothing_yet);
    RUN(a_step_is_no_longer_than_its_turn);
    RUN(figures);
    RUN(the_step_that_took_longest);
    RUN(slow_turns_are_logged);
    RUN(the_processor_is_not_asked_in_each_turn);
    RUN(very_long_turns);
    return done();
}
