/* Is it well? 200 is yes and 503 no, for probes that look no further. */
#include <stdlib.h>

#include "api/leader.h"
#include "api/machine.h"
#include "api/resources.h"
#include "broker/permission.h"
#include "session/look.h"

/* ---- answers ---- */

static void tell_ok(struct call *call)
{
    struct fields fields = call_tell(call);
    fields_string(&fields, "status", "ok");
    call_told(call, &fields);
}

/* The caller adds why, and closes it. */
static struct fields tell_failed(struct call *call, const char *reason)
{
    struct fields fields = call_tell(call);
    call->status = 503;
    fields_string(&fields, "status", "failed");
    fields_string(&fields, "reason", reason);
    return fields;
}

void health_is_ok(struct call *call)
{
    tell_ok(call);
}

/* Without this broker, would there be more than half of those who count? */
static bool is_critical(const struct api_member *members, size_t count)
{
    size_t up = 0, all = 0;
    for (size_t i = 0; i < count; i++) {
        bool counts = members[i].role == API_ROLE_VOTER;
        all += counts;
        up += counts && members[i].is_up && !members[i].is_self;
    }
    return up < all / 2 + 1;
}

/* A node without others has nobody to lose. */
void health_is_critical(struct call *call)
{
    struct api_member members[API_MEMBERS_MAX];
    struct fields fields;
    size_t count = machine_members(call, members);
    if (count && is_critical(members, count)) {
        fields = tell_failed(
            call, "without this broker there are not more than half of its cluster, and nobody would serve");
    } else {
        fields = call_tell(call);
        fields_string(&fields, "status", "ok");
        if (!count)
            fields_string(&fields, "reason", "single node cluster");
    }
    call_told(call, &fields);
}

/* ---- alarms ---- */

static void put_alarm(struct fields *fields, const struct call *call, const char *resource)
{
    fields_begin(fields, '{');
    fields_string(fields, "node", call->api->options.node);
    fields_string(fields, "resource", resource);
    fields_end(fields, '}');
}

static void tell_alarms(struct call *call, const char *reason)
{
    struct server_memory memory = server_memory(call->api->server);
    if (!memory.is_above && !memory.is_disk_short) {
        tell_ok(call);
        return;
    }
    struct fields fields = tell_failed(call, reason);
    if (fields_open(&fields, "alarms", '[')) {
        if (memory.is_above)
            put_alarm(&fields, call, "memory");
        if (memory.is_disk_short)
            put_alarm(&fields, call, "disk");
        fields_close(&fields, ']');
    }
    call_told(call, &fields);
}

void health_alarms(struct call *call)
{
    tell_alarms(call, "There are alarms in effect in the cluster");
}

void health_local_alarms(struct call *call)
{
    tell_alarms(call, "There are alarms in effect on the node");
}

/* ---- listeners ---- */

/* 0: it is none. */
static uint64_t read_number(struct bytes text)
{
    uint64_t number = 0;
    if (text.size > 6)
        return 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return 0;
        number = number * 10 + (text.data[i] - '0');
    }
    return number;
}

void health_port_listener(struct call *call)
{
    struct api_listener listeners[API_LISTENERS_MAX];
    size_t count = machine_listeners(call, listeners);
    uint64_t port = read_number(call->segments[0]);
    if (!port) {
        call_fail(call, 400, "bad_request", "Invalid port");
        return;
    }
    for (size_t i = 0; i < count; i++)
        if (listeners[i].port == port) {
            struct fields fields = call_tell(call);
            fields_string(&fields, "status", "ok");
            fields_whole(&fields, "port", port);
            call_told(call, &fields);
            return;
        }
    struct fields fields = tell_failed(call, "No active listener");
    fields_whole(&fields, "missing", port);
    if (fields_open(&fields, "ports", '[')) {
        for (size_t i = 0; i < count; i++)
            fields_put_whole(&fields, listeners[i].port);
        fields_close(&fields, ']');
    }
    call_told(call, &fields);
}

/* What others call a protocol by. */
static const char *protocol_of(struct bytes name)
{
    static const char *const names[][2] = {
        {"amqp", "amqp"},         {"amqp091", "amqp"},      {"amqp10", "amqp"},
        {"amqp0.9.1", "amqp"},    {"amqp1.0", "amqp"},      {"amqps", "amqp/ssl"},
        {"amqp/ssl", "amqp/ssl"}, {"https", "https"},       {"http", "http"},
        {"clustering", "clustering"},
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (bytes_equal_str(name, names[i][0]))
            return names[i][1];
    return NULL;
}

void health_protocol_listener(struct call *call)
{
    struct api_listener listeners[API_LISTENERS_MAX];
    size_t count = machine_listeners(call, listeners);
    const char *protocol = protocol_of(call->segments[0]);
    for (size_t i = 0; protocol && i < count; i++)
        if (strcmp(listeners[i].protocol, protocol) == 0) {
            struct fields fields = call_tell(call);
            fields_string(&fields, "status", "ok");
            fields_string(&fields, "protocol", protocol);
            call_told(call, &fields);
            return;
        }
    struct fields fields = tell_failed(call, "No active listener");
    fields_text(&fields, "missing", call->segments[0]);
    if (fields_open(&fields, "protocols", '[')) {
        for (size_t i = 0; i < count; i++) {
            size_t before = 0;
            while (strcmp(listeners[before].protocol, listeners[i].protocol) != 0)
                before++;
            if (before == i)
                fields_put_text(&fields, bytes_str(listeners[i].protocol));
        }
        fields_close(&fields, ']');
    }
    call_told(call, &fields);
}

/* ---- certificates, and lists of revoked ones ---- */

/* What of a listener may end. */
struct ending {
    const char *reason;
    const char *unknown; /* said of units that there are not */
    bool has_hours;      /* hours are one: RabbitMQ has them not */
    const char *file, *expires_on;
};

static const struct ending certificate = {
    "Certificates expiring", "Time unit not recognised. Supported units: days, weeks, months, years.", false,
    "certfile", "certfile_expires_on"};
static const struct ending revoked = {
    "Lists of revoked certificates expiring",
    "Time unit not recognised. Supported units: hours, days, weeks, months, years.", true, "crlfile",
    "crlfile_expires_on"};

/* In ms since 1970; 0: never. */
static uint64_t end_of(const struct api_listener *listener, const struct ending *what)
{
    return what == &revoked ? listener->revoked_ends_ms : listener->ends_ms;
}

static bool ends_by(const struct api_listener *listener, const struct ending *what, uint64_t until_ms)
{
    uint64_t end_ms = end_of(listener, what);
    return end_ms && end_ms <= until_ms;
}

/* Hours of the unit; 0: there is no such. A month is the longest one. */
static uint64_t hours_of(struct bytes unit, const struct ending *what)
{
    static const struct {
        const char *name;
        uint64_t hours;
    } units[] = {{"hours", 1}, {"days", 24}, {"weeks", 168}, {"months", 744}, {"years", 8784}};
    for (size_t i = !what->has_hours; i < sizeof(units) / sizeof(units[0]); i++)
        if (bytes_equal_str(unit, units[i].name))
            return units[i].hours;
    return 0;
}

static void put_expired(struct fields *fields, const struct call *call,
                        const struct api_listener *listener, const struct ending *what)
{
    fields_begin(fields, '{');
    fields_string(fields, "node", call->api->options.node);
    fields_string(fields, "protocol", listener->protocol);
    fields_string(fields, "interface", listener->address);
    fields_whole(fields, "port", listener->port);
    fields_string(fields, what->file, what == &revoked ? listener->revoked : listener->certificate);
    fields_whole(fields, what->expires_on, end_of(listener, what) / 1000);
    fields_end(fields, '}');
}

static void tell_endings(struct call *call, const struct ending *what)
{
    struct api_listener listeners[API_LISTENERS_MAX];
    size_t count = machine_listeners(call, listeners), ending = 0;
    uint64_t within = read_number(call->segments[0]), hours = hours_of(call->segments[1], what);
    if (!hours || !within) {
        call_fail(call, 400, "bad_request", "%s", hours ? "Invalid expiration value." : what->unknown);
        return;
    }
    uint64_t until_ms = call->api->broker->clock_ms + within * hours * 3600000;
    for (size_t i = 0; i < count; i++)
        ending += ends_by(&listeners[i], what, until_ms);
    if (!ending) {
        tell_ok(call);
        return;
    }
    struct fields fields = tell_failed(call, what->reason);
    if (fields_open(&fields, "expired", '[')) {
        for (size_t i = 0; i < count; i++)
            if (ends_by(&listeners[i], what, until_ms))
                put_expired(&fields, call, &listeners[i], what);
        fields_close(&fields, ']');
    }
    call_told(call, &fields);
}

void health_certificates(struct call *call)
{
    tell_endings(call, &certificate);
}

void health_revoked(struct call *call)
{
    tell_endings(call, &revoked);
}

/* ---- the node, and a virtual host ---- */

/* 200 also of one that is not well, as in RabbitMQ. */
static void tell_health(struct call *call)
{
    struct server_memory memory = server_memory(call->api->server);
    if (!memory.is_above && !memory.is_disk_short) {
        tell_ok(call);
        return;
    }
    struct fields fields = call_tell(call);
    fields_string(&fields, "status", "failed");
    fields_string(&fields, "reason",
                  memory.is_above ? "resource alarm(s) in effect:[memory]"
                                  : "resource alarm(s) in effect:[disk]");
    call_told(call, &fields);
}

void healthcheck_get(struct call *call)
{
    if (!call->segments[0].data || machine_is_node(call))
        tell_health(call);
}

/* Nothing is declared or published for it: that it can be answered is the sign of life. */
void aliveness_get(struct call *call)
{
    if (call_vhost(call, false))
        tell_ok(call);
}

static void tell_drained(struct call *call)
{
    struct fields fields = tell_failed(call, "this broker takes no clients: it was put into maintenance mode by drain, "
                                             "and revive ends that");
    call_told(call, &fields);
}

/* It runs, and is not under maintenance. */
void health_is_in_service(struct call *call)
{
    if (call->api->is_drained)
        tell_drained(call);
    else
        tell_ok(call);
}

/* Whoever comes is served, here or, by this broker, where another one leads. */
void health_is_ready(struct call *call)
{
    const struct api_control *control = call->api->options.control;
    char text[API_TEXT_BYTES];
    if (call->api->is_drained) {
        tell_drained(call);
        return;
    }
    if (!call->is_apart || leader_service(call) || control->serves(control, text)) {
        health_has_room(call);
        return;
    }
    struct fields fields = tell_failed(call, text);
    call_told(call, &fields);
}

/* New clients are taken: there is room below the limit of connections. */
void health_has_room(struct call *call)
{
    uint64_t used = server_counts(call->api->server).connections;
    uint32_t most = server_connections_max(call->api->server);
    if (!most || used < most) {
        tell_ok(call);
        return;
    }
    struct fields fields = tell_failed(call, "node connection limit is reached");
    fields_whole(&fields, "connections", used);
    call_told(call, &fields);
}
