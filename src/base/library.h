/* Shared libraries that are loaded when they are wanted. */
#ifndef LEVERET_BASE_LIBRARY_H
#define LEVERET_BASE_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>

/* Loads a library, "libssl.so.3", and finds its functions by their names; it stays as long as the
 * process does. False: see library_error. */
bool library_load(const char *name, const char *const *functions, size_t count, void **found);
/* Why the last load has failed, for this thread. */
const char *library_error(void);

#endif
