/* The key-value store of the daemon: LevelDB, which nothing outside this file knows.
 *
 * It is set up to be small: it holds a few large values (chunks of long queues) and a short image
 * of the rest, each read about once, so caches would only keep what nobody asks for again. Values
 * are packed numbers already, so they are not compressed.
 *
 * A write that fails leaves LevelDB in a state of its own: after a failed sync every later write is
 * refused, and after a failed append the log holds half a record that would hide what follows it.
 * So the first write after a failure closes LevelDB and opens it anew, which brings what was
 * written before the failure into a fresh file, synced. Opening needs room: while the disk has
 * none, the old instance stays open, so that reads go on (consumers must be able to drain a full
 * broker). Where opening fails all the same, nothing is open, and whoever needs it next, to read or
 * to write, tries again.
 *
 * LevelDB is told to be paranoid: it verifies all of a table it looks at, and does not open when its
 * log has a bad record. But that may be the end that a loss of power has torn, which was never synced
 * and which nobody needs; so then it is opened without, and whether anything is missing is for the
 * store to find out (image.c). And it is never let to begin anew in a folder that has files of its own:
 * it would remove them.
 *
 * Its sync makes no more durable than the file it writes to now. When a buffer was full, what came
 * before is in another one, until a table is made of that; and nothing makes a new file's name durable.
 * Both is done here.
 *
 * Readers and the writer come from different threads. LevelDB allows that; the lock is for the
 * moment in which it is replaced. */
#include "store/kv.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <leveldb/c.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/mem.h"

enum {
    WRITE_BUFFER_BYTES = 1 << 20, /* twice this is held at most */
    TABLE_BYTES = 1 << 20,        /* tables are mapped while they are open: small ones stay small */
    OPEN_FILES = 74,              /* the fewest that LevelDB accepts */
    BLOCK_CACHE_BYTES = 1 << 20,
    REOPEN_BYTES = 1 << 20, /* what opening writes beside a table of what its logs hold */
    REOPEN_FILES = 8,       /* how many files beside tables are opened then */
};

struct kv_leveldb {
    struct kv kv;
    char *path;
    leveldb_options_t *options;
    leveldb_cache_t *cache;
    leveldb_readoptions_t *read_options;
    leveldb_writeoptions_t *write_options[2]; /* by `sync` */
    pthread_rwlock_t lock;                    /* held for writing while `db` is replaced */
    leveldb_t *db;                            /* NULL: not open */
    bool is_broken; /* a write failed: open anew before the next; changed with the lock held */
    pthread_mutex_t error_lock;
};

static struct kv_leveldb *self_of(struct kv *kv)
{
    return (struct kv_leveldb *)(void *)kv;
}

/* Notes a failure; always -1. */
static int fail(struct kv_leveldb *self, const char *what)
{
    pthread_mutex_lock(&self->error_lock);
    snprintf(self->kv.error, sizeof(self->kv.error), "%s", what);
    pthread_mutex_unlock(&self->error_lock);
    return -1;
}

/* The same with LevelDB's text, which is freed; KV_DAMAGED when that speaks of damage. */
static int fail_leveldb(struct kv_leveldb *self, char *what)
{
    bool is_damage = strncmp(what, "Corruption", strlen("Corruption")) == 0;
    fail(self, what);
    leveldb_free(what);
    return is_damage ? KV_DAMAGED : -1;
}

static bool is_log(const char *name)
{
    size_t size = strlen(name);
    return size > 4 && strcmp(name + size - 4, ".log") == 0;
}

static bool is_table(const char *name)
{
    size_t size = strlen(name);
    return size > 4 && strcmp(name + size - 4, ".ldb") == 0;
}

/* A first start that went no further may have left files of other kinds. */
static bool has_data(const struct kv_leveldb *self)
{
    DIR *entries = opendir(self->path);
    const struct dirent *entry;
    bool found = false;
    while (entries && !found && (entry = readdir(entries)))
        found = is_log(entry->d_name) || is_table(entry->d_name);
    if (entries)
        closedir(entries);
    return found;
}

/* LevelDB starts a thread of its own: it must not take the daemon's signals. */
static int open_db(struct kv_leveldb *self, bool is_paranoid)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    char *error = NULL;
    leveldb_options_set_paranoid_checks(self->options, is_paranoid);
    leveldb_options_set_create_if_missing(self->options, !has_data(self));
    self->db = leveldb_open(self->options, self->path, &error);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error ? fail_leveldb(self, error) : 0;
}

/* Opening leaves out what is bad in the log, and makes a table of the rest. */
static int open_checked(struct kv_leveldb *self)
{
    if (open_db(self, true) == 0)
        return 0;
    if (!strstr(self->kv.error, "Corruption") || open_db(self, false) < 0)
        return -1;
    leveldb_close(self->db);
    self->db = NULL;
    return open_db(self, true);
}

static int kv_open(struct kv *kv)
{
    struct kv_leveldb *self = self_of(kv);
    assert(!self->db);
    self->is_broken = false;
    return open_checked(self);
}

static void kv_close(struct kv *kv)
{
    struct kv_leveldb *self = self_of(kv);
    if (self->db)
        leveldb_close(self->db);
    self->db = NULL;
}

/* Bytes of the logs: opening makes tables of them. */
static uint64_t log_bytes(const struct kv_leveldb *self)
{
    DIR *entries = opendir(self->path);
    const struct dirent *entry;
    uint64_t bytes = 0;
    struct stat status;
    while (entries && (entry = readdir(entries)))
        if (is_log(entry->d_name) && fstatat(dirfd(entries), entry->d_name, &status, 0) == 0)
            bytes += (uint64_t)status.st_size;
    if (entries)
        closedir(entries);
    return bytes;
}

/* As many files more? Some file systems do not count them, and say that there can be none. */
static bool can_make_files(const struct kv_leveldb *self, uint64_t files)
{
    struct statvfs status;
    return statvfs(self->path, &status) < 0 || status.f_files == 0 || status.f_favail >= files;
}

/* What there is no room for when opening anew; NULL: it can be done. Asked by taking it: LevelDB leaves
 * files of other names alone. */
static const char *missing_room(struct kv_leveldb *self)
{
    char name[4096];
    uint64_t logs = log_bytes(self);
    int size = snprintf(name, sizeof(name), "%s/room", self->path);
    if (size < 0 || (size_t)size >= sizeof(name))
        return strerror(ENAMETOOLONG);
    if (!can_make_files(self, REOPEN_FILES + logs / WRITE_BUFFER_BYTES))
        return "no room for more files on its file system, whatever the bytes: see df -i";
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return strerror(errno);
    int error = posix_fallocate(fd, 0, (off_t)(REOPEN_BYTES + logs));
    close(fd);
    unlink(name);
    return error ? strerror(error) : NULL;
}

/* With the lock held. */
static int reopen(struct kv_leveldb *self)
{
    const char *missing = missing_room(self);
    if (missing) {
        char text[128];
        snprintf(text, sizeof(text), "cannot open the index again: %s", missing);
        return fail(self, text);
    }
    if (self->db)
        leveldb_close(self->db);
    self->db = NULL;
    int result = open_checked(self);
    self->is_broken = result < 0;
    return result;
}

/* Takes the lock for one that needs an open store, and for a writer (`writes`) one that takes writes.
 * Not 0: there is none, and the lock is not taken. */
static int begin(struct kv_leveldb *self, bool writes)
{
    int result = 0;
    pthread_rwlock_rdlock(&self->lock);
    if (self->db && !(writes && self->is_broken))
        return 0;
    pthread_rwlock_unlock(&self->lock);
    pthread_rwlock_wrlock(&self->lock);
    if (!self->db || (writes && self->is_broken))
        result = reopen(self);
    pthread_rwlock_unlock(&self->lock);
    if (result < 0)
        return -1;
    pthread_rwlock_rdlock(&self->lock);
    if (self->db)
        return 0;
    pthread_rwlock_unlock(&self->lock);
    return fail(self, "the index is closed");
}

static void end(struct kv_leveldb *self)
{
    pthread_rwlock_unlock(&self->lock);
}

static int kv_get(struct kv *kv, struct bytes key, struct buffer *value)
{
    struct kv_leveldb *self = self_of(kv);
    char *error = NULL;
    size_t size = 0;
    if (begin(self, false) < 0)
        return -1;
    char *data = leveldb_get(self->db, self->read_options, (const char *)key.data, key.size, &size,
                             &error);
    end(self);
    if (error)
        return fail_leveldb(self, error);
    if (!data)
        return 0;
    buffer_add(value, data, size);
    leveldb_free(data);
    return 1;
}

static leveldb_writebatch_t *translate(struct bytes batch)
{
    leveldb_writebatch_t *translated = leveldb_writebatch_create();
    struct cursor cursor = cursor_of(batch);
    struct bytes key;
    struct bytes value;
    bool put;
    while (kv_batch_next(&cursor, &put, &key, &value)) {
        if (put)
            leveldb_writebatch_put(translated, (const char *)key.data, key.size,
                                   (const char *)value.data, value.size);
        else
            leveldb_writebatch_delete(translated, (const char *)key.data, key.size);
    }
    assert(!cursor.bad);
    return translated;
}

static int sync_file(const struct kv_leveldb *self, const char *name)
{
    char path[4096];
    int size = snprintf(path, sizeof(path), "%s/%s", self->path, name);
    if (size < 0 || (size_t)size >= sizeof(path))
        return ENAMETOOLONG;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : errno; /* a table was made of it meanwhile, and synced */
    int error = fsync(fd) == 0 ? 0 : errno;
    close(fd);
    return error;
}

/* Syncs all logs there are, and their names. */
static int sync_logs(struct kv_leveldb *self)
{
    DIR *entries = opendir(self->path);
    const struct dirent *entry;
    int error = entries ? 0 : errno;
    while (error == 0 && (entry = readdir(entries)))
        if (is_log(entry->d_name))
            error = sync_file(self, entry->d_name);
    if (entries)
        closedir(entries);
    if (error == 0)
        error = sync_file(self, ".");
    return error;
}

/* The next write opens anew first. */
static void note_broken(struct kv_leveldb *self)
{
    pthread_rwlock_wrlock(&self->lock);
    self->is_broken = true;
    pthread_rwlock_unlock(&self->lock);
}

static int kv_write(struct kv *kv, struct bytes batch, bool sync)
{
    struct kv_leveldb *self = self_of(kv);
    if (begin(self, true) < 0)
        return -1;
    leveldb_writebatch_t *translated = translate(batch);
    char *error = NULL;
    leveldb_write(self->db, self->write_options[sync], translated, &error);
    end(self);
    leveldb_writebatch_destroy(translated);
    int failed = error || !sync ? 0 : sync_logs(self);
    if (!error && !failed)
        return 0;
    note_broken(self);
    return error ? fail_leveldb(self, error) : fail(self, strerror(failed));
}

static int scan_db(struct kv_leveldb *self, struct bytes prefix, struct bytes from,
                   bool (*each)(void *context, struct bytes key, struct bytes value), void *context)
{
    leveldb_iterator_t *at = leveldb_create_iterator(self->db, self->read_options);
    bool more = true;
    for (leveldb_iter_seek(at, (const char *)from.data, from.size);
         more && leveldb_iter_valid(at); leveldb_iter_next(at)) {
        size_t key_size;
        size_t value_size;
        const char *key = leveldb_iter_key(at, &key_size);
        if (key_size < prefix.size || (prefix.size && memcmp(key, prefix.data, prefix.size) != 0))
            break;
        const char *value = leveldb_iter_value(at, &value_size);
        more = each(context, bytes_of(key, key_size), bytes_of(value, value_size));
    }
    char *error = NULL;
    leveldb_iter_get_error(at, &error);
    leveldb_iter_destroy(at);
    return error ? fail_leveldb(self, error) : 0;
}

static int kv_scan(struct kv *kv, struct bytes prefix, struct bytes from,
                   bool (*each)(void *context, struct bytes key, struct bytes value), void *context)
{
    struct kv_leveldb *self = self_of(kv);
    if (begin(self, false) < 0)
        return -1;
    int result = scan_db(self, prefix, bytes_compare(from, prefix) < 0 ? prefix : from, each, context);
    end(self);
    return result;
}

static const struct kv_ops ops = {
    .open = kv_open,
    .get = kv_get,
    .write = kv_write,
    .scan = kv_scan,
    .close = kv_close,
};

static leveldb_options_t *make_options(leveldb_cache_t *cache)
{
    leveldb_options_t *options = leveldb_options_create();
    leveldb_options_set_write_buffer_size(options, WRITE_BUFFER_BYTES);
    leveldb_options_set_max_file_size(options, TABLE_BYTES);
    leveldb_options_set_max_open_files(options, OPEN_FILES);
    leveldb_options_set_compression(options, leveldb_no_compression);
    leveldb_options_set_cache(options, cache);
    return options;
}

struct kv *kv_leveldb_new(const char *path)
{
    struct kv_leveldb *self = mem_zalloc(sizeof(*self));
    self->kv.ops = &ops;
    self->path = mem_dup(path, strlen(path) + 1);
    self->cache = leveldb_cache_create_lru(BLOCK_CACHE_BYTES);
    self->options = make_options(self->cache);
    self->read_options = leveldb_readoptions_create();
    leveldb_readoptions_set_verify_checksums(self->read_options, 1);
    leveldb_readoptions_set_fill_cache(self->read_options, 0);
    for (int sync = 0; sync < 2; sync++) {
        self->write_options[sync] = leveldb_writeoptions_create();
        leveldb_writeoptions_set_sync(self->write_options[sync], (uint8_t)sync);
    }
    pthread_rwlock_init(&self->lock, NULL);
    pthread_mutex_init(&self->error_lock, NULL);
    return &self->kv;
}

bool kv_leveldb_repair(const char *path)
{
    leveldb_cache_t *cache = leveldb_cache_create_lru(0);
    leveldb_options_t *options = make_options(cache);
    char *error = NULL;
    leveldb_repair_db(options, path, &error);
    bool done = !error;
    if (error)
        leveldb_free(error);
    leveldb_options_destroy(options);
    leveldb_cache_destroy(cache);
    return done;
}

void kv_leveldb_free(struct kv *kv)
{
    if (!kv)
        return;
    struct kv_leveldb *self = self_of(kv);
    kv_close(kv);
    for (int sync = 0; sync < 2; sync++)
        leveldb_writeoptions_destroy(self->write_options[sync]);
    leveldb_readoptions_destroy(self->read_options);
    leveldb_options_destroy(self->options);
    leveldb_cache_destroy(self->cache);
    pthread_rwlock_destroy(&self->lock);
    pthread_mutex_destroy(&self->error_lock);
    mem_free(self->path);
    mem_free(self);
}
