/* The broker as a whole, and who asks. */
#include "api/machine.h"
#include "api/rates.h"
#include "api/resources.h"
#include "session/look.h"

enum { COUNT_STEPS = 4000 }; /* for a part of the queues */

static void add_totals(struct fields *fields, const struct call *call)
{
    struct server_counts counts = server_counts(call->api->server);
    const struct broker *broker = call->api->broker;
    size_t exchanges = 0;
    const struct vhost *vhost;
    for (uint64_t at = 0; (vhost = map_next(&broker->vhosts, &at));)
        exchanges += map_count(&vhost->exchanges);
    if (!fields_open(fields, "object_totals", '{'))
        return;
    fields_whole(fields, "channels", counts.channels);
    fields_whole(fields, "connections", counts.connections);
    fields_whole(fields, "consumers", counts.consumers);
    fields_whole(fields, "exchanges", exchanges);
    fields_whole(fields, "queues", broker_queues(broker));
    fields_close(fields, '}');
}

/* Of the queues that the user may see; a part of them in each turn. */
static void count_queue(void *context, void *value)
{
    struct call *call = context;
    const struct queue *queue = value;
    if (queue->is_delay)
        return;
    call->sums[0] += queue->counts->ready;
    call->sums[1] += queue->counts->taken;
    call->sums[2] += queue->counts->delayed;
}

/* The next part; false: that was all. */
static bool count_some(struct call *call)
{
    uint64_t at = call->at;
    const struct vhost *vhost = map_next_stable(&call->api->broker->vhosts, &at);
    if (!vhost)
        return false;
    bool is_seen = call_sees_vhost(call, vhost);
    if (!is_seen || !map_each_of_part(&vhost->queues, &call->part, count_queue, call)) {
        call->at = at;
        call->part = 0;
    }
    return true;
}

static void add_queue_totals(struct fields *fields, const struct call *call)
{
    const struct history *history = rates_of_all(call->api->rates);
    if (!fields_open(fields, "queue_totals", '{'))
        return;
    rates_add(fields, call, RANGE_LENGTHS, history, 1u << RATE_ALL_MESSAGES, "messages",
              call->sums[0] + call->sums[1] + call->sums[2]);
    rates_add(fields, call, RANGE_LENGTHS, history, 1u << RATE_ALL_READY, "messages_ready",
              call->sums[0]);
    rates_add(fields, call, RANGE_LENGTHS, history, 1u << RATE_ALL_UNACKED,
              "messages_unacknowledged", call->sums[1]);
    fields_close(fields, '}');
}

static void add_whole(struct fields *fields, const char *name, const uint32_t *numbers)
{
    if (!fields_open(fields, name, '['))
        return;
    for (; *numbers; numbers++)
        fields_put_whole(fields, *numbers);
    fields_close(fields, ']');
}

/* Samples of more than an hour are not kept: clients that draw them find the periods that RabbitMQ has. */
static void add_policies(struct fields *fields)
{
    static const uint32_t global[] = {600, 3600, 28800, 86400, 0}, basic[] = {600, 3600, 0},
                          detailed[] = {600, 0};
    if (!fields_open(fields, "sample_retention_policies", '{'))
        return;
    add_whole(fields, "global", global);
    add_whole(fields, "basic", basic);
    add_whole(fields, "detailed", detailed);
    fields_close(fields, '}');
}

/* Of certificates for other names; most listeners have none, and nothing is said of them. */
static void add_shown_names(struct fields *fields, const char *names)
{
    if (!names || !*names || !fields_open(fields, "names", '['))
        return;
    while (*names) {
        size_t size = strcspn(names, " ");
        fields_put_text(fields, bytes_of(names, size));
        names += size + (names[size] != '\0');
    }
    fields_close(fields, ']');
}

static void add_listeners(struct fields *fields, const struct call *call)
{
    struct api_listener listeners[API_LISTENERS_MAX];
    size_t count = machine_listeners(call, listeners);
    if (!fields_open(fields, "listeners", '['))
        return;
    for (size_t i = 0; i < count; i++) {
        fields_begin(fields, '{');
        fields_string(fields, "node", call->api->options.node);
        fields_string(fields, "protocol", listeners[i].protocol);
        fields_string(fields, "ip_address", listeners[i].address);
        fields_whole(fields, "port", listeners[i].port);
        if (fields_open(fields, "socket_opts", '{')) {
            fields_flag(fields, "nodelay", true);
            fields_close(fields, '}');
        }
        add_shown_names(fields, listeners[i].names);
        fields_end(fields, '}');
    }
    fields_close(fields, ']');
}

static void add_names(struct fields *fields, const struct call *call)
{
    const struct api_options *options = &call->api->options;
    fields_string(fields, "management_version", options->product_version);
    fields_string(fields, "rabbitmq_version", options->product_version);
    fields_string(fields, "product_name", "Leveret");
    fields_string(fields, "product_version", options->version);
    fields_string(fields, "erlang_version", "0");
    fields_string(fields, "erlang_full_version", "none");
    fields_text(fields, "cluster_name", call_cluster_name(call));
    fields_string(fields, "node", options->node);
    fields_string(fields, "release_series_support_status", "supported");
    fields_string(fields, "rates_mode", "basic");
    fields_flag(fields, "disable_stats", false);
    fields_flag(fields, "enable_queue_totals", false);
    fields_whole(fields, "statistics_db_event_queue", 0);
}

static void add_churn(struct fields *fields, const struct call *call)
{
    if (!fields_open(fields, "churn_rates", '{'))
        return;
    machine_add_churn(fields, call);
    fields_close(fields, '}');
}

/* All of them, or nothing yet. */
static void add_messages(struct fields *fields, const struct call *call)
{
    uint64_t values[RATES_OF_ALL];
    rates_count_all(call->api, values);
    rates_add_all_messages(fields, call, rates_of_all(call->api->rates), values);
}

void overview_get(struct call *call)
{
    while ((call->has_more = count_some(call))) {
        budget_use(call->budget, COUNT_STEPS);
        if (budget_is_spent(call->budget))
            return;
    }
    struct fields fields = call_tell(call);
    add_names(&fields, call);
    add_policies(&fields);
    machine_add_exchange_types(&fields);
    add_messages(&fields, call);
    add_churn(&fields, call);
    add_queue_totals(&fields, call);
    add_totals(&fields, call);
    add_listeners(&fields, call);
    machine_add_contexts(&fields, call, true);
    call_told(call, &fields);
}

/* An operator of this machine has no name here. */
void whoami_get(struct call *call)
{
    struct fields fields = call_tell(call);
    const char *tags = call->user ? call->user->tags_text : "administrator";
    fields_text(&fields, "name", call->user ? user_name(call->user) : bytes_of(NULL, 0));
    if (fields_open(&fields, "tags", '[')) {
        while (*tags) {
            size_t size = strcspn(tags, ", ");
            if (size)
                fields_put_text(&fields, bytes_of(tags, size));
            tags += size + (tags[size] != '\0');
        }
        fields_close(&fields, ']');
    }
    call_told(call, &fields);
}
