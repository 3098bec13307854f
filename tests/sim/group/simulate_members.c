/* simulate_members: members of groups with their stores and links, from one seed on (campaign.h). */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "tests/lib/disk_memory.h"
#include "tests/sim/group/members.h"

enum { HEALED_MS = 60000, IDLE_RECORDS = 20 };

uint64_t run_below(struct run *run, uint64_t limit)
{
    return random_below(&run->bench.random, limit);
}

bool run_chance(struct run *run, uint64_t n)
{
    return run_below(run, n) == 0;
}

void run_fail(struct run *run, const char *format, ...)
{
    va_list arguments;
    if (run->is_failed)
        return;
    run->is_failed = true;
    va_start(arguments, format);
    vsnprintf(run->report->all.fault, sizeof(run->report->all.fault), format, arguments);
    va_end(arguments);
}

void run_say(struct run *run, const char *format, ...)
{
    va_list arguments;
    if (!run->verbose)
        return;
    va_start(arguments, format);
    campaign_say(run->bench.now_ms, format, arguments);
    va_end(arguments);
}

/* ---- a run ---- */

static void draw(struct run *run)
{
    static const uint32_t sizes[] = {1, 2, 3, 3, 3, 3, 4, 5};
    run->nodes = sizes[run_below(run, 8)];
    run->groups = 1 + (uint32_t)run_below(run, GROUPS);
    run->fault_every_ms = 200 + (uint32_t)run_below(run, 2000);
    run->propose_every_ms = 10 + (uint32_t)run_below(run, 150);
    run->large_every = run_chance(run, 3) ? 100 + (uint32_t)run_below(run, 1000) : 0;
    run->disk_ms = (uint32_t)run_below(run, 6);
    run->has_power_cuts = !run_chance(run, 4);
    run->has_partitions = !run_chance(run, 4);
    run->has_stuck_disks = !run_chance(run, 3);
    run->has_short_disks = run_chance(run, 2);
    run->has_pauses = !run_chance(run, 4);
    run->has_floors = run_chance(run, 2);
    run->has_members = !run_chance(run, 3);
    run->has_wipes = run->has_members && !run->has_floors;
    if (run->seed % 7 != 5)
        return;
    run->groups = 1; /* a store is copied with all groups that it has */
    run->has_images = run->has_floors = true;
    run->has_wipes = run->has_members;
}

/* Who founds the groups; with floors that are raised all others come at once. */
static void draw_members(struct run *run)
{
    for (uint32_t at = 0; at < run->groups; at++) {
        uint32_t founders = run_chance(run, 3) ? 1 + (uint32_t)run_below(run, run->nodes)
                                               : run->nodes;
        uint32_t first = (uint32_t)run_below(run, run->nodes);
        for (uint32_t i = 0; i < run->nodes; i++) {
            uint32_t number = (first + i) % run->nodes;
            struct seat_state *seat = &run->of[number].seats[at];
            seat->is_founder = i < founders;
            run->wanted[at][number] = i < founders ? VOTER : OUT;
            if (i >= founders && run->has_floors && run_chance(run, 2))
                run->wanted[at][number] = run_chance(run, 3) ? LEARNER : VOTER;
            if (run->wanted[at][number] != OUT)
                node_join(&run->of[number], at);
            run->report->joins += i >= founders && run->wanted[at][number] != OUT;
        }
    }
}

static void begin(struct run *run, uint64_t seed)
{
    bench_init(&run->bench, seed, NODES);
    run->bench.first_number = 1 + (uint32_t)(seed % 2 * 62); /* numbers are not used again: there are large ones */
    run->has_returns = seed % 4 < 2;
    run->bench.context = run;
    run->bench.make = node_make;
    run->bench.end = node_end;
    run->bench.turn = node_turn;
    draw(run);
    weather_init(&run->weather, &run->bench, run->nodes);
    for (uint32_t i = run->nodes; i < NODES; i++) {
        disk_memory_free(run->bench.nodes[i].disk);
        run->bench.nodes[i].disk = NULL;
    }
    for (uint32_t i = 0; i < run->nodes; i++)
        node_init(run, i);
    for (uint32_t at = 0; at < run->groups; at++)
        truth_init(&run->truths[at], node_number(at));
    draw_members(run);
    run_say(run, "%u nodes, %u groups", run->nodes, run->groups);
}

void run_step(struct run *run)
{
    faults_step(run);
    image_step(run);
    bench_step(&run->bench);
    if (run->is_failed)
        return;
    truth_judge(run);
    rights_judge(run);
}

/* ---- the end ---- */

const char *run_lacks(struct run *run, uint32_t at)
{
    struct node *leader = faults_leader(run, at);
    if (!leader)
        return "nobody leads";
    struct group *group = node_group(leader, at);
    const struct engine *engine = group_engine(group);
    const struct engine_members *members = engine_members(engine);
    uint32_t wanted = 0;
    if (group_applied(group) != engine_last(engine))
        return "the leader has not applied all";
    for (uint32_t i = 0; i < run->nodes; i++) {
        const struct node *node = &run->of[i];
        const struct group *its = node_group(node, at);
        if (run->wanted[at][i] == OUT)
            continue;
        wanted++;
        if (!its || !group_engine(its) || group_applied(its) != group_applied(group))
            return "a member has not applied all";
        struct group_held held = group_held(its);
        if (held.come + held.leaving + held.unsaid)
            return "something waits";
        bool answers = run->truths[at].number == GROUP_CATALOGUE;
        if (!rights_have(node, at, answers ? RIGHT_ANSWER : RIGHT_HOLD))
            return "a member has not the right that it asks for";
        for (uint32_t k = 0; k < members->count; k++)
            if (members->of[k].id == group_self(its) &&
                (members->of[k].role == ENGINE_VOTER) != (run->wanted[at][i] == VOTER))
                return "a member has another role";
    }
    return wanted == members->count ? NULL : "there are other members";
}

static const char *all_lack(struct run *run, uint32_t *at)
{
    for (*at = 0; *at < run->groups; ++*at) {
        const char *why = run_lacks(run, *at);
        if (why)
            return why;
    }
    return NULL;
}

/* How the members of a group are, for who looks for the reason. */
static void explain(struct run *run, uint32_t at)
{
    for (uint32_t i = 0; i < run->nodes; i++) {
        const struct node *node = &run->of[i];
        const struct group *group = node_group(node, at);
        const struct engine *engine = group ? group_engine(group) : NULL;
        if (!engine)
            continue;
        struct group_log *log = group_log_find(node->store, node_number(at));
        struct group_held held = group_held(group);
        run_say(run,
                "node %u, seat %u: term %" PRIu64 ", %s, leader %" PRIx64 ", floor %" PRIu64
                ", applied %" PRIu64 ", commit %" PRIu64 ", durable %" PRIu64 ", last %" PRIu64
                ", %zu + %zu + %zu bytes held, %u members, %u lack, room %d",
                i, node->seats[at].seat, engine_term(engine),
                engine_leads(engine) ? "leads" : "follows", engine_leader(engine),
                group_log_floor(log).index, group_applied(group), engine_commit(engine),
                group_log_durable(log), engine_last(engine), held.come, held.leaving, held.unsaid,
                engine_members(engine)->count, group_lacking(group),
                (int)store_room(node->store, 1000));
        for (uint32_t k = 0; k < engine_members(engine)->count; k++) {
            const struct engine_member *member = &engine_members(engine)->of[k];
            uint32_t other = group_member_node(member->id) - run->bench.first_number;
            run_say(run, "    member %" PRIx64 " %s, linked %d", member->id,
                    member->role == ENGINE_VOTER ? "votes" : "learns",
                    other == i || bench_is_up(&run->bench, i, other));
        }
    }
}

/* All is well from now on: within a minute all have all, twice. */
static void heal(struct run *run)
{
    uint64_t end_ms = run->bench.now_ms + HEALED_MS;
    uint32_t at = 0;
    const char *why = NULL;
    run_say(run, "all is well");
    run->is_healing = true;
    for (int round = 0; round < 2 && !run->is_failed; round++) {
        do
            run_step(run);
        while (!run->is_failed && (why = all_lack(run, &at)) && run->bench.now_ms < end_ms);
        if (why)
            explain(run, at);
        if (why)
            run_fail(run, "all has been well for a minute, and in group %u %s", at, why);
        for (at = 0; at < run->groups && !run->is_failed; at++)
            work_propose(faults_leader(run, at), at, true);
    }
}

static void end(struct run *run)
{
    for (uint32_t i = 0; i < run->nodes; i++)
        node_down(&run->of[i], false, 0);
    image_end(run);
    bench_free(&run->bench);
    for (uint32_t i = 0; i < run->nodes; i++)
        node_free(&run->of[i]);
    for (uint32_t at = 0; at < run->groups; at++)
        truth_free(&run->truths[at]);
}

bool members_run(uint64_t seed, uint64_t busy_ms, bool verbose, void *context)
{
    static struct run run;
    struct report *report = context;
    uint64_t records = report->records;
    run = (struct run){.report = report, .seed = seed, .verbose = verbose};
    begin(&run, seed);
    while (run.bench.now_ms < busy_ms && !run.is_failed)
        run_step(&run);
    if (!run.is_failed)
        heal(&run);
    if (!run.is_failed)
        story_return(&run, (uint32_t)(seed / 4 % run.groups));
    report->all.runs++;
    report->all.idle_runs += report->records - records < IDLE_RECORDS;
    report->all.simulated_ms += run.bench.now_ms;
    end(&run);
    return !run.is_failed;
}

/* ---- the program ---- */

int main(int argc, char **argv)
{
    static struct report report;
    static const struct campaign_met met[] = {
#define MET CAMPAIGN_MET
#include "tests/sim/group/met.def"
#undef MET
    };
    static const struct campaign campaign = {.program = "simulate_members",
                                             .idle = "agreed on next to nothing",
                                             .seconds = 20,
                                             .run = members_run,
                                             .met = met,
                                             .met_count = sizeof(met) / sizeof(met[0])};
    return campaign_main(&campaign, &report, argc, argv);
}
