/* A channel: where methods are legal or not, where replies keep their order, and where errors are
 * sent. */
#ifndef LEVERET_SESSION_CHANNEL_H
#define LEVERET_SESSION_CHANNEL_H

#include "amqp/frame.h"
#include "amqp/reply.h"
#include "queue/queue_tally.h"
#include "session/connection.h"
#include "session/consumer.h"
#include "session/content.h"
#include "session/reply_to.h"
#include "session/unacked.h"
#include "session/wait.h"

struct transaction;

enum channel_state {
    CHANNEL_OPEN,
    CHANNEL_ENDING,  /* the client closed it; close-ok waits for replies that are held */
    CHANNEL_CLOSING, /* channel.close was sent, close-ok is awaited; all else is ignored */
};

struct channel {
    struct connection *connection;
    uint16_t number;
    enum channel_state state;
    bool confirms;            /* confirm.select */
    bool is_gone;             /* to be freed when it is empty */
    uint16_t prefetch;        /* for consumers to come; 0: no limit */
    uint16_t prefetch_global; /* for all of the channel together; 0: no limit */
    bool is_relayed;          /* another broker speaks for the client: relayed.h */
    bool has_priorities;      /* a consumer has asked for one */
    uint64_t consumer_unacked; /* deliveries to consumers that count for it */
    uint64_t delivery_tag;     /* the last one given */
    uint64_t all_until;        /* `all` is being dealt with, up to this tag; 0: it is not */
    uint64_t returned_until;   /* the last that was returned after a timeout; 0: none */
    uint64_t timeout_least_ms; /* of the queues that it had deliveries of; UINT64_MAX: none */
    struct timer unacked_timer; /* set while a delivery has a timeout: delivery_timeout.h */
    uint64_t publish_number;   /* the last one, since confirm.select */
    struct content content;
    struct unacked unacked;
    struct map tags;       /* active consumers by tag */
    struct list consumers; /* the same, by channel_link */
    struct list getters;   /* consumers for basic.get, the last used first */
    struct list parked;    /* consumers that wait for this channel, in the order of their turns */
    struct list turn_link; /* in server->turning */
    struct reply_to reply_to;
    struct transaction *transaction; /* NULL: not in tx mode */
    struct list waiting_replies;     /* struct wait: replies that wait, in order */
    struct list confirms_waiting;    /* struct wait: confirms, by publish number */
    struct list settles_waiting;     /* struct wait: what a relayed client has settled, by number of the method */
    uint64_t settles;                /* such methods */
    struct list confirming_link;     /* in waits->channels */
    struct list emptying_link;       /* in server->emptying: it has more than a turn can end */
    size_t held_bytes;
    char *last_queue; /* name of the queue declared last, terminated; NULL: none */
    struct exchange *exchange;  /* of the last publish */
    uint64_t exchange_topology; /* `exchange` is good while broker->topology is this */
    uint64_t tally[TALLIES];    /* but for TALLY_DELIVERED_NO_ACK: below */
};

/* What a handler answers. */
enum handled {
    HANDLED,
    HANDLED_FAILED, /* the error says why */
    HANDLED_WAIT,   /* not decidable yet: the same frame is to be handled again later */
};

/* Fills the error, and is HANDLED_FAILED: arguments as for error_set. */
#define handled_error(...) (error_set(__VA_ARGS__), HANDLED_FAILED)

struct channel *channel_new(struct connection *connection, uint16_t number);
/* Ends all that the channel has and frees it. Sends nothing. False: that takes more turns; then it is freed. */
bool channel_free(struct channel *channel);
/* Once a turn: channels that have more to end. */
void channels_empty(struct server *server);

/* A frame for a channel other than 0, on a running connection. */
enum handled channel_frame(struct connection *connection, const struct frame *frame);
/* Is content for this channel being received, so that a body frame of this size may be taken in
 * parts? */
bool channel_takes_body(struct connection *connection, uint16_t number, uint64_t payload_size);
/* A part of such a frame, and its end; false: the message has to wait, the end is to come again. */
void channel_body_part(struct connection *connection, uint16_t number, struct bytes part);
bool channel_body_end(struct connection *connection, uint16_t number);

/* Reads a method frame's payload, with what to answer when it cannot be read: the error, and in *id
 * the method to blame (0 before the call; left alone when none is). */
bool channel_read_method(struct bytes payload, union method *method, uint32_t *id,
                         struct error *error);
/* Answers an error that was raised by method `id` (0: by none) on channel `number`: the one place
 * that closes channels and connections for errors. */
void channel_error(struct connection *connection, uint16_t number, uint32_t id,
                   const struct error *error);
/* Sends a method on the channel, in order with what is held. */
void channel_send(struct channel *channel, const union method *method);
/* Sends a method that has no fields. */
void channel_send_id(struct channel *channel, uint32_t id);
/* All replies that were held are out: the channel may deliver again; one that is ending is freed. */
void channel_released(struct channel *channel);
/* Consumers may have become able to take messages: those that wait for the channel are asked, one
 * after the other where they share a limit (dispatch). */
void channel_unpark(struct channel *channel);
/* The client has closed it: ends all that the channel has, and answers. False: not yet. */
bool channel_end(struct channel *channel);
/* The client has closed the connection, whose channels are gone: connection.close-ok goes out as the
 * last reply of a channel 0, when what went with the others is on record. Then the connection ends. */
void channel_end_last(struct connection *connection);
/* A channel that is open; NULL: none of that number. */
static inline struct channel *connection_channel(struct connection *connection, uint16_t number)
{
    struct channel *channel = connection->last_channel;
    if (__builtin_expect(channel && channel->number == number, 1))
        return channel;
    return connection_find_channel(connection, number);
}

/* Does somebody wait for the limit that the channel's consumers share? Then they take turns. */
static inline bool channel_is_contended(const struct channel *channel)
{
    return channel->prefetch_global && !list_is_empty(&channel->parked);
}

/* Can a consumer of this channel be given a message, as far as the channel is concerned? */
static inline bool channel_can_deliver(const struct channel *channel)
{
    return list_is_empty(&channel->waiting_replies) &&
           (!channel->prefetch_global || channel->consumer_unacked < channel->prefetch_global);
}

static inline struct server *channel_server(const struct channel *channel)
{
    return channel->connection->server;
}

static inline struct broker *channel_broker(const struct channel *channel)
{
    return channel->connection->server->broker;
}

/* Deliveries that nobody acknowledges are not counted: they are what is left of all tags. */
static inline uint64_t channel_deliveries_no_ack(const struct channel *channel)
{
    const uint64_t *tally = channel->tally;
    return channel->delivery_tag - tally[TALLY_DELIVERED] - tally[TALLY_GOT] -
           tally[TALLY_GOT_NO_ACK];
}

/* Room for `size` bytes of frames of this channel, in one piece; they count after channel_added.
 * Nothing else may be written in between. */
static inline uint8_t *channel_room(struct channel *channel, size_t size)
{
    struct connection *connection = channel->connection;
    if (__builtin_expect(list_is_empty(&channel->waiting_replies), 1))
        return output_room(&connection->server->outputs, &connection->output, size);
    return wait_room(channel, size);
}

static inline void channel_added(struct channel *channel, size_t size)
{
    if (__builtin_expect(list_is_empty(&channel->waiting_replies), 1)) {
        output_added(&channel->connection->output, size);
        connection_touch(channel->connection);
    } else {
        wait_added(channel, size);
    }
}

#endif
