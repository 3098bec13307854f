/* What a crash leaves of a segment that was only begun. */
#include "tests/lib/tap.h"

#include <stdio.h>

#include "base/crc32c.h"
#include "store/internal.h"
#include "tests/lib/disk_memory.h"
#include "tests/lib/kv_memory.h"

struct place_of_work {
    struct disk *disk;
    struct kv *kv;
    struct worker *worker[3];
    struct message_pool pool;
};

static void begin(struct place_of_work *work)
{
    work->disk = disk_memory_new();
    work->kv = kv_memory_new();
    for (int i = 0; i < 3; i++)
        work->worker[i] = worker_manual_new(true);
    message_pool_init(&work->pool);
}

static void end(struct place_of_work *work)
{
    for (int i = 0; i < 3; i++)
        worker_manual_free(work->worker[i]);
    disk_memory_free(work->disk);
    kv_memory_free(work->kv);
    message_pool_free(&work->pool);
}

static struct store *open_store(struct place_of_work *work, char error[600])
{
    struct store_options options;
    store_options_default(&options);
    options.disk = work->disk;
    options.kv = work->kv;
    options.syncer = work->worker[0];
    options.indexer = work->worker[1];
    options.reader = work->worker[2];
    options.pool = &work->pool;
    options.disk_reserve_bytes = 0;
    error[0] = '\0';
    return store_open(&options, 0, error, 600);
}

/* Writes a file of a segment: its header, and one batch with a name, unless it is cut. Returns the
 * checksum of the batch. */
static uint32_t write_segment(struct place_of_work *work, uint32_t number, uint64_t batch,
                              uint32_t previous, const char *key, size_t cut)
{
    uint8_t bytes[SEGMENT_HEADER + 128] = {0};
    struct segment_header header = {
        .segment = number, .first_batch = batch, .previous = previous};
    struct batch_header head = {.number = batch,
                                .size = 128,
                                .records = 1,
                                .previous = previous,
                                .synced = batch - 1,
                                .segment = number,
                                .offset = SEGMENT_HEADER};
    struct buffer payload = {0};
    buffer_add_u32(&payload, (uint32_t)strlen(key));
    buffer_add(&payload, key, strlen(key));
    struct place place = {number, SEGMENT_HEADER + BATCH_HEADER,
                          (uint32_t)(RECORD_HEADER + payload.size)};
    struct bytes part = buffer_bytes(&payload);
    uint8_t *record = bytes + SEGMENT_HEADER + BATCH_HEADER;
    segment_header_write(bytes, &header);
    record_header_write(record, RECORD_PUT, place, part, (struct bytes){0});
    memcpy(record + RECORD_HEADER, part.data, part.size);
    head.contents = crc32c(0, record, 4);
    batch_header_write(bytes + SEGMENT_HEADER, &head);
    buffer_free(&payload);

    struct disk_file *file;
    char name[32];
    segment_name(name, number);
    work->disk->ops->open(work->disk, name, DISK_CREATE, &file);
    struct iovec parts = {bytes, sizeof(bytes) - cut};
    work->disk->ops->write(file, &parts, 1, 0);
    work->disk->ops->sync(file);
    work->disk->ops->close(file);
    work->disk->ops->sync_folder(work->disk);
    return head.checksum;
}

static void see(void *context, struct bytes key, struct bytes value)
{
    char *names = context;
    (void)value;
    strncat(names, (const char *)key.data, key.size);
    strcat(names, " ");
}

static void expect(struct place_of_work *work, const char *names, const char *what)
{
    char error[600], seen[200] = "";
    struct store *store = open_store(work, error);
    ok(store != NULL, "%s: it starts (%s)", what, error);
    if (!store)
        return;
    store_catalogue_each(store, see, seen);
    is_str(seen, names, "%s", what);
    store_abandon(store);
}

TEST(begun_anew)
{
    struct place_of_work work;
    begin(&work);
    uint32_t first = write_segment(&work, 1, 1, 0, "a", 0);
    write_segment(&work, 2, 2, first, "lost", 128);
    uint32_t second = write_segment(&work, 3, 2, first, "b", 0);
    write_segment(&work, 4, 3, second, "c", 0);
    expect(&work, "a b c ", "a segment with nothing but a header, begun anew");
    end(&work);
}

TEST(begun_and_torn)
{
    struct place_of_work work;
    begin(&work);
    uint32_t first = write_segment(&work, 1, 1, 0, "a", 0);
    write_segment(&work, 2, 2, first, "lost", 30);
    write_segment(&work, 3, 2, first, "lost as well", 40);
    uint32_t second = write_segment(&work, 4, 2, first, "b", 0);
    write_segment(&work, 5, 3, second, "c", 0);
    expect(&work, "a b c ", "two segments with a torn batch, begun anew");
    end(&work);
}

TEST(begun_at_the_end)
{
    struct place_of_work work;
    begin(&work);
    uint32_t first = write_segment(&work, 1, 1, 0, "a", 0);
    write_segment(&work, 2, 2, first, "lost", 128);
    expect(&work, "a ", "a segment with nothing but a header, last of all");
    expect(&work, "a ", "and again");
    end(&work);
}

int main(void)
{
    RUN(begun_anew);
    RUN(begun_and_torn);
    RUN(begun_at_the_end);
    return done();
}
