#!/usr/bin/python3
"""What clusters of other brokers were broken by, played to one of ours: each case says what happens here.

Jepsen's analyses of RabbitMQ's mirrored queues (2014) and of NATS JetStream (2025), and reports about both and others:
power that goes everywhere at once, one damaged copy, metadata that is lost, folders of before, a leader that is cut off
with its clients, two that do not see each other while a third sees both.

Needs no broker: every case starts its own, LEVERET_VOLATILE or tests/kill/leveretd_volatile in $top_builddir where power
is lost.  Those that cut the network need root, and are skipped without it.  Output is TAP.
"""

import glob
import os
import shutil
import signal
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "kill")]

import cluster_net  # noqa: E402
import members  # noqa: E402
import service  # noqa: E402
from cluster_net import between  # noqa: E402
from tap import Skip, eventually  # noqa: E402
from wire import amqp, case, check, equal, main  # noqa: E402

SILENCE, JOBS = 2, 2  # of these each is a process of its own, which may be in a network of its own
TOP = os.environ.get("top_builddir", ".")
VOLATILE = os.environ.get("LEVERET_VOLATILE") or os.path.join(TOP, "tests", "kill", "leveretd_volatile")
WHY_NOT = cluster_net.why_not(TOP)


class Brokers(members.Cluster):
    """Three, and `c`, a client of the one that leads, who has filled the queue "kept"."""

    def __init__(self, t, count=300):
        super().__init__(t)
        self.found()
        self.leading = self.leader()
        self.c = self.client(self.leading)
        members.fill(self.c, "kept", count)
        self.kept = members.numbers(count)

    def others(self):
        return [number for number in self.brokers if number != self.leading]

    def pause(self, number):
        process = self.brokers[number].process
        process.send_signal(signal.SIGSTOP)
        self.t.cleanup(process.send_signal, signal.SIGCONT)

    def go_on(self, number):
        self.brokers[number].process.send_signal(signal.SIGCONT)

    def publish(self, c, first, count):
        """Those with numbers from `first` on, whose confirms nobody has seen yet."""
        for number in range(first, first + count):
            c.publish(1, "kept", b"%d" % number, delivery_mode=2)

    def keep(self, count):
        """So many more, confirmed by the one that leads."""
        first = len(self.kept)
        self.leading = self.leader()
        c = self.client(self.leading)
        c.channel()
        c.call(1, "confirm.select")
        self.publish(c, first, count)
        while c.expect(1, "basic.ack").delivery_tag < count:
            pass
        self.kept += ["%d" % number for number in range(first, first + count)]

    def found_at_each_leader(self):
        """All that was confirmed is there, in order, whoever leads: each of them is killed in turn, but the last."""
        for _ in range(2):
            leading = self.leader()
            self.wait_for_all(leading)
            self.kill(leading)
            equal(self.all_there(besides={leading}), self.kept, "what others have than broker %d" % leading)
            self.start(leading)
        self.leading = self.leader()

    def wait_for_all(self, leading):
        """Before it is killed: it has links to all others, and these have had time to be told."""
        log = self.brokers[leading].log
        check(eventually(lambda: log().count(" link_up ") - log().count(" link_down ") == self.count - 1), log())
        time.sleep(SILENCE)

    def all_there(self, besides=()):
        c = self.client(self.leader(besides=besides))
        c.channel()
        count = c.call(1, "queue.declare", queue="kept", passive=True).message_count
        got = [c.get_soon("kept", no_ack=False).body.decode() for _ in range(count)]
        c.close()
        return got

    def damage(self, number, how):
        """Done to each file of its journal, while it is down."""
        self.kill(number)
        paths = sorted(glob.glob(self.folders[number - 1] + "/journal-*"))
        for path in paths:
            with open(path, "r+b") as file:
                how(file, path == paths[-1])

    def tries_to_start(self, number, *more):
        """True: it serves or follows; else it has ended, and its log says what to do."""
        self.brokers[number] = members.Daemon(self.t, *self.arguments(number, *more))
        log = self.brokers[number].log
        eventually(lambda: service.READY in log() or self.brokers[number].process.poll() is not None)
        return self.brokers[number].process.poll() is None

    def join_anew(self, number):
        """With an empty folder, in its own place; until it counts."""
        self.lose(number)
        self.start(number, "--cluster-join")
        self.counts(number)

    def counts(self, number):
        check(eventually(lambda: any(" voter=%d " % number in one.log() for one in self.brokers.values())),
              "number %d does not count: %s" % (number, self.brokers[number].log()))
        time.sleep(SILENCE)


def flip(file, is_last):
    """Of what was written long ago: a bit in each of some places."""
    del is_last
    size = len(file.read().rstrip(b"\0"))
    for at in range(size // 20, size, size // 20 or 1):
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 0x10]))


def cut_half(file, is_last):
    if is_last:
        file.truncate(len(file.read().rstrip(b"\0")) // 2)


# ---- power and disks

def of_forgetful_disks(t):
    """Brokers whose disks forget, when they are killed, what was not synced."""
    service.PROGRAM, kept = VOLATILE, service.PROGRAM
    t.cleanup(setattr, service, "PROGRAM", kept)
    return Brokers(t)


@case("power that goes everywhere at once takes nothing that was confirmed (NATS 2025)")
def _(t):
    cluster = of_forgetful_disks(t)
    cluster.publish(cluster.c, 300, 100)  # some of these under way
    for broker in cluster.brokers.values():
        broker.process.send_signal(signal.SIGKILL)
    for number in cluster.brokers:
        cluster.kill(number)
        cluster.start(number)
    got = cluster.all_there()
    equal(got[:300], cluster.kept, "what was confirmed")
    equal(got[300:], members.numbers(400)[300:len(got)], "what was not: the first of it, in order, or none")


@case("power that goes at one, and pauses of the others, leave one that leads (NATS 2025, #7567)")
def _(t):
    cluster = of_forgetful_disks(t)
    for _ in range(3):
        leading = cluster.leader()
        cluster.kill(leading)
        for number in (one for one in cluster.brokers if one != leading):
            cluster.pause(number)
            time.sleep(0.7)
            cluster.go_on(number)
        cluster.start(leading)
        time.sleep(2 * SILENCE)
        cluster.keep(20)
    offices = [broker.log().count(" office_taken ") - broker.log().count(" office_lost ")
               for broker in cluster.brokers.values()]
    equal(sorted(offices), [0, 0, 1], "who leads, by their logs")
    equal(cluster.all_there(), cluster.kept, "what is there")


@case("one damaged copy is not used, and costs nothing (NATS 2025, #7549)")
def _(t):
    cluster = Brokers(t)
    damaged = cluster.others()[0]
    cluster.damage(damaged, flip)
    check(not cluster.tries_to_start(damaged), "it starts")
    log = cluster.brokers[damaged].log()
    check("the journal is damaged" in log and "--cluster-join" in log, log)
    cluster.keep(50)
    equal(cluster.all_there(), cluster.kept, "what is there")
    cluster.join_anew(damaged)
    cluster.found_at_each_leader()


@case("the copy of the one that leads is damaged, and it is the others' that count (NATS 2025)")
def _(t):
    cluster = Brokers(t)
    damaged = cluster.leading
    cluster.damage(damaged, flip)
    cluster.keep(50)
    if not cluster.tries_to_start(damaged):
        cluster.join_anew(damaged)
    equal(cluster.all_there(), cluster.kept, "what is there")
    cluster.found_at_each_leader()


@case("a journal that was cut short is filled again before it counts for anything (NATS 2025)")
def _(t):
    cluster = Brokers(t)
    damaged = cluster.others()[0]
    cluster.damage(damaged, cut_half)
    if not cluster.tries_to_start(damaged):
        cluster.join_anew(damaged)
    cluster.keep(50)
    cluster.found_at_each_leader()


# ---- metadata and folders

@case("who has lost the file that says who it is is refused, and the others go on (NATS 2025)")
def _(t):
    cluster = Brokers(t)
    lost = cluster.others()[0]
    cluster.kill(lost)
    os.unlink(cluster.folders[lost - 1] + "/node")
    is_up = cluster.tries_to_start(lost)
    cluster.keep(50)
    log = cluster.brokers[lost].log()
    check(not is_up or "link_refused" in log, "it takes part: " + log)
    cluster.join_anew(lost)
    cluster.found_at_each_leader()


@case("a damaged file that says who one is ends the start, and says why")
def _(t):
    cluster = Brokers(t)
    damaged = cluster.others()[0]
    cluster.kill(damaged)
    with open(cluster.folders[damaged - 1] + "/node", "r+b") as file:
        flip(file, True)
    check(not cluster.tries_to_start(damaged), "it starts")
    check("file node cannot be used" in cluster.brokers[damaged].log(), cluster.brokers[damaged].log())
    cluster.join_anew(damaged)
    cluster.keep(50)
    cluster.found_at_each_leader()


@case("a folder of before, put back, is refused: it has forgotten what it had agreed to (NATS 2025)")
def _(t):
    cluster = Brokers(t)
    stale = cluster.others()[0]
    folder = cluster.folders[stale - 1]
    cluster.kill(stale)
    shutil.copytree(folder, folder + ".before")
    t.cleanup(shutil.rmtree, folder + ".before", True)
    cluster.start(stale)
    cluster.keep(50)
    time.sleep(SILENCE)
    cluster.kill(stale)
    shutil.rmtree(folder)
    shutil.copytree(folder + ".before", folder)
    cluster.start(stale)
    cluster.keep(50)
    cluster.brokers[stale].says("link_refused")
    check("link_up" not in cluster.brokers[stale].log(), cluster.brokers[stale].log())
    cluster.join_anew(stale)
    cluster.found_at_each_leader()


@case("a member comes with nothing while the one that leads is killed: nobody deletes anything (NATS #7545, #7556)")
def _(t):
    cluster = Brokers(t)
    lost = cluster.others()[0]
    cluster.lose(lost)
    cluster.start(lost, "--cluster-join")
    check(eventually(lambda: any(" learner=%d " % lost in one.log() for one in cluster.brokers.values())), "it is not asked")
    leading = cluster.leading
    cluster.kill(leading)
    time.sleep(0.3)
    cluster.start(leading)
    cluster.keep(50)
    equal(cluster.all_there(), cluster.kept, "what is there")
    cluster.counts(lost)
    cluster.found_at_each_leader()


@case("who is slow, or stands still, holds nobody up (LavinMQ #884)")
def _(t):
    cluster = Brokers(t)
    cluster.pause(cluster.others()[0])
    began = time.monotonic()
    cluster.keep(300)
    check(time.monotonic() - began < 10, "it took %.1f s" % (time.monotonic() - began))
    cluster.go_on(cluster.others()[0])
    cluster.found_at_each_leader()


# ---- the network

class Cut(Brokers):
    """The same, each in a network of its own, between which ways are cut."""

    def __init__(self, t, count=300):
        self.net = cluster_net.Net(TOP, 3)
        t.cleanup(self.net.end)
        super().__init__(t, count)

    def arguments(self, number, *more, cookie=None):
        words = super().arguments(number, *more, "--guest-anywhere", cookie=cookie)
        places = {port: self.net.address(i + 1) for ports in (self.links, self.clients) for i, port in enumerate(ports)}
        for at, word in enumerate(words):
            head, separator, port = word.rpartition(":")
            if separator and port.isdigit() and int(port) in places:
                words[at] = head.replace("127.0.0.1", places[int(port)]) + ":" + port
        return words

    def start(self, number, *more, **options):
        self.brokers[number] = members.Daemon(self.t, *self.arguments(number, *more, **options),
                                              command=self.net.command(number)).ready()
        return self.brokers[number]

    def leader(self, besides=()):
        """By their logs: two may take themselves for it, and clients reach all who do."""
        def find():
            for number, broker in self.brokers.items():
                log = broker.log()
                if number not in besides and log.count(" office_taken ") > log.count(" office_lost "):
                    return number
            return None
        found = eventually(find)
        check(found, "nobody leads")
        return found

    def client(self, number):
        c = amqp.Connection("%s:%d" % (self.net.address(number), self.clients[number - 1]))
        self.t.cleanup(c.abort)
        return c.open()


def cut_case(name):
    def register(function):
        def run(t):
            if WHY_NOT:
                raise Skip(WHY_NOT)
            cluster_net.enter_new()
            function(t)
        return case(name)(run)
    return register


@cut_case("a leader that is cut off with its clients confirms nothing, and the rest goes on (RabbitMQ 2014)")
def _(t):
    cluster = Cut(t)
    old, c = cluster.leading, cluster.c
    cluster.net.cut(between([0, old], cluster.others()))
    cluster.publish(c, 10000, 50)
    try:
        while True:
            equal(c.recv(1, 30).name, "none", "what who is cut off is told")
    except amqp.ConnectionGone:
        pass
    cluster.net.set(between([0], cluster.others()))
    cluster.leading = cluster.leader(besides={old})
    cluster.keep(100)
    cluster.net.heal()
    time.sleep(SILENCE)
    got = cluster.all_there()
    equal([one for one in got if int(one) < 10000], cluster.kept, "what was confirmed")
    cluster.kept = got
    cluster.found_at_each_leader()


@cut_case("a queue of one message is no lock: who holds it may be cut off, and the next one is told (RabbitMQ 2014)")
def _(t):
    cluster = Cut(t, 1)
    old = cluster.leading
    cluster.c.consume("kept", no_ack=False)
    held = cluster.c.expect(1, "basic.deliver")
    equal(held.redelivered, False, "the first time")
    cluster.net.cut(between([old], cluster.others()))
    c = cluster.client(cluster.leader(besides={old}))
    c.channel()
    again = c.get_soon("kept", no_ack=False)
    equal((again.body, again.redelivered), (b"0", True), "the second holder")
    cluster.c.send(1, "basic.ack", delivery_tag=held.delivery_tag)
    cluster.net.heal()
    check(cluster.c.at_end(30), "the first holder has an answer")
    c.send(1, "basic.nack", delivery_tag=again.delivery_tag, requeue=True)
    equal(c.get_soon("kept").body, b"0", "the ack of who was cut off counts for nothing")


@cut_case("who is cut off from both others never becomes a second side (RabbitMQ #1667, #2175, #8110, #17319)")
def _(t):
    cluster = Cut(t)
    alone = cluster.others()[0]
    cluster.net.cut(between([alone], [one for one in cluster.brokers if one != alone]))
    cluster.keep(50)
    time.sleep(4)
    cluster.net.heal()
    time.sleep(SILENCE)
    check("office_lost" not in cluster.brokers[cluster.leading].log(), "the one that leads is deposed by it")
    check("office_taken" not in cluster.brokers[alone].log(), "it has led")
    cluster.found_at_each_leader()


@cut_case("two do not see each other and a third sees both: who leads goes on (RabbitMQ #1161, etcd #8129)")
def _(t):
    cluster = Cut(t)
    cluster.net.cut(between([cluster.leading], cluster.others()[:1]))
    for _ in range(5):
        cluster.keep(20)
        time.sleep(1)
    check("office_lost" not in cluster.brokers[cluster.leading].log(), "the one that leads is deposed")
    cluster.net.heal()
    time.sleep(SILENCE)
    cluster.found_at_each_leader()


if __name__ == "__main__":
    main(JOBS)
