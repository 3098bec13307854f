/* A server of HTTP without sockets: clients are two arrays each, and the clock stands until it is
 * moved. What is asked for is answered by its path:
 *
 *     /hello              "hello", at once
 *     /echo               the body of the request
 *     /sum                the number of bytes of the body, so that a large one has a short answer
 *     /pieces?n=3&size=5  so many pieces of so many letters, the first of 'a', the next of 'b' ...
 *     /wait?n=3           "waited", when it has been asked so often
 *     /costly?n=3         three pieces "x", each of which takes the whole budget
 *     /nothing            204
 *     /created            201 with a field, and no body
 *     anything else       404
 */
#ifndef LEVERET_TESTS_LIB_HTTP_BENCH_H
#define LEVERET_TESTS_LIB_HTTP_BENCH_H

#include "http/http.h"
#include "store/message.h"

struct http_bench {
    struct http_handler handler;
    struct message_pool pool;
    struct http_server *server;
    struct service *service;
    uint64_t now_ms;
    size_t asked, answers; /* requests so far, and answers that are not freed */
    size_t pieces;         /* so far */
    size_t body_max;
    size_t calls_max;      /* for one answer; "n" is no larger */
    struct buffer journal; /* of all requests: method, path, query, and a sum of the body */
};

struct http_bench_client {
    struct conversation *conversation; /* NULL: it has been closed */
    struct buffer in;                  /* what the server has sent */
    size_t takes;                      /* bytes that it takes in a turn */
};

void http_bench_new(struct http_bench *bench, const struct http_options *options);
/* All clients must have gone. */
void http_bench_free(struct http_bench *bench);
struct http_bench_client http_bench_dial(struct http_bench *bench);
/* The same by a path of this machine. */
struct http_bench_client http_bench_dial_path(struct http_bench *bench);
/* Sends as much as the server wants to read; returns how much that was. */
size_t http_bench_send(struct http_bench *bench, struct http_bench_client *client,
                       struct bytes bytes);
/* One turn, after `ms`: the server's tick, and what it has to say to this client (NULL: to nobody).
 */
void http_bench_turn(struct http_bench *bench, struct http_bench_client *client, uint64_t ms);
/* Turns until the server wants none at once. */
void http_bench_settle(struct http_bench *bench, struct http_bench_client *client);
/* The client goes. */
void http_bench_hang_up(struct http_bench_client *client);

#endif
