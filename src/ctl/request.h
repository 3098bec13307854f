/* What verbs that make, change or delete something have in common. */
#ifndef LEVERET_CTL_REQUEST_H
#define LEVERET_CTL_REQUEST_H

#include "ctl/command.h"
#include "definitions/json.h"
#include "definitions/json_writer.h"

/* Sends it; the code to end with. The body is freed. */
int request_send(struct command *command, const char *request, struct buffer *body);
/* What it is answered with; 0: it is not. */
int request_status(struct command *command, const char *request);
/* Adds a member with this value of a document, or null. */
void request_copy(struct json_writer *writer, const char *name, const struct json *value);
/* Is `text` any value of JSON? */
bool request_is_json(const char *text);
/* It is not; the code to end with. */
int request_refuse_json(struct command *command, const char *text);

#endif
