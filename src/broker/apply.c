#include "broker/apply.h"

#include "base/planted.h"
#include "broker/audit.h"
#include "broker/catalogue.h"
#include "broker/delay.h"
#include "broker/events.h"
#include "broker/parameter.h"
#include "broker/undo.h"

/* Room for an entry is kept up to this size. */
enum { SCRATCH_KEPT = 4096 };

static void put_on_record(struct broker *broker, const struct change *change)
{
    struct bytes key, value;
    catalogue_write(change, &broker->scratch, &key, &value);
    if (change->is_delete)
        store_catalogue_delete(broker->store, key);
    else
        store_catalogue_put(broker->store, key, value);
    if (broker->scratch.capacity > SCRATCH_KEPT)
        buffer_free(&broker->scratch);
}

/* What is leaving is no longer there. */
static void end_on_record(struct broker *broker, const struct change *leaving)
{
    struct change gone = *leaving;
    gone.kind = leaving->to_queue ? CATALOGUE_QUEUE : CATALOGUE_EXCHANGE;
    gone.is_delete = true;
    put_on_record(broker, &gone);
}

static bool is_on_record(const struct change *change)
{
    if (planted(PLANTED_UNBIND_OFF_RECORD) && change->kind == CATALOGUE_BINDING)
        return change->durable && !change->is_delete;
    return change->durable;
}

static void apply_in_vhost(struct vhost *vhost, const struct change *change)
{
    switch (change->kind) {
    case CATALOGUE_EXCHANGE:
        exchange_apply(vhost, change);
        return;
    case CATALOGUE_QUEUE:
        queue_apply(vhost, change);
        return;
    case CATALOGUE_BINDING:
        binding_apply(vhost, change);
        return;
    case CATALOGUE_POLICY:
    case CATALOGUE_OPERATOR_POLICY:
        policy_apply(vhost, change);
        return;
    case CATALOGUE_DELAYS:
        delay_apply(vhost, change);
        return;
    case CATALOGUE_PARAMETER:
        parameter_apply(&vhost->parameters, change);
        return;
    default:
        leaving_apply(vhost, change);
    }
}

/* Changes come one after the other in one virtual host, mostly. */
static struct vhost *vhost_of(struct broker *broker, struct bytes name)
{
    struct vhost *vhost = broker->changed_vhost;
    if (!vhost || !bytes_equal(vhost_name(vhost), name))
        vhost = broker->changed_vhost = vhost_find_any(broker, name);
    return vhost;
}

static void apply_data(struct broker *broker, const struct change *change)
{
    struct vhost *vhost;
    switch (change->kind) {
    case CATALOGUE_VHOST:
        vhost_apply(broker, change);
        return;
    case CATALOGUE_USER:
        user_apply(broker, change);
        return;
    case CATALOGUE_PERMISSION:
        permission_apply(broker, change);
        return;
    case CATALOGUE_TOPIC_PERMISSION:
        topic_permission_apply(broker, change);
        return;
    case CATALOGUE_GLOBAL_PARAMETER:
        parameter_apply(&broker->parameters, change);
        return;
    default:
        if ((vhost = vhost_of(broker, change->vhost)))
            apply_in_vhost(vhost, change);
    }
}

/* What goes takes the bytes of its change along, so that it is written down before. */
void catalogue_apply(struct broker *broker, const struct change *change, enum record record)
{
    bool is_recorded = record == ON_RECORD && is_on_record(change);
    bool is_leaving = change->kind == CATALOGUE_LEAVING && !change->is_delete;
    if (planted(PLANTED_LEAVING_NOT_TOLD) && is_leaving && record == OFF_RECORD)
        return;
    if (is_recorded && is_leaving)
        end_on_record(broker, change);
    if (is_recorded && (is_leaving || change->is_delete))
        put_on_record(broker, change);
    apply_data(broker, change);
    if (is_recorded && !is_leaving && !change->is_delete)
        put_on_record(broker, change);
}

static void apply_and_tell(struct broker *broker, const struct change *change)
{
    bool comes_after = events_come_after(change);
    if (!comes_after)
        events_change(broker, change);
    catalogue_apply(broker, change, ON_RECORD);
    if (comes_after)
        events_change(broker, change);
}

void changes_apply(struct broker *broker, struct changes *changes)
{
    for (size_t i = 0; i < changes->count; i++) {
        if (broker->undo)
            undo_note(broker, &changes->list[i]);
        if (broker->audit)
            audit_change(broker, &changes->list[i]);
        if (broker->has_events)
            apply_and_tell(broker, &changes->list[i]);
        else
            catalogue_apply(broker, &changes->list[i], ON_RECORD);
    }
    changes_clear(changes);
}
