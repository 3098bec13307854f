/* A broker of a cluster that does not lead knows no names. It answers what is asked about itself (OWN_ROUTE and
 * NODE_ROUTE of routes.def), and brings all else to who leads, request by request, by a conversation that another
 * service carries there (api_control.leader). A client may name the broker that is to answer, by the field
 * X-Leveret-Node: then every broker brings the request there, whoever leads (api_control.other). Who leads judges who the client is, also when the answer is given here:
 * whoever comes by a port is asked for there first. */
#ifndef LEVERET_API_LEADER_H
#define LEVERET_API_LEADER_H

#include "api/call.h"

/* The request has been read, and has a route. Where this broker does not lead, or another one is named, it says how it is answered
 * (call->state, call->is_apart), or the call is answered, as nobody leads. */
void leader_look(struct call *call);
/* Of a call that is apart: carries conversations to who leads. NULL: nobody is known to lead. */
struct service *leader_service(const struct call *call);
/* Of a call that is apart: has something more done by who leads, in the name of who asks. Returns the status of its
 * answer, whose body is added to `answer`, if that is not NULL; 0: the same is to be called again; 502: it was lost, 503:
 * nobody leads. */
int leader_do(struct call *call, enum http_method method, const char *path, struct buffer *answer);
/* Is all here, durably, that the cluster has agreed on when this was called first? Not yet: it is to be called again, or
 * the call is answered (call->status), as nobody leads. */
bool leader_has_told_all(struct call *call);
/* CALL_BROUGHT: what is answered there. */
enum http_progress leader_go_on(struct call *call, struct http_head *head, struct buffer *body, struct budget *budget);
/* Who asks, where names are not known. Afterwards that is so, or the call is answered, or its state is CALL_LOGS_IN,
 * and this is to be called again. */
void leader_identify(struct call *call);
/* Nobody waits for its answer any more. NULL is allowed. */
void leader_leave(struct errand *errand);

#endif
