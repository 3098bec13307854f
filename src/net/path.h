/* A place in the file system at which a Unix socket listens. It is there while somebody listens and
 * no longer, and what a crash has left is no hindrance: who comes next takes the place of a socket
 * that nobody answers on, and of nothing else. */
#ifndef LEVERET_NET_PATH_H
#define LEVERET_NET_PATH_H

#include <stdbool.h>
#include <sys/types.h>

enum { PATH_BYTES_MAX = 96 }; /* without its terminator; the system has little more */

/* What is asked for. */
struct path_place {
    const char *path;
    mode_t mode; /* of the socket: who may write to it may connect; 0660 ... */
    gid_t group; /* (gid_t)-1: the process's own */
};

struct path {
    char name[PATH_BYTES_MAX + 1];
    char own[PATH_BYTES_MAX + 12]; /* where the socket is until it listens; empty: not there */
    dev_t device;                  /* of the socket, to know it again */
    ino_t inode;
};

/* Binds a socket, which is at `own` still. 0 or an errno value: EADDRINUSE: somebody answers at the
 * path; EEXIST: what is there is no socket; ENAMETOOLONG. */
int path_bind(struct path *path, const struct path_place *place, int fd);
/* The socket listens now: it appears at the path. The same errors. */
int path_publish(struct path *path);
/* Removes it, if it is still there. */
void path_remove(struct path *path);

#endif
