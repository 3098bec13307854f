/* What the files of this folder share and nobody else needs: objects made and unmade without
 * checks and without a record, for a declare that has passed its checks and for a restart. */
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
struct exchange *exchange_new(struct vhost *vhost, const struct exchange_kind *kind,
                              const struct exchange_declare *declare);
/* Frees one without bindings that is on no list. */
void exchange_free(struct exchange *exchange);
/* Removes an exchange and its bindings: see removal.h. */
void exchange_remove(struct exchange *exchange);
/* Removes the auto-delete exchanges that lost their last binding, and those that lose theirs with
 * them. Every public function that takes bindings away ends with it. */
void exchanges_reap(struct broker *broker);
/* Frees what is gone but for its bindings, after these; for the end. */
void removals_free(struct broker *broker);

/* `id` 0: a new one. */
struct queue *queue_add(struct vhost *vhost, const struct queue_declare *declare, uint64_t id);

/* Adds a binding that is not there yet. */
bool binding_put(struct exchange *source, const struct binding_request *request, bool record,
                 struct error *error);
/* Takes it away, also from the record; its source may be doomed. */
void binding_drop(struct binding *binding);
/* Frees it and nothing more; for the end. */
void binding_free(struct binding *binding);

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
