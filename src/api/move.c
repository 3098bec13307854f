/* Messages leave a queue for another one, or go back to where they died: some in each turn, each of
 * them as a whole (broker/move.h), so that whatever ends this leaves every message in one place. */
#include <stdio.h>

#include "api/filter.h"
#include "api/queues.h"
#include "api/resources.h"
#include "base/mem.h"
#include "broker/exchange.h"
#include "broker/move.h"
#include "broker/name.h"
#include "broker/queue_declare.h"
#include "session/look.h"

/* Of a turn's budget: to look at one, to move one, and to copy so many bytes. */
enum { LOOK_STEPS = 30, MOVE_STEPS = 200, STEP_BYTES = 64 };

/* What one may become, by enum moved: a word for programs, and a sentence for people. */
static const struct {
    const char *code, *text;
} kinds[MOVED_KINDS] = {
    [MOVED_NOT_READY] = {"not_ready", "with a consumer, waiting for another try, or at its end"},
    [MOVED_NO_DEATH] = {"no_death", "no dead letter: x-death does not say where it died"},
    [MOVED_NO_QUEUE] = {"no_queue", "there is no queue where it would go"},
    [MOVED_IN_CIRCLE] = {"in_circle", "it would come back to this queue"},
    [MOVED_DUPLICATE] = {"duplicate", "a duplicate of what is there, or was"},
    [MOVED_NOT_TAKEN] = {"not_taken", "a queue where it would go is as long as it may be"},
    [MOVED_NO_ROOM] = {"no_room", "the disk has no room for the next message"},
};

struct moving {
    uint64_t queue_id;
    struct vhost *vhost;       /* held */
    struct move_goal goal;     /* but for the exchange, which is looked for in each turn */
    struct bytes exchange;     /* its name */
    struct message_filter filter;
    uint64_t from, left, looks_left, looks;
    uint64_t searched; /* bytes of the body of the message at hand, which is `searched_at` */
    uint64_t searched_at;
    uint64_t counts[MOVED_KINDS];
    uint64_t damaged;
    bool is_trial;
    bool is_over;            /* there are no more */
    const char *stop; /* why it has ended before; NULL: it has not */
    char text[NAME_MAX_SIZE + 100];
};

/* ---- what is wanted ---- */

static void end_moving(struct call *call)
{
    struct moving *moving = call->work;
    moving->vhost->holders--;
    mem_free(moving);
    call->work = NULL;
}

/* What is missing leaves the number as it is. False: the call is answered. */
static bool read_number(struct call *call, const char *name, uint64_t *number)
{
    int64_t value = -1;
    if (!call_read_whole(call, name, &value))
        return false;
    bool is_there = json_kind_of(json_find(call_json(call), name)) != JSON_IS_MISSING;
    if (is_there && value < 0)
        call_fail(call, 400, "bad_request", "%s is a whole number from 0 on", name);
    else if (is_there)
        *number = (uint64_t)value;
    return call->status == 0;
}

/* A position is a text, as in a look; a number will do. */
static bool read_position(struct call *call, const char *name, uint64_t *position)
{
    const struct json *value = json_find(call_json(call), name);
    struct bytes text = json_text(value);
    if (json_kind_of(value) != JSON_IS_TEXT)
        return read_number(call, name, position);
    if (!call_read_digits(text, position))
        call_fail(call, 400, "bad_request", "%s is '%.*s', and should be a position", name,
                  BYTES_ARG(text));
    return call->status == 0;
}

static bool read_wanted(struct call *call, struct moving *wanted)
{
    char reason[FILTER_REASON_BYTES];
    struct bytes filter = bytes_of(NULL, 0);
    bool is_good = read_position(call, "from", &wanted->from) &&
                   read_number(call, "count", &wanted->left) &&
                   read_number(call, "looks", &wanted->looks_left) &&
                   call_read_text(call, "filter", &filter) &&
                   call_read_flag(call, "dry_run", &wanted->is_trial);
    if (!is_good || message_filter_read(filter, &wanted->filter, reason))
        return is_good;
    call_fail(call, 400, "bad_request", "%s", reason);
    return false;
}

/* May the user publish there? */
static bool check_exchange(struct call *call, const struct vhost *vhost, struct bytes name)
{
    struct error error = {0};
    const struct exchange *exchange = vhost_need_exchange(vhost, name, &error);
    if (call->user && !permission_check_exchange(call->user, vhost, ACCESS_WRITE, name, &error))
        call_fail_as(call, &error);
    else if (!exchange)
        call_fail(call, 400, "bad_request", "%s", error.detail);
    else if (exchange->internal)
        call_fail(call, 400, "bad_request", "'%s' is internal, and takes messages of exchanges alone",
                  exchange->name);
    return call->status == 0;
}

static bool read_queue(struct call *call, const struct queue *queue, struct moving *wanted)
{
    const struct queue *destination = vhost_queue(queue->vhost, wanted->goal.queue);
    wanted->goal.kind = MOVE_TO_QUEUE;
    if (!destination)
        call_fail(call, 400, "bad_request", "no queue '%.*s' in vhost '%s'",
                  BYTES_ARG(wanted->goal.queue), queue->vhost->name);
    else if (destination == queue)
        call_fail(call, 400, "bad_request", "'%s' is the queue that the messages are in",
                  queue->name);
    return call->status == 0 && check_exchange(call, queue->vhost, bytes_of(NULL, 0));
}

/* Either `queue`, or `exchange`, to which `routing_key` belongs. */
static bool read_goal(struct call *call, const struct queue *queue, struct moving *wanted)
{
    struct move_goal *goal = &wanted->goal;
    if (!call_read_text(call, "queue", &goal->queue) ||
        !call_read_text(call, "exchange", &wanted->exchange) ||
        !call_read_text(call, "routing_key", &goal->routing_key))
        return false;
    if (!goal->queue.data == !wanted->exchange.data || (goal->queue.data && goal->routing_key.data)) {
        call_fail(call, 400, "bad_request",
                  "messages go to a queue, or to an exchange with a routing_key, or with their own");
        return false;
    }
    if (goal->queue.data)
        return read_queue(call, queue, wanted);
    goal->kind = MOVE_TO_EXCHANGE;
    wanted->exchange = call_exchange_name(wanted->exchange);
    if (wanted->exchange.size > UINT8_MAX || goal->routing_key.size > UINT8_MAX)
        call_fail(call, 400, "bad_request", "a name or routing key is above 255 bytes");
    return call->status == 0 && check_exchange(call, queue->vhost, wanted->exchange);
}

static bool may_read(struct call *call, const struct queue *queue)
{
    struct error error = {0};
    if (queue_may(call, queue->vhost, ACCESS_READ, &error) && queue_check_access(queue, 0, &error))
        return true;
    call_fail_as(call, &error);
    return false;
}

/* What comes into the queue meanwhile is not looked at. */
static void begin_moving(struct call *call, bool is_back)
{
    struct moving wanted = {.left = UINT64_MAX, .goal = {.kind = MOVE_BACK}};
    const struct queue *queue = queue_find(call, false);
    if (!queue || !may_read(call, queue))
        return;
    const struct counts *counts = queue->counts;
    wanted.looks_left = counts->ready + counts->taken + counts->delayed;
    if (!read_wanted(call, &wanted) ||
        !(is_back ? check_exchange(call, queue->vhost, bytes_of(NULL, 0))
                  : read_goal(call, queue, &wanted)))
        return;
    wanted.queue_id = queue->id;
    wanted.vhost = queue->vhost;
    wanted.vhost->holders++;
    call->work = mem_zalloc(sizeof(wanted));
    call->drop = end_moving;
    memcpy(call->work, &wanted, sizeof(wanted));
}

/* ---- and done ---- */

static void stop(struct moving *moving, const char *code, const char *text)
{
    moving->stop = code;
    snprintf(moving->text, sizeof(moving->text), "%s", text);
}

static void stop_at(struct moving *moving, const struct queue *full)
{
    moving->stop = kinds[MOVED_NOT_TAKEN].code;
    snprintf(moving->text, sizeof(moving->text),
             "queue '%s', where the next message would go, is as long as it may be", full->name);
}

/* What is there now, as all of it may go, or change, between two turns. NULL: it is stopped. */
static struct queue *look_around(struct call *call)
{
    struct moving *moving = call->work;
    struct queue *queue = vhost_queue(moving->vhost, call->segments[1]);
    struct server_memory memory = server_memory(call->api->server);
    if (!queue || queue->id != moving->queue_id)
        stop(moving, "gone", "the queue was deleted");
    else if (memory.is_above)
        stop(moving, "memory_alarm", "memory is short, and publishers have to wait");
    else if (memory.is_disk_short)
        stop(moving, "disk_alarm", "the disk is short, and publishers have to wait");
    else if (moving->goal.kind == MOVE_TO_QUEUE && !vhost_queue(moving->vhost, moving->goal.queue))
        stop(moving, "no_queue", "the queue where the messages go was deleted");
    if (moving->goal.kind == MOVE_TO_EXCHANGE &&
        !(moving->goal.exchange = vhost_exchange(moving->vhost, moving->exchange)))
        stop(moving, "no_exchange", "the exchange where the messages go was deleted");
    return moving->stop ? NULL : queue;
}

static bool may_publish(const struct call *call, const struct message *message)
{
    struct error error = {0};
    const struct moving *moving = call->work;
    struct bytes key = move_routing_key(message, &moving->goal);
    return !call->user || !key.data ||
           permission_check_topic(call->user, moving->goal.exchange, ACCESS_WRITE, key, &error);
}

/* Its time is over, though it is still there: nothing gives it another one. */
static bool has_ended(const struct queue *queue, const struct looked *looked)
{
    return looked->ends_ms && looked->ends_ms <= queue->queues->clock_ms;
}

/* Is it one of those that are meant? False: that is not known yet. */
static bool decide(struct call *call, const struct looked *looked, bool *is_wanted)
{
    struct moving *moving = call->work;
    if (moving->searched_at != looked->sequence)
        moving->searched = 0;
    moving->searched_at = looked->sequence;
    bool is_decided = message_decide(&moving->filter, looked->message, call->budget,
                                     &moving->searched, is_wanted);
    call->has_more = !is_decided;
    return is_decided;
}

/* False: it is to be tried again. */
static bool move_one(struct call *call, struct queue *queue, const struct looked *looked)
{
    struct moving *moving = call->work;
    const struct queue *full = NULL;
    enum moved moved = MOVED_NOT_READY;
    bool is_wanted;
    if (!looked->message) {
        moving->damaged++;
        return true;
    }
    if (!decide(call, looked, &is_wanted))
        return false;
    if (!is_wanted)
        return true;
    if (!may_publish(call, looked->message)) {
        stop(moving, "not_authorised", "this user may not publish the next message there");
        return false;
    }
    if (looked->state == LOOKED_READY && !has_ended(queue, looked))
        moved = move_message(queue, looked->sequence, looked->message, &moving->goal,
                             moving->is_trial, &full);
    budget_use(call->budget, MOVE_STEPS + looked->message->body_size / STEP_BYTES);
    if (moved == MOVED_NOT_TAKEN)
        stop_at(moving, full);
    else if (moved == MOVED_NO_ROOM)
        stop(moving, kinds[moved].code, kinds[moved].text);
    if (moved == MOVED_LATER || moving->stop)
        return false;
    moving->counts[moved]++;
    moving->left -= moved == MOVED;
    return true;
}

/* False: it goes on in a later turn. */
static bool move_on(struct call *call, struct queue *queue)
{
    struct moving *moving = call->work;
    struct looked looked;
    while (moving->left && moving->looks_left) {
        if ((call->has_more = budget_is_spent(call->budget)))
            return false;
        enum queue_result result = queue_look(queue, moving->from, &looked);
        moving->is_over = result == QUEUE_EMPTY;
        if (result != QUEUE_OK)
            return moving->is_over;
        budget_use(call->budget, LOOK_STEPS);
        bool is_done = move_one(call, queue, &looked);
        if (looked.message)
            message_unref(call->api->broker->pool, looked.message);
        if (!is_done)
            return moving->stop != NULL;
        moving->from = looked.sequence + 1;
        moving->looks_left--;
        moving->looks++;
    }
    return true;
}

static void put_stayed(struct fields *fields, const char *code, const char *text, uint64_t count)
{
    if (count == 0)
        return;
    fields_begin(fields, '{');
    fields_string(fields, "code", code);
    fields_string(fields, "text", text);
    fields_whole(fields, "count", count);
    fields_end(fields, '}');
}

static void add_stayed(struct fields *fields, const struct moving *moving)
{
    if (!fields_open(fields, "stayed", '['))
        return;
    for (int kind = MOVED_NOT_READY; kind < MOVED_KINDS; kind++)
        put_stayed(fields, kinds[kind].code, kinds[kind].text, moving->counts[kind]);
    put_stayed(fields, "damaged", "damaged on the disk", moving->damaged);
    fields_close(fields, ']');
}

static void add_stop(struct fields *fields, const struct moving *moving)
{
    if (!moving->stop) {
        fields_null(fields, "stopped");
    } else if (fields_open(fields, "stopped", '{')) {
        fields_string(fields, "code", moving->stop);
        fields_string(fields, "text", moving->text);
        fields_close(fields, '}');
    }
}

static void tell_moved(struct call *call)
{
    struct moving *moving = call->work;
    struct fields fields = call_tell(call);
    fields_whole(&fields, "moved", moving->counts[MOVED]);
    fields_whole(&fields, "looked_at", moving->looks);
    add_stayed(&fields, moving);
    add_stop(&fields, moving);
    if (moving->is_over)
        fields_null(&fields, "next");
    else
        fields_position(&fields, "next", moving->from);
    if (moving->counts[MOVED] && !moving->is_trial)
        call_told_done(call, &fields);
    else
        call_told(call, &fields);
    end_moving(call);
}

static void act_on(struct call *call, bool is_back)
{
    if (!call->work)
        begin_moving(call, is_back);
    if (!call->work)
        return;
    struct queue *queue = look_around(call);
    if (!queue || move_on(call, queue))
        tell_moved(call);
}

void queue_move(struct call *call)
{
    act_on(call, false);
}

void queue_requeue(struct call *call)
{
    act_on(call, true);
}
