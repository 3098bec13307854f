/* The one place where names come and go: what is decided here, read from the record, or decided
 * elsewhere ends in catalogue_apply. It decides nothing and cannot fail, and what it does depends
 * on the change and on what is there, alone. */
#ifndef LEVERET_BROKER_APPLY_H
#define LEVERET_BROKER_APPLY_H

#include "broker/vhost.h"

enum record { OFF_RECORD, ON_RECORD };

/* Changes the plain data, and with ON_RECORD the store's record, if the change is of something
 * durable.
 *
 * Of a PUT it is taken for granted that a decision has allowed it: its virtual host and the ends of
 * a binding are there, and what it makes is not (a user, a virtual host, a permission or a policy may
 * be, and is as the change says from now on). A
 * DELETE of what is not there changes the record alone. What is deleted has no bindings, or is
 * leaving first.
 *
 * The bytes of the change are needed until the end, so that none may lie in an entry of the record
 * that this changes: who reads a change from there applies it OFF_RECORD, and deletes the entry
 * after that, or has copied its key. */
void catalogue_apply(struct broker *broker, const struct change *change, enum record record);
/* All of the list, in order, on record; empties it. */
void changes_apply(struct broker *broker, struct changes *changes);

/* Its parts: the plain data of one kind of name each. */
void vhost_apply(struct broker *broker, const struct change *change);
void user_apply(struct broker *broker, const struct change *change);
void permission_apply(struct broker *broker, const struct change *change);
void topic_permission_apply(struct broker *broker, const struct change *change);
void policy_apply(struct vhost *vhost, const struct change *change);
void exchange_apply(struct vhost *vhost, const struct change *change);
void queue_apply(struct vhost *vhost, const struct change *change);
void binding_apply(struct vhost *vhost, const struct change *change);
void leaving_apply(struct vhost *vhost, const struct change *change);

#endif
