/* The files of TLS are read again at SIGHUP, for connections to come. */
#ifndef LEVERET_NET_CERTIFICATES_H
#define LEVERET_NET_CERTIFICATES_H

#include <ev.h>

#include "base/log.h"
#include "net/tls.h"

struct certificates {
    const struct log *log;
    struct tls_context *tls; /* NULL: nobody listens with it */
    ev_signal hangup;
};

/* `tls` is set by whoever listens with it, and stays his. `log` must last until
 * certificates_stop. */
void certificates_start(struct certificates *certificates, struct ev_loop *ev,
                        const struct log *log);
void certificates_stop(struct certificates *certificates, struct ev_loop *ev);

#endif
