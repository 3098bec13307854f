#!/usr/bin/python3
"""The scenarios with py-amqp; recovery is kombu's, as in Celery."""

import datetime
import decimal
import socket
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, __file__.rsplit("/", 2)[0])

import amqp  # noqa: E402
import kombu  # noqa: E402
from amqp.exceptions import (AccessRefused, NotFound, PreconditionFailed,  # noqa: E402
                             ResourceLocked)
from kombu.mixins import ConsumerMixin  # noqa: E402

import matrix_client as m  # noqa: E402
from tap import case, check, equal, main  # noqa: E402


def connect(t=None, **options):
    options.setdefault("host", "%s:%d" % (m.HOST, m.PORT))
    connection = amqp.Connection(**options)
    connection.connect()
    if t:
        t.cleanup(connection.close)
    return connection


def own_queue(ch, **options):
    return ch.queue_declare("", auto_delete=False, **{**m.OWN, **options}).queue


def send(ch, body, queue, exchange="", **properties):
    ch.basic_publish(amqp.Message(body, **properties), exchange, queue)


def get(ch, queue, no_ack=True):
    return m.eventually(lambda: ch.basic_get(queue, no_ack))


def bodies(ch, queue, count):
    return [get(ch, queue).body for _ in range(count)]


def drain(connection, done, seconds=m.PATIENCE):
    """Takes what comes until that is done, or the time is over."""
    deadline = time.monotonic() + seconds
    while not done() and time.monotonic() < deadline:
        try:
            connection.drain_events(timeout=0.05)
        except socket.timeout:
            pass


@case("login")
def login(_t):
    connection = connect()
    equal(connection.server_properties["product"], "RabbitMQ", "product")
    check(connection.channel().is_open, "the channel is not open")
    connection.close()


@case("wrong-password")
def wrong_password(_t):
    try:
        connect(password="wrong")
    except AccessRefused as error:
        check("ACCESS_REFUSED - Login was refused" in str(error), str(error))
        return
    raise AssertionError("not refused")


@case("heartbeats")
def heartbeats(t):
    connection = connect(t, heartbeat=1)
    for _ in range(30):
        connection.heartbeat_tick()
        drain(connection, lambda: False, 0.1)
    own_queue(connection.channel())


@case("properties")
def properties(t):
    ch = connect(t).channel()
    q = own_queue(ch)
    want = {"content_type": "text/plain", "content_encoding": "utf-8", "delivery_mode": 2,
            "priority": 7, "correlation_id": "c-1", "reply_to": "answers", "expiration": "60000",
            "message_id": "m-1", "timestamp": 1715000000, "type": "kind",
            "user_id": "guest", "app_id": "interop", "cluster_id": "cluster"}
    send(ch, b"\xff\0", q, **want)
    message = get(ch, q)
    equal(message.properties, want, "properties")
    equal(bytes(message.body) if isinstance(message.body, bytes) else message.body.encode("latin1"),
          b"\xff\0", "body")


@case("headers")
def headers(t):
    ch = connect(t).channel()
    q = own_queue(ch)
    want = {"bool": True, "int": -7, "long": 2 ** 40, "double": 1.5, "string": "\u00e9",
            "decimal": decimal.Decimal("3.14"), "time": datetime.datetime(2024, 5, 6, 7, 8, 9),
            "table": {"deep": {"er": 1}}, "array": [1, "two", [3]], "void": None}
    send(ch, b"x", q, application_headers=want)
    equal(get(ch, q).headers, want, "headers")


@case("confirms")
def confirms(t):
    connection = connect(t)
    ch, acked = connection.channel(), []
    q = own_queue(ch)
    ch.confirm_select()
    ch.events["basic_ack"].add(lambda tag, multiple: acked.append((tag, multiple)))
    for number in range(500):
        send(ch, "%d" % number, q)
    drain(connection, lambda: m.confirmed(500, acked))
    check(m.confirmed(500, acked), "confirmed are only %s" % acked)
    equal(ch.queue_declare(q, passive=True).message_count, 500, "messages")


@case("mandatory")
def mandatory(t):
    connection = connect(t)
    ch, seen = connection.channel(), []
    ch.events["basic_return"].add(lambda *returned: seen.append(returned))
    ch.basic_publish(amqp.Message("back", message_id="m"), "amq.direct", m.name(), mandatory=True)
    drain(connection, lambda: seen)
    exception, exchange, _key, message = seen[0]
    equal((exception.reply_code, exception.reply_text, exchange, message.body,
           message.properties["message_id"]), (312, "NO_ROUTE", "amq.direct", "back", "m"), "return")


@case("prefetch")
def prefetch(t):
    connection = connect(t)
    ch, seen = connection.channel(), []
    q = own_queue(ch)
    for number in range(10):
        send(ch, "%d" % number, q)
    ch.basic_qos(0, 3, False)
    ch.basic_consume(q, callback=seen.append)
    drain(connection, lambda: len(seen) > 3, 0.3)
    equal(len(seen), 3, "before an ack")
    ch.basic_ack(seen[-1].delivery_tag, multiple=True)
    drain(connection, lambda: len(seen) > 6, 0.3)
    equal([message.body for message in seen], ["0", "1", "2", "3", "4", "5"], "after the ack")


@case("acks")
def acks(t):
    ch = connect(t).channel()
    q = own_queue(ch)
    for number in range(5):
        send(ch, "%d" % number, q)
    tags = [get(ch, q, False).delivery_tag for _ in range(5)]
    ch.basic_ack(tags[0])
    ch.basic_reject(tags[1], requeue=False)
    ch.basic_reject(tags[2], requeue=True)
    ch.send_method((60, 120), "Lbb", (tags[4], True, True))  # basic.nack, which has no function
    got = [get(ch, q) for _ in range(3)]
    equal([(message.body, message.delivery_info["redelivered"]) for message in got],
          [("2", True), ("3", True), ("4", True)], "what came again")
    equal(ch.basic_get(q), None, "end")


@case("dead-letter")
def dead_letter(t):
    ch = connect(t).channel()
    dead = own_queue(ch)
    q = own_queue(ch, arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead})
    send(ch, "ill", q, application_headers={"own": 1})
    ch.basic_reject(get(ch, q, False).delivery_tag, requeue=False)
    message = get(ch, dead)
    m.check_death(message.headers, q)
    equal((message.body, message.headers["own"]), ("ill", 1), "message")


@case("transactions")
def transactions(t):
    connection = connect(t)
    ch, other = connection.channel(), connection.channel()
    q = own_queue(ch)
    ch.tx_select()
    send(ch, "1", q)
    equal(other.queue_declare(q, passive=True).message_count, 0, "before the commit")
    ch.tx_commit()
    send(ch, "2", q)
    ch.basic_ack(get(ch, q, False).delivery_tag)
    ch.tx_rollback()
    ch.close()
    equal((get(other, q).body, other.basic_get(q)), ("1", None), "after the rollback")


@case("exchanges")
def exchanges(t):
    ch = connect(t).channel()
    for kind, binding, hit, miss in (("direct", "k", "k", "l"), ("topic", "a.*.#", "a.b.c", "b.a"),
                                     ("fanout", "", "any", None)):
        x, y, q = m.name(), m.name(), own_queue(ch)
        ch.exchange_declare(x, kind, auto_delete=False)
        ch.exchange_declare(y, "fanout", auto_delete=False)
        ch.queue_bind(q, x, binding)
        ch.exchange_bind(x, y)
        send(ch, "in", hit, x)
        if miss:
            send(ch, "out", miss, x)
        send(ch, "through", hit, y)
        ch.exchange_unbind(x, y)
        send(ch, "cut", hit, y)
        ch.queue_unbind(q, x, binding)
        send(ch, "late", hit, x)
        send(ch, "end", q)
        equal(bodies(ch, q, 3), ["in", "through", "end"], kind)
        ch.exchange_delete(x)
        ch.exchange_delete(y)
    q = own_queue(ch)
    ch.queue_bind(q, "amq.headers", arguments={"x-match": "all", "a": 1, "b": "two"})
    send(ch, "both", "", "amq.headers", application_headers={"a": 1, "b": "two"})
    send(ch, "one", "", "amq.headers", application_headers={"a": 1})
    send(ch, "end", q)
    equal(bodies(ch, q, 2), ["both", "end"], "headers")


@case("queues")
def queues(t):
    owner, connection = connect(), connect(t)
    q = owner.channel().queue_declare("", exclusive=True, auto_delete=False).queue
    check(q.startswith("amq.gen-"), q)
    try:
        connection.channel().queue_declare(q, passive=True)
        raise AssertionError("not locked")
    except ResourceLocked as error:
        equal(error.code, 405, "code")
    owner.close()
    try:
        connection.channel().queue_declare(q, passive=True)
        raise AssertionError("still there")
    except NotFound:
        pass


@case("cancel-notify")
def cancel_notify(t):
    connection = connect(t)
    ch, other, seen = connection.channel(), connection.channel(), []
    q = own_queue(ch)
    tag = ch.basic_consume(q, on_cancel=seen.append)
    other.queue_delete(q)
    drain(connection, lambda: seen)
    equal(seen, [tag], "cancelled")


@case("channel-error")
def channel_error(t):
    connection = connect(t)
    missing, q = m.name(), own_queue(connection.channel())
    try:
        connection.channel().queue_declare(missing, passive=True)
        raise AssertionError("404 expected")
    except NotFound as error:
        equal((error.code, error.reply_text), (404, m.not_found(missing)), "404")
    ch = connection.channel()
    ch.exchange_declare(missing, "direct", auto_delete=False)
    try:
        ch.exchange_declare(missing, "fanout", auto_delete=False)
        raise AssertionError("406 expected")
    except PreconditionFailed as error:
        equal((error.code, error.reply_text), (406, m.inequivalent(missing)), "406")
    ch = connection.channel()
    ch.exchange_delete(missing)
    send(ch, "x", q)
    equal(get(ch, q).body, "x", "on a new channel")


@case("large-body")
def large_body(t):
    connection = connect(t)
    ch, seen, body = connection.channel(), [], m.pattern(20_000_000)
    q = own_queue(ch)
    ch.basic_consume(q, no_ack=True, callback=seen.append)
    send(ch, body, q, content_encoding="binary")
    drain(connection, lambda: seen)
    check(seen[0].body == body, "the body is another one")


class Program(ConsumerMixin):
    """A consumer that counts on kombu to connect again."""

    def __init__(self, connection, queue):
        self.connection, self.queue, self.seen = connection, queue, []

    def get_consumers(self, Consumer, channel):  # pylint: disable=invalid-name
        return [Consumer([self.queue], callbacks=[self.on_message], accept=["text/plain"])]

    def on_message(self, body, message):
        self.seen.append(body)
        message.ack()
        if body == "last":
            self.should_stop = True


def publish(queue, body, delivery_mode=2):
    with kombu.Connection(m.uri(), transport_options={"confirm_publish": True}) as connection:
        connection.ensure_connection(interval_start=0.1, max_retries=100)
        kombu.Producer(connection).publish(body, routing_key=queue.name, retry=True,
                                           delivery_mode=delivery_mode)


@case("recovery")
def recovery(_t):
    kept, queue = m.name(), kombu.Queue(m.name(), durable=True)
    with kombu.Connection(m.uri()) as connection:
        for name in (kept, queue.name):
            kombu.Queue(name, durable=True)(connection.default_channel).declare()
    for number in range(20):
        publish(kombu.Queue(kept), "%d" % number)
    with kombu.Connection(m.uri()) as connection:
        program = Program(connection, queue)
        publish(queue, "first", 1)
        m.in_thread(program.run)
        m.eventually(lambda: program.seen == ["first"])
        m.restart_broker()
        publish(queue, "last")
        m.eventually(lambda: program.should_stop)
        equal(program.seen, ["first", "last"], "what the consumer saw")
    ch = connect().channel()
    equal(bodies(ch, kept, 20), ["%d" % number for number in range(20)], "what was kept")
    ch.queue_delete(kept)
    ch.queue_delete(queue.name)


class Persistent:
    """It connects again when its connection has ended, and does again what was not done then."""

    def __init__(self, t):
        self.t, self.q, self.tally, self.channel = t, m.name(), m.Tally(), None

    def insist(self, step, *arguments):
        while True:
            try:
                if not self.channel:
                    self.channel = connect(self.t, confirm_publish=True).channel()
                return step(*arguments)
            except (amqp.AMQPError, OSError):
                self.channel = None
                time.sleep(0.05)

    def publish(self, number):
        body = self.tally.body(number)
        send(self.channel, body, self.q, delivery_mode=2)
        self.tally.confirmed.add(body)

    def take(self):
        """A message, if there is one."""
        message = self.channel.basic_get(self.q, no_ack=False)
        if message:
            self.tally.got(message.body, message.delivery_info["redelivered"])
        return message

    def take_and_ack(self):
        message = self.take()
        if message:
            self.channel.basic_ack(message.delivery_tag)


@case("failover")
def failover(t):
    program = Persistent(t)
    program.insist(lambda: program.channel.queue_declare(program.q, durable=True, auto_delete=False))
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
        program.channel.basic_ack(held[-1].delivery_tag, multiple=True)
    m.eventually(lambda: program.insist(program.take_and_ack) or program.tally.has_all())
    program.tally.check()
    program.insist(lambda: program.channel.queue_delete(program.q))


@case("reply-to")
def reply_to(t):
    connection = connect(t)
    asker, server, answers = connection.channel(), connection.channel(), []
    q = own_queue(server)
    asker.basic_consume("amq.rabbitmq.reply-to", no_ack=True, callback=answers.append)
    for number in range(3):
        send(asker, "%d" % number, q, reply_to="amq.rabbitmq.reply-to", correlation_id="%d" % number)
        question = get(server, q)
        send(server, question.body + "!", question.properties["reply_to"],
             correlation_id=question.properties["correlation_id"])
    drain(connection, lambda: len(answers) == 3)
    equal([(answer.body, answer.properties["correlation_id"]) for answer in answers],
          [("0!", "0"), ("1!", "1"), ("2!", "2")], "answers")


@case("tls")
def tls(t):
    ch = connect(t, host="localhost:%d" % m.TLS_PORT,
                 ssl={"ca_certs": m.CA, "server_hostname": "localhost"}).channel()
    q = own_queue(ch)
    send(ch, "x", q)
    equal(get(ch, q).body, "x", "message")


if __name__ == "__main__":
    main()
