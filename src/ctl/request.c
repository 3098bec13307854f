#include "ctl/request.h"

#include "ctl/say.h"
#include "ctl/term.h"

/* What is done, and more than that it is. */
static int say_note_of(struct command *command, const struct reply *reply)
{
    char error[200];
    int code = say_done(command);
    struct json *document = reply->body.size ? json_parse(buffer_bytes(&reply->body), error, sizeof(error)) : NULL;
    struct bytes note = json_text(json_find(document, "note"));
    if (note.size)
        say_remark(command, note);
    json_release(document);
    return code;
}

int request_send(struct command *command, const char *request, struct buffer *body)
{
    struct reply reply;
    int code = command_call(command, request, buffer_bytes(body), &reply);
    if (code == 0)
        code = reply_is_good(&reply) ? say_note_of(command, &reply) : command_refused(command, &reply);
    buffer_free(&reply.body);
    buffer_free(body);
    return code;
}

int request_status(struct command *command, const char *request)
{
    struct reply reply;
    int code = command_call(command, request, bytes_of(NULL, 0), &reply);
    buffer_free(&reply.body);
    return code ? 0 : reply.status;
}

void request_copy(struct json_writer *writer, const char *name, const struct json *value)
{
    json_name(writer, bytes_str(name));
    term_copy(writer, value);
}

bool request_is_json(const char *text)
{
    char error[200];
    struct buffer array = {0};
    buffer_add(&array, "[", 1);
    buffer_add(&array, text, strlen(text));
    buffer_add(&array, "]", 1);
    struct json *document = json_parse(buffer_bytes(&array), error, sizeof(error));
    bool is_one = json_count(document) == 1;
    json_release(document);
    buffer_free(&array);
    return is_one;
}

int request_refuse_json(struct command *command, const char *text)
{
    if (!command_is_ours(command))
        return say_fail(command, EXIT_UNAVAILABLE, "JSON decoding error. Reason: badarg");
    return say_fail(command, EXIT_DATA, "this is no JSON: %s", text);
}
