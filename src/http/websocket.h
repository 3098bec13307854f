/* WebSocket (RFC 6455), the server's side, as a layer: a service whose conversations carry, in frames, those
 * of another service. Who has the bytes of a socket sees the outer conversation alone, and the protocol
 * within sees bytes as if they had come by the socket itself. */
#ifndef LEVERET_HTTP_WEBSOCKET_H
#define LEVERET_HTTP_WEBSOCKET_H

#include "base/log.h"
#include "peer/service.h"

struct websocket_options {
    const char *name;        /* what its listeners are for, in the log */
    const char *path;        /* where it is asked for: "/ws" */
    const char *subprotocol; /* what is carried: "amqp" */
    /* Pages of which sites count as being on the machine from which they come, with commas between: whoever
     * sends an Origin that is not listed is no peer of this machine, as any page that somebody looks at may
     * connect to it. */
    const char *origins;
    uint32_t handshake_ms; /* for the request to come */
};

struct websockets;

/* All that is passed stays the caller's. `inner` is where the service is found that talks to who comes; it is
 * ticked before it, or else a turn later. */
struct websockets *websockets_new(const struct websocket_options *options, struct service *const *inner,
                                  const struct log *log, uint64_t now_ms);
/* After all its conversations. NULL is allowed. */
void websockets_free(struct websockets *websockets);
struct service *websockets_service(struct websockets *websockets);

#endif
