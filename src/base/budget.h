/* How much may still be done before others have their turn. It is counted in steps of about 10 ns on
 * a machine of today, and never in time: what happens does not depend on how fast the machine is,
 * and a test can count.
 *
 * Who works takes steps away for what the work costs, however deep below the loop that is; a loop over
 * something that a peer can make large looks at what is left, leaves the rest where it is found
 * again (a list that is looked at once a turn), and ends. A budget may be overdrawn by what cannot be
 * divided. */
#ifndef LEVERET_BASE_BUDGET_H
#define LEVERET_BASE_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

enum { BUDGET_MS = 100000 }; /* steps in a millisecond, about */

struct budget {
    int64_t left; /* steps; less than 0: overdrawn */
};

static inline struct budget budget_of(int64_t steps)
{
    return (struct budget){steps};
}

static inline void budget_use(struct budget *budget, uint64_t steps)
{
    budget->left -= (int64_t)steps;
}

static inline bool budget_is_spent(const struct budget *budget)
{
    return budget->left <= 0;
}

#endif
