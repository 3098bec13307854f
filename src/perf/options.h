/* What is asked of the load generator: the command line as plain data. */
#ifndef LEVERET_PERF_OPTIONS_H
#define LEVERET_PERF_OPTIONS_H

#include <stdio.h>
#include <sys/types.h>

#include "base/buffer.h"
#include "perf/schedule.h"
#include "perf/uri.h"

enum mode {
    MODE_THROUGHPUT,
    MODE_LATENCY,
    MODE_BACKLOG,
    MODE_QUEUE_CHURN,
    MODE_BIND_CHURN,
    MODE_CHANNEL_CHURN,
    MODE_CONNECTION_CHURN,
    MODE_REQUEST_REPLY,
    MODE_CONNECTION_COUNT,
    MODE_QUEUE_COUNT,
};

enum { OPTIONS_ERROR_MAX = 400 };

struct options {
    enum mode mode;
    struct uri uri;
    bool tls_verify;
    const char *tls_ca;
    uint32_t frame_max;
    uint16_t heartbeat_s;
    uint32_t timeout_ms;
    bool reconnect;

    uint32_t producers, consumers, queues, connections, channels, threads;
    uint64_t count;  /* messages, or rounds of a churn; 0: no such limit */
    double seconds;  /* 0: no such limit */
    double warmup_s; /* not counted among the latencies */
    double hold_s;   /* between the filling and the draining of a backlog; of open connections */
    double linger_s; /* how long nothing may come before what is missing counts as lost */

    const char *queue_pattern; /* "%d" is the number of the queue */
    uint32_t queue_from;
    bool durable, exclusive, auto_delete, passive, purge, keep;
    struct bytes queue_arguments; /* contents of a table */
    const char *exchange;
    const char *exchange_type; /* NULL: it is not declared */
    const char *routing_key;   /* pattern; NULL: the queue's name */
    const char *binding_key;   /* pattern; NULL: as routing_key */
    struct bytes binding_arguments;
    uint32_t keys; /* how many values %m takes */

    uint64_t size_min, size_max;
    bool persistent, mandatory;
    uint32_t priorities; /* messages have priorities from 0 up to here, in turn; 0: none */
    uint32_t confirm;    /* most messages not confirmed; 0: no confirms */
    struct schedule schedule;

    uint32_t prefetch;  /* 0: no limit */
    uint32_t ack_every; /* 0: automatic */
    bool reject;        /* instead of acknowledging; nothing comes back */
    struct bytes consume_arguments;
    bool verify;
    bool spin;

    pid_t broker_pid;
    const char *histogram_path;
    bool json, quiet, version, help;
    double interval_s;

    /* As they were given, and what some of the above point into. */
    const char *properties_text;
    struct buffer queue_arguments_memory, binding_arguments_memory, consume_arguments_memory;
    struct buffer headers_memory, properties_memory;
};

/* Reads the command line. False with a reason. Free the options in any case. They borrow from the
 * arguments and from themselves: a copy borrows from the first. */
bool options_read(struct options *options, int count, char **arguments, char *error,
                  size_t error_size);
void options_free(struct options *options);
/* Of a message, from the flags on, as on the wire. `level` is its turn among --priorities. */
struct bytes options_properties(const struct options *options, uint32_t level);
/* How many turns there are: 1 without --priorities. */
static inline uint32_t options_levels(const struct options *options)
{
    return options->priorities + 1;
}
void options_print_help(FILE *out);
const char *mode_name(enum mode mode);

#endif
