/* A deduplication exchange sends everything everywhere, as a fanout exchange does, but no message
 * twice: seen.c, which any other exchange has by the argument `x-message-deduplication`. */
#include "broker/route.h"

static void route(struct exchange *exchange, const struct route *route, struct queue_set *set)
{
    (void)route;
    queue_set_add_destinations(set, exchange);
}

const struct exchange_kind exchange_deduplication = {
    .name = "x-message-deduplication",
    .route = route,
};
