/* A disk that loses or changes what LevelDB has written: bits flip, files are cut off or are gone,
 * one at a time, in each of LevelDB's files. The store refuses to start and says why, or everything that
 * was promised is there, if need be from the journal; and what is refused can be salvaged. What must never be: that it
 * goes on without a word, with less than it had confirmed or with more.
 *
 * LevelDB alone does not see to that: a bad record in its log is skipped, or ends the log, and what
 * comes after it counts all the same. With SHARE=N one of N times as many. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/fault/rig.h"
#include "tests/lib/tap.h"

enum { FLIPS = 80, CUTS = 25, FILES_MAX = 100, NAME_SIZE = 64, ROUNDS = 14 };

static char top[PATH_MAX - 100];
static char whole[PATH_MAX - 60], damaged[PATH_MAX - 60]; /* the store, and a copy to be damaged */

/* ---- folders ---- */

static void run_command(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void run_command(const char *format, ...)
{
    char command[3 * PATH_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command, sizeof(command), format, arguments);
    va_end(arguments);
    if (system(command) != 0)
        bail("failed: %s", command);
}

static void make_folders(void)
{
    /* In memory, if there is such a place: real syncs would take most of the time. */
    const char *under = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(top, sizeof(top), "%s/leveret-test-XXXXXX", under);
    if (!mkdtemp(top))
        bail("no temporary folder");
    snprintf(whole, sizeof(whole), "%s/whole", top);
    snprintf(damaged, sizeof(damaged), "%s/damaged", top);
}

struct names {
    char name[FILES_MAX][NAME_SIZE];
    size_t count;
};

static bool matters(const char *name)
{
    size_t size = strlen(name);
    return strncmp(name, "MANIFEST-", 9) == 0 || strcmp(name, "CURRENT") == 0 ||
           (size > 4 &&
            (strcmp(name + size - 4, ".log") == 0 || strcmp(name + size - 4, ".ldb") == 0));
}

static void list_index(struct names *names)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/index", whole);
    DIR *entries = opendir(path);
    const struct dirent *entry;
    names->count = 0;
    while (entries && (entry = readdir(entries)))
        if (names->count < FILES_MAX && matters(entry->d_name))
            snprintf(names->name[names->count++], NAME_SIZE, "index/%.50s", entry->d_name);
    if (!entries || closedir(entries) != 0 || names->count < 3)
        bail("no index in %s", path);
}

static uint64_t size_of(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 ? (uint64_t)status.st_size : 0;
}

/* ---- what a disk may do ---- */

enum kind { FLIP, CUT, GONE, ZEROS, APPEND, KINDS };

struct damage {
    enum kind kind;
    uint64_t at;
    uint8_t pattern;
};

/* What may be behind the last record that was synced, after a loss of power: the head of a record,
 * and something else. */
static void append(const char *path, uint8_t pattern)
{
    uint8_t bytes[60] = {1, 2, 3, 4, sizeof(bytes) - 7, 0, 1};
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    memset(bytes + 7, pattern, sizeof(bytes) - 7);
    if (fd < 0 || write(fd, bytes, sizeof(bytes)) != sizeof(bytes))
        bail("%s: %s", path, strerror(errno));
    close(fd);
}

static void change(const char *path, const struct damage *damage)
{
    uint8_t bytes[64] = {0};
    if (damage->kind == APPEND) {
        append(path, damage->pattern);
        return;
    }
    if (damage->kind == GONE) {
        if (unlink(path) != 0)
            bail("%s: %s", path, strerror(errno));
        return;
    }
    if (damage->kind == CUT) {
        if (truncate(path, (off_t)damage->at) != 0)
            bail("%s: %s", path, strerror(errno));
        return;
    }
    int fd = open(path, O_RDWR | O_CLOEXEC);
    ssize_t size = pread(fd, bytes, damage->kind == FLIP ? 1 : sizeof(bytes), (off_t)damage->at);
    if (damage->kind == FLIP)
        bytes[0] ^= damage->pattern;
    else
        memset(bytes, 0, sizeof(bytes));
    if (fd < 0 || size <= 0 || pwrite(fd, bytes, (size_t)size, (off_t)damage->at) != size)
        bail("%s: %s", path, strerror(errno));
    close(fd);
}

/* ---- starting what is left ---- */

enum end { END_REFUSED, END_STOPPED, END_KEPT, END_WRONG, END_ASSERT, END_CRASH, ENDS };

static const char *const end_names[ENDS] = {"refused", "stopped later", "kept",
                                            "wrong",   "assertion",     "crash"};

/* What a start refuses can be salvaged: the journal is sound, so nothing is missing. */
static bool is_salvaged(struct rig *rig)
{
    struct rig_damage damage = {.may_repeat = true, .may_rename = true};
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/index-new", damaged);
    bool is_whole = rig_salvage(rig, kv_leveldb_new(path));
    uint64_t last = rig->store ? store_ticket(rig->store).index - 1 : 0;
    is_whole = is_whole && rig_check_damage(rig, last, &damage);
    if (!is_whole)
        diag("salvage: %s%s", rig->error, rig->fault);
    rig_close(rig);
    is_whole = is_whole && rig_open(rig) && rig_check_damage(rig, last, &damage);
    rig_abandon(rig);
    return is_whole;
}

static enum end use_damaged(struct rig *rig)
{
    enum end end = END_STOPPED;
    rig_move(rig, damaged);
    if (!rig_open(rig)) /* nor does it another time, when LevelDB has tidied what it found */
        return rig->error[0] && !rig_open(rig) && is_salvaged(rig) ? END_REFUSED : END_WRONG;
    if (rig_check_promise(rig))
        end = END_KEPT;
    else if (!store_failure(rig->store))
        end = END_WRONG;
    if (end == END_WRONG)
        diag("%s", rig->fault);
    if (end == END_KEPT) { /* and it goes on */
        rig_put_name(rig, 99);
        rig_wait(rig);
        rig_close(rig);
        if (!rig_open(rig) || !rig_check_promise(rig)) {
            diag("the second time: %s%s", rig->error, rig->fault);
            end = END_WRONG;
        }
    }
    rig_abandon(rig);
    return end;
}

/* In a process of its own, as an assertion of the store may end it. */
static enum end try_damaged(struct rig *rig)
{
    int status;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        enum end end = use_damaged(rig);
        fflush(stdout);
        _exit((int)end);
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        bail("no child process");
    if (WIFSIGNALED(status))
        return WTERMSIG(status) == SIGABRT ? END_ASSERT : END_CRASH;
    return WEXITSTATUS(status) < ENDS ? (enum end)WEXITSTATUS(status) : END_CRASH;
}

static uint64_t ends[ENDS];

/* `name` is under the folder. */
static void damage_one(struct rig *rig, const char *name, const struct damage *damage)
{
    static const char *const kinds[KINDS] = {"flipped", "cut", "gone", "zeros", "torn"};
    char path[PATH_MAX];
    run_command("rm -rf '%s'; cp -r '%s' '%s'", damaged, whole, damaged);
    snprintf(path, sizeof(path), "%s/%s", damaged, name);
    change(path, damage);
    enum end end = try_damaged(rig);
    ends[end]++;
    if (end >= END_WRONG)
        diag("%s: %s at %" PRIu64 " ^ %02x: %s", name, kinds[damage->kind], damage->at,
             damage->pattern, end_names[end]);
}

/* So many places of a file, spread over it; all of it when it is short. */
static uint64_t place(uint64_t size, uint64_t i, uint64_t samples)
{
    return size <= samples ? i : i * size / samples + i * 7919 % (size / samples);
}

static void damage_file(struct rig *rig, const char *name)
{
    const uint64_t flips = FLIPS / share(), cuts = CUTS / share();
    static const uint8_t patterns[] = {0x01, 0x80, 0x10, 0xff};
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", whole, name);
    uint64_t size = size_of(path);
    for (uint64_t i = 0; i < (size < flips ? size : flips); i++)
        damage_one(rig, name, &(struct damage){FLIP, place(size, i, flips), patterns[i % 4]});
    for (uint64_t i = 0; i < (size < cuts ? size : cuts); i++)
        damage_one(rig, name, &(struct damage){CUT, place(size, i, cuts), 0});
    for (uint64_t i = 0; i < (size < cuts ? size : cuts); i++)
        damage_one(rig, name, &(struct damage){ZEROS, place(size, i, cuts), 0});
    damage_one(rig, name, &(struct damage){GONE, 0, 0});
}

static void damage_all(struct rig *rig, const char *what)
{
    struct names names;
    uint64_t runs = 0;
    rig_abandon(rig);
    memset(ends, 0, sizeof(ends));
    run_command("rm -rf '%s'; cp -r '%s' '%s'", damaged, whole, damaged);
    if (!ok(try_damaged(rig) == END_KEPT, "%s: all is there", what))
        return;
    list_index(&names);
    for (size_t i = 0; i < names.count; i++)
        damage_file(rig, names.name[i]);
    for (int end = 0; end < ENDS; end++)
        runs += ends[end];
    ok(ends[END_STOPPED] + ends[END_WRONG] + ends[END_ASSERT] + ends[END_CRASH] == 0 &&
           ends[END_REFUSED] && ends[END_KEPT],
       "%s: %zu files, %" PRIu64 " times damaged: %" PRIu64 " refused, %" PRIu64
       " stopped later, %" PRIu64 " kept all, %" PRIu64 " wrong, %" PRIu64 " assertions, %" PRIu64
       " crashes",
       what, names.count, runs, ends[END_REFUSED], ends[END_STOPPED], ends[END_KEPT],
       ends[END_WRONG], ends[END_ASSERT], ends[END_CRASH]);
}

/* What has never been synced, or is there twice: nothing is lost. */
static void damage_harmlessly(struct rig *rig)
{
    struct names names;
    uint64_t runs = 0;
    list_index(&names);
    memset(ends, 0, sizeof(ends));
    for (size_t i = 0; i < names.count; i++)
        for (unsigned pattern = 0; pattern < 256 && strstr(names.name[i], ".log"); pattern += 51) {
            struct damage torn = {APPEND, 0, (uint8_t)pattern};
            damage_one(rig, names.name[i], &torn);
        }
    damage_file(rig, "anchor");
    for (int end = 0; end < ENDS; end++)
        runs += ends[end];
    ok(runs > 50 / share() && ends[END_KEPT] == runs,
       "the anchor damaged, or the end of the log torn: %" PRIu64 " times nothing is lost", runs);
}

/* ---- what there is to lose ---- */

static void begin(struct rig *rig, uint32_t segment_bytes)
{
    char path[PATH_MAX];
    run_command("rm -rf '%s'", whole);
    snprintf(path, sizeof(path), "%s/index", whole);
    if (mkdir(whole, 0700) != 0 || mkdir(path, 0700) != 0)
        bail("no temporary folder");
    rig_init_real(rig, whole, path);
    rig->options.segment_bytes = segment_bytes;
    rig_work(rig);
}

/* After it, many checkpoints of a long queue are in one log of LevelDB's, and most of what the
 * journal had is gone. */
static void work_on(struct rig *rig)
{
    int a = 0;
    rig->name_padding = 20000; /* the log has several blocks */
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < 12; i++)
            rig_publish(rig, 1u << a, true, 100);
        rig_wait(rig);
        if (round % 3 == 2)
            rig_put_name(rig, (uint32_t)(100 + round));
        for (int i = 0; i < 11; i++)
            rig_take(rig, a, true);
        for (int i = 0; i < 3; i++)
            rig_step(rig, 2600); /* chunks leave memory, a checkpoint */
    }
    rig_wait(rig);
    if (!rig_is_up(rig))
        bail("the work failed: %s", rig->fault);
}

TEST(after_an_end)
{
    struct rig rig;
    begin(&rig, 2048);
    rig_close(&rig);
    damage_all(&rig, "after an orderly end");
    rig_free(&rig);
}

TEST(after_a_kill)
{
    struct rig rig;
    begin(&rig, 2048);
    damage_all(&rig, "after a kill");
    damage_harmlessly(&rig);
    rig_free(&rig);
}

TEST(after_long_work)
{
    struct rig rig;
    begin(&rig, 2048);
    work_on(&rig);
    damage_all(&rig, "after a kill of one that ran long");
    rig_free(&rig);
}

/* In large segments, nothing of the journal goes: what the index lacks is not missed by them. */
TEST(after_long_work_in_one_segment)
{
    struct rig rig;
    begin(&rig, 1u << 20);
    work_on(&rig);
    damage_all(&rig, "after a kill, all in one segment");
    rig_free(&rig);
}

/* The last that happened is a checkpoint that dropped segments: no batch after it knows. */
TEST(after_a_checkpoint)
{
    struct rig rig;
    begin(&rig, 2048);
    work_on(&rig);
    for (int i = 0; i < 4; i++)
        rig_publish(&rig, 1, true, 700);
    rig_wait(&rig);
    while (rig_take(&rig, 0, true))
        continue;
    rig_publish(&rig, 1, true, 700);
    rig_wait(&rig);
    for (int i = 0; i < 3; i++)
        rig_step(&rig, 5100);
    damage_all(&rig, "after a checkpoint");
    rig_free(&rig);
}

int main(void)
{
    make_folders();
    RUN(after_an_end);
    RUN(after_a_kill);
    RUN(after_long_work);
    RUN(after_long_work_in_one_segment);
    RUN(after_a_checkpoint);
    run_command("rm -rf '%s'", top);
    return done();
}
