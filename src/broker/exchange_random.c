/* A random exchange picks one of its bindings for each message; routing keys mean nothing to it.
 * The local one does the same among queues of this node, and takes no other bindings. */
#include "amqp/reply.h"
#include "base/mem.h"
#include "broker/queue_arguments.h"
#include "broker/route.h"

struct choice {
    struct binding **bindings; /* each knows its place here: kind_place */
    size_t count, capacity;
};

static void init(struct exchange *exchange)
{
    exchange->state = mem_zalloc(sizeof(struct choice));
}

static void free_state(struct exchange *exchange)
{
    struct choice *choice = exchange->state;
    mem_free(choice->bindings);
    mem_free(choice);
}

static void bind_one(struct exchange *exchange, struct binding *binding)
{
    struct choice *choice = exchange->state;
    if (choice->count == choice->capacity)
        choice->bindings = mem_grow(choice->bindings, &choice->capacity, choice->count + 1,
                                    sizeof(*choice->bindings));
    binding->kind_place = choice->count;
    choice->bindings[choice->count++] = binding;
}

/* The last one takes its place. */
static void unbind_one(struct exchange *exchange, struct binding *binding)
{
    struct choice *choice = exchange->state;
    struct binding *last = choice->bindings[--choice->count];
    last->kind_place = binding->kind_place;
    choice->bindings[last->kind_place] = last;
}

static void route(struct exchange *exchange, const struct route *route, struct queue_set *set)
{
    const struct choice *choice = exchange->state;
    (void)route;
    set->varies = true;
    if (choice->count)
        queue_set_add_one(set, choice->bindings, choice->count,
                          random_below(exchange->vhost->broker->random, choice->count));
}

static bool check_local(const struct binding_request *request, struct error *error)
{
    if (request->key.size)
        return error_set(error, REPLY_PRECONDITION_FAILED,
                         "Non empty binding '%.*s' key not permitted", BYTES_ARG(request->key));
    if (!request->queue)
        return error_set(error, REPLY_PRECONDITION_FAILED, "Destination not found");
    struct bytes arguments = bytes_of(request->queue->arguments, request->queue->arguments_size);
    return queue_arguments_type(arguments) == CLASSIC ||
           error_set(error, REPLY_PRECONDITION_FAILED,
                     "Queue type %s not valid for this exchange type",
                     queue_arguments_module(request->queue));
}

const struct exchange_kind exchange_random = {
    .name = "x-random",
    .init = init,
    .free = free_state,
    .bind = bind_one,
    .unbind = unbind_one,
    .route = route,
};

const struct exchange_kind exchange_local_random = {
    .name = "x-local-random",
    .init = init,
    .free = free_state,
    .check = check_local,
    .bind = bind_one,
    .unbind = unbind_one,
    .route = route,
};
