/* What two nodes say to one another for the sake of a client. The first byte says who is played: 0: another node,
 * which comes with a client to this one that leads; 1: the leader, which answers this one. The second byte says in
 * what pieces the rest comes. Who is let in is asked for all names that there may be, and what is said behind that
 * arrives as it is. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/link.h"
#include "cluster/relay.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/node.h"

enum { PARTS = 8, TEXT_BYTES = 300 };

/* ---- what clients are served by: it keeps what it hears ---- */

struct keeper {
    struct conversation conversation;
    struct buffer heard;
    bool is_there;
};

static struct service keepers;
static struct keeper keeper;

static void keep(struct conversation *conversation, struct bytes bytes)
{
    (void)conversation;
    buffer_add(&keeper.heard, bytes.data, bytes.size);
}

static int say_nothing(struct conversation *conversation, struct iovec *parts, int max)
{
    (void)conversation, (void)parts, (void)max;
    return 0;
}

static void nothing_sent(struct conversation *conversation, size_t size)
{
    (void)conversation;
    assert(size == 0);
}

static void forget(struct conversation *conversation)
{
    (void)conversation;
    buffer_free(&keeper.heard);
    keeper.is_there = false;
}

static struct conversation *accept_client(struct service *service, const struct peer *peer)
{
    static const struct conversation_ops ops = {
        .input = keep, .output = say_nothing, .sent = nothing_sent, .free = forget};
    (void)service;
    assert(memchr(peer->name, '\0', sizeof(peer->name)) && memchr(peer->local, '\0', sizeof(peer->local)));
    conversation_init(&keeper.conversation, &ops);
    keeper.is_there = true;
    return &keeper.conversation;
}

static void stop(struct service *service)
{
    (void)service;
}

static const struct service_ops keeper_ops = {.accept = accept_client, .shutdown = stop};

/* ---- both nodes ---- */

/* Hands the bytes over in pieces; returns how many were taken. */
static size_t hand_over(struct conversation *to, const uint8_t *data, size_t size, size_t piece)
{
    size_t at = 0;
    for (size_t now; at < size && conversation_wants_input(to); at += now) {
        now = size - at < piece ? size - at : piece;
        uint8_t *copy = malloc(now); /* so that nothing is read beyond it */
        memcpy(copy, data + at, now);
        conversation_input(to, bytes_of(copy, now));
        free(copy);
    }
    return at;
}

static size_t drain(struct conversation *from)
{
    struct iovec parts[PARTS];
    size_t size = 0;
    for (int count; (count = conversation_output(from, parts, PARTS));)
        for (int i = 0; i < count; i++) {
            size += parts[i].iov_len;
            conversation_sent(from, parts[i].iov_len);
        }
    return size;
}

static void ask_for_names(void)
{
    char text[TEXT_BYTES];
    for (int which = PEER_DISTINGUISHED_NAME; which <= PEER_OTHER_NAME; which++)
        for (size_t i = 0; i < 10; i++)
            if (conversation_peer_name(&keeper.conversation, (enum peer_name)which, i, text, sizeof(text)) ==
                PEER_NAMED)
                assert(*text && memchr(text, '\0', sizeof(text)));
    for (int which = PEER_TLS_PROTOCOL; which <= PEER_CERT_VALIDITY; which++)
        if (conversation_peer_tls(&keeper.conversation, (enum peer_tls)which, text, sizeof(text)))
            assert(*text && memchr(text, '\0', sizeof(text)));
}

static void come_to_leader(const uint8_t *data, size_t size, size_t piece)
{
    static const uint8_t more[] = "said behind it";
    struct node_identity self = node_identity_of('a', 1);
    const struct links_options options = {.name = "leveret@a", .number = 1, .seed = 1};
    struct link_peer other = {.number = 2};
    const struct peer peer = {.name = "fuzz"};
    struct links *links = links_new(&options, &self, 1000);
    node_id_fill(other.node, 'n');
    links_add(links, &other);
    links_serve(links, LINK_CLIENT_AMQP, &keepers);
    struct conversation *conversation = service_accept(links_service(links), &peer, NULL);
    size_t taken = hand_over(conversation, data, size, piece);
    if (keeper.is_there) {
        ask_for_names();
        size_t before = keeper.heard.size;
        assert(before <= taken && memcmp(keeper.heard.data ? keeper.heard.data : data, data + taken - before, before) == 0);
        assert(drain(conversation) > 0);
        conversation_input(conversation, bytes_of(more, sizeof(more)));
        assert(keeper.heard.size == before + sizeof(more));
    }
    drain(conversation);
    (void)conversation_is_finished(conversation);
    conversation_free(conversation);
    links_free(links);
}

static void answer_as_leader(const uint8_t *data, size_t size, size_t piece)
{
    static const uint32_t no_limit;
    struct node_identity self = node_identity_of('n', 1);
    const struct relays_options options = {.identity = &self, .patience_ms = 100, .max = 2, .clients_max = &no_limit};
    const struct peer peer = {.name = "fuzz", .local = "here"};
    struct relays *relays = relays_new(&options, 1000);
    struct service *service = relays_service(relays);
    relays_lead(relays, 2, "leader", 1);
    struct conversation *client = service_accept(service, &peer, NULL);
    conversation_input(client, bytes_str("first"));
    service_tick(service, 1000, 0);
    struct outcall *call = service_take_call(service);
    assert(call);
    struct conversation *way = call->ops->connected(call, &peer);
    assert(drain(way) > 0);
    size_t taken = hand_over(way, data, size, piece);
    bool is_open = conversation_wants_input(client);
    size_t heard = drain(client);
    assert(heard <= taken && (is_open || heard == 0));
    if (is_open)
        assert(drain(way) == 5);
    conversation_free(way);
    service_tick(service, 2000, 0);
    assert(conversation_is_finished(client));
    conversation_free(client);
    while (service_take_call(service))
        continue;
    relays_free(relays);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    service_init(&keepers, &keeper_ops);
    if (data[0] % 2)
        answer_as_leader(data + 2, size - 2, data[1] + 1u);
    else
        come_to_leader(data + 2, size - 2, data[1] + 1u);
    assert(!keeper.is_there);
    return 0;
}
