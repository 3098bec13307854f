/*
 * What a fuzz target defines: libFuzzer, or replay_main.c in its place, calls it with one input.
 * Returns 0; a finding is a crash, a sanitizer's report or a failed assert.
 */
#ifndef LEVERET_TESTS_FUZZ_FUZZ_H
#define LEVERET_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
