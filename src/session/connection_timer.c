#include "session/connection_timer.h"

#include "amqp/frame.h"
#include "session/delivery_timeout.h"

void connection_timers_init(struct connection *connection)
{
    connection->deadline.kind = TIMER_DEADLINE;
    connection->send_timer.kind = TIMER_SEND;
    connection->hear_timer.kind = TIMER_HEAR;
}

void connection_timers_stop(struct connection *connection)
{
    struct timers *timers = &connection->server->timers;
    timer_cancel(timers, &connection->deadline);
    timer_cancel(timers, &connection->send_timer);
    timer_cancel(timers, &connection->hear_timer);
}

static void set(struct connection *connection, struct timer *timer, uint64_t ms)
{
    timer_set(&connection->server->timers, timer, connection->server->now_ms + ms);
}

void connection_deadline(struct connection *connection, uint64_t ms)
{
    set(connection, &connection->deadline, ms);
}

void connection_deadline_met(struct connection *connection)
{
    timer_cancel(&connection->server->timers, &connection->deadline);
}

static uint64_t interval_ms(const struct connection *connection)
{
    return (uint64_t)connection->heartbeat_s * 1000;
}

void connection_heartbeats(struct connection *connection, uint16_t seconds)
{
    connection->heartbeat_s = seconds;
    if (!seconds)
        return;
    set(connection, &connection->send_timer, interval_ms(connection) / 2);
    set(connection, &connection->hear_timer, interval_ms(connection));
}

static void send_heartbeat(struct connection *connection)
{
    uint8_t *at = output_room(&connection->server->outputs, &connection->output, FRAME_OVERHEAD);
    struct writer writer = writer_of(at, FRAME_OVERHEAD);
    frame_write_heartbeat(&writer);
    output_added(&connection->output, FRAME_OVERHEAD);
    connection_touch(connection);
}

/* The peer has said nothing for two intervals (AMQP 0-9-1, 4.2.7). */
static void hear_nothing(struct connection *connection)
{
    if (connection->has_heard || connection->holds)
        connection->silences = 0;
    else
        connection->silences++;
    connection->has_heard = false;
    if (connection->silences < 2) {
        set(connection, &connection->hear_timer, interval_ms(connection));
        return;
    }
    ending_set(connection, ENDING_SILENCE, "missed heartbeats");
    connection_discard_output(connection);
    connection_end(connection);
}

/* Half an interval without a byte sent is half of what the peer bears. */
static void send_heartbeat_when_idle(struct connection *connection)
{
    uint64_t half_ms = interval_ms(connection) / 2;
    uint64_t now_ms = connection->server->now_ms;
    if (connection->output.size == 0 && now_ms - connection->sent_ms >= half_ms) {
        send_heartbeat(connection);
        connection->sent_ms = now_ms;
    }
    uint64_t next_ms = connection->sent_ms + half_ms;
    set(connection, &connection->send_timer, next_ms > now_ms ? next_ms - now_ms : half_ms);
}

static void deadline_passed(struct connection *connection)
{
    switch (connection->state) {
    case CONNECTION_CLOSED: /* the peer does not take the rest */
        connection_discard_output(connection);
        connection_touch(connection);
        break;
    case CONNECTION_REFUSING:
    case CONNECTION_CLOSING:
        connection_end(connection);
        break;
    default:
        ending_set(connection, ENDING_SILENCE, "handshake timeout");
        connection_end(connection);
    }
}

void connection_timers_run(struct server *server)
{
    struct timer *timer;
    while ((timer = timers_expired(&server->timers, server->now_ms))) {
        if (timer->kind == TIMER_DEADLINE)
            deadline_passed(list_entry(timer, struct connection, deadline));
        else if (timer->kind == TIMER_SEND)
            send_heartbeat_when_idle(list_entry(timer, struct connection, send_timer));
        else if (timer->kind == TIMER_UNACKED)
            delivery_timeout_passed(list_entry(timer, struct channel, unacked_timer));
        else
            hear_nothing(list_entry(timer, struct connection, hear_timer));
    }
}
