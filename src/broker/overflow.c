#include "broker/overflow.h"

#include "base/planted.h"
#include "broker/dead_letter.h"
#include "broker/vhost.h"
#include "queue/queue_limit.h"

/* Of a turn's budget: of what is dropped; and of all that is worked off in one. */
enum { DROP_STEPS = 15, LETTER_STEPS = 200, TURN_STEPS = 2 * BUDGET_MS };

/* Dead letters that are read together. */
enum { LETTERS_AT_ONCE = 256 };

/* ---- refused ---- */

static bool refuses(struct queue *queue, struct message *message)
{
    if (!queue_has_to_refuse(queue, message->body_size))
        return false;
    if (queue->settings->overflow == OVERFLOW_REJECT_DLX)
        dead_letter_refused(queue, message);
    return true;
}

bool overflow_refuse(struct queue_set *set, struct message *message)
{
    size_t kept = 0, count = set->count;
    for (size_t i = 0; i < count; i++)
        if (!(set->queues[i]->limit & QUEUE_REFUSES) || !refuses(set->queues[i], message))
            set->queues[kept++] = set->queues[i];
    set->count = kept;
    return kept < count;
}

struct published overflow_publish(struct queue *queue, struct message *message)
{
    struct published published = {.queues = 1};
    published.is_refused = refuses(queue, message);
    if (published.is_refused) {
        dead_letters_bury_refused(queue->vhost->broker);
    } else {
        published.logs = queue_push_to(queue, message);
        overflow_note(queue);
    }
    return published;
}

/* ---- dropped ---- */

void overflow_note(struct queue *queue)
{
    struct broker *broker = queue->vhost->broker;
    if (!queue_is_to_drop(queue))
        return;
    broker->has_to_drop = true;
    if (list_is_empty(&queue->dead_letters_link))
        list_push_back(&broker->dead_letters, &queue->dead_letters_link);
}

bool overflow_drop(struct queue *queue)
{
    struct budget *turn = &queue->vhost->broker->turn;
    bool has_letters = queue->settings->dead_letter_exchange;
    uint64_t position;
    if (!list_is_empty(&queue->dead_letters))
        return !queue_is_to_drop(queue);
    for (unsigned count = 0; queue_is_to_drop(queue); count++) {
        bool is_waiting = !list_is_empty(&queue->dead_letters) && count >= LETTERS_AT_ONCE;
        if (is_waiting || budget_is_spent(turn) || !queue_take_head(queue, &position))
            return false;
        dead_letter(queue, position, DEATH_MAXLEN);
        budget_use(turn, has_letters ? LETTER_STEPS : DROP_STEPS);
    }
    return true;
}

void overflow_drop_now(struct queue *queue)
{
    if (!queue_is_to_drop(queue))
        return;
    overflow_note(queue);
    overflow_drop(queue);
}

/* Those that wait for a dead letter to be read are remembered again when it was (dead_letter.c). */
void overflow_work_off(struct broker *broker)
{
    struct budget turn = broker->turn;
    if (!broker->has_to_drop)
        return;
    broker->has_to_drop = false;
    broker->turn = budget_of(TURN_STEPS);
    list_for_each_safe(link, after, &broker->dead_letters) {
        struct queue *queue = list_entry(link, struct queue, dead_letters_link);
        overflow_drop(queue);
        if (!list_is_empty(&queue->dead_letters))
            continue;
        if (queue_is_to_drop(queue))
            broker->has_to_drop = true;
        else
            list_remove(link);
    }
    broker->turn = turn;
}
