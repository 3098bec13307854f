/* Arguments of queues, exchanges and bindings: field tables of AMQP from JSON and back, as
 * RabbitMQ's management plugin has them. */
#ifndef LEVERET_DEFINITIONS_JSON_TABLE_H
#define LEVERET_DEFINITIONS_JSON_TABLE_H

#include "base/buffer.h"
#include "definitions/json.h"
#include "definitions/json_writer.h"

enum json_null { JSON_NULL_REFUSED, JSON_NULL_ALLOWED };

/* Appends the contents of a table: strings become long strings, whole numbers int64, others double,
 * objects tables, arrays arrays, null (if it is allowed) void. A value that is missing, or an empty
 * array, is an empty table. False: `fault` says what cannot be in a table: names above 255 bytes,
 * more or deeper than amqp/table.h has it. */
bool json_to_table(const struct json *value, enum json_null null, struct buffer *out, char *fault,
                   size_t fault_size);

/* The table as an object. What JSON has no type for becomes what is nearest: times are whole
 * numbers, decimals fractions, void is null; of members of the same name the first one is written.
 */
void json_put_table(struct json_writer *writer, struct bytes table);

#endif
