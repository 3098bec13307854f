/* What is wrong with the configuration, or odd: told to the log, or to who asks for nothing else.
 */
#ifndef LEVERET_REMARKS_H
#define LEVERET_REMARKS_H

#include "base/log.h"
#include "config/config.h"

/* Adds those about keys that do nothing. */
void remarks_add(struct config *config);
/* Logs all. False: something is wrong, and the start has to end. */
bool remarks_log(const struct log *log, const struct config *config);
/* Prints all: what is wrong to the standard error. False: something is. */
bool remarks_print(const struct config *config);

#endif
