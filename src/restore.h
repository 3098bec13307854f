/* leveretd --restore: makes the data folder from a copy of a store. */
#ifndef LEVERET_RESTORE_H
#define LEVERET_RESTORE_H

#include "store/store.h"

/* Copies the store in the folder `from`, which no daemon uses, to the folder `to`, which is empty or
 * not there yet; gives it an identity of its own, checks it, and prints what is there. `options`
 * gives the sizes. All is there, or nothing; after a crash a start refuses the folder. The exit
 * status: 0 when it is done, 1 when the copy is damaged or cannot be made, 2 when that cannot be
 * begun. What is wrong is said on the standard error. */
int restore_store(const char *from, const char *to, struct store_options *options);

#endif
