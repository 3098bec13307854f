/* The conversation with all peers: bytes in, bytes out. This is all that the layer of sockets sees;
 * a test drives the whole broker through it with two byte arrays and a clock of its own.
 *
 * A turn is: connection_input for every peer that sent something, then server_tick once, then
 * connection_output / connection_sent for every connection that server_take_writable names. */
#ifndef LEVERET_SESSION_SERVER_H
#define LEVERET_SESSION_SERVER_H

#include <sys/uio.h>

#include "base/steps.h"
#include "broker/broker.h"

struct server_options {
    uint32_t frame_max;          /* 131072 */
    uint16_t channel_max;        /* 2047 */
    uint16_t heartbeat_s;        /* suggested: 60 */
    uint32_t handshake_ms;       /* 10000 */
    uint64_t message_bytes_max;  /* 128 MiB; at most 512 MiB */
    uint32_t output_bytes_max;   /* unsent output beyond which a connection gets no deliveries: 1 MiB */
    uint64_t memory_bytes_max;   /* high-water mark: publishers are blocked above; 0: none */
    uint32_t auth_delay_ms;      /* for which the socket of a refused login is kept: 3000 */
    bool allow_anonymous;
    bool guest_anywhere;         /* let guest in from other machines too */
    const char *version;         /* of this program */
    const char *product;         /* what clients are told they speak to: "RabbitMQ", */
    const char *product_version; /* and its version: "3.13.7" */
    struct steps *steps;         /* told what a turn is busy with; NULL: nobody asks */
};

void server_options_default(struct server_options *options);

struct server;
struct connection;

struct peer {
    char name[64]; /* "127.0.0.1:40112", for the log */
    bool is_loopback; /* by the peer's own address */
};

/* Everything passed stays the caller's and must outlive the server. */
struct server *server_new(const struct server_options *options, struct broker *broker,
                          uint64_t now_ms);
/* Every connection is dropped as if its socket had gone. */
void server_free(struct server *server);

/* What a turn decides once all input was read: deliveries, journal, confirms, heartbeats, alarms,
 * timeouts, input that had to wait. `now_ms` is monotonic, `clock_ms` the wall clock. Calls
 * store_tick. */
void server_tick(struct server *server, uint64_t now_ms, uint64_t clock_ms);
/* When server_tick must be called next even if nothing happens; UINT64_MAX: no need. 0: at once
 * (a budget ran out and there is work left). */
uint64_t server_next_ms(const struct server *server);
/* Sends connection.close 320 `CONNECTION_FORCED - broker forced connection closure with reason
 * 'shutdown'` to all; each closes on close-ok. New connections are closed at once. */
void server_shutdown(struct server *server);
/* Why the store failed: every connection is being closed, and the program must stop. NULL: it did
 * not. */
const char *server_failure(const struct server *server);
/* Number of connections there are. */
size_t server_connections(const struct server *server);
/* A connection that has output, or must be closed (connection_is_finished), or whose
 * connection_wants_input may have changed: one at a time, then NULL. */
struct connection *server_take_writable(struct server *server);

/* A new peer; `owner` is kept for the caller. */
struct connection *connection_new(struct server *server, const struct peer *peer, void *owner);
void *connection_owner(const struct connection *connection);
/* Bytes from the peer, at most 256 KiB a call: acts on all whole frames; keeps what cannot be acted
 * on yet. Must not be called while connection_wants_input is false. */
void connection_input(struct connection *connection, struct bytes bytes);
/* Should the socket be read? False while the connection is blocked or a decision is pending. */
bool connection_wants_input(const struct connection *connection);
/* The same, when there is something to read: what is left of this turn may be for others, and then it
 * waits for the next one. */
bool connection_has_turn(struct connection *connection);
/* Is it kept waiting by an alarm, which may last? Others that wait do so for a moment. */
bool connection_is_blocked(const struct connection *connection);
/* Borrows what is to be sent, at most `max` parts; returns how many. They stay as they are until
 * connection_sent, whatever happens meanwhile, unless the connection is freed: another thread may
 * read them. */
int connection_output(struct connection *connection, struct iovec *parts, int max);
/* Gives back what was borrowed: the first `size` bytes of the output have been sent. */
void connection_sent(struct connection *connection, size_t size);
/* Nothing is left to be said or sent: close the socket and call connection_free. */
bool connection_is_finished(const struct connection *connection);
/* Notes that the socket has ended, and why, before connection_free. The reason is not copied. */
void connection_lost(struct connection *connection, const char *reason);
/* The peer is gone, or finished: unacknowledged messages return to their queues, exclusive queues
 * go. The connection must not be used again. */
void connection_free(struct connection *connection);

#endif
