#!/usr/bin/python3
"""One client that is hard work, or breaks, does not disturb the others."""

import contextlib
import time

from queues import deliveries
from wire import amqp, case, client, equal, exchange, main, shared_queue


@case("a connection whose routing is hard work slows nobody")
def hard_routing(t):
    hard, other = client(t), client(t)
    x = exchange(t, hard, "headers")
    q = shared_queue(t, hard)
    # A binding that any of so many headers would do for is looked at for each message.
    for number in range(1500):
        hard.send(1, "queue.bind", queue=q, exchange=x, nowait=True,
                  arguments={"x-match": "any", **{"n%d-%d" % (number, i): "never" for i in range(65)}})
    hard.count(q)
    own = other.queue()
    other.consume(own, no_ack=True)
    message = b"".join([
        amqp.frame_bytes(1, 1, amqp.method_bytes("basic.publish", exchange=x, routing_key="k",
                                                 mandatory=True)),
        amqp.frame_bytes(2, 1, amqp.header_bytes(1, {"headers": {"some": "thing"}})),
        amqp.frame_bytes(3, 1, b"x")])
    # One at a time could be read from the socket, 64 KiB, and that is more than 600. What the broker
    # goes on to do while this program does not run is counted as well, so that one turn is enough.
    for turn in range(20):
        hard.send_raw(message * 2000)
        other.publish(1, own, "x")
        deliveries(other, 1)
        with contextlib.suppress(amqp.Silence):
            while True:
                hard.fill(time.monotonic() + 0.0005)
        returned = hard.data.count(b"NO_ROUTE")
        t.note("%d of 2000 had been routed before" % returned)
        for _ in range(2000):
            hard.expect(1, "basic.return")
        if returned < 300:
            return
    raise AssertionError("all %d times it waited for the other one" % (turn + 1))


@case("a consumer that does not read slows nobody")
def unread(t):
    lazy, c, other = client(t), client(t), client(t)
    q = shared_queue(t, c)
    lazy.consume(q, no_ack=True)
    own = other.queue()
    other.consume(own, no_ack=True)
    worst = 0.0
    for number in range(200):
        c.publish(1, q, b"z" * 131000)
        if number % 10 == 0:
            begin = time.monotonic()
            other.publish(1, own, "x")
            deliveries(other, 1)
            worst = max(worst, time.monotonic() - begin)
    c.count(q)
    t.note("others waited %.1f ms at most" % (worst * 1000))
    equal(len(deliveries(lazy, 200)), 200, "messages read in the end")


@case("a connection that breaks in the middle of a publish leaves nothing behind")
def broken_publish(t):
    c, other = client(t), client(t)
    q = shared_queue(t, c)
    whole = (amqp.frame_bytes(1, 1, amqp.method_bytes("basic.publish", routing_key=q))
             + amqp.frame_bytes(2, 1, amqp.header_bytes(100)) + amqp.frame_bytes(3, 1, b"x" * 50))
    c.send_raw(whole)
    c.abort()
    time.sleep(0.1)
    equal(other.count(q), (0, 0), "queue")


if __name__ == "__main__":
    main()
