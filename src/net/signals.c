/* Signal handlers that do nothing but remember, or leave. */
#include "net/signals.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    PATIENCE_S = 1,
    START_S = 2,     /* after which a start is ended that has not looked */
    SAME_MS = 1000, /* so long a signal is the same wish as the first one */
};

/* Handlers have no other way to it. */
static const struct log *last_log;
/* The first one, and when it came by the monotonic clock; 0: none has. */
static atomic_int first;
static _Atomic int64_t first_ms;
static atomic_bool is_starting; /* the start looks by itself whether one has come */
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_BOOL_LOCK_FREE == 2, "handlers may use them");

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

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

static void handle(int number, void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, NULL);
}

/* Should the descriptor block after all, SIGALRM ends it. */
static void say(enum event event, int number)
{
    alarm(PATIENCE_S);
    log_event(last_log, event, "signal=%s", name_of(number));
}

static void leave(int number, int status)
{
    handle(SIGALRM, SIG_DFL, 0);
    say(EVENT_ended_at_once, number);
    _exit(status);
}

/* A start that has not looked in time: one of its steps takes long. */
static void give_up(int number)
{
    (void)number;
    leave(atomic_load(&first), EXIT_SUCCESS);
}

/* True: it is the first one. */
static bool note(int number)
{
    int none = 0;
    if (!atomic_compare_exchange_strong(&first, &none, number))
        return false;
    atomic_store(&first_ms, now_ms());
    return true;
}

static void ask(int number)
{
    if (!note(number)) {
        if (now_ms() - atomic_load(&first_ms) >= SAME_MS)
            leave(number, 128 + number);
    } else if (atomic_load(&is_starting)) {
        handle(SIGALRM, give_up, SA_RESTART);
        alarm(START_S);
    }
}

/* The signal does what it does by default as soon as this returns. */
static void crash(int number)
{
    say(EVENT_crashed, number);
    alarm(0);
    raise(number);
}

static void set_all(void)
{
    /* SIGCHLD: process 1 inherits children; ignored, they need no waiting for. */
    static const int ignored[] = {SIGHUP,  SIGUSR1, SIGUSR2, SIGPIPE,
                                  SIGXFSZ, SIGTTIN, SIGTTOU, SIGCHLD};
    handle(SIGTERM, ask, SA_RESTART);
    handle(SIGINT, ask, SA_RESTART);
    for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
        handle(ignored[i], SIG_IGN, 0);
}

/* Those that ask for an end are held back, or come: SIG_BLOCK or SIG_UNBLOCK. */
static void hold(int how)
{
    sigset_t both;
    sigemptyset(&both);
    sigaddset(&both, SIGTERM);
    sigaddset(&both, SIGINT);
    sigprocmask(how, &both, NULL);
}

void signals_begin(void)
{
    atomic_store(&is_starting, true);
    set_all();
    hold(SIG_UNBLOCK);
}

void signals_stop(void)
{
    atomic_store(&is_starting, false);
    set_all();
}

void signals_hand_over(void)
{
    atomic_store(&is_starting, false);
    alarm(0);
}

void signals_came(int number)
{
    note(number);
}

const char *signals_asked(void)
{
    int number = atomic_load(&first);
    return number ? name_of(number) : NULL;
}

void signals_keep(void)
{
    hold(SIG_BLOCK);
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
