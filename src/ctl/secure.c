#include "ctl/secure.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/library.h"
#include "base/mem.h"

struct library {
#define FUNCTION(name) __typeof__(&name) name;
#include "ctl/openssl.def"
};

static const char *const function_names[] = {
#define FUNCTION(name) #name,
#include "ctl/openssl.def"
};

enum { FUNCTIONS = sizeof(function_names) / sizeof(function_names[0]) };
_Static_assert(sizeof(struct library) == FUNCTIONS * sizeof(void *), "a pointer for each name");

#define TEXT_OF(number) #number
#define LIBRARY_NAME(version) "libssl.so." TEXT_OF(version)

struct secure {
    struct library lib;
    SSL_CTX *context;
    SSL *ssl;
    bool is_established;
    char error[300];
};

/* ---- what went wrong ---- */

static const char *reason(const struct secure *secure)
{
    unsigned long code = secure->lib.ERR_peek_error();
    const char *text = code ? secure->lib.ERR_reason_error_string(code) : NULL;
    return text ? text : "no reason is known";
}

static bool refuse(const struct secure *secure, const char *what, const char *file, char *error,
                   size_t error_size)
{
    snprintf(error, error_size, "%s%s%s: %s", what, file ? " " : "", file ? file : "",
             reason(secure));
    return false;
}

const char *secure_error(const struct secure *secure)
{
    return secure->error;
}

/* ---- before the handshake ---- */

static bool load_library(struct library *lib, char *error, size_t error_size)
{
    void *found[FUNCTIONS];
    if (!library_load(LIBRARY_NAME(OPENSSL_SHLIB_VERSION), function_names, FUNCTIONS, found)) {
        snprintf(error, error_size, "OpenSSL cannot be loaded: %s", library_error());
        return false;
    }
    memcpy(lib, found, sizeof(*lib));
    return true;
}

static bool set_authorities(struct secure *secure, const struct target_tls *tls, char *error,
                            size_t error_size)
{
    const struct library *lib = &secure->lib;
    lib->SSL_CTX_set_verify(secure->context, tls->takes_any ? SSL_VERIFY_NONE : SSL_VERIFY_PEER,
                            NULL);
    if (tls->takes_any)
        return true;
    if (!tls->authorities)
        return lib->SSL_CTX_set_default_verify_paths(secure->context) == 1 ||
               refuse(secure, "the system's authorities cannot be read", NULL, error, error_size);
    return lib->SSL_CTX_load_verify_file(secure->context, tls->authorities) == 1 ||
           refuse(secure, "no authorities can be read from", tls->authorities, error, error_size);
}

static bool set_certificate(struct secure *secure, const struct target_tls *tls, char *error,
                            size_t error_size)
{
    const struct library *lib = &secure->lib;
    const char *key = tls->key ? tls->key : tls->certificate;
    if (!tls->certificate)
        return !key || refuse(secure, "a key needs a certificate:", key, error, error_size);
    if (lib->SSL_CTX_use_certificate_chain_file(secure->context, tls->certificate) != 1)
        return refuse(secure, "no certificate can be read from", tls->certificate, error,
                      error_size);
    return lib->SSL_CTX_use_PrivateKey_file(secure->context, key, SSL_FILETYPE_PEM) == 1 ||
           refuse(secure, "no key of that certificate can be read from", key, error, error_size);
}

static bool is_address(const char *host)
{
    uint8_t room[16];
    return inet_pton(AF_INET, host, room) == 1 || inet_pton(AF_INET6, host, room) == 1;
}

/* The name is asked for, and looked for in the certificate. */
static bool set_name(struct secure *secure, const struct target *target)
{
    const struct library *lib = &secure->lib;
    const char *host = target->host;
    bool is_wanted = !target->tls.takes_any && !target->tls.takes_any_name;
    if (is_address(host))
        return !is_wanted ||
               lib->X509_VERIFY_PARAM_set1_ip_asc(lib->SSL_get0_param(secure->ssl), host) == 1;
    lib->SSL_ctrl(secure->ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                  (void *)(uintptr_t)host);
    return !is_wanted || lib->SSL_set1_host(secure->ssl, host) == 1;
}

static bool prepare(struct secure *secure, int fd, const struct target *target, char *error,
                    size_t error_size)
{
    const struct library *lib = &secure->lib;
    if (!load_library(&secure->lib, error, error_size))
        return false;
    secure->context = lib->SSL_CTX_new(lib->TLS_client_method());
    if (!secure->context)
        return refuse(secure, "TLS cannot be had", NULL, error, error_size);
    if (!set_authorities(secure, &target->tls, error, error_size) ||
        !set_certificate(secure, &target->tls, error, error_size))
        return false;
    secure->ssl = lib->SSL_new(secure->context);
    return (secure->ssl && lib->SSL_set_fd(secure->ssl, fd) == 1 && set_name(secure, target)) ||
           refuse(secure, "TLS cannot be had", NULL, error, error_size);
}

struct secure *secure_new(int fd, const struct target *target, char *error, size_t error_size)
{
    struct secure *secure = mem_zalloc(sizeof(*secure));
    if (prepare(secure, fd, target, error, error_size))
        return secure;
    secure_free(secure);
    return NULL;
}

void secure_free(struct secure *secure)
{
    if (secure && secure->ssl)
        secure->lib.SSL_free(secure->ssl);
    if (secure && secure->context)
        secure->lib.SSL_CTX_free(secure->context);
    mem_free(secure);
}

/* ---- bytes ---- */

/* What a call that did not succeed waits for. Returns -1, or 0 at the end. */
static ssize_t judge(struct secure *secure, int result, short *events)
{
    const struct library *lib = &secure->lib;
    int system_error = errno;
    int kind = lib->SSL_get_error(secure->ssl, result);
    long verified = lib->SSL_get_verify_result(secure->ssl);
    *events = kind == SSL_ERROR_WANT_READ ? POLLIN : kind == SSL_ERROR_WANT_WRITE ? POLLOUT : 0;
    if (*events)
        return -1;
    if (kind == SSL_ERROR_ZERO_RETURN)
        return 0;
    if (!secure->is_established && verified != X509_V_OK)
        snprintf(secure->error, sizeof(secure->error), "the broker's certificate is not good: %s",
                 lib->X509_verify_cert_error_string(verified));
    else if (kind == SSL_ERROR_SYSCALL)
        snprintf(secure->error, sizeof(secure->error), "%s",
                 system_error ? strerror(system_error) : "the connection was closed");
    else
        snprintf(secure->error, sizeof(secure->error), "TLS: %s", reason(secure));
    return -1;
}

static bool shake_hands(struct secure *secure, short *events)
{
    if (secure->is_established)
        return true;
    secure->lib.ERR_clear_error();
    int result = secure->lib.SSL_connect(secure->ssl);
    secure->is_established = result == 1;
    if (result != 1 && judge(secure, result, events) == 0)
        snprintf(secure->error, sizeof(secure->error), "the broker ended the handshake");
    return result == 1;
}

ssize_t secure_send(struct secure *secure, const void *data, size_t size, short *events)
{
    size_t count;
    if (!shake_hands(secure, events))
        return -1;
    secure->lib.ERR_clear_error();
    int result = secure->lib.SSL_write_ex(secure->ssl, data, size, &count);
    return result == 1 ? (ssize_t)count : judge(secure, result, events);
}

ssize_t secure_receive(struct secure *secure, void *data, size_t size, short *events)
{
    size_t count;
    if (!shake_hands(secure, events))
        return -1;
    secure->lib.ERR_clear_error();
    int result = secure->lib.SSL_read_ex(secure->ssl, data, size, &count);
    return result == 1 ? (ssize_t)count : judge(secure, result, events);
}
