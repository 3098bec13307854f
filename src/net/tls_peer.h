/* The names that are in a certificate, and what else is told of it and of a cipher. */
#ifndef LEVERET_NET_TLS_PEER_H
#define LEVERET_NET_TLS_PEER_H

#include "net/tls_library.h"
#include "peer/conversation.h"

/* The name of that kind; of several that are subject alternative names the one at `index`, from 0 on.
 * False: there is none, or it has a byte 0, or more than fits into `size` with its end. */
bool tls_peer_name(const struct tls_library *library, X509 *certificate, enum peer_name which,
                   size_t index, char *text, size_t size);
/* PEER_CERT_...; false: the same. */
bool tls_peer_certificate(const struct tls_library *library, const X509 *certificate,
                          enum peer_tls which, char *text, size_t size);
/* PEER_TLS_KEY_EXCHANGE, PEER_TLS_CIPHER or PEER_TLS_HASH, by the names that Erlang has for them. */
bool tls_peer_cipher(const struct tls_library *library, const SSL_CIPHER *cipher,
                     enum peer_tls which, char *text, size_t size);

#endif
