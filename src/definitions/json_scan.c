#include "definitions/json_scan.h"

/* As many as surely fit into 64 bits. */
enum { WHOLE_DIGITS_MAX = 18 };

static bool is_space(uint8_t byte)
{
    return byte == ' ' || byte == '\n' || byte == '\t' || byte == '\r';
}

static void skip_space(struct json_scan *scan)
{
    while (scan->at < scan->end && is_space(*scan->at))
        scan->at++;
}

static bool take(struct json_scan *scan, char wanted)
{
    skip_space(scan);
    bool is_there = scan->at < scan->end && *scan->at == (uint8_t)wanted;
    scan->at += is_there;
    return is_there;
}

/* From its first quote on. NULL: it does not end. */
static const uint8_t *end_of_string(const uint8_t *at, const uint8_t *end)
{
    for (at++; at < end && *at != '"';)
        at += *at == '\\' && end - at > 1 ? 2 : 1;
    return at < end ? at + 1 : NULL;
}

/* The same of an array or an object. */
static const uint8_t *end_of_brackets(const uint8_t *at, const uint8_t *end)
{
    size_t depth = 0;
    while (at && at < end) {
        if (*at == '"') {
            at = end_of_string(at, end);
            continue;
        }
        if (*at == '[' || *at == '{')
            depth++;
        else if (*at == ']' || *at == '}')
            depth--;
        at++;
        if (depth == 0)
            return at;
    }
    return NULL;
}

static const uint8_t *end_of_word(const uint8_t *at, const uint8_t *end)
{
    const uint8_t *begin = at;
    while (at < end && !is_space(*at) && *at != ',' && *at != ']' && *at != '}')
        at++;
    return at > begin ? at : NULL;
}

bool json_scan_value(struct json_scan *scan, struct bytes *value)
{
    skip_space(scan);
    const uint8_t *begin = scan->at, *end = scan->end, *after = NULL;
    if (scan->value_max && (size_t)(end - begin) > scan->value_max)
        end = begin + scan->value_max;
    if (begin < end && (*begin == '[' || *begin == '{'))
        after = end_of_brackets(begin, end);
    else if (begin < end)
        after = *begin == '"' ? end_of_string(begin, end) : end_of_word(begin, end);
    scan->is_bad = !after;
    if (!after)
        return false;
    *value = bytes_of(begin, (size_t)(after - begin));
    scan->at = after;
    return true;
}

struct json_scan json_scan_of(struct bytes text, char bracket)
{
    static const uint8_t none[1]; /* so that there is an end to point to */
    const uint8_t *at = text.size ? text.data : none;
    struct json_scan scan = {.at = at, .end = at + text.size};
    scan.is_bad = !take(&scan, bracket);
    return scan;
}

/* Is there another one before what closes all? */
static bool has_next(struct json_scan *scan, char closes)
{
    if (scan->is_bad || take(scan, closes))
        return false;
    scan->is_bad = scan->is_begun && !take(scan, ',');
    scan->is_begun = true;
    return !scan->is_bad;
}

bool json_scan_item(struct json_scan *scan, struct bytes *value)
{
    return has_next(scan, ']') && json_scan_value(scan, value);
}

bool json_scan_name(struct json_scan *scan, struct bytes *name)
{
    if (!has_next(scan, '}') || !json_scan_value(scan, name))
        return false;
    scan->is_bad = name->data[0] != '"' || !take(scan, ':');
    if (scan->is_bad)
        return false;
    *name = bytes_of(name->data + 1, name->size - 2);
    skip_space(scan);
    return true;
}

bool json_scan_member(struct json_scan *scan, struct bytes *name, struct bytes *value)
{
    return json_scan_name(scan, name) && json_scan_value(scan, value);
}

struct bytes json_scan_rest(const struct json_scan *scan)
{
    return bytes_of(scan->at, (size_t)(scan->end - scan->at));
}

bool json_scan_is_over(struct json_scan *scan)
{
    skip_space(scan);
    return !scan->is_bad && scan->at == scan->end;
}

bool json_scan_is_whole(struct bytes value)
{
    size_t at = value.size && value.data[0] == '-';
    if (at == value.size || value.size - at > WHOLE_DIGITS_MAX)
        return false;
    for (; at < value.size; at++)
        if (value.data[at] < '0' || value.data[at] > '9')
            return false;
    return true;
}

bool json_scan_text(struct bytes value, struct bytes *text)
{
    if (value.size < 2 || value.data[0] != '"' || memchr(value.data, '\\', value.size))
        return false;
    *text = bytes_of(value.data + 1, value.size - 2);
    return true;
}
