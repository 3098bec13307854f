#!/usr/bin/python3
"""pika's BlockingConnection: the whole life of a message, one case per step."""

import socket
import time

import pika
from pika.exceptions import (AMQPConnectionError, ChannelClosedByBroker, ConnectionClosedByBroker,
                             NackError, UnroutableError)

from client import (channel, connect, drop_exchange, eventually, exchange, get, name, own_queue,
                    parameters, pattern, ready, shared_queue, take)
from tap import case, check, equal, main

PERSISTENT = pika.BasicProperties(delivery_mode=2)


def closed_with(function, code, text, kind=ChannelClosedByBroker):
    try:
        function()
    except kind as error:
        equal((error.reply_code, error.reply_text), (code, text), "close")
        return
    raise AssertionError("expected a close with %d" % code)


@case("login, server properties, open and close")
def login(t):
    connection = connect(t)
    properties = connection._impl.server_properties  # pylint: disable=protected-access
    for key in ("product", "version", "platform", "capabilities"):
        check(key in properties, "no server property " + key)
    for attribute in ("basic_nack", "consumer_cancel_notify", "exchange_exchange_bindings",
                      "publisher_confirms"):
        check(getattr(connection, attribute), "not supported: " + attribute)
    ch = connection.channel()
    ch.close()
    check(not ch.is_open and connection.is_open, "states after channel.close")
    connection.close()
    check(connection.is_closed, "state after connection.close")


@case("a wrong password is told apart from a broken connection")
def wrong_password(t):
    credentials = pika.PlainCredentials("guest", "wrong")
    try:
        pika.BlockingConnection(parameters(t.uri, credentials=credentials))
    except pika.exceptions.ProbableAuthenticationError as error:
        check("ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN"
              in str(error), str(error))
        return
    raise AssertionError("logged in")


@case("a missing vhost is refused")
def wrong_vhost(t):
    try:
        pika.BlockingConnection(parameters(t.uri, virtual_host="nope"))
    except (ConnectionClosedByBroker, AMQPConnectionError) as error:
        check("vhost nope not found" in str(error) or "530" in str(error) or
              isinstance(error, pika.exceptions.ProbableAccessDeniedError), repr(error))
        return
    raise AssertionError("opened")


@case("declare, bind, publish, get, ack")
def first_message(t):
    ch = channel(t)
    x, q = exchange(t, ch), shared_queue(t, ch)
    ch.queue_bind(q, x, "key")
    ch.basic_publish(x, "key", b"hello", pika.BasicProperties(
        content_type="text/plain", headers={"n": 1, "s": "t", "b": True, "list": [1, "two"],
                                            "table": {"x": None}}, delivery_mode=2, priority=3,
        correlation_id="c", message_id="m", timestamp=1700000000, type="kind", app_id="app"))
    method, properties, body = get(ch, q, auto_ack=False)
    equal((body, method.exchange, method.routing_key, method.redelivered, method.message_count),
          (b"hello", x, "key", False, 0), "message")
    equal(properties.headers, {"n": 1, "s": "t", "b": True, "list": [1, "two"],
                               "table": {"x": None}}, "headers")
    equal((properties.content_type, properties.delivery_mode, properties.priority,
           properties.correlation_id, properties.message_id, properties.timestamp,
           properties.type, properties.app_id),
          ("text/plain", 2, 3, "c", "m", 1700000000, "kind", "app"), "properties")
    ch.basic_ack(method.delivery_tag)
    equal(ch.basic_get(q), (None, None, None), "after the ack")


@case("unbind, purge, delete")
def taking_down(t):
    ch = channel(t)
    x, q = exchange(t, ch, "fanout"), own_queue(ch)
    ch.queue_bind(q, x)
    ch.basic_publish(x, "", b"1")
    eventually(lambda: ready(ch, q) == 1)
    equal(ch.queue_purge(q).method.message_count, 1, "purged")
    ch.queue_unbind(q, x)
    ch.basic_publish(x, "", b"2")
    ch.basic_publish("", q, b"3")
    equal(get(ch, q)[2], b"3", "after the unbind")
    ch.exchange_delete(x)
    ch.basic_publish("", q, b"4")
    eventually(lambda: ready(ch, q) == 1)
    equal(ch.queue_delete(q).method.message_count, 1, "deleted")
    closed_with(lambda: ch.queue_declare(q, passive=True), 404,
                "NOT_FOUND - no queue '%s' in vhost '/'" % q)


@case("exchange to exchange bindings")
def exchange_bind(t):
    ch = channel(t)
    x, y, q = exchange(t, ch, "topic"), exchange(t, ch, "fanout"), own_queue(ch)
    ch.exchange_bind(destination=y, source=x, routing_key="a.#")
    ch.queue_bind(q, y)
    ch.basic_publish(x, "a.b.c", b"in")
    ch.basic_publish(x, "b.c", b"out")
    ch.exchange_unbind(destination=y, source=x, routing_key="a.#")
    ch.basic_publish(x, "a.b.c", b"late")
    ch.basic_publish("", q, b"end")
    equal([get(ch, q)[2], get(ch, q)[2]], [b"in", b"end"], "messages")


@case("consume with a callback, cancel")
def consume(t):
    ch, seen = channel(t), []
    q = own_queue(ch)

    def on_message(ch_, method, _properties, body):
        seen.append(body)
        ch_.basic_ack(method.delivery_tag)
        if len(seen) == 100:
            ch_.basic_cancel(method.consumer_tag)

    ch.basic_qos(prefetch_count=7)
    ch.basic_consume(q, on_message)
    for number in range(100):
        ch.basic_publish("", q, b"%d" % number)
    ch.start_consuming()
    equal(seen, [b"%d" % number for number in range(100)], "messages")
    equal(ready(ch, q), 0, "left")


@case("consume without acks")
def consume_no_ack(t):
    ch = channel(t)
    q = own_queue(ch)
    for number in range(50):
        ch.basic_publish("", q, b"%d" % number)
    got = take(ch, q, 50, auto_ack=True)
    equal([body for _, _, body in got], [b"%d" % number for number in range(50)], "messages")
    ch.cancel()
    equal(ready(ch, q), 0, "left")


@case("nack and reject, with and without requeue")
def nack(t):
    ch = channel(t)
    q = own_queue(ch)
    for number in range(4):
        ch.basic_publish("", q, b"%d" % number)
    tags = [get(ch, q, auto_ack=False)[0].delivery_tag for _ in range(4)]
    ch.basic_reject(tags[0], requeue=True)
    ch.basic_reject(tags[1], requeue=False)
    ch.basic_nack(tags[3], multiple=True, requeue=True)
    got = [get(ch, q) for _ in range(3)]
    equal([(body, method.redelivered) for method, _, body in got],
          [(b"0", True), (b"2", True), (b"3", True)], "messages")
    equal(ch.basic_get(q)[0], None, "end")


@case("ack multiple")
def ack_multiple(t):
    connection = connect(t)
    ch, other = connection.channel(), connection.channel()
    q = own_queue(ch)
    for number in range(5):
        ch.basic_publish("", q, b"%d" % number)
    tags = [get(ch, q, auto_ack=False)[0].delivery_tag for _ in range(4)]
    ch.basic_ack(tags[2], multiple=True)
    ch.close()
    eventually(lambda: ready(other, q) == 2)
    equal([get(other, q)[2], get(other, q)[2]], [b"3", b"4"], "left")


@case("recover redelivers")
def recover(t):
    ch = channel(t)
    q = own_queue(ch)
    ch.basic_publish("", q, b"again")
    get(ch, q, auto_ack=False)
    ch.basic_recover(requeue=True)
    method, _, body = get(ch, q)
    equal((body, method.redelivered), (b"again", True), "message")


@case("prefetch holds deliveries back")
def prefetch(t):
    ch = channel(t)
    q = own_queue(ch)
    ch.basic_qos(prefetch_count=3)
    for number in range(10):
        ch.basic_publish("", q, b"%d" % number)
    got = take(ch, q, 10, seconds=0.3)
    equal(len(got), 3, "deliveries before an ack")
    ch.basic_ack(got[-1][0].delivery_tag, multiple=True)
    equal(len(take(ch, q, 10, seconds=0.3)), 3, "deliveries after the acks")
    ch.cancel()


@case("publisher confirms, persistent and transient")
def confirms(t):
    ch = channel(t)
    q = shared_queue(t, ch)
    ch.confirm_delivery()
    for number in range(30):
        ch.basic_publish("", q, b"%d" % number, PERSISTENT if number % 2 else None,
                         mandatory=True)
    equal(ready(ch, q), 30, "messages after their confirms")


@case("an unroutable mandatory message is returned, then confirmed")
def unroutable(t):
    ch = channel(t)
    ch.confirm_delivery()
    try:
        ch.basic_publish("", name("nobody"), b"come back", mandatory=True)
    except UnroutableError as error:
        message = error.messages[0]
        equal((message.method.reply_code, message.method.reply_text, message.body),
              (312, "NO_ROUTE", b"come back"), "return")
        ch.basic_publish("", own_queue(ch), b"x", mandatory=True)
        return
    except NackError:
        raise AssertionError("nacked") from None
    raise AssertionError("nothing was returned")


@case("returns without confirms reach their callback")
def returned(t):
    connection, seen = connect(t), []
    ch = connection.channel()
    ch.add_on_return_callback(lambda _ch, method, properties, body: seen.append(
        (method.reply_code, method.exchange, properties.message_id, body)))
    ch.basic_publish("amq.direct", name("nobody"), b"b", pika.BasicProperties(message_id="m"),
                     mandatory=True)
    eventually(lambda: connection.process_data_events(0.05) or seen)
    equal(seen, [(312, "amq.direct", "m", b"b")], "returns")


@case("transactions: commit and rollback of publishes and acks")
def transactions(t):
    connection = connect(t)
    ch, other = connection.channel(), connection.channel()
    q = own_queue(ch)
    ch.tx_select()
    ch.basic_publish("", q, b"1", PERSISTENT)
    ch.basic_publish("", q, b"2", PERSISTENT)
    equal(ready(other, q), 0, "before the commit")
    ch.tx_commit()
    equal(ready(other, q), 2, "after the commit")
    ch.basic_publish("", q, b"3")
    method, _, _ = get(ch, q, auto_ack=False)
    ch.basic_ack(method.delivery_tag)
    ch.tx_rollback()
    ch.tx_commit()
    ch.close()
    eventually(lambda: ready(other, q) == 2)
    equal([get(other, q)[2], get(other, q)[2]], [b"1", b"2"], "after the rollback")


@case("a consumer is cancelled when its queue goes")
def cancel_notify(t):
    connection, seen = connect(t), []
    ch, other = connection.channel(), connection.channel()
    q = shared_queue(t, ch)
    ch.add_on_cancel_callback(lambda method: seen.append(method))
    tag = ch.basic_consume(q, lambda *_: None)
    other.queue_delete(q)
    ch.start_consuming()
    equal([frame.method.consumer_tag for frame in seen], [tag], "cancelled")


@case("a rejected message is dead-lettered with x-death")
def dead_letter(t):
    ch = channel(t)
    x, source = exchange(t, ch, "fanout"), exchange(t, ch)
    dead = own_queue(ch)
    ch.queue_bind(dead, x)
    q = own_queue(ch, arguments={"x-dead-letter-exchange": x, "x-dead-letter-routing-key": "dlk"})
    ch.queue_bind(q, source, "key")
    before = time.time()
    for number in range(3):
        ch.basic_publish(source, "key", b"%d" % number, pika.BasicProperties(headers={"own": 1}))
        ch.basic_nack(get(ch, q, auto_ack=False)[0].delivery_tag, requeue=False)
    for number in range(3):
        method, properties, body = get(ch, dead)
        equal((body, method.exchange, method.routing_key), (b"%d" % number, x, "dlk"), "message")
        death = properties.headers["x-death"]
        equal(len(death), 1, "entries")
        when = death[0].pop("time")
        check(abs(when.timestamp() - time.mktime(time.gmtime(before))) < 60 or
              abs(when.timestamp() - before) < 60, "time %r" % when)
        equal(death[0], {"count": 1, "reason": "rejected", "queue": q, "exchange": source,
                         "routing-keys": ["key"]}, "x-death")
        for which in ("first",) if t.oracle else ("first", "last"):
            equal([properties.headers["x-%s-death-%s" % (which, what)]
                   for what in ("reason", "queue", "exchange")], ["rejected", q, source], which)
        equal(properties.headers["own"], 1, "own header")


@case("bodies of 0, 1, frame_max-9, frame_max-8, frame_max-7 bytes and 10 MiB")
def large_bodies(t):
    for frame_max in (131072, 4096):
        ch = channel(t, frame_max=frame_max)
        q = shared_queue(t, ch)
        sizes = [0, 1, frame_max - 9, frame_max - 8, frame_max - 7, 10 * 1024 * 1024]
        for size in sizes:
            ch.basic_publish("", q, pattern(size), PERSISTENT)
        for size, (_, _, body) in zip(sizes, take(ch, q, len(sizes), seconds=20, auto_ack=True)):
            check(body == pattern(size), "body of %d bytes came as %d" % (size, len(body)))
        ch.cancel()
        ch.basic_publish("", q, pattern(10 * 1024 * 1024))
        check(get(ch, q, seconds=20)[2] == pattern(10 * 1024 * 1024), "10 MiB by get")


@case("200 channels on one connection")
def many_channels(t):
    connection = connect(t)
    channels = [connection.channel() for _ in range(200)]
    queues = [own_queue(ch) for ch in channels]
    for index, ch in enumerate(channels):
        ch.basic_publish("", queues[-1 - index], b"%d" % index)
    for index, ch in enumerate(channels):
        equal(get(ch, queues[index])[2], b"%d" % (199 - index), "message")
    for ch in channels[::2]:
        ch.close()
    again = [connection.channel() for _ in range(100)]
    equal(len({ch.channel_number for ch in again + channels[1::2]}), 200, "numbers")


@case("50 connections at once")
def many_connections(t):
    connections = [connect(t) for _ in range(50)]
    channels = [connection.channel() for connection in connections]
    q = shared_queue(t, channels[0])
    for index, ch in enumerate(channels):
        ch.basic_publish("", q, b"%d" % index)
    got = take(channels[0], q, 50, auto_ack=True)
    equal(sorted(int(body) for _, _, body in got), list(range(50)), "messages")


@case("reconnect: what was unacked on a broken connection comes again")
def reconnect(t):
    connection = pika.BlockingConnection(parameters(t.uri))
    ch = connection.channel()
    q = shared_queue(t, ch)
    for number in range(5):
        ch.basic_publish("", q, b"%d" % number, PERSISTENT)
    got = take(ch, q, 3)
    ch.basic_ack(got[0][0].delivery_tag)
    ready(connection.channel(), q)
    connection._impl._transport._sock.shutdown(socket.SHUT_RDWR)  # pylint: disable=all
    again = channel(t)
    eventually(lambda: ready(again, q) == 4)
    messages = [get(again, q) for _ in range(4)]
    equal([int(body) for _, _, body in messages], [1, 2, 3, 4], "messages")
    equal([method.redelivered for method, _, _ in messages][:2], [True, True], "redelivered")


@case("reconnect 30 times, with a queue and a message each time")
def reconnect_often(t):
    ch = channel(t)
    q = shared_queue(t, ch)
    for number in range(30):
        connection = pika.BlockingConnection(parameters(t.uri))
        mine = connection.channel()
        mine.confirm_delivery()
        own_queue(mine)
        mine.basic_publish("", q, b"%d" % number, PERSISTENT)
        connection.close()
    equal(ready(ch, q), 30, "messages")


@case("a channel error closes the channel and nothing else")
def channel_error(t):
    connection = connect(t)
    ch, other = connection.channel(), connection.channel()
    q = own_queue(other)
    missing = name()
    closed_with(lambda: ch.queue_declare(missing, passive=True), 404,
                "NOT_FOUND - no queue '%s' in vhost '/'" % missing)
    closed_with(lambda: connection.channel().queue_declare("amq.x"), 403,
                "ACCESS_REFUSED - queue name 'amq.x' contains reserved prefix 'amq.*'")
    other.basic_publish("", q, b"x")
    equal(get(other, q)[2], b"x", "the other channel")


@case("a connection error closes the connection")
def connection_error(t):
    connection = connect(t)
    ch = connection.channel()
    closed_with(lambda: ch.basic_recover(requeue=False), 540, "NOT_IMPLEMENTED - requeue=false",
                ConnectionClosedByBroker)
    check(connection.is_closed, "the connection is open")


@case("an exclusive queue is locked for others and goes with its connection")
def exclusive(t):
    connection, ch = pika.BlockingConnection(parameters(t.uri)), channel(t)
    q = own_queue(connection.channel())
    try:
        ch.queue_declare(q, passive=True)
        raise AssertionError("declared")
    except ChannelClosedByBroker as error:
        equal(error.reply_code, 405, "code")
    connection.close()
    ch = channel(t)
    try:
        ch.queue_declare(q, passive=True)
        raise AssertionError("still there")
    except ChannelClosedByBroker as error:
        equal(error.reply_code, 404, "code")


@case("a consumer with the exclusive flag stays alone")
def exclusive_consumer(t):
    connection = connect(t)
    ch = connection.channel()
    q = own_queue(ch)
    ch.basic_consume(q, lambda *_: None, exclusive=True)
    closed_with(lambda: connection.channel().basic_consume(q, lambda *_: None), 403,
                "ACCESS_REFUSED - queue '%s' in vhost '/' in exclusive use" % q)


@case("heartbeats of 1 s keep an idle connection open")
def heartbeats(t):
    connection = connect(t, heartbeat=1)
    ch = connection.channel()
    connection.sleep(4)
    own_queue(ch)


@case("headers exchange")
def headers_exchange(t):
    ch = channel(t)
    x = exchange(t, ch, "headers")
    both, either = own_queue(ch), own_queue(ch)
    ch.queue_bind(both, x, arguments={"x-match": "all", "a": 1, "b": "two"})
    ch.queue_bind(either, x, arguments={"x-match": "any", "a": 1, "b": "two"})
    for body, headers in ((b"ab", {"a": 1, "b": "two"}), (b"a", {"a": 1}), (b"none", {"a": 2})):
        ch.basic_publish(x, "", body, pika.BasicProperties(headers=headers))
    ch.basic_publish("", both, b"end")
    ch.basic_publish("", either, b"end")
    equal([get(ch, both)[2] for _ in range(2)], [b"ab", b"end"], "all")
    equal([get(ch, either)[2] for _ in range(3)], [b"ab", b"a", b"end"], "any")


@case("alternate exchange")
def alternate_exchange(t):
    ch = channel(t)
    spare, x = exchange(t, ch, "fanout"), name("x")
    ch.exchange_declare(x, "direct", arguments={"alternate-exchange": spare})
    t.cleanup(drop_exchange, t, x)
    q = own_queue(ch)
    ch.queue_bind(q, spare)
    ch.basic_publish(x, "unknown", b"saved")
    equal(get(ch, q)[2], b"saved", "message")


if __name__ == "__main__":
    main()
