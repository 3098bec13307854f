/* What the command line, the files of the configuration and the environment say. */
#ifndef LEVERET_OPTIONS_H
#define LEVERET_OPTIONS_H

#include <stdio.h>

#include "api/api.h"
#include "broker/vhost_defaults.h"
#include "config/config.h"
#include "net/listener.h"
#include "net/logs.h"
#include "session/server.h"
#include "tls_settings.h"

enum {
    OPTIONS_LISTEN_MAX = 64,
    OPTIONS_ADDRESS_BYTES = 272, /* HOST:PORT, with brackets and terminator */
    OPTIONS_SETS_MAX = 256,
    OPTIONS_NAMES_BYTES = 1024,
    OPTIONS_PATH_BYTES = 4096,
    OPTIONS_PLAIN = 1,
    OPTIONS_AMQPLAIN = 2,
    OPTIONS_ANONYMOUS = 4,
    OPTIONS_EXTERNAL = 8,
};

/* By which name in a certificate its owner is a user. */
enum login_from { LOGIN_FROM_DN, LOGIN_FROM_CN, LOGIN_FROM_SAN };

/* A share of the machine's memory, or bytes. */
struct amount {
    uint64_t bytes;      /* when `millionths` is 0; 0: no limit */
    uint32_t millionths; /* 1000000: as much as the machine has */
};

struct listen_options {
    char at[OPTIONS_LISTEN_MAX][OPTIONS_ADDRESS_BYTES];
    size_t count;
    bool is_none; /* without any that is so; else there is the usual one, if it is plain */
};

struct api_address {
    const char *at;   /* "none": nowhere; NULL: at its port, if that is free, but with TLS nowhere */
    const char *host; /* the same of keys, of which there may be one; NULL: everywhere */
    uint16_t port;    /* 0: the usual one */
    char text[OPTIONS_ADDRESS_BYTES];
};

enum { OPTIONS_CLUSTER_MAX = 7, OPTIONS_NUMBER_MAX = 64, CLUSTER_LOG_BYTES = 256 << 20 };

/* A broker of the cluster. */
struct cluster_node {
    uint32_t number;
    char at[OPTIONS_ADDRESS_BYTES]; /* HOST:PORT */
};

/* Without nodes this broker is alone. */
struct cluster_settings {
    struct cluster_node nodes[OPTIONS_CLUSTER_MAX]; /* first, and in order of their numbers */
    uint32_t count;
    uint32_t number;    /* of these this one */
    const char *listen; /* for the others; NULL: everywhere, at the usual port */
    const char *cookie; /* file with their secret */
    bool is_founding, is_joining;
    uint64_t log_bytes; /* of what was agreed on, that are kept for who is down */
};

/* The one with this number; NULL: there is none. */
const struct cluster_node *cluster_node_find(const struct cluster_settings *cluster, uint32_t number);

struct options {
    const char *data_dir;    /* NULL: where state is kept by default */
    const char *check_store; /* look at this store, and do nothing else */
    const char *definitions; /* import this file or folder; NULL: none */
    bool definitions_skip;   /* unless it is as it was when it was imported last */
    bool salvage;            /* salvage the store, and do nothing else */
    const char *salvage_from; /* the same of a copy of this one */
    const char *restore;      /* make the store from this copy, and do nothing else */
    const char *dump_store;   /* print what this store has, and do nothing else */
    const char *dump_vhost, *dump_queue;
    bool dump_document;
    struct listen_options listen, listen_tls;
    struct listener_options sockets;
    struct admission_options admission; /* sockets.limits of clients' listeners */
    bool proxy_protocol; /* of clients' listeners: sockets.proxy, and whom it is for: */
    struct proxy_trust proxies;
    struct api_address management, management_secure; /* where the API is, and with TLS */
    struct api_address metrics, metrics_secure; /* where metrics are, and with TLS */
    bool management_proxy, metrics_proxy;       /* proxies say there who connects */
    struct api_address web, web_secure; /* where AMQP is over WebSocket; NULL: nowhere */
    const char *web_path;
    bool web_proxy;                         /* proxies say there who connects */
    char web_origins[OPTIONS_NAMES_BYTES];  /* with commas between */
    const char *metrics_path;
    bool metrics_per_object; /* without anything behind that path as well */
    uint32_t rates_ms;       /* between two looks at all counters */
    const char *control_socket; /* its path; "none": there is none; NULL: at its usual place */
    const char *path_prefix;    /* of the API; NULL: none */
    uint32_t management_idle_ms, metrics_idle_ms; /* how long who asks nothing may stay there */
    struct api_cors cors;
    struct api_headers headers;
    const char *node_name;      /* NULL: after the machine */
    const char *cluster_name;   /* NULL: as the others say */
    struct cluster_settings cluster;
    struct tls_settings tls, management_tls, metrics_tls;
    enum login_from login_from;    /* ssl_cert_login_from, and what it needs with */
    enum peer_name login_san_type; /* LOGIN_FROM_SAN; server.external_name */
    unsigned mechanisms;   /* of keys: a set of OPTIONS_PLAIN and so on; 0: the usual ones */
    bool log_exchange;        /* lines of the log are messages as well */
    bool reverse_dns_lookups; /* are asked for, and not done */
    struct logs_options logs;
    const char *log_file, *log_dir; /* logs.file; NULL: none, and the usual one */
    char log_path[OPTIONS_PATH_BYTES];
    uint32_t io_threads;
    uint32_t slow_turn_ms;                    /* turns from here on are logged; 0: none */
    struct amount memory;                     /* publishers wait when messages take more */
    struct amount disk;                       /* and when less is free; store.disk_reserve_bytes */
    uint64_t machine_bytes;                   /* what a share is of; 0: what the machine has */
    char loopback_users[OPTIONS_NAMES_BYTES]; /* with commas between; server.loopback_users */
    char first_tags[OPTIONS_NAMES_BYTES];     /* the same; broker.first.tags */
    struct server_options server;
    struct broker_options broker;
    struct vhost_defaults vhost_defaults; /* broker.defaults */
    struct store_options store;
    /* Where the rest comes from, and what else is to be done; of the command line alone. */
    const char *config; /* a file, or a folder with leveret.conf and conf.d; NULL: the usual one */
    const char *sets[OPTIONS_SETS_MAX];
    size_t sets_count;
    bool rabbitmq_compat;
    bool check_config, print_config, list_keys;
    bool help;
    bool version;
};

/* Who asks for them; all of it is borrowed. */
struct options_input {
    int count;
    char **arguments;
    char *const *environment; /* NAME=VALUE, up to NULL */
    const char *folder;       /* of the usual files: "/etc/leveret" */
    const char *rabbitmq;     /* of RabbitMQ's: "/etc/rabbitmq" */
};

/* Reads the arguments, and what they and the environment lead to. False: an argument cannot be;
 * `error` says so. Else config->faults are what is wrong with the rest. `config` is made by it, has
 * to outlive the options, and is freed by the caller. */
bool options_read(struct options *options, struct config *config, const struct options_input *input,
                  char *error, size_t error_size);
/* What cannot be meant of the options together. NULL: it is all right. */
const char *options_fault(const struct options *options, const struct config *config);
/* The machine's memory, as far as it counts, and a limit in bytes; 0: none. */
uint64_t options_machine_bytes(const struct options *options);
uint64_t options_memory_bytes(const struct options *options);
/* Has the command line set the option of that name? */
bool options_was_given(const struct config *config, const char *name);
/* Copies what is live, and what it comes to, from new options to those that run; what they point to has
 * to stay. */
void options_take_live(struct options *options, const struct options *fresh,
                       const struct option_table *table);
/* Sets a key that is live, over the options that run, and what it comes to. False: it is none, or
 * may not be that; `error` says so, and nothing has changed. */
bool options_set_live(struct options *options, const struct option_table *table, const char *key,
                      const char *value, char *error, size_t error_size);
/* The text of --help. */
void options_print_help(FILE *out);
/* The keys, one a line: its name, its alias, what it may be, its default, "live", "start",
 * "foreign" or "later", the option of the command line, the variable, and a text, with tabs
 * between. */
void options_print_keys(FILE *out);

/* ---- for these files ---- */

/* Is an address a path of this machine, "unix:/run/leveret/amqp.sock"? Then that is what stands behind. */
bool listen_is_path(const char *text);
const char *listen_path(const char *text);

/* Of the defaults that are given; NULL: none is told. */
struct option_table options_table(const struct options *defaults);

#endif
