/* TLS of one connection to a broker, over a socket that does not block. OpenSSL is loaded when one
 * is made: who asks a control socket does not pay for it. */
#ifndef LEVERET_CTL_SECURE_H
#define LEVERET_CTL_SECURE_H

#include <sys/types.h>

#include "ctl/target.h"

struct secure;

/* For a socket that is connected. NULL: `error` says why. The caller frees it by secure_free,
 * before the socket is closed. */
struct secure *secure_new(int fd, const struct target *target, char *error, size_t error_size);
void secure_free(struct secure *secure); /* NULL is allowed */

/* Like send and recv, and the first call shakes hands. -1: *events, of poll(2), have to be waited
 * for; where these are 0 it has failed, and secure_error says why. */
ssize_t secure_send(struct secure *secure, const void *data, size_t size, short *events);
ssize_t secure_receive(struct secure *secure, void *data, size_t size, short *events);
const char *secure_error(const struct secure *secure);

#endif
