/* How the broker is: its version, memory, disk, listeners and alarms, for people to read. */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "ctl/nodes.h"
#include "ctl/request.h"
#include "ctl/say.h"
#include "ctl/term.h"
#include "ctl/verbs.h"

/* What status is made of; NULL: the broker did not tell. */
struct picture {
    struct json *overview, *node, *alarms;
    struct json *shared; /* what all brokers of a cluster have; why not, while none leads */
    struct json *share, *bytes; /* settings of how much memory there may be: either has a value */
};

static bool look(struct command *command, struct picture *picture, int *code)
{
    *picture = (struct picture){0};
    if (!command_node(command)) {
        *code = EXIT_UNAVAILABLE;
        return false;
    }
    picture->overview = node_read(
        command, "GET /overview?columns=node,listeners,product_name,product_version,rabbitmq_version", code);
    if (picture->overview)
        picture->shared = node_read_any(command, "GET /overview?columns=cluster_name,object_totals", code);
    if (picture->shared)
        picture->node = node_read(command, "GET /nodes/{node}?memory=true", code);
    if (picture->node)
        picture->alarms = node_read_any(command, "GET /health/checks/alarms", code);
    if (picture->alarms)
        picture->share = node_read_permitted(
            command, "GET /configuration/vm_memory_high_watermark.relative", code);
    if (picture->share)
        picture->bytes = node_read_permitted(
            command, "GET /configuration/vm_memory_high_watermark.absolute", code);
    return picture->bytes != NULL;
}

static void release(struct picture *picture)
{
    json_release(picture->overview);
    json_release(picture->shared);
    json_release(picture->node);
    json_release(picture->alarms);
    json_release(picture->share);
    json_release(picture->bytes);
}

static long long whole(const struct json *object, const char *name)
{
    return json_whole(json_find(object, name));
}

static struct bytes text(const struct json *object, const char *name)
{
    return json_text(json_find(object, name));
}

/* Gigabytes, unless another unit is asked for. */
static void print_size(const struct command *command, const char *title, long long bytes,
                       const char *end)
{
    const char *unit = command_option(command, "unit");
    if (unit && (strcasecmp(unit, "bytes") == 0 || strcasecmp(unit, "b") == 0))
        printf("%s: %lld bytes%s", title, bytes, end);
    else if (unit && strcasecmp(unit, "mb") == 0)
        printf("%s: %.4g mb%s", title, (double)bytes / 1e6, end);
    else
        printf("%s: %.4g gb%s", title, (double)bytes / 1e9, end);
}

static bool is_drained(const struct picture *picture)
{
    return json_flag(json_find(picture->node, "being_drained"));
}

static const char *maintenance_of(const struct picture *picture)
{
    return is_drained(picture) ? "marked for maintenance" : "not under maintenance";
}

static void print_runtime(const struct picture *picture)
{
    printf("OS PID: %.*s\n", BYTES_ARG(text(picture->node, "os_pid")));
    printf("OS: Linux\n");
    printf("Uptime (seconds): %lld\n", whole(picture->node, "uptime") / 1000);
    printf("Is under maintenance?: %s\n", is_drained(picture) ? "true" : "false");
    printf("RabbitMQ version: %.*s\n", BYTES_ARG(text(picture->overview, "rabbitmq_version")));
    printf("%.*s version: %.*s\n", BYTES_ARG(text(picture->overview, "product_name")),
           BYTES_ARG(text(picture->overview, "product_version")));
    printf("Node name: %.*s\n\n", BYTES_ARG(text(picture->overview, "node")));
}

static void print_files(const struct json *files)
{
    for (size_t i = 0; i < json_count(files); i++)
        printf(" * %.*s\n", BYTES_ARG(json_text(json_item(files, i))));
    printf(json_count(files) ? "\n" : "(none)\n\n");
}

static void print_alarms(const struct picture *picture)
{
    struct buffer lines = {0};
    node_alarm_lines(json_find(picture->alarms, "alarms"), &lines);
    printf("%.*s\n\n", BYTES_ARG(lines.size ? buffer_bytes(&lines) : bytes_str("(none)")));
    buffer_free(&lines);
}

/* ---- memory ---- */

struct share {
    struct bytes name;
    long long bytes;
};

enum { SHARES_MAX = 64 };

static int compare_shares(const void *one, const void *other)
{
    long long a = ((const struct share *)one)->bytes, b = ((const struct share *)other)->bytes;
    return (a < b) - (a > b);
}

/* With at most so many places behind the point, of which one is always there. */
static void print_rounded(double number, int places)
{
    char text[64];
    int size = snprintf(text, sizeof(text), "%.*f", places, number);
    while (size > 2 && text[size - 1] == '0' && text[size - 2] != '.')
        size--;
    printf("%.*s", size, text);
}

/* The parts of what the process has, the largest first, with their hundredths. */
static void print_shares(const struct command *command, const struct json *memory,
                         const char *before_percent)
{
    struct share shares[SHARES_MAX];
    struct json_walk walk = json_walk_of(memory);
    struct bytes name;
    const struct json *value;
    const char *unit = command_option(command, "unit");
    bool is_bytes = unit && (strcasecmp(unit, "bytes") == 0 || strcasecmp(unit, "b") == 0);
    bool is_mb = unit && strcasecmp(unit, "mb") == 0;
    double all = (double)json_whole(json_find(json_find(memory, "total"), "rss"));
    size_t count = 0;
    while (json_next(&walk, &name, &value))
        if (json_kind_of(value) == JSON_IS_WHOLE && count < SHARES_MAX)
            shares[count++] = (struct share){name, json_whole(value)};
    qsort(shares, count, sizeof(*shares), compare_shares);
    for (size_t i = 0; i < count; i++) {
        printf("%.*s: ", BYTES_ARG(shares[i].name));
        if (is_bytes)
            printf("%lld bytes", shares[i].bytes);
        else
            print_rounded((double)shares[i].bytes / (is_mb ? 1e6 : 1e9), 4);
        printf("%s (", is_bytes ? "" : is_mb ? " mb" : " gb");
        print_rounded(all > 0 ? (double)shares[i].bytes * 100 / all : 0, 2);
        printf("%s%%)\n", before_percent);
    }
}

/* What was set, where that may be seen, and what it comes to. */
static void print_watermark(const struct command *command, const struct picture *picture)
{
    struct bytes share = text(picture->share, "value"), bytes = text(picture->bytes, "value");
    char number[32];
    snprintf(number, sizeof(number), "%.*s", BYTES_ARG(bytes));
    if (share.size)
        printf("Memory high watermark setting: %.*s of available memory", BYTES_ARG(share));
    else if (bytes.size)
        print_size(command, "Memory high watermark setting", strtoll(number, NULL, 10), "");
    print_size(command, share.size || bytes.size ? ", computed to" : "Memory high watermark",
               whole(picture->node, "mem_limit"), "\n\n");
}

static void print_resources(const struct command *command, const struct picture *picture)
{
    const struct json *node = picture->node;
    say_heading(command, "Memory");
    print_size(command, "Total memory used", whole(node, "mem_used"), "\n");
    printf("Calculation strategy: rss\n");
    print_watermark(command, picture);
    print_shares(command, json_find(node, "memory"), " ");
    printf("\n");
    say_heading(command, "File Descriptors");
    printf("Total: %lld, limit: %lld\n", whole(node, "fd_used"), whole(node, "fd_total"));
    printf("Sockets: %lld, limit: %lld\n\n", whole(node, "sockets_used"),
           whole(node, "sockets_total"));
    say_heading(command, "Free Disk Space");
    print_size(command, "Low free disk space watermark", whole(node, "disk_free_limit"), "\n");
    print_size(command, "Free disk space", whole(node, "disk_free"), "\n\n");
}

static void print_totals(const struct picture *picture, const struct json *vhosts)
{
    const struct json *totals = json_find(picture->shared, "object_totals");
    if (totals)
        printf("Connection count: %lld\nQueue count: %lld\nVirtual host count: %zu\n\n",
               whole(totals, "connections"), whole(totals, "queues"), json_count(vhosts));
    else
        printf("(%.*s)\n\n", BYTES_ARG(text(picture->shared, "reason")));
}

static void print_status(const struct command *command, const struct picture *picture, const struct json *vhosts)
{
    say_heading(command, "Runtime");
    print_runtime(picture);
    say_heading(command, "Data directory");
    printf("Node data directory: %.*s\n\n", BYTES_ARG(text(picture->node, "db_dir")));
    say_heading(command, "Config files");
    print_files(json_find(picture->node, "config_files"));
    say_heading(command, "Log file(s)");
    print_files(json_find(picture->node, "log_files"));
    say_heading(command, "Alarms");
    print_alarms(picture);
    print_resources(command, picture);
    say_heading(command, "Totals");
    print_totals(picture, vhosts);
    say_heading(command, "Listeners");
    node_print_listeners(picture->overview, "I");
}

static void put_alarms(struct json_writer *writer, const struct picture *picture)
{
    const struct json *alarms = json_find(picture->alarms, "alarms");
    json_add_open(writer, "alarms", '[');
    for (size_t i = 0; i < json_count(alarms); i++)
        term_copy(writer, json_item(alarms, i));
    json_close(writer, ']');
}

static void put_watermark(const struct picture *picture, struct json_writer *writer)
{
    struct bytes share = text(picture->share, "value"), bytes = text(picture->bytes, "value");
    char number[32];
    if (!share.size && !bytes.size)
        return;
    snprintf(number, sizeof(number), "%.*s", BYTES_ARG(share.size ? share : bytes));
    json_add_open(writer, "vm_memory_high_watermark_setting", '{');
    json_name(writer, bytes_str(share.size ? "relative" : "absolute"));
    if (share.size)
        json_put_fraction(writer, strtod(number, NULL));
    else
        json_put_whole(writer, strtoll(number, NULL, 10));
    json_close(writer, '}');
}

static void put_status(const struct picture *picture, const struct json *vhosts, struct json_writer *writer)
{
    const struct json *node = picture->node, *overview = picture->overview;
    const struct json *totals = json_find(picture->shared, "object_totals");
    char pid[32];
    snprintf(pid, sizeof(pid), "%.*s", BYTES_ARG(text(node, "os_pid")));
    request_copy(writer, "active_plugins", json_find(node, "enabled_plugins"));
    put_alarms(writer, picture);
    request_copy(writer, "config_files", json_find(node, "config_files"));
    request_copy(writer, "data_directory", json_find(node, "db_dir"));
    request_copy(writer, "disk_free", json_find(node, "disk_free"));
    request_copy(writer, "disk_free_limit", json_find(node, "disk_free_limit"));
    json_add_open(writer, "file_descriptors", '{');
    request_copy(writer, "sockets_limit", json_find(node, "sockets_total"));
    request_copy(writer, "sockets_used", json_find(node, "sockets_used"));
    request_copy(writer, "total_limit", json_find(node, "fd_total"));
    request_copy(writer, "total_used", json_find(node, "fd_used"));
    json_close(writer, '}');
    json_add_flag(writer, "is_under_maintenance", is_drained(picture));
    json_add_open(writer, "listeners", '[');
    node_put_listeners(writer, overview);
    json_close(writer, ']');
    request_copy(writer, "log_files", json_find(node, "log_files"));
    request_copy(writer, "memory", json_find(node, "memory"));
    json_add_text(writer, "os", bytes_str("Linux"));
    json_add_whole(writer, "pid", strtoll(pid, NULL, 10));
    request_copy(writer, "product_name", json_find(overview, "product_name"));
    request_copy(writer, "product_version", json_find(overview, "product_version"));
    request_copy(writer, "rabbitmq_version", json_find(overview, "rabbitmq_version"));
    json_add_open(writer, "totals", '{');
    if (totals)
        json_add_whole(writer, "virtual_host_count", (int64_t)json_count(vhosts));
    request_copy(writer, "connection_count", json_find(totals, "connections"));
    request_copy(writer, "queue_count", json_find(totals, "queues"));
    json_close(writer, '}');
    json_add_text(writer, "release_series_support_status", bytes_str("supported"));
    json_add_whole(writer, "uptime", whole(node, "uptime") / 1000);
    json_add_text(writer, "vm_memory_calculation_strategy", bytes_str("rss"));
    request_copy(writer, "vm_memory_high_watermark_limit", json_find(node, "mem_limit"));
    put_watermark(picture, writer);
}

static bool wants_json(const struct command *command)
{
    return command->format == FORMAT_JSON || command->format == FORMAT_JSON_LINES;
}

int run_status(struct command *command)
{
    struct picture picture;
    struct buffer out = {0};
    int code;
    bool is_seen = look(command, &picture, &code);
    struct json *vhosts = is_seen ? node_read_any(command, "GET /vhosts?columns=name", &code) : NULL;
    if (vhosts && wants_json(command)) {
        struct json_writer writer = json_writer_of(&out);
        json_open(&writer, '{');
        put_status(&picture, vhosts, &writer);
        json_close(&writer, '}');
        printf("%.*s\n", BYTES_ARG(buffer_bytes(&out)));
    } else if (vhosts) {
        print_status(command, &picture, vhosts);
    }
    if (vhosts)
        code = EXIT_GOOD;
    buffer_free(&out);
    json_release(vhosts);
    release(&picture);
    return code;
}

int run_memory(struct command *command)
{
    int code;
    struct json *node = node_read(command, "GET /nodes/{node}?memory=true", &code);
    if (!node)
        return code;
    print_shares(command, json_find(node, "memory"), "");
    json_release(node);
    return EXIT_GOOD;
}

/* ---- the cluster ---- */

static bool is_running(const struct json *node)
{
    return json_flag(json_find(node, "running"));
}

static void print_nodes(const struct json *nodes, bool running_ones)
{
    for (size_t i = 0; i < json_count(nodes); i++)
        if (!running_ones || is_running(json_item(nodes, i)))
            printf("%.*s\n", BYTES_ARG(text(json_item(nodes, i), "name")));
    printf("\n");
}

/* "voter, leads, 0 entries behind" */
static void print_member(const struct json *node)
{
    const struct json *member = json_find(node, "leveret_member"), *behind = json_find(member, "entries_behind");
    printf("Node: %.*s, number: %lld, role: %.*s", BYTES_ARG(text(node, "name")), whole(member, "number"),
           BYTES_ARG(text(member, "role")));
    if (json_flag(json_find(member, "leads")))
        printf(", leads");
    if (!is_running(node))
        printf(", not connected");
    if (behind)
        printf(", entries behind: %lld", (long long)json_whole(behind));
    if (json_flag(json_find(member, "lacks_entries")))
        printf(", gets a copy of the store");
    printf("\n");
}

/* Of a broker that is alone there is nothing to be said. */
static void print_members(const struct command *command, const struct json *nodes)
{
    if (!node_is_clustered(nodes))
        return;
    say_heading(command, "Members");
    for (size_t i = 0; i < json_count(nodes); i++)
        print_member(json_item(nodes, i));
    printf("\n");
}

static void print_cluster(const struct command *command, const struct picture *picture,
                          const struct json *flags, const struct json *nodes)
{
    const char *node = command->node;
    char begin[600];
    say_heading(command, "Basics");
    printf("Cluster name: %.*s\n\n", BYTES_ARG(text(picture->shared, "cluster_name")));
    say_heading(command, "Disk Nodes");
    print_nodes(nodes, false);
    say_heading(command, "Running Nodes");
    print_nodes(nodes, true);
    print_members(command, nodes);
    say_heading(command, "Versions");
    printf("%s: %.*s %.*s, RabbitMQ %.*s\n\n", node,
           BYTES_ARG(text(picture->overview, "product_name")),
           BYTES_ARG(text(picture->overview, "product_version")),
           BYTES_ARG(text(picture->overview, "rabbitmq_version")));
    say_heading(command, "Maintenance status");
    printf("Node: %s, status: %s\n\n", node, maintenance_of(picture));
    say_heading(command, "Alarms");
    print_alarms(picture);
    say_heading(command, "Network Partitions");
    printf("(none)\n\n");
    say_heading(command, "Listeners");
    snprintf(begin, sizeof(begin), "Node: %s, i", node);
    node_print_listeners(picture->overview, begin);
    printf("\n");
    say_heading(command, "Feature flags");
    for (size_t i = 0; i < json_count(flags); i++)
        printf("Flag: %.*s, state: %.*s\n", BYTES_ARG(text(json_item(flags, i), "name")),
               BYTES_ARG(text(json_item(flags, i), "state")));
}

static void put_nodes(struct json_writer *writer, const char *name, const struct json *nodes,
                      bool running_ones)
{
    json_add_open(writer, name, '[');
    for (size_t i = 0; i < json_count(nodes); i++)
        if (!running_ones || is_running(json_item(nodes, i)))
            json_put_text(writer, text(json_item(nodes, i), "name"));
    json_close(writer, ']');
}

static void put_members(struct json_writer *writer, const struct json *nodes)
{
    if (!node_is_clustered(nodes))
        return;
    json_add_open(writer, "members", '{');
    for (size_t i = 0; i < json_count(nodes); i++) {
        json_name(writer, text(json_item(nodes, i), "name"));
        term_copy(writer, json_find(json_item(nodes, i), "leveret_member"));
    }
    json_close(writer, '}');
}

static void put_cluster(const struct command *command, const struct picture *picture,
                        const struct json *flags, const struct json *nodes,
                        struct json_writer *writer)
{
    struct bytes node = bytes_str(command->node);
    put_alarms(writer, picture);
    request_copy(writer, "cluster_name", json_find(picture->shared, "cluster_name"));
    put_nodes(writer, "disk_nodes", nodes, false);
    request_copy(writer, "feature_flags", flags);
    json_add_open(writer, "listeners", '{');
    json_name(writer, node);
    json_open(writer, '[');
    node_put_listeners(writer, picture->overview);
    json_close(writer, ']');
    json_close(writer, '}');
    json_add_open(writer, "maintenance_status", '{');
    json_add_text(writer, command->node, bytes_str(maintenance_of(picture)));
    json_close(writer, '}');
    json_add_open(writer, "partitions", '{');
    json_close(writer, '}');
    put_nodes(writer, "ram_nodes", NULL, false);
    put_nodes(writer, "running_nodes", nodes, true);
    put_members(writer, nodes);
    json_add_open(writer, "versions", '{');
    json_add_open(writer, command->node, '{');
    request_copy(writer, "rabbitmq_name", json_find(picture->overview, "product_name"));
    request_copy(writer, "rabbitmq_version", json_find(picture->overview, "rabbitmq_version"));
    json_close(writer, '}');
    json_close(writer, '}');
}

int run_cluster_status(struct command *command)
{
    struct picture picture;
    struct buffer out = {0};
    int code;
    bool is_seen = look(command, &picture, &code);
    struct json *flags = is_seen ? node_read(command, "GET /feature-flags", &code) : NULL;
    struct json *nodes = flags ? node_read(command, "GET /nodes?columns=name,running,leveret_member", &code) : NULL;
    if (nodes && wants_json(command)) {
        struct json_writer writer = json_writer_of(&out);
        json_open(&writer, '{');
        put_cluster(command, &picture, flags, nodes, &writer);
        json_close(&writer, '}');
        printf("%.*s\n", BYTES_ARG(buffer_bytes(&out)));
    } else if (nodes) {
        print_cluster(command, &picture, flags, nodes);
    }
    if (nodes)
        code = EXIT_GOOD;
    buffer_free(&out);
    json_release(nodes);
    json_release(flags);
    release(&picture);
    return code;
}
