/* Forms with files: bodies of the type multipart/form-data (RFC 7578). */
#ifndef LEVERET_HTTP_MULTIPART_H
#define LEVERET_HTTP_MULTIPART_H

#include "http/request.h"

/* Is the body of this type? */
bool http_is_form(const struct http_request *request);
/* The value of the first field of this name; it lies in the body. False: there is none, or the form
 * cannot be read up to there. */
bool http_form_field(const struct http_request *request, const char *name, struct bytes *value);

#endif
