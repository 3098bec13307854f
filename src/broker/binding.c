/* Arguments of bindings are sorted by name, as their order in a table means nothing. */
#include "broker/binding.h"

#include <assert.h>
#include <stdlib.h>

#include "amqp/table.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/planted.h"
#include "broker/apply.h"
#include "broker/name.h"
#include "broker/removal.h"

/* ---- what a binding is known by: these members of a change ---- */

static size_t add_name(uint8_t *names, size_t at, struct bytes name)
{
    assert(name.size <= NAME_MAX_SIZE);
    names[at] = (uint8_t)name.size;
    if (name.size)
        memcpy(names + at + 1, name.data, name.size);
    return at + 1 + name.size;
}

/* The names are short, and hashed as one. */
static uint64_t hash_of(const struct vhost *vhost, const struct change *change)
{
    uint8_t names[1 + 3 * (1 + NAME_MAX_SIZE)];
    names[0] = change->to_queue;
    size_t size = add_name(names, 1, change->source);
    size = add_name(names, size, change->name);
    size = add_name(names, size, change->routing_key);
    uint64_t hash = hash_bytes(bytes_of(names, size), vhost->bindings_seed);
    return change->arguments.size ? hash_bytes(change->arguments, hash) : hash;
}

static bool is_binding(const void *value, const void *wanted)
{
    const struct binding *binding = value;
    const struct change *change = wanted;
    return (binding->queue != NULL) == change->to_queue &&
           bytes_equal(binding_key(binding), change->routing_key) &&
           bytes_equal(binding_destination(binding), change->name) &&
           bytes_equal(exchange_name(binding->source), change->source) &&
           bytes_equal(binding_arguments(binding), change->arguments);
}

struct binding *binding_find(const struct vhost *vhost, const struct change *change)
{
    return set_find(&vhost->bindings, hash_of(vhost, change), is_binding, change);
}

static bool is_durable(const struct exchange *source, const struct queue *queue,
                       const struct exchange *exchange)
{
    return source->durable && (queue ? queue_survives(queue) : exchange->durable);
}

struct change binding_deletion(const struct binding *binding)
{
    return (struct change){
        .kind = CATALOGUE_BINDING,
        .is_delete = true,
        .durable = is_durable(binding->source, binding->queue, binding->exchange),
        .to_queue = binding->queue,
        .vhost = vhost_name(binding->source->vhost),
        .source = exchange_name(binding->source),
        .name = binding_destination(binding),
        .routing_key = binding_key(binding),
        .arguments = binding_arguments(binding),
    };
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

struct bytes binding_sort_arguments(struct changes *changes, struct bytes arguments)
{
    struct buffer sorted = {0};
    if (!arguments.size)
        return arguments;
    sort_arguments(&sorted, arguments);
    struct bytes kept = changes_keep(changes, buffer_bytes(&sorted));
    buffer_free(&sorted);
    return kept;
}

/* ---- applying ---- */

static struct binding *binding_new(struct exchange *source, const struct change *change)
{
    struct vhost *vhost = source->vhost;
    struct bytes key = change->routing_key, arguments = change->arguments;
    struct binding *binding = mem_zalloc(sizeof(*binding) + key.size + arguments.size);
    list_init(&binding->source_link);
    list_init(&binding->destination_link);
    list_init(&binding->kind_link);
    binding->source = source;
    binding->queue = change->to_queue ? vhost_queue(vhost, change->name) : NULL;
    binding->exchange = change->to_queue ? NULL : vhost_exchange(vhost, change->name);
    binding->key_size = (uint32_t)key.size;
    binding->arguments_size = (uint32_t)arguments.size;
    if (key.size)
        memcpy(binding->key, key.data, key.size);
    if (arguments.size)
        memcpy(binding->key + key.size, arguments.data, arguments.size);
    return binding;
}

static void attach(struct vhost *vhost, const struct change *change)
{
    struct exchange *source = vhost_exchange(vhost, change->source);
    struct binding *binding = binding_new(source, change);
    list_push_back(&source->sources, &binding->source_link);
    list_push_back(binding->queue ? &binding->queue->bindings : &binding->exchange->destinations,
                   &binding->destination_link);
    source->source_count++;
    list_remove(&source->doomed_link);
    if (source->kind->bind)
        source->kind->bind(source, binding);
    set_add(&vhost->bindings, hash_of(vhost, change), binding);
}

void binding_free(struct binding *binding)
{
    struct exchange *source = binding->source;
    if (source->kind->unbind)
        source->kind->unbind(source, binding);
    list_remove(&binding->source_link);
    list_remove(&binding->destination_link);
    source->source_count--;
    mem_free(binding);
}

static void detach(struct vhost *vhost, const struct change *change)
{
    uint64_t hash = hash_of(vhost, change);
    struct binding *binding = set_find(&vhost->bindings, hash, is_binding, change);
    struct exchange *source = binding ? binding->source : vhost_exchange(vhost, change->source);
    if (binding) {
        set_remove(&vhost->bindings, hash, binding);
        binding_free(binding);
    }
    if (source)
        exchange_lost_binding(source);
}

void binding_apply(struct vhost *vhost, const struct change *change)
{
    if (change->is_delete)
        detach(vhost, change);
    else
        attach(vhost, change);
    vhost->broker->topology++;
}

/* ---- deciding ---- */

/* RabbitMQ asks for this last, and not at all about a binding that is not there to be removed. */
static bool check_access(const struct binding_request *request, struct error *error)
{
    return !request->queue || !request->connection_id ||
           queue_check_access(request->queue, request->connection_id, error);
}

static bool check_arguments(const struct exchange_kind *kind, const struct binding_request *request,
                            struct error *error)
{
    return !kind->check || kind->check(request, error);
}

static bool check_not_default(const struct binding_request *request, struct error *error)
{
    return exchange_is_not_default(request->source, error) &&
           (!request->exchange || exchange_is_not_default(exchange_name(request->exchange), error));
}

static struct change change_of(const struct exchange *source, const struct binding_request *request,
                               struct changes *changes)
{
    return (struct change){
        .kind = CATALOGUE_BINDING,
        .durable = is_durable(source, request->queue, request->exchange),
        .to_queue = request->queue,
        .vhost = vhost_name(source->vhost),
        .source = exchange_name(source),
        .name = request->queue ? queue_name(request->queue) : exchange_name(request->exchange),
        .routing_key = request->key,
        .arguments = binding_sort_arguments(changes, request->arguments),
    };
}

bool binding_add_decide(const struct vhost *vhost, const struct binding_request *request,
                        struct changes *changes, struct error *error)
{
    if (!check_not_default(request, error))
        return false;
    const struct exchange *source = vhost_need_exchange(vhost, request->source, error);
    if (!source || !check_arguments(source->kind, request, error) || !check_access(request, error))
        return false;
    struct change change = change_of(source, request, changes);
    if (!binding_find(vhost, &change))
        changes_add(changes, &change);
    return true;
}

bool binding_remove_decide(struct vhost *vhost, const struct binding_request *request,
                           struct changes *changes, struct error *error)
{
    if (!check_not_default(request, error))
        return false;
    struct error missing;
    const struct exchange *source = vhost_need_exchange(vhost, request->source, &missing);
    if (!source)
        return true;
    struct change change = change_of(source, request, changes);
    struct binding *binding = binding_find(vhost, &change);
    if (!binding || planted(PLANTED_UNBIND_OMITTED))
        return true;
    if (!check_access(request, error))
        return false;
    removal_decide_binding(binding, changes);
    return true;
}

/* ---- both ---- */

bool binding_add(struct vhost *vhost, const struct binding_request *request, struct error *error)
{
    struct changes *changes = &vhost->broker->changes;
    bool allowed = binding_add_decide(vhost, request, changes, error);
    bool is_new = changes->count;
    changes_apply(vhost->broker, changes);
    struct exchange *source = is_new ? vhost_need_exchange(vhost, request->source, error) : NULL;
    if (source && source->kind->greet)
        source->kind->greet(source, request);
    return allowed;
}

uint64_t binding_record_bytes(const struct exchange *source)
{
    return source->kind->record_bytes ? source->kind->record_bytes(source) : 0;
}

bool binding_remove(struct vhost *vhost, const struct binding_request *request, struct error *error)
{
    struct changes *changes = &vhost->broker->changes;
    bool allowed = binding_remove_decide(vhost, request, changes, error);
    changes_apply(vhost->broker, changes);
    return allowed;
}
