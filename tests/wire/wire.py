"""What the wire tests share: clients that go away with their case, and the check of an error.

An error of the broker is four facts: its level (channel or connection, which the reply code
decides), its code, its text, and the class and method that caused it.  fails() checks all four,
and then that the level was meant: after a channel error the same number is opened and used again,
after a connection error the socket closes.
"""

import itertools
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "interop"))

import amqp  # noqa: E402
from tap import Skip, case, check, equal, main  # noqa: E402,F401

HARD = (320, 402, 501, 502, 503, 504, 505, 506, 530, 540, 541)
NUMBERS = itertools.count(1)


def name(kind="q"):
    """A name that no other case and no earlier run on the same broker has used."""
    return "wire.%d.%d.%s" % (os.getpid(), next(NUMBERS), kind)


def dial(t, timeout=5.0):
    """A socket on which nothing was said yet."""
    c = amqp.Connection(t.uri, timeout)
    t.cleanup(c.abort)
    return c


def client(t, channels=1, **options):
    """An open connection with channels 1..N open."""
    c = amqp.Connection(t.uri)
    t.cleanup(c.close)
    c.open(**options)
    for number in range(1, channels + 1):
        c.channel(number)
    return c


def exchange(t, c, kind="direct", channel=1, **fields):
    """Declare an exchange for this case only; its name."""
    x = name(kind)
    c.call(channel, "exchange.declare", exchange=x, type=kind, **fields)
    t.cleanup(delete_exchange, t, x)
    return x


def delete_exchange(t, x):
    c = amqp.Connection(t.uri).open()
    c.channel()
    c.call(1, "exchange.delete", exchange=x)
    c.close()


def delete_queue(t, q):
    c = amqp.Connection(t.uri).open()
    c.channel()
    c.call(1, "queue.delete", queue=q)
    c.close()


def shared_queue(t, c, channel=1, **fields):
    """Declare a queue that other connections may use, for this case only; its name."""
    q = name()
    fields = fields or {"durable": True}
    c.call(channel, "queue.declare", queue=q, **fields)
    t.cleanup(delete_queue, t, q)
    return q


def ids(method):
    return amqp.METHODS[method][:2] if method else (0, 0)


def fails(c, code, text, method, channel=1, prefix=False):
    """The next event is this error, at the level that its code says; returns its text."""
    event = c.recv(timeout=8)
    level = "connection.close" if code in HARD else "channel.close"
    got = (event.name,) + tuple(event.fields.get(f) for f in
                                ("reply_code", "reply_text", "class_id", "method_id"))
    said = got[2] or ""
    if prefix and said.startswith(text):
        got = got[:2] + (text,) + got[3:]
    equal(got, (level, code, text) + ids(method), "error")
    equal(event.channel, 0 if code in HARD else channel, "channel of the error")
    if code in HARD:
        c.send(0, "connection.close-ok")
        check(c.at_end(), "the socket stayed open after close-ok")
    else:
        c.send(channel, "channel.close-ok")
        c.channel(channel)
    return said
