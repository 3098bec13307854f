/* leveretd --check-store: looks at a store that no daemon is using. */
#ifndef LEVERET_CHECK_H
#define LEVERET_CHECK_H

#include "store/store.h"

/* Prints to standard output what the store in the folder `path` holds and whether it is sound; nothing
 * in that folder changes. `options` gives the sizes. The exit status: 0 when it is sound, 1 when it is
 * damaged, 2 when it cannot be read. */
int check_store(const char *path, struct store_options *options);

#endif
