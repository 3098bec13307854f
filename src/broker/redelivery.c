/* What becomes of a message that comes back is decided here, by how often it has: what is recorded is the
 * new count, or its end and the dead letter in the same batch. */
#include "broker/redelivery.h"

#include "base/planted.h"
#include "broker/dead_letter.h"
#include "broker/overflow.h"
#include "broker/vhost.h"

enum { LETTER_STEPS = 200 }; /* of a turn's budget */

static bool is_too_often(const struct queue *queue, uint64_t count)
{
    uint64_t limit = queue->settings->delivery_limit;
    return limit != SETTING_NONE && count > limit + planted(PLANTED_DELIVERED_ONCE_MORE);
}

void redelivery_return(struct queue *queue, uint64_t position, enum return_why why)
{
    (void)why;
    uint64_t count = (uint64_t)queue_delivery_count(queue, position) + 1;
    if (is_too_often(queue, count)) {
        dead_letter(queue, position, DEATH_DELIVERY_LIMIT);
        budget_use(&queue->vhost->broker->turn, LETTER_STEPS);
        return;
    }
    queue_give_back(queue, position);
    overflow_returned(queue);
}
