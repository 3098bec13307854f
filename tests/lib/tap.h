/*
 * A small harness for test programs that speak TAP, the Test Anything Protocol: one line per check
 * on standard output, the plan last. Link with tests/lib/tap.c.
 *
 *     #include "tests/lib/tap.h"
 *
 *     TEST(empty_ring_has_no_front)
 *     {
 *         struct ring ring = {0};
 *         ok(ring_front(&ring) == NULL, "no front");
 *         is_int(ring_size(&ring), 0, "size of %s ring", "an empty");
 *     }
 *
 *     int main(void)
 *     {
 *         RUN(empty_ring_has_no_front);
 *         return done();
 *     }
 *
 * A TEST that no RUN names is an unused function, which the compiler reports. Every check takes a
 * printf format and its arguments as its name, and returns whether it held, so that a test can stop
 * early: `if (!ok(q != NULL, "declared")) return;`. A check that does not hold prints its file and
 * line, and what it got and wanted; the program goes on.
 *
 * With TAP_ONLY=empty_ring_has_no_front in the environment, a program runs only that TEST. With SHARE=3
 * one that is long tries a third of what it could, evenly chosen: for a second build, of which the first
 * has tried all.
 */
#ifndef LEVERET_TESTS_LIB_TAP_H
#define LEVERET_TESTS_LIB_TAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEST(name) static void test_##name(void)
#define RUN(name) (tap_group(#name) ? test_##name() : (void)0)

/* The condition holds. */
#define ok(condition, ...) tap_ok(__FILE__, __LINE__, (condition), __VA_ARGS__)

/* Two integers of any type (up to 64 bits) are equal. */
#define is_int(got, want, ...) \
    tap_is_int(__FILE__, __LINE__, (intmax_t)(got), (intmax_t)(want), __VA_ARGS__)

/* Two strings are equal; NULL equals only NULL. */
#define is_str(got, want, ...) tap_is_str(__FILE__, __LINE__, (got), (want), __VA_ARGS__)

/* Two runs of bytes are equal; a difference is shown in hexadecimal from where it begins. */
#define is_bytes(got, got_size, want, want_size, ...) \
    tap_is_bytes(__FILE__, __LINE__, (got), (got_size), (want), (want_size), __VA_ARGS__)

/* Counts `count` checks as skipped, with the reason as a printf format and its arguments. */
#define skip(count, ...) tap_skip((count), __VA_ARGS__)

/* A line for the reader of the log. */
#define diag(...) tap_diag(__VA_ARGS__)

/* Nothing more can be tested: says why and ends the program at once. */
#define bail(...) tap_bail(__VA_ARGS__)

/* Prints the plan; returns the exit status for main: 0 when every check held and there was one. */
#define done() tap_done()

/* One of how many is to be tried, 1 or more: SHARE in the environment. */
#define share() tap_share()

bool tap_group(const char *name);
unsigned tap_share(void);
bool tap_ok(const char *file, int line, bool held, const char *name, ...)
    __attribute__((format(printf, 4, 5)));
bool tap_is_int(const char *file, int line, intmax_t got, intmax_t want, const char *name, ...)
    __attribute__((format(printf, 5, 6)));
bool tap_is_str(const char *file, int line, const char *got, const char *want, const char *name,
                ...) __attribute__((format(printf, 5, 6)));
bool tap_is_bytes(const char *file, int line, const void *got, size_t got_size, const void *want,
                  size_t want_size, const char *name, ...) __attribute__((format(printf, 7, 8)));
void tap_skip(int count, const char *reason, ...) __attribute__((format(printf, 2, 3)));
void tap_diag(const char *format, ...) __attribute__((format(printf, 1, 2)));
void tap_bail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
int tap_done(void);

#endif
