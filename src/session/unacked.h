/* What was delivered on a channel and is not acknowledged: delivery tags to messages in queues.
 *
 * Deliveries are kept in runs: up to 64 consecutive tags of one source whose sequence numbers in
 * the queue rise by the same step, delivered in the same second, with a bit for each that is still
 * outstanding. A consumer that has ten million messages of its own queue unacknowledged costs less
 * than a byte for each. */
#ifndef LEVERET_SESSION_UNACKED_H
#define LEVERET_SESSION_UNACKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct consumer;

enum { RUN_TAGS = 64 };

struct unacked_run {
    uint64_t tag;      /* of the first */
    uint64_t sequence; /* of the first */
    uint64_t bits;     /* outstanding ones; bit 0 is the first */
    uint32_t since_s;  /* when they were delivered, in whole seconds */
    uint16_t step;     /* from one sequence number to the next */
    uint8_t count;     /* tags covered, 1 to RUN_TAGS */
    struct consumer *source; /* a reference */
};

struct unacked {
    struct unacked_run *runs; /* a ring, in order of tags */
    size_t first;
    size_t count;
    size_t capacity; /* 0 or a power of two */
    size_t hollow;   /* runs within it that have no bit left */
    uint64_t total;  /* deliveries outstanding */
};

/* One delivery that was taken out. */
struct delivery {
    uint64_t tag;
    uint64_t sequence;
    uint32_t since_s;
    struct consumer *source; /* a reference that is the caller's now */
};

/* Tags must rise, and so must times. Takes a reference of `source` for each new run. True: it began
 * one, so that no other delivery of this source and second has been added right before. */
bool unacked_add(struct unacked *unacked, uint64_t tag, struct consumer *source, uint64_t sequence,
                 uint32_t since_s);
/* Is this tag outstanding? */
bool unacked_has(const struct unacked *unacked, uint64_t tag);
/* Where the outstanding deliveries from tag `first` to `last` came from, run by run: *at is 0 before
 * the first call. NULL: that was all. */
struct consumer *unacked_source(const struct unacked *unacked, uint64_t first, uint64_t last,
                                size_t *at);
/* The first run with an outstanding delivery of tag `first` or above; good until the next change.
 * NULL: there is none. */
const struct unacked_run *unacked_run_from(const struct unacked *unacked, uint64_t first);
/* The first outstanding tag; UINT64_MAX: there is none. */
uint64_t unacked_first(const struct unacked *unacked);
/* Takes one out; false when it is not outstanding. */
bool unacked_take(struct unacked *unacked, uint64_t tag, struct delivery *delivery);
/* Is there one up to tag `last`? */
bool unacked_has_before(const struct unacked *unacked, uint64_t last);
/* Takes the first one out when its tag is not above `last`. */
bool unacked_take_first(struct unacked *unacked, uint64_t last, struct delivery *delivery);
/* Frees the memory; nothing may be outstanding. */
void unacked_free(struct unacked *unacked);
/* Bytes it takes. */
size_t unacked_memory(const struct unacked *unacked);

#endif
