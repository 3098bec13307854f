#!/usr/bin/python3
"""Names that the broker makes, and what goes when its owner goes."""

from queues import fill, gone, gone_exchange
from wire import case, check, client, delete_exchange, equal, main, name, shared_queue


@case("a server-named queue is amq.gen- and 22 more characters")
def server_named(t):
    c = client(t)
    names = {c.queue() for _ in range(20)}
    equal(len(names), 20, "different names")
    for q in names:
        check(q.startswith("amq.gen-") and len(q) == 30, "name %r" % q)
        check(all(ch.isalnum() or ch in "-_" for ch in q[8:]), "name %r" % q)


@case("a generated consumer tag is amq.ctag- and more")
def consumer_tags(t):
    c = client(t)
    q = c.queue()
    tags = {c.consume(q) for _ in range(5)}
    equal(len(tags), 5, "different tags")
    check(all(tag.startswith("amq.ctag-") and len(tag) > 20 for tag in tags), "tags %r" % tags)


@case("CR and LF are taken out of names, other UTF-8 is kept, 255 bytes are enough")
def names(t):
    c = client(t)
    equal(c.queue(1, "wire\r\nq"), "wireq", "stripped")
    equal(c.queue(1, "h\u00e4schen \u5154 \x01"), "h\u00e4schen \u5154 \x01", "UTF-8")
    long_name = name() + "n" * 300
    equal(c.queue(1, long_name[:255]), long_name[:255], "long")
    c.publish(1, long_name[:255], "x")
    equal(c.get_soon(long_name[:255]).routing_key, long_name[:255], "routing key")


@case("an exclusive queue goes with its connection, not with its channel")
def exclusive_end(t):
    other = client(t)
    for end in ("close", "abort"):
        c = client(t, channels=2)
        q = c.queue(1, name())
        c.call(1, "channel.close", reply_code=200)
        c.count(q, 2)
        getattr(c, end)()
        check(gone(other, q), "the queue survived " + end)


@case("after connection.close-ok the exclusive queues are gone at once")
def exclusive_end_at_once(t):
    other = client(t)
    for _ in range(20):
        c = client(t)
        q = c.queue(1, name())
        c.close()
        equal(other.queue(1, q), q, "name")
        other.call(1, "queue.delete", queue=q)


@case("an auto-delete queue goes with its last consumer, and never before its first")
def auto_delete_queue(t):
    c, other = client(t, channels=2), client(t)
    q = shared_queue(t, c, auto_delete=True)
    fill(c, q, 1)
    c.get(q)
    c.consume(q, consumer_tag="a")
    c.consume(q, consumer_tag="b", channel=2)
    c.call(1, "basic.cancel", consumer_tag="a")
    equal(other.count(q), (0, 1), "after the first cancel")
    c.call(2, "channel.close", reply_code=200)
    check(gone(other, q), "the queue survived its consumers")


@case("an auto-delete queue goes with the connection of its last consumer")
def auto_delete_queue_broken(t):
    c, other = client(t), client(t)
    q = shared_queue(t, c, auto_delete=True)
    c.consume(q)
    c.abort()
    check(gone(other, q), "the queue survived its consumer")


@case("nowait methods have no reply and take effect")
def nowait(t):
    c = client(t)
    q, x = name(), name("x")
    t.cleanup(delete_exchange, t, x)
    c.send(1, "exchange.declare", exchange=x, type="direct", nowait=True)
    c.send(1, "queue.declare", queue=q, exclusive=True, nowait=True)
    c.send(1, "queue.bind", queue=q, exchange=x, routing_key="k", nowait=True)
    c.send(1, "exchange.bind", source=x, destination="amq.fanout", routing_key="z", nowait=True)
    c.send(1, "exchange.unbind", source=x, destination="amq.fanout", routing_key="z", nowait=True)
    c.publish(1, "k", "purge me", exchange=x)
    c.send(1, "queue.purge", queue=q, nowait=True)
    c.send(1, "basic.consume", queue=q, consumer_tag="t", no_ack=True, nowait=True)
    c.publish(1, "k", "x", exchange=x)
    while c.expect(1, "basic.deliver").body != b"x":
        pass
    c.send(1, "basic.cancel", consumer_tag="t", nowait=True)
    c.send(1, "exchange.delete", exchange=x, nowait=True)
    c.send(1, "queue.delete", queue=q, nowait=True)
    c.quiet(1)
    check(gone_exchange(c, x) and gone(c, q), "something is still there")


if __name__ == "__main__":
    main()
