/* How much of what is sampled is done in one turn, where many queues are used at once. */
#include "api/rates.h"

#include <stdio.h>

#include "api/call.h"
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

int main(void)
{
    RUN(what_is_begun_counts);
    return done();
}
