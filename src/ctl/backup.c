/* A copy of the broker's store. */
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "ctl/command.h"
#include "ctl/exit.h"
#include "ctl/say.h"
#include "ctl/verbs.h"
#include "definitions/json.h"

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

static int tell(struct command *command, const char *path, struct bytes body)
{
    char error[200];
    struct json *copy = json_parse(body, error, sizeof(error));
    long long segments = json_whole(json_find(copy, "segments"));
    long long linked = json_whole(json_find(copy, "linked"));
    long long bytes =
        json_whole(json_find(copy, "copied_bytes")) + json_whole(json_find(copy, "index_bytes"));
    json_release(copy);
    return say_result(command,
                      "%s has %lld files of the journal, %lld of them shared with the broker; %lld "
                      "bytes were copied",
                      path, segments, linked, bytes);
}

int run_backup(struct command *command)
{
    char path[PATH_MAX];
    struct buffer body = {0};
    struct reply reply;
    if (!absolute(command->arguments[0], path, sizeof(path)))
        return say_fail(command, EXIT_DATA, "%s is too long for a path", command->arguments[0]);
    struct json_writer writer = json_writer_of(&body);
    json_open(&writer, '{');
    json_add_text(&writer, "directory", bytes_str(path));
    json_close(&writer, '}');
    int code = command_call(command, command->verb->request, buffer_bytes(&body), &reply);
    if (code == 0 && !reply_is_good(&reply))
        code = command_refused(command, &reply);
    else if (code == 0 && reply.status)
        code = tell(command, path, buffer_bytes(&reply.body));
    buffer_free(&reply.body);
    buffer_free(&body);
    return code;
}
