/* Bindings: looked at, made and taken away. Those of the default exchange are nowhere: each queue
 * has one, by its name. */
#include "api/resources.h"
#include "api/settings.h"
#include "base/base64.h"
#include "base/digest.h"
#include "broker/binding.h"
#include "broker/name.h"
#include "broker/permission.h"
#include "definitions/json_table.h"
#include "store/store.h"

/* Of a thing with so many bindings at most they are looked for at the thing; else, so that a turn
 * does not take long, among all of the virtual host. */
enum { BINDING_STEPS = 150, NEAR_MAX = 1000, ARGUMENTS_HASH = 9 };

/* What a binding is known by: as it lies in the broker, or as a path or an id names it. */
struct key {
    struct bytes source, destination, routing_key, arguments;
    bool to_queue;
};

static struct key key_of(const struct binding *binding)
{
    return (struct key){
        .source = exchange_name(binding->source),
        .destination = binding_destination(binding),
        .routing_key = binding_key(binding),
        .arguments = binding_arguments(binding),
        .to_queue = binding->queue,
    };
}

static struct key key_of_implicit(struct bytes queue)
{
    return (struct key){.destination = queue, .routing_key = queue, .to_queue = true};
}

static struct binding *find(const struct vhost *vhost, const struct key *key)
{
    if (key->source.size > NAME_MAX_SIZE || key->destination.size > NAME_MAX_SIZE ||
        key->routing_key.size > NAME_MAX_SIZE)
        return NULL;
    struct change change = {
        .source = key->source,
        .name = key->destination,
        .to_queue = key->to_queue,
        .routing_key = key->routing_key,
        .arguments = key->arguments,
    };
    return binding_find(vhost, &change);
}

static bool is_implicit(const struct key *key)
{
    return key->source.size == 0;
}

static bool is_there(const struct vhost *vhost, const struct key *key)
{
    if (!is_implicit(key))
        return find(vhost, key);
    const struct queue *queue = vhost_queue(vhost, key->destination);
    return queue && !queue->is_delay && bytes_equal(key->routing_key, key->destination);
}

/* ---- its name in paths: the routing key, and what stands for its arguments ---- */

static bool is_plain(uint8_t byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '-' || byte == '.' || byte == '_';
}

static void add_quoted(struct buffer *out, struct bytes text, bool has_plus)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];
        if (is_plain(byte)) {
            buffer_add_u8(out, byte);
        } else if (byte == ' ' && has_plus) {
            buffer_add_u8(out, '+');
        } else {
            buffer_add_u8(out, '%');
            buffer_add_u8(out, (uint8_t)digits[byte >> 4]);
            buffer_add_u8(out, (uint8_t)digits[byte & 15]);
        }
    }
}

static void add_hash(struct buffer *out, struct bytes arguments)
{
    uint8_t digest[SHA256_SIZE];
    sha256(arguments, bytes_of(NULL, 0), digest);
    size_t begin = out->size;
    base64_write(bytes_of(digest, ARGUMENTS_HASH), out);
    for (size_t i = begin; i < out->size; i++) {
        if (out->data[i] == '+')
            out->data[i] = '-';
        else if (out->data[i] == '/')
            out->data[i] = '_';
    }
}

static void add_properties_key(struct buffer *out, const struct key *key, bool is_quoted)
{
    if (is_quoted)
        add_quoted(out, key->routing_key, true);
    else
        buffer_add(out, key->routing_key.data, key->routing_key.size);
    if (key->arguments.size || !key->routing_key.size)
        buffer_add(out, "~", 1);
    if (key->arguments.size)
        add_hash(out, key->arguments);
}

static bool is_named(const struct key *key, struct bytes name, bool is_quoted)
{
    struct buffer text = {0};
    add_properties_key(&text, key, is_quoted);
    bool is = bytes_equal(buffer_bytes(&text), name);
    buffer_free(&text);
    return is;
}

/* ---- what one looks like ---- */

static void write_binding(const struct call *call, const struct vhost *vhost, const struct key *key,
                          struct fields *fields)
{
    struct buffer name = {0};
    fields_text(fields, "source", key->source);
    call_write_vhost(call, vhost, fields);
    fields_text(fields, "destination", key->destination);
    fields_string(fields, "destination_type", key->to_queue ? "queue" : "exchange");
    fields_text(fields, "routing_key", key->routing_key);
    fields_table(fields, "arguments", key->arguments);
    if (call->is_export)
        return;
    add_properties_key(&name, key, true);
    fields_text(fields, "properties_key", buffer_bytes(&name));
    buffer_free(&name);
}

/* ---- ids: what they are ordered by, and then how long its parts are ---- */

struct lengths {
    uint32_t source, destination, routing_key, arguments, vhost;
};

static void add_part(struct buffer *id, struct bytes part)
{
    buffer_add(id, part.data, part.size);
    buffer_add_u8(id, 0);
}

static void list_binding(struct listing *listing, const struct key *key)
{
    struct buffer id = {0};
    struct lengths lengths = {
        .source = (uint32_t)key->source.size,
        .destination = (uint32_t)key->destination.size,
        .routing_key = (uint32_t)key->routing_key.size,
        .arguments = (uint32_t)key->arguments.size,
        .vhost = (uint32_t)listing->vhost_at,
    };
    for (int shift = 24; shift >= 0; shift -= 8)
        buffer_add_u8(&id, (uint8_t)(lengths.vhost >> shift));
    add_part(&id, key->source);
    add_part(&id, key->destination);
    buffer_add_u8(&id, key->to_queue);
    add_part(&id, key->routing_key);
    buffer_add(&id, key->arguments.data, key->arguments.size);
    buffer_add(&id, &lengths, sizeof(lengths));
    listing_add(listing, buffer_bytes(&id));
    buffer_free(&id);
}

static const struct vhost *read_id(const struct listing *listing, struct bytes id, struct key *key)
{
    struct lengths lengths;
    memcpy(&lengths, id.data + id.size - sizeof(lengths), sizeof(lengths));
    const uint8_t *at = id.data + 4;
    key->source = bytes_of(at, lengths.source);
    at += lengths.source + 1;
    key->destination = bytes_of(at, lengths.destination);
    at += lengths.destination + 1;
    key->to_queue = *at++;
    key->routing_key = bytes_of(at, lengths.routing_key);
    at += lengths.routing_key + 1;
    key->arguments = bytes_of(at, lengths.arguments);
    return listing->vhosts[lengths.vhost];
}

static bool write_listed(struct listing *listing, struct bytes id, struct fields *fields)
{
    struct key key;
    const struct vhost *vhost = read_id(listing, id, &key);
    if (!is_there(vhost, &key))
        return false;
    fields_begin(fields, '{');
    write_binding(listing->call, vhost, &key, fields);
    fields_end(fields, '}');
    return true;
}

/* ---- which of them a list has ---- */

/* NULL: of any. */
struct wanted {
    const struct bytes *source, *destination;
    bool to_queue; /* of the destination */
};

struct collecting {
    struct listing *listing;
    const struct wanted *wanted;
};

static bool is_wanted(const struct wanted *wanted, const struct key *key)
{
    return (!wanted->source || bytes_equal(*wanted->source, key->source)) &&
           (!wanted->destination || (bytes_equal(*wanted->destination, key->destination) &&
                                     wanted->to_queue == key->to_queue));
}

static void collect_binding(void *context, void *value)
{
    const struct collecting *collecting = context;
    const struct binding *binding = value;
    struct key key = key_of(binding);
    if (collecting->listing->call->is_export && binding->queue &&
        !call_exports_queue(binding->queue))
        return;
    if (!binding_is_leaving(binding) && !binding->source->is_leaving &&
        is_wanted(collecting->wanted, &key))
        list_binding(collecting->listing, &key);
}

static void collect_implicit(void *context, void *value)
{
    const struct collecting *collecting = context;
    const struct queue *queue = value;
    struct key key = key_of_implicit(queue_name(queue));
    if (!queue->is_delay && is_wanted(collecting->wanted, &key))
        list_binding(collecting->listing, &key);
}

static bool is_short(const struct list *list)
{
    size_t count = 0;
    list_for_each(link, list)
        if (++count > NEAR_MAX)
            return false;
    return true;
}

/* Where all that are wanted are, if they are few; else NULL. */
static const struct list *find_near(const struct vhost *vhost, const struct wanted *wanted,
                                    bool *by_source)
{
    const struct exchange *exchange =
        wanted->source && wanted->source->size ? vhost_exchange(vhost, *wanted->source) : NULL;
    *by_source = exchange && exchange->source_count <= NEAR_MAX;
    if (*by_source)
        return &exchange->sources;
    if (!wanted->destination)
        return NULL;
    const struct queue *queue = wanted->to_queue ? vhost_queue(vhost, *wanted->destination) : NULL;
    exchange = wanted->to_queue ? NULL : vhost_exchange(vhost, *wanted->destination);
    const struct list *near = queue ? &queue->bindings : exchange ? &exchange->destinations : NULL;
    return near && is_short(near) ? near : NULL;
}

static bool collect_near(struct collecting *collecting, const struct vhost *vhost)
{
    bool by_source;
    const struct list *near = find_near(vhost, collecting->wanted, &by_source);
    if (!near)
        return false;
    list_for_each(link, near)
        collect_binding(collecting, by_source ? list_entry(link, struct binding, source_link)
                                              : list_entry(link, struct binding, destination_link));
    return true;
}

/* First those of the default exchange, then the others; `of` says that these are at hand. */
static bool collect(struct listing *listing, const struct wanted *wanted)
{
    static const uint8_t others[1];
    struct vhost *vhost = listing_vhost(listing);
    struct collecting collecting = {listing, wanted};
    if (!vhost)
        return false;
    if (!listing->of.data) {
        const struct queue *queue;
        bool is_one = wanted->destination || (wanted->source && wanted->source->size) ||
                      listing->call->is_export;
        if (!is_one &&
            map_each_of_part(&vhost->queues, &listing->at, collect_implicit, &collecting))
            return true;
        if (wanted->destination && (queue = vhost_queue(vhost, *wanted->destination)))
            collect_implicit(&collecting, (void *)(uintptr_t)queue);
        listing->at = 0;
        listing->of = bytes_of(others, 0);
        if (!collect_near(&collecting, vhost))
            return true;
    } else if (set_each_of_part(&vhost->bindings, &listing->at, collect_binding, &collecting)) {
        return true;
    }
    listing->of = bytes_of(NULL, 0);
    listing_next_vhost(listing);
    return true;
}

static bool collect_all(struct listing *listing, struct budget *budget)
{
    (void)budget;
    return collect(listing, &(struct wanted){0});
}

static bool collect_of_queue(struct listing *listing, struct budget *budget)
{
    (void)budget;
    return collect(listing,
                   &(struct wanted){.destination = &listing->call->segments[1], .to_queue = true});
}

static bool collect_of_source(struct listing *listing, struct budget *budget)
{
    struct bytes source = call_exchange_name(listing->call->segments[1]);
    (void)budget;
    return collect(listing, &(struct wanted){.source = &source});
}

static bool collect_of_destination(struct listing *listing, struct budget *budget)
{
    struct bytes destination = call_exchange_name(listing->call->segments[1]);
    (void)budget;
    return collect(listing, &(struct wanted){.destination = &destination});
}

/* ---- between a source and a destination: V/e/SOURCE/q or e/DESTINATION ---- */

/* False: there is no such kind of destination, and the call is answered. */
static bool read_ends(struct call *call, struct key *key)
{
    *key = (struct key){
        .source = call_exchange_name(call->segments[1]),
        .destination = call->segments[3],
        .to_queue = bytes_equal_str(call->segments[2], "q"),
    };
    if (!key->to_queue && !bytes_equal_str(call->segments[2], "e"))
        call_not_found(call);
    else if (!key->to_queue)
        key->destination = call_exchange_name(key->destination);
    return call->status == 0;
}

static bool collect_between(struct listing *listing, struct budget *budget)
{
    struct key key;
    (void)budget;
    read_ends(listing->call, &key);
    return collect(listing, &(struct wanted){.source = &key.source,
                                             .destination = &key.destination,
                                             .to_queue = key.to_queue});
}

/* ---- lists ---- */

#define KIND(function)                                                                             \
    {                                                                                              \
        .collect = function, .write = write_listed, .steps = BINDING_STEPS                         \
    }

const struct listing_kind bindings_kind = KIND(collect_all);
static const struct listing_kind queue_kind = KIND(collect_of_queue);
static const struct listing_kind source_kind = KIND(collect_of_source);
static const struct listing_kind destination_kind = KIND(collect_of_destination);
static const struct listing_kind between_kind = KIND(collect_between);

void bindings_list(struct call *call)
{
    call_list_in(call, &bindings_kind);
}

void queue_bindings_list(struct call *call)
{
    call_list_in(call, &queue_kind);
}

void source_bindings_list(struct call *call)
{
    call_list_in(call, &source_kind);
}

void destination_bindings_list(struct call *call)
{
    call_list_in(call, &destination_kind);
}

void between_bindings_list(struct call *call)
{
    struct key key;
    if (read_ends(call, &key))
        call_list_in(call, &between_kind);
}

/* ---- one of them ---- */

/* Without arguments it is found by its key. */
static bool find_without_arguments(const struct vhost *vhost, struct bytes routing_key,
                                   struct key *key)
{
    key->routing_key = routing_key;
    key->arguments = bytes_of(NULL, 0);
    return is_there(vhost, key);
}

static bool find_with_arguments(const struct vhost *vhost, struct bytes name, bool is_quoted,
                                struct key *key)
{
    const struct queue *queue = key->to_queue ? vhost_queue(vhost, key->destination) : NULL;
    const struct exchange *exchange =
        key->to_queue ? NULL : vhost_exchange(vhost, key->destination);
    const struct list *all = queue ? &queue->bindings : exchange ? &exchange->destinations : NULL;
    if (!all)
        return false;
    list_for_each(link, all) {
        struct key its = key_of(list_entry(link, struct binding, destination_link));
        if (its.arguments.size && bytes_equal(its.source, key->source) &&
            is_named(&its, name, is_quoted)) {
            *key = its;
            return true;
        }
    }
    return false;
}

/* By its properties_key as that is, or (as it is in a path, where it is quoted once more) as what
 * that stands for. `room` is where a key may be decoded. */
static bool find_named(const struct vhost *vhost, struct bytes name, struct buffer *room,
                       struct key *key)
{
    struct bytes routing_key = bytes_of(NULL, 0);
    if (bytes_equal_str(name, "~"))
        return find_without_arguments(vhost, routing_key, key);
    bool has_tilde = memchr(name.data, '~', name.size);
    if (!has_tilde && http_decode(name, true, room, &routing_key) &&
        find_without_arguments(vhost, routing_key, key))
        return true;
    if (name.size && find_without_arguments(vhost, name, key))
        return true;
    return has_tilde && (find_with_arguments(vhost, name, true, key) ||
                         find_with_arguments(vhost, name, false, key));
}

/* NULL: there is none, and the call is answered. */
static struct vhost *find_binding(struct call *call, bool for_reading, struct buffer *room,
                                  struct key *key)
{
    if (!read_ends(call, key))
        return NULL;
    struct vhost *vhost = call_vhost(call, for_reading);
    if (!vhost || find_named(vhost, call->segments[4], room, key))
        return vhost;
    call_not_found(call);
    return NULL;
}

void binding_get(struct call *call)
{
    struct key key;
    struct buffer room = {0};
    const struct vhost *vhost = find_binding(call, true, &room, &key);
    if (vhost) {
        struct fields fields = call_tell(call);
        write_binding(call, vhost, &key, &fields);
        call_told(call, &fields);
    }
    buffer_free(&room);
}

/* Writing to the destination, reading the source, and reading that topic. */
static bool may_bind(const struct call *call, const struct vhost *vhost, const struct key *key,
                     struct error *error)
{
    const struct user *user = call->user;
    const struct exchange *source = vhost_exchange(vhost, key->source);
    if (!user)
        return true;
    return (key->to_queue
                ? permission_check_queue(user, vhost, ACCESS_WRITE, key->destination, error)
                : permission_check_exchange(user, vhost, ACCESS_WRITE, key->destination, error)) &&
           permission_check_exchange(user, vhost, ACCESS_READ, key->source, error) &&
           (!source || permission_check_topic(user, source, ACCESS_READ, key->routing_key, error));
}

/* False: there is no such destination. */
static bool request_of(const struct vhost *vhost, const struct key *key,
                       struct binding_request *request, struct error *error)
{
    *request = (struct binding_request){
        .source = key->source, .key = key->routing_key, .arguments = key->arguments};
    if (key->to_queue)
        request->queue = vhost_need_queue(vhost, key->destination, error);
    else
        request->exchange = vhost_need_exchange(vhost, key->destination, error);
    return request->queue || request->exchange;
}

void binding_delete_it(struct call *call)
{
    struct key key;
    struct error error = {0};
    struct buffer room = {0};
    struct binding_request request;
    struct vhost *vhost = find_binding(call, false, &room, &key);
    if (vhost) {
        if (may_bind(call, vhost, &key, &error) && request_of(vhost, &key, &request, &error) &&
            binding_remove(vhost, &request, &error))
            call_done(call, false);
        else
            call_fail_as(call, &error);
    }
    buffer_free(&room);
}

/* ---- a new one ---- */

static bool read_binding(struct call *call, struct key *key, struct buffer *arguments)
{
    char fault[200];
    if (!call_read_text(call, "routing_key", &key->routing_key))
        return false;
    if (key->routing_key.size > NAME_MAX_SIZE)
        call_fail(call, 400, "bad_request", "routing_key has %zu bytes, and may have %d",
                  key->routing_key.size, NAME_MAX_SIZE);
    else if (!json_to_table(json_find(call_json(call), "arguments"), JSON_NULL_REFUSED, arguments,
                            fault, sizeof(fault)))
        call_fail(call, 400, "bad_request", "arguments: %s", fault);
    key->arguments = buffer_bytes(arguments);
    return call->status == 0;
}

/* Where it is, seen from where its list is. */
static void write_location(struct call *call, const struct key *key)
{
    struct buffer name = {0};
    add_properties_key(&name, key, true);
    add_quoted(&call->location, call->segments[3], false);
    buffer_add(&call->location, "/", 1);
    for (size_t i = 0; i < name.size; i++)
        if (name.data[i] == '~' || name.data[i] == '+')
            buffer_add_u8(&call->location, name.data[i]);
        else
            add_quoted(&call->location, bytes_of(name.data + i, 1), false);
    buffer_free(&name);
}

/* Of what the exchange has kept for a new binding; STORE_ROOM_NOW: it may be made. */
static enum store_room room_for(const struct call *call, const struct exchange *source)
{
    uint64_t bytes = source ? binding_record_bytes(source) : 0;
    return bytes ? store_room(call->api->broker->store, bytes) : STORE_ROOM_NOW;
}

static void bind(struct call *call, struct vhost *vhost, struct key *key)
{
    struct error error = {0};
    struct binding_request request;
    struct changes sorted = {0};
    if (!may_bind(call, vhost, key, &error) || !request_of(vhost, key, &request, &error)) {
        call_fail_as(call, &error);
        return;
    }
    enum store_room room = room_for(call, vhost_exchange(vhost, key->source));
    if (room == STORE_ROOM_LATER)
        return; /* it is called again when there is room */
    if (room != STORE_ROOM_NOW) {
        call_fail(
            call, 400, "bad_request",
            "the messages that the exchange has kept for a new binding are larger than what %s",
            room == STORE_ROOM_FULL ? "is free on the disk" : "the journal takes");
    } else if (binding_add(vhost, &request, &error)) {
        key->arguments = binding_sort_arguments(&sorted, key->arguments);
        write_location(call, key);
        call_done(call, true);
    } else {
        call_fail_as(call, &error);
    }
    changes_free(&sorted);
}

void binding_post(struct call *call)
{
    struct key key;
    struct buffer arguments = {0};
    struct vhost *vhost = read_ends(call, &key) ? call_vhost(call, false) : NULL;
    if (vhost && read_binding(call, &key, &arguments))
        bind(call, vhost, &key);
    buffer_free(&arguments);
}
