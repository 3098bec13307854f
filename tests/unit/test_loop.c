/* The loop and its sockets, with a protocol that is made up here. A child process runs the loop;
 * the test is its peer.
 *
 * A peer's bytes are commands: 'e' and one byte: send it back; 'm': send a mebibyte; 'q': say
 * "bye" and finish; 'p': read no further for 50 ms; 's': work on it for 20 ms; 't': tell whether the
 * service was told a time since such work ended ('y' or 'n'); 'f': the service fails; the rest is
 * ignored. */
#include "net/loop.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/mem.h"
#include "net/clock.h"
#include "net/listener.h"
#include "tests/lib/loop_child.h"
#include "tests/lib/tap.h"
#include "tests/script/world.h"

enum { MEBIBYTE = 1 << 20, PAUSE_MS = 50, WORK_MS = 20 };

/* ---- a protocol ---- */

struct talk {
    struct conversation conversation;
    struct talkers *talkers;
    struct list link; /* in talkers->talks */
    struct buffer output;
    uint8_t *lent;            /* a copy of it, until it is sent */
    uint64_t paused_until_ms; /* 0: not paused */
    bool finished;
};

struct talkers {
    struct service service;
    struct list talks;
    uint64_t now_ms, worked_ms; /* when work ended last */
    bool failing;
};

static struct talk *talk_of(const struct conversation *conversation)
{
    return list_entry(conversation, struct talk, conversation);
}

static struct talkers *talkers_of(const struct service *service)
{
    return list_entry(service, struct talkers, service);
}

static void touch(struct talk *talk)
{
    service_touch(&talk->talkers->service, &talk->conversation);
}

static void say(struct talk *talk, const char *text)
{
    buffer_add(&talk->output, text, strlen(text));
    touch(talk);
}

static void lost(struct conversation *conversation, const char *reason)
{
    (void)conversation;
    assert(!reason || *reason);
}

static void free_talk(struct conversation *conversation)
{
    struct talk *talk = talk_of(conversation);
    list_remove(&talk->link);
    list_remove(&conversation->writable_link);
    buffer_free(&talk->output);
    mem_free(talk->lent);
    mem_free(talk);
}

static void send_mebibyte(struct talk *talk)
{
    uint8_t *at = buffer_room(&talk->output, MEBIBYTE);
    for (size_t i = 0; i < MEBIBYTE; i++)
        at[i] = (uint8_t)(i % 251);
    buffer_added(&talk->output, MEBIBYTE);
    touch(talk);
}

static void send_byte(struct talk *talk, uint8_t byte)
{
    buffer_add(&talk->output, &byte, 1);
    touch(talk);
}

static void input(struct conversation *conversation, struct bytes bytes)
{
    struct talk *talk = talk_of(conversation);
    for (size_t i = 0; i < bytes.size && !talk->finished; i++) {
        if (bytes.data[i] == 'e' && i + 1 < bytes.size) {
            send_byte(talk, bytes.data[++i]);
        } else if (bytes.data[i] & 0x80) {
            send_byte(talk, bytes.data[i]);
        } else if (bytes.data[i] == 'm') {
            send_mebibyte(talk);
        } else if (bytes.data[i] == 'p') {
            talk->paused_until_ms = talk->talkers->now_ms + PAUSE_MS;
        } else if (bytes.data[i] == 's') {
            usleep(WORK_MS * 1000);
            talk->talkers->worked_ms = clock_monotonic_ms();
        } else if (bytes.data[i] == 't') {
            say(talk, talk->talkers->now_ms >= talk->talkers->worked_ms ? "y" : "n");
        } else if (bytes.data[i] == 'f') {
            talk->talkers->failing = true;
        } else if (bytes.data[i] == 'q') {
            say(talk, "bye");
            talk->finished = true;
        }
    }
}

static bool wants_input(const struct conversation *conversation)
{
    const struct talk *talk = talk_of(conversation);
    return !talk->finished && !talk->paused_until_ms;
}

/* In parts of odd sizes, to see them put together. What is lent stays where it is while more comes.
 */
static int output(struct conversation *conversation, struct iovec *parts, int max)
{
    struct talk *talk = talk_of(conversation);
    size_t at = 0;
    int count = 0;
    assert(!talk->lent);
    if (talk->output.size == 0)
        return 0;
    talk->lent = mem_dup(talk->output.data, talk->output.size);
    while (count < max && at < talk->output.size) {
        size_t size = talk->output.size - at < 7777 ? talk->output.size - at : 7777;
        parts[count++] = (struct iovec){talk->lent + at, size};
        at += size;
    }
    return count;
}

static void sent(struct conversation *conversation, size_t size)
{
    struct talk *talk = talk_of(conversation);
    assert(talk->lent);
    mem_free(talk->lent);
    talk->lent = NULL;
    buffer_drop(&talk->output, size);
}

static bool is_finished(const struct conversation *conversation)
{
    const struct talk *talk = talk_of(conversation);
    return talk->finished && talk->output.size == 0;
}

/* Is it the test that has connected, by a path? */
static bool is_parent(const struct peer *peer)
{
    char name[64];
    snprintf(name, sizeof(name), "unix:%ld", (long)getppid());
    return peer->pid == getppid() && peer->uid == getuid() && peer->gid == getgid() &&
           strcmp(peer->name, name) == 0 && peer->local[0] == '/';
}

static struct conversation *accept_peer(struct service *service, const struct peer *peer)
{
    static const struct conversation_ops ops = {.input = input,
                                                .wants_input = wants_input,
                                                .output = output,
                                                .sent = sent,
                                                .is_finished = is_finished,
                                                .lost = lost,
                                                .free = free_talk};
    struct talk *talk = mem_zalloc(sizeof(*talk));
    conversation_init(&talk->conversation, &ops);
    talk->talkers = talkers_of(service);
    list_push_back(&talk->talkers->talks, &talk->link);
    if (peer->is_unix)
        say(talk, peer->is_loopback && is_parent(peer) ? "U" : "?");
    else
        say(talk, peer->is_loopback ? "L" : "R");
    return &talk->conversation;
}

static void woken(struct service *service, uint64_t now_ms)
{
    talkers_of(service)->now_ms = now_ms;
}

static void tick(struct service *service, uint64_t now_ms, uint64_t clock_ms)
{
    struct talkers *talkers = talkers_of(service);
    (void)clock_ms;
    talkers->now_ms = now_ms;
    list_for_each(at, &talkers->talks) {
        struct talk *talk = list_entry(at, struct talk, link);
        if (talk->paused_until_ms && talk->paused_until_ms <= now_ms) {
            talk->paused_until_ms = 0;
            say(talk, "again");
        }
    }
}

static uint64_t next_ms(const struct service *service)
{
    const struct talkers *talkers = talkers_of(service);
    uint64_t next = UINT64_MAX;
    list_for_each(at, &talkers->talks) {
        uint64_t at_ms = list_entry(at, struct talk, link)->paused_until_ms;
        if (at_ms && at_ms < next)
            next = at_ms;
    }
    return next;
}

static void say_goodbye(struct service *service)
{
    list_for_each(at, &talkers_of(service)->talks) {
        say(list_entry(at, struct talk, link), "shutdown");
        list_entry(at, struct talk, link)->finished = true;
    }
}

static const char *failure(const struct service *service)
{
    return talkers_of(service)->failing ? "it was told to" : NULL;
}

static const struct service_ops talkers_ops = {.accept = accept_peer,
                                               .woken = woken,
                                               .tick = tick,
                                               .next_ms = next_ms,
                                               .shutdown = say_goodbye,
                                               .failure = failure};

/* ---- a running loop ---- */

static size_t io_threads;  /* that it has */
static struct world world; /* has a store, to be looked after */

static struct talkers talkers;

static void begin(void)
{
    list_init(&talkers.talks);
    service_init(&talkers.service, &talkers_ops);
}

static struct loop_child start(size_t descriptors)
{
    static struct service *const service = &talkers.service;
    begin();
    return loop_child_start(&service, 1, world.store, descriptors, io_threads);
}

static int connect_to(const struct loop_child *child)
{
    return loop_child_connect(child, 0);
}

TEST(echo)
{
    struct loop_child child = start(1000);
    int fd = connect_to(&child);
    peer_says(fd, 1, "L", "greeted, as a peer of this machine");
    peer_write(fd, "exeyez");
    peer_says(fd, 3, "xyz", "answered");
    close(fd);
    is_int(loop_child_stop(&child), 0, "ended in good order");
}

TEST(a_peer_that_reads_slowly_gets_all)
{
    enum { COUNT = 24 };
    static char part[MEBIBYTE + 1];
    struct loop_child child = start(1000);
    int slow = connect_to(&child);
    int quick = connect_to(&child);
    peer_read(slow, part, 1);
    peer_read(quick, part, 1);
    for (int i = 0; i < COUNT; i++)
        peer_write(slow, "m");
    usleep(50000);
    peer_write(quick, "ee");
    is_int(peer_read(quick, part, 1), 1, "another is served while it blocks");
    int good = 0;
    for (int i = 0; i < COUNT; i++) {
        size_t got = peer_read(slow, part, MEBIBYTE);
        size_t at = 0;
        while (at < got && (uint8_t)part[at] == at % 251)
            at++;
        good += at == MEBIBYTE;
    }
    is_int(good, COUNT, "every mebibyte came as it was sent");
    close(slow);
    close(quick);
    is_int(loop_child_stop(&child), 0, "ended");
}

TEST(last_words_reach_a_peer_that_still_talks)
{
    static char noise[MEBIBYTE];
    struct loop_child child = start(1000);
    char text[64];
    int fd = connect_to(&child);
    peer_read(fd, text, 1);
    peer_write(fd, "q");
    signal(SIGPIPE, SIG_IGN);
    for (int i = 0; i < 4; i++)
        if (write(fd, noise, sizeof(noise)) < 0)
            break;
    usleep(50000);
    is_int(peer_read(fd, text, 60), 3, "three bytes and the end");
    is_str(text, "bye", "are what was said last");
    close(fd);
    is_int(loop_child_stop(&child), 0, "ended");
}

TEST(a_peer_that_does_not_close_is_left)
{
    struct loop_child child = start(1000);
    char text[64];
    int fd = connect_to(&child);
    peer_read(fd, text, 1);
    peer_write(fd, "q");
    is_int(peer_read(fd, text, 60), 3, "it said goodbye");
    usleep(3300000);
    struct pollfd reset = {.fd = fd, .events = 0};
    ok(send(fd, "x", 1, MSG_NOSIGNAL) == 1, "after some seconds nobody is there to take");
    is_int(poll(&reset, 1, 1000), 1, "what it sends, and it is told");
    close(fd);
    is_int(loop_child_stop(&child), 0, "ended");
}

TEST(input_waits_while_it_is_not_wanted)
{
    struct loop_child child = start(1000);
    char text[64];
    int fd = connect_to(&child);
    peer_read(fd, text, 1);
    peer_write(fd, "p");
    usleep(10000);
    peer_write(fd, "ex");
    peer_says(fd, 6, "againx", "what came in the pause is answered after it");
    close(fd);
    is_int(loop_child_stop(&child), 0, "ended");
}

TEST(descriptors_run_out)
{
    enum { PEERS = 15, ROOM = 10 };
    struct loop_child child = start(2 * ROOM);
    int fds[PEERS];
    char text[64];
    for (int i = 0; i < PEERS; i++)
        fds[i] = connect_to(&child);
    for (int i = 0; i < ROOM; i++)
        peer_read(fds[i], text, 1);
    struct pollfd late = {.fd = fds[ROOM], .events = POLLIN};
    is_int(poll(&late, 1, 150), 0, "one too many has to wait");
    peer_write(fds[0], "ex");
    peer_says(fds[0], 1, "x", "while those who are there are served");
    for (int i = 0; i < PEERS - ROOM; i++)
        close(fds[i]);
    for (int i = ROOM; i < PEERS; i++)
        is_int(peer_read(fds[i], text, 1), 1, "then its turn comes");
    for (int i = PEERS - ROOM; i < PEERS; i++)
        close(fds[i]);
    is_int(loop_child_stop(&child), 0, "ended");
}

TEST(stopping_says_goodbye)
{
    struct loop_child child = start(1000);
    char text[64];
    int fd = connect_to(&child);
    peer_read(fd, text, 1);
    kill(child.pid, SIGINT);
    is_int(peer_read(fd, text, 60), 8, "it ends");
    is_str(text, "shutdown", "with the reason");
    close(fd);
    is_int(loop_child_wait(&child), 0, "and the loop with it");
}

/* In the second after the first it is the same wish, said twice. */
TEST(a_second_signal_is_obeyed_at_once)
{
    struct loop_child child = start(1000);
    char text[64];
    int fd = connect_to(&child);
    peer_read(fd, text, 1);
    kill(child.pid, SIGTERM);
    peer_says(fd, 60, "shutdown", "it is stopping, and waits for us to close");
    kill(child.pid, SIGTERM);
    kill(child.pid, SIGINT);
    usleep(1100000);
    is_int(waitpid(child.pid, NULL, WNOHANG), 0, "one that comes with the first is no second one");
    is_int(loop_child_stop(&child), 128 + SIGTERM, "the second signal does not wait");
    close(fd);
}

TEST(counters_are_told_and_nothing_ends)
{
    struct loop_child child = start(1000);
    char text[64];
    int fd = connect_to(&child);
    peer_read(fd, text, 1);
    kill(child.pid, SIGUSR1);
    peer_write(fd, "ex");
    is_int(peer_read(fd, text, 1), 1, "it goes on");
    close(fd);
    is_int(loop_child_stop(&child), 0, "ended");
}

TEST(a_failed_service_ends_the_loop)
{
    struct loop_child child = start(1000);
    char text[64];
    int fd = connect_to(&child);
    peer_read(fd, text, 1);
    peer_write(fd, "f");
    peer_says(fd, 60, "shutdown", "the peer is told");
    close(fd);
    is_int(loop_child_wait(&child), 1, "and the loop says that it failed");
}

TEST(address_in_use)
{
    struct loop_child child = start(1000);
    close(connect_to(&child));
    struct loop *loop = loop_new(NULL, 100, 0, 0);
    is_int(loop_bind(loop, &child.addresses[0], NULL, NULL), EADDRINUSE,
           "a port can be taken once");
    loop_free(loop);
    is_int(loop_child_stop(&child), 0, "ended");
}

/* Somebody who has an address, and does not listen there yet. */
static int bind_only(struct address *address)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    socklen_t size = sizeof(address->v4);
    *address = (struct address){.v4 = {.sin_family = AF_INET,
                                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        bind(fd, &address->any, size) < 0 || getsockname(fd, &address->any, &size) < 0)
        bail("no address: %s", strerror(errno));
    return fd;
}

TEST(two_that_start_at_once)
{
    struct address address;
    int fd = bind_only(&address);
    struct loop *wants = loop_new(NULL, 100, 0, 0), *likes = loop_new(NULL, 100, 0, 0);
    is_int(loop_bind(wants, &address, NULL, NULL), 0, "both are bound");
    is_int(loop_bind_usual(likes, &address, NULL, NULL), 0, "as long as neither listens");
    ok(listen(fd, 1) == 0, "then one does");
    is_int(listeners_start(wants), EADDRINUSE, "and the other one does not start");
    is_int(listeners_start(likes), 0, "unless the address was only the usual one");
    loop_free(wants);
    loop_free(likes);
    close(fd);
}

TEST(a_path)
{
    char folder[] = "/tmp/leveret-XXXXXX", path[64];
    ok(mkdtemp(folder) != NULL, "a folder");
    snprintf(path, sizeof(path), "%s/socket", folder);
    begin();
    struct loop_child child = loop_child_start_at(&(struct path_place){path, 0600, (gid_t)-1},
                                                  &talkers.service, world.store);
    int fd = loop_child_connect_at(path);
    peer_says(fd, 1, "U", "greeted, as the process and user that it is");
    peer_write(fd, "ex");
    peer_says(fd, 1, "x", "answered");
    close(fd);
    is_int(loop_child_stop(&child), 0, "ended");
    is_int(rmdir(folder), 0, "and left nothing behind");
}

static uint8_t echoed(uint32_t at, int peer)
{
    return (uint8_t)(0x80 | (at / 3 + at / 1000 + (uint32_t)peer));
}

static void write_echoed(int fd, int peer, uint32_t size)
{
    uint8_t part[10007];
    for (uint32_t at = 0; at < size;) {
        uint32_t now = 0;
        while (now < sizeof(part) && at < size)
            part[now++] = echoed(at++, peer);
        for (uint32_t from = 0; from < now;) {
            ssize_t n = write(fd, part + from, now - from);
            if (n <= 0)
                _exit(1);
            from += (uint32_t)n;
        }
    }
}

static bool is_echoed(int fd, int peer, uint32_t size)
{
    uint8_t part[10007];
    uint32_t at = 0;
    while (at < size) {
        ssize_t n = read(fd, part, sizeof(part));
        if (n <= 0)
            return false;
        for (ssize_t i = 0; i < n; i++)
            if (part[i] != echoed(at++, peer))
                return false;
    }
    return true;
}

/* More than a thread moves at a time, to and from several peers at once. */
TEST(much_comes_and_goes)
{
    enum { PEERS = 5, SIZE = 3000000 };
    struct loop_child child = start(1000);
    int fds[PEERS];
    pid_t writers[PEERS];
    for (int i = 0; i < PEERS; i++) {
        char text[4];
        fds[i] = connect_to(&child);
        peer_read(fds[i], text, 1);
        writers[i] = fork();
        if (writers[i] == 0) {
            write_echoed(fds[i], i, SIZE);
            _exit(0);
        }
    }
    for (int i = PEERS - 1; i >= 0; i--)
        ok(is_echoed(fds[i], i, SIZE), "peer %d has all of its bytes back", i);
    for (int i = 0; i < PEERS; i++) {
        waitpid(writers[i], NULL, 0);
        close(fds[i]);
    }
    is_int(loop_child_stop(&child), 0, "ended");
}

/* One that sends faster than it is dealt with is not all there is. */
/* Whoever is read last in a long turn is not timed by its beginning. */
TEST(what_comes_late_in_a_turn_has_come_then)
{
    enum { PEERS = 4 };
    struct loop_child child = start(1000);
    char text[64];
    int fds[PEERS], late = 0;
    for (int i = 0; i < PEERS; i++) {
        fds[i] = connect_to(&child);
        peer_read(fds[i], text, 1);
    }
    kill(child.pid, SIGSTOP); /* so that all lies there at once */
    for (int i = 0; i < PEERS; i++)
        peer_write(fds[i], "ts");
    kill(child.pid, SIGCONT);
    for (int i = 0; i < PEERS; i++)
        late += peer_read(fds[i], text, 1) != 1 || text[0] != 'y';
    is_int(late, 0, "the time told is not before what came before");
    for (int i = 0; i < PEERS; i++)
        close(fds[i]);
    is_int(loop_child_stop(&child), 0, "ended");
}

TEST(a_flood_keeps_nobody_waiting)
{
    enum { SLOW = 64 << 10, FLOOD_MS = 2000 };
    struct loop_child child = start(1000);
    char text[64];
    int fd = connect_to(&child);
    int flood = connect_to(&child);
    peer_read(fd, text, 1);
    pid_t writer = fork();
    if (writer == 0) {
        static char much[SLOW];
        memset(much, 'x', sizeof(much));
        much[0] = 's';
        for (int i = 0; i < FLOOD_MS / WORK_MS; i++)
            if (write(flood, much, sizeof(much)) < 0)
                break;
        _exit(0);
    }
    usleep(200000);
    peer_write(fd, "p");
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    is_int(poll(&readable, 1, FLOOD_MS / 2), 1, "another peer's time comes");
    kill(writer, SIGKILL);
    waitpid(writer, NULL, 0);
    close(fd);
    close(flood);
    is_int(loop_child_stop(&child), 0, "ended");
}

/* What came before the end of a peer is acted on before the end is. */
TEST(the_end_waits_while_input_is_not_wanted)
{
    static char much[260 << 10];
    struct loop_child child = start(1000);
    char text[64];
    int fd = connect_to(&child);
    peer_read(fd, text, 1);
    memset(much, 'x', sizeof(much));
    much[0] = 's';
    much[sizeof(much) - 1] = 'p';
    is_int(write(fd, much, sizeof(much)), sizeof(much), "sent");
    shutdown(fd, SHUT_WR);
    peer_says(fd, 60, "again", "it heard the end only when it wanted to");
    close(fd);
    is_int(loop_child_stop(&child), 0, "ended");
}

static void run_all(void)
{
    RUN(echo);
    RUN(a_peer_that_reads_slowly_gets_all);
    RUN(last_words_reach_a_peer_that_still_talks);
    RUN(a_peer_that_does_not_close_is_left);
    RUN(input_waits_while_it_is_not_wanted);
    RUN(much_comes_and_goes);
    RUN(what_comes_late_in_a_turn_has_come_then);
    RUN(a_flood_keeps_nobody_waiting);
    RUN(the_end_waits_while_input_is_not_wanted);
    RUN(descriptors_run_out);
    RUN(stopping_says_goodbye);
    RUN(a_second_signal_is_obeyed_at_once);
    RUN(counters_are_told_and_nothing_ends);
    RUN(a_failed_service_ends_the_loop);
    RUN(address_in_use);
    RUN(two_that_start_at_once);
    RUN(a_path);
}

int main(void)
{
    world_new(&world, false);
    run_all();
    io_threads = 2;
    tap_diag("with I/O threads");
    run_all();
    world_free(&world);
    return done();
}
