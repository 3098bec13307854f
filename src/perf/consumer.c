/* Consuming. A delivery is three frames, of which only what is needed is looked at: the tag when it
 * will be acknowledged, the body when it is verified or timed. */
#include "perf/consumer.h"

#include <stdio.h>

#include "base/mem.h"
#include "perf/clock.h"
#include "perf/names.h"
#include "perf/stamp.h"

enum {
    ANSWER_FRAME_SIZE = 21,
    DELIVER_TAG_AT = 4, /* the consumer tag, after class and method */
};

uint32_t consumer_queue(const struct options *options, uint32_t number, uint32_t place)
{
    uint64_t queue = number + (uint64_t)place * options->consumers;
    return (uint32_t)(queue % options->queues);
}

void consumer_init(struct consumer *consumer, struct run *run, uint32_t number)
{
    const struct options *options = run->options;
    *consumer = (struct consumer){.run = run, .number = number};
    list_init(&consumer->actor.active);
    consumer->actor.is_consumer = true;
    consumer->actor.link.fd = -1;
    consumer->queue_count =
        number >= options->queues ? 1 : (options->queues - number - 1) / options->consumers + 1;
    if (options->verify)
        consumer->last = mem_zalloc_array((size_t)consumer->queue_count * options->producers *
                                              options_levels(options),
                                          sizeof(*consumer->last));
}

void consumer_free(struct consumer *consumer)
{
    mem_free(consumer->last);
    /* What is rejected must have got where it goes before the queue goes. */
    if (consumer->run->options->reject && !consumer->actor.down)
        link_leave(&consumer->actor.link);
    else
        link_close(&consumer->actor.link);
}

bool consumer_open(struct consumer *consumer)
{
    const struct options *options = consumer->run->options;
    struct link *link = &consumer->actor.link;
    consumer->in_content = false;
    consumer->body_left = consumer->acked = consumer->last_tag = 0;
    if (!link_open(link, consumer->run->target, LINK_BUFFER_LARGE) ||
        !link_open_channel(link, ACTOR_CHANNEL))
        return false;
    if (options->prefetch) {
        union method qos = {
            .basic_qos = {.id = METHOD_BASIC_QOS, .prefetch_count = (uint16_t)options->prefetch}};
        return link_call(link, ACTOR_CHANNEL, &qos, METHOD_BASIC_QOS_OK, NULL, NULL);
    }
    return true;
}

bool consumer_subscribe(struct consumer *consumer)
{
    const struct options *options = consumer->run->options;
    struct link *link = &consumer->actor.link;
    for (uint32_t place = 0; place < consumer->queue_count; place++) {
        char name[NAME_MAX_SIZE];
        char tag[16];
        snprintf(tag, sizeof(tag), "%u", place);
        queue_name(options, consumer_queue(options, consumer->number, place), name);
        union method consume = {.basic_consume = {.id = METHOD_BASIC_CONSUME,
                                                  .queue = bytes_str(name),
                                                  .consumer_tag = bytes_str(tag),
                                                  .no_ack = options->ack_every == 0,
                                                  .arguments = options->consume_arguments}};
        link_put_method(link, ACTOR_CHANNEL, &consume);
    }
    return link_flush(link) && !link_failed(link);
}

/* ---- acknowledging ---- */

/* basic.ack, basic.reject and basic.nack are a tag and an octet of bits, of which `multiple` is the
 * first where there is one; none asks for the message to be queued again. */
static void put_answer(struct consumer *consumer, uint64_t tag, bool multiple)
{
    struct link *link = &consumer->actor.link;
    bool reject = consumer->run->options->reject;
    uint32_t method = !reject    ? METHOD_BASIC_ACK
                      : multiple ? METHOD_BASIC_NACK
                                 : METHOD_BASIC_REJECT;
    uint8_t *at = link_make_room(link, ANSWER_FRAME_SIZE);
    at = frame_write_header(at, FRAME_METHOD, ACTOR_CHANNEL, ANSWER_FRAME_SIZE - FRAME_OVERHEAD);
    at = put_u32(at, method);
    at = put_u64(at, tag);
    at = put_u8(at, multiple);
    put_u8(at, FRAME_END);
    link_added(link, ANSWER_FRAME_SIZE);
}

static void acknowledge(struct consumer *consumer)
{
    uint32_t every = consumer->run->options->ack_every;
    consumer->last_tag = consumer->tag;
    if (consumer->tag - consumer->acked < every)
        return;
    put_answer(consumer, consumer->tag, every > 1);
    consumer->acked = consumer->tag;
}

void consumer_finish(struct consumer *consumer)
{
    if (consumer->last_tag > consumer->acked && !consumer->actor.down) {
        put_answer(consumer, consumer->last_tag, true);
        consumer->acked = consumer->last_tag;
    }
}

/* ---- looking at a body ---- */

static void verify_stamp(struct consumer *consumer, uint64_t stamp)
{
    const struct options *options = consumer->run->options;
    struct tally *tally = consumer->tally;
    uint64_t producer = stamp >> 48;
    uint64_t sequence = stamp & STAMP_SEQUENCE_MAX;
    if (producer >= options->producers || consumer->place >= consumer->queue_count) {
        tally_add(&tally->damaged, 1);
        return;
    }
    uint32_t queue = consumer_queue(options, consumer->number, consumer->place);
    uint32_t level = producer_level(options, (uint32_t)producer, sequence);
    size_t kept = (size_t)consumer->place * options->producers + producer;
    uint64_t *last = &consumer->last[kept * options_levels(options) + level];
    bool again = consumer->redelivered || options->reconnect;
    if (ledger_note(&consumer->ledgers[queue][producer], sequence) == LEDGER_SEEN)
        tally_add(again ? &tally->repeated : &tally->duplicates, 1);
    else
        tally_add(&tally->unique, 1);
    if (sequence < *last && !again)
        tally_add(&tally->disordered, 1);
    *last = sequence + 1;
}

static void verify_pattern(struct consumer *consumer, struct bytes part)
{
    uint64_t place = consumer->body_size - consumer->body_left;
    const uint8_t *wanted = consumer->run->pattern.data;
    if (place == 0) {
        if (part.size < STAMP_ID_SIZE) {
            tally_add(&consumer->tally->damaged, 1);
            return;
        }
        verify_stamp(consumer, stamp_get(part.data));
        place = STAMP_ID_SIZE;
        if (consumer->run->options->mode == MODE_LATENCY)
            place = part.size < STAMP_SIZE ? part.size : STAMP_SIZE;
        part = bytes_of(part.data + place, part.size - place);
    }
    if (place + part.size > consumer->run->pattern.size ||
        (part.size && memcmp(part.data, wanted + place, part.size) != 0))
        tally_add(&consumer->tally->damaged, 1);
}

static void note_time(struct consumer *consumer, struct bytes part, uint64_t now_ns)
{
    if (consumer->body_left != consumer->body_size || part.size < STAMP_SIZE)
        return;
    uint64_t due_ns = stamp_get(part.data + STAMP_ID_SIZE);
    if (due_ns >= tally_get(&consumer->run->measured_from_ns))
        histogram_add(&consumer->tally->latency, now_ns > due_ns ? now_ns - due_ns : 0);
}

/* ---- frames ---- */

static void take_method(struct consumer *consumer, const struct frame *frame)
{
    struct link *link = &consumer->actor.link;
    union method method;
    if (method_read(frame->payload, &method) != METHOD_OK) {
        link_fail(link, "the broker sent a malformed method");
        return;
    }
    if (method.id == METHOD_BASIC_CONSUME_OK) {
        if (++consumer->started == consumer->queue_count)
            tally_add(&consumer->tally->consumers_ready, 1);
    } else if (method.id == METHOD_BASIC_CANCEL) {
        link_fail(link, "the broker cancelled the consumer: its queue is gone");
    } else {
        link_handle(link, frame->channel, &method);
    }
}

static void take_deliver(struct consumer *consumer, struct bytes payload)
{
    size_t tag_size = payload.data[DELIVER_TAG_AT];
    const uint8_t *at = payload.data + DELIVER_TAG_AT + 1;
    if (payload.size < DELIVER_TAG_AT + 1 + tag_size + 9) {
        link_fail(&consumer->actor.link, "the broker sent a malformed delivery");
        return;
    }
    consumer->tag = stamp_get(at + tag_size);
    consumer->redelivered = at[tag_size + 8];
    if (consumer->redelivered)
        tally_add(&consumer->tally->repeated, !consumer->run->options->verify);
    if (consumer->run->options->verify) {
        consumer->place = 0;
        for (size_t i = 0; i < tag_size; i++)
            consumer->place = consumer->place * 10 + (uint32_t)(at[i] - '0');
    }
}

static inline bool is_deliver(struct bytes payload)
{
    static const uint8_t deliver[4] = {0, 60, 0, 60};
    return payload.size > DELIVER_TAG_AT && memcmp(payload.data, deliver, sizeof(deliver)) == 0;
}

/* One frame; true when a message is complete with it. */
static inline bool take_frame(struct consumer *consumer, const struct frame *frame, bool look,
                              uint64_t now_ns)
{
    switch (frame->type) {
    case FRAME_METHOD:
        if (!is_deliver(frame->payload)) {
            take_method(consumer, frame);
            return false;
        }
        consumer->in_content = true;
        take_deliver(consumer, frame->payload);
        return false;
    case FRAME_HEADER:
        if (!consumer->in_content || frame->payload.size < 12)
            return false;
        consumer->body_left = consumer->body_size = stamp_get(frame->payload.data + 4);
        return consumer->body_left == 0;
    case FRAME_BODY:
        if (!consumer->in_content || frame->payload.size > consumer->body_left) {
            link_fail(&consumer->actor.link, "the broker sent a body that nobody announced");
            return false;
        }
        if (look) {
            if (consumer->run->options->mode == MODE_LATENCY)
                note_time(consumer, frame->payload, now_ns);
            if (consumer->run->options->verify)
                verify_pattern(consumer, frame->payload);
        }
        consumer->body_left -= frame->payload.size;
        return consumer->body_left == 0;
    default:
        return false;
    }
}

static void count_messages(struct consumer *consumer, uint64_t count, uint64_t bytes)
{
    struct tally *tally = consumer->tally;
    uint64_t now_ns = clock_ns();
    if (tally_get(&tally->first_consumed_ns) == 0)
        tally_set(&tally->first_consumed_ns, now_ns);
    tally_set(&tally->last_consumed_ns, now_ns);
    tally_add(&tally->consumed_bytes, bytes);
    tally_add(&tally->consumed, count);
}

bool consumer_is_ready(const struct consumer *consumer)
{
    const struct link *link = &consumer->actor.link;
    return !consumer->actor.down && (link->readable || (link->writable && link_unsent(link)));
}

bool consumer_turn(struct consumer *consumer, uint64_t now_ns)
{
    const struct options *options = consumer->run->options;
    struct link *link = &consumer->actor.link;
    bool look = options->mode == MODE_LATENCY || options->verify;
    uint64_t count = 0;
    uint64_t bytes = 0;
    struct frame frame;
    if (link->readable && !link_fill(link))
        return false;
    if (options->mode == MODE_LATENCY)
        now_ns = clock_ns();
    while (link_next_frame(link, &frame)) {
        if (!take_frame(consumer, &frame, look, now_ns))
            continue;
        consumer->in_content = false;
        bytes += consumer->body_size;
        count++;
        if (options->ack_every)
            acknowledge(consumer);
    }
    if (count)
        count_messages(consumer, count, bytes);
    return link_flush(link) && !link_failed(link);
}
