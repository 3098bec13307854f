/* What writing and reading of text share: names of types, and the properties described like the
 * fields of a method. */
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

#endif
