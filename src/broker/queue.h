/* A queue: its name, properties and arguments, the index that holds its messages, and the bindings
 * that lead to it. Its consumers belong to the session; they hang on a list here. */
#ifndef LEVERET_BROKER_QUEUE_H
#define LEVERET_BROKER_QUEUE_H

#include "base/buffer.h"
#include "broker/vhost.h"

struct queue {
    struct vhost *vhost;
    struct index *index; /* owner: this queue */
    uint64_t id;
    uint8_t *arguments; /* contents of the field table it was declared with */
    size_t arguments_size;
    bool durable, auto_delete;
    uint64_t exclusive_owner; /* id of the connection that owns it; 0: not exclusive */
    char *dead_letter_exchange;    /* NULL: none */
    char *dead_letter_routing_key; /* NULL: the message's own keys */
    struct list bindings;          /* struct binding, by destination_link */
    struct list consumers;         /* all of them: the session's */
    struct list ready_consumers;   /* those that can take a message now, next one first */
    uint32_t consumer_count;
    bool had_consumer;           /* auto-delete needs one to have been there */
    bool exclusively_consumed;   /* one consumer asked for exclusive access */
    struct list working_link;    /* on broker->working */
    struct list owner_link;      /* the session's: exclusive queues of a connection */
    struct list dead_letters;    /* struct dead_letter: taken messages on their way out */
    struct list dead_letters_link; /* on broker->dead_letters */
    uint64_t route_number;       /* see broker->route_number */
    bool is_leaving;             /* gone; its bindings are passed over, and it has no index */
    size_t name_size;
    char name[]; /* terminated as well */
};

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
/* Fills `name` (at least 32 bytes) with a new `amq.gen-...` name that is free. */
void queue_generate_name(struct vhost *vhost, char *name);
/* May this connection use the queue? Else 405 `cannot obtain exclusive access to locked ...`. */
bool queue_check_access(const struct queue *queue, uint64_t connection_id, struct error *error);
/* Removes the queue, its messages and its bindings (auto-delete exchanges may go too); see removal.h. The
 * session has taken its consumers away. */
void queue_delete(struct queue *queue);
/* Marks that a consumer may have something to do with this queue. */
void queue_has_work(struct queue *queue);

static inline struct bytes queue_name(const struct queue *queue)
{
    return bytes_of(queue->name, queue->name_size);
}

#endif
