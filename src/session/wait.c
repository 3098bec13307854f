/* A wait is made for each channel and ticket, not for each message: all publishes of a channel in
 * one turn end with the same batch. A wait is on two lists, its log's and its channel's. Tickets of
 * a log end in order, so that a turn looks only at the front of each log's list.
 *
 * Confirms of a channel go out in runs: from the first that is not confirmed yet as far as all are
 * done, in one ack with `multiple`; those that are done behind one that is not, one by one. */
#include "session/wait.h"

#include <assert.h>

#include "base/mem.h"
#include "base/planted.h"
#include "session/channel.h"

/* Confirms that are sent, or that go out with another one. */
enum { CONFIRMS_A_TURN = 20000 };

void wait_init(struct waits *waits)
{
    for (int i = 0; i < WAIT_LOGS; i++)
        list_init(&waits->logs[i]);
    list_init(&waits->channels);
}

static struct wait *wait_of(struct list *link)
{
    return link ? list_entry(link, struct wait, channel_link) : NULL;
}

static struct wait *wait_last(struct list *head)
{
    return list_is_empty(head) ? NULL : wait_of(head->prev);
}

static struct wait *wait_new(struct channel *channel, enum wait_kind kind, struct ticket ticket)
{
    struct wait *wait = mem_zalloc(sizeof(*wait));
    wait->channel = channel;
    wait->kind = kind;
    wait->ticket = ticket;
    list_init(&wait->log_link);
    list_push_back(kind == WAIT_REPLIES ? &channel->waiting_replies : &channel->confirms_waiting,
                   &wait->channel_link);
    return wait;
}

static void wait_free(struct wait *wait)
{
    list_remove(&wait->log_link);
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

static void wait_begin(struct wait *wait)
{
    struct server *server = channel_server(wait->channel);
    assert(wait->ticket.log < WAIT_LOGS);
    wait->state = WAIT_PENDING;
    list_push_back(&server->waits.logs[wait->ticket.log], &wait->log_link);
    store_want(server->broker->store, wait->ticket);
}

void wait_hold(struct channel *channel, struct ticket ticket)
{
    struct store *store = channel_broker(channel)->store;
    if (ticket.index == 0 || store_ticket_state(store, ticket) == TICKET_DURABLE)
        return;
    struct wait *last = wait_last(&channel->waiting_replies);
    if (last && last->ticket.log == ticket.log && last->ticket.index == ticket.index)
        return;
    wait_begin(wait_new(channel, WAIT_REPLIES, ticket));
}

void wait_hold_names(struct channel *channel)
{
    wait_hold(channel, store_names_ticket(channel_broker(channel)->store));
}

void wait_follow(struct channel *channel, const struct channel *other)
{
    if (channel != other && !list_is_empty(&other->waiting_replies))
        wait_hold(channel, wait_of(other->waiting_replies.prev)->ticket);
}

uint8_t *wait_room(struct channel *channel, size_t size)
{
    return buffer_room(&wait_last(&channel->waiting_replies)->replies, size);
}

void wait_added(struct channel *channel, size_t size)
{
    buffer_added(&wait_last(&channel->waiting_replies)->replies, size);
    channel->held_bytes += size;
    channel_server(channel)->held_bytes += size;
    if (channel->held_bytes > HELD_REPLIES_MAX)
        connection_hold(channel->connection, HOLD_REPLIES);
}

/* Adds a number to the last wait when it has the same fate, else begins another. */
static void confirm(struct channel *channel, uint64_t number, struct ticket ticket,
                    enum wait_state state)
{
    struct wait *last = wait_last(&channel->confirms_waiting);
    bool is_next = last && (last->last + 1 == number || planted(PLANTED_CONFIRMS_MERGED));
    if (is_next && last->state == state && last->ticket.index == ticket.index &&
        last->ticket.log == ticket.log) {
        last->last = number;
        return;
    }
    struct wait *wait = wait_new(channel, WAIT_CONFIRMS, ticket);
    wait->first = wait->last = number;
    wait->state = state;
    if (state == WAIT_PENDING)
        wait_begin(wait);
    else
        call_channel(channel);
}

void wait_confirm(struct channel *channel, uint64_t number, bool on_record)
{
    struct ticket none = {0};
    if (on_record && !(planted(PLANTED_CONFIRM_EARLY) && number % 1000 == 0))
        confirm(channel, number, store_ticket(channel_broker(channel)->store), WAIT_PENDING);
    else
        confirm(channel, number, none, WAIT_DONE);
}

void wait_refuse(struct channel *channel, uint64_t number)
{
    struct ticket none = {0};
    confirm(channel, number, none, WAIT_FAILED);
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

/* From the first on, in runs. */
static void send_front(struct channel *channel, unsigned *budget)
{
    struct wait *wait;
    while (*budget && (wait = wait_of(list_first(&channel->confirms_waiting))) &&
           wait->state != WAIT_PENDING) {
        enum wait_state state = wait->state;
        uint64_t first = wait->first, last = wait->last;
        wait_free(wait);
        while (*budget > 1 && (wait = wait_of(list_first(&channel->confirms_waiting))) &&
               wait->state == state) {
            last = wait->last;
            wait_free(wait);
            --*budget;
        }
        send_confirm(channel, state, last, first != last);
        --*budget;
    }
}

/* Of one that is behind one that is not done. */
static void send_one_by_one(struct channel *channel, struct wait *wait, unsigned *budget)
{
    for (; *budget && wait->first <= wait->last; wait->first++, --*budget)
        send_confirm(channel, wait->state, wait->first, false);
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
    }
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

void wait_tick(struct server *server)
{
    struct store *store = server->broker->store;
    bool failed = store_failure(store) != NULL;
    for (int i = 0; i < WAIT_LOGS; i++) {
        struct list *link;
        while ((link = list_first(&server->waits.logs[i]))) {
            struct wait *wait = list_entry(link, struct wait, log_link);
            enum ticket_state state =
                failed ? TICKET_FAILED : store_ticket_state(store, wait->ticket);
            if (state == TICKET_PENDING)
                break;
            wait->state = state == TICKET_DURABLE ? WAIT_DONE : WAIT_FAILED;
            list_remove(link);
            call_channel(wait->channel);
        }
    }
    struct list *link;
    unsigned budget = CONFIRMS_A_TURN;
    while (budget && (link = list_take_first(&server->waits.channels))) {
        struct channel *channel = list_entry(link, struct channel, confirming_link);
        if (release_held(channel) && !send_confirms(channel, &budget))
            call_channel(channel);
    }
    server->has_work_left |= !list_is_empty(&server->waits.channels);
}

void wait_forget_confirms(struct channel *channel)
{
    struct list *link;
    while ((link = list_first(&channel->confirms_waiting)))
        wait_free(wait_of(link));
}

void wait_forget(struct channel *channel)
{
    struct list *link;
    wait_forget_confirms(channel);
    while ((link = list_first(&channel->waiting_replies)))
        wait_free(wait_of(link));
    channel_server(channel)->held_bytes -= channel->held_bytes;
    channel->held_bytes = 0;
    list_remove(&channel->confirming_link);
}
