/* What a conversation has to send: order, what is lent, and memory, against plain bytes as a model. */
#include "peer/output.h"

#include <string.h>

#include "base/buffer.h"
#include "base/random.h"
#include "tests/lib/tap.h"

enum { ROUNDS = 20000, PARTS = 5, COPY_MAX = 3000, BODY_SIZE = 50000 };

static struct message_pool messages;
static struct output_pool outputs;
static struct output output;
static struct buffer model; /* all that is unsent */
static uint8_t counter;     /* so that no two bytes beside each other are equal */

static void begin(void)
{
    message_pool_init(&messages);
    output_pool_init(&outputs, &messages);
    output = (struct output){0};
}

static void end(void)
{
    output_free(&outputs, &output);
    output_pool_free(&outputs);
    message_pool_free(&messages);
    buffer_free(&model);
}

static void add_copy(size_t size)
{
    uint8_t *at = output_room(&outputs, &output, size);
    for (size_t i = 0; i < size; i++)
        at[i] = counter++;
    buffer_add(&model, at, size);
    output_added(&output, size);
}

static struct message *message_of(size_t size)
{
    struct bytes none = bytes_of(NULL, 0);
    struct message *message = message_new(&messages, none, none, none, (uint32_t)size);
    for (size_t i = 0; i < size; i++, counter++)
        message_fill(message, bytes_of(&counter, 1));
    return message;
}

static void add_body(struct message *message, size_t from, size_t size)
{
    struct bytes part = bytes_of(message_body(message).data + from, size);
    output_add_body(&output, message, part);
    buffer_add(&model, part.data, part.size);
}

/* Are these the first bytes that are unsent? Their number, or -1. */
static ssize_t matches(const struct iovec *parts, int count)
{
    size_t at = 0;
    for (int i = 0; i < count; i++) {
        if (parts[i].iov_len == 0 || at + parts[i].iov_len > model.size ||
            memcmp(parts[i].iov_base, model.data + at, parts[i].iov_len) != 0)
            return -1;
        at += parts[i].iov_len;
    }
    return (ssize_t)at;
}

static void send(size_t size)
{
    output_drop(&outputs, &output, size);
    buffer_drop(&model, size);
}

TEST(nothing_takes_no_memory)
{
    struct iovec parts[PARTS];
    begin();
    is_int(output_peek(&output, parts, PARTS), 0, "there is nothing to send");
    add_copy(10);
    is_int(outputs.bytes, OUTPUT_SMALL, "a few bytes take a small block");
    is_int(output_peek(&output, parts, PARTS), 1, "and are one part");
    send(10);
    is_int(outputs.bytes, 0, "which is given back when they are sent");
    ok(!output.parts && !output.tail, "with all the rest");
    end();
}

TEST(pieces_that_follow_are_one_part)
{
    struct iovec parts[PARTS];
    begin();
    for (int i = 0; i < 100; i++)
        add_copy(7);
    is_int(output_peek(&output, parts, PARTS), 1, "a hundred pieces are one part");
    is_int(matches(parts, 1), 700, "of all their bytes");
    end();
}

TEST(a_large_piece_is_one_piece)
{
    struct iovec parts[PARTS];
    begin();
    add_copy(10);
    add_copy(3 * OUTPUT_LARGE);
    is_int(output_peek(&output, parts, PARTS), 2, "it has a block of its own");
    is_int(matches(parts, 2), 3 * OUTPUT_LARGE + 10, "behind what came before");
    send(10);
    ok(outputs.bytes > 3 * OUTPUT_LARGE && outputs.bytes < 4 * OUTPUT_LARGE,
       "the first block is free when all of it is sent");
    end();
}

TEST(bodies_go_out_from_where_they_are)
{
    struct iovec parts[PARTS];
    begin();
    struct message *message = message_of(BODY_SIZE);
    add_copy(20);
    add_body(message, 0, 30000);
    add_copy(20);
    add_body(message, 30000, 20000);
    is_int(message->refs, 3, "each part of it is a reference");
    is_int(output.borrowed, BODY_SIZE, "its bytes are counted as borrowed");
    is_int(output_peek(&output, parts, PARTS), 4, "four parts");
    is_int(matches(parts, 4), BODY_SIZE + 40, "in order");
    ok(parts[1].iov_base == message_body(message).data, "it is not copied");
    send(20 + 29999);
    is_int(message->refs, 3, "a part that has not gone to its end is kept");
    send(1);
    is_int(message->refs, 2, "and then is not");
    output_free(&outputs, &output);
    is_int(message->refs, 1, "nor is what is dropped unsent");
    is_int(output.size, 0, "nothing is left");
    message_unref(&messages, message);
    is_int(message_pool_bytes(&messages), 0, "no message either");
    end();
}

TEST(what_is_lent_stays_while_more_comes)
{
    struct iovec parts[PARTS];
    begin();
    add_copy(1000);
    int count = output_peek(&output, parts, PARTS);
    for (int i = 0; i < 200; i++)
        add_copy(COPY_MAX);
    is_int(matches(parts, count), 1000, "the bytes are where they were");
    end();
}

/* Appends something of a random kind and size. */
static void add_any(struct random *random)
{
    if (random_below(random, 4)) {
        add_copy(1 + random_below(random, COPY_MAX));
        return;
    }
    struct message *message = message_of(1 + random_below(random, COPY_MAX));
    add_body(message, 0, message->body_size);
    message_unref(&messages, message);
}

TEST(any_order_of_adding_and_sending)
{
    struct random random;
    struct iovec parts[PARTS];
    int wrong = 0, empty = 0;
    begin();
    random_init(&random, 7);
    for (int i = 0; i < ROUNDS; i++) {
        bool grows = i / 100 % 2 == 0; /* fills up, and empties, by turns */
        if (random_below(&random, 10) < (grows ? 8 : 1))
            add_any(&random);
        ssize_t there = matches(parts, output_peek(&output, parts, PARTS));
        wrong += there < 0 || output.size != model.size || (model.size && !there);
        if (there > 0)
            send(random_below(&random, grows ? 10 : (uint64_t)there + 1) % ((size_t)there + 1));
        if (output.size == 0) {
            empty++;
            wrong += outputs.bytes != 0 || message_pool_bytes(&messages) != 0 || output.borrowed;
        }
    }
    is_int(wrong, 0, "always what was added, in order; nothing is kept when all is sent");
    ok(empty > 100, "and it was all sent %d times", empty);
    end();
}

int main(void)
{
    RUN(nothing_takes_no_memory);
    RUN(pieces_that_follow_are_one_part);
    RUN(a_large_piece_is_one_piece);
    RUN(bodies_go_out_from_where_they_are);
    RUN(what_is_lent_stays_while_more_comes);
    RUN(any_order_of_adding_and_sending);
    return done();
}
