/* Policies, and parameters, of which operator policies and limits of virtual hosts are some. */
#include "broker/parameter.h"
#include "broker/policy.h"

#include "definitions/import.h"
#include "definitions/json_table.h"
#include "definitions/json_writer.h"

static bool find_definition(struct import *import, const struct json *object,
                            struct bytes *definition)
{
    char fault[400];
    const struct json *value = json_find(object, "definition");
    import->scratch.size = 0;
    if (!value)
        return import_fail(import, "'definition' is missing");
    if (!json_to_table(value, JSON_NULL_ALLOWED, &import->scratch, fault, sizeof(fault)))
        return import_fail(import, "'definition': %s", fault);
    *definition = buffer_bytes(&import->scratch);
    return true;
}

/* `object` has what makes the policy; its name and virtual host may stand elsewhere. */
static bool set_policy(struct import *import, struct policy_request *request,
                       const struct json *object)
{
    struct error error;
    return import_text(import, object, "pattern", &request->pattern) &&
           import_maybe_text(import, object, "apply-to", &request->apply_to) &&
           import_maybe_whole(import, object, "priority", &request->priority) &&
           find_definition(import, object, &request->definition) &&
           (policy_set(import->broker, request, &error) || import_fail_with(import, &error));
}

static bool find_names(struct import *import, const struct json *object,
                       struct policy_request *request)
{
    const struct vhost *vhost;
    if (!import_text(import, object, "name", &request->name) ||
        !(vhost = import_vhost(import, object)))
        return false;
    request->vhost = vhost_name(vhost);
    return true;
}

bool import_policy(struct import *import, const struct json *object)
{
    struct policy_request request = {.is_operator = false};
    return find_names(import, object, &request) && set_policy(import, &request, object);
}

static bool set_operator_policy(struct import *import, const struct json *object)
{
    struct policy_request request = {.is_operator = true};
    return find_names(import, object, &request) &&
           set_policy(import, &request, json_find(object, "value"));
}

static bool set_limits(struct import *import, const struct json *object)
{
    const struct vhost *vhost = import_vhost(import, object);
    const struct json *value = json_find(object, "value");
    if (vhost && !value)
        return import_fail(import, "'value' is missing: it holds the limits");
    return vhost && import_vhost_limits(import, vhost_name(vhost), value, "value");
}

/* The value of a parameter; its name is in the request. */
static bool set_parameter(struct import *import, struct parameter_request *request,
                          const struct json *value)
{
    struct error error;
    import->scratch.size = 0;
    if (!value)
        return import_fail(import, "'value' is missing");
    request->is_text = json_kind_of(value) == JSON_IS_TEXT;
    struct json_writer writer = json_writer_of(&import->scratch);
    if (!request->is_text)
        json_put(&writer, value);
    request->value = request->is_text ? json_text(value) : buffer_bytes(&import->scratch);
    return parameter_set(import->broker, request, &error) || import_fail_with(import, &error);
}

static bool set_of_component(struct import *import, const struct json *object,
                             struct bytes component)
{
    struct parameter_request request = {.name = {.component = component}};
    const struct json *value = json_find(object, "value");
    const struct vhost *vhost = import_vhost(import, object);
    if (!vhost || !import_text(import, object, "name", &request.name.name))
        return false;
    if (json_kind_of(value) != JSON_IS_OBJECT && json_kind_of(value) != JSON_IS_ARRAY)
        return import_fail(import, "'value' must be an object, and not %s",
                           json_kind_name(json_kind_of(value)));
    request.name.vhost = vhost_name(vhost);
    if (!set_parameter(import, &request, value))
        return false;
    import_omit(import, "parameters of component '%.*s' are kept, but nothing here acts on them",
                BYTES_ARG(component));
    return true;
}

bool import_parameter(struct import *import, const struct json *object)
{
    struct bytes component;
    if (!import_text(import, object, "component", &component))
        return false;
    if (bytes_equal_str(component, "vhost-limits"))
        return set_limits(import, object);
    if (bytes_equal_str(component, "operator_policy"))
        return set_operator_policy(import, object);
    if (parameter_has_component(component))
        return set_of_component(import, object, component);
    import->counts->left_out++;
    import_omit(import, "component '%.*s' is not known, and its parameter left out",
                BYTES_ARG(component));
    return true;
}

/* Who a cluster is does not follow from a file. */
bool import_global_parameter(struct import *import, const struct json *object)
{
    struct parameter_request request = {.name = {.is_global = true}};
    if (!import_text(import, object, "name", &request.name.name))
        return false;
    if (!bytes_equal_str(request.name.name, "internal_cluster_id"))
        return set_parameter(import, &request, json_find(object, "value"));
    import->counts->left_out++;
    import_omit(import, "it is of the cluster that has written the file, and left out");
    return true;
}
