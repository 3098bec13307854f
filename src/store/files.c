#include "store/files.h"

#include <stddef.h>

#include "store/journal.h"

static int open_into(struct files *files, size_t at, uint32_t segment)
{
    char name[32];
    if (files->open[at].segment)
        files->disk->ops->close(files->open[at].file);
    files->open[at].segment = 0;
    segment_name(name, segment);
    int error = files->disk->ops->open(files->disk, name, DISK_READ, &files->open[at].file);
    if (!error)
        files->open[at].segment = segment;
    return error;
}

int files_read(struct files *files, uint32_t segment, void *data, uint64_t size, uint64_t offset,
               uint64_t *got)
{
    size_t at = 0;
    *got = 0;
    for (size_t i = 0; i < FILES_MAX && files->open[at].segment != segment; i++)
        if (files->open[i].segment == segment || files->open[i].used < files->open[at].used)
            at = i;
    int error = files->open[at].segment == segment ? 0 : open_into(files, at, segment);
    if (error)
        return error;
    files->open[at].used = ++files->clock;
    return files->disk->ops->read(files->open[at].file, data, size, offset, got);
}

void files_forget(struct files *files, uint32_t segment)
{
    for (size_t i = 0; i < FILES_MAX; i++) {
        if (!files->open[i].segment || (segment && files->open[i].segment != segment))
            continue;
        files->disk->ops->close(files->open[i].file);
        files->open[i].segment = 0;
        files->open[i].used = 0;
    }
}
