#include "store/counts.h"

/* `sign` is 1, or -1 as it wraps around. */
static void add_to(struct counts *sum, const struct counts *counts, uint64_t sign)
{
    for (; sum; sum = sum->above) {
        sum->ready += sign * counts->ready;
        sum->taken += sign * counts->taken;
        sum->delayed += sign * counts->delayed;
        sum->ready_bytes += sign * counts->ready_bytes;
        sum->bytes += sign * counts->bytes;
    }
}

void counts_sum(struct counts *counts, struct counts *above)
{
    add_to(counts->above, counts, UINT64_MAX);
    counts->above = above;
    if (counts->heeds != COUNTS_NOTED)
        counts->heeds = above ? COUNTS_ABOVE : COUNTS_UNHEEDED;
    add_to(above, counts, 1);
}
