/* What an answer is put into. */
#include "http/response.h"

#include <stdio.h>
#include <time.h>

struct status {
    int number;
    const char *name;
    const char *error; /* in a body of JSON */
};

static const struct status *status_of(int number)
{
    static const struct status all[] = {
        {200, "OK", ""},
        {201, "Created", ""},
        {202, "Accepted", ""},
        {204, "No Content", ""},
        {301, "Moved Permanently", ""},
        {302, "Found", ""},
        {303, "See Other", ""},
        {304, "Not Modified", ""},
        {307, "Temporary Redirect", ""},
        {400, "Bad Request", "bad_request"},
        {401, "Unauthorized", "not_authorised"},
        {403, "Forbidden", "forbidden"},
        {404, "Not Found", "not_found"},
        {405, "Method Not Allowed", "method_not_allowed"},
        {406, "Not Acceptable", "not_acceptable"},
        {408, "Request Timeout", "request_timeout"},
        {409, "Conflict", "conflict"},
        {411, "Length Required", "length_required"},
        {412, "Precondition Failed", "precondition_failed"},
        {413, "Request Entity Too Large", "payload_too_large"},
        {414, "Request-URI Too Long", "uri_too_long"},
        {415, "Unsupported Media Type", "unsupported_media_type"},
        {417, "Expectation Failed", "expectation_failed"},
        {422, "Unprocessable Entity", "unprocessable_entity"},
        {429, "Too Many Requests", "too_many_requests"},
        {431, "Request Header Fields Too Large", "header_fields_too_large"},
        {500, "Internal Server Error", "internal_server_error"},
        {501, "Not Implemented", "not_implemented"},
        {502, "Bad Gateway", "bad_gateway"},
        {503, "Service Unavailable", "service_unavailable"},
        {505, "HTTP Version Not Supported", "http_version_not_supported"},
    };
    static const struct status other = {0, "Status", "error"};
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
        if (all[i].number == number)
            return &all[i];
    return &other;
}

const char *http_status_name(int status)
{
    return status_of(status)->name;
}

bool http_status_has_body(int status)
{
    return status >= 200 && status != 204 && status != 304;
}

void http_write_bytes(struct output_pool *pool, struct output *output, struct bytes bytes)
{
    if (bytes.size == 0)
        return;
    memcpy(output_room(pool, output, bytes.size), bytes.data, bytes.size);
    output_added(output, bytes.size);
}

static void write_text(struct output_pool *pool, struct output *output, const char *text)
{
    http_write_bytes(pool, output, bytes_str(text));
}

/* "date: Sun, 06 Nov 1994 08:49:37 GMT". */
static void write_date(struct output_pool *pool, struct output *output, uint64_t clock_ms)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t seconds = (time_t)(clock_ms / 1000);
    struct tm tm;
    char line[80];
    gmtime_r(&seconds, &tm);
    snprintf(line, sizeof(line), "date: %.3s, %02d %.3s %d %02d:%02d:%02d GMT\r\n",
             days + (ptrdiff_t)tm.tm_wday * 3, tm.tm_mday, months + (ptrdiff_t)tm.tm_mon * 3,
             tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
    write_text(pool, output, line);
}

static void write_end(struct output_pool *pool, struct output *output,
                      const struct http_response *response)
{
    char line[64];
    if (response->end == HTTP_BODY_CHUNKED) {
        write_text(pool, output, "transfer-encoding: chunked\r\n");
    } else if (response->end == HTTP_BODY_SIZED) {
        snprintf(line, sizeof(line), "content-length: %zu\r\n", response->size);
        write_text(pool, output, line);
    }
    if (response->is_gzip)
        write_text(pool, output, "content-encoding: gzip\r\n");
    if (response->closes)
        write_text(pool, output, "connection: close\r\n");
    else if (response->is_1_0)
        write_text(pool, output, "connection: keep-alive\r\n");
}

void http_write_head(struct output_pool *pool, struct output *output,
                     const struct http_response *response)
{
    const struct http_head *head = response->head;
    char line[64];
    snprintf(line, sizeof(line), "HTTP/1.1 %d %s\r\n", head->status,
             http_status_name(head->status));
    write_text(pool, output, line);
    write_end(pool, output, response);
    if (head->type && response->end != HTTP_BODY_NONE) {
        write_text(pool, output, "content-type: ");
        write_text(pool, output, head->type);
        write_text(pool, output, "\r\n");
    }
    if (response->clock_ms)
        write_date(pool, output, response->clock_ms);
    http_write_bytes(pool, output, buffer_bytes(&head->fields));
    write_text(pool, output, "\r\n");
}

void http_write_chunk(struct output_pool *pool, struct output *output, struct bytes bytes)
{
    char line[32];
    snprintf(line, sizeof(line), "%zx\r\n", bytes.size);
    write_text(pool, output, line);
    http_write_bytes(pool, output, bytes);
    write_text(pool, output, "\r\n");
}

void http_write_last_chunk(struct output_pool *pool, struct output *output)
{
    write_text(pool, output, "0\r\n\r\n");
}

void http_write_error(struct output_pool *pool, struct output *output, int status,
                      const char *reason, bool has_body, uint64_t clock_ms)
{
    char body[256];
    int size = snprintf(body, sizeof(body), "{\"error\":\"%s\",\"reason\":\"%s\"}",
                        status_of(status)->error, reason);
    const struct http_head head = {.status = status, .type = "application/json"};
    http_write_head(pool, output,
                    &(struct http_response){.head = &head,
                                            .end = HTTP_BODY_SIZED,
                                            .size = (size_t)size,
                                            .closes = true,
                                            .clock_ms = clock_ms});
    if (has_body)
        http_write_bytes(pool, output, bytes_of(body, (size_t)size));
}
