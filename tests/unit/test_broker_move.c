/* Messages that are moved: where they go, what they are then, and when they stay. */
#include <stdio.h>

#include "broker/dead_letter.h"
#include "broker/move.h"
#include "broker/queue_declare.h"
#include "tests/lib/amqp_more.h"
#include "tests/lib/broker_bench.h"

static struct bench bench;
static const struct queue *full; /* that the last move has met */

static struct queue *queue_named(const char *name)
{
    return vhost_queue(bench.vhost, bytes_str(name));
}

static struct message *message_in(const char *name)
{
    return store_fake_peek(queue_named(name)->state, 0);
}

static struct bytes headers_in(const char *name)
{
    static struct properties properties;
    properties_read(message_properties(message_in(name)), &properties);
    return properties.headers;
}

/* The only message of a queue, which is at this position. */
static enum moved move_at(const char *name, uint64_t position, const struct move_goal *goal)
{
    struct message *message = message_ref(message_in(name));
    enum moved moved = move_message(queue_named(name), position, message, goal, false, &full);
    message_unref(&bench.pool, message);
    return moved;
}

/* Publishes one to a queue that had none, and moves it. */
static enum moved publish_and_move(const char *name, const char *headers,
                                   const struct move_goal *goal)
{
    uint64_t position = queue_named(name)->kind->next_position(queue_named(name), NULL);
    bench_publish(&bench, "", name, headers, NULL, "body");
    return move_at(name, position, goal);
}

static void die(const char *name)
{
    struct taken taken;
    queue_take(queue_named(name), false, &taken);
    message_unref(&bench.pool, taken.message);
    dead_letter(queue_named(name), taken.sequence, DEATH_REJECTED);
}

static struct move_goal to_queue(const char *name)
{
    return (struct move_goal){.kind = MOVE_TO_QUEUE, .queue = bytes_str(name)};
}

static struct move_goal to_exchange(const char *name, const char *key)
{
    return (struct move_goal){.kind = MOVE_TO_EXCHANGE,
                              .exchange = vhost_exchange(bench.vhost, bytes_str(name)),
                              .routing_key = key ? bytes_str(key) : bytes_of(NULL, 0)};
}

static const struct move_goal back = {.kind = MOVE_BACK};

static void begin(void)
{
    bench_new(&bench);
    bench_queue(&bench, "q", "d", NULL);
    bench_queue(&bench, "other", "d", NULL);
}

static void stays(enum moved got, enum moved wanted, const char *why)
{
    is_int(got, wanted, "%s", why);
    is_int(bench_ready(&bench, "q"), 1, "the message stays: %s", why);
    queue_purge(queue_named("q"));
}

TEST(to_a_queue_as_it_is)
{
    begin();
    uint64_t position = queue_named("q")->kind->next_position(queue_named("q"), NULL);
    bench_exchange(&bench, "x", "fanout", "", NULL);
    bench_bind(&bench, "x", "q", "", NULL);
    bench_publish(&bench, "x", "k", "h=I7", "60000", "body");
    struct move_goal goal = to_queue("other");
    is_int(move_at("q", position, &goal), MOVED, "it is moved");
    is_int(bench_ready(&bench, "q"), 0, "it has left the queue");
    is_int(bench_ready(&bench, "other"), 1, "and is in the other one");
    struct message *message = message_in("other");
    ok(bytes_equal_str(message_exchange(message), "x"), "its exchange is the same");
    ok(bytes_equal_str(message_routing_key(message), "k"), "so is its key");
    ok(bytes_equal_str(message_body(message), "body"), "and its body");
    is_int(message->ttl_ms, 60000, "its time begins again");
    is_int(message->flags, MESSAGE_PERSISTENT, "its flags");
    int64_t value = 0;
    ok(table_find_integer(headers_in("other"), "h", &value) && value == 7, "and its headers");
    bench_free(&bench);
}

TEST(through_an_exchange)
{
    begin();
    bench_exchange(&bench, "x", "direct", "", NULL);
    bench_bind(&bench, "x", "other", "new", NULL);
    struct move_goal goal = to_exchange("x", NULL);
    stays(publish_and_move("q", NULL, &goal), MOVED_NO_QUEUE, "nobody is bound for its own key");
    goal = to_exchange("x", "new");
    is_int(publish_and_move("q", NULL, &goal), MOVED, "somebody is for another one");
    is_int(bench_ready(&bench, "other"), 1, "it is there");
    ok(bytes_equal_str(message_exchange(message_in("other")), "x"), "its exchange is that one");
    ok(bytes_equal_str(message_routing_key(message_in("other")), "new"), "with that key");
    bench_bind(&bench, "x", "q", "new", NULL);
    stays(publish_and_move("q", NULL, &goal), MOVED_IN_CIRCLE, "it would come back as well");
    bench_free(&bench);
}

/* A dead letter in "q" of a message that came to "origin" from exchange "x" with key "k". */
static uint64_t bury(void)
{
    uint64_t position = queue_named("q")->kind->next_position(queue_named("q"), NULL);
    bench_queue(&bench, "origin", "d", "x-dead-letter-exchange=S x-dead-letter-routing-key=Sq");
    bench_exchange(&bench, "x", "fanout", "", NULL);
    bench_bind(&bench, "x", "origin", "", NULL);
    bench_publish(&bench, "x", "k", "h=I7", "60000", "body");
    die("origin");
    is_int(bench_ready(&bench, "q"), 1, "a dead letter");
    return position;
}

TEST(back_to_where_it_died)
{
    begin();
    uint64_t position = bury();
    is_int(move_at("q", position, &back), MOVED, "it is moved");
    is_int(bench_ready(&bench, "q"), 0, "it has left");
    is_int(bench_ready(&bench, "origin"), 1, "and is back");
    struct message *message = message_in("origin");
    ok(bytes_equal_str(message_exchange(message), "x"), "from its exchange");
    ok(bytes_equal_str(message_routing_key(message), "k"), "with its key");
    is_int(message->flags, MESSAGE_PERSISTENT, "its flags");
    ok(message->ttl_ms == MESSAGE_NO_TTL, "its time is not given back");
    struct bytes headers = headers_in("origin"), found;
    int64_t value = 0;
    ok(table_check(headers), "its headers are well-formed");
    ok(table_find_integer(headers, "h", &value) && value == 7, "its own is there");
    ok(!table_find_array(headers, "x-death", &found), "x-death is gone");
    ok(!table_find_string(headers, "x-first-death-queue", &found), "so is the first");
    ok(!table_find_string(headers, "x-last-death-reason", &found), "and the last");
    die("origin");
    struct bytes deaths;
    struct field death, count;
    ok(table_find_array(headers_in("q"), "x-death", &deaths), "it dies again");
    struct reader walk = reader_of(deaths);
    ok(array_next(&walk, &death) &&
           table_find(death.value.bytes, bytes_str("count"), &count) && count.value.integer == 1,
       "which is the first time");
    bench_free(&bench);
}

TEST(no_way_back)
{
    begin();
    stays(publish_and_move("q", NULL, &back), MOVED_NO_DEATH, "it has no headers");
    stays(publish_and_move("q", "x-death=Sno", &back), MOVED_NO_DEATH, "they are not about that");
    stays(publish_and_move("q", "x-death=Aa,b", &back), MOVED_NO_DEATH, "nor is what is in it");
    uint64_t position = bury();
    queue_delete(queue_named("origin"));
    stays(move_at("q", position, &back), MOVED_NO_QUEUE, "its queue is gone");
    bench_free(&bench);
}

TEST(in_the_same_queue)
{
    begin();
    bench_queue(&bench, "self", "d", "x-dead-letter-exchange=S x-dead-letter-routing-key=Sself");
    uint64_t position = queue_named("self")->kind->next_position(queue_named("self"), NULL) + 1;
    bench_publish(&bench, "", "self", NULL, NULL, "body");
    die("self");
    is_int(move_at("self", position, &back), MOVED_IN_CIRCLE, "it is where it died");
    bench_free(&bench);
}

TEST(taken_by_full_queues)
{
    struct move_goal goal;
    begin();
    bench_queue(&bench, "drops", "d", "x-max-length=I1");
    bench_queue(&bench, "refuses", "d", "x-max-length=I1 x-overflow=Sreject-publish");
    bench_queue(&bench, "bytes", "d", "x-max-length-bytes=I7");
    static const char *const names[] = {"drops", "refuses", "bytes"};
    for (size_t i = 0; i < 3; i++) {
        goal = to_queue(names[i]);
        is_int(publish_and_move("q", NULL, &goal), MOVED, "%s has room", names[i]);
        stays(publish_and_move("q", NULL, &goal), MOVED_NOT_TAKEN, names[i]);
        ok(full == queue_named(names[i]), "which queue is full is told");
        is_int(bench_ready(&bench, names[i]), 1, "what was in it is");
    }
    goal = to_queue("none");
    stays(publish_and_move("q", NULL, &goal), MOVED_NO_QUEUE, "there is no such queue");
    bench_free(&bench);
}

TEST(known_already)
{
    struct move_goal goal = to_queue("once");
    begin();
    bench_queue(&bench, "once", "d", "x-message-deduplication=t1");
    is_int(publish_and_move("q", "x-deduplication-header=Sa", &goal), MOVED, "the first one");
    stays(publish_and_move("q", "x-deduplication-header=Sa", &goal), MOVED_DUPLICATE,
          "the second one");
    is_int(publish_and_move("q", "x-deduplication-header=Sb", &goal), MOVED, "another one");
    is_int(bench_ready(&bench, "once"), 2, "they are there");
    bench_free(&bench);
}

TEST(not_now)
{
    struct taken taken;
    struct move_goal goal = to_queue("other");
    begin();
    store_fake_congested(bench.store, true);
    stays(publish_and_move("q", NULL, &goal), MOVED_LATER, "the batch is full");
    store_fake_congested(bench.store, false);
    bench_publish(&bench, "", "q", NULL, NULL, "body");
    queue_take(queue_named("q"), false, &taken);
    is_int(move_message(queue_named("q"), taken.sequence, taken.message, &goal, false, &full),
           MOVED_NOT_READY, "it is with a consumer");
    is_int(bench_ready(&bench, "other"), 0, "nothing was moved");
    message_unref(&bench.pool, taken.message);
    queue_settle(queue_named("q"), taken.sequence);
    uint64_t position = queue_named("q")->kind->next_position(queue_named("q"), NULL);
    bench_publish(&bench, "", "q", NULL, NULL, "body");
    is_int(move_message(queue_named("q"), position, message_in("q"), &goal, true, &full), MOVED,
           "a trial says that it would");
    is_int(bench_ready(&bench, "q"), 1, "and does nothing");
    bench_free(&bench);
}

int main(void)
{
    RUN(to_a_queue_as_it_is);
    RUN(through_an_exchange);
    RUN(back_to_where_it_died);
    RUN(no_way_back);
    RUN(in_the_same_queue);
    RUN(taken_by_full_queues);
    RUN(known_already);
    RUN(not_now);
    return done();
}
