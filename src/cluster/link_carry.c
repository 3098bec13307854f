/* A connection that carries a client of another node. From RELAYED on its bytes are those of the conversation
 * within, which has been told who the client is, and cannot tell it from one with a socket of its own; what
 * stays of the connection here is who can be asked about the client's TLS.
 *
 * Whether the client is there is known by the node that speaks for it. When that is gone, or has not been heard for
 * LINK_CARRY_MS, so are its clients: nothing else would end a connection that a power cut or a network has swallowed for
 * minutes, and what they hold would lie there. When it says that the same client comes anew, the connection of before
 * has ended at its side. */
#include "cluster/link_internal.h"

#include "cluster/link_client.h"

static struct link_connection *connection_of(const struct conversation *conversation)
{
    return list_entry(conversation, struct link_connection, conversation);
}

/* ---- bytes ---- */

static void input(struct conversation *conversation, struct bytes bytes)
{
    const struct link_connection *connection = connection_of(conversation);
    if (!connection->is_abrupt)
        conversation_input(connection->carried, bytes);
}

static bool wants_input(const struct conversation *conversation)
{
    return conversation_wants_input(connection_of(conversation)->carried);
}

static bool has_turn(struct conversation *conversation)
{
    return conversation_has_turn(connection_of(conversation)->carried);
}

static bool is_blocked(const struct conversation *conversation)
{
    return conversation_is_blocked(connection_of(conversation)->carried);
}

/* The answer goes first. */
static int output(struct conversation *conversation, struct iovec *parts, int max)
{
    struct link_connection *connection = connection_of(conversation);
    return connection->wire.out_bytes ? link_wire_output(&connection->wire, parts, max)
                                      : conversation_output(connection->carried, parts, max);
}

static void sent(struct conversation *conversation, size_t size)
{
    struct link_connection *connection = connection_of(conversation);
    if (!connection->wire.out_bytes) {
        conversation_sent(connection->carried, size);
        return;
    }
    link_wire_sent(&connection->wire, size);
    if (!connection->wire.out_bytes)
        link_wire_free(&connection->wire);
}

static bool is_finished(const struct conversation *conversation)
{
    const struct link_connection *connection = connection_of(conversation);
    return connection->is_abrupt ||
           (!connection->wire.out_bytes && conversation_is_finished(connection->carried));
}

/* The node speaks for it no more. */
static void leave_speaker(struct link_connection *connection)
{
    struct link *speaker = connection->speaker;
    connection->speaker = NULL;
    if (speaker && connection->client)
        idmap_remove(&speaker->clients, connection->client);
}

static void cut(struct link_connection *connection, const char *reason)
{
    leave_speaker(connection);
    connection->is_abrupt = true;
    conversation_lost(connection->carried, reason);
    service_touch(&connection->links->service, &connection->conversation);
}

static void lost(struct conversation *conversation, const char *reason)
{
    conversation_lost(connection_of(conversation)->carried, reason);
}

static void free_carrying(struct conversation *conversation)
{
    struct link_connection *connection = connection_of(conversation);
    leave_speaker(connection);
    conversation_free(connection->carried);
    link_connection_free(connection);
}

static const struct conversation_ops carrying_ops = {.input = input,
                                                     .wants_input = wants_input,
                                                     .has_turn = has_turn,
                                                     .is_blocked = is_blocked,
                                                     .output = output,
                                                     .sent = sent,
                                                     .is_finished = is_finished,
                                                     .lost = lost,
                                                     .free = free_carrying};

/* ---- who the client is ---- */

static enum peer_named peer_name(const void *witness, enum peer_name which, size_t index, char *text,
                                 size_t size)
{
    const struct link_connection *connection = witness;
    return link_client_name(buffer_bytes(&connection->known), connection->named, which, index, text, size);
}

static bool peer_tls(const void *witness, enum peer_tls which, char *text, size_t size)
{
    const struct link_connection *connection = witness;
    return link_client_tls(buffer_bytes(&connection->known), which, text, size);
}

/* ---- may it come? ---- */

static enum link_reason judge(const struct link_connection *connection, const struct link_relay *relay)
{
    const struct links *links = connection->links;
    if (relay->magic != LINK_MAGIC)
        return LINK_REASON_WRONG;
    if (relay->version_min > LINK_VERSION || relay->version_max < LINK_VERSION)
        return LINK_REASON_VERSION;
    if (relay->named > PEER_NO_CERTIFICATE || !link_client_is_known_well(relay->known) ||
        link_wire_waiting(&connection->wire))
        return LINK_REASON_WRONG;
    enum link_reason reason = link_hello_judge_cluster(links, relay->cluster, relay->cluster_generation);
    if (reason)
        return reason;
    if (!links_find(links, relay->node))
        return LINK_REASON_UNKNOWN;
    bool is_served = relay->kind < LINK_CLIENTS && links->clients[relay->kind] && !links->is_ending;
    return is_served ? LINK_REASON_NONE : LINK_REASON_ELSEWHERE;
}

static void join_speaker(struct link_connection *connection, struct link *speaker, uint64_t client)
{
    struct link_connection *before = idmap_find(&speaker->clients, client);
    if (before)
        cut(before, "the broker that speaks for it has it come anew");
    connection->speaker = speaker;
    connection->client = client;
    if (client)
        idmap_add(&speaker->clients, client, connection);
}

void link_carry_end(struct link *link, const char *reason)
{
    size_t count = 0;
    char node[LINK_ID_TEXT];
    link->down_ms = 0;
    list_for_each(at, &link->links->carrying) {
        struct link_connection *connection = list_entry(at, struct link_connection, all);
        if (connection->speaker != link)
            continue;
        cut(connection, reason);
        count++;
    }
    if (!count)
        return;
    link_hello_id_text(link->node, node);
    log_event(link->links->options.log, EVENT_clients_lost, "node=%s name=%s clients=%zu reason=\"%s\"", node, link->name,
              count, reason);
}

void link_carry(struct link_connection *connection, const struct link_relay *relay)
{
    struct links *links = connection->links;
    union link_frame relayed = {.relayed = {.type = LINK_RELAYED, .version = LINK_VERSION}};
    struct peer peer;
    char who[LINK_ID_TEXT];
    enum link_reason reason = judge(connection, relay);
    if (reason) {
        link_hello_id_text(relay->node, who);
        link_hello_refuse(connection, reason, false, relay->magic == LINK_MAGIC ? who : "none");
        return;
    }
    link_client_read(relay, &peer);
    peer.via = (uint16_t)link_number(links_find(links, relay->node));
    if (relay->known.size)
        buffer_add(&connection->known, relay->known.data, relay->known.size);
    connection->named = (enum peer_named)relay->named;
    join_speaker(connection, links_find(links, relay->node), relay->client);
    link_connection_set_state(connection, CONNECTION_CARRIES);
    list_remove(&connection->all);
    list_push_back(&links->carrying, &connection->all);
    link_connection_put(connection, &relayed);
    connection->carried =
        service_accept(links->clients[relay->kind], &peer, connection->conversation.owner);
    connection->carried->witness = connection;
    connection->carried->peer_name = peer_name;
    connection->carried->peer_tls = peer_tls;
    connection->conversation.ops = &carrying_ops;
}
