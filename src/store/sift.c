/* Going through a segment that may be damaged. Recovery believes a batch only as a whole, and ends where
 * one is missing; this takes each record on its own, as each has its own checksum, which covers where it
 * lies, and goes on behind what is bad.
 *
 * Behind a bad record the next one is where the bad one's size says, or else the next place in the batch
 * where a record with a right checksum begins. Behind a bad header of a batch it is the same, up to the
 * next good header, at a multiple of BATCH_ALIGN. Bodies are what clients sent, and may look like heads of
 * records: how much is checksummed in vain is bounded. */
#include "base/mem.h"
#include "store/internal.h"

enum { WINDOW = 1 << 20, VAIN_BYTES = 64 << 20 };

/* The `size` bytes at `offset`; NULL: they are not there, or cannot be read. */
static const uint8_t *bytes_at(struct sift *sift, uint64_t offset, uint64_t size)
{
    if (offset + size > sift->end)
        return NULL;
    if (offset >= sift->start && offset + size <= sift->start + sift->got)
        return sift->data + (offset - sift->start);
    uint64_t wanted = size > WINDOW ? size : WINDOW;
    if (wanted > sift->end - offset)
        wanted = sift->end - offset;
    if (wanted > sift->capacity) {
        sift->data = mem_realloc(sift->data, wanted);
        sift->capacity = wanted;
    }
    sift->start = offset;
    int error = files_read(sift->files, sift->segment, sift->data, wanted, offset, &sift->got);
    sift->read_bytes += wanted;
    if (error) {
        sift->error = error;
        sift->got = 0;
    }
    return sift->got >= size ? sift->data : NULL;
}

void sift_begin(struct sift *sift, uint32_t segment, uint64_t end)
{
    sift->segment = segment;
    sift->end = end;
    sift->at = SEGMENT_HEADER;
    sift->batch_end = 0;
    sift->batch = (struct batch_header){0};
    sift->start = sift->got = 0;
    sift->vain = 0;
    sift->error = 0;
}

void sift_free(struct sift *sift)
{
    mem_free(sift->data);
    *sift = (struct sift){0};
}

/* `last`: the highest type that may be there. */
static bool read_record(struct sift *sift, uint64_t at, uint64_t limit, unsigned last,
                        struct record *record)
{
    const uint8_t *head = bytes_at(sift, at, RECORD_HEADER);
    if (!head || head[8] < RECORD_MESSAGE || head[8] > last || head[9] || head[10] || head[11])
        return false;
    uint64_t size = RECORD_HEADER + ((uint64_t)head[4] | (uint64_t)head[5] << 8 |
                                     (uint64_t)head[6] << 16 | (uint64_t)head[7] << 24);
    if (size > limit - at)
        return false;
    const uint8_t *bytes = bytes_at(sift, at, size);
    if (!bytes)
        return false;
    bool sound =
        record_read(bytes_of(bytes, size), sift->segment, (uint32_t)at, record) == RECORD_OK;
    sift->vain += sound ? 0 : size;
    return sound;
}

/* Where the next sound record of the batch begins; its end when there is none. */
static uint64_t next_record(struct sift *sift, uint64_t at)
{
    struct record record;
    const uint8_t *head = bytes_at(sift, at, RECORD_HEADER);
    uint64_t size = head ? RECORD_HEADER + ((uint64_t)head[4] | (uint64_t)head[5] << 8 |
                                            (uint64_t)head[6] << 16 | (uint64_t)head[7] << 24)
                         : 0;
    if (head && size < sift->batch_end - at &&
        read_record(sift, at + size, sift->batch_end, RECORD_LAST, &record))
        return at + size;
    for (at++; at + RECORD_HEADER <= sift->batch_end && sift->vain < VAIN_BYTES; at++)
        if (read_record(sift, at, sift->batch_end, RECORD_LAST, &record))
            return at;
    return sift->batch_end;
}

static bool read_header(struct sift *sift, uint64_t at, struct batch_header *header)
{
    const uint8_t *bytes = bytes_at(sift, at, BATCH_HEADER);
    return bytes && memcmp(bytes, "LVRB", 4) == 0 &&
           batch_header_read(bytes, sift->segment, (uint32_t)at, header) == RECORD_OK;
}

static uint64_t next_header(struct sift *sift, uint64_t at)
{
    struct batch_header header;
    for (; at + BATCH_HEADER <= sift->end; at += BATCH_ALIGN)
        if (read_header(sift, at, &header))
            return at;
    return sift->end;
}

static bool is_zero(struct sift *sift, uint64_t at, uint64_t end)
{
    for (; at < end; at++) {
        const uint8_t *byte = bytes_at(sift, at, 1);
        if (!byte || *byte)
            return false;
    }
    return true;
}

static enum sift_result bad(struct sift *sift, uint64_t from, uint64_t to)
{
    sift->bad_at = from;
    sift->bad_size = to - from;
    return SIFT_BAD;
}

static void enter(struct sift *sift, const struct batch_header *header, uint64_t end)
{
    sift->batch = *header;
    sift->is_counted = header->number != 0;
    sift->left = header->records;
    sift->batch_end = end < sift->end ? end : sift->end;
    sift->at += BATCH_HEADER;
}

/* Between two batches. */
static enum sift_result sift_batch(struct sift *sift)
{
    struct batch_header header;
    if (read_header(sift, sift->at, &header)) {
        enter(sift, &header, sift->at + header.size);
        return SIFT_BATCH;
    }
    uint64_t from = sift->at, to = next_header(sift, from);
    if (to == sift->end && is_zero(sift, from, to)) {
        sift->at = to;
        return SIFT_END;
    }
    header = (struct batch_header){.segment = sift->segment, .offset = (uint32_t)from};
    enter(sift, &header, to);
    return bad(sift, from, sift->at < to ? sift->at : to);
}

/* In a batch, where a record is due. */
static enum sift_result sift_record(struct sift *sift, struct record *record)
{
    uint64_t from = sift->at;
    if (read_record(sift, from, sift->batch_end, UINT8_MAX, record)) {
        sift->at += record->place.size;
        sift->left -= sift->is_counted;
        return SIFT_RECORD;
    }
    sift->at = next_record(sift, from);
    sift->is_counted = false;
    return bad(sift, from, sift->at);
}

enum sift_result sift_next(struct sift *sift, struct record *record)
{
    for (;;) {
        bool is_over = sift->is_counted ? sift->left == 0
                                        : sift->at + RECORD_HEADER > sift->batch_end ||
                                              (sift->batch_end - sift->at < BATCH_ALIGN &&
                                               is_zero(sift, sift->at, sift->batch_end));
        if (sift->batch_end && !is_over)
            return sift_record(sift, record);
        if (sift->batch_end)
            sift->at = sift->batch_end;
        sift->batch_end = 0;
        if (sift->at + BATCH_HEADER > sift->end)
            return SIFT_END;
        return sift_batch(sift);
    }
}
