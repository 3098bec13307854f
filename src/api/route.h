/* Which function answers which request. */
#ifndef LEVERET_API_ROUTE_H
#define LEVERET_API_ROUTE_H

#include "api/call.h"

/* Who may ask at all; what is asked for is looked at further by the functions. */
enum audience {
    FOR_ANYONE,     /* also without a name and a password */
    FOR_MANAGEMENT, /* any user with a tag of management */
    FOR_MONITORING,
    FOR_POLICYMAKERS,
    FOR_ADMINISTRATORS,
};

/* Of a broker that is one of a cluster, and does not lead: */
enum answered {
    ANSWERED_BY_LEADER,
    ANSWERED_HERE,    /* it is about this broker */
    ANSWERED_BY_NODE, /* about the one that the first segment names: here, if it is read, and this one is named */
};

typedef void act(struct call *call);

struct api_route {
    const char *path; /* behind "/api"; `*` is a segment with a name in it */
    enum answered where;
    enum audience reads, writes;
    act *get, *put, *post, *delete;
};

/* The route of a path, which is as it was sent, and what follows "/api". The segments for its `*`
 * are decoded into the call. NULL: there is none. */
const struct api_route *route_find(struct call *call, struct bytes path);
/* Its function for a method; NULL: there is none. */
act *route_act(const struct api_route *route, enum http_method method);
/* The methods that it has: "HEAD, GET, OPTIONS". */
void route_write_methods(const struct api_route *route, struct buffer *out);

#endif
