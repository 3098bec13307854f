/* What a server has, for who looks at it from above: the API. Nothing in here is kept by the caller
 * beyond a turn. */
#ifndef LEVERET_SESSION_LOOK_H
#define LEVERET_SESSION_LOOK_H

#include "base/buffer.h"
#include "broker/login.h"
#include "broker/user.h"
#include "peer/conversation.h"
#include "queue/queue_consumer.h"
#include "queue/queue_tally.h"
#include "session/server.h"
#include "session/wait.h"

/* The monotonic clock of this turn. */
uint64_t server_now_ms(const struct server *server);
/* Something was changed after this server had its part of the turn: the next one follows at once. */
void server_go_on(struct server *server);
/* All that was decided so far, which is to be kept as soon as it can be; and how far that is. */
struct promise server_promise(struct server *server);
enum ticket_state server_promise_state(const struct server *server, const struct promise *promise);
/* For how long a refused login is not answered. */
uint32_t server_auth_delay_ms(const struct server *server);
/* The user of that name, if the password is his and he may come from there; else NULL, and `reason`
 * says why, for the log. It counts as a login by HTTP. False: the password is being checked, and the
 * same is to be asked in a later turn; `*check`, which is NULL at first, is then to be freed by the
 * caller (broker/login.h) if it is not asked again. */
bool server_log_in(struct server *server, struct bytes name, struct bytes password,
                   const struct peer *peer, struct login **check, struct user **user, char *reason,
                   size_t reason_size);

/* ---- numbers ---- */

enum login_way { LOGIN_AMQP, LOGIN_HTTP, LOGIN_WAYS };
struct login_counts {
    uint64_t accepted, refused; /* since the start, or since they were last reset */
};

static inline void login_count(struct login_counts *counts, bool is_accepted)
{
    if (is_accepted)
        counts->accepted++;
    else
        counts->refused++;
}

struct login_counts server_logins(const struct server *server, enum login_way way);
void server_reset_logins(struct server *server);

/* Messages that were published and that no queue has got, since the start. */
struct unroutable_counts {
    uint64_t returned, dropped; /* mandatory ones, and others */
};
struct unroutable_counts server_unroutable(const struct server *server);

/* Sizes of bodies of messages: of at most 100 bytes, 1,000, 10,000, 100,000, 1, 10, 50 and 100 MB, and
 * of more. */
enum { PUBLISHED_SIZES = 9 };

/* What was published, since the start, by AMQP and HTTP. */
struct published_counts {
    uint64_t sizes[PUBLISHED_SIZES]; /* messages of each size, which are all */
    uint64_t bytes;                  /* their bodies */
    uint64_t to_confirm;             /* on channels with confirms */
    uint64_t confirmed;
    int64_t routed_more; /* copies in queues above one for each message; less than 0: fewer */
};

static inline uint64_t published_messages(const struct published_counts *counts)
{
    uint64_t sum = 0;
    for (int i = 0; i < PUBLISHED_SIZES; i++)
        sum += counts->sizes[i];
    return sum;
}

const struct published_counts *server_published(const struct server *server);
/* May a user of that name come from other machines? */
bool server_lets_in_from_afar(const struct server *server, struct bytes name);

/* How many there are, and how many were opened since the start. */
struct server_counts {
    size_t connections, channels, consumers;
    uint64_t connections_opened, channels_opened;
};
struct server_counts server_counts(const struct server *server);

/* Of all connections that there have been, but those that are open now. */
struct traffic {
    uint64_t received_bytes, received_pieces, sent_bytes, sent_pieces;
};
const struct traffic *server_ended_traffic(const struct server *server);

/* Of bytes, where they are. */
struct server_memory {
    uint64_t messages;     /* in queues, and on their way */
    uint64_t outputs;      /* not read by clients yet */
    uint64_t inputs;       /* not acted on yet */
    uint64_t held;         /* answers that wait, and what is kept for commits */
    uint64_t unacked;      /* what is known of deliveries */
    uint64_t limit;        /* above which publishers wait; 0: none */
    bool is_above, is_disk_short; /* the alarms */
};
struct server_memory server_memory(const struct server *server);
/* How many connections may be open; 0: any number. */
uint32_t server_connections_max(const struct server *server);

/* ---- clients ---- */

/* A connection, or one of its channels. */
struct client_id {
    uint64_t connection;
    uint16_t channel;
};

/* An open connection; everything is borrowed. */
struct connection_view {
    uint64_t id;
    const struct peer *peer;
    const char *state; /* "running" ... */
    const char *mechanism;
    struct vhost *vhost;
    struct user *user;
    struct bytes client_properties; /* contents of a field table */
    uint64_t opened_clock_ms;
    size_t channels;
    uint32_t frame_max;
    uint16_t channel_max, heartbeat_s;
    uint64_t received_bytes, received_pieces, sent_bytes, sent_pieces;
    uint64_t unsent_bytes;
    bool is_blocked; /* a publisher that waits for the end of an alarm */
    const struct conversation *conversation; /* to be asked what its TLS is: conversation_peer_tls */
};

enum { CLIENT_NAME_SIZE = 2 * sizeof(((struct peer *)NULL)->name) + 16 };
/* "127.0.0.1:40112 -> 127.0.0.1:5672", and for a channel (not 0) " (1)" behind it. Returns its
 * size. */
size_t client_name(const struct peer *peer, uint16_t channel, char name[CLIENT_NAME_SIZE]);
/* "127.0.0.1" and 40112 of "127.0.0.1:40112". */
struct bytes client_host(const char *address);
uint16_t client_port(const char *address);

/* False: it is gone. */
bool server_connection(const struct server *server, uint64_t id, struct connection_view *view);
bool server_connection_named(const struct server *server, struct bytes name,
                             struct connection_view *view);

struct channel_view {
    uint16_t number;
    const char *state;
    bool confirms, is_transactional;
    uint16_t prefetch, prefetch_global; /* 0: no limit */
    size_t consumers;
    uint64_t unacked, unconfirmed, uncommitted, acks_uncommitted;
    uint64_t tally[TALLIES]; /* since it was opened */
};

bool server_channel(const struct server *server, struct client_id id, struct channel_view *view);

/* Why a consumer is not given a message, if there is one. */
enum consumer_obstacle {
    CONSUMER_CAN_TAKE,
    CONSUMER_PREFETCH,         /* as many as it may are unacknowledged */
    CONSUMER_CHANNEL_PREFETCH, /* the same of all on its channel together */
    CONSUMER_IS_SECOND,        /* of a queue with a single active consumer: it is another one */
    CONSUMER_HELD,             /* its channel owes answers that wait for the disk */
    CONSUMER_UNREAD,           /* its client does not read what it was sent */
};

struct consumer_view {
    struct client_id id;
    struct bytes tag, arguments; /* the second: contents of a field table */
    const struct queue *queue;
    uint16_t prefetch;
    uint32_t unacked;
    int64_t priority;
    uint64_t timeout_ms; /* for an acknowledgement; 0: none */
    bool no_ack, is_exclusive;
    bool is_active; /* else another one is the single active consumer */
    bool is_single; /* it is that */
    enum consumer_obstacle obstacle;
};

/* False: it is gone, or has no queue. */
bool server_consumer(const struct server *server, struct client_id id, struct bytes tag,
                     struct consumer_view *view);
/* One that lies in an object of this server and consumes. */
struct consumer_view consumer_view(const struct queue_consumer *consumer);
struct bytes server_consumer_tag(const struct queue_consumer *consumer);

/* ---- all of them, some at a time ---- */

typedef void server_each(void *context, struct client_id id, struct bytes tag);

/* Goes through all connections, or their channels, or the consumers of these. What is there all the
 * time is found once. */
struct server_walk {
    enum walk_depth { WALK_CONNECTIONS, WALK_CHANNELS, WALK_CONSUMERS } depth;
    uint64_t connections_at, channels_at, consumers_at; /* where to go on: in all, and in the last */
    struct buffer connections, channels; /* struct client_id of those to look into; of these */
    bool is_over;                        /* all connections were found */
};

/* Tells of some; false: there are no more. */
bool server_walk(const struct server *server, struct server_walk *walk, server_each *each,
                 void *context);
/* Before the first: only what is in this connection, or in this channel. */
void server_walk_into(struct server_walk *walk, struct client_id id);
void server_walk_free(struct server_walk *walk);

/* ---- and what may be done to them ---- */

/* May a user (NULL: who may do everything) publish this whole message? False: the error says why
 * not. */
bool server_may_publish(const struct server *server, const struct user *user, struct vhost *vhost,
                        struct message *message, struct error *error);
/* What became of it: to how many queues it went, whether that is to be durable before it is
 * confirmed, and whether one of them was full and did not take it. */
struct publication {
    size_t queues;
    bool is_recorded, is_refused;
};
/* Who publishes, or gets: what the firehose tells of him. */
struct tapper {
    const struct peer *peer;
    const struct user *user; /* NULL: who may do everything */
};
/* Publishes it; the caller keeps its reference. */
struct publication server_publish(struct server *server, const struct tapper *tapper,
                                  struct vhost *vhost, struct message *message);
/* A message was taken from a queue, and goes to him. */
void server_got(const struct tapper *tapper, const struct queue *queue, const struct taken *taken);
/* connection.close 320 `CONNECTION_FORCED - ` and the reason; a string. */
void server_close_connection(struct server *server, uint64_t id, const char *reason);

#endif
