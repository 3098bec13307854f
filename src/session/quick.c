/* Most messages come as three frames that follow each other in one piece of input. Here they are
 * read with one walk, without going through the states of content.c; and if a consumer is waiting
 * for just this, they go to its output from where they lie. Whatever is unusual, and whatever is
 * wrong, is left to the way that all other frames take: this file never refuses. */
#include "session/quick.h"

#include "amqp/properties.h"
#include "session/alarm.h"
#include "session/channel.h"
#include "session/dispatch.h"
#include "session/publishing.h"
#include "session/quota.h"

enum {
    BODY_MAX = 65536,
    FIXED_METHOD = 4 + 2 + 1 + 1 + 1, /* ids, ticket, sizes of two names, bits */
    FIXED_HEADER = 12,                /* class, weight, body size */
    TTL_DIGITS_MAX = 11,              /* no such number is above QUEUE_TIME_MAX_MS */
};

/* A basic.publish with its content: three frames, which are borrowed. */
struct request {
    uint16_t channel;
    bool mandatory;
    uint8_t flags, priority; /* the message's */
    uint64_t ttl_ms;
    struct parcel parcel;
};

/* Two bytes that are only compared. */
static inline uint16_t as_it_stands(const uint8_t *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

static inline uint32_t get_u32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof(value));
    return be32toh(value);
}

/* The payload of a frame of this type on this channel at the beginning of `in`, whole and no larger
 * than `max`; moves on. The channel is as it stands in a frame. */
static inline bool take_frame(struct bytes *in, uint8_t type, const uint8_t *channel, uint32_t max,
                              struct bytes *payload)
{
    const uint8_t *at = in->data;
    if (in->size < FRAME_OVERHEAD || at[0] != type || as_it_stands(at + 1) != as_it_stands(channel))
        return false;
    uint32_t size = get_u32(at + 3);
    if (size > max || in->size - FRAME_OVERHEAD < size || at[FRAME_HEADER_SIZE + size] != FRAME_END)
        return false;
    *payload = bytes_of(at + FRAME_HEADER_SIZE, size);
    *in = bytes_of(at + FRAME_OVERHEAD + size, in->size - FRAME_OVERHEAD - size);
    return true;
}

static inline bool read_method(struct bytes payload, struct request *request)
{
    const uint8_t *at = payload.data + 6;
    if (payload.size < FIXED_METHOD || get_u32(payload.data) != METHOD_BASIC_PUBLISH)
        return false;
    size_t rest = payload.size - FIXED_METHOD;
    request->parcel.exchange = bytes_of(at + 1, at[0]);
    if (request->parcel.exchange.size > rest)
        return false;
    at += 1 + request->parcel.exchange.size;
    rest -= request->parcel.exchange.size;
    request->parcel.routing_key = bytes_of(at + 1, at[0]);
    if (request->parcel.routing_key.size != rest)
        return false;
    at += 1 + rest;
    request->mandatory = *at & 1;
    return !(*at & 2);
}

static inline bool read_header(struct bytes payload, uint32_t max, uint32_t *body_size,
                               struct request *request)
{
    if (payload.size < FIXED_HEADER + 2 ||
        get_u32(payload.data) != (uint32_t)CONTENT_CLASS_BASIC << 16 || get_u32(payload.data + 4))
        return false;
    *body_size = get_u32(payload.data + 8);
    request->parcel.properties = bytes_of(payload.data + FIXED_HEADER, payload.size - FIXED_HEADER);
    return *body_size <= BODY_MAX && *body_size <= max;
}

/* Reads all of it; returns its size, 0 when it is not all there. */
static inline size_t read_request(struct bytes in, uint32_t max, struct request *request)
{
    const uint8_t *begin = in.data;
    struct bytes payload;
    uint32_t body_size;
    if (!take_frame(&in, FRAME_METHOD, begin + 1, max, &payload) ||
        !read_method(payload, request) ||
        !take_frame(&in, FRAME_HEADER, begin + 1, max, &payload) ||
        !read_header(payload, max, &body_size, request))
        return 0;
    if (!body_size)
        request->parcel.body = bytes_of(NULL, 0);
    else if (!take_frame(&in, FRAME_BODY, begin + 1, max, &request->parcel.body) ||
             request->parcel.body.size != body_size)
        return 0;
    request->channel = frame_channel(begin);
    return (size_t)(in.data - begin);
}

/* An expiration of some digits; whatever else it may be is left to the other way. */
static inline bool read_ttl(struct bytes text, uint64_t *ttl_ms)
{
    *ttl_ms = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        *ttl_ms = *ttl_ms * 10 + (uint64_t)(text.data[i] - '0');
    }
    return text.size && text.size <= TTL_DIGITS_MAX;
}

/* What a message's properties say, which need no more than to be carried; false: they need more, as headers
 * do. */
static inline bool read_properties(struct request *request)
{
    struct bytes properties = request->parcel.properties;
    struct properties_brief brief;
    request->flags = request->priority = 0;
    request->ttl_ms = MESSAGE_NO_TTL;
    if (properties.size == 2 && as_it_stands(properties.data) == 0)
        return true;
    if (properties.size == 3 && properties.data[0] == PROPERTY_DELIVERY_MODE >> 8 &&
        properties.data[1] == 0) { /* that alone */
        request->flags = properties.data[2] == 2 ? MESSAGE_PERSISTENT : 0;
        return true;
    }
    if (properties_scan(properties, &brief) != PROPERTIES_OK ||
        brief.flags & PUBLISHING_LOOKS_AT & ~PROPERTY_EXPIRATION ||
        (brief.flags & PROPERTY_EXPIRATION && !read_ttl(brief.expiration, &request->ttl_ms)))
        return false;
    request->flags = brief.delivery_mode == 2 ? MESSAGE_PERSISTENT : 0;
    request->priority = brief.priority;
    return true;
}

static struct message *message_of(struct message_pool *pool, const struct parcel *parcel)
{
    struct message *message = message_new(pool, parcel->exchange, parcel->routing_key,
                                          parcel->properties, (uint32_t)parcel->body.size);
    message_fill(message, parcel->body);
    return message;
}

static inline void note(struct server *server, struct channel *channel, struct exchange *exchange,
                        const struct parcel *parcel)
{
    channel->tally[TALLY_PUBLISHED]++;
    publishing_note(server, exchange, parcel->body.size);
}

/* Brings a message on its way; false: the store has no room for it now. */
static inline bool route(struct server *server, struct channel *channel, struct exchange *exchange,
                         const struct request *request)
{
    const struct parcel *parcel = &request->parcel;
    struct queue *queue = publish_known_plain(exchange, parcel->routing_key, &server->queue_set);
    if (queue && dispatch_directly(queue, parcel)) {
        note(server, channel, exchange, parcel);
        publishing_count(channel, (struct published){.queues = 1});
        return true;
    }
    const struct broker *broker = server->broker;
    if ((request->flags || broker->options.queue_group) &&
        store_room(broker->store, STORE_MESSAGE_OVERHEAD + parcel->properties.size +
                                      parcel->body.size) != STORE_ROOM_NOW)
        return false;
    struct message_pool *pool = broker->pool;
    struct message *message = message_of(pool, parcel);
    message->flags = request->flags;
    message->priority = request->priority;
    message->ttl_ms = request->ttl_ms;
    if (queue) {
        note(server, channel, exchange, parcel);
        publishing_count(channel, publish_to(queue, message));
    } else {
        publishing_route(channel, exchange, message, request->mandatory);
    }
    message_unref(pool, message);
    return true;
}

size_t quick_publish(struct connection *connection, struct bytes in)
{
    struct request request;
    uint32_t max = connection->frame_max - FRAME_OVERHEAD;
    if (in.data[0] != FRAME_METHOD)
        return 0;
    size_t size = read_request(in, max, &request);
    struct server *server = connection->server;
    const struct server_options *options = &server->options;
    if (!size || request.parcel.body.size > options->message_bytes_max || options->trace_frames)
        return 0;
    if (__builtin_expect(connection->is_watched, 0) && (connection->is_saying_again || quota_stops(connection)))
        return 0;
    struct channel *channel = connection_channel(connection, request.channel);
    if (!channel || channel->state != CHANNEL_OPEN || channel->content.state != CONTENT_NONE ||
        channel->transaction)
        return 0;
    struct exchange *exchange = publishing_exchange(channel, request.parcel.exchange);
    if (!exchange || exchange->internal || !read_properties(&request))
        return 0;
    if (!route(server, channel, exchange, &request))
        return 0;
    alarm_published(connection, request.parcel.body.size);
    return size;
}
