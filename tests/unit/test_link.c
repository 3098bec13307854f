/* Links between nodes, over queues in memory: how they come up, what they carry, who is refused,
 * and what is told when one is silent, lost or gone. */
#include "cluster/link.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "tests/lib/disk_memory.h"
#include "tests/lib/tap.h"
#include "tests/sim/link/bench.h"

static struct bench bench;
static char told[2000];                 /* events, as "0:UP(1) "; */
static char told_to[BENCH_NODES][2000]; /* and those of each node */
static size_t raft_frames, raft_bytes;

static void note(char to[2000], const char *text)
{
    size_t used = strlen(to);
    snprintf(to + used, sizeof(told) - used, "%s", text);
}

static void forget(void)
{
    told[0] = told_to[0][0] = told_to[1][0] = told_to[2][0] = '\0';
}

static void on_event(struct bench *it, uint32_t node, const struct link_event *event)
{
    static const char *const names[] = {"SEEN", "DOWN", "GONE", "UP", "ROOM", "FRAME"};
    char text[100];
    uint32_t peer = link_number(event->link);
    (void)it;
    if (event->kind == LINK_EVENT_FRAME && event->frame->type == LINK_RAFT) {
        raft_frames++;
        raft_bytes += event->frame->raft.entries.size;
        return;
    }
    const char *more = event->kind == LINK_EVENT_FRAME
                           ? link_frame_name((uint8_t)event->frame->type)
                       : event->kind == LINK_EVENT_DOWN ? link_reason_name((uint16_t)event->reason)
                       : event->kind == LINK_EVENT_GONE ? link_reason_name((uint16_t)event->reason)
                                                        : "";
    snprintf(text, sizeof(text), "%u:%s(%u%s%s) ", node, names[event->kind], peer ? peer - 1 : 9,
             *more ? " " : "", more);
    note(told, text);
    note(told_to[node], text);
}

static void begin(uint32_t nodes)
{
    bench_init(&bench, 1, nodes);
    bench.event = on_event;
    forget();
    raft_frames = raft_bytes = 0;
    for (uint32_t i = 0; i < nodes; i++)
        bench_start(&bench, i);
}

static void begin_up(void)
{
    begin(2);
    if (!bench_connect(&bench, 0, 1, 1000))
        bail("two nodes do not connect: %s", bench.log);
    bench_run(&bench, 5);
    forget();
}

static struct link *to(uint32_t from, uint32_t other)
{
    return bench.nodes[from].to[other];
}

static bool has(const char *what)
{
    return strstr(told_to[0], what) || strstr(told_to[1], what) || strstr(told_to[2], what);
}

/* ---- up ---- */

TEST(two_nodes_come_up)
{
    begin(2);
    ok(bench_connect(&bench, 0, 1, 200), "soon");
    bench_run(&bench, 2);
    ok(has("0:SEEN(1) 0:UP(1) ") && has("1:SEEN(0) 1:UP(0) "), "both are told: %s", told);
    is_str(link_name(to(0, 1)), "leveret@node1", "its name");
    is_int(link_incarnation(to(0, 1)), bench.nodes[1].identity.incarnation, "its start");
    forget();
    bench_run(&bench, 20000);
    is_str(told, "", "and it stays");
    ok(link_echo_ms(to(0, 1)) <= 4 && link_echo_ms(to(0, 1)) > 0, "echoes come back: %u ms",
       (unsigned)link_echo_ms(to(0, 1)));
    bench_free(&bench);
}

TEST(three_nodes_come_up_whoever_dials_first)
{
    uint32_t slow = 0, restless = 0;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        bench_init(&bench, seed, 3);
        bench.event = on_event;
        forget();
        for (uint32_t i = 0; i < 3; i++) {
            bench_start(&bench, (i + (uint32_t)seed) % 3);
            bench_run(&bench, random_below(&bench.random, seed % 2 ? 5 : 500));
        }
        bench_run(&bench, 1500);
        slow +=
            !bench_is_up(&bench, 0, 1) || !bench_is_up(&bench, 0, 2) || !bench_is_up(&bench, 1, 2);
        restless += has("DOWN");
        bench_free(&bench);
    }
    is_int(slow, 0, "all are connected in 1.5 s");
    is_int(restless, 0, "and no link was made twice");
}

TEST(frames_arrive)
{
    static uint8_t large[300000];
    const uint64_t groups[] = {5, 6};
    uint8_t room[16];
    union link_frame frame;
    const struct engine_message vote = {
        .type = ENGINE_VOTE, .peer = 2 << 16 | 1, .term = 3, .index = 1, .index_term = 1};
    const struct engine_message append = {
        .type = ENGINE_APPEND, .peer = 2 << 16 | 1, .term = 3, .count = 1};
    const struct engine_entry entry = {3, ENGINE_RECORDS, NULL};
    const struct link_body body = {.records = bytes_of(large, sizeof(large))};
    begin_up();
    frame.lease = (struct link_lease){LINK_LEASE, 1, 2, 3, 0, link_numbers_of(room, groups, 2), {{0}}};
    is_int(link_send(to(0, 1), &frame), LINK_SENT, "a lease is asked for");
    frame.grant = (struct link_grant){LINK_GRANT, 1, link_numbers_of(room, groups, 2)};
    is_int(link_send(to(1, 0), &frame), LINK_SENT, "and granted");
    is_int(link_send_raft(to(0, 1), 7, 1, 1 << 16 | 1, &vote, NULL, NULL), LINK_SENT, "a vote");
    is_int(link_send_raft(to(0, 1), 7, 1, 1 << 16 | 1, &append, &entry, &body), LINK_SENT,
           "an entry");
    bench_run(&bench, 50);
    ok(has("1:FRAME(0 LEASE)") && has("0:FRAME(1 GRANT)"), "they arrive: %s", told);
    is_int(raft_frames, 2, "as do messages of a group");
    is_int(raft_bytes, 34 + sizeof(large), "with their entries");
    is_int(link_unsent(to(0, 1)), 0, "nothing is left");
    bench_free(&bench);
}

TEST(members_are_of_their_nodes)
{
    const struct engine_message vote = {
        .type = ENGINE_VOTE, .peer = 2 << 16 | 1, .term = 3, .index = 1, .index_term = 1};
    begin_up();
    link_send_raft(to(0, 1), 7, 1, 3 << 16 | 1, &vote, NULL, NULL);
    bench_run(&bench, 20);
    ok(has("1:DOWN(0 WRONG)"), "a message of another node's member ends the link: %s", told);
    is_int(raft_frames, 0, "and is not taken");
    bench_free(&bench);
}

/* ---- down ---- */

TEST(silence_is_noticed)
{
    begin_up();
    bench.is_blocked[0][1] = true;
    bench_run(&bench, 740 - LINK_PING_MS);
    is_str(told, "", "not at once");
    bench_run(&bench, 20 + LINK_PING_MS);
    ok(has("1:DOWN(0 SILENT)"), "who hears nothing ends it: %s", told);
    ok(has("0:DOWN(1 LOST)"), "and so the other one hears of it");
    ok(!has("GONE"), "neither is gone");
    bench_run(&bench, 1500);
    ok(!bench_is_up(&bench, 0, 1), "it does not come up half");
    bench.is_blocked[0][1] = false;
    ok(bench_connect(&bench, 0, 1, 6500), "it comes up when all is well");
    bench_free(&bench);
}

TEST(a_killed_process_is_gone)
{
    begin_up();
    bench_kill(&bench, 1);
    bench_run(&bench, 10);
    is_str(told, "0:DOWN(1 LOST) 0:GONE(1 LOST) ", "that is told at once, and once");
    bench_run(&bench, 5000);
    is_str(told, "0:DOWN(1 LOST) 0:GONE(1 LOST) ", "and not again");
    bench_start(&bench, 1);
    ok(bench_connect(&bench, 0, 1, 3000), "it comes back");
    bench_run(&bench, 2);
    ok(has("0:SEEN(1) 0:UP(1) "), "as a new start: %s", told);
    bench_free(&bench);
}

TEST(a_new_start_says_that_the_old_one_is_gone)
{
    begin_up();
    bench.is_walled[0][1] = true;
    bench_kill(&bench, 1);
    bench_run(&bench, 500);
    is_str(told, "0:DOWN(1 LOST) ", "behind a wall it cannot be told from one that is silent");
    bench.is_walled[0][1] = false;
    bench_start(&bench, 1);
    ok(bench_connect(&bench, 0, 1, 5000), "it starts again");
    bench_run(&bench, 2);
    ok(has("0:DOWN(1 LOST) 0:GONE(1 RESTARTED) 0:SEEN(1) 0:UP(1) "), "so the old one is gone: %s",
       told);
    bench_free(&bench);
}

TEST(a_reset_connection_is_not_gone)
{
    begin_up();
    bench_reset(&bench, bench_pipe(&bench, 0, 1, LINK_WAY_DATA), 0);
    bench_run(&bench, 5);
    ok(has("0:DOWN(1 LOST)") && has("1:DOWN(0 LOST)"), "both are down: %s", told);
    ok(bench_connect(&bench, 0, 1, 500), "and soon up again");
    bench_run(&bench, 3000);
    ok(!has("GONE"), "nobody was gone: %s", told);
    bench_free(&bench);
}

TEST(a_goodbye_is_believed)
{
    begin_up();
    service_shutdown(links_service(bench.nodes[1].links));
    bench_run(&bench, 20);
    ok(has("0:DOWN(1 ") && has("0:GONE(1 SHUTDOWN) "), "the other is told: %s", told);
    bench_free(&bench);
}

TEST(a_goodbye_may_come_behind_the_end_of_data)
{
    uint32_t missed = 0;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        begin_up();
        random_init(&bench.random, seed);
        struct bench_pipe *control = bench_pipe(&bench, 0, 1, LINK_WAY_CONTROL);
        control->holds_until_ms[0] = control->holds_until_ms[1] = bench.now_ms + seed % 7;
        service_shutdown(links_service(bench.nodes[1].links));
        bench_run(&bench, 50);
        missed += !has("0:GONE(1 SHUTDOWN) ");
        bench_free(&bench);
    }
    is_int(missed, 0, "whatever comes first");
}

/* ---- bounds ---- */

TEST(output_is_bounded)
{
    static uint8_t large[60000];
    const struct engine_message append = {
        .type = ENGINE_APPEND, .peer = 2 << 16 | 1, .term = 3, .count = 1};
    const struct engine_entry entry = {3, ENGINE_RECORDS, NULL};
    const struct link_body body = {.records = bytes_of(large, sizeof(large))};
    enum link_sent sent;
    size_t most = 0, count = 0;
    begin_up();
    while ((sent = link_send_raft(to(0, 1), 7, 1, 1 << 16 | 1, &append, &entry, &body)) ==
               LINK_SENT &&
           count < 1000) {
        most = link_unsent(to(0, 1)) > most ? link_unsent(to(0, 1)) : most;
        count++;
    }
    is_int(sent, LINK_FULL, "it is full after %zu", count);
    ok(most <= LINK_OUTPUT_BYTES + 65536 && most > LINK_OUTPUT_BYTES / 2, "at %zu bytes", most);
    ok(!has("ROOM"), "nothing has gone yet");
    bench_run(&bench, 1000);
    ok(has("0:ROOM(1)"), "there is room again: %s", told);
    is_int(raft_frames, count, "what was taken arrives");
    ok(!has("DOWN"), "and the link stays");
    bench_free(&bench);
}

TEST(a_large_frame_goes_alone)
{
    uint8_t *large = mem_zalloc(LINK_OUTPUT_BYTES + 1000);
    const struct engine_message append = {
        .type = ENGINE_APPEND, .peer = 2 << 16 | 1, .term = 3, .count = 1};
    const struct engine_entry entry = {3, ENGINE_RECORDS, NULL};
    const struct link_body body = {.records = bytes_of(large, LINK_OUTPUT_BYTES + 1000)};
    begin_up();
    is_int(link_send_raft(to(0, 1), 7, 1, 1 << 16 | 1, &append, &entry, &body), LINK_SENT,
           "taken");
    is_int(link_send_raft(to(0, 1), 7, 1, 1 << 16 | 1, &append, &entry, &body), LINK_FULL,
           "not a second one");
    bench_run(&bench, 2000);
    is_int(raft_bytes, 34 + LINK_OUTPUT_BYTES + 1000, "it arrives");
    bench_free(&bench);
    mem_free(large);
}

TEST(who_takes_nothing_is_given_up)
{
    union link_frame frame = {.grant = {.type = LINK_GRANT, .sent_ms = 1}};
    uint64_t sent = 0;
    begin_up();
    while (link_send(to(0, 1), &frame) == LINK_SENT && sent < 1000000)
        sent++;
    ok(sent > 10000 && sent < 100000, "control has its bound: %u", (unsigned)sent);
    bench_run(&bench, 3);
    ok(has("0:DOWN(1 SLOW)"), "behind which the link ends: %s", told);
    bench_free(&bench);
}

TEST(stuck_data_ends_the_link)
{
    static uint8_t large[600000];
    const struct engine_message append = {
        .type = ENGINE_APPEND, .peer = 2 << 16 | 1, .term = 3, .count = 1};
    const struct engine_entry entry = {3, ENGINE_RECORDS, NULL};
    const struct link_body body = {.records = bytes_of(large, sizeof(large))};
    begin_up();
    struct bench_pipe *data = bench_pipe(&bench, 0, 1, LINK_WAY_DATA);
    data->holds_until_ms[0] = data->holds_until_ms[1] = UINT64_MAX;
    link_send_raft(to(0, 1), 7, 1, 1 << 16 | 1, &append, &entry, &body);
    bench_run(&bench, 4900);
    is_str(told, "", "control is well, and it waits");
    bench_run(&bench, 200);
    ok(has("0:DOWN(1 SLOW)"), "but not for ever: %s", told);
    bench_free(&bench);
}

/* ---- who is refused ---- */

/* A node that only a test speaks for. */
struct stranger {
    struct conversation *conversation;
    struct link_hello hello;
    uint8_t nonces[16];
};

static struct stranger stranger(enum link_way way)
{
    static const uint8_t id[NODE_ID_BYTES] = "\x77 some other one";
    const struct node_identity *self = &bench.nodes[0].identity;
    struct stranger it = {.hello = {.type = LINK_HELLO,
                                    .magic = LINK_MAGIC,
                                    .version_min = 1,
                                    .version_max = 1,
                                    .way = (uint8_t)way,
                                    .session = 99,
                                    .incarnation = 1,
                                    .name = bytes_str("x@y")}};
    const struct peer peer = {.name = "stranger"};
    memcpy(it.hello.cluster, self->cluster, NODE_ID_BYTES);
    memcpy(it.hello.node, id, NODE_ID_BYTES);
    service_woken(links_service(bench.nodes[0].links), bench.now_ms);
    it.conversation = service_accept(links_service(bench.nodes[0].links), &peer, NULL);
    bench.refused[0] = '\0';
    return it;
}

/* Reads what it was answered, at most so much; conversation is over? */
static bool answer(struct stranger *it, union link_frame *frame, struct buffer *bytes)
{
    struct iovec parts[8];
    int count = conversation_output(it->conversation, parts, 8);
    for (int i = 0; i < count; i++) {
        buffer_add(bytes, parts[i].iov_base, parts[i].iov_len);
        conversation_sent(it->conversation, parts[i].iov_len);
    }
    struct link_piece piece;
    frame->type = 0;
    if (bytes->size && link_piece_read(buffer_bytes(bytes), &piece) > 0)
        link_frame_read(piece.type, piece.payload, frame);
    return conversation_is_finished(it->conversation);
}

static void say_hello(struct stranger *it, uint64_t first, uint64_t second)
{
    const uint64_t nonces[] = {first, second};
    struct buffer out = {0};
    uint8_t header[LINK_PIECE_HEADER];
    union link_frame frame = {.hello = it->hello};
    frame.hello.nonces = link_numbers_of(it->nonces, nonces, second ? 2 : 1);
    link_frame_write(&out, &frame);
    link_piece_write_header(header, LINK_HELLO, false, out.size);
    conversation_input(it->conversation, bytes_of(header, sizeof(header)));
    conversation_input(it->conversation, buffer_bytes(&out));
    buffer_free(&out);
}

static void end(struct stranger *it)
{
    conversation_free(it->conversation);
}

/* It is told why, and the log says what to do. */
static void is_refused(struct stranger *it, enum link_reason reason, const char *name)
{
    struct buffer bytes = {0};
    union link_frame frame;
    ok(answer(it, &frame, &bytes), "%s: refused", name);
    ok(frame.type == LINK_BYE && frame.bye.reason == reason, "%s: it is told %s", name,
       frame.type == LINK_BYE ? link_reason_name(frame.bye.reason) : "something else");
    ok(strstr(bench.refused, link_reason_why((uint16_t)reason)) &&
           strstr(bench.refused, link_reason_what((uint16_t)reason)),
       "%s: %s", name, bench.refused);
    buffer_free(&bytes);
    end(it);
}

static void is_taken(struct stranger *it, const char *name)
{
    struct buffer bytes = {0};
    union link_frame frame;
    ok(!answer(it, &frame, &bytes) && frame.type == LINK_HELLO, "%s: taken (%s)", name,
       bench.refused);
    buffer_free(&bytes);
}

static struct link *know(const struct stranger *it)
{
    struct link_peer peer = {.number = 9};
    memcpy(peer.node, it->hello.node, NODE_ID_BYTES);
    return links_add(bench.nodes[0].links, &peer);
}

TEST(who_does_not_fit_is_refused)
{
    begin(1);
    struct stranger it = stranger(LINK_WAY_CONTROL);
    it.hello.magic = 1;
    say_hello(&it, 5, 0);
    is_refused(&it, LINK_REASON_WRONG, "another protocol");
    it = stranger(LINK_WAY_CONTROL);
    it.hello.version_min = 2;
    it.hello.version_max = 3;
    say_hello(&it, 5, 0);
    is_refused(&it, LINK_REASON_VERSION, "later versions alone");
    it = stranger(LINK_WAY_CONTROL);
    it.hello.cluster[0]++;
    say_hello(&it, 5, 0);
    is_refused(&it, LINK_REASON_CLUSTER, "another cluster");
    it = stranger(LINK_WAY_CONTROL);
    it.hello.cluster_generation = 1;
    say_hello(&it, 5, 0);
    is_refused(&it, LINK_REASON_GENERATION, "another generation of it");
    it = stranger(LINK_WAY_CONTROL);
    memcpy(it.hello.node, bench.nodes[0].identity.node, NODE_ID_BYTES);
    say_hello(&it, 5, 0);
    is_refused(&it, LINK_REASON_SELF, "itself");
    it = stranger(LINK_WAY_CONTROL);
    say_hello(&it, 5, 0);
    is_refused(&it, LINK_REASON_UNKNOWN, "nobody knows it");
    it = stranger(LINK_WAY_DATA);
    know(&it);
    say_hello(&it, 5, 0);
    is_refused(&it, LINK_REASON_SESSION, "data without control");
    it = stranger(LINK_WAY_CONTROL);
    say_hello(&it, 5, 0);
    is_taken(&it, "a node that is known");
    end(&it);
    bench_free(&bench);
}

TEST(a_backup_is_refused)
{
    begin(1);
    struct stranger it = stranger(LINK_WAY_CONTROL);
    know(&it);
    it.hello.incarnation = 5;
    say_hello(&it, 1, 2);
    is_taken(&it, "the first time anything goes");
    end(&it);
    it = stranger(LINK_WAY_CONTROL);
    it.hello.incarnation = 4;
    say_hello(&it, 1, 0);
    is_refused(&it, LINK_REASON_OLD_INCARNATION, "an earlier start");
    it = stranger(LINK_WAY_CONTROL);
    it.hello.incarnation = 6;
    say_hello(&it, 1, 3);
    is_refused(&it, LINK_REASON_RESTORED, "a list without the last nonce");
    it = stranger(LINK_WAY_CONTROL);
    it.hello.incarnation = 5;
    say_hello(&it, 2, 3);
    is_refused(&it, LINK_REASON_RESTORED, "the same start with another nonce");
    it = stranger(LINK_WAY_CONTROL);
    it.hello.incarnation = 6;
    say_hello(&it, 2, 3);
    is_taken(&it, "a later start that knows the last one");
    end(&it);
    bench_free(&bench);
}

TEST(a_node_of_no_cluster_may_ask_to_join)
{
    begin(1);
    bench_kill(&bench, 0);
    bench.nodes[0].options.admits = true;
    bench_start(&bench, 0);
    struct stranger it = stranger(LINK_WAY_CONTROL);
    memset(it.hello.cluster, 0, NODE_ID_BYTES);
    say_hello(&it, 5, 0);
    is_taken(&it, "where strangers are admitted");
    struct link *link = links_find(bench.nodes[0].links, it.hello.node);
    ok(link && !link_is_up(link), "there is a link to it");
    links_forget(bench.nodes[0].links, link);
    ok(!links_find(bench.nodes[0].links, it.hello.node), "until it is forgotten");
    union link_frame frame;
    struct buffer bytes = {0};
    answer(&it, &frame, &bytes);
    buffer_free(&bytes);
    ok(conversation_is_finished(it.conversation), "and told so");
    end(&it);
    bench_free(&bench);
}

TEST(who_joins_is_not_found_by_who_looks_for_another)
{
    union link_frame frame;
    struct buffer bytes = {0};
    begin(1);
    memset(bench.nodes[0].identity.cluster, 0, NODE_ID_BYTES);
    struct stranger it = stranger(LINK_WAY_CONTROL);
    memset(it.hello.cluster, 7, NODE_ID_BYTES);
    say_hello(&it, 5, 0);
    ok(answer(&it, &frame, &bytes) && frame.type == LINK_BYE && frame.bye.reason == LINK_REASON_DOUBLE,
       "it calls the others itself");
    buffer_free(&bytes);
    end(&it);
    bench_free(&bench);
}

TEST(a_stranger_has_to_say_something)
{
    static const uint8_t half[4090] = {LINK_HELLO, 0, 0, 0, 0, 0, 0xff, 0};
    begin(1);
    struct stranger silent = stranger(LINK_WAY_CONTROL);
    struct stranger slow = stranger(LINK_WAY_CONTROL);
    conversation_input(slow.conversation, bytes_of(half, 4000));
    bench_run(&bench, LINK_HELLO_MS - 1);
    ok(!conversation_is_finished(silent.conversation), "it has its time");
    bench_run(&bench, 1);
    union link_frame frame;
    struct buffer bytes = {0};
    ok(answer(&silent, &frame, &bytes) && frame.type == LINK_BYE &&
           frame.bye.reason == LINK_REASON_LATE,
       "and no more");
    buffer_free(&bytes);
    end(&silent);
    end(&slow);
    struct stranger large = stranger(LINK_WAY_CONTROL);
    conversation_input(large.conversation, bytes_of(half, sizeof(half)));
    ok(!bench.refused[0], "4090 bytes may become a HELLO");
    conversation_input(large.conversation, bytes_of(half + 100, 6));
    is_refused(&large, LINK_REASON_WRONG, "4096 that are not");
    bench_free(&bench);
}

TEST(strangers_are_few)
{
    struct stranger all[LINK_STRANGERS_MAX + 1];
    begin(1);
    for (size_t i = 0; i <= LINK_STRANGERS_MAX; i++)
        all[i] = stranger(LINK_WAY_CONTROL);
    ok(!conversation_is_finished(all[LINK_STRANGERS_MAX - 1].conversation), "so many");
    ok(conversation_is_finished(all[LINK_STRANGERS_MAX].conversation), "and no more");
    for (size_t i = 0; i <= LINK_STRANGERS_MAX; i++)
        end(&all[i]);
    struct stranger next = stranger(LINK_WAY_CONTROL);
    ok(!conversation_is_finished(next.conversation), "when they have gone others may come");
    end(&next);
    bench_free(&bench);
}

/* ---- clients that another node speaks for ---- */

static char lost_reason[200];
static struct service served;

static bool is_never(const struct conversation *conversation)
{
    (void)conversation;
    return false;
}

static void ignore(struct conversation *conversation, struct bytes bytes)
{
    (void)conversation, (void)bytes;
}

static int say_nothing(struct conversation *conversation, struct iovec *parts, int max)
{
    (void)conversation, (void)parts, (void)max;
    return 0;
}

static void note_lost(struct conversation *conversation, const char *reason)
{
    (void)conversation;
    snprintf(lost_reason, sizeof(lost_reason), "%s", reason);
}

static void free_client(struct conversation *conversation)
{
    mem_free(conversation);
}

static struct conversation *serve(struct service *service, const struct peer *peer)
{
    static const struct conversation_ops ops = {.input = ignore,
                                                .output = say_nothing,
                                                .is_finished = is_never,
                                                .lost = note_lost,
                                                .free = free_client};
    struct conversation *client = mem_zalloc(sizeof(*client));
    (void)service, (void)peer;
    conversation_init(client, &ops);
    return client;
}

/* Node 0 serves clients, and node 1 speaks for some. */
static void begin_serving(void)
{
    static const struct service_ops ops = {.accept = serve};
    begin_up();
    service_init(&served, &ops);
    links_serve(bench.nodes[0].links, LINK_CLIENT_AMQP, &served);
}

static struct stranger come(uint64_t client)
{
    struct stranger it = stranger(LINK_WAY_CONTROL);
    struct buffer out = {0}, answered = {0};
    uint8_t header[LINK_PIECE_HEADER];
    union link_frame frame = {.relay = {.type = LINK_RELAY,
                                        .magic = LINK_MAGIC,
                                        .version_min = LINK_VERSION,
                                        .version_max = LINK_VERSION,
                                        .client = client,
                                        .peer = bytes_str("192.0.2.7:1234"),
                                        .local = bytes_str("192.0.2.1:5672")}};
    memcpy(frame.relay.cluster, bench.nodes[0].identity.cluster, NODE_ID_BYTES);
    memcpy(frame.relay.node, bench.nodes[1].identity.node, NODE_ID_BYTES);
    link_frame_write(&out, &frame);
    link_piece_write_header(header, LINK_RELAY, false, out.size);
    conversation_input(it.conversation, bytes_of(header, sizeof(header)));
    conversation_input(it.conversation, buffer_bytes(&out));
    lost_reason[0] = '\0';
    ok(!answer(&it, &frame, &answered) && frame.type == LINK_RELAYED, "client %u is served", (unsigned)client);
    buffer_free(&answered);
    buffer_free(&out);
    return it;
}

static bool is_over(const struct stranger *it)
{
    return conversation_is_finished(it->conversation);
}

TEST(a_client_that_comes_anew_has_gone_before)
{
    begin_serving();
    struct stranger first = come(7), other = come(8), nameless = come(0), nameless_too = come(0);
    struct stranger second = come(7);
    ok(is_over(&first), "its connection of before ends: %s", lost_reason);
    ok(!is_over(&other) && !is_over(&nameless) && !is_over(&nameless_too), "nobody else's does");
    end(&first);
    struct stranger third = come(7);
    ok(is_over(&second), "so does the second one");
    end(&second);
    end(&third);
    struct stranger fourth = come(7);
    is_str(lost_reason, "", "one that has gone by itself is gone");
    end(&fourth);
    end(&other);
    end(&nameless);
    end(&nameless_too);
    bench_free(&bench);
}

TEST(clients_go_with_who_speaks_for_them)
{
    begin_serving();
    struct stranger first = come(7);
    bench_kill(&bench, 1);
    bench_run(&bench, 10);
    ok(has("GONE") && is_over(&first), "its process ends: %s", lost_reason);
    end(&first);
    bench_free(&bench);
}

TEST(clients_outlive_a_short_silence)
{
    begin_serving();
    struct stranger first = come(7);
    bench.is_blocked[0][1] = bench.is_blocked[1][0] = true;
    bench_run(&bench, LINK_SILENT_MS + LINK_CARRY_MS / 2);
    ok(has("DOWN") && !is_over(&first), "a link may be down for a while");
    bench.is_blocked[0][1] = bench.is_blocked[1][0] = false;
    bench_run(&bench, LINK_CARRY_MS);
    ok(bench_is_up(&bench, 0, 1) && !is_over(&first), "and comes up again");
    bench.is_blocked[0][1] = bench.is_blocked[1][0] = true;
    bench_run(&bench, LINK_CARRY_MS);
    ok(!is_over(&first), "it has as long again");
    bench_run(&bench, 2 * LINK_SILENT_MS);
    ok(is_over(&first), "and no longer: %s", lost_reason);
    end(&first);
    bench_free(&bench);
}

TEST(clients_of_a_member_that_is_forgotten)
{
    begin_serving();
    struct stranger first = come(7);
    links_forget(bench.nodes[0].links, to(0, 1));
    bench.nodes[0].to[1] = NULL;
    ok(is_over(&first), "are served no more: %s", lost_reason);
    end(&first);
    bench_free(&bench);
}

TEST(frames_that_are_wrong_end_the_link)
{
    const uint8_t send[] = {LINK_SEND, 0, 0, 0, 0, 0, 0, 0};
    begin_up();
    struct bench_pipe *control = bench_pipe(&bench, 0, 1, LINK_WAY_CONTROL);
    buffer_add(&control->ways[0], send, sizeof(send));
    bench_run(&bench, 10);
    ok(has("DOWN(") && has("WRONG)"), "and say so: %s", told);
    ok(bench_connect(&bench, 0, 1, 3000), "it is tried again");
    bench_free(&bench);
}

TEST(a_node_that_lost_its_folder_is_another)
{
    begin_up();
    bench_kill(&bench, 1);
    bench_run(&bench, 20);
    disk_memory_free(bench.nodes[1].disk);
    bench.nodes[1].disk = disk_memory_new();
    bench.nodes[1].identity.node[5] ^= 1;
    bench_start(&bench, 1);
    forget();
    bench_run(&bench, 3000);
    ok(!has("UP"), "it is not taken for the old one: %s", told);
    ok(strstr(bench.refused, "another node answers") || strstr(bench.refused, "no member") ||
           strstr(bench.refused, "different clusters"),
       "%s", bench.refused);
    bench_free(&bench);
}

int main(void)
{
    RUN(two_nodes_come_up);
    RUN(three_nodes_come_up_whoever_dials_first);
    RUN(frames_arrive);
    RUN(members_are_of_their_nodes);
    RUN(silence_is_noticed);
    RUN(a_killed_process_is_gone);
    RUN(a_new_start_says_that_the_old_one_is_gone);
    RUN(a_reset_connection_is_not_gone);
    RUN(a_goodbye_is_believed);
    RUN(a_goodbye_may_come_behind_the_end_of_data);
    RUN(output_is_bounded);
    RUN(a_large_frame_goes_alone);
    RUN(who_takes_nothing_is_given_up);
    RUN(stuck_data_ends_the_link);
    RUN(who_does_not_fit_is_refused);
    RUN(a_backup_is_refused);
    RUN(a_node_of_no_cluster_may_ask_to_join);
    RUN(who_joins_is_not_found_by_who_looks_for_another);
    RUN(a_stranger_has_to_say_something);
    RUN(strangers_are_few);
    RUN(a_client_that_comes_anew_has_gone_before);
    RUN(clients_go_with_who_speaks_for_them);
    RUN(clients_outlive_a_short_silence);
    RUN(clients_of_a_member_that_is_forgotten);
    RUN(frames_that_are_wrong_end_the_link);
    RUN(a_node_that_lost_its_folder_is_another);
    return done();
}
