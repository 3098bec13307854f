/* TLS for one connection; the only file of the load generator that knows the library behind it. */
#ifndef LEVERET_PERF_TLS_H
#define LEVERET_PERF_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct tls; /* a connection's */

/* What tls_read and tls_write return besides a number of bytes. */
enum { TLS_AGAIN = 0, TLS_FAILED = -1, TLS_ENDED = -2 };

/* A client on a connected socket, which stays the caller's. With `verify`, the server's certificate
 * must be good for `host`, by the system's authorities or those in the file `ca_file` (NULL: none).
 * NULL with a reason in `error`. */
struct tls *tls_new(int fd, const char *host, bool verify, const char *ca_file, char *error,
                    size_t error_size);
/* NULL is allowed. */
void tls_free(struct tls *tls);
/* Takes the handshake further: 1 when it is done, TLS_AGAIN when the socket must be waited for (see
 * tls_wants_write), or TLS_FAILED. */
int tls_handshake(struct tls *tls);
bool tls_wants_write(const struct tls *tls);
/* Bytes read or written, TLS_AGAIN when the socket must be waited for, TLS_ENDED or TLS_FAILED. */
ssize_t tls_read(struct tls *tls, void *data, size_t size);
ssize_t tls_write(struct tls *tls, const void *data, size_t size);
/* Why the last call failed. */
void tls_error(const struct tls *tls, char *text, size_t size);

#endif
