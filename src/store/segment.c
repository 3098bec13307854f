/* The journal's files, and how much of each is still needed. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "store/journal.h"

void segment_name(char name[32], uint32_t number)
{
    snprintf(name, 32, "journal-%010u", number);
}

void spare_name(char name[32], uint32_t number)
{
    snprintf(name, 32, "spare-%010u", number);
}

static uint32_t number_after(const char *name, const char *prefix)
{
    size_t size = strlen(prefix);
    if (strncmp(name, prefix, size) != 0 || strlen(name) != size + 10)
        return 0;
    char *end;
    unsigned long number = strtoul(name + size, &end, 10);
    return *end || number > UINT32_MAX ? 0 : (uint32_t)number;
}

uint32_t segment_number(const char *name)
{
    return number_after(name, "journal-");
}

uint32_t spare_number(const char *name)
{
    return number_after(name, "spare-");
}

struct segment *segment_find(struct journal *journal, uint32_t number)
{
    /* Neighbours in a queue are mostly neighbours in the journal. */
    struct segment *segment = journal->segment_found;
    if (!segment || segment->number != number)
        segment = journal->segment_found = idmap_find(&journal->segments_by_number, number);
    return segment;
}

struct segment *segment_add(struct journal *journal, uint32_t number)
{
    assert(!idmap_find(&journal->segments_by_number, number));
    struct segment *segment = mem_zalloc(sizeof(*segment));
    segment->number = number;
    segment->size = SEGMENT_HEADER;
    struct list *before = journal->segments.prev;
    while (before != &journal->segments &&
           list_entry(before, struct segment, link)->number > number)
        before = before->prev;
    list_insert_after(before, &segment->link);
    idmap_add(&journal->segments_by_number, number, segment);
    if (number > journal->segment_last)
        journal->segment_last = number;
    return segment;
}

void segment_free(struct journal *journal, struct segment *segment)
{
    idmap_remove(&journal->segments_by_number, segment->number);
    if (journal->segment_found == segment)
        journal->segment_found = NULL;
    list_remove(&segment->link);
    mem_free(segment);
}

void segment_unread(struct journal *journal, struct segment *segment)
{
    assert(segment->readers > 0);
    if (--segment->readers == 0 && segment->is_gone)
        segment_free(journal, segment);
}

void segment_cut(struct disk *disk, uint32_t number, uint64_t end)
{
    struct disk_file *file;
    uint64_t size;
    char name[32];
    segment_name(name, number);
    if (!disk->ops->cut || disk->ops->open(disk, name, DISK_WRITE, &file) != 0)
        return;
    end = (end + DISK_BLOCK - 1) / DISK_BLOCK * DISK_BLOCK;
    if (disk->ops->size(file, &size) == 0 && size >= end + SEGMENT_CUT_MIN)
        disk->ops->cut(file, end);
    disk->ops->close(file);
}

void segment_hold(struct journal *journal, struct place place, uint32_t destinations, bool kept)
{
    struct segment *segment = segment_find(journal, place.segment);
    uint32_t bytes = record_share(place.size, destinations);
    assert(segment && !segment->is_gone);
    segment->live_entries++;
    segment->live_bytes += bytes;
    journal->stats->live_bytes += bytes;
    if (kept) {
        segment->kept_entries++;
        segment->kept_bytes += bytes;
    }
}

void segment_release(struct journal *journal, struct place place, uint32_t destinations, bool kept)
{
    struct segment *segment = segment_find(journal, place.segment);
    uint32_t bytes = record_share(place.size, destinations);
    assert(segment && segment->live_entries > 0 && segment->live_bytes >= bytes);
    segment->live_entries--;
    segment->live_bytes -= bytes;
    journal->stats->live_bytes -= bytes;
    if (kept) {
        assert(segment->kept_entries > 0 && segment->kept_bytes >= bytes);
        segment->kept_entries--;
        segment->kept_bytes -= bytes;
    }
    assert(segment->kept_entries <= segment->live_entries);
    journal->is_changed = true;
}

void segment_hold_entry(struct journal *journal, struct place place)
{
    segment_hold(journal, place, 1, true);
    segment_find(journal, place.segment)->log_entries++;
}

void segment_release_entry(struct journal *journal, struct place place)
{
    struct segment *segment = segment_find(journal, place.segment);
    assert(segment && segment->log_entries > 0);
    segment->log_entries--;
    segment_release(journal, place, 1, true);
}

uint64_t segments_bytes(const struct journal *journal)
{
    uint64_t bytes = 0;
    list_for_each(link, &journal->segments)
        bytes += list_entry(link, struct segment, link)->size;
    return bytes;
}
