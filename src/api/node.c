/* The node, and what it takes of its machine. */
#include <stdio.h>

#include "api/machine.h"
#include "api/rates.h"
#include "api/resources.h"
#include "session/look.h"

/* ---- memory ---- */

/* By what RabbitMQ calls the parts; `other_system` is what nobody has counted. */
struct share {
    const char *name;
    uint64_t bytes;
};

enum { SHARES_MAX = 32 };

static size_t divide(const struct call *call, uint64_t resident, struct share *shares)
{
    struct server_memory memory = server_memory(call->api->server);
    const struct store_stats *stats = store_stats(call->api->broker->store);
    const struct share counted[] = {
        {"connection_readers", memory.inputs},
        {"connection_writers", memory.outputs},
        {"connection_channels", memory.unacked + memory.held},
        {"connection_other", 0},
        {"queue_procs", 0},
        {"queue_slave_procs", 0},
        {"quorum_queue_procs", 0},
        {"quorum_queue_dlx_procs", 0},
        {"stream_queue_procs", 0},
        {"stream_queue_replica_reader_procs", 0},
        {"stream_queue_coordinator_procs", 0},
        {"plugins", 0},
        {"other_proc", 0},
        {"metrics", 0},
        {"mgmt_db", 0},
        {"mnesia", 0},
        {"quorum_ets", 0},
        {"other_ets", 0},
        {"binary", memory.messages},
        {"msg_index", stats->cache_bytes},
        {"code", 0},
        {"atom", 0},
        {"allocated_unused", 0},
        {"reserved_unallocated", 0},
    };
    size_t count = sizeof(counted) / sizeof(counted[0]);
    uint64_t sum = 0;
    memcpy(shares, counted, sizeof(counted));
    for (size_t i = 0; i < count; i++)
        sum += counted[i].bytes;
    shares[count++] = (struct share){"other_system", resident > sum ? resident - sum : 0};
    return count;
}

static void add_memory(struct fields *fields, const struct call *call)
{
    struct share shares[SHARES_MAX];
    uint64_t resident = machine_look(call).memory_used;
    size_t count = divide(call, resident, shares);
    if (!fields_open(fields, "memory", '{'))
        return;
    for (size_t i = 0; i < count; i++)
        fields_whole(fields, shares[i].name, shares[i].bytes);
    fields_string(fields, "strategy", "rss");
    if (fields_open(fields, "total", '{')) {
        fields_whole(fields, "erlang", resident);
        fields_whole(fields, "rss", resident);
        fields_whole(fields, "allocated", resident);
        fields_close(fields, '}');
    }
    fields_close(fields, '}');
}

void node_memory_get(struct call *call)
{
    if (!machine_is_node(call))
        return;
    struct fields fields = call_tell(call);
    add_memory(&fields, call);
    call_told(call, &fields);
}

/* In hundredths of all. */
void node_memory_relative_get(struct call *call)
{
    struct share shares[SHARES_MAX];
    if (!machine_is_node(call))
        return;
    uint64_t resident = machine_look(call).memory_used;
    size_t count = divide(call, resident, shares);
    struct fields fields = call_tell(call);
    if (fields_open(&fields, "memory", '{')) {
        fields_whole(&fields, "total", 100);
        for (size_t i = 0; i < count; i++)
            fields_whole(&fields, shares[i].name,
                         resident ? (shares[i].bytes * 100 + resident - 1) / resident : 0);
        fields_close(&fields, '}');
    }
    call_told(call, &fields);
}

/* ---- the node ---- */

static void add_rated(struct fields *fields, const struct call *call, enum rate_of_node rate,
                      const char *name, uint64_t count)
{
    rates_add(fields, call, RANGE_NODE, rates_of_node(call->api->rates), 1u << rate, name, count);
}

static void add_limits(struct fields *fields, const struct call *call)
{
    struct api_machine machine = machine_look(call);
    struct server_memory memory = server_memory(call->api->server);
    char process[16];
    snprintf(process, sizeof(process), "%u", machine.process);
    fields_string(fields, "os_pid", process);
    fields_whole(fields, "processors", machine.processors);
    fields_whole(fields, "uptime", server_now_ms(call->api->server) - call->api->begun_ms);
    add_rated(fields, call, RATE_MEMORY, "mem_used", machine.memory_used);
    fields_whole(fields, "mem_limit", memory.limit);
    fields_flag(fields, "mem_alarm", memory.is_above);
    fields_string(fields, "mem_calculation_strategy", "rss");
    add_rated(fields, call, RATE_DISK_FREE, "disk_free", machine.disk_free);
    fields_whole(fields, "disk_free_limit", store_disk_reserve(call->api->broker->store));
    fields_flag(fields, "disk_free_alarm", memory.is_disk_short);
    add_rated(fields, call, RATE_FILES, "fd_used", machine.files_used);
    fields_whole(fields, "fd_total", machine.files_max);
    add_rated(fields, call, RATE_SOCKETS, "sockets_used", machine.sockets_used);
    fields_whole(fields, "sockets_total", machine.sockets_max);
    add_rated(fields, call, RATE_THREADS, "proc_used", machine.threads_used);
    fields_whole(fields, "proc_total", machine.threads_max);
    add_rated(fields, call, RATE_SWITCHES, "context_switches", machine.switches);
}

/* What only RabbitMQ's own machine has, and what others want to read as numbers. */
static void add_foreign(struct fields *fields)
{
    static const char *const counters[] = {
        "gc_num", "gc_bytes_reclaimed", "io_reopen_count", "mnesia_ram_tx_count",
        "mnesia_disk_tx_count", "queue_index_write_count", "queue_index_read_count"};
    fields_whole(fields, "run_queue", 0);
    fields_whole(fields, "net_ticktime", 0);
    for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
        fields_counter(fields, counters[i], 0);
}

static void add_store(struct fields *fields, const struct call *call)
{
    const struct store_stats *stats = store_stats(call->api->broker->store);
    add_rated(fields, call, RATE_SYNCS, "io_sync_count", stats->syncs);
    add_rated(fields, call, RATE_BODIES_READ, "io_read_count", stats->bodies_read);
    add_rated(fields, call, RATE_BATCHES, "io_write_count", stats->batches);
    add_rated(fields, call, RATE_BYTES_WRITTEN, "io_write_bytes", stats->bytes_written);
    add_rated(fields, call, RATE_MESSAGES_WRITTEN, "msg_store_write_count", stats->messages_written);
    add_rated(fields, call, RATE_BODIES_READ, "msg_store_read_count", stats->bodies_read);
}

static void put_named(struct fields *fields, const char *name, const char *description,
                      const char *version)
{
    fields_begin(fields, '{');
    fields_string(fields, "name", name);
    fields_string(fields, "description", description);
    if (version)
        fields_string(fields, "version", version);
    else
        fields_flag(fields, "enabled", true);
    fields_end(fields, '}');
}

static void add_names(struct fields *fields, const char *name, const char *const *names)
{
    if (!fields_open(fields, name, '['))
        return;
    for (; names && *names; names++)
        fields_put_text(fields, bytes_str(*names));
    fields_close(fields, ']');
}

static void add_parts(struct fields *fields, const struct call *call)
{
    static const char *const plugins[] = {"rabbitmq_management", NULL};
    const struct api_options *options = &call->api->options;
    machine_add_exchange_types(fields);
    if (fields_open(fields, "auth_mechanisms", '[')) {
        put_named(fields, "PLAIN", "SASL PLAIN authentication mechanism", NULL);
        put_named(fields, "AMQPLAIN", "QPid AMQPLAIN mechanism", NULL);
        fields_close(fields, ']');
    }
    if (fields_open(fields, "applications", '[')) {
        put_named(fields, "leveret", "Leveret", options->version);
        put_named(fields, "rabbit", "RabbitMQ", options->product_version);
        fields_close(fields, ']');
    }
    machine_add_contexts(fields, call, false);
    add_names(fields, "enabled_plugins", plugins);
    add_names(fields, "log_files", options->surroundings->log_files);
    add_names(fields, "config_files", options->surroundings->config_files);
    fields_string(fields, "db_dir", options->surroundings->data_dir);
    add_names(fields, "partitions", NULL);
    add_names(fields, "cluster_links", NULL);
}

/* Nothing waits here to be forgotten. */
static void add_queue_lengths(struct fields *fields)
{
    static const char *const names[] = {"connection_closed", "channel_closed",  "consumer_deleted",
                                        "exchange_deleted",  "queue_deleted",   "vhost_deleted",
                                        "node_node_deleted", "channel_consumer_deleted"};
    if (!fields_open(fields, "metrics_gc_queue_length", '{'))
        return;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        fields_whole(fields, names[i], 0);
    fields_close(fields, '}');
}

static void write_node(struct fields *fields, const struct call *call)
{
    fields_string(fields, "name", call->api->options.node);
    fields_string(fields, "type", "disc");
    fields_flag(fields, "running", true);
    fields_flag(fields, "being_drained", call->api->is_drained);
    fields_string(fields, "rates_mode", "basic");
    add_limits(fields, call);
    add_store(fields, call);
    machine_add_churn(fields, call);
    add_foreign(fields);
    add_parts(fields, call);
    add_queue_lengths(fields);
    if (call_is_set(call, "memory"))
        add_memory(fields, call);
}

/* What it is in the group of the cluster; how far it is only who leads knows. */
static void add_membership(struct fields *fields, const struct api_member *member)
{
    if (!fields_open(fields, "leveret_member", '{'))
        return;
    fields_whole(fields, "number", member->number);
    fields_string(fields, "role", machine_role(member->role));
    fields_flag(fields, "leads", member->leads);
    if (member->is_followed) {
        fields_whole(fields, "last_entry", member->match);
        fields_whole(fields, "entries_behind", member->behind);
        fields_flag(fields, "lacks_entries", member->lacks);
    }
    fields_close(fields, '}');
}

static void add_group(struct fields *fields, const struct api_group *group)
{
    if (!fields_open(fields, "leveret_agreement", '{'))
        return;
    fields_whole(fields, "term", group->term);
    fields_whole(fields, "last_entry", group->last);
    fields_whole(fields, "committed", group->commit);
    fields_whole(fields, "applied", group->applied);
    fields_whole(fields, "log_begins_behind", group->floor);
    fields_whole(fields, "log_bytes", group->log_bytes);
    fields_whole(fields, "elections_won", group->elections);
    fields_whole(fields, "images_made", group->images_made);
    fields_close(fields, '}');
}

/* Of another one of the cluster there is no more than its link tells. */
static void write_member(struct fields *fields, const struct api_member *member)
{
    fields_string(fields, "name", member->name);
    fields_string(fields, "type", "disc");
    fields_flag(fields, "running", member->is_up);
    add_names(fields, "partitions", NULL);
    add_membership(fields, member);
}

static void write_self(struct fields *fields, const struct call *call, const struct api_member *members, size_t count)
{
    struct api_group group;
    write_node(fields, call);
    for (size_t i = 0; i < count; i++)
        if (members[i].is_self)
            add_membership(fields, &members[i]);
    if (machine_group(call, &group))
        add_group(fields, &group);
}

void node_get(struct call *call)
{
    struct api_member members[API_MEMBERS_MAX], member;
    size_t count = machine_members(call, members);
    if (!machine_find(call, call->segments[0], &member)) {
        call_not_found(call);
        return;
    }
    struct fields fields = call_tell(call);
    if (member.is_self)
        write_self(&fields, call, members, count);
    else
        write_member(&fields, &member);
    call_told(call, &fields);
}

/* A broker that is not to come back, or not soon, counts no more. */
void node_forget(struct call *call)
{
    char text[API_TEXT_BYTES];
    struct api_member member;
    const struct api_control *control = call->api->options.control;
    if (!machine_find(call, call->segments[0], &member) || member.role == API_ROLE_GONE || !control || !control->forget)
        call_fail(call, 404, "not_found", "The node selected is not in the cluster.");
    else if (!control->forget(control, member.number, text))
        call_fail(call, 400, "bad_request", "%s", text);
    else
        call_done(call, false);
}

void nodes_list(struct call *call)
{
    struct api_member members[API_MEMBERS_MAX];
    size_t count = machine_members(call, members);
    struct fields fields = call_tell_items(call);
    fields_begin(&fields, '{');
    write_self(&fields, call, members, count);
    fields_end(&fields, '}');
    for (size_t i = 0; i < count; i++) {
        if (members[i].is_self)
            continue;
        fields_begin(&fields, '{');
        write_member(&fields, &members[i]);
        fields_end(&fields, '}');
    }
    call_told_items(call, &fields);
}

/* ---- attempts to log in ---- */

static void put_attempts(struct fields *fields, const char *protocol, struct login_counts counts)
{
    if (counts.accepted + counts.refused == 0)
        return;
    fields_begin(fields, '{');
    fields_string(fields, "protocol", protocol);
    fields_whole(fields, "auth_attempts", counts.accepted + counts.refused);
    fields_whole(fields, "auth_attempts_failed", counts.refused);
    fields_whole(fields, "auth_attempts_succeeded", counts.accepted);
    fields_end(fields, '}');
}

void attempts_get(struct call *call)
{
    const struct server *server = call->api->server;
    if (!machine_is_node(call))
        return;
    struct fields fields = call_tell_items(call);
    put_attempts(&fields, "http", server_logins(server, LOGIN_HTTP));
    put_attempts(&fields, "amqp091", server_logins(server, LOGIN_AMQP));
    call_told_items(call, &fields);
}

/* Where they came from is not kept. */
void attempts_by_source_get(struct call *call)
{
    if (!machine_is_node(call))
        return;
    struct fields fields = call_tell_items(call);
    call_told_items(call, &fields);
}

void attempts_delete(struct call *call)
{
    if (!machine_is_node(call))
        return;
    server_reset_logins(call->api->server);
    call_done(call, false);
}

void log_rotate(struct call *call)
{
    const struct api_surroundings *surroundings = call->api->options.surroundings;
    surroundings->rotate_logs(surroundings);
    call_done(call, false);
}

/* ---- what there is nothing of ---- */

void empty_list(struct call *call)
{
    struct fields fields = call_tell_items(call);
    call_told_items(call, &fields);
}

void vhost_empty_list(struct call *call)
{
    if (call_vhost(call, true))
        empty_list(call);
}

/* Who serves has those of all brokers. */
void statistics_reset(struct call *call)
{
    struct api_member member;
    struct rates_place place = {call->part, call->at};
    if (call->segments[0].data && !machine_find(call, call->segments[0], &member)) {
        call_not_found(call);
        return;
    }
    do
        call->has_more = rates_forget(call->api->rates, &place, call->budget);
    while (call->has_more && !budget_is_spent(call->budget));
    call->part = place.kind;
    call->at = place.at;
    if (!call->has_more)
        call_done(call, false);
}

/* Whoever serves has all queues. */
void rebalance_queues(struct call *call)
{
    call_done(call, false);
}

void version_get(struct call *call)
{
    call->status = 200;
    call->state = CALL_TELLS;
    struct fields fields = fields_of(&call->body, NULL);
    fields_put_text(&fields, bytes_str(call->api->options.product_version));
}
