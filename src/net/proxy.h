/* The header in front of a connection by which a proxy says for whom it has connected: the PROXY protocol,
 * versions 1 (a line) and 2 (binary). */
#ifndef LEVERET_NET_PROXY_H
#define LEVERET_NET_PROXY_H

#include "base/bytes.h"
#include "net/address.h"

enum {
    PROXY_TRUSTED_MAX = 64,
    PROXY_LINE_MAX = 107, /* of version 1, with its end */
};

/* Who may say so. */
struct proxy_trust {
    struct address_range at[PROXY_TRUSTED_MAX];
    size_t count; /* 0: whoever connects */
};

/* Has who connects from there to begin with a header? */
bool proxy_is_trusted(const struct proxy_trust *trust, const struct address *peer);

enum proxy_state {
    PROXY_READING, /* more bytes are needed */
    PROXY_DONE,
    PROXY_WRONG, /* see `fault` */
};

/* A zeroed one is new. */
struct proxy_header {
    bool names_peer; /* `source` and `destination` are those of the connection to the proxy; else it speaks
                      * for itself, or of what has no address */
    struct address source, destination;
    const char *fault;
    /* Of what has come: */
    uint8_t bytes[PROXY_LINE_MAX + 1];
    size_t used;
    size_t left; /* of version 2: bytes still to be passed over */
};

/* Takes what belongs to the header off the front of what follows; `taken` is how many bytes. All of them
 * while it is PROXY_READING. */
enum proxy_state proxy_take(struct proxy_header *header, struct bytes bytes, size_t *taken);

#endif
