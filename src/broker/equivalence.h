/* When a second declaration says the same as the first. `resource` is a text as resource_text makes
 * it. */
#ifndef LEVERET_BROKER_EQUIVALENCE_H
#define LEVERET_BROKER_EQUIVALENCE_H

#include "base/bytes.h"
#include "broker/error.h"

/* 406 `inequivalent arg 'durable' ...` when the two differ. */
bool equivalent_bool(const char *resource, const char *name, bool received, bool current,
                     struct error *error);
/* The same for an argument: both tables may or may not have it. */
bool equivalent_argument(const char *resource, const char *name, struct bytes received,
                         struct bytes current, struct error *error);

#endif
