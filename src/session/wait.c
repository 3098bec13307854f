/* A wait is made for each channel and promise, not for each message: all publishes of a channel in
 * one turn end with the same batch. It is on its channel's list, and has a part on the list of each log
 * that it waits for. Tickets of a log end in order, so that a turn looks only at the front of each
 * log's list; one that asks for what was decided before may wait a little longer behind the others.
 *
 * Confirms of a channel go out in runs: from the first that is not confirmed yet as far as all are
 * done, in one ack with `multiple`; those that are done behind one that is not, one by one. */
#include "session/wait.h"

#include <assert.h>

#include "base/mem.h"
#include "base/planted.h"
#include "session/channel.h"
#include "session/relayed.h"

/* Confirms that are sent, or that go out with another one. */
enum { CONFIRMS_A_TURN = 20000 };

/* ---- logs ---- */

static struct ticket journal_present(const void *log)
{
    return store_ticket(log);
}

static enum ticket_state journal_state(const void *log, struct ticket ticket)
{
    return store_failure(log) ? TICKET_FAILED : store_ticket_state(log, ticket);
}

static void journal_want(void *log, struct ticket ticket)
{
    store_want(log, ticket);
}

static struct ticket journal_names(const void *log)
{
    return store_names_ticket(log);
}

static bool journal_is_congested(const void *log)
{
    return store_is_congested(log);
}

void wait_init(struct waits *waits, struct store *store)
{
    static const struct wait_log journal = {.present = journal_present,
                                            .state = journal_state,
                                            .want = journal_want,
                                            .is_congested = journal_is_congested,
                                            .names = journal_names};
    *waits = (struct waits){.logs = {[LOG_JOURNAL] = journal}};
    waits->logs[LOG_JOURNAL].log = store;
    for (int i = 0; i < WAIT_LOGS; i++)
        list_init(&waits->parts[i]);
    list_init(&waits->channels);
}

void wait_add_log(struct waits *waits, uint32_t number, const struct wait_log *log)
{
    assert(number < WAIT_LOGS && !waits->logs[number].state);
    waits->logs[number] = *log;
}

uint32_t wait_congested(const struct waits *waits, uint32_t logs)
{
    uint32_t congested = 0;
    for (logs &= (1u << WAIT_LOGS) - 1; logs; logs &= logs - 1) {
        const struct wait_log *log = &waits->logs[__builtin_ctz(logs)];
        if (log->state && log->is_congested(log->log))
            congested |= logs & -logs;
    }
    return congested;
}

static enum ticket_state state_of(const struct waits *waits, struct ticket ticket)
{
    const struct wait_log *log = &waits->logs[ticket.log];
    return log->state(log->log, ticket);
}

/* ---- promises ---- */

/* Nothing is promised about what is durable already. */
static void promise_add(const struct waits *waits, struct promise *promise, struct ticket ticket)
{
    assert(ticket.log < WAIT_LOGS && promise->count < WAIT_LOGS);
    if (ticket.index && state_of(waits, ticket) != TICKET_DURABLE)
        promise->tickets[promise->count++] = ticket;
}

struct promise promise_of_all(const struct waits *waits)
{
    struct promise promise = {.count = 0};
    for (uint32_t i = 0; i < WAIT_LOGS; i++)
        if (waits->logs[i].state)
            promise_add(waits, &promise, waits->logs[i].present(waits->logs[i].log));
    return promise;
}

enum ticket_state promise_state(const struct waits *waits, const struct promise *promise)
{
    enum ticket_state state = TICKET_DURABLE;
    for (uint32_t i = 0; i < promise->count && state != TICKET_FAILED; i++) {
        enum ticket_state its = state_of(waits, promise->tickets[i]);
        state = its == TICKET_DURABLE ? state : its;
    }
    return state;
}

/* Is it for the same as the wait? */
static bool promise_equals(const struct promise *promise, const struct wait *wait)
{
    if (promise->count != wait->count)
        return false;
    for (uint32_t i = 0; i < promise->count; i++)
        if (promise->tickets[i].log != wait->parts[i].ticket.log ||
            promise->tickets[i].index != wait->parts[i].ticket.index)
            return false;
    return true;
}

/* ---- waits ---- */

static struct wait *wait_of(struct list *link)
{
    return link ? list_entry(link, struct wait, channel_link) : NULL;
}

static struct wait *wait_last(const struct list *head)
{
    return list_is_empty(head) ? NULL : wait_of(head->prev);
}

/* Pending until its promise ends; without one it is done. */
static struct wait *wait_new(struct channel *channel, enum wait_kind kind,
                             const struct promise *promise)
{
    struct waits *waits = &channel_server(channel)->waits;
    struct wait *wait = mem_zalloc(sizeof(*wait) + promise->count * sizeof(wait->parts[0]));
    wait->channel = channel;
    wait->kind = kind;
    wait->state = promise->count ? WAIT_PENDING : WAIT_DONE;
    wait->count = wait->pending = promise->count;
    for (uint32_t i = 0; i < promise->count; i++) {
        struct ticket ticket = promise->tickets[i];
        wait->parts[i].wait = wait;
        wait->parts[i].ticket = ticket;
        list_push_back(&waits->parts[ticket.log], &wait->parts[i].log_link);
        waits->logs[ticket.log].want(waits->logs[ticket.log].log, ticket);
    }
    list_push_back(kind == WAIT_REPLIES    ? &channel->waiting_replies
                   : kind == WAIT_CONFIRMS ? &channel->confirms_waiting
                                           : &channel->settles_waiting,
                   &wait->channel_link);
    return wait;
}

static void leave_logs(struct wait *wait)
{
    for (uint32_t i = 0; i < wait->count; i++)
        list_remove(&wait->parts[i].log_link);
}

static void wait_free(struct wait *wait)
{
    leave_logs(wait);
    list_remove(&wait->channel_link);
    buffer_free(&wait->replies);
    mem_free(wait);
}

/* The wait's channel has something to look at in this turn. */
static void call_channel(struct channel *channel)
{
    if (list_is_empty(&channel->confirming_link))
        list_push_back(&channel_server(channel)->waits.channels, &channel->confirming_link);
}

static void hold(struct channel *channel, const struct promise *promise)
{
    const struct wait *last = wait_last(&channel->waiting_replies);
    if (promise->count && !(last && promise_equals(promise, last)))
        wait_new(channel, WAIT_REPLIES, promise);
}

void wait_hold(struct channel *channel, struct ticket ticket)
{
    struct promise promise = {.count = 0};
    promise_add(&channel_server(channel)->waits, &promise, ticket);
    hold(channel, &promise);
}

void wait_hold_all(struct channel *channel)
{
    struct promise promise = promise_of_all(&channel_server(channel)->waits);
    hold(channel, &promise);
}

void wait_hold_names(struct channel *channel)
{
    struct promise promise = {.count = 0};
    const struct waits *waits = &channel_server(channel)->waits;
    for (uint32_t i = 0; i < WAIT_LOGS; i++)
        if (waits->logs[i].names)
            promise_add(waits, &promise, waits->logs[i].names(waits->logs[i].log));
    hold(channel, &promise);
}

void wait_hold_lookup(struct channel *channel)
{
    struct promise promise = {.count = 0};
    const struct waits *waits = &channel_server(channel)->waits;
    for (uint32_t i = 0; i < WAIT_LOGS; i++)
        if (waits->logs[i].state && waits->logs[i].lookups)
            promise_add(waits, &promise, waits->logs[i].lookups(waits->logs[i].log));
    hold(channel, &promise);
}

void wait_follow(struct channel *channel, const struct channel *other)
{
    struct promise promise = {.count = 0};
    const struct wait *wait = wait_last(&other->waiting_replies);
    if (channel == other || !wait)
        return;
    for (uint32_t i = 0; i < wait->count; i++)
        promise_add(&channel_server(channel)->waits, &promise, wait->parts[i].ticket);
    hold(channel, &promise);
}

bool wait_agreed(struct connection *connection, uint32_t log)
{
    struct waits *waits = &connection->server->waits;
    struct ticket *ticket = &connection->looks_at;
    if (ticket->index == 0 || ticket->log != log)
        *ticket = waits->logs[log].present(waits->logs[log].log);
    return ticket->index == 0 || state_of(waits, *ticket) != TICKET_PENDING ||
           planted(PLANTED_AGREE_LOOK_EARLY);
}

uint8_t *wait_room(struct channel *channel, size_t size)
{
    return buffer_room(&wait_last(&channel->waiting_replies)->replies, size);
}

void wait_added(struct channel *channel, size_t size)
{
    assert(!list_is_empty(&channel->waiting_replies));
    buffer_added(&wait_last(&channel->waiting_replies)->replies, size);
    channel->held_bytes += size;
    channel_server(channel)->held_bytes += size;
    if (channel->held_bytes > HELD_REPLIES_MAX)
        connection_hold(channel->connection, HOLD_REPLIES);
}

/* Adds a number to the last wait when it has the same fate, else begins another. */
static void confirm(struct channel *channel, uint64_t number, const struct promise *promise,
                    bool is_refused)
{
    enum wait_state state = is_refused ? WAIT_FAILED : promise->count ? WAIT_PENDING : WAIT_DONE;
    struct wait *last = wait_last(&channel->confirms_waiting);
    assert(!last || number > last->last);
    bool is_next = last && (last->last + 1 == number || planted(PLANTED_CONFIRMS_MERGED));
    if (is_next && last->state == state && promise_equals(promise, last)) {
        last->last = number;
        return;
    }
    struct wait *wait = wait_new(channel, WAIT_CONFIRMS, promise);
    wait->first = wait->last = number;
    wait->state = state;
    if (state != WAIT_PENDING)
        call_channel(channel);
}

void wait_confirm(struct channel *channel, uint64_t number, uint32_t logs)
{
    const struct waits *waits = &channel_server(channel)->waits;
    struct promise promise = {.count = 0};
    if (planted(PLANTED_CONFIRM_EARLY) && number % 1000 == 0)
        logs = 0;
    for (uint32_t i = 0; logs; i++, logs >>= 1) /* what is present is not durable yet */
        if (logs & 1)
            promise.tickets[promise.count++] = waits->logs[i].present(waits->logs[i].log);
    confirm(channel, number, &promise, false);
}

void wait_refuse(struct channel *channel, uint64_t number)
{
    confirm(channel, number, &(struct promise){.count = 0}, true);
}

void wait_settled(struct channel *channel, uint64_t number)
{
    struct promise promise = promise_of_all(&channel_server(channel)->waits);
    struct wait *last = wait_last(&channel->settles_waiting);
    if (planted(PLANTED_SETTLED_EARLY))
        promise.count = 0;
    if (!last || !promise_equals(&promise, last))
        last = wait_new(channel, WAIT_SETTLES, &promise);
    last->last = number;
    if (last->state != WAIT_PENDING)
        call_channel(channel);
}

/* One that has failed is not told, nor is any after it: the store has failed, or the office is lost. */
static void tell_settled(struct channel *channel)
{
    struct wait *wait;
    uint64_t last = 0;
    while ((wait = wait_of(list_first(&channel->settles_waiting))) && wait->state == WAIT_DONE) {
        last = wait->last;
        wait_free(wait);
    }
    if (last)
        relayed_settled(channel, last);
}

static void send_confirm(struct channel *channel, enum wait_state state, uint64_t number,
                         bool multiple)
{
    union method method;
    if (state == WAIT_DONE)
        method.basic_ack = (struct method_basic_ack){METHOD_BASIC_ACK, number, multiple};
    else
        method.basic_nack = (struct method_basic_nack){METHOD_BASIC_NACK, number, multiple, false};
    channel_send(channel, &method);
}

/* So many are sent, or go out with another one. */
static void note_confirms(struct channel *channel, enum wait_state state, uint64_t count)
{
    if (state != WAIT_DONE)
        return;
    channel->tally[TALLY_CONFIRMED] += count;
    channel_server(channel)->published.confirmed += count;
}

/* From the first on, in runs. */
static void send_front(struct channel *channel, unsigned *budget)
{
    struct wait *wait;
    while (*budget && (wait = wait_of(list_first(&channel->confirms_waiting))) &&
           wait->state != WAIT_PENDING) {
        enum wait_state state = wait->state;
        uint64_t first = wait->first, last = wait->last, count = last - first + 1;
        wait_free(wait);
        while (*budget > 1 && (wait = wait_of(list_first(&channel->confirms_waiting))) &&
               wait->state == state) {
            last = wait->last;
            count += last - wait->first + 1;
            wait_free(wait);
            --*budget;
        }
        note_confirms(channel, state, count);
        send_confirm(channel, state, last, first != last);
        --*budget;
    }
}

/* Of one that is behind one that is not done. */
static void send_one_by_one(struct channel *channel, struct wait *wait, unsigned *budget)
{
    for (; *budget && wait->first <= wait->last; wait->first++, --*budget) {
        note_confirms(channel, wait->state, 1);
        send_confirm(channel, wait->state, wait->first, false);
    }
    if (wait->first > wait->last)
        wait_free(wait);
}

/* False: the budget ran out, and there may be more. */
static bool send_confirms(struct channel *channel, unsigned *budget)
{
    send_front(channel, budget);
    list_for_each_safe(link, after, &channel->confirms_waiting) {
        struct wait *wait = wait_of(link);
        if (!*budget)
            return false;
        if (wait->state != WAIT_PENDING)
            send_one_by_one(channel, wait, budget);
    }
    return *budget;
}

/* Replies are lost, and with them maybe the messages that came back: these are not confirmed, either. */
static void refuse_confirms(const struct channel *channel)
{
    list_for_each(link, &channel->confirms_waiting) {
        struct wait *wait = wait_of(link);
        if (wait->state == WAIT_DONE)
            wait->state = WAIT_FAILED;
    }
}

/* Lets the replies of one wait out. */
static void release_replies(struct channel *channel, struct wait *wait)
{
    struct connection *connection = channel->connection;
    struct server *server = connection->server;
    size_t size = wait->replies.size;
    if (size && wait->state == WAIT_DONE) {
        memcpy(output_room(&server->outputs, &connection->output, size), wait->replies.data, size);
        output_added(&connection->output, size);
        connection_touch(connection);
    } else if (size) {
        refuse_confirms(channel);
    }
    assert(wait->kind == WAIT_REPLIES && wait->state != WAIT_PENDING);
    assert(channel->held_bytes >= size && server->held_bytes >= size);
    channel->held_bytes -= size;
    server->held_bytes -= size;
    wait_free(wait);
}

/* Returns false when the channel is gone. */
static bool release_held(struct channel *channel)
{
    struct wait *wait;
    if (list_is_empty(&channel->waiting_replies))
        return true;
    while ((wait = wait_of(list_first(&channel->waiting_replies))) && wait->state != WAIT_PENDING)
        release_replies(channel, wait);
    if (channel->held_bytes <= HELD_REPLIES_MAX)
        connection_release(channel->connection, HOLD_REPLIES);
    if (!list_is_empty(&channel->waiting_replies))
        return true;
    bool ends = channel->state == CHANNEL_ENDING;
    channel_server(channel)->has_work_left = true;
    channel_released(channel);
    return !ends;
}

/* A part has ended: the wait is over with its last one, or with the first that fails. */
static void part_ended(struct wait_part *part, enum ticket_state state)
{
    struct wait *wait = part->wait;
    assert(wait->state == WAIT_PENDING && wait->pending > 0 && wait->pending <= wait->count);
    list_remove(&part->log_link);
    if (state == TICKET_FAILED) {
        leave_logs(wait);
        wait->state = WAIT_FAILED;
    } else if (--wait->pending == 0) {
        wait->state = WAIT_DONE;
    }
    if (wait->state != WAIT_PENDING)
        call_channel(wait->channel);
}

static void look_at_log(const struct waits *waits, const struct list *parts)
{
    for (struct list *link; (link = list_first(parts));) {
        struct wait_part *part = list_entry(link, struct wait_part, log_link);
        enum ticket_state state = state_of(waits, part->ticket);
        if (state == TICKET_PENDING)
            return;
        part_ended(part, state);
    }
}

void wait_tick(struct server *server)
{
    for (int i = 0; i < WAIT_LOGS; i++)
        look_at_log(&server->waits, &server->waits.parts[i]);
    struct list *link;
    unsigned budget = CONFIRMS_A_TURN;
    while (budget && (link = list_take_first(&server->waits.channels))) {
        struct channel *channel = list_entry(link, struct channel, confirming_link);
        if (!release_held(channel))
            continue;
        if (!list_is_empty(&channel->settles_waiting))
            tell_settled(channel);
        if (!send_confirms(channel, &budget))
            call_channel(channel);
    }
    server->has_work_left |= !list_is_empty(&server->waits.channels);
}

void wait_forget_confirms(struct channel *channel)
{
    struct list *link;
    while ((link = list_first(&channel->confirms_waiting)))
        wait_free(wait_of(link));
    while ((link = list_first(&channel->settles_waiting)))
        wait_free(wait_of(link));
}

void wait_forget(struct channel *channel)
{
    struct list *link;
    wait_forget_confirms(channel);
    while ((link = list_first(&channel->waiting_replies)))
        wait_free(wait_of(link));
    assert(channel_server(channel)->held_bytes >= channel->held_bytes);
    channel_server(channel)->held_bytes -= channel->held_bytes;
    channel->held_bytes = 0;
    list_remove(&channel->confirming_link);
}
