/* A direct exchange finds the list of bindings that have the message's routing key. */
#include "base/mem.h"
#include "broker/route.h"

struct direct_key {
    struct list bindings; /* kind_link */
    size_t size;
    char bytes[];
};

static void init(struct exchange *exchange)
{
    struct map *keys = mem_alloc(sizeof(*keys));
    map_init(keys, random_next(exchange->vhost->broker->random));
    exchange->state = keys;
}

static void free_state(struct exchange *exchange)
{
    struct map *keys = exchange->state;
    uint64_t at = 0;
    for (void *key; (key = map_next(keys, &at));)
        mem_free(key);
    map_free(keys);
    mem_free(keys);
}

static struct direct_key *key_new(struct map *keys, const struct binding *binding)
{
    struct direct_key *key = mem_alloc(sizeof(*key) + binding->key_size);
    list_init(&key->bindings);
    key->size = binding->key_size;
    memcpy(key->bytes, binding->key, binding->key_size);
    map_add(keys, bytes_of(key->bytes, key->size), key);
    return key;
}

static void bind_key(struct exchange *exchange, struct binding *binding)
{
    struct direct_key *key = map_find(exchange->state, binding_key(binding));
    if (!key)
        key = key_new(exchange->state, binding);
    list_push_back(&key->bindings, &binding->kind_link);
    binding->kind_data = key;
}

static void unbind_key(struct exchange *exchange, struct binding *binding)
{
    struct direct_key *key = binding->kind_data;
    list_remove(&binding->kind_link);
    if (!list_is_empty(&key->bindings))
        return;
    map_remove(exchange->state, bytes_of(key->bytes, key->size));
    mem_free(key);
}

static void route_key(struct exchange *exchange, const struct route *route, struct queue_set *set)
{
    struct direct_key *key = map_find(exchange->state, route->routing_key);
    if (!key)
        return;
    list_for_each(link, &key->bindings)
        queue_set_add_destination(set, list_entry(link, struct binding, kind_link));
}

const struct exchange_kind exchange_direct = {
    .name = "direct",
    .uses_key = true,
    .init = init,
    .free = free_state,
    .bind = bind_key,
    .unbind = unbind_key,
    .route = route_key,
};
