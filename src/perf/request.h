/* Requests and replies: a client publishes to the queue of a server and waits for what comes back
 * through direct reply-to. Both sides wait for the broker, one message at a time. */
#ifndef LEVERET_PERF_REQUEST_H
#define LEVERET_PERF_REQUEST_H

#include <pthread.h>
#include <stdatomic.h>

#include "perf/link.h"

/* The channel of both sides; it is open. */
enum { REQUEST_CHANNEL = 1 };

struct request_server {
    struct link link;
    _Atomic int stop;
    pthread_t thread;
    bool started;
};

/* Begins to consume from amq.rabbitmq.reply-to; waits. */
bool request_begin(struct link *link);
/* Publishes request `number` of so many bytes to a queue, and waits for its reply, which must be as
 * large. False when the link failed. */
bool request_round(struct link *link, const char *queue, uint64_t number, uint64_t size);

/* Connects, and consumes from the queue: a thread answers requests until it is stopped, or its link
 * fails. False with server->link.error. */
bool request_server_start(struct request_server *server, const struct link_target *target,
                          const char *queue);
/* Ends the thread, if there is one. The link is left open. */
void request_server_stop(struct request_server *server);

#endif
