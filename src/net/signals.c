/* Signal handlers that do nothing but leave. */
#include "net/signals.h"

#include <signal.h>
#include <stddef.h>
#include <unistd.h>

static void leave(int number)
{
    _exit(128 + number);
}

static void handle(int number, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, NULL);
}

void signals_end_at_once(void)
{
    handle(SIGTERM, leave);
    handle(SIGINT, leave);
    handle(SIGUSR1, SIG_IGN);
    handle(SIGPIPE, SIG_IGN);
    handle(SIGXFSZ, SIG_IGN);
    handle(SIGCHLD, SIG_IGN); /* process 1 inherits children; ignored, they need no waiting for */
}
