/* A disk in memory, for tests: it keeps what was written apart from what was synced, fails when told
 * to, and can lose power. Names and contents are as durable as POSIX promises, and no more. */
#ifndef LEVERET_TESTS_DISK_MEMORY_H
#define LEVERET_TESTS_DISK_MEMORY_H

#include "base/random.h"
#include "store/disk.h"

struct disk *disk_memory_new(void);
void disk_memory_free(struct disk *disk);

enum crash {
    CRASH_KEEP,   /* the process died: all that was written is there */
    CRASH_DROP,   /* power was lost: only what was synced is there */
    CRASH_RANDOM, /* power was lost: of the rest, any parts are there, torn anywhere, in any order */
};

/* The machine goes down and comes up: open files are gone. */
void disk_memory_crash(struct disk *disk, enum crash how, struct random *random);

/* Calls made so far of every function that may fail. */
uint64_t disk_memory_calls(const struct disk *disk);
/* The call number `at` from now on (1: the next) fails with `error`; `forever`: all later ones too. A
 * failing write writes a part. 0: no fault. */
void disk_memory_fail(struct disk *disk, uint64_t at, int error, bool forever);
/* From now on no read fails, though it counts as a call. */
void disk_memory_spare_reads(struct disk *disk);
/* Nor does, as long as it is so, a file that is opened to be read. */
void disk_memory_spare_opens(struct disk *disk, bool spares);
/* Writes beyond this many bytes in all files fail with ENOSPC; 0: no limit. When the files have more
 * already, all writes do. */
void disk_memory_limit(struct disk *disk, uint64_t bytes);
/* So much of that is taken by others. */
void disk_memory_take(struct disk *disk, uint64_t bytes);
/* All that is free is, and from now on all that is given up, at once; until disk_memory_take. */
void disk_memory_take_all(struct disk *disk);
/* Syncs do nothing, and say that they did. */
void disk_memory_lie(struct disk *disk, bool files, bool folder);

/* The contents of a file, to look at and to damage; NULL: there is none. */
uint8_t *disk_memory_contents(struct disk *disk, const char *name, uint64_t *size);
/* Cuts a file off. */
void disk_memory_cut(struct disk *disk, const char *name, uint64_t size);
/* A copy of what is there, all durable. */
struct disk *disk_memory_copy(struct disk *disk);
/* Are the two the same, byte by byte? */
bool disk_memory_equal(struct disk *a, struct disk *b);
/* Names, one call each. */
void disk_memory_each(struct disk *disk, void (*each)(void *context, const char *name),
                      void *context);

#endif
