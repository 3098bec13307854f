/* Queues with priorities: which level a message goes to, what a level costs, and that verbs act on the
 * queue as one. */
#include <stdio.h>

#include "broker/queue_declare.h"
#include "queue/queue_expiry.h"
#include "tests/lib/broker_bench.h"

enum { NO_PRIORITY = -1 };

static struct bench bench;

static struct queue *begin(const char *arguments)
{
    bench_new(&bench);
    bench_turn(&bench, 0);
    return bench_queue(&bench, "q", "d", arguments);
}

static struct queue *find(void)
{
    return vhost_queue(bench.vhost, bytes_str("q"));
}

/* One message to one queue or, with `other`, to two. */
static void publish_timed(struct queue *other, int priority, uint64_t ttl_ms, const char *body)
{
    struct queue *queues[] = {find(), other};
    struct properties properties = {.flags = priority < 0 ? 0 : PROPERTY_PRIORITY,
                                    .priority = (uint8_t)priority};
    uint8_t bytes[64];
    struct writer writer = writer_of(bytes, sizeof(bytes));
    properties_write(&writer, &properties);
    struct message *message =
        message_new(&bench.pool, bytes_str(""), bytes_str("q"),
                    bytes_of(bytes, properties_size(&properties)), (uint32_t)strlen(body));
    message_fill(message, bytes_str(body));
    message->flags = MESSAGE_PERSISTENT;
    message->priority = priority < 0 ? 0 : (uint8_t)priority;
    message->ttl_ms = ttl_ms;
    queue_push(&bench.broker.queues, queues, other ? 2 : 1, message);
    message_unref(&bench.pool, message);
}

static void publish_one(int priority, const char *body)
{
    publish_timed(NULL, priority, MESSAGE_NO_TTL, body);
}

/* Takes the first, which stays taken; its body in `text`. */
static uint64_t take(struct queue *queue, char *text)
{
    struct taken taken = {0};
    text[0] = '\0';
    if (queue_take(queue, false, &taken) != QUEUE_OK)
        return 0;
    struct bytes body = message_body(taken.message);
    memcpy(text, body.data, body.size);
    text[body.size] = '\0';
    message_unref(&bench.pool, taken.message);
    return taken.sequence;
}

/* All that is ready, taken and settled, with spaces in between. */
static const char *drain(struct queue *queue)
{
    static char all[400];
    char text[100];
    size_t size = 0;
    uint64_t position;
    all[0] = '\0';
    while (queue_ready(queue) && (position = take(queue, text))) {
        queue_settle(queue, position);
        size += (size_t)snprintf(all + size, sizeof(all) - size, "%s%s", size ? " " : "", text);
    }
    return all;
}

static void publish_stamped(int priority, uint64_t timestamp)
{
    struct properties properties = {.flags = PROPERTY_PRIORITY | (timestamp ? PROPERTY_TIMESTAMP : 0),
                                    .priority = (uint8_t)priority,
                                    .timestamp = timestamp};
    uint8_t bytes[64];
    struct writer writer = writer_of(bytes, sizeof(bytes));
    properties_write(&writer, &properties);
    struct message *message = message_new(&bench.pool, bytes_str(""), bytes_str("q"),
                                          bytes_of(bytes, properties_size(&properties)), 0);
    message->priority = (uint8_t)priority;
    message->ttl_ms = MESSAGE_NO_TTL;
    queue_push_to(find(), message);
    message_unref(&bench.pool, message);
}

/* Of the queue's first message; -1: none is told. */
static int64_t head(void)
{
    uint64_t timestamp;
    return queue_head_timestamp(find(), &timestamp) ? (int64_t)timestamp : -1;
}

TEST(the_timestamp_of_the_first_message)
{
    static const char *const kinds[] = {"", "x-max-priority=I3"};
    for (size_t i = 0; i < 2; i++) {
        begin(kinds[i]);
        char text[100];
        is_int(head(), -1, "an empty queue has none");
        publish_stamped(0, 500);
        publish_stamped(0, 400);
        publish_stamped(0, 0);
        is_int(head(), 500, "the first one's");
        uint64_t first = take(find(), text);
        is_int(head(), 400, "it is taken: the earlier one of it and the first that is ready");
        uint64_t second = take(find(), text);
        is_int(head(), 500, "what is ready has none");
        queue_give_back(find(), first);
        is_int(head(), 500, "it is back, and the first");
        first = take(find(), text);
        queue_settle(find(), first);
        is_int(head(), 400, "it is gone");
        queue_settle(find(), second);
        is_int(head(), -1, "who has none is first");
        publish_stamped(2, 900);
        is_int(head(), i == 0 ? -1 : 900, "of the highest priority that has messages");
        bench_free(&bench);
    }
}

TEST(the_highest_is_first_and_the_oldest_of_these)
{
    struct queue *queue = begin("x-max-priority=I5");
    publish_one(0, "a");
    publish_one(5, "b");
    publish_one(3, "c");
    publish_one(NO_PRIORITY, "d");
    publish_one(5, "e");
    publish_one(3, "f");
    is_str(drain(queue), "b e c f a d", "the order");
    bench_free(&bench);
}

TEST(what_is_above_the_highest_is_of_the_highest)
{
    struct queue *queue = begin("x-max-priority=I5");
    publish_one(5, "a");
    publish_one(255, "b");
    publish_one(5, "c");
    publish_one(6, "d");
    publish_one(4, "e");
    is_str(drain(queue), "a b c d e", "they are of one level");
    bench_free(&bench);
}

TEST(all_levels_of_the_highest_queue)
{
    char text[100], want[100];
    struct queue *queue = begin("x-max-priority=I255");
    for (int priority = 0; priority < 256; priority++) {
        snprintf(text, sizeof(text), "%d", priority * 37 % 256);
        publish_one(priority * 37 % 256, text);
    }
    bool is_right = true;
    for (int priority = 255; priority >= 0; priority--) {
        uint64_t position = take(queue, text);
        snprintf(want, sizeof(want), "%d", priority);
        is_right &= strcmp(text, want) == 0;
        if (priority % 2)
            queue_settle(queue, position);
        else
            queue_give_back(queue, position);
        if (priority % 2 == 0)
            queue_settle(queue, take(queue, text));
    }
    ok(is_right, "each comes at its place, and again there");
    is_int(queue_ready(queue) + queue->counts->taken, 0, "nothing is left");
    bench_free(&bench);
}

TEST(a_level_costs_when_it_has_a_message)
{
    struct queue *queue = begin("x-max-priority=I255");
    is_int(store_fake_indexes(bench.store), 1, "a queue has one index");
    publish_one(0, "a");
    publish_one(0, "b");
    is_int(store_fake_indexes(bench.store), 1, "which is that of priority 0");
    publish_one(200, "c");
    publish_one(200, "d");
    is_int(store_fake_indexes(bench.store), 2, "another priority has another");
    is_int(bench_queue(&bench, "r", "d", "x-max-priority=I0")->kind == &queue_classic, true,
           "a queue with none but 0 is a classic one");
    is_str(drain(queue), "c d a b", "the order");
    is_int(store_fake_indexes(bench.store), 3, "an index stays, as its numbers are used");
    bench_free(&bench);
}

TEST(counts_are_of_all_levels)
{
    char text[100];
    struct queue *queue = begin("x-max-priority=I9");
    publish_one(1, "1");
    publish_one(9, "four");
    publish_one(4, "22");
    is_int(queue_ready(queue), 3, "ready");
    is_int(queue->counts->ready_bytes, 7, "bytes");
    uint64_t four = take(queue, text), two = take(queue, text);
    is_int(queue_ready(queue), 1, "ready, two of which were taken");
    is_int(queue->counts->taken, 2, "taken");
    is_int(queue->counts->ready_bytes, 1, "bytes of the one");
    queue_settle(queue, four);
    queue_give_back(queue, two);
    is_int(queue->counts->taken, 0, "taken, when one ended and one came back");
    is_int(queue->counts->ready_bytes, 3, "bytes");
    is_int(queue_purge(queue), 2, "a purge takes both");
    is_int(queue->counts->ready + queue->counts->taken + queue->counts->ready_bytes, 0, "nothing");
    bench_free(&bench);
}

TEST(positions_are_of_the_queue)
{
    char text[100];
    struct message *message;
    uint64_t position;
    struct queue *queue = begin("x-max-priority=I9");
    publish_one(1, "low");
    publish_one(8, "high");
    uint64_t high = take(queue, text), low = take(queue, text);
    ok(high != low, "numbers of two levels are not the same");
    ok(queue_fetch(queue, low, &message) == QUEUE_OK &&
           bytes_equal_str(message_body(message), "low"),
       "one is looked at");
    message_unref(&bench.pool, message);
    queue_give_back(queue, low);
    queue_give_back(queue, high);
    ok(queue_take_head(queue, &position) && position == high, "the head is the highest again");
    queue_settle(queue, position);
    is_str(drain(queue), "low", "what is left");
    ok(!queue_take_head(queue, &position), "and then nothing");
    bench_free(&bench);
}

TEST(one_message_in_queues_of_several_kinds)
{
    struct queue *queue = begin("x-max-priority=I9");
    struct queue *other = bench_queue(&bench, "other", "", NULL);
    publish_timed(other, 1, MESSAGE_NO_TTL, "a");
    publish_timed(other, 7, MESSAGE_NO_TTL, "b");
    is_str(drain(other), "a b", "one has them as they came");
    is_str(drain(queue), "b a", "and one as they are urgent");
    bench_free(&bench);
}

TEST(levels_are_found_again)
{
    struct queue *queue = begin("x-max-priority=I255");
    publish_one(0, "a");
    publish_one(255, "b");
    publish_one(77, "c");
    publish_one(77, "d");
    bench_restart(&bench);
    queue = find();
    is_int(queue_ready(queue), 4, "all are there");
    is_str(drain(queue), "b c d a", "in order");
    publish_one(77, "e");
    is_str(drain(queue), "e", "and it goes on");
    is_int(store_fake_indexes(bench.store), 3, "with what there was");
    bench_free(&bench);
}

TEST(all_levels_go_with_the_queue)
{
    struct queue *queue = begin("x-max-priority=I9");
    for (int priority = 0; priority < 5; priority++)
        publish_one(priority, "x");
    is_int(store_fake_indexes(bench.store), 5, "there are five");
    queue_delete(queue);
    is_int(store_fake_indexes(bench.store), 0, "nothing is left");
    bench_free(&bench);
}

TEST(a_quorum_queue_has_32_levels)
{
    struct queue *queue = begin("x-queue-type=Squorum");
    publish_one(NO_PRIORITY, "a");
    publish_one(NO_PRIORITY, "b");
    is_int(store_fake_indexes(bench.store), 1, "messages without a priority need no other index");
    publish_one(0, "c");
    publish_one(4, "d");
    publish_one(31, "e");
    publish_one(32, "f");
    publish_one(5, "g");
    publish_one(3, "h");
    is_str(drain(queue), "e f g a b d h c", "one that has none is as one of 4");
    publish_one(0, "a");
    publish_one(NO_PRIORITY, "b");
    bench_restart(&bench);
    is_str(drain(find()), "b a", "so it is after a restart");
    bench_free(&bench);
}

TEST(heads_of_all_levels_end)
{
    struct queue *queue = begin("x-max-priority=I9");
    publish_timed(NULL, 9, MESSAGE_NO_TTL, "stays");
    publish_timed(NULL, 3, 300, "3");
    publish_timed(NULL, 1, 100, "1");
    publish_timed(NULL, 1, 200, "1b");
    publish_timed(NULL, 5, 200, "5");
    bench_turn(&bench, 99);
    is_int(queue_ready(queue), 5, "none has ended");
    bench_turn(&bench, 1);
    is_int(queue_ready(queue), 4, "the lowest has");
    bench_turn(&bench, 100);
    is_int(queue_ready(queue), 2, "two at a time");
    bench_turn(&bench, 100);
    is_str(drain(queue), "stays", "one does not end");
    bench_free(&bench);
}

TEST(many_end_at_a_time_in_many_levels)
{
    struct queue *queue = begin("x-max-priority=I255 x-message-ttl=I1000");
    for (int i = 0; i < 2560; i++)
        publish_one(i % 256, "x");
    bench_turn(&bench, 1000);
    publish_one(255, "late");
    for (int i = 0; i < 200 && queue_ready(queue) > 1; i++)
        bench_turn(&bench, 0);
    is_int(queue_ready(queue), 1, "what has not ended stays");
    is_str(drain(queue), "late", "it is the last");
    bench_free(&bench);
}

/* While others may be the first of the queue, each level has its own. */
TEST(the_timer_knows_the_head_of_each_level)
{
    char text[100];
    struct queue *queue = begin("x-max-priority=I9");
    publish_timed(NULL, 9, 500, "9");
    publish_timed(NULL, 9, 100, "9b");
    publish_timed(NULL, 2, 1000, "2");
    uint64_t position = take(queue, text);
    bench_turn(&bench, 100);
    is_int(queue_ready(queue), 1, "what became the first has ended");
    queue_give_back(queue, position);
    bench_turn(&bench, 399);
    is_int(queue_ready(queue), 2, "what came back has not");
    bench_turn(&bench, 1);
    is_int(queue_ready(queue), 1, "and now it has");
    bench_turn(&bench, 500);
    is_int(queue_ready(queue), 0, "the other level has its time too");
    bench_free(&bench);
}

int main(void)
{
    RUN(the_timestamp_of_the_first_message);
    RUN(the_highest_is_first_and_the_oldest_of_these);
    RUN(what_is_above_the_highest_is_of_the_highest);
    RUN(all_levels_of_the_highest_queue);
    RUN(a_level_costs_when_it_has_a_message);
    RUN(counts_are_of_all_levels);
    RUN(positions_are_of_the_queue);
    RUN(one_message_in_queues_of_several_kinds);
    RUN(levels_are_found_again);
    RUN(all_levels_go_with_the_queue);
    RUN(a_quorum_queue_has_32_levels);
    RUN(heads_of_all_levels_end);
    RUN(many_end_at_a_time_in_many_levels);
    RUN(the_timer_knows_the_head_of_each_level);
    return done();
}
