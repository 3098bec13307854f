/* Field tables: what is well-formed, what is found, what is equal, how it is printed and built. */
#include "amqp/table.h"

#include <stdlib.h>

#include "tests/lib/tap.h"
#include "tests/lib/amqp_more.h"

/* One item of every type, by hand. */
static const uint8_t every_type[] = "\1at\1"
                                    "\1bb\xff"
                                    "\1cB\xff"
                                    "\1ds\xff\xfe"
                                    "\1eu\xff\xfe"
                                    "\1fI\xff\xff\xff\xfd"
                                    "\1gi\xff\xff\xff\xfd"
                                    "\1hl\xff\xff\xff\xff\xff\xff\xff\xfc"
                                    "\1iL\xff\xff\xff\xff\xff\xff\xff\xfc"
                                    "\1jf\x3f\xc0\0\0"
                                    "\1kd\x40\x04\0\0\0\0\0\0"
                                    "\1lD\2\0\0\x30\x39"
                                    "\1mS\0\0\0\3abc"
                                    "\1nx\0\0\0\2\0\xff"
                                    "\1oT\0\0\0\0\x5f\0\0\0"
                                    "\1pF\0\0\0\4\1xt\0"
                                    "\1qA\0\0\0\3t\1V"
                                    "\1rV";

static struct bytes table_of_every_type(void)
{
    return bytes_of(every_type, sizeof(every_type) - 1);
}

/* Checks a copy of exactly that size. */
static bool check(const void *data, size_t size)
{
    uint8_t *copy = malloc(size + 1);
    if (size)
        memcpy(copy, data, size);
    bool good = table_check(bytes_of(copy, size));
    free(copy);
    return good;
}

static struct field find(struct bytes table, const char *name)
{
    struct field field;
    if (!table_find(table, bytes_str(name), &field))
        return (struct field){.type = 0};
    return field;
}

TEST(every_type_is_read)
{
    struct bytes table = table_of_every_type();
    ok(check(table.data, table.size), "well-formed");
    ok(find(table, "a").value.boolean, "t");
    is_int(find(table, "b").value.integer, -1, "b is signed");
    is_int(find(table, "c").value.integer, 255, "B is not");
    is_int(find(table, "d").value.integer, -2, "s is a number, and signed");
    is_int(find(table, "e").value.integer, 65534, "u is not");
    is_int(find(table, "f").value.integer, -3, "I is signed");
    is_int(find(table, "g").value.integer, 4294967293, "i is not");
    is_int(find(table, "h").value.integer, -4, "l is signed");
    is_int(find(table, "i").value.integer, -4, "L as well");
    is_int((int64_t)(find(table, "j").value.number * 10), 15, "f");
    is_int((int64_t)(find(table, "k").value.number * 10), 25, "d");
    is_int(find(table, "l").value.decimal.scale, 2, "D: its scale");
    is_int(find(table, "l").value.decimal.digits, 12345, "and digits");
    ok(bytes_equal_str(find(table, "m").value.bytes, "abc"), "S");
    is_int(find(table, "n").value.bytes.size, 2, "x");
    is_int(find(table, "o").value.timestamp, 0x5f000000, "T");
    is_int(find(table, "p").value.bytes.size, 4, "F");
    is_int(find(table, "q").value.bytes.size, 3, "A");
    is_int(find(table, "r").type, 'V', "V");
    is_int(find(table, "r").raw.size, 0, "has no value");
    is_int(find(table, "s").type, 0, "what is not there is not found");
}

TEST(truncations)
{
    struct bytes table = table_of_every_type();
    size_t good = 0;
    struct reader walk = reader_of(table);
    struct field field;
    bool ends[sizeof(every_type)] = {true};
    while (table_next(&walk, &field))
        ends[walk.at - every_type] = true;
    for (size_t size = 0; size <= table.size; size++)
        good += check(table.data, size) == ends[size];
    is_int(good, table.size + 1, "only whole items are well-formed");
}

TEST(unknown_types)
{
    int known = 0;
    for (int type = 0; type < 256; type++) {
        uint8_t item[] = {1, 'a', (uint8_t)type, 0, 0, 0, 0, 0, 0, 0, 0};
        bool any = false;
        for (size_t size = 3; size <= sizeof(item); size++)
            any = any || check(item, size);
        known += any;
        if (any != (type && strchr("tbBsuIilLfdDSxTFAV", type)))
            ok(false, "type %d", type);
    }
    is_int(known, 18, "there are 18 known ones");
}

TEST(numbers_that_are_not_finite)
{
    ok(!check("\1ad\x7f\xf0\0\0\0\0\0\0", 11), "double infinity");
    ok(!check("\1ad\x7f\xf8\0\0\0\0\0\0", 11), "double NaN");
    ok(!check("\1af\xff\x80\0\0", 7), "float minus infinity");
    ok(check("\1ad\x7f\xef\xff\xff\xff\xff\xff\xff", 11), "the largest double is fine");
}

TEST(lengths_that_lie)
{
    ok(!check("\1aS\xff\xff\xff\xff", 7), "a string of 4 GiB");
    ok(!check("\1aF\0\0\0\5\1bt\1", 11), "a table longer than the one around it");
    ok(!check("\1aF\0\0\0\3\1bt\1", 11), "an item across the end of its table");
    ok(!check("\1aA\0\0\0\2It", 9), "an item across the end of its array");
    ok(!check("\5at\1", 4), "a name across the end");
    ok(check("", 0), "nothing is a table");
    ok(check("\0t\1\0V", 5), "empty names are names");
}

/* Tables or arrays in one another, `depth` of them, in malloced memory. */
static uint8_t *nested(size_t depth, char type, size_t *size)
{
    size_t each = type == 'F' ? 6 : 5;
    *size = (depth - 1) * each + (type == 'A');
    uint8_t *data = malloc(*size + 1);
    struct writer writer = writer_of(data, *size);
    for (size_t i = 1; i < depth; i++) {
        if (type == 'F' || i == 1)
            writer_u8(&writer, 0);
        writer_u8(&writer, (uint8_t)type);
        writer_u32(&writer, (uint32_t)(writer_left(&writer) - 4));
    }
    return data;
}

static bool depth_is_good(size_t depth, char type)
{
    size_t size;
    uint8_t *data = nested(depth, type, &size);
    bool good = check(data, size);
    free(data);
    return good;
}

TEST(depth)
{
    ok(depth_is_good(2, 'F') && depth_is_good(2, 'A'), "2");
    ok(depth_is_good(TABLE_DEPTH_MAX, 'F'), "100 tables");
    ok(!depth_is_good(TABLE_DEPTH_MAX + 1, 'F'), "not 101");
    ok(depth_is_good(TABLE_DEPTH_MAX, 'A'), "99 arrays in a table");
    ok(!depth_is_good(TABLE_DEPTH_MAX + 1, 'A'), "not 100");
    ok(!depth_is_good(20000, 'F'), "nor as deep as a large frame can hold");
}

TEST(number_of_items)
{
    static uint8_t items[2 * (TABLE_ITEMS_MAX + 1)];
    for (size_t i = 0; i < sizeof(items); i += 2)
        items[i + 1] = 'V';
    ok(check(items, sizeof(items) - 2), "65,535");
    ok(!check(items, sizeof(items)), "not one more");
}

TEST(the_first_of_a_name_counts)
{
    struct bytes table = bytes_of("\1aI\0\0\0\1\1aI\0\0\0\2\1bt\1", 18);
    int64_t value = 0;
    ok(table_find_integer(table, "a", &value) && value == 1, "found");
    struct reader walk = reader_of(table);
    struct field field;
    int count = 0;
    while (table_next(&walk, &field))
        count++;
    is_int(count, 3, "walking meets all");
    ok(!walk.bad, "to the end");
}

TEST(typed_finds)
{
    struct bytes table = table_of_every_type(), bytes;
    int64_t integer = 0;
    bool boolean = false;
    ok(table_find_string(table, "m", &bytes) && bytes_equal_str(bytes, "abc"), "a string");
    ok(!table_find_string(table, "n", &bytes), "binary is no string");
    ok(!table_find_string(table, "nope", &bytes), "nor is nothing");
    for (const char *name = "bcdefghi"; *name; name++)
        ok(table_find_integer(table, (char[]){*name, 0}, &integer), "%c is an integer", *name);
    for (const char *name = "ajklmopqr"; *name; name++)
        ok(!table_find_integer(table, (char[]){*name, 0}, &integer), "%c is none", *name);
    ok(table_find_bool(table, "a", &boolean) && boolean, "a bool");
    ok(!table_find_bool(table, "b", &boolean), "a byte is no bool");
    ok(table_find_table(table, "p", &bytes) && table_find_bool(bytes, "x", &boolean) && !boolean,
       "a table, and what is in it");
    ok(!table_find_table(table, "q", &bytes), "an array is no table");
    ok(table_find_array(table, "q", &bytes), "an array");
    ok(!table_find_array(table, "p", &bytes), "a table is no array");
    struct reader walk = reader_of(bytes);
    struct field field;
    ok(array_next(&walk, &field) && field.type == 't' && field.name.size == 0, "its first item");
    ok(array_next(&walk, &field) && field.type == 'V', "its second");
    ok(!array_next(&walk, &field) && !walk.bad, "and its end");
}

static bool equal(const char *a, size_t a_size, const char *b, size_t b_size)
{
    struct field field_a, field_b;
    struct reader walk_a = reader_of(bytes_of(a, a_size)), walk_b = reader_of(bytes_of(b, b_size));
    if (!array_next(&walk_a, &field_a) || !array_next(&walk_b, &field_b))
        return ok(false, "values can be read");
    bool same = field_equal(&field_a, &field_b);
    if (field_equal(&field_b, &field_a) != same || !field_equal(&field_a, &field_a))
        ok(false, "equality goes both ways");
    return same;
}

#define EQUAL(a, b) equal(a, sizeof(a) - 1, b, sizeof(b) - 1)

TEST(equivalence)
{
    ok(EQUAL("b\5", "l\0\0\0\0\0\0\0\5"), "integers of all widths, by value");
    ok(EQUAL("B\xff", "s\0\xff"), "unsigned and signed");
    ok(!EQUAL("b\xff", "B\xff"), "-1 is not 255");
    ok(EQUAL("l\0\0\0\0\0\0\0\5", "L\0\0\0\0\0\0\0\5"), "l and L");
    ok(EQUAL("f\x3f\xc0\0\0", "d\x3f\xf8\0\0\0\0\0\0"), "float and double");
    ok(EQUAL("d\x80\0\0\0\0\0\0\0", "d\0\0\0\0\0\0\0\0"), "-0.0 and 0.0");
    ok(!EQUAL("f\x3f\x80\0\0", "b\1"), "1.0 is not 1");
    ok(!EQUAL("D\0\0\0\0\1", "b\1"), "a decimal is no integer");
    ok(EQUAL("D\0\0\0\0\1", "D\0\0\0\0\1"), "but equal to itself");
    ok(!EQUAL("D\1\0\0\0\1", "D\0\0\0\0\1"), "and not to one of another scale");
    ok(EQUAL("t\1", "t\7"), "all that is true is true");
    ok(!EQUAL("t\1", "b\1"), "true is not 1");
    ok(EQUAL("S\0\0\0\1a", "S\0\0\0\1a"), "strings");
    ok(!EQUAL("S\0\0\0\1a", "x\0\0\0\1a"), "binary is no string");
    ok(!EQUAL("T\0\0\0\0\0\0\0\1", "l\0\0\0\0\0\0\0\1"), "a timestamp is no integer");
    ok(EQUAL("V", "V"), "nothing");
    ok(!EQUAL("V", "t\0"), "is not false");
}

/* The same for a headers exchange. */
static bool same(const char *a, size_t a_size, const char *b, size_t b_size)
{
    struct field field_a, field_b;
    struct reader walk_a = reader_of(bytes_of(a, a_size)), walk_b = reader_of(bytes_of(b, b_size));
    if (!array_next(&walk_a, &field_a) || !array_next(&walk_b, &field_b))
        return ok(false, "values can be read");
    bool is_same = field_same_value(&field_a, &field_b);
    if (field_same_value(&field_b, &field_a) != is_same || !field_same_value(&field_a, &field_a))
        ok(false, "sameness goes both ways");
    uint64_t hash_a = 0, hash_b = 0;
    if (is_same && (field_hash_value(&field_a, 5, &hash_a) != field_hash_value(&field_b, 5, &hash_b) ||
                    hash_a != hash_b))
        ok(false, "what is the same has the same hash");
    return is_same;
}

#define SAME(a, b) same(a, sizeof(a) - 1, b, sizeof(b) - 1)

TEST(same_value)
{
    ok(SAME("b\5", "l\0\0\0\0\0\0\0\5"), "integers of all widths");
    ok(!SAME("b\xff", "B\xff"), "-1 is not 255");
    ok(SAME("f\x3f\x80\0\0", "b\1"), "1.0 is 1");
    ok(SAME("d\xbf\xf0\0\0\0\0\0\0", "b\xff"), "-1.0 is -1");
    ok(!SAME("f\x3f\xc0\0\0", "b\1"), "1.5 is not 1");
    ok(SAME("d\x80\0\0\0\0\0\0\0", "b\0"), "-0.0 is 0");
    ok(!SAME("d\x43\x40\0\0\0\0\0\0", "l\0\x20\0\0\0\0\0\1"), "2^53 is not 2^53 + 1");
    ok(SAME("d\xc3\xe0\0\0\0\0\0\0", "l\x80\0\0\0\0\0\0\0"), "-2^63");
    ok(!SAME("d\x43\xf0\0\0\0\0\0\0", "T\xff\xff\xff\xff\xff\xff\xff\xff"), "2^64 is not one less");
    ok(SAME("d\x7f\xe0\0\0\0\0\0\0", "d\x7f\xe0\0\0\0\0\0\0"), "numbers beyond 64 bits");
    ok(SAME("T\0\0\0\0\0\0\0\1", "b\1"), "a time is a number");
    ok(!SAME("T\xff\xff\xff\xff\xff\xff\xff\xff", "b\xff"), "but never negative");
    ok(SAME("S\0\0\0\1a", "x\0\0\0\1a"), "text and bytes");
    ok(!SAME("S\0\0\0\0011", "b\1"), "text is no number");
    ok(!SAME("t\1", "b\1"), "true is not 1");
    ok(!SAME("D\0\0\0\0\1", "b\1"), "a decimal is no integer");
    ok(!SAME("V", "t\0"), "nothing is not false");
    ok(SAME("F\0\0\0\0", "A\0\0\0\0"), "a table and an array, both empty");
    ok(!SAME("A\0\0\0\2b\1", "A\0\0\0\3s\0\1"), "inside of them types count");
}

TEST(equivalence_inside_tables)
{
    ok(EQUAL("A\0\0\0\2t\1", "A\0\0\0\2t\2"), "true is true");
    ok(EQUAL("A\0\0\0\11l\0\0\0\0\0\0\0\1", "A\0\0\0\11L\0\0\0\0\0\0\0\1"), "l is L");
    ok(!EQUAL("A\0\0\0\2b\1", "A\0\0\0\2B\1"), "but other types are not each other");
    ok(!EQUAL("A\0\0\0\2b\1", "A\0\0\0\3s\0\1"), "nor widths");
    ok(EQUAL("F\0\0\0\4\1at\1", "F\0\0\0\4\1at\5"), "in a table");
    ok(!EQUAL("F\0\0\0\4\1at\1", "F\0\0\0\4\1bt\1"), "names count");
    ok(!EQUAL("F\0\0\0\4\1at\1", "F\0\0\0\4\1at\0"), "values count");
    ok(!EQUAL("A\0\0\0\4t\1t\1", "A\0\0\0\2t\1"), "so does the number of items");
    ok(EQUAL("A\0\0\0\7F\0\0\0\2\0V", "A\0\0\0\7F\0\0\0\2\0V"), "tables in arrays");
    ok(EQUAL("A\0\0\0\7A\0\0\0\2t\1", "A\0\0\0\7A\0\0\0\2t\3"), "arrays in arrays");
    ok(!EQUAL("A\0\0\0\5A\0\0\0\0", "F\0\0\0\5\0V\0V\0"), "an array is no table");
}

static void prints(const char *raw, size_t size, const char *want)
{
    struct reader walk = reader_of(bytes_of(raw, size));
    struct field field;
    struct buffer out = {0};
    if (!ok(array_next(&walk, &field), "a value of type %c", raw[0]))
        return;
    field_print(&out, &field);
    is_bytes(out.data, out.size, want, strlen(want), "%s", want);
    buffer_free(&out);
}

#define PRINTS(raw, want) prints(raw, sizeof(raw) - 1, want)

TEST(printing)
{
    PRINTS("l\0\0\0\0\0\0\0\12", "the value '10' of type 'long'");
    PRINTS("L\0\0\0\0\0\0\0\12", "the value '10' of type 'long'");
    PRINTS("I\xff\xff\xff\xff", "the value '-1' of type 'signedint'");
    PRINTS("i\xff\xff\xff\xff", "the value '4294967295' of type 'unsignedint'");
    PRINTS("s\0\1", "the value '1' of type 'short'");
    PRINTS("u\0\1", "the value '1' of type 'unsignedshort'");
    PRINTS("b\1", "the value '1' of type 'byte'");
    PRINTS("B\1", "the value '1' of type 'unsignedbyte'");
    PRINTS("t\1", "the value 'true' of type 'bool'");
    PRINTS("t\0", "the value 'false' of type 'bool'");
    PRINTS("S\0\0\0\3dlx", "the value 'dlx' of type 'longstr'");
    PRINTS("x\0\0\0\3dlx", "the value 'dlx' of type 'binary'");
    PRINTS("T\0\0\0\0\0\0\0\1", "the value '1' of type 'timestamp'");
    PRINTS("D\2\0\0\0\1", "the value '{2,1}' of type 'decimal'");
    PRINTS("V", "the value 'undefined' of type 'void'");
    PRINTS("d\x40\x24\0\0\0\0\0\0", "the value '10.0' of type 'double'");
    PRINTS("f\x3f\0\0\0", "the value '0.5' of type 'float'");
    PRINTS("d\x3f\xb9\x99\x99\x99\x99\x99\x9a", "the value '0.1' of type 'double'");
    PRINTS("d\x44\x80\xf0\xcf\x06\x4d\xd5\x92", "the value '1.0e22' of type 'double'");
    PRINTS("d\x40\x8f\x40\0\0\0\0\0", "the value '1.0e3' of type 'double'");
    PRINTS("d\xc0\x59\0\0\0\0\0\0", "the value '-100.0' of type 'double'");
    PRINTS("d\x40\xfe\x24\x0c\0\0\0\0", "the value '123456.75' of type 'double'");
    PRINTS("d\x3f\x50\x62\x4d\xd2\xf1\xa9\xfc", "the value '0.001' of type 'double'");
    PRINTS("d\x3e\xe4\xf8\xb5\x88\xe3\x68\xf1", "the value '1.0e-5' of type 'double'");
    PRINTS("d\0\0\0\0\0\0\0\0", "the value '0.0' of type 'double'");
    PRINTS("F\0\0\0\0", "the value '[]' of type 'table'");
    PRINTS("F\0\0\0\15\1kS\0\0\0\1v\1ns\0\1",
           "the value '[{<<\"k\">>,longstr,<<\"v\">>},{<<\"n\">>,short,1}]' of type 'table'");
    PRINTS("A\0\0\0\11t\1S\0\0\0\2\0\xff",
           "the value '[{bool,true},{longstr,<<0,255>>}]' of type 'array'");
    PRINTS("A\0\0\0\12S\0\0\0\0A\0\0\0\0",
           "the value '[{longstr,<<>>},{array,[]}]' of type 'array'");
}

TEST(printing_what_was_json)
{
    static const char nested[] = "F\0\0\0\42\1aA\0\0\0\20l\0\0\0\0\0\0\0\1S\0\0\0\1b"
                                 "V\1cF\0\0\0\4\1dt\1";
    static const char want[] =
        "#{<<\"a\">> => [1,<<\"b\">>,null],<<\"c\">> => #{<<\"d\">> => true}}";
    struct reader walk = reader_of(bytes_of(nested, sizeof(nested) - 1));
    struct field field;
    struct buffer out = {0};
    ok(array_next(&walk, &field), "a table in a table");
    field_print_term(&out, &field);
    is_bytes(out.data, out.size, want, sizeof(want) - 1, "without types");
    buffer_free(&out);
}

TEST(printing_nothing_and_too_much)
{
    struct buffer out = {0};
    field_print(&out, NULL);
    is_bytes(out.data, out.size, "none", 4, "none");
    buffer_free(&out);
    struct field field = find(bytes_of("\1aI\0\0\0\12", 7), "a");
    field_print_quoted(&out, &field);
    is_bytes(out.data, out.size, "'10'", 4, "without its type");
    buffer_free(&out);
    static uint8_t text[100000];
    memset(text, 'a', sizeof(text));
    field = (struct field){.type = 'S', .value = {.bytes = bytes_of(text, sizeof(text))}};
    field_print(&out, &field);
    ok(out.size < 320, "a long string is cut");
    buffer_free(&out);
    size_t size;
    uint8_t *deep = nested(TABLE_DEPTH_MAX, 'F', &size);
    field = (struct field){.type = 'F', .value = {.bytes = bytes_of(deep, size)}};
    field_print(&out, &field);
    ok(out.size < 400, "so are deep tables");
    buffer_free(&out);
    free(deep);
    is_str(field_type_name('?'), "unknown", "no such type");
}

TEST(building)
{
    struct buffer out = {0};
    struct table_writer writer;
    struct bytes every = table_of_every_type();
    table_writer_init(&writer, &out);
    table_add_string(&writer, bytes_str("s"), bytes_str("text"));
    table_add_raw(&writer, bytes_str("x"), 'x', bytes_of("\0\0\0\1\0", 5));
    table_add_bool(&writer, bytes_str("t"), true);
    table_add_int32(&writer, bytes_str("I"), -2);
    table_add_int64(&writer, bytes_str("l"), INT64_MIN);
    table_add_timestamp(&writer, bytes_str("T"), 7);
    table_add_void(&writer, bytes_str("V"));
    table_begin_table(&writer, bytes_str("F"));
    table_begin_array(&writer, bytes_str("A"));
    table_add_string(&writer, bytes_of(NULL, 0), bytes_str("one"));
    table_begin_table(&writer, bytes_of(NULL, 0));
    table_add_bool(&writer, bytes_str("deep"), true);
    table_end(&writer);
    table_end(&writer);
    table_add_int32(&writer, bytes_str("after"), 1);
    table_end(&writer);
    table_add_table(&writer, bytes_str("every"), every);
    table_add_array(&writer, bytes_str("none"), bytes_of(NULL, 0));
    struct bytes table = buffer_bytes(&out), contents, inner;
    int64_t integer = 0;
    bool boolean = false;
    ok(check(table.data, table.size), "well-formed");
    ok(table_find_string(table, "s", &contents) && bytes_equal_str(contents, "text"), "S");
    ok(find(table, "x").type == 'x' && find(table, "x").value.bytes.size == 1, "x");
    ok(table_find_bool(table, "t", &boolean) && boolean, "t");
    ok(table_find_integer(table, "I", &integer) && integer == -2, "I");
    ok(table_find_integer(table, "l", &integer) && integer == INT64_MIN, "l");
    is_int(find(table, "T").value.timestamp, 7, "T");
    is_int(find(table, "V").type, 'V', "V");
    ok(table_find_table(table, "F", &contents), "F");
    ok(table_find_array(contents, "A", &inner), "A in it");
    ok(table_find_integer(contents, "after", &integer), "and what follows that");
    struct reader walk = reader_of(inner);
    struct field field;
    ok(array_next(&walk, &field) && bytes_equal_str(field.value.bytes, "one"), "a string in it");
    ok(array_next(&walk, &field) && table_find_bool(field.value.bytes, "deep", &boolean),
       "a table in it");
    ok(!array_next(&walk, &field), "and no more");
    ok(table_find_table(table, "every", &contents) && bytes_equal(contents, every), "copied");
    ok(table_find_array(table, "none", &contents) && contents.size == 0, "an empty array");
    buffer_free(&out);
}

TEST(copying_field_by_field)
{
    struct buffer out = {0};
    struct table_writer writer;
    struct bytes every = table_of_every_type();
    struct reader walk = reader_of(every);
    struct field field;
    table_writer_init(&writer, &out);
    while (table_next(&walk, &field))
        table_add_field(&writer, &field);
    is_bytes(out.data, out.size, every.data, every.size, "gives the same bytes");
    buffer_free(&out);
    array_writer_init(&writer, &out);
    field = find(every, "m");
    table_add_raw(&writer, bytes_of(NULL, 0), field.type, field.raw);
    is_bytes(out.data, out.size, "S\0\0\0\3abc", 8, "in an array there are no names");
    buffer_free(&out);
}

TEST(building_as_deep_as_is_read)
{
    struct buffer out = {0};
    struct table_writer writer;
    table_writer_init(&writer, &out);
    for (int i = 1; i < TABLE_DEPTH_MAX; i++)
        table_begin_table(&writer, bytes_str("t"));
    for (int i = 1; i < TABLE_DEPTH_MAX; i++)
        table_end(&writer);
    ok(check(out.data, out.size), "100 deep");
    buffer_free(&out);
}

int main(void)
{
    RUN(every_type_is_read);
    RUN(truncations);
    RUN(unknown_types);
    RUN(numbers_that_are_not_finite);
    RUN(lengths_that_lie);
    RUN(depth);
    RUN(number_of_items);
    RUN(the_first_of_a_name_counts);
    RUN(typed_finds);
    RUN(equivalence);
    RUN(same_value);
    RUN(equivalence_inside_tables);
    RUN(printing);
    RUN(printing_what_was_json);
    RUN(printing_nothing_and_too_much);
    RUN(building);
    RUN(copying_field_by_field);
    RUN(building_as_deep_as_is_read);
    return done();
}
