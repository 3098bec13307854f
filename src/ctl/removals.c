/* What is gone when it was deleted: whoever sits at a terminal is asked first, and told how much it is. */
#include "ctl/nodes.h"
#include "ctl/say.h"
#include "ctl/verbs.h"

static long long sum_of(const struct json *list, const char *member)
{
    long long sum = 0;
    for (size_t i = 0; i < json_count(list); i++)
        sum += json_whole(json_find(json_item(list, i), member));
    return sum;
}

int run_purge_queue(struct command *command)
{
    int code;
    if (!say_asks(command))
        return run_do(command);
    struct json *queue = node_read(command, "GET /queues/{vhost}/{1}", &code);
    if (!queue)
        return code;
    long long ready = json_whole(json_find(queue, "messages_ready"));
    json_release(queue);
    bool may = say_confirm(command, "Delete the %lld messages that wait in '%s'?", ready,
                           command->arguments[0]);
    return may ? run_do(command) : EXIT_GOOD;
}

int run_delete_vhost(struct command *command)
{
    struct json *queues, *connections = NULL;
    bool may = false;
    int code;
    if (!say_asks(command))
        return run_do(command);
    queues = node_read(command, "GET /queues/{1}?columns=messages&disable_stats=true&"
                                "enable_queue_totals=true", &code);
    if (queues)
        connections = node_read(command, "GET /vhosts/{1}/connections?columns=name", &code);
    if (connections)
        may = say_confirm(command,
                          "Delete virtual host '%s', with %zu queues, %lld messages and %zu "
                          "connections?",
                          command->arguments[0], json_count(queues), sum_of(queues, "messages"),
                          json_count(connections));
    json_release(queues);
    json_release(connections);
    return may ? run_do(command) : code;
}

int run_delete_user(struct command *command)
{
    struct json *permissions, *connections = NULL;
    bool may = false;
    int code;
    if (!say_asks(command))
        return run_do(command);
    permissions = node_read(command, "GET /users/{1}/permissions", &code);
    if (permissions)
        connections = node_read(command, "GET /connections/username/{1}", &code);
    if (connections)
        may = say_confirm(command,
                          "Delete user '%s', who has permissions in %zu virtual hosts and %zu "
                          "connections?",
                          command->arguments[0], json_count(permissions), json_count(connections));
    json_release(permissions);
    json_release(connections);
    return may ? run_do(command) : code;
}
