/* Values of JSON as texts: as they are, or as RabbitMQ's tools show them. */
#ifndef LEVERET_CTL_TERM_H
#define LEVERET_CTL_TERM_H

#include "ctl/rows.h"
#include "definitions/json.h"
#include "definitions/json_writer.h"

/* The value as JSON. */
void term_copy(struct json_writer *writer, const struct json *value);
/* A value that stands in a text, as a cell of a table. */
void term_cell(const struct command *command, enum cell_kind kind, struct bytes value,
               struct buffer *out);
/* The same as a value in JSON. */
void term_json(const struct command *command, enum cell_kind kind, struct bytes value,
               struct json_writer *writer);
/* The payload of a message, as it was published. `room` may hold it, and is the caller's to free. */
struct bytes term_payload(const struct json *message, struct buffer *room);
/* The token of a connection, or of one of its channels ("connection (NUMBER)"), from its name:
 * <NODE.1.HASH.NUMBER>. */
void term_token(const char *node, struct bytes name, struct buffer *out);

#endif
