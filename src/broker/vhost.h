/* A virtual host: names of exchanges and queues. */
#ifndef LEVERET_BROKER_VHOST_H
#define LEVERET_BROKER_VHOST_H

#include "base/map.h"
#include "broker/broker.h"
#include "broker/error.h"

struct vhost {
    struct broker *broker;
    struct map exchanges; /* struct exchange by name; the default one is under the empty name */
    struct map queues;    /* struct queue by name */
    struct set bindings;  /* struct binding by what it is: see binding.c */
    uint64_t bindings_seed;
    struct map leaving_queues, leaving_exchanges; /* struct removal by the name of what is gone */
    struct exchange *default_exchange;
    size_t name_size;
    char name[]; /* terminated as well */
};

static inline struct bytes vhost_name(const struct vhost *vhost)
{
    return bytes_of(vhost->name, vhost->name_size);
}

/* NULL when there is none. */
struct vhost *vhost_find(struct broker *broker, struct bytes name);
/* Creates it with its predeclared exchanges; there is none of this name. */
struct vhost *vhost_put(struct broker *broker, struct bytes name);
/* Frees it with all that is in it; the store is not touched. */
void vhost_free(struct vhost *vhost);

struct queue *vhost_queue(const struct vhost *vhost, struct bytes name);
/* The empty name is the default exchange. */
struct exchange *vhost_exchange(const struct vhost *vhost, struct bytes name);
/* The same; a missing one is 404 `no queue 'q' in vhost '/'` / `no exchange ...`. Carriage returns
 * and line feeds in names do not count, as in RabbitMQ. */
struct queue *vhost_need_queue(const struct vhost *vhost, struct bytes name, struct error *error);
struct exchange *vhost_need_exchange(const struct vhost *vhost, struct bytes name,
                                     struct error *error);

#endif
