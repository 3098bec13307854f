/* What a look at the broker's health takes beside what RabbitMQ's API tells. */
#include "api/machine.h"
#include "api/resources.h"
#include "session/look.h"

static void add_unroutable(struct fields *fields, const struct call *call)
{
    struct unroutable_counts counts = server_unroutable(call->api->server);
    if (!fields_open(fields, "unroutable", '{'))
        return;
    fields_whole(fields, "returned", counts.returned);
    fields_whole(fields, "dropped", counts.dropped);
    fields_close(fields, '}');
}

/* Everybody knows the password that it has at first. */
static void add_guest(struct fields *fields, const struct call *call)
{
    const struct user *guest = user_find(call->api->broker, bytes_str("guest"));
    if (!fields_open(fields, "guest", '{'))
        return;
    bool is_first = guest && guest->has_password && !hash_is_slow(guest->hash_kind) &&
                    user_check_password(guest, bytes_str("guest"));
    fields_flag(fields, "has_default_password", is_first);
    fields_flag(fields, "may_come_from_afar",
                guest && server_lets_in_from_afar(call->api->server, user_name(guest)));
    fields_close(fields, '}');
}

void facts_get(struct call *call)
{
    const struct broker *broker = call->api->broker;
    struct api_machine machine = machine_look(call);
    struct fields fields = call_tell(call);
    fields_whole(&fields, "clock_ms", broker->clock_ms);
    fields_whole(&fields, "message_clock_ms", broker->queues.clock_ms);
    if (machine.file_system)
        fields_string(&fields, "file_system", machine.file_system);
    else
        fields_null(&fields, "file_system");
    add_guest(&fields, call);
    add_unroutable(&fields, call);
    call_told(call, &fields);
}
