/* Both this folder and jansson begin names with json_; no name is in both. */
#include "definitions/json.h"

#include <jansson.h>
#include <stdio.h>

static json_t *inside(const struct json *value)
{
    return (json_t *)(uintptr_t)value;
}

static const struct json *outside(json_t *value)
{
    return (const struct json *)value;
}

struct json *json_parse(struct bytes text, char *error, size_t error_size)
{
    json_error_t fault;
    const char *data = text.size ? (const char *)text.data : "";
    json_t *root = json_loadb(data, text.size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &fault);
    if (!root)
        snprintf(error, error_size, "line %d, column %d: %s", fault.line, fault.column, fault.text);
    return (struct json *)root;
}

void json_release(struct json *document)
{
    json_decref(inside(document));
}

enum json_kind json_kind_of(const struct json *value)
{
    static const enum json_kind kinds[] = {
        [JSON_OBJECT] = JSON_IS_OBJECT, [JSON_ARRAY] = JSON_IS_ARRAY,
        [JSON_STRING] = JSON_IS_TEXT,   [JSON_INTEGER] = JSON_IS_WHOLE,
        [JSON_REAL] = JSON_IS_FRACTION, [JSON_TRUE] = JSON_IS_BOOL,
        [JSON_FALSE] = JSON_IS_BOOL,    [JSON_NULL] = JSON_IS_NULL,
    };
    return value ? kinds[json_typeof(inside(value))] : JSON_IS_MISSING;
}

const char *json_kind_name(enum json_kind kind)
{
    static const char *const names[] = {
        [JSON_IS_MISSING] = "nothing",     [JSON_IS_NULL] = "null",
        [JSON_IS_BOOL] = "true or false",  [JSON_IS_WHOLE] = "a whole number",
        [JSON_IS_FRACTION] = "a fraction", [JSON_IS_TEXT] = "a string",
        [JSON_IS_ARRAY] = "an array",      [JSON_IS_OBJECT] = "an object",
    };
    return names[kind];
}

struct bytes json_text(const struct json *value)
{
    return bytes_of(json_string_value(inside(value)), json_string_length(inside(value)));
}

int64_t json_whole(const struct json *value)
{
    return json_integer_value(inside(value));
}

double json_fraction(const struct json *value)
{
    return json_real_value(inside(value));
}

bool json_flag(const struct json *value)
{
    return json_is_true(inside(value));
}

size_t json_count(const struct json *value)
{
    return json_array_size(inside(value)) + json_object_size(inside(value));
}

const struct json *json_item(const struct json *array, size_t number)
{
    return outside(json_array_get(inside(array), number));
}

const struct json *json_find(const struct json *object, const char *name)
{
    return outside(json_object_get(inside(object), name));
}

bool json_next(struct json_walk *walk, struct bytes *name, const struct json **value)
{
    json_t *object = inside(walk->object);
    walk->at = walk->is_begun ? json_object_iter_next(object, walk->at) : json_object_iter(object);
    walk->is_begun = true;
    if (!walk->at)
        return false;
    *name = bytes_str(json_object_iter_key(walk->at));
    *value = outside(json_object_iter_value(walk->at));
    return true;
}
