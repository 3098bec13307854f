/* What is done in folders that no broker uses. leveretd has all that it takes, and this program becomes
 * that one: with the store and its libraries in it a probe would need twice the memory, and longer. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ctl/command.h"
#include "ctl/exit.h"
#include "ctl/say.h"
#include "ctl/verbs.h"

#define DAEMON "leveretd"

enum { WORDS_MAX = 12 };

struct call_of_daemon {
    const char *words[WORDS_MAX + 1]; /* the first is the program's name */
    size_t count;
};

static void add(struct call_of_daemon *call, const char *name, const char *value)
{
    call->words[call->count++] = name;
    if (value)
        call->words[call->count++] = value;
}

/* It is installed beside this program. */
static bool find_daemon(char *path, size_t size)
{
    ssize_t length = readlink("/proc/self/exe", path, size - 1);
    if (length <= 0)
        return false;
    path[length] = '\0';
    char *slash = strrchr(path, '/');
    size_t used = slash ? (size_t)(slash + 1 - path) : 0;
    int more = snprintf(path + used, size - used, "%s", DAEMON);
    return more > 0 && (size_t)more < size - used && access(path, X_OK) == 0;
}

static int show(const struct call_of_daemon *call)
{
    for (size_t i = 0; i < call->count; i++)
        printf("%s%s", i ? " " : "", call->words[i]);
    printf("\n");
    return EXIT_GOOD;
}

/* Does not return, but for an error. */
static int become_daemon(struct command *command, struct call_of_daemon *call)
{
    char path[PATH_MAX];
    if (command_has(command, "dry-run"))
        return show(call);
    if (!find_daemon(path, sizeof(path)))
        snprintf(path, sizeof(path), "%s", DAEMON); /* where the shell would find it */
    fflush(stdout);
    execvp(path, (char *const *)call->words);
    return say_fail(command, EXIT_UNAVAILABLE,
                    "%s, which does this, cannot be started: %s; it has to be beside this program, "
                    "or in PATH",
                    path, strerror(errno));
}

static struct call_of_daemon begin(void)
{
    return (struct call_of_daemon){.words = {DAEMON}, .count = 1};
}

int run_restore(struct command *command)
{
    struct call_of_daemon call = begin();
    add(&call, "--restore", command->arguments[0]);
    add(&call, "--data-dir", command->arguments[1]);
    return become_daemon(command, &call);
}

int run_store_check(struct command *command)
{
    struct call_of_daemon call = begin();
    add(&call, "--check-store", command->arguments[0]);
    return become_daemon(command, &call);
}

int run_store_dump(struct command *command)
{
    struct call_of_daemon call = begin();
    const char *vhost = command_option(command, "vhost");
    const char *queue = command_option(command, "queue");
    bool is_lines = !command->has_format || command->format == FORMAT_JSON_LINES;
    if (!is_lines && command->format != FORMAT_JSON)
        return say_usage(command, "what is in a store is shown as jsonl, or as json");
    add(&call, "--dump-store", command->arguments[0]);
    if (vhost)
        add(&call, "--dump-vhost", vhost);
    if (queue)
        add(&call, "--dump-queue", queue);
    if (!is_lines)
        add(&call, "--dump-document", NULL);
    return become_daemon(command, &call);
}

int run_store_salvage(struct command *command)
{
    struct call_of_daemon call = begin();
    const char *to = command_argument(command, 1);
    if (to)
        add(&call, "--salvage-from", command->arguments[0]);
    else
        add(&call, "--salvage", NULL);
    add(&call, "--data-dir", to ? to : command->arguments[0]);
    return become_daemon(command, &call);
}
