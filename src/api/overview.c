/* The broker as a whole, and who asks. */
#include "api/resources.h"
#include "session/look.h"

static void add_totals(struct fields *fields, const struct call *call)
{
    struct server_counts counts = server_counts(call->api->server);
    const struct broker *broker = call->api->broker;
    size_t exchanges = 0;
    const struct vhost *vhost;
    for (uint64_t at = 0; (vhost = map_next(&broker->vhosts, &at));)
        exchanges += map_count(&vhost->exchanges);
    if (!fields_open(fields, "object_totals", '{'))
        return;
    fields_whole(fields, "channels", counts.channels);
    fields_whole(fields, "connections", counts.connections);
    fields_whole(fields, "consumers", counts.consumers);
    fields_whole(fields, "exchanges", exchanges);
    fields_whole(fields, "queues", broker_queues(broker));
    fields_close(fields, '}');
}

void overview_get(struct call *call)
{
    const struct api_options *options = &call->api->options;
    struct fields fields = call_tell(call);
    fields_string(&fields, "management_version", options->product_version);
    fields_string(&fields, "rabbitmq_version", options->product_version);
    fields_string(&fields, "product_name", "Leveret");
    fields_string(&fields, "product_version", options->version);
    fields_string(&fields, "cluster_name", options->cluster_name);
    fields_string(&fields, "node", options->node);
    add_totals(&fields, call);
    call_told(call, &fields);
}

/* An operator of this machine has no name here. */
void whoami_get(struct call *call)
{
    struct fields fields = call_tell(call);
    const char *tags = call->user ? call->user->tags_text : "administrator";
    fields_text(&fields, "name", call->user ? user_name(call->user) : bytes_of(NULL, 0));
    if (fields_open(&fields, "tags", '[')) {
        while (*tags) {
            size_t size = strcspn(tags, ", ");
            if (size)
                fields_put_text(&fields, bytes_of(tags, size));
            tags += size + (tags[size] != '\0');
        }
        fields_close(&fields, ']');
    }
    call_told(call, &fields);
}
