/* Policies and limits as they are also had as parameters. */
#ifndef LEVERET_API_SETTINGS_H
#define LEVERET_API_SETTINGS_H

#include "api/call.h"
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
/* All of them become what the object has, and answers the call. */
void call_set_vhost_limits(struct call *call, const struct vhost *vhost, const struct json *object);

#endif
