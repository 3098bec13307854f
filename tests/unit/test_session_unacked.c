/* Unacknowledged deliveries: which tags are outstanding, where they came from, and what they cost.
 */
#include "session/unacked.h"

#include "base/mem.h"
#include "base/random.h"
#include "session/consumer.h"
#include "tests/lib/tap.h"

enum { SOURCES = 3, STEPS = 60000, WINDOW = 400 };

static struct consumer *consumers[SOURCES];

static void begin(void)
{
    for (int i = 0; i < SOURCES; i++)
        consumers[i] = mem_zalloc(sizeof(*consumers[i]));
}

static bool end(struct unacked *unacked)
{
    bool is_clean = unacked->total == 0;
    for (int i = 0; i < SOURCES; i++) {
        is_clean &= consumers[i]->refs == 0;
        mem_free(consumers[i]);
    }
    if (is_clean)
        unacked_free(unacked);
    return is_clean;
}

/* The caller of a take has a reference; here it is given up at once. */
static bool take(struct unacked *unacked, uint64_t tag, struct delivery *delivery)
{
    if (!unacked_take(unacked, tag, delivery))
        return false;
    delivery->source->refs--;
    return true;
}

static bool take_first(struct unacked *unacked, uint64_t last, struct delivery *delivery)
{
    if (!unacked_take_first(unacked, last, delivery))
        return false;
    delivery->source->refs--;
    return true;
}

TEST(a_tag_is_taken_once)
{
    struct unacked unacked = {0};
    struct delivery delivery;
    begin();
    unacked_add(&unacked, 1, consumers[0], 700, 0);
    unacked_add(&unacked, 2, consumers[0], 701, 0);
    ok(unacked_has(&unacked, 2) && !unacked_has(&unacked, 3), "what was delivered is outstanding");
    ok(take(&unacked, 2, &delivery), "it is taken");
    is_int(delivery.tag, 2, "its tag");
    is_int(delivery.sequence, 701, "its place in the queue");
    ok(delivery.source == consumers[0], "its source");
    ok(!unacked_has(&unacked, 2) && !take(&unacked, 2, &delivery), "once");
    ok(!take(&unacked, 0, &delivery) && !take(&unacked, 99, &delivery), "no other tags");
    is_int(unacked_first(&unacked), 1, "the first one is still there");
    ok(take(&unacked, 1, &delivery) && end(&unacked), "nothing stays behind");
}

TEST(multiple_means_up_to_its_tag)
{
    struct unacked unacked = {0};
    struct delivery delivery;
    begin();
    for (uint64_t tag = 1; tag <= 200; tag++)
        unacked_add(&unacked, tag, consumers[tag % 2], tag * 3, 0);
    ok(take(&unacked, 2, &delivery), "one is acknowledged alone");
    uint64_t taken = 0, wrong = 0, before = 0;
    while (take_first(&unacked, 150, &delivery)) {
        wrong += delivery.tag <= before || delivery.tag == 2 ||
                 delivery.sequence != delivery.tag * 3 ||
                 delivery.source != consumers[delivery.tag % 2];
        before = delivery.tag;
        taken++;
    }
    is_int(taken, 149, "all up to 150 but that one");
    is_int(wrong, 0, "in order, each as it was delivered");
    ok(!unacked_has_before(&unacked, 150) && unacked_has_before(&unacked, 151), "and no more");
    is_int(unacked.total, 50, "the others are outstanding");
    while (take_first(&unacked, UINT64_MAX, &delivery))
        continue;
    ok(!unacked_has_before(&unacked, UINT64_MAX) && unacked_first(&unacked) == UINT64_MAX,
       "then there is none");
    ok(end(&unacked), "nothing stays behind");
}

TEST(a_consumer_of_its_own_queue_costs_little)
{
    struct unacked unacked = {0};
    struct delivery delivery;
    begin();
    for (uint64_t tag = 1; tag <= 1000000; tag++)
        unacked_add(&unacked, tag, consumers[0], 5 + tag * 2, 0);
    ok(unacked_memory(&unacked) < 1000000 * 2, "%zu bytes for a million", unacked_memory(&unacked));
    is_int(consumers[0]->refs, (1000000 + RUN_TAGS - 1) / RUN_TAGS, "a reference for each run");
    for (uint64_t tag = 1; tag <= 1000000; tag++)
        if (!take(&unacked, tag, &delivery) || delivery.sequence != 5 + tag * 2) {
            ok(false, "tag %llu", (unsigned long long)tag);
            break;
        }
    is_int(unacked_memory(&unacked), 0, "and nothing when all are acknowledged");
    ok(end(&unacked), "nothing stays behind");
}

TEST(a_run_has_one_source_and_one_step)
{
    struct unacked unacked = {0};
    struct delivery delivery;
    static const uint64_t sequences[] = {10, 11, 13, 14, 5, UINT64_MAX / 2, UINT64_MAX / 2 + 1};
    begin();
    for (uint64_t i = 0; i < 7; i++)
        unacked_add(&unacked, 10 + i, consumers[i == 3], sequences[i], 0);
    for (uint64_t i = 7; i-- > 0;) {
        ok(take(&unacked, 10 + i, &delivery), "tag %llu", (unsigned long long)(10 + i));
        ok(delivery.sequence == sequences[i] && delivery.source == consumers[i == 3], "is itself");
    }
    ok(end(&unacked), "nothing stays behind");
}

TEST(a_run_is_of_one_second)
{
    struct unacked unacked = {0};
    struct delivery delivery;
    begin();
    ok(unacked_add(&unacked, 1, consumers[0], 1, 7), "the first begins a run");
    ok(!unacked_add(&unacked, 2, consumers[0], 2, 7), "the next of the same second does not");
    ok(unacked_add(&unacked, 3, consumers[0], 3, 8), "one of another second does");
    is_int(unacked_run_from(&unacked, 0)->since_s, 7, "the oldest is of the first second");
    is_int(unacked_run_from(&unacked, 2)->tag, 1, "a run is found by any tag in it,");
    ok(take(&unacked, 2, &delivery) && delivery.since_s == 7, "a delivery knows its second");
    is_int(unacked_run_from(&unacked, 2)->since_s, 8, "but by none behind its last that is there");
    ok(!unacked_run_from(&unacked, 4), "there is nothing behind all");
    ok(take(&unacked, 1, &delivery) && unacked_run_from(&unacked, 0)->tag == 3,
       "empty ones are passed");
    ok(take(&unacked, 3, &delivery) && !unacked_run_from(&unacked, 0), "until there is none");
    ok(end(&unacked), "nothing stays behind");
}

TEST(sources_are_told_run_by_run)
{
    struct unacked unacked = {0};
    struct delivery delivery;
    size_t at = 0;
    begin();
    for (uint64_t tag = 1; tag <= 9; tag++)
        unacked_add(&unacked, tag, consumers[(tag - 1) / 3], tag, 0);
    for (uint64_t tag = 4; tag <= 6; tag++)
        take(&unacked, tag, &delivery);
    ok(unacked_source(&unacked, 1, 9, &at) == consumers[0], "the first");
    ok(unacked_source(&unacked, 1, 9, &at) == consumers[2], "not one that has nothing outstanding");
    ok(!unacked_source(&unacked, 1, 9, &at), "that was all");
    at = 0;
    ok(unacked_source(&unacked, 8, 8, &at) == consumers[2] && !unacked_source(&unacked, 8, 8, &at),
       "of one tag");
    while (take_first(&unacked, UINT64_MAX, &delivery))
        continue;
    ok(end(&unacked), "nothing stays behind");
}

TEST(what_was_taken_behind_an_old_one_costs_nothing)
{
    struct unacked unacked = {0};
    struct delivery delivery;
    unsigned wrong = 0;
    begin();
    for (uint64_t tag = 1; tag <= 100000; tag++) {
        unacked_add(&unacked, tag, consumers[tag % 2], tag, 0);
        if (tag > 10)
            wrong += !take(&unacked, tag - 5, &delivery) || delivery.sequence != tag - 5;
    }
    is_int(wrong, 0, "each was itself");
    ok(unacked_memory(&unacked) < 20000, "holes are packed: %zu bytes", unacked_memory(&unacked));
    is_int(unacked_first(&unacked), 1, "the oldest is still there");
    is_int(unacked.total, 10, "with those around it, and the newest");
    while (take_first(&unacked, UINT64_MAX, &delivery))
        wrong += delivery.sequence != delivery.tag;
    is_int(wrong, 0, "as they were");
    ok(end(&unacked), "nothing stays behind");
}

/* What the ring holds, told by a plain array. */
struct model {
    bool is_there[STEPS + 1];
    uint64_t sequence[STEPS + 1];
    int source[STEPS + 1];
    uint64_t next, total;
};

static bool agrees(const struct model *model, const struct delivery *delivery)
{
    return model->is_there[delivery->tag] && model->sequence[delivery->tag] == delivery->sequence &&
           consumers[model->source[delivery->tag]] == delivery->source &&
           delivery->since_s == delivery->tag / 150;
}

/* Is the first run with something from this tag on what the array says? */
static bool is_found(const struct unacked *unacked, const struct model *model, uint64_t first)
{
    const struct unacked_run *run = unacked_run_from(unacked, first);
    uint64_t tag = first;
    while (tag < model->next && !model->is_there[tag])
        tag++;
    if (tag >= model->next)
        return !run;
    return run && run->tag <= tag && tag - run->tag < run->count && run->since_s == tag / 150;
}

/* One random step. False: the two do not agree. */
static bool step(struct unacked *unacked, struct model *model, struct random *random)
{
    uint64_t what = random_below(random, 100), tag;
    struct delivery delivery;
    if (what < 55) {
        int source = (int)random_below(random, 20) == 0 ? 1 : (int)(model->next / 200 % 2) * 2;
        tag = model->next++;
        model->sequence[tag] = tag * 2 + (random_below(random, 30) == 0);
        model->source[tag] = source;
        model->is_there[tag] = true;
        model->total++;
        unacked_add(unacked, tag, consumers[source], model->sequence[tag], (uint32_t)tag / 150);
        return true;
    }
    uint64_t low = model->next > WINDOW ? model->next - WINDOW : 0;
    tag = low + random_below(random, model->next - low + 2);
    bool is_there = tag < model->next && model->is_there[tag];
    if (what < 98) {
        if (!is_found(unacked, model, tag) || unacked_has(unacked, tag) != is_there ||
            take(unacked, tag, &delivery) != is_there)
            return false;
        if (!is_there)
            return true;
        bool good = agrees(model, &delivery);
        model->is_there[tag] = false;
        model->total--;
        return good;
    }
    tag = tag > WINDOW / 2 ? tag - WINDOW / 2 : 0;
    while (take_first(unacked, tag, &delivery)) {
        if (!agrees(model, &delivery) || delivery.tag > tag)
            return false;
        model->is_there[delivery.tag] = false;
        model->total--;
    }
    for (uint64_t t = 1; t <= tag && t < model->next; t++)
        if (model->is_there[t])
            return false;
    return true;
}

TEST(it_is_what_a_plain_array_says)
{
    struct unacked unacked = {0};
    struct model *model = mem_zalloc(sizeof(*model));
    struct random random;
    struct delivery delivery;
    int at = 0;
    random_init(&random, 11);
    model->next = 1;
    begin();
    while (at < STEPS && step(&unacked, model, &random) && unacked.total == model->total)
        at++;
    is_int(at, STEPS, "steps that agree");
    while (take_first(&unacked, UINT64_MAX, &delivery))
        continue;
    ok(end(&unacked), "nothing stays behind");
    mem_free(model);
}

int main(void)
{
    RUN(a_tag_is_taken_once);
    RUN(multiple_means_up_to_its_tag);
    RUN(a_consumer_of_its_own_queue_costs_little);
    RUN(a_run_has_one_source_and_one_step);
    RUN(a_run_is_of_one_second);
    RUN(sources_are_told_run_by_run);
    RUN(what_was_taken_behind_an_old_one_costs_nothing);
    RUN(it_is_what_a_plain_array_says);
    return done();
}
