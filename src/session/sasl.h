/* Who is it? The SASL mechanisms: PLAIN (RFC 4616), AMQPLAIN (a field table with LOGIN and
 * PASSWORD), and, when they are enabled, ANONYMOUS and EXTERNAL, where TLS has shown a certificate that
 * names the user. All need one response only. */
#ifndef LEVERET_SESSION_SASL_H
#define LEVERET_SESSION_SASL_H

#include "session/connection.h"

enum sasl_result {
    SASL_OK,
    SASL_REFUSED,   /* unknown user or wrong password; or the user must not come from there */
    SASL_MALFORMED, /* the mechanism is not offered, or its response makes no sense */
    SASL_WAITS,     /* the password is being checked: the same is to be asked again later */
};

enum { SASL_MECHANISMS_BYTES = 64, SASL_CERTIFIED_BYTES = 512 };

/* Writes the offered mechanisms, separated by spaces. Returns `text`. */
const char *sasl_mechanisms(const struct connection *connection, char text[SASL_MECHANISMS_BYTES]);
/* What came of it, as far as it came; it is all zero before, but for what is between calls. */
struct sasl_login {
    struct login **check;         /* where a check that takes long is kept meanwhile: broker/login.h */
    void (*ended)(void *context); /* called when it has ended; or NULL */
    void *context;
    struct user *user;     /* who it is, on SASL_OK */
    const char *mechanism; /* NULL: it is not known */
    struct bytes name;     /* as the client gave it; borrowed from the response, or: */
    char certified[SASL_CERTIFIED_BYTES]; /* as a certificate has it */
    char reason[320];      /* for the log, unless SASL_OK */
};

/* The check is the connection's own, which is held until it has ended. */
enum sasl_result sasl_login(struct connection *connection, struct bytes mechanism,
                            struct bytes response, struct sasl_login *login);
/* The last step of it, for login->name, wherever name and password came from. */
enum sasl_result sasl_check_password(struct server *server, const struct peer *peer,
                                     struct bytes password, struct sasl_login *login);
/* May a user of that name come from other machines? */
bool sasl_lets_in_from_afar(const struct server_options *options, struct bytes name);

#endif
