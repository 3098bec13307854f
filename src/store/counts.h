/* How many messages there are somewhere: in an index, in all indexes of a queue, in many queues. */
#ifndef LEVERET_STORE_COUNTS_H
#define LEVERET_STORE_COUNTS_H

#include <stdint.h>

/* What a change of them is also for. */
enum counts_heeds {
    COUNTS_UNHEEDED, /* nothing */
    COUNTS_ABOVE,    /* counts above them */
    COUNTS_NOTED,    /* of an index: it is noted, once, that it has changed (store_take_changed); and what
                      * may be above them */
};

struct counts {
    uint64_t ready; /* can be taken */
    uint64_t taken; /* are taken and not settled */
    uint64_t delayed; /* came back, and wait until they can be taken again */
    uint64_t ready_bytes; /* bodies of those that can be taken: chunk.h says where it is about so many */
    uint64_t bytes;       /* bodies of all of these: the same */
    struct counts *above; /* counts all that these do, beside others; or NULL */
    uint64_t heeds;       /* of enum counts_heeds */
};

/* From now on `above`, and what is above that, has what `counts` has, and what was above before has it no
 * more. `above` is the caller's; NULL: nothing has it. */
void counts_sum(struct counts *counts, struct counts *above);

#endif
