/* An IPv4 or IPv6 address with a port, as numbers: no name is ever looked up. */
#ifndef LEVERET_NET_ADDRESS_H
#define LEVERET_NET_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

struct address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
};

enum { ADDRESS_TEXT_BYTES = 64 };

/* Reads "127.0.0.1:5672" or "[::1]:5672"; port 0 is allowed. */
bool address_read(const char *text, struct address *address);
/* Writes the same form, at most ADDRESS_TEXT_BYTES with the terminator. */
void address_write(const struct address *address, char *text);
/* Does it belong to this machine alone? 127.0.0.0/8 and ::1, also as an IPv4 address in IPv6. */
bool address_is_loopback(const struct address *address);
socklen_t address_size(const struct address *address);

#endif
