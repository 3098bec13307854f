/* Records of the log, and the lines that they become. */
#include "base/log_line.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "tests/lib/tap.h"

struct lines {
    int count;
    enum log_level level;
    char last[LOG_LINE_MAX + 1];
    char json[LOG_WHOLE_MAX + 1];
};

static void keep_line(void *context, const struct log_record *record)
{
    struct lines *lines = context;
    lines->count++;
    lines->level = record->level;
    if (log_line_text(record, lines->last) != strlen(lines->last))
        bail("the size of %s", lines->last);
    lines->json[log_line_whole(record, LOG_STYLE_JSON, 1732187330123, lines->json)] = '\0';
}

TEST(log_lines)
{
    struct lines lines = {0};
    struct log log = {LOG_LEVEL_INFO, keep_line, &lines};
    log_event(&log, EVENT_tls_established, "peer=%s", "hidden");
    is_int(lines.count, 0, "below the level");
    log_event(&log, EVENT_login_refused, "user=%s code=%u", "a\nb\x1b[0m", 7u);
    is_str(lines.last, "login_refused user=\"a\\x0ab\\x1b[0m\" code=7",
           "control characters do not get through");
    is_int(lines.level, LOG_LEVEL_WARNING, "with its level");
    log_event(NULL, EVENT_login_refused, "user=%s", "dropped");
    log.sink = NULL;
    log_event(&log, EVENT_login_refused, "user=%s", "dropped");
    is_int(lines.count, 1, "without a sink, nothing");
}

TEST(log_values)
{
    struct lines lines = {0};
    struct log log = {LOG_LEVEL_INFO, keep_line, &lines};
    log_event(&log, EVENT_login_refused, "user=%s", "a b=c \"d\" \\e");
    is_str(lines.last, "login_refused user=\"a b=c \\\"d\\\" \\\\e\"", "quoted by what is in it");
    log_event(&log, EVENT_login_refused, "user=%s peer=%.*s code=%.2s", "", 3, "abcdef", "xyz");
    is_str(lines.last, "login_refused user=\"\" peer=abc code=xy", "nothing, and parts of texts");
    log_event(&log, EVENT_starting, "a=%d b=%u c=%ld d=%lu e=%lld f=%llu g=%zu", -1, 4294967295u,
              -2L, 3UL, -4LL, 18446744073709551615ULL, (size_t)5);
    is_str(lines.last, "starting a=-1 b=4294967295 c=-2 d=3 e=-4 f=18446744073709551615 g=5",
           "numbers of all lengths");
}

TEST(log_pairs)
{
    struct lines lines = {0};
    struct log log = {LOG_LEVEL_INFO, keep_line, &lines};
    log_event_pairs(&log, EVENT_store_stats, "syncs=7 longest_step=none log2_us=1,2");
    is_str(lines.last, "store_stats syncs=7 longest_step=none log2_us=1,2", "pairs that were made before");
    ok(strstr(lines.json, "\"syncs\":7,") && strstr(lines.json, "\"longest_step\":\"none\""),
       "of which a number is one: %s", lines.json);
    log_event_pairs(&log, EVENT_store_stats, "");
    is_str(lines.last, "store_stats", "none");
}

TEST(log_long)
{
    struct lines lines = {0};
    struct log log = {LOG_LEVEL_INFO, keep_line, &lines};
    char text[2001];
    memset(text, 'x', 2000);
    text[2000] = '\0';
    log_event(&log, EVENT_login_refused, "user=%s", text);
    is_int(strlen(lines.last), LOG_LINE_MAX, "cut");
    is_str(lines.last + LOG_LINE_MAX - 5, "xx...", "and says so");
    for (int i = 900; i < 1000; i++) {
        text[i] = '"';
        log_event(&log, EVENT_login_refused, "user=%s more=%u", text, 1U);
        size_t size = strlen(lines.last);
        if (size > LOG_LINE_MAX || strcmp(lines.last + size - 4, "\"...") != 0)
            bail("%d: %zu bytes", i, size);
    }
    ok(true, "a quoted value keeps its end");
}

/* What begins every object of this time. */
#define OF(level, category, event)                                                                 \
    "{\"time\":\"2024-11-21T11:08:50.123Z\",\"level\":\"" level "\",\"category\":\"" category              \
    "\",\"msg\":\"" event "\""

TEST(log_json)
{
    struct lines lines = {0};
    struct log log = {LOG_LEVEL_DEBUG, keep_line, &lines};
    log_event(&log, EVENT_connection_opened, "connection=%llu peer=%s user=%.*s", 7ULL, "a:1", 2,
              "bob");
    is_str(lines.json,
           OF("info", "connection", "connection_opened") ",\"connection\":7,\"peer\":\"a:1\",\"user\":"
                                                         "\"bo\"}\n",
           "numbers are numbers");
    log_event(&log, EVENT_starting, "at=10.0.0.1:%u reason=\"no %s, or %d\" n=%d empty=%s", 5U,
              "\"thing\"", 2, -3, "");
    is_str(lines.json,
           OF("info", "default", "starting") ",\"at\":\"10.0.0.1:5\",\"reason\":\"no \\\"thing\\\", or 2\","
                                             "\"n\":-3,\"empty\":\"\"}\n",
           "what is only partly a number is text, as is what only looks like one");
    is_str(lines.last, "starting at=10.0.0.1:5 reason=\"no \\\"thing\\\", or 2\" n=-3 empty=\"\"",
           "the same as text");
    log_event(&log, EVENT_starting, "%s=%zu x=%s", "line", (size_t)3, "12");
    is_str(lines.json, OF("info", "default", "starting") ",\"line\":3,\"x\":\"12\"}\n",
           "names may be made, and digits of others are text");
}

/* Whatever a peer says, a line stays one line of UTF-8. */
TEST(log_injection)
{
    struct lines lines = {0};
    struct log log = {LOG_LEVEL_DEBUG, keep_line, &lines};
    log_event(&log, EVENT_starting, "user=%s", "\xff\xc3\n\xc2\x9b\x7fgr\xc3\xbc\"}\\");
    is_str(lines.json, OF("info", "default", "starting") ",\"user\":\"\xef\xbf\xbd\xef\xbf\xbd\\u000a\\u009b"
                                                         "\\u007fgr\xc3\xbc\\\"}\\\\\"}\n",
           "in JSON");
    is_str(lines.last, "starting user=\"\\xff\\xc3\\x0a\\xc2\\x9b\\x7fgr\xc3\xbc\\\"}\\\\\"",
           "as text");
    log_event(&log, EVENT_starting, "user=%s", "gr\xc3\xbc");
    is_str(lines.last, "starting user=gr\xc3\xbc", "what can be read is not quoted");
    char text[256];
    for (int i = 0; i < 255; i++)
        text[i] = (char)(i + 1);
    text[255] = '\0';
    for (int from = 0; from < 255; from++) {
        log_event(&log, EVENT_starting, "a=%s b=%s", text + from, text);
        size_t size = strlen(lines.json);
        if (!utf8_is_valid(bytes_str(lines.json)) || !utf8_is_valid(bytes_str(lines.last)) ||
            strchr(lines.json, '\n') != lines.json + size - 1 || strchr(lines.last, '\n'))
            bail("%s%s", lines.json, lines.last);
    }
    ok(true, "all bytes");
}

/* Quotes outside of texts, and braces, are in balance: enough for what has no other structure. */
static bool is_whole(const char *json)
{
    bool in_text = false;
    size_t size = strlen(json), quotes = 0;
    for (const char *at = json; *at; at++) {
        if (in_text && *at == '\\')
            at++;
        else if (*at == '"')
            in_text = !in_text, quotes++;
    }
    return !in_text && quotes % 2 == 0 && json[0] == '{' && strcmp(json + size - 2, "}\n") == 0;
}

TEST(log_json_long)
{
    struct lines lines = {0};
    struct log log = {LOG_LEVEL_DEBUG, keep_line, &lines};
    char text[1201];
    for (int with = 0; with < 3; with++) {
        memset(text, "x\1\""[with], 1200);
        for (int size = 0; size <= 1200; size++) {
            log_event(&log, EVENT_starting, "user=%.*s more=%u last=%s", size, text, 77U, "end");
            bool is_cut = strstr(lines.json, ",\"cut\":true}\n");
            bool is_all = strstr(lines.json, ",\"more\":77,\"last\":\"end\"}\n");
            if (!is_whole(lines.json) || is_cut == is_all || strlen(lines.json) > LOG_WHOLE_MAX)
                bail("%d bytes: %s", size, lines.json);
        }
        ok(strstr(lines.json, "\"cut\":true}\n"), "cut, and says so");
    }
    log_event(&log, EVENT_starting, "a=%d a=%d a=%d a=%d a=%d a=%d a=%d a=%d a=%d a=%d a=%d a=%d "
              "a=%d a=%d a=%d a=%d a=%d a=%d a=%d a=%d a=%d a=%d a=%d a=%d a=%d", 1, 2, 3, 4, 5, 6,
              7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25);
    ok(strstr(lines.json, "\"a\":24,\"cut\":true}\n") && strstr(lines.last, " a=24..."),
       "too many pairs: %s", lines.last);
}

TEST(log_priorities)
{
    static const enum log_level levels[] = {LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING,
                                            LOG_LEVEL_ERROR};
    struct log_record record = {.event = "x", .category = LOG_CATEGORY_DEFAULT};
    char line[LOG_WHOLE_MAX + 1];
    for (int i = 0; i < 4; i++) {
        record.level = levels[i];
        line[log_line_whole(&record, LOG_STYLE_PRIORITY, 0, line)] = '\0';
        ok(line[0] == '<' && line[1] == "7643"[i] && strstr(line, ">1970-01-01T00:00:00.000Z "),
           "of %s", log_level_name(levels[i]));
    }
}

TEST(log_levels)
{
    enum log_level level = LOG_LEVEL_DEBUG;
    ok(!log_level_read("loud", &level), "no such level");
    for (int i = LOG_LEVEL_DEBUG; i <= LOG_LEVEL_ERROR; i++)
        ok(log_level_read(log_level_name((enum log_level)i), &level) && (int)level == i,
           "%s is read", log_level_name((enum log_level)i));
}

int main(void)
{
    RUN(log_lines);
    RUN(log_values);
    RUN(log_pairs);
    RUN(log_long);
    RUN(log_json);
    RUN(log_injection);
    RUN(log_json_long);
    RUN(log_priorities);
    RUN(log_levels);
    return done();
}
