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
#include "copy.h"
#include "folder.h"

static void print_line(void *context, const char *line)
{
    fprintf(context, "%s\n", line);
}

static bool ends_with(const char *name, const char *end)
{
    size_t size = strlen(name);
    size_t end_size = strlen(end);
    return size > end_size && strcmp(name + size - end_size, end) == 0;
}

/* One file of the index; those that LevelDB makes anew are left out. */
static int take_file(const char *from, const char *to, const char *name)
{
    char *source = folder_join(from, name);
    char *target = folder_join(to, name);
    int result = 0;
    if (ends_with(name, ".ldb") || ends_with(name, ".sst"))
        result = symlink(source, target);
    else if (strcmp(name, "CURRENT") == 0 || strncmp(name, "MANIFEST-", 9) == 0 ||
             ends_with(name, ".log"))
        result = copy_file(source, target) ? -1 : 0;
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
    int result = whole ? each_file(whole, take_file, to) : errno == ENOENT ? 0 : -1;
    free(whole);
    mem_free(index);
    return result;
}

/* Who is told what the check says. */
struct listener {
    void (*print)(void *context, const char *line);
    void *context;
    struct store_contents *contents; /* NULL: they are not wanted */
};

/* In a line of text, which a name might end. */
static void put_name(char *out, size_t size, struct bytes name)
{
    size_t at = 0;
    for (; at < name.size && at + 1 < size; at++)
        out[at] = name.data[at] < ' ' || name.data[at] == 127 ? '?' : (char)name.data[at];
    out[at] = '\0';
}

static bool name_queue(struct bytes key, struct bytes value, uint64_t *id, char *text)
{
    struct change change;
    char name[256], vhost[256];
    if (catalogue_read(key, value, &change) != CATALOGUE_OK ||
        (change.kind != CATALOGUE_QUEUE && change.kind != CATALOGUE_DELAYS))
        return false;
    put_name(name, sizeof(name), change.name);
    put_name(vhost, sizeof(vhost), change.vhost);
    snprintf(text, STORE_QUEUE_TEXT,
             change.kind == CATALOGUE_QUEUE
                 ? "queue '%s' in virtual host '%s'"
                 : "what exchange '%s' in virtual host '%s' holds back",
             name, vhost);
    *id = change.id;
    return true;
}

static int run(struct disk *disk, const char *index, struct store_options *options,
               const struct listener *listener)
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
    options->queue_of = name_queue;
    int result = store_check(options, listener->print, listener->context, listener->contents);
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

static int check_copy(const char *path, struct store_options *options,
                      const struct listener *listener)
{
    struct disk *disk = disk_posix_new(path);
    if (!disk) {
        printf("cannot open %s: %s\n", path, strerror(errno));
        return 2;
    }
    char *copy = check_copy_index(path);
    int result = copy ? run(disk, copy, options, listener) : 2;
    check_drop_copy(copy);
    disk_posix_free(disk);
    return result;
}

int check_locked_store(const char *path, struct store_options *options,
                       void (*print)(void *context, const char *line), void *context,
                       struct store_contents *contents)
{
    const struct listener listener = {print, context, contents};
    return check_copy(path, options, &listener);
}

bool check_is_store(const char *path, char *error, size_t error_size)
{
    char name[64];
    if (faccessat(AT_FDCWD, path, R_OK | X_OK, AT_EACCESS) != 0) {
        snprintf(error, error_size, "cannot open %s: %s", path, strerror(errno));
        return false;
    }
    enum folder_kind kind = folder_look(path, name, sizeof(name));
    if (kind == FOLDER_UNFINISHED)
        folder_refuse_unfinished(path, error, error_size);
    else if (kind != FOLDER_STORE)
        snprintf(error, error_size, "%s is not a store: it has no journal, and no identity", path);
    return kind == FOLDER_STORE;
}

int check_store(const char *path, struct store_options *options)
{
    const struct listener listener = {print_line, stdout, NULL};
    char error[700];
    if (!check_is_store(path, error, sizeof(error))) {
        printf("%s\n", error);
        return 2;
    }
    int lock = folder_lock(path, false, error, sizeof(error));
    int result = 2;
    if (lock < 0 && error[0])
        printf("%s\n", error);
    else
        result = check_copy(path, options, &listener);
    if (lock >= 0)
        close(lock);
    return result;
}
