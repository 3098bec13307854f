#include "broker/permission.h"

#include "amqp/reply.h"
#include "amqp/table.h"
#include "base/mem.h"
#include "base/planted.h"
#include "broker/apply.h"
#include "broker/exchange.h"
#include "broker/name.h"

/* ---- checking ---- */

static const char *access_name(enum access access)
{
    static const char *const names[] = {"configure", "write", "read"};
    return names[access];
}

const struct permission *permission_find(const struct user *user, struct bytes vhost)
{
    return map_find(&user->permissions, vhost);
}

bool permission_check_vhost(const struct user *user, const struct vhost *vhost, struct error *error)
{
    return permission_find(user, vhost_name(vhost)) ||
           error_set(error, REPLY_NOT_ALLOWED, "access to vhost '%s' refused for user '%s'",
                     vhost->name, user->name);
}

static bool check(const struct user *user, const struct vhost *vhost, enum access access,
                  const char *kind, struct bytes name, struct error *error)
{
    char resource[RESOURCE_MAX], room[NAME_MAX_SIZE];
    const struct permission *permission = permission_find(user, vhost_name(vhost));
    name = name_strip(name, room);
    if (permission && pattern_matches(&permission->patterns[access], name))
        return true;
    return error_set(error, REPLY_ACCESS_REFUSED, "%s access to %s refused for user '%s'",
                     access_name(access), resource_text(resource, kind, name, vhost), user->name);
}

bool permission_check_queue(const struct user *user, const struct vhost *vhost, enum access access,
                            struct bytes name, struct error *error)
{
    return check(user, vhost, access, "queue", name, error);
}

bool permission_check_exchange(const struct user *user, const struct vhost *vhost,
                               enum access access, struct bytes name, struct error *error)
{
    char room[NAME_MAX_SIZE];
    name = name_strip(name, room);
    return check(user, vhost, access, "exchange", name.size ? name : bytes_str("amq.default"),
                 error);
}

bool permission_check_alternate(const struct user *user, const struct vhost *vhost,
                                struct bytes exchange, struct bytes arguments, struct error *error)
{
    struct bytes other;
    return !table_find_string(arguments, "alternate-exchange", &other) ||
           other.size > NAME_MAX_SIZE ||
           (permission_check_exchange(user, vhost, ACCESS_READ, exchange, error) &&
            permission_check_exchange(user, vhost, ACCESS_WRITE, other, error));
}

bool permission_check_dead_letter(const struct user *user, const struct vhost *vhost,
                                  struct bytes queue, struct bytes arguments, struct error *error)
{
    struct bytes other;
    return !table_find_string(arguments, "x-dead-letter-exchange", &other) ||
           other.size > NAME_MAX_SIZE ||
           (permission_check_queue(user, vhost, ACCESS_READ, queue, error) &&
            permission_check_exchange(user, vhost, ACCESS_WRITE, other, error));
}

/* ---- topics ---- */

enum { TOPIC_KEY_MAX = 2 * NAME_MAX_SIZE + 1 };

static struct bytes topic_key(char room[TOPIC_KEY_MAX], struct bytes vhost, struct bytes exchange)
{
    if (vhost.size)
        memcpy(room, vhost.data, vhost.size);
    room[vhost.size] = '\0';
    if (exchange.size)
        memcpy(room + vhost.size + 1, exchange.data, exchange.size);
    return bytes_of(room, vhost.size + 1 + exchange.size);
}

const struct topic_permission *topic_permission_find(const struct user *user, struct bytes vhost,
                                                     struct bytes exchange)
{
    char room[TOPIC_KEY_MAX];
    if (vhost.size > NAME_MAX_SIZE || exchange.size > NAME_MAX_SIZE)
        return NULL;
    return map_find(&user->topics, topic_key(room, vhost, exchange));
}

static const struct topic_permission *find_topic(const struct user *user,
                                                 const struct exchange *exchange)
{
    if (map_count(&user->topics) == 0 || exchange->kind != &exchange_topic)
        return NULL;
    return topic_permission_find(user, vhost_name(exchange->vhost), exchange_name(exchange));
}

bool permission_has_topics(const struct user *user, const struct exchange *exchange)
{
    return find_topic(user, exchange);
}

bool permission_check_topic(const struct user *user, const struct exchange *exchange,
                            enum access access, struct bytes key, struct error *error)
{
    char resource[RESOURCE_MAX];
    const struct topic_permission *topic = find_topic(user, exchange);
    if (!topic || pattern_matches(&topic->expanded[access], key))
        return true;
    return error_set(
        error, REPLY_ACCESS_REFUSED, "%s access to topic '%.*s' in %s refused for user '%s'",
        access_name(access), BYTES_ARG(key),
        resource_text(resource, "exchange", exchange_name(exchange), exchange->vhost), user->name);
}

/* A name as a pattern that matches just that. */
static void add_literally(struct buffer *out, struct bytes name)
{
    for (size_t i = 0; i < name.size; i++) {
        uint8_t byte = name.data[i];
        bool is_plain = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
                        (byte >= 'a' && byte <= 'z') || byte >= 0x80;
        if (!is_plain)
            buffer_add_u8(out, '\\');
        buffer_add_u8(out, byte);
    }
}

/* {username} and {vhost} become names; {client_id} is one of MQTT's, and stays. */
static void expand(struct buffer *out, struct bytes text, struct bytes user, struct bytes vhost)
{
    static const char user_word[] = "{username}", vhost_word[] = "{vhost}";
    while (text.size) {
        size_t taken = 1;
        if (bytes_start_with(text, user_word)) {
            add_literally(out, user);
            taken = sizeof(user_word) - 1;
        } else if (bytes_start_with(text, vhost_word)) {
            add_literally(out, vhost);
            taken = sizeof(vhost_word) - 1;
        } else {
            buffer_add_u8(out, text.data[0]);
        }
        text = bytes_of(text.data + taken, text.size - taken);
    }
}

static bool expanded_init(struct pattern *pattern, struct bytes text, const struct change *change,
                          char *fault, size_t fault_size)
{
    struct buffer expanded = {0};
    expand(&expanded, text, change->name, change->vhost);
    bool fine = pattern_init(pattern, buffer_bytes(&expanded), fault, fault_size);
    buffer_free(&expanded);
    return fine;
}

/* ---- applying ---- */

/* The decision has tried all patterns; one that is none any more matches nothing. */
static void make(struct pattern *pattern, struct bytes text)
{
    char fault[300];
    pattern_init(pattern, text, fault, sizeof(fault));
}

static void patterns_free(struct pattern patterns[ACCESSES])
{
    for (int i = 0; i < ACCESSES; i++)
        pattern_free(&patterns[i]);
}

static void permission_free(struct permission *permission)
{
    if (permission)
        patterns_free(permission->patterns);
    mem_free(permission);
}

void permission_apply(struct broker *broker, const struct change *change)
{
    struct user *user = user_find(broker, change->name);
    if (!user)
        return;
    struct permission *before = map_remove(&user->permissions, change->vhost);
    if (!change->is_delete) {
        struct permission *permission = mem_zalloc(sizeof(*permission) + change->vhost.size + 1);
        permission->vhost_size = change->vhost.size;
        if (change->vhost.size)
            memcpy(permission->vhost, change->vhost.data, change->vhost.size);
        make(&permission->patterns[ACCESS_CONFIGURE], change->configure);
        make(&permission->patterns[ACCESS_WRITE], change->write);
        make(&permission->patterns[ACCESS_READ], change->read);
        map_add(&user->permissions, bytes_of(permission->vhost, permission->vhost_size),
                permission);
    }
    permission_free(before);
    broker->topology += !planted(PLANTED_PERMISSION_REMEMBERED);
}

static void topic_free(struct topic_permission *topic)
{
    if (topic) {
        patterns_free(topic->patterns);
        patterns_free(topic->expanded);
    }
    mem_free(topic);
}

void topic_permission_apply(struct broker *broker, const struct change *change)
{
    char room[TOPIC_KEY_MAX], fault[300];
    struct user *user = user_find(broker, change->name);
    if (!user)
        return;
    struct bytes key = topic_key(room, change->vhost, change->source);
    struct topic_permission *before = map_remove(&user->topics, key);
    if (!change->is_delete) {
        struct topic_permission *topic = mem_zalloc(sizeof(*topic) + key.size);
        topic->vhost_size = change->vhost.size;
        topic->key_size = key.size;
        memcpy(topic->key, key.data, key.size);
        make(&topic->patterns[ACCESS_WRITE], change->write);
        make(&topic->patterns[ACCESS_READ], change->read);
        expanded_init(&topic->expanded[ACCESS_WRITE], change->write, change, fault, sizeof(fault));
        expanded_init(&topic->expanded[ACCESS_READ], change->read, change, fault, sizeof(fault));
        map_add(&user->topics, bytes_of(topic->key, topic->key_size), topic);
    }
    topic_free(before);
    broker->topology++;
}

void permissions_free(struct user *user)
{
    void *found;
    for (uint64_t at = 0; (found = map_next(&user->permissions, &at));)
        permission_free(found);
    for (uint64_t at = 0; (found = map_next(&user->topics, &at));)
        topic_free(found);
    map_free(&user->permissions);
    map_free(&user->topics);
}

/* ---- deciding ---- */

static bool is_pattern(struct bytes text, const struct change *change, struct error *error)
{
    char fault[400];
    struct pattern pattern;
    bool fine = change->kind == CATALOGUE_PERMISSION
                    ? pattern_init(&pattern, text, fault, sizeof(fault))
                    : expanded_init(&pattern, text, change, fault, sizeof(fault));
    pattern_free(&pattern);
    return fine || error_set(error, REPLY_PRECONDITION_FAILED, "%s", fault);
}

static bool decide(struct broker *broker, const struct change *change, struct changes *changes,
                   struct error *error)
{
    if (!user_need(broker, change->name, error) || !vhost_need(broker, change->vhost, error))
        return false;
    if (change->source.size > NAME_MAX_SIZE)
        return error_set(error, REPLY_PRECONDITION_FAILED, "no exchange has a name of %zu bytes",
                         change->source.size);
    if (!is_pattern(change->configure, change, error) ||
        !is_pattern(change->write, change, error) || !is_pattern(change->read, change, error))
        return false;
    changes_add(changes, change);
    return true;
}

bool permission_set_decide(struct broker *broker, const struct permission_request *request,
                           struct changes *changes, struct error *error)
{
    struct change change = {.kind = CATALOGUE_PERMISSION,
                            .durable = true,
                            .vhost = request->vhost,
                            .name = request->user,
                            .configure = request->configure,
                            .write = request->write,
                            .read = request->read};
    return decide(broker, &change, changes, error);
}

bool topic_permission_set_decide(struct broker *broker, const struct permission_request *request,
                                 struct changes *changes, struct error *error)
{
    struct change change = {.kind = CATALOGUE_TOPIC_PERMISSION,
                            .durable = true,
                            .vhost = request->vhost,
                            .name = request->user,
                            .source = request->exchange,
                            .write = request->write,
                            .read = request->read};
    return decide(broker, &change, changes, error);
}

static void clear(const struct user *user, struct bytes vhost, struct bytes exchange,
                  enum catalogue_kind kind, struct changes *changes)
{
    struct change change = {.kind = kind,
                            .durable = true,
                            .is_delete = true,
                            .name = changes_keep(changes, user_name(user)),
                            .vhost = changes_keep(changes, vhost),
                            .source = changes_keep(changes, exchange)};
    changes_add(changes, &change);
}

/* Of any virtual host, if there are no bytes for it, and of any exchange, if it is NULL. */
static void clear_topics(const struct user *user, struct bytes vhost, const struct bytes *exchange,
                         struct changes *changes)
{
    const struct topic_permission *topic;
    for (uint64_t at = 0; (topic = map_next(&user->topics, &at));) {
        struct bytes its = bytes_of(topic->key, topic->vhost_size);
        struct bytes from = topic_permission_exchange(topic);
        if ((!vhost.data || bytes_equal(its, vhost)) && (!exchange || bytes_equal(from, *exchange)))
            clear(user, its, from, CATALOGUE_TOPIC_PERMISSION, changes);
    }
}

void permissions_clear_decide(const struct user *user, struct bytes vhost, struct changes *changes)
{
    const struct permission *permission;
    for (uint64_t at = 0; (permission = map_next(&user->permissions, &at));) {
        struct bytes its = bytes_of(permission->vhost, permission->vhost_size);
        if (!vhost.data || bytes_equal(its, vhost))
            clear(user, its, bytes_of(NULL, 0), CATALOGUE_PERMISSION, changes);
    }
    clear_topics(user, vhost, NULL, changes);
}

/* ---- both ---- */

bool permission_set(struct broker *broker, const struct permission_request *request,
                    struct error *error)
{
    bool allowed = permission_set_decide(broker, request, &broker->changes, error);
    changes_apply(broker, &broker->changes);
    return allowed;
}

bool topic_permission_set(struct broker *broker, const struct permission_request *request,
                          struct error *error)
{
    bool allowed = topic_permission_set_decide(broker, request, &broker->changes, error);
    changes_apply(broker, &broker->changes);
    return allowed;
}

bool permission_clear(struct broker *broker, struct bytes name, struct bytes vhost,
                      struct error *error)
{
    const struct user *user = user_need(broker, name, error);
    if (user && permission_find(user, vhost))
        clear(user, vhost, bytes_of(NULL, 0), CATALOGUE_PERMISSION, &broker->changes);
    changes_apply(broker, &broker->changes);
    return user;
}

bool topic_permission_clear(struct broker *broker, struct bytes name, struct bytes vhost,
                            const struct bytes *exchange, struct error *error)
{
    const struct user *user = user_need(broker, name, error);
    if (user)
        clear_topics(user, vhost, exchange, &broker->changes);
    changes_apply(broker, &broker->changes);
    return user;
}
