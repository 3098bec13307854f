/* Arguments of queues that have a meaning: see queue_arguments.c. */
#ifndef LEVERET_BROKER_QUEUE_ARGUMENTS_H
#define LEVERET_BROKER_QUEUE_ARGUMENTS_H

#include "broker/queue_declare.h"

/* Types of queues, and sets of them. */
enum { CLASSIC = 1, QUORUM = 2, STREAM = 4 };

/* What x-queue-type says. */
unsigned queue_arguments_type(struct bytes arguments);
/* How old something may get: digits, then one letter for the unit. */
bool queue_argument_is_age(struct bytes text);
/* May this be the default type of queues: classic or quorum, or RabbitMQ's module for it? */
bool queue_arguments_is_default_type(struct bytes type);
/* The arguments of a declaration with the type that its virtual host, or the node, has for queues that do
 * not say, if one like that may have this type; in memory of the list. Those of a queue that is there
 * without a type (NULL: there is none) get none. */
struct bytes queue_arguments_with_type(const struct vhost *vhost, const struct queue *queue,
                                       const struct queue_declare *declare,
                                       struct changes *changes);
/* May a queue be declared like this? Known arguments must have a fitting type and value, and fit
 * the type of queue that x-queue-type names. */
bool queue_arguments_check(const struct vhost *vhost, struct bytes name,
                           const struct queue_declare *declare, struct error *error);
/* Is a second declaration equivalent to the first? Known arguments of its type are compared. */
bool queue_arguments_equivalent(const struct queue *queue, struct bytes arguments,
                                struct error *error);
/* RabbitMQ's name of the module for the queue's type: `rabbit_classic_queue` and its like. */
const char *queue_arguments_module(const struct queue *queue);
/* Logs which arguments of a new queue ask for what is not done, and which are not known at all. */
void queue_arguments_warn(const struct queue *queue);

#endif
