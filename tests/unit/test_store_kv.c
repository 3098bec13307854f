/* Batches, and LevelDB behind its one file: what is written is found again, after a restart too,
 * and after a write that failed. */
#include "store/kv.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "tests/lib/tap.h"

TEST(batch_round_trip)
{
    struct buffer batch = {0};
    struct cursor cursor;
    struct bytes key, value;
    bool put;
    kv_batch_put(&batch, bytes_str("apple"), bytes_str("red"));
    kv_batch_delete(&batch, bytes_str("pear"));
    kv_batch_put(&batch, bytes_str(""), bytes_str(""));
    cursor = cursor_of(buffer_bytes(&batch));
    ok(kv_batch_next(&cursor, &put, &key, &value) && put, "a put");
    ok(bytes_equal_str(key, "apple") && bytes_equal_str(value, "red"), "with key and value");
    ok(kv_batch_next(&cursor, &put, &key, &value) && !put, "a delete");
    ok(bytes_equal_str(key, "pear") && value.size == 0, "with a key alone");
    ok(kv_batch_next(&cursor, &put, &key, &value) && put, "a put of nothing");
    ok(key.size == 0 && value.size == 0, "under no name");
    ok(!kv_batch_next(&cursor, &put, &key, &value), "the end");
    ok(!cursor.bad, "without complaint");
    buffer_free(&batch);
}

TEST(batch_that_lies)
{
    struct buffer batch = {0};
    struct bytes key, value;
    bool put;
    kv_batch_put(&batch, bytes_str("apple"), bytes_str("red"));
    for (size_t size = 1; size < batch.size; size++) {
        struct cursor cursor = cursor_of(bytes_of(batch.data, size));
        ok(!kv_batch_next(&cursor, &put, &key, &value) && cursor.bad, "cut at %zu", size);
    }
    batch.data[0] = 9;
    struct cursor cursor = cursor_of(buffer_bytes(&batch));
    ok(!kv_batch_next(&cursor, &put, &key, &value) && cursor.bad, "an unknown tag");
    buffer_free(&batch);
}

struct place {
    char path[64];
    struct kv *kv;
};

static struct place place_new(void)
{
    struct place place = {.path = "test_store_kv.XXXXXX"};
    if (!mkdtemp(place.path))
        bail("mkdtemp: %s", strerror(errno));
    place.kv = kv_leveldb_new(place.path);
    if (place.kv->ops->open(place.kv) < 0)
        bail("open: %s", place.kv->error);
    return place;
}

static void place_free(struct place *place)
{
    char command[128];
    kv_leveldb_free(place->kv);
    snprintf(command, sizeof(command), "rm -rf '%s'", place->path);
    is_int(system(command), 0, "removed");
}

static void reopen(struct place *place)
{
    kv_leveldb_free(place->kv);
    place->kv = kv_leveldb_new(place->path);
    is_int(place->kv->ops->open(place->kv), 0, "opened again");
}

static int put(struct kv *kv, const char *key, const char *value, bool sync)
{
    struct buffer batch = {0};
    kv_batch_put(&batch, bytes_str(key), bytes_str(value));
    int result = kv->ops->write(kv, buffer_bytes(&batch), sync);
    buffer_free(&batch);
    return result;
}

/* The value's text, in a buffer of the function's; NULL when there is none, "!" for an error. */
static const char *get(struct kv *kv, const char *key)
{
    static char text[256];
    struct buffer value = {0};
    int found = kv->ops->get(kv, bytes_str(key), &value);
    snprintf(text, sizeof(text), "%.*s", BYTES_ARG(buffer_bytes(&value)));
    buffer_free(&value);
    return found < 0 ? "!" : found ? text : NULL;
}

TEST(write_and_get)
{
    struct place place = place_new();
    struct buffer batch = {0};
    is_int(put(place.kv, "a", "1", false), 0, "an unsynced write");
    is_int(put(place.kv, "b", "2", true), 0, "a synced one");
    is_str(get(place.kv, "a"), "1", "the first is there");
    is_str(get(place.kv, "c"), NULL, "what was never written is not");
    kv_batch_delete(&batch, bytes_str("a"));
    kv_batch_put(&batch, bytes_str("b"), bytes_str("3"));
    kv_batch_put(&batch, bytes_str("b"), bytes_str("4"));
    is_int(place.kv->ops->write(place.kv, buffer_bytes(&batch), true), 0, "a batch of three");
    is_str(get(place.kv, "a"), NULL, "deleted");
    is_str(get(place.kv, "b"), "4", "the last put counts");
    reopen(&place);
    is_str(get(place.kv, "a"), NULL, "still deleted");
    is_str(get(place.kv, "b"), "4", "still there");
    struct buffer value = {0};
    buffer_add(&value, "x", 1);
    is_int(place.kv->ops->get(place.kv, bytes_str("b"), &value), 1, "found");
    is_bytes(value.data, value.size, "x4", 2, "a value is appended");
    buffer_free(&value);
    buffer_free(&batch);
    place_free(&place);
}

struct seen {
    char names[64];
    int left;
};

static bool see(void *context, struct bytes key, struct bytes value)
{
    struct seen *seen = context;
    size_t used = strlen(seen->names);
    snprintf(seen->names + used, sizeof(seen->names) - used, "%.*s=%.*s;", BYTES_ARG(key),
             BYTES_ARG(value));
    return --seen->left > 0;
}

TEST(scan)
{
    struct place place = place_new();
    put(place.kv, "b2", "y", false);
    put(place.kv, "a", "w", false);
    put(place.kv, "b1", "x", false);
    put(place.kv, "c", "z", false);
    struct seen seen = {.left = 100};
    is_int(place.kv->ops->scan(place.kv, bytes_str("b"), bytes_of(NULL, 0), see, &seen), 0,
           "by a prefix");
    is_str(seen.names, "b1=x;b2=y;", "in order, and no further");
    seen = (struct seen){.left = 100};
    place.kv->ops->scan(place.kv, bytes_str(""), bytes_of(NULL, 0), see, &seen);
    is_str(seen.names, "a=w;b1=x;b2=y;c=z;", "without a prefix: all");
    seen = (struct seen){.left = 2};
    place.kv->ops->scan(place.kv, bytes_str(""), bytes_of(NULL, 0), see, &seen);
    is_str(seen.names, "a=w;b1=x;", "until the caller has seen enough");
    place_free(&place);
}

/* No file may grow beyond a limit, so that writing fails as on a full disk; then it is lifted. */
TEST(a_failed_write_is_got_over)
{
    struct place place = place_new();
    static char large[200001];
    memset(large, 'x', sizeof(large) - 1);
    signal(SIGXFSZ, SIG_IGN);
    is_int(put(place.kv, "before", "1", false), 0, "written before the failure");
    struct rlimit was, limit;
    getrlimit(RLIMIT_FSIZE, &was);
    limit = was;
    limit.rlim_cur = 100000;
    setrlimit(RLIMIT_FSIZE, &limit);
    is_int(put(place.kv, "large", large, true), -1, "a write that does not fit fails");
    ok(place.kv->error[0] != '\0', "and says why: %s", place.kv->error);
    is_int(put(place.kv, "small", "2", true), -1, "there is no room to open anew");
    diag("%s", place.kv->error);
    is_str(get(place.kv, "before"), "1", "but what there is can be read");
    setrlimit(RLIMIT_FSIZE, &was);
    is_int(put(place.kv, "after", "3", true), 0, "with room again, writing works");
    is_str(get(place.kv, "before"), "1", "what was there stayed");
    is_str(get(place.kv, "large"), NULL, "what failed did not come");
    reopen(&place);
    is_str(get(place.kv, "before"), "1", "also after a restart");
    is_str(get(place.kv, "after"), "3", "and what came later");
    place_free(&place);
}

TEST(no_place)
{
    struct kv *kv = kv_leveldb_new("test_store_kv.nowhere/index");
    is_int(kv->ops->open(kv), -1, "a folder that cannot be made is an error");
    ok(kv->error[0] != '\0', "with a reason: %s", kv->error);
    is_str(get(kv, "a"), "!", "and nothing can be read");
    kv_leveldb_free(kv);
    kv_leveldb_free(NULL);
}

int main(void)
{
    RUN(batch_round_trip);
    RUN(batch_that_lies);
    RUN(write_and_get);
    RUN(scan);
    RUN(a_failed_write_is_got_over);
    RUN(no_place);
    return done();
}
