/* One client's conversation: a request, its answer, the next request. */
#ifndef LEVERET_HTTP_CLIENT_H
#define LEVERET_HTTP_CLIENT_H

#include "http/gzip.h"
#include "http/reader.h"
#include "http/server_state.h"

enum http_client_state {
    HTTP_CLIENT_IDLE,      /* nothing of a request has come */
    HTTP_CLIENT_READING,   /* one has begun */
    HTTP_CLIENT_ANSWERING, /* it is whole, and its answer has not ended */
    HTTP_CLIENT_ENDING,    /* over when the output is sent */
    HTTP_CLIENT_DEAD,      /* over at once */
};

/* A request and its answer. */
struct http_round {
    struct http_reader reader;
    struct http_answer *answer; /* NULL: not asked yet */
    struct http_head head;
    struct http_gzip *gzip; /* what its body goes through; NULL: nothing, or it is not begun */
    size_t counted;         /* of the body, in the server's body_bytes */
    uint64_t began_ms;      /* first the request, then its answer */
    bool is_headed;         /* the head of the answer is in the output */
    bool is_chunked;        /* its body comes in chunks */
    bool is_gzip;           /* of gzip */
    bool waits;             /* for something that must happen first */
    bool closes;            /* the conversation ends with it */
};

struct http_client {
    struct conversation conversation;
    struct http_server *server;
    struct peer peer;
    struct list link;      /* in server->all */
    struct list turn_link; /* on the server's `ready`, `waiting` or `paused` */
    enum http_client_state state;
    bool is_refused; /* one too many */
    bool has_asked;  /* a whole request, since it is connected */
    struct timer timer;
    uint64_t idle_ms; /* since when nothing has happened */
    struct output output;
    struct buffer ahead;      /* what came behind the request at hand */
    size_t ahead_taken;       /* of it */
    struct http_round *round; /* NULL: none, when idle or ending */
};

struct http_client *http_client_new(struct http_server *server, const struct peer *peer);
/* One piece of its answer. */
void http_client_answer(struct http_client *client, struct budget *budget);
/* Its timer has run out. */
void http_client_expire(struct http_client *client);
/* What it has asked for is answered still, and nothing else. */
void http_client_shutdown(struct http_client *client);

#endif
