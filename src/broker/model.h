/* What the files of this folder share and nobody else needs. */
#ifndef LEVERET_BROKER_MODEL_H
#define LEVERET_BROKER_MODEL_H

#include "amqp/properties.h"
#include "broker/publish.h"

enum { NAME_MAX_SIZE = 255 };

/* The name without carriage returns and line feeds; `room` (NAME_MAX_SIZE bytes) is used when there
 * are any. */
struct bytes name_strip(struct bytes name, char *room);
/* A terminated copy; NULL for a field that is not there (found is false). */
char *name_copy(bool found, struct bytes name);

/* The kind of that name, or NULL. */
const struct exchange_kind *exchange_kind_find(struct bytes name);
/* A predeclared exchange of a new virtual host: it has no entry in the catalogue. */
struct exchange *exchange_predeclare(struct vhost *vhost, const char *name,
                                     const struct exchange_kind *kind, bool internal);
/* Its name leads nowhere from now on. */
void exchange_take_out(struct exchange *exchange);
/* If that was the last one, an auto-delete exchange is doomed: the next decision takes it. */
void exchange_lost_binding(struct exchange *exchange);
/* Frees one without bindings that is on no list. */
void exchange_free(struct exchange *exchange);
/* Its name leads nowhere from now on, and its messages are gone. */
void queue_take_out(struct queue *queue);

/* May a queue be declared like this? Known arguments must have a fitting type and value, and fit
 * the type of queue that x-queue-type names. */
bool queue_arguments_check(const struct vhost *vhost, struct bytes name,
                           const struct queue_declare *declare, struct error *error);
/* Is a second declaration equivalent to the first? Known arguments of its type are compared. */
bool queue_arguments_equivalent(const struct queue *queue, struct bytes arguments,
                                struct error *error);
/* Logs which arguments of a new queue ask for what is not done, and which are not known at all. */
void queue_arguments_warn(const struct queue *queue);
/* 406 `inequivalent arg 'durable' ...` when the two differ; `resource` is a text as below. */
bool equivalent_bool(const char *resource, const char *name, bool received, bool current,
                     struct error *error);
/* The same for an argument: both tables may or may not have it. */
bool equivalent_argument(const char *resource, const char *name, struct bytes received,
                         struct bytes current, struct error *error);

/* Long enough for the text of a resource. */
enum { RESOURCE_MAX = 2 * NAME_MAX_SIZE + 32 };
/* Writes `queue 'q' in vhost '/'`: kind is "queue" or "exchange". Returns `text`. */
const char *resource_text(char text[RESOURCE_MAX], const char *kind, struct bytes name,
                          const struct vhost *vhost);

/* Appends properties as they go on the wire. */
void properties_add(struct buffer *out, const struct properties *properties);
/* Forgets the taken messages that wait to be dead-lettered; for a queue that goes. */
void dead_letters_forget(struct queue *queue);

/* The contents of the headers table among properties; empty when there is none. */
struct bytes headers_of(struct bytes properties);
/* Collects the routing key and the keys of CC, and of BCC when `with_bcc`, in set->keys. Returns
 * whether there was a BCC header. */
bool keys_collect(struct queue_set *set, struct bytes routing_key, struct bytes headers,
                  bool with_bcc);
/* Puts a message into the queues of the set. */
struct published publish_routed(struct broker *broker, struct message *message,
                                struct queue_set *set);
/* A copy of a message with other properties and names, sharing nothing. */
struct message *message_copy(struct message_pool *pool, const struct message *message,
                             struct bytes exchange, struct bytes routing_key,
                             struct bytes properties);

#endif
