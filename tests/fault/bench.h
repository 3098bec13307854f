/* A store over a disk and a key-value store in memory, which a test leads step by step: what is done
 * to the disk is noted, and jobs of a worker that is held wait until they are told to run. */
#ifndef LEVERET_TESTS_FAULT_BENCH_H
#define LEVERET_TESTS_FAULT_BENCH_H

#include "store/internal.h"
#include "tests/lib/disk_memory.h"
#include "tests/lib/disk_observed.h"
#include "tests/lib/kv_memory.h"

enum { BENCH_QUEUES = 2 };

struct bench {
    struct disk *memory;
    struct disk_observed observed;
    struct kv *kv;
    struct worker *syncer, *indexer, *reader;
    bool is_syncer_held, is_reader_held;
    struct message_pool pool;
    struct random random;
    struct store_options options;
    struct store *store;
    struct index *queue[BENCH_QUEUES];
    uint64_t now_ms;
};

/* Sets it up; options may be changed before bench_open. */
void bench_init(struct bench *bench);
/* Opens the store; its queues are made if they are not there. */
void bench_open(struct bench *bench);
void bench_free(struct bench *bench);
/* The store is gone, and the disk forgets as `how` says. It is not opened again. */
void bench_crash(struct bench *bench, enum crash how);

/* So many turns, each so many ms later; workers that are not held do all they have. */
void bench_turns(struct bench *bench, int count, uint64_t ms);
/* Until all so far is durable, or 100 turns have gone. */
void bench_wait(struct bench *bench);

/* A durable message to the queues whose bits are set in `mask`. */
void bench_publish(struct bench *bench, unsigned mask, uint32_t size);
/* Takes the first message of a queue, however long that takes; 0: there is none. */
uint64_t bench_take(struct bench *bench, int queue, bool settle);
void bench_take_all(struct bench *bench, int queue);
/* Asks for the body of a taken message until it is there or damaged. */
enum index_result bench_fetch(struct bench *bench, int queue, uint64_t sequence);

/* Is there such a file? */
bool bench_has_file(struct bench *bench, const char *name);

/* For store_check: a line of its report is a line for the reader, with VERBOSE in the environment. */
void bench_print_line(void *context, const char *line);

/* Of a program that takes [SEED [HISTORIES]]: checks so many random histories from a seed on; by default
 * `count` from 1 on. `history` answers whether one went as it should; it adds to `met` what it met. */
void bench_histories(int argc, char **argv, uint64_t count, const char *what,
                     bool (*history)(uint64_t seed, void *met), void *met);

#endif
