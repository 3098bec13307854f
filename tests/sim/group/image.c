/* Copies of a leader's store, as who lacks what no log has any more gets them: made by store/backup, on their way
 * for a while, and taken over as src/membership.c does, at a start that comes at once. Whoever made one may have
 * lost its office since, or be gone; and who gets one may have been elected. */
#include "tests/lib/disk_memory.h"
#include "tests/lib/kv_memory.h"
#include "tests/sim/group/members.h"

enum { WAY_MS = 4000, ASKED_EVERY_MS = 3000 };

static void begin(struct run *run, struct node *from, struct node *to)
{
    struct copied *image = &run->image;
    if (!group_image(node_group(from, 0), &image->image))
        return;
    image->backup = (struct store_backup){
        .disk = node_new_disk(), .kv = kv_memory_new(), .worker = drive_worker(&from->drive, DRIVE_COPIER)};
    image->from = from->number;
    image->to = to->number;
    image->ready_ms = 0;
    image->is_on = store_backup(from->store, &image->backup);
    if (!image->is_on) {
        disk_memory_free(image->backup.disk);
        kv_memory_free(image->backup.kv);
    }
}

/* What was made is nobody's. */
static void drop(struct run *run)
{
    run->image.is_on = false;
    disk_memory_free(run->image.backup.disk);
    kv_memory_free(run->image.backup.kv);
}

/* Who lacks something is helped; others get one by chance. */
static bool is_wanted(struct run *run, const struct group *group, const struct node *to)
{
    uint64_t member = group_member_id(run->bench.first_number + to->number, to->seats[0].seat);
    return group_lacks(group, member) || (!run->is_healing && run_chance(run, ASKED_EVERY_MS));
}

static void look_for_one(struct run *run)
{
    for (uint32_t i = 0; i < run->nodes; i++) {
        struct node *from = &run->of[i];
        struct group *group = node_is_up(from) ? node_group(from, 0) : NULL;
        if (!group || !group_engine(group) || !engine_leads(group_engine(group)))
            continue;
        for (uint32_t k = 0; k < run->nodes && !run->image.is_on; k++)
            if (k != i && run->of[k].seats[0].seat && is_wanted(run, group, &run->of[k]))
                begin(run, from, &run->of[k]);
    }
}

static void arrive(struct run *run)
{
    struct copied *image = &run->image;
    struct node *to = &run->of[image->to];
    struct group *group = node_is_up(to) ? node_group(to, 0) : NULL;
    if (!group || group_may_replace(group, &image->image)) {
        run->report->images_refused += group != NULL;
        drop(run);
        return;
    }
    run_say(run, "node %u goes on with the store of node %u", image->to, image->from);
    run->report->images++;
    image->is_on = false;
    node_take(to, image->backup.disk, image->backup.kv, image->names_from);
}

void image_step(struct run *run)
{
    struct copied *image = &run->image;
    if (!run->has_images)
        return;
    if (!image->is_on) {
        look_for_one(run);
        return;
    }
    if (image->backup.state == STORE_BACKUP_FAILED)
        drop(run);
    if (!image->is_on || image->backup.state == STORE_BACKUP_GOES_ON)
        return;
    if (image->ready_ms == 0) {
        image->ready_ms = run->bench.now_ms + 1 + run_below(run, WAY_MS);
        image->names_from = run->truths[0].last;
    }
    if (run->bench.now_ms >= image->ready_ms)
        arrive(run);
}

void image_end(struct run *run)
{
    if (run->image.is_on)
        drop(run);
}
