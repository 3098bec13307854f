/* URIs, and the folders in which a broker may have its socket. */
#include "ctl/target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PORT_USUAL "15672"
#define PORT_USUAL_TLS "15671"
#define SYSTEM_FOLDER "/run/leveret"

static bool refuse(char *error, size_t error_size, const char *uri, const char *why)
{
    snprintf(error, error_size,
             "'%s' names no broker: %s; for example http://guest:guest@127.0.0.1:15672, or "
             "unix:/run/leveret/ctl.sock",
             uri, why);
    return false;
}

static int digit_of(char letter)
{
    if (letter >= '0' && letter <= '9')
        return letter - '0';
    letter |= 0x20;
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

/* A part of the URI with %XX decoded; false: it is too long, or has a NUL. */
static bool take(char *out, size_t out_size, const char *text, size_t size)
{
    size_t length = 0;
    for (size_t i = 0; i < size; i++) {
        char letter = text[i];
        if (letter == '%' && i + 2 < size && digit_of(text[i + 1]) >= 0 &&
            digit_of(text[i + 2]) >= 0) {
            letter = (char)(digit_of(text[i + 1]) * 16 + digit_of(text[i + 2]));
            i += 2;
        }
        if (length + 1 >= out_size || letter == '\0')
            return false;
        out[length++] = letter;
    }
    out[length] = '\0';
    return true;
}

static bool read_user(struct target *target, const char *text, size_t size)
{
    const char *colon = memchr(text, ':', size);
    size_t name_size = colon ? (size_t)(colon - text) : size;
    target->has_user = true;
    return take(target->user, sizeof(target->user), text, name_size) &&
           (!colon ||
            take(target->password, sizeof(target->password), colon + 1, size - name_size - 1));
}

/* HOST, HOST:PORT, [V6] or [V6]:PORT. */
static bool read_host(struct target *target, const char *text, size_t size)
{
    const char *end = text + size, *colon;
    const char *close = *text == '[' ? memchr(text, ']', size) : NULL;
    const char *host_end = close;
    if (close) {
        text++;
        colon = close + 1 < end && close[1] == ':' ? close + 1 : NULL;
    } else {
        colon = memchr(text, ':', size);
        host_end = colon ? colon : end;
    }
    target->has_port = colon != NULL;
    snprintf(target->port, sizeof(target->port), "%s",
             target->is_tls ? PORT_USUAL_TLS : PORT_USUAL);
    return host_end > text &&
           take(target->host, sizeof(target->host), text, (size_t)(host_end - text)) &&
           (!colon ||
            take(target->port, sizeof(target->port), colon + 1, (size_t)(end - colon - 1)));
}

static bool read_path(struct target *target, const char *path)
{
    snprintf(target->name, sizeof(target->name), "%s", path);
    return take(target->path, sizeof(target->path), path, strlen(path)) && *path;
}

bool target_read(struct target *target, const char *uri, char *error, size_t error_size)
{
    static const char http[] = "http://", https[] = "https://";
    *target = (struct target){0};
    if (strncmp(uri, "unix:", 5) == 0 || *uri == '/')
        return read_path(target, *uri == '/' ? uri : uri + 5) ||
               refuse(error, error_size, uri, "the path is too long");
    target->is_tls = strncmp(uri, https, sizeof(https) - 1) == 0;
    if (!target->is_tls && strncmp(uri, http, sizeof(http) - 1) != 0)
        return refuse(error, error_size, uri, "it begins neither with http:, https: nor unix:");
    const char *at = uri + (target->is_tls ? sizeof(https) : sizeof(http)) - 1;
    size_t size = strcspn(at, "/");
    const char *rest = at + size, *user_end = NULL;
    for (const char *c = at; c < rest; c++)
        if (*c == '@')
            user_end = c;
    if (user_end && !read_user(target, at, (size_t)(user_end - at)))
        return refuse(error, error_size, uri, "the user's name or password is too long");
    at = user_end ? user_end + 1 : at;
    size_t prefix_size = strlen(rest);
    while (prefix_size && rest[prefix_size - 1] == '/')
        prefix_size--;
    if (!read_host(target, at, (size_t)(rest - at)) ||
        !take(target->prefix, sizeof(target->prefix), rest, prefix_size))
        return refuse(error, error_size, uri, "it has no host, or one that is too long");
    snprintf(target->name, sizeof(target->name), "%s:%s", target->host, target->port);
    return true;
}

/* Is a socket there? */
static bool try_path(struct target *target, const char *folder, const char *rest)
{
    char path[512];
    if (!folder || !*folder)
        return false;
    snprintf(path, sizeof(path), "%s%s/ctl.sock", folder, rest);
    return access(path, F_OK) == 0 && read_path(target, path);
}

void target_local(struct target *target, const char *folder)
{
    char path[512];
    *target = (struct target){0};
    snprintf(path, sizeof(path), "%s/ctl.sock", folder ? folder : SYSTEM_FOLDER);
    if (folder)
        read_path(target, path);
    else if (!try_path(target, SYSTEM_FOLDER, "") && !try_path(target, "/var/lib/leveret", "") &&
             !try_path(target, getenv("XDG_STATE_HOME"), "/leveret") &&
             !try_path(target, getenv("HOME"), "/.local/state/leveret"))
        read_path(target, path);
}
