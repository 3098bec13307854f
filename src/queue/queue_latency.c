#include "queue/queue_latency.h"

#include "base/mem.h"

enum { CELL_SHIFT = 56, TOP_BIT = 36, SHIFT_MAX = 24 };
enum { WINDOW_US = 64000, QUEUE_MOST = 16, ALL_MOST = 128 }; /* in a window */
enum { TIMED_LEAST = 4, CELLS_LEAST = 4 };

/* ---- how many took how long ---- */

static unsigned cell_of(uint64_t us)
{
    if (us < 4)
        return (unsigned)us;
    if (us >> TOP_BIT)
        return LATENCY_CELLS - 1;
    unsigned top = 63u - (unsigned)__builtin_clzll(us);
    return (top - 1) * 4 + (unsigned)(us >> (top - 2) & 3);
}

/* The longest time that it has. */
static uint64_t cell_end(unsigned cell)
{
    if (cell < 4)
        return cell;
    unsigned shift = cell / 4 - 1;
    return ((uint64_t)(4 + cell % 4 + 1) << shift) - 1;
}

static unsigned number_of(uint64_t cell)
{
    return (unsigned)(cell >> CELL_SHIFT);
}

static uint64_t count_of(uint64_t cell)
{
    return cell & ((UINT64_C(1) << CELL_SHIFT) - 1);
}

/* Where the cell of that number is, or would be. */
static unsigned find_cell(const struct latency *latency, unsigned number)
{
    unsigned low = 0, high = latency->cells_count;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (number_of(latency->cells[middle]) < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void insert_cell(struct latency *latency, unsigned at, unsigned number)
{
    if (latency->cells_count == latency->cells_capacity) {
        size_t capacity = latency->cells_capacity ? latency->cells_capacity * 2u : CELLS_LEAST;
        latency->cells = mem_realloc(latency->cells, capacity * sizeof(*latency->cells));
        latency->cells_capacity = (uint16_t)capacity;
    }
    memmove(&latency->cells[at + 1], &latency->cells[at],
            (latency->cells_count - at) * sizeof(*latency->cells));
    latency->cells[at] = (uint64_t)number << CELL_SHIFT;
    latency->cells_count++;
}

void latency_add(struct latency *latency, uint64_t us, uint64_t weight)
{
    unsigned number = cell_of(us), at = find_cell(latency, number);
    if (at == latency->cells_count || number_of(latency->cells[at]) != number)
        insert_cell(latency, at, number);
    latency->cells[at] += weight;
    latency->count += weight;
    latency->sum_us += us * weight;
    if (us > latency->max_us)
        latency->max_us = us;
}

void latency_free(struct latency *latency)
{
    mem_free(latency->cells);
}

uint64_t latency_quantile(const struct latency *latency, double share)
{
    double wanted = share * (double)latency->count;
    uint64_t count = 0;
    for (unsigned i = 0; i + 1 < latency->cells_count; i++) {
        count += count_of(latency->cells[i]);
        if ((double)count >= wanted)
            return cell_end(number_of(latency->cells[i]));
    }
    return latency->max_us; /* which is in the last one */
}

uint64_t latency_below(const struct latency *latency, unsigned bit)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < latency->cells_count; i++)
        if (number_of(latency->cells[i]) < (bit - 1) * 4)
            count += count_of(latency->cells[i]);
    return count;
}

/* ---- which are timed ---- */

static uint64_t now_us(const struct queues *queues)
{
    return queues->now_us ? *queues->now_us : queues->now_ms * 1000;
}

static uint32_t below(const struct latency_pace *pace)
{
    return UINT32_MAX >> pace->shift;
}

/* Of hardly any in a window there are twice as many in the next one. */
static void pace_go_on(struct latency_pace *pace, uint64_t now, uint32_t most)
{
    uint64_t windows = (now - pace->since_us) / WINDOW_US;
    if (!windows)
        return;
    uint64_t down = windows - 1 + (pace->begun < most / 4);
    pace->shift = down < pace->shift ? (uint8_t)(pace->shift - down) : 0;
    pace->since_us = now;
    pace->begun = 0;
}

/* One more is timed. Of too many in a window it is every other one from now on. */
static void pace_add(struct latency_pace *pace, uint64_t now, uint32_t most)
{
    pace_go_on(pace, now, most);
    if (++pace->begun > most && pace->shift < SHIFT_MAX) {
        pace->shift++;
        pace->begun = most / 2;
    }
}

static uint32_t heavier(uint32_t weight, const struct latency_pace *pace)
{
    uint32_t other = UINT32_C(1) << pace->shift;
    return weight > other ? weight : other;
}

static void forget(struct queue_latency *latency, unsigned at)
{
    latency->timed[at] = latency->timed[--latency->timed_count];
}

/* Of those that are timed only such stay as would be chosen now. */
static void thin(const struct queue *queue, struct queue_latency *latency)
{
    for (unsigned i = latency->timed_count; i-- > 0;) {
        struct timed *timed = &latency->timed[i];
        if (latency_hash(queue, timed->position) >= below(&latency->pace))
            forget(latency, i);
        else
            timed->weight = heavier(timed->weight, &latency->pace);
    }
}

/* Those that left without a word: they expired, were purged, died. */
static void forget_gone(const struct queue *queue, struct queue_latency *latency)
{
    for (unsigned i = latency->timed_count; i-- > 0;)
        if (!queue_holds(queue, latency->timed[i].position))
            forget(latency, i);
}

static void make_room(const struct queue *queue, struct queue_latency *latency)
{
    if (latency->timed_count == LATENCY_TIMED_MAX)
        forget_gone(queue, latency);
    while (latency->timed_count == LATENCY_TIMED_MAX && latency->pace.shift < SHIFT_MAX) {
        latency->pace.shift++;
        thin(queue, latency);
    }
    if (latency->timed_count < latency->timed_capacity || latency->timed_count == LATENCY_TIMED_MAX)
        return;
    size_t capacity = latency->timed_capacity ? latency->timed_capacity * 2u : TIMED_LEAST;
    latency->timed = mem_realloc(latency->timed, capacity * sizeof(*latency->timed));
    latency->timed_capacity = (uint8_t)capacity;
}

/* One more of this queue, by the hash that has chosen it; NULL: it is none after all. */
static struct queue_latency *choose(struct queue *queue, uint32_t hash)
{
    struct queues *queues = queue->queues;
    struct queue_tally *tally = queue->tally;
    if (hash >= below(&queues->pace))
        return NULL;
    if (!tally->latency)
        tally->latency = mem_zalloc(sizeof(*tally->latency));
    struct queue_latency *latency = tally->latency;
    uint8_t shift = latency->pace.shift;
    pace_add(&queues->pace, now_us(queues), ALL_MOST);
    pace_add(&latency->pace, now_us(queues), QUEUE_MOST);
    if (latency->pace.shift > shift)
        thin(queue, latency);
    tally->timed_below = below(&latency->pace);
    return hash < tally->timed_below && hash < below(&queues->pace) ? latency : NULL;
}

static void begin(struct queue *queue, uint64_t position, bool is_delivered)
{
    uint32_t hash = latency_hash(queue, position);
    struct queue_latency *latency = choose(queue, hash);
    if (!latency)
        return;
    make_room(queue, latency);
    queue->tally->timed_below = below(&latency->pace);
    if (hash >= below(&latency->pace) || latency->timed_count == LATENCY_TIMED_MAX)
        return;
    latency->timed[latency->timed_count++] = (struct timed){
        .position = position,
        .since_us = now_us(queue->queues),
        .weight = heavier(heavier(1, &latency->pace), &queue->queues->pace),
        .is_delivered = is_delivered,
    };
}

/* ---- what happens to them ---- */

void queue_latency_begin(struct queue *queue)
{
    if (!queue->tally->timed_below)
        queue->tally->timed_below = UINT32_MAX;
}

void queue_latency_free(struct queue_tally *tally)
{
    struct queue_latency *latency = tally->latency;
    if (!latency)
        return;
    for (int i = 0; i < LATENCIES; i++)
        latency_free(&latency->of[i]);
    mem_free(latency->timed);
    mem_free(latency);
}

const struct latency *queue_latency(const struct queue *queue, enum latency_of what)
{
    return queue->tally && queue->tally->latency ? &queue->tally->latency->of[what] : NULL;
}

/* The one at a position; NULL: it is not timed. */
static struct timed *find(const struct queue *queue, uint64_t position)
{
    struct queue_latency *latency = queue->tally->latency;
    if (!latency || latency_hash(queue, position) >= below(&queue->queues->pace))
        return NULL;
    for (unsigned i = 0; i < latency->timed_count; i++)
        if (latency->timed[i].position == position)
            return &latency->timed[i];
    return NULL;
}

static void note(struct queue *queue, enum latency_of what, uint64_t us, uint32_t weight)
{
    weight = heavier(weight, &queue->queues->pace);
    latency_add(&queue->tally->latency->of[what], us, weight);
    latency_add(&queue->queues->latencies[what], us, weight);
}

/* It is timed no longer. Where there is room again, more are chosen. */
static void end(struct queue *queue, const struct timed *timed)
{
    struct queue_latency *latency = queue->tally->latency;
    forget(latency, (unsigned)(timed - latency->timed));
    if (latency->timed_count >= LATENCY_TIMED_MAX / 4)
        return;
    pace_go_on(&latency->pace, now_us(queue->queues), QUEUE_MOST);
    queue->tally->timed_below = below(&latency->pace);
}

/* A part of its way is behind it. */
static void note_timed(struct queue *queue, enum latency_of what, struct timed *timed)
{
    uint64_t now = now_us(queue->queues);
    note(queue, what, now > timed->since_us ? now - timed->since_us : 0, timed->weight);
}

void queue_timed_pushed(struct queue *queue, uint64_t position)
{
    begin(queue, position, false);
}

void queue_timed_direct(struct queue *queue)
{
    struct queue_latency *latency = choose(queue, latency_hash_direct(queue));
    if (latency)
        note(queue, LATENCY_DELIVER, 0, heavier(1, &latency->pace));
}

void queue_timed_delivered(struct queue *queue, uint64_t position, bool is_settled)
{
    struct timed *timed = find(queue, position);
    if (!timed && !is_settled)
        begin(queue, position, true);
    if (!timed)
        return;
    if (!timed->is_delivered)
        note_timed(queue, LATENCY_DELIVER, timed);
    timed->is_delivered = true;
    timed->since_us = now_us(queue->queues);
    if (is_settled)
        end(queue, timed);
}

void queue_timed_acknowledged(struct queue *queue, uint64_t position)
{
    struct timed *timed = find(queue, position);
    if (!timed)
        return;
    if (timed->is_delivered)
        note_timed(queue, LATENCY_ACKNOWLEDGE, timed);
    end(queue, timed);
}
