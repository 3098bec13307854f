/* What an export has, in the order of names, so that two exports of the same are the same. */
#include <stdlib.h>

#include "base/base64.h"
#include "base/mem.h"
#include "broker/binding.h"
#include "broker/parameter.h"
#include "broker/permission.h"
#include "broker/policy.h"
#include "broker/quota.h"
#include "definitions/definitions.h"
#include "definitions/json_table.h"

struct export
{
    const struct definitions_listener *listener;
    struct json_writer writer;
    const char *kind; /* of the section at hand */
    size_t number;    /* of the object in it */
    size_t begin;     /* where it begins in the text */
    size_t left_out;
    bool one_vhost; /* its name is not written */
};

/* ---- objects in order ---- */

struct item {
    struct bytes name;
    const void *object;
};

struct items {
    struct item *list;
    size_t count;
};

static int by_name(const void *a, const void *b)
{
    const struct item *left = a, *right = b;
    return bytes_compare(left->name, right->name);
}

static struct items items_of(const struct map *map, struct bytes (*name_of)(const void *object))
{
    const void *object;
    struct items items = {.list = mem_zalloc_array(map_count(map) + 1, sizeof(*items.list))};
    for (uint64_t at = 0; (object = map_next(map, &at));)
        items.list[items.count++] = (struct item){name_of(object), object};
    qsort(items.list, items.count, sizeof(*items.list), by_name);
    return items;
}

static struct bytes name_of_user(const void *object)
{
    return user_name(object);
}

static struct bytes name_of_vhost(const void *object)
{
    return vhost_name(object);
}

static struct bytes name_of_queue(const void *object)
{
    return queue_name(object);
}

static struct bytes name_of_exchange(const void *object)
{
    return exchange_name(object);
}

static struct bytes key_of_parameter(const void *object)
{
    const struct parameter *parameter = object;
    return bytes_of(parameter->key, parameter->key_size);
}

static struct bytes name_of_permission(const void *object)
{
    const struct permission *permission = object;
    return bytes_of(permission->vhost, permission->vhost_size);
}

static struct bytes name_of_topic(const void *object)
{
    const struct topic_permission *topic = object;
    return bytes_of(topic->key, topic->key_size);
}

/* ---- one object ---- */

static void begin_section(struct export *export, const char *name, const char *kind)
{
    export->kind = kind;
    export->number = 0;
    json_add_open(&export->writer, name, '[');
}

static void end_section(struct export *export)
{
    json_close(&export->writer, ']');
}

static void begin_object(struct export *export, const struct vhost *vhost)
{
    export->begin = export->writer.out->size;
    export->number++;
    export->writer.is_bad = false;
    json_open(&export->writer, '{');
    if (vhost && !export->one_vhost)
        json_add_text(&export->writer, "vhost", vhost_name(vhost));
}

/* JSON has no bytes that are no text. */
static void end_object(struct export *export, const struct vhost *vhost, struct bytes name)
{
    json_close(&export->writer, '}');
    if (!export->writer.is_bad)
        return;
    struct definitions_remark remark = {
        .kind = export->kind,
        .number = export->number,
        .vhost = vhost ? vhost_name(vhost) : bytes_of(NULL, 0),
        .name = name,
        .text = "it has bytes that are no UTF-8, and is left out",
    };
    struct buffer *out = export->writer.out;
    out->size = export->begin;
    if (out->data[out->size - 1] == '[')
        export->writer.state = JSON_BEGIN;
    export->left_out++;
    export->listener->tell(export->listener->context, &remark);
}

static void add_tags(struct json_writer *writer, const char *tags)
{
    json_add_open(writer, "tags", '[');
    while (*tags) {
        size_t size = strcspn(tags, ", ");
        if (size)
            json_put_text(writer, bytes_of(tags, size));
        tags += size + (tags[size] != '\0');
    }
    json_close(writer, ']');
}

static void add_limit(struct json_writer *writer, const char *name, struct limit limit)
{
    if (limit.is_set)
        json_add_whole(writer, name, limit.most);
}

static void add_quotas(struct json_writer *writer, const struct quota *quota)
{
    for (int kind = 0; quota && kind < QUOTA_KINDS; kind++)
        if (quota->limits.set & 1u << kind)
            json_add_whole(writer, quota_name((enum quota_kind)kind),
                           (int64_t)quota->limits.most[kind]);
}

static void add_table(struct json_writer *writer, const char *name, struct bytes table)
{
    json_name(writer, bytes_str(name));
    json_put_table(writer, table);
}

/* ---- users and what they may do ---- */

static void add_user(struct export *export, const struct user *user)
{
    struct json_writer *writer = &export->writer;
    struct buffer hash = {0};
    if (user->has_password)
        base64_write(bytes_of(user->password_hash, hash_size(user->hash_kind)), &hash);
    begin_object(export, NULL);
    json_add_text(writer, "name", user_name(user));
    json_add_text(writer, "password_hash", buffer_bytes(&hash));
    json_add_text(writer, "hashing_algorithm", bytes_str(hash_kind_name(user->hash_kind)));
    add_tags(writer, user->tags_text);
    json_add_open(writer, "limits", '{');
    add_limit(writer, "max-connections", user->max_connections);
    add_limit(writer, "max-channels", user->max_channels);
    add_quotas(writer, user->quota);
    json_close(writer, '}');
    end_object(export, NULL, user_name(user));
    buffer_free(&hash);
}

static void add_patterns(struct json_writer *writer, const struct pattern *patterns, bool is_topic)
{
    if (!is_topic)
        json_add_text(writer, "configure", pattern_text(&patterns[ACCESS_CONFIGURE]));
    json_add_text(writer, "write", pattern_text(&patterns[ACCESS_WRITE]));
    json_add_text(writer, "read", pattern_text(&patterns[ACCESS_READ]));
}

static void add_permissions(struct export *export, const struct user *user)
{
    struct items items = items_of(&user->permissions, name_of_permission);
    for (size_t i = 0; i < items.count; i++) {
        const struct permission *permission = items.list[i].object;
        begin_object(export, NULL);
        json_add_text(&export->writer, "user", user_name(user));
        json_add_text(&export->writer, "vhost", items.list[i].name);
        add_patterns(&export->writer, permission->patterns, false);
        end_object(export, NULL, user_name(user));
    }
    mem_free(items.list);
}

static void add_topic_permissions(struct export *export, const struct user *user)
{
    struct items items = items_of(&user->topics, name_of_topic);
    for (size_t i = 0; i < items.count; i++) {
        const struct topic_permission *topic = items.list[i].object;
        size_t before = topic->vhost_size + 1;
        begin_object(export, NULL);
        json_add_text(&export->writer, "user", user_name(user));
        json_add_text(&export->writer, "vhost", bytes_of(topic->key, topic->vhost_size));
        json_add_text(&export->writer, "exchange",
                      bytes_of(topic->key + before, topic->key_size - before));
        add_patterns(&export->writer, topic->patterns, true);
        end_object(export, NULL, user_name(user));
    }
    mem_free(items.list);
}

static void add_metadata(struct json_writer *writer, const struct vhost *vhost)
{
    json_add_open(writer, "metadata", '{');
    json_add_text(writer, "description", bytes_str(vhost->description));
    add_tags(writer, vhost->tags);
    if (vhost->queue_type[0])
        json_add_text(writer, "default_queue_type", bytes_str(vhost->queue_type));
    if (vhost->is_protected)
        json_add_flag(writer, "protected_from_deletion", true);
    json_close(writer, '}');
}

static void add_vhost(struct export *export, const struct vhost *vhost)
{
    struct json_writer *writer = &export->writer;
    begin_object(export, NULL);
    json_add_text(writer, "name", vhost_name(vhost));
    add_metadata(writer, vhost);
    end_object(export, NULL, vhost_name(vhost));
}

static void add_each(struct export *export, const struct items *users, const char *section,
                     const char *kind, void (*add)(struct export *export, const struct user *user))
{
    begin_section(export, section, kind);
    for (size_t i = 0; i < users->count; i++)
        add(export, users->list[i].object);
    end_section(export);
}

static void add_people(struct export *export, const struct broker *broker,
                       const struct items *vhosts)
{
    struct items users = items_of(&broker->users, name_of_user);
    add_each(export, &users, "users", "user", add_user);
    begin_section(export, "vhosts", "vhost");
    for (size_t i = 0; i < vhosts->count; i++)
        add_vhost(export, vhosts->list[i].object);
    end_section(export);
    add_each(export, &users, "permissions", "permission", add_permissions);
    add_each(export, &users, "topic_permissions", "topic_permission", add_topic_permissions);
    mem_free(users.list);
}

/* ---- parameters and policies ---- */

static void add_policy_body(struct json_writer *writer, const struct policy *policy)
{
    json_add_text(writer, "pattern", pattern_text(&policy->pattern));
    json_add_text(writer, "apply-to", bytes_str(policy_applies_to(policy)));
    add_table(writer, "definition", policy_definition(policy));
    json_add_whole(writer, "priority", policy->priority);
}

static void begin_parameter(struct export *export, const struct vhost *vhost, const char *component,
                            struct bytes name)
{
    begin_object(export, vhost);
    json_add_text(&export->writer, "component", bytes_str(component));
    json_add_text(&export->writer, "name", name);
    json_add_open(&export->writer, "value", '{');
}

static void end_parameter(struct export *export, const struct vhost *vhost, struct bytes name)
{
    json_close(&export->writer, '}');
    end_object(export, vhost, name);
}

static void add_value(struct json_writer *writer, const struct parameter *parameter)
{
    json_name(writer, bytes_str("value"));
    if (parameter->is_text)
        json_put_text(writer, parameter_value(parameter));
    else
        json_put_written(writer, parameter_value(parameter));
}

static void add_kept(struct export *export, const struct vhost *vhost)
{
    struct items items = items_of(&vhost->parameters, key_of_parameter);
    for (size_t i = 0; i < items.count; i++) {
        const struct parameter *parameter = items.list[i].object;
        begin_object(export, vhost);
        json_add_text(&export->writer, "component", parameter_component(parameter));
        json_add_text(&export->writer, "name", parameter_name(parameter));
        add_value(&export->writer, parameter);
        end_object(export, vhost, parameter_name(parameter));
    }
    mem_free(items.list);
}

static void add_global_parameters(struct export *export, const struct broker *broker)
{
    struct items items = items_of(&broker->parameters, key_of_parameter);
    begin_section(export, "global_parameters", "global_parameter");
    for (size_t i = 0; i < items.count; i++) {
        const struct parameter *parameter = items.list[i].object;
        begin_object(export, NULL);
        json_add_text(&export->writer, "name", parameter_name(parameter));
        add_value(&export->writer, parameter);
        end_object(export, NULL, parameter_name(parameter));
    }
    end_section(export);
    mem_free(items.list);
}

static void add_parameters(struct export *export, const struct vhost *vhost)
{
    const struct policy *policy;
    if (vhost_has_limits(vhost)) {
        begin_parameter(export, vhost, "vhost-limits", bytes_str("limits"));
        add_limit(&export->writer, "max-connections", vhost->max_connections);
        add_limit(&export->writer, "max-queues", vhost->max_queues);
        add_quotas(&export->writer, vhost->quota);
        end_parameter(export, vhost, bytes_str("limits"));
    }
    for (size_t at = 0; (policy = policy_next(vhost, true, &at));) {
        begin_parameter(export, vhost, "operator_policy", policy_name(policy));
        add_policy_body(&export->writer, policy);
        end_parameter(export, vhost, policy_name(policy));
    }
    add_kept(export, vhost);
}

static void add_policies(struct export *export, const struct vhost *vhost)
{
    const struct policy *policy;
    for (size_t at = 0; (policy = policy_next(vhost, false, &at));) {
        begin_object(export, vhost);
        json_add_text(&export->writer, "name", policy_name(policy));
        add_policy_body(&export->writer, policy);
        end_object(export, vhost, policy_name(policy));
    }
}

/* ---- queues, exchanges, bindings ---- */

static bool is_given(struct bytes name)
{
    return name.size == 0 || bytes_start_with(name, "amq.");
}

static bool is_exported(const struct queue *queue)
{
    return !queue->exclusive_owner && !is_given(queue_name(queue));
}

static void add_queue(struct export *export, const struct vhost *vhost, const struct queue *queue)
{
    struct json_writer *writer = &export->writer;
    begin_object(export, vhost);
    json_add_text(writer, "name", queue_name(queue));
    json_add_flag(writer, "durable", queue->durable);
    json_add_flag(writer, "auto_delete", queue->auto_delete);
    add_table(writer, "arguments", bytes_of(queue->arguments, queue->arguments_size));
    end_object(export, vhost, queue_name(queue));
}

static void add_queues(struct export *export, const struct vhost *vhost)
{
    struct items items = items_of(&vhost->queues, name_of_queue);
    for (size_t i = 0; i < items.count; i++)
        if (is_exported(items.list[i].object))
            add_queue(export, vhost, items.list[i].object);
    mem_free(items.list);
}

static void add_exchange(struct export *export, const struct vhost *vhost,
                         const struct exchange *exchange)
{
    struct json_writer *writer = &export->writer;
    begin_object(export, vhost);
    json_add_text(writer, "name", exchange_name(exchange));
    json_add_text(writer, "type", bytes_str(exchange_type(exchange)));
    json_add_flag(writer, "durable", exchange->durable);
    json_add_flag(writer, "auto_delete", exchange->auto_delete);
    json_add_flag(writer, "internal", exchange->internal);
    add_table(writer, "arguments", exchange_arguments(exchange));
    end_object(export, vhost, exchange_name(exchange));
}

static void add_exchanges(struct export *export, const struct vhost *vhost)
{
    struct items items = items_of(&vhost->exchanges, name_of_exchange);
    for (size_t i = 0; i < items.count; i++)
        if (!is_given(items.list[i].name))
            add_exchange(export, vhost, items.list[i].object);
    mem_free(items.list);
}

static void add_binding(struct export *export, const struct vhost *vhost,
                        const struct binding *binding)
{
    struct json_writer *writer = &export->writer;
    begin_object(export, vhost);
    json_add_text(writer, "source", exchange_name(binding->source));
    json_add_text(writer, "destination", binding_destination(binding));
    json_add_text(writer, "destination_type", bytes_str(binding->queue ? "queue" : "exchange"));
    json_add_text(writer, "routing_key", binding_key(binding));
    add_table(writer, "arguments", binding_arguments(binding));
    end_object(export, vhost, exchange_name(binding->source));
}

static void add_bindings(struct export *export, const struct vhost *vhost)
{
    struct items items = items_of(&vhost->exchanges, name_of_exchange);
    for (size_t i = 0; i < items.count; i++) {
        const struct exchange *exchange = items.list[i].object;
        list_for_each(link, &exchange->sources) {
            const struct binding *binding = list_entry(link, struct binding, source_link);
            if (!binding->queue || is_exported(binding->queue))
                add_binding(export, vhost, binding);
        }
    }
    mem_free(items.list);
}

/* ---- the whole ---- */

static void add_from_each(struct export *export, const struct items *vhosts, const char *section,
                          const char *kind,
                          void (*add)(struct export *export, const struct vhost *vhost))
{
    begin_section(export, section, kind);
    for (size_t i = 0; i < vhosts->count; i++)
        add(export, vhosts->list[i].object);
    end_section(export);
}

static void add_head(struct export *export, const struct definitions_origin *origin,
                     const struct vhost *only)
{
    struct json_writer *writer = &export->writer;
    json_add_text(writer, "rabbit_version", bytes_str(origin->rabbitmq_version));
    json_add_text(writer, "rabbitmq_version", bytes_str(origin->rabbitmq_version));
    json_add_text(writer, "product_name", bytes_str("Leveret"));
    json_add_text(writer, "product_version", bytes_str(origin->version));
    json_add_text(writer, "rabbitmq_definition_format",
                  bytes_str(only ? "single_virtual_host" : "cluster"));
    if (!only)
        return;
    json_add_text(writer, "original_vhost_name", vhost_name(only));
    add_metadata(writer, only);
}

size_t definitions_export(const struct broker *broker, const struct vhost *only,
                          const struct definitions_origin *origin,
                          const struct definitions_listener *listener, struct buffer *out)
{
    struct export export = {.listener = listener, .writer = json_writer_of(out), .one_vhost = only};
    struct item one = {.object = only};
    struct items all = {0};
    if (!only)
        all = items_of(&broker->vhosts, name_of_vhost);
    const struct items *vhosts = only ? &(struct items){&one, 1} : &all;
    json_open(&export.writer, '{');
    add_head(&export, origin, only);
    if (!only)
        add_people(&export, broker, vhosts);
    add_from_each(&export, vhosts, "parameters", "parameter", add_parameters);
    if (!only)
        add_global_parameters(&export, broker);
    add_from_each(&export, vhosts, "policies", "policy", add_policies);
    add_from_each(&export, vhosts, "queues", "queue", add_queues);
    add_from_each(&export, vhosts, "exchanges", "exchange", add_exchanges);
    add_from_each(&export, vhosts, "bindings", "binding", add_bindings);
    json_close(&export.writer, '}');
    mem_free(all.list);
    return export.left_out;
}
