/* Bindings. One is known by the names of its source and destination, its routing key and arguments.
 * Arguments are sorted by name, as their order in a table means nothing. */
#include <assert.h>
#include <stdlib.h>

#include "amqp/reply.h"
#include "amqp/table.h"
#include "base/hash.h"
#include "base/mem.h"
#include "broker/catalogue.h"
#include "broker/model.h"

/* What a binding is known by. */
struct identity {
    bool to_queue;
    struct bytes source, destination, key, arguments;
};

static struct identity identity_of(const struct binding *binding)
{
    return (struct identity){
        .to_queue = binding->queue,
        .source = exchange_name(binding->source),
        .destination =
            binding->queue ? queue_name(binding->queue) : exchange_name(binding->exchange),
        .key = bytes_of(binding->key, binding->key_size),
        .arguments = bytes_of(binding->arguments, binding->arguments_size),
    };
}

/* The names are short, and hashed as one. */
static uint64_t hash_of(const struct vhost *vhost, const struct identity *identity)
{
    uint8_t names[1 + 3 * (1 + NAME_MAX_SIZE)];
    struct writer writer = writer_of(names, sizeof(names));
    writer_u8(&writer, identity->to_queue);
    writer_shortstr(&writer, identity->source);
    writer_shortstr(&writer, identity->destination);
    writer_shortstr(&writer, identity->key);
    assert(!writer.bad);
    uint64_t hash =
        hash_bytes(bytes_of(names, (size_t)(writer.at - names)), vhost->bindings_seed);
    return identity->arguments.size ? hash_bytes(identity->arguments, hash) : hash;
}

static bool is_binding(const void *value, const void *wanted)
{
    const struct identity *identity = wanted, other = identity_of(value);
    return other.to_queue == identity->to_queue && bytes_equal(other.key, identity->key) &&
           bytes_equal(other.destination, identity->destination) &&
           bytes_equal(other.source, identity->source) &&
           bytes_equal(other.arguments, identity->arguments);
}

static struct binding *find(const struct vhost *vhost, const struct binding *like)
{
    struct identity identity = identity_of(like);
    return set_find(&vhost->bindings, hash_of(vhost, &identity), is_binding, &identity);
}

static uint64_t hash_binding(const struct binding *binding)
{
    struct identity identity = identity_of(binding);
    return hash_of(binding->source->vhost, &identity);
}

static int compare_names(const void *a, const void *b)
{
    const struct field *x = a, *y = b;
    int order = bytes_compare(x->name, y->name);
    /* Of equal names the first one counts, so it stays the first. */
    return order ? order : (x->raw.data > y->raw.data) - (x->raw.data < y->raw.data);
}

static void sort_arguments(struct buffer *out, struct bytes arguments)
{
    size_t count = 0, at = 0;
    struct field field;
    for (struct reader walk = reader_of(arguments); table_next(&walk, &field);)
        count++;
    struct field *fields = mem_zalloc_array(count + 1, sizeof(*fields));
    for (struct reader walk = reader_of(arguments); at < count;)
        table_next(&walk, &fields[at++]);
    qsort(fields, count, sizeof(*fields), compare_names);
    struct table_writer writer;
    table_writer_init(&writer, out);
    for (size_t i = 0; i < count; i++)
        table_add_field(&writer, &fields[i]);
    mem_free(fields);
}

static struct binding *binding_new(struct exchange *source, const struct binding_request *request)
{
    struct buffer arguments = {0};
    if (request->arguments.size)
        sort_arguments(&arguments, request->arguments);
    struct binding *binding = mem_zalloc(sizeof(*binding) + request->key.size + arguments.size);
    list_init(&binding->source_link);
    list_init(&binding->destination_link);
    list_init(&binding->kind_link);
    binding->source = source;
    binding->queue = request->queue;
    binding->exchange = request->exchange;
    binding->key_size = request->key.size;
    if (request->key.size)
        memcpy(binding->key, request->key.data, request->key.size);
    binding->arguments = (uint8_t *)binding->key + request->key.size;
    binding->arguments_size = arguments.size;
    if (arguments.size)
        memcpy(binding->arguments, arguments.data, arguments.size);
    buffer_free(&arguments);
    return binding;
}

static void attach(struct binding *binding)
{
    struct exchange *source = binding->source;
    list_push_back(&source->sources, &binding->source_link);
    list_push_back(binding->queue ? &binding->queue->bindings : &binding->exchange->destinations,
                   &binding->destination_link);
    source->source_count++;
    source->had_binding = true;
    source->kind->bind(source, binding);
    set_add(&source->vhost->bindings, hash_binding(binding), binding);
    source->vhost->broker->topology++;
}

/* RabbitMQ asks for this last, and not at all about a binding that is not there to be removed. */
static bool check_access(const struct binding_request *request, struct error *error)
{
    return !request->queue || !request->connection_id ||
           queue_check_access(request->queue, request->connection_id, error);
}

bool binding_put(struct exchange *source, const struct binding_request *request, bool record,
                 struct error *error)
{
    struct binding *binding = binding_new(source, request);
    bool allowed = source->kind->check(binding, error) && check_access(request, error);
    if (!allowed || find(source->vhost, binding)) {
        mem_free(binding);
        return allowed;
    }
    attach(binding);
    if (record)
        catalogue_put_binding(binding);
    return true;
}

void binding_free(struct binding *binding)
{
    struct exchange *source = binding->source;
    source->kind->unbind(source, binding);
    list_remove(&binding->source_link);
    list_remove(&binding->destination_link);
    source->source_count--;
    mem_free(binding);
}

void binding_drop(struct binding *binding)
{
    struct exchange *source = binding->source;
    catalogue_delete_binding(binding);
    set_remove(&source->vhost->bindings, hash_binding(binding), binding);
    source->vhost->broker->topology++;
    binding_free(binding);
    bool is_done = source->auto_delete && source->source_count == 0 && !source->is_leaving;
    if (is_done && list_is_empty(&source->doomed_link))
        list_push_back(&source->vhost->broker->doomed, &source->doomed_link);
}

static bool check_not_default(const struct binding_request *request, struct error *error)
{
    return exchange_is_not_default(request->source, error) &&
           (!request->exchange || exchange_is_not_default(exchange_name(request->exchange), error));
}

bool binding_add(struct vhost *vhost, const struct binding_request *request, struct error *error)
{
    if (!check_not_default(request, error))
        return false;
    struct exchange *source = vhost_need_exchange(vhost, request->source, error);
    return source && binding_put(source, request, true, error);
}

bool binding_remove(struct vhost *vhost, const struct binding_request *request, struct error *error)
{
    if (!check_not_default(request, error))
        return false;
    struct error missing;
    struct exchange *source = vhost_need_exchange(vhost, request->source, &missing);
    if (!source)
        return true;
    struct binding *wanted = binding_new(source, request);
    struct binding *binding = find(vhost, wanted);
    mem_free(wanted);
    if (!binding)
        return true;
    if (!check_access(request, error))
        return false;
    binding_drop(binding);
    exchanges_reap(vhost->broker);
    return true;
}
