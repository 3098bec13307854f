/* Bytes that grow, and the cursor that reads numbers back. */
#include "base/buffer.h"

#include "base/mem.h"
#include "base/random.h"
#include "tests/lib/tap.h"

TEST(an_empty_buffer_holds_nothing)
{
    struct buffer buffer = {0};
    is_int(buffer_bytes(&buffer).size, 0, "no bytes");
    buffer_add(&buffer, NULL, 0);
    ok(buffer.data == NULL, "adding nothing takes no memory");
    buffer_free(&buffer);
    buffer_add(&buffer, "x", 1);
    is_bytes(buffer.data, buffer.size, "x", 1, "it can be used after it was freed");
    buffer_free(&buffer);
    is_int(buffer.capacity, 0, "and freed again");
}

TEST(adding_and_dropping_as_a_plain_array_does)
{
    struct random random;
    random_init(&random, 7);
    struct buffer buffer = {0};
    static uint8_t model[100000];
    size_t size = 0;
    bool same = true;
    for (int i = 0; i < 2000; i++) {
        uint8_t part[200];
        size_t part_size = random_below(&random, sizeof(part));
        for (size_t k = 0; k < part_size; k++)
            part[k] = (uint8_t)random_next(&random);
        if (random_below(&random, 2) && size + part_size < sizeof(model)) {
            buffer_add(&buffer, part, part_size);
            if (part_size)
                memcpy(model + size, part, part_size);
            size += part_size;
        } else if (part_size <= size) {
            buffer_drop(&buffer, part_size);
            memmove(model, model + part_size, size - part_size);
            size -= part_size;
        }
        same = same && bytes_equal(buffer_bytes(&buffer), bytes_of(model, size));
    }
    ok(same, "2,000 steps agree");
    buffer_free(&buffer);
}

TEST(room_counts_when_it_is_added)
{
    struct buffer buffer = {0};
    uint8_t *room = buffer_room(&buffer, 1000);
    memset(room, 'a', 1000);
    is_int(buffer.size, 0, "not before");
    buffer_added(&buffer, 3);
    is_bytes(buffer.data, buffer.size, "aaa", 3, "and only so much");
    buffer_free(&buffer);
}

TEST(numbers_are_little_endian_and_come_back)
{
    struct buffer buffer = {0};
    buffer_add_u8(&buffer, 0x01);
    buffer_add_u16(&buffer, 0x0302);
    buffer_add_u32(&buffer, 0x07060504);
    buffer_add_u64(&buffer, 0x0f0e0d0c0b0a0908u);
    is_bytes(buffer.data, buffer.size, "\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17", 15, "on the disk");
    struct cursor cursor = cursor_of(buffer_bytes(&buffer));
    is_int(cursor_u8(&cursor), 0x01, "8 bits");
    is_int(cursor_u16(&cursor), 0x0302, "16 bits");
    is_int(cursor_u32(&cursor), 0x07060504, "32 bits");
    is_int(cursor_u64(&cursor), 0x0f0e0d0c0b0a0908, "64 bits");
    ok(!cursor.bad && cursor_left(&cursor) == 0, "all read");
    is_int(cursor_u8(&cursor), 0, "past the end is 0");
    ok(cursor.bad, "and bad");
    buffer_free(&buffer);
}

TEST(varints_come_back)
{
    struct buffer buffer = {0};
    bool same = true;
    for (unsigned bits = 0; bits <= 64; bits++)
        for (int less = 0; less < 2; less++) {
            uint64_t value = (bits < 64 ? (uint64_t)1 << bits : 0) - (uint64_t)less;
            buffer_drop(&buffer, buffer.size);
            buffer_add_varint(&buffer, value);
            struct cursor cursor = cursor_of(buffer_bytes(&buffer));
            same = same && cursor_varint(&cursor) == value && !cursor.bad &&
                   cursor_left(&cursor) == 0 && buffer.size <= 10;
            for (size_t cut = 0; cut < buffer.size; cut++) {
                cursor = cursor_of(bytes_of(buffer.data, cut));
                same = same && cursor_varint(&cursor) == 0 && cursor.bad;
            }
        }
    ok(same, "at every power of two, and cut short they are bad");
    buffer_free(&buffer);

    struct cursor cursor = cursor_of(bytes_of("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11));
    is_int(cursor_varint(&cursor), 0, "more than ten bytes");
    ok(cursor.bad, "are bad");
}

TEST(zigzags_come_back)
{
    static const int64_t values[] = {0, -1, 1, -2, 2, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        ok(i > 4 || zigzag(values[i]) == i, "%lld is near 0", (long long)values[i]);
        is_int(unzigzag(zigzag(values[i])), values[i], "as it was");
    }
}

TEST(a_cursor_stays_bad)
{
    struct cursor cursor = cursor_of(bytes_of("abc", 3));
    struct bytes two = cursor_bytes(&cursor, 2);
    is_bytes(two.data, two.size, "ab", 2, "two bytes, borrowed");
    is_int(cursor_u32(&cursor), 0, "four are not there");
    ok(cursor.bad, "which is bad");
    is_int(cursor_u8(&cursor), 0, "the one that is there does not come any more");
    is_int(cursor_bytes(&cursor, 1).size, 0, "in no way");
    cursor = cursor_of(bytes_of("a", 1));
    is_int(cursor_bytes(&cursor, SIZE_MAX).size, 0, "a size that would overflow");
    ok(cursor.bad, "is bad");
}

int main(void)
{
    RUN(an_empty_buffer_holds_nothing);
    RUN(adding_and_dropping_as_a_plain_array_does);
    RUN(room_counts_when_it_is_added);
    RUN(numbers_are_little_endian_and_come_back);
    RUN(varints_come_back);
    RUN(zigzags_come_back);
    RUN(a_cursor_stays_bad);
    return done();
}
