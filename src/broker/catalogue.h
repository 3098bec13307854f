/* Names that survive, as keys and values of the store's catalogue.
 *
 * A key begins with its kind, so that they come back in the order in which they need each other:
 * virtual hosts, users, exchanges, queues, bindings, permissions, policies. Strings in keys have their length, one byte,
 * in front; numbers are little-endian. A value begins with the version of its layout.
 *
 *     kind         key after the kind                          value after the version
 *     0 leaving    vhost, kind (3, 4), name
 *     1 vhost      name                                        flags, description, tags, type of
 *                                                              queues, 2 limits
 *     2 user       name                                        kind of hash, hash, tags, 2 limits
 *     3 exchange   vhost, name                                 flags, type, arguments
 *     4 queue      vhost, name                                 id (8), flags, arguments
 *     5 binding    vhost, source, kind of destination (3, 4),  arguments
 *                  destination, routing key, SHA-256 of the
 *                  arguments if there are any
 *     6 permission vhost, user                                 configure, write, read
 *     7 topic      vhost, user, exchange                       write, read
 *     8 policy     vhost, name                                 priority (8), what it applies to,
 *     9 operator policy: the same                              pattern, definition
 *    10 delays     vhost, exchange                             id (8)
 *    64 seen       id of an exchange or queue (8), number (4)  16 bytes of the SHA-256 of a key, until
 *                                                              when (8), order (8): seen.c
 *
 * The version of virtual hosts and users is 2: in version 1 the former had no value, and that of the
 * latter was 0 without a password, or 1, salt, hash. Such users could do everything. With quotas it is 3,
 * and behind the limits are a byte of bits (1 << enum quota_kind) and a varint for each that is set. Strings in values
 * have their length, a varint, in front; a limit is a varint, 0 for none, else one more than it is.
 * Flags: 1 auto-delete, 2 internal, 4 (virtual hosts) going, 8
 * (exchanges) an id (8) follows the arguments, 16 (virtual hosts) protected, 32 (queues, whose version is 2 then)
 * not durable, and on record as it is mirrored. Arguments are contents of a field table with their length, a
 * varint, in front. What is leaving is gone, and of its bindings some are still on record, which
 * count no more. What is predeclared has no entry of its own: it comes with its virtual host. */
#ifndef LEVERET_BROKER_CATALOGUE_H
#define LEVERET_BROKER_CATALOGUE_H

#include "base/buffer.h"
#include "broker/change.h"

/* A kind of entries that are no names. */
enum { CATALOGUE_SEEN = 64 };

enum {
    CATALOGUE_VERSION = 1,
    CATALOGUE_VERSION_OF_HOLDERS = 2,
    CATALOGUE_VERSION_OF_QUOTAS = 3, /* of those that have some */
    CATALOGUE_VERSION_OF_MIRRORED = 2, /* of a queue that is on record though it is not durable */
};

/* The entry that a change puts, or its key alone when it deletes; both point into `room`, which is
 * cleared before. */
void catalogue_write(const struct change *change, struct buffer *room, struct bytes *key,
                     struct bytes *value);

enum catalogue_result { CATALOGUE_OK, CATALOGUE_NEWER, CATALOGUE_MALFORMED };

/* It has a kind, or a version of its layout, that is not known here. */
bool catalogue_is_newer(struct bytes key, struct bytes value);

/* The change that puts this entry; its bytes are borrowed. */
enum catalogue_result catalogue_read(struct bytes key, struct bytes value, struct change *change);

#endif
