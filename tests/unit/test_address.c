/* Addresses, from text and back. */
#include "net/address.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/tap.h"

/* The port when there is none in the text. */
enum { PORT = 5672 };

static void stands_for(const char *text, const char *first, const char *second)
{
    struct endpoint endpoint;
    struct address addresses[ENDPOINT_ADDRESSES_MAX];
    char back[ADDRESS_TEXT_BYTES];
    size_t count = 0;
    const char *fault = endpoint_read(text, PORT, &endpoint);
    if (!ok(!fault, "'%s' is understood: %s", text, fault ? fault : ""))
        return;
    fault = endpoint_addresses(&endpoint, addresses, &count);
    if (!ok(!fault && count == (second ? 2 : 1), "'%s' has %zu: %s", text, count,
            fault ? fault : ""))
        return;
    address_write(&addresses[0], back);
    is_str(back, first, "it is %s", first);
    if (!second)
        return;
    address_write(&addresses[1], back);
    is_str(back, second, "and %s", second);
}

TEST(addresses)
{
    stands_for("127.0.0.1:5673", "127.0.0.1:5673", NULL);
    stands_for("127.255.0.3:0", "127.255.0.3:0", NULL);
    stands_for("0.0.0.0:65535", "0.0.0.0:65535", NULL);
    stands_for("[::1]:5673", "[::1]:5673", NULL);
    stands_for("[2001:DB8::0001]:80", "[2001:db8::1]:80", NULL);
    stands_for("[::ffff:10.0.0.1]:80", "[::ffff:10.0.0.1]:80", NULL);
}

TEST(parts_that_are_missing)
{
    stands_for("127.0.0.1", "127.0.0.1:5672", NULL);
    stands_for("[::1]", "[::1]:5672", NULL);
    stands_for("5673", "0.0.0.0:5673", "[::]:5673");
    stands_for("0", "0.0.0.0:0", "[::]:0");
    stands_for(":5673", "0.0.0.0:5673", "[::]:5673");
    stands_for("*:5673", "0.0.0.0:5673", "[::]:5673");
    stands_for("*", "0.0.0.0:5672", "[::]:5672");
    stands_for("[::]:5673", "0.0.0.0:5673", "[::]:5673");
}

TEST(names)
{
    struct endpoint endpoint;
    struct address addresses[ENDPOINT_ADDRESSES_MAX];
    size_t count = 0;
    ok(!endpoint_read("localhost:5673", PORT, &endpoint), "a name");
    is_str(endpoint.host, "localhost", "is taken");
    is_int(endpoint.port, 5673, "with its port");
    if (endpoint_addresses(&endpoint, addresses, &count))
        skip(1, "this machine does not know localhost");
    else
        ok(count > 0 && address_is_loopback(&addresses[0]), "and is this machine's own address");
    ok(!endpoint_read("3com.example:5673", PORT, &endpoint), "one that begins with a digit");
    ok(!endpoint_read("no..name", PORT, &endpoint), "one that nobody has");
    const char *fault = endpoint_addresses(&endpoint, addresses, &count);
    ok(fault && *fault, "is not found: %s", fault ? fault : "");
}

TEST(bad)
{
    static const char *const texts[] = {
        "",
        "127.0.0.1:",
        "127.0.0.1:65536",
        "127.0.0.1:x",
        "127.0.0.1:-1",
        "127.0.0.1:00001x",
        "65536",
        "::1:5672",
        "::1",
        "[127.0.0.1]:80",
        "[::1:80",
        "[::1]80",
        "[]:80",
        "1.2.3:80",
        "[:80",
        "256.0.0.1:80",
        "127.0.0.1:100000",
        ":",
        "[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]:80",
    };
    struct endpoint endpoint;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        const char *fault = endpoint_read(texts[i], PORT, &endpoint);
        ok(fault && *fault, "'%s': %s", texts[i], fault ? fault : "");
    }
    char name[ENDPOINT_HOST_BYTES + 1];
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    ok(endpoint_read(name, PORT, &endpoint) != NULL, "a name that is too long");
}

static void is_own(const char *host, bool wanted)
{
    struct endpoint endpoint = {.port = 1};
    struct address addresses[ENDPOINT_ADDRESSES_MAX];
    size_t count = 0;
    snprintf(endpoint.host, sizeof(endpoint.host), "%s", host);
    if (endpoint_addresses(&endpoint, addresses, &count))
        bail("%s is no address", host);
    is_int(address_is_loopback(&addresses[0]), wanted, "is %s this machine's own?", host);
}

TEST(loopback)
{
    is_own("127.0.0.1", true);
    is_own("127.255.0.3", true);
    is_own("128.0.0.1", false);
    is_own("::1", true);
    is_own("::", false);
    is_own("::ffff:127.0.0.1", true);
    is_own("::ffff:10.0.0.1", false);
}

TEST(this_end_of_a_socket)
{
    char text[ADDRESS_TEXT_BYTES], expected[ADDRESS_TEXT_BYTES];
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(v4);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fd, (struct sockaddr *)&v4, size) || getsockname(fd, (struct sockaddr *)&v4, &size))
        bail("no socket on the loopback");
    snprintf(expected, sizeof(expected), "127.0.0.1:%u", ntohs(v4.sin_port));
    address_write_local(fd, text);
    is_str(text, expected, "is told");
    close(fd);
    address_write_local(-1, text);
    is_str(text, "", "or nothing");
}

TEST(unix_sockets)
{
    const struct address address = {.any.sa_family = AF_UNIX};
    char text[ADDRESS_TEXT_BYTES];
    address_write(&address, text);
    is_str(text, "unix", "they have a family, and no more");
    ok(address_is_loopback(&address), "which is of this machine");
}

int main(void)
{
    RUN(addresses);
    RUN(parts_that_are_missing);
    RUN(names);
    RUN(bad);
    RUN(loopback);
    RUN(this_end_of_a_socket);
    RUN(unix_sockets);
    return done();
}
