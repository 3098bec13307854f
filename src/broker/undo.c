#include "broker/undo.h"

#include "base/mem.h"
#include "broker/apply.h"
#include "broker/binding.h"
#include "broker/parameter.h"
#include "broker/permission.h"
#include "broker/policy.h"

/* Changes of a block, and what one of them takes of the budget: to be forgotten, to be undone. */
enum { BLOCK_CHANGES = 64, FORGET_STEPS = 20, UNDO_STEPS = 500 };

struct undo_block {
    struct undo_block *next; /* what was noted before */
    struct changes before;
};

/* ---- noting ---- */

static struct changes *open_block(struct undo *undo)
{
    if (undo->last && undo->last->before.count < BLOCK_CHANGES)
        return &undo->last->before;
    struct undo_block *block = mem_zalloc(sizeof(*block));
    block->next = undo->last;
    undo->last = block;
    return &block->before;
}

static void free_last(struct undo *undo)
{
    struct undo_block *block = undo->last;
    undo->last = block->next;
    changes_free(&block->before);
    mem_free(block);
    mem_settle();
}

static bool note_vhost(const struct broker *broker, struct change *before, struct changes *kept)
{
    const struct vhost *vhost = map_find(&broker->vhosts, before->name);
    if (vhost)
        *before = vhost_change(vhost, kept);
    return vhost;
}

static bool note_user(const struct broker *broker, struct change *before, struct changes *kept)
{
    const struct user *user = user_find(broker, before->name);
    if (!user)
        return false;
    *before = user_change(user, kept);
    before->is_old = user->is_old;
    before->password_hash = changes_keep(kept, before->password_hash);
    return true;
}

static void keep_patterns(struct change *before, const struct pattern *patterns, bool is_topic,
                          struct changes *kept)
{
    if (!is_topic)
        before->configure = changes_keep(kept, pattern_text(&patterns[ACCESS_CONFIGURE]));
    before->write = changes_keep(kept, pattern_text(&patterns[ACCESS_WRITE]));
    before->read = changes_keep(kept, pattern_text(&patterns[ACCESS_READ]));
}

static bool note_permission(const struct broker *broker, struct change *before,
                            struct changes *kept)
{
    const struct user *user = user_find(broker, before->name);
    const struct permission *permission = user ? permission_find(user, before->vhost) : NULL;
    if (permission)
        keep_patterns(before, permission->patterns, false, kept);
    return permission;
}

static bool note_topic(const struct broker *broker, struct change *before, struct changes *kept)
{
    const struct user *user = user_find(broker, before->name);
    const struct topic_permission *topic =
        user ? topic_permission_find(user, before->vhost, before->source) : NULL;
    if (topic)
        keep_patterns(before, topic->patterns, true, kept);
    return topic;
}

static bool note_policy(struct broker *broker, struct change *before, struct changes *kept)
{
    bool is_operator = before->kind == CATALOGUE_OPERATOR_POLICY;
    const struct vhost *vhost = vhost_find(broker, before->vhost);
    const struct policy *policy = vhost ? policy_find(vhost, is_operator, before->name) : NULL;
    if (!policy)
        return false;
    before->pattern = changes_keep(kept, pattern_text(&policy->pattern));
    before->type = changes_keep(kept, bytes_str(policy_applies_to(policy)));
    before->definition = changes_keep(kept, policy_definition(policy));
    before->priority = policy->priority;
    return true;
}

static bool note_parameter(struct broker *broker, struct change *before, struct changes *kept)
{
    struct parameter_name name = {.vhost = before->vhost,
                                  .component = before->source,
                                  .name = before->name,
                                  .is_global = before->kind == CATALOGUE_GLOBAL_PARAMETER};
    const struct parameter *parameter = parameter_find(broker, &name);
    if (!parameter)
        return false;
    before->type = bytes_str(parameter->is_text ? "text" : "json");
    before->definition = changes_keep(kept, parameter_value(parameter));
    return true;
}

/* Fills in what is there of what the change names; false: nothing is. */
static bool note_before(struct broker *broker, struct change *before, struct changes *kept)
{
    switch (before->kind) {
    case CATALOGUE_VHOST:
        return note_vhost(broker, before, kept);
    case CATALOGUE_USER:
        return note_user(broker, before, kept);
    case CATALOGUE_PERMISSION:
        return note_permission(broker, before, kept);
    case CATALOGUE_TOPIC_PERMISSION:
        return note_topic(broker, before, kept);
    case CATALOGUE_POLICY:
    case CATALOGUE_OPERATOR_POLICY:
        return note_policy(broker, before, kept);
    case CATALOGUE_PARAMETER:
    case CATALOGUE_GLOBAL_PARAMETER:
        return note_parameter(broker, before, kept);
    default:
        return false; /* what is made of these is new */
    }
}

void undo_note(struct broker *broker, const struct change *change)
{
    if (change->is_delete)
        return;
    struct changes *kept = open_block(broker->undo);
    struct change before = {
        .kind = change->kind,
        .durable = change->durable,
        .id = change->id,
        .to_queue = change->to_queue,
        .vhost = changes_keep(kept, change->vhost),
        .name = changes_keep(kept, change->name),
        .source = changes_keep(kept, change->source),
        .routing_key = changes_keep(kept, change->routing_key),
    };
    struct bytes name = before.name;
    before.is_delete = !note_before(broker, &before, kept);
    before.name = name;
    if (before.kind == CATALOGUE_BINDING)
        before.arguments = changes_keep(kept, change->arguments);
    changes_add(kept, &before);
}

void undo_note_in(struct broker *broker, struct undo *undo)
{
    broker->undo = undo;
}

void undo_pause(struct broker *broker)
{
    broker->undo = NULL;
}

bool undo_forget(struct undo *undo, struct budget *budget)
{
    while (undo->last && !budget_is_spent(budget)) {
        budget_use(budget, undo->last->before.count * FORGET_STEPS);
        free_last(undo);
    }
    return undo->last;
}

/* ---- taking back ---- */

/* An exchange that goes with its last binding, and had none before, stays. */
static void take_binding(struct vhost *vhost, const struct change *change)
{
    const struct binding *binding = binding_find(vhost, change);
    if (!binding)
        return;
    struct exchange *source = binding->source;
    changes_add(&vhost->broker->changes, change);
    changes_apply(vhost->broker, &vhost->broker->changes);
    list_remove(&source->doomed_link);
}

/* A queue that somebody has made anew under the name is another one. */
static void take_in_vhost(struct vhost *vhost, const struct change *change)
{
    struct error error;
    struct queue *queue;
    if (change->kind == CATALOGUE_BINDING)
        take_binding(vhost, change);
    else if (change->kind == CATALOGUE_EXCHANGE)
        exchange_delete(vhost, change->name, false, &error);
    else if (change->kind == CATALOGUE_QUEUE && (queue = vhost_queue(vhost, change->name)) &&
             queue->id == change->id)
        queue_delete(queue);
}

/* One that was new, and may be protected by now. */
static void take_vhost(struct broker *broker, struct bytes name)
{
    struct error error;
    bool is_protected = false;
    struct vhost_request request = {.name = name, .is_protected = &is_protected};
    vhost_set(broker, &request, &error);
    vhost_delete(broker, name, &error);
}

static void take_back(struct broker *broker, const struct change *change)
{
    struct error error;
    struct vhost *vhost;
    bool is_in_vhost = change->kind == CATALOGUE_BINDING || change->kind == CATALOGUE_EXCHANGE ||
                       change->kind == CATALOGUE_QUEUE;
    if (change->kind == CATALOGUE_VHOST && change->is_delete) {
        take_vhost(broker, change->name);
    } else if (change->kind == CATALOGUE_USER && change->is_delete) {
        user_delete(broker, change->name, &error);
    } else if (is_in_vhost) {
        if ((vhost = vhost_find(broker, change->vhost)))
            take_in_vhost(vhost, change);
    } else {
        changes_add(&broker->changes, change);
        changes_apply(broker, &broker->changes);
    }
}

bool undo_take_back(struct broker *broker, struct undo *undo, struct budget *budget)
{
    while (undo->last && !budget_is_spent(budget)) {
        struct changes *before = &undo->last->before;
        take_back(broker, &before->list[--before->count]);
        budget_use(budget, UNDO_STEPS);
        if (before->count == 0)
            free_last(undo);
    }
    return undo->last;
}
