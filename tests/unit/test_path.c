/* A place at which a Unix socket listens: when it is there, whose place it takes, and what it
 * leaves. */
#include "net/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/lib/tap.h"

static char folder[64], name[96];

static struct path_place place(mode_t mode)
{
    return (struct path_place){name, mode, (gid_t)-1};
}

static void begin(void)
{
    snprintf(folder, sizeof(folder), "/tmp/leveret-XXXXXX");
    if (!mkdtemp(folder))
        bail("no folder: %s", strerror(errno));
    snprintf(name, sizeof(name), "%s/socket", folder);
}

/* Is nothing left? */
static void end(void)
{
    is_int(rmdir(folder), 0, "the folder is empty");
}

static int new_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int connects(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = new_socket();
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", name);
    int error = connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? errno : 0;
    close(fd);
    return error;
}

/* A socket that listens at the place. */
static int serve(struct path *path)
{
    const struct path_place wanted = place(0600);
    int fd = new_socket();
    is_int(path_bind(path, &wanted, fd), 0, "bound");
    is_int(listen(fd, 1), 0, "listens");
    is_int(path_publish(path), 0, "and is there");
    return fd;
}

static mode_t mode_of(const char *file)
{
    struct stat there;
    return lstat(file, &there) == 0 ? there.st_mode & 07777 : 0;
}

TEST(it_appears_when_it_is_served)
{
    struct path path;
    begin();
    const struct path_place wanted = place(0660);
    int fd = new_socket();
    mode_t mask = umask(077);
    is_int(path_bind(&path, &wanted, fd), 0, "bound");
    is_int(umask(mask), 077, "the mask is as it was");
    is_int(connects(), ENOENT, "nobody sees it yet");
    listen(fd, 1);
    is_int(path_publish(&path), 0, "it listens");
    is_int(connects(), 0, "and is there");
    is_int(mode_of(name), 0660, "with the mode that was asked for, whatever the mask");
    path_remove(&path);
    is_int(connects(), ENOENT, "it goes");
    path_remove(&path);
    close(fd);
    end();
}

TEST(one_that_is_never_served_leaves_nothing)
{
    struct path path;
    begin();
    const struct path_place wanted = place(0600);
    int fd = new_socket();
    is_int(path_bind(&path, &wanted, fd), 0, "bound");
    path_remove(&path);
    close(fd);
    end();
}

TEST(a_group)
{
    struct path path;
    begin();
    struct path_place wanted = place(0660);
    wanted.group = geteuid() == 0 ? 4711 : getgid();
    int fd = new_socket();
    is_int(path_bind(&path, &wanted, fd), 0, "bound");
    struct stat there;
    ok(lstat(path.own, &there) == 0 && there.st_gid == wanted.group, "it belongs to the group");
    path_remove(&path);
    close(fd);
    end();
}

TEST(what_a_crash_has_left)
{
    struct path crashed, path;
    begin();
    close(serve(&crashed));
    is_int(connects(), ECONNREFUSED, "a socket without a listener is there");
    int fd = serve(&path);
    is_int(connects(), 0, "the next one takes its place");
    path_remove(&crashed);
    is_int(connects(), 0, "which the first, if it lives after all, does not remove");
    path_remove(&path);
    close(fd);
    end();
}

TEST(one_that_is_answered)
{
    struct path first, second;
    begin();
    int fd = serve(&first), other = new_socket();
    const struct path_place wanted = place(0600);
    is_int(path_bind(&second, &wanted, other), EADDRINUSE, "its place is taken");
    is_int(connects(), 0, "it is served on");
    path_remove(&first);
    close(fd);
    close(other);
    end();
}

/* Two that start at once: one of them gets the place. */
TEST(two_at_once)
{
    struct path first, second;
    begin();
    const struct path_place wanted = place(0600);
    int fd = new_socket(), other = new_socket();
    is_int(path_bind(&first, &wanted, fd), 0, "one is bound");
    snprintf(first.own + strlen(first.own), 3, ".x"); /* as of another process */
    char own[sizeof(first.own)];
    snprintf(own, sizeof(own), "%.*s", (int)strlen(first.own) - 2, first.own);
    rename(own, first.own);
    is_int(path_bind(&second, &wanted, other), 0, "so is the other");
    listen(other, 1);
    is_int(path_publish(&second), 0, "which is served first");
    listen(fd, 1);
    is_int(path_publish(&first), EADDRINUSE, "so that the place of the one is taken");
    path_remove(&first);
    is_int(connects(), 0, "as it stays");
    path_remove(&second);
    close(fd);
    close(other);
    end();
}

TEST(something_else_is_there)
{
    struct path path;
    begin();
    const struct path_place wanted = place(0600);
    int fd = new_socket();
    close(open(name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    is_int(path_bind(&path, &wanted, fd), EEXIST, "a file is nobody's socket");
    is_int(unlink(name), 0, "and is left alone");
    is_int(symlink("/tmp/leveret-nowhere", name), 0, "a link");
    is_int(path_bind(&path, &wanted, fd), EEXIST, "is none either");
    is_int(unlink(name), 0, "and is left alone");
    close(fd);
    end();
}

TEST(places_that_cannot_be)
{
    struct path path;
    char text[200];
    memset(text, 'x', sizeof(text));
    text[0] = '/';
    text[PATH_BYTES_MAX + 1] = '\0';
    int fd = new_socket();
    is_int(path_bind(&path, &(struct path_place){text, 0600, (gid_t)-1}, fd), ENAMETOOLONG,
           "too long");
    begin();
    snprintf(text, sizeof(text), "%s/no/socket", folder);
    is_int(path_bind(&path, &(struct path_place){text, 0600, (gid_t)-1}, fd), ENOENT,
           "in a folder that is not there");
    close(fd);
    end();
}

int main(void)
{
    RUN(it_appears_when_it_is_served);
    RUN(one_that_is_never_served_leaves_nothing);
    RUN(a_group);
    RUN(what_a_crash_has_left);
    RUN(one_that_is_answered);
    RUN(two_at_once);
    RUN(something_else_is_there);
    RUN(places_that_cannot_be);
    return done();
}
