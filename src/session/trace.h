/* Frames in the log, for whoever looks for what a client and the broker say to each other: a line
 * for each method, received or sent, and for each content header, with the size of what it
 * announces. Bodies and properties are never in the log, nor what proves who somebody is. Off
 * unless the server's options ask for it; then the short ways around frames (quick.c) are not
 * taken. */
#ifndef LEVERET_SESSION_TRACE_H
#define LEVERET_SESSION_TRACE_H

#include "amqp/frame.h"
#include "amqp/method.h"

struct connection;

enum {
    TRACE_LINES_MAX = 1000, /* in a second, of all connections; the others are counted */
    TRACE_METHOD_MAX =
        4096, /* bytes of a method whose fields are shown; of a larger one the size */
};

/* What all connections share. */
struct trace {
    uint64_t second_ms; /* when the second of `lines` began */
    uint64_t lines;     /* in that second, logged or not */
    uint64_t unlogged;  /* since the last line */
};

/* A frame has come and is about to be acted on. Heartbeats and bodies are passed over. */
void trace_received(struct connection *connection, const struct frame *frame);
/* A method was written, for a channel or (0) for the connection. */
void trace_sent(struct connection *connection, uint16_t channel, const union method *method);
/* A content header was written, for so large a body. */
void trace_sent_content(struct connection *connection, uint16_t channel, uint64_t body_size);

#endif
