/* The server's own state, for the files of this folder. */
#ifndef LEVERET_SESSION_SERVER_STATE_H
#define LEVERET_SESSION_SERVER_STATE_H

#include "base/timer.h"
#include "broker/route.h"
#include "peer/output.h"
#include "session/guesses.h"
#include "session/look.h"
#include "session/server.h"
#include "session/trace.h"
#include "session/wait.h"

enum alarm { ALARM_MEMORY = 1, ALARM_DISK = 2 };

struct server {
    struct service service;
    struct server_options options;
    struct broker *broker;
    struct server_groups groups; /* all NULL: there are none */
    bool rests;                  /* nothing may be delivered for now */
    struct list connections;
    struct idmap opened;    /* of these, the open ones by their id */
    struct set named;       /* the same by what connection_name says */
    struct list lost;       /* struct queue_consumer whose queue is gone: queue_link */
    struct list dropping;   /* connections that have ended and still have something: dropping_link */
    struct list gone;       /* those on `dropping` without a socket: conversation.writable_link */
    struct list emptying;   /* channels that have more to end: emptying_link */
    struct list resumable;  /* connections whose input may go on soon: looked at once a turn */
    struct list publishers; /* connections that have published */
    struct list turning;    /* channels with credit and consumers that wait for it: turn_link */
    struct map replies;     /* channels with a reply consumer, by its reply_to.name */
    uint64_t reply_number;  /* of the last message that was one */
    size_t connection_count;
    size_t open_connections, channels; /* what options.connections_max and channels_max count */
    size_t consumers;                  /* of all channels */
    uint64_t connections_opened, channels_opened; /* since the start */
    struct login_counts logins[LOGIN_WAYS];
    struct guesses guesses;
    struct unroutable_counts unroutable;
    struct published_counts published;
    struct traffic ended; /* of connections that are no more */
    uint64_t timeouts;  /* of the queues, when deliveries were last looked at for that */
    uint64_t quota_changes; /* of the broker, when publishers were last told to look for quotas */
    uint64_t evictions; /* of the broker, when those were closed who have to go */
    uint64_t connection_id; /* of the newest */
    uint64_t now_ms;
    struct timers timers;
    struct output_pool outputs;
    size_t input_bytes;   /* input kept by connections, and large bodies that are coming in */
    size_t held_bytes;    /* replies held back by channels, and what they keep for commits */
    uint64_t uncommitted_bytes; /* of all transactions, with their messages */
    struct list transactions;   /* struct transaction: what goes on in the next turns */
    size_t unacked_bytes; /* memory of unacked deliveries */
    struct waits waits;
    struct trace trace;
    struct queue_set queue_set; /* scratch of publish */
    unsigned alarms;            /* set of enum alarm */
    uint64_t alarms_ms;         /* when one of them was set last */
    uint64_t told_ms;           /* when those were told last who wait for a full disk */
    uint32_t congested;         /* set of logs for which those wait who have published into them */
    bool is_watched;            /* deliveries are told of: in the log, or by the firehose */
    bool is_failing;            /* the journal has failed: every connection was told */
    bool is_shutting_down;
    bool has_work_left; /* a budget ran out */
};

#endif
