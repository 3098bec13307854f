/* Declare, delete, bind and unbind: what is refused, with which text, and what is not. */
#include <stdio.h>

#include "broker/removal.h"
#include "tests/lib/broker_bench.h"

#define Q "queue 'q' in vhost '/'"
#define X "exchange 'x' in vhost '/'"
#define LOCKED                                                                                     \
    "405 cannot obtain exclusive access to locked " Q                                              \
    ". It could be originally declared on another connection or the exclusive property value "     \
    "does not match that of the original declaration."

static struct bench bench;

/* Declaring this gives that error. */
static void refused(const char *what, const char *arguments, const char *text)
{
    ok(!bench_queue(&bench, "q", what, arguments), "refused: %s", text);
    is_str(bench_text(&bench), text, "the text");
}

static bool created(const char *name, const char *what, const char *arguments)
{
    struct queue *queue = bench_queue(&bench, name, what, arguments);
    return ok(queue, "%s with '%s' and %s: %s", name, what, arguments, bench_text(&bench));
}

TEST(a_queue_is_declared_again)
{
    bench_new(&bench);
    uint64_t topology = bench.broker.topology;
    bool new;
    struct queue_declare declare = {.name = bytes_str("q"), .durable = true, .connection_id = 1};
    struct queue *queue = queue_declare(bench.vhost, &declare, &new, &bench.error);
    ok(queue && new, "it is new");
    ok(bench.broker.topology > topology, "the topology has changed");
    topology = bench.broker.topology;
    ok(queue_declare(bench.vhost, &declare, &new, &bench.error) == queue && !new, "then not");
    is_int(bench.broker.topology, topology, "and nothing has changed");
    ok(bench_queue(&bench, "q\r\n", "d", NULL) == queue, "line ends in names do not count");
    ok(bench_queue(&bench, "q\n", "p", NULL) == queue, "nor in passive declares");
    ok(((struct index *)queue->state)->owner == queue, "its index knows it");
    refused("", NULL,
            "406 inequivalent arg 'durable' for " Q ": received 'false' but current is 'true'");
    refused("da", NULL,
            "406 inequivalent arg 'auto_delete' for " Q ": received 'true' but current is 'false'");
    refused("dx", NULL, LOCKED);
    refused("d", "x-max-length=I10",
            "406 inequivalent arg 'x-max-length' for " Q
            ": received the value '10' of type 'signedint' but current is none");
    ok(bench_queue(&bench, "q", "d", "x-unknown=I1"), "unknown arguments are not compared");
    ok(bench_queue(&bench, "q", "d", "x-queue-type=Sclassic"), "classic is no type");
    refused("d", "x-queue-type=Squorum",
            "406 inequivalent arg 'x-queue-type' for " Q
            ": received the value 'quorum' of type 'longstr' but current is none");
    bench_free(&bench);
}

static void has_type(const char *name, const char *type)
{
    struct bytes value = {0};
    const struct queue *queue = vhost_queue(bench.vhost, bytes_str(name));
    if (ok(queue, "there is %s", name))
        table_find_string(bytes_of(queue->arguments, queue->arguments_size), "x-queue-type", &value);
    ok(bytes_equal_str(value, type), "%s has the type '%s'", name, type);
}

static void set_default_type(const char *type)
{
    struct bytes text = bytes_str(type);
    struct vhost_request request = {.name = bytes_str("/"), .queue_type = &text};
    ok(vhost_set(&bench.broker, &request, &bench.error), "queues are %s", type);
}

TEST(queues_that_do_not_say_have_a_type)
{
    bench_new(&bench);
    created("before", "d", NULL);
    set_default_type("quorum");
    created("q", "d", "x-max-length=I5");
    has_type("q", "quorum");
    ok(bench_queue(&bench, "q", "d", "x-max-length=I5"), "it is declared again in the same way");
    ok(bench_queue(&bench, "q", "d", "x-max-length=I5 x-queue-type=Squorum"), "or with its type");
    refused("d", "x-max-length=I5 x-queue-type=Sclassic",
            "406 inequivalent arg 'x-queue-type' for " Q
            ": received 'classic' but current is 'quorum'");
    created("says", "d", "x-queue-type=Sclassic");
    has_type("says", "classic");
    created("transient", "", NULL);
    has_type("transient", "");
    created("exclusive", "dx", NULL);
    has_type("exclusive", "");
    created("auto-delete", "da", NULL);
    has_type("auto-delete", "");
    ok(bench_queue(&bench, "before", "d", NULL), "what was there is as it was");
    has_type("before", "");
    set_default_type("");
    bench.broker.options.queue_type = "rabbit_quorum_queue";
    created("of node", "d", NULL);
    has_type("of node", "quorum");
    set_default_type("classic");
    created("of vhost", "d", NULL);
    has_type("of vhost", "");
    bench_free(&bench);
}

TEST(a_node_has_limits)
{
    bench_new(&bench);
    bench.broker.options = (struct broker_options){.queues_max = 2, .vhosts_max = 2};
    struct vhost_request request = {.name = bytes_str("v")};
    ok(vhost_set(&bench.broker, &request, &bench.error), "a second virtual host");
    created("a", "d", NULL);
    bench.vhost = vhost_find(&bench.broker, bytes_str("v"));
    created("b", "d", NULL);
    ok(!bench_queue(&bench, "q", "d", NULL), "a third queue is refused");
    is_str(bench_text(&bench),
           "406 cannot declare queue 'q': queue limit in cluster (2) is reached", "the text");
    ok(bench_queue(&bench, "b", "d", NULL), "one that is there is not");
    bench.broker.options.exchanges_max = 15;
    ok(bench_exchange(&bench, "x", "direct", "", NULL), "an exchange beside the seven that each host has");
    ok(!bench_exchange(&bench, "y", "direct", "", NULL), "another one is refused");
    is_str(bench_text(&bench),
           "406 cannot declare exchange 'y': exchange limit in cluster (15) is reached", "the text");
    ok(bench_exchange(&bench, "x", "direct", "", NULL), "one that is there is not");
    request.name = bytes_str("w");
    ok(!vhost_set(&bench.broker, &request, &bench.error), "a third virtual host is refused");
    is_str(bench_text(&bench), "406 cannot create vhost 'w': vhost limit of 2 is reached",
           "the text");
    request.name = bytes_str("v");
    ok(vhost_set(&bench.broker, &request, &bench.error), "one that is there may be set");
    bench_free(&bench);
}

TEST(arguments_are_compared)
{
    bench_new(&bench);
    created("q", "d", "x-max-length=I10 x-queue-type=Sclassic x-dead-letter-exchange=Sdlx");
    ok(bench_queue(&bench, "q", "d", "x-max-length=l10 x-dead-letter-exchange=Sdlx"),
       "the width of a number does not matter, nor does the default type");
    refused("d", "x-max-length=l20 x-dead-letter-exchange=Sdlx",
            "406 inequivalent arg 'x-max-length' for " Q ": received '20' but current is '10'");
    refused("d", "x-max-length=I10 x-dead-letter-exchange=Sother",
            "406 inequivalent arg 'x-dead-letter-exchange' for " Q
            ": received 'other' but current is 'dlx'");
    refused("d", "x-max-length=I10",
            "406 inequivalent arg 'x-dead-letter-exchange' for " Q
            ": received none but current is the value 'dlx' of type 'longstr'");
    bench_free(&bench);
}

TEST(exclusive_queues_have_an_owner)
{
    bench_new(&bench);
    struct queue *queue = bench_queue(&bench, "q", "dx", NULL);
    ok(queue && !queue->durable && queue->exclusive_owner == 1, "exclusive is not durable");
    ok(queue->id & STORE_ID_TRANSIENT, "and does not survive");
    ok(bench_queue(&bench, "q", "dx", NULL) == queue, "its owner may declare it again");
    refused("dx2", NULL, LOCKED);
    refused("d", NULL, LOCKED);
    refused("p2", NULL, LOCKED);
    ok(bench_queue(&bench, "q", "p", NULL) == queue, "passively, its owner may");
    ok(queue_check_access(queue, 1, &bench.error), "it may use it");
    ok(!queue_check_access(queue, 2, &bench.error), "others may not");
    is_str(bench_text(&bench), LOCKED, "the text");
    bench_free(&bench);
}

TEST(names_are_checked)
{
    bench_new(&bench);
    ok(!bench_queue(&bench, "amq.q", "", NULL), "a reserved name");
    is_str(bench_text(&bench), "403 queue name 'amq.q' contains reserved prefix 'amq.*'",
           "the text");
    refused("p", NULL, "404 no " Q);
    char name[32];
    queue_generate_name(bench.vhost, name);
    is_int(strlen(name), 30, "a generated name: %s", name);
    ok(strncmp(name, "amq.gen-", 8) == 0, "its prefix");
    created(name, "g", NULL);
    ok(!bench_queue(&bench, name, "", NULL), "only the server declares it");
    ok(strstr(bench_text(&bench), "contains reserved prefix"), "the text");
    ok(bench_queue(&bench, name, "p", NULL), "anybody may look at it");
    struct queue *queue = bench_queue(&bench, "\r\n", "", NULL);
    ok(queue && strncmp(queue->name, "amq.gen-", 8) == 0, "nothing but line ends is no name");
    ok(!bench_exchange(&bench, "amq.x", "fanout", "", NULL), "a reserved name");
    is_str(bench_text(&bench), "403 exchange name 'amq.x' contains reserved prefix 'amq.*'",
           "the text");
    bench_free(&bench);
}

TEST(values_of_arguments_are_checked)
{
    static const struct {
        const char *arguments, *text;
    } cases[] = {
        {"x-expires=I0", "invalid arg 'x-expires' for " Q ": {value_zero,0}"},
        {"x-expires=I-1", "invalid arg 'x-expires' for " Q ": {value_negative,-1}"},
        {"x-expires=Sten", "invalid arg 'x-expires' for " Q ": \"expected integer, got longstr\""},
        {"x-expires=l315360000001",
         "invalid arg 'x-expires' for " Q ": {value_too_large,315360000001}"},
        {"x-message-ttl=I-1", "invalid arg 'x-message-ttl' for " Q ": {value_negative,-1}"},
        {"x-max-length=I-5", "invalid arg 'x-max-length' for " Q ": {value_negative,-5}"},
        {"x-max-length-bytes=t1",
         "invalid arg 'x-max-length-bytes' for " Q ": \"expected integer, got bool\""},
        {"x-max-priority=I3000",
         "invalid arg 'x-max-priority' for " Q ": {max_value_exceeded,3000}"},
        {"x-max-priority=I-1", "invalid arg 'x-max-priority' for " Q ": {value_negative,-1}"},
        {"x-overflow=Sthrow", "invalid arg 'x-overflow' for " Q ": invalid_overflow"},
        {"x-overflow=I1", "invalid arg 'x-overflow' for " Q ": {unacceptable_type,signedint}"},
        {"x-queue-mode=Sbusy",
         "invalid arg 'x-queue-mode' for " Q ": \"unsupported queue mode 'busy'\""},
        {"x-queue-mode=I1", "invalid arg 'x-queue-mode' for " Q ": {unacceptable_type,signedint}"},
        {"x-queue-version=I3",
         "invalid arg 'x-queue-version' for " Q ": \"unsupported queue version '3'\""},
        {"x-queue-type=Sfake",
         "invalid arg 'x-queue-type' for " Q ": \"unsupported queue type 'fake'\""},
        {"x-queue-type=I1", "invalid arg 'x-queue-type' for " Q ": {unacceptable_type,signedint}"},
        {"x-single-active-consumer=Sno",
         "invalid arg 'x-single-active-consumer' for " Q ": {unacceptable_type,longstr}"},
        {"x-dead-letter-exchange=I1",
         "invalid type 'signedint' for arg 'x-dead-letter-exchange' in " Q},
        {"x-dead-letter-routing-key=Sk",
         "invalid arg 'x-dead-letter-routing-key' for " Q ": routing_key_but_no_dlx_defined"},
        {"x-dead-letter-exchange=Sd x-dead-letter-routing-key=I1",
         "invalid arg 'x-dead-letter-routing-key' for " Q ": {unacceptable_type,signedint}"},
        {"x-queue-leader-locator=Shere",
         "invalid arg 'x-queue-leader-locator' for " Q ": invalid_queue_locator_arg"},
        {"x-delivery-limit=Smany",
         "invalid arg 'x-delivery-limit' for " Q ": \"expected integer, got longstr\""},
        {"x-queue-type=Squorum x-max-priority=I5",
         "invalid arg 'x-max-priority' for " Q " of queue type rabbit_quorum_queue"},
        {"x-queue-type=Squorum x-dead-letter-strategy=Snever",
         "invalid arg 'x-dead-letter-strategy' for " Q ": invalid_dlx_strategy"},
        {"x-queue-type=Squorum x-quorum-initial-group-size=I0",
         "invalid arg 'x-quorum-initial-group-size' for " Q ": {value_zero,0}"},
        {"x-queue-type=Sstream x-max-age=S0D",
         "invalid arg 'x-max-age' for " Q ": invalid_max_age"},
        {"x-queue-type=Sstream x-max-age=S7days",
         "invalid arg 'x-max-age' for " Q ": invalid_max_age"},
    };
    bench_new(&bench);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[400];
        snprintf(text, sizeof(text), "406 %s", cases[i].text);
        refused("d", cases[i].arguments, text);
    }
    is_int(map_count(&bench.vhost->queues), 0, "none of them has come to be");
    bench_free(&bench);
}

TEST(good_values_of_arguments_are_taken)
{
    bench_new(&bench);
    created("a", "d", "x-expires=I1 x-message-ttl=I0 x-max-length=I0 x-max-length-bytes=l5000000000");
    created("b", "d", "x-max-priority=I255 x-overflow=Sreject-publish-dlx x-queue-mode=Slazy");
    created("c", "d", "x-queue-version=I2 x-single-active-consumer=t1 x-queue-master-locator=I1");
    created("d", "d", "x-dead-letter-exchange=S x-dead-letter-routing-key=Sk x-anything=V");
    created("e", "d", "x-queue-type=Squorum x-delivery-limit=I-1 x-overflow=Sreject-publish");
    bench_free(&bench);
}

TEST(streams_are_not_built)
{
    bench_new(&bench);
    ok(!bench_queue(&bench, "f", "d",
                    "x-queue-type=Sstream x-max-age=S7D x-stream-filter-size-bytes=I16"),
       "a stream");
    is_str(bench_text(&bench),
           "540 cannot declare queue 'f' in vhost '/'. Streams are not supported, only classic and "
           "quorum queues",
           "the text");
    bench_free(&bench);
}

TEST(replicated_types_want_durable_queues)
{
    bench_new(&bench);
    refused("", "x-queue-type=Squorum", "406 invalid property 'non-durable' for " Q);
    refused("dx", "x-queue-type=Squorum", "406 invalid property 'exclusive-owner' for " Q);
    refused("da", "x-queue-type=Sstream", "406 invalid property 'auto-delete' for " Q);
    refused("dg", "x-queue-type=Squorum",
            "406 Cannot declare a server-named queue for type rabbit_quorum_queue");
    bench_free(&bench);
}

static void refused_exchange(const char *type, const char *what, const char *arguments,
                             const char *text)
{
    ok(!bench_exchange(&bench, "x", type, what, arguments), "refused: %s", text);
    is_str(bench_text(&bench), text, "the text");
}

TEST(an_exchange_is_declared_again)
{
    bench_new(&bench);
    refused_exchange("foo", "", NULL, "406 unknown exchange type 'foo'");
    refused_exchange("fanout", "", "alternate-exchange=I1",
                     "406 invalid type 'signedint' for arg 'alternate-exchange' in " X);
    refused_exchange("", "p", NULL, "404 no " X);
    struct exchange *exchange = bench_exchange(&bench, "x\n", "fanout", "d", NULL);
    ok(exchange && exchange->durable, "declared");
    ok(bench_exchange(&bench, "x", "fanout", "d", "any=I1") == exchange, "again");
    ok(bench_exchange(&bench, "x", "", "p", NULL) == exchange, "passively");
    refused_exchange("direct", "", NULL,
                     "406 inequivalent arg 'type' for " X
                     ": received 'direct' but current is 'fanout'");
    refused_exchange("fanout", "", NULL,
                     "406 inequivalent arg 'durable' for " X
                     ": received 'false' but current is 'true'");
    refused_exchange("fanout", "da", NULL,
                     "406 inequivalent arg 'auto_delete' for " X
                     ": received 'true' but current is 'false'");
    refused_exchange("fanout", "di", NULL,
                     "406 inequivalent arg 'internal' for " X
                     ": received 'true' but current is 'false'");
    refused_exchange("fanout", "d", "alternate-exchange=Sae",
                     "406 inequivalent arg 'alternate-exchange' for " X
                     ": received the value 'ae' of type 'longstr' but current is none");
    ok(!bench_exchange(&bench, "", "direct", "d", NULL), "the default exchange");
    is_str(bench_text(&bench), "403 operation not permitted on the default exchange", "the text");
    ok(!bench_exchange(&bench, "", "", "p", NULL), "not passively either");
    bench.error.code = 0;
    ok(bench_exchange(&bench, "amq.topic", "topic", "d", NULL), "a predeclared one");
    ok(vhost_exchange(bench.vhost, bytes_str("amq.rabbitmq.trace"))->internal, "one is internal");
    bench_free(&bench);
}

TEST(exchanges_are_deleted)
{
    bench_new(&bench);
    struct error *error = &bench.error;
    ok(exchange_delete(bench.vhost, bytes_str("none"), false, error), "a missing one is fine");
    ok(!exchange_delete(bench.vhost, bytes_str("amq.direct"), false, error), "a system one");
    is_str(bench_text(&bench), "403 deletion of system exchange 'amq.direct' in vhost '/' not allowed",
           "the text");
    ok(!exchange_delete(bench.vhost, bytes_str(""), false, error), "the default one");
    is_str(bench_text(&bench), "403 operation not permitted on the default exchange", "the text");
    bench_exchange(&bench, "x", "direct", "d", NULL);
    bench_exchange(&bench, "y", "fanout", "", NULL);
    bench_queue(&bench, "q", "d", NULL);
    bench_bind(&bench, "x", "q", "k", NULL);
    bench_bind(&bench, "x", "x", "k", NULL);
    bench_bind(&bench, "y", "x", "", NULL);
    ok(!exchange_delete(bench.vhost, bytes_str("x"), true, error), "it is in use");
    is_str(bench_text(&bench), "406 " X " in use", "the text");
    uint64_t topology = bench.broker.topology;
    ok(exchange_delete(bench.vhost, bytes_str("x\r"), false, error), "it goes");
    ok(bench.broker.topology > topology, "the topology has changed");
    is_int(set_count(&bench.vhost->bindings), 0, "with all its bindings");
    ok(!vhost_exchange(bench.vhost, bytes_str("x")), "and is gone");
    ok(exchange_delete(bench.vhost, bytes_str("y"), true, error), "a source of nothing is unused");
    bench_free(&bench);
}

TEST(bindings_are_told_apart)
{
    bench_new(&bench);
    bench_exchange(&bench, "x", "direct", "", NULL);
    bench_queue(&bench, "q", "", NULL);
    ok(bench_bind(&bench, "x", "q", "k", "b=I1 a=Stext"), "bound");
    ok(bench_bind(&bench, "x", "q", "k", "a=Stext b=I1"), "the order of arguments means nothing");
    is_int(set_count(&bench.vhost->bindings), 1, "it is one binding");
    ok(bench_bind(&bench, "x", "q", "k", "a=Stext"), "other arguments");
    ok(bench_bind(&bench, "x", "q", "l", "a=Stext"), "another key");
    ok(bench_bind(&bench, "x", "q", "", NULL), "no key");
    is_int(set_count(&bench.vhost->bindings), 4, "are other bindings");
    is_int(bench_publish(&bench, "x", "k", NULL, NULL, ""), 1, "still each queue once");
    ok(bench_unbind(&bench, "x", "q", "none", NULL), "unbinding what is missing is fine");
    ok(bench_unbind(&bench, "none", "q", "k", NULL), "also where the exchange is missing");
    is_int(set_count(&bench.vhost->bindings), 4, "nothing has gone");
    ok(bench_unbind(&bench, "x", "q", "k", "b=I1 a=Stext"), "unbound");
    is_int(set_count(&bench.vhost->bindings), 3, "one has gone");
    ok(!bench_bind(&bench, "none", "q", "k", NULL), "a missing exchange");
    is_str(bench_text(&bench), "404 no exchange 'none' in vhost '/'", "the text");
    ok(!bench_bind(&bench, "", "q", "k", NULL), "the default exchange");
    is_str(bench_text(&bench), "403 operation not permitted on the default exchange", "the text");
    ok(!bench_bind(&bench, "x", "", "k", NULL), "not as a destination either");
    bench.error.code = 0;
    ok(!bench_unbind(&bench, "", "q", "k", NULL), "nor to unbind");
    queue_delete(vhost_queue(bench.vhost, bytes_str("q")));
    is_int(set_count(&bench.vhost->bindings), 0, "bindings go with their queue");
    is_int(store_fake_indexes(bench.store), 0, "and so does its index");
    bench_free(&bench);
}

TEST(auto_delete_exchanges_go)
{
    bench_new(&bench);
    bench_exchange(&bench, "a", "fanout", "a", NULL);
    bench_exchange(&bench, "b", "topic", "ad", NULL);
    bench_exchange(&bench, "c", "headers", "a", NULL);
    bench_exchange(&bench, "unused", "direct", "a", NULL);
    bench_queue(&bench, "q", "", NULL);
    bench_bind(&bench, "a", "b", "", NULL);
    bench_bind(&bench, "b", "c", "#", NULL);
    bench_bind(&bench, "c", "q", "", NULL);
    bench_bind(&bench, "c", "q", "again", NULL);
    bench_unbind(&bench, "c", "q", "", NULL);
    ok(vhost_exchange(bench.vhost, bytes_str("c")), "it has a binding left");
    queue_delete(vhost_queue(bench.vhost, bytes_str("q")));
    ok(!vhost_exchange(bench.vhost, bytes_str("a")), "the last binding takes the whole chain");
    ok(!vhost_exchange(bench.vhost, bytes_str("b")), "with its middle");
    is_int(store_fake_entries_of(bench.store, 3), 0, "also from the catalogue");
    ok(vhost_exchange(bench.vhost, bytes_str("unused")), "one that never had a binding stays");
    bench_queue(&bench, "r", "", NULL);
    bench_bind(&bench, "unused", "r", "k", NULL);
    bench_unbind(&bench, "unused", "r", "k", NULL);
    ok(!vhost_exchange(bench.vhost, bytes_str("unused")), "until it has had one");
    bench_free(&bench);
}

TEST(a_long_chain_goes_without_recursion)
{
    enum { LENGTH = 20000 };
    char name[2][16] = {"c0"};
    bench_new(&bench);
    bench_exchange(&bench, "c0", "fanout", "a", NULL);
    for (int i = 1; i <= LENGTH; i++) {
        snprintf(name[i % 2], sizeof(name[0]), "c%d", i);
        bench_exchange(&bench, name[i % 2], "fanout", "a", NULL);
        bench_bind(&bench, name[(i + 1) % 2], name[i % 2], "", NULL);
    }
    bench_queue(&bench, "q", "", NULL);
    bench_bind(&bench, name[LENGTH % 2], "q", "", NULL);
    is_int(bench_publish(&bench, "c0", "", NULL, NULL, ""), 1, "a message gets through");
    queue_delete(vhost_queue(bench.vhost, bytes_str("q")));
    int parts = 1;
    for (; removals_are_left(&bench.broker); parts++) {
        struct budget budget = budget_of(BUDGET_MS);
        removals_go_on(&bench.broker, &budget);
    }
    ok(parts > 10 && parts < 100, "in %d parts", parts);
    is_int(map_count(&bench.vhost->exchanges), 7, "only what is predeclared is left");
    bench_free(&bench);
}

int main(void)
{
    RUN(a_queue_is_declared_again);
    RUN(queues_that_do_not_say_have_a_type);
    RUN(a_node_has_limits);
    RUN(arguments_are_compared);
    RUN(exclusive_queues_have_an_owner);
    RUN(names_are_checked);
    RUN(values_of_arguments_are_checked);
    RUN(good_values_of_arguments_are_taken);
    RUN(streams_are_not_built);
    RUN(replicated_types_want_durable_queues);
    RUN(an_exchange_is_declared_again);
    RUN(exchanges_are_deleted);
    RUN(bindings_are_told_apart);
    RUN(auto_delete_exchanges_go);
    RUN(a_long_chain_goes_without_recursion);
    return done();
}
