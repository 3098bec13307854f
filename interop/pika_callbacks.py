"""The scenarios of pika's two callback adapters, SelectConnection and AsyncioConnection.

A scenario is a generator: it yields what it waits for (the reply to a call, or the next thing in a
mailbox) and is resumed with it, so that it reads from top to bottom although everything below runs
in callbacks.  register(adapter) makes a case of each scenario.
"""

import asyncio
import time

import pika

from client import drop_exchange, drop_queue, name, parameters, pattern
from tap import case, check, equal

SECONDS = 20
SCENARIOS = []


def scenario(title):
    def add(function):
        SCENARIOS.append((title, function))
        return function
    return add


class Call:
    """Wait for the reply to a method: Call(channel.queue_declare, "q")."""

    def __init__(self, function, *arguments, callback="callback", **options):
        self.function, self.arguments, self.options = function, arguments, options
        self.keyword = callback

    def begin(self, resume):
        self.options[self.keyword] = lambda *got: resume(got[0] if got else None)
        self.function(*self.arguments, **self.options)


class Mailbox:
    """What callbacks put in and a scenario takes out, in order; yield the mailbox to take."""

    def __init__(self):
        self.letters, self.resume = [], None

    def put(self, *letter):
        letter = letter if len(letter) > 1 else letter[0]
        if self.resume:
            resume, self.resume = self.resume, None
            resume(letter)
        else:
            self.letters.append(letter)

    def begin(self, resume):
        if self.letters:
            resume(self.letters.pop(0))
        else:
            self.resume = resume


class Run:
    """One scenario on one connection and its loop."""

    def __init__(self, adapter, t, function, **options):
        self.t, self.function, self.error, self.generator = t, function, None, None
        self.closed = Mailbox()
        self.adapter, self.options = adapter, options
        self.done = self.stopping = False
        self.loop = None
        self.connection = self.connect()

    def connect(self):
        arguments = {"parameters": parameters(self.t.uri, **self.options),
                     "on_open_callback": self.on_open, "on_close_callback": self.on_close,
                     "on_open_error_callback": self.on_open_error}
        if self.adapter is pika.adapters.select_connection.SelectConnection:
            if self.loop:
                arguments["custom_ioloop"] = self.loop
        else:
            self.loop = self.loop or asyncio.new_event_loop()
            arguments["custom_ioloop"] = self.loop
        connection = self.adapter(**arguments)
        self.loop = connection.ioloop
        return connection

    def go(self):
        self.loop.call_later(SECONDS, lambda: self.fail(AssertionError("no end in sight")))
        if isinstance(self.loop, asyncio.AbstractEventLoop):
            self.loop.run_forever()
        else:
            self.loop.start()
        if self.error:
            raise self.error

    def fail(self, error):
        if not self.done:
            self.error = self.error or error
            self.finish()

    def finish(self):
        self.done = True
        if self.connection.is_open:
            self.connection.close()
        elif not self.stopping:
            self.stopping = True
            self.loop.stop()

    def on_open(self, connection):
        if self.generator is None:
            self.generator = self.function(self.t, self, connection)
            self.step(None)
        else:
            self.closed.put("open")

    def on_open_error(self, _connection, error):
        self.fail(AssertionError("not opened: %r" % error))

    def on_close(self, _connection, reason):
        if self.done:
            self.stopping = True
            self.loop.stop()
        else:
            self.closed.put(reason)

    def step(self, value):
        if self.done:
            return
        try:
            self.generator.send(value).begin(self.step)
        except StopIteration:
            self.finish()
        except Exception as error:  # pylint: disable=broad-except
            self.fail(error)

    def channel(self):
        return Call(self.connection.channel, callback="on_open_callback")


def register(adapter):
    for title, function in SCENARIOS:
        def run(t, function=function):
            Run(adapter, t, function).go()
        case("%s: %s" % (adapter.__name__, title))(run)


def queue(ch, **options):
    return Call(ch.queue_declare, "", exclusive=True, **options)


def consumer(ch, q, mailbox, **options):
    options.setdefault("on_message_callback", lambda _ch, *message: mailbox.put(*message))
    return Call(ch.basic_consume, q, **options)


@scenario("declare, bind, publish, consume, ack")
def _(t, run, _connection):
    ch, inbox, x = (yield run.channel()), Mailbox(), name("x")
    yield Call(ch.exchange_declare, x, "topic", auto_delete=True)
    q = (yield queue(ch)).method.queue
    yield Call(ch.queue_bind, q, x, "a.*")
    yield Call(ch.basic_qos, prefetch_count=10)
    yield consumer(ch, q, inbox)
    for number in range(100):
        ch.basic_publish(x, "a.%d" % number, b"%d" % number)
        ch.basic_publish(x, "b.%d" % number, b"other")
    for number in range(100):
        method, _properties, body = yield inbox
        equal((body, method.routing_key), (b"%d" % number, "a.%d" % number), "message")
        ch.basic_ack(method.delivery_tag)
    equal((yield Call(ch.queue_declare, q, passive=True)).method.message_count, 0, "left")


@scenario("get, nack, reject")
def _(t, run, _connection):
    ch = yield run.channel()
    q = (yield queue(ch)).method.queue
    for number in range(3):
        ch.basic_publish("", q, b"%d" % number)

    def get(auto_ack=False):
        inbox = Mailbox()
        ch.add_callback(lambda frame: inbox.put(None), [pika.spec.Basic.GetEmpty])
        ch.basic_get(q, lambda _ch, *message: inbox.put(*message), auto_ack=auto_ack)
        return inbox

    tags = []
    for number in range(3):
        method, _properties, body = yield get()
        equal((body, method.redelivered), (b"%d" % number, False), "message")
        tags.append(method.delivery_tag)
    ch.basic_reject(tags[0], requeue=True)
    ch.basic_reject(tags[1], requeue=False)
    ch.basic_nack(tags[2], requeue=True)
    for expected in (b"0", b"2"):
        method, _properties, body = yield get(auto_ack=True)
        equal((body, method.redelivered), (expected, True), "message")


@scenario("confirms for 500 persistent messages, multiple or not")
def _(t, run, _connection):
    ch, inbox, q = (yield run.channel()), Mailbox(), name()
    t.cleanup(drop_queue, t, q)
    yield Call(ch.queue_declare, q, durable=True)
    yield Call(ch.confirm_delivery, ack_nack_callback=inbox.put)
    for number in range(500):
        ch.basic_publish("", q, b"x" * (number % 50), pika.BasicProperties(delivery_mode=2))
    left = set(range(1, 501))
    while left:
        method = (yield inbox).method
        check(isinstance(method, pika.spec.Basic.Ack), "got %r" % method)
        left = {tag for tag in left if (tag > method.delivery_tag if method.multiple
                                        else tag != method.delivery_tag)}
    equal((yield Call(ch.queue_declare, q, passive=True)).method.message_count, 500, "messages")


@scenario("a return comes before its ack")
def _(t, run, _connection):
    ch, inbox = (yield run.channel()), Mailbox()
    ch.add_on_return_callback(lambda _ch, method, _p, body: inbox.put((method.reply_code, body)))
    yield Call(ch.confirm_delivery, ack_nack_callback=lambda frame: inbox.put(
        frame.method.NAME))
    ch.basic_publish("", name("nobody"), b"back", mandatory=True)
    equal([(yield inbox), (yield inbox)], [(312, b"back"), "Basic.Ack"], "events")


@scenario("transactions")
def _(t, run, _connection):
    ch, other = (yield run.channel()), (yield run.channel())
    q = (yield queue(ch)).method.queue
    yield Call(ch.tx_select)
    ch.basic_publish("", q, b"1")
    yield Call(ch.tx_rollback)
    ch.basic_publish("", q, b"2")
    ch.basic_publish("", q, b"3")
    equal((yield Call(other.queue_declare, q, passive=True)).method.message_count, 0, "before")
    yield Call(ch.tx_commit)
    equal((yield Call(other.queue_declare, q, passive=True)).method.message_count, 2, "after")


@scenario("cancel, and cancel notify when the queue goes")
def _(t, run, _connection):
    ch, other, inbox, q = (yield run.channel()), (yield run.channel()), Mailbox(), name()
    t.cleanup(drop_queue, t, q)
    yield Call(ch.queue_declare, q)
    ch.add_on_cancel_callback(lambda frame: inbox.put(frame.method.consumer_tag))
    yield Call(ch.basic_consume, q, lambda *_: None, consumer_tag="first")
    yield Call(ch.basic_consume, q, lambda *_: None, consumer_tag="second")
    yield Call(ch.basic_cancel, "first")
    yield Call(other.queue_delete, q)
    equal((yield inbox), "second", "cancelled")


@scenario("dead letters with x-death")
def _(t, run, _connection):
    ch, inbox = (yield run.channel()), Mailbox()
    dead = (yield queue(ch)).method.queue
    q = (yield queue(ch, arguments={"x-dead-letter-exchange": "",
                                    "x-dead-letter-routing-key": dead})).method.queue
    yield consumer(ch, dead, inbox, auto_ack=True)
    yield Call(ch.basic_consume, q, lambda ch_, method, *_: ch_.basic_nack(
        method.delivery_tag, requeue=False))
    for number in range(5):
        ch.basic_publish("", q, b"%d" % number)
    for number in range(5):
        _method, properties, body = yield inbox
        death = properties.headers["x-death"][0]
        equal((body, death["queue"], death["reason"], death["count"]),
              (b"%d" % number, q, "rejected", 1), "death")


@scenario("bodies of 0, 1, frame_max-9, -8, -7 bytes and 10 MiB")
def _(t, run, _connection):
    ch, inbox = (yield run.channel()), Mailbox()
    q = (yield queue(ch)).method.queue
    yield consumer(ch, q, inbox, auto_ack=True)
    for size in (0, 1, 131063, 131064, 131065, 10 * 1024 * 1024):
        ch.basic_publish("", q, pattern(size))
        _method, _properties, body = yield inbox
        check(body == pattern(size), "%d bytes came as %d" % (size, len(body)))


@scenario("100 channels")
def _(t, run, _connection):
    channels, inbox, queues = [], Mailbox(), []
    for _number in range(100):
        channels.append((yield run.channel()))
        queues.append((yield queue(channels[-1])).method.queue)
        yield consumer(channels[-1], queues[-1], inbox, auto_ack=True)
    for number in range(100):
        channels[number].basic_publish("", queues[99 - number], b"%d" % number)
    seen = []
    while len(seen) < 100:
        seen.append(int((yield inbox)[2]))
    equal(sorted(seen), list(range(100)), "messages")


@scenario("a channel error has its code and text, the connection lives")
def _(t, run, _connection):
    ch, other, inbox = (yield run.channel()), (yield run.channel()), Mailbox()
    ch.add_on_close_callback(lambda _ch, reason: inbox.put(reason))
    missing = name()
    ch.queue_declare(missing, passive=True)
    reason = yield inbox
    equal((reason.reply_code, reason.reply_text),
          (404, "NOT_FOUND - no queue '%s' in vhost '/'" % missing), "close")
    yield queue(other)


@scenario("a connection error has its code and text, and a new connection works")
def _(t, run, _connection):
    ch, q, inbox = (yield run.channel()), name(), Mailbox()
    t.cleanup(drop_queue, t, q)
    yield Call(ch.queue_declare, q, durable=True)
    yield Call(ch.confirm_delivery, ack_nack_callback=inbox.put)
    ch.basic_publish("", q, b"kept", pika.BasicProperties(delivery_mode=2))
    yield inbox
    ch.flow(False)
    reason = yield run.closed
    equal((reason.reply_code, reason.reply_text), (540, "NOT_IMPLEMENTED - active=false"), "close")
    run.connection = run.connect()
    equal((yield run.closed), "open", "second connection")
    ch, letters = (yield run.channel()), Mailbox()
    yield consumer(ch, q, letters, auto_ack=True)
    equal((yield letters)[2], b"kept", "message")


@scenario("an exchange is bound to an exchange, and unbound")
def _(t, run, _connection):
    ch, inbox, x, y = (yield run.channel()), Mailbox(), name("x"), name("y")
    for kind, exchange in (("direct", x), ("fanout", y)):
        t.cleanup(drop_exchange, t, exchange)
        yield Call(ch.exchange_declare, exchange, kind)
    q = (yield queue(ch)).method.queue
    yield Call(ch.queue_bind, q, y)
    yield Call(ch.exchange_bind, y, x, "k")
    yield consumer(ch, q, inbox, auto_ack=True)
    ch.basic_publish(x, "k", b"through")
    equal((yield inbox)[2], b"through", "message")
    yield Call(ch.exchange_unbind, y, x, "k")
    ch.basic_publish(x, "k", b"not through")
    ch.basic_publish("", q, b"end")
    equal((yield inbox)[2], b"end", "message")


@scenario("recover delivers the unacked again, flow is answered")
def _(t, run, _connection):
    ch, inbox = (yield run.channel()), Mailbox()
    q = (yield queue(ch)).method.queue
    yield consumer(ch, q, inbox)
    ch.basic_publish("", q, b"again")
    equal((yield inbox)[0].redelivered, False, "first time")
    yield Call(ch.basic_recover, requeue=True)
    method, _properties, body = yield inbox
    equal((body, method.redelivered), (b"again", True), "second time")
    equal((yield Call(ch.flow, True)), True, "flow")


@scenario("2,000 messages through a prefetch of 50, acked by tens")
def _(t, run, _connection):
    ch, inbox = (yield run.channel()), Mailbox()
    q = (yield queue(ch)).method.queue
    yield Call(ch.basic_qos, prefetch_count=50)
    yield consumer(ch, q, inbox)
    begin = time.monotonic()
    for number in range(2000):
        ch.basic_publish("", q, b"%d" % number)
    for number in range(2000):
        method, _properties, body = yield inbox
        equal(body, b"%d" % number, "message")
        if number % 10 == 9:
            ch.basic_ack(method.delivery_tag, multiple=True)
    t.note("%.1f s" % (time.monotonic() - begin))
