/* The end of a queue or an exchange. It is gone at once: its name leads nowhere, routing passes over its
 * bindings, and what is durable is on record. But bindings may be many. As many as the budget allows
 * are taken away then, too; the others by removals_go_on, turn after turn. Until they are all gone the
 * name cannot be declared again. Auto-delete exchanges that lose their last binding go the same way.
 *
 * Of a durable one that cannot go in one go the catalogue says that it is leaving, so that a start
 * knows why bindings have lost an end, and takes away what is left of them. */
#ifndef LEVERET_BROKER_REMOVAL_H
#define LEVERET_BROKER_REMOVAL_H

#include "broker/exchange.h"

/* Takes more bindings away, as far as the budget goes. */
void removals_go_on(struct broker *broker, struct budget *budget);
/* Is there more to take away? */
bool removals_are_left(const struct broker *broker);
/* Are there still bindings of a queue, or exchange, of this name that is gone? */
bool queue_is_leaving(const struct vhost *vhost, struct bytes name);
bool exchange_is_leaving(const struct vhost *vhost, struct bytes name);

#endif
