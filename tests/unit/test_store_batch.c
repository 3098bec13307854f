/* The batch that fills: what is settled in time leaves it again, settles become ranges, and its
 * sizes are those of what it holds. */
#include "base/mem.h"
#include "store/internal.h"
#include "tests/lib/tap.h"

static struct store *store;
static struct batch *batch;
static struct message_pool pool;

static void begin(void)
{
    message_pool_init(&pool);
    store = mem_zalloc(sizeof(*store));
    batch = mem_zalloc(sizeof(*batch));
    batch->number = 9;
    store->journal.filling = batch;
    store->options.pool = &pool;
    store->journal.options = &store->options;
    store->journal.stats = &store->stats;
    store->journal.now_ms = 1000;
}

static void end(void)
{
    batch_free(&store->journal, batch);
    mem_free(store);
    message_pool_free(&pool);
}

static struct message *add_message(uint32_t body_size, uint32_t destinations)
{
    static const struct destination to[] = {{7, 70, 0}, {8, 80, 0}};
    struct message *message =
        message_new(&pool, bytes_str("x"), bytes_str("k"), bytes_of("\0\0", 2), body_size);
    memset(message_body_start(message), 'b', body_size);
    message->body_filled = body_size;
    batch_add_message(&store->journal, RECORD_MESSAGE, message, to, destinations);
    return message;
}

/* What its records take, told by each of them. */
static uint64_t sum_of_records(void)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct pending *pending = &batch->records[i];
        uint64_t data = pending->message ? message_data_size(pending->message) : 0;
        sum += pending->is_elided ? 0 : RECORD_HEADER + pending->size + data;
    }
    return sum;
}

TEST(what_is_settled_in_time_is_never_written)
{
    struct message *messages[3];
    begin();
    for (int i = 0; i < 3; i++)
        messages[i] = add_message(100, 1);
    uint64_t of_one = batch->records_size / 3;
    ok(messages[0]->refs == 2 && messages[0]->batch == 9, "a message is the batch's, too");
    batch_elide(&store->journal, messages[1]);
    is_int(messages[1]->refs, 1, "one that is settled is not");
    is_int(messages[1]->batch, 0, "and has no place in it");
    is_int(batch->records_size, of_one * 2, "its record is not counted");
    is_int(batch->count, 3, "though its slot is there, as another one follows");
    batch_elide(&store->journal, messages[2]);
    is_int(batch->count, 1, "until that goes");
    ok(!batch_is_empty(batch), "the first one is left");
    batch_elide(&store->journal, messages[0]);
    ok(batch_is_empty(batch) && batch->count == 0, "then nothing");
    is_int(batch->bytes.size + batch->size + batch->records_size, 0, "which takes nothing");
    is_int(store->stats.records_elided, 3, "three were saved");
    for (int i = 0; i < 3; i++)
        message_unref(&pool, messages[i]);
    end();
}

TEST(sizes_are_those_of_its_records)
{
    struct message *messages[40];
    unsigned wrong = 0;
    uint64_t long_bodies = 0;
    begin();
    for (uint32_t i = 0; i < 40; i++) {
        uint32_t body_size = i % 5 ? 10 + i : INSERT_MIN + i - 5;
        messages[i] = add_message(body_size, 1 + i % 2);
        long_bodies += body_size >= INSERT_MIN ? body_size : 0;
        batch_add(&store->journal, RECORD_DELIVERED, bytes_of("0123456789", i % 10));
        wrong += batch->records_size != sum_of_records() || batch->inserts_size != long_bodies;
    }
    is_int(wrong, 0, "when records come");
    for (uint32_t i = 0; i < 40; i++) {
        uint32_t at = i * 7 % 40;
        long_bodies -= messages[at]->body_size >= INSERT_MIN ? messages[at]->body_size : 0;
        batch_elide(&store->journal, messages[at]);
        message_unref(&pool, messages[at]);
        wrong += batch->records_size != sum_of_records() || batch->inserts_size != long_bodies;
    }
    is_int(wrong, 0, "and when they go");
    ok(!batch_is_empty(batch), "what is not a message stays");
    end();
}

/* The next range of a settle record, as its first number; the count goes to *count. */
static uint64_t next_range(struct cursor *cursor, uint64_t *end_of_last, uint64_t *count)
{
    uint64_t coded = cursor_varint(cursor);
    uint64_t first = *end_of_last + (coded >> 1 ^ (coded & 1 ? UINT64_MAX : 0));
    *count = cursor_varint(cursor);
    *end_of_last = first + *count;
    return first;
}

TEST(settles_become_ranges)
{
    struct index one = {.id = 7}, other = {.id = 8}, gone = {.id = 9};
    static const uint64_t wanted[][2] = {{5, 3}, {100, 1}, {3, 2}, {((uint64_t)1 << 40), 1}};
    uint64_t last = 0, count;
    begin();
    for (uint64_t sequence = 5; sequence < 8; sequence++)
        batch_add_settle(&store->journal, &one.settles, one.id, sequence, 1);
    batch_add_settle(&store->journal, &gone.settles, gone.id, 1, 1);
    batch_add_settle(&store->journal, &one.settles, one.id, 100, 1);
    batch_add_settle(&store->journal, &other.settles, other.id, 1, 50);
    batch_add_settle(&store->journal, &one.settles, one.id, 3, 1);
    batch_add_settle(&store->journal, &one.settles, one.id, 4, 1);
    batch_add_settle(&store->journal, &one.settles, one.id, (uint64_t)1 << 40, 1);
    ok(!batch_is_empty(batch) && batch->count == 0, "they are no records yet");
    batch_forget_settles(&store->journal, &gone.settles);
    batch_close_settles(&store->journal);
    is_int(batch->count, 2, "then one for each queue, but not for one that is gone");
    is_int(store->stats.settles_written, 2, "which is counted");
    is_int(batch->records_size, sum_of_records(), "and takes what it takes");
    const struct pending *pending = &batch->records[0];
    is_int(pending->type, RECORD_SETTLE, "its type");
    struct cursor cursor = cursor_of(bytes_of(batch->bytes.data + pending->at, pending->size));
    is_int(cursor_u64(&cursor), 7, "its queue");
    for (int i = 0; i < 4; i++) {
        uint64_t first = next_range(&cursor, &last, &count);
        ok(first == wanted[i][0] && count == wanted[i][1], "range %d: %llu, %llu of them", i,
           (unsigned long long)first, (unsigned long long)count);
    }
    ok(!cursor.bad && cursor_left(&cursor) == 0, "and no more");
    end();
}

TEST(returns_of_a_queue_are_one_record)
{
    struct index one = {.id = 7}, gone = {.id = 9};
    static const struct returned_reader wanted[] = {{.sequence = 5, .count = 1},
                                                    {.sequence = 3, .count = 70000, .until_ms = 1},
                                                    {.sequence = (uint64_t)1 << 40, .count = 2}};
    begin();
    for (int i = 0; i < 3; i++)
        batch_add_returned(&store->journal, &one.settles, one.id, wanted[i].sequence,
                           wanted[i].count, wanted[i].until_ms);
    batch_add_returned(&store->journal, &gone.settles, gone.id, 1, 1, 0);
    batch_forget_settles(&store->journal, &gone.settles);
    batch_add_settle(&store->journal, &one.settles, one.id, 5, 1);
    batch_close_settles(&store->journal);
    is_int(batch->count, 2, "one for those that came back and one for those that went");
    is_int(store->stats.returns_written, 1, "which is counted");
    is_int(batch->records_size, sum_of_records(), "and takes what it takes");
    const struct pending *pending = &batch->records[0];
    is_int(pending->type, RECORD_RETURNED, "what came back is first, as it may have gone since");
    struct returned_reader reader =
        returned_reader(bytes_of(batch->bytes.data + pending->at, pending->size));
    is_int(reader.queue, 7, "its queue");
    for (int i = 0; i < 3; i++) {
        ok(returned_next(&reader), "number %d", i);
        ok(reader.sequence == wanted[i].sequence && reader.count == wanted[i].count &&
               reader.until_ms == wanted[i].until_ms,
           "as it was");
    }
    ok(!returned_next(&reader) && !reader.cursor.bad, "and no more");
    reader = returned_reader(bytes_of(batch->bytes.data + pending->at, pending->size - 1));
    for (int i = 0; i < 2; i++)
        returned_next(&reader);
    ok(!returned_next(&reader) && reader.cursor.bad, "one that is cut off is bad");
    end();
}

TEST(its_age_is_that_of_its_first_record)
{
    begin();
    struct message *message = add_message(10, 1);
    store->journal.now_ms = 2000;
    batch_add(&store->journal, RECORD_DELIVERED, bytes_str("x"));
    is_int(batch->since_ms, 1000, "not of the last");
    message_unref(&pool, message);
    end();
    begin();
    message = add_message(10, 1);
    batch_elide(&store->journal, message);
    store->journal.now_ms = 3000;
    batch_add(&store->journal, RECORD_DELIVERED, bytes_str("x"));
    is_int(batch->since_ms, 3000, "nor of one that has left it");
    message_unref(&pool, message);
    end();
}

TEST(names_know_their_batch)
{
    begin();
    batch_add(&store->journal, RECORD_DELIVERED, bytes_str("mark"));
    is_int(store->journal.names_batch, 0, "a mark is no name");
    batch_add(&store->journal, RECORD_PUT, bytes_str("name"));
    is_int(store->journal.names_batch, 9, "a name is");
    end();
}

int main(void)
{
    RUN(what_is_settled_in_time_is_never_written);
    RUN(sizes_are_those_of_its_records);
    RUN(settles_become_ranges);
    RUN(returns_of_a_queue_are_one_record);
    RUN(its_age_is_that_of_its_first_record);
    RUN(names_know_their_batch);
    return done();
}
