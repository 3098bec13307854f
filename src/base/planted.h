/* Bugs that are planted to see that tests find them. In the broker there are none: planted() is false
 * when it is compiled, and costs nothing. Libraries compiled with LEVERET_PLANTED defined have them all,
 * and tests/planted/planted.c chooses one. */
#ifndef LEVERET_BASE_PLANTED_H
#define LEVERET_BASE_PLANTED_H

#include <stdbool.h>

enum planted {
    PLANTED_NONE,
#define PLANTED(name, what) PLANTED_##name,
#include "base/planted.def"
#undef PLANTED
};

#ifdef LEVERET_PLANTED
bool planted(enum planted which);
#else
#define planted(which) ((void)(which), false)
#endif

#endif
