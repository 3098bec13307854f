#include "broker/broker.h"

#include "base/mem.h"
#include "broker/exchange.h"
#include "broker/vhost.h"

void broker_init(struct broker *broker, struct store *store, struct message_pool *pool,
                 struct random *random, const struct log *log)
{
    *broker = (struct broker){.store = store, .pool = pool, .random = random, .log = log};
    map_init(&broker->vhosts, random_next(random));
    map_init(&broker->users, random_next(random));
    queues_init(&broker->queues, store);
    list_init(&broker->dead_letters);
    list_init(&broker->removals);
    list_init(&broker->doomed);
    broker->dead_letter_set = mem_zalloc(sizeof(*broker->dead_letter_set));
}

/* Any entry of a map, or NULL when it is empty. */
static void *map_any(const struct map *map)
{
    uint64_t at = 0;
    return map_next(map, &at);
}

size_t broker_queues(const struct broker *broker)
{
    size_t count = 0;
    uint64_t at = 0;
    const struct vhost *vhost;
    while ((vhost = map_next(&broker->vhosts, &at)))
        count += map_count(&vhost->queues);
    return count;
}

void broker_free(struct broker *broker)
{
    for (struct vhost *vhost; (vhost = map_any(&broker->vhosts));)
        vhost_free(vhost);
    uint64_t at = 0;
    for (void *user; (user = map_next(&broker->users, &at));)
        mem_free(user);
    queues_free(&broker->queues);
    map_free(&broker->users);
    map_free(&broker->vhosts);
    changes_free(&broker->changes);
    buffer_free(&broker->scratch);
    queue_set_free(broker->dead_letter_set);
    mem_free(broker->dead_letter_set);
}
