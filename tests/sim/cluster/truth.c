/* What was promised of each message, and what must not be said of it. */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "tests/sim/cluster/brokers.h"

static struct sim_message *message_at(struct truth *truth, uint64_t number)
{
    return number && number <= truth->messages_last ? &truth->messages[number] : NULL;
}

void truth_free(struct truth *truth)
{
    mem_free(truth->messages);
    mem_free(truth->txs);
    mem_free(truth->streams);
}

uint64_t truth_stream(struct truth *truth)
{
    truth->streams =
        mem_grow(truth->streams, &truth->streams_capacity, truth->streams_last + 2, sizeof(*truth->streams));
    truth->streams[++truth->streams_last] = (struct stream){0};
    return truth->streams_last;
}

uint32_t truth_tx(struct truth *truth)
{
    truth->txs = mem_grow(truth->txs, &truth->txs_capacity, truth->txs_last + 2, sizeof(*truth->txs));
    truth->txs[++truth->txs_last] = (struct tx){0};
    return truth->txs_last;
}

uint64_t truth_sent(struct run *run, const struct socket *socket, int queue, uint32_t size, uint32_t tx)
{
    struct truth *truth = &run->truth;
    truth->messages =
        mem_grow(truth->messages, &truth->messages_capacity, truth->messages_last + 2, sizeof(*truth->messages));
    truth->messages[++truth->messages_last] = (struct sim_message){.stream = socket->stream,
                                                               .sent_ms = run->bench.now_ms,
                                                               .sent_office = socket->office,
                                                               .size = size,
                                                               .tx = tx,
                                                               .queue = (uint8_t)queue};
    if (tx)
        truth->txs[tx].count++;
    return truth->messages_last;
}

static uint8_t byte_at(uint64_t number, uint32_t at)
{
    return (uint8_t)(number * 31 + at);
}

void truth_body(const struct sim_message *message, uint64_t number, uint8_t *body)
{
    memcpy(body, &number, sizeof(number));
    for (uint32_t i = sizeof(number); i < message->size; i++)
        body[i] = byte_at(number, i);
}

void truth_confirmed(struct run *run, struct socket *socket, uint64_t number)
{
    struct sim_message *message = message_at(&run->truth, number);
    (void)socket;
    message->is_confirmed = true;
    run->report->confirms++;
    run->truth.confirmed_ms = run->bench.now_ms;
}

void truth_committed(struct run *run, struct socket *socket, uint32_t tx)
{
    struct truth *truth = &run->truth;
    truth->txs[tx].is_committed = true;
    run->report->commits++;
    for (uint64_t i = 1; i <= truth->messages_last; i++)
        if (truth->messages[i].tx == tx)
            truth_confirmed(run, socket, i);
}

static bool is_body(const struct sim_message *message, uint64_t number, struct bytes body)
{
    if (body.size != message->size)
        return false;
    for (uint32_t i = sizeof(number); i < message->size; i++)
        if (body.data[i] != byte_at(number, i))
            return false;
    return true;
}

/* What one publisher sent on one connection comes in order, the first time: to each consumer, and all that an
 * earlier office has delivered comes before what a later one does. */
static void check_order(struct run *run, struct socket *socket, const struct sim_message *message, uint64_t number)
{
    struct stream *stream = &run->truth.streams[message->stream];
    size_t had = socket->firsts_capacity, at = message->stream * QUEUES + message->queue;
    int queue = message->queue;
    socket->firsts = mem_grow(socket->firsts, &socket->firsts_capacity, at + 1, sizeof(*socket->firsts));
    memset(socket->firsts + had, 0, (socket->firsts_capacity - had) * sizeof(*socket->firsts));
    if (stream->office[queue] != socket->office) {
        if (stream->last[queue] > stream->before[queue])
            stream->before[queue] = stream->last[queue];
        stream->office[queue] = socket->office;
    }
    if (number < stream->before[queue] || number < socket->firsts[at])
        run_fail(run, "message %" PRIu64 " of %s comes after a later one of its publisher", number,
                 queue_name_of(queue));
    socket->firsts[at] = number;
    if (number > stream->last[queue])
        stream->last[queue] = number;
}

/* Both have reasons to take it for theirs, which is nobody's fault: who served the one is gone, or has lost him, and he
 * has not been heard by the next yet. */
static bool is_contested(struct run *run, const struct socket *socket, const struct sim_message *message)
{
    const struct socket *holder = socket_of(run, message->holder);
    const struct socket *answerer = message->is_answered ? socket_of(run, message->answerer) : NULL;
    return (holder && carried_is_adrift(holder, socket->office)) ||
           (answerer && carried_is_adrift(answerer, socket->office));
}

/* What comes was said when this socket was served, and others may be served since. */
static bool is_late(const struct run *run, const struct socket *socket)
{
    return socket->is_relayed && (socket->is_stale || socket->office < run->truth.dispatcher);
}

static void check_flag(struct run *run, const struct socket *socket, const struct sim_message *message, uint64_t number,
                       bool redelivered)
{
    const char *queue = queue_name_of(message->queue);
    if (message->is_said && !redelivered && !(message->is_loose && socket->is_relayed))
        run_fail(run, "message %" PRIu64 " of %s comes again, and does not say so", number, queue);
    bool is_new = !message->is_said && message->sent_office == socket->office &&
                  message->sent_ms > run->truth.returned_ms[message->queue];
    if (is_new && redelivered)
        run_fail(run, "message %" PRIu64 " of %s is new, and says that it comes again", number, queue);
}

static void check_allowed(struct run *run, const struct socket *socket, const struct sim_message *message, uint64_t number)
{
    struct truth *truth = &run->truth;
    const char *queue = queue_name_of(message->queue);
    if (message->is_settled && !message->is_loose)
        run_fail(run, "message %" PRIu64 " of %s comes, though it was answered, and that was agreed on", number, queue);
    if (message->holder && message->holder_office == socket->office && !message->is_loose)
        run_fail(run, "message %" PRIu64 " of %s comes, though another one has it", number, queue);
    if (socket->office < truth->dispatcher)
        run_fail(run, "message %" PRIu64 " of %s comes of office %" PRIu64 ", and office %" PRIu64 " delivers", number,
                 queue, socket->office, truth->dispatcher);
}

uint64_t truth_delivered(struct run *run, struct socket *socket, int queue, struct bytes body, bool redelivered)
{
    struct truth *truth = &run->truth;
    uint64_t number = 0;
    if (body.size >= sizeof(number))
        memcpy(&number, body.data, sizeof(number));
    struct sim_message *message = message_at(truth, number);
    if (!message || message->queue != queue || !is_body(message, number, body)) {
        run_fail(run, "a message comes that nobody sent, %" PRIu64 " of %s", number, queue_name_of(queue));
        return 0;
    }
    bool comes_late = is_late(run, socket), is_first = !message->is_said;
    if (is_contested(run, socket, message) || (comes_late && (message->holder || message->is_answered)))
        message->is_loose = true;
    if (message->tx && !truth->txs[message->tx].is_sent)
        run_fail(run, "message %" PRIu64 " of %s comes, and was never committed", number, queue_name_of(queue));
    if (!comes_late) {
        check_allowed(run, socket, message, number);
        check_flag(run, socket, message, number, redelivered);
        if (!redelivered)
            check_order(run, socket, message, number);
        truth->dispatcher = socket->office;
    }
    if (is_first && message->tx)
        truth->txs[message->tx].said++;
    if (is_first)
        run->report->deliveries++;
    else
        run->report->redeliveries++;
    if (is_first)
        truth->delivered_ms = run->bench.now_ms;
    message->is_said = true;
    if (comes_late && !is_first && (message->holder || message->is_answered))
        return number;
    message->is_answered = false;
    message->holder = socket->serial;
    message->holder_office = socket->office;
    return number;
}

void truth_answered(struct run *run, const struct socket *socket, uint64_t number)
{
    struct sim_message *message = message_at(&run->truth, number);
    message->is_answered = true;
    message->answerer = socket->serial;
    message->holder = 0;
}

void truth_loosened(struct run *run, uint64_t number)
{
    message_at(&run->truth, number)->is_loose = true;
}

void truth_settled(struct run *run, uint64_t number)
{
    struct sim_message *message = message_at(&run->truth, number);
    if (message->is_loose)
        return;
    if (!message->is_answered)
        run_fail(run, "message %" PRIu64 " of %s came again before it was said that its answer is agreed on", number,
                 queue_name_of(message->queue));
    run->report->settled += !message->is_settled;
    message->is_settled = true;
}

void truth_returned(struct run *run, const struct socket *socket, uint64_t number)
{
    struct sim_message *message = message_at(&run->truth, number);
    if (message->holder != socket->serial)
        return;
    message->holder = 0;
    run->truth.returned_ms[message->queue] = run->bench.now_ms;
}

void truth_judge(struct run *run)
{
    struct truth *truth = &run->truth;
    for (uint64_t i = 1; i <= truth->messages_last; i++) {
        const struct sim_message *message = &truth->messages[i];
        if (message->is_confirmed && !message->is_answered)
            run_fail(run, "message %" PRIu64 " of %s was confirmed, and is lost", i, queue_name_of(message->queue));
    }
    for (uint32_t i = 1; i <= truth->txs_last; i++)
        if (truth->txs[i].said && truth->txs[i].said != truth->txs[i].count)
            run_fail(run, "of transaction %u %u messages of %u are there", i, truth->txs[i].said, truth->txs[i].count);
}
