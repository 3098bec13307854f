/* A body begins with 16 bytes that tell the campaign and the message; numbers from its seed fill
 * the rest. Different numbers of one message are taken from its hash with different salts. */
#include "message.h"

#include <stdio.h>

#include "amqp/properties.h"
#include "amqp/table.h"

enum salt { SALT_ROUTE = 1, SALT_SIZE, SALT_BODY, SALT_PROPERTIES };

const char *const queue_names[QUEUES] = {
    "kill.a", "kill.b", "kill.c", "kill.d", "kill.auto", "kill.deep",
};
const char fanout_name[] = "kill.both";

static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t hash(const struct campaign *campaign, struct message_id id, enum salt salt)
{
    uint64_t z = mix(campaign->seed + (uint64_t)salt * 0x9e3779b97f4a7c15u);
    z = mix(z ^ id.sequence);
    return mix(z + id.publisher * 0xd1342543de82ef95u);
}

void message_route(const struct campaign *campaign, struct message_id id, struct route *route)
{
    /* Of a hundred; the rest goes to the exchange. Where messages are large, few are kept for long,
     * so that files are mostly dead. */
    static const uint8_t normal[QUEUES] = {18, 15, 10, 10, 12, 20};
    static const uint8_t bulky[QUEUES] = {18, 15, 10, 10, 29, 5};
    const uint8_t *shares = campaign->is_bulky ? bulky : normal;
    uint64_t draw = hash(campaign, id, SALT_ROUTE) % 100;
    for (uint8_t i = 0; i < QUEUES; i++) {
        if (draw < shares[i]) {
            *route = (struct route){"", queue_names[i], 1, {i, 0}};
            return;
        }
        draw -= shares[i];
    }
    *route = (struct route){fanout_name, "", 2, {QUEUE_C, QUEUE_D}};
}

size_t message_body_size(const struct campaign *campaign, struct message_id id)
{
    static const struct {
        uint8_t share;
        uint32_t max;
    } normal[] = {{50, 256}, {30, 4096}, {15, 16384}, {5, 65536}},
      bulky[] = {{30, 256}, {30, 4096}, {20, 16384}, {20, 65536}};
    uint64_t draw = hash(campaign, id, SALT_SIZE);
    uint64_t share = draw % 100;
    size_t i = 0;
    for (; i < 3 && share >= (campaign->is_bulky ? bulky : normal)[i].share; i++)
        share -= (campaign->is_bulky ? bulky : normal)[i].share;
    uint32_t span = normal[i].max - BODY_BYTES_MIN + 1;
    return BODY_BYTES_MIN + (draw >> 32) % span;
}

static uint32_t campaign_tag(const struct campaign *campaign)
{
    return (uint32_t)mix(campaign->seed);
}

void message_body(const struct campaign *campaign, struct message_id id, uint8_t *body)
{
    size_t size = message_body_size(campaign, id);
    uint32_t tag = campaign_tag(campaign);
    memcpy(body, &tag, 4);
    memcpy(body + 4, &id.publisher, 4);
    memcpy(body + 8, &id.sequence, 8);
    uint64_t state = hash(campaign, id, SALT_BODY) | 1;
    for (size_t at = BODY_BYTES_MIN; at < size; at += 8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        memcpy(body + at, &state, size - at < 8 ? size - at : 8);
    }
}

bool message_identify(const struct campaign *campaign, struct bytes body, struct message_id *id)
{
    uint32_t tag;
    if (body.size < BODY_BYTES_MIN)
        return false;
    memcpy(&tag, body.data, 4);
    memcpy(&id->publisher, body.data + 4, 4);
    memcpy(&id->sequence, body.data + 8, 8);
    return tag == campaign_tag(campaign);
}

/* One entry of a table: a name, and a long string. */
static size_t make_headers(uint64_t draw, char headers[64])
{
    struct writer writer = writer_of(headers, 64);
    writer_shortstr(&writer, bytes_str("x-draw"));
    writer_u8(&writer, 'S');
    char text[24];
    snprintf(text, sizeof(text), "%llx", (unsigned long long)(draw >> (draw % 60)));
    writer_longstr(&writer, bytes_str(text));
    return (size_t)((char *)writer.at - headers);
}

size_t message_properties(const struct campaign *campaign, struct message_id id, uint8_t *data)
{
    uint64_t draw = hash(campaign, id, SALT_PROPERTIES);
    char message_id[48], headers[64];
    snprintf(message_id, sizeof(message_id), "%u/%llu", id.publisher,
             (unsigned long long)id.sequence);
    struct properties properties = {
        .flags = (uint16_t)(PROPERTY_DELIVERY_MODE |
                            (draw & (PROPERTY_CONTENT_TYPE | PROPERTY_HEADERS | PROPERTY_PRIORITY |
                                     PROPERTY_MESSAGE_ID | PROPERTY_TIMESTAMP | PROPERTY_APP_ID))),
        .delivery_mode = 2,
        .content_type = bytes_str("application/octet-stream"),
        .priority = (uint8_t)(draw >> 16 & 7),
        .message_id = bytes_str(message_id),
        .timestamp = draw >> 20,
        .app_id = bytes_str("kill"),
    };
    properties.headers = bytes_of(headers, make_headers(draw, headers));
    struct writer writer = writer_of(data, PROPERTIES_BYTES_MAX);
    properties_write(&writer, &properties);
    return (size_t)(writer.at - data);
}

size_t message_properties_before(struct bytes bytes, uint8_t *data)
{
    struct properties properties;
    struct buffer headers = {0};
    struct table_writer table;
    struct field field;
    if (bytes.size > PROPERTIES_BYTES_MAX || properties_read(bytes, &properties) != PROPERTIES_OK)
        return 0;
    if (!properties_have(&properties, PROPERTY_HEADERS))
        properties.headers = bytes_of(NULL, 0);
    table_writer_init(&table, &headers);
    for (struct reader walk = reader_of(properties.headers); table_next(&walk, &field);)
        if (!bytes_equal_str(field.name, "x-delivery-count"))
            table_add_field(&table, &field);
    properties.headers = buffer_bytes(&headers);
    if (headers.size == 0)
        properties.flags &= (uint16_t)~PROPERTY_HEADERS;
    struct writer writer = writer_of(data, PROPERTIES_BYTES_MAX);
    properties_write(&writer, &properties);
    buffer_free(&headers);
    return (size_t)(writer.at - data);
}
