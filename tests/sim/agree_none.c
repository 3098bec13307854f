/* This build has no groups: see agree.c. */
#include "tests/sim/sim.h"


bool agree_may(void)
{
    return false;
}

bool agree_open(struct machine *machine)
{
    (void)machine;
    return false;
}

void agree_begin(struct machine *machine)
{
    (void)machine;
}

void agree_close(struct machine *machine)
{
    (void)machine;
}
