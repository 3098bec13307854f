/* Room on the disk. Below the reserve that the options set, publishers are blocked; consumers go
 * on, as what they settle is what gives space back. What is kept for reuse goes before anybody has
 * to wait, and on a disk that is nearly full more is compacted than usual.
 *
 * A record of a message is taken only when there is room for it beside all that is on its way: a
 * batch with something in it that does not fit could never be written, and all else would wait
 * behind it. While the disk is short its publisher waits, as all do; one whose message is larger
 * than what is free is told so. Settles and declarations are always taken.
 *
 * Whatever else writes to the disk may take what was free a moment ago. So where that is not
 * plenty, a batch takes only what is sure of its room: a part of the active segment that has its
 * blocks, or the journal's reserve, which becomes the file of the next segment, and is nobody
 * else's for a moment. What is asked for and larger waits until the reserve has grown by it; what
 * the reserve has beside its usual size counts as free, and is given back when nobody asks for it
 * any more. A part of it is left to settles and declarations, in the batch and behind it.
 *
 * A disk may be full of what could give room back, if that found room to be written first: messages
 * that are to be replaced by their dead letters, and what is live in segments that are mostly dead.
 * For these there is all that is free, but for a checkpoint, and a half of the journal's reserve,
 * which is cut off when the rest is used up, and not again before it has come back. What compaction
 * has begun it can end, as only a segment that is dead as a whole gives its room back; and while
 * the disk is short segments are a quarter of the reserve, so that what was written there goes soon
 * after it was consumed.
 *
 * Two more files are kept to be given up: one for the index and one for a start, as others may have
 * taken what the broker before gave up. That for the index is used for the journal when that has
 * none left, if it is large enough. A checkpoint gets that for the index, then what the journal's has
 * beside what relies on it, and when there is neither that for a start: without a checkpoint nothing
 * that is dead goes, and as soon as it does that for a start is made again. So does what has to be read
 * and cannot be; but chunks that are to leave memory get nothing, as that gives no room back. When there is nothing more to
 * give up the journal divides with it what it still has and nothing relies on: the end of the
 * active segment, which has its blocks and is empty, and what is left of its reserve. */
#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "store/journal.h"

enum { CHECK_MS = 500, RESERVE_RETRY_MS = 10000, SHORT_MIN = 64 << 10, MISSED_MS = 10000 };
enum { START_MIN = 256 << 10 };
enum { SLACK_MAX = 1 << 20, AHEAD_MIN = 64 << 10, ASKED_MS = 10000 };
enum { INDEX_NEEDS = 8 << 20 }; /* with less free, an index that cannot be written lacks room */

static const struct {
    const char *name;
    uint32_t size_max;
    uint32_t eighths; /* of the reserve that the options set */
} reserves[RESERVES] = {
    [RESERVE_JOURNAL] = {"reserve", 16 << 20, 4},
    [RESERVE_INDEX] = {"reserve-index", 4 << 20, 2},
    [RESERVE_START] = {"reserve-start", 4 << 20, 3},
};

static enum reserve reserve_of(const char *name)
{
    int i = 0;
    while (i < RESERVES && strcmp(reserves[i].name, name) != 0)
        i++;
    return (enum reserve)i;
}

/* A start that ended too early may have left one that holds nothing. */
void space_found(struct journal *journal, const char *name)
{
    const struct disk_ops *ops = journal->options->disk->ops;
    enum reserve which = reserve_of(name);
    struct disk_file *file;
    uint64_t size;
    if (which == RESERVES || ops->open(journal->options->disk, name, DISK_READ, &file) != 0)
        return;
    journal->space.reserved[which] = ops->size(file, &size) == 0 ? size : 0;
    ops->close(file);
}

/* False: that cannot be told. */
static bool measure_free(const struct journal *journal, uint64_t *bytes)
{
    uint64_t total;
    struct disk *disk = journal->options->disk;
    return disk->ops->free_space(disk, bytes, &total) == 0;
}

/* ---- sizes that fit the disk ---- */

static uint64_t at_most(uint64_t value, uint64_t limit, uint64_t least)
{
    limit = limit > least ? limit : least;
    return value < limit ? value : limit;
}

/* What is kept by itself is less on a small disk. */
static uint64_t fitted(uint64_t reserve, uint64_t total)
{
    return reserve == STORE_DISK_RESERVE ? at_most(reserve, total / 8, 0) : reserve;
}

void space_set_reserve(struct journal *journal, uint64_t bytes)
{
    uint64_t free_bytes, total;
    struct disk *disk = journal->options->disk;
    bool is_known = disk->ops->free_space(disk, &free_bytes, &total) == 0;
    journal->space.short_bytes = is_known ? fitted(bytes, total) : bytes;
}

void space_fit(struct journal *journal)
{
    struct store_options *o = journal->options;
    uint64_t free_bytes, total;
    journal->space.short_bytes = o->disk_reserve_bytes;
    if (o->disk->ops->free_space(o->disk, &free_bytes, &total) != 0)
        return;
    o->segment_bytes = (uint32_t)at_most(o->segment_bytes, total / 16, 1 << 20);
    o->batch_bytes = (uint32_t)at_most(o->batch_bytes, total / 64, 1 << 19);
    o->checkpoint_bytes = at_most(o->checkpoint_bytes, total / 8, 4 << 20);
    o->disk_reserve_bytes = fitted(o->disk_reserve_bytes, total);
    journal->space.short_bytes = o->disk_reserve_bytes;
    journal->space.disk_free = journal->space.free_bytes = free_bytes;
    space_measured(journal);
}

/* ---- what is sure ---- */

/* Beside what is asked for, a batch takes settles, marks and names, and has a header. */
static uint64_t slack(const struct journal *journal)
{
    return at_most(journal->options->disk_reserve_bytes / 8, SLACK_MAX,
                   SEGMENT_HEADER + BATCH_HEADER);
}

/* The reserve that a batch of so many bytes needs. */
static uint64_t reserve_for(const struct journal *journal, uint64_t bytes)
{
    uint64_t size = SEGMENT_HEADER + bytes + slack(journal);
    return (size + DISK_BLOCK - 1) / DISK_BLOCK * DISK_BLOCK;
}

/* What the journal's reserve has without being asked. */
static uint64_t reserve_usual(const struct journal *journal, enum reserve which)
{
    return at_most(journal->options->disk_reserve_bytes / 8 * reserves[which].eighths,
                   reserves[which].size_max, 0) /
           DISK_BLOCK * DISK_BLOCK;
}

static bool is_covering(const struct journal *journal)
{
    return journal->options->disk_reserve_bytes && !journal->space.is_uncoverable &&
           journal->options->disk->ops->allocate && !planted(PLANTED_NOT_COVERED);
}

/* A batch of so many bytes is sure of its room because there is plenty. */
static uint64_t plenty(const struct journal *journal)
{
    if (!is_covering(journal))
        return UINT64_MAX;
    uint64_t disk_free = journal->space.disk_free;
    return disk_free < SPACE_PLENTY ? 0 : disk_free / SPACE_PLENTY_PART;
}

/* Room behind the last batch of the active segment. */
static uint64_t tail(const struct journal *journal)
{
    uint64_t end = journal->active ? journal->active->size : 0;
    return end && journal->allocated > end ? journal->allocated - end : 0;
}

/* Bytes of the batch that is being written. */
static uint64_t in_flight(const struct journal *journal)
{
    return journal->is_writing && journal->write.number ? journal->write.size : 0;
}

/* The same, when it may take the reserve: it begins a segment. */
static uint64_t beginning(const struct journal *journal)
{
    return journal->allocated ? 0 : in_flight(journal);
}

/* What the filling batch has, and what who keeps it open may still add. */
static uint64_t filled(const struct journal *journal)
{
    return journal->filling->size + journal->promised;
}

/* What the filling batch may take and still be written: behind the last one, or into the reserve.
 */
static uint64_t covered(const struct journal *journal)
{
    uint64_t reserve = journal->space.reserved[RESERVE_JOURNAL];
    uint64_t taken = SEGMENT_HEADER + beginning(journal);
    uint64_t whole = reserve > taken ? reserve - taken : 0;
    if (whole < tail(journal))
        whole = tail(journal);
    whole = whole > slack(journal) ? whole - slack(journal) : 0;
    return whole > plenty(journal) ? whole : plenty(journal);
}

uint64_t space_segment(const struct journal *journal)
{
    uint64_t most = journal->options->segment_bytes;
    uint64_t part = reserve_usual(journal, RESERVE_JOURNAL) / 4;
    if (!journal->space.is_short || planted(PLANTED_LARGE_WHEN_SHORT))
        return most;
    return at_most(most, part, SHORT_MIN);
}

/* What is free beside what a checkpoint takes, without which no segment goes. */
static uint64_t beside_index(const struct journal *journal)
{
    uint64_t index = journal->options->disk_reserve_bytes / 8;
    return journal->space.disk_free > index ? journal->space.disk_free - index : 0;
}

bool space_begins(const struct journal *journal, uint64_t size)
{
    return beside_index(journal) > SEGMENT_HEADER + BATCH_HEADER + size;
}

bool space_is_scarce(const struct journal *journal, uint64_t size)
{
    return size > plenty(journal);
}

uint64_t space_reach(const struct journal *journal, uint64_t size)
{
    uint64_t end = journal->active->size, most = space_segment(journal);
    uint64_t wanted = most / 4 > 2 * size ? most / 4 : 2 * size;
    uint64_t ahead = at_most(wanted, journal->space.disk_free / 8, AHEAD_MIN);
    if (plenty(journal) || end >= most || journal->allocated >= end + ahead / 2)
        return 0;
    uint64_t blocks = (end + ahead + DISK_BLOCK - 1) / DISK_BLOCK;
    return at_most(blocks * DISK_BLOCK, most / DISK_BLOCK * DISK_BLOCK, 0);
}

/* What is free, and what is as good for who publishes: what the reserve has beside its usual size.
 */
static void note_free(struct journal *journal, uint64_t bytes)
{
    uint64_t usual = reserve_usual(journal, RESERVE_JOURNAL),
             has = journal->space.reserved[RESERVE_JOURNAL];
    journal->space.disk_free = journal->space.free_bytes = bytes;
    if (plenty(journal) == 0)
        journal->space.free_bytes += has > usual ? has - usual : 0;
}

/* The reserve is to be large enough for so many bytes. False: there is no room for that. */
static bool ask(struct journal *journal, uint64_t bytes)
{
    uint64_t needed = reserve_for(journal, bytes), usual = reserve_usual(journal, RESERVE_JOURNAL);
    uint64_t has = journal->space.reserved[RESERVE_JOURNAL],
             grows = needed > has ? needed - has : 0;
    if (grows && journal->space.disk_free < grows + SHORT_MIN)
        return false;
    if (grows &&
        journal->space.disk_free > grows + usual + journal->options->disk_reserve_bytes / 2)
        needed += usual; /* so that there is one afterwards, too */
    if (grows && needed > journal->space.asked)
        journal->space.asked = needed;
    journal->space.asked_ms = journal->now_ms;
    return true;
}

bool space_covers_tightly(struct journal *journal, uint64_t bytes)
{
    if (filled(journal) + bytes <= covered(journal))
        return true;
    ask(journal, bytes);
    return false;
}

/* ---- giving up ---- */

/* Makes a reserve smaller. */
static void cut_reserve(struct disk *disk, enum reserve which, uint64_t size)
{
    struct disk_file *file;
    if (!disk->ops->cut || disk->ops->open(disk, reserves[which].name, DISK_WRITE, &file) != 0)
        return;
    disk->ops->cut(file, size);
    disk->ops->close(file);
}

static void run_release(struct job *link)
{
    struct release_job *job = (struct release_job *)link;
    struct disk *disk = job->disk;
    char name[32];
    for (uint32_t i = 0; i < job->count; i++) {
        spare_name(name, job->spares[i]);
        disk->ops->unlink(disk, name);
    }
    for (int i = 0; i < RESERVES; i++)
        if (job->reserves[i])
            disk->ops->unlink(disk, reserves[i].name);
    if (job->keep)
        cut_reserve(disk, RESERVE_JOURNAL, job->keep);
    if (job->segment)
        segment_cut(disk, job->segment, job->end);
    uint64_t total;
    if (disk->ops->free_space(disk, &job->free_bytes, &total) != 0)
        job->free_bytes = 0;
}

static void release_done(struct job *link)
{
    struct release_job *job = (struct release_job *)link;
    struct journal *journal = job->journal;
    journal->space.releasing--;
    journal->space.released_ms = journal->now_ms;
    if (!journal->is_writing)
        space_note(journal, job->free_bytes);
    mem_free(job);
}

static void release_abandon(struct job *link)
{
    mem_free((struct release_job *)link);
}

static struct release_job *release_new(struct journal *journal)
{
    struct release_job *job = mem_zalloc(sizeof(*job));
    job->job.run = run_release;
    job->job.done = release_done;
    job->job.abandon = release_abandon;
    job->journal = journal;
    job->disk = journal->options->disk;
    return job;
}

static void add_spares(struct journal *journal, struct release_job *job)
{
    while (journal->spares_count && job->count < SPARES_MAX)
        job->spares[job->count++] = journal->spares[--journal->spares_count];
}

/* It is not one any more, and neither is what is being made of it. */
static void forget_reserve(struct journal *journal, enum reserve which)
{
    journal->space.reserved[which] = 0;
    if (journal->space.reserving && journal->space.reserving->which == which)
        journal->space.reserving->is_taken = true;
}

static void add_reserve(struct journal *journal, struct release_job *job, enum reserve which)
{
    job->reserves[which] = journal->space.reserved[which] > 0;
    forget_reserve(journal, which);
    journal->space.reserve_ms[which] = journal->now_ms + RESERVE_RETRY_MS;
}

/* That of the journal, but for what is on its way there, and what consumers need behind that. */
static void add_rest(struct journal *journal, struct release_job *job, uint64_t least)
{
    uint64_t keep = reserve_for(journal, filled(journal) + beginning(journal));
    keep = keep > least ? keep : least;
    if (journal->space.reserved[RESERVE_JOURNAL] <= keep || journal->space.reserving)
        return;
    job->keep = journal->space.reserved[RESERVE_JOURNAL] = keep;
    journal->space.reserve_ms[RESERVE_JOURNAL] = journal->now_ms + RESERVE_RETRY_MS;
}

/* Of what the journal has and does not need for what was taken it keeps a half. */
static uint64_t divided(uint64_t has, uint64_t needed)
{
    uint64_t keep = has > needed ? needed + (has - needed) / 2 : has;
    return (keep + DISK_BLOCK - 1) / DISK_BLOCK * DISK_BLOCK;
}

/* No write is under way, so that no batch relies on what goes, and the next one knows. */
static void add_end(struct journal *journal, struct release_job *job)
{
    struct write_job *write = &journal->write;
    uint64_t needed = BATCH_HEADER + filled(journal);
    uint64_t end = journal->active ? journal->active->size : 0;
    end = divided(end + tail(journal), end + needed);
    bool is_kept = journal->allocated < end + SEGMENT_CUT_MIN || planted(PLANTED_END_KEPT);
    if (tail(journal) == 0 || is_kept)
        return;
    job->segment = journal->active->number;
    job->end = journal->allocated = write->allocated = end;
    write->laid_out = at_most(write->laid_out, end, 0);
}

static void add_half(struct journal *journal, struct release_job *job)
{
    uint64_t has = journal->space.reserved[RESERVE_JOURNAL];
    uint64_t keep = divided(has, SEGMENT_HEADER + BATCH_HEADER + filled(journal));
    if (journal->space.reserving || has < keep + SEGMENT_CUT_MIN)
        return;
    job->keep = journal->space.reserved[RESERVE_JOURNAL] = keep;
    journal->space.reserve_ms[RESERVE_JOURNAL] = journal->now_ms + RESERVE_RETRY_MS;
}

static bool is_empty(const struct release_job *job)
{
    bool any = job->count || job->keep || job->segment;
    for (int i = 0; i < RESERVES; i++)
        any |= job->reserves[i];
    return !any;
}

/* By the syncer, so that a write that is handed to it next finds the room. False: there is nothing.
 */
static bool release(struct journal *journal, struct release_job *job)
{
    if (is_empty(job)) {
        mem_free(job);
        return false;
    }
    journal->space.releasing++;
    journal->options->syncer->ops->submit(journal->options->syncer, &job->job);
    return true;
}

static void release_spares(struct journal *journal)
{
    struct release_job *job = release_new(journal);
    add_spares(journal, job);
    release(journal, job);
}

static void release_surplus(struct journal *journal)
{
    struct release_job *job = release_new(journal);
    while (journal->surplus_count)
        job->spares[job->count++] = journal->surplus[--journal->surplus_count];
    release(journal, job);
}

const char *space_take_reserve(struct journal *journal, uint64_t bytes)
{
    enum reserve which = RESERVE_JOURNAL;
    if (journal->space.reserved[which] < bytes)
        which = RESERVE_INDEX;
    if (journal->space.reserved[which] < bytes || planted(PLANTED_RESERVE_GIVEN_UP))
        return NULL;
    forget_reserve(journal, which);
    return reserves[which].name;
}

bool space_release(struct journal *journal)
{
    struct release_job *job = release_new(journal);
    add_spares(journal, job);
    add_reserve(journal, job, RESERVE_JOURNAL);
    if (is_empty(job))
        add_reserve(journal, job, RESERVE_INDEX);
    return release(journal, job);
}

/* The last that there is. */
static void divide(struct journal *journal)
{
    journal->space.is_end_wanted = journal->is_writing;
    if (journal->is_writing)
        return;
    struct release_job *job = release_new(journal);
    add_end(journal, job);
    if (is_empty(job))
        add_half(journal, job);
    release(journal, job);
}

void space_needed(struct journal *journal, uint64_t since_ms)
{
    uint64_t bytes;
    if (journal->space.releasing || since_ms <= journal->space.released_ms)
        return;
    if (!measure_free(journal, &bytes) || bytes >= INDEX_NEEDS)
        return;
    struct release_job *job = release_new(journal);
    add_spares(journal, job);
    add_reserve(journal, job, RESERVE_INDEX);
    if (is_empty(job))
        add_rest(journal, job, 0);
    if (is_empty(job))
        add_reserve(journal, job, RESERVE_START);
    if (!release(journal, job))
        divide(journal);
}

/* ---- a start on a full disk ---- */

static void find_spare(void *context, const char *name)
{
    struct release_job *job = context;
    uint32_t number = spare_number(name);
    if (number && job->count < SPARES_MAX)
        job->spares[job->count++] = number;
}

bool space_rescue(struct journal *journal)
{
    uint64_t bytes;
    struct disk *disk = journal->options->disk;
    if (journal->space.rescues > RESERVES || !measure_free(journal, &bytes) ||
        bytes >= INDEX_NEEDS || planted(PLANTED_NO_RESCUE))
        return false;
    struct release_job *job = release_new(journal);
    /* What the files were listed for before is no more. */
    if (journal->space.rescues == 0) {
        disk->ops->list(disk, find_spare, job);
        journal->spares_count = 0;
    } else {
        int which = RESERVES - journal->space.rescues;
        job->reserves[which] = true;
        journal->space.reserved[which] = 0;
    }
    run_release(&job->job);
    mem_free(job);
    journal->space.rescues++;
    return true;
}

/* ---- how much there is ---- */

uint32_t space_spares(const struct journal *journal)
{
    uint64_t keep = 2 * journal->options->disk_reserve_bytes;
    uint32_t have = journal->spares_count, most = journal->options->recycle_segments;
    if (journal->space.is_short || journal->space.free_bytes <= keep || have >= most)
        return 0;
    uint64_t fit = (journal->space.free_bytes - keep) / 8 / journal->options->segment_bytes;
    return fit < most - have ? (uint32_t)fit : most - have;
}

/* A batch may grow to this size for what is free. */
static uint64_t room_by_size(const struct journal *journal)
{
    uint64_t taken = journal->options->disk_reserve_bytes / 4 + in_flight(journal);
    return journal->space.free_bytes > taken ? journal->space.free_bytes - taken : 0;
}

void space_measured(struct journal *journal)
{
    uint64_t room = at_most(room_by_size(journal), journal->options->batch_max_bytes, 0);
    room = at_most(room, covered(journal), 0);
    if (room > journal->space.room && journal->space.is_room_awaited) {
        journal->space.is_room_awaited = false;
        journal->space.has_new_room = true;
    }
    journal->space.room = room;
}

void space_note(struct journal *journal, uint64_t free_bytes)
{
    uint64_t limit = journal->space.short_bytes ? journal->space.short_bytes : SHORT_MIN;
    journal->space.checked_ms = journal->now_ms;
    note_free(journal, free_bytes);
    free_bytes = journal->space.free_bytes;
    space_measured(journal);
    if (journal->spares_count && free_bytes < limit && !planted(PLANTED_SPARES_STAY))
        release_spares(journal);
    if (journal->space.is_end_wanted)
        divide(journal);
    if (journal->space.releasing)
        return; /* to be measured once more */
    /* An alarm that has begun ends somewhat above the mark where it began. */
    if (journal->space.is_short)
        limit += limit / 20;
    bool is_short = free_bytes < limit;
    if (is_short == journal->space.is_short)
        return;
    journal->space.is_short = is_short;
    for (int i = 0; i < RESERVES && !is_short; i++)
        journal->space.reserve_ms[i] = 0;
    log_event(journal->options->log, is_short ? EVENT_disk_short : EVENT_disk_enough,
              "free=%llu reserve=%llu", (unsigned long long)free_bytes,
              (unsigned long long)journal->space.short_bytes);
}

bool space_is_wanted(const struct journal *journal)
{
    bool was_missed =
        journal->space.missed_ms && journal->now_ms - journal->space.missed_ms < MISSED_MS;
    return journal->space.is_short || was_missed;
}

bool space_is_tight(const struct journal *journal)
{
    bool is_tight =
        space_is_wanted(journal) || journal->space.free_bytes / 2 < journal->space.short_bytes;
    return is_tight && !planted(PLANTED_NEVER_TIGHT);
}

/* A write that is under way has taken a part of what it will, so that this may find too little. */
static void measure(struct journal *journal)
{
    uint64_t bytes;
    if (journal->space.checked_ms == journal->now_ms || !measure_free(journal, &bytes))
        return;
    if (journal->is_writing) {
        note_free(journal, bytes);
        space_measured(journal);
    } else {
        space_note(journal, bytes);
    }
}

enum store_room space_room(struct journal *journal, uint64_t bytes)
{
    measure(journal);
    uint64_t size = filled(journal) + bytes;
    if (size <= journal->space.room)
        return STORE_ROOM_NOW;
    if (size <= room_by_size(journal) && ask(journal, bytes)) {
        journal->space.is_room_awaited = true;
        return STORE_ROOM_LATER;
    }
    journal->space.missed_ms = journal->now_ms;
    bool may_grow = journal->space.is_short || journal->space.releasing || journal->is_writing ||
                    journal->promised || !batch_is_empty(journal->filling);
    return may_grow ? STORE_ROOM_LATER : STORE_ROOM_FULL;
}

/* ---- what gives room back ---- */

/* What is kept for settles, marks and names. */
static uint64_t kept_for_others(const struct journal *journal)
{
    uint64_t half = reserve_usual(journal, RESERVE_JOURNAL) / 2 / DISK_BLOCK * DISK_BLOCK;
    return half > SHORT_MIN ? half : SHORT_MIN;
}

/* All that is free or kept for the journal, but for that. */
static uint64_t room_to_free(const struct journal *journal)
{
    uint64_t beside = beside_index(journal);
    uint64_t has = beside > tail(journal) ? beside : tail(journal);
    uint64_t taken = kept_for_others(journal) + filled(journal) + in_flight(journal);
    has = at_most(has, UINT64_MAX / 2, 0) + journal->space.reserved[RESERVE_JOURNAL];
    return has > taken ? has - taken : 0;
}

/* The rest of the reserve becomes free. Not at once again, if something else takes that. */
static void give_half(struct journal *journal)
{
    if (journal->now_ms < journal->space.reserve_ms[RESERVE_JOURNAL])
        return;
    struct release_job *job = release_new(journal);
    add_rest(journal, job, kept_for_others(journal));
    if (release(journal, job))
        journal->space.asked = 0;
}

bool space_moves(struct journal *journal, uint64_t bytes)
{
    if (bytes > room_to_free(journal))
        return false;
    uint64_t part = at_most(bytes, journal->options->batch_bytes, 0);
    uint64_t size = BATCH_HEADER + filled(journal) + part;
    if (size <= tail(journal) || space_begins(journal, size))
        return true;
    give_half(journal);
    return false;
}

bool space_ends(struct journal *journal, uint64_t bytes, uint64_t moving)
{
    if (planted(PLANTED_ENDING_AS_OTHERS) || !space_moves(journal, bytes + moving))
        return false;
    if (space_covers(journal, bytes))
        return true;
    ask(journal, at_most(beside_index(journal) / 4, journal->options->batch_bytes, bytes));
    if (!batch_is_empty(journal->filling))
        journal->wanted = journal->filling->number; /* what has room goes at once */
    return false;
}

/* ---- the reserves ---- */

static void run_reserve(struct job *link)
{
    struct reserve_job *job = (struct reserve_job *)link;
    const struct disk_ops *ops = job->disk->ops;
    const char *name = reserves[job->which].name;
    struct disk_file *file;
    job->error = ops->allocate ? ops->open(job->disk, name, DISK_CREATE, &file) : ENOTSUP;
    if (job->error == EEXIST)
        job->error = ops->open(job->disk, name, DISK_WRITE, &file);
    if (job->error)
        return;
    job->error = job->size < job->from && ops->cut ? ops->cut(file, job->size)
                                                   : ops->allocate(file, job->size);
    if (job->error && job->from && ops->cut)
        ops->cut(file, job->from);
    ops->close(file);
    if (job->error && !job->from)
        ops->unlink(job->disk, name);
}

static void reserve_done(struct job *link)
{
    struct reserve_job *job = (struct reserve_job *)link;
    struct journal *journal = job->journal;
    bool is_journal = job->which == RESERVE_JOURNAL;
    journal->space.reserving = NULL;
    if (job->error)
        journal->space.reserve_ms[job->which] = journal->now_ms + RESERVE_RETRY_MS;
    else
        journal->space.reserved[job->which] = job->is_taken ? 0 : job->size;
    if (job->error && is_journal)
        journal->space.asked = 0; /* who asks again finds what is free now */
    if (job->error == ENOTSUP || job->error == EINVAL)
        journal->space.is_uncoverable = true;
    journal->space.checked_ms = 0;
    measure(journal);
    mem_free(job);
}

static void reserve_abandon(struct job *link)
{
    mem_free((struct reserve_job *)link);
}

static bool is_asked(const struct journal *journal)
{
    return journal->space.asked && journal->now_ms - journal->space.asked_ms < ASKED_MS;
}

/* That for a start is made of what there is; opening the index writes once more what is in its
 * logs, which may be two images. */
static uint64_t start_size(const struct journal *journal)
{
    uint64_t size = reserve_usual(journal, RESERVE_START);
    uint64_t half = (journal->space.disk_free + journal->space.reserved[RESERVE_START]) / 2;
    size = size ? size + 2 * journal->space.index_batch / START_MIN * START_MIN : 0;
    size = size < half ? size : half;
    return size < START_MIN && size == half ? 0 : size;
}

/* Nothing that is on its way relies on it. */
static bool may_shrink(const struct journal *journal)
{
    return !journal->is_writing && batch_is_empty(journal->filling) && !journal->promised;
}

/* How large it should be; 0: it stays as it is. */
static uint64_t reserve_size(const struct journal *journal, enum reserve which)
{
    uint64_t has = journal->space.reserved[which], usual = reserve_usual(journal, which);
    if (which == RESERVE_START)
        return has < start_size(journal) ? start_size(journal) : 0;
    bool is_journal = which == RESERVE_JOURNAL;
    if (is_journal && is_asked(journal) && (has < journal->space.asked || has >= usual))
        return has < journal->space.asked ? journal->space.asked : 0;
    if (is_journal && has > usual)
        return may_shrink(journal) ? usual : 0;
    bool is_enough =
        journal->space.free_bytes >= journal->options->disk_reserve_bytes + usual - has;
    bool is_less = is_journal ? has < usual : has == 0;
    return !journal->space.is_short && is_enough && is_less ? usual : 0;
}

void space_for_image(struct journal *journal, uint64_t bytes)
{
    journal->space.index_batch =
        bytes > journal->space.last_image ? bytes : journal->space.last_image;
    journal->space.last_image = bytes;
}

/* Nothing is made before there is anything to be kept; and again not at once. */
static bool may_make(const struct journal *journal, enum reserve which)
{
    if (journal->space.reserving || !journal->options->disk->ops->allocate)
        return false;
    bool may_again = journal->now_ms >= journal->space.reserve_ms[which];
    /* What it gave up while the disk is short is for what gives room back. */
    if (which == RESERVE_JOURNAL && is_asked(journal))
        return may_again || !journal->space.is_short;
    return journal->active && may_again;
}

/* That of the journal by the syncer, which may take it. */
static void make_reserve(struct journal *journal, enum reserve which)
{
    uint64_t size = may_make(journal, which) ? reserve_size(journal, which) : 0;
    if (size == 0)
        return;
    struct reserve_job *job = mem_zalloc(sizeof(*job));
    job->job.run = run_reserve;
    job->job.done = reserve_done;
    job->job.abandon = reserve_abandon;
    job->journal = journal;
    job->disk = journal->options->disk;
    job->which = which;
    job->size = size;
    job->from = journal->space.reserved[which];
    if (size < job->from)
        journal->space.reserved[which] = size;
    journal->space.reserving = job;
    struct worker *worker =
        which == RESERVE_JOURNAL ? journal->options->syncer : journal->options->indexer;
    worker->ops->submit(worker, &job->job);
}

uint64_t space_next_ms(const struct journal *journal)
{
    uint64_t reserve = journal->space.reserved[RESERVE_JOURNAL];
    bool is_missing = is_asked(journal) && reserve < journal->space.asked;
    bool is_too_large = journal->space.asked && reserve > reserve_usual(journal, RESERVE_JOURNAL);
    if (journal->space.has_new_room)
        return journal->now_ms;
    if (space_is_wanted(journal) || is_missing)
        return journal->now_ms + CHECK_MS;
    if (!is_too_large)
        return UINT64_MAX;
    uint64_t due = journal->space.asked_ms + ASKED_MS;
    return due > journal->now_ms ? due : journal->now_ms + CHECK_MS;
}

void space_tick(struct journal *journal)
{
    uint64_t bytes;
    if (journal->space.asked && !is_asked(journal))
        journal->space.asked = 0;
    if (is_asked(journal))
        make_reserve(journal, RESERVE_JOURNAL);
    make_reserve(journal, RESERVE_START);
    make_reserve(journal, RESERVE_INDEX);
    make_reserve(journal, RESERVE_JOURNAL);
    if (journal->surplus_count)
        release_surplus(journal);
    outage_tick(&journal->space.refusals, journal->options->log, journal->now_ms);
    if (journal->now_ms - journal->space.checked_ms < CHECK_MS || journal->is_writing)
        return;
    if (measure_free(journal, &bytes))
        space_note(journal, bytes);
}
