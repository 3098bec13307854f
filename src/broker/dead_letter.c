/* A message that a queue cannot keep goes to the queue's dead-letter exchange, as a new message
 * with the story of its deaths in its headers, the way RabbitMQ 4 tells it:
 *
 *     x-death         an array of tables, the latest death first, one for each queue and reason:
 *                     count, reason, queue, time, exchange and routing-keys of the first such
 *                     death, and original-expiration if the message had one
 *     x-first-death-  queue, reason and exchange: set once
 *     x-last-death-   the same, of this death
 *
 * A client that publishes a dead message again, to have it tried once more, sends its story along,
 * and that is counted on, unless broker->ignores_client_deaths. It may say anything: what makes no
 * sense is passed over. A message that comes back to a queue it has died in, with no rejection by a
 * client since then, would go round for ever, and is dropped.
 *
 * With x-dead-letter-strategy at-least-once a message stays until every queue to which its letter
 * goes takes it, and there is one: unplaced.c.
 *
 * The new message and the end of the old one are decided together and reach the journal in one
 * batch. The old one may have to be read from the disk first, or the journal's batch may be full:
 * then it waits, in order, on its queue's list. */
#include "broker/dead_letter.h"

#include "amqp/properties.h"
#include "amqp/table.h"
#include "base/mem.h"
#include "base/planted.h"
#include "broker/delay.h"
#include "broker/expiry.h"
#include "broker/overflow.h"
#include "broker/unplaced.h"
#include "queue/queue_expiry.h"
#include "queue/queue_limit.h"
#include "queue/queue_schedule.h"

/* Bytes of x-death, so that a message that dies often does not grow for ever: the oldest deaths are
 * forgotten. And routing keys that one death remembers. */
enum { DEATHS_MAX_BYTES = 32768, DEATH_KEYS_MAX = 16 };

/* Room for a letter's headers and properties is kept up to this size. */
enum { ROOM_KEPT = 4096 };

/* Messages that are asked for together: while those that were read are sent the next ones are read, which are not
 * asked for one by one then. */
enum { READ_AT_ONCE = 128 };

/* Letters that one refused message leads to, as full queues may refuse them in turn; and what one takes of
 * a turn's budget. */
enum { REFUSED_MAX = 4096, REFUSED_STEPS = 200 };

_Static_assert(sizeof(((struct broker *)NULL)->deaths) ==
                   sizeof(uint64_t) * QUEUE_CLASSES * LETTERS_KINDS * DEATHS,
               "room for all deaths");

struct dead_letter {
    struct list link; /* on queue->dead_letters */
    uint64_t sequence;
    enum death why;
};

/* On broker->refused. */
struct refused {
    struct list link;
    struct queue *queue;
    struct message *message;
};

/* What is known when a message dies. */
struct funeral {
    struct queue *queue;
    const char *reason;
    struct exchange *exchange;     /* the dead-letter exchange */
    const struct message *message; /* the old one */
    struct properties properties;  /* its properties, changed as we go */
    struct bytes old_deaths;       /* contents of x-death, if that counts; else empty */
    struct buffer *deaths;         /* contents of the new one; these are the broker's */
    struct buffer *headers;        /* contents of the new headers */
};

static const char *reason_of(enum death why)
{
    static const char *const reasons[DEATHS] = {"rejected", "expired", "maxlen", "delivery_limit"};
    return reasons[why];
}

/* ---- x-death ---- */

static bool is_death_of(struct bytes death, const struct funeral *funeral)
{
    struct bytes queue, reason;
    return table_find_string(death, "queue", &queue) &&
           table_find_string(death, "reason", &reason) &&
           bytes_equal(queue, queue_name(funeral->queue)) &&
           bytes_equal_str(reason, funeral->reason);
}

/* Has it died in this queue for this reason before? One that is too long to be kept does not count. */
static bool find_death(const struct funeral *funeral, struct bytes *death)
{
    struct field item;
    for (struct reader walk = reader_of(funeral->old_deaths); array_next(&walk, &item);)
        if (item.type == 'F' && item.raw.size <= DEATHS_MAX_BYTES &&
            is_death_of(item.value.bytes, funeral)) {
            *death = item.value.bytes;
            return true;
        }
    return false;
}

static void add_string(struct table_writer *writer, const char *name, struct bytes value)
{
    table_add_string(writer, bytes_str(name), value);
}

/* Clients may have written the count as another type of number, or none. */
static int64_t count_of(struct bytes death)
{
    struct field field;
    if (!table_find(death, bytes_str("count"), &field) || !field_is_integer(&field) ||
        field.value.integer < 0)
        return 0;
    return field.value.integer;
}

static void add_again(struct table_writer *writer, struct bytes death)
{
    struct field field;
    int64_t count = count_of(death);
    table_add_int64(writer, bytes_str("count"), count < INT64_MAX ? count + 1 : count);
    for (struct reader walk = reader_of(death); table_next(&walk, &field);)
        if (!bytes_equal_str(field.name, "count"))
            table_add_field(writer, &field);
}

static void add_first(struct table_writer *writer, const struct funeral *funeral,
                      const struct queue_set *set)
{
    const struct broker *broker = funeral->queue->vhost->broker;
    if (properties_have(&funeral->properties, PROPERTY_EXPIRATION))
        add_string(writer, "original-expiration", funeral->properties.expiration);
    table_add_int64(writer, bytes_str("count"), 1);
    add_string(writer, "reason", bytes_str(funeral->reason));
    add_string(writer, "queue", queue_name(funeral->queue));
    table_add_timestamp(writer, bytes_str("time"), broker->clock_ms / 1000);
    add_string(writer, "exchange", message_exchange(funeral->message));
    table_begin_array(writer, bytes_str("routing-keys"));
    for (size_t i = 0; i < set->keys_count && i < DEATH_KEYS_MAX; i++)
        add_string(writer, "", set->keys[i]);
    table_end(writer);
}

/* The keys of the set are the message's own and those of CC. */
static void write_deaths(struct funeral *funeral, const struct queue_set *set)
{
    struct bytes before;
    struct field item;
    struct table_writer writer;
    bool again = find_death(funeral, &before);
    array_writer_init(&writer, funeral->deaths);
    table_begin_table(&writer, bytes_of(NULL, 0));
    if (again)
        add_again(&writer, before);
    else
        add_first(&writer, funeral, set);
    table_end(&writer);
    for (struct reader walk = reader_of(funeral->old_deaths); array_next(&walk, &item);) {
        if (funeral->deaths->size + item.raw.size > DEATHS_MAX_BYTES)
            break;
        if (item.type != 'F' || !again || !is_death_of(item.value.bytes, funeral))
            table_add_field(&writer, &item);
    }
}

/* ---- headers and properties ---- */

/* Is a header of the old message not to be taken over? */
static bool is_replaced(const struct funeral *funeral, struct bytes name)
{
    bool died_before = funeral->old_deaths.size;
    if (bytes_equal_str(name, "CC") || bytes_equal_str(name, "BCC"))
        return funeral->queue->settings->dead_letter_routing_key;
    return bytes_equal_str(name, "x-death") ||
           bytes_start_with(name, "x-last-death-") ||
           (bytes_start_with(name, "x-first-death-") && !died_before);
}

static void write_headers(struct funeral *funeral)
{
    struct table_writer writer;
    struct field field;
    struct bytes reason = bytes_str(funeral->reason), queue = queue_name(funeral->queue);
    struct bytes exchange = message_exchange(funeral->message);
    table_writer_init(&writer, funeral->headers);
    for (struct reader walk = reader_of(funeral->properties.headers); table_next(&walk, &field);)
        if (!is_replaced(funeral, field.name))
            table_add_field(&writer, &field);
    table_add_array(&writer, bytes_str("x-death"), buffer_bytes(funeral->deaths));
    if (!funeral->old_deaths.size) {
        add_string(&writer, "x-first-death-exchange", exchange);
        add_string(&writer, "x-first-death-queue", queue);
        add_string(&writer, "x-first-death-reason", reason);
    }
    add_string(&writer, "x-last-death-exchange", exchange);
    add_string(&writer, "x-last-death-queue", queue);
    add_string(&writer, "x-last-death-reason", reason);
}

/* ---- the same story again ---- */

/* Messages without headers that die in the same second, in the same queue, for the same reason and with the
 * same names, have the same story: it is written once for all that follow each other. */
static bool may_be_shared(const struct funeral *funeral)
{
    return !(funeral->properties.flags & (PROPERTY_HEADERS | PROPERTY_EXPIRATION));
}

static bool has_names(struct bytes names, const struct message *message)
{
    struct bytes exchange = message_exchange(message), key = message_routing_key(message);
    return names.size == 1 + exchange.size + key.size && names.data[0] == exchange.size &&
           bytes_equal(bytes_of(names.data + 1, exchange.size), exchange) &&
           bytes_equal(bytes_of(names.data + 1 + exchange.size, key.size), key);
}

static bool is_told(const struct funeral *funeral)
{
    const struct broker *broker = funeral->queue->vhost->broker;
    const struct letter_story *story = &broker->letter_story;
    return story->queue_id == funeral->queue->id && story->reason == funeral->reason &&
           story->time_s == broker->clock_ms / 1000 && may_be_shared(funeral) &&
           has_names(buffer_bytes(&story->names), funeral->message);
}

static void note_story(const struct funeral *funeral)
{
    struct broker *broker = funeral->queue->vhost->broker;
    struct letter_story *story = &broker->letter_story;
    struct bytes exchange = message_exchange(funeral->message);
    struct bytes key = message_routing_key(funeral->message);
    story->queue_id = may_be_shared(funeral) ? funeral->queue->id : 0;
    story->reason = funeral->reason;
    story->time_s = broker->clock_ms / 1000;
    story->names.size = 0;
    buffer_add_u8(&story->names, (uint8_t)exchange.size);
    buffer_add(&story->names, exchange.data, exchange.size);
    buffer_add(&story->names, key.data, key.size);
}

static void tell_story(struct funeral *funeral, const struct queue_set *set)
{
    if (!is_told(funeral)) {
        buffer_empty(funeral->deaths, ROOM_KEPT);
        buffer_empty(funeral->headers, ROOM_KEPT);
        write_deaths(funeral, set);
        write_headers(funeral);
        note_story(funeral);
    }
    funeral->properties.headers = buffer_bytes(funeral->headers);
    funeral->properties.flags |= PROPERTY_HEADERS;
    funeral->properties.flags &= (uint16_t)~PROPERTY_EXPIRATION;
}

static void read_message(struct funeral *funeral)
{
    struct properties *properties = &funeral->properties;
    bool believes = !funeral->queue->vhost->broker->ignores_client_deaths &&
                    !planted(PLANTED_CLIENT_DEATH_NOT_COUNTED);
    properties_read_checked(message_properties(funeral->message), properties);
    if (funeral->message->flags & MESSAGE_DEAD_LETTERED || believes)
        table_find_array(properties->headers, "x-death", &funeral->old_deaths);
}

/* ---- the way out ---- */

/* The queue of a death that came by itself. What a client must have put there is none. */
static bool is_automatic(const struct field *death, struct bytes *queue)
{
    struct bytes reason;
    return death->type == 'F' && table_find_string(death->value.bytes, "queue", queue) &&
           table_find_string(death->value.bytes, "reason", &reason) &&
           !bytes_equal_str(reason, "rejected");
}

/* Takes the queues out of the set in which it has died, with no rejection since. They lose the mark
 * of this routing first, so that it takes one walk over the deaths, and one over the queues. */
static void drop_cycles(const struct funeral *funeral, struct queue_set *set)
{
    const struct vhost *vhost = funeral->queue->vhost;
    struct bytes name;
    struct field death;
    size_t kept = 0;
    for (struct reader walk = reader_of(buffer_bytes(funeral->deaths));
         array_next(&walk, &death) && is_automatic(&death, &name);) {
        struct queue *queue = vhost_queue(vhost, name);
        if (queue)
            queue->route_number = 0;
    }
    for (size_t i = 0; i < set->count; i++) {
        if (set->queues[i]->route_number == vhost->broker->route_number)
            set->queues[kept++] = set->queues[i];
        else
            log_event(vhost->broker->log, EVENT_dead_letter_cycle, "vhost=%s queue=%s",
                      vhost->name, set->queues[i]->name);
    }
    set->count = kept;
}

/* The old message's story, and the keys of the new one in the set. */
static void hold_funeral(struct funeral *funeral, struct queue_set *set)
{
    struct broker *broker = funeral->queue->vhost->broker;
    const char *routing_key = funeral->queue->settings->dead_letter_routing_key;
    funeral->deaths = &broker->letter_deaths;
    funeral->headers = &broker->letter_headers;
    read_message(funeral);
    keys_collect(set, message_routing_key(funeral->message), funeral->properties.headers, false);
    tell_story(funeral, set);
    if (!routing_key || planted(PLANTED_DEAD_LETTER_KEY_FORGOTTEN)) {
        if (funeral->message->flags & MESSAGE_HAS_BCC)
            keys_collect(set, message_routing_key(funeral->message), funeral->properties.headers, true);
        return;
    }
    set->keys[0] = bytes_str(routing_key);
    set->keys_count = 1;
}

static void end_funeral(struct funeral *funeral)
{
    if (funeral->queue->vhost->broker->letter_story.queue_id)
        return;
    buffer_empty(funeral->deaths, ROOM_KEPT);
    buffer_empty(funeral->headers, ROOM_KEPT);
}

/* The new message. */
static struct message *letter_of(const struct funeral *funeral, const struct queue_set *set)
{
    struct broker *broker = funeral->queue->vhost->broker;
    struct buffer *properties = &broker->letter_properties;
    properties_add(properties, &funeral->properties);
    struct message *message =
        message_copy(broker->pool, funeral->message, exchange_name(funeral->exchange), set->keys[0],
                     buffer_bytes(properties));
    message->flags |= MESSAGE_DEAD_LETTERED;
    if (funeral->queue->settings->dead_letter_routing_key)
        message->flags &= (uint8_t)~MESSAGE_HAS_BCC;
    message->ttl_ms = MESSAGE_NO_TTL;
    buffer_empty(properties, ROOM_KEPT);
    return message;
}

/* Are there queues for it, and does each of them have room? */
static bool all_take(const struct queue_set *set, const struct message *letter)
{
    size_t refusals = 0;
    for (size_t i = 0; i < set->count; i++)
        refusals += queue_has_to_refuse(set->queues[i], letter->body_size);
    if (planted(PLANTED_AT_LEAST_ONCE_TWICE))
        return set->count && !(refusals && set->count == 1);
    return (set->count || set->delayers_count) && !refusals;
}

static bool keeps_letters(const struct queue *queue)
{
    return queue_keeps_letters(queue->settings) && !planted(PLANTED_AT_LEAST_ONCE_LOSES);
}

/* A message has died. What an exchange holds back has not. */
static void note_death(const struct queue *queue, enum death why)
{
    struct broker *broker = queue->vhost->broker;
    enum letter_fate letters = !queue->settings->dead_letter_exchange ? LETTERS_NONE
                           : keeps_letters(queue)                 ? LETTERS_AT_LEAST_ONCE
                                                                  : LETTERS_AT_MOST_ONCE;
    if (!queue->is_delay)
        broker->deaths[queue_class(queue)][letters][why]++;
}

/* False: no queue takes the letter, and the message is to stay. */
static bool bury(struct queue *queue, struct exchange *exchange, const struct message *message,
                 enum death why)
{
    struct broker *broker = queue->vhost->broker;
    struct queue_set *set = broker->dead_letter_set;
    struct funeral funeral = {
        .queue = queue,
        .reason = reason_of(why),
        .exchange = exchange,
        .message = message,
    };
    hold_funeral(&funeral, set);
    exchange_route_keys(exchange, funeral.properties.headers, message_properties(message), set);
    if (why != DEATH_REJECTED)
        drop_cycles(&funeral, set);
    bool stays = keeps_letters(queue) && !all_take(set, message);
    if (!stays && (set->count || set->keepers_count || set->delayers_count)) {
        struct message *letter = letter_of(&funeral, set);
        publish_routed(broker, letter, set);
        if (planted(PLANTED_DEAD_LETTER_TWICE))
            publish_routed(broker, letter, set);
        message_unref(broker->pool, letter);
    }
    end_funeral(&funeral);
    return !stays;
}

/* Where what leaves the queue goes. */
static struct exchange *exchange_of(const struct queue *queue)
{
    if (queue->is_delay)
        return vhost_exchange(queue->vhost, queue_name(queue));
    if (!queue->settings->dead_letter_exchange)
        return NULL;
    return vhost_exchange(queue->vhost, bytes_str(queue->settings->dead_letter_exchange));
}

/* The copy has more headers, and may go to some queues. When it is written the old one gives its room back. */
static enum store_room room_for(const struct broker *broker, const struct message *message)
{
    uint64_t bytes = store_message_bytes(message, 42) + DEATHS_MAX_BYTES;
    return broker_records(broker, message) ? store_room_ending(broker->store, bytes) : STORE_ROOM_NOW;
}

/* ---- what was never in the queue ---- */

void dead_letter_refused(struct queue *queue, struct message *message)
{
    if (!exchange_of(queue))
        return;
    note_death(queue, DEATH_MAXLEN);
    struct refused *refused = mem_alloc(sizeof(*refused));
    refused->queue = queue;
    refused->message = message_ref(message);
    list_push_back(&queue->vhost->broker->refused, &refused->link);
}

void dead_letters_bury_refused(struct broker *broker)
{
    struct list *link;
    for (unsigned count = 0; (link = list_take_first(&broker->refused)); count++) {
        struct refused *refused = list_entry(link, struct refused, link);
        budget_use(&broker->turn, REFUSED_STEPS);
        if (count < REFUSED_MAX && room_for(broker, refused->message) == STORE_ROOM_NOW)
            bury(refused->queue, exchange_of(refused->queue), refused->message, DEATH_MAXLEN);
        message_unref(broker->pool, refused->message);
        mem_free(refused);
    }
}

/* ---- what was ---- */

static bool let_go(struct queue *queue, struct exchange *exchange, const struct message *message,
                   enum death why)
{
    if (!queue->is_delay)
        return bury(queue, exchange, message, why);
    delay_release(exchange, message);
    return true;
}

/* What a message becomes is no duplicate of it, where that finds its queue again; NULL: that was all. */
static void set_leaving(struct queue_set *set, const struct queue *queue, uint64_t position)
{
    set->leaving = queue;
    set->leaving_position = position;
}

/* With its dead-letter exchange, which is there. */
static enum placed place(struct queue *queue, struct exchange *exchange, uint64_t sequence,
                         enum death why)
{
    struct broker *broker = queue->vhost->broker;
    struct message *message;
    enum placed placed = PLACED_LATER;
    switch (queue_fetch(queue, sequence, &message)) {
    case QUEUE_WAIT:
        return PLACED_LATER;
    case QUEUE_EMPTY:
        return planted(PLANTED_DAMAGED_BURIED) ? PLACED : PLACED_ASIDE;
    case QUEUE_OK:
        break;
    }
    set_leaving(broker->dead_letter_set, queue, sequence);
    if (room_for(broker, message) == STORE_ROOM_NOW)
        placed = let_go(queue, exchange, message, why) ? PLACED : PLACED_NOWHERE;
    set_leaving(broker->dead_letter_set, NULL, 0);
    dead_letters_bury_refused(broker);
    message_unref(broker->pool, message);
    return placed;
}

enum placed dead_letter_place(struct queue *queue, uint64_t sequence, enum death why)
{
    struct exchange *exchange = exchange_of(queue);
    enum placed placed = keeps_letters(queue) ? PLACED_NOWHERE : PLACED;
    if (exchange)
        placed = place(queue, exchange, sequence, why);
    if (placed == PLACED && keeps_letters(queue))
        queue->vhost->broker->deaths_kept[queue_class(queue)]++;
    if (placed == PLACED)
        queue_settle(queue, sequence);
    return placed;
}

/* False when the message has to be read first, or to wait for room. */
static bool move(struct queue *queue, uint64_t sequence, enum death why)
{
    enum placed placed = dead_letter_place(queue, sequence, why);
    if (placed == PLACED_NOWHERE)
        unplaced_add(queue, sequence, why);
    return placed != PLACED_LATER;
}

/* ---- in two steps, for what must not wait in between ---- */

enum queue_result dead_letter_write(struct queue *queue, uint64_t sequence, struct message **letter)
{
    struct exchange *exchange = exchange_of(queue);
    struct queue_set *set = queue->vhost->broker->dead_letter_set;
    struct message *message;
    *letter = NULL;
    enum queue_result result = exchange ? queue_fetch(queue, sequence, &message) : QUEUE_OK;
    if (!exchange || result != QUEUE_OK)
        return result;
    struct funeral funeral = {
        .queue = queue,
        .reason = reason_of(DEATH_REJECTED),
        .exchange = exchange,
        .message = message,
    };
    hold_funeral(&funeral, set);
    *letter = letter_of(&funeral, set);
    end_funeral(&funeral);
    message_unref(queue->vhost->broker->pool, message);
    return QUEUE_OK;
}

/* A letter of a queue that keeps them. */
static bool send_or_keep(struct queue *queue, struct exchange *exchange, struct message *letter)
{
    struct queue_set *set = queue->vhost->broker->dead_letter_set;
    struct bytes headers = headers_of(message_properties(letter));
    keys_collect(set, message_routing_key(letter), headers, true);
    exchange_route_keys(exchange, headers, message_properties(letter), set);
    if (!all_take(set, letter))
        return false;
    publish_routed(queue->vhost->broker, letter, set);
    return true;
}

void dead_letter_send(struct queue *queue, uint64_t sequence, struct message *letter)
{
    note_death(queue, DEATH_REJECTED);
    struct exchange *exchange = exchange_of(queue);
    struct queue_set *set = queue->vhost->broker->dead_letter_set;
    bool stays = false;
    set_leaving(set, queue, sequence);
    if (keeps_letters(queue))
        stays = !letter || !exchange || !send_or_keep(queue, exchange, letter);
    else if (letter && exchange)
        publish(exchange, letter, set);
    set_leaving(set, NULL, 0);
    dead_letters_bury_refused(queue->vhost->broker);
    if (stays)
        unplaced_add(queue, sequence, DEATH_REJECTED);
    else
        queue_settle(queue, sequence);
}

void dead_letter(struct queue *queue, uint64_t sequence, enum death why)
{
    note_death(queue, why);
    if (!queue->settings->dead_letter_exchange && !queue->is_delay) {
        queue_settle(queue, sequence);
        return;
    }
    bool now =
        list_is_empty(&queue->dead_letters) && !store_is_congested(queue->vhost->broker->store);
    if (now && move(queue, sequence, why))
        return;
    struct dead_letter *waiting = mem_alloc(sizeof(*waiting));
    waiting->sequence = sequence;
    waiting->why = why;
    list_push_back(&queue->dead_letters, &waiting->link);
    if (list_is_empty(&queue->dead_letters_link))
        list_push_back(&queue->vhost->broker->dead_letters, &queue->dead_letters_link);
}

/* What ends anywhere lies anywhere: as much as may be read at once is asked for at once. */
static void read_next(struct queue *queue)
{
    uint64_t positions[READ_AT_ONCE];
    size_t count = 0;
    if (!queue->settings->expire_anywhere || !queue->kind->read_taken)
        return;
    list_for_each(link, &queue->dead_letters) {
        if (count == READ_AT_ONCE)
            break;
        positions[count++] = list_entry(link, struct dead_letter, link)->sequence;
    }
    queue->kind->read_taken(queue, positions, count);
}

static void move_all(struct queue *queue)
{
    read_next(queue);
    for (struct list *link; (link = list_first(&queue->dead_letters));) {
        struct dead_letter *waiting = list_entry(link, struct dead_letter, link);
        if (store_is_congested(queue->vhost->broker->store) ||
            !move(queue, waiting->sequence, waiting->why))
            return;
        list_remove(link);
        mem_free(waiting);
    }
    list_remove(&queue->dead_letters_link);
    overflow_note(queue);
    queue_heads_changed(queue);
    expiry_done(queue);
    queue_schedule_arm(queue);
}

void dead_letters_move(struct broker *broker)
{
    list_for_each_safe(link, after, &broker->dead_letters) {
        struct queue *queue = list_entry(link, struct queue, dead_letters_link);
        if (store_is_congested(broker->store))
            return;
        /* Others are there because they have to drop something: they come back to the end. */
        if (!list_is_empty(&queue->dead_letters))
            move_all(queue);
    }
}

bool dead_letters_are_due(struct queue *queue)
{
    struct broker *broker = queue->vhost->broker;
    struct list *link = list_first(&queue->dead_letters);
    struct message *message;
    if (!link || store_is_congested(broker->store))
        return false;
    const struct dead_letter *waiting = list_entry(link, struct dead_letter, link);
    if (!exchange_of(queue) || queue_fetch(queue, waiting->sequence, &message) != QUEUE_OK)
        return true;
    enum store_room room = room_for(broker, message);
    message_unref(broker->pool, message);
    return room == STORE_ROOM_NOW || (room == STORE_ROOM_LATER && !store_is_short(broker->store));
}

void dead_letters_forget(struct queue *queue)
{
    for (struct list *link; (link = list_take_first(&queue->dead_letters));)
        mem_free(list_entry(link, struct dead_letter, link));
    list_remove(&queue->dead_letters_link);
    unplaced_forget(queue);
}
