/* LevelDB cannot be opened without being written to: it starts a new log, and may compact. So it is
 * given a copy of the index in a temporary folder: its tables, which never change, as symbolic
 * links, the rest as copies. All else that is needed of the store is only read. */
#include "check_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "broker/catalogue.h"
#include "folder.h"

static void print(void *context, const char *line)
{
    fprintf(context, "%s\n", line);
}

static bool ends_with(const char *name, const char *end)
{
    size_t size = strlen(name);
    size_t end_size = strlen(end);
    return size > end_size && strcmp(name + size - end_size, end) == 0;
}

static int copy_contents(int from, int to)
{
    char part[16384];
    ssize_t got;
    while ((got = read(from, part, sizeof(part))) > 0)
        for (ssize_t at = 0; at < got;) {
            ssize_t wrote = write(to, part + at, (size_t)(got - at));
            if (wrote < 0)
                return -1;
            at += wrote;
        }
    return got < 0 ? -1 : 0;
}

int check_copy_file(const char *from, const char *to)
{
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = in < 0 ? -1 : open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int result = out < 0 ? -1 : copy_contents(in, out);
    if (in >= 0)
        close(in);
    if (out >= 0)
        close(out);
    return result;
}

/* One file of the index; those that LevelDB makes anew are left out. */
static int copy_file(const char *from, const char *to, const char *name)
{
    char *source = folder_join(from, name);
    char *target = folder_join(to, name);
    int result = 0;
    if (ends_with(name, ".ldb") || ends_with(name, ".sst"))
        result = symlink(source, target);
    else if (strcmp(name, "CURRENT") == 0 || strncmp(name, "MANIFEST-", 9) == 0 ||
             ends_with(name, ".log"))
        result = check_copy_file(source, target);
    mem_free(source);
    mem_free(target);
    return result;
}

static int each_file(const char *path, int (*each)(const char *, const char *, const char *),
                     const char *to)
{
    DIR *entries = opendir(path);
    if (!entries)
        return errno == ENOENT ? 0 : -1;
    const struct dirent *entry;
    int result = 0;
    while (result == 0 && (entry = readdir(entries)))
        if (entry->d_name[0] != '.')
            result = each(path, to, entry->d_name);
    closedir(entries);
    return result;
}

static int remove_file(const char *from, const char *to, const char *name)
{
    (void)to;
    char *path = folder_join(from, name);
    unlink(path);
    mem_free(path);
    return 0;
}

/* Fills the empty folder `to` with a copy of the index of the store in `path`, which is not changed
 * by what is done with it: files that are only read are linked. */
static int copy_index(const char *path, const char *to)
{
    char *index = folder_join(path, "index");
    char *whole = realpath(index, NULL);
    int result = whole ? each_file(whole, copy_file, to) : errno == ENOENT ? 0 : -1;
    free(whole);
    mem_free(index);
    return result;
}

static int run(struct disk *disk, const char *index, struct store_options *options)
{
    struct message_pool pool;
    message_pool_init(&pool);
    struct kv *kv = kv_leveldb_new(index);
    struct worker *worker = worker_manual_new(true);
    options->disk = disk;
    options->kv = kv;
    options->pool = &pool;
    options->syncer = options->indexer = options->reader = worker;
    options->is_newer = catalogue_is_newer;
    int result = store_check(options, print, stdout, NULL);
    worker_manual_free(worker);
    kv_leveldb_free(kv);
    message_pool_free(&pool);
    return result;
}

void check_drop_copy(char *copy)
{
    if (!copy)
        return;
    char *lost = folder_join(copy, "lost"); /* of a repair */
    each_file(lost, remove_file, NULL);
    rmdir(lost);
    each_file(copy, remove_file, NULL);
    rmdir(copy);
    mem_free(lost);
    mem_free(copy);
}

char *check_copy_index(const char *path)
{
    const char *place = getenv("TMPDIR");
    char *temporary = folder_join(place && *place ? place : "/tmp", "leveretd-check.XXXXXX");
    if (!mkdtemp(temporary)) {
        printf("cannot make %s: %s\n", temporary, strerror(errno));
        mem_free(temporary);
        return NULL;
    }
    if (copy_index(path, temporary) == 0)
        return temporary;
    printf("cannot read the index of %s: %s\n", path, strerror(errno));
    check_drop_copy(temporary);
    return NULL;
}

static int check_copy(const char *path, struct disk *disk, struct store_options *options)
{
    char *copy = check_copy_index(path);
    int result = copy ? run(disk, copy, options) : 2;
    check_drop_copy(copy);
    return result;
}

int check_store(const char *path, struct store_options *options)
{
    char error[512];
    struct disk *disk = disk_posix_new(path);
    if (!disk) {
        printf("cannot open %s: %s\n", path, strerror(errno));
        return 2;
    }
    int result = 2;
    char name[64];
    if (folder_look(path, name, sizeof(name)) != FOLDER_STORE) {
        printf("%s is not a store: it has no journal, and no identity\n", path);
        disk_posix_free(disk);
        return result;
    }
    int lock = folder_lock(path, false, error, sizeof(error));
    if (lock < 0 && error[0])
        printf("%s\n", error);
    else
        result = check_copy(path, disk, options);
    if (lock >= 0)
        close(lock);
    disk_posix_free(disk);
    return result;
}
