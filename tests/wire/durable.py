#!/usr/bin/python3
"""What a running daemon asks of the system, and in which order: nothing is said to a client before it
is durable, and nothing is removed that is still needed.

The daemon runs with tests/fault/observe.so loaded in front of it, which writes down every call for disk
and sockets.  A model of what is durable follows the calls: contents after a sync of the file that began
after they were written, or when the write itself was one; names after a sync of the folder.  Only
the daemon's own disk is looked at here, which nothing else proves.

Output is TAP.  Needs no broker: LEVERETD, or leveretd in $top_builddir.
"""

import os
import re
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from service import PROGRAM, folder, serve  # noqa: E402
from wire import Skip, case, check, equal, main  # noqa: E402

OBSERVER = os.path.join(os.path.abspath(os.environ.get("top_builddir", ".")),
                        "tests/fault/observe.so")
DSYNC = os.RWF_DSYNC
# Small files, so that few messages meet all that happens to them.
SIZES = ("--segment-size", "64K", "--checkpoint-ms", "200", "--chunk-entries", "64",
         "--cache-size", "16K", "--bodies-idle", "1K", "--batch-size", "128K", "--mark-step", "64",
         "--recycle-segments", "2")
# In every body, and in names of queues: so they are found in what is written and what is sent.
MARK = re.compile(rb"<<(\d{8})>>")
COMMITTED, DECLARED, IN_COMMIT = 50000000, 60000000, 5  # from where on they are of which kind


def marked(number, size=0):
    return b"<<%08d>>" % number + b"x" * size


class Write:
    """One write: to which file, and whether it is durable by now."""

    def __init__(self, inode):
        self.inode, self.durable = inode, False


class Inode:
    def __init__(self):
        self.written = []   # writes that are not durable
        self.named = False  # is its name durable?


class Model:
    """Follows the calls.  `faults` are sentences about what was done too early."""

    def __init__(self):
        self.files, self.descriptors = {}, {}
        self.syncing, self.renamed = {}, []
        self.journal = []     # writes of batches, in order
        self.place = {}       # number of a message -> index in journal, of its first record
        self.confirmed = self.committed = 0
        self.index_synced = False  # since the last anchor
        self.anchor = None    # the last write to it
        self.faults = []
        self.met = dict.fromkeys(("confirms", "commits", "declares", "syncs", "synced writes", "folder syncs", "created",
                                  "recycled", "removed", "anchors"), 0)
        self.streams = {}     # what went to each socket, and is no whole frame yet

    def fault(self, text):
        if len(self.faults) < 10:
            self.faults.append(text)

    # ---- calls, by their kind in the log ----

    def open(self, fd, _offset, _size, flags, _result, name, _data):
        if name not in self.files or flags & os.O_CREAT and flags & os.O_EXCL:
            self.files[name] = Inode()
            if flags & os.O_CREAT and flags & os.O_EXCL:
                self.renamed.append(self.files[name])
                self.met["created"] += name.startswith("journal-")
            else:
                self.files[name].named = True
        self.descriptors[fd] = name, self.files[name]

    def close(self, fd, *_):
        self.descriptors.pop(fd, None)

    def rename(self, _fd, _offset, _size, _flags, result, name, _data):
        old, new = name.split(" ")
        if result == 0 and old in self.files:
            inode = self.files.pop(old)
            if old.startswith("journal-"):
                self.removing(old)
                inode = Inode()  # what was written under the old name is no longer needed
            self.met["recycled"] += new.startswith("journal-")
            self.files[new] = inode
            self.files[new].named = False
            self.renamed.append(self.files[new])

    def unlink(self, _fd, _offset, _size, _flags, result, name, _data):
        if result == 0:
            if name.startswith("journal-"):
                self.removing(name)
            self.files.pop(name, None)

    def removing(self, name):
        self.met["removed"] += 1
        if not self.anchor or not self.anchor.durable or not self.anchor.inode.named:
            self.fault("%s goes before the anchor is durable" % name)

    def write(self, fd, _offset, _size, flags, result, _name, data):
        if result <= 0 or fd not in self.descriptors:
            return
        name, inode = self.descriptors[fd]
        write = Write(inode)
        if flags & DSYNC:
            write.durable = True
            self.met["synced writes"] += 1
        else:
            inode.written.append(write)
        if name == "anchor":
            self.met["anchors"] += 1
            if not self.index_synced:
                self.fault("the anchor is written before the index is synced")
            self.index_synced, self.anchor = False, write
        if name.startswith("journal-") and data:
            for number in MARK.findall(data):
                self.place.setdefault(int(number), len(self.journal))
            self.journal.append(write)

    def append(self, fd, *_):
        """LevelDB's way of writing."""

    def sync_begin(self, fd, thread, *_):
        name, inode = self.descriptors.get(fd, ("?", Inode()))
        self.syncing[fd, thread] = name, list(inode.written), list(self.renamed)

    def sync_end(self, fd, thread, _size, _flags, result, _name, _data):
        name, writes, renamed = self.syncing.pop((fd, thread))
        if result != 0:
            return
        if name == "/":
            self.met["folder syncs"] += 1
            for inode in renamed:
                inode.named = True
            self.renamed = [inode for inode in self.renamed if inode not in renamed]
            return
        self.met["syncs"] += 1
        if name.endswith(".log"):
            self.index_synced = True
        for write in writes:
            write.durable = True
        if writes:
            inode = writes[0].inode
            inode.written = [write for write in inode.written if not write.durable]

    def sent(self, *_):
        pass

    def send(self, fd, _offset, _size, _flags, _result, _name, data):
        stream = self.streams.setdefault(fd, bytearray())
        stream += data
        while len(stream) >= 8:
            size = int.from_bytes(stream[3:7], "big") + 8
            if len(stream) < size:
                return
            kind, payload = stream[0], bytes(stream[7:size - 1])
            del stream[:size]
            if kind == 1:
                self.method(payload)

    # ---- what was promised ----

    def method(self, payload):
        """One that went to a client."""
        if payload[:4] == b"\0\x3c\0\x50":  # basic.ack
            self.confirm(int.from_bytes(payload[4:12], "big"), payload[12] & 1)
        elif payload[:4] == b"\0\x32\0\x0b":  # queue.declare-ok
            for number in MARK.findall(payload):
                self.met["declares"] += 1
                self.check_durable(int(number))
        elif payload[:4] == b"\0\x5a\0\x15":  # tx.commit-ok
            for _ in range(IN_COMMIT):
                self.check_durable(COMMITTED + self.committed)
                self.committed += 1
            self.met["commits"] += 1

    def confirm(self, tag, multiple):
        first = self.confirmed + 1 if multiple else tag
        for number in range(first, tag + 1):
            self.met["confirms"] += 1
            self.check_durable(number)
        self.confirmed = max(self.confirmed, tag)

    def check_durable(self, number):
        """The batch of a message or a queue, and all before it."""
        if number not in self.place:
            self.fault("%d is answered before it is written" % number)
            return
        for write in self.journal[:self.place[number] + 1][-50:]:
            if not write.durable:
                self.fault("%d is answered before it is synced" % number)
                return
            if not write.inode.named:
                self.fault("%d is answered before its file has a durable name" % number)
                return


def follow(path):
    """The model after all calls of a log."""
    model = Model()
    with open(path, "rb") as log:
        for line in log:
            kind, fd, offset, size, flags, result, data, name = line.decode().rstrip("\n").split(" ", 7)
            content = log.read(int(data) + 1)[:-1] if int(data) else b""
            getattr(model, kind.replace("-", "_"))(int(fd), int(offset), int(size), int(flags),
                                                    int(result), name, content)
    return model


def observed(t, *options):
    """A daemon whose calls are written down, and where."""
    with open(PROGRAM, "rb") as program:
        code = program.read()
    if b"__asan_init" in code or b"__tsan_init" in code:
        raise Skip("a sanitizer stands in front of the system calls itself")
    if not os.access(OBSERVER, os.R_OK):
        raise Skip(OBSERVER + " is not built")
    place = folder(t)
    log = os.path.join(place, "calls")
    environment = dict(os.environ, LD_PRELOAD=OBSERVER, OBSERVE_LOG=log, OBSERVE_DATA="1")
    return serve(t, os.path.join(place, "data"), *options, env=environment), log


class Load:
    """A connection with confirms, whose messages are numbered as their confirms are."""

    def __init__(self, t, daemon):
        self.c = daemon.client(t)
        self.c.channel()
        self.c.call(1, "confirm.select")
        self.sent = self.confirmed = 0

    def publish(self, queue, count, size=0):
        for _ in range(count):
            self.sent += 1
            self.c.publish(1, queue, marked(self.sent, size), delivery_mode=2)

    def wait(self):
        while self.confirmed < self.sent:
            self.confirmed = max(self.confirmed, self.c.expect(1, "basic.ack", 20).delivery_tag)


def settle(daemon, t, queue, count):
    """Takes messages and acknowledges them."""
    c = daemon.client(t)
    c.channel()
    c.call(1, "basic.qos", prefetch_count=200)
    c.call(1, "basic.consume", queue=queue)
    for number in range(1, count + 1):
        c.expect(1, "basic.deliver", 20)
        if number % 50 == 0 or number == count:
            c.send(1, "basic.ack", delivery_tag=number, multiple=True)
    c.close()


def judge(daemon, log, load, *met):
    equal(daemon.stop(), 0, "status")
    model = follow(log)
    print("# " + ", ".join("%s %d" % item for item in model.met.items()))
    equal(model.faults, [], "what was done too early")
    check(model.met["confirms"] >= load.sent, "confirms were seen")
    for what in met:
        check(model.met[what], "met: " + what)


@case("a confirm comes when its message is synced, and all before it")
def _(t):
    daemon, log = observed(t)
    load = Load(t, daemon)
    load.c.call(1, "queue.declare", queue="q", durable=True)
    for _ in range(60):  # each is written and synced by itself
        load.publish("q", 1)
        load.wait()
    for size in (0, 100, 3000, 30000, 1000000):  # many at once, small and large
        for _ in range(4):
            load.publish("q", 250 if size < 1000 else 6, size)
            load.wait()
        load.publish("q", 1)
        load.wait()
    judge(daemon, log, load, "syncs", "folder syncs", "created")


@case("so do the answers to a commit and to a durable declare")
def _(t):
    daemon, log = observed(t)
    load = Load(t, daemon)
    load.c.channel(2)
    load.c.channel(3)
    load.c.call(2, "tx.select")
    for number in range(30):
        queue = marked(DECLARED + number).decode()
        load.c.call(3, "queue.declare", queue=queue, durable=True)
        load.publish(queue, 3)
        for at in range(number * IN_COMMIT, (number + 1) * IN_COMMIT):
            load.c.publish(2, queue, marked(COMMITTED + at, 100), delivery_mode=2)
        load.c.send(2, "tx.commit")
        load.c.expect(2, "tx.commit-ok", 20)
    load.wait()
    judge(daemon, log, load, "commits", "declares")


@case("its file's name is durable as well, and files go behind the anchor")
def _(t):
    daemon, log = observed(t, *SIZES)
    load = Load(t, daemon)
    load.c.call(1, "queue.declare", queue="q", durable=True)
    for _ in range(6):
        load.publish("q", 150, 1000)
        load.wait()
    load.publish("q", 6, 100000)  # larger than a file
    load.wait()
    settle(daemon, t, "q", load.sent)
    for _ in range(10):  # into files that were used before
        time.sleep(0.25)
        load.publish("q", 50, 2000)
        load.wait()
    judge(daemon, log, load, "syncs", "folder syncs", "created", "recycled", "removed", "anchors")


main()
