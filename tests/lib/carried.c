#include "tests/lib/carried.h"

#include <assert.h>

#include "base/mem.h"

enum { PARTS = 5 };

struct talk {
    struct conversation conversation;
    struct carried *carried;
    struct buffer said;
    bool has_ended;
};

static struct talk *talk_of(const struct conversation *conversation)
{
    return list_entry(conversation, struct talk, conversation);
}

static void talk_input(struct conversation *conversation, struct bytes bytes)
{
    struct talk *talk = talk_of(conversation);
    assert(bytes.size && !talk->carried->holds && !talk->has_ended);
    buffer_add(&talk->carried->heard, bytes.data, bytes.size);
    buffer_add(&talk->said, bytes.data, bytes.size);
    talk->has_ended = memchr(bytes.data, '$', bytes.size);
    talk->carried->holds |= memchr(bytes.data, '#', bytes.size) != NULL;
    service_touch(&talk->carried->inner, conversation);
}

static bool talk_wants_input(const struct conversation *conversation)
{
    const struct talk *talk = talk_of(conversation);
    return !talk->has_ended && !talk->carried->holds;
}

/* In two parts, as far as there are so many. */
static int talk_output(struct conversation *conversation, struct iovec *parts, int max)
{
    struct talk *talk = talk_of(conversation);
    size_t size = talk->said.size, first = size > 3 ? 3 : size;
    assert(max >= 2);
    if (size == 0)
        return 0;
    parts[0] = (struct iovec){talk->said.data, first};
    parts[1] = (struct iovec){talk->said.data + first, size - first};
    return size > first ? 2 : 1;
}

static void talk_sent(struct conversation *conversation, size_t size)
{
    struct talk *talk = talk_of(conversation);
    assert(size <= talk->said.size);
    buffer_drop(&talk->said, size);
}

static bool talk_is_finished(const struct conversation *conversation)
{
    const struct talk *talk = talk_of(conversation);
    return talk->has_ended && talk->said.size == 0;
}

static void talk_lost(struct conversation *conversation, const char *reason)
{
    (void)reason;
    talk_of(conversation)->carried->lost++;
}

static void talk_free(struct conversation *conversation)
{
    struct talk *talk = talk_of(conversation);
    talk->carried->inners--;
    buffer_free(&talk->said);
    list_remove(&conversation->writable_link);
    mem_free(talk);
}

static const struct conversation_ops talk_ops = {.input = talk_input,
                                                 .wants_input = talk_wants_input,
                                                 .output = talk_output,
                                                 .sent = talk_sent,
                                                 .is_finished = talk_is_finished,
                                                 .lost = talk_lost,
                                                 .free = talk_free};

static struct conversation *talk_accept(struct service *service, const struct peer *peer)
{
    struct carried *carried = list_entry(service, struct carried, inner);
    struct talk *talk = mem_zalloc(sizeof(*talk));
    conversation_init(&talk->conversation, &talk_ops);
    talk->carried = carried;
    carried->inners++;
    carried->opened++;
    carried->was_loopback = peer->is_loopback;
    return &talk->conversation;
}

static void talk_shutdown(struct service *service)
{
    (void)service;
}

static const struct service_ops inner_ops = {.accept = talk_accept, .shutdown = talk_shutdown};

void carried_new(struct carried *carried)
{
    static const struct websocket_options options = {.name = "http/web-amqp",
                                                     .path = "/ws",
                                                     .subprotocol = "amqp",
                                                     .origins = "https://a.example,https://b.example",
                                                     .handshake_ms = 1000};
    static const struct peer peer = {.name = "127.0.0.1:1", .is_loopback = true};
    static const struct log silent = {0};
    *carried = (struct carried){0};
    service_init(&carried->inner, &inner_ops);
    carried->clients = &carried->inner;
    carried->websockets = websockets_new(&options, &carried->clients, &silent, 0);
    carried->outer = websockets_service(carried->websockets);
    carried->conversation = service_accept(carried->outer, &peer, carried);
}

size_t carried_send(struct carried *carried, struct bytes bytes)
{
    if (!carried->conversation || !conversation_wants_input(carried->conversation) ||
        !conversation_has_turn(carried->conversation))
        return 0;
    conversation_input(carried->conversation, bytes);
    return bytes.size;
}

/* Takes the first bytes of what is lent. False: there is nothing. */
static bool take_some(struct carried *carried, size_t piece)
{
    struct iovec parts[PARTS];
    size_t taken = 0;
    int count = conversation_output(carried->conversation, parts, PARTS);
    assert(count <= PARTS);
    for (int i = 0; i < count && taken < piece; i++) {
        size_t rest = piece - taken;
        size_t size = parts[i].iov_len < rest ? parts[i].iov_len : rest;
        assert(parts[i].iov_len);
        buffer_add(&carried->got, parts[i].iov_base, size);
        taken += size;
    }
    if (count)
        conversation_sent(carried->conversation, taken);
    return count;
}

void carried_take(struct carried *carried, size_t piece)
{
    while (service_take_writable(carried->outer) || service_take_writable(&carried->inner))
        continue;
    if (!carried->conversation)
        return;
    while (take_some(carried, piece))
        continue;
    if (!conversation_is_finished(carried->conversation))
        return;
    conversation_free(carried->conversation);
    carried->conversation = NULL;
}

void carried_tick(struct carried *carried, uint64_t now_ms)
{
    if (now_ms >= service_next_ms(carried->outer))
        service_tick(carried->outer, now_ms, now_ms);
}

void carried_free(struct carried *carried)
{
    if (carried->conversation) {
        conversation_lost(carried->conversation, NULL);
        conversation_free(carried->conversation);
    }
    assert(carried->inners == 0 && carried->lost <= carried->opened);
    websockets_free(carried->websockets);
    buffer_free(&carried->heard);
    buffer_free(&carried->got);
}
