/*
 * The TAP harness: counts checks and prints one line for each. Every line is flushed as it is
 * printed, so that the log is whole up to the check at which a program crashed, and a forked child
 * does not print its parent's lines again.
 */
#include "tests/lib/tap.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_BYTES 512
#define SHOWN_BYTES 16
#define SHARE_MAX 100

static int run_count;
static int failed_count;

/* A name must stay on its line, and a bare '#' in it would start a directive. */
static void print_name(const char *name, va_list args)
{
    char text[NAME_MAX_BYTES];
    vsnprintf(text, sizeof text, name, args);
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '#') {
            putchar('\\');
        }
        putchar(*c == '\n' || *c == '\r' ? ' ' : *c);
    }
}

static bool report(const char *file, int line, bool held, const char *name, va_list args)
{
    run_count++;
    printf("%s %d - ", held ? "ok" : "not ok", run_count);
    print_name(name, args);
    putchar('\n');
    if (!held) {
        failed_count++;
        printf("# failed at %s:%d\n", file, line);
    }
    fflush(stdout);
    return held;
}

bool tap_group(const char *name)
{
    const char *only = getenv("TAP_ONLY");
    if (only && strcmp(only, name) != 0)
        return false;
    tap_diag("%s", name);
    return true;
}

unsigned tap_share(void)
{
    const char *text = getenv("SHARE");
    unsigned long share = text ? strtoul(text, NULL, 10) : 1;
    return share < 1 ? 1 : share > SHARE_MAX ? SHARE_MAX : (unsigned)share;
}

bool tap_ok(const char *file, int line, bool held, const char *name, ...)
{
    va_list args;
    va_start(args, name);
    report(file, line, held, name, args);
    va_end(args);
    return held;
}

bool tap_is_int(const char *file, int line, intmax_t got, intmax_t want, const char *name, ...)
{
    va_list args;
    va_start(args, name);
    if (!report(file, line, got == want, name, args)) {
        tap_diag("   got: %jd", got);
        tap_diag("wanted: %jd", want);
    }
    va_end(args);
    return got == want;
}

static void show_string(const char *label, const char *text)
{
    if (text == NULL) {
        tap_diag("%s: NULL", label);
    } else {
        tap_diag("%s: \"%s\"", label, text);
    }
}

bool tap_is_str(const char *file, int line, const char *got, const char *want, const char *name,
                ...)
{
    bool held = got == want || (got != NULL && want != NULL && strcmp(got, want) == 0);
    va_list args;
    va_start(args, name);
    if (!report(file, line, held, name, args)) {
        show_string("   got", got);
        show_string("wanted", want);
    }
    va_end(args);
    return held;
}

static void show_bytes(const char *label, const unsigned char *bytes, size_t size, size_t from)
{
    char text[SHOWN_BYTES * 3 + 1] = "";
    size_t used = 0;
    for (size_t i = from; i < size && i - from < SHOWN_BYTES; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used, " %02x", bytes[i]);
    }
    tap_diag("%s: %zu bytes, from byte %zu on:%s%s", label, size, from, text,
             size > from && size - from > SHOWN_BYTES ? " ..." : "");
}

bool tap_is_bytes(const char *file, int line, const void *got, size_t got_size, const void *want,
                  size_t want_size, const char *name, ...)
{
    const unsigned char *left = got;
    const unsigned char *right = want;
    size_t same = 0;
    while (same < got_size && same < want_size && left[same] == right[same]) {
        same++;
    }
    bool held = same == got_size && same == want_size;
    va_list args;
    va_start(args, name);
    if (!report(file, line, held, name, args)) {
        show_bytes("   got", left, got_size, same);
        show_bytes("wanted", right, want_size, same);
    }
    va_end(args);
    return held;
}

void tap_skip(int count, const char *reason, ...)
{
    for (int i = 0; i < count; i++) {
        va_list args;
        va_start(args, reason);
        printf("ok %d # SKIP ", ++run_count);
        print_name(reason, args);
        putchar('\n');
        va_end(args);
    }
    fflush(stdout);
}

/* Text of several lines becomes several comment lines. */
void tap_diag(const char *format, ...)
{
    char text[NAME_MAX_BYTES * 4];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    char *rest = text;
    for (char *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n")) {
        printf("# %s\n", line);
    }
    fflush(stdout);
}

void tap_bail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    printf("Bail out! ");
    print_name(format, args);
    putchar('\n');
    va_end(args);
    fflush(stdout);
    exit(EXIT_FAILURE);
}

int tap_done(void)
{
    if (run_count == 0) {
        tap_bail("no check was run");
    }
    printf("1..%d\n", run_count);
    if (failed_count > 0) {
        tap_diag("%d of %d failed", failed_count, run_count);
    }
    fflush(stdout);
    return failed_count == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
