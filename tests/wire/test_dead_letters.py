#!/usr/bin/python3
"""What dead-lettering writes into a message."""

import time

from queues import bound, fill, graveyard, typed, wait_ready
from wire import amqp, case, check, client, equal, exchange, main, name


@case("a rejected message arrives with x-death, x-first-death-* and x-last-death-*")
def dead_letter(t):
    c = client(t)
    x, q, dead = graveyard(t, c)
    source = exchange(t, c)
    c.call(1, "queue.bind", queue=q, exchange=source, routing_key="key")
    c.publish(1, "key", "dead", exchange=source, headers={"mine": 1}, delivery_mode=2,
              message_id="m")
    before = int(time.time())
    c.get_soon(q, no_ack=False)
    c.send(1, "basic.reject", delivery_tag=1)
    event = c.get_soon(dead)
    equal((event.body, event.exchange, event.routing_key, event.redelivered),
          (b"dead", x, "key", False), "message")
    equal((event.properties["message_id"], event.properties["delivery_mode"]), ("m", 2),
          "properties")
    headers_, deaths = typed(event)
    T = amqp.Typed
    when = deaths[0].pop("time")
    check(when.tag == "T" and before - 2 <= when.value <= time.time() + 2, "time %r" % when)
    equal(deaths, [{"count": T("l", 1), "reason": T("S", "rejected"), "queue": T("S", q),
                    "exchange": T("S", source), "routing-keys": T("A", [T("S", "key")])}],
          "x-death")
    for which in ("first",) if t.oracle else ("first", "last"):
        for what, value in (("reason", "rejected"), ("queue", q), ("exchange", source)):
            equal(headers_["x-%s-death-%s" % (which, what)], T("S", value),
                  "x-%s-death-%s" % (which, what))
    equal(headers_["mine"], T("I", 1), "own header")


@case("a message that was requeued first still dies once")
def dead_letter_requeued(t):
    c = client(t)
    _, q, dead = graveyard(t, c)
    fill(c, q, 1)
    for tag in (1, 2):
        c.get_soon(q, no_ack=False)
        c.send(1, "basic.reject", delivery_tag=tag, requeue=tag == 1)
    wait_ready(c, dead, 1)
    _, deaths = typed(c.get(dead))
    equal((len(deaths), deaths[0]["count"].value), (1, 1), "deaths")


@case("x-dead-letter-routing-key replaces the key and the copies")
def dead_letter_key(t):
    c = client(t)
    x = exchange(t, c)
    fixed, own, copy = bound(t, c, x, "fixed"), bound(t, c, x, "own"), bound(t, c, x, "copy")
    q = c.queue(1, name(), exclusive=True,
                arguments={"x-dead-letter-exchange": x, "x-dead-letter-routing-key": "fixed"})
    c.call(1, "queue.bind", queue=q, exchange="amq.direct", routing_key=q)
    c.publish(1, q, "x", exchange="amq.direct", headers={"CC": ["copy"], "BCC": ["own"]})
    c.get_soon(q, no_ack=False)
    c.send(1, "basic.reject", delivery_tag=1)
    event = c.get_soon(fixed)
    equal(event.routing_key, "fixed", "key")
    check("CC" not in event.properties["headers"] and "BCC" not in event.properties["headers"],
          "headers %r" % event.properties["headers"])
    equal((c.get(own), c.get(copy)), (None, None), "the other queues")


@case("without a dead-letter key the keys of the message, of CC and of BCC route, and BCC is not shown")
def dead_letter_copies(t):
    c = client(t)
    x = exchange(t, c)
    q = c.queue(1, name(), exclusive=True, arguments={"x-dead-letter-exchange": x})
    own, copy, hidden = bound(t, c, x, q), bound(t, c, x, "copy"), bound(t, c, x, "hidden")
    c.publish(1, q, "x", headers={"CC": ["copy"], "BCC": ["hidden"]})
    c.get_soon(q, no_ack=False)
    c.send(1, "basic.reject", delivery_tag=1)
    for target in (own, copy, hidden):
        event = c.get_soon(target)
        check(event, "no dead letter")
        check("BCC" not in event.properties["headers"], "BCC is shown")
        equal(event.properties["headers"]["CC"], ["copy"], "CC")
        equal(event.properties["headers"]["x-death"][0]["routing-keys"], [q, "copy"],
              "routing keys")


@case("a rejected message may go round for ever, with one x-death entry that counts")
def dead_letter_cycle(t):
    c = client(t)
    q = name()
    c.queue(1, q, exclusive=True, arguments={"x-dead-letter-exchange": "",
                                             "x-dead-letter-routing-key": q})
    fill(c, q, 1)
    for turn in range(1, 6):
        event = c.get_soon(q, no_ack=False)
        check(event, "the message is gone after %d turns" % (turn - 1))
        if turn > 1:
            _, deaths = typed(event)
            equal((len(deaths), deaths[0]["count"].value), (1, turn - 1), "deaths")
        c.send(1, "basic.reject", delivery_tag=turn)


@case("two queues that reject to each other: newest death first, counts, first death kept")
def dead_letter_two(t):
    c = client(t)
    a, b = name("a"), name("b")
    for q, other in ((a, b), (b, a)):
        c.queue(1, q, exclusive=True, arguments={"x-dead-letter-exchange": "",
                                                 "x-dead-letter-routing-key": other})
    fill(c, a, 1)
    for tag, q in enumerate((a, b, a), 1):
        c.get_soon(q, no_ack=False)
        c.send(1, "basic.reject", delivery_tag=tag)
    headers_, deaths = typed(c.get_soon(b))
    equal([(d["queue"].value, d["count"].value) for d in deaths], [(a, 2), (b, 1)], "deaths")
    equal(headers_["x-first-death-queue"].value, a, "first death")
    equal(headers_["x-first-death-reason"].value, "rejected", "first death")
    if not t.oracle:
        equal(headers_["x-last-death-queue"].value, a, "last death")
        equal([d["routing-keys"].value[0].value for d in deaths], [a, b], "keys of the first time")


@case("expiration is taken off a dead letter and kept in x-death")
def dead_letter_expiration(t):
    c = client(t)
    _, q, dead = graveyard(t, c)
    c.publish(1, q, "x", expiration="60000")
    c.get_soon(q, no_ack=False)
    c.send(1, "basic.reject", delivery_tag=1)
    event = c.get_soon(dead)
    check("expiration" not in event.properties, "expiration is still there")
    equal(typed(event)[1][0]["original-expiration"], amqp.Typed("S", "60000"), "original")


@case("a client's x-death is counted on, whatever the type of its count")
def dead_letter_client(t):
    c = client(t)
    _, q, dead = graveyard(t, c)
    T = amqp.Typed
    for tag, count in enumerate((T("l", 40), T("I", 41), T("b", 42)), 1):
        c.publish(1, q, "x", headers={
            "x-death": [{"queue": "other", "reason": "expired", "count": T("l", 3)},
                        {"queue": q, "reason": "rejected", "count": count, "exchange": "mine"}],
            "x-first-death-queue": "other"})
        c.get_soon(q, no_ack=False)
        c.send(1, "basic.reject", delivery_tag=2 * tag - 1)
        headers_, deaths = typed(c.get_soon(dead))
        equal([(d["queue"].value, d["count"]) for d in deaths],
              [(q, T("l", count.value + 1)), ("other", T("l", 3))], "deaths")
        equal(deaths[0]["exchange"].value, "mine", "what it says of the first such death")
        equal(headers_["x-first-death-queue"].value, "other", "the first death stays")


@case("what is no array of deaths does not count")
def dead_letter_nonsense(t):
    c = client(t)
    _, q, dead = graveyard(t, c)
    c.publish(1, q, "x", headers={"x-death": "[{queue: %s}]" % q})
    c.get_soon(q, no_ack=False)
    c.send(1, "basic.reject", delivery_tag=1)
    _, deaths = typed(c.get_soon(dead))
    equal((len(deaths), deaths[0]["count"].value), (1, 1), "deaths")


@case("a program that publishes a dead message again sees how often it was tried")
def dead_letter_tried(t):
    c = client(t)
    _, q, dead = graveyard(t, c)
    headers_ = {}
    for turn in range(1, 4):
        c.publish(1, q, "x", headers=headers_)
        c.get_soon(q, no_ack=False)
        c.send(1, "basic.reject", delivery_tag=2 * turn - 1)
        event = c.get_soon(dead)
        headers_ = event.properties["headers"]
        _, deaths = typed(event)
        equal([d["count"].value for d in deaths], [turn], "counts")


if __name__ == "__main__":
    main()
