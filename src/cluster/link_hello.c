/* Who is at the other end, and may it be? Both sides judge what the other one says, and both say
 * why not.
 *
 * A node that comes from a backup of its data folder has forgotten votes it gave and entries it had
 * acknowledged, and would break what was promised to others. It is known by its nonces: each start
 * adds one, and whoever has seen one of them looks for it in all lists that come later. */
#include "cluster/link_internal.h"

#include <stdio.h>

#include "base/planted.h"

enum { COMPLAINTS_MAX = 10, COMPLAINTS_MS = 60000 };

void link_hello_id_text(const uint8_t node[NODE_ID_BYTES], char text[LINK_ID_TEXT])
{
    for (size_t i = 0; i < NODE_ID_BYTES; i++)
        snprintf(text + 2 * i, 3, "%02x", node[i]);
}

void link_hello_say(struct link_connection *connection)
{
    const struct links *links = connection->links;
    const struct node_identity *self = links->identity;
    uint8_t nonces[NODE_NONCES * sizeof(uint64_t)];
    union link_frame frame = {
        .hello = {
            .type = LINK_HELLO,
            .magic = LINK_MAGIC,
            .version_min = LINK_VERSION,
            .version_max = LINK_VERSION,
            .way = (uint8_t)connection->way,
            .session = connection->session,
            .cluster_generation = self->cluster_generation,
            .incarnation = self->incarnation,
            .catalogue = links->catalogue,
            .name = bytes_str(links->name),
            .nonces = link_numbers_of(nonces, self->nonces, self->nonce_count),
        }};
    memcpy(frame.hello.cluster, self->cluster, NODE_ID_BYTES);
    memcpy(frame.hello.node, self->node, NODE_ID_BYTES);
    link_connection_put(connection, &frame);
}

/* ---- refusing ---- */

/* Strangers may come as often as they like; the log has some of them. */
static bool may_complain(struct links *links)
{
    if (links->complained_ms == 0 || links->now_ms - links->complained_ms >= COMPLAINTS_MS) {
        links->complained_ms = links->now_ms;
        links->complaints = 0;
    }
    return links->complaints++ < COMPLAINTS_MAX;
}

static bool is_news(struct link_connection *connection, enum link_reason reason)
{
    struct link *link = connection->link;
    if (!link)
        return may_complain(connection->links);
    bool is_new = link->logged != reason;
    link->logged = reason;
    return is_new;
}

void link_hello_refuse(struct link_connection *connection, enum link_reason reason, bool by_peer,
                       const char *who)
{
    bool is_usual = reason == LINK_REASON_DOUBLE || reason == LINK_REASON_SHUTDOWN ||
                    reason == LINK_REASON_ELSEWHERE;
    if (!is_usual && is_news(connection, reason))
        log_event(connection->links->options.log, EVENT_link_refused,
                  "peer=%s node=%s by=%s reason=\"%s\" next=\"%s\"", connection->peer, who,
                  by_peer ? "peer" : "us", link_reason_why(reason), link_reason_what(reason));
    link_connection_end(connection, by_peer ? LINK_REASON_NONE : reason);
}

/* ---- judging ---- */

static bool has_nonce(const struct link_hello *hello, uint64_t nonce)
{
    for (size_t i = 0; i < link_numbers_count(hello->nonces); i++)
        if (link_number_at(hello->nonces, i) == nonce)
            return true;
    return false;
}

static uint64_t newest_nonce(const struct link_hello *hello)
{
    return link_number_at(hello->nonces, link_numbers_count(hello->nonces) - 1);
}

/* Is it the node that we knew, with all that it knew then? */
static enum link_reason judge_past(const struct links *links, const struct link_hello *hello)
{
    const struct node_seen *seen = node_identity_seen(links->identity, hello->node);
    if (!seen || seen->incarnation == 0)
        return LINK_REASON_NONE;
    if (hello->incarnation < seen->incarnation)
        return LINK_REASON_OLD_INCARNATION;
    if (planted(PLANTED_LINK_NONCE_IGNORED))
        return LINK_REASON_NONE;
    if (!has_nonce(hello, seen->nonce) ||
        (hello->incarnation == seen->incarnation && newest_nonce(hello) != seen->nonce))
        return LINK_REASON_RESTORED;
    return LINK_REASON_NONE;
}

enum link_reason link_hello_judge_cluster(const struct links *links, const uint8_t cluster[NODE_ID_BYTES],
                                          uint64_t generation)
{
    const struct node_identity *self = links->identity;
    if (!node_id_is(self->cluster) || !node_id_equal(self->cluster, cluster))
        return LINK_REASON_CLUSTER;
    return self->cluster_generation == generation ? LINK_REASON_NONE : LINK_REASON_GENERATION;
}

/* One of the two may be of no cluster yet: it is about to join. */
static enum link_reason judge_cluster(const struct links *links, const struct link_hello *hello)
{
    if (node_id_is(links->identity->cluster) != node_id_is(hello->cluster))
        return LINK_REASON_NONE;
    return link_hello_judge_cluster(links, hello->cluster, hello->cluster_generation);
}

/* A certificate is for the host of a name like leveret@host. */
static bool is_named(const struct link_connection *connection, struct bytes name)
{
    char text[LINK_NAME_BYTES];
    snprintf(text, sizeof(text), "%.*s", BYTES_ARG(name));
    const char *at = strchr(text, '@');
    return conversation_peer_is(&connection->conversation, at ? at + 1 : text);
}

static enum link_reason judge_node(const struct link_connection *connection,
                                   const struct link_hello *hello)
{
    const struct links *links = connection->links;
    if (hello->magic != LINK_MAGIC)
        return LINK_REASON_WRONG;
    if (hello->version_min > LINK_VERSION || hello->version_max < LINK_VERSION)
        return LINK_REASON_VERSION;
    if (hello->way >= LINK_WAYS || hello->session == 0 || hello->incarnation == 0 ||
        link_numbers_count(hello->nonces) == 0 || !node_id_is(hello->node))
        return LINK_REASON_WRONG;
    if (node_id_equal(hello->node, links->identity->node))
        return LINK_REASON_SELF;
    enum link_reason reason = judge_cluster(links, hello);
    if (reason)
        return reason;
    if (!is_named(connection, hello->name))
        return LINK_REASON_NAME;
    return judge_past(links, hello);
}

/* ---- which link, and which of its connections ---- */

/* The node with the lesser id keeps the connection that it has made, or is making; the other one
 * gives its own up. One that was started again knows of none. */
static bool is_double(const struct link *link, const struct link_hello *hello)
{
    if (memcmp(link->links->identity->node, hello->node, NODE_ID_BYTES) > 0)
        return false;
    if (link->session)
        return link->ways[LINK_WAY_CONTROL] && link->ways[LINK_WAY_CONTROL]->is_dialed &&
               link->incarnation == hello->incarnation;
    return link->is_calling || link->dialed;
}

static enum link_reason judge_data(const struct link *link, const struct link_hello *hello)
{
    const struct link_connection *control = link->ways[LINK_WAY_CONTROL];
    bool fits = control && !control->is_dialed && !link->ways[LINK_WAY_DATA] &&
                link->session == hello->session && link->incarnation == hello->incarnation;
    return fits ? LINK_REASON_NONE : LINK_REASON_SESSION;
}

static enum link_reason place_accepted(struct link_connection *connection,
                                       const struct link_hello *hello)
{
    struct links *links = connection->links;
    struct link *link = links_find(links, hello->node);
    if (!node_id_is(links->identity->cluster))
        return LINK_REASON_DOUBLE; /* whoever calls means a node of before: who joins calls the others itself */
    bool is_new = !node_id_is(hello->cluster);
    if (!link && links->options.admits && is_new && hello->way == LINK_WAY_CONTROL)
        link = links_add_node(links, hello->node);
    if (!link)
        return LINK_REASON_UNKNOWN;
    connection->link = link;
    connection->way = hello->way;
    connection->session = hello->session;
    if (hello->way == LINK_WAY_DATA)
        return judge_data(link, hello);
    return is_double(link, hello) ? LINK_REASON_DOUBLE : LINK_REASON_NONE;
}

static enum link_reason place_dialed(struct link_connection *connection,
                                     const struct link_hello *hello)
{
    struct link *link = connection->link;
    if (hello->way != connection->way || hello->session != connection->session)
        return LINK_REASON_WRONG;
    if (!node_id_is(link->node)) {
        if (links_find(connection->links, hello->node))
            return LINK_REASON_DOUBLE;
        memcpy(link->node, hello->node, NODE_ID_BYTES);
    }
    if (!node_id_equal(link->node, hello->node))
        return LINK_REASON_OTHER_NODE;
    if (hello->way == LINK_WAY_CONTROL)
        return link->session ? LINK_REASON_DOUBLE : LINK_REASON_NONE;
    return link->session == hello->session && link->incarnation == hello->incarnation
               ? LINK_REASON_NONE
               : LINK_REASON_SESSION;
}

/* ---- acting on it ---- */

/* What is known of the node from now on. */
static void note(struct link *link, const struct link_hello *hello)
{
    struct node_identity *self = link->links->identity;
    const struct node_seen *seen = node_identity_seen(self, hello->node);
    uint64_t nonce = newest_nonce(hello);
    if (!seen || seen->incarnation != hello->incarnation || seen->nonce != nonce) {
        struct node_seen now = {.incarnation = hello->incarnation, .nonce = nonce};
        memcpy(now.node, hello->node, NODE_ID_BYTES);
        link->tell_seen |= node_identity_saw(self, &now);
        link_tell(link);
    }
    snprintf(link->name, sizeof(link->name), "%.*s", BYTES_ARG(hello->name));
    link->incarnation = hello->incarnation;
    link->catalogue = hello->catalogue;
}

/* A control connection takes the place of all that was before. */
static void begin_session(struct link *link, const struct link_hello *hello)
{
    if (link->session)
        link_end_session(link, LINK_REASON_RESTARTED, false);
    if (link->was_up && hello->incarnation > link->incarnation)
        link_is_gone(link, LINK_REASON_RESTARTED);
    note(link, hello);
}

void link_hello_act(struct link_connection *connection, const struct link_hello *hello)
{
    enum link_reason reason = judge_node(connection, hello);
    if (!reason)
        reason = connection->is_dialed ? place_dialed(connection, hello)
                                       : place_accepted(connection, hello);
    if (reason) {
        char who[LINK_ID_TEXT];
        link_hello_id_text(hello->node, who);
        link_hello_refuse(connection, reason, false, hello->magic == LINK_MAGIC ? who : "none");
        return;
    }
    if (connection->way == LINK_WAY_CONTROL)
        begin_session(connection->link, hello);
    if (!connection->is_dialed)
        link_hello_say(connection);
    link_attach(connection->link, connection);
}
