#include "metrics/sample.h"

static void look_at_cluster(const struct api_control *control, struct node_sample *node)
{
    const struct api_member *brokers = node->brokers;
    if (!control || !control->members)
        return;
    node->members = (unsigned)control->members(control, node->brokers);
    for (unsigned i = 0; i < node->members; i++) {
        node->members_up += brokers[i].is_up;
        node->leads |= brokers[i].is_self && brokers[i].leads;
    }
    node->has_group = control->group(control, &node->group);
}

void node_sample_take(const struct metrics *metrics, struct node_sample *node)
{
    const struct metrics_options *options = &metrics->options;
    const struct server *server = metrics->server;
    node->options = options;
    node->broker = metrics->broker;
    node->store = store_stats(metrics->broker->store);
    node->turns = options->turns;
    node->published = server_published(server);
    node->ended = server_ended_traffic(server);
    node->counts = server_counts(server);
    node->memory = server_memory(server);
    node->unroutable = server_unroutable(server);
    for (int i = 0; i < LOGIN_WAYS; i++)
        node->logins[i] = server_logins(server, (enum login_way)i);
    options->surroundings->look(options->surroundings, &node->machine);
    node->listeners_count =
        options->surroundings->listeners(options->surroundings, node->listeners);
    look_at_cluster(options->control, node);
    node->queues = broker_queues(metrics->broker);
    node->begun_queues = metrics->begun_queues;
    node->uptime_ms = server_now_ms(server) - metrics->begun_ms;
}
