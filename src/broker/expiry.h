/* Messages that have ended leave their queue. */
#ifndef LEVERET_BROKER_EXPIRY_H
#define LEVERET_BROKER_EXPIRY_H

#include "broker/broker.h"

/* The timer of the queue's first message went off: takes those from its head that have ended, as
 * dead letters, as many as broker->turn allows; the timer is due again for the rest. */
void expiry_run(struct queue *queue);
/* What had ended is gone, or on its way: the first message now is for the queue's consumers. */
void expiry_done(struct queue *queue);
/* What expiry_run does, before somebody looks at the queue, when its consumers had what they could take. False:
 * some are left. */
bool expiry_due(struct queue *queue);
/* The timer of the queue's schedule went off: the same of messages that have ended anywhere in it. */
void expiry_run_scheduled(struct queue *queue);

#endif
