/* The core is libraft's raft_step(): events in, an update out, no I/O. This is the only file that
 * knows it.
 *
 * Of an entry libraft keeps the term, and of one about members also who they are; so what it is
 * given of an entry is that, and memory of no meaning. Who frees that is libraft if the entries
 * came to nothing, and we if it said RAFT_UPDATE_ENTRIES. */
#include "cluster/engine_core.h"

#include <inttypes.h>
#include <raft.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

/* What libraft itself puts in place of a message's version: each says which fields there are. */
enum { REQUEST_VOTE_VERSION = 2, REQUEST_VOTE_RESULT_VERSION = 2, APPEND_RESULT_VERSION = 2 };
enum { ADDRESS_SIZE = 24 };

struct core {
    struct raft raft;
};

static void *must(void *memory)
{
    if (!memory)
        mem_free(mem_alloc(SIZE_MAX / 2)); /* ends the process as it does elsewhere */
    return memory;
}

static void address_of(uint64_t id, char address[ADDRESS_SIZE])
{
    snprintf(address, ADDRESS_SIZE, "%" PRIu64, id);
}

static struct raft_configuration configuration_of(const struct engine_members *members)
{
    struct raft_configuration configuration;
    char address[ADDRESS_SIZE];
    raft_configuration_init(&configuration);
    for (uint32_t i = 0; i < members->count; i++) {
        const struct engine_member *member = &members->of[i];
        address_of(member->id, address);
        int role = member->role == ENGINE_VOTER ? RAFT_VOTER : RAFT_STANDBY;
        if (raft_configuration_add(&configuration, member->id, address, role) != 0)
            must(NULL);
    }
    return configuration;
}

static struct raft_snapshot_metadata metadata_of(uint64_t index, uint64_t term,
                                                 const struct engine_members *members)
{
    return (struct raft_snapshot_metadata){.index = index,
                                           .term = term,
                                           .configuration = configuration_of(members),
                                           .configuration_index = members->index};
}

/* ---- what is to be done ---- */

static struct engine_message *new_message(struct engine_update *update)
{
    update->messages = mem_grow(update->messages, &update->message_capacity,
                                update->message_count + 1, sizeof(*update->messages));
    struct engine_message *message = &update->messages[update->message_count++];
    *message = (struct engine_message){0};
    return message;
}

static void wants_image(struct engine_update *update, uint64_t peer)
{
    update->images = mem_grow(update->images, &update->image_capacity, update->image_count + 1,
                              sizeof(*update->images));
    update->images[update->image_count++] = peer;
}

static void translate(const struct raft_message *from, struct engine_update *update)
{
    if (from->type == RAFT_INSTALL_SNAPSHOT) {
        wants_image(update, from->server_id);
        return;
    }
    struct engine_message *to = new_message(update);
    to->peer = from->server_id;
    switch (from->type) {
    case RAFT_APPEND_ENTRIES:
        to->type = ENGINE_APPEND;
        to->term = from->append_entries.term;
        to->index = from->append_entries.prev_log_index;
        to->index_term = from->append_entries.prev_log_term;
        to->commit = from->append_entries.leader_commit;
        to->count = from->append_entries.n_entries;
        break;
    case RAFT_APPEND_ENTRIES_RESULT:
        to->type = ENGINE_APPENDED;
        to->term = from->append_entries_result.term;
        to->rejected = from->append_entries_result.rejected;
        to->index = from->append_entries_result.last_log_index;
        break;
    case RAFT_REQUEST_VOTE:
        to->type = ENGINE_VOTE;
        to->term = from->request_vote.term;
        to->index = from->request_vote.last_log_index;
        to->index_term = from->request_vote.last_log_term;
        to->pre_vote = from->request_vote.pre_vote;
        to->disrupts = from->request_vote.disrupt_leader;
        break;
    case RAFT_REQUEST_VOTE_RESULT:
        to->type = ENGINE_VOTED;
        to->term = from->request_vote_result.term;
        to->granted = from->request_vote_result.vote_granted;
        to->pre_vote = from->request_vote_result.pre_vote;
        break;
    default: /* RAFT_TIMEOUT_NOW */
        to->type = ENGINE_CAMPAIGN;
        to->term = from->timeout_now.term;
        to->index = from->timeout_now.last_log_index;
        to->index_term = from->timeout_now.last_log_term;
    }
}

static enum engine_kind kind_of(enum raft_entry_type type)
{
    return type == RAFT_CHANGE    ? ENGINE_MEMBERS
           : type == RAFT_BARRIER ? ENGINE_NOOP
                                  : ENGINE_RECORDS;
}

static void take_entries(struct raft_update *from, bool own, uint64_t last,
                         struct engine_update *update)
{
    uint64_t index = from->entries.index;
    if (index <= last)
        update->cut_from = index;
    if (!update->append_count)
        update->append_from = index;
    update->append_count += from->entries.n;
    if (own)
        update->append_kind = kind_of(from->entries.batch[0].type);
    raft_free(from->entries.batch[0].batch);
}

/* One step. False: nothing came of it, with libraft's reason in *reason if somebody wants to know.
 */
static bool step(struct core *core, uint64_t now_ms, struct raft_event *event, int *reason,
                 struct engine_update *update)
{
    struct raft_update done = {0};
    uint64_t last = core_last(core);
    event->time = now_ms;
    int error = raft_step(&core->raft, event, &done);
    if (error == RAFT_NOMEM)
        must(NULL);
    if (error) {
        if (reason)
            *reason = error;
        else
            update->broken = core->raft.errmsg[0] ? core->raft.errmsg : raft_strerror(error);
        return false;
    }
    update->vote_changed |= (done.flags & (RAFT_UPDATE_CURRENT_TERM | RAFT_UPDATE_VOTED_FOR)) != 0;
    update->role_changed |= (done.flags & RAFT_UPDATE_STATE) != 0;
    if (done.flags & RAFT_UPDATE_ENTRIES)
        take_entries(&done,
                     event->type != RAFT_RECEIVE ||
                         event->receive.message->type != RAFT_APPEND_ENTRIES,
                     last, update);
    for (unsigned i = 0; done.flags & RAFT_UPDATE_MESSAGES && i < done.messages.n; i++)
        translate(&done.messages.batch[i], update);
    return true;
}

/* ---- entries for libraft ---- */

/* Appends who the members are, as libraft writes it, to a block that grows; where it begins there.
 */
static size_t add_members(const struct engine_members *members, uint8_t **block, size_t *size,
                          size_t *length)
{
    struct raft_configuration configuration = configuration_of(members);
    struct raft_buffer encoded;
    if (raft_configuration_encode(&configuration, &encoded) != 0)
        must(NULL);
    raft_configuration_close(&configuration);
    size_t at = *size;
    *length = encoded.len;
    *size += (encoded.len + 7) & ~(size_t)7;
    *block = must(raft_realloc(*block, *size));
    memcpy(*block + at, encoded.base, encoded.len);
    raft_free(encoded.base);
    return at;
}

/* Terms, types, and who the members are; the memory behind them is one block, as libraft wants it.
 */
static struct raft_entry *entries_of(const struct engine_entry *entries, uint32_t count)
{
    if (!count)
        return NULL;
    struct raft_entry *list = mem_zalloc_array(count, sizeof(*list));
    size_t size = 8;
    uint8_t *block = must(raft_malloc(size));
    size_t *begins = mem_zalloc_array(count, sizeof(*begins));
    for (uint32_t i = 0; i < count; i++) {
        list[i].term = entries[i].term;
        list[i].type = entries[i].kind == ENGINE_MEMBERS ? RAFT_CHANGE
                       : entries[i].kind == ENGINE_NOOP  ? RAFT_BARRIER
                                                         : RAFT_COMMAND;
        if (entries[i].kind == ENGINE_MEMBERS)
            begins[i] = add_members(entries[i].members, &block, &size, &list[i].buf.len);
    }
    for (uint32_t i = 0; i < count; i++) {
        list[i].batch = block;
        list[i].buf.base = block + begins[i];
    }
    mem_free(begins);
    return list;
}

/* ---- events ---- */

static struct raft_message message_of(const struct engine_message *from, const char *address)
{
    struct raft_message to = {.server_id = from->peer, .server_address = address};
    switch (from->type) {
    case ENGINE_APPEND:
        to.type = RAFT_APPEND_ENTRIES;
        to.append_entries.term = from->term;
        to.append_entries.prev_log_index = from->index;
        to.append_entries.prev_log_term = from->index_term;
        to.append_entries.leader_commit = from->commit;
        to.append_entries.entries = entries_of(from->entries, from->count);
        to.append_entries.n_entries = from->count;
        break;
    case ENGINE_APPENDED:
        to.type = RAFT_APPEND_ENTRIES_RESULT;
        to.append_entries_result.version = APPEND_RESULT_VERSION;
        to.append_entries_result.term = from->term;
        to.append_entries_result.rejected = from->rejected;
        to.append_entries_result.last_log_index = from->index;
        break;
    case ENGINE_VOTE:
        to.type = RAFT_REQUEST_VOTE;
        to.request_vote.version = REQUEST_VOTE_VERSION;
        to.request_vote.term = from->term;
        to.request_vote.candidate_id = from->peer;
        to.request_vote.last_log_index = from->index;
        to.request_vote.last_log_term = from->index_term;
        to.request_vote.pre_vote = from->pre_vote;
        to.request_vote.disrupt_leader = from->disrupts;
        break;
    case ENGINE_VOTED:
        to.type = RAFT_REQUEST_VOTE_RESULT;
        to.request_vote_result.version = REQUEST_VOTE_RESULT_VERSION;
        to.request_vote_result.term = from->term;
        to.request_vote_result.vote_granted = from->granted;
        to.request_vote_result.pre_vote = from->pre_vote;
        break;
    case ENGINE_CAMPAIGN:
        to.type = RAFT_TIMEOUT_NOW;
        to.timeout_now.term = from->term;
        to.timeout_now.last_log_index = from->index;
        to.timeout_now.last_log_term = from->index_term;
    }
    return to;
}

void core_receive(struct core *core, uint64_t now_ms, const struct engine_message *message,
                  struct engine_update *update)
{
    char address[ADDRESS_SIZE];
    address_of(message->peer, address);
    struct raft_message received = message_of(message, address);
    struct raft_event event = {.type = RAFT_RECEIVE, .receive.message = &received};
    step(core, now_ms, &event, NULL, update);
    if (message->type == ENGINE_APPEND)
        mem_free(received.append_entries.entries);
}

bool core_submit(struct core *core, uint64_t now_ms, const struct engine_entry *entry,
                 struct engine_update *update)
{
    int reason = 0;
    struct raft_entry *entries = entries_of(entry, 1);
    void *batch = entries->batch;
    struct raft_event event = {.type = RAFT_SUBMIT, .submit.entries = entries, .submit.n = 1};
    bool taken = step(core, now_ms, &event, &reason, update);
    if (!taken)
        raft_free(batch);
    mem_free(entries);
    return taken;
}

void core_persisted(struct core *core, uint64_t now_ms, uint64_t index,
                    struct engine_update *update)
{
    struct raft_event event = {.type = RAFT_PERSISTED_ENTRIES, .persisted_entries.index = index};
    step(core, now_ms, &event, NULL, update);
}

void core_timeout(struct core *core, uint64_t now_ms, struct engine_update *update)
{
    struct raft_event event = {.type = RAFT_TIMEOUT};
    step(core, now_ms, &event, NULL, update);
}

/* A heartbeat of nobody, which speaks of no entry. */
void core_stand_down(struct core *core, uint64_t now_ms, struct engine_update *update)
{
    struct engine_message heartbeat = {.type = ENGINE_APPEND, .term = core_term(core)};
    core_receive(core, now_ms, &heartbeat, update);
}

bool core_transfer(struct core *core, uint64_t now_ms, uint64_t peer, struct engine_update *update)
{
    int reason = 0;
    struct raft_event event = {.type = RAFT_TRANSFER, .transfer.server_id = peer};
    return step(core, now_ms, &event, &reason, update);
}

void core_members_committed(struct core *core, uint64_t now_ms,
                            const struct engine_members *members, struct engine_update *update)
{
    struct raft_event event = {.type = RAFT_CONFIGURATION,
                               .configuration.index = members->index,
                               .configuration.conf = configuration_of(members)};
    step(core, now_ms, &event, NULL, update);
}

void core_floor(struct core *core, uint64_t now_ms, uint64_t index,
                const struct engine_members *members, struct engine_update *update)
{
    struct raft_event event = {.type = RAFT_SNAPSHOT};
    event.snapshot.metadata = metadata_of(index, core_term_of(core, index), members);
    step(core, now_ms, &event, NULL, update);
}

/* libraft grants no votes while it knows of an image that is on its way, so it hears of one that is
 * there as if it had been on its way for no time. */
bool core_install(struct core *core, uint64_t now_ms, uint64_t index, uint64_t term,
                  const struct engine_members *members, struct engine_update *update)
{
    char address[ADDRESS_SIZE];
    address_of(core_leader(core), address);
    struct raft_snapshot_metadata metadata = metadata_of(index, term, members);
    struct raft_message message = {.type = RAFT_INSTALL_SNAPSHOT,
                                   .server_id = core_leader(core),
                                   .server_address = address,
                                   .install_snapshot = {.term = core_term(core),
                                                        .last_index = index,
                                                        .last_term = term,
                                                        .conf = metadata.configuration,
                                                        .conf_index = members->index,
                                                        .data = {must(raft_malloc(8)), 8}}};
    void *data = message.install_snapshot.data.base;
    struct raft_event event = {.type = RAFT_RECEIVE, .receive.message = &message};
    step(core, now_ms, &event, NULL, update);
    if (!core->raft.snapshot.installing)
        return false;
    raft_free(data);
    event = (struct raft_event){.type = RAFT_PERSISTED_SNAPSHOT,
                                .persisted_snapshot = {.metadata = metadata, .last = true}};
    step(core, now_ms, &event, NULL, update);
    return true;
}

/* ---- beginning and end ---- */

struct core *core_new(const struct engine_start *start, uint64_t now_ms,
                      struct engine_update *update)
{
    struct core *core = mem_zalloc(sizeof(*core));
    char address[ADDRESS_SIZE];
    address_of(start->id, address);
    if (raft_init(&core->raft, NULL, NULL, start->id, address) != 0)
        must(NULL);
    core->raft.tracer = NULL;
    raft_seed(&core->raft, (unsigned)start->seed);
    raft_set_pre_vote(&core->raft, true);
    raft_set_election_timeout(&core->raft, ENGINE_ELECTION_MS);
    raft_set_heartbeat_timeout(&core->raft, ENGINE_HEARTBEAT_MS);
    raft_set_max_inflight_entries(&core->raft, ENGINE_UNCOMMITTED_MAX);

    struct raft_snapshot_metadata metadata;
    struct raft_entry *entries = entries_of(start->entries, start->entry_count);
    void *batch = entries ? entries->batch : NULL;
    struct raft_event event = {.type = RAFT_START,
                               .start = {.term = start->term,
                                         .voted_for = start->vote,
                                         .start_index = start->floor + 1,
                                         .entries = entries,
                                         .n_entries = start->entry_count}};
    if (start->floor) {
        metadata = metadata_of(start->floor, start->floor_term, &start->members);
        event.start.metadata = &metadata;
    }
    if (step(core, now_ms, &event, NULL, update) && batch)
        raft_free(batch);
    mem_free(entries);
    return core;
}

void core_free(struct core *core)
{
    raft_close(&core->raft, NULL);
    mem_free(core);
}

/* ---- what is known ---- */

enum core_role core_role(const struct core *core)
{
    return core->raft.state == RAFT_LEADER      ? CORE_LEADER
           : core->raft.state == RAFT_CANDIDATE ? CORE_CANDIDATE
                                                : CORE_FOLLOWER;
}

uint64_t core_term(const struct core *core)
{
    return raft_current_term(&core->raft);
}

uint64_t core_vote(const struct core *core)
{
    return raft_voted_for(&core->raft);
}

uint64_t core_leader(const struct core *core)
{
    return core->raft.state == RAFT_FOLLOWER ? core->raft.follower_state.current_leader.id
           : core->raft.state == RAFT_LEADER ? core->raft.id
                                             : 0;
}

/* libraft's list of terms: each record is a term and the last index of that. */
static unsigned record_count(const struct raft_trail *trail)
{
    return trail->front <= trail->back ? trail->back - trail->front
                                       : trail->size - trail->front + trail->back;
}

uint64_t core_last(const struct core *core)
{
    const struct raft_trail *trail = &core->raft.trail;
    unsigned count = record_count(trail);
    return count ? trail->records[(trail->front + count - 1) % trail->size].index
                 : trail->snapshot.index;
}

uint64_t core_term_of(const struct core *core, uint64_t index)
{
    const struct raft_trail *trail = &core->raft.trail;
    unsigned count = record_count(trail);
    if (index && index == trail->snapshot.index)
        return trail->snapshot.term;
    for (unsigned i = 0; index > trail->offset && i < count; i++)
        if (trail->records[(trail->front + i) % trail->size].index >= index)
            return trail->records[(trail->front + i) % trail->size].term;
    return 0;
}

uint64_t core_stored(const struct core *core)
{
    return core->raft.last_stored;
}

uint64_t core_commit(const struct core *core)
{
    return raft_commit_index(&core->raft);
}

uint64_t core_floor_index(const struct core *core)
{
    return core->raft.trail.snapshot.index;
}

uint64_t core_match(const struct core *core, uint64_t peer)
{
    raft_index index = 0;
    if (core->raft.state != RAFT_LEADER || raft_match_index(&core->raft, peer, &index) != 0)
        return 0;
    return index;
}

uint64_t core_deadline(const struct core *core)
{
    return raft_timeout(&core->raft);
}
