/* Policies: what the queues and exchanges of a virtual host are set to by their names, without
 * having been declared with it. Of those that match a name the one of the highest priority counts,
 * and no other; of equal ones the one whose name comes first. Beside it, in the same way, one
 * operator policy counts, which limits what the other allows. What they come to is reconfigure.h.
 *
 * A definition is the contents of a field table: what is a text in JSON is a long string (S) there,
 * true and false are bools (t), numbers without a fraction l, others d, null V, arrays and objects
 * A and F. */
#ifndef LEVERET_BROKER_POLICY_H
#define LEVERET_BROKER_POLICY_H

#include "base/budget.h"
#include "broker/pattern.h"
#include "broker/vhost.h"

enum { POLICY_DEFINITION_MAX = 65536 };

enum apply_to {
    APPLY_TO_ALL,
    APPLY_TO_QUEUES,
    APPLY_TO_CLASSIC,
    APPLY_TO_QUORUM,
    APPLY_TO_STREAMS,
    APPLY_TO_EXCHANGES,
};

struct policy {
    struct pattern pattern;
    enum apply_to apply_to;
    int64_t priority;
    uint64_t number; /* no other policy of this broker has had it, nor this one before it was set */
    unsigned types;  /* of queues that know all of its keys: it does not count for others */
    uint8_t *definition;
    size_t definition_size;
    size_t name_size;
    char name[]; /* terminated as well */
};

static inline struct bytes policy_name(const struct policy *policy)
{
    return bytes_of(policy->name, policy->name_size);
}

/* Empty for NULL. */
static inline struct bytes policy_definition(const struct policy *policy)
{
    return policy ? bytes_of(policy->definition, policy->definition_size) : bytes_of(NULL, 0);
}

/* `queues` and its like. */
const char *policy_applies_to(const struct policy *policy);

/* ---- what there is ---- */

/* NULL: there is none. */
const struct policy *policy_find(const struct vhost *vhost, bool is_operator, struct bytes name);
/* All of them, those that come first where they match; start with *at = 0; NULL at the end. */
const struct policy *policy_next(const struct vhost *vhost, bool is_operator, size_t *at);
/* Which one counts; NULL: none does. */
const struct policy *policy_of_exchange(const struct exchange *exchange, bool is_operator);
const struct policy *policy_of_queue(const struct queue *queue, bool is_operator);
/* Appends what the two come to together, key by key; either may be NULL. */
void policy_effective(const struct policy *policy, const struct policy *operator_policy,
                      struct buffer *definition);

/* ---- changes: decided here, and applied; false, with the error, for what cannot be ---- */

/* A new policy, or what one is to be from now on. */
struct policy_request {
    bool is_operator;
    struct bytes vhost, name; /* 1 to 255 bytes */
    struct bytes pattern;     /* unanchored */
    struct bytes apply_to;    /* `all`, which it is when this is empty, `queues` and its like */
    int64_t priority;
    struct bytes definition; /* see above */
};

/* 404 for a virtual host that is not there, 406 for what is no policy, with what RabbitMQ says
 * below "Validation failed". One that is there and the same is left alone. */
bool policy_set_decide(struct broker *broker, const struct policy_request *request,
                       struct changes *changes, struct error *error);
bool policy_set(struct broker *broker, const struct policy_request *request, struct error *error);
/* 404 `no policy 'p' in vhost 'v'`. */
bool policy_delete_decide(struct broker *broker, bool is_operator, struct bytes vhost,
                          struct bytes name, struct changes *changes, struct error *error);
bool policy_delete(struct broker *broker, bool is_operator, struct bytes vhost, struct bytes name,
                   struct error *error);

/* ---- for this folder ---- */

/* Which one counts for that name; what it takes to find that out goes off the budget. */
const struct policy *policy_match_queue(const struct vhost *vhost, bool is_operator,
                                        struct bytes name, unsigned type, struct budget *budget);
const struct policy *policy_match_exchange(const struct vhost *vhost, bool is_operator,
                                           struct bytes name, struct budget *budget);
/* Is that something that policies apply to? */
bool policy_can_apply_to(struct bytes apply_to);
/* All policies of a virtual host that is going; then those that are left in memory. */
void policies_clear_decide(const struct vhost *vhost, struct changes *changes);
void policies_free(struct vhost *vhost);

#endif
