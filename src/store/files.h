/* Open files of segments, for whoever reads them: a few are kept, so that a backlog of any length
 * needs no more descriptors than this. Used on the reader's side only. */
#ifndef LEVERET_STORE_FILES_H
#define LEVERET_STORE_FILES_H

#include "store/disk.h"

enum { FILES_MAX = 16 };

struct files {
    struct disk *disk;
    struct {
        uint32_t segment; /* 0: free */
        uint64_t used;
        struct disk_file *file;
    } open[FILES_MAX];
    uint64_t clock;
};

/* Reads a part of a segment; as disk_ops.read. */
int files_read(struct files *files, uint32_t segment, void *data, uint64_t size, uint64_t offset,
               uint64_t *got);
/* Closes a segment that is gone, so that the system can free it; 0: all. */
void files_forget(struct files *files, uint32_t segment);

#endif
