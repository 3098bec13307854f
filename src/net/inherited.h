/* Sockets that listen already when the process starts, as its manager has made them (systemd.socket(5)). A
 * listener for the address of one uses it instead of a socket of its own; who connects while nobody
 * accepts waits, so that a restart refuses nobody. */
#ifndef LEVERET_NET_INHERITED_H
#define LEVERET_NET_INHERITED_H

#include <sys/un.h>

#include "base/log.h"
#include "net/address.h"

enum { INHERITED_MAX = 64 };

struct inherited_socket {
    int fd;
    struct address address; /* of a Unix socket the family alone, */
    char path[sizeof(((struct sockaddr_un *)NULL)->sun_path) + 1]; /* and this */
    bool is_dual; /* everywhere, by IPv6 and IPv4 */
    bool is_used;
};

/* All there are; `count` of them. */
struct inherited {
    struct inherited_socket all[INHERITED_MAX];
    size_t count;
};

/* The descriptors from `first` on, which stay open to the end of the process, and over an exec. What is no
 * socket that listens is logged, and passed over, as is what is too much. */
void inherited_take(struct inherited *inherited, int first, size_t count, const struct log *log);
/* The one at this address, used or not; NULL: there is none. One that is everywhere by IPv6 and IPv4 is at
 * both addresses that mean everywhere. */
struct inherited_socket *inherited_at(struct inherited *inherited, const struct address *address);
struct inherited_socket *inherited_at_path(struct inherited *inherited, const char *path);
/* Logs those that no listener uses. */
void inherited_log_unused(const struct inherited *inherited, const struct log *log);

#endif
