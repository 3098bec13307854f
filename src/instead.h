/* What the program may be asked to do instead of serving. */
#ifndef LEVERET_INSTEAD_H
#define LEVERET_INSTEAD_H

#include "options.h"

/* They return what the program ends with. */
typedef int instead(const struct options *options, struct config *config);
typedef int instead_store(struct options *options);

/* Without a log: texts, and what the configuration says. NULL: nothing of that is asked for. */
instead *instead_of_all(const struct options *options);
/* With options->store.log: a store is looked into, or restored. NULL: it is not. */
instead_store *instead_with_store(const struct options *options);
/* The same: it is salvaged, as is asked for. */
int instead_salvage(struct options *options);

#endif
