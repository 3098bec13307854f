/* A start over journal files that somebody else wrote. The first byte chooses: even, the rest is the
 * contents of a segment, or of two, as they are; odd, it is a list of records that are sealed here with
 * right checksums, so that what they say is what is tried. Whatever it is, the store starts, and then
 * its queues can be read to their end; or it refuses, and has changed nothing. Checking it changes
 * nothing in either case, and finds a fault in what is refused. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/crc32c.h"
#include "store/record.h"
#include "store/store.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/disk_memory.h"
#include "tests/lib/kv_memory.h"

enum { SEGMENTS_MAX = 4, QUEUES = 5, TAKES_MAX = 2000, TURNS_MAX = 200, GROUP_ENTRIES = 64 };

/* ---- files out of records ---- */

struct input {
    const uint8_t *at, *end;
};

static uint8_t next(struct input *input)
{
    return input->at < input->end ? *input->at++ : 0;
}

/* Mostly small, sometimes anything. */
static uint64_t number(struct input *input)
{
    uint64_t value = next(input);
    if (value < 240)
        return value;
    for (uint64_t i = value - 239; i > 0 && i <= 8; i--)
        value = value << 8 | next(input);
    return value;
}

static struct bytes some(struct input *input)
{
    size_t size = next(input);
    if (size > (size_t)(input->end - input->at))
        size = (size_t)(input->end - input->at);
    struct bytes bytes = bytes_of(input->at, size);
    input->at += size;
    return bytes;
}

struct assembler {
    struct buffer segments[SEGMENTS_MAX + 1];
    uint32_t segment; /* from 1 */
    uint64_t batch, synced;
    uint32_t previous;
    struct buffer records; /* of the batch that is being filled */
    uint32_t count, contents;
    uint64_t group_last;
    uint32_t chains[GROUP_ENTRIES];
};

static void begin_segment(struct assembler *assembler)
{
    uint8_t bytes[SEGMENT_HEADER];
    if (assembler->segment == SEGMENTS_MAX)
        return;
    struct segment_header header = {.segment = ++assembler->segment,
                                    .first_batch = assembler->batch,
                                    .previous = assembler->previous};
    segment_header_write(bytes, &header);
    buffer_add(&assembler->segments[assembler->segment], bytes, sizeof(bytes));
}

static uint32_t offset_of(const struct assembler *assembler)
{
    return (uint32_t)(assembler->segments[assembler->segment].size + BATCH_HEADER +
                      assembler->records.size);
}

static void add_record(struct assembler *assembler, uint8_t type, struct bytes payload)
{
    uint8_t header[RECORD_HEADER];
    struct place place = {assembler->segment, offset_of(assembler),
                          (uint32_t)(RECORD_HEADER + payload.size)};
    record_header_write(header, (enum record_type)type, place, payload, (struct bytes){0});
    assembler->contents = crc32c(assembler->contents, header, 4);
    assembler->count++;
    buffer_add(&assembler->records, header, sizeof(header));
    buffer_add(&assembler->records, payload.data, payload.size);
}

static void end_batch(struct assembler *assembler, uint32_t lie)
{
    uint8_t bytes[BATCH_HEADER];
    struct buffer *segment = &assembler->segments[assembler->segment];
    while (assembler->records.size % BATCH_ALIGN)
        buffer_add_u8(&assembler->records, 0);
    struct batch_header header = {.number = assembler->batch++,
                                  .size = (uint32_t)(BATCH_HEADER + assembler->records.size) + lie,
                                  .records = assembler->count,
                                  .previous = assembler->previous,
                                  .contents = assembler->contents,
                                  .synced = assembler->synced,
                                  .segment = assembler->segment,
                                  .offset = (uint32_t)segment->size};
    batch_header_write(bytes, &header);
    assembler->previous = header.checksum;
    buffer_add(segment, bytes, sizeof(bytes));
    buffer_add(segment, assembler->records.data, assembler->records.size);
    assembler->records.size = 0;
    assembler->count = assembler->contents = 0;
}

static void add_message(struct assembler *assembler, struct input *input, uint8_t type)
{
    struct buffer payload = {0};
    uint32_t count = next(input) % 4;
    struct bytes exchange = some(input), key = some(input), body = some(input);
    buffer_add_u8(&payload, next(input));
    buffer_add_u8(&payload, next(input));
    buffer_add_u64(&payload, number(input));
    buffer_add_u32(&payload, count == 3 ? (uint32_t)number(input) : count);
    buffer_add_u8(&payload, (uint8_t)exchange.size);
    buffer_add_u8(&payload, (uint8_t)key.size);
    buffer_add_u16(&payload, 0);
    buffer_add_u32(&payload, 2);
    buffer_add_u32(&payload, (uint32_t)body.size);
    buffer_add_u32(&payload, 0);
    for (uint32_t i = 0; i < count; i++) {
        buffer_add_u64(&payload, number(input));
        buffer_add_u64(&payload, number(input));
    }
    buffer_add(&payload, exchange.data, exchange.size);
    buffer_add(&payload, key.data, key.size);
    buffer_add_u16(&payload, 0);
    buffer_add(&payload, body.data, body.size);
    add_record(assembler, type, buffer_bytes(&payload));
    buffer_free(&payload);
}

static void add_settle(struct assembler *assembler, struct input *input)
{
    struct buffer payload = {0};
    buffer_add_u64(&payload, number(input));
    for (int i = next(input) % 4; i > 0; i--) {
        buffer_add_varint(&payload, number(input));
        buffer_add_varint(&payload, number(input));
    }
    add_record(assembler, RECORD_SETTLE, buffer_bytes(&payload));
    buffer_free(&payload);
}

static void add_returned(struct assembler *assembler, struct input *input)
{
    struct buffer payload = {0};
    buffer_add_u64(&payload, number(input));
    for (int i = next(input) % 12; i > 0; i--)
        buffer_add_varint(&payload, number(input));
    add_record(assembler, RECORD_RETURNED, buffer_bytes(&payload));
    buffer_free(&payload);
}

static void add_numbers(struct assembler *assembler, struct input *input, uint8_t type, int count)
{
    struct buffer payload = {0};
    for (int i = 0; i < count; i++)
        buffer_add_u64(&payload, number(input));
    add_record(assembler, type, buffer_bytes(&payload));
    buffer_free(&payload);
}

/* A log of a group, mostly one that makes sense: entries at its end or in the place of others. */
static void add_group(struct assembler *assembler, struct input *input)
{
    uint8_t what = next(input);
    uint64_t index = assembler->group_last + 1 - (assembler->group_last ? what / 8 % 2 : 0);
    if (what % 8 < 3 && index < GROUP_ENTRIES) {
        struct buffer contents = {0};
        struct bytes body = some(input);
        uint8_t payload[ENTRY_PAYLOAD_SIZE];
        content_add(&contents, RECORD_DELETE, body);
        struct entry_payload entry = {.group = 1,
                                      .head = {.index = index, .term = 1 + what / 16, .kind = 1},
                                      .records = what & 64 ? what % 3 : 1,
                                      .size = (uint32_t)(RECORD_HEADER + body.size),
                                      .checksum = crc32c(0, contents.data, contents.size)};
        entry.chain = log_chain(assembler->chains[index - 1], &entry.head, entry.checksum);
        assembler->chains[index] = entry.chain;
        assembler->group_last = index;
        entry_payload_write(payload, &entry);
        add_record(assembler, RECORD_ENTRY, bytes_of(payload, sizeof(payload)));
        add_record(assembler, RECORD_DELETE, body);
        buffer_free(&contents);
    } else if (what % 8 == 3) {
        struct buffer payload = {0};
        buffer_add_u64(&payload, 1);
        buffer_add_u64(&payload, what & 128 ? number(input) : 0);
        buffer_add_u64(&payload, 1);
        buffer_add_u32(&payload, 0);
        buffer_add(&payload, "members", what / 16);
        add_record(assembler, RECORD_FLOOR, buffer_bytes(&payload));
        buffer_free(&payload);
        assembler->group_last = 0;
    } else {
        static const uint8_t types[] = {RECORD_VOTE, RECORD_COMMIT, RECORD_LEAVE, RECORD_VOTE};
        static const int counts[] = {3, 2, 1, 2};
        add_numbers(assembler, input, types[what % 4], counts[what % 4]);
    }
}

static void add_name(struct assembler *assembler, struct input *input)
{
    struct buffer payload = {0};
    struct bytes key = some(input), value = some(input);
    buffer_add_u32(&payload, next(input) % 8 ? (uint32_t)key.size : (uint32_t)number(input));
    buffer_add(&payload, key.data, key.size);
    buffer_add(&payload, value.data, value.size);
    add_record(assembler, RECORD_PUT, buffer_bytes(&payload));
    buffer_free(&payload);
}

static void assemble_one(struct assembler *assembler, struct input *input)
{
    uint8_t what = next(input);
    switch (what % 16) {
    case 0:
    case 1:
        end_batch(assembler, what == 17 ? (uint32_t)number(input) * BATCH_ALIGN : 0);
        break;
    case 2:
        end_batch(assembler, 0);
        begin_segment(assembler);
        break;
    case 3:
        assembler->synced = number(input);
        break;
    case 4:
    case 5:
        add_message(assembler, input, RECORD_MESSAGE);
        break;
    case 6:
        add_message(assembler, input, RECORD_MOVED);
        break;
    case 7:
        add_message(assembler, input, RECORD_PAGED);
        break;
    case 8:
        add_settle(assembler, input);
        break;
    case 9:
        add_numbers(assembler, input, RECORD_DELIVERED, 2);
        break;
    case 10:
    case 11:
        add_numbers(assembler, input, RECORD_QUEUE, 1);
        break;
    case 12:
        add_numbers(assembler, input, RECORD_DROP, 1);
        break;
    case 13:
        add_name(assembler, input);
        break;
    case 14:
        add_record(assembler, RECORD_DELETE, some(input));
        break;
    case 15:
        if (what & 16) {
            add_returned(assembler, input);
            break;
        }
        if (what & 32) {
            add_group(assembler, input);
            break;
        }
        /* fall through */
    default: {
        uint8_t type = next(input);
        add_record(assembler, type, some(input));
    }
    }
}

static void assemble(struct assembler *assembler, struct input input)
{
    assembler->batch = 1;
    begin_segment(assembler);
    while (input.at < input.end)
        assemble_one(assembler, &input);
    end_batch(assembler, 0);
    buffer_free(&assembler->records);
}

/* ---- the start ---- */

static void put_file(struct disk *disk, uint32_t number, struct bytes contents)
{
    char name[32];
    struct disk_file *file;
    struct iovec part = {(void *)(uintptr_t)contents.data, contents.size};
    snprintf(name, sizeof(name), "journal-%010u", number);
    int failed = disk->ops->open(disk, name, DISK_CREATE, &file);
    assert(!failed);
    disk->ops->write(file, &part, 1, 0);
    disk->ops->sync(file);
    disk->ops->close(file);
    disk->ops->sync_folder(disk);
}

static void put_files(struct disk *disk, const uint8_t *data, size_t size)
{
    if (data[0] & 1) {
        struct assembler assembler = {0};
        assemble(&assembler, (struct input){data + 1, data + size});
        for (uint32_t i = 1; i <= assembler.segment; i++) {
            put_file(disk, i, buffer_bytes(&assembler.segments[i]));
            buffer_free(&assembler.segments[i]);
        }
        return;
    }
    size_t first = size > 3 ? (size_t)(data[1] << 8 | data[2]) * BATCH_ALIGN : 0;
    size_t left = size > 3 ? size - 3 : 0;
    if (first == 0 || first > left)
        first = left;
    put_file(disk, 1, bytes_of(data + size - left, first));
    if (left > first)
        put_file(disk, 2, bytes_of(data + size - left + first, left - first));
}

struct workers {
    struct worker *syncer, *indexer, *reader;
};

static void turn(struct store *store, const struct workers *workers, uint64_t now_ms)
{
    while (worker_step(workers->syncer) || worker_step(workers->indexer) ||
           worker_step(workers->reader))
        continue;
    store_tick(store, now_ms);
    while (store_take_awake(store))
        continue;
}

static void ignore(void *context, struct bytes key, struct bytes value)
{
    (void)value;
    ++*(size_t *)context;
    assert(key.size < SIZE_MAX);
}

/* Entries that a start has taken can be read, and be followed by others. */
static void use_group(struct store *store, struct group_log *log, const struct workers *workers)
{
    struct log_head head;
    struct bytes contents;
    uint64_t last = group_log_last(log), from = group_log_floor(log).index + 1;
    for (uint64_t index = from; index <= last; index++) {
        enum log_result result = LOG_WAIT;
        for (int i = 0; i < 5 && result == LOG_WAIT; i++) {
            result = group_log_read(log, index, &head, &contents);
            if (result == LOG_WAIT)
                turn(store, workers, 1000);
        }
        assert(result == LOG_OK && head.index == index);
    }
    head = (struct log_head){.index = last + 1, .term = 1u << 30, .kind = 1};
    group_log_append(log, &head, bytes_of(NULL, 0));
}

static void use(struct store *store, const struct store_options *options,
                const struct workers *workers)
{
    struct index *queues[QUEUES];
    struct taken taken;
    size_t names = 0;
    uint64_t now_ms = 1000;
    store_catalogue_each(store, ignore, &names);
    for (uint64_t id = 1; id <= QUEUES; id++)
        queues[id - 1] = store_queue(store, id, &queues[id - 1]);
    store_drop_orphans(store);
    if (group_log_find(store, 1))
        use_group(store, group_log_find(store, 1), workers);
    int takes = 0, turns = 0;
    for (int i = 0; i < QUEUES; i++) {
        while (takes < TAKES_MAX && turns < TURNS_MAX && !store_failure(store)) {
            enum index_result result = index_take(queues[i], takes % 3 == 0, &taken);
            if (result == INDEX_EMPTY)
                break;
            if (result == INDEX_WAIT) {
                turn(store, workers, now_ms += 200);
                turns++;
                continue;
            }
            message_unref(options->pool, taken.message);
            if (takes % 3 == 1)
                index_settle(queues[i], taken.sequence);
            takes++;
        }
    }
    for (int i = 0; i < 5; i++)
        turn(store, workers, now_ms += 2000);
    store_close(store);
}

static void forget_line(void *context, const char *line)
{
    (void)context;
    assert(line[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct store_options options;
    struct message_pool pool;
    struct workers workers = {worker_manual_new(false), worker_manual_new(false),
                              worker_manual_new(false)};
    char error[600] = "";
    if (size == 0) {
        data = (const uint8_t *)"";
        size = 1;
    }
    message_pool_init(&pool);
    store_options_default(&options);
    options.disk = disk_memory_new();
    options.kv = kv_memory_new();
    options.syncer = workers.syncer;
    options.indexer = workers.indexer;
    options.reader = workers.reader;
    options.pool = &pool;
    options.segment_bytes = 4096;
    options.chunk_entries = 32;
    options.cache_bytes = 1000;
    options.bodies_burst_bytes = 10000;
    options.bodies_idle_bytes = 500;
    options.checkpoint_ms = 5000;
    options.mark_step = 8;
    options.disk_reserve_bytes = 0;
    put_files(options.disk, data, size);
    struct disk *before = disk_memory_copy(options.disk);
    int checked = store_check(&options, forget_line, NULL, NULL);
    assert(disk_memory_equal(options.disk, before));
    struct store *store = store_open(&options, 1000, error, sizeof(error));
    assert(store || (checked != 0 && error[0] && disk_memory_equal(options.disk, before)));
    if (store)
        use(store, &options, &workers);
    disk_memory_free(before);
    disk_memory_free(options.disk);
    kv_memory_free(options.kv);
    worker_manual_free(workers.syncer);
    worker_manual_free(workers.indexer);
    worker_manual_free(workers.reader);
    message_pool_free(&pool);
    return 0;
}
