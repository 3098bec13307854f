/* Connecting to others, as services wish (peer/outcall.h): a name is looked up, by a thread; its
 * addresses are tried in order; and the socket that comes of it is one as any other. */
#ifndef LEVERET_NET_DIAL_H
#define LEVERET_NET_DIAL_H

#include "base/list.h"
#include "base/worker.h"
#include "net/tls.h"
#include "peer/outcall.h"

struct loop;

/* Those of a loop. */
struct dials {
    struct list all;
    struct tls_context *tls; /* for brokers; NULL: they are plain */
    struct worker *names;    /* looks them up; NULL: there was none yet */
};

void dials_init(struct dials *dials);
/* Connects, and tells the call what came of it; that it has failed, perhaps at once. */
void dial_new(struct loop *loop, struct outcall *call);
/* Once a turn: acts on what was looked up, and gives up what has taken too long. */
void dials_tick(struct loop *loop);
/* When that must be done next; UINT64_MAX: no need. */
uint64_t dials_next_ms(const struct dials *dials);
/* Ends all, without a word to those who wait. It may wait for a name that is being looked up. */
void dials_close(struct loop *loop);

#endif
