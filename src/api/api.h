/* The management API: RabbitMQ's, as HTTP requests about a broker and their answers in JSON. Every
 * way in is this one: port 15672, the control socket, and the commands behind that. */
#ifndef LEVERET_API_API_H
#define LEVERET_API_API_H

#include "http/http.h"
#include "session/server.h"

/* The caller keeps all texts. */
struct api_options {
    const char *node;            /* what this broker is called: "leveret@host" */
    const char *cluster_name;    /* the same, if nothing else is said */
    const char *version;         /* of this program */
    const char *product_version; /* of the RabbitMQ that it behaves like: "3.13.7" */
    const char *path_prefix;     /* in front of "/api"; "": none */
};

struct api;

/* Everything passed stays the caller's and must outlive it. */
struct api *api_new(const struct api_options *options, struct server *server,
                    struct broker *broker);
void api_free(struct api *api);
struct http_handler *api_handler(struct api *api);

#endif
