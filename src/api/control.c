/* The settings of the running broker, whether it takes clients, and whether it has any. */
#include <stdio.h>

#include "amqp/reply.h"
#include "api/clients.h"
#include "api/leader.h"
#include "api/machine.h"
#include "api/resources.h"

enum { KEY_BYTES = 256, VALUE_BYTES = 1024, CLOSE_STEPS = 1000 };

struct telling {
    struct fields *fields;
    struct bytes key; /* the only one that is wanted; NULL data: all are */
    bool is_found;
};

static void tell(void *context, const char *key, const char *value, const char *origin)
{
    struct telling *telling = context;
    if (telling->key.data && !bytes_equal_str(telling->key, key))
        return;
    telling->is_found = true;
    fields_begin(telling->fields, '{');
    fields_string(telling->fields, "key", key);
    if (origin)
        fields_string(telling->fields, "value", value ? value : "***");
    else
        fields_null(telling->fields, "value");
    fields_string(telling->fields, "origin", origin ? origin : "default");
    fields_end(telling->fields, '}');
}

void configuration_list(struct call *call)
{
    const struct api_control *control = call->api->options.control;
    if (!control) {
        call_not_found(call);
        return;
    }
    struct fields fields = call_tell_items(call);
    struct telling telling = {.fields = &fields};
    control->settings(control, tell, &telling);
    call_told_items(call, &fields);
}

void configuration_get(struct call *call)
{
    const struct api_control *control = call->api->options.control;
    struct fields fields = fields_of(&call->body, &call->columns);
    struct telling telling = {.fields = &fields, .key = call->segments[0]};
    if (control)
        control->settings(control, tell, &telling);
    if (telling.is_found)
        call_answered(call);
    else
        call_not_found(call);
}

static bool copy_text(struct call *call, struct bytes text, char *room, size_t size)
{
    if (text.size < size && !bytes_have_nul(text)) {
        memcpy(room, text.data, text.size);
        room[text.size] = '\0';
        return true;
    }
    call_fail(call, 400, "bad_request",
              "a setting and its value are texts of this size at most: %zu", size - 1);
    return false;
}

static void end(struct call *call, bool is_done, const char *text)
{
    if (is_done)
        call_done(call, false);
    else
        call_fail(call, 400, "bad_request", "%s", text);
}

/* A text of the body that has to be there. False: the call is answered. */
static bool read_value(struct call *call, const char *name, char value[VALUE_BYTES])
{
    const char *const needed[] = {name, NULL};
    struct bytes given;
    if (!call->api->options.control) {
        call_not_found(call);
        return false;
    }
    return call_needs(call, needed) && call_read_text(call, name, &given) &&
           copy_text(call, given, value, VALUE_BYTES);
}

/* {"value": ".."}, as a file of the configuration has it. */
void configuration_put(struct call *call)
{
    const struct api_control *control = call->api->options.control;
    char key[KEY_BYTES], value[VALUE_BYTES], text[API_TEXT_BYTES];
    if (read_value(call, "value", value) && copy_text(call, call->segments[0], key, sizeof(key)))
        end(call, control->set(control, key, value, text), text);
}

/* The files and the environment count again, and what was set above does no more. */
void configuration_reload(struct call *call)
{
    const struct api_control *control = call->api->options.control;
    char text[API_TEXT_BYTES];
    if (!control) {
        call_not_found(call);
        return;
    }
    if (!control->reload(control, text)) {
        call_fail(call, 400, "bad_request", "%s", text);
        return;
    }
    struct fields fields = call_tell(call);
    fields_string(&fields, "result", text);
    call_told_done(call, &fields);
}

void log_level_put(struct call *call)
{
    const struct api_control *control = call->api->options.control;
    char value[VALUE_BYTES], text[API_TEXT_BYTES];
    if (read_value(call, "level", value))
        end(call, control->set_level(control, value, text), text);
}

/* False: the call is answered. */
static bool listen(struct call *call, bool is_open)
{
    const struct api_control *control = call->api->options.control;
    char text[API_TEXT_BYTES];
    if (!control)
        call_not_found(call);
    else if (!control->listen(control, is_open, text))
        call_fail(call, 400, "bad_request", "%s", text);
    else
        return true;
    return false;
}

static void set_listening(struct call *call, bool is_open)
{
    if (listen(call, is_open))
        call_done(call, false);
}

void listeners_suspend_post(struct call *call)
{
    set_listening(call, false);
}

void listeners_resume_post(struct call *call)
{
    set_listening(call, true);
}

/* ---- maintenance ---- */

/* The answer is still given: who ends says goodbye to all. */
void maintenance_reset(struct call *call)
{
    const struct api_control *control = call->api->options.control;
    char text[API_TEXT_BYTES];
    if (!control)
        call_not_found(call);
    else
        end(call, control->reset(control, text), text);
}

static void close_client(const struct call *call, struct client_id id, const char *reason)
{
    server_close_connection(call->api->server, id.connection, reason);
    budget_use(call->budget, CLOSE_STEPS);
}

static void send_away(void *context, struct client_id id, struct bytes tag)
{
    (void)tag;
    close_client(context, id, REPLY_MAINTENANCE);
}

static void shut_out(void *context, struct client_id id, struct bytes tag)
{
    (void)tag;
    close_client(context, id, REPLY_SHUTDOWN);
}

static void set_drained(const struct call *call, bool is_drained)
{
    const struct api_control *control = call->api->options.control;
    call->api->is_drained = is_drained;
    if (control->drained)
        control->drained(control, is_drained);
}

/* Who follows has clients whom it brings to another broker: that one says goodbye to them, as it alone knows what
 * was said. Where it does not answer they lose their connections without a word. */
static void drain_follower(struct call *call)
{
    const struct api_control *control = call->api->options.control;
    char path[64];
    if (!call->errand)
        control->send_away(control, false);
    snprintf(path, sizeof(path), "/nodes/%u/connections", machine_number(call));
    int status = leader_do(call, HTTP_DELETE, path, NULL);
    if (status == 0)
        return;
    if (status != 204)
        control->send_away(control, true);
    call_done(call, false);
}

/* Nobody comes any more, and who is there is sent away, some in each turn; then another broker of the cluster
 * serves, if there is one that can. */
void maintenance_drain(struct call *call)
{
    const struct api_control *control = call->api->options.control;
    if (!call->at && !call->errand && !listen(call, false))
        return;
    set_drained(call, true);
    if (call->is_apart) {
        drain_follower(call);
        return;
    }
    clients_change_all(call, send_away, CLOSE_STEPS);
    if (!call->has_more && control->hand_over)
        control->hand_over(control);
}

void maintenance_revive(struct call *call)
{
    if (!listen(call, true))
        return;
    set_drained(call, false);
    call_done(call, false);
}

static void send_away_there(void *context, struct client_id id, struct bytes tag)
{
    const struct call *call = context;
    struct connection_view view;
    (void)tag;
    if (server_connection(call->api->server, id.connection, &view) && view.peer->via == call->part)
        close_client(call, id, call->part ? REPLY_MAINTENANCE_THERE : REPLY_MAINTENANCE);
}

/* Of clients that have come to that broker of the cluster. */
void node_connections_delete(struct call *call)
{
    struct api_member member;
    if (!call->at && !machine_find(call, call->segments[0], &member)) {
        call_not_found(call);
        return;
    }
    if (!call->at)
        call->part = member.is_self ? 0 : member.number;
    clients_change_all(call, send_away_there, CLOSE_STEPS);
}

/* To clients and operators it is as if the broker had ended, but for what starts it again. Nothing of what it has goes. */
void maintenance_stop(struct call *call)
{
    const struct api_control *control = call->api->options.control;
    if (control && control->hand_over) {
        call_fail(call, 400, "bad_request",
                  "one broker of a cluster is not stopped by itself: drain has another one serve, and stop ends it");
        return;
    }
    if (!call->at && !listen(call, false))
        return;
    call->api->is_stopped = true;
    clients_change_all(call, shut_out, CLOSE_STEPS);
}

void maintenance_start(struct call *call)
{
    if (call->api->is_stopped) {
        if (!listen(call, true))
            return;
        set_drained(call, false);
        call->api->is_stopped = false;
    }
    call_done(call, false);
}
