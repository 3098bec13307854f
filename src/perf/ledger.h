/* Which messages have arrived, of one stream: what one producer sends to one queue. */
#ifndef LEVERET_PERF_LEDGER_H
#define LEVERET_PERF_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

struct ledger {
    uint64_t next; /* all before it have arrived */
    uint64_t
        *ahead;    /* bits of those that arrived after a gap, by number modulo `room`; NULL: none */
    uint64_t room; /* a power of two, at least 64; 0: no memory yet */
    uint64_t gaps_given_up; /* messages taken as missing because the gap grew too long */
};

enum ledger_note { LEDGER_NEW, LEDGER_SEEN };

/* Notes an arrival. */
enum ledger_note ledger_note_slow(struct ledger *ledger, uint64_t sequence);

static inline enum ledger_note ledger_note(struct ledger *ledger, uint64_t sequence)
{
    if (sequence == ledger->next && !ledger->ahead) {
        ledger->next++;
        return LEDGER_NEW;
    }
    return ledger_note_slow(ledger, sequence);
}

void ledger_free(struct ledger *ledger);

#endif
