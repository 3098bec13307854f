/* Signals that would end the program wait until it asks for them, as it has something to tidy up: Ctrl-C,
 * SIGTERM, and the end of a terminal. */
#ifndef LEVERET_CTL_HOLD_H
#define LEVERET_CTL_HOLD_H

#include <signal.h>

struct hold {
    sigset_t signals, before; /* that wait; what was blocked before */
    int signal;               /* that came; 0: none did */
};

/* From now on a signal is found by hold_pause, but for those that are ignored. */
void hold_begin(struct hold *hold);
/* Until then, or a signal. */
void hold_pause(struct hold *hold, double ms);
/* Signals are as they were before. */
void hold_end(const struct hold *hold);

#endif
