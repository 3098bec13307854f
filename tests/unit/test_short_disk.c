/* A disk that is short, under a whole broker in memory: what gives room back goes on with what is
 * kept for that, though there is none for anything else. */
#include "tests/lib/tap.h"

#include <stdio.h>

#include "queue/queue.h"
#include "broker/vhost.h"
#include "tests/lib/disk_memory.h"
#include "tests/script/world.h"

enum { MIB = 1 << 20 };

static struct world world;
static struct client *const publisher = &world.clients[0];
static struct client *const rejecting = &world.clients[1];
static struct client *const mourner = &world.clients[2];

static void send(struct client *client, uint16_t channel, const char *text)
{
    world_add_method(&client->out, channel, text);
}

static void add_size(struct buffer *out, uint32_t size)
{
    uint8_t bytes[] = {(uint8_t)(size >> 24), (uint8_t)(size >> 16), (uint8_t)(size >> 8),
                       (uint8_t)size};
    buffer_add(out, bytes, sizeof(bytes));
}

/* A persistent message. */
static void publish(struct client *client, const char *queue, uint32_t size)
{
    static const uint8_t zeros[100000];
    struct buffer *out = &client->out;
    char text[100];
    snprintf(text, sizeof(text), "basic.publish routing_key=%s", queue);
    send(client, 1, text);
    buffer_add(out, "\x02\0\x01\0\0\0\x0f\0\x3c\0\0\0\0\0\0", 15);
    add_size(out, size);
    buffer_add(out, "\x10\0\x02\xce\x03\0\x01", 7);
    add_size(out, size);
    buffer_add(out, zeros, size);
    buffer_add(out, "\xce", 1);
}

/* How many messages were delivered since this was last asked. */
static int delivered(struct client *client)
{
    enum { HEADER = 7, BASIC = 60, DELIVER = 60 };
    int count = 0;
    size_t at = 0;
    while (at + HEADER < client->in.size) {
        const uint8_t *frame = client->in.data + at;
        uint32_t size = (uint32_t)frame[3] << 24 | (uint32_t)frame[4] << 16 |
                        (uint32_t)frame[5] << 8 | frame[6];
        count += frame[0] == 1 && frame[8] == BASIC && frame[10] == DELIVER;
        at += HEADER + size + 1;
    }
    buffer_free(&client->in);
    return count;
}

enum { DISK = 64 * MIB };

struct load {
    const char *what;
    int count; /* of messages to be rejected */
    uint32_t size;
    uint64_t left;             /* by other programs; 0: all the rest */
    uint64_t segment, reserve; /* 0: as on any such disk */
    bool has_others;           /* as many messages lie between them that nobody takes */
    int portion;               /* so many are rejected at once; 0: all */
};

static void begin(const struct load *load)
{
    world_new(&world, false);
    disk_memory_limit(world.disk, DISK);
    store_options_default(&world.store_options);
    if (load->segment)
        world.store_options.segment_bytes = (uint32_t)load->segment;
    if (load->reserve)
        world.store_options.disk_reserve_bytes = load->reserve;
    world_restart(&world, true); /* before reserves are made that are smaller */
    for (struct client *client = publisher; client <= mourner; client++)
        world_log_in(&world, client);
    send(publisher, 1, "queue.declare queue=dead durable=1");
    send(publisher, 1, "queue.declare queue=kept durable=1");
    send(publisher, 1,
         "queue.declare queue=work durable=1 arguments={x-dead-letter-exchange:str \"\", "
         "x-dead-letter-routing-key:str dead}");
    world_advance(&world, 1000);
}

static uint64_t free_bytes(void)
{
    uint64_t bytes, total;
    world.disk->ops->free_space(world.disk, &bytes, &total);
    return bytes;
}

/* All of `work` is with a consumer when the disk gets short. */
static void fill(const struct load *load)
{
    for (int i = 0; i < load->count; i++) {
        publish(publisher, "work", load->size);
        if (load->has_others)
            publish(publisher, "kept", load->size);
        if (i % 50 == 49)
            world_advance(&world, 100);
    }
    send(rejecting, 1, "basic.consume queue=work");
    world_advance(&world, 2000);
    is_int(delivered(rejecting), load->count, "all messages are with a consumer");
    if (load->left)
        disk_memory_take(world.disk, free_bytes() - load->left);
    world_advance(&world, 1000);
    ok(store_is_short(world.store), "the disk is short: %s, %llu KiB are free", load->what,
       (unsigned long long)(free_bytes() >> 10));
}

static void reject(int last)
{
    char text[100];
    snprintf(text, sizeof(text), "basic.nack delivery_tag=%d multiple=1 requeue=0", last);
    send(rejecting, 1, text);
}

/* How many letters come; they are acknowledged. */
static int letters(const struct load *load)
{
    int count = 0, portion = load->portion ? load->portion : load->count;
    send(mourner, 1, "basic.consume queue=dead");
    for (int i = 1; i <= 2500; i++) {
        if ((i - 1) * portion < load->count)
            reject(i * portion < load->count ? i * portion : load->count);
        int more = delivered(mourner);
        if (more)
            send(mourner, 1, "basic.ack delivery_tag=0 multiple=1");
        count += more;
        world_advance(&world, 200);
    }
    return count;
}

/* The room that letters need is where the messages lie that they are copies of. */
static void full_of_letters(const struct load *load)
{
    begin(load);
    fill(load);
    is_int(letters(load), load->count, "all letters come");
    ok(!store_failure(world.store), "and the store goes on");
    world_free(&world);
}

TEST(a_disk_full_of_rejected_messages)
{
    static const struct load loads[] = {
        {.what = "most of a segment", .count = 9000, .size = 4000, .left = 3 * MIB},
        {.what = "others have much", .count = 9000, .size = 4000, .left = 1 * MIB},
        {.what = "others have all but a little", .count = 9000, .size = 4000, .left = 64 << 10},
        {.what = "tiny messages", .count = 50000, .size = 100, .left = 1 * MIB},
        {.what = "a few large ones", .count = 400, .size = 90000, .left = 1 * MIB},
        {.what = "others between them",
         .count = 5000,
         .size = 4000,
         .left = 1 * MIB,
         .has_others = true},
        {.what = "segments larger than the reserve",
         .count = 4030,
         .size = 16000,
         .segment = 4 * MIB,
         .reserve = 1 * MIB,
         .portion = 2},
    };
    for (size_t i = 0; i < sizeof(loads) / sizeof(loads[0]); i++)
        full_of_letters(&loads[i]);
}

int main(void)
{
    RUN(a_disk_full_of_rejected_messages);
    return done();
}
