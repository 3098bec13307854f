/* Objects of the API: whole, by columns, and as values to sort by. */
#include "api/fields.h"

#include <stdio.h>
#include <stdlib.h>

#include "api/order.h"
#include "base/random.h"
#include "tests/lib/tap.h"

static void write_example(struct fields *fields)
{
    fields_begin(fields, '{');
    fields_string(fields, "name", "q");
    fields_whole(fields, "messages", 7);
    if (fields_open(fields, "message_stats", '{')) {
        if (fields_open(fields, "publish_details", '{')) {
            fields_fraction(fields, "rate", 0.5);
            fields_close(fields, '}');
        }
        fields_whole(fields, "publish", 3);
        fields_close(fields, '}');
    }
    if (fields_open(fields, "consumers", '[')) {
        for (uint64_t i = 1; i <= 2; i++) {
            fields_begin(fields, '{');
            fields_whole(fields, "prefetch", i);
            fields_flag(fields, "active", i == 1);
            fields_end(fields, '}');
        }
        fields_close(fields, ']');
    }
    fields_null(fields, "policy");
    fields_end(fields, '}');
}

static void is_written(const char *columns_text, const char *expected)
{
    struct columns columns;
    struct buffer out = {0};
    bool is_read = columns_read(&columns, bytes_str(columns_text));
    struct fields fields = fields_of(&out, &columns);
    write_example(&fields);
    ok(is_read && bytes_equal_str(buffer_bytes(&out), expected), "columns '%s': %.*s", columns_text,
       BYTES_ARG(buffer_bytes(&out)));
    buffer_free(&out);
}

TEST(columns_are_chosen)
{
    is_written("",
               "{\"name\":\"q\",\"messages\":7,\"message_stats\":{\"publish_details\":{\"rate\":0."
               "5},\"publish\":3},\"consumers\":[{\"prefetch\":1,\"active\":true},{\"prefetch\":2,"
               "\"active\":false}],\"policy\":null}");
    is_written("messages,name", "{\"name\":\"q\",\"messages\":7}");
    is_written("message_stats.publish_details.rate",
               "{\"message_stats\":{\"publish_details\":{\"rate\":0.5}}}");
    is_written("message_stats.publish,message_stats",
               "{\"message_stats\":{\"publish_details\":{\"rate\":0.5},\"publish\":3}}");
    is_written("consumers.active", "{\"consumers\":[{\"active\":true},{\"active\":false}]}");
    is_written("nothing,name.of,,policy", "{\"policy\":null}");
}

TEST(columns_are_bounded)
{
    struct columns columns;
    ok(columns_read(&columns, bytes_str("a.b.c.d.e.f.g.h")), "eight names");
    ok(!columns_read(&columns, bytes_str("a.b.c.d.e.f.g.h.i")), "not nine");
    char many[2 * COLUMNS_MAX + 2] = "";
    for (size_t i = 0; i < COLUMNS_MAX; i++)
        memcpy(many + 2 * i, "a,", 3);
    ok(columns_read(&columns, bytes_str(many)) && columns.count == COLUMNS_MAX, "63 columns");
    struct buffer out = {0};
    struct fields fields = fields_of(&out, &columns);
    write_example(&fields);
    ok(bytes_equal_str(buffer_bytes(&out), "{}"), "choose what they name");
    memcpy(many + 2 * COLUMNS_MAX, "a", 2);
    ok(!columns_read(&columns, bytes_str(many)), "not 64");
    buffer_free(&out);
}

/* ---- order ---- */

static void sort_key(struct buffer *out, const char *path, double number, const char *text)
{
    struct columns columns;
    columns_read(&columns, bytes_str(path));
    out->size = 0;
    struct fields fields = fields_sort_key(out, &columns);
    fields_begin(&fields, '{');
    if (text)
        fields_string(&fields, "value", text);
    else
        fields_fraction(&fields, "value", number);
    fields_end(&fields, '}');
}

TEST(values_have_an_order)
{
    static const double numbers[] = {-1e300, -2, -1, -0.5, 0, 0.25, 1, 255, 256, 1e300};
    struct buffer last = {0}, next = {0};
    bool rises = true;
    sort_key(&last, "value", numbers[0], NULL);
    for (size_t i = 1; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        sort_key(&next, "value", numbers[i], NULL);
        rises &= bytes_compare(buffer_bytes(&last), buffer_bytes(&next)) < 0;
        struct buffer swap = last;
        last = next;
        next = swap;
    }
    ok(rises, "numbers");
    sort_key(&next, "missing", 0, "a");
    ok(bytes_compare(buffer_bytes(&last), buffer_bytes(&next)) < 0, "before what is not there");
    sort_key(&last, "value", 0, "");
    ok(bytes_compare(buffer_bytes(&next), buffer_bytes(&last)) < 0, "which is before texts");
    sort_key(&next, "value", 0, "a");
    ok(bytes_compare(buffer_bytes(&last), buffer_bytes(&next)) < 0, "which are in order");
    buffer_free(&last);
    buffer_free(&next);
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(a, b);
}

enum { NAMES = 3000, NAME_SIZE = 16 };

/* Names of which many begin with the same bytes. */
static void draw_names(char names[NAMES][NAME_SIZE])
{
    struct random random;
    random_init(&random, 7);
    for (int i = 0; i < NAMES; i++)
        snprintf(names[i], NAME_SIZE, "%.*s%u", (int)random_below(&random, 10), "aaaaaaaaaa",
                 (unsigned)random_below(&random, 100000));
}

TEST(strings_come_in_order)
{
    static char names[NAMES][NAME_SIZE];
    struct order order = {0};
    struct bytes taken;
    draw_names(names);
    for (int i = 0; i < NAMES; i++)
        order_add(&order, bytes_of(NULL, 0), bytes_str(names[i]));
    qsort(names, NAMES, NAME_SIZE, by_bytes);
    int same = 0;
    while (same < NAMES && order_take(&order, &taken) && bytes_equal_str(taken, names[same]))
        same++;
    ok(same == NAMES && !order_take(&order, &taken), "all, in order");
    order_free(&order);
    order.is_reversed = true;
    for (int i = 0; i < NAMES; i++)
        order_add(&order, bytes_of(names[i], 1), bytes_str(names[i]));
    bool falls = true;
    uint8_t last = 0xff;
    for (int i = 0; i < NAMES && order_take(&order, &taken); i++) {
        falls &= taken.data[0] <= last;
        last = taken.data[0];
    }
    ok(falls && order.count == 0, "or the other way round, by the first string");
    order_free(&order);
}

/* Those that are the same come any number of times. */
static bool are_first(struct order *order, char names[NAMES][NAME_SIZE], size_t count)
{
    struct bytes taken;
    size_t same = 0;
    while (same < count && order_take(order, &taken) && bytes_equal_str(taken, names[same]))
        same++;
    return same == count;
}

TEST(the_first_strings_are_kept)
{
    static char names[NAMES][NAME_SIZE];
    static const size_t limits[] = {1, 100, ORDER_LIMIT_MAX};
    draw_names(names);
    for (size_t i = 0; i < 3; i++) {
        struct order order = {.limit = limits[i]};
        for (int j = 0; j < NAMES; j++)
            order_add(&order, bytes_of(NULL, 0), bytes_str(names[j]));
        ok(order.count < 2 * ORDER_LIMIT_MAX, "few of %d are kept", NAMES);
        qsort(names, NAMES, NAME_SIZE, by_bytes);
        ok(are_first(&order, names, limits[i]), "the first %zu", limits[i]);
        order_free(&order);
        draw_names(names);
    }
}

TEST(strings_of_any_bytes_have_an_order)
{
    static const struct {
        const char *first;
        size_t size;
    } firsts[] = {{"", 1}, {"\0\0", 2}, {"\0\1", 2}, {"a", 1}, {"a\0", 2}, {"a\0b", 3},
                  {"ab", 2}, {"\xff", 1}, {"\xff\0", 2}};
    enum { FIRSTS = sizeof(firsts) / sizeof(firsts[0]) };
    for (int reversed = 0; reversed < 2; reversed++) {
        struct order order = {.is_reversed = reversed};
        struct bytes taken;
        bool is_right = true;
        for (size_t i = 0; i < 2 * FIRSTS; i++) {
            uint8_t second[2] = {(uint8_t)(i * 7 % FIRSTS), (uint8_t)(i / FIRSTS)};
            order_add(&order, bytes_of(firsts[second[0]].first, firsts[second[0]].size),
                      bytes_of(second, 2));
        }
        for (size_t i = 0; i < 2 * FIRSTS && order_take(&order, &taken); i++)
            is_right &= taken.data[0] == (reversed ? FIRSTS - 1 - i / 2 : i / 2) &&
                        taken.data[1] == i % 2;
        ok(is_right && order.count == 0, "in order, and the same in that of what follows");
        order_free(&order);
    }
}

int main(void)
{
    RUN(columns_are_chosen);
    RUN(columns_are_bounded);
    RUN(values_have_an_order);
    RUN(strings_come_in_order);
    RUN(the_first_strings_are_kept);
    RUN(strings_of_any_bytes_have_an_order);
    return done();
}
