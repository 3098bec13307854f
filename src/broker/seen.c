/* Duplicates. A message that carries a key, the value of its header x-deduplication-header, is a
 * duplicate
 *
 *   - for an exchange, while it knows the key: until the time is over that the message with the key
 *     was to be known for (x-cache-ttl), or x-cache-size newer ones came;
 *   - for a queue, while a message with that key is in it, taken or not.
 *
 * What is decided is the message's record and one of the key beside it, in one batch: a name of the
 * catalogue (catalogue.h), for a durable exchange or queue and a persistent message. So whoever has
 * a confirm finds the key known after a crash, and what was lost takes its key along.
 *
 * Nobody tells when a message leaves its queue, or when a time is over: a key is *stale* when its
 * message's position is settled, or its time is past. Each new key looks at two others, in turn,
 * and drops them if they are; so there are at most about twice as many as there need be. A place on
 * record has a number, and is used again: what is on record is bounded by what is in memory. A
 * start deletes what is stale, before a position can be used once more. */
#include "broker/seen.h"

#include <stdlib.h>

#include "amqp/reply.h"
#include "amqp/table.h"
#include "base/digest.h"
#include "base/mem.h"
#include "base/planted.h"
#include "broker/catalogue.h"
#include "broker/name.h"

enum { HASH_SIZE = 16, LOOKED_AT = 2, FORGET_STEPS = 40 };

/* Of ids of queues those of groups alone have this bit (STORE_ID_GROUP), and then the number of a group, which
 * these do not. */
#define OF_EXCHANGE ((uint64_t)1 << 62)

static const char default_header[] = "x-deduplication-header";

struct sighting {
    struct list link; /* in order, or spare */
    uint8_t hash[HASH_SIZE];
    uint64_t until; /* of an exchange: ms since 1970, 0: for ever; of a queue: the position */
    uint64_t stamp; /* the order in which they came */
    uint32_t number;
    bool is_recorded;
};

struct seen {
    struct broker *broker;
    struct queue *queue; /* NULL: an exchange's, or nobody's */
    uint64_t id;         /* of the queue, or of the exchange, which has this one only */
    bool is_claimed, is_durable;
    uint32_t limit, numbers;
    uint64_t ttl_ms; /* SETTING_NONE: none */
    uint64_t stamp;
    char *header; /* of an exchange; NULL: the usual one */
    struct map sightings;
    struct list order, spare; /* the oldest first */
    struct list *hand;        /* the next one to be looked at */
    struct list link;         /* on broker->forgotten */
};

/* It was given before. */
static void note_id(struct broker *broker, uint64_t id)
{
    if (id & OF_EXCHANGE && store_group_of(id) == 0 && (id & ~OF_EXCHANGE) > broker->seen_number)
        broker->seen_number = id & ~OF_EXCHANGE;
}

static struct seen *seen_new(struct broker *broker, uint64_t id)
{
    struct seen *seen = mem_zalloc(sizeof(*seen));
    seen->broker = broker;
    seen->id = id;
    seen->limit = SEEN_DEFAULT;
    seen->ttl_ms = SETTING_NONE;
    map_init(&seen->sightings, random_next(broker->random));
    list_init(&seen->order);
    list_init(&seen->spare);
    list_init(&seen->link);
    seen->hand = &seen->order;
    idmap_add(&broker->seen, id, seen);
    note_id(broker, id);
    return seen;
}

/* ---- arguments of exchanges ---- */

static bool is_wanted(struct bytes type, struct bytes arguments)
{
    bool asked = false;
    table_find_bool(arguments, "x-message-deduplication", &asked);
    return asked || bytes_equal_str(type, exchange_deduplication.name);
}

/* A number above 0, which may be written as text. */
static bool read_number(const struct field *field, uint64_t *value)
{
    *value = 0;
    if (field_is_integer(field) && field->value.integer > 0)
        *value = (uint64_t)field->value.integer;
    for (size_t i = 0; field->type == 'S' && i < field->value.bytes.size; i++) {
        uint8_t digit = field->value.bytes.data[i];
        if (digit < '0' || digit > '9' || *value > (uint64_t)QUEUE_TIME_MAX_MS)
            return false;
        *value = *value * 10 + digit - '0';
    }
    return *value > 0;
}

static uint64_t number_of(struct bytes arguments, const char *name, uint64_t otherwise)
{
    struct field field;
    uint64_t value;
    return table_find(arguments, bytes_str(name), &field) && read_number(&field, &value)
               ? value
               : otherwise;
}

static bool refuse(const char *missing, const char *name, const char *what, struct error *error)
{
    return error_set(error, REPLY_PRECONDITION_FAILED, "%s argument, '%s' must be %s", missing,
                     name, what);
}

static bool check_number(struct bytes arguments, const char *name, bool is_needed,
                         struct error *error)
{
    struct field field;
    uint64_t value;
    bool is_there = table_find(arguments, bytes_str(name), &field);
    return (is_there ? read_number(&field, &value) : !is_needed) ||
           refuse(is_needed ? "Missing or invalid" : "Invalid", name, "an integer greater than 0",
                  error);
}

static bool check_persistence(struct bytes arguments, struct error *error)
{
    struct field field;
    return !table_find(arguments, bytes_str("x-cache-persistence"), &field) ||
           (field.type == 'S' && (bytes_equal_str(field.value.bytes, "disk") ||
                                  bytes_equal_str(field.value.bytes, "memory"))) ||
           refuse("Invalid", "x-cache-persistence", "either 'disk' or 'memory'", error);
}

bool seen_check(const struct exchange_declare *declare, struct error *error)
{
    struct bytes arguments = declare->arguments;
    struct field field;
    if (table_find(arguments, bytes_str("x-message-deduplication"), &field) && field.type != 't')
        return refuse("Invalid", "x-message-deduplication", "a boolean", error);
    if (!is_wanted(declare->type, arguments))
        return true;
    if (table_find(arguments, bytes_str(default_header), &field) && field.type != 'S')
        return refuse("Invalid", default_header, "a string", error);
    bool is_needed = bytes_equal_str(declare->type, exchange_deduplication.name);
    return check_number(arguments, "x-cache-size", is_needed, error) &&
           check_number(arguments, "x-cache-ttl", false, error) &&
           check_persistence(arguments, error);
}

uint64_t seen_id(struct broker *broker, const struct exchange_declare *declare)
{
    return is_wanted(declare->type, declare->arguments) ? OF_EXCHANGE | ++broker->seen_number : 0;
}

void seen_open(struct exchange *exchange, uint64_t id)
{
    struct bytes arguments = exchange_arguments(exchange), header;
    struct seen *seen = exchange->seen = seen_new(exchange->vhost->broker, id);
    uint64_t size = number_of(arguments, "x-cache-size", SEEN_DEFAULT);
    seen->limit = size < SEEN_MAX ? (uint32_t)size : SEEN_MAX;
    seen->ttl_ms = number_of(arguments, "x-cache-ttl", SETTING_NONE);
    seen->is_claimed = true;
    seen->is_durable = exchange->durable;
    if (table_find_string(arguments, default_header, &header))
        seen->header = text_copy(header);
}

/* ---- on record ---- */

enum { KEY_SIZE = 1 + 8 + 4, SEEN_VERSION = 1 };

static void write_key(const struct seen *seen, const struct sighting *sighting, struct buffer *out)
{
    buffer_add_u8(out, CATALOGUE_SEEN);
    buffer_add_u64(out, seen->id);
    buffer_add_u32(out, sighting->number);
}

static void record(const struct seen *seen, struct sighting *sighting)
{
    struct buffer *room = &seen->broker->scratch;
    room->size = 0;
    write_key(seen, sighting, room);
    buffer_add_u8(room, SEEN_VERSION);
    buffer_add(room, sighting->hash, HASH_SIZE);
    buffer_add_u64(room, sighting->until);
    buffer_add_u64(room, sighting->stamp);
    store_catalogue_put(seen->broker->store, bytes_of(room->data, KEY_SIZE),
                        bytes_of(room->data + KEY_SIZE, room->size - KEY_SIZE));
    sighting->is_recorded = true;
}

static void unrecord(const struct seen *seen, struct sighting *sighting)
{
    struct buffer *room = &seen->broker->scratch;
    room->size = 0;
    write_key(seen, sighting, room);
    store_catalogue_delete(seen->broker->store, bytes_of(room->data, KEY_SIZE));
    sighting->is_recorded = false;
}

/* ---- what was seen ---- */

static bool is_stale(const struct seen *seen, const struct sighting *sighting)
{
    if (seen->queue)
        return !planted(PLANTED_SEEN_FOR_EVER) &&
               !seen->queue->kind->keeps(seen->queue, sighting->until);
    return sighting->until && sighting->until <= seen->broker->queues.clock_ms;
}

static struct bytes hash_of(const struct sighting *sighting)
{
    return bytes_of(sighting->hash, HASH_SIZE);
}

static void drop(struct seen *seen, struct sighting *sighting)
{
    if (seen->hand == &sighting->link)
        seen->hand = sighting->link.next;
    map_remove(&seen->sightings, hash_of(sighting));
    list_remove(&sighting->link);
    list_push_front(&seen->spare, &sighting->link);
}

static bool is_leaving(const struct seen *seen, const struct sighting *sighting,
                       const struct queue_set *set)
{
    return set->leaving && seen->queue == set->leaving &&
           sighting->until == set->leaving_position && !planted(PLANTED_DUPLICATE_OF_ITSELF);
}

static bool is_known(const struct seen *seen, const uint8_t *hash, const struct queue_set *set)
{
    const struct sighting *sighting = map_find(&seen->sightings, bytes_of(hash, HASH_SIZE));
    return sighting && !is_stale(seen, sighting) && !is_leaving(seen, sighting, set);
}

static void drop_stale(struct seen *seen)
{
    for (unsigned i = 0; i < LOOKED_AT; i++) {
        if (seen->hand == &seen->order)
            seen->hand = seen->order.next;
        if (seen->hand == &seen->order)
            return;
        struct sighting *sighting = list_entry(seen->hand, struct sighting, link);
        seen->hand = seen->hand->next;
        if (is_stale(seen, sighting))
            drop(seen, sighting);
    }
}

static struct sighting *sighting_new(struct seen *seen, uint32_t number)
{
    struct sighting *sighting = mem_zalloc(sizeof(*sighting));
    sighting->number = number;
    list_init(&sighting->link);
    if (number >= seen->numbers)
        seen->numbers = number + 1;
    return sighting;
}

static size_t limit_of(const struct seen *seen)
{
    if (!seen->queue)
        return seen->limit;
    uint64_t size = seen->queue->settings->cache_size;
    return size < SEEN_MAX ? (size_t)size : SEEN_MAX;
}

/* A place for one more; the oldest make room. */
static struct sighting *spare_of(struct seen *seen)
{
    drop_stale(seen);
    while (map_count(&seen->sightings) && map_count(&seen->sightings) >= limit_of(seen) &&
           !planted(PLANTED_SEEN_GROWS))
        drop(seen, list_entry(list_first(&seen->order), struct sighting, link));
    struct list *link = list_take_first(&seen->spare);
    return link ? list_entry(link, struct sighting, link) : sighting_new(seen, seen->numbers);
}

static void put(struct seen *seen, struct sighting *sighting)
{
    map_add(&seen->sightings, hash_of(sighting), sighting);
    list_push_back(&seen->order, &sighting->link);
}

/* Is it on record? */
static bool note(struct seen *seen, const struct fresh *fresh, bool is_persistent)
{
    struct sighting *old = map_find(&seen->sightings, bytes_of(fresh->hash, HASH_SIZE));
    if (old)
        drop(seen, old);
    struct sighting *sighting = spare_of(seen);
    memcpy(sighting->hash, fresh->hash, HASH_SIZE);
    sighting->until = fresh->until;
    sighting->stamp = seen->stamp++;
    put(seen, sighting);
    if (is_persistent && seen->is_durable && !planted(PLANTED_SEEN_OFF_RECORD))
        record(seen, sighting);
    else if (sighting->is_recorded)
        unrecord(seen, sighting);
    return sighting->is_recorded;
}

/* ---- a message ---- */

/* Integers of all widths are one, and so are text and bytes. */
static void hash_key(const struct field *field, uint8_t *hash)
{
    uint8_t digest[SHA256_SIZE];
    uint8_t type = (uint8_t)field->type;
    struct bytes value = field->raw;
    if (field_is_integer(field)) {
        type = 'l';
        value = bytes_of((const uint8_t *)&field->value.integer, sizeof(field->value.integer));
    } else if (field->type == 'f' || field->type == 'd') {
        type = 'd';
        value = bytes_of((const uint8_t *)&field->value.number, sizeof(field->value.number));
    } else if (field->type == 'x') {
        type = 'S';
    }
    sha256(bytes_of(&type, 1), value, digest);
    memcpy(hash, digest, HASH_SIZE);
}

static void add_fresh(struct queue_set *set, const struct fresh *fresh)
{
    if (set->fresh_count == set->fresh_capacity)
        set->fresh =
            mem_grow(set->fresh, &set->fresh_capacity, set->fresh_count + 1, sizeof(struct fresh));
    set->fresh[set->fresh_count++] = *fresh;
}

/* A duplicate is told in the set. */
static bool stops(struct seen *seen, const char *header, struct bytes headers, uint64_t until,
                  struct queue_set *set)
{
    struct field field;
    struct fresh fresh = {.seen = seen, .until = until};
    if (!table_find(headers, bytes_str(header ? header : default_header), &field))
        return false;
    hash_key(&field, fresh.hash);
    if (is_known(seen, fresh.hash, set)) {
        set->duplicates++;
        return true;
    }
    add_fresh(set, &fresh);
    return false;
}

/* When a message that comes now is forgotten. */
static uint64_t until_of(const struct seen *seen, struct bytes headers)
{
    struct field field;
    uint64_t ttl_ms = seen->ttl_ms;
    if (table_find(headers, bytes_str("x-cache-ttl"), &field) && field_is_integer(&field) &&
        field.value.integer >= 0)
        ttl_ms = (uint64_t)field.value.integer;
    if (ttl_ms == SETTING_NONE)
        return 0;
    if (ttl_ms > (uint64_t)QUEUE_TIME_MAX_MS)
        ttl_ms = (uint64_t)QUEUE_TIME_MAX_MS;
    return seen->broker->queues.clock_ms + ttl_ms;
}

bool seen_stops(struct seen *seen, const struct route *route, struct queue_set *set)
{
    set->limits |= QUEUE_DEDUPLICATES;
    return route->headers.size &&
           stops(seen, seen->header, route->headers, until_of(seen, route->headers), set);
}

static struct seen *seen_of(struct queue *queue)
{
    struct broker *broker = queue->vhost->broker;
    struct seen *seen = idmap_find(&broker->seen, queue->id);
    if (!seen)
        seen = seen_new(broker, queue->id);
    seen->queue = queue;
    seen->is_durable = queue_survives(queue);
    return seen;
}

static bool queue_stops(struct queue *queue, const struct message *message, struct bytes headers,
                        struct queue_set *set)
{
    return queue->limit & QUEUE_DEDUPLICATES &&
           stops(seen_of(queue), queue->settings->deduplication_header, headers,
                 queue->kind->next_position(queue, message), set);
}

void seen_drop(struct queue_set *set, const struct message *message)
{
    struct bytes headers = headers_of(message_properties(message));
    size_t kept = 0, count = set->count;
    if (!headers.size)
        return;
    for (size_t i = 0; i < count; i++)
        if (!queue_stops(set->queues[i], message, headers, set))
            set->queues[kept++] = set->queues[i];
    set->count = kept;
}

/* What was refused is told so, and may come again. */
static bool is_taken(const struct fresh *fresh, const struct published *published)
{
    const struct queue *queue = fresh->seen->queue;
    return queue ? queue->kind->keeps(queue, fresh->until)
                 : !published->is_refused || planted(PLANTED_REFUSED_IS_SEEN);
}

void seen_note(const struct broker *broker, struct queue_set *set, const struct message *message,
               struct published *published)
{
    bool is_recorded = set->duplicates && !planted(PLANTED_DUPLICATE_CONFIRMED_EARLY);
    for (size_t i = 0; i < set->fresh_count; i++)
        if (is_taken(&set->fresh[i], published))
            is_recorded |=
                note(set->fresh[i].seen, &set->fresh[i], broker_records(broker, message));
    published->queues += set->duplicates;
    if (set->duplicates && planted(PLANTED_DUPLICATE_NOT_CONFIRMED))
        published->is_refused = true;
    if (is_recorded)
        published->logs |= 1u << store_names_log(broker->store);
    set->fresh_count = set->duplicates = 0;
}

/* ---- the end ---- */

static void forget(struct list *sightings)
{
    for (struct list *link; (link = list_take_first(sightings));)
        mem_free(list_entry(link, struct sighting, link));
}

static void seen_end(struct seen *seen)
{
    forget(&seen->order);
    forget(&seen->spare);
    list_remove(&seen->link);
    map_free(&seen->sightings);
    mem_free(seen->header);
    mem_free(seen);
}

static void leave(struct broker *broker, uint64_t id)
{
    struct seen *seen = idmap_remove(&broker->seen, id);
    if (seen)
        list_push_back(&broker->forgotten, &seen->link);
}

void seen_leave(struct exchange *exchange)
{
    leave(exchange->vhost->broker, exchange->seen->id);
    exchange->seen = NULL;
}

void seen_leave_queue(const struct queue *queue)
{
    leave(queue->vhost->broker, queue->id);
}

void seen_go_on(struct broker *broker, struct budget *budget)
{
    struct list *link;
    while ((link = list_first(&broker->forgotten)) && !budget_is_spent(budget)) {
        struct seen *seen = list_entry(link, struct seen, link);
        struct list *one = list_take_first(&seen->order);
        if (!one && !(one = list_take_first(&seen->spare))) {
            seen_end(seen);
            continue;
        }
        struct sighting *sighting = list_entry(one, struct sighting, link);
        if (sighting->is_recorded)
            unrecord(seen, sighting);
        mem_free(sighting);
        budget_use(budget, FORGET_STEPS);
    }
}

void seen_free(struct broker *broker)
{
    struct seen *seen;
    for (uint64_t at = 0; (seen = idmap_next(&broker->seen, &at));)
        seen_end(seen);
    idmap_free(&broker->seen);
    for (struct list *link; (link = list_take_first(&broker->forgotten));)
        seen_end(list_entry(link, struct seen, link));
}

/* ---- a start ---- */

bool seen_restore(struct broker *broker, struct bytes key, struct bytes value)
{
    struct cursor keys = cursor_of(key), values = cursor_of(value);
    cursor_u8(&keys);
    uint64_t id = cursor_u64(&keys);
    uint32_t number = cursor_u32(&keys);
    uint8_t version = cursor_u8(&values);
    struct bytes hash = cursor_bytes(&values, HASH_SIZE);
    uint64_t until = cursor_u64(&values), stamp = cursor_u64(&values);
    if (keys.bad || values.bad || cursor_left(&keys) || cursor_left(&values) ||
        version != SEEN_VERSION || number == UINT32_MAX)
        return false;
    struct seen *seen = idmap_find(&broker->seen, id);
    if (!seen)
        seen = seen_new(broker, id);
    struct sighting *sighting = sighting_new(seen, number);
    memcpy(sighting->hash, hash.data, HASH_SIZE);
    sighting->until = until;
    sighting->stamp = stamp;
    sighting->is_recorded = true;
    if (stamp >= seen->stamp)
        seen->stamp = stamp + 1;
    list_push_back(&seen->order, &sighting->link);
    return true;
}

static void claim(struct broker *broker)
{
    struct vhost *vhost;
    struct queue *queue;
    struct seen *seen;
    for (uint64_t at = 0; (vhost = map_next(&broker->vhosts, &at));)
        for (uint64_t in = 0; (queue = map_next(&vhost->queues, &in));)
            if ((seen = idmap_find(&broker->seen, queue->id)))
                seen_of(queue)->is_claimed = true;
}

static int by_stamp(const void *a, const void *b)
{
    const struct sighting *const *left = a, *const *right = b;
    return ((*left)->stamp > (*right)->stamp) - ((*left)->stamp < (*right)->stamp);
}

/* A position that was settled may be given once more after a start, so that a stale one goes. */
static void sort_out(struct seen *seen)
{
    size_t count = 0;
    list_for_each(link, &seen->order)
        count++;
    struct sighting **all = mem_zalloc_array(count + 1, sizeof(struct sighting *));
    count = 0;
    for (struct list *link; (link = list_take_first(&seen->order));)
        all[count++] = list_entry(link, struct sighting, link);
    qsort(all, count, sizeof(struct sighting *), by_stamp);
    for (size_t i = 0; i < count; i++) {
        bool is_double = map_find(&seen->sightings, hash_of(all[i]));
        if (is_double || (seen->queue && is_stale(seen, all[i]))) {
            unrecord(seen, all[i]);
            list_push_back(&seen->spare, &all[i]->link);
        } else {
            put(seen, all[i]);
        }
    }
    mem_free(all);
}

void seen_restored(struct broker *broker)
{
    struct seen *seen;
    claim(broker);
    for (uint64_t at = 0; (seen = idmap_next(&broker->seen, &at));)
        if (seen->is_claimed)
            sort_out(seen);
        else
            list_push_back(&broker->forgotten, &seen->link);
    list_for_each(link, &broker->forgotten)
        idmap_remove(&broker->seen, list_entry(link, struct seen, link)->id);
}
