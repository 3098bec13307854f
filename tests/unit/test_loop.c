/* The loop and its sockets, under a session that is made up here: what the layer below the sockets
 * sees is little enough to be played by a few functions. A child process runs the loop; the test is
 * its peer.
 *
 * A peer's bytes are commands: 'e' and one byte: send it back; 'm': send a mebibyte; 'q': say
 * "bye" and finish; 'p': read no further for 50 ms; 's': work on it for 20 ms; 'f': the store
 * fails; the rest is ignored. */
#include "net/loop.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/mem.h"
#include "net/listener.h"
#include "tests/lib/tap.h"

enum { MEBIBYTE = 1 << 20, PAUSE_MS = 50, WORK_MS = 20 };

/* ---- a session ---- */

struct connection {
    struct list link;
    struct list writable_link;
    struct server *server;
    void *owner;
    struct buffer output;
    uint8_t *lent; /* a copy of it, until it is sent */
    uint64_t paused_until_ms; /* 0: not paused */
    bool finished;
};

struct server {
    struct list connections;
    struct list writable;
    size_t count;
    uint64_t now_ms;
    bool failing;
};

static void touch(struct connection *connection)
{
    list_remove(&connection->writable_link);
    list_push_back(&connection->server->writable, &connection->writable_link);
}

static void say(struct connection *connection, const char *text)
{
    buffer_add(&connection->output, text, strlen(text));
    touch(connection);
}

struct connection *connection_new(struct server *server, const struct peer *peer, void *owner)
{
    struct connection *connection = mem_zalloc(sizeof(*connection));
    connection->server = server;
    connection->owner = owner;
    list_push_back(&server->connections, &connection->link);
    list_init(&connection->writable_link);
    server->count++;
    say(connection, peer->is_loopback ? "L" : "R");
    return connection;
}

void *connection_owner(const struct connection *connection)
{
    return connection->owner;
}

void connection_lost(struct connection *connection, const char *reason)
{
    (void)connection;
    assert(*reason);
}

void connection_free(struct connection *connection)
{
    list_remove(&connection->link);
    list_remove(&connection->writable_link);
    connection->server->count--;
    buffer_free(&connection->output);
    mem_free(connection->lent);
    mem_free(connection);
}

static void send_mebibyte(struct connection *connection)
{
    uint8_t *at = buffer_room(&connection->output, MEBIBYTE);
    for (size_t i = 0; i < MEBIBYTE; i++)
        at[i] = (uint8_t)(i % 251);
    buffer_added(&connection->output, MEBIBYTE);
    touch(connection);
}

void connection_input(struct connection *connection, struct bytes bytes)
{
    for (size_t i = 0; i < bytes.size && !connection->finished; i++) {
        if (bytes.data[i] == 'e' && i + 1 < bytes.size) {
            buffer_add(&connection->output, &bytes.data[++i], 1);
            touch(connection);
        } else if (bytes.data[i] & 0x80) {
            buffer_add(&connection->output, &bytes.data[i], 1);
            touch(connection);
        } else if (bytes.data[i] == 'm') {
            send_mebibyte(connection);
        } else if (bytes.data[i] == 'p') {
            connection->paused_until_ms = connection->server->now_ms + PAUSE_MS;
        } else if (bytes.data[i] == 's') {
            usleep(WORK_MS * 1000);
        } else if (bytes.data[i] == 'f') {
            connection->server->failing = true;
        } else if (bytes.data[i] == 'q') {
            say(connection, "bye");
            connection->finished = true;
        }
    }
}

bool connection_wants_input(const struct connection *connection)
{
    return !connection->finished && !connection->paused_until_ms;
}

bool connection_has_turn(struct connection *connection)
{
    return connection_wants_input(connection);
}

bool connection_is_blocked(const struct connection *connection)
{
    (void)connection;
    return false;
}

/* In parts of odd sizes, to see them put together. What is lent stays where it is while more comes. */
int connection_output(struct connection *connection, struct iovec *parts, int max)
{
    size_t at = 0;
    int count = 0;
    assert(!connection->lent);
    if (connection->output.size == 0)
        return 0;
    connection->lent = mem_dup(connection->output.data, connection->output.size);
    while (count < max && at < connection->output.size) {
        size_t size = connection->output.size - at < 7777 ? connection->output.size - at : 7777;
        parts[count++] = (struct iovec){connection->lent + at, size};
        at += size;
    }
    return count;
}

void connection_sent(struct connection *connection, size_t size)
{
    assert(connection->lent);
    mem_free(connection->lent);
    connection->lent = NULL;
    buffer_drop(&connection->output, size);
}

bool connection_is_finished(const struct connection *connection)
{
    return connection->finished && connection->output.size == 0;
}

void server_tick(struct server *server, uint64_t now_ms, uint64_t clock_ms)
{
    (void)clock_ms;
    server->now_ms = now_ms;
    list_for_each(at, &server->connections)
    {
        struct connection *connection = list_entry(at, struct connection, link);
        if (connection->paused_until_ms && connection->paused_until_ms <= now_ms) {
            connection->paused_until_ms = 0;
            say(connection, "again");
        }
    }
}

uint64_t server_next_ms(const struct server *server)
{
    uint64_t next_ms = UINT64_MAX;
    list_for_each(at, &server->connections)
    {
        uint64_t at_ms = list_entry(at, struct connection, link)->paused_until_ms;
        if (at_ms && at_ms < next_ms)
            next_ms = at_ms;
    }
    return next_ms;
}

void server_shutdown(struct server *server)
{
    list_for_each(at, &server->connections)
    {
        say(list_entry(at, struct connection, link), "shutdown");
        list_entry(at, struct connection, link)->finished = true;
    }
}

size_t server_connections(const struct server *server)
{
    return server->count;
}

struct connection *server_take_writable(struct server *server)
{
    struct list *link = list_take_first(&server->writable);
    return link ? list_entry(link, struct connection, writable_link) : NULL;
}

/* The store is played by the server. */
const char *store_failure(const struct store *store)
{
    return ((const struct server *)(const void *)store)->failing ? "it was told to" : NULL;
}

bool store_give_memory_back(struct store *store)
{
    (void)store;
    return false;
}

const struct store_stats *store_stats(struct store *store)
{
    static const struct store_stats stats;
    (void)store;
    return &stats;
}

/* ---- a running loop ---- */

static size_t io_threads; /* that it has */

struct running {
    pid_t child;
    struct address address;
};

static struct running start(size_t descriptors)
{
    struct running running;
    struct loop *loop = loop_new(NULL, descriptors, io_threads, 0);
    struct address any;
    const struct endpoint here = {.host = "127.0.0.1"};
    size_t count;
    if (endpoint_addresses(&here, &any, &count) != NULL)
        bail("127.0.0.1 is no address");
    if (loop_bind(loop, &any, NULL) != 0)
        bail("loop_bind: %s", strerror(errno));
    running.address = list_entry(list_first(&loop->listeners), struct listener, link)->address;
    struct server server = {0};
    list_init(&server.connections);
    list_init(&server.writable);
    running.child = fork();
    if (running.child == 0) {
        alarm(60);
        _exit(loop_run(loop, &server, (struct store *)&server) == 0 ? 0 : 1);
    }
    loop_free(loop);
    return running;
}

/* A new connection, once the child listens. */
static int connect_to(const struct running *running)
{
    for (int i = 0; i < 500; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(fd, &running->address.any, address_size(&running->address)) == 0)
            return fd;
        close(fd);
        usleep(10000);
    }
    bail("cannot connect: %s", strerror(errno));
}

/* Reads exactly `size` bytes into `text` (and terminates it), or as much as comes. */
static size_t read_text(int fd, char *text, size_t size)
{
    size_t got = 0;
    while (got < size) {
        ssize_t n = read(fd, text + got, size - got);
        if (n <= 0)
            break;
        got += (size_t)n;
    }
    text[got] = '\0';
    return got;
}

static void write_text(int fd, const char *text)
{
    size_t size = strlen(text);
    is_int(write(fd, text, size), size, "sent: %.20s", text);
}

/* The exit status of the child, or 1000 and the signal that ended it. */
static int wait_for(const struct running *running)
{
    int status;
    waitpid(running->child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int stop(const struct running *running)
{
    kill(running->child, SIGTERM);
    return wait_for(running);
}

TEST(echo)
{
    struct running running = start(1000);
    char text[64];
    int fd = connect_to(&running);
    read_text(fd, text, 1);
    is_str(text, "L", "greeted, as a peer of this machine");
    write_text(fd, "exeyez");
    read_text(fd, text, 3);
    is_str(text, "xyz", "answered");
    close(fd);
    is_int(stop(&running), 0, "ended in good order");
}

TEST(a_peer_that_reads_slowly_gets_all)
{
    enum { COUNT = 24 };
    static char part[MEBIBYTE + 1];
    struct running running = start(1000);
    int slow = connect_to(&running);
    int quick = connect_to(&running);
    read_text(slow, part, 1);
    read_text(quick, part, 1);
    for (int i = 0; i < COUNT; i++)
        write_text(slow, "m");
    usleep(50000);
    write_text(quick, "ee");
    is_int(read_text(quick, part, 1), 1, "another is served while it blocks");
    int good = 0;
    for (int i = 0; i < COUNT; i++) {
        size_t got = read_text(slow, part, MEBIBYTE);
        size_t at = 0;
        while (at < got && (uint8_t)part[at] == at % 251)
            at++;
        good += at == MEBIBYTE;
    }
    is_int(good, COUNT, "every mebibyte came as it was sent");
    close(slow);
    close(quick);
    is_int(stop(&running), 0, "ended");
}

TEST(last_words_reach_a_peer_that_still_talks)
{
    static char noise[MEBIBYTE];
    struct running running = start(1000);
    char text[64];
    int fd = connect_to(&running);
    read_text(fd, text, 1);
    write_text(fd, "q");
    signal(SIGPIPE, SIG_IGN);
    for (int i = 0; i < 4; i++)
        if (write(fd, noise, sizeof(noise)) < 0)
            break;
    usleep(50000);
    is_int(read_text(fd, text, 60), 3, "three bytes and the end");
    is_str(text, "bye", "are what was said last");
    close(fd);
    is_int(stop(&running), 0, "ended");
}

TEST(a_peer_that_does_not_close_is_left)
{
    struct running running = start(1000);
    char text[64];
    int fd = connect_to(&running);
    read_text(fd, text, 1);
    write_text(fd, "q");
    is_int(read_text(fd, text, 60), 3, "it said goodbye");
    usleep(3300000);
    struct pollfd reset = {.fd = fd, .events = 0};
    ok(send(fd, "x", 1, MSG_NOSIGNAL) == 1, "after some seconds nobody is there to take");
    is_int(poll(&reset, 1, 1000), 1, "what it sends, and it is told");
    close(fd);
    is_int(stop(&running), 0, "ended");
}

TEST(input_waits_while_it_is_not_wanted)
{
    struct running running = start(1000);
    char text[64];
    int fd = connect_to(&running);
    read_text(fd, text, 1);
    write_text(fd, "p");
    usleep(10000);
    write_text(fd, "ex");
    read_text(fd, text, 6);
    is_str(text, "againx", "what came in the pause is answered after it");
    close(fd);
    is_int(stop(&running), 0, "ended");
}

TEST(descriptors_run_out)
{
    enum { PEERS = 15, ROOM = 10 };
    struct running running = start(2 * ROOM);
    int fds[PEERS];
    char text[64];
    for (int i = 0; i < PEERS; i++)
        fds[i] = connect_to(&running);
    for (int i = 0; i < ROOM; i++)
        read_text(fds[i], text, 1);
    struct pollfd late = {.fd = fds[ROOM], .events = POLLIN};
    is_int(poll(&late, 1, 150), 0, "one too many has to wait");
    write_text(fds[0], "ex");
    read_text(fds[0], text, 1);
    is_str(text, "x", "while those who are there are served");
    for (int i = 0; i < PEERS - ROOM; i++)
        close(fds[i]);
    for (int i = ROOM; i < PEERS; i++)
        is_int(read_text(fds[i], text, 1), 1, "then its turn comes");
    for (int i = PEERS - ROOM; i < PEERS; i++)
        close(fds[i]);
    is_int(stop(&running), 0, "ended");
}

TEST(stopping_says_goodbye)
{
    struct running running = start(1000);
    char text[64];
    int fd = connect_to(&running);
    read_text(fd, text, 1);
    kill(running.child, SIGINT);
    is_int(read_text(fd, text, 60), 8, "it ends");
    is_str(text, "shutdown", "with the reason");
    close(fd);
    is_int(wait_for(&running), 0, "and the loop with it");
}

TEST(a_second_signal_is_obeyed_at_once)
{
    struct running running = start(1000);
    char text[64];
    int fd = connect_to(&running);
    read_text(fd, text, 1);
    kill(running.child, SIGTERM);
    read_text(fd, text, 60);
    is_str(text, "shutdown", "it is stopping, and waits for us to close");
    is_int(stop(&running), 128 + SIGTERM, "the second signal does not wait");
    close(fd);
}

TEST(counters_are_told_and_nothing_ends)
{
    struct running running = start(1000);
    char text[64];
    int fd = connect_to(&running);
    read_text(fd, text, 1);
    kill(running.child, SIGUSR1);
    write_text(fd, "ex");
    is_int(read_text(fd, text, 1), 1, "it goes on");
    close(fd);
    is_int(stop(&running), 0, "ended");
}

TEST(a_failed_store_ends_the_loop)
{
    struct running running = start(1000);
    char text[64];
    int fd = connect_to(&running);
    read_text(fd, text, 1);
    write_text(fd, "f");
    read_text(fd, text, 60);
    is_str(text, "shutdown", "the peer is told");
    close(fd);
    is_int(wait_for(&running), 1, "and the loop says that it failed");
}

TEST(address_in_use)
{
    struct running running = start(1000);
    close(connect_to(&running));
    struct loop *loop = loop_new(NULL, 100, 0, 0);
    is_int(loop_bind(loop, &running.address, NULL), EADDRINUSE, "a port can be taken once");
    loop_free(loop);
    is_int(stop(&running), 0, "ended");
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
    struct running running = start(1000);
    int fds[PEERS];
    pid_t writers[PEERS];
    for (int i = 0; i < PEERS; i++) {
        char text[4];
        fds[i] = connect_to(&running);
        read_text(fds[i], text, 1);
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
    is_int(stop(&running), 0, "ended");
}

/* One that sends faster than it is dealt with is not all there is. */
TEST(a_flood_keeps_nobody_waiting)
{
    enum { SLOW = 64 << 10, FLOOD_MS = 2000 };
    struct running running = start(1000);
    char text[64];
    int fd = connect_to(&running);
    int flood = connect_to(&running);
    read_text(fd, text, 1);
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
    write_text(fd, "p");
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    is_int(poll(&readable, 1, FLOOD_MS / 2), 1, "another peer's time comes");
    kill(writer, SIGKILL);
    waitpid(writer, NULL, 0);
    close(fd);
    close(flood);
    is_int(stop(&running), 0, "ended");
}

/* What came before the end of a peer is acted on before the end is. */
TEST(the_end_waits_while_input_is_not_wanted)
{
    static char much[260 << 10];
    struct running running = start(1000);
    char text[64];
    int fd = connect_to(&running);
    read_text(fd, text, 1);
    memset(much, 'x', sizeof(much));
    much[0] = 's';
    much[sizeof(much) - 1] = 'p';
    is_int(write(fd, much, sizeof(much)), sizeof(much), "sent");
    shutdown(fd, SHUT_WR);
    read_text(fd, text, 60);
    is_str(text, "again", "it heard the end only when it wanted to");
    close(fd);
    is_int(stop(&running), 0, "ended");
}

static void run_all(void)
{
    RUN(echo);
    RUN(a_peer_that_reads_slowly_gets_all);
    RUN(last_words_reach_a_peer_that_still_talks);
    RUN(a_peer_that_does_not_close_is_left);
    RUN(input_waits_while_it_is_not_wanted);
    RUN(much_comes_and_goes);
    RUN(a_flood_keeps_nobody_waiting);
    RUN(the_end_waits_while_input_is_not_wanted);
    RUN(descriptors_run_out);
    RUN(stopping_says_goodbye);
    RUN(a_second_signal_is_obeyed_at_once);
    RUN(counters_are_told_and_nothing_ends);
    RUN(a_failed_store_ends_the_loop);
    RUN(address_in_use);
}

int main(void)
{
    run_all();
    io_threads = 2;
    tap_diag("with I/O threads");
    run_all();
    return done();
}
