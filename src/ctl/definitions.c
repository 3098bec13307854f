/* Definitions, to a file and from one. */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "ctl/say.h"
#include "ctl/verbs.h"

/* There are digests of passwords in it, so a new one is for its owner alone. */
static int write_file(struct command *command, const char *path, struct bytes bytes)
{
    bool is_stdout = strcmp(path, "-") == 0;
    mode_t mask = umask(077);
    FILE *file = is_stdout ? stdout : fopen(path, "w");
    umask(mask);
    if (!file)
        return say_fail(command, EXIT_UNAVAILABLE, "%s: %s", path, strerror(errno));
    bool is_good = fwrite(bytes.data, 1, bytes.size, file) == bytes.size;
    is_good = (is_stdout ? fflush(file) : fclose(file)) == 0 && is_good;
    return is_good ? EXIT_GOOD
                   : say_fail(command, EXIT_UNAVAILABLE, "%s: %s", path, strerror(errno));
}

int run_export(struct command *command)
{
    struct reply reply;
    const char *request = command_has(command, "vhost") && command_is_ours(command)
                              ? "GET /definitions/{vhost}"
                              : command->verb->request;
    int code = command_call(command, request, bytes_of(NULL, 0), &reply);
    if (code == 0 && !reply_is_good(&reply))
        code = command_refused(command, &reply);
    else if (code == 0)
        code = write_file(command, command->arguments[0], buffer_bytes(&reply.body));
    buffer_free(&reply.body);
    return code;
}

static bool read_file(const char *path, struct buffer *out)
{
    FILE *file = path && strcmp(path, "-") != 0 ? fopen(path, "r") : stdin;
    size_t size;
    if (!file)
        return false;
    while ((size = fread(buffer_room(out, 65536), 1, 65536, file)) > 0)
        buffer_added(out, size);
    bool is_good = !ferror(file);
    if (file != stdin)
        fclose(file);
    return is_good;
}

int run_import(struct command *command)
{
    struct buffer body = {0};
    struct reply reply;
    const char *path = command_argument(command, 0);
    const char *request = command_has(command, "vhost") && command_is_ours(command) ? "POST /definitions/{vhost}"
                          : command_has(command, "skip-if-unchanged") ? "POST /definitions?skip_if_unchanged=true"
                                                                      : command->verb->request;
    if (!read_file(path, &body)) {
        buffer_free(&body);
        return say_fail(command, EXIT_UNAVAILABLE, "%s: %s", path, strerror(errno));
    }
    int code = command_call(command, request, buffer_bytes(&body), &reply);
    if (code == 0 && !reply_is_good(&reply))
        code = command_refused(command, &reply);
    else if (code == 0 && reply.status)
        code = say_result(command, command_is_ours(command)
                                       ? "All of it is there."
                                       : "Successfully started definition import. This process is "
                                         "asynchronous and can take some time.");
    buffer_free(&reply.body);
    buffer_free(&body);
    return code;
}
