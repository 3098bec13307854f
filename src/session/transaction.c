/* A transaction is on server->transactions while there is something to do about it that could not
 * be done in one go. Each turn does a bounded amount, for the first that can go on, and then for
 * those behind it. */
#include "session/transaction.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/planted.h"
#include "broker/dead_letter.h"
#include "session/delivery_timeout.h"
#include "session/handlers.h"
#include "session/publishing.h"

struct kept_message {
    struct message *message;
    bool mandatory;
};

struct kept_delivery {
    struct delivery delivery;
    struct message *letter; /* what is sent for it, once that is known; NULL: nothing */
    uint8_t verdict;        /* enum verdict */
    bool is_damaged;        /* stays where it is */
};

enum stage {
    STAGE_OPEN,      /* collecting */
    STAGE_CHECKING,  /* a commit was asked for, nothing was changed */
    STAGE_APPLYING,  /* the commit is being done */
    STAGE_RESTORING, /* a rollback: deliveries are outstanding again, one after the other */
    STAGE_DROPPING,  /* nobody wants it any more */
};

struct transaction {
    struct server *server;
    struct channel *channel; /* NULL: gone */
    struct vhost *vhost;
    struct list link; /* in server->transactions */
    enum stage stage;
    bool is_holding;     /* the journal's batch is kept open for it */
    bool is_rolled_back; /* STAGE_DROPPING: rollback-ok is owed */
    bool is_partial;     /* a full queue refused a message of the commit */
    struct kept_message *messages;
    size_t message_count, message_capacity;
    struct kept_delivery *deliveries;
    size_t delivery_count, delivery_capacity;
    bool is_unordered;      /* their tags do not rise */
    struct unacked unacked; /* those of a rollback, as far as they are restored */
    struct unacked rest;    /* what else a channel had that has gone */
    size_t at;              /* messages, and then deliveries, that this stage is done with */
    uint64_t bytes;         /* memory of all that is kept */
    uint64_t array_bytes;   /* of this, beside the messages */
    uint64_t record; /* what the records of the commit will take, as far as it was checked */
    uint64_t steps;  /* what it will cost to apply it, as far as it was checked */
};

enum {
    TURN_STEPS = 4 * BUDGET_MS, /* of one turn, for all of them together */
    MESSAGE_STEPS = 60,         /* to put a message into its queue; to check it; to forget it */
    CHECK_STEPS = 15,
    DROP_STEPS = 15,
    DELIVERY_STEPS = 15,
    RETURN_STEPS = 8,
    LETTER_STEPS = 200,
    LITTLE = 10000,    /* messages and deliveries that go at once with their channel */
    QUEUE_STEPS = 30,  /* of each queue that a message goes to */
    SETTLE_BYTES = 20, /* of a settled message in the journal, at most */
};

/* ---- what is kept ---- */

struct transaction *transaction_new(struct channel *channel)
{
    struct transaction *tx = mem_zalloc(sizeof(*tx));
    tx->server = channel_server(channel);
    tx->channel = channel;
    tx->vhost = channel->connection->vhost;
    tx->vhost->holders++;
    list_init(&tx->link);
    return tx;
}

size_t transaction_messages(const struct transaction *tx)
{
    return tx->message_count;
}

size_t transaction_deliveries(const struct transaction *tx)
{
    return tx->delivery_count;
}

static void free_transaction(struct transaction *tx)
{
    tx->vhost->holders--;
    mem_free(tx);
}

/* Memory of messages is counted by their pool, too, that of the arrays is not. */
static void count_memory(struct transaction *tx, uint64_t bytes)
{
    tx->bytes += bytes;
    tx->server->uncommitted_bytes += bytes;
}

/* Room for one more element of `size` bytes. */
static void *grow(struct transaction *tx, void *array, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return array;
    size_t more = *capacity ? *capacity : 16;
    *capacity += more;
    tx->array_bytes += more * size;
    tx->server->held_bytes += more * size;
    count_memory(tx, more * size);
    return mem_realloc(array, *capacity * size);
}

/* What one may keep, and all together. The memory limit is for others, too, and what is uncommitted
 * goes away by nobody's help but its client's. */
static uint64_t bytes_max(const struct server *server)
{
    uint64_t max = store_room_max(server->broker->store);
    uint64_t quarter = server->options.memory_bytes_max / 4;
    return quarter && quarter < max ? quarter : max;
}

static uint64_t all_bytes_max(const struct server *server)
{
    uint64_t half = server->options.memory_bytes_max / 2;
    return half ? half : UINT64_MAX;
}

bool transaction_check(struct channel *channel, struct error *error)
{
    const struct transaction *tx = channel->transaction;
    const struct server *server = channel_server(channel);
    uint64_t max = bytes_max(server);
    if (tx->bytes > max)
        return error_set(error, REPLY_PRECONDITION_FAILED,
                         "transaction of %llu bytes is larger than max size %llu",
                         (unsigned long long)tx->bytes, (unsigned long long)max);
    if (server->uncommitted_bytes <= all_bytes_max(server))
        return true;
    return error_set(error, REPLY_PRECONDITION_FAILED,
                     "uncommitted messages of all channels take %llu bytes, more than %llu",
                     (unsigned long long)server->uncommitted_bytes,
                     (unsigned long long)all_bytes_max(server));
}

bool transaction_add_message(struct channel *channel, struct message *message, bool mandatory,
                             struct error *error)
{
    struct transaction *tx = channel->transaction;
    tx->messages =
        grow(tx, tx->messages, tx->message_count, &tx->message_capacity, sizeof(*tx->messages));
    tx->messages[tx->message_count++] = (struct kept_message){message, mandatory};
    count_memory(tx, message_memory(message));
    return transaction_check(channel, error);
}

void transaction_add_delivery(struct channel *channel, const struct delivery *delivery,
                              enum verdict verdict)
{
    struct transaction *tx = channel->transaction;
    if (tx->delivery_count && tx->deliveries[tx->delivery_count - 1].delivery.tag > delivery->tag)
        tx->is_unordered = true;
    tx->deliveries = grow(tx, tx->deliveries, tx->delivery_count, &tx->delivery_capacity,
                          sizeof(*tx->deliveries));
    tx->deliveries[tx->delivery_count++] =
        (struct kept_delivery){.delivery = *delivery, .verdict = (uint8_t)verdict};
}

/* It is as if nothing had been kept. */
static void empty(struct transaction *tx)
{
    mem_free(tx->messages);
    mem_free(tx->deliveries);
    tx->messages = NULL;
    tx->deliveries = NULL;
    tx->message_count = tx->message_capacity = tx->delivery_count = tx->delivery_capacity = 0;
    assert(tx->server->uncommitted_bytes >= tx->bytes && tx->server->held_bytes >= tx->array_bytes);
    tx->server->uncommitted_bytes -= tx->bytes;
    tx->server->held_bytes -= tx->array_bytes;
    tx->bytes = tx->array_bytes = 0;
    tx->is_unordered = false;
    tx->stage = STAGE_OPEN;
}

static bool is_spent(const struct transaction *tx)
{
    return budget_is_spent(&tx->server->broker->turn);
}

static void use(const struct transaction *tx, uint64_t steps)
{
    budget_use(&tx->server->broker->turn, steps);
}

/* ---- checking: nothing changes, but that it is known what will ---- */

enum progress {
    PROGRESS_DONE,
    PROGRESS_FAILED,
    PROGRESS_SPENT, /* goes on in the next turn */
    PROGRESS_WAITS, /* for the disk */
};

static bool check_message(struct transaction *tx, const struct message *message,
                          struct error *error)
{
    struct exchange *exchange = vhost_need_exchange(tx->vhost, message_exchange(message), error);
    if (!exchange)
        return false;
    size_t queues = publish_count(exchange, message, &tx->server->queue_set);
    use(tx, CHECK_STEPS);
    tx->steps += MESSAGE_STEPS + queues * QUEUE_STEPS;
    if (broker_records(tx->server->broker, message))
        tx->record += store_message_bytes(message, queues);
    return true;
}

/* A rejected message may have to be read, to be sent on as a dead letter. */
static enum progress write_letter(struct transaction *tx, struct kept_delivery *kept)
{
    struct queue *queue = kept->delivery.source->base.queue;
    if (kept->verdict != VERDICT_REJECT || !queue || !queue->settings->dead_letter_exchange)
        return PROGRESS_DONE;
    enum queue_result result = dead_letter_write(queue, kept->delivery.sequence, &kept->letter);
    kept->is_damaged = result == QUEUE_EMPTY;
    if (!kept->letter)
        return result == QUEUE_WAIT ? PROGRESS_WAITS : PROGRESS_DONE;
    use(tx, LETTER_STEPS);
    count_memory(tx, message_memory(kept->letter));
    struct error missing;
    check_message(tx, kept->letter, &missing);
    return PROGRESS_DONE;
}

static bool check_record(const struct transaction *tx, struct error *error)
{
    uint64_t max = store_room_max(tx->server->broker->store);
    if (tx->record <= max)
        return true;
    return error_set(error, REPLY_PRECONDITION_FAILED,
                     "transaction of %llu bytes of the journal is larger than max size %llu",
                     (unsigned long long)tx->record, (unsigned long long)max);
}

/* One of those kept. */
static enum progress check_next(struct transaction *tx, struct error *error)
{
    assert(tx->at < tx->message_count + tx->delivery_count);
    if (tx->at < tx->message_count)
        return check_message(tx, tx->messages[tx->at].message, error) ? PROGRESS_DONE
                                                                      : PROGRESS_FAILED;
    enum progress progress = write_letter(tx, &tx->deliveries[tx->at - tx->message_count]);
    use(tx, DELIVERY_STEPS);
    if (progress != PROGRESS_DONE)
        return progress;
    tx->steps += DELIVERY_STEPS;
    tx->record += SETTLE_BYTES;
    return PROGRESS_DONE;
}

/* Where nothing was published, what was delivered gives its room back; and what leaves no record needs
 * none, as when it is published alone. */
static enum store_room room_for(const struct transaction *tx)
{
    struct store *store = tx->server->broker->store;
    if (!tx->record)
        return STORE_ROOM_NOW;
    return tx->message_count ? store_room(store, tx->record) : store_room_ending(store, tx->record);
}

/* Large ones keep the batch open, so each needs one of its own. */
static enum progress find_room(struct transaction *tx, struct error *error)
{
    struct store *store = tx->server->broker->store;
    switch (room_for(tx)) {
    case STORE_ROOM_FULL:
        store_refused(store);
        error_set(error, REPLY_PRECONDITION_FAILED,
                  "transaction of %llu bytes is larger than what is free on the disk",
                  (unsigned long long)tx->record);
        return PROGRESS_FAILED;
    case STORE_ROOM_NEVER:
        error_set(error, REPLY_PRECONDITION_FAILED,
                  "the journal has no room for a transaction of %llu bytes",
                  (unsigned long long)tx->record);
        return PROGRESS_FAILED;
    case STORE_ROOM_LATER:
        return PROGRESS_WAITS;
    case STORE_ROOM_NOW:
        break;
    }
    if (tx->steps < BUDGET_MS)
        return PROGRESS_DONE;
    tx->is_holding = store_hold(store, tx->record);
    return tx->is_holding ? PROGRESS_DONE : PROGRESS_WAITS;
}

static enum progress check(struct transaction *tx, struct error *error)
{
    size_t count = tx->message_count + tx->delivery_count;
    while (tx->at < count) {
        if (is_spent(tx))
            return PROGRESS_SPENT;
        enum progress progress = check_next(tx, error);
        if (progress != PROGRESS_DONE)
            return progress;
        tx->at++;
        if (!check_record(tx, error) || (tx->channel && !transaction_check(tx->channel, error)))
            return PROGRESS_FAILED;
    }
    return find_room(tx, error);
}

/* ---- applying: nothing can fail ---- */

/* The exchange may have gone since it was looked for: then the message goes nowhere. */
static void apply_message(struct transaction *tx, struct kept_message *kept)
{
    struct error missing;
    assert(kept->message);
    struct exchange *exchange =
        vhost_need_exchange(tx->vhost, message_exchange(kept->message), &missing);
    if (exchange && tx->channel)
        tx->is_partial |=
            !publishing_route(tx->channel, exchange, kept->message, kept->mandatory);
    else if (exchange)
        publishing_deliver(tx->server, exchange, kept->message);
    message_unref(tx->server->broker->pool, kept->message);
    kept->message = NULL;
    use(tx, MESSAGE_STEPS);
}

static void drop_letter(struct transaction *tx, struct kept_delivery *kept)
{
    if (kept->letter)
        message_unref(tx->server->broker->pool, kept->letter);
    kept->letter = NULL;
}

static void apply_delivery(struct transaction *tx, struct kept_delivery *kept)
{
    struct queue *queue = kept->delivery.source->base.queue;
    if (planted(PLANTED_COMMIT_SETTLES_NOTHING)) {
        delivery_end(tx->channel, &kept->delivery, VERDICT_RETURN);
    } else if (kept->verdict != VERDICT_REJECT || !queue) {
        delivery_end(tx->channel, &kept->delivery, kept->verdict);
    } else {
        delivery_forget(tx->channel, &kept->delivery); /* first, as when it is done at once */
        if (!kept->is_damaged)
            dead_letter_send(queue, kept->delivery.sequence, kept->letter);
    }
    use(tx, kept->letter ? MESSAGE_STEPS : DELIVERY_STEPS);
    drop_letter(tx, kept);
}

static enum progress apply(struct transaction *tx)
{
    size_t count = tx->message_count + tx->delivery_count;
    for (; tx->at < count; tx->at++) {
        if (tx->is_holding && is_spent(tx))
            return PROGRESS_SPENT;
        if (tx->at < tx->message_count)
            apply_message(tx, &tx->messages[tx->at]);
        else
            apply_delivery(tx, &tx->deliveries[tx->at - tx->message_count]);
    }
    return PROGRESS_DONE;
}

static enum progress commit(struct transaction *tx, struct error *error)
{
    if (tx->stage == STAGE_CHECKING) {
        enum progress progress = check(tx, error);
        if (progress != PROGRESS_DONE)
            return progress;
        tx->stage = STAGE_APPLYING;
        tx->at = 0;
    }
    return apply(tx);
}

/* Everything was applied: the answer waits for the batch. False: it is an error, as what full queues
 * refused was not. */
static bool committed(struct transaction *tx, struct error *error)
{
    struct channel *channel = tx->channel;
    struct store *store = tx->server->broker->store;
    if (tx->is_holding)
        store_release(store);
    tx->is_holding = false;
    empty(tx);
    if (!channel)
        return true;
    channel_unpark(channel);
    wait_hold_all(channel);
    if (tx->is_partial)
        return error_set(error, REPLY_PRECONDITION_FAILED, "partial tx completion");
    channel_send_id(channel, METHOD_TX_COMMIT_OK);
    return true;
}

/* ---- dropping ---- */

static void drop_message(struct transaction *tx, struct kept_message *kept)
{
    if (kept->message)
        message_unref(tx->server->broker->pool, kept->message);
    kept->message = NULL;
    use(tx, DROP_STEPS);
}

static bool has_deliveries(const struct transaction *tx)
{
    return tx->unacked.total || tx->rest.total || tx->at < tx->message_count + tx->delivery_count;
}

/* The next by its tag, as they came: what a rollback has restored comes before the others. */
static void drop_next(struct transaction *tx)
{
    struct delivery delivery;
    bool any_kept = tx->at < tx->message_count + tx->delivery_count;
    struct kept_delivery *kept = any_kept ? &tx->deliveries[tx->at - tx->message_count] : NULL;
    uint64_t last = kept ? kept->delivery.tag : UINT64_MAX;
    if (!unacked_take_first(&tx->unacked, last, &delivery) &&
        !unacked_take_first(&tx->rest, last, &delivery)) {
        assert(kept);
        drop_letter(tx, kept);
        delivery = kept->delivery;
        tx->at++;
    }
    delivery_end(NULL, &delivery, VERDICT_FAIL);
    use(tx, DELIVERY_STEPS);
}

static enum progress drop_deliveries(struct transaction *tx)
{
    size_t memory = unacked_memory(&tx->unacked) + unacked_memory(&tx->rest);
    while (!is_spent(tx) && has_deliveries(tx))
        drop_next(tx);
    bool more = has_deliveries(tx);
    if (!more) {
        unacked_free(&tx->unacked);
        unacked_free(&tx->rest);
    }
    tx->server->unacked_bytes +=
        unacked_memory(&tx->unacked) + unacked_memory(&tx->rest) - memory;
    return more ? PROGRESS_SPENT : PROGRESS_DONE;
}

static enum progress drop(struct transaction *tx)
{
    for (; tx->at < tx->message_count; tx->at++) {
        if (is_spent(tx))
            return PROGRESS_SPENT;
        drop_message(tx, &tx->messages[tx->at]);
    }
    return drop_deliveries(tx);
}

static void begin_drop(struct transaction *tx)
{
    tx->stage = STAGE_DROPPING;
    tx->at = 0;
}

/* ---- rolling back ---- */

static int compare_tags(const void *a, const void *b)
{
    uint64_t one = ((const struct kept_delivery *)a)->delivery.tag;
    uint64_t other = ((const struct kept_delivery *)b)->delivery.tag;
    return (one > other) - (one < other);
}

static void sort(struct transaction *tx)
{
    if (tx->is_unordered)
        qsort(tx->deliveries, tx->delivery_count, sizeof(*tx->deliveries), compare_tags);
    tx->is_unordered = false;
}

static void begin_restore(struct transaction *tx)
{
    tx->stage = STAGE_RESTORING;
    tx->at = 0;
    sort(tx);
}

/* The next by its tag: of those that are outstanding, or of those that were taken back. */
static void restore_next(struct transaction *tx)
{
    struct unacked *own = &tx->channel->unacked;
    struct delivery delivery;
    bool any_kept = tx->at < tx->delivery_count;
    if (!any_kept || unacked_first(own) < tx->deliveries[tx->at].delivery.tag)
        unacked_take_first(own, UINT64_MAX, &delivery);
    else
        delivery = tx->deliveries[tx->at++].delivery;
    unacked_add(&tx->unacked, delivery.tag, delivery.source, delivery.sequence, delivery.since_s);
    consumer_unref(delivery.source);
    use(tx, RETURN_STEPS);
}

static enum progress restore(struct transaction *tx)
{
    struct unacked *own = &tx->channel->unacked;
    size_t memory = unacked_memory(own) + unacked_memory(&tx->unacked);
    while (!is_spent(tx) && (own->total || tx->at < tx->delivery_count))
        restore_next(tx);
    bool more = own->total || tx->at < tx->delivery_count;
    if (!more) {
        unacked_free(own);
        *own = tx->unacked;
        tx->unacked = (struct unacked){0};
        tx->delivery_count = 0;
        delivery_timeout_restored(tx->channel);
        begin_drop(tx);
    }
    tx->server->unacked_bytes += unacked_memory(own) + unacked_memory(&tx->unacked) - memory;
    return more ? PROGRESS_SPENT : drop(tx);
}

/* ---- later ---- */

static void put_off(struct transaction *tx, enum progress progress)
{
    if (progress == PROGRESS_SPENT)
        tx->server->has_work_left = true;
    if (list_is_empty(&tx->link))
        list_push_back(&tx->server->transactions, &tx->link);
}

/* The channel has to wait for it, and so has all that comes on its connection. */
static void hold_input(struct transaction *tx)
{
    connection_hold(tx->channel->connection, HOLD_COMMIT);
}

static enum progress go_on(struct transaction *tx, struct error *error)
{
    if (tx->stage == STAGE_RESTORING)
        return restore(tx);
    return tx->stage == STAGE_DROPPING ? drop(tx) : commit(tx, error);
}

/* It is done, or has failed. */
static void finish(struct transaction *tx, enum progress progress, struct error *error)
{
    struct channel *channel = tx->channel;
    list_remove(&tx->link);
    if (tx->stage == STAGE_APPLYING && !committed(tx, error))
        progress = PROGRESS_FAILED;
    else if (tx->is_rolled_back && channel)
        channel_send_id(channel, METHOD_TX_ROLLBACK_OK);
    if (progress == PROGRESS_DONE)
        empty(tx);
    tx->is_rolled_back = false;
    if (channel)
        connection_release(channel->connection, HOLD_COMMIT);
    if (progress == PROGRESS_FAILED)
        channel_error(channel->connection, channel->number, METHOD_TX_COMMIT, error);
    else if (!channel)
        free_transaction(tx);
}

void transactions_tick(struct server *server)
{
    struct budget turn = server->broker->turn;
    struct error error = {.code = 0};
    if (list_is_empty(&server->transactions))
        return;
    server->broker->turn = budget_of(TURN_STEPS);
    list_for_each_safe(link, after, &server->transactions) {
        struct transaction *tx = list_entry(link, struct transaction, link);
        enum progress progress = go_on(tx, &error);
        if (progress == PROGRESS_DONE || progress == PROGRESS_FAILED)
            finish(tx, progress, &error);
        else
            put_off(tx, progress);
    }
    budget_use(&turn, (uint64_t)(TURN_STEPS - server->broker->turn.left));
    server->broker->turn = turn;
}

void transactions_finish(struct server *server)
{
    while (!list_is_empty(&server->transactions)) {
        struct list *first = list_first(&server->transactions);
        struct transaction *tx = list_entry(first, struct transaction, link);
        assert(!tx->channel && tx->stage != STAGE_CHECKING);
        server->broker->turn = budget_of(INT64_MAX);
        finish(tx, go_on(tx, NULL), NULL);
    }
}

/* ---- what channels ask for ---- */

enum handled transaction_commit(struct channel *channel, struct error *error)
{
    struct transaction *tx = channel->transaction;
    tx->stage = STAGE_CHECKING;
    tx->at = 0;
    tx->record = tx->steps = 0;
    enum progress progress = commit(tx, error);
    if (progress == PROGRESS_FAILED)
        return HANDLED_FAILED;
    if (progress == PROGRESS_DONE)
        return committed(tx, error) ? HANDLED : HANDLED_FAILED;
    hold_input(tx);
    put_off(tx, progress);
    return HANDLED;
}

void transaction_roll_back(struct channel *channel)
{
    struct transaction *tx = channel->transaction;
    begin_restore(tx);
    enum progress progress = restore(tx);
    if (progress == PROGRESS_DONE) {
        empty(tx);
        channel_send_id(channel, METHOD_TX_ROLLBACK_OK);
        return;
    }
    tx->is_rolled_back = true;
    hold_input(tx);
    put_off(tx, progress);
}

/* All that the channel has, settled here or not, goes back to its queues in one order. */
static void take_over(struct transaction *tx, struct channel *channel)
{
    if (tx->stage == STAGE_RESTORING) {
        tx->delivery_count -= tx->at;
        memmove(tx->deliveries, tx->deliveries + tx->at,
                tx->delivery_count * sizeof(*tx->deliveries));
    }
    sort(tx);
    begin_drop(tx);
    if (tx->delivery_count + tx->unacked.total == 0)
        return; /* the channel's own are in order */
    tx->rest = channel->unacked;
    channel->unacked = (struct unacked){0};
    channel->consumer_unacked = 0;
}

/* The channel has gone: nothing refers to it any more, and what it leaves is one to be dropped,
 * unless it is a commit that has begun. */
static void leave(struct transaction *tx)
{
    struct list *link;
    struct channel *channel = tx->channel;
    while ((link = list_first(&channel->getters)))
        list_remove(link);
    channel->transaction = NULL;
    tx->channel = NULL;
    if (tx->stage != STAGE_APPLYING && tx->stage != STAGE_DROPPING)
        take_over(tx, channel);
}

void transaction_free(struct channel *channel)
{
    struct transaction *tx = channel->transaction;
    if (!tx)
        return;
    leave(tx);
    /* A little is done at once, also at the end of a turn. */
    size_t count =
        tx->message_count + tx->delivery_count + tx->unacked.total + tx->rest.total;
    int64_t more = count > LITTLE ? 0 : (int64_t)LITTLE * LETTER_STEPS;
    tx->server->broker->turn.left += more;
    enum progress progress = go_on(tx, NULL);
    channel_server(channel)->broker->turn.left -= more;
    if (progress == PROGRESS_DONE)
        finish(tx, progress, NULL);
    else
        put_off(tx, progress);
}
