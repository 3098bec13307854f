/* Comparing goes by the offsets of the method table, as writing does. */
#include "match.h"

#include "amqp/text_fields.h"

/* The value of a field: its number, or its bytes. */
static uint64_t number_at(const void *base, const struct method_field *field)
{
    const void *at = (const uint8_t *)base + field->offset;
    switch (field->kind) {
    case METHOD_FIELD_OCTET:
        return *(const uint8_t *)at;
    case METHOD_FIELD_SHORT:
        return *(const uint16_t *)at;
    case METHOD_FIELD_LONG:
        return *(const uint32_t *)at;
    case METHOD_FIELD_LONGLONG:
        return *(const uint64_t *)at;
    case METHOD_FIELD_BIT:
        return *(const bool *)at;
    default:
        return 0;
    }
}

static struct bytes bytes_at(const void *base, const struct method_field *field)
{
    if (field->kind < METHOD_FIELD_SHORTSTR)
        return bytes_of(NULL, 0);
    return *(const struct bytes *)(const void *)((const uint8_t *)base + field->offset);
}

static bool members_equal(const void *a, const void *b, const struct method_field *field)
{
    return number_at(a, field) == number_at(b, field) &&
           bytes_equal(bytes_at(a, field), bytes_at(b, field));
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
