/* Listening sockets: from bind to a stream of new peers. */
#ifndef LEVERET_NET_LISTENER_H
#define LEVERET_NET_LISTENER_H

#include "net/loop.h"

struct listener {
    struct list link; /* on loop->listeners */
    struct loop *loop;
    int fd;
    struct address address;
    struct tls_context *tls; /* NULL: plain */
    struct service *const *service;
    ev_io readable;
};

/* Binds, without listening; see loop_bind. 0 or an errno value. */
int listener_new(struct loop *loop, const struct address *address, struct tls_context *tls,
                 struct service *const *service);
void listener_free(struct listener *listener);
/* Listens and accepts from now on, and logs the address. 0 or an errno value. */
int listener_start(struct listener *listener);
/* All listeners stop accepting for a moment, as descriptors are short: the kernel keeps who comes. */
void listeners_rest(struct loop *loop, const char *why);
/* Ends the rest when it is time. */
void listeners_resume(struct loop *loop);

#endif
