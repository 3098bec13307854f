/* The firehose: while it is on, a copy of each message that is published in a virtual host, and of
 * each that is delivered, goes to the exchange amq.rabbitmq.trace there, with the key
 * `publish.EXCHANGE` or `deliver.QUEUE`, and with headers that tell of it. */
#ifndef LEVERET_BROKER_FIREHOSE_H
#define LEVERET_BROKER_FIREHOSE_H

#include "broker/publish.h"

/* On or off. A start finds all off. 404 `no vhost 'v'`. */
bool firehose_set(struct broker *broker, struct bytes vhost, bool is_on, struct error *error);

/* A message, and who has published it or gets it. All is borrowed. */
struct tap {
    struct vhost *vhost;
    const char *connection; /* "127.0.0.1:40112 -> 127.0.0.1:5672" */
    uint16_t channel;
    struct bytes user;
    struct bytes exchange, routing_key, properties, body;
};

/* The next publish with this set notes where it went, for firehose_published. */
void firehose_watch(struct queue_set *set);
/* It was published with this set, if at all: a reply may go to no queue. */
void firehose_published(const struct tap *tap, struct queue_set *set);
/* It is delivered from a queue. */
void firehose_delivered(const struct tap *tap, struct bytes queue, bool redelivered);

/* For publish.c: the queues of the set are where a message goes. */
void firehose_note(struct queue_set *set);

#endif
