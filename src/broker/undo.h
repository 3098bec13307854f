/* What is done until somebody says that it stays, or that it is taken back: then all is as it was.
 * Between both nothing else may be done, so that both are in one turn. */
#ifndef LEVERET_BROKER_UNDO_H
#define LEVERET_BROKER_UNDO_H

#include "broker/vhost.h"

struct undo {
    struct changes before; /* what would make it as it was, in the order of what was done */
};

/* From now on it is noted what changes_apply does, if that makes or changes something, and takes
 * nothing away. The caller keeps the undo, all zero at first, until one of both below. */
void undo_begin(struct broker *broker, struct undo *undo);
/* It stays. */
void undo_forget(struct broker *broker);
/* It is taken back. A virtual host that was new goes as any other that is deleted. */
void undo_all(struct broker *broker);

/* For apply.c: before a change is applied. */
void undo_note(struct broker *broker, const struct change *change);

#endif
