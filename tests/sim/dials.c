/* What a seed decides about a run before it begins. */
#include <inttypes.h>
#include <stdio.h>

#include "tests/sim/sim.h"

static uint64_t below(struct sim *sim, uint64_t limit)
{
    return sim_below(sim, limit);
}

static uint64_t one_of(struct sim *sim, uint64_t a, uint64_t b, uint64_t c)
{
    const uint64_t values[] = {a, b, c};
    return values[sim_below(sim, 3)];
}

void dials_draw(struct sim *sim)
{
    struct dials *dials = &sim->dials;
#define DIAL(name, value) dials->name = value;
#include "tests/sim/dials.def"
#undef DIAL
}

void dials_print(const struct sim *sim)
{
    printf("# dials of seed %" PRIu64 ":", sim->options->seed);
#define DIAL(name, value) printf(" " #name "=%" PRIu64, sim->dials.name);
#include "tests/sim/dials.def"
#undef DIAL
    printf("\n");
}

bool sim_mirrors(const struct sim *sim)
{
    return sim->options->agrees && sim->options->seed % 2;
}

/* Mostly small; now and then nothing, a page, or much. */
uint32_t sim_draw_size(struct sim *sim)
{
    uint64_t size = 8 + sim_below(sim, 300);
    if (sim_chance(sim, 20))
        size = sim_chance(sim, 2) ? 0 : 4096;
    if (sim_chance(sim, sim->dials.large_one_in))
        size = sim_below(sim, sim->dials.body_max);
    sim->report->met[MET_EMPTY] += size == 0;
    sim->report->met[MET_LARGE] += size > sim->dials.segment_bytes;
    return (uint32_t)size;
}
