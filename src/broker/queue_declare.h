/* The queues of a virtual host by their names: declared, shared or not, deleted. What a queue does
 * with messages is in src/queue. */
#ifndef LEVERET_BROKER_QUEUE_DECLARE_H
#define LEVERET_BROKER_QUEUE_DECLARE_H

#include "broker/vhost.h"
#include "queue/queue.h"

struct queue_declare {
    struct bytes name; /* not empty: the session has generated one */
    bool passive, durable, exclusive, auto_delete;
    bool generated;         /* the name comes from queue_generate_name: its `amq.` is allowed */
    struct bytes arguments; /* contents of the field table; table_check has passed it */
    uint64_t connection_id; /* who asks */
};

/* queue.declare (AMQP 0-9-1, 1.7.2.1), with RabbitMQ's equivalence rules, texts and order of
 * checks. NULL with an error when it is refused. *created tells whether it is new (its declare-ok
 * waits for store_ticket when it is durable). A client can declare a name that begins with `amq.`
 * only passively. An exclusive queue is never durable, whatever was asked. */
struct queue *queue_declare(struct vhost *vhost, const struct queue_declare *declare, bool *created,
                            struct error *error);
/* The decision alone, for a name that is not empty: what the declaration would change. A queue that
 * is decided has its id; one that comes of nothing leaves a gap. */
bool queue_declare_decide(const struct vhost *vhost, const struct queue_declare *declare,
                          struct changes *changes, struct error *error);
/* Fills `name` (at least 32 bytes) with a new `amq.gen-...` name that is free. */
void queue_generate_name(struct vhost *vhost, char *name);
/* May this connection use the queue? Else 405 `cannot obtain exclusive access to locked ...`. */
bool queue_check_access(const struct queue *queue, uint64_t connection_id, struct error *error);
/* queue.delete with its conditions: 406 `in use`, `not empty`; 540, as quorum queues know none. */
bool queue_delete_check(const struct queue *queue, bool if_unused, bool if_empty,
                        struct error *error);
/* Removes the queue, its messages and its bindings (auto-delete exchanges may go too); see
 * removal.h. Its consumers find themselves on the lists that they named. From anywhere, but from
 * within a verb of it. */
void queue_delete(struct queue *queue);
/* The decision alone: what it would change. */
void queue_delete_decide(struct queue *queue, struct changes *changes);

/* For this folder: its name leads nowhere from now on, and its messages are gone. */
void queue_take_out(struct queue *queue);

#endif
