/* What several resources tell of the node, and of the machine it is on. */
#ifndef LEVERET_API_MACHINE_H
#define LEVERET_API_MACHINE_H

#include "api/call.h"

/* Fields of the overview and of the node alike. `has_node`: each says on which node it is. */
void machine_add_contexts(struct fields *fields, const struct call *call, bool has_node);
void machine_add_exchange_types(struct fields *fields);
/* Counters of what came and went: of connections and channels. */
void machine_add_churn(struct fields *fields, const struct call *call);
size_t machine_listeners(const struct call *call, struct api_listener *listeners);
struct api_machine machine_look(const struct call *call);
/* All brokers of the cluster, API_MEMBERS_MAX at most; 0: this one is alone. */
size_t machine_members(const struct call *call, struct api_member *members);
/* The one of that name, or number; of a broker that is alone itself is one, with the number 0. False: there is none. */
bool machine_find(const struct call *call, struct bytes name, struct api_member *member);
/* This broker's number in the cluster; 0: it is alone. */
uint32_t machine_number(const struct call *call);
/* What these have agreed on. False: this one is alone. */
bool machine_group(const struct call *call, struct api_group *group);
/* "voter" and the like. */
const char *machine_role(enum api_role role);
/* Is the node of the segment this one? Else the call is answered. */
bool machine_is_node(struct call *call);

#endif
