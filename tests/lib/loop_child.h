/* A loop that runs in a process of its own, with a port of 127.0.0.1 for each of its services, and
 * what a peer does to it. What goes wrong here ends the test program. */
#ifndef LEVERET_TESTS_LIB_LOOP_CHILD_H
#define LEVERET_TESTS_LIB_LOOP_CHILD_H

#include <sys/types.h>

#include "net/address.h"
#include "net/path.h"
#include "peer/service.h"

enum { LOOP_CHILD_SERVICES_MAX = 4 };

struct store;

struct loop_child {
    pid_t pid;
    struct address addresses[LOOP_CHILD_SERVICES_MAX];
};

/* The child has a copy of the services and the store. It may open so many descriptors, and is
 * killed if it lasts a minute. */
struct loop_child loop_child_start(struct service *const *services, size_t count,
                                   struct store *store, size_t descriptors, size_t io_threads);
/* The same with one service, at a path. */
struct loop_child loop_child_start_at(const struct path_place *place, struct service *service,
                                      struct store *store);
/* A new connection to the service of that number, once the child listens. */
int loop_child_connect(const struct loop_child *child, size_t service);
/* The same at a path. */
int loop_child_connect_at(const char *path);
/* The exit status of the child (1: the loop has failed), or 1000 and the signal that ended it. */
int loop_child_wait(const struct loop_child *child);
/* Tells it to end first. */
int loop_child_stop(const struct loop_child *child);

/* Reads exactly `size` bytes into `text` (and terminates it), or as much as comes. */
size_t peer_read(int fd, char *text, size_t size);
/* Reads as peer_read does, up to 63 bytes; is it what is wanted? Counts as a check. */
void peer_says(int fd, size_t size, const char *wanted, const char *what);
/* Writes all of it, and counts as a check. */
void peer_write(int fd, const char *text);

#endif
