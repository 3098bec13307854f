/* Deliveries of one channel that its client holds: by what they can be claimed from another server, and what the client
 * has said of them. They leave when it is known that this is for good. */
#include "base/mem.h"
#include "base/planted.h"
#include "cluster/resume_internal.h"
#include "peer/relayed.h"

enum { LEAST = 16 };

/* ---- the ring ---- */

static struct held *at(const struct holdings *held, size_t index)
{
    return &held->ring[(held->first + index) & (held->capacity - 1)];
}

/* The one with the client's number; NULL: it is not there. */
static struct held *find(const struct holdings *held, uint64_t tag)
{
    return tag >= held->tag && tag - held->tag < held->count ? at(held, tag - held->tag) : NULL;
}

/* False: all keep as much as they may. */
static bool grow(struct holdings *held, size_t *all_bytes)
{
    struct holdings larger = *held;
    larger.capacity = held->capacity ? 2 * held->capacity : LEAST;
    size_t more = (larger.capacity - held->capacity) * sizeof(struct held);
    if (*all_bytes + more > RESUME_ALL_BYTES)
        return false;
    *all_bytes += more;
    larger.ring = mem_zalloc_array(larger.capacity, sizeof(struct held));
    larger.first = 0;
    for (size_t i = 0; i < held->count; i++)
        larger.ring[i] = *at(held, i);
    mem_free(held->ring);
    *held = larger;
    return true;
}

static bool is_over(const struct holdings *held, const struct held *one)
{
    return one->state == HELD_NOT || (one->state != HELD && one->settle <= held->settles_known);
}

/* Those in front that nothing is to be done about. Without any it has no memory. */
static void trim(struct holdings *held, size_t *all_bytes)
{
    while (held->count && is_over(held, at(held, 0))) {
        held->first = (held->first + 1) & (held->capacity - 1);
        held->count--;
        held->tag++;
    }
    if (held->count == 0 && held->capacity > LEAST) {
        *all_bytes -= held->capacity * sizeof(struct held);
        mem_free(held->ring);
        held->ring = NULL;
        held->first = held->capacity = 0;
    }
}

void resume_held_free(struct resume_channel *channel)
{
    *channel->resume->all_bytes -= channel->held.capacity * sizeof(struct held);
    mem_free(channel->held.ring);
}

/* ---- with one server ---- */

void resume_held_delivered(struct resume_channel *channel, uint64_t tag, const struct resume_consumer *consumer)
{
    struct holdings *held = &channel->held;
    bool is_held = consumer && held->has_position && !channel->is_transacting &&
                   !(planted(PLANTED_RESUME_DELIVERY_FORGOTTEN) && tag % 4 == 0);
    held->has_position = false;
    if (held->count == 0)
        held->tag = tag;
    if ((held->count == 0 && !is_held) || held->count == RESUME_HELD || held->tag + held->count != tag)
        return;
    if (held->count == held->capacity && !grow(held, channel->resume->all_bytes))
        return;
    *at(held, held->count++) = (struct held){.position = held->position,
                                             .consumer = consumer ? consumer->number : 0,
                                             .state = is_held ? HELD : HELD_NOT};
}

void resume_held_undelivered(struct resume_channel *channel, uint64_t tag)
{
    struct holdings *held = &channel->held;
    if (held->count && held->tag + held->count - 1 == tag)
        held->count--;
}

/* What a method says of a delivery; back in its queue it is nobody's. */
static enum held_state verdict_of(const union method *method)
{
    switch (method->id) {
    case METHOD_BASIC_ACK:
        return HELD_ACKED;
    case METHOD_BASIC_NACK:
        return method->basic_nack.requeue ? HELD_NOT : HELD_REJECTED;
    default:
        return method->basic_reject.requeue ? HELD_NOT : HELD_REJECTED;
    }
}

static void send(struct resume_channel *channel, const union method *method)
{
    resume_to_server(channel->resume, channel->number, method);
}

/* The method for one delivery, by the server's number. */
static void send_one(struct resume_channel *channel, const union method *method, uint64_t server_tag)
{
    union method one = *method;
    channel->held.settles++;
    if (one.id == METHOD_BASIC_ACK) {
        one.basic_ack.delivery_tag = server_tag;
        one.basic_ack.multiple = false;
    } else if (one.id == METHOD_BASIC_NACK) {
        one.basic_nack.delivery_tag = server_tag;
        one.basic_nack.multiple = false;
    } else {
        one.basic_reject.delivery_tag = server_tag;
    }
    send(channel, &one);
}

static void note(struct resume_channel *channel, struct held *one, enum held_state verdict)
{
    if (one->state != HELD)
        return;
    one->state = verdict;
    one->settle = planted(PLANTED_RESUME_SETTLED_AT_ONCE) ? 0 : channel->held.settles;
}

/* Those of former servers from number `first` to `last`: one by one, as their numbers for this server are in another
 * order. Those that were not granted are not there. */
static void settle_former(struct resume_channel *channel, const union method *method, uint64_t first, uint64_t last)
{
    struct holdings *held = &channel->held;
    uint64_t end = held->tag + held->count;
    last = last < channel->former ? last : channel->former;
    for (uint64_t tag = first > held->tag ? first : held->tag; tag < end && tag <= last; tag++) {
        struct held *one = find(held, tag);
        if (one->state != HELD || !one->server_tag)
            continue;
        send_one(channel, method, one->server_tag);
        note(channel, one, verdict_of(method));
    }
}

static void settle_present(struct resume_channel *channel, uint64_t first, uint64_t last, enum held_state verdict)
{
    struct holdings *held = &channel->held;
    uint64_t end = held->tag + held->count;
    for (uint64_t tag = first > held->tag ? first : held->tag; tag < end && tag <= last; tag++)
        note(channel, find(held, tag), verdict);
}

void resume_held_settled(struct resume_channel *channel, union method *method)
{
    bool is_ack = method->id == METHOD_BASIC_ACK, is_nack = method->id == METHOD_BASIC_NACK;
    uint64_t *tag = is_ack    ? &method->basic_ack.delivery_tag
                    : is_nack ? &method->basic_nack.delivery_tag
                              : &method->basic_reject.delivery_tag;
    bool is_multiple = is_ack ? method->basic_ack.multiple : is_nack && method->basic_nack.multiple;
    uint64_t last = *tag ? *tag : UINT64_MAX, first = is_multiple ? 0 : last;
    if (*tag && channel->former)
        settle_former(channel, method, first, last);
    if (*tag == 0 || *tag > channel->former) {
        if (*tag)
            *tag -= channel->former - channel->claimed;
        channel->held.settles++;
        send(channel, method);
        settle_present(channel, first, last, verdict_of(method));
    }
    trim(&channel->held, channel->resume->all_bytes);
}

void resume_held_known(struct resume_channel *channel, uint64_t settles)
{
    channel->held.settles_known = settles;
    trim(&channel->held, channel->resume->all_bytes);
}

/* ---- with another one ---- */

/* What is for good by the last server's word has left by now; of the rest nothing is known. */
void resume_held_begin(struct resume_channel *channel)
{
    struct holdings *held = &channel->held;
    trim(held, channel->resume->all_bytes);
    for (size_t i = 0; i < held->count; i++) {
        struct held *one = at(held, i);
        if (is_over(held, one))
            one->state = HELD_NOT;
        one->server_tag = 0;
        one->settle = UINT64_MAX;
    }
    held->settles = held->settles_known = 0;
    held->has_position = false;
    channel->claimed = 0;
}

static struct held *next_of(const struct holdings *held, const struct resume_consumer *consumer, uint64_t *tag)
{
    for (; *tag < held->tag + held->count; ++*tag) {
        struct held *one = find(held, *tag);
        if (one->state != HELD_NOT && one->consumer == consumer->number)
            return one;
    }
    return NULL;
}

uint32_t resume_held_claim(struct resume_channel *channel, const struct resume_consumer *consumer)
{
    struct holdings *held = &channel->held;
    struct resume *resume = channel->resume;
    uint8_t frame[RELAYED_NOTE_BYTES];
    uint32_t frames = 0;
    uint64_t tag = held->tag;
    struct held *one = next_of(held, consumer, &tag);
    if (one && planted(PLANTED_RESUME_CLAIM_LEFT_OUT)) {
        one->state = HELD_NOT;
        one = next_of(held, consumer, &tag);
    }
    held->claim_at = held->tag;
    while (one) {
        uint8_t *at = put_u8(frame + FRAME_HEADER_SIZE, RELAYED_CLAIM);
        uint8_t *count_at = put_shortstr(at, consumer->tag);
        uint16_t count = 0;
        at = count_at + sizeof(count);
        for (; one && count < RELAYED_CLAIMS_MAX; count++) {
            at = put_u64(at, one->position);
            tag++;
            one = next_of(held, consumer, &tag);
        }
        put_u16(count_at, count);
        frame_write_header(frame, FRAME_HEARTBEAT, channel->number, (uint32_t)(at - frame - FRAME_HEADER_SIZE));
        *at++ = FRAME_END;
        resume->ops->to_server(resume->context, bytes_of(frame, (size_t)(at - frame)));
        frames++;
    }
    return frames;
}

/* It is this server's now; what the client has said of it is said again. */
static void granted(struct resume_channel *channel, struct held *one)
{
    static const union method ack = {.id = METHOD_BASIC_ACK};
    static const union method reject = {.id = METHOD_BASIC_REJECT};
    one->server_tag = ++channel->claimed;
    if (one->state == HELD || planted(PLANTED_RESUME_ANSWER_UNSAID))
        return;
    send_one(channel, one->state == HELD_ACKED ? &ack : &reject, one->server_tag);
    one->settle = channel->held.settles;
}

void resume_held_claimed(struct resume_channel *channel, const struct resume_consumer *consumer, struct bytes bits,
                         size_t count)
{
    struct holdings *held = &channel->held;
    struct held *one;
    for (size_t i = 0; i < count && (one = next_of(held, consumer, &held->claim_at)); i++, held->claim_at++)
        if ((i / 8 < bits.size && bits.data[i / 8] >> i % 8 & 1) || planted(PLANTED_RESUME_REFUSAL_UNHEARD))
            granted(channel, one);
}

void resume_held_end(struct resume_channel *channel)
{
    struct holdings *held = &channel->held;
    for (size_t i = 0; i < held->count; i++)
        if (!at(held, i)->server_tag)
            at(held, i)->state = HELD_NOT;
    trim(held, channel->resume->all_bytes);
}
