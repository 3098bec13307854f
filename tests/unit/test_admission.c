/* Who may connect: so many at a time from an address, and so many in a second. */
#include "net/admission.h"

#include "tests/lib/tap.h"

static struct admission admission;
static struct admission_options options;

static struct address address_of(const char *text)
{
    struct endpoint endpoint;
    struct address addresses[ENDPOINT_ADDRESSES_MAX];
    size_t count;
    endpoint_read(text, 0, &endpoint);
    endpoint_addresses(&endpoint, addresses, &count);
    return addresses[0];
}

static struct visitor *enter(const char *text, bool may_come)
{
    struct visitor *visitor = NULL;
    struct address address = address_of(text);
    ok(admission_enter(&admission, &options, &address, &visitor) == may_come, "%s %s", text,
       may_come ? "comes" : "is too much");
    return may_come ? visitor : NULL;
}

TEST(of_an_address)
{
    admission_init(&admission, 7);
    options = (struct admission_options){.per_address = 2};
    struct visitor *first = enter("192.0.2.1:1000", true), *second = enter("192.0.2.1:1001", true);
    enter("192.0.2.1:1002", false);
    struct visitor *other = enter("192.0.2.2:1000", true);
    admission_leave(&admission, first);
    struct visitor *third = enter("192.0.2.1:1003", true);
    enter("192.0.2.1:1004", false);
    options.per_address = 0;
    struct visitor *fourth = enter("192.0.2.1:1005", true);
    options.per_address = 3;
    enter("192.0.2.1:1006", false);
    struct visitor *all[] = {second, other, third, fourth, NULL};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        admission_leave(&admission, all[i]);
    is_int(map_count(&admission.visitors), 0, "who has gone is not remembered");
    options.per_address = 1;
    first = enter("[2001:db8::1]:1", true);
    enter("[2001:db8::ffff:1]:1", false);
    second = enter("[2001:db8:0:1::1]:1", true);
    admission_leave(&admission, first);
    admission_leave(&admission, second);
    admission_free(&admission);
}

/* How many may come within so many milliseconds, asked for each. */
static unsigned come(uint64_t from_ms, uint64_t to_ms)
{
    unsigned count = 0;
    for (uint64_t now_ms = from_ms; now_ms < to_ms; now_ms++)
        while (admission_may_take(&admission, &options, now_ms)) {
            admission_took(&admission);
            count++;
        }
    return count;
}

TEST(in_a_second)
{
    admission_init(&admission, 7);
    options = (struct admission_options){0};
    ok(admission_may_take(&admission, &options, 5), "without a limit any");
    options.per_second = 10;
    is_int(come(1000, 1001), 10, "as many at once");
    ok(!admission_may_take(&admission, &options, 1001), "and no more");
    is_int(admission_next_ms(&admission, &options), 1100, "before it is time");
    ok(!admission_may_take(&admission, &options, 1099), "which is");
    ok(admission_may_take(&admission, &options, 1100), "not earlier");
    is_int(come(1100, 3100), 20, "then so many in each second");
    is_int(come(60000, 60001), 10, "a quiet minute is as good as a quiet second");
    options.per_second = 3;
    unsigned count = come(60001, 70001);
    ok(count == 30, "a second that cannot be divided evenly: %u in ten", count);
    admission_took(&admission);
    options.per_second = 0;
    ok(admission_may_take(&admission, &options, 70002), "the limit is gone");
    admission_free(&admission);
}

int main(void)
{
    RUN(of_an_address);
    RUN(in_a_second);
    return done();
}
