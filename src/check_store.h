/* leveretd --check-store: looks at a store that no daemon is using. */
#ifndef LEVERET_CHECK_STORE_H
#define LEVERET_CHECK_STORE_H

#include "store/store.h"

/* Prints to standard output what the store in the folder `path` holds and whether it is sound; nothing
 * in that folder changes. `options` gives the sizes. The exit status: 0 when it is sound, 1 when it is
 * damaged, 2 when it cannot be read. */
int check_store(const char *path, struct store_options *options);
/* Is there a store in the folder? Else the text says what is, and what to do about it. */
bool check_is_store(const char *path, char *error, size_t error_size);
/* A temporary folder with a copy of the index of the store in `path`, which LevelDB may open and
 * write to. NULL: there is none, and what is wrong was printed. It goes with check_drop_copy. */
char *check_copy_index(const char *path);
void check_drop_copy(char *copy);
/* The same of a store that the caller has locked, or that nobody knows of; `print` is given what is
 * said of it, and `contents` what it holds. */
int check_locked_store(const char *path, struct store_options *options,
                       void (*print)(void *context, const char *line), void *context,
                       struct store_contents *contents);

#endif
