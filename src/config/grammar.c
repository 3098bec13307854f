/* One line at a time: each is complete by itself, so that what is wrong in one hides nothing of the
 * others. */
#include "config/grammar.h"

#include "base/utf8.h"

/* What is left of a line. */
struct rest {
    const uint8_t *at, *end;
};

static bool is_space(uint8_t byte)
{
    return byte == ' ' || byte == '\t';
}

static bool is_word(uint8_t byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '_' || byte == '-';
}

static void skip_space(struct rest *rest)
{
    while (rest->at < rest->end && is_space(*rest->at))
        rest->at++;
}

static bool begins_with(const struct rest *rest, char byte)
{
    return rest->at < rest->end && *rest->at == (uint8_t)byte;
}

/* Is there nothing more but a comment? */
static bool is_over(struct rest rest)
{
    skip_space(&rest);
    return rest.at == rest.end || *rest.at == '#';
}

/* The first byte that cannot stand in a text; NULL: there is none. */
static const uint8_t *find_control(struct bytes line)
{
    for (size_t i = 0; i < line.size; i++)
        if ((line.data[i] < ' ' && line.data[i] != '\t') || line.data[i] == 0x7f)
            return line.data + i;
    return NULL;
}

bool grammar_is_text(struct bytes text)
{
    return !find_control(text) && utf8_is_valid(text);
}

static enum grammar_what fail(struct grammar_item *item, const char *why)
{
    item->why = why;
    return GRAMMAR_WRONG;
}

/* Words with dots between; a dot behind a backslash belongs to its word. */
static const char *read_key(struct rest *rest, char *key)
{
    size_t size = 0;
    bool in_word = false;
    while (rest->at < rest->end && size < GRAMMAR_KEY_MAX) {
        bool is_escape = *rest->at == '\\' && rest->at + 1 < rest->end && rest->at[1] == '.';
        bool is_dot = *rest->at == '.' && in_word;
        if (!is_escape && !is_dot && !is_word(*rest->at))
            break;
        rest->at += is_escape;
        in_word = !is_dot;
        key[size++] = (char)*rest->at++;
    }
    key[size] = '\0';
    if (size == GRAMMAR_KEY_MAX)
        return "the key is too long";
    return in_word ? NULL : "a key is words of letters, digits, _ and -, with dots between";
}

static struct bytes trimmed(struct rest rest)
{
    while (rest.end > rest.at && is_space(rest.end[-1]))
        rest.end--;
    return bytes_of(rest.at, (size_t)(rest.end - rest.at));
}

/* Between two ' nothing has a meaning; false: it does not stand between them. */
static bool read_quoted(struct rest *rest, struct bytes *value)
{
    if (!begins_with(rest, '\''))
        return false;
    const uint8_t *from = rest->at + 1;
    const uint8_t *to = memchr(from, '\'', (size_t)(rest->end - from));
    if (!to || !is_over((struct rest){to + 1, rest->end}))
        return false;
    *value = bytes_of(from, (size_t)(to - from));
    return true;
}

static void read_value(struct rest *rest, struct grammar_item *item)
{
    skip_space(rest);
    item->is_quoted = read_quoted(rest, &item->value);
    if (item->is_quoted)
        return;
    const uint8_t *comment = memchr(rest->at, '#', (size_t)(rest->end - rest->at));
    item->value = trimmed((struct rest){rest->at, comment ? comment : rest->end});
}

static enum grammar_what read_setting(struct rest *rest, struct grammar_item *item)
{
    const char *why = read_key(rest, item->key);
    if (why)
        return fail(item, why);
    bool is_apart = rest->at < rest->end && is_space(*rest->at);
    skip_space(rest);
    bool is_include = is_apart && strcmp(item->key, "include") == 0 && !begins_with(rest, '=');
    if (!is_include && !begins_with(rest, '='))
        return fail(item, "a line is KEY = VALUE");
    rest->at += !is_include;
    read_value(rest, item);
    if (item->value.size == 0 && !item->is_quoted)
        return fail(item, is_include ? "the path is missing" : "the value is missing");
    return is_include ? GRAMMAR_INCLUDE : GRAMMAR_SETTING;
}

/* GRAMMAR_END: the line says nothing. */
static enum grammar_what read_line(struct bytes line, struct grammar_item *item)
{
    struct rest rest = {line.data, line.data + line.size};
    const uint8_t *control = find_control(line);
    enum grammar_what what = GRAMMAR_END;
    if (control) {
        rest.at = control;
        what = fail(item, "there is a byte that is no text");
    } else if (!utf8_is_valid(line)) {
        what = fail(item, "the line is not in UTF-8");
    } else if (!is_over(rest)) {
        skip_space(&rest);
        what = read_setting(&rest, item);
    }
    item->column = (size_t)(rest.at - line.data) + 1;
    return what;
}

static struct bytes take_line(struct grammar *grammar)
{
    const uint8_t *from = grammar->text.data + grammar->at;
    size_t left = grammar->text.size - grammar->at;
    const uint8_t *end = memchr(from, '\n', left);
    size_t size = end ? (size_t)(end - from) : left;
    grammar->at += size + (end != NULL);
    grammar->line++;
    if (size && from[size - 1] == '\r')
        size--;
    return bytes_of(from, size);
}

struct grammar grammar_of(struct bytes text)
{
    return (struct grammar){.text = text};
}

enum grammar_what grammar_next(struct grammar *grammar, struct grammar_item *item)
{
    item->what = GRAMMAR_END;
    while (item->what == GRAMMAR_END && grammar->at < grammar->text.size)
        item->what = read_line(take_line(grammar), item);
    item->line = grammar->line;
    return item->what;
}
