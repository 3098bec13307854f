/* What the manager of services, if it has started this program, hands over, which is sockets
 * (sd_listen_fds(3)); and what it wants to be told: that the broker serves, reads its configuration
 * again, stops, and that its thread still turns (sd_notify(3); the protocol is a datagram for each
 * line of text, so no library is needed). To the loop it is a service without peers. */
#ifndef LEVERET_MANAGER_H
#define LEVERET_MANAGER_H

#include "peer/service.h"

struct manager {
    struct service service;
    int socket;           /* -1: nobody wants to be told */
    uint64_t interval_ms; /* between two signs of life; 0: none are wanted */
    uint64_t next_ms;
    bool is_ready;
    bool goes_on; /* the same process soon serves again, so that it does not end */
    char *environment[3]; /* what the variables were; NULL: not set */
};

/* How many sockets it has handed over (LISTEN_FDS, LISTEN_PID), from this descriptor on. The environment
 * stays as it is: a process that begins anew by exec has them still. */
enum { MANAGER_FIRST_DESCRIPTOR = 3 };
size_t manager_descriptors(void);
/* As the environment says (NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID), which is not handed on to
 * children. */
void manager_init(struct manager *manager);
void manager_free(struct manager *manager);
/* The same process runs the program once more, which is to find that environment. */
void manager_hand_on(const struct manager *manager);
/* The configuration is about to be read again (at this time of the monotonic clock), and was. */
void manager_reloads(struct manager *manager, uint64_t now_us);
void manager_reloaded(struct manager *manager);

#endif
