/* One peer's socket: what comes is handed to its conversation, and what that has to say is sent. */
#ifndef LEVERET_NET_SOCKET_H
#define LEVERET_NET_SOCKET_H

#include "net/loop.h"

enum { SOCKET_INPUT_BYTES = 64 << 10 };

struct socket {
    struct list link; /* on loop->sockets, or loop->lingering */
    struct loop *loop;
    struct conversation *conversation; /* NULL: lingering */
    struct tls *tls;                   /* NULL: plain, or lingering */
    struct list unread_link;           /* on loop->unread: bytes wait in `tls` */
    int fd;
    struct address peer;
    struct worker *worker; /* moves what is much; NULL: nobody does */
    struct transfer *receiving, *sending; /* that is under way with it */
    struct transfer *arrived;             /* was received while the conversation wanted nothing */
    bool is_blocked;    /* no more can be sent at present */
    uint64_t linger_ms; /* when lingering ends */
    ev_io readable;
    ev_io writable; /* watched only while there is no room in it for what must be sent */
};

/* A peer that was accepted, and is `service`'s to talk to; owns `fd` from now on. `tls`: what it shares
 * with others, or NULL for a plain one. */
void socket_new(struct loop *loop, int fd, const struct address *peer, struct tls_context *tls,
                struct service *service);
/* Sends what the conversation has, as far as the kernel takes it; then closes the socket if the
 * conversation is finished, or else reads on or pauses as the conversation wants. */
void socket_flush(struct socket *socket);
/* Reads what waits in those on `unread`, a list of what loop->unread had. */
void sockets_read(struct list *unread);
/* Acts on what I/O threads have done. */
void sockets_collect(struct loop *loop);
/* Closes it at once, whatever is unsent. */
void socket_free(struct socket *socket);
/* Closes those whose peers have gone while an alarm kept them from being read. */
void sockets_drop_gone(struct loop *loop);
/* Ends the patience with peers that do not close. */
void socket_end_lingering(struct loop *loop);
/* Gives up the one that has had the longest patience, if any: its descriptor is needed. */
void socket_end_oldest_lingering(struct loop *loop);

#endif
