#include "tests/lib/loop_child.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/loop.h"
#include "tests/lib/tap.h"

static struct address bind_for(struct loop *loop, struct service *const *service)
{
    struct address any;
    const struct endpoint here = {.host = "127.0.0.1"};
    size_t count;
    if (endpoint_addresses(&here, &any, &count) != NULL)
        bail("127.0.0.1 is no address");
    if (loop_bind(loop, &any, NULL, service) != 0)
        bail("loop_bind: %s", strerror(errno));
    return list_entry(loop->listeners.all.prev, struct listener, link)->address;
}

struct loop_child loop_child_start(struct service *const *services, size_t count,
                                   struct store *store, size_t descriptors, size_t io_threads)
{
    struct loop_child child = {0};
    struct loop *loop = loop_new(NULL, descriptors, io_threads, 0);
    for (size_t i = 0; i < count; i++) {
        loop_add(loop, services[i]);
        child.addresses[i] = bind_for(loop, &services[i]);
    }
    child.pid = fork();
    if (child.pid == 0) {
        alarm(60);
        _exit(loop_run(loop, store) == 0 ? 0 : 1);
    }
    loop_free(loop);
    return child;
}

struct loop_child loop_child_start_at(const struct path_place *place, struct service *service,
                                      struct store *store)
{
    struct loop_child child = {.pid = fork()};
    if (child.pid)
        return child;
    struct loop *loop = loop_new(NULL, 1000, 0, 0);
    alarm(60);
    loop_add(loop, service);
    int error = loop_bind_path(loop, place, &service);
    if (!error)
        error = loop_run(loop, store);
    loop_free(loop);
    _exit(error == 0 ? 0 : 1);
}

int loop_child_connect_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
    for (int i = 0; i < 500; i++) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
            return fd;
        close(fd);
        usleep(10000);
    }
    bail("cannot connect: %s", strerror(errno));
}

int loop_child_connect(const struct loop_child *child, size_t service)
{
    const struct address *address = &child->addresses[service];
    for (int i = 0; i < 500; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(fd, &address->any, address_size(address)) == 0)
            return fd;
        close(fd);
        usleep(10000);
    }
    bail("cannot connect: %s", strerror(errno));
}

int loop_child_wait(const struct loop_child *child)
{
    int status;
    waitpid(child->pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

int loop_child_stop(const struct loop_child *child)
{
    kill(child->pid, SIGTERM);
    return loop_child_wait(child);
}

size_t peer_read(int fd, char *text, size_t size)
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

void peer_says(int fd, size_t size, const char *wanted, const char *what)
{
    char text[64];
    assert(size < sizeof(text));
    peer_read(fd, text, size);
    is_str(text, wanted, "%s", what);
}

void peer_write(int fd, const char *text)
{
    size_t size = strlen(text);
    is_int(write(fd, text, size), size, "sent: %.20s", text);
}
