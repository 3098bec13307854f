/* A queue and its verbs. Which kind it is, and what it keeps its messages in, nobody above needs to
 * know: a message is named by its queue and its *position*, a number that the kind gives it. */
#ifndef LEVERET_QUEUE_QUEUE_H
#define LEVERET_QUEUE_QUEUE_H

#include "base/buffer.h"
#include "base/timer.h"
#include "queue/queue_settings.h"
#include "store/store.h"

struct vhost;
struct queue;
struct queue_timers;
struct queue_tally;

/* Of which type a queue is for its clients. */
enum queue_class { QUEUE_CLASS_CLASSIC, QUEUE_CLASS_QUORUM, QUEUE_CLASSES };

enum { QUEUES_TALLIES_MAX = 8 }; /* of enum tally (queue_tally.h), those of a queue */

/* How long messages of a queue, or of all, took to be delivered, and then to be acknowledged
 * (queue_latency.h): how many took how long. Only cells that have something are there, in order: 8 bits of its
 * number above 56 of how many. */
enum latency_of { LATENCY_DELIVER, LATENCY_ACKNOWLEDGE, LATENCIES };

struct latency {
    uint64_t *cells;
    uint16_t cells_count, cells_capacity;
    uint64_t count;
    uint64_t sum_us;
    uint64_t max_us; /* of those that were timed */
};

/* How many messages are timed: one in 1 << shift. */
struct latency_pace {
    uint64_t since_us; /* when its window began; */
    uint32_t begun;    /* and how many it has had */
    uint8_t shift;
};

/* What there is in a queue, or in all of them. */
struct queue_sums {
    uint64_t ready, taken, delayed, ready_bytes; /* of its messages */
    uint64_t able; /* 1: a consumer could take a message now; or how many such queues there are */
};

/* What all queues of a broker share. */
struct queues {
    struct store *store;
    struct list working;   /* queues that may have a message for a consumer: working_link */
    struct timers timers;  /* of those queues that have set one: queue_timer.h */
    uint64_t now_ms;       /* of this turn */
    uint64_t clock_ms;     /* the clock of messages that end, in ms since 1970: see queues_tick; */
    uint64_t arrival_ms;   /* what it said while this turn's input came, */
    uint64_t input_ms;     /* and where it would be now, for what waits from when it came */
    bool is_woken;         /* input comes */
    struct index **places; /* scratch of queue_push */
    uint64_t *times;       /* the same */
    size_t places_capacity, times_capacity;
    struct settings_pool settings; /* of those that set something */
    uint64_t timeouts;         /* rises when a policy gives consumers another time for an answer; */
    uint64_t timeout_least_ms; /* the least that any has given */
    uint64_t tallies[QUEUE_CLASSES][QUEUES_TALLIES_MAX]; /* of queues of a type: queue_tally.h */
    uint64_t consumers;      /* on all queues */
    struct queue_sums sums;  /* of all queues, as they were when they were last summed up: queue_sums.h; */
    struct list touched;     /* struct queue_tally, by touched_link: something has happened to these since */
    struct list sampled;     /* the same, by sampled_link: and since they were last sampled, */
    bool is_sampled;         /* as somebody does; */
    struct buffer gone;      /* ids of queues that were and are gone, for him to take out */
    const uint64_t *now_us; /* the owner's clock of this turn, in microseconds; NULL: it is now_ms */
    struct latency latencies[LATENCIES]; /* of all queues, also of those that are gone */
    struct latency_pace pace;
};

enum queue_result {
    QUEUE_OK,
    QUEUE_EMPTY, /* no message is ready; or, asked for one: it is damaged and was set aside */
    QUEUE_WAIT,  /* it is being read: queues_wake says when it is worth another try */
};

enum { QUEUE_SOON_MAX = 256 }; /* messages that are asked for at once, ahead of their time */

/* Told of a message with a time, by its position. */
typedef index_each_time queue_each_time;

/* Each function is the verb of the same name, here or in queue_expiry.h. */
struct queue_kind {
    /* Makes, or finds in the store, what the messages are kept in, and sets queue->counts. */
    void (*open)(struct queue *queue);
    /* Forgets what it has in hand of that; the store keeps it. */
    void (*close)(struct queue *queue);
    /* Forgets that, with all messages. */
    void (*drop)(struct queue *queue);
    /* Where in the store a message is to be put. */
    struct index *(*place)(struct queue *queue, const struct message *message);
    enum queue_result (*take)(struct queue *queue, bool settle, struct taken *taken);
    bool (*take_head)(struct queue *queue, uint64_t *position);
    void (*settle)(struct queue *queue, uint64_t position);
    void (*give_back)(struct queue *queue, uint64_t position);
    uint32_t (*delivery_count)(struct queue *queue, uint64_t position);
    /* Puts a taken message back, but delayed: queue_retry.h; makes it ready, if it is; tells of all. */
    void (*delay)(struct queue *queue, uint64_t position, uint64_t until_ms);
    bool (*retry)(struct queue *queue, uint64_t position);
    void (*delayed)(struct queue *queue, queue_each_time *each, void *context);
    enum queue_result (*fetch)(struct queue *queue, uint64_t position, struct message **message);
    uint64_t (*purge)(struct queue *queue);
    /* When the first ready message ends, or could at the earliest; 0: never. Where several are the first
     * of what they are kept in: the earliest of them. */
    uint64_t (*head_ms)(struct queue *queue);
    /* The position that a message would have which is pushed next. */
    uint64_t (*next_position)(const struct queue *queue, const struct message *message);
    /* Is there a message at this position, taken or not? */
    bool (*holds)(const struct queue *queue, uint64_t position);
    /* The same, and is it not decided that it ends, which may have to be agreed on first? */
    bool (*keeps)(const struct queue *queue, uint64_t position);
    /* See queue_look. */
    enum queue_result (*look)(struct queue *queue, uint64_t from, struct looked *looked);
    /* See index_heads: of those of the highest priority. */
    void (*heads)(const struct queue *queue, struct index_heads *heads);
    enum index_obstacle (*obstacle)(struct queue *queue);
    enum queue_result (*expire)(struct queue *queue, uint64_t *position);
    /* Asks for some taken messages at once, which are fetched next; NULL: each is asked for by itself. */
    void (*read_taken)(struct queue *queue, const uint64_t *positions, size_t count);
    /* Asks for some that are needed before long, the first to be needed first. True: all of them are in
     * memory, or there are more than it is worth to keep there. */
    bool (*read_soon)(struct queue *queue, const uint64_t *positions, size_t count);
    /* Messages may be ready in this index of the queue which nothing here has put there, as its group has
     * agreed on them; NULL: it makes no difference. */
    void (*came)(struct queue *queue, const struct index *index);
    /* For messages that leave from anywhere: queue_schedule.h. Where the one is that was pushed last to
     * what `place` has said. */
    uint64_t (*last)(struct queue *queue, const struct index *place);
    /* Takes a message that is ready as it lies. False: it is not. */
    bool (*take_at)(struct queue *queue, uint64_t position);
    /* When a message ends that is there; 0: never. QUEUE_WAIT: it is being read; ask again. */
    enum queue_result (*ends)(struct queue *queue, uint64_t position, uint64_t *ends_ms);
    /* Tells of some messages from *from (0: the first) on that have a time, and moves it behind them.
     * QUEUE_EMPTY: there are no more. */
    enum queue_result (*times)(struct queue *queue, uint64_t *from, queue_each_time *each, void *context);
};

extern const struct queue_kind queue_classic, queue_priority;

/* What it does about x-max-length and x-max-length-bytes (queue_limit.h), and whether it looks for
 * duplicates: bits. */
enum queue_limit {
    QUEUE_UNLIMITED = 0,
    QUEUE_DROPS = 1,   /* its oldest messages make room */
    QUEUE_REFUSES = 2, /* it takes no more */
    QUEUE_DEDUPLICATES = 4,
    QUEUE_AGREES = 8, /* it is of a group: nothing goes past what that agrees on */
    QUEUE_RESTS = 16, /* nothing has happened to it since it was summed up: queue_sums.h */
};

struct queue {
    const struct queue_kind *kind;
    void *state;                 /* the kind's */
    const struct queue_settings *settings; /* what its arguments and its policies come to */
    struct queue_timers *timers; /* NULL: it has set none */
    struct queues *queues;
    struct vhost *vhost; /* nothing in this folder looks into it */
    uint64_t id;         /* in the store */
    uint8_t *arguments;  /* contents of the field table it was declared with, for equivalence */
    uint64_t exclusive_owner;    /* id of the connection that owns it; 0: not exclusive */
    struct list consumers;       /* struct queue_consumer: all of them */
    /* The broker's: */
    struct list bindings;          /* struct binding, by destination_link */
    struct list owner_link;        /* exclusive queues of a connection */
    struct list dead_letters;      /* struct dead_letter: taken messages on their way out */
    struct list dead_letters_link; /* on broker->dead_letters */
    uint64_t route_number;         /* see broker->route_number */
    struct list working_link;      /* on queues->working */
    /* Whoever goes through all queues, of which there may be a million, and sums up looks at these alone, which
     * lie together and beside the name for that: */
    struct counts *counts; /* of its messages; only the kind changes them, but for queue_sum */
    struct queue_tally *tally;   /* what has happened to its messages; NULL: nothing yet */
    struct list ready_consumers; /* those that can take a message now, next one first */
    uint32_t consumer_count;
    uint32_t arguments_size;
    bool durable, auto_delete;
    bool exclusively_consumed; /* one consumer asked for exclusive access */
    bool has_levels;           /* ready_consumers is one of levels: queue_consumer.h */
    uint8_t limit;             /* of enum queue_limit */
    bool is_leaving;           /* gone; its bindings are passed over, and it has no messages */
    bool is_delay;             /* an exchange of its name holds back messages in it: broker/delay.h */
    uint8_t name_size;
    char name[]; /* terminated as well */
};

/* What a queue is made from. */
struct queue_properties {
    struct bytes name;
    uint64_t id; /* in the store; 0: a new one */
    bool durable, auto_delete;
    uint64_t exclusive_owner;
    struct queue_sources sources; /* with the arguments; checked before */
};

/* `seed` is secret to the process. */
void queues_init(struct queues *queues, struct store *store, uint64_t seed, uint64_t now_ms);
void queues_free(struct queues *queues);
/* A turn begins. The clock of messages is the wall clock as the first turn had it, and goes on evenly from
 * there: whatever is done to the system's, they live as long as they should. */
void queues_tick(struct queues *queues, uint64_t now_ms, uint64_t clock_ms);
/* The clock of messages goes on to where it is now, before the input of a turn; amid that it stands still, so
 * that what came together ends together, but for input_ms. */
void queues_woken(struct queues *queues, uint64_t now_ms);
/* Queues whose messages were read from the disk have work again. Were there any? */
bool queues_wake(struct queues *queues);

/* A queue over what the store has of it; on no list. `vhost` is only kept. */
struct queue *queue_new(struct queues *queues, struct vhost *vhost,
                        const struct queue_properties *properties);
/* Its policies are others than they were: it is set to what these and its arguments come to, and what
 * follows from that for what is in it is begun. Messages that are there keep the time they have. */
void queue_reconfigure(struct queue *queue, const struct queue_sources *sources);
/* Forgets the queue; the store keeps what is in it. Nothing may hang on its lists. */
void queue_free(struct queue *queue);
/* Forgets its messages, in the store too. Of its verbs none may be used any more. */
void queue_drop(struct queue *queue);

/* Puts a complete message into `count` queues, and tells those with a ready consumer that they have
 * work. Returns the set of logs (1 << LOG_JOURNAL ...) that it is on record in once their present ticket
 * has ended. Takes no reference from the caller. */
uint32_t queue_push(struct queues *queues, struct queue *const *destinations, size_t count,
                    struct message *message);
/* The same for one queue. */
uint32_t queue_push_to(struct queue *queue, struct message *message);
/* Marks that a consumer may have something to do with this queue. */
void queue_has_work(struct queue *queue);

/* From now on `above`, which is the caller's, has what the queue counts, beside what else it has; NULL:
 * nothing has any more. Until it is freed, or its messages are forgotten. */
static inline void queue_sum(struct queue *queue, struct counts *above)
{
    if (queue->counts->above != above)
        counts_sum(queue->counts, above);
}

/* Messages that can be taken. */
static inline uint64_t queue_ready(const struct queue *queue)
{
    return queue->counts->ready;
}

/* Takes the first ready message; *taken holds a reference. With `settle` it ends in the same step (a
 * delivery that needs no acknowledgement). */
static inline enum queue_result queue_take(struct queue *queue, bool settle, struct taken *taken)
{
    return queue->kind->take(queue, settle, taken);
}

/* Takes the first ready message as it lies, without reading it: it is to leave, not to be delivered.
 * False: none is ready. */
static inline bool queue_take_head(struct queue *queue, uint64_t *position)
{
    return queue->kind->take_head(queue, position);
}

/* The same of this message, if it is ready. */
static inline bool queue_take_at(struct queue *queue, uint64_t position)
{
    return queue->kind->take_at(queue, position);
}

/* Ends a taken message. */
static inline void queue_settle(struct queue *queue, uint64_t position)
{
    queue->kind->settle(queue, position);
}

/* Puts a taken message back to where it was; it was delivered once more. */
static inline void queue_give_back(struct queue *queue, uint64_t position)
{
    queue->kind->give_back(queue, position);
    queue_has_work(queue);
}

/* How often a message came back. */
static inline uint32_t queue_delivery_count(struct queue *queue, uint64_t position)
{
    return queue->kind->delivery_count(queue, position);
}

/* Brings a taken message back to look at; *message is a reference of the caller's. */
static inline enum queue_result queue_fetch(struct queue *queue, uint64_t position,
                                            struct message **message)
{
    return queue->kind->fetch(queue, position, message);
}

/* Looks at the first message from a position on (0: the first one), in the order in which they are
 * delivered, whether it is ready or not; looked->sequence is its position. Nothing happens to it.
 * QUEUE_EMPTY: there is none. */
static inline enum queue_result queue_look(struct queue *queue, uint64_t from,
                                           struct looked *looked)
{
    return queue->kind->look(queue, from, looked);
}

/* The time that its publisher gave to the first message, in seconds since 1970, whether it is ready or not; of
 * the first that is and the first that is not the earlier one counts, as in RabbitMQ, and those of the highest
 * priority alone. Nothing is read for it. False: it has none, or is not in memory. */
bool queue_head_timestamp(const struct queue *queue, uint64_t *timestamp);

/* What a consumer that could take the first ready message has to wait for. */
static inline enum index_obstacle queue_obstacle(struct queue *queue)
{
    return queue->kind->obstacle(queue);
}

/* Is there a message at this position, ready or not? Any number may be asked for. */
static inline bool queue_holds(const struct queue *queue, uint64_t position)
{
    return queue->kind->holds(queue, position);
}

/* Ends every message that is ready, waits for a retry, or is to be read before it does; returns how many
 * there were. Memory of many goes in the turns that follow. */
uint64_t queue_purge(struct queue *queue);
/* Is there none of these? */
bool queue_is_empty(const struct queue *queue);

static inline enum queue_class queue_class(const struct queue *queue)
{
    return queue->settings->is_quorum ? QUEUE_CLASS_QUORUM : QUEUE_CLASS_CLASSIC;
}

/* Is it, and what it has, there after a restart? It is durable, or mirrored all the same. */
static inline bool queue_survives(const struct queue *queue)
{
    return !(queue->id & STORE_ID_TRANSIENT);
}

static inline struct bytes queue_name(const struct queue *queue)
{
    return bytes_of(queue->name, queue->name_size);
}

#endif
