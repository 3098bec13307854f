/* A request goes as a conversation of its own, which ends with it: what is one client's connection here may ask both
 * brokers in turn. What is sent there is the request as it was understood here, so that the two cannot read it
 * differently, and with the address of the client, by which attempts to log in are counted. */
#include "api/leader.h"

#include <stdio.h>

#include "api/machine.h"
#include "api/resources.h"
#include "api/route.h"
#include "base/mem.h"
#include "http/reply.h"
#include "http/text.h"

enum { PARTS = 8, PIECE_BYTES = 16384, FIRST_BYTES = 32768, INPUT_BYTES = 262144, COLLECT_BYTES = 1 << 20 };

#define LOST "the broker that leads was lost, or not reached, before it had answered"
#define LOST_OTHER "the broker that was named was lost, or not reached, before it had answered"
/* Which broker of the cluster is asked. */
#define NODE_FIELD "x-leveret-node"

/* ---- a request on its way ---- */

struct errand {
    struct conversation *way;
    struct buffer said; /* the head, and what fits of the body */
    struct bytes left;  /* of the body, which is the request's */
    bool has_said;
    bool has_begun; /* some of the answer has gone to the client */
    bool is_named;  /* it goes to a broker that the client has named */
    struct http_reply reply;
    struct buffer answer; /* of one that is looked at as a whole */
};

static void add(struct buffer *out, const char *text)
{
    buffer_add(out, text, strlen(text));
}

/* What is about the client's connection, or said anew. */
static bool is_left_out(struct bytes name)
{
    static const char *const names[] = {"accept-encoding", "connection", "content-length",    "expect",  "keep-alive",
                                        "te",              "trailer",    "transfer-encoding", "upgrade", NODE_FIELD};
    return http_is_one_of(name, names, sizeof(names) / sizeof(names[0]));
}

static void add_field(struct buffer *out, struct bytes name, struct bytes value)
{
    buffer_add(out, name.data, name.size);
    add(out, ": ");
    if (value.size)
        buffer_add(out, value.data, value.size);
    add(out, "\r\n");
}

static void write_end(struct buffer *out, size_t size)
{
    char text[64];
    snprintf(text, sizeof(text), "content-length: %zu\r\nconnection: close\r\n\r\n", size);
    add(out, text);
}

/* The path is that behind this broker's prefix; there is none where it goes. A HEAD is a GET, whose body the client's
 * end drops. */
static void write_request(const struct call *call, struct buffer *out)
{
    const struct http_request *request = call->request;
    add(out, http_method_name(call_is_reading(call) ? HTTP_GET : request->method));
    add(out, " /api");
    buffer_add(out, call->path.data, call->path.size);
    if (request->query.size) {
        add(out, "?");
        buffer_add(out, request->query.data, request->query.size);
    }
    add(out, " HTTP/1.1\r\n");
    if (!http_field_of(request, "host").data)
        add(out, "host: localhost\r\n");
    for (size_t i = 0; i < request->field_count; i++)
        if (!is_left_out(request->fields[i].name))
            add_field(out, request->fields[i].name, request->fields[i].value);
    write_end(out, request->body.size);
}

/* What this broker itself wants to know, or to be done, in the name of who asks. */
static void write_own(const struct call *call, enum http_method method, const char *path, struct buffer *out)
{
    struct bytes login = http_field_of(call->request, "authorization");
    add(out, http_method_name(method));
    add(out, " /api");
    add(out, path);
    add(out, " HTTP/1.1\r\nhost: localhost\r\n");
    if (login.data)
        add_field(out, bytes_str("authorization"), login);
    write_end(out, 0);
}

struct service *leader_service(const struct call *call)
{
    const struct api_control *control = call->api->options.control;
    return control->leader ? control->leader(control) : NULL;
}

/* The client's own socket carries it, as far as services can tell. */
static struct errand *errand_new(const struct call *call, struct service *leader)
{
    struct errand *errand = mem_zalloc(sizeof(*errand));
    struct peer peer = *call->peer;
    peer.is_relayed = true;
    errand->way = service_accept(leader, &peer, call->client->owner);
    conversation_same_peer(errand->way, call->client);
    return errand;
}

void leader_leave(struct errand *errand)
{
    if (!errand)
        return;
    conversation_free(errand->way);
    http_reply_free(&errand->reply);
    buffer_free(&errand->said);
    buffer_free(&errand->answer);
    mem_free(errand);
}

static void say(struct errand *errand)
{
    struct bytes piece = buffer_bytes(&errand->said);
    if (conversation_is_finished(errand->way) || !conversation_wants_input(errand->way))
        return;
    if (errand->has_said) {
        piece = bytes_of(errand->left.data, errand->left.size < INPUT_BYTES ? errand->left.size : INPUT_BYTES);
        errand->left.size -= piece.size;
        errand->left.data = errand->left.size ? errand->left.data + piece.size : NULL;
    }
    errand->has_said = true;
    if (piece.size)
        conversation_input(errand->way, piece);
}

static void begin(struct errand *errand, struct bytes body)
{
    size_t size = body.size < FIRST_BYTES ? body.size : FIRST_BYTES;
    if (size)
        buffer_add(&errand->said, body.data, size);
    errand->left = bytes_of(size < body.size ? body.data + size : NULL, body.size - size);
    say(errand);
}

/* What has come of the answer, at most `most` bytes of its body. HTTP_WRONG: no more will come. */
static enum http_reading hear(struct errand *errand, struct buffer *body, size_t most)
{
    struct iovec parts[PARTS];
    enum http_reading reading = HTTP_READING;
    size_t taken = 0, before = body->size;
    int count = conversation_output(errand->way, parts, PARTS);
    for (int i = 0; i < count && reading == HTTP_READING; i++) {
        struct bytes bytes = bytes_of(parts[i].iov_base, parts[i].iov_len);
        reading = http_reply_take(&errand->reply, &bytes, body, most - (body->size - before));
        taken += parts[i].iov_len - bytes.size;
        if (bytes.size)
            break;
    }
    conversation_sent(errand->way, taken);
    bool is_over = taken == 0 && conversation_is_finished(errand->way);
    return reading == HTTP_READING && is_over ? HTTP_WRONG : reading;
}

/* ---- what is answered here ---- */

/* What each broker says of itself in an answer that is the leader's otherwise. */
static const struct shared {
    const char *path;
    const char *own[6];
} shared[] = {
    {"/overview", {"node", "listeners", "contexts", "product_name", "product_version", "rabbitmq_version"}},
    {"/facts", {"clock_ms", "file_system"}},
};

enum { SHARED = sizeof(shared) / sizeof(shared[0]), OWN = sizeof(shared[0].own) / sizeof(shared[0].own[0]) };

static const struct shared *shared_of(const struct call *call)
{
    for (size_t i = 0; i < SHARED; i++)
        if (strcmp(shared[i].path, call->route->path) == 0)
            return &shared[i];
    return NULL;
}

/* The name, if it is one of those; else NULL. */
static const char *own_name(const struct shared *which, struct bytes name)
{
    for (size_t i = 0; i < OWN && which->own[i]; i++)
        if (bytes_equal_str(name, which->own[i]))
            return which->own[i];
    return NULL;
}

/* Is nothing else wanted? */
static bool are_columns_own(const struct call *call, const struct shared *which)
{
    const struct columns *columns = &call->columns;
    for (size_t i = 0; i < columns->count; i++)
        if (!own_name(which, columns->paths[i].names[0]))
            return false;
    return columns->count > 0;
}

/* By its name, or its number. */
static bool is_self(const struct call *call, struct bytes name)
{
    struct api_member member;
    return machine_find(call, name, &member) && member.is_self;
}

static bool is_for_self(const struct call *call)
{
    const struct shared *which = shared_of(call);
    return call->request->method == HTTP_OPTIONS || call->route->where == ANSWERED_HERE ||
           (call->route->where == ANSWERED_BY_NODE && call_is_reading(call) && is_self(call, call->segments[0])) ||
           (which && are_columns_own(call, which));
}

static void bring(struct call *call, struct service *service)
{
    call->state = CALL_BROUGHT;
    call->errand = errand_new(call, service);
    write_request(call, &call->errand->said);
    begin(call->errand, call->request->body);
}

/* The field does not go along: who is asked there is itself. */
static void bring_to(struct call *call, struct bytes name)
{
    const struct api_control *control = call->api->options.control;
    struct api_member member;
    struct service *other = NULL;
    if (!machine_find(call, name, &member)) {
        call_fail(call, 404, "not_in_cluster", "no broker of this cluster is called %.*s", BYTES_ARG(name));
        return;
    }
    if (member.is_up)
        other = control->other(control, member.number);
    if (!other) {
        call_fail(call, 503, "node_down", "%s does not run, or is not reached from %s", member.name,
                  call->api->options.node);
        return;
    }
    bring(call, other);
    call->errand->is_named = true;
}

void leader_look(struct call *call)
{
    const struct api_control *control = call->api->options.control;
    struct bytes named = http_field_of(call->request, NODE_FIELD);
    char text[API_TEXT_BYTES];
    struct service *leader;
    if (named.data && !is_self(call, named)) {
        bring_to(call, named);
        return;
    }
    if (!control || !control->serves || control->serves(control, text))
        return;
    if (is_for_self(call)) {
        call->is_apart = true;
    } else if ((leader = leader_service(call))) {
        bring(call, leader);
    } else {
        call_fail(call, 503, "not_leading", "%s", text);
    }
}

/* ---- what is answered there ---- */

static void write_head(struct errand *errand, struct http_head *head)
{
    const struct http_reply *reply = &errand->reply;
    errand->has_begun = true;
    head->status = reply->status;
    head->type = reply->type[0] ? reply->type : NULL;
    if (reply->fields.size)
        buffer_add(&head->fields, reply->fields.data, reply->fields.size);
}

/* What was to be changed may have been: that is what the status says, which no other answer here has. */
static void fail(struct call *call)
{
    bool is_named = call->errand->is_named;
    call_fail(call, 502, is_named ? "node_lost" : "leader_lost", "%s; %s", is_named ? LOST_OTHER : LOST,
              call_is_reading(call) ? "ask again" : "what was asked for may have been done: look, and ask again");
}

static enum http_progress hand_on(struct call *call, struct http_head *head, struct buffer *body)
{
    struct errand *errand = call->errand;
    enum http_reading reading = hear(errand, body, PIECE_BYTES);
    say(errand);
    if (!errand->has_begun && (body->size || reading == HTTP_WHOLE))
        write_head(errand, head);
    if (reading == HTTP_WHOLE)
        return HTTP_ENDS;
    if (reading == HTTP_WRONG && errand->has_begun)
        return HTTP_FAILS;
    if (reading == HTTP_WRONG)
        fail(call);
    return body->size ? HTTP_MORE : HTTP_WAITS;
}

/* The leader's members, but for those of which this broker's own are in call->body. */
static void merge(struct call *call, const struct shared *which, struct buffer *out)
{
    char error[200];
    struct bytes name;
    const struct json *value;
    struct json *there = json_parse(buffer_bytes(&call->errand->answer), error, sizeof(error));
    struct json *here = json_parse(buffer_bytes(&call->body), error, sizeof(error));
    struct json_writer writer = json_writer_of(out);
    struct json_walk walk = json_walk_of(there);
    json_open(&writer, '{');
    while (json_next(&walk, &name, &value)) {
        const char *own = own_name(which, name);
        const struct json *mine = own ? json_find(here, own) : NULL;
        json_name(&writer, name);
        json_put(&writer, mine ? mine : value);
    }
    json_close(&writer, '}');
    json_release(there);
    json_release(here);
}

/* Both are there as a whole before any of it is told. */
static enum http_progress share(struct call *call, const struct shared *which, struct http_head *head,
                                struct buffer *body, struct budget *budget)
{
    struct errand *errand = call->errand;
    enum http_reading reading = hear(errand, &errand->answer, COLLECT_BYTES - errand->answer.size);
    if (reading == HTTP_READING && errand->answer.size < COLLECT_BYTES)
        return HTTP_WAITS;
    if (reading != HTTP_WHOLE) {
        fail(call);
        return HTTP_WAITS;
    }
    write_head(errand, head);
    if (errand->reply.status != 200) {
        buffer_add(body, errand->answer.data, errand->answer.size);
        return HTTP_ENDS;
    }
    call->budget = budget;
    do
        call->route->get(call);
    while (call->has_more);
    merge(call, which, body);
    return HTTP_ENDS;
}

enum http_progress leader_go_on(struct call *call, struct http_head *head, struct buffer *body, struct budget *budget)
{
    const struct shared *which = call->errand->is_named ? NULL : shared_of(call);
    return which ? share(call, which, head, body, budget) : hand_on(call, head, body);
}

/* ---- who asks ---- */

/* An answer to whoami. */
static void take_user(struct call *call, struct bytes text)
{
    char error[200];
    struct json *user = json_parse(text, error, sizeof(error));
    const struct json *tags = json_find(user, "tags");
    struct bytes name = json_text(json_find(user, "name"));
    for (size_t i = 0; i < json_count(tags); i++)
        call->tags |= user_tags_of(json_text(json_item(tags, i)));
    if (name.size)
        buffer_add(&call->user_name, name.data, name.size);
    json_release(user);
}

static void take_answer(struct call *call, struct errand *errand)
{
    if (errand->reply.status == 200) {
        take_user(call, buffer_bytes(&errand->answer));
        return;
    }
    call->status = errand->reply.status;
    call->state = CALL_TELLS;
    if (errand->answer.size)
        buffer_add(&call->body, errand->answer.data, errand->answer.size);
}

static void begin_own(struct call *call, struct service *leader, enum http_method method, const char *path)
{
    call->errand = errand_new(call, leader);
    write_own(call, method, path, &call->errand->said);
    begin(call->errand, bytes_of(NULL, 0));
}

/* What has come of the answer to that. */
static enum http_reading hear_own(struct call *call)
{
    struct errand *errand = call->errand;
    enum http_reading reading = hear(errand, &errand->answer, COLLECT_BYTES - errand->answer.size);
    return reading == HTTP_READING && errand->answer.size == COLLECT_BYTES ? HTTP_WRONG : reading;
}

static bool begin_to_identify(struct call *call)
{
    struct service *leader = leader_service(call);
    if (!leader) {
        call_fail(call, 503, "not_leading", "%s",
                  "no broker leads this cluster now, and so no user is known: at the control socket, by leveretctl "
                  "on this machine, it is answered");
        return false;
    }
    begin_own(call, leader, HTTP_GET, "/whoami");
    return true;
}

void leader_identify(struct call *call)
{
    if (!call->errand && !begin_to_identify(call))
        return;
    struct errand *errand = call->errand;
    enum http_reading reading = hear_own(call);
    if (reading == HTTP_READING) {
        call->state = CALL_LOGS_IN;
        return;
    }
    if (reading == HTTP_WHOLE)
        take_answer(call, errand);
    else
        call_fail(call, 502, "leader_lost", "%s", LOST " who asks; ask again");
    call->errand = NULL;
    leader_leave(errand);
}

int leader_do(struct call *call, enum http_method method, const char *path, struct buffer *answer)
{
    struct service *leader = call->errand ? NULL : leader_service(call);
    if (!call->errand && !leader)
        return 503;
    if (!call->errand)
        begin_own(call, leader, method, path);
    struct errand *errand = call->errand;
    enum http_reading reading = hear_own(call);
    if (reading == HTTP_READING)
        return 0;
    int status = reading == HTTP_WHOLE ? errand->reply.status : 502;
    if (answer && errand->answer.size)
        buffer_add(answer, errand->answer.data, errand->answer.size);
    call->errand = NULL;
    leader_leave(errand);
    return status;
}

/* How far the log of who leads is agreed on. False: it has not said so. */
static bool read_commit(struct bytes text, uint64_t *commit)
{
    char error[200];
    struct json *nodes = json_parse(text, error, sizeof(error));
    const struct json *agreement = json_find(json_item(nodes, 0), "leveret_agreement");
    const struct json *committed = json_find(agreement, "committed");
    *commit = committed ? (uint64_t)json_whole(committed) : 0;
    json_release(nodes);
    return committed != NULL;
}

bool leader_has_told_all(struct call *call)
{
    struct buffer answer = {0};
    struct api_group group;
    uint64_t commit;
    if (call->part)
        return machine_group(call, &group) && group.commit >= call->part && group.durable >= call->part;
    int status = leader_do(call, HTTP_GET, "/nodes?columns=leveret_agreement", &answer);
    if (status == 200 && read_commit(buffer_bytes(&answer), &commit))
        call->part = commit;
    else if (status)
        call_fail(call, status == 200 ? 502 : status, "not_leading", "%s",
                  "no broker that leads this cluster has said what is agreed on, and without that a copy of this one may "
                  "lack something that was confirmed: try again");
    buffer_free(&answer);
    return call->part && leader_has_told_all(call);
}
