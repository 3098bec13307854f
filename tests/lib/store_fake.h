/* A store in memory, in place of src/store/store.c and index.c: enough of it for the layer above to
 * be tested alone. Nothing fails in it; what it was told can be looked at. A program that calls
 * store_fake_new gets it, any other one the real store. */
#ifndef LEVERET_TESTS_LIB_STORE_FAKE_H
#define LEVERET_TESTS_LIB_STORE_FAKE_H

#include "store/store.h"

struct store *store_fake_new(struct message_pool *pool);
void store_fake_free(struct store *store);
/* As after a restart: the catalogue stays, so do the queues that survive and all messages in them
 * (taken ones are ready again, delayed ones still wait); the rest goes. */
void store_fake_restart(struct store *store);

/* Entries of the catalogue, and those whose key begins with this byte. */
size_t store_fake_entries(const struct store *store);
size_t store_fake_entries_of(const struct store *store, uint8_t kind);
/* Adds an entry behind the broker's back. */
void store_fake_put(struct store *store, struct bytes key, struct bytes value);
/* From now on index_fetch and index_ends answer this, and index_times that it waits, unless it is INDEX_OK:
 * as they should. */
void store_fake_fetch(struct store *store, enum index_result answer);
/* store_is_congested answers this. */
void store_fake_congested(struct store *store, bool congested);
/* Indexes there are; calls of store_drop_orphans; changes of catalogue and queues so far. */
size_t store_fake_indexes(const struct store *store);
size_t store_fake_settled(const struct store *store);
uint64_t store_fake_changes(const struct store *store);
/* How many messages index_read_soon was asked for since this was called; and of the last call the first and the
 * last sequence number. */
size_t store_fake_asked(struct store *store, uint64_t *first, uint64_t *last);
/* The n-th message of a queue that is not settled, taken or not, from 0; NULL: there is none. */
struct message *store_fake_peek(const struct index *index, size_t n);

#endif
