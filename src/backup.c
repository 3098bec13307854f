#include "backup.h"

#include <errno.h>
#include <stdio.h>

#include "base/mem.h"
#include "folder.h"

static void release(struct backup *backup)
{
    worker_thread_free(backup->copy.worker);
    kv_leveldb_free(backup->copy.kv);
    disk_posix_free(backup->copy.disk);
    backup->copy.worker = NULL;
    backup->copy.kv = NULL;
    backup->copy.disk = NULL;
}

static const char *make_folder(const char *path, char *error, size_t error_size)
{
    if (path[0] != '/') {
        snprintf(error, error_size, "%s is no path from the root on", path);
        return error;
    }
    int reason = folder_make(path, false);
    if (reason) {
        snprintf(error, error_size, "%s cannot be made: %s", path, strerror(reason));
        return error;
    }
    if (!folder_is_empty(path)) {
        snprintf(error, error_size, "%s is not empty", path);
        return error;
    }
    return NULL;
}

const char *backup_begin(struct backup *backup, struct store *store, const char *path,
                         void (*wake)(void *context), void *context, char *error, size_t error_size)
{
    if (!backup_has_ended(backup))
        return "another one is under way";
    const char *fault = make_folder(path, error, error_size);
    if (fault)
        return fault;
    char *index = folder_join(path, "index");
    backup->copy = (struct store_backup){
        .disk = disk_posix_new(path),
        .kv = kv_leveldb_new(index),
        .worker = worker_thread_new("backup", wake, context),
    };
    mem_free(index);
    if (backup->copy.disk && backup->copy.worker && store_backup(store, &backup->copy)) {
        backup->was_begun = true;
        return NULL;
    }
    release(backup);
    return "the folder cannot be opened, or no thread be started";
}

bool backup_has_ended(struct backup *backup)
{
    if (!backup->copy.worker)
        return true;
    if (backup->copy.state == STORE_BACKUP_GOES_ON)
        return false;
    release(backup);
    return true;
}

void backup_free(struct backup *backup)
{
    if (backup->copy.worker)
        release(backup);
}
