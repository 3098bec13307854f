/* Topic exchanges: what matches, compared with a matcher that simply tries everything, and how much
 * work it is. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/lib/broker_bench.h"

static struct bench bench;

/* ---- the plain matcher ---- */

enum { WORDS_MAX = 40 };

struct words {
    size_t count;
    struct bytes word[WORDS_MAX];
};

static struct words split(const char *key)
{
    struct words words = {0};
    if (!*key)
        return words;
    for (const char *at = key;; at++) {
        size_t size = strcspn(at, ".");
        words.word[words.count++] = bytes_of(at, size);
        at += size;
        if (!*at)
            return words;
    }
}

static bool match_from(const struct words *pattern, size_t p, const struct words *key, size_t k)
{
    if (p == pattern->count)
        return k == key->count;
    if (bytes_equal_str(pattern->word[p], "#"))
        return match_from(pattern, p + 1, key, k) ||
               (k < key->count && match_from(pattern, p, key, k + 1));
    return k < key->count &&
           (bytes_equal_str(pattern->word[p], "*") ||
            bytes_equal(pattern->word[p], key->word[k])) &&
           match_from(pattern, p + 1, key, k + 1);
}

static bool match(const char *pattern, const char *key)
{
    struct words patterns = split(pattern), keys = split(key);
    return match_from(&patterns, 0, &keys, 0);
}

/* ---- cases ---- */

static bool routes(const char *pattern, const char *key)
{
    bench_bind(&bench, "t", "q", pattern, NULL);
    bool routed = bench_publish(&bench, "t", key, NULL, NULL, "");
    bench_unbind(&bench, "t", "q", pattern, NULL);
    return routed;
}

TEST(words_and_wildcards)
{
    static const struct {
        const char *pattern, *key;
        bool matches;
    } cases[] = {
        {"a.b.c", "a.b.c", true},     {"a.b.c", "a.b", false},     {"a.*.c", "a.b.c", true},
        {"a.*.c", "a.c", false},      {"a.*", "a.b.c", false},     {"*", "", false},
        {"*", "a", true},             {"#", "", true},             {"#", "a.b.c", true},
        {"a.#", "a", true},           {"a.#", "a.b.c", true},      {"a.#", "b.a", false},
        {"#.a", "a", true},           {"#.a", "b.c.a", true},      {"#.a", "a.b", false},
        {"a.#.b", "a.b", true},       {"a.#.b", "a.b.a", false},   {"a.#.b", "a.x.y.b", true},
        {"#.#", "", true},            {"#.#.a.#.#", "b.a.c", true}, {"*.#", "", false},
        {"#.*", "a", true},           {"#.*.#", "a.b", true},      {"*.*", "a", false},
        {"", "", true},               {"", "a", false},            {"a.", "a.", true},
        {"a.*", "a.", true},          {"a.", "a", false},          {"a..b", "a..b", true},
        {"a.*.b", "a..b", true},      {"ab*", "abc", false},       {"ab*", "ab*", true},
        {"a.b", "a.*", false},        {"*.b", "#.b", true},        {".", ".", true},
        {"*.*", ".", true},
    };
    bench_new(&bench);
    bench_exchange(&bench, "t", "topic", "", NULL);
    bench_queue(&bench, "q", "", NULL);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        is_int(routes(cases[i].pattern, cases[i].key), cases[i].matches, "'%s' and '%s'",
               cases[i].pattern, cases[i].key);
        is_int(match(cases[i].pattern, cases[i].key), cases[i].matches, "the plain matcher, too");
    }
    bench_free(&bench);
}

static void random_key(char *text, bool pattern)
{
    size_t words = random_below(&bench.random, 7);
    char *at = text;
    *at = '\0';
    for (size_t i = 0; i < words; i++) {
        const char *alphabet = pattern ? "abc*#" : "abc";
        char word = alphabet[random_below(&bench.random, pattern ? 5 : 3)];
        at += sprintf(at, i ? ".%c" : "%c", word);
    }
}

TEST(random_patterns_match_as_they_should)
{
    enum { QUEUES = 120, ROUNDS = 12, KEYS = 60 };
    char patterns[QUEUES][32], name[16], key[32];
    int wrong = 0;
    bench_new(&bench);
    bench_exchange(&bench, "t", "topic", "", NULL);
    for (int i = 0; i < QUEUES; i++) {
        snprintf(name, sizeof(name), "q%d", i);
        random_key(patterns[i], true);
        bench_queue(&bench, name, "", NULL);
        bench_bind(&bench, "t", name, patterns[i], NULL);
    }
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < KEYS; i++) {
            size_t expected = 0;
            random_key(key, false);
            for (int j = 0; j < QUEUES; j++)
                expected += match(patterns[j], key);
            wrong += bench_publish(&bench, "t", key, NULL, NULL, "") != expected;
        }
        for (int i = 0; i < QUEUES / 4; i++) {
            size_t at = random_below(&bench.random, QUEUES);
            snprintf(name, sizeof(name), "q%zu", at);
            bench_unbind(&bench, "t", name, patterns[at], NULL);
            random_key(patterns[at], true);
            bench_bind(&bench, "t", name, patterns[at], NULL);
        }
    }
    is_int(wrong, 0, "%d keys through %d changing patterns", ROUNDS * KEYS, QUEUES);
    bench_free(&bench);
}

/* Nodes looked at for one message. */
static uint64_t work_of(const char *key, size_t *queues)
{
    uint64_t before = bench.set.work;
    *queues = bench_publish(&bench, "t", key, NULL, NULL, "");
    return bench.set.work - before;
}

TEST(work_is_linear_in_the_key)
{
    char pattern[128] = "", key[160] = "";
    size_t queues;
    bench_new(&bench);
    bench_exchange(&bench, "t", "topic", "", NULL);
    bench_queue(&bench, "q", "", NULL);
    for (int i = 0; i < 12; i++)
        strcat(pattern, "#.a.");
    strcat(pattern, "#.b");
    bench_bind(&bench, "t", "q", pattern, NULL);
    uint64_t nodes = 27; /* 26 words and the root */
    for (int words = 10; words <= 60; words += 10) {
        while (strlen(key) < (size_t)(2 * words - 1))
            strcat(key, *key ? ".a" : "a");
        uint64_t work = work_of(key, &queues);
        is_int(queues, 0, "%d words do not match", words);
        ok(work <= nodes * (uint64_t)(words + 1), "at most %d looks: %d",
           (int)nodes * (words + 1), (int)work);
    }
    strcat(key, ".b");
    work_of(key, &queues);
    is_int(queues, 1, "with the right end it does");
    bench_free(&bench);
}

TEST(what_does_not_match_costs_nothing)
{
    char name[32];
    size_t queues;
    bench_new(&bench);
    bench_exchange(&bench, "t", "topic", "", NULL);
    bench_queue(&bench, "q", "", NULL);
    bench_bind(&bench, "t", "q", "stock.*.nyse", NULL);
    uint64_t alone = work_of("stock.usd.nyse", &queues);
    for (int i = 0; i < 5000; i++) {
        snprintf(name, sizeof(name), "other.%d.#", i);
        bench_bind(&bench, "t", "q", name, NULL);
    }
    is_int(work_of("stock.usd.nyse", &queues), alone, "5000 more bindings are not looked at");
    is_int(queues, 1, "the one that matches is");
    for (int i = 0; i < 5000; i++) {
        snprintf(name, sizeof(name), "other.%d.#", i);
        bench_unbind(&bench, "t", "q", name, NULL);
    }
    is_int(bench_publish(&bench, "t", "other.1.x", NULL, NULL, ""), 0, "gone again");
    is_int(bench_publish(&bench, "t", "stock.eur.nyse", NULL, NULL, ""), 1, "but for the one");
    bench_free(&bench);
}

int main(void)
{
    RUN(words_and_wildcards);
    RUN(random_patterns_match_as_they_should);
    RUN(work_is_linear_in_the_key);
    RUN(what_does_not_match_costs_nothing);
    return done();
}
