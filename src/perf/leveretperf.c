/* The load generator: reads the options, runs the mode, prints the result. The exit status says
 * whether what was asked was reached. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/mem.h"
#include "perf/report.h"
#include "perf/topology.h"

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unknown"
#endif

enum { EXIT_NOT_REACHED = 1, EXIT_USAGE = 2, EXIT_NO_BROKER = 3 };

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

static int run_load(const struct options *options, const struct link_target *target,
                    struct progress *progress)
{
    struct load_result *result = mem_zalloc(sizeof(*result));
    struct report report = {0};
    char error[LINK_ERROR_MAX + 64];
    int status = EXIT_SUCCESS;
    if (!load_run(options, target, progress, result, error, sizeof(error))) {
        status = refuse(error);
    } else {
        report_add_load(&report, options, result);
        report_print(&report, options, stdout);
        if (options->histogram_path)
            status = write_histogram(
                options, histogram_count(&result->latency) ? &result->latency : &result->confirms);
        status = report.problem_count ? EXIT_NOT_REACHED : status;
    }
    mem_free(result);
    return status;
}

/* Whatever runs on queues: they are made before and removed after. */
static int with_queues(const struct options *options, const struct link_target *target,
                       struct progress *progress)
{
    struct link link;
    struct topology topology = {0};
    int status;
    if (!link_open(&link, target, LINK_BUFFER_SMALL) || !topology_make(&topology, options, &link)) {
        status = refuse(link.error);
        link.error[0] = '\0';
        if (topology.made && link.fd >= 0 && link_open_channel(&link, 2))
            topology_remove(&topology);
    } else {
        status = run_load(options, target, progress);
        if (!topology_remove(&topology))
            fprintf(stderr, "leveretperf: removing the queues: %s\n", link.error);
    }
    topology_free(&topology);
    link_leave(&link);
    return status;
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

int main(int count, char **arguments)
{
    struct options options;
    struct progress progress;
    char error[OPTIONS_ERROR_MAX];
    if (!options_read(&options, count, arguments, error, sizeof(error))) {
        fprintf(stderr, "leveretperf: %s\nTry 'leveretperf --help'.\n", error);
        return EXIT_USAGE;
    }
    if (options.help) {
        options_print_help(stdout);
        return EXIT_SUCCESS;
    }
    if (options.version) {
        printf("leveretperf %s\n", PACKAGE_VERSION);
        return EXIT_SUCCESS;
    }
    struct link_target target = {.uri = options.uri,
                                 .tls_verify = options.tls_verify,
                                 .tls_ca = options.tls_ca,
                                 .name = "leveretperf",
                                 .frame_max = options.frame_max,
                                 .heartbeat_s = options.heartbeat_s,
                                 .timeout_ms = options.timeout_ms};
    raise_descriptors();
    progress_init(&progress, options.quiet, options.interval_s);
    int status = with_queues(&options, &target, &progress);
    options_free(&options);
    return status;
}
