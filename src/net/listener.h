/* Listening sockets: from bind to a stream of new peers. */
#ifndef LEVERET_NET_LISTENER_H
#define LEVERET_NET_LISTENER_H

#include <ev.h>

#include "net/address.h"
#include "net/admission.h"
#include "net/inherited.h"
#include "net/path.h"
#include "net/proxy.h"
#include "net/tls.h"
#include "peer/service.h"

struct loop;

enum { LISTENER_TEXT_BYTES = 128 }; /* "unix:" and a path, or an address */

/* Of sockets of TCP: those that listen, and those that they accept. */
struct listener_options {
    uint32_t backlog; /* who may wait to be accepted; the system has a limit as well */
    bool nodelay, keepalive;
    bool lingers;      /* else linger_s does not count */
    uint32_t linger_s; /* for which who has heard the last may take to close; 0: as long as is usual */
    uint32_t sndbuf, recbuf; /* bytes that the system keeps for each; 0: as it likes */
    uint32_t handshake_ms;   /* in which who connects has to agree on TLS */
    const struct proxy_trust *proxy; /* who begins with a header of the PROXY protocol; NULL: nobody */
    const struct admission_options *limits; /* of who connects, for all that have the same; NULL: none */
};

/* Those of a loop. */
struct listeners {
    struct list all;
    struct inherited inherited;
    struct listener_options options; /* of those that are bound from now on */
    uint64_t accept_ms;              /* they rest until then; 0: they listen */
    struct admission admission;
    uint64_t limited_ms; /* those with limits rest until then; 0: they listen */
    uint64_t refused, refused_ms; /* connections of addresses with too many, since that was last logged, and when */
    uint64_t complained_ms;          /* when a lack of descriptors was last logged; 0: never */
    char where[LISTENER_TEXT_BYTES]; /* where listening failed, once listeners_start has said so */
};

struct listener {
    struct list link; /* among all of the loop */
    struct loop *loop;
    int fd; /* -1: suspended */
    struct address address;
    struct inherited_socket *inherited; /* of which `fd` is a copy; NULL: it is the broker's own */
    struct path path;        /* of a Unix socket, */
    struct path_place place; /* and what was asked for, with the path that follows */
    char place_path[PATH_BYTES_MAX + 1];
    struct tls_context *tls; /* NULL: plain */
    const struct proxy_trust *proxy; /* as in the options when it was bound, and so are: */
    const struct admission_options *limits;
    struct service *const *service;
    ev_io readable;
    bool may_be_missing; /* see loop_bind_usual */
};

struct listener_options listener_options_default(void);
void listeners_init(struct listeners *listeners);
/* Without any listener, and any socket that one has accepted. */
void listeners_free(struct listeners *listeners);
/* Binds, without listening, or takes the one of `inherited` at that address; see loop_bind. 0 or an errno value. */
int listener_new(struct loop *loop, const struct address *address, struct tls_context *tls,
                 struct service *const *service);
/* The same; see loop_bind_usual. */
int listener_new_usual(struct loop *loop, const struct address *address, struct tls_context *tls,
                       struct service *const *service);
/* The same at a path; see loop_bind_path. */
int listener_new_at_path(struct loop *loop, const struct path_place *place,
                         struct service *const *service);
/* All that were not suspended before listen and accept from now on, and log their addresses. 0 or an errno value, and `where`. */
int listeners_start(struct loop *loop);
/* When resting ends; UINT64_MAX: they do not rest. */
uint64_t listeners_next_ms(const struct listeners *listeners);
/* Once a turn: ends the rest when it is time. */
void listeners_resume(struct loop *loop);
/* Those of a service, or those that were bound for it, are closed, and who connects is refused, or waits
 * at an inherited socket with a path; who is connected stays. */
void listeners_suspend(struct loop *loop, struct service *const *service);
/* They listen again. 0, or an errno value and `where`: others have its address by now, and it is
 * tried again by the next call. */
int listeners_reopen(struct loop *loop, struct service *const *service);
/* Nobody is accepted any more; inherited sockets listen on, for who comes next. */
void listeners_close(struct loop *loop);

#endif
