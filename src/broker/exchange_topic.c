/* A topic exchange matches words between dots: `*` stands for one word, `#` for any number of them
 * (AMQP 0-9-1, 3.1.3.3).
 *
 * The binding keys form a trie whose edges are words. A routing key is taken through it as a whole:
 * for each node there is a set of positions, how many words of the key may have been used when it
 * is reached. The child for `*` is reached one position later, from each; that for a word where the
 * key has this word; that for `#` at the first position of all and at every later one. A set is a
 * few words of bits, so that a node is looked at once, however many ways lead there and however
 * many `#`: the work is bounded by the nodes of the trie, and those that the key cannot reach cost
 * nothing. There is no recursion.
 *
 * What stands for the same is one node: of neighbours that are `#` and `*` the `*` come first, and
 * one
 * `#` is enough. The words of all binding keys are kept once, with the positions that they have in
 * the key at hand.
 *
 * Like RabbitMQ, an empty key has no words, and `a.` has two, the second one empty. */
#include "base/hash.h"
#include "base/mem.h"
#include "broker/route.h"

/* A key has up to 255 bytes, which may all be dots: up to 256 words, and one position more. */
enum { WORDS_MAX = 256, LIMBS = WORDS_MAX / 64 + 1 };

struct positions {
    uint64_t bits[LIMBS];
};

/* A word of binding keys. */
struct topic_word {
    uint64_t number;            /* of this word in its trie */
    uint32_t nodes;             /* that it leads to */
    uint64_t routing;           /* the last one whose key had it */
    struct positions positions; /* where that key had it */
    size_t size;
    char text[];
};

struct topic_node {
    struct topic_node *parent; /* NULL: the root */
    struct topic_word *word;   /* that leads here from the parent; NULL: the root, `*` or `#` */
    uint64_t number;           /* of this node in its trie */
    struct topic_node *star, *hash; /* children for `*` and `#` */
    struct list children;           /* for words, by sibling_link */
    struct list sibling_link;
    size_t children_count;
    struct list bindings; /* that end here: kind_link */
};

/* A node still to be looked at. */
struct visit {
    struct topic_node *node;
    struct positions positions;
};

struct topic {
    struct topic_node *root;
    struct map words; /* struct topic_word by text */
    struct set edges; /* struct topic_node by parent and word, but for `*` and `#` */
    uint64_t number;  /* of the last node or word that was made */
    uint64_t seed;    /* of edges */
    uint64_t routing; /* the number of the current one */
    struct visit *stack;
    size_t count, capacity;
};

/* A key on its way. */
struct walk {
    struct topic *topic;
    size_t limbs;                        /* of a set that are in use */
    uint32_t end;                        /* number of words */
    struct positions inner, all;         /* below the end; with it */
    struct topic_word *words[WORDS_MAX]; /* of the key; NULL: in no binding key */
};

static struct topic_node *node_new(struct topic *topic, struct topic_node *parent,
                                   struct topic_word *word)
{
    struct topic_node *node = mem_zalloc(sizeof(*node));
    node->parent = parent;
    node->word = word;
    node->number = ++topic->number;
    list_init(&node->children);
    list_init(&node->sibling_link);
    list_init(&node->bindings);
    return node;
}

static void init(struct exchange *exchange)
{
    struct random *random = exchange->vhost->broker->random;
    struct topic *topic = mem_zalloc(sizeof(*topic));
    map_init(&topic->words, random_next(random));
    set_init(&topic->edges);
    topic->seed = random_next(random);
    topic->root = node_new(topic, NULL, NULL);
    exchange->state = topic;
}

/* Nodes go with their last binding, so only the root is left by now. */
static void free_state(struct exchange *exchange)
{
    struct topic *topic = exchange->state;
    map_free(&topic->words);
    set_free(&topic->edges);
    mem_free(topic->root);
    mem_free(topic->stack);
    mem_free(topic);
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

static struct topic_word *word_of(struct topic *topic, struct bytes text)
{
    struct topic_word *word = map_find(&topic->words, text);
    if (word)
        return word;
    word = mem_zalloc(sizeof(*word) + text.size);
    word->number = ++topic->number;
    word->size = text.size;
    if (text.size)
        memcpy(word->text, text.data, text.size);
    map_add(&topic->words, bytes_of(word->text, word->size), word);
    return word;
}

static void word_drop(struct topic *topic, struct topic_word *word)
{
    if (!word || --word->nodes)
        return;
    map_remove(&topic->words, bytes_of(word->text, word->size));
    mem_free(word);
}

static uint64_t hash_edge(const struct topic *topic, const struct topic_node *parent,
                          const struct topic_word *word)
{
    const uint64_t edge[2] = {parent->number, word->number};
    return hash_bytes(bytes_of(edge, sizeof(edge)), topic->seed);
}

static bool is_edge(const void *value, const void *wanted)
{
    const struct topic_node *node = value, *other = wanted;
    return node->parent == other->parent && node->word == other->word;
}

static struct topic_node *child_of(const struct topic *topic, struct topic_node *parent,
                                   struct topic_word *word)
{
    struct topic_node wanted = {.parent = parent, .word = word};
    return set_find(&topic->edges, hash_edge(topic, parent, word), is_edge, &wanted);
}

static struct topic_node *to_special(struct topic *topic, struct topic_node *node,
                                     struct topic_node **child)
{
    if (!*child)
        *child = node_new(topic, node, NULL);
    return *child;
}

static struct topic_node *to_word(struct topic *topic, struct topic_node *node, struct bytes text)
{
    struct topic_word *word = word_of(topic, text);
    struct topic_node *child = child_of(topic, node, word);
    if (child)
        return child;
    child = node_new(topic, node, word);
    word->nodes++;
    list_push_back(&node->children, &child->sibling_link);
    node->children_count++;
    set_add(&topic->edges, hash_edge(topic, node, word), child);
    return child;
}

static void bind_pattern(struct exchange *exchange, struct binding *binding)
{
    struct topic *topic = exchange->state;
    struct topic_node *node = topic->root;
    struct bytes key = binding_key(binding), word;
    bool has_hash = false; /* since the last other word */
    for (bool more = key.size; word_next(&key, &more, &word);) {
        if (bytes_equal_str(word, "#")) {
            has_hash = true;
        } else if (bytes_equal_str(word, "*")) {
            node = to_special(topic, node, &node->star);
        } else {
            if (has_hash)
                node = to_special(topic, node, &node->hash);
            has_hash = false;
            node = to_word(topic, node, word);
        }
    }
    if (has_hash)
        node = to_special(topic, node, &node->hash);
    list_push_back(&node->bindings, &binding->kind_link);
    binding->kind_data = node;
}

static bool is_needed(const struct topic_node *node)
{
    return !node->parent || !list_is_empty(&node->bindings) || node->children_count || node->star ||
           node->hash;
}

static void unbind_pattern(struct exchange *exchange, struct binding *binding)
{
    struct topic *topic = exchange->state;
    struct topic_node *node = binding->kind_data;
    list_remove(&binding->kind_link);
    while (!is_needed(node)) {
        struct topic_node *parent = node->parent;
        if (parent->star == node) {
            parent->star = NULL;
        } else if (parent->hash == node) {
            parent->hash = NULL;
        } else {
            set_remove(&topic->edges, hash_edge(topic, parent, node->word), node);
            list_remove(&node->sibling_link);
            parent->children_count--;
            word_drop(topic, node->word);
        }
        mem_free(node);
        node = parent;
    }
}

/* ---- sets of positions ---- */

static inline bool has(const struct positions *set, uint32_t at)
{
    return set->bits[at / 64] >> (at % 64) & 1;
}

/* The lowest position of a set; `end` + 1 when it is empty. */
static uint32_t first_of(const struct walk *walk, const struct positions *set)
{
    for (size_t i = 0; i < walk->limbs; i++)
        if (set->bits[i])
            return (uint32_t)(i * 64) + (uint32_t)__builtin_ctzll(set->bits[i]);
    return walk->end + 1;
}

static unsigned count_of(const struct walk *walk, const struct positions *set)
{
    unsigned count = 0;
    for (size_t i = 0; i < walk->limbs; i++)
        count += (unsigned)__builtin_popcountll(set->bits[i]);
    return count;
}

/* One word later, for those positions that are also in `here`. Returns whether there are any. */
static bool step(const struct walk *walk, const struct positions *set, const struct positions *here,
                 struct positions *next)
{
    uint64_t carry = 0, any = 0;
    for (size_t i = 0; i < walk->limbs; i++) {
        uint64_t bits = set->bits[i] & here->bits[i];
        next->bits[i] = bits << 1 | carry;
        carry = bits >> 63;
        any |= next->bits[i];
    }
    return any;
}

/* The positions from `first` to the end. */
static void from_on(const struct walk *walk, uint32_t first, struct positions *set)
{
    for (size_t i = 0; i < walk->limbs; i++) {
        uint64_t bits = walk->all.bits[i];
        if (i < first / 64)
            bits = 0;
        else if (i == first / 64)
            bits &= UINT64_MAX << (first % 64);
        set->bits[i] = bits;
    }
}

/* ---- matching ---- */

static struct visit *push(struct walk *walk, struct topic_node *node)
{
    struct topic *topic = walk->topic;
    if (topic->count == topic->capacity)
        topic->stack =
            mem_grow(topic->stack, &topic->capacity, topic->count + 1, sizeof(*topic->stack));
    struct visit *visit = &topic->stack[topic->count++];
    visit->node = node;
    return visit;
}

static void reach(struct walk *walk, struct topic_node *node, const struct positions *from,
                  const struct positions *here)
{
    struct positions next;
    if (step(walk, from, here, &next))
        push(walk, node)->positions = next;
}

/* Goes through all children. */
static void reach_each(struct walk *walk, const struct visit *visit)
{
    list_for_each(link, &visit->node->children) {
        struct topic_node *child = list_entry(link, struct topic_node, sibling_link);
        const struct topic_word *word = child->word;
        if (word->routing == walk->topic->routing)
            reach(walk, child, &visit->positions, &word->positions);
    }
}

/* Looks for the child of each different word that comes next at one of the positions. */
static void reach_found(struct walk *walk, const struct visit *visit)
{
    struct positions left = visit->positions;
    for (uint32_t at; (at = first_of(walk, &left)) < walk->end;) {
        struct topic_word *word = walk->words[at];
        if (!word) {
            left.bits[at / 64] &= left.bits[at / 64] - 1;
            continue;
        }
        struct topic_node *child = child_of(walk->topic, visit->node, word);
        if (child)
            reach(walk, child, &visit->positions, &word->positions);
        for (size_t i = 0; i < walk->limbs; i++)
            left.bits[i] &= ~word->positions.bits[i];
    }
}

static void look(struct walk *walk, const struct visit *visit, struct queue_set *set)
{
    struct topic_node *node = visit->node;
    if (has(&visit->positions, walk->end))
        list_for_each(link, &node->bindings)
            queue_set_add_destination(set, list_entry(link, struct binding, kind_link));
    if (node->hash)
        from_on(walk, first_of(walk, &visit->positions), &push(walk, node->hash)->positions);
    if (node->star)
        reach(walk, node->star, &visit->positions, &walk->inner);
    if (!node->children_count)
        return;
    unsigned ways = count_of(walk, &visit->positions);
    set->work += ways < node->children_count ? ways : node->children_count;
    if (ways < node->children_count)
        reach_found(walk, visit);
    else
        reach_each(walk, visit);
}

/* Splits the key, and notes in the words of the trie where they stand in it. */
static void walk_init(struct walk *walk, struct topic *topic, struct bytes key)
{
    struct bytes text;
    walk->topic = topic;
    walk->end = 0;
    topic->routing++;
    for (bool more = key.size; word_next(&key, &more, &text);) {
        struct topic_word *word = map_find(&topic->words, text);
        uint32_t at = walk->end++;
        walk->words[at] = word;
        if (!word)
            continue;
        if (word->routing != topic->routing)
            word->positions = (struct positions){0};
        word->routing = topic->routing;
        word->positions.bits[at / 64] |= (uint64_t)1 << (at % 64);
    }
    walk->limbs = walk->end / 64 + 1;
    walk->all = walk->inner = (struct positions){0};
    for (uint32_t at = 0; at < walk->end; at++)
        walk->inner.bits[at / 64] |= (uint64_t)1 << (at % 64);
    walk->all = walk->inner;
    walk->all.bits[walk->end / 64] |= (uint64_t)1 << (walk->end % 64);
}

static void route(struct exchange *exchange, const struct route *route, struct queue_set *set)
{
    struct topic *topic = exchange->state;
    struct walk walk;
    walk_init(&walk, topic, route->routing_key);
    push(&walk, topic->root)->positions = (struct positions){{1}};
    while (topic->count) {
        struct visit visit = topic->stack[--topic->count];
        set->work++;
        look(&walk, &visit, set);
    }
}

const struct exchange_kind exchange_topic = {
    .name = "topic",
    .uses_key = true,
    .init = init,
    .free = free_state,
    .bind = bind_pattern,
    .unbind = unbind_pattern,
    .route = route,
};
