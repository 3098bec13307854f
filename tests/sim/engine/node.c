/* A member: its engine, its journal, and what it applies. */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/planted.h"
#include "tests/sim/engine/group.h"

enum { IMAGE_MS = 3000, PINNED_MS = 5000, CHECKPOINT_MS = 500 };

uint64_t node_now(const struct group *group, const struct node *node)
{
    return (uint64_t)((double)group->now_ms * node->rate) + node->offset_ms;
}

static void set_deadline(struct group *group, struct node *node)
{
    uint64_t deadline = engine_deadline(node->engine), now = node_now(group, node);
    if (deadline == node->deadline_ms)
        return;
    node->deadline_ms = deadline;
    uint64_t delay = deadline > now ? (uint64_t)((double)(deadline - now) / node->rate) : 0;
    group_at(group, EVENT_DEADLINE, node->number, 0, delay + 1, ++node->deadline_epoch);
}

/* ---- the journal ---- */

/* The log lives on with what a floor or an image takes from it until the engine knows of that. */
static void record(struct node *node, const struct record *what)
{
    if (what->kind == RECORD_VOTE || what->kind == RECORD_ENTRY)
        state_apply(&node->live, what);
    node->records = mem_grow(node->records, &node->record_capacity, node->record_count + 1,
                             sizeof(*node->records));
    node->records[node->record_count++] = *what;
}

static void start_sync(struct group *group, struct node *node)
{
    if (node->syncing || node->is_stuck || !node->record_count)
        return;
    node->syncing = node->record_count;
    node->sync_index = engine_last(node->engine);
    node->sync_cuts = engine_cuts(node->engine);
    group_at(group, EVENT_SYNCED, node->number, 0, 1 + group_below(group, group->sync_ms * 2),
             node->epoch);
}

static void make_durable(struct node *node, size_t count)
{
    for (size_t i = 0; i < count; i++)
        state_apply(&node->durable, &node->records[i]);
    node->record_count -= count;
    if (node->record_count)
        memmove(node->records, node->records + count, node->record_count * sizeof(*node->records));
    node->durable_records += count;
}

/* ---- what the engine wants ---- */

static void record_entries(struct group *group, struct node *node, const struct packet *received)
{
    const struct engine_update *update = &node->update;
    group->report->cuts += update->cut_from != 0;
    for (uint32_t i = 0; i < update->append_count; i++) {
        struct record what = {.kind = RECORD_ENTRY, .index = update->append_from + i};
        if (update->append_kind) {
            what.entry = (struct entry){.term = engine_term(node->engine),
                                        .kind = update->append_kind,
                                        .value = ++group->value};
            if (update->append_kind == ENGINE_MEMBERS)
                what.entry.members = group_keep(group, engine_members(node->engine));
            if (update->append_kind == ENGINE_RECORDS)
                what.entry.node = node->proposing;
        } else {
            what.entry = received->contents[what.index - received->message.index - 1];
        }
        record(node, &what);
    }
}

static void add_entries(struct group *group, struct node *node, struct packet *packet)
{
    const struct engine_message *message = &packet->message;
    if (!message->count)
        return;
    packet->entries =
        mem_zalloc(message->count * (sizeof(*packet->entries) + sizeof(*packet->contents)));
    packet->contents = (struct entry *)(void *)(packet->entries + message->count);
    for (uint32_t i = 0; i < message->count; i++) {
        const struct entry *entry = state_entry(&node->live, message->index + 1 + i);
        if (!entry) {
            group_fail(group, "%" PRIx64 " shall send entry %" PRIu64 ", which it has not",
                       node->id, message->index + 1 + i);
            packet->message.count = i;
            return;
        }
        packet->entries[i] = (struct engine_entry){
            .term = entry->term, .kind = entry->kind, .members = entry->members};
        packet->contents[i] = *entry;
    }
}

static void send(struct group *group, struct node *node, struct packet *packet)
{
    struct node *to = group_node(group, packet->to);
    if (to && to != node)
        links_send(group, node->number, to->number, packet);
    else
        packet_free(packet);
}

/* What may leave does: the rest waits for a vote to be durable. */
static void send_ready(struct group *group, struct node *node)
{
    size_t sent = 0;
    while (sent < node->outbox_count && (node->outbox[sent].needs <= node->durable_records ||
                                         planted(PLANTED_ENGINE_VOTE_NOT_SYNCED)))
        send(group, node, &node->outbox[sent++]);
    node->outbox_count -= sent;
    if (node->outbox_count)
        memmove(node->outbox, node->outbox + sent, node->outbox_count * sizeof(*node->outbox));
}

static void queue_packet(struct node *node, const struct packet *packet)
{
    node->outbox = mem_grow(node->outbox, &node->outbox_capacity, node->outbox_count + 1,
                            sizeof(*node->outbox));
    node->outbox[node->outbox_count] = *packet;
    node->outbox[node->outbox_count++].needs = node->vote_needs;
}

static void queue_all(struct group *group, struct node *node)
{
    const struct engine_update *update = &node->update;
    uint64_t now = node_now(group, node);
    for (size_t i = 0; i < update->message_count; i++) {
        struct packet packet = {.message = update->messages[i], .to = update->messages[i].peer};
        packet.message.peer = node->id;
        add_entries(group, node, &packet);
        queue_packet(node, &packet);
    }
    for (size_t i = 0; i < update->image_count; i++) {
        struct packet packet = {
            .kind = PACKET_OFFER,
            .index = node->applied,
            .term = engine_term_of(node->engine, node->applied),
            .members = group_keep(group, engine_members_at(node->engine, node->applied)),
            .to = update->images[i]};
        if (node->pinned_until_ms < now)
            node->pinned = node->applied;
        node->pinned_until_ms = now + PINNED_MS;
        queue_packet(node, &packet);
    }
}

static void note_role(struct group *group, struct node *node)
{
    uint64_t term = engine_term(node->engine);
    if (engine_leads(node->engine) && node->office_term != term) {
        group_say(group, "%" PRIx64 " leads in term %" PRIu64, node->id, term);
        group->report->elections++;
        judge_leader(group, node);
    }
    rights_follow(group, node);
}

static void apply(struct group *group, struct node *node)
{
    judge_commit(group, node, node->seen_commit);
    node->seen_commit = engine_commit(node->engine);
    while (!group->is_failed && node->applied < node->seen_commit) {
        const struct entry *entry = state_entry(&node->live, node->applied + 1);
        if (!entry) {
            group_fail(group, "%" PRIx64 " shall apply entry %" PRIu64 ", which it has not",
                       node->id, node->applied + 1);
            return;
        }
        judge_applied(group, node, ++node->applied, entry);
        rights_applied(group, node, node->applied, entry);
    }
}

void node_follow(struct group *group, struct node *node, const struct packet *received)
{
    if (node->update.broken)
        group_fail(group, "%" PRIx64 " stops: %s", node->id, node->update.broken);
    if (group->is_failed)
        return;
    if (node->update.vote_changed) {
        group_say(group, "%" PRIx64 " is in term %" PRIu64 " and votes for %" PRIx64, node->id,
                  engine_term(node->engine), engine_vote(node->engine));
        record(node, &(struct record){.kind = RECORD_VOTE,
                                      .term = engine_term(node->engine),
                                      .vote = engine_vote(node->engine)});
        node->vote_needs = node->durable_records + node->record_count;
    }
    record_entries(group, node, received);
    note_role(group, node);
    queue_all(group, node);
    send_ready(group, node);
    apply(group, node);
    start_sync(group, node);
    set_deadline(group, node);
    rights_follow(group, node);
    if (planted(PLANTED_ENGINE_SYNC_EARLY) && node->update.append_count) {
        engine_persisted(node->engine, node_now(group, node), engine_last(node->engine),
                         engine_cuts(node->engine), &node->update);
        node_follow(group, node, NULL);
    }
}

/* ---- images and checkpoints ---- */

static void take_offer(struct group *group, struct node *node, const struct packet *packet)
{
    if (node->image_index >= packet->index || node->image_on_record)
        return;
    bool pulls = node->image_index != 0;
    node->image_index = packet->index;
    node->image_term = packet->term;
    node->image_members = packet->members;
    if (!pulls)
        group_at(group, EVENT_IMAGE, node->number, 0, group_below(group, IMAGE_MS), node->epoch);
}

static void put_image(struct group *group, struct node *node)
{
    uint64_t index = node->image_index;
    if (engine_leads(node->engine) || engine_term_of(node->engine, index) == node->image_term ||
        index <= node->live.floor) {
        node->image_index = 0;
        return;
    }
    node->image_on_record = true;
    record(node, &(struct record){.kind = RECORD_IMAGE,
                                  .index = index,
                                  .term = node->image_term,
                                  .members = node->image_members});
    start_sync(group, node);
}

static void image_is_durable(struct group *group, struct node *node, const struct record *what)
{
    node->image_on_record = false;
    node->image_index = 0;
    if (engine_imaged(node->engine, node_now(group, node), what->index, what->term, what->members,
                      &node->update)) {
        group->report->images++;
        state_apply(&node->live, what);
        node->applied = what->index;
        rights_restored(group, node, what->index);
    } else {
        node->floor_wanted = what->index;
    }
    node_follow(group, node, NULL);
}

static void checkpoint(struct group *group, struct node *node)
{
    uint64_t keeps = group->floor_keeps ? group_below(group, group->floor_keeps) : 0;
    uint64_t index = node->applied > keeps ? node->applied - keeps : 0;
    if (node->pinned_until_ms > node_now(group, node) && index > node->pinned)
        index = node->pinned;
    group_at(group, EVENT_CHECKPOINT, node->number, 0, 1 + group_below(group, CHECKPOINT_MS),
             node->epoch);
    if (node->floor_on_record || node->image_on_record || index <= node->live.floor)
        return;
    node->floor_on_record = true;
    record(node,
           &(struct record){.kind = RECORD_FLOOR,
                            .index = index,
                            .members = group_keep(group, engine_members_at(node->engine, index))});
    start_sync(group, node);
}

static void raise_floor(struct group *group, struct node *node, uint64_t index)
{
    state_apply(&node->live, &(struct record){.kind = RECORD_FLOOR,
                                              .index = index,
                                              .members = group_keep(
                                                  group, engine_members_at(node->engine, index))});
    engine_floor(node->engine, node_now(group, node), index, &node->update);
    node_follow(group, node, NULL);
}

static void synced(struct group *group, struct node *node)
{
    size_t count = node->syncing;
    uint64_t index = node->sync_index, cuts = node->sync_cuts;
    struct record *done = mem_dup(node->records, count * sizeof(*done));
    node->syncing = 0;
    make_durable(node, count);
    for (size_t i = 0; i < count && !group->is_failed; i++) {
        if (done[i].kind == RECORD_IMAGE)
            image_is_durable(group, node, &done[i]);
        if (done[i].kind != RECORD_FLOOR)
            continue;
        node->floor_on_record = false;
        raise_floor(group, node, done[i].index);
    }
    mem_free(done);
    send_ready(group, node);
    engine_persisted(node->engine, node_now(group, node), index, cuts, &node->update);
    node_follow(group, node, NULL);
    if (node->floor_wanted && engine_commit(node->engine) >= node->floor_wanted) {
        raise_floor(group, node, node->floor_wanted);
        node->floor_wanted = 0;
    }
    start_sync(group, node);
}

/* ---- events ---- */

void node_arrived(struct group *group, struct node *node, struct packet *packet, uint32_t from)
{
    struct engine_message *message = &packet->message;
    switch (packet->kind) {
    case PACKET_MESSAGE:
        group->rejected += message->rejected && group->nodes[from].image_index == 0;
        message->entries = packet->entries;
        engine_receive(node->engine, node_now(group, node), message, &node->update);
        node_follow(group, node, packet);
        break;
    case PACKET_OFFER:
        take_offer(group, node, packet);
        break;
    default:
        rights_arrived(group, node, packet, from);
    }
}

static void peer_gone(struct group *group, struct node *node, uint32_t other)
{
    const struct engine_members *members = engine_members(node->engine);
    uint32_t rank = 0;
    bool led = engine_leader(node->engine) == group->nodes[other].id;
    for (uint32_t i = 0; i < members->count && members->of[i].id != node->id; i++)
        rank += members->of[i].role == ENGINE_VOTER && members->of[i].id != group->nodes[other].id;
    group->report->hints += led;
    engine_peer_gone(node->engine, node_now(group, node), group->nodes[other].id, rank,
                     &node->update);
    node_follow(group, node, NULL);
}

void node_event(struct group *group, struct node *node, const struct sim_event *event)
{
    enum group_event kind = (enum group_event)event->kind;
    if (kind == EVENT_START) {
        if (!node->is_up)
            node_start(group, node);
        return;
    }
    if (!node->is_up || (kind == EVENT_DEADLINE ? event->epoch != node->deadline_epoch
                                                : event->epoch != node->epoch))
        return;
    if (node->is_paused && kind != EVENT_RESUME) {
        group_at(group, kind, node->number, (uint32_t)event->which, 20, event->epoch);
        return;
    }
    switch (kind) {
    case EVENT_DEADLINE:
        node->deadline_ms = 0;
        engine_timeout(node->engine, node_now(group, node), &node->update);
        node_follow(group, node, NULL);
        break;
    case EVENT_SYNCED:
        synced(group, node);
        break;
    case EVENT_RESUME:
        node->is_paused = false;
        links_poll(group, node->number);
        break;
    case EVENT_GONE:
        peer_gone(group, node, (uint32_t)event->which);
        break;
    case EVENT_CHECKPOINT:
        checkpoint(group, node);
        break;
    case EVENT_IMAGE:
        put_image(group, node);
        break;
    case EVENT_LEASE:
        rights_tick(group, node);
        break;
    case EVENT_UNSTICK:
        node->is_stuck = false;
        start_sync(group, node);
        break;
    default:
        break;
    }
}

/* ---- beginning and end ---- */

static struct engine *engine_from(struct group *group, struct node *node)
{
    const struct state *state = &node->durable;
    struct engine_entry *entries = mem_zalloc_array(state->count + 1, sizeof(*entries));
    for (size_t i = 0; i < state->count; i++)
        entries[i] = (struct engine_entry){.term = state->entries[i].term,
                                           .kind = state->entries[i].kind,
                                           .members = state->entries[i].members};
    struct engine_start start = {.id = node->id,
                                 .seed = random_next(&group->random),
                                 .term = state->term,
                                 .vote = state->vote,
                                 .floor = state->floor,
                                 .floor_term = state->floor_term,
                                 .members = *state->floor_members,
                                 .entries = entries,
                                 .entry_count = (uint32_t)state->count};
    struct engine *engine = engine_new(&start, node_now(group, node), &node->update);
    mem_free(entries);
    return engine;
}

void node_start(struct group *group, struct node *node)
{
    state_copy(&node->live, &node->durable);
    node->start_term = node->durable.term;
    node->is_up = true;
    node->is_paused = node->is_stuck = false;
    node->epoch++;
    node->deadline_epoch += 1000;
    node->deadline_ms = 0;
    node->record_count = node->syncing = 0;
    node->vote_needs = node->durable_records;
    node->applied = node->seen_commit = node->durable.floor;
    rights_start(group, node);
    node->image_index = node->floor_wanted = node->pinned_until_ms = 0;
    node->image_on_record = node->floor_on_record = false;
    node->engine = engine_from(group, node);
    engine_may_campaign(node->engine, node->may_campaign);
    node_follow(group, node, NULL);
    for (uint32_t i = 0; i < NODES; i++)
        if (i != node->number)
            group_at(group, EVENT_CONNECT, node->number, i, 1 + group_below(group, 20), 0);
    group_at(group, EVENT_CHECKPOINT, node->number, 0, CHECKPOINT_MS, node->epoch);
    group_at(group, EVENT_LEASE, node->number, 0, 1, node->epoch);
}

void node_end(struct group *group, struct node *node, bool is_power_cut)
{
    if (!node->is_up)
        return;
    size_t kept = node->record_count;
    if (is_power_cut)
        kept = group_below(group, node->record_count + 1);
    else if (kept > node->syncing)
        kept = node->syncing + group_below(group, kept - node->syncing + 1);
    make_durable(node, kept);
    node->is_up = false;
    node->epoch++;
    for (size_t i = 0; i < node->outbox_count; i++)
        packet_free(&node->outbox[i]);
    node->outbox_count = 0;
    engine_free(node->engine);
    node->engine = NULL;
    rights_end(node);
    links_end(group, node->number);
}

void node_wipe(struct group *group, struct node *node)
{
    uint64_t id = node->id;
    node_end(group, node, true);
    group->report->wipes++;
    state_free(&node->durable);
    node->durable.floor_members = group_keep(group, &(struct engine_members){0});
    node->generation++;
    node->id = (uint64_t)(node->number + 1) << 16 | node->generation;
    if (planted(PLANTED_ENGINE_SAME_ID))
        node->id = id;
    node_start(group, node);
}
