#include "api/call.h"

#include <stdarg.h>
#include <stdio.h>

#include "api/route.h"
#include "broker/parameter.h"
#include "broker/permission.h"
#include "session/look.h"

/* ---- the request ---- */

bool call_decode(struct call *call, struct bytes text, bool is_query, struct bytes *decoded)
{
    static const uint8_t nothing[1]; /* so that what is empty is there */
    if (!http_decode(text, is_query, &call->room, decoded))
        return false;
    if (!decoded->size)
        decoded->data = nothing;
    return true;
}

bool call_decode_query(struct call *call)
{
    struct bytes query = call->request->query, name, value;
    while (call->parameter_count < CALL_PARAMETERS_MAX &&
           http_next_parameter(&query, &name, &value)) {
        size_t at = call->parameter_count++;
        if (!call_decode(call, name, true, &call->parameters[at].name) ||
            !call_decode(call, value, true, &call->parameters[at].value))
            return false;
    }
    return query.size == 0;
}

struct bytes call_parameter(const struct call *call, const char *name)
{
    for (size_t i = 0; i < call->parameter_count; i++)
        if (bytes_equal_str(call->parameters[i].name, name))
            return call->parameters[i].value;
    return bytes_of(NULL, 0);
}

bool call_is_set(const struct call *call, const char *name)
{
    return bytes_equal_str(call_parameter(call, name), "true");
}

const struct json *call_json(struct call *call)
{
    char error[200];
    if (call->json || call->request->body.size == 0)
        return call->json;
    call->json = json_parse(call->request->body, error, sizeof(error));
    if (!call->json)
        call_fail(call, 400, "bad_request", "not_json: %s", error);
    else if (json_kind_of(call->json) != JSON_IS_OBJECT)
        call_fail(call, 400, "bad_request", "not_json: the body is no object");
    return call->status ? NULL : call->json;
}

bool call_needs(struct call *call, const char *const *names)
{
    struct buffer missing = {0};
    const struct json *body = call_json(call);
    for (; *names && !call->status; names++) {
        if (json_find(body, *names))
            continue;
        buffer_add(&missing, missing.size ? "," : "[", 1);
        buffer_add(&missing, "{key_missing,", 13);
        buffer_add(&missing, *names, strlen(*names));
        buffer_add(&missing, "}", 1);
    }
    if (missing.size)
        call_fail(call, 400, "bad_request", "%.*s]", BYTES_ARG(buffer_bytes(&missing)));
    buffer_free(&missing);
    return call->status == 0;
}

/* The member, if it is there and no null; false: it is of another kind. */
static bool find_member(struct call *call, const char *name, enum json_kind kind,
                        const struct json **member)
{
    *member = json_find(call_json(call), name);
    enum json_kind is = json_kind_of(*member);
    if (call->status)
        return false;
    if (is == JSON_IS_MISSING || is == JSON_IS_NULL)
        *member = NULL;
    else if (is != kind)
        call_fail(call, 400, "bad_request", "%s is %s, and should be %s", name, json_kind_name(is),
                  json_kind_name(kind));
    return call->status == 0;
}

/* Also "true" and "false", as RabbitMQ has it. */
bool call_read_flag(struct call *call, const char *name, bool *flag)
{
    const struct json *member = json_find(call_json(call), name);
    struct bytes text = json_text(member);
    if (bytes_equal_str(text, "true") || bytes_equal_str(text, "false")) {
        *flag = text.data[0] == 't';
        return true;
    }
    if (!find_member(call, name, JSON_IS_BOOL, &member))
        return false;
    if (member)
        *flag = json_flag(member);
    return true;
}

bool call_read_digits(struct bytes text, uint64_t *number)
{
    *number = 0;
    for (size_t i = 0; i < text.size; i++) {
        uint64_t digit = (uint64_t)text.data[i] - '0';
        if (digit > 9 || *number > (UINT64_MAX - digit) / 10)
            return false;
        *number = *number * 10 + digit;
    }
    return text.size > 0;
}

bool call_read_text(struct call *call, const char *name, struct bytes *text)
{
    const struct json *member;
    if (!find_member(call, name, JSON_IS_TEXT, &member))
        return false;
    if (member)
        *text = json_text(member);
    return true;
}

bool call_read_whole(struct call *call, const char *name, int64_t *number)
{
    const struct json *member;
    if (!find_member(call, name, JSON_IS_WHOLE, &member))
        return false;
    if (member)
        *number = json_whole(member);
    return true;
}

static bool join_words(struct call *call, const char *name, const struct json *array,
                       struct buffer *words)
{
    for (size_t i = 0; i < json_count(array); i++) {
        struct bytes word = json_text(json_item(array, i));
        if (json_kind_of(json_item(array, i)) != JSON_IS_TEXT) {
            call_fail(call, 400, "bad_request", "%s has something that is no string", name);
            return false;
        }
        if (i)
            buffer_add(words, ",", 1);
        buffer_add(words, word.data, word.size);
    }
    return true;
}

bool call_read_words(struct call *call, const char *name, struct buffer *words)
{
    struct bytes text = {0};
    const struct json *member = json_find(call_json(call), name);
    if (json_kind_of(member) == JSON_IS_ARRAY)
        return join_words(call, name, member, words);
    if (!call_read_text(call, name, &text))
        return false;
    buffer_add(words, text.data, text.size);
    return true;
}

struct bytes call_cluster_name(const struct call *call)
{
    return parameter_cluster_name(call->api->broker, call->api->options.cluster_name);
}

bool call_sees_vhost(const struct call *call, const struct vhost *vhost)
{
    return call->tags & (TAG_ADMINISTRATOR | TAG_MONITORING) ||
           permission_find(call->user, vhost_name(vhost));
}

/* Is something to be made in what the path names? */
static bool makes(const struct call *call)
{
    enum http_method method = call->request->method;
    return method == HTTP_PUT || method == HTTP_POST;
}

struct vhost *call_vhost(struct call *call, bool for_reading)
{
    return call_vhost_named(call, call->segments[0], for_reading);
}

struct vhost *call_vhost_named(struct call *call, struct bytes name, bool for_reading)
{
    struct vhost *vhost = vhost_find(call->api->broker, name);
    if (!vhost && makes(call))
        call_fail(call, 404, "not_found", "vhost_not_found");
    else if (!vhost)
        call_not_found(call);
    else if (for_reading ? !call_sees_vhost(call, vhost)
                         : call->user && !permission_find(call->user, vhost_name(vhost)))
        call_not_allowed(call, "User not authorised to access virtual host");
    return call->status ? NULL : vhost;
}

struct user *call_user(struct call *call, struct bytes name)
{
    struct user *user = user_find(call->api->broker, name);
    if (!user)
        call_not_found(call);
    return user;
}

struct bytes call_exchange_name(struct bytes segment)
{
    return bytes_equal_str(segment, "amq.default") ? bytes_of(NULL, 0) : segment;
}

/* ---- the answer ---- */

void call_answered(struct call *call)
{
    call->status = 200;
    call->state = CALL_TELLS;
}

struct fields call_tell(struct call *call)
{
    call_answered(call);
    struct fields fields = fields_of(&call->body, &call->columns);
    fields_begin(&fields, '{');
    return fields;
}

void call_told(struct call *call, struct fields *fields)
{
    (void)call;
    fields_end(fields, '}');
}

struct fields call_tell_items(struct call *call)
{
    call->status = 200;
    call->state = CALL_TELLS;
    struct fields fields = fields_of(&call->body, &call->columns);
    fields_begin(&fields, '[');
    return fields;
}

void call_told_items(struct call *call, struct fields *fields)
{
    (void)call;
    fields_end(fields, ']');
}

enum { OPERATOR_BYTES = 32 };

/* At the control socket it is a user of the system. */
static struct bytes operator_of(const struct call *call, char text[OPERATOR_BYTES])
{
    if (call->user)
        return user_name(call->user);
    if (call->user_name.size)
        return buffer_bytes(&call->user_name);
    snprintf(text, OPERATOR_BYTES, "uid:%lu", (unsigned long)call->peer->uid);
    return bytes_str(text);
}

/* What a body says is not logged: there are passwords in it. */
void call_log(const struct call *call, struct bytes name)
{
    char text[OPERATOR_BYTES];
    const struct http_request *request = call->request;
    log_event(call->api->broker->log, EVENT_changed,
              "peer=%s user=%.*s method=%s path=%.*s name=%.*s", call->peer->name,
              BYTES_ARG(operator_of(call, text)), http_method_name(request->method),
              BYTES_ARG(request->path), BYTES_ARG(name));
}

static void log_change(const struct call *call)
{
    char text[OPERATOR_BYTES];
    const struct http_request *request = call->request;
    log_event(call->api->broker->log, EVENT_changed, "peer=%s user=%.*s method=%s path=%.*s",
              call->peer->name, BYTES_ARG(operator_of(call, text)), http_method_name(request->method),
              BYTES_ARG(request->path));
}

void call_wait(struct call *call)
{
    call->state = CALL_DURABLE;
    call->promise = server_promise(call->api->server);
}

void call_done(struct call *call, bool is_new)
{
    log_change(call);
    call->status = is_new ? 201 : 204;
    call_wait(call);
}

void call_told_done(struct call *call, struct fields *fields)
{
    log_change(call);
    call_told(call, fields);
    call_wait(call);
}

void call_fail(struct call *call, int status, const char *error, const char *format, ...)
{
    char reason[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof(reason), format, arguments);
    va_end(arguments);
    call->status = status;
    call->state = CALL_TELLS;
    call->body.size = 0;
    struct fields fields = fields_of(&call->body, NULL);
    fields_begin(&fields, '{');
    fields_string(&fields, "error", error);
    fields_string(&fields, "reason", reason);
    fields_end(&fields, '}');
}

void call_not_found(struct call *call)
{
    call_fail(call, 404, "Object Not Found", "Not Found");
}

void call_not_allowed(struct call *call, const char *reason)
{
    call_fail(call, 401, "not_authorised", "%s", reason);
}

void call_fail_as(struct call *call, const struct error *error)
{
    if (error->code == 404 && makes(call))
        call_fail(call, 404, "not_found", "%s", error->detail);
    else if (error->code == 404)
        call_not_found(call);
    else if (error->code == 403)
        call_not_allowed(call, "Access refused.");
    else
        call_fail(call, 400, "bad_request", "%s", error->detail);
}
