/* What RabbitMQ's tools ask about a cluster, and its replicas. All durable queues are on all brokers of a cluster,
 * and so most of that is there already, or cannot be. */
#include <stdio.h>

#include "ctl/format.h"
#include "ctl/nodes.h"
#include "ctl/say.h"
#include "ctl/verbs.h"

#define JOINS "a broker comes with an empty data folder, and --cluster-join; see leveret-cluster(7)"

/* ---- who is there ---- */

static struct json *read_nodes(struct command *command, int *code)
{
    return node_read(command, "GET /nodes?columns=name,running,leveret_member,leveret_agreement", code);
}

static const struct json *find_node(const struct json *nodes, const char *name)
{
    for (size_t i = 0; i < json_count(nodes); i++)
        if (bytes_equal_str(json_text(json_find(json_item(nodes, i), "name")), name))
            return json_item(nodes, i);
    return NULL;
}

/* Has it what the others have, or is it told that? A broker that is alone has. */
static bool is_member(const struct json *node)
{
    const struct json *member = json_find(node, "leveret_member");
    struct bytes role = json_text(json_find(member, "role"));
    return node && (!member || bytes_equal_str(role, "voter") || bytes_equal_str(role, "learner"));
}

static bool is_running(const struct json *node)
{
    return is_member(node) && json_flag(json_find(node, "running"));
}

int run_discover_peers(struct command *command)
{
    int code;
    struct buffer names = {0};
    struct json *nodes = read_nodes(command, &code);
    if (!nodes)
        return code;
    for (size_t i = 0; i < json_count(nodes); i++) {
        struct bytes name = json_text(json_find(json_item(nodes, i), "name"));
        buffer_add(&names, "\n", i > 0);
        buffer_add(&names, name.data, name.size);
    }
    if (node_is_clustered(nodes))
        code = say_result(command, "%.*s", BYTES_ARG(buffer_bytes(&names)));
    else
        code = say_result(command, "No peers discovered");
    buffer_free(&names);
    json_release(nodes);
    return code;
}

int run_join_cluster(struct command *command)
{
    int code;
    struct json *nodes = read_nodes(command, &code);
    if (!nodes)
        return code;
    if (node_is_clustered(nodes) && find_node(nodes, command->arguments[0]))
        code = say_result(command, "The node is already a member of this cluster");
    else
        code = say_fail(command, EXIT_UNAVAILABLE, "a broker that runs joins no other one: " JOINS);
    json_release(nodes);
    return code;
}

/* ---- members of queues ---- */

/* False: there is no such queue, or it is of another type; `code` is what to end with. */
static bool has_quorum_queue(struct command *command, const char *refusal, int *code)
{
    struct json *queue = node_read(command, "GET /queues/{vhost}/{1}?columns=type", code);
    if (!queue)
        return false;
    bool is_quorum = bytes_equal_str(json_text(json_find(queue, "type")), "quorum");
    json_release(queue);
    if (!is_quorum)
        *code = say_fail(command, EXIT_UNAVAILABLE, "%s", refusal);
    return is_quorum;
}

static int say_not_running(struct command *command, const char *node)
{
    return say_fail(command, EXIT_UNAVAILABLE,
                    "%s is no broker of this cluster that runs, and has all durable queues: " JOINS, node);
}

/* One that runs has all of them already. */
static int keep_member(struct command *command, const char *node)
{
    int code;
    struct json *nodes = read_nodes(command, &code);
    if (!nodes)
        return code;
    code = is_running(find_node(nodes, node)) ? say_done(command) : say_not_running(command, node);
    json_release(nodes);
    return code;
}

int run_add_member(struct command *command)
{
    int code;
    return has_quorum_queue(command, "Cannot add members to a classic queue", &code)
               ? keep_member(command, command->arguments[1])
               : code;
}

/* What is nowhere can go from there. */
static int drop_member(struct command *command, const char *node)
{
    int code;
    struct json *nodes = read_nodes(command, &code);
    if (!nodes)
        return code;
    if (!is_member(find_node(nodes, node)))
        code = say_done(command);
    else if (node_is_clustered(nodes))
        code = say_fail(command, EXIT_UNAVAILABLE,
                        "all durable queues are on all brokers of a cluster; forget_cluster_node has one that is down "
                        "count no more, for all of them");
    else
        code = say_fail(command, EXIT_UNAVAILABLE, "the broker is alone, and has all queues");
    json_release(nodes);
    return code;
}

int run_delete_member(struct command *command)
{
    int code;
    return has_quorum_queue(command, "Cannot delete members from a classic queue", &code)
               ? drop_member(command, command->arguments[1])
               : code;
}

int run_shrink(struct command *command)
{
    return drop_member(command, command->arguments[0]);
}

int run_grow(struct command *command)
{
    return keep_member(command, command->arguments[0]);
}

/* What is mirrored synchronises by itself. */
int run_sync_queue(struct command *command)
{
    int code;
    struct json *queue = node_read(command, "GET /queues/{vhost}/{1}?columns=name,slave_nodes,members", &code);
    if (!queue)
        return code;
    bool is_mirrored = json_find(queue, "slave_nodes") || json_count(json_find(queue, "members")) > 1;
    json_release(queue);
    return is_mirrored ? say_done(command)
                       : say_fail(command, EXIT_UNAVAILABLE,
                                  "the queue is not mirrored: the broker is alone, or the queue is not durable, and no policy (ha-mode) "
                                  "had it mirrored when it was declared");
}

/* ---- the members of a quorum queue ---- */

enum { STATUS_NAMES = 7 };

static const char *const status_names[STATUS_NAMES] = {
    "Node Name", "Raft State", "Log Index", "Commit Index", "Snapshot Index", "Term", "Machine Version"};

/* Rows of texts, one after the other in `text`. */
struct status {
    struct rows rows;
    struct row list[64];
    size_t ends[64];
    struct buffer text;
};

static void put_status(struct status *status, const char *const *values, struct bytes name)
{
    struct json_writer writer = json_writer_of(&status->text);
    if (status->rows.count == sizeof(status->list) / sizeof(status->list[0]))
        return;
    json_open(&writer, '{');
    json_add_text(&writer, status_names[0], name);
    for (int i = 1; i < STATUS_NAMES; i++)
        json_add_text(&writer, status_names[i], bytes_str(values[i - 1]));
    json_close(&writer, '}');
    status->ends[status->rows.count++] = status->text.size;
}

static void show_status(struct command *command, struct status *status)
{
    size_t at = 0;
    status->rows.columns.count = STATUS_NAMES;
    status->rows.list = status->list;
    for (int i = 0; i < STATUS_NAMES; i++) {
        snprintf(status->rows.columns.list[i].name, COLUMN_NAME_MAX, "%s", status_names[i]);
        snprintf(status->rows.columns.list[i].path, COLUMN_NAME_MAX, "%s", status_names[i]);
    }
    for (size_t i = 0; i < status->rows.count; i++) {
        status->list[i].object = bytes_of(status->text.data + at, status->ends[i] - at);
        at = status->ends[i];
    }
    if (!command->has_format && !command_is_ours(command))
        command->format = FORMAT_PRETTY;
    format_rows(command, &status->rows);
    buffer_free(&status->text);
}

/* What nobody knows here is not defined, and of who is down there is nothing. */
static void put_number(const struct json *number, char text[24])
{
    snprintf(text, 24, number ? "%lld" : "undefined", (long long)json_whole(number));
}

static void put_member(struct status *status, const struct json *node, const struct json *agreement)
{
    const struct json *member = json_find(node, "leveret_member"), *own = json_find(node, "leveret_agreement");
    bool is_up = is_running(node), leads = json_flag(json_find(member, "leads"));
    bool is_learner = bytes_equal_str(json_text(json_find(member, "role")), "learner");
    char last[24], commit[24], floor[24], term[24];
    put_number(json_find(member, "last_entry"), last);
    put_number(json_find(own, "committed"), commit);
    put_number(json_find(own, "log_begins_behind"), floor);
    put_number(json_find(agreement, "term"), term);
    const char *const known[] = {leads ? "leader" : is_learner ? "learner" : "follower", last, commit, floor, term,
                                 "undefined"};
    const char *const none[] = {"noproc", "", "", "", "", ""};
    put_status(status, is_up ? known : none, json_text(json_find(node, "name")));
}

/* A broker that is alone leads each of its queues. There is no log of Raft, and what that has is not defined. */
static void put_alone(struct status *status, const char *node)
{
    static const char *const values[] = {"leader", "undefined", "undefined", "undefined", "undefined", "undefined"};
    put_status(status, values, bytes_str(node));
}

int run_quorum_status(struct command *command)
{
    int code;
    struct status status = {.text = {0}};
    if (!command_node(command))
        return EXIT_UNAVAILABLE;
    if (!has_quorum_queue(command, "Cannot get quorum status of a classic queue", &code))
        return code;
    struct json *nodes = read_nodes(command, &code);
    if (!nodes)
        return code;
    const struct json *agreement = json_find(json_item(nodes, 0), "leveret_agreement");
    if (!node_is_clustered(nodes))
        put_alone(&status, command->node);
    for (size_t i = 0; node_is_clustered(nodes) && i < json_count(nodes); i++)
        if (is_member(json_item(nodes, i)))
            put_member(&status, json_item(nodes, i), agreement);
    json_release(nodes);
    show_status(command, &status);
    return EXIT_GOOD;
}
