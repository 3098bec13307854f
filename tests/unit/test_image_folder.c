/* The image of a store as a folder: which files it has, and how it takes the store's place whatever ends a
 * start in the middle. */
#include "image_folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "folder.h"
#include "tests/lib/tap.h"

static char place[] = "test_image_folder.XXXXXX";

static char *in_place(const char *name)
{
    static char path[200];
    snprintf(path, sizeof(path), "%s/%s", place, name);
    return path;
}

static void put(const char *name, const char *text)
{
    FILE *file = fopen(in_place(name), "w");
    fputs(text, file);
    fclose(file);
}

/* What a file says; "-": it is not there. */
static const char *get(const char *name)
{
    static char text[100];
    FILE *file = fopen(in_place(name), "r");
    if (!file)
        return "-";
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    return text;
}

static void make_place(void)
{
    strcpy(place + strlen(place) - 6, "XXXXXX");
    if (!mkdtemp(place))
        bail("no folder");
    mkdir(in_place("index"), 0700);
    put("identity", "old");
    put("anchor", "old");
    put("journal-0000000001", "old");
    put("journal-0000000002", "old");
    put("index/CURRENT", "old");
    put("index/000003.ldb", "old");
    put("index/000004.log", "old");
    put("node", "this one");
    put("lock", "");
    is_int(image_folder_make(in_place(IMAGE_COMES)), 0, "a place for the image");
    put(IMAGE_COMES "/identity", "new");
    put(IMAGE_COMES "/journal-0000000007", "new");
    put(IMAGE_COMES "/index/CURRENT", "new");
    put(IMAGE_COMES "/index/000009.ldb", "new");
}

static void drop_place(void)
{
    char command[300];
    snprintf(command, sizeof(command), "rm -rf %s", place);
    is_int(system(command), 0, "gone");
}

static void is_new(const char *when)
{
    static const char *const there[] = {"identity", "journal-0000000007", "index/CURRENT", "index/000009.ldb"};
    static const char *const gone[] = {"anchor", "journal-0000000001", "journal-0000000002", "index/000003.ldb",
                                       "index/000004.log", "image-takes", IMAGE_COMES "/identity"};
    for (size_t i = 0; i < sizeof(there) / sizeof(there[0]); i++)
        is_str(get(there[i]), "new", "%s: %s is the image's", when, there[i]);
    for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++)
        is_str(get(gone[i]), "-", "%s: no %s", when, gone[i]);
    is_str(get("node"), "this one", "%s: who this broker is stays", when);
    ok(access(in_place(IMAGE_COMES), F_OK) != 0, "%s: the image's folder is gone", when);
}

static void takes(const char *when)
{
    bool was_taken = false;
    is_int(image_take_over(place, &was_taken), 0, "%s: no error", when);
    ok(was_taken, "%s: it is taken over", when);
    is_new(when);
}

TEST(nothing_happens_unless_it_was_said)
{
    bool was_taken = true;
    make_place();
    is_int(image_take_over(place, &was_taken), 0, "no error");
    ok(!was_taken, "nothing is done");
    is_str(get("identity"), "old", "the store is as it was");
    drop_place();
}

TEST(it_takes_the_place_of_the_store)
{
    make_place();
    is_int(image_take(place), 0, "it is said");
    is_str(get("identity"), "old", "and nothing is done yet");
    takes("at the next start");
    bool was_taken = true;
    is_int(image_take_over(place, &was_taken), 0, "the start behind that");
    ok(!was_taken, "has nothing to do");
    is_new("later");
    drop_place();
}

TEST(a_start_goes_on_where_a_crash_has_ended_one)
{
    make_place();
    image_take(place);
    unlink(in_place("identity"));
    unlink(in_place("index/CURRENT"));
    takes("while the old files went");
    drop_place();

    make_place();
    image_take(place);
    folder_empty_copy(place);
    takes("when they had gone");
    drop_place();

    make_place();
    put("image-takes", "move\n");
    folder_empty_copy(place);
    takes("when that was on record");
    drop_place();

    make_place();
    put("image-takes", "move\n");
    folder_empty_copy(place);
    put("identity", "new");
    unlink(in_place(IMAGE_COMES "/identity"));
    takes("while the new ones were moved");
    drop_place();

    make_place();
    put("image-takes", "move\n");
    folder_empty_copy(place);
    mkdir(in_place("index"), 0700);
    put("identity", "new");
    put("journal-0000000007", "new");
    put("index/CURRENT", "new");
    put("index/000009.ldb", "new");
    image_folder_drop(in_place(IMAGE_COMES));
    takes("when all of them were");
    drop_place();
}

TEST(which_files_it_has)
{
    struct image_files files = {0}, read = {0};
    struct buffer list = {0};
    make_place();
    put("salvaged-1", "x");
    put("index/LOCK", "");
    put("index/LOG", "x");
    is_int(image_files_find(&files, place), 0, "found");
    is_int(files.count, 7, "those of a store, and of its index");
    is_int(files.bytes, 21, "their size");
    image_files_write(&list, &files);
    ok(image_files_read(&read, buffer_bytes(&list)), "the list can be read");
    is_int(read.count, files.count, "all of them");
    for (size_t i = 0; i < read.count; i++)
        ok(strcmp(read.files[i].name, files.files[i].name) == 0 && read.files[i].size == files.files[i].size, "%s",
           read.files[i].name);
    image_files_free(&read);
    for (size_t size = 0; size < list.size; size++) {
        bool is_whole = image_files_read(&read, bytes_of(list.data, size));
        if (is_whole && read.count == files.count)
            ok(false, "%zu bytes of it are all of it", size);
        image_files_free(&read);
    }
    image_files_free(&files);
    buffer_free(&list);
    drop_place();
}

static bool may_be(const char *name, uint64_t size)
{
    struct image_files read = {0};
    struct buffer list = {0};
    buffer_add_u64(&list, size);
    buffer_add_u8(&list, (uint8_t)strlen(name));
    buffer_add(&list, name, strlen(name));
    bool may = image_files_read(&read, buffer_bytes(&list));
    image_files_free(&read);
    buffer_free(&list);
    return may;
}

TEST(a_name_leads_nowhere_else)
{
    static const char *const others[] = {"",           "../identity",   "node",           "lock",  "/etc/passwd",
                                         "index",      "index/",        "index/../node",  "index/LOCK",
                                         "index/x",    "journal-1/../", "index/MANIFEST-", "index/MANIFEST-1/2",
                                         "index/.log", "unfinished",    "index/1.log/x",  "index/index/CURRENT"};
    ok(may_be("identity", 8192) && may_be("journal-0000000001", 1) && may_be("index/MANIFEST-000002", 1) &&
           may_be("index/000017.ldb", 0),
       "those of a store");
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        ok(!may_be(others[i], 1), "not '%s'", others[i]);
    ok(!may_be("identity", 1ull << 48), "nor one that is too large");
}

int main(void)
{
    RUN(nothing_happens_unless_it_was_said);
    RUN(it_takes_the_place_of_the_store);
    RUN(a_start_goes_on_where_a_crash_has_ended_one);
    RUN(which_files_it_has);
    RUN(a_name_leads_nowhere_else);
    return done();
}
