/* The end of a virtual host. It is gone at once for who looks for it; the permissions for it, its
 * queues, exchanges and bindings go turn after turn, as far as a budget allows, and the rest when
 * the last of who has a pointer to it. The catalogue says that it is going, so that a start goes on
 * with it. */
#ifndef LEVERET_BROKER_VHOST_REMOVAL_H
#define LEVERET_BROKER_VHOST_REMOVAL_H

#include "broker/vhost.h"

void vhosts_go(struct broker *broker, struct budget *budget);
/* Is there more to take away, that need not wait for connections? */
bool vhosts_are_left(const struct broker *broker);
/* The same of the one of that name. */
bool vhost_is_left(const struct broker *broker, struct bytes name);

#endif
