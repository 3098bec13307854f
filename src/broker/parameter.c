#include "broker/parameter.h"

#include "amqp/reply.h"
#include "base/mem.h"
#include "broker/apply.h"
#include "broker/name.h"

/* Those of RabbitMQ's plugins shovel and federation. */
static const char *const components[] = {"federation-upstream", "federation-upstream-set",
                                         "shovel"};

bool parameter_has_component(struct bytes component)
{
    for (size_t i = 0; i < sizeof(components) / sizeof(components[0]); i++)
        if (bytes_equal_str(component, components[i]))
            return true;
    return false;
}

/* ---- what there is ---- */

enum { KEY_MAX = 2 * NAME_MAX_SIZE + 1 };

/* No component has a NUL byte in it. */
static struct bytes key_of(struct bytes component, struct bytes name, char room[KEY_MAX])
{
    size_t before = 0;
    if (component.size) {
        memcpy(room, component.data, component.size);
        room[component.size] = '\0';
        before = component.size + 1;
    }
    if (name.size)
        memcpy(room + before, name.data, name.size);
    return bytes_of(room, before + name.size);
}

static const struct parameter *find(const struct map *parameters, struct bytes component,
                                    struct bytes name)
{
    char room[KEY_MAX];
    if (component.size > NAME_MAX_SIZE || name.size > NAME_MAX_SIZE)
        return NULL;
    return map_find(parameters, key_of(component, name, room));
}

const struct parameter *parameter_find(struct broker *broker, const struct parameter_name *name)
{
    if (name->is_global)
        return find(&broker->parameters, bytes_of(NULL, 0), name->name);
    const struct vhost *vhost = vhost_find(broker, name->vhost);
    return vhost && name->component.size ? find(&vhost->parameters, name->component, name->name)
                                         : NULL;
}

struct bytes parameter_cluster_name(const struct broker *broker, const char *otherwise)
{
    const struct parameter *parameter =
        find(&broker->parameters, bytes_of(NULL, 0), bytes_str("cluster_name"));
    return parameter && parameter->is_text ? parameter_value(parameter) : bytes_str(otherwise);
}

/* ---- applying ---- */

static void parameter_free(struct parameter *parameter)
{
    if (!parameter)
        return;
    mem_free(parameter->value);
    mem_free(parameter);
}

static struct parameter *parameter_new(const struct change *change, struct bytes key)
{
    struct parameter *parameter = mem_zalloc(sizeof(*parameter) + key.size);
    memcpy(parameter->key, key.data, key.size);
    parameter->key_size = key.size;
    parameter->component_size = change->source.size;
    parameter->is_text = bytes_equal_str(change->type, "text");
    parameter->value_size = change->definition.size;
    parameter->value = mem_alloc(change->definition.size + 1);
    if (change->definition.size)
        memcpy(parameter->value, change->definition.data, change->definition.size);
    parameter->value[change->definition.size] = '\0';
    return parameter;
}

void parameter_apply(struct map *parameters, const struct change *change)
{
    char room[KEY_MAX];
    struct bytes key = key_of(change->source, change->name, room);
    struct parameter *parameter = change->is_delete ? NULL : parameter_new(change, key);
    parameter_free(map_remove(parameters, key));
    if (parameter)
        map_add(parameters, bytes_of(parameter->key, parameter->key_size), parameter);
}

void parameters_free(struct map *parameters)
{
    uint64_t at = 0;
    for (struct parameter *parameter; (parameter = map_next(parameters, &at));)
        parameter_free(parameter);
    map_free(parameters);
}

/* ---- deciding ---- */

static struct change change_of(const struct parameter_name *name)
{
    return (struct change){
        .kind = name->is_global ? CATALOGUE_GLOBAL_PARAMETER : CATALOGUE_PARAMETER,
        .durable = true,
        .vhost = name->vhost,
        .source = name->component,
        .name = name->name,
    };
}

static bool check_component(struct broker *broker, const struct parameter_name *name,
                            struct error *error)
{
    if (name->is_global)
        return true;
    return vhost_need(broker, name->vhost, error) &&
           (parameter_has_component(name->component) ||
            error_set(error, REPLY_PRECONDITION_FAILED, "component %.*s not found",
                      BYTES_ARG(name->component)));
}

static bool is_same(const struct parameter *parameter, const struct parameter_request *request)
{
    return parameter && parameter->is_text == request->is_text &&
           bytes_equal(parameter_value(parameter), request->value);
}

bool parameter_set_decide(struct broker *broker, const struct parameter_request *request,
                          struct changes *changes, struct error *error)
{
    const struct parameter_name *name = &request->name;
    struct change change = change_of(name);
    if (!check_component(broker, name, error))
        return false;
    if (name->name.size == 0 || name->name.size > NAME_MAX_SIZE)
        return error_set(error, REPLY_PRECONDITION_FAILED,
                         "the name of a parameter has 1 to %d bytes, and not %zu", NAME_MAX_SIZE,
                         name->name.size);
    if (request->value.size > PARAMETER_VALUE_MAX)
        return error_set(error, REPLY_PRECONDITION_FAILED,
                         "the value of parameter '%.*s' has %zu bytes, and may have %d",
                         BYTES_ARG(name->name), request->value.size, PARAMETER_VALUE_MAX);
    change.type = bytes_str(request->is_text ? "text" : "json");
    change.definition = request->value;
    if (!is_same(parameter_find(broker, name), request))
        changes_add(changes, &change);
    return true;
}

bool parameter_delete_decide(struct broker *broker, const struct parameter_name *name,
                             struct changes *changes, struct error *error)
{
    struct change change = change_of(name);
    change.is_delete = true;
    if (!parameter_find(broker, name))
        return error_set(error, REPLY_NOT_FOUND, "no parameter '%.*s'", BYTES_ARG(name->name));
    changes_add(changes, &change);
    return true;
}

struct clearing {
    const struct vhost *vhost;
    struct changes *changes;
};

static void clear(void *context, void *value)
{
    const struct clearing *clearing = context;
    const struct parameter *parameter = value;
    struct parameter_name name = {
        .vhost = vhost_name(clearing->vhost),
        .component = changes_keep(clearing->changes, parameter_component(parameter)),
        .name = changes_keep(clearing->changes, parameter_name(parameter)),
    };
    struct change change = change_of(&name);
    change.is_delete = true;
    changes_add(clearing->changes, &change);
}

bool parameters_clear_decide(const struct vhost *vhost, struct changes *changes)
{
    uint64_t at = 0;
    struct clearing clearing = {vhost, changes};
    while (map_count(&vhost->parameters) && changes->count == 0)
        if (!map_each_of_part(&vhost->parameters, &at, clear, &clearing))
            break;
    return changes->count > 0;
}

/* ---- both ---- */

bool parameter_set(struct broker *broker, const struct parameter_request *request,
                   struct error *error)
{
    bool allowed = parameter_set_decide(broker, request, &broker->changes, error);
    changes_apply(broker, &broker->changes);
    return allowed;
}

bool parameter_delete(struct broker *broker, const struct parameter_name *name,
                      struct error *error)
{
    bool allowed = parameter_delete_decide(broker, name, &broker->changes, error);
    changes_apply(broker, &broker->changes);
    return allowed;
}
