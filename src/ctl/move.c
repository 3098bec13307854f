/* Messages that are moved: to another queue, or dead letters back to where they came from. The broker
 * does so some at a time, as it is asked for; so there is something to tell of meanwhile, and an end
 * at any moment leaves each message in one place. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "ctl/nodes.h"
#include "ctl/say.h"
#include "ctl/verbs.h"

/* Messages that one request looks at, and that one moves. */
enum { LOOKS = 20000, TELL_MS = 200, REASONS_MAX = 16 };

struct errand {
    const char *queue; /* names; NULL destination: they go back, or to the exchange */
    const char *destination, *exchange, *routing_key, *filter;
    long long looks_left, left; /* at most */
    char from[32]; /* a position, which is a text */
    bool is_trial, is_over;
};

/* What has become of them. */
struct outcome {
    long long moved, stayed;
    struct {
        char text[200];
        long long count;
    } reasons[REASONS_MAX];
    size_t reason_count;
    char stop_code[64], stop[400]; /* empty: they were not stopped */
};

/* ---- one request ---- */

static void add_goal(struct json_writer *writer, const struct errand *errand)
{
    if (errand->destination)
        json_add_text(writer, "queue", bytes_str(errand->destination));
    if (errand->exchange)
        json_add_text(writer, "exchange", bytes_str(errand->exchange));
    if (errand->routing_key)
        json_add_text(writer, "routing_key", bytes_str(errand->routing_key));
    if (errand->filter)
        json_add_text(writer, "filter", bytes_str(errand->filter));
}

static void write_wish(const struct errand *errand, struct buffer *body)
{
    struct json_writer writer = json_writer_of(body);
    json_open(&writer, '{');
    add_goal(&writer, errand);
    json_add_text(&writer, "from", bytes_str(errand->from));
    json_add_whole(&writer, "count", errand->left);
    json_add_whole(&writer, "looks", errand->looks_left < LOOKS ? errand->looks_left : LOOKS);
    json_add_flag(&writer, "dry_run", errand->is_trial);
    json_close(&writer, '}');
}

static void add_reason(struct outcome *outcome, struct bytes text, long long count)
{
    size_t at = 0;
    outcome->stayed += count;
    while (at < outcome->reason_count && !bytes_equal_str(text, outcome->reasons[at].text))
        at++;
    if (at == REASONS_MAX)
        return;
    if (at == outcome->reason_count) {
        outcome->reason_count++;
        snprintf(outcome->reasons[at].text, sizeof(outcome->reasons[at].text), "%.*s",
                 BYTES_ARG(text));
    }
    outcome->reasons[at].count += count;
}

static void copy(char *out, size_t size, struct bytes text)
{
    snprintf(out, size, "%.*s", BYTES_ARG(text));
}

static void read_answer(const struct json *answer, struct errand *errand, struct outcome *outcome)
{
    const struct json *next = json_find(answer, "next"), *stayed = json_find(answer, "stayed");
    const struct json *stop = json_find(answer, "stopped");
    long long moved = json_whole(json_find(answer, "moved"));
    outcome->moved += moved;
    errand->left -= moved;
    errand->looks_left -= json_whole(json_find(answer, "looked_at"));
    copy(errand->from, sizeof(errand->from), json_text(next));
    for (size_t i = 0; i < json_count(stayed); i++)
        add_reason(outcome, json_text(json_find(json_item(stayed, i), "text")),
                   json_whole(json_find(json_item(stayed, i), "count")));
    copy(outcome->stop_code, sizeof(outcome->stop_code), json_text(json_find(stop, "code")));
    copy(outcome->stop, sizeof(outcome->stop), json_text(json_find(stop, "text")));
    errand->is_over = json_kind_of(next) != JSON_IS_TEXT || errand->left <= 0 ||
                      errand->looks_left <= 0 || outcome->stop[0];
}

/* As long as there was no --timeout, each request has the time for itself. */
static int ask_once(struct command *command, struct errand *errand, struct outcome *outcome)
{
    struct buffer body = {0};
    struct reply reply;
    char error[200];
    write_wish(errand, &body);
    if (!command_has(command, "timeout"))
        command_renew(command);
    int code = command_ask(command, command->verb->request, buffer_bytes(&body), &reply);
    struct json *answer = NULL;
    if (code == 0 && reply_is_good(&reply))
        answer = json_parse(buffer_bytes(&reply.body), error, sizeof(error));
    if (answer)
        read_answer(answer, errand, outcome);
    else if (code == 0)
        code = command_refused(command, &reply);
    json_release(answer);
    buffer_free(&reply.body);
    buffer_free(&body);
    return code;
}

/* ---- all of them ---- */

static long long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* Is there somebody who likes to see how it goes? */
static bool shows_progress(const struct command *command, const struct errand *errand)
{
    return !errand->is_trial && isatty(STDERR_FILENO) && !command_has(command, "quiet") &&
           !command_has(command, "silent");
}

static void show_progress(const struct outcome *outcome, long long most, long long ms, bool is_last)
{
    double rate = ms > 0 ? (double)outcome->moved * 1000 / (double)ms : 0;
    fprintf(stderr, "\r%lld of %lld moved, %.0f/s \033[K%s", outcome->moved, most, rate,
            is_last ? "\n" : "");
}

/* `most`: how many there may be. */
static int move_all(struct command *command, struct errand *errand, long long most,
                    struct outcome *outcome)
{
    long long begun = now_ms(), told = begun;
    bool shows = shows_progress(command, errand), any = false;
    int code = 0;
    while (code == 0 && !errand->is_over) {
        code = ask_once(command, errand, outcome);
        long long now = now_ms();
        bool is_last = code || errand->is_over;
        if (shows && (is_last ? any : now - told >= TELL_MS)) {
            show_progress(outcome, most, now - begun, is_last);
            told = now;
            any = true;
        }
    }
    return code;
}

/* ---- before and after ---- */

/* How many the queue has; negative: *code says why that is not known. */
static long long read_counts(struct command *command, long long *ready, int *code)
{
    struct json *queue = node_read(
        command, "GET /queues/{vhost}/{1}?disable_stats=true&enable_queue_totals=true", code);
    if (!queue)
        return -1;
    long long all = json_whole(json_find(queue, "messages"));
    *ready = json_whole(json_find(queue, "messages_ready"));
    json_release(queue);
    return all;
}

static void write_target(const struct errand *errand, char *text, size_t size)
{
    if (errand->destination)
        snprintf(text, size, "to '%s'", errand->destination);
    else if (errand->exchange && errand->routing_key)
        snprintf(text, size, "to exchange '%s' with key '%s'", errand->exchange,
                 errand->routing_key);
    else if (errand->exchange)
        snprintf(text, size, "to exchange '%s'", errand->exchange);
    else
        snprintf(text, size, "back to where they died");
}

/* Which ones are meant, and which of them can go, takes a look at each. */
static int ask_first(struct command *command, const struct errand *errand, long long ready,
                     bool *may)
{
    struct errand trial = *errand;
    struct outcome outcome = {.moved = ready < errand->left ? ready : errand->left};
    char target[700];
    int code = 0;
    if (errand->filter || !errand->destination) {
        outcome.moved = 0;
        trial.is_trial = true;
        code = move_all(command, &trial, 0, &outcome);
    }
    write_target(errand, target, sizeof(target));
    if (code == 0 && outcome.moved == 0 && outcome.stayed == 0)
        *may = true;
    else if (code == 0 && outcome.stayed)
        *may = say_confirm(command, "Move %lld messages of '%s' %s? %lld more have to stay.",
                           outcome.moved, errand->queue, target, outcome.stayed);
    else if (code == 0)
        *may = say_confirm(command, "Move %lld messages of '%s' %s?", outcome.moved, errand->queue,
                           target);
    return code;
}

static void print_json(const struct outcome *outcome)
{
    struct buffer text = {0};
    struct json_writer writer = json_writer_of(&text);
    json_open(&writer, '{');
    json_add_whole(&writer, "moved", outcome->moved);
    json_add_open(&writer, "stayed", '[');
    for (size_t i = 0; i < outcome->reason_count; i++) {
        json_open(&writer, '{');
        json_add_text(&writer, "text", bytes_str(outcome->reasons[i].text));
        json_add_whole(&writer, "count", outcome->reasons[i].count);
        json_close(&writer, '}');
    }
    json_close(&writer, ']');
    if (outcome->stop[0])
        json_add_text(&writer, "stopped", bytes_str(outcome->stop_code));
    json_close(&writer, '}');
    printf("%.*s\n", BYTES_ARG(buffer_bytes(&text)));
    buffer_free(&text);
}

static int tell(struct command *command, const struct errand *errand, const struct outcome *outcome)
{
    if (command->format == FORMAT_JSON || command->format == FORMAT_JSON_LINES)
        print_json(outcome);
    else
        printf("%lld messages %s\n", outcome->moved,
               errand->is_trial ? "would be moved" : "were moved");
    for (size_t i = 0; i < outcome->reason_count; i++)
        say_fail(command, 0, "%lld messages stay: %s", outcome->reasons[i].count,
                 outcome->reasons[i].text);
    if (outcome->stop[0])
        return say_fail(command, EXIT_UNAVAILABLE,
                        "stopped after %lld messages: %s; all others are where they were%s",
                        outcome->moved, outcome->stop,
                        strcmp(outcome->stop_code, "not_taken") == 0
                            ? "; --filter takes those of other queues, when there is no room in it"
                            : "");
    return outcome->stayed ? EXIT_DATA : EXIT_GOOD;
}

static bool read_count(struct command *command, long long *count)
{
    const char *text = command_option(command, "count");
    char *end;
    *count = LLONG_MAX;
    if (!text)
        return true;
    *count = strtoll(text, &end, 10);
    return *text && *end == '\0' && *count > 0;
}

static int run_errand(struct command *command, struct errand *errand)
{
    struct outcome outcome = {0};
    long long ready, all;
    bool may = true;
    int code = 0;
    if (!read_count(command, &errand->left))
        return say_usage(command, "--count is a number of messages, and not '%s'",
                         command_option(command, "count"));
    if ((all = read_counts(command, &ready, &code)) < 0)
        return code;
    errand->queue = command->arguments[0];
    errand->filter = command_option(command, "filter");
    errand->looks_left = all;
    errand->is_trial = command_has(command, "dry-run");
    if (all && say_asks(command))
        code = ask_first(command, errand, ready, &may);
    if (code == 0 && may)
        code = move_all(command, errand, ready < errand->left ? ready : errand->left, &outcome);
    return code || !may ? code : tell(command, errand, &outcome);
}

int run_move(struct command *command)
{
    struct errand errand = {
        .from = "0",
        .destination = command_argument(command, 1),
        .exchange = command_option(command, "exchange"),
        .routing_key = command_option(command, "routing-key"),
    };
    if (!errand.destination == !errand.exchange)
        return say_usage(command, "messages go to a queue, or with --exchange to an exchange");
    if (errand.destination && errand.routing_key)
        return say_usage(command, "--routing-key is for an exchange");
    return run_errand(command, &errand);
}

int run_requeue(struct command *command)
{
    struct errand errand = {.from = "0"};
    return run_errand(command, &errand);
}
