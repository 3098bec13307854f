/* One request to the API, and its answer. A function of a resource (resources.h) reads the request,
 * does what it asks for, and says what the answer is: by one of the functions below, once.
 *
 * Nothing is promised before it is durable: an answer that says that something was done waits for
 * the disk. */
#ifndef LEVERET_API_CALL_H
#define LEVERET_API_CALL_H

#include "api/api.h"
#include "api/fields.h"
#include "broker/error.h"
#include "broker/user.h"
#include "broker/vhost.h"
#include "definitions/json.h"
#include "session/wait.h"

struct errand;
struct listing;
struct rates;
struct api_route;

enum { CALL_SEGMENTS_MAX = 8, CALL_PARAMETERS_MAX = 32 };

struct api {
    struct http_handler handler;
    struct api_options options;
    struct server *server;
    struct broker *broker;
    uint64_t begun_ms; /* when it was made, by the server's clock */
    uint64_t begun_queues; /* that there were then */
    struct rates *rates;
    bool is_drained; /* for maintenance: no client may connect, and all were sent away */
    bool is_stopped; /* the same, and nothing is told or done but what concerns that, settings and the log */
    const struct call *importing; /* whose definitions are being imported; NULL: nobody's */
};

enum call_state {
    CALL_ACTS,    /* its function is to be called, again if it said that it waits */
    CALL_LOGS_IN, /* who asks is being found out */
    CALL_REFUSED, /* the answer is there, and is kept back for a while */
    CALL_DURABLE, /* the answer is there, and waits for the disk */
    CALL_LISTS,   /* it goes on with a list */
    CALL_BROUGHT, /* another broker answers: leader.h */
    CALL_TELLS,   /* the answer is there */
};

struct call {
    struct http_answer answer;
    struct api *api;
    const struct http_request *request;
    const struct peer *peer;
    const struct conversation *client;
    struct bytes path; /* behind "/api" */
    const struct api_route *route;
    enum call_state state;
    struct user *user;   /* held; NULL: an operator of this machine, who may do everything */
    bool is_apart;       /* this broker knows no names: another one leads, or none; user is NULL, and this: */
    struct buffer user_name; /* as who leads has it; empty: an operator of this machine */
    struct errand *errand;   /* what was brought to who leads; NULL: nothing */
    struct login *login; /* CALL_LOGS_IN; then the function's, for the hash of a password */
    unsigned tags;       /* set of enum user_tag: what the user may do here */
    struct bytes segments[CALL_SEGMENTS_MAX]; /* what stands for the variables of the route */
    struct {
        struct bytes name, value;
    } parameters[CALL_PARAMETERS_MAX];
    size_t parameter_count;
    struct buffer room;      /* decoded segments and parameters; it does not move */
    struct json *json;       /* the request's body; NULL: not asked for yet, or empty */
    int status;              /* of the answer; 0: there is none yet */
    struct buffer location;  /* a field of the answer; empty: none */
    struct buffer body;      /* of the answer */
    size_t told;             /* bytes of it that went */
    struct columns columns;  /* of the request */
    struct listing *listing; /* CALL_LISTS */
    bool is_export;          /* of definitions, list after list */
    struct promise promise;  /* CALL_DURABLE */
    uint64_t until_ms;       /* CALL_REFUSED */
    struct budget *budget;   /* CALL_ACTS: what its function may still do in this turn */
    bool has_more;           /* the function's: it has not ended, and waits for nothing */
    bool was_called;         /* the function was */
    uint64_t at, part;       /* the function's: where to go on */
    uint64_t sums[3];        /* the function's: what it has counted */
    void *work;              /* the function's: what it has in hand between turns; NULL: nothing */
    void (*drop)(struct call *call); /* ends that, however far it came */
};

/* ---- the request ---- */

/* Does it change nothing? */
static inline bool call_is_reading(const struct call *call)
{
    return call->request->method == HTTP_GET || call->request->method == HTTP_HEAD;
}

/* The value of a query parameter, decoded; NULL data: there is none of that name. */
struct bytes call_parameter(const struct call *call, const char *name);
/* Is it there, and "true"? */
bool call_is_set(const struct call *call, const char *name);
/* The body as JSON; NULL: it was empty (an object without members), or it is none, and the call is
 * answered (call->status): `not_json`. */
const struct json *call_json(struct call *call);
/* Has the body these members, whose names end with NULL? Else the call is answered:
 * `[{key_missing,pattern}]`. */
bool call_needs(struct call *call, const char *const *names);
/* A member of the body, of the kind that is wanted. False: it has another one, and the call is
 * answered. What is missing leaves the value as it is. */
bool call_read_flag(struct call *call, const char *name, bool *flag);
bool call_read_text(struct call *call, const char *name, struct bytes *text);
bool call_read_whole(struct call *call, const char *name, int64_t *number);
/* A text that is nothing but the digits of a whole number of 64 bits. */
bool call_read_digits(struct bytes text, uint64_t *number);
/* Words, as an array or with commas between them, which they have in `words`. */
bool call_read_words(struct call *call, const char *name, struct buffer *words);
/* The virtual host that the first segment names. NULL: there is none (404, `vhost_not_found` where
 * something is to be made), or the user has no access to
 * it, and the call is answered. `for_reading`: it is enough that the user may see it. */
struct vhost *call_vhost(struct call *call, bool for_reading);
/* The same of one that another segment names. */
struct vhost *call_vhost_named(struct call *call, struct bytes name, bool for_reading);
/* What the cluster is called, of which this broker is all. */
struct bytes call_cluster_name(const struct call *call);
/* May the user see what is in it? */
bool call_sees_vhost(const struct call *call, const struct vhost *vhost);
/* NULL: there is none of that name, and the call is answered. */
struct user *call_user(struct call *call, struct bytes name);
/* The name of an exchange, where "amq.default" is the one without a name. */
struct bytes call_exchange_name(struct bytes segment);

/* ---- the answer ---- */

/* An object of JSON: the caller writes its fields, and closes it by call_told. */
struct fields call_tell(struct call *call);
void call_told(struct call *call, struct fields *fields);
/* 200, with what was written to call->body. */
void call_answered(struct call *call);
/* The same for an array of objects. */
struct fields call_tell_items(struct call *call);
void call_told_items(struct call *call, struct fields *fields);
/* The answer goes out when all that was decided so far is kept: durable, and agreed on. */
void call_wait(struct call *call);
/* 204, when all that was decided so far is durable; 201, if something is new. The log says that it
 * was asked for, and by whom. */
void call_done(struct call *call, bool is_new);
/* call_told, but when all that was decided so far is durable, and the log says so as well. */
void call_told_done(struct call *call, struct fields *fields);
/* The log says so of one of the things that a request is about, if its path does not name it. */
void call_log(const struct call *call, struct bytes name);
/* {"error":..,"reason":..}; a printf format. */
void call_fail(struct call *call, int status, const char *error, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void call_not_found(struct call *call);
/* 401 `not_authorised`, with what the user is not. */
void call_not_allowed(struct call *call, const char *reason);
/* What the broker said: 403 is 401 `not_authorised`, 404 is 404, and anything else 400. Where
 * something is to be made, 404 says what it cannot be made of. */
void call_fail_as(struct call *call, const struct error *error);

static inline bool call_is_administrator(const struct call *call)
{
    return call->tags & TAG_ADMINISTRATOR;
}

/* ---- for api.c and route.c ---- */

/* What a part of the path or the query stands for; at most as many bytes as these have in all. */
bool call_decode(struct call *call, struct bytes text, bool is_query, struct bytes *decoded);
bool call_decode_query(struct call *call);

#endif
