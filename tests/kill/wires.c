/* A network of its own: some hosts, each in a network namespace, and between any two of them a way in
 * each direction that loses packets, or holds them back, as it is told.
 *
 *     wires HOSTS
 *
 * Host 0 is the namespace in which this was started, which has to be one that was made for it; the
 * others are made here and end with this process and whoever else is in them. Each has a device whose
 * packets come to this process, and the address 10.77.0.(1 + its number). To enter one is to enter the
 * namespace behind the descriptor that is printed for it: "host NUMBER /proc/PROCESS/fd/NUMBER".
 *
 * A line of standard input is how a way is from now on, "FROM TO LOST DELAY JITTER": of a thousand
 * packets so many are lost, the others take so many milliseconds, and at random up to as many again as
 * the last number says. They stay in order. Each line is answered by "ok". It ends with its input.
 *
 * The kernel's own means (netem, filters) do the same and are modules that a machine may lack; this
 * needs namespaces and /dev/net/tun. What does not find room is dropped, as a switch does it. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { HOSTS_MAX = 8, PACKET_BYTES = 2048, WAITING_MAX = 4096, BURST = 64, QUEUED_BY_DEVICE = 5000 };
enum { IPV4 = 4, IPV4_HEADER = 20, IPV4_TARGET = 16, ALL = 1000 };
#define NETWORK 0x0a4d0000u /* 10.77.0.0 */
#define NETMASK 0xffffff00u

struct packet {
    struct packet *next;
    uint64_t due_us;
    size_t size;
    uint8_t bytes[];
};

/* From one host to another one. */
struct way {
    unsigned lost, delay_ms, jitter_ms;
    struct packet *first, **last; /* what waits, the next one first */
    size_t count;
    uint64_t last_us; /* when the last of them is due */
};

struct network {
    size_t hosts;
    int devices[HOSTS_MAX];
    struct way ways[HOSTS_MAX][HOSTS_MAX];
    char line[64]; /* of input, as far as it has come */
    size_t line_size;
};

static void die(const char *what)
{
    fprintf(stderr, "wires: %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* ---- hosts ---- */

/* What this does is not done to the machine's own network, whatever it was called by: a namespace that was
 * just made has a loopback alone, which is down. */
static void refuse_used_network(void)
{
    struct if_nameindex *devices = if_nameindex();
    struct ifreq loopback = {.ifr_name = "lo"};
    int tool = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (!devices || tool < 0 || ioctl(tool, SIOCGIFFLAGS, &loopback) < 0)
        die("the loopback");
    if (devices[1].if_index || loopback.ifr_flags & IFF_UP) {
        fprintf(stderr, "wires: this network is in use: start it by unshare --net\n");
        exit(EXIT_FAILURE);
    }
    if_freenameindex(devices);
    close(tool);
}

static void set(int socket, unsigned long request, struct ifreq *what)
{
    if (ioctl(socket, request, what) < 0)
        die("a device");
}

static void set_address(int socket, struct ifreq *device, unsigned long request, uint32_t address)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(address)};
    memcpy(&device->ifr_addr, &in, sizeof(in));
    set(socket, request, device);
}

static void raise_device(int socket, struct ifreq *device)
{
    set(socket, SIOCGIFFLAGS, device);
    device->ifr_flags |= IFF_UP;
    set(socket, SIOCSIFFLAGS, device);
}

/* In the namespace of this process. Returns what the device sends, and is given. */
static int make_device(size_t host)
{
    struct ifreq device = {.ifr_flags = IFF_TUN | IFF_NO_PI}, loopback = {.ifr_name = "lo"};
    int tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    int tool = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (tun < 0 || tool < 0)
        die("/dev/net/tun");
    snprintf(device.ifr_name, sizeof(device.ifr_name), "wire%zu", host);
    set(tun, TUNSETIFF, &device);
    set_address(tool, &device, SIOCSIFADDR, NETWORK + 1 + (uint32_t)host);
    set_address(tool, &device, SIOCSIFNETMASK, NETMASK);
    device.ifr_qlen = QUEUED_BY_DEVICE;
    set(tool, SIOCSIFTXQLEN, &device);
    raise_device(tool, &device);
    raise_device(tool, &loopback);
    close(tool);
    return tun;
}

static void make_host(struct network *network, size_t host)
{
    if (host > 0 && unshare(CLONE_NEWNET) < 0)
        die("a namespace");
    int entrance = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (entrance < 0)
        die("a namespace");
    network->devices[host] = make_device(host);
    printf("host %zu /proc/%ld/fd/%d\n", host, (long)getpid(), entrance);
    for (size_t to = 0; to < network->hosts; to++)
        network->ways[host][to].last = &network->ways[host][to].first;
}

/* ---- packets ---- */

static bool is_drawn(unsigned of_thousand)
{
    return (unsigned)(random() % ALL) < of_thousand;
}

/* Whom it is for; false: for nobody here. */
static bool find_target(const struct network *network, const uint8_t *packet, size_t size, size_t *to)
{
    uint32_t address;
    if (size < IPV4_HEADER || packet[0] >> 4 != IPV4)
        return false;
    memcpy(&address, packet + IPV4_TARGET, sizeof(address));
    *to = ntohl(address) - NETWORK - 1;
    return *to < network->hosts;
}

/* What a device does not take is lost. */
static void hand_over(const struct network *network, size_t to, const uint8_t *packet, size_t size)
{
    if (write(network->devices[to], packet, size) < 0 && errno != EAGAIN && errno != ENOBUFS)
        die("a packet");
}

static void hold(struct way *way, const uint8_t *bytes, size_t size)
{
    uint64_t late_us = way->delay_ms * UINT64_C(1000);
    if (way->count == WAITING_MAX)
        return;
    if (way->jitter_ms)
        late_us += (uint64_t)random() % (way->jitter_ms * UINT64_C(1000));
    struct packet *packet = malloc(sizeof(*packet) + size);
    if (!packet)
        die("a packet");
    *packet = (struct packet){.due_us = now_us() + late_us, .size = size};
    if (packet->due_us < way->last_us)
        packet->due_us = way->last_us;
    way->last_us = packet->due_us;
    memcpy(packet->bytes, bytes, size);
    *way->last = packet;
    way->last = &packet->next;
    way->count++;
}

static void take(struct network *network, size_t from)
{
    uint8_t packet[PACKET_BYTES];
    size_t to;
    for (int i = 0; i < BURST; i++) {
        ssize_t size = read(network->devices[from], packet, sizeof(packet));
        if (size < 0 && errno != EAGAIN)
            die("a device");
        if (size <= 0)
            return;
        if (!find_target(network, packet, (size_t)size, &to))
            continue;
        struct way *way = &network->ways[from][to];
        if (is_drawn(way->lost))
            continue;
        if (way->first || way->delay_ms || way->jitter_ms)
            hold(way, packet, (size_t)size);
        else
            hand_over(network, to, packet, (size_t)size);
    }
}

/* Returns when the next one is due; UINT64_MAX: none waits. */
static uint64_t hand_over_due(const struct network *network, size_t to, struct way *way, uint64_t now)
{
    struct packet *packet;
    while ((packet = way->first) && packet->due_us <= now) {
        hand_over(network, to, packet->bytes, packet->size);
        way->first = packet->next;
        if (!way->first)
            way->last = &way->first;
        way->count--;
        free(packet);
    }
    return way->first ? way->first->due_us : UINT64_MAX;
}

static uint64_t hand_over_all_due(struct network *network)
{
    uint64_t now = now_us(), next = UINT64_MAX;
    for (size_t from = 0; from < network->hosts; from++)
        for (size_t to = 0; to < network->hosts; to++) {
            uint64_t due = hand_over_due(network, to, &network->ways[from][to], now);
            next = due < next ? due : next;
        }
    return next;
}

/* ---- what it is told ---- */

static void obey(struct network *network, const char *line)
{
    size_t from, to;
    unsigned lost, delay_ms, jitter_ms;
    if (sscanf(line, "%zu %zu %u %u %u", &from, &to, &lost, &delay_ms, &jitter_ms) != 5 ||
        from >= network->hosts || to >= network->hosts) {
        fprintf(stderr, "wires: this is not understood: %s\n", line);
        exit(EXIT_FAILURE);
    }
    struct way *way = &network->ways[from][to];
    way->lost = lost;
    way->delay_ms = delay_ms;
    way->jitter_ms = jitter_ms;
    puts("ok");
}

static void listen_to(struct network *network)
{
    char bytes[256];
    ssize_t size = read(STDIN_FILENO, bytes, sizeof(bytes));
    if (size <= 0)
        exit(EXIT_SUCCESS);
    for (ssize_t i = 0; i < size; i++) {
        network->line[network->line_size] = bytes[i] == '\n' ? '\0' : bytes[i];
        if (bytes[i] == '\n') {
            obey(network, network->line);
            network->line_size = 0;
        } else if (++network->line_size == sizeof(network->line)) {
            exit(EXIT_FAILURE);
        }
    }
    fflush(stdout);
}

static int wait_ms(uint64_t due_us)
{
    uint64_t now = now_us();
    if (due_us == UINT64_MAX)
        return -1;
    return due_us <= now ? 0 : (int)((due_us - now + 999) / 1000);
}

static void run(struct network *network)
{
    struct pollfd polled[HOSTS_MAX + 1];
    for (size_t i = 0; i < network->hosts; i++)
        polled[i] = (struct pollfd){.fd = network->devices[i], .events = POLLIN};
    polled[network->hosts] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
    for (;;) {
        uint64_t due_us = hand_over_all_due(network);
        if (poll(polled, network->hosts + 1, wait_ms(due_us)) < 0 && errno != EINTR)
            die("poll");
        if (polled[network->hosts].revents)
            listen_to(network);
        for (size_t i = 0; i < network->hosts; i++)
            if (polled[i].revents)
                take(network, i);
    }
}

int main(int count, char **arguments)
{
    struct network network = {.hosts = count == 2 ? strtoul(arguments[1], NULL, 10) : 0};
    if (network.hosts < 1 || network.hosts > HOSTS_MAX) {
        fprintf(stderr, "usage: wires HOSTS, of which there are %d at most\n", HOSTS_MAX);
        return EXIT_FAILURE;
    }
    refuse_used_network();
    for (size_t host = 0; host < network.hosts; host++)
        make_host(&network, host);
    fflush(stdout);
    run(&network);
}
