/* Policies and operator policies, which differ in who may set them and in what may be in them. */
#include "api/resources.h"
#include "api/settings.h"
#include "broker/reconfigure.h"
#include "definitions/json_table.h"

enum { POLICY_STEPS = 150 };

/* ---- what one looks like ---- */

static void write_policy(const struct call *call, const struct vhost *vhost,
                         const struct policy *policy, struct fields *fields)
{
    call_write_vhost(call, vhost, fields);
    fields_text(fields, "name", policy_name(policy));
    call_write_policy(policy, fields);
}

void call_write_policy(const struct policy *policy, struct fields *fields)
{
    fields_text(fields, "pattern", pattern_text(&policy->pattern));
    fields_string(fields, "apply-to", policy_applies_to(policy));
    fields_table(fields, "definition", policy_definition(policy));
    fields_signed(fields, "priority", policy->priority);
}

/* ---- lists ---- */

static bool collect(struct listing *listing, bool is_operator)
{
    const struct policy *policy;
    const struct vhost *vhost = listing_vhost(listing);
    if (!vhost)
        return false;
    for (size_t at = 0; (policy = policy_next(vhost, is_operator, &at));)
        listing_add_named(listing, policy_name(policy));
    listing_next_vhost(listing);
    return true;
}

static bool collect_policies(struct listing *listing, struct budget *budget)
{
    (void)budget;
    return collect(listing, false);
}

static bool collect_operators(struct listing *listing, struct budget *budget)
{
    (void)budget;
    return collect(listing, true);
}

static bool write_listed(struct listing *listing, bool is_operator, struct bytes id,
                         struct fields *fields)
{
    struct bytes name;
    const struct vhost *vhost = listing_vhost_of(listing, id, &name);
    const struct policy *policy = policy_find(vhost, is_operator, name);
    if (!policy)
        return false;
    fields_begin(fields, '{');
    write_policy(listing->call, vhost, policy, fields);
    fields_end(fields, '}');
    return true;
}

static bool write_listed_policy(struct listing *listing, struct bytes id, struct fields *fields)
{
    return write_listed(listing, false, id, fields);
}

static bool write_listed_operator(struct listing *listing, struct bytes id, struct fields *fields)
{
    return write_listed(listing, true, id, fields);
}

const struct listing_kind policies_kind = {
    .collect = collect_policies, .write = write_listed_policy, .steps = POLICY_STEPS};
static const struct listing_kind operators_kind = {
    .collect = collect_operators, .write = write_listed_operator, .steps = POLICY_STEPS};

void policies_list(struct call *call)
{
    call_list_in(call, &policies_kind);
}

void operator_policies_list(struct call *call)
{
    call_list_in(call, &operators_kind);
}

/* ---- one of them ---- */

static void get(struct call *call, bool is_operator)
{
    const struct vhost *vhost = call_vhost(call, true);
    const struct policy *policy = vhost ? policy_find(vhost, is_operator, call->segments[1]) : NULL;
    if (vhost && !policy)
        call_not_found(call);
    if (!policy)
        return;
    struct fields fields = call_tell(call);
    write_policy(call, vhost, policy, &fields);
    call_told(call, &fields);
}

void policy_get(struct call *call)
{
    get(call, false);
}

void operator_policy_get(struct call *call)
{
    get(call, true);
}

static bool read_text(struct call *call, const struct json *object, const char *name,
                      struct bytes *text)
{
    const struct json *member = json_find(object, name);
    enum json_kind kind = json_kind_of(member);
    if (kind == JSON_IS_TEXT)
        *text = json_text(member);
    else if (kind != JSON_IS_MISSING)
        call_fail(call, 400, "bad_request",
                  "Validation failed\n\n%s should be a string, and is %s\n", name,
                  json_kind_name(kind));
    return call->status == 0;
}

static bool read_priority(struct call *call, const struct json *object, int64_t *priority)
{
    const struct json *member = json_find(object, "priority");
    enum json_kind kind = json_kind_of(member);
    if (kind == JSON_IS_WHOLE)
        *priority = json_whole(member);
    else if (kind != JSON_IS_MISSING)
        call_fail(call, 400, "bad_request",
                  "Validation failed\n\npriority should be a number, and is %s\n",
                  json_kind_name(kind));
    return call->status == 0;
}

static bool read_definition(struct call *call, const struct json *object, struct buffer *definition)
{
    char fault[400];
    if (!json_to_table(json_find(object, "definition"), JSON_NULL_ALLOWED, definition, fault,
                       sizeof(fault)))
        call_fail(call, 400, "bad_request", "Validation failed\n\ndefinition: %s\n", fault);
    return call->status == 0;
}

/* RabbitMQ's answer, unless there is something to say. */
static void done(struct call *call, const struct vhost *vhost, bool is_new)
{
    if (!reconfigure_keeps_mirrors(vhost)) {
        call_done(call, is_new);
        return;
    }
    struct fields fields = call_tell(call);
    fields_string(&fields, "note",
                  "what this says of mirrors applies to queues that are declared from now on: of those that are there, "
                  "some have none, or keep what they have");
    call_told_done(call, &fields);
}

void call_set_policy(struct call *call, const struct vhost *vhost, bool is_operator,
                     struct bytes name, const struct json *object)
{
    struct error error = {0};
    struct buffer definition = {0};
    struct policy_request request = {
        .is_operator = is_operator, .vhost = vhost_name(vhost), .name = name};
    bool is_new = !policy_find(vhost, is_operator, name);
    if (read_text(call, object, "pattern", &request.pattern) &&
        read_text(call, object, "apply-to", &request.apply_to) &&
        read_priority(call, object, &request.priority) &&
        read_definition(call, object, &definition)) {
        request.definition = buffer_bytes(&definition);
        if (policy_set(call->api->broker, &request, &error))
            done(call, vhost, is_new);
        else
            call_fail(call, 400, "bad_request", "Validation failed\n\n%s\n", error.detail);
    }
    buffer_free(&definition);
}

static void put(struct call *call, bool is_operator)
{
    static const char *const needed[] = {"pattern", "definition", NULL};
    const struct vhost *vhost = call_vhost(call, true);
    if (vhost && call_needs(call, needed))
        call_set_policy(call, vhost, is_operator, call->segments[1], call_json(call));
}

void policy_put(struct call *call)
{
    put(call, false);
}

void operator_policy_put(struct call *call)
{
    put(call, true);
}

void call_delete_policy(struct call *call, const struct vhost *vhost, bool is_operator,
                        struct bytes name)
{
    struct error error = {0};
    if (policy_delete(call->api->broker, is_operator, vhost_name(vhost), name, &error))
        done(call, vhost, false);
    else
        call_fail_as(call, &error);
}

void policy_delete_it(struct call *call)
{
    const struct vhost *vhost = call_vhost(call, true);
    if (vhost)
        call_delete_policy(call, vhost, false, call->segments[1]);
}

void operator_policy_delete_it(struct call *call)
{
    const struct vhost *vhost = call_vhost(call, true);
    if (vhost)
        call_delete_policy(call, vhost, true, call->segments[1]);
}
