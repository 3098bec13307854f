/* What RabbitMQ says of a cluster, of a broker that is alone; and what a password is kept as. */
#include "api/resources.h"
#include "base/base64.h"

/* Of the management plugin's pages there are none. */
void extensions_get(struct call *call)
{
    struct fields fields = fields_of(&call->body, NULL);
    fields_begin(&fields, '[');
    fields_end(&fields, ']');
    call_answered(call);
}

/* ---- what clients may find out before they use it ---- */

static const struct flag {
    const char *name, *description;
} flags[] = {
    {"implicit_default_bindings", "Bindings of the default exchange are not kept"},
    {"quorum_queue", "Queues of type `quorum` can be declared"},
    {"user_limits", "Users have limits of connections and channels"},
    {"virtual_host_metadata", "Virtual hosts have a description and tags"},
};

enum { FLAGS = sizeof(flags) / sizeof(flags[0]) };

static void write_flag(const struct flag *flag, struct fields *fields)
{
    fields_begin(fields, '{');
    fields_string(fields, "name", flag->name);
    fields_string(fields, "desc", flag->description);
    fields_string(fields, "doc_url", "");
    fields_string(fields, "state", "enabled");
    fields_string(fields, "stability", "stable");
    fields_string(fields, "provided_by", "leveret");
    fields_end(fields, '}');
}

void feature_flags_get(struct call *call)
{
    struct fields fields = fields_of(&call->body, &call->columns);
    fields_begin(&fields, '[');
    for (size_t i = 0; i < FLAGS; i++)
        write_flag(&flags[i], &fields);
    fields_end(&fields, ']');
    call_answered(call);
}

/* All of them are on. */
void feature_flag_enable(struct call *call)
{
    for (size_t i = 0; i < FLAGS; i++)
        if (bytes_equal_str(call->segments[0], flags[i].name)) {
            call_done(call, false);
            return;
        }
    call_fail(call, 400, "bad_request", "unsupported");
}

/* ---- passwords ---- */

void hash_password_get(struct call *call)
{
    uint8_t room[PASSWORD_HASH_MAX];
    struct buffer text = {0};
    struct broker *broker = call->api->broker;
    uint8_t kind = broker->options.password_kind;
    if (!login_hash(broker, kind, call->segments[0], room, &call->login))
        return;
    base64_write(bytes_of(room, hash_size(kind)), &text);
    struct fields fields = call_tell(call);
    fields_text(&fields, "ok", buffer_bytes(&text));
    call_told(call, &fields);
    buffer_free(&text);
}
