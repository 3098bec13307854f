/* What signals do outside the loop. */
#ifndef LEVERET_NET_SIGNALS_H
#define LEVERET_NET_SIGNALS_H

/* SIGTERM and SIGINT end the process at once, as process 1 too, where they would do nothing otherwise.
 * That is what a start or a stop in progress should do: nothing that was confirmed is lost. While
 * loop_run runs, the first one stops it in good order instead. A broken pipe or a file too large is
 * an error of a call, and never a signal. */
void signals_end_at_once(void);

#endif
