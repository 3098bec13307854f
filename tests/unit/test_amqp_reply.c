/* Reply codes, and reply texts at 255 bytes. */
#include "amqp/reply.h"

#include "base/utf8.h"
#include "tests/lib/tap.h"

TEST(names_and_what_they_close)
{
    is_str(reply_name(REPLY_NOT_FOUND), "NOT_FOUND", "404");
    is_str(reply_name(312), "NO_ROUTE", "312");
    is_str(reply_name(999), "INTERNAL_ERROR", "a code that is not there");
    ok(reply_closes_connection(999), "closes the connection");
    static const uint16_t channel[] = {311, 312, 313, 403, 404, 405, 406};
    static const uint16_t connection[] = {320, 402, 501, 502, 503, 504, 505, 506, 530, 540, 541};
    for (size_t i = 0; i < sizeof(channel) / sizeof(channel[0]); i++)
        ok(!reply_closes_connection(channel[i]), "%u closes a channel", channel[i]);
    for (size_t i = 0; i < sizeof(connection) / sizeof(connection[0]); i++)
        ok(reply_closes_connection(connection[i]), "%u closes the connection", connection[i]);
}

TEST(a_text_is_name_and_detail)
{
    char text[REPLY_TEXT_MAX + 1];
    size_t size = reply_format(text, 404, "no queue '%s' in vhost '%s'", "q", "/");
    is_str(text, "NOT_FOUND - no queue 'q' in vhost '/'", "formatted");
    is_int(size, strlen(text), "with its length");
    reply_format(text, 501, "%s", "");
    is_str(text, "FRAME_ERROR - ", "without a detail");
}

/* A text of `before` letters and then the character, which may not be cut. */
static void at_the_end(size_t before, const char *character, size_t want)
{
    char detail[600], text[REPLY_TEXT_MAX + 1];
    memset(detail, 'a', sizeof(detail));
    memcpy(detail + before, character, strlen(character));
    detail[sizeof(detail) - 1] = '\0';
    size_t size = reply_format(text, 404, "%s", detail);
    ok(size == want && strlen(text) == want && utf8_is_valid(bytes_str(text)),
       "%zu letters before %zu bytes: %zu", before, strlen(character), size);
}

TEST(it_is_cut_between_characters)
{
    enum { NAME = 12 }; /* "NOT_FOUND - " */
    at_the_end(100, "a", 255);
    for (size_t before = 253 - NAME; before < 256 - NAME; before++) {
        at_the_end(before, "\xc3\xbc", before + NAME + 2 <= 255 ? 255 : before + NAME);
        at_the_end(before, "\xe2\x82\xac", before + NAME + 3 <= 255 ? 255 : before + NAME);
        at_the_end(before, "\xf0\x9f\x90\x87", before + NAME);
    }
}

TEST(what_is_not_utf8_is_replaced)
{
    char text[REPLY_TEXT_MAX + 1], detail[300];
    reply_format(text, 404, "%s",
                 "a\xff\xc3"
                 "b\xc3\xbc\xed\xa0\x80");
    is_str(text, "NOT_FOUND - a??b\xc3\xbc???", "byte by byte");
    memset(detail, 0xff, sizeof(detail));
    detail[sizeof(detail) - 1] = '\0';
    is_int(reply_format(text, 404, "%s", detail), 255, "up to the end");
    is_int(text[254], '?', "replaced as well");
}

int main(void)
{
    RUN(names_and_what_they_close);
    RUN(a_text_is_name_and_detail);
    RUN(it_is_cut_between_characters);
    RUN(what_is_not_utf8_is_replaced);
    return done();
}
