/* What signals do outside the loop. */
#ifndef LEVERET_NET_SIGNALS_H
#define LEVERET_NET_SIGNALS_H

#include "base/log.h"

/* SIGTERM and SIGINT end the process at once, as process 1 too, where they would do nothing
 * otherwise. That is what a start or a stop in progress should do: nothing that was confirmed is
 * lost. While loop_run runs, the first one stops it in good order instead. SIGHUP and SIGUSR1,
 * which loop_run obeys, do nothing, nor does anything else that somebody may send, or that is
 * better an error of a call: a broken pipe, a file too large, a terminal that belongs to another.
 */
void signals_end_at_once(void);
/* From now on, what ends the process at once is logged: a signal, or a crash. The sink has to be fit
 * for the handler of a signal, and `log` stays the caller's. NULL: no more. */
void signals_log(const struct log *log);

#endif
