/* Names that survive, as keys and values of the store's catalogue.
 *
 * A key begins with its kind, so that they come back in the order in which they need each other:
 * virtual hosts, users, exchanges, queues, bindings. Strings in keys have their length, one byte,
 * in front; numbers are little-endian. A value begins with the version of its layout.
 *
 *     kind         key after the kind                          value after the version
 *     0 leaving    vhost, kind (3, 4), name
 *     1 vhost      name
 *     2 user       name                                        0; or 1, salt, hash
 *     3 exchange   vhost, name                                 flags, type, arguments
 *     4 queue      vhost, name                                 id (8), flags, arguments
 *     5 binding    vhost, source, kind of destination (3, 4),  arguments
 *                  destination, routing key, SHA-256 of the
 *                  arguments if there are any
 *
 * Flags: 1 auto-delete, 2 internal. Arguments are contents of a field table with their length, a
 * varint, in front. What is leaving is gone, and of its
 * bindings some are still on record, which count no more. What is predeclared has no entry of its own: it comes with its virtual host. */
#ifndef LEVERET_BROKER_CATALOGUE_H
#define LEVERET_BROKER_CATALOGUE_H

#include "broker/exchange.h"
#include "broker/user.h"

enum { CATALOGUE_VERSION = 1 };

enum catalogue_kind {
    CATALOGUE_LEAVING,
    CATALOGUE_VHOST,
    CATALOGUE_USER,
    CATALOGUE_EXCHANGE,
    CATALOGUE_QUEUE,
    CATALOGUE_BINDING,
};

void catalogue_put_vhost(const struct vhost *vhost);
void catalogue_put_user(struct broker *broker, const struct user *user);
void catalogue_put_exchange(const struct exchange *exchange);
void catalogue_delete_exchange(const struct exchange *exchange);
void catalogue_put_queue(const struct queue *queue);
void catalogue_delete_queue(const struct queue *queue);
/* Only a binding of two durable ends is on record. */
void catalogue_put_binding(const struct binding *binding);
void catalogue_delete_binding(const struct binding *binding);
/* A queue or exchange (by its kind) is gone, but not all of its bindings; or these, too. */
void catalogue_put_leaving(const struct vhost *vhost, enum catalogue_kind kind, struct bytes name);
void catalogue_delete_leaving(const struct vhost *vhost, enum catalogue_kind kind,
                              struct bytes name);

/* An entry as it is read back; what its kind does not have is empty. All is borrowed. */
struct catalogue_entry {
    enum catalogue_kind kind;
    struct bytes vhost;
    struct bytes name; /* of a binding: its destination; of what is leaving: its own */
    struct bytes source;
    struct bytes routing_key;
    struct bytes type;
    struct bytes arguments;
    struct bytes password_hash; /* empty: cannot log in */
    uint64_t id;
    bool to_queue; /* of what is leaving: a queue */
    bool auto_delete, internal;
};

enum catalogue_result { CATALOGUE_OK, CATALOGUE_NEWER, CATALOGUE_MALFORMED };

enum catalogue_result catalogue_read(struct bytes key, struct bytes value,
                                     struct catalogue_entry *entry);

#endif
