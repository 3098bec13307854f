/* What must hold of a store between two calls, looked at as a whole: sums over chunks, lists,
 * counters of segments. It reads all blobs of cold chunks, and takes as long as the store is large.
 */
#ifndef LEVERET_TESTS_STORE_AUDIT_H
#define LEVERET_TESTS_STORE_AUDIT_H

#include "store/store.h"

/* NULL: all holds; else what does not, until the next call. */
const char *store_audit(struct store *store);

#endif
