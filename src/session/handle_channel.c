/* Classes channel (AMQP 0-9-1, 1.5), but for open and close, which channel.c answers; and access, of
 * AMQP 0-9, which old clients still ask. */
#include "session/handlers.h"

enum handled handle_channel_flow(struct channel *channel, const struct method_channel_flow *method,
                                 struct error *error)
{
    if (!method->active)
        return handled_error(error, REPLY_NOT_IMPLEMENTED, "active=false");
    union method ok = {.channel_flow_ok = {METHOD_CHANNEL_FLOW_OK, true}};
    channel_send(channel, &ok);
    return HANDLED;
}

enum handled handle_access_request(struct channel *channel,
                                   const struct method_access_request *method, struct error *error)
{
    (void)method, (void)error;
    union method ok = {.access_request_ok = {METHOD_ACCESS_REQUEST_OK, 1}};
    channel_send(channel, &ok);
    return HANDLED;
}
