/* What the resources of a queue have in common. */
#ifndef LEVERET_API_QUEUES_H
#define LEVERET_API_QUEUES_H

#include "api/call.h"
#include "broker/permission.h"

/* The queue that the first two segments name. NULL: there is none, or the user has no access to its
 * virtual host, and the call is answered. */
struct queue *queue_find(struct call *call, bool for_reading);
/* May the user do this to it? */
bool queue_may(const struct call *call, const struct vhost *vhost, enum access access,
               struct error *error);

#endif
