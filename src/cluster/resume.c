/* See resume.h. This file has the bytes, and what is of the connection as a whole. */
#include <stdlib.h>

#include "amqp/properties.h"
#include "amqp/reply.h"
#include "amqp/table.h"
#include "base/mem.h"
#include "cluster/resume_internal.h"

enum {
    SPARE_BYTES = 2048,
    AT_ONCE_BYTES = 16384, /* of a body that has been announced, and may never come */
};

static const char about_to_end[] = "it was about to end"; /* see resume_is_ending */

/* ---- frames ---- */

void resume_frame(struct buffer *buffer, uint16_t channel, const union method *method)
{
    size_t size = frame_method_size(method);
    struct writer writer = writer_of(buffer_room(buffer, size), size);
    frame_write_method(&writer, channel, method);
    buffer_added(buffer, size);
}

static void say(struct resume *resume, void (*to)(void *context, struct bytes bytes), uint16_t channel,
                const union method *method)
{
    struct buffer frame = {0};
    resume_frame(&frame, channel, method);
    to(resume->context, buffer_bytes(&frame));
    buffer_free(&frame);
}

void resume_to_client(struct resume *resume, uint16_t channel, const union method *method)
{
    say(resume, resume->ops->to_client, channel, method);
}

void resume_to_server(struct resume *resume, uint16_t channel, const union method *method)
{
    say(resume, resume->ops->to_server, channel, method);
}

void resume_method(const struct buffer *frame, union method *method)
{
    struct bytes payload = bytes_of(frame->data + FRAME_HEADER_SIZE, frame->size - FRAME_OVERHEAD);
    if (method_read(payload, method) != METHOD_OK)
        abort(); /* it was read before it was kept */
}

static void pass_to_client(struct resume *resume, struct bytes bytes)
{
    if (bytes.size)
        resume->ops->to_client(resume->context, bytes);
}

static void pass_to_server(struct resume *resume, struct bytes bytes)
{
    if (bytes.size)
        resume->ops->to_server(resume->context, bytes);
}

static void pass_on_to_server(struct resume *resume, struct bytes bytes)
{
    if (!resume->is_deaf)
        pass_to_server(resume, bytes);
}

/* What it is about is not understood. Where numbers are translated the client is not passed any further: the server,
 * which gets what was not understood, ends the connection. */
static void give_up(struct resume *resume)
{
    resume->is_plain = true;
    for (size_t i = 0; i < resume->channel_count; i++) {
        struct resume_channel *channel = resume->channels[i];
        if (!channel)
            continue;
        pass_to_server(resume, buffer_bytes(&channel->from_client.whole));
        pass_to_client(resume, buffer_bytes(&channel->from_server.whole));
        resume->is_deaf |= channel->is_resumed;
        resume_channel_free(channel);
    }
    resume_names_free(resume);
}

/* ---- messages ---- */

enum gathered { GATHER_MORE, GATHER_WHOLE, GATHER_PASS, GATHER_WRONG };

/* One more frame of a message. Where it passes, *before is what was held of it. */
static enum gathered gather(struct resume_content *content, const struct frame *frame, struct bytes bytes,
                            struct buffer *before)
{
    struct content_header header;
    if (content->state == CONTENT_NONE) {
        content->state = CONTENT_HEADER;
    } else if (content->state == CONTENT_HEADER) {
        if (frame->type != FRAME_HEADER || !content_header_read(frame->payload, &header))
            return GATHER_WRONG;
        content->left = header.body_size;
        content->state = CONTENT_BODY;
        if (content->left > RESUME_MESSAGE_BYTES) {
            content->passes = true;
            *before = content->whole;
            content->whole = (struct buffer){0};
        } else if (content->left <= AT_ONCE_BYTES) {
            buffer_room(&content->whole, bytes.size + FRAME_OVERHEAD + (size_t)content->left);
        }
    } else {
        if (frame->type != FRAME_BODY || frame->payload.size > content->left)
            return GATHER_WRONG;
        content->left -= frame->payload.size;
    }
    bool is_whole = content->state == CONTENT_BODY && content->left == 0;
    if (is_whole)
        content->state = CONTENT_NONE;
    if (content->passes) {
        content->passes = !is_whole;
        return GATHER_PASS;
    }
    buffer_add(&content->whole, bytes.data, bytes.size);
    return is_whole ? GATHER_WHOLE : GATHER_MORE;
}

/* One more frame of a message from either side. */
static void take_content(struct resume_channel *channel, bool is_published, const struct frame *frame,
                         struct bytes bytes)
{
    struct resume *resume = channel->resume;
    struct resume_content *content = is_published ? &channel->from_client : &channel->from_server;
    void (*pass)(struct resume *resume, struct bytes bytes) = is_published ? pass_to_server : pass_to_client;
    struct buffer before = {0}, none = {0};
    switch (gather(content, frame, bytes, &before)) {
    case GATHER_MORE:
        return;
    case GATHER_WHOLE:
        pass(resume, buffer_bytes(&content->whole));
        if (is_published)
            resume_channel_published(channel, &content->whole);
        else
            resume_channel_delivered_all(channel);
        buffer_empty(&content->whole, SPARE_BYTES);
        return;
    case GATHER_PASS:
        pass(resume, buffer_bytes(&before));
        if (is_published && before.size)
            resume_channel_published(channel, &none);
        if (!is_published && content->state == CONTENT_NONE)
            resume_channel_delivered_all(channel);
        buffer_free(&before);
        break;
    case GATHER_WRONG:
        give_up(resume);
        break;
    }
    pass(resume, bytes);
}

static void client_content(struct resume_channel *channel, const struct frame *frame, struct bytes bytes)
{
    take_content(channel, true, frame, bytes);
}

static void server_content(struct resume_channel *channel, const struct frame *frame, struct bytes bytes)
{
    take_content(channel, false, frame, bytes);
}

/* ---- what the client says ---- */

/* A protocol's first bytes, of the client. */
static struct bytes take_header(struct resume *resume, struct bytes bytes)
{
    size_t size = bytes.size;
    buffer_add(&resume->client_partial, bytes.data, size);
    struct buffer *held = &resume->client_partial;
    enum protocol_check check = protocol_header_check(held->data, held->size);
    if (check == PROTOCOL_NEEDS_MORE)
        return bytes_of(NULL, 0);
    if (check != PROTOCOL_0_9_1 && check != PROTOCOL_0_9) {
        resume->is_plain = true;
        return bytes_of(NULL, 0);
    }
    pass_to_server(resume, bytes_of(held->data, PROTOCOL_HEADER_SIZE));
    size_t rest = held->size - PROTOCOL_HEADER_SIZE;
    buffer_free(held);
    resume->state = RESUME_STARTING;
    return bytes_of(bytes.data + (size - rest), rest);
}

static void keep(struct buffer *buffer, struct bytes frame)
{
    buffer_free(buffer);
    buffer_add(buffer, frame.data, frame.size);
}

static bool is_told_of_cancels(const struct method_connection_start_ok *start_ok)
{
    struct bytes capabilities;
    bool is_told = false;
    return table_find_table(start_ok->client_properties, "capabilities", &capabilities) &&
           table_find_bool(capabilities, "consumer_cancel_notify", &is_told) && is_told;
}

static void take_limits(struct resume *resume, const struct method_connection_tune_ok *tune_ok)
{
    resume->channel_max = tune_ok->channel_max ? tune_ok->channel_max : UINT16_MAX;
    resume->is_plain = tune_ok->frame_max == 0 || tune_ok->frame_max > RESUME_FRAME_BYTES;
}

static void client_connection(struct resume *resume, const union method *method, struct bytes frame)
{
    switch (method->id) {
    case METHOD_CONNECTION_START_OK:
        keep(&resume->start_ok, frame);
        resume->is_cancel_told = is_told_of_cancels(&method->connection_start_ok);
        break;
    case METHOD_CONNECTION_SECURE_OK:
        keep(&resume->secure_ok, frame);
        if (resume->secured++)
            resume->never = "it was challenged more than once";
        break;
    case METHOD_CONNECTION_TUNE_OK:
        keep(&resume->tune_ok, frame);
        take_limits(resume, &method->connection_tune_ok);
        break;
    case METHOD_CONNECTION_OPEN:
        keep(&resume->open, frame);
        break;
    case METHOD_CONNECTION_CLOSE:
        resume->never = about_to_end;
        break;
    case METHOD_CONNECTION_UPDATE_SECRET:
        resume->never = "its secret was another one by then";
        break;
    default:
        break;
    }
    pass_to_server(resume, frame);
}

static void client_method(struct resume *resume, const struct frame *frame, struct bytes bytes)
{
    struct resume_channel *channel = resume_channel(resume, frame->channel);
    union method method;
    if (method_read(frame->payload, &method) != METHOD_OK) {
        give_up(resume);
        pass_to_server(resume, bytes);
        return;
    }
    if (frame->channel == 0) {
        client_connection(resume, &method, bytes);
        return;
    }
    if (method.id == METHOD_CHANNEL_OPEN && !channel)
        channel = resume_channel_new(resume, frame->channel);
    if (!channel) {
        pass_to_server(resume, bytes);
        return;
    }
    if (channel->state == RESUME_CHANNEL_GONE) {
        if (method.id == METHOD_CHANNEL_CLOSE_OK)
            resume_channel_free(channel);
        return;
    }
    if (method.id == METHOD_BASIC_PUBLISH && channel->state <= RESUME_CHANNEL_OPEN) {
        client_content(channel, frame, bytes);
        return;
    }
    if (!resume_channel_said(channel, &method, bytes))
        pass_to_server(resume, bytes);
}

static void from_client(struct resume *resume, const struct frame *frame, struct bytes bytes)
{
    if (frame->type == FRAME_METHOD) {
        struct resume_channel *channel = resume_channel(resume, frame->channel);
        if (!channel || channel->from_client.state == CONTENT_NONE) {
            client_method(resume, frame, bytes);
            return;
        }
    }
    struct resume_channel *channel = frame->channel ? resume_channel(resume, frame->channel) : NULL;
    if (channel && channel->state == RESUME_CHANNEL_GONE)
        return;
    if (channel && channel->from_client.state != CONTENT_NONE)
        client_content(channel, frame, bytes);
    else
        pass_to_server(resume, bytes);
}

/* ---- what the server says ---- */

/* A delivery begins, whose number is translated where it stands. */
static void begin_delivery(struct resume_channel *channel, const union method *method, const struct frame *frame,
                           struct bytes bytes)
{
    const struct method_basic_deliver *deliver = &method->basic_deliver;
    bool is_delivery = method->id == METHOD_BASIC_DELIVER;
    struct bytes consumer = is_delivery ? deliver->consumer_tag : bytes_of(NULL, 0);
    size_t at = FRAME_HEADER_SIZE + 4 + (is_delivery ? 1 + consumer.size : 0);
    uint64_t given = is_delivery ? deliver->delivery_tag : method->basic_get_ok.delivery_tag;
    uint64_t tag = resume_channel_delivered(channel, given, consumer);
    uint64_t written = htobe64(tag);
    channel->delivering = method->id;
    server_content(channel, frame, bytes);
    memcpy(channel->from_server.whole.data + at, &written, sizeof(written));
}

/* Why another server cannot go on; NULL: it can. */
static const char *why_not(struct resume *resume)
{
    if (resume->is_plain)
        return "it has frames that are too large, or no AMQP";
    if (resume->never)
        return resume->never;
    if (resume->state < RESUME_OPEN)
        return "it was not open yet";
    for (size_t i = 0; i < resume->channel_count; i++) {
        const char *why = resume->channels[i] ? resume_channel_why_not(resume->channels[i]) : NULL;
        if (why)
            return why;
    }
    return resume_names_can_tell(resume) ? NULL : "all of its channels are in use";
}

/* The server goes, as it says: the client need not know. */
static bool leaves(struct resume *resume, const struct method_connection_close *close)
{
    static const char shutdown[] = "CONNECTION_FORCED - " REPLY_SHUTDOWN;
    static const char maintenance[] = "CONNECTION_FORCED - " REPLY_MAINTENANCE;
    return close->reply_code == REPLY_CONNECTION_FORCED &&
           (bytes_equal_str(close->reply_text, shutdown) || bytes_equal_str(close->reply_text, maintenance)) &&
           !why_not(resume);
}

/* True: the client is not told. */
static bool server_connection(struct resume *resume, const union method *method)
{
    static const union method close_ok = {.id = METHOD_CONNECTION_CLOSE_OK};
    bool is_told_who = resume->state == RESUME_SAYING_WHO;
    switch (method->id) {
    case METHOD_CONNECTION_START:
        if (is_told_who)
            pass_to_server(resume, buffer_bytes(&resume->start_ok));
        return is_told_who;
    case METHOD_CONNECTION_SECURE:
        if (is_told_who)
            pass_to_server(resume, buffer_bytes(&resume->secure_ok));
        return is_told_who;
    case METHOD_CONNECTION_TUNE:
        if (is_told_who) {
            pass_to_server(resume, buffer_bytes(&resume->tune_ok));
            pass_to_server(resume, buffer_bytes(&resume->open));
        }
        return is_told_who;
    case METHOD_CONNECTION_OPEN_OK:
        if (is_told_who) {
            resume->state = RESUME_NAMING;
            resume_names_tell(resume);
        } else {
            resume->state = RESUME_OPEN;
        }
        return is_told_who;
    case METHOD_CONNECTION_CLOSE:
        if (leaves(resume, &method->connection_close)) {
            resume_to_server(resume, 0, &close_ok);
            resume->is_left = true;
            return true;
        }
        resume->never = about_to_end;
        resume->state = RESUME_OPEN; /* the client has to hear of it, and may say so */
        return false;
    case METHOD_CONNECTION_BLOCKED:
        resume->is_blocked = true;
        return false;
    case METHOD_CONNECTION_UNBLOCKED:
        resume->is_blocked = false;
        return false;
    default:
        return false;
    }
}

static void server_method(struct resume *resume, const struct frame *frame, struct bytes bytes)
{
    struct resume_channel *channel = resume_channel(resume, frame->channel);
    union method method;
    if (method_read(frame->payload, &method) != METHOD_OK) {
        give_up(resume);
        pass_to_client(resume, bytes);
        return;
    }
    if (frame->channel == 0) {
        if (!server_connection(resume, &method))
            pass_to_client(resume, bytes);
    } else if (resume->state == RESUME_NAMING && frame->channel == resume->naming_channel) {
        resume_names_heard(resume, &method);
    } else if (!channel) {
        pass_to_client(resume, bytes);
    } else if (method.id == METHOD_BASIC_DELIVER || method.id == METHOD_BASIC_GET_OK) {
        begin_delivery(channel, &method, frame, bytes);
    } else if (method.id == METHOD_BASIC_RETURN) {
        server_content(channel, frame, bytes);
    } else if (!resume_channel_heard(channel, &method, bytes)) {
        pass_to_client(resume, bytes);
    }
}

static void from_server(struct resume *resume, const struct frame *frame, struct bytes bytes)
{
    struct resume_channel *channel = frame->channel ? resume_channel(resume, frame->channel) : NULL;
    if (resume->is_left)
        return;
    if (frame->type == FRAME_HEARTBEAT && frame->payload.size) {
        if (channel)
            resume_channel_note(channel, frame->payload);
        return;
    }
    if (channel && channel->from_server.state != CONTENT_NONE)
        server_content(channel, frame, bytes);
    else if (frame->type == FRAME_METHOD)
        server_method(resume, frame, bytes);
    else
        pass_to_client(resume, bytes);
}

/* ---- bytes ---- */

/* How many bytes of a frame that is none tell that. */
static size_t told_by(ssize_t error, const struct frame *frame)
{
    return error == FRAME_BAD_END ? frame->payload.size + FRAME_OVERHEAD : FRAME_HEADER_SIZE;
}

static void read_frames(struct resume *resume, struct buffer *partial, struct bytes bytes,
                        void (*take)(struct resume *resume, const struct frame *frame, struct bytes bytes),
                        void (*pass)(struct resume *resume, struct bytes bytes))
{
    struct bytes all = bytes;
    struct frame frame;
    size_t at = 0;
    bool was_partial = partial->size > 0;
    if (was_partial) {
        buffer_add(partial, bytes.data, bytes.size);
        all = buffer_bytes(partial);
    }
    while (!resume->is_plain && at < all.size) {
        ssize_t size = frame_read(all.data + at, all.size - at, RESUME_FRAME_BYTES, &frame);
        if (size == 0)
            break;
        if (size < 0) {
            give_up(resume);
            if (resume->is_deaf && take == from_client)
                pass_to_server(resume, bytes_of(all.data + at, told_by(size, &frame)));
            break;
        }
        take(resume, &frame, bytes_of(all.data + at, (size_t)size));
        at += (size_t)size;
    }
    if (resume->is_plain) {
        pass(resume, bytes_of(all.data + at, all.size - at));
        at = all.size;
    }
    if (was_partial)
        buffer_drop(partial, at);
    else if (at < all.size)
        buffer_add(partial, all.data + at, all.size - at);
    if (partial->size == 0)
        buffer_free(partial);
}

/* What was held of what nobody understands any more. */
static void pass_rest(struct resume *resume)
{
    if (!resume->is_plain)
        return;
    pass_on_to_server(resume, buffer_bytes(&resume->client_partial));
    pass_to_client(resume, buffer_bytes(&resume->server_partial));
    buffer_free(&resume->client_partial);
    buffer_free(&resume->server_partial);
}

void resume_client_input(struct resume *resume, struct bytes bytes)
{
    if (resume->state == RESUME_GREETING && !resume->is_plain)
        bytes = take_header(resume, bytes);
    pass_rest(resume);
    if (bytes.size)
        read_frames(resume, &resume->client_partial, bytes, from_client, pass_on_to_server);
    pass_rest(resume);
}

void resume_server_input(struct resume *resume, struct bytes bytes)
{
    read_frames(resume, &resume->server_partial, bytes, from_server, pass_to_client);
    pass_rest(resume);
}

/* ---- another server ---- */

bool resume_is_ending(const struct resume *resume)
{
    return resume->never == about_to_end;
}

const char *resume_lost(struct resume *resume)
{
    const char *why = why_not(resume);
    if (why)
        return why;
    for (size_t i = 0; i < resume->channel_count; i++)
        if (resume->channels[i])
            resume_channel_lost(resume->channels[i]);
    buffer_free(&resume->server_partial);
    resume->state = RESUME_LOST;
    return NULL;
}

void resume_begin(struct resume *resume)
{
    resume->state = RESUME_SAYING_WHO;
    resume->is_left = false;
    pass_to_server(resume, bytes_of(protocol_header, PROTOCOL_HEADER_SIZE));
}

bool resume_is_telling(const struct resume *resume)
{
    return (resume->state >= RESUME_LOST || resume->is_left) && !resume->is_plain;
}

/* With all channels told, what the client has said last is said again: from there on nothing is said for a second time,
 * which the server knows by a heartbeat (see link_client.h). */
void resume_told(struct resume *resume)
{
    uint8_t heartbeat[FRAME_OVERHEAD];
    struct writer writer = writer_of(heartbeat, sizeof(heartbeat));
    if (resume->state != RESUME_TELLING)
        return;
    for (size_t i = 0; i < resume->channel_count; i++)
        if (resume->channels[i] && resume->channels[i]->step != STEP_NONE && resume->channels[i]->step != STEP_TOLD)
            return;
    for (size_t i = 0; i < resume->channel_count; i++)
        if (resume->channels[i] && resume->channels[i]->step == STEP_TOLD)
            resume_channel_say_again(resume->channels[i]);
    frame_write_heartbeat(&writer);
    pass_to_server(resume, bytes_of(heartbeat, sizeof(heartbeat)));
    resume->state = RESUME_OPEN;
}

void resume_named(struct resume *resume)
{
    static const union method unblocked = {.id = METHOD_CONNECTION_UNBLOCKED};
    static const union method close_ok = {.id = METHOD_CHANNEL_CLOSE_OK};
    if (resume->is_blocked)
        resume_to_client(resume, 0, &unblocked);
    resume->is_blocked = false;
    for (size_t i = 0; i < resume->channel_count; i++) {
        struct resume_channel *channel = resume->channels[i];
        if (channel && channel->state == RESUME_CHANNEL_CLOSING) {
            resume_to_client(resume, channel->number, &close_ok);
            resume_channel_free(channel);
        } else if (channel && channel->state == RESUME_CHANNEL_CLOSED) {
            channel->state = RESUME_CHANNEL_GONE;
        } else if (channel) {
            resume_channel_tell(channel);
        }
    }
    resume->state = RESUME_TELLING;
    resume_told(resume);
}

/* ---- the whole ---- */

struct resume *resume_new(const struct resume_ops *ops, void *context, size_t *all_bytes)
{
    struct resume *resume = mem_zalloc(sizeof(*resume));
    resume->ops = ops;
    resume->context = context;
    resume->all_bytes = all_bytes;
    resume->channel_max = UINT16_MAX;
    list_init(&resume->names);
    return resume;
}

void resume_free(struct resume *resume)
{
    if (!resume)
        return;
    for (size_t i = 0; i < resume->channel_count; i++)
        if (resume->channels[i])
            resume_channel_free(resume->channels[i]);
    resume_names_free(resume);
    mem_free(resume->channels);
    buffer_free(&resume->client_partial);
    buffer_free(&resume->server_partial);
    buffer_free(&resume->start_ok);
    buffer_free(&resume->secure_ok);
    buffer_free(&resume->tune_ok);
    buffer_free(&resume->open);
    mem_free(resume);
}
