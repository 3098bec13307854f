/* Parameters. Some are kept elsewhere, and had here by another name: operator policies, policies
 * (to be looked at), and limits of virtual hosts. The others are kept as they are. */
#include "api/resources.h"
#include "api/settings.h"
#include "broker/parameter.h"

enum { PARAMETER_STEPS = 150 };

/* ---- components ---- */

enum component { OPERATOR_POLICY, POLICY, VHOST_LIMITS, KEPT, UNKNOWN };

static const char *const names[] = {"operator_policy", "policy", "vhost-limits"};

static enum component component_of(struct bytes name)
{
    enum component component = OPERATOR_POLICY;
    while (component < KEPT && !bytes_equal_str(name, names[component]))
        component++;
    return component == KEPT && !parameter_has_component(name) ? UNKNOWN : component;
}

static bool has_limits(const struct vhost *vhost, struct bytes name)
{
    return bytes_equal_str(name, "limits") && vhost_has_limits(vhost);
}

/* ---- what one looks like ---- */

static void write_value(const struct parameter *parameter, struct fields *fields)
{
    if (parameter->is_text)
        fields_text(fields, "value", parameter_value(parameter));
    else
        fields_written(fields, "value", parameter_value(parameter));
}

static void write_kept(const struct call *call, const struct vhost *vhost,
                       const struct parameter *parameter, struct fields *fields)
{
    fields_begin(fields, '{');
    call_write_vhost(call, vhost, fields);
    fields_text(fields, "component", parameter_component(parameter));
    fields_text(fields, "name", parameter_name(parameter));
    write_value(parameter, fields);
    fields_end(fields, '}');
}

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

/* The component that is asked for; no bytes: all of them are. */
static struct bytes wanted_of(const struct listing *listing)
{
    return listing->call->is_export ? bytes_of(NULL, 0) : listing->call->segments[0];
}

/* Policies only if they are asked for. */
static void add_named(struct listing *listing, const struct vhost *vhost)
{
    struct bytes limits = bytes_str("limits"), wanted = wanted_of(listing);
    enum component component = component_of(wanted);
    if (!wanted.data || component == OPERATOR_POLICY)
        add_policies(listing, vhost, true);
    if (wanted.data && component == POLICY)
        add_policies(listing, vhost, false);
    if ((!wanted.data || component == VHOST_LIMITS) && has_limits(vhost, limits))
        add(listing, VHOST_LIMITS, limits);
}

static void add_kept(void *context, void *value)
{
    struct listing *listing = context;
    const struct parameter *parameter = value;
    struct bytes wanted = wanted_of(listing);
    if (!wanted.data || bytes_equal(wanted, parameter_component(parameter)))
        add(listing, KEPT, bytes_of(parameter->key, parameter->key_size));
}

static bool collect(struct listing *listing, struct budget *budget)
{
    const struct vhost *vhost = listing_vhost(listing);
    (void)budget;
    if (!vhost)
        return false;
    if (listing->at == 0)
        add_named(listing, vhost);
    return listing_walk(listing, &vhost->parameters, add_kept);
}

static bool write_listed(struct listing *listing, struct bytes id, struct fields *fields)
{
    struct bytes name;
    const struct vhost *vhost = listing_vhost_of(listing, id, &name);
    if (name.data[0] == KEPT) {
        const struct parameter *parameter =
            map_find(&vhost->parameters, bytes_of(name.data + 1, name.size - 1));
        if (parameter)
            write_kept(listing->call, vhost, parameter, fields);
        return parameter;
    }
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

static struct parameter_name name_of(const struct call *call)
{
    return (struct parameter_name){
        .component = call->segments[0], .vhost = call->segments[1], .name = call->segments[2]};
}

static bool get_kept(struct call *call, const struct vhost *vhost, struct fields *fields)
{
    struct parameter_name name = name_of(call);
    const struct parameter *parameter = parameter_find(call->api->broker, &name);
    if (parameter)
        write_kept(call, vhost, parameter, fields);
    return parameter;
}

void parameter_get(struct call *call)
{
    const struct vhost *vhost = call_vhost_named(call, call->segments[1], true);
    if (!vhost)
        return;
    struct fields fields = fields_of(&call->body, &call->columns);
    enum component component = component_of(call->segments[0]);
    if (component == KEPT ? get_kept(call, vhost, &fields)
                          : component != UNKNOWN &&
                                write_parameter(call, vhost, component, call->segments[2], &fields))
        call_answered(call);
    else
        call_not_found(call);
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

/* Sets it, and answers the call. */
static void set_parameter(struct call *call, struct parameter_request *request,
                          const struct json *value)
{
    struct error error = {0};
    struct buffer text = {0};
    struct json_writer writer = json_writer_of(&text);
    struct broker *broker = call->api->broker;
    bool is_new = !parameter_find(broker, &request->name);
    request->is_text = json_kind_of(value) == JSON_IS_TEXT;
    if (!request->is_text)
        json_put(&writer, value);
    request->value = request->is_text ? json_text(value) : buffer_bytes(&text);
    if (parameter_set(broker, request, &error))
        call_done(call, is_new);
    else
        call_fail(call, 400, "bad_request", "Validation failed\n\n%s\n", error.detail);
    buffer_free(&text);
}

/* Nothing here acts on it, so that whoever expects that is told. */
static void keep(struct call *call, const struct json *value)
{
    struct parameter_request request = {.name = name_of(call)};
    bool is_list = json_kind_of(value) == JSON_IS_ARRAY;
    if (!is_list && !is_object(call, value))
        return;
    set_parameter(call, &request, value);
    if (call->state == CALL_DURABLE)
        log_event(call->api->broker->log, EVENT_parameter_kept,
                  "component=%.*s vhost=%.*s name=%.*s", BYTES_ARG(request.name.component),
                  BYTES_ARG(request.name.vhost), BYTES_ARG(request.name.name));
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
    else if (component == KEPT)
        keep(call, value);
    else if (is_object(call, value) && component == VHOST_LIMITS)
        set_limits(call, vhost, value);
    else if (!call->status)
        call_set_policy(call, vhost, true, call->segments[2], value);
}

static void delete_parameter(struct call *call, const struct parameter_name *name)
{
    struct error error = {0};
    if (parameter_delete(call->api->broker, name, &error))
        call_done(call, false);
    else
        call_fail_as(call, &error);
}

void parameter_delete_it(struct call *call)
{
    const struct parameter_name name = name_of(call);
    const struct vhost *vhost = call_vhost_named(call, call->segments[1], true);
    enum component component = component_of(call->segments[0]);
    if (!vhost)
        return;
    if (component == OPERATOR_POLICY)
        call_delete_policy(call, vhost, true, call->segments[2]);
    else if (component == VHOST_LIMITS && has_limits(vhost, call->segments[2]))
        call_set_vhost_limits(call, vhost, NULL);
    else if (component == KEPT)
        delete_parameter(call, &name);
    else
        call_not_found(call);
}

/* ---- of no virtual host ---- */

static void write_global(const struct parameter *parameter, struct fields *fields)
{
    fields_begin(fields, '{');
    fields_text(fields, "name", parameter_name(parameter));
    write_value(parameter, fields);
    fields_end(fields, '}');
}

static void add_global(void *context, void *value)
{
    listing_add(context, parameter_name(value));
}

static bool collect_global(struct listing *listing, struct budget *budget)
{
    (void)budget;
    return map_each_of_part(&listing->call->api->broker->parameters, &listing->at, add_global,
                            listing);
}

static bool write_listed_global(struct listing *listing, struct bytes id, struct fields *fields)
{
    struct parameter_name name = {.is_global = true, .name = id};
    const struct parameter *parameter = parameter_find(listing->call->api->broker, &name);
    if (parameter)
        write_global(parameter, fields);
    return parameter;
}

const struct listing_kind global_parameters_kind = {
    .collect = collect_global, .write = write_listed_global, .steps = PARAMETER_STEPS};

void global_parameters_list(struct call *call)
{
    call_list(call, &global_parameters_kind, NULL);
}

void global_parameter_get(struct call *call)
{
    struct parameter_name name = {.is_global = true, .name = call->segments[0]};
    const struct parameter *parameter = parameter_find(call->api->broker, &name);
    struct fields fields = fields_of(&call->body, &call->columns);
    if (!parameter) {
        call_not_found(call);
        return;
    }
    write_global(parameter, &fields);
    call_answered(call);
}

void global_parameter_put(struct call *call)
{
    static const char *const needed[] = {"value", NULL};
    struct parameter_request request = {.name = {.is_global = true, .name = call->segments[0]}};
    if (call_needs(call, needed))
        set_parameter(call, &request, json_find(call_json(call), "value"));
}

void global_parameter_delete_it(struct call *call)
{
    struct parameter_name name = {.is_global = true, .name = call->segments[0]};
    delete_parameter(call, &name);
}

/* ---- one of these, by another name ---- */

void cluster_name_get(struct call *call)
{
    struct fields fields = call_tell(call);
    fields_text(&fields, "name", call_cluster_name(call));
    call_told(call, &fields);
}

void cluster_name_put(struct call *call)
{
    static const char *const needed[] = {"name", NULL};
    struct parameter_request request = {
        .name = {.is_global = true, .name = bytes_str("cluster_name")}};
    struct bytes name = {0};
    if (!call_needs(call, needed) || !call_read_text(call, "name", &name))
        return;
    if (name.size == 0)
        call_fail(call, 400, "bad_request", "name should be a string that is not empty");
    else
        set_parameter(call, &request, json_find(call_json(call), "name"));
    if (call->status == 201)
        call->status = 204;
}
