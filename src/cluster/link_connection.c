/* One connection of a link, as a conversation: what comes waits in its wire until links_next takes
 * it, but for the first frame, which says whose it is. */
#include "cluster/link_internal.h"

#include <errno.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/planted.h"

static struct link_connection *connection_of(const struct conversation *conversation)
{
    return list_entry(conversation, struct link_connection, conversation);
}

static void touch(struct link_connection *connection)
{
    service_touch(&connection->links->service, &connection->conversation);
}

bool link_connection_is_current(const struct link_connection *connection)
{
    const struct link *link = connection->link;
    if (planted(PLANTED_LINK_OLD_CONNECTION) && link && link->session)
        return true;
    return link && connection->state == CONNECTION_OPEN &&
           link->ways[connection->way] == connection;
}

void link_connection_is_readable(struct link_connection *connection)
{
    if (list_is_empty(&connection->readable))
        list_push_back(&connection->links->readable, &connection->readable);
}

void link_connection_set_state(struct link_connection *connection, enum connection_state state)
{
    struct links *links = connection->links;
    bool was_stranger = connection->state == CONNECTION_NEW && !connection->is_dialed;
    bool is_stranger = state == CONNECTION_NEW && !connection->is_dialed;
    links->strangers = links->strangers + is_stranger - was_stranger;
    connection->state = state;
    connection->since_ms = links->now_ms;
}

void link_connection_put(struct link_connection *connection, const union link_frame *frame)
{
    struct buffer *scratch = &connection->links->scratch;
    buffer_drop(scratch, scratch->size);
    link_frame_write(scratch, frame);
    if (connection->wire.out_bytes == 0)
        connection->moved_ms = connection->links->now_ms;
    link_wire_put(&connection->wire, (uint8_t)frame->type, buffer_bytes(scratch));
    touch(connection);
}

void link_connection_end(struct link_connection *connection, enum link_reason reason)
{
    struct link *link = connection->link;
    if (connection->state == CONNECTION_ENDING)
        return;
    if (reason) {
        union link_frame bye = {.bye = {.type = LINK_BYE,
                                        .reason = (uint16_t)reason,
                                        .text = bytes_str(link_reason_why((uint16_t)reason))}};
        link_connection_put(connection, &bye);
    }
    connection->is_abrupt = !reason;
    link_connection_set_state(connection, CONNECTION_ENDING);
    if (link && link->dialed == connection)
        link_dial_ended(link);
    touch(connection);
}

/* ---- what comes ---- */

/* The first frame: HELLO, or why there is none. */
static void act_first(struct link_connection *connection)
{
    union link_frame *frame = &connection->links->frame;
    size_t before = link_wire_waiting(&connection->wire);
    enum link_wire_result result = link_wire_next(&connection->wire, frame);
    size_t size = before - link_wire_waiting(&connection->wire);
    if (result == LINK_WIRE_MORE && before < LINK_HELLO_BYTES)
        return;
    if (result != LINK_WIRE_FRAME || size > LINK_HELLO_BYTES)
        link_hello_refuse(connection, LINK_REASON_WRONG, false, "none");
    else if (frame->type == LINK_BYE && connection->is_dialed)
        link_hello_refuse(connection, frame->bye.reason, true, "none");
    else if (frame->type == LINK_RELAY && !connection->is_dialed)
        link_carry(connection, &frame->relay);
    else if (frame->type != LINK_HELLO)
        link_hello_refuse(connection, LINK_REASON_WRONG, false, "none");
    else
        link_hello_act(connection, &frame->hello);
}

/* All that counts by now is that its process ends. */
void link_connection_look_for_bye(struct link_connection *connection)
{
    union link_frame *frame = &connection->links->frame;
    while (link_wire_next(&connection->wire, frame) == LINK_WIRE_FRAME)
        if (frame->type == LINK_BYE && frame->bye.reason == LINK_REASON_SHUTDOWN)
            link_is_gone(connection->link, LINK_REASON_SHUTDOWN);
}

static void input(struct conversation *conversation, struct bytes bytes)
{
    struct link_connection *connection = connection_of(conversation);
    if (connection->state == CONNECTION_ENDING && !planted(PLANTED_LINK_OLD_CONNECTION))
        return;
    link_wire_input(&connection->wire, bytes);
    if (connection->state == CONNECTION_NEW)
        act_first(connection);
    else if (connection->state == CONNECTION_WATCHED && !planted(PLANTED_LINK_OLD_CONNECTION))
        link_connection_look_for_bye(connection);
    if (!link_connection_is_current(connection))
        return;
    if (connection->way == LINK_WAY_CONTROL)
        connection->link->heard_ms = connection->links->now_ms;
    link_connection_is_readable(connection);
}

static bool wants_input(const struct conversation *conversation)
{
    const struct link_connection *connection = connection_of(conversation);
    return connection->state != CONNECTION_OPEN ||
           link_wire_waiting(&connection->wire) < LINK_INPUT_BYTES;
}

/* ---- what is sent ---- */

/* What is large leaves over several turns. */
static bool rests(struct link_connection *connection)
{
    struct links *links = connection->links;
    if (connection->turn != links->turn)
        connection->turn_bytes = 0;
    connection->turn = links->turn;
    if (connection->way != LINK_WAY_DATA || connection->state != CONNECTION_OPEN ||
        connection->turn_bytes < LINK_TURN_BYTES)
        return false;
    if (list_is_empty(&connection->resting))
        list_push_back(&links->resting, &connection->resting);
    return true;
}

static int output(struct conversation *conversation, struct iovec *parts, int max)
{
    struct link_connection *connection = connection_of(conversation);
    return rests(connection) ? 0 : link_wire_output(&connection->wire, parts, max);
}

static void sent(struct conversation *conversation, size_t size)
{
    struct link_connection *connection = connection_of(conversation);
    link_wire_sent(&connection->wire, size);
    connection->turn_bytes += size;
    if (size)
        connection->moved_ms = connection->links->now_ms;
    if (connection->way == LINK_WAY_DATA && link_connection_is_current(connection))
        link_has_room(connection->link);
}

/* ---- its end ---- */

static bool is_finished(const struct conversation *conversation)
{
    const struct link_connection *connection = connection_of(conversation);
    return connection->state == CONNECTION_ENDING &&
           (connection->is_abrupt || connection->wire.out_bytes == 0);
}

/* When a process ends its system closes what it had, or resets it where something was unread. */
static bool is_reset(const char *reason)
{
    return !reason || strcmp(reason, strerror(ECONNRESET)) == 0 ||
           strcmp(reason, strerror(EPIPE)) == 0;
}

static void lost(struct conversation *conversation, const char *reason)
{
    struct link_connection *connection = connection_of(conversation);
    if (connection->link)
        link_lost(connection->link, connection, is_reset(reason));
}

void link_connection_free(struct link_connection *connection)
{
    link_connection_set_state(connection, CONNECTION_ENDING);
    list_remove(&connection->conversation.writable_link);
    list_remove(&connection->all);
    list_remove(&connection->readable);
    list_remove(&connection->resting);
    link_wire_free(&connection->wire);
    buffer_free(&connection->known);
    mem_free(connection);
}

static void free_connection(struct conversation *conversation)
{
    struct link_connection *connection = connection_of(conversation);
    if (connection->link)
        link_lost(connection->link, connection, false);
    link_connection_free(connection);
}

struct link_connection *link_connection_new(struct links *links, const struct peer *peer)
{
    static const struct conversation_ops ops = {.input = input,
                                                .wants_input = wants_input,
                                                .output = output,
                                                .sent = sent,
                                                .is_finished = is_finished,
                                                .lost = lost,
                                                .free = free_connection};
    struct link_connection *connection = mem_zalloc(sizeof(*connection));
    conversation_init(&connection->conversation, &ops);
    connection->links = links;
    connection->state = CONNECTION_ENDING;
    connection->moved_ms = links->now_ms;
    list_init(&connection->readable);
    list_init(&connection->resting);
    list_push_back(&links->connections, &connection->all);
    link_wire_init(&connection->wire, LINK_WAY_CONTROL, 0);
    snprintf(connection->peer, sizeof(connection->peer), "%s", peer->name);
    return connection;
}
