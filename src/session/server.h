/* AMQP 0-9-1 as a service: bytes in, bytes out. A test drives the whole broker through it with two byte
 * arrays and a clock of its own. */
#ifndef LEVERET_SESSION_SERVER_H
#define LEVERET_SESSION_SERVER_H

#include "base/steps.h"
#include "broker/broker.h"
#include "peer/service.h"

struct server_options {
    uint32_t frame_max;          /* 131072 */
    uint32_t frame_max_untuned;  /* before that is agreed on: 8192 */
    uint16_t channel_max;        /* 2047 */
    uint16_t heartbeat_s;        /* suggested: 60 */
    uint32_t handshake_ms;       /* 10000 */
    uint64_t message_bytes_max;  /* 128 MiB; at most 512 MiB */
    uint32_t output_bytes_max;   /* unsent output beyond which a connection gets no deliveries: 1 MiB */
    uint64_t memory_bytes_max;   /* high-water mark: publishers are blocked above; 0: none */
    uint64_t consumer_timeout_ms; /* for an acknowledgement: 1800000; 0: none */
    uint32_t auth_delay_ms;      /* for which the socket of a refused login is kept: 3000 */
    uint32_t failed_logins_max;  /* from an address in a second; 0: no limit */
    bool trace_frames;           /* log what is received and sent: trace.h */
    bool event_exchange;         /* tell of what happens: broker/events.h */
    bool allow_anonymous;
    bool no_plain, no_amqplain;  /* these mechanisms are not offered */
    bool allow_external;         /* by TLS: who has a certificate is whom it names: */
    enum peer_name external_name; /* by this one of its names; PEER_DISTINGUISHED_NAME */
    uint32_t external_index;     /* of several the first is 0 */
    bool guest_anywhere;         /* let guest in from other machines too */
    bool ignore_client_x_death;  /* the broker's own alone counts: broker.h */
    const char *loopback_users;  /* who may come from this machine alone, separated by commas: "guest" */
    uint32_t connections_max;    /* that are open, in all virtual hosts; 0: no limit */
    uint32_t channels_max;       /* of all connections; 0: no limit */
    uint32_t consumers_max;      /* of a channel; 0: CONSUMERS_MAX, which is the most in any case */
    const char *version;         /* of this program */
    const char *cluster_name;    /* what clients are told: "leveret" */
    const char *product;         /* what clients are told they speak to: "RabbitMQ" */
    const char *product_version; /* what version of it: "3.13.7" */
    struct steps *steps;         /* told what a turn is busy with; NULL: nobody asks */
};

void server_options_default(struct server_options *options);

struct server;

/* Everything passed stays the caller's and must outlive the server. */
struct server *server_new(const struct server_options *options, struct broker *broker,
                          uint64_t now_ms);
/* Every connection is dropped as if its socket had gone. */
void server_free(struct server *server);
/* Other options from now on. What is agreed on with who is connected stays, and so do event_exchange and
 * ignore_client_x_death. */
void server_set_options(struct server *server, const struct server_options *options);

struct wait_log;

/* Who moves on, beside the store, what replies wait for: agreed.h. */
struct server_groups {
    void *context;
    /* Between store_collect and store_write; true: another turn is worth while. */
    bool (*turn)(void *context, uint64_t now_ms, uint64_t clock_ms);
    uint64_t (*next_ms)(const void *context);
    /* False: another broker may lead by now, and give the same messages to others. */
    bool (*may_deliver)(const void *context, uint64_t now_ms);
    const char *(*failure)(const void *context); /* NULL: all is well */
};

void server_set_groups(struct server *server, const struct server_groups *groups);
/* See wait_add_log. */
void server_add_log(struct server *server, uint32_t number, const struct wait_log *log);

/* What it is for who has the bytes of its peers: peer/service.h says how a turn goes. A `shutdown` sends
 * connection.close 320 `CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'`
 * to all; each finishes on close-ok, and new ones at once. A `failure` is the store's. A conversation
 * that is freed gives back what it has: unacknowledged messages return to their queues, exclusive
 * queues go. */
struct service *server_service(struct server *server);
/* Number of connections there are. */
size_t server_connections(const struct server *server);

#endif
