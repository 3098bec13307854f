/* A broker's model over a store in memory, for tests of src/broker: made with bench_new, with the
 * virtual host `/` and the user guest in it. What is asked of it and refused is kept in
 * bench.error; helpers that must not fail are checks of their own. */
#ifndef LEVERET_TESTS_LIB_BROKER_BENCH_H
#define LEVERET_TESTS_LIB_BROKER_BENCH_H

#include "amqp/properties.h"
#include "amqp/table.h"
#include "broker/binding.h"
#include "broker/publish.h"
#include "broker/vhost.h"
#include "broker/user.h"
#include "tests/lib/store_fake.h"
#include "tests/lib/tap.h"

struct bench {
    struct message_pool pool;
    struct random random;
    struct log log;
    struct store *store;
    struct broker broker;
    struct vhost *vhost;
    struct queue_set set;
    struct error error;
    struct published published; /* of the last publish */
    uint64_t now_ms;            /* of bench_turn; goes on over a restart */
    char text[700];             /* of bench_text */
};

void bench_new(struct bench *bench);
void bench_free(struct bench *bench);
/* Forgets the model and builds it again from the catalogue. */
void bench_restart(struct bench *bench);
/* A turn, so long after the one before it. The wall clock says BENCH_CLOCK_MS more than the time of the
 * turn, or what it is given. */
enum { BENCH_CLOCK_MS = 1700000000 };
void bench_turn(struct bench *bench, uint64_t ms);
void bench_turn_at(struct bench *bench, uint64_t ms, uint64_t clock_ms);
/* A new one that has had its first turn, with a durable queue "q" that has these arguments, and another
 * one, "dead". */
struct queue *bench_begin(struct bench *bench, const char *arguments);
/* "406 the detail" of the last error; "" when there was none. Forgets it. */
const char *bench_text(struct bench *bench);

/* Contents of a table from a text such as "x-max-length=I5 x-overflow=Sdrop-head a=V b=t1": type
 * and value after the name; types t I l S T V, and A for an array of strings with commas. Points
 * into memory that lives until bench_table is called 8 times more. */
struct bytes bench_table(const char *text);

/* Declares; `what` has letters: d durable, a auto-delete, x exclusive (connection 1), i internal,
 * p passive. NULL when it was refused: see bench_text. */
struct queue *bench_queue(struct bench *bench, const char *name, const char *what,
                          const char *arguments);
struct exchange *bench_exchange(struct bench *bench, const char *name, const char *type,
                                const char *what, const char *arguments);
/* Binds a queue, or the exchange of that name if there is no such queue. */
bool bench_bind(struct bench *bench, const char *source, const char *destination, const char *key,
                const char *arguments);
bool bench_unbind(struct bench *bench, const char *source, const char *destination, const char *key,
                  const char *arguments);
/* A persistent message of body `body` with these headers (NULL: without any properties), which is the
 * caller's. `expiration` may be NULL. */
struct message *bench_message(struct bench *bench, const char *exchange, const char *key,
                              const char *headers, const char *expiration, const char *body);
/* Publishes one like that; returns how many queues it went to. */
size_t bench_publish(struct bench *bench, const char *exchange, const char *key,
                     const char *headers, const char *expiration, const char *body);
/* Messages that are ready in a queue. */
uint64_t bench_ready(struct bench *bench, const char *queue);

#endif
