/* What clients do: some publish and consume, some commit transactions, and some make and delete names, and look
 * for those of others. */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "tests/sim/cluster/brokers.h"

enum { WINDOW = 60, TX_MAX = 5, QUIET_MS = 1500, LEAVES_EVERY = 8000 };

void client_init(struct run *run, uint32_t number)
{
    struct client *client = &run->client[number];
    *client = (struct client){.run = run, .number = number, .role = ROLE_WORKER, .queue = -1};
    client->dial_ms = run_below(run, 500);
    if (number == 2) /* the first two publish, and one consumes */
        client->role = ROLE_NAMER;
    else if (number > 2)
        client->role = (enum role)run_below(run, 3);
    client->publishes = number < 2 || run_chance(run, 2);
    client->every_ms = run_chance(run, 2) ? run->publish_every_ms : 1 + (uint32_t)run_below(run, 1500);
    if (number == 0 || !client->publishes || run_chance(run, 2))
        client->queue = (int)run_below(run, QUEUES);
}

/* ---- beginning ---- */

static void call_id(struct socket *socket, uint32_t id, uint32_t reply)
{
    union method method = {.id = id};
    socket_call(socket, &method, (struct due){.method = reply, .name = -1});
}

static void declare(struct socket *socket, struct bytes queue, bool passive, struct due due)
{
    union method method = {
        .queue_declare = {.id = METHOD_QUEUE_DECLARE, .queue = queue, .passive = passive, .durable = true}};
    due.method = METHOD_QUEUE_DECLARE_OK;
    socket_call(socket, &method, due);
}

static void consume(struct socket *socket, int queue)
{
    union method method = {.basic_consume = {.id = METHOD_BASIC_CONSUME,
                                             .queue = bytes_str(queue_name_of(queue)),
                                             .consumer_tag = bytes_str(queue_name_of(queue))}};
    socket_call(socket, &method, (struct due){.method = METHOD_BASIC_CONSUME_OK, .name = -1});
}

static void limit(struct socket *socket, uint16_t count)
{
    union method method = {.basic_qos = {.id = METHOD_BASIC_QOS, .prefetch_count = count}};
    socket_call(socket, &method, (struct due){.method = METHOD_BASIC_QOS_OK, .name = -1});
}

void work_ready(struct client *client)
{
    struct socket *socket = client->socket;
    call_id(socket, METHOD_CHANNEL_OPEN, METHOD_CHANNEL_OPEN_OK);
    if (client->role == ROLE_NAMER)
        return;
    if (client->role == ROLE_TX)
        call_id(socket, METHOD_TX_SELECT, METHOD_TX_SELECT_OK);
    else
        call_id(socket, METHOD_CONFIRM_SELECT, METHOD_CONFIRM_SELECT_OK);
    for (int i = 0; i < QUEUES; i++)
        declare(socket, bytes_str(queue_name_of(i)), false, (struct due){.name = -1});
    if (client->role == ROLE_WORKER && client->queue >= 0) {
        limit(socket, client->run->prefetch);
        consume(socket, client->queue);
    }
    for (int i = 0; i < QUEUES && client->role == ROLE_DRAIN; i++)
        consume(socket, i);
}

/* ---- messages ---- */

static uint32_t draw_size(struct run *run)
{
    return 8 + (uint32_t)run_below(run, run_chance(run, 100) ? run->body_max : 200);
}

static void publish(struct client *client)
{
    struct run *run = client->run;
    int queue = (int)run_below(run, QUEUES);
    uint64_t number = truth_sent(run, client->socket, queue, draw_size(run), client->tx);
    socket_publish(client->socket, queue, number);
}

static void answer(struct client *client)
{
    struct run *run = client->run;
    struct socket *socket = client->socket;
    size_t at = run_chance(run, 2) ? 0 : run_below(run, client->held_count), count = 1;
    uint64_t tag = client->held[at];
    bool is_returned = !run->is_draining && run_chance(run, 10);
    bool multiple = run->is_draining || run_chance(run, 4);
    union method method = {.basic_ack = {METHOD_BASIC_ACK, tag, multiple}};
    if (is_returned)
        method = (union method){.basic_nack = {METHOD_BASIC_NACK, tag, multiple, true}};
    if (multiple) {
        count = at + 1;
        at = 0;
    }
    socket_send(socket, &method);
    for (size_t i = at; i < at + count; i++)
        socket_answered(socket, client->held[i], is_returned);
    client->held_count -= count;
    memmove(client->held + at, client->held + at + count, (client->held_count - at) * sizeof(*client->held));
}

static void hold(struct client *client, uint64_t tag)
{
    client->held = mem_grow(client->held, &client->held_capacity, client->held_count + 1, sizeof(*client->held));
    client->held[client->held_count++] = tag;
    client->heard_ms = client->run->bench.now_ms;
}

static void act_as_worker(struct client *client)
{
    struct run *run = client->run;
    if (client->publishes && !run->is_stopping && client->socket->unconfirmed < WINDOW &&
        run_chance(run, run->publish_every_ms))
        publish(client);
    if (client->held_count && (run->is_draining || run_chance(run, run->answer_every_ms)))
        answer(client);
}

static void act_as_tx(struct client *client)
{
    struct run *run = client->run;
    union method commit = {.id = METHOD_TX_COMMIT};
    if (client->is_committing || client->socket->due_count)
        return;
    if (!client->tx && !run->is_stopping && run_chance(run, 2 * run->publish_every_ms))
        client->tx = truth_tx(&run->truth);
    if (!client->tx)
        return;
    if (!run->truth.txs[client->tx].count ||
        (run->truth.txs[client->tx].count < TX_MAX && !run_chance(run, 3))) {
        publish(client);
        return;
    }
    client->is_committing = run->truth.txs[client->tx].is_sent = true;
    socket_call(client->socket, &commit, (struct due){.method = METHOD_TX_COMMIT_OK, .name = -1, .tx = client->tx});
}

/* ---- names ---- */

/* Each name has one client who changes it. */
static bool owns(const struct client *client, int name)
{
    const struct run *run = client->run;
    uint32_t owner = 2, count = 0;
    for (uint32_t i = 2; i < run->clients; i++)
        if (run->client[i].role == ROLE_NAMER && (uint32_t)name >= count++)
            owner = i;
    return owner == client->number;
}

static void look(struct client *client, int name)
{
    char text[16];
    name_text(name, text);
    declare(client->socket, bytes_str(text), true,
            (struct due){.name = name,
                         .is_passive = true,
                         .is_owner = owns(client, name),
                         .version = client->run->truth.names[name].version});
}

static void change(struct client *client, int name)
{
    char text[16];
    struct name *it = &client->run->truth.names[name];
    bool is_delete = it->is_there ? !run_chance(client->run, 4) : run_chance(client->run, 4);
    name_text(name, text);
    it->target = !is_delete;
    it->shows = !it->is_unsure && it->target != it->is_there;
    it->is_unsure = true;
    it->version++;
    run_say(client->run, "client %u is to %s name%d, by socket %" PRIu64, client->number, is_delete ? "delete" : "make", name,
            client->socket->serial);
    if (!is_delete) {
        declare(client->socket, bytes_str(text), false, (struct due){.name = name});
        return;
    }
    union method method = {.queue_delete = {.id = METHOD_QUEUE_DELETE, .queue = bytes_str(text)}};
    socket_call(client->socket, &method, (struct due){.method = METHOD_QUEUE_DELETE_OK, .name = name});
}

static void act_as_namer(struct client *client)
{
    struct run *run = client->run;
    int name = (int)run_below(run, NAMES);
    if (client->socket->due_count || client->socket->said_count || run->is_stopping ||
        !run_chance(run, client->every_ms))
        return;
    if (owns(client, name) && run_chance(run, 2))
        change(client, name);
    else
        look(client, name);
}

static void name_is(struct run *run, const struct due *due, bool is_there)
{
    struct name *name = &run->truth.names[due->name];
    run_say(run, "name%d is %s, as a client is told", due->name, is_there ? "there" : "not there");
    if (due->is_passive && !name->is_unsure && name->version == due->version && name->is_there != is_there)
        run_fail(run, "name%d is %s, and somebody is told that it is %s", due->name, name->is_there ? "there" : "not there",
                 is_there ? "there" : "not there");
    if (due->is_passive && is_there)
        run->report->names_found++;
    else if (due->is_passive)
        run->report->names_missed++;
    else
        run->report->names_changed++;
    bool shows = name->is_unsure && name->shows && name->target == is_there && name->version == due->version;
    if (due->is_passive && !due->is_owner && !shows)
        return;
    name->is_there = is_there;
    name->is_unsure = false;
    name->version++;
}

void work_replied(struct run *run, struct socket *socket, const struct due *due, const union method *method)
{
    if (due->tx)
        truth_committed(run, socket, due->tx);
    if (due->name >= 0)
        name_is(run, due, method->id == METHOD_QUEUE_DECLARE_OK);
}

void work_lost(struct run *run, const struct due *due)
{
    if (due->name < 0 || due->is_passive)
        return;
    run_say(run, "whether name%d was changed is not known", due->name);
    run->truth.names[due->name].version++;
    run->report->unsure++;
}

/* ---- all ---- */

static void act_as_drain(struct client *client)
{
    struct run *run = client->run;
    if (client->held_count)
        answer(client);
    if (client->socket->due_count || client->socket->said_count || run->bench.now_ms < client->heard_ms + QUIET_MS)
        return;
    if (client->has_looked && !client->left) {
        client->state = CLIENT_DONE;
        return;
    }
    client->left = 0;
    client->has_looked = true;
    client->heard_ms = run->bench.now_ms;
    for (int i = 0; i < QUEUES; i++)
        declare(client->socket, bytes_str(queue_name_of(i)), true, (struct due){.name = -1});
}

void work_act(struct client *client)
{
    struct run *run = client->run;
    switch (client->role) {
    case ROLE_WORKER:
        act_as_worker(client);
        break;
    case ROLE_TX:
        act_as_tx(client);
        break;
    case ROLE_NAMER:
        act_as_namer(client);
        break;
    default:
        act_as_drain(client);
    }
    if (client->role != ROLE_DRAIN && !run->is_stopping && run_chance(run, LEAVES_EVERY))
        client_give_up(client);
}

void work_hear(struct client *client, const struct said *said)
{
    union method ok = {.id = METHOD_CHANNEL_CLOSE_OK};
    switch (said->method) {
    case METHOD_BASIC_DELIVER:
        hold(client, said->tag);
        break;
    case METHOD_TX_COMMIT_OK:
        client->tx = 0;
        client->is_committing = false;
        break;
    case METHOD_CHANNEL_CLOSE:
        socket_send(client->socket, &ok);
        call_id(client->socket, METHOD_CHANNEL_OPEN, METHOD_CHANNEL_OPEN_OK);
        break;
    case METHOD_QUEUE_DECLARE_OK:
        client->left += (uint32_t)said->number;
        break;
    default:
        break;
    }
}
