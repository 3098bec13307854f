/* Rates as steps: the number of messages due is a line of straight pieces over time. */
#include "perf/schedule.h"

#include <stdlib.h>

bool schedule_read(const char *text, struct schedule *schedule)
{
    double positive = 0;
    schedule->count = 0;
    do {
        char *end;
        if (schedule->count == SCHEDULE_STEPS_MAX)
            return false;
        double rate = strtod(text, &end);
        double seconds = 0;
        if (end == text || !(rate >= 0 && rate <= 1e9))
            return false;
        if (*end == ':') {
            text = end + 1;
            seconds = strtod(text, &end);
            if (end == text || !(seconds >= 0.001 && seconds <= 1e6))
                return false;
        }
        schedule->steps[schedule->count].rate = rate;
        schedule->steps[schedule->count++].seconds = seconds;
        positive += rate;
        text = end;
    } while (*text++ == ',');
    if (text[-1] != '\0' || positive <= 0)
        return false;
    for (unsigned i = 0; i < schedule->count; i++)
        if ((schedule->steps[i].seconds <= 0) !=
            (schedule->count == 1 && i == 0 && schedule->steps[0].seconds <= 0))
            return false;
    return true;
}

void schedule_start(struct schedule_walk *walk, const struct schedule *schedule)
{
    *walk = (struct schedule_walk){.schedule = schedule};
}

uint64_t schedule_due_ns(struct schedule_walk *walk, double number)
{
    const struct schedule *schedule = walk->schedule;
    for (;;) {
        double rate = schedule->steps[walk->step].rate;
        double seconds = schedule->steps[walk->step].seconds;
        if (seconds <= 0 || number < walk->before + rate * seconds)
            return (uint64_t)((walk->begins_s + (number - walk->before) / rate) * 1e9);
        walk->before += rate * seconds;
        walk->begins_s += seconds;
        walk->step = (walk->step + 1) % schedule->count;
    }
}

double schedule_total(const struct schedule *schedule, double seconds)
{
    double total = 0;
    for (unsigned step = 0; seconds > 0; step = (step + 1) % schedule->count) {
        double length = schedule->steps[step].seconds;
        if (length <= 0 || length > seconds)
            length = seconds;
        total += length * schedule->steps[step].rate;
        seconds -= length;
    }
    return total;
}
