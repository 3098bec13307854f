/* In order, a ledger is one number. What arrives ahead of a gap is kept as bits until the gap
 * closes; a gap of more than 64 million messages is taken as lost, so that memory is bounded. */
#include "perf/ledger.h"

#include <stddef.h>

#include "base/mem.h"

#define ROOM_MIN ((uint64_t)1024)
#define ROOM_MAX ((uint64_t)1 << 26)

static bool has(const struct ledger *ledger, uint64_t sequence)
{
    uint64_t place = sequence & (ledger->room - 1);
    return ledger->ahead[place / 64] >> (place % 64) & 1;
}

static void put(struct ledger *ledger, uint64_t sequence, bool seen)
{
    uint64_t place = sequence & (ledger->room - 1);
    uint64_t bit = (uint64_t)1 << (place % 64);
    if (seen)
        ledger->ahead[place / 64] |= bit;
    else
        ledger->ahead[place / 64] &= ~bit;
}

static void grow(struct ledger *ledger, uint64_t room)
{
    struct ledger before = *ledger;
    ledger->room = room;
    ledger->ahead = mem_zalloc_array(room / 64, sizeof(*ledger->ahead));
    for (uint64_t i = 0; before.ahead && i < before.room; i++)
        if (has(&before, before.next + i))
            put(ledger, before.next + i, true);
    mem_free(before.ahead);
}

/* Moves on over what has arrived. */
static void close_gap(struct ledger *ledger)
{
    while (has(ledger, ledger->next)) {
        put(ledger, ledger->next, false);
        ledger->next++;
    }
}

enum ledger_note ledger_note_slow(struct ledger *ledger, uint64_t sequence)
{
    if (sequence < ledger->next)
        return LEDGER_SEEN;
    while (sequence - ledger->next >= ROOM_MAX) {
        if (ledger->ahead && has(ledger, ledger->next))
            put(ledger, ledger->next, false);
        else
            ledger->gaps_given_up++;
        ledger->next++;
    }
    uint64_t room = ledger->room ? ledger->room : ROOM_MIN;
    while (sequence - ledger->next >= room)
        room *= 2;
    if (room != ledger->room)
        grow(ledger, room);
    if (has(ledger, sequence))
        return LEDGER_SEEN;
    put(ledger, sequence, true);
    close_gap(ledger);
    return LEDGER_NEW;
}

void ledger_free(struct ledger *ledger)
{
    mem_free(ledger->ahead);
    ledger->ahead = NULL;
    ledger->room = 0;
}
