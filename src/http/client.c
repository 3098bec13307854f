/* What is read is parsed at once. What is answered is answered in the server's tick, piece by
 * piece, in turns with other clients; no piece is asked for while 64 KiB of the output are unsent.
 *
 * There is no `round` between two requests, so that a client that says nothing costs no more than
 * its own object. */
#include "http/client.h"

#include "base/mem.h"
#include "http/response.h"

enum {
    OUTPUT_MAX = 64 << 10,
    ASK_STEPS = 1000, /* for a request, besides what its handler counts */
    PIECE_STEPS = 100,
    BYTES_PER_STEP = 64,
    GZIP_STEPS_PER_BYTE = 1,
    BODY_BYTES_PER_SECOND = 64 << 10, /* slower ones come to their end */
    GONE_MS = 5000, /* after so long it is looked whether one that waits is still there */
};

static struct http_client *client_of(const struct conversation *conversation)
{
    return list_entry(conversation, struct http_client, conversation);
}

static void touch(struct http_client *client)
{
    service_touch(&client->server->service, &client->conversation);
}

/* ---- time ---- */

static uint64_t request_end_ms(const struct http_client *client)
{
    const struct http_round *round = client->round;
    return round->began_ms + client->server->options.request_ms +
           round->reader.body.size / BODY_BYTES_PER_SECOND * 1000;
}

static bool is_reading(const struct http_client *client)
{
    return client->state == HTTP_CLIENT_READING;
}

/* Sets the timer to what must have happened by when. */
static void watch(struct http_client *client)
{
    const struct http_options *options = &client->server->options;
    uint64_t at_ms = UINT64_MAX;
    if (client->output.size)
        at_ms = client->idle_ms + options->stalled_ms;
    else if (client->state == HTTP_CLIENT_IDLE)
        at_ms = client->idle_ms + options->idle_ms;
    if (is_reading(client) && request_end_ms(client) < at_ms)
        at_ms = request_end_ms(client);
    if (at_ms == UINT64_MAX)
        timer_cancel(&client->server->timers, &client->timer);
    else
        timer_set(&client->server->timers, &client->timer, at_ms);
}

/* ---- rounds ---- */

static void begin_round(struct http_client *client)
{
    client->round = mem_zalloc(sizeof(*client->round));
    client->round->began_ms = client->server->now_ms;
    client->state = HTTP_CLIENT_READING;
}

static void free_round(struct http_client *client)
{
    struct http_round *round = client->round;
    if (!round)
        return;
    if (round->answer)
        round->answer->ops->free(round->answer);
    client->server->body_bytes -= round->counted;
    http_gzip_free(round->gzip);
    buffer_free(&round->head.fields);
    http_reader_free(&round->reader);
    mem_free(round);
    client->round = NULL;
}

static void end(struct http_client *client, enum http_client_state state)
{
    free_round(client);
    list_remove(&client->turn_link);
    client->state = state;
    client->idle_ms = client->server->now_ms;
    touch(client);
}

/* What it sends cannot be read on: it is told why. */
static void refuse(struct http_client *client, int status, const char *reason)
{
    struct http_server *server = client->server;
    bool is_head = client->round && client->round->reader.request.method == HTTP_HEAD;
    log_event(server->log, EVENT_http_refused, "peer=%s status=%d reason=%s", client->peer.name,
              status, reason);
    http_write_error(&server->outputs, &client->output, status, reason, !is_head, server->clock_ms);
    end(client, HTTP_CLIENT_ENDING);
}

/* ---- what comes ---- */

/* The head of a request is there. */
static void headed(struct http_client *client, bool is_all)
{
    static const char welcome[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct http_server *server = client->server;
    struct http_reader *reader = &client->round->reader;
    size_t body_max = server->handler->body_max(server->handler, &reader->request);
    if (!http_reader_body(reader, body_max)) {
        refuse(client, reader->fault.status, reader->fault.reason);
    } else if (is_all && http_reader_is_asked(reader)) {
        http_write_bytes(&server->outputs, &client->output, bytes_str(welcome));
        client->idle_ms = server->now_ms;
        touch(client);
    }
}

static void whole(struct http_client *client)
{
    client->state = HTTP_CLIENT_ANSWERING;
    client->has_asked = true;
    client->round->began_ms = client->server->now_ms;
    list_remove(&client->turn_link);
    list_push_back(&client->server->ready, &client->turn_link);
    touch(client);
}

/* Bodies of all requests together have a limit, as well. */
static bool count_body(struct http_client *client)
{
    struct http_round *round = client->round;
    client->server->body_bytes += round->reader.body.size - round->counted;
    round->counted = round->reader.body.size;
    return client->server->body_bytes <= client->server->options.body_bytes_max;
}

/* Reads on. False: that needs more bytes, or there is nothing more to be read for now. */
static bool read_some(struct http_client *client, struct bytes *bytes)
{
    struct http_reader *reader = &client->round->reader;
    enum http_reading reading = http_reader_take(reader, bytes);
    if (reading == HTTP_WRONG)
        refuse(client, reader->fault.status, reader->fault.reason);
    else if (!count_body(client))
        refuse(client, 503, "the bodies of all requests together are too large at present");
    else if (reading == HTTP_WHOLE)
        whole(client);
    else if (reading == HTTP_HEADED)
        headed(client, bytes->size == 0);
    return reading == HTTP_HEADED && is_reading(client);
}

/* Takes from *bytes what belongs to the next request. */
static void read_request(struct http_client *client, struct bytes *bytes)
{
    if (client->state == HTTP_CLIENT_IDLE && bytes->size)
        begin_round(client);
    while (is_reading(client) && read_some(client, bytes))
        continue;
}

static void input(struct conversation *conversation, struct bytes bytes)
{
    struct http_client *client = client_of(conversation);
    struct http_server *server = client->server;
    server->input_left -= bytes.size < server->input_left ? bytes.size : server->input_left;
    read_request(client, &bytes);
    if (client->state == HTTP_CLIENT_ANSWERING)
        buffer_add(&client->ahead, bytes.data, bytes.size);
    watch(client);
}

/* What has come behind the request that was answered. */
static void read_ahead(struct http_client *client)
{
    struct bytes bytes = buffer_bytes(&client->ahead);
    bytes.size -= client->ahead_taken;
    bytes.data = bytes.size ? bytes.data + client->ahead_taken : NULL;
    read_request(client, &bytes);
    client->ahead_taken = client->ahead.size - bytes.size;
    if (bytes.size == 0 || client->state == HTTP_CLIENT_ENDING) {
        buffer_free(&client->ahead);
        client->ahead_taken = 0;
    }
}

static bool wants_input(const struct conversation *conversation)
{
    const struct http_client *client = client_of(conversation);
    if (client->is_refused)
        return client->output.size; /* TLS has to read before it can say so */
    return client->state == HTTP_CLIENT_IDLE || is_reading(client);
}

static bool has_turn(struct conversation *conversation)
{
    struct http_client *client = client_of(conversation);
    if (!wants_input(conversation) || client->server->input_left)
        return wants_input(conversation);
    list_remove(&client->turn_link);
    list_push_back(&client->server->paused, &client->turn_link);
    return false;
}

/* ---- what is answered ---- */

static bool is_head_only(const struct http_round *round)
{
    return round->reader.request.method == HTTP_HEAD;
}

static enum http_body_end body_end(const struct http_round *round, bool is_all)
{
    if (!http_status_has_body(round->head.status))
        return HTTP_BODY_NONE;
    if (is_all)
        return HTTP_BODY_SIZED;
    return round->reader.request.is_1_0 ? HTTP_BODY_CLOSED : HTTP_BODY_CHUNKED;
}

static bool is_text(const struct http_head *head)
{
    const char *type = head->type ? head->type : "";
    return strncmp(type, "text/", 5) == 0 || strncmp(type, "application/json", 16) == 0 ||
           strncmp(type, "application/openmetrics-text", 28) == 0;
}

/* A body that is chunked may go through gzip: others are short. */
static bool is_squeezed(const struct http_client *client)
{
    const struct http_round *round = client->round;
    return round->is_chunked && !client->server->options.no_gzip && is_text(&round->head) &&
           http_accepts(&round->reader.request, "accept-encoding", "gzip");
}

static void write_head(struct http_client *client, size_t size, bool is_all)
{
    struct http_server *server = client->server;
    struct http_round *round = client->round;
    const struct http_request *request = &round->reader.request;
    enum http_body_end end = body_end(round, is_all);
    round->closes = !request->keeps || server->is_stopping || end == HTTP_BODY_CLOSED;
    round->is_chunked = end == HTTP_BODY_CHUNKED;
    round->is_gzip = is_squeezed(client);
    round->is_headed = true;
    http_write_head(&server->outputs, &client->output,
                    &(struct http_response){.head = &round->head,
                                            .end = end,
                                            .size = size,
                                            .is_gzip = round->is_gzip,
                                            .closes = round->closes,
                                            .is_1_0 = request->is_1_0,
                                            .clock_ms = server->clock_ms});
}

/* What comes of a piece when it has gone through gzip: perhaps nothing yet. */
static struct bytes squeeze(struct http_client *client, struct bytes piece, bool is_last,
                            struct budget *budget)
{
    struct http_round *round = client->round;
    struct buffer *squeezed = &client->server->squeezed;
    squeezed->size = 0;
    if (!round->gzip)
        round->gzip = http_gzip_new();
    http_gzip_add(round->gzip, piece, is_last, squeezed);
    budget_use(budget, piece.size * GZIP_STEPS_PER_BYTE);
    return buffer_bytes(squeezed);
}

static void write_piece(struct http_client *client, struct bytes piece, bool is_last,
                        struct budget *budget)
{
    struct http_round *round = client->round;
    struct output_pool *pool = &client->server->outputs;
    if (!round->is_headed)
        write_head(client, piece.size, is_last);
    if (is_head_only(round) || !http_status_has_body(round->head.status))
        return;
    if (round->is_gzip)
        piece = squeeze(client, piece, is_last, budget);
    if (round->is_chunked && piece.size)
        http_write_chunk(pool, &client->output, piece);
    else
        http_write_bytes(pool, &client->output, piece);
    if (round->is_chunked && is_last)
        http_write_last_chunk(pool, &client->output);
}

/* The answer is complete; the next request may be there. */
static void answered(struct http_client *client)
{
    bool closes = client->round->closes || client->server->is_stopping;
    end(client, closes ? HTTP_CLIENT_ENDING : HTTP_CLIENT_IDLE);
    read_ahead(client);
}

static void ask(struct http_client *client, struct budget *budget)
{
    struct http_handler *handler = client->server->handler;
    client->round->answer =
        handler->ask(handler, &client->round->reader.request, &client->peer, &client->conversation);
    budget_use(budget, ASK_STEPS);
}

/* Has the next piece made, and writes it. */
static enum http_progress go_on(struct http_client *client, struct budget *budget)
{
    struct http_round *round = client->round;
    struct buffer *piece = &client->server->piece;
    piece->size = 0;
    enum http_progress progress =
        round->answer->ops->go_on(round->answer, &round->head, piece, budget);
    budget_use(budget, PIECE_STEPS + piece->size / BYTES_PER_STEP);
    if (client->output.size == 0)
        client->idle_ms = client->server->now_ms;
    if (piece->size || progress == HTTP_ENDS)
        write_piece(client, buffer_bytes(piece), progress == HTTP_ENDS, budget);
    round->waits = progress == HTTP_WAITS;
    return round->is_headed && is_head_only(round) ? HTTP_ENDS : progress;
}

void http_client_answer(struct http_client *client, struct budget *budget)
{
    if (client->output.size >= OUTPUT_MAX)
        return; /* `sent` brings it back */
    if (!client->round->answer)
        ask(client, budget);
    enum http_progress progress = go_on(client, budget);
    if (progress == HTTP_ENDS)
        answered(client);
    else if (progress == HTTP_FAILS)
        end(client, HTTP_CLIENT_DEAD);
    else
        list_push_back(progress == HTTP_WAITS ? &client->server->waiting : &client->server->ready,
                       &client->turn_link);
    touch(client);
    watch(client);
}

static int output(struct conversation *conversation, struct iovec *parts, int max)
{
    return output_peek(&client_of(conversation)->output, parts, max);
}

static void sent(struct conversation *conversation, size_t size)
{
    struct http_client *client = client_of(conversation);
    output_drop(&client->server->outputs, &client->output, size);
    if (size)
        client->idle_ms = client->server->now_ms;
    if (client->state == HTTP_CLIENT_ANSWERING && client->output.size < OUTPUT_MAX &&
        list_is_empty(&client->turn_link))
        list_push_back(&client->server->ready, &client->turn_link);
    watch(client);
}

/* ---- the end ---- */

void http_client_expire(struct http_client *client)
{
    const struct http_server *server = client->server;
    if (client->output.size && client->idle_ms + server->options.stalled_ms <= server->now_ms)
        end(client, HTTP_CLIENT_DEAD);
    else if (is_reading(client))
        refuse(client, 408, "the request has not come whole in time");
    else if (client->state == HTTP_CLIENT_IDLE)
        end(client, HTTP_CLIENT_ENDING);
    watch(client);
}

void http_client_shutdown(struct http_client *client)
{
    if (client->state == HTTP_CLIENT_IDLE || is_reading(client))
        end(client, HTTP_CLIENT_ENDING);
    watch(client);
}

static bool is_blocked(const struct conversation *conversation)
{
    const struct http_client *client = client_of(conversation);
    return client->state == HTTP_CLIENT_ANSWERING && client->round->waits &&
           client->server->now_ms - client->round->began_ms > GONE_MS;
}

static bool is_finished(const struct conversation *conversation)
{
    const struct http_client *client = client_of(conversation);
    return client->state == HTTP_CLIENT_DEAD ||
           (client->state == HTTP_CLIENT_ENDING && client->output.size == 0);
}

/* Who comes by a path of this machine has room of his own: whoever fills up a port keeps no operator out there. */
static size_t *counter_of(struct http_client *client)
{
    return client->peer.is_unix ? &client->server->local_connections : &client->server->connections;
}

static void free_client(struct conversation *conversation)
{
    struct http_client *client = client_of(conversation);
    struct http_server *server = client->server;
    free_round(client);
    timer_cancel(&server->timers, &client->timer);
    list_remove(&conversation->writable_link);
    list_remove(&client->turn_link);
    list_remove(&client->link);
    output_free(&server->outputs, &client->output);
    buffer_free(&client->ahead);
    *counter_of(client) -= !client->is_refused;
    mem_free(client);
}

/* For one more, from whoever has been silent for longest since he is there. */
static bool make_room(struct http_server *server)
{
    list_for_each(at, &server->all) {
        struct http_client *client = list_entry(at, struct http_client, link);
        if (client->state != HTTP_CLIENT_IDLE || client->has_asked || client->peer.is_unix)
            continue;
        end(client, HTTP_CLIENT_ENDING);
        watch(client);
        return true;
    }
    return false;
}

static bool has_room(struct http_client *client)
{
    struct http_server *server = client->server;
    return *counter_of(client) < server->options.connections_max || (!client->peer.is_unix && make_room(server));
}

struct http_client *http_client_new(struct http_server *server, const struct peer *peer)
{
    static const struct conversation_ops ops = {.input = input,
                                                .wants_input = wants_input,
                                                .has_turn = has_turn,
                                                .is_blocked = is_blocked,
                                                .output = output,
                                                .sent = sent,
                                                .is_finished = is_finished,
                                                .free = free_client};
    struct http_client *client = mem_zalloc(sizeof(*client));
    conversation_init(&client->conversation, &ops);
    client->server = server;
    client->peer = *peer;
    client->idle_ms = server->now_ms;
    list_init(&client->turn_link);
    client->is_refused = !has_room(client);
    *counter_of(client) += !client->is_refused;
    list_push_back(&server->all, &client->link);
    if (client->is_refused)
        refuse(client, 503, "there are as many connections as are allowed");
    else if (server->is_stopping)
        end(client, HTTP_CLIENT_ENDING);
    watch(client);
    return client;
}
