/* A disk in front of another one: it passes everything on, notes what was done, and fails where it is
 * told to. What reads is passed on without a note. */
#ifndef LEVERET_TESTS_DISK_OBSERVED_H
#define LEVERET_TESTS_DISK_OBSERVED_H

#include "store/disk.h"

enum act_kind {
    ACT_CREATE,
    ACT_OPEN, /* for writing */
    ACT_WRITE,
    ACT_WRITE_SYNC,
    ACT_SYNC,
    ACT_RENAME,
    ACT_UNLINK,
    ACT_SYNC_FOLDER,
    ACT_CUT,
};

struct act {
    enum act_kind kind;
    char name[40]; /* of a rename, the new one */
    int error;
};

enum { ACTS_MAX = 4096 };

struct disk_observed {
    struct disk disk;
    struct disk *under;
    struct act acts[ACTS_MAX]; /* those beyond are not noted */
    size_t count;
    /* The next acts of this kind on a file whose name begins like this fail, so many of them. */
    enum act_kind fail_kind;
    const char *fail_name;
    int fail_error;
    unsigned fail_count;
};

/* `under` belongs to the caller. */
void disk_observed_init(struct disk_observed *self, struct disk *under);
void disk_observed_fail(struct disk_observed *self, enum act_kind kind, const char *name, int error,
                        unsigned count);
/* The first act from `from` on of this kind on a file whose name begins like this; the number of acts:
 * there is none. */
size_t disk_observed_find(const struct disk_observed *self, size_t from, enum act_kind kind,
                          const char *name);

#endif
