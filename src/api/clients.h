/* Connections, channels and consumers: what their lists and pages have in common. */
#ifndef LEVERET_API_CLIENTS_H
#define LEVERET_API_CLIENTS_H

#include "api/listing.h"

/* Lists what is in the open connections that the user may see, as deep as is said: the `collect`
 * and `name` of such a kind. An id is the number of the connection, of the channel, and the tag. */
bool clients_collect(struct listing *listing, struct budget *budget);
struct bytes clients_name(struct listing *listing, struct bytes id);
struct client_id clients_id(struct bytes id, struct bytes *tag);
/* Begins such a list; NULL: the call is answered. `only` as for call_list. */
struct listing *clients_list(struct call *call, const struct listing_kind *kind,
                             enum walk_depth depth, struct vhost *only);

/* May the user see what a connection of this user has? */
bool clients_may_see(const struct call *call, const struct user *owner);
/* The connection that the first segment names. False: there is none, or it is somebody else's, and
 * the call is answered. */
bool clients_connection(struct call *call, struct connection_view *view);

/* Calls `each` for the connections there are, a part of them in each turn, where a look at a part takes these
 * steps beside what `each` uses; then 204. */
void clients_change_all(struct call *call, server_each *each, uint64_t steps);

/* Fields "name", "peer_host" and "peer_port"; with a channel: "number", "connection_name" and more,
 * as `channel_details`. */
void clients_add_peer(struct fields *fields, const struct connection_view *view);
void clients_add_channel(struct fields *fields, const struct call *call,
                         const struct connection_view *view, uint16_t number);
void clients_add_name(struct fields *fields, const char *name, const struct peer *peer,
                      uint16_t channel);
/* In an array of what belongs to one thing there are no more than these, so that it is soon
 * written; lists have all. */
enum { CLIENTS_DETAILS_MAX = 500 };
/* A consumer, as an item of an array. */
void clients_put_consumer(struct fields *fields, const struct call *call,
                          const struct consumer_view *consumer);

#endif
