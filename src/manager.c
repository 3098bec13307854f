#include "manager.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/options.h"

enum { DESCRIPTORS_MAX = 1024 }; /* more than that many are a mistake */

static const char *const variables[] = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"};
enum { VARIABLES = sizeof(variables) / sizeof(variables[0]) };

static struct manager *manager_of(const struct service *service)
{
    return list_entry(service, struct manager, service);
}

/* A path, or '@' and a name that is no path. */
static int connect_to(const char *address)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t size = strlen(address);
    if ((address[0] != '/' && address[0] != '@') || size < 2 || size >= sizeof(to.sun_path))
        return -1;
    memcpy(to.sun_path, address, size);
    if (address[0] == '@')
        to.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&to, length) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

/* Nobody waits for who does not read; what is missed is said again, or is of no use any more. */
static void tell(const struct manager *manager, const char *text)
{
    if (manager->socket >= 0 && send(manager->socket, text, strlen(text), MSG_NOSIGNAL) < 0)
        return;
}

/* Is that the number of this process? */
static bool is_this(const char *process)
{
    uint64_t id;
    const char *end;
    return digits_read(process, &id, &end) && !*end && id == (uint64_t)getpid();
}

size_t manager_descriptors(void)
{
    const char *count = getenv("LISTEN_FDS"), *process = getenv("LISTEN_PID"), *end;
    uint64_t number;
    if (!count || !process || !is_this(process) || !digits_read(count, &number, &end) || *end)
        return 0;
    return number < DESCRIPTORS_MAX ? (size_t)number : DESCRIPTORS_MAX;
}

/* Twice as often as it is asked for. 0: it is not, or not of this process. */
static uint64_t interval_of(const char *interval_us, const char *process)
{
    uint64_t us;
    const char *end;
    if (!interval_us || !digits_read(interval_us, &us, &end) || *end)
        return 0;
    if (process && !is_this(process))
        return 0;
    return us / 2000 > 0 ? us / 2000 : 1;
}

static void tick(struct service *service, uint64_t now_ms, uint64_t clock_ms)
{
    struct manager *manager = manager_of(service);
    (void)clock_ms;
    if (!manager->is_ready)
        tell(manager, "READY=1\nSTATUS=The broker serves.");
    manager->is_ready = true;
    if (manager->interval_ms && now_ms >= manager->next_ms) {
        tell(manager, "WATCHDOG=1");
        manager->next_ms = now_ms + manager->interval_ms;
    }
}

static uint64_t next_ms(const struct service *service)
{
    const struct manager *manager = manager_of(service);
    return manager->interval_ms ? manager->next_ms : UINT64_MAX;
}

static void say_goodbye(struct service *service)
{
    const struct manager *manager = manager_of(service);
    tell(manager, manager->goes_on ? "STATUS=The broker begins anew."
                                   : "STOPPING=1\nSTATUS=Connections say goodbye.");
}

static char *take_variable(const char *name)
{
    const char *value = getenv(name);
    char *copy = value ? mem_dup(value, strlen(value) + 1) : NULL;
    unsetenv(name);
    return copy;
}

void manager_init(struct manager *manager)
{
    static const struct service_ops ops = {
        .tick = tick, .next_ms = next_ms, .shutdown = say_goodbye};
    *manager = (struct manager){.socket = -1};
    for (size_t i = 0; i < VARIABLES; i++)
        manager->environment[i] = take_variable(variables[i]);
    const char *address = manager->environment[0];
    manager->socket = address ? connect_to(address) : -1;
    service_init(&manager->service, &ops);
    if (manager->socket >= 0)
        manager->interval_ms = interval_of(manager->environment[1], manager->environment[2]);
}

void manager_hand_on(const struct manager *manager)
{
    for (size_t i = 0; i < VARIABLES; i++)
        if (manager->environment[i])
            setenv(variables[i], manager->environment[i], true);
}

void manager_free(struct manager *manager)
{
    if (manager->socket >= 0)
        close(manager->socket);
    for (size_t i = 0; i < VARIABLES; i++)
        mem_free(manager->environment[i]);
}

void manager_reloads(struct manager *manager, uint64_t now_us)
{
    char text[80];
    snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)now_us);
    tell(manager, text);
}

void manager_reloaded(struct manager *manager)
{
    tell(manager, "READY=1\nSTATUS=The broker serves.");
}
