/* Two workers behind one interface: a thread with a queue of jobs, and one that works when it is
 * told to. Jobs lie inside their owner's objects and move from list to list; nothing is copied or
 * allocated. The thread's lists are under one lock, which is never held while a job runs. */
#include "base/worker.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>

#include "base/mem.h"

/* ---- a thread ---- */

enum { STACK_BYTES = 512 << 10 }; /* reserved, not taken: LevelDB runs on it */

struct thread_worker {
    struct worker worker;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t submitted_cond; /* the thread waits for work */
    pthread_cond_t idle_cond;      /* the owner waits for the thread, in drain */
    struct list submitted;
    struct list finished;
    bool is_running; /* a job is on neither list, as it is being done */
    bool is_stopping;
    void (*wake)(void *context);
    void *context;
};

static struct thread_worker *thread_of(struct worker *worker)
{
    return (struct thread_worker *)(void *)worker;
}

/* Waits for the next job; NULL when the worker is to end. Called with the lock held. */
static struct job *next_job(struct thread_worker *self)
{
    while (list_is_empty(&self->submitted) && !self->is_stopping)
        pthread_cond_wait(&self->submitted_cond, &self->lock);
    struct list *link = list_take_first(&self->submitted);
    return link ? list_entry(link, struct job, link) : NULL;
}

static void *thread_main(void *context)
{
    struct thread_worker *self = context;
    struct job *job;
    pthread_mutex_lock(&self->lock);
    while ((job = next_job(self))) {
        self->is_running = true;
        pthread_mutex_unlock(&self->lock);
        job->run(job);
        pthread_mutex_lock(&self->lock);
        self->is_running = false;
        list_push_back(&self->finished, &job->link);
        if (list_is_empty(&self->submitted))
            pthread_cond_broadcast(&self->idle_cond);
        pthread_mutex_unlock(&self->lock);
        if (self->wake)
            self->wake(self->context);
        pthread_mutex_lock(&self->lock);
    }
    pthread_mutex_unlock(&self->lock);
    return NULL;
}

static void thread_submit(struct worker *worker, struct job *job)
{
    struct thread_worker *self = thread_of(worker);
    list_init(&job->link);
    pthread_mutex_lock(&self->lock);
    list_push_back(&self->submitted, &job->link);
    pthread_mutex_unlock(&self->lock);
    /* After the lock, or the thread would wake only to wait for it. */
    pthread_cond_signal(&self->submitted_cond);
}

static struct job *thread_finished(struct worker *worker)
{
    struct thread_worker *self = thread_of(worker);
    pthread_mutex_lock(&self->lock);
    struct list *link = list_take_first(&self->finished);
    pthread_mutex_unlock(&self->lock);
    return link ? list_entry(link, struct job, link) : NULL;
}

static void thread_drain(struct worker *worker)
{
    struct thread_worker *self = thread_of(worker);
    pthread_mutex_lock(&self->lock);
    while (self->is_running || !list_is_empty(&self->submitted))
        pthread_cond_wait(&self->idle_cond, &self->lock);
    pthread_mutex_unlock(&self->lock);
}

static const struct worker_ops thread_ops = {
    .submit = thread_submit,
    .finished = thread_finished,
    .drain = thread_drain,
};

/* Starts the thread with all signals blocked: they are the loop's. */
static int start(struct thread_worker *self)
{
    sigset_t all;
    sigset_t before;
    pthread_attr_t attributes;
    sigfillset(&all);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&self->thread, &attributes, thread_main, self);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return error;
}

static void thread_destroy(struct thread_worker *self)
{
    pthread_cond_destroy(&self->submitted_cond);
    pthread_cond_destroy(&self->idle_cond);
    pthread_mutex_destroy(&self->lock);
    mem_free(self);
}

struct worker *worker_thread_new(const char *name, void (*wake)(void *context), void *context)
{
    struct thread_worker *self = mem_zalloc(sizeof(*self));
    self->worker.ops = &thread_ops;
    self->wake = wake;
    self->context = context;
    list_init(&self->submitted);
    list_init(&self->finished);
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->submitted_cond, NULL);
    pthread_cond_init(&self->idle_cond, NULL);
    if (start(self) != 0) {
        thread_destroy(self);
        return NULL;
    }
    pthread_setname_np(self->thread, name);
    return &self->worker;
}

void worker_thread_free(struct worker *worker)
{
    if (!worker)
        return;
    struct thread_worker *self = thread_of(worker);
    pthread_mutex_lock(&self->lock);
    assert(list_is_empty(&self->submitted) && !self->is_running);
    self->is_stopping = true;
    pthread_cond_signal(&self->submitted_cond);
    pthread_mutex_unlock(&self->lock);
    pthread_join(self->thread, NULL);
    thread_destroy(self);
}

/* ---- by hand ---- */

struct manual_worker {
    struct worker worker;
    struct list submitted;
    struct list finished;
    bool eager;
};

static struct manual_worker *manual_of(struct worker *worker)
{
    return (struct manual_worker *)(void *)worker;
}

bool worker_step(struct worker *worker)
{
    struct manual_worker *self = manual_of(worker);
    assert(worker->ops != &thread_ops);
    struct list *link = list_take_first(&self->submitted);
    if (!link)
        return false;
    struct job *job = list_entry(link, struct job, link);
    job->run(job);
    list_push_back(&self->finished, &job->link);
    return true;
}

static void manual_drain(struct worker *worker)
{
    while (worker_step(worker))
        continue;
}

static void manual_submit(struct worker *worker, struct job *job)
{
    struct manual_worker *self = manual_of(worker);
    list_init(&job->link);
    list_push_back(&self->submitted, &job->link);
    if (self->eager)
        manual_drain(worker);
}

static struct job *manual_finished(struct worker *worker)
{
    struct list *link = list_take_first(&manual_of(worker)->finished);
    return link ? list_entry(link, struct job, link) : NULL;
}

static const struct worker_ops manual_ops = {
    .submit = manual_submit,
    .finished = manual_finished,
    .drain = manual_drain,
};

struct worker *worker_manual_new(bool eager)
{
    struct manual_worker *self = mem_zalloc(sizeof(*self));
    self->worker.ops = &manual_ops;
    self->eager = eager;
    list_init(&self->submitted);
    list_init(&self->finished);
    return &self->worker;
}

void worker_manual_free(struct worker *worker)
{
    mem_free(worker);
}
