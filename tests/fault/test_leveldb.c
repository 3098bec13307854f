/* The store over the real LevelDB and the real disk, while the system calls under LevelDB fail: each
 * of them once, for a while and for good, with EIO and with ENOSPC. The store goes on or stops; when the
 * fault is over, checkpoints are written again, and after a restart nothing that was promised is gone.
 * And a loss of power: of LevelDB's files only as much is there as was synced.
 *
 * The faults come from shim.c, which this program loads in front of itself. That cannot be done under
 * a sanitizer, which stands there itself. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/fault/rig.h"
#include "tests/lib/tap.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

enum { SAMPLES = 100 };

static void (*arm)(unsigned long at, unsigned long count, int error);
static unsigned long (*calls)(void);
static long (*synced)(const char *name);
static void (*hold_tables)(unsigned ms);
static void (*no_files)(int none);
static char folder[PATH_MAX];

static bool find_shim(void)
{
    *(void **)(&arm) = dlsym(RTLD_DEFAULT, "shim_arm");
    *(void **)(&calls) = dlsym(RTLD_DEFAULT, "shim_calls");
    *(void **)(&synced) = dlsym(RTLD_DEFAULT, "shim_synced");
    *(void **)(&hold_tables) = dlsym(RTLD_DEFAULT, "shim_hold_tables");
    *(void **)(&no_files) = dlsym(RTLD_DEFAULT, "shim_no_files");
    return arm && calls && synced && hold_tables && no_files;
}

/* Starts this program again, with the library. */
static void load_shim(const char *program)
{
    char path[PATH_MAX + 16];
    const char *top = getenv("top_builddir");
    snprintf(path, sizeof(path), "%s/tests/fault/shim.so", top ? top : ".");
    if (getenv("LD_PRELOAD") || access(path, R_OK) != 0)
        bail("%s cannot be loaded", path);
    setenv("LD_PRELOAD", path, 1);
    execl("/proc/self/exe", program, (char *)NULL);
    bail("cannot start again");
}

static void remove_folder(const char *path)
{
    char command[PATH_MAX + 20];
    snprintf(command, sizeof(command), "rm -rf '%s'", path);
    if (system(command) != 0)
        diag("%s is left over", path);
}

static void make_folder(void)
{
    /* In memory, if there is such a place: real syncs would take most of the time. */
    const char *under = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(folder, sizeof(folder), "%s/leveret-test-XXXXXX", under);
    if (!mkdtemp(folder))
        bail("no temporary folder");
}

static void init(struct rig *rig)
{
    char path[PATH_MAX + 8];
    remove_folder(folder);
    snprintf(path, sizeof(path), "%s/index", folder);
    if (mkdir(folder, 0700) != 0)
        bail("no temporary folder");
    rig_init_real(rig, folder, path);
}

struct sums {
    uint64_t runs, bad, stops, refused;
};

/* The fault is over: the store, if it has not stopped, must be able to write a checkpoint again. */
static bool goes_on(struct rig *rig)
{
    if (!rig_is_up(rig) || rig->is_unknown)
        return true;
    uint64_t before = store_stats(rig->store)->checkpoints;
    rig_put_name(rig, 77);
    for (int i = 0; i < 8; i++)
        rig_step(rig, 5100);
    return store_failure(rig->store) || store_stats(rig->store)->checkpoints > before;
}

static void run_one(unsigned long at, unsigned long count, int error, struct sums *sums)
{
    struct rig rig;
    init(&rig);
    rig.is_faulty = true;
    arm(at, count, error);
    rig_work(&rig);
    arm(0, 0, 0);
    sums->refused += !rig.store;
    bool went_on = goes_on(&rig);
    sums->stops += rig.store && store_failure(rig.store);
    if (at % 2)
        rig_close(&rig);
    rig_abandon(&rig);
    bool is_there = !rig.fault[0] && rig_open(&rig) && rig_check_promise(&rig);
    if (!went_on || !is_there) {
        diag("call %lu, %lu calls, error %d: %s %s%s", at, count, error,
             went_on ? "" : "no checkpoint afterwards", rig.fault, rig.error);
        sums->bad++;
    }
    sums->runs++;
    rig_free(&rig);
}

static void run_all(unsigned long total, unsigned long count, int error, const char *name)
{
    struct sums sums = {0};
    unsigned long step = total / SAMPLES + 1;
    for (unsigned long at = 1 + count % step; at <= total; at += step)
        run_one(at, count, error, &sums);
    ok(sums.bad == 0, "%s: %" PRIu64 " runs, %" PRIu64 " broken promises (%" PRIu64
       " stops, %" PRIu64 " times it did not open)", name, sums.runs, sums.bad, sums.stops,
       sums.refused);
}

TEST(leveldb)
{
    struct rig rig;
    init(&rig);
    unsigned long before = calls();
    rig_work(&rig);
    unsigned long total = calls() - before;
    ok(rig_is_up(&rig) && total > 20, "a sound one makes %lu calls", total);
    rig_abandon(&rig);
    ok(rig_open(&rig) && rig_check_promise(&rig), "and keeps its promises: %s%s", rig.error,
       rig.fault);
    rig_free(&rig);
    run_all(total, 1, EIO, "EIO once");
    run_all(total, 1, ENOSPC, "ENOSPC once");
    run_all(total, 7, EIO, "EIO for a while");
    run_all(total, 7, ENOSPC, "ENOSPC for a while");
    run_all(total, ULONG_MAX, ENOSPC, "ENOSPC until the end of the work");
}

/* ---- power ---- */

enum { VALUES = 400, VALUE_SIZE = 4096, HOLD_MS = 1500 };

static void put(struct kv *kv, uint32_t number, bool sync)
{
    static uint8_t value[VALUE_SIZE];
    struct buffer batch = {0};
    memset(value, (int)number, sizeof(value));
    kv_batch_put(&batch, bytes_of(&number, sizeof(number)), bytes_of(value, sizeof(value)));
    if (kv->ops->write(kv, buffer_bytes(&batch), sync) < 0)
        bail("not written: %s", kv->error);
    buffer_free(&batch);
}

/* What a loss of power now leaves of the index, in another folder. */
static void lose_power(const char *from, const char *to)
{
    char command[3 * PATH_MAX];
    char path[2 * PATH_MAX];
    snprintf(command, sizeof(command), "cp -r '%s' '%s'", from, to);
    if (system(command) != 0)
        bail("no copy");
    DIR *entries = opendir(to);
    const struct dirent *entry;
    while (entries && (entry = readdir(entries))) {
        if (entry->d_name[0] == '.')
            continue;
        long size = synced(entry->d_name);
        snprintf(path, sizeof(path), "%s/%s", to, entry->d_name);
        if (size < 0 ? unlink(path) != 0 : truncate(path, size) != 0)
            bail("%s: %s", path, strerror(errno));
    }
    if (!entries || closedir(entries) != 0)
        bail("no folder %s", to);
}

static uint32_t count_values(struct kv *kv)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < VALUES; i++) {
        struct buffer value = {0};
        found += kv->ops->get(kv, bytes_of(&i, sizeof(i)), &value) == 1 &&
                 value.size == VALUE_SIZE && value.data[0] == (uint8_t)i;
        buffer_free(&value);
    }
    return found;
}

/* A buffer is full, and its table not yet written: what is in the log before the current one must be
 * durable with a synced write, too. */
TEST(sync_means_all)
{
    char index[PATH_MAX + 8], copy[PATH_MAX + 8];
    remove_folder(folder);
    snprintf(index, sizeof(index), "%s/index", folder);
    snprintf(copy, sizeof(copy), "%s/copy", folder);
    if (mkdir(folder, 0700) != 0 || mkdir(index, 0700) != 0)
        bail("no temporary folder");
    struct kv *kv = kv_leveldb_new(index);
    if (kv->ops->open(kv) < 0)
        bail("not opened: %s", kv->error);
    hold_tables(HOLD_MS);
    for (uint32_t i = 0; i < VALUES; i++)
        put(kv, i, i + 1 == VALUES);
    lose_power(index, copy);
    hold_tables(0);
    kv_leveldb_free(kv);
    kv = kv_leveldb_new(copy);
    uint32_t found = kv->ops->open(kv) == 0 ? count_values(kv) : 0;
    is_int(found, VALUES, "values that were written before a synced one (%s)", kv->error);
    kv_leveldb_free(kv);
}

/* It is not opened where that would end half-way; what is missing is said, as it is not bytes. */
TEST(no_more_files)
{
    char index[PATH_MAX + 8];
    struct buffer batch = {0};
    remove_folder(folder);
    snprintf(index, sizeof(index), "%s/index", folder);
    if (mkdir(folder, 0700) != 0 || mkdir(index, 0700) != 0)
        bail("no temporary folder");
    struct kv *kv = kv_leveldb_new(index);
    if (kv->ops->open(kv) < 0)
        bail("not opened: %s", kv->error);
    put(kv, 0, true);
    kv_batch_put(&batch, bytes_str("key"), bytes_str("value"));
    arm(1, 1, ENOSPC);
    ok(kv->ops->write(kv, buffer_bytes(&batch), true) < 0, "a write fails: %s", kv->error);
    no_files(1);
    ok(kv->ops->write(kv, buffer_bytes(&batch), true) < 0, "so does the next one");
    ok(strstr(kv->error, "df -i") != NULL, "which says what is missing: %s", kv->error);
    no_files(0);
    ok(kv->ops->write(kv, buffer_bytes(&batch), true) == 0, "with room for files it is written");
    buffer_free(&batch);
    kv_leveldb_free(kv);
}

int main(int argc, char **argv)
{
    (void)argc;
    if (SANITIZED) {
        skip(1, "a sanitizer stands in front of the system calls itself");
        return done();
    }
    if (!find_shim())
        load_shim(argv[0]);
    make_folder();
    RUN(leveldb);
    RUN(sync_means_all);
    RUN(no_more_files);
    remove_folder(folder);
    return done();
}
