/* Direct reply-to, as RabbitMQ has it: a client that consumes from the name amq.rabbitmq.reply-to
 * gets the replies to what it publishes, and no queue is made for that. Its channel has a secret
 * name, which takes the place of that name in the reply-to property of what it publishes; who
 * publishes to the secret name through the default exchange reaches the consumer at once, or
 * nobody. */
#ifndef LEVERET_SESSION_REPLY_TO_H
#define LEVERET_SESSION_REPLY_TO_H

#include "base/bytes.h"
#include "broker/publish.h"

struct channel;
struct consumer;
struct error;
struct server;

/* A channel's part. */
struct reply_to {
    struct consumer *consumer; /* NULL: none */
    char *name;                /* the secret one, terminated; NULL: no consumer */
    uint64_t number;           /* of the last reply that it got: server->reply_number */
};

/* Is it the name that consumers of replies ask for? */
bool reply_to_is_general(struct bytes queue);
/* Is it that, or a secret name (of a consumer that is there, or not)? No queue has such a name. */
bool reply_to_is_name(struct bytes queue);

/* basic.consume from the general name: begins to consume. Fails when the consumer wants to
 * acknowledge, or when the channel has one already. */
bool reply_to_consume(struct channel *channel, struct bytes tag, bool no_ack, struct error *error);
/* A consumer of the channel ends: if it is the one of replies, its secret name is no more. */
void reply_to_forget(struct channel *channel, const struct consumer *consumer);

/* queue.declare of such a name is how a client finds out whether somebody waits for its reply;
 * fails when nobody does. */
bool reply_to_declare(const struct channel *channel, struct bytes queue, struct error *error);
/* queue.bind of such a name fails. */
bool reply_to_may_bind(const struct channel *channel, struct bytes queue, struct error *error);

/* basic.publish with the general name as reply-to: puts the secret name in its place in
 * channel->content.message. Fails when the channel has no consumer of replies. */
bool reply_to_rewrite(struct channel *channel, struct error *error);
/* Does the message go to a secret name, by its routing key, or by CC or BCC? */
bool reply_to_is_reply(const struct exchange *exchange, const struct message *message);
/* Gives it to the consumers of such names, but not to those whose client does not read, and to the
 * queues that its other keys name. */
struct published reply_to_deliver(struct server *server, struct exchange *exchange,
                                  struct message *message);

#endif
