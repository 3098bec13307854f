"""Loads that could keep a broker's own thread busy for long, and how long its turns are then.

While Leveret's thread is in a turn it serves nobody else, so its longest turn is everybody's
latency. A load here is something large that one client asks for. Beside it a process of its own
pings: it publishes to a queue of its own, waits for the delivery, and so on. What counts is the
longest turn, as the broker tells it at SIGUSR1, and the longest ping.
"""

import multiprocessing
import os
import re
import signal
import socket
import struct
import time

from perf import Invalid

PING_EVERY, PATIENCE = 0.002, 120
BLOCK = 1 << 20  # about as much is sent at once

METHOD, HEADER, BODY = 1, 2, 3
NO_WAIT_DECLARE = 16
CHANNEL_MAX, FRAME_MAX = 2047, 131072


# ---- as much of AMQP 0-9-1 as is needed ----

def frame(kind, channel, payload):
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + b"\xce"


def method(channel, class_id, method_id, arguments=b""):
    return frame(METHOD, channel, struct.pack(">HH", class_id, method_id) + arguments)


def short(text):
    return bytes([len(text)]) + text


def declare(queue, exclusive=False, passive=False, durable=False, wait=True):
    flags = passive | durable << 1 | exclusive << 2 | (0 if wait else NO_WAIT_DECLARE)
    return method(1, 50, 10, b"\0\0" + short(queue) + bytes([flags]) + bytes(4))


def exchange(name, kind):
    return method(1, 40, 10, b"\0\0" + short(name) + short(kind) + b"\0" + bytes(4))


def bind(queue, name, key=b"", arguments=b""):
    """`arguments`: the contents of a table. The broker does not answer."""
    return method(1, 50, 20, b"\0\0" + short(queue) + short(name) + short(key) + b"\x01" +
                  struct.pack(">I", len(arguments)) + arguments)


def text_field(name, value):
    """A string in a table."""
    return short(name) + b"S" + struct.pack(">I", len(value)) + value


def publish(name, key, body, persistent=False, expiration=None):
    properties = struct.pack(">HB", 0x1000, 2) if persistent else struct.pack(">H", 0)
    if expiration is not None:
        properties = struct.pack(">H", 0x0100) + short(b"%d" % expiration)
    said = [method(1, 60, 40, b"\0\0" + short(name) + short(key) + b"\0"),
            frame(HEADER, 1, struct.pack(">HHQ", 60, 0, len(body)) + properties)]
    part = FRAME_MAX - 8
    said += [frame(BODY, 1, body[at:at + part]) for at in range(0, len(body), part)]
    return b"".join(said)


class Client:
    """A connection with channel 1."""

    def __init__(self, address, channel=True):
        self.socket = socket.create_connection(address, PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.unread = b""
        self.mark = b"%x-" % time.monotonic_ns()  # names are this client's own
        login = b"\0guest\0guest"
        self.send(b"AMQP\0\0\x09\x01")
        self.wait(10, 10)
        self.send(method(0, 10, 11, bytes(4) + short(b"PLAIN") +
                         struct.pack(">I", len(login)) + login + short(b"en_US")))
        self.wait(10, 30)
        self.send(method(0, 10, 31, struct.pack(">HIH", CHANNEL_MAX, FRAME_MAX, 0)) +
                  method(0, 10, 40, short(b"/") + b"\0\0"))
        self.wait(10, 41)
        if channel:
            self.call(method(1, 20, 10, b"\0"), 20, 11)

    def name(self, text):
        return self.mark + text

    def send(self, data):
        self.socket.sendall(data)

    def send_many(self, data, count):
        """`data` so many times, in large pieces."""
        at_once = max(1, min(count, BLOCK // len(data)))
        piece = data * at_once
        for _ in range(count // at_once):
            self.send(piece)
        self.send(data * (count % at_once))

    def frame(self):
        while len(self.unread) < 7 or len(self.unread) < self.size():
            more = self.socket.recv(1 << 18)
            if not more:
                raise Invalid("the broker hung up")
            self.unread += more
        size = self.size()
        said, self.unread = self.unread[:size], self.unread[size:]
        return said

    def size(self):
        return 8 + struct.unpack(">I", self.unread[3:7])[0]

    def wait(self, class_id, method_id):
        """The arguments of the next such method. Whatever closes instead is an error."""
        while True:
            said = self.frame()
            if said[0] != METHOD:
                continue
            found = struct.unpack(">HH", said[7:11])
            if found == (class_id, method_id):
                return said[11:-1]
            if found in ((10, 50), (20, 40)):
                raise Invalid("the broker closed: %s" % said[14:14 + said[13]].decode())

    def call(self, data, class_id, method_id):
        self.send(data)
        return self.wait(class_id, method_id)

    def settle(self, queue):
        """What was sent before has been acted on. Returns the number of ready messages."""
        said = self.call(declare(queue, passive=True), 50, 11)
        return struct.unpack(">I", said[1 + said[0]:5 + said[0]])[0]

    def close(self):
        self.socket.close()


# ---- the loads; each returns a number that must be what it should be ----

def fill(client, queue, count, body, persistent=False, exclusive=True):
    client.call(declare(queue, exclusive=exclusive and not persistent, durable=persistent), 50, 11)
    client.send_many(publish(b"", queue, body, persistent), count)
    return client.settle(queue)


def idle(client, count, rest):
    ready = fill(client, client.name(b"much"), count, b"x" * 100)
    time.sleep(rest)
    return ready, count


def fan_out(client, queues, count, rest):
    fan = client.name(b"fan")
    client.call(exchange(fan, b"fanout"), 40, 11)
    names = [client.name(b"%d" % at) for at in range(queues)]
    client.send(b"".join(declare(name, exclusive=True, wait=False) + bind(name, fan)
                         for name in names))
    client.settle(names[-1])
    client.send_many(publish(fan, b"", b"x"), count)
    ready = client.settle(names[0]) + client.settle(names[-1])
    time.sleep(rest)
    return ready, 2 * count


def delete(client, count):
    queue = client.name(b"doomed")
    fill(client, queue, count, b"x")
    said = client.call(method(1, 50, 40, b"\0\0" + short(queue) + b"\0"), 50, 41)
    return struct.unpack(">I", said)[0], count


def purge(client, count):
    queue = client.name(b"doomed")
    fill(client, queue, count, b"x")
    said = client.call(method(1, 50, 30, b"\0\0" + short(queue) + b"\0"), 50, 31)
    return struct.unpack(">I", said)[0], count


def expire(client, count, seconds):
    """All end at the same time."""
    queue = client.name(b"ending")
    client.call(declare(queue, exclusive=True), 50, 11)
    ends = time.monotonic() + seconds
    for _ in range(0, count, 1000):
        left = max(1, int(1000 * (ends - time.monotonic())))
        client.send_many(publish(b"", queue, b"x" * 20, expiration=left), 1000)
    ready = client.settle(queue)
    time.sleep(max(0, ends - time.monotonic()) + 1)
    return ready - client.settle(queue), count


def commit(client, count):
    queue = client.name(b"durable")
    client.call(declare(queue, durable=True), 50, 11)
    client.call(method(1, 90, 10), 90, 11)
    client.send_many(publish(b"", queue, b"x" * 20, persistent=True), count)
    client.call(method(1, 90, 20), 90, 21)
    return client.settle(queue), count


def large(client, size):
    queue = client.name(b"large")
    client.call(declare(queue, exclusive=True), 50, 11)
    said = publish(b"", queue, bytes(size))
    for _ in range(2):
        client.send(said)
        ready = client.settle(queue)
    return ready, 2


def bindings(client, count):
    name, queue = client.name(b"many"), client.name(b"bound")
    client.call(exchange(name, b"direct"), 40, 11)
    client.call(declare(queue, exclusive=True), 50, 11)
    for at in range(0, count, 1000):
        client.send(b"".join(bind(queue, name, b"%d" % key)
                             for key in range(at, min(at + 1000, count))))
    client.send(publish(name, b"%d" % (count - 1), b"x"))
    ready = client.settle(queue)
    client.call(method(1, 50, 40, b"\0\0" + short(queue) + b"\0"), 50, 41)
    return ready, 1


def topics(client, patterns, count):
    """Patterns of a hundred words, and a key of a hundred and twenty, that match in many ways."""
    name, queue = client.name(b"words"), client.name(b"matched")
    client.call(exchange(name, b"topic"), 40, 11)
    client.call(declare(queue, exclusive=True), 50, 11)
    for at in range(patterns):
        words = [b"#" if at >> bit % 11 & 1 else b"*" for bit in range(100)]
        client.send(bind(queue, name, b".".join(words)))
    client.send(bind(queue, name, b"#"))
    client.settle(queue)
    client.send(publish(name, b".".join([b"a"] * 120), b"x") * count)
    return client.settle(queue), count


def channels(client, connections, each):
    others = [Client((client.socket.getpeername()), channel=False) for _ in range(connections)]
    for other in others:
        other.send(b"".join(method(at, 20, 10, b"\0") for at in range(1, each + 1)))
    opened = 0
    for other in others:
        for _ in range(each):
            other.wait(20, 11)
            opened += 1
    for other in others:
        other.close()
    return opened, connections * each


# (row, title, load, its counts, and those of a quick run)
LOADS = (
    ("turn-idle", "1 M x 100 B transient that nobody reads, and five seconds after", idle,
     (1000000, 5), (20000, 0.2)),
    ("turn-fanout", "fan-out of 4,000 x 1 B to 10,000 queues", fan_out,
     (10000, 4000, 5), (50, 100, 0.1)),
    ("turn-queues", "fan-out of 20,000 x 1 B to 1,000 queues", fan_out,
     (1000, 20000, 10), (20, 200, 0.1)),
    ("turn-delete", "queue.delete of 3 M messages", delete, (3000000,), (20000,)),
    ("turn-purge", "queue.purge of 3 M messages", purge, (3000000,), (20000,)),
    ("turn-expire", "100,000 messages that end at the same time", expire, (100000, 3), (5000, 0.5)),
    ("turn-commit", "tx.commit of 1 M persistent messages", commit, (1000000,), (5000,)),
    ("turn-body", "messages of 128 MiB", large, (128 << 20,), (1 << 20,)),
    ("turn-bindings", "200,000 bindings of one queue, and its end", bindings,
     (200000,), (2000,)),
    ("turn-topics", "keys of 120 words through 2,000 patterns of 100", topics,
     (2000, 50), (50, 10)),
    ("turn-channels", "100 connections of 2,047 channels that drop", channels,
     (100, 2047), (5, 100)),
)


# ---- beside the load ----

def ping(address, told):
    """Until told to stop; then the longest ping in milliseconds is told."""
    client = Client(address)
    queue = client.name(b"ping")
    client.call(declare(queue, exclusive=True), 50, 11)
    client.call(method(1, 60, 20, b"\0\0" + short(queue) + short(b"t") + bytes([2]) + bytes(4)),
                60, 21)
    said, longest = publish(b"", queue, b"ping"), 0
    told.send(0)
    while longest == 0 or not told.poll(PING_EVERY):
        began = time.monotonic()
        client.send(said)
        while client.frame()[0] != BODY:
            pass
        longest = max(longest, time.monotonic() - began)
    told.send(longest * 1000)


class Pinging:
    def __init__(self, address):
        self.told, other = multiprocessing.Pipe()
        self.process = multiprocessing.Process(target=ping, args=(address, other), daemon=True)
        self.process.start()
        other.close()
        self.hear()

    def hear(self):
        try:
            return self.told.recv() if self.told.poll(PATIENCE) else None
        except EOFError:
            return None

    def stop(self):
        """The longest ping in milliseconds."""
        self.told.send(0)
        longest = self.hear()
        self.process.join()
        if longest is None:
            raise Invalid("pings were not answered")
        return longest


def turn_stats(broker):
    """What the broker tells of its turns, by name."""
    with open(broker.log, encoding="utf-8", errors="replace") as log:
        log.seek(0, os.SEEK_END)
        os.kill(broker.pid, signal.SIGUSR1)
        said, until = "", time.monotonic() + PATIENCE
        while time.monotonic() < until:
            said += log.read()
            found = re.search(r" turn_stats (.*)\n", said)
            if found:
                return dict(pair.split("=", 1) for pair in found.group(1).split())
            time.sleep(0.01)
    raise Invalid("the broker tells nothing of its turns")


def measure(broker, load, counts):
    """The longest turn and the longest ping, in milliseconds."""
    client = Client(broker.address())
    turn_stats(broker)  # the longest turn is counted from here on
    pinging = Pinging(broker.address())
    try:
        got, wanted = load(client, *counts)
    finally:
        longest = pinging.stop()
        client.close()
    found = {"turn": int(turn_stats(broker)["recent_us"]) / 1000, "ping": longest}
    if got != wanted:
        raise Invalid("%d instead of %d" % (got, wanted))
    return found
