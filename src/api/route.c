#include "api/route.h"

#include "api/resources.h"

#define ROUTE(path, reads, writes, get, put, post, delete)                                         \
    {path, ANSWERED_BY_LEADER, FOR_##reads, FOR_##writes, get, put, post, delete},
#define OWN_ROUTE(path, reads, writes, get, put, post, delete)                                     \
    {path, ANSWERED_HERE, FOR_##reads, FOR_##writes, get, put, post, delete},
#define NODE_ROUTE(path, reads, writes, get, put, post, delete)                                    \
    {path, ANSWERED_BY_NODE, FOR_##reads, FOR_##writes, get, put, post, delete},

static const struct api_route routes[] = {
#include "api/routes.def"
};

#undef ROUTE
#undef OWN_ROUTE
#undef NODE_ROUTE

enum { ROUTES = sizeof(routes) / sizeof(routes[0]) };

/* Does the path take this route? A slash at its end does not count. */
static bool is_on(const struct api_route *route, struct bytes path, struct bytes *variables,
                  size_t *count)
{
    struct bytes way = bytes_str(route->path), step, segment;
    *count = 0;
    while (http_next_segment(&way, &step)) {
        if (!http_next_segment(&path, &segment))
            return false;
        if (bytes_equal_str(step, "*"))
            variables[(*count)++] = segment;
        else if (!bytes_equal(step, segment))
            return false;
    }
    return path.size == 0 || bytes_equal_str(path, "/");
}

static bool decode(struct call *call, const struct bytes *variables, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!call_decode(call, variables[i], false, &call->segments[i]))
            return false;
    return true;
}

const struct api_route *route_find(struct call *call, struct bytes path)
{
    struct bytes variables[CALL_SEGMENTS_MAX];
    size_t count;
    for (size_t i = 0; i < ROUTES; i++)
        if (is_on(&routes[i], path, variables, &count))
            return decode(call, variables, count) ? &routes[i] : NULL;
    return NULL;
}

act *route_act(const struct api_route *route, enum http_method method)
{
    switch (method) {
    case HTTP_GET:
    case HTTP_HEAD:
        return route->get;
    case HTTP_PUT:
        return route->put;
    case HTTP_POST:
        return route->post;
    case HTTP_DELETE:
        return route->delete;
    default:
        return NULL;
    }
}

static void add(struct buffer *out, const char *text)
{
    buffer_add(out, text, strlen(text));
}

void route_write_methods(const struct api_route *route, struct buffer *out)
{
    if (route->get)
        add(out, "HEAD, GET, ");
    if (route->put)
        add(out, "PUT, ");
    if (route->post)
        add(out, "POST, ");
    if (route->delete)
        add(out, "DELETE, ");
    add(out, "OPTIONS");
}
