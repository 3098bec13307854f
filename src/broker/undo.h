/* What is done until somebody says that it stays, or that it is taken back: then what was made is
 * gone, and what was changed is as it was. It may take many turns, and so may taking it back; what
 * others do in between is not noted, and goes where it was done to what is gone. */
#ifndef LEVERET_BROKER_UNDO_H
#define LEVERET_BROKER_UNDO_H

#include "base/budget.h"
#include "broker/vhost.h"

struct undo_block;

/* All zero at first. */
struct undo {
    struct undo_block *last; /* what would make it as it was; the last is to be taken back first */
};

/* Until undo_pause it is noted what changes_apply does, if that makes or changes something, and
 * takes nothing away. */
void undo_note_in(struct broker *broker, struct undo *undo);
void undo_pause(struct broker *broker);
/* It stays, or is taken back, as far as the budget goes. A virtual host that was new goes as any
 * other that is deleted. False: that was all. */
bool undo_forget(struct undo *undo, struct budget *budget);
bool undo_take_back(struct broker *broker, struct undo *undo, struct budget *budget);

/* For apply.c: before a change is applied. */
void undo_note(struct broker *broker, const struct change *change);

#endif
