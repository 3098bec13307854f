/* Lists of objects, of any length: in order, sorted, filtered, in pages, a piece at a time. What is
 * listed may change meanwhile: what is there all the time is in the list once.
 *
 * First the ids of all objects are collected, then the objects are written in their order; between
 * turns nothing but ids is kept. */
#ifndef LEVERET_API_LISTING_H
#define LEVERET_API_LISTING_H

#include "api/call.h"
#include "api/order.h"
#include "session/look.h"

struct listing_kind {
    /* Adds some objects, from where listing->at says on, by listing_add; false: that was all. */
    bool (*collect)(struct listing *listing, struct budget *budget);
    /* Writes an object, between fields_begin and fields_end, which are the listing's; false: it is
     * gone, and nothing was written. */
    bool (*write)(struct listing *listing, struct bytes id, struct fields *fields);
    /* What a filter by name looks at; NULL: the last part of the id. */
    struct bytes (*name)(struct listing *listing, struct bytes id);
    bool has_pages; /* may be asked for in pages */
    uint32_t steps; /* what finding and writing one costs, besides its bytes: base/budget.h */
};

struct listing {
    const struct listing_kind *kind;
    struct call *call;
    struct order order;
    struct vhost **vhosts; /* held; those that are listed, in order of their names */
    size_t vhost_count;
    uint64_t vhost_at, at; /* where to go on */
    struct vhost *only;    /* the one virtual host whose objects are listed; NULL: of all */
    struct bytes of;       /* what all of them belong to, if not all are listed; the kind's */
    struct server_walk walk; /* of clients */
    struct columns sort;   /* one path, or none */
    struct buffer scratch;
    enum { LISTING_COLLECTS, LISTING_WRITES, LISTING_ENDED } state;
    bool has_pages, is_first;
    uint64_t page, page_size;
    uint64_t total, filtered, left; /* objects; of the page that is written */
    struct filter *filter;          /* NULL: none */
};

/* Answers the call with what it has in its body, and a list of all objects of a kind, those of one virtual host (NULL: of all
 * that the user may see). */
struct listing *call_list(struct call *call, const struct listing_kind *kind, struct vhost *only);
/* The same of the virtual host that the first segment names, if the route has one. */
void call_list_in(struct call *call, const struct listing_kind *kind);
void listing_free(struct listing *listing);
/* Goes on with it: see struct http_answer_ops. */
enum http_progress listing_go_on(struct listing *listing, struct buffer *body,
                                 struct budget *budget);

/* ---- for kinds ---- */

/* An object, if it is not filtered out. Objects are in order of their ids where nothing else is
 * said. */
void listing_add(struct listing *listing, struct bytes id);
/* The virtual host at hand, for a `collect` that goes through all of them: listing->vhost_at counts
 * them. NULL: there are no more. */
struct vhost *listing_vhost(const struct listing *listing);
/* On with the next one. */
void listing_next_vhost(struct listing *listing);
/* A `collect` of what is in maps of virtual hosts: tells of some values of the map of the one at
 * hand, and goes on with the next one behind its last. True, as there may be more. */
bool listing_walk(struct listing *listing, const struct map *map, map_each *each);

/* Ids of what has a name in a virtual host: the number of that, and the name. */
void listing_add_named(struct listing *listing, struct bytes name);
struct vhost *listing_vhost_of(const struct listing *listing, struct bytes id, struct bytes *name);

#endif
