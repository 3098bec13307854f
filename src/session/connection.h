/* A connection, as the files of this folder see it; for who has its bytes it is a conversation. */
#ifndef LEVERET_SESSION_CONNECTION_H
#define LEVERET_SESSION_CONNECTION_H

#include "amqp/method.h"
#include "broker/user.h"
#include "session/ending.h"
#include "session/server_state.h"

struct channel;

enum connection_state {
    CONNECTION_GREETING, /* the protocol header is awaited */
    CONNECTION_STARTING, /* start-ok is awaited */
    CONNECTION_REFUSING, /* the login was refused, and the client is not told */
    CONNECTION_TUNING,   /* tune-ok is awaited */
    CONNECTION_OPENING,  /* open is awaited */
    CONNECTION_RUNNING,
    CONNECTION_CLOSING, /* connection.close was sent, close-ok is awaited; all else is ignored.
                           Or the client sent it, and close-ok waits for the disk */
    CONNECTION_CLOSED,  /* nothing more is read; what is unsent still goes out */
};

/* Why input is not acted on: reasons to wait. */
enum hold {
    HOLD_RETRY = 1,     /* a frame waits to be tried again */
    HOLD_REPLIES = 2,   /* too much is held by a channel */
    HOLD_CONGESTED = 4, /* it has published into a log that is congested */
    HOLD_BLOCKED = 8,   /* a publisher, and there is an alarm */
    HOLD_UNREAD = 16,   /* the peer asks, and does not read the answers */
    HOLD_COMMIT = 32,   /* a transaction ends, and it takes more than a turn */
    HOLD_LOGIN = 64,    /* its password is being checked */
    HOLD_QUOTA = 128,   /* a publisher, and a quota of its virtual host or user is reached */
};

enum { FRAME_MIN = 4096 };

struct connection {
    struct conversation conversation;
    struct server *server;
    struct list link;           /* in server->connections */
    struct list resumable_link; /* in server->resumable */
    struct list publisher_link; /* in server->publishers */
    struct list quota_link;     /* HOLD_QUOTA: in the quota's `held` */
    struct list dropping_link;  /* in server->dropping */
    uint64_t drop_at;           /* channels: where to go on */
    size_t deliver_max;         /* unsent output with which it is given no more deliveries */
    uint64_t id;
    enum connection_state state;
    unsigned holds; /* set of enum hold */
    uint32_t congested; /* set of logs: HOLD_CONGESTED */
    uint32_t frame_max;
    uint16_t channel_max;
    uint16_t heartbeat_s;
    bool is_version_0_9;   /* greeted with the header of AMQP 0-9 */
    bool has_lost_framing; /* nobody knows where frames begin: all is thrown away but close-ok */
    bool can_cancel_notify, can_be_blocked, can_hear_refusal; /* the client's capabilities */
    bool is_retrying; /* its next frame had to wait, and is to be handled again */
    bool was_told_blocked;
    bool is_saying_again; /* what it publishes another server may have taken, and what it declares that one had */
    bool is_watched;    /* what it publishes is: it is not in server->publishers yet, or there is an alarm, or
                           a quota */
    bool only_waits;    /* is in server->publishers, but has not published: it was told all the same */
    bool asks_much;     /* used much of the last turn in which it acted */
    bool has_share;     /* a part of this turn's budget was set aside for it */
    bool is_gone;       /* its socket is; it is freed when all it had was dropped */
    bool is_closing;    /* close-ok is sent when all it had was dropped */
    bool is_lent;       /* the output is being sent */
    bool is_discarding; /* the output is dropped once it is not lent any more */
    bool has_heard;     /* bytes came since hear_timer was set */
    uint8_t silences;   /* times in a row that hear_timer found nothing */
    uint16_t due_turns; /* for how long its next frame has waited for deliveries: see dispatch_due */
    struct ticket looks_at; /* what its next frame has waited for to be agreed on; index 0: nothing */
    struct vhost *vhost;
    struct user *user;
    const char *mechanism;
    struct buffer client_properties; /* contents of the field table of its start-ok */
    uint64_t opened_clock_ms;        /* wall clock */
    struct login *login; /* HOLD_LOGIN; else NULL */
    struct idmap channels;
    struct channel *last_channel; /* looked up last; NULL: none */
    uint16_t ended_channel;       /* closed by the piece of input at hand; 0: none */
    struct channel *borrowing;    /* its content borrows from the input; see content_save */
    uint32_t bodies;              /* channels whose content has a header and lacks some of its body */
    struct list exclusive_queues; /* by owner_link */
    struct list parked;           /* consumers that wait for output to be sent */
    struct buffer input;          /* what could not be acted on yet */
    uint64_t body_left; /* payload still to come of a body frame taken in parts, plus its end */
    uint16_t body_channel;
    struct output output;
    uint64_t sent_ms; /* when bytes last went */
    struct timer deadline, send_timer, hear_timer;
    struct ending ending;
    struct peer peer;
};

static inline struct connection *connection_of(const struct conversation *conversation)
{
    return list_entry(conversation, struct connection, conversation);
}

/* Its output, its end, or what it wants is to be looked at when the turn is over. */
static inline void connection_touch(struct connection *connection)
{
    service_touch(&connection->server->service, &connection->conversation);
}

/* Can a consumer of this connection be given a message? */
static inline bool connection_can_deliver(const struct connection *connection)
{
    return connection->output.size < connection->deliver_max;
}

struct connection *connection_new(struct server *server, const struct peer *peer);
enum { CONNECTION_NAME_SIZE = 2 * sizeof(((struct peer *)NULL)->name) + 4 };
/* Writes what RabbitMQ calls it: `127.0.0.1:40112 -> 127.0.0.1:5672`. Returns `name`. */
const char *connection_name(const struct connection *connection, char name[CONNECTION_NAME_SIZE]);
/* It is open: those who look for open connections find it from now on, until it is freed. */
void connection_opened(struct connection *connection);
/* The open one of that name, or number; NULL: there is none. */
struct connection *connection_named(const struct server *server, struct bytes name);
struct connection *connection_numbered(const struct server *server, uint64_t id);
/* Sends a method on channel 0; or on one that need not be open. */
void connection_send(struct connection *connection, const union method *method);
void connection_send_on(struct connection *connection, uint16_t channel,
                        const union method *method);
/* Adds, or takes away, a reason to wait. Input goes on in the next turn. */
void connection_hold(struct connection *connection, enum hold reason);
void connection_release(struct connection *connection, enum hold reason);
/* Once a turn: connections that have ended, and have more than was dropped in one turn. */
void connections_drop(struct server *server);
/* Is this the id of one that has ended, and has not dropped everything yet? */
bool connection_has_gone(const struct server *server, uint64_t id);
/* The slow half of connection_channel (channel.h). */
struct channel *connection_find_channel(struct connection *connection, uint16_t number);
/* Sends connection.close and ends all channels. `method` is the offending one, 0 for none. */
void connection_fail(struct connection *connection, uint16_t code, uint32_t method,
                     const char *detail);
/* The client has closed it: all channels end, then close-ok is sent. */
void connection_close(struct connection *connection);
/* Nothing more is read; the connection ends when its output is sent. */
void connection_end(struct connection *connection);
/* See struct conversation_ops. */
bool connection_wants_input(const struct conversation *conversation);
/* What is unsent never will be. */
void connection_discard_output(struct connection *connection);

#endif
