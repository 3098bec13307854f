/* What will happen in a simulation, the earliest first. */
#ifndef LEVERET_TESTS_SIM_EVENTS_H
#define LEVERET_TESTS_SIM_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sim_event {
    uint64_t at_us;
    uint64_t order; /* of scheduling: decides between events of the same time */
    int kind;
    int machine;
    int which;      /* worker or client */
    uint64_t epoch; /* the event counts only in this one (of the machine, or the client's socket) */
};

struct events {
    struct sim_event *heap;
    size_t count, capacity;
    uint64_t orders;
};

void events_add(struct events *events, struct sim_event event);
/* False: there are none. */
bool events_take(struct events *events, struct sim_event *event);
void events_free(struct events *events);

#endif
