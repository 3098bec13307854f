/* Numbers and strings on the wire, at the edges of the memory they are in. */
#include "amqp/wire.h"

#include <stdlib.h>

#include "base/utf8.h"
#include "tests/lib/tap.h"

TEST(numbers_are_big_endian)
{
    uint8_t memory[15];
    struct writer writer = writer_of(memory, sizeof(memory));
    writer_u8(&writer, 0x01);
    writer_u16(&writer, 0x0203);
    writer_u32(&writer, 0x04050607);
    writer_u64(&writer, 0x08090a0b0c0d0e0fu);
    ok(!writer.bad && writer_left(&writer) == 0, "all fits");
    is_bytes(memory, 15, "\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17", 15, "in this order");
    struct reader reader = reader_of(bytes_of(memory, sizeof(memory)));
    is_int(reader_u8(&reader), 0x01, "8 bits");
    is_int(reader_u16(&reader), 0x0203, "16 bits");
    is_int(reader_u32(&reader), 0x04050607, "32 bits");
    is_int(reader_u64(&reader), 0x08090a0b0c0d0e0f, "64 bits");
    ok(!reader.bad && reader_left(&reader) == 0, "all read");
}

TEST(a_reader_stays_bad)
{
    struct reader reader = reader_of(bytes_of("\0\1\2", 3));
    is_int(reader_u32(&reader), 0, "four bytes of three");
    ok(reader.bad, "are bad");
    is_int(reader_u8(&reader), 0, "then nothing comes");
    is_int(reader_u16(&reader), 0, "nothing");
    is_int(reader_u64(&reader), 0, "nothing");
    is_int(reader_shortstr(&reader).size, 0, "nothing");
    ok(reader.bad, "still bad");
    reader = reader_of(bytes_of(NULL, 0));
    ok(!reader.bad && reader_left(&reader) == 0, "no bytes are not bad");
    is_int(reader_bytes(&reader, 0).size, 0, "none of none");
    ok(!reader.bad, "is not bad");
    reader_u8(&reader);
    ok(reader.bad, "one of none is");
}

TEST(a_writer_stays_bad)
{
    uint8_t memory[3] = {9, 9, 9};
    struct writer writer = writer_of(memory, sizeof(memory));
    writer_u16(&writer, 0);
    writer_u32(&writer, 0);
    ok(writer.bad, "six bytes into three");
    writer_u8(&writer, 1);
    writer_u16(&writer, 1);
    writer_u64(&writer, 1);
    writer_shortstr(&writer, bytes_str(""));
    writer_longstr(&writer, bytes_str(""));
    is_bytes(memory, 3, "\0\0\11", 3, "nothing is written after that");
}

TEST(strings_that_lie)
{
    struct reader reader = reader_of(bytes_of("\3ab", 3));
    is_int(reader_shortstr(&reader).size, 0, "a short string longer than what is there");
    ok(reader.bad, "is bad");
    reader = reader_of(bytes_of("\xff\xff\xff\xff"
                                "ab",
                                6));
    is_int(reader_longstr(&reader).size, 0, "a long string of 4 GiB");
    ok(reader.bad, "is bad");
    reader = reader_of(bytes_of("\0\0\0\2ab\0", 7));
    struct bytes text = reader_table(&reader);
    is_bytes(text.data, text.size, "ab", 2, "a table's contents");
    is_int(reader_shortstr(&reader).size, 0, "an empty string");
    ok(!reader.bad, "is not bad");
}

TEST(short_strings_have_255_bytes)
{
    static uint8_t text[256], memory[300];
    struct writer writer = writer_of(memory, sizeof(memory));
    writer_shortstr(&writer, bytes_of(text, 255));
    ok(!writer.bad && writer.at == memory + 256, "255 bytes");
    writer = writer_of(memory, sizeof(memory));
    writer_shortstr(&writer, bytes_of(text, 256));
    ok(writer.bad && writer.at == memory, "not 256");
}

/* Every size around the steps of the copy, from and to memory of exactly that size. */
TEST(short_copies)
{
    bool same = true;
    for (size_t size = 0; size < 80; size++) {
        uint8_t *from = malloc(size + 1), *to = malloc(size + 1);
        for (size_t i = 0; i < size; i++)
            from[i] = (uint8_t)(i + 1);
        to[size] = 0xee;
        same = same && put_bytes(to, bytes_of(from, size)) == to + size && to[size] == 0xee &&
               memcmp(from, to, size) == 0;
        free(from);
        free(to);
    }
    ok(same, "of 0 to 79 bytes");
}

TEST(text_is_valid_as_utf8_is)
{
    bool same = true;
    for (size_t size = 0; size < 40; size++) {
        uint8_t *text = malloc(size + 1);
        memset(text, 'a', size);
        struct bytes bytes = bytes_of(text, size);
        same = same && wire_text_is_valid(bytes);
        for (size_t i = 0; i < size; i++) {
            text[i] = 0xff;
            same = same && !wire_text_is_valid(bytes);
            text[i] = 0xc3;
            same = same && !wire_text_is_valid(bytes);
            if (i + 1 < size) {
                text[i + 1] = 0xbc;
                same = same && wire_text_is_valid(bytes);
                text[i + 1] = 'a';
            }
            text[i] = 'a';
        }
        free(text);
    }
    ok(same, "with one bad byte anywhere in 0 to 39");
}

int main(void)
{
    RUN(numbers_are_big_endian);
    RUN(a_reader_stays_bad);
    RUN(a_writer_stays_bad);
    RUN(strings_that_lie);
    RUN(short_strings_have_255_bytes);
    RUN(short_copies);
    RUN(text_is_valid_as_utf8_is);
    return done();
}
