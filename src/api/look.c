/* A look at the messages of a queue, to which nothing happens by it; and the end of one of them. */
#include "api/filter.h"
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
/* Of a turn's budget: to look at one, to tell of one; and what is told in one step. */
enum { LOOK_STEPS = 30, TELL_STEPS = 300, TOLD_BYTES = 8 };

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

/* A parameter that may be missing. False: it is no number, and the call is answered. */
static bool read_number(struct call *call, const char *name, uint64_t most, uint64_t *number)
{
    struct bytes text = call_parameter(call, name);
    bool is_number = !text.data || call_read_digits(text, number);
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
    char reason[FILTER_REASON_BYTES];
    struct looking wanted = {.left = COUNT, .style = {.truncate = TRUNCATE}};
    const struct queue *queue = queue_find(call, false);
    if (!queue || !may_read(call, queue) || !read_number(call, "from", UINT64_MAX, &wanted.from) ||
        !read_number(call, "count", COUNT_MAX, &wanted.left) ||
        !read_number(call, "truncate", TRUNCATE_MAX, &wanted.style.truncate))
        return;
    wanted.style.is_base64 = bytes_equal_str(call_parameter(call, "encoding"), "base64");
    if (!message_filter_read(call_parameter(call, "filter"), &wanted.filter, reason)) {
        call_fail(call, 400, "bad_request", "%s", reason);
        return;
    }
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

static void put_looked(struct looking *looking, struct budget *budget)
{
    static const char *const states[] = {
        [LOOKED_READY] = "ready", [LOOKED_TAKEN] = "unacknowledged", [LOOKED_DELAYED] = "delayed"};
    const struct looked *looked = &looking->looked;
    struct fields *fields = &looking->fields;
    size_t before = fields->json.out->size;
    fields_begin(fields, '{');
    fields_position(fields, "position", looked->sequence);
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
    budget_use(budget, TELL_STEPS + (fields->json.out->size - before) / TOLD_BYTES);
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
        call->has_more = !message_decide(&looking->filter, looking->looked.message, call->budget,
                                         &looking->searched, &is_wanted);
        if (call->has_more)
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
        fields_position(fields, "next", looking->from);
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
    if (!call_read_digits(call->segments[2], &position) || !queue_holds(queue, position)) {
        call_not_found(call);
    } else if (!queue_take_at(queue, position)) {
        call_fail(call, 400, "bad_request",
                  "the message is with a consumer, waits for its next try, or is damaged");
    } else {
        queue_settle(queue, position);
        call_done(call, false);
    }
}
