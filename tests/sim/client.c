/* A client's side of the wire: frames out, frames in, and which reply belongs to what. */
#include <inttypes.h>
#include <stdio.h>

#include "amqp/properties.h"
#include "amqp/table.h"
#include "base/mem.h"
#include "tests/sim/sim.h"
#include "tests/lib/amqp_more.h"

enum { FRAME_MAX_FIRST = 4096 };

void client_init(struct sim *sim, int number)
{
    struct client *client = &sim->clients[number];
    *client = (struct client){.sim = sim, .machine = &sim->machines[0], .number = number};
    for (int i = 0; i <= CHANNELS; i++) {
        client->channels[i].client = client;
        client->channels[i].number = (uint16_t)i;
    }
}

static void tx_unref(struct tx *tx)
{
    if (tx && --tx->refs == 0)
        mem_free(tx);
}

/* What was delivered and not settled is back in its queue. */
static void give_back(struct sim_channel *channel)
{
    for (size_t i = 0; i < channel->delivery_count; i++)
        channel->deliveries[i].copy->is_out = false;
    for (size_t i = 0; i < channel->tx_settle_count && channel->tx->state != TX_COMMITTING; i++)
        channel->tx_settles[i].copy->is_out = false;
}

/* What was settled and is not known to be read need not be. */
static void doubt_settles(struct sim_channel *channel)
{
    for (size_t i = 0; i < channel->unproved_count; i++)
        promise_unsure(channel->unproved[i]);
}

/* Nothing of the channel's life is left; `is_lost`: its socket went. */
static void channel_reset(struct sim_channel *channel, bool is_lost)
{
    chaos_end(channel);
    struct sim *sim = channel->client->sim;
    if (is_lost)
        doubt_settles(channel);
    give_back(channel);
    for (size_t i = 0; i < channel->expected_count; i++)
        if (channel->expected[i].takes_away)
            promise_purged(sim, channel->expected[i].queue, channel->client->dial_epoch);
    for (int i = 0; i < channel->consumer_count; i++) {
        if (is_lost && channel->consumers[i].no_ack)
            promise_purged(sim, channel->consumers[i].queue, channel->client->dial_epoch);
        idmap_free(&channel->consumers[i].streams);
    }
    if (channel->tx) {
        bool is_sent = channel->tx->state == TX_COMMITTING;
        promise_tx_end(sim, channel->tx, is_sent ? TX_UNKNOWN : TX_ROLLED_BACK);
        tx_unref(channel->tx);
    }
    mem_free(channel->expected);
    mem_free(channel->unconfirmed);
    mem_free(channel->deliveries);
    mem_free(channel->unproved);
    mem_free(channel->tx_settles);
    mem_free(channel->tx_hows);
    mem_free(channel->plain);
    buffer_free(&channel->content);
    buffer_free(&channel->content_properties);
    *channel = (struct sim_channel){.client = channel->client, .number = channel->number};
}

void channel_ends(struct sim_channel *channel)
{
    channel_reset(channel, false);
}

static void forget_socket(struct client *client, bool is_lost)
{
    if (client->solo)
        solo_lost(&client->channels[CHANNELS], !is_lost);
    for (int i = 0; i <= CHANNELS; i++)
        channel_reset(&client->channels[i], is_lost);
    buffer_free(&client->to_broker);
    buffer_free(&client->to_client);
    client->arrived = 0;
    client->is_coming = client->is_orphaned = false;
    client->epoch++;
    client->is_blocked = false;
    client->deaf_until_us = client->mute_until_us = 0;
    client->was_mute = client->is_told = client->is_to_close = false;
    client->closed_us = 0;
}

void client_free(struct client *client)
{
    forget_socket(client, true);
    solo_free(client->solo);
}

struct peer client_peer(const struct client *client)
{
    struct peer peer = {.local = "broker:1", .is_loopback = true};
    snprintf(peer.name, sizeof(peer.name), "client%d:%" PRIu64, client->number, client->dials);
    return peer;
}

void client_dial(struct client *client)
{
    struct sim *sim = client->sim;
    if (!client->machine->server)
        return;
    client->dials++;
    struct peer peer = client_peer(client);
    client->state = CLIENT_GREETING;
    client->dial_epoch = client->machine->epoch;
    client->said_us = client->heard_us = sim->now_us;
    client->frame_max = FRAME_MAX_FIRST;
    client->connection = service_accept(client->machine->service, &peer, client);
    buffer_add(&client->to_broker, protocol_header, PROTOCOL_HEADER_SIZE);
    sim_at(sim, EVENT_TO_BROKER, client->machine->number, client->number, 100, client->epoch);
}

void client_orphaned(struct client *client)
{
    client->is_orphaned = true;
    if (client->solo)
        solo_orphaned(&client->channels[CHANNELS]);
    for (int i = 1; i <= CHANNELS; i++)
        give_back(&client->channels[i]);
}

void client_closed(struct client *client)
{
    if (!client->is_orphaned) /* else it was about to close the connection itself */
        client_orphaned(client);
    for (int i = 1; i <= CHANNELS; i++)
        doubt_settles(&client->channels[i]);
}

void client_lost(struct client *client)
{
    struct sim *sim = client->sim;
    sim_say(sim, "client %d is disconnected", client->number);
    bool is_end = client->is_closed_well && sim->is_healed;
    if (client->connection)
        conversation_free(client->connection);
    client->connection = NULL;
    client->own.is_checked = false;
    forget_socket(client, !client->is_closed_well);
    client->is_closed_well = false;
    client->state = is_end ? CLIENT_DONE : CLIENT_DOWN;
    sim_at(sim, EVENT_ACT, client->machine->number, client->number, 1000 + sim_below(sim, 300000),
           client->epoch);
}

/* ---- out ---- */

static void went(struct client *client)
{
    struct sim *sim = client->sim;
    client->sent_us = sim->now_us;
    sim_at(sim, EVENT_TO_BROKER, client->machine->number, client->number,
           10 + sim_below(sim, sim_chance(sim, 20) ? 20000 : 500), client->epoch);
}

void client_send(struct client *client, uint16_t channel, const union method *method)
{
    if (method->id != METHOD_BASIC_PUBLISH)
        sim_say(client->sim, "client %d channel %u sends %s", client->number, channel,
                method_name(method->id));
    size_t size = frame_method_size(method);
    struct writer writer = writer_of(buffer_room(&client->to_broker, size), size);
    frame_write_method(&writer, channel, method);
    buffer_added(&client->to_broker, size);
    went(client);
}

void client_call(struct sim_channel *channel, const union method *method, uint32_t reply, int queue)
{
    if (channel->expected_count == channel->expected_capacity) {
        channel->expected_capacity =
            channel->expected_capacity ? channel->expected_capacity * 2 : 8;
        channel->expected =
            mem_realloc(channel->expected, channel->expected_capacity * sizeof(*channel->expected));
    }
    channel->expected[channel->expected_count++] =
        (struct expected){.id = reply,
                          .request = method->id,
                          .queue = queue,
                          .proves = channel->unproved_count,
                          .proves_plain = channel->plain_count};
    client_send(channel->client, channel->number, method);
}

void client_content_with(struct client *client, uint16_t channel, struct bytes body,
                         const struct properties *properties)
{
    uint8_t bytes[1024];
    struct writer writer = writer_of(bytes, sizeof(bytes));
    properties_write(&writer, properties);
    struct bytes written = bytes_of(bytes, (size_t)(writer.at - bytes));
    size_t size = frame_content_header_size(written);
    writer = writer_of(buffer_room(&client->to_broker, size), size);
    frame_write_content_header(&writer, channel, body.size, written);
    buffer_added(&client->to_broker, size);
    size_t part_max = client->frame_max - FRAME_OVERHEAD;
    for (size_t at = 0; at < body.size; at += part_max) {
        size_t part = body.size - at < part_max ? body.size - at : part_max;
        writer = writer_of(buffer_room(&client->to_broker, part + FRAME_OVERHEAD),
                           part + FRAME_OVERHEAD);
        frame_write_body(&writer, channel, bytes_of(body.data + at, part));
        buffer_added(&client->to_broker, part + FRAME_OVERHEAD);
    }
    went(client);
}

void client_heartbeat(struct client *client)
{
    uint8_t *at = buffer_room(&client->to_broker, FRAME_OVERHEAD);
    uint8_t *end = frame_write_header(at, FRAME_HEARTBEAT, 0, 0);
    *end = FRAME_END;
    buffer_added(&client->to_broker, FRAME_OVERHEAD);
    went(client);
}

/* ---- in ---- */

bool channel_is_quiet(const struct sim_channel *channel)
{
    return channel->expected_count == 0 && channel->unconfirmed_count == 0;
}

void channel_proves(struct sim_channel *channel, size_t count)
{
    if (count == 0)
        return;
    memmove(channel->unproved, channel->unproved + count,
            (channel->unproved_count - count) * sizeof(*channel->unproved));
    channel->unproved_count -= count;
    for (size_t i = 0; i < channel->expected_count; i++) {
        size_t *proves = &channel->expected[i].proves;
        *proves = *proves > count ? *proves - count : 0;
    }
}

/* What was published without confirms was routed before the reply: it comes out, unless there is a
 * crash. */
static void prove_plain(struct sim_channel *channel, size_t count)
{
    if (count == 0)
        return;
    for (size_t i = 0; i < count; i++)
        promise_routed(channel->client->sim, channel->plain[i]);
    memmove(channel->plain, channel->plain + count,
            (channel->plain_count - count) * sizeof(struct sim_message *));
    channel->plain_count -= count;
    for (size_t i = 0; i < channel->expected_count; i++) {
        size_t *proves = &channel->expected[i].proves_plain;
        *proves = *proves > count ? *proves - count : 0;
    }
}

void channel_remove_delivery(struct sim_channel *channel, size_t at)
{
    channel->delivery_count--;
    memmove(&channel->deliveries[at], &channel->deliveries[at + 1],
            (channel->delivery_count - at) * sizeof(*channel->deliveries));
}

void channel_add_delivery(struct sim_channel *channel, struct copy *copy, uint64_t tag)
{
    if (channel->delivery_count == channel->delivery_capacity) {
        channel->delivery_capacity =
            channel->delivery_capacity ? channel->delivery_capacity * 2 : 16;
        channel->deliveries = mem_realloc(channel->deliveries, channel->delivery_capacity *
                                                                   sizeof(*channel->deliveries));
    }
    channel->deliveries[channel->delivery_count++] =
        (struct delivery){tag, copy, channel->client->sim->now_us, channel->client->heard_us};
    copy->is_out = true;
}

static bool take_delivery(struct sim_channel *channel, const struct copy *copy)
{
    for (size_t i = 0; i < channel->delivery_count; i++)
        if (channel->deliveries[i].copy == copy) {
            channel_remove_delivery(channel, i);
            return true;
        }
    for (size_t i = 0; i < channel->tx_settle_count; i++)
        if (channel->tx_settles[i].copy == copy && channel->tx->state == TX_OPEN) {
            size_t last = --channel->tx_settle_count;
            channel->tx_settles[i] = channel->tx_settles[last];
            channel->tx_hows[i] = channel->tx_hows[last];
            return true;
        }
    return false;
}

bool channel_has_lost(struct sim *sim, const struct copy *copy)
{
    for (int i = 0; i < sim->clients_count * (CHANNELS + 1); i++) {
        struct sim_channel *channel = &sim->clients[i / (CHANNELS + 1)].channels[i % (CHANNELS + 1)];
        if (!channel->tx || !take_delivery(channel, copy))
            continue;
        if (!channel->is_closed_unseen && channel->tx->state == TX_OPEN)
            channel->answers_left = channel->expected_count;
        channel->is_closed_unseen = true;
        return true;
    }
    return false;
}

/* Since when does the broker wait for an answer for a message of QUEUE_W0, at the latest, or at the earliest, as
 * what a client reads may have been on its way for long? UINT64_MAX: it does not. */
static uint64_t waits_since_us(const struct sim_channel *channel, bool is_earliest)
{
    uint64_t since_us = UINT64_MAX;
    for (size_t i = 0; i < channel->delivery_count; i++) {
        const struct delivery *delivery = &channel->deliveries[i];
        uint64_t at_us = is_earliest ? delivery->given_us : delivery->came_us;
        if (delivery->copy->queue == QUEUE_W0 && at_us < since_us)
            since_us = at_us;
    }
    return since_us;
}

bool channel_may_time_out(const struct sim_channel *channel)
{
    for (int i = 0; i < channel->consumer_count; i++)
        if (channel->consumers[i].queue == QUEUE_W0 && !channel->consumers[i].no_ack)
            return !channel->is_timed_out && channel->client->connection;
    return false;
}

void channel_timed_out(struct sim_channel *channel)
{
    struct client *client = channel->client;
    struct sim *sim = client->sim;
    uint64_t since_us = waits_since_us(channel, true), least_us = (ANSWER_MS - ANSWER_LATE_MS) * 1000;
    bool is_read = !client->to_broker.size && !channel->unproved_count && !channel->expected_count;
    /* What the broker has given it may have to be read from the disk yet. */
    bool has_read = is_read && !client->to_client.size && channel->given == channel->delivery_count &&
                    sim->now_us >= client->deaf_until_us;
    if (has_read && (since_us == UINT64_MAX || sim->now_us - since_us < least_us))
        sim_fail(sim, "client %d channel %u is closed, though nothing is late", client->number,
                 channel->number);
    give_back(channel);
    doubt_settles(channel);
    channel->delivery_count = 0;
    channel->is_timed_out = channel->is_ignoring = true;
}

/* A commit that is under way is let end before the broker looks at the time. */
static bool has_transactions(const struct client *client)
{
    for (int i = 1; i <= CHANNELS; i++)
        if (client->channels[i].tx)
            return true;
    return client->solo || client->channels[1].chaos || client->channels[2].chaos ||
           client->channels[3].chaos;
}

/* A broker that counts in seconds should have closed it by now. */
void channel_check_time(struct sim_channel *channel)
{
    struct sim *sim = channel->client->sim;
    uint64_t since_us = waits_since_us(channel, false);
    const struct machine *machine = channel->client->machine;
    if (channel->is_timed_out || since_us == UINT64_MAX || channel->client->is_orphaned ||
        !machine->server || machine->is_failing || has_transactions(channel->client))
        return;
    uint64_t due_ms = (since_us / 1000000 + 1) * 1000 + ANSWER_MS + ANSWER_LATE_MS;
    if (sim->now_us / 1000 > due_ms)
        sim_fail(sim, "client %d channel %u is late, and is not closed", channel->client->number,
                 channel->number);
}

/* What a publisher sent in order comes to a consumer in order, the first time. */
static void check_order(struct sim_channel *channel, const struct copy *copy, bool redelivered)
{
    struct consumer_of *consumer = channel->content_consumer;
    bool is_sorted = !redelivered || channel->client->is_draining;
    if (!consumer || !is_sorted || copy->queue == QUEUE_DLQ || copy->message->delay_ms)
        return;
    uint64_t last = (uint64_t)(uintptr_t)idmap_remove(&consumer->streams, copy->message->stream);
    if (last > copy->message->id)
        sim_fail(channel->client->sim, "message %" PRIu64 " of %s comes after %" PRIu64,
                 copy->message->id, queue_names[copy->queue], last);
    idmap_add(&consumer->streams, copy->message->stream, (void *)(uintptr_t)copy->message->id);
}

static void returned(struct sim_channel *channel, struct bytes body)
{
    uint64_t id = 0;
    struct sim *sim = channel->client->sim;
    if (body.size >= 8)
        memcpy(&id, body.data, 8);
    struct sim_message *message = idmap_find(&sim->promises.messages, id);
    if (!message || !promise_is_returned(message) || message->is_returned)
        sim_fail(sim, "message %" PRIu64 " was returned", id);
    if (message)
        message->is_returned = true;
    sim->report->returned++;
}

/* It shows that it was held back, so that no exchange does so again. */
static void check_delay(struct sim_channel *channel, const struct sim_message *message)
{
    struct properties properties;
    struct field field = {0};
    if (!message->delay_ms)
        return;
    bool has_any =
        properties_read(buffer_bytes(&channel->content_properties), &properties) == PROPERTIES_OK &&
        table_find(properties.headers, bytes_str("x-delay"), &field);
    if (!has_any || field.value.integer != -(int64_t)message->delay_ms)
        sim_fail(channel->client->sim, "message %" PRIu64 " does not show that it was held back",
                 message->id);
}

static void take_content(struct sim_channel *channel, struct bytes body)
{
    struct sim *sim = channel->client->sim;
    struct copy *copy =
        promise_delivered(sim, channel->content_queue, body, channel->content_redelivered);
    if (!copy)
        return;
    sim_say(sim, "client %d channel %u has message %" PRIu64 " of %s as %" PRIu64,
            channel->client->number, channel->number, copy->message->id, queue_names[copy->queue],
            channel->content_tag);
    channel->delivered++;
    check_delay(channel, copy->message);
    check_order(channel, copy, channel->content_redelivered);
    if (channel->content_no_ack)
        promise_settled(sim, copy, SETTLED_ACKED);
    else
        channel_add_delivery(channel, copy, channel->content_tag);
}

static void content_ends(struct sim_channel *channel)
{
    struct sim *sim = channel->client->sim;
    struct bytes body = buffer_bytes(&channel->content);
    uint32_t id = channel->content_id;
    channel->content_id = 0;
    channel->content_id_done = id;
    if (channel->role == ROLE_SOLO) {
        if (!channel->client->is_orphaned && channel->client->state != CLIENT_CLOSING)
            solo_content(channel);
    } else if (channel->role == ROLE_SHARED) {
        chaos_content(channel);
    } else if (id == METHOD_BASIC_RETURN) {
        returned(channel, body);
    } else if (channel->is_ignoring || channel->client->is_orphaned ||
               channel->client->state == CLIENT_CLOSING) {
        promise_ignored(sim, channel->content_queue, body, channel->content_no_ack);
    } else if (channel->content_queue >= 0) {
        take_content(channel, body);
    }
    channel->content.size = 0;
}

static void keep_text(char kept[64], struct bytes text)
{
    snprintf(kept, 64, "%.*s", BYTES_ARG(text));
}

static void deliver(struct sim_channel *channel, const struct method_basic_deliver *method)
{
    keep_text(channel->content_consumer_tag, method->consumer_tag);
    keep_text(channel->content_exchange, method->exchange);
    keep_text(channel->content_key, method->routing_key);
    channel->content_tag = method->delivery_tag;
    channel->content_redelivered = method->redelivered;
    if (channel->role == ROLE_SOLO || channel->role == ROLE_SHARED)
        return;
    channel->content_consumer = NULL;
    channel->content_queue = -1;
    for (int i = 0; i < channel->consumer_count; i++)
        if (bytes_equal_str(method->consumer_tag, channel->consumers[i].tag))
            channel->content_consumer = &channel->consumers[i];
    if (!channel->content_consumer) {
        sim_fail(channel->client->sim, "a delivery for consumer %.*s, which there is not",
                 BYTES_ARG(method->consumer_tag));
        return;
    }
    channel->content_queue = channel->content_consumer->queue;
    channel->content_no_ack = channel->content_consumer->no_ack;
    channel->content_tag = method->delivery_tag;
    channel->content_redelivered = method->redelivered;
}

/* Is it the reply that the channel waits for next? */
static bool take_reply(struct sim_channel *channel, const union method *method,
                       struct expected *expected)
{
    struct sim *sim = channel->client->sim;
    uint32_t id = method->id == METHOD_BASIC_GET_EMPTY ? METHOD_BASIC_GET_OK : method->id;
    if (channel->expected_count == 0 || channel->expected[0].id != id) {
        sim_fail(sim, "client %d channel %u: %s comes while %s is due", channel->client->number,
                 channel->number, method_name(method->id),
                 channel->expected_count ? method_name(channel->expected[0].id) : "nothing");
        return false;
    }
    if (channel->is_closed_unseen && channel->answers_left-- == 0) {
        sim_fail(sim, "client %d channel %u: %s comes, though another has its messages",
                 channel->client->number, channel->number, method_name(method->id));
        return false;
    }
    *expected = channel->expected[0];
    channel->expected_count--;
    memmove(channel->expected, channel->expected + 1,
            channel->expected_count * sizeof(*channel->expected));
    channel_proves(channel, expected->proves);
    prove_plain(channel, expected->proves_plain);
    return true;
}

static void reply(struct sim_channel *channel, const union method *method)
{
    struct expected expected;
    if (!take_reply(channel, method, &expected))
        return;
    if (method->id == METHOD_BASIC_GET_OK) {
        keep_text(channel->content_exchange, method->basic_get_ok.exchange);
        keep_text(channel->content_key, method->basic_get_ok.routing_key);
        channel->content_consumer = NULL;
        channel->content_queue = expected.queue;
        channel->content_no_ack = expected.takes_away;
        channel->content_tag = method->basic_get_ok.delivery_tag;
        channel->content_redelivered = method->basic_get_ok.redelivered;
    }
    work_replied(channel, &expected, method);
}

/* The broker has cancelled a consumer, as its queue has gone. */
static void cancelled(struct sim_channel *channel, struct bytes tag)
{
    if (channel->role == ROLE_SOLO)
        solo_cancelled(channel, tag);
    else if (channel->role == ROLE_SHARED)
        chaos_cancelled(channel, tag);
    else
        sim_fail(channel->client->sim, "consumer %.*s is cancelled", BYTES_ARG(tag));
}

/* Both have closed it: of what is expected only the answer to that still comes. */
static void forget_others(struct sim_channel *channel)
{
    while (channel->expected_count > 1 && channel->expected[0].id != METHOD_CHANNEL_CLOSE_OK) {
        channel->expected_count--;
        memmove(channel->expected, channel->expected + 1,
                channel->expected_count * sizeof(*channel->expected));
    }
}

static void channel_method(struct sim_channel *channel, const union method *method)
{
    struct client *client = channel->client;
    if (method->id != METHOD_BASIC_DELIVER)
        sim_say(client->sim, "client %d channel %u gets %s", client->number, channel->number,
                method_name(method->id));
    switch (method->id) {
    case METHOD_BASIC_DELIVER:
        deliver(channel, &method->basic_deliver);
        break;
    case METHOD_BASIC_RETURN:
        channel->content_code = method->basic_return.reply_code;
        break;
    case METHOD_BASIC_CANCEL:
        cancelled(channel, method->basic_cancel.consumer_tag);
        return;
    case METHOD_BASIC_ACK:
        work_confirmed(channel, method->basic_ack.delivery_tag, method->basic_ack.multiple, false);
        return;
    case METHOD_BASIC_NACK:
        work_confirmed(channel, method->basic_nack.delivery_tag, method->basic_nack.multiple, true);
        return;
    case METHOD_CHANNEL_CLOSE: {
        union method ok = {.id = METHOD_CHANNEL_CLOSE_OK};
        work_channel_closed(channel, &method->channel_close);
        client_send(client, channel->number, &ok);
        if (channel->is_leaving)
            forget_others(channel);
        else
            channel_reset(channel, true);
        return;
    }
    default:
        reply(channel, method);
        if (method->id != METHOD_BASIC_GET_OK)
            return;
    }
    channel->content_id = method->id;
}

static void answer_start(struct client *client)
{
    static const char guest[] = "\0guest\0guest", stranger[] = "\0stranger\0stranger";
    struct bytes response = client->is_stranger ? bytes_of(stranger, sizeof(stranger) - 1)
                                                : bytes_of(guest, sizeof(guest) - 1);
    static const uint8_t table[] = "\x0c"
                                   "capabilitiesF\0\0\0\x3b"
                                   "\x0a"
                                   "basic.nackt\1"
                                   "\x16"
                                   "consumer_cancel_notifyt\1"
                                   "\x12"
                                   "connection.blockedt\1";
    union method ok = {
        .connection_start_ok = {.id = METHOD_CONNECTION_START_OK,
                                .client_properties = bytes_of(table, sizeof(table) - 1),
                                .mechanism = bytes_str("PLAIN"),
                                .response = response,
                                .locale = bytes_str("en_US")}};
    client_send(client, 0, &ok);
}

static void answer_tune(struct client *client)
{
    static const uint32_t frame_maxes[] = {4096, 8192, 131072};
    uint32_t frame_max = frame_maxes[sim_below(client->sim, 3)];
    union method ok = {
        .connection_tune_ok = {.id = METHOD_CONNECTION_TUNE_OK,
                               .channel_max = 100,
                               .frame_max = frame_max,
                               .heartbeat = (uint16_t)client->sim->dials.heartbeat_s}};
    union method open = {
        .connection_open = {.id = METHOD_CONNECTION_OPEN, .virtual_host = bytes_str("/")}};
    client_send(client, 0, &ok);
    client_send(client, 0, &open);
    client->frame_max = frame_max;
}

/* An operator wanted it. */
static bool is_closed_as_asked(const struct client *client, const union method *method)
{
    const struct method_connection_close *close = &method->connection_close;
    return client->is_to_close && close->reply_code == 320 &&
           bytes_equal_str(close->reply_text, "CONNECTION_FORCED - Closed via management plugin");
}

/* What a user may publish is no matter of another's. */
static void check_who_is_held(const struct client *client, const struct method_connection_blocked *method)
{
    char reason[256];
    snprintf(reason, sizeof(reason), "%.*s", BYTES_ARG(method->reason));
    if (client->is_stranger && strstr(reason, " of user 'guest'"))
        sim_fail(client->sim, "client %d: the stranger is held, as %s", client->number, reason);
}

static void connection_method(struct client *client, const union method *method)
{
    struct sim *sim = client->sim;
    union method ok = {.id = METHOD_CONNECTION_CLOSE_OK};
    switch (method->id) {
    case METHOD_CONNECTION_START:
        answer_start(client);
        break;
    case METHOD_CONNECTION_TUNE:
        answer_tune(client);
        break;
    case METHOD_CONNECTION_OPEN_OK:
        work_ready(client);
        break;
    case METHOD_CONNECTION_BLOCKED:
        client->is_blocked = true;
        sim->report->blocked++;
        sim->report->met[MET_HELD_BY_QUOTA] +=
            bytes_start_with(method->connection_blocked.reason, "max-");
        check_who_is_held(client, &method->connection_blocked);
        break;
    case METHOD_CONNECTION_UNBLOCKED:
        client->is_blocked = false;
        break;
    case METHOD_CONNECTION_CLOSE:
        client->is_told = true;
        /* It may be read long after. */
        if (client->machine->failed_epoch != client->dial_epoch && !is_closed_as_asked(client, method))
            sim_fail(sim, "client %d: connection closed: %u %.*s", client->number,
                     method->connection_close.reply_code,
                     BYTES_ARG(method->connection_close.reply_text));
        client_send(client, 0, &ok);
        break;
    case METHOD_CONNECTION_CLOSE_OK:
        /* The socket goes next. A broker that wanted an end itself has read nothing of what came before. */
        client->is_closed_well = !client->is_told;
        break;
    default:
        sim_fail(sim, "client %d: %s on channel 0", client->number, method_name(method->id));
    }
}

static void begin_body(struct sim_channel *channel, const struct content_header *header)
{
    channel->content_size = header->body_size;
    channel->content_properties.size = 0;
    buffer_add(&channel->content_properties, header->properties.data, header->properties.size);
}

static void take_frame(struct client *client, const struct frame *frame)
{
    struct sim *sim = client->sim;
    union method method;
    struct content_header header;
    if (frame->channel > CHANNELS) {
        sim_fail(sim, "client %d: a frame on channel %u", client->number, frame->channel);
        return;
    }
    struct sim_channel *channel = &client->channels[frame->channel];
    switch (frame->type) {
    case FRAME_HEARTBEAT:
        return;
    case FRAME_METHOD:
        if (method_read(frame->payload, &method) != METHOD_OK || channel->content_id)
            sim_fail(sim, "client %d: a method that makes no sense", client->number);
        else if (frame->channel == 0)
            connection_method(client, &method);
        else
            channel_method(channel, &method);
        return;
    case FRAME_HEADER:
        if (!channel->content_id || !content_header_read(frame->payload, &header))
            sim_fail(sim, "client %d: a header that makes no sense", client->number);
        else
            begin_body(channel, &header);
        break;
    default:
        buffer_add(&channel->content, frame->payload.data, frame->payload.size);
    }
    if (channel->content_id && channel->content.size == channel->content_size)
        content_ends(channel);
}

/* Some of what has come is read: as many whole frames as there are. */
void client_receive(struct client *client)
{
    struct sim *sim = client->sim;
    struct frame frame;
    uint64_t epoch = client->epoch;
    size_t used = 0;
    ssize_t size = 0;
    while (!sim->is_failed && client->epoch == epoch && client->to_client.size > used &&
           (size = frame_read(client->to_client.data + used, client->to_client.size - used,
                              client->frame_max, &frame)) > 0) {
        take_frame(client, &frame);
        used += (size_t)size;
    }
    if (client->epoch != epoch)
        return;
    if (used)
        buffer_drop(&client->to_client, used);
    if (!client->to_client.size)
        client->heard_us = client->said_us;
    if (size < 0)
        sim_fail(sim, "client %d: a frame that makes no sense", client->number);
    if (!client->connection && client->to_client.size == 0 && client->state != CLIENT_DOWN)
        client_lost(client);
    else
        machine_wake(client->machine, sim->now_us);
}
