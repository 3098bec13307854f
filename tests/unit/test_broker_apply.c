/* Random names come and go, again and again, on brokers that hear of it in different ways: one
 * decides and applies in two steps, one by the functions that the session calls, one is told what
 * was decided and nothing else, and one is restored from the record. They must be the same. */
#include "broker/apply.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker/permission.h"
#include "broker/parameter.h"
#include "broker/policy.h"
#include "broker/reconfigure.h"
#include "tests/lib/broker_bench.h"

#include "broker/removal.h"

enum { SEEDS = 20, STEPS = 600, MANY = 1500, LINES_MAX = 8000, LINE_MAX = 400 };

struct world {
    struct random random;
    struct store *store;
    struct broker broker;
    struct queue_set set;
};

static struct message_pool pool;
static struct log quiet;
static struct random dice;
static bool only_durable;
/* That it happened at all. */
static size_t puts_met, cascades_met, leavings_met, restarts_met;
/* Two steps; the session's way; told. */
static struct world decides, calls, told;

static struct vhost *vhost_in(struct world *world, const char *name)
{
    return vhost_find(&world->broker, bytes_str(name));
}

static bool world_open(struct world *world, struct store *store, uint64_t seed)
{
    char error[300] = "";
    *world = (struct world){.store = store};
    random_init(&world->random, seed);
    broker_init(&world->broker, store, &pool, &world->random, &quiet, 0);
    bool opened = broker_restore(&world->broker, error, sizeof(error));
    if (!opened)
        printf("# %s\n", error);
    return opened;
}

static void world_free(struct world *world)
{
    queue_set_free(&world->set);
    broker_free(&world->broker);
    store_fake_free(world->store);
}

/* ---- what a broker holds, as sorted lines ---- */

struct lines {
    char (*text)[LINE_MAX];
    size_t count;
    bool only_durable;
};

static char *line_add(struct lines *lines, bool durable)
{
    if (lines->only_durable && !durable)
        return NULL;
    if (lines->count == LINES_MAX)
        bail("too many lines");
    return lines->text[lines->count++];
}

static const char *hex(struct bytes bytes)
{
    static char text[2][160];
    static unsigned which;
    char *out = text[++which % 2];
    out[0] = '\0';
    for (size_t i = 0; i < bytes.size && i < 79; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes.data[i]);
    return out;
}

static void add_binding(struct lines *lines, const struct binding *binding)
{
    const struct exchange *source = binding->source;
    bool is_gone = source->is_leaving ||
                   (binding->queue ? binding->queue->is_leaving : binding->exchange->is_leaving);
    bool durable =
        source->durable && (binding->queue ? binding->queue->durable : binding->exchange->durable);
    char *line = line_add(lines, durable && !is_gone);
    struct bytes name =
        binding->queue ? queue_name(binding->queue) : exchange_name(binding->exchange);
    if (line)
        snprintf(line, LINE_MAX, "%s binding %s to %s %.*s by %s %s", source->vhost->name,
                 source->name, binding->queue ? "queue" : "exchange", BYTES_ARG(name),
                 hex(binding_key(binding)), hex(binding_arguments(binding)));
}

static void add_exchange(struct lines *lines, const struct exchange *exchange)
{
    char *line = line_add(lines, exchange->durable);
    if (line)
        snprintf(line, LINE_MAX, "%s exchange %s %s %d%d%d %s %s", exchange->vhost->name,
                 exchange->name, exchange->kind->name, exchange->durable, exchange->auto_delete,
                 exchange->internal, exchange->alternate ? exchange->alternate : "-",
                 hex(exchange_arguments(exchange)));
}

static void add_queue(struct lines *lines, const struct queue *queue)
{
    char *line = line_add(lines, queue->durable);
    if (line)
        snprintf(
            line, LINE_MAX, "%s queue %s %llx %d%d%d %s %llx %s", queue->vhost->name, queue->name,
            (unsigned long long)queue->id, queue->durable, queue->auto_delete,
            (int)queue->exclusive_owner, hex(bytes_of(queue->arguments, queue->arguments_size)),
            (unsigned long long)queue->settings->max_length,
            queue->settings->dead_letter_exchange ? queue->settings->dead_letter_exchange : "-");
}

static void add_policies(struct lines *lines, const struct vhost *vhost, bool is_operator)
{
    const struct policy *policy;
    for (size_t at = 0; (policy = policy_next(vhost, is_operator, &at));)
        snprintf(line_add(lines, true), LINE_MAX, "%s policy %d %zu %s %s %s %d %s", vhost->name,
                 is_operator, at, policy->name, policy->pattern.text, policy_applies_to(policy),
                 (int)policy->priority, hex(policy_definition(policy)));
}

static void add_parameters(struct lines *lines, const char *where, const struct map *parameters)
{
    const struct parameter *parameter;
    for (uint64_t at = 0; (parameter = map_next(parameters, &at));)
        snprintf(line_add(lines, true), LINE_MAX, "%s parameter %s %d %s", where,
                 hex(bytes_of(parameter->key, parameter->key_size)), parameter->is_text,
                 (const char *)parameter->value);
}

static void add_vhost(struct lines *lines, const struct vhost *vhost)
{
    const void *found;
    for (uint64_t at = 0; (found = map_next(&vhost->exchanges, &at));)
        add_exchange(lines, found);
    for (uint64_t at = 0; (found = map_next(&vhost->queues, &at));)
        add_queue(lines, found);
    for (uint64_t at = 0; (found = set_next(&vhost->bindings, &at));)
        add_binding(lines, found);
    add_policies(lines, vhost, false);
    add_policies(lines, vhost, true);
    add_parameters(lines, vhost->name, &vhost->parameters);
    char *line = line_add(lines, false);
    if (line)
        snprintf(line, LINE_MAX, "%s leaving %zu %zu", vhost->name,
                 map_count(&vhost->leaving_queues), map_count(&vhost->leaving_exchanges));
    snprintf(line_add(lines, true), LINE_MAX, "vhost %s %s %s %s %d %u %d", vhost->name,
             vhost->description, vhost->tags, vhost->queue_type, vhost->max_queues.is_set,
             vhost->max_queues.most, vhost->is_protected);
}

static void add_permissions(struct lines *lines, const struct user *user)
{
    const struct permission *permission;
    const struct topic_permission *topic;
    for (uint64_t at = 0; (permission = map_next(&user->permissions, &at));)
        snprintf(line_add(lines, true), LINE_MAX, "permission %s %s %s %s %s", user->name,
                 permission->vhost, permission->patterns[ACCESS_CONFIGURE].text,
                 permission->patterns[ACCESS_WRITE].text, permission->patterns[ACCESS_READ].text);
    for (uint64_t at = 0; (topic = map_next(&user->topics, &at));)
        snprintf(line_add(lines, true), LINE_MAX, "topics %s %s %s %s %s", user->name,
                 hex(bytes_of(topic->key, topic->key_size)), topic->patterns[ACCESS_WRITE].text,
                 topic->patterns[ACCESS_READ].text, topic->expanded[ACCESS_READ].text);
}

static void add_users(struct lines *lines, const struct broker *broker)
{
    const struct user *user;
    for (uint64_t at = 0; (user = map_next(&broker->users, &at));)
        if (!bytes_equal_str(user_name(user), "guest")) {
            snprintf(line_add(lines, true), LINE_MAX, "user %s %s %s %d %u", user->name,
                     hex(bytes_of(user->password_hash, user->has_password ? 36 : 0)),
                     user->tags_text, user->max_channels.is_set, user->max_channels.most);
            add_permissions(lines, user);
        }
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(a, b);
}

static struct lines lines_of(const struct broker *broker, bool durable)
{
    struct lines lines = {.text = calloc(LINES_MAX, LINE_MAX), .only_durable = durable};
    const struct vhost *vhost;
    for (uint64_t at = 0; (vhost = map_next(&broker->vhosts, &at));)
        add_vhost(&lines, vhost);
    add_users(&lines, broker);
    add_parameters(&lines, "", &broker->parameters);
    char *line = line_add(&lines, false);
    size_t doomed = 0;
    list_for_each(link, &broker->doomed) {
        doomed++;
    }
    if (line)
        snprintf(line, LINE_MAX, "doomed %zu", doomed);
    qsort(lines.text, lines.count, LINE_MAX, compare_lines);
    return lines;
}

static bool same_names(const struct broker *one, const struct broker *other, bool durable)
{
    struct lines left = lines_of(one, durable), right = lines_of(other, durable);
    bool same = true;
    for (size_t i = 0; same && i < LINES_MAX && (i < left.count || i < right.count); i++) {
        same = strcmp(left.text[i], right.text[i]) == 0;
        if (!same)
            printf("# '%s' or '%s'\n", left.text[i], right.text[i]);
    }
    free(left.text);
    free(right.text);
    return same;
}

/* ---- where messages go ---- */

static const char *const keys[] = {"", "a", "a.b", "b.b", "#", "*.b", "a.#", "a.b.c", "7", "300"};

static int compare_queues(const void *a, const void *b)
{
    return bytes_compare(queue_name(*(struct queue *const *)a),
                         queue_name(*(struct queue *const *)b));
}

static void route(struct world *world, struct exchange *exchange, struct bytes key,
                  struct bytes headers)
{
    struct route wanted = {.keys = &key, .count = 1, .headers = headers};
    exchange_route(exchange, &wanted, &world->set);
    if (world->set.count)
        qsort(world->set.queues, world->set.count, sizeof(struct queue *), compare_queues);
}

static bool same_queues(const struct queue_set *one, const struct queue_set *other)
{
    bool same = one->count == other->count;
    for (size_t i = 0; same && i < one->count; i++)
        same = bytes_equal(queue_name(one->queues[i]), queue_name(other->queues[i]));
    return same;
}

static bool same_routes(struct world *one, struct world *other)
{
    bool same = true;
    struct vhost *vhost;
    struct exchange *exchange;
    for (uint64_t i = 0; (vhost = map_next(&one->broker.vhosts, &i));)
        for (uint64_t j = 0; (exchange = map_next(&vhost->exchanges, &j));) {
            struct bytes key = bytes_str(keys[random_below(&dice, 10)]);
            struct bytes headers = bench_table(random_below(&dice, 2) ? "a=I1" : "a=I1 b=I2");
            struct exchange *twin =
                vhost_exchange(vhost_in(other, vhost->name), exchange_name(exchange));
            route(one, exchange, key, headers);
            route(other, twin, key, headers);
            if (one->set.varies && other->set.varies)
                continue;
            if (same && !same_queues(&one->set, &other->set))
                printf("# %s and %s: %zu and %zu queues\n", exchange->name, twin->name,
                       one->set.count, other->set.count);
            same &= same_queues(&one->set, &other->set);
        }
    return same;
}

/* ---- the brokers hear of it ---- */

static void copy(struct changes *out, const struct change *from)
{
    struct change change = *from;
    struct bytes *parts[] = {&change.vhost,        &change.name, &change.source,
                             &change.routing_key,  &change.type, &change.arguments,
                             &change.password_hash, &change.tags, &change.description,
                             &change.queue_type, &change.configure, &change.write, &change.read,
                             &change.pattern, &change.definition};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        *parts[i] = changes_keep(out, *parts[i]);
    changes_add(out, &change);
}

/* What was decided is applied where it was decided; then the other one gets copies. */
static void apply(struct changes *changes)
{
    struct changes copies = {0};
    size_t exchanges = 0;
    for (size_t i = 0; i < changes->count; i++) {
        const struct change *change = &changes->list[i];
        copy(&copies, change);
        puts_met += !change->is_delete;
        leavings_met += change->kind == CATALOGUE_LEAVING;
        exchanges += change->kind == CATALOGUE_EXCHANGE && change->is_delete;
    }
    cascades_met += exchanges > 1;
    changes_apply(&decides.broker, changes);
    for (size_t i = 0; i < copies.count; i++)
        catalogue_apply(&told.broker, &copies.list[i], OFF_RECORD);
    changes_free(&copies);
}

static bool same_answer(bool decided, bool called, const struct error *one,
                        const struct error *other)
{
    bool same = decided == called &&
                (decided || (one->code == other->code && strcmp(one->detail, other->detail) == 0));
    if (!same)
        printf("# '%s' or '%s'\n", one->detail, other->detail);
    return same;
}

static const char *one_of_exchanges(bool may_be_predeclared)
{
    static const char *const names[] = {"e1", "e2",    "e3",         "e4",        "e5",
                                        "e6", "e\n1",  "amq.direct", "amq.topic", "amq.fanout",
                                        "",   "amq.x", "amq.headers"};
    return names[random_below(&dice, may_be_predeclared ? 13 : 7)];
}

static const char *one_of_queues(void)
{
    static const char *const names[] = {"q1", "q2", "q3", "q4", "q5", "q\r2", "amq.q"};
    return names[random_below(&dice, 7)];
}

static bool chance(uint64_t in)
{
    return random_below(&dice, in) == 0;
}

static bool declare_exchange(const char *where)
{
    static const char *const types[] = {
        "direct",   "fanout",         "topic",          "headers",           "x-recent-history",
        "x-random", "x-local-random", "x-modulus-hash", "x-consistent-hash", "odd"};
    static const char *const arguments[] = {NULL,
                                            NULL,
                                            "alternate-exchange=Se2",
                                            "alternate-exchange=Se2 hash-header=Sa",
                                            "hash-property=Smessage_id x-recent-history-length=I3",
                                            "hash-property=Sodd x-recent-history-length=I0"};
    struct exchange_declare declare = {
        .name = bytes_str(one_of_exchanges(chance(10))),
        .type = bytes_str(types[random_below(&dice, chance(20) ? 10 : 9)]),
        .durable = only_durable || chance(2),
        .auto_delete = !chance(3),
        .internal = chance(5),
        .passive = chance(20),
        .arguments = bench_table(arguments[random_below(&dice, 6)]),
    };
    struct error one = {0}, other = {0};
    struct changes changes = {0};
    struct vhost *vhost = vhost_in(&decides, where);
    if (exchange_is_leaving(vhost, declare.name))
        return true;
    bool decided = exchange_declare_decide(vhost, &declare, &changes, &one);
    bool called = exchange_declare(vhost_in(&calls, where), &declare, &other);
    apply(&changes);
    changes_free(&changes);
    return same_answer(decided, called, &one, &other);
}

static bool declare_queue(const char *where)
{
    struct queue_declare declare = {
        .name = bytes_str(one_of_queues()),
        .durable = only_durable || chance(2),
        .auto_delete = chance(4),
        .exclusive = !only_durable && chance(5),
        .passive = chance(20),
        .arguments = bench_table(chance(3) ? "x-max-length=I5" : NULL),
        .connection_id = 1 + random_below(&dice, 2),
    };
    struct error one = {0}, other = {0};
    struct changes changes = {0};
    bool created;
    struct vhost *vhost = vhost_in(&decides, where);
    if (queue_is_leaving(vhost, declare.name))
        return true;
    bool decided = queue_declare_decide(vhost, &declare, &changes, &one);
    bool called = queue_declare(vhost_in(&calls, where), &declare, &created, &other);
    apply(&changes);
    changes_free(&changes);
    return same_answer(decided, called, &one, &other);
}

static struct binding_request request_in(struct world *world, const char *where,
                                         const struct binding_request *request,
                                         const char *destination)
{
    struct binding_request full = *request;
    struct vhost *vhost = vhost_in(world, where);
    full.queue = vhost_queue(vhost, bytes_str(destination));
    full.exchange = full.queue ? NULL : vhost_exchange(vhost, bytes_str(destination));
    return full;
}

static bool bind_one(const char *where, const struct binding_request *request,
                     const char *destination, bool is_new)
{
    struct error one = {0}, other = {0};
    struct changes changes = {0};
    struct vhost *here = vhost_in(&decides, where), *there = vhost_in(&calls, where);
    struct binding_request left = request_in(&decides, where, request, destination);
    struct binding_request right = request_in(&calls, where, request, destination);
    if (!left.queue && !left.exchange)
        return true;
    bool decided = is_new ? binding_add_decide(here, &left, &changes, &one)
                          : binding_remove_decide(here, &left, &changes, &one);
    bool called =
        is_new ? binding_add(there, &right, &other) : binding_remove(there, &right, &other);
    apply(&changes);
    changes_free(&changes);
    return same_answer(decided, called, &one, &other);
}

static bool bind(const char *where, bool is_new)
{
    static const char *const arguments[] = {
        NULL, NULL, NULL, "a=I1", "b=I2 a=I1", "x-match=Sany a=I1", "x-match=Sodd"};
    struct binding_request request = {
        .source = bytes_str(one_of_exchanges(chance(3))),
        .key = bytes_str(keys[random_below(&dice, 10)]),
        .arguments = bench_table(arguments[random_below(&dice, 7)]),
        .connection_id = random_below(&dice, 3),
    };
    return bind_one(where, &request, chance(3) ? one_of_exchanges(false) : one_of_queues(), is_new);
}

/* More than can go at once. */
static bool bind_many(const char *where)
{
    const char *source = one_of_exchanges(true), *destination = one_of_queues();
    bool same = true;
    for (int i = 0; i < MANY; i++) {
        char key[20];
        snprintf(key, sizeof(key), "k%d", i);
        struct binding_request request = {.source = bytes_str(source), .key = bytes_str(key)};
        same &= bind_one(where, &request, destination, true);
    }
    return same;
}

static bool delete_exchange(const char *where)
{
    struct error one = {0}, other = {0};
    struct changes changes = {0};
    struct bytes name = bytes_str(one_of_exchanges(chance(5)));
    bool if_unused = chance(2);
    bool decided =
        exchange_delete_decide(vhost_in(&decides, where), name, if_unused, &changes, &one);
    bool called = exchange_delete(vhost_in(&calls, where), name, if_unused, &other);
    apply(&changes);
    changes_free(&changes);
    return same_answer(decided, called, &one, &other);
}

static bool delete_queue(const char *where)
{
    struct changes changes = {0};
    struct bytes name = bytes_str(one_of_queues());
    struct queue *queue = vhost_queue(vhost_in(&decides, where), name);
    struct queue *twin = vhost_queue(vhost_in(&calls, where), name);
    if (queue)
        queue_delete_decide(queue, &changes);
    if (twin)
        queue_delete(twin);
    apply(&changes);
    changes_free(&changes);
    return !queue == !twin;
}

static struct bytes one_of_users(void)
{
    return bytes_str(chance(2) ? "ann" : "bob");
}

static struct limit one_of_limits(uint32_t least)
{
    uint32_t most = least + (uint32_t)random_below(&dice, 9);
    return chance(2) ? (struct limit){true, most} : (struct limit){0};
}

static bool put_user(void)
{
    static const char *const tags[] = {"", "administrator", "impersonator,mine"};
    struct error one = {0}, other = {0};
    uint8_t hash[PASSWORD_HASH_SIZE] = {(uint8_t)random_below(&dice, 256)};
    struct bytes password = bytes_of(hash, chance(3) ? 0 : sizeof(hash));
    struct bytes tag = bytes_str(tags[random_below(&dice, 3)]);
    struct limit limit = one_of_limits(0);
    struct user_request request = {.name = one_of_users(),
                                   .password_hash = chance(2) ? &password : NULL,
                                   .tags = chance(2) ? &tag : NULL,
                                   .max_channels = chance(2) ? &limit : NULL};
    struct changes changes = {0};
    bool decided = user_set_decide(&decides.broker, &request, &changes, &one);
    bool called = user_set(&calls.broker, &request, &other);
    apply(&changes);
    changes_free(&changes);
    return same_answer(decided, called, &one, &other);
}

static bool delete_user(void)
{
    struct error one = {0}, other = {0};
    struct changes changes = {0};
    struct bytes name = one_of_users();
    bool decided = user_delete_decide(&decides.broker, name, &changes, &one);
    bool called = user_delete(&calls.broker, name, &other);
    apply(&changes);
    changes_free(&changes);
    return same_answer(decided, called, &one, &other);
}

static bool put_permission(const char *where)
{
    static const char *const patterns[] = {"", ".*", "^{username}", "a(b", "^$"};
    struct error one = {0}, other = {0};
    struct changes changes = {0};
    struct permission_request request = {
        .user = one_of_users(),
        .vhost = bytes_str(where),
        .exchange = bytes_str(one_of_exchanges(false)),
        .configure = bytes_str(patterns[random_below(&dice, 5)]),
        .write = bytes_str(patterns[random_below(&dice, 5)]),
        .read = bytes_str(patterns[random_below(&dice, 5)]),
    };
    bool is_topic = chance(2);
    if (is_topic)
        request.configure.size = 0;
    bool decided = (is_topic ? topic_permission_set_decide : permission_set_decide)(
        &decides.broker, &request, &changes, &one);
    bool called =
        (is_topic ? topic_permission_set : permission_set)(&calls.broker, &request, &other);
    apply(&changes);
    changes_free(&changes);
    return same_answer(decided, called, &one, &other);
}

static bool describe_vhost(const char *where)
{
    struct error one = {0}, other = {0};
    struct changes changes = {0};
    struct bytes text = bytes_str(chance(2) ? "this" : "that");
    struct limit limit = one_of_limits(1000);
    bool is_protected = chance(2);
    struct vhost_request request = {.name = bytes_str(where),
                                    .description = chance(2) ? &text : NULL,
                                    .tags = chance(2) ? &text : NULL,
                                    .max_queues = chance(2) ? &limit : NULL,
                                    .is_protected = chance(2) ? &is_protected : NULL};
    bool decided = vhost_set_decide(&decides.broker, &request, &changes, &one);
    bool called = vhost_set(&calls.broker, &request, &other);
    apply(&changes);
    changes_free(&changes);
    return same_answer(decided, called, &one, &other);
}

static bool put_policy(const char *where)
{
    static const char *const names[] = {"p", "o", "m"}, *const types[] = {"", "queues", "all", "no"};
    static const char *const patterns[] = {"^q", "1", "^[qe][1-3]", "", "(a"};
    static const char *const definitions[] = {
        "max-length=I7", "alternate-exchange=Se3 max-length=I3", "dead-letter-exchange=Se4",
        "odd=I1"};
    struct error one = {0}, other = {0};
    struct changes changes = {0};
    struct policy_request request = {
        .is_operator = chance(3),
        .vhost = bytes_str(where),
        .name = bytes_str(names[random_below(&dice, 3)]),
        .pattern = bytes_str(patterns[random_below(&dice, 5)]),
        .apply_to = bytes_str(types[random_below(&dice, 4)]),
        .priority = (int64_t)random_below(&dice, 3),
        .definition = bench_table(definitions[random_below(&dice, 4)]),
    };
    bool decided = policy_set_decide(&decides.broker, &request, &changes, &one);
    bool called = policy_set(&calls.broker, &request, &other);
    apply(&changes);
    changes_free(&changes);
    return same_answer(decided, called, &one, &other);
}

static bool delete_policy(const char *where)
{
    struct error one = {0}, other = {0};
    struct changes changes = {0};
    struct bytes vhost = bytes_str(where), name = bytes_str("p");
    bool decided = policy_delete_decide(&decides.broker, false, vhost, name, &changes, &one);
    bool called = policy_delete(&calls.broker, false, vhost, name, &other);
    apply(&changes);
    changes_free(&changes);
    return same_answer(decided, called, &one, &other);
}

static struct parameter_name parameter_of(const char *where)
{
    static const char *const components[] = {"shovel", "federation-upstream", "odd"};
    static const char *const names[] = {"a", "b", ""};
    bool is_global = chance(2);
    return (struct parameter_name){
        .vhost = bytes_str(is_global ? "" : where),
        .component = bytes_str(is_global ? "" : components[random_below(&dice, 3)]),
        .name = bytes_str(names[random_below(&dice, 3)]),
        .is_global = is_global,
    };
}

static bool put_parameter(const char *where)
{
    struct error one = {0}, other = {0};
    struct changes changes = {0};
    struct parameter_request request = {.name = parameter_of(where),
                                        .value = bytes_str(chance(2) ? "1" : "22"),
                                        .is_text = chance(2)};
    bool decided = parameter_set_decide(&decides.broker, &request, &changes, &one);
    bool called = parameter_set(&calls.broker, &request, &other);
    apply(&changes);
    changes_free(&changes);
    return same_answer(decided, called, &one, &other);
}

static bool delete_parameter(const char *where)
{
    struct error one = {0}, other = {0};
    struct changes changes = {0};
    struct parameter_name name = parameter_of(where);
    bool decided = parameter_delete_decide(&decides.broker, &name, &changes, &one);
    bool called = parameter_delete(&calls.broker, &name, &other);
    apply(&changes);
    changes_free(&changes);
    return same_answer(decided, called, &one, &other);
}

static bool administer(const char *where)
{
    uint64_t which = random_below(&dice, 20);
    if (which >= 16)
        return which == 16 ? delete_parameter(where) : put_parameter(where);
    if (which >= 10)
        return which == 10 ? delete_policy(where) : put_policy(where);
    if (which < 4)
        return put_user();
    if (which < 8)
        return put_permission(where);
    return which == 8 ? delete_user() : describe_vhost(where);
}

static bool go_on(int64_t steps)
{
    struct budget budget = budget_of(steps), same = budget;
    struct changes changes = {0};
    removals_decide(&decides.broker, &budget, &changes);
    removals_go_on(&calls.broker, &same);
    apply(&changes);
    changes_free(&changes);
    return budget.left == same.left;
}

static bool act(void)
{
    static const char *const vhosts[] = {"/", "/", "other"};
    const char *where = vhosts[random_below(&dice, 3)];
    uint64_t which = random_below(&dice, 1000);
    if (which < 150)
        return declare_exchange(where);
    if (which < 280)
        return declare_queue(where);
    if (which < 700)
        return bind(where, true);
    if (which < 850)
        return bind(where, false);
    if (which < 920)
        return delete_exchange(where);
    if (which < 960)
        return delete_queue(where);
    if (which < 980)
        return administer(where);
    return which < 984 ? bind_many(where) : go_on(30000);
}

/* ---- a life of them all ---- */

static void put_vhost(const char *name)
{
    struct change change = {.kind = CATALOGUE_VHOST, .durable = true, .name = bytes_str(name)};
    struct changes changes = {0};
    changes_add(&changes, &change);
    apply(&changes);
    changes_free(&changes);
    vhost_put(&calls.broker, change.name);
}

static void copy_entry(void *context, struct bytes key, struct bytes value)
{
    store_fake_put(context, key, value);
}

/* A broker that has the record of another one, and nothing else. */
static bool same_after_restart(uint64_t seed)
{
    struct world restored;
    struct store *store = store_fake_new(&pool);
    store_catalogue_each(decides.store, copy_entry, store);
    bool same =
        world_open(&restored, store, seed) && same_names(&decides.broker, &restored.broker, true);
    restarts_met++;
    if (same && only_durable)
        same = same_routes(&decides, &restored);
    world_free(&restored);
    return same;
}

/* What policies come to is done in later turns. */
static void settle(struct broker *broker)
{
    while (reconfigure_is_left(broker)) {
        broker->turn = budget_of(BUDGET_MS);
        reconfigure_go_on(broker);
    }
}

static bool all_same(uint64_t seed)
{
    settle(&decides.broker);
    settle(&calls.broker);
    settle(&told.broker);
    bool same = same_names(&decides.broker, &told.broker, false) &&
                same_names(&decides.broker, &calls.broker, false) && same_routes(&decides, &told) &&
                same_routes(&decides, &calls);
    return same && (removals_are_left(&decides.broker) || same_after_restart(seed));
}

static bool same_life(uint64_t seed)
{
    bool same = true;
    random_init(&dice, seed);
    only_durable = seed % 2;
    world_open(&decides, store_fake_new(&pool), seed + 1);
    world_open(&calls, store_fake_new(&pool), seed + 2);
    world_open(&told, store_fake_new(&pool), seed + 3);
    put_vhost("other");
    for (int step = 0; same && step < STEPS; step++) {
        same = act();
        if (step % 50 == 49)
            same = same && all_same(seed);
    }
    while (same && removals_are_left(&decides.broker))
        same = go_on(100000);
    same = same && all_same(seed);
    same = same && store_fake_entries(decides.store) == store_fake_entries(calls.store);
    world_free(&decides);
    world_free(&calls);
    world_free(&told);
    return same;
}

TEST(brokers_told_the_same_are_the_same)
{
    message_pool_init(&pool);
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        ok(same_life(seed), "a life with seed %d", (int)seed);
    ok(puts_met > SEEDS * 100 && cascades_met > SEEDS / 2 && leavings_met > SEEDS / 2 &&
           restarts_met > SEEDS,
       "%zu puts, %zu cascades of exchanges, %zu times leaving, %zu restarts", puts_met,
       cascades_met, leavings_met, restarts_met);
    message_pool_free(&pool);
}

int main(void)
{
    RUN(brokers_told_the_same_are_the_same);
    return done();
}
