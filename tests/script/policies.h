/* Words of a script that change policies: of the broker in memory by its functions, of RabbitMQ by
 * its command-line tool. */
#ifndef LEVERET_TESTS_SCRIPT_POLICIES_H
#define LEVERET_TESTS_SCRIPT_POLICIES_H

#include "tests/script/run.h"

/* False: not one of them. */
bool policies_line(struct run *run, const char *verb, char *line);
/* Takes away from RabbitMQ those that the script has set and left there. */
void policies_clean(struct run *run);

#endif
