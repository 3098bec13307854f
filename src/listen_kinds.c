/* Where somebody listens: addresses, alone or as keys with names, and that there are none. */
#include <string.h>

#include "net/address.h"
#include "net/path.h"
#include "option_kinds.h"
#include "options.h"

static const char unix_begin[] = "unix:";

bool listen_is_path(const char *text)
{
    return strncmp(text, unix_begin, sizeof(unix_begin) - 1) == 0;
}

const char *listen_path(const char *text)
{
    return text + sizeof(unix_begin) - 1;
}

/* NULL, or what is wrong with it. */
static const char *path_fault(const char *path)
{
    if (path[0] != '/')
        return "a path begins with /";
    return strlen(path) > PATH_BYTES_MAX ? "a path of a socket has at most 96 bytes" : NULL;
}

static bool add_address(struct listen_options *listen, const char *text, const char **why)
{
    struct endpoint endpoint;
    if (listen->count == OPTIONS_LISTEN_MAX)
        *why = "there are too many";
    else
        *why = listen_is_path(text) ? path_fault(listen_path(text)) : endpoint_read(text, 0, &endpoint);
    if (!*why && strlen(text) >= OPTIONS_ADDRESS_BYTES)
        *why = "it is too long";
    if (*why)
        return false;
    snprintf(listen->at[listen->count++], OPTIONS_ADDRESS_BYTES, "%s", text);
    return true;
}

static bool is_plain(const struct option *option)
{
    return option->offset == offsetof(struct options, listen);
}

static bool read_listen(const struct option *option, void *fields, const char *text,
                        const char **why)
{
    if (listen_is_path(text) && !is_plain(option)) {
        *why = "there is no TLS within a machine";
        return false;
    }
    return add_address(option_field(option, fields), text, why);
}

/* RabbitMQ writes an IPv6 address without brackets: ::1:5672. */
static bool read_listener(const struct option *option, void *fields, const char *name,
                          const char *text, const char **why)
{
    char bracketed[OPTIONS_ADDRESS_BYTES];
    const char *end, *last = strrchr(text, ':');
    uint64_t port;
    (void)name;
    if (!last && !(digits_read(text, &port, &end) && *end == '\0')) {
        *why = "the port is missing";
        return false;
    }
    if (!last || listen_is_path(text) || strchr(text, ':') == last || strchr(text, '['))
        return read_listen(option, fields, text, why);
    snprintf(bracketed, sizeof(bracketed), "[%.*s]%s", (int)(last - text), text, last);
    return read_listen(option, fields, bracketed, why);
}

/* Of several the first. */
static void write_listen(const struct option *option, const void *fields, char *text, size_t size)
{
    const struct listen_options *listen = option_look(option, fields);
    if (listen->count)
        snprintf(text, size, "%s", listen->at[0]);
    else
        snprintf(text, size, "%s", is_plain(option) ? "5672, everywhere" : "");
}

static bool write_nth_listener(const struct option *option, const void *fields, size_t n,
                               char *name, char *text, size_t size)
{
    const struct listen_options *listen = option_look(option, fields);
    bool is_usual = listen->count == 0 && !listen->is_none && is_plain(option);
    if (n >= listen->count + is_usual)
        return false;
    sprintf(name, "%zu", n + 1);
    snprintf(text, size, "%s", is_usual ? "5672" : listen->at[n]);
    return true;
}

static void describe_listen(const struct option *option, char *text, size_t size)
{
    (void)option;
    snprintf(text, size, "[HOST:]PORT, at most %d times", OPTIONS_LISTEN_MAX);
}

static void clear_listen(const struct option *option, void *fields)
{
    struct listen_options *listen = option_field(option, fields);
    listen->count = 0;
}

static bool read_no_listener(const struct option *option, void *fields, const char *text,
                             const char **why)
{
    struct listen_options *listen = option_field(option, fields);
    (void)why;
    listen->count = 0;
    listen->is_none = true;
    return strcmp(text, "none") == 0;
}

static void write_no_listener(const struct option *option, const void *fields, char *text,
                              size_t size)
{
    const struct listen_options *listen = option_look(option, fields);
    snprintf(text, size, "%s", listen->is_none && listen->count == 0 ? "none" : "");
}

const struct option_kind listen_kind = {
    .read = read_listen, .write = write_listen, .describe = describe_listen, .clear = clear_listen};
const struct option_kind listener_kind = {.read = read_listen,
                                          .wanted = "PORT or HOST:PORT",
                                          .read_named = read_listener,
                                          .write_nth = write_nth_listener};
const struct option_kind no_listener_kind = {
    .read = read_no_listener, .write = write_no_listener, .wanted = "none", .is_last = true};

static bool read_proxies(const struct option *option, void *fields, const char *name,
                         const char *text, const char **why)
{
    struct proxy_trust *trust = option_field(option, fields);
    (void)name;
    if (trust->count == PROXY_TRUSTED_MAX) {
        *why = "there are too many";
        return false;
    }
    return address_range_read(text, &trust->at[trust->count]) && ++trust->count;
}

static bool write_nth_proxies(const struct option *option, const void *fields, size_t n, char *name,
                              char *text, size_t size)
{
    char range[ADDRESS_TEXT_BYTES];
    const struct proxy_trust *trust = option_look(option, fields);
    if (n >= trust->count)
        return false;
    address_range_write(&trust->at[n], range);
    sprintf(name, "%zu", n + 1);
    snprintf(text, size, "%s", range);
    return true;
}

const struct option_kind proxies_kind = {.read_named = read_proxies,
                                         .write_nth = write_nth_proxies,
                                         .wanted = "an address, or one with the number of its bits "
                                                   "that count: 192.0.2.0/24"};

static bool read_management(const struct option *option, void *fields, const char *text,
                            const char **why)
{
    const char **at = option_field(option, fields);
    struct endpoint endpoint;
    *at = text;
    *why = strcmp(text, "none") == 0 ? NULL : endpoint_read(text, 0, &endpoint);
    return !*why;
}

static bool read_prefix(const struct option *option, void *fields, const char *text,
                        const char **why)
{
    return text[0] == '/' && text[strlen(text) - 1] != '/' &&
           option_text.read(option, fields, text, why);
}

static void write_prefix(const struct option *option, const void *fields, char *text, size_t size)
{
    option_text.write(option, fields, text, size);
}

/* The list begins with a comma while it is filled, as in read_name. */
static bool read_origin(const struct option *option, void *fields, const char *name,
                        const char *text, const char **why)
{
    char *origins = option_field(option, fields);
    size_t used = origins[0] == ',' ? strlen(origins) : 0;
    (void)name;
    if (used + strlen(text) + 2 > option->width) {
        *why = "there are too many";
        return false;
    }
    if (!*text || strpbrk(text, ", \t"))
        return false;
    snprintf(origins + used, option->width - used, ",%s", text);
    return true;
}

static bool write_nth_origin(const struct option *option, const void *fields, size_t n, char *name,
                             char *text, size_t size)
{
    const char *at = option_look(option, fields);
    sprintf(name, "%zu", n + 1);
    for (; n && *at; n--)
        at = strchrnul(at, ',') + (*strchrnul(at, ',') != '\0');
    snprintf(text, size, "%.*s", (int)strcspn(at, ","), at);
    return *at != '\0';
}

const struct option_kind origin_kind = {.read_named = read_origin,
                                        .write_nth = write_nth_origin,
                                        .wanted = "an origin, or *"};
const struct option_kind prefix_kind = {.read = read_prefix,
                                        .write = write_prefix,
                                        .wanted = "a path that begins with / and does not end so"};
const struct option_kind management_kind = {.read = read_management,
                                            .wanted = "[HOST:]PORT, or none"};

/* ---- other brokers ---- */

static bool read_cluster_node(const struct option *option, void *fields, const char *name,
                              const char *text, const char **why)
{
    struct cluster_settings *cluster = option_field(option, fields);
    struct cluster_node node = {0}; /* a reload compares all of it */
    struct endpoint endpoint;
    uint64_t number;
    const char *end;
    uint32_t at = 0;
    if (!digits_read(name, &number, &end) || *end || number == 0 || number > OPTIONS_NUMBER_MAX) {
        *why = "behind cluster.nodes stands a number from 1 to 64";
        return false;
    }
    *why = endpoint_read(text, 0, &endpoint);
    if (!*why && (!endpoint.host[0] || strlen(text) >= sizeof(node.at)))
        *why = "the others have to find it by its name or address";
    if (!*why && cluster->count == OPTIONS_CLUSTER_MAX)
        *why = "a cluster has at most 7 brokers";
    if (*why)
        return false;
    node.number = (uint32_t)number;
    snprintf(node.at, sizeof(node.at), "%s", text);
    while (at < cluster->count && cluster->nodes[at].number < number)
        at++;
    if (at < cluster->count && cluster->nodes[at].number == number) {
        cluster->nodes[at] = node;
        return true;
    }
    memmove(cluster->nodes + at + 1, cluster->nodes + at, (cluster->count - at) * sizeof(node));
    cluster->nodes[at] = node;
    cluster->count++;
    return true;
}

static bool write_nth_cluster_node(const struct option *option, const void *fields, size_t n,
                                   char *name, char *text, size_t size)
{
    const struct cluster_settings *cluster = option_look(option, fields);
    if (n >= cluster->count)
        return false;
    sprintf(name, "%u", cluster->nodes[n].number);
    snprintf(text, size, "%s", cluster->nodes[n].at);
    return true;
}

const struct option_kind cluster_node_kind = {.read_named = read_cluster_node,
                                              .write_nth = write_nth_cluster_node,
                                              .wanted = "HOST:PORT"};
