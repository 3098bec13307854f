/* The two clocks, read here and handed to everything below. */
#ifndef LEVERET_NET_CLOCK_H
#define LEVERET_NET_CLOCK_H

#include <stdint.h>

/* Milliseconds that only rise; of no meaning to another process. */
uint64_t clock_monotonic_ms(void);
/* Milliseconds since 1970, UTC. */
uint64_t clock_wall_ms(void);

#endif
