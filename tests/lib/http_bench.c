/* Answers by path, and a turn by hand. */
#include "tests/lib/http_bench.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/crc32c.h"
#include "base/mem.h"
#include "http/multipart.h"
#include "tests/lib/tap.h"

struct paper {
    struct http_answer answer;
    struct http_bench *bench;
    const struct http_request *request;
    size_t done; /* calls so far */
};

static size_t number_of(const struct paper *paper, const char *name, size_t max)
{
    struct buffer room = {0};
    struct bytes value;
    size_t number = 0;
    if (http_parameter(paper->request->query, name, &room, &value))
        for (size_t i = 0; i < value.size && number < 1000000; i++)
            number = number * 10 + (size_t)(value.data[i] - '0') % 10;
    buffer_free(&room);
    return number < max ? number : max;
}

static enum http_progress text(struct http_head *head, struct buffer *body, const char *what)
{
    head->status = 200;
    head->type = "text/plain";
    buffer_add(body, what, strlen(what));
    return HTTP_ENDS;
}

static enum http_progress piece(struct paper *paper, struct http_head *head, struct buffer *body)
{
    size_t count = number_of(paper, "n", paper->bench->calls_max),
           size = number_of(paper, "size", 20000);
    head->status = 200;
    head->type = "text/plain";
    if (paper->done == count)
        return HTTP_ENDS;
    if (size)
        memset(buffer_room(body, size), 'a' + (int)(paper->done % 26), size);
    buffer_added(body, size);
    paper->bench->pieces++;
    return ++paper->done == count && number_of(paper, "at_once", 1) ? HTTP_ENDS : HTTP_MORE;
}

static enum http_progress wait(struct paper *paper, struct http_head *head, struct buffer *body)
{
    if (++paper->done < number_of(paper, "n", paper->bench->calls_max))
        return HTTP_WAITS;
    return text(head, body, "waited");
}

static enum http_progress costly(struct paper *paper, struct http_head *head, struct buffer *body,
                                 struct budget *budget)
{
    budget_use(budget, BUDGET_MS);
    paper->bench->pieces++;
    text(head, body, "x");
    return ++paper->done < number_of(paper, "n", paper->bench->calls_max) ? HTTP_MORE : HTTP_ENDS;
}

static enum http_progress echo(const struct paper *paper, struct http_head *head,
                               struct buffer *body)
{
    text(head, body, "");
    buffer_add(body, paper->request->body.data, paper->request->body.size);
    return HTTP_ENDS;
}

static enum http_progress sum(const struct paper *paper, struct http_head *head,
                              struct buffer *body)
{
    char number[32];
    snprintf(number, sizeof(number), "%zu", paper->request->body.size);
    return text(head, body, number);
}

static enum http_progress bare(struct http_head *head, int status, const char *fields)
{
    head->status = status;
    buffer_add(&head->fields, fields, strlen(fields));
    return HTTP_ENDS;
}

static enum http_progress go_on(struct http_answer *answer, struct http_head *head,
                                struct buffer *body, struct budget *budget)
{
    struct paper *paper = list_entry(answer, struct paper, answer);
    struct bytes path = paper->request->path;
    if (bytes_equal_str(path, "/hello"))
        return text(head, body, "hello");
    if (bytes_equal_str(path, "/echo"))
        return echo(paper, head, body);
    if (bytes_equal_str(path, "/sum"))
        return sum(paper, head, body);
    if (bytes_equal_str(path, "/pieces"))
        return piece(paper, head, body);
    if (bytes_equal_str(path, "/wait"))
        return wait(paper, head, body);
    if (bytes_equal_str(path, "/costly"))
        return costly(paper, head, body, budget);
    if (bytes_equal_str(path, "/nothing"))
        return bare(head, 204, "");
    if (bytes_equal_str(path, "/created"))
        return bare(head, 201, "location: /hello\r\n");
    text(head, body, "?");
    head->status = 404;
    return HTTP_ENDS;
}

static void free_paper(struct http_answer *answer)
{
    struct paper *paper = list_entry(answer, struct paper, answer);
    paper->bench->answers--;
    mem_free(paper);
}

/* What a form has as its field `f`, which lies in the body. */
static void note_field(struct http_bench *bench, const struct http_request *request)
{
    struct bytes value;
    if (!http_is_form(request) || !http_form_field(request, "f", &value))
        return;
    assert(value.size <= request->body.size && value.data >= request->body.data);
    buffer_add(&bench->journal, "f=", 2);
    buffer_add(&bench->journal, value.data, value.size);
    buffer_add_u8(&bench->journal, '\n');
}

static void note(struct http_bench *bench, const struct http_request *request)
{
    char line[64];
    int size = snprintf(line, sizeof(line), " fields=%zu body=%zu sum=%08x\n", request->field_count,
                        request->body.size, crc32c(0, request->body.data, request->body.size));
    buffer_add_u8(&bench->journal, (uint8_t)('0' + request->method));
    buffer_add(&bench->journal, request->path.data, request->path.size);
    buffer_add_u8(&bench->journal, '?');
    buffer_add(&bench->journal, request->query.data, request->query.size);
    buffer_add(&bench->journal, line, (size_t)size);
    note_field(bench, request);
}

static struct http_answer *ask(struct http_handler *handler, const struct http_request *request,
                               const struct peer *peer, const struct conversation *client)
{
    static const struct http_answer_ops ops = {go_on, free_paper};
    struct http_bench *bench = list_entry(handler, struct http_bench, handler);
    struct paper *paper = mem_zalloc(sizeof(*paper));
    (void)peer;
    (void)client;
    paper->answer.ops = &ops;
    paper->bench = bench;
    paper->request = request;
    bench->asked++;
    bench->answers++;
    note(bench, request);
    return &paper->answer;
}

static size_t body_max(struct http_handler *handler, const struct http_request *request)
{
    (void)request;
    return list_entry(handler, struct http_bench, handler)->body_max;
}

/* ---- the turn ---- */

void http_bench_new(struct http_bench *bench, const struct http_options *options)
{
    *bench = (struct http_bench){.now_ms = 1000, .body_max = 1 << 20, .calls_max = 1000};
    bench->handler = (struct http_handler){ask, body_max};
    message_pool_init(&bench->pool);
    bench->server = http_server_new(options, &bench->handler, &bench->pool, NULL, bench->now_ms);
    bench->service = http_server_service(bench->server);
}

void http_bench_free(struct http_bench *bench)
{
    http_server_free(bench->server);
    buffer_free(&bench->journal);
    message_pool_free(&bench->pool);
}

static struct http_bench_client dial_as(struct http_bench *bench, const struct peer *peer)
{
    struct http_bench_client client = {.takes = SIZE_MAX};
    client.conversation = service_accept(bench->service, peer, NULL);
    return client;
}

struct http_bench_client http_bench_dial(struct http_bench *bench)
{
    const struct peer peer = {.name = "127.0.0.1:40112", .local = "127.0.0.1:15672"};
    return dial_as(bench, &peer);
}

struct http_bench_client http_bench_dial_path(struct http_bench *bench)
{
    const struct peer peer = {.name = "unix:1", .local = "ctl.sock", .is_unix = true};
    return dial_as(bench, &peer);
}

size_t http_bench_send(struct http_bench *bench, struct http_bench_client *client,
                       struct bytes bytes)
{
    service_woken(bench->service, bench->now_ms);
    if (!client->conversation || !conversation_has_turn(client->conversation))
        return 0;
    conversation_input(client->conversation, bytes);
    return bytes.size;
}

static size_t gather(struct http_bench_client *client, size_t max)
{
    struct iovec parts[8];
    size_t size = 0;
    int count = conversation_output(client->conversation, parts, 8);
    for (int i = 0; i < count && size < max; i++) {
        size_t now = parts[i].iov_len < max - size ? parts[i].iov_len : max - size;
        buffer_add(&client->in, parts[i].iov_base, now);
        size += now;
    }
    return size;
}

/* What a socket does that takes so much. */
static void flush(struct http_bench_client *client)
{
    size_t left = client->takes, size;
    while (left && (size = gather(client, left))) {
        conversation_sent(client->conversation, size);
        left -= size;
    }
    if (conversation_is_finished(client->conversation))
        http_bench_hang_up(client);
}

void http_bench_turn(struct http_bench *bench, struct http_bench_client *client, uint64_t ms)
{
    bench->now_ms += ms;
    service_woken(bench->service, bench->now_ms);
    service_tick(bench->service, bench->now_ms, 784111777000 + bench->now_ms - 1000);
    while (service_take_writable(bench->service))
        continue;
    if (client && client->conversation)
        flush(client);
}

void http_bench_settle(struct http_bench *bench, struct http_bench_client *client)
{
    do {
        http_bench_turn(bench, client, 0);
    } while (service_next_ms(bench->service) <= bench->now_ms);
}

void http_bench_hang_up(struct http_bench_client *client)
{
    if (client->conversation)
        conversation_free(client->conversation);
    client->conversation = NULL;
}
