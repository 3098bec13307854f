/* Tables and properties from the command line; the reading is the codec's. */
#include "perf/arguments.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "amqp/properties.h"
#include "amqp/table.h"
#include "amqp/text.h"

/* One NAME=VALUE of `size` bytes. */
static bool add_pair(struct table_writer *writer, const char *text, size_t size)
{
    const char *equals = memchr(text, '=', size);
    if (!equals || equals == text || equals - text > SHORTSTR_MAX)
        return false;
    struct bytes name = bytes_of(text, (size_t)(equals - text));
    struct bytes value = bytes_of(equals + 1, size - name.size - 1);
    char *end;
    errno = 0;
    long long number = strtoll(equals + 1, &end, 10);
    if (value.size && end == equals + 1 + value.size && errno == 0)
        table_add_int64(writer, name, number);
    else if (bytes_equal_str(value, "true") || bytes_equal_str(value, "false"))
        table_add_bool(writer, name, bytes_equal_str(value, "true"));
    else
        table_add_string(writer, name, value);
    return true;
}

bool arguments_read(const char *text, struct buffer *table)
{
    if (*text == '{') {
        struct buffer memory = {0};
        struct bytes contents;
        struct text_given given;
        bool good = text_read_table(bytes_str(text), &memory, &contents, &given);
        if (good)
            buffer_add(table, contents.data, contents.size);
        buffer_free(&memory);
        return good;
    }
    struct table_writer writer;
    table_writer_init(&writer, table);
    for (;;) {
        size_t size = strcspn(text, ",");
        if (!add_pair(&writer, text, size))
            return false;
        if (text[size] == '\0')
            return true;
        text += size + 1;
    }
}

bool properties_build(const char *text, struct bytes headers, bool persistent,
                      const uint8_t *priority, struct buffer *out, char *error, size_t error_size)
{
    struct buffer memory = {0};
    struct buffer table = {0};
    struct properties properties = {0};
    struct text_given given = {0};
    bool good = !text || text_read_properties(bytes_str(text), &memory, &properties, &given);
    if (good && headers.size) {
        if (properties_have(&properties, PROPERTY_HEADERS))
            buffer_add(&table, properties.headers.data, properties.headers.size);
        buffer_add(&table, headers.data, headers.size);
        properties.headers = buffer_bytes(&table);
        properties.flags |= PROPERTY_HEADERS;
    }
    if (persistent) {
        properties.delivery_mode = 2;
        properties.flags |= PROPERTY_DELIVERY_MODE;
    }
    if (priority) {
        properties.priority = *priority;
        properties.flags |= PROPERTY_PRIORITY;
    }
    if (good) {
        size_t size = properties_size(&properties);
        struct writer writer = writer_of(buffer_room(out, size), size);
        properties_write(&writer, &properties);
        buffer_added(out, size);
        good = !writer.bad;
    }
    if (!good)
        snprintf(error, error_size, "--properties: %s", given.error ? given.error : "too long");
    buffer_free(&memory);
    buffer_free(&table);
    return good;
}
