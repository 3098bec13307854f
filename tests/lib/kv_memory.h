/* A key-value store in memory, for tests: it forgets what was not synced, and fails when told to. */
#ifndef LEVERET_TESTS_KV_MEMORY_H
#define LEVERET_TESTS_KV_MEMORY_H

#include "base/random.h"
#include "store/disk.h"
#include "store/kv.h"

struct kv *kv_memory_new(void);
void kv_memory_free(struct kv *kv);
/* Of the batches since the last synced one, all (`keep`), none, or (with `random`) the first few are
 * there afterwards. */
void kv_memory_crash(struct kv *kv, bool keep, struct random *random);
/* Calls so far, and the one from now on that fails; see disk_memory_fail. */
uint64_t kv_memory_calls(const struct kv *kv);
void kv_memory_fail(struct kv *kv, uint64_t at, bool forever);
/* Opening and writing fail while less than so many bytes are free on the disk. */
void kv_memory_need(struct kv *kv, struct disk *disk, uint64_t bytes);
struct kv *kv_memory_copy(struct kv *kv);
bool kv_memory_equal(struct kv *a, struct kv *b);

#endif
