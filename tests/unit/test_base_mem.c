/* Memory: arrays that grow. */
#include "base/mem.h"

#include <malloc.h>
#include <stdint.h>

#include "tests/lib/tap.h"

TEST(an_array_grows_by_doubling)
{
    uint32_t *numbers = NULL;
    size_t capacity = 0, times = 0;
    bool same = true;
    for (size_t i = 0; i < 10000; i++) {
        size_t before = capacity;
        numbers = mem_grow(numbers, &capacity, i + 1, sizeof(*numbers));
        same &= capacity > i && (capacity == before || capacity >= 2 * before);
        times += capacity != before;
        numbers[i] = (uint32_t)i;
    }
    for (size_t i = 0; i < 10000; i++)
        same &= numbers[i] == i;
    ok(same, "there is room, and what was there stays");
    ok(times < 15, "seldom");
    is_int(capacity, 16384, "by powers of two of the first");
    void *as_before = numbers;
    ok(mem_grow(numbers, &capacity, 5, sizeof(*numbers)) == as_before && capacity == 16384,
       "it does not shrink, nor move without need");
    mem_free(numbers);
}

TEST(what_an_array_begins_with)
{
    size_t bytes = 0, large = 0, many = 0, none = 0;
    void *of_bytes = mem_grow(NULL, &bytes, 1, 1);
    void *of_large = mem_grow(NULL, &large, 1, 1000);
    void *of_many = mem_grow(NULL, &many, 1000, 8);
    is_int(bytes, 64, "64 bytes");
    is_int(large, 8, "or 8 elements");
    is_int(many, 1024, "or more, if so many are needed");
    ok(!mem_grow(NULL, &none, 0, 8) && none == 0, "nothing for nothing");
    mem_free(of_bytes);
    mem_free(of_large);
    mem_free(of_many);
}

/* Bytes that were freed and not joined to what lies beside them; 0 if the allocator does not tell. */
static size_t put_off(void)
{
    return mallinfo2().fsmblks;
}

TEST(what_freeing_puts_off)
{
    enum { PIECES = 10000 };
    static void *pieces[PIECES];
    for (size_t i = 0; i < PIECES; i++)
        pieces[i] = mem_alloc(48);
    for (size_t i = 0; i < PIECES; i++)
        mem_free(pieces[i]);
    diag("%zu bytes are put off", put_off());
    mem_settle();
    is_int(put_off(), 0, "nothing is left of it");
}

int main(void)
{
    RUN(an_array_grows_by_doubling);
    RUN(what_an_array_begins_with);
    RUN(what_freeing_puts_off);
    return done();
}
