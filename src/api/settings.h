/* What several of the resources have in common: policies and limits are also had as parameters, and
 * all is had as definitions. */
#ifndef LEVERET_API_SETTINGS_H
#define LEVERET_API_SETTINGS_H

#include "api/listing.h"
#include "broker/policy.h"

/* ---- policies.c ---- */

/* What makes a policy, as fields of an object that is open. */
void call_write_policy(const struct policy *policy, struct fields *fields);
/* The object has what makes it. Both answer the call. */
void call_set_policy(struct call *call, const struct vhost *vhost, bool is_operator,
                     struct bytes name, const struct json *object);
void call_delete_policy(struct call *call, const struct vhost *vhost, bool is_operator,
                        struct bytes name);

/* ---- limits.c ---- */

/* The limits that are set, as fields of an object that is open. */
void call_write_vhost_limits(const struct vhost *vhost, struct fields *fields);
void call_write_user_limits(const struct user *user, struct fields *fields);
/* Adds `quotas`, if there are any: what they are, what is counted against them, whether they block. */
void call_write_quotas(const struct quota *quota, struct fields *fields);
/* All of them become what the object has, and answers the call. */
void call_set_vhost_limits(struct call *call, const struct vhost *vhost, const struct json *object);

/* ---- definitions.c ---- */

/* Is it a part of an export? What the broker gives, or has for a connection, is not. */
bool call_exports_name(struct bytes name);
bool call_exports_queue(const struct queue *queue);
/* The field `vhost`, which an export of one does not have. */
void call_write_vhost(const struct call *call, const struct vhost *vhost, struct fields *fields);
/* An export goes on with its next list; false: that was all, and its end was appended. */
bool call_next_section(struct call *call, struct buffer *body);

extern const struct listing_kind users_kind, permissions_kind, topic_permissions_kind,
    parameters_kind, global_parameters_kind, policies_kind, bindings_kind;

#endif
