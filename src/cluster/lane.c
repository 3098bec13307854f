/* See lane.h. */
#include "cluster/lane.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "base/planted.h"
#include "store/store.h"

enum { ENTRY_BYTES = 1 << 20, ENTRY_LEAST = 4096, CONGESTED_BYTES = 8 << 20, LANES_MAX = 3 };
/* What a turn does of each, in bytes of contents, with one entry more, and in entries. */
enum { PROPOSED_A_TURN = 4 << 20, APPLIED_A_TURN = 4 << 20, ENTRIES_A_TURN = 64 };

/* An entry that this node has proposed, and up to where it has what was decided. */
struct proposed {
    uint64_t index, end;
};

struct lane {
    struct group *group;
    struct group_log *log;
    struct proposed *proposed; /* `count` from `at` on */
    size_t at, count, capacity;
    uint64_t done;
    uint8_t wait;
    bool leads;
};

struct lanes {
    struct cluster *cluster;
    struct store *store;
    struct lane_keeps keeps;
    uint64_t kept; /* lanes_keep */
    uint64_t turn_ms;
    bool is_stopped;
    struct lane lanes[LANES_MAX];
    size_t count;
};

struct lanes *lanes_new(struct cluster *cluster, struct store *store, const struct lane_keeps *keeps)
{
    struct lanes *lanes = mem_zalloc(sizeof(*lanes));
    lanes->cluster = cluster;
    lanes->store = store;
    lanes->keeps = *keeps;
    lanes->kept = UINT64_MAX;
    return lanes;
}

void lanes_keep(struct lanes *lanes, uint64_t index)
{
    lanes->kept = index;
}

void lanes_free(struct lanes *lanes)
{
    if (!lanes)
        return;
    for (size_t i = 0; i < lanes->count; i++)
        mem_free(lanes->lanes[i].proposed);
    mem_free(lanes);
}

struct lane *lanes_add(struct lanes *lanes, uint64_t group, uint8_t wait)
{
    assert(lanes->count < LANES_MAX);
    struct lane *lane = &lanes->lanes[lanes->count++];
    lane->group = cluster_group(lanes->cluster, group);
    lane->log = group_log_find(lanes->store, group);
    assert(lane->group && lane->log);
    lane->wait = wait;
    group_log_set_wait(lane->log, wait);
    return lane;
}

/* ---- one lane ---- */

/* In office, with all that was agreed on before applied. */
static bool is_in_office(const struct lane *lane)
{
    const struct engine *engine = group_engine(lane->group);
    return engine && engine_in_office(engine) &&
           (group_applied(lane->group) >= engine_first(engine) || planted(PLANTED_LANE_OFFICE_EARLY));
}

static void follow_office(struct lane *lane)
{
    bool leads = is_in_office(lane);
    if (leads == lane->leads)
        return;
    lane->leads = leads;
    if (!leads)
        lane->at = lane->count = 0;
    group_log_lead(lane->log, leads);
}

static void note_proposed(struct lane *lane, uint64_t index)
{
    if (lane->at && lane->at + lane->count == lane->capacity) {
        memmove(lane->proposed, lane->proposed + lane->at, lane->count * sizeof(*lane->proposed));
        lane->at = 0;
    }
    lane->proposed = mem_grow(lane->proposed, &lane->capacity, lane->at + lane->count + 1,
                              sizeof(*lane->proposed));
    lane->proposed[lane->at + lane->count++] =
        (struct proposed){index, group_log_appended(lane->log)};
}

/* What was decided, in order; what is too much now goes in a later turn. True: that can be the next one. */
static bool propose(struct lane *lane, uint64_t now_ms)
{
    struct log_contents contents;
    uint64_t index;
    size_t max = ENTRY_BYTES, copied = 0;
    while (lane->leads && group_log_proposal(lane->log, max, &contents)) {
        size_t size = contents.bytes.size;
        if (copied >= PROPOSED_A_TURN)
            return true;
        if (group_propose(lane->group, now_ms, &contents, 0, &index) == GROUP_PROPOSED) {
            copied += contents.shared ? 0 : size;
            group_log_proposed(lane->log, size);
            note_proposed(lane, index);
            continue;
        }
        /* A part of it may find room, unless it is one record. */
        if (max == 1 || size > max)
            return false;
        max = size > 2 * ENTRY_LEAST ? size / 2 : 1;
    }
    return false;
}

static void applied(struct lane *lane, const struct group_entry *entry)
{
    if (lane->count == 0 || lane->proposed[lane->at].index != entry->index)
        return;
    lane->done = lane->proposed[lane->at].end;
    lane->at = --lane->count ? lane->at + 1 : 0;
}

static uint64_t had_by_all(const struct lane *lane)
{
    const struct engine *engine = group_engine(lane->group);
    const struct engine_members *members = engine_members(engine);
    uint64_t index = group_applied(lane->group);
    for (uint32_t i = 0; i < members->count; i++) {
        uint64_t match = members->of[i].id == group_self(lane->group)
                             ? index
                             : engine_match(engine, members->of[i].id);
        index = match < index ? match : index;
    }
    return index;
}

/* A member that lacks what the log begins behind needs an image, so entries stay until all have them, unless
 * they are too many, or the disk is short: then the older half goes. Who follows does not know what the others
 * have, and keeps some, as it may lead next. */
static void let_go(const struct lanes *lanes, struct lane *lane, uint64_t now_ms)
{
    uint64_t size = group_log_size(lane->log), floor = group_log_floor(lane->log).index;
    if (size <= lanes->keeps.all || !group_engine(lane->group))
        return;
    uint64_t index = lane->leads ? had_by_all(lane) : floor;
    bool is_much = !lane->leads || (lanes->keeps.most && (size > lanes->keeps.most || store_is_short(lanes->store)));
    if (index <= floor && is_much)
        index = floor + (group_applied(lane->group) - floor + 1) / 2;
    if (index > lanes->kept)
        index = lanes->kept;
    if (index > floor)
        group_raise(lane->group, now_ms, index);
}

/* ---- turns ---- */

static struct lane *lane_of(struct lanes *lanes, const struct group *group)
{
    for (size_t i = 0; i < lanes->count; i++)
        if (lanes->lanes[i].group == group)
            return &lanes->lanes[i];
    return NULL;
}

static bool apply_some(struct lanes *lanes, uint64_t now_ms)
{
    struct group_entry entry;
    const struct group *group;
    unsigned count = 0;
    size_t bytes = 0;
    while (count < ENTRIES_A_TURN && bytes < APPLIED_A_TURN &&
           (group = cluster_next(lanes->cluster, now_ms, &entry))) {
        struct lane *lane = lane_of(lanes, group);
        if (lane)
            applied(lane, &entry);
        bytes += entry.contents.size;
        count++;
    }
    return count > 0;
}

bool lanes_turn(struct lanes *lanes, uint64_t now_ms, uint64_t wall_ms)
{
    if (lanes->is_stopped)
        return false;
    lanes->turn_ms = now_ms;
    cluster_tick(lanes->cluster, now_ms, wall_ms);
    bool any = apply_some(lanes, now_ms), is_left = false;
    for (size_t i = 0; i < lanes->count; i++) {
        struct lane *lane = &lanes->lanes[i];
        follow_office(lane);
        let_go(lanes, lane, now_ms);
        is_left |= group_log_copy(lane->log);
        is_left |= store_may_seal(lanes->store) && propose(lane, now_ms);
    }
    /* What was decided together is on the disk together. */
    store_keep_filling(lanes->store, is_left);
    return any || is_left;
}

void lanes_stop(struct lanes *lanes)
{
    lanes->is_stopped = true;
    store_keep_filling(lanes->store, false);
}

void lanes_close(struct lanes *lanes, uint64_t now_ms)
{
    for (size_t i = 0; i < lanes->count; i++) {
        struct lane *lane = &lanes->lanes[i];
        while (group_log_copy(lane->log) || propose(lane, now_ms))
            continue;
    }
}

static bool is_alone(const struct lane *lane)
{
    const struct engine *engine = group_engine(lane->group);
    const struct engine_members *members = engine ? engine_members(engine) : NULL;
    uint32_t others = 0;
    for (uint32_t i = 0; members && i < members->count; i++)
        others += members->of[i].role == ENGINE_VOTER && members->of[i].id != group_self(lane->group);
    return members && others == 0;
}

bool lanes_are_ready(const struct lanes *lanes)
{
    for (size_t i = 0; i < lanes->count; i++) {
        const struct lane *lane = &lanes->lanes[i];
        if (!group_engine(lane->group) || (is_alone(lane) && !lane->leads))
            return false;
    }
    return true;
}

bool lanes_lead(const struct lanes *lanes)
{
    for (size_t i = 0; i < lanes->count; i++)
        if (!lanes->lanes[i].leads)
            return false;
    return true;
}

bool lanes_may_deliver(const struct lanes *lanes, uint64_t now_ms)
{
    for (size_t i = 0; i < lanes->count; i++)
        if (!lanes->lanes[i].leads ||
            !lease_have(group_lease(lanes->lanes[i].group), RIGHT_DISPATCH, now_ms))
            return planted(PLANTED_LANE_DELIVERS_AT_ONCE);
    return true;
}

bool lanes_may_answer(const struct lanes *lanes)
{
    return lanes_may_deliver(lanes, lanes->turn_ms);
}

uint64_t lanes_next_ms(const struct lanes *lanes)
{
    return cluster_next_ms(lanes->cluster);
}

const char *lanes_broken(const struct lanes *lanes)
{
    for (size_t i = 0; i < lanes->count; i++)
        if (lane_broken(&lanes->lanes[i]))
            return lane_broken(&lanes->lanes[i]);
    return NULL;
}

struct lane *lanes_next(struct lanes *lanes, size_t *at)
{
    return *at < lanes->count ? &lanes->lanes[(*at)++] : NULL;
}

uint8_t lane_wait(const struct lane *lane)
{
    return lane->wait;
}

const char *lane_broken(const struct lane *lane)
{
    return group_broken(lane->group);
}

uint64_t lane_decided(const struct lane *lane)
{
    return group_log_decided(lane->log);
}

uint64_t lane_done(const struct lane *lane)
{
    bool is_idle = lane->leads && lane->count == 0 &&
                   group_log_appended(lane->log) == group_log_decided(lane->log);
    is_idle |= planted(PLANTED_AGREE_DONE_EARLY);
    return is_idle ? group_log_decided(lane->log) : lane->done;
}

uint64_t lane_names_decided(const struct lane *lane)
{
    return planted(PLANTED_LANE_NAMES_UNAWAITED) ? 0 : group_log_names_decided(lane->log);
}

bool lane_is_congested(const struct lane *lane)
{
    return group_log_decided(lane->log) - lane->done > CONGESTED_BYTES;
}
