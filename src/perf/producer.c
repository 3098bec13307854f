/* Publishing. The common case, bodies of one size that fit into a frame, is one copy of the whole
 * message out of its slot, and eight or sixteen bytes on top of it. */
#include "perf/producer.h"

#include "base/mem.h"
#include "perf/clock.h"
#include "perf/names.h"
#include "perf/stamp.h"

struct slot {
    uint8_t *frames; /* basic.publish; and with bodies of one size, header and body after it */
    size_t method_size;
    size_t whole_size; /* 0: header and body are not in it */
    size_t body_at;
    struct bytes properties;
};

/* ---- frames ---- */

/* Bytes of all body frames. */
static size_t body_frames_size(const struct producer *producer, uint64_t size)
{
    uint64_t part = producer->actor.link.frame_max - FRAME_OVERHEAD;
    return (size_t)(size + (size + part - 1) / part * FRAME_OVERHEAD);
}

static uint8_t *put_body(const struct producer *producer, uint8_t *at, uint64_t size)
{
    uint64_t part_max = producer->actor.link.frame_max - FRAME_OVERHEAD;
    for (uint64_t sent = 0; sent < size;) {
        uint64_t part = size - sent < part_max ? size - sent : part_max;
        at = frame_write_header(at, FRAME_BODY, ACTOR_CHANNEL, (uint32_t)part);
        memcpy(at, producer->run->pattern.data + sent, part);
        at += part;
        *at++ = FRAME_END;
        sent += part;
    }
    return at;
}

static uint8_t *put_header(const struct slot *slot, uint8_t *at, uint64_t size)
{
    size_t length = frame_content_header_size(slot->properties);
    struct writer writer = writer_of(at, length);
    frame_write_content_header(&writer, ACTOR_CHANNEL, size, slot->properties);
    return at + length;
}

static void build_slot(struct producer *producer, uint32_t index)
{
    const struct options *options = producer->run->options;
    struct slot *slot = &producer->slots[index];
    uint32_t turns = producer_queues(options, producer->number);
    char key[NAME_MAX_SIZE];
    key_name(options, options->routing_key,
             producer_queue(options, producer->number, index % turns), producer->number,
             index / turns % options->keys, key);
    union method publish = {.basic_publish = {.id = METHOD_BASIC_PUBLISH,
                                              .exchange = bytes_str(options->exchange),
                                              .routing_key = bytes_str(key),
                                              .mandatory = options->mandatory}};
    uint64_t size = options->size_min;
    bool whole = producer->fixed_size && body_frames_size(producer, size) <= LINK_BUFFER_LARGE / 2;
    slot->properties = options_properties(options, index / turns / options->keys);
    slot->method_size = frame_method_size(&publish);
    size_t body_at = slot->method_size + frame_content_header_size(slot->properties);
    slot->body_at = body_at + FRAME_HEADER_SIZE;
    slot->whole_size = whole ? body_at + body_frames_size(producer, size) : 0;
    mem_free(slot->frames);
    slot->frames = mem_alloc(whole ? slot->whole_size : slot->method_size);
    struct writer writer = writer_of(slot->frames, slot->method_size);
    frame_write_method(&writer, ACTOR_CHANNEL, &publish);
    if (whole)
        put_body(producer, put_header(slot, slot->frames + slot->method_size, size), size);
}

/* ---- life ---- */

void producer_init(struct producer *producer, struct run *run, uint32_t number, uint64_t limit)
{
    const struct options *options = run->options;
    uint32_t turns = producer_queues(options, number);
    *producer = (struct producer){.run = run, .number = number, .limit = limit};
    list_init(&producer->actor.active);
    producer->actor.link.fd = -1;
    producer->slot_count = turns * options->keys * options_levels(options);
    producer->slots = mem_zalloc_array(producer->slot_count, sizeof(*producer->slots));
    producer->sequence_by_slot = options->keys == 1 && options_levels(options) == 1;
    producer->fixed_size = options->size_min == options->size_max;
    producer->stamp = options->mode == MODE_LATENCY ? STAMP_SIZE
                      : options->verify             ? STAMP_ID_SIZE
                                                    : 0;
    if (options->confirm)
        confirms_init(&producer->confirms, options->confirm);
    if (options->schedule.count)
        schedule_start(&producer->walk, &options->schedule);
    random_init(&producer->random, number + 1);
}

void producer_free(struct producer *producer)
{
    for (uint32_t i = 0; i < producer->slot_count; i++)
        mem_free(producer->slots[i].frames);
    mem_free(producer->slots);
    if (producer->run->options->confirm)
        confirms_free(&producer->confirms);
    link_close(&producer->actor.link);
}

bool producer_open(struct producer *producer)
{
    struct link *link = &producer->actor.link;
    if (!link_open(link, producer->run->target, LINK_BUFFER_LARGE) ||
        !link_open_channel(link, ACTOR_CHANNEL))
        return false;
    if (producer->run->options->confirm) {
        union method select = {.id = METHOD_CONFIRM_SELECT};
        if (!link_call(link, ACTOR_CHANNEL, &select, METHOD_CONFIRM_SELECT_OK, NULL, NULL))
            return false;
    }
    for (uint32_t i = 0; i < producer->slot_count; i++)
        build_slot(producer, i);
    return true;
}

void producer_rewind(struct producer *producer)
{
    if (!producer->run->options->confirm)
        return;
    uint64_t first = producer->first_tag_number + producer->confirms.base - 1;
    uint64_t again = producer->next - first;
    confirms_restart(&producer->confirms);
    producer->next = producer->first_tag_number = first;
    producer->turn = first / producer->slot_count;
    producer->slot_at = (uint32_t)(first % producer->slot_count);
    tally_add(&producer->tally->published, 0 - again);
    schedule_start(&producer->walk, &producer->run->options->schedule);
    producer->due_ns = 0;
    if (producer->state != PRODUCER_DONE)
        producer->state = PRODUCER_PUBLISHING;
}

/* ---- publishing ---- */

static void put_stamp(const struct producer *producer, uint8_t *body, uint64_t time_ns)
{
    if (producer->stamp) {
        uint64_t sequence = producer->sequence_by_slot ? producer->turn : producer->next;
        stamp_put_id(body, producer->number, sequence);
    }
    if (producer->stamp == STAMP_SIZE)
        stamp_put_time(body, time_ns);
}

/* A message whose body is not in its slot; false when there is no room now. */
static bool put_varied(struct producer *producer, const struct slot *slot, uint64_t time_ns)
{
    const struct options *options = producer->run->options;
    struct link *link = &producer->actor.link;
    struct random before = producer->random;
    uint64_t size = options->size_min;
    if (!producer->fixed_size)
        size += random_below(&producer->random, options->size_max - options->size_min + 1);
    size_t need = slot->body_at - FRAME_HEADER_SIZE + body_frames_size(producer, size);
    uint8_t *at = link_room(link, need);
    if (!at && link_unsent(link) == 0) {
        /* Larger than the buffer ever was: it grows. */
        link->out_size = need;
        link->out = mem_realloc(link->out, need);
        at = link->out;
    }
    if (!at) {
        producer->random = before;
        return false;
    }
    memcpy(at, slot->frames, slot->method_size);
    uint8_t *body = put_header(slot, at + slot->method_size, size);
    put_body(producer, body, size);
    put_stamp(producer, body + FRAME_HEADER_SIZE, time_ns);
    link_added(link, need);
    return true;
}

static inline bool put_message(struct producer *producer, uint64_t time_ns)
{
    struct link *link = &producer->actor.link;
    const struct slot *slot = &producer->slots[producer->slot_at];
    if (slot->whole_size) {
        uint8_t *at = link_room(link, slot->whole_size);
        if (!at)
            return false;
        memcpy(at, slot->frames, slot->whole_size);
        if (producer->stamp)
            put_stamp(producer, at + slot->body_at, time_ns);
        link_added(link, slot->whole_size);
    } else if (!put_varied(producer, slot, time_ns)) {
        return false;
    }
    producer->next++;
    if (++producer->slot_at == producer->slot_count) {
        producer->slot_at = 0;
        producer->turn++;
    }
    return true;
}

/* How many messages limits and window allow. */
static uint64_t allowed(const struct producer *producer)
{
    const struct options *options = producer->run->options;
    uint64_t left = producer->limit - producer->next;
    if (options->confirm) {
        uint64_t room = confirms_room(&producer->confirms, options->confirm);
        left = room < left ? room : left;
    }
    return left;
}

/* When message `next` of this producer is due, the producers taking turns. */
static void set_due(struct producer *producer)
{
    const struct run *run = producer->run;
    double number = (double)producer->next * run->options->producers + producer->number;
    producer->due_ns = tally_get(&run->start_ns) + schedule_due_ns(&producer->walk, number);
}

/* As many as are allowed, due, and fit. */
static uint64_t publish(struct producer *producer, uint64_t now_ns)
{
    bool scheduled = producer->run->options->schedule.count > 0;
    bool confirmed = producer->run->options->confirm > 0;
    uint64_t most = allowed(producer);
    uint64_t count = 0;
    if (scheduled && producer->due_ns == 0)
        set_due(producer);
    while (count < most) {
        uint64_t time_ns = now_ns;
        if (scheduled) {
            time_ns = producer->due_ns;
            if (time_ns > now_ns)
                break;
        }
        if (!put_message(producer, time_ns))
            break;
        if (confirmed)
            confirms_sent(&producer->confirms, now_ns);
        if (scheduled) {
            histogram_add(&producer->tally->lateness, now_ns - time_ns);
            set_due(producer);
        }
        count++;
    }
    return count;
}

/* Behind the last publish. */
static void send_mark(struct producer *producer)
{
    union method qos = {.id = METHOD_BASIC_QOS};
    link_put_method(&producer->actor.link, ACTOR_CHANNEL, &qos);
    producer->state = PRODUCER_MARKING;
}

static void advance(struct producer *producer, enum phase phase)
{
    if (producer->state == PRODUCER_PUBLISHING &&
        (producer->next == producer->limit || phase >= PHASE_DRAINING))
        producer->state = PRODUCER_SETTLING;
    if (producer->state == PRODUCER_SETTLING &&
        (!producer->run->options->confirm || producer->confirms.open == 0))
        send_mark(producer);
}

/* ---- what comes back ---- */

static void settle(struct producer *producer, uint64_t tag, bool multiple, bool refused,
                   uint64_t now_ns)
{
    struct tally *tally = producer->tally;
    uint64_t settled =
        confirms_settle(&producer->confirms, tag, multiple, now_ns, &tally->confirms);
    if (settled == UINT64_MAX)
        link_fail(&producer->actor.link, "the broker confirmed what was not published");
    else
        tally_add(refused ? &tally->refused : &tally->confirmed, settled);
}

static void take_method(struct producer *producer, const struct frame *frame, uint64_t now_ns)
{
    union method method;
    struct link *link = &producer->actor.link;
    if (method_read(frame->payload, &method) != METHOD_OK) {
        link_fail(link, "the broker sent a malformed method");
        return;
    }
    switch (method.id) {
    case METHOD_BASIC_ACK:
        settle(producer, method.basic_ack.delivery_tag, method.basic_ack.multiple, false, now_ns);
        break;
    case METHOD_BASIC_NACK:
        settle(producer, method.basic_nack.delivery_tag, method.basic_nack.multiple, true, now_ns);
        break;
    case METHOD_BASIC_RETURN:
        tally_add(&producer->tally->returned, 1);
        break;
    case METHOD_BASIC_QOS_OK:
        producer->state = PRODUCER_DONE;
        tally_set(&producer->tally->last_done_ns, now_ns);
        tally_add(&producer->tally->producers_done, 1);
        break;
    default:
        link_handle(link, frame->channel, &method);
    }
}

static bool take_input(struct producer *producer, uint64_t now_ns)
{
    struct link *link = &producer->actor.link;
    struct frame frame;
    if (!link_fill(link))
        return false;
    while (link_next_frame(link, &frame))
        if (frame.type == FRAME_METHOD)
            take_method(producer, &frame, now_ns);
    return !link_failed(link);
}

bool producer_is_ready(const struct producer *producer, uint64_t now_ns)
{
    const struct link *link = &producer->actor.link;
    enum phase phase = run_phase(producer->run);
    if (producer->actor.down)
        return false;
    if (link->readable)
        return true;
    if (!link->writable || link->blocked || phase == PHASE_STARTING)
        return false;
    if (link_unsent(link))
        return true;
    if (producer->state == PRODUCER_PUBLISHING)
        return phase >= PHASE_DRAINING || producer->next == producer->limit ||
               (allowed(producer) > 0 && producer->due_ns <= now_ns);
    return false;
}

bool producer_turn(struct producer *producer, uint64_t now_ns)
{
    struct link *link = &producer->actor.link;
    enum phase phase = run_phase(producer->run);
    if (link->readable && !take_input(producer, now_ns))
        return false;
    if (phase == PHASE_STARTING || link->blocked || !link->writable)
        return true;
    /* A buffer is sent whole before the next one is filled. */
    if (link_unsent(link) == 0 && producer->state == PRODUCER_PUBLISHING &&
        phase == PHASE_RUNNING) {
        uint64_t count = publish(producer, now_ns);
        tally_add(&producer->tally->published, count);
    }
    advance(producer, phase);
    return link_flush(link) && !link_failed(link);
}
