/* An ordered key-value store beside the journal: chunks of long queues and the checkpoint's image.
 * The daemon's is LevelDB (kv_leveldb.c); tests hand in one in memory that forgets what was not
 * synced. All functions but open and close may be called from helper threads. */
#ifndef LEVERET_STORE_KV_H
#define LEVERET_STORE_KV_H

#include "base/buffer.h"

struct kv;

/* Of reads: what is there is not what was written. Every other error is one of the moment (no room, no
 * descriptor, a disk that would not read): the same may succeed when it is tried again. */
enum { KV_DAMAGED = -2 };

struct kv_ops {
    /* Each returns 0 or more for success and less for an error (-1, or KV_DAMAGED), which `error` of
     * struct kv tells. */
    int (*open)(struct kv *kv);
    /* 1: found, appended to `value`; 0: there is none. */
    int (*get)(struct kv *kv, struct bytes key, struct buffer *value);
    /* Applies all of a kv_batch, whole or not at all; `sync`: it and all before it are durable
     * when this returns. */
    int (*write)(struct kv *kv, struct bytes batch, bool sync);
    /* Calls `each` for every key that begins with `prefix` and is not below `from` (which may be
     * empty), in order, until it returns false. */
    int (*scan)(struct kv *kv, struct bytes prefix, struct bytes from,
                bool (*each)(void *context, struct bytes key, struct bytes value), void *context);
    void (*close)(struct kv *kv);
};

struct kv {
    const struct kv_ops *ops;
    char error[256]; /* what the last failure was */
};

/* A batch of changes is a buffer of these, applied in order. */
void kv_batch_put(struct buffer *batch, struct bytes key, struct bytes value);
void kv_batch_delete(struct buffer *batch, struct bytes key);
/* A put whose value carries a checksum (4 bytes) over key and value behind it. */
void kv_batch_put_sealed(struct buffer *batch, struct bytes key, struct bytes value);
/* Walks a batch: false at the end; `put` tells a put from a delete. */
bool kv_batch_next(struct cursor *cursor, bool *put, struct bytes *key, struct bytes *value);

/* Takes the checksum off a sealed value; false: the value is not what was put under this key. */
bool kv_value_open(struct bytes key, struct bytes *value);
/* As kv_ops.get for a sealed value; one whose seal is broken counts as none. */
int kv_get_sealed(struct kv *kv, struct bytes key, struct buffer *value);

/* LevelDB in the folder `path`, which open creates if it is missing. Freed with kv_leveldb_free. */
struct kv *kv_leveldb_new(const char *path);
void kv_leveldb_free(struct kv *kv);
/* Makes the best of a folder that LevelDB does not open: what cannot be read is left out. */
bool kv_leveldb_repair(const char *path);

#endif
