/* Replies that wait for a ticket: held replies of channels, and publisher confirms. All waiting of
 * the session is here, one list for each log in the order in which its tickets end. */
#ifndef LEVERET_SESSION_WAIT_H
#define LEVERET_SESSION_WAIT_H

#include "base/buffer.h"
#include "base/list.h"
#include "store/store.h"

struct channel;
struct connection;
struct server;

enum {
    WAIT_LOGS = 5, /* logs there may be; LOG_JOURNAL is there always */
    HELD_REPLIES_MAX = 65536, /* bytes of held replies beyond which a connection's input waits */
};

/* A log whose tickets end in their order. */
struct wait_log {
    void *log;
    struct ticket (*present)(const void *log); /* of what is decided now */
    enum ticket_state (*state)(const void *log, struct ticket ticket);
    void (*want)(void *log, struct ticket ticket); /* somebody waits for it */
    bool (*is_congested)(const void *log); /* who has published into it is to wait */
    struct ticket (*names)(const void *log); /* of the last change of a name in it; NULL: it has none */
    struct ticket (*lookups)(const void *log); /* of what is only looked up; NULL: that waits for nothing */
};

struct waits {
    struct wait_log logs[WAIT_LOGS]; /* `state` NULL: there is none of that number */
    struct list parts[WAIT_LOGS];    /* struct wait_part, by log_link: what waits for each log */
    struct list channels; /* channels that have confirms to send: confirming_link */
};

/* What somebody waits for: at most one ticket of each log. */
struct promise {
    uint32_t count;
    struct ticket tickets[WAIT_LOGS];
};

enum wait_kind { WAIT_REPLIES, WAIT_CONFIRMS, WAIT_SETTLES };
enum wait_state { WAIT_PENDING, WAIT_DONE, WAIT_FAILED };

/* One of the tickets of a promise. */
struct wait_part {
    struct list log_link; /* on its log's list while it is pending */
    struct wait *wait;
    struct ticket ticket;
};

struct wait {
    struct list channel_link; /* in the channel's list of its kind */
    struct channel *channel;
    enum wait_kind kind;
    enum wait_state state; /* done when all parts are durable, failed with the first that fails */
    uint64_t first, last;  /* WAIT_CONFIRMS: publish numbers; SETTLES: methods */
    struct buffer replies; /* WAIT_REPLIES: frames that follow the promise's end */
    uint32_t pending;      /* parts that are not durable yet */
    uint32_t count;
    struct wait_part parts[];
};

/* All that every log has decided so far; and how far that is. */
struct promise promise_of_all(const struct waits *waits);
enum ticket_state promise_state(const struct waits *waits, const struct promise *promise);

/* With the journal of this store alone. */
void wait_init(struct waits *waits, struct store *store);
/* Another log; it must outlive all waits. */
void wait_add_log(struct waits *waits, uint32_t number, const struct wait_log *log);
/* Of a set of logs, those that are congested. */
uint32_t wait_congested(const struct waits *waits, uint32_t logs);
/* Everything that is written to the channel from now on waits for the ticket (and for what is
 * waiting already). Nothing happens when it is durable already. */
void wait_hold(struct channel *channel, struct ticket ticket);
/* The same for all that every log has decided so far. */
void wait_hold_all(struct channel *channel);
/* The same for every change of names that was decided so far, whoever asked for it: a redeclare, or
 * a delete of what is gone, promises as much as the act that came before it. */
void wait_hold_names(struct channel *channel);
/* The same for what was looked up, and changes nothing. */
void wait_hold_lookup(struct channel *channel);
/* What is written to the channel from now on comes after what was written to the other one. */
void wait_follow(struct channel *channel, const struct channel *other);
/* What a log had decided when the connection's method was first handled is done. False: it is to be handled
 * again in a later turn. */
bool wait_agreed(struct connection *connection, uint32_t log);
/* Room in the replies that are held last; see channel_room. */
uint8_t *wait_room(struct channel *channel, size_t size);
void wait_added(struct channel *channel, size_t size);
/* Publish number `number` of a channel in confirm mode was dealt with; its confirm has to wait for what
 * each of a set of logs has decided so far. Numbers rise by one. */
void wait_confirm(struct channel *channel, uint64_t number, uint32_t logs);
/* The same for a publish that no queue could keep: basic.nack. */
void wait_refuse(struct channel *channel, uint64_t number);
/* All that has been decided up to method `number` of those that end deliveries is to be told when it is for good
 * (relayed.h). Numbers rise by one. */
void wait_settled(struct channel *channel, uint64_t number);
/* Once a turn, after store_tick: what has become durable, or has failed, is told. */
void wait_tick(struct server *server);
/* The channel ends: its confirms are not sent, nor is what it has settled told; with the second no replies either. */
void wait_forget_confirms(struct channel *channel);
void wait_forget(struct channel *channel);

#endif
