/* Everything that is defined, section after section, as a file that an import takes. Each section
 * is a list, which is written a piece at a time: so neither a turn nor the memory depends on how
 * much there is. */
#include <stdio.h>

#include "api/resources.h"
#include "api/settings.h"
#include "base/mem.h"
#include "broker/exchange.h"
#include "broker/undo.h"
#include "definitions/definitions.h"
#include "http/multipart.h"

enum { DEFINITION_STEPS = 150 };

/* ---- what is not exported: it comes by itself, or goes with its connection ---- */

bool call_exports_name(struct bytes name)
{
    return name.size && !bytes_start_with(name, "amq.");
}

bool call_exports_queue(const struct queue *queue)
{
    return !queue->is_delay && !queue->exclusive_owner && call_exports_name(queue_name(queue));
}

/* ---- virtual hosts ---- */

static bool collect_vhosts(struct listing *listing, struct budget *budget)
{
    (void)budget;
    if (!listing_vhost(listing))
        return false;
    listing_add_named(listing, bytes_of(NULL, 0));
    listing_next_vhost(listing);
    return true;
}

static void write_metadata(const struct vhost *vhost, struct fields *fields)
{
    if (!fields_open(fields, "metadata", '{'))
        return;
    fields_string(fields, "description", vhost->description);
    fields_words(fields, "tags", vhost->tags);
    if (vhost->queue_type[0])
        fields_string(fields, "default_queue_type", vhost->queue_type);
    if (vhost->is_protected)
        fields_flag(fields, "protected_from_deletion", true);
    fields_close(fields, '}');
}

static bool write_vhost(struct listing *listing, struct bytes id, struct fields *fields)
{
    struct bytes name;
    const struct vhost *vhost = listing_vhost_of(listing, id, &name);
    fields_begin(fields, '{');
    fields_text(fields, "name", vhost_name(vhost));
    write_metadata(vhost, fields);
    fields_end(fields, '}');
    return true;
}

/* ---- queues and exchanges ---- */

static void add_queue(void *context, void *value)
{
    if (call_exports_queue(value))
        listing_add_named(context, queue_name(value));
}

static bool collect_queues(struct listing *listing, struct budget *budget)
{
    const struct vhost *vhost = listing_vhost(listing);
    (void)budget;
    return vhost && listing_walk(listing, &vhost->queues, add_queue);
}

static void add_exchange(void *context, void *value)
{
    if (call_exports_name(exchange_name(value)))
        listing_add_named(context, exchange_name(value));
}

static bool collect_exchanges(struct listing *listing, struct budget *budget)
{
    const struct vhost *vhost = listing_vhost(listing);
    (void)budget;
    return vhost && listing_walk(listing, &vhost->exchanges, add_exchange);
}

static bool write_queue(struct listing *listing, struct bytes id, struct fields *fields)
{
    struct bytes name;
    const struct vhost *vhost = listing_vhost_of(listing, id, &name);
    const struct queue *queue = vhost_queue(vhost, name);
    if (!queue || !call_exports_queue(queue))
        return false;
    fields_begin(fields, '{');
    fields_text(fields, "name", name);
    call_write_vhost(listing->call, vhost, fields);
    fields_flag(fields, "durable", queue->durable);
    fields_flag(fields, "auto_delete", queue->auto_delete);
    fields_table(fields, "arguments", bytes_of(queue->arguments, queue->arguments_size));
    fields_end(fields, '}');
    return true;
}

static bool write_exchange(struct listing *listing, struct bytes id, struct fields *fields)
{
    struct bytes name;
    const struct vhost *vhost = listing_vhost_of(listing, id, &name);
    const struct exchange *exchange = vhost_exchange(vhost, name);
    if (!exchange)
        return false;
    fields_begin(fields, '{');
    fields_text(fields, "name", name);
    call_write_vhost(listing->call, vhost, fields);
    fields_string(fields, "type", exchange_type(exchange));
    fields_flag(fields, "durable", exchange->durable);
    fields_flag(fields, "auto_delete", exchange->auto_delete);
    fields_flag(fields, "internal", exchange->internal);
    fields_table(fields, "arguments", exchange_arguments(exchange));
    fields_end(fields, '}');
    return true;
}

/* ---- the whole ---- */

#define KIND(collects, writes)                                                                     \
    {                                                                                              \
        .collect = collects, .write = writes, .steps = DEFINITION_STEPS                            \
    }

static const struct listing_kind vhosts_kind = KIND(collect_vhosts, write_vhost);
static const struct listing_kind queues_kind = KIND(collect_queues, write_queue);
static const struct listing_kind exchanges_kind = KIND(collect_exchanges, write_exchange);

static const struct section {
    const char *name;
    const struct listing_kind *kind;
    bool is_of_vhosts; /* it is also in the definitions of one virtual host */
} sections[] = {
    {"users", &users_kind, false},
    {"vhosts", &vhosts_kind, false},
    {"permissions", &permissions_kind, false},
    {"topic_permissions", &topic_permissions_kind, false},
    {"parameters", &parameters_kind, true},
    {"global_parameters", &global_parameters_kind, false},
    {"policies", &policies_kind, true},
    {"queues", &queues_kind, true},
    {"exchanges", &exchanges_kind, true},
    {"bindings", &bindings_kind, true},
};

enum { SECTIONS = sizeof(sections) / sizeof(sections[0]) };

/* Goes on with the section that call->at counts, if it is one of those that are wanted; false:
 * there are no more. */
static bool begin_section(struct call *call)
{
    bool is_one = call->segments[0].data;
    struct vhost *only = is_one ? vhost_find(call->api->broker, call->segments[0]) : NULL;
    while (call->at < SECTIONS && is_one && !sections[call->at].is_of_vhosts)
        call->at++;
    if (call->at == SECTIONS || (is_one && !only))
        return false; /* that was the last one, or the virtual host is gone */
    const struct section *section = &sections[call->at++];
    buffer_add(&call->body, ",\"", 2);
    buffer_add(&call->body, section->name, strlen(section->name));
    buffer_add(&call->body, "\":", 2);
    call_list(call, section->kind, only);
    return true;
}

bool call_next_section(struct call *call, struct buffer *body)
{
    listing_free(call->listing);
    call->listing = NULL;
    if (begin_section(call))
        return true;
    buffer_add(body, "}", 1);
    return false;
}

static void write_head(struct call *call, const struct vhost *only)
{
    const struct api_options *options = &call->api->options;
    struct fields fields = fields_of(&call->body, NULL);
    fields_begin(&fields, '{');
    fields_string(&fields, "rabbit_version", options->product_version);
    fields_string(&fields, "rabbitmq_version", options->product_version);
    fields_string(&fields, "product_name", "Leveret");
    fields_string(&fields, "product_version", options->version);
    fields_string(&fields, "rabbitmq_definition_format", only ? "single_virtual_host" : "cluster");
    if (!only)
        return;
    fields_text(&fields, "original_vhost_name", vhost_name(only));
    write_metadata(only, &fields);
}

void call_write_vhost(const struct call *call, const struct vhost *vhost, struct fields *fields)
{
    if (!call->is_export || !call->segments[0].data)
        fields_text(fields, "vhost", vhost_name(vhost));
}

void definitions_get(struct call *call)
{
    const struct vhost *only = call->segments[0].data ? call_vhost(call, true) : NULL;
    if (call->status)
        return;
    call->is_export = true;
    call->columns.count = 0;
    write_head(call, only);
    begin_section(call);
}

/* ---- an import: all of it, or nothing, a part in each turn ---- */

enum { REASON_MAX = 900, OMITTED_MAX = 100, DIGEST_PIECE = 8192, DIGEST_BYTES_PER_STEP = 2 };

struct told {
    const struct call *call;
    struct buffer faults;
    size_t omitted;
};

/* What a call has in hand. One import is done at a time, so that what is made is not taken back by
 * another one. */
struct importing {
    struct import *import; /* NULL: it has ended */
    struct undo undo;
    struct definitions_counts counts;
    struct definitions_listener listener;
    struct told told;
    struct vhost *only; /* held; NULL: all */
    bool is_good;       /* when it has ended */
    bool has_begun;
    struct bytes file;
    bool may_skip; /* it is not to be imported if it is what was imported last */
    uint8_t digest[SHA256_SIZE]; /* then: of so many bytes of it */
    size_t digested;
};

static void tell_omitted(struct told *told, const struct definitions_remark *remark)
{
    if (told->omitted++ < OMITTED_MAX)
        log_event(told->call->api->broker->log, EVENT_definitions_left_out,
                  "file=%.*s peer=%s %s=%zu vhost=%.*s name=%.*s reason=%s",
                  BYTES_ARG(told->call->request->path), told->call->peer->name,
                  remark->kind[0] ? remark->kind : "whole", remark->number,
                  BYTES_ARG(remark->vhost), BYTES_ARG(remark->name), remark->text);
}

static void tell(void *context, const struct definitions_remark *remark)
{
    char line[REASON_MAX];
    struct told *told = context;
    if (!remark->is_fault) {
        tell_omitted(told, remark);
        return;
    }
    int size = remark->kind[0] ? snprintf(line, sizeof(line), "%s %zu '%.*s': %s", remark->kind,
                                          remark->number, BYTES_ARG(remark->name), remark->text)
                               : snprintf(line, sizeof(line), "%s", remark->text);
    if (size >= (int)sizeof(line))
        size = sizeof(line) - 1;
    if (told->faults.size)
        buffer_add(&told->faults, "; ", 2);
    buffer_add(&told->faults, line, (size_t)size);
}

/* The file of a form, as browsers send it, or the whole body. False: a form has none, and the call is
 * answered. */
static bool find_file(struct call *call, struct bytes *file)
{
    *file = call->request->body;
    bool is_there = !http_is_form(call->request) || http_form_field(call->request, "file", file);
    if (!is_there)
        call_fail(call, 400, "bad_request", "the form has no field 'file', or ends before it does");
    return is_there;
}

/* Where a form wants its browser to be sent then. */
static void redirect(struct call *call)
{
    struct bytes place;
    if (!http_is_form(call->request) || !http_form_field(call->request, "redirect", &place))
        return;
    for (size_t i = 0; i < place.size; i++)
        if (place.data[i] <= ' ' || place.data[i] > '~')
            return;
    buffer_add(&call->location, place.data, place.size);
    call->status = 303;
}

/* For the worker that makes a password's hash. */
static bool is_waiting(const struct importing *work)
{
    return work->import && definitions_wait(work->import);
}

/* The next part. True: there is more to do. */
static bool import_some(struct call *call, struct importing *work)
{
    struct broker *broker = call->api->broker;
    if (work->import) {
        undo_note_in(broker, &work->undo);
        bool has_more = definitions_go_on(work->import, call->budget);
        undo_pause(broker);
        if (has_more)
            return true;
        work->is_good = definitions_end(work->import);
        work->import = NULL;
    }
    return work->is_good ? undo_forget(&work->undo, call->budget)
                         : undo_take_back(broker, &work->undo, call->budget);
}

static void free_import(struct call *call)
{
    struct importing *work = call->work;
    if (work->only)
        work->only->holders--;
    buffer_free(&work->told.faults);
    mem_free(work);
    call->work = NULL;
    call->api->importing = NULL;
}

/* Nobody waits for it any more, as the broker stops: what was made so far is taken back. */
static void drop_import(struct call *call)
{
    struct importing *work = call->work;
    struct budget budget = budget_of(INT64_MAX);
    if (work->import)
        definitions_end(work->import);
    if (work->is_good)
        undo_forget(&work->undo, &budget);
    else
        undo_take_back(call->api->broker, &work->undo, &budget);
    free_import(call);
}

/* In pieces, each with the digest of what is before it. False: that was all. */
static bool digest_some(struct importing *work, struct budget *budget)
{
    while (work->digested < work->file.size && !budget_is_spent(budget)) {
        size_t left = work->file.size - work->digested;
        size_t size = left < DIGEST_PIECE ? left : DIGEST_PIECE;
        sha256(bytes_of(work->digest, SHA256_SIZE), bytes_of(work->file.data + work->digested, size), work->digest);
        work->digested += size;
        budget_use(budget, size / DIGEST_BYTES_PER_STEP);
    }
    return work->digested < work->file.size;
}

/* The text stays with its call. */
static void begin_reading(struct call *call, struct importing *work)
{
    work->import = definitions_begin(call->api->broker, work->only, work->file, &work->listener, &work->counts);
    work->has_begun = true;
}

static void begin_import(struct call *call, struct vhost *only, struct bytes file)
{
    struct importing *work = mem_zalloc(sizeof(*work));
    *work = (struct importing){.listener = {tell, &work->told}, .told = {.call = call}};
    work->only = only;
    work->file = file;
    work->may_skip = !only && call_is_set(call, "skip_if_unchanged");
    if (only)
        only->holders++;
    call->work = work;
    call->drop = drop_import;
    call->api->importing = call;
    if (!work->may_skip)
        begin_reading(call, work);
}

/* What may have been imported before is known when all of it was looked at. False: it was, and the call is answered; or
 * there is more to look at. */
static bool is_wanted(struct call *call, struct importing *work)
{
    if (work->has_begun)
        return true;
    call->has_more = digest_some(work, call->budget);
    if (call->has_more)
        return false;
    if (!definitions_are_noted(call->api->broker, work->digest)) {
        begin_reading(call, work);
        return true;
    }
    free_import(call);
    call_done(call, false);
    redirect(call);
    return false;
}

static void end_import(struct call *call)
{
    struct importing *work = call->work;
    struct bytes faults = buffer_bytes(&work->told.faults);
    struct error error;
    if (work->is_good && work->may_skip && !definitions_note(call->api->broker, work->digest, &error)) {
        call_fail(call, 400, "bad_request", "all was imported, and that cannot be noted: %s", error.detail);
    } else if (work->is_good) {
        call_done(call, false);
        redirect(call);
    } else {
        call_fail(call, 400, "bad_request", "nothing was imported: %.*s",
                  (int)(faults.size < REASON_MAX ? faults.size : REASON_MAX),
                  (const char *)faults.data);
    }
    free_import(call);
}

void definitions_post(struct call *call)
{
    struct bytes file;
    if (!call->work) {
        struct vhost *only = call->segments[0].data ? call_vhost(call, true) : NULL;
        if (call->status || !find_file(call, &file) || call->api->importing)
            return; /* for the one before to end */
        begin_import(call, only, file);
    }
    if (!is_wanted(call, call->work) || store_is_congested(call->api->broker->store))
        return; /* what was decided is to be written first */
    bool goes_on = import_some(call, call->work);
    call->has_more = goes_on && !is_waiting(call->work);
    if (!goes_on)
        end_import(call);
}
