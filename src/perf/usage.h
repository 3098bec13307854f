/* What a process has used: processor time and memory, of the broker or of this program. */
#ifndef LEVERET_PERF_USAGE_H
#define LEVERET_PERF_USAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct usage {
    uint64_t cpu_ns;
    uint64_t user_ticks, system_ticks; /* to tell the kinds apart; a tick is 10 ms */
    uint64_t rss_bytes;
    uint64_t read_at_ns;
};

/* Of a process of this machine; false when there is none, or it may not be looked at. The time is
 * the process's own clock where the system gives it, and user and system ticks otherwise. */
bool usage_read(pid_t pid, struct usage *usage);
/* Of this program, all threads. */
void usage_read_own(struct usage *usage);

#endif
