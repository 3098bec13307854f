/* JSON (RFC 8259), read into a tree. Jansson is known to json.c alone.
 *
 * A value belongs to its document, which belongs to who has it parsed. NULL is a value that is not
 * there, and may be asked like any other. */
#ifndef LEVERET_DEFINITIONS_JSON_H
#define LEVERET_DEFINITIONS_JSON_H

#include "base/bytes.h"

struct json;

enum json_kind {
    JSON_IS_MISSING,
    JSON_IS_NULL,
    JSON_IS_BOOL,
    JSON_IS_WHOLE,    /* a number without fraction or exponent, of 64 bits */
    JSON_IS_FRACTION, /* any other number */
    JSON_IS_TEXT,
    JSON_IS_ARRAY,
    JSON_IS_OBJECT,
};

/* NULL: `error` says in which line and column what is wrong. A document is an object or an array,
 * nests no deeper than 2,048 levels, and no object has a member twice. */
struct json *json_parse(struct bytes text, char *error, size_t error_size);
void json_release(struct json *document);

enum json_kind json_kind_of(const struct json *value);
/* "an object" and its like; "nothing". */
const char *json_kind_name(enum json_kind kind);

/* What a value of that kind is; of another kind empty, 0 or false. */
struct bytes json_text(const struct json *value);
int64_t json_whole(const struct json *value);
double json_fraction(const struct json *value);
bool json_flag(const struct json *value);

/* Items of an array, or members of an object; else 0. */
size_t json_count(const struct json *value);
const struct json *json_item(const struct json *array, size_t number);
const struct json *json_find(const struct json *object, const char *name);

/* Walks over the members of an object, in the order in which they were written. */
struct json_walk {
    const struct json *object;
    void *at;
    bool is_begun;
};

static inline struct json_walk json_walk_of(const struct json *object)
{
    return (struct json_walk){.object = object};
}

bool json_next(struct json_walk *walk, struct bytes *name, const struct json **value);

#endif
