/* Deadlines, against an array that is searched for its smallest. */
#include "base/timer.h"

#include "base/random.h"
#include "tests/lib/tap.h"

enum { TIMERS = 300 };

struct model {
    struct timer timers[TIMERS];
    bool set[TIMERS];
    uint64_t at_ms[TIMERS];
};

static uint64_t model_next_ms(const struct model *model)
{
    uint64_t next_ms = UINT64_MAX;
    for (int i = 0; i < TIMERS; i++)
        if (model->set[i] && model->at_ms[i] < next_ms)
            next_ms = model->at_ms[i];
    return next_ms;
}

/* Takes what is due; each must be due, set, and no later than any that stays. */
static bool expire(struct timers *timers, struct model *model, uint64_t now_ms)
{
    struct timer *timer;
    while ((timer = timers_expired(timers, now_ms))) {
        long i = timer - model->timers;
        if (!model->set[i] || model->at_ms[i] != model_next_ms(model) || model->at_ms[i] > now_ms)
            return false;
        model->set[i] = false;
    }
    return model_next_ms(model) > now_ms;
}

TEST(random_steps_as_a_plain_array_does)
{
    static struct model model;
    struct timers timers = {0};
    struct random random;
    uint64_t now_ms = 1000;
    bool same = true;
    random_init(&random, 5);
    for (int step = 0; step < 50000; step++) {
        size_t i = random_below(&random, TIMERS);
        switch (random_below(&random, 8)) {
        case 0:
            now_ms += random_below(&random, 40);
            same = same && expire(&timers, &model, now_ms);
            break;
        case 1:
            timer_cancel(&timers, &model.timers[i]);
            model.set[i] = false;
            break;
        default:
            model.at_ms[i] = now_ms + random_below(&random, 1000);
            model.set[i] = true;
            timer_set(&timers, &model.timers[i], model.at_ms[i]);
        }
        same = same && timers_next_ms(&timers) == model_next_ms(&model);
    }
    ok(same, "50,000 steps agree");
    ok(expire(&timers, &model, UINT64_MAX - 1), "and all expire in the end");
    is_int(timers.count, 0, "none is left");
    timers_free(&timers);
}

TEST(edges)
{
    struct timers timers = {0};
    struct timer timer = {.kind = 3};
    ok(timers_expired(&timers, UINT64_MAX) == NULL, "none is due when there is none");
    ok(timers_next_ms(&timers) == UINT64_MAX, "and there is no next time");
    timer_cancel(&timers, &timer);
    timer_set(&timers, &timer, 10);
    ok(timers_expired(&timers, 9) == NULL, "not a millisecond early");
    ok(timers_expired(&timers, 10) == &timer && timer.kind == 3, "due at its time");
    ok(timers_expired(&timers, 10) == NULL, "only once");
    timer_cancel(&timers, &timer);
    timer_set(&timers, &timer, 20);
    timer_set(&timers, &timer, 5);
    ok(timers_next_ms(&timers) == 5, "moved to an earlier time");
    timer_cancel(&timers, &timer);
    timer_cancel(&timers, &timer);
    ok(timers_next_ms(&timers) == UINT64_MAX, "and cancelled, twice");
    timers_free(&timers);
}

int main(void)
{
    RUN(random_steps_as_a_plain_array_does);
    RUN(edges);
    return done();
}
