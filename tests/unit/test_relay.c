/* Clients that another node serves: bytes go both ways, no more of them are held than may be, who the client is
 * arrives with it, and whoever leads, or does not, the client is served or told by its end.
 *
 * Two nodes without sockets: `here` has the clients, `there` leads, and behind it is a service that says
 * all it hears again. The test moves bytes between the conversations as sockets would. */
#include "cluster/relay.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cluster/link.h"
#include "cluster/link_client.h"
#include "tests/lib/tap.h"

enum { PARTS = 8, PATIENCE_MS = 1000, LEADER = 2 };

/* ---- what the leader serves ---- */

struct echo {
    struct conversation conversation;
    struct peer peer;
    struct buffer out;
    bool is_deaf, is_over, was_lost;
};

static struct service echoes;
static struct echo *echo; /* the last one; NULL: it was freed */
static size_t echo_count;

static struct echo *echo_of(const struct conversation *conversation)
{
    return list_entry(conversation, struct echo, conversation);
}

static void echo_input(struct conversation *conversation, struct bytes bytes)
{
    struct echo *it = echo_of(conversation);
    buffer_add(&it->out, bytes.data, bytes.size);
    service_touch(&echoes, conversation);
}

static bool echo_wants_input(const struct conversation *conversation)
{
    return !echo_of(conversation)->is_deaf;
}

static int echo_output(struct conversation *conversation, struct iovec *parts, int max)
{
    struct echo *it = echo_of(conversation);
    (void)max;
    parts[0] = (struct iovec){it->out.data, it->out.size};
    return it->out.size > 0;
}

static void echo_sent(struct conversation *conversation, size_t size)
{
    buffer_drop(&echo_of(conversation)->out, size);
}

static bool echo_is_finished(const struct conversation *conversation)
{
    return echo_of(conversation)->is_over && echo_of(conversation)->out.size == 0;
}

static void echo_lost(struct conversation *conversation, const char *reason)
{
    (void)reason;
    echo_of(conversation)->was_lost = true;
}

static void echo_free(struct conversation *conversation)
{
    struct echo *it = echo_of(conversation);
    list_remove(&conversation->writable_link);
    buffer_free(&it->out);
    echo = echo == it ? NULL : echo;
    echo_count--;
    mem_free(it);
}

static struct conversation *echo_accept(struct service *service, const struct peer *peer)
{
    static const struct conversation_ops ops = {.input = echo_input,
                                                .wants_input = echo_wants_input,
                                                .output = echo_output,
                                                .sent = echo_sent,
                                                .is_finished = echo_is_finished,
                                                .lost = echo_lost,
                                                .free = echo_free};
    (void)service;
    echo = mem_zalloc(sizeof(*echo));
    conversation_init(&echo->conversation, &ops);
    echo->peer = *peer;
    echo_count++;
    return &echo->conversation;
}

static void echo_shutdown(struct service *service)
{
    (void)service;
}

static const struct service_ops echo_ops = {.accept = echo_accept, .shutdown = echo_shutdown};

/* ---- two nodes ---- */

static struct relays *relays;
static struct links *links;
static struct node_identity here, there;
static uint64_t now_ms;
static uint32_t clients_max;
static char logged[512];

/* The way that was connected last: its two ends. */
static struct conversation *way, *taken;
static bool is_slow; /* nothing moves on it */

static void keep_log(void *context, const struct log_record *record)
{
    (void)context;
    snprintf(logged, sizeof(logged), "%s %.400s", record->event, record->text);
}

static const struct log log_kept = {.level = LOG_LEVEL_DEBUG, .sink = keep_log};

static struct node_identity identity_of(uint8_t number)
{
    struct node_identity identity = {.incarnation = 1, .nonce_count = 1, .nonces = {7}, .written = 1};
    memset(identity.node, number, NODE_ID_BYTES);
    memset(identity.cluster, 'c', NODE_ID_BYTES);
    return identity;
}

static void begin(void)
{
    const struct links_options options = {.name = "leveret@there", .number = LEADER, .seed = 1, .log = &log_kept};
    const struct relays_options relaying = {.identity = &here,
                                            .log = &log_kept,
                                            .patience_ms = PATIENCE_MS,
                                            .max = 1000,
                                            .clients_max = &clients_max};
    struct link_peer peer = {.number = 1};
    here = identity_of('h');
    there = identity_of('t');
    now_ms = 1000;
    clients_max = 0;
    is_slow = false;
    logged[0] = '\0';
    way = taken = NULL;
    service_init(&echoes, &echo_ops);
    links = links_new(&options, &there, now_ms);
    memcpy(peer.node, here.node, NODE_ID_BYTES);
    links_add(links, &peer);
    links_serve(links, LINK_CLIENT_AMQP, &echoes);
    relays = relays_new(&relaying, now_ms);
}

/* One end of the way goes, and the other is told as its socket would be. */
static void cut(struct conversation **end, const char *reason)
{
    if (!*end)
        return;
    conversation_lost(*end, reason);
    conversation_free(*end);
    *end = NULL;
}

static void cut_way(void)
{
    cut(&way, NULL);
    cut(&taken, NULL);
}

static void end(void)
{
    cut_way();
    relays_free(relays);
    links_free(links);
    is_int(echo_count, 0, "nothing is left behind");
}

/* Some of what the one has to say to the other, which is NULL when it does not count. */
static size_t move(struct conversation *from, struct conversation *to)
{
    struct iovec parts[PARTS];
    int count = conversation_output(from, parts, PARTS);
    size_t moved = 0;
    if (to && !conversation_wants_input(to))
        return 0;
    for (int i = 0; i < count; i++) {
        uint8_t *copy = mem_dup(parts[i].iov_base, parts[i].iov_len);
        conversation_sent(from, parts[i].iov_len);
        moved += parts[i].iov_len;
        if (to)
            conversation_input(to, bytes_of(copy, parts[i].iov_len));
        mem_free(copy);
        if (to && !conversation_wants_input(to))
            break;
    }
    return moved;
}

static void forget_touched(struct service *service)
{
    while (service_take_writable(service))
        continue;
}

static void turn(void)
{
    struct outcall *call;
    const struct peer peer = {.name = "here"};
    service_tick(relays_service(relays), now_ms, 0);
    service_tick(links_service(links), now_ms, 0);
    while ((call = service_take_call(relays_service(relays)))) {
        if (way) {
            call->ops->failed(call, true, "one is enough");
            continue;
        }
        way = call->ops->connected(call, &peer);
        taken = service_accept(links_service(links), &peer, NULL);
    }
    for (bool moved = true; moved && !is_slow;)
        moved = (way ? move(way, taken) : 0) + (taken ? move(taken, way) : 0) > 0;
    if (way && conversation_is_finished(way)) {
        conversation_free(way);
        way = NULL;
        cut(&taken, NULL);
    }
    if (taken && conversation_is_finished(taken)) {
        conversation_free(taken);
        taken = NULL;
        cut(&way, NULL);
    }
    forget_touched(relays_service(relays));
    forget_touched(links_service(links));
    forget_touched(&echoes);
}

static void turns(uint64_t until_ms)
{
    for (; now_ms < until_ms; now_ms += 10)
        turn();
}

/* ---- clients ---- */

static struct conversation *come(void)
{
    static const struct peer peer = {.name = "192.0.2.7:1234", .local = "192.0.2.1:5672", .is_loopback = true};
    return service_accept(relays_service(relays), &peer, NULL);
}

static void say(struct conversation *client, const char *text)
{
    conversation_input(client, bytes_str(text));
}

/* What has come for it by now is this. */
static bool hears(struct conversation *client, const char *text, const char *name)
{
    struct iovec parts[PARTS];
    struct buffer heard = {0};
    for (int count; (count = conversation_output(client, parts, PARTS));)
        for (int i = 0; i < count; i++) {
            buffer_add(&heard, parts[i].iov_base, parts[i].iov_len);
            conversation_sent(client, parts[i].iov_len);
        }
    bool is_right = is_bytes(heard.data, heard.size, text, strlen(text), "%s", name);
    buffer_free(&heard);
    return is_right;
}

static void lead(void)
{
    relays_lead(relays, LEADER, "there", 25672);
}

/* A client that is served, and has heard what it has said. */
static struct conversation *come_and_say(const char *text)
{
    struct conversation *client = come();
    say(client, text);
    turn();
    hears(client, text, "it is served");
    return client;
}

TEST(bytes_go_both_ways)
{
    begin();
    lead();
    struct conversation *client = come();
    turn();
    ok(!way, "who says nothing costs the leader nothing");
    say(client, "hello");
    ok(!conversation_wants_input(client), "no more is read of who waits");
    turn();
    ok(echo && conversation_wants_input(client), "the leader has taken it");
    is_str(echo->peer.name, "192.0.2.7:1234", "and knows who it is");
    is_str(echo->peer.local, "192.0.2.1:5672", "and what it has reached");
    ok(echo->peer.is_loopback && !echo->peer.is_tls && !echo->peer.is_unix, "and how it has come");
    hears(client, "hello", "what was said first comes back");
    say(client, "and more");
    turn();
    hears(client, "and more", "so does what follows");
    conversation_free(client);
    turn();
    ok(!way && !echo, "its end is the end of its way");
    end();
}

TEST(what_was_said_before_an_end_arrives)
{
    begin();
    lead();
    struct conversation *client = come_and_say("first");
    is_slow = true;
    say(client, "last");
    conversation_free(client);
    turn();
    ok(way && echo, "the client has gone, and not all that it said");
    is_slow = false;
    echo->is_deaf = true;
    turn();
    ok(way, "it goes when the leader takes it");
    echo->is_deaf = false;
    is_int(move(way, taken), 4, "bytes that are left");
    is_bytes(echo->out.data, echo->out.size, "last", 4, "the leader hears them");
    turn();
    ok(!way && !echo, "and that was all");

    client = come();
    say(client, "again");
    turn();
    echo->is_over = true;
    buffer_add(&echo->out, "bye", 3);
    turn();
    ok(!way && !conversation_is_finished(client), "the leader has ended it, and the client not heard all");
    hears(client, "againbye", "which it does");
    ok(conversation_is_finished(client), "and is at its end");
    conversation_free(client);
    end();
}

TEST(who_does_not_read_is_not_read_for)
{
    static char piece[30000];
    begin();
    lead();
    memset(piece, 'x', sizeof(piece) - 1);
    struct conversation *client = come_and_say("?");
    is_slow = true;
    size_t taken_bytes = 0;
    for (; conversation_wants_input(client) && taken_bytes < 1000000; taken_bytes += sizeof(piece) - 1)
        say(client, piece);
    ok(taken_bytes >= RELAY_BYTES && taken_bytes < RELAY_BYTES + sizeof(piece), "no more than %zu bytes are taken",
       taken_bytes);
    ok(!conversation_is_blocked(client), "it is not given up at once");
    now_ms += RELAY_STUCK_MS;
    turn();
    ok(conversation_is_blocked(client), "after a while it is looked whether it is there");
    is_slow = false;
    for (int i = 0; i < 100; i++)
        turn();
    ok(conversation_wants_input(client), "when the leader reads there is room again");
    for (int i = 0; i < 5; i++, taken_bytes += sizeof(piece) - 1) {
        say(client, piece);
        turn();
    }
    ok(!conversation_wants_input(way) && echo->out.size, "what comes back is not taken while nobody reads it");
    size_t left = echo->out.size, got = 0;
    struct iovec parts[PARTS];
    while (conversation_output(client, parts, PARTS)) {
        got += parts[0].iov_len;
        conversation_sent(client, parts[0].iov_len);
        turn();
    }
    ok(left && got == taken_bytes, "all of it comes: %zu bytes", got);
    conversation_free(client);
    turn();
    end();
}

static bool is_touched(const struct conversation *conversation)
{
    bool is_it = false;
    for (struct conversation *one; (one = service_take_writable(relays_service(relays)));)
        is_it |= one == conversation;
    return is_it;
}

/* A client that is served, by a way that nothing moves on: its ends are `near` and `far`. */
static struct conversation *come_slowly(struct conversation **near, struct conversation **far)
{
    struct conversation *client = come_and_say("?");
    *near = way;
    *far = taken;
    way = taken = NULL;
    return client;
}

TEST(all_clients_together_have_a_limit)
{
    enum { PIECE = 256 << 10, MANY = RELAY_ALL_BYTES / PIECE };
    struct conversation *clients[MANY + 1], *near[MANY + 1], *far[MANY + 1];
    char *piece = mem_zalloc(PIECE);
    begin();
    lead();
    for (size_t i = 0; i <= MANY; i++)
        clients[i] = come_slowly(&near[i], &far[i]);
    say(clients[0], "little");
    ok(conversation_wants_input(clients[0]), "a little leaves room");
    for (size_t i = 1; i <= MANY; i++)
        conversation_input(clients[i], bytes_of(piece, PIECE));
    ok(!conversation_wants_input(clients[0]), "what others have said leaves none");
    for (size_t i = 1; i <= MANY; i++) {
        conversation_free(clients[i]);
        cut(&near[i], NULL);
        cut(&far[i], NULL);
    }
    forget_touched(relays_service(relays));
    is_int(service_next_ms(relays_service(relays)), 0, "when they have gone it is looked at once");
    service_tick(relays_service(relays), now_ms, 0);
    ok(conversation_wants_input(clients[0]) && is_touched(clients[0]), "it is read again");
    is_int(service_next_ms(relays_service(relays)), UINT64_MAX, "and that is all");
    is_int(move(near[0], far[0]), 6, "bytes that were held");
    conversation_free(clients[0]);
    cut(&near[0], NULL);
    cut(&far[0], NULL);
    mem_free(piece);
    end();
}

TEST(who_waits_is_served_when_somebody_leads)
{
    begin();
    struct conversation *client = come();
    say(client, "hello");
    turns(now_ms + 500);
    ok(!way && conversation_is_blocked(client), "nobody leads");
    links_serve(links, LINK_CLIENT_AMQP, NULL);
    lead();
    turns(now_ms + 100);
    ok(!echo && !conversation_is_finished(client), "who should lead does not serve yet");
    links_serve(links, LINK_CLIENT_AMQP, &echoes);
    turns(now_ms + 400);
    hears(client, "hello", "and does then");
    relays_lead(relays, 3, "elsewhere", 25672);
    turn();
    ok(conversation_is_finished(client), "when another one leads it loses its connection");
    conversation_free(client);
    turn();
    end();
}

TEST(patience_ends)
{
    begin();
    struct conversation *silent = come(), *waiting = come();
    say(waiting, "hello");
    turns(now_ms + PATIENCE_MS - 20);
    ok(!conversation_is_finished(silent) && !conversation_is_finished(waiting), "there is time");
    turns(now_ms + 40);
    ok(conversation_is_finished(silent) && conversation_is_finished(waiting), "and it ends");
    ok(strstr(logged, "client_not_relayed") && strstr(logged, "no broker leads"), "the log says why: %s", logged);
    conversation_free(silent);
    conversation_free(waiting);
    end();
}

TEST(a_leader_that_is_lost)
{
    begin();
    lead();
    struct conversation *client = come_and_say("hello");
    relays_lead(relays, 0, NULL, 0);
    turns(now_ms + RELAY_LOST_MS - 100);
    ok(!conversation_is_finished(client), "for a while it may come back");
    lead();
    turns(now_ms + RELAY_LOST_MS + 100);
    ok(!conversation_is_finished(client), "and has");
    relays_lead(relays, 0, NULL, 0);
    turns(now_ms + RELAY_LOST_MS + 100);
    ok(conversation_is_finished(client), "or has not");
    conversation_free(client);
    turn();

    lead();
    client = come();
    say(client, "hello");
    turn();
    cut_way();
    ok(!conversation_is_finished(client), "its connection breaks: what it has said is heard");
    hears(client, "hello", "by the client");
    ok(conversation_is_finished(client), "which ends then");
    conversation_free(client);
    end();
}

TEST(this_node_comes_to_lead)
{
    begin();
    lead();
    struct conversation *relayed = come_and_say("far");
    struct conversation *silent = come();
    is_slow = true;
    struct conversation *waiting = come();
    say(waiting, "near");
    turn();
    relays_lead(relays, 1, NULL, 0);
    relays_serve_here(relays, &echoes);
    turn();
    ok(conversation_is_finished(relayed), "its clients lose their connections");
    ok(!conversation_is_finished(waiting), "but who waits");
    hears(waiting, "near", "who is served here");
    say(silent, "later");
    hears(silent, "later", "and who was silent");
    echo->is_over = true;
    ok(conversation_is_finished(waiting) || conversation_is_finished(silent), "until it ends");
    conversation_free(relayed);
    conversation_free(waiting);
    conversation_free(silent);
    is_slow = false;
    turn();
    end();
}

TEST(limits)
{
    begin();
    lead();
    clients_max = 2;
    struct conversation *clients[3] = {come(), come(), come()};
    ok(!conversation_is_finished(clients[1]) && conversation_is_finished(clients[2]), "there are two of two");
    ok(strstr(logged, "client_not_relayed"), "the log says so: %s", logged);
    for (int i = 0; i < 3; i++)
        conversation_free(clients[i]);
    clients_max = 0;
    struct conversation *many[RELAY_DIALS_MAX + 3];
    struct outcall *call, *calls[RELAY_DIALS_MAX + 3];
    size_t count = 0;
    for (size_t i = 0; i < RELAY_DIALS_MAX + 3; i++) {
        many[i] = come();
        say(many[i], "hello");
    }
    service_tick(relays_service(relays), now_ms, 0);
    while ((call = service_take_call(relays_service(relays))))
        calls[count++] = call;
    is_int(count, RELAY_DIALS_MAX, "as many are dialed at a time as may be");
    for (size_t i = 0; i < count; i++)
        calls[i]->ops->failed(calls[i], true, "Connection refused");
    service_tick(relays_service(relays), now_ms, 0);
    ok(!service_take_call(relays_service(relays)), "who does not answer is not asked again at once");
    turns(now_ms + 100);
    int served = 0;
    for (size_t i = 0; i < RELAY_DIALS_MAX + 3; i++) {
        struct iovec parts[PARTS];
        served += conversation_output(many[i], parts, PARTS) > 0;
        conversation_free(many[i]);
    }
    is_int(served, 1, "but later");
    turns(now_ms + 100);
    end();
}

/* What comes first on a connection to the leader, and its answer. */
static uint16_t answer_to(const union link_frame *frame, const char *more)
{
    const struct peer peer = {.name = "stranger"};
    struct buffer out = {0};
    struct link_piece piece = {0};
    union link_frame answer;
    struct iovec parts[PARTS];
    uint8_t header[LINK_PIECE_HEADER];
    uint16_t reason = 0;
    struct conversation *conversation = service_accept(links_service(links), &peer, NULL);
    link_frame_write(&out, frame);
    link_piece_write_header(header, LINK_RELAY, false, out.size);
    conversation_input(conversation, bytes_of(header, sizeof(header)));
    buffer_add(&out, more, strlen(more));
    conversation_input(conversation, buffer_bytes(&out));
    if (conversation_output(conversation, parts, PARTS) == 1 &&
        link_piece_read(bytes_of(parts[0].iov_base, parts[0].iov_len), &piece) > 0 &&
        link_frame_read(piece.type, piece.payload, &answer) == LINK_FRAME_OK)
        reason = answer.type == LINK_BYE ? answer.bye.reason : 1000;
    conversation_free(conversation);
    buffer_free(&out);
    return reason;
}

TEST(who_may_speak_for_clients)
{
    union link_frame right, frame;
    begin();
    right.relay = (struct link_relay){.type = LINK_RELAY,
                                      .magic = LINK_MAGIC,
                                      .version_min = LINK_VERSION,
                                      .version_max = LINK_VERSION,
                                      .peer = bytes_str("a"),
                                      .local = bytes_str("b")};
    memcpy(right.relay.cluster, here.cluster, NODE_ID_BYTES);
    memcpy(right.relay.node, here.node, NODE_ID_BYTES);
    is_int(answer_to(&right, ""), 1000, "a node of the cluster is let in");
    is_int(answer_to(&right, "x"), LINK_REASON_WRONG, "who says more before it is");
    frame = right;
    frame.relay.magic = 1;
    is_int(answer_to(&frame, ""), LINK_REASON_WRONG, "other bytes");
    frame = right;
    frame.relay.version_min = LINK_VERSION + 1;
    is_int(answer_to(&frame, ""), LINK_REASON_VERSION, "a later version");
    frame = right;
    frame.relay.cluster[0] = 'x';
    is_int(answer_to(&frame, ""), LINK_REASON_CLUSTER, "another cluster");
    frame = right;
    frame.relay.cluster_generation = 1;
    is_int(answer_to(&frame, ""), LINK_REASON_GENERATION, "one that was left behind");
    frame = right;
    frame.relay.node[0] = 'x';
    is_int(answer_to(&frame, ""), LINK_REASON_UNKNOWN, "a node that is no member");
    frame = right;
    frame.relay.kind = LINK_CLIENTS;
    is_int(answer_to(&frame, ""), LINK_REASON_ELSEWHERE, "clients that nobody serves");
    frame = right;
    frame.relay.named = PEER_NO_CERTIFICATE + 1;
    is_int(answer_to(&frame, ""), LINK_REASON_WRONG, "an answer about names that there is none of");
    frame = right;
    frame.relay.known = bytes_of("\x41\0\0\7ecdhe_", 10);
    is_int(answer_to(&frame, ""), LINK_REASON_WRONG, "an item that is not whole");
    links_serve(links, LINK_CLIENT_AMQP, NULL);
    is_int(answer_to(&right, ""), LINK_REASON_ELSEWHERE, "a node that does not lead");
    end();
}

/* ---- certificates ---- */

static enum peer_named name_of(const void *witness, enum peer_name which, size_t index, char *text, size_t size)
{
    const char *const *names = witness;
    (void)size;
    if (which == PEER_DISTINGUISHED_NAME || (which == PEER_DNS && index < 3)) {
        snprintf(text, size, "%s", which == PEER_DNS ? names[index] : "CN=a");
        return PEER_NAMED;
    }
    return PEER_NAMELESS;
}

static bool tls_of(const void *witness, enum peer_tls which, char *text, size_t size)
{
    (void)witness;
    snprintf(text, size, "tlsv1.3");
    return which == PEER_TLS_PROTOCOL;
}

static void is_named(enum peer_name which, size_t index, enum peer_named wanted, const char *text)
{
    char got[64] = "";
    enum peer_named named = conversation_peer_name(&echo->conversation, which, index, got, sizeof(got));
    ok(named == wanted && strcmp(got, text) == 0, "name %d of kind %d: %d \"%s\"", (int)index, which, named, got);
}

TEST(what_tls_has_told_goes_along)
{
    static const char *const names[] = {"a.example", "b\xff", "c.example"};
    char text[64];
    begin();
    lead();
    struct conversation *client = come();
    client->witness = names;
    client->peer_name = name_of;
    client->peer_tls = tls_of;
    say(client, "hello");
    turn();
    is_named(PEER_DISTINGUISHED_NAME, 0, PEER_NAMED, "CN=a");
    is_named(PEER_DISTINGUISHED_NAME, 4, PEER_NAMED, "CN=a");
    is_named(PEER_DNS, 0, PEER_NAMED, "a.example");
    is_named(PEER_DNS, 1, PEER_NAMELESS, "");
    is_named(PEER_DNS, 2, PEER_NAMED, "c.example");
    is_named(PEER_EMAIL, 0, PEER_NAMELESS, "");
    ok(conversation_peer_tls(&echo->conversation, PEER_TLS_PROTOCOL, text, sizeof(text)), "its protocol");
    is_str(text, "tlsv1.3", "which is that");
    ok(!conversation_peer_tls(&echo->conversation, PEER_TLS_PROTOCOL, text, 7), "if it fits");
    ok(!conversation_peer_tls(&echo->conversation, PEER_TLS_CIPHER, text, sizeof(text)), "and no more");
    conversation_free(client);
    turn();
    client = come();
    say(client, "hello");
    turn();
    is_named(PEER_DNS, 0, PEER_NO_CERTIFICATE, "");
    conversation_free(client);
    turn();
    end();
}

TEST(an_answer_that_makes_no_sense)
{
    static const uint8_t short_one[] = {LINK_RELAYED, 0, 0, 0, 0, 0, 0, 1, 0}, no_answer[16] = {LINK_PING, 0, 0, 0, 0, 0, 0, 8};
    const struct bytes answers[] = {bytes_str("HTTP/1.1 400 Bad Request\r\n"), bytes_of(short_one, sizeof(short_one)),
                                    bytes_of(no_answer, sizeof(no_answer))};
    begin();
    lead();
    struct conversation *client = come();
    say(client, "hello");
    is_slow = true;
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        turns(now_ms + 200);
        if (!way)
            break;
        conversation_input(way, answers[i]);
        ok(conversation_is_finished(way), "answer %zu is none", i);
        cut_way();
    }
    is_slow = false;
    turns(now_ms + 200);
    hears(client, "hello", "it is asked again");
    conversation_free(client);
    turn();
    end();
}

TEST(a_start_that_ends)
{
    begin();
    lead();
    struct conversation *clients[3] = {come(), come(), come()};
    say(clients[0], "hello");
    turn();
    hears(clients[0], "hello", "it is served");
    is_slow = true;
    say(clients[1], "hello");
    turn();
    service_shutdown(relays_service(relays));
    for (int i = 0; i < 3; i++) {
        ok(conversation_is_finished(clients[i]), "client %d is told", i);
        conversation_free(clients[i]);
    }
    struct conversation *late = come();
    ok(conversation_is_finished(late), "who comes now, too");
    conversation_free(late);
    is_slow = false;
    turn();
    end();
}

TEST(who_is_sent_away)
{
    begin();
    struct conversation *waiting = come();
    say(waiting, "?");
    relays_send_away(relays, false);
    ok(conversation_is_finished(waiting), "who waits is at its end");
    conversation_free(waiting);
    lead();
    struct conversation *client = come_and_say("hello");
    relays_send_away(relays, false);
    say(client, "more");
    turn();
    ok(!conversation_is_finished(client), "who is served goes on");
    relays_send_away(relays, true);
    ok(!conversation_is_finished(client), "unless all are meant, and hears what was said for it");
    hears(client, "more", "all of it");
    ok(conversation_is_finished(client), "and is at its end, too");
    conversation_free(client);
    turn();
    client = come_and_say("again");
    ok(!conversation_is_finished(client), "who comes later is served");
    conversation_free(client);
    turn();
    end();
}

int main(void)
{
    RUN(bytes_go_both_ways);
    RUN(what_was_said_before_an_end_arrives);
    RUN(who_does_not_read_is_not_read_for);
    RUN(all_clients_together_have_a_limit);
    RUN(who_waits_is_served_when_somebody_leads);
    RUN(patience_ends);
    RUN(a_leader_that_is_lost);
    RUN(this_node_comes_to_lead);
    RUN(limits);
    RUN(who_may_speak_for_clients);
    RUN(what_tls_has_told_goes_along);
    RUN(an_answer_that_makes_no_sense);
    RUN(a_start_that_ends);
    RUN(who_is_sent_away);
    return done();
}
