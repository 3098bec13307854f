/* Policies, and parameters, of which operator policies and limits of virtual hosts are some. */
#include "broker/policy.h"

#include "definitions/import.h"
#include "definitions/json_table.h"

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

bool import_parameter(struct import *import, const struct json *object)
{
    struct bytes component;
    if (!import_text(import, object, "component", &component))
        return false;
    if (bytes_equal_str(component, "vhost-limits"))
        return set_limits(import, object);
    if (bytes_equal_str(component, "operator_policy"))
        return set_operator_policy(import, object);
    import->counts->left_out++;
    import_omit(import, "parameters of component '%.*s' are not supported, and left out",
                BYTES_ARG(component));
    return true;
}

bool import_global_parameter(struct import *import, const struct json *object)
{
    (void)object;
    import->counts->left_out++;
    import_omit(import, "global parameters are not supported, and left out");
    return true;
}
