#include "metrics/metrics.h"

#include <stdio.h>

#include "base/mem.h"
#include "metrics/scrape.h"

enum { BODY_MAX = 65536 };

/* An answer that is there as a whole. */
struct short_answer {
    struct http_answer answer;
    int status;
    const char *type;
    char text[320];
};

static enum http_progress tell(struct http_answer *answer, struct http_head *head,
                               struct buffer *body, struct budget *budget)
{
    const struct short_answer *one = (const struct short_answer *)(void *)answer;
    (void)budget;
    head->status = one->status;
    head->type = one->type;
    buffer_add(body, one->text, strlen(one->text));
    return HTTP_ENDS;
}

static void free_short(struct http_answer *answer)
{
    mem_free(answer);
}

static struct http_answer *answer_with(int status, const char *type, const char *text)
{
    static const struct http_answer_ops ops = {tell, free_short};
    struct short_answer *one = mem_zalloc(sizeof(*one));
    one->answer.ops = &ops;
    one->status = status;
    one->type = type;
    snprintf(one->text, sizeof(one->text), "%s", text);
    return &one->answer;
}

/* ---- is it well? ---- */

static struct http_answer *answer_health(const char *fault)
{
    char text[320];
    if (!fault)
        return answer_with(200, "application/json", "{\"status\":\"ok\"}");
    snprintf(text, sizeof(text), "{\"status\":\"failed\",\"reason\":\"%s\"}", fault);
    return answer_with(503, "application/json", text);
}

static bool clients_can_connect(const struct metrics *metrics)
{
    const struct api_surroundings *surroundings = metrics->options.surroundings;
    struct api_listener listeners[API_LISTENERS_MAX];
    size_t count = surroundings->listeners(surroundings, listeners);
    for (size_t i = 0; i < count; i++)
        if (!listeners[i].is_suspended && strncmp(listeners[i].protocol, "amqp", 4) == 0)
            return true;
    return false;
}

/* Publishers that wait for an alarm to end are no reason to send nobody here. */
static struct http_answer *answer_ready(const struct metrics *metrics)
{
    if (store_failure(metrics->broker->store))
        return answer_health("the journal cannot be written");
    return answer_health(clients_can_connect(metrics) ? NULL : "nobody listens for clients");
}

/* ---- what is asked for ---- */

/* Prometheus names both formats, and OpenMetrics with more weight. */
static bool wants_open(const struct http_request *request)
{
    unsigned weight = http_weight(request, "accept", "application/openmetrics-text");
    return weight > 0 && weight >= http_weight(request, "accept", "text/plain");
}

static struct http_answer *answer_scrape(const struct metrics *metrics, enum endpoint endpoint,
                                         const struct http_request *request)
{
    const struct scrape_request what = {endpoint, request->query, wants_open(request)};
    char fault[320];
    struct http_answer *answer = scrape_new(metrics, &what, fault, sizeof(fault));
    return answer ? answer : answer_with(400, "text/plain", fault);
}

static struct http_answer *find(const struct metrics *metrics, const struct http_request *request)
{
    const struct metrics_options *options = &metrics->options;
    struct bytes path = request->path;
    size_t prefix = strlen(options->path);
    if (bytes_equal_str(path, "/health/live"))
        return answer_health(NULL);
    if (bytes_equal_str(path, "/health/ready"))
        return answer_ready(metrics);
    if (!bytes_start_with(path, options->path))
        return answer_with(404, "text/plain", "Not Found");
    path = bytes_of(path.data + prefix, path.size - prefix);
    if (path.size == 0 || bytes_equal_str(path, "/"))
        return answer_scrape(
            metrics, options->is_per_object ? ENDPOINT_PER_OBJECT : ENDPOINT_AGGREGATED, request);
    if (bytes_equal_str(path, "/per-object"))
        return answer_scrape(metrics, ENDPOINT_PER_OBJECT, request);
    if (bytes_equal_str(path, "/detailed"))
        return answer_scrape(metrics, ENDPOINT_DETAILED, request);
    return answer_with(404, "text/plain", "Unknown Registry");
}

static struct http_answer *ask(struct http_handler *handler, const struct http_request *request,
                               const struct peer *peer, const struct conversation *client)
{
    const struct metrics *metrics = (const struct metrics *)(void *)handler;
    (void)peer;
    (void)client;
    if (request->method != HTTP_GET && request->method != HTTP_HEAD)
        return answer_with(405, "text/plain", "Method Not Allowed");
    return find(metrics, request);
}

static size_t body_max(struct http_handler *handler, const struct http_request *request)
{
    (void)handler;
    (void)request;
    return BODY_MAX;
}

struct metrics *metrics_new(const struct metrics_options *options, struct server *server,
                            struct broker *broker)
{
    struct metrics *metrics = mem_zalloc(sizeof(*metrics));
    *metrics = (struct metrics){
        .handler = {.ask = ask, .body_max = body_max},
        .options = *options,
        .server = server,
        .broker = broker,
        .begun_ms = server_now_ms(server),
        .begun_queues = broker->queues_made,
    };
    return metrics;
}

void metrics_free(struct metrics *metrics)
{
    mem_free(metrics);
}

struct http_handler *metrics_handler(struct metrics *metrics)
{
    return &metrics->handler;
}
