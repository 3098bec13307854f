/* A copy of the broker's store: asked for, and watched until it is there. Who interrupts the command
 * has the broker give it up. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ctl/command.h"
#include "ctl/exit.h"
#include "ctl/hold.h"
#include "ctl/nodes.h"
#include "ctl/say.h"
#include "ctl/verbs.h"
#include "definitions/json.h"

enum { LOOK_FIRST_MS = 5, LOOK_MAX_MS = 200, ANSWER_SECONDS = 60 };

/* The broker has a folder of its own to start from. */
static bool absolute(const char *path, char *out, size_t size)
{
    char here[PATH_MAX];
    int length = -1;
    if (path[0] == '/')
        length = snprintf(out, size, "%s", path);
    else if (getcwd(here, sizeof(here)))
        length = snprintf(out, size, "%s/%s", here, path);
    return length > 0 && (size_t)length < size;
}

static long long number(const struct json *copy, const char *name)
{
    return json_whole(json_find(copy, name));
}

static long long bytes_of_copy(const struct json *copy)
{
    return number(copy, "copied_bytes") + number(copy, "index_bytes");
}

/* ---- while it goes on ---- */

struct watch {
    bool shows; /* on a terminal */
    double ms, ms_max;
    struct hold hold;
};

static bool is_watched(const struct command *command)
{
    return isatty(STDERR_FILENO) && !command_has(command, "quiet") &&
           !command_has(command, "silent");
}

static void show(const struct watch *watch, const struct json *copy)
{
    double megabytes = (double)bytes_of_copy(copy) / 1e6;
    if (watch->shows)
        fprintf(stderr, "\r%lld of %lld files, %.1f MB copied, %.0f MB/s\033[K",
                number(copy, "segments"), number(copy, "segments_total"), megabytes,
                watch->ms > 0 ? megabytes * 1000 / watch->ms : 0);
}

/* Who gave the copy up ends by the signal that said so. */
static void let_signals(const struct watch *watch, int code)
{
    fflush(stdout);
    if (watch->hold.signal && code != 0)
        raise(watch->hold.signal);
    hold_end(&watch->hold);
}

/* Until then, or a signal. */
static void pause_ms(struct watch *watch, double ms)
{
    hold_pause(&watch->hold, ms);
    watch->ms += ms;
}

static bool goes_on(const struct json *copy)
{
    return bytes_equal_str(json_text(json_find(copy, "state")), "running");
}

/* NULL: there is no answer, and *code is what the program ends with. */
static struct json *ask(struct command *command, const char *request, struct bytes body, int *code)
{
    client_give(&command->client, ANSWER_SECONDS);
    return node_do(command, request, body, code);
}

/* Has the broker give up what it makes in this folder; how that ended. */
static struct json *give_up(struct command *command, const char *path, int *code)
{
    struct buffer request = {0};
    buffer_add(&request, "DELETE /backup?directory=", 25);
    client_add_encoded(&request, path);
    buffer_add_u8(&request, '\0');
    struct json *copy = ask(command, (const char *)request.data, bytes_of(NULL, 0), code);
    buffer_free(&request);
    return copy;
}

static bool has_time(const struct watch *watch)
{
    return !watch->hold.signal && (watch->ms_max <= 0 || watch->ms < watch->ms_max);
}

/* Looks again and again until the copy has ended, or there is no time left, or nobody wants it any
 * more. */
static struct json *await(struct command *command, struct watch *watch, const char *path,
                          struct json *copy, int *code)
{
    double step = LOOK_FIRST_MS;
    while (copy && goes_on(copy) && has_time(watch)) {
        show(watch, copy);
        json_release(copy);
        pause_ms(watch, step);
        step = step * 2 < LOOK_MAX_MS ? step * 2 : LOOK_MAX_MS;
        copy = watch->hold.signal ? give_up(command, path, code)
                                  : ask(command, "GET /backup", bytes_of(NULL, 0), code);
    }
    if (watch->shows && watch->ms > 0)
        fprintf(stderr, "\r\033[K");
    return copy;
}

/* ---- how it ended ---- */

/* A broker that was started again knows nothing of it, and another copy may have begun. */
static bool is_of(const struct json *copy, const char *path)
{
    return bytes_equal_str(json_text(json_find(copy, "directory")), path);
}

static int tell(struct command *command, const char *path, const struct json *copy)
{
    struct bytes reason = json_text(json_find(copy, "reason"));
    if (!is_of(copy, path))
        return say_fail(command, EXIT_UNAVAILABLE,
                        "the broker knows nothing of this copy any more; 'leveretctl store check "
                        "%s' tells whether it is one",
                        path);
    if (goes_on(copy))
        return say_fail(command, EXIT_TIMEOUT,
                        "the copy is not there in time; the broker goes on with it, and %s is one "
                        "when no file 'unfinished' is in it any more",
                        path);
    if (reason.size)
        return say_fail(command, EXIT_UNAVAILABLE,
                        "there is no copy, and nothing is left of it in %s: %.*s", path,
                        BYTES_ARG(reason));
    return say_result(command,
                      "%s has %lld files of the journal, %lld of them shared with the broker; %lld "
                      "bytes were copied",
                      path, number(copy, "segments"), number(copy, "linked"), bytes_of_copy(copy));
}

int run_backup(struct command *command)
{
    char path[PATH_MAX];
    struct buffer body = {0};
    const char *timeout = command_option(command, "timeout");
    struct watch watch = {.shows = is_watched(command),
                          .ms_max = timeout ? strtod(timeout, NULL) * 1000 : 0};
    int code;
    if (command->other[0])
        return say_fail(command, EXIT_UNAVAILABLE,
                        "a copy comes to be on the machine of its broker: run this on that of %s", command->other);
    if (!absolute(command->arguments[0], path, sizeof(path)))
        return say_fail(command, EXIT_DATA, "%s is too long for a path", command->arguments[0]);
    struct json_writer writer = json_writer_of(&body);
    json_open(&writer, '{');
    json_add_text(&writer, "directory", bytes_str(path));
    json_add_flag(&writer, "wait", false);
    json_close(&writer, '}');
    hold_begin(&watch.hold);
    struct json *copy = ask(command, command->verb->request, buffer_bytes(&body), &code);
    copy = await(command, &watch, path, copy, &code);
    if (copy)
        code = tell(command, path, copy);
    json_release(copy);
    buffer_free(&body);
    let_signals(&watch, code);
    return code;
}
