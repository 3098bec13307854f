/* A virtual host: names of exchanges and queues. */
#ifndef LEVERET_BROKER_VHOST_H
#define LEVERET_BROKER_VHOST_H

#include "base/map.h"
#include "broker/broker.h"
#include "broker/error.h"

struct policy;
struct quota;

/* Those that come first where they match come first. */
struct policies {
    struct policy **list;
    size_t count, capacity;
};

/* Exchanges that every virtual host has. */
enum { VHOST_PREDECLARED = 7 };

struct vhost {
    struct broker *broker;
    struct map exchanges; /* struct exchange by name; the default one is under the empty name */
    struct map queues;    /* struct queue by name */
    struct set bindings;  /* struct binding by what it is: see binding.c */
    uint64_t bindings_seed;
    struct map leaving_queues, leaving_exchanges; /* struct removal by the name of what is gone */
    struct exchange *default_exchange;
    struct policies policies[2]; /* the second: of operators */
    struct map parameters; /* struct parameter by its key */
    char *description, *tags, *queue_type; /* terminated; queue_type: of queues that do not say */
    struct limit max_connections, max_queues;
    struct quota *quota; /* NULL: it never had one; quota.h */
    struct list reconfigure_link; /* on broker->reconfiguring; and where to go on: reconfigure.c */
    uint64_t reconfigured_queue, reconfigured_exchange;
    size_t mirrors_kept; /* queues so far that this would have given mirrors, or taken from */
    size_t connections; /* open now */
    size_t holders;     /* who has a pointer to it: it stays until they are gone */
    bool is_traced;     /* firehose.h */
    bool is_protected;  /* it may not be deleted */
    bool is_going;      /* deleted; what is in it goes in slices: vhost_removal.c */
    uint64_t going_at;  /* where to go on */
    size_t name_size;
    char name[]; /* terminated as well */
};

static inline struct bytes vhost_name(const struct vhost *vhost)
{
    return bytes_of(vhost->name, vhost->name_size);
}

/* NULL when there is none, or when it is going. */
struct vhost *vhost_find(struct broker *broker, struct bytes name);
/* The same; 404 `no vhost 'v'`. */
struct vhost *vhost_need(struct broker *broker, struct bytes name, struct error *error);
/* Also one that is going. */
struct vhost *vhost_find_any(struct broker *broker, struct bytes name);
/* Creates it with its predeclared exchanges; there is none of this name. */
struct vhost *vhost_put(struct broker *broker, struct bytes name);
/* Frees it with all that is in it; the store is not touched. */
void vhost_free(struct vhost *vhost);

/* A new virtual host, or what one is to be from now on. What is NULL stays as it is. */
struct vhost_request {
    struct bytes name; /* at most 255 bytes */
    const struct bytes *description, *tags, *queue_type;
    const struct limit *max_connections, *max_queues;
    const struct quota_limits *quotas;
    const bool *is_protected;
};

/* False, with the error, for what cannot be: a name that is too long, or of one that is going. */
bool vhost_set_decide(struct broker *broker, const struct vhost_request *request,
                      struct changes *changes, struct error *error);
bool vhost_set(struct broker *broker, const struct vhost_request *request, struct error *error);
/* It is not found from now on; all that is in it goes in later turns, and so do the permissions.
 * Who has its connections closes them. 404 `no vhost 'v'`; 406 if it is protected. */
bool vhost_delete_decide(struct broker *broker, struct bytes name, struct changes *changes,
                         struct error *error);
bool vhost_delete(struct broker *broker, struct bytes name, struct error *error);
/* Do any limits hold for it? */
bool vhost_has_limits(const struct vhost *vhost);
/* 406 `cannot declare queue 'q': queue limit in vhost 'v' (5) is reached`, or `in cluster (5)` for
 * that of all virtual hosts together */
bool vhost_has_room(const struct vhost *vhost, struct bytes queue, struct error *error);
/* 406 `cannot declare exchange 'x': exchange limit in cluster (5) is reached` */
bool vhost_has_room_for_exchange(const struct vhost *vhost, struct bytes exchange, struct error *error);
/* The change that would make what is there; `changes` keeps copies of what the change may replace.
 */
struct change vhost_change(const struct vhost *vhost, struct changes *changes);

struct queue *vhost_queue(const struct vhost *vhost, struct bytes name);
/* The empty name is the default exchange. */
struct exchange *vhost_exchange(const struct vhost *vhost, struct bytes name);
/* The same; a missing one is 404 `no queue 'q' in vhost '/'` / `no exchange ...`. Carriage returns
 * and line feeds in names do not count, as in RabbitMQ. */
struct queue *vhost_need_queue(const struct vhost *vhost, struct bytes name, struct error *error);
struct exchange *vhost_need_exchange(const struct vhost *vhost, struct bytes name,
                                     struct error *error);

#endif
