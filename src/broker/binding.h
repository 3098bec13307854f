/* Bindings. One is known by the names of its source and its destination, its routing key and its
 * arguments. */
#ifndef LEVERET_BROKER_BINDING_H
#define LEVERET_BROKER_BINDING_H

#include "broker/exchange.h"
#include "broker/queue_declare.h"

struct binding {
    struct list source_link;
    struct list destination_link;
    struct list kind_link; /* the exchange kind's */
    union {                /* the exchange kind's */
        void *kind_data;
        size_t kind_place;
    };
    struct exchange *source;
    struct queue *queue;       /* the destination; NULL: an exchange */
    struct exchange *exchange; /* the destination; NULL: a queue */
    uint64_t decision;         /* the last one by which it goes: removal.c */
    uint32_t key_size, arguments_size;
    char key[]; /* with the arguments behind it: contents of the field table, sorted by name */
};

static inline struct bytes binding_key(const struct binding *binding)
{
    return bytes_of(binding->key, binding->key_size);
}

static inline struct bytes binding_arguments(const struct binding *binding)
{
    return bytes_of(binding->key + binding->key_size, binding->arguments_size);
}

/* Name of the queue or the exchange. */
static inline struct bytes binding_destination(const struct binding *binding)
{
    return binding->queue ? queue_name(binding->queue) : exchange_name(binding->exchange);
}

/* Its destination is gone, and takes no more messages. */
static inline bool binding_is_leaving(const struct binding *binding)
{
    return binding->queue ? binding->queue->is_leaving : binding->exchange->is_leaving;
}

struct binding_request {
    struct bytes source;       /* name of the exchange */
    struct queue *queue;       /* destination; NULL: an exchange */
    struct exchange *exchange; /* destination; NULL: a queue */
    struct bytes key;
    struct bytes arguments; /* contents of the field table; table_check has passed it */
    uint64_t connection_id; /* who asks; 0: nobody, and an exclusive queue is anybody's */
};

/* queue.bind and exchange.bind: the same binding again is fine. Recorded when both ends are
 * durable. Arguments are checked before access to an exclusive queue. A new binding gets what its
 * source has kept for it: the caller has asked the store for binding_record_bytes. */
bool binding_add(struct vhost *vhost, const struct binding_request *request, struct error *error);
/* The binding that a change with these members makes: source, name (of its destination), to_queue,
 * routing_key, arguments, which are sorted by name. NULL: there is none. */
struct binding *binding_find(const struct vhost *vhost, const struct change *change);
/* What the messages that a new binding from this exchange gets take in the store; mostly 0. */
uint64_t binding_record_bytes(const struct exchange *source);
/* queue.unbind and exchange.unbind: what is missing is fine, whoever asks. */
bool binding_remove(struct vhost *vhost, const struct binding_request *request,
                    struct error *error);
/* The decisions alone: what the two would change. */
bool binding_add_decide(const struct vhost *vhost, const struct binding_request *request,
                        struct changes *changes, struct error *error);
bool binding_remove_decide(struct vhost *vhost, const struct binding_request *request,
                           struct changes *changes, struct error *error);

/* Arguments as a change has them: sorted, in memory of the list. */
struct bytes binding_sort_arguments(struct changes *changes, struct bytes arguments);

/* For this folder. The change that takes a binding away. */
struct change binding_deletion(const struct binding *binding);
/* Frees it and nothing more; for the end. */
void binding_free(struct binding *binding);

#endif
