/* What the machine, or the container, lets this process have. */
#ifndef LEVERET_MACHINE_H
#define LEVERET_MACHINE_H

#include <stddef.h>
#include <stdint.h>

/* Memory in bytes: the machine's, or the control group's when that is less. 0: unknown. */
uint64_t machine_memory_bytes(void);
/* Of this process, in memory: in bytes. 0: unknown. */
uint64_t machine_memory_used(void);
/* Processors that this process may run on; at least 1. */
unsigned machine_processors(void);
/* Threads of this process, and how many there may be; 0: unknown. */
uint64_t machine_threads(void);
uint64_t machine_threads_max(void);
/* How often another process, or thread, had its processor since its start. */
uint64_t machine_switches(void);
/* Raises the limit of open descriptors as far as is allowed and useful; returns what it is then. */
size_t machine_raise_descriptors(void);
/* What it is now. */
size_t machine_descriptors(void);
/* Sets the C library's allocator up for a process that should give memory back. */
void machine_tune_allocator(void);
/* Gives back what is free between what is in use, after much was for a while. */
void machine_trim_memory(void);

#endif
