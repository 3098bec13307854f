#include "backup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "folder.h"

static void tell(const struct backup *backup)
{
    const struct store_backup *copy = &backup->copy;
    if (copy->state == STORE_BACKUP_FAILED)
        log_event(backup->log, EVENT_backup_failed, "path=%s reason=\"%s\"", backup->path,
                  copy->failure);
    else
        log_event(backup->log, EVENT_backup_made,
                  "path=%s segments=%llu linked=%llu copied_bytes=%llu index_bytes=%llu",
                  backup->path, (unsigned long long)copy->segments,
                  (unsigned long long)copy->linked, (unsigned long long)copy->copied_bytes,
                  (unsigned long long)copy->index_bytes);
}

static void release(struct backup *backup)
{
    worker_thread_free(backup->copy.worker);
    kv_leveldb_free(backup->copy.kv);
    disk_posix_free(backup->copy.disk);
    backup->copy.worker = NULL;
    backup->copy.kv = NULL;
    backup->copy.disk = NULL;
}

/* What to do about it, as far as the error tells. A service may write to few places. */
static const char *advice_of(int error)
{
    switch (error) {
    case ENOENT:
        return "; the folder above it has to be there";
    case EACCES:
    case EPERM:
    case EROFS:
        return "; the broker's user must be able to write there, and its service be allowed to: "
               "leveret-store(7) says how";
    default:
        return "";
    }
}

static const char *make_folder(const char *path, char *error, size_t error_size)
{
    if (path[0] != '/') {
        snprintf(error, error_size, "%s is no path from the root on", path);
        return error;
    }
    int reason = folder_make(path, false);
    if (reason) {
        snprintf(error, error_size, "%s cannot be made: %s%s", path, strerror(reason),
                 advice_of(reason));
        return error;
    }
    if (!folder_is_empty(path)) {
        snprintf(error, error_size, "%s is not empty", path);
        return error;
    }
    return NULL;
}

/* ---- on the worker's side ---- */

static int sync_name(void *context)
{
    const struct backup *backup = context;
    return folder_sync_name(backup->path);
}

static void drop(void *context)
{
    const struct backup *backup = context;
    folder_drop_copy(backup->path);
}

/* ---- on the owner's ---- */

/* On the store's own disk a copy leaves it what publishers are not given either. */
static uint64_t spared_bytes(const struct backup *backup, const struct store *store)
{
    struct stat here, there;
    bool is_same = stat(backup->data_dir, &here) == 0 && stat(backup->path, &there) == 0 &&
                   here.st_dev == there.st_dev;
    return is_same ? store_disk_reserve(store) : 0;
}

const char *backup_begin(struct backup *backup, struct store *store, const char *path,
                         void (*wake)(void *context), void *context, char *error, size_t error_size)
{
    if (!backup_has_ended(backup))
        return "another one is under way";
    const char *fault = make_folder(path, error, error_size);
    if (fault)
        return fault;
    mem_free(backup->path);
    backup->path = mem_dup(path, strlen(path) + 1);
    char *index = folder_join(path, "index");
    backup->copy = (struct store_backup){
        .disk = disk_posix_new(path),
        .kv = kv_leveldb_new(index),
        .worker = worker_thread_new("backup", wake, context),
        .spared_bytes = spared_bytes(backup, store),
        .sync_name = sync_name,
        .drop = drop,
        .context = backup,
    };
    mem_free(index);
    bool has_all = backup->copy.disk && backup->copy.worker;
    if (has_all && store_backup(store, &backup->copy))
        return NULL;
    release(backup);
    return has_all ? "the store is being copied for another broker, or cannot be written: try again later"
                   : "the folder cannot be opened, or no thread be started";
}

void backup_stop(struct backup *backup)
{
    if (!backup_has_ended(backup))
        backup->copy.unwanted = "it was given up";
}

bool backup_has_ended(struct backup *backup)
{
    if (!backup->copy.worker)
        return true;
    if (backup->copy.state == STORE_BACKUP_GOES_ON)
        return false;
    tell(backup);
    release(backup);
    return true;
}

void backup_free(struct backup *backup)
{
    backup_has_ended(backup);
    mem_free(backup->path);
}

/* ---- as a service of the loop ---- */

static struct backup *backup_of(const struct service *service)
{
    return list_entry(service, struct backup, service);
}

static void tick(struct service *service, uint64_t now_ms, uint64_t clock_ms)
{
    (void)now_ms;
    (void)clock_ms;
    backup_has_ended(backup_of(service));
}

static void shut_down(struct service *service)
{
    struct backup *backup = backup_of(service);
    if (!backup_has_ended(backup))
        backup->copy.unwanted = "the broker stops";
}

void backup_init(struct backup *backup, const char *data_dir, const struct log *log)
{
    static const struct service_ops ops = {.tick = tick, .shutdown = shut_down};
    *backup = (struct backup){.log = log, .data_dir = data_dir};
    service_init(&backup->service, &ops);
}
