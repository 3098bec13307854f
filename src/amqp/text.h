/* Methods, properties and field tables as text, both ways, for trace lines and for scripts:
 *
 *     queue.declare queue=orders durable=1 arguments={x-max-length:i32 5, x-overflow:str drop-head}
 *
 * A method is its name and field=value pairs, separated by spaces; what is not given is 0 or empty
 * (writing leaves such fields out). '-' and '_' are the same in field names.
 * Numbers are decimal, bits 0 or 1 (true and false are read as well).
 * Strings stand bare, or in double quotes, in which \" \\ and \xNN are read; what is written is
 * quoted when it is empty or holds more than printable ASCII without space " \ , * { } [ ].
 * A table is {name:type value, ...}, an array [type value, ...]. The types are bool i8 u8 i16 u16
 * i32 u32 i64 f32 f64 dec str bin time table array void, or their letters on the wire (L has only
 * that). A decimal is scale/digits; a void has no value.
 * The value * (bare) means "anything": the field is named, but not counted as given. */
#ifndef LEVERET_AMQP_TEXT_H
#define LEVERET_AMQP_TEXT_H

#include "amqp/method.h"
#include "amqp/properties.h"
#include "base/buffer.h"

/* Append text, without a line end or terminator. */
void text_method(struct buffer *out, const union method *method);
void text_properties(struct buffer *out, const struct properties *properties);
void text_table(struct buffer *out, struct bytes table); /* which table_check has passed */
void text_string(struct buffer *out, struct bytes string);

/* What a text said about the fields of a method: bit i for method_info()->fields[i]; or about
 * properties: their flags. */
struct text_given {
    uint32_t fields;
    const char *error; /* why it was refused, a constant; NULL when it was not */
    size_t error_at;   /* where, in bytes from the beginning */
};

/* Read text; false with given->error when it cannot be. Strings and tables are borrowed from
 * `memory`, whose contents are replaced: one memory for each text that is kept. A text is at most
 * TEXT_MAX bytes. */
enum { TEXT_MAX = 1 << 20 };
bool text_read_method(struct bytes text, struct buffer *memory, union method *out,
                      struct text_given *given);
/* "content_type=text/plain delivery_mode=2 headers={...}" */
bool text_read_properties(struct bytes text, struct buffer *memory, struct properties *out,
                          struct text_given *given);
/* "{...}" to the contents of a table. */
bool text_read_table(struct bytes text, struct buffer *memory, struct bytes *table,
                     struct text_given *given);

#endif
