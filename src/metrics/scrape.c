/* First all that there are many of are looked at once, for the sums. Then the metrics are written
 * in their order; one that is about many goes through all of them again, as all lines of a metric
 * have to follow each other. Between turns nothing is kept but where to go on. */
#include "metrics/scrape.h"

#include <stdio.h>

#include "base/mem.h"
#include "broker/pattern.h"

/* What is looked at and written goes off the budget in these steps. */
enum {
    PART_STEPS = 6000,  /* some queues at once are summed up */
    CLIENT_STEPS = 100, /* of a connection, or a channel */
    LINE_STEPS = 4,
    FILTER_STEPS = 20,
    BYTES_PER_STEP = 8,
    NODE_STEPS = 3000, /* the machine is asked */
};
enum { PIECE_BYTES = 16384, VHOSTS_MAX = 64, QUEUES_AT_ONCE = 256 };

struct scrape {
    struct http_answer answer;
    const struct metrics *metrics;
    enum endpoint endpoint;
    bool is_open;                    /* OpenMetrics */
    uint64_t families;               /* of ENDPOINT_DETAILED */
    struct buffer names;             /* of the virtual hosts below; it does not move */
    struct bytes vhosts[VHOSTS_MAX]; /* those that are asked for; */
    size_t vhosts_count;             /* 0: all */
    bool has_pattern;
    struct pattern pattern; /* of the names of queues */
    enum { SCRAPE_QUEUES, SCRAPE_CHANNELS, SCRAPE_CONNECTIONS, SCRAPE_NODE, SCRAPE_WRITES } state;
    size_t number;           /* of the metric at hand */
    bool is_begun;           /* it is about many, and some were told */
    uint64_t vhosts_at, at;  /* where to go on: in all virtual hosts, and in one of them */
    struct server_walk walk; /* the same of clients */
    double sums[METRICS_MAX];
    struct node_sample node;
    struct buffer *body; /* while a piece is made */
    struct budget *budget;
};

/* ---- going through all of something ---- */

static bool is_wanted_vhost(const struct scrape *scrape, const struct vhost *vhost)
{
    for (size_t i = 0; i < scrape->vhosts_count; i++)
        if (bytes_equal(scrape->vhosts[i], vhost_name(vhost)))
            return true;
    return scrape->vhosts_count == 0;
}

/* Tells of some values of a map of each virtual host, in turn; false: that was all. */
static bool walk_maps(struct scrape *scrape, const struct map *(*map_of)(const struct vhost *),
                      map_each *each)
{
    uint64_t at = scrape->vhosts_at;
    const struct vhost *vhost = map_next_stable(&scrape->metrics->broker->vhosts, &at);
    if (!vhost)
        return false;
    if (!is_wanted_vhost(scrape, vhost) ||
        !map_each_of_part(map_of(vhost), &scrape->at, each, scrape)) {
        scrape->vhosts_at = at;
        scrape->at = 0;
    }
    return true;
}

static const struct map *queues_of(const struct vhost *vhost)
{
    return &vhost->queues;
}

static const struct map *exchanges_of(const struct vhost *vhost)
{
    return &vhost->exchanges;
}

static bool walk_clients(struct scrape *scrape, enum walk_depth depth, server_each *each)
{
    scrape->walk.depth = depth;
    return server_walk(scrape->metrics->server, &scrape->walk, each, scrape);
}

static void walk_end(struct scrape *scrape)
{
    server_walk_free(&scrape->walk);
    scrape->walk = (struct server_walk){.connections_at = 0};
    scrape->vhosts_at = scrape->at = 0;
}

static bool look_at_channel(const struct scrape *scrape, struct client_id id,
                            struct channel_sample *sample)
{
    const struct server *server = scrape->metrics->server;
    budget_use(scrape->budget, CLIENT_STEPS);
    return server_connection(server, id.connection, &sample->connection) &&
           server_channel(server, id, &sample->channel);
}

/* ---- sums ---- */

/* Of queues only those that something has happened to. Where this is so all the time each of them was looked at
 * once; else the sums are what there is now. */
static bool sum_some_queues(struct scrape *scrape)
{
    struct broker *broker = scrape->metrics->broker;
    budget_use(scrape->budget, PART_STEPS);
    scrape->at += QUEUES_AT_ONCE;
    if (queues_sum_up(&broker->queues, QUEUES_AT_ONCE) && scrape->at < broker_queues(broker))
        return true;
    scrape->node.all = broker->queues.sums;
    return false;
}

static void sum_channel(void *context, struct client_id id, struct bytes tag)
{
    struct scrape *scrape = context;
    struct channel_sample sample;
    (void)tag;
    if (!look_at_channel(scrape, id, &sample))
        return;
    scrape->node.publishers += sample.channel.tally[TALLY_PUBLISHED] > 0;
    metrics_sum(SCOPE_channel, &sample, scrape->sums);
}

static void sum_connection(void *context, struct client_id id, struct bytes tag)
{
    struct scrape *scrape = context;
    struct traffic *sum = &scrape->node.traffic;
    struct connection_view view;
    (void)tag;
    budget_use(scrape->budget, CLIENT_STEPS);
    if (!server_connection(scrape->metrics->server, id.connection, &view))
        return;
    sum->received_bytes += view.received_bytes;
    sum->received_pieces += view.received_pieces;
    sum->sent_bytes += view.sent_bytes;
    sum->sent_pieces += view.sent_pieces;
    metrics_sum(SCOPE_connection, &view, scrape->sums);
}

/* The next part of what is looked at for sums; false: that was all of it. */
static bool sum_some(struct scrape *scrape)
{
    bool has_more = false;
    switch (scrape->state) {
    case SCRAPE_QUEUES:
        has_more = sum_some_queues(scrape);
        break;
    case SCRAPE_CHANNELS:
        has_more = walk_clients(scrape, WALK_CHANNELS, sum_channel);
        break;
    case SCRAPE_CONNECTIONS:
        has_more = walk_clients(scrape, WALK_CONNECTIONS, sum_connection);
        break;
    default:
        break;
    }
    budget_use(scrape->budget, LINE_STEPS);
    return has_more;
}

static void sum(struct scrape *scrape)
{
    while (scrape->state < SCRAPE_NODE && !budget_is_spent(scrape->budget))
        if (!sum_some(scrape)) {
            walk_end(scrape);
            scrape->state++;
        }
    if (scrape->state != SCRAPE_NODE || budget_is_spent(scrape->budget))
        return;
    node_sample_take(scrape->metrics, &scrape->node);
    budget_use(scrape->budget, NODE_STEPS);
    scrape->state = SCRAPE_WRITES;
}

/* ---- lines ---- */

static struct rows rows_of(const struct scrape *scrape)
{
    return (struct rows){scrape->body, scrape->endpoint, scrape->is_open};
}

static void write_one(struct scrape *scrape, const void *sample)
{
    const struct rows rows = rows_of(scrape);
    size_t before = scrape->body->size;
    rows_add_one(&rows, metric_at(scrape->number), sample);
    budget_use(scrape->budget, LINE_STEPS + (scrape->body->size - before) / BYTES_PER_STEP);
}

static bool passes(const struct scrape *scrape, const struct queue *queue)
{
    if (queue->is_delay)
        return false;
    if (!scrape->has_pattern)
        return true;
    budget_use(scrape->budget, FILTER_STEPS);
    return pattern_matches_within(&scrape->pattern, queue_name(queue), scrape->budget);
}

static void write_queue(void *context, void *value)
{
    if (passes(context, value))
        write_one(context, value);
}

static void write_value(void *context, void *value)
{
    write_one(context, value);
}

static void write_channel(void *context, struct client_id id, struct bytes tag)
{
    struct channel_sample sample;
    (void)tag;
    if (look_at_channel(context, id, &sample))
        write_one(context, &sample);
}

static void write_connection(void *context, struct client_id id, struct bytes tag)
{
    struct scrape *scrape = context;
    struct connection_view view;
    (void)tag;
    budget_use(scrape->budget, CLIENT_STEPS);
    if (server_connection(scrape->metrics->server, id.connection, &view))
        write_one(scrape, &view);
}

/* False: that was the last one. */
static bool write_vhost(struct scrape *scrape)
{
    const struct vhost *vhost =
        map_next_stable(&scrape->metrics->broker->vhosts, &scrape->vhosts_at);
    budget_use(scrape->budget, PART_STEPS);
    if (vhost && is_wanted_vhost(scrape, vhost))
        write_one(scrape, vhost);
    return vhost != NULL;
}

/* Of some of the many that the metric at hand is about; false: that was all. */
static bool write_some(struct scrape *scrape)
{
    budget_use(scrape->budget, LINE_STEPS);
    switch (metric_at(scrape->number)->scope) {
    case SCOPE_queue:
    case SCOPE_delivery:
    case SCOPE_acknowledgement:
    case SCOPE_detailed_queue:
        return walk_maps(scrape, queues_of, write_queue);
    case SCOPE_exchange:
        return walk_maps(scrape, exchanges_of, write_value);
    case SCOPE_vhost:
        return write_vhost(scrape);
    case SCOPE_channel:
        return walk_clients(scrape, WALK_CHANNELS, write_channel);
    default:
        return walk_clients(scrape, WALK_CONNECTIONS, write_connection);
    }
}

static bool is_about_many(const struct metric *metric)
{
    return metric->scope >= SCOPE_queue;
}

static bool is_wanted(const struct scrape *scrape, const struct metric *metric)
{
    bool is_of_group = metric->scope == SCOPE_group || metric->scope == SCOPE_member ||
                       metric->scope == SCOPE_follower;
    if (is_of_group && !scrape->node.has_group)
        return false;
    bool is_summed = metric->scope < SCOPE_detailed_queue || metric->scope > SCOPE_vhost;
    switch (scrape->endpoint) {
    case ENDPOINT_DETAILED:
        return metric->families == FAMILIES_INFO || metric->families & scrape->families;
    case ENDPOINT_PER_OBJECT:
        return !metric_is_of_cluster(metric);
    default:
        return is_summed;
    }
}

static void next_metric(struct scrape *scrape)
{
    walk_end(scrape);
    scrape->number++;
    scrape->is_begun = false;
}

/* Something of the metric at hand. */
static void write(struct scrape *scrape, const struct metric *metric)
{
    const struct rows rows = rows_of(scrape);
    bool is_wanted_now = is_wanted(scrape, metric);
    if (is_wanted_now && !scrape->is_begun)
        rows_begin(&rows, metric);
    scrape->is_begun = true;
    bool goes_through = is_about_many(metric) && scrape->endpoint != ENDPOINT_AGGREGATED;
    if (is_wanted_now && !goes_through)
        rows_add_all(&rows, metric, &scrape->node, scrape->sums[scrape->number]);
    if (!is_wanted_now || !goes_through || !write_some(scrape))
        next_metric(scrape);
}

/* ---- the answer ---- */

static enum http_progress go_on(struct http_answer *answer, struct http_head *head,
                                struct buffer *body, struct budget *budget)
{
    struct scrape *scrape = (struct scrape *)(void *)answer;
    const struct metric *metric = NULL;
    scrape->body = body;
    scrape->budget = budget;
    if (!head->status) {
        head->status = 200;
        head->type = rows_type(scrape->is_open);
    }
    sum(scrape);
    if (scrape->state != SCRAPE_WRITES)
        return HTTP_MORE;
    while ((metric = metric_at(scrape->number)) && body->size < PIECE_BYTES &&
           !budget_is_spent(budget))
        write(scrape, metric);
    if (metric)
        return HTTP_MORE;
    const struct rows rows = rows_of(scrape);
    rows_end(&rows);
    return HTTP_ENDS;
}

static void scrape_free(struct http_answer *answer)
{
    struct scrape *scrape = (struct scrape *)(void *)answer;
    server_walk_free(&scrape->walk);
    pattern_free(&scrape->pattern);
    buffer_free(&scrape->names);
    mem_free(scrape);
}

/* ---- what is asked for ---- */

static const char *read_parameter(struct scrape *scrape, struct bytes name, struct bytes value,
                                  char *text, size_t text_size)
{
    if (bytes_equal_str(name, "family")) {
        scrape->families |= metric_family(value);
    } else if (bytes_equal_str(name, "vhost")) {
        if (scrape->vhosts_count == VHOSTS_MAX)
            return "too many virtual hosts are named";
        scrape->vhosts[scrape->vhosts_count++] = value;
    } else if (bytes_equal_str(name, "queue")) {
        if (scrape->has_pattern)
            return "only one queue parameter may be given";
        scrape->has_pattern = true;
        if (!pattern_init(&scrape->pattern, value, text, text_size))
            return text;
    }
    return NULL;
}

/* NULL: it can be read. Else what is wrong, which may be in `text`. */
static const char *read_query(struct scrape *scrape, struct bytes query, char *text,
                              size_t text_size)
{
    struct bytes raw_name, raw_value, name, value;
    const char *fault = NULL;
    buffer_room(&scrape->names, query.size + 1);
    while (!fault && http_next_parameter(&query, &raw_name, &raw_value)) {
        if (!http_decode(raw_name, true, &scrape->names, &name) ||
            !http_decode(raw_value, true, &scrape->names, &value))
            return "the query cannot be read";
        fault = read_parameter(scrape, name, value, text, text_size);
    }
    return fault;
}

struct http_answer *scrape_new(const struct metrics *metrics, const struct scrape_request *request,
                               char *fault, size_t fault_size)
{
    static const struct http_answer_ops ops = {go_on, scrape_free};
    char text[200];
    struct scrape *scrape = mem_zalloc(sizeof(*scrape));
    scrape->answer.ops = &ops;
    scrape->metrics = metrics;
    scrape->endpoint = request->endpoint;
    scrape->is_open = request->is_open;
    scrape->state = request->endpoint == ENDPOINT_AGGREGATED ? SCRAPE_QUEUES : SCRAPE_CHANNELS;
    const char *why = NULL;
    if (request->endpoint == ENDPOINT_DETAILED) {
        scrape->state = SCRAPE_NODE;
        why = read_query(scrape, request->query, text, sizeof(text));
    }
    if (!why)
        return &scrape->answer;
    snprintf(fault, fault_size, "%s", why);
    scrape_free(&scrape->answer);
    return NULL;
}
