/* What leaders propose: queues of the group with their messages, and names. */
#include <stdio.h>
#include <string.h>

#include "tests/sim/group/members.h"

enum { STEPS_MAX = 5, LIVE_MAX = 400, SMALL_BYTES = 4096, RAISE_EVERY_MS = 500 };
/* With less free nothing is proposed, as where no floor rises all is kept. */
enum { DISK_KEPT = 40 << 20 };

struct draft {
    struct node *node;
    const struct truth *truth;
    struct queue_state queues[QUEUES];
    uint64_t serials;
    struct buffer *contents;
};

static void add_message(struct draft *draft, uint64_t id, const struct queue_state *queue)
{
    struct node *node = draft->node;
    struct buffer payload = {0};
    uint32_t size = truth_body_size(node->run, draft->truth, queue->serial, queue->next);
    struct message *message =
        message_new(&node->pool, bytes_str("x"), bytes_str("key"), bytes_of("\0\0", 2), size);
    memset(message_body_start(message), truth_body_byte(queue->serial, queue->next), size);
    message->body_filled = size;
    message->flags = MESSAGE_PERSISTENT;
    struct destination destination = {id, queue->next, 0};
    message_payload_start(&payload, message, &destination, 1);
    buffer_add(&payload, message->data, message_data_size(message));
    message_unref(&node->pool, message);
    content_add(draft->contents, RECORD_MESSAGE, buffer_bytes(&payload));
    buffer_free(&payload);
}

/* A record that says an id, and one or two numbers. */
static void add_numbers(struct draft *draft, enum record_type type, uint64_t id, uint64_t first,
                        uint64_t count)
{
    struct buffer payload = {0};
    buffer_add_u64(&payload, id);
    if (type == RECORD_SETTLE) {
        buffer_add_varint(&payload, zigzag((int64_t)first));
        buffer_add_varint(&payload, count);
    }
    if (type == RECORD_DELIVERED)
        buffer_add_u64(&payload, first);
    content_add(draft->contents, type, buffer_bytes(&payload));
    buffer_free(&payload);
}

static void draft_queue(struct draft *draft)
{
    struct run *run = draft->node->run;
    int number = (int)run_below(run, QUEUES);
    struct queue_state *queue = &draft->queues[number];
    uint64_t what = run_below(run, 100);
    if (!queue->serial) {
        *queue = (struct queue_state){.serial = ++draft->serials, .next = 1};
        add_numbers(draft, RECORD_QUEUE, truth_queue_id(draft->truth, number, queue->serial), 0, 0);
        return;
    }
    uint64_t id = truth_queue_id(draft->truth, number, queue->serial);
    if (what < 70) {
        add_message(draft, id, queue);
        queue->next++;
    } else if (what < 92 && queue->next > 1) {
        uint64_t first = queue->next > LIVE_MAX ? queue->next - LIVE_MAX : 1;
        first += run_below(run, queue->next - first);
        uint64_t most = queue->next - first;
        add_numbers(draft, RECORD_SETTLE, id, first, 1 + run_below(run, most < 60 ? most : 60));
    } else if (what < 99) {
        add_numbers(draft, RECORD_DELIVERED, id, queue->next + run_below(run, 40), 0);
    } else {
        add_numbers(draft, RECORD_DROP, id, 0, 0);
        queue->serial = 0;
    }
}

static void draft_name(struct draft *draft)
{
    struct run *run = draft->node->run;
    struct buffer payload = {0};
    uint8_t value[300];
    char text[32];
    struct bytes key = truth_name(draft->truth, (int)run_below(run, NAMES), text);
    bool is_put = run_below(run, 3) > 0;
    if (is_put) {
        buffer_add_u32(&payload, (uint32_t)key.size);
        buffer_add(&payload, key.data, key.size);
        memset(value, (int)run_below(run, 256), sizeof(value));
        buffer_add(&payload, value, run_below(run, sizeof(value)));
    } else {
        buffer_add(&payload, key.data, key.size);
    }
    content_add(draft->contents, is_put ? RECORD_PUT : RECORD_DELETE, buffer_bytes(&payload));
    buffer_free(&payload);
}

/* In office, with all that it has proposed itself in its state or in `proposed`. */
static bool is_in_office(struct node *node, uint32_t at, const struct group *group)
{
    struct seat_state *seat = &node->seats[at];
    const struct engine *engine = group ? group_engine(group) : NULL;
    if (!engine || group_broken(group) || !engine_in_office(engine) ||
        group_applied(group) < engine_first(engine))
        return false;
    if (seat->office_term != engine_term(engine)) {
        const struct truth *truth = &node->run->truths[at];
        seat->office_term = engine_term(engine);
        memcpy(seat->proposed, truth->entries[group_applied(group)].state.queues,
               sizeof(seat->proposed));
    }
    return true;
}

static bool propose_one(struct node *node, uint32_t at, struct group *group)
{
    struct run *run = node->run;
    struct truth *truth = &run->truths[at];
    struct seat_state *seat = &node->seats[at];
    struct buffer contents = {0};
    struct draft draft = {
        .node = node, .truth = truth, .serials = truth->serials, .contents = &contents};
    uint64_t index, term = engine_term(group_engine(group));
    memcpy(draft.queues, seat->proposed, sizeof(draft.queues));
    for (uint64_t left = run_below(run, STEPS_MAX + 1); left; left--)
        if (run_chance(run, 4))
            draft_name(&draft);
        else
            draft_queue(&draft);
    struct log_contents decided = log_contents_of(buffer_bytes(&contents));
    /* Who decides something asks for room, unless it is little. */
    bool has_room = contents.size < SMALL_BYTES ||
                    store_room(node->store, contents.size * 3) == STORE_ROOM_NOW;
    enum group_proposed proposed =
        has_room ? group_propose(group, run->bench.now_ms, &decided, run_below(run, 100), &index)
                 : GROUP_FULL;
    if (proposed == GROUP_PROPOSED) {
        memcpy(seat->proposed, draft.queues, sizeof(draft.queues));
        truth->serials = draft.serials;
        truth_proposed(truth, index, term, buffer_bytes(&contents));
    }
    run->report->full += proposed == GROUP_FULL;
    buffer_free(&contents);
    return proposed == GROUP_PROPOSED;
}

void work_propose(struct node *node, uint32_t at, bool surely)
{
    struct run *run = node->run;
    struct group *group = node_group(node, at);
    if (!is_in_office(node, at, group) ||
        (!surely && (run->is_healing || !run_chance(run, run->propose_every_ms))))
        return;
    if (!surely && node_disk_left(node) < DISK_KEPT)
        return;
    for (uint64_t left = run_chance(run, 50) ? run_below(run, 300) : 1; left; left--)
        if (!propose_one(node, at, group))
            return;
}

/* ---- floors ---- */

/* Up to where a node has durable what the group has agreed on. */
static uint64_t has_durable(struct node *node, uint32_t at)
{
    const struct truth *truth = &node->run->truths[at];
    uint64_t index = truth->last;
    while (index && !truth_has(node, at, index))
        index--;
    return index;
}

/* What every node has that is a member, or will be one. */
static uint64_t all_have(struct run *run, uint32_t at)
{
    uint64_t all = UINT64_MAX;
    for (uint32_t i = 0; i < run->nodes; i++) {
        if (run->wanted[at][i] == OUT && !run->of[i].seats[at].seat)
            continue;
        uint64_t has = has_durable(&run->of[i], at);
        all = has < all ? has : all;
    }
    return all;
}

void work_raise(struct node *node, uint32_t at)
{
    struct run *run = node->run;
    struct group *group = node_group(node, at);
    if (!run->has_floors || !group || !group_engine(group) ||
        run->bench.now_ms < node->seats[at].raised_ms + RAISE_EVERY_MS || !run_chance(run, 100))
        return;
    uint64_t index = run->has_images ? group_applied(group) : all_have(run, at);
    node->seats[at].raised_ms = run->bench.now_ms;
    index = index > 5 ? index - run_below(run, 5) : 0;
    if (index > group_applied(group))
        index = group_applied(group);
    if (group_raise(group, run->bench.now_ms, index))
        run->report->raises++;
}
