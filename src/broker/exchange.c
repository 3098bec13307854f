/* Exchanges come and go here; how they route is each kind's own. An exchange with auto-delete goes
 * when its last binding as a source goes (removal.c). */
#include "broker/exchange.h"

#include "amqp/reply.h"
#include "amqp/table.h"
#include "base/mem.h"
#include "broker/catalogue.h"
#include "broker/model.h"

const struct exchange_kind *exchange_kind_find(struct bytes name)
{
    static const struct exchange_kind *const kinds[] = {&exchange_direct, &exchange_fanout,
                                                        &exchange_topic, &exchange_headers};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (bytes_equal_str(name, kinds[i]->name))
            return kinds[i];
    return NULL;
}

struct exchange *exchange_new(struct vhost *vhost, const struct exchange_kind *kind,
                              const struct exchange_declare *declare)
{
    struct exchange *exchange = mem_zalloc(sizeof(*exchange) + declare->name.size + 1);
    exchange->vhost = vhost;
    exchange->number = ++vhost->broker->exchange_number;
    exchange->kind = kind;
    exchange->durable = declare->durable;
    exchange->auto_delete = declare->auto_delete;
    exchange->internal = declare->internal;
    exchange->is_default = kind == &exchange_default;
    struct bytes alternate = {0};
    bool has_alternate = table_find_string(declare->arguments, "alternate-exchange", &alternate);
    exchange->alternate = name_copy(has_alternate, alternate);
    exchange->arguments_size = declare->arguments.size;
    if (declare->arguments.size)
        exchange->arguments = mem_dup(declare->arguments.data, declare->arguments.size);
    list_init(&exchange->sources);
    list_init(&exchange->destinations);
    list_init(&exchange->doomed_link);
    exchange->name_size = declare->name.size;
    if (declare->name.size)
        memcpy(exchange->name, declare->name.data, declare->name.size);
    kind->init(exchange);
    map_add(&vhost->exchanges, exchange_name(exchange), exchange);
    vhost->broker->topology++;
    return exchange;
}

void exchange_free(struct exchange *exchange)
{
    exchange->kind->free(exchange);
    mem_free(exchange->alternate);
    mem_free(exchange->arguments);
    mem_free(exchange);
}

/* ---- declare ---- */

bool exchange_is_not_default(struct bytes name, struct error *error)
{
    return name.size != 0 || error_set(error, REPLY_ACCESS_REFUSED,
                                       "operation not permitted on the default exchange");
}

static bool check_equivalent(const struct exchange *exchange, const struct exchange_kind *kind,
                             const struct exchange_declare *declare, struct error *error)
{
    char resource[RESOURCE_MAX];
    resource_text(resource, "exchange", exchange_name(exchange), exchange->vhost);
    if (strcmp(kind->name, exchange->kind->name) != 0)
        return error_set(error, REPLY_PRECONDITION_FAILED,
                         "inequivalent arg 'type' for %s: received '%s' but current is '%s'",
                         resource, kind->name, exchange->kind->name);
    return equivalent_bool(resource, "durable", declare->durable, exchange->durable, error) &&
           equivalent_bool(resource, "auto_delete", declare->auto_delete, exchange->auto_delete,
                           error) &&
           equivalent_bool(resource, "internal", declare->internal, exchange->internal, error) &&
           equivalent_argument(resource, "alternate-exchange", declare->arguments,
                               bytes_of(exchange->arguments, exchange->arguments_size), error);
}

static bool check_new(const struct vhost *vhost, struct bytes name, struct bytes arguments,
                      struct error *error)
{
    if (bytes_start_with(name, "amq."))
        return error_set(error, REPLY_ACCESS_REFUSED,
                         "exchange name '%.*s' contains reserved prefix 'amq.*'", BYTES_ARG(name));
    struct field field;
    char resource[RESOURCE_MAX];
    if (table_find(arguments, bytes_str("alternate-exchange"), &field) && field.type != 'S')
        return error_set(error, REPLY_PRECONDITION_FAILED,
                         "invalid type '%s' for arg 'alternate-exchange' in %s",
                         field_type_name(field.type),
                         resource_text(resource, "exchange", name, vhost));
    return true;
}

static struct exchange *declare_new(struct vhost *vhost, const struct exchange_kind *kind,
                                    const struct exchange_declare *declare)
{
    struct exchange *exchange = exchange_new(vhost, kind, declare);
    if (exchange->durable)
        catalogue_put_exchange(exchange);
    return exchange;
}

struct exchange *exchange_declare(struct vhost *vhost, const struct exchange_declare *declare,
                                  struct error *error)
{
    char room[NAME_MAX_SIZE];
    struct exchange_declare stripped = *declare;
    stripped.name = name_strip(declare->name, room);
    if (declare->passive)
        return exchange_is_not_default(stripped.name, error)
                   ? vhost_need_exchange(vhost, stripped.name, error)
                   : NULL;
    const struct exchange_kind *kind = exchange_kind_find(declare->type);
    if (!kind) {
        error_set(error, REPLY_PRECONDITION_FAILED, "unknown exchange type '%.*s'",
                  BYTES_ARG(declare->type));
        return NULL;
    }
    if (!exchange_is_not_default(stripped.name, error))
        return NULL;
    struct exchange *exchange = vhost_exchange(vhost, stripped.name);
    if (exchange)
        return check_equivalent(exchange, kind, declare, error) ? exchange : NULL;
    if (!check_new(vhost, stripped.name, declare->arguments, error))
        return NULL;
    return declare_new(vhost, kind, &stripped);
}

/* ---- delete ---- */

bool exchange_delete(struct vhost *vhost, struct bytes name, bool if_unused, struct error *error)
{
    char room[NAME_MAX_SIZE], resource[RESOURCE_MAX];
    name = name_strip(name, room);
    if (!exchange_is_not_default(name, error))
        return false;
    resource_text(resource, "exchange", name, vhost);
    if (bytes_start_with(name, "amq."))
        return error_set(error, REPLY_ACCESS_REFUSED, "deletion of system %s not allowed",
                         resource);
    struct exchange *exchange = vhost_exchange(vhost, name);
    if (!exchange)
        return true;
    if (if_unused && exchange->source_count)
        return error_set(error, REPLY_PRECONDITION_FAILED, "%s in use", resource);
    exchange_remove(exchange);
    return true;
}
