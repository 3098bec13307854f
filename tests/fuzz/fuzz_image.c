/* What another broker of the cluster says of an image, and sends of it. The input is a row of acts: a byte that
 * says which, two with a size, and so many bytes. 0: these are a list of files, and an image that has them is
 * offered. 1: they are as much as fits of the piece that is asked for next. 2: they are a piece of anything.
 * 3: the image is there no more. 4: the link is lost. 5: they are a question for a piece of an image of ours,
 * of which there is none. An image that has come whole is looked at as the daemon does, and nothing may be in
 * the folder then that an image does not have. */
#include <assert.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "folder.h"
#include "image.h"
#include "image_folder.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/node.h"

enum { WAYS = 2, ACTS_MAX = 200 };

struct world {
    struct links *links;
    struct node_identity identity;
    struct images *images;
    struct conversation *ways[WAYS];
    struct buffer said;    /* by control, that was not looked at yet */
    struct link_pull wants[64];
    size_t want_count;
    uint64_t now_ms, token, incarnation;
};

static char folder[] = "/tmp/fuzz_image.XXXXXX";

/* ---- a link that is up, of which nothing is sent but what is asked for below ---- */

static void come_up(struct world *world)
{
    const struct peer peer = {.name = "fuzz"};
    struct link_event event;
    for (int way = 0; way < WAYS; way++) {
        world->ways[way] = service_accept(links_service(world->links), &peer, NULL);
        node_says_hello(world->ways[way], (enum link_way)way, world->incarnation, world->incarnation);
    }
    while (links_next(world->links, &event))
        continue;
    buffer_drop(&world->said, world->said.size);
    world->want_count = 0;
}

static void go_down(struct world *world)
{
    struct link_event event;
    for (int way = 0; way < WAYS; way++)
        conversation_free(world->ways[way]);
    while (links_next(world->links, &event))
        continue;
}

static void hear(struct world *world)
{
    struct link_piece piece;
    union link_frame frame;
    ssize_t size;
    while ((size = link_piece_read(buffer_bytes(&world->said), &piece)) > 0) {
        if (piece.type == LINK_PULL && link_frame_read(piece.type, piece.payload, &frame) == LINK_FRAME_OK) {
            assert(world->want_count < 64);
            world->wants[world->want_count++] = frame.pull;
        }
        buffer_drop(&world->said, (size_t)size);
    }
    assert(size == 0);
}

static void turn(struct world *world)
{
    struct iovec parts[8];
    images_tick(world->images, world->now_ms);
    for (int way = 0; way < WAYS; way++) {
        int count = conversation_output(world->ways[way], parts, 8);
        for (int i = 0; i < count; i++) {
            if (way == LINK_WAY_CONTROL)
                buffer_add(&world->said, parts[i].iov_base, parts[i].iov_len);
            conversation_sent(world->ways[way], parts[i].iov_len);
        }
    }
    hear(world);
}

/* ---- acts ---- */

static void receive(struct world *world, const union link_frame *frame)
{
    images_receive(world->images, world->now_ms, links_numbered(world->links, 2), frame);
}

static void offer(struct world *world, struct bytes list)
{
    union link_frame frame = {.image = {.type = LINK_IMAGE, .token = ++world->token, .term = 3, .last = 9,
                                        .last_term = 2, .files = list}};
    world->want_count = 0;
    receive(world, &frame);
}

static void answer(struct world *world, struct bytes bytes)
{
    if (world->want_count == 0)
        return;
    struct link_pull want = world->wants[0];
    memmove(world->wants, world->wants + 1, --world->want_count * sizeof(want));
    uint8_t *room = mem_alloc(want.size + 1);
    memset(room, 0, want.size);
    memcpy(room, bytes.data, bytes.size < want.size ? bytes.size : want.size);
    union link_frame frame = {.reply = {.type = LINK_REPLY,
                                        .token = want.token,
                                        .file = want.file,
                                        .offset = want.offset,
                                        .bytes = bytes_of(room, want.size)}};
    receive(world, &frame);
    mem_free(room);
}

static uint64_t number_at(struct bytes bytes, size_t at)
{
    uint64_t number = 0;
    for (size_t i = at; i < at + 8; i++)
        number = number << 8 | (i < bytes.size ? bytes.data[i] : 0);
    return number;
}

static void answer_anything(struct world *world, struct bytes bytes)
{
    union link_frame frame = {.reply = {.type = LINK_REPLY,
                                        .token = world->token,
                                        .file = (uint32_t)number_at(bytes, 0),
                                        .offset = number_at(bytes, 8),
                                        .bytes = bytes}};
    receive(world, &frame);
}

static void ask(struct world *world, struct bytes bytes)
{
    union link_frame frame = {.pull = {.type = LINK_PULL,
                                       .token = number_at(bytes, 0),
                                       .file = (uint32_t)number_at(bytes, 8),
                                       .offset = number_at(bytes, 12),
                                       .size = (uint32_t)number_at(bytes, 20)}};
    receive(world, &frame);
}

static void act(struct world *world, uint8_t what, struct bytes bytes)
{
    static const union link_frame no_more = {.reply = {.type = LINK_REPLY, .file = UINT32_MAX}};
    union link_frame frame = no_more;
    switch (what % 6) {
    case 0:
        offer(world, bytes);
        break;
    case 1:
        answer(world, bytes);
        break;
    case 2:
        answer_anything(world, bytes);
        break;
    case 3:
        frame.reply.token = world->token;
        receive(world, &frame);
        break;
    case 4:
        go_down(world);
        images_tick(world->images, world->now_ms);
        world->incarnation++;
        come_up(world);
        break;
    default:
        ask(world, bytes);
    }
}

/* Whatever was said, only files of an image are there. */
static void look_at_folder(const char *path)
{
    DIR *entries = opendir(path);
    const struct dirent *entry;
    while (entries && (entry = readdir(entries))) {
        const char *name = entry->d_name;
        assert(strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, IMAGE_COMES) == 0 ||
               strcmp(name, IMAGE_LEAVES) == 0);
    }
    if (entries)
        closedir(entries);
}

static void drop_coming(void)
{
    char *coming = folder_join(folder, IMAGE_COMES);
    image_folder_drop(coming);
    mem_free(coming);
}

static void drop_folder(void)
{
    rmdir(folder);
}

static bool make_folder(void)
{
    static bool is_made;
    if (!is_made)
        is_made = mkdtemp(folder) && atexit(drop_folder) == 0;
    return is_made;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world world = {.now_ms = 1000, .incarnation = 1};
    struct store_options store_options;
    static const struct log log;
    if (!make_folder())
        return 0;
    world.identity = node_identity_of('a', 3);
    const struct links_options links = {.name = "leveret@a", .number = 1, .seed = 1, .log = &log};
    struct link_peer peer = {.number = 2};
    node_id_fill(peer.node, 'n');
    world.links = links_new(&links, &world.identity, world.now_ms);
    links_add(world.links, &peer);
    store_options_default(&store_options);
    struct worker *worker = worker_manual_new(true);
    const struct images_options options = {.data_dir = folder,
                                           .store_options = &store_options,
                                           .links = world.links,
                                           .log = &log,
                                           .seed = 1,
                                           .worker = worker};
    world.images = images_new(&options);
    come_up(&world);
    struct bytes rest = bytes_of(data, size);
    for (int acts = 0; rest.size >= 3 && acts < ACTS_MAX; acts++) {
        size_t wanted = (size_t)rest.data[1] << 8 | rest.data[2];
        size_t now = wanted < rest.size - 3 ? wanted : rest.size - 3;
        act(&world, rest.data[0], bytes_of(rest.data + 3, now));
        turn(&world);
        world.now_ms += 7;
        rest = bytes_of(rest.data + 3 + now, rest.size - 3 - now);
    }
    struct group_image image;
    if (images_have(world.images, &image))
        images_refuse(world.images, world.now_ms, "it is not wanted");
    images_free(world.images);
    worker_manual_free(worker);
    go_down(&world);
    buffer_free(&world.said);
    links_free(world.links);
    look_at_folder(folder);
    drop_coming();
    return 0;
}
