/* A log with its vote, as records make it: the live one, and what a disk has of it. */
#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "tests/sim/engine/group.h"

uint64_t state_last(const struct state *state)
{
    return state->floor + state->count;
}

const struct entry *state_entry(const struct state *state, uint64_t index)
{
    if (index <= state->floor || index > state_last(state))
        return NULL;
    return &state->entries[index - state->floor - 1];
}

uint64_t state_term_of(const struct state *state, uint64_t index)
{
    const struct entry *entry = state_entry(state, index);
    return entry ? entry->term : index && index == state->floor ? state->floor_term : 0;
}

static void append(struct state *state, const struct record *record)
{
    if (record->index <= state->floor)
        return;
    assert(record->index <= state_last(state) + 1);
    state->count = record->index - state->floor - 1;
    state->entries =
        mem_grow(state->entries, &state->capacity, state->count + 1, sizeof(*state->entries));
    state->entries[state->count++] = record->entry;
}

static void raise_floor(struct state *state, const struct record *record)
{
    if (record->index <= state->floor)
        return;
    size_t gone = record->index - state->floor;
    state->floor_term = state_term_of(state, record->index);
    state->floor_members = record->members;
    state->floor = record->index;
    state->count -= gone;
    memmove(state->entries, state->entries + gone, state->count * sizeof(*state->entries));
}

void state_apply(struct state *state, const struct record *record)
{
    switch (record->kind) {
    case RECORD_VOTE:
        state->term = record->term;
        state->vote = record->vote;
        break;
    case RECORD_ENTRY:
        append(state, record);
        break;
    case RECORD_FLOOR:
        raise_floor(state, record);
        break;
    case RECORD_IMAGE:
        state->floor = record->index;
        state->floor_term = record->term;
        state->floor_members = record->members;
        state->count = 0;
    }
}

void state_copy(struct state *to, const struct state *from)
{
    struct entry *entries = to->entries;
    size_t capacity = to->capacity;
    entries = mem_grow(entries, &capacity, from->count + 1, sizeof(*entries));
    if (from->count)
        memcpy(entries, from->entries, from->count * sizeof(*entries));
    *to = *from;
    to->entries = entries;
    to->capacity = capacity;
}

void state_free(struct state *state)
{
    mem_free(state->entries);
    *state = (struct state){0};
}
