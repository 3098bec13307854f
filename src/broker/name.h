/* Names of exchanges and queues, and how texts of errors call them. */
#ifndef LEVERET_BROKER_NAME_H
#define LEVERET_BROKER_NAME_H

#include "broker/vhost.h"

enum { NAME_MAX_SIZE = 255 };

/* The name without carriage returns and line feeds; `room` (NAME_MAX_SIZE bytes) is used when there
 * are any. */
struct bytes name_strip(struct bytes name, char *room);

/* A terminated copy, which the caller frees. */
char *text_copy(struct bytes text);

/* Long enough for the text of a resource. */
enum { RESOURCE_MAX = 2 * NAME_MAX_SIZE + 32 };
/* Writes `queue 'q' in vhost '/'`: kind is "queue" or "exchange". Returns `text`. */
const char *resource_text(char text[RESOURCE_MAX], const char *kind, struct bytes name,
                          const struct vhost *vhost);

#endif
