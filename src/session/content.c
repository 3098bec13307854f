/* The names of basic.publish are needed when the header has come and the message can be made. Mostly
 * that is in the same input, so they are borrowed from it; when it is not, content_save copies them.
 * The header tells the size of the body: a body that is too large is refused then, before any memory
 * is taken. The memory of a body is taken then, too, but for a large one: its message grows as the
 * body comes, so that to announce much costs nothing. */
#include "session/content.h"

#include "base/mem.h"
#include "base/planted.h"
#include "session/publishing.h"

enum { LARGE_BODY = 1024 * 1024 };

void content_begin(struct channel *channel, const struct method_basic_publish *publish)
{
    struct content *content = &channel->content;
    content->state = CONTENT_HEADER;
    content->mandatory = publish->mandatory;
    content->exchange = publish->exchange;
    content->routing_key = publish->routing_key;
    channel->connection->borrowing = channel;
}

void content_save(struct content *content)
{
    size_t size = content->exchange.size;
    content->saved = mem_alloc(size + content->routing_key.size + 1);
    if (size)
        memcpy(content->saved, content->exchange.data, size);
    if (content->routing_key.size)
        memcpy(content->saved + size, content->routing_key.data, content->routing_key.size);
    content->exchange.data = content->saved;
    content->routing_key.data = content->saved + size;
}

static void forget_names(struct channel *channel)
{
    if (channel->connection->borrowing == channel)
        channel->connection->borrowing = NULL;
    mem_free(channel->content.saved);
    channel->content.saved = NULL;
}

static bool check_size(struct channel *channel, uint64_t size, struct error *error)
{
    uint64_t max = channel_server(channel)->options.message_bytes_max;
    if (size > CONTENT_HARD_MAX)
        return error_set(error, REPLY_FRAME_ERROR, "content body size %llu exceeds the maximum %d",
                         (unsigned long long)size, CONTENT_HARD_MAX);
    if (size <= max)
        return true;
    return error_set(error, REPLY_PRECONDITION_FAILED,
                     "message size %llu is larger than configured max size %llu",
                     (unsigned long long)size, (unsigned long long)max);
}

static bool check_properties(enum properties_result result, struct error *error)
{
    if (result == PROPERTIES_MALFORMED)
        return error_set(error, REPLY_FRAME_ERROR, "malformed content properties");
    if (result == PROPERTIES_BAD_TABLE)
        return error_set(error, REPLY_SYNTAX_ERROR, "malformed headers table");
    return true;
}

/* What the broker wants to know of the properties before anything else is looked at. */
static void note_properties(struct content *content, const struct properties_brief *brief, bool is_said_again)
{
    content->is_plain = !(brief->flags & PUBLISHING_LOOKS_AT);
    if (brief->delivery_mode == 2)
        content->message->flags |= MESSAGE_PERSISTENT;
    content->message->priority = brief->priority;
    if (is_said_again && !planted(PLANTED_SAID_AGAIN_UNMARKED))
        content->message->flags |= MESSAGE_SAID_AGAIN;
}

bool content_header(struct channel *channel, struct bytes payload, struct error *error)
{
    struct content *content = &channel->content;
    struct content_header header;
    struct properties_brief brief = {0};
    if (!content_header_read(payload, &header))
        return error_set(error, REPLY_FRAME_ERROR, "malformed content header");
    if (header.class_id != CONTENT_CLASS_BASIC)
        return error_set(error, REPLY_UNEXPECTED_FRAME,
                         "expected content header for class 60, got one for class %u instead",
                         header.class_id);
    if (header.weight != 0)
        return error_set(
            error, REPLY_UNEXPECTED_FRAME,
            "expected content header for class 60, got non content header frame instead");
    if (!check_size(channel, header.body_size, error) ||
        !check_properties(properties_scan(header.properties, &brief), error))
        return false;
    content->body_size = (uint32_t)header.body_size;
    content->message =
        message_new(channel_broker(channel)->pool, content->exchange, content->routing_key,
                    header.properties,
                    content->body_size > LARGE_BODY ? LARGE_BODY : content->body_size);
    content->body_left = (uint32_t)header.body_size;
    content->state = CONTENT_BODY;
    channel->connection->bodies += content->body_left > 0;
    forget_names(channel);
    note_properties(content, &brief, channel->connection->is_saying_again);
    return true;
}

/* Makes room in a large message for more of its body. */
static void make_room(struct channel *channel, uint32_t size)
{
    struct content *content = &channel->content;
    uint64_t needed = (uint64_t)content->message->body_filled + size;
    uint64_t room = content->message->body_size;
    if (needed <= room)
        return;
    room = needed > 2 * room ? needed : 2 * room;
    if (room > content->body_size)
        room = content->body_size;
    content->message =
        message_resize(channel_broker(channel)->pool, content->message, (uint32_t)room);
}

bool content_body(struct channel *channel, struct bytes part, struct error *error)
{
    struct content *content = &channel->content;
    if (part.size > content->body_left)
        return error_set(error, REPLY_FRAME_ERROR,
                         "content body frame exceeds remaining content size");
    if (part.size && part.size == content->body_left)
        channel->connection->bodies--;
    content->body_left -= (uint32_t)part.size;
    if (__builtin_expect(content->body_size > LARGE_BODY, 0))
        make_room(channel, (uint32_t)part.size);
    message_fill(content->message, part);
    return true;
}

struct message *content_take(struct content *content)
{
    struct message *message = content->message;
    content->message = NULL;
    content->state = CONTENT_NONE;
    return message;
}

void content_free(struct channel *channel)
{
    struct content *content = &channel->content;
    forget_names(channel);
    channel->connection->bodies -= content->body_left > 0;
    if (content->message)
        message_unref(channel_broker(channel)->pool, content->message);
    *content = (struct content){0};
}
