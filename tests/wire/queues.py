"""Queues that are filled, looked at and emptied: what the tests of messages share."""

import time

from wire import amqp, check, exchange, name


def fill(c, q, count, first=1):
    """Publish "first", "first + 1", ... and wait until they are in the queue."""
    ready = c.count(q)[0]
    for number in range(first, first + count):
        c.publish(1, q, str(number))
    wait_ready(c, q, ready + count)


def wait_ready(c, q, ready):
    deadline = time.monotonic() + amqp.PATIENCE
    while c.count(q)[0] != ready:
        check(time.monotonic() < deadline, "%d ready, expected %d" % (c.count(q)[0], ready))
        time.sleep(0.01)


def deliveries(c, count, channel=1):
    return [c.expect(channel, "basic.deliver") for _ in range(count)]


def bodies(events):
    return [event.body.decode() for event in events]


def fill_blind(c, q, count):
    for number in range(1, count + 1):
        c.publish(1, q, str(number))


def bound(t, c, x, key="", arguments=None):
    q = c.queue(1, name())
    c.call(1, "queue.bind", queue=q, exchange=x, routing_key=key, arguments=arguments or {})
    return q


def gone(c, q, timeout=amqp.PATIENCE):
    """Whether the queue goes away in time."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        c.send(1, "queue.declare", queue=q, passive=True)
        event = c.recv(1)
        if event.name == "channel.close":
            c.send(1, "channel.close-ok")
            c.channel(1)
            if event.reply_code == 404:
                return True
        time.sleep(0.02)
    return False


def gone_exchange(c, x):
    c.send(1, "exchange.declare", exchange=x, type="direct", passive=True)
    event = c.recv(1)
    if event.name == "channel.close":
        c.send(1, "channel.close-ok")
        c.channel(1)
    return event.name == "channel.close"


def graveyard(t, c, **arguments):
    """A queue that dead-letters to a fanout exchange, and the queue behind that."""
    x = exchange(t, c, "fanout")
    dead = bound(t, c, x)
    q = c.queue(1, name(), exclusive=True,
                arguments=dict({"x-dead-letter-exchange": x}, **arguments))
    return x, q, dead


def typed(event):
    headers_ = event.typed_headers()
    return headers_, [entry.value for entry in headers_["x-death"].value]
