/* Routing: kinds of exchanges, headers, exchanges bound to exchanges, alternates, CC and BCC. */
#include <stdio.h>

#include "tests/lib/broker_bench.h"
#include "tests/lib/amqp_more.h"

static struct bench bench;

static void queues_named(const char *names)
{
    for (const char *at = names; *at; at++)
        bench_queue(&bench, (char[]){*at, '\0'}, "", NULL);
}

TEST(direct_fanout_and_default)
{
    bench_new(&bench);
    queues_named("abc");
    bench_exchange(&bench, "d", "direct", "", NULL);
    bench_exchange(&bench, "f", "fanout", "", NULL);
    is_int(bench_publish(&bench, "", "a", NULL, NULL, ""), 1, "by the queue's name");
    is_int(bench_publish(&bench, "", "none", NULL, NULL, ""), 0, "which must be there");
    ok(!bench.published.logs, "what goes nowhere is not on record");
    bench_bind(&bench, "d", "a", "k", NULL);
    bench_bind(&bench, "d", "b", "k", NULL);
    bench_bind(&bench, "d", "c", "l", NULL);
    is_int(bench_publish(&bench, "d", "k", NULL, NULL, ""), 2, "two have the key");
    is_int(bench_publish(&bench, "d", "l", NULL, NULL, ""), 1, "one has the other");
    is_int(bench_publish(&bench, "d", "", NULL, NULL, ""), 0, "none has none");
    bench_unbind(&bench, "d", "c", "l", NULL);
    is_int(bench_publish(&bench, "d", "l", NULL, NULL, ""), 0, "until it is unbound");
    bench_bind(&bench, "f", "a", "x", NULL);
    bench_bind(&bench, "f", "a", "y", NULL);
    bench_bind(&bench, "f", "c", "", NULL);
    is_int(bench_publish(&bench, "f", "whatever", NULL, NULL, ""), 2, "each queue once");
    is_int(bench_ready(&bench, "a"), 3, "what went to a is there");
    bench_free(&bench);
}

TEST(durable_queues_keep_a_record)
{
    bench_new(&bench);
    bench_queue(&bench, "a", "", NULL);
    bench_queue(&bench, "b", "d", NULL);
    bench_publish(&bench, "", "a", NULL, NULL, "");
    ok(!bench.published.logs, "a transient queue has none");
    bench_publish(&bench, "", "b", NULL, NULL, "");
    ok(bench.published.logs, "a durable one has");
    bench_free(&bench);
}

TEST(a_queue_with_a_ready_consumer_has_work)
{
    struct list consumer;
    bench_new(&bench);
    struct queue *queue = bench_queue(&bench, "a", "", NULL);
    bench_publish(&bench, "", "a", NULL, NULL, "");
    ok(list_is_empty(&bench.broker.queues.working), "nobody is there to take it");
    list_push_back(&queue->ready_consumers, &consumer);
    bench_publish(&bench, "", "a", NULL, NULL, "");
    bench_publish(&bench, "", "a", NULL, NULL, "");
    ok(list_first(&bench.broker.queues.working) == &queue->working_link, "now there is work");
    ok(queue->working_link.next == &bench.broker.queues.working, "once");
    list_remove(&consumer);
    queue_delete(queue);
    ok(list_is_empty(&bench.broker.queues.working), "a deleted queue has none");
    bench_free(&bench);
}

/* A binding with these arguments takes a message with those headers? */
static void headers_match(bool expected, const char *arguments, const char *headers)
{
    bench_bind(&bench, "h", "a", "", arguments);
    is_int(bench_publish(&bench, "h", "", headers, NULL, ""), expected, "'%s' and '%s'", arguments,
           headers ? headers : "no headers");
    bench_unbind(&bench, "h", "a", "", arguments);
}

TEST(headers_are_compared)
{
    bench_new(&bench);
    queues_named("a");
    bench_exchange(&bench, "h", "headers", "", NULL);
    headers_match(true, "x-match=Sall a=I1 b=Stwo", "b=Stwo c=V a=I1");
    headers_match(false, "x-match=Sall a=I1 b=Stwo", "a=I1");
    headers_match(false, "x-match=Sall a=I1 b=Stwo", "a=I1 b=Sthree");
    headers_match(true, "a=I1", "a=l1");
    headers_match(false, "a=I1", "a=S1");
    headers_match(false, "a=I1", NULL);
    headers_match(true, "", NULL);
    headers_match(true, "x-match=Sall", "a=I1");
    headers_match(false, "x-match=Sany", "a=I1");
    headers_match(true, "x-match=Sany a=I1 b=Stwo", "b=Stwo");
    headers_match(false, "x-match=Sany a=I1 b=Stwo", "a=I2 b=Sone");
    headers_match(false, "x-match=Sany a=I1", NULL);
    headers_match(true, "a=V", "a=Sanything");
    headers_match(true, "x-match=Sany a=V z=I0", "a=t0");
    headers_match(false, "a=V", "b=V");
    headers_match(true, "a=t1 b=T5", "b=T5 a=t1");
    headers_match(false, "a=t1", "a=t0");
    headers_match(true, "x-match=Sall x-a=I1 b=I2", "b=I2");
    headers_match(false, "x-match=Sall-with-x x-a=I1 b=I2", "b=I2");
    headers_match(true, "x-match=Sall-with-x x-a=I1 b=I2", "b=I2 x-a=I1");
    headers_match(false, "x-match=Sany x-a=I1", "x-a=I1");
    headers_match(true, "x-match=Sany-with-x x-a=I1", "x-a=I1");
    headers_match(true, "a=I1", "a=T1");
    headers_match(true, "a=T2 b=V", "b=I1 a=l2");
    headers_match(false, "a=I-1", "a=I1");
    headers_match(true, "a=Ax,y", "a=Ax,y");
    headers_match(true, "a=I1", "a=I1 a=I2");
    headers_match(false, "a=I2", "a=I1 a=I2");
    ok(!bench_bind(&bench, "h", "a", "", "x-match=Ssome"), "an unknown match");
    is_str(bench_text(&bench),
           "406 Invalid x-match field value <<\"some\">>; "
           "expected all, any, all-with-x, or any-with-x",
           "the text");
    ok(!bench_bind(&bench, "h", "a", "", "x-match=I5"), "of another type");
    is_str(bench_text(&bench),
           "406 Invalid x-match field type signedint (value 5); expected longstr", "the text");
    is_int(set_count(&bench.vhost->bindings), 0, "no such bindings came to be");
    bench_free(&bench);
}

/* Words of random length, such as "x-match=Sany a=I1 b=V". */
static const char *random_fields(struct random *random, bool binding, char text[100])
{
    static const char *const values[] = {"I1", "l2", "T2", "Sx", "Sy", "t1", "V", "Ax,y"};
    size_t count = random_below(random, 4), at = 0;
    text[0] = '\0';
    if (binding && random_below(random, 2))
        at = (size_t)snprintf(text, 100, "x-match=S%s", random_below(random, 3) ? "any" : "all");
    for (size_t i = 0; i < count; i++)
        at += (size_t)snprintf(text + at, 100 - at, "%s%c=%s", at ? " " : "",
                               'a' + (int)random_below(random, 4),
                               values[random_below(random, sizeof(values) / sizeof(values[0]))]);
    return text;
}

/* Two bindings may have the same arguments. */
static const char *key_of(int binding)
{
    static char key[16];
    snprintf(key, sizeof(key), "%d", binding);
    return key;
}

/* What the exchange "many" finds among all bindings is what "one" finds, in which only one of them
 * is at a time. */
TEST(headers_find_their_bindings_among_many)
{
    enum { BINDINGS = 120, MESSAGES = 300 };
    static char arguments[BINDINGS][100];
    struct random random;
    char headers[100];
    random_init(&random, 7);
    bench_new(&bench);
    queues_named("abcdefgh");
    bench_exchange(&bench, "many", "headers", "", NULL);
    bench_exchange(&bench, "one", "headers", "", NULL);
    for (int i = 0; i < BINDINGS; i++)
        bench_bind(&bench, "many", (char[]){(char)('a' + i % 8), '\0'}, key_of(i),
                   random_fields(&random, true, arguments[i]));
    int differences = 0;
    for (int left = BINDINGS; left >= 0; left -= 40) {
        for (int n = 0; n < MESSAGES / 4; n++) {
            bool meant[8] = {false};
            int wanted = 0;
            random_fields(&random, false, headers);
            for (int i = 0; i < left; i++) {
                bench_bind(&bench, "one", "a", "", arguments[i]);
                if (bench_publish(&bench, "one", "", headers, NULL, "") == 1)
                    meant[i % 8] = true;
                bench_unbind(&bench, "one", "a", "", arguments[i]);
            }
            for (int q = 0; q < 8; q++)
                wanted += meant[q];
            differences += (int)bench_publish(&bench, "many", "", headers, NULL, "") != wanted;
        }
        for (int i = left - 40; i >= 0 && i < left; i++)
            bench_unbind(&bench, "many", (char[]){(char)('a' + i % 8), '\0'}, key_of(i),
                         arguments[i]);
    }
    is_int(differences, 0, "every message goes where its bindings say");
    bench_free(&bench);
}

TEST(exchanges_are_bound_to_exchanges)
{
    bench_new(&bench);
    queues_named("abc");
    bench_exchange(&bench, "f", "fanout", "", NULL);
    bench_exchange(&bench, "g", "fanout", "", NULL);
    bench_exchange(&bench, "d", "direct", "", NULL);
    ok(bench_bind(&bench, "f", "g", "", NULL), "there");
    ok(bench_bind(&bench, "g", "f", "", NULL), "and back");
    ok(bench_bind(&bench, "f", "f", "", NULL), "and to itself");
    bench_bind(&bench, "f", "a", "", NULL);
    bench_bind(&bench, "g", "a", "", NULL);
    bench_bind(&bench, "g", "d", "", NULL);
    bench_bind(&bench, "d", "b", "k", NULL);
    is_int(bench_publish(&bench, "f", "k", NULL, NULL, ""), 2, "through three exchanges");
    is_int(bench_publish(&bench, "g", "k", NULL, NULL, ""), 2, "from anywhere in the cycle");
    is_int(bench_publish(&bench, "g", "l", NULL, NULL, ""), 1, "each by its own rule");
    is_int(bench_ready(&bench, "a"), 3, "once each");
    bench_free(&bench);
}

TEST(alternates_take_what_matches_nothing)
{
    bench_new(&bench);
    queues_named("abc");
    bench_exchange(&bench, "ae", "fanout", "", NULL);
    bench_exchange(&bench, "d", "direct", "", "alternate-exchange=Sae");
    bench_exchange(&bench, "loop", "direct", "", "alternate-exchange=Sback");
    bench_exchange(&bench, "back", "direct", "", "alternate-exchange=Sloop");
    bench_exchange(&bench, "lost", "direct", "", "alternate-exchange=Snone");
    bench_bind(&bench, "ae", "a", "", NULL);
    bench_bind(&bench, "d", "b", "k", NULL);
    bench_bind(&bench, "d", "loop", "l", NULL);
    is_int(bench_publish(&bench, "d", "k", NULL, NULL, ""), 1, "it matches");
    is_int(bench_ready(&bench, "a"), 0, "so the alternate gets nothing");
    is_int(bench_publish(&bench, "d", "x", NULL, NULL, ""), 1, "it does not");
    is_int(bench_ready(&bench, "a"), 1, "so the alternate gets it");
    is_int(bench_publish(&bench, "d", "l", NULL, NULL, ""), 0, "an exchange that leads nowhere");
    is_int(bench_publish(&bench, "loop", "x", NULL, NULL, ""), 0, "alternates in a circle end");
    is_int(bench_publish(&bench, "lost", "x", NULL, NULL, ""), 0, "one that is missing is none");
    bench_free(&bench);
}

static struct bytes headers_at(const char *queue)
{
    struct properties properties;
    struct message *message = store_fake_peek(vhost_queue(bench.vhost, bytes_str(queue))->state, 0);
    if (!ok(properties_read(message_properties(message), &properties) == PROPERTIES_OK,
            "properties of the message in %s", queue))
        return bytes_of(NULL, 0);
    is_int(properties.delivery_mode, 2, "its delivery mode");
    ok(bytes_equal_str(properties.content_type, "text/plain"), "its content type");
    ok(bytes_equal_str(message_body(message), "body"), "its body");
    return properties.headers;
}

TEST(cc_and_bcc_are_further_keys)
{
    struct bytes contents;
    bench_new(&bench);
    queues_named("abcd");
    is_int(bench_publish(&bench, "", "a", "h=I1 CC=Ab,c,a,none BCC=Ad", NULL, "body"), 4,
           "a key for each");
    struct bytes headers = headers_at("d");
    ok(table_find_array(headers, "CC", &contents), "CC is kept");
    ok(table_find_array(headers, "BCC", &contents), "so is BCC, for dead letters,");
    struct message *message = store_fake_peek(vhost_queue(bench.vhost, bytes_str("d"))->state, 0);
    ok(message->flags & MESSAGE_HAS_BCC, "and marked, as it is not to be shown");
    int64_t value = 0;
    ok(table_find_integer(headers, "h", &value) && value == 1, "the rest is kept");
    is_int(bench_publish(&bench, "", "none", "CC=Sb BCC=I1", NULL, "body"), 0,
           "what is no list of keys is nothing");
    is_int(bench_publish(&bench, "", "none", "CC=Ab", NULL, "body"), 1, "its own key may be wrong");
    bench_exchange(&bench, "t", "topic", "", NULL);
    bench_bind(&bench, "t", "a", "x.#", NULL);
    bench_bind(&bench, "t", "b", "#.y", NULL);
    is_int(bench_publish(&bench, "t", "x.1", "CC=Ax.2,2.y", NULL, "body"), 2,
           "any exchange takes them");
    bench_free(&bench);
}

/* Publishes twice, so that the second time may go by what was remembered. */
static void goes_to(size_t queues, const char *exchange, const char *key, const char *name)
{
    for (int i = 1; i <= 2; i++)
        is_int(bench_publish(&bench, exchange, key, NULL, NULL, ""), queues, "%s, time %d", name,
               i);
}

TEST(what_is_remembered_is_forgotten_in_time)
{
    static const char key[] = "a.key.of.more.than.thirty-nine.characters";
    bench_new(&bench);
    goes_to(0, "", "a", "no queue yet");
    queues_named("ab");
    goes_to(1, "", "a", "there it is");
    goes_to(1, "", "b", "and another");
    is_int(bench_ready(&bench, "a") + bench_ready(&bench, "b"), 4, "both have their own");
    bench_exchange(&bench, "d", "direct", "", "alternate-exchange=Slater");
    bench_bind(&bench, "d", "a", "k", NULL);
    bench_bind(&bench, "d", "a", key, NULL);
    goes_to(1, "d", "k", "bound");
    goes_to(1, "d", key, "a long key");
    bench_bind(&bench, "d", "b", "k", NULL);
    goes_to(2, "d", "k", "bound twice");
    bench_unbind(&bench, "d", "a", "k", NULL);
    goes_to(1, "d", "k", "unbound");
    is_int(bench_ready(&bench, "b"), 6, "the right one is left");
    goes_to(0, "d", "none", "no such key");
    bench_exchange(&bench, "later", "fanout", "", NULL);
    bench_bind(&bench, "later", "a", "", NULL);
    goes_to(1, "d", "none", "now there is an alternate");
    bench_bind(&bench, "d", "b", "", NULL);
    goes_to(1, "d", "", "an empty key");
    queue_delete(vhost_queue(bench.vhost, bytes_str("b")));
    goes_to(0, "", "b", "the queue is gone");
    goes_to(1, "d", "k", "from everywhere");
    is_int(bench_publish(&bench, "", "a", "h=I1", NULL, ""), 1, "headers change nothing here");
    exchange_delete(bench.vhost, bytes_str("d"), false, &bench.error);
    bench_exchange(&bench, "d", "direct", "", NULL);
    goes_to(0, "d", key, "a new exchange knows nothing");
    bench_free(&bench);
}

TEST(many_keys_and_queues)
{
    char keys[2000] = "CC=A", name[8];
    bench_new(&bench);
    for (int i = 0; i < 200; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        bench_queue(&bench, name, "", NULL);
        strcat(keys, i ? "," : "");
        strcat(keys, name);
    }
    is_int(bench_publish(&bench, "", "n0", keys, NULL, "body"), 200, "200 keys, 200 queues");
    bench_free(&bench);
}

int main(void)
{
    RUN(direct_fanout_and_default);
    RUN(durable_queues_keep_a_record);
    RUN(a_queue_with_a_ready_consumer_has_work);
    RUN(headers_are_compared);
    RUN(headers_find_their_bindings_among_many);
    RUN(exchanges_are_bound_to_exchanges);
    RUN(alternates_take_what_matches_nothing);
    RUN(cc_and_bcc_are_further_keys);
    RUN(what_is_remembered_is_forgotten_in_time);
    RUN(many_keys_and_queues);
    return done();
}
