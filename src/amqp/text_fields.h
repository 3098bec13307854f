/* What writing and reading of text share: names of types, the properties described like the fields
 * of a method, and the value of a field. */
#ifndef LEVERET_AMQP_TEXT_FIELDS_H
#define LEVERET_AMQP_TEXT_FIELDS_H

#include "amqp/method.h"

struct text_type {
    char type;
    const char *name;
};

enum { TEXT_TYPES = 18, TEXT_PROPERTIES = 14 };

/* Types of fields and their names in texts. */
extern const struct text_type text_types[TEXT_TYPES];

/* Offsets are into struct properties; property i is there when text_property_flags[i] is set. */
extern const struct method_field text_property_fields[TEXT_PROPERTIES];
extern const uint16_t text_property_flags[TEXT_PROPERTIES];

/* The value of a field of the struct at `base`: its number (0 of one that has bytes), or its bytes
 * (none of one that has a number). */
uint64_t text_field_number(const void *base, const struct method_field *field);
struct bytes text_field_bytes(const void *base, const struct method_field *field);
/* Puts a number into a field that has one; of a larger one only the lowest bits. */
void text_field_set_number(void *base, const struct method_field *field, uint64_t number);

#endif
