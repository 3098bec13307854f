/* The lock is a record lock on a file of its own, so that it ends with the process however that
 * ends, and tells who holds it. It lies in the folder, as the folder may be reached by many names.
 * While a daemon uses the folder the file has contents, which a crash leaves there. */
#include "folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/store.h"

static const char lock_name[] = "lock";
/* What the mark of a folder says that is to begin anew. */
static const char of_reset[] = "reset\n";

char *folder_join(const char *path, const char *name)
{
    size_t size = strlen(path) + strlen(name) + 2;
    char *joined = mem_alloc(size);
    snprintf(joined, size, "%s/%s", path, name);
    return joined;
}

static const char *not_empty(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

char *folder_default(void)
{
    const char *service = not_empty("STATE_DIRECTORY");
    if (service) {
        /* There may be several, the first of them ours. */
        size_t size = strcspn(service, ":");
        char *first = mem_dup(service, size + 1);
        first[size] = '\0';
        return first;
    }
    const char *state = not_empty("XDG_STATE_HOME");
    if (state && *state == '/')
        return folder_join(state, "leveret");
    const char *home = not_empty("HOME");
    return home ? folder_join(home, ".local/state/leveret") : NULL;
}

static int make_one(const char *path)
{
    struct stat status;
    if (mkdir(path, 0700) == 0)
        return 0;
    int error = errno;
    if (error == EEXIST && stat(path, &status) == 0 && !S_ISDIR(status.st_mode))
        return ENOTDIR;
    return error == EEXIST ? 0 : error;
}

static int make_parents(const char *path)
{
    char *copy = mem_dup(path, strlen(path) + 1);
    int error = 0;
    for (char *slash = strchr(copy + 1, '/'); slash && !error; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        error = make_one(copy);
        *slash = '/';
    }
    mem_free(copy);
    return error;
}

int folder_make(const char *path, bool parents)
{
    int error = parents ? make_parents(path) : 0;
    return error ? error : make_one(path);
}

static bool begins_with(const char *name, const char *start)
{
    return strncmp(name, start, strlen(start)) == 0;
}

bool folder_has_store_file(const char *name)
{
    return strcmp(name, "identity") == 0 || strcmp(name, "anchor") == 0 ||
           (begins_with(name, "journal-") && strlen(name) == strlen("journal-0000000001"));
}

/* Files that may be there without a store; lost+found is the file system's. */
static bool is_harmless(const char *name)
{
    static const char *const names[] = {".", "..", lock_name, "index", "reserve", "lost+found", "node", "node.new"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return begins_with(name, "spare-") || begins_with(name, "salvaged-") || begins_with(name, "image-") ||
           begins_with(name, "ctl.sock"); /* also as it is called until it listens */
}

enum folder_kind folder_look(const char *path, char *name, size_t name_size)
{
    enum folder_kind kind = FOLDER_EMPTY;
    DIR *entries = opendir(path);
    const struct dirent *entry;
    while (entries && kind != FOLDER_UNFINISHED && (entry = readdir(entries))) {
        if (strcmp(entry->d_name, STORE_UNFINISHED) == 0) {
            kind = FOLDER_UNFINISHED;
        } else if (folder_has_store_file(entry->d_name)) {
            kind = FOLDER_STORE;
        } else if (kind != FOLDER_STORE && !is_harmless(entry->d_name)) {
            kind = FOLDER_FOREIGN;
            snprintf(name, name_size, "%s", entry->d_name);
        }
    }
    if (entries)
        closedir(entries);
    return kind;
}

/* What the mark of a copy that is not finished says, as far as there is room; "": nothing, or there is
 * none. */
static void read_mark(const char *path, char *text, size_t size)
{
    char *mark = folder_join(path, STORE_UNFINISHED);
    int fd = open(mark, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    ssize_t got = fd < 0 ? 0 : read(fd, text, size - 1);
    text[got > 0 ? got : 0] = '\0';
    if (fd >= 0)
        close(fd);
    mem_free(mark);
}

static bool is_of_restore(const char *path)
{
    char text[16];
    read_mark(path, text, sizeof(text));
    return begins_with(text, STORE_OF_RESTORE);
}

static bool is_of_reset(const char *path)
{
    char text[16];
    read_mark(path, text, sizeof(text));
    return begins_with(text, of_reset);
}

void folder_refuse_unfinished(const char *path, char *error, size_t error_size)
{
    if (is_of_restore(path))
        snprintf(error, error_size,
                 "%s has a copy of a store that was not finished, as the restore ended in the "
                 "middle; restore into this folder again, which removes what is there",
                 path);
    else if (is_of_reset(path))
        snprintf(error, error_size,
                 "%s is to begin anew, with nothing in it, as soon as a broker starts there: an operator has "
                 "reset it",
                 path);
    else if (folder_is_left_over(path))
        snprintf(error, error_size,
                 "%s has the mark of a copy of a store, which ended before it had begun; restore "
                 "into this folder again, or remove what is in it",
                 path);
    else
        snprintf(error, error_size,
                 "%s has a copy of a store that was not finished, as the backup ended in the "
                 "middle; remove what is in the folder, and make the copy again",
                 path);
}

bool folder_is_empty(const char *path)
{
    DIR *entries = opendir(path);
    const struct dirent *entry;
    bool is_empty = entries != NULL;
    while (entries && is_empty && (entry = readdir(entries)))
        is_empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
                   strcmp(entry->d_name, "lost+found") == 0;
    if (entries)
        closedir(entries);
    return is_empty;
}

/* ---- copies ---- */

static bool is_of_index(const char *name)
{
    return name[0] != '.';
}

/* Before there is anything of a store, the mark may have been made and not written yet. */
bool folder_is_left_over(const char *path)
{
    size_t parts = 0, others = 0, begun = 0;
    char text[16];
    DIR *entries = opendir(path);
    const struct dirent *entry;
    while (entries && (entry = readdir(entries))) {
        const char *name = entry->d_name;
        if (folder_has_store_file(name) || strcmp(name, "index") == 0)
            parts++;
        else if (strcmp(name, lock_name) == 0 || strcmp(name, STORE_UNFINISHED) == 0)
            begun++;
        else if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
                 strcmp(name, "lost+found") != 0)
            others++;
    }
    if (entries)
        closedir(entries);
    read_mark(path, text, sizeof(text));
    bool is_unsaid = text[0] == '\0' && parts == 0;
    return others == 0 && begun > 0 && (is_unsaid || is_of_restore(path));
}

static void remove_files(const char *path, bool (*is_one)(const char *name))
{
    DIR *entries = opendir(path);
    const struct dirent *entry;
    while (entries && (entry = readdir(entries)))
        if (is_one(entry->d_name))
            unlinkat(dirfd(entries), entry->d_name, 0);
    if (entries)
        closedir(entries);
}

void folder_empty_copy(const char *path)
{
    char *index = folder_join(path, "index");
    remove_files(path, folder_has_store_file);
    remove_files(index, is_of_index);
    rmdir(index);
    folder_sync(path);
    mem_free(index);
}

void folder_drop_copy(const char *path)
{
    char *lock = folder_join(path, lock_name);
    char *mark = folder_join(path, STORE_UNFINISHED);
    folder_empty_copy(path);
    unlink(lock);
    unlink(mark);
    mem_free(lock);
    mem_free(mark);
}

/* ---- a new beginning ---- */

int folder_write(const char *path, const char *name, const char *text)
{
    char fresh_name[64];
    snprintf(fresh_name, sizeof(fresh_name), "%s.new", name);
    char *fresh = folder_join(path, fresh_name);
    char *file = folder_join(path, name);
    size_t size = strlen(text);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    bool is_done = fd >= 0 && write(fd, text, size) == (ssize_t)size && fsync(fd) == 0 && rename(fresh, file) == 0;
    int error = is_done ? folder_sync(path) : errno ? errno : EIO;
    if (fd >= 0)
        close(fd);
    mem_free(fresh);
    mem_free(file);
    return error;
}

/* Nobody may take a store for a copy that was not finished, as half a mark would have it. */
int folder_mark_reset(const char *path)
{
    return folder_write(path, STORE_UNFINISHED, of_reset);
}

static bool is_of_store(const char *name)
{
    return folder_has_store_file(name) || begins_with(name, "spare-");
}

int folder_begin_anew(const char *path, bool *was_marked)
{
    char *mark = folder_join(path, STORE_UNFINISHED);
    char *index = folder_join(path, "index");
    int error = 0;
    *was_marked = is_of_reset(path);
    if (*was_marked) {
        remove_files(path, is_of_store);
        remove_files(index, is_of_index);
        error = rmdir(index) == 0 || errno == ENOENT ? folder_sync(path) : errno;
        if (!error)
            error = unlink(mark) == 0 ? folder_sync(path) : errno;
    }
    mem_free(index);
    mem_free(mark);
    return error;
}

bool folder_is_fit(const char *path, char *error, size_t error_size)
{
    char name[64];
    enum folder_kind kind = folder_look(path, name, sizeof(name));
    if (kind == FOLDER_UNFINISHED && is_of_reset(path))
        return true;
    if (kind == FOLDER_FOREIGN)
        snprintf(error, error_size,
                 "%s is no store of messages, and not empty: %s lies there; name an empty folder, or "
                 "one that is not there yet, with --data-dir",
                 path, name);
    else if (kind == FOLDER_UNFINISHED)
        folder_refuse_unfinished(path, error, error_size);
    return kind != FOLDER_FOREIGN && kind != FOLDER_UNFINISHED;
}

int folder_sync(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int error = fd < 0 || fsync(fd) != 0 ? errno : 0;
    if (fd >= 0)
        close(fd);
    return error;
}

int folder_sync_name(const char *path)
{
    char *above = folder_join(path, "..");
    int error = folder_sync(above);
    mem_free(above);
    return error;
}

static void explain_held(int fd, const char *path, char *error, size_t error_size)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char who[32] = "";
    if (fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK && lock.l_pid > 0)
        snprintf(who, sizeof(who), ", process %ld", (long)lock.l_pid);
    snprintf(error, error_size,
             "%s is in use by another leveretd%s; stop that one first, or name another folder",
             path, who);
}

/* What to do about it, as far as the error tells. */
static const char *advice_of(int error)
{
    switch (error) {
    case ENOENT:
        return "; the folder above it has to be there";
    case EACCES:
    case EPERM:
        return "; it has to belong to the user who runs this";
    case EROFS:
        return "; its file system must be one that can be written to";
    default:
        return "; name a folder with --data-dir";
    }
}

void folder_refuse(const char *path, int reason, char *error, size_t error_size)
{
    snprintf(error, error_size, "%s cannot be used: %s%s", path, strerror(reason),
             advice_of(reason));
}

int folder_lock(const char *path, bool create, char *error, size_t error_size)
{
    char *name = folder_join(path, lock_name);
    int fd = open(name, create ? O_RDWR | O_CREAT | O_CLOEXEC : O_RDONLY | O_CLOEXEC, 0600);
    int reason = errno;
    mem_free(name);
    error[0] = '\0';
    if (fd < 0) {
        if (create || reason != ENOENT)
            folder_refuse(path, reason, error, error_size);
        return -1;
    }
    /* Who may only read can still ask whether somebody writes. */
    struct flock lock = {.l_type = create ? F_WRLCK : F_RDLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_SETLK, &lock) == 0)
        return fd;
    if (errno == EACCES || errno == EAGAIN)
        explain_held(fd, path, error, error_size);
    else
        snprintf(error, error_size, "%s cannot be locked: %s", path, strerror(errno));
    close(fd);
    return -1;
}

bool folder_begin(int lock)
{
    static const char begun[] = "begun\n";
    char byte;
    bool was_ended = pread(lock, &byte, 1, 0) == 0;
    return pwrite(lock, begun, sizeof(begun) - 1, 0) == (ssize_t)sizeof(begun) - 1 && was_ended;
}

void folder_end(int lock)
{
    if (ftruncate(lock, 0) < 0)
        return; /* the next start takes this one for a crash, which does no harm */
}
