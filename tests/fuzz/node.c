#include "tests/fuzz/node.h"

#include <string.h>

void node_id_fill(uint8_t id[NODE_ID_BYTES], uint8_t with)
{
    memset(id, with, NODE_ID_BYTES);
}

struct node_identity node_identity_of(uint8_t letter, uint64_t incarnation)
{
    struct node_identity identity = {
        .incarnation = incarnation, .nonce_count = 1, .nonces = {7}, .written = 1};
    node_id_fill(identity.node, letter);
    node_id_fill(identity.cluster, 'c');
    return identity;
}

void node_says_hello(struct conversation *conversation, enum link_way way, uint64_t session, uint64_t incarnation)
{
    uint8_t header[LINK_PIECE_HEADER], room[8];
    struct buffer out = {0};
    union link_frame frame = {.hello = {.type = LINK_HELLO,
                                        .magic = LINK_MAGIC,
                                        .version_min = 1,
                                        .version_max = 1,
                                        .way = (uint8_t)way,
                                        .session = session,
                                        .incarnation = incarnation,
                                        .name = bytes_str("x@y")}};
    frame.hello.nonces = link_numbers_of(room, &(uint64_t){5}, 1);
    node_id_fill(frame.hello.cluster, 'c');
    node_id_fill(frame.hello.node, 'n');
    link_frame_write(&out, &frame);
    link_piece_write_header(header, LINK_HELLO, false, out.size);
    conversation_input(conversation, bytes_of(header, sizeof(header)));
    conversation_input(conversation, buffer_bytes(&out));
    buffer_free(&out);
}
