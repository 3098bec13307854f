/* The broker's log, where that is a file of this machine. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "ctl/nodes.h"
#include "ctl/say.h"
#include "ctl/verbs.h"

enum { PIECE_BYTES = 65536, LINES_USUAL = 50, LINES_MAX = 1000000, STEP_MS = 100 };

int run_log_location(struct command *command)
{
    int code;
    struct json *node = node_read(command, "GET /nodes/{node}?columns=log_files", &code);
    const struct json *files = json_find(node, "log_files");
    for (size_t i = 0; i < json_count(files); i++)
        printf("%.*s\n", BYTES_ARG(json_text(json_item(files, i))));
    json_release(node);
    return code;
}

/* Opens the first log that is a file. -1: there is none, which was said, and *code is set. */
static int open_log(struct command *command, int *code)
{
    char path[4096] = "";
    struct json *node = node_read(command, "GET /nodes/{node}?columns=log_files", code);
    const struct json *files = json_find(node, "log_files");
    for (size_t i = 0; i < json_count(files) && !path[0]; i++) {
        struct bytes one = json_text(json_item(files, i));
        if (one.size && one.data[0] == '/' && one.size < sizeof(path))
            snprintf(path, sizeof(path), "%.*s", BYTES_ARG(one));
    }
    json_release(node);
    if (*code)
        return -1;
    int fd = -1;
    if (!path[0])
        *code = say_fail(command, EXIT_UNAVAILABLE,
                         "the log is no file: it goes to the standard error of the broker, which "
                         "'journalctl -u leveret' shows if systemd has started it");
    else if (client_process(&command->client) <= 0)
        *code = say_fail(command, EXIT_UNAVAILABLE,
                         "%s is a file of the broker's machine, and %s is no control socket of "
                         "this one",
                         path, command->client.target.name);
    else if ((fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
        *code = say_fail(command, EXIT_UNAVAILABLE, "%s: %s", path, strerror(errno));
    return fd;
}

/* Where the last lines begin. */
static off_t find_lines(int fd, long lines)
{
    static const size_t piece = PIECE_BYTES;
    off_t end = lseek(fd, 0, SEEK_END);
    char *room = mem_alloc(piece);
    bool is_last = true;
    while (end > 0) {
        off_t begin = end > (off_t)piece ? end - (off_t)piece : 0;
        ssize_t size = pread(fd, room, (size_t)(end - begin), begin);
        for (ssize_t i = size; i-- > 0; is_last = false) {
            if (room[i] != '\n' || is_last || --lines > 0)
                continue;
            mem_free(room);
            return begin + i + 1;
        }
        end = size > 0 ? begin : 0;
    }
    mem_free(room);
    return 0;
}

/* Prints what is there from `from` on; returns where that ends. */
static off_t print_from(int fd, off_t from)
{
    char room[8192];
    ssize_t size;
    while ((size = pread(fd, room, sizeof(room), from)) > 0) {
        fwrite(room, 1, (size_t)size, stdout);
        from += size;
    }
    fflush(stdout);
    return from;
}

static bool read_count(const char *text, long most, long *count)
{
    char *end;
    *count = strtol(text, &end, 10);
    return end != text && *end == '\0' && *count > 0 && *count <= most;
}

int run_log_tail(struct command *command)
{
    const char *number = command_option(command, "number");
    long lines = LINES_USUAL;
    int code;
    if (number && !read_count(number, LINES_MAX, &lines))
        return say_usage(command, "--number is a number of lines, and not '%s'", number);
    int fd = open_log(command, &code);
    if (fd < 0)
        return code;
    print_from(fd, find_lines(fd, lines));
    close(fd);
    return EXIT_GOOD;
}

/* What is written to it from now on. */
int run_log_tail_stream(struct command *command)
{
    const char *duration = command_option(command, "duration");
    const struct timespec pause = {0, STEP_MS * 1000000L};
    long seconds = 0;
    int code;
    if (duration && strcmp(duration, "infinity") != 0 && !read_count(duration, 1L << 30, &seconds))
        return say_usage(command, "--duration is a number of seconds, and not '%s'", duration);
    int fd = open_log(command, &code);
    if (fd < 0)
        return code;
    off_t at = lseek(fd, 0, SEEK_END);
    for (long step = 0; !seconds || step < seconds * 1000 / STEP_MS; step++) {
        at = print_from(fd, at);
        if (ferror(stdout))
            break;
        nanosleep(&pause, NULL);
    }
    print_from(fd, at);
    close(fd);
    return EXIT_GOOD;
}
