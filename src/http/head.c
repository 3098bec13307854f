/* Strict where two readers might differ, as a proxy before us may be the other one: a line ends
 * with CR LF, nothing stands between a field's name and its colon, no field goes on in the next
 * line, and what there must be one of may not come twice. */
#include "http/head.h"

#include "http/text.h"

static struct http_fault fault(int status, const char *reason)
{
    return (struct http_fault){status, reason};
}

static bool is_token(struct bytes text)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];
        uint8_t letter = byte | 0x20;
        bool is_word = (letter >= 'a' && letter <= 'z') || (byte >= '0' && byte <= '9');
        if (!is_word && !memchr(others, byte, sizeof(others) - 1))
            return false;
    }
    return text.size > 0;
}

/* ---- the first line ---- */

static enum http_method method_of(struct bytes name)
{
    enum http_method method = 0;
    while (method < HTTP_OTHER && !bytes_equal_str(name, http_method_name(method)))
        method++;
    return method;
}

/* Takes what stands before the next space, and it. False: there is none. */
static bool take_word(struct bytes *line, struct bytes *word)
{
    const uint8_t *end = line->size ? memchr(line->data, ' ', line->size) : NULL;
    if (!end)
        return false;
    *word = bytes_of(line->data, (size_t)(end - line->data));
    *line = bytes_of(end + 1, line->size - word->size - 1);
    return true;
}

/* "http://HOST" may stand before the path, as a proxy is asked; false: it is wrong. */
static bool take_origin(struct bytes *target)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < 2; i++) {
        size_t size = strlen(schemes[i]);
        if (target->size < size || !http_is(bytes_of(target->data, size), schemes[i]))
            continue;
        size_t end = size;
        while (end < target->size && target->data[end] != '/' && target->data[end] != '?')
            end++;
        *target = bytes_of(target->data + end, target->size - end);
        return end > size;
    }
    return false;
}

static bool are_visible(struct bytes target)
{
    for (size_t i = 0; i < target.size; i++)
        if (target.data[i] <= ' ' || target.data[i] == 0x7F || target.data[i] == '#')
            return false;
    return target.size > 0;
}

static struct http_fault take_target(struct http_request *request, struct bytes target)
{
    static const uint8_t root[] = "/";
    bool is_server = request->method == HTTP_OPTIONS && bytes_equal_str(target, "*");
    if (!are_visible(target))
        return fault(400, "the target of the request is empty, or has bytes that none can have");
    if (target.data[0] != '/' && !is_server && !take_origin(&target))
        return fault(400, "the target of the request is no path and no URL");
    const uint8_t *query = target.size ? memchr(target.data, '?', target.size) : NULL;
    request->path = target;
    request->query = (struct bytes){0};
    if (query) {
        request->path.size = (size_t)(query - target.data);
        request->query = bytes_of(query + 1, target.size - request->path.size - 1);
    }
    if (request->path.size == 0)
        request->path = bytes_of(root, 1);
    return fault(0, NULL);
}

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

/* All of 1.x is 1.1 to us, but for 1.0. */
static struct http_fault take_version(struct http_request *request, struct bytes version)
{
    if (version.size != 8 || !bytes_start_with(version, "HTTP/") || !is_digit(version.data[5]) ||
        version.data[6] != '.' || !is_digit(version.data[7]))
        return fault(400, "the first line does not end with HTTP/1.1");
    if (version.data[5] != '1')
        return fault(505, "this is a server of HTTP/1.1");
    request->is_1_0 = version.data[7] == '0';
    return fault(0, NULL);
}

struct http_fault http_head_line(struct http_request *request, struct bytes line)
{
    struct bytes method, target;
    if (!take_word(&line, &method) || !is_token(method))
        return fault(400, "the first line does not begin with a method");
    if (!take_word(&line, &target))
        return fault(400, "the first line has no version");
    struct http_fault wrong = take_version(request, line);
    if (wrong.status)
        return wrong;
    request->method = method_of(method);
    return take_target(request, target);
}

/* ---- the fields ---- */

static struct http_fault take_field(struct http_request *request, struct bytes line)
{
    const uint8_t *colon = memchr(line.data, ':', line.size);
    if (http_is_space(line.data[0]))
        return fault(400, "a field goes on in a second line");
    if (!colon || !is_token(bytes_of(line.data, (size_t)(colon - line.data))))
        return fault(400, "a field is not a name, a colon, and a value");
    if (request->field_count == HTTP_FIELDS_MAX)
        return fault(431, "there are more than 64 fields");
    struct http_field *field = &request->fields[request->field_count++];
    field->name = bytes_of(line.data, (size_t)(colon - line.data));
    field->value = http_trimmed(bytes_of(colon + 1, line.size - field->name.size - 1));
    return fault(0, NULL);
}

/* Takes a line off, and its end; a head has nothing but whole lines. */
static struct bytes take_line(struct bytes *head)
{
    const uint8_t *end = memchr(head->data, '\n', head->size);
    size_t size = (size_t)(end - head->data);
    struct bytes line = bytes_of(head->data, size - 1);
    *head = bytes_of(end + 1, head->size - size - 1);
    return line;
}

static size_t count_of(const struct http_request *request, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < request->field_count; i++)
        count += http_is(request->fields[i].name, name);
    return count;
}

static bool has_connection(const struct http_request *request, const char *token)
{
    for (size_t i = 0; i < request->field_count; i++)
        if (http_is(request->fields[i].name, "connection") &&
            http_has_token(request->fields[i].value, token))
            return true;
    return false;
}

static struct http_fault check_singles(const struct http_request *request)
{
    static const char *const singles[] = {"content-length", "transfer-encoding", "content-type",
                                          "authorization", "expect"};
    for (size_t i = 0; i < sizeof(singles) / sizeof(*singles); i++)
        if (count_of(request, singles[i]) > 1)
            return fault(400, "a field comes twice of which there can be one only");
    return fault(0, NULL);
}

static struct http_fault check_host(const struct http_request *request)
{
    size_t count = count_of(request, "host");
    struct bytes host = http_field_of(request, "host");
    if (count > 1 || (count == 0 && !request->is_1_0))
        return fault(400, "there must be one field with the name of the host");
    for (size_t i = 0; i < host.size; i++)
        if (host.data[i] <= ' ' || strchr("/?#@,\\", host.data[i]))
            return fault(400, "the name of the host has bytes that none can have");
    return fault(0, NULL);
}

struct http_fault http_head_read(struct http_request *request, struct bytes head)
{
    struct http_fault wrong = http_head_line(request, take_line(&head));
    request->field_count = 0;
    for (struct bytes line = take_line(&head); !wrong.status && line.size; line = take_line(&head))
        wrong = take_field(request, line);
    if (!wrong.status)
        wrong = check_singles(request);
    if (!wrong.status)
        wrong = check_host(request);
    request->keeps = !has_connection(request, "close") &&
                     (!request->is_1_0 || has_connection(request, "keep-alive"));
    return wrong;
}

/* ---- how long the body is ---- */

static struct http_fault read_length(struct bytes text, uint64_t *size)
{
    *size = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (!is_digit(text.data[i]))
            return fault(400, "the content-length is no number");
        if (*size > UINT64_MAX / 100)
            return fault(413, "the body is too large");
        *size = *size * 10 + (uint64_t)(text.data[i] - '0');
    }
    return text.size ? fault(0, NULL) : fault(400, "the content-length is no number");
}

struct http_fault http_head_framing(const struct http_request *request,
                                    struct http_framing *framing)
{
    struct bytes coding = http_field_of(request, "transfer-encoding");
    struct bytes length = http_field_of(request, "content-length");
    struct bytes expect = http_field_of(request, "expect");
    *framing = (struct http_framing){.is_chunked = coding.data};
    if (expect.data && !http_is(expect, "100-continue"))
        return fault(417, "nothing can be expected but 100-continue");
    if (coding.data && length.data)
        return fault(400, "a body is either chunked or has a content-length");
    if (coding.data && request->is_1_0)
        return fault(400, "HTTP/1.0 has no transfer-encoding");
    if (coding.data && !http_is(coding, "chunked"))
        return fault(501, "the transfer-encoding can be chunked only");
    return length.data ? read_length(length, &framing->size) : fault(0, NULL);
}
