/* What RabbitMQ's tools ask about a cluster, and its replicas, of a broker that is alone. */
#include <stdio.h>

#include "ctl/format.h"
#include "ctl/nodes.h"
#include "ctl/say.h"
#include "ctl/verbs.h"

int run_discover_peers(struct command *command)
{
    return command_node(command) ? say_result(command, "No peers discovered") : EXIT_UNAVAILABLE;
}

/* The node leads each of its queues. There is no log of Raft, and what that has is not defined. */
static int show_member(struct command *command)
{
    static const char *const names[] = {"Node Name",      "Raft State",     "Log Index",
                                        "Commit Index",   "Snapshot Index", "Term",
                                        "Machine Version"};
    enum { NAMES = sizeof(names) / sizeof(names[0]) };
    struct buffer text = {0};
    struct json_writer writer = json_writer_of(&text);
    struct rows rows = {.count = 1, .columns.count = NAMES};
    struct row row;
    json_open(&writer, '{');
    for (int i = 0; i < NAMES; i++) {
        snprintf(rows.columns.list[i].name, COLUMN_NAME_MAX, "%s", names[i]);
        snprintf(rows.columns.list[i].path, COLUMN_NAME_MAX, "%s", names[i]);
        json_add_text(&writer, names[i],
                      bytes_str(i == 0   ? command->node
                                : i == 1 ? "leader"
                                         : "undefined"));
    }
    json_close(&writer, '}');
    row.object = buffer_bytes(&text);
    rows.list = &row;
    if (!command->has_format && !command_is_ours(command))
        command->format = FORMAT_PRETTY;
    format_rows(command, &rows);
    buffer_free(&text);
    return EXIT_GOOD;
}

int run_quorum_status(struct command *command)
{
    int code;
    if (!command_node(command))
        return EXIT_UNAVAILABLE;
    struct json *queue = node_read(command, "GET /queues/{vhost}/{1}?columns=type", &code);
    if (!queue)
        return code;
    bool is_quorum = bytes_equal_str(json_text(json_find(queue, "type")), "quorum");
    json_release(queue);
    if (!is_quorum)
        return say_fail(command, EXIT_UNAVAILABLE, "Cannot get quorum status of a classic queue");
    return show_member(command);
}
