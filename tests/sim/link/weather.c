/* Faults of the network between the nodes of a bench. */
#include "tests/sim/link/weather.h"

enum { RIFT_MS = 5000, ARRIVES_MAX = 100000 };

void weather_init(struct weather *weather, struct bench *bench, uint32_t nodes)
{
    *weather = (struct weather){.bench = bench, .nodes = nodes};
}

void weather_block(struct weather *weather, uint32_t from, uint32_t to, uint64_t until_ms)
{
    struct bench *bench = weather->bench;
    bench->is_blocked[from][to] = bench->is_walled[from][to] = true;
    weather->block_until_ms[from][to] = until_ms;
}

struct rift weather_draw_rift(struct weather *weather)
{
    struct random *random = &weather->bench->random;
    struct rift rift = {.side = (uint32_t)random_below(random, 1 << BENCH_NODES)};
    rift.kind = (enum rift_kind)random_below(random, RIFT_KINDS);
    return rift;
}

static bool is_between(const struct rift *rift, uint32_t from, uint32_t to)
{
    switch (rift->kind) {
    case RIFT_HALVES:
        return (rift->side >> from & 1) != (rift->side >> to & 1);
    case RIFT_ALONE:
        return from == rift->a || to == rift->a;
    case RIFT_PAIR:
        return (from == rift->a && to == rift->b) || (from == rift->b && to == rift->a);
    default:
        return from == rift->a && to == rift->b;
    }
}

uint64_t weather_part(struct weather *weather, const struct rift *rift)
{
    struct bench *bench = weather->bench;
    uint64_t until_ms = bench->now_ms + 1 + random_below(&bench->random, RIFT_MS);
    for (uint32_t i = 0; i < weather->nodes; i++)
        for (uint32_t k = 0; k < weather->nodes; k++)
            if (i != k && is_between(rift, i, k))
                weather_block(weather, i, k, until_ms);
    return until_ms;
}

bool weather_reset_one(struct weather *weather)
{
    struct bench *bench = weather->bench;
    struct bench_pipe *pipe = bench_any_pipe(bench);
    if (pipe)
        bench_reset(bench, pipe, random_below(&bench->random, ARRIVES_MAX));
    return pipe;
}

void weather_slow(struct weather *weather, size_t bytes_per_ms, uint64_t until_ms)
{
    weather->bench->bytes_per_step = bytes_per_ms;
    weather->slow_until_ms = until_ms;
}

void weather_clear(struct weather *weather, uint64_t now_ms)
{
    struct bench *bench = weather->bench;
    for (uint32_t i = 0; i < weather->nodes; i++)
        for (uint32_t k = 0; k < weather->nodes; k++)
            if (now_ms >= weather->block_until_ms[i][k])
                bench->is_blocked[i][k] = bench->is_walled[i][k] = false;
    if (now_ms >= weather->slow_until_ms)
        bench->bytes_per_step = 0;
}
