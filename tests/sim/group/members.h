/* Members of groups as they are in a broker, without the broker: nodes with a store, links and a
 * cluster, in one process, on one clock, from one seed. The parts of their simulation. */
#ifndef LEVERET_TESTS_SIM_GROUP_MEMBERS_H
#define LEVERET_TESTS_SIM_GROUP_MEMBERS_H

#include "cluster/cluster.h"
#include "store/internal.h"
#include "store/store.h"
#include "tests/sim/campaign.h"
#include "tests/sim/group/drive.h"
#include "tests/sim/link/weather.h"

enum { NODES = BENCH_NODES, GROUPS = 3, QUEUES = 3, NAMES = 24, TERMS_MAX = 1 << 12 };

/* ---- what a campaign has met ---- */

struct report {
    struct campaign_report all;
#define MET(NAME, what) uint64_t NAME;
#include "tests/sim/group/met.def"
#undef MET
};

/* One run from a seed, for so long, and then healed. False: the report says what was broken. */
bool members_run(uint64_t seed, uint64_t busy_ms, bool verbose, void *report);

/* ---- what is true of a group ---- */

/* What there is of a queue; serial 0: there is none. A queue that comes again has another one. */
struct queue_state {
    uint64_t serial, next, live, mark;
};

struct group_state {
    struct queue_state queues[QUEUES];
    uint64_t names; /* of all names and their values */
};

/* An entry that was applied somewhere, and the state behind it. */
struct truth_entry {
    uint64_t term, stamp_ms, catalogue, digest;
    enum group_use use;
    uint64_t decided; /* no later than in this term */
    struct group_state state;
};

struct proposed_entry {
    uint64_t index, term, digest;
};

struct truth {
    uint64_t number;              /* of the group */
    struct truth_entry *entries;  /* by index */
    uint64_t last;
    size_t capacity;
    struct proposed_entry *proposals; /* all that were taken */
    size_t proposal_count, proposal_capacity;
    uint8_t *live[QUEUES]; /* by sequence */
    size_t live_capacity[QUEUES];
    uint64_t names[NAMES]; /* 0: there is none; else what its value is */
    uint64_t serials;
    uint64_t leader_of[TERMS_MAX], leader_boot[TERMS_MAX];
    uint64_t w;      /* of the catalogue: the highest that a leader told */
    uint64_t floor;  /* nobody's log begins behind it */
};

/* ---- nodes ---- */

/* A node in one group. */
struct seat_state {
    uint16_t seat; /* 0: it is no member */
    uint16_t last_seat;
    bool is_founder, is_spent; /* it has left, and its store still has the group's log and state */
    /* Of a member that runs: */
    uint64_t start_term, office_term, seen_commit, raised_ms;
    uint64_t names[NAMES];
    uint64_t names_from; /* its names are those of its applied entries from here on */
    struct queue_state proposed[QUEUES]; /* with all that it has proposed in office_term */
    uint64_t granted_term[2], since_term[2], until_ms[2];
    /* Of one that is down: what was durable then. */
    uint64_t down_floor, down_last, *down_terms, down_applied;
    size_t down_capacity;
};

struct run;

struct node {
    struct run *run;
    uint32_t number; /* from 0 on */
    struct drive drive;
    struct message_pool pool;
    struct log log;
    struct store_options options;
    struct store *store; /* NULL: it is down */
    struct cluster *cluster;
    uint64_t boot;
    uint64_t linked_ms; /* when a link of it was last up */
    uint64_t start_ms, pause_until_ms, short_until_ms;
    bool is_short;
    bool is_held; /* its disk is stuck until a story goes on */
    int64_t wall_offset_ms;
    struct seat_state seats[GROUPS];
};

/* A copy of a leader's store that is made, and taken over by another node, if that may. */
struct copied {
    bool is_on;
    uint32_t from, to;
    uint64_t ready_ms; /* when all of it has come; 0: it is not made yet */
    uint64_t names_from;
    struct group_image image;
    struct store_backup backup;
};

struct run {
    struct bench bench;
    struct report *report;
    uint64_t seed;
    bool verbose, is_failed, is_healing;
    uint32_t nodes, groups;
    struct node of[NODES];
    struct truth truths[GROUPS];
    enum { OUT, LEARNER, VOTER } wanted[GROUPS][NODES];

    /* What this seed is like. */
    uint32_t fault_every_ms, propose_every_ms, large_every, disk_ms;
    bool has_power_cuts, has_partitions, has_stuck_disks, has_short_disks, has_members, has_wipes,
        has_floors, has_pauses, has_returns, has_images;
    struct copied image;
    struct weather weather;
    uint64_t operate_ms;
};

uint64_t run_below(struct run *run, uint64_t limit);
bool run_chance(struct run *run, uint64_t n);
void run_fail(struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A millisecond goes by. */
void run_step(struct run *run);
/* All members that are wanted in a group are there, and have all. NULL: yes; or what is not so. */
const char *run_lacks(struct run *run, uint32_t at);
void run_say(struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- node.c ---- */

void node_init(struct run *run, uint32_t number);
void node_free(struct node *node);
/* As cluster.h has it for who makes links. */
struct links *node_make(struct bench *bench, uint32_t number);
void node_end(struct bench *bench, uint32_t number);
void node_turn(struct bench *bench, uint32_t number);
/* The node goes down, and comes back later; what was not synced may be lost. */
void node_down(struct node *node, bool is_power_cut, uint64_t for_ms);
/* It begins to take part in a group, with another seat than ever before. */
void node_join(struct node *node, uint32_t at);
void node_leave(struct node *node, uint32_t at);
/* It loses its store, and will be another member of each of its groups. */
void node_wipe(struct node *node);
/* Its store is another one from its next start on, which is now. */
void node_take(struct node *node, struct disk *disk, struct kv *kv, uint64_t names_from);
struct disk *node_new_disk(void);
bool node_is_up(const struct node *node); /* and not paused */
/* Its part of a group; NULL: it is down, or has none. */
struct group *node_group(const struct node *node, uint32_t at);
/* Bytes that its disk has left, but for those that a fault takes. */
uint64_t node_disk_left(struct node *node);
uint64_t node_number(uint32_t at); /* of the group at a place */

/* ---- truth.c: what must hold at every moment ---- */

void truth_init(struct truth *truth, uint64_t number);
void truth_free(struct truth *truth);
/* A leader's entry was taken. */
void truth_proposed(struct truth *truth, uint64_t index, uint64_t term, struct bytes contents);
/* A node has applied an entry, and its store is now as it should be. */
void truth_applied(struct node *node, uint32_t at, const struct group_entry *entry);
/* It has started, and found what its store has. */
void truth_started(struct node *node, uint32_t at);
/* It goes down: what it has durable will be there. */
void truth_ends(struct node *node, uint32_t at);
/* The node has this entry durable, as it was agreed on; it may be down. */
bool truth_has(struct node *node, uint32_t at, uint64_t index);
/* At each moment. */
void truth_judge(struct run *run);
/* A message of a queue is what it was. */
void truth_look(struct node *node, uint32_t at);
/* What the body of a message has. */
uint32_t truth_body_size(const struct run *run, const struct truth *truth, uint64_t serial,
                         uint64_t sequence);
uint8_t truth_body_byte(uint64_t serial, uint64_t sequence);
uint64_t truth_queue_id(const struct truth *truth, int queue, uint64_t serial);
struct bytes truth_name(const struct truth *truth, int name, char text[32]);

/* ---- rights.c ---- */

void rights_judge(struct run *run);
bool rights_have(const struct node *node, uint32_t at, enum right right);

/* ---- work.c ---- */

/* Proposes now and then, where the node leads; and raises floors. */
void work_propose(struct node *node, uint32_t at, bool surely);
void work_raise(struct node *node, uint32_t at);

/* ---- faults.c ---- */

void faults_step(struct run *run);
void faults_heal(struct run *run);
/* What operators want of members is done, one step of it. */
void faults_operate(struct run *run);
struct node *faults_leader(struct run *run, uint32_t at); /* in office; NULL: none */

/* ---- image.c ---- */

void image_step(struct run *run);
void image_end(struct run *run);

/* ---- story.c ---- */

/* A member leaves a group, and is back with the log that it has. */
void story_return(struct run *run, uint32_t at);

#endif
