/* Room on the disk. Below the reserve that the options set, publishers are blocked; consumers go
 * on, as what they settle is what gives space back. What is kept for reuse goes before anybody has
 * to wait, and on a disk that is nearly full more is compacted than usual.
 *
 * A record of a message is taken only when there is room for it beside all that is on its way: a
 * batch with something in it that does not fit could never be written, and all else would wait
 * behind it. While the disk is short its publisher waits, as all do; one whose message is larger
 * than what is free is told so. Settles and declarations are always taken.
 *
 * Whatever else writes to the disk may take what was free a moment ago. So where that is not plenty,
 * a batch takes only what is sure of its room: a part of the active segment that has its blocks, or
 * the journal's reserve, which becomes the file of the next segment, and is nobody else's for a
 * moment. What is asked for and larger waits until the reserve has grown by it; what the reserve has
 * beside its usual size counts as free, and is given back when nobody asks for it any more. A part of
 * it is left to settles and declarations, in the batch and behind it.
 *
 * A disk may be full of what could give room back, if that found room to be written first: messages
 * that are to be replaced by their dead letters, and what is live in segments that are mostly dead.
 * For these there is all that is free, but for a checkpoint, and a half of the journal's reserve, which
 * is cut off when the rest is used up, and not again before it has come back. What compaction has
 * begun it can end, as only a segment that is dead as a whole gives its room back; and while the disk
 * is short segments are a quarter of the reserve, so that what was written there goes soon after it
 * was consumed.
 *
 * Two more files are kept to be given up: one for the index and one for a start, as others may have
 * taken what the broker before gave up. That for the index is used for the journal when that has none
 * left, if it is large enough; and the index gets what the journal's has beside what relies on it. */
#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "store/internal.h"

enum { CHECK_MS = 500, RESERVE_RETRY_MS = 10000, SHORT_MIN = 64 << 10, MISSED_MS = 10000 };
enum { START_MIN = 256 << 10 };
/* With so much free, or so many times what is asked for, nobody can take all of it in a moment. */
enum { COVER_BELOW = 1 << 30, COVER_PART = 16 };
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
void space_found(struct store *store, const char *name)
{
    const struct disk_ops *ops = store->options.disk->ops;
    enum reserve which = reserve_of(name);
    struct disk_file *file;
    uint64_t size;
    if (which == RESERVES || ops->open(store->options.disk, name, DISK_READ, &file) != 0)
        return;
    store->reserved[which] = ops->size(file, &size) == 0 ? size : 0;
    ops->close(file);
}

/* ---- sizes that fit the disk ---- */

static uint64_t at_most(uint64_t value, uint64_t limit, uint64_t least)
{
    limit = limit > least ? limit : least;
    return value < limit ? value : limit;
}

void space_fit(struct store *store)
{
    struct store_options *o = &store->options;
    uint64_t free_bytes, total;
    if (o->disk->ops->free_space(o->disk, &free_bytes, &total) != 0)
        return;
    o->segment_bytes = (uint32_t)at_most(o->segment_bytes, total / 16, 1 << 20);
    o->batch_bytes = (uint32_t)at_most(o->batch_bytes, total / 64, 1 << 19);
    o->checkpoint_bytes = at_most(o->checkpoint_bytes, total / 8, 4 << 20);
    if (o->disk_reserve_bytes == STORE_DISK_RESERVE)
        o->disk_reserve_bytes = at_most(o->disk_reserve_bytes, total / 8, 0);
    store->disk_free = store->free_bytes = free_bytes;
    space_measured(store);
}

/* ---- what is sure ---- */

/* Beside what is asked for, a batch takes settles, marks and names, and has a header. */
static uint64_t slack(const struct store *store)
{
    return at_most(store->options.disk_reserve_bytes / 8, SLACK_MAX, SEGMENT_HEADER + BATCH_HEADER);
}

/* The reserve that a batch of so many bytes needs. */
static uint64_t reserve_for(const struct store *store, uint64_t bytes)
{
    uint64_t size = SEGMENT_HEADER + bytes + slack(store);
    return (size + DISK_BLOCK - 1) / DISK_BLOCK * DISK_BLOCK;
}

/* What the journal's reserve has without being asked. */
static uint64_t reserve_usual(const struct store *store, enum reserve which)
{
    return at_most(store->options.disk_reserve_bytes / 8 * reserves[which].eighths,
                   reserves[which].size_max, 0) / DISK_BLOCK * DISK_BLOCK;
}

static bool is_covering(const struct store *store)
{
    return store->options.disk_reserve_bytes && !store->is_uncoverable &&
           store->options.disk->ops->allocate && !planted(PLANTED_NOT_COVERED);
}

/* A batch of so many bytes is sure of its room because there is plenty. */
static uint64_t plenty(const struct store *store)
{
    if (!is_covering(store))
        return UINT64_MAX;
    return store->disk_free < COVER_BELOW ? 0 : store->disk_free / COVER_PART;
}

/* Room behind the last batch of the active segment. */
static uint64_t tail(const struct store *store)
{
    uint64_t end = store->active ? store->active->size : 0;
    return end && store->allocated > end ? store->allocated - end : 0;
}

/* Bytes of a write that may take the reserve: it begins a segment. */
static uint64_t in_flight(const struct store *store)
{
    bool begins = store->is_writing && store->write.number && !store->allocated;
    return begins ? store->write.size : 0;
}

/* What the filling batch may take and still be written: behind the last one, or into the reserve. */
static uint64_t covered(const struct store *store)
{
    uint64_t reserve = store->reserved[RESERVE_JOURNAL];
    uint64_t taken = SEGMENT_HEADER + in_flight(store);
    uint64_t whole = reserve > taken ? reserve - taken : 0;
    if (whole < tail(store))
        whole = tail(store);
    whole = whole > slack(store) ? whole - slack(store) : 0;
    return whole > plenty(store) ? whole : plenty(store);
}

uint64_t space_segment(const struct store *store)
{
    uint64_t most = store->options.segment_bytes, part = reserve_usual(store, RESERVE_JOURNAL) / 4;
    if (!store->is_short || planted(PLANTED_LARGE_WHEN_SHORT))
        return most;
    return at_most(most, part, SHORT_MIN);
}

/* What is free beside what a checkpoint takes, without which no segment goes. */
static uint64_t beside_index(const struct store *store)
{
    uint64_t index = store->options.disk_reserve_bytes / 8;
    return store->disk_free > index ? store->disk_free - index : 0;
}

bool space_begins(const struct store *store, uint64_t size)
{
    return beside_index(store) > SEGMENT_HEADER + BATCH_HEADER + size;
}

bool space_is_scarce(const struct store *store, uint64_t size)
{
    return size > plenty(store);
}

uint64_t space_reach(const struct store *store, uint64_t size)
{
    uint64_t end = store->active->size, most = space_segment(store);
    uint64_t wanted = most / 4 > 2 * size ? most / 4 : 2 * size;
    uint64_t ahead = at_most(wanted, store->disk_free / 8, AHEAD_MIN);
    if (plenty(store) || end >= most || store->allocated >= end + ahead / 2)
        return 0;
    return at_most(end + ahead, most, 0) / DISK_BLOCK * DISK_BLOCK;
}

/* What is free, and what is as good for who publishes: what the reserve has beside its usual size. */
static void note_free(struct store *store, uint64_t bytes)
{
    uint64_t usual = reserve_usual(store, RESERVE_JOURNAL), has = store->reserved[RESERVE_JOURNAL];
    store->disk_free = store->free_bytes = bytes;
    if (plenty(store) == 0)
        store->free_bytes += has > usual ? has - usual : 0;
}

/* The reserve is to be large enough for so many bytes. False: there is no room for that. */
static bool ask(struct store *store, uint64_t bytes)
{
    uint64_t needed = reserve_for(store, bytes), usual = reserve_usual(store, RESERVE_JOURNAL);
    uint64_t has = store->reserved[RESERVE_JOURNAL], grows = needed > has ? needed - has : 0;
    if (grows && store->disk_free < grows + SHORT_MIN)
        return false;
    if (grows && store->disk_free > grows + usual + store->options.disk_reserve_bytes / 2)
        needed += usual; /* so that there is one afterwards, too */
    if (grows && needed > store->asked)
        store->asked = needed;
    store->asked_ms = store->now_ms;
    return true;
}

bool space_covers(struct store *store, uint64_t bytes)
{
    if (store->filling->size + store->promised + bytes <= covered(store))
        return true;
    ask(store, bytes);
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
    uint64_t total;
    if (disk->ops->free_space(disk, &job->free_bytes, &total) != 0)
        job->free_bytes = 0;
}

static struct release_job *release_new(struct store *store)
{
    struct release_job *job = mem_zalloc(sizeof(*job));
    job->job.run = run_release;
    job->job.kind = JOB_RELEASE;
    job->disk = store->options.disk;
    return job;
}

static void add_spares(struct store *store, struct release_job *job)
{
    while (store->spares_count && job->count < SPARES_MAX)
        job->spares[job->count++] = store->spares[--store->spares_count];
}

/* It is not one any more, and neither is what is being made of it. */
static void forget_reserve(struct store *store, enum reserve which)
{
    store->reserved[which] = 0;
    if (store->reserving && store->reserving->which == which)
        store->reserving->is_taken = true;
}

static void add_reserve(struct store *store, struct release_job *job, enum reserve which)
{
    job->reserves[which] = store->reserved[which] > 0;
    forget_reserve(store, which);
    store->reserve_ms[which] = store->now_ms + RESERVE_RETRY_MS;
}

/* That of the journal, but for what is on its way there, and what consumers need behind that. */
static void add_rest(struct store *store, struct release_job *job, uint64_t least)
{
    uint64_t keep = reserve_for(store, store->filling->size + store->promised + in_flight(store));
    keep = keep > least ? keep : least;
    if (store->reserved[RESERVE_JOURNAL] <= keep || store->reserving)
        return;
    job->keep = store->reserved[RESERVE_JOURNAL] = keep;
    store->reserve_ms[RESERVE_JOURNAL] = store->now_ms + RESERVE_RETRY_MS;
}

static bool is_empty(const struct release_job *job)
{
    bool any = job->count || job->keep;
    for (int i = 0; i < RESERVES; i++)
        any |= job->reserves[i];
    return !any;
}

/* By the syncer, so that a write that is handed to it next finds the room. False: there is nothing.
 */
static bool release(struct store *store, struct release_job *job)
{
    if (is_empty(job)) {
        mem_free(job);
        return false;
    }
    store->releasing++;
    store->options.syncer->ops->submit(store->options.syncer, &job->job);
    return true;
}

static void release_spares(struct store *store)
{
    struct release_job *job = release_new(store);
    add_spares(store, job);
    release(store, job);
}

static void release_surplus(struct store *store)
{
    struct release_job *job = release_new(store);
    while (store->surplus_count)
        job->spares[job->count++] = store->surplus[--store->surplus_count];
    release(store, job);
}

void release_done(struct store *store, struct release_job *job)
{
    store->releasing--;
    if (!store->is_writing)
        space_note(store, job->free_bytes);
    mem_free(job);
}

const char *space_take_reserve(struct store *store, uint64_t bytes)
{
    enum reserve which = RESERVE_JOURNAL;
    if (store->reserved[which] < bytes)
        which = RESERVE_INDEX;
    if (store->reserved[which] < bytes || planted(PLANTED_RESERVE_GIVEN_UP))
        return NULL;
    forget_reserve(store, which);
    return reserves[which].name;
}

bool space_release(struct store *store)
{
    struct release_job *job = release_new(store);
    add_spares(store, job);
    add_reserve(store, job, RESERVE_JOURNAL);
    if (is_empty(job))
        add_reserve(store, job, RESERVE_INDEX);
    return release(store, job);
}

void space_needed(struct store *store)
{
    uint64_t bytes, total;
    if (store->options.disk->ops->free_space(store->options.disk, &bytes, &total) != 0 ||
        bytes >= INDEX_NEEDS)
        return;
    struct release_job *job = release_new(store);
    add_spares(store, job);
    add_reserve(store, job, RESERVE_INDEX);
    if (is_empty(job))
        add_rest(store, job, 0);
    release(store, job);
}

/* ---- a start on a full disk ---- */

static void find_spare(void *context, const char *name)
{
    struct release_job *job = context;
    uint32_t number = spare_number(name);
    if (number && job->count < SPARES_MAX)
        job->spares[job->count++] = number;
}

bool space_rescue(struct store *store)
{
    uint64_t bytes, total;
    struct disk *disk = store->options.disk;
    if (store->rescues > RESERVES || disk->ops->free_space(disk, &bytes, &total) != 0 ||
        bytes >= INDEX_NEEDS || planted(PLANTED_NO_RESCUE))
        return false;
    struct release_job *job = release_new(store);
    /* What the files were listed for before is no more. */
    if (store->rescues == 0) {
        disk->ops->list(disk, find_spare, job);
        store->spares_count = 0;
    } else {
        int which = RESERVES - store->rescues;
        job->reserves[which] = true;
        store->reserved[which] = 0;
    }
    run_release(&job->job);
    mem_free(job);
    store->rescues++;
    return true;
}

/* ---- how much there is ---- */

uint32_t space_spares(const struct store *store)
{
    uint64_t keep = 2 * store->options.disk_reserve_bytes;
    uint32_t have = store->spares_count, most = store->options.recycle_segments;
    if (store->is_short || store->free_bytes <= keep || have >= most)
        return 0;
    uint64_t fit = (store->free_bytes - keep) / 8 / store->options.segment_bytes;
    return fit < most - have ? (uint32_t)fit : most - have;
}

/* A batch may grow to this size for what is free. */
static uint64_t room_by_size(const struct store *store)
{
    uint64_t kept = store->options.disk_reserve_bytes / 4;
    bool is_on_its_way = store->is_writing && store->write.number;
    uint64_t taken = kept + (is_on_its_way ? store->write.size : 0);
    return store->free_bytes > taken ? store->free_bytes - taken : 0;
}

void space_measured(struct store *store)
{
    uint64_t room = at_most(room_by_size(store), store->options.batch_max_bytes, 0);
    room = at_most(room, covered(store), 0);
    if (room > store->room && store->is_room_awaited) {
        store->is_room_awaited = false;
        store->has_new_room = true;
    }
    store->room = room;
}

void space_note(struct store *store, uint64_t free_bytes)
{
    uint64_t limit =
        store->options.disk_reserve_bytes ? store->options.disk_reserve_bytes : SHORT_MIN;
    store->free_checked_ms = store->now_ms;
    note_free(store, free_bytes);
    free_bytes = store->free_bytes;
    space_measured(store);
    if (store->spares_count && free_bytes < limit && !planted(PLANTED_SPARES_STAY))
        release_spares(store);
    if (store->releasing)
        return; /* to be measured once more */
    /* An alarm that has begun ends somewhat above the mark where it began. */
    if (store->is_short)
        limit += limit / 20;
    bool is_short = free_bytes < limit;
    if (is_short == store->is_short)
        return;
    store->is_short = is_short;
    log_event(store->options.log, is_short ? EVENT_disk_short : EVENT_disk_enough,
              "free=%llu reserve=%llu", (unsigned long long)free_bytes,
              (unsigned long long)store->options.disk_reserve_bytes);
}

bool space_is_wanted(const struct store *store)
{
    bool was_missed = store->missed_ms && store->now_ms - store->missed_ms < MISSED_MS;
    return store->is_short || was_missed;
}

bool space_is_tight(const struct store *store)
{
    bool is_tight =
        space_is_wanted(store) || store->free_bytes / 2 < store->options.disk_reserve_bytes;
    return is_tight && !planted(PLANTED_NEVER_TIGHT);
}

/* A write that is under way has taken a part of what it will, so that this may find too little. */
static void measure(struct store *store)
{
    uint64_t bytes, total;
    if (store->free_checked_ms == store->now_ms ||
        store->options.disk->ops->free_space(store->options.disk, &bytes, &total) != 0)
        return;
    if (store->is_writing) {
        note_free(store, bytes);
        space_measured(store);
    } else {
        space_note(store, bytes);
    }
}

enum store_room space_room(struct store *store, uint64_t bytes)
{
    measure(store);
    uint64_t size = store->filling->size + store->promised + bytes;
    if (size <= store->room)
        return STORE_ROOM_NOW;
    if (size <= room_by_size(store) && ask(store, bytes)) {
        store->is_room_awaited = true;
        return STORE_ROOM_LATER;
    }
    store->missed_ms = store->now_ms;
    bool may_grow = store->is_short || store->releasing || store->is_writing || store->promised ||
                    !batch_is_empty(store->filling);
    return may_grow ? STORE_ROOM_LATER : STORE_ROOM_FULL;
}

/* ---- what gives room back ---- */

/* What is kept for settles, marks and names. */
static uint64_t kept_for_others(const struct store *store)
{
    uint64_t half = reserve_usual(store, RESERVE_JOURNAL) / 2 / DISK_BLOCK * DISK_BLOCK;
    return half > SHORT_MIN ? half : SHORT_MIN;
}

/* All that is free or kept for the journal, but for that. */
static uint64_t room_to_free(const struct store *store)
{
    uint64_t has = beside_index(store) > tail(store) ? beside_index(store) : tail(store);
    uint64_t taken = kept_for_others(store) + store->filling->size + store->promised;
    if (store->is_writing && store->write.number)
        taken += store->write.size;
    has = at_most(has, UINT64_MAX / 2, 0) + store->reserved[RESERVE_JOURNAL];
    return has > taken ? has - taken : 0;
}

/* The rest of the reserve becomes free. Not at once again, if something else takes that. */
static void give_half(struct store *store)
{
    if (store->now_ms < store->reserve_ms[RESERVE_JOURNAL])
        return;
    struct release_job *job = release_new(store);
    add_rest(store, job, kept_for_others(store));
    if (release(store, job))
        store->asked = 0;
}

/* Is there room for that, and for the first part of it at once? */
static bool is_room(struct store *store, uint64_t bytes)
{
    if (bytes > room_to_free(store))
        return false;
    uint64_t part = at_most(bytes, store->options.batch_bytes, 0);
    uint64_t size = BATCH_HEADER + store->filling->size + store->promised + part;
    if (size <= tail(store) || space_begins(store, size))
        return true;
    give_half(store);
    return false;
}

bool space_moves(struct store *store, uint64_t bytes)
{
    return is_room(store, bytes);
}

/* What has begun to be moved must come to its end. */
static uint64_t moving(const struct store *store)
{
    return store->compaction.segment ? store->compaction.segment->live_bytes : 0;
}

bool space_ends(struct store *store, uint64_t bytes)
{
    if (planted(PLANTED_ENDING_AS_OTHERS) || !is_room(store, bytes + moving(store)))
        return false;
    if (space_covers(store, bytes))
        return true;
    ask(store, at_most(beside_index(store) / 4, store->options.batch_bytes, bytes));
    if (!batch_is_empty(store->filling))
        store->wanted = store->filling->number; /* what has room goes at once */
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

void reserve_done(struct store *store, struct reserve_job *job)
{
    bool is_journal = job->which == RESERVE_JOURNAL;
    store->reserving = NULL;
    if (job->error)
        store->reserve_ms[job->which] = store->now_ms + RESERVE_RETRY_MS;
    else
        store->reserved[job->which] = job->is_taken ? 0 : job->size;
    if (job->error && is_journal)
        store->asked = 0; /* who asks again finds what is free now */
    if (job->error == ENOTSUP || job->error == EINVAL)
        store->is_uncoverable = true;
    store->free_checked_ms = 0;
    measure(store);
    mem_free(job);
}

static bool is_asked(const struct store *store)
{
    return store->asked && store->now_ms - store->asked_ms < ASKED_MS;
}

/* That for a start is made of what there is; opening the index writes once more what is in its logs, which
 * may be two images. */
static uint64_t start_size(const struct store *store)
{
    uint64_t size = reserve_usual(store, RESERVE_START);
    uint64_t half = (store->disk_free + store->reserved[RESERVE_START]) / 2;
    size = size ? size + 2 * store->index_batch / START_MIN * START_MIN : 0;
    size = size < half ? size : half;
    return size < START_MIN && size == half ? 0 : size;
}

/* Nothing that is on its way relies on it. */
static bool may_shrink(const struct store *store)
{
    return !store->is_writing && batch_is_empty(store->filling) && !store->promised;
}

/* How large it should be; 0: it stays as it is. */
static uint64_t reserve_size(const struct store *store, enum reserve which)
{
    uint64_t has = store->reserved[which], usual = reserve_usual(store, which);
    if (which == RESERVE_START)
        return has < start_size(store) ? start_size(store) : 0;
    bool is_journal = which == RESERVE_JOURNAL;
    if (is_journal && is_asked(store) && (has < store->asked || has >= usual))
        return has < store->asked ? store->asked : 0;
    if (is_journal && has > usual)
        return may_shrink(store) ? usual : 0;
    bool is_enough = store->free_bytes >= store->options.disk_reserve_bytes + usual - has;
    bool is_less = is_journal ? has < usual : has == 0;
    return !store->is_short && is_enough && is_less ? usual : 0;
}

void space_for_image(struct store *store, uint64_t bytes)
{
    store->index_batch = bytes > store->last_image ? bytes : store->last_image;
    store->last_image = bytes;
}

/* Nothing is made before there is anything to be kept; and again not at once. */
static bool may_make(const struct store *store, enum reserve which)
{
    if (store->reserving || !store->options.disk->ops->allocate)
        return false;
    return (which == RESERVE_JOURNAL && is_asked(store)) ||
           (store->active && store->now_ms >= store->reserve_ms[which]);
}

/* That of the journal by the syncer, which may take it. */
static void make_reserve(struct store *store, enum reserve which)
{
    uint64_t size = may_make(store, which) ? reserve_size(store, which) : 0;
    if (size == 0)
        return;
    struct reserve_job *job = mem_zalloc(sizeof(*job));
    job->job.run = run_reserve;
    job->job.kind = JOB_RESERVE;
    job->disk = store->options.disk;
    job->which = which;
    job->size = size;
    job->from = store->reserved[which];
    if (size < job->from)
        store->reserved[which] = size;
    store->reserving = job;
    struct worker *worker =
        which == RESERVE_JOURNAL ? store->options.syncer : store->options.indexer;
    worker->ops->submit(worker, &job->job);
}

uint64_t space_next_ms(const struct store *store)
{
    uint64_t reserve = store->reserved[RESERVE_JOURNAL];
    bool is_missing = is_asked(store) && reserve < store->asked;
    bool is_too_large = store->asked && reserve > reserve_usual(store, RESERVE_JOURNAL);
    if (store->has_new_room)
        return store->now_ms;
    if (space_is_wanted(store) || is_missing)
        return store->now_ms + CHECK_MS;
    if (!is_too_large)
        return UINT64_MAX;
    uint64_t due = store->asked_ms + ASKED_MS;
    return due > store->now_ms ? due : store->now_ms + CHECK_MS;
}

void space_tick(struct store *store)
{
    uint64_t bytes, total;
    if (store->asked && !is_asked(store))
        store->asked = 0;
    if (is_asked(store))
        make_reserve(store, RESERVE_JOURNAL);
    make_reserve(store, RESERVE_START);
    make_reserve(store, RESERVE_INDEX);
    make_reserve(store, RESERVE_JOURNAL);
    if (store->surplus_count)
        release_surplus(store);
    outage_tick(&store->refusals, store->options.log, store->now_ms);
    if (store->now_ms - store->free_checked_ms < CHECK_MS || store->is_writing)
        return;
    if (store->options.disk->ops->free_space(store->options.disk, &bytes, &total) == 0)
        space_note(store, bytes);
}
