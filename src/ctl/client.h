/* HTTP/1.1 to one broker, one request after the other. Each call waits for its answer, at most as
 * long as the client has time. */
#ifndef LEVERET_CTL_CLIENT_H
#define LEVERET_CTL_CLIENT_H

#include "base/buffer.h"
#include "ctl/target.h"

enum client_trouble { CLIENT_FINE, CLIENT_NO_BROKER, CLIENT_TOO_LATE, CLIENT_NO_SENSE };

struct secure;

struct client {
    struct target target;
    int fd;                /* -1: not connected */
    struct secure *secure; /* NULL: it speaks no TLS, or is not connected */
    long long until;       /* milliseconds of the monotonic clock */
    struct buffer got;     /* bytes that came */
    enum client_trouble trouble;
    char error[512]; /* what the trouble is */
};

/* An answer. The body is the caller's, to be freed by buffer_free. */
struct reply {
    int status;
    struct buffer body;
    char location[512]; /* empty: none */
};

/* `seconds` is the time for all of its calls. */
void client_init(struct client *client, const struct target *target, double seconds);
void client_close(struct client *client);
/* So much time from now on. */
void client_give(struct client *client, double seconds);
/* The process at the other end of a control socket; 0: it is not known, or there is no connection, or another broker
 * is meant than the one that has the socket. */
int client_process(const struct client *client);
/* Sends a request for `path`, which begins with a slash behind "/api", and reads its answer. `body`
 * without bytes: none. `reason`: the field X-Reason; NULL: none. False: see `trouble`. */
bool client_call(struct client *client, const char *method, struct bytes path, struct bytes body,
                 const char *reason, struct reply *reply);
/* Appends a text as a part of a path: all but letters, digits and -._~ as %XX. */
void client_add_encoded(struct buffer *path, const char *text);

#endif
