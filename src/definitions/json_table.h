/* Arguments of queues, exchanges and bindings: field tables of AMQP from JSON and back, as
 * RabbitMQ's management plugin has them. */
#ifndef LEVERET_DEFINITIONS_JSON_TABLE_H
#define LEVERET_DEFINITIONS_JSON_TABLE_H

#include "base/buffer.h"
#include "definitions/json.h"

/* Appends the contents of a table: strings become long strings, whole numbers int64, others double,
 * objects tables, arrays arrays. A value that is missing, or an empty array, is an empty table.
 * False: `fault` says what cannot be in a table: null, names above 255 bytes, more or deeper than
 * amqp/table.h has it. */
bool json_to_table(const struct json *value, struct buffer *out, char *fault, size_t fault_size);

#endif
