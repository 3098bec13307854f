#!/usr/bin/python3
"""The API's resources of messages: published, got, looked at, ended, and what hinders them.

Needs no broker: it starts one, LEVERETD or leveretd in $top_builddir, or with --rabbitmq Debian's
RabbitMQ, which has to answer the same.  Output is TAP.
"""

import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import api  # noqa: E402
from api import (NOT_FOUND, Skip, broker, broker_at, case, check, client, consumer_like,  # noqa: E402
                 equal, error, expect, matching, name_of, ours, path_of, queue, soon)

import amqp  # noqa: E402
import service  # noqa: E402
import tap  # noqa: E402


# ---- published, and got ----

def publish(queue, payload="text", exchange="amq.default", status=200, answer=None, differs=None,
            **more):
    body = {"properties": {}, "routing_key": queue, "payload": payload,
            "payload_encoding": "string"}
    body.update(more)
    return expect("POST", path_of("exchanges", "/", exchange, "publish"), status, body,
                  answer={"routed": True} if answer is None else answer, differs=differs)


def get(queue, count=10, mode="ack_requeue_false", status=200, answer=None, differs=None, **more):
    body = {"count": count, "ackmode": mode, "encoding": "auto"}
    body.update(more)
    return expect("POST", path_of("queues", "/", queue, "get"), status, body, answer=answer,
                  differs=differs)


PROPERTIES = {
    "content_type": "text/plain", "content_encoding": "none", "delivery_mode": 2, "priority": 3,
    "headers": {"a": 1, "b": "x", "c": [1, "2"], "d": {"e": True}}, "correlation_id": "c",
    "reply_to": "r", "expiration": "100000", "message_id": "m", "timestamp": 12345, "type": "t",
    "app_id": "a"}


@case("a message is published with all its properties, and got")
def _(t):
    c = client(t)
    q = queue(t, c, durable=True)
    publish(q, properties=PROPERTIES, payload="aGVsbG8=", payload_encoding="base64")
    publish(q, payload="two")
    publish("none." + q, answer={"routed": False})
    get(q, answer=[
        {"payload_bytes": 5, "redelivered": False, "exchange": "", "routing_key": q,
         "message_count": 1, "properties": PROPERTIES, "payload": "hello",
         "payload_encoding": "string"},
        {"payload_bytes": 3, "redelivered": False, "exchange": "", "routing_key": q,
         "message_count": 0, "properties": [], "payload": "two", "payload_encoding": "string"}])
    get(q, answer=[])


@case("what is no text is told in base64, and as much of it as is wanted")
def _(t):
    c = client(t)
    q = queue(t, c)
    publish(q, payload="/wBB", payload_encoding="base64")
    publish(q, payload="h\u00e4llo")
    keep = {"mode": "ack_requeue_true"}
    for more, wanted in (({}, [("/wBB", "base64"), ("h\u00e4llo", "string")]),
                         ({"encoding": "base64"}, [("/wBB", "base64"), ("aMOkbGxv", "base64")]),
                         ({"truncate": 3}, [("/wBB", "base64"), ("h\u00e4", "string")]),
                         ({"truncate": 2}, [("/wA=", "base64"), ("aMM=", "base64")])):
        got = get(q, **keep, **more).body
        equal([(m["payload"], m["payload_encoding"]) for m in got], wanted, "payloads")
        equal([m["payload_bytes"] for m in got], [3, 6], "whole sizes")


@case("what becomes of messages that were got")
def _(t):
    c = client(t)
    dead = queue(t, c)
    q = queue(t, c, arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead})

    def seen(mode, count=10):
        return [(m["payload"], m["redelivered"]) for m in get(q, count, mode).body]

    for payload in "abc":
        publish(q, payload=payload)
    equal(seen("ack_requeue_true"), [(x, False) for x in "abc"], "first")
    equal(seen("reject_requeue_true"), [(x, True) for x in "abc"], "they went back")
    equal(seen("ack_requeue_false", 1), [("a", True)], "one is taken")
    equal(seen("reject_requeue_false", "1"), [("b", True)], "one is rejected")
    equal(seen("ack_requeue_false", 0), [], "none")
    equal([m["payload"] for m in get(dead).body], ["b"], "the dead letter")
    publish(q, payload="d")
    publish(q, payload="e")
    c.call(1, "basic.consume", queue=q, no_ack=True)
    payloads = [c.expect(1, "basic.deliver").body for _ in range(3)]
    equal(payloads, [b"c", b"d", b"e"], "those that are left")


@case("a consumer gets what was got and went back")
def _(t):
    c = client(t)
    q = queue(t, c)
    publish(q, payload="x")
    get(q, 1, "ack_requeue_true")
    c.call(1, "basic.consume", queue=q, no_ack=True)
    event = c.expect(1, "basic.deliver")
    equal((event.body, event.redelivered), (b"x", True), "the message")


@case("messages that are on disk alone are read")
def _(t):
    if broker().oracle:
        raise Skip("RabbitMQ decides by itself what is on disk alone")
    data = service.folder(t)
    daemon = service.serve(t, data)
    c = daemon.client(t)
    c.channel()
    c.call(1, "queue.declare", queue="cold", durable=True)
    c.call(1, "confirm.select")
    for number in range(500):
        c.publish(1, "cold", b"%d" % number, delivery_mode=2)
    confirmed = 0
    while confirmed < 500:
        confirmed = c.expect(1, "basic.ack").delivery_tag
    c.close()
    daemon.stop()
    daemon = service.serve(t, data, "--management", "127.0.0.1:0")
    own = broker_at(t, daemon)
    body = {"count": 500, "ackmode": "ack_requeue_true", "encoding": "auto"}
    for is_redelivered in (False, True):
        got = own.ask("POST", "/api/queues/%2F/cold/get", body).body
        equal([m["payload"] for m in got], [str(n) for n in range(500)], "in order")
        equal({m["redelivered"] for m in got}, {is_redelivered}, "redelivered")


@case("what cannot be published")
def _(t):
    c = client(t)
    q = queue(t, c)
    path = path_of("exchanges", "/", "amq.default", "publish")
    expect("POST", path, 400, {}, answer=error(
        "bad_request", "[{key_missing,routing_key},\n {key_missing,properties},\n "
        "{key_missing,payload},\n {key_missing,payload_encoding}]"))
    expect("POST", path, 400, {"routing_key": q, "properties": {}, "payload": ""},
           answer=error("bad_request", "[{key_missing,payload_encoding}]"))
    wrong = error("bad_request")
    for more in ({"properties": {"delivery_mode": "x"}}, {"properties": {"priority": 256}},
                 {"properties": {"headers": 1}}, {"properties": {"type": 1}},
                 {"properties": {"type": "x" * 256}}, {"properties": "x"}, {"payload": 1},
                 {"payload": "!!", "payload_encoding": "base64"}, {"payload_encoding": "zip"},
                 {"routing_key": "x" * 256}):
        if not broker().oracle:  # faults inside RabbitMQ, or errors whose reason is a list
            publish(**dict({"queue": q, "status": 400, "answer": error("bad_request")}, **more))
    publish(q, exchange="none", status=400, answer=error(
        "bad_request", "404 NOT_FOUND - no exchange 'none' in vhost '/'"))
    publish(q, exchange="amq.rabbitmq.trace", status=400, answer=error(
        "bad_request", "403 ACCESS_REFUSED - cannot publish to internal exchange "
        "'amq.rabbitmq.trace' in vhost '/'"))
    publish(q, properties={"user_id": "x"}, status=400, answer=error(
        "bad_request", "406 PRECONDITION_FAILED - user_id property set to 'x' but authenticated "
        "user was 'guest'"))
    publish(q, properties={"expiration": "x"}, status=400, answer=error(
        "bad_request", "406 PRECONDITION_FAILED - invalid expiration 'x': no_integer"))
    publish(q, properties={"nonsense": 1})
    full = queue(t, c, arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
    publish(full)
    publish(full, status=400, answer=error("bad_request", matching("^rejected")))


@case("what cannot be got")
def _(t):
    c = client(t)
    q = queue(t, c)
    publish(q)
    for missing in ("count", "ackmode", "encoding"):
        body = {"count": 1, "ackmode": "ack_requeue_false", "encoding": "auto"}
        del body[missing]
        expect("POST", path_of("queues", "/", q, "get"), 400, body,
               answer=error("bad_request", "[{key_missing,%s}]" % missing))
    get(q, encoding="zip", status=400, answer=error(
        "bad_request", "Unsupported encoding. Please use auto or base64."))
    if not broker().oracle:  # faults inside RabbitMQ, or errors whose reason is a list
        get(q, mode="none", status=400, answer=error("bad_request"))
        get(q, truncate="x", status=400, answer=error("bad_request"))
        get(q, count="x", status=400, answer=error("bad_request"))
    get("none", status=404, answer=error(str, str))
    equal(len(get(q).body), 1, "it is still there")


@case("actions of a queue")
def _(t):
    c = client(t)
    path = path_of("queues", "/", queue(t, c), "actions")
    expect("POST", path, 204, {"action": "sync"})
    expect("POST", path, 204, {"action": "cancel_sync"})
    expect("POST", path, 400, {}, answer=error("bad_request", "[{key_missing,action}]"))
    if not broker().oracle:
        expect("POST", path, 400, {"action": "jump"}, answer=error("bad_request", "unknown: jump"))
    expect("POST", "/api/queues/%2F/none/actions", 404 if not broker().oracle else 500,
           {"action": "sync"})


# ---- a queue, its messages, and what hinders them ----

@case("a queue tells of its consumers and its owner")
def _(t):
    c = client(t)
    q = queue(t, c, exclusive=True)
    c.call(1, "basic.consume", queue=q, consumer_tag="one")
    own = c.sock.getsockname()
    soon(path_of("queues", "/", q), {
        "owner_pid_details": {"name": name_of(c), "peer_host": own[0], "peer_port": own[1]},
        "consumer_details": [consumer_like(c, q, "one")], ...: ...})


if __name__ == "__main__":
    api.main()
