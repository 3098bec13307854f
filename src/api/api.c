/* Who asks, whether he may, and then the function of the resource; and how its answer goes out. */
#include "api/api.h"

#include <ctype.h>
#include <strings.h>

#include "api/cors.h"
#include "api/leader.h"
#include "api/listing.h"
#include "api/rates.h"
#include "api/resources.h"
#include "api/route.h"
#include "api/settings.h"
#include "base/base64.h"
#include "base/mem.h"
#include "broker/login.h"
#include "broker/name.h"
#include "session/look.h"

enum { BODY_MAX = 1 << 20, DEFINITIONS_MAX = 64 << 20 };
enum { PIECE_BYTES = 16384, STEPS_OF_A_CALL = 1000 };

/* ---- who asks ---- */

static unsigned allowed_of(enum audience audience)
{
    switch (audience) {
    case FOR_ADMINISTRATORS:
        return TAG_ADMINISTRATOR;
    case FOR_MONITORING:
        return TAG_ADMINISTRATOR | TAG_MONITORING;
    case FOR_POLICYMAKERS:
        return TAG_ADMINISTRATOR | TAG_POLICYMAKER;
    default:
        return TAG_ADMINISTRATOR | TAG_MONITORING | TAG_POLICYMAKER | TAG_MANAGEMENT;
    }
}

static const char *refusal_of(enum audience audience)
{
    switch (audience) {
    case FOR_ADMINISTRATORS:
        return "Not administrator user";
    case FOR_MONITORING:
        return "Not monitor user";
    case FOR_POLICYMAKERS:
        return "User not authorised to access object";
    default:
        return "Not management user";
    }
}

/* After a refusal nobody learns for a while that it was one. */
static void refuse_login(struct call *call)
{
    call_fail(call, 401, "not_authorized", "Login failed");
    call->state = CALL_REFUSED;
    call->until_ms = server_now_ms(call->api->server) + server_auth_delay_ms(call->api->server);
}

/* "Basic " and the name, a colon and the password, in base64. */
static bool read_basic(struct bytes value, struct buffer *text, struct bytes *name,
                       struct bytes *password)
{
    if (value.size < 6 || strncasecmp((const char *)value.data, "basic ", 6) != 0 ||
        !base64_read(bytes_of(value.data + 6, value.size - 6), text))
        return false;
    const uint8_t *colon = text->size ? memchr(text->data, ':', text->size) : NULL;
    if (!colon)
        return false;
    *name = bytes_of(text->data, (size_t)(colon - text->data));
    *password = bytes_of(colon + 1, text->size - name->size - 1);
    return true;
}

static void log_in(struct call *call, struct bytes name, struct bytes password)
{
    char reason[320];
    if (!server_log_in(call->api->server, name, password, call->peer, &call->login, &call->user,
                       reason, sizeof(reason))) {
        call->state = CALL_LOGS_IN;
        return;
    }
    if (call->user) {
        user_hold(call->user);
        call->tags = call->user->tags;
        return;
    }
    log_event(call->api->broker->log, EVENT_login_refused,
              "peer=%s user=%.*s mechanism=HTTP reason=%s", call->peer->name, BYTES_ARG(name),
              reason);
    refuse_login(call);
}

/* Who comes by the control socket was let in by the system; he may still say that he is a user. */
static void identify(struct call *call)
{
    struct bytes name, password, field = http_field_of(call->request, "authorization");
    struct buffer text = {0};
    if (!field.data && call->peer->is_unix)
        call->tags = TAG_ADMINISTRATOR;
    else if (!field.data)
        call_fail(call, 401, "not_authorized", "Login failed");
    else if (call->is_apart)
        leader_identify(call);
    else if (read_basic(field, &text, &name, &password))
        log_in(call, name, password);
    else
        refuse_login(call);
    buffer_free(&text);
}

static void check_access(struct call *call)
{
    enum http_method method = call->request->method;
    enum audience audience = call_is_reading(call) ? call->route->reads : call->route->writes;
    if (audience == FOR_ANYONE || method == HTTP_OPTIONS)
        return;
    identify(call);
    if (call->state != CALL_LOGS_IN && call->status == 0 && !(call->tags & allowed_of(audience)))
        call_not_allowed(call, refusal_of(audience));
}

/* ---- what is asked for ---- */

/* What follows the prefix and "/api" in the path. */
static bool read_path(const char *prefix, const struct http_request *request, struct bytes *path)
{
    *path = request->path;
    size_t size = strlen(prefix);
    if (!bytes_start_with(*path, prefix))
        return false;
    *path = bytes_of(path->data + size, path->size - size);
    if (!bytes_start_with(*path, "/api/"))
        return false;
    *path = bytes_of(path->data + 4, path->size - 4);
    return true;
}

/* What something is to be made of has a name that AMQP can have. */
static bool has_names(const struct call *call)
{
    enum http_method method = call->request->method;
    if (method != HTTP_PUT && method != HTTP_POST)
        return true;
    for (size_t i = 0; i < CALL_SEGMENTS_MAX; i++)
        if (call->segments[i].size > NAME_MAX_SIZE)
            return false;
    return true;
}

/* What may be asked of a broker that is stopped. */
static bool is_of_stopped(struct bytes path)
{
    return bytes_start_with(path, "/maintenance/") || bytes_start_with(path, "/log/") ||
           bytes_start_with(path, "/config") || bytes_equal_str(path, "/version");
}

/* Who it is, is told all the same: it is there, and may be started. */
static void refuse_stopped(struct call *call)
{
    struct fields fields = fields_of(&call->body, NULL);
    call->status = 503;
    call->state = CALL_TELLS;
    fields_begin(&fields, '{');
    fields_string(&fields, "error", "app_stopped");
    fields_string(&fields, "reason", "this broker was stopped by stop_app, and start_app starts it again");
    fields_string(&fields, "node", call->api->options.node);
    fields_end(&fields, '}');
}

static void read_request(struct call *call)
{
    bool is_bare = call->peer->is_unix || call->peer->is_relayed;
    const char *prefix = is_bare ? "" : call->api->options.path_prefix;
    buffer_room(&call->room, call->request->path.size + call->request->query.size + 1);
    if (!call_decode_query(call) || !columns_read(&call->columns, call_parameter(call, "columns")))
        call_fail(call, 400, "bad_request", "the query cannot be read");
    else if (!read_path(prefix, call->request, &call->path) || !(call->route = route_find(call, call->path)))
        call_not_found(call);
    else if (call->request->method != HTTP_OPTIONS &&
             !route_act(call->route, call->request->method))
        call_fail(call, 405, "Method Not Allowed", "Method Not Allowed");
    else if (!has_names(call))
        call_fail(call, 400, "bad_request", "a name has at most %d bytes", NAME_MAX_SIZE);
    else if (call->api->is_stopped && !is_of_stopped(call->path))
        refuse_stopped(call);
    else
        leader_look(call);
}

/* What was changed goes on in the next turn, at once; who only waits, once more, has changed nothing. */
static void go_on_at_once(struct call *call)
{
    bool has_acted = !call->was_called || call->state != CALL_ACTS || call->has_more;
    if (has_acted && !call_is_reading(call))
        server_go_on(call->api->server);
    call->was_called = true;
}

/* The function, with who asks as the one who does it. */
static void act_now(struct call *call, struct budget *budget)
{
    struct broker *broker = call->api->broker;
    if (call->request->method == HTTP_OPTIONS) {
        call->status = 200;
        call->state = CALL_TELLS;
        return;
    }
    broker->actor = call->user;
    call->budget = budget;
    call->has_more = false;
    route_act(call->route, call->request->method)(call);
    broker->actor = NULL;
    go_on_at_once(call);
    budget_use(budget, STEPS_OF_A_CALL);
}

/* ---- the answer ---- */

static void add_field(struct buffer *out, const char *text)
{
    buffer_add(out, text, strlen(text));
}

/* Under which name a browser is to keep it; what could end the field is no part of that. */
static void write_disposition(const struct call *call, struct http_head *head)
{
    struct bytes name = call_parameter(call, "download");
    if (!call->is_export || !name.size)
        return;
    add_field(&head->fields, "content-disposition: attachment; filename=");
    for (size_t i = 0; i < name.size; i++)
        buffer_add_u8(&head->fields, isalnum(name.data[i]) || strchr("._-", name.data[i])
                                         ? name.data[i]
                                         : '_');
    add_field(&head->fields, "\r\n");
}

static void add_header(struct buffer *fields, const char *name, const char *value)
{
    if (!value)
        return;
    add_field(fields, name);
    add_field(fields, ": ");
    add_field(fields, value);
    add_field(fields, "\r\n");
}

static void write_policies(const struct call *call, struct buffer *fields)
{
    static const struct api_headers usual;
    const struct api_headers *headers = call->api->options.headers;
    if (!headers)
        headers = &usual;
    add_header(fields, "content-security-policy",
               headers->content_security_policy ? headers->content_security_policy
                                                : "default-src 'self'");
    add_header(fields, "strict-transport-security", headers->strict_transport_security);
    add_header(fields, "x-content-type-options", headers->content_type_options);
    add_header(fields, "x-frame-options", headers->frame_options);
    add_header(fields, "x-xss-protection", headers->xss_protection);
}

static void write_head(const struct call *call, struct http_head *head)
{
    head->status = call->status;
    bool has_body = call->state == CALL_LISTS || call->body.size > 0;
    head->type = has_body ? "application/json" : NULL;
    add_field(&head->fields, "cache-control: no-cache\r\n"
                             "vary: accept, accept-encoding, origin\r\n");
    write_policies(call, &head->fields);
    write_disposition(call, head);
    cors_write(call, &head->fields);
    if (call->location.size) {
        add_field(&head->fields, "location: ");
        buffer_add(&head->fields, call->location.data, call->location.size);
        add_field(&head->fields, "\r\n");
    }
    if (call->status == 401)
        add_field(&head->fields, "www-authenticate: Basic realm=\"RabbitMQ Management\"\r\n");
    if (call->route && (call->request->method == HTTP_OPTIONS || call->status == 405)) {
        add_field(&head->fields, "allow: ");
        route_write_methods(call->route, &head->fields);
        add_field(&head->fields, "\r\n");
    }
}

/* A piece of what is in call->body. */
static enum http_progress tell(struct call *call, struct buffer *body)
{
    size_t left = call->body.size - call->told;
    size_t size = left < PIECE_BYTES ? left : PIECE_BYTES;
    if (size)
        buffer_add(body, call->body.data + call->told, size);
    call->told += size;
    return left > size ? HTTP_MORE : HTTP_ENDS;
}

static bool is_durable(struct call *call)
{
    switch (server_promise_state(call->api->server, &call->promise)) {
    case TICKET_DURABLE:
        return true;
    case TICKET_FAILED:
        call_fail(call, 500, "internal_error", "the journal cannot be written; see the log");
        return true;
    default:
        return false;
    }
}

static enum http_progress go_on(struct http_answer *answer, struct http_head *head,
                                struct buffer *body, struct budget *budget)
{
    struct call *call = (struct call *)(void *)answer;
    if (call->state == CALL_LOGS_IN) {
        call->state = CALL_ACTS;
        check_access(call);
    }
    if (call->state == CALL_LOGS_IN)
        return HTTP_WAITS;
    if (call->state == CALL_BROUGHT) {
        enum http_progress progress = leader_go_on(call, head, body, budget);
        if (call->state == CALL_BROUGHT || progress == HTTP_ENDS)
            return progress;
    }
    if (call->state == CALL_ACTS)
        act_now(call, budget);
    if (call->state == CALL_ACTS)
        return call->has_more ? HTTP_MORE : HTTP_WAITS;
    if (call->state == CALL_REFUSED && server_now_ms(call->api->server) < call->until_ms)
        return HTTP_WAITS;
    if (call->state == CALL_DURABLE && !is_durable(call))
        return HTTP_WAITS;
    if (call->state == CALL_LISTS) {
        enum http_progress progress = listing_go_on(call->listing, body, budget);
        if (progress == HTTP_ENDS && call->is_export && call_next_section(call, body))
            progress = HTTP_MORE;
        if (body->size && !head->status)
            write_head(call, head);
        if (call->state == CALL_LISTS)
            return progress;
    }
    call->state = CALL_TELLS;
    if (!head->status)
        write_head(call, head);
    return tell(call, body);
}

static void call_free(struct http_answer *answer)
{
    struct call *call = (struct call *)(void *)answer;
    if (call->work)
        call->drop(call);
    leader_leave(call->errand);
    listing_free(call->listing);
    login_free(call->login);
    json_release(call->json);
    buffer_free(&call->room);
    buffer_free(&call->body);
    buffer_free(&call->location);
    buffer_free(&call->user_name);
    if (call->user)
        user_release(call->user);
    mem_free(call);
}

static const struct http_answer_ops call_ops = {go_on, call_free};

static struct http_answer *ask(struct http_handler *handler, const struct http_request *request,
                               const struct peer *peer, const struct conversation *client)
{
    struct call *call = mem_zalloc(sizeof(*call));
    call->answer.ops = &call_ops;
    call->api = (struct api *)(void *)handler;
    call->request = request;
    call->peer = peer;
    call->client = client;
    read_request(call);
    if (!call->status && call->state != CALL_BROUGHT)
        check_access(call);
    return &call->answer;
}

/* JSON is read in one go, about 70 bytes in a microsecond. Definitions are as large as they are. */
static size_t body_max(struct http_handler *handler, const struct http_request *request)
{
    const struct api *api = (const struct api *)(void *)handler;
    struct bytes path;
    bool is_whole = (read_path(api->options.path_prefix, request, &path) ||
                     read_path("", request, &path)) &&
                    (bytes_start_with(path, "/definitions") ||
                     bytes_start_with(path, "/all-configuration"));
    return is_whole ? DEFINITIONS_MAX : BODY_MAX;
}

/* ---- the whole ---- */

struct api *api_new(const struct api_options *options, struct server *server, struct broker *broker)
{
    struct api *api = mem_zalloc(sizeof(*api));
    *api = (struct api){
        .handler = {.ask = ask, .body_max = body_max},
        .options = *options,
        .server = server,
        .broker = broker,
        .begun_ms = server_now_ms(server),
        .is_drained = options->is_drained,
        .begun_queues = broker->queues_made,
    };
    api->rates = rates_new(api, api->begun_ms);
    return api;
}

void api_free(struct api *api)
{
    rates_free(api->rates);
    mem_free(api);
}

struct service *api_service(struct api *api)
{
    return rates_service(api->rates);
}

struct http_handler *api_handler(struct api *api)
{
    return &api->handler;
}
