/* From arguments and policies to settings, by the kinds of queue_settings.def. A value of another
 * type than its kind's sets nothing: what a client may ask for is checked when a queue is declared,
 * and a queue that was declared long ago stays as it is. */
#include "queue/queue_settings.h"

#include <assert.h>

#include "base/mem.h"

/* No message can have a longer one. */
enum { KEY_MAX = 255 };

static const struct queue_settings nothing = {
    .expires_ms = SETTING_NONE,
    .message_ttl_ms = SETTING_NONE,
    .max_length = SETTING_NONE,
    .max_length_bytes = SETTING_NONE,
    .max_priority = SETTING_NONE,
    .delivery_limit = SETTING_NONE,
    .retry_min_ms = SETTING_NONE,
    .retry_max_ms = SETTING_NONE,
    .consumer_timeout_ms = SETTING_NONE,
    .cache_size = SETTING_NONE,
};

/* ---- kinds ---- */

typedef bool read_function(void *setting, const struct field *field);

static bool read_NUMBER(void *setting, const struct field *field)
{
    if (!field_is_integer(field) || field->value.integer < 0)
        return false;
    *(uint64_t *)setting = (uint64_t)field->value.integer;
    return true;
}

/* A negative number is no limit. */
static bool read_LIMIT(void *setting, const struct field *field)
{
    int64_t limit = field->value.integer;
    if (!field_is_integer(field))
        return false;
    *(uint64_t *)setting = limit < 0 ? SETTING_NONE : (uint64_t)limit;
    return true;
}

static bool read_FLAG(void *setting, const struct field *field)
{
    if (field->type != 't')
        return false;
    *(bool *)setting = field->value.boolean;
    return true;
}

/* An argument says whether, a policy in which way: all ways are one here. */
static bool read_MIRRORS(void *setting, const struct field *field)
{
    if (field->type != 'S')
        return read_FLAG(setting, field);
    *(bool *)setting = true;
    return true;
}

/* A classic queue is one that says nothing. */
static bool read_TYPE(void *setting, const struct field *field)
{
    struct bytes type = field->value.bytes;
    bool is_quorum = field->type == 'S' && (bytes_equal_str(type, "quorum") ||
                                            bytes_equal_str(type, "rabbit_quorum_queue"));
    *(bool *)setting = is_quorum;
    return is_quorum;
}

static bool copy(const char **setting, const struct field *field, size_t size_max)
{
    struct bytes text = field->value.bytes;
    if (field->type != 'S')
        return false;
    if (text.size > size_max)
        text.size = size_max;
    char *terminated = mem_zalloc(text.size + 1);
    if (text.size)
        memcpy(terminated, text.data, text.size);
    *setting = terminated;
    return true;
}

static bool read_TEXT(void *setting, const struct field *field)
{
    return copy(setting, field, SIZE_MAX);
}

static bool read_KEY(void *setting, const struct field *field)
{
    return copy(setting, field, KEY_MAX);
}

/* The place of a field's word in a list. False: it is none of these. */
static bool find_word(const struct field *field, const char *const *words, size_t count,
                      size_t *word)
{
    *word = 0;
    while (*word < count &&
           !(field->type == 'S' && bytes_equal_str(field->value.bytes, words[*word])))
        ++*word;
    return *word < count;
}

/* A kind whose values are the words of an enumeration. */
#define WORDS(kind, type, ...)                                                                     \
    static bool read_##kind(void *setting, const struct field *field)                              \
    {                                                                                              \
        static const char *const words[] = {__VA_ARGS__};                                          \
        size_t word;                                                                               \
        if (!find_word(field, words, sizeof(words) / sizeof(words[0]), &word))                     \
            return false;                                                                          \
        *(type *)setting = (type)word;                                                             \
        return true;                                                                               \
    }

WORDS(OVERFLOW, enum overflow, [OVERFLOW_DROP_HEAD] = "drop-head",
      [OVERFLOW_REJECT] = "reject-publish", [OVERFLOW_REJECT_DLX] = "reject-publish-dlx")
WORDS(STRATEGY, enum dead_letter_strategy, [STRATEGY_AT_MOST_ONCE] = "at-most-once",
      [STRATEGY_AT_LEAST_ONCE] = "at-least-once")
WORDS(RETRY, enum retry_type, [RETRY_DISABLED] = "disabled", [RETRY_ALL] = "all",
      [RETRY_FAILED] = "failed", [RETRY_RETURNED] = "returned")
WORDS(BACKOFF, enum backoff, [BACKOFF_LINEAR] = "linear", [BACKOFF_EXPONENTIAL] = "exponential")
WORDS(ACTION, enum timeout_action, [TIMEOUT_CLOSE] = "close", [TIMEOUT_RETURN] = "return")

#undef WORDS

/* ---- rows ---- */

static const struct row {
    const char *argument;
    const char *policy; /* its name in a policy; NULL: it has none */
    read_function *read;
    size_t offset;
} rows[] = {
#define SETTING(argument, check, types, done, kind, field, policy)                                 \
    {argument, policy, read_##kind, offsetof(struct queue_settings, field)},
#define ARGUMENT(argument, check, types, done)
#include "queue/queue_settings.def"
#undef SETTING
#undef ARGUMENT
};

/* ---- of several values, the one that counts ---- */

static const struct field *find(struct bytes table, const char *name, struct field *room)
{
    return table.size && name && table_find(table, bytes_str(name), room) ? room : NULL;
}

/* A number below zero is no limit, and more than any. */
static const struct field *lower(const struct field *a, const struct field *b)
{
    return (uint64_t)a->value.integer <= (uint64_t)b->value.integer ? a : b;
}

static bool are_numbers(const struct field *a, const struct field *b)
{
    return field_is_integer(a) && field_is_integer(b);
}

const struct field *settings_merge(const struct field *policy, const struct field *operators)
{
    if (!policy || !operators)
        return policy ? policy : operators;
    return are_numbers(policy, operators) ? lower(policy, operators) : operators;
}

static bool is_quorum(struct bytes arguments)
{
    struct field type;
    bool is_so = false;
    return find(arguments, "x-queue-type", &type) && read_TYPE(&is_so, &type);
}

/* The lower of two numbers; else the argument counts before the policy, but for what a quorum queue
 * does when it is full. */
static const struct field *resolve(const struct row *row, struct bytes arguments,
                                   const struct field *argument, const struct field *policy)
{
    if (!argument || !policy)
        return argument ? argument : policy;
    if (are_numbers(argument, policy))
        return lower(argument, policy);
    return row->read == read_OVERFLOW && is_quorum(arguments) ? policy : argument;
}

static bool set(struct queue_settings *settings, const struct row *row,
                const struct queue_sources *from)
{
    struct field room[3];
    const struct field *policy = settings_merge(find(from->policy, row->policy, &room[0]),
                                                find(from->operators, row->policy, &room[1]));
    const struct field *argument = find(from->arguments, row->argument, &room[2]);
    const struct field *value = resolve(row, from->arguments, argument, policy);
    return value && row->read((uint8_t *)settings + row->offset, value);
}

/* False: nothing is set. */
static bool make(struct queue_settings *settings, const struct queue_sources *from)
{
    bool any = false;
    *settings = nothing;
    if (is_quorum(from->arguments))
        settings->delivery_limit = QUORUM_DELIVERY_LIMIT;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        any |= set(settings, &rows[i], from);
    return any;
}

bool queue_sources_mirror(const struct queue_sources *from)
{
    struct queue_settings settings = nothing;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].read == read_MIRRORS)
            set(&settings, &rows[i], from);
    return settings.is_mirrored;
}

/* ---- shared by queues ---- */

struct shared {
    struct queue_settings settings; /* first: a pointer to it is one to this */
    size_t queues;
    size_t key_size;
    uint8_t key[];
};

void settings_pool_init(struct settings_pool *pool, uint64_t seed)
{
    *pool = (struct settings_pool){0};
    map_init(&pool->shared, seed);
}

void settings_pool_free(struct settings_pool *pool)
{
    assert(map_count(&pool->shared) == 0);
    map_free(&pool->shared);
    buffer_free(&pool->key);
}

static struct bytes key_of(struct settings_pool *pool, const struct queue_sources *from)
{
    pool->key.size = 0;
    buffer_add_u64(&pool->key, from->policy_number);
    buffer_add_u64(&pool->key, from->operators_number);
    buffer_add(&pool->key, from->arguments.data, from->arguments.size);
    return buffer_bytes(&pool->key);
}

static void free_text(const char *text)
{
    mem_free((void *)(uintptr_t)text);
}

static struct shared *shared_new(struct bytes key, const struct queue_settings *settings)
{
    struct shared *shared = mem_alloc(sizeof(*shared) + key.size);
    *shared = (struct shared){.settings = *settings, .key_size = key.size};
    memcpy(shared->key, key.data, key.size);
    return shared;
}

const struct queue_settings *queue_settings_take(struct settings_pool *pool,
                                                 const struct queue_sources *from)
{
    struct queue_settings settings;
    if (from->arguments.size == 0 && !from->policy_number && !from->operators_number)
        return &nothing;
    struct bytes key = key_of(pool, from);
    struct shared *shared = map_find(&pool->shared, key);
    if (!shared && !make(&settings, from))
        return &nothing;
    if (!shared) {
        shared = shared_new(key, &settings);
        map_add(&pool->shared, bytes_of(shared->key, key.size), shared);
    }
    shared->queues++;
    return &shared->settings;
}

void queue_settings_give_back(struct settings_pool *pool, const struct queue_settings *settings)
{
    if (settings == &nothing)
        return;
    struct shared *shared = (struct shared *)(uintptr_t)settings;
    if (--shared->queues)
        return;
    map_remove(&pool->shared, bytes_of(shared->key, shared->key_size));
    free_text(settings->dead_letter_exchange);
    free_text(settings->dead_letter_routing_key);
    free_text(settings->deduplication_header);
    mem_free(shared);
}
