/* OpenSSL behind calls that look like recv and sendmsg.
 *
 * The library is loaded when it is wanted: a daemon that is linked with it pays for it in memory
 * and in time at its start, TLS or not. Functions are found by name, so that for macros of the
 * headers what is behind them is called.
 *
 * Reading goes through a BIO of our own that takes a bounded number of bytes from the socket for
 * each call: the library goes on by itself over records that bring no data (key updates, refused
 * renegotiations), and a peer that sends nothing else would keep it for as long as it likes. Once
 * the handshake is over, the library reads ahead: one recv brings many records. So bytes can wait
 * in here while the socket has none: tls_has_input.
 *
 * Writing gathers small parts into records of 16 KiB, since each record costs a call of the system
 * and some 30 bytes. What did not go out must come again (SSL_write(3)), and does: an output only
 * grows at its end. Where the kernel can encrypt it is given the parts as they are; a peer's
 * request for new keys is not met then, as it cannot change them.
 *
 * Brokers that share a secret prove it to one another by a pre-shared key of TLS 1.3, with which a key
 * exchange is made as always: who learns the secret later cannot read what was said before. There are no
 * certificates then, so that nobody else gets through the handshake.
 *
 * A client may say by which name it knows the server (SNI). Of several certificates the first one that has
 * this name, among its DNS names or by a wildcard, is shown; who says none, or one that nobody has, is shown
 * the usual one. All else is as for the usual one.
 *
 * Buffers are released while nothing is in them, and sessions are not kept here but with the peers,
 * in tickets. A new context makes all tickets void, so that what reload has changed is in force for
 * everybody who connects. */
#include "net/tls.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "base/digest.h"
#include "base/library.h"
#include "base/mem.h"
#include "net/tls_peer.h"

enum {
    RECORD_BYTES = 16384, /* of plain text in the largest record (RFC 8446, 5.1) */
    READ_AHEAD_BYTES = 64 << 10,
    ALLOWANCE_BYTES = 128 << 10, /* from the socket, for each call */
};

/* What connections begin with: our usual certificate, and those for other names. */
struct shown {
    SSL_CTX *usual; /* NULL: there is nothing */
    SSL_CTX **others;
    size_t count;
    struct buffer names;      /* of the others: see tls_context_names; ends with a byte 0, or is empty */
    uint64_t revoked_ends_ms; /* 0: never */
};

struct tls_context {
    const struct tls_options *options;
    const struct log *log;
    struct shown current;
    struct shown next; /* nothing, unless it was prepared */
    BIO_METHOD *input;
    uint8_t key[SHA256_SIZE], next_key[SHA256_SIZE]; /* of the secret */
};

struct tls {
    struct tls_context *context;
    const struct address *peer;
    SSL *ssl;
    int fd;
    /* Of the handshake that has ended, for who asks while a thread uses `ssl`: */
    int version;
    const SSL_CIPHER *cipher;
    X509 *certificate; /* the peer's; NULL: it has shown none */
    int error;        /* errno of what made it end; 0: the peer closed */
    size_t allowance; /* what may still be read from the socket in this call */
    bool is_dialed; /* by us */
    bool is_established;
    bool is_over;      /* nothing can be read any more */
    bool is_broken;    /* nor said */
    bool is_dry;       /* the library has nothing that could be acted on */
    bool is_offloaded; /* the kernel encrypts */
    bool is_at_end;    /* the peer has closed its side of the socket */
    bool wants_read;   /* what the last call waits for */
    bool wants_write;
};

/* ---- the library ---- */

static struct tls_library lib; /* written once, before there are connections */

static const char *const function_names[] = {
#define FUNCTION(name) #name,
#include "net/openssl.def"
};

enum { FUNCTIONS = sizeof(function_names) / sizeof(function_names[0]) };
_Static_assert(sizeof(lib) == FUNCTIONS * sizeof(void *), "a pointer for each name");

#define TEXT_OF(number) #number
#define LIBRARY_NAME(version) "libssl.so." TEXT_OF(version)

static bool load_library(char *error, size_t error_size)
{
    void *found[FUNCTIONS];
    if (!library_load(LIBRARY_NAME(OPENSSL_SHLIB_VERSION), function_names, FUNCTIONS, found)) {
        snprintf(error, error_size, "OpenSSL cannot be loaded: %s", library_error());
        return false;
    }
    memcpy(&lib, found, sizeof(lib));
    return true;
}

/* ---- input, by the spoonful ---- */

static int input_read(BIO *bio, char *data, int size)
{
    struct tls *tls = lib.BIO_get_data(bio);
    size_t wanted = (size_t)size < tls->allowance ? (size_t)size : tls->allowance;
    lib.BIO_clear_flags(bio, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY);
    if (wanted == 0) { /* the socket is still readable, and we will be called again */
        lib.BIO_set_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY);
        return -1;
    }
    ssize_t n = recv(tls->fd, data, wanted, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        lib.BIO_set_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY);
    else if (n == 0)
        tls->is_at_end = true;
    else if (n > 0)
        tls->allowance -= (size_t)n;
    return (int)n;
}

static long input_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)number;
    (void)pointer;
    const struct tls *tls = lib.BIO_get_data(bio);
    return command == BIO_CTRL_EOF ? tls->is_at_end : command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *input_method(void)
{
    BIO_METHOD *method = lib.BIO_meth_new(lib.BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "input");
    if (!method || !lib.BIO_meth_set_read(method, input_read) ||
        !lib.BIO_meth_set_ctrl(method, input_ctrl))
        abort();
    return method;
}

/* ---- what all connections share ---- */

/* Why the last call of the library failed: what it met first. */
static const char *reason(void)
{
    unsigned long error = lib.ERR_peek_error();
    const char *text = ERR_SYSTEM_ERROR(error) ? strerror(ERR_GET_REASON(error))
                                               : lib.ERR_reason_error_string(error);
    return text ? text : "the file is not in PEM";
}

static bool refuse(char *error, size_t error_size, const char *what, const char *file)
{
    snprintf(error, error_size, "%s %s: %s", what, file, reason());
    lib.ERR_clear_error();
    return false;
}

struct tls_options tls_options_default(void)
{
    return (struct tls_options){
        .min_version = TLS_VERSION_1_2, .max_version = TLS_VERSION_1_3, .depth = 100};
}

/* The library would ask the terminal otherwise. */
static int give_passphrase(char *text, int size, int writing, void *context)
{
    const char *passphrase = context;
    size_t wanted = passphrase ? strlen(passphrase) : 0;
    (void)writing;
    if (!passphrase || wanted > (size_t)size)
        return -1;
    memcpy(text, passphrase, wanted);
    return (int)wanted;
}

static bool load_own(SSL_CTX *ssl, const struct tls_options *options, char *error,
                     size_t error_size)
{
    lib.SSL_CTX_set_default_passwd_cb(ssl, give_passphrase);
    lib.SSL_CTX_set_default_passwd_cb_userdata(ssl, (void *)(uintptr_t)options->passphrase);
    if (lib.SSL_CTX_use_certificate_chain_file(ssl, options->certificate) != 1)
        return refuse(error, error_size, "no certificate can be read from", options->certificate);
    if (lib.SSL_CTX_use_PrivateKey_file(ssl, options->key, SSL_FILETYPE_PEM) == 1)
        return true;
    if (ERR_GET_REASON(lib.ERR_peek_error()) == X509_R_KEY_VALUES_MISMATCH) {
        snprintf(error, error_size, "the key in %s does not belong to the certificate in %s",
                 options->key, options->certificate);
        lib.ERR_clear_error();
        return false;
    }
    return refuse(error, error_size,
                  options->passphrase ? "no private key with that passphrase can be read from"
                                      : "no private key without a passphrase can be read from",
                  options->key);
}

/* Without them there are no ciphers of DHE, as there is no need of them. */
static bool load_dh(SSL_CTX *ssl, const char *file, char *error, size_t error_size)
{
    if (!file)
        return true;
    BIO *bio = lib.BIO_new_file(file, "r");
    EVP_PKEY *parameters = bio ? lib.PEM_read_bio_Parameters(bio, NULL) : NULL;
    lib.BIO_free(bio);
    if (parameters && lib.SSL_CTX_set0_tmp_dh_pkey(ssl, parameters) == 1)
        return true;
    lib.EVP_PKEY_free(parameters);
    return refuse(error, error_size, "no parameters of DHE can be read from", file);
}

/* Without the list of an authority, or with one that is too old, nobody has a good certificate of it. */
static bool load_revoked(SSL_CTX *ssl, const char *file, char *error, size_t error_size)
{
    if (!file)
        return true;
    X509_STORE *store = lib.SSL_CTX_get_cert_store(ssl);
    X509_LOOKUP *lookup = lib.X509_STORE_add_lookup(store, lib.X509_LOOKUP_file());
    if (!lookup)
        abort();
    if (lib.X509_load_crl_file(lookup, file, X509_FILETYPE_PEM) <= 0)
        return refuse(error, error_size, "no lists of revoked certificates can be read from", file);
    lib.ERR_clear_error(); /* the end of the file is one, behind a list */
    lib.X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    return true;
}

static bool load_authorities(SSL_CTX *ssl, const struct tls_options *options, char *error,
                             size_t error_size)
{
    if (!options->verify_peer)
        return true;
    STACK_OF(X509_NAME) *names = lib.SSL_load_client_CA_file(options->authorities);
    lib.SSL_CTX_set_client_CA_list(ssl, names);
    if (!names || lib.SSL_CTX_load_verify_file(ssl, options->authorities) != 1)
        return refuse(error, error_size, "no certificates of authorities can be read from",
                      options->authorities);
    int without = options->peer_optional ? 0 : SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    lib.SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | without, NULL);
    lib.SSL_CTX_set_verify_depth(ssl, options->depth);
    return load_revoked(ssl, options->revoked, error, error_size);
}

/* ---- ciphers ---- */

enum { CIPHERS_BYTES = 4096 };

/* Of TLS 1.2 those with forward secrecy that encrypt and authenticate in one, as all have of 1.3. */
static const char strong[] = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20";

/* Those that are named, by what they are for. */
struct ciphers {
    char old[CIPHERS_BYTES],
        new[CIPHERS_BYTES]; /* up to TLS 1.2, and from 1.3 on; with : between */
};

static void add_cipher(char *list, const char *name)
{
    size_t used = strlen(list);
    snprintf(list + used, CIPHERS_BYTES - used, "%s%s", used ? ":" : "", name);
}

/* Each one is tried by itself, as a list passes over names that are not known. */
static bool sort_cipher(SSL_CTX *ssl, const char *name, struct ciphers *ciphers)
{
    bool is_new = lib.SSL_CTX_set_ciphersuites(ssl, name) == 1;
    bool is_old = !is_new && lib.SSL_CTX_set_cipher_list(ssl, name) == 1;
    add_cipher(is_new ? ciphers->new : ciphers->old, name);
    return is_new || is_old;
}

static bool sort_ciphers(SSL_CTX *ssl, const char *names, struct ciphers *ciphers, char *error,
                         size_t error_size)
{
    char name[128];
    for (const char *at = names; *at; at += strcspn(at, ":"), at += *at == ':') {
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(at, ":"), at);
        if (sort_cipher(ssl, name, ciphers))
            continue;
        snprintf(error, error_size, "OpenSSL has no cipher %s; 'openssl ciphers -v' lists all",
                 name);
        lib.ERR_clear_error();
        return false;
    }
    lib.ERR_clear_error();
    return true;
}

static void set_version(SSL_CTX *ssl, int which, enum tls_version version)
{
    lib.SSL_CTX_ctrl(ssl, which, version == TLS_VERSION_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION,
                     NULL);
}

/* A version without a cipher of its own is not spoken. */
static bool set_ciphers(SSL_CTX *ssl, const struct tls_options *options, char *error,
                        size_t error_size)
{
    struct ciphers ciphers = {.old = "", .new = ""};
    if (!options->ciphers)
        return lib.SSL_CTX_set_cipher_list(ssl, strong) == 1 || refuse(error, error_size, "OpenSSL has no", strong);
    if (!sort_ciphers(ssl, options->ciphers, &ciphers, error, error_size))
        return false;
    if (ciphers.old[0])
        lib.SSL_CTX_set_cipher_list(ssl, ciphers.old);
    else
        set_version(ssl, SSL_CTRL_SET_MIN_PROTO_VERSION, TLS_VERSION_1_3);
    if (ciphers.new[0])
        lib.SSL_CTX_set_ciphersuites(ssl, ciphers.new);
    else
        set_version(ssl, SSL_CTRL_SET_MAX_PROTO_VERSION, TLS_VERSION_1_2);
    return true;
}

static const unsigned char context_name[] = "leveretd"; /* whose sessions they are */

static void set_behaviour(SSL_CTX *ssl, const struct tls_options *options)
{
    set_version(ssl, SSL_CTRL_SET_MIN_PROTO_VERSION, options->min_version);
    set_version(ssl, SSL_CTRL_SET_MAX_PROTO_VERSION, options->max_version);
    lib.SSL_CTX_ctrl(ssl, SSL_CTRL_MODE,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                         SSL_MODE_RELEASE_BUFFERS,
                     NULL);
    /* A conversation says by itself when it is over: the end of the socket is as good as another.
     */
    lib.SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_ENABLE_KTLS |
                                     (options->own_order ? SSL_OP_CIPHER_SERVER_PREFERENCE : 0));
    lib.SSL_CTX_ctrl(ssl, SSL_CTRL_SET_SESS_CACHE_MODE, SSL_SESS_CACHE_OFF, NULL);
    lib.SSL_CTX_set_session_id_context(ssl, context_name, sizeof(context_name) - 1);
}

/* ---- a secret that both sides know ---- */

static const char cookie_identity[] = "leveret-node";

/* The session that stands for the secret, as if there had been one before. */
static SSL_SESSION *cookie_session(SSL *ssl)
{
    static const unsigned char suite[] = {0x13, 0x01}; /* TLS_AES_128_GCM_SHA256 */
    const struct tls *tls = lib.SSL_get_ex_data(ssl, 0);
    const SSL_CIPHER *cipher = lib.SSL_CIPHER_find(ssl, suite);
    SSL_SESSION *session = lib.SSL_SESSION_new();
    if (!session || !cipher ||
        lib.SSL_SESSION_set1_master_key(session, tls->context->key, SHA256_SIZE) != 1 ||
        lib.SSL_SESSION_set1_id_context(session, context_name, sizeof(context_name) - 1) != 1 ||
        lib.SSL_SESSION_set_cipher(session, cipher) != 1 ||
        lib.SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION) != 1)
        abort();
    return session;
}

static int offer_cookie(SSL *ssl, const EVP_MD *digest, const unsigned char **identity,
                        size_t *identity_size, SSL_SESSION **session)
{
    (void)digest; /* there is one cipher, and it has the right one */
    *identity = (const unsigned char *)cookie_identity;
    *identity_size = sizeof(cookie_identity) - 1;
    *session = cookie_session(ssl);
    return 1;
}

static int find_cookie(SSL *ssl, const unsigned char *identity, size_t identity_size,
                       SSL_SESSION **session)
{
    bool is_ours = bytes_equal_str(bytes_of(identity, identity_size), cookie_identity);
    *session = is_ours ? cookie_session(ssl) : NULL;
    return 1;
}

/* Without the white space at its end. 0: it cannot be used, and `error` says why. */
static size_t read_cookie(const char *path, uint8_t *text, char *error, size_t error_size)
{
    struct stat status;
    FILE *file = fopen(path, "re");
    if (!file || fstat(fileno(file), &status) != 0) {
        snprintf(error, error_size, "the cookie %s cannot be read: %s", path, strerror(errno));
        if (file)
            fclose(file);
        return 0;
    }
    size_t size = fread(text, 1, TLS_COOKIE_MAX + 1, file);
    fclose(file);
    while (size && strchr(" \t\r\n", text[size - 1]))
        size--;
    if (status.st_mode & (S_IRWXG | S_IRWXO)) {
        snprintf(error, error_size, "others may use the cookie %s: chmod 600 it", path);
        return 0;
    }
    if (size < TLS_COOKIE_MIN || size > TLS_COOKIE_MAX) {
        snprintf(error, error_size, "the cookie %s must have %d to %d bytes", path, TLS_COOKIE_MIN,
                 TLS_COOKIE_MAX);
        return 0;
    }
    return size;
}

/* A server without a certificate has nothing for those who do not know the secret; and a client takes
 * no certificate for it. */
static bool load_cookie(SSL_CTX *ssl, const struct tls_options *options, uint8_t key[SHA256_SIZE],
                        char *error, size_t error_size)
{
    uint8_t text[TLS_COOKIE_MAX + 1];
    size_t size = read_cookie(options->cookie, text, error, error_size);
    if (!size)
        return false;
    sha256(bytes_str("leveret link 1 "), bytes_of(text, size), key);
    lib.SSL_CTX_set_ciphersuites(ssl, "TLS_AES_128_GCM_SHA256");
    lib.SSL_CTX_set_psk_use_session_callback(ssl, offer_cookie);
    lib.SSL_CTX_set_psk_find_session_callback(ssl, find_cookie);
    lib.SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, NULL);
    return true;
}

/* Brokers: one context for both sides. */
static bool load_mutual(SSL_CTX *ssl, const struct tls_options *options, uint8_t key[SHA256_SIZE],
                        char *error, size_t error_size)
{
    struct tls_options strict = *options;
    set_version(ssl, SSL_CTRL_SET_MIN_PROTO_VERSION, TLS_VERSION_1_3);
    set_version(ssl, SSL_CTRL_SET_MAX_PROTO_VERSION, TLS_VERSION_1_3);
    lib.SSL_CTX_set_num_tickets(ssl, 0);
    if (options->cookie)
        return load_cookie(ssl, options, key, error, error_size);
    strict.verify_peer = true;
    strict.peer_optional = false;
    return load_own(ssl, &strict, error, error_size) &&
           load_authorities(ssl, &strict, error, error_size);
}

/* ---- certificates for other names ---- */

static bool has_name(const SSL_CTX *ssl, const char *name)
{
    X509 *certificate = lib.SSL_CTX_get0_certificate(ssl);
    return certificate &&
           lib.X509_check_host(certificate, name, strlen(name), X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL) == 1;
}

static int choose(SSL *ssl, int *alert, void *argument)
{
    const struct tls_context *context = argument;
    const struct shown *shown = &context->current;
    const char *name = lib.SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    (void)alert;
    if (!name || has_name(shown->usual, name))
        return SSL_TLSEXT_ERR_OK;
    for (size_t i = 0; i < shown->count; i++)
        if (has_name(shown->others[i], name)) {
            if (!lib.SSL_set_SSL_CTX(ssl, shown->others[i]))
                return SSL_TLSEXT_ERR_ALERT_FATAL;
            break;
        }
    return SSL_TLSEXT_ERR_OK;
}

static void drop(struct shown *shown)
{
    lib.SSL_CTX_free(shown->usual); /* connections hold on to it */
    for (size_t i = 0; i < shown->count; i++)
        lib.SSL_CTX_free(shown->others[i]);
    mem_free(shown->others);
    buffer_free(&shown->names);
    *shown = (struct shown){.count = 0};
}

/* ---- all of it ---- */

static SSL_CTX *load_one(const struct tls_options *options, uint8_t key[SHA256_SIZE], char *error,
                         size_t error_size)
{
    lib.ERR_clear_error();
    SSL_CTX *ssl = lib.SSL_CTX_new(options->is_mutual ? lib.TLS_method() : lib.TLS_server_method());
    if (!ssl)
        abort();
    set_behaviour(ssl, options);
    if (options->is_mutual) {
        if (load_mutual(ssl, options, key, error, error_size))
            return ssl;
    } else if (set_ciphers(ssl, options, error, error_size) && load_own(ssl, options, error, error_size) &&
        load_dh(ssl, options->dh, error, error_size) && load_authorities(ssl, options, error, error_size))
        return ssl;
    lib.SSL_CTX_free(ssl);
    return NULL;
}

static bool load_other(struct shown *shown, const struct tls_options *options, const char *file, char *error,
                       size_t error_size)
{
    struct tls_options own = *options;
    own.certificate = own.key = file;
    SSL_CTX *ssl = load_one(&own, NULL, error, error_size);
    if (!ssl)
        return false;
    shown->others = mem_realloc(shown->others, (shown->count + 1) * sizeof(SSL_CTX *));
    shown->others[shown->count++] = ssl;
    return true;
}

static bool load_others(struct shown *shown, const struct tls_options *options, char *error, size_t error_size)
{
    for (const char *at = options->others; at && *at; at = strchr(at, '\n') + 1) {
        char *file = mem_dup(at, strcspn(at, "\n") + 1);
        file[strcspn(at, "\n")] = '\0';
        bool is_loaded = load_other(shown, options, file, error, error_size);
        mem_free(file);
        if (!is_loaded)
            return false;
    }
    return true;
}

static void note_names(struct shown *shown)
{
    char name[256]; /* those of DNS have 253 at most */
    for (size_t i = 0; i < shown->count; i++) {
        X509 *certificate = lib.SSL_CTX_get0_certificate(shown->others[i]);
        for (size_t at = 0; tls_peer_name(&lib, certificate, PEER_DNS, at, name, sizeof(name)); at++) {
            if (shown->names.size)
                buffer_add(&shown->names, " ", 1);
            buffer_add(&shown->names, name, strlen(name));
        }
    }
    if (shown->names.size)
        buffer_add(&shown->names, "", 1);
}

/* 0: it cannot be read. */
static uint64_t ms_of(const ASN1_TIME *time)
{
    struct tm tm;
    if (!time || lib.ASN1_TIME_to_tm(time, &tm) != 1)
        return 0;
    time_t seconds = timegm(&tm);
    return seconds > 0 ? (uint64_t)seconds * 1000 : 0;
}

/* When the first of the lists ends that were loaded. */
static uint64_t lists_end_ms(const SSL_CTX *ssl)
{
    uint64_t first_ms = 0;
    const void *objects = lib.X509_STORE_get0_objects(lib.SSL_CTX_get_cert_store(ssl));
    const OPENSSL_STACK *all = objects;
    for (int i = 0; i < lib.OPENSSL_sk_num(all); i++) {
        const X509_CRL *list = lib.X509_OBJECT_get0_X509_CRL(lib.OPENSSL_sk_value(all, i));
        uint64_t ends_ms = list ? ms_of(lib.X509_CRL_get0_nextUpdate(list)) : 0;
        if (ends_ms && (!first_ms || ends_ms < first_ms))
            first_ms = ends_ms;
    }
    return first_ms;
}

static bool load(struct tls_context *context, struct shown *shown, const struct tls_options *options,
                 uint8_t key[SHA256_SIZE], char *error, size_t error_size)
{
    drop(shown);
    shown->usual = load_one(options, key, error, error_size);
    if (!shown->usual || !load_others(shown, options, error, error_size)) {
        drop(shown);
        return false;
    }
    note_names(shown);
    shown->revoked_ends_ms = lists_end_ms(shown->usual);
    if (shown->count) {
        lib.SSL_CTX_callback_ctrl(shown->usual, SSL_CTRL_SET_TLSEXT_SERVERNAME_CB, (void (*)(void))choose);
        lib.SSL_CTX_ctrl(shown->usual, SSL_CTRL_SET_TLSEXT_SERVERNAME_ARG, 0, context);
    }
    return true;
}

struct tls_context *tls_context_new(const struct tls_options *options, const struct log *log,
                                    char *error, size_t error_size)
{
    if (!lib.SSL_new && !load_library(error, error_size))
        return NULL;
    struct tls_context *context = mem_zalloc(sizeof(*context));
    if (!load(context, &context->current, options, context->key, error, error_size)) {
        mem_free(context);
        return NULL;
    }
    context->options = options;
    context->log = log;
    context->input = input_method();
    return context;
}

bool tls_context_prepare(struct tls_context *context, const struct tls_options *options,
                         char *error, size_t error_size)
{
    return load(context, &context->next, options, context->next_key, error, error_size);
}

void tls_context_commit(struct tls_context *context)
{
    if (!context->next.usual)
        return;
    drop(&context->current);
    context->current = context->next;
    memcpy(context->key, context->next_key, sizeof(context->key));
    context->next = (struct shown){.count = 0};
}

const struct tls_options *tls_context_options(const struct tls_context *context)
{
    return context->options;
}

/* 0: it has none. */
static uint64_t ends_ms(const SSL_CTX *ssl)
{
    const X509 *certificate = lib.SSL_CTX_get0_certificate(ssl);
    return certificate ? ms_of(lib.X509_get0_notAfter(certificate)) : 0;
}

uint64_t tls_context_ends_ms(const struct tls_context *context)
{
    const struct shown *shown = &context->current;
    uint64_t first_ms = ends_ms(shown->usual);
    for (size_t i = 0; i < shown->count; i++) {
        uint64_t other_ms = ends_ms(shown->others[i]);
        first_ms = other_ms < first_ms ? other_ms : first_ms;
    }
    return first_ms;
}

uint64_t tls_context_revoked_ends_ms(const struct tls_context *context)
{
    return context->current.revoked_ends_ms;
}

const char *tls_context_names(const struct tls_context *context)
{
    const struct buffer *names = &context->current.names;
    return names->size ? (const char *)buffer_bytes(names).data : "";
}

void tls_context_free(struct tls_context *context)
{
    if (!context)
        return;
    drop(&context->current);
    drop(&context->next);
    lib.BIO_meth_free(context->input);
    mem_free(context);
}

/* ---- a connection ---- */

static struct tls *connection_new(struct tls_context *context, int fd, const struct address *peer)
{
    struct tls *tls = mem_zalloc(sizeof(*tls));
    BIO *input = lib.BIO_new(context->input);
    BIO *output = lib.BIO_new_socket(fd, BIO_NOCLOSE);
    tls->ssl = lib.SSL_new(context->current.usual);
    if (!input || !output || !tls->ssl)
        abort();
    tls->context = context;
    tls->peer = peer;
    tls->fd = fd;
    lib.BIO_set_data(input, tls);
    lib.BIO_set_init(input, 1);
    lib.SSL_set_bio(tls->ssl, input, output);
    lib.SSL_set_ex_data(tls->ssl, 0, tls);
    return tls;
}

struct tls *tls_new(struct tls_context *context, int fd, const struct address *peer)
{
    struct tls *tls = connection_new(context, fd, peer);
    lib.SSL_set_accept_state(tls->ssl);
    return tls;
}

/* As it is written: no wildcards, and nothing but DNS names. */
enum { NAME_FLAGS = X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_WILDCARDS };

struct tls *tls_new_dialed(struct tls_context *context, int fd, const struct address *peer,
                           const char *name)
{
    struct tls *tls = connection_new(context, fd, peer);
    tls->is_dialed = true;
    lib.SSL_set_connect_state(tls->ssl);
    if (*name && !context->options->cookie) {
        lib.SSL_set_hostflags(tls->ssl, NAME_FLAGS);
        if (lib.SSL_set1_host(tls->ssl, name) != 1)
            abort();
    }
    return tls;
}

bool tls_peer_is(const struct tls *tls, const char *name)
{
    if (tls->context->options->cookie)
        return true;
    X509 *certificate = lib.SSL_get0_peer_certificate(tls->ssl);
    return certificate &&
           lib.X509_check_host(certificate, name, strlen(name), NAME_FLAGS, NULL) == 1;
}

enum peer_named tls_name_of(const struct tls *tls, enum peer_name which, size_t index, char *text,
                            size_t size)
{
    X509 *certificate = lib.SSL_get0_peer_certificate(tls->ssl);
    if (!certificate)
        return PEER_NO_CERTIFICATE;
    if (!(lib.SSL_get_verify_mode(tls->ssl) & SSL_VERIFY_PEER) ||
        lib.SSL_get_verify_result(tls->ssl) != X509_V_OK)
        return PEER_UNPROVEN;
    return tls_peer_name(&lib, certificate, which, index, text, size) ? PEER_NAMED : PEER_NAMELESS;
}

bool tls_describe(const struct tls *tls, enum peer_tls which, char *text, size_t size)
{
    if (!tls->is_established)
        return false;
    if (which == PEER_TLS_PROTOCOL)
        return snprintf(text, size, "tlsv1.%d", tls->version - TLS1_VERSION) < (int)size;
    if (which <= PEER_TLS_HASH)
        return tls_peer_cipher(&lib, tls->cipher, which, text, size);
    return tls->certificate && tls_peer_certificate(&lib, tls->certificate, which, text, size);
}

void tls_free(struct tls *tls)
{
    if (!tls)
        return;
    lib.ERR_clear_error();
    if (tls->is_established && !tls->is_broken)
        lib.SSL_shutdown(tls->ssl);
    lib.SSL_free(tls->ssl);
    lib.X509_free(tls->certificate);
    mem_free(tls);
}

/* Whoever is called notices it, and tells the one who calls by an alert that means nothing else here. */
static bool is_of_another_secret(const struct tls *tls, int code)
{
    return tls->context->options->cookie &&
           (code == SSL_R_BINDER_DOES_NOT_VERIFY || code == SSL_R_SSLV3_ALERT_ILLEGAL_PARAMETER);
}

static void log_failure(const struct tls *tls)
{
    char name[ADDRESS_TEXT_BYTES];
    char reason[256];
    unsigned long error = lib.ERR_peek_error();
    const char *why = lib.ERR_reason_error_string(error);
    const char *detail = "";
    long verified = lib.SSL_get_verify_result(tls->ssl);
    int code = ERR_GET_REASON(error);
    if (!tls->is_established && (code == SSL_R_WRONG_VERSION_NUMBER || code == SSL_R_HTTP_REQUEST))
        detail = "the peer does not speak TLS";
    else if (!tls->is_established && is_of_another_secret(tls, code))
        detail = "the two have different secrets: see cluster.cookie";
    else if (!tls->is_established && verified != X509_V_OK)
        detail = lib.X509_verify_cert_error_string(verified);
    address_write(tls->peer, name);
    snprintf(reason, sizeof(reason), "%s%s%s", why ? why : "unknown", *detail ? ": " : "", detail);
    log_event(tls->context->log, EVENT_tls_failed, "peer=%s reason=%s", name, reason);
}

void tls_give_up(const struct tls *tls, const char *reason)
{
    char name[ADDRESS_TEXT_BYTES];
    address_write(tls->peer, name);
    log_event(tls->context->log, EVENT_tls_failed, "peer=%s reason=\"%s\"", name, reason);
}

/* What a call means that did not succeed; `error` is the errno it left. As recv: 0 or -1. */
static ssize_t judge(struct tls *tls, int result, int error)
{
    switch (lib.SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        tls->wants_read = lib.SSL_want(tls->ssl) == SSL_READING;
        tls->wants_write = lib.SSL_want(tls->ssl) == SSL_WRITING;
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_ZERO_RETURN:
        tls->error = 0;
        break;
    case SSL_ERROR_SYSCALL:
        tls->is_broken = true;
        tls->error = error ? error : ECONNRESET;
        break;
    default:
        tls->is_broken = true;
        tls->error = EPROTO;
        log_failure(tls);
    }
    tls->is_over = true;
    errno = tls->error;
    return tls->error ? -1 : 0;
}

static void establish(struct tls *tls)
{
    char name[ADDRESS_TEXT_BYTES];
    tls->is_established = true;
    tls->version = lib.SSL_version(tls->ssl);
    tls->cipher = lib.SSL_get_current_cipher(tls->ssl);
    tls->certificate = lib.SSL_get1_peer_certificate(tls->ssl);
    tls->is_offloaded =
        lib.BIO_ctrl(lib.SSL_get_wbio(tls->ssl), BIO_CTRL_GET_KTLS_SEND, 0, NULL) > 0;
    /* Not before: of those who never get so far only little is kept. */
    lib.SSL_set_default_read_buffer_len(tls->ssl, READ_AHEAD_BYTES);
    lib.SSL_set_read_ahead(tls->ssl, 1);
    address_write(tls->peer, name);
    log_event(tls->context->log, EVENT_tls_established, "peer=%s version=%s cipher=%s ktls=%s",
              name, lib.SSL_get_version(tls->ssl),
              lib.SSL_CIPHER_get_name(tls->cipher),
              tls->is_offloaded ? "yes" : "no");
}

/* Before each use of the library, whose errors stay in a queue of the thread. */
static void begin(struct tls *tls)
{
    tls->allowance = ALLOWANCE_BYTES;
    tls->wants_read = false;
    tls->wants_write = false;
    lib.ERR_clear_error();
}

/* Takes the handshake further. 1 when it is done, otherwise as recv. */
static ssize_t shake_hands(struct tls *tls)
{
    errno = 0;
    int result = lib.SSL_do_handshake(tls->ssl);
    if (result != 1)
        return judge(tls, result, errno);
    if (tls->context->options->cookie && !lib.SSL_session_reused(tls->ssl)) {
        tls->is_over = tls->is_broken = true;
        errno = tls->error = EPROTO;
        log_failure(tls);
        return -1;
    }
    establish(tls);
    return 1;
}

/* Once more what ended the connection. */
static ssize_t over(const struct tls *tls)
{
    errno = tls->error;
    return tls->error ? -1 : 0;
}

ssize_t tls_recv(struct tls *tls, void *data, size_t size)
{
    size_t got = 0, n;
    if (tls->is_over)
        return over(tls);
    begin(tls);
    ssize_t shaken = tls->is_established ? 1 : shake_hands(tls);
    if (shaken != 1)
        return shaken;
    tls->is_dry = false;
    while (got < size) {
        errno = 0;
        int result = lib.SSL_read_ex(tls->ssl, (uint8_t *)data + got, size - got, &n);
        if (result != 1) {
            ssize_t end = judge(tls, result, errno);
            tls->is_dry = true;
            return got ? (ssize_t)got : end;
        }
        got += n;
    }
    return (ssize_t)got;
}

/* Where the next byte to be sent is. */
struct place {
    const struct iovec *part;
    const struct iovec *end;
    size_t offset;
};

static struct iovec rest_of_part(const struct place *at)
{
    return (struct iovec){(uint8_t *)at->part->iov_base + at->offset,
                          at->part->iov_len - at->offset};
}

static void advance(struct place *at, size_t size)
{
    at->offset += size;
    while (at->part < at->end && at->offset >= at->part->iov_len)
        at->offset -= (at->part++)->iov_len;
}

/* The next record: a piece of a large part where it lies, or small ones put together in `room`. */
static struct iovec next_record(struct place at, uint8_t *room)
{
    struct iovec part = rest_of_part(&at);
    if (part.iov_len >= RECORD_BYTES)
        return (struct iovec){part.iov_base, RECORD_BYTES};
    size_t size = 0;
    while (at.part < at.end && size < RECORD_BYTES) {
        part = rest_of_part(&at);
        size_t now = part.iov_len < RECORD_BYTES - size ? part.iov_len : RECORD_BYTES - size;
        memcpy(room + size, part.iov_base, now);
        size += now;
        advance(&at, now);
    }
    return (struct iovec){room, size};
}

ssize_t tls_send(struct tls *tls, const struct iovec *parts, int count)
{
    uint8_t room[RECORD_BYTES];
    struct place at = {parts, parts + count, 0};
    size_t sent = 0, n;
    if (tls->is_dialed && !tls->is_established && !tls->is_over) {
        begin(tls);
        ssize_t shaken = shake_hands(tls);
        if (shaken != 1)
            return shaken ? shaken : (errno = EPIPE, -1);
    }
    if (tls->is_offloaded) {
        tls->wants_read = false; /* of an earlier tls_recv: this waits for room alone */
        tls->wants_write = true;
        struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)parts,
                                 .msg_iovlen = (size_t)count};
        return sendmsg(tls->fd, &message, MSG_NOSIGNAL);
    }
    if (tls->is_broken) {
        errno = tls->error ? tls->error : EPIPE;
        return -1;
    }
    begin(tls);
    advance(&at, 0);
    while (at.part < at.end) {
        struct iovec record = next_record(at, room);
        errno = 0;
        int result = lib.SSL_write_ex(tls->ssl, record.iov_base, record.iov_len, &n);
        if (result != 1) {
            ssize_t end = judge(tls, result, errno);
            if (end == 0) { /* a peer that has said goodbye hears nothing any more */
                errno = EPIPE;
                end = -1;
            }
            return sent ? (ssize_t)sent : end;
        }
        sent += n;
        advance(&at, n);
    }
    return (ssize_t)sent;
}

bool tls_wants_read(const struct tls *tls)
{
    return tls->wants_read;
}

bool tls_wants_write(const struct tls *tls)
{
    return tls->wants_write;
}

bool tls_has_input(const struct tls *tls)
{
    return tls->is_over || (tls->is_established && !tls->is_dry && lib.SSL_has_pending(tls->ssl));
}

bool tls_is_established(const struct tls *tls)
{
    return tls->is_established;
}
