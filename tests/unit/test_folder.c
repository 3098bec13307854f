/* The data folder: where it is, how it is made, and that one process at a time has it. */
#include "folder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "tests/lib/tap.h"

static char place[] = "test_folder.XXXXXX";

static void default_is(const char *wanted, const char *why)
{
    char *path = folder_default();
    is_str(path, wanted, "%s", why);
    mem_free(path);
}

TEST(where)
{
    unsetenv("STATE_DIRECTORY");
    unsetenv("XDG_STATE_HOME");
    unsetenv("HOME");
    default_is(NULL, "without a home there is no place");
    setenv("HOME", "/home/hare", 1);
    default_is("/home/hare/.local/state/leveret", "the user's state");
    setenv("XDG_STATE_HOME", "relative", 1);
    default_is("/home/hare/.local/state/leveret", "which must be absolute where it is named");
    setenv("XDG_STATE_HOME", "/state", 1);
    default_is("/state/leveret", "and is elsewhere then");
    setenv("STATE_DIRECTORY", "", 1);
    default_is("/state/leveret", "an empty name is none");
    setenv("STATE_DIRECTORY", "/var/lib/leveret", 1);
    default_is("/var/lib/leveret", "a service has its own");
    setenv("STATE_DIRECTORY", "/var/lib/leveret:/var/lib/other", 1);
    default_is("/var/lib/leveret", "the first, if there are several");
}

TEST(making)
{
    struct stat status;
    char *one = folder_join(place, "one");
    char *deep = folder_join(place, "a/b/c");
    char *file = folder_join(place, "file");
    is_int(folder_make(one, false), 0, "made");
    stat(one, &status);
    is_int(status.st_mode & 0777, 0700, "for its owner alone");
    is_int(folder_make(one, false), 0, "it may be there");
    is_int(folder_make(deep, false), ENOENT, "those above it must be");
    is_int(folder_make(deep, true), 0, "unless they are to be made");
    is_int(stat(deep, &status), 0, "and are");
    fclose(fopen(file, "w"));
    is_int(folder_make(file, false), ENOTDIR, "a file is no folder");
    mem_free(one);
    mem_free(deep);
    mem_free(file);
}

/* What another process gets: 0 for the lock; 1 and the text on the test's output. */
static int lock_elsewhere(bool create, const char *wanted)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        char error[256];
        int lock = folder_lock(place, create, error, sizeof(error));
        _exit(lock >= 0 ? 0 : strcmp(error, wanted) == 0 ? 1 : 2);
    }
    waitpid(child, &status, 0);
    return WEXITSTATUS(status);
}

static void put_file(const char *name)
{
    char *path = folder_join(place, name);
    fclose(fopen(path, "w"));
    mem_free(path);
}

TEST(contents)
{
    char name[64] = "";
    char *folder = folder_join(place, "contents");
    is_int(folder_make(folder, false), 0, "a folder");
    is_int(folder_look(folder, name, sizeof(name)), FOLDER_EMPTY, "with nothing in it");
    put_file("contents/lost+found");
    put_file("contents/lock");
    is_int(folder_look(folder, name, sizeof(name)), FOLDER_EMPTY, "nothing that counts");
    put_file("contents/journal-1");
    is_int(folder_look(folder, name, sizeof(name)), FOLDER_FOREIGN, "something else");
    is_str(name, "journal-1", "with this name");
    put_file("contents/journal-0000000007");
    is_int(folder_look(folder, name, sizeof(name)), FOLDER_STORE, "and a store");
    put_file("contents/unfinished");
    is_int(folder_look(folder, name, sizeof(name)), FOLDER_UNFINISHED, "that is not whole");
    ok(!folder_is_empty(folder), "it is not empty");
    char *index = folder_join(folder, "index");
    is_int(folder_make(index, false), 0, "with an index");
    put_file("contents/index/CURRENT");
    folder_drop_copy(folder);
    is_int(folder_look(folder, name, sizeof(name)), FOLDER_FOREIGN, "which goes, but for the rest");
    is_str(name, "journal-1", "of this name");
    char *file = folder_join(folder, name);
    remove(file);
    ok(folder_is_empty(folder), "what the file system has there does not count");
    mem_free(file);
    mem_free(index);
    mem_free(folder);
}

static void write_mark(const char *text)
{
    char *path = folder_join(place, "left/unfinished");
    FILE *file = fopen(path, "w");
    fputs(text, file);
    fclose(file);
    mem_free(path);
}

TEST(left_over)
{
    char name[64] = "", error[400];
    char *folder = folder_join(place, "left");
    char *index = folder_join(folder, "index");
    is_int(folder_make(folder, false), 0, "a folder");
    ok(!folder_is_left_over(folder), "an empty one is not left over");
    put_file("left/lost+found");
    ok(!folder_is_left_over(folder), "nor with what the file system has there");
    put_file("left/lock");
    ok(folder_is_left_over(folder), "a lock alone is");
    write_mark("");
    ok(folder_is_left_over(folder), "and so is a mark that was not written yet");
    folder_refuse_unfinished(folder, error, sizeof(error));
    ok(strstr(error, "restore into this folder again"), "it says: %s", error);
    put_file("left/journal-0000000001");
    ok(!folder_is_left_over(folder), "but not with a part of a store");
    write_mark("backup\n");
    ok(!folder_is_left_over(folder), "which may be a backup in the making");
    folder_refuse_unfinished(folder, error, sizeof(error));
    ok(strstr(error, "make the copy again"), "it says: %s", error);
    write_mark("restore\n");
    is_int(folder_make(index, false), 0, "an index");
    put_file("left/index/CURRENT");
    ok(folder_is_left_over(folder), "a restore's is");
    folder_refuse_unfinished(folder, error, sizeof(error));
    ok(strstr(error, "restore into this folder again"), "it says: %s", error);
    put_file("left/letter");
    ok(!folder_is_left_over(folder), "but not with anything else");
    char *letter = folder_join(folder, "letter");
    remove(letter);
    folder_empty_copy(folder);
    ok(folder_is_left_over(folder), "emptied, it still says so");
    is_int(folder_look(folder, name, sizeof(name)), FOLDER_UNFINISHED, "by the mark");
    folder_drop_copy(folder);
    ok(folder_is_empty(folder), "until that goes as well");
    mem_free(letter);
    mem_free(index);
    mem_free(folder);
}

TEST(lock)
{
    char error[256];
    char wanted[256];
    int lock = folder_lock(place, false, error, sizeof(error));
    ok(lock < 0 && error[0] == '\0', "who only looks makes no lock file");
    lock = folder_lock(place, true, error, sizeof(error));
    ok(lock >= 0, "the first gets it");
    snprintf(wanted, sizeof(wanted),
             "%s is in use by another leveretd, process %ld; stop that one first, or name another "
             "folder",
             place, (long)getpid());
    is_int(lock_elsewhere(true, wanted), 1, "the second is told who has it");
    is_int(lock_elsewhere(false, wanted), 1, "even if it only wants to look");
    close(lock);
    is_int(lock_elsewhere(false, ""), 0, "once it is free it can be looked at");
    is_int(lock_elsewhere(true, ""), 0, "and taken");
}

TEST(use)
{
    char error[256];
    int lock = folder_lock(place, true, error, sizeof(error));
    ok(folder_begin(lock), "nobody has used it");
    ok(!folder_begin(lock), "a use without an end was a crash");
    folder_end(lock);
    ok(folder_begin(lock), "one with an end was none");
    close(lock);
}

TEST(lock_without_folder)
{
    char error[256];
    char *nowhere = folder_join(place, "nowhere");
    ok(folder_lock(nowhere, true, error, sizeof(error)) < 0, "no folder, no lock");
    ok(strstr(error, strerror(ENOENT)) != NULL, "but a reason: %s", error);
    mem_free(nowhere);
}

int main(void)
{
    if (!mkdtemp(place))
        bail("mkdtemp: %s", strerror(errno));
    RUN(where);
    RUN(making);
    RUN(contents);
    RUN(left_over);
    RUN(lock);
    RUN(use);
    RUN(lock_without_folder);
    char command[64];
    snprintf(command, sizeof(command), "rm -rf '%s'", place);
    is_int(system(command), 0, "removed");
    return done();
}
