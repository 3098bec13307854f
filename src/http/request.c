/* What is asked of a request once it is whole. */
#include "http/request.h"

#include "http/text.h"

const char *http_method_name(enum http_method method)
{
    static const char names[HTTP_OTHER][8] = {
        [HTTP_GET] = "GET",   [HTTP_HEAD] = "HEAD",     [HTTP_PUT] = "PUT",
        [HTTP_POST] = "POST", [HTTP_DELETE] = "DELETE", [HTTP_OPTIONS] = "OPTIONS",
    };
    return names[method];
}

struct bytes http_field_of(const struct http_request *request, const char *name)
{
    for (size_t i = 0; i < request->field_count; i++)
        if (http_is(request->fields[i].name, name))
            return request->fields[i].value;
    return (struct bytes){0};
}

/* Takes what stands before the next `separator`, and it; all, where there is none. */
static struct bytes take_until(struct bytes *text, char separator)
{
    const uint8_t *end = text->size ? memchr(text->data, separator, text->size) : NULL;
    struct bytes taken = bytes_of(text->data, end ? (size_t)(end - text->data) : text->size);
    size_t gone = taken.size + (end ? 1 : 0);
    if (gone)
        *text = bytes_of(text->data + gone, text->size - gone);
    return taken;
}

bool http_has_token(struct bytes value, const char *token)
{
    while (value.size)
        if (http_is(http_trimmed(take_until(&value, ',')), token))
            return true;
    return false;
}

/* "0", "0.75"; a weight that cannot be read is one. */
static unsigned read_weight(struct bytes text)
{
    unsigned weight = 0, unit = HTTP_WEIGHT_MAX;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '.' && i == 1)
            continue;
        if (text.data[i] < '0' || text.data[i] > '9')
            return HTTP_WEIGHT_MAX;
        weight += (unsigned)(text.data[i] - '0') * unit;
        unit /= 10;
    }
    return weight < HTTP_WEIGHT_MAX ? weight : HTTP_WEIGHT_MAX;
}

static unsigned weight_of(struct bytes parameters)
{
    while (parameters.size) {
        struct bytes parameter = http_trimmed(take_until(&parameters, ';'));
        if (parameter.size >= 3 && http_is(bytes_of(parameter.data, 2), "q="))
            return read_weight(bytes_of(parameter.data + 2, parameter.size - 2));
    }
    return HTTP_WEIGHT_MAX;
}

unsigned http_weight(const struct http_request *request, const char *name, const char *word)
{
    struct bytes value = http_field_of(request, name);
    while (value.size) {
        struct bytes parameters = take_until(&value, ',');
        struct bytes item = http_trimmed(take_until(&parameters, ';'));
        if (http_is(item, word))
            return weight_of(parameters);
    }
    return 0;
}

bool http_accepts(const struct http_request *request, const char *name, const char *word)
{
    return http_weight(request, name, word) > 0;
}

bool http_next_segment(struct bytes *path, struct bytes *segment)
{
    if (path->size == 0)
        return false;
    struct bytes behind = bytes_of(path->data + 1, path->size - 1);
    const uint8_t *end = behind.size ? memchr(behind.data, '/', behind.size) : NULL;
    *segment = bytes_of(behind.data, end ? (size_t)(end - behind.data) : behind.size);
    *path = bytes_of(segment->data + segment->size, behind.size - segment->size);
    return true;
}

bool http_next_parameter(struct bytes *query, struct bytes *name, struct bytes *value)
{
    while (query->size) {
        *value = take_until(query, '&');
        if (value->size == 0)
            continue;
        *name = take_until(value, '=');
        return true;
    }
    return false;
}

/* The byte that two digits stand for, the first at `at`; -1: they are not there. */
static int escaped(struct bytes text, size_t at)
{
    if (at + 1 >= text.size)
        return -1;
    int high = http_hex(text.data[at]), low = http_hex(text.data[at + 1]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

bool http_decode(struct bytes text, bool is_query, struct buffer *room, struct bytes *decoded)
{
    static const uint8_t nothing[1];
    *decoded = bytes_of(nothing, 0);
    if (text.size == 0)
        return true;
    uint8_t *begin = buffer_room(room, text.size), *at = begin;
    for (size_t i = 0; i < text.size; i++) {
        int byte = text.data[i];
        if (byte == '%') {
            byte = escaped(text, i + 1);
            i += 2;
        } else if (byte == '+' && is_query) {
            byte = ' ';
        }
        if (byte < 0)
            return false;
        *at++ = (uint8_t)byte;
    }
    *decoded = bytes_of(begin, (size_t)(at - begin));
    buffer_added(room, decoded->size);
    return true;
}

bool http_parameter(struct bytes query, const char *name, struct buffer *room, struct bytes *value)
{
    struct bytes at, found;
    while (http_next_parameter(&query, &at, value)) {
        size_t size = room->size;
        bool is_it = http_decode(at, true, room, &found) && bytes_equal_str(found, name);
        room->size = size; /* the name is of no use any more */
        if (is_it)
            return http_decode(*value, true, room, value);
    }
    return false;
}
