/* One protocol that is served: it makes a conversation of each new peer, and has its part of every
 * turn. Several live in one loop, and a listener is bound to the one whose conversations it makes.
 *
 * They are ticked in the order in which they were given to the loop. What one does to an object
 * that an earlier one drives (the store, a queue) is taken further in the next turn, for which the
 * earlier one asks by its next_ms. */
#ifndef LEVERET_PEER_SERVICE_H
#define LEVERET_PEER_SERVICE_H

#include <stdint.h>

#include "peer/outcall.h"
#include "peer/conversation.h"

struct service;

struct service_ops {
    const char *name; /* of the protocol, where it is logged who listens: "http"; NULL: none */
    /* The conversation with a new peer; never NULL. `peer` stays the caller's. */
    struct conversation *(*accept)(struct service *service, const struct peer *peer);
    /* A turn begins, and its input comes now; and again, when time has passed amid the input: what
     * comes in is timed by this. NULL: it is not. */
    void (*woken)(struct service *service, uint64_t now_ms);
    /* What a turn decides once all input was acted on. `now_ms` is monotonic, `clock_ms` the wall
     * clock. NULL: nothing. */
    void (*tick)(struct service *service, uint64_t now_ms, uint64_t clock_ms);
    /* When `tick` must be called next even if nothing happens; UINT64_MAX: no need. 0: at once.
     * NULL: never any need. */
    uint64_t (*next_ms)(const struct service *service);
    /* Every conversation says goodbye and comes to its end, new ones as well. */
    void (*shutdown)(struct service *service);
    /* Why the program must stop: every conversation is being ended. NULL: it need not; or, for the
     * function itself, it never must. */
    const char *(*failure)(const struct service *service);
};

/* The first member of a protocol's own object. */
struct service {
    const struct service_ops *ops;
    struct list link;     /* among the services of a loop */
    struct list writable; /* conversations that service_take_writable has to name */
    struct list calls;    /* of which service_take_call has to tell */
};

static inline void service_init(struct service *service, const struct service_ops *ops)
{
    service->ops = ops;
    list_init(&service->link);
    list_init(&service->writable);
    list_init(&service->calls);
}

/* For the protocol: the conversation has output, or is finished, or may want input now where it did
 * not before, or the other way round. */
static inline void service_touch(struct service *service, struct conversation *conversation)
{
    if (list_is_empty(&conversation->writable_link))
        list_push_back(&service->writable, &conversation->writable_link);
}

/* For who has the bytes: one that was touched, or NULL. Each is named once. */
static inline struct conversation *service_take_writable(struct service *service)
{
    struct list *link = list_take_first(&service->writable);
    return link ? list_entry(link, struct conversation, writable_link) : NULL;
}

/* For the protocol: it wants to be connected. */
static inline void service_call(struct service *service, struct outcall *call)
{
    list_push_back(&service->calls, &call->link);
}

/* For who has the sockets: a call that was not taken yet, or NULL. */
static inline struct outcall *service_take_call(struct service *service)
{
    struct list *link = list_take_first(&service->calls);
    return link ? list_entry(link, struct outcall, link) : NULL;
}

/* A new peer; `owner` is kept for who has the bytes. */
static inline struct conversation *service_accept(struct service *service, const struct peer *peer,
                                                  void *owner)
{
    struct conversation *conversation = service->ops->accept(service, peer);
    conversation->owner = owner;
    return conversation;
}

static inline void service_woken(struct service *service, uint64_t now_ms)
{
    if (service->ops->woken)
        service->ops->woken(service, now_ms);
}

static inline void service_tick(struct service *service, uint64_t now_ms, uint64_t clock_ms)
{
    if (service->ops->tick)
        service->ops->tick(service, now_ms, clock_ms);
}

static inline uint64_t service_next_ms(const struct service *service)
{
    return service->ops->next_ms ? service->ops->next_ms(service) : UINT64_MAX;
}

static inline void service_shutdown(struct service *service)
{
    service->ops->shutdown(service);
}

static inline const char *service_failure(const struct service *service)
{
    return service->ops->failure ? service->ops->failure(service) : NULL;
}

#endif
