/* The members of a cluster's group as this broker sees them: who is there, who leads, and what each lacks. */
#ifndef LEVERET_MEMBERS_H
#define LEVERET_MEMBERS_H

#include "api/api.h"
#include "cluster/cluster.h"
#include "options.h"

/* All of it stays the caller's. */
struct members {
    const struct cluster_settings *settings;
    struct cluster *cluster;
    struct store *store;
    uint64_t group;   /* which this broker has, or is to join */
    const char *name; /* its own: leveret@host */
};

/* All that the configuration has, and behind these whoever counts without being there: API_MEMBERS_MAX at most.
 * Returns how many. */
size_t members_list(const struct members *members, struct api_member *out);
/* What they have agreed on: all but images, and whether it may deliver. False: it does not take part yet. */
bool members_group(const struct members *members, struct api_group *out);
/* Who should lead in place of this broker, which does: of the voters that are connected the one that has most. 0:
 * there is none. */
uint64_t members_best(const struct members *members);

#endif
