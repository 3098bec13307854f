/* One group from a seed: events one after the other, faults among them; then all is healed, and it
 * has to agree on something within a minute. */
#include "tests/sim/engine/group.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

enum { HEALED_MS = 60000, FIRST_MS = 10000, SETTLED_ENTRIES = 10 };

uint32_t group_voters(const struct engine_members *members)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < members->count; i++)
        count += members->of[i].role == ENGINE_VOTER;
    return count;
}

uint64_t group_below(struct group *group, uint64_t limit)
{
    return random_below(&group->random, limit);
}

bool group_chance(struct group *group, uint64_t n)
{
    return random_below(&group->random, n) == 0;
}

void group_at(struct group *group, enum group_event kind, uint32_t node, uint32_t other,
              uint64_t delay_ms, uint64_t epoch)
{
    events_add(&group->events, (struct sim_event){.at_us = (group->now_ms + delay_ms) * 1000,
                                                  .kind = (int)kind,
                                                  .machine = (int)node,
                                                  .which = (int)other,
                                                  .epoch = epoch});
}

void group_fail(struct group *group, const char *format, ...)
{
    va_list arguments;
    if (group->is_failed)
        return;
    group->is_failed = true;
    size_t size = (size_t)snprintf(group->report->all.fault, sizeof(group->report->all.fault),
                                   "at %.3f s: ", (double)group->now_ms / 1e3);
    va_start(arguments, format);
    vsnprintf(group->report->all.fault + size, sizeof(group->report->all.fault) - size, format, arguments);
    va_end(arguments);
}

void group_say(struct group *group, const char *format, ...)
{
    va_list arguments;
    if (!group->verbose)
        return;
    printf("# %10.3f ", (double)group->now_ms / 1e3);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
}

const struct engine_members *group_keep(struct group *group, const struct engine_members *members)
{
    group->members = mem_grow(group->members, &group->members_capacity, group->members_count + 1,
                              sizeof(struct engine_members *));
    struct engine_members *kept = mem_dup(members, sizeof(*members));
    group->members[group->members_count++] = kept;
    return kept;
}

struct node *group_node(struct group *group, uint64_t id)
{
    for (uint32_t i = 0; i < NODES; i++)
        if (id && group->nodes[i].id == id)
            return &group->nodes[i];
    return NULL;
}

/* ---- what a seed is like ---- */

static uint32_t one_of(struct group *group, const uint32_t *choices, size_t count)
{
    return choices[group_below(group, count)];
}

#define ONE_OF(group, ...)                                                                         \
    one_of(group, (const uint32_t[]){__VA_ARGS__},                                                 \
           sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

static void draw(struct group *group)
{
    group->latency_ms = ONE_OF(group, 1, 1, 5, 40);
    group->sync_ms = ONE_OF(group, 1, 5, 30);
    group->propose_every_ms = ONE_OF(group, 2, 10, 100);
    group->fault_every_ms = ONE_OF(group, 300, 1000, 3000);
    group->floor_keeps = ONE_OF(group, 0, 5, 50, 1000);
    group->has_members = !group_chance(group, 3);
    group->has_power_cuts = !group_chance(group, 3);
    group->has_clocks = !group_chance(group, 3);
    group->has_stuck_disks = !group_chance(group, 3);
    group->has_partitions = !group_chance(group, 4);
    group->has_forged = group_chance(group, 3);
}

static void begin(struct group *group)
{
    struct engine_members members = {.index = 1, .count = group_chance(group, 3) ? 5 : 3};
    if (group_chance(group, 12))
        members.count = 1;
    for (uint32_t i = 0; i < NODES; i++) {
        struct node *node = &group->nodes[i];
        *node = (struct node){.number = i, .generation = 1, .rate = 1, .may_campaign = true};
        if (group->has_clocks) {
            node->rate = 0.97 + (double)group_below(group, 61) / 1000;
            node->offset_ms = group_below(group, 100000);
        }
        node->id = (uint64_t)(i + 1) << 16 | node->generation;
        if (i < members.count)
            members.of[i] = (struct engine_member){node->id, ENGINE_VOTER};
    }
    const struct engine_members *kept = group_keep(group, &members);
    for (uint32_t i = 0; i < members.count; i++)
        group->nodes[i].live =
            (struct state){.term = 1, .floor = 1, .floor_term = 1, .floor_members = kept};
    group->committed[1] = (struct entry){.term = 1, .kind = ENGINE_MEMBERS, .members = kept};
    group->committed_last = 1;
    for (uint32_t i = 0; i < NODES; i++) {
        struct node *node = &group->nodes[i];
        if (i >= members.count)
            node->live =
                (struct state){.floor_members = group_keep(group, &(struct engine_members){0})};
        state_copy(&node->durable, &node->live);
        node_start(group, node);
    }
    group_at(group, EVENT_PROPOSE, 0, 0, 1, 0);
    group_at(group, EVENT_FAULT, 0, 0, FIRST_MS / 4, 0);
}

static void propose(struct group *group)
{
    group_at(group, EVENT_PROPOSE, 0, 0, 1 + group_below(group, group->propose_every_ms * 2), 0);
    if (group->is_quiet)
        return;
    for (uint32_t i = 0; i < NODES; i++) {
        struct node *node = &group->nodes[i];
        if (!node->is_up || node->is_paused || !engine_in_office(node->engine))
            continue;
        if (engine_propose(node->engine, node_now(group, node), &node->update))
            node_follow(group, node, NULL);
    }
}

static void happen(struct group *group, const struct sim_event *event)
{
    switch ((enum group_event)event->kind) {
    case EVENT_PROPOSE:
        propose(group);
        break;
    case EVENT_FAULT:
        faults_event(group);
        break;
    case EVENT_ARRIVES:
    case EVENT_HEAL_WAY:
    case EVENT_SILENCE:
    case EVENT_CONNECT:
        links_event(group, event);
        break;
    default:
        node_event(group, &group->nodes[event->machine], event);
    }
    judge_rights(group);
}

static void go_on(struct group *group, uint64_t until_ms)
{
    struct sim_event event;
    while (!group->is_failed && group->committed_last < COMMITTED_MAX - ENGINE_UNCOMMITTED_MAX &&
           events_take(&group->events, &event)) {
        group->now_ms = event.at_us / 1000;
        if (group->now_ms >= until_ms) {
            events_add(&group->events, event);
            return;
        }
        group->report->events++;
        happen(group, &event);
    }
}

/* All members have what was committed, one leads, and goes on committing. */
static bool is_settled(struct group *group, uint64_t beyond)
{
    const struct node *leader = NULL;
    for (uint32_t i = 0; i < NODES; i++)
        if (group->nodes[i].is_up && engine_in_office(group->nodes[i].engine) &&
            (!leader || engine_term(group->nodes[i].engine) > engine_term(leader->engine)))
            leader = &group->nodes[i];
    if (!leader || group->committed_last < beyond)
        return false;
    const struct engine_members *members = engine_members(leader->engine);
    for (uint32_t i = 0; i < members->count; i++) {
        const struct node *node = group_node(group, members->of[i].id);
        if (!node || node->applied + 2 * ENGINE_UNCOMMITTED_MAX < group->committed_last ||
            node->applied < beyond)
            return false;
    }
    return true;
}

static void explain(struct group *group)
{
    for (uint32_t i = 0; i < NODES; i++) {
        const struct node *node = &group->nodes[i];
        const struct engine *engine = node->engine;
        if (!node->is_up) {
            group_say(group, "node %u is down", i);
            continue;
        }
        group_say(
            group,
            "node %u id %" PRIx64 " %s term %" PRIu64 " leader %" PRIx64 " last %" PRIu64
            " commit %" PRIu64 " floor %" PRIu64 " applied %" PRIu64 " members %u at %" PRIu64,
            i, node->id, engine_leads(engine) ? "leads" : "follows", engine_term(engine),
            engine_leader(engine), engine_last(engine), engine_commit(engine), node->live.floor,
            node->applied, engine_members(engine)->count, engine_members(engine)->index);
        for (uint32_t j = 0; engine_leads(engine) && j < engine_members(engine)->count; j++)
            group_say(group, "   %" PRIx64 " %s match %" PRIu64, engine_members(engine)->of[j].id,
                      engine_members(engine)->of[j].role == ENGINE_VOTER ? "votes" : "learns",
                      engine_match(engine, engine_members(engine)->of[j].id));
    }
}

static void heal(struct group *group)
{
    uint64_t beyond = group->committed_last + SETTLED_ENTRIES, end = group->now_ms + HEALED_MS;
    if (group->is_failed || beyond >= COMMITTED_MAX / 2)
        return;
    faults_heal(group);
    while (!group->is_failed && group->now_ms < end && !is_settled(group, beyond)) {
        uint64_t step = group->now_ms + 100;
        go_on(group, step);
        group->now_ms = step;
    }
    if (!group->is_failed && !is_settled(group, beyond)) {
        explain(group);
        group_fail(group, "healed for a minute, it has not agreed on more than %" PRIu64 " entries",
                   group->committed_last);
    }
}

/* ---- for the scenes of the end ---- */

void group_wait(struct group *group, uint64_t ms)
{
    uint64_t until = group->now_ms + ms;
    go_on(group, until);
    if (group->now_ms < until)
        group->now_ms = until;
}

void group_fail_explained(struct group *group, const char *what)
{
    if (!group->is_failed)
        explain(group);
    group_fail(group, "%s", what);
}

/* ---- beginning and end ---- */

static void end(struct group *group)
{
    for (uint32_t i = 0; i < NODES; i++) {
        struct node *node = &group->nodes[i];
        links_end(group, i);
        engine_free(node->engine);
        rights_end(node);
        engine_update_free(&node->update);
        state_free(&node->live);
        state_free(&node->durable);
        mem_free(node->records);
        mem_free(node->outbox);
        for (uint32_t j = 0; j < NODES; j++)
            for (uint32_t k = 0; k < 2; k++)
                mem_free(group->ways[i][j][k].packets);
    }
    for (size_t i = 0; i < group->members_count; i++)
        mem_free(group->members[i]);
    mem_free(group->members);
    events_free(&group->events);
    mem_free(group->committed);
    mem_free(group->presences);
    mem_free(group->decided);
    mem_free(group);
}

bool group_run(uint64_t seed, uint64_t busy_ms, bool verbose, void *context)
{
    struct group_report *report = context;
    struct group *group = mem_zalloc(sizeof(*group));
    group->report = report;
    group->verbose = verbose;
    group->now_ms = FIRST_MS; /* a clock that begins at 0 is one that none has */
    group->committed = mem_zalloc_array(COMMITTED_MAX, sizeof(*group->committed));
    group->decided = mem_zalloc_array(COMMITTED_MAX, sizeof(*group->decided));
    random_init(&group->random, seed);
    draw(group);
    begin(group);
    go_on(group, FIRST_MS + busy_ms);
    heal(group);
    if (!group->is_failed && group->committed_last <= COMMITTED_MAX / 2)
        scenes_play(group);
    report->all.runs++;
    report->all.simulated_ms += group->now_ms - FIRST_MS;
    report->all.idle_runs += group->committed_last < SETTLED_ENTRIES + group->presence_count;
    bool good = !group->is_failed;
    end(group);
    return good;
}
