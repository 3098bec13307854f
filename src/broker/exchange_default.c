/* The default exchange is a direct one where every queue is bound by its name: it looks into the
 * table of queues, and has no bindings. */
#include "broker/route.h"

static void route_name(struct exchange *exchange, const struct route *route, struct queue_set *set)
{
    struct queue *queue = vhost_queue(exchange->vhost, route->routing_key);
    if (queue)
        queue_set_add_queue(set, queue);
}

const struct exchange_kind exchange_default = {
    .name = "direct",
    .uses_key = true,
    .route = route_name,
};
