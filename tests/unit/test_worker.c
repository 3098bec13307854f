/* The workers of the store: order, the two ways to wait, and the wake-up. */
#include "base/worker.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#include "tests/lib/tap.h"

enum { JOBS = 1000 };

struct counted {
    struct job job;
    int *ran;  /* how many ran so far */
    int place; /* how many ran before this one */
};

static void run_counted(struct job *job)
{
    struct counted *counted = list_entry(job, struct counted, job);
    counted->place = (*counted->ran)++;
}

static void submit_all(struct worker *worker, struct counted *jobs, int count, int *ran)
{
    for (int i = 0; i < count; i++) {
        jobs[i] = (struct counted){.job = {.run = run_counted}, .ran = ran, .place = -1};
        worker->ops->submit(worker, &jobs[i].job);
    }
}

/* How many jobs come back, when each comes in the order of submission. */
static int collect(struct worker *worker)
{
    int count = 0;
    struct job *job;
    while ((job = worker->ops->finished(worker)))
        count += list_entry(job, struct counted, job)->place == count;
    return count;
}

TEST(thread_runs_in_order)
{
    static struct counted jobs[JOBS];
    int ran = 0;
    struct worker *worker = worker_thread_new("test", NULL, NULL);
    submit_all(worker, jobs, JOBS, &ran);
    worker->ops->drain(worker);
    is_int(ran, JOBS, "drain waited for every job");
    is_int(collect(worker), JOBS, "they come back in order");
    ok(!worker->ops->finished(worker), "once each");
    worker->ops->drain(worker);
    ok(true, "draining an idle worker does not wait");
    worker_thread_free(worker);
}

static void count_wake(void *context)
{
    atomic_fetch_add((atomic_int *)context, 1);
}

TEST(thread_wakes_its_owner)
{
    static struct counted jobs[10];
    atomic_int wakes = 0;
    int ran = 0;
    struct worker *worker = worker_thread_new("test", count_wake, &wakes);
    submit_all(worker, jobs, 10, &ran);
    worker->ops->drain(worker);
    is_int(collect(worker), 10, "all finished");
    worker_thread_free(worker);
    is_int(atomic_load(&wakes), 10, "one wake-up for each");
}

struct masked {
    struct job job;
    sigset_t mask;
};

static void run_masked(struct job *job)
{
    pthread_sigmask(SIG_SETMASK, NULL, &list_entry(job, struct masked, job)->mask);
}

TEST(thread_takes_no_signals)
{
    struct masked masked = {.job = {.run = run_masked}};
    sigset_t own;
    struct worker *worker = worker_thread_new("test", NULL, NULL);
    worker->ops->submit(worker, &masked.job);
    worker->ops->drain(worker);
    ok(sigismember(&masked.mask, SIGTERM) == 1, "SIGTERM is blocked in the thread");
    ok(sigismember(&masked.mask, SIGINT) == 1, "SIGINT is, too");
    pthread_sigmask(SIG_SETMASK, NULL, &own);
    ok(sigismember(&own, SIGTERM) == 0, "and not in the owner");
    worker_thread_free(worker);
}

struct slow {
    struct job job;
    atomic_bool finished;
};

static void run_slow(struct job *job)
{
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    atomic_store(&list_entry(job, struct slow, job)->finished, true);
}

TEST(drain_waits_for_the_job_in_hand)
{
    struct slow slow = {.job = {.run = run_slow}};
    struct worker *worker = worker_thread_new("test", NULL, NULL);
    worker->ops->submit(worker, &slow.job);
    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    worker->ops->drain(worker);
    ok(atomic_load(&slow.finished), "a job that was taken already is waited for");
    ok(worker->ops->finished(worker) == &slow.job, "and is collected");
    worker_thread_free(worker);
}

TEST(manual_waits_to_be_told)
{
    static struct counted jobs[3];
    int ran = 0;
    struct worker *worker = worker_manual_new(false);
    ok(!worker_step(worker), "nothing to do at first");
    submit_all(worker, jobs, 3, &ran);
    is_int(ran, 0, "submission runs nothing");
    ok(!worker->ops->finished(worker), "so nothing is finished");
    ok(worker_step(worker), "a step does one");
    is_int(ran, 1, "exactly one");
    worker->ops->drain(worker);
    is_int(ran, 3, "draining does the rest");
    is_int(collect(worker), 3, "in order");
    worker_manual_free(worker);
}

TEST(manual_may_be_eager)
{
    static struct counted jobs[3];
    int ran = 0;
    struct worker *worker = worker_manual_new(true);
    submit_all(worker, jobs, 3, &ran);
    is_int(ran, 3, "submission runs each at once");
    is_int(collect(worker), 3, "in order");
    worker_manual_free(worker);
}

int main(void)
{
    RUN(thread_runs_in_order);
    RUN(thread_wakes_its_owner);
    RUN(thread_takes_no_signals);
    RUN(drain_waits_for_the_job_in_hand);
    RUN(manual_waits_to_be_told);
    RUN(manual_may_be_eager);
    return done();
}
