/* A disk in memory: files as bytes, with the writes that were not synced beside them. */
#include "disk_memory.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/mem.h"

/* A write that was not synced yet. */
struct write {
    struct list link;
    uint64_t offset, size;
    uint8_t *data;
};

struct inode {
    uint8_t *data; /* what a read sees */
    uint64_t size;
    uint8_t *durable;
    uint64_t durable_size;
    struct list writes; /* since the last sync */
    unsigned refs;
};

struct disk_file {
    struct memory *memory;
    struct inode *inode;
};

struct name {
    struct list link;
    char text[40];
    struct inode *inode;
};

/* A change of a name that was not synced yet. */
struct change {
    struct list link;
    char from[40], to[40]; /* "" -> to: created; from -> "": unlinked; else renamed */
    struct inode *inode;
};

struct memory {
    struct disk disk;
    struct list names, durable_names, changes;
    uint64_t calls, fail_at, limit, used, others;
    int error;
    bool forever, spares_reads, spares_opens, lie_files, lie_folder, others_are_greedy;
};

static struct memory *memory_of(struct disk *disk)
{
    return (struct memory *)disk;
}

static void inode_unref(struct inode *inode)
{
    if (--inode->refs > 0)
        return;
    struct list *link;
    while ((link = list_take_first(&inode->writes))) {
        struct write *write = list_entry(link, struct write, link);
        mem_free(write->data);
        mem_free(write);
    }
    mem_free(inode->data);
    mem_free(inode->durable);
    mem_free(inode);
}

static struct name *find(struct list *names, const char *text)
{
    list_for_each(link, names) {
        struct name *name = list_entry(link, struct name, link);
        if (strcmp(name->text, text) == 0)
            return name;
    }
    return NULL;
}

static void name_remove(struct list *names, const char *text)
{
    struct name *name = find(names, text);
    if (!name)
        return;
    list_remove(&name->link);
    inode_unref(name->inode);
    mem_free(name);
}

static void name_put(struct list *names, const char *text, struct inode *inode)
{
    inode->refs++;
    name_remove(names, text);
    struct name *name = mem_zalloc(sizeof(*name));
    strncpy(name->text, text, sizeof(name->text) - 1);
    name->inode = inode;
    list_push_back(names, &name->link);
}

static void apply(struct list *names, const char *from, const char *to, struct inode *inode)
{
    inode->refs++;
    if (*from)
        name_remove(names, from);
    if (*to)
        name_put(names, to, inode);
    inode_unref(inode);
}

static void change(struct memory *memory, const char *from, const char *to, struct inode *inode)
{
    struct change *entry = mem_zalloc(sizeof(*entry));
    strncpy(entry->from, from, sizeof(entry->from) - 1);
    strncpy(entry->to, to, sizeof(entry->to) - 1);
    entry->inode = inode;
    inode->refs++;
    list_push_back(&memory->changes, &entry->link);
    apply(&memory->names, from, to, inode);
}

static void change_free(struct change *entry)
{
    list_remove(&entry->link);
    inode_unref(entry->inode);
    mem_free(entry);
}

static int fault(struct memory *memory)
{
    memory->calls++;
    if (!memory->fail_at || memory->calls < memory->fail_at)
        return 0;
    if (memory->calls > memory->fail_at && !memory->forever)
        return 0;
    return memory->error;
}

static int memory_open(struct disk *disk, const char *text, enum disk_mode mode,
                       struct disk_file **file)
{
    struct memory *memory = memory_of(disk);
    int error = fault(memory);
    if (error && !(mode == DISK_READ && memory->spares_opens))
        return error;
    struct name *name = find(&memory->names, text);
    if (mode == DISK_CREATE && name)
        return EEXIST;
    if (mode != DISK_CREATE && !name)
        return ENOENT;
    struct inode *inode = name ? name->inode : NULL;
    if (!inode) {
        inode = mem_zalloc(sizeof(*inode));
        list_init(&inode->writes);
        inode->refs = 1;
        change(memory, "", text, inode);
        inode->refs--;
    }
    *file = mem_zalloc(sizeof(**file));
    (*file)->memory = memory;
    (*file)->inode = inode;
    inode->refs++;
    return 0;
}

static void memory_close(struct disk_file *file)
{
    inode_unref(file->inode);
    mem_free(file);
}

static void put(uint8_t **data, uint64_t *size, uint64_t offset, const uint8_t *from,
                uint64_t count)
{
    if (offset + count > *size) {
        *data = mem_realloc(*data, offset + count);
        memset(*data + *size, 0, offset + count - *size);
        *size = offset + count;
    }
    if (count)
        memcpy(*data + offset, from, count);
}

static void write_bytes(struct inode *inode, uint64_t offset, const uint8_t *from, uint64_t count)
{
    struct write *write = mem_zalloc(sizeof(*write));
    write->offset = offset;
    write->size = count;
    write->data = mem_dup(from, count);
    list_push_back(&inode->writes, &write->link);
    put(&inode->data, &inode->size, offset, from, count);
}

/* What a file that is used again holds behind the end of a write goes, up to the end of the block. */
static void clear_block(struct inode *inode, uint64_t end)
{
    static const uint8_t zeros[DISK_BLOCK];
    uint64_t left = end < inode->size ? inode->size - end : 0;
    uint64_t rest = (DISK_BLOCK - end % DISK_BLOCK) % DISK_BLOCK;
    if (left && rest)
        write_bytes(inode, end, zeros, rest < left ? rest : left);
}

/* How much of this a file may grow by. */
static uint64_t room_for(const struct memory *memory, uint64_t grows)
{
    uint64_t used = memory->used + memory->others;
    uint64_t room = used < memory->limit ? memory->limit - used : 0;
    return memory->limit && room < grows ? room : grows;
}

static int memory_write(struct disk_file *file, struct iovec *parts, int count, uint64_t offset)
{
    struct memory *memory = file->memory;
    int error = fault(memory);
    for (int i = 0; i < count; i++) {
        uint64_t size = parts[i].iov_len, before = file->inode->size;
        uint64_t has = offset < before ? before - offset : 0;
        uint64_t room = room_for(memory, size > has ? size - has : 0);
        bool is_full = memory->limit && memory->used > memory->limit; /* which it was not before */
        if (!error && (is_full || size > has + room))
            error = ENOSPC;
        if (error) /* a part gets through */
            size = size / 2 < has + room ? size / 2 : has + room;
        write_bytes(file->inode, offset, parts[i].iov_base, size);
        memory->used += file->inode->size - before;
        if (error)
            return error;
        offset += size;
    }
    clear_block(file->inode, offset);
    return 0;
}

static int memory_read(struct disk_file *file, void *data, uint64_t size, uint64_t offset,
                       uint64_t *got)
{
    int error = fault(file->memory);
    if (error && !file->memory->spares_reads)
        return error;
    uint64_t left = offset < file->inode->size ? file->inode->size - offset : 0;
    *got = size < left ? size : left;
    if (*got)
        memcpy(data, file->inode->data + offset, *got);
    return 0;
}

static void settle(struct inode *inode)
{
    struct list *link;
    while ((link = list_take_first(&inode->writes))) {
        struct write *write = list_entry(link, struct write, link);
        put(&inode->durable, &inode->durable_size, write->offset, write->data, write->size);
        mem_free(write->data);
        mem_free(write);
    }
}

static int memory_sync(struct disk_file *file)
{
    int error = fault(file->memory);
    if (!error && !file->memory->lie_files)
        settle(file->inode);
    return error;
}

static int memory_write_sync(struct disk_file *file, struct iovec *parts, int count,
                             uint64_t offset)
{
    int error = memory_write(file, parts, count, offset);
    if (error)
        return error;
    error = memory_sync(file);
    return error == ENOSPC || error == EDQUOT ? EIO : error;
}

static int memory_size(struct disk_file *file, uint64_t *size)
{
    int error = fault(file->memory);
    *size = file->inode->size;
    return error;
}

/* Room that a file has no more. */
static void give_back(struct memory *memory, uint64_t bytes)
{
    bytes = bytes < memory->used ? bytes : memory->used;
    memory->used -= bytes;
    if (memory->others_are_greedy)
        memory->others += bytes;
}

static int memory_rename(struct disk *disk, const char *from, const char *to)
{
    struct memory *memory = memory_of(disk);
    int error = fault(memory);
    struct name *name = find(&memory->names, from), *replaced = find(&memory->names, to);
    if (error || !name)
        return error ? error : ENOENT;
    if (replaced)
        give_back(memory, replaced->inode->size);
    change(memory, from, to, name->inode);
    return 0;
}

static int memory_unlink(struct disk *disk, const char *text)
{
    struct memory *memory = memory_of(disk);
    int error = fault(memory);
    struct name *name = find(&memory->names, text);
    if (error || !name)
        return error ? error : ENOENT;
    give_back(memory, name->inode->size);
    change(memory, text, "", name->inode);
    return 0;
}

static void settle_names(struct memory *memory, uint64_t count)
{
    struct list *link;
    while (count-- && (link = list_first(&memory->changes))) {
        struct change *entry = list_entry(link, struct change, link);
        apply(&memory->durable_names, entry->from, entry->to, entry->inode);
        change_free(entry);
    }
}

static int memory_sync_folder(struct disk *disk)
{
    struct memory *memory = memory_of(disk);
    int error = fault(memory);
    if (!error && !memory->lie_folder)
        settle_names(memory, UINT64_MAX);
    return error;
}

static int memory_list(struct disk *disk, void (*each)(void *context, const char *name),
                       void *context)
{
    int error = fault(memory_of(disk));
    if (!error)
        disk_memory_each(disk, each, context);
    return error;
}

static int memory_free_space(struct disk *disk, uint64_t *bytes, uint64_t *total)
{
    struct memory *memory = memory_of(disk);
    *total = memory->limit ? memory->limit : UINT64_MAX;
    uint64_t used = memory->used + memory->others;
    *bytes = !memory->limit         ? UINT64_MAX
             : used < memory->limit ? memory->limit - used
                                    : 0;
    return 0;
}

static int memory_allocate(struct disk_file *file, uint64_t size)
{
    struct memory *memory = file->memory;
    int error = fault(memory);
    uint64_t before = file->inode->size, grows = size > before ? size - before : 0;
    if (error || room_for(memory, grows) < grows)
        return error ? error : ENOSPC;
    if (grows) {
        uint8_t *zeros = mem_zalloc(grows);
        write_bytes(file->inode, before, zeros, grows);
        mem_free(zeros);
    }
    memory->used += grows;
    return 0;
}

/* What a crash brings back is the durable part, which stays as long. */
static int memory_cut(struct disk_file *file, uint64_t size)
{
    struct memory *memory = file->memory;
    int error = fault(memory);
    if (error || size >= file->inode->size)
        return error;
    give_back(memory, file->inode->size - size);
    file->inode->size = size;
    return 0;
}

static const struct disk_ops ops = {
    .open = memory_open,
    .close = memory_close,
    .write = memory_write,
    .write_sync = memory_write_sync,
    .read = memory_read,
    .sync = memory_sync,
    .size = memory_size,
    .rename = memory_rename,
    .unlink = memory_unlink,
    .sync_folder = memory_sync_folder,
    .list = memory_list,
    .free_space = memory_free_space,
    .allocate = memory_allocate,
    .cut = memory_cut,
};

struct disk *disk_memory_new(void)
{
    struct memory *memory = mem_zalloc(sizeof(*memory));
    memory->disk.ops = &ops;
    list_init(&memory->names);
    list_init(&memory->durable_names);
    list_init(&memory->changes);
    return &memory->disk;
}

static void names_clear(struct list *names)
{
    struct list *link;
    while ((link = list_first(names)))
        name_remove(names, list_entry(link, struct name, link)->text);
}

static void changes_clear(struct memory *memory)
{
    struct list *link;
    while ((link = list_first(&memory->changes)))
        change_free(list_entry(link, struct change, link));
}

void disk_memory_free(struct disk *disk)
{
    struct memory *memory = memory_of(disk);
    changes_clear(memory);
    names_clear(&memory->names);
    names_clear(&memory->durable_names);
    mem_free(memory);
}

/* Some of the unsynced writes reach the disk, whole or torn, in an order of their own. */
static void settle_some(struct inode *inode, struct random *random)
{
    struct list *link;
    struct list kept;
    list_init(&kept);
    while ((link = list_take_first(&inode->writes))) {
        if (random_below(random, 2))
            list_push_front(&kept, link);
        else
            list_push_back(&kept, link);
    }
    while ((link = list_take_first(&kept))) {
        struct write *write = list_entry(link, struct write, link);
        if (random_below(random, 2)) {
            /* Torn: a run of its bytes. */
            uint64_t from = random_below(random, 3) ? 0 : random_below(random, write->size + 1);
            uint64_t to = random_below(random, 2) ? write->size
                                                  : from + random_below(random, write->size - from + 1);
            put(&inode->durable, &inode->durable_size, write->offset + from, write->data + from,
                to - from);
        }
        mem_free(write->data);
        mem_free(write);
    }
}

static void inode_crash(struct inode *inode, enum crash how, struct random *random)
{
    if (how == CRASH_KEEP)
        settle(inode);
    if (how == CRASH_KEEP && inode->durable_size > inode->size) /* it was cut */
        inode->durable_size = inode->size;
    else if (how == CRASH_RANDOM)
        settle_some(inode, random);
    struct list *link;
    while ((link = list_take_first(&inode->writes))) {
        struct write *write = list_entry(link, struct write, link);
        mem_free(write->data);
        mem_free(write);
    }
    mem_free(inode->data);
    inode->data = mem_dup(inode->durable, inode->durable_size);
    inode->size = inode->durable_size;
}

void disk_memory_crash(struct disk *disk, enum crash how, struct random *random)
{
    struct memory *memory = memory_of(disk);
    memory->fail_at = 0;
    uint64_t names = 0;
    list_for_each(link, &memory->changes) names++;
    if (how == CRASH_KEEP)
        settle_names(memory, UINT64_MAX);
    else if (how == CRASH_RANDOM)
        settle_names(memory, random_below(random, names + 1));
    changes_clear(memory);
    names_clear(&memory->names);
    memory->used = 0;
    list_for_each(link, &memory->durable_names) {
        struct name *name = list_entry(link, struct name, link);
        inode_crash(name->inode, how, random);
        name_put(&memory->names, name->text, name->inode);
        memory->used += name->inode->size;
    }
}

uint64_t disk_memory_calls(const struct disk *disk)
{
    return ((const struct memory *)disk)->calls;
}

void disk_memory_fail(struct disk *disk, uint64_t at, int error, bool forever)
{
    struct memory *memory = memory_of(disk);
    memory->fail_at = at ? memory->calls + at : 0;
    memory->error = error;
    memory->forever = forever;
}

void disk_memory_spare_reads(struct disk *disk)
{
    memory_of(disk)->spares_reads = true;
}

void disk_memory_spare_opens(struct disk *disk, bool spares)
{
    memory_of(disk)->spares_opens = spares;
}

void disk_memory_limit(struct disk *disk, uint64_t bytes)
{
    memory_of(disk)->limit = bytes;
}

void disk_memory_take(struct disk *disk, uint64_t bytes)
{
    memory_of(disk)->others = bytes;
    memory_of(disk)->others_are_greedy = false;
}

void disk_memory_take_all(struct disk *disk)
{
    struct memory *memory = memory_of(disk);
    uint64_t used = memory->used + memory->others;
    memory->others += used < memory->limit ? memory->limit - used : 0;
    memory->others_are_greedy = true;
}

void disk_memory_lie(struct disk *disk, bool files, bool folder)
{
    memory_of(disk)->lie_files = files;
    memory_of(disk)->lie_folder = folder;
}

uint8_t *disk_memory_contents(struct disk *disk, const char *text, uint64_t *size)
{
    struct name *name = find(&memory_of(disk)->names, text);
    if (!name)
        return NULL;
    *size = name->inode->size;
    return name->inode->data;
}

void disk_memory_cut(struct disk *disk, const char *text, uint64_t size)
{
    struct name *name = find(&memory_of(disk)->names, text);
    assert(name && size <= name->inode->size);
    name->inode->size = size;
}

struct disk *disk_memory_copy(struct disk *disk)
{
    struct disk *copy = disk_memory_new();
    struct memory *to = memory_of(copy);
    list_for_each(link, &memory_of(disk)->names) {
        struct name *name = list_entry(link, struct name, link);
        struct inode *inode = mem_zalloc(sizeof(*inode));
        list_init(&inode->writes);
        inode->data = mem_dup(name->inode->data, name->inode->size);
        inode->durable = mem_dup(name->inode->data, name->inode->size);
        inode->size = inode->durable_size = name->inode->size;
        to->used += inode->size;
        name_put(&to->names, name->text, inode);
        name_put(&to->durable_names, name->text, inode);
    }
    return copy;
}

bool disk_memory_equal(struct disk *a, struct disk *b)
{
    uint64_t names = 0;
    list_for_each(link, &memory_of(a)->names) {
        struct name *name = list_entry(link, struct name, link);
        struct name *other = find(&memory_of(b)->names, name->text);
        if (!other || other->inode->size != name->inode->size)
            return false;
        if (name->inode->size &&
            memcmp(other->inode->data, name->inode->data, name->inode->size) != 0)
            return false;
        names++;
    }
    list_for_each(link, &memory_of(b)->names) names--;
    return names == 0;
}

void disk_memory_each(struct disk *disk, void (*each)(void *context, const char *name),
                      void *context)
{
    list_for_each(link, &memory_of(disk)->names)
        each(context, list_entry(link, struct name, link)->text);
}
