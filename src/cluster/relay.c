/* A client is one conversation, its way to the leader another one, and each can go without the other: what was
 * said before one side ends is still brought to the other one.
 *
 * The leader is dialed when the client has said something: whoever connects and is silent, as probes are, costs
 * it nothing, and by then TLS with the client is agreed on, which is told. Only so many are dialed at a time,
 * as after an election all clients come at once. */
#include "cluster/relay.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/timer.h"
#include "cluster/link_client.h"
#include "cluster/resume.h"
#include "peer/output.h"

enum {
    DIAL_MS = 2000,
    ANSWER_BYTES = 4096,
    COMPLAINTS_MAX = 10,
    COMPLAINTS_MS = 60000,
    INNER_RETRY_MS = 10,
    PARTS = 16,
    LOSSES_MAX = 3, /* of leaders, while a client has said nothing */
};

enum { TIMER_CLIENT, TIMER_WAY };

struct relays {
    struct service service;
    struct relays_options options;
    struct output_pool pool;
    struct timers timers;
    struct list clients, ways;
    struct list waiting; /* of the clients, those that have no way yet, in the order of their turns */
    struct list telling; /* those served here that have said more than was taken */
    uint64_t telling_ms; /* when they try again */
    size_t count, dials;
    uint64_t numbers; /* given to clients by now */
    uint64_t now_ms;
    bool is_stopping;
    size_t kept_bytes; /* by clients that may go on at another leader */
    bool is_full; /* RELAY_ALL_BYTES are on their way, or were since the last turn */
    struct service *here; /* NULL: another node serves */
    uint32_t leader;
    char host[OUTCALL_HOST_BYTES]; /* empty: there is nobody to be dialed */
    uint16_t port;
    uint64_t lost_ms; /* since when no leader is known, while there are clients of one; 0: one is */
    uint64_t retry_ms, backoff_ms;
    char failure[128]; /* the last one of a way */
    uint64_t complained_ms;
    uint32_t complaints;
};

/* Of a client or its way: what it is yet to be sent, which the other side has said. */
struct side {
    struct output output;
    uint64_t moved_ms;  /* when some of it was last taken, or there was none */
    bool is_abrupt;     /* it ends, and what is left does not matter */
    struct timer timer; /* of the end; a client's patience before */
};

enum client_state {
    CLIENT_SILENT,  /* nothing has come */
    CLIENT_WAITING, /* for its way, the first one or another one */
    CLIENT_OPEN,
    CLIENT_HERE,   /* within is a conversation of this node */
    CLIENT_ENDING, /* what is left for it is sent; nothing that comes counts */
};

struct client {
    struct conversation conversation;
    struct relays *relays;
    struct list link, turn; /* among the clients, and those that wait for one */
    enum client_state state;
    uint64_t number;
    struct peer peer;
    struct buffer held;         /* WAITING: what has come */
    struct way *way;            /* NULL: none has begun */
    struct conversation *inner; /* HERE */
    struct resume *resume;      /* NULL: it ends with its way, or is served here from the beginning */
    struct buffer said;         /* HERE, with that: what is to be taken within */
    struct list told;           /* in `telling` */
    uint32_t losses;            /* of ways, since it has said something */
    struct side side;
};

enum way_state {
    WAY_CALLING,
    WAY_ASKING, /* RELAY is sent, and not answered */
    WAY_OPEN,
    WAY_ENDING, /* as a client's */
};

struct way {
    struct conversation conversation;
    struct relays *relays;
    struct list link;
    enum way_state state;
    struct client *client; /* NULL: it has gone */
    struct outcall call;
    uint32_t leader;
    struct buffer answer; /* ASKING: as much as has come */
    struct side side;
};

static struct client *client_of(const struct conversation *conversation)
{
    return list_entry(conversation, struct client, conversation);
}

static struct way *way_of(const struct conversation *conversation)
{
    return list_entry(conversation, struct way, conversation);
}

static struct relays *relays_of(const struct service *service)
{
    return list_entry(service, struct relays, service);
}

static void touch_client(struct client *client)
{
    service_touch(&client->relays->service, &client->conversation);
}

static void touch_way(struct way *way)
{
    service_touch(&way->relays->service, &way->conversation);
}

/* Strangers may come as often as they like; the log has some of them. */
static void complain(struct relays *relays, const struct client *client, const char *why)
{
    if (relays->complained_ms == 0 || relays->now_ms - relays->complained_ms >= COMPLAINTS_MS) {
        relays->complained_ms = relays->now_ms;
        relays->complaints = 0;
    }
    if (relays->complaints++ < COMPLAINTS_MAX)
        log_event(relays->options.log, EVENT_client_not_relayed, "peer=%s leader=%u reason=\"%s\"",
                  client->peer.name, relays->leader, why);
}

/* ---- bytes that are on their way ---- */

/* May more be read for this side? */
static bool has_room(const struct relays *relays, const struct side *side)
{
    return side->output.size < (relays->is_full ? 1 : RELAY_BYTES);
}

static void add(struct relays *relays, struct side *side, struct bytes bytes)
{
    if (bytes.size == 0)
        return;
    if (side->output.size == 0)
        side->moved_ms = relays->now_ms;
    memcpy(output_room(&relays->pool, &side->output, bytes.size), bytes.data, bytes.size);
    output_added(&side->output, bytes.size);
    relays->is_full |= relays->pool.bytes >= RELAY_ALL_BYTES;
}

static void add_to_client(struct client *client, struct bytes bytes)
{
    add(client->relays, &client->side, bytes);
    touch_client(client);
}

static void add_to_way(struct way *way, struct bytes bytes)
{
    add(way->relays, &way->side, bytes);
    touch_way(way);
}

/* True: there is room again, for which the other side waits. */
static bool take(struct relays *relays, struct side *side, size_t size)
{
    bool had_room = has_room(relays, side);
    if (size)
        side->moved_ms = relays->now_ms;
    output_drop(&relays->pool, &side->output, size);
    return !had_room && has_room(relays, side);
}

static bool is_stuck(const struct relays *relays, const struct side *side)
{
    return !has_room(relays, side) && relays->now_ms - side->moved_ms >= RELAY_STUCK_MS;
}

/* It is full no more, and nobody knows that yet. */
static bool has_drained(const struct relays *relays)
{
    return relays->is_full && relays->pool.bytes < RELAY_ALL_BYTES;
}

/* Those that were not read while others had too much on its way: nothing else would tell them. */
static void give_room(struct relays *relays)
{
    relays->is_full = false;
    list_for_each(at, &relays->ways) {
        struct way *way = list_entry(at, struct way, link);
        if (way->state != WAY_OPEN)
            continue;
        if (way->side.output.size && has_room(relays, &way->side))
            touch_client(way->client);
        if (way->client->side.output.size && has_room(relays, &way->client->side))
            touch_way(way);
    }
}

/* ---- ends ---- */

/* `flush`: what is left for it still goes, as long as some of it is taken. */
static void end_side(struct relays *relays, struct side *side, bool flush)
{
    side->is_abrupt = !flush;
    side->moved_ms = relays->now_ms;
    timer_set(&relays->timers, &side->timer, relays->now_ms + RELAY_STUCK_MS);
}

static bool has_ended(const struct side *side)
{
    return side->is_abrupt || side->output.size == 0;
}

static void free_side(struct relays *relays, struct side *side)
{
    timer_cancel(&relays->timers, &side->timer);
    output_free(&relays->pool, &side->output);
}

/* It has no client any more. */
static void end_way(struct way *way, bool flush)
{
    way->client = NULL;
    if (way->state == WAY_CALLING)
        return; /* until the call has come to something */
    if (way->state == WAY_ASKING)
        way->relays->dials--;
    end_side(way->relays, &way->side, flush && way->state == WAY_OPEN);
    way->state = WAY_ENDING;
    touch_way(way);
}

static void leave_way(struct client *client, bool flush)
{
    struct way *way = client->way;
    client->way = NULL;
    if (way)
        end_way(way, flush);
}

static void end_client(struct client *client, bool flush)
{
    list_remove(&client->turn);
    leave_way(client, flush);
    client->state = CLIENT_ENDING;
    end_side(client->relays, &client->side, flush);
    touch_client(client);
}

/* It has its turn again, before others. */
static void wait_again(struct client *client)
{
    client->way = NULL;
    list_push_front(&client->relays->waiting, &client->turn);
}

/* Its leader is gone. False: it goes with that. */
static bool await_another(struct client *client)
{
    struct relays *relays = client->relays;
    const char *why = !client->resume                   ? "it cannot be carried on"
                      : client->losses++ >= LOSSES_MAX ? "it says nothing, and leaders come and go"
                                                        : resume_lost(client->resume);
    if (relays->is_stopping || why) {
        if (why && client->resume && !resume_is_ending(client->resume))
            complain(relays, client, why);
        return false;
    }
    leave_way(client, false);
    client->state = CLIENT_WAITING;
    client->peer.is_resumed = true;
    list_push_back(&relays->waiting, &client->turn);
    timer_set(&relays->timers, &client->side.timer, relays->now_ms + relays->options.patience_ms);
    return true;
}

/* Whoever leads does not answer, or says no. Those that were dialed at a time fail together, which counts once. */
static void note_failure(struct relays *relays, const char *why)
{
    snprintf(relays->failure, sizeof(relays->failure), "%s", why);
    if (relays->retry_ms > relays->now_ms)
        return;
    relays->retry_ms = relays->now_ms + relays->backoff_ms;
    relays->backoff_ms =
        relays->backoff_ms * 2 < RELAY_RETRY_MAX_MS ? relays->backoff_ms * 2 : RELAY_RETRY_MAX_MS;
}

/* ---- the way: dialing ---- */

static void free_way(struct way *way)
{
    struct relays *relays = way->relays;
    if (way->state == WAY_CALLING || way->state == WAY_ASKING)
        relays->dials--;
    free_side(relays, &way->side);
    buffer_free(&way->answer);
    list_remove(&way->call.link);
    list_remove(&way->conversation.writable_link);
    list_remove(&way->link);
    mem_free(way);
}

/* Who the client is, and who says so. */
static void ask(struct way *way)
{
    const struct relays *relays = way->relays;
    const struct node_identity *self = relays->options.identity;
    uint8_t header[LINK_PIECE_HEADER];
    struct buffer known = {0}, contents = {0};
    union link_frame frame = {.relay = {.type = LINK_RELAY,
                                        .magic = LINK_MAGIC,
                                        .version_min = LINK_VERSION,
                                        .version_max = LINK_VERSION,
                                        .cluster_generation = self->cluster_generation,
                                        .client = way->client->number,
                                        .kind = (uint8_t)relays->options.kind}};
    memcpy(frame.relay.cluster, self->cluster, NODE_ID_BYTES);
    memcpy(frame.relay.node, self->node, NODE_ID_BYTES);
    link_client_write(&frame.relay, &way->client->peer, &way->client->conversation, &known);
    link_frame_write(&contents, &frame);
    link_piece_write_header(header, LINK_RELAY, false, contents.size);
    add_to_way(way, bytes_of(header, sizeof(header)));
    add_to_way(way, buffer_bytes(&contents));
    buffer_free(&contents);
    buffer_free(&known);
}

/* See below. */
static const struct conversation_ops way_ops;

static struct conversation *call_connected(struct outcall *call, const struct peer *peer)
{
    struct way *way = list_entry(call, struct way, call);
    (void)peer;
    way->state = WAY_ASKING;
    if (way->client)
        ask(way);
    else
        end_way(way, false);
    return &way->conversation;
}

static void call_failed(struct outcall *call, bool is_refused, const char *reason)
{
    struct way *way = list_entry(call, struct way, call);
    (void)is_refused;
    if (way->client) {
        note_failure(way->relays, reason);
        wait_again(way->client);
    }
    free_way(way);
}

static void begin_way(struct client *client)
{
    static const struct outcall_ops ops = {.connected = call_connected, .failed = call_failed};
    struct relays *relays = client->relays;
    struct way *way = mem_zalloc(sizeof(*way));
    conversation_init(&way->conversation, &way_ops);
    way->relays = relays;
    way->client = client;
    way->leader = relays->leader;
    way->side.timer.kind = TIMER_WAY;
    outcall_init(&way->call, &ops);
    snprintf(way->call.host, sizeof(way->call.host), "%s", relays->host);
    way->call.port = relays->port;
    way->call.patience_ms = DIAL_MS;
    way->call.unanswered_ms = 0; /* a leader may let a publisher wait as long as its disk is full */
    list_push_back(&relays->ways, &way->link);
    list_remove(&client->turn);
    client->way = way;
    relays->dials++;
    service_call(&relays->service, &way->call);
}

/* ---- the way: its answer, and what follows ---- */

static void say_to_client(void *context, struct bytes bytes)
{
    add_to_client(context, bytes);
}

/* What is served here takes it at a moment at which it may. */
static void say_to_server(void *context, struct bytes bytes)
{
    struct client *client = context;
    if (client->way)
        add_to_way(client->way, bytes);
    else
        buffer_add(&client->said, bytes.data, bytes.size);
}

static void hear_client(struct client *client, struct bytes bytes)
{
    client->losses = 0;
    if (client->resume)
        resume_client_input(client->resume, bytes);
    else
        add_to_way(client->way, bytes);
}

static void hear_server(struct client *client, struct bytes bytes)
{
    if (!bytes.size)
        return;
    if (!client->resume) {
        add_to_client(client, bytes);
        return;
    }
    bool was_telling = resume_is_telling(client->resume);
    resume_server_input(client->resume, bytes);
    if (was_telling && !resume_is_telling(client->resume))
        touch_client(client); /* it is read again */
}

static void begin_to_relay(struct client *client)
{
    static const struct resume_ops ops = {.to_client = say_to_client, .to_server = say_to_server};
    if (client->relays->options.kind == LINK_CLIENT_AMQP)
        client->resume = resume_new(&ops, client, &client->relays->kept_bytes);
    hear_client(client, buffer_bytes(&client->held));
    buffer_free(&client->held);
}

static void open_way(struct way *way, struct bytes more)
{
    struct client *client = way->client;
    struct relays *relays = way->relays;
    relays->dials--;
    relays->backoff_ms = RELAY_RETRY_MS;
    way->state = WAY_OPEN;
    client->state = CLIENT_OPEN;
    timer_cancel(&relays->timers, &client->side.timer);
    if (client->resume)
        resume_begin(client->resume);
    else
        begin_to_relay(client);
    hear_server(client, more);
    touch_client(client); /* it is read again, as the leader may have nothing to say yet */
}

static void refuse_way(struct way *way, const char *why)
{
    struct client *client = way->client;
    note_failure(way->relays, why);
    end_way(way, false);
    wait_again(client);
}

static void take_answer(struct way *way, struct bytes bytes)
{
    struct link_piece piece;
    union link_frame frame;
    buffer_add(&way->answer, bytes.data, bytes.size);
    ssize_t size = link_piece_read(buffer_bytes(&way->answer), &piece);
    if (size == 0 && way->answer.size < ANSWER_BYTES)
        return;
    bool is_frame = size > 0 && !piece.has_more &&
                    link_frame_read(piece.type, piece.payload, &frame) == LINK_FRAME_OK;
    if (is_frame && frame.type == LINK_RELAYED)
        open_way(way, bytes_of(way->answer.data + size, way->answer.size - (size_t)size));
    else if (is_frame && frame.type == LINK_BYE)
        refuse_way(way, link_reason_why(frame.bye.reason));
    else
        refuse_way(way, link_reason_why(LINK_REASON_WRONG));
    buffer_free(&way->answer);
}

static void way_input(struct conversation *conversation, struct bytes bytes)
{
    struct way *way = way_of(conversation);
    if (way->state == WAY_ASKING)
        take_answer(way, bytes);
    else if (way->state == WAY_OPEN)
        hear_server(way->client, bytes);
}

static bool way_wants_input(const struct conversation *conversation)
{
    const struct way *way = way_of(conversation);
    return way->state != WAY_OPEN || has_room(way->relays, &way->client->side);
}

static bool way_is_blocked(const struct conversation *conversation)
{
    const struct way *way = way_of(conversation);
    return way->state == WAY_OPEN && is_stuck(way->relays, &way->client->side);
}

static int way_output(struct conversation *conversation, struct iovec *parts, int max)
{
    return output_peek(&way_of(conversation)->side.output, parts, max);
}

static void way_sent(struct conversation *conversation, size_t size)
{
    struct way *way = way_of(conversation);
    if (take(way->relays, &way->side, size) && way->client)
        touch_client(way->client);
}

static bool way_is_finished(const struct conversation *conversation)
{
    const struct way *way = way_of(conversation);
    return way->state == WAY_ENDING && has_ended(&way->side);
}

static void way_free(struct conversation *conversation)
{
    struct way *way = way_of(conversation);
    struct client *client = way->client;
    if (client && way->state == WAY_OPEN) {
        client->way = NULL;
        if (!await_another(client))
            end_client(client, true);
    } else if (client) {
        note_failure(way->relays, "the connection to it was lost");
        wait_again(client);
    }
    free_way(way);
}

static const struct conversation_ops way_ops = {.input = way_input,
                                                .wants_input = way_wants_input,
                                                .is_blocked = way_is_blocked,
                                                .output = way_output,
                                                .sent = way_sent,
                                                .is_finished = way_is_finished,
                                                .free = way_free};

/* ---- a client that is served here, where another node has served it before ---- */

/* What it has said is taken, as far as may be now; the rest is tried again. */
static void tell_inner(struct client *client)
{
    struct buffer said = client->said;
    if (said.size && conversation_wants_input(client->inner)) {
        client->said = (struct buffer){0};
        conversation_input(client->inner, buffer_bytes(&said));
        buffer_free(&said);
    }
    if (!client->said.size) {
        list_remove(&client->told);
        touch_client(client); /* it may be read again */
    } else if (list_is_empty(&client->told)) {
        list_push_back(&client->relays->telling, &client->told);
    }
}

static void tell_all(struct relays *relays)
{
    relays->telling_ms = relays->now_ms + INNER_RETRY_MS;
    list_for_each_safe(at, after, &relays->telling)
        tell_inner(list_entry(at, struct client, told));
}

/* Takes what is said within, as much as there is room for. */
static void hear_inner(struct client *client)
{
    struct relays *relays = client->relays;
    struct iovec parts[PARTS];
    int count;
    while (has_room(relays, &client->side) && (count = conversation_output(client->inner, parts, PARTS)) > 0) {
        size_t size = 0;
        for (int i = 0; i < count; i++) {
            hear_server(client, bytes_of(parts[i].iov_base, parts[i].iov_len));
            size += parts[i].iov_len;
        }
        conversation_sent(client->inner, size);
    }
    if (client->said.size && list_is_empty(&client->told)) {
        list_push_back(&relays->telling, &client->told);
        relays->telling_ms = relays->now_ms;
    }
}

/* ---- the client ---- */

static void client_input(struct conversation *conversation, struct bytes bytes)
{
    struct client *client = client_of(conversation);
    switch (client->state) {
    case CLIENT_SILENT:
        client->state = CLIENT_WAITING;
        buffer_add(&client->held, bytes.data, bytes.size);
        list_push_back(&client->relays->waiting, &client->turn);
        return;
    case CLIENT_OPEN:
        hear_client(client, bytes);
        return;
    case CLIENT_HERE:
        if (client->resume) {
            hear_client(client, bytes);
            tell_inner(client);
        } else {
            conversation_input(client->inner, bytes);
        }
        return;
    default:
        return;
    }
}

static bool is_telling(const struct client *client)
{
    return client->resume && resume_is_telling(client->resume);
}

static bool client_wants_input(const struct conversation *conversation)
{
    const struct client *client = client_of(conversation);
    switch (client->state) {
    case CLIENT_WAITING:
        return false;
    case CLIENT_OPEN:
        return has_room(client->relays, &client->way->side) && !is_telling(client);
    case CLIENT_HERE:
        return conversation_wants_input(client->inner) && !is_telling(client) && !client->said.size;
    default:
        return true;
    }
}

static bool client_has_turn(struct conversation *conversation)
{
    struct client *client = client_of(conversation);
    return client_wants_input(conversation) &&
           (client->state != CLIENT_HERE || conversation_has_turn(client->inner));
}

static bool client_is_blocked(const struct conversation *conversation)
{
    const struct client *client = client_of(conversation);
    switch (client->state) {
    case CLIENT_WAITING:
        return true;
    case CLIENT_OPEN:
        return is_stuck(client->relays, &client->way->side);
    case CLIENT_HERE:
        return conversation_is_blocked(client->inner);
    default:
        return false;
    }
}

static int client_output(struct conversation *conversation, struct iovec *parts, int max)
{
    struct client *client = client_of(conversation);
    if (client->state == CLIENT_HERE && !client->resume)
        return conversation_output(client->inner, parts, max);
    if (client->state == CLIENT_HERE)
        hear_inner(client);
    return output_peek(&client->side.output, parts, max);
}

static void client_sent(struct conversation *conversation, size_t size)
{
    struct client *client = client_of(conversation);
    if (client->state == CLIENT_HERE && !client->resume)
        conversation_sent(client->inner, size);
    else if (take(client->relays, &client->side, size) && client->way)
        touch_way(client->way);
    else if (client->state == CLIENT_HERE)
        touch_client(client); /* there may be more within */
}

static bool client_is_finished(const struct conversation *conversation)
{
    const struct client *client = client_of(conversation);
    if (client->state == CLIENT_HERE)
        return conversation_is_finished(client->inner) && client->side.output.size == 0;
    return client->state == CLIENT_ENDING && has_ended(&client->side);
}

static void client_lost(struct conversation *conversation, const char *reason)
{
    struct client *client = client_of(conversation);
    if (client->state == CLIENT_HERE)
        conversation_lost(client->inner, reason);
}

/* What it has said before is still brought to the leader. */
static void client_free(struct conversation *conversation)
{
    struct client *client = client_of(conversation);
    struct relays *relays = client->relays;
    leave_way(client, true);
    if (client->inner)
        conversation_free(client->inner);
    resume_free(client->resume);
    free_side(relays, &client->side);
    buffer_free(&client->held);
    buffer_free(&client->said);
    list_remove(&client->told);
    list_remove(&conversation->writable_link);
    list_remove(&client->turn);
    list_remove(&client->link);
    relays->count--;
    mem_free(client);
}

static const struct conversation_ops client_ops = {.input = client_input,
                                                   .wants_input = client_wants_input,
                                                   .has_turn = client_has_turn,
                                                   .is_blocked = client_is_blocked,
                                                   .output = client_output,
                                                   .sent = client_sent,
                                                   .is_finished = client_is_finished,
                                                   .lost = client_lost,
                                                   .free = client_free};

static bool are_too_many(const struct relays *relays)
{
    uint32_t wished = *relays->options.clients_max;
    return relays->count > relays->options.max || (wished && relays->count > wished);
}

static struct conversation *accept_client(struct service *service, const struct peer *peer)
{
    struct relays *relays = relays_of(service);
    struct client *client = mem_zalloc(sizeof(*client));
    conversation_init(&client->conversation, &client_ops);
    client->relays = relays;
    client->peer = *peer;
    client->side.timer.kind = TIMER_CLIENT;
    list_init(&client->turn);
    list_init(&client->told);
    list_push_back(&relays->clients, &client->link);
    relays->count++;
    client->number = ++relays->numbers * LINK_CLIENTS + relays->options.kind;
    timer_set(&relays->timers, &client->side.timer, relays->now_ms + relays->options.patience_ms);
    if (are_too_many(relays)) {
        complain(relays, client, "there are as many clients as there may be");
        end_client(client, false);
    } else if (relays->is_stopping || relays->here) {
        end_client(client, false);
    }
    return &client->conversation;
}

/* ---- time ---- */

/* What is left goes on as long as some of it is taken. True: that is over. */
static bool is_over(struct relays *relays, struct side *side)
{
    side->is_abrupt = relays->now_ms - side->moved_ms >= RELAY_STUCK_MS;
    if (!side->is_abrupt)
        timer_set(&relays->timers, &side->timer, side->moved_ms + RELAY_STUCK_MS);
    return side->is_abrupt;
}

static void end_patience(struct client *client)
{
    struct relays *relays = client->relays;
    if (client->state == CLIENT_SILENT)
        complain(relays, client, "it has said nothing in time");
    else if (!relays->host[0])
        complain(relays, client, "no broker leads");
    else
        complain(relays, client, relays->failure[0] ? relays->failure : "the leader does not answer");
    end_client(client, false);
}

static void client_expired(struct client *client)
{
    if (client->state != CLIENT_ENDING)
        end_patience(client);
    else if (is_over(client->relays, &client->side))
        touch_client(client);
}

static void way_expired(struct way *way)
{
    if (is_over(way->relays, &way->side))
        touch_way(way);
}

/* All clients that another node serves. */
static void leave_open(struct relays *relays)
{
    list_for_each(at, &relays->clients) {
        struct client *client = list_entry(at, struct client, link);
        if (client->state == CLIENT_OPEN && !await_another(client))
            end_client(client, true);
    }
}

static bool may_dial(const struct relays *relays)
{
    return relays->host[0] && !relays->is_stopping && relays->dials < RELAY_DIALS_MAX &&
           !list_is_empty(&relays->waiting);
}

static void tick(struct service *service, uint64_t now_ms, uint64_t clock_ms)
{
    struct relays *relays = relays_of(service);
    struct timer *timer;
    (void)clock_ms;
    relays->now_ms = now_ms;
    if (has_drained(relays))
        give_room(relays);
    while ((timer = timers_expired(&relays->timers, now_ms)))
        if (timer->kind == TIMER_CLIENT)
            client_expired(list_entry(timer, struct client, side.timer));
        else
            way_expired(list_entry(timer, struct way, side.timer));
    if (relays->lost_ms && now_ms - relays->lost_ms >= RELAY_LOST_MS) {
        relays->lost_ms = 0;
        leave_open(relays);
    }
    if (!list_is_empty(&relays->telling) && now_ms >= relays->telling_ms)
        tell_all(relays);
    while (may_dial(relays) && now_ms >= relays->retry_ms)
        begin_way(list_entry(list_first(&relays->waiting), struct client, turn));
}

static uint64_t next_ms(const struct service *service)
{
    const struct relays *relays = relays_of(service);
    uint64_t next = has_drained(relays) ? 0 : timers_next_ms(&relays->timers);
    if (relays->lost_ms)
        next = earlier(next, relays->lost_ms + RELAY_LOST_MS);
    if (!list_is_empty(&relays->telling))
        next = earlier(next, relays->telling_ms);
    return may_dial(relays) ? earlier(next, relays->retry_ms) : next;
}

static void woken(struct service *service, uint64_t now_ms)
{
    relays_of(service)->now_ms = now_ms;
}

/* ---- who leads ---- */

/* It leads to somebody who does not lead any more. */
static void turn_back(struct way *way)
{
    struct client *client = way->client;
    if (!client)
        return;
    if (way->state == WAY_OPEN) {
        if (!await_another(client))
            end_client(client, true);
        return;
    }
    end_way(way, false);
    wait_again(client);
}

void relays_lead(struct relays *relays, uint32_t number, const char *host, uint16_t port)
{
    if (number == relays->leader)
        return;
    relays->leader = number;
    relays->port = port;
    snprintf(relays->host, sizeof(relays->host), "%s", number && host ? host : "");
    relays->lost_ms = number ? 0 : relays->now_ms;
    relays->retry_ms = 0;
    relays->backoff_ms = RELAY_RETRY_MS;
    relays->failure[0] = '\0';
    list_for_each(at, &relays->ways) {
        struct way *way = list_entry(at, struct way, link);
        if (number && way->leader != number)
            turn_back(way);
    }
}

/* What it has said before it has said here. */
static void serve_here(struct client *client)
{
    list_remove(&client->turn);
    leave_way(client, false);
    timer_cancel(&client->relays->timers, &client->side.timer);
    client->inner =
        service_accept(client->relays->here, &client->peer, client->conversation.owner);
    conversation_same_peer(client->inner, &client->conversation);
    client->state = CLIENT_HERE;
    if (client->held.size)
        conversation_input(client->inner, buffer_bytes(&client->held));
    buffer_free(&client->held);
    if (client->resume) {
        resume_begin(client->resume);
        tell_inner(client);
    }
    touch_client(client);
}

void relays_serve_here(struct relays *relays, struct service *service)
{
    relays->here = service;
    relays->host[0] = '\0';
    leave_open(relays);
    list_for_each(at, &relays->clients) {
        struct client *client = list_entry(at, struct client, link);
        if (client->state == CLIENT_SILENT || client->state == CLIENT_WAITING)
            serve_here(client);
    }
}

/* ---- the service ---- */

void relays_send_away(struct relays *relays, bool all)
{
    list_for_each(at, &relays->clients) {
        struct client *client = list_entry(at, struct client, link);
        if (client->state == CLIENT_SILENT || client->state == CLIENT_WAITING)
            end_client(client, false);
        else if (client->state == CLIENT_OPEN && all)
            end_client(client, true);
    }
}

static void end_all(struct service *service)
{
    struct relays *relays = relays_of(service);
    relays->is_stopping = true;
    relays_send_away(relays, true);
}

struct relays *relays_new(const struct relays_options *options, uint64_t now_ms)
{
    static const struct service_ops ops = {.accept = accept_client,
                                           .woken = woken,
                                           .tick = tick,
                                           .next_ms = next_ms,
                                           .shutdown = end_all};
    struct relays *relays = mem_zalloc(sizeof(*relays));
    service_init(&relays->service, &ops);
    relays->options = *options;
    relays->now_ms = now_ms;
    relays->backoff_ms = RELAY_RETRY_MS;
    output_pool_init(&relays->pool, NULL);
    list_init(&relays->clients);
    list_init(&relays->ways);
    list_init(&relays->waiting);
    list_init(&relays->telling);
    return relays;
}

void relays_free(struct relays *relays)
{
    if (!relays)
        return;
    list_for_each_safe(at, after, &relays->ways) /* whose calls have come to nothing */
        free_way(list_entry(at, struct way, link));
    output_pool_free(&relays->pool);
    timers_free(&relays->timers);
    mem_free(relays);
}

struct service *relays_service(struct relays *relays)
{
    return &relays->service;
}
