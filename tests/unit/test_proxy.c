/* Headers of the PROXY protocol, whole, in pieces and wrong, and who is believed. */
#include "net/proxy.h"

#include <string.h>

#include "tests/lib/tap.h"

static struct proxy_header header;
static size_t taken;

/* In pieces of so many bytes, each of which lies in memory of its own size. */
static enum proxy_state in_pieces(const void *data, size_t size, size_t piece)
{
    enum proxy_state state = PROXY_READING;
    size_t part;
    header = (struct proxy_header){0};
    taken = 0;
    for (size_t at = 0; at < size && state == PROXY_READING; at += piece) {
        size_t now = size - at < piece ? size - at : piece;
        state = proxy_take(&header, bytes_of((const uint8_t *)data + at, now), &part);
        taken += part;
    }
    return state;
}

static void comes_to(const void *data, size_t size, enum proxy_state wanted, size_t all,
                     const char *source, const char *destination, const char *what)
{
    char text[ADDRESS_TEXT_BYTES];
    for (size_t piece = 1; piece <= size; piece++) {
        bool is_so = in_pieces(data, size, piece) == wanted && (wanted == PROXY_WRONG || taken == all) &&
                     (wanted != PROXY_DONE || header.names_peer == (source != NULL));
        if (!is_so) {
            ok(false, "%s, in pieces of %zu", what, piece);
            return;
        }
    }
    ok(true, "%s, in pieces of all sizes", what);
    if (!source)
        return;
    address_write(&header.source, text);
    is_str(text, source, "it is for %s", source);
    address_write(&header.destination, text);
    is_str(text, destination, "who has connected to %s", destination);
}

#define DONE(text, rest, source, destination, what)                                                \
    comes_to(text rest, sizeof(text rest) - 1, PROXY_DONE, sizeof(text) - 1, source, destination, what)
#define WRONG(text, what)                                                                          \
    comes_to(text, sizeof(text) - 1, PROXY_WRONG, 0, NULL, NULL, what)
#define READING(text, what)                                                                        \
    comes_to(text, sizeof(text) - 1, PROXY_READING, sizeof(text) - 1, NULL, NULL, what)

TEST(lines)
{
    DONE("PROXY TCP4 192.0.2.1 198.51.100.7 40112 5672\r\n", "AMQP\0\0\x09\x01", "192.0.2.1:40112",
         "198.51.100.7:5672", "IPv4");
    DONE("PROXY TCP6 2001:db8::1 ::1 65535 0\r\n", "\r\n", "[2001:db8::1]:65535", "[::1]:0", "IPv6");
    DONE("PROXY UNKNOWN\r\n", "AMQP", NULL, NULL, "nobody knows");
    DONE("PROXY UNKNOWN ffff::1 x 7 8 9\r\n", "", NULL, NULL, "whatever is said besides");
    READING("PROXY TCP4 192.0.2.1 198.51.100.7 40112 5672\r", "without its end");
    READING("P", "its beginning");
}

TEST(wrong_lines)
{
    char line[200];
    WRONG("AMQP\0\0\x09\x01", "a client itself");
    WRONG("\x16\x03\x01", "TLS");
    WRONG("PROXIES", "another word");
    WRONG("PROXY TCP4 192.0.2.1 198.51.100.7 40112 5672\n", "an end without CR");
    WRONG("PROXY TCP4 192.0.2.1 198.51.100.7 40112 5672\r\r\n", "with two");
    WRONG("PROXY TCP4 192.0.2.1 198.51.100.7 40112\r\n", "a port is missing");
    WRONG("PROXY TCP4 192.0.2.1 198.51.100.7 40112 5672 1\r\n", "something is behind them");
    WRONG("PROXY TCP4 192.0.2.1 198.51.100.7 40112 65536\r\n", "a port that is none");
    WRONG("PROXY TCP4 192.0.2.1 198.51.100.7 -1 5672\r\n", "another one");
    WRONG("PROXY TCP4 192.0.2.256 198.51.100.7 1 5672\r\n", "an address that is none");
    WRONG("PROXY TCP4 ::1 ::1 1 5672\r\n", "one of another family");
    WRONG("PROXY TCP6 127.0.0.1 ::1 1 5672\r\n", "or the other way round");
    WRONG("PROXY TCP4  192.0.2.1 198.51.100.7 1 2\r\n", "two spaces");
    WRONG("PROXY UDP4 192.0.2.1 198.51.100.7 1 2\r\n", "no connection");
    WRONG("PROXY \r\n", "nothing");
    WRONG("PROXY TCP4 192.0.2.1\0 198.51.100.7 1 2\r\n", "a byte 0");
    memset(line, 'x', sizeof(line));
    memcpy(line, "PROXY UNKNOWN ", 14);
    memcpy(line + 105, "\r\n", 2);
    comes_to(line, 107, PROXY_DONE, 107, NULL, NULL, "the longest line");
    memcpy(line + 105, "xx\r\n", 4);
    comes_to(line, 109, PROXY_WRONG, 0, NULL, NULL, "one that is longer");
}

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V4 "\xC0\0\2\1\xC6\x33\x64\7\x9C\xB0\x16\x28"
#define V6 "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\xff\xff\0\0"

TEST(binary)
{
    DONE(SIGNATURE "\x21\x11\0\x0c" V4, "AMQP", "192.0.2.1:40112", "198.51.100.7:5672", "IPv4");
    DONE(SIGNATURE "\x21\x21\0\x24" V6, "", "[2001:db8::1]:65535", "[::1]:0", "IPv6");
    DONE(SIGNATURE "\x21\x11\0\x13" V4 "\4\0\4more", "AMQP", "192.0.2.1:40112", "198.51.100.7:5672",
         "with more behind the addresses");
    DONE(SIGNATURE "\x20\0\0\0", "AMQP", NULL, NULL, "the proxy itself");
    DONE(SIGNATURE "\x20\x11\0\x0c" V4, "AMQP", NULL, NULL, "whatever addresses it sends");
    DONE(SIGNATURE "\x21\0\0\3abc", "AMQP", NULL, NULL, "who has no address");
    DONE(SIGNATURE "\x21\x31\0\1x", "AMQP", NULL, NULL, "a Unix socket");
    READING(SIGNATURE "\x21\x11\0\x0d" V4, "not all has come");
    READING(SIGNATURE "\x21\x11\xff\xff" V4, "nor all of 64 KiB");
    WRONG(SIGNATURE "\x11\x11\0\x0c" V4, "version 1");
    WRONG(SIGNATURE "\x22\x11\0\x0c" V4, "another command");
    WRONG(SIGNATURE "\x21\x12\0\x0c" V4, "no connection");
    WRONG(SIGNATURE "\x21\x11\0\x0b" V4, "addresses that are too short");
    WRONG("\r\n\r\n\0\r\nQUIX\n", "another signature");
}

TEST(what_follows_is_passed_over_without_being_kept)
{
    static uint8_t all[16 + 65535 + 4] = SIGNATURE "\x21\x11\xff\xff" V4;
    for (size_t piece = 1; piece < 70000; piece = piece * 3 + 1)
        ok(in_pieces(all, sizeof(all), piece) == PROXY_DONE && taken == sizeof(all) - 4 &&
               header.names_peer,
           "64 KiB, in pieces of %zu", piece);
}

static bool is_within(const char *text, const char *host)
{
    struct address_range range;
    struct endpoint endpoint;
    struct address address[ENDPOINT_ADDRESSES_MAX];
    size_t count;
    return address_range_read(text, &range) && !endpoint_read(host, 1, &endpoint) &&
           !endpoint_addresses(&endpoint, address, &count) && address_is_within(address, &range);
}

TEST(ranges)
{
    struct address_range range;
    char text[ADDRESS_TEXT_BYTES];
    ok(is_within("192.0.2.0/24", "192.0.2.255"), "within");
    ok(!is_within("192.0.2.0/24", "192.0.3.0"), "and behind");
    ok(is_within("192.0.2.128/25", "192.0.2.129") && !is_within("192.0.2.128/25", "192.0.2.127"),
       "bits within a byte");
    ok(is_within("192.0.2.1", "192.0.2.1") && !is_within("192.0.2.1", "192.0.2.2"), "one alone");
    ok(is_within("0.0.0.0/0", "203.0.113.9") && !is_within("0.0.0.0/0", "[::1]"), "all of a family");
    ok(is_within("2001:db8::/33", "[2001:db8::ffff]") && !is_within("2001:db8::/33", "[2001:db8:8000::]"),
       "IPv6");
    static const char *const none[] = {"", "x", "192.0.2.0/", "192.0.2.0/33", "192.0.2.1/24", "::/129",
                                       "192.0.2.0/2x", "192.0.2.0/24/8", "192.0.2/24",
                                       "1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111/8"};
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        ok(!address_range_read(none[i], &range), "'%s' is none", none[i]);
    address_range_read("2001:DB8::/32", &range);
    address_range_write(&range, text);
    is_str(text, "2001:db8::/32", "written");
    address_range_read("192.0.2.1/32", &range);
    address_range_write(&range, text);
    is_str(text, "192.0.2.1", "one alone, too");
}

TEST(trust)
{
    struct proxy_trust trust = {0};
    struct address peer = {0}, local = {.any.sa_family = AF_UNIX};
    peer.v4.sin_family = AF_INET;
    peer.v4.sin_addr.s_addr = htonl(0xC0000201);
    ok(proxy_is_trusted(&trust, &peer) && proxy_is_trusted(&trust, &local), "everybody is, by itself");
    address_range_read("198.51.100.0/24", &trust.at[trust.count++]);
    ok(!proxy_is_trusted(&trust, &peer) && !proxy_is_trusted(&trust, &local), "not who is not listed");
    address_range_read("192.0.2.0/24", &trust.at[trust.count++]);
    ok(proxy_is_trusted(&trust, &peer), "but who is");
}

int main(void)
{
    RUN(lines);
    RUN(wrong_lines);
    RUN(binary);
    RUN(what_follows_is_passed_over_without_being_kept);
    RUN(ranges);
    RUN(trust);
    return done();
}
