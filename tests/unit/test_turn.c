/* The budget of a turn, over a whole broker in memory: who asks for much does not keep the others
 * waiting, nobody is forgotten, and order stays. Counted in messages and turns, never in time. */
#include <stdio.h>
#include <stdlib.h>

#include "amqp/frame.h"
#include "broker/exchange.h"
#include "broker/queue_declare.h"
#include "store/chunk.h"
#include "tests/lib/spans.h"
#include "tests/lib/tap.h"
#include "tests/script/world.h"

enum { QUEUES = 2000 }; /* a message to all of them costs more than half of a share */

static struct world world;

/* A message of one byte without properties. */
static void add_publish(struct buffer *out, const char *exchange, const char *key, char body)
{
    static const uint8_t header[] = {2, 0, 1, 0, 0, 0, 14, 0, 60, 0, 0,
                                     0, 0, 0, 0, 0, 0, 0,  1, 0,  0, FRAME_END};
    uint8_t frame[] = {3, 0, 1, 0, 0, 0, 1, (uint8_t)body, FRAME_END};
    char text[200];
    snprintf(text, sizeof(text), "basic.publish exchange=\"%s\" routing_key=\"%s\"", exchange, key);
    world_add_method(out, 1, text);
    buffer_add(out, header, sizeof(header));
    buffer_add(out, frame, sizeof(frame));
}

static void send(struct client *client, const struct buffer *bytes)
{
    buffer_add(&client->out, bytes->data, bytes->size);
    world_settle(&world);
}

static void declare(struct client *client, const char *text)
{
    struct buffer bytes = {0};
    world_add_method(&bytes, 1, text);
    send(client, &bytes);
    buffer_free(&bytes);
}

static void input(struct client *client, const char *text)
{
    struct buffer bytes = {0};
    world_add_method(&bytes, 1, text);
    conversation_input(client->connection, buffer_bytes(&bytes));
    buffer_free(&bytes);
}

/* A fanout exchange `all` with many queues. */
static void declare_many(struct client *client)
{
    struct buffer bytes = {0};
    char text[100];
    world_add_method(&bytes, 1, "exchange.declare exchange=all type=fanout nowait=1");
    for (int i = 0; i < QUEUES; i++) {
        snprintf(text, sizeof(text), "queue.declare queue=q%d nowait=1", i);
        world_add_method(&bytes, 1, text);
        snprintf(text, sizeof(text), "queue.bind queue=q%d exchange=all nowait=1", i);
        world_add_method(&bytes, 1, text);
    }
    send(client, &bytes);
    buffer_free(&bytes);
}

static struct queue *queue_of(const char *name)
{
    struct vhost *vhost = vhost_find(&world.broker, bytes_str("/"));
    return vhost_queue(vhost, bytes_str(name));
}

static uint64_t ready(const char *name)
{
    const struct queue *queue = queue_of(name);
    return queue ? queue->counts->ready : UINT64_MAX;
}

static void tick(void)
{
    struct conversation *connection;
    service_tick(world.service, world.now_ms, world.now_ms);
    while ((connection = service_take_writable(world.service)))
        ;
}

static struct bytes many_publishes(struct buffer *out, int count)
{
    for (int i = 0; i < count; i++)
        add_publish(out, "all", "", (char)('A' + i));
    return buffer_bytes(out);
}

TEST(who_asks_for_much_does_so_in_parts)
{
    struct client *one = &world.clients[0], *other = &world.clients[1];
    struct buffer much = {0}, little = {0};
    world_new(&world, false);
    world_log_in(&world, one);
    world_log_in(&world, other);
    declare_many(one);
    declare(other, "queue.declare queue=own");
    tick();
    conversation_input(one->connection, many_publishes(&much, 20));
    uint64_t first = ready("q0");
    ok(first >= 1 && first <= 4, "a part of it is done: %d of 20", (int)first);
    ok(!conversation_has_turn(one->connection), "the rest waits for the next turn");
    is_int(service_next_ms(world.service), 0, "which is at once");
    add_publish(&little, "", "own", 'x');
    ok(conversation_has_turn(other->connection), "another has its turn");
    conversation_input(other->connection, buffer_bytes(&little));
    is_int(ready("own"), 1, "what it sends is done in the same turn");
    int turns = 0;
    while (ready("q0") < 20 && turns < 100) {
        tick();
        turns++;
    }
    ok(turns >= 5 && turns < 30, "all of it is done in several turns: %d", turns);
    is_int(ready("q1999"), 20, "in every queue");
    struct taken taken;
    for (int i = 0; i < 20; i++) {
        if (queue_take(queue_of("q7"), true, &taken) != QUEUE_OK)
            break;
        is_int(message_body(taken.message).data[0], 'A' + i, "message %d is in its place", i);
        message_unref(&world.pool, taken.message);
    }
    buffer_free(&much);
    buffer_free(&little);
    world_free(&world);
}

enum { MANY = 50 };

/* All of many connections want more than a turn has; `light` wants little. */
TEST(a_turn_is_shared)
{
    struct client *first = &world.clients[0];
    struct client many[MANY] = {0}, light = {0};
    struct buffer much = {0}, little = {0};
    world_new(&world, false);
    world_log_in(&world, first);
    declare_many(first);
    declare(first, "queue.declare queue=own");
    for (int i = 0; i < MANY; i++) {
        struct client *client = &world.clients[1];
        world_log_in(&world, client);
        many[i] = *client;
        *client = (struct client){0};
        buffer_free(&many[i].in);
        buffer_free(&many[i].out);
    }
    world_log_in(&world, &world.clients[2]);
    light = world.clients[2];
    world.clients[2] = (struct client){0};
    buffer_free(&light.in);
    buffer_free(&light.out);
    many_publishes(&much, 6);
    add_publish(&little, "", "own", 'x');
    tick();
    bool has_sent[MANY];
    for (int i = 0; i < MANY; i++) {
        has_sent[i] = conversation_has_turn(many[i].connection);
        if (has_sent[i])
            conversation_input(many[i].connection, buffer_bytes(&much));
    }
    uint64_t at_once = ready("q0");
    ok(at_once >= 4 && at_once <= 12, "of all that comes a turn takes what it can: %d",
       (int)at_once);
    /* Those that were not read are read when their turn has come. */
    int turns = 0, waits = 0, longest = 0;
    uint64_t before = at_once, most = 0;
    for (; ready("q0") < 6 * MANY && turns < 1000; turns++) {
        tick();
        for (int i = 0; i < MANY; i++) {
            if (has_sent[i] || !conversation_has_turn(many[i].connection))
                continue;
            conversation_input(many[i].connection, buffer_bytes(&much));
            has_sent[i] = true;
        }
        waits = conversation_has_turn(light.connection) ? 0 : waits + 1;
        if (waits == 0)
            conversation_input(light.connection, buffer_bytes(&little));
        longest = waits > longest ? waits : longest;
        most = ready("q0") - before > most ? ready("q0") - before : most;
        before = ready("q0");
    }
    is_int(ready("q0"), 6 * MANY, "everybody's messages are there in the end");
    ok(most <= 14, "no turn takes more than it can: %d", (int)most);
    ok(longest <= MANY / 4, "who wants little does not wait for all of the others: %d turns of %d",
       longest, turns);
    for (int i = 0; i < MANY; i++)
        conversation_free(many[i].connection);
    conversation_free(light.connection);
    buffer_free(&much);
    buffer_free(&little);
    world_free(&world);
}

enum { EQUALS = 300, MESSAGES = 3000, PAGE = 4096 };

/* The page of memory in which the queue's last message has its entry. */
static uintptr_t last_page(const struct index *index)
{
    const struct chunk *tail = index->chunks[index->chunks_first + index->chunks_count - 1];
    return (uintptr_t)&tail->entries[tail->slots - 1] / PAGE;
}

/* Of how many queues that is another one than before. */
static int count_turned(struct index *const *queues, uintptr_t *pages)
{
    int turned = 0;
    for (int i = 0; i < EQUALS; i++) {
        turned += last_page(queues[i]) != pages[i];
        pages[i] = last_page(queues[i]);
    }
    return turned;
}

/* One message must not make all of its queues grow, nor all of them begin a page, which the system has to
 * clear. */
TEST(queues_that_get_the_same_do_not_grow_together)
{
    struct index *queues[EQUALS];
    uintptr_t pages[EQUALS] = {0};
    int most = 0;
    world_new(&world, false);
    for (int i = 0; i < EQUALS; i++)
        queues[i] = store_queue(world.store, store_queue_id(world.store, i % 2), NULL);
    struct message *message =
        message_new(&world.pool, bytes_of(NULL, 0), bytes_of(NULL, 0), bytes_str("\0"), 0);
    uint64_t before = 0, worst = 0;
    for (int i = 0; i < MESSAGES; i++) {
        store_publish(world.store, message, queues, EQUALS);
        uint64_t bytes = store_stats(world.store)->cache_bytes;
        if (i >= 100 && (bytes - before) * 1000 / before > worst)
            worst = (bytes - before) * 1000 / before;
        before = bytes;
        int turned = count_turned(queues, pages);
        if (i >= 100 && turned > most)
            most = turned;
    }
    ok(worst < 30, "no message makes the queues take more than 3 %% more memory: %d thousandths",
       (int)worst);
    if (spans_are_used())
        ok(most < EQUALS / 5, "and of %d no more than %d begin another page", EQUALS, most);
    else
        skip(1, "blocks are the system's");
    message_unref(&world.pool, message);
    world_free(&world);
}

/* Bodies that are copied cost more than small ones. */
TEST(a_turn_delivers_so_many_bytes)
{
    enum { MESSAGES_OF_4K = 12000 };
    static const uint8_t body[4000];
    struct client *one = &world.clients[0];
    uint64_t most = 0;
    world_new(&world, false);
    world.options.output_bytes_max = 1 << 30;
    world_restart(&world, false);
    world_log_in(&world, one);
    declare(one, "queue.declare queue=q nowait=1");
    struct index *index = queue_of("q")->state;
    struct message *message = message_new(&world.pool, bytes_of(NULL, 0), bytes_str("q"),
                                          bytes_of("\0\0", 2), sizeof(body));
    message_fill(message, bytes_of(body, sizeof(body)));
    for (int i = 0; i < MESSAGES_OF_4K; i++)
        store_publish(world.store, message, &index, 1);
    message_unref(&world.pool, message);
    one->is_deaf = true;
    input(one, "basic.consume queue=q consumer_tag=c nowait=1");
    int turns = 0;
    for (uint64_t before = index->ready; index->ready && turns < 100; turns++) {
        tick();
        most = before - index->ready > most ? before - index->ready : most;
        before = index->ready;
    }
    is_int(index->taken, MESSAGES_OF_4K, "all are delivered");
    ok(turns > 1 && most < MESSAGES_OF_4K, "in %d turns", turns);
    world_free(&world);
}

/* ---- many bindings ---- */

enum { BINDINGS = 6000 };

static struct vhost *vhost(void)
{
    return vhost_find(&world.broker, bytes_str("/"));
}

static size_t bindings(void)
{
    return set_count(&vhost()->bindings);
}

/* A queue `much`, bound many times to an exchange and once to one with auto-delete; all are
 * durable. */
static void declare_bound(struct client *client)
{
    struct buffer bytes = {0};
    char text[100];
    world_add_method(&bytes, 1, "exchange.declare exchange=x type=direct durable=1 nowait=1");
    world_add_method(&bytes, 1,
                     "exchange.declare exchange=last type=fanout durable=1 auto_delete=1 nowait=1");
    world_add_method(&bytes, 1, "queue.declare queue=much durable=1 nowait=1");
    for (int i = 0; i < BINDINGS; i++) {
        snprintf(text, sizeof(text), "queue.bind queue=much exchange=x routing_key=k%d nowait=1",
                 i);
        world_add_method(&bytes, 1, text);
    }
    world_add_method(&bytes, 1, "queue.bind queue=much exchange=last nowait=1");
    send(client, &bytes);
    buffer_free(&bytes);
}

static bool has_exchange(const char *name)
{
    return vhost_exchange(vhost(), bytes_str(name));
}

TEST(many_bindings_go_in_parts)
{
    struct client *one = &world.clients[0], *other = &world.clients[1];
    struct buffer publish = {0};
    world_new(&world, false);
    world_log_in(&world, one);
    world_log_in(&world, other);
    declare_bound(one);
    is_int(bindings(), BINDINGS + 1, "bindings");
    input(one, "queue.delete queue=much nowait=1");
    ok(!queue_of("much"), "the queue is gone at once");
    ok(bindings() > BINDINGS / 2 && bindings() < BINDINGS, "and some of its bindings");
    add_publish(&publish, "x", "k5999", 'x');
    conversation_input(other->connection, buffer_bytes(&publish));
    ok(conversation_wants_input(other->connection), "a message to it goes nowhere");
    input(other, "queue.declare queue=much nowait=1");
    ok(!queue_of("much") && !conversation_wants_input(other->connection),
       "who declares it again has to wait");
    size_t before = bindings(), most = 0;
    int turns = 0;
    for (; bindings() && turns < 100; turns++) {
        tick();
        most = before - bindings() > most ? before - bindings() : most;
        before = bindings();
    }
    ok(turns > 1 && most < BINDINGS / 2, "the rest goes in %d turns", turns);
    ok(!has_exchange("last"), "an exchange that lost its last one goes with them");
    tick();
    tick();
    ok(queue_of("much") && list_is_empty(&queue_of("much")->bindings), "now it can be declared");
    buffer_free(&publish);
    world_free(&world);
}

TEST(an_exchange_goes_in_parts)
{
    struct client *one = &world.clients[0];
    world_new(&world, false);
    world_log_in(&world, one);
    declare_bound(one);
    input(one, "exchange.delete exchange=x nowait=1");
    ok(!has_exchange("x"), "it is gone at once");
    ok(bindings() > BINDINGS / 2, "most of its bindings are not");
    input(one, "exchange.declare exchange=x type=fanout nowait=1");
    ok(!has_exchange("x"), "its name cannot be declared");
    for (int turns = 0; bindings() > 1 && turns < 100; turns++)
        tick();
    is_int(bindings(), 1, "until they are gone, too");
    tick();
    tick();
    ok(has_exchange("x") && has_exchange("last"), "then it can");
    world_free(&world);
}

/* What is written down so far becomes durable, and a few bindings more go. */
static void sync_a_little(void)
{
    for (int i = 0; i < 2; i++) {
        world.now_ms += 200;
        tick();
        while (worker_step(world.syncer))
            ;
    }
}

TEST(what_was_leaving_has_left_after_a_crash)
{
    struct client *one = &world.clients[0];
    world_new(&world, false);
    world_log_in(&world, one);
    declare_bound(one);
    world_advance(&world, 1000);
    input(one, "queue.delete queue=much nowait=1");
    sync_a_little();
    ok(bindings() > BINDINGS / 4, "not all of its bindings have gone when power is lost");
    world_restart(&world, true);
    ok(!queue_of("much"), "the queue is gone");
    is_int(bindings(), 0, "and so are the bindings");
    ok(has_exchange("x") && !has_exchange("last"), "and the exchange that lost its last one");
    world_log_in(&world, one);
    declare(one, "queue.declare queue=much durable=1 nowait=1");
    world_advance(&world, 1000);
    world_restart(&world, true);
    world_restart(&world, false);
    ok(queue_of("much") && bindings() == 0, "nothing comes back with a queue of that name");
    world_free(&world);
}

/* ---- what a connection leaves behind ---- */

enum { DELIVERED = 60000, CHANNELS = 300, OWN_QUEUES = 3000 };

/* Has all of many messages delivered on channel 1. */
static void deliver_many(struct client *client)
{
    struct buffer bytes = {0};
    world_add_method(&bytes, 1, "queue.declare queue=q nowait=1");
    for (int i = 0; i < DELIVERED; i++)
        add_publish(&bytes, "", "q", 'x');
    world_add_method(&bytes, 1, "basic.consume queue=q consumer_tag=c nowait=1");
    send(client, &bytes);
    buffer_free(&bytes);
    buffer_free(&client->in);
    is_int(queue_of("q")->counts->taken, DELIVERED, "all are delivered");
}

/* Turns until all are back; the most that came back in one of them. */
static int turns_until_returned(uint64_t *most)
{
    int turns = 0;
    *most = 0;
    for (uint64_t before = ready("q"); ready("q") < DELIVERED && turns < 1000; turns++) {
        tick();
        *most = ready("q") - before > *most ? ready("q") - before : *most;
        before = ready("q");
    }
    return turns;
}

TEST(a_connection_is_dropped_in_parts)
{
    struct client *one = &world.clients[0], *other = &world.clients[1];
    struct buffer bytes = {0};
    char text[100];
    uint64_t most;
    world_new(&world, false);
    world_log_in(&world, one);
    world_log_in(&world, other);
    deliver_many(one);
    for (int i = 2; i <= CHANNELS; i++) {
        world_add_method(&bytes, (uint16_t)i, "channel.open");
        snprintf(text, sizeof(text), "basic.consume queue=q consumer_tag=c%d nowait=1", i);
        world_add_method(&bytes, (uint16_t)i, text);
    }
    for (int i = 0; i < OWN_QUEUES; i++) {
        snprintf(text, sizeof(text), "queue.declare queue=own%d exclusive=1 nowait=1", i);
        world_add_method(&bytes, 1, text);
    }
    send(one, &bytes);
    tick();
    world_hang_up(one);
    is_int(server_connections(world.server), 1, "the connection is gone at once");
    ok(ready("q") < DELIVERED && queue_of("own2999"), "what it had is not");
    input(other, "queue.declare queue=own2999 exclusive=1 nowait=1");
    ok(conversation_wants_input(other->connection) && queue_of("own2999"),
       "but a queue of its own can be declared by another at once");
    input(other, "queue.declare queue=\"own2997\\x0a\" exclusive=1 nowait=1");
    ok(queue_of("own2997")->exclusive_owner == queue_of("own2999")->exclusive_owner,
       "line ends in its name do not count");
    input(other, "queue.unbind queue=own2996 exchange=amq.fanout");
    ok(!queue_of("own2996"), "nor is one there to be unbound");
    input(other, "queue.bind queue=own2995 exchange=amq.fanout nowait=1");
    ok(!queue_of("own2995"), "or bound");
    int turns = turns_until_returned(&most);
    ok(turns > 2 && most < DELIVERED / 2, "deliveries come back in %d turns", turns);
    for (turns = 0; queue_of("own2998") && turns < 1000; turns++)
        tick();
    ok(turns > 1, "its queues go in %d more", turns);
    for (int i = 0; i < 5; i++)
        tick();
    is_int(queue_of("q")->consumer_count, 0, "it has no consumers any more");
    ok(queue_of("own2999"), "what the other has declared is there");
    ok(!queue_of("own1") && service_next_ms(world.service) > world.now_ms,
       "and nothing is left to do");
    buffer_free(&bytes);
    world_free(&world);
}

/* The next frame that was sent to the client is this method on channel 1? */
static bool was_sent(struct client *client, uint32_t id)
{
    struct frame frame;
    union method method;
    ssize_t size = frame_read(client->in.data, client->in.size, 0, &frame);
    return size > 0 && frame.type == FRAME_METHOD &&
           method_read(frame.payload, &method) == METHOD_OK && method.id == id;
}

TEST(a_channel_is_closed_in_parts)
{
    struct client *one = &world.clients[0];
    uint64_t most;
    world_new(&world, false);
    world_log_in(&world, one);
    deliver_many(one);
    tick();
    input(one, "channel.close reply_code=200 reply_text=bye");
    ok(ready("q") > 0 && ready("q") < DELIVERED, "some deliveries come back at once");
    int turns = turns_until_returned(&most);
    ok(turns >= 2 && most < DELIVERED / 2, "the others in %d turns", turns);
    world_settle(&world);
    ok(was_sent(one, METHOD_CHANNEL_CLOSE_OK), "then it is answered");
    world_free(&world);
}

TEST(an_error_ends_a_channel_in_parts)
{
    struct client *one = &world.clients[0];
    struct buffer bytes = {0};
    uint64_t most;
    world_new(&world, false);
    world_log_in(&world, one);
    deliver_many(one);
    tick();
    input(one, "queue.declare queue=missing passive=1");
    ok(ready("q") < DELIVERED, "deliveries do not come back at once");
    world_add_method(&bytes, 1, "channel.close-ok");
    world_add_method(&bytes, 1, "channel.open");
    conversation_input(one->connection, buffer_bytes(&bytes));
    int turns = turns_until_returned(&most);
    ok(turns > 2 && most < DELIVERED / 2, "but in %d turns", turns);
    world_settle(&world);
    ok(was_sent(one, METHOD_CHANNEL_CLOSE), "the client was told why");
    buffer_drop(&one->in, (size_t)frame_announced_size(one->in.data, one->in.size));
    ok(was_sent(one, METHOD_CHANNEL_OPEN_OK), "and can open it again");
    buffer_free(&bytes);
    world_free(&world);
}

/* Tag 0 stands for what was there when it was said. */
TEST(all_are_settled_in_parts)
{
    static const char *const methods[] = {"basic.nack delivery_tag=0 multiple=1 requeue=1",
                                          "basic.ack delivery_tag=60000 multiple=1",
                                          "basic.ack delivery_tag=0 multiple=1"};
    for (size_t i = 0; i < 3; i++) {
        struct client *one = &world.clients[0];
        world_new(&world, false);
        world_log_in(&world, one);
        deliver_many(one);
        tick();
        input(one, methods[i]);
        ok(!conversation_wants_input(one->connection), "%s takes more than a turn", methods[i]);
        int turns = 0;
        for (; !conversation_wants_input(one->connection) && turns < 1000; turns++)
            tick();
        ok(turns >= 2, "it takes %d", turns);
        struct index *index = queue_of("q")->state;
        is_int(index->ready + index->taken, i ? 0 : DELIVERED, "and then it is done");
        world_free(&world);
    }
}

/* ---- a queue that nobody asked to be deleted ---- */

/* How often the broker has sent this method, in what the client has received; no body holds its
 * bytes. */
static int received(const struct client *client, uint32_t id)
{
    uint8_t bytes[4] = {(uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id};
    int count = 0;
    for (size_t at = 0; at + 4 <= client->in.size; at++)
        count += memcmp(client->in.data + at, bytes, 4) == 0;
    return count;
}

TEST(consumers_are_told_of_a_queue_that_goes_by_itself)
{
    struct client *one = &world.clients[0], *other = &world.clients[1];
    struct buffer bytes = {0};
    world_new(&world, false);
    world_log_in(&world, one);
    world_log_in(&world, other);
    declare(one, "queue.declare queue=q");
    declare(one, "basic.consume queue=q consumer_tag=a");
    declare(one, "basic.consume queue=q consumer_tag=b no_ack=1");
    declare(other, "basic.consume queue=q consumer_tag=c");
    declare(other, "basic.qos prefetch_count=1 global=1");
    add_publish(&bytes, "", "q", '1');
    add_publish(&bytes, "", "q", '2');
    add_publish(&bytes, "", "q", '3');
    send(other, &bytes);
    is_int(received(one, METHOD_BASIC_DELIVER) + received(other, METHOD_BASIC_DELIVER), 3,
           "each has one message");
    queue_delete(queue_of("q"));
    world_settle(&world);
    is_int(received(one, METHOD_BASIC_CANCEL), 2, "both of one channel are told");
    is_int(received(other, METHOD_BASIC_CANCEL), 1, "so is that of the other connection");
    declare(one, "basic.ack delivery_tag=0 multiple=1");
    declare(one, "basic.cancel consumer_tag=a");
    declare(other, "basic.nack delivery_tag=1 requeue=1");
    declare(one, "queue.declare queue=q");
    is_int(received(one, METHOD_CHANNEL_CLOSE) + received(other, METHOD_CHANNEL_CLOSE), 0,
           "what they still had is dealt with");
    is_int(ready("q"), 0, "and the name is free");
    queue_delete(queue_of("q"));
    world_free(&world);
    buffer_free(&bytes);
}

int main(void)
{
    RUN(consumers_are_told_of_a_queue_that_goes_by_itself);
    RUN(a_connection_is_dropped_in_parts);
    RUN(a_channel_is_closed_in_parts);
    RUN(an_error_ends_a_channel_in_parts);
    RUN(all_are_settled_in_parts);
    RUN(a_turn_delivers_so_many_bytes);
    RUN(many_bindings_go_in_parts);
    RUN(an_exchange_goes_in_parts);
    RUN(what_was_leaving_has_left_after_a_crash);
    RUN(queues_that_get_the_same_do_not_grow_together);
    RUN(who_asks_for_much_does_so_in_parts);
    RUN(a_turn_is_shared);
    return done();
}
