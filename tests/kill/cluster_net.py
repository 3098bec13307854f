"""A network of the test's own, of namespaces and wires between them, and a small disk: what is done to them.

Neither touches the machine's: whoever asks for them starts again in a network and among mounts of its own.
"""

import contextlib
import ctypes
import fcntl
import os
import subprocess
import sys

CLONE_NEWNET = 0x40000000
INSIDE = "LEVERET_TEST_INSIDE"
ALL = 1000  # of a thousand packets
DISK_MIB, LEFT_BYTES = 96, 4096
FREEZE, THAW = 0xc0045877, 0xc0045878  # FIFREEZE and FITHAW of linux/fs.h


def why_not(build_dir):
    """Why there can be no such network here; None: there can."""
    wires = build_dir + "/tests/kill/wires"
    if os.geteuid() != 0:
        return "needs root"
    done = subprocess.run(["unshare", "--net", "--mount", wires, "2"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return None if done.returncode == 0 else "no namespaces: " + done.stdout.strip()


def enter():
    """Starts this program again, inside; returns if it is there already."""
    if INSIDE not in os.environ:
        os.environ[INSIDE] = "yes"
        os.execvp("unshare", ["unshare", "--net", "--mount", sys.executable, *sys.argv])
    del os.environ[INSIDE]


def enter_new():
    """This process alone, and who is started by it from now on, in a network of its own."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class Net:
    """Hosts: 0 is this process's, the others the brokers' by their numbers. A cut is of pairs (from, to)."""

    def __init__(self, build_dir, brokers):
        self.hosts = range(brokers + 1)
        self.wires = subprocess.Popen([build_dir + "/tests/kill/wires", str(brokers + 1)], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True)
        self.entrances = [self.wires.stdout.readline().split()[2] for _ in self.hosts]
        self.changed = set()

    @staticmethod
    def address(host):
        return "10.77.0.%d" % (host + 1)

    def command(self, host):
        """What enters a host, and starts what follows there."""
        return ["nsenter", "--net=" + self.entrances[host]]

    def set(self, pairs, lost=0, delay_ms=0, jitter_ms=0):
        pairs = list(pairs)
        self.wires.stdin.write("".join("%d %d %d %d %d\n" % (*pair, lost, delay_ms, jitter_ms) for pair in pairs))
        self.wires.stdin.flush()
        for _ in pairs:
            if self.wires.stdout.readline() != "ok\n":
                raise OSError("the wires have ended")
        self.changed.update(pairs)

    def cut(self, pairs):
        self.set(pairs, ALL)

    def heal(self):
        self.set(self.changed)
        self.changed.clear()

    def end(self):
        self.wires.stdin.close()
        self.wires.wait()


def between(some, others):
    """All ways of the ones to the others, and back."""
    return [pair for one in some for other in others if one != other for pair in ((one, other), (other, one))]


def out_of(one, others):
    return [(one, other) for other in others if one != other]


def into(one, others):
    return [(other, one) for other in others if one != other]


def around(ring):
    """All ways but those of neighbors: each sees two others, and all see another majority."""
    count = len(ring)
    return [(ring[i], ring[j]) for i in range(count) for j in range(count) if (i - j) % count not in (0, 1, count - 1)]


class Disk:
    """A small one; `fill` takes all that is free, and while it is frozen it answers no write."""

    def __init__(self, folder):
        self.image, self.mount = folder + "/image", folder + "/mount"
        self.other = self.mount + "/other"
        with open(self.image, "wb") as file:
            file.truncate(DISK_MIB << 20)
        os.mkdir(self.mount)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", self.image], check=True)
        subprocess.run(["mount", "-o", "loop", self.image, self.mount], check=True)

    def fill(self):
        with open(self.other, "wb", buffering=0) as file:
            size = 1 << 20
            while size >= LEFT_BYTES:
                try:
                    os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, size)
                except OSError:
                    size //= 4

    def empty(self):
        if os.path.exists(self.other):
            os.unlink(self.other)

    @contextlib.contextmanager
    def frozen(self):
        folder = os.open(self.mount, os.O_RDONLY)
        fcntl.ioctl(folder, FREEZE, 0)
        try:
            yield
        finally:
            fcntl.ioctl(folder, THAW, 0)
            os.close(folder)

    def end(self):
        subprocess.run(["umount", "--lazy", self.mount], check=False)
