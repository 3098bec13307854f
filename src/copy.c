#include "copy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "check_store.h"
#include "folder.h"

enum { PIECE_BYTES = 1 << 18, SHARE_BYTES = 1 << 26 };

/* ---- whose it is ---- */

struct owner owner_of(const char *path)
{
    struct stat status;
    struct owner owner = {.uid = getuid(), .gid = getgid()};
    if (getuid() == 0 && stat(path, &status) == 0 && status.st_uid != 0)
        owner = (struct owner){true, status.st_uid, status.st_gid};
    return owner;
}

/* Root can, but where the system has taken that from it: then nothing is done at all. */
static void end_as_other(uid_t uid)
{
    fprintf(stderr, "cannot become user %ld: %s\n", (long)uid, strerror(errno));
    exit(EXIT_FAILURE);
}

void owner_become(const struct owner *owner)
{
    if (geteuid() != getuid() && (seteuid(getuid()) != 0 || setegid(getgid()) != 0))
        end_as_other(getuid());
    if (owner && owner->is_other && (setegid(owner->gid) != 0 || seteuid(owner->uid) != 0))
        end_as_other(owner->uid);
}

/* ---- one file ---- */

static int copy_piece(int from, int to, uint8_t *room, ssize_t *got)
{
    *got = read(from, room, PIECE_BYTES);
    if (*got < 0)
        return errno;
    for (ssize_t at = 0; at < *got;) {
        ssize_t wrote = write(to, room + at, (size_t)(*got - at));
        if (wrote < 0)
            return errno;
        at += wrote;
    }
    return 0;
}

static int copy_by_hand(int from, int to)
{
    uint8_t *room = mem_alloc(PIECE_BYTES);
    ssize_t got = 0;
    int error;
    do {
        error = copy_piece(from, to, room, &got);
    } while (!error && got > 0);
    mem_free(room);
    return error;
}

/* By the kernel, as far as it does; from there on by hand. */
static int copy_contents(int from, int to)
{
    ssize_t got;
    do {
        got = copy_file_range(from, NULL, to, NULL, SHARE_BYTES, 0);
    } while (got > 0);
    bool is_full = got < 0 && (errno == ENOSPC || errno == EDQUOT);
    return is_full ? errno : copy_by_hand(from, to);
}

static int make_file(const char *path)
{
    return open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
}

int copy_file(const char *from, const char *to)
{
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = in < 0 ? -1 : make_file(to);
    int error = out < 0 ? errno : copy_contents(in, out);
    if (in >= 0)
        close(in);
    if (out >= 0)
        close(out);
    return error;
}

/* ---- all of them ---- */

static bool fail(struct copy *copy, const char *path, int error)
{
    snprintf(copy->fault, sizeof(copy->fault), "%s: %s", path, strerror(error));
    return false;
}

static void show(const struct copy *copy)
{
    if (copy->shows)
        fprintf(stderr, "\r%llu files, %.1f MB copied\033[K", (unsigned long long)copy->files,
                (double)copy->bytes / 1e6);
}

static int sync_copy(struct copy *copy, int in, int out)
{
    struct stat status;
    int error = copy_contents(in, out);
    if (!error && (fsync(out) != 0 || fstat(out, &status) != 0))
        error = errno;
    if (!error)
        copy->bytes += (uint64_t)status.st_size;
    copy->files += !error;
    return error;
}

static bool copy_one(struct copy *copy, const char *from, const char *to)
{
    owner_become(&copy->from_owner);
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int error = in < 0 ? errno : 0;
    owner_become(&copy->owner);
    if (error)
        return fail(copy, from, error);
    int out = make_file(to);
    error = out < 0 ? errno : sync_copy(copy, in, out);
    close(in);
    if (out >= 0)
        close(out);
    show(copy);
    return !error || fail(copy, to, error);
}

static bool ends_with(const char *name, const char *end)
{
    size_t size = strlen(name), end_size = strlen(end);
    return size > end_size && strcmp(name + size - end_size, end) == 0;
}

/* LevelDB makes the rest anew. */
static bool is_of_index(const char *name)
{
    return strcmp(name, "CURRENT") == 0 || strncmp(name, "MANIFEST-", 9) == 0 ||
           ends_with(name, ".ldb") || ends_with(name, ".sst") || ends_with(name, ".log");
}

static bool copy_folder(struct copy *copy, const char *from, const char *to,
                        bool (*is_one)(const char *name))
{
    owner_become(&copy->from_owner);
    DIR *entries = opendir(from);
    int error = entries ? 0 : errno;
    owner_become(&copy->owner);
    if (error)
        return fail(copy, from, error);
    const struct dirent *entry;
    bool ok = true;
    while (ok && (entry = readdir(entries))) {
        if (!is_one(entry->d_name))
            continue;
        char *source = folder_join(from, entry->d_name);
        char *target = folder_join(to, entry->d_name);
        ok = copy_one(copy, source, target);
        mem_free(source);
        mem_free(target);
    }
    closedir(entries);
    return ok;
}

static bool copy_index(struct copy *copy)
{
    char *from = folder_join(copy->from, "index");
    char *to = folder_join(copy->to, "index");
    owner_become(&copy->from_owner);
    bool is_there = faccessat(AT_FDCWD, from, F_OK, AT_EACCESS) == 0;
    owner_become(&copy->owner);
    bool ok = mkdir(to, 0700) == 0 || fail(copy, to, errno);
    ok = ok && (!is_there || copy_folder(copy, from, to, is_of_index));
    int error = ok ? folder_sync(to) : 0;
    ok = ok && (!error || fail(copy, to, error));
    mem_free(from);
    mem_free(to);
    return ok;
}

static bool copy_all(struct copy *copy)
{
    bool ok = copy_folder(copy, copy->from, copy->to, folder_has_store_file) && copy_index(copy);
    if (copy->shows)
        fprintf(stderr, "\r\033[K");
    return ok;
}

/* ---- where from, and where to ---- */

static bool refuse(struct copy *copy, const char *why, const char *advice)
{
    snprintf(copy->fault, sizeof(copy->fault), "%s %s; %s", copy->to, why, advice);
    return false;
}

/* Files that somebody writes to do not belong together. */
static bool look_at_source(struct copy *copy)
{
    char error[600];
    copy->from_owner = owner_of(copy->from);
    owner_become(&copy->from_owner);
    if (!check_is_store(copy->from, copy->fault, sizeof(copy->fault)))
        return false;
    copy->from_lock = folder_lock(copy->from, false, error, sizeof(error));
    if (copy->from_lock >= 0 || !error[0])
        return true;
    snprintf(copy->fault, sizeof(copy->fault),
             "%s; of a broker that runs 'leveretctl backup' makes a copy", error);
    return false;
}

/* Why the folder cannot be filled, as far as it is known. */
static bool refuse_full(struct copy *copy)
{
    char name[64], error[600];
    int lock = folder_lock(copy->to, false, error, sizeof(error));
    enum folder_kind kind = folder_look(copy->to, name, sizeof(name));
    if (lock >= 0)
        close(lock);
    if (lock < 0 && error[0])
        snprintf(copy->fault, sizeof(copy->fault), "%s", error);
    else if (kind == FOLDER_UNFINISHED)
        folder_refuse_unfinished(copy->to, copy->fault, sizeof(copy->fault));
    else if (kind == FOLDER_STORE)
        refuse(copy, "has a store already", "move it away first, as it may be needed once more");
    else
        refuse(copy, "is not empty", "name a folder that is, or one that is not there yet");
    return false;
}

static bool give_away(struct copy *copy)
{
    int fd = open(copy->to, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    bool ok = fd >= 0 && (!copy->owner.is_other || fchown(fd, copy->owner.uid, copy->owner.gid) == 0);
    int error = errno;
    if (fd >= 0)
        close(fd);
    return ok || fail(copy, copy->to, error);
}

static bool make_target(struct copy *copy)
{
    copy->is_made = mkdir(copy->to, 0700) == 0;
    int error = copy->is_made ? 0 : errno;
    if (copy->is_made) {
        copy->owner = copy->from_owner;
        return give_away(copy);
    }
    if (error != EEXIST) {
        folder_refuse(copy->to, error, copy->fault, sizeof(copy->fault));
        return false;
    }
    copy->owner = owner_of(copy->to);
    copy->is_left_over = folder_is_left_over(copy->to);
    return copy->is_left_over || folder_is_empty(copy->to) || refuse_full(copy);
}

/* Another restore may have ended before this one had the lock. */
static bool mark_target(struct copy *copy)
{
    copy->to_lock = folder_lock(copy->to, true, copy->fault, sizeof(copy->fault));
    if (copy->to_lock < 0)
        return false;
    if (!folder_is_left_over(copy->to))
        return refuse_full(copy);
    copy->disk = disk_posix_new(copy->to);
    int error = copy->disk ? store_copy_begin(copy->disk, STORE_OF_RESTORE) : errno;
    if (!error)
        folder_empty_copy(copy->to);
    return !error || fail(copy, copy->to, error);
}

static void leave_target(struct copy *copy)
{
    owner_become(NULL);
    if (copy->is_made)
        rmdir(copy->to);
}

bool copy_begin(struct copy *copy)
{
    copy->from_lock = copy->to_lock = -1;
    bool is_sound = look_at_source(copy);
    owner_become(NULL);
    if (!is_sound)
        return false;
    bool ok = make_target(copy);
    if (ok)
        owner_become(&copy->owner);
    if (!ok || !mark_target(copy)) {
        leave_target(copy);
        return false;
    }
    if (copy_all(copy))
        return true;
    copy_drop(copy);
    return false;
}

bool copy_end(struct copy *copy)
{
    owner_become(NULL);
    int error = folder_sync_name(copy->to);
    owner_become(&copy->owner);
    if (!error || error == EACCES) /* of a folder that was there before */
        error = store_copy_end(copy->disk);
    return !error || fail(copy, copy->to, error);
}

void copy_drop(struct copy *copy)
{
    folder_drop_copy(copy->to);
    leave_target(copy);
}

void copy_free(struct copy *copy)
{
    disk_posix_free(copy->disk);
    if (copy->from_lock >= 0)
        close(copy->from_lock);
    if (copy->to_lock >= 0)
        close(copy->to_lock);
}
