/* Exchanges: looked at, declared, deleted. */
#include "api/rates.h"
#include "api/resources.h"
#include "broker/exchange.h"
#include "broker/permission.h"
#include "broker/policy.h"
#include "definitions/json_table.h"

enum { EXCHANGE_STEPS = 150 };

/* ---- what one looks like ---- */

/* What is not set is not there, as in RabbitMQ. */
static void add_policy(struct fields *fields, const char *name, const struct policy *policy)
{
    if (policy)
        fields_text(fields, name, policy_name(policy));
}

/* What has come in and gone out to queues, if anything has. */
static void add_messages(struct fields *fields, const struct call *call,
                         const struct exchange *exchange)
{
    const struct history *history = rates_of(call->api->rates, RATED_EXCHANGE, exchange->number);
    if (!exchange->published || call_is_set(call, "disable_stats") ||
        !fields_open(fields, "message_stats", '{'))
        return;
    rates_add(fields, call, RANGE_MESSAGES, history, 1u << RATE_PUBLISHED_IN, "publish_in",
              exchange->published);
    rates_add(fields, call, RANGE_MESSAGES, history, 1u << RATE_PUBLISHED_OUT, "publish_out",
              exchange->published + (uint64_t)exchange->routed_more);
    fields_close(fields, '}');
}

static void write_exchange(const struct call *call, const struct exchange *exchange,
                           struct fields *fields)
{
    fields_text(fields, "name", exchange_name(exchange));
    fields_text(fields, "vhost", vhost_name(exchange->vhost));
    fields_string(fields, "type", exchange_type(exchange));
    fields_flag(fields, "durable", exchange->durable);
    fields_flag(fields, "auto_delete", exchange->auto_delete);
    fields_flag(fields, "internal", exchange->internal);
    fields_table(fields, "arguments", exchange_arguments(exchange));
    add_policy(fields, "policy", policy_of_exchange(exchange, false));
    add_policy(fields, "operator_policy", policy_of_exchange(exchange, true));
    add_messages(fields, call, exchange);
}

/* ---- lists ---- */

static void add_exchange(void *context, void *value)
{
    listing_add_named(context, exchange_name(value));
}

static bool collect(struct listing *listing, struct budget *budget)
{
    const struct vhost *vhost = listing_vhost(listing);
    (void)budget;
    return vhost && listing_walk(listing, &vhost->exchanges, add_exchange);
}

static bool write_listed(struct listing *listing, struct bytes id, struct fields *fields)
{
    struct bytes name;
    const struct vhost *vhost = listing_vhost_of(listing, id, &name);
    const struct exchange *exchange = vhost_exchange(vhost, name);
    if (!exchange)
        return false;
    fields_begin(fields, '{');
    write_exchange(listing->call, exchange, fields);
    fields_end(fields, '}');
    return true;
}

static const struct listing_kind exchanges_kind = {
    .collect = collect, .write = write_listed, .has_pages = true, .steps = EXCHANGE_STEPS};

void exchanges_list(struct call *call)
{
    call_list_in(call, &exchanges_kind);
}

/* ---- one of them ---- */

static struct bytes name_of(const struct call *call)
{
    return call_exchange_name(call->segments[1]);
}

/* NULL: there is none, and the call is answered. */
static struct exchange *find_exchange(struct call *call, bool for_reading)
{
    struct vhost *vhost = call_vhost(call, for_reading);
    struct exchange *exchange = vhost ? vhost_exchange(vhost, name_of(call)) : NULL;
    if (vhost && !exchange)
        call_not_found(call);
    return exchange;
}

void exchange_get(struct call *call)
{
    const struct exchange *exchange = find_exchange(call, true);
    if (!exchange)
        return;
    struct fields fields = call_tell(call);
    write_exchange(call, exchange, &fields);
    fields_nothing(&fields, "incoming");
    fields_nothing(&fields, "outgoing");
    call_told(call, &fields);
}

/* False: the body makes no sense, and the call is answered. Nothing said is a durable direct one.
 */
static bool read_declare(struct call *call, struct exchange_declare *declare,
                         struct buffer *arguments)
{
    char fault[200];
    *declare = (struct exchange_declare){
        .name = name_of(call), .type = bytes_str("direct"), .durable = true};
    if (!call_read_text(call, "type", &declare->type) ||
        !call_read_flag(call, "durable", &declare->durable) ||
        !call_read_flag(call, "auto_delete", &declare->auto_delete) ||
        !call_read_flag(call, "internal", &declare->internal))
        return false;
    if (!json_to_table(json_find(call_json(call), "arguments"), JSON_NULL_REFUSED, arguments, fault,
                       sizeof(fault)))
        call_fail(call, 400, "bad_request", "arguments: %s", fault);
    declare->arguments = buffer_bytes(arguments);
    return call->status == 0;
}

static bool may_configure(const struct call *call, const struct vhost *vhost, struct error *error)
{
    return !call->user ||
           permission_check_exchange(call->user, vhost, ACCESS_CONFIGURE, name_of(call), error);
}

static void declare_exchange(struct call *call, struct vhost *vhost,
                             const struct exchange_declare *declare)
{
    struct error error = {0};
    bool is_new = !vhost_exchange(vhost, declare->name);
    bool may =
        may_configure(call, vhost, &error) &&
        (!call->user || !is_new ||
         permission_check_alternate(call->user, vhost, declare->name, declare->arguments, &error));
    if (may && exchange_declare(vhost, declare, &error))
        call_done(call, is_new);
    else
        call_fail_as(call, &error);
}

void exchange_put(struct call *call)
{
    struct exchange_declare declare;
    struct buffer arguments = {0};
    struct vhost *vhost = call_vhost(call, false);
    if (vhost && read_declare(call, &declare, &arguments))
        declare_exchange(call, vhost, &declare);
    buffer_free(&arguments);
}

void exchange_delete_it(struct call *call)
{
    struct error error = {0};
    struct exchange *exchange = find_exchange(call, false);
    if (!exchange)
        return;
    if (may_configure(call, exchange->vhost, &error) &&
        exchange_delete(exchange->vhost, name_of(call), call_is_set(call, "if-unused"), &error))
        call_done(call, false);
    else
        call_fail_as(call, &error);
}
