/* See agreed.h. */
#include "session/agreed.h"

#include "cluster/lane.h"
#include "session/wait.h"

/* Not a log: see below. */
enum { LOG_RIGHT = WAIT_LOGS - 1 };

static struct ticket present(const void *log)
{
    const struct lane *lane = log;
    return (struct ticket){.log = lane_wait(lane), .index = lane_decided(lane)};
}

static enum ticket_state state(const void *log, struct ticket ticket)
{
    const struct lane *lane = log;
    if (lane_broken(lane))
        return TICKET_FAILED;
    return lane_done(lane) >= ticket.index ? TICKET_DURABLE : TICKET_PENDING;
}

static struct ticket names(const void *log)
{
    const struct lane *lane = log;
    return (struct ticket){.log = lane_wait(lane), .index = lane_names_decided(lane)};
}

/* What is decided is proposed in the same turn, and synced as soon as possible. */
static void want(void *log, struct ticket ticket)
{
    (void)log;
    (void)ticket;
}

static bool is_congested(const void *log)
{
    return lane_is_congested(log);
}

/* ---- looking things up ---- */

/* An answer that changes nothing waits, too: it is given while nobody else can lead, so that who has been deposed,
 * and does not know it yet, says nothing of what there was; and when the names that it rests on are agreed on, as they
 * may have been changed by somebody who has had no answer yet. */
static struct ticket nothing(const void *log)
{
    (void)log;
    return (struct ticket){.log = LOG_RIGHT};
}

static struct ticket right(const void *log)
{
    (void)log;
    return (struct ticket){.log = LOG_RIGHT, .index = 1};
}

static enum ticket_state right_state(const void *log, struct ticket ticket)
{
    (void)ticket;
    if (lanes_broken(log))
        return TICKET_FAILED;
    return lanes_may_answer(log) ? TICKET_DURABLE : TICKET_PENDING;
}

static bool never(const void *log)
{
    (void)log;
    return false;
}

/* ---- turns ---- */

static bool turn(void *context, uint64_t now_ms, uint64_t clock_ms)
{
    return lanes_turn(context, now_ms, clock_ms);
}

static uint64_t next_ms(const void *context)
{
    return lanes_next_ms(context);
}

static bool may_deliver(const void *context, uint64_t now_ms)
{
    return lanes_may_deliver(context, now_ms);
}

static const char *failure(const void *context)
{
    return lanes_broken(context);
}

void agreed_begin(struct server *server, struct lanes *lanes)
{
    size_t at = 0;
    struct lane *lane;
    server_set_groups(server, &(struct server_groups){.context = lanes,
                                                      .turn = turn,
                                                      .next_ms = next_ms,
                                                      .may_deliver = may_deliver,
                                                      .failure = failure});
    server_add_log(server, LOG_RIGHT,
                   &(struct wait_log){.log = lanes,
                                      .present = nothing,
                                      .state = right_state,
                                      .want = want,
                                      .is_congested = never,
                                      .names = right,
                                      .lookups = right});
    while ((lane = lanes_next(lanes, &at)))
        server_add_log(server, lane_wait(lane),
                       &(struct wait_log){.log = lane,
                                          .present = present,
                                          .state = state,
                                          .want = want,
                                          .is_congested = is_congested,
                                          .names = names,
                                          .lookups = names});
}
