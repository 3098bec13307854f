/* What may be in the definition of a policy: the keys of policy_keys.def, and their values. */
#ifndef LEVERET_BROKER_POLICY_CHECK_H
#define LEVERET_BROKER_POLICY_CHECK_H

#include "base/bytes.h"
#include "broker/error.h"

/* 406, with RabbitMQ's text, for what is no definition, or not one of an operator policy. */
bool policy_check(struct bytes definition, bool is_operator, struct error *error);
/* The types of queues (queue_arguments.h) that know all keys of a definition. */
unsigned policy_types(struct bytes definition);

#endif
