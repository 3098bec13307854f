/* A connection's time: what it must have done by when, and the heartbeats of both sides. */
#ifndef LEVERET_SESSION_CONNECTION_TIMER_H
#define LEVERET_SESSION_CONNECTION_TIMER_H

#include "session/connection.h"

/* Kinds of timers in server->timers. */
enum session_timer { TIMER_DEADLINE, TIMER_SEND, TIMER_HEAR, TIMER_UNACKED };

/* None is set. */
void connection_timers_init(struct connection *connection);
/* Heartbeats and deadline end. */
void connection_timers_stop(struct connection *connection);
/* In `ms` from now the patience with the state that it is in ends; instead of a deadline before. */
void connection_deadline(struct connection *connection, uint64_t ms);
void connection_deadline_met(struct connection *connection);
/* From now on something is sent each half of so many seconds, and silence of two of them is the end of
 * the connection. 0: neither. */
void connection_heartbeats(struct connection *connection, uint16_t seconds);
/* Once a turn: what is due. */
void connection_timers_run(struct server *server);

#endif
