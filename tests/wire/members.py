"""Brokers of a cluster that a case starts for itself."""

import os
import re
import shutil
import socket
import time

from service import Daemon, folder
from wire import amqp

ELECTED = 30
OFFICE = re.compile(r"^(\S+) \w+ office_(taken|lost) ", re.M)


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def secret(t, text=b"a secret of more than sixteen bytes\n"):
    path = os.path.join(folder(t), "cookie")
    with open(path, "wb") as file:
        file.write(text)
    os.chmod(path, 0o600)
    return path


class Cluster:
    """Brokers with numbers from 1 on; `brokers` has those that were started last."""

    def __init__(self, t, count=3, *more):
        self.t, self.count, self.cookie, self.more = t, count, secret(t), list(more)
        ports = free_ports(2 * count)
        self.links, self.clients = ports[:count], ports[count:]
        self.folders = [folder(t) for _ in range(count)]
        self.brokers = {}

    def arguments(self, number, *more, cookie=None):
        words = ["--node-name", "leveret@node%d" % number, "--data-dir", self.folders[number - 1], "--listen", "127.0.0.1:%d" % self.clients[number - 1],
                 "--set", "cluster.number=%d" % number, "--set", "cluster.listen=127.0.0.1:%d" % self.links[number - 1],
                 "--set", "cluster.cookie=" + (cookie or self.cookie)]
        for i, port in enumerate(self.links):
            words += ["--set", "cluster.nodes.%d=127.0.0.1:%d" % (i + 1, port)]
        return words + self.more + list(more)

    def start(self, number, *more, **options):
        self.brokers[number] = Daemon(self.t, *self.arguments(number, *more, **options)).ready()
        return self.brokers[number]

    def found(self, *more):
        for number in range(1, self.count + 1):
            self.start(number, "--cluster-found", *more)
        return self

    def leader(self, besides=()):
        """The number of the broker that leads, by its log: the one that came to do so last."""
        deadline = time.monotonic() + ELECTED
        while time.monotonic() < deadline:
            taken = {}
            for number, broker in self.brokers.items():
                if number not in besides and broker.process.poll() is None:
                    times = OFFICE.findall(broker.log())
                    if times and times[-1][1] == "taken":
                        taken[times[-1][0]] = number
            if taken:
                return taken[max(taken)]
            time.sleep(0.02)
        raise AssertionError("nobody leads: " + "".join(broker.log() for broker in self.brokers.values()))

    def client(self, number):
        c = amqp.Connection("127.0.0.1:%d" % self.clients[number - 1])
        self.t.cleanup(c.abort)
        return c.open()

    def client_of_leader(self, besides=()):
        """Who leads may have lost the office by the time that it is called: until one has been served. It
        begins again then, and nobody listens for a moment."""
        deadline = time.monotonic() + ELECTED
        while True:
            try:
                c = self.client(self.leader(besides))
                c.channel()
                return c
            except (amqp.ConnectionGone, ConnectionRefusedError):
                if time.monotonic() > deadline:
                    raise

    def kill(self, number):
        self.brokers[number].kill()

    def lose(self, number):
        """It is killed, if it runs, and its folder is empty."""
        self.kill(number)
        shutil.rmtree(self.folders[number - 1])
        os.mkdir(self.folders[number - 1], 0o700)


def publish(c, queue, count, size=0):
    """Messages 0 to count - 1, with so many bytes more, all confirmed; the channel has been told to confirm."""
    for number in range(count):
        c.publish(1, queue, b"%d" % number + b" " * size, delivery_mode=number % 2 + 1)
    c.confirmed = getattr(c, "confirmed", 0) + count
    highest = 0
    while highest < c.confirmed:
        highest = max(highest, c.expect(1, "basic.ack").delivery_tag)


def fill(c, queue, count):
    c.channel()
    c.queue(queue=queue, durable=True)
    c.call(1, "confirm.select")
    publish(c, queue, count)


def served(t, queue, count, *more):
    """A cluster, the number of the broker that serves, and a client of that, who has filled a queue."""
    cluster = Cluster(t, 3, *more).found()
    serving = cluster.leader()
    c = cluster.client(serving)
    fill(c, queue, count)
    return cluster, serving, c


def numbers(count):
    return ["%d" % number for number in range(count)]
