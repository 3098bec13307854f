/* Copies of a store that nobody writes to, file by file. */
#ifndef LEVERET_COPY_H
#define LEVERET_COPY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "store/disk.h"

/* Whose a folder is. Root reads and writes there as that user, so that nothing that lies in a folder
 * of somebody else's can lead it astray. */
struct owner {
    bool is_other; /* the process is root's, and becomes another user */
    uid_t uid;
    gid_t gid;
};

/* A copy of the store in the folder `from`, in the folder `to`. Both are the caller's, and so is
 * `shows`; all else begins as zeros. */
struct copy {
    const char *from, *to;
    bool shows; /* how far it is, on the standard error */
    struct owner from_owner, owner;
    uint64_t files, bytes;
    char fault[1024]; /* why it came to nothing, and what to do */
    int from_lock, to_lock;
    bool is_made;      /* `to` was not there before */
    bool is_left_over; /* it had what was left of another restore, which is gone */
    struct disk *disk; /* `to` */
};

/* The owner of a folder that exists; nobody else but who runs this, without root. */
struct owner owner_of(const char *path);
/* From now on the process is that user; NULL: itself again. */
void owner_become(const struct owner *owner);

/* Copies the contents of a file to one that is not there yet, sharing blocks where the file system
 * can. 0 or an errno value. */
int copy_file(const char *from, const char *to);
/* Makes the copy, of all that a store consists of, in a folder that is empty or not there yet, or has
 * what is left of such a copy that was not finished, and of a store that no daemon uses; reserves, and what was salvaged, are left out. The files belong to
 * the owner of the folder, or, if that is made, of `from`, whom the process has become afterwards.
 * What there is says that it is not finished (store_copy_begin). False: nothing was made. */
bool copy_begin(struct copy *copy);
/* Now it is, durably. False: it is not; see copy_drop. */
bool copy_end(struct copy *copy);
/* Removes what was made. */
void copy_drop(struct copy *copy);
/* Frees what it uses. */
void copy_free(struct copy *copy);

#endif
