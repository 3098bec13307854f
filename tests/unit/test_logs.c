/* Where lines of the log go: which of them to the standard error and to a file, and what becomes of a
 * file that is moved, grows, or has no room. */
#include "net/logs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/utf8.h"
#include "tests/lib/tap.h"

enum { PATIENCE_MS = 60000 };

struct bench {
    char folder[64], path[96], console[96];
    struct logs_options options;
    struct logs logs;
    int stderr_before;
};

static const char *path_of(const struct bench *bench, const char *name)
{
    static char path[256];
    snprintf(path, sizeof(path), "%s/%s", bench->folder, name);
    return path;
}

static char *text_of(const char *path)
{
    static char text[1 << 20];
    FILE *file = fopen(path, "r");
    size_t size = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
    text[size] = '\0';
    if (file)
        fclose(file);
    return text;
}

/* The standard error is a file meanwhile. */
static void begin(struct bench *bench)
{
    *bench = (struct bench){.folder = "/tmp/leveret-logs-XXXXXX"};
    if (!mkdtemp(bench->folder))
        bail("no folder");
    snprintf(bench->path, sizeof(bench->path), "%s/log", bench->folder);
    snprintf(bench->console, sizeof(bench->console), "%s/console", bench->folder);
    bench->options.file = bench->path;
    bench->stderr_before = dup(STDERR_FILENO);
    int fd = open(bench->console, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd < 0 || dup2(fd, STDERR_FILENO) < 0)
        bail("no console");
    close(fd);
}

static void start(struct bench *bench)
{
    char error[256];
    logs_init(&bench->logs, &bench->options);
    if (!logs_start(&bench->logs, &bench->options, error, sizeof(error)))
        bail("%s", error);
}

static void stop(struct bench *bench)
{
    logs_stop(&bench->logs, PATIENCE_MS);
    logs_free(&bench->logs);
    dup2(bench->stderr_before, STDERR_FILENO);
    close(bench->stderr_before);
}

static void clean(struct bench *bench)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -r %s", bench->folder);
    if (system(command) != 0)
        diag("%s is still there", bench->folder);
}

static void say(const struct bench *bench, enum event event, int number)
{
    log_event(&bench->logs.log, event, "number=%d", number);
}

/* Waits until a file has a text. */
static bool comes(const char *path, const char *text)
{
    for (int i = 0; i < 30000; i++) {
        if (strstr(text_of(path), text))
            return true;
        usleep(1000);
    }
    return false;
}

static bool appears(const char *path)
{
    for (int i = 0; access(path, F_OK) != 0 && i < 30000; i++)
        usleep(1000);
    return access(path, F_OK) == 0;
}

static unsigned count(const char *path, const char *text)
{
    unsigned found = 0;
    for (const char *at = text_of(path); (at = strstr(at, text)); at++)
        found++;
    return found;
}

/* Which of the levels come out where, by what is said of a category and of the outlet: a digit for
 * each combination is the least level that does. */
TEST(levels)
{
    static const struct log_choice choices[] = {
        {false, 0}, {true, LOG_LEVEL_DEBUG}, {true, LOG_LEVEL_ERROR}, {true, LOG_LEVEL_NONE}};
    static const enum event events[] = {EVENT_frame_sent, EVENT_connection_opened,
                                        EVENT_channel_error};
    static const char *const wanted[] = {"IDEN", "DDEN", "EEEN", "NNNN"};
    for (int category = 0; category < 4; category++) {
        for (int outlet = 0; outlet < 4; outlet++) {
            struct bench bench;
            begin(&bench);
            bench.options.categories[LOG_CATEGORY_CHANNEL] = choices[category];
            bench.options.outlets[LOGS_FILE] = choices[outlet];
            start(&bench);
            for (int i = 0; i < 3; i++)
                say(&bench, events[i], i);
            bool debug = logs_take(&bench.logs, LOG_CATEGORY_CHANNEL, LOG_LEVEL_DEBUG);
            stop(&bench);
            char least = wanted[category][outlet];
            is_int(count(bench.path, " frame_sent "), least == 'D', "debug, %d and %d", category,
                   outlet);
            is_int(count(bench.path, " channel_error "), least == 'D' || least == 'I',
                   "warning, %d and %d", category, outlet);
            is_int(debug, least == 'D' || category == 1, "and whether somebody takes it");
            clean(&bench);
        }
    }
}

TEST(two_outlets)
{
    struct bench bench;
    begin(&bench);
    bench.options.categories[LOG_CATEGORY_DEFAULT] = (struct log_choice){true, LOG_LEVEL_WARNING};
    bench.options.categories[LOG_CATEGORY_CONNECTION] = (struct log_choice){true, LOG_LEVEL_INFO};
    bench.options.is_json[LOGS_FILE] = true;
    start(&bench);
    say(&bench, EVENT_started, 1);
    say(&bench, EVENT_connection_opened, 2);
    say(&bench, EVENT_alarm_set, 3);
    is_int(bench.logs.log.level, LOG_LEVEL_INFO, "what nobody takes is not made");
    logs_set_level(&bench.logs, LOG_LEVEL_DEBUG);
    say(&bench, EVENT_frame_sent, 4);
    bench.options.is_json[LOGS_FILE] = false;
    bench.options.is_json[LOGS_CONSOLE] = true;
    logs_set_options(&bench.logs, &bench.options);
    say(&bench, EVENT_frame_sent, 5);
    say(&bench, EVENT_alarm_set, 6);
    stop(&bench);
    is_int(count(bench.console, "\n"), 4, "lines at the standard error");
    is_int(count(bench.path, "\n"), 4, "and in the file");
    ok(strstr(text_of(bench.console), "Z info connection_opened number=2\n") &&
           strstr(text_of(bench.console), "\"msg\":\"alarm_set\",\"number\":6}\n"),
       "in the style of the one");
    ok(strstr(text_of(bench.path), "\"msg\":\"connection_opened\",\"number\":2}\n") &&
           strstr(text_of(bench.path), "Z warning alarm_set number=6\n"),
       "and of the other: %s", text_of(bench.path));
    struct stat info;
    ok(stat(bench.path, &info) == 0 && (info.st_mode & 0137) == 0, "others cannot read it");
    clean(&bench);
}

TEST(moved)
{
    struct bench bench;
    begin(&bench);
    bench.options.no_console = true;
    start(&bench);
    say(&bench, EVENT_started, 1);
    ok(comes(bench.path, "number=1\n"), "written");
    char away[256];
    snprintf(away, sizeof(away), "%s", path_of(&bench, "away"));
    rename(bench.path, away);
    say(&bench, EVENT_started, 2);
    ok(comes(away, "number=2\n"), "who moves it has what comes");
    logs_reopen(&bench.logs);
    ok(appears(bench.path), "until it is opened again");
    say(&bench, EVENT_started, 3);
    ok(comes(bench.path, "number=3\n"), "and from then on it is another one");
    stop(&bench);
    is_int(count(away, "\n"), 2, "lines of the first");
    is_str(text_of(bench.console), "", "nothing went to the standard error");
    clean(&bench);
}

TEST(rotated)
{
    struct bench bench;
    begin(&bench);
    bench.options.bytes_max = 1000;
    bench.options.moved_max = 2;
    start(&bench);
    char wanted[32];
    for (int i = 0; i < 100; i++) {
        say(&bench, EVENT_started, i);
        snprintf(wanted, sizeof(wanted), "number=%d\n", i);
        if (!comes(bench.path, wanted))
            bail("%s is missing", wanted);
    }
    stop(&bench);
    char *names[] = {"log", "log.0", "log.1"};
    unsigned lines = 0;
    for (int i = 0; i < 3; i++) {
        struct stat info;
        ok(stat(path_of(&bench, names[i]), &info) == 0 && info.st_size <= 1000 && info.st_size > 0,
           "%s has a size", names[i]);
        lines += count(path_of(&bench, names[i]), "\n");
    }
    ok(access(path_of(&bench, "log.2"), F_OK) != 0, "no more than that are kept");
    ok(lines > 40 && lines < 100, "%u lines", lines);
    ok(strstr(text_of(bench.path), "number=99\n"), "the last of them where it was");
    clean(&bench);
}

/* A disk that is full: nobody waits, and what is missing is counted. */
TEST(full)
{
    struct bench bench;
    begin(&bench);
    if (symlink("/dev/full", bench.path) < 0 || access("/dev/full", W_OK) != 0) {
        skip(6, "there is no /dev/full");
        return;
    }
    start(&bench);
    for (int i = 0; i < 10; i++)
        say(&bench, EVENT_started, i);
    ok(comes(bench.console, " log_file_failed file="), "it is told");
    ok(strstr(text_of(bench.console), strerror(ENOSPC)), "with the reason");
    unlink(bench.path);
    logs_reopen(&bench.logs);
    ok(appears(bench.path), "it is made again");
    say(&bench, EVENT_started, 10);
    ok(comes(bench.path, "number=10\n"), "it goes on when there is room");
    stop(&bench);
    unsigned dropped = 0;
    const char *at = strstr(text_of(bench.path), " log_dropped lines=");
    ok(at && sscanf(at, " log_dropped lines=%u", &dropped) == 1 && dropped >= 10,
       "%u lines are missing, it says", dropped);
    is_int(count(bench.console, "log_file_failed"), 1, "told once");
    clean(&bench);
}

TEST(refused)
{
    struct bench bench;
    char error[256];
    begin(&bench);
    bench.options.file = path_of(&bench, "missing/log");
    logs_init(&bench.logs, &bench.options);
    ok(!logs_start(&bench.logs, &bench.options, error, sizeof(error)), "no folder");
    ok(strstr(error, "missing/log: No such file or directory; log.dir"), "it said %s", error);
    say(&bench, EVENT_started, 1);
    stop(&bench);
    ok(strstr(text_of(bench.console), "number=1\n"), "lines go where they went before");
    clean(&bench);
}

static void count_wake(void *context)
{
    ++*(int *)context;
}

/* Takes all lines out; how many there were, and how many were missing before them. */
static int take_out(struct log_tail *tail, uint64_t *dropped, struct log_tail_line *line)
{
    int taken = 0;
    for (*dropped = 0; log_tail_next(tail, line); taken++)
        *dropped += line->dropped;
    return taken;
}

TEST(a_tail_for_the_owner)
{
    struct bench bench;
    struct log_tail tail;
    static struct log_tail_line line;
    uint64_t dropped;
    int wakes = 0;
    begin(&bench);
    log_tail_init(&tail, count_wake, &wakes);
    start(&bench);
    say(&bench, EVENT_started, 1);
    ok(log_tail_is_empty(&tail), "nothing comes before it is set");
    logs_set_tail(&bench.logs, &tail, &bench.options);
    say(&bench, EVENT_alarm_set, 2);
    say(&bench, EVENT_frame_sent, 3);
    say(&bench, EVENT_started, 4);
    is_int(wakes, 1, "the first line wakes its owner");
    ok(log_tail_next(&tail, &line) && line.level == LOG_LEVEL_WARNING && !line.is_json, "a line");
    ok(line.size > 24 && memcmp(line.text + 24, " warning alarm_set number=2\n", line.size - 24) == 0,
       "it is the whole line: %.*s", (int)line.size, line.text);
    ok(log_tail_next(&tail, &line) && line.level == LOG_LEVEL_INFO, "the next one");
    ok(!log_tail_next(&tail, &line), "there are no more");
    bench.options.outlets[LOGS_EXCHANGE] = (struct log_choice){true, LOG_LEVEL_DEBUG};
    bench.options.is_json[LOGS_EXCHANGE] = true;
    logs_set_options(&bench.logs, &bench.options);
    say(&bench, EVENT_frame_sent, 5);
    say(&bench, EVENT_queue_expired, 6);
    ok(log_tail_next(&tail, &line) && line.is_json && strstr(line.text, "\"queue_expired\""),
       "what frames say is left out");
    enum { MANY = 20000 };
    for (int i = 0; i < MANY; i++)
        say(&bench, EVENT_alarm_set, i);
    int taken = take_out(&tail, &dropped, &line);
    ok(taken > 1000 && taken < MANY, "as many as there is room for: %d", taken);
    say(&bench, EVENT_alarm_set, 7);
    is_int(take_out(&tail, &dropped, &line), 1, "then there is room again");
    is_int((int)dropped, MANY - taken, "and those that found none are counted");
    log_tail_stop(&tail);
    wakes = 0;
    say(&bench, EVENT_alarm_set, 8);
    ok(wakes == 0 && log_tail_is_empty(&tail), "after its end nothing comes");
    stop(&bench);
    log_tail_free(&tail);
    clean(&bench);
}

int main(void)
{
    unsetenv("JOURNAL_STREAM");
    alarm(120);
    RUN(levels);
    RUN(two_outlets);
    RUN(a_tail_for_the_owner);
    RUN(moved);
    RUN(rotated);
    RUN(full);
    RUN(refused);
    return done();
}
