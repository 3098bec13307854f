/* A ring of the times at which the messages of the window were published. It has room for twice the
 * window at least, so that one slow confirm does not hold up the others. */
#include "perf/confirms.h"

#include "base/mem.h"

void confirms_init(struct confirms *confirms, uint32_t window)
{
    uint64_t size = 2;
    while (size < 2 * (uint64_t)window)
        size *= 2;
    *confirms = (struct confirms){.base = 1, .next = 1, .mask = size - 1};
    confirms->sent_ns = mem_zalloc_array(size, sizeof(*confirms->sent_ns));
}

void confirms_free(struct confirms *confirms)
{
    mem_free(confirms->sent_ns);
    confirms->sent_ns = NULL;
}

void confirms_restart(struct confirms *confirms)
{
    for (uint64_t i = 0; i <= confirms->mask; i++)
        confirms->sent_ns[i] = 0;
    confirms->base = confirms->next = 1;
    confirms->open = 0;
}

static uint64_t settle_one(struct confirms *confirms, uint64_t tag, uint64_t now_ns,
                           struct histogram *times)
{
    uint64_t *sent_ns = &confirms->sent_ns[tag & confirms->mask];
    if (*sent_ns == 0)
        return 0;
    if (times)
        histogram_add(times, now_ns > *sent_ns ? now_ns - *sent_ns : 0);
    *sent_ns = 0;
    confirms->open--;
    return 1;
}

uint64_t confirms_settle(struct confirms *confirms, uint64_t tag, bool multiple, uint64_t now_ns,
                         struct histogram *times)
{
    uint64_t settled = 0;
    if (multiple && tag == 0)
        tag = confirms->next - 1;
    if (tag >= confirms->next)
        return UINT64_MAX;
    if (multiple) {
        for (; confirms->base <= tag; confirms->base++)
            settled += settle_one(confirms, confirms->base, now_ns, times);
    } else if (tag >= confirms->base) {
        settled = settle_one(confirms, tag, now_ns, times);
    }
    while (confirms->base < confirms->next &&
           confirms->sent_ns[confirms->base & confirms->mask] == 0)
        confirms->base++;
    return settled;
}
