/* Class confirm, RabbitMQ's: publishes are numbered from 1 on, and each is acknowledged. */
#include "session/handlers.h"

enum handled handle_confirm_select(struct channel *channel,
                                   const struct method_confirm_select *method, struct error *error)
{
    if (channel->transaction)
        return handled_error(error, REPLY_PRECONDITION_FAILED,
                             "cannot switch from tx to confirm mode");
    channel->confirms = true;
    if (!method->nowait)
        channel_send_id(channel, METHOD_CONFIRM_SELECT_OK);
    return HANDLED;
}
