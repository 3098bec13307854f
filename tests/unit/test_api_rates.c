/* How much of what is sampled is done in one turn, where many queues are used at once; and of queues that
 * rest. */
#include "api/rates.h"

#include <stdio.h>

#include "api/call.h"
#include "broker/queue_declare.h"
#include "broker/vhost.h"
#include "tests/lib/tap.h"
#include "tests/script/world.h"

enum { QUEUES = 3000, TURN_MS = 25, PART_MAX = 256 };

static struct world world;
static struct api api;
static struct queue *queues[QUEUES];

/* With queues that nobody has used yet. */
static void begin(void)
{
    char text[64];
    world_new(&world, false);
    world_log_in(&world, &world.clients[0]);
    for (int i = 0; i < QUEUES; i++) {
        snprintf(text, sizeof(text), "queue.declare queue=%d nowait=1", i);
        world_add_method(&world.clients[0].out, 1, text);
    }
    world_settle(&world);
    const struct vhost *vhost = vhost_find(&world.broker, bytes_str("/"));
    for (int i = 0; i < QUEUES; i++) {
        snprintf(text, sizeof(text), "%d", i);
        queues[i] = vhost_queue(vhost, bytes_str(text));
    }
    api = (struct api){.server = world.server, .broker = &world.broker};
    api.rates = rates_new(&api, 1);
}

static void end(void)
{
    rates_free(api.rates);
    world_free(&world);
}

static void use_all(void)
{
    for (int i = 0; i < QUEUES; i++) {
        queue_tally_begin(queues[i]);
        queue_note(queues[i], TALLY_PUBLISHED);
        queue_touch(queues[i]);
    }
}

/* How many queues were looked at, and of how many more than the latest sample is kept. */
struct kept {
    size_t looked_at, samples;
};

static struct kept keeps(void)
{
    struct kept kept = {0, 0};
    for (size_t i = 0; i < QUEUES; i++) {
        const struct history *history = rates_of(api.rates, RATED_QUEUE, queues[i]->id);
        kept.looked_at += history->begun_ms != 0;
        kept.samples += history->ring != NULL;
    }
    return kept;
}

static size_t larger(size_t one, size_t other)
{
    return one > other ? one : other;
}

/* What is kept of each is a large block, as long as there is room: a turn that begins those looks
 * at the smallest part that there is, and one without goes not much further. */
TEST(what_is_begun_counts)
{
    struct kept before = {0, 0}, most = {0, 0}, now;
    begin();
    use_all();
    struct service *service = rates_service(api.rates);
    for (uint64_t ms = HISTORY_STEP_MS + 1; ms < 2 * HISTORY_STEP_MS; ms += TURN_MS) {
        service->ops->tick(service, ms, ms);
        now = keeps();
        most.looked_at = larger(most.looked_at, now.looked_at - before.looked_at);
        most.samples = larger(most.samples, now.samples - before.samples);
        before = now;
    }
    ok(before.looked_at == QUEUES, "all queues are looked at");
    ok(before.samples > 1000, "of %zu there is room for samples", before.samples);
    ok(most.looked_at <= 3 * PART_MAX, "of queues that are new a turn has %zu", most.looked_at);
    ok(most.samples <= PART_MAX, "and of those whose samples are kept %zu", most.samples);
    end();
}

/* ---- queues that rest ---- */

static uint64_t now_ms;

/* One round, in as many turns as it takes. */
static void round_of(void)
{
    struct service *service = rates_service(api.rates);
    for (uint64_t end_ms = now_ms + HISTORY_STEP_MS; now_ms < end_ms; now_ms += TURN_MS)
        service->ops->tick(service, now_ms, now_ms);
}

static void use(int number, unsigned times)
{
    queue_tally_begin(queues[number]);
    while (times--)
        queue_note(queues[number], TALLY_PUBLISHED);
    queue_touch(queues[number]);
}

static const struct history *of(int number)
{
    return rates_of_queue(api.rates, queues[number]);
}

static double rate(int number)
{
    return of(number) ? (double)of(number)->counters[TALLY_PUBLISHED].rate : -1;
}

/* What a queue was is known of times at which nobody looked at it. */
TEST(one_that_rests_is_as_it_was)
{
    begin();
    now_ms = HISTORY_STEP_MS;
    use(0, 5);
    round_of();
    ok(rate(0) > 0, "a queue that is used has a rate");
    uint64_t used_ms = of(0)->at_ms;
    round_of();
    ok(of(0)->at_ms > used_ms && rate(0) == 0, "which falls with the next round");
    uint64_t rested_ms = of(0)->at_ms;
    for (int i = 0; i < 6; i++)
        round_of();
    ok(of(0)->at_ms == rested_ms, "then it is not looked at any more");
    use(0, 10);
    round_of();
    ok(rate(0) > 1.5 && rate(0) < 2.5, "until it is used: its rate is of one round (%f)", rate(0));
    is_int(history_at(of(0), TALLY_PUBLISHED, now_ms - 2 * HISTORY_STEP_MS), 5, "before it was as it had been");
    is_int(history_at(of(0), TALLY_PUBLISHED, rested_ms + HISTORY_STEP_MS), 5, "all the time");
    is_int(history_at(of(0), TALLY_PUBLISHED, now_ms), 15, "and now it is more");
    end();
}

TEST(what_is_idle_or_gone_is_forgotten)
{
    enum { ROUNDS = 600000 / HISTORY_STEP_MS };
    begin();
    now_ms = HISTORY_STEP_MS;
    use(0, 1);
    use(1, 1);
    use(2, 1);
    round_of();
    const struct history *begun = rates_of(api.rates, RATED_QUEUE, queues[2]->id);
    uint64_t id = queues[2]->id;
    ok(begun->begun_ms, "of three queues something is kept");
    queue_delete(queues[2]);
    round_of();
    ok(!rates_of(api.rates, RATED_QUEUE, id)->begun_ms, "not of the one that is gone");
    for (int i = 0; i < ROUNDS / 2; i++)
        round_of();
    use(1, 1);
    for (int i = 0; i < ROUNDS / 2 + 2; i++)
        round_of();
    ok(!of(0) && of(1), "and ten minutes later of the one that was used again");
    use(0, 3);
    round_of();
    ok(of(0) && rate(0) == 0, "what comes after that has no rate yet, as its time is not known");
    use(0, 10);
    round_of();
    ok(rate(0) > 1.5 && rate(0) < 2.5, "the next has one");
    end();
}

int main(void)
{
    RUN(what_is_begun_counts);
    RUN(one_that_rests_is_as_it_was);
    RUN(what_is_idle_or_gone_is_forgotten);
    return done();
}
