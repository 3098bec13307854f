/* How the load generator reads what it is asked for: URIs, rates, names, tables, options. */
#include <string.h>

#include "amqp/properties.h"
#include "amqp/table.h"
#include "perf/arguments.h"
#include "perf/names.h"
#include "perf/options.h"
#include "perf/schedule.h"
#include "perf/uri.h"
#include "tests/lib/tap.h"
#include "tests/lib/amqp_more.h"

TEST(a_whole_uri)
{
    struct uri uri;
    ok(uri_read("amqp://me:p%40ss@broker.example:5673/my%2fhost", &uri), "is read");
    is_str(uri.user, "me", "user");
    is_str(uri.password, "p@ss", "password");
    is_str(uri.host, "broker.example", "host");
    is_str(uri.port, "5673", "port");
    is_str(uri.vhost, "my/host", "vhost");
    ok(!uri.tls, "without TLS");
}

TEST(what_a_uri_leaves_out)
{
    struct uri uri;
    ok(uri_read("amqp://", &uri), "everything");
    is_str(uri.host, "localhost", "host");
    is_str(uri.port, "5672", "port");
    is_str(uri.vhost, "/", "vhost");
    is_str(uri.user, "guest", "user");
    ok(uri_read("amqps://h/?verify=no", &uri) && uri.tls, "TLS");
    is_str(uri.port, "5671", "its port");
    is_str(uri.vhost, "", "a path of / alone is the empty vhost");
    ok(uri_read("amqp://[::1]:7/", &uri), "an IPv6 address");
    is_str(uri.host, "::1", "without brackets");
    is_str(uri.port, "7", "and its port");
}

TEST(what_is_no_uri)
{
    static const char *const wrong[] = {"http://h",
                                        "h:5672",
                                        "amqp://h:x",
                                        "amqp://h:0",
                                        "amqp://h:65536",
                                        "amqp://[::1",
                                        "amqp://h/%zz",
                                        "amqp://h/%2",
                                        "amqp://u%00@h",
                                        "amqp://[::1]x",
                                        ""};
    struct uri uri;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        ok(!uri_read(wrong[i], &uri), "'%s'", wrong[i]);
}

TEST(a_steady_rate)
{
    struct schedule schedule;
    struct schedule_walk walk;
    ok(schedule_read("1000", &schedule), "is read");
    schedule_start(&walk, &schedule);
    is_int(schedule_due_ns(&walk, 0), 0, "the first at once");
    is_int(schedule_due_ns(&walk, 1), 1000000, "the second a millisecond later");
    is_int(schedule_due_ns(&walk, 5000), 5000000000, "and so on");
    is_int((int)schedule_total(&schedule, 2.5), 2500, "so many in all");
}

TEST(rates_in_turn)
{
    struct schedule schedule;
    struct schedule_walk walk;
    ok(schedule_read("100:1,0:2,50:2", &schedule), "are read");
    schedule_start(&walk, &schedule);
    is_int(schedule_due_ns(&walk, 99) / 1000000, 990, "the last of the first step");
    is_int(schedule_due_ns(&walk, 100) / 1000000, 3000, "then the pause is over");
    is_int(schedule_due_ns(&walk, 199) / 1000000, 4980, "the last of the third");
    is_int(schedule_due_ns(&walk, 200) / 1000000, 5000, "and the first again");
    is_int((int)schedule_total(&schedule, 6), 300, "so many in all");
}

TEST(what_is_no_rate)
{
    static const char *const wrong[] = {"",   "0",   "x",    "-1",  "5,6",    "5:1,6",
                                        "5:", "5:0", "5:1,", "nan", "0:1,0:2"};
    struct schedule schedule;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        ok(!schedule_read(wrong[i], &schedule), "'%s'", wrong[i]);
}

TEST(names)
{
    struct options options = {
        .queue_pattern = "q-%d.%x", .queue_from = 5, .queues = 10, .producers = 4};
    char name[NAME_MAX_SIZE];
    char longest[600];
    is_str(queue_name(&options, 2, name), "q-7.%x", "a queue");
    is_str(key_name(&options, NULL, 2, 1, 0, name), "q-7.%x", "its key, if no other is given");
    is_str(key_name(&options, "%p/%q/%m%", 2, 1, 9, name), "1/7/9%", "a key");
    memset(longest, 'a', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    options.queue_pattern = longest;
    is_int(strlen(queue_name(&options, 0, name)), 255, "cut at 255 bytes");
}

TEST(every_queue_has_one_producer_or_more)
{
    struct options options = {.queue_pattern = "%d", .queues = 10, .producers = 4, .exchange = ""};
    bool used[10] = {false};
    uint32_t total = 0;
    for (uint32_t p = 0; p < 4; p++)
        for (uint32_t i = 0; i < producer_queues(&options, p); i++, total++)
            used[producer_queue(&options, p, i)] = true;
    is_int(total, 10, "each queue once");
    for (int i = 0; i < 10; i++)
        if (!used[i])
            ok(false, "queue %d", i);
    options.queues = 3;
    is_int(producer_queues(&options, 3), 1, "more producers than queues");
    is_int(producer_queue(&options, 3, 0), 0, "share them");
    options.queues = 0;
    is_int(producer_queue(&options, 3, 0), 0, "without queues");
}

TEST(arguments)
{
    struct buffer table = {0};
    int64_t number;
    struct bytes text;
    bool flag;
    ok(arguments_read("x-max-length=10,x-overflow=drop-head,x-single-active-consumer=true", &table),
       "are read");
    struct bytes bytes = buffer_bytes(&table);
    ok(table_check(bytes), "well-formed");
    ok(table_find_integer(bytes, "x-max-length", &number) && number == 10, "a number");
    ok(table_find_string(bytes, "x-overflow", &text) && bytes_equal_str(text, "drop-head"), "text");
    ok(table_find_bool(bytes, "x-single-active-consumer", &flag) && flag, "a bool");
    ok(arguments_read("{a:i32 5}", &table), "more, in the other form");
    ok(table_find_integer(buffer_bytes(&table), "a", &number) && number == 5, "are appended");
    ok(!arguments_read("a", &table) && !arguments_read("=1", &table) &&
           !arguments_read("{a", &table),
       "what is none is refused");
    buffer_free(&table);
}

TEST(properties)
{
    struct buffer headers = {0};
    struct buffer out = {0};
    struct properties properties;
    char error[200];
    arguments_read("k=v", &headers);
    uint8_t priority = 7;
    ok(properties_build("content-type=text/plain headers={j:i32 1} priority=2",
                        buffer_bytes(&headers), true, &priority, &out, error, sizeof(error)),
       "are built");
    ok(properties_read(buffer_bytes(&out), &properties) == PROPERTIES_OK, "and read again");
    ok(bytes_equal_str(properties.content_type, "text/plain"), "content-type");
    is_int(properties.delivery_mode, 2, "delivery mode");
    is_int(properties.priority, 7, "the priority that was given beside the text");
    int64_t number;
    struct bytes text;
    ok(table_find_integer(properties.headers, "j", &number) &&
           table_find_string(properties.headers, "k", &text),
       "headers of both kinds");
    buffer_free(&out);
    ok(!properties_build("nonsense=1", bytes_of(NULL, 0), false, NULL, &out, error, sizeof(error)),
       "what is none is refused: %s", error);
    buffer_free(&headers);
    buffer_free(&out);
}

static bool read_options(struct options *options, int count, const char *const *arguments)
{
    char error[OPTIONS_ERROR_MAX];
    char *copies[8];
    for (int i = 0; i < count; i++)
        copies[i] = (char *)(uintptr_t)arguments[i];
    return options_read(options, count, copies, error, sizeof(error));
}

TEST(options)
{
    struct options options;
    const char *const some[] = {"leveretperf", "latency",      "--rate=500", "--size",
                                "1k-2K",       "--persistent", "--prefetch", "10"};
    ok(read_options(&options, 8, some), "are read");
    is_int(options.mode, MODE_LATENCY, "the mode");
    is_int(options.size_min, 1024, "the least size");
    is_int(options.size_max, 2048, "the largest");
    ok(options.durable, "persistent messages want durable queues");
    is_int(options.ack_every, 1, "a prefetch wants acknowledgements");
    ok(options.seconds > 0, "without a count there is a time");
    options_free(&options);
    const char *const levels[] = {"leveretperf", "--priorities=2", "--reject", "--keys=3"};
    ok(read_options(&options, 4, levels), "are read");
    is_int(options.ack_every, 1, "rejecting wants acknowledgements to put it in the place of");
    for (uint32_t level = 0; level <= 2; level++) {
        struct properties properties;
        properties_read(options_properties(&options, level), &properties);
        is_int(properties.priority, level, "a priority");
        is_int(producer_level(&options, 0, 27 + 3 * level + 2), level, "and who has it");
    }
    options_free(&options);
    const char *const none[] = {"leveretperf", "--count"};
    ok(!read_options(&options, 2, none), "a value that is missing is refused");
    options_free(&options);
}

int main(void)
{
    RUN(a_whole_uri);
    RUN(what_a_uri_leaves_out);
    RUN(what_is_no_uri);
    RUN(a_steady_rate);
    RUN(rates_in_turn);
    RUN(what_is_no_rate);
    RUN(names);
    RUN(every_queue_has_one_producer_or_more);
    RUN(arguments);
    RUN(properties);
    RUN(options);
    return done();
}
