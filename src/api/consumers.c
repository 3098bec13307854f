/* Consumers, looked at. */
#include "api/clients.h"
#include "api/resources.h"

enum { CONSUMER_STEPS = 300 };

static bool write_listed(struct listing *listing, struct bytes bytes, struct fields *fields)
{
    struct bytes tag;
    struct client_id id = clients_id(bytes, &tag);
    struct consumer_view consumer;
    if (!server_consumer(listing->call->api->server, id, tag, &consumer))
        return false;
    clients_put_consumer(fields, listing->call, &consumer);
    return true;
}

static const struct listing_kind consumers_kind = {.collect = clients_collect,
                                                   .write = write_listed,
                                                   .name = clients_name,
                                                   .steps = CONSUMER_STEPS};

void consumers_list(struct call *call)
{
    struct vhost *only = call->segments[0].data ? call_vhost(call, true) : NULL;
    if (!call->status)
        clients_list(call, &consumers_kind, WALK_CONSUMERS, only);
}
