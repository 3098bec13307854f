/* leveretd --dump-store: what is in a store that no daemon is using, as JSON. */
#ifndef LEVERET_DUMP_STORE_H
#define LEVERET_DUMP_STORE_H

#include <stdbool.h>

#include "store/store.h"

struct dump_options {
    const char *vhost; /* only of this one; NULL: of all */
    const char *queue; /* only messages of this queue of it (of "/", if none is said); NULL: all */
    bool is_document;  /* one document, and not one on each line */
    const char *product_version; /* of the RabbitMQ that definitions are written for */
};

/* Prints definitions as an export has them, and then the messages, to the standard output; nothing
 * in the folder `path` changes. `options` gives the sizes. The exit status: 0; 1 when the store, or
 * some of its messages, is damaged, or the output cannot be written; 2 when there is no store, it
 * cannot be read, or it has no such queue. What is wrong is said on the standard error. */
int dump_store(const char *path, const struct dump_options *wanted, struct store_options *options);

#endif
