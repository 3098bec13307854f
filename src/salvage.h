/* leveretd --salvage: makes a store of what is sound in a damaged one. */
#ifndef LEVERET_SALVAGE_H
#define LEVERET_SALVAGE_H

#include "store/store.h"

/* Checks the store in the folder `path`, and unless it is sound builds its index anew from what can be
 * read. Prints what was lost, also to a file. `options` gives the sizes. The exit status: 0 when it is
 * sound now, 1 when that could not be done, 2 when there is no store or it is in use. */
int salvage_store(const char *path, struct store_options *options);
/* The same of a copy of the store in the folder `from`, in the folder `path`, which is empty or not
 * there yet; that in `from` stays as it is. */
int salvage_copy(const char *from, const char *path, struct store_options *options);

#endif
