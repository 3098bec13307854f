/* Nothing is shared with what was copied, by hard links that is: each file of the new store says whose
 * it is, and two stores in one file would be damaged together. File systems that can share blocks
 * until one of them is written do so all the same (copy_file). */
#include "restore.h"

#include <pwd.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "check_store.h"
#include "copy.h"
#include "folder.h"

static void keep_line(void *context, const char *line)
{
    buffer_add(context, line, strlen(line));
    buffer_add(context, "\n", 1);
}

static bool adopt(struct copy *copy)
{
    uint8_t id[16];
    char error[400];
    char *index = folder_join(copy->to, "index");
    struct kv *kv = kv_leveldb_new(index);
    bool ok = getrandom(id, sizeof(id), 0) == (ssize_t)sizeof(id);
    if (!ok)
        snprintf(error, sizeof(error), "the system has no random numbers");
    ok = ok && store_copy_adopt(copy->disk, kv, id, error, sizeof(error));
    if (!ok)
        snprintf(copy->fault, sizeof(copy->fault), "%s", error);
    kv_leveldb_free(kv);
    mem_free(index);
    return ok;
}

/* What was found in it. */
struct found {
    struct store_contents contents;
    bool is_clusters; /* it is of a broker of a cluster, with whose log its queues come */
};

/* A log of a group has a line. */
static bool have_log(struct bytes lines)
{
    static const char begins[] = "group ";
    bool is_first = true;
    for (size_t i = 0; i + sizeof(begins) <= lines.size; i++) {
        if (is_first && memcmp(lines.data + i, begins, sizeof(begins) - 1) == 0)
            return true;
        is_first = lines.data[i] == '\n';
    }
    return false;
}

/* What the check says is wanted when it is bad. */
static bool check(struct copy *copy, struct store_options *options, struct found *found)
{
    struct buffer lines = {0};
    int status = check_locked_store(copy->to, options, keep_line, &lines, &found->contents);
    found->is_clusters = have_log(buffer_bytes(&lines));
    if (status != 0) {
        fprintf(stderr, "%.*s", BYTES_ARG(buffer_bytes(&lines)));
        snprintf(copy->fault, sizeof(copy->fault), "the copy is not sound");
    }
    buffer_free(&lines);
    return status == 0;
}

/* When the copy was finished, as its files tell. */
static void print_time(const char *from)
{
    struct stat status;
    struct tm utc;
    char text[64];
    char *identity = folder_join(from, "identity");
    if (stat(identity, &status) == 0 && gmtime_r(&status.st_mtime, &utc) &&
        strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &utc))
        printf("as of: %s\n", text);
    mem_free(identity);
}

static void print_owner(const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0)
        return;
    const struct passwd *user = getpwuid(status.st_uid);
    if (user)
        printf("owner: %s\n", user->pw_name);
    else
        printf("owner: user %ld\n", (long)status.st_uid);
}

static void tell(const struct copy *copy, const struct found *found)
{
    const struct store_contents *contents = &found->contents;
    printf("restored: %s from %s\n", copy->to, copy->from);
    print_time(copy->from);
    if (!found->is_clusters)
        printf("queues: %llu\nmessages: %llu, of %llu bytes\n", (unsigned long long)contents->queues,
               (unsigned long long)contents->messages, (unsigned long long)contents->bytes);
    printf("files: %llu, of %llu bytes\n", (unsigned long long)copy->files, (unsigned long long)copy->bytes);
    print_owner(copy->to);
    if (found->is_clusters) {
        printf("next: start leveretd with --data-dir %s and --cluster-found, as the owner, with no other broker in "
               "cluster.nodes: a cluster begins anew with it, as leveret-cluster(7) says\n",
               copy->to);
        return;
    }
    printf("next: start leveretd with --data-dir %s, as the owner; what was acknowledged since the "
           "copy was made comes again, and what was published since is not there\n",
           copy->to);
}

static int refuse(const struct copy *copy, bool was_begun)
{
    fprintf(stderr, "not restored: %s\n", copy->fault);
    if (was_begun)
        fprintf(stderr,
                "%s is %s; an older copy may be sound, and 'leveretctl store salvage %s %s' takes "
                "what is sound of this one\n",
                copy->to, copy->is_left_over ? "empty" : "as it was before", copy->from, copy->to);
    return was_begun ? 1 : 2;
}

/* What was copied is made a store. */
static int finish(struct copy *copy, struct store_options *options)
{
    struct found found = {0};
    if (!adopt(copy) || !check(copy, options, &found) || !copy_end(copy)) {
        copy_drop(copy);
        return refuse(copy, true);
    }
    owner_become(NULL);
    tell(copy, &found);
    return 0;
}

int restore_store(const char *from, const char *to, struct store_options *options)
{
    struct copy copy = {.from = from, .to = to, .shows = isatty(STDERR_FILENO)};
    umask(077);
    int status = copy_begin(&copy) ? finish(&copy, options) : refuse(&copy, false);
    copy_free(&copy);
    return status;
}
