/* leveretd --check-store: looks at a store that no daemon is using. */
#ifndef LEVERET_CHECK_STORE_H
#define LEVERET_CHECK_STORE_H

#include "store/store.h"

/* Prints to standard output what the store in the folder `path` holds and whether it is sound; nothing
 * in that folder changes. `options` gives the sizes. The exit status: 0 when it is sound, 1 when it is
 * damaged, 2 when it cannot be read. */
int check_store(const char *path, struct store_options *options);
/* A temporary folder with a copy of the index of the store in `path`, which LevelDB may open and
 * write to. NULL: there is none, and what is wrong was printed. It goes with check_drop_copy. */
char *check_copy_index(const char *path);
void check_drop_copy(char *copy);
/* Copies a file to one that is not there yet; -1: errno. */
int check_copy_file(const char *from, const char *to);

#endif
