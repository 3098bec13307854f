/* From the catalogue to the model. Entries come in the order of their keys, which is the order of
 * their needs, so that everything an entry names is there already; what is missing nevertheless
 * means that the catalogue is not what this program has written, and the start ends. Only of what
 * was leaving there may be bindings left: these go now. */
#include <stdarg.h>
#include <stdio.h>

#include "amqp/table.h"
#include "base/mem.h"
#include "broker/apply.h"
#include "broker/catalogue.h"
#include "broker/permission.h"
#include "broker/policy.h"
#include "broker/queue_declare.h"
#include "broker/reconfigure.h"
#include "broker/removal.h"
#include "broker/seen.h"
#include "broker/user.h"
#include "broker/vhost_defaults.h"

/* What is gone, but was still losing its bindings: as its entry's key says. */
struct leaving {
    struct list link;
    struct bytes key;
    uint8_t bytes[];
};

struct restore {
    struct broker *broker;
    struct list leaving;
    char *error;
    size_t error_size;
    bool failed;                   /* what follows is not looked at */
    const struct salvage *salvage; /* NULL: what fails ends it; else it goes, the rest is seen to */
    struct bytes key;              /* of the entry */
    size_t adopted;                /* queues whose names were lost */
};

static void tell(const struct salvage *salvage, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void tell(const struct salvage *salvage, const char *format, ...)
{
    char line[900];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    salvage->say(salvage->context, line);
}

/* When salvaging, the entry goes, and the bytes of its change with it. */
static void fail(struct restore *restore, const struct change *change, const char *why)
{
    static const char *const kinds[] = {
        "entry",      "virtual host",        "user",   "exchange",       "queue", "binding",
        "permission", "topic permission of", "policy", "operator policy",
        "delayed messages of exchange", "parameter", "global parameter"};
    size_t kind = change->kind <= CATALOGUE_LAST ? change->kind : 0;
    snprintf(restore->error, restore->error_size, "catalogue: %s '%.*s': %s", kinds[kind],
             BYTES_ARG(change->name), why);
    restore->failed = !restore->salvage;
    if (!restore->salvage)
        return;
    tell(restore->salvage, "lost: %s", restore->error);
    store_catalogue_delete(restore->broker->store, restore->key);
}

static void restore_exchange(struct restore *restore, const struct vhost *vhost,
                             const struct change *change)
{
    if (!exchange_kind_of(change->type, change->arguments))
        fail(restore, change, "its type is unknown");
    else if (vhost_exchange(vhost, change->name))
        fail(restore, change, "it is there already");
    else if (!table_check(change->arguments))
        fail(restore, change, "its arguments are malformed");
    else
        catalogue_apply(restore->broker, change, OFF_RECORD);
}

static void restore_queue(struct restore *restore, const struct change *change)
{
    if (change->id == 0 || change->id & STORE_ID_TRANSIENT || store_part(change->id))
        fail(restore, change, "its id is impossible");
    else if (!table_check(change->arguments))
        fail(restore, change, "its arguments are malformed");
    else
        catalogue_apply(restore->broker, change, OFF_RECORD);
}

static void restore_leaving(struct restore *restore, struct bytes key)
{
    struct leaving *leaving = mem_alloc(sizeof(*leaving) + key.size);
    memcpy(leaving->bytes, key.data, key.size);
    leaving->key = bytes_of(leaving->bytes, key.size);
    list_push_back(&restore->leaving, &leaving->link);
}

static bool is_leaving(const struct restore *restore, const struct change *binding, bool is_queue,
                       struct bytes name)
{
    list_for_each(link, &restore->leaving) {
        struct change entry;
        catalogue_read(list_entry(link, struct leaving, link)->key, bytes_str("\x01"), &entry);
        if (entry.to_queue == is_queue && bytes_equal(entry.name, name) &&
            bytes_equal(entry.vhost, binding->vhost))
            return true;
    }
    return false;
}

static void forget_binding(struct restore *restore, const struct change *change)
{
    struct change gone = *change;
    gone.is_delete = true;
    catalogue_apply(restore->broker, &gone, OFF_RECORD);
    /* Last, as the change is read from there. */
    store_catalogue_delete(restore->broker->store, restore->key);
}

/* A binding without one of its ends. */
static void drop_binding(struct restore *restore, const struct change *change, bool has_source,
                         bool has_destination)
{
    if ((!has_source && !is_leaving(restore, change, false, change->source)) ||
        (!has_destination && !is_leaving(restore, change, change->to_queue, change->name))) {
        fail(restore, change, "one of its ends is missing");
        return;
    }
    forget_binding(restore, change);
}

/* Decided once more, as it was when it was made. */
static void bind(struct restore *restore, const struct vhost *vhost, const struct change *change,
                 const struct binding_request *request)
{
    struct changes *changes = &restore->broker->changes;
    struct error error = {0};
    if (!binding_add_decide(vhost, request, changes, &error))
        fail(restore, change, error.detail);
    for (size_t i = 0; i < changes->count; i++)
        catalogue_apply(restore->broker, &changes->list[i], OFF_RECORD);
    changes_clear(changes);
}

static void restore_binding(struct restore *restore, const struct vhost *vhost,
                            const struct change *change)
{
    struct binding_request request = {
        .source = change->source,
        .queue = change->to_queue ? vhost_queue(vhost, change->name) : NULL,
        .exchange = change->to_queue ? NULL : vhost_exchange(vhost, change->name),
        .key = change->routing_key,
        .arguments = change->arguments,
    };
    bool has_source = vhost_exchange(vhost, change->source);
    bool has_destination = request.queue || request.exchange;
    if (change->source.size == 0) /* could be bound once, by a name of line ends, and means nothing */
        forget_binding(restore, change);
    else if (!has_source || !has_destination)
        drop_binding(restore, change, has_source, has_destination);
    else if (!table_check(change->arguments))
        fail(restore, change, "its arguments are malformed");
    else
        bind(restore, vhost, change, &request);
}

static void restore_permission(struct restore *restore, const struct change *change)
{
    if (!user_find(restore->broker, change->name))
        fail(restore, change, "the user is missing");
    else
        catalogue_apply(restore->broker, change, OFF_RECORD);
}

static void restore_policy(struct restore *restore, const struct change *change)
{
    if (!policy_can_apply_to(change->type))
        fail(restore, change, "what it applies to is unknown");
    else if (change->name.size == 0 || !table_check(change->definition))
        fail(restore, change, "its definition is malformed");
    else
        catalogue_apply(restore->broker, change, OFF_RECORD);
}

static void restore_parameter(struct restore *restore, const struct change *change)
{
    bool is_global = change->kind == CATALOGUE_GLOBAL_PARAMETER;
    if (change->name.size == 0 || (!is_global && change->source.size == 0))
        fail(restore, change, "it has no name");
    else
        catalogue_apply(restore->broker, change, OFF_RECORD);
}

static void restore_delays(struct restore *restore, const struct vhost *vhost,
                           const struct change *change)
{
    const struct exchange *exchange = vhost_exchange(vhost, change->name);
    if (!exchange || !exchange->durable)
        fail(restore, change, "the exchange is missing");
    else if (change->id == 0 || change->id & STORE_ID_TRANSIENT)
        fail(restore, change, "its id is impossible");
    else
        catalogue_apply(restore->broker, change, OFF_RECORD);
}

static void restore_in(struct restore *restore, const struct vhost *vhost,
                       const struct change *change)
{
    switch (change->kind) {
    case CATALOGUE_EXCHANGE:
        restore_exchange(restore, vhost, change);
        return;
    case CATALOGUE_QUEUE:
        restore_queue(restore, change);
        return;
    case CATALOGUE_BINDING:
        restore_binding(restore, vhost, change);
        return;
    case CATALOGUE_POLICY:
    case CATALOGUE_OPERATOR_POLICY:
        restore_policy(restore, change);
        return;
    case CATALOGUE_DELAYS:
        restore_delays(restore, vhost, change);
        return;
    case CATALOGUE_PARAMETER:
        restore_parameter(restore, change);
        return;
    default:
        restore_permission(restore, change);
    }
}

static void restore_in_vhost(struct restore *restore, const struct change *change)
{
    struct vhost *vhost = vhost_find_any(restore->broker, change->vhost);
    if (!vhost && restore->salvage) {
        tell(restore->salvage, "made again: virtual host '%.*s'", BYTES_ARG(change->vhost));
        vhost = vhost_put(restore->broker, change->vhost);
    }
    if (!vhost)
        fail(restore, change, "its virtual host is missing");
    else
        restore_in(restore, vhost, change);
}

static void restore_seen(struct restore *restore, struct bytes value)
{
    const struct change none = {0};
    if (!seen_restore(restore->broker, restore->key, value))
        fail(restore, &none, "what was seen is malformed");
}

static void restore_entry(void *context, struct bytes key, struct bytes value)
{
    struct restore *restore = context;
    struct change change = {0};
    if (restore->failed)
        return;
    restore->key = key;
    enum catalogue_result result = catalogue_read(key, value, &change);
    if (result == CATALOGUE_NEWER && restore->salvage)
        tell(restore->salvage, "a name was written by a newer version: start that one");
    else if (result == CATALOGUE_NEWER)
        fail(restore, &change, "written by a newer version of this program");
    else if (key.size && key.data[0] == CATALOGUE_SEEN)
        restore_seen(restore, value);
    else if (result == CATALOGUE_MALFORMED)
        fail(restore, &change, "malformed");
    else if (change.kind == CATALOGUE_LEAVING)
        restore_leaving(restore, key);
    else if (change.kind == CATALOGUE_VHOST || change.kind == CATALOGUE_USER)
        catalogue_apply(restore->broker, &change, OFF_RECORD);
    else if (change.kind == CATALOGUE_GLOBAL_PARAMETER)
        restore_parameter(restore, &change);
    else
        restore_in_vhost(restore, &change);
}

static void end_leaving(struct restore *restore, struct bytes key)
{
    struct change change;
    catalogue_read(key, bytes_str("\x01"), &change);
    change.is_delete = true;
    catalogue_apply(restore->broker, &change, ON_RECORD);
}

/* What was leaving has left. */
static void leavings_end(struct restore *restore)
{
    struct budget budget = budget_of(2 * BUDGET_MS);
    for (struct list *link; (link = list_take_first(&restore->leaving));) {
        struct leaving *leaving = list_entry(link, struct leaving, link);
        if (!restore->failed)
            end_leaving(restore, leaving->key);
        mem_free(leaving);
    }
    if (!restore->failed)
        removals_go_on(restore->broker, &budget);
}

/* Policies come after what they are for. */
static void apply_policies(struct broker *broker)
{
    while (reconfigure_is_left(broker)) {
        broker->turn = budget_of(BUDGET_MS);
        reconfigure_go_on(broker);
    }
}

static void allow_everything(struct broker *broker, struct bytes user, struct bytes vhost)
{
    struct error error;
    struct bytes all = bytes_str(".*");
    struct permission_request request = {
        .user = user, .vhost = vhost, .configure = all, .write = all, .read = all};
    permission_set(broker, &request, &error);
}

static void make_user(struct broker *broker)
{
    struct error error;
    const struct broker_first *first = &broker->options.first;
    const struct vhost *vhost;
    struct permission_request request = {.user = bytes_str(first->user),
                                         .configure = bytes_str(first->configure),
                                         .write = bytes_str(first->write),
                                         .read = bytes_str(first->read)};
    user_put(broker, request.user, bytes_str(first->password));
    user_set_tags(broker, request.user, bytes_str(first->tags), &error);
    for (uint64_t at = 0; (vhost = map_next(&broker->vhosts, &at));) {
        request.vhost = vhost_name(vhost);
        permission_set(broker, &request, &error);
    }
}

struct broker_options broker_options_default(void)
{
    return (struct broker_options){.node = "leveret",
                                   .first = {.vhost = "/",
                                             .user = "guest",
                                             .password = "guest",
                                             .tags = "administrator",
                                             .configure = ".*",
                                             .write = ".*",
                                             .read = ".*"}};
}

bool broker_is_new(const struct broker *broker)
{
    return map_count(&broker->vhosts) == 0 && map_count(&broker->going) == 0;
}

void broker_make_first(struct broker *broker)
{
    bool is_first = map_count(&broker->vhosts) == 0;
    struct bytes vhost = bytes_str(broker->options.first.vhost);
    if (is_first)
        vhost_put(broker, vhost);
    if (map_count(&broker->users) == 0)
        make_user(broker);
    if (is_first)
        vhost_defaults_apply(broker, vhost);
}

/* Before there were permissions everybody could do everything: that is written down. */
static void make_permissions(struct broker *broker)
{
    struct user *user;
    const struct vhost *vhost;
    for (uint64_t at = 0; (user = map_next(&broker->users, &at));) {
        if (!user->is_old)
            continue;
        struct change change = user_change(user, &broker->changes);
        if (bytes_equal_str(user_name(user), "guest"))
            change.tags = bytes_str("administrator");
        changes_add(&broker->changes, &change);
        changes_apply(broker, &broker->changes);
        for (uint64_t in = 0; (vhost = map_next(&broker->vhosts, &in));)
            allow_everything(broker, user_name(user), vhost_name(vhost));
    }
}

/* A queue whose name is lost. What it was declared with is lost too, but for the priorities that its
 * parts speak of. */
static void adopt(struct restore *restore, uint64_t id, struct bytes arguments)
{
    char name[64];
    size_t at = 0;
    struct vhost *vhost = vhost_find(restore->broker, bytes_str("/"));
    if (!vhost)
        vhost = map_next(&restore->broker->vhosts, &at);
    snprintf(name, sizeof(name), "salvaged.%llu", (unsigned long long)id);
    struct change change = {.kind = CATALOGUE_QUEUE,
                            .durable = true,
                            .vhost = vhost_name(vhost),
                            .name = bytes_str(name),
                            .arguments = arguments,
                            .id = id};
    if (vhost_queue(vhost, change.name))
        return;
    catalogue_apply(restore->broker, &change, ON_RECORD);
    restore->adopted++;
    tell(restore->salvage, "the name is lost: queue %llu is called '%s' now",
         (unsigned long long)id, name);
}

static void adopt_levels(void *context, struct index *index)
{
    static const char max_priority[] = "\016x-max-priorityI\0\0\0\377";
    if (!index->owner && index->ready && store_part(index->id))
        adopt(context, store_part_queue(index->id),
              bytes_of(max_priority, sizeof(max_priority) - 1));
}

static void adopt_nameless(void *context, struct index *index)
{
    if (!index->owner && index->ready)
        adopt(context, index->id, bytes_of(NULL, 0));
}

/* Each may add an index, beside those that are being walked through. */
static void adopt_all(struct restore *restore)
{
    size_t before;
    do {
        before = restore->adopted;
        store_queues_each(restore->broker->store, adopt_levels, restore);
    } while (restore->adopted != before);
    store_queues_each(restore->broker->store, adopt_nameless, restore);
}

static void tell_queue(void *context, struct index *index)
{
    const struct restore *restore = context;
    const struct queue *queue = index->owner;
    if (queue && index->id == queue->id)
        tell(restore->salvage, "%s %llu: '%.*s' in virtual host '%.*s': %llu messages",
             queue->is_delay ? "delayed messages of an exchange, queue" : "queue",
             (unsigned long long)index->id, BYTES_ARG(queue_name(queue)),
             (int)queue->vhost->name_size, queue->vhost->name,
             (unsigned long long)queue_ready(queue));
}

void broker_salvage(struct broker *broker, const struct salvage *salvage)
{
    char error[512];
    struct restore restore = {
        .broker = broker, .salvage = salvage, .error = error, .error_size = sizeof(error)};
    list_init(&restore.leaving);
    store_catalogue_each(broker->store, restore_entry, &restore);
    leavings_end(&restore);
    apply_policies(broker);
    if (map_count(&broker->vhosts) == 0)
        vhost_put(broker, bytes_str("/"));
    if (map_count(&broker->users) == 0) {
        tell(salvage, "no user is left: guest is made again");
        make_user(broker);
    }
    make_permissions(broker);
    seen_restored(broker);
    adopt_all(&restore);
    store_queues_each(broker->store, tell_queue, &restore);
    store_drop_orphans(broker->store);
}

bool broker_read(struct broker *broker, char *error, size_t error_size)
{
    struct restore restore = {.broker = broker, .error = error, .error_size = error_size};
    list_init(&restore.leaving);
    store_catalogue_each(broker->store, restore_entry, &restore);
    leavings_end(&restore);
    if (restore.failed)
        return false;
    apply_policies(broker);
    make_permissions(broker);
    seen_restored(broker);
    store_drop_orphans(broker->store);
    return true;
}

bool broker_restore(struct broker *broker, char *error, size_t error_size)
{
    if (!broker_read(broker, error, error_size))
        return false;
    if (broker_is_new(broker))
        broker_make_first(broker);
    return true;
}
