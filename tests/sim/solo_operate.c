/* What an operator does by the API to names of one client: queues are deleted and purged, and have
 * policies set and cleared. It is a step of its own: the broker has read all that was sent before,
 * and nothing is sent before the answer. */
#include "tests/sim/solo_internal.h"

#include <inttypes.h>
#include <stdio.h>

enum { PATH_SIZE = 200, BODY_SIZE = 300, PRIORITIES = 3 };

static struct admin *admin_of(const struct solo *solo)
{
    return &sim_of(solo)->admins[solo->client->number];
}

/* ---- what policies come to ---- */

/* Of those that are not operators' the one of the highest priority, and of these the first; NULL:
 * none. */
static const struct own_policy *policy_of(const struct own_queue_of *queue)
{
    const struct own_policy *best = NULL;
    for (int i = 0; i < POLICY_OF_OPERATORS; i++) {
        const struct own_policy *policy = &queue->policies.of[i];
        if (policy->exists && (!best || policy->priority > best->priority))
            best = policy;
    }
    return best;
}

static void limit(struct own_queue_of *queue, const struct own_policy *policy)
{
    if (!policy || !policy->exists)
        return;
    if (policy->max_length < queue->max_length)
        queue->max_length = policy->max_length;
    if (policy->ttl_ms < queue->ttl_ms)
        queue->ttl_ms = policy->ttl_ms;
}

void solo_configure(struct own_queue_of *queue)
{
    queue->max_length = queue->declared_length;
    queue->ttl_ms = queue->declared_ttl_ms;
    limit(queue, policy_of(queue));
    limit(queue, &queue->policies.of[POLICY_OF_OPERATORS]);
}

/* ---- asking ---- */

static void ask(struct solo *solo, int queue, int expected, const char *method, const char *path,
                const char *body)
{
    solo->op++;
    solo->operation = (struct own_operation){
        .is_asked = true, .op = solo->op, .queue = queue, .policy = NONE, .status = expected};
    admin_ask(admin_of(solo), method, path, body);
}

static void queue_path(const struct solo *solo, int queue, const char *behind, char path[PATH_SIZE])
{
    char text[NAME_SIZE];
    solo_queue_text(solo, queue, text);
    snprintf(path, PATH_SIZE, "queues/%%2F/%s%s", text, behind);
}

static bool delete_queue(struct solo *solo, int queue)
{
    struct own_queue_of *own = &solo->queues[queue];
    bool if_unused = chance(solo, 3), if_empty = chance(solo, 3);
    bool is_in_use = if_unused && solo_count_consumers(solo, queue);
    bool is_not_empty = if_empty && (own->ready.count || own->waiting.count);
    int expected = !own->exists ? 404 : own->exclusive || is_in_use || is_not_empty ? 400 : 204;
    char path[PATH_SIZE], behind[64];
    if (solo->tx_count)
        return false;
    snprintf(behind, sizeof(behind), "?if-unused=%s&if-empty=%s", if_unused ? "true" : "false",
             if_empty ? "true" : "false");
    queue_path(solo, queue, behind, path);
    ask(solo, queue, expected, "DELETE", path, "");
    solo->operation.is_change = expected == 204;
    if (expected != 204)
        return true;
    solo->cancels_due += (int)solo_count_consumers(solo, queue);
    solo_remove_queue(solo, queue);
    sim_of(solo)->report->met[MET_OPERATOR_DELETED]++;
    return true;
}

static bool purge_queue(struct solo *solo, int queue)
{
    struct own_queue_of *own = &solo->queues[queue];
    int expected = !own->exists ? 404 : own->exclusive ? 400 : 204;
    char path[PATH_SIZE];
    queue_path(solo, queue, "/contents", path);
    ask(solo, queue, expected, "DELETE", path, "");
    if (expected != 204)
        return true;
    while (own->waiting.count)
        solo_add_ghost(own, entries_take(&own->waiting, own->waiting.count - 1), solo->op);
    while (own->ready.count)
        solo_add_ghost(own, entries_take(&own->ready, own->ready.count - 1), solo->op);
    sim_of(solo)->report->met[MET_OPERATOR_PURGED]++;
    return true;
}

static void policy_path(const struct solo *solo, int queue, int policy, char path[PATH_SIZE])
{
    char text[NAME_SIZE];
    solo_queue_text(solo, queue, text);
    snprintf(path, PATH_SIZE, "%s/%%2F/%s.%c",
             policy == POLICY_OF_OPERATORS ? "operator-policies" : "policies", text, 'a' + policy);
}

static void clear_policy(struct solo *solo, int queue, int policy)
{
    struct own_policy *own = &solo->queues[queue].policies.of[policy];
    char path[PATH_SIZE];
    policy_path(solo, queue, policy, path);
    ask(solo, queue, own->exists ? 204 : 404, "DELETE", path, "");
    solo->operation.policy = policy;
    sim_of(solo)->report->met[MET_POLICY_CLEARED] += own->exists;
    own->exists = false;
}

static void add_key(char *body, size_t *size, const char *key, uint64_t value)
{
    if (value == NO_LIMIT)
        return;
    *size += (size_t)snprintf(body + *size, BODY_SIZE - *size, "%s\"%s\":%" PRIu64,
                              body[*size - 1] == '{' ? "" : ",", key, value);
}

static void set_policy(struct solo *solo, int queue, int policy)
{
    struct own_policy *own = &solo->queues[queue].policies.of[policy];
    char path[PATH_SIZE], body[BODY_SIZE], text[NAME_SIZE];
    bool is_new = !own->exists;
    *own = (struct own_policy){.exists = true,
                               .priority = (int)below(solo, PRIORITIES),
                               .max_length = NO_LIMIT,
                               .ttl_ms = NO_LIMIT};
    if (chance(solo, 2))
        own->max_length = below(solo, 6);
    if (chance(solo, 2) || own->max_length == NO_LIMIT)
        own->ttl_ms = solo_draw_ttl(solo);
    policy_path(solo, queue, policy, path);
    solo_queue_text(solo, queue, text);
    size_t size = (size_t)snprintf(
        body, BODY_SIZE,
        "{\"pattern\":\"^%s$\",\"apply-to\":\"queues\",\"priority\":%d,\"definition\":{", text,
        own->priority);
    add_key(body, &size, "max-length", own->max_length);
    add_key(body, &size, "message-ttl", own->ttl_ms);
    snprintf(body + size, BODY_SIZE - size, "}}");
    ask(solo, queue, is_new ? 201 : 204, "PUT", path, body);
    solo->operation.policy = policy;
    sim_of(solo)->report->met[MET_POLICY_SET]++;
}

/* When what is dropped is delivered instead is not known, nor, of a queue that looks for
 * duplicates, which is one. */
static bool may_be_limited(const struct solo *solo, int queue)
{
    const struct own_queue_of *own = &solo->queues[queue];
    return !own->exists || (!solo_count_consumers(solo, queue) &&
                            !(own->deduplicates && own->overflow == OVERFLOW_DROP_HEAD));
}

static bool change_policy(struct solo *solo, int queue)
{
    int policy = (int)below(solo, POLICIES);
    if (!may_be_limited(solo, queue))
        return false;
    if (chance(solo, 3))
        clear_policy(solo, queue, policy);
    else
        set_policy(solo, queue, policy);
    solo->is_unsettled = true; /* queues are looked at after the answer, too */
    solo_configure(&solo->queues[queue]);
    return true;
}

bool solo_operate(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    int queue = (int)below(solo, QUEUES_OF_ONE);
    solo->operates = false;
    switch (below(solo, 6)) {
    case 0:
        return delete_queue(solo, queue);
    case 1:
        return purge_queue(solo, queue);
    default:
        return change_policy(solo, queue);
    }
}

/* ---- answers ---- */

/* The broker is about to end: it refuses, or has closed connections, and what was theirs alone is gone. */
static bool is_failing(const struct solo *solo, int status)
{
    int expected = solo->operation.status;
    bool is_other = status >= 500 || (expected != ANY_STATUS && status != expected);
    return is_other && (solo->client->machine->is_failing || !solo->client->machine->server);
}

bool solo_awaits_operator(struct solo *solo)
{
    const struct admin *admin= admin_of(solo);
    struct own_operation *operation = &solo->operation;
    if (!operation->is_asked || admin->state == ADMIN_ASKS)
        return operation->is_asked;
    if (admin->state == ADMIN_LOST || is_failing(solo, admin->status)) {
        solo_doubt_operator(solo);
        return false;
    }
    if (operation->status != ANY_STATUS && admin->status != operation->status)
        sim_fail(sim_of(solo), "s%d.q%d: the operator is answered %d, and it is %d",
                 solo->client->number, operation->queue, admin->status, operation->status);
    operation->is_asked = false;
    if (operation->op > solo->proved_op)
        solo->proved_op = operation->op;
    if (admin->status<300 && operation->op> solo->durable_op)
        solo->durable_op = operation->op;
    return false;
}

void solo_doubt_operator(struct solo *solo)
{
    struct own_operation *operation = &solo->operation;
    if (!operation->is_asked)
        return;
    admin_drop(admin_of(solo));
    if (operation->policy != NONE) { /* those that are in doubt are all cleared again */
        solo->queues[operation->queue].policies.are_unsure = true;
        solo->queues[operation->queue].policies.cleared = 0;
    }
    operation->is_asked = false;
    solo_doubt_queues(solo);
}

void solo_orphaned(struct sim_channel *channel)
{
    solo_doubt_operator(solo_of(channel));
}

bool solo_clear_unsure_policies(struct solo *solo)
{
    for (int i = 0; i < QUEUES_OF_ONE; i++) {
        struct own_queue_of *queue = &solo->queues[i];
        if (!queue->policies.are_unsure)
            continue;
        int policy = queue->policies.cleared++;
        clear_policy(solo, i, policy);
        solo->operation.status = ANY_STATUS;
        if (queue->policies.cleared == POLICIES)
            queue->policies = (struct own_policies){0};
        return true;
    }
    return false;
}
