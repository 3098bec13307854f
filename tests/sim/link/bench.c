#include "tests/sim/link/bench.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cluster/link_internal.h"
#include "tests/lib/disk_memory.h"

enum { PARTS = 16 };

/* ---- nodes ---- */

static void keep_log(void *context, const struct log_record *record)
{
    struct bench *bench = context;
    size_t used = (size_t)snprintf(bench->log, sizeof(bench->log), "%s", record->event);
    for (size_t i = 0; i < record->count && used < sizeof(bench->log) - 1; i++) {
        const struct log_field *field = &record->fields[i];
        used += (size_t)snprintf(bench->log + used, sizeof(bench->log) - used, " %.*s=%.*s",
                                 field->name_size, record->text + field->at, field->size,
                                 record->text + field->at + field->name_size);
    }
    if (strcmp(record->event, "link_refused") == 0)
        snprintf(bench->refused, sizeof(bench->refused), "%.1000s", bench->log);
}

void bench_init(struct bench *bench, uint64_t seed, uint32_t nodes)
{
    static const uint8_t cluster[NODE_ID_BYTES] = "a cluster of its";
    *bench = (struct bench){.now_ms = 1000, .first_number = 1, .drains = true};
    random_init(&bench->random, seed);
    for (uint32_t i = 0; i < nodes; i++) {
        struct bench_node *node = &bench->nodes[i];
        uint8_t id[NODE_ID_BYTES] = {0};
        struct node_identity first;
        node->disk = disk_memory_new();
        for (size_t k = 0; k < sizeof(id); k++)
            id[k] = (uint8_t)random_next(&bench->random);
        id[0] = (uint8_t)(i + 1); /* so that it is known whose is the lesser one */
        int error = node_identity_start(node->disk, id, random_next(&bench->random), &first);
        memcpy(first.cluster, cluster, NODE_ID_BYTES);
        error = error ? error : node_identity_write(node->disk, &first);
        assert(!error);
        node->identity = first;
    }
}

void bench_start(struct bench *bench, uint32_t number)
{
    struct bench_node *node = &bench->nodes[number];
    static struct log log;
    char name[32];
    uint8_t id[NODE_ID_BYTES];
    memcpy(id, node->identity.node, sizeof(id));
    int error = node_identity_start(node->disk, id, random_next(&bench->random), &node->identity);
    assert(!error && !node->links);
    log = (struct log){.level = LOG_LEVEL_DEBUG, .sink = keep_log, .context = bench};
    snprintf(name, sizeof(name), "leveret@node%u", number);
    node->options.name = name;
    node->options.number = bench->first_number + number;
    node->options.seed = random_next(&bench->random);
    node->options.log = &log;
    node->links = bench->make ? bench->make(bench, number)
                              : links_new(&node->options, &node->identity, bench->now_ms);
    node->boot++;
    node->is_paused = false;
    for (uint32_t i = 0; i < BENCH_NODES; i++) {
        struct link_peer peer = {.number = bench->first_number + i, .port = (uint16_t)(i + 1), .host = "node"};
        if (i == number || !bench->nodes[i].disk)
            continue;
        memcpy(peer.node, bench->nodes[i].identity.node, NODE_ID_BYTES);
        node->to[i] = links_add(node->links, &peer);
    }
}

/* ---- pipes ---- */

static void free_if_over(struct bench_pipe *pipe)
{
    if (pipe->ends[0] || pipe->ends[1])
        return;
    buffer_free(&pipe->ways[0]);
    buffer_free(&pipe->ways[1]);
    pipe->is_used = false;
}

const struct conversation *bench_carried(const struct bench_pipe *pipe)
{
    if (!pipe->is_relay || !pipe->ends[1])
        return NULL;
    return list_entry(pipe->ends[1], struct link_connection, conversation)->carried;
}

/* The end says no more. */
static void close_end(struct bench *bench, struct bench_pipe *pipe, uint32_t end, bool is_reset)
{
    if (pipe->is_relay && bench->closes)
        bench->closes(bench, pipe, end);
    pipe->is_closed[end] = true;
    pipe->is_reset[end] = is_reset;
    conversation_free(pipe->ends[end]);
    pipe->ends[end] = NULL;
    buffer_free(&pipe->ways[!end]); /* nobody reads it */
    free_if_over(pipe);
}

static struct bench_pipe *new_pipe(struct bench *bench)
{
    for (size_t i = 0; i < BENCH_PIPES; i++)
        if (!bench->pipes[i].is_used)
            return &bench->pipes[i];
    assert(false); /* there are as many as ever are needed */
    return NULL;
}

static void connect_pipe(struct bench *bench, const struct bench_dial *dial)
{
    struct bench_pipe *pipe = new_pipe(bench);
    struct peer peers[2] = {{.name = ""}, {.name = ""}};
    snprintf(peers[0].name, sizeof(peers[0].name), "node%u", dial->from);
    snprintf(peers[1].name, sizeof(peers[1].name), "node%u", dial->to);
    *pipe = (struct bench_pipe){.is_used = true, .is_relay = dial->is_relay, .nodes = {dial->from, dial->to}};
    service_woken(dial->is_relay ? bench->nodes[dial->from].relays : links_service(bench->nodes[dial->from].links),
                  bench->now_ms);
    service_woken(links_service(bench->nodes[dial->to].links), bench->now_ms);
    pipe->ends[0] = dial->call->ops->connected(dial->call, &peers[1]);
    pipe->ends[0]->owner = pipe;
    pipe->ends[1] = service_accept(links_service(bench->nodes[dial->to].links), &peers[0], pipe);
}

static void dial(struct bench *bench, const struct bench_dial *dial)
{
    if (bench->nodes[dial->to].links)
        connect_pipe(bench, dial);
    else
        dial->call->ops->failed(dial->call, true, "Connection refused");
}

/* Whose answer does not come in time, or has come. */
static void end_dials(struct bench *bench)
{
    size_t kept = 0;
    for (size_t i = 0; i < bench->dials_count; i++) {
        struct bench_dial it = bench->dials[i];
        bool is_walled = bench->is_walled[it.from][it.to] || bench->is_walled[it.to][it.from] ||
                         bench->nodes[it.to].is_paused;
        if (bench->nodes[it.from].is_paused || (bench->now_ms < it.at_ms) ||
            (is_walled && bench->now_ms < it.until_ms))
            bench->dials[kept++] = it;
        else if (is_walled)
            it.call->ops->failed(it.call, false, "Connection timed out");
        else
            dial(bench, &it);
    }
    bench->dials_count = kept;
}

static void take_calls(struct bench *bench, struct service *service, uint32_t node)
{
    struct outcall *call;
    while (service && (call = service_take_call(service))) {
        assert(bench->dials_count < BENCH_PIPES);
        bench->dials[bench->dials_count++] = (struct bench_dial){.call = call,
                                                                 .is_relay = service == bench->nodes[node].relays,
                                                                 .from = node,
                                                                 .to = call->port - 1u,
                                                                 .at_ms = bench->now_ms + 1,
                                                                 .until_ms = bench->now_ms + call->patience_ms};
    }
}

void bench_kill(struct bench *bench, uint32_t number)
{
    struct bench_node *node = &bench->nodes[number];
    size_t kept = 0;
    for (size_t i = 0; i < BENCH_PIPES; i++)
        for (uint32_t end = 0; end < 2; end++)
            if (bench->pipes[i].is_used && bench->pipes[i].ends[end] &&
                bench->pipes[i].nodes[end] == number)
                close_end(bench, &bench->pipes[i], end, true);
    for (size_t i = 0; i < bench->dials_count; i++)
        if (bench->dials[i].from != number)
            bench->dials[kept++] = bench->dials[i];
    bench->dials_count = kept;
    if (bench->end)
        bench->end(bench, number);
    else
        links_free(node->links);
    node->links = NULL;
    node->relays = node->clients = NULL;
    memset(node->to, 0, sizeof(node->to));
}

void bench_reset(struct bench *bench, struct bench_pipe *pipe, size_t arrives)
{
    (void)bench;
    for (uint32_t end = 0; end < 2; end++) {
        if (pipe->ways[end].size > arrives)
            pipe->ways[end].size = arrives;
        pipe->is_closed[end] = pipe->is_reset[end] = true;
    }
}

static bool is_between(const struct bench_pipe *pipe, uint32_t a, uint32_t b)
{
    return (pipe->nodes[0] == a && pipe->nodes[1] == b) ||
           (pipe->nodes[0] == b && pipe->nodes[1] == a);
}

struct bench_pipe *bench_any_pipe(struct bench *bench)
{
    uint64_t first = random_below(&bench->random, BENCH_PIPES);
    for (uint64_t i = 0; i < BENCH_PIPES; i++)
        if (bench->pipes[(first + i) % BENCH_PIPES].is_used)
            return &bench->pipes[(first + i) % BENCH_PIPES];
    return NULL;
}

struct bench_pipe *bench_pipe(struct bench *bench, uint32_t a, uint32_t b, enum link_way way)
{
    for (size_t i = 0; i < BENCH_PIPES; i++) {
        struct bench_pipe *pipe = &bench->pipes[i];
        if (!pipe->is_used || pipe->is_relay || !is_between(pipe, a, b) || !pipe->ends[0] || pipe->is_closed[0] ||
            pipe->is_closed[1])
            continue;
        if (list_entry(pipe->ends[0], struct link_connection, conversation)->way == way)
            return pipe;
    }
    return NULL;
}

/* ---- a step ---- */

/* What has arrived at one end. */
static void arrive(struct bench *bench, struct bench_pipe *pipe, uint32_t end)
{
    struct buffer *way = &pipe->ways[!end];
    struct conversation *conversation = pipe->ends[end];
    bool is_held = bench->is_blocked[pipe->nodes[!end]][pipe->nodes[end]] ||
                   bench->now_ms < pipe->holds_until_ms[!end];
    if (!conversation || is_held || bench->nodes[pipe->nodes[end]].is_paused)
        return;
    while (way->size && conversation_wants_input(conversation)) {
        size_t size = 1 + random_below(&bench->random, way->size);
        if (bench->bytes_per_step && size > bench->bytes_per_step)
            size = bench->bytes_per_step;
        void *copy =
            mem_dup(way->data, size); /* of its own size, so that reading past it is seen */
        buffer_drop(way, size);
        if (pipe->is_relay && end == 0 && bench->comes)
            bench->comes(bench, pipe);
        if (!pipe->is_relay && list_entry(conversation, struct link_connection, conversation)->way == LINK_WAY_CONTROL)
            bench->arrived_ms[pipe->nodes[end]][pipe->nodes[!end]] = bench->now_ms;
        conversation_input(conversation, bytes_of(copy, size));
        mem_free(copy);
        if (bench->bytes_per_step)
            break;
    }
    if (way->size || !pipe->is_closed[!end])
        return;
    conversation_lost(conversation, pipe->is_reset[!end] ? "Connection reset by peer" : NULL);
    close_end(bench, pipe, end, true);
}

/* In any order: what was sent by one connection may come before or after what was sent by another.
 */
static void arrive_all(struct bench *bench)
{
    size_t first = random_below(&bench->random, BENCH_PIPES);
    for (size_t i = 0; i < BENCH_PIPES; i++) {
        struct bench_pipe *pipe = &bench->pipes[(first + i) % BENCH_PIPES];
        for (uint32_t end = 0; end < 2; end++)
            if (pipe->is_used)
                arrive(bench, pipe, end);
    }
}

static void send_all(struct bench *bench, struct conversation *conversation)
{
    struct bench_pipe *pipe = conversation->owner;
    uint32_t end = pipe->ends[1] == conversation;
    struct iovec parts[PARTS];
    int count;
    while (pipe->ways[end].size < 65536 &&
           (count = conversation_output(conversation, parts, PARTS)) > 0) {
        size_t size = 0;
        for (int i = 0; i < count; i++) {
            if (!pipe->is_closed[end] && pipe->ends[!end])
                buffer_add(&pipe->ways[end], parts[i].iov_base, parts[i].iov_len);
            size += parts[i].iov_len;
        }
        conversation_sent(conversation, size);
    }
    if (conversation_is_finished(conversation))
        close_end(bench, pipe, end, false);
}

/* Those that could not send all before are tried again. */
static void flush(struct bench *bench, uint32_t number)
{
    struct bench_node *node = &bench->nodes[number];
    while (service_take_writable(links_service(node->links)) ||
           (node->relays && service_take_writable(node->relays)))
        continue;
    for (size_t i = 0; i < BENCH_PIPES; i++)
        for (uint32_t end = 0; end < 2; end++)
            if (bench->pipes[i].is_used && bench->pipes[i].ends[end] &&
                bench->pipes[i].nodes[end] == number)
                send_all(bench, bench->pipes[i].ends[end]);
}

static void run_node(struct bench *bench, uint32_t number)
{
    struct link_event event;
    struct links *links = bench->nodes[number].links;
    service_tick(links_service(links), bench->now_ms, 0);
    if (bench->turn)
        bench->turn(bench, number);
    while (!bench->turn && bench->drains && links_next(links, &event))
        if (bench->event)
            bench->event(bench, number, &event);
    take_calls(bench, links_service(links), number);
    take_calls(bench, bench->nodes[number].relays, number);
    flush(bench, number);
}

static void wake(const struct bench *bench, const struct bench_node *node)
{
    service_woken(links_service(node->links), bench->now_ms);
    if (node->relays)
        service_woken(node->relays, bench->now_ms);
    if (node->clients)
        service_woken(node->clients, bench->now_ms);
}

void bench_step(struct bench *bench)
{
    bench->now_ms++;
    for (uint32_t i = 0; i < BENCH_NODES; i++)
        if (bench->nodes[i].links && !bench->nodes[i].is_paused)
            wake(bench, &bench->nodes[i]);
    end_dials(bench);
    arrive_all(bench);
    for (uint32_t i = 0; i < BENCH_NODES; i++)
        if (bench->nodes[i].links && !bench->nodes[i].is_paused)
            run_node(bench, i);
}

void bench_run(struct bench *bench, uint64_t ms)
{
    for (uint64_t i = 0; i < ms; i++)
        bench_step(bench);
}

bool bench_is_up(const struct bench *bench, uint32_t a, uint32_t b)
{
    const struct bench_node *nodes = bench->nodes;
    return nodes[a].links && nodes[b].links && nodes[a].to[b] && nodes[b].to[a] &&
           link_is_up(nodes[a].to[b]) && link_is_up(nodes[b].to[a]);
}

bool bench_connect(struct bench *bench, uint32_t a, uint32_t b, uint64_t ms)
{
    for (uint64_t i = 0; i < ms && !bench_is_up(bench, a, b); i++)
        bench_step(bench);
    return bench_is_up(bench, a, b);
}

void bench_free(struct bench *bench)
{
    for (uint32_t i = 0; i < BENCH_NODES; i++) {
        if (bench->nodes[i].links)
            bench_kill(bench, i);
        if (bench->nodes[i].disk)
            disk_memory_free(bench->nodes[i].disk);
    }
}
