/* The names that are in a certificate. */
#ifndef LEVERET_NET_TLS_PEER_H
#define LEVERET_NET_TLS_PEER_H

#include "net/tls_library.h"
#include "peer/conversation.h"

/* The name of that kind; of several that are subject alternative names the one at `index`, from 0 on.
 * False: there is none, or it has a byte 0, or more than fits into `size` with its end. */
bool tls_peer_name(const struct tls_library *library, X509 *certificate, enum peer_name which,
                   size_t index, char *text, size_t size);

#endif
