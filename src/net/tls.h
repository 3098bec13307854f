/* TLS for peers that were accepted, and for other brokers, which are dialed as well; with tls_peer the
 * only files of the daemon that know the library behind it.
 *
 * tls_recv and tls_send stand in for recv and sendmsg on a socket that does not block. A struct tls
 * may be used by any thread, by one at a time. */
#ifndef LEVERET_NET_TLS_H
#define LEVERET_NET_TLS_H

#include <stdbool.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/log.h"
#include "net/address.h"
#include "peer/conversation.h"

enum tls_version { TLS_VERSION_1_2, TLS_VERSION_1_3 };

struct tls_options {
    const char *certificate; /* file: ours, and those up to the authority, in PEM */
    const char *key;         /* file, in PEM */
    const char *passphrase;  /* of the key, and of those of others; NULL: it has none */
    const char *others; /* files, each with a certificate for other names, as above, and its key, and a line break; or NULL */
    const char *dh;     /* file with the parameters of key exchanges by DHE, in PEM; NULL: there are none */
    const char *authorities; /* file, in PEM; NULL: none */
    const char *revoked;     /* file with a list (CRL) of each of these authorities, in PEM; NULL: none */
    bool verify_peer;        /* peers must have a certificate of one of the authorities */
    bool peer_optional;      /* with verify_peer: those without any certificate may come, too */
    enum tls_version min_version, max_version;
    uint16_t depth;      /* certificates between a peer's and its authority: at most 100 */
    const char *ciphers; /* these alone, with : between; NULL: the strong ones */
    bool own_order;      /* of those that both have our first one is taken, and not the peer's */
    /* Peers are other brokers: TLS 1.3 and nothing else, and both sides show what they have. That is a
     * secret that both know, or else a certificate each, of one of the authorities. */
    bool is_mutual;
    const char *cookie; /* file that has the secret, and is its owner's alone; NULL: certificates */
};

enum { TLS_COOKIE_MIN = 16, TLS_COOKIE_MAX = 4096 }; /* bytes of a secret */

/* What OpenSSL does by itself, in all versions. */
struct tls_options tls_options_default(void);

struct tls_context; /* what all connections share */
struct tls;         /* a connection's */

/* Reads the files; `options` and what they point to must stay. NULL with a reason in `error`. */
struct tls_context *tls_context_new(const struct tls_options *options, const struct log *log,
                                    char *error, size_t error_size);
/* Reads the files that new options name, for connections to come: false with a reason in `error`.
 * Nothing is changed before tls_context_commit; without one, tls_context_prepare is as if it had
 * not been. */
bool tls_context_prepare(struct tls_context *context, const struct tls_options *options,
                         char *error, size_t error_size);
void tls_context_commit(struct tls_context *context);
/* Those of the first call of all: what they point to is the caller's to keep up. */
const struct tls_options *tls_context_options(const struct tls_context *context);
/* When the first of the certificates ends that peers are shown, in ms since 1970. */
uint64_t tls_context_ends_ms(const struct tls_context *context);
/* When the first of the lists of revoked certificates does: from then on no certificate of its authority is
 * good. 0: there is none, or none that ends. */
uint64_t tls_context_revoked_ends_ms(const struct tls_context *context);
/* The names that certificates of others have, with spaces between; "": there are none. It is the context's,
 * until the next tls_context_commit. */
const char *tls_context_names(const struct tls_context *context);
/* Only after all its connections; NULL is allowed. */
void tls_context_free(struct tls_context *context);

/* A connection on an accepted socket, which stays the caller's, as does `peer`, for the log. */
struct tls *tls_new(struct tls_context *context, int fd, const struct address *peer);
/* The same on a socket that was connected by us, with a context for brokers. The peer's certificate
 * must have `name` among its DNS names, as it is; empty: any. */
struct tls *tls_new_dialed(struct tls_context *context, int fd, const struct address *peer,
                           const char *name);
/* Does the peer's certificate have this DNS name? Whoever knows the secret may have any name. Once the
 * handshake has ended. */
bool tls_peer_is(const struct tls *tls, const char *name);
/* A name in the peer's certificate, once the handshake has ended; `text` ends with a byte 0. */
enum peer_named tls_name_of(const struct tls *tls, enum peer_name which, size_t index, char *text,
                            size_t size);
/* What the handshake has come to, once it has ended; whoever uses the connection meanwhile. False: there is
 * no such thing, or it does not fit into `size` bytes with its end. */
bool tls_describe(const struct tls *tls, enum peer_tls which, char *text, size_t size);
/* Says goodbye (close_notify) if that makes sense, and if the socket takes it at once. NULL is
 * allowed. */
void tls_free(struct tls *tls);
/* As recv: how much it brought; 0 at the end; or -1 and errno, which is EAGAIN when the socket must
 * be waited for, and EPROTO when it is all over: then the peer was told, and
 * the log, too. The handshake is part of it. */
ssize_t tls_recv(struct tls *tls, void *data, size_t size);
/* As sendmsg. After EAGAIN the same bytes must come first at the next call. */
ssize_t tls_send(struct tls *tls, const struct iovec *parts, int count);
/* What the last call, which ended with EAGAIN, waits for: reading may have to wait for room in the
 * socket, and sending for what the peer says. */
bool tls_wants_read(const struct tls *tls);
bool tls_wants_write(const struct tls *tls);
/* Has tls_recv something to return, even if the socket has brought nothing new? */
bool tls_has_input(const struct tls *tls);
/* The log says why who has not agreed on it in time is dropped. */
void tls_give_up(const struct tls *tls, const char *reason);
/* Has the handshake ended? */
bool tls_is_established(const struct tls *tls);

#endif
