/* Parameters. Those that there are are kept elsewhere, and had here by another name: operator
 * policies, policies (to be looked at), and limits of virtual hosts. */
#include "api/resources.h"
#include "api/settings.h"

enum { PARAMETER_STEPS = 150 };

/* ---- components ---- */

enum component { OPERATOR_POLICY, POLICY, VHOST_LIMITS, UNKNOWN };

static const char *const names[] = {"operator_policy", "policy", "vhost-limits"};

static enum component component_of(struct bytes name)
{
    enum component component = OPERATOR_POLICY;
    while (component < UNKNOWN && !bytes_equal_str(name, names[component]))
        component++;
    return component;
}

static bool has_limits(const struct vhost *vhost, struct bytes name)
{
    return bytes_equal_str(name, "limits") &&
           (vhost->max_connections.is_set || vhost->max_queues.is_set);
}

/* ---- what one looks like ---- */

/* False: there is none. */
static bool write_parameter(const struct call *call, const struct vhost *vhost,
                            enum component component, struct bytes name, struct fields *fields)
{
    const struct policy *policy =
        component == VHOST_LIMITS ? NULL : policy_find(vhost, component == OPERATOR_POLICY, name);
    if (!policy && (component != VHOST_LIMITS || !has_limits(vhost, name)))
        return false;
    fields_begin(fields, '{');
    call_write_vhost(call, vhost, fields);
    fields_string(fields, "component", names[component]);
    fields_text(fields, "name", name);
    if (fields_open(fields, "value", '{')) {
        if (policy)
            call_write_policy(policy, fields);
        else
            call_write_vhost_limits(vhost, fields);
        fields_close(fields, '}');
    }
    fields_end(fields, '}');
    return true;
}

/* ---- lists; the name in an id has the number of the component in front ---- */

static void add(struct listing *listing, enum component component, struct bytes name)
{
    struct buffer text = {0};
    buffer_add_u8(&text, (uint8_t)component);
    buffer_add(&text, name.data, name.size);
    listing_add_named(listing, buffer_bytes(&text));
    buffer_free(&text);
}

static void add_policies(struct listing *listing, const struct vhost *vhost, bool is_operator)
{
    const struct policy *policy;
    for (size_t at = 0; (policy = policy_next(vhost, is_operator, &at));)
        add(listing, is_operator ? OPERATOR_POLICY : POLICY, policy_name(policy));
}

/* Policies only if they are asked for. */
static bool collect(struct listing *listing, struct budget *budget)
{
    const struct vhost *vhost = listing_vhost(listing);
    struct bytes limits = bytes_str("limits"), wanted = bytes_of(NULL, 0);
    if (!listing->call->is_export)
        wanted = listing->call->segments[0];
    enum component component = component_of(wanted);
    (void)budget;
    if (!vhost)
        return false;
    if (!wanted.data || component == OPERATOR_POLICY)
        add_policies(listing, vhost, true);
    if (wanted.data && component == POLICY)
        add_policies(listing, vhost, false);
    if ((!wanted.data || component == VHOST_LIMITS) && has_limits(vhost, limits))
        add(listing, VHOST_LIMITS, limits);
    listing_next_vhost(listing);
    return true;
}

static bool write_listed(struct listing *listing, struct bytes id, struct fields *fields)
{
    struct bytes name;
    const struct vhost *vhost = listing_vhost_of(listing, id, &name);
    return write_parameter(listing->call, vhost, (enum component)name.data[0],
                           bytes_of(name.data + 1, name.size - 1), fields);
}

const struct listing_kind parameters_kind = {
    .collect = collect, .write = write_listed, .steps = PARAMETER_STEPS};

void parameters_list(struct call *call)
{
    struct vhost *only =
        call->segments[1].data ? call_vhost_named(call, call->segments[1], true) : NULL;
    if (!call->status)
        call_list(call, &parameters_kind, only);
}

/* ---- one of them ---- */

void parameter_get(struct call *call)
{
    const struct vhost *vhost = call_vhost_named(call, call->segments[1], true);
    if (!vhost)
        return;
    struct fields fields = fields_of(&call->body, &call->columns);
    enum component component = component_of(call->segments[0]);
    if (component == UNKNOWN ||
        !write_parameter(call, vhost, component, call->segments[2], &fields))
        call_not_found(call);
    else
        call_answered(call);
}

static void refuse_component(struct call *call)
{
    call_fail(call, 400, "bad_request", "Validation failed\n\ncomponent %.*s not found\n",
              BYTES_ARG(call->segments[0]));
}

static void set_limits(struct call *call, const struct vhost *vhost, const struct json *value)
{
    if (bytes_equal_str(call->segments[2], "limits"))
        call_set_vhost_limits(call, vhost, value);
    else
        call_fail(call, 400, "bad_request",
                  "Validation failed\n\nlimits of a virtual host are the parameter 'limits'\n");
}

static bool is_object(struct call *call, const struct json *value)
{
    if (json_kind_of(value) != JSON_IS_OBJECT)
        call_fail(call, 400, "bad_request",
                  "Validation failed\n\nvalue should be an object, and is %s\n",
                  json_kind_name(json_kind_of(value)));
    return call->status == 0;
}

void parameter_put(struct call *call)
{
    static const char *const needed[] = {"value", NULL};
    const struct vhost *vhost = call_vhost_named(call, call->segments[1], true);
    enum component component = component_of(call->segments[0]);
    if (!vhost || !call_needs(call, needed))
        return;
    const struct json *value = json_find(call_json(call), "value");
    if (component == POLICY)
        call_fail(call, 400, "bad_request", "policies may not be set using this method");
    else if (component == UNKNOWN)
        refuse_component(call);
    else if (is_object(call, value) && component == VHOST_LIMITS)
        set_limits(call, vhost, value);
    else if (!call->status)
        call_set_policy(call, vhost, true, call->segments[2], value);
}

void parameter_delete_it(struct call *call)
{
    const struct vhost *vhost = call_vhost_named(call, call->segments[1], true);
    enum component component = component_of(call->segments[0]);
    if (!vhost)
        return;
    if (component == OPERATOR_POLICY)
        call_delete_policy(call, vhost, true, call->segments[2]);
    else if (component == VHOST_LIMITS && has_limits(vhost, call->segments[2]))
        call_set_vhost_limits(call, vhost, NULL);
    else
        call_not_found(call);
}
