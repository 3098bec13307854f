/* The run: events one after the other, faults among them, then all is healed, everything that was
 * promised has to come, and what the queues hold is drained and judged. */
#include "tests/sim/simulation.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"
#include "tests/lib/disk_memory.h"
#include "tests/lib/kv_memory.h"
#include "tests/sim/sim.h"

enum { DISK_BYTES = 1 << 30, POOL_LEFT_MAX = 256 << 10 };
enum { REST_US = 60 * 1000000, LIVE_LEFT_MAX = 64 << 10, SEGMENTS_LEFT_MAX = 16 };
enum { FAILED_PERCENT_MAX = 40 }; /* of a run: one that has failed stays so */
enum { FAULT_RANDOM, FAULT_FAILED, FAULT_ROOM, FAULT_HEAL, FAULT_AGAIN };

uint64_t sim_below(struct sim *sim, uint64_t limit)
{
    return random_below(&sim->random, limit);
}

bool sim_chance(struct sim *sim, uint64_t n)
{
    return random_below(&sim->random, n) == 0;
}

void sim_at(struct sim *sim, enum event_kind kind, int machine, int which, uint64_t delay_us,
            uint64_t epoch)
{
    events_add(&sim->events, (struct sim_event){.at_us = sim->now_us + delay_us,
                                                .kind = (int)kind,
                                                .machine = machine,
                                                .which = which,
                                                .epoch = epoch});
}

void sim_fail(struct sim *sim, const char *format, ...)
{
    va_list arguments;
    if (sim->is_failed)
        return;
    sim->is_failed = true;
    size_t size = (size_t)snprintf(sim->report->fault, sizeof(sim->report->fault),
                                   "at %.6f s: ", (double)sim->now_us / 1e6);
    va_start(arguments, format);
    vsnprintf(sim->report->fault + size, sizeof(sim->report->fault) - size, format, arguments);
    va_end(arguments);
}

void sim_say(struct sim *sim, const char *format, ...)
{
    va_list arguments;
    if (!sim->options->verbose)
        return;
    printf("# %10.3f ", (double)sim->now_us / 1e6);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
}

void sim_digest(struct sim *sim, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    uint64_t sum = sim->report->trace;
    for (; size >= 8; size -= 8, bytes += 8) {
        uint64_t word;
        memcpy(&word, bytes, 8);
        sum = (sum ^ word) * 0x9e3779b97f4a7c15 + (sum >> 29);
    }
    for (; size; size--)
        sum = (sum ^ *bytes++) * 0x9e3779b97f4a7c15 + (sum >> 29);
    sim->report->trace = sum;
}

/* ---- faults ---- */

static void give_room(struct machine *machine, uint64_t bytes)
{
    uint64_t free_bytes = 0, total;
    disk_memory_limit(machine->disk, DISK_BYTES);
    disk_memory_take(machine->disk, 0);
    machine->disk->ops->free_space(machine->disk, &free_bytes, &total);
    disk_memory_take(machine->disk, free_bytes > bytes ? free_bytes - bytes : 0);
    machine->is_full = bytes < DISK_BYTES / 2;
    machine->was_short |= machine->is_full;
}

static void end_machine(struct machine *machine, enum machine_end how)
{
    struct sim *sim = machine->sim;
    static const char *const names[] = {"killed", "without power", "stopped"};
    sim_say(sim, "broker %d is %s", machine->number, names[how]);
    machine_end(machine, how);
    sim_at(sim, EVENT_START, machine->number, 0, 1000 + sim_below(sim, 500000), machine->epoch);
    sim->report->kills += how == END_KILLED;
    sim->report->power_cuts += how == END_POWER_CUT;
    sim->report->clean_stops += how == END_CLEAN;
}

static void break_disk(struct machine *machine)
{
    struct sim *sim = machine->sim;
    int error = sim_chance(sim, 3) ? EIO : ENOSPC;
    bool forever = error == EIO && sim_chance(sim, 2);
    sim_say(sim, "the disk of broker %d fails: %s", machine->number, strerror(error));
    disk_memory_fail(machine->disk, 1 + sim_below(sim, 30), error, forever);
    machine->is_breaking = true;
    machine->was_short |= error == ENOSPC;
    sim->report->disk_errors++;
}

static void fill_disk(struct machine *machine)
{
    struct sim *sim = machine->sim;
    give_room(machine, sim_below(sim, 300000));
    sim_say(sim, "the disk of broker %d is full", machine->number);
    sim_at(sim, EVENT_FAULT, machine->number, FAULT_ROOM, 10000 + sim_below(sim, 5000000), 0);
    sim->report->full_disks++;
}

static void break_index(struct machine *machine)
{
    struct sim *sim = machine->sim;
    bool forever = sim_chance(sim, 3);
    sim_say(sim, "the index of broker %d fails", machine->number);
    kv_memory_fail(machine->kv, 1 + sim_below(sim, 5), forever);
    sim->report->met[MET_INDEX_ERROR]++;
}

static void slow_disk(struct machine *machine)
{
    machine->slow_until_us = machine->sim->now_us + sim_below(machine->sim, 2000000);
    machine->sim->report->met[MET_SLOW_DISK]++;
}

static void jump_clock(struct sim *sim)
{
    int64_t range = sim_chance(sim, 4) ? (int64_t)315360000000 : 7200000; /* ten years, two hours */
    sim->skew_ms += (int64_t)sim_below(sim, (uint64_t)range) - range / 2;
    if (sim->skew_ms < -(int64_t)1000000000000)
        sim->skew_ms = 0;
    sim->report->clock_jumps++;
}

/* ---- what befalls clients ---- */

static struct client *draw_client(struct sim *sim)
{
    return &sim->clients[sim_below(sim, (uint64_t)sim->clients_count)];
}

static void vanish(struct sim *sim)
{
    struct client *client = draw_client(sim);
    if (!client->connection)
        return;
    client_lost(client);
    sim->report->vanished++;
}

static void deafen(struct sim *sim)
{
    struct client *client = draw_client(sim);
    if (!client->connection)
        return;
    client->deaf_until_us = sim->now_us + sim_below(sim, 3000000);
    sim->report->slow_clients++;
}

static void silence(struct sim *sim)
{
    struct client *client = draw_client(sim);
    if (!client->connection || client->state != CLIENT_READY)
        return;
    client->mute_until_us = sim->now_us + 1000000 + sim_below(sim, 9000000);
    client->was_mute = true;
    sim->report->met[MET_MUTE]++;
}

/* ---- which of all that ---- */

enum fault {
    HAPPENS_KILL,
    HAPPENS_POWER_CUT,
    HAPPENS_STOP,
    HAPPENS_DISK_ERROR,
    HAPPENS_INDEX_ERROR,
    HAPPENS_FULL_DISK,
    HAPPENS_SLOW_DISK,
    HAPPENS_CLOCK_JUMP,
    HAPPENS_VANISH,
    HAPPENS_DEAF,
    HAPPENS_MUTE,
    HAPPENS_NOTHING,
    FAULTS
};

static enum fault draw_fault(struct sim *sim)
{
    const struct dials *dials = &sim->dials;
    const uint64_t weights[FAULTS] = {
        [HAPPENS_KILL] = dials->kills,
        [HAPPENS_POWER_CUT] = dials->power_cuts,
        [HAPPENS_STOP] = dials->stops,
        [HAPPENS_DISK_ERROR] = dials->disk_errors,
        [HAPPENS_INDEX_ERROR] = dials->index_errors,
        [HAPPENS_FULL_DISK] = dials->full_disks,
        [HAPPENS_SLOW_DISK] = dials->slow_disks,
        [HAPPENS_CLOCK_JUMP] = dials->clock_jumps,
        [HAPPENS_VANISH] = dials->vanishing,
        [HAPPENS_DEAF] = dials->deaf,
        [HAPPENS_MUTE] = dials->mute,
        [HAPPENS_NOTHING] = 1,
    };
    uint64_t sum = 0;
    int fault = 0;
    for (int i = 0; i < FAULTS; i++)
        sum += weights[i];
    for (uint64_t at = sim_below(sim, sum); at >= weights[fault]; fault++)
        at -= weights[fault];
    return (enum fault)fault;
}

static void random_fault(struct sim *sim, struct machine *machine)
{
    sim_at(sim, EVENT_FAULT, machine->number, FAULT_RANDOM,
           20000 + sim_below(sim, sim->dials.fault_us * 2), 0);
    if (!machine->server)
        return;
    switch (draw_fault(sim)) {
    case HAPPENS_KILL:
        end_machine(machine, END_KILLED);
        break;
    case HAPPENS_POWER_CUT:
        end_machine(machine, END_POWER_CUT);
        break;
    case HAPPENS_STOP:
        end_machine(machine, END_CLEAN);
        break;
    case HAPPENS_DISK_ERROR:
        break_disk(machine);
        break;
    case HAPPENS_INDEX_ERROR:
        break_index(machine);
        break;
    case HAPPENS_FULL_DISK:
        fill_disk(machine);
        break;
    case HAPPENS_SLOW_DISK:
        slow_disk(machine);
        break;
    case HAPPENS_CLOCK_JUMP:
        jump_clock(sim);
        break;
    case HAPPENS_VANISH:
        vanish(sim);
        break;
    case HAPPENS_DEAF:
        deafen(sim);
        break;
    case HAPPENS_MUTE:
        silence(sim);
        break;
    default:
        break;
    }
}

static void heal(struct sim *sim)
{
    for (int i = 0; i < MACHINES; i++) {
        struct machine *machine = &sim->machines[i];
        disk_memory_fail(machine->disk, 0, 0, false);
        kv_memory_fail(machine->kv, 0, false);
        give_room(machine, DISK_BYTES / 2);
        machine->slow_until_us = 0;
    }
    for (int i = 0; i < sim->clients_count; i++)
        sim->clients[i].deaf_until_us = sim->clients[i].mute_until_us = 0;
    sim->is_healed = true;
    sim->healed_us = sim->now_us;
    sim_say(sim, "all is healed");
}

static void fault(struct sim *sim, struct machine *machine, int which)
{
    if (which == FAULT_FAILED && machine->server)
        end_machine(machine, sim_chance(sim, 2) ? END_KILLED : END_POWER_CUT);
    else if (which == FAULT_HEAL)
        heal(sim);
    else if (which == FAULT_ROOM)
        give_room(machine, DISK_BYTES / 2);
    else if (which == FAULT_AGAIN && machine->server && !sim->is_healed)
        end_machine(machine, sim_chance(sim, 2) ? END_KILLED : END_POWER_CUT);
    else if (which == FAULT_RANDOM && !sim->is_healed)
        random_fault(sim, machine);
}

/* ---- events ---- */

/* Brings a machine up; sometimes its disk fails while it recovers. */
static void start(struct sim *sim, struct machine *machine)
{
    bool may_fail = sim->options->has_faults && !sim->is_healed;
    bool is_hurt = may_fail && sim->dials.start_faults && sim_chance(sim, sim->dials.start_faults);
    machine->is_failing = false;
    if (may_fail && sim->dials.starts_again && sim_chance(sim, 6)) {
        sim_at(sim, EVENT_FAULT, machine->number, FAULT_AGAIN, sim_below(sim, 20000), 0);
        sim->report->met[MET_STARTED_AGAIN]++;
    }
    if (is_hurt)
        disk_memory_fail(machine->disk, 1 + sim_below(sim, 40), EIO, true);
    machine->is_breaking = is_hurt;
    bool is_up = machine_start(machine);
    if (is_up || sim->is_failed)
        return;
    /* What a group agrees on has to be written. */
    bool has_no_room = sim->options->agrees && machine->is_full;
    if (!is_hurt && !has_no_room) {
        sim_fail(sim, "broker %d refused to start", machine->number);
        return;
    }
    sim->report->met[MET_START_FAILED]++;
    disk_memory_fail(machine->disk, 0, 0, false);
    disk_memory_crash(machine->disk, CRASH_RANDOM, &sim->random);
    kv_memory_crash(machine->kv, false, &sim->random);
    sim->crash_epoch = machine->epoch;
    sim_at(sim, EVENT_START, machine->number, 0, 1000, machine->epoch);
}

static void turn(struct sim *sim, struct machine *machine)
{
    machine_turn(machine);
    if (!service_failure(machine->service) || machine->is_failing)
        return;
    machine->is_failing = true;
    machine->failed_epoch = machine->epoch;
    sim->report->met[MET_BROKER_FAILED]++;
    sim_say(sim, "broker %d has failed: %s", machine->number, service_failure(machine->service));
    sim_at(sim, EVENT_FAULT, machine->number, FAULT_FAILED,
           sim_below(sim, sim->options->busy_ms * FAILED_PERCENT_MAX * 10), 0);
}

static void arrive(struct sim *sim, struct client *client)
{
    size_t left = client->to_broker.size - client->arrived;
    size_t part = sim_chance(sim, 5) ? 1 + sim_below(sim, left ? left : 1) : left;
    client->arrived += part < left ? part : left;
    if (client->arrived < client->to_broker.size)
        sim_at(sim, EVENT_TO_BROKER, client->machine->number, client->number,
               1 + sim_below(sim, 300), client->epoch);
    machine_wake(client->machine, sim->now_us);
}

static void receive(struct sim *sim, struct client *client)
{
    if (sim->now_us < client->deaf_until_us) {
        sim_at(sim, EVENT_TO_CLIENT, client->machine->number, client->number,
               client->deaf_until_us - sim->now_us, client->epoch);
        return;
    }
    client->is_coming = false;
    client_receive(client);
}

static void act(struct sim *sim, struct client *client)
{
    uint64_t epoch = client->epoch;
    work_act(client);
    if (client->epoch == epoch && client->state != CLIENT_DONE)
        sim_at(sim, EVENT_ACT, client->machine->number, client->number,
               100 + sim_below(sim, sim->dials.act_us), client->epoch);
}

static void happen(struct sim *sim, const struct sim_event *event)
{
    struct machine *machine = &sim->machines[event->machine];
    struct client *client = &sim->clients[event->which < CLIENTS ? event->which : 0];
    sim->epoch = client->dial_epoch;
    switch (event->kind) {
    case EVENT_TURN:
        if (machine->server && event->epoch == machine->epoch && machine->turn_us == event->at_us)
            turn(sim, machine);
        break;
    case EVENT_JOB:
        if (machine->server && event->epoch == machine->epoch)
            machine_job(machine, event->which);
        break;
    case EVENT_START:
        if (!machine->server && event->epoch == machine->epoch)
            start(sim, machine);
        break;
    case EVENT_TO_BROKER:
        if (event->epoch == client->epoch)
            arrive(sim, client);
        break;
    case EVENT_TO_CLIENT:
        if (event->epoch == client->epoch)
            receive(sim, client);
        break;
    case EVENT_ACT:
        if (event->epoch == client->epoch)
            act(sim, client);
        break;
    case EVENT_ASKED:
        if (event->epoch == sim->admins[event->which].epoch)
            admin_arrived(&sim->admins[event->which]);
        break;
    case EVENT_CHORE:
        if (!sim->is_healed)
            chores_act(sim);
        break;
    case EVENT_FAULT:
        fault(sim, machine, event->which);
        break;
    }
}

static void trace(struct sim *sim, const struct sim_event *event)
{
    uint64_t *sum = &sim->report->trace;
    const uint64_t parts[] = {event->at_us, (uint64_t)event->kind, (uint64_t)event->which,
                              sim->report->delivered, sim->report->confirmed};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        *sum = (*sum ^ parts[i]) * 0x9e3779b97f4a7c15 + (*sum >> 29);
    sim->report->events++;
}

static bool are_done(const struct sim *sim)
{
    for (int i = 0; i < sim->clients_count; i++)
        if (sim->clients[i].state != CLIENT_DONE)
            return false;
    return true;
}

static bool step(struct sim *sim)
{
    struct sim_event event;
    if (sim->is_failed || !events_take(&sim->events, &event))
        return false;
    sim->now_us = event.at_us;
    trace(sim, &event);
    happen(sim, &event);
    return true;
}

static void run_until_done(struct sim *sim)
{
    while (!are_done(sim) && step(sim))
        continue;
}

/* Nobody is there, and time goes by. */
static void rest(struct sim *sim, uint64_t us)
{
    uint64_t end_us = sim->now_us + us;
    while (sim->now_us < end_us && step(sim))
        machine_wake(&sim->machines[0], end_us);
}

/* ---- beginning and end ---- */

/* The first client comes back, alone, and takes all there is. */
static void drain(struct sim *sim)
{
    struct client *client = &sim->clients[0];
    if (sim->is_failed)
        return;
    client->state = CLIENT_DOWN;
    client->is_draining = true;
    client->drain_empty_us = sim->now_us;
    sim->healed_us = sim->now_us;
    sim_at(sim, EVENT_ACT, 0, 0, 1000, client->epoch);
    run_until_done(sim);
}

/* What is left of an empty broker, after a while: next to nothing, in memory and on the disk. */
static void check_remains(struct sim *sim)
{
    rest(sim, REST_US);
    for (int i = 0; i < MACHINES && !sim->is_failed; i++) {
        struct machine *machine = &sim->machines[i];
        const struct store_stats *stats = store_stats(machine->store);
        size_t left = message_pool_bytes(&machine->pool);
        uint64_t segments_max =
            SEGMENTS_LEFT_MAX + LIVE_LEFT_MAX / machine->store_options.segment_bytes;
        if (left > POOL_LEFT_MAX)
            sim_fail(sim, "%zu bytes of messages are left in memory of an empty broker", left);
        if (stats->live_bytes > LIVE_LEFT_MAX)
            sim_fail(sim, "%" PRIu64 " bytes live in the journal of an empty broker",
                     stats->live_bytes);
        if (broker_queues(&machine->broker) > (size_t)(QUEUES + sim->clients_count))
            sim_fail(sim, "%zu queues are left", broker_queues(&machine->broker));
        if (stats->segments > segments_max)
            sim_fail(sim, "%" PRIu64 " segments are left of an empty broker", stats->segments);
    }
}

/* What was settled stays so when the broker is stopped in order and starts again. */
static void stop_and_drain(struct sim *sim)
{
    for (int i = 0; i < MACHINES && !sim->is_failed; i++) {
        machine_end(&sim->machines[i], END_CLEAN);
        start(sim, &sim->machines[i]);
    }
    drain(sim);
}

static void begin(struct sim *sim)
{
    random_init(&sim->random, sim->options->seed);
    dials_draw(sim);
    if (sim->options->shows_dials)
        dials_print(sim);
    sim->clients_count = (int)sim->dials.clients;
    for (int i = 0; i < ADMINS; i++)
        admin_init(sim, i);
    for (int i = 0; i < MACHINES; i++) {
        machine_init(sim, i);
        give_room(&sim->machines[i], DISK_BYTES / 2);
        start(sim, &sim->machines[i]);
        if (sim->options->has_faults)
            sim_at(sim, EVENT_FAULT, i, FAULT_RANDOM, 500000, 0);
    }
    for (int i = 0; i < sim->clients_count; i++) {
        client_init(sim, i);
        if ((uint64_t)i < sim->dials.solos)
            sim->clients[i].solo = solo_new(&sim->clients[i]);
        else
            sim->clients[i].is_stranger = sim->dials.strangers && i > 0 && i == sim->clients_count - 1;
        sim_at(sim, EVENT_ACT, 0, i, sim_below(sim, 50000), 0);
    }
    chores_begin(sim);
    sim_at(sim, EVENT_FAULT, 0, FAULT_HEAL, sim->options->busy_ms * 1000, 0);
}

static void end(struct sim *sim)
{
    for (int i = 0; i < MACHINES; i++)
        machine_free(&sim->machines[i]); /* and their clients lose them */
    for (int i = 0; i < sim->clients_count; i++)
        client_free(&sim->clients[i]);
    promises_free(&sim->promises);
    chaos_free(&sim->chaos);
    events_free(&sim->events);
}

/* What others count is met, too. */
static void count_met(struct simulation_report *report)
{
    uint64_t *met = report->met;
    met[MET_CONFIRMED] = report->confirmed;
    met[MET_REFUSED] = report->refused;
    met[MET_GOT] = report->gets;
    met[MET_HELD_BY_ALARM] = report->blocked;
    met[MET_KILLED] = report->kills;
    met[MET_POWER_CUT] = report->power_cuts;
    met[MET_STOPPED] = report->clean_stops;
    met[MET_DISK_ERROR] = report->disk_errors;
    met[MET_FULL_DISK] = report->full_disks;
    met[MET_CLOCK_JUMP] = report->clock_jumps;
    met[MET_VANISHED] = report->vanished;
    met[MET_DEAF] = report->slow_clients;
}

void simulation_dials(const struct simulation_options *options)
{
    struct sim *sim = mem_zalloc(sizeof(*sim));
    sim->options = options;
    random_init(&sim->random, options->seed);
    dials_draw(sim);
    dials_print(sim);
    mem_free(sim);
}

bool simulation_run(const struct simulation_options *options, struct simulation_report *report)
{
    struct sim *sim = mem_zalloc(sizeof(*sim));
    sim->options = options;
    sim->report = report;
    report->trace = options->seed;
    uint64_t confirmed = report->confirmed, delivered = report->delivered;
    uint64_t checkpoints = report->met[MET_CHECKPOINT];
    begin(sim);
    run_until_done(sim);
    drain(sim);
    check_remains(sim);
    if (!sim->is_failed)
        promises_judge(sim);
    stop_and_drain(sim);
    bool is_kept = !sim->is_failed;
    report->simulated_ms += sim->now_us / 1000;
    end(sim);
    count_met(report);
    report->busy_ms += options->busy_ms;
    report->runs++;
    report->idle_runs += report->confirmed == confirmed || report->delivered == delivered ||
                         report->met[MET_CHECKPOINT] == checkpoints;
    mem_free(sim);
    return is_kept;
}
