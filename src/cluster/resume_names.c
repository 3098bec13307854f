/* Exclusive queues of a connection, and their bindings: they end with the server that has them, and are declared again
 * at the next one, on a channel that the client does not use. What is refused there is left out. */
#include "base/mem.h"
#include "cluster/resume_internal.h"

static struct name *name_at(struct list *at)
{
    return list_entry(at, struct name, link);
}

static void free_name(struct name *name)
{
    list_remove(&name->link);
    buffer_free(&name->queue);
    buffer_free(&name->frame);
    mem_free(name);
}

static bool has_queue(const struct resume *resume, struct bytes queue)
{
    list_for_each(at, &resume->names)
        if (name_at(at)->is_queue && bytes_equal(buffer_bytes(&name_at(at)->queue), queue))
            return true;
    return false;
}

static void add(struct resume *resume, bool is_queue, struct bytes queue, const union method *method)
{
    struct name *name = mem_zalloc(sizeof(*name));
    name->is_queue = is_queue;
    buffer_add(&name->queue, queue.data, queue.size);
    resume_frame(&name->frame, 0, method);
    list_push_back(&resume->names, &name->link);
}

void resume_names_declared(struct resume *resume, const union method *declare, struct bytes queue)
{
    union method method = *declare;
    method.queue_declare.queue = queue;
    method.queue_declare.nowait = false;
    if (!has_queue(resume, queue))
        add(resume, true, queue, &method);
}

static bool is_same(const struct method_queue_bind *bind, const struct method_queue_unbind *unbind)
{
    return bytes_equal(bind->queue, unbind->queue) && bytes_equal(bind->exchange, unbind->exchange) &&
           bytes_equal(bind->routing_key, unbind->routing_key) && bytes_equal(bind->arguments, unbind->arguments);
}

void resume_names_unbound(struct resume *resume, const union method *unbind)
{
    list_for_each_safe(at, after, &resume->names) {
        struct name *name = name_at(at);
        union method bind;
        resume_method(&name->frame, &bind);
        if (!name->is_queue && is_same(&bind.queue_bind, &unbind->queue_unbind))
            free_name(name);
    }
}

void resume_names_bound(struct resume *resume, const union method *bind)
{
    const struct method_queue_bind *fields = &bind->queue_bind;
    const union method unbind = {.queue_unbind = {.id = METHOD_QUEUE_UNBIND,
                                                  .queue = fields->queue,
                                                  .exchange = fields->exchange,
                                                  .routing_key = fields->routing_key,
                                                  .arguments = fields->arguments}};
    union method method = *bind;
    if (!has_queue(resume, fields->queue))
        return;
    method.queue_bind.nowait = false;
    resume_names_unbound(resume, &unbind);
    add(resume, false, fields->queue, &method);
}

void resume_names_deleted(struct resume *resume, struct bytes queue)
{
    list_for_each_safe(at, after, &resume->names)
        if (bytes_equal(buffer_bytes(&name_at(at)->queue), queue))
            free_name(name_at(at));
}

void resume_names_free(struct resume *resume)
{
    list_for_each_safe(at, after, &resume->names)
        free_name(name_at(at));
}

/* ---- another server ---- */

bool resume_names_can_tell(struct resume *resume)
{
    uint16_t number = 1;
    while (number < resume->channel_max && resume_channel(resume, number))
        number++;
    resume->naming_channel = number;
    return list_is_empty(&resume->names) || !resume_channel(resume, number);
}

static void tell(struct resume *resume, uint32_t id)
{
    const union method method = {.id = id};
    resume_to_server(resume, resume->naming_channel, &method);
}

void resume_names_tell(struct resume *resume)
{
    if (list_is_empty(&resume->names)) {
        resume_named(resume);
        return;
    }
    resume->naming = &resume->names;
    tell(resume, METHOD_CHANNEL_OPEN);
}

void resume_names_heard(struct resume *resume, const union method *method)
{
    uint16_t channel = htobe16(resume->naming_channel);
    switch (method->id) {
    case METHOD_CHANNEL_CLOSE:
        if (resume->naming != &resume->names) {
            resume->naming = resume->naming->prev;
            free_name(name_at(resume->naming->next));
        }
        tell(resume, METHOD_CHANNEL_CLOSE_OK);
        tell(resume, METHOD_CHANNEL_OPEN);
        return;
    case METHOD_CHANNEL_CLOSE_OK:
        resume_named(resume);
        return;
    default:
        resume->naming = resume->naming->next;
        if (resume->naming == &resume->names) {
            tell(resume, METHOD_CHANNEL_CLOSE);
            return;
        }
        struct buffer *frame = &name_at(resume->naming)->frame;
        memcpy(frame->data + 1, &channel, sizeof(channel));
        resume->ops->to_server(resume->context, buffer_bytes(frame));
    }
}
