/* What a server has, for who looks at it from above: the API. Nothing in here is kept by the caller
 * beyond a turn. */
#ifndef LEVERET_SESSION_LOOK_H
#define LEVERET_SESSION_LOOK_H

#include "broker/user.h"
#include "peer/conversation.h"
#include "queue/queue_consumer.h"
#include "session/server.h"

/* The monotonic clock of this turn. */
uint64_t server_now_ms(const struct server *server);
/* Something was changed after this server had its part of the turn: the next one follows at once. */
void server_go_on(struct server *server);
/* For how long a refused login is not answered. */
uint32_t server_auth_delay_ms(const struct server *server);
/* The user of that name, if the password is his and he may come from there; else NULL, and `reason`
 * says why, for the log. */
struct user *server_log_in(const struct server *server, struct bytes name, struct bytes password,
                           const struct peer *peer, char *reason, size_t reason_size);
/* How many there are. */
struct server_counts {
    size_t connections, channels, consumers;
};
struct server_counts server_counts(const struct server *server);
/* The tag of a consumer, which lies in an object of this server. */
struct bytes server_consumer_tag(const struct queue_consumer *consumer);

#endif
