#!/usr/bin/python3
"""Messages that are moved by the API: to a queue, through an exchange, dead letters back.

Needs no broker: it starts one, LEVERETD or leveretd in $top_builddir. Output is TAP.
"""

import itertools
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import api  # noqa: E402
from api import broker, case, check, client, equal, error, path_of  # noqa: E402

import service  # noqa: E402

NUMBERS = itertools.count(1)
NOT_FOUND = error("not_found", str)


def queue(t, c, **fields):
    q = "move.%d" % next(NUMBERS)
    c.call(1, "queue.declare", queue=q, **(fields or {"durable": True}))
    t.cleanup(broker().ask, "DELETE", path_of("queues", "/", q))
    return q


def put(c, q, *bodies, **properties):
    """Publishes, and waits until all is there: a declare is answered after what came before it."""
    for body in bodies:
        c.publish(1, q, body.encode(), delivery_mode=2, **properties)
    c.call(1, "queue.declare", queue=q, passive=True)


def move(q, status=200, answer=None, verb="move", **body):
    return broker().expect("POST", path_of("queues", "/", q, verb), status, body, answer).body


def requeue(q, status=200, answer=None, **body):
    return move(q, status, answer, "requeue", **body)


def bodies(c, q):
    """What is ready in a queue; it is gone then."""
    got = []
    while True:
        event = c.get(q)
        if event is None:
            return got
        got.append(event.body.decode())


def moved(count, looked_at=None, stayed=(), stopped=None):
    return {"moved": count, "looked_at": count if looked_at is None else looked_at,
            "stayed": [{"code": code, "text": str, "count": number} for code, number in stayed],
            "stopped": {"code": stopped, "text": str} if stopped else None, "next": api.anything}


@case("all go, in order, with what they are")
def _(t):
    c = client(t)
    a, b = queue(t, c), queue(t, c)
    put(c, a, *[str(n) for n in range(2500)])
    put(c, a, "last", headers={"h": 1}, message_id="m", expiration="1000000")
    move(a, answer=moved(2501), queue=b)
    equal(bodies(c, a), [], "what is left")
    found = [str(n) for n in range(2500)] + ["last"]
    got = []
    while len(got) < len(found):
        event = c.get(b)
        check(event is not None, "%d messages" % len(got))
        check(not event.redelivered, "it was delivered before")
        got.append(event)
    equal([event.body.decode() for event in got], found, "messages")
    last = got[-1]
    equal((last.exchange, last.routing_key), ("", a), "names of the last one")
    equal((last.properties["headers"], last.properties["message_id"], last.properties["expiration"]),
          ({"h": 1}, "m", "1000000"), "its properties")


@case("some of them: the first ones, from a position on, or by a filter")
def _(t):
    c = client(t)
    a, b = queue(t, c), queue(t, c)
    put(c, a, "red 1", "blue 1", "red 2", "blue 2", "red 3")
    got = move(a, answer=moved(2, 3), queue=b, count=2, filter="text:red")
    move(a, answer=moved(1, 2), queue=b, **{"from": got["next"], "filter": "red"})
    equal(bodies(c, b), ["red 1", "red 2", "red 3"], "what was moved")
    move(a, answer=moved(1, 1), queue=b, looks=1)
    equal(bodies(c, b), ["blue 1"], "one look")
    move(a, answer=moved(0, 0), queue=b, count=0)
    move(a, answer=moved(1, 1), queue=b, dry_run=True)
    equal(bodies(c, b), [], "a trial moves nothing")
    equal(bodies(c, a), ["blue 2"], "what is left")


@case("what is with a consumer stays, and is acknowledged where it is")
def _(t):
    c = client(t)
    a, b = queue(t, c), queue(t, c)
    put(c, a, "1", "2", "3")
    c.call(1, "basic.qos", prefetch_count=1)
    c.call(1, "basic.consume", queue=a, consumer_tag="tag")
    event = c.expect(1, "basic.deliver")
    move(a, answer=moved(2, 3, [("not_ready", 1)]), queue=b)
    c.send(1, "basic.ack", delivery_tag=event.delivery_tag)
    equal(c.call(1, "queue.declare", queue=a, passive=True).message_count, 0, "what is left")
    equal(bodies(c, b), ["2", "3"], "what was moved")


@case("what has ended gets no other life")
def _(t):
    c = client(t)
    a, b = queue(t, c), queue(t, c)
    put(c, a, "1")
    put(c, a, "2", expiration="1")
    put(c, a, "3", expiration="1000000")
    api.time.sleep(0.1)
    move(a, answer=moved(2, 3, [("not_ready", 1)]), queue=b)
    equal(bodies(c, b), ["1", "3"], "what was moved")


@case("a consumer of the destination gets them")
def _(t):
    c = client(t, 2)
    a, b = queue(t, c), queue(t, c)
    c.call(2, "basic.consume", queue=b, no_ack=True)
    put(c, a, "1", "2")
    move(a, answer=moved(2), queue=b)
    equal([c.expect(2, "basic.deliver").body for _ in range(2)], [b"1", b"2"], "messages")


@case("through an exchange, with their keys or another one")
def _(t):
    c = client(t)
    a, b, x = queue(t, c), queue(t, c), "move.x%d" % next(NUMBERS)
    c.call(1, "exchange.declare", exchange=x, type="direct")
    c.call(1, "queue.bind", queue=b, exchange=x, routing_key="new")
    put(c, a, "1", "2")
    move(a, answer=moved(0, 2, [("no_queue", 2)]), exchange=x)
    move(a, answer=moved(2), exchange=x, routing_key="new")
    event = c.get(b)
    equal((event.exchange, event.routing_key), (x, "new"), "names")
    c.call(1, "queue.bind", queue=a, exchange=x, routing_key="new")
    put(c, a, "3")
    move(a, answer=moved(0, 1, [("in_circle", 1)]), exchange=x, routing_key="new")
    move(a, answer=moved(0, 1, [("in_circle", 1)]), exchange="amq.default")
    c.call(1, "exchange.delete", exchange=x)


@case("to a queue that takes no more: the others stay where they are")
def _(t):
    c = client(t)
    a = queue(t, c)
    for arguments in ({"x-max-length": 2}, {"x-max-length": 2, "x-overflow": "reject-publish"},
                      {"x-max-length-bytes": 2}):
        b = queue(t, c, durable=True, arguments=arguments)
        put(c, a, "1", "2", "3", "4")
        move(a, answer=moved(2, stopped="not_taken"), queue=b)
        equal(bodies(c, b), ["1", "2"], "what was moved")
        equal(bodies(c, a), ["3", "4"], "what stays")


@case("dead letters go back to where they died, and are as they were")
def _(t):
    c = client(t)
    dead, x = queue(t, c), "move.x%d" % next(NUMBERS)
    a, b = (queue(t, c, durable=True, arguments={
        "x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead}) for _ in range(2))
    c.call(1, "exchange.declare", exchange=x, type="topic")
    for q, key in ((a, "for.a"), (b, "for.b")):
        c.call(1, "queue.bind", queue=q, exchange=x, routing_key=key)
    for body, key in (("1", "for.a"), ("2", "for.b"), ("3", "for.a")):
        c.publish(1, key, body.encode(), exchange=x, delivery_mode=2, headers={"own": key})
    put(c, dead, "4")
    for q in (a, b, a):
        c.send(1, "basic.reject", delivery_tag=c.get(q, no_ack=False).delivery_tag, requeue=False)
    broker().expect("POST", path_of("queues", "/", dead, "requeue"), 200, None,
                    moved(3, 4, [("no_death", 1)]))
    for q, wanted in ((a, ["1", "3"]), (b, ["2"])):
        got = [c.get(q, no_ack=False) for _ in wanted]
        equal([event.body.decode() for event in got], wanted, "messages")
        for event in got:
            key = "for.a" if q == a else "for.b"
            equal((event.exchange, event.routing_key, event.properties["headers"]),
                  (x, key, {"own": key}), "names and headers")
            c.send(1, "basic.reject", delivery_tag=event.delivery_tag, requeue=False)
    equal(bodies(c, dead)[0], "4", "what never died")
    c.call(1, "exchange.delete", exchange=x)


@case("a failure after that counts afresh")
def _(t):
    c = client(t)
    dead = queue(t, c)
    a = queue(t, c, durable=True, arguments={
        "x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead})
    put(c, a, "1")
    for _ in range(3):
        c.send(1, "basic.reject", delivery_tag=c.get(a, no_ack=False).delivery_tag, requeue=False)
        requeue(dead, answer=moved(1))
    c.send(1, "basic.reject", delivery_tag=c.get(a, no_ack=False).delivery_tag, requeue=False)
    deaths = c.get(dead).properties["headers"]["x-death"]
    equal([(death["queue"], death["count"]) for death in deaths], [(a, 1)], "deaths")


@case("dead letters whose queue is gone stay, and so do those that died here")
def _(t):
    c = client(t)
    dead = queue(t, c)
    gone = queue(t, c, durable=True, arguments={
        "x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead})
    put(c, gone, "1")
    c.send(1, "basic.reject", delivery_tag=c.get(gone, no_ack=False).delivery_tag, requeue=False)
    c.call(1, "queue.delete", queue=gone)
    requeue(dead, answer=moved(0, 1, [("no_queue", 1)]))
    equal(bodies(c, dead), ["1"], "it is there")
    q = queue(t, c, durable=True, arguments={"x-dead-letter-exchange": ""})
    put(c, q, "2")
    c.send(1, "basic.reject", delivery_tag=c.get(q, no_ack=False).delivery_tag, requeue=False)
    requeue(q, answer=moved(0, 1, [("in_circle", 1)]))
    equal(bodies(c, q), ["2"], "it is where it was")


@case("from a queue with priorities, and to one")
def _(t):
    c = client(t)
    a, b = queue(t, c), queue(t, c, durable=True, arguments={"x-max-priority": 5})
    for priority in (1, 5, 3):
        put(c, a, str(priority), priority=priority)
    move(a, answer=moved(3), queue=b)
    move(b, answer=moved(1), queue=a, count=1)
    equal(bodies(c, a), ["5"], "the first one")
    equal(bodies(c, b), ["3", "1"], "the others")


@case("what makes no sense is refused, and says why")
def _(t):
    c = client(t)
    a, b = queue(t, c), queue(t, c)
    put(c, a, "1")
    bad = error("bad_request", str)
    for body in ({}, {"queue": b, "exchange": "amq.fanout"}, {"queue": b, "routing_key": "k"},
                 {"queue": a}, {"queue": "none"}, {"exchange": "none"}, {"queue": 1},
                 {"queue": b, "count": -1}, {"queue": b, "count": "x"}, {"queue": b, "from": -1},
                 {"exchange": "x" * 256}, {"exchange": "amq.direct", "routing_key": "k" * 256}):
        move(a, 400, bad, **body)
    move("none", 404, error(str, str), queue=b)
    requeue("none", 404, error(str, str))
    requeue(a, 400, bad, count=-1)
    exclusive = client(t)
    q = queue(t, exclusive, exclusive=True)
    move(q, 400, bad, queue=b)
    equal(bodies(c, a), ["1"], "what was in the queue")


@case("a user needs to read from the queue, and to write to where it goes")
def _(t):
    c = client(t)
    a, b = queue(t, c), queue(t, c)
    put(c, a, "1", "2")
    user = ("mover", "pw")
    t.cleanup(broker().ask, "DELETE", "/api/users/mover")
    broker().expect("PUT", "/api/users/mover", 201, {"password": "pw", "tags": "management"})
    for write, read, status in (("^$", ".*", 401), (".*", "^$", 401), ("amq.default", ".*", 200)):
        broker().ask("PUT", "/api/permissions/%2F/mover",
                     {"configure": "^$", "write": write, "read": read})
        for verb, body in (("move", {"queue": b, "count": 1}), ("requeue", {})):
            broker().expect("POST", path_of("queues", "/", a, verb), status, body, user=user)
    equal(bodies(c, b), ["1"], "what was moved")
    c.call(1, "exchange.declare", exchange="move.topic", type="topic", auto_delete=True)
    c.call(1, "queue.bind", queue=b, exchange="move.topic", routing_key="#")
    broker().ask("PUT", "/api/permissions/%2F/mover",
                 {"configure": "^$", "write": ".*", "read": ".*"})
    broker().ask("PUT", "/api/topic-permissions/%2F/mover",
                 {"exchange": "move.topic", "write": "^ours", "read": ".*"})
    path = path_of("queues", "/", a, "move")
    got = broker().ask("POST", path, {"exchange": "move.topic"}, user=user).body
    equal((got["moved"], got["stopped"]["code"]), (0, "not_authorised"), "a topic of others")
    got = broker().ask("POST", path, {"exchange": "move.topic", "routing_key": "ours.1"},
                       user=user).body
    equal(got["moved"], 1, "one of their own")


def at(t, daemon):
    """The API of another broker."""
    own = object.__new__(api.Broker)
    own.oracle, own.connection, own.differences, own.later = False, None, {}, []
    own.uri, own.address = daemon.addresses()[:2]
    t.cleanup(lambda: own.connection and own.connection.close())
    return own


@case("what lies on disk is moved, and is there after a restart")
def _(t):
    data = service.folder(t)
    daemon = service.serve(t, data)
    c = daemon.client(t)
    c.channel()
    for q in ("a", "b"):
        c.call(1, "queue.declare", queue=q, durable=True)
    c.call(1, "confirm.select")
    for number in range(3000):
        c.publish(1, "a", b"%d" % number, delivery_mode=2)
    confirmed = 0
    while confirmed < 3000:
        confirmed = c.expect(1, "basic.ack").delivery_tag
    c.close()
    daemon.stop()
    daemon = service.serve(t, data, "--management", "127.0.0.1:0")
    got = at(t, daemon).ask("POST", "/api/queues/%2F/a/move", {"queue": "b", "count": 2000}).body
    equal((got["moved"], got["stopped"]), (2000, None), "what was moved")
    daemon.kill()
    daemon = service.serve(t, data)
    c = daemon.client(t)
    c.channel()
    for q, wanted in (("a", range(2000, 3000)), ("b", range(2000))):
        equal(bodies(c, q), [str(n) for n in wanted], q)


@case("an alarm stops it, and all are where they were")
def _(t):
    daemon = service.serve(t, service.folder(t), "--management", "127.0.0.1:0", "--memory-limit", "1M")
    c = daemon.client(t)
    c.channel()
    for q in ("a", "b"):
        c.call(1, "queue.declare", queue=q)
    for _ in range(4):
        c.publish(1, "a", b"x" * 600000)
    own = at(t, daemon)
    end = api.time.monotonic() + api.PATIENCE
    while not own.ask("GET", "/api/nodes").body[0]["mem_alarm"]:
        check(api.time.monotonic() < end, "there is no alarm")
    got = own.ask("POST", "/api/queues/%2F/a/move", {"queue": "b"}).body
    equal((got["moved"], got["stopped"]["code"]), (0, "memory_alarm"), "what is said")


if __name__ == "__main__":
    api.main()
