/* A copy of the store in another folder, made while the broker runs: for the API. */
#ifndef LEVERET_BACKUP_H
#define LEVERET_BACKUP_H

#include "base/log.h"
#include "peer/service.h"
#include "store/store.h"

struct backup {
    struct service service;   /* by which it hears that the broker stops */
    const struct log *log;
    const char *data_dir;     /* where the store is */
    struct store_backup copy; /* of the last one; `state` says whether it goes on */
    char *path;               /* where that is; NULL: there was none */
};

/* `data_dir` and `log` stay the caller's. */
void backup_init(struct backup *backup, const char *data_dir, const struct log *log);
/* Begins one in the folder `path`, which is made, or is empty. `wake` is called with its context,
 * from another thread, when there is something to look at. NULL, or why not: the text is in
 * `error`. One that fails leaves nothing in that folder. */
const char *backup_begin(struct backup *backup, struct store *store, const char *path,
                         void (*wake)(void *context), void *context, char *error,
                         size_t error_size);
/* It is to end now: soon it has, and failed, unless it was done. */
void backup_stop(struct backup *backup);
/* Has the last one ended? Then what it used is freed, and backup->copy tells how. */
bool backup_has_ended(struct backup *backup);
/* The store is closed. */
void backup_free(struct backup *backup);

#endif
