/* OpenSSL behind six functions. Each connection has a context of its own: connections are opened
 * one by one, and what they would share is not worth the lifetime to look after. Partial writes are
 * allowed, and the buffer may move between attempts, so that a link can go on from where it is. */
#include "perf/tls.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "base/mem.h"

struct tls {
    SSL_CTX *context;
    SSL *ssl;
    bool wants_write;
    unsigned long error;
};

static bool set_up(struct tls *tls, int fd, const char *host, bool verify, const char *ca_file)
{
    tls->context = SSL_CTX_new(TLS_client_method());
    if (!tls->context)
        return false;
    SSL_CTX_set_mode(tls->context,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_verify(tls->context, verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    if (verify && !SSL_CTX_set_default_verify_paths(tls->context))
        return false;
    if (ca_file && !SSL_CTX_load_verify_locations(tls->context, ca_file, NULL))
        return false;
    tls->ssl = SSL_new(tls->context);
    if (!tls->ssl || !SSL_set_fd(tls->ssl, fd))
        return false;
    X509_VERIFY_PARAM *wanted = SSL_get0_param(tls->ssl);
    /* An address is looked for as an address, a name as a name, which is sent along as well. */
    if (!X509_VERIFY_PARAM_set1_ip_asc(wanted, host)) {
        ERR_clear_error();
        if (!SSL_set1_host(tls->ssl, host) || !SSL_set_tlsext_host_name(tls->ssl, host))
            return false;
    }
    SSL_set_connect_state(tls->ssl);
    return true;
}

struct tls *tls_new(int fd, const char *host, bool verify, const char *ca_file, char *error,
                    size_t error_size)
{
    struct tls *tls = mem_zalloc(sizeof(*tls));
    if (set_up(tls, fd, host, verify, ca_file))
        return tls;
    tls->error = ERR_get_error();
    tls_error(tls, error, error_size);
    tls_free(tls);
    return NULL;
}

void tls_free(struct tls *tls)
{
    if (!tls)
        return;
    SSL_free(tls->ssl);
    SSL_CTX_free(tls->context);
    mem_free(tls);
}

/* What a result that is not positive means. */
static int judge(struct tls *tls, int result)
{
    tls->wants_write = false;
    switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_WRITE:
        tls->wants_write = true;
        return TLS_AGAIN;
    case SSL_ERROR_WANT_READ:
        return TLS_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return TLS_ENDED;
    default:
        tls->error = ERR_get_error();
        ERR_clear_error();
        return TLS_FAILED;
    }
}

int tls_handshake(struct tls *tls)
{
    ERR_clear_error();
    int result = SSL_do_handshake(tls->ssl);
    return result == 1 ? 1 : judge(tls, result);
}

bool tls_wants_write(const struct tls *tls)
{
    return tls->wants_write;
}

ssize_t tls_read(struct tls *tls, void *data, size_t size)
{
    ERR_clear_error();
    int result = SSL_read(tls->ssl, data, size > INT_MAX ? INT_MAX : (int)size);
    return result > 0 ? result : judge(tls, result);
}

ssize_t tls_write(struct tls *tls, const void *data, size_t size)
{
    ERR_clear_error();
    int result = SSL_write(tls->ssl, data, size > INT_MAX ? INT_MAX : (int)size);
    return result > 0 ? result : judge(tls, result);
}

void tls_error(const struct tls *tls, char *text, size_t size)
{
    long verified = tls->ssl ? SSL_get_verify_result(tls->ssl) : X509_V_OK;
    const char *reason = tls->error ? ERR_reason_error_string(tls->error) : NULL;
    if (verified != X509_V_OK)
        snprintf(text, size, "TLS: %s", X509_verify_cert_error_string(verified));
    else
        snprintf(text, size, "TLS: %s", reason ? reason : "the connection was cut");
}
