/* The exact model behind solo.h. A step sends one method, or several when no consumer can get a
 * message meanwhile, and changes the model at once, as the broker will in the same order; the next
 * step comes when every answer, confirm, return and delivery that the model knows of has come. */
#include "tests/sim/solo.h"

#include <inttypes.h>
#include <stdio.h>

#include "amqp/properties.h"
#include "amqp/table.h"
#include "base/mem.h"
#include "tests/sim/sim.h"

enum {
    QUEUES_OF_ONE = 4,
    EXCHANGES_OF_ONE = 4,
    DEFAULT = EXCHANGES_OF_ONE, /* the default exchange */
    NONE = -1,
    BINDINGS_MAX = 24,
    CONSUMERS_OF_ONE = 6,
    CALLS_MAX = 64,
    STEP_OPS = 8,
    READY_MAX = 60,
    UNACKED_MAX = 30,
    TAG_SIZE = 16,
    PLACES = 1024, /* between two that come one after the other */
};
enum kind { DIRECT, FANOUT, TOPIC, HEADERS, KINDS };
enum mode { MODE_PLAIN, MODE_CONFIRM, MODE_TX, MODES };

static const uint64_t pending_op = UINT64_MAX; /* of what may wait for its dead letter to be read */
static const char *const kind_names[KINDS] = {"direct", "fanout", "topic", "headers"};
/* Routing keys; the last ones are for bindings only. */
static const char *const keys[] = {"", "a", "a.b", "b", "a.b.c", "*.b", "a.#", "#"};
enum { PUBLISH_KEYS = 5, KEYS = sizeof(keys) / sizeof(keys[0]) };

/* A message, as it lies in a queue. */
struct entry {
    uint64_t id, place, step;
    uint64_t op;           /* with which it came, or went */
    int exchange, key, cc; /* keys from KEYS on are names of queues; cc: NONE */
    uint32_t size;
    int h, g; /* its headers; 0: not there */
    uint32_t deaths;
    int died_in; /* a queue; NONE */
    bool persistent;
    bool is_seen;     /* so that it must say that it was delivered before, */
    bool is_crossed;  /* or may, as a connection was lost meanwhile */
    bool is_late;     /* a dead letter that may still be on its way */
    bool is_doubtful; /* it need not be there, */
    bool is_possible; /* or may, though it went */
};

struct entries {
    struct entry *at;
    size_t count, capacity;
};

struct own_queue_of {
    bool exists, durable, auto_delete, exclusive, had_consumer;
    bool is_unsure;  /* whether it is there: it will be deleted */
    bool is_excused; /* messages may have gone unseen, to a socket that was lost */
    int dlx, dlk;
    uint64_t generation;
    struct entries ready, ghosts; /* what went, and may come back after a crash */
};

struct own_exchange {
    bool exists, durable, auto_delete, internal, is_unsure;
    enum kind kind;
    int alternate;
};

struct own_binding {
    int source, queue, exchange, key, match;
};

struct own_unacked {
    uint64_t tag, generation;
    int queue, consumer; /* NONE: got */
    struct entry entry;
    bool is_settled; /* in the open transaction, */
    enum settled how;
    uint64_t order; /* in which they were settled */
};

struct own_consumer {
    bool is_active, no_ack, exclusive;
    int queue, priority;
    uint32_t prefetch, unacked;
    char tag[TAG_SIZE];
};

enum call_kind {
    CALL_OTHER,
    CALL_COUNT,
    CALL_GET,
    CALL_LOOK,
    CALL_TOPOLOGY,
    CALL_COMMIT,
    CALL_ROLLBACK,
    CALL_CLOSE
};

struct call {
    enum call_kind kind;
    uint64_t op;
    int queue, exchange;
    bool has_binding, is_change, is_empty, no_ack;
    struct own_binding binding;
    uint32_t least, most, consumers;
    struct entry got;
    uint64_t tag;
};

struct own_publish {
    uint64_t id, op;
    bool is_recorded, is_returned, is_answered;
};

enum survey {
    SURVEY_NOT,
    SURVEY_UNBIND,
    SURVEY_QUEUES,
    SURVEY_EXCHANGES,
    SURVEY_CHECK,
    SURVEY_LOOK,
    SURVEY_RETURN
};

struct solo {
    struct client *client;
    enum mode mode;
    struct own_queue_of queues[QUEUES_OF_ONE];
    struct own_exchange exchanges[EXCHANGES_OF_ONE];
    struct own_binding bindings[BINDINGS_MAX];
    int bindings_count;
    struct own_binding doubtful[BINDINGS_MAX * 2];
    int doubtful_count;
    struct own_consumer consumers[CONSUMERS_OF_ONE];
    struct own_unacked *unacked;
    size_t unacked_count, unacked_capacity;
    struct call calls[CALLS_MAX];
    int calls_count;
    struct own_publish *publishes; /* of the channel, by number - 1 */
    size_t publishes_count, publishes_capacity;
    struct entry *tx_publishes;
    size_t tx_count, tx_capacity;
    uint64_t returns[256]; /* ids that are due, in order */
    int returns_count;
    int cancels_due;
    uint32_t prefetch, prefetch_global;
    uint64_t id_last, place_last, generation_last, tag_last, consumer_last;
    uint64_t step, op, proved_op, durable_op, settle_last;
    uint64_t epoch; /* of the machine, of the last connection */
    uint32_t expected_code;
    char expected_text[80];
    bool is_stopped; /* the step sends no more */
    bool has_connected, is_known, was_checked;
    bool is_open;
    enum survey survey;
    int survey_at;
    uint64_t survey_place;
};

/* ---- small things ---- */

static void add_entry(struct entries *entries, const struct entry *entry)
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

static struct entry take_entry(struct entries *entries, size_t at)
{
    struct entry entry = entries->at[at];
    entries->count--;
    memmove(&entries->at[at], &entries->at[at + 1], (entries->count - at) * sizeof(entry));
    return entry;
}

static void clear_entries(struct entries *entries)
{
    mem_free(entries->at);
    *entries = (struct entries){0};
}

static struct sim *sim_of(const struct solo *solo)
{
    return solo->client->sim;
}

static struct solo *solo_of(const struct sim_channel *channel)
{
    return channel->client->solo;
}

static uint64_t below(const struct solo *solo, uint64_t limit)
{
    return sim_below(sim_of(solo), limit);
}

static bool chance(const struct solo *solo, uint64_t n)
{
    return sim_chance(sim_of(solo), n);
}

enum { NAME_SIZE = 24 };

static struct bytes queue_text(const struct solo *solo, int queue, char name[NAME_SIZE])
{
    snprintf(name, NAME_SIZE, "s%d.q%d", solo->client->number, queue);
    return bytes_str(name);
}

static struct bytes exchange_text(const struct solo *solo, int exchange, char name[NAME_SIZE])
{
    snprintf(name, NAME_SIZE, "s%d.x%d", solo->client->number, exchange);
    if (exchange == DEFAULT)
        name[0] = 0;
    return bytes_str(name);
}

static struct bytes key_text(const struct solo *solo, int key, char name[NAME_SIZE])
{
    if (key >= KEYS)
        return queue_text(solo, key - KEYS, name);
    snprintf(name, NAME_SIZE, "%s", keys[key]);
    return bytes_str(name);
}

static uint32_t count_late(const struct own_queue_of *queue)
{
    uint32_t count = 0;
    for (size_t i = 0; i < queue->ready.count; i++)
        count += queue->ready.at[i].is_late;
    return count;
}

static bool has_late(const struct solo *solo)
{
    for (int i = 0; i < QUEUES_OF_ONE; i++)
        if (solo->queues[i].exists && count_late(&solo->queues[i]))
            return true;
    return false;
}

static bool has_consumers(const struct solo *solo)
{
    for (int i = 0; i < CONSUMERS_OF_ONE; i++)
        if (solo->consumers[i].is_active)
            return true;
    return false;
}

static uint32_t count_consumers(const struct solo *solo, int queue)
{
    uint32_t count = 0;
    for (int i = 0; i < CONSUMERS_OF_ONE; i++)
        count += solo->consumers[i].is_active && solo->consumers[i].queue == queue;
    return count;
}

static bool fails(const struct solo *solo, const char *what, uint64_t id, int queue)
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
    const char *name = (const char *)key_text(solo, key, text).data;
    if (kind == DIRECT)
        return key < KEYS && strcmp(keys[binding->key], name) == 0;
    return topic_matches(*keys[binding->key] ? keys[binding->key] : NULL, *name ? name : NULL);
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
static uint32_t route(const struct solo *solo, int exchange, const struct entry *letter)
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

static void enqueue(struct solo *solo, uint32_t queues, struct entry letter)
{
    letter.is_seen = letter.is_crossed = false;
    letter.step = solo->step;
    letter.op = solo->op;
    sim_say(sim_of(solo), "s%d: %" PRIu64 " goes to queues %x", solo->client->number, letter.id,
            queues);
    for (int i = 0; i < QUEUES_OF_ONE; i++) {
        letter.place = solo->place_last += PLACES;
        if (queues & 1u << i)
            add_entry(&solo->queues[i].ready, &letter);
    }
}

static bool survives_in(const struct own_queue_of *queue, const struct entry *entry)
{
    return entry->persistent && queue->durable;
}

static void add_ghost(struct own_queue_of *queue, struct entry entry, uint64_t op)
{
    entry.op = op;
    entry.is_late = false;
    if (queue->ghosts.count < 1000)
        add_entry(&queue->ghosts, &entry);
    else
        queue->is_unsure = true;
}

static void add_seen_ghost(struct own_queue_of *queue, struct entry entry, uint64_t op)
{
    entry.is_seen = true;
    add_ghost(queue, entry, op);
}

static bool sends_on(const struct solo *solo, const struct own_queue_of *queue)
{
    return queue->dlx != NONE && (queue->dlx == DEFAULT || solo->exchanges[queue->dlx].exists);
}

static struct entry letter_of(const struct solo *solo, int number, const struct entry *entry)
{
    const struct own_queue_of *queue = &solo->queues[number];
    struct entry letter = *entry;
    letter.exchange = queue->dlx;
    letter.deaths++;
    letter.died_in = number;
    letter.is_late = true;
    if (queue->dlk == NONE)
        return letter;
    letter.key = queue->dlk;
    letter.cc = NONE;
    return letter;
}

/* What a queue rejects goes to its dead-letter exchange. */
static void reject(struct solo *solo, int number, const struct entry *entry)
{
    struct own_queue_of *queue = &solo->queues[number];
    bool is_sent = sends_on(solo, queue);
    add_ghost(queue, *entry, is_sent ? pending_op : solo->op);
    if (!is_sent)
        return;
    struct entry letter = letter_of(solo, number, entry);
    enqueue(solo, route(solo, queue->dlx, &letter), letter);
    sim_of(solo)->report->met[entry->deaths ? MET_DEAD_LETTER_AGAIN : MET_DEAD_LETTER]++;
    solo->is_stopped = true;
}

/* ---- what goes with what ---- */

static void remove_exchange(struct solo *solo, int exchange);

static void remove_binding(struct solo *solo, int at)
{
    int source = solo->bindings[at].source;
    solo->bindings[at] = solo->bindings[--solo->bindings_count];
    if (!solo->exchanges[source].auto_delete || !solo->exchanges[source].exists)
        return;
    for (int i = 0; i < solo->bindings_count; i++)
        if (solo->bindings[i].source == source)
            return;
    sim_of(solo)->report->met[MET_EXCHANGE_AUTO_DELETED]++;
    remove_exchange(solo, source);
}

static void remove_bindings_of(struct solo *solo, int queue, int exchange)
{
    for (int i = 0; i < solo->bindings_count;) {
        const struct own_binding *binding = &solo->bindings[i];
        bool is_its =
            (queue != NONE && binding->queue == queue) ||
            (exchange != NONE && (binding->exchange == exchange || binding->source == exchange));
        if (is_its) {
            remove_binding(solo, i);
            i = 0; /* others may have gone with it */
        } else {
            i++;
        }
    }
}

static void remove_exchange(struct solo *solo, int exchange)
{
    solo->exchanges[exchange].exists = false;
    remove_bindings_of(solo, NONE, exchange);
}

static void remove_queue(struct solo *solo, int queue)
{
    struct own_queue_of *own = &solo->queues[queue];
    own->exists = false;
    clear_entries(&own->ready);
    clear_entries(&own->ghosts);
    for (int i = 0; i < CONSUMERS_OF_ONE; i++)
        if (solo->consumers[i].queue == queue)
            solo->consumers[i].is_active = false;
    remove_bindings_of(solo, queue, NONE);
}

static void end_consumer(struct solo *solo, int number)
{
    struct own_consumer *consumer = &solo->consumers[number];
    consumer->is_active = false;
    if (!solo->queues[consumer->queue].auto_delete || count_consumers(solo, consumer->queue))
        return;
    sim_of(solo)->report->met[MET_QUEUE_AUTO_DELETED]++;
    remove_queue(solo, consumer->queue);
}

/* ---- deliveries ---- */

static struct own_unacked *add_unacked(struct solo *solo, uint64_t tag, int queue, int consumer,
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
    unacked->entry.is_seen = true;
    unacked->entry.is_late = false;
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

static bool channel_has_credit(const struct solo *solo)
{
    return !solo->prefetch_global || count_consumer_unacked(solo) < solo->prefetch_global;
}

static bool consumer_has_credit(const struct own_consumer *consumer)
{
    return consumer->no_ack || !consumer->prefetch || consumer->unacked < consumer->prefetch;
}

/* Is there a consumer that should get a message? */
static bool is_deliverable(const struct solo *solo)
{
    if (!channel_has_credit(solo))
        return false;
    for (int i = 0; i < CONSUMERS_OF_ONE; i++) {
        const struct own_consumer *consumer = &solo->consumers[i];
        if (consumer->is_active && solo->queues[consumer->queue].ready.count &&
            consumer_has_credit(consumer))
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

static bool is_of_queue(const struct solo *solo, const struct own_unacked *unacked)
{
    const struct own_queue_of *queue = &solo->queues[unacked->queue];
    return queue->exists && queue->generation == unacked->generation;
}

static void settle_model(struct solo *solo, size_t at, enum settled how)
{
    struct own_unacked unacked = take_unacked(solo, at);
    if (!is_of_queue(solo, &unacked))
        return;
    struct own_queue_of *queue = &solo->queues[unacked.queue];
    if (how == SETTLED_NOT)
        add_entry(&queue->ready, &unacked.entry);
    else if (how == SETTLED_ACKED)
        add_ghost(queue, unacked.entry, solo->op);
    else
        reject(solo, unacked.queue, &unacked.entry);
}

/* May `at` come first, though others lie before it? Only dead letters that were on their way
 * together from different queues, or beside what was committed with them. */
static bool may_be_first(const struct entries *ready, size_t at)
{
    const struct entry *entry = &ready->at[at];
    for (size_t i = 0; i < at; i++) {
        const struct entry *before = &ready->at[i];
        if (before->step != entry->step || before->died_in == entry->died_in)
            return false;
    }
    return true;
}

static bool is_ambiguous(const struct entries *ready)
{
    for (size_t i = 1; i < ready->count; i++)
        if (may_be_first(ready, i))
            return true;
    return false;
}

/* What a message says of itself. */
struct letter {
    uint64_t id;
    uint32_t deaths;
    int died_in;
};

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

static bool read_letter(const struct sim_channel *channel, struct letter *letter)
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
    letter->deaths = sum_deaths(properties.headers);
    if (table_find_string(properties.headers, "x-last-death-queue", &name))
        for (int i = 0; i < QUEUES_OF_ONE; i++)
            if (bytes_equal(name, queue_text(solo_of(channel), i, text)))
                letter->died_in = i;
    struct field field;
    /* What comes back to its publisher is as he sent it. */
    return channel->content_id_done == METHOD_BASIC_RETURN ||
           !table_find(properties.headers, bytes_str("BCC"), &field);
}

static bool is_same(const struct entry *entry, const struct letter *letter)
{
    return entry->id == letter->id && entry->deaths == letter->deaths &&
           entry->died_in == letter->died_in;
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

/* Is what came as it was sent, and does it say rightly whether it was delivered before? */
static bool check_content(const struct sim_channel *channel, const struct entry *entry, int queue)
{
    const struct solo *solo = solo_of(channel);
    char text[NAME_SIZE];
    if (!has_body(channel, entry))
        return fails(solo, "is not as it was sent", entry->id, queue);
    if (!bytes_equal_str(exchange_text(solo, entry->exchange, text), channel->content_exchange) ||
        !bytes_equal_str(key_text(solo, entry->key, text), channel->content_key))
        return fails(solo, "names another exchange or key", entry->id, queue);
    if (entry->is_seen && !channel->content_redelivered)
        return fails(solo, "comes again and does not say so", entry->id, queue);
    if (!entry->is_seen && !entry->is_crossed && channel->content_redelivered)
        return fails(solo, "says that it was delivered before", entry->id, queue);
    return true;
}

/* The first that fits; the number of those ready: there is none. */
static size_t find_ready(const struct entries *ready, const struct letter *letter)
{
    size_t at = 0;
    while (at < ready->count && !is_same(&ready->at[at], letter))
        at++;
    return at;
}

static int find_consumer(const struct solo *solo, const char *tag)
{
    for (int i = 0; i < CONSUMERS_OF_ONE; i++)
        if (solo->consumers[i].is_active && strcmp(solo->consumers[i].tag, tag) == 0)
            return i;
    return NONE;
}

/* A higher one has credit, too. */
static bool is_preceded(const struct solo *solo, const struct own_consumer *consumer)
{
    for (int i = 0; i < CONSUMERS_OF_ONE; i++) {
        const struct own_consumer *other = &solo->consumers[i];
        if (other->is_active && other->queue == consumer->queue &&
            other->priority > consumer->priority && consumer_has_credit(other))
            return !solo->prefetch_global;
    }
    return false;
}

static void delivered(struct sim_channel *channel, const struct letter *letter)
{
    struct solo *solo = solo_of(channel);
    int number = find_consumer(solo, channel->content_consumer_tag);
    if (number == NONE) {
        sim_fail(sim_of(solo), "s%d: a delivery for consumer %s, which there is not",
                 solo->client->number, channel->content_consumer_tag);
        return;
    }
    struct own_consumer *consumer = &solo->consumers[number];
    struct entries *ready = &solo->queues[consumer->queue].ready;
    size_t at = find_ready(ready, letter);
    if (at == ready->count)
        fails(solo, "comes, and should not be there", letter->id, consumer->queue);
    else if (!may_be_first(ready, at))
        fails(solo, "comes before its turn", letter->id, consumer->queue);
    else if (!consumer_has_credit(consumer) || !channel_has_credit(solo))
        fails(solo, "comes beyond the prefetch", letter->id, consumer->queue);
    else if (is_preceded(solo, consumer))
        fails(solo, "comes to a consumer of lower priority", letter->id, consumer->queue);
    if (sim_of(solo)->is_failed)
        return;
    struct entry entry = take_entry(ready, at);
    check_content(channel, &entry, consumer->queue);
    if (channel->content_tag != ++solo->tag_last)
        fails(solo, "has the wrong delivery tag", letter->id, consumer->queue);
    if (consumer->no_ack)
        add_seen_ghost(&solo->queues[consumer->queue], entry, solo->op);
    else
        add_unacked(solo, channel->content_tag, consumer->queue, number, &entry);
    sim_of(solo)->report->met[MET_SOLO_DELIVERED]++;
}

static void returned(struct sim_channel *channel, const struct letter *letter)
{
    struct solo *solo = solo_of(channel);
    if (!solo->returns_count || solo->returns[0] != letter->id || channel->content_code != 312) {
        sim_fail(sim_of(solo), "s%d: message %" PRIu64 " is returned, and %" PRIu64 " should be",
                 solo->client->number, letter->id, solo->returns_count ? solo->returns[0] : 0);
        return;
    }
    solo->returns_count--;
    memmove(solo->returns, solo->returns + 1,
            sizeof(solo->returns[0]) * (size_t)solo->returns_count);
    for (size_t i = 0; i < solo->publishes_count; i++)
        if (solo->publishes[i].id == letter->id)
            solo->publishes[i].is_returned = false;
    sim_of(solo)->report->met[MET_RETURNED]++;
}

/* ---- calls ---- */

static struct call *call(struct sim_channel *channel, const union method *method, uint32_t reply,
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

static void expect_close(struct solo *solo, uint32_t code, const char *text)
{
    solo->expected_code = code;
    snprintf(solo->expected_text, sizeof(solo->expected_text), "%s", text);
    solo->is_stopped = true;
    sim_of(solo)->report->met[MET_CHANNEL_ERROR]++;
}

static void expect_count(struct solo *solo, struct call *next, int queue)
{
    const struct own_queue_of *own = &solo->queues[queue];
    next->queue = queue;
    next->most = own->exists ? (uint32_t)own->ready.count : 0;
    next->least = own->exists ? next->most - count_late(own) : 0;
}

/* ---- topology ---- */

static struct bytes queue_arguments_of(const struct solo *solo, const struct own_queue_of *queue,
                                       struct buffer *out)
{
    char text[NAME_SIZE];
    struct table_writer writer;
    table_writer_init(&writer, out);
    if (queue->dlx != NONE)
        table_add_string(&writer, bytes_str("x-dead-letter-exchange"),
                         exchange_text(solo, queue->dlx, text));
    if (queue->dlk != NONE)
        table_add_string(&writer, bytes_str("x-dead-letter-routing-key"),
                         key_text(solo, queue->dlk, text));
    return buffer_bytes(out);
}

static struct call *send_queue_declare(struct sim_channel *channel, int queue,
                                       const struct own_queue_of *as, bool passive)
{
    struct buffer arguments = {0};
    char text[NAME_SIZE];
    union method method = {.queue_declare = {.id = METHOD_QUEUE_DECLARE,
                                             .queue = queue_text(solo_of(channel), queue, text),
                                             .passive = passive,
                                             .durable = as->durable,
                                             .exclusive = as->exclusive,
                                             .auto_delete = as->auto_delete}};
    sim_say(sim_of(solo_of(channel)),
            "s%d declares q%d: durable %d, exclusive %d, auto-delete %d, dead letters to x%d by %d",
            channel->client->number, queue, as->durable, as->exclusive, as->auto_delete, as->dlx,
            as->dlk);
    method.queue_declare.arguments = queue_arguments_of(solo_of(channel), as, &arguments);
    struct call *next = call(channel, &method, METHOD_QUEUE_DECLARE_OK, CALL_COUNT);
    next->consumers = count_consumers(solo_of(channel), queue);
    buffer_free(&arguments);
    return next;
}

static int draw_key(const struct solo *solo, int least)
{
    return (int)below(solo, (uint64_t)(KEYS - least)) + least;
}

static void draw_queue(struct solo *solo, struct own_queue_of *queue)
{
    *queue = (struct own_queue_of){.exists = true,
                                   .durable = below(solo, 4) > 0,
                                   .auto_delete = chance(solo, 5),
                                   .exclusive = chance(solo, 6),
                                   .dlx = NONE,
                                   .dlk = NONE,
                                   .generation = ++solo->generation_last,
                                   .ready = queue->ready,
                                   .ghosts = queue->ghosts};
    queue->durable &= !queue->exclusive;
    if (chance(solo, 3))
        return;
    queue->dlx = (int)below(solo, EXCHANGES_OF_ONE + 1);
    if (queue->dlx == DEFAULT)
        queue->dlk = KEYS + (int)below(solo, QUEUES_OF_ONE);
    else if (chance(solo, 2))
        queue->dlk = (int)below(solo, PUBLISH_KEYS);
}

static void declare_differently(struct sim_channel *channel, int queue)
{
    struct solo *solo = solo_of(channel);
    struct own_queue_of other = solo->queues[queue];
    switch (below(solo, 3)) {
    case 0:
        other.auto_delete = !other.auto_delete;
        expect_close(solo, 406, "inequivalent arg 'auto_delete'");
        break;
    case 1:
        other.exclusive = !other.exclusive;
        expect_close(solo, 405, "cannot obtain exclusive access");
        break;
    default:
        other.dlx = other.dlx == NONE ? DEFAULT : NONE;
        if (other.dlx == NONE)
            other.dlk = NONE;
        expect_close(solo, 406, "inequivalent arg 'x-dead-letter-exchange'");
    }
    send_queue_declare(channel, queue, &other, false);
}

static bool op_declare_queue(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    int queue = (int)below(solo, QUEUES_OF_ONE);
    struct own_queue_of *own = &solo->queues[queue];
    if (own->exists && chance(solo, 8)) {
        declare_differently(channel, queue);
        return true;
    }
    if (!own->exists && chance(solo, 10)) {
        send_queue_declare(channel, queue, own, true);
        expect_close(solo, 404, "no queue '");
        return true;
    }
    bool is_new = !own->exists, passive = own->exists && chance(solo, 2);
    if (is_new)
        draw_queue(solo, own);
    struct call *next = send_queue_declare(channel, queue, own, passive);
    next->is_change = is_new;
    expect_count(solo, next, queue);
    return true;
}

static bool op_delete_queue(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    int queue = (int)below(solo, QUEUES_OF_ONE);
    struct own_queue_of *own = &solo->queues[queue];
    char text[NAME_SIZE];
    bool if_unused = chance(solo, 3), if_empty = chance(solo, 3);
    if (!chance(solo, 4) || solo->tx_count)
        return false;
    union method method = {.queue_delete = {.id = METHOD_QUEUE_DELETE,
                                            .queue = queue_text(solo, queue, text),
                                            .if_unused = if_unused,
                                            .if_empty = if_empty}};
    struct call *next = call(channel, &method, METHOD_QUEUE_DELETE_OK, CALL_COUNT);
    expect_count(solo, next, queue);
    next->is_change = true;
    if (own->exists && if_unused && count_consumers(solo, queue)) {
        expect_close(solo, 406, "in use");
    } else if (own->exists && if_empty && own->ready.count) {
        expect_close(solo, 406, "not empty");
    } else if (own->exists) {
        solo->cancels_due += (int)count_consumers(solo, queue);
        remove_queue(solo, queue);
        sim_of(solo)->report->met[MET_QUEUE_DELETED]++;
    }
    return true;
}

static bool op_purge(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    int queue = (int)below(solo, QUEUES_OF_ONE);
    struct own_queue_of *own = &solo->queues[queue];
    char text[NAME_SIZE];
    if (!own->exists || !chance(solo, 3))
        return false;
    union method method = {
        .queue_purge = {.id = METHOD_QUEUE_PURGE, .queue = queue_text(solo, queue, text)}};
    struct call *next = call(channel, &method, METHOD_QUEUE_PURGE_OK, CALL_COUNT);
    expect_count(solo, next, queue);
    while (own->ready.count)
        add_ghost(own, take_entry(&own->ready, own->ready.count - 1), solo->op);
    sim_of(solo)->report->met[MET_PURGED]++;
    return true;
}

static void send_exchange_declare(struct sim_channel *channel, int exchange,
                                  const struct own_exchange *as, bool passive)
{
    struct buffer arguments = {0};
    struct table_writer writer;
    char text[NAME_SIZE], other[NAME_SIZE];
    table_writer_init(&writer, &arguments);
    if (as->alternate != NONE)
        table_add_string(&writer, bytes_str("alternate-exchange"),
                         exchange_text(solo_of(channel), as->alternate, other));
    sim_say(sim_of(solo_of(channel)),
            "s%d declares x%d: %s, durable %d, auto-delete %d, alternate x%d",
            channel->client->number, exchange, kind_names[as->kind], as->durable, as->auto_delete,
            as->alternate);
    union method method = {
        .exchange_declare = {.id = METHOD_EXCHANGE_DECLARE,
                             .exchange = exchange_text(solo_of(channel), exchange, text),
                             .type = bytes_str(kind_names[as->kind]),
                             .passive = passive,
                             .durable = as->durable,
                             .auto_delete = as->auto_delete,
                             .internal = as->internal,
                             .arguments = buffer_bytes(&arguments)}};
    call(channel, &method, METHOD_EXCHANGE_DECLARE_OK, passive ? CALL_OTHER : CALL_TOPOLOGY)
        ->exchange = exchange;
    buffer_free(&arguments);
}

static void declare_exchange_differently(struct sim_channel *channel, int exchange)
{
    struct solo *solo = solo_of(channel);
    struct own_exchange other = solo->exchanges[exchange];
    if (chance(solo, 2)) {
        other.kind = (other.kind + 1) % KINDS;
        expect_close(solo, 406, "inequivalent arg 'type'");
    } else {
        other.alternate = other.alternate == NONE ? 0 : NONE;
        expect_close(solo, 406, "inequivalent arg 'alternate-exchange'");
    }
    send_exchange_declare(channel, exchange, &other, false);
}

static bool op_declare_exchange(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    int exchange = (int)below(solo, EXCHANGES_OF_ONE);
    struct own_exchange *own = &solo->exchanges[exchange];
    if (own->exists && chance(solo, 8)) {
        declare_exchange_differently(channel, exchange);
        return true;
    }
    if (!own->exists && chance(solo, 10)) {
        send_exchange_declare(channel, exchange, own, true);
        expect_close(solo, 404, "no exchange '");
        return true;
    }
    bool passive = own->exists && chance(solo, 2);
    if (!own->exists) {
        *own = (struct own_exchange){.exists = true,
                                     .durable = below(solo, 4) > 0,
                                     .auto_delete = chance(solo, 4),
                                     .internal = chance(solo, 8),
                                     .kind = (enum kind)below(solo, KINDS),
                                     .alternate = NONE};
        if (chance(solo, 3))
            own->alternate = (int)below(solo, EXCHANGES_OF_ONE);
    }
    send_exchange_declare(channel, exchange, own, passive);
    return true;
}

static bool is_source(const struct solo *solo, int exchange)
{
    for (int i = 0; i < solo->bindings_count; i++)
        if (solo->bindings[i].source == exchange)
            return true;
    return false;
}

static bool op_delete_exchange(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    int exchange = (int)below(solo, EXCHANGES_OF_ONE);
    bool if_unused = chance(solo, 2);
    char text[NAME_SIZE];
    if (!chance(solo, 4) || solo->tx_count)
        return false;
    union method method = {.exchange_delete = {.id = METHOD_EXCHANGE_DELETE,
                                               .exchange = exchange_text(solo, exchange, text),
                                               .if_unused = if_unused}};
    call(channel, &method, METHOD_EXCHANGE_DELETE_OK, CALL_TOPOLOGY)->exchange = exchange;
    if (!solo->exchanges[exchange].exists)
        return true;
    if (if_unused && is_source(solo, exchange)) {
        expect_close(solo, 406, "in use");
        return true;
    }
    remove_exchange(solo, exchange);
    sim_of(solo)->report->met[MET_EXCHANGE_DELETED]++;
    return true;
}

static struct bytes match_arguments(int match, struct buffer *out)
{
    struct table_writer writer;
    table_writer_init(&writer, out);
    if (match)
        table_add_string(&writer, bytes_str("x-match"), bytes_str(match == 3 ? "any" : "all"));
    if (match >= 1 && match <= 3)
        table_add_int64(&writer, bytes_str("h"), 1);
    if (match == 2 || match == 3)
        table_add_int64(&writer, bytes_str("g"), 1);
    if (match == 4)
        table_add_raw(&writer, bytes_str("g"), 'V', bytes_of(NULL, 0));
    return buffer_bytes(out);
}

static void send_binding(struct sim_channel *channel, const struct own_binding *binding,
                         bool unbinds)
{
    const struct solo *solo = solo_of(channel);
    struct buffer out = {0};
    char source_text[NAME_SIZE], text[NAME_SIZE];
    struct bytes arguments = match_arguments(binding->match, &out);
    struct bytes source = exchange_text(solo, binding->source, source_text);
    struct bytes key = bytes_str(keys[binding->key]);
    union method method;
    uint32_t reply;
    if (binding->queue != NONE && unbinds) {
        method = (union method){.queue_unbind = {METHOD_QUEUE_UNBIND,
                                                 queue_text(solo, binding->queue, text), source,
                                                 key, arguments}};
        reply = METHOD_QUEUE_UNBIND_OK;
    } else if (binding->queue != NONE) {
        method =
            (union method){.queue_bind = {METHOD_QUEUE_BIND, queue_text(solo, binding->queue, text),
                                          source, key, false, arguments}};
        reply = METHOD_QUEUE_BIND_OK;
    } else if (unbinds) {
        method = (union method){.exchange_unbind = {METHOD_EXCHANGE_UNBIND,
                                                    exchange_text(solo, binding->exchange, text),
                                                    source, key, false, arguments}};
        reply = METHOD_EXCHANGE_UNBIND_OK;
    } else {
        method = (union method){.exchange_bind = {METHOD_EXCHANGE_BIND,
                                                  exchange_text(solo, binding->exchange, text),
                                                  source, key, false, arguments}};
        reply = METHOD_EXCHANGE_BIND_OK;
    }
    sim_say(sim_of(solo), "s%d %s x%d to q%d or x%d by %s, match %d", solo->client->number,
            unbinds ? "unbinds" : "binds", binding->source, binding->queue, binding->exchange,
            keys[binding->key], binding->match);
    struct call *next = call(channel, &method, reply, CALL_TOPOLOGY);
    next->binding = *binding;
    next->has_binding = true;
    buffer_free(&out);
}

static int find_binding(const struct solo *solo, const struct own_binding *binding)
{
    for (int i = 0; i < solo->bindings_count; i++)
        if (memcmp(&solo->bindings[i], binding, sizeof(*binding)) == 0)
            return i;
    return NONE;
}

static void draw_binding(struct solo *solo, struct own_binding *binding)
{
    *binding = (struct own_binding){.source = (int)below(solo, EXCHANGES_OF_ONE),
                                    .queue = NONE,
                                    .exchange = NONE,
                                    .key = draw_key(solo, 0)};
    if (chance(solo, 4))
        binding->exchange = (int)below(solo, EXCHANGES_OF_ONE);
    else
        binding->queue = (int)below(solo, QUEUES_OF_ONE);
    if (solo->exchanges[binding->source].kind == HEADERS)
        binding->match = (int)below(solo, 5);
    /* Both empty stand for something else. */
    if (solo->exchanges[binding->source].kind == FANOUT)
        binding->key = draw_key(solo, 1);
}

static bool op_bind(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    struct own_binding binding;
    draw_binding(solo, &binding);
    const struct own_exchange *source = &solo->exchanges[binding.source];
    bool has_destination = binding.queue != NONE ? solo->queues[binding.queue].exists
                                                 : solo->exchanges[binding.exchange].exists;
    bool is_there = find_binding(solo, &binding) != NONE;
    if (solo->bindings_count == BINDINGS_MAX ||
        (!(source->exists && has_destination) && !chance(solo, 10)))
        return false;
    send_binding(channel, &binding, false);
    if (!source->exists)
        expect_close(solo, 404, "no exchange '");
    else if (!has_destination)
        expect_close(solo, 404, binding.queue != NONE ? "no queue '" : "no exchange '");
    else if (!is_there)
        solo->bindings[solo->bindings_count++] = binding;
    sim_of(solo)->report->met[binding.queue == NONE ? MET_EXCHANGE_BOUND : MET_QUEUE_BOUND]++;
    return true;
}

static bool op_unbind(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    struct own_binding binding;
    if (!solo->bindings_count || solo->tx_count)
        return false;
    if (chance(solo, 3)) {
        draw_binding(solo, &binding);
    } else {
        binding = solo->bindings[below(solo, (uint64_t)solo->bindings_count)];
        if (chance(solo, 4))
            binding.key = draw_key(solo, 1); /* one that is like it */
    }
    if (!solo->exchanges[binding.source].exists)
        return false;
    send_binding(channel, &binding, true);
    int at = find_binding(solo, &binding);
    if (at != NONE)
        remove_binding(solo, at);
    sim_of(solo)->report->met[at != NONE ? MET_UNBOUND : MET_UNBOUND_NOTHING]++;
    return true;
}

/* ---- publishing ---- */

static void draw_letter(struct solo *solo, struct entry *letter)
{
    *letter = (struct entry){.id = ++solo->id_last,
                             .exchange =
                                 chance(solo, 3) ? DEFAULT : (int)below(solo, EXCHANGES_OF_ONE + 1),
                             .key = (int)below(solo, PUBLISH_KEYS),
                             .cc = NONE,
                             .died_in = NONE,
                             .persistent = below(solo, 4) > 0,
                             .size = sim_draw_size(sim_of(solo))};
    if (letter->exchange == DEFAULT)
        letter->key = KEYS + (int)below(solo, QUEUES_OF_ONE);
    if (chance(solo, 6))
        letter->cc = KEYS * (letter->exchange == DEFAULT) + (int)below(solo, QUEUES_OF_ONE);
    letter->h = (int)below(solo, 3);
    letter->g = (int)below(solo, 3);
}

static void add_headers(const struct solo *solo, const struct entry *letter, bool as_bcc,
                        struct buffer *out)
{
    struct table_writer writer;
    char text[NAME_SIZE];
    table_writer_init(&writer, out);
    if (letter->h)
        table_add_int64(&writer, bytes_str("h"), letter->h);
    if (letter->cc != NONE) {
        table_begin_array(&writer, bytes_str(as_bcc ? "BCC" : "CC"));
        table_add_string(&writer, bytes_of(NULL, 0), key_text(solo, letter->cc, text));
        table_end(&writer);
    }
    if (letter->g)
        table_add_int64(&writer, bytes_str("g"), letter->g);
}

static void send_letter(struct sim_channel *channel, const struct entry *letter, bool mandatory,
                        bool as_bcc)
{
    const struct solo *solo = solo_of(channel);
    char exchange[NAME_SIZE], key[NAME_SIZE], id[24];
    struct buffer headers = {0}, body = {0};
    union method method = {
        .basic_publish = {.id = METHOD_BASIC_PUBLISH,
                          .exchange = exchange_text(solo, letter->exchange, exchange),
                          .routing_key = key_text(solo, letter->key, key),
                          .mandatory = mandatory}};
    snprintf(id, sizeof(id), "%" PRIu64, letter->id);
    add_headers(solo, letter, as_bcc, &headers);
    struct properties properties = {.flags = PROPERTY_MESSAGE_ID | PROPERTY_DELIVERY_MODE,
                                    .message_id = bytes_str(id),
                                    .delivery_mode = letter->persistent ? 2 : 1,
                                    .headers = buffer_bytes(&headers)};
    if (headers.size)
        properties.flags |= PROPERTY_HEADERS;
    uint8_t *at = buffer_room(&body, letter->size + 1);
    for (uint32_t i = 0; i < letter->size; i++)
        at[i] = (uint8_t)(letter->id * 31 + i);
    client_send(channel->client, channel->number, &method);
    client_content_with(channel->client, channel->number, bytes_of(at, letter->size), &properties);
    sim_say(sim_of(solo), "s%d publishes %" PRIu64 " to %s/%s%s", solo->client->number, letter->id,
            exchange, key, as_bcc ? " with BCC" : "");
    buffer_free(&headers);
    buffer_free(&body);
}

static void await_confirm(struct solo *solo, const struct entry *letter, uint32_t queues,
                          bool returns)
{
    if (solo->publishes_count == solo->publishes_capacity) {
        solo->publishes_capacity = solo->publishes_capacity ? solo->publishes_capacity * 2 : 32;
        solo->publishes =
            mem_realloc(solo->publishes, solo->publishes_capacity * sizeof(*solo->publishes));
    }
    bool is_recorded = false;
    for (int i = 0; i < QUEUES_OF_ONE; i++)
        is_recorded |= queues & 1u << i && survives_in(&solo->queues[i], letter);
    solo->publishes[solo->publishes_count++] = (struct own_publish){
        .id = letter->id, .op = solo->op, .is_recorded = is_recorded, .is_returned = returns};
}

static void take_publish(struct solo *solo, struct entry *letter, bool mandatory, bool as_bcc)
{
    uint32_t queues = route(solo, letter->exchange, letter);
    bool returns = mandatory && !queues;
    if (as_bcc)
        letter->cc = NONE; /* nobody knows of it from now on */
    enqueue(solo, queues, *letter);
    if (returns)
        solo->returns[solo->returns_count++] = letter->id;
    if (solo->mode == MODE_CONFIRM)
        await_confirm(solo, letter, queues, returns);
}

static bool op_publish(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    struct entry letter;
    bool mandatory = chance(solo, 3), as_bcc = chance(solo, 2);
    draw_letter(solo, &letter);
    const struct own_exchange *exchange = &solo->exchanges[letter.exchange];
    bool is_there = letter.exchange == DEFAULT || exchange->exists;
    bool is_internal = letter.exchange != DEFAULT && is_there && exchange->internal;
    bool is_wrong = !is_there || is_internal;
    size_t waiting = solo->mode == MODE_TX ? solo->tx_count : (size_t)solo->returns_count;
    if (solo->client->is_blocked || waiting > 40 ||
        (is_wrong && (solo->mode == MODE_TX || !chance(solo, 12))))
        return false;
    if (letter.cc == NONE)
        as_bcc = false;
    solo->op++;
    send_letter(channel, &letter, mandatory, as_bcc);
    if (is_wrong) {
        expect_close(solo, is_there ? 403 : 404,
                     is_there ? "cannot publish to internal exchange" : "no exchange '");
        return true;
    }
    if (solo->mode == MODE_TX) {
        if (solo->tx_count == solo->tx_capacity) {
            solo->tx_capacity = solo->tx_capacity ? solo->tx_capacity * 2 : 16;
            solo->tx_publishes =
                mem_realloc(solo->tx_publishes, solo->tx_capacity * sizeof(letter));
        }
        letter.is_seen = mandatory; /* until it is committed these two mean that */
        letter.is_crossed = as_bcc;
        solo->tx_publishes[solo->tx_count++] = letter;
        return true;
    }
    take_publish(solo, &letter, mandatory, as_bcc);
    return true;
}

/* ---- getting, settling ---- */

static void send_get(struct sim_channel *channel, int queue, bool no_ack, enum call_kind kind)
{
    char text[NAME_SIZE];
    union method method = {.basic_get = {.id = METHOD_BASIC_GET,
                                         .queue = queue_text(solo_of(channel), queue, text),
                                         .no_ack = no_ack}};
    struct call *next = call(channel, &method, METHOD_BASIC_GET_OK, kind);
    next->queue = queue;
    next->no_ack = no_ack;
}

static bool op_get(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    int queue = (int)below(solo, QUEUES_OF_ONE);
    struct own_queue_of *own = &solo->queues[queue];
    if (!own->exists || solo->unacked_count > UNACKED_MAX)
        return false;
    bool no_ack = solo->mode != MODE_TX && chance(solo, 8);
    solo->is_stopped |= is_ambiguous(&own->ready);
    send_get(channel, queue, no_ack, CALL_GET);
    struct call *next = &solo->calls[solo->calls_count - 1];
    next->is_empty = own->ready.count == 0;
    if (next->is_empty)
        return true;
    next->got = take_entry(&own->ready, 0);
    next->most = (uint32_t)own->ready.count;
    next->tag = ++solo->tag_last;
    if (no_ack)
        add_seen_ghost(own, next->got, solo->op);
    else
        add_unacked(solo, next->tag, queue, NONE, &next->got);
    return true;
}

static void send_settle_of(struct sim_channel *channel, uint64_t tag, bool multiple,
                           enum settled how)
{
    struct solo *solo = solo_of(channel);
    union method method = {.basic_ack = {METHOD_BASIC_ACK, tag, multiple}};
    bool requeue = how == SETTLED_NOT;
    if (how != SETTLED_ACKED && (multiple || chance(solo, 2)))
        method = (union method){.basic_nack = {METHOD_BASIC_NACK, tag, multiple, requeue}};
    else if (how != SETTLED_ACKED)
        method = (union method){.basic_reject = {METHOD_BASIC_REJECT, tag, requeue}};
    solo->op++;
    sim_say(sim_of(solo), "s%d settles %" PRIu64 "%s as %d", solo->client->number, tag,
            multiple ? " and before" : "", how);
    client_send(channel->client, channel->number, &method);
}

static size_t count_open(const struct solo *solo)
{
    size_t count = 0;
    for (size_t i = 0; i < solo->unacked_count; i++)
        count += !solo->unacked[i].is_settled;
    return count;
}

/* A dead letter that no queue takes: nobody sees when it goes, and it may have to be read first, so
 * that it finds whatever was bound meanwhile. */
static bool would_be_dropped(const struct solo *solo, const struct own_unacked *unacked)
{
    if (!is_of_queue(solo, unacked) || !sends_on(solo, &solo->queues[unacked->queue]))
        return false;
    struct entry letter = letter_of(solo, unacked->queue, &unacked->entry);
    return route(solo, letter.exchange, &letter) == 0;
}

static bool is_meant(const struct own_unacked *unacked, uint64_t tag, bool multiple, bool all)
{
    return !unacked->is_settled &&
           (unacked->tag == tag || (multiple && (all || unacked->tag < tag)));
}

static bool op_settle(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    if (!count_open(solo))
        return false;
    size_t at = below(solo, solo->unacked_count);
    if (solo->unacked[at].is_settled)
        return false;
    uint64_t what = below(solo, 10);
    enum settled how = what < 5 ? SETTLED_ACKED : what < 8 ? SETTLED_REJECTED : SETTLED_NOT;
    bool multiple = chance(solo, 3), all = multiple && chance(solo, 4);
    uint64_t tag = solo->unacked[at].tag;
    for (size_t i = 0; i < solo->unacked_count && solo->mode != MODE_TX && how == SETTLED_REJECTED;
         i++)
        if (is_meant(&solo->unacked[i], tag, multiple, all) &&
            would_be_dropped(solo, &solo->unacked[i]))
            how = SETTLED_ACKED;
    send_settle_of(channel, all ? 0 : tag, multiple, how);
    for (size_t i = 0; i < solo->unacked_count;) {
        struct own_unacked *unacked = &solo->unacked[i];
        if (!is_meant(unacked, tag, multiple, all)) {
            i++;
        } else if (solo->mode == MODE_TX) {
            unacked->is_settled = true;
            unacked->how = how;
            unacked->order = ++solo->settle_last;
            i++;
        } else {
            settle_model(solo, i, how);
        }
    }
    sim_of(solo)->report->met[multiple ? MET_SETTLED_MULTIPLE : MET_SETTLED]++;
    return true;
}

static bool op_settle_unknown(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    if (!chance(solo, 20))
        return false;
    send_settle_of(channel, solo->tag_last + 1000, false, SETTLED_ACKED);
    expect_close(solo, 406, "unknown delivery tag");
    return true;
}

static bool op_recover(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    union method method = {.basic_recover = {METHOD_BASIC_RECOVER, true}};
    if (!chance(solo, 3) || solo->mode == MODE_TX)
        return false;
    call(channel, &method, METHOD_BASIC_RECOVER_OK, CALL_OTHER);
    while (solo->unacked_count)
        settle_model(solo, solo->unacked_count - 1, SETTLED_NOT);
    sim_of(solo)->report->met[MET_RECOVERED]++;
    return true;
}

/* ---- consuming ---- */

static bool op_qos(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    bool global = chance(solo, 3);
    uint32_t count = (uint32_t)below(solo, global ? 8 : 5);
    union method method = {
        .basic_qos = {.id = METHOD_BASIC_QOS, .prefetch_count = (uint16_t)count, .global = global}};
    call(channel, &method, METHOD_BASIC_QOS_OK, CALL_OTHER);
    if (global)
        solo->prefetch_global = count;
    else
        solo->prefetch = count;
    solo->is_stopped = true;
    sim_of(solo)->report->met[global ? MET_QOS_CHANNEL : MET_QOS_CONSUMER]++;
    return true;
}

static void send_consume(struct sim_channel *channel, const struct own_consumer *consumer)
{
    struct solo *solo = solo_of(channel);
    struct buffer out = {0};
    struct table_writer writer;
    char text[NAME_SIZE];
    table_writer_init(&writer, &out);
    if (consumer->priority)
        table_add_int64(&writer, bytes_str("x-priority"), consumer->priority);
    union method method = {.basic_consume = {.id = METHOD_BASIC_CONSUME,
                                             .queue = queue_text(solo, consumer->queue, text),
                                             .consumer_tag = bytes_str(consumer->tag),
                                             .no_ack = consumer->no_ack,
                                             .exclusive = consumer->exclusive,
                                             .arguments = buffer_bytes(&out)}};
    call(channel, &method, METHOD_BASIC_CONSUME_OK, CALL_OTHER)->queue = consumer->queue;
    buffer_free(&out);
}

static bool is_exclusively_consumed(const struct solo *solo, int queue)
{
    for (int i = 0; i < CONSUMERS_OF_ONE; i++)
        if (solo->consumers[i].is_active && solo->consumers[i].queue == queue &&
            solo->consumers[i].exclusive)
            return true;
    return false;
}

/* A place whose deliveries were all settled, too. */
static int free_consumer(const struct solo *solo)
{
    for (int i = 0; i < CONSUMERS_OF_ONE; i++)
        if (!solo->consumers[i].is_active && !solo->consumers[i].unacked)
            return i;
    return NONE;
}

static bool op_consume(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    int queue = (int)below(solo, QUEUES_OF_ONE), number = free_consumer(solo);
    if (!solo->queues[queue].exists || number == NONE || solo->mode == MODE_TX)
        return false;
    struct own_consumer consumer = {.is_active = true,
                                    .no_ack = chance(solo, 6),
                                    .exclusive = chance(solo, 8),
                                    .queue = queue,
                                    .priority = (int)below(solo, 3) - 1,
                                    .prefetch = solo->prefetch};
    if (consumer.no_ack)
        consumer.prefetch = 0;
    snprintf(consumer.tag, sizeof(consumer.tag), "c%" PRIu64, ++solo->consumer_last);
    bool is_refused = is_exclusively_consumed(solo, queue) ||
                      (consumer.exclusive && count_consumers(solo, queue));
    send_consume(channel, &consumer);
    if (is_refused) {
        expect_close(solo, 403, "in exclusive use");
        return true;
    }
    solo->consumers[number] = consumer;
    solo->queues[queue].had_consumer = true;
    solo->is_stopped = true;
    sim_of(solo)->report->met[consumer.priority ? MET_CONSUMER_PRIORITY : MET_CONSUMED]++;
    return true;
}

static bool op_cancel(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    int number = (int)below(solo, CONSUMERS_OF_ONE);
    struct own_consumer *consumer = &solo->consumers[number];
    if (!consumer->is_active)
        return false;
    union method method = {.basic_cancel = {METHOD_BASIC_CANCEL, bytes_str(consumer->tag), false}};
    call(channel, &method, METHOD_BASIC_CANCEL_OK, CALL_OTHER)->queue = consumer->queue;
    end_consumer(solo, number);
    sim_of(solo)->report->met[MET_CANCELLED]++;
    return true;
}

void solo_cancelled(struct sim_channel *channel, struct bytes tag)
{
    struct solo *solo = solo_of(channel);
    if (solo->cancels_due-- <= 0)
        sim_fail(sim_of(solo), "s%d: consumer %.*s is cancelled", solo->client->number,
                 BYTES_ARG(tag));
    sim_of(solo)->report->met[MET_CANCELLED_BY_BROKER]++;
}

/* ---- transactions ---- */

/* Of what was settled in the open transaction. */
static size_t first_settled(const struct solo *solo)
{
    size_t first = solo->unacked_count;
    for (size_t i = 0; i < solo->unacked_count; i++)
        if (solo->unacked[i].is_settled &&
            (first == solo->unacked_count || solo->unacked[i].order < solo->unacked[first].order))
            first = i;
    return first;
}

static bool op_commit(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    union method method = {.id = METHOD_TX_COMMIT};
    if (solo->mode != MODE_TX || !chance(solo, 2))
        return false;
    call(channel, &method, METHOD_TX_COMMIT_OK, CALL_COMMIT);
    for (size_t i = 0; i < solo->tx_count; i++) {
        struct entry letter = solo->tx_publishes[i];
        take_publish(solo, &letter, letter.is_seen, letter.is_crossed);
    }
    solo->tx_count = 0;
    for (size_t at; (at = first_settled(solo)) < solo->unacked_count;)
        settle_model(solo, at, solo->unacked[at].how);
    solo->is_stopped = true;
    sim_of(solo)->report->met[MET_COMMITTED]++;
    return true;
}

static bool op_rollback(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    union method method = {.id = METHOD_TX_ROLLBACK};
    if (solo->mode != MODE_TX || !chance(solo, 4))
        return false;
    call(channel, &method, METHOD_TX_ROLLBACK_OK, CALL_ROLLBACK);
    solo->tx_count = 0;
    for (size_t i = 0; i < solo->unacked_count; i++)
        solo->unacked[i].is_settled = false;
    sim_of(solo)->report->met[MET_ROLLED_BACK]++;
    return true;
}

/* ---- ends ---- */

/* All that the channel had goes back. */
static void end_channel(struct solo *solo)
{
    while (solo->unacked_count)
        settle_model(solo, solo->unacked_count - 1, SETTLED_NOT);
    for (int i = 0; i < CONSUMERS_OF_ONE; i++)
        if (solo->consumers[i].is_active)
            end_consumer(solo, i);
    memset(solo->consumers, 0, sizeof(solo->consumers));
    solo->calls_count = solo->returns_count = solo->cancels_due = 0;
    solo->publishes_count = solo->tx_count = 0;
    solo->tag_last = 0;
    solo->prefetch = solo->prefetch_global = 0;
    solo->expected_code = 0;
    solo->is_stopped = true;
}

static bool op_close(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    union method method = {.channel_close = {.id = METHOD_CHANNEL_CLOSE, .reply_code = 200}};
    if (!chance(solo, 8))
        return false;
    call(channel, &method, METHOD_CHANNEL_CLOSE_OK, CALL_CLOSE);
    solo->is_stopped = true;
    return true;
}

/* It may not have been got at all. */
static void doubt_seen(struct solo *solo, const struct call *of)
{
    struct entries *ghosts = &solo->queues[of->queue].ghosts;
    for (size_t i = 0; i < solo->unacked_count; i++)
        if (solo->unacked[i].tag == of->tag)
            solo->unacked[i].entry.is_seen = of->got.is_seen;
    for (size_t i = 0; i < ghosts->count; i++)
        if (ghosts->at[i].id == of->got.id)
            ghosts->at[i].is_seen = of->got.is_seen;
}

/* What was on its way is in doubt. */
static void doubt(struct solo *solo, struct call *of)
{
    if (of->queue != NONE)
        solo->queues[of->queue].is_unsure |= of->is_change;
    if (of->kind == CALL_GET && !of->is_empty)
        doubt_seen(solo, of);
    if (of->queue != NONE && of->no_ack)
        solo->queues[of->queue].is_excused = true;
    if (of->exchange != NONE)
        solo->exchanges[of->exchange].is_unsure |= of->kind == CALL_TOPOLOGY;
    if (of->has_binding && solo->doubtful_count < BINDINGS_MAX * 2)
        solo->doubtful[solo->doubtful_count++] = of->binding;
}

/* Dead letters that were on their way come or do not come; the queues they come from and go to are
 * not worth the doubt. */
static void doubt_late(struct solo *solo)
{
    for (int i = 0; i < QUEUES_OF_ONE; i++) {
        struct own_queue_of *queue = &solo->queues[i];
        for (size_t k = 0; queue->exists && k < queue->ready.count; k++) {
            if (!queue->ready.at[k].is_late)
                continue;
            queue->is_unsure = true;
            solo->queues[queue->ready.at[k].died_in].is_unsure = true;
        }
    }
}

static void doubt_all(struct solo *solo)
{
    for (int i = 0; i < solo->calls_count; i++)
        doubt(solo, &solo->calls[i]);
    for (int i = 0; i < CONSUMERS_OF_ONE; i++)
        if (solo->consumers[i].is_active && solo->consumers[i].no_ack)
            solo->queues[solo->consumers[i].queue].is_excused = true;
    for (int i = 0; i < EXCHANGES_OF_ONE; i++)
        solo->exchanges[i].is_unsure |= solo->exchanges[i].auto_delete;
    for (int i = 0; i < QUEUES_OF_ONE; i++)
        solo->queues[i].is_unsure |= solo->queues[i].auto_delete;
    doubt_late(solo);
    solo->is_known = false;
}

static void end_exclusive(struct solo *solo)
{
    for (int i = 0; i < QUEUES_OF_ONE; i++) {
        struct own_queue_of *queue = &solo->queues[i];
        if (!queue->exists || !queue->exclusive)
            continue;
        remove_queue(solo, i);
        sim_of(solo)->report->met[MET_EXCLUSIVE_GONE]++;
        for (int k = 0; k < EXCHANGES_OF_ONE; k++)
            solo->exchanges[k].is_unsure |= solo->exchanges[k].auto_delete;
        solo->is_known = false;
    }
}

static void all_crossed(struct solo *solo)
{
    for (int i = 0; i < QUEUES_OF_ONE; i++) {
        struct own_queue_of *queue = &solo->queues[i];
        for (size_t k = 0; k < queue->ready.count; k++)
            queue->ready.at[k].is_crossed = true;
        for (size_t k = 0; k < queue->ghosts.count; k++)
            queue->ghosts.at[k].is_crossed = true;
    }
}

void solo_lost(struct sim_channel *channel, bool is_closed_well)
{
    struct solo *solo = solo_of(channel);
    bool was_quiet = solo_is_quiet(channel);
    if (solo->is_open && is_closed_well && was_quiet)
        solo->proved_op = solo->op;
    else if (solo->is_open)
        doubt_all(solo);
    end_channel(solo);
    all_crossed(solo);
    end_exclusive(solo);
    solo->is_open = false;
}

static bool is_about_room(const struct method_channel_close *method)
{
    char text[256];
    snprintf(text, sizeof(text), "%.*s", BYTES_ARG(method->reply_text));
    return method->reply_code == 406 && (strstr(text, "larger than") || strstr(text, "no room"));
}

void solo_channel_closed(struct sim_channel *channel, const struct method_channel_close *method)
{
    struct solo *solo = solo_of(channel);
    char text[256];
    snprintf(text, sizeof(text), "%.*s", BYTES_ARG(method->reply_text));
    bool is_expected =
        solo->expected_code == method->reply_code && strstr(text, solo->expected_text);
    if (is_expected) {
        solo->proved_op = solo->op;
    } else if (is_about_room(method)) {
        doubt_all(solo);
    } else {
        sim_fail(sim_of(solo), "s%d: closed: %u %s, expected %u %s", solo->client->number,
                 method->reply_code, text, solo->expected_code, solo->expected_text);
        return;
    }
    end_channel(solo);
    if (!is_expected)
        all_crossed(solo);
    solo->is_open = false;
}

/* ---- looking at everything ---- */

/* Is it certain that the entry is there, or that it is not? */
static bool must_be_there(const struct solo *solo, const struct own_queue_of *queue,
                          const struct entry *entry, bool restarted, bool crashed)
{
    uint64_t sure = crashed ? solo->durable_op : solo->proved_op;
    return entry->op <= sure && !queue->is_excused && (!restarted || survives_in(queue, entry));
}

/* The machine was started anew. */
static void restart_model(struct solo *solo, bool restarted, bool crashed)
{
    for (int i = 0; i < QUEUES_OF_ONE; i++) {
        struct own_queue_of *queue = &solo->queues[i];
        if (queue->exists && restarted && !queue->durable)
            remove_queue(solo, i);
        for (size_t k = 0; k < queue->ready.count;) {
            struct entry *entry = &queue->ready.at[k];
            bool must = must_be_there(solo, queue, entry, restarted, crashed);
            bool may = !restarted || survives_in(queue, entry);
            entry->is_doubtful |= !must;
            entry->is_late = false;
            if (may)
                k++;
            else
                take_entry(&queue->ready, k);
        }
        for (size_t k = 0; k < queue->ghosts.count;) {
            struct entry *ghost = &queue->ghosts.at[k];
            uint64_t sure = crashed ? solo->durable_op : solo->proved_op;
            bool may = (ghost->is_possible || ghost->op > sure) &&
                       (!restarted || survives_in(queue, ghost));
            ghost->is_possible = may;
            if (may)
                k++;
            else
                take_entry(&queue->ghosts, k);
        }
        queue->is_excused = false;
    }
    for (int i = 0; i < EXCHANGES_OF_ONE && restarted; i++) {
        if (solo->exchanges[i].exists && !solo->exchanges[i].durable)
            remove_exchange(solo, i);
        solo->exchanges[i].is_unsure |= solo->exchanges[i].auto_delete;
    }
    sim_of(solo)->report->met[!restarted ? MET_SURVEY
                              : crashed  ? MET_SURVEY_CRASH
                                         : MET_SURVEY_RESTART]++;
}

static void begin_survey(struct solo *solo, bool restarted)
{
    bool crashed = sim_of(solo)->crash_epoch > solo->epoch;
    sim_say(sim_of(solo), "s%d looks at everything:%s%s", solo->client->number,
            restarted ? " the machine was restarted" : "", crashed ? " after a crash" : "");
    restart_model(solo, restarted, crashed);
    solo->survey = SURVEY_UNBIND;
    solo->survey_at = 0;
    solo->survey_place = 0;
    solo->is_known = true;
}

static bool survey_unbind(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    if (!solo->doubtful_count) {
        solo->survey++;
        return false;
    }
    struct own_binding binding = solo->doubtful[--solo->doubtful_count];
    send_binding(channel, &binding, true);
    int at = find_binding(solo, &binding);
    if (solo->exchanges[binding.source].auto_delete)
        solo->exchanges[binding.source].is_unsure = true;
    if (at != NONE)
        remove_binding(solo, at);
    return true;
}

static bool survey_queues(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    char text[NAME_SIZE];
    for (int i = 0; i < QUEUES_OF_ONE; i++) {
        if (!solo->queues[i].is_unsure)
            continue;
        union method method = {
            .queue_delete = {.id = METHOD_QUEUE_DELETE, .queue = queue_text(solo, i, text)}};
        struct call *next = call(channel, &method, METHOD_QUEUE_DELETE_OK, CALL_COUNT);
        next->queue = i;
        next->is_change = true;
        next->most = UINT32_MAX;
        remove_queue(solo, i);
        solo->queues[i].is_unsure = false;
        return true;
    }
    solo->survey++;
    return false;
}

static bool survey_exchanges(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    char text[NAME_SIZE];
    for (int i = 0; i < EXCHANGES_OF_ONE; i++) {
        if (!solo->exchanges[i].is_unsure)
            continue;
        union method method = {.exchange_delete = {.id = METHOD_EXCHANGE_DELETE,
                                                   .exchange = exchange_text(solo, i, text)}};
        call(channel, &method, METHOD_EXCHANGE_DELETE_OK, CALL_TOPOLOGY)->exchange = i;
        if (solo->exchanges[i].exists)
            remove_exchange(solo, i);
        solo->exchanges[i].is_unsure = false;
        return true;
    }
    solo->survey++;
    solo->survey_at = 0;
    return false;
}

/* What was answered is there. */
static bool survey_check(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    while (solo->survey_at < EXCHANGES_OF_ONE) {
        int at = solo->survey_at++;
        if (!solo->exchanges[at].exists)
            continue;
        send_exchange_declare(channel, at, &solo->exchanges[at], false);
        return true;
    }
    solo->survey++;
    solo->survey_at = 0;
    return false;
}

static bool survey_look(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    for (; solo->survey_at < QUEUES_OF_ONE; solo->survey_at++) {
        if (!solo->queues[solo->survey_at].exists)
            continue;
        send_get(channel, solo->survey_at, false, CALL_LOOK);
        return true;
    }
    solo->survey++;
    return false;
}

static bool survey_return(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    solo->survey = SURVEY_NOT;
    if (!solo->unacked_count)
        return false;
    send_settle_of(channel, 0, true, SETTLED_NOT);
    while (solo->unacked_count)
        settle_model(solo, solo->unacked_count - 1, SETTLED_NOT);
    return true;
}

static void survey_step(struct sim_channel *channel)
{
    static bool (*const stages[])(struct sim_channel *) = {
        [SURVEY_UNBIND] = survey_unbind,       [SURVEY_QUEUES] = survey_queues,
        [SURVEY_EXCHANGES] = survey_exchanges, [SURVEY_CHECK] = survey_check,
        [SURVEY_LOOK] = survey_look,           [SURVEY_RETURN] = survey_return};
    struct solo *solo = solo_of(channel);
    while (solo->survey != SURVEY_NOT && !stages[solo->survey](channel))
        continue;
}

/* Of what is known, what is it that has come? */
static struct entry *find_known(struct own_queue_of *queue, const struct letter *letter,
                                uint64_t after)
{
    struct entries *both[] = {&queue->ready, &queue->ghosts};
    struct entry *best = NULL;
    for (int i = 0; i < 2; i++)
        for (size_t k = 0; k < both[i]->count; k++) {
            struct entry *entry = &both[i]->at[k];
            if (!is_same(entry, letter))
                continue;
            bool is_better = !best || (best->place < after && entry->place > best->place);
            if (is_better)
                best = entry;
        }
    return best;
}

static void forget_known(struct own_queue_of *queue, const struct entry *entry)
{
    struct entries *both[] = {&queue->ready, &queue->ghosts};
    for (int i = 0; i < 2; i++)
        if (both[i]->count && entry >= both[i]->at &&
            entry < both[i]->at + both[i]->count)
            take_entry(both[i], (size_t)(entry - both[i]->at));
}

static void looked_at(struct sim_channel *channel, const struct letter *letter)
{
    struct solo *solo = solo_of(channel);
    int number = solo->survey_at;
    struct own_queue_of *queue = &solo->queues[number];
    struct entry *known = find_known(queue, letter, solo->survey_place);
    if (!known) {
        fails(solo, "is there, and should not be", letter->id, number);
        return;
    }
    struct entry entry = *known;
    forget_known(queue, known);
    check_content(channel, &entry, number);
    if (entry.place < solo->survey_place && !entry.deaths)
        fails(solo, "has lost its place", letter->id, number);
    if (entry.place < solo->survey_place)
        entry.place = solo->survey_place + 1;
    solo->survey_place = entry.place;
    if (channel->content_tag != ++solo->tag_last)
        fails(solo, "has the wrong delivery tag", letter->id, number);
    entry.is_late = entry.is_crossed = entry.is_doubtful = entry.is_possible = false;
    entry.step = 0;
    if (entry.op > solo->durable_op)
        entry.op = solo->op; /* seen, but nobody has said that it is durable */
    add_unacked(solo, channel->content_tag, number, NONE, &entry);
}

/* Nothing more is in the queue. */
static void looked_through(struct solo *solo, int number)
{
    struct own_queue_of *queue = &solo->queues[number];
    for (size_t i = 0; i < queue->ready.count; i++)
        if (!queue->ready.at[i].is_doubtful)
            fails(solo, "is lost", queue->ready.at[i].id, number);
    clear_entries(&queue->ready);
    for (size_t i = 0; i < queue->ghosts.count;) {
        queue->ghosts.at[i].is_possible = false;
        if (queue->ghosts.at[i].op == pending_op)
            i++;
        else
            take_entry(&queue->ghosts, i);
    }
    solo->survey_at++;
    solo->survey_place = 0;
}

/* ---- answers ---- */

/* All dead letters are where they should be. */
static void late_arrived(struct solo *solo, int queue, uint64_t op)
{
    struct entries *ready = &solo->queues[queue].ready;
    for (size_t i = 0; i < ready->count; i++) {
        if (ready->at[i].is_late)
            ready->at[i].op = op;
        ready->at[i].is_late = false;
    }
    if (has_late(solo))
        return;
    for (int i = 0; i < QUEUES_OF_ONE; i++)
        for (size_t k = 0; k < solo->queues[i].ghosts.count; k++)
            if (solo->queues[i].ghosts.at[k].op == pending_op)
                solo->queues[i].ghosts.at[k].op = op;
}

static void counted(struct solo *solo, const struct call *of, uint32_t count)
{
    if (count < of->least || count > of->most)
        sim_fail(sim_of(solo), "s%d.q%d: %u messages are counted, and there are %u to %u",
                 solo->client->number, of->queue, count, of->least, of->most);
    if (count == of->most && solo->queues[of->queue].exists && solo->survey == SURVEY_NOT)
        late_arrived(solo, of->queue, of->op);
}

static void got(struct sim_channel *channel, const struct call *of, const union method *method)
{
    struct solo *solo = solo_of(channel);
    bool is_empty = method->id == METHOD_BASIC_GET_EMPTY;
    if (of->kind == CALL_LOOK) {
        if (is_empty)
            looked_through(solo, of->queue);
        return;
    }
    if (is_empty != of->is_empty)
        sim_fail(sim_of(solo), "s%d.q%d: get %s a message", solo->client->number, of->queue,
                 is_empty ? "does not find" : "finds");
    if (!is_empty && method->basic_get_ok.message_count != of->most)
        sim_fail(sim_of(solo), "s%d.q%d: get says that %u messages are left, and it is %u",
                 solo->client->number, of->queue, method->basic_get_ok.message_count, of->most);
}

void solo_replied(struct sim_channel *channel, const struct expected *expected,
                  const union method *method)
{
    struct solo *solo = solo_of(channel);
    bool is_ours = expected->request != METHOD_CHANNEL_OPEN &&
                   expected->request != METHOD_CONFIRM_SELECT &&
                   expected->request != METHOD_TX_SELECT;
    if (!is_ours)
        return;
    struct call of = solo->calls[0];
    bool is_content = method->id == METHOD_BASIC_GET_OK;
    if (of.op > solo->proved_op)
        solo->proved_op = of.op;
    if (!is_content) { /* else the content needs it */
        solo->calls_count--;
        memmove(solo->calls, solo->calls + 1, sizeof(of) * (size_t)solo->calls_count);
    }
    switch (method->id) {
    case METHOD_QUEUE_DECLARE_OK:
        counted(solo, &of, method->queue_declare_ok.message_count);
        if (method->queue_declare_ok.consumer_count != of.consumers)
            sim_fail(sim_of(solo), "s%d.q%d: %u consumers are counted, and there are %u",
                     solo->client->number, of.queue, method->queue_declare_ok.consumer_count,
                     of.consumers);
        break;
    case METHOD_QUEUE_DELETE_OK:
        counted(solo, &of, method->queue_delete_ok.message_count);
        break;
    case METHOD_QUEUE_PURGE_OK:
        counted(solo, &of, method->queue_purge_ok.message_count);
        break;
    case METHOD_BASIC_GET_OK:
    case METHOD_BASIC_GET_EMPTY:
        got(channel, &of, method);
        break;
    case METHOD_TX_COMMIT_OK:
        if (of.op > solo->durable_op)
            solo->durable_op = of.op;
        break;
    case METHOD_CHANNEL_CLOSE_OK:
        end_channel(solo);
        solo->is_open = false;
        channel_ends(channel);
        break;
    default:
        break;
    }
}

/* The broker does not take it, or cannot say. */
static void refused(struct solo *solo, uint64_t op)
{
    for (int i = 0; i < QUEUES_OF_ONE; i++)
        for (size_t k = 0; k < solo->queues[i].ready.count; k++)
            if (solo->queues[i].ready.at[k].op == op)
                solo->queues[i].ready.at[k].is_doubtful = true;
    solo->is_known = false;
}

static void confirmed(struct solo *solo, struct own_publish *publish)
{
    if (publish->is_returned)
        sim_fail(sim_of(solo), "s%d: message %" PRIu64 " was confirmed before it was returned",
                 solo->client->number, publish->id);
    if (publish->op > solo->proved_op)
        solo->proved_op = publish->op;
    if (publish->is_recorded && publish->op > solo->durable_op)
        solo->durable_op = publish->op;
}

void solo_confirmed(struct sim_channel *channel, uint64_t tag, bool multiple, bool is_refused)
{
    struct solo *solo = solo_of(channel);
    uint64_t count = 0;
    for (uint64_t i = multiple || !tag ? 0 : tag - 1; i < tag && tag <= solo->publishes_count;
         i++) {
        struct own_publish *publish = &solo->publishes[i];
        if (publish->is_answered)
            continue;
        count++;
        publish->is_answered = true;
        if (is_refused)
            refused(solo, publish->op);
        else
            confirmed(solo, publish);
    }
    if (count == 0)
        sim_fail(sim_of(solo), "s%d: a confirm of %" PRIu64 " that is not due",
                 solo->client->number, tag);
    *(is_refused ? &sim_of(solo)->report->refused : &sim_of(solo)->report->confirmed) += count;
}

/* The answer to a get. */
static void take_got(struct sim_channel *channel, const struct letter *letter)
{
    struct solo *solo = solo_of(channel);
    struct call of = solo->calls[0];
    solo->calls_count--;
    memmove(solo->calls, solo->calls + 1, sizeof(of) * (size_t)solo->calls_count);
    if (of.kind == CALL_LOOK) {
        looked_at(channel, letter);
        return;
    }
    if (channel->content_tag != of.tag)
        fails(solo, "has the wrong delivery tag", letter->id, of.queue);
    if (is_same(&of.got, letter)) {
        check_content(channel, &of.got, of.queue);
        return;
    }
    /* One that might have come as well: the two change places. */
    struct entries *ready = &solo->queues[of.queue].ready;
    size_t at = find_ready(ready, letter);
    add_entry(ready, &of.got);
    at += at < ready->count - 1;
    if (at >= ready->count || !may_be_first(ready, at)) {
        fails(solo, "is got, and is not the next one", letter->id, of.queue);
        return;
    }
    struct entry entry = take_entry(ready, at);
    check_content(channel, &entry, of.queue);
    for (size_t i = 0; i < solo->unacked_count; i++)
        if (solo->unacked[i].tag == of.tag) {
            solo->unacked[i].entry = entry;
            solo->unacked[i].entry.is_seen = true;
            solo->unacked[i].entry.is_late = false;
        }
}

void solo_content(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    struct letter letter;
    if (!read_letter(channel, &letter)) {
        sim_fail(sim_of(solo), "s%d: a message without its number, or with BCC",
                 solo->client->number);
        return;
    }
    sim_say(sim_of(solo), "s%d has message %" PRIu64 " as %" PRIu64 "%s", solo->client->number,
            letter.id, channel->content_tag, channel->content_redelivered ? " again" : "");
    if (channel->content_id_done == METHOD_BASIC_RETURN)
        returned(channel, &letter);
    else if (channel->content_id_done == METHOD_BASIC_DELIVER)
        delivered(channel, &letter);
    else
        take_got(channel, &letter);
}

/* ---- the next step ---- */

static size_t count_unanswered(const struct solo *solo)
{
    size_t count = 0;
    for (size_t i = 0; i < solo->publishes_count; i++)
        count += !solo->publishes[i].is_answered;
    return count;
}

static bool is_waiting(const struct sim_channel *channel)
{
    const struct solo *solo = solo_of(channel);
    return solo->calls_count || channel->expected_count || count_unanswered(solo) ||
           solo->returns_count || solo->cancels_due || solo->expected_code || is_deliverable(solo);
}

bool solo_is_quiet(struct sim_channel *channel)
{
    const struct solo *solo = solo_of(channel);
    return !is_waiting(channel) && solo->survey == SURVEY_NOT && !has_late(solo) &&
           solo->is_known && (!sim_of(solo)->is_healed || solo->was_checked);
}

void solo_explain(struct sim_channel *channel)
{
    const struct solo *solo = solo_of(channel);
    sim_fail(
        sim_of(solo),
        "s%d is stuck: %d calls, %zu confirms, %d returns, %d cancels, error %u, %s, survey %d, %s",
        solo->client->number, solo->calls_count, count_unanswered(solo), solo->returns_count,
        solo->cancels_due, solo->expected_code, is_deliverable(solo) ? "a delivery" : "no delivery",
        solo->survey, has_late(solo) ? "a dead letter" : "no dead letter");
}

/* Looks whether a dead letter has come that is on its way. */
static void poll_late(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    for (int i = 0; i < QUEUES_OF_ONE; i++) {
        if (!solo->queues[i].exists || !count_late(&solo->queues[i]))
            continue;
        struct call *next = send_queue_declare(channel, i, &solo->queues[i], true);
        expect_count(solo, next, i);
        return;
    }
}

/* Publishing stops when there is enough. */
static bool is_full(const struct solo *solo)
{
    size_t count = 0;
    for (int i = 0; i < QUEUES_OF_ONE; i++)
        count += solo->queues[i].ready.count;
    return count > READY_MAX;
}

static bool op_publish_unless_full(struct sim_channel *channel)
{
    return !is_full(solo_of(channel)) && op_publish(channel);
}

static void draw_step(struct sim_channel *channel)
{
    static bool (*const ops[])(struct sim_channel *) = {
        op_publish_unless_full,
        op_publish_unless_full,
        op_publish_unless_full,
        op_publish_unless_full,
        op_get,
        op_get,
        op_get,
        op_get,
        op_settle,
        op_settle,
        op_settle,
        op_settle,
        op_declare_queue,
        op_declare_queue,
        op_delete_queue,
        op_purge,
        op_declare_exchange,
        op_declare_exchange,
        op_delete_exchange,
        op_bind,
        op_bind,
        op_bind,
        op_unbind,
        op_settle_unknown,
        op_recover,
        op_qos,
        op_consume,
        op_cancel,
        op_commit,
        op_commit,
        op_rollback,
        op_close,
    };
    struct solo *solo = solo_of(channel);
    uint64_t count = 1 + below(solo, STEP_OPS);
    solo->step++;
    solo->is_stopped = false;
    while (count && !solo->is_stopped) {
        if (!ops[below(solo, sizeof(ops) / sizeof(ops[0]))](channel))
            continue;
        count--;
        solo->is_stopped |= has_consumers(solo) || has_late(solo);
    }
}

void solo_act(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    if (is_waiting(channel))
        return;
    if (solo->survey != SURVEY_NOT) {
        survey_step(channel);
    } else if (!solo->is_known) {
        /* Something was refused: another channel, and a look at everything. */
        union method method = {.channel_close = {.id = METHOD_CHANNEL_CLOSE, .reply_code = 200}};
        doubt_all(solo);
        all_crossed(solo);
        call(channel, &method, METHOD_CHANNEL_CLOSE_OK, CALL_CLOSE);
    } else if (has_late(solo)) {
        poll_late(channel);
    } else if (sim_of(solo)->is_healed && !solo->was_checked) {
        solo->was_checked = true;
        solo->is_known = false;
    } else if (!sim_of(solo)->is_healed) {
        draw_step(channel);
    }
}

void solo_open(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    uint64_t epoch = channel->client->dial_epoch;
    bool restarted = solo->has_connected && epoch != solo->epoch;
    solo->is_open = true;
    solo->mode = (enum mode)below(solo, MODES);
    if (solo->mode == MODE_TX && (restarted || !solo->is_known))
        solo->mode = MODE_CONFIRM;
    if (restarted || !solo->is_known) {
        if (restarted)
            doubt_all(solo);
        begin_survey(solo, restarted);
    }
    solo->has_connected = true;
    solo->epoch = epoch;
    union method method = {.id = solo->mode == MODE_TX ? METHOD_TX_SELECT : METHOD_CONFIRM_SELECT};
    if (solo->mode != MODE_PLAIN)
        client_call(channel, &method,
                    solo->mode == MODE_TX ? METHOD_TX_SELECT_OK : METHOD_CONFIRM_SELECT_OK, NONE);
}

struct solo *solo_new(struct client *client)
{
    struct solo *solo = mem_zalloc(sizeof(*solo));
    solo->client = client;
    solo->is_known = true;
    for (int i = 0; i < EXCHANGES_OF_ONE; i++)
        solo->exchanges[i].alternate = NONE;
    for (int i = 0; i < QUEUES_OF_ONE; i++)
        solo->queues[i].dlx = solo->queues[i].dlk = NONE;
    return solo;
}

void solo_free(struct solo *solo)
{
    if (!solo)
        return;
    for (int i = 0; i < QUEUES_OF_ONE; i++) {
        clear_entries(&solo->queues[i].ready);
        clear_entries(&solo->queues[i].ghosts);
    }
    mem_free(solo->unacked);
    mem_free(solo->publishes);
    mem_free(solo->tx_publishes);
    mem_free(solo);
}

void solo_clean_up(struct sim_channel *channel)
{
    char text[NAME_SIZE];
    struct solo of = {.client = channel->client};
    struct client alike = {0};
    of.client = &alike;
    for (alike.number = 0; alike.number < CLIENTS; alike.number++) {
        for (int i = 0; i < QUEUES_OF_ONE; i++) {
            union method method = {
                .queue_delete = {.id = METHOD_QUEUE_DELETE, .queue = queue_text(&of, i, text)}};
            client_call(channel, &method, METHOD_QUEUE_DELETE_OK, NONE);
        }
        for (int i = 0; i < EXCHANGES_OF_ONE; i++) {
            union method method = {.exchange_delete = {.id = METHOD_EXCHANGE_DELETE,
                                                       .exchange = exchange_text(&of, i, text)}};
            client_call(channel, &method, METHOD_EXCHANGE_DELETE_OK, NONE);
        }
    }
}
