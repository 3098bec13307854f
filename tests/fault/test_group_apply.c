/* Queues of a group: what its entries say, once it has agreed on them, is done in the same way whenever that
 * is: at once, late, or by a start after a crash. A plain model that knows no disk says what there must be. */

#include "base/mem.h"
#include "base/shared.h"
#include "tests/fault/bench.h"
#include "tests/lib/tap.h"

enum { QUEUES = 4, MESSAGES_MAX = 2000, ENTRIES_MAX = 1500, STEPS_MAX = 6, GROUP = 5 };

/* No number is used again: a queue that comes again has another one. */
static uint64_t queue_id(uint64_t serial)
{
    return STORE_ID_GROUP | (uint64_t)GROUP << STORE_GROUP_SHIFT | serial;
}

/* ---- the model ---- */

struct step {
    enum record_type type;
    int queue;
    uint64_t serial;          /* of the queue */
    uint64_t sequence, count; /* DELIVERED: the mark. RETURNED: how often */
};

struct entry_steps {
    uint64_t term;
    int count;
    struct step steps[STEPS_MAX];
};

struct model_queue {
    bool is_there;
    uint64_t serial;
    uint64_t next, mark, live;
    bool is_live[MESSAGES_MAX];
    uint32_t returned[MESSAGES_MAX];
};

struct model {
    struct model_queue queues[QUEUES];
};

static void model_step(struct model *model, const struct step *step)
{
    struct model_queue *queue = &model->queues[step->queue];
    switch (step->type) {
    case RECORD_QUEUE:
        memset(queue, 0, sizeof(*queue));
        queue->is_there = true;
        queue->serial = step->serial;
        queue->next = 1;
        break;
    case RECORD_DROP:
        queue->is_there = false;
        break;
    case RECORD_MESSAGE:
        queue->is_live[step->sequence] = true;
        queue->live++;
        queue->next = step->sequence + 1;
        break;
    case RECORD_SETTLE:
        for (uint64_t i = 0; i < step->count; i++) {
            queue->live -= queue->is_live[step->sequence + i];
            queue->is_live[step->sequence + i] = false;
            queue->returned[step->sequence + i] = 0;
        }
        break;
    case RECORD_RETURNED:
        if (queue->is_live[step->sequence])
            queue->returned[step->sequence] = (uint32_t)step->count;
        break;
    default: /* DELIVERED */
        queue->mark = step->count > queue->mark ? step->count : queue->mark;
    }
}

struct met {
    uint64_t crashes, cuts, applied, again, dropped, taken, raised, checkpoints, looked, late;
};

/* Entries that others took the place of, in a batch that a crash may take away again. */
struct replaced {
    uint64_t batch, index;
    size_t count;
    struct entry_steps *entries;
};

struct history {
    struct bench bench;
    struct random random;
    struct group_log *log;
    struct entry_steps entries[ENTRIES_MAX];
    uint64_t recorded_to; /* entries are on record up to here */
    struct replaced *replaced;
    size_t replaced_count, replaced_capacity;
    uint64_t serials, term, agreed; /* entries up to here will never be others */
    struct model proposed; /* with all that was appended */
    struct model applied;
    uint64_t applied_to;
    bool leads;
    struct met *met;
    const char *wrong;
};

static void must(struct history *history, bool holds, const char *what)
{
    if (!holds && !history->wrong)
        history->wrong = what;
}

static void model_until(const struct history *history, struct model *model, uint64_t index)
{
    memset(model, 0, sizeof(*model));
    for (uint64_t i = 1; i <= index; i++)
        for (int at = 0; at < history->entries[i].count; at++)
            model_step(model, &history->entries[i].steps[at]);
}

/* ---- entries ---- */

static uint32_t body_size_of(uint64_t sequence)
{
    return (uint32_t)(sequence * 7919 % 900);
}

static void content_of(const struct step *step, struct bench *bench, struct buffer *out)
{
    struct buffer payload = {0};
    uint64_t id = queue_id(step->serial);
    if (step->type == RECORD_MESSAGE) {
        uint32_t size = body_size_of(step->sequence);
        struct message *message =
            message_new(&bench->pool, bytes_str("x"), bytes_str("key"), bytes_of("\0\0", 2), size);
        memset(message_body_start(message), (int)(step->sequence % 251), size);
        message->body_filled = size;
        message->flags = MESSAGE_PERSISTENT;
        struct destination destination = {id, step->sequence, 0};
        message_payload_start(&payload, message, &destination, 1);
        buffer_add(&payload, message->data, message_data_size(message));
        message_unref(&bench->pool, message);
    } else {
        buffer_add_u64(&payload, id);
        if (step->type == RECORD_SETTLE || step->type == RECORD_RETURNED)
            buffer_add_varint(&payload, zigzag((int64_t)step->sequence));
        if (step->type == RECORD_SETTLE || step->type == RECORD_RETURNED)
            buffer_add_varint(&payload, step->count);
        if (step->type == RECORD_RETURNED)
            buffer_add_varint(&payload, 0);
        if (step->type == RECORD_DELIVERED)
            buffer_add_u64(&payload, step->count);
    }
    content_add(out, step->type, buffer_bytes(&payload));
    buffer_free(&payload);
}

/* A settle of one that is live, and of those behind it whatever they are. */
static bool draw_settle(struct history *history, struct step *step, const struct model_queue *queue)
{
    if (queue->live == 0)
        return false;
    uint64_t at = 1 + random_below(&history->random, queue->next - 1);
    while (!queue->is_live[at])
        at = at % (queue->next - 1) + 1;
    uint64_t most = queue->next - at;
    step->sequence = at;
    step->count = 1 + random_below(&history->random, most < 12 ? most : 12);
    return true;
}

static bool draw(struct history *history, struct step *step)
{
    struct random *random = &history->random;
    step->queue = (int)random_below(random, QUEUES);
    struct model_queue *queue = &history->proposed.queues[step->queue];
    uint64_t what = random_below(random, 100);
    step->sequence = step->count = 0;
    step->serial = queue->serial;
    if (!queue->is_there) {
        step->type = RECORD_QUEUE;
        step->serial = ++history->serials;
        return true;
    }
    if (what < 60) {
        step->type = RECORD_MESSAGE;
        step->sequence = queue->next;
        return queue->next < MESSAGES_MAX;
    }
    if (what < 85) {
        step->type = RECORD_SETTLE;
        return draw_settle(history, step, queue);
    }
    if (what < 92) {
        step->type = RECORD_RETURNED;
        bool is_drawn = draw_settle(history, step, queue);
        step->count = 1 + random_below(random, 9);
        return is_drawn;
    }
    step->type = what < 98 ? RECORD_DELIVERED : RECORD_DROP;
    step->count = queue->next + random_below(random, 40);
    history->met->dropped += step->type == RECORD_DROP;
    return true;
}

static void keep_replaced(struct history *history, uint64_t index)
{
    size_t count = (size_t)(history->recorded_to + 1 - index);
    history->replaced = mem_grow(history->replaced, &history->replaced_capacity,
                                 history->replaced_count + 1, sizeof(*history->replaced));
    struct replaced *replaced = &history->replaced[history->replaced_count++];
    *replaced = (struct replaced){history->bench.store->journal.filling->number, index, count,
                                  mem_zalloc_array(count, sizeof(struct entry_steps))};
    memcpy(replaced->entries, &history->entries[index], count * sizeof(struct entry_steps));
}

/* Those that were replaced in a batch above are there again. */
static void restore_replaced(struct history *history, uint64_t batch)
{
    while (history->replaced_count) {
        struct replaced *replaced = &history->replaced[history->replaced_count - 1];
        if (replaced->batch <= batch)
            break;
        memcpy(&history->entries[replaced->index], replaced->entries,
               replaced->count * sizeof(struct entry_steps));
        mem_free(replaced->entries);
        history->replaced_count--;
    }
}

static void append(struct history *history)
{
    uint64_t index = group_log_last(history->log) + 1;
    struct buffer contents = {0};
    if (index == ENTRIES_MAX)
        return;
    if (index <= history->recorded_to)
        keep_replaced(history, index);
    history->recorded_to = index;
    struct entry_steps *entry = &history->entries[index];
    *entry = (struct entry_steps){.term = history->term};
    for (uint64_t left = random_below(&history->random, STEPS_MAX + 1); left; left--) {
        struct step step;
        if (!draw(history, &step))
            continue;
        entry->steps[entry->count++] = step;
        model_step(&history->proposed, &step);
        content_of(&step, &history->bench, &contents);
    }
    struct log_head head = {.index = index, .term = history->term, .kind = 1};
    group_log_append(history->log, &head, buffer_bytes(&contents));
    buffer_free(&contents);
}

/* Another leader has other entries from somewhere on, all of which were not agreed on. */
static void replace(struct history *history)
{
    uint64_t last = group_log_last(history->log);
    if (history->agreed == last)
        return;
    uint64_t from = history->agreed + 1 + random_below(&history->random, last - history->agreed);
    group_log_cut(history->log, from);
    model_until(history, &history->proposed, from - 1);
    history->term++;
    history->met->cuts++;
    append(history);
}

static void agree(struct history *history)
{
    uint64_t durable = group_log_durable(history->log);
    if (durable <= history->agreed)
        return;
    history->agreed += 1 + random_below(&history->random, durable - history->agreed);
    group_log_committed(history->log, history->agreed);
}

/* ---- what is there ---- */

static void check_queue(struct history *history, int number)
{
    const struct model_queue *queue = &history->applied.queues[number];
    struct index *index = store_queue_find(history->bench.store, queue_id(queue->serial), NULL);
    must(history, queue->is_there == (index != NULL), "a queue comes or goes");
    if (!index || !queue->is_there)
        return;
    must(history, index->ready + index->taken == queue->live, "how many messages a queue has");
    must(history, index->next_sequence == queue->next, "the next number of a queue");
    must(history, index->mark == queue->mark, "the mark of a queue");
    must(history, index->taken == 0 || history->leads, "something is taken");
    for (uint64_t i = 1; i < queue->next && !history->wrong; i++) {
        must(history, index_holds(index, i) == queue->is_live[i], "a message is there or not");
        if (queue->is_live[i])
            must(history, index_delivery_count(index, i) == queue->returned[i],
                 "how often a message came back");
    }
}

static void check_all(struct history *history)
{
    for (int queue = 0; queue < QUEUES; queue++)
        check_queue(history, queue);
}

static void apply(struct history *history, uint64_t most)
{
    const char *why;
    int waits = 0;
    while (most && waits < 50) {
        enum log_result result = group_log_apply(history->log, &why);
        if (result == LOG_NONE)
            break;
        must(history, result != LOG_DAMAGED, why);
        if (result == LOG_DAMAGED)
            break;
        if (result == LOG_WAIT) {
            bench_turns(&history->bench, 1, 1);
            waits++;
            continue;
        }
        const struct entry_steps *entry = &history->entries[++history->applied_to];
        for (int i = 0; i < entry->count; i++)
            model_step(&history->applied, &entry->steps[i]);
        history->met->applied++;
        most--;
    }
    must(history, waits < 50, "an entry that waits for ever");
}

static void look_at_one(struct history *history)
{
    int number = (int)random_below(&history->random, QUEUES);
    const struct model_queue *queue = &history->applied.queues[number];
    struct index *index = store_queue_find(history->bench.store, queue_id(queue->serial), NULL);
    struct looked looked;
    if (!index || queue->live == 0)
        return;
    uint64_t from = 1 + random_below(&history->random, queue->next);
    uint64_t wanted = from;
    while (wanted < queue->next && !queue->is_live[wanted])
        wanted++;
    enum index_result result = INDEX_WAIT;
    for (int i = 0; i < 100 && result == INDEX_WAIT; i++) {
        result = index_look(index, from, &looked);
        if (result == INDEX_WAIT)
            bench_turns(&history->bench, 1, 1);
    }
    must(history, (result == INDEX_OK) == (wanted < queue->next), "a look at a message");
    if (result != INDEX_OK)
        return;
    must(history, looked.sequence == wanted && looked.message, "the message that was looked at");
    if (looked.message) {
        struct bytes body = message_body(looked.message);
        must(history, body.size == body_size_of(wanted), "the size of a message");
        for (size_t i = 0; i < body.size; i++)
            must(history, body.data[i] == wanted % 251, "the body of a message");
        message_unref(&history->bench.pool, looked.message);
    }
    history->met->looked++;
}

/* The leader delivers, below the mark that was agreed on. */
static void take_one(struct history *history)
{
    int number = (int)random_below(&history->random, QUEUES);
    const struct model_queue *queue = &history->applied.queues[number];
    struct index *index = store_queue_find(history->bench.store, queue_id(queue->serial), NULL);
    struct taken taken;
    if (!index || !history->leads || index_take(index, false, &taken) != INDEX_OK)
        return;
    must(history, taken.sequence < queue->mark, "a delivery above the mark");
    must(history, queue->is_live[taken.sequence], "a delivery of what is not there");
    message_unref(&history->bench.pool, taken.message);
    if (random_below(&history->random, 3) == 0)
        index_return(index, taken.sequence);
    history->met->taken++;
}

/* Who leads no more may still have messages to settle and to give back. */
static void settle_too_late(struct history *history, struct index *index, uint64_t sequence)
{
    struct message *message;
    index_settle(index, sequence);
    index_return(index, sequence);
    index_redeliver(index, sequence);
    index_delay(index, sequence, 1);
    must(history, index_fetch(index, sequence, &message) == INDEX_WAIT, "who does not lead has a message");
    history->met->late++;
}

static void lead_or_not(struct history *history)
{
    struct index *index = NULL;
    struct taken taken;
    for (int i = 0; i < QUEUES && history->leads && !index; i++) {
        index = store_queue_find(history->bench.store, queue_id(history->applied.queues[i].serial), NULL);
        if (index && index_take(index, false, &taken) != INDEX_OK)
            index = NULL;
    }
    history->leads = !history->leads;
    group_log_lead(history->log, history->leads);
    if (index) {
        message_unref(&history->bench.pool, taken.message);
        settle_too_late(history, index, taken.sequence);
    }
    check_all(history);
}

/* ---- histories ---- */

static void begin_log(struct history *history)
{
    struct log_floor floor = {.note = bytes_str("me")};
    history->log = group_log_begin(history->bench.store, GROUP, &floor);
    history->term = 1;
    bench_wait(&history->bench);
}

/* What the start has not found is not there; what it has is applied up to where that was known. */
static void find_again(struct history *history)
{
    uint64_t before = history->applied_to;
    history->log = group_log_find(history->bench.store, GROUP);
    history->leads = false;
    must(history, history->log != NULL, "a log is gone");
    if (!history->log)
        return;
    must(history, group_log_last(history->log) >= history->agreed, "what was agreed on is gone");
    must(history, group_log_kept(history->log) <= before, "more is applied than was");
    history->applied_to = group_log_kept(history->log);
    restore_replaced(history, history->bench.store->journal.written);
    history->recorded_to = group_log_last(history->log);
    model_until(history, &history->proposed, group_log_last(history->log));
    model_until(history, &history->applied, history->applied_to);
    check_all(history);
    history->met->again += before - history->applied_to;
    if (history->agreed > group_log_commit(history->log))
        group_log_committed(history->log, history->agreed);
    apply(history, UINT64_MAX);
    check_all(history);
}

static void crash(struct history *history)
{
    history->met->checkpoints += history->bench.store->stats.checkpoints;
    bench_crash(&history->bench, (enum crash)random_below(&history->random, 3));
    bench_open(&history->bench);
    history->met->crashes++;
    find_again(history);
}

static void close_and_check(struct history *history)
{
    store_close(history->bench.store);
    must(history, store_check(&history->bench.options, bench_print_line, NULL, NULL) == 0,
         "the store is not sound");
    bench_open(&history->bench);
    find_again(history);
}

static void raise(struct history *history)
{
    uint64_t from = group_log_floor(history->log).index;
    uint64_t index = from + random_below(&history->random, history->applied_to + 1 - from);
    history->met->raised += group_log_raise(history->log, index, bytes_str("me"));
}

static void act_once(struct history *history)
{
    uint64_t what = random_below(&history->random, 1000);
    if (what < 400)
        append(history);
    else if (what < 420)
        replace(history);
    else if (what < 520)
        agree(history);
    else if (what < 600)
        apply(history, 1 + random_below(&history->random, 20));
    else if (what < 620)
        raise(history);
    else if (what < 680)
        look_at_one(history);
    else if (what < 760)
        take_one(history);
    else if (what < 770)
        lead_or_not(history);
    else if (what < 790)
        bench_publish(&history->bench, 1 + (unsigned)random_below(&history->random, 3), 700);
    else if (what < 810)
        bench_take(&history->bench, (int)random_below(&history->random, BENCH_QUEUES), true);
    else if (what < 960)
        bench_turns(&history->bench, 1, 1 + random_below(&history->random, 60));
    else if (what < 980)
        bench_turns(&history->bench, 2, 40000);
    else if (what < 985)
        check_all(history);
    else if (what < 995)
        crash(history);
    else
        close_and_check(history);
}

static bool history_of(uint64_t seed, void *context)
{
    struct history *history = mem_zalloc(sizeof(*history));
    history->met = context;
    random_init(&history->random, seed);
    bench_init(&history->bench);
    struct store_options *options = &history->bench.options;
    options->group_cache_bytes = 2000 + random_below(&history->random, 60000);
    options->chunk_entries = 64u << random_below(&history->random, 4);
    options->cache_bytes = 4000 + random_below(&history->random, 60000);
    bench_open(&history->bench);
    begin_log(history);
    uint64_t steps = 200 + random_below(&history->random, 1800);
    for (uint64_t i = 0; i < steps && !history->wrong; i++)
        act_once(history);
    if (!history->wrong)
        close_and_check(history);
    if (history->wrong)
        diag("seed %llu: %s", (unsigned long long)seed, history->wrong);
    bool is_good = !history->wrong;
    bench_free(&history->bench);
    restore_replaced(history, 0);
    mem_free(history->replaced);
    mem_free(history);
    return is_good;
}

/* ---- what is refused ---- */

TEST(a_log_has_its_own_queues)
{
    struct bench bench;
    const char *wrong;
    struct buffer contents = {0}, id = {0};
    bench_init(&bench);
    bench_open(&bench);
    struct log_floor floor = {.note = bytes_str("me")};
    struct group_log *log = group_log_begin(bench.store, GROUP, &floor);
    buffer_add_u64(&id, 1);
    content_add(&contents, RECORD_DROP, buffer_bytes(&id));
    struct log_head head = {.index = 1, .term = 1, .kind = 1};
    group_log_append(log, &head, buffer_bytes(&contents));
    is_int(group_log_apply(log, &wrong), LOG_NONE, "nothing is applied before it is committed");
    group_log_committed(log, 1);
    is_int(group_log_apply(log, &wrong), LOG_WAIT, "nor before it is written");
    bench_wait(&bench);
    is_int(group_log_apply(log, &wrong), LOG_DAMAGED, "a queue of this broker is none of a group's");
    is_str(wrong, "a record that is not for this log", "and it says so");
    ok(store_queue_find(bench.store, 1, &bench), "the queue is there");
    buffer_free(&contents);
    buffer_free(&id);
    bench_free(&bench);
}

TEST(no_entry_moves_a_message)
{
    for (unsigned type = 0; type <= RECORD_LAST + 1; type++) {
        uint8_t bytes[CONTENT_HEADER] = {0, 0, 0, 0, (uint8_t)type};
        struct cursor cursor = cursor_of(bytes_of(bytes, sizeof(bytes)));
        enum record_type read;
        struct bytes payload;
        bool is_of_place = type == RECORD_MOVED || type == RECORD_PAGED;
        bool may_be = type == RECORD_NOTE ||
                      (type >= RECORD_MESSAGE && type <= RECORD_RETURNED && !is_of_place);
        is_int(content_next(&cursor, &read, &payload), may_be, "contents of type %u", type);
    }
}

/* A message is published to the queue. */
static void propose_body(struct bench *bench, struct index *index, uint32_t size)
{
    struct message *message =
        message_new(&bench->pool, bytes_str("x"), bytes_str("key"), bytes_of("\0\0", 2), size);
    memset(message_body_start(message), (int)(size % 251), size);
    message->body_filled = size;
    propose_to(index, 0);
    propose_message(bench->store, message);
    message_unref(&bench->pool, message);
}

/* The next contents are one message with such a body. */
static bool proposes(struct group_log *log, uint32_t size, struct log_contents *contents)
{
    enum record_type type;
    struct bytes payload;
    struct message_payload message;
    if (!group_log_proposal(log, 1, contents))
        return false;
    struct cursor cursor = cursor_of(contents->bytes);
    bool is_one = content_next(&cursor, &type, &payload) && type == RECORD_MESSAGE && cursor_left(&cursor) == 0;
    bool is_it = is_one && message_payload_read(payload, &message) && message.body_size == size;
    for (uint32_t i = 0; is_it && i < size; i++)
        is_it = message.data[payload.data + payload.size - message.data - 1 - i] == size % 251;
    return is_it && contents->checksum == log_contents_of(contents->bytes).checksum;
}

/* It is appended, and is all that was decided up to there. */
static void take_proposal(struct group_log *log, const struct log_contents *contents, uint64_t decided)
{
    struct log_head head = {.index = group_log_last(log) + 1, .term = 1, .kind = 1};
    group_log_add(log, &head, contents);
    group_log_proposed(log, contents->bytes.size);
    is_int(group_log_appended(log), decided, "what was decided before it is appended with it");
}

/* A log that leads, and a queue of it. */
static struct group_log *lead_queue(struct bench *bench, struct index **index)
{
    const char *wrong;
    struct buffer beginning = {0}, id = {0};
    bench_open(bench);
    struct log_floor floor = {.note = bytes_str("me")};
    struct group_log *log = group_log_begin(bench->store, GROUP, &floor);
    buffer_add_u64(&id, queue_id(1));
    content_add(&beginning, RECORD_QUEUE, buffer_bytes(&id));
    struct log_head head = {.index = 1, .term = 1, .kind = 1};
    group_log_append(log, &head, buffer_bytes(&beginning));
    bench_wait(bench);
    group_log_committed(log, 1);
    is_int(group_log_apply(log, &wrong), LOG_OK, "a queue begins");
    group_log_lead(log, true);
    *index = idmap_find(&bench->store->indexes, queue_id(1));
    buffer_free(&beginning);
    buffer_free(&id);
    return log;
}

/* All that was decided is agreed on, and applied. */
static void agree_on_all(struct bench *bench, struct group_log *log)
{
    struct log_contents contents;
    const char *wrong;
    while (group_log_proposal(log, 1, &contents)) {
        struct log_head head = {.index = group_log_last(log) + 1, .term = 1, .kind = 1};
        group_log_add(log, &head, &contents);
        group_log_proposed(log, contents.bytes.size);
    }
    bench_wait(bench);
    group_log_committed(log, group_log_last(log));
    while (group_log_apply(log, &wrong) == LOG_OK)
        continue;
}

/* Whoever asks whether a message is there, as another one like it comes, is told of what was decided. */
TEST(what_is_to_end_is_not_kept)
{
    struct bench bench;
    struct index *index;
    uint64_t taken;
    bench_init(&bench);
    struct group_log *log = lead_queue(&bench, &index);
    for (uint32_t size = 1; size <= 3; size++)
        propose_body(&bench, index, size);
    ok(index_keeps(index, 1) && index_keeps(index, 3), "what is to come will be there");
    agree_on_all(&bench, log);
    ok(index_take_head(index, &taken) && taken == 1, "one is taken");
    ok(index_keeps(index, 1), "and is there");
    index_settle(index, taken);
    ok(!index_keeps(index, 1) && index_holds(index, 1), "it is not kept, and not gone, when it is settled");
    ok(index_keeps(index, 2), "the others are kept");
    is_int(index_purge(index), 2, "these are purged");
    ok(!index_keeps(index, 2) && !index_keeps(index, 3) && index_holds(index, 2), "the same goes for them");
    agree_on_all(&bench, log);
    ok(!index_holds(index, 1) && !index_holds(index, 2) && !index_holds(index, 3), "then they are gone");
    propose_body(&bench, index, 4);
    ok(index_keeps(index, 4), "and others come");
    bench_free(&bench);
}

/* A turn copies a slice of a large message, which waits in its place among the others. */
TEST(large_messages_are_copied_over_turns)
{
    enum { LARGE = 1 << 20, SLICE = 256 << 10 };
    struct bench bench;
    struct log_contents contents;
    struct index *index;
    const char *wrong;
    uint64_t decided[5];
    bench_init(&bench);
    bench.options.group_slice_bytes = SLICE;
    struct group_log *log = lead_queue(&bench, &index);
    const uint32_t sizes[5] = {10, LARGE, LARGE + 100, 20, 30};
    size_t before = message_pool_bytes(&bench.pool);
    for (int i = 0; i < 5; i++) {
        propose_body(&bench, index, sizes[i]);
        decided[i] = group_log_decided(log);
    }
    ok(decided[4] > 2 * LARGE && decided[1] - decided[0] > LARGE, "all of it is decided");
    ok(proposes(log, 10, &contents), "what came before it goes at once");
    take_proposal(log, &contents, decided[0]);
    for (int at = 1; at <= 2; at++) {
        int turns = 0;
        while (!group_log_proposal(log, 1, &contents) && ++turns < 100)
            group_log_copy(log);
        ok(turns >= 4 && turns <= 5, "it takes %d turns", turns);
        ok(proposes(log, sizes[at], &contents), "then it is as it was published");
        struct shared *shared = contents.shared;
        is_int(shared && shared->refs == 1, true, "in memory of its own");
        take_proposal(log, &contents, decided[at]);
        ok(group_log_shared(log, group_log_last(log)) == shared && shared->refs == 1,
           "which nobody but the log holds from then on");
    }
    ok(!group_log_copy(log), "nothing is left to be copied");
    ok(message_pool_bytes(&bench.pool) < before + LARGE / 2, "and nobody holds the messages");
    for (int at = 3; at < 5; at++) {
        ok(proposes(log, sizes[at], &contents), "what came behind it follows");
        take_proposal(log, &contents, decided[at]);
    }
    ok(!group_log_proposal(log, 1, &contents), "and that is all");
    propose_body(&bench, index, LARGE);
    uint64_t last = group_log_decided(log);
    group_log_copy(log);
    group_log_lead(log, false);
    is_int(group_log_decided(log), last, "who leads no more forgets it");
    ok(!group_log_proposal(log, 1, &contents) && !group_log_copy(log), "all of it");
    is_int(group_log_appended(log), last, "so that nobody waits for it");
    bench_wait(&bench);
    group_log_committed(log, 6);
    bool are_applied = true;
    for (int i = 2; i <= 6; i++)
        are_applied = are_applied && group_log_apply(log, &wrong) == LOG_OK;
    ok(are_applied, "what was appended is applied");
    is_int(index->next_sequence, 6, "in order");
    bench_free(&bench);
}

int main(int argc, char **argv)
{
    struct met met = {0};
    if (argc == 1) {
        RUN(a_log_has_its_own_queues);
        RUN(no_entry_moves_a_message);
        RUN(what_is_to_end_is_not_kept);
        RUN(large_messages_are_copied_over_turns);
    }
    bench_histories(argc, argv, 120, "queues of a group are what it agreed on", history_of, &met);
    if (argc == 1)
        ok(met.crashes && met.cuts && met.applied && met.again && met.dropped && met.taken &&
               met.raised && met.checkpoints && met.looked && met.late,
           "all of it happened: %llu crashes, %llu cuts, %llu entries applied, %llu of them again, "
           "%llu queues dropped, %llu messages taken, %llu floors raised, %llu checkpoints, %llu looks",
           (unsigned long long)met.crashes, (unsigned long long)met.cuts,
           (unsigned long long)met.applied, (unsigned long long)met.again,
           (unsigned long long)met.dropped, (unsigned long long)met.taken,
           (unsigned long long)met.raised, (unsigned long long)met.checkpoints,
           (unsigned long long)met.looked);
    return done();
}
