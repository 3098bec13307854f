/* Where a broker's API is: a socket of this machine, or an address with a name and a password. */
#ifndef LEVERET_CTL_TARGET_H
#define LEVERET_CTL_TARGET_H

#include <stdbool.h>
#include <stddef.h>

/* How a broker that is spoken to by TLS is known. NULL: none; the texts are borrowed. */
struct target_tls {
    const char *authorities;       /* a file of certificates; NULL: those of the system */
    const char *certificate, *key; /* of this client */
    bool takes_any;                /* whoever answers is taken for the broker */
    bool takes_any_name;           /* whoever has a certificate of the authorities is, whatever its name */
};

struct target {
    char path[108];          /* of a Unix socket; empty: TCP */
    char host[256], port[8]; /* of TCP */
    char prefix[256];        /* in front of "/api" */
    char user[256], password[256];
    bool has_user, has_port; /* they were told */
    bool is_tls;
    struct target_tls tls;
    char name[1024]; /* what it is called in messages, without the password */
    char node[512];  /* the broker of its cluster that is meant; empty: itself */
};

/* Reads http[s]://[USER:PASSWORD@]HOST[:PORT][/PREFIX], unix:PATH or a path. False: `error` says
 * what is wrong. */
bool target_read(struct target *target, const char *uri, char *error, size_t error_size);
/* The control socket of this machine's broker: of `folder`, if that is not NULL, else where a
 * broker puts it by itself. */
void target_local(struct target *target, const char *folder);

#endif
