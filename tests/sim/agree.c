/* A machine whose durable queues are of a group, of which it is the only member: what is done to them is
 * agreed on first, and all promises are the same. */
#include "base/mem.h"
#include "cluster/lane.h"
#include "session/agreed.h"
#include "tests/sim/sim.h"

enum { GROUP = 2, WAIT = 1, KEEP_BYTES = 3000, TURNS_MAX = 1000 };

struct agree {
    struct node_identity identity;
    struct cluster *cluster;
    struct lanes *lanes;
};

bool agree_may(void)
{
    return true;
}

bool agree_open(struct machine *machine)
{
    struct agree *agree = mem_zalloc(sizeof(*agree));
    uint64_t now_ms = machine->sim->now_us / 1000;
    uint64_t seed = sim_below(machine->sim, 1 << 30);
    struct cluster_options options = {.store = machine->store,
                                      .identity = &agree->identity,
                                      .links = {.name = "leveret@sim",
                                                .number = 1,
                                                .log = &machine->log,
                                                .seed = seed + 1},
                                      .seed = seed};
    struct engine_members alone = {.count = 1, .of = {{group_member_id(1, 1), ENGINE_VOTER}}};
    agree->identity.node[0] = 1;
    agree->identity.incarnation = machine->epoch;
    agree->cluster = cluster_new(&options, now_ms);
    if (!group_log_find(machine->store, GROUP))
        group_found(machine->store, GROUP, &alone);
    cluster_take_part(agree->cluster, GROUP, 1, 1, now_ms);
    agree->lanes = lanes_new(agree->cluster, machine->store, &(struct lane_keeps){.all = KEEP_BYTES});
    lanes_add(agree->lanes, GROUP, WAIT);
    group_log_take_names(group_log_find(machine->store, GROUP));
    machine->broker.options.queue_group = GROUP;
    machine->agree = agree;
    for (int i = 0; i < TURNS_MAX && !lanes_are_ready(agree->lanes); i++) {
        store_collect(machine->store, now_ms);
        lanes_turn(agree->lanes, now_ms, machine_clock_ms(machine));
        store_write(machine->store);
        machine_drain(machine);
    }
    return lanes_are_ready(agree->lanes);
}

void agree_begin(struct machine *machine)
{
    group_log_drop_orphans(group_log_find(machine->store, GROUP));
    agreed_begin(machine->server, machine->agree->lanes);
}

void agree_close(struct machine *machine)
{
    struct agree *agree = machine->agree;
    if (!agree)
        return;
    struct group *group = cluster_group(agree->cluster, GROUP);
    if (group_broken(group))
        sim_fail(machine->sim, "the group has stopped: %s", group_broken(group));
    const struct group_stats *stats = group_stats(group);
    machine->sim->report->agreed += stats->applied;
    lanes_close(agree->lanes, machine->sim->now_us / 1000);
    lanes_free(agree->lanes);
    cluster_free(agree->cluster);
    mem_free(agree);
    machine->agree = NULL;
}
