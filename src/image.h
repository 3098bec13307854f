/* Images: a member of a cluster that lacks what no log has any more gets a copy of the leader's store, files
 * and all, and has that for its own from its next start on. So nothing of it has to be put together: what the
 * leader would find after a crash, the other one finds.
 *
 * The leader makes a copy (store/backup.c: other names of the same files, where it can), says what there is,
 * and answers what it is asked for. Who gets it asks for piece after piece, writes these, and looks at all of
 * it as leveretd --check-store does before it counts. One image leaves at a time, for whoever needs it, and
 * one comes. Nothing here waits for a disk: a thread of its own does. */
#ifndef LEVERET_IMAGE_H
#define LEVERET_IMAGE_H

#include "cluster/group.h"
#include "store/store.h"

struct images_options {
    const char *data_dir;
    struct store *store;
    const struct store_options *store_options; /* for the check of what has come */
    struct links *links;
    const struct log *log;
    uint64_t seed;         /* random */
    struct worker *worker; /* that does nothing else */
    void (*wake)(void *context); /* from another thread: a copy of the store has got on */
    void *context;
};

struct images;

/* Removes what was left over. */
struct images *images_new(const struct images_options *options);
/* The store is closed; the worker is drained, and goes later. NULL is allowed. */
void images_free(struct images *images);

/* Frames IMAGE, PULL and REPLY; others are none of its business. */
void images_receive(struct images *images, uint64_t now_ms, struct link *link, const union link_frame *frame);
void images_tick(struct images *images, uint64_t now_ms);
/* When images_tick has something to do even if nothing comes. */
uint64_t images_next_ms(const struct images *images);

/* ---- a leader ---- */

/* The node behind the link needs one, it is said again and again as long as it does. `head` is what one that is
 * begun now would have. */
void images_offer(struct images *images, uint64_t now_ms, struct link *link, const struct group_image *head);
/* How many were begun. */
uint64_t images_begun(const struct images *images);
/* Behind which entry the log must not begin, as an image is under way; UINT64_MAX: that is all the same. */
uint64_t images_keep(const struct images *images);

/* ---- who gets one ---- */

/* It has come whole, and is sound. False: not yet, or there is none. */
bool images_have(const struct images *images, struct group_image *head);
/* The store of the next start is the image that has come. 0 or an errno value. */
int images_take(struct images *images);
/* It is not to be used. */
void images_refuse(struct images *images, uint64_t now_ms, const char *why);

#endif
