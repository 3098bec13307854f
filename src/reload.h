/* The configuration is read again while the broker runs: all of it or nothing. */
#ifndef LEVERET_RELOAD_H
#define LEVERET_RELOAD_H

#include "net/turns.h"
#include "options.h"

enum { RELOAD_TEXT_BYTES = 1024 };

/* What it acts on; all of it is the owner's. */
struct reload {
    const struct options_input *input; /* what the start has read */
    struct options *options;           /* those that the broker runs with */
    struct config *config;             /* what they were made from at the start */
    struct config *latest;             /* what was read last; NULL: nothing since the start */
    struct logs *logs;
    /* Those that have the options of the same names; NULL: nobody listens with it. */
    struct tls_context *tls, *management_tls, *metrics_tls;
    struct turns *turns;
    struct store *store;
    struct broker *broker;
    struct server *server;
};

/* Reads files and environment, checks all of it, and lets the keys count that are live. What
 * changes, what would take a start, or what is wrong is logged; `text`, of RELOAD_TEXT_BYTES, says
 * it in one line. False: something is wrong, and everything stays as it was. */
bool reload_configuration(struct reload *reload, char *text);
/* Lets one live key have another value until the configuration is read again, or the broker ends.
 * False: it is none, or cannot be that; `text` says so. */
bool reload_set(struct reload *reload, const char *key, const char *value, char *text);
/* The same of the least important lines that are logged, wherever they go. False: there is no such
 * level. */
bool reload_set_level(struct reload *reload, const char *level, char *text);
/* What the broker runs with, as far as keys told it. */
struct config *reload_config(const struct reload *reload);
/* Forgets what was read last; the options may not be used any more. */
void reload_free(struct reload *reload);

#endif
