/* Lines of the log. The format is walked here and not by printf, so that each text can be quoted by
 * what is in it. */
#include "base/log.h"

#include <assert.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static const char *const level_names[] = {"debug", "info", "warning", "error", "none"};

static const struct {
    const char *name;
    enum log_level level;
} events[] = {
#define EVENT(name, level, meaning) {#name, LOG_LEVEL_##level},
#include "base/log.def"
#undef EVENT
};

static const char cut_mark[] = "...";

enum { TEXT_MAX = LOG_LINE_MAX - (sizeof(cut_mark) - 1) };

/* One line as it grows; what does not fit is left out, and the mark stands for it. */
struct line {
    char text[LOG_LINE_MAX + 1];
    size_t size;
    bool is_cut;
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

static void put(struct line *line, char byte)
{
    bool is_control = (unsigned char)byte < ' ' || byte == 0x7f;
    line->is_cut |= line->size == TEXT_MAX;
    if (!line->is_cut)
        line->text[line->size++] = is_control ? '?' : byte;
}

static bool is_plain(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (text[i] == ' ' || text[i] == '"' || text[i] == '\\' || text[i] == '=')
            return false;
    return size != 0;
}

static void put_quoted(struct line *line, const char *text, size_t size)
{
    size_t at = 0;
    line->is_cut |= line->size + 2 > TEXT_MAX;
    put(line, '"');
    for (; at < size && line->size + 3 <= TEXT_MAX; at++) {
        if (text[at] == '"' || text[at] == '\\')
            put(line, '\\');
        put(line, text[at]);
    }
    put(line, '"');
    line->is_cut |= at < size;
}

static void put_text(struct line *line, const char *text, size_t size)
{
    bool is_value = line->size && line->text[line->size - 1] == '=';
    if (is_value && !is_plain(text, size)) {
        put_quoted(line, text, size);
        return;
    }
    for (size_t i = 0; i < size; i++)
        put(line, text[i]);
}

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
static void put_conversion(struct line *line, const char **at, va_list *arguments)
{
    char number[24] = "";
    size_t most = read_precision(at, arguments);
    enum length length = read_length(at);
    char kind = *(*at)++;
    if (kind == 's') {
        const char *text = va_arg(*arguments, const char *);
        put_text(line, text, strnlen(text, most));
        return;
    }
    if (kind == 'u')
        snprintf(number, sizeof(number), "%ju", take_unsigned(arguments, length));
    else if (kind == 'd')
        snprintf(number, sizeof(number), "%jd", take_signed(arguments, length));
    else
        assert(false && "a conversion that log_event does not know");
    put_text(line, number, strlen(number));
}

void log_event(const struct log *log, enum event event, const char *format, ...)
{
    if (!log || !log->sink || events[event].level < log_level(log))
        return;
    struct line line = {.size = 0};
    put_text(&line, events[event].name, strlen(events[event].name));
    put(&line, ' ');
    va_list arguments;
    va_start(arguments, format);
    for (const char *at = format; *at;) {
        if (*at == '%') {
            at++;
            put_conversion(&line, &at, &arguments);
        } else {
            put(&line, *at++);
        }
    }
    va_end(arguments);
    strcpy(line.text + line.size, line.is_cut ? cut_mark : "");
    log->sink(log->context, events[event].level, line.text);
}
