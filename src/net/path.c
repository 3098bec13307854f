/* The socket is bound beside its path, and renamed to it once it listens: a connection is refused
 * or served, never kept waiting by a daemon that is still starting, and in the place of a socket
 * that a crash has left the new one appears at once. */
#include "net/path.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static struct sockaddr_un address_of(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    _Static_assert(sizeof(((struct path *)NULL)->own) <= sizeof(address.sun_path),
                   "the system knows paths of this length");
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", name);
    return address;
}

/* Does somebody listen there? A queue that is full has an owner. */
static bool is_answered(const char *name)
{
    const struct sockaddr_un address = address_of(name);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return true;
    int error = connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? errno : 0;
    close(fd);
    return error != ECONNREFUSED && error != ENOENT;
}

/* 0: a socket may appear there. */
static int check_place(const char *name)
{
    struct stat there;
    if (lstat(name, &there) < 0)
        return errno == ENOENT ? 0 : errno;
    if (!S_ISSOCK(there.st_mode))
        return EEXIST;
    return is_answered(name) ? EADDRINUSE : 0;
}

static int set_owner(const char *name, const struct path_place *place)
{
    if (chmod(name, place->mode) < 0)
        return errno;
    if (place->group != (gid_t)-1 && chown(name, (uid_t)-1, place->group) < 0)
        return errno;
    return 0;
}

static int note_identity(struct path *path)
{
    struct stat there;
    if (lstat(path->own, &there) < 0)
        return errno;
    path->device = there.st_dev;
    path->inode = there.st_ino;
    return 0;
}

/* Nobody but the owner may connect before mode and group are set; it does not listen yet anyway. */
static int bind_at(int fd, const char *name)
{
    const struct sockaddr_un address = address_of(name);
    mode_t mask = umask(0177);
    int error = bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? errno : 0;
    umask(mask);
    return error;
}

int path_bind(struct path *path, const struct path_place *place, int fd)
{
    *path = (struct path){0};
    if (strlen(place->path) > PATH_BYTES_MAX)
        return ENAMETOOLONG;
    int error = check_place(place->path);
    if (error)
        return error;
    snprintf(path->name, sizeof(path->name), "%s", place->path);
    snprintf(path->own, sizeof(path->own), "%s.%ld", place->path, (long)getpid());
    unlink(path->own); /* of a process that had the same number, and has crashed */
    error = bind_at(fd, path->own);
    if (error) {
        path->own[0] = '\0';
        return error;
    }
    error = set_owner(path->own, place);
    if (!error)
        error = note_identity(path);
    if (error)
        path_remove(path);
    return error;
}

int path_publish(struct path *path)
{
    int error = check_place(path->name);
    if (error)
        return error;
    if (rename(path->own, path->name) < 0)
        return errno;
    path->own[0] = '\0';
    return 0;
}

void path_remove(struct path *path)
{
    struct stat there;
    if (path->own[0])
        unlink(path->own);
    else if (lstat(path->name, &there) == 0 && there.st_dev == path->device &&
             there.st_ino == path->inode)
        unlink(path->name);
    path->own[0] = path->name[0] = '\0';
}
