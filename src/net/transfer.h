/* Bytes that an I/O thread moves between a socket and memory, while the owner does something else. What
 * is little the owner moves itself, as it would wait longer for a thread to wake up; a thread gets what
 * is much: reading on when a socket has filled a buffer, and large outputs.
 *
 * A socket has one transfer each way at most. All its transfers are one thread's, in order; so what
 * lies between a socket and its bytes (TLS) is used by one thread at a time as long as the owner keeps
 * off while a transfer is under way. */
#ifndef LEVERET_NET_TRANSFER_H
#define LEVERET_NET_TRANSFER_H

#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/worker.h"

enum {
    TRANSFER_INPUT_BYTES = 256 << 10, /* of one receive, at most */
    TRANSFER_OUTPUT_MIN = 64 << 10,   /* smaller outputs are not worth a thread */
    TRANSFER_PARTS = 64,
    TRANSFERS_MAX = 64, /* under way at a time: sockets beyond are the owner's */
};

struct tls;
struct socket;

struct transfer {
    struct job job;
    struct socket *socket; /* NULL: it has gone meanwhile */
    int fd;
    struct tls *tls;
    bool is_receive;
    ssize_t result; /* bytes moved; 0: the peer has closed (receive only); -1: see error */
    int error;
    int count;
    struct iovec parts[TRANSFER_PARTS];
    uint8_t *input; /* TRANSFER_INPUT_BYTES; NULL before the first use */
};

struct transfers {
    struct worker **workers; /* I/O threads */
    size_t workers_count;
    size_t next; /* thread for the next socket */
    struct list spare[2]; /* to send with, and to receive with */
    size_t spare_count[2];
    size_t in_use;
};

/* Starts `threads` threads; `wake` is called from them. False: one could not be started. */
bool transfers_init(struct transfers *transfers, size_t threads, void (*wake)(void *context),
                    void *context);
/* No transfer is under way. */
void transfers_free(struct transfers *transfers);

/* The thread for a new socket; NULL: there is none. */
struct worker *transfers_worker(struct transfers *transfers);
/* A transfer to fill in and submit; NULL: enough are under way. */
struct transfer *transfer_new(struct transfers *transfers, struct socket *socket, bool is_receive);
/* Moves the bytes: what the thread does. */
void transfer_submit(struct worker *worker, struct transfer *transfer);
/* Appends those that have ended, by job.link, which are the caller's to read and to free. Those that
 * end meanwhile are for the next call: threads that are faster than the caller would keep it. */
void transfers_finished(struct transfers *transfers, struct list *finished);
void transfer_free(struct transfers *transfers, struct transfer *transfer);

/* recv and sendmsg, through TLS if it is not NULL. */
ssize_t transfer_receive(int fd, struct tls *tls, void *data, size_t size);
ssize_t transfer_send(int fd, struct tls *tls, struct iovec *parts, int count);

#endif
