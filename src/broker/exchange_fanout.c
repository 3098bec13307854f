/* A fanout exchange sends everything everywhere; the list of its bindings is all it needs. */
#include "broker/route.h"

static void route(struct exchange *exchange, const struct route *route, struct queue_set *set)
{
    (void)route;
    list_for_each(link, &exchange->sources)
        queue_set_add_destination(set, list_entry(link, struct binding, source_link));
}

const struct exchange_kind exchange_fanout = {
    .name = "fanout",
    .route = route,
};
