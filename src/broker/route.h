/* Routing: which queues a message goes to. */
#ifndef LEVERET_BROKER_ROUTE_H
#define LEVERET_BROKER_ROUTE_H

#include "broker/binding.h"

/* What routing looks at. All is borrowed. */
struct route {
    const struct bytes *keys; /* the routing key and those of the CC and BCC headers */
    size_t count;             /* of keys: at least one */
    struct bytes headers;     /* contents of the headers table; empty: none */
    struct bytes properties;  /* as a message has them */
    struct bytes routing_key; /* of keys, the one at hand */
};

struct memo;
struct fresh;

/* Beside the bits of enum queue_limit. */
enum { QUEUE_SET_WATCHED = 128 };

/* The queues a message goes to: each at most once. All zero at first; kept by the caller and used
 * again for the same broker, which also lets publish remember where messages went before. */
struct queue_set {
    struct broker *broker; /* of the exchange that was routed last */
    struct queue **queues;
    size_t count, capacity;
    uint64_t work; /* what routing has looked at: bindings, patterns, queues found; it only rises */
    size_t matched;            /* bindings of the exchange at hand that matched */
    bool varies;               /* the next message with this key may go elsewhere */
    struct exchange **pending; /* exchanges reached and not visited yet */
    size_t pending_count, pending_capacity;
    struct exchange **keepers; /* exchanges on the way that keep the message */
    size_t keepers_count, keepers_capacity;
    struct exchange **delayers; /* those that hold it back, and lead nowhere yet */
    size_t delayers_count, delayers_capacity;
    uint64_t delay_ms;  /* for how long */
    struct bytes *keys; /* routing keys of a message that has several */
    size_t keys_count, keys_capacity;
    struct fresh *fresh; /* keys that are not known where duplicates are looked for: seen.h */
    size_t fresh_count, fresh_capacity;
    size_t duplicates;  /* exchanges and queues that know its key */
    const struct queue *leaving; /* what it was is about to leave this queue (NULL: none), where it is
                                  * not a duplicate of that; */
    uint64_t leaving_position;   /* the position there */
    uint8_t limits;    /* QUEUE_DEDUPLICATES: such an exchange was on the way; or what `watch` says */
    uint8_t watch;     /* QUEUE_SET_WATCHED: somebody wants to know where the message goes, */
    struct queue **noted; /* and finds it here */
    size_t noted_count, noted_capacity;
    struct memo *memos; /* publish.c's; */
    const struct memo *last_memo; /* the one of them that fitted last; NULL: none */
};

void queue_set_free(struct queue_set *set);
void queue_set_add_queue(struct queue_set *set, struct queue *queue);
void queue_set_add_destination(struct queue_set *set, const struct binding *binding);
/* Those of all bindings from the exchange. */
void queue_set_add_destinations(struct queue_set *set, const struct exchange *exchange);
/* That of bindings[at]; if it is leaving, of the first one behind it that is not. */
void queue_set_add_one(struct queue_set *set, struct binding *const *bindings, size_t count,
                       size_t at);
void queue_set_add_keeper(struct queue_set *set, struct exchange *exchange);
/* Fills the set: through bindings between exchanges (cycles are fine), to alternate exchanges where
 * nothing matched. */
void exchange_route(struct exchange *exchange, const struct route *route, struct queue_set *set);
/* The same with the keys that keys_collect has put into the set. */
void exchange_route_keys(struct exchange *exchange, struct bytes headers, struct bytes properties,
                         struct queue_set *set);

/* The contents of the headers table among properties; empty when there is none. */
struct bytes headers_of(struct bytes properties);
/* Collects the routing key and the keys of CC, and of BCC when `with_bcc`, in set->keys. Returns
 * whether there was a BCC header. */
bool keys_collect(struct queue_set *set, struct bytes routing_key, struct bytes headers,
                  bool with_bcc);

#endif
