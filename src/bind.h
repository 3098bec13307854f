/* The addresses at which somebody listens, as the options name them. */
#ifndef LEVERET_BIND_H
#define LEVERET_BIND_H

#include "net/loop.h"
#include "options.h"

struct binding {
    struct loop *loop;
    const struct log *log; /* told why an address cannot be had */
    const struct options *options;
    struct tls_context *tls, *management_tls, *metrics_tls; /* for listeners that have it; or NULL */
    struct service **amqp, **management, **metrics, **web; /* what is listened for: see loop_bind */
};

enum { PORT_CLUSTER = 25672 };

/* Binds those of clients, and of the API. False: the start has to end, and why is logged. */
bool bind_clients(const struct binding *binding);
bool bind_management(const struct binding *binding);
/* The same for AMQP over WebSocket. */
bool bind_web(const struct binding *binding);
/* The same for metrics. */
bool bind_metrics(const struct binding *binding);
/* The same for other brokers. */
bool bind_brokers(const struct binding *binding, const char *at, struct tls_context *tls,
                  struct service **service);
/* The same at a path of this machine, or in the data folder. */
bool bind_control(const struct binding *binding, const char *data_dir);
/* What can be done about an errno value, behind a text that says what has failed; or "". */
const char *bind_advice(int error);
/* Logs that nobody can listen at a place, for this errno value. */
void bind_refused(const struct log *log, const char *where, int error);

#endif
