/* What a virtual host has from its beginning, when somebody makes one: users with what they may do
 * in it, limits, and operator policies, as the configuration says for names of virtual hosts. */
#ifndef LEVERET_BROKER_VHOST_DEFAULTS_H
#define LEVERET_BROKER_VHOST_DEFAULTS_H

#include "broker/change.h"

struct broker;

enum { DEFAULTS_MAX = 32, DEFAULT_NAME_BYTES = 256, DEFAULT_TEXT_BYTES = 256, DEFAULT_NUMBERS = 7 };

/* All texts are terminated. Empty patterns of virtual hosts are for all of them. */
struct default_user {
    char name[DEFAULT_NAME_BYTES];
    char vhost_pattern[DEFAULT_TEXT_BYTES];
    char password[DEFAULT_TEXT_BYTES]; /* empty: one who is not there yet cannot log in */
    char tags[DEFAULT_TEXT_BYTES];     /* with commas between */
    char configure[DEFAULT_TEXT_BYTES], write[DEFAULT_TEXT_BYTES], read[DEFAULT_TEXT_BYTES];
};

struct default_limits {
    char name[DEFAULT_NAME_BYTES];
    char vhost_pattern[DEFAULT_TEXT_BYTES];
    struct limit max_connections, max_queues;
};

struct default_policy {
    char name[DEFAULT_NAME_BYTES];
    char vhost_pattern[DEFAULT_TEXT_BYTES];
    char queue_pattern[DEFAULT_TEXT_BYTES]; /* empty: of all queues */
    bool is_set[DEFAULT_NUMBERS];           /* of the keys of default_policy_keys */
    uint64_t numbers[DEFAULT_NUMBERS];
};

struct vhost_defaults {
    struct default_users {
        size_t count;
        struct default_user list[DEFAULTS_MAX];
    } users;
    struct default_limit_sets {
        size_t count;
        struct default_limits list[DEFAULTS_MAX];
    } limits;
    struct default_policies {
        size_t count;
        struct default_policy list[DEFAULTS_MAX];
    } policies;
};

/* Keys of policies that a default one may have, as "max-length". */
extern const char *const default_policy_keys[DEFAULT_NUMBERS];

/* Gives a virtual host that was just made what it should have, as broker->options.defaults say.
 * What cannot be is logged, and the rest is done. */
void vhost_defaults_apply(struct broker *broker, struct bytes vhost);

#endif
