/* What becomes of a message once its content is complete. */
#ifndef LEVERET_SESSION_PUBLISHING_H
#define LEVERET_SESSION_PUBLISHING_H

#include "amqp/properties.h"
#include "broker/exchange.h"
#include "broker/publish.h"
#include "session/channel.h"
#include "session/server_state.h"

/* Properties that have to be looked at before a message is routed. */
enum {
    PUBLISHING_LOOKS_AT =
        PROPERTY_HEADERS | PROPERTY_REPLY_TO | PROPERTY_EXPIRATION | PROPERTY_USER_ID
};

/* Looks the exchange up that publishing_exchange does not remember. That of a virtual host that is traced is
 * not, so that all its messages take the way on which they are told of. */
struct exchange *publishing_find(struct channel *channel, struct bytes name);

/* The exchange by name, if the channel's user may publish to it whatever the routing key is; else
 * NULL. The last one is remembered while nothing changes in the topology, which a change of permissions
 * is one of. */
static inline struct exchange *publishing_exchange(struct channel *channel, struct bytes name)
{
    struct exchange *exchange = channel->exchange;
    if (exchange && channel->exchange_topology == channel_broker(channel)->topology &&
        bytes_equal_names(exchange_name(exchange), name))
        return exchange;
    return publishing_find(channel, name);
}

/* The exchange of a message whose properties are well-formed, if it may be published by this user
 * (NULL: who may do everything), by whatever way it came; what the broker wants to know of its
 * properties is noted. NULL: the error says why not. */
struct exchange *publishing_check(const struct user *user, struct vhost *vhost,
                                  struct message *message, struct error *error);
/* Routes a message that has passed all checks: returns it when nobody takes it and it is mandatory,
 * and counts it for confirms. The caller keeps its reference. False: a full queue refused it. */
bool publishing_route(struct channel *channel, struct exchange *exchange, struct message *message,
                      bool mandatory);

/* May a message be accepted that goes to about so many queues that survive? NEVER: not as it is. */
static inline enum store_room publishing_room(const struct channel *channel,
                                              const struct message *message, size_t queues)
{
    if (!broker_records(channel_broker(channel), message))
        return STORE_ROOM_NOW;
    return store_room(channel_broker(channel)->store, store_message_bytes(message, queues));
}

/* The same for nobody: where the message goes, and no more. */
struct published publishing_deliver(struct server *server, struct exchange *exchange,
                                    struct message *message);
/* The same, whether it is remembered where it goes or not. */
struct published publishing_send(struct server *server, struct exchange *exchange,
                                 struct message *message);

/* Which of the sizes of look.h a body is of. Most are of the first three, which are told apart without a
 * walk. */
static inline unsigned publishing_size(uint64_t size)
{
    static const uint64_t limits[PUBLISHED_SIZES - 1] = {
        100, 1000, 10000, 100000, 1000000, 10000000, 50000000, 100000000};
    unsigned at = 2;
    if (size <= limits[1])
        return size > limits[0];
    while (at < PUBLISHED_SIZES - 1 && __builtin_expect(size > limits[at], 0))
        at++;
    return at;
}

/* A message was published: counted where it comes from, goes to, and by its size. It goes to one
 * queue, or the second says to how many. */
static inline void publishing_note(struct server *server, struct exchange *exchange, size_t size)
{
    struct published_counts *counts = &server->published;
    counts->sizes[publishing_size(size)]++;
    counts->bytes += size;
    exchange->published++;
}

static inline void publishing_note_queues(struct server *server, struct exchange *exchange,
                                          size_t queues)
{
    exchange->routed_more += (int64_t)queues - 1;
    server->published.routed_more += (int64_t)queues - 1;
}

/* The parts of publishing_count that are seldom. */
void publishing_confirm(struct channel *channel, struct published published);
void publishing_hold(struct channel *channel, uint32_t congested);

/* Counts a message that went to queues for the channel's confirms, and holds its publisher when there was
 * too much for a log. */
static inline void publishing_count(struct channel *channel, struct published published)
{
    if (channel->confirms)
        publishing_confirm(channel, published);
    if (published.logs) {
        uint32_t congested = wait_congested(&channel_server(channel)->waits, published.logs);
        if (__builtin_expect(congested != 0, 0))
            publishing_hold(channel, congested);
    }
}

#endif
