/* What the daemon's disk asks of the system: whatever it says is durable was synced after it was written,
 * by fdatasync or by the write itself, and names by a sync of their folder. Only the calls show that;
 * what they do is seen when the power goes (tests/kill/power).
 *
 * The calls are written down by observe.c, which this program loads in front of itself. That cannot be
 * done under a sanitizer, which stands there itself. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/disk.h"
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

enum { CALLS_MAX = 4096 };

struct call {
    char kind[16], name[130];
    int fd, flags;
    long long offset;
    unsigned long size;
    long result;
};

static struct call calls[CALLS_MAX];
static size_t call_count;

/* Starts this program again, with the library. */
static void load_observer(const char *program)
{
    char path[PATH_MAX + 16];
    const char *top = getenv("top_builddir");
    snprintf(path, sizeof(path), "%s/tests/fault/observe.so", top ? top : ".");
    if (access(path, R_OK) != 0)
        bail("%s cannot be loaded", path);
    setenv("LD_PRELOAD", path, 1);
    setenv("OBSERVE_LOG", "test_disk_calls.log", 1);
    execl("/proc/self/exe", program, (char *)NULL);
    bail("cannot start again");
}

static void forget_calls(void)
{
    if (truncate(getenv("OBSERVE_LOG"), 0) != 0)
        bail("no log: %s", strerror(errno));
}

static void read_calls(void)
{
    char line[400];
    FILE *log = fopen(getenv("OBSERVE_LOG"), "r");
    if (!log)
        bail("no log: %s", strerror(errno));
    for (call_count = 0; call_count < CALLS_MAX && fgets(line, sizeof(line), log);) {
        struct call *call = &calls[call_count];
        if (sscanf(line, "%15s %d %lld %lu %d %ld %*s %129[^\n]", call->kind, &call->fd,
                   &call->offset, &call->size, &call->flags, &call->result, call->name) == 7)
            call_count++;
    }
    fclose(log);
}

static bool is(const struct call *call, const char *kind, const char *name)
{
    return strcmp(call->kind, kind) == 0 && strcmp(call->name, name) == 0;
}

/* Writes of the file that no later sync covers, and that are no syncs themselves. */
static unsigned uncovered(const char *name)
{
    unsigned count = 0;
    for (size_t i = 0; i < call_count; i++) {
        bool covered = calls[i].flags & RWF_DSYNC;
        if (!is(&calls[i], "write", name) || calls[i].result <= 0)
            continue;
        for (size_t j = i + 1; j < call_count; j++)
            covered |= is(&calls[j], "sync-begin", name) && j + 1 < call_count &&
                       is(&calls[j + 1], "sync-end", name) && calls[j + 1].result == 0;
        count += !covered;
    }
    return count;
}

static unsigned calls_of(const char *kind, const char *name)
{
    unsigned count = 0;
    for (size_t i = 0; i < call_count; i++)
        count += is(&calls[i], kind, name);
    return count;
}

/* ---- a file to write to ---- */

static char folder[PATH_MAX];
static struct disk *disk;
static struct disk_file *file;
static bool was_direct;

static void begin(const char *under)
{
    snprintf(folder, sizeof(folder), "%s/test_disk_calls.XXXXXX", under);
    if (!mkdtemp(folder) || !(disk = disk_posix_new(folder)))
        bail("no folder: %s", strerror(errno));
    if (disk->ops->open(disk, "a", DISK_CREATE, &file) != 0)
        bail("no file");
    forget_calls();
}

static void end(void)
{
    disk->ops->close(file);
    disk->ops->unlink(disk, "a");
    disk->ops->unlink(disk, "b");
    disk_posix_free(disk);
    rmdir(folder);
}

enum { LARGE = 3000001 };

static uint8_t *memory; /* begins like a block */

/* From memory that begins `shift` bytes behind a block. */
static void write_at(bool sync, uint64_t offset, size_t shift, size_t size)
{
    struct iovec parts[] = {{memory + shift, size}};
    int error = (sync ? disk->ops->write_sync : disk->ops->write)(file, parts, 1, offset);
    if (error)
        bail("a write failed: %s", strerror(error));
}

/* All that was written is covered, and something was. */
static void all_covered(const char *what)
{
    read_calls();
    ok(calls_of("write", "a") > 0 && uncovered("a") == 0, "%s: %u writes, %u of them not synced",
       what, calls_of("write", "a"), uncovered("a"));
}

static void sync_after_writes(void)
{
    write_at(false, 0, 0, 100);
    write_at(false, 100, 100, 5000);
    if (disk->ops->sync(file) != 0)
        bail("a sync failed");
    all_covered("writes, then a sync");
}

static void write_and_sync(void)
{
    write_at(true, 0, 0, 100);
    all_covered("a write that syncs");
    was_direct |= calls_of("sync-begin", "a") == 0;
}

static void write_and_sync_after_writes(void)
{
    write_at(false, 0, 0, 100);
    write_at(true, 100, 100, 100);
    all_covered("a write that syncs, behind one that did not");
}

static void write_and_sync_in_pieces(void)
{
    write_at(true, 0, 1, LARGE);
    all_covered("one that is too large for one piece");
}

static void write_and_sync_in_place(void)
{
    write_at(true, 0, 0, 4096 + 10);
    write_at(true, 4096 + 10, 10, 200000);
    all_covered("one from where it lies");
}

static void write_ahead_then_sync(void)
{
    write_at(true, 0, 0, 100);
    write_at(false, 8192, 0, 65536); /* whole blocks, as room for what follows */
    write_at(true, 100, 100, 100);
    all_covered("one in front of whole blocks that were laid out");
}

static void many_parts_and_sync(void)
{
    enum { PARTS = 2500 };
    struct iovec parts[PARTS];
    for (size_t i = 0; i < PARTS; i++)
        parts[i] = (struct iovec){memory + i, 1 + i % 900};
    if (disk->ops->write_sync(file, parts, PARTS, 0) != 0)
        bail("a write failed");
    all_covered("one of more parts than a call takes");
}

static void (*const cases[])(void) = {
    sync_after_writes,       write_and_sync,        write_and_sync_after_writes,
    write_and_sync_in_pieces, write_and_sync_in_place, write_ahead_then_sync,
    many_parts_and_sync,
};

static void run_cases(const char *under)
{
    diag("in %s", under);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        begin(under);
        cases[i]();
        end();
    }
}

TEST(files_are_synced)
{
    run_cases(".");
    if (access("/dev/shm", W_OK) == 0) /* often a file system that has only a page cache */
        run_cases("/dev/shm");
    if (!was_direct)
        skip(1, "no file system here can be written to past its page cache");
}

/* Each of these is durable with the next sync of the folder, which must come to the system. */
TEST(names_are_synced)
{
    begin(".");
    if (disk->ops->rename(disk, "a", "b") != 0 || disk->ops->sync_folder(disk) != 0)
        bail("no rename");
    read_calls();
    size_t at = 0;
    while (at < call_count && !is(&calls[at], "rename", "a b"))
        at++;
    ok(at + 2 < call_count && is(&calls[at + 1], "sync-begin", "/") &&
           is(&calls[at + 2], "sync-end", "/") && calls[at + 2].result == 0,
       "a rename, and a sync of the folder");
    end();
}

int main(int argc, char **argv)
{
    (void)argc;
    if (SANITIZED) {
        skip(1, "a sanitizer stands in front of the system calls itself");
        return done();
    }
    if (!getenv("OBSERVE_LOG"))
        load_observer(argv[0]);
    memory = mem_aligned(DISK_BLOCK, 4 << 20);
    memset(memory, 'x', 4 << 20);
    RUN(files_are_synced);
    RUN(names_are_synced);
    mem_free(memory);
    unlink(getenv("OBSERVE_LOG"));
    return done();
}
