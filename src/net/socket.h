/* One peer's socket: what comes is handed to its conversation, and what that has to say is sent. */
#ifndef LEVERET_NET_SOCKET_H
#define LEVERET_NET_SOCKET_H

#include <ev.h>

#include "net/address.h"
#include "net/proxy.h"
#include "net/tls.h"
#include "net/transfer.h"
#include "peer/service.h"

struct listener;
struct loop;

enum { SOCKET_INPUT_BYTES = 64 << 10 };

/* Those of a loop. */
struct sockets {
    struct list all;       /* with a conversation */
    struct list unread;    /* of these, with input that their TLS has decrypted already */
    struct list lingering; /* without: waiting for the peer's end, the oldest first */
    struct list greeting;  /* without, yet: the header of a proxy is awaited */
    struct list handshaking; /* whose TLS may not be agreed on yet, and those in `greeting`, the oldest first */
    size_t count;          /* on `all`, `greeting` and `lingering` */
    size_t max;            /* the rest of the descriptors is the store's */
    size_t handshakes;     /* of TLS, that were taken further in this turn */
    uint64_t look_ms;      /* when blocked sockets are next looked at; 0: there are none */
    uint8_t *input;        /* SOCKET_INPUT_BYTES, shared by all */
    size_t io_threads;
    struct transfers transfers; /* of as many threads, while loop_run runs */
};

/* A header of the PROXY protocol that comes, and what becomes of the socket then. */
struct greeting {
    struct proxy_header header;
    const struct listener *listener;
    bool may_be_local; /* the proxy can be believed that somebody is on its own machine, which is ours */
};

struct socket {
    struct list link; /* among `all`, `greeting` or `lingering` of the loop's */
    struct loop *loop;
    struct greeting *greeting;         /* NULL: nobody else is spoken for, or that is known */
    struct conversation *conversation; /* NULL: greeting, or lingering */
    struct tls *tls;                   /* NULL: plain, or lingering */
    struct list unread_link;           /* on `unread`: bytes wait in `tls` */
    struct list handshake_link;        /* on `handshaking` */
    int fd;
    struct address peer;
    struct visitor *visitor; /* as which it counts for its address; NULL: as none */
    struct worker *worker; /* moves what is much; NULL: nobody does */
    struct transfer *receiving, *sending; /* that is under way with it */
    struct transfer *arrived;             /* was received while the conversation wanted nothing */
    bool is_blocked;    /* no more can be sent at present */
    uint64_t linger_ms; /* when lingering ends */
    uint64_t begun_ms;  /* when it was accepted */
    ev_io readable;
    ev_io writable; /* watched only while there is no room in it for what must be sent */
};

/* `descriptors`: how many the process may open in all. */
void sockets_init(struct sockets *sockets, size_t descriptors, size_t io_threads);
void sockets_free(struct sockets *sockets);
/* Starts the I/O threads. False: one cannot be started. */
bool sockets_start(struct loop *loop);
/* Closes all at once, whatever is unsent, and ends the threads. */
void sockets_close(struct loop *loop);

/* A peer that this listener has accepted, and whose service talks to it; owns `fd` from now on. If the listener
 * has proxies and the peer is one, who it is comes first. */
void socket_new(struct loop *loop, int fd, const struct address *peer, const struct listener *listener);
/* The same of one that was connected to, for a call; `tls` is what it
 * shares with others, or NULL for a plain one. */
void socket_new_dialed(struct loop *loop, int fd, const struct address *peer,
                       struct tls_context *tls, struct outcall *call);
/* Sends what the conversation has, as far as the kernel takes it; then closes the socket if the
 * conversation is finished, or else reads on or pauses as the conversation wants. */
void socket_flush(struct socket *socket);

/* How many conversations there are. */
size_t sockets_conversations(const struct sockets *sockets);
/* When the next turn must be for their sake; UINT64_MAX: no need. */
uint64_t sockets_next_ms(const struct sockets *sockets);
/* Once a turn: reads what is left in TLS. */
void sockets_read_on(struct loop *loop);
/* Once a turn: acts on what I/O threads have done. */
void sockets_collect(struct loop *loop);
/* Once a turn: closes those whose peers have gone while an alarm kept them from being read. */
void sockets_drop_gone(struct loop *loop);
/* Closes those of whom nobody has said who they are. */
void sockets_drop_greetings(struct loop *loop);
/* Once a turn: drops those who have not agreed on TLS, or whose proxy has not said who they are, in
 * time. */
void sockets_drop_handshakes(struct loop *loop);
/* Once a turn: ends the patience with peers that do not close. */
void sockets_end_lingering(struct loop *loop);
/* Gives up the one that has had the longest patience, if any: its descriptor is needed. */
void sockets_end_oldest_lingering(struct loop *loop);

#endif
