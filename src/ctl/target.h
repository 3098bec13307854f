/* Where a broker's API is: a socket of this machine, or an address with a name and a password. */
#ifndef LEVERET_CTL_TARGET_H
#define LEVERET_CTL_TARGET_H

#include <stdbool.h>
#include <stddef.h>

struct target {
    char path[108];          /* of a Unix socket; empty: TCP */
    char host[256], port[8]; /* of TCP */
    char prefix[256];        /* in front of "/api" */
    char user[256], password[256];
    bool has_user;
    char name[400]; /* what it is called in messages, without the password */
};

/* Reads http://[USER:PASSWORD@]HOST[:PORT][/PREFIX], unix:PATH or a path. False: `error` says what
 * is wrong. */
bool target_read(struct target *target, const char *uri, char *error, size_t error_size);
/* The control socket of this machine's broker: of `folder`, if that is not NULL, else where a
 * broker puts it by itself. */
void target_local(struct target *target, const char *folder);

#endif
