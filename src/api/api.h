/* The management API: RabbitMQ's, as HTTP requests about a broker and their answers in JSON. Every
 * way in is this one: port 15672, the control socket, and the commands behind that. */
#ifndef LEVERET_API_API_H
#define LEVERET_API_API_H

#include "http/http.h"
#include "session/server.h"

/* One of the addresses at which somebody listens. */
struct api_listener {
    const char *protocol; /* "amqp", "amqp/ssl", "http", "https", "http/prometheus", "clustering" */
    char address[64];     /* "127.0.0.1", "::" */
    uint16_t port;
    uint64_t ends_ms;        /* when its certificate does, in ms since 1970; 0: it has none */
    const char *certificate; /* the file of that; NULL: it has none */
    uint64_t revoked_ends_ms; /* the same of its lists of revoked certificates */
    const char *revoked;
    const char *names;       /* of its certificates for other names, with spaces between; NULL or "": none */
    bool is_suspended;       /* nobody can connect for now */
};

/* What the process takes of its machine, and what it may take. */
struct api_machine {
    uint64_t memory_used; /* resident, in bytes */
    uint64_t disk_free;   /* bytes, where the data folder is; 0: not known */
    uint64_t files_used, files_max;
    uint64_t sockets_used, sockets_max;
    uint64_t threads_used, threads_max;
    uint64_t switches; /* of this process to others, since its start */
    unsigned processors;
    unsigned process;
    const char *file_system; /* where the data folder is: "tmpfs" and others that are no usual disk; else NULL */
};

enum { API_LISTENERS_MAX = 64 };

/* Who runs all of it, and is asked for such things. */
struct api_surroundings {
    /* Writes at most API_LISTENERS_MAX; returns how many there are. */
    size_t (*listeners)(const struct api_surroundings *surroundings, struct api_listener *out);
    void (*look)(const struct api_surroundings *surroundings, struct api_machine *out);
    const char *data_dir;
    const char *const *config_files; /* up to NULL; NULL: none */
    const char *const *log_files;    /* the same; "<stderr>" is one */
    /* Opens the log's file again, soon, as somebody has moved it. */
    void (*rotate_logs)(const struct api_surroundings *surroundings);
};

/* Who makes copies of the store, one at a time. */
struct api_backups {
    /* Into this folder, which is made, or is empty. NULL: it has begun; else why not. */
    const char *(*begin)(const struct api_backups *backups, const char *folder, char *error,
                         size_t error_size);
    /* The one that goes on is to end now: soon it has, and failed, unless it was done. */
    void (*stop)(const struct api_backups *backups);
    /* How the last one is, and where; NULL: there was none. `goes_on`: its counts still rise. */
    const struct store_backup *(*look)(const struct api_backups *backups, const char **folder,
                                       bool *goes_on);
};

/* Who is told of a setting: `value` NULL: it is not shown, `origin` NULL: it is not set. */
typedef void api_tell_setting(void *context, const char *key, const char *value,
                              const char *origin);

enum { API_TEXT_BYTES = 1024, API_MEMBERS_MAX = 7 };

/* What a broker is in the group of its cluster. */
enum api_role {
    API_ROLE_UNKNOWN, /* this broker has not been told */
    API_ROLE_VOTER,   /* it counts */
    API_ROLE_LEARNER, /* it is told what is agreed on, and is not asked for anything until it has all of that */
    API_ROLE_GONE,    /* the configuration has it, and the group has not: it is to join */
};

/* A broker of the cluster. */
struct api_member {
    char name[256]; /* leveret@host; its address, as long as it has not said */
    uint32_t number;
    enum api_role role;
    bool is_self, is_up, leads;
    /* What only who leads knows of others: */
    bool is_followed; /* it is known */
    bool lacks;       /* entries that no log has any more: it gets a copy of the store */
    uint64_t match;   /* the last entry that it has on its disk; 0: none that is known */
    uint64_t behind;  /* how many entries that are agreed on it lacks */
};

/* Is such a broker as good as up to date? So many entries may be on their way. */
enum { API_BEHIND_MAX = 256 };

static inline bool api_member_is_synchronised(const struct api_member *member)
{
    return member->role == API_ROLE_VOTER && member->is_up && member->is_followed && !member->lacks &&
           member->behind <= API_BEHIND_MAX;
}

/* What its group has agreed on, as this broker knows it. */
struct api_group {
    uint64_t term;
    uint64_t floor; /* index behind which its log begins here */
    uint64_t last;  /* of its log here, */
    uint64_t commit, applied, durable;
    bool may_deliver; /* it leads, and nobody else can have come to do so */
    uint64_t log_bytes; /* of the journal that its entries hold */
    uint64_t images_made, images_taken; /* copies of a store: for others in this run; it began with one */
    /* Counters of this run: elections that this broker has won, entries, and how often its log was cut. */
    uint64_t elections, proposed, appended, entries_applied, cuts;
    uint64_t commit_ms; /* from the proposal to the commit of the last of its entries that was timed; 0: none was */
};

/* Who has the settings of the process, and its listeners. Texts say why something was refused, in
 * at most API_TEXT_BYTES. */
struct api_control {
    void (*settings)(const struct api_control *control, api_tell_setting *tell, void *context);
    /* Until the configuration is read again, or the process ends. False: refused. */
    bool (*set)(const struct api_control *control, const char *key, const char *value, char *text);
    /* The least important lines that are logged, until then. False: there is no such level. */
    bool (*set_level)(const struct api_control *control, const char *level, char *text);
    /* Closes the listeners of clients, or opens them again. False: refused. */
    bool (*listen)(const struct api_control *control, bool is_open, char *text);
    /* False: another broker serves, or none, and `text` says who does. NULL: this one does. */
    bool (*serves)(const struct api_control *control, char *text);
    /* Carries conversations to the HTTP of who leads; NULL: nobody is known to lead, or it is this broker. NULL: the
     * same. */
    struct service *(*leader)(const struct api_control *control);
    /* The same to the member with that number, whether it leads or not; NULL: it is this broker. NULL: this broker is
     * alone. */
    struct service *(*other)(const struct api_control *control, uint32_t number);
    /* Writes at most API_MEMBERS_MAX, and returns how many there are. NULL: this broker is alone. */
    size_t (*members)(const struct api_control *control, struct api_member *out);
    /* False: it does not take part yet. NULL: this broker is alone. */
    bool (*group)(const struct api_control *control, struct api_group *out);
    /* Ends the broker in good order, and has it begin with an empty store. False: refused. */
    bool (*reset)(const struct api_control *control, char *text);
    /* That member is to count no more until it is back with all that was agreed on. False: refused. NULL: the
     * same. */
    bool (*forget)(const struct api_control *control, uint32_t number, char *text);
    /* Another member is to lead, in good order. False: there is none that could. NULL: the same. */
    bool (*hand_over)(const struct api_control *control);
    /* No client is to come any more, or all may again: that lasts also when the process begins again by itself. */
    void (*drained)(const struct api_control *control, bool is_drained);
    /* Clients whom this broker would bring to who leads, and who wait, lose their connections; `all`: those that are
     * served there as well. NULL: this broker is alone. */
    void (*send_away)(const struct api_control *control, bool all);
    /* Reads the configuration again, all or nothing; `text`: what came of it. False: refused. */
    bool (*reload)(const struct api_control *control, char *text);
};

enum { API_ORIGINS_BYTES = 4096 };

/* Who may use it from a browser; may change at any time. */
struct api_cors {
    char origins[API_ORIGINS_BYTES]; /* with commas between; `*`: all, but without a password */
    uint32_t max_age_s;              /* for which a browser need not ask again */
};

/* What headers of each answer say, to browsers mostly; NULL: there is no such header. */
struct api_headers {
    const char *content_security_policy; /* NULL: default-src 'self' */
    const char *strict_transport_security, *content_type_options, *frame_options, *xss_protection;
};

/* The caller keeps all texts. */
struct api_options {
    const struct api_surroundings *surroundings;
    const struct api_backups *backups; /* NULL: there are none */
    const struct api_control *control; /* NULL: nothing can be set */
    const struct api_cors *cors;       /* NULL: nobody */
    const struct api_headers *headers; /* NULL: the usual ones */
    const char *node;            /* what this broker is called: "leveret@host" */
    const char *cluster_name;    /* the same, if nothing else is said */
    const char *version;         /* of this program */
    const char *product_version; /* of the RabbitMQ that it behaves like: "3.13.7" */
    const char *path_prefix;     /* before "/api", but at control sockets; "": none */
    bool is_drained;             /* no client may come yet: it was so before the process began again */
    uint32_t rates_ms;           /* from one look at all counters to the next; 0: 5,000 */
    struct steps *steps;         /* told what a turn is busy with; NULL: nobody asks */
};

struct api;

/* Everything passed stays the caller's and must outlive it. */
struct api *api_new(const struct api_options *options, struct server *server,
                    struct broker *broker);
void api_free(struct api *api);
struct http_handler *api_handler(struct api *api);
/* What has it measure rates: to be ticked, after the server. */
struct service *api_service(struct api *api);

#endif
