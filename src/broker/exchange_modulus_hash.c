/* A modulus hash exchange numbers its bindings by destination and sends a message to the one that
 * the hash of its routing keys, modulo their number, names. So the same keys go to the same queue
 * for as long as the bindings stay, also over a restart; when one comes or goes, most keys move.
 * Binding keys mean nothing. */
#include "base/hash.h"
#include "base/mem.h"
#include "broker/route.h"

/* Never another one: it decides where messages go. */
enum { SEED = 1 };

struct shards {
    struct binding **bindings; /* sorted */
    size_t count, capacity;
};

static void init(struct exchange *exchange)
{
    exchange->state = mem_zalloc(sizeof(struct shards));
}

static void free_state(struct exchange *exchange)
{
    struct shards *shards = exchange->state;
    mem_free(shards->bindings);
    mem_free(shards);
}

/* Exchanges before queues, as RabbitMQ does it; bindings of one destination by what they are. */
static int compare(const struct binding *a, const struct binding *b)
{
    int order = (a->queue != NULL) - (b->queue != NULL);
    if (!order)
        order = bytes_compare(binding_destination(a), binding_destination(b));
    if (!order)
        order = bytes_compare(binding_key(a), binding_key(b));
    return order ? order : bytes_compare(binding_arguments(a), binding_arguments(b));
}

/* The first place whose binding is not before this one. */
static size_t place_of(const struct shards *shards, const struct binding *binding)
{
    size_t low = 0, high = shards->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(shards->bindings[middle], binding) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void move(struct shards *shards, size_t from, size_t to)
{
    memmove(&shards->bindings[to], &shards->bindings[from],
            (shards->count - from) * sizeof(*shards->bindings));
}

static void bind_shard(struct exchange *exchange, struct binding *binding)
{
    struct shards *shards = exchange->state;
    if (shards->count == shards->capacity)
        shards->bindings = mem_grow(shards->bindings, &shards->capacity, shards->count + 1,
                                    sizeof(*shards->bindings));
    size_t at = place_of(shards, binding);
    move(shards, at, at + 1);
    shards->bindings[at] = binding;
    shards->count++;
}

static void unbind_shard(struct exchange *exchange, struct binding *binding)
{
    struct shards *shards = exchange->state;
    size_t at = place_of(shards, binding);
    move(shards, at + 1, at);
    shards->count--;
}

static void route(struct exchange *exchange, const struct route *route, struct queue_set *set)
{
    const struct shards *shards = exchange->state;
    if (!shards->count)
        return;
    uint64_t hash = SEED;
    for (size_t i = 0; i < route->count; i++)
        hash = hash_bytes(route->keys[i], hash);
    queue_set_add_one(set, shards->bindings, shards->count, hash % shards->count);
}

const struct exchange_kind exchange_modulus_hash = {
    .name = "x-modulus-hash",
    .init = init,
    .free = free_state,
    .bind = bind_shard,
    .unbind = unbind_shard,
    .route = route,
};
