/* Records of the log. The format is walked here and not by printf, so that what is the program's
 * own in a pair is told from what came from outside. */
#include "base/log.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const level_names[] = {"debug", "info", "warning", "error", "none"};
static const char *const category_names[] = {"audit", "channel", "connection", "default",
                                             "queue"};

_Static_assert(sizeof(category_names) / sizeof(category_names[0]) == LOG_CATEGORIES, "a name each");

static const struct {
    const char *name;
    enum log_category category;
    enum log_level level;
} events[] = {
#define EVENT(name, category, level, meaning) {#name, LOG_CATEGORY_##category, LOG_LEVEL_##level},
#include "base/log.def"
#undef EVENT
};

/* A record as it grows. */
struct builder {
    struct log_record *record;
    struct log_field *field; /* NULL: between two pairs, or there are too many */
    enum { IN_NAME, IN_VALUE, IN_QUOTES } place;
    unsigned parts; /* conversions and literal characters of the value */
};

bool log_level_read(const char *text, enum log_level *level)
{
    for (size_t i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

const char *log_level_name(enum log_level level)
{
    return level_names[level];
}

const char *log_category_name(enum log_category category)
{
    return category_names[category];
}

/* ---- pairs ---- */

static void begin_pair(struct builder *builder)
{
    struct log_record *record = builder->record;
    builder->place = IN_NAME;
    builder->parts = 0;
    if (record->count == LOG_FIELDS_MAX) {
        record->is_cut = true;
        return;
    }
    builder->field = &record->fields[record->count++];
    *builder->field = (struct log_field){.at = (uint16_t)record->size};
}

/* One that has no value, as there was no room for it, is none. */
static void end_pair(struct builder *builder)
{
    if (builder->field && builder->place == IN_NAME)
        builder->record->count--;
    builder->field = NULL;
}

static void put(struct builder *builder, const char *text, size_t size)
{
    struct log_record *record = builder->record;
    struct log_field *field = builder->field;
    if (!field)
        return;
    size_t room = sizeof(record->text) - record->size;
    record->is_cut |= size > room;
    size = size < room ? size : room;
    memcpy(record->text + record->size, text, size);
    record->size += size;
    if (builder->place == IN_NAME)
        field->name_size = (uint16_t)(field->name_size + size);
    else
        field->size = (uint16_t)(field->size + size);
}

static void put_part(struct builder *builder, const char *text, size_t size, bool is_number)
{
    if (!builder->field)
        begin_pair(builder);
    if (builder->field && builder->place != IN_NAME)
        builder->field->is_number = builder->parts++ == 0 && is_number;
    put(builder, text, size);
}

static void put_literal(struct builder *builder, char byte)
{
    bool is_value = builder->field && builder->place != IN_NAME;
    if (byte == ' ' && builder->place != IN_QUOTES)
        end_pair(builder);
    else if (byte == '=' && builder->field && !is_value)
        builder->place = IN_VALUE;
    else if (byte == '"' && is_value)
        builder->place = builder->place == IN_QUOTES ? IN_VALUE : IN_QUOTES;
    else
        put_part(builder, &byte, 1, false);
}

/* ---- conversions ---- */

/* How long a number is, by the letters before its conversion. */
enum length { LENGTH_INT, LENGTH_LONG, LENGTH_LONG_LONG, LENGTH_SIZE };

static enum length read_length(const char **at)
{
    if (**at == 'z')
        return (*at)++, LENGTH_SIZE;
    if (**at != 'l')
        return LENGTH_INT;
    (*at)++;
    if (**at != 'l')
        return LENGTH_LONG;
    return (*at)++, LENGTH_LONG_LONG;
}

static uintmax_t take_unsigned(va_list *arguments, enum length length)
{
    switch (length) {
    case LENGTH_SIZE:
        return va_arg(*arguments, size_t);
    case LENGTH_LONG_LONG:
        return va_arg(*arguments, unsigned long long);
    case LENGTH_LONG:
        return va_arg(*arguments, unsigned long);
    default:
        return va_arg(*arguments, unsigned);
    }
}

static intmax_t take_signed(va_list *arguments, enum length length)
{
    switch (length) {
    case LENGTH_SIZE:
        return va_arg(*arguments, ptrdiff_t);
    case LENGTH_LONG_LONG:
        return va_arg(*arguments, long long);
    case LENGTH_LONG:
        return va_arg(*arguments, long);
    default:
        return va_arg(*arguments, int);
    }
}

/* The most bytes of a text, by what stands behind the dot. */
static size_t read_precision(const char **at, va_list *arguments)
{
    size_t most = 0;
    if (**at != '.')
        return SIZE_MAX;
    if (*++*at == '*') {
        ++*at;
        return (size_t)va_arg(*arguments, int);
    }
    for (; **at >= '0' && **at <= '9'; ++*at)
        most = most * 10 + (size_t)(**at - '0');
    return most;
}

/* What stands behind a %; moves *at behind it. */
static void put_conversion(struct builder *builder, const char **at, va_list *arguments)
{
    char number[24] = "";
    size_t most = read_precision(at, arguments);
    enum length length = read_length(at);
    char kind = *(*at)++;
    if (kind == 's') {
        const char *text = va_arg(*arguments, const char *);
        put_part(builder, text, strnlen(text, most), false);
        return;
    }
    if (kind == 'u')
        snprintf(number, sizeof(number), "%ju", take_unsigned(arguments, length));
    else if (kind == 'd')
        snprintf(number, sizeof(number), "%jd", take_signed(arguments, length));
    else
        assert(false && "a conversion that log_event does not know");
    put_part(builder, number, strlen(number), true);
}

static bool is_wanted(const struct log *log, enum event event)
{
    return log && log->sink && events[event].level >= log_level(log);
}

/* Its text is not made zero: it is filled from its start. */
static void begin(struct log_record *record, enum event event)
{
    record->category = events[event].category;
    record->level = events[event].level;
    record->event = events[event].name;
    record->count = record->size = 0;
    record->is_cut = false;
}

void log_event(const struct log *log, enum event event, const char *format, ...)
{
    if (!is_wanted(log, event))
        return;
    struct log_record record;
    struct builder builder = {.record = &record};
    begin(&record, event);
    va_list arguments;
    va_start(arguments, format);
    for (const char *at = format; *at;) {
        if (*at == '%') {
            at++;
            put_conversion(&builder, &at, &arguments);
        } else {
            put_literal(&builder, *at++);
        }
    }
    va_end(arguments);
    end_pair(&builder);
    log->sink(log->context, &record);
}

void log_event_pairs(const struct log *log, enum event event, const char *pairs)
{
    if (!is_wanted(log, event))
        return;
    struct log_record record;
    struct builder builder = {.record = &record};
    begin(&record, event);
    while (*pairs) {
        size_t name = strcspn(pairs, "="), value = strcspn(pairs, " ");
        assert(name < value);
        begin_pair(&builder);
        put(&builder, pairs, name);
        builder.place = IN_VALUE;
        pairs += name + 1;
        value -= name + 1;
        put_part(&builder, pairs, value, strspn(pairs, "0123456789") == value);
        end_pair(&builder);
        pairs += value + (pairs[value] == ' ');
    }
    log->sink(log->context, &record);
}
