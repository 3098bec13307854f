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


@case("the timestamp of a queue's first message is told, whether a consumer has it or not")
def _(t):
    c = client(t)
    q = queue(t, c)

    def told():
        return expect("GET", path_of("queues", "/", q), 200).body.get("head_message_timestamp")

    for timestamp, wanted in ((None, None), (12345, 12345), (12344, 12345)):
        if timestamp:
            publish(q, properties={"timestamp": timestamp})
        check(tap.eventually(lambda: told() == wanted), "%r, and not %r" % (wanted, told()))
    tag = c.get(q, no_ack=False).delivery_tag
    check(tap.eventually(lambda: told() == 12344), "the earlier one of what is taken and what is ready")
    c.send(1, "basic.ack", delivery_tag=tag)
    c.call(1, "queue.purge", queue=q)
    check(tap.eventually(lambda: told() is None), "there is none")


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


def look(queue, query="", status=200, answer=None):
    return expect("GET", path_of("queues", "/", queue, "messages") + query, status,
                  answer=answer).body


def payloads(found):
    return [message["payload"] for message in found["messages"]]


def seen_in_parts(own, name, query):
    """The payloads, by as many requests as it takes."""
    seen, at = [], "0"
    while at is not None:
        part = own.ask("GET", path_of("queues", "/", name, "messages") + query + "&from=" + at).body
        seen, at = seen + payloads(part), part["next"]
    return seen


def three(t, c):
    q = queue(t, c)
    publish(q, payload="first", properties={"headers": {"a": 1, "b": "two"}})
    publish(q, payload="second", properties={"message_id": "m", "expiration": "1000000"})
    publish(q, payload="third")
    return q


@case("a look at messages leaves them where and as they are")
@ours
def _(t):
    c = client(t)
    q = three(t, c)
    looked = {"position": matching("^[0-9]+$"), "state": "ready", "delivery_count": 0,
              "expires_at": None, "exchange": "", "routing_key": q, "payload_encoding": "string"}
    look(q, answer={"messages": [
        dict(looked, payload="first", payload_bytes=5,
             properties={"headers": {"a": 1, "b": "two"}}),
        dict(looked, payload="second", payload_bytes=6, expires_at=int,
             properties={"message_id": "m", "expiration": "1000000"}),
        dict(looked, payload="third", payload_bytes=5, properties=[])],
        "looked_at": 3, "next": None})
    got = [(m["payload"], m["redelivered"]) for m in get(q, mode="ack_requeue_true").body]
    equal(got, [("first", False), ("second", False), ("third", False)], "nobody had them")
    equal([m["delivery_count"] for m in look(q)["messages"]], [1, 1, 1], "then they came back")
    c.call(1, "basic.qos", prefetch_count=1)
    c.call(1, "basic.consume", queue=q)
    c.expect(1, "basic.deliver")
    equal([m["state"] for m in look(q)["messages"]], ["unacknowledged", "ready", "ready"],
          "one is with a consumer")
    body = expect("GET", path_of("queues", "/", q), 200).body
    equal((body["messages_ready"], body["messages_unacknowledged"]), (2, 1), "counts")


@case("messages are looked for by header, key and text")
@ours
def _(t):
    q = three(t, client(t))
    for query, wanted in (("?filter=header:a", ["first"]), ("?filter=header:b%3Dtwo", ["first"]),
                          ("?filter=header:a%3D1", ["first"]), ("?filter=header:a%3D", []),
                          ("?filter=header:b%3Dthree", []), ("?filter=header:", []),
                          ("?filter=key:none", []),
                          ("?filter=key:" + q, ["first", "second", "third"]),
                          ("?filter=text:ir", ["first", "third"]), ("?filter=sec", ["second"]),
                          ("?filter=text:thirds", []), ("?filter=", ["first", "second", "third"]),
                          ("?filter=text:", ["first", "second", "third"]), ("?filter=:", []),
                          ("?truncate=2&count=1", ["fi"]), ("?encoding=base64&count=1", ["Zmlyc3Q="]),
                          ("?count=0", [])):
        equal(payloads(look(q, query)), wanted, query)
    start = look(q, "?count=2")
    equal(payloads(look(q, "?from=" + start["next"])), ["third"], "the next page")
    for query in ("count=x", "count=-1", "from=1.5", "from=99999999999999999999", "truncate="):
        look(q, "?" + query, 400, error("bad_request", matching("should be a whole number$")))
    look(q, "?from=18446744073709551615", 200, {"messages": [], "looked_at": 0, "next": None})
    look("none", status=404, answer=NOT_FOUND)


@case("a text is found wherever it lies in a long body, and a slice of a body is no more")
@ours
def _(t):
    c = client(t)
    q = queue(t, c)
    bodies = {}
    for at in (0, 65530, 65535, 65536, 131070, 500000 - 6):
        body = bytearray(b"n" * 500000)
        body[at:at + 6] = b"needle"
        bodies[at] = bytes(body)
        c.publish(1, q, bodies[at])
    tap.eventually(lambda: look(q, "?count=0&truncate=0") and len(look(q)["messages"]) == 6)
    equal(len(look(q, "?filter=needle&truncate=1")["messages"]), 6, "all are found")
    equal(look(q, "?filter=noodle")["messages"], [], "and no others")
    sizes = [(m["payload_bytes"], len(m["payload"])) for m in look(q)["messages"]]
    equal(sizes, [(500000, 50000)] * 6, "bodies are cut")
    whole = look(q, "?truncate=500000")["messages"]
    equal([m["payload"].encode() for m in whole], list(bodies.values()), "if nothing else is said")


@case("one message is ended, but none that somebody has")
@ours
def _(t):
    c = client(t)
    q = three(t, c)
    c.call(1, "basic.qos", prefetch_count=1)
    c.call(1, "basic.consume", queue=q)
    delivery = c.expect(1, "basic.deliver")
    one, two, _ = (path_of("queues", "/", q, "messages", m["position"])
                   for m in look(q)["messages"])
    expect("DELETE", one, 400, answer=error("bad_request", matching("^the message is with a")))
    expect("DELETE", two, 204)
    expect("DELETE", two, 404, answer=NOT_FOUND)
    for wrong in ("x", "0", "-1", "99", "18446744073709551615", "18446744073709551616", "1%2F"):
        expect("DELETE", path_of("queues", "/", q, "messages") + "/" + wrong, 404, answer=NOT_FOUND)
    expect("DELETE", "/api/queues/%2F/none/messages/1", 404, answer=NOT_FOUND)
    equal(payloads(look(q)), ["first", "third"], "what is left")
    c.send(1, "basic.ack", delivery_tag=delivery.delivery_tag)
    equal(c.expect(1, "basic.deliver").body, b"third", "what comes next")


@case("who may look, and end")
@ours
def _(t):
    c = client(t)
    q, mine = three(t, c), queue(t, c, exclusive=True)
    expect("PUT", "/api/users/looker", 201, {"password": "looker", "tags": "management"})
    t.cleanup(broker().ask, "DELETE", "/api/users/looker")
    user = ("looker", "looker")
    messages = path_of("queues", "/", q, "messages")
    for allowed, status in (({}, 401), ({"read": ".*"}, 200)):
        if allowed:
            expect("PUT", "/api/permissions/%2F/looker", 201,
                   dict({"configure": "", "write": "", "read": ""}, **allowed))
        expect("GET", messages, status, user=user)
        expect("GET", path_of("queues", "/", q, "explain"), status, user=user)
    expect("DELETE", messages + "/1", 204, user=user)
    expect("PUT", "/api/permissions/%2F/looker", 204, {"configure": ".*", "write": ".*", "read": ""})
    expect("GET", messages, 401, user=user, answer=error("not_authorised", "Access refused."))
    expect("DELETE", messages + "/2", 401, user=user, answer=error("not_authorised", "Access refused."))
    look(mine, status=400, answer=error("bad_request"))


@case("a look at a queue with priorities is in the order of delivery")
@ours
def _(t):
    c = client(t)
    q = queue(t, c, arguments={"x-max-priority": 255})
    for priority in (1, 255, 0, 255, 130):
        publish(q, payload=str(priority), properties={"priority": priority})
    equal(payloads(look(q)), ["255", "255", "130", "1", "0"], "all")
    equal(seen_in_parts(broker(), q, "?count=1"), ["255", "255", "130", "1", "0"], "one by one")
    second = look(q)["messages"][1]["position"]
    expect("DELETE", path_of("queues", "/", q, "messages", second), 204)
    equal([m["payload"] for m in get(q).body], ["255", "130", "1", "0"], "one of them is gone")


@case("a look at messages that are on disk alone")
@ours
def _(t):
    data = service.folder(t)
    daemon = service.serve(t, data)
    c = daemon.client(t)
    c.channel()
    c.call(1, "queue.declare", queue="cold", durable=True)
    c.call(1, "confirm.select")
    for number in range(3000):
        c.publish(1, "cold", b"%d" % number, delivery_mode=2)
    confirmed = 0
    while confirmed < 3000:
        confirmed = c.expect(1, "basic.ack").delivery_tag
    c.close()
    daemon.stop()
    own = broker_at(t, service.serve(t, data, "--management", "127.0.0.1:0"))
    equal(seen_in_parts(own, "cold", "?count=500"), [str(n) for n in range(3000)], "all, in order")
    equal(seen_in_parts(own, "cold", "?filter=299"),
          [str(n) for n in range(3000) if "299" in str(n)], "a search")
    found = own.ask("GET", "/api/queues/%2F/cold/messages?filter=none").body
    equal((found["messages"], found["looked_at"]), ([], 3000), "a search in vain")
    body = own.ask("GET", "/api/queues/%2F/cold").body
    equal((body["messages_ready"], body["messages_unacknowledged"]), (3000, 0), "counts")
    last = own.ask("GET", "/api/queues/%2F/cold/messages?filter=2999").body["messages"][0]
    own.expect("DELETE", "/api/queues/%2F/cold/messages/" + last["position"], 204)
    equal(len(seen_in_parts(own, "cold", "?count=500&filter=29")),
          len([n for n in range(2999) if "29" in str(n)]), "the last is gone")


# ---- what hinders them ----

def explain(own, queue, side):
    return own.expect("GET", path_of("queues", "/", queue, "explain"), 200).body[side]


def reasons(queue, side):
    return [reason["code"] for reason in explain(broker(), queue, side)]


@case("why nothing is delivered")
@ours
def _(t):
    c = client(t)
    q = queue(t, c)
    expect("GET", path_of("queues", "/", q, "explain"), 200, answer={
        "name": q, "vhost": "/", "messages_ready": 0, "messages_unacknowledged": 0,
        "messages_delayed": 0, "consumers": 0, "delivery": [
            {"code": "empty", "text": "no message is ready"},
            {"code": "no_consumer", "text": "nobody consumes from the queue"}], "acceptance": []})
    publish(q)
    equal(reasons(q, "delivery"), ["no_consumer"], "nobody is there")
    c.call(1, "basic.qos", prefetch_count=1)
    c.call(1, "basic.consume", queue=q, consumer_tag="busy")
    c.expect(1, "basic.deliver")
    publish(q)
    waiting, busy = explain(broker(), q, "delivery")
    equal(waiting, {"code": "unacknowledged", "text":
                    "messages that were delivered and are not acknowledged: 1"}, "what is out")
    details = consumer_like(c, q, "busy")["channel_details"]
    details["node"] = busy["channel_details"]["node"]
    equal(busy, {"code": "prefetch", "consumer_tag": "busy", "channel_details": details, "text":
                 "consumer busy has 1 unacknowledged messages, and its prefetch is 1"}, "who has it")
    expect("GET", "/api/queues/%2F/none/explain", 404, answer=NOT_FOUND)


@case("whom else a queue waits for")
@ours
def _(t):
    c = client(t, 2)
    q, single = queue(t, c), queue(t, c, arguments={"x-single-active-consumer": True})
    c.call(2, "basic.qos", prefetch_count=1, global_=True)
    c.call(2, "basic.consume", queue=q, consumer_tag="x")
    publish(q)
    c.expect(2, "basic.deliver")
    publish(q)
    equal(reasons(q, "delivery"), ["unacknowledged", "channel_prefetch"], "its channel is full")
    for tag in "ab":
        c.call(1, "basic.consume", queue=single, consumer_tag=tag)
    equal(reasons(single, "delivery"), ["empty", "single_active"], "one waits for the other")


@case("why nothing is accepted, or not for long")
@ours
def _(t):
    c = client(t)
    refuses = queue(t, c, arguments={"x-max-length": 2, "x-overflow": "reject-publish"})
    drops = queue(t, c, arguments={"x-max-length-bytes": 6})
    for q in refuses, drops:
        publish(q, payload="abc")
        equal(reasons(q, "acceptance"), [], "there is room")
        publish(q, payload="abc")
    equal(explain(broker(), refuses, "acceptance"), [
        {"code": "limit", "limit": "max-length", "most": 2, "ready": 2,
         "text": "max-length is 2, and 2 are ready: what comes is refused"}], "it is full")
    equal(explain(broker(), drops, "acceptance"), [
        {"code": "drops", "limit": "max-length-bytes", "most": 6, "ready": 6, "text":
         "max-length-bytes is 6, and 6 are ready: the oldest make room for what comes"}], "so is this")


@case("an alarm is a reason, and hinders none who asks")
@ours
def _(t):
    for options, code in ((("--memory-limit", "300000"), "memory_alarm"),
                          (("--disk-reserve", str(1 << 60)), "disk_alarm")):
        daemon = service.serve(t, service.folder(t), "--management", "127.0.0.1:0", *options)
        own = broker_at(t, daemon)
        c = amqp.Connection(own.uri)
        t.cleanup(c.abort)
        c.open()
        c.channel()
        c.call(1, "queue.declare", queue="q")
        c.publish(1, "q", b"x" * 400000)
        daemon.says(" alarm_set alarm=" + code[:code.index("_")])
        equal([reason["code"] for reason in explain(own, "q", "acceptance")], [code], "the reason")
        own.expect("GET", "/api/queues/%2F/q/messages", 200)


@case("an alarm holds a publish of the API no longer than it takes to say so")
@ours
def _(t):
    daemon = service.serve(t, service.folder(t), "--management", "127.0.0.1:0",
                           "--memory-limit", "300000")
    own = broker_at(t, daemon)
    c = daemon.client(t)
    c.channel()
    c.call(1, "queue.declare", queue="q")
    c.publish(1, "q", b"x" * 400000)
    daemon.says(" alarm_set alarm=memory")
    message = {"routing_key": "q", "payload": "p", "payload_encoding": "string", "properties": {}}
    publish_to = "/api/exchanges/%2F/amq.default/publish"
    own.expect("POST", publish_to, 503, message,
               error("resource_alarm", "memory is short, and publishers have to wait"))
    own.expect("DELETE", "/api/queues/%2F/q/contents", 204)
    daemon.says(" alarm_cleared alarm=memory")
    own.expect("POST", publish_to, 200, message, {"routed": True})
    equal(payloads(own.ask("GET", "/api/queues/%2F/q/messages").body), ["p"], "what is there")


# ---- and who is told of them ----

def traced(t, c):
    """A queue for all that is told of while the virtual host is traced, as it is now."""
    taps = queue(t, c)
    c.call(1, "queue.bind", queue=taps, exchange="amq.rabbitmq.trace", routing_key="#")
    expect("PUT", "/api/vhosts/%2F", 204, {"tracing": True})
    t.cleanup(broker().ask, "PUT", "/api/vhosts/%2F", {"tracing": False})
    return taps


def told(taps, count):
    tap.eventually(lambda: broker().ask("GET", path_of("queues", "/", taps)).body.get(
        "messages_ready", count) >= count)
    found = tap.eventually(lambda: broker().ask("POST", path_of("queues", "/", taps, "get"), {
        "count": 1, "ackmode": "ack_requeue_false", "encoding": "auto"}).body)
    return found[0] if found else None


@case("the firehose is told of what the API publishes and gets")
def _(t):
    c = client(t)
    q = queue(t, c)
    taps = traced(t, c)
    publish(q, payload="text", properties={"headers": {"a": "b"}})
    expect("PUT", "/api/vhosts/%2F", 204, {"tracing": False})
    one = told(taps, 1)
    equal((one["routing_key"], one["payload"]), ("publish.", "text"), "what was published")
    headers = one["properties"]["headers"]
    connection, channel = headers.pop("connection"), headers.pop("channel")
    check(isinstance(connection, str) and isinstance(channel, int), "by which connection")
    equal(headers, {"exchange_name": "", "routing_keys": [q], "node": headers["node"],
                    "properties": {"headers": {"a": "b"}}, "vhost": "/", "user": "guest",
                    "routed_queues": [q]}, "what is told of it")
    expect("PUT", "/api/vhosts/%2F", 204, {"tracing": True})
    equal([m["payload"] for m in get(q).body], ["text"], "it is got")
    expect("PUT", "/api/vhosts/%2F", 204, {"tracing": False})
    one = told(taps, 1)
    equal((one["routing_key"], one["payload"], one["properties"]["headers"]["user"]),
          ("deliver." + q, "text", "guest"), "what was got")


if __name__ == "__main__":
    api.main()
