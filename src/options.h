/* What the command line says. */
#ifndef LEVERET_OPTIONS_H
#define LEVERET_OPTIONS_H

#include <stdio.h>

#include "net/tls.h"
#include "session/server.h"

enum { OPTIONS_LISTEN_MAX = 64 };

/* A share of the machine's memory, or bytes. */
struct memory_limit {
    uint64_t bytes;   /* when `percent` is 0 */
    uint32_t percent; /* 1 to 100 */
};

struct options {
    const char *data_dir;    /* NULL: where state is kept by default */
    const char *check_store; /* look at this store, and do nothing else */
    const char *definitions; /* import this file; NULL: none */
    bool salvage;            /* salvage the store, and do nothing else */
    const char *listen[OPTIONS_LISTEN_MAX];
    size_t listen_count; /* 0: without TLS either, everywhere, at port 5672 */
    const char *listen_tls[OPTIONS_LISTEN_MAX];
    size_t listen_tls_count;
    const char *management; /* where the API is; "none": nowhere; NULL: at its port, if that is free */
    const char *control_socket; /* its path; "none": there is none; NULL: at its usual place */
    const char *node_name;      /* NULL: after the machine */
    struct tls_options tls;
    enum log_level log_level;
    uint32_t io_threads;
    uint32_t slow_turn_ms; /* turns from here on are logged; 0: none */
    struct memory_limit memory;
    struct server_options server;
    struct broker_options broker;
    struct store_options store;
    bool help;
    bool version;
};

/* Defaults for what `arguments` do not say; they are borrowed. False: `error` says what is wrong. */
bool options_read(struct options *options, int count, char **arguments, char *error,
                  size_t error_size);
/* The text of --help. */
void options_print_help(FILE *out);

#endif
