/* Connections and queues in numbers. Both are made one after the other, each waited for, by one
 * thread: what is measured is the broker's time for each, and its memory when all are there. */
#include "perf/many.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/mem.h"
#include "perf/clock.h"
#include "perf/names.h"
#include "perf/usage.h"

enum { CHANNEL = 1 };

struct many {
    const struct options *options;
    const struct link_target *target;
    struct progress *progress;
    struct load_result *result;
    struct report *report;
    struct link control;
    struct link *links; /* connection-count */
    uint32_t wanted, made;
    struct usage before;
};

static void show(struct many *many, const char *what, uint32_t done)
{
    double seconds;
    if (progress_is_due(many->progress, &seconds))
        progress_line(many->progress, "%6.1f s: %u of %u %s", progress_seconds(many->progress),
                      done, many->wanted, what);
}

static bool interrupted(struct many *many)
{
    return !progress_wait(many->progress, 0);
}

/* ---- connections ---- */

static bool open_one(struct many *many, uint32_t index)
{
    struct link *link = &many->links[index];
    many->made++;
    if (!link_open(link, many->target, LINK_BUFFER_SMALL))
        return false;
    for (uint32_t i = 1; i <= many->options->channels; i++)
        if (!link_open_channel(link, (uint16_t)i))
            return false;
    /* What an idle connection holds here is only in the way of larger numbers. */
    mem_free(link->in);
    mem_free(link->out);
    link->in = link->out = NULL;
    link->in_size = link->out_size = link->in_at = link->in_end = link->out_at = link->out_end = 0;
    return true;
}

static uint32_t open_all(struct many *many)
{
    many->links = mem_zalloc_array(many->wanted, sizeof(*many->links));
    for (uint32_t i = 0; i < many->wanted && !interrupted(many); i++) {
        if (!open_one(many, i)) {
            load_problem(many->result, "connection %u: %s", i + 1, many->links[i].error);
            return i;
        }
        show(many, "connections", i + 1);
    }
    return many->made;
}

/* They must still be there after the rest: the broker has not hung up. */
static uint32_t count_open(struct many *many, uint32_t opened)
{
    uint32_t alive = 0;
    for (uint32_t i = 0; i < opened; i++)
        alive += link_is_quiet(&many->links[i]);
    return alive;
}

static void close_all(struct many *many)
{
    for (uint32_t i = 0; i < many->made; i++)
        link_close(&many->links[i]);
    mem_free(many->links);
}

/* ---- queues ---- */

static void report_rate(struct many *many, const char *name, const char *label, uint64_t start_ns)
{
    double seconds = (double)(clock_ns() - start_ns) / 1e9;
    if (seconds > 0)
        report_add(many->report, name, label, many->made / seconds, "", 0);
}

static uint32_t declare_all(struct many *many)
{
    const struct options *options = many->options;
    for (uint32_t i = 0; i < many->wanted && !interrupted(many); i++) {
        char name[NAME_MAX_SIZE];
        union method declare = {.queue_declare = {.id = METHOD_QUEUE_DECLARE,
                                                  .queue = bytes_str(queue_name(options, i, name)),
                                                  .durable = options->durable,
                                                  .exclusive = options->exclusive,
                                                  .auto_delete = options->auto_delete,
                                                  .arguments = options->queue_arguments}};
        if (!link_call(&many->control, CHANNEL, &declare, METHOD_QUEUE_DECLARE_OK, NULL, NULL)) {
            load_problem(many->result, "queue %s: %s", name, many->control.error);
            break;
        }
        many->made++;
        show(many, "queues", many->made);
    }
    return many->made;
}

/* Each by its own name. */
static void bind_all(struct many *many)
{
    uint64_t start_ns = clock_ns();
    char name[NAME_MAX_SIZE];
    for (uint32_t i = 0; i < many->made && !interrupted(many); i++) {
        queue_name(many->options, i, name);
        union method bind = {.queue_bind = {.id = METHOD_QUEUE_BIND,
                                            .queue = bytes_str(name),
                                            .exchange = bytes_str(many->options->exchange),
                                            .routing_key = bytes_str(name),
                                            .arguments = many->options->binding_arguments}};
        if (!link_call(&many->control, CHANNEL, &bind, METHOD_QUEUE_BIND_OK, NULL, NULL)) {
            load_problem(many->result, "binding queue %s: %s", name, many->control.error);
            return;
        }
        show(many, "queues bound", i + 1);
    }
    report_rate(many, "bound_per_s", "bound a second", start_ns);
}

static void delete_all(struct many *many)
{
    uint64_t start_ns = clock_ns();
    char name[NAME_MAX_SIZE];
    for (uint32_t i = 0; i < many->made; i++) {
        union method delete = {
            .queue_delete = {.id = METHOD_QUEUE_DELETE,
                             .queue = bytes_str(queue_name(many->options, i, name))}};
        if (!link_call(&many->control, CHANNEL, &delete, METHOD_QUEUE_DELETE_OK, NULL, NULL)) {
            load_problem(many->result, "deleting queue %s: %s", name, many->control.error);
            return;
        }
        show(many, "queues deleted", i + 1);
    }
    report_rate(many, "deleted_per_s", "deleted a second", start_ns);
}

/* ---- both ---- */

static void rest(struct many *many)
{
    uint64_t end_ns = clock_ns() + (uint64_t)(many->options->hold_s * 1e9);
    while (clock_ns() < end_ns && progress_wait(many->progress, 10 * NS_PER_MS))
        continue;
}

/* At the end of the making, before the rest. */
static void report_making(struct many *many, uint32_t made)
{
    double seconds = progress_seconds(many->progress);
    bool queues = many->options->mode == MODE_QUEUE_COUNT;
    struct usage after;
    report_add(many->report, queues ? "queues" : "connections", queues ? "queues" : "connections",
               made, "", 0);
    report_add(many->report, "seconds", "took", seconds, "s", 3);
    report_add(many->report, "made_per_s", queues ? "declared a second" : "opened a second",
               seconds > 0 ? made / seconds : 0, "", 0);
    if (many->options->broker_pid && made && usage_read(many->options->broker_pid, &after))
        report_add(many->report, "broker_us_each", "broker CPU each",
                   (double)(after.cpu_ns - many->before.cpu_ns) / 1e3 / made, "us", 1);
}

static void report_memory(struct many *many, uint32_t made)
{
    struct usage after;
    if (!many->options->broker_pid || !usage_read(many->options->broker_pid, &after))
        return;
    double grown = (double)after.rss_bytes - (double)many->before.rss_bytes;
    report_add(many->report, "broker_rss_before_mib", "broker memory before",
               (double)many->before.rss_bytes / (1 << 20), "MiB", 1);
    report_add(many->report, "broker_rss_mib", "broker memory after",
               (double)after.rss_bytes / (1 << 20), "MiB", 1);
    if (made)
        report_add(many->report, "broker_kib_each", "broker memory each", grown / 1024 / made,
                   "KiB", 2);
}

static void make_and_measure(struct many *many)
{
    bool queues = many->options->mode == MODE_QUEUE_COUNT;
    uint32_t made = queues ? declare_all(many) : open_all(many);
    progress_end(many->progress);
    report_making(many, made);
    if (queues && *many->options->exchange)
        bind_all(many);
    rest(many);
    report_memory(many, made);
    if (!queues) {
        uint32_t alive = count_open(many, made);
        if (alive < made)
            load_problem(many->result, "%u connections were closed by the broker", made - alive);
        close_all(many);
    } else if (!many->options->keep && !link_failed(&many->control)) {
        delete_all(many);
    }
    if (made < many->wanted)
        load_problem(many->result, "only %u of %u were made", made, many->wanted);
}

bool many_run(const struct options *options, const struct link_target *target,
              struct progress *progress, struct load_result *result, struct report *report,
              char *error, size_t error_size)
{
    struct many many = {.options = options,
                        .target = target,
                        .progress = progress,
                        .result = result,
                        .report = report};
    many.wanted = options->mode == MODE_QUEUE_COUNT ? options->queues : options->connections;
    bool good = link_open(&many.control, target, LINK_BUFFER_SMALL) &&
                link_open_channel(&many.control, CHANNEL);
    if (!good) {
        snprintf(error, error_size, "%s", many.control.error);
    } else {
        if (options->broker_pid && !usage_read(options->broker_pid, &many.before))
            load_problem(result, "process %ld cannot be looked at", (long)options->broker_pid);
        progress_start(progress);
        make_and_measure(&many);
    }
    link_leave(&many.control);
    return good;
}
