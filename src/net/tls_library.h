/* The functions of OpenSSL that src/net uses, as they were found in the library: for the files that know
 * it, and nobody else. */
#ifndef LEVERET_NET_TLS_LIBRARY_H
#define LEVERET_NET_TLS_LIBRARY_H

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

struct tls_library {
#define FUNCTION(name) __typeof__(&name) name;
#include "net/openssl.def"
};

#endif
