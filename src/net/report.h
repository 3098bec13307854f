/* The counters of the store, and how long turns took, for whoever measures or tests: two lines of
 * the log at SIGUSR1. */
#ifndef LEVERET_NET_REPORT_H
#define LEVERET_NET_REPORT_H

#include <ev.h>

#include "net/turns.h"
#include "store/store.h"

struct report {
    const struct log *log;
    struct store *store;
    struct turns *turns;
    ev_signal asked;
};

/* The log, the store and the turns stay the caller's, and must last until report_stop. */
void report_start(struct report *report, struct ev_loop *ev, const struct log *log,
                  struct store *store, struct turns *turns);
void report_stop(struct report *report, struct ev_loop *ev);

#endif
