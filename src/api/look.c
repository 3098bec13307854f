/* A look at the messages of a queue, to which nothing happens by it; and the end of one of them. */
#include <stdio.h>

#include "amqp/properties.h"
#include "amqp/table.h"
#include "api/messages.h"
#include "api/queues.h"
#include "api/resources.h"
#include "base/mem.h"
#include "broker/queue_declare.h"
#include "session/look.h"

/* How many are told of, unless it is said; at most; and how many are looked at for that. */
enum { COUNT = 50, COUNT_MAX = 500, LOOKS_MAX = 100000 };
/* Of a body, unless it is said, and at most; and of the answer, about. */
enum { TRUNCATE = 50000, TRUNCATE_MAX = 1 << 20, BYTES_MAX = 4 << 20 };
/* Of a turn's budget: to look at one, to tell of one; and what is searched in one step. */
enum { LOOK_STEPS = 30, TELL_STEPS = 300, HEADER_BYTES = 8, BODY_BYTES = 64 };
enum { SLICE_BYTES = 64 << 10 };

/* ---- which ones ---- */

/* `key:TEXT`, `header:NAME`, `header:NAME=VALUE` or `text:TEXT`; what has none of these in front is
 * a text. */
struct message_filter {
    enum { FILTER_NONE, FILTER_KEY, FILTER_HEADER, FILTER_TEXT } by;
    struct bytes name, text;
    bool has_value; /* of FILTER_HEADER: its value is `text` */
};

static struct bytes behind(struct bytes text, size_t size)
{
    return bytes_of(text.data + size, text.size - size);
}

static struct message_filter header_filter(struct bytes text)
{
    const uint8_t *equals = text.size ? memchr(text.data, '=', text.size) : NULL;
    size_t size = equals ? (size_t)(equals - text.data) : text.size;
    return (struct message_filter){
        .by = FILTER_HEADER,
        .name = bytes_of(text.data, size),
        .text = equals ? behind(text, size + 1) : bytes_of(NULL, 0),
        .has_value = equals,
    };
}

static struct message_filter read_filter(struct bytes text)
{
    if (bytes_start_with(text, "header:"))
        return header_filter(behind(text, 7));
    if (bytes_start_with(text, "key:"))
        return (struct message_filter){.by = FILTER_KEY, .text = behind(text, 4)};
    if (bytes_start_with(text, "text:"))
        text = behind(text, 5);
    return (struct message_filter){.by = text.size ? FILTER_TEXT : FILTER_NONE, .text = text};
}

static bool has_text(struct bytes in, struct bytes text)
{
    return text.size == 0 ||
           (in.size >= text.size && memmem(in.data, in.size, text.data, text.size));
}

static bool has_header(const struct message_filter *filter, const struct message *message)
{
    struct properties_brief brief;
    struct field field;
    struct buffer value = {0};
    properties_scan(message_properties(message), &brief);
    if (!table_find(brief.headers, filter->name, &field))
        return false;
    if (filter->has_value)
        field_print_value(&value, &field);
    bool is_it = !filter->has_value || bytes_equal(buffer_bytes(&value), filter->text);
    buffer_free(&value);
    return is_it;
}

/* ---- the list ---- */

struct looking {
    uint64_t queue_id;
    struct vhost *vhost; /* held */
    uint64_t from, left, looks;
    struct message_filter filter;
    struct message_style style;
    struct fields fields;
    struct looked looked; /* with its message, while it is looked at */
    bool is_held;         /* it is that */
    uint64_t searched;    /* bytes of its body */
    bool is_over;         /* there are no more */
};

static void let_go(const struct call *call, struct looking *looking)
{
    if (looking->is_held && looking->looked.message)
        message_unref(call->api->broker->pool, looking->looked.message);
    looking->is_held = false;
}

static void end_looking(struct call *call)
{
    struct looking *looking = call->work;
    let_go(call, looking);
    looking->vhost->holders--;
    mem_free(looking);
    call->work = NULL;
}

static struct queue *queue_of(const struct call *call)
{
    const struct looking *looking = call->work;
    struct queue *queue = vhost_queue(looking->vhost, call->segments[1]);
    return queue && queue->id == looking->queue_id ? queue : NULL;
}

static bool read_digits(struct bytes text, uint64_t *number)
{
    *number = 0;
    for (size_t i = 0; i < text.size; i++) {
        uint64_t digit = (uint64_t)text.data[i] - '0';
        if (digit > 9 || *number > (UINT64_MAX - digit) / 10)
            return false;
        *number = *number * 10 + digit;
    }
    return text.size > 0;
}

/* A parameter that may be missing. False: it is no number, and the call is answered. */
static bool read_number(struct call *call, const char *name, uint64_t most, uint64_t *number)
{
    struct bytes text = call_parameter(call, name);
    bool is_number = !text.data || read_digits(text, number);
    if (!is_number)
        call_fail(call, 400, "bad_request", "%s is '%.*s', and should be a whole number", name,
                  BYTES_ARG(text));
    if (*number > most)
        *number = most;
    return is_number;
}

static bool may_read(struct call *call, const struct queue *queue)
{
    struct error error = {0};
    bool may =
        queue_may(call, queue->vhost, ACCESS_READ, &error) && queue_check_access(queue, 0, &error);
    if (!may)
        call_fail_as(call, &error);
    return may;
}

static void begin_looking(struct call *call)
{
    struct looking wanted = {.left = COUNT, .style = {.truncate = TRUNCATE}};
    const struct queue *queue = queue_find(call, false);
    if (!queue || !may_read(call, queue) || !read_number(call, "from", UINT64_MAX, &wanted.from) ||
        !read_number(call, "count", COUNT_MAX, &wanted.left) ||
        !read_number(call, "truncate", TRUNCATE_MAX, &wanted.style.truncate))
        return;
    wanted.style.is_base64 = bytes_equal_str(call_parameter(call, "encoding"), "base64");
    wanted.filter = read_filter(call_parameter(call, "filter"));
    wanted.queue_id = queue->id;
    wanted.vhost = queue->vhost;
    wanted.vhost->holders++;
    wanted.fields = fields_of(&call->body, NULL);
    fields_begin(&wanted.fields, '{');
    fields_open(&wanted.fields, "messages", '[');
    call->work = mem_zalloc(sizeof(wanted));
    call->drop = end_looking;
    memcpy(call->work, &wanted, sizeof(wanted));
}

/* Bodies may be long, and are searched in slices. False: it goes on in a later turn. */
static bool search(struct looking *looking, struct budget *budget, bool *found)
{
    struct bytes body = message_body(looking->looked.message), text = looking->filter.text;
    *found = false;
    while (!*found && body.size - looking->searched >= text.size) {
        if (budget_is_spent(budget))
            return false;
        struct bytes part = behind(body, looking->searched);
        if (part.size > SLICE_BYTES + text.size)
            part.size = SLICE_BYTES + text.size; /* so that what begins in the slice is in it */
        *found = has_text(part, text);
        looking->searched += part.size - text.size + 1;
        budget_use(budget, part.size / BODY_BYTES + 1);
    }
    return true;
}

/* Is the message one that is wanted? One that is damaged has nothing to be found by. False: it is
 * not known yet. */
static bool decide(struct looking *looking, struct budget *budget, bool *is_wanted)
{
    const struct message *message = looking->looked.message;
    const struct message_filter *filter = &looking->filter;
    *is_wanted = filter->by == FILTER_NONE;
    if (!message || *is_wanted)
        return true;
    if (filter->by == FILTER_TEXT)
        return search(looking, budget, is_wanted);
    if (filter->by == FILTER_KEY) {
        *is_wanted = has_text(message_routing_key(message), filter->text);
    } else {
        *is_wanted = has_header(filter, message);
        budget_use(budget, message_properties(message).size / HEADER_BYTES);
    }
    return true;
}

/* A text, as there are programs that have no whole numbers of 64 bits. */
static void add_position(struct fields *fields, const char *name, uint64_t position)
{
    char text[24];
    snprintf(text, sizeof(text), "%llu", (unsigned long long)position);
    fields_string(fields, name, text);
}

static void put_looked(struct looking *looking, struct budget *budget)
{
    static const char *const states[] = {
        [LOOKED_READY] = "ready", [LOOKED_TAKEN] = "unacknowledged", [LOOKED_DELAYED] = "delayed"};
    const struct looked *looked = &looking->looked;
    struct fields *fields = &looking->fields;
    size_t before = fields->json.out->size;
    fields_begin(fields, '{');
    add_position(fields, "position", looked->sequence);
    fields_string(fields, "state", looked->message ? states[looked->state] : "damaged");
    fields_whole(fields, "delivery_count", looked->delivery_count);
    if (looked->ends_ms)
        fields_whole(fields, "expires_at", looked->ends_ms);
    else
        fields_null(fields, "expires_at");
    if (looked->message)
        message_add(fields, looked->message, &looking->style);
    fields_end(fields, '}');
    looking->left--;
    budget_use(budget, TELL_STEPS + (fields->json.out->size - before) / HEADER_BYTES);
}

/* The next message is looked at. QUEUE_EMPTY: there is none. QUEUE_WAIT: it is being read. */
static enum queue_result next(struct looking *looking, struct queue *queue)
{
    if (looking->is_held)
        return QUEUE_OK;
    enum queue_result result = queue_look(queue, looking->from, &looking->looked);
    looking->is_held = result == QUEUE_OK;
    looking->is_over = result == QUEUE_EMPTY;
    looking->searched = 0;
    return result;
}

/* False: it goes on in a later turn. */
static bool look_on(struct call *call, struct queue *queue)
{
    struct looking *looking = call->work;
    bool is_wanted;
    while (looking->left && looking->looks < LOOKS_MAX && call->body.size < BYTES_MAX) {
        if ((call->has_more = budget_is_spent(call->budget)))
            return false;
        enum queue_result result = next(looking, queue);
        if (result != QUEUE_OK)
            return result == QUEUE_EMPTY;
        if ((call->has_more = !decide(looking, call->budget, &is_wanted)))
            return false;
        budget_use(call->budget, LOOK_STEPS);
        if (is_wanted)
            put_looked(looking, call->budget);
        let_go(call, looking);
        looking->from = looking->looked.sequence + 1;
        looking->looks++;
    }
    return true;
}

static void tell_looked(struct call *call)
{
    struct looking *looking = call->work;
    struct fields *fields = &looking->fields;
    fields_close(fields, ']');
    fields_whole(fields, "looked_at", looking->looks);
    if (looking->is_over)
        fields_null(fields, "next");
    else
        add_position(fields, "next", looking->from);
    fields_end(fields, '}');
    end_looking(call);
    call_answered(call);
}

void queue_messages_list(struct call *call)
{
    if (!call->work)
        begin_looking(call);
    if (!call->work)
        return;
    struct queue *queue = queue_of(call);
    if (!queue) {
        end_looking(call);
        call_not_found(call);
    } else if (look_on(call, queue)) {
        tell_looked(call);
    }
}

/* ---- the end of one ---- */

/* One that a client has, or that waits for its next try, is not for us to end. */
void queue_message_delete(struct call *call)
{
    uint64_t position;
    struct queue *queue = queue_find(call, false);
    if (!queue || !may_read(call, queue))
        return;
    if (!read_digits(call->segments[2], &position) || !queue_holds(queue, position)) {
        call_not_found(call);
    } else if (!queue_take_at(queue, position)) {
        call_fail(call, 400, "bad_request",
                  "the message is with a consumer, waits for its next try, or is damaged");
    } else {
        queue_settle(queue, position);
        call_done(call, false);
    }
}
