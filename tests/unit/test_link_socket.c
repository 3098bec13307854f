/* Links on real sockets: two processes on this machine with a loop each, which prove to one another
 * by a cookie or by certificates that they belong together, and tell this one what happens. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "cluster/link.h"
#include "net/loop.h"
#include "tests/lib/tap.h"
#include "tests/script/world.h"

enum { NODES = 2, ENTRY_BYTES = 300000, ENTRY_HEADER = 34, PATH = 128 };

static struct world world;
static char folder[] = "/tmp/test_link_socket.XXXXXX";

/* ---- what a process does ---- */

struct node {
    pid_t pid;
    int says; /* where it writes what happens, and this one reads it */
};

/* Ticked behind the links: it takes what happens, and sends an entry to who comes up. */
struct user {
    struct service service;
    struct links *links;
    int says;
};

static void say(int to, const char *line)
{
    if (write(to, line, strlen(line)) < 0)
        _exit(3);
}

static void send_entry(struct link *link)
{
    static uint8_t records[ENTRY_BYTES];
    const struct engine_message append = {
        .type = ENGINE_APPEND, .peer = (uint64_t)link_number(link) << 16, .term = 1, .count = 1};
    const struct engine_entry entry = {1, ENGINE_RECORDS, NULL};
    const struct link_body body = {.records = bytes_of(records, sizeof(records))};
    link_send_raft(link, 1, 1, (uint64_t)(3 - link_number(link)) << 16, &append, &entry, &body);
}

static void user_tick(struct service *service, uint64_t now_ms, uint64_t clock_ms)
{
    static const char *const names[] = {"SEEN\n", "DOWN\n", "GONE\n", "UP\n", "ROOM\n"};
    struct user *user = list_entry(service, struct user, service);
    struct link_event event;
    (void)now_ms;
    (void)clock_ms;
    while (links_next(user->links, &event)) {
        if (event.kind == LINK_EVENT_FRAME)
            say(user->says,
                event.frame->type == LINK_RAFT && event.frame->raft.entries.size == ENTRY_BYTES + ENTRY_HEADER
                    ? "ENTRY\n"
                    : "WRONG\n");
        else
            say(user->says, names[event.kind]);
        if (event.kind == LINK_EVENT_UP)
            send_entry(event.link);
    }
}

static void user_shutdown(struct service *service)
{
    (void)service;
}

static const struct service_ops user_ops = {.tick = user_tick, .shutdown = user_shutdown};

struct setting {
    const struct tls_options *tls[NODES]; /* NULL: plain */
    const char *names[NODES];             /* that the other one's certificate must have */
    const char *host;                     /* of the other; NULL: 127.0.0.1 */
    size_t io_threads;
};

static struct node_identity identity_of(uint32_t number, uint64_t incarnation)
{
    struct node_identity identity = {.incarnation = incarnation, .nonce_count = 1, .written = 1};
    identity.node[0] = (uint8_t)(number + 1);
    identity.cluster[0] = 1;
    identity.nonces[0] = number + 1;
    return identity;
}

/* In the process itself. */
static void run(struct loop *loop, uint32_t number, in_port_t port, const struct setting *setting,
                struct links **links, struct service **service, int says)
{
    struct node_identity identity = identity_of(number, 1);
    const struct node_identity other = identity_of(!number, 1);
    const struct links_options options = {.name = number ? "leveret@node1" : "leveret@node0",
                                          .number = number + 1,
                                          .seed = (uint64_t)getpid()};
    struct link_peer peer = {.number = !number + 1u,
                             .host = setting->host ? setting->host : "127.0.0.1",
                             .port = port,
                             .name = setting->names[number]};
    struct user user = {.says = says};
    *links = links_new(&options, &identity, 0);
    *service = links_service(*links);
    memcpy(peer.node, other.node, NODE_ID_BYTES);
    links_add(*links, &peer);
    service_init(&user.service, &user_ops);
    user.links = *links;
    loop_add(loop, *service);
    loop_add(loop, &user.service);
    alarm(60);
    int error = loop_run(loop, world.store);
    links_free(*links);
    loop_free(loop);
    _exit(error ? 1 : 0);
}

static void start(struct node nodes[NODES], const struct setting *setting)
{
    static struct service *services[NODES];
    static struct links *links[NODES];
    struct loop *loops[NODES];
    struct tls_context *contexts[NODES] = {NULL};
    struct address addresses[NODES];
    const struct endpoint here = {.host = "127.0.0.1"};
    char error[300];
    for (uint32_t i = 0; i < NODES; i++) {
        size_t count;
        if (setting->tls[i] &&
            !(contexts[i] = tls_context_new(setting->tls[i], NULL, error, sizeof(error))))
            bail("%s", error);
        loops[i] = loop_new(NULL, 1000, setting->io_threads, 0);
        loop_call_by(loops[i], contexts[i]);
        endpoint_addresses(&here, &addresses[i], &count);
        if (loop_bind(loops[i], &addresses[i], contexts[i], &services[i]) != 0)
            bail("loop_bind: %s", strerror(errno));
        addresses[i] = list_entry(loops[i]->listeners.all.prev, struct listener, link)->address;
    }
    for (uint32_t i = 0; i < NODES; i++) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) != 0)
            bail("pipe: %s", strerror(errno));
        nodes[i].says = ends[0];
        nodes[i].pid = fork();
        if (nodes[i].pid == 0) {
            loop_free(loops[!i]);
            run(loops[i], i, ntohs(addresses[!i].v4.sin_port), setting, &links[i], &services[i],
                ends[1]);
        }
        close(ends[1]);
        loop_free(loops[i]);
        if (i == 0)
            loops[0] =
                loop_new(NULL, 10, 0, 0); /* for the second to free: the first one's is its own */
    }
    loop_free(loops[0]);
    tls_context_free(contexts[0]);
    tls_context_free(contexts[1]);
}

/* ---- what this one does ---- */

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Reads lines until one is `wanted`; how long it took, or -1: it does not come in that time. */
static int64_t hears(const struct node *node, const char *wanted, uint64_t ms)
{
    uint64_t began = now_ms();
    char line[16];
    size_t size = 0;
    for (;;) {
        uint64_t spent = now_ms() - began;
        struct pollfd fd = {.fd = node->says, .events = POLLIN};
        if (spent >= ms || poll(&fd, 1, (int)(ms - spent)) <= 0 ||
            read(node->says, line + size, 1) != 1)
            return -1;
        if (line[size] == '\n') {
            line[size] = '\0';
            size = 0;
            if (strcmp(line, wanted) == 0)
                return (int64_t)(now_ms() - began);
        } else {
            size = (size + 1) % sizeof(line);
        }
    }
}

static int stop(struct node *node, int signal)
{
    int status = 0;
    kill(node->pid, signal);
    waitpid(node->pid, &status, 0);
    close(node->says);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void stop_both(struct node nodes[NODES])
{
    is_int(stop(&nodes[0], SIGTERM), 0, "the one ends in good order");
    is_int(stop(&nodes[1], SIGTERM), 0, "and the other");
}

static const char *path_of(const char *name)
{
    static char paths[16][PATH];
    static unsigned next;
    char *path = paths[next++ % 16];
    snprintf(path, PATH, "%s/%s", folder, name);
    return path;
}

static const char *cookie(const char *name, const char *text, mode_t mode)
{
    char *path = mem_dup(path_of(name), PATH);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, text, strlen(text)) < 0 || fchmod(fd, mode) < 0)
        bail("%s: %s", path, strerror(errno));
    close(fd);
    return path;
}

static struct tls_options by_cookie(const char *path)
{
    struct tls_options options = tls_options_default();
    options.is_mutual = true;
    options.cookie = path;
    return options;
}

static void come_up(const struct node nodes[NODES], const char *name)
{
    int64_t one = hears(&nodes[0], "UP", 5000), other = hears(&nodes[1], "UP", 5000);
    ok(one >= 0 && other >= 0, "%s: both are up after %d ms", name, (int)(one + other));
    ok(hears(&nodes[0], "ENTRY", 5000) >= 0 && hears(&nodes[1], "ENTRY", 5000) >= 0,
       "%s: entries of 300 kB go both ways", name);
}

/* Nobody is let in. */
static void stay_down(struct node nodes[NODES], const char *name)
{
    ok(hears(&nodes[0], "UP", 1500) < 0 && hears(&nodes[1], "UP", 100) < 0, "%s: no link", name);
    stop(&nodes[0], SIGTERM);
    stop(&nodes[1], SIGTERM);
}

TEST(plain)
{
    const struct setting setting = {.host = "localhost"};
    struct node nodes[NODES];
    start(nodes, &setting);
    come_up(nodes, "by a name");
    stop_both(nodes);
}

/* The second one looks the first one's name up again when it is told to end. */
TEST(the_end_may_come_while_a_name_is_looked_up)
{
    const struct setting setting = {.host = "localhost"};
    struct node nodes[NODES];
    int wrong = 0;
    for (int i = 0; i < 20; i++) {
        start(nodes, &setting);
        hears(&nodes[0], "UP", 5000);
        hears(&nodes[1], "ENTRY", 5000);
        wrong += stop(&nodes[0], i % 2 ? SIGKILL : SIGTERM) == 1;
        wrong += stop(&nodes[1], SIGTERM) != 0;
    }
    is_int(wrong, 0, "all end in good order");
}

static void with_cookie(size_t io_threads)
{
    struct tls_options options =
        by_cookie(cookie("cookie", "a secret that nobody else knows\n", 0600));
    const struct setting setting = {.tls = {&options, &options}, .io_threads = io_threads};
    struct node nodes[NODES];
    start(nodes, &setting);
    come_up(nodes, io_threads ? "cookie, I/O thread" : "cookie");
    kill(nodes[1].pid, SIGSTOP);
    int64_t silent = hears(&nodes[0], "DOWN", 3000);
    ok(silent >= 600 && silent < 1500, "one that is stopped is silent: after %d ms", (int)silent);
    kill(nodes[1].pid, SIGCONT);
    ok(hears(&nodes[0], "UP", 8000) >= 0 && hears(&nodes[1], "UP", 8000) >= 0,
       "and comes back when it goes on");
    hears(&nodes[0], "ENTRY", 5000);
    stop(&nodes[1], SIGKILL);
    int64_t gone = hears(&nodes[0], "GONE", 3000);
    ok(gone >= 0 && gone < 500, "one that is killed is gone: after %d ms", (int)gone);
    is_int(stop(&nodes[0], SIGTERM), 0, "the other ends in good order");
    mem_free((void *)(uintptr_t)options.cookie);
}

TEST(a_cookie)
{
    with_cookie(0);
    with_cookie(1);
}

TEST(a_goodbye)
{
    struct tls_options options =
        by_cookie(cookie("cookie", "a secret that nobody else knows\n", 0600));
    const struct setting setting = {.tls = {&options, &options}};
    struct node nodes[NODES];
    start(nodes, &setting);
    come_up(nodes, "cookie");
    is_int(stop(&nodes[1], SIGTERM), 0, "one ends");
    ok(hears(&nodes[0], "GONE", 2000) >= 0, "and the other is told");
    stop(&nodes[0], SIGTERM);
    mem_free((void *)(uintptr_t)options.cookie);
}

TEST(another_cookie)
{
    struct tls_options one = by_cookie(cookie("one", "a secret that nobody else knows\n", 0600));
    struct tls_options other = by_cookie(cookie("other", "another secret of the like\n", 0600));
    const struct setting setting = {.tls = {&one, &other}};
    const struct setting plain = {.tls = {&one, NULL}};
    struct node nodes[NODES];
    start(nodes, &setting);
    stay_down(nodes, "another cookie");
    start(nodes, &plain);
    stay_down(nodes, "no TLS at the other side");
    mem_free((void *)(uintptr_t)one.cookie);
    mem_free((void *)(uintptr_t)other.cookie);
}

static void is_refused(const char *path, const char *why, const char *name)
{
    char error[300] = "";
    struct tls_options options = by_cookie(path);
    struct tls_context *context = tls_context_new(&options, NULL, error, sizeof(error));
    ok(!context && strstr(error, why), "%s: %s", name, error);
    tls_context_free(context);
}

TEST(a_cookie_is_its_owners_alone)
{
    const char *open_to_all = cookie("open", "a secret that nobody else knows\n", 0644);
    const char *short_one = cookie("short", "fifteen bytes..\n", 0600);
    is_refused(open_to_all, "chmod 600", "that others can read");
    is_refused(short_one, "must have 16 to 4096 bytes", "too short");
    is_refused("/nowhere/cookie", "cannot be read", "that is not there");
    mem_free((void *)(uintptr_t)open_to_all);
    mem_free((void *)(uintptr_t)short_one);
}

/* ---- certificates ---- */

static bool shell(const char *format, const char *a, const char *b)
{
    char command[600];
    size_t used = (size_t)snprintf(command, sizeof(command), "cd %s && ", folder);
    for (const char *at = format; *at && used < sizeof(command) - 100; at++) {
        const char *put = *at == '@' ? a : *at == '%' ? b : NULL;
        used += put ? (size_t)snprintf(command + used, sizeof(command) - used, "%s", put) : 1;
        if (!put)
            command[used - 1] = *at;
        command[used] = '\0';
    }
    snprintf(command + used, sizeof(command) - used, " >/dev/null 2>&1");
    return system(command) == 0;
}

static bool make_authority(const char *name)
{
    return shell(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout @.key "
        "-out @.pem -days 2 -subj /CN=@",
        name, "");
}

static bool make_certificate(const char *name, const char *authority)
{
    return shell("openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout @.key "
                 "-out @.csr "
                 "-subj /CN=@ -addext subjectAltName=DNS:@",
                 name, "") &&
           shell("openssl x509 -req -in @.csr -CA %.pem -CAkey %.key -CAcreateserial "
                 "-copy_extensions "
                 "copy -days 2 -out @.pem",
                 name, authority);
}

/* Paths last as long as the test. */
static struct tls_options by_certificate(const char *name, const char *authority)
{
    static char paths[64][PATH];
    static unsigned next;
    struct tls_options options = tls_options_default();
    char *certificate = paths[next++ % 64], *key = paths[next++ % 64], *ca = paths[next++ % 64];
    snprintf(certificate, PATH, "%s/%s.pem", folder, name);
    snprintf(key, PATH, "%s/%s.key", folder, name);
    snprintf(ca, PATH, "%s/%s.pem", folder, authority);
    options.is_mutual = true;
    options.certificate = certificate;
    options.key = key;
    options.authorities = ca;
    return options;
}

TEST(certificates)
{
    if (!make_authority("ca") || !make_authority("elsewhere") || !make_certificate("node0", "ca") ||
        !make_certificate("node1", "ca") || !make_certificate("node9", "ca")) {
        skip(1, "openssl cannot make certificates");
        return;
    }
    struct tls_options zero = by_certificate("node0", "ca"), one = by_certificate("node1", "ca");
    struct tls_options nine = by_certificate("node9", "ca");
    struct tls_options stranger = by_certificate("elsewhere", "elsewhere");
    struct tls_options secret =
        by_cookie(cookie("cookie", "a secret that nobody else knows\n", 0600));
    struct node nodes[NODES];
    start(nodes, &(struct setting){.tls = {&zero, &one}, .names = {"node1", "node0"}});
    come_up(nodes, "certificates");
    stop_both(nodes);
    start(nodes, &(struct setting){.tls = {&zero, &nine}, .names = {"node1", "node0"}});
    stay_down(nodes, "a certificate for another name");
    start(nodes, &(struct setting){.tls = {&zero, &nine}, .names = {NULL, NULL}});
    stay_down(nodes, "which is not that of its HELLO");
    start(nodes, &(struct setting){.tls = {&zero, &stranger}, .names = {NULL, NULL}});
    stay_down(nodes, "another authority");
    start(nodes, &(struct setting){.tls = {&zero, &secret}, .names = {NULL, NULL}});
    stay_down(nodes, "a cookie here and a certificate there");
    mem_free((void *)(uintptr_t)secret.cookie);
}

int main(void)
{
    char command[100];
    if (!mkdtemp(folder))
        bail("mkdtemp: %s", strerror(errno));
    signal(SIGPIPE, SIG_IGN);
    world_new(&world, false);
    RUN(plain);
    RUN(the_end_may_come_while_a_name_is_looked_up);
    RUN(a_cookie);
    RUN(a_goodbye);
    RUN(another_cookie);
    RUN(a_cookie_is_its_owners_alone);
    RUN(certificates);
    world_free(&world);
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    if (system(command) != 0)
        diag("%s stays", folder);
    return done();
}
