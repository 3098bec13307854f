#include "broker/equivalence.h"

#include "amqp/reply.h"
#include "amqp/table.h"

bool equivalent_bool(const char *resource, const char *name, bool received, bool current,
                     struct error *error)
{
    static const char *const text[] = {"false", "true"};
    return received == current ||
           error_set(error, REPLY_PRECONDITION_FAILED,
                     "inequivalent arg '%s' for %s: received '%s' but current is '%s'", name,
                     resource, text[received], text[current]);
}

static bool refuse_different(const char *resource, const char *name, const struct field *received,
                             const struct field *current, struct error *error)
{
    struct buffer got = {0}, has = {0};
    void (*print)(struct buffer *, const struct field *) =
        received && current ? field_print_quoted : field_print;
    print(&got, received);
    print(&has, current);
    error_set(error, REPLY_PRECONDITION_FAILED,
              "inequivalent arg '%s' for %s: received %.*s but current is %.*s", name, resource,
              BYTES_ARG(buffer_bytes(&got)), BYTES_ARG(buffer_bytes(&has)));
    buffer_free(&got);
    buffer_free(&has);
    return false;
}

/* A queue without a type is a classic one. */
static bool is_default(const char *name, const struct field *field)
{
    return strcmp(name, "x-queue-type") == 0 && field->type == 'S' &&
           bytes_equal_str(field->value.bytes, "classic");
}

bool equivalent_argument(const char *resource, const char *name, struct bytes received,
                         struct bytes current, struct error *error)
{
    struct field new_field, old_field;
    struct field *got = table_find(received, bytes_str(name), &new_field) ? &new_field : NULL;
    struct field *has = table_find(current, bytes_str(name), &old_field) ? &old_field : NULL;
    if (got && has ? field_equal(got, has) : got == has)
        return true;
    if ((!got && is_default(name, has)) || (!has && is_default(name, got)))
        return true;
    return refuse_different(resource, name, got, has, error);
}
