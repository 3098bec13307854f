/* Two lists of jobs, as those of a worker by hand, and who is told that there is something to do. */
#include "tests/lib/slow_worker.h"

static struct slow_worker *slow_of(struct worker *worker)
{
    return (struct slow_worker *)(void *)worker;
}

static void submit(struct worker *link, struct job *job)
{
    struct slow_worker *worker = slow_of(link);
    bool was_idle = slow_worker_is_idle(worker);
    list_init(&job->link);
    list_push_back(&worker->submitted, &job->link);
    if (was_idle)
        worker->begins(worker);
}

static struct job *finished(struct worker *link)
{
    struct list *first = list_take_first(&slow_of(link)->finished);
    return first ? list_entry(first, struct job, link) : NULL;
}

static void drain(struct worker *link)
{
    slow_worker_drain(slow_of(link));
}

void slow_worker_init(struct slow_worker *worker, void (*begins)(struct slow_worker *worker))
{
    static const struct worker_ops ops = {submit, finished, drain};
    *worker = (struct slow_worker){.worker = {&ops}, .begins = begins};
    slow_worker_forget(worker);
}

bool slow_worker_is_idle(const struct slow_worker *worker)
{
    return list_is_empty(&worker->submitted);
}

bool slow_worker_step(struct slow_worker *worker)
{
    struct list *link = list_take_first(&worker->submitted);
    if (!link)
        return false;
    struct job *job = list_entry(link, struct job, link);
    job->run(job);
    list_push_back(&worker->finished, &job->link);
    return true;
}

void slow_worker_drain(struct slow_worker *worker)
{
    while (slow_worker_step(worker))
        continue;
}

void slow_worker_forget(struct slow_worker *worker)
{
    list_init(&worker->submitted);
    list_init(&worker->finished);
}
