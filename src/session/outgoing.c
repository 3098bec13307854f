/* A delivery of a small message is written in one go: room for the whole of it is asked for once, and
 * the beginning of the method frame is copied from the consumer. Larger bodies are not copied: the
 * output refers to the message. */
#include "session/outgoing.h"

#include "amqp/properties.h"
#include "amqp/table.h"
#include "base/planted.h"
#include "session/tap.h"
#include "session/trace.h"

enum { HEADER_FIXED = 12 }; /* class, weight, body size */

static size_t header_size(const struct parcel *parcel)
{
    return FRAME_OVERHEAD + HEADER_FIXED + parcel->properties.size;
}

static inline uint8_t *put_header(uint8_t *at, uint16_t channel, const struct parcel *parcel)
{
    at = frame_write_header(at, FRAME_HEADER, channel,
                            (uint32_t)(HEADER_FIXED + parcel->properties.size));
    at = put_u32(at, (uint32_t)CONTENT_CLASS_BASIC << 16); /* class, weight 0 */
    at = put_u64(at, parcel->body.size);
    at = put_bytes(at, parcel->properties);
    *at++ = FRAME_END;
    return at;
}

static inline uint8_t *put_body(uint8_t *at, uint16_t channel, struct bytes body)
{
    at = frame_write_header(at, FRAME_BODY, channel, (uint32_t)body.size);
    at = put_bytes(at, body);
    *at++ = FRAME_END;
    return at;
}

/* One body frame that is not written together with the rest. */
static void send_body(struct channel *channel, struct message *message, struct bytes part)
{
    if (part.size <= PARCEL_BODY_MAX || !list_is_empty(&channel->waiting_replies)) {
        put_body(channel_room(channel, part.size + FRAME_OVERHEAD), channel->number, part);
        channel_added(channel, part.size + FRAME_OVERHEAD);
        return;
    }
    frame_write_header(channel_room(channel, FRAME_HEADER_SIZE), FRAME_BODY, channel->number,
                       (uint32_t)part.size);
    channel_added(channel, FRAME_HEADER_SIZE);
    output_add_body(&channel->connection->output, message, part);
    *channel_room(channel, 1) = FRAME_END;
    channel_added(channel, 1);
}

/* The body in frames no larger than was negotiated (AMQP 0-9-1, 4.2.6.2). */
static void send_bodies(struct channel *channel, struct message *message)
{
    struct bytes body = message_body(message);
    size_t max = channel->connection->frame_max - FRAME_OVERHEAD;
    while (body.size) {
        struct bytes part = bytes_of(body.data, body.size < max ? body.size : max);
        send_body(channel, message, part);
        body = bytes_of(body.data + part.size, body.size - part.size);
    }
}

static __attribute__((cold, noinline)) void trace_delivery(const struct consumer *consumer,
                                                           const struct parcel *parcel,
                                                           uint64_t tag, bool redelivered)
{
    const struct channel *channel = consumer->channel;
    tap_delivery(channel, consumer->base.queue, parcel, redelivered);
    if (!channel_server(channel)->options.trace_frames)
        return;
    union method method = {.basic_deliver = {.id = METHOD_BASIC_DELIVER,
                                             .consumer_tag = consumer_tag(consumer),
                                             .delivery_tag = tag,
                                             .redelivered = redelivered,
                                             .exchange = parcel->exchange,
                                             .routing_key = parcel->routing_key}};
    trace_sent(channel->connection, channel->number, &method);
    trace_sent_content(channel->connection, channel->number, parcel->body.size);
}

/* The frames of a delivery; the body's only if it is `whole`. What each caller knows of that is not asked
 * again for each message. */
static inline __attribute__((always_inline)) void deliver(struct consumer *consumer,
                                                          const struct parcel *parcel, uint64_t tag,
                                                          bool redelivered, bool whole)
{
    struct channel *channel = consumer->channel;
    if (__builtin_expect(channel_server(channel)->is_watched, 0))
        trace_delivery(consumer, parcel, tag, redelivered);
    size_t prefix_size = CONSUMER_PREFIX_TAG + (size_t)consumer->tag_size;
    size_t method_size = prefix_size - FRAME_HEADER_SIZE + 9 + 2 + parcel->exchange.size +
                         parcel->routing_key.size;
    size_t size = FRAME_OVERHEAD + method_size + header_size(parcel);
    if (whole && parcel->body.size)
        size += FRAME_OVERHEAD + parcel->body.size;
    uint8_t *at = channel_room(channel, size);
    uint32_t be_size = htobe32((uint32_t)method_size);
    uint8_t *frame = at;
    at = put_bytes(at, bytes_of(consumer->prefix, prefix_size));
    memcpy(frame + 3, &be_size, sizeof(be_size));
    at = put_u64(at, tag);
    *at++ = redelivered;
    at = put_shortstr(put_shortstr(at, parcel->exchange), parcel->routing_key);
    *at++ = FRAME_END;
    at = put_header(at, channel->number, parcel);
    if (whole && parcel->body.size)
        put_body(at, channel->number, parcel->body);
    channel_added(channel, size);
}

void outgoing_deliver_parcel(struct consumer *consumer, const struct parcel *parcel, uint64_t tag,
                             bool redelivered)
{
    deliver(consumer, parcel, tag, redelivered, true);
}

/* ---- what clients are shown ---- */

/* Is a header of the message not for clients, or to be replaced? */
static bool is_left_out(struct bytes name, bool has_bcc, uint32_t count)
{
    return (has_bcc && bytes_equal_str(name, "BCC") && !planted(PLANTED_BCC_SHOWN)) ||
           (count && bytes_equal_str(name, "x-delivery-count"));
}

/* In a quorum queue as RabbitMQ has it there; elsewhere, where it has none, of the type that every client
 * can read. */
static void add_count(struct table_writer *writer, const struct queue *queue, uint32_t count)
{
    struct bytes name = bytes_str("x-delivery-count");
    if (queue->settings->is_quorum || count > INT32_MAX)
        table_add_int64(writer, name, count);
    else
        table_add_int32(writer, name, (int32_t)count);
}

/* The same properties without BCC, and with an x-delivery-count, whatever the publisher has said of
 * that. */
static void add_shown(struct buffer *out, struct bytes bytes, bool has_bcc,
                      const struct queue *queue, uint32_t count)
{
    struct properties properties;
    struct buffer headers = {0};
    struct table_writer writer;
    struct field field;
    properties_read_checked(bytes, &properties);
    table_writer_init(&writer, &headers);
    for (struct reader walk = reader_of(properties.headers); table_next(&walk, &field);)
        if (!is_left_out(field.name, has_bcc, count))
            table_add_field(&writer, &field);
    if (count)
        add_count(&writer, queue, count);
    properties.headers = buffer_bytes(&headers);
    properties.flags |= PROPERTY_HEADERS;
    properties_add(out, &properties);
    buffer_free(&headers);
}

/* Does it go out as it lies? */
static inline bool is_shown_whole(const struct message *message, uint32_t count)
{
    return count == 0 && !(message->flags & (MESSAGE_HAS_BCC | MESSAGE_SAID_AGAIN));
}

static bool is_redelivered(const struct taken *taken)
{
    return taken->redelivered || taken->message->flags & MESSAGE_SAID_AGAIN;
}

/* What goes out of a message that came back to its queue so often; the caller frees `properties`. */
static struct parcel parcel_shown(const struct message *message, const struct queue *queue,
                                  uint32_t count, struct buffer *properties)
{
    struct parcel parcel = parcel_of(message);
    bool has_bcc = message->flags & MESSAGE_HAS_BCC;
    if (count == 0 && !has_bcc)
        return parcel;
    add_shown(properties, parcel.properties, has_bcc, queue, count);
    parcel.properties = buffer_bytes(properties);
    return parcel;
}

static inline void deliver_as(const struct parcel *parcel, struct consumer *consumer,
                              const struct taken *taken, uint64_t tag, bool redelivered)
{
    bool whole = parcel_is_small(parcel, consumer->channel);
    deliver(consumer, parcel, tag, redelivered, whole);
    if (!whole)
        send_bodies(consumer->channel, taken->message);
}

static __attribute__((noinline)) void deliver_changed(struct consumer *consumer,
                                                      const struct taken *taken, uint64_t tag)
{
    struct buffer properties = {0};
    struct parcel parcel = parcel_shown(taken->message, consumer->base.queue,
                                        taken->delivery_count, &properties);
    deliver_as(&parcel, consumer, taken, tag, is_redelivered(taken));
    buffer_free(&properties);
}

void outgoing_deliver(struct consumer *consumer, const struct taken *taken, uint64_t tag)
{
    struct parcel parcel = parcel_of(taken->message);
    if (__builtin_expect(is_shown_whole(taken->message, taken->delivery_count), 1))
        deliver_as(&parcel, consumer, taken, tag, taken->redelivered);
    else
        deliver_changed(consumer, taken, tag);
}

/* Any other method with the content of a message that came back to its queue so often. */
static void send_content(struct channel *channel, const union method *method,
                         struct message *message, const struct queue *queue, uint32_t count)
{
    struct buffer properties = {0};
    struct parcel parcel = parcel_shown(message, queue, count, &properties);
    size_t size = header_size(&parcel);
    channel_send(channel, method);
    put_header(channel_room(channel, size), channel->number, &parcel);
    channel_added(channel, size);
    if (__builtin_expect(channel_server(channel)->options.trace_frames, 0))
        trace_sent_content(channel->connection, channel->number, parcel.body.size);
    send_bodies(channel, message);
    buffer_free(&properties);
}

void outgoing_get_ok(struct channel *channel, const struct queue *queue, const struct taken *taken,
                     uint64_t tag)
{
    struct message *message = taken->message;
    uint64_t left = queue_ready(queue);
    union method method = {
        .basic_get_ok = {.id = METHOD_BASIC_GET_OK,
                         .delivery_tag = tag,
                         .redelivered = is_redelivered(taken),
                         .exchange = message_exchange(message),
                         .routing_key = message_routing_key(message),
                         .message_count = left < UINT32_MAX ? (uint32_t)left : UINT32_MAX}};
    send_content(channel, &method, message, queue, taken->delivery_count);
}

void outgoing_return(struct channel *channel, struct message *message, uint16_t code,
                     const char *text)
{
    union method method = {.basic_return = {.id = METHOD_BASIC_RETURN,
                                            .reply_code = code,
                                            .reply_text = bytes_str(text),
                                            .exchange = message_exchange(message),
                                            .routing_key = message_routing_key(message)}};
    send_content(channel, &method, message, NULL, 0);
}
