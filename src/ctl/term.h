/* Values of JSON as texts: as they are, or as RabbitMQ's tools show them. */
#ifndef LEVERET_CTL_TERM_H
#define LEVERET_CTL_TERM_H

#include "ctl/rows.h"

/* The value as JSON. */
void term_copy(struct json_writer *writer, const struct json *value);
/* As a cell of a table. */
void term_cell(const struct command *command, enum cell_kind kind, const struct json *value,
               struct buffer *out);
/* As a value in JSON. */
void term_json(const struct command *command, enum cell_kind kind, const struct json *value,
               struct json_writer *writer);
/* The token of a connection, or of one of its channels ("connection (NUMBER)"), from its name:
 * <NODE.1.HASH.NUMBER>. */
void term_token(const char *node, struct bytes name, struct buffer *out);

#endif
