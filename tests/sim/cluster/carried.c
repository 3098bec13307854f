/* Clients that a broker which follows brings to the one that leads: who serves each of them at what moment, and what they
 * may expect.
 *
 * A client goes on when its leader is gone: what it holds stays its own, and what it has answered stands, if the next
 * leader had delivered nothing yet when it was told. If it had, or where a connection on the way is lost while the leader
 * goes on, another one may have got a message meanwhile: then each of both takes it for his (`is_loose`). */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "session/connection.h"
#include "tests/sim/cluster/brokers.h"

enum { LOSSES_MAX = 4, LITTLE_MS = 100, TELLING_MS = 200, PIPES_MAX = BENCH_PIPES * 2 / 3 };

/* ---- a broker takes one ---- */

static struct run *run_of(struct bench *bench)
{
    return bench->context;
}

static void say_again(struct run *run, struct socket *socket)
{
    for (size_t i = 0; i < socket->published_count; i++) {
        uint64_t number = socket->published[i].number;
        if (!number)
            continue;
        run->truth.messages[number].sent_office = 0; /* whatever comes of it may say that it comes again */
        truth_loosened(run, number);
        run->report->said_again++;
    }
}

static struct conversation *accept_for(struct service *service, const struct peer *peer)
{
    struct node *node = list_entry(service, struct node, front);
    struct run *run = node->run;
    struct service *server = server_service(node->server);
    const char *serial = strchr(peer->name, ':');
    struct socket *socket = socket_of(run, serial ? strtoull(serial + 1, NULL, 10) : 0);
    struct conversation *conversation = server->ops->accept(server, peer);
    if (!socket)
        return conversation;
    run_say(run, "broker %u serves socket %" PRIu64 " of broker %u%s", node->number, socket->serial,
            socket->node->number, peer->is_resumed ? ", which goes on" : "");
    socket->carried = conversation;
    socket->carrier = node;
    socket->is_telling = peer->is_resumed;
    socket->telling_ms = run->bench.now_ms;
    run->report->carried++;
    if (peer->is_resumed)
        say_again(run, socket);
    if (socket->node == node) {
        run->report->resumed_here += peer->is_resumed;
        socket->office = node->office;
        socket->is_stale = false;
        socket->lost_ms = 0;
        socket->pipe = NULL;
    }
    return conversation;
}

struct service *carried_front(struct node *node)
{
    static const struct service_ops ops = {.accept = accept_for};
    service_init(&node->front, &ops);
    return &node->front;
}

/* ---- what is on its way ---- */

static void note_pipe(struct run *run, struct bench_pipe *pipe)
{
    const struct conversation *carried = bench_carried(pipe);
    for (int i = 0; i < SOCKETS && carried && !pipe->whose; i++) {
        const struct socket *socket = &run->sockets[i];
        if (!socket->is_used || socket->carried != carried)
            continue;
        pipe->whose = socket->serial;
        pipe->office = socket->carrier->office;
    }
}

static void comes(struct bench *bench, struct bench_pipe *pipe)
{
    struct run *run = run_of(bench);
    note_pipe(run, pipe);
    struct socket *socket = socket_of(run, pipe->whose);
    if (!socket || socket->pipe == pipe)
        return;
    socket->pipe = pipe;
    socket->lost_ms = 0;
    socket->office = pipe->office;
    socket->is_stale = !pipe->ends[1];
}

/* What was said to a client that is lost goes back to its queue, also what that has not heard of. */
static void return_all(struct run *run)
{
    for (int i = 0; i < QUEUES; i++)
        run->truth.returned_ms[i] = run->bench.now_ms;
}

static void closes(struct bench *bench, struct bench_pipe *pipe, uint32_t end)
{
    struct run *run = run_of(bench);
    note_pipe(run, pipe);
    struct socket *socket = socket_of(run, pipe->whose);
    if (end == 1)
        return_all(run);
    if (!socket)
        return;
    if (end == 1 && socket->carried && socket->carried == bench_carried(pipe)) {
        socket->is_stale = true;
        socket->is_telling = false;
        socket->carried = NULL;
    }
    if (end == 0 && socket->pipe == pipe) {
        socket->pipe = NULL;
        socket->lost_ms = bench->now_ms;
        socket->losses++;
    }
}

void carried_init(struct run *run)
{
    run->bench.comes = comes;
    run->bench.closes = closes;
}

/* ---- what it may expect ---- */

/* It was told before anything was delivered: what it holds and has answered stands. */
static void keep(struct run *run, struct socket *socket)
{
    for (size_t i = 0; i < socket->delivered_count; i++) {
        struct sim_message *message = &run->truth.messages[socket->delivered[i]];
        if (message->holder != socket->serial || message->is_loose)
            continue;
        message->holder_office = socket->carrier->office;
        run->report->kept_holds++;
    }
    run->report->kept_answers += socket->answers_count - socket->settled_to;
}

static void loosen(struct run *run, struct socket *socket)
{
    run->report->late++;
    for (size_t i = 0; i < socket->delivered_count; i++)
        if (run->truth.messages[socket->delivered[i]].holder == socket->serial)
            truth_loosened(run, socket->delivered[i]);
    for (size_t i = socket->settled_to; i < socket->answers_count; i++)
        truth_loosened(run, socket->answers[i]);
}

/* Something is between it and the broker that is told of it. */
static bool is_troubled(const struct socket *socket)
{
    const struct bench *bench = &socket->node->run->bench;
    uint32_t from = socket->node->number, to = socket->carrier->number;
    return bench->now_ms > socket->carrier->turn_ms + 1 || bench->nodes[from].is_paused || bench->bytes_per_step ||
           bench->is_blocked[from][to] || bench->is_blocked[to][from];
}

static void told_all(struct run *run, struct socket *socket)
{
    bool is_late = socket->carrier->has_dispatched;
    run_say(run, "broker %u was told all of socket %" PRIu64 "%s", socket->carrier->number, socket->serial,
            is_late ? ", late" : "");
    socket->is_telling = false;
    run->report->resumed++;
    if (is_late)
        loosen(run, socket);
    else
        keep(run, socket);
}

void carried_look(struct node *node)
{
    struct run *run = node->run;
    uint64_t now_ms = run->bench.now_ms;
    bool begins = !node->has_dispatched && node_may_deliver(node);
    node->has_dispatched |= begins;
    for (int i = 0; i < SOCKETS; i++) {
        struct socket *socket = &run->sockets[i];
        if (!socket->is_used || !socket->is_telling || socket->carrier != node)
            continue;
        if (is_troubled(socket) || socket->due_count || !socket->client) /* what it asks again may have to wait */
            socket->telling_ms = now_ms;
        if (!list_entry(socket->carried, struct connection, conversation)->is_saying_again)
            told_all(run, socket);
        else if (begins && now_ms >= socket->telling_ms + TELLING_MS)
            run_fail(run, "others are given messages before socket %" PRIu64 " can say what it has", socket->serial);
    }
    node->turn_ms = now_ms;
}

bool carried_is_adrift(const struct socket *socket, uint64_t office)
{
    return socket->is_relayed && (socket->is_stale || socket->is_telling || socket->lost_ms || socket->office < office);
}

/* Who makes names does not begin anew before what he has asked for last is done, or never will be. */
bool carried_is_behind(struct run *run, const struct client *client)
{
    size_t used = 0;
    for (size_t i = 0; i < BENCH_PIPES; i++) {
        const struct bench_pipe *pipe = &run->bench.pipes[i];
        used += pipe->is_used;
        if (client->role == ROLE_NAMER && pipe->is_used && pipe->is_relay && !socket_of(run, pipe->whose))
            return true;
    }
    return used > PIPES_MAX;
}

bool carried_may_end(const struct socket *socket)
{
    const struct client *client = socket->client;
    const struct run *run = socket->node->run;
    uint64_t patience_ms = socket->node->server_options.handshake_ms;
    if (!socket->is_relayed)
        return false;
    return !client || client->state == CLIENT_GREETING || client->tx || client->is_committing ||
           socket->losses >= LOSSES_MAX ||
           (socket->lost_ms && run->bench.now_ms + LITTLE_MS >= socket->lost_ms + patience_ms);
}
