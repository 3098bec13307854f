/* A change of the catalogue as data: a name appears, with all that it stands for, or goes.
 * Functions that decide look at what is there, refuse or yield changes, and touch nothing;
 * catalogue_apply (apply.h) does what a change says and asks nothing. So a change can also come
 * from the record, or from where else it was decided. */
#ifndef LEVERET_BROKER_CHANGE_H
#define LEVERET_BROKER_CHANGE_H

#include "base/bytes.h"

enum catalogue_kind {
    CATALOGUE_LEAVING, /* a queue or an exchange is gone, but for its bindings */
    CATALOGUE_VHOST,
    CATALOGUE_USER,
    CATALOGUE_EXCHANGE,
    CATALOGUE_QUEUE,
    CATALOGUE_BINDING,
    CATALOGUE_PERMISSION,
    CATALOGUE_TOPIC_PERMISSION,
    CATALOGUE_POLICY,
    CATALOGUE_OPERATOR_POLICY,
    CATALOGUE_DELAYS, /* an exchange holds back messages: the queue for them */
    CATALOGUE_PARAMETER,
    CATALOGUE_GLOBAL_PARAMETER,
    CATALOGUE_LAST = CATALOGUE_GLOBAL_PARAMETER, /* one above was written by a newer version */
};

/* How many there may be; all zero: as many as will. */
struct limit {
    bool is_set;
    uint32_t most;
};

/* What may be kept in queues, and what may be published in a second: messages, and bytes of their bodies. */
enum quota_kind {
    QUOTA_MESSAGES,
    QUOTA_BYTES,
    QUOTA_RATE, /* users have no quotas but from here on */
    QUOTA_BYTES_RATE,
    QUOTA_KINDS,
};

/* All zero: no quota. */
struct quota_limits {
    uint8_t set; /* which there are: bits, 1 << enum quota_kind */
    uint64_t most[QUOTA_KINDS]; /* at most QUOTA_MOST */
};

/* What JSON can say. */
#define QUOTA_MOST ((uint64_t)1 << 53)

/* What its kind does not have is empty. All bytes are borrowed: from whom it was asked, from the
 * record, from the object that goes, or kept by the list that it is in. */
struct change {
    enum catalogue_kind kind;
    bool is_delete; /* then only what it is known by counts */
    bool durable;   /* it is, or was, on record */
    bool is_mirrored; /* of a queue: it is on record though it was not declared durable */
    bool to_queue;  /* of a binding: its destination is a queue; of what is leaving: it was one */
    bool auto_delete, internal;
    struct bytes vhost;
    struct bytes name; /* of a binding: its destination; of what is leaving: its own */
    struct bytes source; /* of a parameter: its component */
    struct bytes routing_key;
    struct bytes type; /* of an exchange; of a policy, what it applies to; of a parameter, `text` or
                          `json` */
    struct bytes arguments;     /* contents of the field table; a binding's are sorted by name */
    struct bytes password_hash; /* empty: cannot log in */
    uint8_t hash_kind;          /* enum hash_kind */
    bool is_going;              /* of a virtual host: it is deleted, and what is in it goes */
    bool is_protected;          /* of a virtual host: it may not be deleted */
    bool is_old;                /* of a user on record: of the time before permissions */
    struct bytes tags;          /* of a user or a virtual host: separated by commas */
    struct bytes description;   /* of a virtual host */
    struct bytes queue_type;
    struct limit max_connections; /* of a user or a virtual host */
    struct limit max_parts;       /* queues of a virtual host, channels of a user */
    struct quota_limits quotas;   /* of a user or a virtual host */
    struct bytes configure, write, read; /* of a permission, whose name is the user's; the source of
                                            a topic permission is its exchange */
    struct bytes pattern;       /* of a policy */
    struct bytes definition;    /* contents of a field table: policy.h; of a parameter, its value */
    int64_t priority;
    uint64_t id; /* of a queue, in the store; of an exchange that looks for duplicates: seen.h */
    uint64_t owner;             /* of an exclusive queue: its connection; else 0 */
};

/* Of a queue: was it declared durable? */
static inline bool change_says_durable(const struct change *change)
{
    return change->durable && !change->is_mirrored;
}

/* What one decision comes to, in the order in which it is to be applied. All zero at first. */
struct changes {
    struct change *list;
    size_t count, capacity;
    struct kept *kept;
    uint8_t *kept_end; /* of the first of those */
};

void changes_add(struct changes *changes, const struct change *change);
/* A copy that lives as long as what is in the list; for bytes that are nowhere else. */
struct bytes changes_keep(struct changes *changes, struct bytes bytes);
/* Empties the list, to be used again. */
void changes_clear(struct changes *changes);
void changes_free(struct changes *changes);

#endif
