/* Churn. What is timed is a round: both calls and their answers, or a request and its reply.
 * Whatever a round makes it takes away again, also when it is the last one. */
#include "perf/churn.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

#include "base/mem.h"
#include "perf/clock.h"
#include "perf/names.h"
#include "perf/request.h"
#include "perf/tally.h"

enum { CHANNEL = 1, CHANNEL_CHURNED = 2 };

struct churner {
    const struct options *options;
    const struct link_target *target;
    const _Atomic int *stop;
    uint32_t number;
    uint64_t limit; /* rounds */
    uint64_t start_ns;
    _Atomic uint64_t rounds, done;
    struct histogram times;
    struct link link;
    bool has_queue; /* from the first round to the last */
    pthread_t thread;
    bool started;
};

struct churn {
    const struct options *options;
    struct churner *churners;
    struct request_server server; /* request-reply */
    _Atomic int stop;
    struct usage broker, own;
};

/* ---- rounds ---- */

/* A name that nobody else uses at the same time. */
static const char *round_name(const struct churner *churner, uint64_t round,
                              char name[NAME_MAX_SIZE])
{
    uint64_t number = churner->number + round * churner->options->connections;
    return queue_name(churner->options, (uint32_t)(number % UINT32_MAX), name);
}

static bool call(struct churner *churner, const union method *method, uint32_t wanted)
{
    return link_call(&churner->link, CHANNEL, method, wanted, NULL, NULL);
}

static bool declare_queue(struct churner *churner, const char *name)
{
    const struct options *options = churner->options;
    union method declare = {.queue_declare = {.id = METHOD_QUEUE_DECLARE,
                                              .queue = bytes_str(name),
                                              .durable = options->durable,
                                              .exclusive = options->exclusive,
                                              .auto_delete = options->auto_delete,
                                              .arguments = options->queue_arguments}};
    return call(churner, &declare, METHOD_QUEUE_DECLARE_OK);
}

static bool delete_queue(struct churner *churner, const char *name)
{
    union method delete = {.queue_delete = {.id = METHOD_QUEUE_DELETE, .queue = bytes_str(name)}};
    return call(churner, &delete, METHOD_QUEUE_DELETE_OK);
}

static bool churn_queue(struct churner *churner, uint64_t round)
{
    char name[NAME_MAX_SIZE];
    round_name(churner, round, name);
    return declare_queue(churner, name) && delete_queue(churner, name);
}

static const char *exchange_of(const struct options *options)
{
    return *options->exchange ? options->exchange : "amq.direct";
}

static bool churn_binding(struct churner *churner, uint64_t round)
{
    const struct options *options = churner->options;
    char queue[NAME_MAX_SIZE];
    char key[32];
    round_name(churner, 0, queue);
    snprintf(key, sizeof(key), "%" PRIu64, round);
    union method bind = {.queue_bind = {.id = METHOD_QUEUE_BIND,
                                        .queue = bytes_str(queue),
                                        .exchange = bytes_str(exchange_of(options)),
                                        .routing_key = bytes_str(key)}};
    union method unbind = {.queue_unbind = {.id = METHOD_QUEUE_UNBIND,
                                            .queue = bytes_str(queue),
                                            .exchange = bytes_str(exchange_of(options)),
                                            .routing_key = bytes_str(key)}};
    return call(churner, &bind, METHOD_QUEUE_BIND_OK) &&
           call(churner, &unbind, METHOD_QUEUE_UNBIND_OK);
}

static bool churn_channel(struct churner *churner)
{
    union method close = {.channel_close = {.id = METHOD_CHANNEL_CLOSE, .reply_code = 200}};
    return link_open_channel(&churner->link, CHANNEL_CHURNED) &&
           link_call(&churner->link, CHANNEL_CHURNED, &close, METHOD_CHANNEL_CLOSE_OK, NULL, NULL);
}

static bool churn_connection(struct churner *churner)
{
    struct link *link = &churner->link;
    link_leave(link);
    if (link_failed(link) || !link_open(link, churner->target, LINK_BUFFER_SMALL))
        return false;
    for (uint32_t i = 1; i <= churner->options->channels; i++)
        if (!link_open_channel(link, (uint16_t)i))
            return false;
    return true;
}

static const char *server_queue(const struct options *options, char name[NAME_MAX_SIZE])
{
    return queue_name(options, 0, name);
}

static bool churn_request(struct churner *churner, uint64_t round)
{
    char name[NAME_MAX_SIZE];
    return request_round(&churner->link, server_queue(churner->options, name), round,
                         churner->options->size_min);
}

static bool churn_once(struct churner *churner, uint64_t round)
{
    switch (churner->options->mode) {
    case MODE_QUEUE_CHURN:
        return churn_queue(churner, round);
    case MODE_BIND_CHURN:
        return churn_binding(churner, round);
    case MODE_CHANNEL_CHURN:
        return churn_channel(churner);
    case MODE_REQUEST_REPLY:
        return churn_request(churner, round);
    default:
        return churn_connection(churner);
    }
}

/* ---- one thread ---- */

static void sleep_until(uint64_t until_ns)
{
    struct timespec until = timespec_of(until_ns);
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

static void *churn_thread(void *context)
{
    struct churner *churner = context;
    const struct options *options = churner->options;
    bool scheduled = options->schedule.count > 0;
    struct schedule_walk walk;
    schedule_start(&walk, &options->schedule);
    for (uint64_t round = 0; round < churner->limit && !atomic_load(churner->stop); round++) {
        uint64_t begun_ns = clock_ns();
        if (scheduled) {
            double number = (double)round * options->connections + churner->number;
            uint64_t due_ns = churner->start_ns + schedule_due_ns(&walk, number);
            if (due_ns > begun_ns)
                sleep_until(due_ns);
            begun_ns = due_ns;
        }
        if (!churn_once(churner, round))
            break;
        histogram_add(&churner->times, clock_ns() - begun_ns);
        tally_add(&churner->rounds, 1);
    }
    tally_set(&churner->done, clock_ns());
    return NULL;
}

/* That of requests is the first one's alone. */
static bool needs_queue(const struct churner *churner)
{
    enum mode mode = churner->options->mode;
    return mode == MODE_BIND_CHURN || (mode == MODE_REQUEST_REPLY && churner->number == 0);
}

static bool prepare(struct churner *churner)
{
    char name[NAME_MAX_SIZE];
    if (!link_open(&churner->link, churner->target, LINK_BUFFER_SMALL) ||
        !link_open_channel(&churner->link, CHANNEL))
        return false;
    if (churner->options->mode == MODE_REQUEST_REPLY && !request_begin(&churner->link))
        return false;
    if (!needs_queue(churner))
        return true;
    churner->has_queue = declare_queue(churner, round_name(churner, 0, name));
    return churner->has_queue;
}

/* With another connection if this one has failed. */
static void clean_up(struct churner *churner)
{
    struct link *link = &churner->link;
    char name[NAME_MAX_SIZE];
    bool good = !link_failed(link);
    if (churner->has_queue && !good) {
        link_close(link);
        good =
            link_open(link, churner->target, LINK_BUFFER_SMALL) && link_open_channel(link, CHANNEL);
    }
    if (churner->has_queue && good)
        delete_queue(churner, round_name(churner, 0, name));
    link_leave(link);
}

/* ---- all of them ---- */

static uint64_t rounds_of(const struct churn *churn)
{
    uint64_t rounds = 0;
    for (uint32_t i = 0; i < churn->options->connections; i++)
        rounds += tally_get(&churn->churners[i].rounds);
    return rounds;
}

static bool all_done(const struct churn *churn)
{
    for (uint32_t i = 0; i < churn->options->connections; i++)
        if (churn->churners[i].started && tally_get(&churn->churners[i].done) == 0)
            return false;
    return true;
}

static void watch(struct churn *churn, struct progress *progress)
{
    const struct options *options = churn->options;
    uint64_t before = 0;
    double seconds;
    char rate[16];
    while (!all_done(churn) && progress_wait(progress, 10 * NS_PER_MS)) {
        if (options->seconds > 0 && progress_seconds(progress) >= options->seconds)
            break;
        if (!progress_is_due(progress, &seconds))
            continue;
        uint64_t rounds = rounds_of(churn);
        progress_line(progress, "%6.1f s: %s rounds/s", progress_seconds(progress),
                      progress_number((double)(rounds - before) / seconds, rate));
        before = rounds;
    }
    atomic_store(&churn->stop, 1);
    progress_end(progress);
}

static void start(struct churn *churn, struct load_result *result)
{
    const struct options *options = churn->options;
    uint64_t start_ns = clock_ns();
    usage_read_own(&churn->own);
    if (options->broker_pid && !usage_read(options->broker_pid, &churn->broker))
        load_problem(result, "process %ld cannot be looked at", (long)options->broker_pid);
    for (uint32_t i = 0; i < options->connections; i++) {
        struct churner *churner = &churn->churners[i];
        churner->start_ns = start_ns;
        churner->limit = UINT64_MAX;
        if (options->count)
            churner->limit =
                options->count / options->connections + (i < options->count % options->connections);
        int error = pthread_create(&churner->thread, NULL, churn_thread, churner);
        churner->started = error == 0;
        if (error)
            load_problem(result, "starting a thread: %s", strerror(error));
    }
}

static void conclude(struct churn *churn, struct load_result *result, struct report *report)
{
    const struct options *options = churn->options;
    struct usage own;
    struct usage broker;
    uint64_t last_ns = 0;
    histogram_clear(&result->latency);
    for (uint32_t i = 0; i < options->connections; i++) {
        struct churner *churner = &churn->churners[i];
        uint64_t done_ns = tally_get(&churner->done);
        last_ns = done_ns > last_ns ? done_ns : last_ns;
        histogram_merge(&result->latency, &churner->times);
        if (link_failed(&churner->link))
            load_problem(result, "%s", churner->link.error);
    }
    double rounds = (double)rounds_of(churn);
    double seconds = (double)(last_ns - churn->churners[0].start_ns) / 1e9;
    if (options->count && options->seconds <= 0 && rounds < (double)options->count)
        load_problem(result, "only %.0f of %" PRIu64 " rounds were done", rounds, options->count);
    usage_read_own(&own);
    report_add(report, "rounds", "rounds", rounds, "", 0);
    report_add(report, "seconds", "took", seconds, "s", 3);
    report_add(report, "rounds_per_s", "rounds a second", seconds > 0 ? rounds / seconds : 0, "",
               1);
    report_add_rounds(report, &result->latency);
    if (rounds < 1)
        return;
    report_add(report, "generator_us_per_round", "generator CPU a round",
               (double)(own.cpu_ns - churn->own.cpu_ns) / 1e3 / rounds, "us", 2);
    if (options->broker_pid && usage_read(options->broker_pid, &broker)) {
        report_add(report, "broker_us_per_round", "broker CPU a round",
                   (double)(broker.cpu_ns - churn->broker.cpu_ns) / 1e3 / rounds, "us", 2);
        report_add(report, "broker_rss_mib", "broker memory after",
                   (double)broker.rss_bytes / (1 << 20), "MiB", 1);
    }
}

/* Whoever makes and unmakes needs none. */
static bool start_server(struct churn *churn, const struct link_target *target, char *error,
                         size_t error_size)
{
    char name[NAME_MAX_SIZE];
    if (churn->options->mode != MODE_REQUEST_REPLY ||
        request_server_start(&churn->server, target, server_queue(churn->options, name)))
        return true;
    snprintf(error, error_size, "server: %s", churn->server.link.error);
    return false;
}

static void stop_server(struct churn *churn, struct load_result *result)
{
    request_server_stop(&churn->server);
    if (churn->server.link.error[0])
        load_problem(result, "server: %s", churn->server.link.error);
    link_leave(&churn->server.link);
}

static void run(struct churn *churn, struct progress *progress, struct load_result *result,
                struct report *report)
{
    start(churn, result);
    watch(churn, progress);
    for (uint32_t i = 0; i < churn->options->connections; i++)
        if (churn->churners[i].started)
            pthread_join(churn->churners[i].thread, NULL);
    conclude(churn, result, report);
}

bool churn_run(const struct options *options, const struct link_target *target,
               struct progress *progress, struct load_result *result, struct report *report,
               char *error, size_t error_size)
{
    struct churn churn = {.options = options, .server = {.link = {.fd = -1}}};
    bool good = true;
    churn.churners = mem_zalloc_array(options->connections, sizeof(*churn.churners));
    for (uint32_t i = 0; i < options->connections; i++) {
        struct churner *churner = &churn.churners[i];
        churner->options = options;
        churner->target = target;
        churner->stop = &churn.stop;
        churner->number = i;
        churner->link.fd = -1;
        if (good && !prepare(churner)) {
            snprintf(error, error_size, "%s", churner->link.error);
            good = false;
        }
    }
    good = good && start_server(&churn, target, error, error_size);
    progress_start(progress);
    if (good)
        run(&churn, progress, result, report);
    stop_server(&churn, result);
    for (uint32_t i = 0; i < options->connections; i++)
        clean_up(&churn.churners[i]);
    mem_free(churn.churners);
    return good;
}
