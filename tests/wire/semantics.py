#!/usr/bin/python3
"""What a broker does with messages, seen frame by frame.

These are the promises that client libraries hide or smooth over: what comes before what, which
consumer gets which message, where a returned message goes, what dead-lettering writes.
"""

import contextlib
import random
import time

from wire import (amqp, case, check, client, delete_exchange, equal, exchange, main,
                  name, shared_queue)


def fill(c, q, count, first=1):
    """Publish "first", "first + 1", ... and wait until they are in the queue."""
    ready = c.count(q)[0]
    for number in range(first, first + count):
        c.publish(1, q, str(number))
    settle(c, q, ready + count)


def settle(c, q, ready):
    deadline = time.monotonic() + amqp.PATIENCE
    while c.count(q)[0] != ready:
        check(time.monotonic() < deadline, "%d ready, expected %d" % (c.count(q)[0], ready))
        time.sleep(0.01)


def deliveries(c, count, channel=1):
    return [c.expect(channel, "basic.deliver") for _ in range(count)]


def bodies(events):
    return [event.body.decode() for event in events]


def confirmed(c, channel=1):
    """Put the channel in confirm mode."""
    c.call(channel, "confirm.select")


def wait_confirms(c, count, channel=1):
    """Read acks until tags 1..count are all confirmed; the acks."""
    left, acks = set(range(1, count + 1)), []
    while left:
        ack = c.expect(channel, "basic.ack")
        covered = {tag for tag in left if tag <= ack.delivery_tag} if ack.multiple \
            else {ack.delivery_tag}
        check(covered <= left and covered, "ack of nothing new: %r" % ack)
        left -= covered
        acks.append(ack)
    c.quiet(channel, 0.05)
    return acks


# ---- returns and confirms

@case("an unroutable mandatory message is returned, then acked")
def return_then_ack(t):
    c = client(t)
    confirmed(c)
    c.publish(1, "nobody", "come back", mandatory=True, message_id="m1")
    back = c.expect(1, "basic.return")
    equal((back.reply_code, back.reply_text, back.exchange, back.routing_key),
          (312, "NO_ROUTE", "", "nobody"), "return")
    equal((back.body, back.properties["message_id"]), (b"come back", "m1"), "content")
    ack = c.expect(1, "basic.ack")
    equal((ack.delivery_tag, ack.multiple), (1, False), "ack")


@case("every one of 50 unroutable mandatory messages is returned before its ack")
def returns_in_order(t):
    c, returned, acked = client(t), 0, 0
    confirmed(c)
    for number in range(1, 51):
        c.publish(1, "nobody", str(number), mandatory=True)
    while acked < 50:
        event = c.recv(1)
        if event.name == "basic.return":
            returned += 1
            equal(event.body.decode(), str(returned), "return")
        else:
            check(event.delivery_tag <= returned, "ack %d before its return" % event.delivery_tag)
            acked = event.delivery_tag if event.multiple else acked + 1


@case("an unroutable message that is not mandatory is acked and forgotten")
def unroutable_acked(t):
    c = client(t)
    confirmed(c)
    c.publish(1, "nobody", "x")
    wait_confirms(c, 1)


@case("a routed mandatory message is not returned")
def mandatory_routed(t):
    c = client(t)
    confirmed(c)
    c.publish(1, c.queue(), "x", mandatory=True)
    wait_confirms(c, 1)


@case("each of 2,000 publishes is confirmed once, multiple or not")
def confirm_all(t):
    c = client(t)
    q = shared_queue(t, c)
    confirmed(c)
    for number in range(2000):
        c.publish(1, q if number % 3 else "nobody", "x", delivery_mode=number % 2 + 1)
    t.note("%d acks" % len(wait_confirms(c, 2000)))


@case("confirm tags begin at confirm.select, for each channel by itself")
def confirm_tags(t):
    c = client(t, channels=2)
    q = c.queue()
    c.publish(1, q, "before")
    confirmed(c, 1)
    c.publish(1, q, "x")
    equal(c.expect(1, "basic.ack").delivery_tag, 1, "tag on channel 1")
    confirmed(c, 2)
    c.publish(2, q, "x")
    equal(c.expect(2, "basic.ack").delivery_tag, 1, "tag on channel 2")


@case("confirm.select with nowait has no reply")
def confirm_nowait(t):
    c = client(t)
    c.send(1, "confirm.select", nowait=True)
    c.publish(1, "nobody", "x")
    equal(c.recv(1).name, "basic.ack", "first event")


@case("a queue deleted under outstanding publishes leaves no confirm open")
def confirm_deleted(t):
    c = client(t, channels=2)
    q = shared_queue(t, c)
    confirmed(c)
    for _ in range(200):
        c.publish(1, q, "x", delivery_mode=2)
    c.send(2, "queue.delete", queue=q)
    left = 200
    while left:
        event = c.recv(1, 10)
        check(event.name in ("basic.ack", "basic.nack"), "got %r" % event)
        left = 200 - event.delivery_tag if event.multiple else left - 1


# ---- prefetch

@case("qos with global=false holds for later consumers only")
def qos_later(t):
    c = client(t)
    free, held = c.queue(1, name()), c.queue(1, name())
    c.consume(free)
    c.call(1, "basic.qos", prefetch_count=2)
    c.consume(held)
    fill_blind(c, free, 5)
    equal(bodies(deliveries(c, 5)), ["1", "2", "3", "4", "5"], "the consumer from before")
    fill_blind(c, held, 5)
    got = deliveries(c, 2)
    c.quiet(1)
    c.send(1, "basic.ack", delivery_tag=got[0].delivery_tag)
    equal(bodies(got + deliveries(c, 1)), ["1", "2", "3"], "the consumer from after")
    c.quiet(1)


def fill_blind(c, q, count):
    for number in range(1, count + 1):
        c.publish(1, q, str(number))


@case("qos with global=false gives each consumer its own credit")
def qos_each(t):
    c = client(t)
    q = c.queue()
    c.call(1, "basic.qos", prefetch_count=2)
    c.consume(q, consumer_tag="a")
    c.consume(q, consumer_tag="b")
    fill_blind(c, q, 8)
    got = deliveries(c, 4)
    c.quiet(1)
    equal(sorted(event.consumer_tag for event in got), ["a", "a", "b", "b"], "consumers")


@case("qos with global=true is one credit for the whole channel")
def qos_global(t):
    c = client(t, channels=2)
    q = c.queue()
    c.call(1, "basic.qos", prefetch_count=3, global_=True)
    c.consume(q, consumer_tag="a")
    c.consume(q, consumer_tag="b")
    fill_blind(c, q, 10)
    got = deliveries(c, 3)
    c.quiet(1)
    c.send(1, "basic.ack", delivery_tag=got[-1].delivery_tag, multiple=True)
    deliveries(c, 3)
    c.quiet(1)


@case("qos with global=true holds for the consumers that are there already")
def qos_global_existing(t):
    c = client(t)
    q = c.queue()
    c.consume(q)
    c.call(1, "basic.qos", prefetch_count=2, global_=True)
    fill_blind(c, q, 5)
    deliveries(c, 2)
    c.quiet(1)
    c.call(1, "basic.qos", prefetch_count=0, global_=True)
    equal(bodies(deliveries(c, 3)), ["3", "4", "5"], "after the limit went")


@case("prefetch does not hold back a consumer without acks, nor basic.get")
def qos_no_ack(t):
    c = client(t)
    q = c.queue()
    c.call(1, "basic.qos", prefetch_count=1)
    tag = c.consume(q, no_ack=True)
    fill_blind(c, q, 20)
    deliveries(c, 20)
    c.call(1, "basic.cancel", consumer_tag=tag)
    fill(c, q, 3)
    for _ in range(3):
        check(c.get(q, no_ack=False), "basic.get was held back")


@case("a reject or nack frees its credit like an ack")
def qos_reject(t):
    c = client(t)
    q = c.queue()
    c.call(1, "basic.qos", prefetch_count=1)
    c.consume(q)
    fill_blind(c, q, 3)
    c.send(1, "basic.reject", delivery_tag=deliveries(c, 1)[0].delivery_tag)
    c.send(1, "basic.nack", delivery_tag=deliveries(c, 1)[0].delivery_tag)
    equal(bodies(deliveries(c, 1)), ["3"], "third delivery")


# ---- who gets what

@case("three consumers without limits take turns")
def round_robin(t):
    c = client(t)
    q = c.queue()
    for tag in "abc":
        c.consume(q, consumer_tag=tag, no_ack=True)
    fill_blind(c, q, 30)
    got = deliveries(c, 30)
    for tag in "abc":
        equal(sum(event.consumer_tag == tag for event in got), 10, "messages of " + tag)
    equal(bodies(got), [str(n) for n in range(1, 31)], "order")


@case("consumers of several connections take turns")
def round_robin_connections(t):
    clients = [client(t) for _ in range(3)]
    q = shared_queue(t, clients[0])
    for c in clients:
        c.consume(q, no_ack=True)
    fill_blind(clients[0], q, 30)
    for c in clients:
        deliveries(c, 10)
        c.quiet(1, 0.05)


@case("a consumer with its prefetch full is passed over")
def round_robin_full(t):
    c = client(t, channels=2)
    q = c.queue()
    c.call(1, "basic.qos", prefetch_count=1)
    c.consume(q)
    c.consume(q, channel=2)
    fill_blind(c, q, 10)
    equal(len(deliveries(c, 1, 1)), 1, "slow consumer")
    equal(len(deliveries(c, 9, 2)), 9, "free consumer")
    c.quiet(1)


@case("a consumer of higher x-priority goes first while it has credit")
def consumer_priority(t):
    c = client(t, channels=2)
    q = c.queue()
    c.consume(q, channel=2)
    c.call(1, "basic.qos", prefetch_count=3)
    c.consume(q, arguments={"x-priority": 10})
    fill_blind(c, q, 5)
    equal(bodies(deliveries(c, 3, 1)), ["1", "2", "3"], "higher priority")
    equal(bodies(deliveries(c, 2, 2)), ["4", "5"], "lower priority")


@case("messages stay in order through 3,000 deliveries on mixed sizes")
def in_order(t):
    c, reader = client(t), client(t)
    q = shared_queue(t, c)
    reader.consume(q, no_ack=True)
    for number in range(3000):
        c.publish(1, q, b"%d " % number + b"p" * (number % 7 * 331), delivery_mode=number % 2 + 1)
    for number, event in enumerate(deliveries(reader, 3000)):
        equal(int(event.body.split()[0]), number, "message")


@case("no-local is ignored")
def no_local(t):
    c = client(t)
    q = c.queue()
    c.consume(q, no_local=True, no_ack=True)
    c.publish(1, q, "mine")
    equal(bodies(deliveries(c, 1)), ["mine"], "message")


@case("delivery tags count from 1, one counter for all consumers and gets of a channel")
def delivery_tags(t):
    c = client(t, channels=2)
    one, two = c.queue(1, name()), c.queue(1, name())
    fill(c, one, 2)
    fill(c, two, 2)
    c.consume(one)
    equal([e.delivery_tag for e in deliveries(c, 2)], [1, 2], "consumer")
    equal(c.get(two, no_ack=False).delivery_tag, 3, "get")
    equal(c.get(two, no_ack=True).delivery_tag, 4, "get without ack")
    fill(c, two, 1)
    equal(c.get(two, channel=2).delivery_tag, 1, "the other channel")


@case("basic.get tells how many are left, purge how many were ready")
def counts(t):
    c = client(t)
    q = c.queue()
    fill(c, q, 4)
    equal(c.get(q, no_ack=False).message_count, 3, "left")
    equal(c.count(q), (3, 0), "ready")
    equal(c.call(1, "queue.purge", queue=q).message_count, 3, "purged")
    c.send(1, "basic.reject", delivery_tag=1, requeue=True)
    settle(c, q, 1)
    equal(c.get(q).body, b"1", "the unacked message was not purged")
    equal(c.get(q), None, "end")


@case("queue.delete tells how many messages were ready")
def delete_count(t):
    c = client(t)
    q = c.queue()
    fill(c, q, 3)
    equal(c.call(1, "queue.delete", queue=q).message_count, 3, "deleted")


@case("an ack after the queue was deleted is no error")
def ack_after_delete(t):
    c = client(t)
    q = c.queue()
    fill(c, q, 2)
    c.get(q, no_ack=False)
    c.get(q, no_ack=False)
    c.call(1, "queue.delete", queue=q)
    c.send(1, "basic.ack", delivery_tag=1)
    c.send(1, "basic.reject", delivery_tag=2, requeue=True)
    c.queue()


# ---- cancel

@case("after basic.cancel nothing is delivered, and what was stays to be acked")
def cancel_keeps_unacked(t):
    c = client(t)
    q = c.queue()
    tag = c.consume(q)
    fill_blind(c, q, 2)
    got = deliveries(c, 2)
    c.call(1, "basic.cancel", consumer_tag=tag)
    fill(c, q, 1, first=3)
    c.quiet(1)
    c.send(1, "basic.ack", delivery_tag=got[0].delivery_tag)
    c.send(1, "basic.nack", delivery_tag=got[1].delivery_tag, requeue=True)
    settle(c, q, 2)
    equal(c.drain(q), ["2", "3"], "queue")


@case("a consumer is told when its queue is deleted")
def cancel_notify(t):
    c, other = client(t), client(t)
    q = shared_queue(t, c)
    c.consume(q, consumer_tag="one")
    c.consume(q, consumer_tag="two")
    other.call(1, "queue.delete", queue=q)
    events = [c.expect(1, "basic.cancel") for _ in range(2)]
    equal(sorted(event.consumer_tag for event in events), ["one", "two"], "tags")
    check(all(event.nowait for event in events), "nowait is not set")
    c.queue()


@case("a consumer that did not ask for it is not told")
def cancel_not_notified(t):
    c, other = client(t, capabilities={}), client(t)
    q = shared_queue(t, c)
    c.consume(q)
    other.call(1, "queue.delete", queue=q)
    c.quiet(1)
    c.queue()


@case("a consumer is told when it deletes the queue itself, after the answer")
def cancel_own_delete(t):
    c = client(t, channels=2)
    for deleter in (1, 2):
        q = c.queue()
        c.consume(q, consumer_tag="me")
        c.send(deleter, "queue.delete", queue=q)
        events = [c.recv() for _ in range(2)]
        equal([event.name for event in events], ["queue.delete-ok", "basic.cancel"], "events")


@case("5,000 publishes and a look at the queue in one write: the consumer has them all before")
def due(t):
    c, looks = client(t), (
        ("basic.get", "basic.get-empty", {}), ("queue.purge", "queue.purge-ok", {}),
        ("queue.declare", "queue.declare-ok", {"passive": True}),
        ("queue.delete", "queue.delete-ok", {"if_empty": True}))
    for method, reply, fields in looks:
        q = c.queue()
        c.consume(q, no_ack=True)
        method_frame = amqp.frame_bytes(amqp.FRAME_METHOD, 1, amqp.method_bytes(
            "basic.publish", routing_key=q))
        messages = [method_frame + c.content(1, b"%d" % number) for number in range(5000)]
        c.send_raw(b"".join(messages) + amqp.frame_bytes(
            amqp.FRAME_METHOD, 1, amqp.method_bytes(method, queue=q, **fields)))
        equal(bodies(deliveries(c, 5000)), [str(number) for number in range(5000)], method)
        answer = c.expect(1, reply)
        equal(getattr(answer, "message_count", 0) if reply != "basic.get-empty" else 0, 0, reply)
    c.expect(1, "basic.cancel")


# ---- return to the queue

@case("a rejected message goes back to where it was")
def requeue_position(t):
    c = client(t)
    q = c.queue()
    fill(c, q, 5)
    first, second = c.get(q, no_ack=False), c.get(q, no_ack=False)
    equal([first.redelivered, second.redelivered], [False, False], "redelivered")
    c.send(1, "basic.reject", delivery_tag=1, requeue=True)
    settle(c, q, 4)
    again = c.get(q, no_ack=False)
    equal((again.body, again.redelivered, again.delivery_tag), (b"1", True, 3), "next")
    c.send(1, "basic.nack", delivery_tag=0, multiple=True, requeue=True)
    settle(c, q, 5)
    got = [c.get(q) for _ in range(5)]
    equal(bodies(got), ["1", "2", "3", "4", "5"], "order")
    equal([event.redelivered for event in got], [True, True, False, False, False], "redelivered")


@case("nack multiple with requeue takes the tags up to its own")
def nack_multiple(t):
    c = client(t)
    q = c.queue()
    fill(c, q, 5)
    for _ in range(4):
        c.get(q, no_ack=False)
    c.send(1, "basic.nack", delivery_tag=3, multiple=True, requeue=True)
    settle(c, q, 4)
    equal(c.drain(q), ["1", "2", "3", "5"], "queue")
    c.send(1, "basic.ack", delivery_tag=4)
    c.queue()


@case("ack multiple takes the tags up to its own, of all queues")
def ack_multiple(t):
    c = client(t)
    one, two = c.queue(1, name()), c.queue(1, name())
    fill(c, one, 3)
    fill(c, two, 3)
    for q in (one, two, one, two):
        c.get(q, no_ack=False)
    c.send(1, "basic.ack", delivery_tag=3, multiple=True)
    c.send(1, "basic.nack", delivery_tag=0, multiple=True, requeue=True)
    settle(c, two, 2)
    equal((c.drain(one), c.drain(two)), (["3"], ["2", "3"]), "queues")


def returned_in_order(end):
    def run(t):
        c, other = client(t), client(t)
        q = shared_queue(t, c)
        fill(c, q, 6)
        c.call(1, "basic.qos", prefetch_count=4)
        c.consume(q)
        deliveries(c, 4)
        end(c)
        settle(other, q, 6)
        got = [other.get(q) for _ in range(6)]
        equal(bodies(got), ["1", "2", "3", "4", "5", "6"], "order")
        equal([event.redelivered for event in got], [True] * 4 + [False] * 2, "redelivered")
    return run


case("unacked messages go back in order when the channel closes")(
    returned_in_order(lambda c: c.call(1, "channel.close", reply_code=200)))
case("unacked messages go back in order when the channel fails")(
    returned_in_order(lambda c: c.send(1, "basic.ack", delivery_tag=99)))
case("unacked messages go back in order when the connection closes")(
    returned_in_order(lambda c: c.close()))
case("unacked messages go back in order when the connection breaks")(
    returned_in_order(lambda c: c.abort()))


@case("basic.recover gives back everything unacked")
def recover(t):
    c = client(t)
    q = c.queue()
    fill(c, q, 4)
    for _ in range(3):
        c.get(q, no_ack=False)
    c.send(1, "basic.ack", delivery_tag=2)
    c.call(1, "basic.recover", requeue=True)
    settle(c, q, 3)
    got = [c.get(q) for _ in range(3)]
    equal([(e.body, e.redelivered) for e in got], [(b"1", True), (b"3", True), (b"4", False)],
          "queue")


@case("basic.recover delivers again to a consumer, recover-async without a reply")
def recover_consumer(t):
    c = client(t)
    q = c.queue()
    c.consume(q)
    fill_blind(c, q, 2)
    deliveries(c, 2)
    c.send(1, "basic.recover", requeue=True)
    events = [c.recv(1) for _ in range(3)]
    check("basic.recover-ok" in [event.name for event in events], "no recover-ok: %r" % events)
    again = [event for event in events if event.name == "basic.deliver"]
    equal([(e.body, e.redelivered, e.delivery_tag) for e in again],
          [(b"1", True, 3), (b"2", True, 4)], "again")
    c.send(1, "basic.recover-async", requeue=True)
    equal([(e.body, e.redelivered) for e in deliveries(c, 2)], [(b"1", True), (b"2", True)],
          "once more")
    c.quiet(1)


# ---- names and lifetimes

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


@case("the empty name means the queue that this channel declared last")
def last_declared(t):
    c = client(t, channels=2)
    one = c.queue(1, name())
    two = c.queue(1, name())
    other = c.queue(2, name())
    c.call(1, "queue.bind", exchange="amq.direct", routing_key=two)
    c.publish(1, two, "x", exchange="amq.direct")
    equal(c.get_soon("").body, b"x", "message")
    equal(c.count(one), (0, 0), "the queue before")
    c.publish(1, other, "y")
    equal(c.get_soon("", channel=2).body, b"y", "message of channel 2")
    equal(c.call(1, "queue.declare", queue=one, passive=True).queue, one, "passive declare")
    c.publish(1, one, "z")
    equal(c.get_soon("").body, b"z", "a passive declare counts too")


@case("an empty queue and an empty key bind with the queue's name as key")
def bind_empty(t):
    c = client(t)
    q = c.queue(1, name())
    c.call(1, "queue.bind", exchange="amq.direct")
    c.publish(1, q, "x", exchange="amq.direct")
    equal(c.get_soon(q).body, b"x", "message")


@case("CR and LF are taken out of names, other UTF-8 is kept, 255 bytes are enough")
def names(t):
    c = client(t)
    equal(c.queue(1, "wire\r\nq"), "wireq", "stripped")
    equal(c.queue(1, "h\u00e4schen \u5154 \x01"), "h\u00e4schen \u5154 \x01", "UTF-8")
    long_name = name() + "n" * 300
    equal(c.queue(1, long_name[:255]), long_name[:255], "long")
    c.publish(1, long_name[:255], "x")
    equal(c.get_soon(long_name[:255]).routing_key, long_name[:255], "routing key")


def gone(c, q, timeout=amqp.PATIENCE):
    """Whether the queue goes away in time."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        c.send(1, "queue.declare", queue=q, passive=True)
        event = c.recv(1)
        if event.name == "channel.close":
            c.send(1, "channel.close-ok")
            c.channel(1)
            if event.reply_code == 404:
                return True
        time.sleep(0.02)
    return False


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


def exchange_gone(c, x):
    c.send(1, "exchange.declare", exchange=x, type="direct", passive=True)
    event = c.recv(1)
    if event.name == "channel.close":
        c.send(1, "channel.close-ok")
        c.channel(1)
    return event.name == "channel.close"


@case("an auto-delete exchange goes with its last binding, and never before its first")
def auto_delete_exchange(t):
    c = client(t)
    x, y, q = (exchange(t, c, auto_delete=True), exchange(t, c, auto_delete=True),
               c.queue(1, name()))
    check(not exchange_gone(c, x), "gone before its first binding")
    c.call(1, "queue.bind", queue=q, exchange=x, routing_key="a")
    c.call(1, "queue.bind", queue=q, exchange=x, routing_key="b")
    c.call(1, "queue.unbind", queue=q, exchange=x, routing_key="a")
    check(not exchange_gone(c, x), "gone with a binding left")
    c.call(1, "queue.unbind", queue=q, exchange=x, routing_key="b")
    check(exchange_gone(c, x), "survived its bindings")
    c.call(1, "queue.bind", queue=q, exchange=y, routing_key="a")
    c.call(1, "queue.delete", queue=q)
    check(exchange_gone(c, y), "survived its queue")


@case("auto-delete exchanges bound in a chain go together")
def auto_delete_chain(t):
    c = client(t)
    x, y = exchange(t, c, auto_delete=True), exchange(t, c, auto_delete=True)
    q = c.queue(1, name())
    c.call(1, "exchange.bind", source=x, destination=y, routing_key="k")
    c.call(1, "queue.bind", queue=q, exchange=y, routing_key="k")
    c.call(1, "queue.delete", queue=q)
    check(exchange_gone(c, y) and exchange_gone(c, x), "the chain survived")


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
    check(exchange_gone(c, x) and gone(c, q), "something is still there")


@case("passive declares look at nothing but the name")
def passive(t):
    c = client(t)
    q, x = c.queue(1, name()), exchange(t, c, "topic")
    c.call(1, "queue.declare", queue=q, passive=True, durable=True, auto_delete=True)
    c.call(1, "exchange.declare", exchange=x, type="fanout", passive=True, durable=True)


@case("the predeclared exchanges are there")
def predeclared(t):
    c = client(t)
    for x, kind in (("amq.direct", "direct"), ("amq.fanout", "fanout"), ("amq.topic", "topic"),
                    ("amq.headers", "headers"), ("amq.match", "headers")):
        c.call(1, "exchange.declare", exchange=x, type=kind, durable=True)
    c.call(1, "exchange.declare", exchange="amq.rabbitmq.trace", type="topic", durable=True,
           internal=True)


@case("access.request, channel.flow and update-secret are answered")
def small_talk(t):
    c = client(t)
    equal(c.call(1, "access.request", realm="/data", active=True).ticket, 1, "ticket")
    equal(c.call(1, "channel.flow", active=True).active, True, "flow")
    c.call(0, "connection.update-secret", new_secret="guest", reason="test")


# ---- exchanges

def bound(t, c, x, key="", arguments=None):
    q = c.queue(1, name())
    c.call(1, "queue.bind", queue=q, exchange=x, routing_key=key, arguments=arguments or {})
    return q


@case("a direct exchange routes by equality, to several queues, once to each")
def direct(t):
    c = client(t)
    x = exchange(t, c)
    one, two = bound(t, c, x, "k"), bound(t, c, x, "k")
    c.call(1, "queue.bind", queue=one, exchange=x, routing_key="k")
    c.call(1, "queue.bind", queue=one, exchange=x, routing_key="K")
    for key in ("k", "kk", "", "K"):
        c.publish(1, key, key, exchange=x)
    settle(c, one, 2)
    equal((c.drain(one), c.drain(two)), (["k", "K"], ["k"]), "queues")


@case("a binding's arguments are part of it")
def binding_arguments(t):
    c = client(t)
    x = exchange(t, c)
    q = bound(t, c, x, "k", {"a": 1})
    c.call(1, "queue.bind", queue=q, exchange=x, routing_key="k", arguments={"a": 2})
    c.call(1, "queue.unbind", queue=q, exchange=x, routing_key="k", arguments={"a": 1})
    c.publish(1, "k", "1", exchange=x)
    settle(c, q, 1)
    c.call(1, "queue.unbind", queue=q, exchange=x, routing_key="k", arguments={"a": 2})
    c.publish(1, "k", "2", exchange=x)
    c.publish(1, q, "end")
    settle(c, q, 2)
    equal(c.drain(q), ["1", "end"], "queue")


@case("exchange bindings with a cycle deliver one copy to each queue")
def exchange_cycle(t):
    c = client(t)
    x, y, z = exchange(t, c, "fanout"), exchange(t, c, "topic"), exchange(t, c)
    for source, target, key in ((x, y, ""), (y, z, "#"), (z, x, "k"), (y, x, "k"), (x, x, "")):
        c.call(1, "exchange.bind", source=source, destination=target, routing_key=key)
    q = bound(t, c, x)
    for other in (y, z):
        c.call(1, "queue.bind", queue=q, exchange=other, routing_key="k")
    far = bound(t, c, z, "k")
    for start in (x, y, z):
        c.publish(1, "k", start, exchange=start)
    settle(c, q, 3)
    equal((c.drain(q), c.drain(far)), ([x, y, z], [x, y, z]), "queues")


@case("exchange.unbind takes one binding away, and the delivered exchange is the first one")
def exchange_unbind(t):
    c = client(t)
    x, y = exchange(t, c), exchange(t, c, internal=True)
    q = bound(t, c, y, "k")
    c.call(1, "exchange.bind", source=x, destination=y, routing_key="k")
    c.call(1, "exchange.bind", source=x, destination=y, routing_key="k")
    c.publish(1, "k", "1", exchange=x)
    event = c.get_soon(q)
    equal((event.exchange, event.routing_key, event.body), (x, "k", b"1"), "message")
    c.call(1, "exchange.unbind", source=x, destination=y, routing_key="k")
    c.publish(1, "k", "2", exchange=x)
    c.publish(1, q, "end")
    settle(c, q, 1)
    equal(c.drain(q), ["end"], "queue")


@case("deleting an exchange takes its bindings, on both sides")
def exchange_delete_bindings(t):
    c = client(t)
    x, y = exchange(t, c, "fanout"), exchange(t, c, "fanout")
    q = bound(t, c, y)
    c.call(1, "exchange.bind", source=x, destination=y)
    c.call(1, "exchange.delete", exchange=y)
    c.call(1, "exchange.declare", exchange=y, type="fanout")
    c.publish(1, "", "1", exchange=x)
    c.publish(1, "", "2", exchange=y)
    c.publish(1, q, "end")
    settle(c, q, 1)
    equal(c.drain(q), ["end"], "queue")


@case("alternate exchanges: only for what is not routed, in chains, with loops, before a return")
def alternate(t):
    c = client(t)
    last = exchange(t, c, "fanout")
    middle = exchange(t, c, arguments={"alternate-exchange": last})
    first = exchange(t, c, arguments={"alternate-exchange": middle})
    own, mid, end = bound(t, c, first, "own"), bound(t, c, middle, "mid"), bound(t, c, last)
    for key in ("own", "mid", "else"):
        c.publish(1, key, key, exchange=first, mandatory=True)
    settle(c, end, 1)
    equal((c.drain(own), c.drain(mid), c.drain(end)), (["own"], ["mid"], ["else"]), "queues")
    a, b = name("a"), name("b")
    for x, other in ((a, b), (b, a)):
        t.cleanup(delete_exchange, t, x)
        c.call(1, "exchange.declare", exchange=x, type="direct",
               arguments={"alternate-exchange": other})
    c.publish(1, "k", "loop", exchange=a, mandatory=True)
    equal(c.expect(1, "basic.return").body, b"loop", "returned")
    alone = exchange(t, c, arguments={"alternate-exchange": name("missing")})
    c.publish(1, "k", "missing", exchange=alone, mandatory=True)
    equal(c.expect(1, "basic.return").body, b"missing", "returned")


VOID = None
HEADERS = (
    ({"x-match": "all", "a": 1, "b": "x"}, {"a": 1, "b": "x"}, True),
    ({"x-match": "all", "a": 1, "b": "x"}, {"a": 1, "b": "x", "c": 3}, True),
    ({"x-match": "all", "a": 1, "b": "x"}, {"a": 1}, False),
    ({"x-match": "all", "a": 1, "b": "x"}, {"a": 1, "b": "y"}, False),
    ({"x-match": "all", "a": 1}, {"a": "1"}, False),
    ({"x-match": "all", "a": VOID}, {"a": "whatever"}, True),
    ({"x-match": "all", "a": VOID}, {"b": 1}, False),
    ({"x-match": "all"}, {}, True),
    ({"a": 1, "b": 2}, {"a": 1}, False),
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
    ({"x-match": "all", "a": True}, {"a": True}, True),
    ({"x-match": "all", "a": True}, {"a": False}, False),
    ({"x-match": "any", "a": 1, "b": "x"}, {"a": 1}, True),
    ({"x-match": "any", "a": 1, "b": "x"}, {"a": 2, "b": "x"}, True),
    ({"x-match": "any", "a": 1, "b": "x"}, {"a": 2, "b": "y"}, False),
    ({"x-match": "any", "a": 1, "b": "x"}, {}, False),
    ({"x-match": "any"}, {"a": 1}, False),
    ({"x-match": "any", "a": VOID}, {"a": [1]}, True),
    ({"x-match": "all", "x-a": 1}, {}, True),
    ({"x-match": "all", "x-a": 1, "b": 1}, {"b": 1}, True),
    ({"x-match": "any", "x-a": 1}, {"x-a": 1}, False),
    ({"x-match": "all-with-x", "x-a": 1}, {}, False),
    ({"x-match": "all-with-x", "x-a": 1, "b": 1}, {"x-a": 1, "b": 1}, True),
    ({"x-match": "all-with-x", "x-a": 1, "b": 1}, {"b": 1}, False),
    ({"x-match": "any-with-x", "x-a": 1, "b": 1}, {"x-a": 1}, True),
    ({"x-match": "any-with-x", "x-a": 1, "b": 1}, {"x-a": 2}, False),
)


@case("headers exchange: all, any, all-with-x, any-with-x, presence, types")
def headers(t):
    c, wrong = client(t), []
    x = exchange(t, c, "headers")
    for arguments, given, match in HEADERS:
        q = bound(t, c, x, "", arguments)
        c.publish(1, "ignored", "x", exchange=x, headers=given)
        c.publish(1, q, "end")
        settle(c, q, 1 + match)
        if c.count(q)[0] != 1 + match:
            wrong.append((arguments, given, match))
        c.call(1, "queue.delete", queue=q)
    equal(wrong, [], "wrong verdicts")
    q = bound(t, c, x, "", {"a": 1})
    c.publish(1, "", "no headers at all", exchange=x)
    c.publish(1, q, "end")
    equal(c.get_soon(q).body, b"end", "first message")


def matches(pattern, words):
    """The topic rule of the specification, word by word."""
    if not pattern:
        return not words
    if pattern[0] == "#":
        return any(matches(pattern[1:], words[at:]) for at in range(len(words) + 1))
    return bool(words) and pattern[0] in ("*", words[0]) and matches(pattern[1:], words[1:])


def words_of(key):
    return key.split(".") if key else []


@case("topic exchange: 120 patterns, 200 keys, against a naive matcher")
def topic(t):
    c, dice = client(t), random.Random(7)
    x = exchange(t, c, "topic")
    patterns = ["", "#", "*", ".", "#.#", "*.#", "#.*", "a", "a.#", "#.a", "a.*.b", "a.#.b", "*.*",
                "#.a.#", "*.#.*", "a..b", "a.", ".a", "aa", "*.a.#", "a#", "a*", "**"]
    keys = ["", ".", "..", "a", "a.b", "a..b", "a.", ".a", "a.a.a.a", "aa", "b.a", "a.b.c.d.e.f.g",
            "a#", "a*", "**", "*", "#", "#.a"]
    while len(patterns) < 120:
        words = [dice.choice("aabbc*#") for _ in range(dice.randrange(1, 6))]
        if words.count("#") <= 2:
            patterns.append(".".join(words))
    while len(keys) < 200:
        keys.append(".".join(dice.choice("aabbc") for _ in range(dice.randrange(1, 8))))
    q = []
    for index, pattern in enumerate(patterns):
        q.append(bound(t, c, x, pattern))
        c.consume(q[-1], consumer_tag=str(index), no_ack=True)
    for index, key in enumerate(keys):
        c.publish(1, key, str(index), exchange=x)
    want = [(p, k) for p in range(len(patterns)) for k in range(len(keys))
            if matches(words_of(patterns[p]), words_of(keys[k]))]
    got = []
    try:
        while len(got) < len(want):
            event = c.expect(1, "basic.deliver")
            got.append((int(event.consumer_tag), int(event.body)))
    except amqp.Silence:
        pass
    missing = [(patterns[p], keys[k]) for p, k in sorted(set(want) - set(got))]
    extra = [(patterns[p], keys[k]) for p, k in sorted(set(got) - set(want))]
    equal((missing[:5], extra[:5]), ([], []), "missing and extra matches")
    c.quiet(1)
    equal(len(got), len(set(got)), "copies")
    for index in range(0, len(patterns), 2):
        c.call(1, "queue.unbind", queue=q[index], exchange=x, routing_key=patterns[index])
    c.publish(1, "a.b", "after", exchange=x)
    got = set()
    try:
        while True:
            got.add(int(c.expect(1, "basic.deliver", timeout=0.3).consumer_tag))
    except amqp.Silence:
        pass
    left = range(1, len(patterns), 2)
    equal(got, {p for p in left if matches(words_of(patterns[p]), ["a", "b"])},
          "after half were unbound")
    t.note("%d matches" % len(want))


@case("topic exchange: 127 words against patterns with two # are quick")
def topic_blowup(t):
    t.skip_on_oracle("RabbitMQ 3.10 takes minutes")
    c = client(t)
    x = exchange(t, c, "topic")
    q = bound(t, c, x, "#.b.#")
    for at in range(30):
        bound(t, c, x, "#.%s.#" % ".".join("a" * (at + 1)) + ".z")
    begin = time.monotonic()
    for _ in range(50):
        c.publish(1, ".".join("a" * 126) + ".b", "x", exchange=x)
    settle(c, q, 50)
    took = time.monotonic() - begin
    t.note("50 messages took %.3f s" % took)


# ---- copies

@case("CC and BCC add routing keys; CC is kept, BCC is not")
def carbon_copies(t):
    c = client(t)
    x = exchange(t, c)
    to, cc, bcc = bound(t, c, x, "to"), bound(t, c, x, "cc"), bound(t, c, x, "bcc")
    c.publish(1, "to", "x", exchange=x, headers={"CC": ["cc", "to"], "BCC": ["bcc"], "other": 1})
    for q in (to, cc, bcc):
        event = c.get_soon(q)
        check(event, "no copy")
        equal((event.routing_key, event.properties["headers"]),
              ("to", {"CC": ["cc", "to"], "other": 1}), "copy")
        equal(c.get(q), None, "second copy")


@case("a user id that is one's own is accepted and carried")
def user_id(t):
    c = client(t)
    q = c.queue()
    c.publish(1, q, "x", user_id="guest")
    equal(c.get_soon(q).properties["user_id"], "guest", "user id")


@case("all properties come through")
def properties(t):
    c = client(t)
    q = c.queue()
    sent = {"content_type": "text/plain", "content_encoding": "utf-8", "headers": {"h": 1},
            "delivery_mode": 2, "priority": 9, "correlation_id": "c", "reply_to": "r",
            "expiration": "60000", "message_id": "m", "timestamp": 1234567890123, "type": "t",
            "user_id": "guest", "app_id": "a", "cluster_id": "k"}
    c.publish(1, q, "x", **sent)
    equal(c.get_soon(q).properties, sent, "properties")
    c.publish(1, q, "x")
    equal(c.get_soon(q).properties, {}, "no properties")


@case("every type of field comes through message headers")
def field_types(t):
    c = client(t)
    q = c.queue()
    T = amqp.Typed
    sent = {"t": T("t", True), "b": T("b", -5), "B": T("B", 200), "s": T("s", -3000),
            "u": T("u", 60000), "I": T("I", -2**31), "i": T("i", 2**32 - 1), "l": T("l", -2**63),
            "f": T("f", 0.5), "d": T("d", 1e300), "D": T("D", (2, 314)), "S": T("S", "text"),
            "T": T("T", 1700000000), "V": T("V", None), "x": T("x", "bytes"),
            "A": T("A", [T("I", 1), T("S", "two"), T("F", {"k": T("V", None)})]),
            "F": T("F", {"inner": T("F", {})}), "empty": T("S", ""), "": T("I", 0)}
    c.publish(1, q, "x", headers=sent)
    equal(c.get_soon(q).typed_headers(), sent, "headers")
    c.publish(1, q, "x", headers={"L": T("L", 77)})
    got = c.get_soon(q).typed_headers()["L"]
    check(got.tag in "lL" and got.value == 77, "L came back as %r" % got)


@case("bodies around the frame size are cut where they should be")
def body_frames(t):
    c = client(t, frame_max=4096)
    q = c.queue()
    for size in (0, 1, 4087, 4088, 4089, 8176, 8177, 100000):
        c.publish(1, q, b"b" * size)
        event = c.get_soon(q)
        equal(len(event.body), size, "size")
        want = [4088] * (size // 4088) + ([size % 4088] if size % 4088 else [])
        equal(event.body_frames, want, "frames of %d bytes" % size)


# ---- dead letters

def graveyard(t, c, **arguments):
    """A queue that dead-letters to a fanout exchange, and the queue behind that."""
    x = exchange(t, c, "fanout")
    dead = bound(t, c, x)
    q = c.queue(1, name(), exclusive=True,
                arguments=dict({"x-dead-letter-exchange": x}, **arguments))
    return x, q, dead


def typed(event):
    headers_ = event.typed_headers()
    return headers_, [entry.value for entry in headers_["x-death"].value]


@case("a rejected message arrives with x-death, x-first-death-* and x-last-death-*")
def dead_letter(t):
    c = client(t)
    x, q, dead = graveyard(t, c)
    source = exchange(t, c)
    c.call(1, "queue.bind", queue=q, exchange=source, routing_key="key")
    c.publish(1, "key", "dead", exchange=source, headers={"mine": 1}, delivery_mode=2,
              message_id="m")
    before = int(time.time())
    c.get_soon(q, no_ack=False)
    c.send(1, "basic.reject", delivery_tag=1)
    event = c.get_soon(dead)
    equal((event.body, event.exchange, event.routing_key, event.redelivered),
          (b"dead", x, "key", False), "message")
    equal((event.properties["message_id"], event.properties["delivery_mode"]), ("m", 2),
          "properties")
    headers_, deaths = typed(event)
    T = amqp.Typed
    when = deaths[0].pop("time")
    check(when.tag == "T" and before - 2 <= when.value <= time.time() + 2, "time %r" % when)
    equal(deaths, [{"count": T("l", 1), "reason": T("S", "rejected"), "queue": T("S", q),
                    "exchange": T("S", source), "routing-keys": T("A", [T("S", "key")])}],
          "x-death")
    for which in ("first",) if t.oracle else ("first", "last"):
        for what, value in (("reason", "rejected"), ("queue", q), ("exchange", source)):
            equal(headers_["x-%s-death-%s" % (which, what)], T("S", value),
                  "x-%s-death-%s" % (which, what))
    equal(headers_["mine"], T("I", 1), "own header")


@case("nack, single and multiple, dead-letters in order; requeue never does")
def dead_letter_order(t):
    c = client(t)
    _, q, dead = graveyard(t, c)
    fill(c, q, 6)
    for _ in range(6):
        c.get(q, no_ack=False)
    c.send(1, "basic.nack", delivery_tag=6)
    c.send(1, "basic.nack", delivery_tag=2, requeue=True)
    c.send(1, "basic.nack", delivery_tag=4, multiple=True)
    c.send(1, "basic.reject", delivery_tag=5)
    settle(c, dead, 5)
    equal(c.drain(dead), ["6", "1", "3", "4", "5"], "dead letters")
    equal(c.drain(q), ["2"], "queue")


@case("a message that was requeued first still dies once")
def dead_letter_requeued(t):
    c = client(t)
    _, q, dead = graveyard(t, c)
    fill(c, q, 1)
    for tag in (1, 2):
        c.get_soon(q, no_ack=False)
        c.send(1, "basic.reject", delivery_tag=tag, requeue=tag == 1)
    settle(c, dead, 1)
    _, deaths = typed(c.get(dead))
    equal((len(deaths), deaths[0]["count"].value), (1, 1), "deaths")


@case("ack, purge and delete of the queue do not dead-letter")
def no_dead_letter(t):
    c = client(t)
    _, q, dead = graveyard(t, c)
    fill(c, q, 3)
    c.get(q, no_ack=False)
    c.send(1, "basic.ack", delivery_tag=1)
    c.get(q, no_ack=False)
    c.call(1, "queue.purge", queue=q)
    c.call(1, "queue.delete", queue=q)
    c.publish(1, dead, "end")
    equal(c.get_soon(dead).body, b"end", "first dead letter")


@case("x-dead-letter-routing-key replaces the key and the copies")
def dead_letter_key(t):
    c = client(t)
    x = exchange(t, c)
    fixed, own, copy = bound(t, c, x, "fixed"), bound(t, c, x, "own"), bound(t, c, x, "copy")
    q = c.queue(1, name(), exclusive=True,
                arguments={"x-dead-letter-exchange": x, "x-dead-letter-routing-key": "fixed"})
    c.call(1, "queue.bind", queue=q, exchange="amq.direct", routing_key=q)
    c.publish(1, q, "x", exchange="amq.direct", headers={"CC": ["copy"], "BCC": ["own"]})
    c.get_soon(q, no_ack=False)
    c.send(1, "basic.reject", delivery_tag=1)
    event = c.get_soon(fixed)
    equal(event.routing_key, "fixed", "key")
    check("CC" not in event.properties["headers"] and "BCC" not in event.properties["headers"],
          "headers %r" % event.properties["headers"])
    equal((c.get(own), c.get(copy)), (None, None), "the other queues")


@case("without a dead-letter key the message's own key and its copies route, BCC is gone")
def dead_letter_copies(t):
    c = client(t)
    x = exchange(t, c)
    q = c.queue(1, name(), exclusive=True, arguments={"x-dead-letter-exchange": x})
    own, copy, hidden = bound(t, c, x, q), bound(t, c, x, "copy"), bound(t, c, x, "hidden")
    c.publish(1, q, "x", headers={"CC": ["copy"], "BCC": ["hidden"]})
    c.get_soon(q, no_ack=False)
    c.send(1, "basic.reject", delivery_tag=1)
    for target in (own, copy):
        event = c.get_soon(target)
        check(event, "no dead letter")
        equal(event.properties["headers"]["CC"], ["copy"], "CC")
        equal(event.properties["headers"]["x-death"][0]["routing-keys"], [q, "copy"],
              "routing keys")
    t.note("BCC queue got %r" % (c.get(hidden),))


@case("a dead-letter exchange may be missing; the message is dropped until it is there")
def dead_letter_missing(t):
    c = client(t)
    x = name("later")
    q = c.queue(1, name(), exclusive=True, arguments={"x-dead-letter-exchange": x})
    fill(c, q, 2)
    c.get(q, no_ack=False)
    c.send(1, "basic.reject", delivery_tag=1)
    t.cleanup(delete_exchange, t, x)
    c.call(1, "exchange.declare", exchange=x, type="fanout")
    dead = bound(t, c, x)
    c.get(q, no_ack=False)
    c.send(1, "basic.reject", delivery_tag=2)
    equal(c.get_soon(dead).body, b"2", "dead letter")


@case("the default exchange as dead-letter exchange routes to the queue of that name")
def dead_letter_default(t):
    c = client(t)
    dead = c.queue(1, name())
    q = c.queue(1, name(), exclusive=True, arguments={"x-dead-letter-exchange": "",
                                                      "x-dead-letter-routing-key": dead})
    fill(c, q, 1)
    c.get(q, no_ack=False)
    c.send(1, "basic.reject", delivery_tag=1)
    event = c.get_soon(dead)
    equal((event.exchange, event.routing_key), ("", dead), "rewritten")


@case("a rejected message may go round for ever, with one x-death entry that counts")
def dead_letter_cycle(t):
    c = client(t)
    q = name()
    c.queue(1, q, exclusive=True, arguments={"x-dead-letter-exchange": "",
                                             "x-dead-letter-routing-key": q})
    fill(c, q, 1)
    for turn in range(1, 6):
        event = c.get_soon(q, no_ack=False)
        check(event, "the message is gone after %d turns" % (turn - 1))
        if turn > 1:
            _, deaths = typed(event)
            equal((len(deaths), deaths[0]["count"].value), (1, turn - 1), "deaths")
        c.send(1, "basic.reject", delivery_tag=turn)


@case("two queues that reject to each other: newest death first, counts, first death kept")
def dead_letter_two(t):
    c = client(t)
    a, b = name("a"), name("b")
    for q, other in ((a, b), (b, a)):
        c.queue(1, q, exclusive=True, arguments={"x-dead-letter-exchange": "",
                                                 "x-dead-letter-routing-key": other})
    fill(c, a, 1)
    for tag, q in enumerate((a, b, a), 1):
        c.get_soon(q, no_ack=False)
        c.send(1, "basic.reject", delivery_tag=tag)
    headers_, deaths = typed(c.get_soon(b))
    equal([(d["queue"].value, d["count"].value) for d in deaths], [(a, 2), (b, 1)], "deaths")
    equal(headers_["x-first-death-queue"].value, a, "first death")
    equal(headers_["x-first-death-reason"].value, "rejected", "first death")
    if not t.oracle:
        equal(headers_["x-last-death-queue"].value, a, "last death")
        equal([d["routing-keys"].value[0].value for d in deaths], [a, b], "keys of the first time")


@case("expiration is taken off a dead letter and kept in x-death")
def dead_letter_expiration(t):
    c = client(t)
    _, q, dead = graveyard(t, c)
    c.publish(1, q, "x", expiration="60000")
    c.get_soon(q, no_ack=False)
    c.send(1, "basic.reject", delivery_tag=1)
    event = c.get_soon(dead)
    check("expiration" not in event.properties, "expiration is still there")
    equal(typed(event)[1][0]["original-expiration"], amqp.Typed("S", "60000"), "original")


@case("an x-death header made up by a publisher is not believed")
def dead_letter_forged(t):
    t.skip_on_oracle("RabbitMQ 3.10 counts on")
    c = client(t)
    _, q, dead = graveyard(t, c)
    c.publish(1, q, "x", headers={"x-death": [{"queue": q, "reason": "rejected",
                                               "count": amqp.Typed("l", 40)}]})
    c.get_soon(q, no_ack=False)
    c.send(1, "basic.reject", delivery_tag=1)
    _, deaths = typed(c.get_soon(dead))
    equal((len(deaths), deaths[0]["count"].value), (1, 1), "deaths")


@case("a dead letter that its exchange cannot route is dropped, or goes to the alternate")
def dead_letter_alternate(t):
    c = client(t)
    spare = exchange(t, c, "fanout")
    x = exchange(t, c, arguments={"alternate-exchange": spare})
    dead = bound(t, c, spare)
    q = c.queue(1, name(), exclusive=True, arguments={"x-dead-letter-exchange": x})
    fill(c, q, 1)
    c.get(q, no_ack=False)
    c.send(1, "basic.reject", delivery_tag=1)
    equal(c.get_soon(dead).exchange, x, "exchange")


# ---- transactions

@case("tx: publishes are seen after the commit, and not at all after a rollback")
def tx_publish(t):
    c = client(t, channels=2)
    q = c.queue()
    c.call(1, "tx.select")
    fill_blind(c, q, 3)
    time.sleep(0.05)
    equal(c.count(q, 2), (0, 0), "before the commit")
    c.call(1, "tx.commit")
    equal(c.count(q, 2), (3, 0), "after the commit")
    fill_blind(c, q, 3)
    c.call(1, "tx.rollback")
    c.call(1, "tx.commit")
    equal(c.count(q, 2), (3, 0), "after the rollback")
    equal(c.drain(q, 2), ["1", "2", "3"], "order")


@case("tx: acks count after the commit, and not at all after a rollback")
def tx_ack(t):
    c, other = client(t), client(t)
    q = shared_queue(t, c)
    fill(c, q, 4)
    c.call(1, "tx.select")
    for _ in range(4):
        c.get(q, no_ack=False)
    c.send(1, "basic.ack", delivery_tag=2, multiple=True)
    c.call(1, "tx.commit")
    c.send(1, "basic.ack", delivery_tag=3)
    c.call(1, "tx.rollback")
    c.send(1, "basic.ack", delivery_tag=3)
    c.call(1, "tx.commit")
    c.send(1, "basic.ack", delivery_tag=4)
    c.close()
    settle(other, q, 1)
    equal(other.drain(q), ["4"], "queue")


@case("tx: reject and nack wait for the commit too")
def tx_reject(t):
    c = client(t, channels=2)
    _, q, dead = graveyard(t, c)
    fill(c, q, 2)
    c.call(1, "tx.select")
    c.get(q, no_ack=False)
    c.get(q, no_ack=False)
    c.send(1, "basic.reject", delivery_tag=1)
    c.send(1, "basic.nack", delivery_tag=2, requeue=True)
    time.sleep(0.05)
    equal((c.count(q, 2)[0], c.count(dead, 2)[0]), (0, 0), "before the commit")
    c.call(1, "tx.commit")
    settle(c, dead, 1)
    settle(c, q, 1)


@case("tx: what was not committed goes with the channel")
def tx_dropped(t):
    c, other = client(t), client(t)
    q = shared_queue(t, c)
    c.call(1, "tx.select")
    fill_blind(c, q, 3)
    c.call(1, "channel.close", reply_code=200)
    c.channel(1)
    c.call(1, "tx.select")
    fill_blind(c, q, 3)
    c.abort()
    time.sleep(0.1)
    equal(other.count(q), (0, 0), "queue")


@case("tx: an unroutable mandatory message is returned at the commit, before commit-ok")
def tx_return(t):
    c = client(t)
    c.call(1, "tx.select")
    c.publish(1, "nobody", "x", mandatory=True)
    c.send(1, "tx.commit")
    events = [c.recv(1), c.recv(1)]
    equal(sorted(event.name for event in events), ["basic.return", "tx.commit-ok"], "events")
    t.note(" then ".join(event.name for event in events))


# ---- direct reply-to

@case("direct reply-to carries an answer straight to the asking channel")
def reply_to(t):
    asker, server = client(t), client(t)
    q = shared_queue(t, server)
    asker.consume("amq.rabbitmq.reply-to", no_ack=True, consumer_tag="answers")
    asker.publish(1, q, "question", reply_to="amq.rabbitmq.reply-to", correlation_id="7")
    question = server.get_soon(q)
    address = question.properties["reply_to"]
    check(address.startswith("amq.rabbitmq.reply-to.") and len(address) > 30, "got %r" % address)
    probe = server.call(1, "queue.declare", queue=address, passive=True)
    equal((probe.queue, probe.consumer_count), (address, 1), "probe")
    server.publish(1, address, "answer", correlation_id="7")
    answer = asker.expect(1, "basic.deliver")
    equal((answer.body, answer.consumer_tag, answer.exchange, answer.redelivered),
          (b"answer", "answers", "", False), "answer")
    equal(answer.properties["correlation_id"], "7", "correlation id")
    asker.close()
    time.sleep(0.05)
    server.publish(1, address, "too late")
    server.queue()


# ---- others are not disturbed

@case("a connection whose routing is hard work slows nobody")
def hard_routing(t):
    hard, other = client(t), client(t)
    x = exchange(t, hard, "headers")
    q = shared_queue(t, hard)
    for number in range(5000):
        hard.send(1, "queue.bind", queue=q, exchange=x, nowait=True,
                  arguments={"x-match": "any", "n%d" % number: "never"})
    hard.count(q)
    own = other.queue()
    other.consume(own, no_ack=True)
    message = b"".join([
        amqp.frame_bytes(1, 1, amqp.method_bytes("basic.publish", exchange=x, routing_key="k",
                                                 mandatory=True)),
        amqp.frame_bytes(2, 1, amqp.header_bytes(1, {"headers": {"some": "thing"}})),
        amqp.frame_bytes(3, 1, b"x")])
    # One at a time could be read from the socket, 64 KiB, and that is more than 600. What the broker
    # goes on to do while this program does not run is counted as well, so that one turn is enough.
    for turn in range(20):
        hard.send_raw(message * 2000)
        other.publish(1, own, "x")
        deliveries(other, 1)
        with contextlib.suppress(amqp.Silence):
            while True:
                hard.fill(time.monotonic() + 0.0005)
        returned = hard.data.count(b"NO_ROUTE")
        t.note("%d of 2000 had been routed before" % returned)
        for _ in range(2000):
            hard.expect(1, "basic.return")
        if returned < 300:
            return
    raise AssertionError("all %d times it waited for the other one" % (turn + 1))


@case("a consumer that does not read slows nobody")
def unread(t):
    lazy, c, other = client(t), client(t), client(t)
    q = shared_queue(t, c)
    lazy.consume(q, no_ack=True)
    own = other.queue()
    other.consume(own, no_ack=True)
    worst = 0.0
    for number in range(200):
        c.publish(1, q, b"z" * 131000)
        if number % 10 == 0:
            begin = time.monotonic()
            other.publish(1, own, "x")
            deliveries(other, 1)
            worst = max(worst, time.monotonic() - begin)
    c.count(q)
    t.note("others waited %.1f ms at most" % (worst * 1000))
    equal(len(deliveries(lazy, 200)), 200, "messages read in the end")


@case("a connection that breaks in the middle of a publish leaves nothing behind")
def broken_publish(t):
    c, other = client(t), client(t)
    q = shared_queue(t, c)
    whole = (amqp.frame_bytes(1, 1, amqp.method_bytes("basic.publish", routing_key=q))
             + amqp.frame_bytes(2, 1, amqp.header_bytes(100)) + amqp.frame_bytes(3, 1, b"x" * 50))
    c.send_raw(whole)
    c.abort()
    time.sleep(0.1)
    equal(other.count(q), (0, 0), "queue")


@case("100 channels of one connection work side by side")
def many_channels(t):
    c = client(t, channels=100)
    queues = {number: c.queue(number) for number in range(1, 101)}
    for number, q in queues.items():
        c.consume(q, channel=number, no_ack=True)
    for number in range(1, 101):
        c.publish(number, queues[101 - number], str(number))
    for number in range(1, 101):
        equal(c.expect(number, "basic.deliver").body.decode(), str(101 - number), "message")


if __name__ == "__main__":
    main()
