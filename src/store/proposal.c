/* What a leader decides about the queues of its group, as the contents of entries to come. Nothing of it
 * is done to the queues before the group has agreed on it (group_log_apply), but that a message which is
 * taken stays taken until its end, or its return, is applied.
 *
 * A *led* queue is one that something was decided for: its next sequence number, its mark, and what of it
 * is settled or comes back lie here, as they are ahead of the state. What is settled, and what comes back,
 * is gathered for each queue, and put behind all else when contents are asked for: the messages are in the
 * state, so that no order among them is lost.
 *
 * A large message is an entry by itself, and is copied over several turns (group_log_copy): into memory that the log,
 * the journal and the links hold together from then on. */
#include <assert.h>

#include "base/crc32c.h"
#include "base/mem.h"
#include "base/planted.h"
#include "store/internal.h"

struct led {
    struct list settling_link; /* on proposal->settling */
    uint64_t id;
    uint64_t next;       /* sequence number of the next message */
    uint64_t mark_asked; /* a mark that is decided */
    bool is_new;         /* its beginning is not applied yet */
    bool is_going;       /* its end is decided */
    struct settles settles;
    struct idmap returning; /* struct returning, by sequence number */
    struct idmap ending;    /* by sequence number, what is settled and not applied; see ends_are_known */
    /* Of the queue as a whole, with its part 0: what is to come. */
    uint64_t coming, coming_bytes;
};

struct large_message {
    struct list link;
    size_t at;               /* in proposal->contents: what lies before comes first */
    struct message *message; /* a reference; NULL: all of it was copied */
    struct shared *shared;   /* its contents, as far as they were copied */
    size_t size;             /* that they will have */
    uint32_t checksum;       /* so far */
};

/* What came back, as far as it is decided and not applied yet. */
struct returning {
    uint32_t count;    /* how often it has come back, by the last decision */
    uint32_t pending;  /* decisions that are not applied */
    uint64_t until_ms; /* of the last one */
};

static struct group_log *log_of(const struct index *index)
{
    struct group_log *log = group_log_find(index->store, store_group_of(index->id));
    assert(log);
    return log;
}

bool group_may_take(const struct index *index)
{
    return log_of(index)->leads;
}

static struct led *led_new(struct group_log *log, uint64_t id)
{
    struct led *led = mem_zalloc(sizeof(*led));
    led->id = id;
    list_init(&led->settling_link);
    led->settles.queue = id;
    idmap_init(&led->returning);
    idmap_init(&led->ending);
    idmap_add(&log->proposal.led, id, led);
    return led;
}

static struct led *led_of(struct index *index)
{
    struct group_log *log = log_of(index);
    struct led *led = idmap_find(&log->proposal.led, index->id);
    if (!led)
        led = led_new(log, index->id);
    if (led->next == 0 || planted(PLANTED_AGREE_NEXT_OF_STATE)) {
        led->next = index->next_sequence;
        led->mark_asked = index->mark;
    }
    return led;
}

static void led_free(struct led *led)
{
    uint64_t at = 0;
    struct returning *returning;
    while ((returning = idmap_next(&led->returning, &at)))
        mem_free(returning);
    list_remove(&led->settling_link);
    settles_free(&led->settles);
    idmap_free(&led->returning);
    idmap_free(&led->ending);
    mem_free(led);
}

/* NULL: nothing was decided for it that is not applied. */
static struct led *led_find(const struct index *index)
{
    struct group_log *log = group_log_find(index->store, store_group_of(index->id));
    return log ? idmap_find(&log->proposal.led, index->id) : NULL;
}

/* ---- contents ---- */

/* All that was decided, but for what is settled and comes back and was not put behind it yet. */
static uint64_t in_contents(const struct proposal *proposal)
{
    return proposal->before + proposal->contents.size + proposal->large_bytes;
}

static void add(struct group_log *log, enum record_type type, struct bytes payload)
{
    content_add(&log->proposal.contents, type, payload);
}

static void add_id(struct group_log *log, enum record_type type, uint64_t id)
{
    struct buffer payload = {0};
    buffer_add_u64(&payload, id);
    add(log, type, buffer_bytes(&payload));
    buffer_free(&payload);
}

static void put_numbers(struct group_log *log, enum record_type type, uint64_t id,
                        const struct buffer *numbers)
{
    struct buffer payload = {0};
    if (numbers->size == 0)
        return;
    buffer_add_u64(&payload, id);
    buffer_add(&payload, numbers->data, numbers->size);
    add(log, type, buffer_bytes(&payload));
    buffer_free(&payload);
}

static void close_settles(struct group_log *log)
{
    struct list *link;
    size_t before = log->proposal.contents.size;
    bool any = !list_is_empty(&log->proposal.settling);
    while ((link = list_take_first(&log->proposal.settling))) {
        struct led *led = list_entry(link, struct led, settling_link);
        settles_close(&led->settles);
        if (!led->is_going) {
            put_numbers(log, RECORD_RETURNED, led->id, &led->settles.returned);
            put_numbers(log, RECORD_SETTLE, led->id, &led->settles.ranges);
        }
        settles_clear(&led->settles);
    }
    if (any && log->proposal.contents.size == before)
        log->proposal.before++; /* as group_log_decided has said that there is something */
}

/* Its payload is complete but for `missing` bytes. */
static void start_message(struct proposal *proposal, struct message *message, struct buffer *out, size_t missing)
{
    size_t begun = contents_begin(out, RECORD_MESSAGE);
    message_payload_start(out, message, proposal->destinations, proposal->destinations_count);
    contents_end_before(out, begun, missing);
}

static void add_copied(struct proposal *proposal, struct message *message)
{
    size_t size = message_data_size(message);
    start_message(proposal, message, &proposal->contents, size);
    buffer_add(&proposal->contents, message->data, size);
}

/* What was settled before comes before it: who waits for that is told when it is done, by its number. */
static void add_large(struct group_log *log, struct message *message)
{
    struct proposal *proposal = &log->proposal;
    struct large_message *large = mem_zalloc(sizeof(*large));
    size_t size = message_data_size(message);
    close_settles(log);
    large->at = proposal->contents.size;
    large->message = message_ref(message);
    large->shared = shared_new();
    struct buffer *bytes = &large->shared->bytes;
    start_message(proposal, message, bytes, size);
    large->size = bytes->size + size;
    bytes->data = mem_realloc(bytes->data, large->size);
    bytes->capacity = large->size;
    large->checksum = crc32c(0, bytes->data, bytes->size);
    list_push_back(&proposal->large, &large->link);
    proposal->large_bytes += large->size;
}

static void large_free(struct message_pool *pool, struct large_message *large)
{
    if (large->message)
        message_unref(pool, large->message);
    shared_unref(large->shared);
    list_remove(&large->link);
    mem_free(large);
}

/* The flag for times is of the record alone; in this broker's journal the message may have another one. */
static void add_message(struct group_log *log, struct message *message)
{
    struct proposal *proposal = &log->proposal;
    for (uint32_t i = 0; i < proposal->destinations_count; i++) {
        uint64_t id = store_part_queue(proposal->destinations[i].queue);
        struct led *whole = idmap_find(&proposal->led, id);
        whole = whole ? whole : led_new(log, id);
        whole->coming++;
        whole->coming_bytes += message->body_size;
    }
    uint8_t flags = message->flags;
    if (message_data_size(message) >= log->store->options.group_shared_bytes)
        add_large(log, message);
    else
        add_copied(proposal, message);
    message->flags = flags;
    proposal->destinations_count = 0;
}

void propose_to(struct index *index, uint64_t ends_ms)
{
    struct group_log *log = log_of(index);
    struct proposal *proposal = &log->proposal;
    struct led *led = led_of(index);
    assert(!led->is_going);
    if (proposal->destinations_count == 0)
        list_push_back(&index->store->groups.addressed, &proposal->addressed_link);
    proposal->destinations =
        mem_grow(proposal->destinations, &proposal->destinations_capacity,
                 (size_t)proposal->destinations_count + 1, sizeof(*proposal->destinations));
    proposal->destinations[proposal->destinations_count++] =
        (struct destination){index->id, led->next++, ends_ms};
}

uint32_t propose_message(struct store *store, struct message *message)
{
    struct list *link;
    uint32_t logs = 0;
    while ((link = list_take_first(&store->groups.addressed))) {
        struct group_log *log = list_entry(link, struct group_log, proposal.addressed_link);
        add_message(log, message);
        logs |= 1u << log->wait;
    }
    return logs;
}

uint64_t propose_next(const struct index *index)
{
    const struct led *led = led_find(index);
    return led && led->next ? led->next : index->next_sequence;
}

static void settles_wanted(struct group_log *log, struct led *led)
{
    if (list_is_empty(&led->settling_link))
        list_push_back(&log->proposal.settling, &led->settling_link);
}

void propose_settle(struct index *index, uint64_t sequence)
{
    struct led *led = led_of(index);
    if (led->is_going || planted(PLANTED_AGREE_SETTLE_UNSAID))
        return;
    settles_add(&led->settles, sequence, 1);
    settles_wanted(log_of(index), led);
    if (index->ends_are_known && !idmap_find(&led->ending, sequence))
        idmap_add(&led->ending, sequence, led);
}

bool propose_is_ending(const struct index *index, uint64_t sequence)
{
    const struct led *led = led_find(index);
    return led && idmap_find(&led->ending, sequence);
}

void propose_returned(struct index *index, uint64_t sequence, uint32_t count, uint64_t until_ms)
{
    struct led *led = led_of(index);
    if (led->is_going)
        return;
    settles_return(&led->settles, sequence, count, until_ms);
    settles_wanted(log_of(index), led);
    struct returning *returning = idmap_find(&led->returning, sequence);
    if (!returning) {
        returning = mem_zalloc(sizeof(*returning));
        idmap_add(&led->returning, sequence, returning);
    }
    returning->count = count;
    returning->until_ms = until_ms;
    returning->pending++;
}

bool propose_is_delaying(const struct index *index, uint64_t sequence)
{
    const struct led *led = led_find(index);
    const struct returning *returning = led ? idmap_find(&led->returning, sequence) : NULL;
    return returning && returning->until_ms;
}

bool propose_count(const struct index *index, uint64_t sequence, uint32_t *count)
{
    const struct led *led = led_find(index);
    const struct returning *returning = led ? idmap_find(&led->returning, sequence) : NULL;
    if (returning && !planted(PLANTED_AGREE_COUNT_OF_STATE))
        *count = returning->count;
    return returning;
}

bool propose_mark(struct index *index, uint64_t sequence)
{
    uint32_t step = index->store->options.mark_step;
    struct led *led = led_of(index);
    if (sequence + step / 2 >= led->mark_asked && !led->is_going) {
        struct buffer payload = {0};
        led->mark_asked = sequence + step;
        buffer_add_u64(&payload, index->id);
        buffer_add_u64(&payload, led->mark_asked);
        add(log_of(index), RECORD_DELIVERED, buffer_bytes(&payload));
        buffer_free(&payload);
    }
    return sequence < index->mark || planted(PLANTED_AGREE_MARK_EARLY);
}

void propose_queue(struct index *index)
{
    led_of(index)->is_new = true;
    add_id(log_of(index), RECORD_QUEUE, index->id);
}

void propose_name(struct store *store, enum record_type type, struct bytes payload)
{
    struct group_log *log = store->groups.names;
    add(log, type, payload);
    log->proposal.names_decided = in_contents(&log->proposal);
}

void propose_drop(struct index *index)
{
    struct led *led = led_of(index);
    if (led->is_going)
        return;
    led->is_going = true;
    index->owner = NULL;
    index->above = NULL; /* which goes with the owner */
    index->is_waiting = false;
    list_remove(&index->wait_link);
    add_id(log_of(index), RECORD_DROP, index->id);
}

/* ---- what is applied ---- */

void led_comes(struct store *store, uint64_t id, uint64_t bytes)
{
    struct group_log *log = group_log_find(store, store_group_of(id));
    struct led *whole = log ? idmap_find(&log->proposal.led, store_part_queue(id)) : NULL;
    if (!whole || !whole->coming)
        return;
    whole->coming--;
    whole->coming_bytes -= bytes;
}

uint64_t store_queue_proposed(const struct store *store, uint64_t id, uint64_t *bytes)
{
    const struct group_log *log = idmap_find(&store->groups.by_number, store_group_of(id));
    const struct led *whole = log ? idmap_find(&log->proposal.led, store_part_queue(id)) : NULL;
    *bytes = whole ? whole->coming_bytes : 0;
    return whole ? whole->coming : 0;
}

bool led_begins(struct store *store, uint64_t id)
{
    struct group_log *log = group_log_find(store, store_group_of(id));
    struct led *led = log ? idmap_find(&log->proposal.led, id) : NULL;
    bool is_new = led && led->is_new;
    if (is_new)
        led->is_new = false;
    return is_new;
}

void led_ends(struct store *store, uint64_t id)
{
    struct group_log *log = group_log_find(store, store_group_of(id));
    struct led *led = log ? idmap_remove(&log->proposal.led, id) : NULL;
    if (led)
        led_free(led);
}

void led_returned(struct index *index, uint64_t sequence)
{
    struct led *led = led_find(index);
    struct returning *returning = led ? idmap_find(&led->returning, sequence) : NULL;
    if (!returning || --returning->pending)
        return;
    idmap_remove(&led->returning, sequence);
    mem_free(returning);
}

void led_settled(struct index *index, uint64_t first, uint64_t count)
{
    struct led *led = led_find(index);
    for (uint64_t i = 0; led && led->ending.count && i < count; i++)
        idmap_remove(&led->ending, first + i);
}

/* ---- for who proposes ---- */

static struct large_message *first_large(const struct proposal *proposal)
{
    struct list *link = list_first(&proposal->large);
    return link ? list_entry(link, struct large_message, link) : NULL;
}

/* The first that was not copied. */
static struct large_message *next_copied(const struct proposal *proposal)
{
    list_for_each(at, &proposal->large) {
        struct large_message *large = list_entry(at, struct large_message, link);
        if (large->message)
            return large;
    }
    return NULL;
}

/* So many bytes of it at most; how many. */
static size_t copy(struct message_pool *pool, struct large_message *large, size_t max)
{
    struct buffer *bytes = &large->shared->bytes;
    size_t left = large->size - bytes->size, size = left < max ? left : max;
    size_t from = message_data_size(large->message) - left;
    buffer_add(bytes, large->message->data + from, size);
    large->checksum = crc32c(large->checksum, large->message->data + from, size);
    if (size < left)
        return size;
    message_unref(pool, large->message);
    large->message = NULL;
    return size;
}

bool group_log_copy(struct group_log *log)
{
    struct large_message *large;
    size_t max = log->store->options.group_slice_bytes;
    while ((large = next_copied(&log->proposal)) && max)
        max -= copy(log->store->options.pool, large, max);
    return large;
}

bool group_log_proposal(struct group_log *log, size_t max, struct log_contents *contents)
{
    struct proposal *proposal = &log->proposal;
    close_settles(log);
    const struct large_message *large = first_large(proposal);
    size_t last = large ? large->at : proposal->contents.size;
    if (last == proposal->taken && large && !large->message)
        *contents = (struct log_contents){buffer_bytes(&large->shared->bytes), large->shared, large->checksum};
    if (last == proposal->taken)
        return large && !large->message;
    struct bytes all = bytes_of(proposal->contents.data + proposal->taken, last - proposal->taken);
    struct cursor cursor = cursor_of(all);
    enum record_type type;
    struct bytes payload;
    size_t size = 0;
    while (content_next(&cursor, &type, &payload)) {
        size_t end = all.size - cursor_left(&cursor);
        if (size && end > max)
            break;
        size = end;
    }
    assert(!cursor.bad);
    *contents = log_contents_of(bytes_of(all.data, size));
    return true;
}

void group_log_proposed(struct group_log *log, size_t size)
{
    struct proposal *proposal = &log->proposal;
    struct large_message *large = first_large(proposal);
    if (large && large->at == proposal->taken) {
        assert(size == large->size);
        proposal->before += size;
        proposal->large_bytes -= size;
        large_free(log->store->options.pool, large);
    } else {
        proposal->taken += size;
    }
    assert(proposal->taken <= proposal->contents.size);
    if (proposal->taken < proposal->contents.size)
        return;
    list_for_each(at, &proposal->large)
        list_entry(at, struct large_message, link)->at = 0; /* nothing lies before it any more */
    proposal->before += proposal->taken;
    proposal->taken = 0;
    proposal->contents.size = 0;
    if (proposal->contents.capacity > PROPOSAL_KEPT)
        buffer_free(&proposal->contents);
}

uint64_t group_log_decided(const struct group_log *log)
{
    const struct proposal *proposal = &log->proposal;
    return in_contents(proposal) + !list_is_empty(&proposal->settling);
}

uint64_t group_log_appended(const struct group_log *log)
{
    return log->proposal.before + log->proposal.taken;
}

void group_log_take_names(struct group_log *log)
{
    log->store->groups.names = log;
}

uint64_t group_log_names_decided(const struct group_log *log)
{
    return log->proposal.names_decided;
}

void group_log_set_wait(struct group_log *log, uint8_t number)
{
    assert(number != LOG_JOURNAL);
    log->wait = number;
}

static void drop_all(struct message_pool *pool, struct proposal *proposal)
{
    uint64_t at = 0;
    struct led *led;
    struct large_message *large;
    proposal->before = in_contents(proposal);
    proposal->taken = proposal->contents.size = 0;
    proposal->large_bytes = 0;
    while ((large = first_large(proposal)))
        large_free(pool, large);
    while ((led = idmap_next(&proposal->led, &at))) {
        idmap_remove(&proposal->led, led->id);
        led_free(led);
        at = 0;
    }
}

void group_log_lead(struct group_log *log, bool leads)
{
    uint64_t at = 0;
    struct index *index;
    if (log->leads == leads)
        return;
    log->leads = leads;
    if (!leads)
        drop_all(log->store->options.pool, &log->proposal);
    while ((index = idmap_next(&log->store->indexes, &at))) {
        if (!store_is_of_group(index->id) || store_group_of(index->id) != log->group)
            continue;
        if (!leads) {
            index_untake(index);
            continue;
        }
        index_lead(index);
        index_has_news(index);
    }
}

void group_log_drop_orphans(struct group_log *log)
{
    uint64_t at = 0;
    struct index *index;
    while ((index = idmap_next(&log->store->indexes, &at)))
        if (store_is_of_group(index->id) && store_group_of(index->id) == log->group && !index->owner)
            propose_drop(index);
}

void proposal_init(struct proposal *proposal)
{
    idmap_init(&proposal->led);
    list_init(&proposal->settling);
    list_init(&proposal->large);
    list_init(&proposal->addressed_link);
}

void proposal_free(struct message_pool *pool, struct proposal *proposal)
{
    drop_all(pool, proposal);
    idmap_free(&proposal->led);
    mem_free(proposal->destinations);
    buffer_free(&proposal->contents);
}
