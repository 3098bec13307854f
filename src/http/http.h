/* HTTP/1.1 (RFC 9112), the server's side, as a service whose conversations are requests and
 * answers.
 *
 * One conversation has one request at a time: what a client sends ahead stays unread until the
 * answer before it has ended. A request is handed over when it is whole, body included. Its answer
 * may come in pieces over many turns, so that neither side ever holds a large one in memory. */
#ifndef LEVERET_HTTP_HTTP_H
#define LEVERET_HTTP_HTTP_H

#include "base/budget.h"
#include "base/buffer.h"
#include "base/log.h"
#include "base/steps.h"
#include "http/request.h"
#include "peer/service.h"

struct http_answer;
struct message_pool;

/* The first lines of an answer. */
struct http_head {
    int status;           /* 200 ... */
    const char *type;     /* of the body: "application/json"; NULL: there is no body */
    struct buffer fields; /* further ones: "name: value\r\n" each */
};

enum http_progress {
    HTTP_MORE,  /* there is more to come: ask again, in this turn or a later one */
    HTTP_WAITS, /* something must happen first: ask again in the next turn */
    HTTP_ENDS,  /* that was all */
    HTTP_FAILS, /* a part of it was sent, and the rest cannot be had: the client loses its connection */
};

struct http_answer_ops {
    /* Appends the next piece of the body, some 16 KiB at most, as far as the budget allows. The
     * head is complete when the first piece that has any bytes is, or the first that ends. One that
     * ends with its first piece is sent with its length, any other in chunks, and as gzip if the
     * client accepts that and the type is text, JSON or metrics. */
    enum http_progress (*go_on)(struct http_answer *answer, struct http_head *head,
                                struct buffer *body, struct budget *budget);
    /* It has ended, or the client is gone. */
    void (*free)(struct http_answer *answer);
};

/* The first member of an answer. */
struct http_answer {
    const struct http_answer_ops *ops;
};

/* Who answers. */
struct http_handler {
    /* The answer to a request, never NULL. The request and its bytes, and what carries the client, stay as they are
     * until the answer is freed. */
    struct http_answer *(*ask)(struct http_handler *handler, const struct http_request *request,
                               const struct peer *peer, const struct conversation *client);
    /* Bytes that a body may have for this method and path; asked before the body comes. */
    size_t (*body_max)(struct http_handler *handler, const struct http_request *request);
};

/* Zero is for what the description says. */
struct http_options {
    const char *name;       /* what its listeners are for, in the log; NULL: "http" */
    struct steps *steps;    /* names what a turn is busy with; NULL: nobody asks */
    uint32_t idle_ms;       /* a client without a request is closed then; 0: 60,000 */
    uint32_t request_ms;    /* for a request to come whole, and a second more for each 64 KiB of its
                             * body that has come; 0: 30,000 */
    uint32_t stalled_ms;    /* for a client to take any bytes of an answer; 0: 30,000 */
    size_t connections_max; /* at ports, and as many again at paths; one more takes the place of whoever has asked
                             * nothing yet, or is answered 503; 0: 1,024 */
    size_t body_bytes_max;  /* of all requests at hand together; more are 503; 0: 256 MiB */
    bool no_gzip;           /* answers are sent as they are */
    int64_t turn_steps;     /* budget of answers in one turn; 0: half a millisecond */
};

struct http_server;

/* The caller keeps all that it passes, and frees every conversation before the server. `pool` is
 * where messages come from: see peer/output.h. */
struct http_server *http_server_new(const struct http_options *options,
                                    struct http_handler *handler, struct message_pool *pool,
                                    const struct log *log, uint64_t now_ms);
void http_server_free(struct http_server *server);
struct service *http_server_service(struct http_server *server);

#endif
