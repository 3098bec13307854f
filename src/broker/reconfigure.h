/* What policies come to, for the queues and exchanges that there are. Those that are made get
 * theirs at once; when a policy changes, all of its virtual host are looked at again, as many in
 * each turn as a budget allows. */
#ifndef LEVERET_BROKER_RECONFIGURE_H
#define LEVERET_BROKER_RECONFIGURE_H

#include "broker/vhost.h"

/* What the settings of a queue of that name and with those arguments are made from: borrowed until
 * a policy changes. */
struct queue_sources queue_sources_of(const struct vhost *vhost, struct bytes name,
                                      struct bytes arguments);
/* Sets an exchange to what its arguments and policies come to. */
void exchange_configure(struct exchange *exchange);
/* A policy of the virtual host has changed. */
void reconfigure(struct vhost *vhost);
/* Right after that: is a policy to change whether some queue has mirrors? They stay as they are, and it counts for
 * queues that are declared from now on. As far as a few milliseconds are enough to look; EVENT_mirrors_kept tells
 * of all. */
bool reconfigure_keeps_mirrors(const struct vhost *vhost);
/* Goes on with it, as far as broker->turn allows. */
void reconfigure_go_on(struct broker *broker);
/* Is there more to look at? */
bool reconfigure_is_left(const struct broker *broker);

#endif
