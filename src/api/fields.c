#include "api/fields.h"

#include <assert.h>
#include <stdio.h>

#include "definitions/json_table.h"

#define EVERYTHING UINT64_MAX

enum sort_rank { SORT_NUMBER = 1, SORT_WORD, SORT_TEXT };

/* ---- columns ---- */

static bool add_path(struct columns *columns, struct bytes text)
{
    if (columns->count == COLUMNS_MAX)
        return false;
    size_t depth = 0, begin = 0;
    for (size_t i = 0; i <= text.size; i++) {
        if (i < text.size && text.data[i] != '.')
            continue;
        if (depth == COLUMN_DEPTH_MAX)
            return false;
        columns->paths[columns->count].names[depth++] = bytes_of(text.data + begin, i - begin);
        begin = i + 1;
    }
    columns->paths[columns->count++].depth = depth;
    return true;
}

bool columns_read(struct columns *columns, struct bytes text)
{
    size_t begin = 0;
    columns->count = 0;
    for (size_t i = 0; i <= text.size; i++) {
        if (i < text.size && text.data[i] != ',')
            continue;
        if (i > begin && !add_path(columns, bytes_of(text.data + begin, i - begin)))
            return false;
        begin = i + 1;
    }
    return true;
}

/* ---- which fields are wanted ---- */

struct fields fields_of(struct buffer *out, const struct columns *columns)
{
    struct fields fields = {.json = json_writer_of(out), .columns = columns};
    fields.json.mends = true;
    if (columns && columns->count == 0)
        fields.columns = NULL;
    fields.chosen[0] = fields.columns ? ((uint64_t)1 << columns->count) - 1 : EVERYTHING;
    return fields;
}

struct fields fields_sort_key(struct buffer *out, const struct columns *columns)
{
    struct fields fields = fields_of(out, columns);
    assert(columns->count == 1);
    fields.sort_key = out;
    return fields;
}

/* Most names differ in their first character. */
static inline bool is_name(struct bytes text, const char *name)
{
    return text.size && text.data[0] == (uint8_t)name[0] && bytes_equal_str(text, name);
}

static uint64_t find_paths(const struct fields *fields, const char *name)
{
    uint64_t led = fields->chosen[fields->depth], under = 0;
    for (size_t i = 0; i < fields->columns->count; i++) {
        if (!(led >> i & 1) || fields->depth >= fields->columns->paths[i].depth ||
            !is_name(fields->columns->paths[i].names[fields->depth], name))
            continue;
        if (fields->depth + 1 == fields->columns->paths[i].depth)
            return EVERYTHING;
        under |= (uint64_t)1 << i;
    }
    return under;
}

/* Of the paths that led to the object at hand, those that go on with this name; EVERYTHING, if one
 * of them ends with it. */
static inline uint64_t paths_under(const struct fields *fields, const char *name)
{
    if (!fields->columns || fields->chosen[fields->depth] == EVERYTHING)
        return EVERYTHING;
    return find_paths(fields, name);
}

bool fields_want(const struct fields *fields, const char *name)
{
    return paths_under(fields, name);
}

/* Is the value of this name wanted, which is no object? Then the name is written. */
static bool wants(struct fields *fields, const char *name)
{
    if (paths_under(fields, name) != EVERYTHING)
        return false;
    if (!fields->sort_key)
        json_name(&fields->json, bytes_str(name));
    return true;
}

/* ---- values to sort by ---- */

static void sort_by_number(struct fields *fields, double number)
{
    uint64_t bits;
    memcpy(&bits, &number, sizeof(bits));
    bits = bits >> 63 ? ~bits : bits | (uint64_t)1 << 63;
    fields->sort_key->size = 0;
    buffer_add_u8(fields->sort_key, SORT_NUMBER);
    for (int shift = 56; shift >= 0; shift -= 8)
        buffer_add_u8(fields->sort_key, (uint8_t)(bits >> shift));
}

static void sort_by_text(struct fields *fields, enum sort_rank rank, struct bytes text)
{
    fields->sort_key->size = 0;
    buffer_add_u8(fields->sort_key, (uint8_t)rank);
    buffer_add(fields->sort_key, text.data, text.size);
}

/* ---- values ---- */

void fields_begin(struct fields *fields, char bracket)
{
    if (!fields->sort_key)
        json_open(&fields->json, bracket);
}

void fields_end(struct fields *fields, char bracket)
{
    if (!fields->sort_key)
        json_close(&fields->json, bracket);
    else if (fields->sort_key->size == 0)
        sort_by_text(fields, SORT_WORD, bytes_str("null"));
}

void fields_text(struct fields *fields, const char *name, struct bytes text)
{
    if (!wants(fields, name))
        return;
    if (fields->sort_key)
        sort_by_text(fields, SORT_TEXT, text);
    else
        json_put_text(&fields->json, text);
}

void fields_string(struct fields *fields, const char *name, const char *text)
{
    fields_text(fields, name, bytes_str(text));
}

void fields_position(struct fields *fields, const char *name, uint64_t position)
{
    char text[24];
    snprintf(text, sizeof(text), "%llu", (unsigned long long)position);
    fields_string(fields, name, text);
}

void fields_whole(struct fields *fields, const char *name, uint64_t number)
{
    fields_signed(fields, name, number > INT64_MAX ? INT64_MAX : (int64_t)number);
}

void fields_signed(struct fields *fields, const char *name, int64_t number)
{
    if (!wants(fields, name))
        return;
    if (fields->sort_key)
        sort_by_number(fields, (double)number);
    else
        json_put_whole(&fields->json, number);
}

void fields_fraction(struct fields *fields, const char *name, double number)
{
    if (!wants(fields, name))
        return;
    if (fields->sort_key)
        sort_by_number(fields, number);
    else
        json_put_fraction(&fields->json, number);
}

void fields_counter(struct fields *fields, const char *name, uint64_t count)
{
    static const char suffix[] = "_details";
    char details[64];
    size_t size = strlen(name);
    assert(size + sizeof(suffix) <= sizeof(details));
    memcpy(details, name, size);
    memcpy(details + size, suffix, sizeof(suffix));
    fields_whole(fields, name, count);
    if (!fields_open(fields, details, '{'))
        return;
    fields_fraction(fields, "rate", 0);
    fields_close(fields, '}');
}

void fields_flag(struct fields *fields, const char *name, bool flag)
{
    if (!wants(fields, name))
        return;
    if (fields->sort_key)
        sort_by_text(fields, SORT_WORD, bytes_str(flag ? "true" : "false"));
    else
        json_put_flag(&fields->json, flag);
}

void fields_null(struct fields *fields, const char *name)
{
    if (!wants(fields, name))
        return;
    if (fields->sort_key)
        sort_by_text(fields, SORT_WORD, bytes_str("null"));
    else
        json_put_null(&fields->json);
}

/* Of a table that is wanted in part, all is written. */
void fields_table(struct fields *fields, const char *name, struct bytes table)
{
    if (!paths_under(fields, name) || fields->sort_key)
        return;
    json_name(&fields->json, bytes_str(name));
    json_put_table(&fields->json, table);
}

void fields_written(struct fields *fields, const char *name, struct bytes json)
{
    if (!paths_under(fields, name) || fields->sort_key)
        return;
    json_name(&fields->json, bytes_str(name));
    json_put_written(&fields->json, json);
}

bool fields_open(struct fields *fields, const char *name, char bracket)
{
    uint64_t under = paths_under(fields, name);
    if (!under)
        return false;
    assert(fields->depth < COLUMN_DEPTH_MAX);
    /* What is in an array is named as if it were in what has the array. */
    fields->chosen[++fields->depth] = under;
    if (!fields->sort_key) {
        json_name(&fields->json, bytes_str(name));
        json_open(&fields->json, bracket);
    }
    return true;
}

void fields_close(struct fields *fields, char bracket)
{
    assert(fields->depth > 0);
    fields->depth--;
    if (!fields->sort_key)
        json_close(&fields->json, bracket);
}

void fields_nothing(struct fields *fields, const char *name)
{
    if (fields_open(fields, name, '['))
        fields_close(fields, ']');
}

void fields_put_whole(struct fields *fields, uint64_t number)
{
    if (!fields->sort_key)
        json_put_whole(&fields->json, (int64_t)number);
}

void fields_put_text(struct fields *fields, struct bytes text)
{
    if (!fields->sort_key)
        json_put_text(&fields->json, text);
}

void fields_words(struct fields *fields, const char *name, const char *words)
{
    if (!fields_open(fields, name, '['))
        return;
    while (*words) {
        size_t size = strcspn(words, ", ");
        if (size)
            fields_put_text(fields, bytes_of(words, size));
        words += size + (words[size] != '\0');
    }
    fields_close(fields, ']');
}
