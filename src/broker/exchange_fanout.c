/* A fanout exchange sends everything everywhere; the list of its bindings is all it needs. */
#include "broker/exchange.h"

static void nothing(struct exchange *exchange)
{
    (void)exchange;
}

static bool accept(const struct binding *binding, struct error *error)
{
    (void)binding;
    (void)error;
    return true;
}

static void nothing_bound(struct exchange *exchange, struct binding *binding)
{
    (void)exchange;
    (void)binding;
}

static void route(struct exchange *exchange, const struct route *route, struct queue_set *set)
{
    (void)route;
    list_for_each(link, &exchange->sources)
        queue_set_add_destination(set, list_entry(link, struct binding, source_link));
}

const struct exchange_kind exchange_fanout = {
    .name = "fanout",
    .init = nothing,
    .free = nothing,
    .check = accept,
    .bind = nothing_bound,
    .unbind = nothing_bound,
    .route = route,
};
