/* Words of a script that change users, virtual hosts and permissions of the broker in memory. */
#ifndef LEVERET_TESTS_SCRIPT_ACCESS_H
#define LEVERET_TESTS_SCRIPT_ACCESS_H

#include "tests/script/run.h"

/* False: not one of them. */
bool access_line(struct run *run, const char *verb, char *line);

#endif
