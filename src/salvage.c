/* What is sound of a damaged store becomes a store again. Nothing of the old one is lost by that: its index
 * goes to a folder salvaged-TIME inside of the data folder as it is, and damaged files of the journal are
 * copied there before anything is written into them. The new index is built beside the old one, and takes
 * its place when it is complete. */
#include "salvage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "broker/broker.h"
#include "broker/catalogue.h"
#include "check_store.h"
#include "copy.h"
#include "folder.h"

struct work {
    const char *path;
    char *aside;   /* the folder for what was */
    FILE *report;
    char **damaged; /* names of files */
    size_t damaged_count;
    struct disk *disk;
    struct kv *old, *new;
    char *copy; /* a copy of the index, to be read; NULL: none was made */
    struct message_pool pool;
    struct worker *worker;
};

/* On the terminal, and in the report. */
static void say(void *context, const char *line)
{
    struct work *work = context;
    printf("%s\n", line);
    if (work->report)
        fprintf(work->report, "%s\n", line);
}

static void note_damaged(void *context, const char *name)
{
    struct work *work = context;
    work->damaged =
        mem_realloc(work->damaged, (work->damaged_count + 1) * sizeof(*work->damaged));
    work->damaged[work->damaged_count++] = mem_dup(name, strlen(name) + 1);
}

static bool fails(struct work *work, const char *what, const char *why)
{
    char line[1200];
    snprintf(line, sizeof(line), "not salvaged: %s: %s; nothing was lost by the attempt", what, why);
    say(work, line);
    return false;
}

/* ---- before ---- */

static bool make_aside(struct work *work)
{
    char name[64];
    struct tm utc;
    time_t now = time(NULL);
    gmtime_r(&now, &utc);
    strftime(name, sizeof(name), "salvaged-%Y%m%dT%H%M%SZ", &utc);
    work->aside = folder_join(work->path, name);
    if (mkdir(work->aside, 0700) != 0)
        return fails(work, work->aside, strerror(errno));
    char *report = folder_join(work->aside, "report.txt");
    work->report = fopen(report, "w");
    mem_free(report);
    return work->report || fails(work, "the report cannot be written", strerror(errno));
}

/* The old index as far as LevelDB can read it; without it, the journal alone has to do. */
static void open_old(struct work *work)
{
    work->copy = check_copy_index(work->path);
    if (!work->copy)
        return;
    work->old = kv_leveldb_new(work->copy);
    bool is_open = work->old->ops->open(work->old) >= 0;
    if (!is_open)
        is_open = kv_leveldb_repair(work->copy) && work->old->ops->open(work->old) >= 0;
    if (is_open)
        return;
    say(work, work->old->error);
    kv_leveldb_free(work->old);
    work->old = NULL;
}

/* ---- the files ---- */

static bool keep_damaged(struct work *work)
{
    for (size_t i = 0; i < work->damaged_count; i++) {
        char *from = folder_join(work->path, work->damaged[i]);
        char *to = folder_join(work->aside, work->damaged[i]);
        int error = copy_file(from, to);
        mem_free(from);
        mem_free(to);
        if (error)
            return fails(work, "a damaged file cannot be copied, make room for it",
                         strerror(error));
    }
    return true;
}

/* The new index takes the place of the old one. */
static bool exchange_index(struct work *work)
{
    char *index = folder_join(work->path, "index");
    char *old = folder_join(work->aside, "index");
    char *new = folder_join(work->aside, "index-new");
    bool ok = (rename(index, old) == 0 || errno == ENOENT) && rename(new, index) == 0 &&
              folder_sync(work->aside) == 0 && folder_sync(work->path) == 0;
    int error = errno;
    mem_free(index);
    mem_free(old);
    mem_free(new);
    return ok || fails(work, "the new index cannot be put into its place", strerror(error));
}

/* ---- the store ---- */

static bool has_checkpoint(struct kv *kv)
{
    struct buffer value = {0};
    bool has = kv->ops->open(kv) >= 0 && kv_get_sealed(kv, bytes_str("C"), &value) == 1;
    kv->ops->close(kv);
    buffer_free(&value);
    return has;
}

static bool build(struct work *work, struct store *store, struct store_options *options,
                  const struct salvage *salvage)
{
    struct broker broker;
    struct random random;
    uint8_t seed[32];
    int error = store_salvage_write(store);
    if (!error && getrandom(seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
        error = EIO;
    if (error) {
        store_abandon(store);
        return fails(work, "the store cannot be written", strerror(error));
    }
    random_init_strong(&random, seed);
    broker_init(&broker, store, &work->pool, &random, options->log, 0);
    broker_salvage(&broker, salvage);
    broker_free(&broker);
    store_close(store);
    return has_checkpoint(work->new) ||
           fails(work, "the new index cannot be written", work->new->error);
}

static bool salvage(struct work *work, struct store_options *options)
{
    struct salvage salvage = {say, note_damaged, work};
    char error[1024];
    char *index = folder_join(work->aside, "index-new");
    work->new = kv_leveldb_new(index);
    mem_free(index);
    message_pool_init(&work->pool);
    work->worker = worker_manual_new(true);
    options->disk = work->disk;
    options->kv = work->new;
    options->pool = &work->pool;
    options->syncer = options->indexer = options->reader = work->worker;
    options->is_newer = catalogue_is_newer;
    open_old(work);
    struct store *store = store_salvage(options, work->old, 0, &salvage, error, sizeof(error));
    if (!store)
        return fails(work, "it cannot be read", error);
    if (!keep_damaged(work)) {
        store_abandon(store);
        return false;
    }
    return build(work, store, options, &salvage) && exchange_index(work);
}

static void finish(struct work *work)
{
    kv_leveldb_free(work->old);
    kv_leveldb_free(work->new);
    if (work->worker) {
        worker_manual_free(work->worker);
        message_pool_free(&work->pool);
    }
    check_drop_copy(work->copy);
    for (size_t i = 0; i < work->damaged_count; i++)
        mem_free(work->damaged[i]);
    mem_free(work->damaged);
    if (work->report)
        fclose(work->report);
    mem_free(work->aside);
    disk_posix_free(work->disk);
}

static bool salvage_locked(struct work *work, struct store_options *options)
{
    bool ok = make_aside(work) && salvage(work, options);
    char line[1200];
    snprintf(line, sizeof(line),
             "salvaged: start leveretd as ever; what was is in %s, and this text, report.txt",
             work->aside);
    if (ok)
        say(work, line);
    return ok;
}

static bool salvage_now(struct work *work, struct store_options *options)
{
    umask(077);
    work->disk = disk_posix_new(work->path);
    if (getrandom(options->identity, sizeof(options->identity), 0) < 0)
        memset(options->identity, 0, sizeof(options->identity));
    bool ok = work->disk && salvage_locked(work, options);
    finish(work);
    return ok;
}

static void print_line(void *context, const char *line)
{
    fprintf(context, "%s\n", line);
}

/* Asked before the check, which would say it, too. */
static bool is_in_use(const char *path)
{
    char error[512];
    int lock = folder_lock(path, false, error, sizeof(error));
    if (lock < 0 && error[0])
        printf("%s\n", error);
    if (lock >= 0)
        close(lock);
    return lock < 0 && error[0];
}

int salvage_store(const char *path, struct store_options *options)
{
    struct work work = {.path = path};
    char error[512];
    struct owner owner = owner_of(path); /* what is made must belong to whom the daemon runs as */
    owner_become(&owner);
    if (is_in_use(path))
        return 2;
    int checked = check_store(path, options);
    if (checked == 0)
        printf("there is nothing to salvage: the store is sound, and nothing was changed\n");
    char name[64];
    if (checked == 0 || folder_look(path, name, sizeof(name)) != FOLDER_STORE)
        return checked;
    int lock = folder_lock(path, true, error, sizeof(error));
    if (lock < 0) {
        printf("%s\n", error);
        return 2;
    }
    bool ok = salvage_now(&work, options);
    close(lock);
    return ok ? 0 : 1;
}

/* A store that is sound is copied as well: that is what was asked for. */
static bool salvage_in_copy(struct copy *copy, struct work *work, struct store_options *options)
{
    bool is_sound = check_locked_store(copy->to, options, print_line, stdout, NULL) == 0;
    if (!is_sound && !salvage_now(work, options)) {
        snprintf(copy->fault, sizeof(copy->fault),
                 "%s has what was made so far, which is no store; remove it", copy->to);
        return false;
    }
    if (is_sound)
        printf("there was nothing to salvage: the store is sound, and %s has a copy of it\n",
               copy->to);
    return copy_end(copy);
}

int salvage_copy(const char *from, const char *path, struct store_options *options)
{
    struct copy copy = {.from = from, .to = path, .shows = isatty(STDERR_FILENO)};
    struct work work = {.path = path};
    int status = 2;
    umask(077);
    if (copy_begin(&copy))
        status = salvage_in_copy(&copy, &work, options) ? 0 : 1;
    if (status != 0)
        printf("%s\n", copy.fault);
    copy_free(&copy);
    return status;
}
