/* A wish to be connected to somebody. A protocol hands it to its service (service_call), and who
 * has the sockets takes it from there, connects, and says once what came of it. Until then it must
 * stay. */
#ifndef LEVERET_PEER_OUTCALL_H
#define LEVERET_PEER_OUTCALL_H

#include <stdint.h>

#include "peer/conversation.h"

enum { OUTCALL_HOST_BYTES = 256, OUTCALL_NAME_BYTES = 256, OUTCALL_UNANSWERED_MS = 10000 };

struct outcall;

struct outcall_ops {
    /* They are connected, and this is the conversation; never NULL. With TLS its handshake is still
     * to come. `peer` stays the caller's. */
    struct conversation *(*connected)(struct outcall *call, const struct peer *peer);
    /* They are not, and why. is_refused: whoever has that address has said that nobody listens
     * there. */
    void (*failed)(struct outcall *call, bool is_refused, const char *reason);
};

struct outcall {
    const struct outcall_ops *ops;
    struct list link;              /* in its service's `calls` */
    char host[OUTCALL_HOST_BYTES]; /* an address, or a name that is looked up */
    uint16_t port;
    char name[OUTCALL_NAME_BYTES]; /* that a certificate must have; empty: any */
    uint32_t patience_ms;          /* for all of it */
    uint32_t unanswered_ms; /* what was sent and not taken for so long ends the connection; 0: nothing does */
};

static inline void outcall_init(struct outcall *call, const struct outcall_ops *ops)
{
    call->ops = ops;
    call->unanswered_ms = OUTCALL_UNANSWERED_MS;
    list_init(&call->link);
}

#endif
