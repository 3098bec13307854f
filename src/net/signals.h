/* What signals do outside the loop. */
#ifndef LEVERET_NET_SIGNALS_H
#define LEVERET_NET_SIGNALS_H

#include "base/log.h"

/* SIGTERM and SIGINT ask for an end: the first of them that comes to a process. While loop_run runs, it
 * stops the loop in good order. A start looks whether one has come, between its steps, and is ended by
 * it after two seconds at the latest, with status 0. What comes in the second after the first one means
 * the same; later ones end the process at once. None of that loses anything that was confirmed.
 *
 * SIGHUP and SIGUSR1, which loop_run obeys, do nothing otherwise, nor does anything else that somebody may
 * send, or that is better an error of a call: a broken pipe, a file too large, a terminal that belongs to
 * another. All that is set, as process 1 needs it, too, for which the system has no defaults. */
void signals_begin(void);
/* The same for what follows a loop: nobody looks any more, and it has its own time. */
void signals_stop(void);
/* The loop obeys SIGTERM and SIGINT from now on, and tells here which one has come to it. */
void signals_hand_over(void);
void signals_came(int number);
/* The name of the first one that has come, to whomever; NULL: none has. */
const char *signals_asked(void);
/* Before the process begins anew by exec: what comes from now on is for who calls signals_begin there. */
void signals_keep(void);
/* From now on, what ends the process at once is logged: a signal, or a crash. The sink has to be fit
 * for the handler of a signal, and `log` stays the caller's. NULL: no more. */
void signals_log(const struct log *log);

#endif
