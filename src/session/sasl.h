/* Who is it? The SASL mechanisms: PLAIN (RFC 4616), AMQPLAIN (a field table with LOGIN and
 * PASSWORD), and, when it is enabled, ANONYMOUS. All need one response only. */
#ifndef LEVERET_SESSION_SASL_H
#define LEVERET_SESSION_SASL_H

#include "session/connection.h"

enum sasl_result {
    SASL_OK,
    SASL_REFUSED,   /* unknown user or wrong password; or the user must not come from there */
    SASL_MALFORMED, /* the mechanism is not offered, or its response makes no sense */
};

/* The offered mechanisms, separated by spaces. */
const char *sasl_mechanisms(const struct connection *connection);
/* On SASL_OK, *user is who it is. *name is set whenever the mechanism is known. */
enum sasl_result sasl_login(const struct connection *connection, struct bytes mechanism,
                            struct bytes response, struct user **user, const char **name);

#endif
