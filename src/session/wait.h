/* Replies that wait for a ticket: held replies of channels, and publisher confirms. All waiting of
 * the session is here, one list for each log in the order in which its tickets end. */
#ifndef LEVERET_SESSION_WAIT_H
#define LEVERET_SESSION_WAIT_H

#include "base/buffer.h"
#include "base/list.h"
#include "store/store.h"

struct channel;
struct server;

enum {
    WAIT_LOGS = 1,          /* this broker's journal */
    HELD_REPLIES_MAX = 65536,  /* bytes of held replies beyond which a connection's input waits */
};

struct waits {
    struct list logs[WAIT_LOGS]; /* struct wait, by log_link */
    struct list channels;          /* channels that have confirms to send: confirming_link */
};

enum wait_kind { WAIT_REPLIES, WAIT_CONFIRMS };
enum wait_state { WAIT_PENDING, WAIT_DONE, WAIT_FAILED };

struct wait {
    struct list log_link;     /* on its log's list while it is pending */
    struct list channel_link; /* in channel->waiting_replies or channel->confirms */
    struct channel *channel;
    struct ticket ticket;
    enum wait_kind kind;
    enum wait_state state;
    uint64_t first, last;  /* WAIT_CONFIRMS: publish numbers */
    struct buffer replies; /* WAIT_REPLIES: frames that follow the ticket's end */
};

void wait_init(struct waits *waits);
/* Everything that is written to the channel from now on waits for the ticket (and for what is
 * waiting already). Nothing happens when it is durable already. */
void wait_hold(struct channel *channel, struct ticket ticket);
/* The same for every change of names that was decided so far, whoever asked for it: a redeclare, or
 * a delete of what is gone, promises as much as the act that came before it. */
void wait_hold_names(struct channel *channel);
/* What is written to the channel from now on comes after what was written to the other one. */
void wait_follow(struct channel *channel, const struct channel *other);
/* Room in the replies that are held last; see channel_room. */
uint8_t *wait_room(struct channel *channel, size_t size);
void wait_added(struct channel *channel, size_t size);
/* Publish number `number` of a channel in confirm mode was dealt with; `on_record`: its confirm has
 * to wait for what the store has decided so far. Numbers rise by one. */
void wait_confirm(struct channel *channel, uint64_t number, bool on_record);
/* The same for a publish that no queue could keep: basic.nack. */
void wait_refuse(struct channel *channel, uint64_t number);
/* Once a turn, after store_tick: what has become durable, or has failed, is told. */
void wait_tick(struct server *server);
/* The channel ends: its confirms are not sent, and, with the second, no replies either. */
void wait_forget_confirms(struct channel *channel);
void wait_forget(struct channel *channel);

#endif
