/* One piece in each turn in which there is one, and more as long as that takes little time: how
 * long a piece takes depends on the machine, and only here is a clock. */
#include "net/memory.h"

#include "net/clock.h"

enum { GIVE_US = 500 }; /* of a turn may be spent on it */

void memory_give_back(struct store *store)
{
    if (!store_give_memory_back(store))
        return;
    uint64_t until_us = clock_monotonic_us() + GIVE_US;
    while (clock_monotonic_us() < until_us && store_give_memory_back(store))
        continue;
}
