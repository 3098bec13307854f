/* What was promised: every message published, what the broker said about it and what was said to
 * the broker. It outlives the broker, and says when a promise is broken.
 *
 * A *slot* is a message in one of its queues. At a drain all that is owed must come, in order; then
 * the model forgets everything up to there, and what is older must never be seen again. */
#ifndef LEVERET_TESTS_KILL_MODEL_H
#define LEVERET_TESTS_KILL_MODEL_H

#include "message.h"

enum { PUBLISHERS = 1024 };

enum entry_state { ENTRY_PUBLISHED, ENTRY_CONFIRMED };

enum slot_flag {
    SLOT_SEEN = 1,    /* delivered at least once */
    SLOT_ACKED = 2,   /* acked since it was last delivered, durably or not */
    SLOT_DURABLE = 4, /* its ack is known to be durable */
    SLOT_HELD = 8,    /* delivered to a consumer that is still there, and not acked */
    SLOT_OLD = 16,    /* delivered by a later broker than it was published to: it was durable */
};

struct entry {
    uint8_t state;
    uint8_t slots[2]; /* in the order of its route's queues */
    uint32_t round;
    uint32_t group; /* of a transaction; 0: none */
};

/* One connection's messages have an order. Those of its successor have none to them: they may
 * overtake what the dead one's socket still holds. So each connection is a publisher of its own,
 * until a drain makes its number free. */
struct publisher {
    uint64_t base; /* older ones are settled */
    uint64_t next;
    struct entry *entries; /* from base on */
    size_t capacity;
};

/* A slot's name. */
struct slot_ref {
    uint32_t publisher;
    uint64_t sequence;
    uint8_t slot;
};

/* What one consumer has seen: the order of each publisher's messages. */
struct order {
    bool is_strict; /* redelivered ones, too, have to be in order */
    uint64_t next[PUBLISHERS];
};

struct delivery {
    enum queue_number queue;
    bool no_ack;
    bool redelivered;
    struct bytes properties;
    struct bytes body;
};

struct figures {
    uint64_t published, confirms, delivered, redelivered, acks, acks_proved, requeues, drops;
    uint64_t verified, excused, unconfirmed_kept, kills, start_kills, stops, drains, commits;
    uint64_t late_confirms; /* read after the kill */
};

struct model {
    struct campaign campaign;
    struct publisher publishers[PUBLISHERS];
    uint32_t round;
    uint32_t auto_round; /* the last one that had a consumer with auto-acks */
    uint64_t violations;
    struct figures figures;
};

void model_init(struct model *model, const struct campaign *campaign);
void model_free(struct model *model);
/* A promise is broken: prints a line. */
void model_violate(struct model *model, const char *kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The number of a publisher's next message. */
uint64_t model_publish(struct model *model, uint32_t publisher, uint32_t group);
void model_confirm(struct model *model, struct message_id id);
/* Judges a delivery; false: it is nothing of ours, and there is no slot. */
bool model_deliver(struct model *model, const struct delivery *delivery, struct order *order,
                   struct slot_ref *ref);
/* These do nothing for a slot that has been forgotten. */
void model_ack(struct model *model, struct slot_ref ref);
void model_ack_is_durable(struct model *model, struct slot_ref ref);
/* Its consumer is gone, or has given it back. */
void model_release(struct model *model, struct slot_ref ref);
/* All queues have been emptied and everything was acked: what is owed and did not come is lost.
 * Forgets everything. */
void model_drained(struct model *model);

#endif
