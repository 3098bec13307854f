/* An import goes through the sections in the order in which objects need each other, and applies
 * each object before it looks at the next, by the functions of broker/. What is wrong is told, and
 * the import goes on to find more of it; who asked for it then keeps nothing of all that. */
#include "definitions/import.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "broker/login.h"
#include "broker/parameter.h"
#include "broker/quota.h"

/* Most of what follows so many faults follows from them. */
enum { FAULTS_MAX = 20 };

/* What making one object takes of the budget, besides reading it; and to forget one that was left out. */
enum { OBJECT_STEPS = 400, FORGET_STEPS = 20 };

/* ---- telling ---- */

static void tell(struct import *import, bool is_fault, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

static void tell(struct import *import, bool is_fault, const char *format, va_list arguments)
{
    char text[IMPORT_FAULT_MAX];
    vsnprintf(text, sizeof(text), format, arguments);
    import->place.is_fault = is_fault;
    import->place.text = text;
    import->listener->tell(import->listener->context, &import->place);
}

bool import_fail(struct import *import, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    tell(import, true, format, arguments);
    va_end(arguments);
    import->faults++;
    return false;
}

bool import_fail_with(struct import *import, const struct error *error)
{
    return import_fail(import, "%s", error->detail);
}

void import_omit(struct import *import, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    tell(import, false, format, arguments);
    va_end(arguments);
}

/* ---- members ---- */

static bool has_kind(struct import *import, const struct json *value, const char *name,
                     enum json_kind wanted)
{
    enum json_kind kind = json_kind_of(value);
    if (kind == JSON_IS_MISSING)
        return import_fail(import, "'%s' is missing", name);
    return kind == wanted || import_fail(import, "'%s' must be %s, and not %s", name,
                                         json_kind_name(wanted), json_kind_name(kind));
}

bool import_text(struct import *import, const struct json *object, const char *name,
                 struct bytes *text)
{
    const struct json *value = json_find(object, name);
    if (!has_kind(import, value, name, JSON_IS_TEXT))
        return false;
    *text = json_text(value);
    return true;
}

bool import_maybe_text(struct import *import, const struct json *object, const char *name,
                       struct bytes *text)
{
    const struct json *value = json_find(object, name);
    return !value || json_kind_of(value) == JSON_IS_NULL || import_text(import, object, name, text);
}

bool import_maybe_flag(struct import *import, const struct json *object, const char *name,
                       bool *flag)
{
    const struct json *value = json_find(object, name);
    if (value && !has_kind(import, value, name, JSON_IS_BOOL))
        return false;
    *flag = value ? json_flag(value) : *flag;
    return true;
}

bool import_maybe_whole(struct import *import, const struct json *object, const char *name,
                        int64_t *number)
{
    const struct json *value = json_find(object, name);
    if (value && !has_kind(import, value, name, JSON_IS_WHOLE))
        return false;
    *number = value ? json_whole(value) : *number;
    return true;
}

static bool join(struct import *import, const struct json *array, const char *name,
                 struct bytes *words)
{
    import->scratch.size = 0;
    for (size_t i = 0; i < json_count(array); i++) {
        const struct json *item = json_item(array, i);
        if (json_kind_of(item) != JSON_IS_TEXT)
            return import_fail(import, "'%s' must have strings in it, and not %s", name,
                               json_kind_name(json_kind_of(item)));
        if (i)
            buffer_add(&import->scratch, ",", 1);
        buffer_add(&import->scratch, json_text(item).data, json_text(item).size);
    }
    *words = buffer_bytes(&import->scratch);
    return true;
}

bool import_maybe_words(struct import *import, const struct json *object, const char *name,
                        struct bytes *words)
{
    const struct json *value = json_find(object, name);
    if (json_kind_of(value) == JSON_IS_ARRAY)
        return join(import, value, name, words);
    return import_maybe_text(import, object, name, words);
}

bool import_is_nothing(const struct json *value)
{
    enum json_kind kind = json_kind_of(value);
    bool may_be_empty = kind == JSON_IS_ARRAY || kind == JSON_IS_OBJECT;
    return kind == JSON_IS_MISSING || kind == JSON_IS_NULL ||
           (may_be_empty && json_count(value) == 0);
}

static bool find_limit(struct import *import, const struct json *limits, struct named_limit named)
{
    int64_t most = -1;
    *named.limit = (struct limit){0};
    if (!import_maybe_whole(import, limits, named.name, &most))
        return false;
    if (most > UINT32_MAX)
        return import_fail(import, "'%s' is more than %u", named.name, UINT32_MAX);
    if (most >= 0)
        *named.limit = (struct limit){true, (uint32_t)most};
    return true;
}

static bool find_quotas(struct import *import, const struct json *limits,
                        const struct named_limits *known)
{
    *known->quotas = (struct quota_limits){0};
    for (int kind = quota_first(known->of_user); kind < QUOTA_KINDS; kind++) {
        const char *name = quota_name((enum quota_kind)kind);
        int64_t most = -1;
        if (!import_maybe_whole(import, limits, name, &most))
            return false;
        if (most > (int64_t)QUOTA_MOST)
            return import_fail(import, "'%s' is more than %llu", name,
                               (unsigned long long)QUOTA_MOST);
        if (most >= 0)
            quota_limit(known->quotas, (enum quota_kind)kind, (uint64_t)most);
    }
    return true;
}

/* Who misspells a limit has none, and is told. */
static void look_for_unknown_limits(struct import *import, const struct json *limits,
                                    const struct named_limits *known)
{
    struct bytes name;
    const struct json *value;
    enum quota_kind kind;
    char quotas[QUOTA_NAMES_SIZE];
    for (struct json_walk walk = json_walk_of(limits); json_next(&walk, &name, &value);)
        if (!bytes_equal_str(name, known->named[0].name) &&
            !bytes_equal_str(name, known->named[1].name) &&
            !quota_find(name, known->of_user, &kind))
            import_omit(import, "limit '%.*s' is not known, and left out; it may be %s, %s%s",
                        BYTES_ARG(name), known->named[0].name, known->named[1].name,
                        quota_names(known->of_user, quotas));
}

bool import_limits(struct import *import, const struct json *limits, const char *name,
                   const struct named_limits *known)
{
    if (!import_is_nothing(limits) && !has_kind(import, limits, name, JSON_IS_OBJECT))
        return false;
    look_for_unknown_limits(import, limits, known);
    return find_limit(import, limits, known->named[0]) &&
           find_limit(import, limits, known->named[1]) && find_quotas(import, limits, known);
}

/* A file without a list of virtual hosts makes its own, if it has to. */
static struct vhost *own_vhost(struct import *import)
{
    struct error error;
    struct vhost_request request = {.name = import->vhost};
    struct vhost *vhost = vhost_find(import->broker, import->vhost);
    if (!vhost && !vhost_set(import->broker, &request, &error))
        import_fail_with(import, &error);
    return vhost ? vhost : vhost_find(import->broker, import->vhost);
}

struct vhost *import_vhost(struct import *import, const struct json *object)
{
    struct bytes name;
    if (import->only && import->only->is_going)
        import_fail(import, "the virtual host was deleted meanwhile");
    if (import->only)
        return import->only->is_going ? NULL : import->only;
    if (!json_find(object, "vhost"))
        return own_vhost(import);
    if (!import_text(import, object, "vhost", &name))
        return NULL;
    if (bytes_equal(name, import->vhost) && !json_find(import->root, "vhosts"))
        return own_vhost(import);
    struct vhost *vhost = vhost_find(import->broker, name);
    if (!vhost)
        import_fail(import,
                    "Please create virtual host \"%.*s\" prior to importing definitions: it is "
                    "neither there nor among the 'vhosts' of the file",
                    BYTES_ARG(name));
    return vhost;
}

/* ---- sections ---- */

static const struct section {
    const char *name, *kind;
    bool (*import)(struct import *import, const struct json *object);
    size_t counter;         /* in struct definitions_counts */
    const char *members[8]; /* that are known */
} sections[] = {
#define COUNTER(field) offsetof(struct definitions_counts, field)
    {"users",
     "user",
     import_user,
     COUNTER(users),
     {"name", "password_hash", "hashing_algorithm", "password", "tags", "limits"}},
    {"vhosts",
     "vhost",
     import_one_vhost,
     COUNTER(vhosts),
     {"name", "description", "tags", "default_queue_type", "metadata", "limits"}},
    {"permissions",
     "permission",
     import_permission,
     COUNTER(permissions),
     {"user", "vhost", "configure", "write", "read"}},
    {"topic_permissions",
     "topic_permission",
     import_topic_permission,
     COUNTER(topic_permissions),
     {"user", "vhost", "exchange", "write", "read"}},
    {"parameters",
     "parameter",
     import_parameter,
     COUNTER(parameters),
     {"vhost", "component", "name", "value"}},
    {"global_parameters",
     "global_parameter",
     import_global_parameter,
     COUNTER(parameters),
     {"name", "value"}},
    {"policies",
     "policy",
     import_policy,
     COUNTER(policies),
     {"vhost", "name", "pattern", "apply-to", "definition", "priority"}},
    {"queues",
     "queue",
     import_queue,
     COUNTER(queues),
     {"name", "vhost", "type", "durable", "auto_delete", "exclusive", "arguments"}},
    {"exchanges",
     "exchange",
     import_exchange,
     COUNTER(exchanges),
     {"name", "vhost", "type", "durable", "auto_delete", "internal", "arguments"}},
    {"bindings",
     "binding",
     import_binding,
     COUNTER(bindings),
     {"source", "vhost", "destination", "destination_type", "routing_key", "arguments",
      "properties_key"}},
};

enum { SECTIONS = sizeof(sections) / sizeof(sections[0]) };
_Static_assert(SECTIONS == (int)IMPORT_SECTIONS, "each section has a list");

static bool is_member(const struct section *section, struct bytes name)
{
    for (size_t i = 0; i < 8 && section->members[i]; i++)
        if (bytes_equal_str(name, section->members[i]))
            return true;
    return false;
}

/* A slip of the pen must not go unseen. */
static void look_for_unknown(struct import *import, const struct section *section,
                             const struct json *object)
{
    struct bytes name;
    const struct json *value;
    for (struct json_walk walk = json_walk_of(object); json_next(&walk, &name, &value);)
        if (!is_member(section, name))
            import_omit(import, "'%.*s' is not known, and left out", BYTES_ARG(name));
}

/* What remarks call it, before anything is known to be right. */
static void find_place(struct import *import, const struct section *section, size_t number,
                       const struct json *object)
{
    const struct json *vhost = json_find(object, "vhost");
    bool is_in_vhost = is_member(section, bytes_str("vhost"));
    struct bytes name = json_text(json_find(object, "name"));
    if (!name.size)
        name = json_text(json_find(object, "user"));
    if (!name.size)
        name = json_text(json_find(object, "source"));
    import->place = (struct definitions_remark){.kind = section->kind,
                                                .number = number,
                                                .vhost = vhost         ? json_text(vhost)
                                                         : is_in_vhost ? import->vhost
                                                                       : bytes_of(NULL, 0),
                                                .name = name};
}

/* A virtual host has none of these of its own. */
static bool is_of_all(const struct section *section)
{
    return section->import == import_user || section->import == import_one_vhost ||
           section->import == import_permission || section->import == import_topic_permission ||
           section->import == import_global_parameter;
}

size_t import_section_named(struct bytes name)
{
    size_t section = 0;
    while (section < SECTIONS && !bytes_equal_str(name, sections[section].name))
        section++;
    return section;
}

/* Begins with a section; false: nothing is to be made of it. */
static bool begin_section(struct import *import, const struct section *section)
{
    size_t number = (size_t)(section - sections);
    const struct json *list = json_find(import->root, section->name);
    import->place = (struct definitions_remark){.kind = ""};
    if (import->only && is_of_all(section)) {
        if (import->lists[number])
            import_omit(import, "'%s' are not of one virtual host, and left out", section->name);
        return false;
    }
    if (list && !has_kind(import, list, section->name, JSON_IS_ARRAY))
        return false;
    return import_open_list(import, number);
}

static void import_object(struct import *import, const struct section *section,
                          const struct json *object)
{
    size_t *counter = (size_t *)(void *)((char *)import->counts + section->counter);
    size_t left_out = import->counts->left_out;
    find_place(import, section, import->number, object);
    if (json_kind_of(object) != JSON_IS_OBJECT) {
        import_fail(import, "it must be an object, and not %s",
                    json_kind_name(json_kind_of(object)));
    } else if (section->import(import, object)) {
        look_for_unknown(import, section, object);
        *counter += import->counts->left_out == left_out;
    }
}

/* The next object of the section at hand; false: there are no more, or it is enough. */
static bool import_one(struct import *import, struct budget *budget)
{
    struct json *array = import->kept;
    if (!array && import->faults < FAULTS_MAX)
        array = import_next(import, budget);
    if (!array)
        return false;
    import_object(import, &sections[import->section], json_item(array, 0));
    import->kept = import->is_waiting ? array : NULL;
    if (!import->is_waiting)
        json_release(array);
    budget_use(budget, OBJECT_STEPS);
    return true;
}

/* ---- the whole ---- */

static bool is_about_file(struct bytes name)
{
    static const char *const names[] = {
        "rabbit_version",
        "rabbitmq_version",
        "product_name",
        "product_version",
        "rabbitmq_definition_format",
        "explanation",
        "original_vhost_name",
        "original_cluster_name",
        "description",
        "tags",
        "default_queue_type",
        "metadata",
        "limits",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (bytes_equal_str(name, names[i]))
            return true;
    for (size_t i = 0; i < SECTIONS; i++)
        if (bytes_equal_str(name, sections[i].name))
            return true;
    return false;
}

static void look_for_unknown_sections(struct import *import)
{
    struct bytes name;
    const struct json *value;
    import->place = (struct definitions_remark){.kind = ""};
    for (struct json_walk walk = json_walk_of(import->root); json_next(&walk, &name, &value);)
        if (!is_about_file(name))
            import_omit(import, "'%.*s' is not known, and left out", BYTES_ARG(name));
}

/* Hashes had no algorithm on record before 3.6, and were MD5. */
static bool is_old(struct bytes version)
{
    char text[16];
    char *end;
    snprintf(text, sizeof(text), "%.*s", BYTES_ARG(version));
    unsigned long major = strtoul(text, &end, 10);
    return end > text &&
           (major < 3 || (major == 3 && *end == '.' && strtoul(end + 1, NULL, 10) < 6));
}

/* What a file of one virtual host says of it stands beside its lists. */
static void import_header(struct import *import)
{
    const struct json *root = import->root;
    struct bytes own = json_text(json_find(root, "original_vhost_name"));
    import->is_old = is_old(json_text(json_find(root, "rabbit_version")));
    if (import->only) {
        import->vhost = vhost_name(import->only);
        return;
    }
    import->vhost = own.size ? own : bytes_str("/");
    import->place = (struct definitions_remark){.kind = "vhost", .name = import->vhost};
    if (own.size && !json_find(root, "vhosts"))
        import->counts->vhosts += import_vhost_named(import, own, root);
}

/* Nothing is looked up any more. False: that was all. */
static bool forget_left_out(struct import *import, struct budget *budget)
{
    bool is_all = false;
    while (!is_all && !budget_is_spent(budget)) {
        void *name = map_next(&import->left_out, &import->forgotten_at);
        is_all = !name;
        mem_free(name);
        budget_use(budget, FORGET_STEPS);
    }
    mem_settle();
    return !is_all;
}

static struct bytes without_mark(struct bytes text)
{
    return bytes_start_with(text, "\xef\xbb\xbf") ? bytes_of(text.data + 3, text.size - 3) : text;
}

/* ---- in parts ---- */

struct import *definitions_begin(struct broker *broker, struct vhost *only, struct bytes text,
                                 const struct definitions_listener *listener,
                                 struct definitions_counts *counts)
{
    struct import *import = mem_zalloc(sizeof(*import));
    import->broker = broker;
    import->only = only;
    import->text = without_mark(text);
    import->listener = listener;
    import->counts = counts;
    import->place.kind = "";
    import->can_wait = true;
    *counts = (struct definitions_counts){0};
    map_init(&import->left_out, random_next(broker->random));
    import_read(import);
    return import;
}

/* A section with faults is the last one. */
static void next_section(struct import *import, size_t number)
{
    import->is_in_list = false;
    while (number < SECTIONS && !import->faults && !import->is_in_list) {
        import->is_in_list = begin_section(import, &sections[number]);
        number++;
    }
    if (import->is_in_list)
        return;
    look_for_unknown_sections(import);
    import->state = IMPORT_FORGETS;
}

bool definitions_go_on(struct import *import, struct budget *budget)
{
    import->is_waiting = false;
    if (import->state == IMPORT_READS) {
        import_read_some(import, budget);
        if (import->faults)
            import->state = IMPORT_ENDED;
        if (import->faults || !import->root)
            return !import->faults;
        import->state = IMPORT_MAKES;
        import_header(import);
        next_section(import, 0);
    }
    while (import->state == IMPORT_MAKES && !import->is_waiting && !budget_is_spent(budget))
        if (!import_one(import, budget))
            next_section(import, import->section + 1);
    if (import->state == IMPORT_FORGETS && !forget_left_out(import, budget))
        import->state = IMPORT_ENDED;
    return import->state != IMPORT_ENDED;
}

bool definitions_wait(const struct import *import)
{
    return import->is_waiting;
}

bool definitions_end(struct import *import)
{
    bool is_done = import->state == IMPORT_ENDED && !import->faults;
    struct budget budget = budget_of(INT64_MAX);
    login_free(import->login);
    json_release(import->kept);
    json_release(import->root);
    buffer_free(&import->header);
    buffer_free(&import->scratch);
    forget_left_out(import, &budget);
    map_free(&import->left_out);
    mem_free(import);
    return is_done;
}

bool definitions_import(struct broker *broker, struct bytes text,
                        const struct definitions_listener *listener,
                        struct definitions_counts *counts)
{
    struct budget budget = budget_of(INT64_MAX);
    struct import *import = definitions_begin(broker, NULL, text, listener, counts);
    import->can_wait = false;
    while (definitions_go_on(import, &budget))
        continue;
    return definitions_end(import);
}

/* ---- what was imported before ---- */

enum { DIGEST_TEXT = 2 * SHA256_SIZE + 1 };

static const struct parameter_name noted_name = {
    .name = {(const uint8_t *)"imported_definition_hash_value", 30}, .is_global = true};

bool definitions_are_noted(struct broker *broker, const uint8_t digest[SHA256_SIZE])
{
    char text[DIGEST_TEXT];
    const struct parameter *noted = parameter_find(broker, &noted_name);
    digest_write(digest, SHA256_SIZE, text);
    return noted && bytes_equal_str(parameter_value(noted), text);
}

bool definitions_note(struct broker *broker, const uint8_t digest[SHA256_SIZE], struct error *error)
{
    char text[DIGEST_TEXT];
    digest_write(digest, SHA256_SIZE, text);
    const struct parameter_request request = {.name = noted_name, .value = bytes_str(text), .is_text = true};
    return parameter_set(broker, &request, error);
}
