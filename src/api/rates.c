#include "api/rates.h"

#include <stdio.h>

#include "api/call.h"
#include "base/mem.h"
#include "broker/exchange.h"
#include "broker/vhost.h"
#include "session/look.h"

/* What is looked at, and what may be in one turn, in steps of base/budget.h; the turns after it
 * follow at once, but so that all of it takes a hundredth of the time. */
enum { QUEUES_AT_ONCE = 64, SUM_STEPS = 1000, QUEUE_STEPS = 25 };
enum { PART_STEPS = 3000, CLIENT_STEPS = 300, SWEEP_STEPS = 1500 };
/* For each that begins, and for what is allocated or given back. */
enum { BEGIN_STEPS = 50, BYTES_A_STEP = 16 };
enum { TURN_STEPS = BUDGET_MS / 4, TURN_MS = 25 };
enum { IDLE_MS = 600000, COUNT_MAX = 200000 };
static const size_t bytes_max = 32 << 20; /* of samples */

struct rates {
    struct service service;
    struct api *api;
    struct idmap of[RATED_KINDS]; /* struct history by number */
    struct history *all, *node;
    struct history *nothing; /* of what was not looked at yet */
    struct history_budget budget;
    size_t count; /* of what is in the maps */
    enum {
        ROUND_WAITS,
        ROUND_SUMS,
        ROUND_QUEUES,
        ROUND_EXCHANGES,
        ROUND_CHANNELS,
        ROUND_CONNECTIONS,
        ROUND_SWEEPS,
    } state;
    uint32_t round; /* marks what was met in it */
    uint32_t step_ms;
    uint64_t began_ms, next_ms, now_ms;
    uint64_t before_ms;     /* when the round before began */
    uint64_t vhosts_at, at; /* where to go on */
    unsigned swept;         /* kinds */
    size_t summed;          /* queues, at most, in this round */
    struct list due;        /* queues that are to be looked at in it: queue_tally->sampled_link */
    struct list kept;       /* struct history of queues: the one that changed last comes last */
    struct server_walk walk;
    struct buffer met;   /* struct client_id: what the walk has come to, and is looked at, */
    size_t met_at;       /* from here on */
    struct buffer gone;  /* numbers */
    struct budget *turn;
};

/* ---- one of them ---- */

static bool is_nothing(const uint64_t *values, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (values[i])
            return false;
    return true;
}

/* A sample; where those before it begin to be kept, or do no more, this is most of the work. */
static void add(struct rates *rates, struct history *history, uint64_t at_ms,
                const uint64_t *values)
{
    size_t before = rates->budget.used;
    history_add(history, at_ms, values, &rates->budget);
    size_t after = rates->budget.used;
    budget_use(rates->turn, (after > before ? after - before : before - after) / BYTES_A_STEP);
}

/* What has begun since the round before was nothing then. */
static struct history *begin(struct rates *rates, enum rated kind, uint64_t number,
                             const uint64_t *values, uint32_t count, bool is_new)
{
    static const uint64_t zeros[HISTORY_COUNTERS_MAX];
    if (rates->count >= COUNT_MAX)
        return NULL;
    struct history *history = history_new(count);
    history->number = number;
    budget_use(rates->turn, BEGIN_STEPS);
    add(rates, history, rates->before_ms, is_new ? zeros : values);
    idmap_add(&rates->of[kind], number, history);
    rates->count++;
    return history;
}

/* A sample of one that has such counters now. */
static void look_at(struct rates *rates, enum rated kind, uint64_t number, const uint64_t *values,
                    uint32_t count)
{
    struct history *history = idmap_find(&rates->of[kind], number);
    if (!history && is_nothing(values, count))
        return;
    if (!history)
        history = begin(rates, kind, number, values, count, true);
    if (!history)
        return;
    if (history->at_ms < rates->now_ms)
        add(rates, history, rates->now_ms, values);
    history->mark = rates->round;
}

/* Nothing has happened to it until the round before. */
static void go_on(struct rates *rates, struct history *history)
{
    uint64_t values[HISTORY_COUNTERS_MAX];
    if (history->at_ms >= rates->before_ms)
        return;
    for (uint32_t i = 0; i < history->count; i++)
        values[i] = history->counters[i].now;
    add(rates, history, rates->before_ms, values);
}

static struct history *queue_history(struct rates *rates, const struct queue *queue,
                                     const uint64_t *values)
{
    struct queue_tally *tally = queue->tally;
    struct history *history = idmap_find(&rates->of[RATED_QUEUE], queue->id);
    if (history)
        go_on(rates, history);
    else
        history = begin(rates, RATED_QUEUE, queue->id, values, RATES_OF_QUEUE, !tally->was_sampled);
    tally->was_sampled |= history != NULL;
    return history;
}

/* What has changed is looked at once more, so that its rates fall. */
static void look_at_queue(struct rates *rates, struct queue *queue)
{
    const struct counts *counts = queue->counts;
    uint64_t values[RATES_OF_QUEUE];
    budget_use(rates->turn, QUEUE_STEPS);
    if (!counts || queue->is_delay || is_nothing(queue->tally->of, TALLIES_OF_QUEUE))
        return;
    memcpy(values, queue->tally->of, sizeof(queue->tally->of));
    values[RATE_QUEUE_READY] = counts->ready;
    values[RATE_QUEUE_UNACKED] = counts->taken;
    values[RATE_QUEUE_MESSAGES] = counts->ready + counts->taken + counts->delayed;
    struct history *history = queue_history(rates, queue, values);
    if (!history)
        return;
    if (history->at_ms < rates->now_ms)
        add(rates, history, rates->now_ms, values);
    if (history->changed_ms != rates->now_ms && !list_is_empty(&history->link))
        return;
    list_remove(&history->link);
    list_push_back(&rates->kept, &history->link);
    queue_sample_again(queue);
}

static uint64_t routed(uint64_t published, int64_t more)
{
    return published + (uint64_t)more;
}

static void look_at_exchange(void *context, void *value)
{
    const struct exchange *exchange = value;
    const uint64_t values[RATES_OF_EXCHANGE] = {exchange->published,
                                                routed(exchange->published, exchange->routed_more)};
    look_at(context, RATED_EXCHANGE, exchange->number, values, RATES_OF_EXCHANGE);
}

static void look_at_channel(struct rates *rates, struct client_id id)
{
    struct channel_view view;
    budget_use(rates->turn, CLIENT_STEPS);
    if (server_channel(rates->api->server, id, &view))
        look_at(rates, RATED_CHANNEL, rates_channel(id.connection, id.channel), view.tally,
                TALLIES);
}

static void look_at_connection(struct rates *rates, struct client_id id)
{
    struct connection_view view;
    budget_use(rates->turn, CLIENT_STEPS);
    if (!server_connection(rates->api->server, id.connection, &view))
        return;
    const uint64_t values[RATES_OF_CONNECTION] = {view.received_bytes, view.sent_bytes};
    look_at(rates, RATED_CONNECTION, id.connection, values, RATES_OF_CONNECTION);
}

/* ---- all together ---- */

static uint64_t tally_of_all(const struct broker *broker, enum tally what)
{
    return broker->queues.tallies[QUEUE_CLASS_CLASSIC][what] +
           broker->queues.tallies[QUEUE_CLASS_QUORUM][what];
}

void rates_count_all(const struct api *api, uint64_t *values)
{
    const struct published_counts *published = server_published(api->server);
    struct unroutable_counts unroutable = server_unroutable(api->server);
    for (int i = 0; i < TALLIES_OF_QUEUE; i++)
        values[i] = tally_of_all(api->broker, (enum tally)i);
    values[TALLY_PUBLISHED] = published_messages(published);
    values[TALLY_CONFIRMED] = published->confirmed;
    values[TALLY_RETURNED] = unroutable.returned;
    values[TALLY_DROPPED] = unroutable.dropped;
}

static void look_at_all(struct rates *rates)
{
    uint64_t values[RATES_OF_ALL];
    const struct queue_sums *sums = &rates->api->broker->queues.sums;
    rates_count_all(rates->api, values);
    values[RATE_ALL_READY] = sums->ready;
    values[RATE_ALL_UNACKED] = sums->taken;
    values[RATE_ALL_MESSAGES] = sums->ready + sums->taken + sums->delayed;
    history_add(rates->all, rates->now_ms, values, &rates->budget);
}

static void look_at_node(struct rates *rates)
{
    const struct api *api = rates->api;
    const struct api_surroundings *surroundings = api->options.surroundings;
    const struct store_stats *store = store_stats(api->broker->store);
    struct server_counts counts = server_counts(api->server);
    struct api_machine machine = {0};
    if (surroundings)
        surroundings->look(surroundings, &machine);
    const uint64_t values[RATES_OF_NODE] = {
        [RATE_MEMORY] = machine.memory_used,
        [RATE_DISK_FREE] = machine.disk_free,
        [RATE_FILES] = machine.files_used,
        [RATE_SOCKETS] = machine.sockets_used,
        [RATE_THREADS] = machine.threads_used,
        [RATE_SWITCHES] = machine.switches,
        [RATE_SYNCS] = store->syncs,
        [RATE_BODIES_READ] = store->bodies_read,
        [RATE_BATCHES] = store->batches,
        [RATE_BYTES_WRITTEN] = store->bytes_written,
        [RATE_MESSAGES_WRITTEN] = store->messages_written,
        [RATE_CONNECTIONS_OPENED] = counts.connections_opened,
        [RATE_CONNECTIONS_CLOSED] = counts.connections_opened - counts.connections,
        [RATE_CHANNELS_OPENED] = counts.channels_opened,
        [RATE_CHANNELS_CLOSED] = counts.channels_opened - counts.channels,
        [RATE_QUEUES_DECLARED] = api->broker->queues_declared,
        [RATE_QUEUES_CREATED] = api->broker->queues_made - api->begun_queues,
        [RATE_QUEUES_DELETED] = api->broker->queues_gone,
    };
    history_add(rates->node, rates->now_ms, values, &rates->budget);
}

/* ---- what is gone, or idle ---- */

static void meet(void *context, void *value)
{
    struct rates *rates = context;
    const struct history *history = value;
    if (history->mark != rates->round)
        buffer_add(&rates->gone, &history->number, sizeof(history->number));
}

static void drop(struct rates *rates, enum rated kind, uint64_t number)
{
    struct history *history = idmap_remove(&rates->of[kind], number);
    if (!history)
        return;
    history_free(history, &rates->budget);
    rates->count--;
}

static void drop_all(struct rates *rates, enum rated kind, struct buffer *numbers)
{
    uint64_t number;
    for (size_t at = 0; at < numbers->size; at += sizeof(number)) {
        memcpy(&number, numbers->data + at, sizeof(number));
        drop(rates, kind, number);
    }
    numbers->size = 0;
}

/* The queue that nothing has happened to for longest, if that is long; false: it is not. */
static bool drop_idle(struct rates *rates)
{
    struct list *link = list_first(&rates->kept);
    const struct history *history = link ? list_entry(link, struct history, link) : NULL;
    if (!history || rates->now_ms - history->changed_ms < IDLE_MS)
        return false;
    drop(rates, RATED_QUEUE, history->number);
    return true;
}

/* Queues say themselves that they are gone. */
static bool sweep_queues(struct rates *rates)
{
    struct buffer *gone = &rates->api->broker->queues.gone;
    budget_use(rates->turn, SWEEP_STEPS + gone->size / sizeof(uint64_t) * BEGIN_STEPS);
    drop_all(rates, RATED_QUEUE, gone);
    for (int i = 0; i < QUEUES_AT_ONCE; i++)
        if (!drop_idle(rates))
            return false;
    return true;
}

/* False: that was all. */
static bool sweep_some(struct rates *rates)
{
    if (rates->swept == RATED_QUEUE) {
        rates->swept += !sweep_queues(rates);
        return true;
    }
    struct idmap *map = &rates->of[rates->swept];
    budget_use(rates->turn, SWEEP_STEPS);
    bool has_more = idmap_each_of_part(map, &rates->at, meet, rates);
    drop_all(rates, (enum rated)rates->swept, &rates->gone);
    if (has_more)
        return true;
    rates->at = 0;
    return ++rates->swept < RATED_KINDS;
}

/* ---- rounds ---- */

/* Each of those that were touched before the round is summed up once in it: false: these were. */
static bool sum_up_some(struct rates *rates)
{
    struct broker *broker = rates->api->broker;
    budget_use(rates->turn, SUM_STEPS);
    rates->summed += QUEUES_AT_ONCE;
    return queues_sum_up(&broker->queues, QUEUES_AT_ONCE) &&
           rates->summed < broker_queues(broker);
}

static bool look_at_next_queue(struct rates *rates)
{
    struct queue *queue = queues_take_sampled(&rates->due);
    if (queue)
        look_at_queue(rates, queue);
    return queue;
}

/* Of some exchanges of each virtual host in turn; false: that was all. */
static bool walk_exchanges(struct rates *rates)
{
    uint64_t at = rates->vhosts_at;
    const struct vhost *vhost = map_next_stable(&rates->api->broker->vhosts, &at);
    budget_use(rates->turn, PART_STEPS);
    if (!vhost)
        return false;
    if (!map_each_of_part(&vhost->exchanges, &rates->at, look_at_exchange, rates)) {
        rates->vhosts_at = at;
        rates->at = 0;
    }
    return true;
}

static void meet_client(void *context, struct client_id id, struct bytes tag)
{
    struct rates *rates = context;
    (void)tag;
    buffer_add(&rates->met, &id, sizeof(id));
}

/* A walk comes to hundreds at once, of which only the ids are noted: they are looked at one by one. */
static bool walk_clients(struct rates *rates, enum walk_depth depth,
                         void (*look)(struct rates *rates, struct client_id id))
{
    struct client_id id;
    if (rates->met_at < rates->met.size) {
        memcpy(&id, rates->met.data + rates->met_at, sizeof(id));
        rates->met_at += sizeof(id);
        look(rates, id);
        return true;
    }
    rates->met.size = rates->met_at = 0;
    rates->walk.depth = depth;
    budget_use(rates->turn, PART_STEPS);
    bool has_more = server_walk(rates->api->server, &rates->walk, meet_client, rates);
    return has_more || rates->met.size > 0;
}

static bool look_at_some(struct rates *rates)
{
    switch (rates->state) {
    case ROUND_SUMS:
        return sum_up_some(rates);
    case ROUND_QUEUES:
        return look_at_next_queue(rates);
    case ROUND_EXCHANGES:
        return walk_exchanges(rates);
    case ROUND_CHANNELS:
        return walk_clients(rates, WALK_CHANNELS, look_at_channel);
    case ROUND_CONNECTIONS:
        return walk_clients(rates, WALK_CONNECTIONS, look_at_connection);
    default:
        return sweep_some(rates);
    }
}

static void begin_round(struct rates *rates)
{
    rates->before_ms = rates->began_ms;
    rates->began_ms = rates->now_ms;
    rates->round++;
    rates->state = ROUND_SUMS;
    rates->summed = 0;
}

static void end_part(struct rates *rates)
{
    bool were_sums = rates->state == ROUND_SUMS;
    server_walk_free(&rates->walk);
    rates->walk = (struct server_walk){.connections_at = 0};
    rates->vhosts_at = rates->at = rates->swept = 0;
    rates->state = rates->state == ROUND_SWEEPS ? ROUND_WAITS : rates->state + 1;
    if (!were_sums)
        return;
    list_append_all(&rates->due, &rates->api->broker->queues.sampled);
    look_at_all(rates);
    look_at_node(rates);
}

static void tick(struct service *service, uint64_t now_ms, uint64_t clock_ms)
{
    struct rates *rates = list_entry(service, struct rates, service);
    struct budget turn = budget_of(TURN_STEPS);
    (void)clock_ms;
    if (now_ms < rates->next_ms)
        return;
    steps_next(rates->api->options.steps, "rates");
    rates->now_ms = now_ms;
    rates->turn = &turn;
    if (rates->state == ROUND_WAITS)
        begin_round(rates);
    while (rates->state != ROUND_WAITS && !budget_is_spent(&turn))
        if (!look_at_some(rates))
            end_part(rates);
    uint64_t due_ms = rates->began_ms + rates->step_ms;
    rates->next_ms = rates->state != ROUND_WAITS ? now_ms + TURN_MS
                     : due_ms > now_ms           ? due_ms
                                                 : now_ms + TURN_MS;
}

static uint64_t next_ms(const struct service *service)
{
    return list_entry(service, struct rates, service)->next_ms;
}

/* Nobody is spoken to. */
static void shut_down(struct service *service)
{
    (void)service;
}

struct rates *rates_new(struct api *api, uint64_t now_ms)
{
    static const struct service_ops ops = {.tick = tick, .next_ms = next_ms, .shutdown = shut_down};
    struct rates *rates = mem_zalloc(sizeof(*rates));
    service_init(&rates->service, &ops);
    rates->api = api;
    rates->budget.max = bytes_max;
    list_init(&rates->due);
    list_init(&rates->kept);
    api->broker->queues.is_sampled = true;
    rates->all = history_new(RATES_OF_ALL);
    rates->node = history_new(RATES_OF_NODE);
    rates->nothing = history_new(HISTORY_COUNTERS_MAX);
    rates->began_ms = rates->now_ms = now_ms;
    rates->step_ms = api->options.rates_ms ? api->options.rates_ms : HISTORY_STEP_MS;
    rates->budget.step_ms = rates->step_ms;
    rates->next_ms = now_ms + rates->step_ms;
    for (int i = 0; i < RATED_KINDS; i++)
        idmap_init(&rates->of[i]);
    return rates;
}

void rates_free(struct rates *rates)
{
    struct history *history;
    list_append_all(&rates->api->broker->queues.sampled, &rates->due);
    for (int i = 0; i < RATED_KINDS; i++) {
        for (uint64_t at = 0; (history = idmap_next(&rates->of[i], &at));)
            history_free(history, &rates->budget);
        idmap_free(&rates->of[i]);
    }
    history_free(rates->all, &rates->budget);
    history_free(rates->node, &rates->budget);
    history_free(rates->nothing, &rates->budget);
    server_walk_free(&rates->walk);
    buffer_free(&rates->gone);
    buffer_free(&rates->met);
    mem_free(rates);
}

struct forgetting {
    struct rates *rates;
    struct budget *budget;
};

static void forget(struct history *history, struct history_budget *kept, struct budget *budget)
{
    size_t before = kept->used;
    history_forget(history, kept);
    budget_use(budget, (before - kept->used) / BYTES_A_STEP);
}

static void forget_one(void *context, void *value)
{
    const struct forgetting *forgetting = context;
    forget(value, &forgetting->rates->budget, forgetting->budget);
}

bool rates_forget(struct rates *rates, struct rates_place *place, struct budget *budget)
{
    struct forgetting forgetting = {rates, budget};
    if (place->kind == RATED_KINDS) {
        forget(rates->all, &rates->budget, budget);
        forget(rates->node, &rates->budget, budget);
        return false;
    }
    budget_use(budget, SWEEP_STEPS);
    if (!idmap_each_of_part(&rates->of[place->kind], &place->at, forget_one, &forgetting))
        *place = (struct rates_place){place->kind + 1, 0};
    return true;
}

struct service *rates_service(struct rates *rates)
{
    return &rates->service;
}

const struct history *rates_of(const struct rates *rates, enum rated kind, uint64_t number)
{
    const struct history *history = idmap_find(&rates->of[kind], number);
    return history ? history : rates->nothing;
}

const struct history *rates_of_queue(const struct rates *rates, const struct queue *queue)
{
    bool is_idle = !queue->tally || queue->tally->was_sampled ||
                   is_nothing(queue->tally->of, TALLIES_OF_QUEUE);
    const struct history *history = idmap_find(&rates->of[RATED_QUEUE], queue->id);
    return history || is_idle ? history : rates->nothing;
}

const struct history *rates_of_all(const struct rates *rates)
{
    return rates->all;
}

const struct history *rates_of_node(const struct rates *rates)
{
    return rates->node;
}

/* ---- in answers ---- */

enum { SAMPLES_MAX = 500, DETAILS_BYTES = 64 };

/* In seconds; `step_s` 0: nobody wants samples. */
struct range {
    uint64_t age_s, step_s;
};

static struct range read_range(const struct call *call, enum rates_range which)
{
    static const char *const names[][2] = {[RANGE_MESSAGES] = {"msg_rates_age", "msg_rates_incr"},
                                           [RANGE_DATA] = {"data_rates_age", "data_rates_incr"},
                                           [RANGE_LENGTHS] = {"lengths_age", "lengths_incr"},
                                           [RANGE_NODE] = {"node_stats_age", "node_stats_incr"}};
    struct range range = {0};
    if (call_read_digits(call_parameter(call, names[which][0]), &range.age_s) &&
        call_read_digits(call_parameter(call, names[which][1]), &range.step_s) && range.step_s &&
        range.step_s <= UINT32_MAX && range.age_s / range.step_s < SAMPLES_MAX)
        return range;
    return (struct range){0};
}

static double rate_of(const struct history *history, uint32_t counters)
{
    double rate = 0;
    for (uint32_t i = 0; history && i < history->count; i++)
        if (counters & 1u << i)
            rate += (double)history->counters[i].rate;
    return rate;
}

static uint64_t value_at(const struct history *history, uint32_t counters, uint64_t at_ms)
{
    uint64_t value = 0;
    for (uint32_t i = 0; i < history->count; i++)
        if (counters & 1u << i)
            value += history_at(history, i, at_ms);
    return value;
}

static void put_sample(struct fields *fields, uint64_t sample, uint64_t clock_ms)
{
    fields_begin(fields, '{');
    fields_whole(fields, "sample", sample);
    fields_whole(fields, "timestamp", clock_ms);
    fields_end(fields, '}');
}

/* The newest first, at whole steps of the wall clock. */
static void add_samples(struct fields *fields, const struct call *call, const struct range *range,
                        const struct history *history, uint32_t counters, uint64_t count)
{
    uint64_t clock_ms = call->api->broker->clock_ms, now_ms = server_now_ms(call->api->server);
    uint64_t step_ms = range->step_s * 1000, newest_ms = clock_ms / step_ms * step_ms;
    uint64_t samples = range->age_s / range->step_s + 1, first = 0, second = 0, last = 0;
    double sum = 0;
    bool is_open = fields_open(fields, "samples", '[');
    for (uint64_t i = 0; i < samples; i++) {
        uint64_t back_ms = clock_ms - newest_ms + i * step_ms;
        last =
            history ? value_at(history, counters, back_ms < now_ms ? now_ms - back_ms : 0) : count;
        first = i == 0 ? last : first;
        second = i <= 1 ? last : second;
        sum += (double)last;
        if (is_open)
            put_sample(fields, last, newest_ms - i * step_ms);
    }
    if (is_open)
        fields_close(fields, ']');
    double age_s = (double)(samples - 1) * (double)range->step_s;
    fields_fraction(fields, "rate", ((double)first - (double)second) / (double)range->step_s);
    fields_fraction(fields, "avg_rate", age_s > 0 ? ((double)first - (double)last) / age_s : 0);
    fields_fraction(fields, "avg", sum / (double)samples);
}

void rates_add(struct fields *fields, const struct call *call, enum rates_range which,
               const struct history *history, uint32_t counters, const char *name, uint64_t count)
{
    char details[DETAILS_BYTES];
    struct range range = read_range(call, which);
    snprintf(details, sizeof(details), "%s_details", name);
    fields_whole(fields, name, count);
    if (!fields_open(fields, details, '{'))
        return;
    if (range.step_s)
        add_samples(fields, call, &range, history, counters, count);
    else
        fields_fraction(fields, "rate", rate_of(history, counters));
    fields_close(fields, '}');
}

/* What publishers do, and what consumers do, is told where any of it has happened. */
static const struct {
    const char *name;
    enum tally tally;
} published_names[] = {{"publish", TALLY_PUBLISHED},
                       {"confirm", TALLY_CONFIRMED},
                       {"return_unroutable", TALLY_RETURNED},
                       {"drop_unroutable", TALLY_DROPPED}},
  taken_names[] = {{"ack", TALLY_ACKNOWLEDGED},
                   {"deliver", TALLY_DELIVERED},
                   {"deliver_no_ack", TALLY_DELIVERED_NO_ACK},
                   {"get", TALLY_GOT},
                   {"get_empty", TALLY_GOT_EMPTY},
                   {"get_no_ack", TALLY_GOT_NO_ACK},
                   {"redeliver", TALLY_REDELIVERED}};

enum { PUBLISHED_NAMES = sizeof(published_names) / sizeof(published_names[0]) };
enum { TAKEN_NAMES = sizeof(taken_names) / sizeof(taken_names[0]) };

static bool any_taken(const uint64_t *tally)
{
    for (size_t i = 0; i < TAKEN_NAMES; i++)
        if (tally[taken_names[i].tally])
            return true;
    return false;
}

static void add_taken(struct fields *fields, const struct call *call, const struct history *history,
                      const uint64_t *tally)
{
    static const uint32_t all = 1u << TALLY_DELIVERED | 1u << TALLY_DELIVERED_NO_ACK |
                                1u << TALLY_GOT | 1u << TALLY_GOT_NO_ACK;
    for (size_t i = 0; i < TAKEN_NAMES; i++)
        rates_add(fields, call, RANGE_MESSAGES, history, 1u << taken_names[i].tally,
                  taken_names[i].name, tally[taken_names[i].tally]);
    rates_add(fields, call, RANGE_MESSAGES, history, all, "deliver_get",
              tally[TALLY_DELIVERED] + tally[TALLY_DELIVERED_NO_ACK] + tally[TALLY_GOT] +
                  tally[TALLY_GOT_NO_ACK]);
}

void rates_add_messages(struct fields *fields, const struct call *call,
                        const struct history *history, const uint64_t *tally, size_t count)
{
    bool is_published = tally[TALLY_PUBLISHED], is_taken = any_taken(tally);
    if ((!is_published && !is_taken) || !fields_open(fields, "message_stats", '{'))
        return;
    for (size_t i = 0; is_published && i < PUBLISHED_NAMES; i++)
        if (published_names[i].tally < count)
            rates_add(fields, call, RANGE_MESSAGES, history, 1u << published_names[i].tally,
                      published_names[i].name, tally[published_names[i].tally]);
    if (is_taken)
        add_taken(fields, call, history, tally);
    fields_close(fields, '}');
}

void rates_add_all_messages(struct fields *fields, const struct call *call,
                            const struct history *history, const uint64_t *tally)
{
    bool is_published = tally[TALLY_PUBLISHED] || any_taken(tally);
    if (!fields_open(fields, "message_stats", '{'))
        return;
    for (size_t i = 0; is_published && i < PUBLISHED_NAMES; i++)
        rates_add(fields, call, RANGE_MESSAGES, history, 1u << published_names[i].tally,
                  published_names[i].name, tally[published_names[i].tally]);
    if (is_published) {
        const struct store_stats *store = store_stats(call->api->broker->store);
        const struct history *node = call->api->rates->node;
        add_taken(fields, call, history, tally);
        rates_add(fields, call, RANGE_MESSAGES, node, 1u << RATE_BODIES_READ, "disk_reads",
                  store->bodies_read);
        rates_add(fields, call, RANGE_MESSAGES, node, 1u << RATE_MESSAGES_WRITTEN, "disk_writes",
                  store->messages_written);
    }
    fields_close(fields, '}');
}
