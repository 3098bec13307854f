/* Arguments of queues that have a meaning: which type of queue has them, what values they may take,
 * and how a second declaration is compared with the first. What is not in
 * queue/queue_settings.def is kept and never looked at, as in RabbitMQ. Reasons are written as
 * RabbitMQ writes them, which is as Erlang prints its terms. What a queue is declared with and is
 * not done is said in the log. */
#include "broker/queue_arguments.h"

#include <stdio.h>

#include "amqp/reply.h"
#include "amqp/table.h"
#include "broker/equivalence.h"
#include "broker/name.h"
#include "queue/queue_settings.h"

enum { REASON_MAX = 320 };

/* True, or a reason. */
typedef bool check_function(const struct field *field, struct bytes arguments, char *reason);

static bool refuse_type(const struct field *field, char *reason)
{
    snprintf(reason, REASON_MAX, "{unacceptable_type,%s}", field_type_name(field->type));
    return false;
}

static bool refuse_number(const struct field *field, const char *why, char *reason)
{
    snprintf(reason, REASON_MAX, "{%s,%lld}", why, (long long)field->value.integer);
    return false;
}

static bool refuse_text(const char *what, struct bytes value, char *reason)
{
    snprintf(reason, REASON_MAX, "\"unsupported queue %s '%.*s'\"", what, BYTES_ARG(value));
    return false;
}

static bool check_integer(const struct field *field, struct bytes arguments, char *reason)
{
    (void)arguments;
    if (field_is_integer(field))
        return true;
    snprintf(reason, REASON_MAX, "\"expected integer, got %s\"", field_type_name(field->type));
    return false;
}

static bool check_not_negative(const struct field *field, struct bytes arguments, char *reason)
{
    if (!check_integer(field, arguments, reason))
        return false;
    return field->value.integer >= 0 || refuse_number(field, "value_negative", reason);
}

static bool check_positive(const struct field *field, struct bytes arguments, char *reason)
{
    if (!check_not_negative(field, arguments, reason))
        return false;
    return field->value.integer != 0 || refuse_number(field, "value_zero", reason);
}

static bool check_time(const struct field *field, struct bytes arguments, char *reason)
{
    if (!check_not_negative(field, arguments, reason))
        return false;
    return field->value.integer <= QUEUE_TIME_MAX_MS ||
           refuse_number(field, "value_too_large", reason);
}

static bool check_expires(const struct field *field, struct bytes arguments, char *reason)
{
    if (!check_integer(field, arguments, reason))
        return false;
    if (field->value.integer == 0)
        return refuse_number(field, "value_zero", reason);
    return check_time(field, arguments, reason);
}

static bool check_priority(const struct field *field, struct bytes arguments, char *reason)
{
    if (!check_not_negative(field, arguments, reason))
        return false;
    return field->value.integer <= 255 || refuse_number(field, "max_value_exceeded", reason);
}

static bool check_version(const struct field *field, struct bytes arguments, char *reason)
{
    if (!check_not_negative(field, arguments, reason))
        return false;
    if (field->value.integer == 1 || field->value.integer == 2)
        return true;
    snprintf(reason, REASON_MAX, "\"unsupported queue version '%lld'\"",
             (long long)field->value.integer);
    return false;
}

static bool check_bool(const struct field *field, struct bytes arguments, char *reason)
{
    (void)arguments;
    return field->type == 't' || refuse_type(field, reason);
}

static bool check_string(const struct field *field, struct bytes arguments, char *reason)
{
    (void)arguments;
    return field->type == 'S' || refuse_type(field, reason);
}

static bool check_dead_letter_key(const struct field *field, struct bytes arguments, char *reason)
{
    struct field exchange;
    if (!check_string(field, arguments, reason))
        return false;
    if (table_find(arguments, bytes_str("x-dead-letter-exchange"), &exchange))
        return true;
    snprintf(reason, REASON_MAX, "routing_key_but_no_dlx_defined");
    return false;
}

/* Is the value one of the words of a list that ends with NULL? Else the reason is `otherwise`. */
static bool check_word(const struct field *field, const char *const *words, const char *otherwise,
                       char *reason)
{
    if (field->type != 'S')
        return refuse_type(field, reason);
    for (; *words; words++)
        if (bytes_equal_str(field->value.bytes, *words))
            return true;
    snprintf(reason, REASON_MAX, "%s", otherwise);
    return false;
}

static bool check_strategy(const struct field *field, struct bytes arguments, char *reason)
{
    static const char *const words[] = {"at-most-once", "at-least-once", NULL};
    (void)arguments;
    return check_word(field, words, "invalid_dlx_strategy", reason);
}

static bool check_overflow(const struct field *field, struct bytes arguments, char *reason)
{
    static const char *const words[] = {"drop-head", "reject-publish", "reject-publish-dlx", NULL};
    (void)arguments;
    return check_word(field, words, "invalid_overflow", reason);
}

static bool check_action(const struct field *field, struct bytes arguments, char *reason)
{
    static const char *const words[] = {"close", "return", NULL};
    (void)arguments;
    return check_word(field, words, "invalid_consumer_timeout_action", reason);
}

static bool check_persistence(const struct field *field, struct bytes arguments, char *reason)
{
    static const char *const words[] = {"disk", "memory", NULL};
    (void)arguments;
    return check_word(field, words, "invalid_cache_persistence", reason);
}

static bool check_retry_type(const struct field *field, struct bytes arguments, char *reason)
{
    static const char *const words[] = {"disabled", "all", "failed", "returned", NULL};
    (void)arguments;
    return check_word(field, words, "invalid_delayed_retry_type", reason);
}

static bool check_backoff(const struct field *field, struct bytes arguments, char *reason)
{
    static const char *const words[] = {"linear", "exponential", NULL};
    (void)arguments;
    return check_word(field, words, "invalid_retry_backoff", reason);
}

static bool check_locator(const struct field *field, struct bytes arguments, char *reason)
{
    static const char *const words[] = {"client-local", "balanced", "random", "least-leaders",
                                        NULL};
    (void)arguments;
    return check_word(field, words, "invalid_queue_locator_arg", reason);
}

static bool check_mode(const struct field *field, struct bytes arguments, char *reason)
{
    static const char *const words[] = {"default", "lazy", NULL};
    (void)arguments;
    if (check_word(field, words, "", reason))
        return true;
    return field->type == 'S' ? refuse_text("mode", field->value.bytes, reason) : false;
}

bool queue_argument_is_age(struct bytes text)
{
    size_t digits = 0, zeros = 0;
    while (digits < text.size && text.data[digits] >= '0' && text.data[digits] <= '9')
        zeros += text.data[digits++] == '0';
    return digits > zeros && text.size == digits + 1 && memchr("YMDhms", text.data[digits], 6);
}

static bool check_age(const struct field *field, struct bytes arguments, char *reason)
{
    if (!check_string(field, arguments, reason))
        return false;
    if (queue_argument_is_age(field->value.bytes))
        return true;
    snprintf(reason, REASON_MAX, "invalid_max_age");
    return false;
}

static const struct queue_type {
    const char *name, *module;
    unsigned bit;
} queue_types[] = {
    {"classic", "rabbit_classic_queue", CLASSIC},
    {"quorum", "rabbit_quorum_queue", QUORUM},
    {"stream", "rabbit_stream_queue", STREAM},
};

static const struct queue_type *type_find(struct bytes name)
{
    for (size_t i = 0; i < sizeof(queue_types) / sizeof(queue_types[0]); i++)
        if (bytes_equal_str(name, queue_types[i].name) ||
            bytes_equal_str(name, queue_types[i].module))
            return &queue_types[i];
    return NULL;
}

static bool check_type(const struct field *field, struct bytes arguments, char *reason)
{
    if (!check_string(field, arguments, reason))
        return false;
    return type_find(field->value.bytes) || refuse_text("type", field->value.bytes, reason);
}

/* Classic when there is none; the value has been checked before. */
static const struct queue_type *type_of(struct bytes arguments)
{
    struct bytes name;
    const struct queue_type *type = NULL;
    if (table_find_string(arguments, "x-queue-type", &name))
        type = type_find(name);
    return type ? type : &queue_types[0];
}

unsigned queue_arguments_type(struct bytes arguments)
{
    return type_of(arguments)->bit;
}

bool queue_arguments_is_default_type(struct bytes name)
{
    const struct queue_type *type = type_find(name);
    return type && type->bit != STREAM;
}

/* Classic when nobody says. */
static const struct queue_type *default_type(const struct vhost *vhost)
{
    const char *of_node = vhost->broker->options.queue_type;
    const struct queue_type *type = type_find(bytes_str(vhost->queue_type));
    if (!type && of_node)
        type = type_find(bytes_str(of_node));
    return type ? type : &queue_types[0];
}

struct bytes queue_arguments_with_type(const struct vhost *vhost, const struct queue *queue,
                                       const struct queue_declare *declare, struct changes *changes)
{
    struct field field;
    struct table_writer writer;
    struct buffer with_type = {0};
    const struct queue_type *type = default_type(vhost);
    bool fits =
        declare->durable && !declare->exclusive && !declare->auto_delete && !declare->generated;
    if (type->bit == CLASSIC || !fits ||
        table_find(declare->arguments, bytes_str("x-queue-type"), &field) ||
        (queue && type_of(bytes_of(queue->arguments, queue->arguments_size)) != type))
        return declare->arguments;
    buffer_add(&with_type, declare->arguments.data, declare->arguments.size);
    table_writer_init(&writer, &with_type);
    table_add_string(&writer, bytes_str("x-queue-type"), bytes_str(type->name));
    struct bytes kept = changes_keep(changes, buffer_bytes(&with_type));
    buffer_free(&with_type);
    return kept;
}

const char *queue_arguments_module(const struct queue *queue)
{
    return type_of(bytes_of(queue->arguments, queue->arguments_size))->module;
}

enum done { IGNORED, DONE };

/* In the order in which they are checked and compared. */
static const struct known {
    const char *name;
    check_function *check; /* NULL: anything goes */
    unsigned types;        /* of queues that have it */
    enum done done;
} known[] = {
#define SETTING(argument, check, types, done, kind, field, policy) {argument, check, types, done},
#define ARGUMENT(argument, check, types, done) {argument, check, types, done},
#include "queue/queue_settings.def"
#undef SETTING
#undef ARGUMENT
};

enum { KNOWN_COUNT = sizeof(known) / sizeof(known[0]) };

static bool check_value(const struct known *argument, const char *resource, struct bytes arguments,
                        struct error *error)
{
    struct field field;
    char reason[REASON_MAX];
    if (!argument->check || !table_find(arguments, bytes_str(argument->name), &field) ||
        argument->check(&field, arguments, reason))
        return true;
    return error_set(error, REPLY_PRECONDITION_FAILED, "invalid arg '%s' for %s: %s",
                     argument->name, resource, reason);
}

static bool check_values(const struct queue_type *type, const char *resource,
                         struct bytes arguments, struct error *error)
{
    for (size_t i = 0; i < KNOWN_COUNT; i++)
        if (known[i].types & type->bit && !check_value(&known[i], resource, arguments, error))
            return false;
    return true;
}

/* What another type of queue knows is refused, lest it be thought to work. */
static bool check_names(const struct queue_type *type, const char *resource, struct bytes arguments,
                        struct error *error)
{
    struct field field;
    for (struct reader walk = reader_of(arguments); table_next(&walk, &field);)
        for (size_t i = 0; i < KNOWN_COUNT; i++)
            if (!(known[i].types & type->bit) && bytes_equal_str(field.name, known[i].name))
                return error_set(error, REPLY_PRECONDITION_FAILED,
                                 "invalid arg '%s' for %s of queue type %s", known[i].name,
                                 resource, type->module);
    return true;
}

/* Replicated types are durable and shared. */
static bool check_properties(const struct queue_type *type, const char *resource,
                             const struct queue_declare *declare, struct error *error)
{
    const char *wrong = NULL;
    if (type->bit == CLASSIC)
        return true;
    if (declare->generated)
        return error_set(error, REPLY_PRECONDITION_FAILED,
                         "Cannot declare a server-named queue for type %s", type->module);
    if (declare->auto_delete)
        wrong = "auto-delete";
    else if (declare->exclusive)
        wrong = "exclusive-owner";
    else if (!declare->durable)
        wrong = "non-durable";
    return !wrong || error_set(error, REPLY_PRECONDITION_FAILED, "invalid property '%s' for %s",
                               wrong, resource);
}

/* What no queue here can be, rather than another queue in its place. */
static bool check_built(const struct queue_type *type, const char *resource, struct error *error)
{
    return type->bit != STREAM ||
           error_set(error, REPLY_NOT_IMPLEMENTED,
                     "cannot declare %s. Streams are not supported, only classic and quorum queues",
                     resource);
}

bool queue_arguments_check(const struct vhost *vhost, struct bytes name,
                           const struct queue_declare *declare, struct error *error)
{
    static const struct known queue_type = {"x-queue-type", check_type, 0, DONE};
    struct bytes arguments = declare->arguments;
    struct field field;
    char resource[RESOURCE_MAX];
    resource_text(resource, "queue", name, vhost);
    if (table_find(arguments, bytes_str("x-dead-letter-exchange"), &field) && field.type != 'S')
        return error_set(error, REPLY_PRECONDITION_FAILED,
                         "invalid type '%s' for arg 'x-dead-letter-exchange' in %s",
                         field_type_name(field.type), resource);
    if (!check_value(&queue_type, resource, arguments, error))
        return false;
    const struct queue_type *type = type_of(arguments);
    return check_values(type, resource, arguments, error) &&
           check_names(type, resource, arguments, error) &&
           check_properties(type, resource, declare, error) && check_built(type, resource, error);
}

/* ---- equivalence ---- */

bool queue_arguments_equivalent(const struct queue *queue, struct bytes arguments,
                                struct error *error)
{
    struct bytes current = bytes_of(queue->arguments, queue->arguments_size);
    const struct queue_type *type = type_of(current);
    char resource[RESOURCE_MAX];
    resource_text(resource, "queue", queue_name(queue), queue->vhost);
    for (size_t i = 0; i < KNOWN_COUNT; i++)
        if (known[i].types & type->bit &&
            !equivalent_argument(resource, known[i].name, arguments, current, error))
            return false;
    return true;
}

/* ---- what is kept, and no more ---- */

struct names {
    char text[400]; /* with commas between them; what finds no room is left out */
    size_t size;
};

static void add_name(struct names *names, struct bytes name)
{
    if (names->size + name.size + 2 > sizeof(names->text))
        return;
    if (names->size)
        names->text[names->size++] = ',';
    memcpy(names->text + names->size, name.data, name.size);
    names->size += name.size;
}

static bool is_known(struct bytes name)
{
    for (size_t i = 0; i < KNOWN_COUNT; i++)
        if (bytes_equal_str(name, known[i].name))
            return true;
    return false;
}

/* Dead letters are not kept where messages have to make room. A stream is what an older version made of it. */
static bool is_ignored(const struct known *argument, const struct field *field, const struct queue *queue)
{
    const struct queue_settings *settings = queue->settings;
    if (argument->check == check_type)
        return type_find(field->value.bytes)->bit == STREAM;
    if (argument->check == check_strategy)
        return settings->dead_letter_strategy == STRATEGY_AT_LEAST_ONCE &&
               !queue_keeps_letters(settings);
    if (strcmp(argument->name, "x-quorum-initial-group-size") == 0)
        return !store_is_of_group(queue->id); /* else all members have it */
    return argument->done == IGNORED;
}

void queue_arguments_warn(const struct queue *queue)
{
    struct names ignored = {.size = 0}, unknown = {.size = 0};
    struct bytes arguments = bytes_of(queue->arguments, queue->arguments_size);
    struct field field;
    if (!arguments.size)
        return;
    for (size_t i = 0; i < KNOWN_COUNT; i++)
        if (table_find(arguments, bytes_str(known[i].name), &field) &&
            is_ignored(&known[i], &field, queue))
            add_name(&ignored, field.name);
    for (struct reader walk = reader_of(arguments); table_next(&walk, &field);)
        if (bytes_start_with(field.name, "x-") && !is_known(field.name))
            add_name(&unknown, field.name);
    if (ignored.size || unknown.size)
        log_event(queue->vhost->broker->log, EVENT_arguments_ignored,
                  "vhost=%s queue=%s ignored=%.*s unknown=%.*s", queue->vhost->name, queue->name,
                  (int)ignored.size, ignored.text, (int)unknown.size, unknown.text);
}
