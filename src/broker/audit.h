/* What clients declare, bind and delete, in the log: who, from where, and what. What was there
 * already, or was not there, is no change. What goes with the connection, or a bound queue takes
 * along, has no line of its own. */
#ifndef LEVERET_BROKER_AUDIT_H
#define LEVERET_BROKER_AUDIT_H

#include "broker/vhost.h"

/* Which client has asked for what is done now, and by what. All is borrowed. */
struct audit {
    uint64_t connection;
    const char *peer;
    const struct user *user;
    const char *method; /* "queue.delete" */
    bool unbinds;       /* the method takes a binding away that has not been told yet */
};

/* For who applies a change, just before it; broker->audit is there. */
void audit_change(struct broker *broker, const struct change *change);
/* A queue has been emptied; nobody is told if broker->audit is not there. */
void audit_purge(const struct queue *queue);

#endif
