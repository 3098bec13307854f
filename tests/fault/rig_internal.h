/* What the parts of a rig know of each other. */
#ifndef LEVERET_TESTS_FAULT_RIG_INTERNAL_H
#define LEVERET_TESTS_FAULT_RIG_INTERNAL_H

#include "store/internal.h"
#include "tests/fault/rig.h"

/* The promise was broken; the first reason stays. */
void rig_fail(struct rig *rig, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The key-value store that the rig's store sees, over `memory`. The caller frees it. */
struct kv *rig_kv_new(struct rig *rig);
/* Adds what one store has met. */
void rig_met_add(struct rig_met *met, const struct store_stats *stats);
/* The batch that fills. */
uint64_t rig_filling(const struct rig *rig);
/* Takes the names of a store that was opened. */
void rig_see_names(struct rig *rig);
/* The id that a message was published with; 0, and a fault: it is not as it was. */
uint64_t rig_read_message(struct rig *rig, const struct message *message);
/* The disk did not let the store read everything (which takes a mark in the journal): what is there
 * cannot be known. */
bool rig_is_blind(const struct rig *rig);

#endif
