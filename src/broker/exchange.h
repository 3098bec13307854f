/* Exchanges. A kind of exchange is a struct of functions in a file of its own. */
#ifndef LEVERET_BROKER_EXCHANGE_H
#define LEVERET_BROKER_EXCHANGE_H

#include "broker/vhost.h"

struct exchange;
struct queue_set;
struct route;

struct binding;
struct binding_request;
struct exchange_declare;

/* A function that is NULL has nothing to do. */
struct exchange_kind {
    const char *name;
    bool uses_key; /* else it is asked once, however many keys a message has */
    void (*init)(struct exchange *exchange);
    void (*free)(struct exchange *exchange);
    /* Are the arguments of this new exchange acceptable? */
    bool (*check_new)(const struct vhost *vhost, const struct exchange_declare *declare,
                      struct error *error);
    /* Is this binding acceptable? */
    bool (*check)(const struct binding_request *request, struct error *error);
    void (*bind)(struct exchange *exchange, struct binding *binding);
    void (*unbind)(struct exchange *exchange, struct binding *binding);
    /* Hands every matching binding's destination to queue_set_add_destination. */
    void (*route)(struct exchange *exchange, const struct route *route, struct queue_set *set);
    /* Of those that routing has put into queue_set_add_keeper: the message is published, also if no
     * queue takes it. */
    void (*keep)(struct exchange *exchange, struct message *message);
    /* Hands what was kept on to a new binding; what the records of that take in the store. */
    void (*greet)(struct exchange *exchange, const struct binding_request *request);
    uint64_t (*record_bytes)(const struct exchange *exchange);
};

extern const struct exchange_kind exchange_default, exchange_direct, exchange_fanout,
    exchange_topic, exchange_headers, exchange_random, exchange_local_random, exchange_modulus_hash,
    exchange_consistent_hash, exchange_recent_history, exchange_deduplication;

struct exchange {
    struct vhost *vhost;
    const struct exchange_kind *kind;
    void *state;          /* the kind's */
    struct queue *delays; /* messages that it holds back; NULL: there were none. See delay.h */
    bool durable, auto_delete, internal;
    bool is_default;
    bool is_predeclared; /* it is not on record, and goes with its virtual host alone */
    bool is_delayed_type; /* its type is DELAYED_TYPE; the kind is what it routes by */
    bool has_delay;       /* messages with a header x-delay are held back */
    struct seen *seen; /* it looks for duplicates; NULL: it does not */
    char *alternate;   /* name of its alternate, which is never the default exchange; NULL: none */
    uint8_t *arguments;
    size_t arguments_size;
    struct list sources;      /* bindings from here: source_link */
    struct list destinations; /* bindings to here: destination_link */
    uint64_t source_count;
    uint64_t number;         /* no other exchange of this broker has it */
    uint64_t published;      /* messages by clients, since the start or its declaration */
    int64_t routed_more;     /* their copies in queues above one for each; less than 0: fewer */
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

/* False, with ACCESS_REFUSED, for the default exchange and those whose names are reserved. */
bool exchange_is_deletable(const struct vhost *vhost, struct bytes name, struct error *error);
bool exchange_type_is_known(struct bytes type);

static inline struct bytes exchange_name(const struct exchange *exchange)
{
    return bytes_of(exchange->name, exchange->name_size);
}

/* Contents of the field table that it was declared with. */
static inline struct bytes exchange_arguments(const struct exchange *exchange)
{
    return bytes_of(exchange->arguments, exchange->arguments_size);
}

/* ---- for this folder ---- */

/* Is this argument, if it is there, a long string? */
bool exchange_check_text(const struct vhost *vhost, const struct exchange_declare *declare,
                         const char *argument, struct error *error);
/* What an exchange of this type with these arguments routes by; NULL: there is no such type. */
const struct exchange_kind *exchange_kind_of(struct bytes type, struct bytes arguments);
/* The kinds that there are, from 0 on; NULL: there is none of that number. */
const struct exchange_kind *exchange_kind_at(size_t number);
/* The type that it was declared with. */
const char *exchange_type(const struct exchange *exchange);
/* A predeclared exchange of a new virtual host: it has no entry in the catalogue. */
struct exchange *exchange_predeclare(struct vhost *vhost, const char *name,
                                     const struct exchange_kind *kind, bool internal);
/* The alternate exchange that its policies name (not, if the bytes are NULL) is its own, unless it was
 * declared with one. */
void exchange_set_alternate(struct exchange *exchange, struct bytes by_policy);
/* The same of whether it holds messages back. What it holds back already goes when it is due. */
void exchange_set_delay(struct exchange *exchange, bool by_policy);
/* Its name leads nowhere from now on. */
void exchange_take_out(struct exchange *exchange);
/* If that was the last one, an auto-delete exchange is doomed: the next decision takes it. */
void exchange_lost_binding(struct exchange *exchange);
/* Frees one without bindings that is on no list. */
void exchange_free(struct exchange *exchange);

#endif
