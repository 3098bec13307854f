/* A client whom another node has accepted, and speaks for: who it is, between what is known here (struct
 * peer, and a conversation that can be asked) and the fields of a RELAY frame.
 *
 * What TLS has told of it is a row of items, each of which is
 *
 *     0  1  what it is: a name (enum peer_name), or 0x40 and more (enum peer_tls)
 *     1  1  which of several names, from 0 on
 *     2  2  bytes that follow, of UTF-8
 *
 * One that another broker has served before is RESUMED: up to its first heartbeat, which whoever speaks for it sends when
 * all is said, it declares again what it had, and publishes again what may have been taken.
 *
 * As many names of a kind are told as have room; of a certificate with more of them the last are missing. */
#ifndef LEVERET_CLUSTER_LINK_CLIENT_H
#define LEVERET_CLUSTER_LINK_CLIENT_H

#include "cluster/link_frame.h"
#include "peer/conversation.h"

enum {
    LINK_CLIENT_KNOWN_BYTES = 3072, /* of such a row */
    LINK_CLIENT_NAMES = 8,          /* of one kind */
};

/* Fills in what is said of the client, but for who says it; the texts are borrowed from `peer`, which is made
 * fit for that, and the row from `known`, which is empty before. */
void link_client_write(struct link_relay *relay, struct peer *peer,
                       const struct conversation *conversation, struct buffer *known);
/* The row has whole items, of known kinds and as long as they say. */
bool link_client_is_known_well(struct bytes known);
/* Who it is, as it was said. */
void link_client_read(const struct link_relay *relay, struct peer *peer);
/* As conversation_peer_name and conversation_peer_tls, by a row that is well. `named`: as it was said. */
enum peer_named link_client_name(struct bytes known, enum peer_named named, enum peer_name which,
                                 size_t index, char *text, size_t size);
bool link_client_tls(struct bytes known, enum peer_tls which, char *text, size_t size);

#endif
