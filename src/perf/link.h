/* A connection to a broker: socket, perhaps TLS, one buffer each way, and the AMQP handshake.
 *
 * While it is set up a link waits for what it asks (link_open, link_call). In the loop it never
 * waits: link_fill and link_flush do what the socket allows, and remember in `readable` and
 * `writable` whether it allows more, which edge-triggered epoll then tells. */
#ifndef LEVERET_PERF_LINK_H
#define LEVERET_PERF_LINK_H

#include "amqp/frame.h"
#include "perf/tls.h"
#include "perf/uri.h"

enum {
    LINK_ERROR_MAX = 400,
    LINK_BUFFER_LARGE = 256 * 1024, /* where messages pass */
    LINK_BUFFER_SMALL = 4 * 1024,   /* where only methods do; grows to the largest frame */
};

/* How to connect; borrowed by the link while it opens. */
struct link_target {
    struct uri uri;
    bool tls_verify;
    const char *tls_ca;   /* file; NULL: the system's authorities */
    const char *name;     /* shown by the broker as connection_name */
    uint32_t frame_max;   /* at most this is agreed on */
    uint16_t heartbeat_s; /* 0: none is asked for */
    uint32_t timeout_ms;  /* for each step of the handshake, and each call */
};

struct link {
    int fd; /* -1: closed */
    struct tls *tls;
    uint8_t *in;
    size_t in_at, in_end, in_size;
    uint8_t *out;
    size_t out_at, out_end, out_size;
    uint32_t frame_max;
    uint16_t channel_max;
    uint16_t heartbeat_s;
    uint32_t timeout_ms;
    bool readable, writable;
    bool blocked;               /* connection.blocked was seen */
    char error[LINK_ERROR_MAX]; /* why it failed; "" while it has not */
};

/* Connects, logs in and opens the vhost. False with link->error; close it then as well. */
bool link_open(struct link *link, const struct link_target *target, size_t buffer_size);
/* Closes the socket and frees the buffers. */
void link_close(struct link *link);
/* Says goodbye first: connection.close and its answer, waited for. */
void link_leave(struct link *link);
/* Has it failed? */
static inline bool link_failed(const struct link *link)
{
    return link->error[0] != '\0';
}
/* Notes why the link cannot be used any more; the first reason stays. Returns false. */
bool link_fail(struct link *link, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Room for `size` bytes at the end of what is to be sent; NULL when it is full. link_added counts
 * what was written there. */
static inline uint8_t *link_room(struct link *link, size_t size)
{
    if (link->out_at == link->out_end)
        link->out_at = link->out_end = 0;
    if (__builtin_expect(link->out_size - link->out_end < size, 0))
        return NULL;
    return link->out + link->out_end;
}

/* The same, but the buffer grows. */
uint8_t *link_make_room(struct link *link, size_t size);

static inline void link_added(struct link *link, size_t size)
{
    link->out_end += size;
}
static inline size_t link_unsent(const struct link *link)
{
    return link->out_end - link->out_at;
}
/* Has nothing been heard of it since, not even that it was closed? For a link that is not used. */
bool link_is_quiet(const struct link *link);
/* Appends a method, growing the buffer when it must. */
void link_put_method(struct link *link, uint16_t channel, const union method *method);
/* Sends what it can; false when the link failed. */
bool link_flush(struct link *link);
/* A heartbeat, unless there is so much to send that the broker hears enough. */
void link_beat(struct link *link);
/* Reads what there is, once; false when the link failed. */
bool link_fill(struct link *link);
/* The next whole frame that has come; false when there is none, or the link failed. Its payload is
 * good until the next link_fill. */
bool link_next_frame(struct link *link, struct frame *frame);

/* Opens a channel; waits. */
bool link_open_channel(struct link *link, uint16_t channel);
/* Sends a method and waits for the answer `wanted` on that channel. Nothing else but heartbeats may
 * be on its way (content is dropped). `reply` borrows from the link; NULL: not asked for. A close
 * of the channel makes it false with `*closed` (when given) set and the channel gone, the link as
 * good as before; anything else fails the link. */
bool link_call(struct link *link, uint16_t channel, const union method *method, uint32_t wanted,
               union method *reply, bool *closed);
/* Waits for that answer alone. */
bool link_await(struct link *link, uint16_t channel, uint32_t wanted, union method *reply,
                bool *closed);
/* Sends all, and waits for the next frame. */
bool link_await_frame(struct link *link, struct frame *frame);
/* Does what a method on channel 0, or a channel.close, asks of any client: true when it was one of
 * those, and then the link may have failed. */
bool link_handle(struct link *link, uint16_t channel, const union method *method);

#endif
