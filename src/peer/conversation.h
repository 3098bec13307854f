/* A conversation with one peer: bytes in, bytes out. Who has the bytes (a socket, or a test with
 * two arrays) knows no more of a protocol than this; who speaks the protocol knows no socket.
 *
 * A turn is: `input` for every conversation whose peer has sent something; then `tick` of every
 * service (peer/service.h) once; then `output` and `sent` for every conversation that a service
 * names. */
#ifndef LEVERET_PEER_CONVERSATION_H
#define LEVERET_PEER_CONVERSATION_H

#include <stdbool.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/bytes.h"
#include "base/list.h"

/* Who is at the other end. */
struct peer {
    char name[64];    /* "127.0.0.1:40112", or "unix:" and the process; for the log */
    char local[64];   /* the same of this end: an address, or what fits of a path */
    bool is_tls;
    bool is_loopback; /* by the peer's own address */
    bool is_relayed;  /* another broker speaks for it (peer/relayed.h) */
    bool is_resumed;  /* another server has served it before: it says again what that may not have heard */
    bool is_unix;     /* it has come by a path of a machine, whose system knows who it was: */
    uint16_t via;     /* the number of the broker that speaks for it; 0: none, or not known */
    uid_t uid;
    gid_t gid;
    pid_t pid;
};

/* Names in a certificate, and what comes of asking for one. */
enum peer_name {
    PEER_DISTINGUISHED_NAME,
    PEER_COMMON_NAME,
    PEER_DNS, /* this one and the following are subject alternative names */
    PEER_IP,
    PEER_EMAIL,
    PEER_URI,
    PEER_OTHER_NAME,
};

enum peer_named {
    PEER_NAMED,
    PEER_NAMELESS,       /* its certificate has no such name, or one that is no good */
    PEER_UNPROVEN,       /* certificates are not verified: anybody may have any name */
    PEER_NO_CERTIFICATE, /* it has shown none */
};

/* What is known of a peer's TLS and certificate, as RabbitMQ writes it. */
enum peer_tls {
    PEER_TLS_PROTOCOL,     /* "tlsv1.3" */
    PEER_TLS_KEY_EXCHANGE, /* "ecdhe_rsa"; "any": TLS 1.3, where the cipher does not say */
    PEER_TLS_CIPHER,       /* "aes_256_gcm" */
    PEER_TLS_HASH,         /* "sha256"; "aead": the cipher sees to it */
    PEER_CERT_SUBJECT,     /* a distinguished name */
    PEER_CERT_ISSUER,      /* another one */
    PEER_CERT_VALIDITY,    /* "2026-01-01T00:00:00Z - 2027-01-01T00:00:00Z" */
};

struct conversation;

/* What a protocol does with its conversations. */
struct conversation_ops {
    /* Bytes from the peer, at most 256 KiB a call: acts on what is complete; keeps what cannot be
     * acted on yet. Is not called while wants_input says no. */
    void (*input)(struct conversation *conversation, struct bytes bytes);
    /* Should the peer be read? No while it is blocked, or a decision is pending. NULL: always. */
    bool (*wants_input)(const struct conversation *conversation);
    /* The same, when there is something to read: what is left of this turn may be for others, and
     * then it waits for the next one. NULL: as wants_input. */
    bool (*has_turn)(struct conversation *conversation);
    /* Is it kept waiting by something that may last? Others that wait do so for a moment. NULL:
     * never. */
    bool (*is_blocked)(const struct conversation *conversation);
    /* Borrows what is to be sent, at most `max` parts; returns how many. They stay as they are
     * until `sent`, whatever happens meanwhile, unless the conversation is freed: another thread
     * may read them. */
    int (*output)(struct conversation *conversation, struct iovec *parts, int max);
    /* Gives back what was borrowed: the first `size` bytes of the output have been sent. */
    void (*sent)(struct conversation *conversation, size_t size);
    /* Nothing is left to be said or sent: `free` it, and close what carries it. NULL: the peer ends
     * it. */
    bool (*is_finished)(const struct conversation *conversation);
    /* Notes that what carries it has ended, and why, before `free`; a NULL reason: the peer has
     * closed it, without a word. The reason is not copied. NULL: nobody asks. */
    void (*lost)(struct conversation *conversation, const char *reason);
    /* The peer is gone, or all is said. It must not be used again. */
    void (*free)(struct conversation *conversation);
};

/* The first member of a protocol's own object. */
struct conversation {
    const struct conversation_ops *ops;
    void *owner;               /* what carries it: the socket's own */
    const void *witness;       /* whom to ask who the peer is, by the three that follow */
    /* Has the peer shown a certificate for this name, where it has to have one? NULL: it has not.
     * What carries it sets this. */
    bool (*peer_is)(const void *witness, const char *name);
    /* Writes the name at `index` of that kind, of its verified certificate. NULL: it has none. */
    enum peer_named (*peer_name)(const void *witness, enum peer_name which, size_t index, char *text,
                                 size_t size);
    /* Writes that. NULL, or false: there is no such thing, or it does not fit. */
    bool (*peer_tls)(const void *witness, enum peer_tls which, char *text, size_t size);
    struct list writable_link; /* in its service's `writable` */
};

/* On no list, with no owner yet. */
static inline void conversation_init(struct conversation *conversation,
                                     const struct conversation_ops *ops)
{
    conversation->ops = ops;
    conversation->owner = NULL;
    conversation->witness = NULL;
    conversation->peer_is = NULL;
    conversation->peer_name = NULL;
    conversation->peer_tls = NULL;
    list_init(&conversation->writable_link);
}

/* One that is carried within another one has the same peer. */
static inline void conversation_same_peer(struct conversation *inner, const struct conversation *outer)
{
    inner->witness = outer->witness;
    inner->peer_is = outer->peer_is;
    inner->peer_name = outer->peer_name;
    inner->peer_tls = outer->peer_tls;
}

/* ---- the operations; what is NULL has its answer here ---- */

static inline void conversation_input(struct conversation *conversation, struct bytes bytes)
{
    conversation->ops->input(conversation, bytes);
}

static inline bool conversation_wants_input(const struct conversation *conversation)
{
    return !conversation->ops->wants_input || conversation->ops->wants_input(conversation);
}

static inline bool conversation_has_turn(struct conversation *conversation)
{
    return conversation->ops->has_turn ? conversation->ops->has_turn(conversation)
                                       : conversation_wants_input(conversation);
}

static inline bool conversation_is_blocked(const struct conversation *conversation)
{
    return conversation->ops->is_blocked && conversation->ops->is_blocked(conversation);
}

static inline int conversation_output(struct conversation *conversation, struct iovec *parts,
                                      int max)
{
    return conversation->ops->output(conversation, parts, max);
}

static inline void conversation_sent(struct conversation *conversation, size_t size)
{
    conversation->ops->sent(conversation, size);
}

static inline bool conversation_is_finished(const struct conversation *conversation)
{
    return conversation->ops->is_finished && conversation->ops->is_finished(conversation);
}

static inline void conversation_lost(struct conversation *conversation, const char *reason)
{
    if (conversation->ops->lost)
        conversation->ops->lost(conversation, reason);
}

/* Is the peer who it says it is, as far as who carries it can tell? Good once input has come. */
static inline bool conversation_peer_is(const struct conversation *conversation, const char *name)
{
    return !conversation->peer_is || conversation->peer_is(conversation->witness, name);
}

/* Who does the peer's certificate say it is? `text` is good with PEER_NAMED. */
static inline enum peer_named conversation_peer_name(const struct conversation *conversation,
                                                     enum peer_name which, size_t index, char *text,
                                                     size_t size)
{
    return conversation->peer_name
               ? conversation->peer_name(conversation->witness, which, index, text, size)
               : PEER_NO_CERTIFICATE;
}

/* What TLS has come to with the peer, once input has come. False: nothing is known. */
static inline bool conversation_peer_tls(const struct conversation *conversation,
                                         enum peer_tls which, char *text, size_t size)
{
    return conversation->peer_tls &&
           conversation->peer_tls(conversation->witness, which, text, size);
}

static inline void conversation_free(struct conversation *conversation)
{
    conversation->ops->free(conversation);
}

#endif
