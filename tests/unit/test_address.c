/* Addresses, from text and back. */
#include "net/address.h"

#include "tests/lib/tap.h"

static void round_trip(const char *text, const char *wanted, bool is_loopback)
{
    struct address address;
    char back[ADDRESS_TEXT_BYTES];
    if (!ok(address_read(text, &address), "%s is an address", text))
        return;
    address_write(&address, back);
    is_str(back, wanted, "written as %s", wanted);
    is_int(address_is_loopback(&address), is_loopback, "is it this machine's own?");
}

TEST(good)
{
    round_trip("127.0.0.1:5672", "127.0.0.1:5672", true);
    round_trip("127.255.0.3:0", "127.255.0.3:0", true);
    round_trip("128.0.0.1:1", "128.0.0.1:1", false);
    round_trip("0.0.0.0:65535", "0.0.0.0:65535", false);
    round_trip("[::1]:5672", "[::1]:5672", true);
    round_trip("[::]:5672", "[::]:5672", false);
    round_trip("[2001:DB8::0001]:80", "[2001:db8::1]:80", false);
    round_trip("[::ffff:127.0.0.1]:80", "[::ffff:127.0.0.1]:80", true);
    round_trip("[::ffff:10.0.0.1]:80", "[::ffff:10.0.0.1]:80", false);
}

TEST(bad)
{
    static const char *const texts[] = {
        "",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:65536",
        "127.0.0.1:x",
        ":5672",
        "127.0.0.1:-1",
        "127.0.0.1:00001x",
        "localhost:5672",
        "::1:5672",
        "[::1]",
        "[127.0.0.1]:80",
        "[::1:80",
        "[]:80",
        "1.2.3:80",
        "[:80",
        "256.0.0.1:80",
        "127.0.0.1:100000",
        "[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]:80",
    };
    struct address address;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        ok(!address_read(texts[i], &address), "'%s' is no address", texts[i]);
}

int main(void)
{
    RUN(good);
    RUN(bad);
    return done();
}
