/* What is in which queue, what goes where and with what, as AMQP and RabbitMQ have it. */
#include "tests/sim/solo_internal.h"

#include <inttypes.h>
#include <stdio.h>

#include "amqp/properties.h"
#include "amqp/table.h"
#include "base/mem.h"

const char *const solo_keys[KEYS] = {"", "a", "a.b", "b", "a.b.c", "*.b", "a.#", "#"};

/* ---- small things ---- */

void entries_add(struct entries *entries, const struct entry *entry)
{
    if (entries->count == entries->capacity) {
        entries->capacity = entries->capacity ? entries->capacity * 2 : 16;
        entries->at = mem_realloc(entries->at, entries->capacity * sizeof(*entry));
    }
    size_t at = entries->count++;
    for (; at && entries->at[at - 1].place > entry->place; at--)
        entries->at[at] = entries->at[at - 1];
    entries->at[at] = *entry;
}

bool entries_is_head(const struct entries *entries, size_t at)
{
    return at == 0 || level_of(&entries->at[at - 1]) != level_of(&entries->at[at]);
}

struct entry entries_take(struct entries *entries, size_t at)
{
    struct entry entry = entries->at[at];
    entries->count--;
    memmove(&entries->at[at], &entries->at[at + 1], (entries->count - at) * sizeof(entry));
    return entry;
}

void entries_clear(struct entries *entries)
{
    mem_free(entries->at);
    *entries = (struct entries){0};
}

struct bytes solo_queue_text(const struct solo *solo, int queue, char name[NAME_SIZE])
{
    snprintf(name, NAME_SIZE, "s%d.q%d", solo->client->number, queue);
    return bytes_str(name);
}

struct bytes solo_exchange_text(const struct solo *solo, int exchange, char name[NAME_SIZE])
{
    snprintf(name, NAME_SIZE, "s%d.x%d", solo->client->number, exchange);
    if (exchange == DEFAULT)
        name[0] = 0;
    return bytes_str(name);
}

struct bytes solo_key_text(const struct solo *solo, int key, char name[NAME_SIZE])
{
    if (key >= KEYS)
        return solo_queue_text(solo, key - KEYS, name);
    snprintf(name, NAME_SIZE, "%s", solo_keys[key]);
    return bytes_str(name);
}

uint32_t solo_count_late(const struct own_queue_of *queue)
{
    uint32_t count = 0;
    for (size_t i = 0; i < queue->ready.count; i++)
        count += queue->ready.at[i].is_late;
    return count;
}

bool solo_has_late(const struct solo *solo)
{
    for (int i = 0; i < QUEUES_OF_ONE; i++)
        if (solo->queues[i].exists && solo_count_late(&solo->queues[i]))
            return true;
    return false;
}

bool solo_has_consumers(const struct solo *solo)
{
    for (int i = 0; i < CONSUMERS_OF_ONE; i++)
        if (solo->consumers[i].is_active)
            return true;
    return false;
}

uint32_t solo_count_consumers(const struct solo *solo, int queue)
{
    uint32_t count = 0;
    for (int i = 0; i < CONSUMERS_OF_ONE; i++)
        count += solo->consumers[i].is_active && solo->consumers[i].queue == queue;
    return count;
}

bool solo_fails(const struct solo *solo, const char *what, uint64_t id, int queue)
{
    sim_fail(sim_of(solo), "s%d.q%d: message %" PRIu64 " %s", solo->client->number, queue, id,
             what);
    return false;
}

/* ---- routing, as AMQP and RabbitMQ have it ---- */

static const char *word_end(const char *word)
{
    return word + strcspn(word, ".");
}

/* `pattern` and `key` are at the beginning of a word, or NULL behind the last. */
static bool topic_matches(const char *pattern, const char *key)
{
    if (!pattern)
        return !key;
    const char *end = word_end(pattern), *next = *end ? end + 1 : NULL;
    const char *key_next = key && *word_end(key) ? word_end(key) + 1 : NULL;
    if (end - pattern == 1 && *pattern == '#')
        return topic_matches(next, key) || (key && topic_matches(pattern, key_next));
    if (!key)
        return false;
    bool is_same =
        word_end(key) - key == end - pattern && strncmp(pattern, key, (size_t)(end - pattern)) == 0;
    return (is_same || (end - pattern == 1 && *pattern == '*')) && topic_matches(next, key_next);
}

static bool headers_match(int match, int h, int g)
{
    switch (match) {
    case 1: /* all: h=1 */
        return h == 1;
    case 2: /* all: h=1 g=1 */
        return h == 1 && g == 1;
    case 3: /* any: h=1 g=1 */
        return h == 1 || g == 1;
    case 4: /* all: g is there */
        return g != 0;
    default:
        return true;
    }
}

static bool key_matches(const struct solo *solo, enum kind kind, const struct own_binding *binding,
                        int key)
{
    char text[NAME_SIZE];
    if (key == NONE)
        return false;
    const char *name = (const char *)solo_key_text(solo, key, text).data;
    if (kind == DIRECT)
        return key < KEYS && strcmp(solo_keys[binding->key], name) == 0;
    return topic_matches(*solo_keys[binding->key] ? solo_keys[binding->key] : NULL,
                         *name ? name : NULL);
}

static bool binding_matches(const struct solo *solo, const struct own_binding *binding,
                            const struct entry *letter)
{
    enum kind kind = solo->exchanges[binding->source].kind;
    if (kind == FANOUT)
        return true;
    if (kind == HEADERS)
        return headers_match(binding->match, letter->h, letter->g);
    return key_matches(solo, kind, binding, letter->key) ||
           key_matches(solo, kind, binding, letter->cc);
}

static uint32_t default_route(const struct solo *solo, int key)
{
    int queue = key - KEYS;
    return key >= KEYS && solo->queues[queue].exists ? 1u << queue : 0;
}

/* Bits of the queues that it reaches from an exchange. */
uint32_t solo_route(const struct solo *solo, int exchange, const struct entry *letter)
{
    uint32_t queues = 0, visited = 0;
    int pending[EXCHANGES_OF_ONE + 1], count = 0;
    pending[count++] = exchange;
    visited |= 1u << exchange;
    while (count) {
        int at = pending[--count], matched = 0;
        if (at == DEFAULT) {
            queues |= default_route(solo, letter->key) | default_route(solo, letter->cc);
            continue;
        }
        for (int i = 0; i < solo->bindings_count; i++) {
            const struct own_binding *binding = &solo->bindings[i];
            if (binding->source != at || !binding_matches(solo, binding, letter))
                continue;
            matched++;
            if (binding->queue != NONE)
                queues |= 1u << binding->queue;
            else if (!(visited & 1u << binding->exchange))
                pending[count++] = binding->exchange;
            if (binding->queue == NONE)
                visited |= 1u << binding->exchange;
        }
        int alternate = solo->exchanges[at].alternate;
        if (matched || alternate == NONE || visited & 1u << alternate ||
            !solo->exchanges[alternate].exists)
            continue;
        visited |= 1u << alternate;
        pending[count++] = alternate;
        sim_of(solo)->report->met[MET_ALTERNATE]++;
    }
    return queues;
}

static void send_on(struct solo *solo, int number, const struct entry *entry, enum reason why);

static uint64_t place_of(const struct own_queue_of *queue, const struct entry *entry,
                         uint64_t number)
{
    uint64_t level = entry->priority == NONE ? 0 : (uint64_t)entry->priority;
    if (queue->max_priority == NO_LIMIT)
        level = 0;
    else if (level > queue->max_priority)
        level = queue->max_priority;
    return (LEVEL_TOP - level) << LEVEL_SHIFT | number;
}

static const struct entry *find_same(const struct entries *entries, int same)
{
    for (size_t i = 0; i < entries->count; i++)
        if (entries->at[i].same == same)
            return &entries->at[i];
    return NULL;
}

/* One like it is in the queue, delivered or not. */
static bool has_same(struct solo *solo, int number, const struct entry *letter)
{
    struct own_queue_of *queue = &solo->queues[number];
    const struct entry *ready = find_same(&queue->ready, letter->same);
    if (!queue->deduplicates || !letter->same)
        return false;
    /* Whether the one before had left when the letter came is not known. */
    if (letter->is_late && letter->died_in != number &&
        queue->left_step[letter->same] >= letter->step)
        solo_doubt_queues(solo);
    bool is_there = ready || find_same(&queue->waiting, letter->same);
    /* Of two letters that are on their way the first counts. */
    if (ready && letter->is_late && (ready->is_late || ready->step == solo->step))
        solo_doubt_queues(solo);
    for (size_t i = 0; i < solo->unacked_count; i++)
        if (solo->unacked[i].queue == number && solo_is_of_queue(solo, &solo->unacked[i]) &&
            solo->unacked[i].entry.same == letter->same)
            is_there = true;
    if (letter->is_late && is_there)
        queue->dropped_step[letter->same] = solo->step;
    return is_there;
}

/* Bits of those that take it for a duplicate. */
static uint32_t find_duplicates(struct solo *solo, uint32_t queues, const struct entry *letter)
{
    uint32_t having = 0;
    for (int i = 0; i < QUEUES_OF_ONE; i++)
        if (queues & 1u << i && has_same(solo, i, letter))
            having |= 1u << i;
    if (having)
        sim_of(solo)->report->met[MET_DUPLICATE]++;
    return having;
}

uint32_t solo_enqueue(struct solo *solo, uint32_t queues, struct entry letter)
{
    uint32_t refused = 0;
    letter.is_seen = letter.is_crossed = letter.is_unread = letter.is_taken = false;
    letter.count_least = letter.count_most = 0;
    letter.ready_ms = letter.ready_most_ms = 0;
    if (!letter.is_late)
        letter.step = solo->step;
    letter.op = solo->op;
    queues &= ~find_duplicates(solo, queues, &letter);
    for (int i = 0; i < QUEUES_OF_ONE; i++)
        if (queues & 1u << i && letter.is_late)
            solo_note_letter(solo, i, &letter);
    for (int i = 0; i < QUEUES_OF_ONE; i++)
        if (queues & 1u << i && solo_refuses(solo, i, &letter))
            refused |= 1u << i;
    sim_say(sim_of(solo), "s%d: %" PRIu64 " goes to queues %x, and is refused by %x",
            solo->client->number, letter.id, queues & ~refused, refused);
    for (int i = 0; i < QUEUES_OF_ONE; i++) {
        letter.place = place_of(&solo->queues[i], &letter, solo->place_last += PLACES);
        if (!(queues & ~refused & 1u << i))
            continue;
        solo_came(solo, i, &letter);
        entries_add(&solo->queues[i].ready, &letter);
        solo_note_entry(solo, i);
    }
    for (int i = 0; i < QUEUES_OF_ONE; i++)
        if (refused & 1u << i && solo->queues[i].overflow == OVERFLOW_REJECT_DLX &&
            solo_sends_on(solo, &solo->queues[i]))
            send_on(solo, i, &letter, REASON_MAXLEN);
    return refused;
}

bool solo_survives_in(const struct own_queue_of *queue, const struct entry *entry)
{
    return entry->persistent && (queue->durable || queue->is_mirrored);
}

void solo_add_ghost(struct own_queue_of *queue, struct entry entry, uint64_t op)
{
    entry.op = op;
    entry.is_late = false;
    entry.count_most++; /* if it was not read that it was settled */
    if (queue->ghosts.count < 1000)
        entries_add(&queue->ghosts, &entry);
    else
        queue->is_unsure = true;
}

void solo_add_seen_ghost(struct own_queue_of *queue, struct entry entry, uint64_t op)
{
    entry.is_seen = true;
    solo_add_ghost(queue, entry, op);
}

bool solo_sends_on(const struct solo *solo, const struct own_queue_of *queue)
{
    return queue->dlx != NONE && (queue->dlx == DEFAULT || solo->exchanges[queue->dlx].exists);
}

static uint64_t way_of(const struct entry *letter, uint64_t before)
{
    uint64_t death = ((uint64_t)letter->died_in << 16 | letter->died_level) << 8 | (uint64_t)letter->why;
    return (before ^ (death + 1)) * 0x9e3779b97f4a7c15;
}

struct entry solo_letter_of(const struct solo *solo, int number, const struct entry *entry,
                            enum reason why)
{
    const struct own_queue_of *queue = &solo->queues[number];
    struct entry letter = *entry;
    letter.exchange = queue->dlx;
    letter.deaths++;
    letter.died_in = number;
    letter.died_level = level_of(entry);
    letter.why = why;
    letter.is_either = (why == REASON_MAXLEN && solo_ends_soon(solo, entry)) ||
                       (why == REASON_EXPIRED && solo_drops(queue));
    letter.step = why == REASON_EXPIRED && solo_ends_at_once(entry) ? entry->step : solo->step;
    letter.came_step = entry->step;
    letter.left_ms = why == REASON_EXPIRED ? solo_ends_ms(entry) : NO_LIMIT;
    letter.way = way_of(&letter, entry->way);
    letter.cycle = why == REASON_REJECTED ? 0 : letter.cycle | 1u << number;
    letter.ttl_ms = NO_LIMIT;
    letter.is_late = true;
    letter.is_doubtful = letter.is_possible = false;
    if (queue->dlk == NONE)
        return letter;
    letter.key = queue->dlk;
    letter.cc = NONE;
    return letter;
}

/* It would go round for ever if it went to a queue in which it died, and nobody rejected it since. */
static void send_on(struct solo *solo, int number, const struct entry *entry, enum reason why)
{
    static const enum met mets[REASONS] = {
        [REASON_EXPIRED] = MET_DEAD_EXPIRED, [REASON_MAXLEN] = MET_DEAD_MAXLEN,
        [REASON_DELIVERY_LIMIT] = MET_DEAD_DELIVERY_LIMIT};
    struct entry letter = solo_letter_of(solo, number, entry, why);
    uint32_t queues = solo_route(solo, letter.exchange, &letter);
    if (why != REASON_REJECTED && queues & letter.cycle) {
        sim_of(solo)->report->met[MET_DEAD_LETTER_CYCLE]++;
        queues &= ~letter.cycle;
    }
    solo_enqueue(solo, queues, letter);
    sim_of(solo)->report->met[entry->deaths ? MET_DEAD_LETTER_AGAIN : MET_DEAD_LETTER]++;
    if (why != REASON_REJECTED)
        sim_of(solo)->report->met[mets[why]]++;
    solo->is_stopped = solo->is_unsettled = true;
}

void solo_note_leave(struct solo *solo, const struct own_queue_of *queue, const struct entry *entry)
{
    if (entry->same && queue->deduplicates && queue->dropped_step[entry->same] == solo->step)
        solo_doubt_queues(solo);
}

void solo_die(struct solo *solo, int number, const struct entry *entry, enum reason why)
{
    struct own_queue_of *queue = &solo->queues[number];
    bool is_sent = solo_sends_on(solo, queue);
    bool is_unsettled = why == REASON_EXPIRED || (why == REASON_MAXLEN && solo->is_unsettled);
    solo_note_leave(solo, queue, entry);
    queue->left_step[entry->same] = solo->step;
    sim_say(sim_of(solo), "s%d.q%d: %" PRIu64 " dies for reason %d", solo->client->number, number,
            entry->id, why);
    /* What comes of time, or of a letter on its way, is recorded later than what was sent before. */
    solo_add_ghost(queue, *entry, is_sent || is_unsettled ? pending_op : solo->op);
    solo->is_unsettled |= is_unsettled;
    /* It goes where its exchange is then, and that may be a little later. */
    if (queue->dlx != NONE)
        solo->is_stopped = solo->is_unsettled = true;
    if (is_sent)
        send_on(solo, number, entry, why);
}

/* ---- what goes with what ---- */

void solo_remove_binding(struct solo *solo, int at)
{
    int source = solo->bindings[at].source;
    solo->bindings[at] = solo->bindings[--solo->bindings_count];
    if (!solo->exchanges[source].auto_delete || !solo->exchanges[source].exists)
        return;
    for (int i = 0; i < solo->bindings_count; i++)
        if (solo->bindings[i].source == source)
            return;
    sim_of(solo)->report->met[MET_EXCHANGE_AUTO_DELETED]++;
    solo_remove_exchange(solo, source);
}

static void remove_bindings_of(struct solo *solo, int queue, int exchange)
{
    for (int i = 0; i < solo->bindings_count;) {
        const struct own_binding *binding = &solo->bindings[i];
        bool is_its =
            (queue != NONE && binding->queue == queue) ||
            (exchange != NONE && (binding->exchange == exchange || binding->source == exchange));
        if (is_its) {
            solo_remove_binding(solo, i);
            i = 0; /* others may have gone with it */
        } else {
            i++;
        }
    }
}

void solo_remove_exchange(struct solo *solo, int exchange)
{
    solo->exchanges[exchange].exists = false;
    remove_bindings_of(solo, NONE, exchange);
}

void solo_remove_queue(struct solo *solo, int queue)
{
    struct own_queue_of *own = &solo->queues[queue];
    own->exists = false;
    own->max_length = own->max_bytes = own->ttl_ms = own->expires_ms = NO_LIMIT;
    own->max_priority = own->delivery_limit = NO_LIMIT;
    entries_clear(&own->ready);
    entries_clear(&own->waiting);
    entries_clear(&own->ghosts);
    for (int i = 0; i < CONSUMERS_OF_ONE; i++)
        if (solo->consumers[i].queue == queue)
            solo->consumers[i].is_active = false;
    remove_bindings_of(solo, queue, NONE);
}

void solo_choose_single(struct solo *solo, int queue)
{
    struct own_consumer *best = NULL;
    for (int i = 0; i < CONSUMERS_OF_ONE; i++) {
        struct own_consumer *other = &solo->consumers[i];
        if (!other->is_active || other->queue != queue)
            continue;
        if (other->is_single)
            return;
        if (!best || other->priority > best->priority ||
            (other->priority == best->priority && other->number < best->number))
            best = other;
    }
    if (best)
        best->is_single = true;
}

void solo_end_consumer(struct solo *solo, int number)
{
    struct own_consumer *consumer = &solo->consumers[number];
    consumer->is_active = consumer->is_single = false;
    solo_used(solo, consumer->queue);
    if (solo->queues[consumer->queue].is_single)
        solo_choose_single(solo, consumer->queue);
    if (!solo->queues[consumer->queue].auto_delete || solo_count_consumers(solo, consumer->queue))
        return;
    sim_of(solo)->report->met[MET_QUEUE_AUTO_DELETED]++;
    solo_remove_queue(solo, consumer->queue);
}

/* ---- deliveries ---- */

struct own_unacked *solo_add_unacked(struct solo *solo, uint64_t tag, int queue, int consumer,
                                     const struct entry *entry)
{
    if (solo->unacked_count == solo->unacked_capacity) {
        solo->unacked_capacity = solo->unacked_capacity ? solo->unacked_capacity * 2 : 32;
        solo->unacked = mem_realloc(solo->unacked, solo->unacked_capacity * sizeof(*solo->unacked));
    }
    struct own_unacked *unacked = &solo->unacked[solo->unacked_count++];
    *unacked = (struct own_unacked){.tag = tag,
                                    .generation = solo->queues[queue].generation,
                                    .queue = queue,
                                    .consumer = consumer,
                                    .entry = *entry};
    unacked->entry.is_seen = unacked->entry.is_taken = true;
    unacked->entry.is_late = unacked->entry.is_unread = false;
    unacked->entry.ready_ms = unacked->entry.ready_most_ms = 0;
    if (consumer != NONE)
        solo->consumers[consumer].unacked++;
    return unacked;
}

static uint32_t count_consumer_unacked(const struct solo *solo)
{
    uint32_t count = 0;
    for (size_t i = 0; i < solo->unacked_count; i++)
        count += solo->unacked[i].consumer != NONE;
    return count;
}

bool solo_channel_has_credit(const struct solo *solo)
{
    return !solo->prefetch_global || count_consumer_unacked(solo) < solo->prefetch_global;
}

bool solo_consumer_is_served(const struct solo *solo, const struct own_consumer *consumer)
{
    return consumer->is_active &&
           (!solo->queues[consumer->queue].is_single || consumer->is_single);
}

bool solo_consumer_has_credit(const struct own_consumer *consumer)
{
    return consumer->no_ack || !consumer->prefetch || consumer->unacked < consumer->prefetch;
}

/* Is any ready that has not been refused? */
static bool has_ready(const struct own_queue_of *queue)
{
    for (size_t i = 0; i < queue->ready.count; i++)
        if (!queue->ready.at[i].is_doubtful)
            return true;
    return false;
}

/* Is there a consumer that should get a message? */
bool solo_is_deliverable(const struct solo *solo)
{
    if (!solo_channel_has_credit(solo))
        return false;
    for (int i = 0; i < CONSUMERS_OF_ONE; i++) {
        const struct own_consumer *consumer = &solo->consumers[i];
        if (solo_consumer_is_served(solo, consumer) &&
            has_ready(&solo->queues[consumer->queue]) &&
            solo_consumer_has_credit(consumer))
            return true;
    }
    return false;
}

/* It goes out of `unacked`, and its consumer has room again. */
static struct own_unacked take_unacked(struct solo *solo, size_t at)
{
    struct own_unacked unacked = solo->unacked[at];
    solo->unacked_count--;
    memmove(&solo->unacked[at], &solo->unacked[at + 1],
            (solo->unacked_count - at) * sizeof(unacked));
    if (unacked.consumer != NONE)
        solo->consumers[unacked.consumer].unacked--;
    return unacked;
}

bool solo_is_of_queue(const struct solo *solo, const struct own_unacked *unacked)
{
    const struct own_queue_of *queue = &solo->queues[unacked->queue];
    return queue->exists && queue->generation == unacked->generation;
}

bool solo_may_be_too_often(const struct own_queue_of *queue, const struct entry *entry)
{
    return queue->delivery_limit != NO_LIMIT && entry->count_most >= queue->delivery_limit;
}

void solo_put_back(struct solo *solo, int number, const struct entry *entry)
{
    solo_drop_queue(solo, number); /* what is too much goes before it comes */
    entries_add(&solo->queues[number].ready, entry);
}

/* Its letter may come before or after others that come back, where only so many have room. */
static void doubt_full(struct solo *solo, int number, const struct entry *entry)
{
    struct entry letter = solo_letter_of(solo, number, entry, REASON_DELIVERY_LIMIT);
    uint32_t queues = solo_sends_on(solo, &solo->queues[number])
                          ? solo_route(solo, letter.exchange, &letter)
                          : 0;
    for (int i = 0; i < QUEUES_OF_ONE; i++)
        if (queues & 1u << i && solo_has_limit(&solo->queues[i]))
            solo_doubt_queues(solo);
}

static void come_back(struct solo *solo, int number, struct entry *entry, bool has_failed)
{
    struct own_queue_of *queue = &solo->queues[number];
    bool may_go = solo_may_be_too_often(queue, entry);
    entry->count_least += !entry->is_unread;
    entry->count_most++;
    entry->count_op = solo->op;
    entry->is_taken = false;
    if (may_go && entry->count_least > queue->delivery_limit) {
        doubt_full(solo, number, entry);
        solo_die(solo, number, entry, REASON_DELIVERY_LIMIT);
        return;
    }
    if (may_go)
        solo_doubt_queues(solo);
    if (solo_retry(solo, number, entry, has_failed))
        return;
    solo_note_room(solo, number);
    solo_put_back(solo, number, entry);
}

void solo_settle_model(struct solo *solo, size_t at, enum settled how)
{
    struct own_unacked unacked = take_unacked(solo, at);
    if (!solo_is_of_queue(solo, &unacked))
        return;
    struct own_queue_of *queue = &solo->queues[unacked.queue];
    if (how == SETTLED_NOT) {
        come_back(solo, unacked.queue, &unacked.entry, unacked.has_failed);
    } else if (how == SETTLED_ACKED) {
        solo_note_leave(solo, queue, &unacked.entry);
        solo_add_ghost(queue, unacked.entry, solo->op);
    } else {
        solo_die(solo, unacked.queue, &unacked.entry, REASON_REJECTED);
    }
}

/* Do letters of one queue come in the order in which they lay there, and is that known? It is not of letters that
 * had come there together by different ways. */
static bool is_ordered(const struct entry *before, const struct entry *entry)
{
    return before->died_in == entry->died_in && before->why == entry->why &&
           before->died_level == entry->died_level &&
           (before->way == entry->way || before->came_step != entry->came_step);
}

/* May `at` come first, though others lie before it? Only dead letters that were on their way
 * together from different queues, or beside what was committed with them. */
bool solo_may_be_first(const struct entries *ready, size_t at)
{
    const struct entry *entry = &ready->at[at];
    for (size_t i = 0; i < at; i++) {
        const struct entry *before = &ready->at[i];
        /* It had to be read first. */
        bool was_late = before->deaths && (before->is_late || before->op > entry->op);
        if (!was_late && (before->step < entry->step || is_ordered(before, entry)))
            return false;
    }
    return true;
}

bool solo_is_ambiguous(const struct entries *ready)
{
    for (size_t i = 1; i < ready->count; i++)
        if (solo_may_be_first(ready, i))
            return true;
    return false;
}

static uint32_t sum_deaths(struct bytes headers)
{
    struct bytes deaths;
    struct field item;
    int64_t sum = 0;
    if (!table_find_array(headers, "x-death", &deaths))
        return 0;
    for (struct reader walk = reader_of(deaths); array_next(&walk, &item);) {
        struct field count;
        if (item.type == 'F' && table_find(item.value.bytes, bytes_str("count"), &count))
            sum += count.value.integer;
    }
    return (uint32_t)sum;
}

static enum reason read_reason(struct bytes headers)
{
    static const char *const names[REASONS] = {"rejected", "expired", "maxlen",
                                               "delivery_limit"};
    struct bytes name = bytes_of(NULL, 0);
    table_find_string(headers, "x-last-death-reason", &name);
    int reason = 0;
    while (reason < REASONS && !bytes_equal_str(name, names[reason]))
        reason++;
    return (enum reason)reason;
}

bool solo_read_letter(const struct sim_channel *channel, struct letter *letter)
{
    struct properties properties;
    struct bytes name;
    char text[NAME_SIZE];
    *letter = (struct letter){.died_in = NONE};
    if (properties_read(buffer_bytes(&channel->content_properties), &properties) != PROPERTIES_OK ||
        !properties_have(&properties, PROPERTY_MESSAGE_ID))
        return false;
    for (size_t i = 0; i < properties.message_id.size; i++)
        letter->id = letter->id * 10 + (properties.message_id.data[i] - '0');
    if (!properties_have(&properties, PROPERTY_HEADERS))
        return true;
    struct field field;
    if (table_find(properties.headers, bytes_str("x-delivery-count"), &field))
        letter->count = (uint32_t)field.value.integer;
    letter->deaths = sum_deaths(properties.headers);
    letter->why = read_reason(properties.headers);
    if (table_find_string(properties.headers, "x-last-death-queue", &name))
        for (int i = 0; i < QUEUES_OF_ONE; i++)
            if (bytes_equal(name, solo_queue_text(solo_of(channel), i, text)))
                letter->died_in = i;
    return !table_find(properties.headers, bytes_str("BCC"), &field);
}

bool solo_is_same(const struct entry *entry, const struct letter *letter)
{
    bool is_why = entry->why == letter->why ||
                  (entry->is_either &&
                   (letter->why == REASON_EXPIRED || letter->why == REASON_MAXLEN));
    return entry->id == letter->id && entry->deaths == letter->deaths &&
           entry->died_in == letter->died_in && (!entry->deaths || is_why);
}

static bool has_body(const struct sim_channel *channel, const struct entry *entry)
{
    const struct buffer *body = &channel->content;
    if (body->size != entry->size)
        return false;
    for (uint32_t i = 0; i < entry->size; i++)
        if (body->data[i] != (uint8_t)(entry->id * 31 + i))
            return false;
    return true;
}

static bool has_priority(const struct sim_channel *channel, const struct entry *entry)
{
    struct properties properties;
    if (properties_read(buffer_bytes(&channel->content_properties), &properties) != PROPERTIES_OK)
        return false;
    bool has_any = properties_have(&properties, PROPERTY_PRIORITY);
    return entry->priority == (has_any ? (int)properties.priority : NONE);
}

/* Is what came as it was sent, and does it say rightly whether it was delivered before? */
bool solo_check_content(const struct sim_channel *channel, const struct entry *entry, int queue)
{
    const struct solo *solo = solo_of(channel);
    char text[NAME_SIZE];
    if (!has_body(channel, entry) || !has_priority(channel, entry))
        return solo_fails(solo, "is not as it was sent", entry->id, queue);
    if (!bytes_equal_str(solo_exchange_text(solo, entry->exchange, text),
                         channel->content_exchange) ||
        !bytes_equal_str(solo_key_text(solo, entry->key, text), channel->content_key))
        return solo_fails(solo, "names another exchange or key", entry->id, queue);
    if (entry->is_seen && !channel->content_redelivered)
        return solo_fails(solo, "comes again and does not say so", entry->id, queue);
    if (!entry->is_seen && !entry->is_crossed && channel->content_redelivered)
        return solo_fails(solo, "says that it was delivered before", entry->id, queue);
    return true;
}

bool solo_check_letter(const struct sim_channel *channel, struct entry *entry,
                       const struct letter *letter, int queue)
{
    const struct solo *solo = solo_of(channel);
    sim_of(solo)->report->met[MET_COUNTED] += letter->count > 0;
    if (letter->count < entry->count_least || letter->count > entry->count_most) {
        sim_fail(sim_of(solo), "s%d.q%d: message %" PRIu64 " says that it came back %u times, not %u to %u",
                 solo->client->number, queue, entry->id, letter->count, entry->count_least,
                 entry->count_most);
        return false;
    }
    entry->count_least = entry->count_most = letter->count;
    return solo_check_content(channel, entry, queue);
}

/* ---- calls ---- */

struct call *solo_call(struct sim_channel *channel, const union method *method, uint32_t reply,
                       enum call_kind kind)
{
    struct solo *solo = solo_of(channel);
    struct call *next = &solo->calls[solo->calls_count++];
    *next = (struct call){.kind = kind, .op = ++solo->op, .queue = NONE, .exchange = NONE};
    client_call(channel, method, reply, NONE);
    if (solo->calls_count == CALLS_MAX)
        solo->is_stopped = true;
    return next;
}

void solo_expect_close(struct solo *solo, uint32_t code, const char *text)
{
    solo->expected_code = code;
    snprintf(solo->expected_text, sizeof(solo->expected_text), "%s", text);
    solo->is_stopped = true;
    sim_of(solo)->report->met[MET_CHANNEL_ERROR]++;
}

void solo_expect_count(struct solo *solo, struct call *next, int queue)
{
    const struct own_queue_of *own = &solo->queues[queue];
    uint32_t late = own->exists ? solo_count_late(own) : 0;
    next->queue = queue;
    next->most = own->exists ? (uint32_t)own->ready.count : 0;
    next->least = next->most - late;
    if (!late || !solo_has_limit(own))
        return;
    next->least = 0; /* others are there, that will make room */
    next->most = UINT32_MAX;
}
