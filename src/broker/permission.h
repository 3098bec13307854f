/* What a user may do in a virtual host: three patterns over names; and what of topics, by patterns
 * over routing keys. Texts are RabbitMQ's. */
#ifndef LEVERET_BROKER_PERMISSION_H
#define LEVERET_BROKER_PERMISSION_H

#include "broker/pattern.h"
#include "broker/user.h"
#include "broker/vhost.h"

enum access { ACCESS_CONFIGURE, ACCESS_WRITE, ACCESS_READ, ACCESSES };

struct permission {
    struct pattern patterns[ACCESSES];
    size_t vhost_size;
    char vhost[]; /* its name */
};

/* Of one exchange; without one, every key will do. */
struct topic_permission {
    struct pattern patterns[ACCESSES]; /* as on record; write and read only */
    struct pattern expanded[ACCESSES]; /* with the names of user and virtual host put in */
    size_t vhost_size, key_size;
    char key[]; /* the virtual host's name, a NUL, the exchange's */
};

static inline struct bytes topic_permission_exchange(const struct topic_permission *topic)
{
    size_t before = topic->vhost_size + 1;
    return bytes_of(topic->key + before, topic->key_size - before);
}

/* NULL: nothing, not even to connect. */
const struct permission *permission_find(const struct user *user, struct bytes vhost);
/* NULL: what the user may do there does not depend on the routing key. */
const struct topic_permission *topic_permission_find(const struct user *user, struct bytes vhost,
                                                     struct bytes exchange);
/* 530 `access to vhost 'v' refused for user 'u'` */
bool permission_check_vhost(const struct user *user, const struct vhost *vhost,
                            struct error *error);
/* 403 `write access to exchange 'x' in vhost 'v' refused for user 'u'`. The default exchange is
 * 'amq.default' here. Carriage returns and line feeds in names do not count. */
bool permission_check_queue(const struct user *user, const struct vhost *vhost, enum access access,
                            struct bytes name, struct error *error);
bool permission_check_exchange(const struct user *user, const struct vhost *vhost,
                               enum access access, struct bytes name, struct error *error);
/* The same for what an argument names: may an exchange be used as this one's alternate, or the
 * queue's for dead letters? It takes reading the one and writing to the other. */
bool permission_check_alternate(const struct user *user, const struct vhost *vhost,
                                struct bytes exchange, struct bytes arguments, struct error *error);
bool permission_check_dead_letter(const struct user *user, const struct vhost *vhost,
                                  struct bytes queue, struct bytes arguments, struct error *error);

struct exchange;

/* Does it depend on the routing key, too, what the user may do with a topic exchange? */
bool permission_has_topics(const struct user *user, const struct exchange *exchange);
/* 403 `write access to topic 'k' in exchange 'x' in vhost 'v' refused for user 'u'`. */
bool permission_check_topic(const struct user *user, const struct exchange *exchange,
                            enum access access, struct bytes key, struct error *error);

/* ---- changes ---- */

struct permission_request {
    struct bytes user, vhost;
    struct bytes exchange;               /* of a topic permission */
    struct bytes configure, write, read; /* a topic permission has no `configure` */
};

/* 404 for a user or virtual host that is not there; 406 for what is no pattern. */
bool permission_set_decide(struct broker *broker, const struct permission_request *request,
                           struct changes *changes, struct error *error);
bool permission_set(struct broker *broker, const struct permission_request *request,
                    struct error *error);
bool permission_clear(struct broker *broker, struct bytes user, struct bytes vhost,
                      struct error *error);
bool topic_permission_set_decide(struct broker *broker, const struct permission_request *request,
                                 struct changes *changes, struct error *error);
bool topic_permission_set(struct broker *broker, const struct permission_request *request,
                          struct error *error);
/* Of one exchange, or (NULL) of all of the virtual host. */
bool topic_permission_clear(struct broker *broker, struct bytes user, struct bytes vhost,
                            const struct bytes *exchange, struct error *error);

/* ---- for this folder ---- */

/* Everything that the user may do there, or anywhere (no name), goes. */
void permissions_clear_decide(const struct user *user, struct bytes vhost, struct changes *changes);
void permissions_free(struct user *user);

#endif
