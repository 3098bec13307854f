#!/usr/bin/python3
"""Many messages that wait for their next try, each for a time of its own, on a daemon of its own.

All are published, delivered and returned; then the daemon is killed, and starts again.  While they wait
none is ready, whatever the number, and the memory of the daemon is bounded.  Then each comes once, not
before its time; how long after it is told, and is a matter of the machine.

    tests/wire/retries.py [--messages N] [--least SECONDS] [--spread SECONDS] [--no-kill]

Output is TAP.  LEVERETD, or leveretd in $top_builddir.
"""

import argparse
import gc
import os
import random
import signal
import struct
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from service import folder, serve  # noqa: E402
from wire import Skip, amqp, case, check, equal, main  # noqa: E402

MEMORY_MAX = 150 << 20
CHUNK = 2000  # messages that are returned together
CONFIRMS = 10000


def options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--messages", type=int, default=100000)
    parser.add_argument("--least", type=float, default=20, help="seconds that each waits at least")
    parser.add_argument("--spread", type=float, default=5, help="and at most so many more")
    parser.add_argument("--no-kill", action="store_true")
    found, rest = parser.parse_known_args()
    sys.argv[1:] = rest
    return found


OPTIONS = options()


def numbers(client):
    """Of the messages that have come by now."""
    for event in client.take_events():
        equal(event.name, "basic.deliver", "what came")
        yield struct.unpack(">Q", event.body)[0]


def memory(pid):
    """Resident bytes that are not files."""
    with open("/proc/%d/status" % pid) as status:
        fields = dict(line.split(":", 1) for line in status)
    return int(fields["RssAnon"].split()[0]) << 10


def memory_settled(pid):
    """When what was free has gone back to the system."""
    least = memory(pid)
    for _ in range(20):
        time.sleep(0.1)
        least = min(least, memory(pid))
    return least


def publish_all(client, waits):
    """Each says how long it waits."""
    client.call(1, "confirm.select")
    method = amqp.frame_bytes(amqp.FRAME_METHOD, 1,
                              amqp.method_bytes("basic.publish", routing_key="q"))
    for first in range(0, len(waits), CONFIRMS):
        out = []
        for number in range(first, min(first + CONFIRMS, len(waits))):
            headers = {"x-retry-delay": waits[number]}
            out.append(method + client.content(1, struct.pack(">Q", number),
                                               {"headers": headers, "delivery_mode": 2}))
        client.send_raw(b"".join(out))
        confirmed = 0
        while confirmed < first + len(out):
            confirmed = client.expect(1, "basic.ack").delivery_tag


def take_all(client, count):
    """Consumes until all are out."""
    client.call(1, "basic.consume", queue="q", consumer_tag="c")
    seen, deadline = 0, time.monotonic() + 600
    while seen < count and time.monotonic() < deadline:
        client.wait(1)
        seen += sum(1 for _ in numbers(client))
    equal(seen, count, "deliveries")


def return_all(client, waits):
    """Returns some at a time; the time at which each is due, as early and as late as that may be."""
    client.send(1, "basic.cancel", consumer_tag="c")
    client.expect(1, "basic.cancel-ok")
    due = []
    for first in range(0, len(waits), CHUNK):
        last = min(first + CHUNK, len(waits))
        before = time.time()
        client.send(1, "basic.nack", delivery_tag=last, multiple=True, requeue=True)
        client.call(1, "basic.qos", prefetch_count=0)
        after = time.time()
        due += [(before + waits[number] / 1000, after + waits[number] / 1000)
                for number in range(first, last)]
    return due


def make_durable(client):
    """What is confirmed has all before it on the disk."""
    client.call(1, "queue.declare", queue="other", durable=True)
    client.call(1, "confirm.select")
    client.publish(1, "other", b"", delivery_mode=2)
    client.expect(1, "basic.ack")


def none_is_ready(client, due):
    count = client.call(1, "queue.declare", queue="q", passive=True).message_count
    if time.time() >= min(due)[0]:
        raise Skip("too slow a machine: the first is due before all wait; see --least")
    equal(count, 0, "ready messages")


def receive(t, client, due):
    """Until all are there; how late each is, in ms."""
    late, early, twice, seen = [], 0, 0, bytearray(len(due))
    gc.disable()  # it would stop for longer than what is measured
    client.call(1, "basic.consume", queue="q", consumer_tag="c", no_ack=True)
    deadline = time.time() + OPTIONS.least + OPTIONS.spread + 120
    while len(late) < len(due) and time.time() < deadline:
        client.wait(1)
        now = time.time()
        for number in numbers(client):
            early = min(early, now - due[number][0])
            twice += seen[number]
            seen[number] = 1
            late.append((now - due[number][1]) * 1000)
    equal(len(late), len(due), "messages that came")
    equal(twice, 0, "that came twice")
    check(early > -1, "one came %.1f ms before its time" % (-early * 1000))
    return sorted(late)


@case("%d messages wait, each for a time of its own" % OPTIONS.messages)
def _(t):
    chance = random.Random(1)
    count, data = OPTIONS.messages, folder(t)
    waits = [int(1000 * (OPTIONS.least + OPTIONS.spread * chance.random())) for _ in range(count)]
    daemon = serve(t, data)
    client = daemon.client(t)
    client.channel()
    client.call(1, "queue.declare", queue="q", durable=True,
                arguments={"x-delayed-retry-type": "all"})
    publish_all(client, waits)
    take_all(client, count)
    due = return_all(client, waits)
    none_is_ready(client, due)
    make_durable(client)
    used = memory_settled(daemon.process.pid)
    if not OPTIONS.no_kill:
        daemon.stop(signal.SIGKILL)
        began = time.monotonic()
        daemon = serve(t, data)
        t.note("started again in %.1f s" % (time.monotonic() - began))
        client = daemon.client(t)
        client.channel()
        none_is_ready(client, due)
        used = max(used, memory_settled(daemon.process.pid))
    t.note("%.1f MiB of memory while they wait" % (used / 2**20))
    check(used < MEMORY_MAX, "it takes %.1f MiB" % (used / 2**20))
    late = receive(t, client, due)
    t.note("late by %.1f ms (median), %.1f ms (99 of 100), %.1f ms (the last)"
           % (late[count // 2], late[count * 99 // 100], late[-1]))


if __name__ == "__main__":
    main()
