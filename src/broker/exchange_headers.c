/* A headers exchange compares the message's headers with the arguments of each binding: `x-match`
 * says whether all (the default) or any of them must agree, and with `-with-x` whether names that
 * begin with `x-` take part. An argument without a value asks only for presence (AMQP 0-9-1,
 * 3.1.3.4, and RabbitMQ); others must hold the same, whatever their types.
 *
 * Both sides are sorted by name, the arguments once when they are bound and the headers once for
 * each routing, so that one walk along both decides. Which bindings are looked at tells a table of
 * arguments, by name and value: a binding that wants all of its arguments is there under the one of
 * them that the fewest others are under, one that wants any under each. What a message costs so
 * depends on the bindings that one of its headers agrees with, and not on how many there are. */
#include <stdlib.h>

#include "amqp/reply.h"
#include "amqp/table.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/planted.h"
#include "broker/route.h"

/* Headers of one message that are looked at; the rest is as if it were not there. */
enum { HEADERS_MAX = 1000 };
/* Arguments of one binding by which it may be found. */
enum { LISTINGS_MAX = 64 };

struct headers {
    struct list unlisted;   /* kind_link of bindings that every message looks at */
    struct idmap arguments; /* struct argument, by the hash of name and value */
    uint64_t seed;
    struct field *fields; /* of the message at hand, sorted */
    size_t count, capacity;
};

/* What bindings ask for, and those that are found by it. Where hashes meet, several share one. */
struct argument {
    uint64_t hash;
    struct list listings;
    size_t count;
};

struct listing {
    struct list link; /* on its argument's list */
    struct argument *argument;
    const struct binding *binding;
};

struct pattern {
    struct listing *listings;
    size_t listing_count;
    bool any;
    size_t count;
    struct field fields[]; /* those that take part, sorted */
};

static void init(struct exchange *exchange)
{
    struct headers *state = mem_zalloc(sizeof(*state));
    list_init(&state->unlisted);
    idmap_init(&state->arguments);
    state->seed = random_next(exchange->vhost->broker->random);
    exchange->state = state;
}

static void free_state(struct exchange *exchange)
{
    struct headers *state = exchange->state;
    uint64_t at = 0;
    for (void *argument; (argument = idmap_next(&state->arguments, &at));)
        mem_free(argument);
    idmap_free(&state->arguments);
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

/* ---- arguments by their hashes ---- */

/* Of an argument that asks for presence, or whose value has no hash. */
static uint64_t hash_name(const struct headers *state, const struct field *field)
{
    return hash_bytes(field->name, state->seed);
}

static uint64_t hash_field(const struct headers *state, const struct field *field)
{
    uint64_t value;
    return field_hash_value(field, state->seed, &value) ? hash_bytes(field->name, value)
                                                        : hash_name(state, field);
}

static struct argument *argument_of(struct headers *state, const struct field *field)
{
    uint64_t hash = hash_field(state, field);
    struct argument *argument = idmap_find(&state->arguments, hash);
    if (argument)
        return argument;
    argument = mem_zalloc(sizeof(*argument));
    argument->hash = hash;
    list_init(&argument->listings);
    idmap_add(&state->arguments, hash, argument);
    return argument;
}

static void list_under(struct listing *listing, struct headers *state,
                       const struct binding *binding, const struct field *field)
{
    struct argument *argument = argument_of(state, field);
    *listing = (struct listing){.argument = argument, .binding = binding};
    list_push_back(&argument->listings, &listing->link);
    argument->count++;
}

static void unlist(struct listing *listing, struct headers *state)
{
    struct argument *argument = listing->argument;
    list_remove(&listing->link);
    if (--argument->count)
        return;
    idmap_remove(&state->arguments, argument->hash);
    mem_free(argument);
}

/* How many bindings are found by it. */
static size_t found_by(const struct headers *state, const struct field *field)
{
    const struct argument *argument = idmap_find(&state->arguments, hash_field(state, field));
    return argument ? argument->count : 0;
}

static const struct field *rarest(const struct headers *state, const struct pattern *pattern)
{
    const struct field *best = &pattern->fields[0];
    size_t least = found_by(state, best);
    for (size_t i = 1; i < pattern->count && i < LISTINGS_MAX && least; i++) {
        size_t count = found_by(state, &pattern->fields[i]);
        if (count < least) {
            best = &pattern->fields[i];
            least = count;
        }
    }
    return best;
}

static void list_all(struct headers *state, struct pattern *pattern, struct binding *binding)
{
    size_t count = pattern->any ? pattern->count : pattern->count > 0;
    if (count > LISTINGS_MAX)
        count = 0;
    pattern->listing_count = count;
    pattern->listings = count ? mem_alloc(count * sizeof(*pattern->listings)) : NULL;
    for (size_t i = 0; i < count; i++)
        list_under(&pattern->listings[i], state, binding,
                   pattern->any ? &pattern->fields[i] : rarest(state, pattern));
    list_init(&binding->kind_link);
    if (count == 0)
        list_push_back(&state->unlisted, &binding->kind_link);
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
    list_all(state, pattern, binding);
}

static void unbind_pattern(struct exchange *exchange, struct binding *binding)
{
    struct pattern *pattern = binding->kind_data;
    for (size_t i = 0; i < pattern->listing_count; i++)
        unlist(&pattern->listings[i], exchange->state);
    list_remove(&binding->kind_link);
    mem_free(pattern->listings);
    mem_free(pattern);
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

static void look_at(const struct headers *state, const struct binding *binding,
                    struct queue_set *set)
{
    set->work++;
    if (matches(binding->kind_data, state))
        queue_set_add_destination(set, binding);
}

/* The bindings that are found by one hash. */
static void look(const struct headers *state, uint64_t hash, struct queue_set *set)
{
    const struct argument *argument = idmap_find(&state->arguments, hash);
    if (!argument)
        return;
    list_for_each(link, &argument->listings)
        look_at(state, list_entry(link, struct listing, link)->binding, set);
}

static void look_for(const struct headers *state, const struct field *field, struct queue_set *set)
{
    uint64_t by_name = hash_name(state, field), by_value = hash_field(state, field);
    look(state, by_name, set);
    if (by_value != by_name)
        look(state, by_value, set);
}

static void route(struct exchange *exchange, const struct route *route, struct queue_set *set)
{
    struct headers *state = exchange->state;
    sort_headers(state, route->headers);
    set->work += state->count;
    list_for_each(link, &state->unlisted)
        look_at(state, list_entry(link, struct binding, kind_link), set);
    for (size_t i = 0; i < state->count; i++)
        /* Of equal names the first one counts. */
        if (i == 0 || !bytes_equal(state->fields[i].name, state->fields[i - 1].name))
            look_for(state, &state->fields[i], set);
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
