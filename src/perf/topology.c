/* Exchange, queues and bindings. Whether something is there is asked with passive declarations:
 * when it is not, the broker closes the channel, which is then opened again. */
#include "perf/topology.h"

#include "base/mem.h"
#include "perf/actor.h"
#include "perf/names.h"

static union method queue_declare(const struct options *options, const char *name, bool passive)
{
    return (union method){.queue_declare = {.id = METHOD_QUEUE_DECLARE,
                                            .queue = bytes_str(name),
                                            .passive = passive,
                                            .durable = options->durable,
                                            .auto_delete = options->auto_delete,
                                            .arguments = options->queue_arguments}};
}

/* Is it there? `good` becomes false when the link failed. */
static bool look(struct link *link, const union method *declare, uint32_t wanted,
                 union method *reply, bool *good)
{
    bool closed = false;
    if (link_call(link, ACTOR_CHANNEL, declare, wanted, reply, &closed))
        return true;
    *good = closed && link_open_channel(link, ACTOR_CHANNEL);
    return false;
}

static bool purge(struct topology *topology, const char *name)
{
    union method purge = {.queue_purge = {.id = METHOD_QUEUE_PURGE, .queue = bytes_str(name)}};
    return link_call(topology->link, ACTOR_CHANNEL, &purge, METHOD_QUEUE_PURGE_OK, NULL, NULL);
}

static bool make_queue(struct topology *topology, uint32_t index)
{
    const struct options *options = topology->options;
    struct link *link = topology->link;
    union method reply;
    bool good = true;
    char name[NAME_MAX_SIZE];
    queue_name(options, index, name);
    union method declare = queue_declare(options, name, true);
    if (look(link, &declare, METHOD_QUEUE_DECLARE_OK, &reply, &good)) {
        if (reply.queue_declare_ok.message_count == 0 || options->producers == 0)
            return true;
        if (options->purge)
            return purge(topology, name);
        return link_fail(link, "queue %s holds %u messages: give --purge, or another name", name,
                         reply.queue_declare_ok.message_count);
    }
    if (!good)
        return false;
    if (options->passive)
        return link_fail(link, "queue %s is not there", name);
    declare = queue_declare(options, name, false);
    topology->made[index] =
        link_call(link, ACTOR_CHANNEL, &declare, METHOD_QUEUE_DECLARE_OK, NULL, NULL);
    return topology->made[index];
}

static bool make_exchange(struct topology *topology)
{
    const struct options *options = topology->options;
    struct link *link = topology->link;
    bool good = true;
    if (!options->exchange_type || options->passive)
        return true;
    union method declare = {.exchange_declare = {.id = METHOD_EXCHANGE_DECLARE,
                                                 .exchange = bytes_str(options->exchange),
                                                 .type = bytes_str(options->exchange_type),
                                                 .passive = true,
                                                 .durable = options->durable}};
    if (look(link, &declare, METHOD_EXCHANGE_DECLARE_OK, NULL, &good) || !good)
        return good;
    declare.exchange_declare.passive = false;
    topology->made_exchange =
        link_call(link, ACTOR_CHANNEL, &declare, METHOD_EXCHANGE_DECLARE_OK, NULL, NULL);
    return topology->made_exchange;
}

/* One binding for each key that may be meant: with %m in the pattern, all of its values. */
static bool bind(struct topology *topology, uint32_t index)
{
    const struct options *options = topology->options;
    const char *pattern = options->binding_key ? options->binding_key : options->routing_key;
    uint32_t messages = pattern && strstr(pattern, "%m") ? options->keys : 1;
    uint32_t producers = pattern && strstr(pattern, "%p") ? options->producers : 1;
    char name[NAME_MAX_SIZE];
    char key[NAME_MAX_SIZE];
    queue_name(options, index, name);
    for (uint32_t i = 0; i < messages * producers; i++) {
        key_name(options, pattern, index, i / messages, i % messages, key);
        union method bind = {.queue_bind = {.id = METHOD_QUEUE_BIND,
                                            .queue = bytes_str(name),
                                            .exchange = bytes_str(options->exchange),
                                            .routing_key = bytes_str(key),
                                            .arguments = options->binding_arguments}};
        if (!link_call(topology->link, ACTOR_CHANNEL, &bind, METHOD_QUEUE_BIND_OK, NULL, NULL))
            return false;
    }
    return true;
}

bool topology_make(struct topology *topology, const struct options *options, struct link *link)
{
    *topology = (struct topology){.options = options, .link = link};
    topology->made = mem_zalloc(options->queues + 1);
    if (!link_open_channel(link, ACTOR_CHANNEL) || !make_exchange(topology))
        return false;
    bool asked = options->exchange_type || options->binding_key || options->binding_arguments.size;
    bool bound = *options->exchange && !options->passive && asked;
    for (uint32_t i = 0; i < options->queues; i++)
        if (!make_queue(topology, i) || (bound && !bind(topology, i)))
            return false;
    return true;
}

bool topology_remove(struct topology *topology)
{
    const struct options *options = topology->options;
    struct link *link = topology->link;
    char name[NAME_MAX_SIZE];
    bool good = true;
    if (options->keep || link_failed(link))
        return options->keep;
    for (uint32_t i = 0; i < options->queues && good; i++) {
        if (!topology->made[i])
            continue;
        union method delete = {.queue_delete = {.id = METHOD_QUEUE_DELETE,
                                                .queue = bytes_str(queue_name(options, i, name))}};
        good = link_call(link, ACTOR_CHANNEL, &delete, METHOD_QUEUE_DELETE_OK, NULL, NULL);
    }
    if (good && topology->made_exchange) {
        union method delete = {.exchange_delete = {.id = METHOD_EXCHANGE_DELETE,
                                                   .exchange = bytes_str(options->exchange)}};
        good = link_call(link, ACTOR_CHANNEL, &delete, METHOD_EXCHANGE_DELETE_OK, NULL, NULL);
    }
    return good;
}

bool topology_remove_anew(struct topology *topology, const struct link_target *target)
{
    struct link *link = topology->link;
    if (!topology->made)
        return true;
    link_close(link);
    return link_open(link, target, LINK_BUFFER_SMALL) && link_open_channel(link, ACTOR_CHANNEL) &&
           topology_remove(topology);
}

void topology_free(struct topology *topology)
{
    mem_free(topology->made);
    topology->made = NULL;
}
