/* A fanout exchange sends everything everywhere; the list of its bindings is all it needs. */
#include "broker/route.h"

static void route(struct exchange *exchange, const struct route *route, struct queue_set *set)
{
    (void)route;
    queue_set_add_destinations(set, exchange);
}

const struct exchange_kind exchange_fanout = {
    .name = "fanout",
    .route = route,
};
