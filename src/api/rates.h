/* How fast counters change, and what they were before: of all messages, of queues, exchanges,
 * channels and connections, and of the node. It looks at all of them every 5 seconds, a part in
 * each turn; but of queues only at those that something has happened to since (queue_sums.h), so
 * that the others cost nothing. It keeps something (api/history.h) of what is used alone: of what
 * nothing has happened to for 10 minutes nothing is kept until something does. */
#ifndef LEVERET_API_RATES_H
#define LEVERET_API_RATES_H

#include "api/api.h"
#include "api/fields.h"
#include "api/history.h"
#include "queue/queue_sums.h"

struct call;
struct rates;

/* What there are many of; each is known by a number. */
enum rated {
    RATED_QUEUE,      /* queue->id */
    RATED_EXCHANGE,   /* exchange->number */
    RATED_CHANNEL,    /* rates_channel */
    RATED_CONNECTION, /* its id */
    RATED_KINDS,
};

/* Which counters there are: of queues, channels and all together TALLY_PUBLISHED ..., and behind
 * those of a queue, or of all: */
enum {
    RATE_QUEUE_READY = TALLIES_OF_QUEUE,
    RATE_QUEUE_UNACKED,
    RATE_QUEUE_MESSAGES,
    RATES_OF_QUEUE,
    RATE_ALL_READY = TALLIES,
    RATE_ALL_UNACKED,
    RATE_ALL_MESSAGES,
    RATES_OF_ALL,
};
/* Of an exchange, and of a connection. */
enum { RATE_PUBLISHED_IN, RATE_PUBLISHED_OUT, RATES_OF_EXCHANGE };
enum { RATE_RECEIVED, RATE_SENT, RATES_OF_CONNECTION };
/* Of the node. */
enum rate_of_node {
    RATE_MEMORY,
    RATE_DISK_FREE,
    RATE_FILES,
    RATE_SOCKETS,
    RATE_THREADS,
    RATE_SWITCHES,
    RATE_SYNCS,
    RATE_BODIES_READ,
    RATE_BATCHES,
    RATE_BYTES_WRITTEN,
    RATE_MESSAGES_WRITTEN,
    RATE_CONNECTIONS_OPENED,
    RATE_CONNECTIONS_CLOSED,
    RATE_CHANNELS_OPENED,
    RATE_CHANNELS_CLOSED,
    RATE_QUEUES_DECLARED,
    RATE_QUEUES_CREATED,
    RATE_QUEUES_DELETED,
    RATES_OF_NODE,
};

/* `api` is told about; it stays the caller's. */
struct rates *rates_new(struct api *api, uint64_t now_ms);
void rates_free(struct rates *rates);
struct service *rates_service(struct rates *rates);

/* Where forgetting goes on; zero at first. */
struct rates_place {
    uint64_t kind, at;
};
/* Rates and samples of some begin anew: what was before is not known any more. Counters stay as they are. False: that was
 * the last of them. */
bool rates_forget(struct rates *rates, struct rates_place *place, struct budget *budget);

static inline uint64_t rates_channel(uint64_t connection, uint16_t channel)
{
    return connection << 16 | channel;
}

/* Of one that is there; what was not looked at yet has been nothing until now. */
const struct history *rates_of(const struct rates *rates, enum rated kind, uint64_t number);
/* The same; NULL: nothing has happened to it for a while. */
const struct history *rates_of_queue(const struct rates *rates, const struct queue *queue);
const struct history *rates_of_all(const struct rates *rates);
const struct history *rates_of_node(const struct rates *rates);
/* The counters of all messages, as they are now: RATES_OF_ALL, but for the last three. */
void rates_count_all(const struct api *api, uint64_t *values);

/* ---- in answers ---- */

/* From when on samples are wanted, and how far apart: the parameters NAME_age and NAME_incr, in
 * seconds. Without them, or where they make no sense, there are none. */
enum rates_range { RANGE_MESSAGES, RANGE_DATA, RANGE_LENGTHS, RANGE_NODE };

/* A counter as it is now, and its rate as `name`_details, with samples if the call wants these: of
 * the sum of some counters of a history, of which `counters` is a set of bits. `history` NULL:
 * nothing changes. */
void rates_add(struct fields *fields, const struct call *call, enum rates_range range,
               const struct history *history, uint32_t counters, const char *name, uint64_t count);
/* What has happened to messages, as `message_stats`, where something has: as many of a tally (enum
 * tally) as there are, of a history that has the same. */
void rates_add_messages(struct fields *fields, const struct call *call,
                        const struct history *history, const uint64_t *tally, size_t count);
/* The same of all messages: everything, or an empty object before the first. */
void rates_add_all_messages(struct fields *fields, const struct call *call,
                            const struct history *history, const uint64_t *tally);

#endif
