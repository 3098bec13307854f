/* WebSockets without sockets, and what they carry: a service within that keeps all it hears, and says it again
 * ("$" ends it, "#" has it want no more for now). A client is two arrays. */
#ifndef LEVERET_TESTS_LIB_CARRIED_H
#define LEVERET_TESTS_LIB_CARRIED_H

#include "base/buffer.h"
#include "http/websocket.h"

struct carried {
    struct service inner, *clients; /* the one is where the other says */
    struct websockets *websockets;
    struct service *outer;
    struct conversation *conversation; /* of the client; NULL: it has been closed */
    struct buffer heard, got;          /* by the service within, and by the client */
    size_t inners, opened, lost;       /* there are, have been, and were told of their end */
    bool was_loopback;                 /* the last one that was opened */
    bool holds;                        /* no input is wanted within */
};

/* A client that has connected. */
void carried_new(struct carried *carried);
/* What it sends, as far as it is wanted; returns how much that is. */
size_t carried_send(struct carried *carried, struct bytes bytes);
/* It takes what there is for it, in so many bytes at once; it is closed when all is said. */
void carried_take(struct carried *carried, size_t piece);
/* The clock moves. */
void carried_tick(struct carried *carried, uint64_t now_ms);
void carried_free(struct carried *carried);

#endif
