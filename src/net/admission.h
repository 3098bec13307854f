/* Who may connect: how many at a time from one address, and how many in a second from all together. */
#ifndef LEVERET_NET_ADMISSION_H
#define LEVERET_NET_ADMISSION_H

#include "base/map.h"
#include "net/address.h"

struct admission_options {
    uint32_t per_address; /* most connections that one address has; 0: there is no limit */
    uint32_t per_second;  /* new ones that are accepted; the others wait; 0: there is no limit */
};

struct admission {
    struct map visitors; /* by their addresses */
    uint64_t tokens;     /* thousandths of a connection that may come now */
    uint64_t told_ms;    /* when some were last given; 0: never */
};

/* An address that has connections. */
struct visitor;

/* `seed` is secret: addresses are what strangers choose. */
void admission_init(struct admission *admission, uint64_t seed);
/* Everybody has left. */
void admission_free(struct admission *admission);

/* May one more be accepted now? After a quiet second so many may come at once. */
bool admission_may_take(struct admission *admission, const struct admission_options *options,
                        uint64_t now_ms);
/* It was. */
void admission_took(struct admission *admission);
/* After it may not: when one may. */
uint64_t admission_next_ms(const struct admission *admission, const struct admission_options *options);

/* One more from this address, whatever its port; of Unix sockets, all are one. False: it has as many as it may
 * have. `*visitor` is for admission_leave; NULL: nobody counts. */
bool admission_enter(struct admission *admission, const struct admission_options *options,
                     const struct address *address, struct visitor **visitor);
/* It goes. NULL is allowed. */
void admission_leave(struct admission *admission, struct visitor *visitor);

#endif
