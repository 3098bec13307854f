/* Memory limits come from the control group's files: a group's own limit, and those of the groups
 * around it, of which the lowest counts. Version 2 has one tree for all; version 1 one for memory.
 */
#include "machine.h"

#include <malloc.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    DESCRIPTORS_MAX = 1 << 20,
    TRIM_BYTES = 256 << 10, /* free memory at the top that is given back */
    MAP_BYTES = 128 << 10,  /* a block from which on it is mapped, and unmapped when freed */
};

/* The number in a file; UINT64_MAX when there is none ("max"). */
static uint64_t read_number(const char *path)
{
    char text[64] = "";
    FILE *file = fopen(path, "re");
    if (!file)
        return UINT64_MAX;
    char *line = fgets(text, sizeof(text), file);
    fclose(file);
    if (!line || text[0] < '0' || text[0] > '9')
        return UINT64_MAX;
    return strtoull(text, NULL, 10);
}

/* The lowest limit of a group and those around it; cuts `group` to nothing. */
static uint64_t group_limit(const char *root, char *group, const char *file)
{
    uint64_t lowest = UINT64_MAX;
    for (;;) {
        char path[1280];
        snprintf(path, sizeof(path), "%s%s/%s", root, group, file);
        uint64_t limit = read_number(path);
        if (limit < lowest)
            lowest = limit;
        char *slash = strrchr(group, '/');
        if (!slash)
            return lowest;
        *slash = '\0';
    }
}

/* A line of /proc/self/cgroup is number:controllers:path, with no controllers in version 2. */
static uint64_t line_limit(char *line)
{
    line[strcspn(line, "\n")] = '\0';
    char *controllers = strchr(line, ':');
    char *group = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!group)
        return UINT64_MAX;
    controllers++;
    *group++ = '\0';
    if (strcmp(group, "/") == 0)
        *group = '\0';
    if (*controllers == '\0')
        return group_limit("/sys/fs/cgroup", group, "memory.max");
    if (strstr(controllers, "memory"))
        return group_limit("/sys/fs/cgroup/memory", group, "memory.limit_in_bytes");
    return UINT64_MAX;
}

uint64_t machine_memory_bytes(void)
{
    long pages = sysconf(_SC_PHYS_PAGES);
    long page = sysconf(_SC_PAGESIZE);
    uint64_t lowest = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : UINT64_MAX;
    FILE *file = fopen("/proc/self/cgroup", "re");
    char line[1100];
    while (file && fgets(line, sizeof(line), file)) {
        uint64_t limit = line_limit(line);
        if (limit < lowest)
            lowest = limit;
    }
    if (file)
        fclose(file);
    return lowest == UINT64_MAX ? 0 : lowest;
}

/* The second number of statm, in pages. */
uint64_t machine_memory_used(void)
{
    unsigned long long size, resident = 0;
    long page = sysconf(_SC_PAGESIZE);
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file)
        return 0;
    if (fscanf(file, "%llu %llu", &size, &resident) != 2)
        resident = 0;
    fclose(file);
    return page > 0 ? resident * (uint64_t)page : 0;
}

unsigned machine_processors(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) < 0 || CPU_COUNT(&set) < 1)
        return 1;
    return (unsigned)CPU_COUNT(&set);
}

/* Each has a folder there. */
uint64_t machine_threads(void)
{
    struct stat tasks;
    return stat("/proc/self/task", &tasks) == 0 && tasks.st_nlink > 2 ? tasks.st_nlink - 2 : 0;
}

uint64_t machine_threads_max(void)
{
    struct rlimit limit;
    uint64_t most = read_number("/proc/sys/kernel/threads-max");
    if (getrlimit(RLIMIT_NPROC, &limit) == 0 && limit.rlim_cur < most)
        most = limit.rlim_cur;
    return most == UINT64_MAX ? 0 : most;
}

uint64_t machine_switches(void)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) < 0)
        return 0;
    return (uint64_t)usage.ru_nvcsw + (uint64_t)usage.ru_nivcsw;
}

size_t machine_raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 1024;
    rlim_t wanted = limit.rlim_max < DESCRIPTORS_MAX ? limit.rlim_max : DESCRIPTORS_MAX;
    if (limit.rlim_cur < wanted) {
        struct rlimit raised = {.rlim_cur = wanted, .rlim_max = limit.rlim_max};
        if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
            limit = raised;
    }
    return limit.rlim_cur < DESCRIPTORS_MAX ? (size_t)limit.rlim_cur : DESCRIPTORS_MAX;
}

size_t machine_descriptors(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? (size_t)limit.rlim_cur : 0;
}

void machine_tune_allocator(void)
{
    mallopt(M_ARENA_MAX, 2);
    mallopt(M_TRIM_THRESHOLD, TRIM_BYTES);
    mallopt(M_MMAP_THRESHOLD, MAP_BYTES);
}

void machine_trim_memory(void)
{
    malloc_trim(0);
}
