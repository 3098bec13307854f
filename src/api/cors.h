/* Which pages of other sites may use the API in a browser (CORS): an answer says whether its asker's
 * origin may read it, and one to OPTIONS also what may be asked then. Nobody is kept out by it who is
 * no browser. */
#ifndef LEVERET_API_CORS_H
#define LEVERET_API_CORS_H

#include "api/route.h"

/* In its fields, what a browser wants to know about the origin that it has sent. Nothing if it has
 * sent none, or none that may. */
void cors_write(const struct call *call, struct buffer *fields);

#endif
