/* A Raft of somebody else's, as little of it as the engine needs. Times, indexes and updates are as
 * in engine.h; the guards of engine.c stand before every call, and behind what comes of it. */
#ifndef LEVERET_CLUSTER_ENGINE_CORE_H
#define LEVERET_CLUSTER_ENGINE_CORE_H

#include "cluster/engine.h"

struct core;

enum core_role { CORE_FOLLOWER, CORE_CANDIDATE, CORE_LEADER };

struct core *core_new(const struct engine_start *start, uint64_t now_ms,
                      struct engine_update *update);
void core_free(struct core *core);

/* An APPEND carries one ENGINE_MEMBERS entry at most, as its first. */
void core_receive(struct core *core, uint64_t now_ms, const struct engine_message *message,
                  struct engine_update *update);
/* False: not a leader, or handing over. */
bool core_submit(struct core *core, uint64_t now_ms, const struct engine_entry *entry,
                 struct engine_update *update);
/* `index` is above core_stored(), and the core is no candidate. */
void core_persisted(struct core *core, uint64_t now_ms, uint64_t index,
                    struct engine_update *update);
void core_timeout(struct core *core, uint64_t now_ms, struct engine_update *update);
/* A candidate follows again, in the same term, and knows no leader. */
void core_stand_down(struct core *core, uint64_t now_ms, struct engine_update *update);
bool core_transfer(struct core *core, uint64_t now_ms, uint64_t peer, struct engine_update *update);
/* The entry at members->index is committed. */
void core_members_committed(struct core *core, uint64_t now_ms,
                            const struct engine_members *members, struct engine_update *update);
void core_floor(struct core *core, uint64_t now_ms, uint64_t index,
                const struct engine_members *members, struct engine_update *update);
/* True: the log is empty now, and begins behind `index`. */
bool core_install(struct core *core, uint64_t now_ms, uint64_t index, uint64_t term,
                  const struct engine_members *members, struct engine_update *update);

enum core_role core_role(const struct core *core);
uint64_t core_term(const struct core *core);
uint64_t core_vote(const struct core *core);
uint64_t core_leader(const struct core *core);
uint64_t core_last(const struct core *core);
uint64_t core_stored(const struct core *core);
uint64_t core_commit(const struct core *core); /* may fall */
uint64_t core_floor_index(const struct core *core);
uint64_t core_term_of(const struct core *core, uint64_t index);
uint64_t core_match(const struct core *core, uint64_t peer);
uint64_t core_deadline(const struct core *core);

#endif
