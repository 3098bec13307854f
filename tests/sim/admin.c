/* An operator, who asks a broker by its API for what is to be done: one request at a time, each
 * with a conversation of its own, by the way that the system lets him in. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "tests/sim/sim.h"

enum { PARTS = 4, REQUEST_MAX = 2000 };

void admin_init(struct sim *sim, int number)
{
    sim->admins[number] =
        (struct admin){.sim = sim, .machine = &sim->machines[0], .number = number};
}

static void hang_up(struct admin *admin)
{
    if (admin->conversation)
        conversation_free(admin->conversation);
    admin->conversation = NULL;
    buffer_free(&admin->to_broker);
    buffer_free(&admin->answer);
    admin->has_arrived = false;
    admin->epoch++;
}

void admin_drop(struct admin *admin)
{
    hang_up(admin);
    if (admin->state == ADMIN_ASKS)
        admin->state = ADMIN_LOST;
}

void admin_ask(struct admin *admin, const char *method, const char *path, const char *body)
{
    struct sim *sim = admin->sim;
    struct peer peer = {.name = "unix:1", .local = "ctl.sock", .is_unix = true};
    char request[REQUEST_MAX];
    hang_up(admin);
    admin->state = ADMIN_LOST;
    admin->status = 0;
    if (!admin->machine->server)
        return;
    int size = snprintf(request, sizeof(request),
                        "%s /api/%s HTTP/1.1\r\nHost: broker\r\nContent-Length: %zu\r\n\r\n%s",
                        method, path, strlen(body), body);
    sim_say(sim, "operator %d asks: %s %s %s", admin->number, method, path, body);
    admin->state = ADMIN_ASKS;
    admin->conversation = service_accept(admin->machine->management, &peer, admin);
    buffer_add(&admin->to_broker, request, (size_t)size);
    sim_at(sim, EVENT_ASKED, admin->machine->number, admin->number, 10 + sim_below(sim, 3000),
           admin->epoch);
}

void admin_arrived(struct admin *admin)
{
    admin->has_arrived = true;
    machine_wake(admin->machine, admin->sim->now_us);
}

void admin_feed(struct admin *admin)
{
    if (!admin->conversation || !admin->has_arrived)
        return;
    admin->has_arrived = false;
    conversation_input(admin->conversation, buffer_bytes(&admin->to_broker));
}

/* "HTTP/1.1 204 No Content" */
static void read_answer(struct admin *admin)
{
    static const char end[] = "\r\n\r\n";
    struct buffer *answer = &admin->answer;
    buffer_add(answer, "", 1);
    answer->size--;
    if (!strstr((const char *)answer->data, end))
        return;
    admin->status = atoi((const char *)answer->data + 9);
    sim_say(admin->sim, "operator %d is answered: %.*s", admin->number, (int)answer->size,
            (const char *)answer->data);
    admin->state = ADMIN_ANSWERED;
    hang_up(admin);
}

void admin_take(struct admin *admin)
{
    struct iovec parts[PARTS];
    int count;
    while (admin->conversation &&
           (count = conversation_output(admin->conversation, parts, PARTS)) > 0) {
        size_t size = 0;
        for (int i = 0; i < count; i++) {
            buffer_add(&admin->answer, parts[i].iov_base, parts[i].iov_len);
            sim_digest(admin->sim, parts[i].iov_base, parts[i].iov_len);
            size += parts[i].iov_len;
        }
        conversation_sent(admin->conversation, size);
    }
    if (admin->conversation && admin->answer.size)
        read_answer(admin);
    if (admin->conversation && conversation_is_finished(admin->conversation)) {
        sim_fail(admin->sim, "operator %d: the broker hangs up", admin->number);
        admin_drop(admin);
    }
}

void admin_encode(const char *text, char *out, size_t size)
{
    static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
    size_t at = 0;
    for (; *text && at + 4 < size; text++)
        if (strchr(safe, *text))
            out[at++] = *text;
        else
            at += (size_t)snprintf(out + at, size - at, "%%%02X", (unsigned)(unsigned char)*text);
    out[at] = 0;
}
