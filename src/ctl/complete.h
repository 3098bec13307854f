/* Completion for shells, from the verbs' rows and from the broker's names. */
#ifndef LEVERET_CTL_COMPLETE_H
#define LEVERET_CTL_COMPLETE_H

#include "ctl/command.h"

/* Prints what may stand where the last of these words is, one a line. */
void complete(struct command *command, const char *const *words, size_t count);

#endif
