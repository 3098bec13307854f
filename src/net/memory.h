/* Memory that was not needed for a while goes back to the system, in the time that a turn has for
 * it. */
#ifndef LEVERET_NET_MEMORY_H
#define LEVERET_NET_MEMORY_H

#include "store/store.h"

/* Once a turn. */
void memory_give_back(struct store *store);

#endif
