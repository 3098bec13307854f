/* A run: workers are built and connected, consumers begin, then the clock starts and producers do.
 * The main thread watches the tallies, and decides when it is over. */
#include "perf/load.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/mem.h"
#include "perf/clock.h"
#include "perf/names.h"
#include "perf/stamp.h"
#include "perf/worker.h"

#define LOOK_NS (10 * NS_PER_MS)
#define SATURATED 0.92

struct load {
    const struct options *options;
    enum load_part part;
    uint32_t producers, consumers; /* that take part */
    uint64_t filled;               /* messages to drain; 0: whatever is there */
    struct run run;
    struct worker *workers;
    uint32_t worker_count;
    struct ledger **ledgers; /* by queue and producer; NULL without --verify */
    uint8_t *pattern;
    struct progress *progress;
    struct load_result *result;
    struct usage broker, own; /* at the start */
    uint64_t published_before, confirmed_before, consumed_before, broker_cpu_before;
    struct histogram *latency_before;
};

void load_problem(struct load_result *result, const char *format, ...)
{
    va_list arguments;
    if (result->problem_count == LOAD_PROBLEMS_MAX)
        return;
    va_start(arguments, format);
    vsnprintf(result->problems[result->problem_count++], LOAD_PROBLEM_SIZE, format, arguments);
    va_end(arguments);
}

/* ---- building ---- */

static void build_pattern(struct load *load)
{
    size_t size = load->options->size_max + STAMP_SIZE;
    load->pattern = mem_alloc(size);
    for (size_t i = 0; i < size; i++)
        load->pattern[i] = pattern_byte(i);
    load->run.pattern = bytes_of(load->pattern, load->options->size_max);
}

static void build_ledgers(struct load *load)
{
    const struct options *options = load->options;
    if (!options->verify)
        return;
    load->ledgers = mem_zalloc_array(options->queues + 1, sizeof(*load->ledgers));
    for (uint32_t i = 0; i < options->queues; i++)
        load->ledgers[i] = mem_zalloc_array(options->producers + 1, sizeof(**load->ledgers));
}

/* Producers go to the workers from the first on. */
static uint32_t producer_worker(const struct load *load, uint32_t producer)
{
    return producer % load->worker_count;
}

/* Consumers from the last on, all of one queue to the same, which so needs no lock for the ledger.
 */
static uint32_t consumer_worker(const struct load *load, uint32_t consumer)
{
    return load->worker_count - 1 - consumer % load->options->queues % load->worker_count;
}

/* A producer's share of the count. */
static uint64_t limit_of(const struct options *options, uint32_t producer)
{
    if (options->count == 0)
        return UINT64_MAX;
    return options->count / options->producers + (producer < options->count % options->producers);
}

static void build_workers(struct load *load)
{
    const struct options *options = load->options;
    load->worker_count = options->threads;
    load->workers = mem_zalloc_array(load->worker_count, sizeof(*load->workers));
    for (uint32_t i = 0; i < load->worker_count; i++)
        worker_init(&load->workers[i], &load->run, load->producers, load->consumers);
    for (uint32_t i = 0; i < load->producers; i++) {
        struct worker *worker = &load->workers[producer_worker(load, i)];
        struct producer *producer = &worker->producers[worker->producer_count++];
        producer_init(producer, &load->run, i, limit_of(options, i));
    }
    for (uint32_t i = 0; i < load->consumers; i++) {
        struct worker *worker = &load->workers[consumer_worker(load, i)];
        struct consumer *consumer = &worker->consumers[worker->consumer_count++];
        consumer_init(consumer, &load->run, i);
        consumer->ledgers = load->ledgers;
    }
}

static bool open_links(struct load *load, char *error, size_t error_size)
{
    for (uint32_t i = 0; i < load->worker_count; i++) {
        struct worker *worker = &load->workers[i];
        for (uint32_t j = 0; j < worker->producer_count; j++)
            if (!producer_open(&worker->producers[j])) {
                snprintf(error, error_size, "producer: %s", worker->producers[j].actor.link.error);
                return false;
            }
        for (uint32_t j = 0; j < worker->consumer_count; j++)
            if (!consumer_open(&worker->consumers[j])) {
                snprintf(error, error_size, "consumer: %s", worker->consumers[j].actor.link.error);
                return false;
            }
    }
    return true;
}

/* Without producers the messages are there already, so that the clock starts with the asking. */
static bool start_workers(struct load *load, char *error, size_t error_size)
{
    for (uint32_t i = 0; i < load->worker_count; i++) {
        struct worker *worker = &load->workers[i];
        for (uint32_t j = 0; j < worker->consumer_count; j++)
            if (!consumer_subscribe(&worker->consumers[j])) {
                snprintf(error, error_size, "consumer: %s", worker->consumers[j].actor.link.error);
                return false;
            }
        if (!worker_start(worker)) {
            snprintf(error, error_size, "%s", worker->error);
            return false;
        }
    }
    return true;
}

static void tear_down(struct load *load)
{
    for (uint32_t i = 0; i < load->worker_count; i++)
        worker_free(&load->workers[i]);
    for (uint32_t i = 0; load->ledgers && i < load->options->queues; i++) {
        for (uint32_t j = 0; j < load->options->producers; j++)
            ledger_free(&load->ledgers[i][j]);
        mem_free(load->ledgers[i]);
    }
    mem_free(load->ledgers);
    mem_free(load->workers);
    mem_free(load->pattern);
    mem_free(load->latency_before);
}

/* ---- watching ---- */

static uint64_t sum(const struct load *load, size_t offset)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < load->worker_count; i++) {
        const char *tally = (const char *)&load->workers[i].tally;
        total += tally_get((const _Atomic uint64_t *)(const void *)(tally + offset));
    }
    return total;
}

static uint64_t latest(const struct load *load, size_t offset)
{
    uint64_t value = 0;
    for (uint32_t i = 0; i < load->worker_count; i++) {
        const char *tally = (const char *)&load->workers[i].tally;
        uint64_t one = tally_get((const _Atomic uint64_t *)(const void *)(tally + offset));
        value = one > value ? one : value;
    }
    return value;
}

#define SUM(load, member) sum(load, offsetof(struct tally, member))
#define LATEST(load, member) latest(load, offsetof(struct tally, member))

static void gather(const struct load *load, size_t offset, struct histogram *into)
{
    histogram_clear(into);
    for (uint32_t i = 0; i < load->worker_count; i++) {
        const char *tally = (const char *)&load->workers[i].tally;
        histogram_merge(into, (const struct histogram *)(const void *)(tally + offset));
    }
}

static void set_phase(struct load *load, enum phase phase)
{
    atomic_store_explicit(&load->run.phase, (int)phase, memory_order_release);
    for (uint32_t i = 0; i < load->worker_count; i++)
        worker_wake(&load->workers[i]);
}

/* Has a worker failed? The first reason becomes a problem. */
static bool is_broken(struct load *load)
{
    for (uint32_t i = 0; i < load->worker_count; i++)
        if (atomic_load(&load->workers[i].failed)) {
            load_problem(load->result, "%s", load->workers[i].error);
            return true;
        }
    return false;
}

/* The part of a line that only latencies have: those of this interval. */
static void latency_text(struct load *load, char *text, size_t size)
{
    text[0] = '\0';
    if (load->options->mode != MODE_LATENCY)
        return;
    struct histogram *now = mem_alloc(sizeof(*now));
    struct histogram *all = mem_alloc(sizeof(*all));
    gather(load, offsetof(struct tally, latency), now);
    gather(load, offsetof(struct tally, latency), all);
    if (load->latency_before)
        histogram_subtract(now, load->latency_before);
    snprintf(text, size, ", p50 %.3f ms, p99 %.3f ms", (double)histogram_quantile(now, 0.5) / 1e6,
             (double)histogram_quantile(now, 0.99) / 1e6);
    mem_free(load->latency_before);
    mem_free(now);
    load->latency_before = all;
}

static void show(struct load *load)
{
    double seconds;
    char rates[3][16];
    char latency[64];
    char broker[64] = "";
    if (!progress_is_due(load->progress, &seconds))
        return;
    uint64_t published = SUM(load, published);
    uint64_t confirmed = SUM(load, confirmed);
    uint64_t consumed = SUM(load, consumed);
    struct usage usage;
    if (load->options->broker_pid && usage_read(load->options->broker_pid, &usage)) {
        snprintf(broker, sizeof(broker), ", broker %.0f%% %" PRIu64 " MiB",
                 (double)(usage.cpu_ns - load->broker_cpu_before) / 1e7 / seconds,
                 usage.rss_bytes >> 20);
        load->broker_cpu_before = usage.cpu_ns;
    }
    latency_text(load, latency, sizeof(latency));
    progress_line(load->progress, "%6.1f s: published %s/s, confirmed %s/s, consumed %s/s%s%s",
                  progress_seconds(load->progress),
                  progress_number((double)(published - load->published_before) / seconds, rates[0]),
                  progress_number((double)(confirmed - load->confirmed_before) / seconds, rates[1]),
                  progress_number((double)(consumed - load->consumed_before) / seconds, rates[2]),
                  latency, broker);
    load->published_before = published;
    load->confirmed_before = confirmed;
    load->consumed_before = consumed;
}

/* Waits until all consumers consume. */
static bool wait_for_consumers(struct load *load)
{
    uint64_t until_ns = clock_ns() + load->options->timeout_ms * NS_PER_MS;
    while (SUM(load, consumers_ready) < load->consumers) {
        if (is_broken(load) || !progress_wait(load->progress, NS_PER_MS))
            return false;
        if (clock_ns() > until_ns) {
            load_problem(load->result, "the broker did not start all consumers in time");
            return false;
        }
    }
    return true;
}

/* ---- when it is over ---- */

/* A backlog that was filled here is in so many queues; a count of messages to consume is just that.
 */
static uint64_t copies_filled(const struct load *load)
{
    return load->part == LOAD_DRAIN ? copies_expected(load->options) : 1;
}

/* Deliveries that must still come for all to have come; UINT64_MAX: nobody knows. */
static uint64_t awaited(const struct load *load)
{
    const struct options *options = load->options;
    if (load->producers == 0)
        return load->filled && copies_filled(load) ? load->filled * copies_filled(load)
                                                   : UINT64_MAX;
    uint64_t copies = copies_expected(options);
    if (copies == 0)
        return UINT64_MAX;
    return (SUM(load, published) - SUM(load, returned) - SUM(load, refused)) * copies;
}

static bool all_consumed(const struct load *load)
{
    const struct options *options = load->options;
    if (load->consumers == 0)
        return true;
    uint64_t consumed = options->verify ? SUM(load, unique) : SUM(load, consumed);
    if (!options->verify && options->reconnect)
        consumed -= SUM(load, repeated);
    return consumed >= awaited(load);
}

/* What moves while a run is alive. */
static uint64_t movement(const struct load *load)
{
    return SUM(load, published) + SUM(load, confirmed) + SUM(load, consumed) + SUM(load, returned) +
           SUM(load, producers_done) + SUM(load, reconnects);
}

/* Publishing: until the count is reached, the time is up, or the user has had enough. */
static void watch_publishing(struct load *load)
{
    const struct options *options = load->options;
    uint64_t end_ns = options->seconds > 0 ? (uint64_t)(options->seconds * 1e9) : UINT64_MAX;
    uint64_t start_ns = tally_get(&load->run.start_ns);
    while (!is_broken(load) && progress_wait(load->progress, LOOK_NS)) {
        show(load);
        if (clock_ns() - start_ns >= end_ns)
            return;
        if (load->producers > 0 && SUM(load, producers_done) == load->producers)
            return;
        if (load->producers == 0 && all_consumed(load))
            return;
    }
}

/* Draining: until all is confirmed and consumed, or nothing moves any more. */
static void watch_draining(struct load *load)
{
    const struct options *options = load->options;
    uint64_t before = movement(load);
    uint64_t moved_ns = clock_ns();
    while (load->result->problem_count == 0 && !is_broken(load)) {
        if (SUM(load, producers_done) == load->producers && all_consumed(load))
            return;
        if (!progress_wait(load->progress, NS_PER_MS) && SUM(load, producers_done) > 0)
            return;
        show(load);
        uint64_t now = movement(load);
        if (now != before)
            moved_ns = clock_ns();
        before = now;
        /* Whoever publishes what is consumed here may not have begun. */
        if (now == 0 && load->part != LOAD_DRAIN)
            moved_ns = clock_ns();
        if ((double)(clock_ns() - moved_ns) / 1e9 > options->linger_s)
            return;
    }
}

/* ---- the result ---- */

static void collect_counts(struct load *load)
{
    struct load_result *result = load->result;
    if (load->producers)
        result->published = SUM(load, published);
    result->confirmed = SUM(load, confirmed);
    result->refused = SUM(load, refused);
    result->returned = SUM(load, returned);
    result->consumed = SUM(load, consumed);
    result->consumed_bytes = SUM(load, consumed_bytes);
    result->repeated = SUM(load, repeated);
    result->unique = SUM(load, unique);
    result->duplicates = SUM(load, duplicates);
    result->disordered = SUM(load, disordered);
    result->damaged = SUM(load, damaged);
    result->reconnects = SUM(load, reconnects);
    gather(load, offsetof(struct tally, latency), &result->latency);
    gather(load, offsetof(struct tally, confirms), &result->confirms);
    gather(load, offsetof(struct tally, lateness), &result->lateness);
}

static void collect_times(struct load *load)
{
    struct load_result *result = load->result;
    uint64_t start_ns = tally_get(&load->run.start_ns);
    uint64_t done_ns = LATEST(load, last_done_ns);
    uint64_t last_ns = LATEST(load, last_consumed_ns);
    result->publish_s = done_ns > start_ns ? (double)(done_ns - start_ns) / 1e9 : 0;
    result->consume_s = last_ns > start_ns ? (double)(last_ns - start_ns) / 1e9 : 0;
}

static void collect_usage(struct load *load)
{
    struct load_result *result = load->result;
    struct usage own;
    struct usage broker;
    usage_read_own(&own);
    result->own_cpu_s = (double)(own.cpu_ns - load->own.cpu_ns) / 1e9;
    double seconds = (double)(own.read_at_ns - load->own.read_at_ns) / 1e9;
    for (uint32_t i = 0; i < load->worker_count; i++) {
        const struct worker *worker = &load->workers[i];
        uint64_t running_ns = tally_get(&worker->running_ns);
        double busy = running_ns ? (double)tally_get(&worker->cpu_ns) / (double)running_ns : 0;
        result->worker_busy = busy > result->worker_busy ? busy : result->worker_busy;
    }
    if (!load->options->broker_pid || !usage_read(load->options->broker_pid, &broker))
        return;
    uint64_t user = broker.user_ticks - load->broker.user_ticks;
    uint64_t system = broker.system_ticks - load->broker.system_ticks;
    result->has_broker = true;
    result->broker_cpu_s = (double)(broker.cpu_ns - load->broker.cpu_ns) / 1e9;
    result->broker_user_share = user + system ? (double)user / (double)(user + system) : 0;
    result->broker_busy = seconds > 0 ? result->broker_cpu_s / seconds : 0;
    result->broker_rss_bytes = broker.rss_bytes;
    result->broker_rss_before_bytes = load->broker.rss_bytes;
}

/* The generator held things up when one of its threads had no time left, and the broker had; or
 * when it was late itself by more than the latencies it measured. */
static void judge_saturation(struct load *load)
{
    struct load_result *result = load->result;
    bool broker_had_time = !result->has_broker || result->broker_busy < SATURATED;
    if (load->options->mode == MODE_LATENCY && !load->options->confirm)
        result->saturated =
            histogram_quantile(&result->lateness, 0.9) > histogram_quantile(&result->latency, 0.5);
    else if (!load->options->spin)
        result->saturated = result->worker_busy > SATURATED && broker_had_time;
}

static void judge_rate(struct load *load)
{
    const struct options *options = load->options;
    struct load_result *result = load->result;
    if (options->schedule.count == 0 || load->producers == 0 || result->publish_s <= 0)
        return;
    double seconds = options->seconds > 0 ? options->seconds : result->publish_s;
    if (options->count && result->publish_s < seconds)
        seconds = result->publish_s;
    double wanted = schedule_total(&options->schedule, seconds);
    if (options->count && wanted > (double)options->count)
        wanted = (double)options->count;
    result->asked_rate = wanted / seconds;
    if ((double)result->published < wanted * 0.98 - 1)
        load_problem(result, "the rate was not held: %.0f/s of %.0f/s",
                     (double)result->published / seconds, result->asked_rate);
}

static void judge_messages(struct load *load)
{
    const struct options *options = load->options;
    struct load_result *result = load->result;
    uint64_t wanted = awaited(load);
    uint64_t got = options->verify ? result->unique : result->consumed;
    if (options->count && load->producers && result->published < options->count &&
        options->seconds <= 0)
        load_problem(result, "only %" PRIu64 " of %" PRIu64 " messages were published",
                     result->published, options->count);
    if (load->producers && options->confirm &&
        result->confirmed + result->refused < result->published)
        load_problem(result, "%" PRIu64 " messages were never confirmed",
                     result->published - result->confirmed - result->refused);
    if (result->refused)
        load_problem(result, "%" PRIu64 " messages were refused", result->refused);
    if (result->returned)
        load_problem(result, "%" PRIu64 " messages were returned", result->returned);
    if (load->consumers && wanted != UINT64_MAX && got < wanted)
        load_problem(result, "%" PRIu64 " messages are missing", result->missing = wanted - got);
    if (result->duplicates)
        load_problem(result, "%" PRIu64 " messages came more than once", result->duplicates);
    if (result->disordered)
        load_problem(result, "%" PRIu64 " messages came out of order", result->disordered);
    if (result->damaged)
        load_problem(result, "%" PRIu64 " messages were damaged", result->damaged);
}

/* ---- all of it ---- */

static void begin(struct load *load)
{
    const struct options *options = load->options;
    if (options->broker_pid && !usage_read(options->broker_pid, &load->broker))
        load_problem(load->result, "process %ld cannot be looked at", (long)options->broker_pid);
    load->broker_cpu_before = load->broker.cpu_ns;
    usage_read_own(&load->own);
    uint64_t start_ns = clock_ns();
    tally_set(&load->run.start_ns, start_ns);
    tally_set(&load->run.measured_from_ns, start_ns + (uint64_t)(options->warmup_s * 1e9));
    progress_start(load->progress);
    set_phase(load, PHASE_RUNNING);
}

static void run(struct load *load)
{
    if (!wait_for_consumers(load))
        return;
    if (load->producers > 0)
        begin(load);
    bool timed = load->options->seconds > 0 && load->part != LOAD_DRAIN;
    if (load->producers > 0 || timed)
        watch_publishing(load);
    set_phase(load, PHASE_DRAINING);
    if (load->producers > 0 || !timed)
        watch_draining(load);
    collect_usage(load);
    progress_end(load->progress);
}

static void stop_workers(struct load *load)
{
    set_phase(load, PHASE_STOPPING);
    for (uint32_t i = 0; i < load->worker_count; i++)
        worker_join(&load->workers[i]);
}

static void judge(struct load *load)
{
    collect_counts(load);
    collect_times(load);
    judge_saturation(load);
    judge_rate(load);
    judge_messages(load);
}

bool load_run(const struct options *options, enum load_part part, const struct link_target *target,
              struct progress *progress, struct load_result *result, char *error, size_t error_size)
{
    struct load load = {.options = options,
                        .part = part,
                        .progress = progress,
                        .result = result,
                        .producers = part == LOAD_DRAIN ? 0 : options->producers,
                        .consumers = part == LOAD_FILL ? 0 : options->consumers};
    load.filled = part == LOAD_DRAIN ? result->published : options->count;
    result->producers = load.producers;
    result->consumers = load.consumers;
    load.run.options = options;
    load.run.target = target;
    build_pattern(&load);
    build_ledgers(&load);
    build_workers(&load);
    bool good = open_links(&load, error, error_size);
    if (good && load.producers == 0)
        begin(&load);
    good = good && start_workers(&load, error, error_size);
    if (good)
        run(&load);
    stop_workers(&load);
    if (good)
        judge(&load);
    tear_down(&load);
    return good;
}
