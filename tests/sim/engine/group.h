/* A group of members in one process, on one clock, from one seed: the parts of its simulation. */
#ifndef LEVERET_TESTS_SIM_ENGINE_GROUP_H
#define LEVERET_TESTS_SIM_ENGINE_GROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/random.h"
#include "cluster/engine.h"
#include "cluster/lease.h"
#include "tests/sim/campaign.h"
#include "tests/sim/events.h"

enum { NODES = 7, COMMITTED_MAX = 1 << 16, TERMS_MAX = 1 << 12 };

/* ---- what a campaign has met ---- */

struct group_report {
    struct campaign_report all;
#define MET(NAME, what) uint64_t NAME;
#include "tests/sim/engine/met.def"
#undef MET
    uint64_t events;
    /* From a kill of the leader, and from its silence, to the next commit. */
    uint32_t killed_ms[4096], silent_ms[4096];
    size_t killed_count, silent_count;
};

/* One group from a seed, for so long, and then healed. False: the report says what was broken. */
bool group_run(uint64_t seed, uint64_t busy_ms, bool verbose, void *report);

/* ---- a member's log, and what is on record of it ---- */

struct entry {
    uint64_t term, value;
    enum engine_kind kind;
    const struct engine_members *members; /* of ENGINE_MEMBERS; the group's, to its end */
    struct lease_node node;               /* of a NODE entry: else nobody's */
};

struct state {
    uint64_t term, vote;
    uint64_t floor, floor_term;
    const struct engine_members *floor_members;
    struct entry *entries; /* floor + 1 ... */
    size_t count, capacity;
};

enum record_kind { RECORD_VOTE, RECORD_ENTRY, RECORD_FLOOR, RECORD_IMAGE };

struct record {
    enum record_kind kind;
    uint64_t index, term, vote;
    struct entry entry;
    const struct engine_members *members;
};

void state_apply(struct state *state, const struct record *record);
void state_copy(struct state *to, const struct state *from);
void state_free(struct state *state);
uint64_t state_last(const struct state *state);
uint64_t state_term_of(const struct state *state, uint64_t index);
const struct entry *state_entry(const struct state *state,
                                uint64_t index); /* NULL: not in the log */

/* ---- a node ---- */

/* What one node sends another: a message of the engine with the entries that it has, or something
 * of leases or of images. */
struct packet {
    enum { PACKET_MESSAGE, PACKET_ASK, PACKET_GRANT, PACKET_W, PACKET_OFFER } kind;
    struct engine_message message;
    struct engine_entry *entries;
    struct entry *contents;
    struct lease_ask ask;
    struct lease_grant grant;
    uint64_t w;
    uint64_t index, term; /* of an image */
    const struct engine_members *members;
    uint64_t at_ms, connection;
    uint64_t to,
        needs; /* while it waits in a node: for whom, and how many records must be durable */
};

struct node {
    uint32_t number;
    uint64_t id; /* number and generation; 0: no member since it lost its log */
    uint32_t generation;
    bool is_up, is_paused, may_campaign;
    uint64_t may_since_ms, start_term;
    uint64_t epoch; /* rises with each start and end */
    struct engine *engine;
    struct engine_update update;

    /* The journal: what the engine wanted, what is being written, what is durable. */
    struct state live, durable;
    struct record *records; /* behind those that are in `durable` */
    size_t record_count, record_capacity, syncing;
    uint64_t durable_records; /* all that ever were, of this start */
    uint64_t vote_needs;
    uint64_t sync_index, sync_cuts;
    bool is_stuck;
    struct packet *outbox;
    size_t outbox_count, outbox_capacity;

    uint64_t applied, seen_commit;
    uint64_t deadline_epoch, deadline_ms;
    bool floor_on_record;
    uint64_t floor_wanted;            /* once it is committed */
    uint64_t pinned, pinned_until_ms; /* somebody pulls an image of this index */

    /* An image that it pulls. */
    uint64_t image_index, image_term;
    const struct engine_members *image_members;
    bool image_on_record;

    /* Its clock: how fast, and from where. */
    double rate;
    uint64_t offset_ms;

    /* Rights; of each, in which term it was granted last, and since which one it has had it. */
    struct lease *lease;
    uint64_t office_term;
    uint64_t granted_term[2], since_term[2];
    struct lease_node proposing; /* what its next entry says */
};

struct way { /* from one node to another: entries go one, all else the other */
    struct packet *packets;
    size_t count, capacity;
    uint64_t last_ms;
};

struct group {
    struct random random;
    struct group_report *report;
    bool verbose, is_failed, is_healing, is_quiet; /* quiet: nobody proposes */
    uint64_t now_ms;
    struct events events;
    struct node nodes[NODES];
    struct way ways[NODES][NODES][2];
    bool blocked[NODES][NODES];
    uint64_t blocked_ms[NODES][NODES];
    uint64_t connection[NODES][NODES]; /* of a pair, both ways; 0: there is none */
    uint64_t connections;
    uint64_t stalled_ms[NODES][NODES]; /* until then no entries arrive that one sends another */

    /* What this seed is like. */
    uint32_t latency_ms, sync_ms, propose_every_ms, fault_every_ms, floor_keeps;
    bool has_members, has_power_cuts, has_clocks, has_stuck_disks, has_partitions, has_forged;

    /* The truth. */
    struct entry *committed; /* by index */
    uint64_t *decided;       /* no later than in this term */
    uint64_t *presences;     /* those of them that say who is present */
    size_t presence_count, presence_capacity;
    uint64_t w; /* the highest that a leader told */
    uint64_t committed_last, value, rejected;
    uint64_t leader_of[TERMS_MAX], leader_epoch[TERMS_MAX];
    uint64_t fault_ms;
    uint64_t fault_term; /* of the leader that is gone, 0: nobody waits */
    bool fault_was_kill;
    struct engine_members **members; /* all that entries have */
    size_t members_count, members_capacity;
};

enum group_event {
    EVENT_DEADLINE,
    EVENT_ARRIVES,
    EVENT_SYNCED,
    EVENT_PROPOSE,
    EVENT_FAULT,
    EVENT_START,
    EVENT_RESUME,
    EVENT_HEAL_WAY,
    EVENT_SILENCE,
    EVENT_CONNECT,
    EVENT_GONE,
    EVENT_CHECKPOINT,
    EVENT_IMAGE,
    EVENT_LEASE,
    EVENT_UNSTICK,
};

/* Time goes on. */
void group_wait(struct group *group, uint64_t ms);
void group_fail_explained(struct group *group, const char *what);
uint32_t group_voters(const struct engine_members *members);
uint64_t group_below(struct group *group, uint64_t limit);
bool group_chance(struct group *group, uint64_t n);
void group_at(struct group *group, enum group_event kind, uint32_t node, uint32_t other,
              uint64_t delay_ms, uint64_t epoch);
void group_fail(struct group *group, const char *format, ...) __attribute__((format(printf, 2, 3)));
void group_say(struct group *group, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- node.c ---- */

const struct engine_members *group_keep(struct group *group, const struct engine_members *members);
struct node *group_node(struct group *group, uint64_t id); /* NULL: nobody has this id now */
uint64_t node_now(const struct group *group, const struct node *node);
void node_start(struct group *group, struct node *node);
/* Kills keep what was written; power cuts what was synced, and some of what was on its way. */
void node_end(struct group *group, struct node *node, bool is_power_cut);
void node_wipe(struct group *group, struct node *node);
void node_event(struct group *group, struct node *node, const struct sim_event *event);
/* Does what the last event's update says. */
void node_follow(struct group *group, struct node *node, const struct packet *received);
void node_arrived(struct group *group, struct node *node, struct packet *packet, uint32_t from);

/* ---- links.c ---- */

void links_send(struct group *group, uint32_t from, uint32_t to, struct packet *packet);
void links_event(struct group *group, const struct sim_event *event);
void links_block(struct group *group, uint32_t from, uint32_t to, bool blocked);
/* Ends what there is between a node and all others. */
void links_end(struct group *group, uint32_t node);
/* A right to answer is on its way. */
bool links_grant(const struct group *group, uint32_t from, uint32_t to);
/* What has come for a node and was not taken, as it was paused. */
void links_poll(struct group *group, uint32_t node);
void packet_free(struct packet *packet);

/* ---- judge.c ---- */

void judge_leader(struct group *group, struct node *node);
void judge_commit(struct group *group, struct node *node, uint64_t before);
void judge_rights(struct group *group);
void judge_applied(struct group *group, struct node *node, uint64_t index,
                   const struct entry *entry);

/* ---- rights.c ---- */

/* It is there, and has the right. */
bool rights_have(const struct group *group, const struct node *node, enum right right);
void rights_start(struct group *group, struct node *node);
void rights_end(struct node *node);
void rights_applied(struct group *group, struct node *node, uint64_t index,
                    const struct entry *entry);
void rights_restored(struct group *group, struct node *node, uint64_t index);
/* The time has come to ask, and to tell. */
void rights_tick(struct group *group, struct node *node);
void rights_arrived(struct group *group, struct node *node, const struct packet *packet,
                    uint32_t from);
/* Its engine may be in another term, lead or not, or know of more answers. */
void rights_follow(struct group *group, struct node *node);

/* ---- faults.c ---- */

void faults_event(struct group *group);
void faults_heal(struct group *group);
struct node *faults_leader(struct group *group);
/* A leader's members shall be others. False: it refuses. */
bool faults_change(struct group *group, struct node *leader, const struct engine_members *members);
void faults_unblock(struct group *group);
void faults_kill(struct group *group, struct node *node);
void faults_silence(struct group *group, struct node *node);
void faults_campaigns(struct group *group, struct node *node, bool may);
void faults_reset_all(struct group *group);

/* ---- scenes.c ---- */

/* The end of a run that was healed. */
void scenes_play(struct group *group);

#endif
