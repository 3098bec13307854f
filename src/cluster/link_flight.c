/* For each group a ring of what was sent together, the oldest first. It has as many places as there
 * may be entries, as each has one at least. */
#include "cluster/link_flight.h"

#include "base/mem.h"

struct batch {
    uint64_t last; /* index of its last entry */
    uint32_t count;
    size_t bytes;
};

struct flight {
    uint64_t group;
    uint32_t first, batches; /* in `sent` */
    uint32_t entries;
    size_t bytes;
    struct batch sent[LINK_FLIGHT_ENTRIES];
};

void link_flights_init(struct link_flights *flights)
{
    idmap_init(&flights->groups);
}

void link_flights_clear(struct link_flights *flights)
{
    uint64_t at = 0;
    for (struct flight *flight; (flight = idmap_next(&flights->groups, &at));)
        mem_free(flight);
    idmap_free(&flights->groups);
    idmap_init(&flights->groups);
}

bool link_flights_have_room(const struct link_flights *flights, uint64_t group, uint32_t count,
                            size_t bytes)
{
    const struct flight *flight = idmap_find(&flights->groups, group);
    if (!flight || flight->batches == 0)
        return true;
    return flight->batches < LINK_FLIGHT_ENTRIES && bytes <= LINK_FLIGHT_BYTES &&
           flight->bytes <= LINK_FLIGHT_BYTES - bytes && count <= LINK_FLIGHT_ENTRIES &&
           flight->entries <= LINK_FLIGHT_ENTRIES - count;
}

static struct batch *batch_at(struct flight *flight, uint32_t number)
{
    return &flight->sent[(flight->first + number) % LINK_FLIGHT_ENTRIES];
}

/* A flight that has landed takes no memory. */
static void forget_if_empty(struct link_flights *flights, struct flight *flight)
{
    if (flight->batches)
        return;
    idmap_remove(&flights->groups, flight->group);
    mem_free(flight);
}

static void forget_from(struct flight *flight, uint64_t index)
{
    while (flight->batches && batch_at(flight, flight->batches - 1)->last >= index) {
        const struct batch *last = batch_at(flight, --flight->batches);
        flight->bytes -= last->bytes;
        flight->entries -= last->count;
    }
}

void link_flights_sent(struct link_flights *flights, uint64_t group, uint64_t first, uint32_t count,
                       size_t bytes)
{
    struct flight *flight = idmap_find(&flights->groups, group);
    if (!flight) {
        flight = mem_zalloc(sizeof(*flight));
        flight->group = group;
        idmap_add(&flights->groups, group, flight);
    }
    forget_from(flight, first);
    if (flight->batches == LINK_FLIGHT_ENTRIES)
        return; /* who did not ask is not counted */
    *batch_at(flight, flight->batches++) = (struct batch){first + count - 1, count, bytes};
    flight->bytes += bytes;
    flight->entries += count;
}

void link_flights_answered(struct link_flights *flights, uint64_t group, uint64_t last)
{
    struct flight *flight = idmap_find(&flights->groups, group);
    if (!flight)
        return;
    while (flight->batches && batch_at(flight, 0)->last <= last) {
        const struct batch *oldest = batch_at(flight, 0);
        flight->bytes -= oldest->bytes;
        flight->entries -= oldest->count;
        flight->first = (flight->first + 1) % LINK_FLIGHT_ENTRIES;
        flight->batches--;
    }
    forget_if_empty(flights, flight);
}

void link_flights_reset(struct link_flights *flights, uint64_t group)
{
    struct flight *flight = idmap_find(&flights->groups, group);
    if (!flight)
        return;
    flight->batches = 0;
    forget_if_empty(flights, flight);
}
