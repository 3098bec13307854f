/* A copy of the store, which is answered when it is there, or when it has begun; or given up. */
#include <limits.h>
#include <stdio.h>

#include "api/leader.h"
#include "api/resources.h"

static void begin(struct call *call, const struct api_backups *backups)
{
    char path[PATH_MAX], error[300];
    struct bytes folder = bytes_of(NULL, 0);
    if (!call_read_text(call, "directory", &folder))
        return;
    if (folder.size == 0 || folder.size >= sizeof(path) || bytes_have_nul(folder)) {
        call_fail(call, 400, "bad_request",
                  "directory is the path of a folder that is empty, or "
                  "not there yet");
        return;
    }
    snprintf(path, sizeof(path), "%.*s", BYTES_ARG(folder));
    const char *fault = backups->begin(backups, path, error, sizeof(error));
    if (fault)
        call_fail(call, 400, "bad_request", "%s", fault);
    else
        call->at = 1;
}

static void tell(struct call *call, const struct store_backup *backup, const char *folder,
                 bool goes_on)
{
    bool has_failed = !goes_on && backup->state == STORE_BACKUP_FAILED;
    struct fields fields = call_tell(call);
    fields_string(&fields, "state", goes_on ? "running" : has_failed ? "failed" : "done");
    fields_string(&fields, "directory", folder);
    fields_whole(&fields, "segments_total", backup->segments_total);
    fields_whole(&fields, "segments", backup->segments);
    fields_whole(&fields, "linked", backup->linked);
    fields_whole(&fields, "copied_bytes", backup->copied_bytes);
    fields_whole(&fields, "index_bytes", backup->index_bytes);
    if (has_failed)
        fields_string(&fields, "reason", backup->failure);
    call_told(call, &fields);
}

static void tell_last(struct call *call, const struct store_backup *backup, const char *folder,
                      bool goes_on)
{
    if (backup) {
        tell(call, backup, folder, goes_on);
        return;
    }
    struct fields fields = call_tell(call);
    fields_string(&fields, "state", "none");
    call_told(call, &fields);
}

void backup_get(struct call *call)
{
    const struct api_backups *backups = call->api->options.backups;
    const char *folder = NULL;
    bool goes_on = false;
    const struct store_backup *backup = backups ? backups->look(backups, &folder, &goes_on) : NULL;
    tell_last(call, backup, folder, goes_on);
}

/* By itself it waits for the end. */
static void go_on(struct call *call, const struct api_backups *backups, bool waits)
{
    const char *folder;
    bool goes_on;
    const struct store_backup *backup = backups->look(backups, &folder, &goes_on);
    if (waits && goes_on)
        return;
    if (waits && backup->state == STORE_BACKUP_FAILED)
        call_fail(call, 500, "backup_failed", "%s", backup->failure);
    else
        tell(call, backup, folder, goes_on);
}

void backup_post(struct call *call)
{
    const struct api_backups *backups = call->api->options.backups;
    bool waits = true;
    if (!backups) {
        call_not_found(call);
        return;
    }
    if (!call_read_flag(call, "wait", &waits) || (call->is_apart && !call->at && !leader_has_told_all(call)))
        return;
    if (!call->at)
        begin(call, backups);
    if (call->at)
        go_on(call, backups, waits);
}

/* Is it the one in this folder? Without a name any is meant. */
static bool is_meant(const struct call *call, const char *folder)
{
    struct bytes wanted = call_parameter(call, "directory");
    return !wanted.data || bytes_equal_str(wanted, folder);
}

/* Gives up the one that goes on, and waits for its end. */
void backup_delete(struct call *call)
{
    const struct api_backups *backups = call->api->options.backups;
    const char *folder = NULL;
    bool goes_on = false;
    const struct store_backup *backup = backups ? backups->look(backups, &folder, &goes_on) : NULL;
    bool is_to_end = backup && goes_on && is_meant(call, folder);
    if (is_to_end && !call->at)
        backups->stop(backups);
    call->at = 1;
    if (!is_to_end)
        tell_last(call, backup, folder, goes_on);
}
