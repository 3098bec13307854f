/* The loop: waits for sockets, signals, deadlines and the store's workers, and runs the turn.
 *
 * A turn is: act on what every readable socket has brought; then, once, tick every service; then
 * write to every socket that has output. One thread, the owner, does all of it, but that I/O
 * threads may be told to move bytes. Everything in here is the owner's, but for loop_wake. */
#ifndef LEVERET_NET_LOOP_H
#define LEVERET_NET_LOOP_H

#include <ev.h>

#include "net/dial.h"
#include "net/listener.h"
#include "net/report.h"
#include "net/socket.h"
#include "net/turns.h"
#include "peer/service.h"
#include "store/store.h"

enum loop_state {
    LOOP_RUNNING,
    LOOP_STOPPING, /* told to end: connections say goodbye */
    LOOP_FAILING,  /* the same, since a service cannot go on */
};

struct loop {
    struct ev_loop *ev;
    const struct log *log;
    struct list services; /* in the order of their ticks */
    struct store *store;  /* while loop_run runs */
    struct turns turns;
    enum loop_state state;
    uint64_t now_ms;    /* of this turn, or what of its input came last; */
    uint64_t clock_ms;  /* and the wall clock of its beginning */
    uint64_t ticked_ms; /* when the services had their last tick */
    uint64_t next_ms;   /* when one of them needs its next */
    uint64_t stop_ms;   /* when the patience of stopping ends */
    struct listeners listeners;
    struct sockets sockets;
    struct dials dials;
    struct report report;
    const char *stop_reason; /* somebody wants it to end; NULL: nobody does */
    ev_check woken;
    ev_timer deadline;
    ev_async wake;
    ev_signal terminate;
    ev_signal interrupt;
    ev_signal hangup;
    void (*on_hangup)(void *context); /* at SIGHUP; NULL: nothing */
    void *hangup_context;
};

/* NULL, and `errno`, when the system has no loop for us. `descriptors` is how many the process may
 * open in all; `io_threads` may be 0; turns that take `slow_turn_ms` or more are logged, 0: none. */
struct loop *loop_new(const struct log *log, size_t descriptors, size_t io_threads,
                      uint64_t slow_turn_ms);
/* For sockets: bytes have come from a peer. The services are told the time, so that what they decide of them is not
 * timed by the beginning of a long turn. */
void loop_received(struct loop *loop);
/* As SIGTERM does, from the next turn on: loop_run ends when all are told, or after a while. `reason` is for the log,
 * and stays. May be called at any time by whom the loop calls. */
void loop_stop(struct loop *loop, const char *reason);
/* loop_run ends after this turn, and nobody is told. */
void loop_end(struct loop *loop);
/* Closes what is still open. */
void loop_free(struct loop *loop);
/* Takes an address for loop_run to listen at; port 0 is replaced by a free one. Nobody can connect
 * yet. `tls`: one for all listeners that have it, and NULL for the others; it stays the caller's,
 * and must outlive loop_run. `service`: where the one that talks to its peers is found once
 * loop_run runs, as addresses are taken before there is anything to serve. 0 or an errno value. */
int loop_bind(struct loop *loop, const struct address *address, struct tls_context *tls,
              struct service *const *service);
/* The same for an address that may be left out, as another program may have it: who has bound it and does not
 * listen yet is only seen when loop_run begins to. That is logged then, and no error. */
int loop_bind_usual(struct loop *loop, const struct address *address, struct tls_context *tls,
                    struct service *const *service);
/* The same at a path, where it appears once loop_run listens, and is removed when that ends. Peers
 * are known by what the system says of them (struct peer). EADDRINUSE: somebody else answers there;
 * EEXIST: what is there is no socket; ENAMETOOLONG: it has more than PATH_BYTES_MAX bytes. */
int loop_bind_path(struct loop *loop, const struct path_place *place,
                   struct service *const *service);
/* Has the loop give the service its part of each turn; it must outlive loop_run. */
void loop_add(struct loop *loop, struct service *service);
/* Whom services call is connected to by TLS, with a context for brokers, which stays the caller's;
 * without this call they are plain. */
void loop_call_by(struct loop *loop, struct tls_context *tls);
/* What is done at SIGHUP, between two turns. */
void loop_at_hangup(struct loop *loop, void (*call)(void *context), void *context);
/* Makes the loop run a turn. From any thread, at any time between loop_new and loop_free; `loop` is
 * the struct loop (its type is that of the callbacks which it is handed to). */
void loop_wake(void *loop);
/* Listens and serves until a signal or a failed service ends it; SIGUSR1 logs the store's counters
 * and how long turns took, and SIGHUP calls what loop_at_hangup has said.
 * 0: stopped in good order; an errno value: it could not listen, or start its threads; -1: a
 * service failed. */
int loop_run(struct loop *loop, struct store *store);

#endif
