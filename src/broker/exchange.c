/* Exchanges come and go here; how they route is each kind's own. An exchange with auto-delete goes
 * when its last binding as a source goes (removal.c). */
#include "broker/exchange.h"

#include "amqp/reply.h"
#include "amqp/table.h"
#include "base/mem.h"
#include "base/planted.h"
#include "broker/apply.h"
#include "broker/delay.h"
#include "broker/equivalence.h"
#include "broker/name.h"
#include "broker/reconfigure.h"
#include "broker/removal.h"
#include "broker/seen.h"

const struct exchange_kind *exchange_kind_at(size_t number)
{
    static const struct exchange_kind *const kinds[] = {
        &exchange_direct,        &exchange_fanout,          &exchange_topic,
        &exchange_headers,       &exchange_random,          &exchange_local_random,
        &exchange_modulus_hash,  &exchange_consistent_hash, &exchange_recent_history,
        &exchange_deduplication,
    };
    return number < sizeof(kinds) / sizeof(kinds[0]) ? kinds[number] : NULL;
}

static const struct exchange_kind *kind_find(struct bytes name)
{
    const struct exchange_kind *kind;
    for (size_t i = 0; (kind = exchange_kind_at(i)); i++)
        if (bytes_equal_str(name, kind->name))
            return kind;
    return NULL;
}

bool exchange_type_is_known(struct bytes type)
{
    return bytes_equal_str(type, DELAYED_TYPE) || kind_find(type);
}

const struct exchange_kind *exchange_kind_of(struct bytes type, struct bytes arguments)
{
    struct bytes inner;
    if (!bytes_equal_str(type, DELAYED_TYPE))
        return kind_find(type);
    return table_find_string(arguments, DELAYED_TYPE_ARGUMENT, &inner) ? kind_find(inner) : NULL;
}

const char *exchange_type(const struct exchange *exchange)
{
    return exchange->is_delayed_type ? DELAYED_TYPE : exchange->kind->name;
}

/* ---- applying ---- */

void exchange_set_alternate(struct exchange *exchange, struct bytes by_policy)
{
    struct bytes arguments = exchange_arguments(exchange);
    struct bytes name = by_policy;
    table_find_string(arguments, "alternate-exchange", &name);
    bool is_there = exchange->alternate, is_named = name.data;
    if (is_there == is_named && (!is_there || bytes_equal_str(name, exchange->alternate)))
        return;
    mem_free(exchange->alternate);
    exchange->alternate = is_named ? text_copy(name) : NULL;
    exchange->vhost->broker->topology++;
}

void exchange_set_delay(struct exchange *exchange, bool by_policy)
{
    struct bytes arguments = exchange_arguments(exchange);
    exchange->has_delay = by_policy && !exchange->is_default;
    table_find_bool(arguments, DELAYED_ARGUMENT, &exchange->has_delay);
    exchange->has_delay |= exchange->is_delayed_type;
}

static struct exchange *exchange_new(struct vhost *vhost, const struct exchange_kind *kind,
                                     const struct change *change)
{
    struct exchange *exchange = mem_zalloc(sizeof(*exchange) + change->name.size + 1);
    exchange->vhost = vhost;
    exchange->number = ++vhost->broker->exchange_number;
    exchange->kind = kind;
    exchange->durable = change->durable;
    exchange->auto_delete = change->auto_delete;
    exchange->internal = change->internal;
    exchange->is_default = kind == &exchange_default;
    exchange->is_delayed_type = bytes_equal_str(change->type, DELAYED_TYPE);
    exchange->arguments_size = change->arguments.size;
    if (change->arguments.size)
        exchange->arguments = mem_dup(change->arguments.data, change->arguments.size);
    list_init(&exchange->sources);
    list_init(&exchange->destinations);
    list_init(&exchange->doomed_link);
    list_init(&exchange->decision.link);
    exchange->name_size = change->name.size;
    if (change->name.size)
        memcpy(exchange->name, change->name.data, change->name.size);
    exchange_configure(exchange);
    if (change->id)
        seen_open(exchange, change->id);
    if (kind->init)
        kind->init(exchange);
    map_add(&vhost->exchanges, exchange_name(exchange), exchange);
    vhost->broker->topology++;
    return exchange;
}

struct exchange *exchange_predeclare(struct vhost *vhost, const char *name,
                                     const struct exchange_kind *kind, bool internal)
{
    struct change change = {.name = bytes_str(name), .durable = true, .internal = internal};
    struct exchange *exchange = exchange_new(vhost, kind, &change);
    exchange->is_predeclared = true;
    return exchange;
}

void exchange_free(struct exchange *exchange)
{
    delay_free(exchange);
    if (exchange->kind->free)
        exchange->kind->free(exchange);
    mem_free(exchange->alternate);
    mem_free(exchange->arguments);
    mem_free(exchange);
}

void exchange_take_out(struct exchange *exchange)
{
    struct vhost *vhost = exchange->vhost;
    exchange->is_leaving = true;
    if (exchange->seen)
        seen_leave(exchange);
    list_remove(&exchange->doomed_link);
    map_remove(&vhost->exchanges, exchange_name(exchange));
    vhost->broker->topology++;
}

void exchange_lost_binding(struct exchange *exchange)
{
    bool is_doomed = exchange->auto_delete && exchange->source_count == 0 && !exchange->is_leaving;
    if (is_doomed && !planted(PLANTED_EXCHANGE_STAYS) && list_is_empty(&exchange->doomed_link))
        list_push_back(&exchange->vhost->broker->doomed, &exchange->doomed_link);
}

void exchange_apply(struct vhost *vhost, const struct change *change)
{
    struct exchange *exchange;
    if (!change->is_delete) {
        exchange_new(vhost, exchange_kind_of(change->type, change->arguments), change);
    } else if ((exchange = vhost_exchange(vhost, change->name))) {
        exchange_take_out(exchange);
        exchange_free(exchange);
    }
}

/* ---- declare ---- */

bool exchange_is_not_default(struct bytes name, struct error *error)
{
    char room[NAME_MAX_SIZE];
    return name_strip(name, room).size != 0 ||
           error_set(error, REPLY_ACCESS_REFUSED,
                     "operation not permitted on the default exchange");
}

static bool check_equivalent(const struct exchange *exchange,
                             const struct exchange_declare *declare, struct error *error)
{
    char resource[RESOURCE_MAX];
    resource_text(resource, "exchange", exchange_name(exchange), exchange->vhost);
    if (!bytes_equal_str(declare->type, exchange_type(exchange)))
        return error_set(error, REPLY_PRECONDITION_FAILED,
                         "inequivalent arg 'type' for %s: received '%.*s' but current is '%s'",
                         resource, BYTES_ARG(declare->type), exchange_type(exchange));
    return equivalent_bool(resource, "durable", declare->durable, exchange->durable, error) &&
           equivalent_bool(resource, "auto_delete", declare->auto_delete, exchange->auto_delete,
                           error) &&
           equivalent_bool(resource, "internal", declare->internal, exchange->internal, error) &&
           equivalent_argument(resource, "alternate-exchange", declare->arguments,
                               exchange_arguments(exchange), error);
}

/* Of the type that holds messages back: what is it to route by? */
static bool check_delayed(const struct exchange_declare *declare, struct error *error)
{
    struct bytes inner;
    if (!bytes_equal_str(declare->type, DELAYED_TYPE))
        return true;
    if (!table_find_string(declare->arguments, DELAYED_TYPE_ARGUMENT, &inner) ||
        bytes_equal_str(inner, DELAYED_TYPE))
        return error_set(error, REPLY_PRECONDITION_FAILED,
                         "Invalid argument, 'x-delayed-type' must be an existing exchange type");
    return kind_find(inner) || error_set(error, REPLY_PRECONDITION_FAILED,
                                         "unknown exchange type '%.*s'", BYTES_ARG(inner));
}

/* Is this argument, if it is there, of that type? */
static bool check_argument_type(const struct vhost *vhost, const struct exchange_declare *declare,
                                const char *argument, char type, struct error *error)
{
    struct field field;
    char room[NAME_MAX_SIZE], resource[RESOURCE_MAX];
    if (!table_find(declare->arguments, bytes_str(argument), &field) || field.type == type)
        return true;
    return error_set(error, REPLY_PRECONDITION_FAILED, "invalid type '%s' for arg '%s' in %s",
                     field_type_name(field.type), argument,
                     resource_text(resource, "exchange", name_strip(declare->name, room), vhost));
}

bool exchange_check_text(const struct vhost *vhost, const struct exchange_declare *declare,
                         const char *argument, struct error *error)
{
    return check_argument_type(vhost, declare, argument, 'S', error);
}

static bool check_new(const struct vhost *vhost, struct bytes name,
                      const struct exchange_declare *declare, struct error *error)
{
    if (bytes_start_with(name, "amq."))
        return error_set(error, REPLY_ACCESS_REFUSED,
                         "exchange name '%.*s' contains reserved prefix 'amq.*'", BYTES_ARG(name));
    if (!vhost_has_room_for_exchange(vhost, name, error) ||
        !exchange_check_text(vhost, declare, "alternate-exchange", error) ||
        !check_argument_type(vhost, declare, DELAYED_ARGUMENT, 't', error) ||
        !seen_check(declare, error) || !check_delayed(declare, error))
        return false;
    const struct exchange_kind *kind = exchange_kind_of(declare->type, declare->arguments);
    return !kind->check_new || kind->check_new(vhost, declare, error);
}

static struct change change_of(const struct vhost *vhost, const struct exchange_declare *declare,
                               struct bytes name)
{
    return (struct change){
        .kind = CATALOGUE_EXCHANGE,
        .durable = declare->durable,
        .auto_delete = declare->auto_delete,
        .internal = declare->internal,
        .vhost = vhost_name(vhost),
        .name = name,
        .type = declare->type,
        .arguments = declare->arguments,
        .id = seen_id(vhost->broker, declare),
    };
}

bool exchange_declare_decide(const struct vhost *vhost, const struct exchange_declare *declare,
                             struct changes *changes, struct error *error)
{
    char room[NAME_MAX_SIZE];
    struct bytes name = name_strip(declare->name, room);
    if (declare->passive)
        return exchange_is_not_default(name, error) && vhost_need_exchange(vhost, name, error);
    if (!exchange_type_is_known(declare->type))
        return error_set(error, REPLY_PRECONDITION_FAILED, "unknown exchange type '%.*s'",
                         BYTES_ARG(declare->type));
    if (!exchange_is_not_default(name, error))
        return false;
    const struct exchange *exchange = vhost_exchange(vhost, name);
    if (exchange)
        return check_equivalent(exchange, declare, error);
    if (!check_new(vhost, name, declare, error))
        return false;
    if (name.data == (const void *)room)
        name = changes_keep(changes, name);
    struct change change = change_of(vhost, declare, name);
    changes_add(changes, &change);
    return true;
}

struct exchange *exchange_declare(struct vhost *vhost, const struct exchange_declare *declare,
                                  struct error *error)
{
    struct changes *changes = &vhost->broker->changes;
    bool allowed = exchange_declare_decide(vhost, declare, changes, error);
    changes_apply(vhost->broker, changes);
    return allowed ? vhost_need_exchange(vhost, declare->name, error) : NULL;
}

/* ---- delete ---- */

bool exchange_is_deletable(const struct vhost *vhost, struct bytes name, struct error *error)
{
    char room[NAME_MAX_SIZE], resource[RESOURCE_MAX];
    name = name_strip(name, room);
    if (!exchange_is_not_default(name, error))
        return false;
    return !bytes_start_with(name, "amq.") ||
           error_set(error, REPLY_ACCESS_REFUSED, "deletion of system %s not allowed",
                     resource_text(resource, "exchange", name, vhost));
}

bool exchange_delete_decide(struct vhost *vhost, struct bytes name, bool if_unused,
                            struct changes *changes, struct error *error)
{
    char room[NAME_MAX_SIZE], resource[RESOURCE_MAX];
    name = name_strip(name, room);
    if (!exchange_is_deletable(vhost, name, error))
        return false;
    struct exchange *exchange = vhost_exchange(vhost, name);
    if (!exchange)
        return true;
    if (if_unused && exchange->source_count)
        return error_set(error, REPLY_PRECONDITION_FAILED, "%s in use",
                         resource_text(resource, "exchange", name, vhost));
    removal_decide_exchange(exchange, changes);
    return true;
}

bool exchange_delete(struct vhost *vhost, struct bytes name, bool if_unused, struct error *error)
{
    struct changes *changes = &vhost->broker->changes;
    bool allowed = exchange_delete_decide(vhost, name, if_unused, changes, error);
    changes_apply(vhost->broker, changes);
    return allowed;
}
