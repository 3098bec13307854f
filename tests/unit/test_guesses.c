/* Failed logins by address: counted for a second, in memory that does not grow, and found again. */
#include <stdio.h>

#include "session/guesses.h"
#include "tests/lib/tap.h"

static struct guesses guesses;

static void begin(uint64_t seed)
{
    guesses = (struct guesses){0};
    guesses_init(&guesses, seed);
}

static void fail(const char *host, unsigned times, uint64_t now_ms)
{
    for (unsigned i = 0; i < times; i++)
        guesses_failed(&guesses, bytes_str(host), now_ms);
}

static bool are_many(const char *host, uint64_t now_ms)
{
    return guesses_are_many(&guesses, bytes_str(host), 3, now_ms);
}

TEST(a_second)
{
    begin(1);
    fail("192.0.2.1", 2, 5000);
    ok(!are_many("192.0.2.1", 5000), "two of three");
    fail("192.0.2.1", 1, 5998);
    ok(are_many("192.0.2.1", 5999), "three");
    ok(!are_many("192.0.2.2", 5999), "another address has none");
    ok(!are_many("192.0.2.1", 6000), "the next second");
    fail("192.0.2.1", 3, 6000);
    ok(are_many("192.0.2.1", 6000), "and again");
    ok(!are_many("192.0.2.1", 0), "long before");
}

TEST(networks)
{
    begin(2);
    fail("2001:db8::1", 2, 100);
    fail("2001:db8:0:0:1234::", 1, 100);
    ok(are_many("2001:db8::ffff", 100), "one network of 64 bits");
    ok(!are_many("2001:db8:0:1::1", 100), "the next one");
    fail("unix", 3, 100);
    ok(are_many("unix", 100), "paths of this machine");
}

/* Of ten thousand addresses that fail once each an attacker's is not lost. */
TEST(crowd)
{
    char host[32];
    begin(3);
    fail("198.51.100.1", 3, 100);
    for (unsigned i = 0; i < 10000; i++) {
        snprintf(host, sizeof(host), "10.0.%u.%u", i / 250, i % 250);
        fail(host, 1, 100);
    }
    ok(are_many("198.51.100.1", 100), "it is still known");
    unsigned blamed = 0;
    for (unsigned i = 0; i < 10000; i++) {
        snprintf(host, sizeof(host), "10.0.%u.%u", i / 250, i % 250);
        blamed += are_many(host, 100);
    }
    is_int(blamed, 0, "nobody is blamed for others");
}

int main(void)
{
    RUN(a_second);
    RUN(networks);
    RUN(crowd);
    return done();
}
