/* Where a broker is, and who asks: amqp://user:password@host:port/vhost. */
#ifndef LEVERET_PERF_URI_H
#define LEVERET_PERF_URI_H

#include "base/bytes.h"

enum { URI_PART_MAX = 255 };

struct uri {
    bool tls; /* amqps */
    char user[URI_PART_MAX + 1];
    char password[URI_PART_MAX + 1];
    char host[URI_PART_MAX + 1]; /* an IPv6 address without its brackets */
    char port[6];
    char vhost[URI_PART_MAX + 1];
};

/* Reads a URI as RabbitMQ's clients do: what is missing is guest, guest, localhost, 5672 (5671 with
 * TLS) and "/"; parts are percent-decoded; a path that is only "/" names the vhost "". False when
 * it is none, or a part is too long. */
bool uri_read(const char *text, struct uri *uri);

#endif
