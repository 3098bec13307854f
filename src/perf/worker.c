/* The loop. Sockets are watched edge-triggered: an event only notes that a link can be read or
 * written, and puts it on the list of active ones; there it stays while it has something to do, and
 * each gets one buffer's worth a turn. Producers that hold a rate are looked through for one that
 * is due; to be on time, the loop wakes a little early and stays awake. */
#include "perf/worker.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/mem.h"
#include "perf/clock.h"

enum { EVENTS_MAX = 256 };

#define EARLY_NS 60000ull
#define RETRY_NS (100 * NS_PER_MS)
#define IDLE_NS (100 * NS_PER_MS)

void worker_init(struct worker *worker, struct run *run, uint32_t producers, uint32_t consumers)
{
    memset(worker, 0, sizeof(*worker));
    worker->run = run;
    worker->producers = mem_zalloc_array(producers ? producers : 1, sizeof(struct producer));
    worker->consumers = mem_zalloc_array(consumers ? consumers : 1, sizeof(struct consumer));
    worker->epoll = worker->wake = -1;
    list_init(&worker->active);
}

void worker_free(struct worker *worker)
{
    for (uint32_t i = 0; i < worker->producer_count; i++)
        producer_free(&worker->producers[i]);
    for (uint32_t i = 0; i < worker->consumer_count; i++)
        consumer_free(&worker->consumers[i]);
    mem_free(worker->producers);
    mem_free(worker->consumers);
    if (worker->epoll >= 0)
        close(worker->epoll);
    if (worker->wake >= 0)
        close(worker->wake);
}

void worker_wake(struct worker *worker)
{
    uint64_t one = 1;
    while (worker->wake >= 0 && write(worker->wake, &one, sizeof(one)) < 0 && errno == EINTR)
        continue;
}

static void fail(struct worker *worker, const char *what, const char *why)
{
    if (atomic_load(&worker->failed))
        return;
    snprintf(worker->error, sizeof(worker->error), "%s: %s", what, why);
    atomic_store(&worker->failed, 1);
}

static void activate(struct worker *worker, struct actor *actor)
{
    if (list_is_empty(&actor->active))
        list_push_back(&worker->active, &actor->active);
}

static bool watch(struct worker *worker, struct actor *actor)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                .data = {.ptr = actor}};
    activate(worker, actor);
    return epoll_ctl(worker->epoll, EPOLL_CTL_ADD, actor->link.fd, &event) == 0;
}

/* ---- lost connections ---- */

static struct producer *producer_of(struct actor *actor)
{
    return (struct producer *)(void *)((char *)actor - offsetof(struct producer, actor));
}

static struct consumer *consumer_of(struct actor *actor)
{
    return (struct consumer *)(void *)((char *)actor - offsetof(struct consumer, actor));
}

static void lose(struct worker *worker, struct actor *actor, uint64_t now_ns)
{
    list_remove(&actor->active);
    if (run_phase(worker->run) >= PHASE_STOPPING)
        return;
    if (!worker->run->options->reconnect) {
        fail(worker, actor->is_consumer ? "consumer" : "producer", actor->link.error);
        return;
    }
    link_close(&actor->link);
    actor->down = true;
    actor->retry_at_ns = now_ns + RETRY_NS;
    if (!actor->is_consumer)
        producer_rewind(producer_of(actor));
}

static void retry(struct worker *worker, struct actor *actor, uint64_t now_ns)
{
    if (!actor->down || actor->retry_at_ns > now_ns)
        return;
    struct consumer *consumer = actor->is_consumer ? consumer_of(actor) : NULL;
    bool open = consumer ? consumer_open(consumer) && consumer_subscribe(consumer)
                         : producer_open(producer_of(actor));
    if (open && watch(worker, actor)) {
        actor->down = false;
        tally_add(&worker->tally.reconnects, 1);
        return;
    }
    link_close(&actor->link);
    actor->retry_at_ns = clock_ns() + RETRY_NS;
}

static void retry_all(struct worker *worker, uint64_t now_ns)
{
    for (uint32_t i = 0; i < worker->producer_count; i++)
        retry(worker, &worker->producers[i].actor, now_ns);
    for (uint32_t i = 0; i < worker->consumer_count; i++)
        retry(worker, &worker->consumers[i].actor, now_ns);
}

/* ---- the loop ---- */

/* Activates the producers that are due, and notes when the next one is. */
static void look_at_schedule(struct worker *worker, uint64_t now_ns)
{
    worker->scheduled_ns = UINT64_MAX;
    if (worker->run->options->schedule.count == 0)
        return;
    for (uint32_t i = 0; i < worker->producer_count; i++) {
        struct producer *producer = &worker->producers[i];
        if (producer_is_ready(producer, now_ns))
            activate(worker, &producer->actor);
        else if (producer->state == PRODUCER_PUBLISHING && producer->due_ns > now_ns &&
                 producer->due_ns < worker->scheduled_ns)
            worker->scheduled_ns = producer->due_ns;
    }
}

static void turn(struct worker *worker, uint64_t now_ns)
{
    struct list now;
    struct list *link;
    list_init(&now);
    list_append_all(&now, &worker->active);
    while ((link = list_take_first(&now)) != NULL) {
        struct actor *actor = list_entry(link, struct actor, active);
        struct producer *producer = actor->is_consumer ? NULL : producer_of(actor);
        struct consumer *consumer = actor->is_consumer ? consumer_of(actor) : NULL;
        bool good = consumer ? consumer_turn(consumer, now_ns) : producer_turn(producer, now_ns);
        if (!good)
            lose(worker, actor, now_ns);
        else if (consumer ? consumer_is_ready(consumer) : producer_is_ready(producer, now_ns))
            activate(worker, actor);
    }
}

static uint64_t patience_ns(const struct worker *worker, uint64_t now_ns)
{
    if (!list_is_empty(&worker->active) || worker->run->options->spin)
        return 0;
    if (worker->scheduled_ns == UINT64_MAX)
        return IDLE_NS;
    uint64_t left = worker->scheduled_ns > now_ns ? worker->scheduled_ns - now_ns : 0;
    uint64_t patience = left > EARLY_NS ? left - EARLY_NS : 0;
    return patience < IDLE_NS ? patience : IDLE_NS;
}

static void note_event(struct worker *worker, const struct epoll_event *event)
{
    struct actor *actor = event->data.ptr;
    if (!actor) {
        uint64_t count;
        while (read(worker->wake, &count, sizeof(count)) < 0 && errno == EINTR)
            continue;
        for (uint32_t i = 0; i < worker->producer_count; i++)
            activate(worker, &worker->producers[i].actor);
        return;
    }
    if (event->events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        actor->link.readable = true;
    if (event->events & EPOLLOUT)
        actor->link.writable = true;
    activate(worker, actor);
}

static void wait_for_events(struct worker *worker)
{
    struct epoll_event events[EVENTS_MAX];
    struct timespec patience = timespec_of(patience_ns(worker, clock_ns()));
    int count = epoll_pwait2(worker->epoll, events, EVENTS_MAX, &patience, NULL);
    for (int i = 0; i < count; i++)
        note_event(worker, &events[i]);
}

/* The last acknowledgements, as far as the socket takes them at once. */
static void finish(struct worker *worker)
{
    for (uint32_t i = 0; i < worker->consumer_count; i++) {
        struct consumer *consumer = &worker->consumers[i];
        consumer_finish(consumer);
        if (!consumer->actor.down)
            link_flush(&consumer->actor.link);
    }
}

/* Twice in each interval of heartbeats. */
static void beat(struct worker *worker, uint64_t now_ns)
{
    uint64_t half_ns = (uint64_t)worker->run->options->heartbeat_s * NS_PER_S / 2;
    if (half_ns == 0 || now_ns - worker->beat_ns < half_ns)
        return;
    worker->beat_ns = now_ns;
    for (uint32_t i = 0; i < worker->producer_count; i++)
        if (!worker->producers[i].actor.down)
            link_beat(&worker->producers[i].actor.link);
    for (uint32_t i = 0; i < worker->consumer_count; i++)
        if (!worker->consumers[i].actor.down)
            link_beat(&worker->consumers[i].actor.link);
}

static void note_cpu(struct worker *worker, uint64_t cpu_before_ns, uint64_t start_ns)
{
    tally_set(&worker->cpu_ns, clock_of(CLOCK_THREAD_CPUTIME_ID) - cpu_before_ns);
    tally_set(&worker->running_ns, clock_ns() - start_ns);
}

static void *work(void *context)
{
    struct worker *worker = context;
    uint64_t cpu_ns = 0;
    uint64_t start_ns = 0;
    uint64_t noted_ns = 0;
    prctl(PR_SET_TIMERSLACK, 1ul);
    while (run_phase(worker->run) < PHASE_STOPPING && !atomic_load(&worker->failed)) {
        wait_for_events(worker);
        uint64_t now_ns = clock_ns();
        if (start_ns == 0 && run_phase(worker->run) >= PHASE_RUNNING) {
            start_ns = now_ns;
            cpu_ns = clock_of(CLOCK_THREAD_CPUTIME_ID);
        }
        look_at_schedule(worker, now_ns);
        turn(worker, now_ns);
        /* What was published has moved on to the next time. */
        look_at_schedule(worker, now_ns);
        if (now_ns - noted_ns > 10 * NS_PER_MS && start_ns) {
            note_cpu(worker, cpu_ns, start_ns);
            noted_ns = now_ns;
            beat(worker, now_ns);
            if (worker->run->options->reconnect)
                retry_all(worker, now_ns);
        }
    }
    finish(worker);
    return NULL;
}

bool worker_start(struct worker *worker)
{
    struct epoll_event event = {.events = EPOLLIN};
    worker->epoll = epoll_create1(EPOLL_CLOEXEC);
    worker->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    bool good = worker->epoll >= 0 && worker->wake >= 0 &&
                epoll_ctl(worker->epoll, EPOLL_CTL_ADD, worker->wake, &event) == 0;
    for (uint32_t i = 0; i < worker->producer_count; i++) {
        worker->producers[i].tally = &worker->tally;
        good = good && watch(worker, &worker->producers[i].actor);
    }
    for (uint32_t i = 0; i < worker->consumer_count; i++) {
        worker->consumers[i].tally = &worker->tally;
        good = good && watch(worker, &worker->consumers[i].actor);
    }
    if (!good) {
        fail(worker, "watching sockets", strerror(errno));
        return false;
    }
    int error = pthread_create(&worker->thread, NULL, work, worker);
    if (error)
        fail(worker, "starting a thread", strerror(error));
    worker->started = error == 0;
    return worker->started;
}

void worker_join(struct worker *worker)
{
    if (!worker->started)
        return;
    worker_wake(worker);
    pthread_join(worker->thread, NULL);
    worker->started = false;
}
