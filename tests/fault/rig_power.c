/* A machine that loses power: at a call of the disk or of the key-value store both are gone from then on,
 * and a crash decides what each of them has kept. */
#include "tests/fault/rig_internal.h"

#include <errno.h>
#include <stdio.h>

#include "base/mem.h"

/* A key-value store that goes down with the disk. */
struct rig_kv {
    struct kv kv;
    struct rig *rig;
};

static struct rig *rig_of(struct kv *kv)
{
    return ((struct rig_kv *)(void *)kv)->rig;
}

bool rig_is_dead(const struct rig *rig)
{
    return (rig->dead_kv_call && rig->kv_calls >= rig->dead_kv_call) ||
           (rig->dead_disk_call && disk_memory_calls(rig->disk) >= rig->dead_disk_call);
}

static int fail_if_dead(struct rig *rig)
{
    rig->kv_calls++;
    if (!rig_is_dead(rig))
        return 0;
    disk_memory_fail(rig->disk, 1, EIO, true);
    snprintf(rig->kv->error, sizeof(rig->kv->error), "the power is gone");
    return -1;
}

static int pass(struct rig *rig, int result)
{
    if (result < 0)
        snprintf(rig->kv->error, sizeof(rig->kv->error), "%s", rig->memory->error);
    return result;
}

static int kv_open(struct kv *kv)
{
    struct rig *rig = rig_of(kv);
    return fail_if_dead(rig) ? -1 : pass(rig, rig->memory->ops->open(rig->memory));
}

static int kv_get(struct kv *kv, struct bytes key, struct buffer *value)
{
    struct rig *rig = rig_of(kv);
    return fail_if_dead(rig) ? -1 : pass(rig, rig->memory->ops->get(rig->memory, key, value));
}

static int kv_write(struct kv *kv, struct bytes batch, bool sync)
{
    struct rig *rig = rig_of(kv);
    return fail_if_dead(rig) ? -1 : pass(rig, rig->memory->ops->write(rig->memory, batch, sync));
}

static int kv_scan(struct kv *kv, struct bytes prefix, struct bytes from,
                   bool (*each)(void *context, struct bytes key, struct bytes value), void *context)
{
    struct rig *rig = rig_of(kv);
    if (fail_if_dead(rig))
        return -1;
    return pass(rig, rig->memory->ops->scan(rig->memory, prefix, from, each, context));
}

static void kv_close(struct kv *kv)
{
    rig_of(kv)->memory->ops->close(rig_of(kv)->memory);
}

static const struct kv_ops kv_ops = {kv_open, kv_get, kv_write, kv_scan, kv_close};

struct kv *rig_kv_new(struct rig *rig)
{
    struct rig_kv *kv = mem_zalloc(sizeof(*kv));
    kv->kv.ops = &kv_ops;
    kv->rig = rig;
    return &kv->kv;
}

void rig_crash(struct rig *rig, enum crash how)
{
    disk_memory_fail(rig->disk, 1, EIO, true);
    kv_memory_fail(rig->memory, 1, true);
    rig_abandon(rig);
    disk_memory_crash(rig->disk, how, &rig->random);
    kv_memory_crash(rig->memory, how == CRASH_KEEP, how == CRASH_RANDOM ? &rig->random : NULL);
    kv_memory_fail(rig->memory, 0, false);
    rig_lose_power_at(rig, 0, 0);
}

void rig_lose_power_at(struct rig *rig, uint64_t disk_call, uint64_t kv_call)
{
    rig->dead_disk_call = disk_call ? disk_memory_calls(rig->disk) + disk_call : 0;
    rig->dead_kv_call = kv_call ? rig->kv_calls + kv_call : 0;
    disk_memory_fail(rig->disk, disk_call, EIO, true);
}
