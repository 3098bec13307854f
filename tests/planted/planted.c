/* The bug that LEVERET_PLANTED names in the environment is planted; without it none is. */
#include "base/planted.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum planted choice = PLANTED_NONE;

static const char *const names[] = {
    [PLANTED_NONE] = "",
#define PLANTED(name, what) [PLANTED_##name] = #name,
#include "base/planted.def"
#undef PLANTED
};

__attribute__((constructor)) static void choose(void)
{
    const char *name = getenv("LEVERET_PLANTED");
    for (size_t i = 0; name && i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i], name) == 0)
            choice = (enum planted)i;
    if (name && strcmp(names[choice], name) != 0) {
        fprintf(stderr, "LEVERET_PLANTED: there is no bug %s\n", name);
        _Exit(2);
    }
}

bool planted(enum planted which)
{
    return which == choice;
}
