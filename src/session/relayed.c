/* See relayed.h. Until all is said again nothing is delivered on the connection, so that what the client holds has the
 * first delivery tags. */
#include "session/relayed.h"

#include "amqp/frame.h"
#include "peer/relayed.h"
#include "session/acknowledge.h"
#include "session/wait.h"

/* Room for the contents of a note, whose end is written. */
static uint8_t *begin(struct channel *channel, size_t size)
{
    uint8_t *at = channel_room(channel, size + FRAME_OVERHEAD);
    at = frame_write_header(at, FRAME_HEARTBEAT, channel->number, (uint32_t)size);
    at[size] = FRAME_END;
    return at;
}

static void tell_number(struct channel *channel, enum relayed_note what, uint64_t number)
{
    put_u64(put_u8(begin(channel, RELAYED_NUMBER_BYTES), (uint8_t)what), number);
    channel_added(channel, RELAYED_NUMBER_BYTES + FRAME_OVERHEAD);
}

void relayed_position(struct channel *channel, uint64_t sequence)
{
    tell_number(channel, RELAYED_POSITION, sequence);
}

void relayed_settles(struct channel *channel)
{
    if (channel->is_relayed)
        wait_settled(channel, ++channel->settles);
}

void relayed_settled(struct channel *channel, uint64_t count)
{
    tell_number(channel, RELAYED_SETTLED, count);
}

/* ---- what the client holds ---- */

static bool grant(struct channel *channel, struct consumer *consumer, uint64_t sequence)
{
    struct queue *queue = consumer->base.queue;
    if (!queue || consumer->base.no_ack || !queue_holds(queue, sequence) || !queue_take_at(queue, sequence))
        return false;
    acknowledge_expect(channel, consumer, ++channel->delivery_tag, sequence);
    consumer->base.unacked++;
    if (!list_is_empty(&consumer->base.ready_link)) { /* it may have no credit left */
        list_remove(&consumer->base.ready_link);
        queue_consumer_ready(&consumer->base);
    }
    return true;
}

static bool claim(struct channel *channel, struct reader *reader)
{
    uint8_t bits[RELAYED_CLAIMS_MAX / 8] = {0};
    struct bytes tag = reader_shortstr(reader);
    size_t count = reader_u16(reader);
    if (reader->bad || count > RELAYED_CLAIMS_MAX || reader_left(reader) != count * sizeof(uint64_t))
        return false;
    struct consumer *consumer = map_find(&channel->tags, tag);
    for (size_t i = 0; i < count; i++)
        if (consumer && grant(channel, consumer, reader_u64(reader)))
            bits[i / 8] |= (uint8_t)(1 << i % 8);
    size_t size = 1 + 2 + (count + 7) / 8;
    uint8_t *at = put_u16(put_u8(begin(channel, size), RELAYED_CLAIMED), (uint16_t)count);
    memcpy(at, bits, (count + 7) / 8);
    channel_added(channel, size + FRAME_OVERHEAD);
    return true;
}

bool relayed_note(struct connection *connection, const struct frame *frame)
{
    struct channel *channel = connection_channel(connection, frame->channel);
    struct reader reader = reader_of(frame->payload);
    if (reader_u8(&reader) != RELAYED_CLAIM || !connection->is_saying_again || !channel)
        return false;
    return channel->state != CHANNEL_OPEN || claim(channel, &reader);
}

void relayed_begin(struct connection *connection)
{
    if (!connection->is_saying_again)
        return;
    connection->is_saying_again = false;
    connection->deliver_max = connection->server->options.output_bytes_max;
    consumers_unpark(&connection->parked);
    connection->server->has_work_left = true;
}
