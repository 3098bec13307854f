/* Topic exchanges: what matches, compared with a matcher that simply tries each pattern, and how much
 * work it is. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/lib/broker_bench.h"

static struct bench bench;

/* ---- the plain matcher ---- */

enum { WORDS_MAX = 256 };

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

/* can[k]: the words of the pattern so far can stand for the first k of the key. */
static void match_word(struct bytes word, const struct words *key, bool *can)
{
    bool is_hash = bytes_equal_str(word, "#"), is_star = bytes_equal_str(word, "*");
    for (size_t k = 1; is_hash && k <= key->count; k++)
        can[k] |= can[k - 1];
    for (size_t k = key->count; !is_hash && k; k--)
        can[k] = can[k - 1] && (is_star || bytes_equal(word, key->word[k - 1]));
    if (!is_hash)
        can[0] = false;
}

static bool match(const char *pattern, const char *key)
{
    struct words patterns = split(pattern), keys = split(key);
    bool can[WORDS_MAX + 1] = {true};
    for (size_t p = 0; p < patterns.count; p++)
        match_word(patterns.word[p], &keys, can);
    return can[keys.count];
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

/* Nodes looked at for one message. */
static uint64_t work_of(const char *key, size_t *queues)
{
    uint64_t before = bench.set.work;
    *queues = bench_publish(&bench, "t", key, NULL, NULL, "");
    return bench.set.work - before;
}

/* A key of less than `max` words, some of them empty; a pattern has `*` and `#` as well. */
static void random_key(char *text, size_t max, bool pattern)
{
    size_t words = random_below(&bench.random, max);
    char *at = text;
    *at = '\0';
    for (size_t i = 0; i < words; i++) {
        const char *alphabet = pattern ? "aabbc-*#" : "aabbc-";
        char word = alphabet[random_below(&bench.random, pattern ? 8 : 6)];
        if (i)
            *at++ = '.';
        if (word != '-')
            *at++ = word;
        *at = '\0';
    }
}

static void compare_random(size_t words)
{
    enum { QUEUES = 120, ROUNDS = 12, KEYS = 60 };
    char patterns[QUEUES][256], name[16], key[256];
    int wrong = 0;
    bench_new(&bench);
    bench_exchange(&bench, "t", "topic", "", NULL);
    for (int i = 0; i < QUEUES; i++) {
        snprintf(name, sizeof(name), "q%d", i);
        random_key(patterns[i], words, true);
        bench_queue(&bench, name, "", NULL);
        bench_bind(&bench, "t", name, patterns[i], NULL);
    }
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < KEYS; i++) {
            size_t expected = 0;
            random_key(key, words, false);
            for (int j = 0; j < QUEUES; j++)
                expected += match(patterns[j], key);
            wrong += bench_publish(&bench, "t", key, NULL, NULL, "") != expected;
        }
        for (int i = 0; i < QUEUES / 4; i++) {
            size_t at = random_below(&bench.random, QUEUES);
            snprintf(name, sizeof(name), "q%zu", at);
            bench_unbind(&bench, "t", name, patterns[at], NULL);
            random_key(patterns[at], words, true);
            bench_bind(&bench, "t", name, patterns[at], NULL);
        }
    }
    is_int(wrong, 0, "%d keys of up to %d words through %d changing patterns", ROUNDS * KEYS,
           (int)words - 1, QUEUES);
    bench_free(&bench);
}

TEST(random_patterns_match_as_they_should)
{
    compare_random(4);
    compare_random(7);
    compare_random(20);
    compare_random(128);
}

TEST(longest_keys)
{
    char key[256], pattern[256];
    bench_new(&bench);
    bench_exchange(&bench, "t", "topic", "", NULL);
    bench_queue(&bench, "q", "", NULL);
    memset(key, '.', 255);
    key[255] = '\0';
    ok(routes(key, key), "256 empty words");
    for (size_t words = 1; words <= 128; words++) {
        for (size_t i = 0; i < words; i++)
            strcpy(key + 2 * i, i + 1 < words ? "a." : "z");
        memcpy(pattern, key, sizeof(key));
        pattern[0] = '*';
        bool star = routes(pattern, key), hash = routes("#.z", key), inner = routes("*.#.z.#", key);
        bool other = routes(words % 2 ? "a.#.*.*.z" : "#.a.a.#.a.z", key);
        if (star != match(pattern, key) || !hash || inner != match("*.#.z.#", key) ||
            other != match(words % 2 ? "a.#.*.*.z" : "#.a.a.#.a.z", key))
            ok(false, "%d words", (int)words);
    }
    ok(routes("#", key), "and every length up to 128");
    bench_free(&bench);
}

/* What stands for the same is looked at once. */
TEST(patterns_that_are_the_same_share_their_nodes)
{
    size_t queues;
    bench_new(&bench);
    bench_exchange(&bench, "t", "topic", "", NULL);
    bench_queue(&bench, "q", "", NULL);
    bench_bind(&bench, "t", "q", "*.*.#.a", NULL);
    uint64_t alone = work_of("b.c.d.a", &queues);
    static const char *const same[] = {"#.*.*.a", "*.#.*.a", "#.*.#.*.#.a", "*.*.#.#.a"};
    for (size_t i = 0; i < 4; i++)
        bench_bind(&bench, "t", "q", same[i], NULL);
    is_int(work_of("b.c.d.a", &queues), alone + 4, "four more bindings, and no more nodes");
    is_int(queues, 1, "one queue");
    bench_unbind(&bench, "t", "q", "*.*.#.a", NULL);
    for (size_t i = 0; i < 4; i++) {
        is_int(bench_publish(&bench, "t", "b.c.d.a", NULL, NULL, ""), 1, "%d are left", (int)(4 - i));
        bench_unbind(&bench, "t", "q", same[i], NULL);
    }
    is_int(bench_publish(&bench, "t", "b.c.d.a", NULL, NULL, ""), 0, "none is left");
    bench_free(&bench);
}

TEST(work_does_not_grow_with_the_key)
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
        ok(work <= 2 * nodes, "each node is looked at once: %d", (int)work);
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
    RUN(longest_keys);
    RUN(patterns_that_are_the_same_share_their_nodes);
    RUN(work_does_not_grow_with_the_key);
    RUN(what_does_not_match_costs_nothing);
    return done();
}
