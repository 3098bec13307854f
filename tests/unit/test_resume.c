/* A client's connection that goes on at another server. Both sides are bytes here: the client's are given in and what
 * the server gets is read back as methods, and the other way round. */
#include "cluster/resume.h"

#include <stdio.h>
#include <string.h>

#include "amqp/frame.h"
#include "base/buffer.h"
#include "peer/relayed.h"
#include "tests/lib/tap.h"

static struct resume *resume;
static size_t kept;
static struct buffer client, server; /* what has come there, and was not looked at */

static void to_client(void *context, struct bytes bytes)
{
    (void)context;
    buffer_add(&client, bytes.data, bytes.size);
}

static void to_server(void *context, struct bytes bytes)
{
    (void)context;
    buffer_add(&server, bytes.data, bytes.size);
}

static const struct resume_ops ops = {to_client, to_server};

/* ---- both sides ---- */

static struct buffer frame_of(uint16_t channel, const union method *method)
{
    struct buffer buffer = {0};
    size_t size = frame_method_size(method);
    struct writer writer = writer_of(buffer_room(&buffer, size), size);
    frame_write_method(&writer, channel, method);
    buffer_added(&buffer, size);
    return buffer;
}

static void client_says(uint16_t channel, union method method)
{
    struct buffer frame = frame_of(channel, &method);
    resume_client_input(resume, buffer_bytes(&frame));
    buffer_free(&frame);
}

static void server_says(uint16_t channel, union method method)
{
    struct buffer frame = frame_of(channel, &method);
    resume_server_input(resume, buffer_bytes(&frame));
    buffer_free(&frame);
}

/* A method with a body of so many bytes, all of it at once. */
static struct buffer message_of(uint16_t channel, union method method, size_t size)
{
    static uint8_t zero[4096];
    struct buffer frames = frame_of(channel, &method);
    uint8_t header[FRAME_OVERHEAD + 14];
    struct writer writer = writer_of(header, sizeof(header));
    frame_write_content_header(&writer, channel, size, bytes_of("\0\0", 2));
    buffer_add(&frames, header, sizeof(header));
    while (size) {
        size_t part = size < sizeof(zero) ? size : sizeof(zero);
        uint8_t end = FRAME_END;
        frame_write_header(header, FRAME_BODY, channel, (uint32_t)part);
        buffer_add(&frames, header, FRAME_HEADER_SIZE);
        buffer_add(&frames, zero, part);
        buffer_add(&frames, &end, 1);
        size -= part;
    }
    return frames;
}

static void client_publishes(uint16_t channel, const char *key, size_t size)
{
    struct buffer frames = message_of(
        channel, (union method){.basic_publish = {.id = METHOD_BASIC_PUBLISH, .routing_key = bytes_str(key)}}, size);
    resume_client_input(resume, buffer_bytes(&frames));
    buffer_free(&frames);
}

static void server_delivers(uint16_t channel, uint64_t tag, size_t size)
{
    struct buffer frames = message_of(channel,
                                      (union method){.basic_deliver = {.id = METHOD_BASIC_DELIVER,
                                                                       .consumer_tag = bytes_str("c"),
                                                                       .delivery_tag = tag}},
                                      size);
    resume_server_input(resume, buffer_bytes(&frames));
    buffer_free(&frames);
}

/* "claim c 10 11 12" */
static void describe_claim(char *text, size_t size, struct bytes note)
{
    struct reader reader = reader_of(note);
    size_t used = (size_t)snprintf(text, size, "%s", reader_u8(&reader) == RELAYED_CLAIM ? "claim" : "?");
    struct bytes tag = reader_shortstr(&reader);
    used += (size_t)snprintf(text + used, size - used, " %.*s", BYTES_ARG(tag));
    for (unsigned count = reader_u16(&reader); count && used < size; count--)
        used += (size_t)snprintf(text + used, size - used, " %llu", (unsigned long long)reader_u64(&reader));
}

/* Takes the next frame there and describes it: "1 basic.ack 7+", "1 queue.declare q", "header", "body 3". */
static const char *next(struct buffer *side)
{
    static char text[200];
    struct frame frame;
    union method method;
    if (side->size >= PROTOCOL_HEADER_SIZE && memcmp(side->data, protocol_header, PROTOCOL_HEADER_SIZE) == 0) {
        buffer_drop(side, PROTOCOL_HEADER_SIZE);
        return "AMQP";
    }
    ssize_t size = frame_read(side->data, side->size, 0, &frame);
    if (size <= 0)
        return size ? "nonsense" : "";
    if (frame.type == FRAME_HEARTBEAT && frame.payload.size) {
        describe_claim(text, sizeof(text), frame.payload);
    } else if (frame.type == FRAME_HEARTBEAT) {
        snprintf(text, sizeof(text), "heartbeat");
    } else if (frame.type == FRAME_HEADER) {
        snprintf(text, sizeof(text), "header");
    } else if (frame.type == FRAME_BODY) {
        snprintf(text, sizeof(text), "body %zu", frame.payload.size);
    } else if (method_read(frame.payload, &method) != METHOD_OK) {
        snprintf(text, sizeof(text), "malformed");
    } else {
        char more[100] = "";
        switch (method.id) {
        case METHOD_BASIC_ACK:
            snprintf(more, sizeof(more), " %llu%s", (unsigned long long)method.basic_ack.delivery_tag,
                     method.basic_ack.multiple ? "+" : "");
            break;
        case METHOD_BASIC_NACK:
            snprintf(more, sizeof(more), " %llu%s", (unsigned long long)method.basic_nack.delivery_tag,
                     method.basic_nack.multiple ? "+" : "");
            break;
        case METHOD_BASIC_REJECT:
            snprintf(more, sizeof(more), " %llu", (unsigned long long)method.basic_reject.delivery_tag);
            break;
        case METHOD_BASIC_DELIVER:
            snprintf(more, sizeof(more), " %llu", (unsigned long long)method.basic_deliver.delivery_tag);
            break;
        case METHOD_BASIC_GET_OK:
            snprintf(more, sizeof(more), " %llu", (unsigned long long)method.basic_get_ok.delivery_tag);
            break;
        case METHOD_BASIC_PUBLISH:
            snprintf(more, sizeof(more), " %.*s", BYTES_ARG(method.basic_publish.routing_key));
            break;
        case METHOD_BASIC_CONSUME:
            snprintf(more, sizeof(more), " %.*s %.*s", BYTES_ARG(method.basic_consume.queue),
                     BYTES_ARG(method.basic_consume.consumer_tag));
            break;
        case METHOD_BASIC_CANCEL:
            snprintf(more, sizeof(more), " %.*s", BYTES_ARG(method.basic_cancel.consumer_tag));
            break;
        case METHOD_BASIC_QOS:
            snprintf(more, sizeof(more), " %u%s", method.basic_qos.prefetch_count, method.basic_qos.global ? " global" : "");
            break;
        case METHOD_QUEUE_DECLARE:
            snprintf(more, sizeof(more), " %.*s", BYTES_ARG(method.queue_declare.queue));
            break;
        case METHOD_QUEUE_BIND:
            snprintf(more, sizeof(more), " %.*s %.*s", BYTES_ARG(method.queue_bind.queue),
                     BYTES_ARG(method.queue_bind.routing_key));
            break;
        default:
            break;
        }
        snprintf(text, sizeof(text), "%u %s%s", frame.channel, method_name(method.id), more);
    }
    buffer_drop(side, (size_t)size);
    return text;
}

static void gets(struct buffer *side, const char *const *texts)
{
    for (; *texts; texts++)
        is_str(next(side), *texts, "%s", *texts);
    is_int(side->size, 0, "and no more");
}

#define CLIENT_GETS(...) gets(&client, (const char *const[]){__VA_ARGS__, NULL})
#define SERVER_GETS(...) gets(&server, (const char *const[]){__VA_ARGS__, NULL})

static void nothing_came(void)
{
    is_int(client.size, 0, "nothing for the client");
    is_int(server.size, 0, "nothing for the server");
}

static void forget(void)
{
    client.size = server.size = 0;
}

#define ID(NAME) (union method){.id = METHOD_##NAME}

static const uint8_t capabilities[] = "\x0c"
                                      "capabilitiesF\0\0\0\x19\x16"
                                      "consumer_cancel_notifyt\x01";

/* Up to an open channel 1, of what nothing is looked at. */
static void begin(void)
{
    resume = resume_new(&ops, NULL, &kept);
    resume_client_input(resume, bytes_of(protocol_header, PROTOCOL_HEADER_SIZE));
    server_says(0, ID(CONNECTION_START));
    client_says(0, (union method){.connection_start_ok = {
                                      .id = METHOD_CONNECTION_START_OK,
                                      .client_properties = bytes_of(capabilities, sizeof(capabilities) - 1),
                                      .mechanism = bytes_str("PLAIN")}});
    server_says(0, ID(CONNECTION_TUNE));
    client_says(0, (union method){.connection_tune_ok = {
                                      .id = METHOD_CONNECTION_TUNE_OK, .channel_max = 7, .frame_max = 131072}});
    client_says(0, ID(CONNECTION_OPEN));
    server_says(0, ID(CONNECTION_OPEN_OK));
    client_says(1, ID(CHANNEL_OPEN));
    server_says(1, ID(CHANNEL_OPEN_OK));
    forget();
}

static void end(void)
{
    resume_free(resume);
    is_int(kept, 0, "nothing is kept");
    buffer_free(&client);
    buffer_free(&server);
}

/* The server is gone, another one is there, and knows who the client is. */
static void another(void)
{
    ok(resume_lost(resume) == NULL, "another one can go on");
    ok(resume_is_telling(resume), "the client waits");
    resume_begin(resume);
    SERVER_GETS("AMQP");
    server_says(0, ID(CONNECTION_START));
    SERVER_GETS("0 connection.start-ok");
    server_says(0, ID(CONNECTION_TUNE));
    SERVER_GETS("0 connection.tune-ok", "0 connection.open");
    server_says(0, ID(CONNECTION_OPEN_OK));
}

static void is_done(void)
{
    ok(!resume_is_telling(resume), "the client goes on");
}

/* ---- what is passed ---- */

TEST(all_is_passed_whatever_the_pieces)
{
    struct buffer frames;
    begin();
    frames = message_of(1, (union method){.basic_publish = {.id = METHOD_BASIC_PUBLISH, .routing_key = bytes_str("k")}}, 5000);
    for (size_t i = 0; i + 1 < frames.size; i++)
        resume_client_input(resume, bytes_of(frames.data + i, 1));
    is_int(server.size, 0, "a message goes when it is whole");
    resume_client_input(resume, bytes_of(frames.data + frames.size - 1, 1));
    ok(bytes_equal(buffer_bytes(&server), buffer_bytes(&frames)), "as it came");
    buffer_free(&frames);
    forget();
    server_delivers(1, 1, 3);
    CLIENT_GETS("1 basic.deliver 1", "header", "body 3");
    end();
}

TEST(what_is_large_passes_as_it_comes)
{
    begin();
    client_says(1, ID(CONFIRM_SELECT));
    server_says(1, ID(CONFIRM_SELECT_OK));
    forget();
    client_publishes(1, "large", RESUME_MESSAGE_BYTES + 1);
    ok(server.size > RESUME_MESSAGE_BYTES, "all of it is there");
    ok(resume_lost(resume) != NULL, "and nobody can say it again");
    server_says(1, (union method){.basic_ack = {.id = METHOD_BASIC_ACK, .delivery_tag = 1}});
    ok(resume_lost(resume) == NULL, "it is confirmed");
    end();
}

TEST(what_is_no_amqp_is_passed)
{
    resume = resume_new(&ops, NULL, &kept);
    resume_client_input(resume, bytes_str("GET"));
    is_int(server.size, 3, "as it came");
    resume_client_input(resume, bytes_str(" / HTTP/1.1\r\n\r\n"));
    resume_server_input(resume, bytes_of(protocol_header, PROTOCOL_HEADER_SIZE));
    is_int(server.size, 18, "and what follows");
    CLIENT_GETS("AMQP");
    ok(resume_lost(resume) != NULL, "it ends with its server");
    end();
    begin();
    resume_client_input(resume, bytes_str("nonsense that is no frame"));
    is_int(server.size, 25, "a frame that is none");
    ok(resume_lost(resume) != NULL, "ends the connection as well");
    end();
}

TEST(a_connection_that_was_not_open_ends)
{
    resume = resume_new(&ops, NULL, &kept);
    ok(resume_lost(resume) != NULL, "nothing was said");
    resume_client_input(resume, bytes_of(protocol_header, PROTOCOL_HEADER_SIZE));
    server_says(0, ID(CONNECTION_START));
    ok(resume_lost(resume) != NULL, "the client has not said who it is");
    end();
    begin();
    ok(!resume_is_ending(resume), "it lasts");
    client_says(0, ID(CONNECTION_CLOSE));
    ok(resume_is_ending(resume), "it is about to end");
    ok(resume_lost(resume) != NULL, "it wants to end");
    end();
}

/* ---- what another server is told ---- */

TEST(a_channel_is_told_with_its_modes_limits_and_consumers)
{
    begin();
    client_says(1, (union method){.basic_qos = {.id = METHOD_BASIC_QOS, .prefetch_count = 100, .global = true}});
    client_says(1, (union method){.basic_qos = {.id = METHOD_BASIC_QOS, .prefetch_count = 5}});
    server_says(1, ID(BASIC_QOS_OK));
    server_says(1, ID(BASIC_QOS_OK));
    client_says(1, ID(CONFIRM_SELECT));
    server_says(1, ID(CONFIRM_SELECT_OK));
    client_says(1, (union method){.basic_consume = {.id = METHOD_BASIC_CONSUME, .queue = bytes_str("q")}});
    server_says(1, (union method){.basic_consume_ok = {.id = METHOD_BASIC_CONSUME_OK, .consumer_tag = bytes_str("given")}});
    client_says(1, (union method){.basic_consume = {.id = METHOD_BASIC_CONSUME,
                                                    .queue = bytes_str("r"),
                                                    .consumer_tag = bytes_str("own"),
                                                    .nowait = true}});
    client_says(1, (union method){.basic_consume = {.id = METHOD_BASIC_CONSUME,
                                                    .queue = bytes_str("r"),
                                                    .consumer_tag = bytes_str("gone"),
                                                    .nowait = true}});
    client_says(1, (union method){.basic_cancel = {.id = METHOD_BASIC_CANCEL, .consumer_tag = bytes_str("gone"), .nowait = true}});
    client_says(1, (union method){.basic_qos = {.id = METHOD_BASIC_QOS, .prefetch_count = 6}});
    server_says(1, ID(BASIC_QOS_OK));
    forget();
    another();
    SERVER_GETS("1 channel.open", "1 confirm.select", "1 basic.qos 100 global");
    server_says(1, ID(CHANNEL_OPEN_OK));
    server_says(1, ID(BASIC_QOS_OK));
    SERVER_GETS("1 basic.qos 5", "1 basic.consume q given");
    server_says(1, ID(BASIC_QOS_OK));
    server_says(1, (union method){.basic_consume_ok = {.id = METHOD_BASIC_CONSUME_OK, .consumer_tag = bytes_str("given")}});
    SERVER_GETS("1 basic.consume r own");
    server_says(1, (union method){.basic_consume_ok = {.id = METHOD_BASIC_CONSUME_OK, .consumer_tag = bytes_str("own")}});
    SERVER_GETS("1 basic.qos 6");
    ok(resume_is_telling(resume), "the client still waits");
    server_says(1, ID(BASIC_QOS_OK));
    SERVER_GETS("heartbeat");
    is_done();
    nothing_came();
    end();
}

TEST(a_consumer_whose_queue_is_gone_is_cancelled)
{
    begin();
    for (int i = 0; i < 3; i++) {
        static const char *const names[] = {"a", "b", "c"};
        client_says(1, (union method){.basic_consume = {.id = METHOD_BASIC_CONSUME,
                                                        .queue = bytes_str(names[i]),
                                                        .consumer_tag = bytes_str(names[i]),
                                                        .nowait = true}});
    }
    forget();
    another();
    SERVER_GETS("1 channel.open");
    server_says(1, ID(CHANNEL_OPEN_OK));
    SERVER_GETS("1 basic.consume a a");
    server_says(1, (union method){.basic_consume_ok = {.id = METHOD_BASIC_CONSUME_OK, .consumer_tag = bytes_str("a")}});
    server_delivers(1, 1, 0);
    CLIENT_GETS("1 basic.deliver 1", "header");
    SERVER_GETS("1 basic.consume b b");
    server_says(1, (union method){.channel_close = {.id = METHOD_CHANNEL_CLOSE, .reply_code = 404}});
    CLIENT_GETS("1 basic.cancel b");
    SERVER_GETS("1 channel.close-ok", "1 channel.open");
    server_says(1, ID(CHANNEL_OPEN_OK));
    SERVER_GETS("1 basic.consume a a");
    server_says(1, (union method){.basic_consume_ok = {.id = METHOD_BASIC_CONSUME_OK, .consumer_tag = bytes_str("a")}});
    SERVER_GETS("1 basic.consume c c");
    server_says(1, (union method){.basic_consume_ok = {.id = METHOD_BASIC_CONSUME_OK, .consumer_tag = bytes_str("c")}});
    SERVER_GETS("heartbeat");
    is_done();
    server_delivers(1, 1, 0);
    CLIENT_GETS("1 basic.deliver 2", "header");
    end();
}

TEST(deliveries_go_on_by_their_numbers)
{
    begin();
    server_delivers(1, 1, 1);
    server_delivers(1, 2, 1);
    client_says(1, (union method){.basic_get = {.id = METHOD_BASIC_GET}});
    struct buffer got = message_of(1, (union method){.basic_get_ok = {.id = METHOD_BASIC_GET_OK, .delivery_tag = 3}}, 1);
    resume_server_input(resume, buffer_bytes(&got));
    forget();
    buffer_free(&got);
    got = message_of(1, (union method){.basic_get_ok = {.id = METHOD_BASIC_GET_OK, .delivery_tag = 4}}, 1);
    resume_server_input(resume, bytes_of(got.data, got.size - 1)); /* it is never whole */
    buffer_free(&got);
    another();
    SERVER_GETS("1 channel.open");
    server_says(1, ID(CHANNEL_OPEN_OK));
    SERVER_GETS("heartbeat");
    server_delivers(1, 1, 1);
    const char *text = next(&client);
    ok(strcmp(text, "1 basic.deliver 4") == 0, "numbers go on: %s", text);
    forget();
    client_says(1, (union method){.basic_ack = {.id = METHOD_BASIC_ACK, .delivery_tag = 3, .multiple = true}});
    client_says(1, (union method){.basic_nack = {.id = METHOD_BASIC_NACK, .delivery_tag = 2}});
    client_says(1, (union method){.basic_reject = {.id = METHOD_BASIC_REJECT, .delivery_tag = 1}});
    nothing_came();
    client_says(1, (union method){.basic_ack = {.id = METHOD_BASIC_ACK, .delivery_tag = 4, .multiple = true}});
    client_says(1, (union method){.basic_nack = {.id = METHOD_BASIC_NACK, .delivery_tag = 5}});
    client_says(1, (union method){.basic_reject = {.id = METHOD_BASIC_REJECT, .delivery_tag = 6}});
    client_says(1, (union method){.basic_ack = {.id = METHOD_BASIC_ACK, .delivery_tag = 0, .multiple = true}});
    SERVER_GETS("1 basic.ack 1+", "1 basic.nack 2", "1 basic.reject 3", "1 basic.ack 0+");
    end();
}

/* What a server says beside the client's frames. */
static void server_notes(uint16_t channel, const void *note, size_t size)
{
    uint8_t frame[64];
    uint8_t *at = frame_write_header(frame, FRAME_HEARTBEAT, channel, (uint32_t)size);
    memcpy(at, note, size);
    at[size] = FRAME_END;
    resume_server_input(resume, bytes_of(frame, size + FRAME_OVERHEAD));
}

static void server_notes_number(enum relayed_note what, uint64_t number)
{
    uint8_t note[RELAYED_NUMBER_BYTES];
    put_u64(put_u8(note, (uint8_t)what), number);
    server_notes(1, note, sizeof(note));
}

static void server_delivers_at(uint64_t tag, uint64_t position)
{
    server_notes_number(RELAYED_POSITION, position);
    server_delivers(1, tag, 0);
}

/* A consumer "c" with deliveries 1 to `count`, of positions 11 and so on. */
static void begin_holding(uint64_t count)
{
    begin();
    client_says(1, (union method){.basic_consume = {.id = METHOD_BASIC_CONSUME,
                                                    .queue = bytes_str("q"),
                                                    .consumer_tag = bytes_str("c"),
                                                    .nowait = true}});
    for (uint64_t i = 1; i <= count; i++)
        server_delivers_at(i, 10 + i);
    forget();
}

static void another_with_consumer(const char *claim)
{
    another();
    SERVER_GETS("1 channel.open");
    server_says(1, ID(CHANNEL_OPEN_OK));
    SERVER_GETS("1 basic.consume q c", claim);
    server_says(1, (union method){.basic_consume_ok = {.id = METHOD_BASIC_CONSUME_OK, .consumer_tag = bytes_str("c")}});
    ok(resume_is_telling(resume), "the claim is not answered");
}

static void another_no_consumer(void)
{
    another();
    SERVER_GETS("1 channel.open");
    server_says(1, ID(CHANNEL_OPEN_OK));
    SERVER_GETS("heartbeat");
}

static void another_no_claims(void)
{
    another();
    SERVER_GETS("1 channel.open");
    server_says(1, ID(CHANNEL_OPEN_OK));
    SERVER_GETS("1 basic.consume q c");
}

static void acks(uint64_t tag, bool multiple)
{
    client_says(1, (union method){.basic_ack = {.id = METHOD_BASIC_ACK, .delivery_tag = tag, .multiple = multiple}});
}

TEST(what_is_held_is_claimed)
{
    begin_holding(6);
    is_int(client.size, 0, "the client is not told of positions");
    acks(2, false);
    server_notes_number(RELAYED_SETTLED, 1); /* for good */
    acks(3, false);
    client_says(1, (union method){.basic_reject = {.id = METHOD_BASIC_REJECT, .delivery_tag = 4}});
    client_says(1, (union method){.basic_nack = {.id = METHOD_BASIC_NACK, .delivery_tag = 5, .requeue = true}});
    forget();
    another_with_consumer("claim c 11 13 14 16");
    server_notes(1, "\x04\0\x04\x0d", 4); /* all but 13, whose acknowledgement has been heard */
    SERVER_GETS("1 basic.reject 2", "heartbeat");
    is_done();
    nothing_came();
    server_delivers_at(4, 17);
    CLIENT_GETS("1 basic.deliver 7", "header");
    acks(3, false); /* nobody has that any more */
    SERVER_GETS("");
    acks(7, true); /* with what is held of before, by its numbers there */
    SERVER_GETS("1 basic.ack 1", "1 basic.ack 3", "1 basic.ack 4+");
    end();
}

TEST(what_is_held_goes_from_server_to_server)
{
    begin_holding(3);
    another_with_consumer("claim c 11 12 13");
    server_notes(1, "\x04\0\x03\x06", 4);
    SERVER_GETS("heartbeat");
    server_delivers_at(3, 20);
    forget();
    acks(0, true);
    SERVER_GETS("1 basic.ack 0+");
    another_with_consumer("claim c 12 13 20");
    server_notes(1, "\x04\0\x03\x07", 4);
    SERVER_GETS("1 basic.ack 1", "1 basic.ack 2", "1 basic.ack 3", "heartbeat");
    server_notes_number(RELAYED_SETTLED, 3);
    another_no_claims();
    end();
}

/* Half a message, of which the client sees nothing. */
static void server_delivers_half(uint32_t id, uint64_t tag)
{
    union method method = {.basic_deliver = {.id = METHOD_BASIC_DELIVER, .delivery_tag = tag, .consumer_tag = bytes_str("c")}};
    if (id == METHOD_BASIC_GET_OK)
        method = (union method){.basic_get_ok = {.id = METHOD_BASIC_GET_OK, .delivery_tag = tag}};
    server_says(1, method);
}

TEST(what_came_in_part_was_not_delivered)
{
    begin_holding(1);
    server_notes_number(RELAYED_POSITION, 12);
    server_delivers_half(METHOD_BASIC_DELIVER, 2);
    nothing_came();
    another_with_consumer("claim c 11");
    server_notes(1, "\x04\0\x01\x01", 4);
    SERVER_GETS("heartbeat");
    server_delivers_at(2, 12);
    CLIENT_GETS("1 basic.deliver 2", "header");
    client_says(1, (union method){.basic_get = {.id = METHOD_BASIC_GET, .queue = bytes_str("q")}});
    SERVER_GETS("1 basic.get");
    server_delivers_half(METHOD_BASIC_GET_OK, 3);
    nothing_came();
    another_with_consumer("claim c 11 12");
    server_notes(1, "\x04\0\x02\x03", 4);
    SERVER_GETS("1 basic.get", "heartbeat");
    server_delivers_at(3, 13);
    CLIENT_GETS("1 basic.deliver 3", "header");
    end();
}

TEST(a_server_that_says_nothing_of_positions_is_claimed_nothing_from)
{
    begin_holding(0);
    server_delivers(1, 1, 0);
    forget();
    another();
    SERVER_GETS("1 channel.open");
    server_says(1, ID(CHANNEL_OPEN_OK));
    SERVER_GETS("1 basic.consume q c");
    server_says(1, (union method){.basic_consume_ok = {.id = METHOD_BASIC_CONSUME_OK, .consumer_tag = bytes_str("c")}});
    SERVER_GETS("heartbeat");
    acks(1, false);
    nothing_came();
    end();
}

TEST(more_than_one_claim)
{
    uint8_t note[3 + RELAYED_CLAIMS_MAX / 8] = {RELAYED_CLAIMED};
    struct frame frame = {0};
    begin_holding(RELAYED_CLAIMS_MAX + 1);
    another();
    server_says(1, ID(CHANNEL_OPEN_OK));
    is_str(next(&server), "1 channel.open", "a channel");
    is_str(next(&server), "1 basic.consume q c", "a consumer");
    ssize_t size = frame_read(server.data, server.size, 4096, &frame);
    is_int(frame.payload.size, 1 + 2 + 2 + RELAYED_CLAIMS_MAX * 8, "as many as there may be");
    buffer_drop(&server, (size_t)size);
    SERVER_GETS("claim c 411");
    server_says(1, (union method){.basic_consume_ok = {.id = METHOD_BASIC_CONSUME_OK, .consumer_tag = bytes_str("c")}});
    put_u16(note + 1, RELAYED_CLAIMS_MAX);
    memset(note + 3, 0xff, sizeof(note) - 3);
    server_notes(1, note, sizeof(note));
    SERVER_GETS("");
    server_notes(1, "\x04\0\x01\x01", 4);
    SERVER_GETS("heartbeat");
    acks(RELAYED_CLAIMS_MAX + 1, false);
    SERVER_GETS("1 basic.ack 401");
    end();
}

TEST(a_consumer_that_is_cancelled_while_it_is_told)
{
    begin_holding(1);
    another();
    server_says(1, ID(CHANNEL_OPEN_OK));
    SERVER_GETS("1 channel.open", "1 basic.consume q c", "claim c 11");
    server_says(1, (union method){.basic_consume_ok = {.id = METHOD_BASIC_CONSUME_OK, .consumer_tag = bytes_str("c")}});
    server_says(1, (union method){.basic_cancel = {.id = METHOD_BASIC_CANCEL, .consumer_tag = bytes_str("c"), .nowait = true}});
    server_notes(1, "\x04\0\x01\0", 4);
    SERVER_GETS("heartbeat");
    CLIENT_GETS("1 basic.cancel c");
    another_no_consumer();
    end();
}

TEST(what_was_not_confirmed_is_published_again)
{
    begin();
    client_says(1, ID(CONFIRM_SELECT));
    server_says(1, ID(CONFIRM_SELECT_OK));
    for (int i = 0; i < 5; i++)
        client_publishes(1, (const char *const[]){"1", "2", "3", "4", "5"}[i], 1);
    server_says(1, (union method){.basic_ack = {.id = METHOD_BASIC_ACK, .delivery_tag = 2}});
    server_says(1, (union method){.basic_nack = {.id = METHOD_BASIC_NACK, .delivery_tag = 4}});
    CLIENT_GETS("1 confirm.select-ok", "1 basic.ack 2", "1 basic.nack 4");
    forget();
    another();
    SERVER_GETS("1 channel.open", "1 confirm.select");
    server_says(1, ID(CHANNEL_OPEN_OK));
    SERVER_GETS("1 basic.publish 1", "header", "body 1", "1 basic.publish 3", "header", "body 1", "1 basic.publish 5",
                "header", "body 1", "heartbeat");
    client_publishes(1, "6", 0);
    client_publishes(1, "7", 0);
    forget();
    server_says(1, (union method){.basic_ack = {.id = METHOD_BASIC_ACK, .delivery_tag = 2, .multiple = true}});
    server_says(1, (union method){.basic_nack = {.id = METHOD_BASIC_NACK, .delivery_tag = 5}});
    server_says(1, (union method){.basic_ack = {.id = METHOD_BASIC_ACK, .delivery_tag = 4, .multiple = true}});
    CLIENT_GETS("1 basic.ack 3+", "1 basic.nack 7", "1 basic.ack 6+");
    another(); /* and once more: nothing is left to be said again */
    SERVER_GETS("1 channel.open", "1 confirm.select");
    server_says(1, ID(CHANNEL_OPEN_OK));
    SERVER_GETS("heartbeat");
    end();
}

TEST(what_is_kept_has_a_limit)
{
    begin();
    client_says(1, ID(CONFIRM_SELECT));
    for (int i = 0; i < 9; i++)
        client_publishes(1, "k", RESUME_MESSAGE_BYTES - 1);
    forget();
    ok(kept <= RESUME_KEPT_BYTES, "%zu bytes are kept", kept);
    ok(resume_lost(resume) != NULL, "not all of it could be said again");
    server_says(1, (union method){.basic_ack = {.id = METHOD_BASIC_ACK, .delivery_tag = 8, .multiple = true}});
    is_int(kept, 0, "of what is confirmed nothing is");
    end();
    begin();
    kept = RESUME_ALL_BYTES;
    client_says(1, ID(CONFIRM_SELECT));
    client_publishes(1, "k", 1);
    server_delivers_at(1, 1);
    is_int(kept, RESUME_ALL_BYTES, "others keep all there may be");
    kept = 0;
    end();
}

TEST(channels_that_are_opened_at_once)
{
    resume = resume_new(&ops, NULL, &kept);
    resume_client_input(resume, bytes_of(protocol_header, PROTOCOL_HEADER_SIZE));
    client_says(0, ID(CONNECTION_START_OK));
    client_says(0, (union method){.connection_tune_ok = {
                                      .id = METHOD_CONNECTION_TUNE_OK, .channel_max = 7, .frame_max = 131072}});
    client_says(0, ID(CONNECTION_OPEN));
    client_says(1, ID(CHANNEL_OPEN));
    server_says(0, ID(CONNECTION_START));
    server_says(0, ID(CONNECTION_TUNE));
    server_says(0, ID(CONNECTION_OPEN_OK));
    forget();
    another();
    SERVER_GETS("1 channel.open", "heartbeat");
    end();
}

TEST(what_was_asked_is_asked_again_in_its_order)
{
    begin();
    client_says(1, (union method){.queue_declare = {.id = METHOD_QUEUE_DECLARE, .queue = bytes_str("heard")}});
    server_says(1, (union method){.queue_declare_ok = {.id = METHOD_QUEUE_DECLARE_OK, .queue = bytes_str("heard")}});
    client_says(1, ID(CONFIRM_SELECT));
    client_says(1, (union method){.queue_bind = {.id = METHOD_QUEUE_BIND, .routing_key = bytes_str("first")}});
    client_publishes(1, "second", 0);
    client_says(1, (union method){.queue_declare = {.id = METHOD_QUEUE_DECLARE, .queue = bytes_str("third"), .nowait = true}});
    client_says(1, (union method){.queue_bind = {.id = METHOD_QUEUE_BIND, .routing_key = bytes_str("fourth")}});
    server_says(1, ID(CONFIRM_SELECT_OK));
    client_says(2, ID(CHANNEL_OPEN));
    forget();
    another();
    SERVER_GETS("1 channel.open", "1 confirm.select");
    server_says(1, ID(CHANNEL_OPEN_OK));
    SERVER_GETS("1 queue.bind heard first", "1 basic.publish second", "header", "1 queue.declare third",
                "1 queue.bind third fourth", "2 channel.open", "heartbeat");
    is_done();
    server_says(2, ID(CHANNEL_OPEN_OK));
    server_says(1, ID(QUEUE_BIND_OK));
    server_says(1, ID(QUEUE_BIND_OK));
    CLIENT_GETS("2 channel.open-ok", "1 queue.bind-ok", "1 queue.bind-ok");
    client_says(1, (union method){.queue_bind = {.id = METHOD_QUEUE_BIND, .routing_key = bytes_str("fifth")}});
    SERVER_GETS("1 queue.bind third fifth");
    server_says(1, ID(QUEUE_BIND_OK));
    client_says(1, ID(QUEUE_DECLARE));
    client_says(1, (union method){.queue_bind = {.id = METHOD_QUEUE_BIND, .routing_key = bytes_str("sixth")}});
    SERVER_GETS("1 queue.declare ", "1 queue.bind  sixth");
    end();
}

/* What is asked again may have to wait there, and what comes behind it would wait, too. */
TEST(all_is_claimed_before_anything_is_asked_again)
{
    begin_holding(1);
    client_says(2, ID(CHANNEL_OPEN));
    server_says(2, ID(CHANNEL_OPEN_OK));
    client_says(2, (union method){.queue_declare = {.id = METHOD_QUEUE_DECLARE, .queue = bytes_str("asked")}});
    client_says(3, ID(CHANNEL_OPEN));
    forget();
    another();
    SERVER_GETS("1 channel.open", "2 channel.open");
    server_says(2, ID(CHANNEL_OPEN_OK));
    SERVER_GETS("");
    server_says(1, ID(CHANNEL_OPEN_OK));
    SERVER_GETS("1 basic.consume q c", "claim c 11");
    server_says(1, (union method){.basic_consume_ok = {.id = METHOD_BASIC_CONSUME_OK, .consumer_tag = bytes_str("c")}});
    SERVER_GETS("");
    server_notes(1, "\x04\0\x01\x01", 4);
    SERVER_GETS("2 queue.declare asked", "3 channel.open", "heartbeat");
    is_done();
    end();
}

TEST(exclusive_queues_are_declared_again)
{
    begin();
    client_says(1, (union method){.queue_declare = {.id = METHOD_QUEUE_DECLARE, .exclusive = true}});
    server_says(1, (union method){.queue_declare_ok = {.id = METHOD_QUEUE_DECLARE_OK, .queue = bytes_str("amq.gen-1")}});
    client_says(1, (union method){.queue_bind = {.id = METHOD_QUEUE_BIND, .routing_key = bytes_str("k"), .nowait = true}});
    client_says(1, (union method){.queue_bind = {.id = METHOD_QUEUE_BIND, .routing_key = bytes_str("refused"), .nowait = true}});
    client_says(1, (union method){.queue_bind = {.id = METHOD_QUEUE_BIND, .routing_key = bytes_str("no more"), .nowait = true}});
    client_says(1, (union method){.queue_unbind = {.id = METHOD_QUEUE_UNBIND, .routing_key = bytes_str("no more")}});
    server_says(1, ID(QUEUE_UNBIND_OK));
    client_says(1, (union method){.queue_declare = {
                                      .id = METHOD_QUEUE_DECLARE, .queue = bytes_str("x"), .exclusive = true, .nowait = true}});
    client_says(1, (union method){.queue_delete = {.id = METHOD_QUEUE_DELETE, .queue = bytes_str("x"), .nowait = true}});
    client_says(1, (union method){.queue_bind = {
                                      .id = METHOD_QUEUE_BIND, .queue = bytes_str("of others"), .nowait = true}});
    client_says(1, ID(BASIC_QOS)); /* the answer says that all before it was heard */
    server_says(1, ID(BASIC_QOS_OK));
    forget();
    another();
    SERVER_GETS("2 channel.open");
    server_says(2, ID(CHANNEL_OPEN_OK));
    SERVER_GETS("2 queue.declare amq.gen-1");
    server_says(2, (union method){.queue_declare_ok = {.id = METHOD_QUEUE_DECLARE_OK}});
    SERVER_GETS("2 queue.bind amq.gen-1 k");
    server_says(2, ID(QUEUE_BIND_OK));
    SERVER_GETS("2 queue.bind amq.gen-1 refused");
    server_says(2, (union method){.channel_close = {.id = METHOD_CHANNEL_CLOSE, .reply_code = 404}});
    SERVER_GETS("2 channel.close-ok", "2 channel.open");
    server_says(2, ID(CHANNEL_OPEN_OK));
    SERVER_GETS("2 channel.close");
    server_says(2, ID(CHANNEL_CLOSE_OK));
    SERVER_GETS("1 channel.open");
    server_says(1, ID(CHANNEL_OPEN_OK));
    SERVER_GETS("heartbeat");
    is_int(client.size, 0, "the client hears nothing of it");
    end();
}

TEST(channels_that_are_being_closed_are_closed)
{
    begin();
    for (uint16_t number = 2; number <= 3; number++) {
        client_says(number, ID(CHANNEL_OPEN));
        server_says(number, ID(CHANNEL_OPEN_OK));
    }
    client_says(2, ID(CHANNEL_CLOSE));
    server_says(3, ID(CHANNEL_CLOSE));
    forget();
    another();
    CLIENT_GETS("2 channel.close-ok");
    SERVER_GETS("1 channel.open");
    server_says(1, ID(CHANNEL_OPEN_OK));
    SERVER_GETS("heartbeat");
    client_says(3, ID(BASIC_QOS));
    client_publishes(3, "nobody hears that", 1);
    client_says(3, ID(CHANNEL_CLOSE_OK));
    is_int(server.size, 0, "the server has no such channel");
    client_says(3, ID(CHANNEL_OPEN));
    SERVER_GETS("3 channel.open");
    end();
}

TEST(a_transaction_that_is_under_way_ends_the_connection)
{
    begin();
    client_says(1, ID(TX_SELECT));
    server_says(1, ID(TX_SELECT_OK));
    client_publishes(1, "k", 1);
    ok(resume_lost(resume) != NULL, "it has a message");
    client_says(1, ID(TX_COMMIT));
    ok(resume_lost(resume) != NULL, "nobody knows whether it was committed");
    server_says(1, ID(TX_COMMIT_OK));
    client_says(1, (union method){.basic_ack = {.id = METHOD_BASIC_ACK, .delivery_tag = 1}});
    ok(resume_lost(resume) != NULL, "it has an acknowledgement");
    client_says(1, ID(TX_ROLLBACK));
    server_says(1, ID(TX_ROLLBACK_OK));
    forget();
    another();
    SERVER_GETS("1 channel.open");
    server_says(1, ID(CHANNEL_OPEN_OK));
    SERVER_GETS("1 tx.select");
    server_says(1, ID(TX_SELECT_OK));
    SERVER_GETS("heartbeat");
    end();
}

TEST(a_server_that_goes_in_good_order_is_not_heard)
{
    const union method shutdown = {.connection_close = {
                                       .id = METHOD_CONNECTION_CLOSE,
                                       .reply_code = 320,
                                       .reply_text = bytes_str("CONNECTION_FORCED - broker forced connection closure "
                                                               "with reason 'shutdown'")}};
    begin();
    server_says(0, (union method){.connection_blocked = {.id = METHOD_CONNECTION_BLOCKED}});
    forget();
    server_says(0, shutdown);
    SERVER_GETS("0 connection.close-ok");
    ok(resume_is_telling(resume), "the client waits");
    server_delivers(1, 1, 1);
    is_int(client.size, 0, "nothing more counts");
    another();
    CLIENT_GETS("0 connection.unblocked");
    end();
    begin();
    client_says(1, ID(TX_SELECT));
    client_publishes(1, "k", 1);
    forget();
    server_says(0, shutdown);
    CLIENT_GETS("0 connection.close");
    end();
    begin();
    server_says(0, (union method){.connection_close = {.id = METHOD_CONNECTION_CLOSE,
                                                       .reply_code = 320,
                                                       .reply_text = bytes_str("CONNECTION_FORCED - go away")}});
    CLIENT_GETS("0 connection.close");
    ok(resume_lost(resume) != NULL, "an operator has closed it");
    end();
}

TEST(who_is_refused_by_another_server_hears_why)
{
    begin();
    ok(resume_lost(resume) == NULL, "another one can go on");
    resume_begin(resume);
    server_says(0, ID(CONNECTION_START));
    server_says(0, (union method){.connection_close = {.id = METHOD_CONNECTION_CLOSE, .reply_code = 403}});
    ok(resume_is_ending(resume), "nothing more has to be said of its end");
    CLIENT_GETS("0 connection.close");
    is_done();
    forget();
    client_says(0, ID(CONNECTION_CLOSE_OK));
    SERVER_GETS("0 connection.close-ok");
    ok(resume_lost(resume) != NULL, "and that is the end");
    end();
}

TEST(servers_may_go_while_they_are_told)
{
    begin();
    client_says(1, ID(CONFIRM_SELECT));
    client_publishes(1, "k", 0);
    forget();
    another();
    forget();
    another();
    SERVER_GETS("1 channel.open", "1 confirm.select");
    server_says(1, ID(CHANNEL_OPEN_OK));
    forget();
    another();
    SERVER_GETS("1 channel.open", "1 confirm.select");
    server_says(1, ID(CHANNEL_OPEN_OK));
    SERVER_GETS("1 confirm.select", "1 basic.publish k", "header", "heartbeat");
    server_says(1, (union method){.basic_ack = {.id = METHOD_BASIC_ACK, .delivery_tag = 1}});
    CLIENT_GETS("1 basic.ack 1");
    end();
}

int main(void)
{
    RUN(all_is_passed_whatever_the_pieces);
    RUN(what_is_large_passes_as_it_comes);
    RUN(what_is_no_amqp_is_passed);
    RUN(a_connection_that_was_not_open_ends);
    RUN(a_channel_is_told_with_its_modes_limits_and_consumers);
    RUN(a_consumer_whose_queue_is_gone_is_cancelled);
    RUN(deliveries_go_on_by_their_numbers);
    RUN(what_is_held_is_claimed);
    RUN(what_is_held_goes_from_server_to_server);
    RUN(what_came_in_part_was_not_delivered);
    RUN(a_server_that_says_nothing_of_positions_is_claimed_nothing_from);
    RUN(more_than_one_claim);
    RUN(a_consumer_that_is_cancelled_while_it_is_told);
    RUN(what_was_not_confirmed_is_published_again);
    RUN(what_is_kept_has_a_limit);
    RUN(channels_that_are_opened_at_once);
    RUN(what_was_asked_is_asked_again_in_its_order);
    RUN(all_is_claimed_before_anything_is_asked_again);
    RUN(exclusive_queues_are_declared_again);
    RUN(channels_that_are_being_closed_are_closed);
    RUN(a_transaction_that_is_under_way_ends_the_connection);
    RUN(a_server_that_goes_in_good_order_is_not_heard);
    RUN(who_is_refused_by_another_server_hears_why);
    RUN(servers_may_go_while_they_are_told);
    return done();
}
