/* The functions of routes.def: what is asked for, by what it is about. */
#ifndef LEVERET_API_RESOURCES_H
#define LEVERET_API_RESOURCES_H

#include "api/listing.h"
#include "api/route.h"

/* overview.c */
act overview_get, whoami_get;
/* queues.c */
act queues_list, queue_get, queue_put, queue_delete_it, queue_purge_it;

#endif
