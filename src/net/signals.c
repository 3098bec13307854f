/* Signal handlers that do nothing but leave. */
#include "net/signals.h"

#include <signal.h>
#include <stddef.h>
#include <unistd.h>

enum { PATIENCE_S = 1 };

/* Handlers have no other way to it. */
static const struct log *last_log;

static const char *name_of(int number)
{
    static const struct {
        int number;
        const char *name;
    } names[] = {
        {SIGTERM, "SIGTERM"}, {SIGINT, "SIGINT"}, {SIGABRT, "SIGABRT"}, {SIGSEGV, "SIGSEGV"},
        {SIGBUS, "SIGBUS"},   {SIGFPE, "SIGFPE"}, {SIGILL, "SIGILL"},
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (names[i].number == number)
            return names[i].name;
    return "unknown";
}

/* Should the descriptor block after all, SIGALRM ends it. */
static void say(enum event event, int number)
{
    alarm(PATIENCE_S);
    log_event(last_log, event, "signal=%s", name_of(number));
}

static void leave(int number)
{
    say(EVENT_ended_at_once, number);
    _exit(128 + number);
}

/* The signal does what it does by default as soon as this returns. */
static void crash(int number)
{
    say(EVENT_crashed, number);
    alarm(0);
    raise(number);
}

static void handle(int number, void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, NULL);
}

void signals_end_at_once(void)
{
    /* SIGCHLD: process 1 inherits children; ignored, they need no waiting for. */
    static const int ignored[] = {SIGHUP,  SIGUSR1, SIGUSR2, SIGPIPE,
                                  SIGXFSZ, SIGTTIN, SIGTTOU, SIGCHLD};
    handle(SIGTERM, leave, SA_RESTART);
    handle(SIGINT, leave, SA_RESTART);
    for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
        handle(ignored[i], SIG_IGN, 0);
}

/* A sanitizer's handler, if there is one, says more. */
static void handle_crash(int number)
{
    struct sigaction before;
    if (sigaction(number, NULL, &before) == 0 && before.sa_handler == SIG_DFL)
        handle(number, crash, (int)SA_RESETHAND);
}

void signals_log(const struct log *log)
{
    static const int crashes[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    last_log = log;
    for (size_t i = 0; i < sizeof(crashes) / sizeof(crashes[0]); i++)
        handle_crash(crashes[i]);
}
