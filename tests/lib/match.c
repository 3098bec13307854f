/* Comparing goes by the offsets of the method table, as writing does. */
#include "match.h"

#include "amqp/text_fields.h"

static bool members_equal(const void *a, const void *b, const struct method_field *field)
{
    return text_field_number(a, field) == text_field_number(b, field) &&
           bytes_equal(text_field_bytes(a, field), text_field_bytes(b, field));
}

bool match_method(const union method *expected, const struct text_given *given,
                  const union method *actual)
{
    const struct method_info *info = method_info(expected->id);
    if (!info || actual->id != expected->id)
        return false;
    for (size_t i = 0; i < info->field_count; i++)
        if (given->fields >> i & 1 && !members_equal(expected, actual, &info->fields[i]))
            return false;
    return true;
}

bool match_properties(const struct properties *expected, const struct text_given *given,
                      const struct properties *actual)
{
    for (size_t i = 0; i < TEXT_PROPERTIES; i++) {
        if (!(given->fields & text_property_flags[i]))
            continue;
        if (!(actual->flags & text_property_flags[i]) ||
            !members_equal(expected, actual, &text_property_fields[i]))
            return false;
    }
    return true;
}
