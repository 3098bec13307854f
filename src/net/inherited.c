#include "net/inherited.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"

static void log_unused(const struct log *log, int fd, const char *reason)
{
    log_event(log, EVENT_descriptor_unused, "descriptor=%d reason=\"%s\"", fd, reason);
}

static int option_of(int fd, int level, int name)
{
    int value = 0;
    socklen_t size = sizeof(value);
    return getsockopt(fd, level, name, &value, &size) == 0 ? value : -1;
}

static bool is_everywhere(const struct address *address)
{
    return address->any.sa_family == AF_INET6 ? IN6_IS_ADDR_UNSPECIFIED(&address->v6.sin6_addr)
                                              : address->v4.sin_addr.s_addr == INADDR_ANY;
}

/* False: it has none that anybody could be told to listen at. */
static bool note_address(struct inherited_socket *one)
{
    union {
        struct sockaddr any;
        struct sockaddr_un local;
        struct address address;
    } name = {.local = {0}};
    socklen_t size = sizeof(name.local);
    if (getsockname(one->fd, &name.any, &size) < 0)
        return false;
    if (name.any.sa_family == AF_UNIX) {
        one->address.any.sa_family = AF_UNIX;
        snprintf(one->path, sizeof(one->path), "%.*s", (int)sizeof(name.local.sun_path), name.local.sun_path);
        return one->path[0];
    }
    if (name.any.sa_family != AF_INET && name.any.sa_family != AF_INET6)
        return false;
    one->address = name.address;
    one->is_dual = name.any.sa_family == AF_INET6 && is_everywhere(&one->address) &&
                   option_of(one->fd, IPPROTO_IPV6, IPV6_V6ONLY) == 0;
    return true;
}

void inherited_take(struct inherited *inherited, int first, size_t count, const struct log *log)
{
    for (int fd = first; count; fd++, count--) {
        struct inherited_socket one = {.fd = fd};
        if (inherited->count == INHERITED_MAX)
            log_unused(log, fd, "there are too many");
        else if (option_of(fd, SOL_SOCKET, SO_ACCEPTCONN) != 1 || !note_address(&one))
            log_unused(log, fd, "it is no socket that listens at an address");
        else if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
            log_unused(log, fd, strerror(errno));
        else
            inherited->all[inherited->count++] = one;
    }
}

static in_port_t port_of(const struct address *address)
{
    return address->any.sa_family == AF_INET6 ? address->v6.sin6_port : address->v4.sin_port;
}

static bool is_same(const struct address *one, const struct address *other)
{
    if (one->any.sa_family != other->any.sa_family || port_of(one) != port_of(other))
        return false;
    if (one->any.sa_family == AF_INET6)
        return memcmp(&one->v6.sin6_addr, &other->v6.sin6_addr, sizeof(one->v6.sin6_addr)) == 0;
    return one->v4.sin_addr.s_addr == other->v4.sin_addr.s_addr;
}

struct inherited_socket *inherited_at(struct inherited *inherited, const struct address *address)
{
    for (size_t i = 0; i < inherited->count; i++) {
        struct inherited_socket *one = &inherited->all[i];
        if (one->address.any.sa_family == AF_UNIX)
            continue;
        if (is_same(&one->address, address) ||
            (one->is_dual && is_everywhere(address) && port_of(&one->address) == port_of(address)))
            return one;
    }
    return NULL;
}

struct inherited_socket *inherited_at_path(struct inherited *inherited, const char *path)
{
    for (size_t i = 0; i < inherited->count; i++)
        if (inherited->all[i].path[0] && strcmp(inherited->all[i].path, path) == 0)
            return &inherited->all[i];
    return NULL;
}

void inherited_log_unused(const struct inherited *inherited, const struct log *log)
{
    for (size_t i = 0; i < inherited->count; i++) {
        const struct inherited_socket *one = &inherited->all[i];
        char text[ADDRESS_TEXT_BYTES];
        if (one->is_used)
            continue;
        address_write(&one->address, text);
        log_event(log, EVENT_descriptor_unused, "descriptor=%d address=%s%s%s reason=\"nobody is told to listen there\"",
                  one->fd, text, one->path[0] ? ":" : "", one->path);
    }
}
