/* The broker as a child: started, read, signalled. Its log comes through a pipe, so that nothing
 * has to wait to learn that it is ready; it is kept in a file as well. */
#ifndef LEVERET_TESTS_KILL_DAEMON_H
#define LEVERET_TESTS_KILL_DAEMON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* Counters of the line that SIGUSR1 makes the broker log, by their names in there. */
enum counter {
    COUNTER_SETTLES,
    COUNTER_ROLLS,
    COUNTER_SPILLS,
    COUNTER_CHECKPOINTS,
    COUNTER_COMPACTIONS,
    COUNTER_SYNCS,
    COUNTER_MESSAGES,
    COUNTER_ELIDED,
    COUNTER_MARKS,
    COUNTER_RETIRED,
    COUNTER_RECYCLED,
    COUNTER_LOADED,
    COUNTER_READ,
    COUNTER_MOVED,
    COUNTER_REPLAYED,
    COUNTER_DAMAGED,
    COUNTERS
};

extern const char *const counter_names[COUNTERS];

struct daemon {
    char *const *command; /* NULL at its end */
    FILE *log;
    pid_t pid; /* 0: none */
    int output;
    uint16_t port;
    bool is_ready;
    bool has_reported;
    uint64_t counters[COUNTERS]; /* sums of all reports */
    char line[2048];
    size_t line_size;
    char last[512]; /* line that was an error or a warning */
};

void daemon_start(struct daemon *daemon);
/* Reads what it has logged, without waiting; false: it has closed its end. */
bool daemon_read(struct daemon *daemon);
/* It has ended, or does within `patience_ms`: its status as waitpid gives it; -1: it has not. */
int daemon_wait(struct daemon *daemon, uint32_t patience_ms);
/* Stops all its threads where they are; it can only be killed then. If it has just ended there is none. */
void daemon_freeze(struct daemon *daemon);
/* How long its threads and this process were ready to run and had no processor, in ms; 0 where the
 * system does not tell. */
uint64_t daemon_starved_ms(const struct daemon *daemon);
/* SIGKILL, and waits. */
void daemon_kill(struct daemon *daemon);

#endif
