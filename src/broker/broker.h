/* The model: virtual hosts with their exchanges, queues and bindings, as plain data over the store.
 *
 * Nothing in here knows connections or channels. Names come from the peer and are borrowed for the
 * call. What the layer above has to do comes back as return values and as two lists: queues that
 * have work, and (from the store) tickets that have ended. */
#ifndef LEVERET_BROKER_BROKER_H
#define LEVERET_BROKER_BROKER_H

#include "base/budget.h"
#include "base/buffer.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/random.h"
#include "broker/change.h"
#include "queue/queue.h"

struct audit;
struct queue_set;
struct undo;
struct vhost;
struct worker;

/* Checks of passwords that take long: login.c. */
struct logins {
    struct worker *worker; /* NULL: there is none */
    struct list waiting;   /* for the worker */
    size_t count;          /* these, the one that is with the worker, and those that have ended */
    bool is_busy;          /* the worker has one */
    bool any_slow;         /* some user has a password whose check takes long */
    uint8_t secret[32];
};

/* What a new store gets: a virtual host, and a user, who may do so much in all that there are. */
struct broker_first {
    const char *vhost, *user, *password;
    const char *tags; /* separated by commas */
    const char *configure, *write, *read;
};

/* All zero or NULL: no limit, and RabbitMQ's default. */
struct broker_options {
    uint32_t queues_max;    /* in all virtual hosts together */
    uint32_t exchanges_max; /* the same, with those that are there from the start */
    uint32_t vhosts_max;
    const char *queue_type; /* of queues where neither they nor their virtual host say */
    const char *node;       /* what this broker is called */
    uint8_t password_kind;  /* how new passwords are kept where nobody says: enum hash_kind */
    uint64_t queue_group;   /* the group that new queues are of which survive; 0: none */
    struct broker_first first;
    const struct vhost_defaults *defaults; /* of virtual hosts that are made; NULL: none */
};

/* `/` and guest, who may do everything. */
struct broker_options broker_options_default(void);

/* Whose story broker->letter_deaths and letter_headers tell, if it is one that others may have as well. */
struct letter_story {
    uint64_t queue_id; /* where it has died; 0: nobody else has it */
    const char *reason;
    uint64_t time_s;
    struct buffer names; /* exchange, with its size in front, and routing key */
};

struct broker {
    struct broker_options options; /* the defaults, or what the owner sets after broker_init */
    struct store *store;
    struct message_pool *pool;
    const struct log *log;
    struct random *random;
    struct queues queues; /* what they share */
    struct map vhosts;    /* struct vhost by name */
    struct map users;     /* struct user by name */
    struct map parameters; /* struct parameter by its key: the global ones */
    struct map going;     /* virtual hosts that are deleted, but for what is still in them */
    uint64_t evictions;   /* rises when a user is deleted, or a virtual host that has connections */
    struct list removals; /* what is gone, but for its bindings: removal.c */
    struct list doomed;   /* auto-delete exchanges that lost their last binding: doomed_link */
    struct vhost *changed_vhost;       /* the last one in which something was applied; or NULL */
    struct changes changes;            /* of the decision at hand; empty between calls */
    struct buffer scratch;             /* apply.c's: an entry of the catalogue */
    uint64_t decision_number;          /* of the last decision about what goes: removal.c */
    struct list dead_letters;          /* queues with dead letters that wait, or with messages to drop */
    struct list refused;               /* dead letters of messages that no queue has taken */
    uint64_t deaths[QUEUE_CLASSES][3][4]; /* of messages, since the start: enum letter_fate, enum death */
    uint64_t deaths_kept[QUEUE_CLASSES]; /* of those that were kept, what a queue has taken */
    struct idmap unplaced;             /* dead letters that no queue has taken, by queue: unplaced.c */
    bool ignores_client_deaths;        /* x-death counts only if the broker has written it */
    struct list reconfiguring;         /* virtual hosts whose policies have changed: reconfigure.c */
    bool has_to_drop;                  /* some queue has more than it may keep: overflow.c */
    struct list histories;             /* what exchanges keep, by age: exchange_recent_history.c */
    uint64_t histories_bytes;          /* that it takes in memory */
    struct list quotas;                /* those to look at in this turn: quota.h */
    uint64_t quota_changes;            /* rises when limits of one are set */
    const struct user *actor;          /* who has asked for what is done now; NULL: nobody */
    struct audit *audit;               /* the client who has; NULL: another one, or nobody */
    struct undo *undo;                 /* what is done now may be taken back: undo.h; or NULL */
    bool has_events;                   /* what happens is told of: events.h */
    size_t traced;                     /* virtual hosts that are: firehose.h */
    struct logins logins;
    struct queue_set *firehose_set;    /* scratch space of that */
    struct idmap seen;                 /* by id: what exchanges and queues have seen; seen.h */
    struct list forgotten;             /* the same of those that are gone */
    uint64_t seen_number;              /* of the last exchange that looks for duplicates */
    uint64_t exchange_number;          /* of the last exchange that was made */
    uint64_t policy_number;            /* of the last policy that was set */
    uint64_t route_number;             /* of the current routing, marks queues already in its set */
    struct budget turn;                /* what may still be done for peers in this turn */
    uint64_t clock_ms;                 /* wall clock of this turn, for timestamps */
    uint64_t queues_declared;          /* since the start; what was there already, too */
    uint64_t queues_made, queues_gone; /* the same, with those that a start finds */
    uint64_t topology;                 /* rises with every change that may alter a routing result */
    struct queue_set *dead_letter_set; /* scratch space; and what its messages are made in: */
    struct buffer letter_deaths, letter_headers, letter_properties;
    struct letter_story letter_story;
};

/* An empty model over an open store; then broker_restore. The caller keeps all that it passes. `now_ms` is
 * monotonic. */
void broker_init(struct broker *broker, struct store *store, struct message_pool *pool,
                 struct random *random, const struct log *log, uint64_t now_ms);
/* What happens by itself, once a turn: queues that nobody uses go, messages that have ended
 * do, and so does what is left of things that
 * are gone, as far as broker->turn allows; dead letters are moved on. `now_ms` is monotonic, `clock_ms`
 * the wall clock. */
void broker_tick(struct broker *broker, uint64_t now_ms, uint64_t clock_ms);
/* When broker_tick must be called next even if nothing happens; UINT64_MAX: no need. */
uint64_t broker_next_ms(const struct broker *broker);
/* Is something left that the next turn can go on with? */
bool broker_has_work_left(const struct broker *broker);
/* Reads the catalogue and builds the model. False, with a text, when the catalogue makes no sense. */
bool broker_read(struct broker *broker, char *error, size_t error_size);
/* For a model that had no virtual host when it was read: what it still has not gets made, a virtual
 * host with its predeclared exchanges, and a user, as broker->options.first says. */
void broker_make_first(struct broker *broker);
bool broker_is_new(const struct broker *broker);
/* All of that. */
bool broker_restore(struct broker *broker, char *error, size_t error_size);
/* A new id, for the store. */
uint64_t broker_queue_id(const struct broker *broker, bool durable);
/* Is it put on record where it goes to queues that survive? What a group agrees on all is. */
static inline bool broker_records(const struct broker *broker, const struct message *message)
{
    return message->flags & MESSAGE_PERSISTENT || broker->options.queue_group;
}
/* How many queues there are, in all virtual hosts. */
size_t broker_queues(const struct broker *broker);
/* The same over a store that is being salvaged: names that make no sense go, queues without a name
 * get one, and all of that is told. */
void broker_salvage(struct broker *broker, const struct salvage *salvage);
/* Forgets the model; the store keeps what is in it. */
void broker_free(struct broker *broker);

#endif
