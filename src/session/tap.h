/* What the firehose is told of: publishes and deliveries in a virtual host that is traced. */
#ifndef LEVERET_SESSION_TAP_H
#define LEVERET_SESSION_TAP_H

#include "broker/publish.h"
#include "session/look.h"
#include "session/outgoing.h"

/* publishing_deliver for an exchange whose virtual host is traced. */
struct published tap_publish(const struct channel *channel, struct exchange *exchange,
                             struct message *message);
/* A delivery is on its way: if its virtual host is traced, it is told of. A reply comes from no
 * queue. */
void tap_delivery(const struct channel *channel, const struct queue *queue,
                  const struct parcel *parcel, bool redelivered);
/* The same of a message that was got. */
void tap_got(const struct channel *channel, const struct queue *queue, const struct taken *taken);

/* The same for who speaks no AMQP. */
struct published tap_publish_by(struct server *server, const struct tapper *tapper,
                                struct exchange *exchange, struct message *message);
void tap_got_by(const struct tapper *tapper, const struct queue *queue, const struct taken *taken);

#endif
