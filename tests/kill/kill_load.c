/* Kills a broker again and again while it works, and checks that it keeps its promises:
 *
 *     kill_load --daemon PROGRAM --data-dir DIR --log FILE [OPTION]... [-- BROKER-OPTION...]
 *
 * A round is one life of the broker. Publishers (with confirms, or transactions), consumers (acking
 * at once, in bulk, never, giving back, dying) and those that do both load it for a random time;
 * then it is killed, most often, or told to stop. Some lives end while the broker is still
 * starting. What sockets still hold after the kill is read: a confirm that was sent is a promise.
 * Every few rounds a life begins with a drain, which takes everything from all queues and settles
 * what was owed. model.c has the rules.
 *
 * With --power COMMAND a kill is a power cut: the broker is stopped, `COMMAND cut` keeps what its
 * disk has at that moment, the broker is killed, and `COMMAND restore` puts back what was kept.
 *
 * Prints a line for each broken promise ("violation KIND round=N ..."), and at the end lines
 * "figure NAME=VALUE". Ends after the first round with a broken promise. The exit status is 0: none
 * was broken; 1: one was; 2: it could not run. Equal seeds give equal messages and rounds of equal
 * kinds; when exactly the kill strikes, the machine decides. */
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "client.h"
#include "daemon.h"

enum {
    CLIENTS = 13,
    DRAINER = PUBLISHERS - 1, /* its publisher's number */
    READY_MS = 30000,         /* for a start */
    SETTLE_MS = 20000,        /* for a reply */
    DRAIN_MS = 120000,
    STOP_MS = 20000,
    REPORT_MS = 400,
    AFTERMATH_MS = 5000, /* for sockets to end after the kill */
    LOAD_MS_MIN = 20,
    LOAD_MS_LONG = 20000,                  /* for --load-messages on a machine that is busy */
    DROP_UNTIL = PUBLISHERS - 2 * CLIENTS, /* so many publishers: then a drain has to come */
    DRAIN_AT = PUBLISHERS / 2,
    STARVED_FACTOR = 20, /* so many times as long it may take on a busy machine */
};

struct plan {
    const char *program, *data_dir, *log;
    const char *power; /* NULL: a kill is a kill */
    uint32_t rounds;
    uint64_t seed;
    uint32_t load_ms_max;
    uint32_t load_messages_max; /* a round lasts until a random number below has been published */
    uint32_t drain_every;       /* rounds, on average */
    bool is_bulky;
};

struct world {
    struct plan plan;
    struct daemon daemon;
    struct model model;
    struct random random;
    struct client clients[CLIENTS];
    struct habits habits[CLIENTS]; /* of this round */
    bool is_ending;                /* connections may end by themselves */
    uint32_t until_drain;
    uint32_t next_publisher; /* the first number that is free */
};

static uint64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* How long something takes, without the time in which the broker, or who waits for it, had no
 * processor: on a busy machine that is no broken promise. */
struct patience {
    uint64_t began_ms, starved_ms, limit_ms;
};

static struct patience patience_for(const struct world *world, uint64_t limit_ms)
{
    return (struct patience){clock_ms(), daemon_starved_ms(&world->daemon), limit_ms};
}

/* A part of the time counts at least, so that each wait ends; what starved is asked for only when
 * it could be over. */
static bool is_over(const struct world *world, const struct patience *patience)
{
    uint64_t passed_ms = clock_ms() - patience->began_ms;
    if (passed_ms < patience->limit_ms)
        return false;
    uint64_t starved_ms = daemon_starved_ms(&world->daemon); /* less when a thread has ended */
    starved_ms = starved_ms > patience->starved_ms ? starved_ms - patience->starved_ms : 0;
    return passed_ms / STARVED_FACTOR >= patience->limit_ms ||
           passed_ms >= patience->limit_ms + starved_ms;
}

static uint64_t draw(struct world *world, uint64_t limit)
{
    return random_below(&world->random, limit);
}

static bool is_broken(const struct world *world)
{
    return world->model.violations > 0;
}

/* ---- sockets ---- */

static void client_lost(struct world *world, struct client *client)
{
    if (!world->is_ending)
        model_violate(&world->model, "closed", "the broker closed a connection: %s; log: %s",
                      client->said, world->daemon.last);
    client_drop(client);
}

static void act(struct world *world, struct client *client, short events)
{
    if (client->fd >= 0 && events & (POLLIN | POLLHUP | POLLERR) && !client_read(client))
        client_lost(world, client);
    if (client->fd >= 0 && !client_write(client))
        client_lost(world, client);
}

/* Waits for the sockets for a moment, and does what they are ready for. False: the broker is gone.
 */
static bool pump(struct world *world, int wait_ms)
{
    struct pollfd fds[CLIENTS + 1];
    for (size_t i = 0; i < CLIENTS; i++) {
        const struct client *client = &world->clients[i];
        short events = client->out.size && !client->is_muted ? POLLIN | POLLOUT : POLLIN;
        fds[i] = (struct pollfd){.fd = client->fd, .events = events};
    }
    fds[CLIENTS] = (struct pollfd){.fd = world->daemon.output, .events = POLLIN};
    poll(fds, CLIENTS + 1, wait_ms);
    for (size_t i = 0; i < CLIENTS; i++)
        if (fds[i].fd >= 0)
            act(world, &world->clients[i], fds[i].revents);
    return !fds[CLIENTS].revents || daemon_read(&world->daemon);
}

static bool open_client(struct world *world, size_t i)
{
    struct client *client = &world->clients[i];
    struct habits *habits = &world->habits[i];
    if (habits->publishing != PUBLISH_NOT && habits->publisher != DRAINER)
        habits->publisher = world->next_publisher++;
    if (client_open(client, &world->model, &world->random, habits, world->daemon.port))
        return true;
    client->fd = -1;
    model_violate(&world->model, "closed", "the broker takes no connection");
    return false;
}

static void drop_all(struct world *world)
{
    for (size_t i = 0; i < CLIENTS; i++)
        client_drop(&world->clients[i]);
}

/* Until a client has all its replies. */
static bool await_replies(struct world *world, struct client *client)
{
    struct patience patience = patience_for(world, SETTLE_MS);
    while (client->fd >= 0 && client->awaited && !is_over(world, &patience))
        if (!pump(world, 10))
            break;
    if (client->fd >= 0 && !client->awaited)
        return true;
    model_violate(&world->model, "stuck", "no reply; log: %s", world->daemon.last);
    return false;
}

/* ---- the drain ---- */

/* Takes messages until the broker says that there are no more. */
static bool empty_queues(struct world *world, struct client *client)
{
    struct patience patience = patience_for(world, DRAIN_MS);
    while (client->fd >= 0 && !is_over(world, &patience) && !is_broken(world)) {
        uint64_t before = client->deliveries;
        client_ack_all(client);
        client_count(client);
        if (!await_replies(world, client))
            return false;
        if (client->ready_count == 0 && client->deliveries == before && client->held_count == 0)
            return true;
        while (client->fd >= 0 && client->held_count < client->habits.ack_every / 2 &&
               client->deliveries == before)
            if (!pump(world, 2))
                break;
            else
                before--;
    }
    if (!is_broken(world))
        model_violate(&world->model, "stuck", "the drain does not end: %llu are ready; log: %s",
                      (unsigned long long)client->ready_count, world->daemon.last);
    return false;
}

/* Acks are known to be durable when a message that was published after them is confirmed; the deep
 * queue has no consumer who could take it before it is written. */
static bool make_acks_durable(struct world *world, struct client *client)
{
    struct route route = {.count = 0};
    struct patience patience = patience_for(world, SETTLE_MS);
    while (route.queues[0] != QUEUE_DEEP) {
        struct message_id id = {DRAINER, world->model.publishers[DRAINER].next};
        message_route(&world->model.campaign, id, &route);
        client_publish_one(client);
    }
    while (client->confirmed < client->published && !is_over(world, &patience) && client->fd >= 0)
        pump(world, 10);
    if (client->confirmed == client->published)
        return true;
    model_violate(&world->model, "stuck", "no confirm; log: %s", world->daemon.last);
    return false;
}

/* The deep queue comes last: meanwhile every file is mostly dead, and only its few messages keep
 * them, so that there is something to compact. */
static void drain(struct world *world)
{
    struct client *client = &world->clients[0];
    world->habits[0] = (struct habits){
        .publishing = PUBLISH_CONFIRMED,
        .publisher = DRAINER,
        .queues = ((1 << QUEUES) - 1) & ~(1 << QUEUE_DEEP),
        .is_strict = true,
        .prefetch = 1000,
        .ack_every = 200,
    };
    if (!open_client(world, 0) || !await_replies(world, client) || !empty_queues(world, client))
        return;
    client->habits.queues |= 1 << QUEUE_DEEP;
    client_consume(client, QUEUE_DEEP);
    if (!await_replies(world, client) || !empty_queues(world, client))
        return;
    client_stop_consuming(client);
    if (!await_replies(world, client))
        return;
    model_drained(&world->model);
    world->next_publisher = 0;
    make_acks_durable(world, client);
}

/* ---- the load ---- */

static struct habits publisher_habits(struct world *world, enum publishing publishing)
{
    return (struct habits){
        .publishing = publishing,
        .window = 1 + (uint32_t)draw(world, draw(world, 2) ? 16 : 400),
    };
}

static struct habits consumer_habits(struct world *world, uint8_t queues)
{
    struct habits habits = {.queues = queues};
    if (draw(world, 2)) {
        habits.publishing = PUBLISH_CONFIRMED;
        habits.window = 1 + (uint32_t)draw(world, 40);
    }
    habits.prefetch = (uint16_t)(1 + draw(world, draw(world, 2) ? 8 : 300));
    if (draw(world, 10) > 0)
        habits.ack_every = 1 + (uint32_t)draw(world, habits.prefetch);
    if (draw(world, 3) == 0)
        habits.requeue_share = 20;
    return habits;
}

/* Publishers; consumers of queues, two for some; one with auto-acks in most rounds. */
static void choose_habits(struct world *world)
{
    static const uint8_t consumed[] = {
        1 << QUEUE_A, 1 << QUEUE_B, 1 << QUEUE_C,
        1 << QUEUE_D, 1 << QUEUE_A, 1 << QUEUE_C | 1 << QUEUE_B,
    };
    uint32_t i = 0;
    memset(world->habits, 0, sizeof(world->habits));
    for (; i < 5; i++)
        if (i < 2 || draw(world, 4) > 0)
            world->habits[i] =
                publisher_habits(world, i == 3 ? PUBLISH_COMMITTED : PUBLISH_CONFIRMED);
    for (size_t j = 0; j < sizeof(consumed); j++, i++)
        if (draw(world, 4) > 0)
            world->habits[i] = consumer_habits(world, consumed[j]);
    if (draw(world, 10) < 7) {
        world->habits[i] = (struct habits){.queues = 1 << QUEUE_AUTO, .no_ack = true};
        world->model.auto_round = world->model.round;
    }
}

static bool is_used(const struct habits *habits)
{
    return habits->publishing != PUBLISH_NOT || habits->queues;
}

/* Now and then a client dies, and comes again. */
static void drop_some(struct world *world)
{
    size_t i = draw(world, CLIENTS);
    if (world->clients[i].fd < 0 || draw(world, 150) > 0 || world->next_publisher >= DROP_UNTIL)
        return;
    client_drop(&world->clients[i]);
    world->model.figures.drops++;
    open_client(world, i);
}

static void work(struct world *world, uint64_t end_ms, const bool *enough)
{
    while (clock_ms() < end_ms && !(enough && *enough) && !is_broken(world)) {
        for (size_t i = 0; i < CLIENTS; i++)
            if (world->clients[i].fd >= 0)
                client_publish(&world->clients[i]);
        if (!pump(world, 1)) {
            model_violate(&world->model, "died", "the broker ended by itself; log: %s",
                          world->daemon.last);
            return;
        }
        drop_some(world);
    }
}

static void load(struct world *world)
{
    uint64_t load_ms = LOAD_MS_MIN + draw(world, world->plan.load_ms_max - LOAD_MS_MIN + 1);
    choose_habits(world);
    for (size_t i = 0; i < CLIENTS; i++)
        if (is_used(&world->habits[i]) && !open_client(world, i))
            return;
    uint64_t long_ms = clock_ms() + LOAD_MS_LONG;
    uint64_t enough =
        world->model.figures.published + draw(world, world->plan.load_messages_max + 1);
    work(world, clock_ms() + load_ms, NULL);
    while (world->model.figures.published < enough && clock_ms() < long_ms && !is_broken(world))
        work(world, clock_ms() + LOAD_MS_MIN, NULL);
    if (is_broken(world))
        return;
    kill(world->daemon.pid, SIGUSR1);
    work(world, clock_ms() + REPORT_MS, &world->daemon.has_reported);
    work(world, clock_ms() + draw(world, 15), NULL);
}

/* ---- ends of a life ---- */

/* What the broker sent before it died is still in the sockets. */
static void read_the_rest(struct world *world)
{
    uint64_t end_ms = clock_ms() + AFTERMATH_MS;
    for (size_t i = 0; i < CLIENTS; i++)
        world->clients[i].is_muted = true;
    for (size_t i = 0; i < CLIENTS; i++)
        while (world->clients[i].fd >= 0 && clock_ms() < end_ms) {
            struct pollfd fd = {.fd = world->clients[i].fd, .events = POLLIN};
            poll(&fd, 1, 100);
            act(world, &world->clients[i], fd.revents);
        }
}

static void power(struct world *world, const char *what)
{
    char command[4096];
    if (!world->plan.power)
        return;
    snprintf(command, sizeof(command), "%s %s", world->plan.power, what);
    if (system(command) != 0) {
        fprintf(stderr, "kill_load: failed: %s\n", command);
        exit(2);
    }
}

/* It does nothing more, and what it had sent by now is all that was promised. */
static void cut_power(struct world *world)
{
    if (!world->plan.power || !world->daemon.pid)
        return;
    daemon_freeze(&world->daemon);
    power(world, "cut");
}

static void end_by_kill(struct world *world)
{
    world->is_ending = true;
    cut_power(world);
    daemon_kill(&world->daemon);
    read_the_rest(world);
    power(world, "restore");
    world->model.figures.kills++;
}

static void end_by_stop(struct world *world)
{
    world->is_ending = true;
    kill(world->daemon.pid, SIGTERM);
    struct patience patience = patience_for(world, STOP_MS);
    while (!is_over(world, &patience) && pump(world, 1))
        for (size_t i = 0; i < CLIENTS; i++)
            if (world->clients[i].fd >= 0)
                client_publish(&world->clients[i]);
    int status = daemon_wait(&world->daemon, STOP_MS);
    if (status != 0)
        model_violate(&world->model, "stop", "status %d after SIGTERM; log: %s", status,
                      world->daemon.last);
    daemon_kill(&world->daemon);
    power(world, "cut");
    read_the_rest(world);
    power(world, "restore");
    world->model.figures.stops++;
}

/* ---- beginnings ---- */

/* Ended before it was ready, without being told to. */
static void refused(struct world *world)
{
    int status = daemon_wait(&world->daemon, STOP_MS);
    model_violate(&world->model, "start", "status %d: %s", status, world->daemon.last);
}

static bool start(struct world *world)
{
    daemon_start(&world->daemon);
    struct patience patience = patience_for(world, READY_MS);
    while (!world->daemon.is_ready && !is_over(world, &patience))
        if (!pump(world, 100)) {
            refused(world);
            return false;
        }
    if (!world->daemon.is_ready)
        model_violate(&world->model, "start", "not ready after %d ms", READY_MS);
    return world->daemon.is_ready;
}

/* A life that ends while the broker reads what the last one left. */
static void start_and_kill(struct world *world)
{
    daemon_start(&world->daemon);
    uint64_t end_us = draw(world, draw(world, 2) ? 4000 : 40000);
    nanosleep(&(struct timespec){.tv_nsec = (long)end_us * 1000}, NULL);
    if (!daemon_read(&world->daemon)) {
        refused(world);
        return;
    }
    cut_power(world);
    daemon_kill(&world->daemon);
    power(world, "restore");
    world->model.figures.start_kills++;
}

static bool prepare(struct world *world)
{
    struct client *client = &world->clients[0];
    world->habits[0] = (struct habits){.queues = 0};
    if (!open_client(world, 0))
        return false;
    client_declare(client);
    if (!await_replies(world, client))
        return false;
    client_drop(client);
    return true;
}

static void round_begin(struct world *world)
{
    world->model.round++;
    world->is_ending = false;
    while (draw(world, 6) == 0 && !is_broken(world))
        start_and_kill(world);
}

static bool drain_is_due(struct world *world)
{
    if (world->until_drain > 0 && world->next_publisher < DRAIN_AT) {
        world->until_drain--;
        return false;
    }
    world->until_drain = (uint32_t)draw(world, 2 * world->plan.drain_every);
    return true;
}

static void live_round(struct world *world)
{
    round_begin(world);
    if (is_broken(world) || !start(world) || !prepare(world))
        return;
    if (drain_is_due(world)) {
        drain(world);
        client_drop(&world->clients[0]);
    }
    if (is_broken(world))
        return;
    load(world);
    if (is_broken(world))
        return;
    if (draw(world, 12) == 0)
        end_by_stop(world);
    else
        end_by_kill(world);
    drop_all(world);
}

/* All that is owed, once more, and an end in good order. */
static void last_round(struct world *world)
{
    round_begin(world);
    if (is_broken(world) || !start(world) || !prepare(world))
        return;
    drain(world);
    drop_all(world);
    if (!is_broken(world))
        end_by_stop(world);
}

/* ---- the program ---- */

static void print_figures(const struct world *world)
{
    const struct figures *f = &world->model.figures;
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        {"rounds", world->model.round},
        {"kills", f->kills},
        {"start_kills", f->start_kills},
        {"stops", f->stops},
        {"drains", f->drains},
        {"published", f->published},
        {"confirms", f->confirms},
        {"late_confirms", f->late_confirms},
        {"commits", f->commits},
        {"delivered", f->delivered},
        {"redelivered", f->redelivered},
        {"acks", f->acks},
        {"acks_proved", f->acks_proved},
        {"requeues", f->requeues},
        {"drops", f->drops},
        {"verified", f->verified},
        {"unconfirmed_kept", f->unconfirmed_kept},
        {"auto_acked_unseen", f->excused},
        {"violations", world->model.violations},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        printf("figure %s=%llu\n", rows[i].name, (unsigned long long)rows[i].value);
    for (size_t i = 0; i < COUNTERS; i++)
        printf("figure %s=%llu\n", counter_names[i], (unsigned long long)world->daemon.counters[i]);
}

static void read_options(struct plan *plan, int count, char **arguments)
{
    static const struct option options[] = {
        {"daemon", required_argument, NULL, 'p'},
        {"data-dir", required_argument, NULL, 'd'},
        {"log", required_argument, NULL, 'l'},
        {"rounds", required_argument, NULL, 'r'},
        {"seed", required_argument, NULL, 's'},
        {"load-ms", required_argument, NULL, 'm'},
        {"load-messages", required_argument, NULL, 'n'},
        {"drain-every", required_argument, NULL, 'e'},
        {"bulky", no_argument, NULL, 'b'},
        {"power", required_argument, NULL, 'c'},
        {NULL, 0, NULL, 0},
    };
    *plan = (struct plan){.rounds = 10, .seed = 1, .load_ms_max = 700, .drain_every = 5};
    for (int option; (option = getopt_long(count, arguments, "", options, NULL)) != -1;)
        switch (option) {
        case 'p':
            plan->program = optarg;
            break;
        case 'd':
            plan->data_dir = optarg;
            break;
        case 'l':
            plan->log = optarg;
            break;
        case 'r':
            plan->rounds = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 's':
            plan->seed = strtoull(optarg, NULL, 10);
            break;
        case 'm':
            plan->load_ms_max = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 'n':
            plan->load_messages_max = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 'e':
            plan->drain_every = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 'b':
            plan->is_bulky = true;
            break;
        case 'c':
            plan->power = optarg;
            break;
        default:
            exit(2);
        }
    if (!plan->program || !plan->data_dir || !plan->log || plan->load_ms_max < LOAD_MS_MIN ||
        plan->drain_every == 0) {
        fprintf(stderr, "kill_load: --daemon, --data-dir and --log are needed\n");
        exit(2);
    }
}

/* The broker's command line: ours, and what follows "--". */
static char **make_command(const struct plan *plan, int count, char **arguments)
{
    const char *const own[] = {plan->program, "--data-dir",       plan->data_dir,
                               "--listen",    "127.0.0.1:0",      "--management",
                               "none",        "--control-socket", "none"};
    size_t own_count = sizeof(own) / sizeof(own[0]);
    char **command = mem_zalloc_array(own_count + (size_t)count + 1, sizeof(*command));
    for (size_t i = 0; i < own_count; i++)
        command[i] = mem_dup(own[i], strlen(own[i]) + 1);
    for (int i = 0; i < count; i++)
        command[own_count + (size_t)i] = mem_dup(arguments[i], strlen(arguments[i]) + 1);
    return command;
}

int main(int count, char **arguments)
{
    static struct world world; /* too large for a stack */
    read_options(&world.plan, count, arguments);
    world.daemon.command = make_command(&world.plan, count - optind, arguments + optind);
    world.daemon.log = fopen(world.plan.log, "w");
    if (!world.daemon.log) {
        perror(world.plan.log);
        return 2;
    }
    struct campaign campaign = {world.plan.seed, world.plan.is_bulky};
    model_init(&world.model, &campaign);
    random_init(&world.random, world.plan.seed);
    world.until_drain = world.plan.drain_every;
    for (size_t i = 0; i < CLIENTS; i++)
        world.clients[i].fd = -1;
    for (uint32_t i = 1; i < world.plan.rounds && !is_broken(&world); i++)
        live_round(&world);
    if (!is_broken(&world))
        last_round(&world);
    daemon_kill(&world.daemon);
    drop_all(&world);
    print_figures(&world);
    fclose(world.daemon.log);
    for (char *const *at = world.daemon.command; *at; at++)
        mem_free(*at);
    mem_free((void *)world.daemon.command);
    model_free(&world.model);
    return is_broken(&world) ? 1 : 0;
}
