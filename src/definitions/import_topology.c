/* Queues, exchanges and bindings. */
#include "amqp/reply.h"
#include "amqp/table.h"
#include "base/mem.h"
#include "broker/binding.h"
#include "broker/name.h"
#include "definitions/import.h"
#include "definitions/json_table.h"

/* ---- what is left out ---- */

enum { LEFT_OUT_KEY_MAX = 1 + NAME_MAX_SIZE + 1 + NAME_MAX_SIZE };

struct left_out {
    size_t key_size;
    char key[]; /* q or x, the virtual host's name, a NUL, the object's */
};

static struct bytes left_out_key(char room[LEFT_OUT_KEY_MAX], bool is_queue,
                                 const struct vhost *vhost, struct bytes name)
{
    struct bytes place = vhost_name(vhost);
    room[0] = is_queue ? 'q' : 'x';
    if (place.size)
        memcpy(room + 1, place.data, place.size);
    room[1 + place.size] = '\0';
    if (name.size)
        memcpy(room + 2 + place.size, name.data, name.size);
    return bytes_of(room, 2 + place.size + name.size);
}

static bool is_left_out(struct import *import, bool is_queue, const struct vhost *vhost,
                        struct bytes name)
{
    char room[LEFT_OUT_KEY_MAX];
    return map_find(&import->left_out, left_out_key(room, is_queue, vhost, name));
}

/* True: that is no fault. Its bindings are left out as well. */
static bool leave_out(struct import *import, bool is_queue, const struct vhost *vhost,
                      struct bytes name, const char *why)
{
    char room[LEFT_OUT_KEY_MAX];
    struct bytes key = left_out_key(room, is_queue, vhost, name);
    import->counts->left_out++;
    import_omit(import, "%s; it is left out", why);
    if (map_find(&import->left_out, key))
        return true;
    struct left_out *entry = mem_alloc(sizeof(*entry) + key.size);
    entry->key_size = key.size;
    memcpy(entry->key, key.data, key.size);
    map_add(&import->left_out, bytes_of(entry->key, key.size), entry);
    return true;
}

/* ---- what they have in common ---- */

struct definition {
    struct vhost *vhost;
    struct bytes name, type;
    bool durable, auto_delete, internal, exclusive;
    struct bytes arguments; /* in the import's scratch space */
    char room[NAME_MAX_SIZE];
};

static bool find_arguments(struct import *import, const struct json *object,
                           struct bytes *arguments)
{
    char fault[400];
    import->scratch.size = 0;
    if (!json_to_table(json_find(object, "arguments"), JSON_NULL_REFUSED, &import->scratch, fault,
                       sizeof(fault)))
        return import_fail(import, "'arguments': %s", fault);
    *arguments = buffer_bytes(&import->scratch);
    return true;
}

static bool check_size(struct import *import, const char *what, struct bytes name)
{
    return name.size <= NAME_MAX_SIZE ||
           import_fail(import, "%s has %zu bytes, and may have %d", what, name.size, NAME_MAX_SIZE);
}

static bool find_definition(struct import *import, const struct json *object,
                            struct definition *definition)
{
    *definition = (struct definition){.durable = true};
    if (!import_text(import, object, "name", &definition->name) ||
        !check_size(import, "'name'", definition->name))
        return false;
    definition->name = name_strip(definition->name, definition->room);
    return (definition->vhost = import_vhost(import, object)) &&
           import_maybe_text(import, object, "type", &definition->type) &&
           import_maybe_flag(import, object, "durable", &definition->durable) &&
           import_maybe_flag(import, object, "auto_delete", &definition->auto_delete) &&
           import_maybe_flag(import, object, "internal", &definition->internal) &&
           import_maybe_flag(import, object, "exclusive", &definition->exclusive) &&
           find_arguments(import, object, &definition->arguments);
}

/* Refused: one that is there already stays as it is, and what is not built is left out. */
static bool judge(struct import *import, const struct definition *definition, bool is_queue,
                  bool is_there, const struct error *error)
{
    if (is_there) {
        import_omit(import, "it is there, with other properties, and stays as it is: %s",
                    error->detail);
        return true;
    }
    if (error->code == REPLY_NOT_IMPLEMENTED)
        return leave_out(import, is_queue, definition->vhost, definition->name, error->detail);
    return import_fail_with(import, error);
}

/* ---- queues ---- */

static bool is_stream(struct bytes type)
{
    return bytes_equal_str(type, "stream") || bytes_equal_str(type, "rabbit_stream_queue");
}

/* Since 4.0 the type stands beside the arguments, too, where it is not among them if it is the
 * default. */
static void add_type(struct import *import, struct definition *definition)
{
    struct bytes in_arguments;
    struct table_writer writer;
    if (table_find_string(definition->arguments, "x-queue-type", &in_arguments)) {
        definition->type = in_arguments;
        return;
    }
    if (!definition->type.size)
        return;
    table_writer_init(&writer, &import->scratch);
    table_add_string(&writer, bytes_str("x-queue-type"), definition->type);
    definition->arguments = buffer_bytes(&import->scratch);
}

static bool declare_queue(struct import *import, const struct definition *definition)
{
    struct error error;
    bool created;
    bool is_there = vhost_queue(definition->vhost, definition->name);
    struct queue_declare declare = {
        .name = definition->name,
        .durable = definition->durable,
        .auto_delete = definition->auto_delete,
        .arguments = definition->arguments,
    };
    return queue_declare(definition->vhost, &declare, &created, &error) ||
           judge(import, definition, true, is_there, &error);
}

bool import_queue(struct import *import, const struct json *object)
{
    struct definition queue;
    if (!find_definition(import, object, &queue))
        return false;
    if (!queue.name.size)
        return import_fail(import, "'name' is empty");
    add_type(import, &queue);
    const char *why = NULL;
    if (bytes_start_with(queue.name, "amq."))
        why = "names that begin with 'amq.' are given by the broker";
    else if (queue.exclusive)
        why = "an exclusive queue belongs to a connection";
    else if (is_stream(queue.type))
        why = "streams are not supported";
    return why ? leave_out(import, true, queue.vhost, queue.name, why)
               : declare_queue(import, &queue);
}

/* ---- exchanges ---- */

bool import_exchange(struct import *import, const struct json *object)
{
    struct definition exchange;
    struct error error;
    if (!find_definition(import, object, &exchange) ||
        !import_text(import, object, "type", &exchange.type))
        return false;
    bool is_there = vhost_exchange(exchange.vhost, exchange.name);
    if (!exchange.name.size || bytes_start_with(exchange.name, "amq."))
        return is_there || leave_out(import, false, exchange.vhost, exchange.name,
                                     "names that begin with 'amq.' are given by the broker");
    struct exchange_declare declare = {
        .name = exchange.name,
        .type = exchange.type,
        .durable = exchange.durable,
        .auto_delete = exchange.auto_delete,
        .internal = exchange.internal,
        .arguments = exchange.arguments,
    };
    return exchange_declare(exchange.vhost, &declare, &error) ||
           judge(import, &exchange, false, is_there, &error);
}

/* ---- bindings ---- */

struct ends {
    struct bytes source, destination, kind, key;
    struct vhost *vhost;
    bool to_queue;
};

static bool find_ends(struct import *import, const struct json *object, struct ends *ends)
{
    *ends = (struct ends){.kind = bytes_str("queue")};
    if (!import_text(import, object, "source", &ends->source) ||
        !(ends->vhost = import_vhost(import, object)) ||
        !import_text(import, object, "destination", &ends->destination) ||
        !import_maybe_text(import, object, "destination_type", &ends->kind) ||
        !import_maybe_text(import, object, "routing_key", &ends->key) ||
        !check_size(import, "'source'", ends->source) ||
        !check_size(import, "'destination'", ends->destination) ||
        !check_size(import, "'routing_key'", ends->key))
        return false;
    ends->to_queue = bytes_equal_str(ends->kind, "queue");
    return ends->to_queue || bytes_equal_str(ends->kind, "exchange") ||
           import_fail(import, "'destination_type' is '%.*s'; it may be queue or exchange",
                       BYTES_ARG(ends->kind));
}

static bool leave_binding_out(struct import *import, const char *why)
{
    import->counts->left_out++;
    import_omit(import, "%s; it is left out", why);
    return true;
}

static bool bind(struct import *import, const struct ends *ends, const struct json *object)
{
    struct error error;
    struct binding_request request = {.source = ends->source, .key = ends->key};
    if (ends->to_queue)
        request.queue = vhost_need_queue(ends->vhost, ends->destination, &error);
    else
        request.exchange = vhost_need_exchange(ends->vhost, ends->destination, &error);
    if (!request.queue && !request.exchange)
        return import_fail_with(import, &error);
    return find_arguments(import, object, &request.arguments) &&
           (binding_add(ends->vhost, &request, &error) || import_fail_with(import, &error));
}

bool import_binding(struct import *import, const struct json *object)
{
    struct ends ends;
    if (!find_ends(import, object, &ends))
        return false;
    if (ends.to_queue && !ends.source.size && bytes_equal(ends.key, ends.destination))
        return true; /* every queue has it */
    if (is_left_out(import, ends.to_queue, ends.vhost, ends.destination))
        return leave_binding_out(import, "so is its destination");
    if (is_left_out(import, false, ends.vhost, ends.source))
        return leave_binding_out(import, "so is its source");
    return bind(import, &ends, object);
}
