/* As RabbitMQ has it: an origin that is listed may send the name and the password that the browser
 * has for the broker; where all may, as `*` is listed, none may do that. */
#include "api/cors.h"

#include <stdio.h>

static void write_field(struct buffer *fields, const char *name, struct bytes value)
{
    buffer_add(fields, name, strlen(name));
    buffer_add(fields, ": ", 2);
    buffer_add(fields, value.data, value.size);
    buffer_add(fields, "\r\n", 2);
}

/* What a browser may do, and for how long it need not ask again. */
static void write_preflight(const struct call *call, struct buffer *fields)
{
    char text[16];
    struct buffer methods = {0};
    struct bytes wanted = http_field_of(call->request, "access-control-request-headers");
    snprintf(text, sizeof(text), "%u", call->api->options.cors->max_age_s);
    route_write_methods(call->route, &methods);
    write_field(fields, "access-control-max-age", bytes_str(text));
    write_field(fields, "access-control-allow-methods", buffer_bytes(&methods));
    if (wanted.data)
        write_field(fields, "access-control-allow-headers", wanted);
    buffer_free(&methods);
}

void cors_write(const struct call *call, struct buffer *fields)
{
    const struct api_cors *cors = call->api->options.cors;
    struct bytes origin = http_field_of(call->request, "origin");
    if (!cors || !cors->origins[0] || !call->route || !origin.size ||
        bytes_equal_str(origin, "null") || bytes_equal_str(origin, "*"))
        return;
    bool is_known = bytes_are_listed(origin, cors->origins);
    if (!is_known && !bytes_are_listed(bytes_str("*"), cors->origins))
        return;
    if (call->request->method == HTTP_OPTIONS)
        write_preflight(call, fields);
    write_field(fields, "access-control-allow-origin", is_known ? origin : bytes_str("*"));
    if (is_known)
        write_field(fields, "access-control-allow-credentials", bytes_str("true"));
}
