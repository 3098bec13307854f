/* A copy of the store, which is answered when it is there. */
#include <limits.h>
#include <stdio.h>

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

static void tell(struct call *call, const struct store_backup *backup)
{
    if (backup->state == STORE_BACKUP_FAILED) {
        call_fail(call, 500, "backup_failed", "%s", backup->failure);
        return;
    }
    struct fields fields = call_tell(call);
    fields_whole(&fields, "segments", backup->segments);
    fields_whole(&fields, "linked", backup->linked);
    fields_whole(&fields, "copied_bytes", backup->copied_bytes);
    fields_whole(&fields, "index_bytes", backup->index_bytes);
    call_told(call, &fields);
}

void backup_post(struct call *call)
{
    const struct api_backups *backups = call->api->options.backups;
    const struct store_backup *ended;
    if (!backups)
        call_not_found(call);
    else if (!call->at)
        begin(call, backups);
    else if ((ended = backups->ended(backups)))
        tell(call, ended);
}
