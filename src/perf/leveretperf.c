/* The load generator: reads the options, runs the mode, prints the result. The exit status says
 * whether what was asked was reached. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/mem.h"
#include "perf/churn.h"
#include "perf/clock.h"
#include "perf/many.h"
#include "perf/report.h"
#include "perf/topology.h"

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unknown"
#endif

enum { EXIT_NOT_REACHED = 1, EXIT_USAGE = 2, EXIT_NO_BROKER = 3 };

struct perf {
    const struct options *options;
    struct link_target target;
    struct progress progress;
    struct load_result *result;
};

static int refuse(const char *why)
{
    fprintf(stderr, "leveretperf: %s\n", why);
    return EXIT_NO_BROKER;
}

static int write_histogram(const struct options *options, const struct histogram *histogram)
{
    FILE *file = fopen(options->histogram_path, "we");
    if (!file) {
        perror(options->histogram_path);
        return EXIT_NOT_REACHED;
    }
    histogram_write(histogram, file);
    return fclose(file) == 0 ? EXIT_SUCCESS : EXIT_NOT_REACHED;
}

/* Prints, and says how it went. */
static int conclude(const struct perf *perf, const struct report *report,
                    const struct histogram *times)
{
    int status = EXIT_SUCCESS;
    report_print(report, perf->options, stdout);
    if (perf->options->histogram_path)
        status = write_histogram(perf->options, times);
    return report->problem_count ? EXIT_NOT_REACHED : status;
}

static int run_load(struct perf *perf)
{
    struct load_result *result = perf->result;
    struct report report = {0};
    char error[LINK_ERROR_MAX + 64];
    if (!load_run(perf->options, LOAD_ALL, &perf->target, &perf->progress, result, error,
                  sizeof(error)))
        return refuse(error);
    report_add_load(&report, perf->options, result);
    bool timed = histogram_count(&result->latency) > 0;
    return conclude(perf, &report, timed ? &result->latency : &result->confirms);
}

/* The broker's memory with all that is queued. */
static void rest(struct perf *perf, struct report *report)
{
    struct usage usage;
    uint64_t end_ns = clock_ns() + (uint64_t)(perf->options->hold_s * 1e9);
    while (clock_ns() < end_ns && progress_wait(&perf->progress, NS_PER_MS))
        continue;
    report->part = "rest";
    if (perf->options->broker_pid && usage_read(perf->options->broker_pid, &usage))
        report_add(report, "broker_rss_mib", "broker memory", (double)usage.rss_bytes / (1 << 20),
                   "MiB", 1);
}

static int run_backlog(struct perf *perf)
{
    struct load_result *result = perf->result;
    struct report report = {.part = "fill"};
    char error[LINK_ERROR_MAX + 64];
    if (!load_run(perf->options, LOAD_FILL, &perf->target, &perf->progress, result, error,
                  sizeof(error)))
        return refuse(error);
    report_add_load(&report, perf->options, result);
    rest(perf, &report);
    struct load_result *drained = mem_zalloc(sizeof(*drained));
    drained->published = result->published - result->returned - result->refused;
    report.part = "drain";
    bool good =
        perf->options->consumers == 0 || load_run(perf->options, LOAD_DRAIN, &perf->target,
                                                  &perf->progress, drained, error, sizeof(error));
    if (good && perf->options->consumers)
        report_add_load(&report, perf->options, drained);
    int status = good ? conclude(perf, &report, &result->confirms) : refuse(error);
    mem_free(drained);
    return status;
}

/* Whatever runs on queues: they are made before and removed after. */
static int with_queues(struct perf *perf)
{
    struct link link;
    struct topology topology = {0};
    int status;
    if (!link_open(&link, &perf->target, LINK_BUFFER_SMALL) ||
        !topology_make(&topology, perf->options, &link)) {
        status = refuse(link.error);
        topology_remove_anew(&topology, &perf->target);
    } else {
        status = perf->options->mode == MODE_BACKLOG ? run_backlog(perf) : run_load(perf);
        if (!topology_remove(&topology) && !topology_remove_anew(&topology, &perf->target))
            fprintf(stderr, "leveretperf: removing the queues: %s\n", link.error);
    }
    topology_free(&topology);
    link_leave(&link);
    return status;
}

/* The modes that look after themselves. */
static int without_queues(struct perf *perf)
{
    struct report report = {0};
    char error[LINK_ERROR_MAX + 64];
    enum mode mode = perf->options->mode;
    bool many = mode == MODE_CONNECTION_COUNT || mode == MODE_QUEUE_COUNT;
    bool good = many ? many_run(perf->options, &perf->target, &perf->progress, perf->result,
                                &report, error, sizeof(error))
                     : churn_run(perf->options, &perf->target, &perf->progress, perf->result,
                                 &report, error, sizeof(error));
    if (!good)
        return refuse(error);
    report_add_verdict(&report, perf->result);
    return conclude(perf, &report, &perf->result->latency);
}

/* Each connection is a descriptor. */
static void raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static int run_mode(const struct options *options)
{
    struct perf perf = {.options = options,
                        .target = {.uri = options->uri,
                                   .tls_verify = options->tls_verify,
                                   .tls_ca = options->tls_ca,
                                   .name = "leveretperf",
                                   .frame_max = options->frame_max,
                                   .heartbeat_s = options->heartbeat_s,
                                   .timeout_ms = options->timeout_ms}};
    raise_descriptors();
    progress_init(&perf.progress, options->quiet, options->interval_s);
    perf.result = mem_zalloc(sizeof(*perf.result));
    int status = options->mode <= MODE_BACKLOG ? with_queues(&perf) : without_queues(&perf);
    mem_free(perf.result);
    return status;
}

int main(int count, char **arguments)
{
    struct options options;
    char error[OPTIONS_ERROR_MAX];
    int status = EXIT_SUCCESS;
    if (!options_read(&options, count, arguments, error, sizeof(error))) {
        fprintf(stderr, "leveretperf: %s\nTry 'leveretperf --help'.\n", error);
        status = EXIT_USAGE;
    } else if (options.help) {
        options_print_help(stdout);
    } else if (options.version) {
        printf("leveretperf %s\n", PACKAGE_VERSION);
    } else {
        status = run_mode(&options);
    }
    options_free(&options);
    return status;
}
