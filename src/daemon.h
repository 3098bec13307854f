/* What there is one of in a daemon: leveretd.c builds it from the bottom up, and control.c does with it what
 * operators want while it runs. */
#ifndef LEVERET_DAEMON_H
#define LEVERET_DAEMON_H

#include "api/api.h"
#include "backup.h"
#include "bind.h"
#include "broker/broker.h"
#include "http/websocket.h"
#include "log_exchange.h"
#include "manager.h"
#include "membership.h"
#include "metrics/metrics.h"
#include "net/loop.h"
#include "options.h"
#include "reload.h"
#include "surroundings.h"

/* Of a broker of a cluster. */
enum office {
    OFFICE_NONE,   /* it follows, or nobody leads */
    OFFICE_SERVES, /* it leads, and has clients */
    OFFICE_LOST,   /* it has led, and is to start again: what it knows and was not agreed on is to be forgotten */
    OFFICE_FAILED, /* it leads, and cannot serve */
    OFFICE_AGAIN,  /* it follows, and is to start again with what it has got from others */
};

/* Everything that there is one of. */
struct daemon {
    struct options options;
    struct config config; /* what they were made from */
    struct reload reload;
    struct manager manager;
    struct logs logs;
    char *data_dir;
    int lock;                /* of the data folder; -1: not taken */
    struct tls_context *tls, *management_tls, *metrics_tls; /* NULL: nobody listens with TLS */
    struct loop *loop;
    struct binding binding;
    struct disk *disk;
    struct kv *kv;
    struct worker *syncer, *indexer, *reader, *checker;
    struct message_pool pool;
    struct random random;
    struct store *store;
    struct broker broker;
    bool has_broker;
    bool was_ended; /* the last daemon in this folder has ended in order */
    struct membership *membership; /* of a cluster; NULL: this broker is alone */
    bool has_image;                /* its store is one that another broker has sent */
    struct service office_keeper;  /* looks whether it leads */
    enum office office;
    bool begins_anew; /* an operator has reset it */
    bool is_drained;  /* an operator has sent all clients away, also before the process began again by itself */
    struct server *server;
    struct service *amqp;       /* who talks to clients: the server, or who brings them to another broker */
    struct api_backups backups; /* what the API asks for copies */
    struct backup backup;
    struct api_control control; /* what the API asks for settings and listeners */
    struct api *api;
    struct http_server *http;
    struct service *management; /* the same of that */
    struct metrics *metrics;
    struct websockets *websockets; /* AMQP in frames */
    struct service *web;
    struct http_server *metrics_http;
    struct service *measured; /* the same of that */
    struct surroundings surroundings;
    struct log_exchange log_exchange;
    char node_name[300];
    char **arguments; /* with which it begins again */
};

/* What the API may do with the daemon, as far as that has been built: daemon->backups and daemon->control. */
void control_build(struct daemon *daemon);
/* The surroundings tell which files its settings are from. */
void control_tell_files(struct daemon *daemon, const struct config *config);
/* SIGHUP reads the configuration again, once all of the daemon has been built. */
void control_prepare_reload(struct daemon *daemon);

#endif
