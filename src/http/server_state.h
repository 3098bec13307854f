/* What all clients of a server share. */
#ifndef LEVERET_HTTP_SERVER_STATE_H
#define LEVERET_HTTP_SERVER_STATE_H

#include "base/timer.h"
#include "http/http.h"
#include "peer/output.h"

struct http_server {
    struct service service;
    struct service_ops ops; /* of that */
    struct http_options options; /* without zeros */
    struct http_handler *handler;
    const struct log *log;
    struct output_pool outputs;
    struct timers timers;
    struct list all;               /* clients */
    struct list ready;             /* of these, with an answer that can go on */
    struct list waiting;           /* whose answer waits for something */
    struct list paused;            /* whose input waits for the next turn */
    size_t connections;            /* without those that were refused, and those of this machine's paths: */
    size_t local_connections;      /* these */
    size_t body_bytes;             /* of the requests at hand */
    size_t input_left;             /* bytes that may still be read in this turn */
    struct buffer piece, squeezed; /* of an answer, for a moment; and the same as gzip */
    uint64_t now_ms, clock_ms;
    uint64_t full_ms; /* when a lack of connections was last logged; 0: never */
    bool is_stopping;
};

#endif
