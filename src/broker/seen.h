/* What an exchange or a queue has seen: keys of messages (the value of one of their headers), so
 * that a message that comes once more is not taken once more. */
#ifndef LEVERET_BROKER_SEEN_H
#define LEVERET_BROKER_SEEN_H

#include "broker/publish.h"

/* However large x-cache-size is; and what it is where nobody says. */
enum { SEEN_MAX = 1000000, SEEN_DEFAULT = 128 };

/* Of a message that is being published: a key that was not there. */
struct fresh {
    struct seen *seen;
    uint64_t until; /* of a queue: its position */
    uint8_t hash[16];
};

/* Are the arguments of a new exchange about that acceptable? */
bool seen_check(const struct exchange_declare *declare, struct error *error);

/* The id of a new exchange, which no other exchange and no queue has or had; 0: it does not look
 * for duplicates. */
uint64_t seen_id(struct broker *broker, const struct exchange_declare *declare);
/* An exchange begins to look for them, as its arguments say. */
void seen_open(struct exchange *exchange, uint64_t id);
/* The exchange is gone: what it has seen goes in later turns. The same of a queue, which need not
 * have any. */
void seen_leave(struct exchange *exchange);
void seen_leave_queue(const struct queue *queue);
/* Goes on with that, as far as the budget allows. */
void seen_go_on(struct broker *broker, struct budget *budget);
/* All of it goes; the store is not touched. */
void seen_free(struct broker *broker);

/* Routing has come to an exchange that looks for duplicates: is this one? Else its key is among
 * what is new in the set. Nothing else changes. */
bool seen_stops(struct seen *seen, const struct route *route, struct queue_set *set);
/* Takes those queues out of the set that look for duplicates and have this message. The keys of the
 * others are among what is new. */
void seen_drop(struct queue_set *set, const struct message *message);
/* The message is in the queues of the set, and `published` tells so: what is new was seen now, if
 * its exchange, or queue, took the message. A publisher waits for what is on record of that, and of
 * what the message is a duplicate of. */
void seen_note(const struct broker *broker, struct queue_set *set, const struct message *message,
               struct published *published);

/* An entry of the catalogue, as it was put; false: it is malformed. */
bool seen_restore(struct broker *broker, struct bytes key, struct bytes value);
/* All entries came, and all names are there. What belongs to none of them goes. */
void seen_restored(struct broker *broker);

#endif
