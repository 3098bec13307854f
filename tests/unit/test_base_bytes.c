/* Borrowed runs of bytes: equality, order, prefixes. */
#include "base/bytes.h"

#include <stdio.h>

#include "tests/lib/tap.h"

TEST(equality)
{
    struct bytes none = bytes_of(NULL, 0);
    ok(bytes_equal(none, none), "two empty runs without memory");
    ok(bytes_equal(none, bytes_str("")), "an empty string is an empty run");
    ok(bytes_equal(bytes_of("a\0b", 3), bytes_of("a\0b", 3)), "a zero byte is a byte");
    ok(!bytes_equal(bytes_of("a\0b", 3), bytes_of("a\0c", 3)), "what follows a zero byte counts");
    ok(!bytes_equal(bytes_str("ab"), bytes_str("abc")), "sizes differ");
    ok(bytes_equal_str(bytes_of("queue", 5), "queue"), "equal to a C string");
    ok(!bytes_equal_str(bytes_of("queue\0", 6), "queue"), "a zero byte at the end is one too many");
}

/* Wherever they differ, and whatever their size. */
TEST(names)
{
    enum { SIZE_MAX_TRIED = 24 };
    char a[SIZE_MAX_TRIED], b[SIZE_MAX_TRIED];
    unsigned wrong = 0;
    for (size_t size = 0; size <= SIZE_MAX_TRIED; size++) {
        for (size_t i = 0; i < size; i++)
            a[i] = b[i] = (char)('a' + i);
        wrong += !bytes_equal_names(bytes_of(a, size), bytes_of(b, size));
        for (size_t i = 0; i < size; i++) {
            b[i] ^= 1;
            wrong += bytes_equal_names(bytes_of(a, size), bytes_of(b, size));
            b[i] ^= 1;
            wrong += bytes_equal_names(bytes_of(a, size), bytes_of(b, i));
        }
    }
    is_int(wrong, 0, "equal only where sizes and all bytes are");
    ok(bytes_equal_names(bytes_of(NULL, 0), bytes_str("")), "two empty runs");
}

TEST(prefixes)
{
    ok(bytes_start_with(bytes_str("amq.gen-x"), "amq."), "begins so");
    ok(bytes_start_with(bytes_str("amq."), "amq."), "is so");
    ok(!bytes_start_with(bytes_str("amq"), "amq."), "is too short");
    ok(bytes_start_with(bytes_str("x"), ""), "the empty prefix");
    ok(!bytes_start_with(bytes_str("Amq.x"), "amq."), "case counts");
}

TEST(order)
{
    ok(bytes_compare(bytes_str("a"), bytes_str("b")) < 0, "a < b");
    ok(bytes_compare(bytes_str("b"), bytes_str("a")) > 0, "b > a");
    ok(bytes_compare(bytes_str("a"), bytes_str("a")) == 0, "a = a");
    ok(bytes_compare(bytes_str("a"), bytes_str("ab")) < 0, "what it begins comes later");
    ok(bytes_compare(bytes_of(NULL, 0), bytes_str("")) == 0, "two empty runs");
    ok(bytes_compare(bytes_of(NULL, 0), bytes_str("a")) < 0, "nothing comes first");
    ok(bytes_compare(bytes_str("\xff"), bytes_str("a")) > 0, "bytes are unsigned");
}

TEST(printing)
{
    char text[32];
    snprintf(text, sizeof(text), "'%.*s'", BYTES_ARG(bytes_of("queue and more", 5)));
    is_str(text, "'queue'", "BYTES_ARG prints so many bytes");
    snprintf(text, sizeof(text), "'%.*s'", BYTES_ARG(bytes_of(NULL, 0)));
    is_str(text, "''", "and nothing for nothing");
}

int main(void)
{
    RUN(equality);
    RUN(names);
    RUN(prefixes);
    RUN(order);
    RUN(printing);
    return done();
}
