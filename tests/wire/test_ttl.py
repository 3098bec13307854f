#!/usr/bin/python3
"""Messages that end, with times that are short and real."""

import time

from queues import bodies, deliveries, fill_blind, graveyard, typed, wait_ready
from wire import amqp, case, check, client, equal, main, name

T = amqp.Typed


@case("x-message-ttl ends messages without a consumer, expiration earlier ones")
def without_consumer(t):
    c = client(t)
    q = c.queue(1, name(), exclusive=True, arguments={"x-message-ttl": 400})
    began = time.monotonic()
    fill_blind(c, q, 3)
    wait_ready(c, q, 0)
    # The count sees what was published before it, but RabbitMQ's, now and then. A broker that was kept
    # from running may take them as having come when its turn began.
    check(t.oracle or 0.1 < time.monotonic() - began, "they ended at once")
    c.publish(1, q, "long", expiration="100000")
    wait_ready(c, q, 0)
    c.publish(1, q, "stays", expiration="50")
    wait_ready(c, q, 0)


@case("an expired message arrives with the reason and its expiration in x-death")
def expired_letter(t):
    c = client(t)
    _, q, dead = graveyard(t, c)
    c.publish(1, q, "x", expiration="50", message_id="m")
    event = c.get_soon(dead)
    equal((event.body, event.routing_key, event.redelivered), (b"x", q, False), "message")
    check("expiration" not in event.properties, "expiration is still there")
    headers_, deaths = typed(event)
    deaths[0].pop("time")
    equal(deaths, [{"count": T("l", 1), "reason": T("S", "expired"), "queue": T("S", q),
                    "exchange": T("S", ""), "routing-keys": T("A", [T("S", q)]),
                    "original-expiration": T("S", "50")}], "x-death")
    equal(headers_["x-first-death-reason"], T("S", "expired"), "first reason")


@case("of x-message-ttl nothing is told but the reason")
def queue_letter(t):
    c = client(t)
    _, q, dead = graveyard(t, c, **{"x-message-ttl": 50})
    fill_blind(c, q, 20)
    wait_ready(c, dead, 20)
    events = [c.get_soon(dead) for _ in range(20)]
    equal(bodies(events), [str(i) for i in range(1, 21)], "order")
    deaths = typed(events[0])[1]
    equal((deaths[0]["reason"].value, "original-expiration" in deaths[0]), ("expired", False),
          "x-death")


@case("a short time behind a long one waits for the head")
def head_only(t):
    c = client(t)
    q = c.queue(1, name(), exclusive=True)
    c.publish(1, q, "long", expiration="60000")
    c.publish(1, q, "short", expiration="20")
    c.publish(1, q, "none")
    wait_ready(c, q, 3)
    time.sleep(0.2)
    equal(c.count(q)[0], 3, "ready")
    equal(c.get_soon(q).body, b"long", "head")
    wait_ready(c, q, 1)
    equal(c.get_soon(q).body, b"none", "then")


@case("a message that is not acknowledged ends when it comes back")
def requeued(t):
    c = client(t)
    q = c.queue(1, name(), exclusive=True, arguments={"x-message-ttl": 2000})
    fill_blind(c, q, 1)
    equal(c.get_soon(q, no_ack=False).body, b"1", "message")
    time.sleep(2.2)
    c.send(1, "basic.nack", delivery_tag=1, requeue=True)
    wait_ready(c, q, 0)


@case("a time of 0 is for a consumer that waits")
def at_once(t):
    c = client(t)
    q = c.queue(1, name(), exclusive=True, arguments={"x-message-ttl": 0})
    fill_blind(c, q, 5)
    wait_ready(c, q, 0)
    c.consume(q)
    fill_blind(c, q, 5)
    equal(bodies(deliveries(c, 5)), [str(i) for i in range(1, 6)], "delivered")


if __name__ == "__main__":
    main()
