/* Replies that wait for a ticket: held replies of channels, and publisher confirms. All waiting of
 * the session is here, one list for each log in the order in which its tickets end. */
#ifndef LEVERET_SESSION_SETTLE_H
#define LEVERET_SESSION_SETTLE_H

#include "base/buffer.h"
#include "base/list.h"
#include "store/store.h"

struct channel;
struct server;

enum {
    SETTLE_LOGS = 1,          /* this broker's journal */
    SETTLE_HELD_MAX = 65536,  /* bytes of held replies beyond which a connection's input waits */
};

struct settle {
    struct list logs[SETTLE_LOGS]; /* struct wait, by log_link */
    struct list channels;          /* channels that have confirms to send: settle_link */
};

enum wait_kind { WAIT_REPLIES, WAIT_CONFIRMS };
enum wait_state { WAIT_PENDING, WAIT_DONE, WAIT_FAILED };

struct wait {
    struct list log_link;     /* on its log's list while it is pending */
    struct list channel_link; /* in channel->held or channel->confirms */
    struct channel *channel;
    struct ticket ticket;
    enum wait_kind kind;
    enum wait_state state;
    uint64_t first, last;  /* WAIT_CONFIRMS: publish numbers */
    struct buffer replies; /* WAIT_REPLIES: frames that follow the ticket's end */
};

void settle_init(struct settle *settle);
/* Everything that is written to the channel from now on waits for the ticket (and for what is
 * waiting already). Nothing happens when it is durable already. */
void settle_hold(struct channel *channel, struct ticket ticket);
/* The same for every change of names that was decided so far, whoever asked for it: a redeclare, or
 * a delete of what is gone, promises as much as the act that came before it. */
void settle_hold_names(struct channel *channel);
/* What is written to the channel from now on comes after what was written to the other one. */
void settle_follow(struct channel *channel, const struct channel *other);
/* Room in the replies that are held last; see channel_room. */
uint8_t *settle_room(struct channel *channel, size_t size);
void settle_added(struct channel *channel, size_t size);
/* Publish number `number` of a channel in confirm mode was dealt with; `on_record`: its confirm has
 * to wait for what the store has decided so far. Numbers rise by one. */
void settle_confirm(struct channel *channel, uint64_t number, bool on_record);
/* The same for a publish that no queue could keep: basic.nack. */
void settle_refuse(struct channel *channel, uint64_t number);
/* Once a turn, after store_tick: what has become durable, or has failed, is told. */
void settle_tick(struct server *server);
/* The channel ends: its confirms are not sent, and, with the second, no replies either. */
void settle_forget_confirms(struct channel *channel);
void settle_forget(struct channel *channel);

#endif
