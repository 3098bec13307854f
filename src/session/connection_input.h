/* What a connection hears: bytes to frames, in its share of a turn. */
#ifndef LEVERET_SESSION_CONNECTION_INPUT_H
#define LEVERET_SESSION_CONNECTION_INPUT_H

#include "session/connection.h"

/* See struct conversation_ops. */
void connection_input(struct conversation *conversation, struct bytes in);
bool connection_has_turn(struct conversation *conversation);
/* The input that it has kept is acted on in the next turn, if nothing holds it then. */
void connection_resume_later(struct connection *connection);
/* Once a turn: connections that have no reason to wait any more act on the input they kept. */
void connections_resume(struct server *server);
/* What it has kept is never acted on. */
void connection_forget_input(struct connection *connection);

#endif
