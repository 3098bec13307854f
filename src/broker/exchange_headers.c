/* A headers exchange compares the message's headers with the arguments of each binding: `x-match`
 * says whether all (the default) or any of them must agree, and with `-with-x` whether names that
 * begin with `x-` take part. An argument without a value asks only for presence (AMQP 0-9-1,
 * 3.1.3.4, and RabbitMQ); others must hold the same, whatever their types.
 *
 * Both sides are sorted by name, the arguments once when they are bound and the headers once for
 * each routing, so that one walk along both decides. */
#include <stdlib.h>

#include "amqp/reply.h"
#include "amqp/table.h"
#include "base/mem.h"
#include "base/planted.h"
#include "broker/route.h"

/* Headers of one message that are looked at; the rest is as if it were not there. */
enum { HEADERS_MAX = 1000 };

struct headers {
    struct list bindings; /* kind_link */
    struct field *fields; /* of the message at hand, sorted */
    size_t count, capacity;
};

struct pattern {
    bool any;
    size_t count;
    struct field fields[]; /* those that take part, sorted */
};

static void init(struct exchange *exchange)
{
    struct headers *state = mem_zalloc(sizeof(*state));
    list_init(&state->bindings);
    exchange->state = state;
}

static void free_state(struct exchange *exchange)
{
    struct headers *state = exchange->state;
    mem_free(state->fields);
    mem_free(state);
}

static bool match_is_known(struct bytes value)
{
    return bytes_equal_str(value, "all") || bytes_equal_str(value, "any") ||
           bytes_equal_str(value, "all-with-x") || bytes_equal_str(value, "any-with-x");
}

static bool check(const struct binding_request *request, struct error *error)
{
    struct field field;
    if (!table_find(request->arguments, bytes_str("x-match"), &field))
        return true;
    if (field.type == 'S' && match_is_known(field.value.bytes))
        return true;
    if (field.type == 'S')
        return error_set(error, REPLY_PRECONDITION_FAILED,
                         "Invalid x-match field value <<\"%.*s\">>; "
                         "expected all, any, all-with-x, or any-with-x",
                         BYTES_ARG(field.value.bytes));
    struct buffer value = {0};
    field_print_value(&value, &field);
    error_set(error, REPLY_PRECONDITION_FAILED,
              "Invalid x-match field type %s (value %.*s); expected longstr",
              field_type_name(field.type), BYTES_ARG(buffer_bytes(&value)));
    buffer_free(&value);
    return false;
}

/* ---- binding ---- */

static void bind_pattern(struct exchange *exchange, struct binding *binding)
{
    struct headers *state = exchange->state;
    struct bytes arguments = binding_arguments(binding), match = bytes_str("all");
    table_find_string(arguments, "x-match", &match);
    bool with_x = match.size > 3;
    size_t count = 0;
    struct field field;
    for (struct reader walk = reader_of(arguments); table_next(&walk, &field);)
        count++;
    struct pattern *pattern = mem_alloc(sizeof(*pattern) + count * sizeof(field));
    pattern->any = bytes_start_with(match, "any") && !planted(PLANTED_ANY_IS_ALL);
    pattern->count = 0;
    /* The arguments are sorted already. */
    for (struct reader walk = reader_of(arguments); table_next(&walk, &field);)
        if (!bytes_equal_str(field.name, "x-match") &&
            (with_x || !bytes_start_with(field.name, "x-")))
            pattern->fields[pattern->count++] = field;
    binding->kind_data = pattern;
    list_push_back(&state->bindings, &binding->kind_link);
}

static void unbind_pattern(struct exchange *exchange, struct binding *binding)
{
    (void)exchange;
    list_remove(&binding->kind_link);
    mem_free(binding->kind_data);
}

/* ---- routing ---- */

static int compare_names(const void *a, const void *b)
{
    const struct field *x = a, *y = b;
    int order = bytes_compare(x->name, y->name);
    /* Of equal names the first one counts. */
    return order ? order : (x->raw.data > y->raw.data) - (x->raw.data < y->raw.data);
}

static void sort_headers(struct headers *state, struct bytes headers)
{
    struct field field;
    state->count = 0;
    for (struct reader walk = reader_of(headers);
         state->count < HEADERS_MAX && table_next(&walk, &field);) {
        state->fields = mem_grow(state->fields, &state->capacity, state->count + 1, sizeof(field));
        state->fields[state->count++] = field;
    }
    if (state->count > 1)
        qsort(state->fields, state->count, sizeof(field), compare_names);
}

static bool matches(const struct pattern *pattern, const struct headers *state)
{
    size_t at = 0;
    for (size_t i = 0; i < pattern->count; i++) {
        const struct field *wanted = &pattern->fields[i];
        int order = 1;
        while (at < state->count &&
               (order = bytes_compare(state->fields[at].name, wanted->name)) < 0)
            at++;
        bool equal = at < state->count && order == 0 &&
                     (wanted->type == 'V' || field_same_value(wanted, &state->fields[at]));
        if (equal == pattern->any)
            return equal;
    }
    return !pattern->any;
}

static void route(struct exchange *exchange, const struct route *route, struct queue_set *set)
{
    struct headers *state = exchange->state;
    sort_headers(state, route->headers);
    list_for_each(link, &state->bindings) {
        const struct binding *binding = list_entry(link, struct binding, kind_link);
        set->work++;
        if (matches(binding->kind_data, state))
            queue_set_add_destination(set, binding);
    }
}

const struct exchange_kind exchange_headers = {
    .name = "headers",
    .init = init,
    .free = free_state,
    .check = check,
    .bind = bind_pattern,
    .unbind = unbind_pattern,
    .route = route,
};
