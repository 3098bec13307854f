/* A conversation begins with a request, which the reader of HTTP reads; what follows are frames.
 *
 * Input: what the frames of a piece of input carry is put together in one buffer that all share, and handed
 * to the conversation within once. Nothing of it is kept here, so that what is held for a peer is what the
 * protocol within holds.
 *
 * Output: the conversation within lends its own, and the head of a frame is put in front. From then on until
 * the frame has gone nothing else is said, and of what is lent no more than the head has promised; answers of
 * our own (to the request, a ping, the end) come between frames. */
#include "http/websocket.h"

#include <stdio.h>

#include "base/base64.h"
#include "base/digest.h"
#include "base/mem.h"
#include "base/timer.h"
#include "http/reader.h"
#include "http/text.h"
#include "http/websocket_frame.h"

enum {
    INPUT_BYTES = 256 << 10,  /* as much as a conversation is given at once */
    FRAME_BYTES = 128 << 10,  /* of data, in one of ours */
    ANSWERS_BYTES = 4096,     /* of pongs that are unsent: more pings are not answered */
    KEY_BYTES = 16,
};

struct websockets {
    struct service service;
    struct service_ops ops; /* of that */
    struct websocket_options options;
    struct service *const *inner;
    const struct log *log;
    struct timers timers;
    struct list all;
    uint8_t *input; /* INPUT_BYTES */
    uint64_t now_ms;
    bool is_stopping;
};

enum websocket_state {
    STATE_ASKING, /* the request is awaited */
    STATE_OPEN,
    STATE_ENDING, /* nothing is read any more; what is unsent of our own goes out */
};

struct websocket {
    struct conversation conversation;
    struct websockets *all;
    struct list link;
    enum websocket_state state;
    struct peer peer;
    struct http_reader *http;    /* STATE_ASKING; else NULL */
    struct conversation *inner;  /* from STATE_OPEN on; NULL: the request was refused */
    struct websocket_reader reader;
    struct buffer said; /* of our own */
    size_t said_sent;
    uint8_t head[WEBSOCKET_HEAD_MAX]; /* of the frame that is being sent */
    size_t head_size, head_sent;
    uint64_t frame_left; /* of its data */
    bool has_said_end;
    struct timer timer; /* STATE_ASKING */
};

static struct websocket *websocket_of(const struct conversation *conversation)
{
    return list_entry(conversation, struct websocket, conversation);
}

static struct websockets *websockets_of(const struct service *service)
{
    return list_entry(service, struct websockets, service);
}

static void touch(struct websocket *websocket)
{
    service_touch(&websocket->all->service, &websocket->conversation);
}

static void say(struct websocket *websocket, const void *data, size_t size)
{
    buffer_add(&websocket->said, data, size);
    touch(websocket);
}

static void say_frame(struct websocket *websocket, enum websocket_opcode opcode, struct bytes payload)
{
    uint8_t head[WEBSOCKET_HEAD_MAX];
    say(websocket, head, websocket_head(opcode, payload.size, head));
    say(websocket, payload.data, payload.size);
}

static void say_end(struct websocket *websocket, unsigned code)
{
    const uint8_t payload[2] = {(uint8_t)(code >> 8), (uint8_t)code};
    if (!websocket->has_said_end)
        say_frame(websocket, WEBSOCKET_CLOSE, bytes_of(payload, sizeof(payload)));
    websocket->has_said_end = true;
}

static void end_asking(struct websocket *websocket)
{
    timer_cancel(&websocket->all->timers, &websocket->timer);
    if (websocket->http)
        http_reader_free(websocket->http);
    mem_free(websocket->http);
    websocket->http = NULL;
}

/* What is unsent of our own still goes out; what is carried, not. */
static void end(struct websocket *websocket)
{
    end_asking(websocket);
    websocket->state = STATE_ENDING;
    touch(websocket);
}

/* ---- the request ---- */

static const char accept_tail[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

static void refuse(struct websocket *websocket, int status, const char *reason)
{
    char text[512];
    int size = snprintf(text, sizeof(text),
                        "HTTP/1.1 %d %s\r\nconnection: close\r\ncontent-type: text/plain\r\n"
                        "sec-websocket-version: 13\r\ncontent-length: %zu\r\n\r\n%s\n",
                        status, status == 404 ? "Not Found" : status == 426 ? "Upgrade Required"
                                                                           : "Bad Request",
                        strlen(reason) + 1, reason);
    log_event(websocket->all->log, EVENT_websocket_refused, "peer=%s reason=\"%s\"",
              websocket->peer.name, reason);
    say(websocket, text, (size_t)size);
    end(websocket);
}

static bool is_key(struct bytes text)
{
    struct buffer key = {0};
    bool is_good = text.size && base64_read(text, &key) && key.size == KEY_BYTES;
    buffer_free(&key);
    return is_good;
}

/* Does it want what is here? 0, or the status of the answer, and why. */
static int judge(const struct websocket *websocket, const char **why)
{
    const struct http_request *request = &websocket->http->request;
    const struct websocket_options *options = &websocket->all->options;
    struct bytes protocols = http_field_of(request, "sec-websocket-protocol");
    struct http_framing framing;
    *why = "only GET is known here, without a body";
    if (http_head_framing(request, &framing).status || framing.is_chunked || framing.size ||
        request->method != HTTP_GET || request->is_1_0)
        return 400;
    *why = "there is nothing at this path";
    if (!bytes_equal_str(request->path, options->path))
        return 404;
    *why = "here are WebSockets of version 13";
    if (!http_has_token(http_field_of(request, "connection"), "upgrade") ||
        !http_has_token(http_field_of(request, "upgrade"), "websocket") ||
        !bytes_equal_str(http_field_of(request, "sec-websocket-version"), "13"))
        return 426;
    *why = "sec-websocket-key is no base64 of 16 bytes";
    if (!is_key(http_field_of(request, "sec-websocket-key")))
        return 400;
    *why = "of this subprotocol nothing is known here";
    return protocols.data && !http_has_token(protocols, options->subprotocol) ? 400 : 0;
}

static void say_accepted(struct websocket *websocket)
{
    const struct http_request *request = &websocket->http->request;
    bool is_named = http_field_of(request, "sec-websocket-protocol").data;
    uint8_t digest[SHA1_SIZE];
    struct buffer accept = {0};
    char text[256];
    sha1(http_field_of(request, "sec-websocket-key"), bytes_str(accept_tail), digest);
    base64_write(bytes_of(digest, sizeof(digest)), &accept);
    int size = snprintf(text, sizeof(text),
                        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n"
                        "connection: Upgrade\r\nsec-websocket-accept: %.*s\r\n%s%s%s\r\n",
                        (int)accept.size, (const char *)accept.data,
                        is_named ? "sec-websocket-protocol: " : "",
                        is_named ? websocket->all->options.subprotocol : "", is_named ? "\r\n" : "");
    say(websocket, text, (size_t)size);
    buffer_free(&accept);
}

/* The conversation within has the same socket, as far as it can tell. */
static void open_inner(struct websocket *websocket)
{
    struct conversation *outer = &websocket->conversation;
    websocket->inner = service_accept(*websocket->all->inner, &websocket->peer, outer->owner);
    conversation_same_peer(websocket->inner, outer);
    websocket->state = STATE_OPEN;
}

static void answer_request(struct websocket *websocket)
{
    const char *why;
    struct bytes origin = http_field_of(&websocket->http->request, "origin");
    int status = judge(websocket, &why);
    if (status) {
        refuse(websocket, status, why);
        return;
    }
    if (origin.data && !bytes_are_listed(origin, websocket->all->options.origins))
        websocket->peer.is_loopback = false;
    say_accepted(websocket);
    open_inner(websocket);
    end_asking(websocket);
}

static void take_request(struct websocket *websocket, struct bytes *bytes)
{
    switch (http_reader_take(websocket->http, bytes)) {
    case HTTP_READING:
        return;
    case HTTP_HEADED:
        answer_request(websocket);
        return;
    default:
        refuse(websocket, 400, websocket->http->fault.reason);
    }
}

/* ---- frames ---- */

/* A client that asks without taking the answers gets no more of them. */
static void answer_ping(struct websocket *websocket)
{
    if (websocket->said.size - websocket->said_sent < ANSWERS_BYTES)
        say_frame(websocket, WEBSOCKET_PONG,
                  bytes_of(websocket->reader.control, websocket->reader.control_size));
}

/* The same code is the answer, whatever the reason. */
static void answer_end(struct websocket *websocket)
{
    const struct websocket_reader *reader = &websocket->reader;
    unsigned code = WEBSOCKET_NORMAL;
    if (reader->control_size >= 2)
        code = (unsigned)reader->control[0] << 8 | reader->control[1];
    say_end(websocket, code);
    end(websocket);
}

/* False: nothing that follows counts. */
static bool act_on(struct websocket *websocket, enum websocket_event event)
{
    switch (event) {
    case WEBSOCKET_HAS_PING:
        answer_ping(websocket);
        return true;
    case WEBSOCKET_HAS_CLOSE:
        answer_end(websocket);
        return false;
    case WEBSOCKET_IS_WRONG:
        log_event(websocket->all->log, EVENT_websocket_refused, "peer=%s code=%d reason=\"%s\"",
                  websocket->peer.name, (int)websocket->reader.fault, "a frame is wrong");
        say_end(websocket, websocket->reader.fault);
        end(websocket);
        return false;
    default:
        return event != WEBSOCKET_NEEDS_MORE;
    }
}

static void take_frames(struct websocket *websocket, struct bytes bytes)
{
    size_t got = 0, size;
    enum websocket_event event;
    do {
        event = websocket_take(&websocket->reader, &bytes, websocket->all->input + got, &size);
        got += size;
    } while (act_on(websocket, event));
    if (got)
        conversation_input(websocket->inner, bytes_of(websocket->all->input, got));
}

static void input(struct conversation *conversation, struct bytes bytes)
{
    struct websocket *websocket = websocket_of(conversation);
    if (websocket->state == STATE_ASKING)
        take_request(websocket, &bytes);
    if (websocket->state == STATE_OPEN && bytes.size)
        take_frames(websocket, bytes);
}

static bool wants_input(const struct conversation *conversation)
{
    const struct websocket *websocket = websocket_of(conversation);
    if (websocket->state == STATE_OPEN)
        return conversation_wants_input(websocket->inner);
    return websocket->state == STATE_ASKING;
}

static bool has_turn(struct conversation *conversation)
{
    struct websocket *websocket = websocket_of(conversation);
    if (websocket->state == STATE_OPEN)
        return conversation_has_turn(websocket->inner);
    return websocket->state == STATE_ASKING;
}

static bool is_blocked(const struct conversation *conversation)
{
    const struct websocket *websocket = websocket_of(conversation);
    return websocket->state == STATE_OPEN && conversation_is_blocked(websocket->inner);
}

/* ---- output ---- */

static struct iovec piece_of(const void *data, size_t size)
{
    return (struct iovec){(void *)(uintptr_t)data, size};
}

/* Of the parts no more than `most` bytes. */
static int cut(struct iovec *parts, int count, uint64_t most)
{
    int kept = 0;
    for (; kept < count && most; kept++) {
        if (parts[kept].iov_len > most)
            parts[kept].iov_len = (size_t)most;
        most -= parts[kept].iov_len;
    }
    return kept;
}

static uint64_t sum_of(const struct iovec *parts, int count)
{
    uint64_t size = 0;
    for (int i = 0; i < count; i++)
        size += parts[i].iov_len;
    return size;
}

static bool is_within_frame(const struct websocket *websocket)
{
    return websocket->head_size > 0;
}

/* Whatever is lent now is in a frame. */
static void begin_frame(struct websocket *websocket, uint64_t size)
{
    websocket->frame_left = size < FRAME_BYTES ? size : FRAME_BYTES;
    websocket->head_size = websocket_head(WEBSOCKET_BINARY, websocket->frame_left, websocket->head);
    websocket->head_sent = 0;
}

/* Nothing is left to be carried, and the peer is not told of the end yet. */
static bool has_to_say_end(const struct websocket *websocket)
{
    return websocket->state == STATE_OPEN && !websocket->has_said_end &&
           conversation_is_finished(websocket->inner);
}

static int output_of_frame(struct websocket *websocket, struct iovec *parts, int max)
{
    bool is_open = websocket->inner && (websocket->state == STATE_OPEN || is_within_frame(websocket));
    int count = is_open ? conversation_output(websocket->inner, parts + 1, max - 1) : 0;
    if (count && !is_within_frame(websocket))
        begin_frame(websocket, sum_of(parts + 1, count));
    if (!count)
        return 0;
    count = cut(parts + 1, count, websocket->frame_left);
    size_t head = websocket->head_size - websocket->head_sent;
    parts[0] = piece_of(websocket->head + websocket->head_sent, head);
    if (head)
        return count + 1;
    memmove(parts, parts + 1, (size_t)count * sizeof(*parts));
    return count;
}

static int output(struct conversation *conversation, struct iovec *parts, int max)
{
    struct websocket *websocket = websocket_of(conversation);
    if (!is_within_frame(websocket) && has_to_say_end(websocket))
        say_end(websocket, WEBSOCKET_NORMAL);
    size_t said = websocket->said.size - websocket->said_sent;
    if (is_within_frame(websocket) || !said)
        return output_of_frame(websocket, parts, max);
    parts[0] = piece_of(websocket->said.data + websocket->said_sent, said);
    return 1;
}

static void sent_of_frame(struct websocket *websocket, size_t size)
{
    size_t head = websocket->head_size - websocket->head_sent;
    head = size < head ? size : head;
    websocket->head_sent += head;
    websocket->frame_left -= size - head;
    conversation_sent(websocket->inner, size - head);
    if (websocket->head_sent == websocket->head_size && websocket->frame_left == 0)
        websocket->head_size = websocket->head_sent = 0;
}

static void sent(struct conversation *conversation, size_t size)
{
    struct websocket *websocket = websocket_of(conversation);
    if (is_within_frame(websocket)) {
        sent_of_frame(websocket, size);
        return;
    }
    websocket->said_sent += size;
    if (websocket->said_sent < websocket->said.size)
        return;
    buffer_free(&websocket->said);
    websocket->said_sent = 0;
}

/* A frame that cannot be ended ends all: what was lent for it is not there any more. */
static bool is_finished(const struct conversation *conversation)
{
    const struct websocket *websocket = websocket_of(conversation);
    bool is_over = websocket->state == STATE_ENDING ||
                   (websocket->inner && conversation_is_finished(websocket->inner));
    if (is_within_frame(websocket))
        return is_over && websocket->inner && conversation_is_finished(websocket->inner);
    return is_over && websocket->said.size == 0;
}

static void lost(struct conversation *conversation, const char *reason)
{
    struct websocket *websocket = websocket_of(conversation);
    if (websocket->inner && websocket->state == STATE_OPEN)
        conversation_lost(websocket->inner, reason);
}

static void free_websocket(struct conversation *conversation)
{
    struct websocket *websocket = websocket_of(conversation);
    end_asking(websocket);
    if (websocket->inner && websocket->state == STATE_ENDING)
        conversation_lost(websocket->inner, NULL);
    if (websocket->inner)
        conversation_free(websocket->inner);
    buffer_free(&websocket->said);
    list_remove(&websocket->link);
    list_remove(&conversation->writable_link);
    mem_free(websocket);
}

static const struct conversation_ops websocket_ops = {.input = input,
                                                      .wants_input = wants_input,
                                                      .has_turn = has_turn,
                                                      .is_blocked = is_blocked,
                                                      .output = output,
                                                      .sent = sent,
                                                      .is_finished = is_finished,
                                                      .lost = lost,
                                                      .free = free_websocket};

/* ---- the service ---- */

static struct conversation *accept_peer(struct service *service, const struct peer *peer)
{
    struct websockets *websockets = websockets_of(service);
    struct websocket *websocket = mem_zalloc(sizeof(*websocket));
    conversation_init(&websocket->conversation, &websocket_ops);
    websocket->all = websockets;
    websocket->peer = *peer;
    websocket->http = mem_zalloc(sizeof(*websocket->http));
    list_push_back(&websockets->all, &websocket->link);
    timer_set(&websockets->timers, &websocket->timer,
              websockets->now_ms + websockets->options.handshake_ms);
    if (websockets->is_stopping)
        end(websocket);
    return &websocket->conversation;
}

static void woken(struct service *service, uint64_t now_ms)
{
    websockets_of(service)->now_ms = now_ms;
}

static void tick(struct service *service, uint64_t now_ms, uint64_t clock_ms)
{
    struct websockets *websockets = websockets_of(service);
    struct timer *timer;
    (void)clock_ms;
    websockets->now_ms = now_ms;
    while ((timer = timers_expired(&websockets->timers, now_ms)))
        end(list_entry(timer, struct websocket, timer));
}

static uint64_t next_ms(const struct service *service)
{
    return timers_next_ms(&websockets_of(service)->timers);
}

/* Those that carry something end with that. */
static void say_goodbye(struct service *service)
{
    struct websockets *websockets = websockets_of(service);
    websockets->is_stopping = true;
    list_for_each(at, &websockets->all) {
        struct websocket *websocket = list_entry(at, struct websocket, link);
        if (websocket->state == STATE_ASKING)
            end(websocket);
    }
}

struct websockets *websockets_new(const struct websocket_options *options, struct service *const *inner,
                                  const struct log *log, uint64_t now_ms)
{
    struct websockets *websockets = mem_zalloc(sizeof(*websockets));
    websockets->ops = (struct service_ops){.name = options->name,
                                           .accept = accept_peer,
                                           .woken = woken,
                                           .tick = tick,
                                           .next_ms = next_ms,
                                           .shutdown = say_goodbye};
    service_init(&websockets->service, &websockets->ops);
    websockets->options = *options;
    websockets->inner = inner;
    websockets->log = log;
    websockets->now_ms = now_ms;
    websockets->input = mem_alloc(INPUT_BYTES);
    list_init(&websockets->all);
    return websockets;
}

void websockets_free(struct websockets *websockets)
{
    if (!websockets)
        return;
    timers_free(&websockets->timers);
    mem_free(websockets->input);
    mem_free(websockets);
}

struct service *websockets_service(struct websockets *websockets)
{
    return &websockets->service;
}
