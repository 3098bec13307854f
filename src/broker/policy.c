#include "broker/policy.h"

#include "amqp/reply.h"
#include "amqp/table.h"
#include "base/mem.h"
#include "base/planted.h"
#include "broker/apply.h"
#include "broker/exchange.h"
#include "broker/name.h"
#include "broker/policy_check.h"
#include "broker/queue_arguments.h"
#include "broker/reconfigure.h"

static const char *const apply_to_words[] = {
    [APPLY_TO_ALL] = "all",
    [APPLY_TO_QUEUES] = "queues",
    [APPLY_TO_CLASSIC] = "classic_queues",
    [APPLY_TO_QUORUM] = "quorum_queues",
    [APPLY_TO_STREAMS] = "streams",
    [APPLY_TO_EXCHANGES] = "exchanges",
};

enum { APPLY_TO_COUNT = sizeof(apply_to_words) / sizeof(apply_to_words[0]) };

const char *policy_applies_to(const struct policy *policy)
{
    return apply_to_words[policy->apply_to];
}

/* APPLY_TO_COUNT: it is none. */
static size_t apply_to_of(struct bytes word)
{
    size_t at = 0;
    while (at < APPLY_TO_COUNT && !bytes_equal_str(word, apply_to_words[at]))
        at++;
    return at;
}

bool policy_can_apply_to(struct bytes apply_to)
{
    return apply_to_of(apply_to) < APPLY_TO_COUNT;
}

/* ---- what there is ---- */

const struct policy *policy_next(const struct vhost *vhost, bool is_operator, size_t *at)
{
    const struct policies *policies = &vhost->policies[is_operator];
    return *at < policies->count ? policies->list[(*at)++] : NULL;
}

const struct policy *policy_find(const struct vhost *vhost, bool is_operator, struct bytes name)
{
    const struct policy *policy;
    for (size_t at = 0; (policy = policy_next(vhost, is_operator, &at));)
        if (bytes_equal(policy_name(policy), name))
            return policy;
    return NULL;
}

static bool is_for_queues(const struct policy *policy, unsigned type)
{
    switch (policy->apply_to) {
    case APPLY_TO_ALL:
    case APPLY_TO_QUEUES:
        return true;
    case APPLY_TO_CLASSIC:
        return type == CLASSIC;
    case APPLY_TO_QUORUM:
        return type == QUORUM;
    case APPLY_TO_STREAMS:
        return type == STREAM;
    case APPLY_TO_EXCHANGES:
        return false;
    }
    return false;
}

const struct policy *policy_match_queue(const struct vhost *vhost, bool is_operator,
                                        struct bytes name, unsigned type, struct budget *budget)
{
    const struct policy *policy;
    for (size_t at = 0; (policy = policy_next(vhost, is_operator, &at));)
        if (is_for_queues(policy, type) && policy->types & type &&
            pattern_matches_within(&policy->pattern, name, budget))
            return policy;
    return NULL;
}

const struct policy *policy_match_exchange(const struct vhost *vhost, bool is_operator,
                                           struct bytes name, struct budget *budget)
{
    const struct policy *policy;
    for (size_t at = 0; (policy = policy_next(vhost, is_operator, &at));)
        if ((policy->apply_to == APPLY_TO_ALL || policy->apply_to == APPLY_TO_EXCHANGES) &&
            pattern_matches_within(&policy->pattern, name, budget))
            return policy;
    return NULL;
}

const struct policy *policy_of_exchange(const struct exchange *exchange, bool is_operator)
{
    return policy_match_exchange(exchange->vhost, is_operator, exchange_name(exchange),
                                 &exchange->vhost->broker->turn);
}

const struct policy *policy_of_queue(const struct queue *queue, bool is_operator)
{
    unsigned type = queue_arguments_type(bytes_of(queue->arguments, queue->arguments_size));
    return policy_match_queue(queue->vhost, is_operator, queue_name(queue), type,
                              &queue->vhost->broker->turn);
}

void policy_effective(const struct policy *policy, const struct policy *operator_policy,
                      struct buffer *definition)
{
    struct bytes mine = policy_definition(policy);
    struct bytes operators = policy_definition(operator_policy);
    struct field field, other;
    struct table_writer writer;
    table_writer_init(&writer, definition);
    for (struct reader walk = reader_of(mine); table_next(&walk, &field);) {
        bool has_other = table_find(operators, field.name, &other);
        table_add_field(&writer, settings_merge(&field, has_other ? &other : NULL));
    }
    for (struct reader walk = reader_of(operators); table_next(&walk, &field);)
        if (!table_find(mine, field.name, &other))
            table_add_field(&writer, &field);
}

/* ---- applying ---- */

static struct policy *policy_new(struct broker *broker, const struct change *change)
{
    char fault[300];
    struct policy *policy = mem_zalloc(sizeof(*policy) + change->name.size + 1);
    policy->name_size = change->name.size;
    memcpy(policy->name, change->name.data, change->name.size);
    /* The decision has tried it; one that is none any more matches nothing. */
    pattern_init(&policy->pattern, change->pattern, fault, sizeof(fault));
    policy->apply_to = (enum apply_to)apply_to_of(change->type);
    policy->priority = change->priority;
    policy->number = ++broker->policy_number;
    policy->types = policy_types(change->definition);
    policy->definition_size = change->definition.size;
    policy->definition = mem_dup(change->definition.data, change->definition.size);
    return policy;
}

static void policy_free(struct policy *policy)
{
    pattern_free(&policy->pattern);
    mem_free(policy->definition);
    mem_free(policy);
}

static void take_out(struct policies *policies, struct bytes name)
{
    size_t kept = 0;
    for (size_t i = 0; i < policies->count; i++)
        if (bytes_equal(policy_name(policies->list[i]), name))
            policy_free(policies->list[i]);
        else
            policies->list[kept++] = policies->list[i];
    policies->count = kept;
}

static bool comes_before(const struct policy *a, const struct policy *b)
{
    if (a->priority != b->priority)
        return (a->priority > b->priority) != planted(PLANTED_LOWEST_POLICY_COUNTS);
    return bytes_compare(policy_name(a), policy_name(b)) < 0;
}

static void put_in(struct policies *policies, struct policy *policy)
{
    policies->list =
        mem_grow(policies->list, &policies->capacity, policies->count + 1, sizeof(*policies->list));
    size_t at = policies->count++;
    for (; at && comes_before(policy, policies->list[at - 1]); at--)
        policies->list[at] = policies->list[at - 1];
    policies->list[at] = policy;
}

void policy_apply(struct vhost *vhost, const struct change *change)
{
    struct policies *policies = &vhost->policies[change->kind == CATALOGUE_OPERATOR_POLICY];
    struct policy *policy = change->is_delete ? NULL : policy_new(vhost->broker, change);
    take_out(policies, change->name);
    if (policy)
        put_in(policies, policy);
    reconfigure(vhost);
}

void policies_free(struct vhost *vhost)
{
    for (int is_operator = 0; is_operator < 2; is_operator++) {
        struct policies *policies = &vhost->policies[is_operator];
        for (size_t i = 0; i < policies->count; i++)
            policy_free(policies->list[i]);
        mem_free(policies->list);
        *policies = (struct policies){0};
    }
}

/* ---- deciding ---- */

static bool check_apply_to(struct bytes apply_to, struct error *error)
{
    return policy_can_apply_to(apply_to) ||
           error_set(error, REPLY_PRECONDITION_FAILED,
                     "apply-to '%.*s' unrecognised; should be one of: 'queues', 'classic_queues',  "
                     "'quorum_queues', 'streams', 'exchanges', or 'all'",
                     BYTES_ARG(apply_to));
}

static bool check_pattern(struct bytes text, struct error *error)
{
    char fault[400];
    struct pattern pattern;
    bool fine = pattern_init(&pattern, text, fault, sizeof(fault));
    pattern_free(&pattern);
    return fine || error_set(error, REPLY_PRECONDITION_FAILED,
                             "pattern should be regular expression but is invalid: %s", fault);
}

static bool check_request(const struct policy_request *request, struct bytes apply_to,
                          struct error *error)
{
    if (request->name.size == 0 || request->name.size > NAME_MAX_SIZE)
        return error_set(error, REPLY_PRECONDITION_FAILED,
                         "the name of a policy has 1 to %d bytes, and not %zu", NAME_MAX_SIZE,
                         request->name.size);
    return policy_check(request->definition, request->is_operator, error) &&
           check_apply_to(apply_to, error) && check_pattern(request->pattern, error);
}

static enum catalogue_kind kind_of(bool is_operator)
{
    return is_operator ? CATALOGUE_OPERATOR_POLICY : CATALOGUE_POLICY;
}

static bool is_same(const struct policy *policy, const struct change *change)
{
    return policy && policy->priority == change->priority &&
           bytes_equal_str(change->type, policy_applies_to(policy)) &&
           bytes_equal(pattern_text(&policy->pattern), change->pattern) &&
           bytes_equal(policy_definition(policy), change->definition);
}

bool policy_set_decide(struct broker *broker, const struct policy_request *request,
                       struct changes *changes, struct error *error)
{
    const struct vhost *vhost = vhost_need(broker, request->vhost, error);
    struct bytes apply_to = request->apply_to.size ? request->apply_to : bytes_str("all");
    if (!vhost || !check_request(request, apply_to, error))
        return false;
    struct change change = {.kind = kind_of(request->is_operator),
                            .durable = true,
                            .vhost = request->vhost,
                            .name = request->name,
                            .type = apply_to,
                            .pattern = request->pattern,
                            .priority = request->priority,
                            .definition = request->definition};
    if (!is_same(policy_find(vhost, request->is_operator, request->name), &change))
        changes_add(changes, &change);
    return true;
}

/* The name is that of what goes. */
static void clear(const struct vhost *vhost, const struct policy *policy, bool is_operator,
                  struct changes *changes)
{
    struct change change = {.kind = kind_of(is_operator),
                            .durable = true,
                            .is_delete = true,
                            .vhost = vhost_name(vhost),
                            .name = changes_keep(changes, policy_name(policy))};
    changes_add(changes, &change);
}

bool policy_delete_decide(struct broker *broker, bool is_operator, struct bytes vhost_name,
                          struct bytes name, struct changes *changes, struct error *error)
{
    const struct vhost *vhost = vhost_need(broker, vhost_name, error);
    const struct policy *policy = vhost ? policy_find(vhost, is_operator, name) : NULL;
    if (vhost && !policy)
        error_set(error, REPLY_NOT_FOUND, "no %spolicy '%.*s' in vhost '%s'",
                  is_operator ? "operator " : "", BYTES_ARG(name), vhost->name);
    if (policy)
        clear(vhost, policy, is_operator, changes);
    return policy;
}

void policies_clear_decide(const struct vhost *vhost, struct changes *changes)
{
    const struct policy *policy;
    for (int is_operator = 0; is_operator < 2; is_operator++)
        for (size_t at = 0; (policy = policy_next(vhost, is_operator, &at));)
            clear(vhost, policy, is_operator, changes);
}

/* ---- both ---- */

bool policy_set(struct broker *broker, const struct policy_request *request, struct error *error)
{
    bool allowed = policy_set_decide(broker, request, &broker->changes, error);
    changes_apply(broker, &broker->changes);
    return allowed;
}

bool policy_delete(struct broker *broker, bool is_operator, struct bytes vhost, struct bytes name,
                   struct error *error)
{
    bool allowed = policy_delete_decide(broker, is_operator, vhost, name, &broker->changes, error);
    changes_apply(broker, &broker->changes);
    return allowed;
}
