/* What the operator of all does by the API, whatever the clients are doing: he closes connections,
 * and takes copies of the store, and changes what a stranger may do, and how much may be published. */
#include <inttypes.h>
#include <stdio.h>

#include "session/look.h"
#include "tests/sim/sim.h"

enum { PATH_SIZE = 500 };
/* Of quotas in a second: what clients have sent comes in before they are thought to be stuck. */
enum { RATE_LEAST = 200, BYTES_LEAST = 6000 };

static struct admin *admin_of(struct sim *sim)
{
    return &sim->admins[CLIENTS];
}

static void schedule(struct sim *sim)
{
    sim_at(sim, EVENT_CHORE, 0, 0, 1000 + sim_below(sim, sim->dials.chore_us * 2), 0);
}

void chores_begin(struct sim *sim)
{
    sim->chores.closing = -1;
    schedule(sim);
}

/* ---- closing a connection ---- */

static void close_connection(struct sim *sim)
{
    int number = (int)sim_below(sim, (uint64_t)sim->clients_count);
    struct client *client = &sim->clients[number];
    struct peer peer = client_peer(client);
    char name[CLIENT_NAME_SIZE], encoded[PATH_SIZE], path[PATH_SIZE + 16];
    if (!client->connection || client->state != CLIENT_READY || client->is_orphaned)
        return;
    client_name(&peer, 0, name);
    admin_encode(name, encoded, sizeof(encoded));
    snprintf(path, sizeof(path), "connections/%s", encoded);
    sim->chores.closing = number;
    sim->chores.closing_epoch = client->epoch;
    client->is_to_close = true;
    admin_ask(admin_of(sim), "DELETE", path, "");
}

/* What it has not acknowledged is back in its queues from the moment on in which it is closed, and so is what it has
 * acknowledged and was not read, also where it has asked for the end itself meanwhile. */
static void look_for_closed(struct machine *machine)
{
    struct sim *sim = machine->sim;
    struct connection_view view;
    if (sim->chores.closing < 0)
        return;
    struct client *client = &sim->clients[sim->chores.closing];
    if (client->epoch == sim->chores.closing_epoch && !machine_connection(client, &view))
        client_closed(client);
}

static void closed(struct sim *sim, int status)
{
    struct client *client = &sim->clients[sim->chores.closing];
    bool is_same = client->epoch == sim->chores.closing_epoch && client->connection;
    sim->chores.closing = -1;
    if (status != 204 && status != 404)
        sim_fail(sim, "the operator is answered %d when he closes a connection", status);
    if (is_same && !client->is_orphaned && client->state == CLIENT_READY)
        sim_fail(sim, "client %d is connected, though it was closed with %d", client->number,
                 status);
    sim->report->met[MET_CLOSED_BY_OPERATOR] += status == 204;
}

/* ---- a copy of the store ---- */

static void copy_store(struct sim *sim)
{
    sim->chores.is_copying = true;
    admin_ask(admin_of(sim), "POST", "backup", "{\"directory\":\"/copy\"}");
}

static void copied(struct sim *sim, int status)
{
    struct machine *machine = admin_of(sim)->machine;
    sim->chores.is_copying = false;
    if (status == 200 && machine->copy)
        copy_check(machine);
    else if (status != 200 && status != 500)
        sim_fail(sim, "the operator is answered %d when he copies the store", status);
    copy_free(machine);
}

/* ---- quotas: rates alone, as who has to wait for a consumer that waits himself waits for ever ---- */

static void set_quota(struct sim *sim)
{
    static const char *const names[] = {"max-publish-rate", "max-publish-bytes-rate"};
    struct chores *chores = &sim->chores;
    bool of_bytes = sim_chance(sim, 2), is_set = !sim_chance(sim, 3);
    char path[PATH_SIZE], body[PATH_SIZE];
    uint64_t bytes_least = sim->dials.body_max > BYTES_LEAST ? sim->dials.body_max : BYTES_LEAST;
    uint64_t least = of_bytes ? bytes_least : RATE_LEAST;
    chores->limits_bytes = of_bytes;
    chores->limits_user = !sim_chance(sim, 2);
    snprintf(path, sizeof(path), "%s/%s", chores->limits_user ? "user-limits/guest" : "vhost-limits/%2F",
             names[of_bytes]);
    chores->limit = least + sim_below(sim, least * 3);
    snprintf(body, sizeof(body), "{\"value\":%" PRIu64 "}", chores->limit);
    if (!is_set)
        chores->limit = 0;
    if (!of_bytes)
        chores->quotas[chores->limits_user].is_known = false;
    chores->is_limiting = true;
    admin_ask(admin_of(sim), is_set ? "PUT" : "DELETE", path, is_set ? body : "");
}

static void limited(struct sim *sim, int status)
{
    const struct chores *chores = &sim->chores;
    if (status != 204)
        sim_fail(sim, "the operator is answered %d when he sets a quota", status);
    if (!chores->limits_bytes)
        sim->chores.quotas[chores->limits_user] =
            (struct quota_watch){.is_known = true, .rate = chores->limit};
    sim->report->met[MET_QUOTA_SET]++;
}

/* What may be more than the quota at a moment: what had come in for transactions before, and what had begun. */
static int64_t beyond_quota(const struct sim *sim)
{
    return (int64_t)(41 * sim->dials.solos) + (int64_t)sim->clients_count * CHANNELS * 12;
}

/* What is published takes out of a bucket that holds a second's, and fills evenly. */
static void check_quota(struct machine *machine, struct quota_watch *watch, const char *of)
{
    enum { PARTS = 1000 };
    struct sim *sim = machine->sim;
    uint64_t now_ms = sim->now_us / 1000;
    uint64_t published = published_messages(server_published(machine->server));
    int64_t full = (int64_t)(watch->rate * PARTS);
    if (watch->epoch != machine->epoch) {
        *watch = (struct quota_watch){true, watch->rate, full, now_ms, published, machine->epoch};
        return;
    }
    watch->level += (int64_t)(watch->rate * (now_ms - watch->now_ms));
    if (watch->level > full)
        watch->level = full;
    watch->level -= (int64_t)((published - watch->published) * PARTS);
    watch->now_ms = now_ms;
    watch->published = published;
    if (watch->level < -beyond_quota(sim) * PARTS)
        sim_fail(sim, "%s has a quota of %" PRIu64 " messages in a second, and %" PRId64 " more were published",
                 of, watch->rate, -watch->level / PARTS);
}

/* A stranger's messages are not the user's. */
static void check_quotas(struct machine *machine)
{
    struct chores *chores = &machine->sim->chores;
    struct quota_watch *of_vhost = &chores->quotas[false], *of_user = &chores->quotas[true];
    if (of_vhost->is_known && of_vhost->rate)
        check_quota(machine, of_vhost, "the virtual host");
    if (of_user->is_known && of_user->rate && !machine->sim->dials.strangers)
        check_quota(machine, of_user, "the user");
}

void chores_ticked(struct machine *machine)
{
    look_for_closed(machine);
    check_quotas(machine);
}

/* ---- one after the other ---- */

static void look_at_answer(struct sim *sim, const struct admin *admin)
{
    const struct machine *machine = admin->machine;
    bool counts = machine->epoch == sim->chores.machine_epoch && !machine->is_failing;
    int status = admin->state == ADMIN_ANSWERED && counts ? admin->status : 0;
    if (sim->chores.closing >= 0 && status)
        closed(sim, status);
    else if (sim->chores.is_copying && status)
        copied(sim, status);
    else if (sim->chores.is_permitting && status)
        strangers_answered(sim, status);
    else if (sim->chores.is_limiting && status)
        limited(sim, status);
    sim->chores.closing = -1;
    sim->chores.is_copying = sim->chores.is_permitting = sim->chores.is_limiting = false;
}

void chores_act(struct sim *sim)
{
    struct admin *admin = admin_of(sim);
    const struct dials *dials = &sim->dials;
    uint64_t permits = dials->strangers * 2;
    uint64_t copies = sim->options->agrees ? 0 : dials->copies; /* what is read offline lacks the last entries */
    uint64_t sum = dials->closes + copies + dials->quotas + permits;
    schedule(sim);
    if (admin->state == ADMIN_ASKS)
        return;
    look_at_answer(sim, admin);
    admin->state = ADMIN_RESTS;
    if (!sum || !admin->machine->server || admin->machine->is_failing)
        return;
    uint64_t at = sim_below(sim, sum);
    sim->chores.machine_epoch = admin->machine->epoch;
    if (at < dials->closes) {
        close_connection(sim);
    } else if (at < dials->closes + copies) {
        copy_store(sim);
    } else if (at < dials->closes + copies + dials->quotas) {
        set_quota(sim);
    } else {
        sim->chores.is_permitting = true;
        strangers_ask(sim, admin);
    }
}
