/* An IPv4 or IPv6 address with a port, and what people write for one. Of a peer by a Unix socket
 * there is the family alone. */
#ifndef LEVERET_NET_ADDRESS_H
#define LEVERET_NET_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

struct address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
};

enum { ADDRESS_TEXT_BYTES = 64, ENDPOINT_HOST_BYTES = 256, ENDPOINT_ADDRESSES_MAX = 16 };

/* Addresses that begin alike. */
struct address_range {
    struct address first;
    unsigned bits; /* of its address, that they have in common */
};

/* Where to listen, before names are looked up. */
struct endpoint {
    char host[ENDPOINT_HOST_BYTES]; /* an address or a name; empty: everywhere */
    in_port_t port;                 /* in the host's byte order; 0: any free one */
};

/* Reads HOST:PORT, where either may be missing: "127.0.0.1:5672", "[::1]:5672", "localhost:5672",
 * "localhost", "5672", ":5672", "*:5672". "[::]" is everywhere, by IPv4 as well. NULL, or what is
 * wrong with it. */
const char *endpoint_read(const char *text, in_port_t port_default, struct endpoint *endpoint);
/* Its addresses, at most ENDPOINT_ADDRESSES_MAX; a name is looked up. NULL, or why there are none.
 */
const char *endpoint_addresses(const struct endpoint *endpoint, struct address *addresses,
                               size_t *count);
/* Writes "127.0.0.1:5672", "[::1]:5672" or "unix", at most ADDRESS_TEXT_BYTES with the terminator.
 */
void address_write(const struct address *address, char *text);
/* The same of this end of a connected socket; nothing if that cannot be told. */
void address_write_local(int fd, char *text);
/* One of IPv4 that is written as one of IPv6, as sockets have that take both, is the former. */
void address_unmap(struct address *address);
/* Does it belong to this machine alone? 127.0.0.0/8 and ::1, also as an IPv4 address in IPv6, and
 * Unix sockets. */
bool address_is_loopback(const struct address *address);
/* Reads "192.0.2.0/24", "2001:db8::/32", or an address alone, which is the only one then. False: it is
 * none, or has bits behind those that count. */
bool address_range_read(const char *text, struct address_range *range);
bool address_is_within(const struct address *address, const struct address_range *range);
/* Writes it so, at most ADDRESS_TEXT_BYTES. */
void address_range_write(const struct address_range *range, char *text);
socklen_t address_size(const struct address *address);

#endif
