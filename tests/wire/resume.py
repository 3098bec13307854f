#!/usr/bin/python3
"""Clients of brokers that follow go on when the leader is gone: what they see of it, and what they do not.

Needs no broker: every case starts its own, LEVERETD or leveretd in $top_builddir.  Output is TAP.
"""

import datetime
import os
import re
import signal
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from members import ELECTED, Cluster, numbers  # noqa: E402
from wire import amqp, case, check, equal, main  # noqa: E402

# Within this a leader delivers nothing that others may hold, less what it takes to claim that.
HOLD_SECONDS = 0.25
OFFICE_TAKEN = re.compile(r"^(\S+)Z \w+ office_taken ", re.M)
WENT_ON = re.compile(r"^(\S+)Z \w+ connection_opened .*resumed=yes", re.M)


def followed(t, *more):
    """A cluster, who leads, and a client of each of the two that follow. Whoever leads next, one of these clients is
    served by its own broker then, and one by another."""
    cluster = Cluster(t, 3, *more).found()
    leading = cluster.leader()
    clients = {}
    for number in cluster.brokers:
        if number != leading:
            clients[number] = cluster.client(number)
            clients[number].channel()
            clients[number].timeout = ELECTED
    return cluster, leading, list(clients.values())


def confirm_all(c, last):
    """Takes confirms until all up to that number have come; returns what else has."""
    others, highest = [], 0
    while highest < last:
        event = c.recv(timeout=ELECTED)
        if event.name == "basic.ack":
            highest = max(highest, event.delivery_tag)
        else:
            others.append(event)
    return others


def went_on_in_time(cluster, leading, count):
    """Did so many clients go on at the one that leads before it delivered anything?"""
    deadline = time.monotonic() + ELECTED
    while True:
        log = cluster.brokers[leading].log()
        times = [datetime.datetime.fromisoformat(when) for when in WENT_ON.findall(log)]
        if len(times) >= count:
            break
        check(time.monotonic() < deadline, "%d clients went on: %s" % (len(times), log))
        time.sleep(0.02)
    took = max(times) - datetime.datetime.fromisoformat(OFFICE_TAKEN.findall(log)[-1])
    return took.total_seconds() < HOLD_SECONDS


@case("publishers and consumers go on, by their numbers; nothing is lost, and what comes twice says so")
def _(t):
    cluster, leading, clients = followed(t)
    for i, c in enumerate(clients):
        c.queue(queue="of-%d" % i, durable=True)
        c.call(1, "confirm.select")
        c.call(1, "basic.qos", prefetch_count=10)
    got, published = [[], []], 0
    for i, c in enumerate(clients):
        c.send(1, "basic.consume", queue="of-%d" % (1 - i), consumer_tag="mine", no_ack=False)
        c.expect(1, "basic.consume-ok")

    def take(c, mine):
        """All there is now: deliveries are acknowledged, confirms are counted."""
        while True:
            try:
                event = c.recv(1, 0.02)
            except amqp.Silence:
                return
            if event.name == "basic.deliver":
                mine.append((event.delivery_tag, event.body.decode(), event.redelivered))
                c.send(1, "basic.ack", delivery_tag=event.delivery_tag)
            else:
                equal(event.name, "basic.ack", "what comes")
                c.highest = max(getattr(c, "highest", 0), event.delivery_tag)

    for _ in range(400):
        for i, c in enumerate(clients):
            c.publish(1, "of-%d" % i, b"%d" % published, delivery_mode=2)
        published += 1
        if published % 20 == 0:
            for i, c in enumerate(clients):
                take(c, got[i])
        if published == 90:
            cluster.kill(leading)
    deadline = time.monotonic() + ELECTED
    while time.monotonic() < deadline and any(len({body for _, body, _ in mine}) < published for mine in got):
        for i, c in enumerate(clients):
            take(c, got[i])
    for i, c in enumerate(clients):
        equal(c.highest, published, "the last confirm")
        tags = [tag for tag, _, _ in got[i]]
        equal(tags, list(range(1, len(tags) + 1)), "numbers of deliveries")
        seen = set()
        for _, body, redelivered in got[i]:
            check(body not in seen or redelivered, "%s came twice" % body)
            seen.add(body)
        equal(sorted(seen, key=int), numbers(published), "what has come")
        equal(c.count("of-%d" % i)[0], 0, "what is left")


@case("what is held stays with who holds it, and what was answered is: nothing comes again")
def _(t):
    cluster, leading, clients = followed(t)
    for i, c in enumerate(clients):
        queue = "held-%d" % i
        c.queue(queue=queue, durable=True, arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead-%d" % i})
        c.queue(queue="dead-%d" % i, durable=True)
        c.call(1, "confirm.select")
        for number in range(8):
            c.publish(1, queue, b"%d" % number, delivery_mode=2)
        confirm_all(c, 8)
        c.call(1, "basic.qos", prefetch_count=8)
        c.call(1, "basic.consume", queue=queue, consumer_tag="first", no_ack=False)
        for number in range(8):
            equal(c.expect(1, "basic.deliver").body, b"%d" % number, "a message")
    for c in clients:
        c.send(1, "basic.ack", delivery_tag=1)
        c.send(1, "basic.ack", delivery_tag=4)
        c.send(1, "basic.reject", delivery_tag=5, requeue=False)
        c.send(1, "basic.nack", delivery_tag=6, requeue=True)
        equal([(one.delivery_tag, one.body, one.redelivered) for one in (c.expect(1, "basic.deliver"),)], [(9, b"5", True)], "what went back")
    cluster.kill(leading)
    if not went_on_in_time(cluster, cluster.leader(besides={leading}), len(clients)):
        print("# others may have been given what is held: this machine was too slow")
        return
    for i, c in enumerate(clients):
        queue = "held-%d" % i
        watcher = cluster.client_of_leader(besides={leading})
        watcher.consume(queue, no_ack=True)
        watcher.quiet(1, 0.8)
        watcher.close()
        c.publish(1, queue, b"after", delivery_mode=2)
        equal([event.delivery_tag for event in confirm_all(c, 9) or [c.expect(1, "basic.deliver", ELECTED)]], [10], "the next one")
        c.send(1, "basic.nack", delivery_tag=2, requeue=False)
        c.send(1, "basic.ack", delivery_tag=9, multiple=True)
        c.send(1, "basic.reject", delivery_tag=10, requeue=True)
        event = c.expect(1, "basic.deliver")
        equal((event.delivery_tag, event.body, event.redelivered), (11, b"after", True), "what went back")
        c.send(1, "basic.ack", delivery_tag=11, multiple=True)
        equal(c.count(queue), (0, 1), "what is left")
        equal(sorted(c.drain("dead-%d" % i)), ["1", "4"], "what was rejected")


@case("what was answered while nobody heard it is heard by who leads next")
def _(t):
    cluster, leading, clients = followed(t)
    for i, c in enumerate(clients):
        c.queue(queue="answered-%d" % i, durable=True)
        c.call(1, "confirm.select")
        for number in range(1000):
            c.publish(1, "answered-%d" % i, b"%d" % number, delivery_mode=2)
        confirm_all(c, 1000)
        c.call(1, "basic.consume", queue="answered-%d" % i, consumer_tag="mine", no_ack=False)
        c.got = [c.expect(1, "basic.deliver") for _ in range(1000)]
    cluster.brokers[leading].process.send_signal(signal.SIGSTOP)
    t.cleanup(cluster.brokers[leading].process.send_signal, signal.SIGCONT)
    for c in clients:
        for event in c.got[:300]:
            c.send(1, "basic.ack", delivery_tag=event.delivery_tag)
        c.send(1, "basic.ack", delivery_tag=c.got[599].delivery_tag, multiple=True)
    for i, c in enumerate(clients):
        equal(c.call(1, "queue.declare", queue="answered-%d" % i, passive=True).message_count, 0, "what is ready")
        c.send(1, "basic.ack", delivery_tag=0, multiple=True)
        c.quiet(1, 0.5)
        c.send(0, "connection.close", reply_code=200)
        c.expect(0, "connection.close-ok")
        after = cluster.client_of_leader(besides={leading})
        equal(after.count("answered-%d" % i), (0, 0), "what is left")


@case("exclusive queues are there again, with their bindings; who reads what is gone is told")
def _(t):
    cluster, leading, clients = followed(t)
    for i, c in enumerate(clients):
        own = c.queue(exclusive=True)
        check(own.startswith("amq.gen-"), own)
        c.call(1, "queue.bind", queue="", exchange="amq.topic", routing_key="to.%d" % i)
        c.call(1, "queue.bind", queue=own, exchange="amq.topic", routing_key="no.more")
        c.call(1, "queue.unbind", queue=own, exchange="amq.topic", routing_key="no.more")
        c.call(1, "basic.consume", queue="", consumer_tag="mine", no_ack=True)
        c.channel(2)
        c.call(2, "queue.declare", queue="passing-%d" % i, auto_delete=True)
        c.call(2, "queue.declare", queue="lasting-%d" % i, durable=True)
        c.call(2, "basic.qos", prefetch_count=1)
        c.call(2, "basic.consume", queue="passing-%d" % i, consumer_tag="of what passes")
        c.call(2, "basic.qos", prefetch_count=2)
        c.call(2, "basic.consume", queue="lasting-%d" % i, consumer_tag="of what lasts", no_ack=False)
        c.own = own
    cluster.kill(leading)
    for i, c in enumerate(clients):
        equal(c.expect(2, "basic.cancel", ELECTED).consumer_tag, "of what passes", "who is told")
        c.publish(1, "to.%d" % i, b"news", exchange="amq.topic")
        c.publish(1, "no.more", b"none", exchange="amq.topic")
        event = c.expect(1, "basic.deliver")
        equal((event.body, event.consumer_tag), (b"news", "mine"), "what comes")
        c.quiet(1)
        c.send(1, "queue.bind", queue="", exchange="amq.fanout", routing_key="")  # the last one that was declared
        c.expect(1, "queue.bind-ok")
        equal(c.count(c.own), (0, 1), "the queue, by its name")
        for number in range(3):
            c.publish(2, "lasting-%d" % i, b"%d" % number, delivery_mode=2)
        equal([c.expect(2, "basic.deliver").body for _ in range(2)], [b"0", b"1"], "as many as are wanted")
        c.quiet(2)


@case("what was asked is answered by who leads next")
def _(t):
    cluster, leading, clients = followed(t)
    for i, c in enumerate(clients):
        c.queue(queue="there-%d" % i, durable=True)
    cluster.brokers[leading].process.send_signal(signal.SIGSTOP)
    t.cleanup(cluster.brokers[leading].process.send_signal, signal.SIGCONT)
    for i, c in enumerate(clients):
        c.send(1, "queue.declare", queue="new-%d" % i, durable=True)
        c.send(1, "queue.bind", queue="new-%d" % i, exchange="amq.fanout", routing_key="")
        c.send(1, "queue.declare", queue="there-%d" % i, passive=True)
        c.send(2, "channel.open")
        c.send(2, "confirm.select")
        c.publish(2, "there-%d" % i, b"said once", delivery_mode=2)
        c.send(1, "basic.get", queue="missing-%d" % i, no_ack=True)
    for i, c in enumerate(clients):
        equal([c.recv(1, ELECTED).name for _ in range(4)],
              ["queue.declare-ok", "queue.bind-ok", "queue.declare-ok", "channel.close"], "answers")
        equal([c.recv(2, ELECTED).name for _ in range(3)],
              ["channel.open-ok", "confirm.select-ok", "basic.ack"], "and of the other channel")
        c.send(1, "channel.close-ok")
        c.channel(1)
        equal(c.get_soon("there-%d" % i).body, b"said once", "the message")
        equal(c.get("there-%d" % i), None, "no other")


@case("who is in the middle of a transaction loses its connection, and who is not goes on with the next one")
def _(t):
    cluster, leading, (one, other) = followed(t)
    for c in (one, other):
        c.queue(queue="sold", durable=True)
        c.call(1, "tx.select")
    one.publish(1, "sold", b"half", delivery_mode=2)
    one.quiet(1, 0.3)
    other.publish(1, "sold", b"whole", delivery_mode=2)
    other.call(1, "tx.commit")
    cluster.kill(leading)
    try:
        said = one.recv(None, ELECTED)
        raise AssertionError("expected an end, got %r" % said)
    except amqp.ConnectionGone:
        pass
    other.publish(1, "sold", b"again", delivery_mode=2)
    other.call(1, "tx.commit")
    equal(other.drain("sold"), ["whole", "again"], "what was sold")


@case("who begins as clients of AMQP 0-9 do goes on like the others")
def _(t):
    cluster = Cluster(t).found()
    leading = cluster.leader()
    c = amqp.Connection("127.0.0.1:%d" % cluster.clients[leading % cluster.count], ELECTED)
    t.cleanup(c.abort)
    c.begin(b"AMQP\1\1\0\x09")
    equal((c.start.version_major, c.start.version_minor), (0, 9), "the version")
    c.login()
    c.expect(0, "connection.tune")
    c.send(0, "connection.tune-ok", heartbeat=0, frame_max=131072, channel_max=10)
    c.call(0, "connection.open", vhost="/")
    c.channel()
    c.queue(queue="kept", durable=True)
    c.call(1, "confirm.select")
    cluster.kill(leading)
    c.publish(1, "kept", b"after", delivery_mode=2)
    equal(confirm_all(c, 1), [], "what else has come")
    equal(c.drain("kept"), ["after"], "what is there")


@case("who leads goes in good order, and clients of others hear nothing of it")
def _(t):
    cluster, leading, clients = followed(t)
    for i, c in enumerate(clients):
        c.queue(queue="kept-%d" % i, durable=True)
        c.call(1, "confirm.select")
    equal(cluster.brokers[leading].stop(), 0, "its status")
    for i, c in enumerate(clients):
        c.publish(1, "kept-%d" % i, b"after", delivery_mode=2)
        equal(confirm_all(c, 1), [], "what else has come")
        equal(c.drain("kept-%d" % i), ["after"], "what is there")
        c.send(0, "connection.close", reply_code=200)
        c.expect(0, "connection.close-ok")
        try:
            c.recv(None, ELECTED)
        except amqp.ConnectionGone:
            pass
    for broker in cluster.brokers.values():
        check("client_not_relayed" not in broker.log(), broker.log())


@case("a broker that stands still keeps what its clients hold for ten seconds, and they go on when it does")
def _(t):
    cluster, leading, (still, other) = followed(t)
    stopped = cluster.brokers[min(number for number in cluster.brokers if number != leading)]
    for c in (still, other):
        c.call(1, "basic.qos", prefetch_count=3)
    still.queue(queue="held", durable=True)
    still.call(1, "confirm.select")
    for number in range(3):
        still.publish(1, "held", b"%d" % number, delivery_mode=2)
    confirm_all(still, 3)
    still.call(1, "basic.consume", queue="held", consumer_tag="still", no_ack=False)
    for number in range(3):
        equal(still.expect(1, "basic.deliver").body, b"%d" % number, "a message")
    stopped.process.send_signal(signal.SIGSTOP)
    t.cleanup(stopped.process.send_signal, signal.SIGCONT)
    began = time.monotonic()
    other.call(1, "basic.consume", queue="held", consumer_tag="other", no_ack=False)
    for number in range(3):
        event = other.expect(1, "basic.deliver")
        equal((event.body, event.redelivered), (b"%d" % number, True), "what comes again")
    check(time.monotonic() - began > 9, "it was kept for %.1f s" % (time.monotonic() - began))
    stopped.process.send_signal(signal.SIGCONT)
    still.send(1, "basic.ack", delivery_tag=3, multiple=True)
    still.publish(1, "held", b"after", delivery_mode=2)
    equal([event.body for event in confirm_all(still, 4) or [still.expect(1, "basic.deliver")]], [b"after"],
          "who stood still goes on")
    other.quiet(1, 0.1)
    still.send(1, "basic.ack", delivery_tag=4)
    other.send(1, "basic.ack", delivery_tag=3, multiple=True)
    for c in (still, other):
        c.call(1, "basic.cancel", consumer_tag="still" if c is still else "other")
    equal(other.count("held")[0], 0, "what is left")
    cluster.brokers[leading].says("clients_lost")


main()
