/* The clocks, read here and handed to everything below. */
#ifndef LEVERET_NET_CLOCK_H
#define LEVERET_NET_CLOCK_H

#include <stdint.h>

/* Milliseconds that only rise; of no meaning to another process. */
uint64_t clock_monotonic_ms(void);
/* The same clock in microseconds. */
uint64_t clock_monotonic_us(void);
/* The same, as of the last tick of the kernel (every 1 to 10 ms), for a fraction of the price. */
uint64_t clock_coarse_us(void);
/* Microseconds of a processor that the calling thread has had. */
uint64_t clock_thread_us(void);
/* Milliseconds since 1970, UTC. */
uint64_t clock_wall_ms(void);

#endif
