/* What is true of a group, and what must hold of each of its members because of that. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/hash.h"
#include "base/mem.h"
#include "tests/sim/group/members.h"

/* What a member holds for others, at most: entries that may be on their way from one or two leaders, and
 * little else. */
enum { COME_MAX = 24 << 20, LEAVING_MAX = 1 << 20, UNSAID_MAX = 1 << 18, ALONE_MS = 2 };

static uint64_t digest_of(struct bytes contents)
{
    return (uint64_t)contents.size << 32 | crc32c(0, contents.data, contents.size);
}

/* ---- what there is ---- */

uint64_t truth_queue_id(const struct truth *truth, int queue, uint64_t serial)
{
    return (STORE_ID_GROUP | truth->number << 32) + serial * QUEUES + (uint64_t)queue;
}

/* The place of a queue of the group, by its id. */
static struct queue_state *queue_of(struct truth *truth, struct group_state *state, uint64_t id,
                                    int *number)
{
    *number = (int)((id & UINT32_MAX) % QUEUES);
    return id >> 32 == (STORE_ID_GROUP >> 32 | truth->number) ? &state->queues[*number] : NULL;
}

struct bytes truth_name(const struct truth *truth, int name, char text[32])
{
    return bytes_of(text,
                    (size_t)snprintf(text, 32, "group%" PRIu64 "/%d", truth->number, name));
}

uint32_t truth_body_size(const struct run *run, const struct truth *truth, uint64_t serial,
                         uint64_t sequence)
{
    uint64_t draw = hash_number(hash_number(serial * 1000003 + sequence) + truth->number);
    draw ^= draw >> 17;
    if (run->large_every && draw % run->large_every == 0)
        return (1 << 20) + (uint32_t)((draw >> 20) % (3 << 20));
    if (draw % 128 == 1)
        return 20000 + (uint32_t)((draw >> 20) % 50000);
    return (uint32_t)((draw >> 20) % 900);
}

uint8_t truth_body_byte(uint64_t serial, uint64_t sequence)
{
    return (uint8_t)(serial * 31 + sequence);
}

void truth_init(struct truth *truth, uint64_t number)
{
    *truth = (struct truth){.number = number};
    truth->entries = mem_grow(NULL, &truth->capacity, 1, sizeof(*truth->entries));
    truth->entries[0] = (struct truth_entry){0};
}

void truth_free(struct truth *truth)
{
    mem_free(truth->entries);
    mem_free(truth->proposals);
    for (int i = 0; i < QUEUES; i++)
        mem_free(truth->live[i]);
}

void truth_proposed(struct truth *truth, uint64_t index, uint64_t term, struct bytes contents)
{
    truth->proposals = mem_grow(truth->proposals, &truth->proposal_capacity,
                                truth->proposal_count + 1, sizeof(*truth->proposals));
    truth->proposals[truth->proposal_count++] =
        (struct proposed_entry){index, term, digest_of(contents)};
}

static const struct proposed_entry *find_proposal(const struct truth *truth, uint64_t index,
                                            uint64_t term)
{
    for (size_t i = truth->proposal_count; i > 0; i--)
        if (truth->proposals[i - 1].index == index && truth->proposals[i - 1].term == term)
            return &truth->proposals[i - 1];
    return NULL;
}

/* ---- what an entry does ---- */

static void name_changes(uint64_t names[NAMES], const struct truth *truth, enum record_type type,
                         struct bytes payload)
{
    char text[32];
    struct bytes key = payload;
    uint64_t value = 0;
    if (type == RECORD_PUT) {
        struct cursor cursor = cursor_of(payload);
        key = cursor_bytes(&cursor, cursor_u32(&cursor));
        struct bytes rest = cursor_bytes(&cursor, cursor_left(&cursor));
        value = 1 + crc32c(0, rest.data, rest.size);
    }
    for (int name = 0; name < NAMES; name++)
        if (bytes_equal(key, truth_name(truth, name, text)))
            names[name] = value;
}

static uint64_t sum_of_names(const uint64_t names[NAMES])
{
    uint64_t sum = 0;
    for (int name = 0; name < NAMES; name++)
        sum = hash_number(sum + names[name]);
    return sum;
}

static void settle(struct truth *truth, struct group_state *state, struct bytes payload)
{
    int number;
    struct settled_reader reader = settled_reader(payload);
    struct queue_state *queue = queue_of(truth, state, reader.queue, &number);
    while (settled_next(&reader))
        for (uint64_t i = 0; queue && i < reader.count; i++) {
            queue->live -= truth->live[number][reader.first + i];
            truth->live[number][reader.first + i] = 0;
        }
}

static void add_message(struct truth *truth, struct group_state *state, struct bytes payload)
{
    int number;
    struct message_payload message;
    message_payload_read(payload, &message);
    struct destination destination = message_payload_destination(&message, 0);
    struct queue_state *queue = queue_of(truth, state, destination.queue, &number);
    truth->live[number] = mem_grow(truth->live[number], &truth->live_capacity[number],
                                   destination.sequence + 1, 1);
    truth->live[number][destination.sequence] = 1;
    queue->live++;
    queue->next = destination.sequence + 1;
}

static void queue_changes(struct truth *truth, struct group_state *state, enum record_type type,
                          struct bytes payload)
{
    int number;
    struct cursor cursor = cursor_of(payload);
    uint64_t id = cursor_u64(&cursor);
    struct queue_state *queue = queue_of(truth, state, id, &number);
    uint64_t mark = type == RECORD_DELIVERED ? cursor_u64(&cursor) : 0;
    if (type == RECORD_QUEUE) {
        *queue = (struct queue_state){.serial = (id & UINT32_MAX) / QUEUES, .next = 1};
        if (truth->live[number])
            memset(truth->live[number], 0, truth->live_capacity[number]);
    } else if (type == RECORD_DROP) {
        *queue = (struct queue_state){0};
    } else if (mark > queue->mark) {
        queue->mark = mark;
    }
}

static void do_entry(struct truth *truth, struct group_state *state, struct bytes contents)
{
    struct cursor cursor = cursor_of(contents);
    enum record_type type;
    struct bytes payload;
    while (content_next(&cursor, &type, &payload)) {
        if (type == RECORD_MESSAGE)
            add_message(truth, state, payload);
        else if (type == RECORD_SETTLE)
            settle(truth, state, payload);
        else if (type == RECORD_PUT || type == RECORD_DELETE)
            name_changes(truth->names, truth, type, payload);
        else if (type != RECORD_NOTE)
            queue_changes(truth, state, type, payload);
    }
    state->names = sum_of_names(truth->names);
}

/* ---- what a node has applied ---- */

static void judge_queue(struct node *node, uint32_t at, uint64_t index, int number)
{
    struct run *run = node->run;
    const struct truth *truth = &run->truths[at];
    const struct queue_state *queue = &truth->entries[index].state.queues[number];
    struct index *its =
        store_queue_find(node->store, truth_queue_id(truth, number, queue->serial), NULL);
    if (!queue->serial)
        return;
    if (!its)
        run_fail(run, "node %u has no queue %d of group %u at %" PRIu64, node->number, number, at,
                 index);
    else if (its->ready + its->taken != queue->live || its->next_sequence != queue->next ||
             its->mark != queue->mark)
        run_fail(run,
                 "node %u has a queue %d of group %u at %" PRIu64 " with %" PRIu64 " messages, next %" PRIu64
                 ", mark %" PRIu64 "; it should be %" PRIu64 ", %" PRIu64 ", %" PRIu64,
                 node->number, number, at, index, its->ready + its->taken, its->next_sequence,
                 its->mark, queue->live, queue->next, queue->mark);
}

static void judge_state(struct node *node, uint32_t at, uint64_t index)
{
    const struct truth_entry *entry = &node->run->truths[at].entries[index];
    for (int queue = 0; queue < QUEUES; queue++)
        judge_queue(node, at, index, queue);
    if (index >= node->seats[at].names_from &&
        sum_of_names(node->seats[at].names) != entry->state.names)
        run_fail(node->run, "node %u has other names of group %u at %" PRIu64, node->number, at,
                 index);
}

/* The first node that has applied it says what it is. */
static void take_down(struct node *node, uint32_t at, const struct group_entry *entry)
{
    struct run *run = node->run;
    struct truth *truth = &run->truths[at];
    const struct truth_entry *before = &truth->entries[truth->last];
    const struct proposed_entry *proposal = find_proposal(truth, entry->index, entry->term);
    if (entry->use == GROUP_USE_RECORDS &&
        (!proposal || proposal->digest != digest_of(entry->contents)))
        run_fail(run, "entry %" PRIu64 " of group %u is not what a leader proposed", entry->index,
                 at);
    if (entry->term < before->term || entry->stamp_ms < before->stamp_ms)
        run_fail(run,
                 "entry %" PRIu64 " of group %u has term %" PRIu64 " and stamp %" PRIu64
                 ", the one before %" PRIu64 " and %" PRIu64,
                 entry->index, at, entry->term, entry->stamp_ms, before->term, before->stamp_ms);
    truth->entries = mem_grow(truth->entries, &truth->capacity, truth->last + 2,
                              sizeof(*truth->entries));
    struct truth_entry *now = &truth->entries[++truth->last];
    *now = (struct truth_entry){
        .term = entry->term,
        .stamp_ms = entry->stamp_ms,
        .catalogue = entry->catalogue,
        .digest = digest_of(entry->contents),
        .use = entry->use,
        .decided = engine_term(group_engine(node_group(node, at))),
        .state = truth->entries[truth->last - 1].state,
    };
    if (!run->is_failed)
        do_entry(truth, &now->state, entry->contents);
    run->report->commits++;
    run->report->records += entry->use == GROUP_USE_RECORDS;
    run->report->large += entry->contents.size >= 1 << 20;
}

static void follow_names(struct node *node, uint32_t at, struct bytes contents)
{
    struct cursor cursor = cursor_of(contents);
    enum record_type type;
    struct bytes payload;
    while (content_next(&cursor, &type, &payload))
        if (type == RECORD_PUT || type == RECORD_DELETE)
            name_changes(node->seats[at].names, &node->run->truths[at], type, payload);
}

void truth_applied(struct node *node, uint32_t at, const struct group_entry *entry)
{
    struct run *run = node->run;
    struct truth *truth = &run->truths[at];
    if (entry->index > truth->last + 1) {
        run_fail(run, "node %u applies entry %" PRIu64 " of group %u first of all, behind %" PRIu64,
                 node->number, entry->index, at, truth->last);
        return;
    }
    if (entry->index == truth->last + 1)
        take_down(node, at, entry);
    const struct truth_entry *is = &truth->entries[entry->index];
    if (is->term != entry->term || is->stamp_ms != entry->stamp_ms ||
        is->catalogue != entry->catalogue || is->use != entry->use ||
        is->digest != digest_of(entry->contents))
        run_fail(run, "node %u applies another entry %" PRIu64 " of group %u than others",
                 node->number, entry->index, at);
    if (run->is_failed)
        return;
    follow_names(node, at, entry->contents);
    judge_state(node, at, entry->index);
}

/* ---- what is durable ---- */

bool truth_has(struct node *node, uint32_t at, uint64_t index)
{
    const struct seat_state *seat = &node->seats[at];
    uint64_t term = node->run->truths[at].entries[index].term;
    struct group_log *log = node->store ? group_log_find(node->store, node_number(at)) : NULL;
    if (!seat->seat)
        return false;
    if (log)
        return index <= group_log_floor(log).index ||
               (index <= group_log_durable(log) && group_log_term(log, index) == term);
    return !node->store && (index <= seat->down_floor ||
                            (index <= seat->down_last &&
                             seat->down_terms[index - seat->down_floor - 1] == term));
}

void truth_ends(struct node *node, uint32_t at)
{
    struct seat_state *seat = &node->seats[at];
    const struct group *group = node_group(node, at);
    struct group_log *log = group_log_find(node->store, node_number(at));
    seat->down_floor = group_log_floor(log).index;
    seat->down_last = group_log_durable(log);
    if (group_applied(group) > seat->down_applied)
        seat->down_applied = group_applied(group);
    seat->down_terms = mem_grow(seat->down_terms, &seat->down_capacity,
                                seat->down_last - seat->down_floor + 1, sizeof(uint64_t));
    for (uint64_t index = seat->down_floor + 1; index <= seat->down_last; index++)
        seat->down_terms[index - seat->down_floor - 1] = group_log_term(log, index);
}

void truth_started(struct node *node, uint32_t at)
{
    struct run *run = node->run;
    struct seat_state *seat = &node->seats[at];
    struct group_log *log = group_log_find(node->store, node_number(at));
    uint64_t floor = group_log_floor(log).index, kept = group_log_kept(log);
    for (uint64_t index = floor + 1; index <= seat->down_last; index++)
        if (index > seat->down_floor &&
            group_log_term(log, index) != seat->down_terms[index - seat->down_floor - 1])
            run_fail(run, "node %u has lost entry %" PRIu64 " of group %u, which was durable",
                     node->number, index, at);
    if (kept > run->truths[at].last)
        run_fail(run, "node %u has applied %" PRIu64 " of group %u, which nobody has", node->number,
                 kept, at);
    seat->names_from = seat->down_applied;
    run->report->applied_again += seat->down_applied > kept;
    if (!run->is_failed)
        judge_state(node, at, kept);
}

/* ---- at each moment ---- */

static void judge_leader(struct node *node, uint32_t at, const struct group *group)
{
    struct run *run = node->run;
    struct truth *truth = &run->truths[at];
    const struct seat_state *seat = &node->seats[at];
    const struct engine *engine = group_engine(group);
    const struct group_log *log = group_log_find(node->store, truth->number);
    uint64_t term = engine_term(engine), self = group_self(group);
    if (term >= TERMS_MAX) {
        run_fail(run, "term %" PRIu64 " of group %u: terms rise without end", term, at);
        return;
    }
    if (truth->leader_of[term] == self && truth->leader_boot[term] == node->boot)
        return;
    if (truth->leader_of[term] && truth->leader_of[term] != self)
        run_fail(run, "%" PRIx64 " and %" PRIx64 " lead group %u in term %" PRIu64,
                 truth->leader_of[term], self, at, term);
    else if (truth->leader_of[term] && seat->start_term >= term)
        run_fail(run, "%" PRIx64 " leads group %u again in term %" PRIu64, self, at, term);
    truth->leader_of[term] = self;
    truth->leader_boot[term] = node->boot;
    run_say(run, "node %u leads group %u in term %" PRIu64, node->number, at, term);
    for (uint64_t index = group_log_floor(log).index + 1; index <= truth->last; index++)
        if (truth->entries[index].decided < term &&
            group_log_term(log, index) != truth->entries[index].term) {
            run_fail(run,
                     "node %u leads group %u in term %" PRIu64 " without the committed entry %" PRIu64,
                     node->number, at, term, index);
            return;
        }
}

/* What a leader calls committed is durable at a majority. */
static void judge_commit(struct node *node, uint32_t at, const struct group *group)
{
    struct run *run = node->run;
    const struct engine *engine = group_engine(group);
    const struct engine_members *members = engine_members(engine);
    uint64_t commit = engine_commit(engine);
    uint32_t voters = 0, have = 0;
    for (uint32_t i = 0; i < members->count; i++) {
        struct node *member = &run->of[group_member_node(members->of[i].id) - run->bench.first_number];
        if (members->of[i].role != ENGINE_VOTER)
            continue;
        voters++;
        struct seat_state *seat = &member->seats[at];
        struct group_log *log =
            member->store ? group_log_find(member->store, node_number(at)) : NULL;
        uint64_t term = engine_term_of(engine, commit);
        if (seat->seat != (uint16_t)members->of[i].id) /* it has lost its store */
            have++;
        else if (log)
            have += commit <= group_log_floor(log).index ||
                    (commit <= group_log_durable(log) && group_log_term(log, commit) == term);
        else
            have += !member->store &&
                    (commit <= seat->down_floor ||
                     (commit <= seat->down_last &&
                      seat->down_terms[commit - seat->down_floor - 1] == term));
    }
    if (have * 2 <= voters)
        run_fail(run, "node %u calls entry %" PRIu64 " of group %u committed, which %u of %u have",
                 node->number, commit, at, have, voters);
}

static void judge_member(struct node *node, uint32_t at)
{
    struct run *run = node->run;
    struct group *group = node_group(node, at);
    struct seat_state *seat = &node->seats[at];
    if (!group)
        return;
    if (group_broken(group))
        run_fail(run, "node %u takes part in group %u no more: %s", node->number, at,
                 group_broken(group));
    struct group_held held = group_held(group);
    if (held.come > COME_MAX || held.leaving > LEAVING_MAX || held.unsaid > UNSAID_MAX)
        run_fail(run, "node %u holds %zu, %zu and %zu bytes of group %u", node->number, held.come,
                 held.leaving, held.unsaid, at);
    if (run->bench.now_ms > node->linked_ms + ALONE_MS && held.come + held.leaving)
        run_fail(run, "node %u is alone, and holds %zu and %zu bytes of group %u", node->number,
                 held.come, held.leaving, at);
    const struct engine *engine = group_engine(group);
    if (!engine || run->is_failed)
        return;
    if (engine_leads(engine))
        judge_leader(node, at, group);
    uint64_t commit = engine_commit(engine);
    if (commit < seat->seen_commit)
        run_fail(run, "node %u takes back that %" PRIu64 " of group %u is committed", node->number,
                 seat->seen_commit, at);
    if (commit > seat->seen_commit && commit > 1 && engine_leads(engine)) /* the first was so at the start */
        judge_commit(node, at, group);
    seat->seen_commit = commit;
}

/* When somebody was last there. */
static void note_links(struct node *node)
{
    const struct bench_node *its = &node->run->bench.nodes[node->number];
    for (uint32_t i = 0; i < node->run->nodes; i++)
        if (its->links && its->to[i] && link_is_up(its->to[i]))
            node->linked_ms = node->run->bench.now_ms;
}

void truth_judge(struct run *run)
{
    for (uint32_t i = 0; i < run->nodes; i++)
        note_links(&run->of[i]);
    for (uint32_t i = 0; i < run->nodes; i++)
        for (uint32_t at = 0; node_is_up(&run->of[i]) && at < run->groups && !run->is_failed; at++)
            judge_member(&run->of[i], at);
}

void truth_look(struct node *node, uint32_t at)
{
    struct run *run = node->run;
    const struct truth *truth = &run->truths[at];
    const struct group *group = node_group(node, at);
    int number = (int)run_below(run, QUEUES);
    struct looked looked;
    if (!group || !group_engine(group))
        return;
    const struct queue_state *queue =
        &truth->entries[group_applied(group)].state.queues[number];
    struct index *its =
        store_queue_find(node->store, truth_queue_id(truth, number, queue->serial), NULL);
    if (!queue->serial || !its ||
        index_look(its, 1 + run_below(run, queue->next), &looked) != INDEX_OK)
        return;
    run->report->looks++;
    struct bytes body = looked.message ? message_body(looked.message) : bytes_of(NULL, 0);
    bool is_right = looked.message &&
                    body.size == truth_body_size(run, truth, queue->serial, looked.sequence);
    for (size_t i = 0; is_right && i < body.size; i++)
        is_right = body.data[i] == truth_body_byte(queue->serial, looked.sequence);
    if (!is_right)
        run_fail(run, "node %u has another message %" PRIu64 " in queue %d of group %u",
                 node->number, looked.sequence, number, at);
    if (looked.message)
        message_unref(&node->pool, looked.message);
}
