/* One channel of a connection that another server can go on with: what the client has asked, published and consumes,
 * and the numbers of both sides. */
#include "base/mem.h"
#include "base/planted.h"
#include "cluster/resume_internal.h"
#include "peer/relayed.h"

/* ---- what is remembered ---- */

struct resume_channel *resume_channel(const struct resume *resume, uint16_t number)
{
    return number < resume->channel_count ? resume->channels[number] : NULL;
}

struct resume_channel *resume_channel_new(struct resume *resume, uint16_t number)
{
    struct resume_channel *channel = mem_zalloc(sizeof(*channel));
    channel->resume = resume;
    channel->number = number;
    channel->state = RESUME_CHANNEL_OPENING;
    list_init(&channel->requests);
    list_init(&channel->publishes);
    list_init(&channel->consumers);
    if (number >= resume->channel_count) {
        size_t count = (size_t)number + 1;
        resume->channels =
            mem_grow(resume->channels, &resume->channel_capacity, count, sizeof(struct resume_channel *));
        while (resume->channel_count < count)
            resume->channels[resume->channel_count++] = NULL;
    }
    resume->channels[number] = channel;
    return channel;
}

static void free_request(struct resume_channel *channel, struct request *request)
{
    channel->asked_bytes -= request->frame.size;
    channel->declaring -= request->declares;
    list_remove(&request->link);
    buffer_free(&request->frame);
    mem_free(request);
}

static void free_publish(struct resume_channel *channel, struct publish *publish)
{
    channel->resume->kept_bytes -= publish->frames.capacity;
    *channel->resume->all_bytes -= publish->frames.capacity;
    channel->unkept -= publish->frames.size == 0;
    channel->publish_count--;
    list_remove(&publish->link);
    buffer_free(&publish->frames);
    mem_free(publish);
}

static void free_consumer(struct resume_channel *channel, struct resume_consumer *consumer)
{
    if (channel->recent == consumer)
        channel->recent = NULL;
    list_remove(&consumer->link);
    buffer_free(&consumer->frame);
    mem_free(consumer);
}

void resume_channel_forget(struct resume_channel *channel)
{
    list_for_each_safe(at, after, &channel->requests)
        free_request(channel, list_entry(at, struct request, link));
    list_for_each_safe(at, after, &channel->publishes)
        free_publish(channel, list_entry(at, struct publish, link));
    list_for_each_safe(at, after, &channel->consumers)
        free_consumer(channel, list_entry(at, struct resume_consumer, link));
    if (channel->from_client.whole.size)
        channel->resume->ops->to_server(channel->resume->context, buffer_bytes(&channel->from_client.whole));
    buffer_free(&channel->from_client.whole);
    channel->from_client = (struct resume_content){.state = CONTENT_NONE};
    channel->step = STEP_NONE;
    channel->undecided = 0;
}

void resume_channel_free(struct resume_channel *channel)
{
    channel->from_client.whole.size = 0;
    resume_channel_forget(channel);
    buffer_free(&channel->from_server.whole);
    buffer_free(&channel->last_queue);
    resume_held_free(channel);
    channel->resume->channels[channel->number] = NULL;
    mem_free(channel);
}

/* ---- consumers ---- */

struct resume_consumer *resume_channel_consumer(const struct resume_channel *channel, struct bytes tag)
{
    list_for_each(at, &channel->consumers) {
        struct resume_consumer *consumer = list_entry(at, struct resume_consumer, link);
        if (bytes_equal(consumer->tag, tag))
            return consumer;
    }
    return NULL;
}

static void remove_consumer(struct resume_channel *channel, struct bytes tag)
{
    struct resume_consumer *consumer = resume_channel_consumer(channel, tag);
    if (consumer)
        free_consumer(channel, consumer);
}

static void remove_cancelled(struct resume_channel *channel)
{
    list_for_each_safe(at, after, &channel->consumers) {
        struct resume_consumer *consumer = list_entry(at, struct resume_consumer, link);
        if (consumer->is_cancelled)
            free_consumer(channel, consumer);
    }
}

/* The queue that an empty name means. */
static struct bytes queue_of(const struct resume_channel *channel, struct bytes name)
{
    return name.size ? name : buffer_bytes(&channel->last_queue);
}

static void add_consumer(struct resume_channel *channel, const union method *consume, struct bytes tag)
{
    struct resume_consumer *consumer = mem_zalloc(sizeof(*consumer));
    union method method = *consume;
    method.basic_consume.queue = queue_of(channel, method.basic_consume.queue);
    method.basic_consume.consumer_tag = tag;
    method.basic_consume.nowait = false;
    consumer->number = ++channel->consumer_count;
    consumer->prefetch = channel->prefetch;
    resume_frame(&consumer->frame, channel->number, &method);
    resume_method(&consumer->frame, &method);
    consumer->tag = method.basic_consume.consumer_tag;
    list_push_back(&channel->consumers, &consumer->link);
}

/* ---- requests ---- */

/* Those that want no answer are forgotten when there are too many: nobody was told that they would be heard. */
static void ask(struct resume_channel *channel, const union method *method, bool has_no_answer)
{
    struct request *request = mem_zalloc(sizeof(*request));
    request->order = channel->resume->order++;
    request->has_no_answer = has_no_answer;
    request->declares = method->id == METHOD_QUEUE_DECLARE && !has_no_answer;
    resume_frame(&request->frame, channel->number, method);
    list_push_back(&channel->requests, &request->link);
    channel->asked_bytes += request->frame.size;
    channel->declaring += request->declares;
    list_for_each_safe(at, after, &channel->requests) {
        struct request *old = list_entry(at, struct request, link);
        if (channel->asked_bytes <= RESUME_ASKED_BYTES)
            return;
        if (old->has_no_answer)
            free_request(channel, old);
    }
    if (channel->asked_bytes > RESUME_ASKED_BYTES)
        channel->resume->never = "it has asked more than is kept";
}

static void set_last_queue(struct resume_channel *channel, struct bytes name)
{
    if (bytes_equal(buffer_bytes(&channel->last_queue), name))
        return;
    buffer_free(&channel->last_queue);
    buffer_add(&channel->last_queue, name.data, name.size);
}

/* A request was heard: what has come of it. `answer` is NULL where none is wanted. */
static void note(struct resume_channel *channel, union method *asked, const union method *answer)
{
    struct resume *resume = channel->resume;
    switch (asked->id) {
    case METHOD_CHANNEL_OPEN:
        channel->state = RESUME_CHANNEL_OPEN;
        return;
    case METHOD_BASIC_CONSUME:
        add_consumer(channel, asked,
                     answer ? answer->basic_consume_ok.consumer_tag : asked->basic_consume.consumer_tag);
        return;
    case METHOD_BASIC_CANCEL:
        remove_consumer(channel, asked->basic_cancel.consumer_tag);
        return;
    case METHOD_QUEUE_DECLARE: {
        struct bytes name = answer ? answer->queue_declare_ok.queue : asked->queue_declare.queue;
        set_last_queue(channel, name);
        if (asked->queue_declare.exclusive && !asked->queue_declare.passive)
            resume_names_declared(resume, asked, name);
        return;
    }
    case METHOD_QUEUE_DELETE:
        resume_names_deleted(resume, queue_of(channel, asked->queue_delete.queue));
        return;
    case METHOD_QUEUE_BIND:
        asked->queue_bind.queue = queue_of(channel, asked->queue_bind.queue);
        resume_names_bound(resume, asked);
        return;
    case METHOD_QUEUE_UNBIND:
        asked->queue_unbind.queue = queue_of(channel, asked->queue_unbind.queue);
        resume_names_unbound(resume, asked);
        return;
    default:
        return;
    }
}

/* Is it an answer to that? Those to most methods have the number behind it. */
static bool is_answer(const union method *asked, const union method *answer)
{
    if (asked->id == METHOD_BASIC_GET)
        return answer->id == METHOD_BASIC_GET_OK || answer->id == METHOD_BASIC_GET_EMPTY;
    return answer->id == (asked->id == METHOD_EXCHANGE_UNBIND ? METHOD_EXCHANGE_UNBIND_OK : asked->id + 1);
}

/* A server has answered: all that was asked before was heard. */
static void answered(struct resume_channel *channel, const union method *answer)
{
    bool is_answered = false;
    while (!is_answered && !list_is_empty(&channel->requests)) {
        struct request *request = list_entry(list_first(&channel->requests), struct request, link);
        union method asked;
        is_answered = !request->has_no_answer;
        if (is_answered) {
            resume_method(&request->frame, &asked);
            if (is_answer(&asked, answer))
                note(channel, &asked, answer);
            else
                channel->resume->never = "it was answered what it had not asked";
        }
        free_request(channel, request);
    }
}

/* The queue of a method in which an empty name means the last one; NULL: there is none. */
static struct bytes *queue_in(union method *method)
{
    switch (method->id) {
    case METHOD_QUEUE_BIND:
        return &method->queue_bind.queue;
    case METHOD_QUEUE_UNBIND:
        return &method->queue_unbind.queue;
    case METHOD_QUEUE_PURGE:
        return &method->queue_purge.queue;
    case METHOD_QUEUE_DELETE:
        return &method->queue_delete.queue;
    case METHOD_BASIC_CONSUME:
        return &method->basic_consume.queue;
    case METHOD_BASIC_GET:
        return &method->basic_get.queue;
    default:
        return NULL;
    }
}

/* Names the last queue, where that is known by now, and meant. True: it was not named before. */
static bool name_queue(const struct resume_channel *channel, union method *method)
{
    struct bytes *queue = queue_in(method);
    if (!queue || queue->size || !channel->last_queue.size || channel->declaring)
        return false;
    *queue = buffer_bytes(&channel->last_queue);
    return true;
}

static bool wants_no_answer(const union method *method)
{
    switch (method->id) {
    case METHOD_EXCHANGE_DECLARE:
        return method->exchange_declare.nowait;
    case METHOD_EXCHANGE_DELETE:
        return method->exchange_delete.nowait;
    case METHOD_EXCHANGE_BIND:
        return method->exchange_bind.nowait;
    case METHOD_EXCHANGE_UNBIND:
        return method->exchange_unbind.nowait;
    case METHOD_QUEUE_DECLARE:
        return method->queue_declare.nowait;
    case METHOD_QUEUE_BIND:
        return method->queue_bind.nowait;
    case METHOD_QUEUE_PURGE:
        return method->queue_purge.nowait;
    case METHOD_QUEUE_DELETE:
        return method->queue_delete.nowait;
    case METHOD_BASIC_CONSUME:
        return method->basic_consume.nowait;
    case METHOD_BASIC_CANCEL:
        return method->basic_cancel.nowait;
    case METHOD_CONFIRM_SELECT:
        return method->confirm_select.nowait;
    default:
        return false;
    }
}

/* These are said again from what they have come to. */
static bool is_remembered_at_once(const union method *method)
{
    return method->id == METHOD_BASIC_CONSUME || method->id == METHOD_BASIC_CANCEL ||
           method->id == METHOD_CONFIRM_SELECT;
}

/* Modes are those of what follows, whenever they are answered. */
static void note_mode(struct resume_channel *channel, const union method *method)
{
    switch (method->id) {
    case METHOD_CONFIRM_SELECT:
        channel->is_confirming = true;
        return;
    case METHOD_TX_SELECT:
        channel->is_transacting = true;
        return;
    case METHOD_TX_COMMIT:
    case METHOD_TX_ROLLBACK:
        channel->undecided = 0;
        return;
    case METHOD_BASIC_QOS:
        *(method->basic_qos.global ? &channel->prefetch_of_all : &channel->prefetch) = method->basic_qos.prefetch_count;
        return;
    case METHOD_CHANNEL_FLOW:
        if (!method->channel_flow.active)
            channel->resume->never = "one of its channels was paused";
        return;
    default:
        return;
    }
}

/* What is kept names its queue; another server does not know the last one. */
static bool request(struct resume_channel *channel, union method *method)
{
    bool has_no_answer = wants_no_answer(method);
    bool was_named = name_queue(channel, method) && channel->is_resumed;
    if (was_named)
        resume_to_server(channel->resume, channel->number, method);
    note_mode(channel, method);
    if (!has_no_answer || !is_remembered_at_once(method))
        ask(channel, method, has_no_answer);
    if (has_no_answer)
        note(channel, method, NULL);
    return was_named;
}

/* ---- numbers ---- */

uint64_t resume_channel_delivered(struct resume_channel *channel, uint64_t tag, struct bytes consumer)
{
    channel->delivered = tag + channel->former - channel->claimed;
    if (consumer.data && !(channel->recent && bytes_equal(channel->recent->tag, consumer)))
        channel->recent = resume_channel_consumer(channel, consumer);
    resume_held_delivered(channel, channel->delivered, consumer.data ? channel->recent : NULL);
    return channel->delivered;
}

/* A client that has asked for it is answered by that. */
void resume_channel_delivered_all(struct resume_channel *channel)
{
    union method method = {.id = channel->delivering};
    channel->delivering = 0;
    if (method.id == METHOD_BASIC_GET_OK)
        resume_channel_heard(channel, &method, bytes_of(NULL, 0));
}

void resume_channel_published(struct resume_channel *channel, struct buffer *frames)
{
    struct resume *resume = channel->resume;
    channel->undecided += channel->is_transacting;
    if (!channel->is_confirming)
        return;
    channel->published++;
    channel->server_published++;
    if (channel->publish_count >= RESUME_PUBLISHES) {
        resume->never = "it has published more than is kept";
        return;
    }
    struct publish *publish = mem_zalloc(sizeof(*publish));
    publish->order = resume->order++;
    publish->client_tag = channel->published;
    publish->server_tag = channel->server_published;
    if (frames->size && resume->kept_bytes + frames->capacity <= RESUME_KEPT_BYTES &&
        *resume->all_bytes + frames->capacity <= RESUME_ALL_BYTES) {
        publish->frames = *frames;
        *frames = (struct buffer){0};
        resume->kept_bytes += publish->frames.capacity;
        *resume->all_bytes += publish->frames.capacity;
    }
    channel->unkept += publish->frames.size == 0;
    channel->publish_count++;
    list_push_back(&channel->publishes, &publish->link);
}

/* A server's confirm. */
static bool confirm(struct resume_channel *channel, union method *method)
{
    bool is_ack = method->id == METHOD_BASIC_ACK;
    uint64_t *tag = is_ack ? &method->basic_ack.delivery_tag : &method->basic_nack.delivery_tag;
    bool is_multiple = is_ack ? method->basic_ack.multiple : method->basic_nack.multiple;
    uint64_t server_tag = *tag, client_tag = server_tag + (channel->published - channel->server_published);
    list_for_each_safe(at, after, &channel->publishes) {
        struct publish *publish = list_entry(at, struct publish, link);
        if (publish->server_tag > server_tag)
            break;
        if (publish->server_tag == server_tag)
            client_tag = publish->client_tag + (planted(PLANTED_RESUME_CONFIRM_SHIFTED) && channel->is_resumed);
        if (is_multiple || publish->server_tag == server_tag)
            free_publish(channel, publish);
    }
    if (client_tag == server_tag)
        return false;
    *tag = client_tag;
    resume_to_client(channel->resume, channel->number, method);
    return true;
}

/* ---- what the client says ---- */

bool resume_channel_said(struct resume_channel *channel, union method *method, struct bytes frame)
{
    struct resume *resume = channel->resume;
    if (channel->state == RESUME_CHANNEL_CLOSED && method->id == METHOD_CHANNEL_CLOSE_OK) {
        resume->ops->to_server(resume->context, frame);
        resume_channel_free(channel);
        return true;
    }
    if (channel->state > RESUME_CHANNEL_OPEN)
        return false;
    switch (method->id) {
    case METHOD_CHANNEL_CLOSE:
        channel->state = RESUME_CHANNEL_CLOSING;
        resume_channel_forget(channel);
        return false;
    case METHOD_BASIC_ACK:
    case METHOD_BASIC_NACK:
    case METHOD_BASIC_REJECT:
        channel->undecided += channel->is_transacting;
        resume_held_settled(channel, method);
        return true;
    case METHOD_BASIC_CANCEL_OK:
    case METHOD_BASIC_RECOVER_ASYNC:
    case METHOD_CHANNEL_FLOW_OK:
    case METHOD_CHANNEL_CLOSE_OK:
        return false;
    default:
        return request(channel, method);
    }
}

/* ---- another server ---- */

const char *resume_channel_why_not(const struct resume_channel *channel)
{
    if (channel->from_client.passes)
        return "it was publishing a large message";
    if (channel->from_server.passes)
        return "a large message was on its way to it";
    if (channel->unkept)
        return "messages of it that were not kept are not confirmed";
    if (channel->undecided)
        return "a transaction was under way";
    list_for_each(at, &channel->requests) {
        union method asked;
        resume_method(&list_entry(at, struct request, link)->frame, &asked);
        if (asked.id == METHOD_TX_COMMIT)
            return "a transaction was about to be committed";
    }
    return NULL;
}

void resume_channel_lost(struct resume_channel *channel)
{
    buffer_free(&channel->from_server.whole);
    channel->from_server = (struct resume_content){.state = CONTENT_NONE};
    if (channel->delivering) /* which has a number, and the client has seen nothing of it */
        resume_held_undelivered(channel, channel->delivered--);
    channel->delivering = 0;
}

/* What was not answered, and not confirmed, in the order in which it was said. */
void resume_channel_say_again(struct resume_channel *channel)
{
    struct resume *resume = channel->resume;
    struct list *asked = channel->requests.next, *published = channel->publishes.next;
    channel->step = STEP_NONE;
    if (planted(PLANTED_RESUME_ASKED_UNSAID))
        asked = &channel->requests;
    if (planted(PLANTED_RESUME_PUBLISH_UNSAID) && published != &channel->publishes)
        published = published->next;
    while (asked != &channel->requests || published != &channel->publishes) {
        struct request *one = list_entry(asked, struct request, link);
        struct publish *other = list_entry(published, struct publish, link);
        if (published == &channel->publishes || (asked != &channel->requests && one->order < other->order)) {
            resume->ops->to_server(resume->context, buffer_bytes(&one->frame));
            asked = asked->next;
        } else {
            other->server_tag = ++channel->server_published;
            resume->ops->to_server(resume->context, buffer_bytes(&other->frames));
            published = published->next;
        }
    }
}

static void tell_prefetch(struct resume_channel *channel, uint16_t count, bool of_all)
{
    const union method qos = {.basic_qos = {.id = METHOD_BASIC_QOS, .prefetch_count = count, .global = of_all}};
    resume_to_server(channel->resume, channel->number, &qos);
    channel->unanswered++;
    if (!of_all)
        channel->server_prefetch = count;
}

static bool tell_consumer(struct resume_channel *channel)
{
    channel->telling = channel->telling->next;
    if (channel->telling->next == &channel->consumers && planted(PLANTED_RESUME_CONSUMER_FORGOTTEN))
        channel->telling = &channel->consumers;
    if (channel->telling == &channel->consumers)
        return false;
    const struct resume_consumer *consumer = list_entry(channel->telling, struct resume_consumer, link);
    if (consumer->prefetch != channel->server_prefetch)
        tell_prefetch(channel, consumer->prefetch, false);
    channel->resume->ops->to_server(channel->resume->context, buffer_bytes(&consumer->frame));
    channel->unanswered += 1 + resume_held_claim(channel, consumer);
    return true;
}

/* The server has answered what it was told last. */
static void tell_more(struct resume_channel *channel)
{
    static const union method tx_select = {.id = METHOD_TX_SELECT};
    if (--channel->unanswered)
        return;
    switch (channel->step) {
    case STEP_OPEN:
        channel->step = STEP_TX;
        if (channel->is_transacting) {
            resume_to_server(channel->resume, channel->number, &tx_select);
            channel->unanswered++;
            return;
        } /* fall through */
    case STEP_TX:
        channel->step = STEP_CONSUMERS;
        channel->telling = &channel->consumers; /* fall through */
    case STEP_CONSUMERS:
        if (tell_consumer(channel))
            return;
        resume_held_end(channel);
        channel->step = STEP_PREFETCH;
        if (channel->prefetch != channel->server_prefetch) {
            tell_prefetch(channel, channel->prefetch, false);
            return;
        } /* fall through */
    default:
        channel->step = STEP_TOLD;
        remove_cancelled(channel);
        resume_told(channel->resume);
    }
}

void resume_channel_tell(struct resume_channel *channel)
{
    static const union method open = {.id = METHOD_CHANNEL_OPEN};
    static const union method select = {.confirm_select = {.id = METHOD_CONFIRM_SELECT, .nowait = true}};
    channel->is_resumed = true;
    remove_cancelled(channel);
    channel->former = planted(PLANTED_RESUME_NUMBERS_BEGIN) ? 0 : channel->delivered;
    resume_held_begin(channel);
    channel->server_published = 0;
    channel->server_prefetch = 0;
    channel->unanswered = 0;
    if (channel->state == RESUME_CHANNEL_OPENING) {
        channel->step = STEP_TOLD;
        return;
    }
    channel->step = STEP_OPEN;
    resume_to_server(channel->resume, channel->number, &open);
    channel->unanswered++;
    if (channel->is_confirming)
        resume_to_server(channel->resume, channel->number, &select);
    if (channel->prefetch_of_all)
        tell_prefetch(channel, channel->prefetch_of_all, true);
}

/* The server has closed the channel for what it was told last. What it takes from no consumer it is not told again, and
 * the client hears that the consumer is no more. */
static bool refused(struct resume_channel *channel)
{
    static const union method close_ok = {.id = METHOD_CHANNEL_CLOSE_OK};
    struct resume *resume = channel->resume;
    if (channel->step != STEP_CONSUMERS)
        return false;
    struct resume_consumer *consumer = list_entry(channel->telling, struct resume_consumer, link);
    const union method cancel = {
        .basic_cancel = {.id = METHOD_BASIC_CANCEL, .consumer_tag = consumer->tag, .nowait = true}};
    resume_to_server(resume, channel->number, &close_ok);
    if (resume->is_cancel_told)
        resume_to_client(resume, channel->number, &cancel);
    free_consumer(channel, consumer);
    resume_channel_tell(channel);
    return true;
}

/* ---- what the server says ---- */

void resume_channel_note(struct resume_channel *channel, struct bytes note)
{
    struct reader reader = reader_of(note);
    switch (reader_u8(&reader)) {
    case RELAYED_POSITION:
        channel->held.position = reader_u64(&reader);
        channel->held.has_position = !reader.bad;
        return;
    case RELAYED_SETTLED:
        resume_held_known(channel, reader_u64(&reader));
        return;
    case RELAYED_CLAIMED:
        if (channel->step != STEP_CONSUMERS)
            return;
        size_t count = reader_u16(&reader);
        resume_held_claimed(channel, list_entry(channel->telling, struct resume_consumer, link),
                            bytes_of(reader.at, reader_left(&reader)), count);
        tell_more(channel);
        return;
    default:
        return;
    }
}

bool resume_channel_heard(struct resume_channel *channel, union method *method, struct bytes frame)
{
    struct resume *resume = channel->resume;
    bool is_asked = channel->step != STEP_NONE;
    switch (method->id) {
    case METHOD_CHANNEL_CLOSE:
        if (is_asked && refused(channel))
            return true;
        channel->state = RESUME_CHANNEL_CLOSED;
        resume_channel_forget(channel);
        resume->ops->to_client(resume->context, frame);
        resume_told(resume);
        return true;
    case METHOD_CHANNEL_CLOSE_OK:
        if (channel->state != RESUME_CHANNEL_CLOSING)
            return false;
        resume->ops->to_client(resume->context, frame);
        resume_channel_free(channel);
        return true;
    case METHOD_BASIC_ACK:
    case METHOD_BASIC_NACK:
        return confirm(channel, method);
    case METHOD_BASIC_CANCEL: {
        struct resume_consumer *consumer = resume_channel_consumer(channel, method->basic_cancel.consumer_tag);
        if (consumer)
            consumer->is_cancelled = true;
        if (!is_asked)
            remove_cancelled(channel);
        return false;
    }
    case METHOD_CHANNEL_FLOW:
        return false;
    default:
        if (is_asked)
            tell_more(channel);
        else
            answered(channel, method);
        return is_asked;
    }
}
