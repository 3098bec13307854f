/* What the parts of resume.c share: a connection, and what is remembered of a channel. */
#ifndef LEVERET_CLUSTER_RESUME_INTERNAL_H
#define LEVERET_CLUSTER_RESUME_INTERNAL_H

#include "amqp/frame.h"
#include "base/buffer.h"
#include "base/list.h"
#include "cluster/resume.h"

/* A message that comes in one direction of a channel. */
struct resume_content {
    struct buffer whole; /* what has come of it, frames and all */
    uint64_t left;       /* bytes of its body that are to come */
    enum content_state { CONTENT_NONE, CONTENT_HEADER, CONTENT_BODY } state;
    bool passes; /* it is too large to be kept */
};

/* What a client has asked, and was not answered. */
struct request {
    struct list link;
    uint64_t order;
    bool has_no_answer; /* the client wants none; the next answer says that it was heard */
    bool declares;      /* the answer names a queue */
    struct buffer frame;
};

/* What a client has published, and was not confirmed. */
struct publish {
    struct list link;
    uint64_t order;
    uint64_t client_tag, server_tag;
    struct buffer frames; /* empty: it was not kept */
};

struct resume_consumer {
    struct list link;
    uint32_t number;     /* of those of the channel */
    uint16_t prefetch;   /* that was in force when it came */
    bool is_cancelled;   /* by the server, while that is told of consumers */
    struct buffer frame; /* of basic.consume, with its tag */
    struct bytes tag;    /* in there */
};

/* A delivery that the client holds, or has answered: nobody knows yet whether that is for good. */
struct held {
    uint64_t position;   /* in its queue */
    uint64_t server_tag; /* for the server that it is claimed from; 0: it was not granted, or is of this server */
    uint64_t settle;     /* HELD_ACKED, HELD_REJECTED: with which method to the server that is there */
    uint32_t consumer;
    enum held_state { HELD_NOT, HELD, HELD_ACKED, HELD_REJECTED } state; /* HELD_NOT: nothing is to be done about it */
};

/* Those of a channel, by their numbers, without a gap. */
struct holdings {
    struct held *ring; /* `count` from `first` on */
    size_t first, count, capacity;
    uint64_t tag;      /* the client's number of the first */
    uint64_t position; /* of what is delivered next */
    bool has_position;
    uint64_t settles, settles_known; /* methods that the server was sent, and those that are for good */
    uint64_t claim_at; /* the client's number of what is claimed next */
};

enum resume_state {
    RESUME_CHANNEL_OPENING,
    RESUME_CHANNEL_OPEN,
    RESUME_CHANNEL_CLOSING, /* the client has asked for that */
    RESUME_CHANNEL_CLOSED,  /* by a server; the client has not said yet that it knows */
    RESUME_CHANNEL_GONE,    /* the same, and that server is gone as well */
};

/* What a server is told of an open channel, in this order. When all channels are TOLD, and what the client holds is
 * claimed by that, the rest is said: what is asked again may have to wait at the server, and all else behind it. */
enum resume_step { STEP_NONE, STEP_OPEN, STEP_TX, STEP_CONSUMERS, STEP_PREFETCH, STEP_TOLD };

struct resume_channel {
    struct resume *resume;
    uint16_t number;
    enum resume_state state;
    bool is_confirming, is_transacting, is_resumed;
    uint32_t undecided;          /* what a transaction has so far */
    uint16_t prefetch;           /* for consumers that come */
    uint16_t prefetch_of_all;
    struct resume_content from_client, from_server;
    struct list requests, publishes, consumers;
    size_t asked_bytes;
    size_t declaring; /* requests that declare queues, and are to be answered */
    size_t publish_count, unkept;
    uint64_t published;        /* the client's number of the last one */
    uint64_t server_published; /* the server's */
    uint64_t delivered;        /* the client's number of the last delivery */
    uint32_t delivering;       /* a method that has begun a delivery, of which more is to come; 0: none has */
    uint64_t former;           /* the last one of former servers */
    uint64_t claimed;          /* of those so many are this server's first ones now */
    struct holdings held;
    uint32_t consumer_count;   /* that there have been */
    struct buffer last_queue;  /* that was declared: what an empty name means */
    enum resume_step step;
    uint32_t unanswered;       /* of what the server was told in this step */
    struct list *telling;      /* the consumer that it was told last */
    struct resume_consumer *recent;   /* who had the last delivery; NULL: nobody */
    uint16_t server_prefetch;
};

/* An exclusive queue, or a binding of one. */
struct name {
    struct list link;
    bool is_queue;
    struct buffer queue, frame; /* the frame is for any channel, which is put in */
};

struct resume {
    const struct resume_ops *ops;
    void *context;
    enum {
        RESUME_GREETING, /* the protocol header has not come */
        RESUME_STARTING,
        RESUME_OPEN,
        RESUME_LOST,
        RESUME_SAYING_WHO,
        RESUME_NAMING, /* exclusive queues are declared */
        RESUME_TELLING,
    } state;
    bool is_left;     /* by its server, which has said so; nothing more of that counts */
    bool is_plain;    /* bytes are passed as they are */
    bool is_deaf;     /* what the client says after that is not passed */
    const char *never; /* why another server cannot go on; NULL: nothing is known */
    bool is_blocked, is_cancel_told;
    uint16_t channel_max;
    uint32_t secured;
    struct buffer client_partial, server_partial;
    struct buffer start_ok, secure_ok, tune_ok, open;
    struct resume_channel **channels; /* by number; NULL: none */
    size_t channel_count, channel_capacity;
    uint64_t order;
    size_t kept_bytes, *all_bytes;
    struct list names;
    struct list *naming; /* what the server was told last; the head: nothing yet */
    uint16_t naming_channel;
};

/* ---- frames ---- */

void resume_to_client(struct resume *resume, uint16_t channel, const union method *method);
void resume_to_server(struct resume *resume, uint16_t channel, const union method *method);
/* Appends a frame. */
void resume_frame(struct buffer *buffer, uint16_t channel, const union method *method);
/* The method of a frame that was kept. */
void resume_method(const struct buffer *frame, union method *method);

/* ---- channels ---- */

struct resume_channel *resume_channel(const struct resume *resume, uint16_t number);
struct resume_channel *resume_channel_new(struct resume *resume, uint16_t number);
void resume_channel_free(struct resume_channel *channel);
/* It is closed: nothing of it is to be told. */
void resume_channel_forget(struct resume_channel *channel);

/* A method without content that the client has sent, and its frame. True: it was passed, or is not to be; false: it
 * is to be passed as it is. */
bool resume_channel_said(struct resume_channel *channel, union method *method, struct bytes frame);
/* A message that the client has published is whole (`frames` is taken), or begins to pass (it is empty). */
void resume_channel_published(struct resume_channel *channel, struct buffer *frames);
/* The same of the server. */
bool resume_channel_heard(struct resume_channel *channel, union method *method, struct bytes frame);
/* The number that a delivery has for the client. `consumer`: its tag; NULL data: it was asked for. */
uint64_t resume_channel_delivered(struct resume_channel *channel, uint64_t tag, struct bytes consumer);
/* All of that has come. */
void resume_channel_delivered_all(struct resume_channel *channel);
/* What the server says beside the client's frames (peer/relayed.h). */
void resume_channel_note(struct resume_channel *channel, struct bytes note);
struct resume_consumer *resume_channel_consumer(const struct resume_channel *channel, struct bytes tag);
/* Why another server cannot go on with it; NULL: it can. */
const char *resume_channel_why_not(const struct resume_channel *channel);
/* What its server was about to say nobody will. */
void resume_channel_lost(struct resume_channel *channel);
/* Tells the server of an open channel. */
void resume_channel_tell(struct resume_channel *channel);
/* All channels are told: the rest of this one. */
void resume_channel_say_again(struct resume_channel *channel);

/* ---- what the client holds ---- */

/* A delivery of this consumer is on its way to the client, with that number; NULL: of none. */
void resume_held_delivered(struct resume_channel *channel, uint64_t tag, const struct resume_consumer *consumer);
/* That will not come. */
void resume_held_undelivered(struct resume_channel *channel, uint64_t tag);
/* The client ends deliveries. */
void resume_held_settled(struct resume_channel *channel, union method *method);
/* So many of these methods are for good. */
void resume_held_known(struct resume_channel *channel, uint64_t settles);
/* Another server is there. */
void resume_held_begin(struct resume_channel *channel);
/* Claims what the client holds of this consumer; returns how many answers there will be. */
uint32_t resume_held_claim(struct resume_channel *channel, const struct resume_consumer *consumer);
/* One of them. */
void resume_held_claimed(struct resume_channel *channel, const struct resume_consumer *consumer, struct bytes bits,
                         size_t count);
/* All that could be was claimed. */
void resume_held_end(struct resume_channel *channel);
void resume_held_free(struct resume_channel *channel);

/* ---- exclusive queues ---- */

void resume_names_declared(struct resume *resume, const union method *declare, struct bytes queue);
void resume_names_bound(struct resume *resume, const union method *bind);
void resume_names_unbound(struct resume *resume, const union method *unbind);
void resume_names_deleted(struct resume *resume, struct bytes queue);
void resume_names_free(struct resume *resume);
/* Has it a channel for that? */
bool resume_names_can_tell(struct resume *resume);
void resume_names_tell(struct resume *resume);
/* What the server has said on that channel. */
void resume_names_heard(struct resume *resume, const union method *method);

/* All is told about queues, or about a channel. */
void resume_named(struct resume *resume);
void resume_told(struct resume *resume);

#endif
