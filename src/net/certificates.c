#include "net/certificates.h"

#include <signal.h>

/* The old ones stay in use when these are not good. */
static void on_hangup(struct ev_loop *ev, ev_signal *watcher, int events)
{
    (void)ev;
    (void)events;
    const struct certificates *certificates = watcher->data;
    char error[512];
    if (!certificates->tls)
        log_event(certificates->log, EVENT_nothing_to_reload, "reason=\"no listener has TLS\"");
    else if (tls_context_reload(certificates->tls, error, sizeof(error)))
        log_event(certificates->log, EVENT_tls_reloaded, "reason=SIGHUP");
    else
        log_event(certificates->log, EVENT_tls_not_reloaded, "reason=%s", error);
}

void certificates_start(struct certificates *certificates, struct ev_loop *ev,
                        const struct log *log)
{
    certificates->log = log;
    ev_signal_init(&certificates->hangup, on_hangup, SIGHUP);
    certificates->hangup.data = certificates;
    ev_signal_start(ev, &certificates->hangup);
}

void certificates_stop(struct certificates *certificates, struct ev_loop *ev)
{
    ev_signal_stop(ev, &certificates->hangup);
}
