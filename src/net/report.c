#include "net/report.h"

#include <signal.h>
#include <stdio.h>

/* Each counter as " name=value". */
static void write_counters(const struct report *report, char *line, size_t room)
{
    const struct store_stats *stats = store_stats(report->store);
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        {"syncs", stats->syncs},
        {"messages_written", stats->messages_written},
        {"records_elided", stats->records_elided},
        {"settles_written", stats->settles_written},
        {"marks_written", stats->marks_written},
        {"segments_rolled", stats->segments_rolled},
        {"segments_retired", stats->segments_retired},
        {"segments_recycled", stats->segments_recycled},
        {"chunks_spilled", stats->chunks_spilled},
        {"chunks_loaded", stats->chunks_loaded},
        {"bodies_read", stats->bodies_read},
        {"checkpoints", stats->checkpoints},
        {"compactions", stats->compactions},
        {"messages_moved", stats->messages_moved},
        {"messages_refused", stats->messages_refused},
        {"replayed_batches", stats->replayed_batches},
        {"damaged", stats->damaged},
        {"chunks_damaged", stats->chunks_damaged},
    };
    size_t size = 0;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        size += (size_t)snprintf(line + size, room - size, " %s=%llu", rows[i].name,
                                 (unsigned long long)rows[i].value);
}

static void on_asked(struct ev_loop *ev, ev_signal *watcher, int events)
{
    (void)ev;
    (void)events;
    struct report *report = watcher->data;
    char line[TURNS_TEXT] = "";
    write_counters(report, line, sizeof(line));
    log_event_pairs(report->log, EVENT_store_stats, line + 1);
    turns_text(report->turns, line);
    log_event_pairs(report->log, EVENT_turn_stats, line + 1);
}

void report_start(struct report *report, struct ev_loop *ev, const struct log *log,
                  struct store *store, struct turns *turns)
{
    report->log = log;
    report->store = store;
    report->turns = turns;
    ev_signal_init(&report->asked, on_asked, SIGUSR1);
    report->asked.data = report;
    ev_signal_start(ev, &report->asked);
}

void report_stop(struct report *report, struct ev_loop *ev)
{
    ev_signal_stop(ev, &report->asked);
}
