/* A disk in front of another one: notes, and failures on command. */
#include "tests/lib/disk_observed.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

struct disk_file {
    struct disk_file *under;
    struct disk_observed *observed;
    char name[40];
};

static struct disk_observed *self_of(struct disk *disk)
{
    return (struct disk_observed *)(void *)disk;
}

static bool begins(const char *name, const char *with)
{
    return strncmp(name, with, strlen(with)) == 0;
}

/* The error that the act is to have. */
static int fault(struct disk_observed *self, enum act_kind kind, const char *name)
{
    if (self->fail_count == 0 || kind != self->fail_kind || !begins(name, self->fail_name))
        return 0;
    self->fail_count--;
    return self->fail_error;
}

static int note(struct disk_observed *self, enum act_kind kind, const char *name, int error)
{
    if (self->count == ACTS_MAX)
        return error;
    struct act *act = &self->acts[self->count++];
    act->kind = kind;
    act->error = error;
    snprintf(act->name, sizeof(act->name), "%s", name);
    return error;
}

static int observed_open(struct disk *disk, const char *name, enum disk_mode mode,
                         struct disk_file **file)
{
    struct disk_observed *self = self_of(disk);
    enum act_kind kind = mode == DISK_CREATE ? ACT_CREATE : ACT_OPEN;
    struct disk_file *under;
    int error = mode == DISK_READ ? 0 : fault(self, kind, name);
    if (!error)
        error = self->under->ops->open(self->under, name, mode, &under);
    if (mode != DISK_READ)
        note(self, kind, name, error);
    if (error)
        return error;
    *file = mem_zalloc(sizeof(**file));
    (*file)->under = under;
    (*file)->observed = self;
    snprintf((*file)->name, sizeof((*file)->name), "%s", name);
    return 0;
}

static void observed_close(struct disk_file *file)
{
    file->observed->under->ops->close(file->under);
    mem_free(file);
}

static int observed_write(struct disk_file *file, struct iovec *parts, int count, uint64_t offset)
{
    struct disk_observed *self = file->observed;
    int error = fault(self, ACT_WRITE, file->name);
    if (!error)
        error = self->under->ops->write(file->under, parts, count, offset);
    return note(self, ACT_WRITE, file->name, error);
}

static int observed_write_sync(struct disk_file *file, struct iovec *parts, int count,
                               uint64_t offset)
{
    struct disk_observed *self = file->observed;
    int error = fault(self, ACT_WRITE_SYNC, file->name);
    if (!error)
        error = self->under->ops->write(file->under, parts, count, offset);
    if (!error)
        error = self->under->ops->sync(file->under);
    return note(self, ACT_WRITE_SYNC, file->name, error);
}

static int observed_sync(struct disk_file *file)
{
    struct disk_observed *self = file->observed;
    int error = fault(self, ACT_SYNC, file->name);
    return note(self, ACT_SYNC, file->name, error ? error : self->under->ops->sync(file->under));
}

static int observed_read(struct disk_file *file, void *data, uint64_t size, uint64_t offset,
                         uint64_t *got)
{
    return file->observed->under->ops->read(file->under, data, size, offset, got);
}

static int observed_size(struct disk_file *file, uint64_t *size)
{
    return file->observed->under->ops->size(file->under, size);
}

static int observed_allocate(struct disk_file *file, uint64_t size)
{
    return file->observed->under->ops->allocate(file->under, size);
}

static int observed_cut(struct disk_file *file, uint64_t size)
{
    struct disk_observed *self = file->observed;
    int error = fault(self, ACT_CUT, file->name);
    return note(self, ACT_CUT, file->name,
                error ? error : self->under->ops->cut(file->under, size));
}

static int observed_rename(struct disk *disk, const char *from, const char *to)
{
    struct disk_observed *self = self_of(disk);
    int error = fault(self, ACT_RENAME, to);
    return note(self, ACT_RENAME, to, error ? error : self->under->ops->rename(self->under, from, to));
}

static int observed_unlink(struct disk *disk, const char *name)
{
    struct disk_observed *self = self_of(disk);
    int error = fault(self, ACT_UNLINK, name);
    return note(self, ACT_UNLINK, name, error ? error : self->under->ops->unlink(self->under, name));
}

static int observed_sync_folder(struct disk *disk)
{
    struct disk_observed *self = self_of(disk);
    int error = fault(self, ACT_SYNC_FOLDER, "");
    return note(self, ACT_SYNC_FOLDER, "", error ? error : self->under->ops->sync_folder(self->under));
}

static int observed_list(struct disk *disk, void (*each)(void *context, const char *name),
                         void *context)
{
    return self_of(disk)->under->ops->list(self_of(disk)->under, each, context);
}

static int observed_free_space(struct disk *disk, uint64_t *bytes, uint64_t *total)
{
    return self_of(disk)->under->ops->free_space(self_of(disk)->under, bytes, total);
}

static const struct disk_ops ops = {
    .open = observed_open,
    .close = observed_close,
    .write = observed_write,
    .write_sync = observed_write_sync,
    .read = observed_read,
    .sync = observed_sync,
    .size = observed_size,
    .rename = observed_rename,
    .unlink = observed_unlink,
    .sync_folder = observed_sync_folder,
    .list = observed_list,
    .free_space = observed_free_space,
    .allocate = observed_allocate,
    .cut = observed_cut,
};

void disk_observed_init(struct disk_observed *self, struct disk *under)
{
    *self = (struct disk_observed){.disk.ops = &ops, .under = under, .fail_name = ""};
}

void disk_observed_fail(struct disk_observed *self, enum act_kind kind, const char *name, int error,
                        unsigned count)
{
    self->fail_kind = kind;
    self->fail_name = name;
    self->fail_error = error;
    self->fail_count = count;
}

size_t disk_observed_find(const struct disk_observed *self, size_t from, enum act_kind kind,
                          const char *name)
{
    while (from < self->count &&
           !(self->acts[from].kind == kind && begins(self->acts[from].name, name)))
        from++;
    return from;
}
