/* The broker as a child process. */
#include "daemon.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

const char *const counter_names[COUNTERS] = {
    "settles_written",  "segments_rolled",   "chunks_spilled",
    "checkpoints",      "compactions",       "syncs",
    "messages_written", "records_elided",    "marks_written",
    "segments_retired", "segments_recycled", "chunks_loaded",
    "bodies_read",      "messages_moved",    "replayed_batches",
    "damaged",
};

static void run_child(struct daemon *daemon, const int output[2])
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int nothing = open("/dev/null", O_RDWR);
    dup2(nothing, STDIN_FILENO);
    dup2(nothing, STDOUT_FILENO);
    dup2(output[1], STDERR_FILENO);
    execv(daemon->command[0], daemon->command);
    _exit(127);
}

void daemon_start(struct daemon *daemon)
{
    int output[2];
    if (pipe2(output, O_CLOEXEC) < 0) {
        perror("pipe");
        exit(2);
    }
    fcntl(output[0], F_SETFL, O_NONBLOCK);
    daemon->is_ready = daemon->has_reported = false;
    daemon->line_size = 0;
    daemon->last[0] = '\0';
    daemon->port = 0;
    daemon->pid = fork();
    if (daemon->pid < 0) {
        perror("fork");
        exit(2);
    }
    if (daemon->pid == 0)
        run_child(daemon, output);
    close(output[1]);
    daemon->output = output[0];
}

static void read_counters(struct daemon *daemon, const char *line)
{
    for (size_t i = 0; i < COUNTERS; i++) {
        char key[64];
        snprintf(key, sizeof(key), " %s=", counter_names[i]);
        const char *at = strstr(line, key);
        if (at)
            daemon->counters[i] += strtoull(at + strlen(key), NULL, 10);
    }
    daemon->has_reported = true;
}

static void take_line(struct daemon *daemon, const char *line)
{
    fprintf(daemon->log, "%s\n", line);
    const char *address = strstr(line, "listening address=");
    if (address)
        daemon->port = (uint16_t)strtoul(strrchr(address, ':') + 1, NULL, 10);
    if (strstr(line, "Server startup complete"))
        daemon->is_ready = true;
    if (strstr(line, " store_stats "))
        read_counters(daemon, line);
    if (strstr(line, "Z error ") || strstr(line, "Z warning ") || !strstr(line, "Z "))
        snprintf(daemon->last, sizeof(daemon->last), "%.500s", line);
}

static void take_bytes(struct daemon *daemon, const char *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (data[i] != '\n' && daemon->line_size < sizeof(daemon->line) - 1) {
            daemon->line[daemon->line_size++] = data[i];
            continue;
        }
        daemon->line[daemon->line_size] = '\0';
        take_line(daemon, daemon->line);
        daemon->line_size = 0;
    }
}

bool daemon_read(struct daemon *daemon)
{
    char data[4096];
    for (;;) {
        ssize_t n = read(daemon->output, data, sizeof(data));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN;
        if (n == 0)
            return false;
        take_bytes(daemon, data, (size_t)n);
    }
}

static void forget(struct daemon *daemon)
{
    daemon_read(daemon);
    fflush(daemon->log);
    close(daemon->output);
    daemon->pid = 0;
}

int daemon_wait(struct daemon *daemon, uint32_t patience_ms)
{
    int status;
    for (uint32_t waited = 0; waited <= patience_ms; waited++) {
        daemon_read(daemon);
        if (waitpid(daemon->pid, &status, WNOHANG) == daemon->pid) {
            forget(daemon);
            return status;
        }
        nanosleep(&(struct timespec){.tv_nsec = waited ? 1000000 : 0}, NULL);
    }
    return -1;
}

void daemon_freeze(struct daemon *daemon)
{
    int status;
    kill(daemon->pid, SIGSTOP);
    waitpid(daemon->pid, &status, WUNTRACED);
    if (!WIFSTOPPED(status))
        forget(daemon);
}

/* A thread that has ended meanwhile has none. */
static uint64_t thread_starved_ns(pid_t pid, const char *thread)
{
    char path[300];
    unsigned long long run = 0, waited = 0;
    snprintf(path, sizeof(path), "/proc/%d/task/%.32s/schedstat", (int)pid, thread);
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    if (fscanf(file, "%llu %llu", &run, &waited) != 2)
        waited = 0;
    fclose(file);
    return waited;
}

static uint64_t process_starved_ns(pid_t pid)
{
    char path[64];
    uint64_t sum = 0;
    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *threads = opendir(path);
    if (!threads)
        return 0;
    for (const struct dirent *entry = readdir(threads); entry; entry = readdir(threads))
        if (entry->d_name[0] != '.')
            sum += thread_starved_ns(pid, entry->d_name);
    closedir(threads);
    return sum;
}

uint64_t daemon_starved_ms(const struct daemon *daemon)
{
    uint64_t own = process_starved_ns(getpid());
    return (own + (daemon->pid ? process_starved_ns(daemon->pid) : 0)) / 1000000;
}

void daemon_kill(struct daemon *daemon)
{
    int status;
    if (!daemon->pid)
        return;
    kill(daemon->pid, SIGKILL);
    waitpid(daemon->pid, &status, 0);
    forget(daemon);
}
