/* Quotas: what the queues of a virtual host may hold, and what may be published in a second, into a
 * virtual host or by a user. Who publishes waits while one of them is reached; nobody else does.
 *
 * What is held is what the queues count themselves (counts_sum), so that however a message goes, it
 * counts no more. It ends when a twentieth of the quota has gone. A rate is a bucket that holds
 * what a second may have, is filled evenly by broker->queues.now_ms, and may be overdrawn by one
 * message; what is published takes out of it; who has emptied it waits until half of it is there,
 * so that those who publish too much are told twice a second at most.
 *
 * Users have rates alone: a queue belongs to its virtual host, whoever has declared it, and is
 * filled by many users, whom no record of a message names. */
#ifndef LEVERET_BROKER_QUOTA_H
#define LEVERET_BROKER_QUOTA_H

#include "broker/broker.h"

enum { QUOTA_RATES = QUOTA_KINDS - QUOTA_RATE };

/* Of a virtual host or a user that has had limits; lives as long as that. */
struct quota {
    struct broker *broker;
    const char *of;    /* "vhost" or "user" */
    struct bytes name; /* its owner's, who keeps it */
    struct quota_limits limits;
    struct counts stored;       /* of the queues that were told to count here: queue_sum */
    int64_t level[QUOTA_RATES]; /* what is in the buckets, in thousandths of a message or byte; */
    uint64_t level_ms;          /* when it was */
    uint8_t over;               /* for which publishers wait: bits, as in limits.set */
    uint8_t known;              /* that the log calls reached */
    struct list
        link; /* on broker->quotas, while any is, or somebody waits, or limits have changed */
    struct list
        held; /* who waits: of the layer above, which looks at all that are on broker->quotas */
};

/* The first kind that virtual hosts, or users, have; they have all behind it. */
static inline int quota_first(bool of_user)
{
    return of_user ? QUOTA_RATE : 0;
}

/* `max-messages`, and so on. */
const char *quota_name(enum quota_kind kind);
/* Writes the names of all kinds behind other names: `, max-publish-rate or max-publish-bytes-rate`.
 * Returns `text`. */
enum { QUOTA_NAMES_SIZE = 128 };
const char *quota_names(bool of_user, char text[QUOTA_NAMES_SIZE]);
/* The one of that name; false: there is none, or not of users. */
bool quota_find(struct bytes name, bool of_user, enum quota_kind *kind);
/* Sets one of the limits, to at most QUOTA_MOST. */
void quota_limit(struct quota_limits *limits, enum quota_kind kind, uint64_t most);
/* Takes one away. */
void quota_unlimit(struct quota_limits *limits, enum quota_kind kind);

/* The limits of *quota are these from now on. It is made when it is NULL and there are any. */
void quota_set(struct broker *broker, struct quota **quota, const char *of, struct bytes name,
               const struct quota_limits *limits);
/* NULL may be freed. Nothing counts in it, and nobody waits for it. */
void quota_free(struct quota *quota);

/* NULL has none. */
static inline bool quota_is_set(const struct quota *quota)
{
    return quota && quota->limits.set;
}

/* Where queues are to count what they hold; NULL: nowhere. */
static inline struct counts *quota_counts(struct quota *quota)
{
    const uint8_t stored = 1u << QUOTA_MESSAGES | 1u << QUOTA_BYTES;
    return quota && quota->limits.set & stored ? &quota->stored : NULL;
}

static inline struct quota_limits quota_limits_of(const struct quota *quota)
{
    return quota ? quota->limits : (struct quota_limits){0};
}

/* A message with a body of so many bytes was published; finds out which limits are reached by that.
 */
void quota_spend(struct quota *quota, uint64_t bytes);
/* Finds out which limits are reached, and which not any more, and logs it; what is not worth
 * another look leaves broker->quotas. */
void quota_review(struct quota *quota);
/* When a review may find something else though nothing happens; UINT64_MAX: never. */
uint64_t quota_next_ms(const struct quota *quota);
/* What is counted against a limit now: held, or published in the last second, about. */
uint64_t quota_used(const struct quota *quota, enum quota_kind kind);
/* Why publishers wait: `max-messages of vhost 'v' is reached`. Returns `text`. */
const char *quota_reason(const struct quota *quota, char *text, size_t size);

#endif
