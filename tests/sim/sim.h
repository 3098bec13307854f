/* What the files of the simulation share. */
#ifndef LEVERET_TESTS_SIM_SIM_H
#define LEVERET_TESTS_SIM_SIM_H

#include "amqp/frame.h"
#include "api/api.h"
#include "base/buffer.h"
#include "base/map.h"
#include "base/random.h"
#include "session/server.h"
#include "tests/lib/slow_worker.h"
#include "tests/sim/chaos.h"
#include "tests/sim/events.h"
#include "tests/sim/simulation.h"
#include "tests/sim/solo.h"

struct properties;

/* Each client has an operator of his own, and there is one more for all. */
enum { MACHINES = 1, CLIENTS = 9, CHANNELS = 3, ADMINS = CLIENTS + 1 };

struct sim;
struct client;
struct connection_view;

/* ---- what the seed decides: dials.c ---- */

struct dials {
#define DIAL(name, value) uint64_t name;
#include "tests/sim/dials.def"
#undef DIAL
};

void dials_draw(struct sim *sim);
void dials_print(const struct sim *sim);
/* The size of a body. */
uint32_t sim_draw_size(struct sim *sim);

/* ---- events: events.c ---- */

enum event_kind {
    EVENT_TURN,      /* a broker's loop turns */
    EVENT_JOB,       /* a worker has done its job */
    EVENT_TO_BROKER, /* bytes of a client arrive */
    EVENT_TO_CLIENT, /* bytes of a broker arrive */
    EVENT_ACT,       /* a client does something */
    EVENT_ASKED,     /* an operator's request arrives */
    EVENT_CHORE,     /* the operator of all does something */
    EVENT_FAULT,     /* something goes wrong */
    EVENT_START,     /* a machine comes up */
};

/* ---- a machine: machine.c ---- */

/* What comes in is timed by a clock that is behind by this much, at most. */
enum { MACHINE_STALE_MS = 50 };

enum { WORKER_SYNCER, WORKER_INDEXER, WORKER_READER, WORKER_COPIER, WORKERS };

struct sim_worker {
    struct slow_worker slow;
    struct machine *machine;
    int which;
};

struct machine {
    struct sim *sim;
    int number;
    struct message_pool pool;
    struct random random;
    struct log log;
    struct disk *disk;
    struct kv *kv;
    struct sim_worker workers[WORKERS];
    struct store *store;
    struct broker broker;
    struct store_options store_options;
    struct server_options server_options;
    struct server *server;   /* NULL: it is down */
    struct service *service; /* of the server */
    struct api *api;
    struct http_server *http;
    struct service *management; /* of the API */
    struct api_backups backups;
    struct backup_copy *copy; /* of its store, under way; NULL: none */
    uint64_t epoch;          /* rises with each start and each end */
    uint64_t ticked_ms;      /* when the last turn was */
    uint64_t turn_us;        /* when the next turn is scheduled; UINT64_MAX: not */
    uint64_t messages_ms;    /* the clock of messages that end, when the simulation began */
    uint64_t slow_until_us, slow_job_us; /* its disk is slow; the last job that was ends */
    bool is_failing; /* its disk has failed, and it will be started again */
    uint64_t failed_epoch; /* when that last was */
    /* Its disk may refuse to write, so that an orderly end may not save all. */
    bool is_full, is_breaking;
    bool was_short; /* there may have been little room, once */
    struct agree *agree; /* NULL: its queues are its own */
};

/* ---- queues of a group: agree.c ---- */

/* In this run queues that are not durable have mirrors, if they are not exclusive: all of those that are shared, and
 * some of others. */
bool sim_mirrors(const struct sim *sim);

/* With the store, before the broker has its queues (false: its disk has failed); when it has all; and
 * before the store goes. */
bool agree_open(struct machine *machine);
void agree_begin(struct machine *machine);
void agree_close(struct machine *machine);

void machine_init(struct sim *sim, int number);
void machine_free(struct machine *machine);
/* Brings it up; false: the store refused. */
bool machine_start(struct machine *machine);
/* Takes it down: as a killed process, without power, or in order. */
enum machine_end { END_KILLED, END_POWER_CUT, END_CLEAN };
void machine_end(struct machine *machine, enum machine_end how);
void machine_turn(struct machine *machine);
/* Its workers do all that they have to, at once. */
void machine_drain(struct machine *machine);
/* The loop turns no later than then. */
void machine_wake(struct machine *machine, uint64_t at_us);
/* The connection of a client, as the broker sees it; false: it has none, or has closed it. */
bool machine_connection(const struct client *client, struct connection_view *view);
/* The first job of a worker is done. */
void machine_job(struct machine *machine, int which);
uint64_t machine_clock_ms(const struct machine *machine);
/* The clock of messages that end: the wall clock of its start, which goes on evenly. */
uint64_t machine_message_ms(const struct machine *machine);
/* May there have been so little room that what need not be on record was not put there? */
bool machine_was_short(const struct machine *machine);
/* How many messages it has refused since its start, for want of room. */
uint64_t machine_refused(const struct machine *machine);
/* Are all messages where they belong that die, or have ended, or have waited, in queues whose names begin
 * so? While the store is congested, what is due stays to be done. */
bool machine_is_settled(struct machine *machine, const char *prefix);

/* ---- operators: admin.c ---- */

struct admin {
    struct sim *sim;
    struct machine *machine;
    int number;
    struct conversation *conversation; /* NULL: none */
    struct buffer to_broker, answer;
    bool has_arrived;
    uint64_t epoch; /* of the conversation */
    enum { ADMIN_RESTS, ADMIN_ASKS, ADMIN_ANSWERED, ADMIN_LOST } state;
    int status; /* ADMIN_ANSWERED: 204 ... */
};

void admin_init(struct sim *sim, int number);
/* Asks for something: a method, what follows "/api/" in the path, and a body or "". What was asked before
 * is given up. */
void admin_ask(struct admin *admin, const char *method, const char *path, const char *body);
/* His request has come to the machine; is handed to the broker; its answer is looked for. */
void admin_arrived(struct admin *admin);
void admin_feed(struct admin *admin);
void admin_take(struct admin *admin);
/* He hangs up: what was asked is done by now, or never. */
void admin_drop(struct admin *admin);
/* A segment of a path. */
void admin_encode(const char *text, char *out, size_t size);

/* ---- what one of them does to all: chores.c ---- */

/* What may be published in a second, by the virtual host's quota or by a user's, and what still may be. */
struct quota_watch {
    bool is_known;       /* it was answered; */
    uint64_t rate;       /* 0: there is none */
    int64_t level;       /* in thousandths of a message, */
    uint64_t now_ms;     /* then; */
    uint64_t published;  /* and what had been published */
    uint64_t epoch;      /* of the machine that counts it */
};

struct chores {
    int closing; /* whose connection is to be closed; -1: nobody's */
    uint64_t closing_epoch;
    bool is_copying, is_permitting, is_limiting;
    bool limits_user, limits_bytes; /* what is being limited, */
    uint64_t limit;                 /* to so much; 0: not any more */
    struct quota_watch quotas[2];   /* of messages: of the virtual host, of its user */
    uint64_t machine_epoch; /* when it was asked */
};

void chores_begin(struct sim *sim);
/* Asks for the next thing, or looks at what has become of the last one. */
void chores_act(struct sim *sim);
/* The API had its part of a turn. Fails if more has been published than quotas allow. */
void chores_ticked(struct machine *machine);

/* ---- copies of a store: copy.c ---- */

/* What the API asks for copies. */
extern const struct api_backups copy_backups;
/* The copy is done: everything must be in it that should. */
void copy_check(struct machine *machine);
void copy_free(struct machine *machine);

/* ---- what was promised: promise.c ---- */

/* The shared topology. */
enum {
    QUEUE_D0,
    QUEUE_D1,
    QUEUE_R0, /* what is rejected goes to QUEUE_DLQ */
    QUEUE_DLQ,
    QUEUE_T0, /* does not survive */
    QUEUE_W0, /* gives its consumers little time for an answer */
    QUEUES
};

extern const char *const queue_names[QUEUES];

/* TARGET_LATE holds back, TARGET_ONCE looks for duplicates. */
enum { TARGET_D0 = 2, TARGET_FAN = 6, TARGET_LATE = 11, TARGET_ONCE = 12, TARGETS = 13 };
enum { DELAY_MAX_MS = 1500, ANSWER_MS = 300 /* of QUEUE_W0 */, ANSWER_LATE_MS = 100 };
struct target {
    const char *exchange, *key;
    uint32_t queues; /* bits */
};
extern const struct target targets[TARGETS];

enum tx_state { TX_OPEN, TX_COMMITTING, TX_COMMITTED, TX_ROLLED_BACK, TX_UNKNOWN };

struct tx {
    enum tx_state state;
    uint64_t epoch; /* of the machine, when the commit was sent */
    uint32_t refs;  /* copies and the channel */
    struct copy *first;
};

enum settled { SETTLED_NOT, SETTLED_ACKED, SETTLED_REJECTED };

/* A message in one queue. */
struct copy {
    struct sim_message *message;
    int queue;
    struct copy *next_of_tx;
    bool survives;
    bool is_promised;
    bool is_durable; /* the promise holds after a crash */
    uint64_t promise_epoch;
    bool is_seen;
    uint64_t seen_epoch;
    bool is_out; /* delivered to a channel that lives, and not settled */
    enum settled settled;
    uint64_t settled_epoch;
    uint64_t excused_epoch; /* in which it may have gone last */
    bool is_unsure; /* settled on a connection that was lost: perhaps not */
    bool is_final;  /* settled by a commit that was answered */
    bool
        is_excused; /* may be gone: purged, or sent without acknowledgement to a socket that went */
    bool is_to_be_copied, is_not_to_be_copied; /* when a copy of the store was begun */
    uint32_t expected, distinct; /* in the dead letters: rejects, and first deliveries */
};

struct sim_message {
    uint64_t id;
    uint64_t stream; /* of one channel's publishes: those keep their order */
    uint32_t size;
    bool persistent, is_returned, is_mandatory, is_refused;
    const struct target *target;
    uint64_t sent_ms, delay_ms;
    uint64_t key;                 /* that is looked at for duplicates; 0: none */
    struct sim_message *original; /* was confirmed with that key, and survives; NULL: none */
    struct tx *tx;
    struct copy *copies[QUEUES]; /* where it was routed */
};

struct promises {
    struct idmap messages;
    struct idmap copies[QUEUES];
    uint64_t id_last, stream_last;
    struct sim_message *original; /* confirmed last of those with a key, and it survives */
};

struct sim_message *promise_message(struct sim *sim, const struct target *target, uint32_t size,
                                    bool persistent, uint64_t stream, struct tx *tx);
/* Is it to be returned, as it is mandatory and comes into no queue, or not at once? */
bool promise_is_returned(const struct sim_message *message);
/* It was routed, for sure, and comes out unless there is a crash. */
void promise_routed(struct sim *sim, struct sim_message *message);
/* The broker has taken responsibility for it. */
void promise_confirmed(struct sim *sim, struct sim_message *message);
/* Its publisher may not do that: it comes nowhere. */
void promise_refused(struct sim *sim, struct sim_message *message);
struct copy *promise_delivered(struct sim *sim, int queue, struct bytes body, bool redelivered);
/* It was delivered to somebody who had already given it back; `is_gone`: without acknowledgement.
 */
void promise_ignored(struct sim *sim, int queue, struct bytes body, bool is_gone);
void promise_settled(struct sim *sim, struct copy *copy, enum settled how);
/* The socket that it was settled on is gone before that was known to be read. */
void promise_unsure(struct copy *copy);
/* What is in the queue may have gone, with a broker of this epoch. */
void promise_purged(struct sim *sim, int queue, uint64_t epoch);
void promise_tx_end(struct sim *sim, struct tx *tx, enum tx_state state);
/* A copy of the store begins: notes what has to be in it, and what must not. */
void promises_note_copy(struct sim *sim);
/* These messages of a queue are in the copy, by number. */
void promises_check_copy(struct sim *sim, int queue, const struct idmap *ids);
/* Has a message of the queue this number and body? */
bool promise_knows(struct sim *sim, int queue, struct bytes body, uint64_t *id);
/* After everything was drained. */
void promises_judge(struct sim *sim);
void promises_free(struct promises *promises);
/* The body of a message, written to `body`. */
void promise_body(const struct sim_message *message, uint8_t *body);

/* ---- clients: client.c (bytes and replies), work.c (what they do) ---- */

/* A reply that a channel waits for. */
struct expected {
    uint32_t id;
    uint32_t request;
    int queue;
    size_t proves; /* how many of the channel's unproved settles have been read when it comes, */
    size_t proves_plain; /* and how many of its publishes without confirms */
    bool takes_away;     /* messages may go with it, though nobody sees its answer */
};

struct delivery {
    uint64_t tag;
    struct copy *copy;
    uint64_t came_us, given_us; /* given by the broker no earlier than then */
};

struct consumer_of {
    int queue;
    bool no_ack, is_cancelled;
    char tag[16];
    struct idmap streams; /* the last id of each, in first deliveries */
};

enum role {
    ROLE_CONFIRM,
    ROLE_PLAIN,
    ROLE_TX,
    ROLE_CONSUME,
    ROLE_GET,
    ROLE_SHARED, /* chaos.c */
    ROLE_OWN,
    ROLE_SOLO, /* solo.c */
    ROLE_STRANGER, /* stranger.c */
    ROLES
};

/* What a stranger tries. */
struct attempt {
    struct sim_message *message; /* NULL: it is no publish */
    uint64_t number;             /* of the permission that he had */
    bool may, is_unsure;
};

struct sim_channel {
    struct client *client;
    uint16_t number;
    enum role role;
    bool is_open;
    bool is_leaving;  /* channel.close was sent */
    bool is_ignoring; /* what comes will go back to its queue: it was sent before that was read */
    bool was_running;  /* the broker has opened it, */
    uint64_t given;    /* and, when that was last looked at, had given it so many that it waits for */
    bool is_timed_out; /* the broker has closed it: what still comes has gone back */
    bool is_closed_unseen; /* the broker must have closed it: only so many answers still come */
    size_t answers_left;
    uint64_t delivered;
    struct expected *expected;
    size_t expected_count, expected_capacity;
    uint64_t stream;
    uint64_t publish_number;
    struct sim_message **unconfirmed; /* by number - 1 of the confirm; NULL: confirmed */
    size_t unconfirmed_capacity;
    size_t unconfirmed_count;
    struct delivery *deliveries; /* unsettled */
    size_t delivery_count, delivery_capacity;
    struct copy **unproved;
    size_t unproved_count, unproved_capacity;
    struct delivery *tx_settles; /* of the open transaction */
    enum settled *tx_hows;
    size_t tx_settle_count, tx_settle_capacity;
    struct tx *tx;
    struct sim_message **plain; /* published without confirms, not known to be read */
    size_t plain_count, plain_capacity;
    struct consumer_of consumers[QUEUES];
    int consumer_count;
    struct attempt attempt;      /* of ROLE_STRANGER */
    struct chaos_channel *chaos; /* of ROLE_SHARED */
    /* The content that is coming in, or, with content_id_done, has come. */
    uint32_t content_id, content_id_done;
    int content_queue;
    struct consumer_of *content_consumer;
    uint64_t content_tag;
    bool content_redelivered, content_no_ack;
    uint64_t content_size;
    char content_exchange[64], content_key[64], content_consumer_tag[64];
    uint16_t content_code;
    struct buffer content, content_properties;
};

enum client_state {
    CLIENT_DOWN,
    CLIENT_GREETING,
    CLIENT_DECLARING, /* the topology, on channel 1 */
    CLIENT_READY,
    CLIENT_CLOSING,
    CLIENT_DONE, /* closed, and stays so */
};

/* A queue of the client's own, on which nobody else acts, so that its counts are known. */
struct own_queue {
    enum { OWN_ABSENT, OWN_PRESENT, OWN_UNKNOWN } state;
    uint32_t messages; /* confirmed */
    uint32_t unsure;   /* published, not confirmed */
    bool is_purging;   /* purged, and not known whether */
    bool is_checked;   /* on this connection */
};

struct client {
    struct sim *sim;
    struct machine *machine;
    int number;
    enum client_state state;
    struct conversation *connection; /* the broker's side; NULL: no socket */
    uint64_t epoch;                  /* of the socket */
    uint64_t dial_epoch;             /* of the machine, when it was connected */
    struct buffer to_broker, to_client;
    size_t arrived; /* bytes of to_broker that the broker can read */
    uint64_t deaf_until_us;
    uint64_t mute_until_us, sent_us; /* sends nothing until then; has sent something last */
    bool was_mute, is_told;          /* so that the broker may hang up; the broker has closed it */
    bool is_coming;                  /* an event for to_client is scheduled */
    uint64_t said_us, heard_us;      /* what the broker has said until then is in to_client, or was read */
    bool is_blocked;
    bool is_closed_well; /* close-ok has come */
    bool is_to_close;    /* an operator has asked for that */
    uint64_t closed_us;  /* he was told that it is done then; 0: not yet */
    uint64_t dials;
    bool is_orphaned;    /* the broker has closed its side: what still comes has gone back */
    bool is_draining;
    struct sim_channel channels[CHANNELS + 1];
    struct own_queue own;
    bool is_stranger;
    struct solo *solo; /* on the last channel; NULL: none */
    uint32_t frame_max;
    uint32_t drain_full;      /* bits of queues that were not empty at the last look */
    uint64_t drain_delivered; /* at the last look */
    uint64_t drain_empty_us;  /* since then nothing has come */
};

/* Who it is for its broker. */
struct peer client_peer(const struct client *client);
void client_init(struct sim *sim, int number);
void client_free(struct client *client);
void client_dial(struct client *client);
/* The socket is gone, whoever closed it. */
void client_lost(struct client *client);
/* The broker has closed its side; what it sent before is still on its way. */
void client_orphaned(struct client *client);
/* The same, and it may not have read all that the client has sent. */
void client_closed(struct client *client);
/* Bytes of to_client arrive. */
void client_receive(struct client *client);
void client_send(struct client *client, uint16_t channel, const union method *method);
/* The same, and its reply is waited for. */
void client_call(struct sim_channel *channel, const union method *method, uint32_t reply,
                 int queue);
void client_content_with(struct client *client, uint16_t channel, struct bytes body,
                         const struct properties *properties);
void client_heartbeat(struct client *client);
/* The channel is closed, and everything of it is known. */
void channel_ends(struct sim_channel *channel);
/* Everything that a channel waits for has come. */
bool channel_is_quiet(const struct sim_channel *channel);
void channel_proves(struct sim_channel *channel, size_t count);
void channel_add_delivery(struct sim_channel *channel, struct copy *copy, uint64_t tag);
void channel_remove_delivery(struct sim_channel *channel, size_t at);
/* May the broker close it as an answer is late? It has: what was delivered is back. Fails if it should. */
bool channel_may_time_out(const struct sim_channel *channel);
void channel_timed_out(struct sim_channel *channel);
void channel_check_time(struct sim_channel *channel);
/* It has come to somebody else, so that the broker must have closed the channel that has it, for a
 * transaction that is too large. False: there is no such channel. */
bool channel_has_lost(struct sim *sim, const struct copy *copy);

void work_ready(struct client *client);
/* Publishes a message whose confirm is awaited. */
struct sim_message *work_publish(struct sim_channel *channel, const struct target *target);
void work_act(struct client *client);
void work_replied(struct sim_channel *channel, const struct expected *expected,
                  const union method *method);
void work_confirmed(struct sim_channel *channel, uint64_t tag, bool multiple, bool refused);
void work_channel_closed(struct sim_channel *channel, const struct method_channel_close *method);

/* ---- a client who may do next to nothing: stranger.c ---- */

/* What he may do; is_unsure: that is being changed. */
struct strangers {
    uint64_t number;
    uint64_t topology_epoch; /* of the broker that has the names that all use */
    bool is_granted, is_wanted, is_unsure;
};

/* His user is there, with a broker that has just come up. */
void stranger_come(struct machine *machine);
/* Asks for another permission of his; looks at the answer. */
void strangers_ask(struct sim *sim, struct admin *admin);
void strangers_answered(struct sim *sim, int status);
void stranger_act(struct sim_channel *channel);
void stranger_replied(struct sim_channel *channel, const union method *method);
void stranger_confirmed(struct sim_channel *channel);
void stranger_refused(struct sim_channel *channel, const struct method_channel_close *method);

/* ---- all of it: simulation.c ---- */

struct sim {
    const struct simulation_options *options;
    struct simulation_report *report;
    struct random random;
    uint64_t now_us;
    int64_t skew_ms; /* of the wall clock */
    struct events events;
    struct machine machines[MACHINES];
    struct client clients[CLIENTS];
    struct admin admins[ADMINS];
    struct chores chores;
    struct strangers strangers;
    struct promises promises;
    struct chaos chaos;
    struct dials dials;
    int clients_count;
    uint64_t epoch;       /* of the broker that the client speaks to whose turn it is */
    uint64_t crash_epoch; /* of the machine, after the last end that was not clean */
    bool is_healed;
    uint64_t healed_us;
    bool is_failed;
};

uint64_t sim_below(struct sim *sim, uint64_t limit);
/* One in `n`. */
bool sim_chance(struct sim *sim, uint64_t n);
void sim_at(struct sim *sim, enum event_kind kind, int machine, int which, uint64_t delay_us,
            uint64_t epoch);
/* A promise is broken; the first one counts. */
void sim_fail(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Adds bytes to the sum of the trace. */
void sim_digest(struct sim *sim, const void *data, size_t size);
void sim_say(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
