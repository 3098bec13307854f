/* Class tx (AMQP 0-9-1, 1.9). */
#include "session/handlers.h"
#include "session/transaction.h"

enum handled handle_tx_select(struct channel *channel, const struct method_tx_select *method,
                              struct error *error)
{
    (void)method;
    if (channel->confirms)
        return handled_error(error, REPLY_PRECONDITION_FAILED,
                             "cannot switch from confirm to tx mode");
    if (!channel->transaction)
        channel->transaction = transaction_new(channel);
    channel_send_id(channel, METHOD_TX_SELECT_OK);
    return HANDLED;
}

static bool check_mode(const struct channel *channel, struct error *error)
{
    if (channel->transaction)
        return true;
    return error_set(error, REPLY_PRECONDITION_FAILED, "channel is not transactional");
}

enum handled handle_tx_commit(struct channel *channel, const struct method_tx_commit *method,
                              struct error *error)
{
    (void)method;
    return check_mode(channel, error) ? transaction_commit(channel, error) : HANDLED_FAILED;
}

enum handled handle_tx_rollback(struct channel *channel, const struct method_tx_rollback *method,
                                struct error *error)
{
    (void)method;
    if (!check_mode(channel, error))
        return HANDLED_FAILED;
    transaction_roll_back(channel);
    return HANDLED;
}
