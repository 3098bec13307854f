/* A topic exchange matches words between dots: `*` stands for one word, `#` for any number of them
 * (AMQP 0-9-1, 3.1.3.3).
 *
 * The binding keys form a trie whose edges are words. A routing key is followed through it word by
 * word with the set of all nodes that the words so far lead to: from each of them to its child for
 * the word and to its child for `*`; a node of `#` also leads to itself, and whoever reaches a node
 * has reached its `#` child at once. A node enters a set at most once, so the work is bounded by
 * the nodes that match a beginning of the key, times its words, whatever the number of `#`; nodes
 * that do not match cost nothing. There is no recursion. `#.#` means the same as `#` and is one
 * node.
 *
 * Like RabbitMQ, an empty key has no words, and `a.` has two, the second one empty. */
#include "base/mem.h"
#include "broker/exchange.h"

struct topic_node {
    struct topic_node *parent;
    struct topic_node *star, *hash; /* children for `*` and `#` */
    struct map children;            /* for other words */
    struct list bindings;           /* that end here: kind_link */
    uint64_t step;                  /* the last one that reached it */
    bool is_hash;
    size_t word_size;
    char word[];
};

struct node_set {
    struct topic_node **nodes;
    size_t count, capacity;
};

struct topic {
    struct topic_node *root;
    uint64_t seed;
    uint64_t step; /* one for each word of each routing */
    uint64_t work;
    struct node_set now, next;
};

static struct topic_node *node_new(const struct topic *topic, struct topic_node *parent,
                                   struct bytes word)
{
    struct topic_node *node = mem_zalloc(sizeof(*node) + word.size);
    node->parent = parent;
    map_init(&node->children, topic->seed);
    list_init(&node->bindings);
    node->word_size = word.size;
    if (word.size)
        memcpy(node->word, word.data, word.size);
    return node;
}

static void init(struct exchange *exchange)
{
    struct topic *topic = mem_zalloc(sizeof(*topic));
    topic->seed = random_next(exchange->vhost->broker->random);
    topic->root = node_new(topic, NULL, bytes_of(NULL, 0));
    exchange->state = topic;
}

/* Nodes go with their last binding, so only the root is left by now. */
static void free_state(struct exchange *exchange)
{
    struct topic *topic = exchange->state;
    mem_free(topic->root);
    mem_free(topic->now.nodes);
    mem_free(topic->next.nodes);
    mem_free(topic);
}

static bool accept(const struct binding *binding, struct error *error)
{
    (void)binding;
    (void)error;
    return true;
}

/* Takes the next word of a key off; false at its end. *more starts as whether the key is not empty:
 * an empty one has no word, while the last word of one that is not may be empty. */
static bool word_next(struct bytes *key, bool *more, struct bytes *word)
{
    if (!*more)
        return false;
    const uint8_t *dot = key->size ? memchr(key->data, '.', key->size) : NULL;
    size_t size = dot ? (size_t)(dot - key->data) : key->size;
    *word = bytes_of(key->data, size);
    *more = dot;
    if (dot)
        *key = bytes_of(dot + 1, key->size - size - 1);
    return true;
}

/* ---- the trie ---- */

static struct topic_node *descend(const struct topic *topic, struct topic_node *node,
                                  struct bytes word)
{
    struct topic_node **special = NULL;
    if (word.size == 1 && word.data[0] == '*')
        special = &node->star;
    else if (word.size == 1 && word.data[0] == '#')
        special = &node->hash;
    if (special == &node->hash && node->is_hash)
        return node;
    struct topic_node *child = special ? *special : map_find(&node->children, word);
    if (child)
        return child;
    child = node_new(topic, node, word);
    if (special)
        *special = child;
    else
        map_add(&node->children, bytes_of(child->word, child->word_size), child);
    child->is_hash = special == &node->hash;
    return child;
}

static void bind_pattern(struct exchange *exchange, struct binding *binding)
{
    struct topic *topic = exchange->state;
    struct topic_node *node = topic->root;
    struct bytes key = bytes_of(binding->key, binding->key_size), word;
    for (bool more = key.size; word_next(&key, &more, &word);)
        node = descend(topic, node, word);
    list_push_back(&node->bindings, &binding->kind_link);
    binding->kind_data = node;
}

static bool is_needed(const struct topic_node *node)
{
    return !node->parent || !list_is_empty(&node->bindings) || node->children.count || node->star ||
           node->hash;
}

static void unbind_pattern(struct exchange *exchange, struct binding *binding)
{
    (void)exchange;
    struct topic_node *node = binding->kind_data;
    list_remove(&binding->kind_link);
    while (!is_needed(node)) {
        struct topic_node *parent = node->parent;
        if (parent->star == node)
            parent->star = NULL;
        else if (parent->hash == node)
            parent->hash = NULL;
        else
            map_remove(&parent->children, bytes_of(node->word, node->word_size));
        map_free(&node->children);
        mem_free(node);
        node = parent;
    }
}

/* ---- matching ---- */

/* Adds a node, and its `#` child, to the set of this step. */
static void reach(struct topic *topic, struct node_set *set, struct topic_node *node)
{
    for (; node && node->step != topic->step; node = node->hash) {
        node->step = topic->step;
        topic->work++;
        if (set->count == set->capacity) {
            set->capacity = set->capacity ? set->capacity * 2 : 8;
            set->nodes = mem_realloc(set->nodes, set->capacity * sizeof(struct topic_node *));
        }
        set->nodes[set->count++] = node;
    }
}

/* From the set for the words so far to that for one word more. */
static void follow(struct topic *topic, struct bytes word)
{
    struct node_set *next = &topic->next;
    next->count = 0;
    topic->step++;
    for (size_t i = 0; i < topic->now.count; i++) {
        struct topic_node *node = topic->now.nodes[i];
        if (node->is_hash)
            reach(topic, next, node);
        reach(topic, next, node->star);
        reach(topic, next, map_find(&node->children, word));
    }
    struct node_set swap = topic->now;
    topic->now = topic->next;
    topic->next = swap;
}

static void route(struct exchange *exchange, const struct route *route, struct queue_set *set)
{
    struct topic *topic = exchange->state;
    struct bytes key = route->routing_key, word;
    topic->now.count = 0;
    topic->work = 0;
    topic->step++;
    reach(topic, &topic->now, topic->root);
    for (bool more = key.size; word_next(&key, &more, &word);)
        follow(topic, word);
    for (size_t i = 0; i < topic->now.count; i++)
        list_for_each(link, &topic->now.nodes[i]->bindings)
            queue_set_add_destination(set, list_entry(link, struct binding, kind_link));
    set->work += topic->work;
}

const struct exchange_kind exchange_topic = {
    .name = "topic",
    .uses_key = true,
    .init = init,
    .free = free_state,
    .check = accept,
    .bind = bind_pattern,
    .unbind = unbind_pattern,
    .route = route,
};
