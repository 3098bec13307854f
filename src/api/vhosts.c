/* Virtual hosts: looked at, made, changed, deleted. */
#include "api/resources.h"
#include "api/settings.h"
#include "broker/firehose.h"
#include "broker/permission.h"
#include "broker/vhost_removal.h"

enum { VHOST_STEPS = 150 };

/* What is counted in call->sums. */
enum { SUM_READY, SUM_TAKEN, SUM_DELAYED, SUMS };

/* ---- what one looks like ---- */

static void add_queue_type(struct fields *fields, const struct vhost *vhost)
{
    const char *type = vhost->queue_type[0] ? vhost->queue_type : "undefined";
    fields_string(fields, "default_queue_type", type);
}

static void add_description(struct fields *fields, const struct vhost *vhost)
{
    fields_string(fields, "description", vhost->description);
    fields_words(fields, "tags", vhost->tags);
}

static void write_vhost(const struct call *call, const struct vhost *vhost, const uint64_t *sums,
                        struct fields *fields)
{
    fields_text(fields, "name", vhost_name(vhost));
    add_description(fields, vhost);
    add_queue_type(fields, vhost);
    if (fields_open(fields, "metadata", '{')) {
        add_description(fields, vhost);
        if (vhost->queue_type[0])
            add_queue_type(fields, vhost);
        if (vhost->is_protected)
            fields_flag(fields, "protected_from_deletion", true);
        fields_close(fields, '}');
    }
    fields_flag(fields, "tracing", vhost->is_traced);
    if (fields_open(fields, "cluster_state", '{')) {
        fields_string(fields, call->api->options.node, "running");
        fields_close(fields, '}');
    }
    fields_counter(fields, "messages", sums[SUM_READY] + sums[SUM_TAKEN] + sums[SUM_DELAYED]);
    fields_counter(fields, "messages_ready", sums[SUM_READY]);
    fields_counter(fields, "messages_unacknowledged", sums[SUM_TAKEN]);
    call_write_quotas(vhost->quota, fields);
}

/* ---- its messages: of all queues, which are many, so some of them at a time ---- */

static void sum_up(void *context, void *value)
{
    uint64_t *sums = context;
    const struct queue *queue = value;
    sums[SUM_READY] += queue->counts->ready;
    sums[SUM_TAKEN] += queue->counts->taken;
    sums[SUM_DELAYED] += queue->counts->delayed;
}

/* ---- lists; an id is the name, and the sums ---- */

static void add_id(struct listing *listing, const struct vhost *vhost, const uint64_t *sums)
{
    struct buffer id = {0};
    struct bytes name = vhost_name(vhost);
    buffer_add(&id, name.data, name.size);
    buffer_add(&id, sums, SUMS * sizeof(*sums));
    listing_add(listing, buffer_bytes(&id));
    buffer_free(&id);
}

static bool collect(struct listing *listing, struct budget *budget)
{
    struct vhost *vhost = listing_vhost(listing);
    uint64_t *sums = listing->call->sums;
    (void)budget;
    if (!vhost)
        return false;
    if (map_each_of_part(&vhost->queues, &listing->at, sum_up, sums))
        return true;
    add_id(listing, vhost, sums);
    memset(sums, 0, SUMS * sizeof(*sums));
    listing_next_vhost(listing);
    return true;
}

static struct bytes name_of(struct listing *listing, struct bytes id)
{
    (void)listing;
    return bytes_of(id.data, id.size - SUMS * sizeof(uint64_t));
}

static bool write_listed(struct listing *listing, struct bytes id, struct fields *fields)
{
    uint64_t sums[SUMS];
    struct bytes name = name_of(listing, id);
    const struct vhost *vhost = vhost_find(listing->call->api->broker, name);
    if (!vhost)
        return false;
    memcpy(sums, id.data + name.size, sizeof(sums));
    fields_begin(fields, '{');
    write_vhost(listing->call, vhost, sums, fields);
    fields_end(fields, '}');
    return true;
}

static const struct listing_kind vhosts_kind = {.collect = collect,
                                                .write = write_listed,
                                                .name = name_of,
                                                .has_pages = true,
                                                .steps = VHOST_STEPS};

void vhosts_list(struct call *call)
{
    call_list(call, &vhosts_kind, NULL);
}

/* ---- one of them ---- */

void vhost_get(struct call *call)
{
    const struct vhost *vhost = call_vhost(call, true);
    if (!vhost)
        return;
    call->has_more = map_each_of_part(&vhost->queues, &call->at, sum_up, call->sums);
    if (call->has_more)
        return;
    struct fields fields = call_tell(call);
    write_vhost(call, vhost, call->sums, &fields);
    call_told(call, &fields);
}

/* What a body says of it; what it does not say has no bytes. */
struct said {
    struct bytes description, queue_type;
    struct buffer tags;
    bool has_tags, is_traced;
};

static bool read_queue_type(struct call *call, struct said *said)
{
    struct bytes type = {0};
    if (!call_read_text(call, "default_queue_type", &type))
        return false;
    if (bytes_equal_str(type, "undefined"))
        type.size = 0;
    if (type.size && !bytes_equal_str(type, "classic") && !bytes_equal_str(type, "quorum"))
        call_fail(call, 400, "bad_request",
                  "default_queue_type is '%.*s', and may be classic, quorum or undefined",
                  BYTES_ARG(type));
    said->queue_type = type;
    return call->status == 0;
}

static bool read_said(struct call *call, const struct vhost *vhost, struct said *said)
{
    *said = (struct said){.is_traced = vhost && vhost->is_traced};
    if (!call_read_text(call, "description", &said->description) ||
        !call_read_words(call, "tags", &said->tags) || !read_queue_type(call, said))
        return false;
    said->has_tags = json_find(call_json(call), "tags");
    return call_read_flag(call, "tracing", &said->is_traced);
}

/* Who makes one may do everything in it. */
static bool let_in(const struct call *call, struct error *error)
{
    struct bytes all = bytes_str(".*");
    struct permission_request request = {
        .vhost = call->segments[0], .configure = all, .write = all, .read = all};
    if (!call->user)
        return true;
    request.user = user_name(call->user);
    return permission_set(call->api->broker, &request, error);
}

static bool set_vhost(const struct call *call, const struct said *said, bool is_new,
                      struct error *error)
{
    struct broker *broker = call->api->broker;
    struct bytes tags = buffer_bytes(&said->tags);
    struct vhost_request request = {
        .name = call->segments[0],
        .description = said->description.data ? &said->description : NULL,
        .tags = said->has_tags ? &tags : NULL,
        .queue_type = said->queue_type.data ? &said->queue_type : NULL,
    };
    return vhost_set(broker, &request, error) && (!is_new || let_in(call, error)) &&
           firehose_set(broker, call->segments[0], said->is_traced, error);
}

void vhost_put_it(struct call *call)
{
    struct said said;
    struct error error = {0};
    const struct vhost *vhost = vhost_find(call->api->broker, call->segments[0]);
    if (read_said(call, vhost, &said)) {
        if (set_vhost(call, &said, !vhost, &error))
            call_done(call, !vhost);
        else
            call_fail_as(call, &error);
    }
    buffer_free(&said.tags);
}

static void protect(struct call *call, bool is_protected)
{
    struct error error = {0};
    struct vhost_request request = {.name = call->segments[0], .is_protected = &is_protected};
    if (!call_vhost(call, true))
        return;
    if (vhost_set(call->api->broker, &request, &error))
        call_done(call, false);
    else
        call_fail_as(call, &error);
}

void vhost_protect(struct call *call)
{
    protect(call, true);
}

void vhost_unprotect(struct call *call)
{
    protect(call, false);
}

/* One that is there runs. */
void vhost_start(struct call *call)
{
    struct bytes name = call->segments[0];
    if (vhost_find(call->api->broker, name))
        call_done(call, false);
    else
        call_fail(call, 400, "bad_request", "there is no virtual host '%.*s'", BYTES_ARG(name));
}

/* The answer comes when it is gone, but for whom connections have to close first. */
static void await_end(struct call *call)
{
    if (!vhost_is_left(call->api->broker, call->segments[0]))
        call_done(call, false);
}

void vhost_delete_it(struct call *call)
{
    struct error error = {0};
    if (call->at) {
        await_end(call);
        return;
    }
    const struct vhost *vhost = call_vhost(call, true);
    if (!vhost)
        return;
    if (vhost->is_protected)
        call_fail(call, 412, "precondition_failed",
                  "Refusing to delete virtual host '%s' because it is protected from deletion",
                  vhost->name);
    else if (vhost_delete(call->api->broker, call->segments[0], &error))
        call->at = 1;
    else
        call_fail_as(call, &error);
}
