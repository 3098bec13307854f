/* Values are printed as RabbitMQ prints them, which is as Erlang prints its terms. */
#include "broker/policy_check.h"

#include "amqp/reply.h"
#include "amqp/table.h"
#include "base/near.h"
#include "broker/pattern.h"
#include "broker/policy.h"
#include "broker/queue_arguments.h"

enum { ANY = CLASSIC | QUORUM | STREAM };
enum who { USER, OPERATOR };

typedef bool check_function(const struct field *field, const char *words);

/* ---- values ---- */

static bool is_text(const struct field *field, const char *words)
{
    (void)words;
    return field->type == 'S';
}

static bool is_bool(const struct field *field, const char *words)
{
    (void)words;
    return field->type == 't';
}

static bool is_integer(const struct field *field, const char *words)
{
    (void)words;
    return field_is_integer(field);
}

static bool is_not_negative(const struct field *field, const char *words)
{
    return is_integer(field, words) && field->value.integer >= 0;
}

static bool is_positive(const struct field *field, const char *words)
{
    return is_integer(field, words) && field->value.integer > 0;
}

static bool is_version(const struct field *field, const char *words)
{
    return is_positive(field, words) && field->value.integer <= 2;
}

static bool is_segment_size(const struct field *field, const char *words)
{
    return is_not_negative(field, words) && field->value.integer <= INT64_C(3000000000);
}

static bool is_filter_size(const struct field *field, const char *words)
{
    return is_integer(field, words) && field->value.integer >= 16 && field->value.integer <= 255;
}

static bool is_age(const struct field *field, const char *words)
{
    return is_text(field, words) && queue_argument_is_age(field->value.bytes);
}

/* Words are separated by spaces, of which none has one. */
static bool is_word(const struct field *field, const char *words)
{
    struct bytes text = field->value.bytes;
    if (field->type != 'S' || text.size == 0)
        return false;
    for (const char *at = words; *at; at += *at == ' ') {
        size_t size = strcspn(at, " ");
        if (bytes_equal(text, bytes_of(at, size)))
            return true;
        at += size;
    }
    return false;
}

static bool is_pattern(const struct field *field, const char *words)
{
    char fault[300];
    struct pattern pattern;
    if (!is_text(field, words))
        return false;
    bool fine = pattern_init(&pattern, field->value.bytes, fault, sizeof(fault));
    pattern_free(&pattern);
    return fine;
}

/* ---- keys ---- */

static const struct key {
    const char *name;
    check_function *check; /* NULL: anything goes */
    const char *words;
    unsigned types;
    enum who who;
    const char *before, *after;
} keys[] = {
#define POLICY_KEY(name, check, words, types, who, before, after)                                  \
    {name, check, words, types, who, before, after},
#include "broker/policy_keys.def"
#undef POLICY_KEY
};

static const struct key *key_find(struct bytes name)
{
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if (bytes_equal_str(name, keys[i].name))
            return &keys[i];
    return NULL;
}

unsigned policy_types(struct bytes definition)
{
    unsigned types = ANY;
    struct field field;
    for (struct reader walk = reader_of(definition); table_next(&walk, &field);) {
        const struct key *key = key_find(field.name);
        types &= key ? key->types : ANY;
    }
    return types;
}

/* ---- definitions ---- */

/* NULL: there is none. */
static bool refuse(const char *before, const struct field *field, const char *after,
                   struct error *error)
{
    struct buffer value = {0};
    if (field)
        field_print_term(&value, field);
    else
        buffer_add(&value, "none", strlen("none"));
    error_set(error, REPLY_PRECONDITION_FAILED, "%s%.*s%s", before, BYTES_ARG(buffer_bytes(&value)),
              after);
    buffer_free(&value);
    return false;
}

/* The key that was most likely meant; NULL: none is like it. */
static const char *key_near(struct bytes name, bool is_operator)
{
    const char *best = NULL;
    size_t nearest = name.size / 3 + 1;
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]) && name.size <= NEAR_BYTES_MAX; i++) {
        if (is_operator && keys[i].who != OPERATOR)
            continue;
        size_t far = near_distance((const char *)name.data, name.size, keys[i].name);
        if (far < nearest) {
            nearest = far;
            best = keys[i].name;
        }
    }
    return best;
}

static bool refuse_unknown(const struct field *field, bool is_operator, struct error *error)
{
    struct buffer name = {0}, value = {0};
    const char *near = key_find(field->name) ? NULL : key_near(field->name, is_operator);
    struct field text = {.type = 'S', .value.bytes = field->name};
    field_print_term(&name, &text);
    field_print_term(&value, field);
    error_set(error, REPLY_PRECONDITION_FAILED, "[{%.*s,%.*s}] are not recognised policy settings%s%s%s",
              BYTES_ARG(buffer_bytes(&name)), BYTES_ARG(buffer_bytes(&value)),
              near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
    buffer_free(&name);
    buffer_free(&value);
    return false;
}

static bool check_key(const struct field *field, bool is_operator, struct error *error)
{
    const struct key *key = key_find(field->name);
    if (!key || (is_operator && key->who != OPERATOR))
        return refuse_unknown(field, is_operator, error);
    return !key->check || key->check(field, key->words) ||
           refuse(key->before, field, key->after, error);
}

static bool is_twice(struct bytes definition, struct bytes name)
{
    struct field field;
    size_t count = 0;
    for (struct reader walk = reader_of(definition); table_next(&walk, &field);)
        count += bytes_equal(field.name, name);
    return count > 1;
}

static bool check_nodes(const struct field *params, struct error *error)
{
    struct field node;
    if (!params || params->type != 'A')
        return refuse("ha-mode=\"nodes\" takes a list, ", params, " given", error);
    if (params->value.bytes.size == 0)
        return error_set(error, REPLY_PRECONDITION_FAILED,
                         "ha-mode=\"nodes\" list must be non-empty");
    for (struct reader walk = reader_of(params->value.bytes); array_next(&walk, &node);)
        if (node.type != 'S')
            return refuse("ha-mode=\"nodes\" takes a list of strings, ", params, " given", error);
    return true;
}

/* What ha-params has to be is for ha-mode to say. */
static bool check_mirrors(struct bytes definition, struct error *error)
{
    struct field field, mode;
    bool any = false, has_mode = table_find(definition, bytes_str("ha-mode"), &mode);
    for (struct reader walk = reader_of(definition); table_next(&walk, &field);)
        any |= bytes_start_with(field.name, "ha-");
    if (any && !has_mode)
        return error_set(error, REPLY_PRECONDITION_FAILED,
                         "ha-mode must be specified to specify ha-params, ha-sync-mode or "
                         "ha-promote-on-shutdown");
    const struct field *params =
        table_find(definition, bytes_str("ha-params"), &field) ? &field : NULL;
    if (!has_mode)
        return true;
    if (bytes_equal_str(mode.value.bytes, "all"))
        return !params || error_set(error, REPLY_PRECONDITION_FAILED,
                                    "ha-mode=\"all\" does not take parameters");
    if (bytes_equal_str(mode.value.bytes, "nodes"))
        return check_nodes(params, error);
    return (params && is_positive(params, NULL)) ||
           refuse("ha-mode=\"exactly\" takes an integer, ", params, " given", error);
}

static bool check_federation(struct bytes definition, struct error *error)
{
    struct field field;
    size_t count = 0;
    for (struct reader walk = reader_of(definition); table_next(&walk, &field);)
        count += bytes_start_with(field.name, "federation-");
    return count < 2 || error_set(error, REPLY_PRECONDITION_FAILED,
                                  "cannot specify federation-upstream, federation-upstream-set or "
                                  "federation-upstream-pattern together");
}

bool policy_check(struct bytes definition, bool is_operator, struct error *error)
{
    struct field field;
    if (definition.size == 0)
        return error_set(error, REPLY_PRECONDITION_FAILED, "no policy provided");
    if (definition.size > POLICY_DEFINITION_MAX)
        return error_set(error, REPLY_PRECONDITION_FAILED,
                         "the definition of a policy has at most %d bytes, and not %zu",
                         POLICY_DEFINITION_MAX, definition.size);
    for (struct reader walk = reader_of(definition); table_next(&walk, &field);) {
        if (!check_key(&field, is_operator, error))
            return false;
        if (is_twice(definition, field.name))
            return error_set(error, REPLY_PRECONDITION_FAILED,
                             "[<<\"%.*s\">>] duplicate keys not allowed", BYTES_ARG(field.name));
    }
    return check_mirrors(definition, error) && check_federation(definition, error);
}
