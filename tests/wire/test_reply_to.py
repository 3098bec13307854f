#!/usr/bin/python3
"""Direct reply-to, with all that leads to it."""

from wire import case, check, client, equal, main, name

GENERAL = "amq.rabbitmq.reply-to"


def asker(t):
    """A client that waits for replies, and the name under which they reach it."""
    c, other = client(t), client(t)
    q = other.queue(1, name(), exclusive=True)
    c.consume(GENERAL, no_ack=True)
    c.publish(1, q, "ask", reply_to=GENERAL)
    to = other.get_soon(q).properties["reply_to"]
    check(to.startswith(GENERAL + "."), "the name is %r" % to)
    return c, to


def heard(c):
    event = c.expect(1, "basic.deliver")
    return event.routing_key, event.body, event.properties.get("headers")


@case("a reply is found by CC and BCC, and goes to queues as well")
def by_extra_keys(t):
    c, to = asker(t)
    d = client(t)
    a, b = d.queue(1, name(), exclusive=True), d.queue(1, name(), exclusive=True)
    d.publish(1, "none", "cc", headers={"CC": [to]})
    equal(heard(c), ("none", b"cc", {"CC": [to]}), "by CC")
    d.publish(1, a, "both", headers={"CC": [to, b]})
    equal(heard(c), (a, b"both", {"CC": [to, b]}), "by CC, and to queues")
    equal((d.get_soon(a).body, d.get_soon(b).body), (b"both", b"both"), "the queues")
    d.publish(1, to, "copy", headers={"CC": [a]})
    equal(heard(c), (to, b"copy", {"CC": [a]}), "with a copy to a queue")
    equal(d.get_soon(a).routing_key, to, "the copy")


@case("the keys in BCC are not shown to who gets a reply")
def bcc(t):
    c, to = asker(t)
    d = client(t)
    a = d.queue(1, name(), exclusive=True)
    d.publish(1, to, "hidden", headers={"BCC": [a], "x": 1})
    equal(heard(c), (to, b"hidden", {"x": 1}), "the reply")
    equal(d.get_soon(a).properties["headers"], {"x": 1}, "the queue")
    d.publish(1, a, "by BCC", headers={"BCC": [to]})
    equal(heard(c), (a, b"by BCC", {}), "the reply")


@case("who is named more than once gets one reply")
def once(t):
    c, to = asker(t)
    d = client(t)
    d.publish(1, to, "one", headers={"CC": [to, to], "BCC": [to]})
    equal(heard(c)[1], b"one", "the reply")
    d.publish(1, to, "two")
    equal(heard(c)[1], b"two", "what comes next")


@case("several askers get theirs by one message")
def several(t):
    (c, first), (e, second) = asker(t), asker(t)
    d = client(t)
    d.call(1, "confirm.select")
    d.publish(1, first, "all", headers={"CC": [second]})
    equal((heard(c)[1], heard(e)[1]), (b"all", b"all"), "both")
    d.expect(1, "basic.ack")


@case("other exchanges lead to no reply")
def elsewhere(t):
    c, to = asker(t)
    d = client(t)
    d.publish(1, to, "x", exchange="amq.direct", mandatory=True, headers={"CC": [to]})
    equal(d.expect(1, "basic.return").reply_code, 312, "it is returned")
    c.quiet(1)


if __name__ == "__main__":
    main()
