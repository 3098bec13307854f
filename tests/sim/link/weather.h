/* What goes wrong between the nodes of a bench, and that it ends: partitions, connections that are reset, and links
 * that are slow. */
#ifndef LEVERET_TESTS_SIM_LINK_WEATHER_H
#define LEVERET_TESTS_SIM_LINK_WEATHER_H

#include "tests/sim/link/bench.h"

struct weather {
    struct bench *bench;
    uint32_t nodes;
    uint64_t block_until_ms[BENCH_NODES][BENCH_NODES], slow_until_ms;
};

enum rift_kind { RIFT_HALVES, RIFT_ALONE, RIFT_PAIR, RIFT_ONE_WAY, RIFT_KINDS };

/* Who does not reach whom: one half the other, node `a` nobody and nobody it, `a` and `b` each other, or `a` `b`. */
struct rift {
    enum rift_kind kind;
    uint32_t side; /* a bit for each node: which half it is in */
    uint32_t a, b;
};

/* All is well. */
void weather_init(struct weather *weather, struct bench *bench, uint32_t nodes);
/* Bytes of one node to another stay where they are, until then. */
void weather_block(struct weather *weather, uint32_t from, uint32_t to, uint64_t until_ms);
/* A rift of any kind; between whom is for the caller to say. */
struct rift weather_draw_rift(struct weather *weather);
/* There is one for some seconds; until when. */
uint64_t weather_part(struct weather *weather, const struct rift *rift);
/* A connection is reset. False: there is none. */
bool weather_reset_one(struct weather *weather);
/* So many bytes go each way of a connection in a millisecond, until then; 0: any. */
void weather_slow(struct weather *weather, size_t bytes_per_ms, uint64_t until_ms);
/* Ends what has lasted until then; UINT64_MAX: all of it. */
void weather_clear(struct weather *weather, uint64_t now_ms);

#endif
