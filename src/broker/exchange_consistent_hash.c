/* A consistent hash exchange spreads messages over its bindings by the hash of their routing key,
 * of a header (argument `hash-header`) or of a property (`hash-property`). A binding key is a
 * weight: a queue with twice the weight gets twice as much.
 *
 * Each message looks for the binding with the lowest score, which is drawn from the hash of the
 * message and of the destination's name (rendezvous hashing). So the order in which bindings came
 * does not matter, nor does a restart; and when one comes, or goes, or changes its weight, messages
 * move only to it, or from it. A score is exponentially distributed, its rate the weight: the share
 * of messages for which it is the lowest is the weight's share. Of several bindings to one
 * destination the heaviest counts. */
#include <math.h>

#include "amqp/properties.h"
#include "amqp/reply.h"
#include "amqp/table.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/planted.h"
#include "broker/route.h"

/* Never another one: it decides where messages go. A larger weight is refused. */
enum { SEED = 1, WEIGHT_MAX = 10000 };

/* Bindings looked at in one step of work. */
enum { BINDINGS_STEP = 8 };

enum subject { ROUTING_KEY, HEADER, MESSAGE_ID, CORRELATION_ID, TIMESTAMP };

struct share {
    uint64_t hash;  /* of the destination */
    double inverse; /* of the weight */
    struct binding *binding;
};

struct shares {
    struct share *list; /* each binding knows its place here: kind_place */
    size_t count, capacity;
    enum subject subject;
    struct bytes header; /* its name, in the exchange's arguments */
};

/* ---- arguments ---- */

static bool property_find(struct bytes name, enum subject *subject)
{
    static const struct {
        const char *name;
        enum subject subject;
    } properties[] = {
        {"message_id", MESSAGE_ID}, {"correlation_id", CORRELATION_ID}, {"timestamp", TIMESTAMP}};
    for (size_t i = 0; i < sizeof(properties) / sizeof(properties[0]); i++)
        if (bytes_equal_str(name, properties[i].name)) {
            *subject = properties[i].subject;
            return true;
        }
    return false;
}

static bool check_new(const struct vhost *vhost, const struct exchange_declare *declare,
                      struct error *error)
{
    struct bytes header, property;
    enum subject subject;
    if (!exchange_check_text(vhost, declare, "hash-header", error) ||
        !exchange_check_text(vhost, declare, "hash-property", error))
        return false;
    bool has_header = table_find_string(declare->arguments, "hash-header", &header);
    if (!table_find_string(declare->arguments, "hash-property", &property))
        return true;
    if (has_header)
        return error_set(error, REPLY_PRECONDITION_FAILED,
                         "hash-header and hash-property are mutually exclusive");
    return property_find(property, &subject) ||
           error_set(error, REPLY_PRECONDITION_FAILED, "Unsupported property: %.*s",
                     BYTES_ARG(property));
}

static void init(struct exchange *exchange)
{
    struct bytes arguments = exchange_arguments(exchange), property;
    struct shares *shares = mem_zalloc(sizeof(*shares));
    if (table_find_string(arguments, "hash-header", &shares->header))
        shares->subject = HEADER;
    else if (table_find_string(arguments, "hash-property", &property))
        property_find(property, &shares->subject);
    exchange->state = shares;
}

static void free_state(struct exchange *exchange)
{
    struct shares *shares = exchange->state;
    mem_free(shares->list);
    mem_free(shares);
}

/* ---- bindings ---- */

/* A number as Erlang reads it, with a sign or without; larger ones than WEIGHT_MAX are one more. */
static bool read_weight(struct bytes key, int *weight)
{
    bool has_sign = key.size && (key.data[0] == '-' || key.data[0] == '+');
    *weight = 0;
    for (size_t i = has_sign; i < key.size; i++) {
        if (key.data[i] < '0' || key.data[i] > '9')
            return false;
        if (*weight <= WEIGHT_MAX)
            *weight = *weight * 10 + key.data[i] - '0';
    }
    if (*weight > WEIGHT_MAX)
        *weight = WEIGHT_MAX + 1;
    if (has_sign && key.data[0] == '-')
        *weight = -*weight;
    return key.size > has_sign;
}

static bool check(const struct binding_request *request, struct error *error)
{
    int weight;
    if (!read_weight(request->key, &weight))
        return error_set(error, REPLY_PRECONDITION_FAILED,
                         request->key.size ? "The binding key must be an integer: <<\"%.*s\">>"
                                           : "The binding key must be an integer: <<%.*s>>",
                         BYTES_ARG(request->key));
    if (weight < 1)
        return error_set(error, REPLY_PRECONDITION_FAILED,
                         "The binding key must be greater than 0");
    return weight <= WEIGHT_MAX ||
           error_set(error, REPLY_PRECONDITION_FAILED,
                     "The binding key must not be greater than %d", WEIGHT_MAX);
}

static void bind_share(struct exchange *exchange, struct binding *binding)
{
    struct shares *shares = exchange->state;
    int weight = 1;
    read_weight(binding_key(binding), &weight);
    if (weight < 1 || planted(PLANTED_WEIGHT_IGNORED))
        weight = 1; /* a record that was not ours */
    if (shares->count == shares->capacity)
        shares->list =
            mem_grow(shares->list, &shares->capacity, shares->count + 1, sizeof(*shares->list));
    binding->kind_place = shares->count;
    shares->list[shares->count++] = (struct share){
        .hash = hash_bytes(binding_destination(binding), SEED + (binding->queue != NULL)),
        .inverse = 1.0 / weight,
        .binding = binding,
    };
}

/* The last one takes its place. */
static void unbind_share(struct exchange *exchange, struct binding *binding)
{
    struct shares *shares = exchange->state;
    size_t at = binding->kind_place;
    shares->list[at] = shares->list[--shares->count];
    shares->list[at].binding->kind_place = at;
}

/* ---- routing ---- */

static uint64_t hash_header(struct bytes name, struct bytes headers)
{
    struct field field;
    if (!table_find(headers, name, &field))
        return SEED;
    return hash_bytes(field.raw, SEED + (uint8_t)field.type);
}

static uint64_t hash_property(enum subject subject, struct bytes bytes)
{
    struct properties properties;
    properties_read_checked(bytes, &properties);
    if (subject == MESSAGE_ID && properties_have(&properties, PROPERTY_MESSAGE_ID))
        return hash_bytes(properties.message_id, SEED);
    if (subject == CORRELATION_ID && properties_have(&properties, PROPERTY_CORRELATION_ID))
        return hash_bytes(properties.correlation_id, SEED);
    if (subject == TIMESTAMP && properties_have(&properties, PROPERTY_TIMESTAMP))
        return hash_bytes(bytes_of(&properties.timestamp, sizeof(properties.timestamp)), SEED);
    return SEED;
}

/* What has not got what is hashed is all the same. */
static uint64_t hash_of(const struct shares *shares, const struct route *route)
{
    if (shares->subject == ROUTING_KEY)
        return hash_bytes(route->keys[0], SEED);
    if (shares->subject == HEADER)
        return hash_header(shares->header, route->headers);
    return hash_property(shares->subject, route->properties);
}

/* Both halves of a number spread over all of it (the finalizer of splitmix64). */
static uint64_t mix(uint64_t number)
{
    number = (number ^ number >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    number = (number ^ number >> 27) * UINT64_C(0x94d049bb133111eb);
    return number ^ number >> 31;
}

/* The score is -ln(u) / weight for a u drawn evenly between 0 and 1. As -ln(u) is at least 1 - u,
 * most are beaten before a logarithm is needed. */
static const struct share *find_lowest(const struct shares *shares, uint64_t hash)
{
    const struct share *best = NULL;
    double lowest = INFINITY;
    for (size_t i = 0; i < shares->count; i++) {
        const struct share *share = &shares->list[i];
        double u = ((double)(mix(share->hash ^ hash) >> 12) + 0.5) * 0x1p-52;
        if ((1 - u) * share->inverse >= lowest || binding_is_leaving(share->binding))
            continue;
        double score = -log(u) * share->inverse;
        if (score < lowest) {
            lowest = score;
            best = share;
        }
    }
    return best;
}

static void route(struct exchange *exchange, const struct route *route, struct queue_set *set)
{
    const struct shares *shares = exchange->state;
    const struct share *share = find_lowest(shares, hash_of(shares, route));
    set->varies |= shares->subject != ROUTING_KEY;
    set->work += shares->count / BINDINGS_STEP;
    if (share)
        queue_set_add_destination(set, share->binding);
}

const struct exchange_kind exchange_consistent_hash = {
    .name = "x-consistent-hash",
    .init = init,
    .free = free_state,
    .check_new = check_new,
    .check = check,
    .bind = bind_share,
    .unbind = unbind_share,
    .route = route,
};
