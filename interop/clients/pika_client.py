#!/usr/bin/python3
"""The scenarios with pika's blocking connection; interop/run has much more of pika."""

import datetime
import decimal
import os
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, __file__.rsplit("/", 2)[0])

import pika  # noqa: E402
from pika.exceptions import ChannelClosedByBroker, ProbableAuthenticationError  # noqa: E402

import matrix_client as m  # noqa: E402
from client import connect, eventually, exchange, get, ready, take  # noqa: E402
from tap import case, check, equal, main  # noqa: E402


def own_queue(ch, **options):
    return ch.queue_declare("", **m.OWN, **options).method.queue


def closed(function):
    """Code and text with which the broker closes the channel."""
    try:
        function()
    except ChannelClosedByBroker as error:
        return error.reply_code, error.reply_text
    raise AssertionError("the channel was not closed")


@case("login")
def login(t):
    connection = connect(t)
    check(connection.channel().is_open, "the channel is not open")
    connection.close()
    check(connection.is_closed, "the connection is open")


@case("wrong-password")
def wrong_password(t):
    try:
        connect(t, credentials=pika.PlainCredentials("guest", "wrong"))
    except ProbableAuthenticationError as error:
        check("(403)" in str(error) and "Login was refused" in str(error), str(error))
        return
    raise AssertionError("not refused")


@case("heartbeats")
def heartbeats(t):
    connection = connect(t, heartbeat=1)
    connection.sleep(3)
    own_queue(connection.channel())


@case("properties")
def properties(t):
    ch = connect(t).channel()
    q = own_queue(ch)
    want = pika.BasicProperties(
        content_type="text/plain", content_encoding="utf-8", delivery_mode=2, priority=7,
        correlation_id="c-1", reply_to="answers", expiration="60000", message_id="m-1",
        timestamp=1715000000, type="kind", user_id="guest", app_id="interop", cluster_id="cluster")
    ch.basic_publish("", q, b"\xff\0", want)
    equal(get(ch, q)[1:], (want, b"\xff\0"), "properties and body")


@case("headers")
def headers(t):
    ch = connect(t).channel()
    q = own_queue(ch)
    want = {"bool": True, "int": -7, "long": 2 ** 40, "string": "\u00e9",
            "bytes": b"\xff\0", "decimal": decimal.Decimal("3.14"), "void": None,
            "time": datetime.datetime(2024, 5, 6, 7, 8, 9), "table": {"deep": {"er": 1}},
            "array": [1, "two", [3]]}
    ch.basic_publish("", q, b"x", pika.BasicProperties(headers=want))
    equal(get(ch, q)[1].headers, want, "headers")


@case("confirms")
def confirms(t):
    ch = connect(t).channel()
    q = own_queue(ch)
    ch.confirm_delivery()  # each publish waits for its confirm
    for number in range(500):
        ch.basic_publish("", q, b"%d" % number, mandatory=True)
    equal(ready(ch, q), 500, "messages")


@case("mandatory")
def mandatory(t):
    connection, seen = connect(t), []
    ch = connection.channel()
    ch.add_on_return_callback(lambda _ch, *returned: seen.append(returned))
    ch.basic_publish("amq.direct", m.name(), b"back", pika.BasicProperties(message_id="m"), True)
    eventually(lambda: connection.process_data_events(0.05) or seen)
    method, props, body = seen[0]
    equal((method.reply_code, method.reply_text, method.exchange, props.message_id, body),
          (312, "NO_ROUTE", "amq.direct", "m", b"back"), "return")


@case("prefetch")
def prefetch(t):
    ch = connect(t).channel()
    q = own_queue(ch)
    ch.basic_qos(prefetch_count=3)
    for number in range(10):
        ch.basic_publish("", q, b"%d" % number)
    got = take(ch, q, 10, seconds=0.3)
    equal([body for _, _, body in got], [b"0", b"1", b"2"], "before an ack")
    ch.basic_ack(got[-1][0].delivery_tag, multiple=True)
    got = take(ch, q, 10, seconds=0.3)
    equal([body for _, _, body in got], [b"3", b"4", b"5"], "after the ack")


@case("acks")
def acks(t):
    ch = connect(t).channel()
    q = own_queue(ch)
    for number in range(5):
        ch.basic_publish("", q, b"%d" % number)
    tags = [get(ch, q, auto_ack=False)[0].delivery_tag for _ in range(5)]
    ch.basic_ack(tags[0])
    ch.basic_reject(tags[1], requeue=False)
    ch.basic_reject(tags[2], requeue=True)
    ch.basic_nack(tags[4], multiple=True, requeue=True)
    got = [get(ch, q) for _ in range(3)]
    equal([(body, method.redelivered) for method, _, body in got],
          [(b"2", True), (b"3", True), (b"4", True)], "what came again")
    equal(ch.basic_get(q)[0], None, "end")


@case("dead-letter")
def dead_letter(t):
    ch = connect(t).channel()
    dead = own_queue(ch)
    q = own_queue(ch, arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead})
    ch.basic_publish("", q, b"ill", pika.BasicProperties(headers={"own": 1}))
    ch.basic_reject(get(ch, q, auto_ack=False)[0].delivery_tag, requeue=False)
    _, props, body = get(ch, dead)
    m.check_death(props.headers, q)
    equal((body, props.headers["own"]), (b"ill", 1), "message")


@case("transactions")
def transactions(t):
    connection = connect(t)
    ch, other = connection.channel(), connection.channel()
    q = own_queue(ch)
    ch.tx_select()
    ch.basic_publish("", q, b"1")
    equal(ready(other, q), 0, "before the commit")
    ch.tx_commit()
    ch.basic_publish("", q, b"2")
    ch.basic_ack(get(ch, q, auto_ack=False)[0].delivery_tag)
    ch.tx_rollback()
    ch.close()
    equal((get(other, q)[2], other.basic_get(q)[2]), (b"1", None), "after the rollback")


@case("exchanges")
def exchanges(t):
    ch = connect(t).channel()
    for kind, binding, hit, miss in (("direct", "k", "k", "l"), ("topic", "a.*.#", "a.b.c", "b.a"),
                                     ("fanout", "", "any", None)):
        x, y, q = exchange(t, ch, kind), exchange(t, ch, "fanout"), own_queue(ch)
        ch.queue_bind(q, x, binding)
        ch.exchange_bind(x, y)
        ch.basic_publish(x, hit, b"in")
        if miss:
            ch.basic_publish(x, miss, b"out")
        ch.basic_publish(y, hit, b"through")
        ch.exchange_unbind(x, y)
        ch.basic_publish(y, hit, b"cut")
        ch.queue_unbind(q, x, binding)
        ch.basic_publish(x, hit, b"late")
        ch.basic_publish("", q, b"end")
        equal([get(ch, q)[2] for _ in range(3)], [b"in", b"through", b"end"], kind)
    q = own_queue(ch)
    ch.queue_bind(q, "amq.headers", arguments={"x-match": "all", "a": 1, "b": "two"})
    for body, sent in ((b"both", {"a": 1, "b": "two"}), (b"one", {"a": 1})):
        ch.basic_publish("amq.headers", "", body, pika.BasicProperties(headers=sent))
    ch.basic_publish("", q, b"end")
    equal([get(ch, q)[2] for _ in range(2)], [b"both", b"end"], "headers")


@case("queues")
def queues(t):
    owner, connection = connect(t), connect(t)
    q = owner.channel().queue_declare("", exclusive=True).method.queue
    check(q.startswith("amq.gen-"), q)
    equal(closed(lambda: connection.channel().queue_declare(q, passive=True))[0], 405, "locked")
    owner.close()
    equal(closed(lambda: connection.channel().queue_declare(q, passive=True)),
          (404, m.not_found(q)), "gone")


@case("cancel-notify")
def cancel_notify(t):
    connection, seen = connect(t), []
    ch, other = connection.channel(), connection.channel()
    q = own_queue(ch)
    ch.add_on_cancel_callback(seen.append)
    tag = ch.basic_consume(q, lambda *_: None)
    other.queue_delete(q)
    eventually(lambda: connection.process_data_events(0.05) or seen)
    equal([frame.method.consumer_tag for frame in seen], [tag], "cancelled")


@case("channel-error")
def channel_error(t):
    connection = connect(t)
    missing, q = m.name(), own_queue(connection.channel())
    equal(closed(lambda: connection.channel().queue_declare(missing, passive=True)),
          (404, m.not_found(missing)), "404")
    ch = connection.channel()
    x = exchange(t, ch)
    equal(closed(lambda: ch.exchange_declare(x, "fanout")), (406, m.inequivalent(x)), "406")
    again = connection.channel()
    again.basic_publish("", q, b"x")
    equal(get(again, q)[2], b"x", "on a new channel")


@case("large-body")
def large_body(t):
    ch, body = connect(t).channel(), m.pattern(20_000_000)
    q = own_queue(ch)
    ch.basic_publish("", q, body)
    got = take(ch, q, 1, seconds=m.PATIENCE, auto_ack=True)
    check(got[0][2] == body, "the body is another one")


class Program:
    """It connects again when its connection has ended, and does again what was not done then."""

    def __init__(self, t):
        self.t, self.q, self.tally, self.channel = t, m.name(), m.Tally(), None

    def insist(self, step, *arguments):
        while True:
            try:
                if not self.channel:
                    self.channel = connect(self.t).channel()
                    self.channel.confirm_delivery()
                return step(*arguments)
            except (pika.exceptions.AMQPError, OSError):
                self.channel = None
                time.sleep(0.05)

    def publish(self, number):
        body = self.tally.body(number)
        self.channel.basic_publish("", self.q, body, pika.BasicProperties(delivery_mode=2), True)
        self.tally.confirmed.add(body)

    def take(self):
        """A delivery's tag, if there is one."""
        method, _, body = self.channel.basic_get(self.q)
        if method:
            self.tally.got(body, method.redelivered)
        return method and method.delivery_tag

    def take_and_ack(self):
        tag = self.take()
        if tag:
            self.channel.basic_ack(tag)


@case("failover")
def failover(t):
    program = Program(t)
    program.insist(lambda: program.channel.queue_declare(program.q, durable=True))
    for number in range(m.BEFORE):
        program.insist(program.publish, number)
    first, held = program.channel, [program.take() for _ in range(m.HELD)]
    m.fail_broker()
    for number in range(m.BEFORE, m.MEANWHILE):
        program.insist(program.publish, number)
    m.broker_is_back()
    for number in range(m.MEANWHILE, m.AFTER):
        program.insist(program.publish, number)
    if program.channel is first:
        program.channel.basic_ack(held[-1], multiple=True)
    eventually(lambda: program.insist(program.take_and_ack) or program.tally.has_all())
    program.tally.check()
    program.insist(lambda: program.channel.queue_delete(program.q))


@case("reply-to")
def reply_to(t):
    connection, answers = connect(t), []
    asker, server = connection.channel(), connection.channel()
    q = own_queue(server)
    asker.basic_consume("amq.rabbitmq.reply-to", auto_ack=True,
                        on_message_callback=lambda _ch, *answer: answers.append(answer[1:]))
    for number in range(3):
        asker.basic_publish("", q, b"%d" % number, pika.BasicProperties(
            reply_to="amq.rabbitmq.reply-to", correlation_id=str(number)))
        _, props, body = get(server, q)
        server.basic_publish("", props.reply_to, body + b"!",
                             pika.BasicProperties(correlation_id=props.correlation_id))
    eventually(lambda: connection.process_data_events(0.05) or len(answers) == 3)
    equal([(props.correlation_id, body) for props, body in answers],
          [("0", b"0!"), ("1", b"1!"), ("2", b"2!")], "answers")


@case("tls")
def tls(t):
    os.environ["TLS_CA"] = m.CA
    t.cleanup(os.environ.pop, "TLS_CA")
    t.uri = "127.0.0.1:%d" % m.TLS_PORT
    ch = connect(t).channel()
    q = own_queue(ch)
    ch.basic_publish("", q, b"x")
    equal(get(ch, q)[2], b"x", "message")


if __name__ == "__main__":
    sys.argv[1:] = ["--uri", "127.0.0.1:%d" % m.PORT]
    main()
