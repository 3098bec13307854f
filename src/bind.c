#include "bind.h"

#include <errno.h>
#include <grp.h>

#include "base/mem.h"
#include "folder.h"

#define ADMIN_GROUP "leveret-admin"
#define CONTROL_NAME "ctl.sock"
#define CONTROL_SOCKET "/run/leveret/" CONTROL_NAME

enum {
    PORT = 5672,
    PORT_TLS = 5671,
    PORT_MANAGEMENT = 15672,
    PORT_MANAGEMENT_TLS = 15671,
    PORT_METRICS = 15692,
    PORT_METRICS_TLS = 15691,
    PORT_WEB = 15678,
    PORT_WEB_TLS = 15677,
};

/* What to do about it, as far as the error tells. */
const char *bind_advice(int error)
{
    switch (error) {
    case EADDRINUSE:
        return "; another option has it already, or a program listens there that 'ss -ltnp' names";
    case EADDRNOTAVAIL:
        return "; this machine has no such address, 'ip address' lists those it has";
    case EACCES:
        return "; a port below 1024 takes the capability CAP_NET_BIND_SERVICE";
    default:
        return "";
    }
}

void bind_refused(const struct log *log, const char *where, int error)
{
    log_event(log, EVENT_cannot_start, "reason=\"cannot listen at %s: %s%s\"", where,
              strerror(error), bind_advice(error));
}

/* What listens at an address. */
struct port {
    in_port_t usual;
    struct tls_context *tls; /* NULL: it is a plain one */
    struct service **service;
};

/* A machine without IPv6, or without IPv4, is complete without it: of several addresses one is
 * enough, unless the others fail for another reason. 0, or an errno value and which one it is of.
 */
static int bind_each(const struct binding *binding, const struct address *addresses, size_t count,
                     const struct port *port, size_t *failed)
{
    size_t bound = 0;
    int missing = 0;
    for (size_t i = 0; i < count; i++) {
        int error = loop_bind(binding->loop, &addresses[i], port->tls, port->service);
        if (error == 0) {
            bound++;
            continue;
        }
        *failed = i;
        if (error != EAFNOSUPPORT && error != EADDRNOTAVAIL)
            return error;
        missing = error;
    }
    return bound ? 0 : missing;
}

/* Who may enter the folder may connect, as everybody on this machine may by a port. */
static bool bind_path(const struct binding *binding, const char *text, const struct port *port)
{
    const struct path_place place = {.path = listen_path(text), .mode = 0666, .group = (gid_t)-1};
    int error = loop_bind_path(binding->loop, &place, port->service);
    if (error)
        log_event(binding->log, EVENT_cannot_start, "reason=\"cannot listen at %s: %s\"", text,
                  strerror(error));
    return !error;
}

/* Binds what a text stands for. */
static bool bind_one(const struct binding *binding, const char *text, const struct port *port)
{
    if (listen_is_path(text))
        return bind_path(binding, text, port);
    struct endpoint endpoint;
    struct address addresses[ENDPOINT_ADDRESSES_MAX];
    char where[ADDRESS_TEXT_BYTES];
    size_t count, failed = 0;
    const char *fault = endpoint_read(text, port->usual, &endpoint);
    bool is_unknown = !fault && (fault = endpoint_addresses(&endpoint, addresses, &count));
    if (fault) {
        log_event(binding->log, EVENT_cannot_start, "reason=\"cannot listen at %s: %s%s\"", text,
                  fault, is_unknown ? "; 'getent ahosts NAME' shows what a name stands for" : "");
        return false;
    }
    int error = bind_each(binding, addresses, count, port, &failed);
    if (error) {
        address_write(&addresses[failed], where);
        bind_refused(binding->log, where, error);
    }
    return !error;
}

/* What listeners have that are bound from now on: proxies that say who connects, and limits. */
static void set_guard(const struct binding *binding, bool has_proxies, bool has_limits)
{
    struct listener_options *options = &binding->loop->listeners.options;
    options->proxy = has_proxies ? &binding->options->proxies : NULL;
    options->limits = has_limits ? &binding->options->admission : NULL;
}

static bool bind_all_clients(const struct binding *binding)
{
    const struct options *options = binding->options;
    const struct port plain = {PORT, NULL, binding->amqp};
    const struct port secure = {PORT_TLS, binding->tls, binding->amqp};
    const struct listen_options *at = &options->listen, *at_tls = &options->listen_tls;
    if (at->count == 0 && !at->is_none && !bind_one(binding, "5672", &plain))
        return false;
    for (size_t i = 0; i < at->count; i++)
        if (!bind_one(binding, at->at[i], &plain))
            return false;
    for (size_t i = 0; i < at_tls->count; i++)
        if (!bind_one(binding, at_tls->at[i], &secure))
            return false;
    return true;
}

bool bind_clients(const struct binding *binding)
{
    binding->loop->listeners.options = binding->options->sockets;
    set_guard(binding, binding->options->proxy_protocol, true);
    bool is_bound = bind_all_clients(binding);
    set_guard(binding, false, false);
    return is_bound;
}

/* Without an option it is at its usual port, if no other broker of this machine has that. */
static void bind_usual(const struct binding *binding, const struct port *port)
{
    struct endpoint usual;
    struct address addresses[ENDPOINT_ADDRESSES_MAX];
    size_t count;
    endpoint_read("127.0.0.1", port->usual, &usual);
    endpoint_addresses(&usual, addresses, &count);
    int error = loop_bind_usual(binding->loop, &addresses[0], port->tls, port->service);
    if (error)
        log_event(binding->log, EVENT_no_management, "address=127.0.0.1:%u reason=%s", port->usual,
                  strerror(error));
}

/* At the address that is named without TLS (NULL: at the usual one, "none": nowhere), and at that with TLS,
 * if one is. */
static bool bind_pair(const struct binding *binding, const char *plain, const struct port *plain_port,
                      const char *secure, const struct port *secure_port)
{
    if (!plain)
        bind_usual(binding, plain_port);
    else if (strcmp(plain, "none") != 0 && !bind_one(binding, plain, plain_port))
        return false;
    return !secure || bind_one(binding, secure, secure_port);
}

bool bind_management(const struct binding *binding)
{
    const struct options *options = binding->options;
    const struct port plain = {PORT_MANAGEMENT, NULL, binding->management};
    const struct port secure = {PORT_MANAGEMENT_TLS, binding->management_tls, binding->management};
    set_guard(binding, options->management_proxy, false);
    bool is_bound = bind_pair(binding, options->management.at, &plain,
                              options->management_secure.at, &secure);
    set_guard(binding, false, false);
    return is_bound;
}

bool bind_web(const struct binding *binding)
{
    const struct options *options = binding->options;
    const struct port plain = {PORT_WEB, NULL, binding->web};
    const struct port secure = {PORT_WEB_TLS, binding->tls, binding->web};
    set_guard(binding, options->web_proxy, true);
    bool is_bound = bind_pair(binding, options->web.at ? options->web.at : "none", &plain,
                              options->web_secure.at, &secure);
    set_guard(binding, false, false);
    return is_bound;
}

/* Who wants nobody to look from outside wants nobody to measure, either. */
bool bind_metrics(const struct binding *binding)
{
    const struct options *options = binding->options;
    const char *api = options->management.at, *plain = options->metrics.at;
    const struct port port = {PORT_METRICS, NULL, binding->metrics};
    const struct port secure = {PORT_METRICS_TLS, binding->metrics_tls, binding->metrics};
    if (!plain && api && strcmp(api, "none") == 0)
        plain = "none";
    set_guard(binding, options->metrics_proxy, false);
    bool is_bound = bind_pair(binding, plain, &port, options->metrics_secure.at, &secure);
    set_guard(binding, false, false);
    return is_bound;
}

bool bind_brokers(const struct binding *binding, const char *at, struct tls_context *tls,
                  struct service **service)
{
    const struct port port = {PORT_CLUSTER, tls, service};
    return bind_one(binding, at ? at : "", &port);
}

/* Who may connect is for the system to see to: the owner, root, and the group, if there is one. */
static int bind_control_at(const struct binding *binding, const char *path)
{
    const struct group *group = getgrnam(ADMIN_GROUP);
    const struct path_place place = {
        .path = path, .mode = group ? 0660 : 0600, .group = group ? group->gr_gid : (gid_t)-1};
    return loop_bind_path(binding->loop, &place, binding->management);
}

/* Without an option it is where services keep such things, or else in the data folder. */
bool bind_control(const struct binding *binding, const char *data_dir)
{
    const char *path = binding->options->control_socket;
    int error;
    if (path && strcmp(path, "none") == 0)
        return true;
    if (path) {
        error = bind_control_at(binding, path);
        if (error)
            log_event(binding->log, EVENT_cannot_start, "reason=\"cannot listen at %s: %s\"", path,
                      strerror(error));
        return !error;
    }
    if (bind_control_at(binding, CONTROL_SOCKET) == 0)
        return true;
    char *beside = folder_join(data_dir, CONTROL_NAME);
    error = bind_control_at(binding, beside);
    if (error)
        log_event(binding->log, EVENT_no_management, "path=%s reason=%s", beside, strerror(error));
    mem_free(beside);
    return true;
}
