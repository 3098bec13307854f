#!/usr/bin/python3
"""Who is given what, in which order, and what a consumer is told when that ends."""

from queues import bodies, deliveries, fill_blind
from wire import amqp, case, check, client, equal, main, shared_queue


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


@case("messages stay in order through 3,000 deliveries on mixed sizes")
def in_order(t):
    c, reader = client(t), client(t)
    q = shared_queue(t, c)
    reader.consume(q, no_ack=True)
    for number in range(3000):
        c.publish(1, q, b"%d " % number + b"p" * (number % 7 * 331), delivery_mode=number % 2 + 1)
    for number, event in enumerate(deliveries(reader, 3000)):
        equal(int(event.body.split()[0]), number, "message")


@case("5,000 publishes and a look at the queue in one write: the consumer has them all before")
def due(t):
    t.skip_on_oracle("RabbitMQ differs, see the scripts due_*.amqp")
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


@case("a consumer is told when it deletes the queue itself, after the answer")
def cancel_own_delete(t):
    c = client(t, channels=2)
    for deleter in (1, 2):
        q = c.queue()
        c.consume(q, consumer_tag="me")
        c.send(deleter, "queue.delete", queue=q)
        events = [c.recv() for _ in range(2)]
        seen = [event.name for event in events]
        if t.oracle:  # in an order of chance
            seen.sort(reverse=True)
        equal(seen, ["queue.delete-ok", "basic.cancel"], "events")


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


if __name__ == "__main__":
    main()
