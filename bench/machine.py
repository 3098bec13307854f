"""What the figures were measured on."""

import os
import platform
import select
import shutil
import socket
import statistics
import subprocess
import time

SYNCS, ROUND_TRIPS, RELAYS = 300, 3000, 2000
RELAY_EVERY_S, RELAY_BYTES = 0.001, 64
EARLY_S = 0.00006  # before a message is due, the clock is watched instead of slept through
BUSY_LOAD = 0.5


class Machine:
    """`folder` is where the brokers keep their data."""

    def __init__(self, folder, top, relays=RELAYS):
        self.cpu = cpu_model()
        self.cores = len(os.sched_getaffinity(0))
        self.memory_gib = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGESIZE") / 2 ** 30
        self.kernel = platform.release()
        self.load = os.getloadavg()[0]
        self.date = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
        self.commit = commit(top)
        self.filesystem = filesystem(folder)
        self.sync_ms = sync_seconds(folder) * 1000
        self.round_trip_ms = round_trip_seconds() * 1000
        self.relays = relays
        self.relay_p50_ms, self.relay_p99_ms = (time * 1000 for time in relay_seconds(relays))
        self.ticks = cpu_ticks()
        self.stolen = 0.0

    @property
    def one_by_one(self):
        """Messages a second of one who waits for a sync and a round trip each time."""
        return 1000 / (self.sync_ms + self.round_trip_ms)

    @property
    def quiet(self):
        return self.load < BUSY_LOAD and self.stolen < 0.02

    def finish(self):
        """To be called at the end: how much of the time went to other machines on the same host."""
        before, after = self.ticks, cpu_ticks()
        passed = sum(after[:8]) - sum(before[:8])
        self.stolen = (after[7] - before[7]) / passed if passed else 0.0

    def lines(self):
        yield "processor", "%s, %d cores" % (self.cpu, self.cores)
        yield "memory", "%.0f GiB" % self.memory_gib
        yield "kernel", self.kernel
        yield "data on", self.filesystem
        yield "`fdatasync` of 4 KiB", "%.3f ms (median of %d)" % (self.sync_ms, SYNCS)
        yield "loopback round trip", "%.3f ms (median of %d)" % (self.round_trip_ms, ROUND_TRIPS)
        yield "a message relayed, at 1,000/s", "p50 %.3f ms, p99 %.3f ms (of %d)" % (
            self.relay_p50_ms, self.relay_p99_ms, self.relays)
        yield "load average before", "%.2f%s" % (
            self.load, "" if self.load < BUSY_LOAD else " — **not a quiet machine**")
        yield "processor time stolen", "%.1f %%" % (self.stolen * 100)
        yield "date", self.date
        if self.commit:
            yield "commit", self.commit


def cpu_model():
    with open("/proc/cpuinfo") as cpuinfo:
        for line in cpuinfo:
            if line.startswith("model name"):
                return " ".join(line.split(":", 1)[1].split())
    return platform.machine()


def cpu_ticks():
    with open("/proc/stat") as stat:
        return [int(word) for word in stat.readline().split()[1:]]


def commit(top):
    """The commit that is measured, or nothing outside a working tree or without git."""
    if not os.path.exists(os.path.join(top, ".git")) or not shutil.which("git"):
        return ""
    done = subprocess.run(["git", "-C", top, "describe", "--always", "--dirty"],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                          check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def filesystem(folder):
    """Its type, as the mount that is nearest above says."""
    folder, found = os.path.realpath(folder), ("", "?")
    with open("/proc/mounts") as mounts:
        for line in mounts:
            _, place, kind = line.split()[:3]
            inside = folder == place or folder.startswith(place.rstrip("/") + "/")
            if inside and len(place) >= len(found[0]):
                found = place, kind
    return found[1]


def sync_seconds(folder):
    """The median time of a write of 4 KiB and its fdatasync, into a file that has its size."""
    path = os.path.join(folder, "sync")
    block, times = os.urandom(4096), []
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, bytes(4096 * SYNCS))
        os.fsync(descriptor)
        for i in range(SYNCS):
            began = time.perf_counter()
            os.pwrite(descriptor, block, i * 4096)
            os.fdatasync(descriptor)
            times.append(time.perf_counter() - began)
    finally:
        os.close(descriptor)
        os.unlink(path)
    return statistics.median(times)


def round_trip_seconds():
    """The median time of one byte to another process and back."""
    listener = socket.create_server(("127.0.0.1", 0))
    child = os.fork()
    if child == 0:
        echo(listener)
        os._exit(0)
    times = []
    with listener, socket.create_connection(listener.getsockname()) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(ROUND_TRIPS):
            began = time.perf_counter()
            connection.sendall(b"x")
            connection.recv(1)
            times.append(time.perf_counter() - began)
    os.waitpid(child, 0)
    return statistics.median(times)


def echo(listener):
    connection, _ = listener.accept()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while True:
        data = connection.recv(16)
        if not data:
            return
        connection.sendall(data)


def relay_seconds(count):
    """(p50, p99) of the time of a message to another process, which waits for it in epoll, and on
    from there, on another connection: what a broker's latency consists of without the broker."""
    listener = socket.create_server(("127.0.0.1", 0))
    child = os.fork()
    if child == 0:
        relay(listener)
        os._exit(0)
    times, message = [], bytes(RELAY_BYTES)
    with listener, socket.create_connection(listener.getsockname()) as publisher, \
            socket.create_connection(listener.getsockname()) as consumer:
        publisher.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        due = time.perf_counter()
        for _ in range(count):
            due = max(due + RELAY_EVERY_S, time.perf_counter())
            time.sleep(max(0, due - EARLY_S - time.perf_counter()))
            while time.perf_counter() < due:
                pass
            publisher.sendall(message)
            consumer.recv(RELAY_BYTES, socket.MSG_WAITALL)
            times.append(time.perf_counter() - due)
    os.waitpid(child, 0)
    times.sort()
    return times[count // 2], times[count * 99 // 100]


def relay(listener):
    publisher, _ = listener.accept()
    consumer, _ = listener.accept()
    consumer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    poll = select.epoll()
    poll.register(publisher, select.EPOLLIN)
    while poll.poll():
        data = publisher.recv(65536)
        if not data:
            return
        consumer.sendall(data)
