/* Exchanges that choose: by a hash, which stays with its queue, or by chance; and one that keeps.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "queue/queue.h"
#include "tests/lib/broker_bench.h"

enum { KEYS = 20000, QUEUES_MAX = 32, NAME = 24 };

static struct bench bench;
static struct random dice;

/* Where each key goes: a queue by its number, as its name says; -1: nowhere. */
struct routes {
    int8_t to[KEYS];
    size_t counts[QUEUES_MAX];
    size_t nowhere;
};

static const char *queue_text(size_t number)
{
    static char names[4][NAME];
    static unsigned last;
    char *name = names[last++ % 4];
    snprintf(name, NAME, "q%zu", number);
    return name;
}

static struct queue *route_one(const char *exchange, const char *key, struct bytes properties)
{
    struct bytes bytes = bytes_str(key);
    struct route route = {&bytes, 1, headers_of(properties), .properties = properties};
    exchange_route(vhost_exchange(bench.vhost, bytes_str(exchange)), &route, &bench.set);
    return bench.set.count == 1 ? bench.set.queues[0] : NULL;
}

static void route_all(const char *exchange, struct routes *routes)
{
    static const uint8_t none[2];
    *routes = (struct routes){0};
    for (size_t i = 0; i < KEYS; i++) {
        char key[NAME];
        snprintf(key, sizeof(key), "key.%zu", i);
        const struct queue *queue = route_one(exchange, key, bytes_of(none, sizeof(none)));
        routes->to[i] = queue ? (int8_t)atoi(queue->name + 1) : -1;
        if (queue)
            routes->counts[routes->to[i]]++;
        else
            routes->nowhere++;
    }
}

/* How many keys go elsewhere, and how many of those neither leave nor reach this queue. */
static size_t moved(const struct routes *one, const struct routes *other, int queue,
                    size_t *between)
{
    size_t count = 0;
    *between = 0;
    for (size_t i = 0; i < KEYS; i++) {
        bool differs = one->to[i] != other->to[i];
        count += differs;
        *between += differs && one->to[i] != queue && other->to[i] != queue;
    }
    return count;
}

static void begin(const char *type, size_t queues)
{
    bench_new(&bench);
    bench_exchange(&bench, "x", type, "d", NULL);
    for (size_t i = 0; i < queues; i++)
        bench_queue(&bench, queue_text(i), "d", NULL);
}

static bool within(size_t count, double wanted, double part)
{
    bool good = (double)count > wanted * (1 - part) && (double)count < wanted * (1 + part);
    if (!good)
        printf("# %zu, not about %.0f\n", count, wanted);
    return good;
}

/* ---- x-consistent-hash ---- */

TEST(weights_are_shares)
{
    static struct routes routes;
    static const char *const weights[] = {"1", "2", "3", "4", "10"};
    begin("x-consistent-hash", 5);
    for (size_t i = 0; i < 5; i++)
        bench_bind(&bench, "x", queue_text(i), weights[i], NULL);
    route_all("x", &routes);
    for (size_t i = 0; i < 5; i++)
        ok(within(routes.counts[i], KEYS * atof(weights[i]) / 20, 0.1), "weight %s", weights[i]);
    bench_free(&bench);
    begin("x-consistent-hash", 10);
    for (size_t i = 0; i < 10; i++)
        bench_bind(&bench, "x", queue_text(i), "1", NULL);
    route_all("x", &routes);
    for (size_t i = 0; i < 10; i++)
        ok(within(routes.counts[i], KEYS / 10.0, 0.1), "equal weights, queue %zu", i);
    bench_free(&bench);
}

TEST(few_keys_move_when_a_queue_comes_or_goes)
{
    static struct routes before, with, after;
    size_t between;
    begin("x-consistent-hash", 11);
    for (size_t i = 0; i < 10; i++)
        bench_bind(&bench, "x", queue_text(i), "1", NULL);
    route_all("x", &before);
    bench_bind(&bench, "x", "q10", "1", NULL);
    route_all("x", &with);
    size_t count = moved(&before, &with, 10, &between);
    ok(within(count, KEYS / 11.0, 0.1), "an eleventh takes an eleventh");
    is_int(between, 0, "and nothing moves among the others");
    bench_unbind(&bench, "x", "q10", "1", NULL);
    route_all("x", &after);
    is_int(moved(&before, &after, 10, &between), 0, "without it all is as before");
    bench_unbind(&bench, "x", "q4", "1", NULL);
    route_all("x", &after);
    is_int(moved(&before, &after, 4, &between), before.counts[4],
           "of one in the middle its own move");
    is_int(between, 0, "and no others");
    bench_bind(&bench, "x", "q4", "1", NULL);
    route_all("x", &after);
    is_int(moved(&before, &after, 4, &between), 0, "and come back");
    bench_free(&bench);
}

static const char *some_weight(void)
{
    static char text[NAME];
    snprintf(text, sizeof(text), "%d",
             1 + (int)random_below(&dice, random_below(&dice, 2) ? 5 : 10000));
    return text;
}

TEST(only_what_changes_moves_whatever_the_weights)
{
    static struct routes before, after;
    random_init(&dice, 7);
    for (int round = 0; round < 12; round++) {
        char weights[QUEUES_MAX][NAME];
        size_t between, queues = 2 + random_below(&dice, 12), one = random_below(&dice, queues);
        begin("x-consistent-hash", queues);
        for (size_t i = 0; i < queues; i++) {
            snprintf(weights[i], NAME, "%s", some_weight());
            bench_bind(&bench, "x", queue_text(i), weights[i], NULL);
        }
        route_all("x", &before);
        is_int(before.nowhere, 0, "%zu queues: all find one", queues);
        bench_unbind(&bench, "x", queue_text(one), weights[one], NULL);
        route_all("x", &after);
        is_int(moved(&before, &after, (int)one, &between), before.counts[one], "its own move");
        is_int(between, 0, "no others");
        bench_bind(&bench, "x", queue_text(one), some_weight(), NULL);
        route_all("x", &after);
        moved(&before, &after, (int)one, &between);
        is_int(between, 0, "with another weight it takes or gives, and nobody else");
        bench_free(&bench);
    }
}

TEST(the_heaviest_binding_counts)
{
    static struct routes before, after;
    size_t between;
    begin("x-consistent-hash", 2);
    bench_bind(&bench, "x", "q0", "2", NULL);
    bench_bind(&bench, "x", "q1", "2", NULL);
    route_all("x", &before);
    bench_bind(&bench, "x", "q1", "1", NULL);
    bench_bind(&bench, "x", "q1", "2", "a=I1");
    route_all("x", &after);
    is_int(moved(&before, &after, 1, &between), 0, "lighter and equal ones change nothing");
    bench_unbind(&bench, "x", "q1", "2", NULL);
    bench_unbind(&bench, "x", "q1", "2", "a=I1");
    route_all("x", &after);
    ok(within(after.counts[1], KEYS / 3.0, 0.1), "the light one that is left counts");
    bench_free(&bench);
}

TEST(hashes_are_for_ever)
{
    ok(hash_bytes(bytes_str(""), 1) == 0x48e1c8d420c23cc9, "of nothing");
    ok(hash_bytes(bytes_str("key.1"), 1) == 0x15725fc0b6743654, "of a short key");
    ok(hash_bytes(bytes_str("a key of more than eight bytes"), 1) == 0xb447cb8680fe738f,
       "of a longer one");
}

/* The queue of the first of these that is not that of the second. */
static bool goes_apart(const char *exchange, const struct properties *one,
                       const struct properties *other)
{
    struct buffer first = {0}, second = {0};
    properties_add(&first, one);
    properties_add(&second, other);
    bool apart = route_one(exchange, "k", buffer_bytes(&first)) !=
                 route_one(exchange, "k", buffer_bytes(&second));
    buffer_free(&first);
    buffer_free(&second);
    return apart;
}

TEST(headers_and_properties_are_hashed)
{
    bool header = false, message = false, correlation = false, timestamp = false, type = false;
    begin("x-consistent-hash", 2);
    bench_exchange(&bench, "h", "x-consistent-hash", "", "hash-header=Sid");
    bench_exchange(&bench, "m", "x-consistent-hash", "", "hash-property=Smessage_id");
    bench_exchange(&bench, "c", "x-consistent-hash", "", "hash-property=Scorrelation_id");
    bench_exchange(&bench, "t", "x-consistent-hash", "", "hash-property=Stimestamp");
    for (const char *x = "hmct"; *x; x++)
        for (size_t i = 0; i < 2; i++)
            bench_bind(&bench, (char[]){*x, '\0'}, queue_text(i), "1", NULL);
    for (unsigned i = 0; i < 20; i++) {
        char text[NAME], table[2 * NAME], typed[2 * NAME];
        snprintf(text, sizeof(text), "%u", i);
        snprintf(table, sizeof(table), "a=I1 id=S%u", i);
        snprintf(typed, sizeof(typed), "id=I%u", i);
        struct properties none = {0},
                          all = {.flags = PROPERTY_MESSAGE_ID | PROPERTY_CORRELATION_ID |
                                          PROPERTY_TIMESTAMP | PROPERTY_HEADERS,
                                 .message_id = bytes_str(text),
                                 .correlation_id = bytes_str(text),
                                 .timestamp = i,
                                 .headers = bench_table(table)};
        struct properties other = all;
        other.headers = bench_table(typed);
        header |= goes_apart("h", &none, &all);
        message |= goes_apart("m", &none, &all);
        correlation |= goes_apart("c", &none, &all);
        timestamp |= goes_apart("t", &none, &all);
        type |= goes_apart("h", &other, &all);
    }
    ok(header && message && correlation && timestamp, "each decides");
    ok(type, "text and numbers are not the same");
    bench_free(&bench);
}

/* ---- over restarts, and in any order ---- */

static void is_stable(const char *type)
{
    static struct routes before, after;
    size_t between;
    begin(type, 9);
    for (size_t i = 0; i < 9; i++)
        bench_bind(&bench, "x", queue_text(i), "3", NULL);
    route_all("x", &before);
    bench_restart(&bench);
    route_all("x", &after);
    is_int(moved(&before, &after, 0, &between), 0, "%s: as before after a restart", type);
    bench_free(&bench);
    begin(type, 9);
    for (size_t i = 9; i--;)
        bench_bind(&bench, "x", queue_text(i), "3", NULL);
    route_all("x", &after);
    is_int(moved(&before, &after, 0, &between), 0, "%s: the order of bindings means nothing", type);
    bench_free(&bench);
}

TEST(routes_are_stable)
{
    is_stable("x-consistent-hash");
    is_stable("x-modulus-hash");
}

TEST(modulus_spreads_by_all_keys)
{
    static struct routes routes;
    static const char *const more[] = {"CC=Aone", "CC=Atwo", "BCC=Aone", "CC=Aone,two"};
    begin("x-modulus-hash", 7);
    for (size_t i = 0; i < 7; i++)
        bench_bind(&bench, "x", queue_text(i), "", NULL);
    route_all("x", &routes);
    for (size_t i = 0; i < 7; i++)
        ok(within(routes.counts[i], KEYS / 7.0, 0.1), "queue %zu", i);
    const struct queue *seen[4];
    for (size_t i = 0; i < 4; i++) {
        is_int(bench_publish(&bench, "x", "k", more[i], NULL, ""), 1, "one queue with %s", more[i]);
        seen[i] = bench.set.queues[0];
    }
    ok(seen[0] == seen[2] && (seen[0] != seen[1] || seen[0] != seen[3]),
       "further keys count, wherever they are");
    bench_free(&bench);
}

/* ---- x-random ---- */

TEST(chance_is_even_and_not_remembered)
{
    static struct routes routes;
    begin("x-random", 5);
    bench_exchange(&bench, "l", "x-local-random", "", NULL);
    for (size_t i = 0; i < 5; i++) {
        bench_bind(&bench, "x", queue_text(i), "k", NULL);
        bench_bind(&bench, "l", queue_text(i), "", NULL);
    }
    bench_unbind(&bench, "x", "q1", "k", NULL);
    route_all("x", &routes);
    is_int(routes.counts[1], 0, "nothing goes to what is unbound");
    for (size_t i = 0; i < 5; i++)
        ok(i == 1 || within(routes.counts[i], KEYS / 4.0, 0.1), "x-random: queue %zu", i);
    route_all("l", &routes);
    for (size_t i = 0; i < 5; i++)
        ok(within(routes.counts[i], KEYS / 5.0, 0.1), "x-local-random: queue %zu", i);
    for (int i = 0; i < 100; i++)
        bench_publish(&bench, "x", "same", NULL, NULL, "");
    ok(bench_ready(&bench, "q0") < 60 && bench_ready(&bench, "q2") < 60, "one key goes to several");
    bench_free(&bench);
}

/* ---- queues on their way out ---- */

static void passes_over(const char *type)
{
    begin(type, 2);
    struct queue *leaving = vhost_queue(bench.vhost, bytes_str("q0"));
    for (int i = 0; i < 1500; i++) {
        char key[NAME];
        snprintf(key, sizeof(key), "%d", i + 1);
        bench_bind(&bench, "x", "q0", strcmp(type, "x-local-random") ? key : "", NULL);
    }
    bench_bind(&bench, "x", "q1", strcmp(type, "x-local-random") ? "1" : "", NULL);
    queue_delete(leaving);
    size_t found = 0;
    for (int i = 0; i < 50; i++) {
        char key[NAME];
        snprintf(key, sizeof(key), "%d", i);
        found += bench_publish(&bench, "x", key, NULL, NULL, "");
    }
    is_int(found, 50, "%s: none is lost to a queue that is leaving", type);
    is_int(bench_ready(&bench, "q1"), 50, "%s: the other one has them", type);
    bench_free(&bench);
}

TEST(queues_that_leave_are_passed_over)
{
    passes_over("x-consistent-hash");
    passes_over("x-modulus-hash");
    passes_over("x-random");
    passes_over("x-local-random");
}

/* ---- x-recent-history ---- */

TEST(history_is_bounded)
{
    static char large[3 << 20];
    memset(large, 'x', sizeof(large) - 1);
    begin("x-recent-history", 2);
    bench_exchange(&bench, "y", "x-recent-history", "", "x-recent-history-length=I2000000000");
    bench_publish(&bench, "x", "", NULL, NULL, "small");
    for (int i = 0; i < 15; i++)
        bench_publish(&bench, "y", "", NULL, NULL, large);
    bench_bind(&bench, "y", "q0", "", NULL);
    is_int(bench_ready(&bench, "q0"), 10, "those that 32 MiB hold");
    bench_bind(&bench, "x", "q1", "", NULL);
    is_int(bench_ready(&bench, "q1"), 0, "the oldest went, also of another exchange");
    for (int i = 0; i < 10100; i++)
        bench_publish(&bench, "y", "", NULL, NULL, "");
    bench_unbind(&bench, "y", "q0", "", NULL);
    queue_purge(vhost_queue(bench.vhost, bytes_str("q0")));
    bench_bind(&bench, "y", "q0", "", NULL);
    is_int(bench_ready(&bench, "q0"), 10000, "ten thousand at most");
    exchange_delete(bench.vhost, bytes_str("y"), false, &bench.error);
    exchange_delete(bench.vhost, bytes_str("x"), false, &bench.error);
    is_int(bench.broker.histories_bytes, 0, "what is deleted keeps nothing");
    bench_free(&bench);
}

TEST(history_is_recorded_where_it_goes)
{
    begin("x-recent-history", 2);
    bench_publish(&bench, "x", "", NULL, NULL, "one");
    bench_publish(&bench, "x", "", NULL, NULL, "two");
    ok(binding_record_bytes(vhost_exchange(bench.vhost, bytes_str("x"))) > 0, "it takes some room");
    is_int(binding_record_bytes(bench.vhost->default_exchange), 0, "others take none");
    bench_bind(&bench, "x", "q0", "", NULL);
    is_int(bench_ready(&bench, "q0"), 2, "a new binding gets it");
    bench_restart(&bench);
    is_int(bench_ready(&bench, "q0"), 2, "which survives");
    bench_bind(&bench, "x", "q1", "", NULL);
    is_int(bench_ready(&bench, "q1"), 0, "and the history does not");
    bench_free(&bench);
}

TEST(history_that_comes_back_ends)
{
    begin("x-recent-history", 2);
    bench_exchange(&bench, "f", "fanout", "", NULL);
    bench_bind(&bench, "f", "x", "", NULL);
    bench_publish(&bench, "x", "", NULL, NULL, "one");
    bench_publish(&bench, "x", "", NULL, NULL, "two");
    bench_bind(&bench, "x", "f", "", NULL);
    bench_bind(&bench, "x", "q0", "", NULL);
    is_int(bench_ready(&bench, "q0"), 4, "both came by twice");
    bench_bind(&bench, "x", "x", "", NULL);
    is_int(bench_publish(&bench, "x", "", NULL, NULL, "three"), 1, "bound to itself it sends once");
    bench_free(&bench);
}

int main(void)
{
    RUN(weights_are_shares);
    RUN(few_keys_move_when_a_queue_comes_or_goes);
    RUN(only_what_changes_moves_whatever_the_weights);
    RUN(the_heaviest_binding_counts);
    RUN(hashes_are_for_ever);
    RUN(headers_and_properties_are_hashed);
    RUN(routes_are_stable);
    RUN(modulus_spreads_by_all_keys);
    RUN(chance_is_even_and_not_remembered);
    RUN(queues_that_leave_are_passed_over);
    RUN(history_is_bounded);
    RUN(history_is_recorded_where_it_goes);
    RUN(history_that_comes_back_ends);
    return done();
}
