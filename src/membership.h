/* This broker as one of a cluster: what the options say of that, its links, and the group that has the
 * names and durable queues of all of them. Who leads it serves clients; the others follow, bring
 * theirs to it, and take over when it is gone.
 *
 * The first members are those that the configuration names, with the same numbers everywhere; each begins
 * once by --cluster-found. Who they are follows from that list, so that a folder which was lost, and is
 * founded again, is known by the others for what it is. One that comes with an empty folder joins, and is
 * another member then (seats.h); one that has not what no log has any more gets a copy of the leader's store
 * (image.h). */
#ifndef LEVERET_MEMBERSHIP_H
#define LEVERET_MEMBERSHIP_H

#include "net/loop.h"
#include "options.h"

struct broker;
struct membership;

/* All that it needs of the daemon, whose it stays. */
struct membership_options {
    const struct options *options;
    const struct log *log;
    struct loop *loop;
    const char *name; /* leveret@host */
};

/* Where it keeps what it has: the folder, as a disk and by its path, and the store in it, which is open. */
struct membership_place {
    const char *data_dir;
    struct disk *disk;
    struct store *store;
};

/* Is this broker to be one of a cluster? */
static inline bool membership_is_wanted(const struct options *options)
{
    return options->cluster.count > 0;
}

/* Takes the address for the other brokers. NULL: it cannot be, and `what` says why, or the log does if that
 * is empty. */
struct membership *membership_new(const struct membership_options *options, char *what, size_t what_size);
/* What the place has outlives it. False: it is not to be in this cluster; `what` says why. */
bool membership_open(struct membership *membership, const struct membership_place *place, char *what, size_t what_size);
/* The server, which has nothing yet, moves the group on from now on, and its broker gives new queues to it. */
void membership_serve(struct membership *membership, struct server *server, struct broker *broker);
/* Does this broker lead, so that names can be read, and clients served? */
bool membership_leads(const struct membership *membership);
/* Is it to end, and to start again at once, as its folder has, or will have, what it goes on with then? */
bool membership_is_over(const struct membership *membership);
/* The number of the broker that leads, as far as is known; 0: none. */
uint32_t membership_leader(const struct membership *membership);
/* All of the cluster, this one as well; returns how many there are. */
size_t membership_members(const struct membership *membership, struct api_member *out);
/* What its group has agreed on. False: it does not take part yet. */
bool membership_group(const struct membership *membership, struct api_group *out);
/* A member counts no more, until it is back and has what the others have. NULL, or why that cannot be. */
const char *membership_forget(struct membership *membership, uint32_t number);
/* Another one is to lead, as soon as what was decided here is agreed on. False: there is none that could. */
bool membership_hand_over(struct membership *membership);
/* Who talks to clients as long as this broker does not lead. */
struct service *membership_relay(struct membership *membership);
/* Carries requests of HTTP to who leads. NULL: nobody is known to do so, or it is this broker. */
struct service *membership_relay_http(struct membership *membership);
/* The same to another member. NULL: it is none, or this one. */
struct service *membership_relay_to(struct membership *membership, uint32_t number);
/* Requests that others bring to this broker, whether it leads or not, are this service's from now on. */
void membership_answer(struct membership *membership, struct service *http);
/* Clients that this broker would bring to who leads, and who wait for that, lose their connections; `all`: those that
 * are served there do so as well. */
void membership_send_away(struct membership *membership, bool all);
/* Names have been read: what nobody named is to go. From now on clients that come here, or to another broker,
 * are these services'. */
void membership_has_read(struct membership *membership, struct service *amqp, struct service *http);
/* Behind the server, but before the store is closed, */
void membership_close(struct membership *membership);
/* and behind that, but before the loop is freed. NULL is allowed. */
void membership_free(struct membership *membership);

#endif
