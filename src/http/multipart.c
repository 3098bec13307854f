#include "http/multipart.h"

#include "http/text.h"

/* RFC 2046 allows boundaries of so many bytes. */
enum { BOUNDARY_MAX = 70, DELIMITER_MAX = BOUNDARY_MAX + 4 };

static struct bytes behind(struct bytes text, size_t size)
{
    return size < text.size ? bytes_of(text.data + size, text.size - size) : bytes_of(text.data, 0);
}

/* The number of bytes before the first `byte`; all, where there is none. */
static size_t size_before(struct bytes text, char byte)
{
    const uint8_t *found = text.size ? memchr(text.data, byte, text.size) : NULL;
    return found ? (size_t)(found - text.data) : text.size;
}

/* What is in quotes, or stands before the next semicolon. */
static struct bytes take_value(struct bytes *rest)
{
    bool is_quoted = rest->size && rest->data[0] == '"';
    if (is_quoted)
        *rest = behind(*rest, 1);
    struct bytes value = bytes_of(rest->data, size_before(*rest, is_quoted ? '"' : ';'));
    *rest = behind(*rest, value.size + is_quoted);
    return is_quoted ? value : http_trimmed(value);
}

/* The parameter of that name of a field's value: `type; name="value"; other=value`. */
static bool find_parameter(struct bytes field, const char *name, struct bytes *value)
{
    struct bytes rest = behind(field, size_before(field, ';') + 1);
    while (rest.size) {
        size_t size = size_before(rest, '=');
        struct bytes found = http_trimmed(bytes_of(rest.data, size));
        rest = behind(rest, size + 1);
        *value = take_value(&rest);
        if (http_is(found, name))
            return true;
        rest = behind(rest, size_before(rest, ';') + 1);
    }
    return false;
}

bool http_is_form(const struct http_request *request)
{
    struct bytes type = http_field_of(request, "content-type");
    return http_is(http_trimmed(bytes_of(type.data, size_before(type, ';'))), "multipart/form-data");
}

/* What stands between two parts, with the end of the line before it. False: the type does not say. */
static bool find_delimiter(const struct http_request *request, char room[DELIMITER_MAX],
                           struct bytes *delimiter)
{
    struct bytes boundary;
    if (!find_parameter(http_field_of(request, "content-type"), "boundary", &boundary) ||
        boundary.size == 0 || boundary.size > BOUNDARY_MAX)
        return false;
    memcpy(room, "\r\n--", 4);
    memcpy(room + 4, boundary.data, boundary.size);
    *delimiter = bytes_of(room, boundary.size + 4);
    return true;
}

/* Takes what stands before `end`, and that too. False: it is not there. */
static bool take_before(struct bytes *rest, struct bytes end, struct bytes *taken)
{
    const uint8_t *found =
        rest->size >= end.size ? memmem(rest->data, rest->size, end.data, end.size) : NULL;
    if (!found)
        return false;
    *taken = bytes_of(rest->data, (size_t)(found - rest->data));
    *rest = behind(*rest, taken->size + end.size);
    return true;
}

/* The name of the field that a part is, by the lines before its content. */
static bool is_field(struct bytes head, const char *name)
{
    struct bytes line, found;
    while (head.size && take_before(&head, bytes_str("\r\n"), &line)) {
        size_t size = size_before(line, ':');
        if (http_is(bytes_of(line.data, size), "content-disposition") &&
            find_parameter(behind(line, size + 1), "name", &found))
            return bytes_equal_str(found, name);
    }
    return false;
}

bool http_form_field(const struct http_request *request, const char *name, struct bytes *value)
{
    char room[DELIMITER_MAX];
    struct bytes delimiter, rest = request->body, line, head;
    if (!find_delimiter(request, room, &delimiter))
        return false;
    /* The first one may be the first line. */
    struct bytes first = behind(delimiter, 2);
    if (rest.size >= first.size && memcmp(rest.data, first.data, first.size) == 0)
        rest = behind(rest, first.size);
    else if (!take_before(&rest, delimiter, &line))
        return false;
    while (!bytes_start_with(rest, "--") && take_before(&rest, bytes_str("\r\n"), &line)) {
        struct bytes part = rest;
        if (!take_before(&rest, delimiter, value) ||
            !take_before(&part, bytes_str("\r\n\r\n"), &head) || head.size + 4 > value->size)
            return false;
        /* Its last line ended with what the content begins behind. */
        if (is_field(bytes_of(head.data, head.size + 2), name)) {
            *value = behind(*value, head.size + 4);
            return true;
        }
    }
    return false;
}
