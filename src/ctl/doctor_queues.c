/* Queues that nobody attends to, that nothing limits, and whose dead letters go astray. */
#include <stdlib.h>

#include "base/mem.h"
#include "ctl/doctor.h"

/* Names of a virtual host and of something in it. */
struct key {
    struct bytes vhost, name;
    const struct json *object;
};

/* Sorted, to be looked into. */
struct keys {
    struct key *list;
    size_t count;
};

static int compare(const void *a, const void *b)
{
    const struct key *left = a, *right = b;
    int order = bytes_compare(left->vhost, right->vhost);
    return order ? order : bytes_compare(left->name, right->name);
}

static struct keys keys_of(const struct json *array, const char *member)
{
    struct keys keys = {mem_zalloc_array(json_count(array) + 1, sizeof(struct key)),
                        json_count(array)};
    for (size_t i = 0; i < keys.count; i++) {
        const struct json *one = json_item(array, i);
        keys.list[i] = (struct key){json_text(json_find(one, "vhost")),
                                    json_text(json_find(one, member)), one};
    }
    qsort(keys.list, keys.count, sizeof(struct key), compare);
    return keys;
}

/* NULL: there is none. */
static const struct json *find(const struct keys *keys, struct bytes vhost, struct bytes name)
{
    struct key wanted = {vhost, name, NULL};
    const struct key *key = bsearch(&wanted, keys->list, keys->count, sizeof(wanted), compare);
    return key ? key->object : NULL;
}

static const struct json *find_like(const struct keys *keys, const struct json *object)
{
    return find(keys, json_text(json_find(object, "vhost")),
                json_text(json_find(object, "name")));
}

static void add_queue(struct names *names, const struct json *queue)
{
    struct bytes vhost = json_text(json_find(queue, "vhost"));
    struct bytes name = json_text(json_find(queue, "name"));
    names_in(names, vhost);
    if (bytes_equal_str(vhost, "/"))
        names_add(names, "%.*s", BYTES_ARG(name));
    else
        names_add(names, "%.*s in %.*s", BYTES_ARG(name), BYTES_ARG(vhost));
}

static void tell(struct doctor *doctor, enum finding finding, const struct names *names)
{
    doctor_place(doctor, names->vhost);
    if (names->count)
        doctor_find(doctor, finding, "%zu: %s%s", names->count, names->text,
                    names->count > NAMES_SHOWN ? ", ..." : "");
    doctor->place[0] = '\0';
}

/* ---- nobody there ---- */

static long long messages_of(const struct json *queue)
{
    return json_whole(json_find(queue, "messages"));
}

static void check_consumers(struct doctor *doctor)
{
    struct names growing = {0}, unattended = {0};
    struct keys keys = keys_of(doctor->before, "name");
    for (size_t i = 0; i < json_count(doctor->queues); i++) {
        const struct json *now = json_item(doctor->queues, i);
        const struct json *before = find_like(&keys, now);
        if (json_whole(json_find(now, "consumers")) || messages_of(now) == 0)
            continue;
        if (before && messages_of(now) > messages_of(before))
            add_queue(&growing, now);
        else
            add_queue(&unattended, now);
    }
    tell(doctor, FOUND_queue_grows, &growing);
    tell(doctor, FOUND_queue_unattended, &unattended);
    mem_free(keys.list);
}

/* ---- settings ---- */

/* Of an argument `x-NAME`, or of a policy. */
static const struct json *setting(const struct json *queue, const char *argument)
{
    const struct json *own = json_find(json_find(queue, "arguments"), argument);
    return own ? own : json_find(json_find(queue, "effective_policy_definition"), argument + 2);
}

static void check_limits(struct doctor *doctor)
{
    static const char *const limits[] = {"x-max-length", "x-max-length-bytes", "x-message-ttl",
                                         "x-expires"};
    struct names unlimited = {0};
    for (size_t i = 0; i < json_count(doctor->queues); i++) {
        const struct json *queue = json_item(doctor->queues, i);
        bool any = false;
        for (size_t j = 0; j < sizeof(limits) / sizeof(limits[0]); j++)
            any |= setting(queue, limits[j]) != NULL;
        if (!any && json_flag(json_find(queue, "durable")) &&
            !json_flag(json_find(queue, "exclusive")))
            add_queue(&unlimited, queue);
    }
    tell(doctor, FOUND_queue_unlimited, &unlimited);
}

/* ---- dead letters ---- */

/* To the exchange without a name; and by which key. False: elsewhere, or there are none. */
static bool goes_to_queue(const struct json *queue, struct bytes *name)
{
    const struct json *exchange = setting(queue, "x-dead-letter-exchange");
    const struct json *key = setting(queue, "x-dead-letter-routing-key");
    if (json_kind_of(exchange) != JSON_IS_TEXT || json_text(exchange).size)
        return false;
    *name = json_text(key ? key : json_find(queue, "name"));
    return true;
}

static void check_dead_letters(struct doctor *doctor)
{
    struct keys queues = keys_of(doctor->queues, "name");
    struct keys exchanges = keys_of(doctor->exchanges, "name");
    struct keys sources = keys_of(doctor->bindings, "source");
    struct names lost = {0}, looping = {0};
    for (size_t i = 0; i < json_count(doctor->queues); i++) {
        const struct json *queue = json_item(doctor->queues, i);
        struct bytes vhost = json_text(json_find(queue, "vhost")), name;
        struct bytes exchange = json_text(setting(queue, "x-dead-letter-exchange"));
        if (goes_to_queue(queue, &name)) {
            if (!find(&queues, vhost, name))
                add_queue(&lost, queue);
            else if (bytes_equal(name, json_text(json_find(queue, "name"))))
                add_queue(&looping, queue);
        } else if (exchange.size && (!find(&exchanges, vhost, exchange) ||
                                     !find(&sources, vhost, exchange))) {
            add_queue(&lost, queue);
        }
    }
    tell(doctor, FOUND_dead_letters_lost, &lost);
    tell(doctor, FOUND_dead_letters_loop, &looping);
    mem_free(queues.list);
    mem_free(exchanges.list);
    mem_free(sources.list);
}

void doctor_check_queues(struct doctor *doctor)
{
    check_consumers(doctor);
    check_limits(doctor);
    check_dead_letters(doctor);
}
