/* From arguments to settings, by the kinds of queue_settings.def. A value of another type than its kind's
 * sets nothing: what a client may ask for is checked when a queue is declared, and a queue that was
 * declared long ago stays as it is. */
#include "queue/queue_settings.h"

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

/* A classic queue is one that says nothing. */
static bool read_TYPE(void *setting, const struct field *field)
{
    bool is_quorum = field->type == 'S' && (bytes_equal_str(field->value.bytes, "quorum") ||
                                            bytes_equal_str(field->value.bytes, "rabbit_quorum_queue"));
    if (is_quorum)
        *(bool *)setting = true;
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

/* The place of a field's word in a list; `count`: it is none of these. */
static size_t word_of(const struct field *field, const char *const *words, size_t count)
{
    size_t i = 0;
    while (i < count && !(field->type == 'S' && bytes_equal_str(field->value.bytes, words[i])))
        i++;
    return i;
}

static bool read_OVERFLOW(void *setting, const struct field *field)
{
    static const char *const words[] = {
        [OVERFLOW_DROP_HEAD] = "drop-head",
        [OVERFLOW_REJECT] = "reject-publish",
        [OVERFLOW_REJECT_DLX] = "reject-publish-dlx",
    };
    size_t word = word_of(field, words, OVERFLOW_REJECT_DLX + 1);
    if (word <= OVERFLOW_REJECT_DLX)
        *(enum overflow *)setting = (enum overflow)word;
    return word <= OVERFLOW_REJECT_DLX;
}

static bool read_STRATEGY(void *setting, const struct field *field)
{
    static const char *const words[] = {
        [STRATEGY_AT_MOST_ONCE] = "at-most-once",
        [STRATEGY_AT_LEAST_ONCE] = "at-least-once",
    };
    size_t word = word_of(field, words, STRATEGY_AT_LEAST_ONCE + 1);
    if (word <= STRATEGY_AT_LEAST_ONCE)
        *(enum dead_letter_strategy *)setting = (enum dead_letter_strategy)word;
    return word <= STRATEGY_AT_LEAST_ONCE;
}

static bool read_RETRY(void *setting, const struct field *field)
{
    static const char *const words[] = {
        [RETRY_DISABLED] = "disabled",
        [RETRY_ALL] = "all",
        [RETRY_FAILED] = "failed",
        [RETRY_RETURNED] = "returned",
    };
    size_t word = word_of(field, words, RETRY_RETURNED + 1);
    if (word <= RETRY_RETURNED)
        *(enum retry_type *)setting = (enum retry_type)word;
    return word <= RETRY_RETURNED;
}

static bool read_BACKOFF(void *setting, const struct field *field)
{
    static const char *const words[] = {
        [BACKOFF_LINEAR] = "linear",
        [BACKOFF_EXPONENTIAL] = "exponential",
    };
    size_t word = word_of(field, words, BACKOFF_EXPONENTIAL + 1);
    if (word <= BACKOFF_EXPONENTIAL)
        *(enum backoff *)setting = (enum backoff)word;
    return word <= BACKOFF_EXPONENTIAL;
}

static bool read_ACTION(void *setting, const struct field *field)
{
    static const char *const words[] = {
        [TIMEOUT_CLOSE] = "close",
        [TIMEOUT_RETURN] = "return",
    };
    size_t word = word_of(field, words, TIMEOUT_RETURN + 1);
    if (word <= TIMEOUT_RETURN)
        *(enum timeout_action *)setting = (enum timeout_action)word;
    return word <= TIMEOUT_RETURN;
}

/* ---- rows ---- */

static const struct row {
    const char *argument;
    read_function *read;
    size_t offset;
} rows[] = {
#define SETTING(argument, check, types, done, kind, field, policy) \
    {argument, read_##kind, offsetof(struct queue_settings, field)},
#define ARGUMENT(argument, check, types, done)
#include "queue/queue_settings.def"
#undef SETTING
#undef ARGUMENT
};

static bool is_quorum(struct bytes arguments)
{
    struct bytes type;
    return arguments.size && table_find_string(arguments, "x-queue-type", &type) &&
           (bytes_equal_str(type, "quorum") || bytes_equal_str(type, "rabbit_quorum_queue"));
}

const struct queue_settings *queue_settings_new(struct bytes arguments)
{
    struct queue_settings settings = nothing;
    struct field field;
    bool any = is_quorum(arguments);
    if (any)
        settings.delivery_limit = QUORUM_DELIVERY_LIMIT;
    for (size_t i = 0; arguments.size && i < sizeof(rows) / sizeof(rows[0]); i++)
        if (table_find(arguments, bytes_str(rows[i].argument), &field))
            any |= rows[i].read((uint8_t *)&settings + rows[i].offset, &field);
    return any ? mem_dup(&settings, sizeof(settings)) : &nothing;
}

/* A number below zero is no limit, and more than any. */
static const struct field *lower(const struct field *a, const struct field *b)
{
    return (uint64_t)a->value.integer <= (uint64_t)b->value.integer ? a : b;
}

const struct field *settings_merge(const struct field *policy, const struct field *operators)
{
    if (!policy || !operators)
        return policy ? policy : operators;
    bool are_numbers = field_is_integer(policy) && field_is_integer(operators);
    return are_numbers ? lower(policy, operators) : operators;
}

static void free_text(const char *text)
{
    mem_free((void *)(uintptr_t)text);
}

void queue_settings_free(const struct queue_settings *settings)
{
    if (settings == &nothing)
        return;
    free_text(settings->dead_letter_exchange);
    free_text(settings->dead_letter_routing_key);
    free_text(settings->deduplication_header);
    mem_free((void *)(uintptr_t)settings);
}
