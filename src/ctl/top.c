/* What is going on: the broker, the queues with most to do, and the connections; once, or again and again. The
 * broker orders and cuts the lists, so that a hundred thousand queues are no more to read than ten. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "ctl/hold.h"
#include "ctl/nodes.h"
#include "ctl/request.h"
#include "ctl/say.h"
#include "ctl/verbs.h"

enum { ROWS_USUAL = 10, ROWS_MAX = 500, REQUEST_SIZE = 700 };
static const double seconds_usual = 5; /* as often as the broker looks how fast counters change */

/* What queues can be ordered by, the most first. */
static const struct {
    const char *name, *path;
} orders[] = {
    {"publish", "message_stats.publish_details.rate"},
    {"deliver", "message_stats.deliver_get_details.rate"},
    {"ack", "message_stats.ack_details.rate"},
    {"growth", "messages_details.rate"},
    {"ready", "messages_ready"},
    {"unacked", "messages_unacknowledged"},
    {"latency", "leveret_latency.publish_to_deliver.p99"},
};

/* What is shown; NULL: the broker did not tell. */
struct look {
    struct json *overview, *node, *nodes, *queues, *connections;
};

/* ---- what is asked ---- */

static void release(struct look *look)
{
    json_release(look->overview);
    json_release(look->node);
    json_release(look->nodes);
    json_release(look->queues);
    json_release(look->connections);
}

static struct json *ask_queues(struct command *command, const char *path, long rows, int *code)
{
    char request[REQUEST_SIZE];
    bool is_one = command_has(command, "vhost");
    snprintf(request, sizeof(request),
             "GET /queues%s?page=1&page_size=%ld&sort=%s&sort_reverse=true&columns=name,vhost,"
             "messages_ready,messages_unacknowledged,messages_details.rate,consumers,"
             "message_stats.publish_details.rate,message_stats.deliver_get_details.rate,"
             "message_stats.ack_details.rate,leveret_latency",
             is_one ? "/{vhost}" : "", rows, path);
    return node_read(command, request, code);
}

static struct json *ask_connections(struct command *command, long rows, int *code)
{
    char request[REQUEST_SIZE];
    bool is_one = command_has(command, "vhost");
    snprintf(request, sizeof(request),
             "GET %s/connections?page=1&page_size=%ld&sort=recv_oct_details.rate&sort_reverse=true&"
             "columns=name,user,vhost,state,channels,recv_oct_details.rate,send_oct_details.rate,"
             "send_pend",
             is_one ? "/vhosts/{vhost}" : "", rows);
    return node_read(command, request, code);
}

static int take(struct command *command, struct look *look, const char *path, long rows)
{
    int code = EXIT_UNAVAILABLE;
    *look = (struct look){0};
    command_renew(command);
    if (!command_node(command))
        return code;
    look->overview = node_read(command, "GET /overview", &code);
    if (look->overview)
        look->node = node_read_permitted(command, "GET /nodes/{node}", &code);
    if (look->node)
        look->nodes = node_read_permitted(command, "GET /nodes?columns=name,running", &code);
    if (look->nodes)
        look->queues = ask_queues(command, path, rows, &code);
    if (look->queues)
        look->connections = ask_connections(command, rows, &code);
    return code;
}

/* ---- how it is shown ---- */

/* A screen: as wide as the terminal, or as a line is long. */
struct page {
    size_t width; /* 0: any */
    size_t used;  /* characters of the line so far */
    bool is_bold;
};

static const struct json *find(const struct json *object, const char *name, const char *part)
{
    return json_find(json_find(object, name), part);
}

static double number(const struct json *value)
{
    return json_kind_of(value) == JSON_IS_FRACTION ? json_fraction(value)
                                                   : (double)json_whole(value);
}

static double rate(const struct json *object, const char *details)
{
    return number(find(object, details, "rate"));
}

/* With at most four digits. */
static void write_short(char text[16], double value)
{
    static const char units[] = " kMGTP";
    size_t unit = 0;
    for (; value >= 9999.5 && unit + 2 < sizeof(units); unit++)
        value /= 1000;
    if (unit)
        snprintf(text, 16, "%.*f%c", value < 99.95 ? 1 : 0, value, units[unit]);
    else
        snprintf(text, 16, "%.*f", value > 0 && value < 9.95 && value != (double)(int)value ? 1 : 0,
                 value);
}

static void write_time(char text[16], double us)
{
    if (us < 9999.5)
        snprintf(text, 16, "%.0f us", us);
    else if (us < 9999.5e3)
        snprintf(text, 16, "%.0f ms", us / 1e3);
    else
        snprintf(text, 16, "%.0f s", us / 1e6);
}

static void put(struct page *page, const char *text)
{
    for (; *text; text++) {
        bool is_start = ((unsigned char)*text & 0xc0) != 0x80;
        if (page->width && page->used >= page->width && is_start)
            return;
        page->used += is_start;
        putchar(*text);
    }
}

static void end_line(struct page *page)
{
    printf(page->is_bold ? "\033[0m\n" : "\n");
    page->is_bold = false;
    page->used = 0;
}

static void begin_title(struct page *page)
{
    page->is_bold = page->width > 0;
    if (page->is_bold)
        printf("\033[1m");
}

/* So many characters, to the right if they are a number, and a space. */
static void put_cell(struct page *page, const char *text, int width)
{
    char cell[300];
    snprintf(cell, sizeof(cell), "%*s ", width, text);
    put(page, cell);
}

static void put_number(struct page *page, double value, int width)
{
    char text[16];
    write_short(text, value);
    put_cell(page, text, width);
}

/* The last cell of a line: a name, as JSON where it has what a terminal should not get. */
static void put_name(struct page *page, struct bytes name)
{
    struct buffer text = {0};
    struct json_writer writer = json_writer_of(&text);
    writer.mends = true;
    json_put_text(&writer, name);
    buffer_add_u8(&text, '\0');
    bool is_plain = text.size == name.size + 3; /* but for the quotes */
    for (size_t i = 0; i < name.size; i++)
        is_plain &= name.data[i] != 0x7f && name.data[i] != 0xc2;
    char *shown = (char *)text.data;
    if (is_plain && name.size) {
        shown[text.size - 2] = '\0';
        shown++;
    }
    put(page, shown);
    buffer_free(&text);
}

static void put_fact(struct page *page, const char *name, double value, const char *unit)
{
    char text[16], line[100];
    write_short(text, value);
    snprintf(line, sizeof(line), "%s%s %s%s", page->used ? "   " : "", name, text, unit);
    put(page, line);
}

static void show_node(struct page *page, const struct look *look)
{
    const struct json *node = look->node;
    char text[64];
    put_name(page, json_text(json_find(look->overview, "node")));
    double minutes = number(json_find(node, "uptime")) / 60000;
    snprintf(text, sizeof(text), "   up %.0f:%02.0f h", (double)(long)(minutes / 60),
             (double)((long)minutes % 60));
    put(page, text);
    put_fact(page, "memory", number(json_find(node, "mem_used")), "B");
    put_fact(page, "of", number(json_find(node, "mem_limit")), "B");
    put_fact(page, "disk free", number(json_find(node, "disk_free")), "B");
    put_fact(page, "files", number(json_find(node, "fd_used")), "");
    if (json_flag(json_find(node, "mem_alarm")))
        put(page, "   ALARM: memory");
    if (json_flag(json_find(node, "disk_free_alarm")))
        put(page, "   ALARM: disk");
    end_line(page);
}

/* Of a cluster: the first is this one, which leads, as others answer nothing. */
static void show_cluster(struct page *page, const struct json *nodes)
{
    if (json_kind_of(nodes) != JSON_IS_ARRAY || json_count(nodes) < 2)
        return;
    put(page, "cluster");
    for (size_t i = 0; i < json_count(nodes); i++) {
        const struct json *node = json_item(nodes, i);
        put(page, "   ");
        put_name(page, json_text(json_find(node, "name")));
        if (i == 0)
            put(page, " leads");
        else if (!json_flag(json_find(node, "running")))
            put(page, " DOWN");
    }
    end_line(page);
}

static void show_totals(struct page *page, const struct look *look)
{
    static const char *const objects[] = {"connections", "channels", "queues", "consumers"};
    const struct json *counts = json_find(look->overview, "object_totals"),
                      *messages = json_find(look->overview, "queue_totals"),
                      *stats = json_find(look->overview, "message_stats");
    for (size_t i = 0; i < sizeof(objects) / sizeof(objects[0]); i++)
        put_fact(page, objects[i], number(json_find(counts, objects[i])), "");
    put_fact(page, "ready", number(json_find(messages, "messages_ready")), "");
    put_fact(page, "unacked", number(json_find(messages, "messages_unacknowledged")), "");
    end_line(page);
    put_fact(page, "publish", rate(stats, "publish_details"), "/s");
    put_fact(page, "confirm", rate(stats, "confirm_details"), "/s");
    put_fact(page, "deliver", rate(stats, "deliver_get_details"), "/s");
    put_fact(page, "redeliver", rate(stats, "redeliver_details"), "/s");
    put_fact(page, "ack", rate(stats, "ack_details"), "/s");
    put_fact(page, "growth", rate(messages, "messages_details"), "/s");
    end_line(page);
}

static void show_queue(struct page *page, const struct json *queue)
{
    const struct json *stats = json_find(queue, "message_stats");
    const struct json *latency = find(queue, "leveret_latency", "publish_to_deliver");
    char text[16] = "-";
    put_number(page, number(json_find(queue, "messages_ready")), 7);
    put_number(page, number(json_find(queue, "messages_unacknowledged")), 7);
    put_number(page, rate(queue, "messages_details"), 8);
    put_number(page, rate(stats, "publish_details"), 9);
    put_number(page, rate(stats, "deliver_get_details"), 9);
    put_number(page, rate(stats, "ack_details"), 7);
    put_number(page, number(json_find(queue, "consumers")), 9);
    if (json_whole(json_find(latency, "count")))
        write_time(text, number(json_find(latency, "p99")));
    put_cell(page, text, 8);
    put_name(page, json_text(json_find(queue, "vhost")));
    put(page, " ");
    put_name(page, json_text(json_find(queue, "name")));
    end_line(page);
}

static void show_connection(struct page *page, const struct json *connection)
{
    put_number(page, rate(connection, "recv_oct_details"), 9);
    put_number(page, rate(connection, "send_oct_details"), 9);
    put_number(page, number(json_find(connection, "send_pend")), 6);
    put_number(page, number(json_find(connection, "channels")), 8);
    put_name(page, json_text(json_find(connection, "state")));
    put(page, " ");
    put_name(page, json_text(json_find(connection, "user")));
    put(page, " ");
    put_name(page, json_text(json_find(connection, "name")));
    end_line(page);
}

static void show(struct page *page, const struct look *look)
{
    const struct json *queues = json_find(look->queues, "items"),
                      *connections = json_find(look->connections, "items");
    show_node(page, look);
    show_cluster(page, look->nodes);
    show_totals(page, look);
    end_line(page);
    begin_title(page);
    put(page, "  ready unacked growth/s publish/s deliver/s   ack/s consumers      p99 queue");
    end_line(page);
    for (size_t i = 0; i < json_count(queues); i++)
        show_queue(page, json_item(queues, i));
    end_line(page);
    begin_title(page);
    put(page, "  in B/s  out B/s unsent channels connection");
    end_line(page);
    for (size_t i = 0; i < json_count(connections); i++)
        show_connection(page, json_item(connections, i));
}

static void show_json(const struct look *look)
{
    struct buffer text = {0};
    struct json_writer writer = json_writer_of(&text);
    json_open(&writer, '{');
    request_copy(&writer, "overview", look->overview);
    request_copy(&writer, "node", look->node);
    request_copy(&writer, "nodes", look->nodes);
    request_copy(&writer, "queues", json_find(look->queues, "items"));
    request_copy(&writer, "connections", json_find(look->connections, "items"));
    json_close(&writer, '}');
    printf("%.*s\n", BYTES_ARG(buffer_bytes(&text)));
    buffer_free(&text);
}

/* ---- once, or again and again ---- */

static bool is_json(const struct command *command)
{
    return command->format == FORMAT_JSON || command->format == FORMAT_JSON_LINES;
}

static int run(struct command *command, const char *path, long rows)
{
    struct look look;
    struct winsize size = {0};
    struct page page = {0};
    int code = take(command, &look, path, rows);
    if (command->is_terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
        page.width = size.ws_col;
    if (code == 0 && is_json(command))
        show_json(&look);
    else if (code == 0)
        show(&page, &look);
    release(&look);
    fflush(stdout);
    return code;
}

/* On a terminal each look takes the place of the one before. */
static int run_again(struct command *command, const char *path, long rows, double seconds)
{
    struct hold hold;
    bool is_screen = command->is_terminal && !is_json(command);
    int code = 0;
    hold_begin(&hold);
    if (is_screen)
        printf("\033[?1049h\033[?25l");
    while (code == 0 && !hold.signal && !ferror(stdout)) {
        if (is_screen)
            printf("\033[H\033[2J");
        code = run(command, path, rows);
        if (code == 0 && !is_screen && !is_json(command))
            printf("\n");
        if (code == 0)
            hold_pause(&hold, seconds * 1000);
    }
    if (is_screen)
        printf("\033[?25h\033[?1049l");
    fflush(stdout);
    hold_end(&hold);
    return code;
}

static const char *path_of(const char *order)
{
    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++)
        if (strcmp(orders[i].name, order) == 0)
            return orders[i].path;
    return NULL;
}

int run_top(struct command *command)
{
    const char *order = command_option(command, "sort"), *count = command_option(command, "count"),
               *watch = command_option(command, "watch");
    const char *path = path_of(order ? order : "publish");
    char *end = NULL;
    long rows = count ? strtol(count, &end, 10) : ROWS_USUAL;
    double seconds = watch ? strtod(watch, NULL) : seconds_usual;
    if (!path)
        return say_usage(command,
                         "--sort is publish, deliver, ack, growth, ready, unacked or latency, and "
                         "not '%s'",
                         order);
    if (count && (end == count || *end || rows < 1 || rows > ROWS_MAX))
        return say_usage(command, "--count is a number of lines up to %d, and not '%s'", ROWS_MAX,
                         count);
    if (seconds < 0.1)
        return say_usage(command, "--watch has a number of seconds");
    if (command->format != FORMAT_TABLE && !is_json(command))
        return say_usage(command, "it is shown as text, or with -o as json or jsonl");
    if (watch || (command->is_terminal && !is_json(command)))
        return run_again(command, path, rows, seconds);
    return run(command, path, rows);
}
