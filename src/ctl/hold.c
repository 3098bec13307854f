#include "ctl/hold.h"

#include <stddef.h>
#include <time.h>

void hold_begin(struct hold *hold)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    hold->signal = 0;
    sigemptyset(&hold->signals);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        struct sigaction now;
        if (sigaction(signals[i], NULL, &now) == 0 && now.sa_handler != SIG_IGN)
            sigaddset(&hold->signals, signals[i]);
    }
    sigprocmask(SIG_BLOCK, &hold->signals, &hold->before);
}

void hold_pause(struct hold *hold, double ms)
{
    struct timespec pause = {(time_t)(ms / 1000), 0};
    pause.tv_nsec = (long)((ms - (double)pause.tv_sec * 1000) * 1e6);
    int signal = sigtimedwait(&hold->signals, NULL, &pause);
    hold->signal = signal > 0 ? signal : 0;
}

void hold_end(const struct hold *hold)
{
    sigprocmask(SIG_SETMASK, &hold->before, NULL);
}
