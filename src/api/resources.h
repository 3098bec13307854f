/* The functions of routes.def: what is asked for, by what it is about. */
#ifndef LEVERET_API_RESOURCES_H
#define LEVERET_API_RESOURCES_H

#include "api/listing.h"
#include "api/route.h"

/* bindings.c */
act bindings_list, queue_bindings_list, source_bindings_list, destination_bindings_list,
    between_bindings_list, binding_get, binding_post, binding_delete_it;
/* exchanges.c */
act exchanges_list, exchange_get, exchange_put, exchange_delete_it;
/* overview.c */
act overview_get, whoami_get;
/* queues.c */
act queues_list, queue_get, queue_put, queue_delete_it, queue_purge_it;

#endif
