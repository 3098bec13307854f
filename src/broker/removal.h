/* The end of a queue or an exchange. Its bindings go first, then it, then the auto-delete exchanges
 * that have lost their last binding by that, and so on. But bindings may be many. If it takes more
 * than a budget allows, the decision says that the thing is *leaving*: it is gone at once, its name
 * leads nowhere, and routing passes over its bindings. The others are taken away by removals_go_on,
 * decision after decision, turn after turn. Until they are all gone the name cannot be declared
 * again.
 *
 * Of a durable one the catalogue says that it is leaving, so that a start knows why bindings have
 * lost an end, and takes away what is left of them. */
#ifndef LEVERET_BROKER_REMOVAL_H
#define LEVERET_BROKER_REMOVAL_H

#include "broker/binding.h"

/* Takes more bindings away, as far as the budget goes. */
void removals_go_on(struct broker *broker, struct budget *budget);
/* Is there more to take away? */
bool removals_are_left(const struct broker *broker);
/* Are there still bindings of a queue, or exchange, of this name that is gone? */
bool queue_is_leaving(const struct vhost *vhost, struct bytes name);
bool exchange_is_leaving(const struct vhost *vhost, struct bytes name);

/* The decisions, for this folder: what goes, with all that goes with it. */
void removal_decide_binding(struct binding *binding, struct changes *changes);
void removal_decide_exchange(struct exchange *exchange, struct changes *changes);
/* What comes next of what is leaving, and of doomed exchanges. */
void removals_decide(struct broker *broker, struct budget *budget, struct changes *changes);
/* Frees what is leaving there, after its bindings; for the end. */
void removals_free(struct vhost *vhost);

#endif
