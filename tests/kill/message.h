/* What a message of the kill rounds looks like. All of it follows from the campaign's seed and the
 * message's number, so that nothing has to be remembered to tell whether what came back is what was
 * published, to the last byte. */
#ifndef LEVERET_TESTS_KILL_MESSAGE_H
#define LEVERET_TESTS_KILL_MESSAGE_H

#include "base/bytes.h"

enum queue_number {
    QUEUE_A, /* consumers with manual acks take from the first four */
    QUEUE_B,
    QUEUE_C, /* a fanout exchange is bound to this and the next as well */
    QUEUE_D,
    QUEUE_AUTO, /* auto-acks */
    QUEUE_DEEP, /* nobody takes from it but a drain: it grows */
    QUEUES
};

enum { BODY_BYTES_MIN = 16, BODY_BYTES_MAX = 65536, PROPERTIES_BYTES_MAX = 256 };

/* What all messages of a campaign have in common. */
struct campaign {
    uint64_t seed;
    bool is_bulky; /* more large messages */
};

struct message_id {
    uint32_t publisher;
    uint64_t sequence;
};

/* Where a message goes: one queue, or two. */
struct route {
    const char *exchange;
    const char *key;
    uint8_t count;
    uint8_t queues[2];
};

extern const char *const queue_names[QUEUES];
extern const char fanout_name[];

void message_route(const struct campaign *campaign, struct message_id id, struct route *route);
size_t message_body_size(const struct campaign *campaign, struct message_id id);
/* Writes the body, of message_body_size bytes. */
void message_body(const struct campaign *campaign, struct message_id id, uint8_t *body);
/* Writes the properties, from their flags on, into PROPERTIES_BYTES_MAX bytes; returns their size.
 */
size_t message_properties(const struct campaign *campaign, struct message_id id, uint8_t *data);
/* Writes what the properties of a message that came back were before the broker said how often, into
 * PROPERTIES_BYTES_MAX bytes; returns their size. */
size_t message_properties_before(struct bytes properties, uint8_t *data);
/* Whom a body says it is from; false: it is none of this campaign's. */
bool message_identify(const struct campaign *campaign, struct bytes body, struct message_id *id);

#endif
