/* See group.h. The engine says what is to be done (engine.h, in that order), and follow() does it. */
#include "cluster/group.h"

#include <assert.h>
#include <string.h>

#include "base/list.h"
#include "base/mem.h"
#include "base/planted.h"
#include "base/shared.h"
#include "store/record.h"
#include "store/store.h"

enum {
    PIECE_BYTES = 1 << 20,      /* of entries, in a message */
    INBOX_BYTES = LINK_WHOLE_BYTES + (32 << 20), /* that wait; what is more is dropped */
    HELD_MAX = 1024,            /* messages that wait for a vote to be durable */
    LAGS_ENTRIES = 4 * ENGINE_UNCOMMITTED_MAX,
    NOTE_VERSION = 1,
};

/* A message that has come and waits: for the log to be read, or, with entries, for room on the disk. */
struct waiting {
    struct list link;
    uint32_t node;
    struct link_raft raft; /* its entries are below, or shared */
    struct shared *shared; /* NULL: they are below */
    size_t size;
    uint8_t entries[];
};

/* A member, and the APPENDs that are to go to it, in order, whose entries are not with them. */
struct seat {
    uint64_t id;
    struct engine_message *queue;
    size_t at, count, capacity;
    bool lacks; /* what this leader's log has no more, as it has said */
};

/* A NODE entry that is in the log. */
struct node_entry {
    uint64_t index;
    struct lease_node node;
};

struct group {
    struct group_options options;
    struct group_log *log;
    struct engine *engine; /* NULL: the log is being read */
    struct lease *lease;
    struct engine_update update;
    struct link_message message; /* the last that was read */
    struct shared *shared;       /* has what it says, while it is taken; NULL: that is copied */
    struct ticket vote;          /* nothing leaves before it is durable */
    struct engine_message *held; /* waits for that */
    size_t held_count, held_capacity;
    struct seat seats[ENGINE_MEMBERS_MAX];
    uint32_t seat_count;
    struct list inbox;
    size_t inbox_bytes;
    struct node_entry *nodes;
    size_t node_count, node_capacity;
    struct lease_node floor_present[LEASE_NODES_MAX];
    size_t floor_present_count;
    uint64_t reading; /* at the start: the next entry to be looked at */
    struct engine_members *read_members;
    size_t read_members_count, read_members_capacity;
    uint64_t persisted, persisted_cuts;
    uint64_t office_term;
    uint64_t timed, timed_ms; /* an entry of this leader that is to be committed, and when it was proposed; 0: none */
    uint64_t wall_ms, stamp_ms;
    uint64_t applied;
    uint32_t lacking;
    const char *broken;
    struct buffer scratch;
    struct group_stats stats;
};

/* An own entry that follow() appends. */
struct own {
    uint8_t use;
    uint64_t catalogue;
    struct log_contents contents;
};

/* ---- what an entry or a floor says to the group ---- */

static void node_write(struct buffer *out, const struct lease_node *node)
{
    buffer_add_u64(out, node->node);
    buffer_add_u64(out, node->incarnation);
    buffer_add_u8(out, node->is_present);
}

static bool node_read(struct cursor *cursor, struct lease_node *node)
{
    node->node = cursor_u64(cursor);
    node->incarnation = cursor_u64(cursor);
    uint8_t is_present = cursor_u8(cursor);
    node->is_present = is_present == 1;
    return !cursor->bad && node->node && is_present <= 1;
}

/* The one note that is in contents. */
static bool note_of(struct bytes contents, struct bytes *note)
{
    struct cursor cursor = cursor_of(contents);
    enum record_type type;
    return content_next(&cursor, &type, note) && type == RECORD_NOTE && cursor_left(&cursor) == 0;
}

/* Makes `out` contents that are one note. */
static struct bytes note_contents(struct buffer *out, struct buffer *note)
{
    out->size = 0;
    content_add(out, RECORD_NOTE, buffer_bytes(note));
    buffer_free(note);
    return buffer_bytes(out);
}

static struct bytes members_contents(struct buffer *out, const struct engine_members *members)
{
    struct buffer note = {0};
    link_members_write(&note, members);
    return note_contents(out, &note);
}

static struct bytes node_contents(struct buffer *out, const struct lease_node *node)
{
    struct buffer note = {0};
    node_write(&note, node);
    return note_contents(out, &note);
}

static bool node_of(struct bytes contents, struct lease_node *node)
{
    struct bytes note;
    if (!note_of(contents, &note))
        return false;
    struct cursor cursor = cursor_of(note);
    return node_read(&cursor, node) && cursor_left(&cursor) == 0;
}

/* Of a floor: version, stamp, how many are present, these, and the members. */
static void floor_write(struct buffer *out, uint64_t stamp_ms, const struct lease_node *present,
                        size_t count, const struct engine_members *members)
{
    out->size = 0;
    buffer_add_u8(out, NOTE_VERSION);
    buffer_add_u64(out, stamp_ms);
    buffer_add_u64(out, members->index);
    buffer_add_u8(out, (uint8_t)count);
    for (size_t i = 0; i < count; i++)
        node_write(out, &present[i]);
    if (members->count)
        link_members_write(out, members);
    assert(out->size <= GROUP_NOTE_MAX);
}

static bool floor_read(struct group *group, struct bytes note, struct engine_members *members)
{
    struct cursor cursor = cursor_of(note);
    uint8_t version = cursor_u8(&cursor);
    group->stamp_ms = cursor_u64(&cursor);
    uint64_t members_index = cursor_u64(&cursor);
    group->floor_present_count = cursor_u8(&cursor);
    *members = (struct engine_members){0};
    if (cursor.bad || version != NOTE_VERSION || group->floor_present_count > LEASE_NODES_MAX)
        return false;
    for (size_t i = 0; i < group->floor_present_count; i++)
        if (!node_read(&cursor, &group->floor_present[i]) || !group->floor_present[i].is_present)
            return false;
    struct bytes rest = cursor_bytes(&cursor, cursor_left(&cursor));
    if (rest.size && !link_members_read(rest, members))
        return false;
    members->index = members_index;
    return true;
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* A log that is empty, and that says nothing of members. */
static struct group_log *begin_log(struct store *store, uint64_t group)
{
    struct buffer note = {0};
    floor_write(&note, 0, NULL, 0, &(struct engine_members){0});
    struct log_floor floor = {.note = buffer_bytes(&note)};
    struct group_log *log = group_log_begin(store, group, &floor);
    buffer_free(&note);
    return log;
}

/* The first entry says who the members are, so that one who joins later hears it as all others did. */
void group_found(struct store *store, uint64_t group, const struct engine_members *members)
{
    struct buffer contents = {0};
    struct group_log *log = begin_log(store, group);
    struct log_head head = {.index = 1, .term = 1, .kind = GROUP_USE_MEMBERS};
    group_log_vote(log, 1, 0);
    group_log_append(log, &head, members_contents(&contents, members));
    group_log_committed(log, 1);
    buffer_free(&contents);
}

void group_refound(struct store *store, uint64_t group, const struct engine_members *members)
{
    struct buffer contents = {0};
    struct group_log *log = group_log_find(store, group);
    uint64_t vote, last = group_log_last(log), term = group_log_vote_term(log, &vote);
    struct log_head head = {.index = last + 1,
                            .term = later(term, group_log_term(log, last)) + 1,
                            .kind = GROUP_USE_MEMBERS};
    group_log_vote(log, head.term, 0);
    group_log_append(log, &head, members_contents(&contents, members));
    group_log_committed(log, head.index);
    buffer_free(&contents);
}

void group_join(struct store *store, uint64_t group)
{
    begin_log(store, group);
}

/* ---- who is present ---- */

/* By the floor and the entries up to one. */
static size_t present_at(const struct group *group, uint64_t index, struct lease_node *present)
{
    size_t count = group->floor_present_count;
    memcpy(present, group->floor_present, count * sizeof(*present));
    for (size_t i = 0; i < group->node_count && group->nodes[i].index <= index; i++) {
        const struct lease_node *node = &group->nodes[i].node;
        size_t at = 0;
        while (at < count && present[at].node != node->node)
            at++;
        if (node->is_present && (at < count || count < LEASE_NODES_MAX)) {
            present[at] = *node;
            count += at == count;
        } else if (!node->is_present && at < count) {
            present[at] = present[--count];
        }
    }
    return count;
}

static void node_noted(struct group *group, uint64_t index, const struct lease_node *node)
{
    group->nodes = mem_grow(group->nodes, &group->node_capacity, group->node_count + 1,
                            sizeof(*group->nodes));
    group->nodes[group->node_count++] = (struct node_entry){index, *node};
}

/* Entries from here on go. */
static void nodes_cut(struct group *group, uint64_t from)
{
    while (group->node_count && group->nodes[group->node_count - 1].index >= from)
        group->node_count--;
}

/* ---- messages that leave ---- */

static struct seat *seat_of(struct group *group, uint64_t id)
{
    for (uint32_t i = 0; i < group->seat_count; i++)
        if (group->seats[i].id == id)
            return &group->seats[i];
    return NULL;
}

static struct link *link_of(const struct group *group, uint64_t id)
{
    return links_numbered(group->options.links, group_member_node(id));
}

static void seat_clear(struct seat *seat)
{
    seat->at = seat->count = 0;
}

static void seat_pop(struct seat *seat)
{
    seat->at = --seat->count ? seat->at + 1 : 0;
}

/* There is a seat for each member; that of one who left is free. */
static void follow_members(struct group *group)
{
    const struct engine_members *members = engine_members(group->engine);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < group->seat_count; i++) {
        bool is_member = false;
        for (uint32_t k = 0; k < members->count; k++)
            is_member |= members->of[k].id == group->seats[i].id;
        if (is_member)
            group->seats[kept++] = group->seats[i];
        else
            mem_free(group->seats[i].queue);
    }
    group->seat_count = kept;
    for (uint32_t k = 0; k < members->count; k++)
        if (members->of[k].id != group->options.self && !seat_of(group, members->of[k].id))
            group->seats[group->seat_count++] = (struct seat){.id = members->of[k].id};
}

static void break_off(struct group *group, const char *why)
{
    if (!group->broken)
        group->broken = why;
}

/* Is the message still what this leader has to say? */
static bool is_current(const struct group *group, const struct engine_message *message)
{
    return engine_leads(group->engine) && message->term == engine_term(group->engine) &&
           message->index >= group_log_floor(group->log).index &&
           message->index + message->count <= group_log_last(group->log) &&
           group_log_term(group->log, message->index) == message->index_term;
}

/* The next entries of a message that can go now: how many; their bodies are complete. */
static uint32_t read_entries(struct group *group, const struct engine_message *message,
                             struct engine_entry *entries, struct link_body *bodies, size_t *bytes)
{
    uint32_t count = 0;
    *bytes = 0;
    while (count < message->count && count < ENGINE_UNCOMMITTED_MAX && *bytes < PIECE_BYTES) {
        uint64_t index = message->index + 1 + count;
        struct log_head head;
        struct bytes contents;
        enum log_result result = group_log_read(group->log, index, &head, &contents);
        if (result == LOG_WAIT) {
            group->stats.waited_for_read++;
            break;
        }
        if (result != LOG_OK) {
            break_off(group, "an entry of its log cannot be read any more");
            break;
        }
        if (planted(PLANTED_MEMBER_CHAIN_IGNORED) && index % 64 == 0)
            head.catalogue++;
        bodies[count] = (struct link_body){.stamp_ms = head.stamp_ms,
                                           .catalogue = head.catalogue,
                                           .chain = group_log_chain(group->log, index),
                                           .shared = group_log_shared(group->log, index)};
        entries[count] = (struct engine_entry){.term = head.term, .kind = ENGINE_RECORDS};
        if (head.kind == GROUP_USE_NOOP) {
            entries[count].kind = ENGINE_NOOP;
        } else if (head.kind == GROUP_USE_MEMBERS) {
            entries[count].kind = ENGINE_MEMBERS;
            entries[count].members = engine_members_at(group->engine, index);
        } else {
            bodies[count].records = contents;
            bodies[count].use = head.kind;
        }
        *bytes += contents.size;
        count++;
    }
    return count;
}

/* Sends what can be sent to a member now of what waits. */
static void pump(struct group *group, struct seat *seat)
{
    struct engine_entry entries[ENGINE_UNCOMMITTED_MAX];
    struct link_body bodies[ENGINE_UNCOMMITTED_MAX];
    struct link *link = link_of(group, seat->id);
    while (seat->count && !group->broken) {
        struct engine_message *message = &seat->queue[seat->at];
        size_t bytes;
        if (!link || !link_is_up(link)) {
            seat_clear(seat);
            return;
        }
        if (!is_current(group, message)) {
            seat_pop(seat);
            continue;
        }
        uint32_t count = read_entries(group, message, entries, bodies, &bytes);
        if (count == 0 || !link_flights_have_room(link_flights(link), group->options.group, count,
                                                  bytes))
            break;
        struct engine_message part = *message;
        part.count = count;
        if (link_send_raft(link, group->options.group, group->options.generation,
                           group->options.self, &part, entries, bodies) != LINK_SENT)
            break;
        link_flights_sent(link_flights(link), group->options.group, message->index + 1, count,
                          bytes);
        message->index += count;
        message->index_term = entries[count - 1].term;
        message->count -= count;
        if (message->count == 0)
            seat_pop(seat);
    }
}

static void dispatch(struct group *group, const struct engine_message *message)
{
    struct seat *seat = seat_of(group, message->peer);
    struct link *link = link_of(group, message->peer);
    if (!link) {
        group->stats.dropped++;
        return;
    }
    if (message->count == 0) {
        link_send_raft(link, group->options.group, group->options.generation, group->options.self,
                       message, NULL, NULL);
        return;
    }
    if (!seat)
        return;
    /* What is sent again from an index on takes the place of what waits from there on. */
    while (seat->count && seat->queue[seat->at + seat->count - 1].index >= message->index)
        seat->count--;
    if (seat->at && seat->at + seat->count == seat->capacity) {
        memmove(seat->queue, seat->queue + seat->at, seat->count * sizeof(*seat->queue));
        seat->at = 0;
    }
    seat->queue = mem_grow(seat->queue, &seat->capacity, seat->at + seat->count + 1,
                           sizeof(*seat->queue));
    seat->queue[seat->at + seat->count] = *message;
    seat->queue[seat->at + seat->count++].entries = NULL;
    pump(group, seat);
}

static bool vote_is_durable(const struct group *group)
{
    return group->vote.index == 0 || planted(PLANTED_MEMBER_VOTE_NOT_AWAITED) ||
           store_ticket_state(group->options.store, group->vote) == TICKET_DURABLE;
}

/* What waits for a vote to be durable leaves when it is. */
static void send_held(struct group *group)
{
    if (!vote_is_durable(group))
        return;
    group->vote.index = 0;
    for (size_t i = 0; i < group->held_count; i++)
        dispatch(group, &group->held[i]);
    group->held_count = 0;
}

/* It waits for a vote to be durable. On a disk that is stuck that may take long: what is more than one could
 * want to say is not said, and entries that were to go are missed by the next heartbeat. */
static void hold(struct group *group, const struct engine_message *message)
{
    if (group->held_count >= HELD_MAX) {
        group->stats.dropped++;
        if (message->count)
            engine_link_new(group->engine, message->peer);
        return;
    }
    group->stats.held_for_vote++;
    group->held = mem_grow(group->held, &group->held_capacity, group->held_count + 1,
                           sizeof(*group->held));
    group->held[group->held_count] = *message;
    group->held[group->held_count++].entries = NULL;
}

static void send_messages(struct group *group)
{
    const struct engine_update *update = &group->update;
    bool waits = !vote_is_durable(group) || group->held_count;
    for (size_t i = 0; i < update->message_count; i++)
        if (waits)
            hold(group, &update->messages[i]);
        else
            dispatch(group, &update->messages[i]);
    send_held(group);
}

/* ---- what the engine wants ---- */

static void append(struct group *group, const struct log_head *head, const struct log_contents *contents)
{
    struct lease_node node;
    nodes_cut(group, head->index);
    if (head->kind == GROUP_USE_NODE && node_of(contents->bytes, &node))
        node_noted(group, head->index, &node);
    group_log_add(group->log, head, contents);
    group->stamp_ms = later(head->stamp_ms, group->stamp_ms);
    group->stats.appended++;
}

static void append_own(struct group *group, const struct own *own)
{
    const struct engine_update *update = &group->update;
    struct log_head head = {.index = update->append_from,
                            .term = engine_term(group->engine),
                            .stamp_ms = later(group->wall_ms, group->stamp_ms)};
    struct log_contents contents = {0};
    assert(update->append_count == 1);
    if (update->append_kind == ENGINE_NOOP) {
        head.kind = GROUP_USE_NOOP;
    } else if (update->append_kind == ENGINE_MEMBERS) {
        head.kind = GROUP_USE_MEMBERS;
        contents = log_contents_of(members_contents(&group->scratch, engine_members(group->engine)));
    } else {
        head.kind = own->use;
        head.catalogue = own->catalogue;
        contents = own->contents;
    }
    if (planted(PLANTED_MEMBER_STAMP_FALLS))
        head.stamp_ms = group->wall_ms;
    append(group, &head, &contents);
    if (planted(PLANTED_MEMBER_APPENDED_TWICE)) {
        head.index++;
        append(group, &head, &contents);
    }
}

static void append_received(struct group *group)
{
    const struct engine_update *update = &group->update;
    const struct link_message *message = &group->message;
    for (uint32_t i = 0; i < update->append_count && !group->broken; i++) {
        uint64_t index = update->append_from + i;
        size_t at = (size_t)(index - message->message.index - 1);
        const struct engine_entry *entry = &message->entries[at];
        const struct link_body *body = &message->bodies[at];
        struct bytes records = body->records;
        struct log_head head = {.index = index,
                                .term = entry->term,
                                .stamp_ms = body->stamp_ms,
                                .catalogue = body->catalogue,
                                .kind = body->use};
        if (entry->kind == ENGINE_NOOP)
            head.kind = GROUP_USE_NOOP;
        if (entry->kind == ENGINE_MEMBERS) {
            head.kind = GROUP_USE_MEMBERS;
            records = members_contents(&group->scratch, entry->members);
        }
        struct log_contents contents = log_contents_of(records);
        if (entry->kind == ENGINE_RECORDS)
            contents.shared = group->shared;
        uint32_t before = group_log_chain(group->log, index - 1);
        if (group_log_chain_of(before, &head, contents.checksum) != body->chain &&
            !planted(PLANTED_MEMBER_CHAIN_IGNORED)) {
            break_off(group, "the leader's log is another one than this member's");
            return;
        }
        append(group, &head, &contents);
    }
}

static void follow_role(struct group *group, uint64_t now_ms)
{
    uint64_t term = engine_term(group->engine);
    bool leads = engine_leads(group->engine);
    lease_term(group->lease, term);
    if (group->office_term != (leads ? term : 0))
        group->timed = 0; /* another leader may have another entry there */
    if (leads && group->office_term != term) {
        group->office_term = term;
        group->stats.elections++;
        for (uint32_t i = 0; i < group->seat_count; i++) {
            struct link *link = link_of(group, group->seats[i].id);
            seat_clear(&group->seats[i]);
            group->seats[i].lacks = false;
            if (link)
                link_flights_reset(link_flights(link), group->options.group);
        }
        lease_lead(group->lease, now_ms, term, engine_first(group->engine));
    } else if (!leads && group->office_term) {
        group->office_term = 0;
        for (uint32_t i = 0; i < group->seat_count; i++)
            seat_clear(&group->seats[i]);
        lease_follow(group->lease);
    }
    if (leads)
        lease_answered(group->lease, engine_answered_ms(group->engine, now_ms));
}

static void note_lacking(struct group *group)
{
    const struct engine_update *update = &group->update;
    group->lacking += (uint32_t)update->image_count;
    for (size_t i = 0; i < update->image_count; i++) {
        struct seat *seat = seat_of(group, update->images[i]);
        if (seat)
            seat->lacks = true;
    }
}

static void note_committed(struct group *group, uint64_t now_ms)
{
    if (!group->timed || engine_commit(group->engine) < group->timed)
        return;
    group->stats.commit_ms = now_ms - group->timed_ms;
    group->timed = 0;
}

static void follow(struct group *group, uint64_t now_ms, const struct own *own)
{
    struct engine_update *update = &group->update;
    if (update->broken)
        break_off(group, update->broken);
    if (group->broken)
        return;
    if (update->vote_changed) {
        group_log_vote(group->log, engine_term(group->engine), engine_vote(group->engine));
        group->vote = store_ticket(group->options.store);
        store_want(group->options.store, group->vote);
    }
    if (update->cut_from && update->cut_from <= group_log_last(group->log)) {
        group_log_cut(group->log, update->cut_from);
        group->stats.cuts++;
        nodes_cut(group, update->cut_from);
    }
    if (update->append_count && update->append_kind)
        append_own(group, own);
    else if (update->append_count)
        append_received(group);
    if (group->broken)
        return;
    if (update->append_count)
        store_want(group->options.store, store_ticket(group->options.store));
    follow_members(group);
    follow_role(group, now_ms);
    send_messages(group);
    note_lacking(group);
    note_committed(group, now_ms);
    group_log_committed(group->log, engine_commit(group->engine));
}

/* ---- the beginning ---- */

/* Reads what the log says of members and of who is present, and the last entry, for its stamp.
 * False: it goes on in another turn. */
static bool read_log(struct group *group)
{
    for (; group->reading <= group_log_last(group->log); group->reading++) {
        struct log_head head;
        struct bytes contents, note;
        uint8_t kind = group_log_kind(group->log, group->reading);
        bool says = kind == GROUP_USE_MEMBERS || kind == GROUP_USE_NODE;
        if (!says && group->reading < group_log_last(group->log))
            continue;
        enum log_result result = group_log_read(group->log, group->reading, &head, &contents);
        if (result == LOG_WAIT)
            return false;
        struct lease_node node;
        struct engine_members members = {.index = group->reading};
        bool ok = result == LOG_OK;
        if (ok && kind == GROUP_USE_NODE)
            ok = node_of(contents, &node);
        if (ok && kind == GROUP_USE_MEMBERS)
            ok = note_of(contents, &note) && link_members_read(note, &members);
        if (!ok) {
            break_off(group, result == LOG_OK ? "an entry of its log says what it cannot"
                                              : "an entry of its log cannot be read any more");
            return false;
        }
        group->stamp_ms = later(head.stamp_ms, group->stamp_ms);
        if (kind == GROUP_USE_NODE)
            node_noted(group, group->reading, &node);
        if (kind != GROUP_USE_MEMBERS)
            continue;
        members.index = group->reading;
        group->read_members =
            mem_grow(group->read_members, &group->read_members_capacity,
                     group->read_members_count + 1, sizeof(*group->read_members));
        group->read_members[group->read_members_count++] = members;
    }
    return true;
}

static void start_engine(struct group *group, uint64_t now_ms, const struct engine_members *members)
{
    struct log_floor floor = group_log_floor(group->log);
    uint64_t last = group_log_last(group->log);
    uint32_t count = (uint32_t)(last - floor.index);
    struct engine_entry *entries = mem_zalloc_array((size_t)count + 1, sizeof(*entries));
    size_t members_at = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t index = floor.index + 1 + i;
        uint8_t kind = group_log_kind(group->log, index);
        entries[i] = (struct engine_entry){.term = group_log_term(group->log, index),
                                           .kind = kind == GROUP_USE_NOOP      ? ENGINE_NOOP
                                                   : kind == GROUP_USE_MEMBERS ? ENGINE_MEMBERS
                                                                               : ENGINE_RECORDS};
        if (kind == GROUP_USE_MEMBERS)
            entries[i].members = &group->read_members[members_at++];
    }
    struct engine_start start = {.id = group->options.self,
                                 .seed = group->options.seed,
                                 .floor = floor.index,
                                 .floor_term = floor.term,
                                 .members = *members,
                                 .entries = entries,
                                 .entry_count = count,
                                 .commit = group_log_commit(group->log)};
    start.term = group_log_vote_term(group->log, &start.vote);
    group->engine = engine_new(&start, now_ms, &group->update);
    mem_free(entries);
    mem_free(group->read_members);
    group->read_members = NULL;
    group->read_members_capacity = group->read_members_count = 0;
}

/* The engine takes what the log has for durable. That of a node that has left, and is back, may not be yet. The
 * first entry of a group is the same at all who begin it, also once more. */
static bool is_durable(struct group *group)
{
    uint64_t last = group_log_last(group->log);
    if (last <= 1 || group_log_durable(group->log) >= last)
        return true;
    store_want(group->options.store, store_ticket(group->options.store));
    return false;
}

static void begin(struct group *group, uint64_t now_ms)
{
    struct lease_node present[LEASE_NODES_MAX];
    struct engine_members members;
    struct log_floor floor = group_log_floor(group->log);
    if (group->broken || !is_durable(group) || !read_log(group))
        return;
    uint64_t stamp_ms = group->stamp_ms; /* of the last entry */
    if (planted(PLANTED_MEMBER_STAMP_FORGOTTEN))
        stamp_ms = 0;
    if (!floor_read(group, floor.note, &members)) {
        break_off(group, "its log begins with what this version does not know");
        return;
    }
    group->stamp_ms = later(stamp_ms, group->stamp_ms);
    group->applied = group_log_kept(group->log);
    lease_restored(group->lease, now_ms, group->applied, present,
                   present_at(group, group->applied, present));
    start_engine(group, now_ms, &members);
    follow(group, now_ms, NULL);
}

struct group *group_new(const struct group_options *options, uint64_t now_ms)
{
    struct group *group = mem_zalloc(sizeof(*group));
    group->options = *options;
    group->log = group_log_find(options->store, options->group);
    assert(group->log);
    list_init(&group->inbox);
    group->lease = lease_new(group_member_node(options->self), options->incarnation, now_ms);
    group->reading = group_log_floor(group->log).index + 1;
    group->persisted_cuts = UINT64_MAX;
    begin(group, now_ms);
    return group;
}

static void waiting_free(struct group *group, struct waiting *waiting)
{
    group->inbox_bytes -= waiting->size;
    list_remove(&waiting->link);
    shared_unref(waiting->shared);
    mem_free(waiting);
}

void group_free(struct group *group)
{
    struct list *link;
    if (!group)
        return;
    while ((link = list_first(&group->inbox)))
        waiting_free(group, list_entry(link, struct waiting, link));
    for (uint32_t i = 0; i < group->seat_count; i++)
        mem_free(group->seats[i].queue);
    engine_free(group->engine);
    engine_update_free(&group->update);
    lease_free(group->lease);
    link_message_free(&group->message);
    buffer_free(&group->scratch);
    mem_free(group->read_members);
    mem_free(group->held);
    mem_free(group->nodes);
    mem_free(group);
}

/* ---- messages that come ---- */

/* What its entries take of a batch, at most: each record of contents has 5 bytes at least. */
static uint64_t room_for(const struct link_raft *raft)
{
    return raft->entries.size * 3 + (uint64_t)raft->count * 128;
}

/* A leader has taken it, and what ends something may be behind it: so it goes before what others want to
 * begin here while the disk is short. */
static bool has_room(struct group *group, const struct link_raft *raft)
{
    return store_room_ending(group->options.store, room_for(raft)) == STORE_ROOM_NOW;
}

/* What entries have is what their use has. */
static bool are_contents(const struct link_message *message)
{
    for (uint32_t i = 0; i < message->message.count; i++) {
        const struct link_body *body = &message->bodies[i];
        struct lease_node node;
        if (message->entries[i].kind != ENGINE_RECORDS)
            continue;
        struct cursor cursor = cursor_of(body->records);
        enum record_type type;
        struct bytes payload;
        while (content_next(&cursor, &type, &payload))
            continue;
        if (cursor.bad || body->records.size > GROUP_ENTRY_MAX ||
            (body->use != GROUP_USE_RECORDS && body->use != GROUP_USE_NODE) ||
            (body->use == GROUP_USE_NODE && !node_of(body->records, &node)))
            return false;
    }
    return true;
}

static void take(struct group *group, uint64_t now_ms, uint32_t node, const struct link_raft *raft,
                 struct shared *shared)
{
    struct link *link = links_numbered(group->options.links, node);
    if (!link_message_read(&group->message, raft) || !are_contents(&group->message)) {
        group->stats.dropped++;
        return;
    }
    const struct engine_message *message = &group->message.message;
    if (message->type == ENGINE_APPENDED && link) {
        if (message->rejected)
            link_flights_reset(link_flights(link), group->options.group);
        else
            link_flights_answered(link_flights(link), group->options.group, message->index);
    }
    engine_receive(group->engine, now_ms, message, &group->update);
    group->shared = shared;
    follow(group, now_ms, NULL);
    group->shared = NULL;
}

/* Entries that wait are of no use when a later leader sends some, or when their own sends them again. */
static void forget_replaced(struct group *group, const struct link_raft *raft)
{
    list_for_each_safe(at, after, &group->inbox) {
        struct waiting *waiting = list_entry(at, struct waiting, link);
        const struct link_raft *its = &waiting->raft;
        bool is_again = its->from == raft->from && its->term == raft->term && its->index >= raft->index;
        if (its->count && (its->term < raft->term || is_again))
            waiting_free(group, waiting);
    }
}

/* What is lost while a link is up is not missed by who has sent it, so there is room for all that may be
 * on its way (link_flight.h). */
static void hold_back(struct group *group, uint32_t node, const struct link_raft *raft, struct shared *shared)
{
    bool is_shared = shared && raft->entries.size >= PIECE_BYTES / 4;
    size_t size = sizeof(struct waiting) + raft->entries.size;
    if (raft->count)
        forget_replaced(group, raft);
    if (group->inbox_bytes && group->inbox_bytes + size > INBOX_BYTES) {
        group->stats.dropped++;
        return;
    }
    struct waiting *waiting = mem_alloc(sizeof(*waiting) + (is_shared ? 0 : raft->entries.size));
    *waiting = (struct waiting){.node = node, .raft = *raft, .size = size};
    if (is_shared)
        waiting->shared = shared_ref(shared);
    else if (raft->entries.size)
        memcpy(waiting->entries, raft->entries.data, raft->entries.size);
    if (!is_shared)
        waiting->raft.entries = bytes_of(waiting->entries, raft->entries.size);
    list_init(&waiting->link);
    list_push_back(&group->inbox, &waiting->link);
    group->inbox_bytes += size;
    group->stats.waited_for_room += group->engine != NULL;
}

void group_receive(struct group *group, uint64_t now_ms, const struct link *link,
                   const struct link_raft *raft, struct shared *shared)
{
    if (group->broken || raft->to != group->options.self ||
        raft->generation != group->options.generation ||
        group_member_node(raft->from) != link_number(link)) {
        group->stats.dropped++;
        return;
    }
    bool waits = raft->count && (!list_is_empty(&group->inbox) || !has_room(group, raft));
    if (!group->engine && planted(PLANTED_MEMBER_DEAF_START))
        group->stats.dropped++;
    else if (!group->engine || waits)
        hold_back(group, link_number(link), raft, shared);
    else
        take(group, now_ms, link_number(link), raft, shared);
}

/* Entries stay in order; what has none does not wait for room. */
static void take_inbox(struct group *group, uint64_t now_ms)
{
    bool is_full = false;
    list_for_each_safe(at, after, &group->inbox) {
        struct waiting *waiting = list_entry(at, struct waiting, link);
        is_full = is_full || (waiting->raft.count && !has_room(group, &waiting->raft));
        if (group->broken || (is_full && waiting->raft.count))
            continue;
        take(group, now_ms, waiting->node, &waiting->raft, waiting->shared);
        waiting_free(group, waiting);
    }
}

void group_link_down(struct group *group, const struct link *link)
{
    list_for_each_safe(at, after, &group->inbox) {
        struct waiting *waiting = list_entry(at, struct waiting, link);
        if (waiting->node == link_number(link) && !planted(PLANTED_MEMBER_INBOX_STAYS))
            waiting_free(group, waiting);
    }
    for (uint32_t i = 0; i < group->seat_count; i++)
        if (group_member_node(group->seats[i].id) == link_number(link))
            seat_clear(&group->seats[i]);
}

void group_link_up(struct group *group, struct link *link)
{
    group_link_down(group, link);
    if (!group->engine || group->broken)
        return;
    for (uint32_t i = 0; i < group->seat_count; i++)
        if (group_member_node(group->seats[i].id) == link_number(link))
            engine_link_new(group->engine, group->seats[i].id);
}

/* A start begins with what the last checkpoint has, and serves when it has applied all: who has much to do yet lets
 * the others try first. */
static bool lags(const struct group *group)
{
    return engine_last(group->engine) - group->applied > LAGS_ENTRIES;
}

void group_peer_gone(struct group *group, uint64_t now_ms, const struct link *link)
{
    uint32_t rank = 0, others = 0;
    uint64_t gone = 0;
    if (!group->engine || group->broken)
        return;
    const struct engine_members *members = engine_members(group->engine);
    for (uint32_t i = 0; i < members->count; i++) {
        const struct engine_member *member = &members->of[i];
        if (group_member_node(member->id) == link_number(link)) {
            gone = member->id;
            continue;
        }
        rank += member->role == ENGINE_VOTER && member->id < group->options.self;
        others += member->role == ENGINE_VOTER && member->id != group->options.self;
    }
    if (gone == 0)
        return;
    if (lags(group))
        rank += others;
    engine_peer_gone(group->engine, now_ms, gone, rank, &group->update);
    follow(group, now_ms, NULL);
}

/* ---- what is decided here ---- */

static enum group_proposed propose(struct group *group, uint64_t now_ms, const struct own *own,
                                   uint64_t *index)
{
    if (!group->engine || group->broken || !engine_leads(group->engine))
        return GROUP_FOLLOWS;
    if (own->contents.bytes.size > GROUP_ENTRY_MAX)
        return GROUP_LARGE;
    uint64_t room = group_log_bytes(own->contents.bytes);
    /* Who has decided it has asked for room, and what else he has decided is in this batch. */
    if (store_room(group->options.store, room) == STORE_ROOM_NEVER ||
        !engine_propose(group->engine, now_ms, &group->update))
        return GROUP_FULL;
    follow(group, now_ms, own);
    *index = engine_last(group->engine);
    group->stats.proposed++;
    if (!group->timed) {
        group->timed = *index;
        group->timed_ms = now_ms;
    }
    return GROUP_PROPOSED;
}

enum group_proposed group_propose(struct group *group, uint64_t now_ms, const struct log_contents *contents,
                                  uint64_t catalogue, uint64_t *index)
{
    struct own own = {GROUP_USE_RECORDS, catalogue, *contents};
    return propose(group, now_ms, &own, index);
}

const char *group_change(struct group *group, uint64_t now_ms, const struct engine_members *members)
{
    if (!group->engine || group->broken)
        return "it does not take part yet";
    const char *why = engine_change(group->engine, now_ms, members, &group->update);
    if (!why)
        follow(group, now_ms, NULL);
    return why;
}

bool group_transfer(struct group *group, uint64_t now_ms, uint64_t member)
{
    if (!group->engine || group->broken ||
        !engine_transfer(group->engine, now_ms, member, &group->update))
        return false;
    follow(group, now_ms, NULL);
    return true;
}

/* Entries about who is present, as the rights need them. */
static void propose_nodes(struct group *group, uint64_t now_ms)
{
    struct lease_node node;
    struct buffer contents = {0};
    uint64_t index;
    while (engine_leads(group->engine) && lease_proposal(group->lease, now_ms, &node)) {
        struct own own = {.use = GROUP_USE_NODE, .contents = log_contents_of(node_contents(&contents, &node))};
        if (propose(group, now_ms, &own, &index) != GROUP_PROPOSED)
            break;
        lease_proposed(group->lease, index, &node);
    }
    buffer_free(&contents);
}

/* ---- turns ---- */

static void note_durable(struct group *group, uint64_t now_ms)
{
    uint64_t durable = group_log_durable(group->log), cuts = engine_cuts(group->engine);
    if (planted(PLANTED_MEMBER_SYNC_EARLY))
        durable = group_log_last(group->log);
    if (durable == group->persisted && cuts == group->persisted_cuts)
        return;
    group->persisted = durable;
    group->persisted_cuts = cuts;
    engine_persisted(group->engine, now_ms, durable, cuts, &group->update);
    follow(group, now_ms, NULL);
}

void group_tick(struct group *group, uint64_t now_ms, uint64_t wall_ms)
{
    group->wall_ms = wall_ms;
    if (!group->engine)
        begin(group, now_ms);
    if (!group->engine || group->broken)
        return;
    take_inbox(group, now_ms);
    note_durable(group, now_ms);
    if (!group->broken && now_ms >= engine_deadline(group->engine)) {
        engine_timeout(group->engine, now_ms, &group->update);
        follow(group, now_ms, NULL);
    }
    if (group->broken)
        return;
    follow_role(group, now_ms);
    propose_nodes(group, now_ms);
    send_held(group);
    for (uint32_t i = 0; i < group->seat_count && !group->broken; i++)
        if (group->seats[i].count)
            pump(group, &group->seats[i]);
}

uint64_t group_next_ms(const struct group *group)
{
    return group->engine && !group->broken ? engine_deadline(group->engine) : UINT64_MAX;
}

bool group_next(struct group *group, uint64_t now_ms, struct group_entry *entry)
{
    struct log_head head;
    struct lease_node node;
    const char *wrong = NULL;
    uint64_t index = group->applied + 1;
    if (!group->engine || group->broken || index > engine_commit(group->engine))
        return false;
    enum log_result result = group_log_read(group->log, index, &head, &entry->contents);
    if (result == LOG_OK)
        result = group_log_apply(group->log, &wrong);
    if (result == LOG_DAMAGED)
        break_off(group, wrong ? wrong : "an entry of its log cannot be read any more");
    if (result != LOG_OK)
        return false;
    *entry = (struct group_entry){.index = index,
                                  .term = head.term,
                                  .stamp_ms = head.stamp_ms,
                                  .catalogue = head.catalogue,
                                  .use = head.kind,
                                  .contents = entry->contents};
    group->applied = index;
    group->stats.applied++;
    if (head.kind == GROUP_USE_NODE && node_of(entry->contents, &node))
        lease_node_applied(group->lease, now_ms, index, &node);
    else
        lease_applied(group->lease, index);
    return true;
}

bool group_raise(struct group *group, uint64_t now_ms, uint64_t index)
{
    struct lease_node present[LEASE_NODES_MAX];
    struct log_head head;
    struct bytes contents;
    if (!group->engine || group->broken || index > group->applied ||
        index <= group_log_floor(group->log).index || group_log_durable(group->log) < index ||
        group_log_read(group->log, index, &head, &contents) != LOG_OK)
        return false;
    size_t count = present_at(group, index, present);
    if (planted(PLANTED_MEMBER_PRESENCE_LEFT_OUT))
        count = 0;
    floor_write(&group->scratch, head.stamp_ms, present, count,
                engine_members_at(group->engine, index));
    if (!group_log_raise(group->log, index, buffer_bytes(&group->scratch)))
        return false;
    size_t gone = 0;
    while (gone < group->node_count && group->nodes[gone].index <= index)
        gone++;
    group->node_count -= gone;
    if (group->node_count)
        memmove(group->nodes, group->nodes + gone, group->node_count * sizeof(*group->nodes));
    memcpy(group->floor_present, present, count * sizeof(*present));
    group->floor_present_count = count;
    engine_floor(group->engine, now_ms, index, &group->update);
    follow(group, now_ms, NULL);
    return true;
}

/* ---- images ---- */

/* A log that was cut is durable up to where it was cut, and an entry of its own is one of its term. */
bool group_image(struct group *group, struct group_image *image)
{
    if (!group->engine || group->broken || !engine_leads(group->engine))
        return false;
    *image = (struct group_image){.term = engine_term(group->engine), .last = group_log_durable(group->log)};
    image->last_term = group_log_term(group->log, image->last);
    return true;
}

bool group_has(const struct group *group, const struct group_image *image)
{
    return group->engine && (image->last <= group_log_floor(group->log).index ||
                             engine_term_of(group->engine, image->last) == image->last_term);
}

/* What this member has agreed to must be there. It was asked by leaders of terms up to the image's: what is
 * committed of earlier ones that leader has, and of its own this member has acknowledged no more than its log
 * has. A vote of that term was the leader's, which the image has as its own, or of no use to anybody. */
const char *group_may_replace(const struct group *group, const struct group_image *image)
{
    if (!group->engine)
        return "this member does not take part yet";
    uint64_t last = engine_last(group->engine), last_term = engine_term_of(group->engine, last);
    bool is_newer = last_term > image->last_term || (last_term == image->last_term && last > image->last);
    if (engine_term(group->engine) > image->term && !planted(PLANTED_MEMBER_IMAGE_OF_BEFORE))
        return "another leader was asked for meanwhile";
    if (is_newer && !planted(PLANTED_MEMBER_IMAGE_BEHIND))
        return "this member has more by itself meanwhile";
    return NULL;
}

/* ---- what is known ---- */

const struct engine *group_engine(const struct group *group)
{
    return group->engine;
}

struct lease *group_lease(struct group *group)
{
    return group->lease;
}

uint64_t group_number(const struct group *group)
{
    return group->options.group;
}

uint64_t group_self(const struct group *group)
{
    return group->options.self;
}

uint64_t group_applied(const struct group *group)
{
    return group->applied;
}

const char *group_broken(const struct group *group)
{
    return group->broken;
}

uint32_t group_lacking(const struct group *group)
{
    return group->lacking;
}

bool group_lacks(const struct group *group, uint64_t member)
{
    for (uint32_t i = 0; i < group->seat_count; i++)
        if (group->seats[i].id == member && group->seats[i].lacks)
            return engine_match(group->engine, member) < group_log_floor(group->log).index;
    return false;
}

struct group_held group_held(const struct group *group)
{
    struct group_held held = {.come = group->inbox_bytes,
                              .unsaid = group->held_count * sizeof(*group->held)};
    for (uint32_t i = 0; i < group->seat_count; i++)
        held.leaving += group->seats[i].count * sizeof(*group->seats[i].queue);
    return held;
}

const struct group_stats *group_stats(const struct group *group)
{
    return &group->stats;
}
