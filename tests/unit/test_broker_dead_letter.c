/* Dead letters: where they go, what they say, and when they do not go round for ever. */
#include <stdio.h>

#include "broker/queue_declare.h"
#include "broker/unplaced.h"
#include "tests/lib/broker_bench.h"
#include "tests/lib/amqp_more.h"

static struct bench bench;

/* Takes the first message of a queue and lets it die. */
static void die(const char *name, enum death why)
{
    struct taken taken;
    struct queue *queue = vhost_queue(bench.vhost, bytes_str(name));
    if (!ok(queue_take(queue, false, &taken) == QUEUE_OK, "%s has a message", name))
        return;
    message_unref(&bench.pool, taken.message);
    dead_letter(queue, taken.sequence, why);
}

/* The properties of the n-th message in a queue. */
static struct properties look(const char *name, size_t n)
{
    struct properties properties = {0};
    struct queue *queue = vhost_queue(bench.vhost, bytes_str(name));
    struct message *message = store_fake_peek(queue->state, n);
    ok(message && properties_read(message_properties(message), &properties) == PROPERTIES_OK,
       "message %d in %s", (int)n, name);
    return properties;
}

/* The n-th entry of x-death, from 0; empty when there are fewer. */
static struct bytes death_at(struct bytes headers, size_t n)
{
    struct bytes deaths = {0};
    struct field item;
    table_find_array(headers, "x-death", &deaths);
    for (struct reader walk = reader_of(deaths); array_next(&walk, &item);)
        if (n-- == 0)
            return item.value.bytes;
    return bytes_of(NULL, 0);
}

static void has_string(struct bytes table, const char *name, const char *value)
{
    struct bytes found = {0};
    bool there = table_find_string(table, name, &found);
    ok(value ? there && bytes_equal_str(found, value) : !there, "%s is %s, got '%.*s'", name,
       value ? value : "not there", BYTES_ARG(found));
}

static void has_death(struct bytes headers, size_t n, const char *queue, const char *reason,
                      int64_t count)
{
    struct bytes death = death_at(headers, n);
    struct field field;
    has_string(death, "queue", queue);
    has_string(death, "reason", reason);
    ok(table_find(death, bytes_str("count"), &field) && field.type == 'l' &&
           field.value.integer == count,
       "count is a long, %d", (int)count);
}

static void has_keys(struct bytes headers, size_t n, const char *first, const char *second)
{
    struct bytes keys = {0};
    struct field item;
    table_find_array(death_at(headers, n), "routing-keys", &keys);
    struct reader walk = reader_of(keys);
    ok(array_next(&walk, &item) && item.type == 'S' && bytes_equal_str(item.value.bytes, first),
       "the first routing key is %s", first);
    ok(second ? array_next(&walk, &item) && bytes_equal_str(item.value.bytes, second)
              : !array_next(&walk, &item),
       "the second one is %s", second ? second : "not there");
}

TEST(the_story_is_told)
{
    struct field field;
    bench_new(&bench);
    bench_exchange(&bench, "dlx", "direct", "", NULL);
    bench_exchange(&bench, "x", "direct", "", NULL);
    bench_queue(&bench, "q", "d", "x-dead-letter-exchange=Sdlx");
    bench_queue(&bench, "dead", "d", NULL);
    bench_bind(&bench, "x", "q", "k", NULL);
    bench_bind(&bench, "dlx", "dead", "k", NULL);
    bench_publish(&bench, "x", "k", "h=I7", "60000", "body");
    die("q", DEATH_REJECTED);
    struct queue *queue = vhost_queue(bench.vhost, bytes_str("q"));
    is_int(queue->counts->ready + queue->counts->taken, 0, "it has left the queue");
    is_int(bench_ready(&bench, "dead"), 1, "and arrived");
    struct message *message =
        store_fake_peek(vhost_queue(bench.vhost, bytes_str("dead"))->state, 0);
    ok(bytes_equal_str(message_exchange(message), "dlx"), "by the dead-letter exchange");
    ok(bytes_equal_str(message_routing_key(message), "k"), "with its own key");
    ok(bytes_equal_str(message_body(message), "body"), "and its body");
    is_int(message->flags, MESSAGE_PERSISTENT | MESSAGE_DEAD_LETTERED, "its flags");
    ok(message->ttl_ms == MESSAGE_NO_TTL, "it does not expire");
    struct properties properties = look("dead", 0);
    ok(!properties_have(&properties, PROPERTY_EXPIRATION), "its expiration is gone");
    ok(bytes_equal_str(properties.content_type, "text/plain"), "other properties are not");
    struct bytes headers = properties.headers;
    ok(table_check(headers), "the headers are well-formed");
    has_death(headers, 0, "q", "rejected", 1);
    has_keys(headers, 0, "k", NULL);
    struct bytes death = death_at(headers, 0);
    has_string(death, "exchange", "x");
    has_string(death, "original-expiration", "60000");
    ok(table_find(death, bytes_str("time"), &field) && field.type == 'T' &&
           field.value.timestamp == 1700000000,
       "the time is in seconds");
    is_int(death_at(headers, 1).size, 0, "one death only");
    has_string(headers, "x-first-death-queue", "q");
    has_string(headers, "x-first-death-reason", "rejected");
    has_string(headers, "x-first-death-exchange", "x");
    has_string(headers, "x-last-death-queue", "q");
    has_string(headers, "x-last-death-reason", "rejected");
    has_string(headers, "x-last-death-exchange", "x");
    int64_t value = 0;
    ok(table_find_integer(headers, "h", &value) && value == 7, "own headers stay");
    bench_free(&bench);
}

/* What is the same in the stories of several is written once, and nobody gets another one's. */
TEST(each_has_a_story_of_its_own)
{
    static const struct {
        const char *queue, *exchange, *key, *headers, *expiration;
        enum death why;
        uint64_t later_ms;
    } dying[] = {
        {"q", "x", "k", NULL, NULL, DEATH_REJECTED, 0},
        {"q", "x", "k", NULL, NULL, DEATH_REJECTED, 0},
        {"q", "x", "k", NULL, NULL, DEATH_EXPIRED, 0},
        {"p", "x", "l", NULL, NULL, DEATH_EXPIRED, 0},
        {"q", "x", "k", NULL, NULL, DEATH_EXPIRED, 0},
        {"q", "x", "kk", NULL, NULL, DEATH_EXPIRED, 0},
        {"q", "xk", "k", NULL, NULL, DEATH_EXPIRED, 0},
        {"q", "xk", "k", NULL, NULL, DEATH_EXPIRED, 1000},
        {"q", "xk", "k", "h=I7", NULL, DEATH_EXPIRED, 1000},
        {"q", "xk", "k", NULL, "60000", DEATH_EXPIRED, 1000},
        {"q", "xk", "k", NULL, NULL, DEATH_EXPIRED, 1000},
        {"q", "xk", "k", NULL, NULL, DEATH_EXPIRED, 1000},
    };
    static const char *const reasons[] = {"rejected", "expired"};
    struct field field;
    bench_new(&bench);
    bench_exchange(&bench, "dlx", "fanout", "", NULL);
    bench_exchange(&bench, "x", "direct", "", NULL);
    bench_exchange(&bench, "xk", "direct", "", NULL);
    bench_queue(&bench, "q", "d", "x-dead-letter-exchange=Sdlx");
    bench_queue(&bench, "p", "d", "x-dead-letter-exchange=Sdlx");
    bench_queue(&bench, "dead", "d", NULL);
    bench_bind(&bench, "dlx", "dead", "", NULL);
    bench_bind(&bench, "x", "q", "k", NULL);
    bench_bind(&bench, "x", "q", "kk", NULL);
    bench_bind(&bench, "x", "p", "l", NULL);
    bench_bind(&bench, "xk", "q", "k", NULL);
    uint64_t begin_ms = bench.broker.clock_ms;
    for (size_t i = 0; i < sizeof(dying) / sizeof(dying[0]); i++) {
        bench.broker.clock_ms = begin_ms + dying[i].later_ms;
        bench_publish(&bench, dying[i].exchange, dying[i].key, dying[i].headers, dying[i].expiration,
                      "body");
        die(dying[i].queue, dying[i].why);
        struct bytes headers = look("dead", i).headers, death = death_at(headers, 0);
        ok(table_check(headers), "the headers of %d are well-formed", (int)i);
        has_death(headers, 0, dying[i].queue, reasons[dying[i].why], 1);
        has_keys(headers, 0, dying[i].key, NULL);
        has_string(death, "exchange", dying[i].exchange);
        has_string(death, "original-expiration", dying[i].expiration);
        ok(table_find(death, bytes_str("time"), &field) &&
               field.value.timestamp == (begin_ms + dying[i].later_ms) / 1000,
           "when it was");
        is_int(death_at(headers, 1).size, 0, "one death only");
        has_string(headers, "x-first-death-queue", dying[i].queue);
        has_string(headers, "x-last-death-reason", reasons[dying[i].why]);
        has_string(headers, "x-last-death-exchange", dying[i].exchange);
        is_int(table_find(headers, bytes_str("h"), &field), dying[i].headers != NULL, "own headers");
    }
    bench_free(&bench);
}

TEST(nowhere_to_go)
{
    bench_new(&bench);
    bench_queue(&bench, "plain", "", NULL);
    bench_queue(&bench, "q", "", "x-dead-letter-exchange=Slater");
    bench_publish(&bench, "", "plain", NULL, NULL, "");
    die("plain", DEATH_REJECTED);
    is_int(bench_ready(&bench, "plain"), 0, "without an exchange it is dropped");
    bench_publish(&bench, "", "q", NULL, NULL, "");
    bench_publish(&bench, "", "q", NULL, NULL, "");
    die("q", DEATH_REJECTED);
    is_int(bench_ready(&bench, "q"), 1, "so it is when the exchange is missing");
    bench_exchange(&bench, "later", "fanout", "", NULL);
    bench_publish(&bench, "", "q", NULL, NULL, "");
    die("q", DEATH_REJECTED);
    bench_queue(&bench, "dead", "", NULL);
    bench_bind(&bench, "later", "dead", "", NULL);
    die("q", DEATH_REJECTED);
    is_int(bench_ready(&bench, "dead"), 1, "once it is there and bound, they arrive");
    is_int(message_pool_bytes(&bench.pool) > 0, 1, "one message is left");
    bench_free(&bench);
}

TEST(deaths_are_counted)
{
    bench_new(&bench);
    bench_queue(&bench, "a", "", "x-dead-letter-exchange=S x-dead-letter-routing-key=Sb");
    bench_queue(&bench, "b", "", "x-dead-letter-exchange=S x-dead-letter-routing-key=Sa");
    bench_publish(&bench, "", "a", NULL, NULL, "body");
    die("a", DEATH_REJECTED);
    bench.broker.clock_ms += 100000;
    die("b", DEATH_REJECTED);
    die("a", DEATH_REJECTED);
    struct bytes headers = look("b", 0).headers;
    has_death(headers, 0, "a", "rejected", 2);
    has_death(headers, 1, "b", "rejected", 1);
    is_int(death_at(headers, 2).size, 0, "two entries");
    struct field field;
    ok(table_find(death_at(headers, 0), bytes_str("time"), &field) &&
           field.value.timestamp == 1700000000,
       "the time is that of the first such death");
    has_string(headers, "x-first-death-queue", "a");
    has_string(headers, "x-last-death-queue", "a");
    has_string(headers, "x-last-death-exchange", "");
    die("b", DEATH_EXPIRED);
    headers = look("a", 0).headers;
    has_death(headers, 0, "b", "expired", 1);
    has_death(headers, 1, "a", "rejected", 2);
    has_death(headers, 2, "b", "rejected", 1);
    has_string(headers, "x-first-death-reason", "rejected");
    has_string(headers, "x-last-death-reason", "expired");
    for (int i = 0; i < 50; i++)
        die(i % 2 ? "b" : "a", DEATH_REJECTED);
    has_death(look("a", 0).headers, 1, "a", "rejected", 27);
    bench_free(&bench);
}

/* Publishes to queue `a` with that x-death, which a client made up, and lets it die there. */
static struct bytes die_with(struct bytes x_death, const char *more)
{
    struct buffer properties = {0}, headers = {0};
    struct table_writer writer;
    table_writer_init(&writer, &headers);
    table_add_array(&writer, bytes_str("x-death"), x_death);
    struct bytes other = bench_table(more);
    struct field field;
    for (struct reader walk = reader_of(other); table_next(&walk, &field);)
        table_add_field(&writer, &field);
    struct properties with = {.flags = PROPERTY_HEADERS, .headers = buffer_bytes(&headers)};
    properties_add(&properties, &with);
    struct message *message = message_new(&bench.pool, bytes_str(""), bytes_str("a"),
                                          buffer_bytes(&properties), 0);
    publish(vhost_exchange(bench.vhost, bytes_str("")), message, &bench.set);
    message_unref(&bench.pool, message);
    die("a", DEATH_MAXLEN);
    buffer_free(&headers);
    buffer_free(&properties);
    struct bytes told = look("b", 0).headers;
    ok(table_check(told), "the headers are well-formed");
    return told;
}

/* Purges queues whose names are these letters. */
static void forget_all(const char *names)
{
    for (; *names; names++)
        queue_purge(vhost_queue(bench.vhost, bytes_of(names, 1)));
}

static void forget(void)
{
    forget_all("b");
}

/* The story that most cases have: it died in `a` as often as `type` and `raw` say. */
static void write_death(struct table_writer *writer, char type, struct bytes raw)
{
    table_begin_table(writer, bytes_of(NULL, 0));
    table_add_string(writer, bytes_str("queue"), bytes_str("a"));
    table_add_raw(writer, bytes_str("count"), type, raw);
    table_add_string(writer, bytes_str("reason"), bytes_str("maxlen"));
    table_add_string(writer, bytes_str("mine"), bytes_str("stays"));
    table_end(writer);
}

static void counts_on(char type, const char *raw, size_t size, int64_t count)
{
    struct buffer deaths = {0};
    struct table_writer writer;
    array_writer_init(&writer, &deaths);
    write_death(&writer, type, bytes_of(raw, size));
    struct bytes headers = die_with(buffer_bytes(&deaths), "x-first-death-queue=Sold h=V");
    has_death(headers, 0, "a", "maxlen", count);
    has_string(death_at(headers, 0), "mine", "stays");
    is_int(death_at(headers, 1).size, 0, "it is the only one");
    has_string(headers, "x-first-death-queue", "old");
    has_string(headers, "x-last-death-queue", "a");
    buffer_free(&deaths);
    forget();
}

TEST(what_a_client_says_is_counted_on)
{
    bench_new(&bench);
    bench_queue(&bench, "a", "", "x-dead-letter-exchange=S x-dead-letter-routing-key=Sb");
    bench_queue(&bench, "b", "", NULL);
    counts_on('l', "\0\0\0\0\0\0\0\4", 8, 5); /* as it was */
    counts_on('I', "\0\0\1\0", 4, 257); /* as a shorter number */
    counts_on('b', "\7", 1, 8); /* as the shortest */
    counts_on('l', "\x7f\xff\xff\xff\xff\xff\xff\xff", 8, INT64_MAX); /* the largest */
    counts_on('l', "\xff\xff\xff\xff\xff\xff\xff\xff", 8, 1); /* less than none */
    counts_on('S', "\0\0\0\1" "9", 5, 1); /* a text */
    counts_on('V', "", 0, 1); /* nothing */
    bench_free(&bench);
}

TEST(what_a_client_says_may_not_count)
{
    bench_new(&bench);
    bench.broker.ignores_client_deaths = true;
    bench_queue(&bench, "a", "", "x-dead-letter-exchange=S x-dead-letter-routing-key=Sb");
    bench_queue(&bench, "b", "", "x-dead-letter-exchange=S x-dead-letter-routing-key=Sa");
    bench_publish(&bench, "", "a", "x-death=Aforged x-first-death-queue=Sforged", NULL, "body");
    die("a", DEATH_MAXLEN);
    struct bytes headers = look("b", 0).headers;
    has_death(headers, 0, "a", "maxlen", 1);
    is_int(death_at(headers, 1).size, 0, "it is the only one");
    has_string(headers, "x-first-death-queue", "a");
    die("b", DEATH_REJECTED);
    die("a", DEATH_MAXLEN);
    has_death(look("b", 0).headers, 0, "a", "maxlen", 2);
    bench_free(&bench);
}

TEST(nonsense_of_a_client_is_harmless)
{
    struct buffer deaths = {0}, filler = {0};
    struct table_writer writer;
    struct bytes headers;
    bench_new(&bench);
    bench_queue(&bench, "a", "", "x-dead-letter-exchange=S x-dead-letter-routing-key=Sb");
    bench_queue(&bench, "b", "", NULL);
    bench_publish(&bench, "", "a", "x-death=Stext x-first-death-queue=Sforged x-last-death-reason=Sforged",
                  NULL, "body");
    die("a", DEATH_MAXLEN);
    headers = look("b", 0).headers;
    has_death(headers, 0, "a", "maxlen", 1);
    has_string(headers, "x-first-death-queue", "a");
    has_string(headers, "x-last-death-reason", "maxlen");
    forget();
    headers = die_with(bytes_of(NULL, 0), "x-first-death-queue=Sforged");
    has_string(headers, "x-first-death-queue", "a");
    forget();
    array_writer_init(&writer, &deaths);
    table_add_string(&writer, bytes_of(NULL, 0), bytes_str("no table"));
    for (int i = 0; i < 3; i++)
        write_death(&writer, 'l', bytes_of("\0\0\0\0\0\0\0\2", 8));
    headers = die_with(buffer_bytes(&deaths), "h=V");
    has_death(headers, 0, "a", "maxlen", 3);
    is_int(death_at(headers, 2).size, 0, "what is there three times becomes one");
    forget();
    deaths.size = 0;
    array_writer_init(&writer, &deaths);
    for (unsigned depth = 0; depth < TABLE_DEPTH_MAX - 3; depth++)
        table_begin_table(&writer, bytes_str(depth ? "queue" : ""));
    for (unsigned depth = 0; depth < TABLE_DEPTH_MAX - 3; depth++)
        table_end(&writer);
    headers = die_with(buffer_bytes(&deaths), "h=V");
    has_death(headers, 0, "a", "maxlen", 1);
    forget();
    memset(buffer_room(&filler, 100000), 0, 100000);
    buffer_added(&filler, 100000);
    deaths.size = 0;
    array_writer_init(&writer, &deaths);
    table_begin_table(&writer, bytes_of(NULL, 0));
    table_add_string(&writer, bytes_str("queue"), bytes_str("a"));
    table_add_string(&writer, bytes_str("reason"), bytes_str("maxlen"));
    table_add_string(&writer, bytes_str("large"), buffer_bytes(&filler));
    table_end(&writer);
    headers = die_with(buffer_bytes(&deaths), "h=V");
    has_death(headers, 0, "a", "maxlen", 1);
    ok(headers.size < 1000, "100,000 bytes of a death are not kept");
    buffer_free(&deaths);
    buffer_free(&filler);
    bench_free(&bench);
}

TEST(keys_of_cc_go_along)
{
    struct bytes contents;
    bench_new(&bench);
    bench_exchange(&bench, "dlx", "direct", "", NULL);
    bench_queue(&bench, "q", "", "x-dead-letter-exchange=Sdlx");
    bench_queue(&bench, "r", "", "x-dead-letter-exchange=Sdlx x-dead-letter-routing-key=Sk");
    bench_queue(&bench, "1", "", NULL);
    bench_queue(&bench, "2", "", NULL);
    bench_queue(&bench, "3", "", NULL);
    bench_bind(&bench, "dlx", "1", "q", NULL);
    bench_bind(&bench, "dlx", "2", "cc", NULL);
    bench_bind(&bench, "dlx", "3", "k", NULL);
    bench_publish(&bench, "", "q", "CC=Acc", NULL, "body");
    die("q", DEATH_REJECTED);
    is_int(bench_ready(&bench, "1") + bench_ready(&bench, "2"), 2, "both keys are used");
    has_keys(look("1", 0).headers, 0, "q", "cc");
    ok(table_find_array(look("1", 0).headers, "CC", &contents), "CC stays");
    bench_publish(&bench, "", "r", "CC=Acc BCC=Ak", NULL, "body");
    die("r", DEATH_REJECTED);
    is_int(bench_ready(&bench, "2"), 1, "a configured key is the only one");
    is_int(bench_ready(&bench, "3"), 1, "it is used");
    struct bytes headers = look("3", 0).headers;
    ok(!table_find_array(headers, "CC", &contents), "CC goes with it");
    ok(!table_find_array(headers, "BCC", &contents), "and so does BCC");
    has_keys(headers, 0, "r", "cc");
    forget_all("123");
    bench_publish(&bench, "", "q", "CC=Acc BCC=Ak", NULL, "body");
    die("q", DEATH_REJECTED);
    ok(bench_ready(&bench, "1") && bench_ready(&bench, "2") && bench_ready(&bench, "3"),
       "without one those of BCC are used as well");
    headers = look("3", 0).headers;
    has_keys(headers, 0, "q", "cc");
    is_int(death_at(headers, 1).size, 0, "and not told");
    bench_free(&bench);
}

TEST(cycles_end_unless_somebody_rejects)
{
    bench_new(&bench);
    bench_queue(&bench, "a", "", "x-dead-letter-exchange=S x-dead-letter-routing-key=Sb");
    bench_queue(&bench, "b", "", "x-dead-letter-exchange=S x-dead-letter-routing-key=Sa");
    bench_queue(&bench, "self", "", "x-dead-letter-exchange=S");
    bench_publish(&bench, "", "self", NULL, NULL, "");
    die("self", DEATH_EXPIRED);
    is_int(bench_ready(&bench, "self"), 0, "back to where it died: dropped");
    bench_publish(&bench, "", "self", NULL, NULL, "");
    for (int i = 0; i < 5; i++)
        die("self", DEATH_REJECTED);
    is_int(bench_ready(&bench, "self"), 1, "unless it was rejected");
    bench_publish(&bench, "", "a", NULL, NULL, "");
    die("a", DEATH_EXPIRED);
    is_int(bench_ready(&bench, "b"), 1, "to the next one it goes");
    die("b", DEATH_MAXLEN);
    is_int(bench_ready(&bench, "a"), 0, "but not back");
    bench_publish(&bench, "", "a", NULL, NULL, "");
    die("a", DEATH_EXPIRED);
    die("b", DEATH_REJECTED);
    is_int(bench_ready(&bench, "a"), 1, "a rejection lets it back");
    die("a", DEATH_EXPIRED);
    is_int(bench_ready(&bench, "b"), 1, "and on");
    die("b", DEATH_EXPIRED);
    is_int(bench_ready(&bench, "a"), 0, "without a new one that is the end");
    bench_free(&bench);
}

TEST(cycles_know_what_a_client_says)
{
    struct buffer deaths = {0};
    struct table_writer writer;
    bench_new(&bench);
    bench_queue(&bench, "a", "", "x-dead-letter-exchange=Sx");
    bench_queue(&bench, "b", "", NULL);
    bench_queue(&bench, "c", "", NULL);
    bench_exchange(&bench, "x", "fanout", "", NULL);
    bench_bind(&bench, "x", "b", "", NULL);
    bench_bind(&bench, "x", "c", "", NULL);
    array_writer_init(&writer, &deaths);
    table_begin_table(&writer, bytes_of(NULL, 0));
    table_add_string(&writer, bytes_str("queue"), bytes_str("c"));
    table_add_string(&writer, bytes_str("reason"), bytes_str("expired"));
    table_end(&writer);
    die_with(buffer_bytes(&deaths), "h=V");
    is_int(bench_ready(&bench, "b"), 1, "one queue gets it");
    is_int(bench_ready(&bench, "c"), 0, "where it has died it does not go again");
    forget();
    struct buffer more = {0};
    array_writer_init(&writer, &more);
    table_add_string(&writer, bytes_of(NULL, 0), bytes_str("no table"));
    buffer_add(&more, deaths.data, deaths.size);
    die_with(buffer_bytes(&more), "h=V");
    is_int(bench_ready(&bench, "c"), 1, "unless somebody had a hand in it");
    buffer_free(&deaths);
    buffer_free(&more);
    bench_free(&bench);
}

TEST(old_deaths_are_forgotten)
{
    char name[64], arguments[200];
    bench_new(&bench);
    for (int i = 0; i < 150; i++) {
        snprintf(name, sizeof(name), "q%d", i);
        snprintf(arguments, sizeof(arguments),
                 "x-dead-letter-exchange=S x-dead-letter-routing-key=Sq%d", i + 1);
        bench_queue(&bench, name, "", arguments);
    }
    bench_publish(&bench, "", "q0", NULL, NULL, "");
    for (int i = 0; i < 149; i++) {
        snprintf(name, sizeof(name), "q%d", i);
        die(name, DEATH_EXPIRED);
    }
    struct bytes headers = look("q149", 0).headers;
    ok(headers.size < 40000, "149 deaths later the headers have %d bytes", (int)headers.size);
    has_death(headers, 0, "q148", "expired", 1);
    has_string(headers, "x-first-death-queue", "q0");
    bench_free(&bench);
}

TEST(a_message_may_have_to_be_read_first)
{
    bench_new(&bench);
    bench_queue(&bench, "q", "", "x-dead-letter-exchange=S x-dead-letter-routing-key=Sdead");
    bench_queue(&bench, "dead", "", NULL);
    bench_publish(&bench, "", "q", NULL, NULL, "1");
    bench_publish(&bench, "", "q", NULL, NULL, "2");
    bench_publish(&bench, "", "q", NULL, NULL, "3");
    store_fake_fetch(bench.store, INDEX_WAIT);
    die("q", DEATH_REJECTED);
    die("q", DEATH_REJECTED);
    dead_letters_move(&bench.broker);
    struct queue *queue = vhost_queue(bench.vhost, bytes_str("q"));
    is_int(queue->counts->taken, 2, "they wait");
    store_fake_fetch(bench.store, INDEX_OK);
    die("q", DEATH_REJECTED);
    is_int(bench_ready(&bench, "dead"), 0, "so does one that comes after them");
    store_fake_congested(bench.store, true);
    dead_letters_move(&bench.broker);
    is_int(bench_ready(&bench, "dead"), 0, "as long as the store is full");
    store_fake_congested(bench.store, false);
    dead_letters_move(&bench.broker);
    is_int(bench_ready(&bench, "dead"), 3, "then they all go");
    struct index *index = vhost_queue(bench.vhost, bytes_str("dead"))->state;
    for (size_t i = 0; i < 3; i++)
        is_int(message_body(store_fake_peek(index, i)).data[0], '1' + (int)i, "in order");
    ok(list_is_empty(&bench.broker.dead_letters), "nobody waits any more");
    bench_publish(&bench, "", "q", NULL, NULL, "4");
    bench_publish(&bench, "", "q", NULL, NULL, "5");
    store_fake_fetch(bench.store, INDEX_EMPTY);
    die("q", DEATH_REJECTED);
    is_int(bench_ready(&bench, "dead"), 3, "a damaged one stays where it is");
    is_int(queue->counts->taken, 1, "and is not gone");
    store_fake_fetch(bench.store, INDEX_WAIT);
    die("q", DEATH_REJECTED);
    queue_delete(queue);
    ok(list_is_empty(&bench.broker.dead_letters), "a deleted queue takes its own along");
    dead_letters_move(&bench.broker);
    bench_free(&bench);
}

/* Of many that wait for one queue or another, all come to be tried, a few at a time. */
TEST(nobody_waits_behind_what_leads_nowhere)
{
    bench_new(&bench);
    bench.broker.turn = budget_of(1000 * BUDGET_MS);
    bench_queue(&bench, "q", "", "x-dead-letter-exchange=Sx x-dead-letter-strategy=Sat-least-once "
                                 "x-overflow=Sreject-publish");
    bench_exchange(&bench, "x", "direct", "", NULL);
    bench_exchange(&bench, "all", "fanout", "", NULL);
    bench_queue(&bench, "dead", "", NULL);
    bench_bind(&bench, "all", "q", "", NULL);
    struct queue *queue = vhost_queue(bench.vhost, bytes_str("q"));
    for (int i = 0; i < 300; i++) {
        bench_publish(&bench, "all", i < 200 ? "nowhere" : "known", NULL, NULL, "");
        die("q", DEATH_REJECTED);
    }
    is_int((long long)unplaced_count(queue), 300, "all of them wait");
    is_int(queue->counts->taken, 300, "in their queue");
    bench_bind(&bench, "x", "dead", "known", NULL);
    unplaced_retry(queue);
    is_int(bench_ready(&bench, "dead"), 0, "a round does not try all");
    for (int i = 0; i < 4; i++)
        unplaced_retry(queue);
    is_int(bench_ready(&bench, "dead"), 100, "those that can go have gone after some");
    is_int((long long)unplaced_count(queue), 200, "the others still wait");
    bench_bind(&bench, "x", "dead", "nowhere", NULL);
    bench.broker.turn = budget_of(1);
    unplaced_retry(queue);
    is_int(bench_ready(&bench, "dead"), 101, "a turn has its budget");
    bench.broker.turn = budget_of(1000 * BUDGET_MS);
    unplaced_retry(queue);
    unplaced_retry(queue);
    is_int(bench_ready(&bench, "dead"), 300, "and all go in the end");
    is_int((long long)unplaced_count(queue), 0, "nobody waits");
    is_int(queue->counts->taken, 0, "the queue is empty");
    bench_publish(&bench, "all", "?", NULL, NULL, "");
    die("q", DEATH_REJECTED);
    queue_delete(queue);
    is_int((long long)bench.broker.unplaced.count, 0, "a queue that goes takes them along");
    bench_free(&bench);
}

TEST(what_waits_may_have_to_be_read)
{
    bench_new(&bench);
    bench.broker.turn = budget_of(1000 * BUDGET_MS);
    struct queue *queue =
        bench_queue(&bench, "q", "",
                    "x-dead-letter-exchange=S x-dead-letter-routing-key=Sdead "
                    "x-dead-letter-strategy=Sat-least-once x-overflow=Sreject-publish");
    bench_publish(&bench, "", "q", NULL, NULL, "1");
    die("q", DEATH_REJECTED);
    bench_queue(&bench, "dead", "", NULL);
    store_fake_fetch(bench.store, INDEX_WAIT);
    unplaced_retry(queue);
    is_int(bench_ready(&bench, "dead"), 0, "it is being read");
    store_fake_fetch(bench.store, INDEX_EMPTY);
    unplaced_retry(queue);
    is_int(bench_ready(&bench, "dead"), 0, "a damaged one is set aside");
    is_int((long long)unplaced_count(queue), 0, "and is not tried again");
    is_int(queue->counts->taken, 1, "nor gone");
    bench_free(&bench);
}

int main(void)
{
    RUN(the_story_is_told);
    RUN(each_has_a_story_of_its_own);
    RUN(nowhere_to_go);
    RUN(deaths_are_counted);
    RUN(what_a_client_says_is_counted_on);
    RUN(what_a_client_says_may_not_count);
    RUN(nonsense_of_a_client_is_harmless);
    RUN(keys_of_cc_go_along);
    RUN(cycles_end_unless_somebody_rejects);
    RUN(cycles_know_what_a_client_says);
    RUN(old_deaths_are_forgotten);
    RUN(a_message_may_have_to_be_read_first);
    RUN(nobody_waits_behind_what_leads_nowhere);
    RUN(what_waits_may_have_to_be_read);
    return done();
}
