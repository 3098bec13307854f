/* Exchanges. A kind of exchange is a struct of functions in a file of its own. */
#ifndef LEVERET_BROKER_EXCHANGE_H
#define LEVERET_BROKER_EXCHANGE_H

#include "broker/queue_declare.h"

struct exchange;
struct queue_set;

/* What routing looks at. */
struct route {
    struct bytes routing_key;
    struct bytes headers; /* contents of the headers table; empty: none */
};

struct binding;

/* A function that is NULL has nothing to do. */
struct exchange_kind {
    const char *name;
    bool uses_key; /* else it is asked once, however many keys a message has */
    void (*init)(struct exchange *exchange);
    void (*free)(struct exchange *exchange);
    /* Are these arguments of a binding acceptable? */
    bool (*check)(struct bytes arguments, struct error *error);
    void (*bind)(struct exchange *exchange, struct binding *binding);
    void (*unbind)(struct exchange *exchange, struct binding *binding);
    /* Hands every matching binding's destination to queue_set_add_destination. */
    void (*route)(struct exchange *exchange, const struct route *route, struct queue_set *set);
};

extern const struct exchange_kind exchange_default, exchange_direct, exchange_fanout,
    exchange_topic, exchange_headers;

struct exchange {
    struct vhost *vhost;
    const struct exchange_kind *kind;
    void *state; /* the kind's */
    bool durable, auto_delete, internal;
    bool is_default;
    char *alternate; /* name of the alternate exchange; NULL: none */
    uint8_t *arguments;
    size_t arguments_size;
    struct list sources;      /* bindings from here: source_link */
    struct list destinations; /* bindings to here: destination_link */
    uint64_t source_count;
    uint64_t number;         /* no other exchange of this broker has it */
    uint64_t route_number;   /* visited in this routing */
    bool is_leaving;         /* gone; its bindings are passed over */
    struct list doomed_link; /* on broker->doomed */
    struct {                 /* what the decision at hand comes to, see removal.c */
        uint64_t number;     /* its number; else the rest is of an earlier one */
        bool goes;
        uint64_t lost;    /* bindings from here that go */
        struct list link; /* among the exchanges that lose their last one */
    } decision;
    size_t name_size;
    char name[];
};

struct exchange_declare {
    struct bytes name, type;
    bool passive, durable, auto_delete, internal;
    struct bytes arguments; /* contents of the field table; table_check has passed it */
};

/* exchange.declare, with RabbitMQ's equivalence rules and texts. */
struct exchange *exchange_declare(struct vhost *vhost, const struct exchange_declare *declare,
                                  struct error *error);
/* exchange.delete; a missing exchange is fine. */
bool exchange_delete(struct vhost *vhost, struct bytes name, bool if_unused, struct error *error);
/* The decisions alone: what the two would change. */
bool exchange_declare_decide(const struct vhost *vhost, const struct exchange_declare *declare,
                             struct changes *changes, struct error *error);
bool exchange_delete_decide(struct vhost *vhost, struct bytes name, bool if_unused,
                            struct changes *changes, struct error *error);
/* False, with ACCESS_REFUSED, for the name of the default exchange, which nobody may change or
 * bind. */
bool exchange_is_not_default(struct bytes name, struct error *error);

struct memo;

/* The queues a message goes to: each at most once. All zero at first; kept by the caller and used
 * again for the same broker, which also lets publish remember where messages went before. */
struct queue_set {
    struct broker *broker;
    struct queue **queues;
    size_t count, capacity;
    uint64_t work; /* what routing has looked at: bindings, patterns, queues found; it only rises */
    size_t matched;            /* bindings of the exchange at hand that matched */
    struct exchange **pending; /* exchanges reached and not visited yet */
    size_t pending_count, pending_capacity;
    struct bytes *keys; /* routing keys of a message that has several */
    size_t keys_count, keys_capacity;
    struct memo *memos; /* publish.c's */
};

void queue_set_free(struct queue_set *set);
void queue_set_add_queue(struct queue_set *set, struct queue *queue);
void queue_set_add_destination(struct queue_set *set, const struct binding *binding);
/* Fills the set: through bindings between exchanges (cycles are fine), to alternate exchanges where
 * nothing matched. `keys` are the routing key and those of the CC and BCC headers, at
 * least one. */
void exchange_route(struct exchange *exchange, const struct bytes *keys, size_t count,
                    struct bytes headers, struct queue_set *set);

static inline struct bytes exchange_name(const struct exchange *exchange)
{
    return bytes_of(exchange->name, exchange->name_size);
}

#endif
