/* The URI of a broker, taken apart from the left: scheme, user information up to the last '@' of
 * the authority, host and port, and the vhost. */
#include "perf/uri.h"

#include <stdio.h>

static int hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    digit |= 0x20;
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* Percent-decodes `size` bytes into a part; false when it does not fit or is malformed. */
static bool decode(const char *text, size_t size, char *part)
{
    size_t length = 0;
    for (size_t i = 0; i < size; i++) {
        int value = (unsigned char)text[i];
        if (text[i] == '%') {
            int high = i + 2 < size ? hex_digit(text[i + 1]) : -1;
            int low = i + 2 < size ? hex_digit(text[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            value = high * 16 + low;
            i += 2;
        }
        if (length == URI_PART_MAX || value == 0)
            return false;
        part[length++] = (char)value;
    }
    part[length] = '\0';
    return true;
}

static bool read_port(const char *text, size_t size, struct uri *uri)
{
    unsigned port = 0;
    if (size == 0)
        return true;
    if (size >= sizeof(uri->port))
        return false;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        port = port * 10 + (unsigned)(text[i] - '0');
    }
    if (port == 0 || port > 65535)
        return false;
    snprintf(uri->port, sizeof(uri->port), "%u", port);
    return true;
}

static bool read_host(const char *text, size_t size, struct uri *uri)
{
    const char *end = text + size;
    const char *host_end;
    if (size > 0 && *text == '[') {
        host_end = memchr(text, ']', size);
        if (!host_end || !decode(text + 1, (size_t)(host_end - text) - 1, uri->host))
            return false;
        host_end++;
    } else {
        host_end = memchr(text, ':', size);
        host_end = host_end ? host_end : end;
        if (host_end > text && !decode(text, (size_t)(host_end - text), uri->host))
            return false;
    }
    if (host_end == end)
        return true;
    return *host_end == ':' && read_port(host_end + 1, (size_t)(end - host_end) - 1, uri);
}

static bool read_user(const char *text, size_t size, struct uri *uri)
{
    const char *colon = memchr(text, ':', size);
    if (!colon)
        return decode(text, size, uri->user);
    size_t user_size = (size_t)(colon - text);
    return decode(text, user_size, uri->user) &&
           decode(colon + 1, size - user_size - 1, uri->password);
}

bool uri_read(const char *text, struct uri *uri)
{
    *uri = (struct uri){
        .user = "guest", .password = "guest", .host = "localhost", .port = "5672", .vhost = "/"};
    if (strncmp(text, "amqps://", 8) == 0) {
        uri->tls = true;
        memcpy(uri->port, "5671", 5);
        text += 8;
    } else if (strncmp(text, "amqp://", 7) == 0) {
        text += 7;
    } else {
        return false;
    }
    size_t size = strcspn(text, "/?");
    const char *path = text + size;
    const char *at = memrchr(text, '@', size);
    if (at) {
        if (!read_user(text, (size_t)(at - text), uri))
            return false;
        size -= (size_t)(at - text) + 1;
        text = at + 1;
    }
    if (!read_host(text, size, uri))
        return false;
    return *path != '/' || decode(path + 1, strcspn(path + 1, "?"), uri->vhost);
}
