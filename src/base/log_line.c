#include "base/log_line.h"

#include <string.h>

#include "base/utf8.h"

static const char cut_mark[] = "...";

enum {
    TEXT_MAX = LOG_LINE_MAX - (sizeof(cut_mark) - 1),
    JSON_MAX = 3000, /* of names and values; what ends an object is behind it */
};

/* A line as it grows up to `max`; a piece that does not fit whole is left out, and all behind it.
 */
struct line {
    char *text;
    size_t size, max;
    bool is_cut;
};

static void put(struct line *line, const char *text, size_t size)
{
    line->is_cut |= size > line->max - line->size;
    if (line->is_cut)
        return;
    memcpy(line->text + line->size, text, size);
    line->size += size;
}

static void put_text(struct line *line, const char *text)
{
    put(line, text, strlen(text));
}

static struct bytes name_of(const struct log_record *record, const struct log_field *field)
{
    return bytes_of(record->text + field->at, field->name_size);
}

static struct bytes value_of(const struct log_record *record, const struct log_field *field)
{
    return bytes_of(record->text + field->at + field->name_size, field->size);
}

/* The first character of a text: its size, and whether a terminal may show it; 0: it is none. */
static size_t first_character(struct bytes text, bool *is_control)
{
    size_t size = utf8_character(text);
    uint8_t byte = text.data[0];
    *is_control = byte < ' ' || byte == 0x7f || (size == 2 && byte == 0xc2 && text.data[1] < 0xa0);
    return size;
}

static const char hex_digits[] = "0123456789abcdef";

/* ---- text ---- */

static bool is_plain(struct bytes text)
{
    bool is_control;
    for (size_t at = 0, size; at < text.size; at += size) {
        size = first_character(bytes_of(text.data + at, text.size - at), &is_control);
        if (size == 0 || is_control || strchr(" \"\\=", text.data[at]))
            return false;
    }
    return text.size != 0;
}

static void put_escaped(struct line *line, struct bytes bytes)
{
    for (size_t i = 0; i < bytes.size; i++) {
        char escaped[] = {'\\', 'x', hex_digits[bytes.data[i] >> 4],
                          hex_digits[bytes.data[i] & 15]};
        put(line, escaped, sizeof(escaped));
    }
}

static void put_character(struct line *line, struct bytes character, bool is_control)
{
    const char *text = (const char *)character.data;
    char escaped[] = {'\\', *text};
    if (is_control)
        put_escaped(line, character);
    else if (*text == '"' || *text == '\\')
        put(line, escaped, sizeof(escaped));
    else
        put(line, text, character.size);
}

/* Begins what is quoted, and keeps room for its end. */
static bool open_quote(struct line *line)
{
    line->is_cut |= line->max - line->size < 2;
    put_text(line, "\"");
    line->max -= !line->is_cut;
    return !line->is_cut;
}

static void close_quote(struct line *line)
{
    line->max++;
    line->text[line->size++] = '"';
}

static void put_quoted(struct line *line, struct bytes text)
{
    bool is_control;
    if (!open_quote(line))
        return;
    for (size_t at = 0, size; at < text.size; at += size) {
        size = first_character(bytes_of(text.data + at, text.size - at), &is_control);
        is_control |= size == 0;
        size += size == 0;
        put_character(line, bytes_of(text.data + at, size), is_control);
    }
    close_quote(line);
}

static void put_plain(struct line *line, struct bytes text)
{
    size_t room = line->max - line->size;
    bool is_long = text.size > room && !line->is_cut;
    bool is_control;
    size_t size = 0, next;
    while (is_long && size < room) {
        next = first_character(bytes_of(text.data + size, text.size - size), &is_control);
        if (size + next > room)
            break;
        size += next;
    }
    put(line, (const char *)text.data, is_long ? size : text.size);
    line->is_cut |= is_long;
}

size_t log_line_text(const struct log_record *record, char *text)
{
    struct line line = {.text = text, .max = TEXT_MAX};
    put_text(&line, record->event);
    for (size_t i = 0; i < record->count && !line.is_cut; i++) {
        struct bytes name = name_of(record, &record->fields[i]);
        struct bytes value = value_of(record, &record->fields[i]);
        put_text(&line, " ");
        put(&line, (const char *)name.data, name.size);
        put_text(&line, "=");
        if (is_plain(value))
            put_plain(&line, value);
        else
            put_quoted(&line, value);
    }
    strcpy(text + line.size, line.is_cut || record->is_cut ? cut_mark : "");
    return strlen(text);
}

/* ---- JSON ---- */

static void put_code(struct line *line, unsigned code)
{
    char escaped[] = {'\\', 'u', '0', '0', hex_digits[code >> 4], hex_digits[code & 15]};
    put(line, escaped, sizeof(escaped));
}

static void put_json_character(struct line *line, struct bytes character, bool is_control)
{
    if (character.size == 0)
        put_text(line, "\xef\xbf\xbd"); /* what stands for bytes that are no text */
    else if (is_control)
        put_code(line, character.data[character.size - 1]);
    else
        put_character(line, character, false);
}

static void put_json_text(struct line *line, struct bytes text)
{
    bool is_control;
    if (!open_quote(line))
        return;
    for (size_t at = 0, size; at < text.size; at += size + (size == 0)) {
        size = first_character(bytes_of(text.data + at, text.size - at), &is_control);
        put_json_character(line, bytes_of(text.data + at, size), is_control);
    }
    close_quote(line);
}

/* The pair is there whole, but for the end of its value, or not at all. */
static void put_json_pair(struct line *line, struct bytes name, struct bytes value, bool is_number)
{
    size_t before = line->size;
    put_text(line, ",");
    put_json_text(line, name);
    put_text(line, ":");
    bool is_named = !line->is_cut;
    size_t colon = line->size;
    if (is_number)
        put(line, (const char *)value.data, value.size);
    else
        put_json_text(line, value);
    if (!is_named || line->size == colon)
        line->size = before;
}

static void put_json(struct line *line, const struct log_record *record)
{
    put_text(line, ",\"category\":\"");
    put_text(line, log_category_name(record->category));
    put_text(line, "\",\"msg\":\"");
    put_text(line, record->event);
    put_text(line, "\"");
    for (size_t i = 0; i < record->count && !line->is_cut; i++) {
        const struct log_field *field = &record->fields[i];
        put_json_pair(line, name_of(record, field), value_of(record, field), field->is_number);
    }
    bool is_cut = line->is_cut || record->is_cut;
    line->is_cut = false;
    line->max = LOG_WHOLE_MAX;
    put_text(line, is_cut ? ",\"cut\":true}" : "}");
}

/* ---- the whole line ---- */

static char *put_number(char *at, unsigned width, uint64_t number)
{
    for (unsigned i = width; i > 0; i--, number /= 10)
        at[i - 1] = (char)('0' + number % 10);
    return at + width;
}

static bool is_leap(uint64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Without the C library's calendar, which a signal's handler must not use. */
static char *put_date(char *at, uint64_t days)
{
    static const uint8_t lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    uint64_t year = 1970;
    unsigned month = 0;
    for (; days >= 365u + is_leap(year); year++)
        days -= 365u + is_leap(year);
    for (; days >= lengths[month] + (unsigned)(month == 1 && is_leap(year)); month++)
        days -= lengths[month] + (unsigned)(month == 1 && is_leap(year));
    at = put_number(at, 4, year);
    *at++ = '-';
    at = put_number(at, 2, month + 1);
    *at++ = '-';
    return put_number(at, 2, days + 1);
}

/* 2026-11-21T11:08:50.123Z */
static void put_time(struct line *line, uint64_t ms)
{
    char time[32], *at = put_date(time, ms / 86400000);
    *at++ = 'T';
    at = put_number(at, 2, ms / 3600000 % 24);
    *at++ = ':';
    at = put_number(at, 2, ms / 60000 % 60);
    *at++ = ':';
    at = put_number(at, 2, ms / 1000 % 60);
    *at++ = '.';
    at = put_number(at, 3, ms % 1000);
    *at++ = 'Z';
    put(line, time, (size_t)(at - time));
}

/* As syslog(3) numbers them. */
static void put_priority(struct line *line, enum log_level level)
{
    static const char *const priorities[] = {[LOG_LEVEL_DEBUG] = "<7>",
                                             [LOG_LEVEL_INFO] = "<6>",
                                             [LOG_LEVEL_WARNING] = "<4>",
                                             [LOG_LEVEL_ERROR] = "<3>"};
    put_text(line, priorities[level]);
}

size_t log_line_whole(const struct log_record *record, unsigned style, uint64_t clock_ms,
                      char *text)
{
    struct line line = {.text = text, .max = LOG_WHOLE_MAX};
    if (style & LOG_STYLE_PRIORITY)
        put_priority(&line, record->level);
    put_text(&line, style & LOG_STYLE_JSON ? "{\"time\":\"" : "");
    put_time(&line, clock_ms);
    put_text(&line, style & LOG_STYLE_JSON ? "\",\"level\":\"" : " ");
    put_text(&line, log_level_name(record->level));
    put_text(&line, style & LOG_STYLE_JSON ? "\"" : " ");
    line.max = JSON_MAX;
    if (style & LOG_STYLE_JSON)
        put_json(&line, record);
    else
        line.size += log_line_text(record, text + line.size);
    line.max = LOG_WHOLE_MAX;
    put_text(&line, "\n");
    return line.size;
}
