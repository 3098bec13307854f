/* A second protocol beside AMQP, in the same loop and on a socket of its own: lines, of which PING is
 * answered by PONG, QUIT ends the conversation, and any other by a question mark. It is all that a
 * protocol has to bring. */
#include "peer/service.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "amqp/frame.h"
#include "amqp/method.h"
#include "base/buffer.h"
#include "base/mem.h"
#include "peer/output.h"
#include "tests/lib/loop_child.h"
#include "tests/lib/tap.h"
#include "tests/script/world.h"

/* ---- the protocol ---- */

struct pings {
    struct service service;
    struct output_pool outputs;
    struct list all;
};

struct ping {
    struct conversation conversation;
    struct pings *pings;
    struct list link; /* in pings->all */
    struct buffer line; /* that has begun */
    struct output output;
    bool is_over;
};

static struct ping *ping_of(const struct conversation *conversation)
{
    return list_entry(conversation, struct ping, conversation);
}

static void say(struct ping *ping, const char *line)
{
    size_t size = strlen(line);
    memcpy(output_room(&ping->pings->outputs, &ping->output, size), line, size);
    output_added(&ping->output, size);
    service_touch(&ping->pings->service, &ping->conversation);
}

static void act(struct ping *ping, struct bytes line)
{
    if (bytes_equal(line, bytes_str("PING"))) {
        say(ping, "PONG\n");
    } else if (bytes_equal(line, bytes_str("QUIT"))) {
        say(ping, "BYE\n");
        ping->is_over = true;
    } else {
        say(ping, "?\n");
    }
}

static void input(struct conversation *conversation, struct bytes bytes)
{
    struct ping *ping = ping_of(conversation);
    const uint8_t *end;
    buffer_add(&ping->line, bytes.data, bytes.size);
    while (!ping->is_over && (end = memchr(ping->line.data, '\n', ping->line.size))) {
        act(ping, bytes_of(ping->line.data, (size_t)(end - ping->line.data)));
        buffer_drop(&ping->line, (size_t)(end - ping->line.data) + 1);
    }
}

static bool wants_input(const struct conversation *conversation)
{
    return !ping_of(conversation)->is_over;
}

static int output(struct conversation *conversation, struct iovec *parts, int max)
{
    return output_peek(&ping_of(conversation)->output, parts, max);
}

static void sent(struct conversation *conversation, size_t size)
{
    struct ping *ping = ping_of(conversation);
    output_drop(&ping->pings->outputs, &ping->output, size);
}

static bool is_finished(const struct conversation *conversation)
{
    return ping_of(conversation)->is_over && ping_of(conversation)->output.size == 0;
}

static void free_ping(struct conversation *conversation)
{
    struct ping *ping = ping_of(conversation);
    list_remove(&conversation->writable_link);
    list_remove(&ping->link);
    buffer_free(&ping->line);
    output_free(&ping->pings->outputs, &ping->output);
    mem_free(ping);
}

static struct conversation *accept_peer(struct service *service, const struct peer *peer)
{
    static const struct conversation_ops ops = {.input = input,
                                                .wants_input = wants_input,
                                                .output = output,
                                                .sent = sent,
                                                .is_finished = is_finished,
                                                .free = free_ping};
    (void)peer;
    struct ping *ping = mem_zalloc(sizeof(*ping));
    conversation_init(&ping->conversation, &ops);
    ping->pings = list_entry(service, struct pings, service);
    list_push_back(&ping->pings->all, &ping->link);
    return &ping->conversation;
}

static void say_goodbye(struct service *service)
{
    list_for_each(at, &list_entry(service, struct pings, service)->all)
        act(list_entry(at, struct ping, link), bytes_str("QUIT"));
}

static const struct service_ops pings_ops = {.accept = accept_peer, .shutdown = say_goodbye};

/* ---- in a loop, beside AMQP ---- */

enum { AMQP, PINGS };

static struct world world;
static struct pings pings;

static struct loop_child start(void)
{
    static struct service *services[2];
    services[AMQP] = world.service;
    services[PINGS] = &pings.service;
    return loop_child_start(services, 2, world.store, 1000, 0);
}

/* Of one of its methods on channel 0. */
static bool is_read(int fd, uint32_t id)
{
    uint8_t start[11];
    char byte;
    if (read(fd, start, sizeof(start)) != sizeof(start) || start[0] != 1)
        return false;
    for (uint32_t left = (uint32_t)start[5] << 8 | start[6]; left > sizeof(id) - 1; left--)
        if (read(fd, &byte, 1) != 1)
            return false;
    return start[8] == method_class_id(id) && start[10] == method_method_id(id);
}

static int greet(const struct loop_child *child)
{
    int fd = loop_child_connect(child, AMQP);
    ok(write(fd, protocol_header, PROTOCOL_HEADER_SIZE) == PROTOCOL_HEADER_SIZE, "one speaks AMQP");
    return fd;
}

TEST(lines_are_answered)
{
    struct loop_child child = start();
    int fd = loop_child_connect(&child, PINGS);
    peer_write(fd, "PING\nPI");
    peer_says(fd, 5, "PONG\n", "a whole line");
    peer_write(fd, "NG\nwhat\nQUIT\nPING\n");
    peer_says(fd, 60, "PONG\n?\nBYE\n", "lines in one piece, up to the one that ends it");
    close(fd);
    is_int(loop_child_stop(&child), 0, "ended");
}

TEST(each_port_has_its_protocol)
{
    struct loop_child child = start();
    int lines = loop_child_connect(&child, PINGS);
    int frames = greet(&child);
    peer_write(lines, "AMQP\n");
    ok(is_read(frames, METHOD_CONNECTION_START), "and is answered with connection.start");
    peer_says(lines, 2, "?\n", "which to the other is a line as any");
    close(lines);
    close(frames);
    is_int(loop_child_stop(&child), 0, "ended");
}

TEST(all_say_goodbye)
{
    struct loop_child child = start();
    int lines = loop_child_connect(&child, PINGS);
    int frames = greet(&child);
    ok(is_read(frames, METHOD_CONNECTION_START), "and is greeted");
    peer_write(lines, "PING\n");
    peer_says(lines, 5, "PONG\n", "another speaks in lines");
    kill(child.pid, SIGTERM);
    ok(is_read(frames, METHOD_CONNECTION_CLOSE), "the one is told in a frame");
    peer_says(lines, 60, "BYE\n", "the other in a line");
    close(lines);
    close(frames);
    is_int(loop_child_wait(&child), 0, "and the loop ends when both have gone");
}

int main(void)
{
    world_new(&world, false);
    service_init(&pings.service, &pings_ops);
    output_pool_init(&pings.outputs, &world.pool);
    list_init(&pings.all);
    RUN(lines_are_answered);
    RUN(each_port_has_its_protocol);
    RUN(all_say_goodbye);
    output_pool_free(&pings.outputs);
    world_free(&world);
    return done();
}
