"""Three brokers that are a cluster, and the address of one of them that does not lead.

They are started and killed as one broker is (bench/brokers.py): `port` and `tls_port` are those of the broker that
clients are at, and `kill` and `start` are about that one or, with `fails`, about the one that leads.
"""

import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "bench"), os.path.join(HERE, "..", "tests", "wire")]

import amqp  # noqa: E402
import brokers  # noqa: E402
from tap import PATIENCE, eventually  # noqa: E402

COUNT = 3
GONE = (amqp.ConnectionGone, amqp.Silence, OSError)


class Three:
    """`went_on`: of the connections that clients had when the broker was killed last, how many there were, and how many
    were there when another one served. `has_moved`: another one has come to lead without being asked to, as happens
    on a machine that is too busy, and clients have lost their connections by that."""

    def __init__(self, program, work, certificate, fails=False):
        self.nodes = brokers.leveret_nodes(program, work, COUNT, certificate)
        self.certificate, self.fails = certificate, fails
        self.place = self.killed = None
        self.went_on, self.has_moved, self.offices = (0, 0), False, None

    port = property(lambda self: self.place.port)
    tls_port = property(lambda self: self.place.tls_port)
    logs = property(lambda self: [node.log for node in self.nodes])

    def start(self, fresh=True, tls=False):
        """All of them, or the one that was killed."""
        for node in self.nodes if fresh else [self.killed]:
            node.start(fresh, tls)
        if fresh:
            self.wait(lambda: any(map(brokers.LeveretNode.taken, self.nodes)), "nobody leads")
            self.place = next(node for node in self.nodes if node is not self.leader())
        self.wait_until_served()
        self.offices = self.taken()

    def taken(self):
        return [node.taken() for node in self.nodes]

    def leader(self):
        return max(self.nodes, key=brokers.LeveretNode.taken)

    def has_stayed(self):
        """Whether those lead who are to; it is asked before each kill, and at the end."""
        self.has_moved = self.has_moved or self.taken() != self.offices
        return not self.has_moved

    def wait(self, condition, what):
        if not eventually(lambda: condition() or self.has_ended(), PATIENCE) or self.has_ended():
            raise brokers.BrokerError("%s: %s" % (what, " / ".join(node.explain() for node in self.nodes)))

    def has_ended(self):
        return any(node.process and not node.alive() for node in self.nodes)

    def wait_until_served(self):
        def is_served():
            try:
                amqp.Connection("127.0.0.1:%d" % self.port).open().close()
                return True
            except GONE:
                return False
        self.wait(is_served, "nobody is served")

    def kill(self):
        self.has_stayed()
        before = connections(self.port) | connections(self.tls_port)
        self.killed = self.leader() if self.fails else self.place
        self.killed.kill()
        if self.fails and self.killed is not self.place:
            self.wait_until_served()
            time.sleep(0.3)  # those that end do so by now
            self.went_on = len(before), len(before & (connections(self.port) | connections(self.tls_port)))

    def stop(self):
        """In good order: those that follow, and then the one that leads."""
        self.has_stayed()
        leader = self.leader()
        for node in [node for node in self.nodes if node is not leader] + [leader]:
            node.stop()

    def close(self):
        for node in self.nodes:
            node.close()


def connections(port):
    """The ports of clients that are connected to that one of this machine."""
    rows = []
    for table in "/proc/net/tcp", "/proc/net/tcp6":  # this one has sockets that may speak both
        with open(table, encoding="ascii") as lines:
            rows += [line.split() for line in lines.readlines()[1:]]
    wanted, established = "0100007F:%04X" % port, "01"
    return {int(row[1].partition(":")[2], 16) for row in rows
            if row[2].endswith(wanted) and row[3] == established}
