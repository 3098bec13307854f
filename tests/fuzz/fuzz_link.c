/* What another node sends. The first byte says where the rest comes in: 0: by a connection of which
 * nothing is known yet; 1: by the control connection of a link that is up; 2: by its data
 * connection. It comes in runs of up to 97 bytes, and what is told is taken. Each frame that is
 * read must be the same when it is written again. */
#include <assert.h>
#include <stdlib.h>

#include "cluster/link.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/node.h"

enum { RUN_BYTES = 97, CONNECTIONS = 3, WHOLE_MAX = 1 << 20 };

static struct conversation *new_connection(struct links *links)
{
    const struct peer peer = {.name = "fuzz"};
    return service_accept(links_service(links), &peer, NULL);
}

/* The same bytes again, and the same from them. */
static void write_again(const union link_frame *frame)
{
    struct buffer out = {0}, again = {0};
    union link_frame read;
    link_frame_write(&out, frame);
    assert(link_frame_read((uint8_t)frame->type, buffer_bytes(&out), &read) == LINK_FRAME_OK);
    link_frame_write(&again, &read);
    assert(bytes_equal(buffer_bytes(&out), buffer_bytes(&again)));
    buffer_free(&out);
    buffer_free(&again);
}

static void judge_raft(const struct link_raft *raft)
{
    struct link_message message = {0};
    if (link_message_read(&message, raft)) {
        struct buffer out = {0};
        struct link_raft again = {
            .group = raft->group, .generation = raft->generation, .from = raft->from};
        link_entries_write(&out, message.entries, message.bodies, message.message.count);
        assert(bytes_equal(buffer_bytes(&out), raft->entries));
        message.message.peer = raft->to;
        link_raft_of(&message.message, raft->entries, &again);
        assert(again.kind == raft->kind && again.flags == raft->flags &&
               again.count == raft->count && again.term == raft->term &&
               again.round == raft->round && again.to == raft->to);
        buffer_free(&out);
    }
    link_message_free(&message);
}

static void take_events(struct links *links)
{
    struct link_event event;
    while (links_next(links, &event)) {
        if (event.kind != LINK_EVENT_FRAME)
            continue;
        write_again(event.frame);
        if (event.frame->type == LINK_RAFT)
            judge_raft(&event.frame->raft);
    }
}

/* What it has to say goes nowhere, but is asked for. */
static void turn(struct links *links, struct conversation *const *connections, uint64_t now_ms)
{
    struct iovec parts[8];
    service_tick(links_service(links), now_ms, 0);
    take_events(links);
    while (service_take_writable(links_service(links)))
        continue;
    for (size_t i = 0; i < CONNECTIONS; i++) {
        int count = conversation_output(connections[i], parts, 8);
        for (int k = 0; k < count; k++)
            conversation_sent(connections[i], parts[k].iov_len);
        (void)conversation_is_finished(connections[i]);
    }
}

static struct node_identity identity_of_us(void)
{
    struct node_identity identity = node_identity_of('a', 3);
    struct node_seen seen = {.incarnation = 1, .nonce = 5};
    node_id_fill(seen.node, 'n');
    node_identity_saw(&identity, &seen);
    return identity;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct node_identity identity = identity_of_us();
    const struct links_options options = {
        .name = "leveret@a", .number = 1, .seed = 1, .whole_max = WHOLE_MAX, .admits = true};
    struct link_peer peer = {.number = 2};
    struct conversation *connections[CONNECTIONS];
    uint64_t now_ms = 1000;
    if (size == 0)
        return 0;
    struct links *links = links_new(&options, &identity, now_ms);
    node_id_fill(peer.node, 'n');
    links_add(links, &peer);
    for (size_t i = 0; i < CONNECTIONS; i++)
        connections[i] = new_connection(links);
    if (data[0] % CONNECTIONS) {
        node_says_hello(connections[1], LINK_WAY_CONTROL, 99, 1);
        node_says_hello(connections[2], LINK_WAY_DATA, 99, 1);
        turn(links, connections, now_ms);
    }
    struct conversation *to = connections[data[0] % CONNECTIONS];
    for (size_t at = 1; at < size; at += RUN_BYTES, now_ms += 20) {
        size_t now = size - at < RUN_BYTES ? size - at : RUN_BYTES;
        service_woken(links_service(links), now_ms);
        if (conversation_wants_input(to))
            conversation_input(to, bytes_of(data + at, now));
        if (at % (3 * RUN_BYTES) == 1)
            turn(links, connections, now_ms);
    }
    turn(links, connections, now_ms);
    for (size_t i = 0; i < CONNECTIONS; i++)
        conversation_free(connections[i]);
    take_events(links);
    links_free(links);
    return 0;
}
