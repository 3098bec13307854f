/* What the parts of an exact model know of each other: see solo.h. */
#ifndef LEVERET_TESTS_SIM_SOLO_INTERNAL_H
#define LEVERET_TESTS_SIM_SOLO_INTERNAL_H

#include "queue/queue_settings.h"
#include "tests/sim/sim.h"

enum {
    QUEUES_OF_ONE = 4,
    EXCHANGES_OF_ONE = 4,
    DEFAULT = EXCHANGES_OF_ONE, /* the default exchange */
    NONE = -1,
    BINDINGS_MAX = 24,
    CONSUMERS_OF_ONE = 6,
    CALLS_MAX = 64,
    STEP_OPS = 8,
    READY_MAX = 60,
    UNACKED_MAX = 30,
    TAG_SIZE = 16,
    PLACES = 1024, /* between two that come one after the other */
    LEVEL_SHIFT = 48, /* in a place, above that: the higher the priority, the lower */
    LEVEL_TOP = 255,
};
enum { NAME_SIZE = 24, SAME = 4 };
enum kind { DIRECT, FANOUT, TOPIC, HEADERS, KINDS };
enum mode { MODE_PLAIN, MODE_CONFIRM, MODE_TX, MODES };

/* No limit, and no time at which something ends. */
#define NO_LIMIT UINT64_MAX

/* Of what may wait for its dead letter to be read, or goes when the broker does what is due. */
static const uint64_t pending_op = UINT64_MAX;
/* Routing keys; the last ones are for bindings only. */
extern const char *const solo_keys[];
enum { PUBLISH_KEYS = 5, KEYS = 8 };

/* Why a message was dead-lettered. */
enum reason { REASON_REJECTED, REASON_EXPIRED, REASON_MAXLEN, REASON_DELIVERY_LIMIT, REASONS };

/* A message, as it lies in a queue. */
struct entry {
    uint64_t id, place, step;
    uint64_t op;           /* with which it came, or went */
    int priority;          /* NONE */
    int exchange, key, cc; /* keys from KEYS on are names of queues; cc, or bcc: NONE */
    uint32_t size;
    uint32_t count_least, count_most; /* how often it came back to its queue, */
    uint64_t count_op;                /* last with this operation */
    int h, g; /* its headers; 0: not there */
    int same; /* of those with one number a queue that looks for duplicates takes one; 0: of any */
    uint32_t deaths;
    int died_in;         /* a queue; NONE */
    uint64_t died_level; /* and the level of its priority there, */
    uint64_t came_step;  /* to which it had come in this step, */
    uint64_t left_ms;    /* and which it left then, at the earliest; NO_LIMIT: when that was noticed */
    uint64_t way;        /* a hash of all that it died in, in order, and why; 0: of nothing, or it was seen since */
    enum reason why;
    bool is_either; /* expired, or dropped: it did both at the same time */
    uint32_t cycle;    /* bits of queues in which it died since it was last rejected */
    uint64_t ttl_ms;   /* its own; NO_LIMIT: none */
    uint64_t lives_ms; /* in its queue, */
    /* into which it came then, by the broker's clock; 0: not known yet */
    uint64_t came_ms, came_most_ms;
    uint64_t asked_ms; /* what it says how long it waits when it comes back; NO_LIMIT: nothing */
    uint64_t wait_most_ms; /* how long it waits now, at the most, and until when: */
    uint64_t ready_ms, ready_most_ms; /* 0: not known yet */
    bool persistent;
    bool is_seen;     /* so that it must say that it was delivered before, */
    bool is_crossed;  /* or may, as a connection was lost meanwhile */
    bool is_unread;   /* got, and the broker may not have read that */
    bool is_taken;    /* delivered or got, and to be settled, or so until then */
    bool is_late;     /* a dead letter that may still be on its way */
    bool is_doubtful; /* it need not be there, */
    bool is_possible; /* or may, though it went */
};

struct entries {
    struct entry *at;
    size_t count, capacity;
};

/* What it says of a queue's name; NO_LIMIT: nothing. */
struct own_policy {
    bool exists;
    int priority;
    uint64_t max_length, ttl_ms;
};

enum { POLICY_OF_OPERATORS = 2, POLICIES };

struct own_policies {
    struct own_policy of[POLICIES];
    bool are_unsure; /* they will be cleared, */
    int cleared;     /* one after the other */
};

struct own_queue_of {
    bool exists, durable, auto_delete, exclusive;
    bool is_mirrored; /* it survives, though it is not durable */
    bool is_single;  /* one of its consumers is active */
    bool deduplicates;
    uint64_t first_consumer; /* number of the first that it had */
    bool is_unsure;  /* whether it is there: it will be deleted */
    bool is_excused; /* messages may have gone unseen, to a socket that was lost */
    int dlx, dlk;
    uint64_t max_length, max_bytes, ttl_ms, max_priority, delivery_limit;
    uint64_t declared_length, declared_ttl_ms; /* which policies may make less */
    struct own_policies policies;              /* of its name, whether it is there or not */
    enum overflow overflow;
    bool has_overflow; /* says so, though that is the usual one */
    uint64_t expires_ms;
    uint64_t used_ms, used_most_ms; /* last, by the monotonic clock; 0: not known yet */
    uint64_t expired_op; /* after this operation it went, as nobody used it; 0: it did not */
    /* In which steps one of a number left, and a letter was taken for a duplicate. */
    uint64_t left_step[SAME], dropped_step[SAME];
    uint64_t room_step, letter_step; /* in which one ended or came back, and a letter came */
    uint64_t late_step; /* in which letters last came, */
    int late_from;      /* and the queue that they came from */
    uint64_t generation;
    enum retry_type retry;
    enum backoff backoff;
    uint64_t retry_min_ms, retry_max_ms;
    struct entries ready;
    struct entries waiting; /* what came back, and is not ready yet */
    struct entries ghosts;  /* what went, and may come back after a crash */
};

struct own_exchange {
    bool exists, durable, auto_delete, internal, is_unsure;
    enum kind kind;
    int alternate;
};

struct own_binding {
    int source, queue, exchange, key, match;
};

struct own_unacked {
    uint64_t tag, generation;
    int queue, consumer; /* NONE: got */
    struct entry entry;
    bool has_failed; /* the consumer, as it says by basic.reject */
    bool is_settled; /* in the open transaction, */
    enum settled how;
    uint64_t order; /* in which they were settled */
};

struct own_consumer {
    bool is_active, no_ack, exclusive;
    bool is_single; /* the one that is active, of a queue that has only one */
    int queue, priority;
    uint64_t number; /* in the order in which they came */
    uint32_t prefetch, unacked;
    char tag[TAG_SIZE];
};

enum call_kind { CALL_OTHER, CALL_GET, CALL_LOOK, CALL_TOPOLOGY, CALL_POLL };

struct call {
    enum call_kind kind;
    uint64_t op;
    int queue, exchange;
    bool has_binding, is_change, is_empty, no_ack;
    struct own_binding binding;
    uint32_t least, most, consumers;
    struct entry got;
    uint64_t tag;
};

enum { ANY_STATUS = 0 };

/* What the operator was asked to do. */
struct own_operation {
    bool is_asked, is_change;
    uint64_t op;
    int queue, policy; /* NONE: it is about none */
    int status;        /* of the answer that is due */
};

struct own_publish {
    uint64_t id, op;
    bool is_recorded, is_returned, is_answered;
    /* one that was published later was returned: it is refused, or this is wrong */
    bool is_passed;
    bool is_lost;    /* it was refused for want of room */
    bool is_refused; /* by a queue that is full, */
    bool is_taken;   /* and another one takes it */
};

enum survey {
    SURVEY_NOT,
    SURVEY_UNBIND,
    SURVEY_QUEUES,
    SURVEY_POLICIES,
    SURVEY_EXCHANGES,
    SURVEY_CHECK,
    SURVEY_LOOK,
    SURVEY_RETURN
};

struct solo {
    struct client *client;
    enum mode mode;
    struct own_queue_of queues[QUEUES_OF_ONE];
    struct own_exchange exchanges[EXCHANGES_OF_ONE];
    struct own_binding bindings[BINDINGS_MAX];
    int bindings_count;
    struct own_binding doubtful[BINDINGS_MAX * 2];
    int doubtful_count;
    struct own_consumer consumers[CONSUMERS_OF_ONE];
    struct own_unacked *unacked;
    size_t unacked_count, unacked_capacity;
    struct call calls[CALLS_MAX];
    int calls_count;
    struct own_publish *publishes; /* of the channel, by number - 1 */
    size_t publishes_count, publishes_capacity;
    struct entry *tx_publishes;
    size_t tx_count, tx_capacity;
    uint64_t returns[256]; /* ids that are due, in order */
    int returns_count;
    int cancels_due;
    uint64_t machine_refused; /* when the channel began */
    uint32_t prefetch, prefetch_global;
    uint64_t id_last, place_last, generation_last, tag_last, consumer_last;
    uint64_t step, op, proved_op, durable_op, settle_last;
    uint64_t epoch; /* of the machine, of the last connection */
    uint32_t expected_code;
    char expected_text[80];
    struct own_operation operation;
    bool operates;   /* will ask for one when all was read */
    bool is_stopped; /* the step sends no more */
    bool has_connected, is_known, was_checked;
    bool is_open;
    uint64_t ended_ms;   /* the highest clock of messages with which a machine ended since the last survey */
    uint64_t highest_ms; /* the same, ever */
    uint64_t acted_ms;   /* the broker's clock of messages when it last did anything, */
    bool is_ending;      /* and its channel may have ended since */
    bool is_unsettled;   /* letters may be on their way, or what was due has not been done yet */
    bool is_doubted;     /* what comes of the step cannot be known, */
    bool is_ignoring;    /* something may have ended amid a step: all will be looked at */
    uint64_t step_ms;    /* the broker's clock of messages when the step began; */
    uint64_t overrun_ms; /* and when the next thing ends, and its outcome is not sure any more */
    uint64_t look_ms;    /* the same clock, when the survey asked for a message */
    bool look_is_settled; /* and the broker had done then what was due */
    /* The same when it asked for the first of the queue; 0: it had not done what was due. */
    uint64_t look_from_ms;
    enum survey survey;
    int survey_at;
    uint64_t survey_place;
};

/* What a message says of itself. */
struct letter {
    uint64_t id;
    uint32_t deaths;
    int died_in;
    enum reason why;
    uint32_t count; /* how often it came back */
};

static inline struct sim *sim_of(const struct solo *solo)
{
    return solo->client->sim;
}

static inline struct solo *solo_of(const struct sim_channel *channel)
{
    return channel->client->solo;
}

static inline uint64_t below(const struct solo *solo, uint64_t limit)
{
    return sim_below(sim_of(solo), limit);
}

static inline bool chance(const struct solo *solo, uint64_t n)
{
    return sim_chance(sim_of(solo), n);
}

/* ---- solo_model.c ---- */

/* Entries lie in the order of their places, and so in that of their levels. */
static inline uint64_t level_of(const struct entry *entry)
{
    return LEVEL_TOP - (entry->place >> LEVEL_SHIFT);
}

/* Is it the first of its level? */
bool entries_is_head(const struct entries *entries, size_t at);
void entries_add(struct entries *entries, const struct entry *entry);
struct entry entries_take(struct entries *entries, size_t at);
void entries_clear(struct entries *entries);

/* A name as bytes, which lie in `name`. */
struct bytes solo_queue_text(const struct solo *solo, int queue, char name[NAME_SIZE]);
struct bytes solo_exchange_text(const struct solo *solo, int exchange, char name[NAME_SIZE]);
struct bytes solo_key_text(const struct solo *solo, int key, char name[NAME_SIZE]);

/* Dead letters that may still be on their way to the queue, or to any. */
uint32_t solo_count_late(const struct own_queue_of *queue);
bool solo_has_late(const struct solo *solo);
bool solo_has_consumers(const struct solo *solo);
uint32_t solo_count_consumers(const struct solo *solo, int queue);
/* The simulation has failed with this message of this queue. Returns false. */
bool solo_fails(const struct solo *solo, const char *what, uint64_t id, int queue);

/* Bits of the queues that a message reaches from an exchange. */
uint32_t solo_route(const struct solo *solo, int exchange, const struct entry *letter);
/* Puts a message into the queues of these bits. Returns those that are full and refuse it. */
uint32_t solo_enqueue(struct solo *solo, uint32_t queues, struct entry letter);
/* Is it there after a restart? */
bool solo_survives_in(const struct own_queue_of *queue, const struct entry *entry);
/* A message has gone with this operation, and may come back after a crash; and was seen. */
void solo_add_ghost(struct own_queue_of *queue, struct entry entry, uint64_t op);
void solo_add_seen_ghost(struct own_queue_of *queue, struct entry entry, uint64_t op);
/* Has the queue a dead-letter exchange that is there? */
bool solo_sends_on(const struct solo *solo, const struct own_queue_of *queue);
/* What a message becomes when it dies in its queue. */
struct entry solo_letter_of(const struct solo *solo, int number, const struct entry *entry,
                            enum reason why);
/* A message leaves its queue: what was dropped in this step as one like it may have come behind it. */
void solo_note_leave(struct solo *solo, const struct own_queue_of *queue, const struct entry *entry);
/* A message that was taken out of its queue goes to the dead-letter exchange, if there is one. */
void solo_die(struct solo *solo, int number, const struct entry *entry, enum reason why);

/* A name goes, with all that goes with it. */
void solo_remove_binding(struct solo *solo, int at);
void solo_remove_exchange(struct solo *solo, int exchange);
void solo_remove_queue(struct solo *solo, int queue);
/* Chooses the one that is active, of a queue that has only one and lost it. */
void solo_choose_single(struct solo *solo, int queue);
void solo_end_consumer(struct solo *solo, int number);

/* A message was delivered, or got (`consumer` is NONE). */
struct own_unacked *solo_add_unacked(struct solo *solo, uint64_t tag, int queue, int consumer,
                                     const struct entry *entry);
bool solo_channel_has_credit(const struct solo *solo);
/* Can it be given messages, unless it lacks credit? */
bool solo_consumer_is_served(const struct solo *solo, const struct own_consumer *consumer);
bool solo_consumer_has_credit(const struct own_consumer *consumer);
/* Is there a consumer that should get a message? */
bool solo_is_deliverable(const struct solo *solo);
/* Is the queue still the one that it came from? */
bool solo_is_of_queue(const struct solo *solo, const struct own_unacked *unacked);
/* The unacknowledged message `at` is acknowledged, rejected, or returned. */
void solo_settle_model(struct solo *solo, size_t at, enum settled how);
/* A message is in its queue again. */
void solo_put_back(struct solo *solo, int number, const struct entry *entry);
/* May `at` come first, though others lie before it? */
bool solo_may_be_first(const struct entries *ready, size_t at);
/* May another than the first come first? */
bool solo_is_ambiguous(const struct entries *ready);

/* Reads what the channel's content says of itself; false: it is none of ours, or tells of BCC. */
bool solo_read_letter(const struct sim_channel *channel, struct letter *letter);
/* May it, or does it, come back too often now? */
bool solo_must_be_there(const struct solo *solo, const struct own_queue_of *queue,
                        const struct entry *entry, bool restarted, bool crashed);
bool solo_may_be_too_often(const struct own_queue_of *queue, const struct entry *entry);
bool solo_is_same(const struct entry *entry, const struct letter *letter);
/* Is what came as it was sent, and does it say rightly whether it was delivered before? Fails. */
bool solo_check_content(const struct sim_channel *channel, const struct entry *entry, int queue);
/* The same, of one that came; what is known of it is now known better. */
bool solo_check_letter(const struct sim_channel *channel, struct entry *entry,
                       const struct letter *letter, int queue);

/* Sends a method whose answer is awaited; the caller notes in the call what the answer has to be.
 */
struct call *solo_call(struct sim_channel *channel, const union method *method, uint32_t reply,
                       enum call_kind kind);
/* What was sent last closes the channel, with this in its text. */
void solo_expect_close(struct solo *solo, uint32_t code, const char *text);
/* The answer counts the messages of this queue. */
void solo_expect_count(struct solo *solo, struct call *next, int queue);

/* ---- solo_limits.c ---- */

bool solo_has_limit(const struct own_queue_of *queue);
/* Do its oldest messages go when it is full? */
bool solo_drops(const struct own_queue_of *queue);
/* Is it full with so many more, and drops its oldest? */
bool solo_drops_with(const struct own_queue_of *queue, uint64_t count, uint64_t bytes);
/* A letter comes. If others come from another queue at the same time, which ones are kept is not
 * known: all queues will be deleted. */
void solo_note_letter(struct solo *solo, int number, const struct entry *letter);
/* A message has ended, or come back. If a letter comes at the same time, whether there was room for it is not
 * known. */
void solo_note_room(struct solo *solo, int number);
/* A message has come. If one ends while the queue is full, it may make room itself where it is the first of
 * its priority: what is left is not known. */
void solo_note_entry(struct solo *solo, int number);
/* Is it full, and refuses this one? */
bool solo_refuses(const struct solo *solo, int number, const struct entry *letter);
/* What is too much goes from a queue, unless a consumer is about to take it. Did any? */
bool solo_drop_queue(struct solo *solo, int number);
/* The same of all of them, and what has ended from their heads. */
void solo_tend(struct solo *solo);

/* ---- solo_time.c ---- */

/* The broker's clock of messages. */
uint64_t solo_clock_ms(const struct solo *solo);
/* When an entry ends, at the earliest, and at the latest (NO_LIMIT: that is not known yet). */
uint64_t solo_ends_ms(const struct entry *entry);
uint64_t solo_ends_most_ms(const struct entry *entry);
/* Is it about to end? */
bool solo_ends_soon(const struct solo *solo, const struct entry *entry);
uint64_t solo_margin_ms(void);
bool solo_is_soon(const struct solo *solo, uint64_t at_ms);
/* Something will not be so any more then: the outcome of a step is not sure. */
void solo_sooner(struct solo *solo, uint64_t at_ms);
/* Had it ended when the step began? */
bool solo_has_ended(const struct solo *solo, const struct entry *entry);
/* Is nothing else done before it has ended, so that its letter may come with what came with it? */
bool solo_ends_at_once(const struct entry *entry);
/* It has come into a queue. */
void solo_came(struct solo *solo, int number, struct entry *entry);
/* Somebody uses a queue now. */
void solo_used(struct solo *solo, int number);
/* Nothing is awaited: what has ended goes, and what is about to is waited for. True: that is all for
 * now. */
bool solo_waits_for_time(struct sim_channel *channel);
/* A step begins. */
void solo_begin_step(struct solo *solo);
/* May something have ended since, or is something in doubt? Then the outcome of the step is not known. */
bool solo_is_overrun(struct solo *solo);
/* A letter comes from a queue, of a message whose end has not been noticed yet: it, and those before it, may have
 * ended. */
void solo_foresee(struct solo *solo, int number, const struct letter *letter);
/* May a message have ended that is not known to have? Its letter may be anywhere, and have driven out others,
 * such as what this letter was. */
bool solo_may_have_sent(const struct solo *solo, const struct letter *letter);
/* Asks the broker for anything, to know that it has read what was sent. */
void solo_poll(struct sim_channel *channel);
/* Has it done all that was due in the queues of this client? */
bool solo_is_settled(const struct solo *solo);
/* It has answered. */
void solo_polled(struct solo *solo, uint64_t op);
/* Names may go, and with them messages that may have ended: their letters may be anywhere. */
void solo_doubt_ended(struct solo *solo);
/* What time does to what a survey may find. */
void solo_doubt_time(struct solo *solo);

/* ---- solo_retry.c ---- */

/* A message has come back, and may have to wait: false, if it is there at once. */
bool solo_retry(struct solo *solo, int number, struct entry *entry, bool has_failed);
/* What has waited for so long, as the broker must have seen, is ready. */
void solo_wake(struct solo *solo);
/* The same of what this letter is, if it may have; or else, in the queue in which it died, of what it was
 * there, or of all that may have. */
void solo_wake_letter(struct solo *solo, int number, const struct letter *letter, bool is_it);
/* Is any about to be ready? */
bool solo_is_waking(const struct solo *solo);
/* Is it known of all until when they wait? False: the broker is to be asked. */
bool solo_settle_waits(struct solo *solo);
/* The earliest time at which one may be ready that is not. */
uint64_t solo_wakes_ms(const struct solo *solo);
/* What waits, or would if it came back, may do so or not. */
void solo_doubt_waits(struct solo *solo);
/* The machine was started anew, or a connection was lost. */
void solo_restart_waits(struct solo *solo, bool restarted, bool crashed);
/* Does it come too early, or has it not come in time? Fails. */
void solo_check_waits(struct solo *solo, int number);
/* Draws what a new queue has. */
void solo_draw_retry(struct solo *solo, struct own_queue_of *queue);

/* ---- solo_names.c ---- */

struct call *solo_send_queue_declare(struct sim_channel *channel, int queue,
                                     const struct own_queue_of *as, bool passive);
void solo_send_exchange_declare(struct sim_channel *channel, int exchange,
                                const struct own_exchange *as, bool passive);
void solo_send_binding(struct sim_channel *channel, const struct own_binding *binding,
                       bool unbinds);
/* Its number; NONE: there is no such binding. */
int solo_find_binding(const struct solo *solo, const struct own_binding *binding);
/* How long a message lives: not at all, a moment, for a while, or for longer than all this lasts. */
uint64_t solo_draw_ttl(struct solo *solo);
/* Operations of a step: each says whether it has done anything. */
bool solo_op_declare_queue(struct sim_channel *channel);
bool solo_op_delete_queue(struct sim_channel *channel);
bool solo_op_purge(struct sim_channel *channel);
bool solo_op_declare_exchange(struct sim_channel *channel);
bool solo_op_delete_exchange(struct sim_channel *channel);
bool solo_op_bind(struct sim_channel *channel);
bool solo_op_unbind(struct sim_channel *channel);

/* ---- solo_steps.c ---- */

void solo_send_get(struct sim_channel *channel, int queue, bool no_ack, enum call_kind kind);
/* True: it says that the consumer has failed. */
bool solo_send_settle_of(struct sim_channel *channel, uint64_t tag, bool multiple,
                         enum settled how);
/* Closes the channel. The broker may do so at the same time, as what was published before had no room. */
void solo_leave(struct sim_channel *channel);
/* Does the operations of the next step. */
void solo_draw_step(struct sim_channel *channel);

/* ---- solo_operate.c ---- */

/* What its arguments and policies come to. */
void solo_configure(struct own_queue_of *queue);
/* Asks the operator for something; false: for nothing. */
bool solo_operate(struct sim_channel *channel);
/* Is his answer due? Looks at it, if it has come. */
bool solo_awaits_operator(struct solo *solo);
/* What he was asked for may be done, or not. */
void solo_doubt_operator(struct solo *solo);
/* Clears a policy that is in doubt; false: there is none. */
bool solo_clear_unsure_policies(struct solo *solo);

/* ---- solo_survey.c ---- */

/* All that the channel had goes back. */
void solo_end_channel(struct solo *solo);
/* What was on its way is in doubt, and what may have gone with the channel. */
void solo_doubt_all(struct solo *solo);
/* Letters may be anywhere: all queues will be deleted, and nothing is known until then. */
void solo_doubt_queues(struct solo *solo);
/* It may not have been taken. */
void solo_doubt_publish(struct solo *solo, const struct own_publish *publish);
/* Whatever comes may say that it was delivered before. */
void solo_all_crossed(struct solo *solo);
/* Everything will be looked at, step by step, before anything else is done. */
void solo_begin_survey(struct solo *solo, bool restarted);
void solo_survey_step(struct sim_channel *channel);
/* The survey has got a message; it has got all of a queue. */
void solo_looked_at(struct sim_channel *channel, const struct letter *letter);
void solo_looked_through(struct solo *solo, int number);

#endif
