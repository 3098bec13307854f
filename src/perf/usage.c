/* /proc/PID/stat and statm, and the processor clock of a process, which counts nanoseconds where
 * stat counts ticks of 10 ms. */
#include "perf/usage.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "perf/clock.h"

static bool read_file(pid_t pid, const char *name, char *text, size_t size)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%ld/%s", (long)pid, name);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    size_t got = fread(text, 1, size - 1, file);
    fclose(file);
    text[got] = '\0';
    return got > 0;
}

static bool read_ticks(pid_t pid, struct usage *usage)
{
    char text[1024];
    if (!read_file(pid, "stat", text, sizeof(text)))
        return false;
    const char *at = strrchr(text, ')'); /* the name before it may hold anything */
    return at && sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64,
                        &usage->user_ticks, &usage->system_ticks) == 2;
}

bool usage_read(pid_t pid, struct usage *usage)
{
    char text[256];
    uint64_t pages;
    clockid_t clock;
    *usage = (struct usage){.read_at_ns = clock_ns()};
    if (!read_ticks(pid, usage))
        return false;
    if (clock_getcpuclockid(pid, &clock) == 0)
        usage->cpu_ns = clock_of(clock);
    if (usage->cpu_ns == 0)
        usage->cpu_ns =
            (usage->user_ticks + usage->system_ticks) * NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK);
    if (read_file(pid, "statm", text, sizeof(text)) && sscanf(text, "%*u %" SCNu64, &pages) == 1)
        usage->rss_bytes = pages * (uint64_t)sysconf(_SC_PAGESIZE);
    return true;
}

void usage_read_own(struct usage *usage)
{
    usage_read(getpid(), usage);
    usage->cpu_ns = clock_of(CLOCK_PROCESS_CPUTIME_ID);
}
