"""What the pika programs share: parameters, names, and waiting for something to become true.

With TLS_CA in the environment, a file of certificates to trust, they speak TLS.
"""

import itertools
import os
import ssl

import pika

from tap import eventually

NUMBERS = itertools.count(1)


def parameters(uri, **options):
    host, port = uri.rsplit(":", 1)
    options.setdefault("heartbeat", 0)
    options.setdefault("blocked_connection_timeout", 20)
    if "TLS_CA" in os.environ:
        context = ssl.create_default_context(cafile=os.environ["TLS_CA"])
        options.setdefault("ssl_options", pika.SSLOptions(context, "localhost"))
    return pika.ConnectionParameters(host=host, port=int(port), **options)


def name(kind="q"):
    """A name that no other case and no earlier run on the same broker has used."""
    return "interop.%d.%d.%s" % (os.getpid(), next(NUMBERS), kind)


def connect(t, **options):
    connection = pika.BlockingConnection(parameters(t.uri, **options))
    t.cleanup(connection.close)
    return connection


def channel(t, **options):
    return connect(t, **options).channel()


def drop_queue(t, queue):
    connection = pika.BlockingConnection(parameters(t.uri))
    connection.channel().queue_delete(queue)
    connection.close()


def drop_exchange(t, exchange):
    connection = pika.BlockingConnection(parameters(t.uri))
    connection.channel().exchange_delete(exchange)
    connection.close()


def shared_queue(t, ch, **options):
    """A durable queue for this case only."""
    queue = name()
    options.setdefault("durable", True)
    ch.queue_declare(queue, **options)
    t.cleanup(drop_queue, t, queue)
    return queue


def own_queue(ch, **options):
    return ch.queue_declare("", exclusive=True, **options).method.queue


def exchange(t, ch, kind="direct", **options):
    x = name(kind)
    ch.exchange_declare(x, kind, **options)
    t.cleanup(drop_exchange, t, x)
    return x


def get(ch, queue, auto_ack=True, seconds=5):
    """A message that is there or will be in a moment: method, properties, body."""
    got = eventually(lambda: [m for m in [ch.basic_get(queue, auto_ack)] if m[0]], seconds)
    return got[0] if got else (None, None, None)


def ready(ch, queue):
    return ch.queue_declare(queue, passive=True).method.message_count


def take(ch, queue, count, seconds=5, **options):
    """Consume this many messages; (method, properties, body) of each.  Nothing is acked."""
    out = []
    for method, properties, body in ch.consume(queue, inactivity_timeout=seconds, **options):
        if method is None:
            break
        out.append((method, properties, body))
        if len(out) == count:
            break
    return out


def pattern(size):
    """A body in which a lost, doubled or swapped piece shows."""
    block = bytes((at * 7 + at // 256) % 256 for at in range(65537))
    return (block * (size // len(block) + 1))[:size]
