/* What several verbs ask about the broker as a whole. */
#ifndef LEVERET_CTL_NODES_H
#define LEVERET_CTL_NODES_H

#include "ctl/command.h"
#include "definitions/json.h"

/* What the API has there. NULL: *code is what to end with, and why was said. */
struct json *node_read(struct command *command, const char *request, int *code);
/* The same for a health check, which may fail. */
struct json *node_read_any(struct command *command, const char *request, int *code);
/* The same for what only administrators may see: for others it is what the refusal says. */
struct json *node_read_permitted(struct command *command, const char *request, int *code);
/* What it answers to a request that does something; NULL as well where nothing was sent (--dry-run), with *code 0. */
struct json *node_do(struct command *command, const char *request, struct bytes body, int *code);
/* Is the broker one of a cluster? It is the first of the nodes that it lists. */
bool node_is_clustered(const struct json *nodes);
/* How long it may take, by --timeout; without that so many seconds. */
double node_patience_ms(const struct command *command, double seconds);
/* Asks on a connection of its own, for as long as that. status 0: there is no answer. The caller frees the reply's
 * body. */
void node_ask_anew(struct command *command, const char *path, double ms, struct reply *reply);
/* "Memory alarm on node N", one a line, for a list of alarms. */
void node_alarm_lines(const struct json *alarms, struct buffer *out);
/* The listeners of an overview; "I" and the like is how each line begins. */
void node_print_listeners(const struct json *overview, const char *begin);
/* The same as values of an array. */
void node_put_listeners(struct json_writer *writer, const struct json *overview);

#endif
