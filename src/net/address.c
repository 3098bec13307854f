/* Addresses between text and the system's structures. */
#include "net/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The number after the last colon, and where that is; NULL when there is none. */
static const char *read_port(const char *text, in_port_t *port)
{
    const char *colon = strrchr(text, ':');
    if (!colon || colon[1] == '\0' || strlen(colon + 1) > 5)
        return NULL;
    unsigned long number = 0;
    for (const char *at = colon + 1; *at; at++) {
        if (*at < '0' || *at > '9')
            return NULL;
        number = number * 10 + (unsigned long)(*at - '0');
    }
    if (number > 65535)
        return NULL;
    *port = htons((in_port_t)number);
    return colon;
}

bool address_read(const char *text, struct address *address)
{
    char host[ADDRESS_TEXT_BYTES];
    in_port_t port;
    const char *colon = read_port(text, &port);
    if (!colon || (size_t)(colon - text) >= sizeof(host))
        return false;
    size_t size = (size_t)(colon - text);
    memset(address, 0, sizeof(*address));
    if (size >= 2 && text[0] == '[' && text[size - 1] == ']') {
        memcpy(host, text + 1, size - 2);
        host[size - 2] = '\0';
        address->v6.sin6_family = AF_INET6;
        address->v6.sin6_port = port;
        return inet_pton(AF_INET6, host, &address->v6.sin6_addr) == 1;
    }
    memcpy(host, text, size);
    host[size] = '\0';
    address->v4.sin_family = AF_INET;
    address->v4.sin_port = port;
    return inet_pton(AF_INET, host, &address->v4.sin_addr) == 1;
}

void address_write(const struct address *address, char *text)
{
    char host[INET6_ADDRSTRLEN] = "?";
    if (address->any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &address->v6.sin6_addr, host, sizeof(host));
        snprintf(text, ADDRESS_TEXT_BYTES, "[%s]:%u", host, ntohs(address->v6.sin6_port));
    } else {
        inet_ntop(AF_INET, &address->v4.sin_addr, host, sizeof(host));
        snprintf(text, ADDRESS_TEXT_BYTES, "%s:%u", host, ntohs(address->v4.sin_port));
    }
}

bool address_is_loopback(const struct address *address)
{
    if (address->any.sa_family == AF_INET)
        return ntohl(address->v4.sin_addr.s_addr) >> 24 == 127;
    if (address->any.sa_family != AF_INET6)
        return false;
    const struct in6_addr *v6 = &address->v6.sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(v6) || (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == 127);
}

socklen_t address_size(const struct address *address)
{
    return address->any.sa_family == AF_INET6 ? sizeof(address->v6) : sizeof(address->v4);
}
