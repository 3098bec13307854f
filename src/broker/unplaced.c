/* Why a letter found no queue is not kept: a binding, an exchange, or room in a full queue may come
 * at any time, so some of them are tried now and then. A round ends after so many vain attempts; the
 * next one goes on behind them, so that nobody waits for ever behind those that lead nowhere, and
 * begins with the first again when one was taken, or the end was reached. What waits is in memory
 * alone: after a restart the messages are in their queue as before they died. */
#include "broker/unplaced.h"

#include "base/mem.h"
#include "broker/vhost.h"
#include "queue/queue_timer.h"

/* Vain attempts of a round; the time to the next one; and what an attempt takes of a turn's budget. */
enum { VAIN_MAX = 64, RETRY_MS = 200, ATTEMPT_STEPS = 200 };

struct unplaced {
    struct list link; /* in letters->list */
    uint64_t sequence;
    enum death why;
};

/* Of one queue, in broker->unplaced. */
struct letters {
    struct list list;  /* struct unplaced, the oldest first */
    struct list *next; /* where the next round begins; the head: with the first */
    size_t count;
};

static struct letters *letters_of(const struct queue *queue)
{
    return idmap_find(&queue->vhost->broker->unplaced, queue->id);
}

static struct letters *letters_new(struct queue *queue)
{
    struct broker *broker = queue->vhost->broker;
    struct letters *letters = mem_zalloc(sizeof(*letters));
    list_init(&letters->list);
    letters->next = &letters->list;
    idmap_add(&broker->unplaced, queue->id, letters);
    log_event(broker->log, EVENT_dead_letters_wait, "vhost=%s queue=%s exchange=%s",
              queue->vhost->name, queue->name, queue->settings->dead_letter_exchange);
    return letters;
}

static void letters_free(struct queue *queue, struct letters *letters)
{
    idmap_remove(&queue->vhost->broker->unplaced, queue->id);
    mem_free(letters);
}

void unplaced_add(struct queue *queue, uint64_t sequence, enum death why)
{
    struct letters *letters = letters_of(queue);
    if (!letters)
        letters = letters_new(queue);
    struct unplaced *unplaced = mem_alloc(sizeof(*unplaced));
    unplaced->sequence = sequence;
    unplaced->why = why;
    list_push_back(&letters->list, &unplaced->link);
    letters->count++;
    queue_timer_advance(queue, QUEUE_TIMER_LETTERS, RETRY_MS);
}

size_t unplaced_count(const struct queue *queue)
{
    const struct letters *letters = letters_of(queue);
    return letters ? letters->count : 0;
}

static void take_out(struct letters *letters, struct unplaced *unplaced)
{
    list_remove(&unplaced->link);
    mem_free(unplaced);
    letters->count--;
}

/* One round, from letters->next on; how long the next one can wait. */
static uint64_t run_round(struct queue *queue, struct letters *letters)
{
    struct budget *turn = &queue->vhost->broker->turn;
    struct list *link = letters->next, *after;
    unsigned vain = 0;
    bool any = false;
    if (link == &letters->list)
        link = link->next;
    for (; link != &letters->list && vain < VAIN_MAX && !budget_is_spent(turn); link = after) {
        struct unplaced *unplaced = list_entry(link, struct unplaced, link);
        enum placed placed = dead_letter_place(queue, unplaced->sequence, unplaced->why);
        if (placed == PLACED_LATER)
            break;
        after = link->next;
        if (placed == PLACED_NOWHERE)
            vain++;
        else
            take_out(letters, unplaced);
        any |= placed != PLACED_NOWHERE;
        budget_use(turn, ATTEMPT_STEPS);
    }
    bool is_cut = budget_is_spent(turn);
    letters->next = any && !is_cut ? &letters->list : link;
    return is_cut && any ? 0 : RETRY_MS;
}

void unplaced_retry(struct queue *queue)
{
    struct letters *letters = letters_of(queue);
    queue_timer_cancel(queue, QUEUE_TIMER_LETTERS);
    if (!letters)
        return;
    uint64_t wait_ms = run_round(queue, letters);
    if (letters->count)
        queue_timer_set(queue, QUEUE_TIMER_LETTERS, wait_ms);
    else
        letters_free(queue, letters);
}

void unplaced_forget(struct queue *queue)
{
    struct letters *letters = letters_of(queue);
    if (!letters)
        return;
    for (struct list *link; (link = list_first(&letters->list));)
        take_out(letters, list_entry(link, struct unplaced, link));
    letters_free(queue, letters);
}
