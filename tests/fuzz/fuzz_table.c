/* The contents of a field table. Walking ends whatever it is; what is well-formed is found by its
 * names, built again from its fields to the same bytes, printed, and put into text and back to an
 * equal. */
#include <assert.h>

#include "amqp/table.h"
#include "amqp/text.h"
#include "tests/fuzz/fuzz.h"

static void walk(struct bytes table)
{
    struct reader as_table = reader_of(table), as_array = reader_of(table);
    struct field field;
    while (table_next(&as_table, &field))
        assert(field.raw.size <= table.size);
    while (array_next(&as_array, &field))
        assert(field.raw.size <= table.size);
}

static void build_again(struct bytes table)
{
    struct buffer out = {0}, print = {0};
    struct table_writer writer;
    struct reader reader = reader_of(table);
    struct field field, first;
    table_writer_init(&writer, &out);
    while (table_next(&reader, &field)) {
        assert(table_find(table, field.name, &first));
        assert(first.raw.data <= field.raw.data);
        assert(field_equal(&field, &field));
        buffer_drop(&print, print.size);
        field_print(&print, &field);
        assert(print.size < 500);
        table_add_field(&writer, &field);
    }
    assert(!reader.bad);
    assert(bytes_equal(buffer_bytes(&out), table));
    buffer_free(&out);
    buffer_free(&print);
}

static void through_text(struct bytes table)
{
    struct buffer text = {0}, memory = {0};
    struct text_given given;
    struct bytes back;
    text_table(&text, table);
    if (text.size <= TEXT_MAX) {
        assert(text_read_table(buffer_bytes(&text), &memory, &back, &given));
        struct field a = {.type = 'F', .value = {.bytes = table}};
        struct field b = {.type = 'F', .value = {.bytes = back}};
        assert(field_equal(&a, &b) && field_equal(&b, &a));
    }
    buffer_free(&text);
    buffer_free(&memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes table = bytes_of(data, size);
    walk(table);
    if (table_check(table)) {
        build_again(table);
        through_text(table);
    }
    struct buffer memory = {0};
    struct text_given given;
    struct bytes read;
    if (text_read_table(table, &memory, &read, &given))
        assert(table_check(read));
    buffer_free(&memory);
    return 0;
}
