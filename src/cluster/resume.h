/* The AMQP connection of a client whom another broker serves, as it is seen on the way between both: enough of it is
 * remembered that another server, which knows nothing of it, can go on where the first one has ended. It is what a
 * client's library does when it recovers, done for the client, which sees a pause and nothing else:
 *
 *   - it stays open, with its channels, their modes and limits, and its exclusive queues, which are declared again and
 *     empty;
 *   - its consumers go on. What they hold is claimed for them, so that nobody else is given it, and what they have
 *     answered, if that may have been lost, is answered again. What is not granted, as it is somebody else's by then,
 *     comes again, marked as redelivered; what a client says of it any more is swallowed. A consumer whose queue is gone
 *     is cancelled;
 *   - what was published with confirms and not confirmed is published again, marked as redelivered;
 *   - what was asked and not answered is asked again.
 *
 * Numbers of deliveries and confirms go on for the client, and are translated on the way. What cannot be gone on with is
 * said by resume_lost: a transaction that is under way, and what is told at the bounds below.
 *
 * Bytes that are no AMQP, or nothing that is understood here, are passed as they are. Messages are passed when all of
 * one is there, so that no client waits for the second half of what a server did not live to say. */
#ifndef LEVERET_CLUSTER_RESUME_H
#define LEVERET_CLUSTER_RESUME_H

#include "base/bytes.h"

enum {
    RESUME_MESSAGE_BYTES = 1 << 20, /* larger ones are passed as they come, and are not kept to be published again */
    RESUME_KEPT_BYTES = 8 << 20,    /* of a connection's unconfirmed messages; those beyond are not kept */
    RESUME_ALL_BYTES = 128 << 20,   /* of all connections: of these, and of what is known of deliveries */
    RESUME_FRAME_BYTES = 1 << 20,   /* a connection with larger frames is passed as it is */
    RESUME_ASKED_BYTES = 256 << 10, /* of a channel's requests that are not answered; the oldest ones are forgotten */
    RESUME_PUBLISHES = 65536,       /* unconfirmed ones of a channel */
    RESUME_HELD = 65536,            /* deliveries of a channel that are not settled; what is beyond comes again */
};

struct resume_ops {
    void (*to_client)(void *context, struct bytes bytes);
    void (*to_server)(void *context, struct bytes bytes);
};

struct resume;

/* `all_bytes` is what all that share it keep; it outlives them. */
struct resume *resume_new(const struct resume_ops *ops, void *context, size_t *all_bytes);
/* NULL is allowed. */
void resume_free(struct resume *resume);

/* What has come from either side. The client is not to be heard between resume_lost and the time when resume_is_telling
 * ends. */
void resume_client_input(struct resume *resume, struct bytes bytes);
void resume_server_input(struct resume *resume, struct bytes bytes);

/* The server is gone. NULL: another one can go on. Else why not, in words for the log; the connection ends then. */
const char *resume_lost(struct resume *resume);
/* One side has said that the connection ends: that it has ended then is nothing to tell anybody. */
bool resume_is_ending(const struct resume *resume);
/* Another server is there: it is told. */
void resume_begin(struct resume *resume);
/* No server is there, or it has not been told all yet. */
bool resume_is_telling(const struct resume *resume);

#endif
