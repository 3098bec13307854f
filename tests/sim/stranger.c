/* A client whose user may do next to nothing, and tries all the same: whatever is refused says so,
 * closes the channel, and changes nothing. Of one exchange an operator lets him publish to it, and
 * takes that back, while he is connected. */
#include <inttypes.h>
#include <stdio.h>

#include "broker/permission.h"
#include "broker/user.h"
#include "tests/sim/sim.h"

enum { NAME_SIZE = 24, NAMES = 40, TEXT_SIZE = 256 };
/* A channel that does nothing but what he may do now and then. */
enum { FAN_CHANNEL = 1, PUBLISH = 2 };

static const char user[] = "stranger";
static const char *const patterns[] = {"^nothing$", "^(nothing|fan)$"};

static struct sim *sim_of(const struct sim_channel *channel)
{
    return channel->client->sim;
}

void stranger_come(struct machine *machine)
{
    struct broker *broker = &machine->broker;
    struct error error;
    struct bytes name = bytes_str(user), slash = bytes_str("/"), nothing = bytes_str(patterns[0]);
    struct user *there = user_find(broker, name);
    if (there && permission_find(there, slash))
        return;
    const struct permission_request request = {
        .user = name, .vhost = slash, .configure = nothing, .write = nothing, .read = nothing};
    user_put(broker, name, name);
    if (!permission_set(broker, &request, &error))
        sim_fail(machine->sim, "the stranger's permission is refused: %s", error.detail);
    machine->sim->strangers = (struct strangers){.number = machine->sim->strangers.number + 1};
}

void strangers_ask(struct sim *sim, struct admin *admin)
{
    char body[TEXT_SIZE];
    struct strangers *strangers = &sim->strangers;
    strangers->is_wanted = sim_chance(sim, 2);
    strangers->is_unsure = true;
    strangers->number++;
    snprintf(body, sizeof(body), "{\"configure\":\"%s\",\"write\":\"%s\",\"read\":\"%s\"}",
             patterns[0], patterns[strangers->is_wanted], patterns[0]);
    admin_ask(admin, "PUT", "permissions/%2F/stranger", body);
}

void strangers_answered(struct sim *sim, int status)
{
    if (status != 204 && status != 201)
        sim_fail(sim, "the operator is answered %d when he sets a permission", status);
    sim->strangers.is_unsure = false;
    sim->strangers.is_granted = sim->strangers.is_wanted;
    sim->report->met[MET_PERMISSION_SET]++;
}

/* ---- what he tries ---- */

static void try(struct sim_channel *channel, const union method *method, uint32_t reply)
{
    client_call(channel, method, reply, -1);
}

static void try_publish(struct sim_channel *channel)
{
    struct sim *sim = sim_of(channel);
    bool by_key = channel->number != FAN_CHANNEL && sim_chance(sim, 3);
    if (channel->client->is_blocked || sim->strangers.topology_epoch != channel->client->dial_epoch)
        return;
    const struct target *target = &targets[by_key ? TARGET_D0 : TARGET_FAN];
    channel->attempt = (struct attempt){.number = sim->strangers.number,
                                        .may = !by_key && sim->strangers.is_granted,
                                        .is_unsure = !by_key && sim->strangers.is_unsure};
    channel->attempt.message = work_publish(channel, target);
}

static void try_queue(struct sim_channel *channel, const char *name)
{
    struct bytes queue = bytes_str(name), fan = bytes_str("fan");
    switch (sim_below(sim_of(channel), 8)) {
    case 0:
        try(channel,
            &(union method){
                .queue_declare = {.id = METHOD_QUEUE_DECLARE, .queue = queue, .durable = true}},
            METHOD_QUEUE_DECLARE_OK);
        break;
    case 1:
        try(channel, &(union method){.queue_delete = {.id = METHOD_QUEUE_DELETE, .queue = queue}},
            METHOD_QUEUE_DELETE_OK);
        break;
    case 2:
        try(channel, &(union method){.queue_purge = {.id = METHOD_QUEUE_PURGE, .queue = queue}},
            METHOD_QUEUE_PURGE_OK);
        break;
    case 3:
        try(channel,
            &(union method){
                .queue_bind = {.id = METHOD_QUEUE_BIND, .queue = queue, .exchange = fan}},
            METHOD_QUEUE_BIND_OK);
        break;
    case 4:
        try(channel,
            &(union method){
                .queue_unbind = {.id = METHOD_QUEUE_UNBIND, .queue = queue, .exchange = fan}},
            METHOD_QUEUE_UNBIND_OK);
        break;
    case 5:
        try(channel,
            &(union method){.basic_get = {.id = METHOD_BASIC_GET, .queue = queue, .no_ack = true}},
            METHOD_BASIC_GET_OK);
        break;
    default:
        try(channel,
            &(union method){
                .basic_consume = {.id = METHOD_BASIC_CONSUME, .queue = queue, .no_ack = true}},
            METHOD_BASIC_CONSUME_OK);
    }
}

static void try_exchange(struct sim_channel *channel, const char *name)
{
    struct bytes exchange = bytes_str(name), all = bytes_str("all");
    switch (sim_below(sim_of(channel), 4)) {
    case 0:
        try(channel,
            &(union method){
                .exchange_delete = {.id = METHOD_EXCHANGE_DELETE, .exchange = exchange}},
            METHOD_EXCHANGE_DELETE_OK);
        break;
    case 1:
        try(channel,
            &(union method){.exchange_bind = {.id = METHOD_EXCHANGE_BIND,
                                              .destination = exchange,
                                              .source = all}},
            METHOD_EXCHANGE_BIND_OK);
        break;
    case 2:
        try(channel,
            &(union method){.exchange_unbind = {.id = METHOD_EXCHANGE_UNBIND,
                                                .destination = exchange,
                                                .source = all}},
            METHOD_EXCHANGE_UNBIND_OK);
        break;
    default:
        try(channel,
            &(union method){.exchange_declare = {.id = METHOD_EXCHANGE_DECLARE,
                                                 .exchange = exchange,
                                                 .type = bytes_str("fanout"),
                                                 .durable = true}},
            METHOD_EXCHANGE_DECLARE_OK);
    }
}

void stranger_act(struct sim_channel *channel)
{
    struct sim *sim = sim_of(channel);
    char name[NAME_SIZE];
    if (!channel_is_quiet(channel))
        return;
    channel->attempt = (struct attempt){0};
    snprintf(name, sizeof(name), "nobody%" PRIu64, sim_below(sim, NAMES));
    switch (channel->number == FAN_CHANNEL ? PUBLISH : sim_below(sim, 6)) {
    case 0:
        try_queue(channel, sim_chance(sim, 4) ? name : queue_names[sim_below(sim, QUEUES)]);
        break;
    case 1:
        try_exchange(channel, sim_chance(sim, 4) ? name : "fan");
        break;
    default:
        try_publish(channel);
    }
}

/* ---- what comes of it ---- */

/* Has nothing been changed since he was to be let, or not? */
static bool is_sure(const struct sim_channel *channel)
{
    return !channel->attempt.is_unsure &&
           channel->attempt.number == sim_of(channel)->strangers.number;
}

void stranger_replied(struct sim_channel *channel, const union method *method)
{
    if (method->id != METHOD_CHANNEL_OPEN_OK && method->id != METHOD_CONFIRM_SELECT_OK)
        sim_fail(sim_of(channel), "the stranger is answered %s", method_name(method->id));
}

void stranger_confirmed(struct sim_channel *channel)
{
    if (is_sure(channel) && !channel->attempt.may)
        sim_fail(sim_of(channel), "the stranger's message is confirmed");
    sim_of(channel)->report->met[MET_STRANGER_CONFIRMED]++;
}

void stranger_refused(struct sim_channel *channel, const struct method_channel_close *method)
{
    struct sim *sim = sim_of(channel);
    struct attempt *attempt = &channel->attempt;
    char text[TEXT_SIZE];
    snprintf(text, sizeof(text), "%.*s", BYTES_ARG(method->reply_text));
    if (attempt->message && (method->reply_code == 406 || method->reply_code == 506))
        return; /* there is no room for it */
    if (method->reply_code != 403 || !strstr(text, "refused for user 'stranger'"))
        sim_fail(sim, "the stranger's channel is closed: %u %s", method->reply_code, text);
    if (attempt->may && is_sure(channel))
        sim_fail(sim, "the stranger is refused what he may do: %s", text);
    if (attempt->message)
        promise_refused(sim, attempt->message);
    sim->report->met[MET_STRANGER_REFUSED]++;
}
