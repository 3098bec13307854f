/* Entries of groups that are on their way to one peer: so many, and so many bytes, at a time for
 * each group; one that is larger goes alone. Raft itself counts neither. */
#ifndef LEVERET_CLUSTER_LINK_FLIGHT_H
#define LEVERET_CLUSTER_LINK_FLIGHT_H

#include "base/map.h"
#include "cluster/engine.h"

enum { LINK_FLIGHT_BYTES = 4 << 20, LINK_FLIGHT_ENTRIES = ENGINE_UNCOMMITTED_MAX };

struct link_flights {
    struct idmap groups;
};

void link_flights_init(struct link_flights *flights);
/* Nothing is on its way any more: the link is new, or gone. It can be used again. */
void link_flights_clear(struct link_flights *flights);
/* May `count` entries of `bytes` in all leave now? If not, they wait for link_flights_answered. */
bool link_flights_have_room(const struct link_flights *flights, uint64_t group, uint32_t count,
                            size_t bytes);
/* They have left; the first has this index. What was sent from there on before does not count any
 * more, as it is sent again. */
void link_flights_sent(struct link_flights *flights, uint64_t group, uint64_t first, uint32_t count,
                       size_t bytes);
/* The peer has them up to `last`. */
void link_flights_answered(struct link_flights *flights, uint64_t group, uint64_t last);
/* The peer has rejected something, or who leads is another: all is sent anew. */
void link_flights_reset(struct link_flights *flights, uint64_t group);

#endif
