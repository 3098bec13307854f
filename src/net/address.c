/* Addresses between text and the system's structures. */
#include "net/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

/* ---- what people write ---- */

static bool is_number(const char *text)
{
    return *text && text[strspn(text, "0123456789")] == '\0';
}

static bool read_port(const char *text, in_port_t *port)
{
    unsigned long number = 0;
    if (!is_number(text) || strlen(text) > 5)
        return false;
    for (const char *at = text; *at; at++)
        number = number * 10 + (unsigned long)(*at - '0');
    *port = (in_port_t)number;
    return number <= 65535;
}

static bool is_v6(const char *host)
{
    struct in6_addr v6;
    return inet_pton(AF_INET6, host, &v6) == 1;
}

/* A name may begin with digits; but what has nothing else is not one. */
static bool is_wrong_v4(const char *host)
{
    struct in_addr v4;
    return host[strspn(host, "0123456789.")] == '\0' && inet_pton(AF_INET, host, &v4) != 1;
}

/* Takes the host that is `size` bytes long; NULL, or what is wrong with it. */
static const char *take_host(const char *text, size_t size, struct endpoint *endpoint)
{
    char *host = endpoint->host;
    if (size >= ENDPOINT_HOST_BYTES)
        return "the name is too long";
    memcpy(host, text, size);
    host[size] = '\0';
    if (strcmp(host, "*") == 0)
        *host = '\0';
    if (*host && is_wrong_v4(host))
        return "that is no IPv4 address: it has four numbers from 0 to 255";
    return NULL;
}

/* [ADDRESS]:PORT; *rest is what stands behind the bracket. */
static const char *take_brackets(const char *text, struct endpoint *endpoint, const char **rest)
{
    const char *end = strchr(text, ']');
    size_t size = end ? (size_t)(end - text) - 1 : 0;
    if (!end || size >= ENDPOINT_HOST_BYTES)
        return "the bracket ] is missing";
    memcpy(endpoint->host, text + 1, size);
    endpoint->host[size] = '\0';
    *rest = end + 1;
    if (!is_v6(endpoint->host))
        return "there is no IPv6 address between the brackets";
    if (strspn(endpoint->host, ":0") == size)
        endpoint->host[0] = '\0';
    return NULL;
}

const char *endpoint_read(const char *text, in_port_t port_default, struct endpoint *endpoint)
{
    const char *fault;
    const char *rest = strchr(text, ':');
    *endpoint = (struct endpoint){.port = port_default};
    if (*text == '\0')
        return "there is nothing";
    if (is_number(text))
        return read_port(text, &endpoint->port) ? NULL : "a port is at most 65535";
    if (*text == '[')
        fault = take_brackets(text, endpoint, &rest);
    else if (rest && strchr(rest + 1, ':'))
        return "an IPv6 address needs brackets";
    else
        fault = take_host(text, rest ? (size_t)(rest - text) : strlen(text), endpoint);
    if (fault || !rest || *rest == '\0')
        return fault;
    if (*rest != ':' || !read_port(rest + 1, &endpoint->port))
        return "the port is no number from 0 to 65535";
    return NULL;
}

/* ---- names ---- */

static bool numeric_address(const char *host, in_port_t port, struct address *address)
{
    memset(address, 0, sizeof(*address));
    if (inet_pton(AF_INET, host, &address->v4.sin_addr) == 1) {
        address->v4.sin_family = AF_INET;
        address->v4.sin_port = htons(port);
        return true;
    }
    memset(address, 0, sizeof(*address));
    address->v6.sin6_family = AF_INET6;
    address->v6.sin6_port = htons(port);
    return inet_pton(AF_INET6, host, &address->v6.sin6_addr) == 1;
}

static const char *look_up(const struct endpoint *endpoint, struct address *addresses,
                           size_t *count)
{
    const struct addrinfo wanted = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int error = getaddrinfo(endpoint->host, NULL, &wanted, &found);
    if (error)
        return gai_strerror(error);
    for (const struct addrinfo *at = found; at && *count < ENDPOINT_ADDRESSES_MAX;
         at = at->ai_next) {
        struct address *address = &addresses[*count];
        if (at->ai_addrlen > sizeof(*address))
            continue;
        memset(address, 0, sizeof(*address));
        memcpy(address, at->ai_addr, at->ai_addrlen);
        if (at->ai_family == AF_INET)
            address->v4.sin_port = htons(endpoint->port);
        else
            address->v6.sin6_port = htons(endpoint->port);
        ++*count;
    }
    freeaddrinfo(found);
    return *count ? NULL : "it has no address";
}

const char *endpoint_addresses(const struct endpoint *endpoint, struct address *addresses,
                               size_t *count)
{
    *count = 0;
    if (endpoint->host[0] == '\0') {
        numeric_address("0.0.0.0", endpoint->port, &addresses[0]);
        numeric_address("::", endpoint->port, &addresses[1]);
        *count = 2;
        return NULL;
    }
    if (!numeric_address(endpoint->host, endpoint->port, &addresses[0]))
        return look_up(endpoint, addresses, count);
    *count = 1;
    return NULL;
}

/* ---- and back ---- */

void address_write(const struct address *address, char *text)
{
    char host[INET6_ADDRSTRLEN] = "?";
    if (address->any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &address->v6.sin6_addr, host, sizeof(host));
        snprintf(text, ADDRESS_TEXT_BYTES, "[%s]:%u", host, ntohs(address->v6.sin6_port));
    } else if (address->any.sa_family == AF_UNIX) {
        snprintf(text, ADDRESS_TEXT_BYTES, "unix");
    } else {
        inet_ntop(AF_INET, &address->v4.sin_addr, host, sizeof(host));
        snprintf(text, ADDRESS_TEXT_BYTES, "%s:%u", host, ntohs(address->v4.sin_port));
    }
}

void address_unmap(struct address *address)
{
    const struct sockaddr_in6 v6 = address->v6;
    if (address->any.sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr))
        return;
    *address = (struct address){.v4 = {.sin_family = AF_INET, .sin_port = v6.sin6_port}};
    memcpy(&address->v4.sin_addr, v6.sin6_addr.s6_addr + 12, sizeof(address->v4.sin_addr));
}

void address_write_local(int fd, char *text)
{
    struct address address = {0};
    socklen_t size = sizeof(address);
    text[0] = '\0';
    if (getsockname(fd, &address.any, &size) < 0)
        return;
    address_unmap(&address);
    address_write(&address, text);
}

bool address_is_loopback(const struct address *address)
{
    if (address->any.sa_family == AF_UNIX)
        return true;
    if (address->any.sa_family == AF_INET)
        return ntohl(address->v4.sin_addr.s_addr) >> 24 == 127;
    if (address->any.sa_family != AF_INET6)
        return false;
    const struct in6_addr *v6 = &address->v6.sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(v6) || (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == 127);
}

/* ---- ranges ---- */

static const uint8_t *bytes_of_address(const struct address *address, unsigned *bits)
{
    bool is_v6 = address->any.sa_family == AF_INET6;
    *bits = is_v6 ? 128 : 32;
    return is_v6 ? address->v6.sin6_addr.s6_addr : (const uint8_t *)&address->v4.sin_addr;
}

/* Of a byte the first bits, of which the whole has `bits`, at `place`. */
static uint8_t mask_at(unsigned bits, unsigned place)
{
    unsigned before = place * 8;
    if (bits >= before + 8)
        return 0xff;
    return bits <= before ? 0 : (uint8_t)(0xff << (8 - (bits - before)));
}

bool address_range_read(const char *text, struct address_range *range)
{
    char host[INET6_ADDRSTRLEN];
    const char *slash = strchrnul(text, '/');
    in_port_t bits;
    unsigned all;
    if ((size_t)(slash - text) >= sizeof(host))
        return false;
    snprintf(host, sizeof(host), "%.*s", (int)(slash - text), text);
    if (!numeric_address(host, 0, &range->first))
        return false;
    const uint8_t *bytes = bytes_of_address(&range->first, &all);
    range->bits = all;
    if (!*slash)
        return true;
    if (!read_port(slash + 1, &bits) || bits > all)
        return false;
    range->bits = bits;
    for (unsigned i = 0; i < all / 8; i++)
        if (bytes[i] & ~mask_at(bits, i))
            return false;
    return true;
}

bool address_is_within(const struct address *address, const struct address_range *range)
{
    unsigned all;
    if (address->any.sa_family != range->first.any.sa_family)
        return false;
    const uint8_t *bytes = bytes_of_address(address, &all);
    const uint8_t *first = bytes_of_address(&range->first, &all);
    for (unsigned i = 0; i < all / 8; i++)
        if ((bytes[i] ^ first[i]) & mask_at(range->bits, i))
            return false;
    return true;
}

void address_range_write(const struct address_range *range, char *text)
{
    char host[INET6_ADDRSTRLEN] = "?";
    unsigned all;
    inet_ntop(range->first.any.sa_family, bytes_of_address(&range->first, &all), host, sizeof(host));
    if (range->bits == all)
        snprintf(text, ADDRESS_TEXT_BYTES, "%s", host);
    else
        snprintf(text, ADDRESS_TEXT_BYTES, "%s/%u", host, range->bits);
}

socklen_t address_size(const struct address *address)
{
    return address->any.sa_family == AF_INET6 ? sizeof(address->v6) : sizeof(address->v4);
}
