#include "api/machine.h"

#include <stdio.h>

#include "api/rates.h"
#include "broker/delay.h"
#include "broker/exchange.h"
#include "session/look.h"

size_t machine_listeners(const struct call *call, struct api_listener *listeners)
{
    const struct api_surroundings *surroundings = call->api->options.surroundings;
    return surroundings->listeners(surroundings, listeners);
}

struct api_machine machine_look(const struct call *call)
{
    const struct api_surroundings *surroundings = call->api->options.surroundings;
    struct api_machine machine = {0};
    surroundings->look(surroundings, &machine);
    return machine;
}

size_t machine_members(const struct call *call, struct api_member *members)
{
    const struct api_control *control = call->api->options.control;
    return control && control->members ? control->members(control, members) : 0;
}

/* One that is alone is a member without a number. */
bool machine_find(const struct call *call, struct bytes name, struct api_member *member)
{
    struct api_member members[API_MEMBERS_MAX];
    size_t count = machine_members(call, members);
    char number[16];
    for (size_t i = 0; i < count; i++) {
        snprintf(number, sizeof(number), "%u", members[i].number);
        if (bytes_equal_str(name, members[i].name) || bytes_equal_str(name, number)) {
            *member = members[i];
            return true;
        }
    }
    *member = (struct api_member){.is_self = true, .is_up = true};
    return bytes_equal_str(name, call->api->options.node);
}

uint32_t machine_number(const struct call *call)
{
    struct api_member members[API_MEMBERS_MAX];
    size_t count = machine_members(call, members);
    for (size_t i = 0; i < count; i++)
        if (members[i].is_self)
            return members[i].number;
    return 0;
}

bool machine_group(const struct call *call, struct api_group *group)
{
    const struct api_control *control = call->api->options.control;
    return control && control->group && control->group(control, group);
}

const char *machine_role(enum api_role role)
{
    static const char *const names[] = {[API_ROLE_UNKNOWN] = "unknown",
                                        [API_ROLE_VOTER] = "voter",
                                        [API_ROLE_LEARNER] = "learner",
                                        [API_ROLE_GONE] = "gone"};
    return names[role];
}

bool machine_is_node(struct call *call)
{
    if (!bytes_equal_str(call->segments[0], call->api->options.node))
        call_not_found(call);
    return call->status == 0;
}

/* Of those with HTTP alone. A port is a text here. */
void machine_add_contexts(struct fields *fields, const struct call *call, bool has_node)
{
    struct api_listener listeners[API_LISTENERS_MAX];
    size_t count = machine_listeners(call, listeners);
    char port[8];
    if (!fields_open(fields, "contexts", '['))
        return;
    for (size_t i = 0; i < count; i++) {
        bool is_secure = strcmp(listeners[i].protocol, "https") == 0;
        if (!is_secure && strcmp(listeners[i].protocol, "http") != 0)
            continue;
        fields_begin(fields, '{');
        if (has_node) {
            if (fields_open(fields, "ssl_opts", '['))
                fields_close(fields, ']');
            fields_string(fields, "node", call->api->options.node);
        }
        fields_string(fields, "description", "RabbitMQ Management");
        fields_string(fields, "path", "/");
        fields_string(fields, "ip", listeners[i].address);
        snprintf(port, sizeof(port), "%u", listeners[i].port);
        fields_string(fields, "port", port);
        if (is_secure)
            fields_string(fields, "ssl", "true");
        fields_end(fields, '}');
    }
    fields_close(fields, ']');
}

static void put_type(struct fields *fields, const char *name)
{
    static const char *const standard[] = {"direct", "fanout", "topic", "headers"};
    char text[120];
    bool is_standard = false;
    for (size_t i = 0; i < sizeof(standard) / sizeof(standard[0]); i++)
        is_standard |= strcmp(name, standard[i]) == 0;
    snprintf(text, sizeof(text),
             is_standard ? "AMQP %s exchange, as per the AMQP specification" : "%s exchange", name);
    fields_begin(fields, '{');
    fields_string(fields, "name", name);
    fields_string(fields, "description", text);
    fields_flag(fields, "enabled", true);
    fields_end(fields, '}');
}

void machine_add_exchange_types(struct fields *fields)
{
    const struct exchange_kind *kind;
    if (!fields_open(fields, "exchange_types", '['))
        return;
    for (size_t i = 0; (kind = exchange_kind_at(i)); i++)
        put_type(fields, kind->name);
    put_type(fields, DELAYED_TYPE);
    fields_close(fields, ']');
}

static void add_rated(struct fields *fields, const struct call *call, enum rate_of_node rate,
                      const char *name, uint64_t count)
{
    rates_add(fields, call, RANGE_NODE, rates_of_node(call->api->rates), 1u << rate, name, count);
}

void machine_add_churn(struct fields *fields, const struct call *call)
{
    struct server_counts counts = server_counts(call->api->server);
    const struct broker *broker = call->api->broker;
    add_rated(fields, call, RATE_CONNECTIONS_OPENED, "connection_created", counts.connections_opened);
    add_rated(fields, call, RATE_CONNECTIONS_CLOSED, "connection_closed", counts.connections_opened - counts.connections);
    add_rated(fields, call, RATE_CHANNELS_OPENED, "channel_created", counts.channels_opened);
    add_rated(fields, call, RATE_CHANNELS_CLOSED, "channel_closed", counts.channels_opened - counts.channels);
    add_rated(fields, call, RATE_QUEUES_DECLARED, "queue_declared", broker->queues_declared);
    add_rated(fields, call, RATE_QUEUES_CREATED, "queue_created", broker->queues_made - call->api->begun_queues);
    add_rated(fields, call, RATE_QUEUES_DELETED, "queue_deleted", broker->queues_gone);
}
